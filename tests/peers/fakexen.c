/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The pretend hypervisor of fakexen.h.  Nothing locks: one process makes and ends domains, one
 * serves, and single words in the table change hands.  An event goes into a fifo as its number,
 * as in the driver of the Linux kernel, so that a server may read the descriptor itself.
 */

#include "tests/peers/fakexen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * The preload library wraps open() for its server, so this file goes to the
 * kernel directly.
 */
static int
raw_open (const char *path, int flags, int mode)
{
  return (int) syscall (SYS_openat, AT_FDCWD, path, flags, mode);
}

static void
path_of (const struct fx *fx, char *buf, size_t size, const char *leaf)
{
  snprintf (buf, size, "%s/%s", fx->dir, leaf);
}

static int
fifo_open (const struct fx *fx, const char *leaf)
{
  char path[256];
  int fd;

  path_of (fx, path, sizeof (path), leaf);
  if (mkfifo (path, 0600) && errno != EEXIST)
    return -1;
  /* Read and write, so that neither end waits for the other. */
  fd = raw_open (path, O_RDWR | O_NONBLOCK | O_CLOEXEC, 0);
  if (fd >= 0)
    fcntl (fd, F_SETPIPE_SZ, 1 << 18);
  return fd;
}

int
fx_open (struct fx *fx, const char *dir)
{
  char path[256];
  unsigned int i;
  int fd;

  memset (fx, 0, sizeof (*fx));
  if (strlen (dir) >= sizeof (fx->dir))
    {
      errno = ENAMETOOLONG;
      return -1;
    }
  strcpy (fx->dir, dir);
  for (i = 0; i < FX_HUBS; i++)
    fx->hub[i] = -1;
  if (mkdir (dir, 0700) && errno != EEXIST)
    return -1;

  path_of (fx, path, sizeof (path), "rings");
  fx->rings = raw_open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fx->rings < 0)
    return -1;
  if (ftruncate (fx->rings, (off_t) FX_DOMS * 4096))
    return -1;
  fx->evtchn = fifo_open (fx, "evtchn");
  if (fx->evtchn < 0)
    return -1;

  path_of (fx, path, sizeof (path), "state");
  fd = raw_open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0)
    return -1;
  if (ftruncate (fd, sizeof (struct fx_state)))
    {
      close (fd);
      return -1;
    }
  fx->st = mmap (NULL, sizeof (struct fx_state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close (fd);
  if (fx->st == MAP_FAILED)
    return -1;

  if (fx->st->magic != FX_MAGIC)
    {
      path_of (fx, path, sizeof (path), "xsd_port");
      fd = raw_open (path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
      if (fd >= 0)
        {
          if (write (fd, "1", 1) != 1)
            errno = EIO;
          close (fd);
        }
      fx_reset (fx);
      fx->st->size = sizeof (struct fx_state);
      fx->st->magic = FX_MAGIC;
    }
  else if (fx->st->size != sizeof (struct fx_state))
    {
      errno = EPROTO;
      return -1;
    }
  return 0;
}

void
fx_close (struct fx *fx)
{
  unsigned int i;

  munmap (fx->st, sizeof (struct fx_state));
  close (fx->rings);
  close (fx->evtchn);
  for (i = 0; i < FX_HUBS; i++)
    if (fx->hub[i] >= 0)
      close (fx->hub[i]);
}

void
fx_reset (struct fx *fx)
{
  struct fx_state *st = fx->st;
  char buf[4096];

  memset (st->dom, 0, sizeof (st->dom));
  memset (st->port, 0, sizeof (st->port));
  memset (st->exist, 0, sizeof (st->exist));
  memset (st->changed, 0, sizeof (st->changed));
  memset (st->used, 0, sizeof (st->used));
  memset (st->count, 0, sizeof (st->count));
  st->used[0] = 1; /* there is no port 0 */
  st->virq_port = 0;
  st->next_unique = 1;
  while (read (fx->evtchn, buf, sizeof (buf)) > 0)
    ;
  /* Dropping the pages' content, keeping the size. */
  if (ftruncate (fx->rings, 0) || ftruncate (fx->rings, (off_t) FX_DOMS * 4096))
    perror ("rings");
  fx_dom_create (fx, 0, 0);
}

XdsRingPage *
fx_map (struct fx *fx, uint32_t domid)
{
  void *p;

  if (domid > FX_LAST_DOM)
    {
      errno = EINVAL;
      return NULL;
    }
  p = mmap (NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fx->rings, (off_t) domid * 4096);
  return p == MAP_FAILED ? NULL : p;
}

int
fx_next_dom (struct fx *fx, uint32_t domid)
{
  uint64_t v;

  while (domid <= FX_LAST_DOM)
    {
      v = atomic_load (&fx->st->exist[domid / 64]) >> domid % 64;
      if (v)
        return (int) domid + __builtin_ctzll (v);
      domid = (domid / 64 + 1) * 64;
    }
  return -1;
}

static void
mark_changed (struct fx_state *st, uint32_t domid)
{
  atomic_fetch_or (&st->changed[domid / 64], 1ull << (domid % 64));
}

int
fx_next_changed (struct fx *fx)
{
  struct fx_state *st = fx->st;
  unsigned int i;

  for (i = 0; i < FX_DOMS / 64; i++)
    {
      uint64_t v = atomic_load (&st->changed[i]);

      if (v)
        {
          unsigned int bit = (unsigned int) __builtin_ctzll (v);

          atomic_fetch_and (&st->changed[i], ~(1ull << bit));
          return (int) (i * 64 + bit);
        }
    }
  return -1;
}

void
fx_dom_create (struct fx *fx, uint32_t domid, uint32_t hub)
{
  struct fx_dom *d = &fx->st->dom[domid];
  XdsRingPage *r = fx_map (fx, domid);

  if (r)
    {
      memset (r, 0, 4096);
      munmap (r, 4096);
    }
  d->reason = 0;
  d->lport = 0;
  d->hub = hub;
  d->pending = d->masked = 0;
  if (domid && getrandom (d->uuid, sizeof d->uuid, 0) != sizeof d->uuid)
    d->uuid[0] = domid;
  d->unique = atomic_fetch_add (&fx->st->next_unique, 1);
  d->flags = FX_EXIST;
  atomic_fetch_or (&fx->st->exist[domid / 64], 1ull << domid % 64);
  mark_changed (fx->st, domid);
}

void
fx_dom_flags (struct fx *fx, uint32_t domid, uint32_t set)
{
  atomic_fetch_or (&fx->st->dom[domid].flags, set);
  mark_changed (fx->st, domid);
}

void
fx_dom_destroy (struct fx *fx, uint32_t domid)
{
  atomic_fetch_and (&fx->st->exist[domid / 64], ~(1ull << domid % 64));
  fx->st->dom[domid].flags = 0;
  fx->st->dom[domid].unique = 0;
  mark_changed (fx->st, domid);
}

/*
 * Event channels.  As with the real driver, an event that is handed over
 * masks its port until the receiver unmasks it; what arrives meanwhile is
 * remembered as one pending bit.
 */
static void
send4 (struct fx *fx, int fd, uint32_t v)
{
  atomic_fetch_add_explicit (&fx->st->count[FX_N_WAKE], 1, memory_order_relaxed);
  if (syscall (SYS_write, fd, &v, 4) != 4)
    fprintf (stderr, "fakexen: event lost: %s\n", strerror (errno));
}

static bool
take (_Atomic uint32_t *pending, _Atomic uint32_t *masked)
{
  uint32_t zero = 0;

  if (!atomic_load (pending))
    return false;
  if (!atomic_compare_exchange_strong (masked, &zero, 1))
    return false;
  atomic_store (pending, 0);
  return true;
}

static void
raise_port (struct fx *fx, uint32_t port)
{
  struct fx_port *p = &fx->st->port[port];

  atomic_store (&p->pending, 1);
  if (take (&p->pending, &p->masked))
    send4 (fx, fx->evtchn, port);
}

/* The lowest free port, which is the one Xen gives too. */
static int
new_port (struct fx *fx, uint32_t kind, uint32_t domid)
{
  struct fx_state *st = fx->st;
  uint32_t i, port;
  uint64_t v;

  for (i = 0; i < FX_PORTS / 64; i++)
    {
      v = ~atomic_load (&st->used[i]);
      if (!v)
        continue;
      port = i * 64 + (uint32_t) __builtin_ctzll (v);
      atomic_fetch_or (&st->used[i], 1ull << port % 64);
      st->port[port].domid = domid;
      st->port[port].pending = 0;
      st->port[port].masked = 0;
      st->port[port].kind = kind;
      return (int) port;
    }
  errno = ENOSPC;
  return -1;
}

int
fx_bind_dom (struct fx *fx, uint32_t domid)
{
  int port;

  if (domid > FX_LAST_DOM || !(fx->st->dom[domid].flags & FX_EXIST))
    {
      errno = ESRCH;
      return -1;
    }
  port = new_port (fx, FX_PORT_DOM, domid);
  if (port > 0)
    {
      fx->st->dom[domid].lport = (uint32_t) port;
      /* Xen does so too: a signal may have come before the bind. */
      raise_port (fx, (uint32_t) port);
    }
  return port;
}

int
fx_bind_virq (struct fx *fx)
{
  int port = new_port (fx, FX_PORT_VIRQ, 0);
  uint32_t i;

  if (port > 0)
    {
      fx->st->virq_port = (uint32_t) port;
      for (i = 0; i <= FX_LAST_DOM; i++)
        if (fx->st->dom[i].flags & FX_EXIST)
          mark_changed (fx->st, i);
    }
  return port;
}

void
fx_unbind (struct fx *fx, uint32_t port)
{
  struct fx_port *p = &fx->st->port[port % FX_PORTS];
  uint32_t lport = port;

  if (p->kind == FX_PORT_DOM)
    atomic_compare_exchange_strong (&fx->st->dom[p->domid].lport, &lport, 0);
  else if (p->kind == FX_PORT_VIRQ)
    fx->st->virq_port = 0;
  else
    return;
  p->kind = 0;
  atomic_fetch_and (&fx->st->used[port % FX_PORTS / 64], ~(1ull << port % 64));
}

void
fx_unmask (struct fx *fx, uint32_t port)
{
  struct fx_port *p = &fx->st->port[port % FX_PORTS];

  atomic_store (&p->masked, 0);
  if (take (&p->pending, &p->masked))
    send4 (fx, fx->evtchn, port);
}

static int
hub_fd (struct fx *fx, uint32_t hub)
{
  char leaf[16];

  if (!hub || hub >= FX_HUBS)
    return -1;
  if (fx->hub[hub] < 0)
    {
      snprintf (leaf, sizeof (leaf), "hub-%u", hub);
      fx->hub[hub] = fifo_open (fx, leaf);
    }
  return fx->hub[hub];
}

int
fx_hub_open (struct fx *fx, uint32_t hub)
{
  int fd = hub_fd (fx, hub);
  char buf[4096];

  while (fd >= 0 && read (fd, buf, sizeof (buf)) > 0)
    ;
  return fd;
}

static void
wake_guest (struct fx *fx, uint32_t domid)
{
  struct fx_dom *d = &fx->st->dom[domid];
  int fd = hub_fd (fx, d->hub);

  if (fd >= 0 && take (&d->pending, &d->masked))
    send4 (fx, fd, domid);
}

void
fx_notify_guest (struct fx *fx, uint32_t port)
{
  struct fx_port *p = &fx->st->port[port % FX_PORTS];

  if (p->kind != FX_PORT_DOM)
    return;
  atomic_store (&fx->st->dom[p->domid].pending, 1);
  wake_guest (fx, p->domid);
}

void
fx_guest_unmask (struct fx *fx, uint32_t domid)
{
  atomic_store (&fx->st->dom[domid].masked, 0);
  wake_guest (fx, domid);
}

void
fx_notify_server (struct fx *fx, uint32_t domid)
{
  uint32_t port = fx->st->dom[domid].lport;

  atomic_fetch_add_explicit (&fx->st->count[FX_N_KICK], 1, memory_order_relaxed);
  if (port)
    raise_port (fx, port);
}

void
fx_virq (struct fx *fx)
{
  uint32_t port = fx->st->virq_port;

  if (port)
    raise_port (fx, port);
}
