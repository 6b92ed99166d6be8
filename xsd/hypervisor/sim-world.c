/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The simulated world: its files, and its domains.
 *
 * Domains change under a robust mutex and inside an odd/even sequence number.  A reader copies
 * and looks whether the number moved; after a few vain tries it takes the mutex, so that writers
 * cannot starve it.  A writer notes the domain as it was before it touches it: whoever finds the
 * mutex's owner dead puts it back, so that a change has happened wholly or not at all.
 *
 * Each domain that ever was has a page of its own in the file of rings.  A server that still maps
 * the page of a dead domain thus never sees what the next one of that id does, as with grants.
 *
 * Not taken: one file a domain, since no reader could then see all domains at one moment.
 */

#include "xsd/hypervisor/sim-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define READ_TRIES 4
#define LOCK_SECONDS                                                                               \
  1 /* holders need microseconds; one that is stopped must not stop the server                     \
     */
#define DOM0_CAPS (XDS_DOMAIN_CAP_CONTROL | XDS_DOMAIN_CAP_HARDWARE | XDS_DOMAIN_CAP_XENSTORE)
#define KEPT_STATES (XDS_DOMAIN_PAUSED | XDS_DOMAIN_SHUTDOWN | XDS_DOMAIN_DYING | XDS_DOMAIN_DEAD)

/* --- files --- */

static int
open_at (const char *dir, const char *leaf, int flags)
{
  char path[512];
  int fd;

  if (snprintf (path, sizeof path, "%s/%s", dir, leaf) >= (int) sizeof path)
    return -ENAMETOOLONG;
  fd = open (path, flags | O_CLOEXEC, 0600);
  return fd < 0 ? -errno : fd;
}

static int
map_table (int fd, SimTable **ret_table)
{
  struct stat st;
  void *table;

  if (fstat (fd, &st) < 0)
    return -errno;
  if (st.st_size != sizeof (SimTable))
    return -EPROTO;
  table = mmap (NULL, sizeof (SimTable), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (table == MAP_FAILED)
    return -errno;
  *ret_table = table;
  return 0;
}

static int
init_lock (pthread_mutex_t *lock)
{
  pthread_mutexattr_t attr;
  int res = pthread_mutexattr_init (&attr);

  if (res == 0)
    {
      pthread_mutexattr_setpshared (&attr, PTHREAD_PROCESS_SHARED);
      pthread_mutexattr_setrobust (&attr, PTHREAD_MUTEX_ROBUST);
      res = pthread_mutex_init (lock, &attr);
      pthread_mutexattr_destroy (&attr);
    }
  return -res;
}

/* An empty table, under a name of its own until it is whole. */
static int
make_table (const char *dir)
{
  char from[512], to[512];
  SimTable *table;
  int fd = open_at (dir, "world.new", O_RDWR | O_CREAT | O_TRUNC);
  int res;

  if (fd < 0)
    return fd;
  res = ftruncate (fd, sizeof (SimTable)) < 0 ? -errno : map_table (fd, &table);
  close (fd);
  if (res < 0)
    return res;
  res = init_lock (&table->lock);
  table->size = sizeof (SimTable);
  table->next_unique = 1;
  table->magic = SIM_MAGIC;
  munmap (table, sizeof (SimTable));
  if (res < 0)
    return res;
  snprintf (from, sizeof from, "%s/world.new", dir);
  snprintf (to, sizeof to, "%s/world", dir);
  return rename (from, to) < 0 ? -errno : 0;
}

/* Opens what is there. */
static int
open_files (XdsSimWorld *world)
{
  int fd = open_at (world->dir, "world", O_RDWR);
  int res;

  if (fd < 0)
    return fd;
  res = map_table (fd, &world->table);
  close (fd);
  if (res < 0)
    return res;
  if (world->table->magic != SIM_MAGIC || world->table->size != sizeof (SimTable))
    return -EPROTO;
  world->rings = open_at (world->dir, "rings", O_RDWR | O_CREAT);
  return world->rings < 0 ? world->rings : 0;
}

int
xds_sim_world_open (const char *dir, XdsSimWorld **ret_world)
{
  XdsSimWorld *world = calloc (1, sizeof *world);
  int i, res;

  if (world == NULL)
    return -ENOMEM;
  world->rings = world->role = -1;
  for (i = 0; i < (int) SIM_HUBS; i++)
    world->fds[i] = -1;
  world->dir = strdup (dir);
  res = world->dir == NULL ? -ENOMEM : open_files (world);
  if (res < 0)
    {
      xds_sim_world_free (world);
      return res;
    }
  *ret_world = world;
  return 0;
}

void
xds_sim_world_free (XdsSimWorld *world)
{
  int i;

  if (world == NULL)
    return;
  for (i = 0; i < (int) SIM_HUBS; i++)
    if (world->fds[i] >= 0)
      close (world->fds[i]);
  if (world->rings >= 0)
    close (world->rings);
  if (world->table != NULL)
    munmap (world->table, sizeof (SimTable));
  free (world->dir);
  free (world);
}

/* --- the lock --- */

static void
enter (SimTable *table)
{
  __atomic_fetch_add (&table->seq, 1, __ATOMIC_SEQ_CST);
}

static void
leave (SimTable *table)
{
  __atomic_fetch_add (&table->seq, 1, __ATOMIC_SEQ_CST);
}

static void
note_existence (SimTable *table, uint32_t domid)
{
  if (table->domains[domid].state != 0)
    sim_set_bit (table->exists, domid);
  else
    sim_clear_bit (table->exists, domid);
}

SimDomain *
sim_begin_change (XdsSimWorld *world, uint32_t domid)
{
  SimTable *table = world->table;

  table->undo.domid = domid;
  table->undo.before = table->domains[domid];
  __atomic_store_n (&table->undo.valid, 1, __ATOMIC_SEQ_CST);
  enter (table);
  return &table->domains[domid];
}

void
sim_end_change (XdsSimWorld *world, uint32_t domid)
{
  SimTable *table = world->table;

  note_existence (table, domid);
  sim_set_bit (table->changed, domid);
  /* Before readers may see it: what was seen once is never undone. */
  __atomic_store_n (&table->undo.valid, 0, __ATOMIC_SEQ_CST);
  leave (table);
}

/* Removes all domains.  May be begun again from the start at any point of it. */
static void
remove_all (SimTable *table)
{
  table->resetting = 1;
  enter (table);
  memset (table->domains, 0, sizeof table->domains);
  memset (table->exists, 0, sizeof table->exists);
  memset (table->changed, 0xff, sizeof table->changed);
  memset (table->server_port, 0, sizeof table->server_port);
  leave (table);
  table->resetting = 0;
}

/* The lock's last holder died: undoes what it had begun. */
static void
recover (SimTable *table)
{
  uint32_t domid = table->undo.domid;

  if (table->undo.valid && domid < SIM_DOMIDS)
    {
      table->domains[domid] = table->undo.before;
      note_existence (table, domid);
      sim_set_bit (table->changed, domid);
    }
  table->undo.valid = 0;
  if (table->seq % 2 != 0)
    leave (table);
  if (table->resetting)
    remove_all (table);
}

int
sim_lock (XdsSimWorld *world)
{
  SimTable *table = world->table;
  struct timespec until;
  int res;

  clock_gettime (CLOCK_REALTIME, &until);
  until.tv_sec += LOCK_SECONDS;
  res = pthread_mutex_timedlock (&table->lock, &until);
  if (res == EOWNERDEAD)
    {
      recover (table);
      res = pthread_mutex_consistent (&table->lock);
    }
  return res == ETIMEDOUT ? -EAGAIN : -res;
}

void
sim_unlock (XdsSimWorld *world)
{
  pthread_mutex_unlock (&world->table->lock);
}

/* --- readers --- */

static void
fill_domain (const SimTable *table, uint32_t domid, XdsDomainV1 *ret_domain)
{
  const SimDomain *d = &table->domains[domid];

  *ret_domain = (XdsDomainV1){
    .domid = domid,
    .state = d->state,
    .caps = d->caps,
    .reason = d->reason,
    .unique_id = d->unique_id,
  };
  memcpy (ret_domain->uuid, d->uuid, sizeof d->uuid);
}

static size_t
fill_domains (const SimTable *table, XdsDomainV1 *ret_domains, size_t max)
{
  size_t n = 0;
  uint32_t w;
  uint64_t bits;

  for (w = 0; w < SIM_DOMIDS / 64; w++)
    for (bits = __atomic_load_n (&table->exists[w], __ATOMIC_ACQUIRE); bits != 0; bits &= bits - 1)
      {
        if (n < max)
          fill_domain (table, w * 64 + (uint32_t) __builtin_ctzll (bits), &ret_domains[n]);
        n++;
      }
  return n;
}

static bool
read_undisturbed (const SimTable *table, XdsDomainV1 *ret_domains, size_t max, size_t *ret_n)
{
  uint32_t before = __atomic_load_n (&table->seq, __ATOMIC_ACQUIRE);
  size_t n;

  if (before % 2 != 0)
    return false;
  n = fill_domains (table, ret_domains, max);
  __atomic_thread_fence (__ATOMIC_ACQUIRE);
  if (__atomic_load_n (&table->seq, __ATOMIC_RELAXED) != before)
    return false;
  *ret_n = n;
  return true;
}

int
xds_sim_world_domains (XdsSimWorld *world, XdsDomainV1 *ret_domains, size_t max, size_t *ret_n)
{
  int i, res;

  for (i = 0; i < READ_TRIES; i++)
    if (read_undisturbed (world->table, ret_domains, max, ret_n))
      return 0;
  res = sim_lock (world);
  if (res < 0)
    return res;
  *ret_n = fill_domains (world->table, ret_domains, max);
  sim_unlock (world);
  return 0;
}

static int
copy_domain (XdsSimWorld *world, uint32_t domid, XdsDomainV1 *ret_domain)
{
  const SimTable *table = world->table;
  uint32_t before;
  int i, res;

  for (i = 0; i < READ_TRIES; i++)
    {
      before = __atomic_load_n (&table->seq, __ATOMIC_ACQUIRE);
      fill_domain (table, domid, ret_domain);
      __atomic_thread_fence (__ATOMIC_ACQUIRE);
      if (before % 2 == 0 && __atomic_load_n (&table->seq, __ATOMIC_RELAXED) == before)
        return 0;
    }
  res = sim_lock (world);
  if (res < 0)
    return res;
  fill_domain (table, domid, ret_domain);
  sim_unlock (world);
  return 0;
}

int
xds_sim_world_domain (XdsSimWorld *world, uint32_t domid, XdsDomainV1 *ret_domain)
{
  XdsDomainV1 domain;
  int res = domid > XDS_SIM_LAST_DOMID ? -ESRCH : copy_domain (world, domid, &domain);

  if (res < 0)
    return res;
  if (domain.state == 0)
    return -ESRCH;
  *ret_domain = domain;
  return 0;
}

int
xds_sim_world_poll_changed (XdsSimWorld *world, XdsDomainV1 *ret_domain)
{
  uint64_t *changed = world->table->changed;
  XdsDomainV1 domain;
  uint32_t w, domid;
  uint64_t bits;
  int res;

  for (w = 0; w <= XDS_SIM_LAST_DOMID / 64; w++)
    {
      bits = __atomic_load_n (&changed[w], __ATOMIC_SEQ_CST);
      if (bits == 0)
        continue;
      domid = w * 64 + (uint32_t) __builtin_ctzll (bits);
      /* First the bit, then the look: a change in between is told again. */
      sim_clear_bit (changed, domid);
      res = copy_domain (world, domid, &domain);
      if (res == 0)
        *ret_domain = domain;
      return res;
    }
  return -ENOENT;
}

/* --- writers --- */

/* An empty page at the domain's slot; for domain 0 the one that was there, emptied. */
static int
make_page (XdsSimWorld *world, uint64_t slot)
{
  off_t at = (off_t) slot * SIM_PAGE;
  struct stat st;

  if (fstat (world->rings, &st) < 0)
    return -errno;
  if (st.st_size < at + (off_t) SIM_PAGE)
    return ftruncate (world->rings, at + SIM_PAGE) < 0 ? -errno : 0;
  return fallocate (world->rings, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, SIM_PAGE) < 0
             ? -errno
             : 0;
}

/* Slot 0 is domain 0's: it is where /proc/xen/xsd_kva would be. */
static int
create_locked (XdsSimWorld *world, uint32_t domid, const uint8_t uuid[16])
{
  SimTable *table = world->table;
  uint64_t unique = table->next_unique;
  SimDomain *d;
  int res;

  if (table->domains[domid].state != 0)
    return -EEXIST;
  table->next_unique++;
  res = make_page (world, domid == 0 ? 0 : unique);
  if (res < 0)
    return res;
  sim_forget_channels (world, domid);
  d = sim_begin_change (world, domid);
  *d = (SimDomain){
    .state = XDS_DOMAIN_EXISTS,
    .caps = domid == 0 ? DOM0_CAPS : 0,
    .slot = domid == 0 ? 0 : unique,
    .unique_id = unique,
  };
  memcpy (d->uuid, uuid, sizeof d->uuid);
  sim_end_change (world, domid);
  return 0;
}

static int
random_uuid (uint8_t *uuid)
{
  if (getrandom (uuid, 16, 0) != 16)
    return -EIO;
  uuid[6] = (uuid[6] & 0x0f) | 0x40;
  uuid[8] = (uuid[8] & 0x3f) | 0x80;
  return 0;
}

int
xds_sim_world_create_domain (XdsSimWorld *world, uint32_t domid, const uint8_t *uuid)
{
  uint8_t bytes[16];
  int res;

  if (domid > XDS_SIM_LAST_DOMID)
    return -EINVAL;
  if (uuid != NULL)
    memcpy (bytes, uuid, sizeof bytes);
  else if ((res = random_uuid (bytes)) < 0)
    return res;
  res = sim_lock (world);
  if (res < 0)
    return res;
  res = create_locked (world, domid, bytes);
  sim_unlock (world);
  if (res == 0)
    sim_raise_exception (world);
  return res;
}

static int
change_locked (XdsSimWorld *world, uint32_t domid, uint32_t set, uint32_t clear, uint32_t reason)
{
  SimDomain *d;

  if (world->table->domains[domid].state == 0)
    return -ESRCH;
  d = sim_begin_change (world, domid);
  d->state = (d->state & ~(clear & KEPT_STATES)) | (set & KEPT_STATES);
  if (set & XDS_DOMAIN_SHUTDOWN)
    d->reason = reason;
  if (!(d->state & XDS_DOMAIN_SHUTDOWN))
    d->reason = 0;
  sim_end_change (world, domid);
  return 0;
}

int
xds_sim_world_change_domain (XdsSimWorld *world, uint32_t domid, uint32_t set, uint32_t clear,
                             uint32_t reason)
{
  int res = domid > XDS_SIM_LAST_DOMID ? -ESRCH : sim_lock (world);

  if (res < 0)
    return res;
  res = change_locked (world, domid, set, clear, reason);
  sim_unlock (world);
  if (res == 0 && ((set | clear) & ~(uint32_t) XDS_DOMAIN_PAUSED) != 0)
    sim_raise_exception (world);
  return res;
}

static int
destroy_locked (XdsSimWorld *world, uint32_t domid)
{
  uint64_t slot = world->table->domains[domid].slot;

  if (world->table->domains[domid].state == 0)
    return -ESRCH;
  *sim_begin_change (world, domid) = (SimDomain){ 0 };
  sim_end_change (world, domid);
  /* Whoever maps the page still sees zeros; a failure costs a page of disk, nothing else. */
  make_page (world, slot);
  return 0;
}

int
xds_sim_world_destroy_domain (XdsSimWorld *world, uint32_t domid)
{
  int res = domid > XDS_SIM_LAST_DOMID ? -ESRCH : sim_lock (world);

  if (res < 0)
    return res;
  res = destroy_locked (world, domid);
  sim_unlock (world);
  if (res == 0)
    sim_raise_exception (world);
  return res;
}

static int
reset (XdsSimWorld *world)
{
  uint8_t no_uuid[16] = { 0 };
  int res = sim_lock (world);

  if (res < 0)
    return res;
  remove_all (world->table);
  res = create_locked (world, 0, no_uuid);
  sim_unlock (world);
  sim_raise_exception (world);
  return res;
}

int
xds_sim_world_init (const char *dir)
{
  XdsSimWorld *world;
  int res;

  if (mkdir (dir, 0700) < 0 && errno != EEXIST)
    return -errno;
  res = xds_sim_world_open (dir, &world);
  if (res == -ENOENT || res == -EPROTO)
    {
      res = make_table (dir);
      if (res == 0)
        res = xds_sim_world_open (dir, &world);
    }
  if (res < 0)
    return res;
  res = reset (world);
  xds_sim_world_free (world);
  return res;
}

/* --- rings --- */

int
xds_sim_world_map_ring (XdsSimWorld *world, uint32_t domid, void **ret_page)
{
  XdsDomainV1 domain;
  void *page;
  int res = xds_sim_world_domain (world, domid, &domain);

  if (res < 0)
    return res;
  page = mmap (NULL, SIM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, world->rings,
               (off_t) (domid == 0 ? 0 : domain.unique_id) * SIM_PAGE);
  if (page == MAP_FAILED)
    return -errno;
  *ret_page = page;
  return 0;
}

void
xds_sim_world_unmap_ring (void *page)
{
  if (page != NULL)
    munmap (page, SIM_PAGE);
}
