/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Event channels of the simulated world.
 *
 * Pending bits live in the shared table, as between Xen and a kernel; a fifo only says that it is
 * worth looking.  So any number of pending ports costs the receiver one read, a signal that finds
 * its bit set costs nothing, and no queue can overflow.
 *
 * Who wakes the receiver: it arms its box with the number of the round before it looks at the
 * bits.  A sender sets its bit, and if the box is armed writes one byte and disarms that round.
 * In the one order of all these steps either the receiver sees the bit or the sender sees the box
 * armed.  The byte goes before the disarming: a sender that is killed in between leaves a wake-up
 * too many, never a receiver that nobody wakes.
 *
 * Not taken: a fifo of port numbers, as the driver of the Linux kernel has.  It needs a system
 * call for each event and can fill up.
 */

#include "xsd/hypervisor/sim-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define BOX_SERVER 0

static uint32_t
load (const uint32_t *word)
{
  return __atomic_load_n (word, __ATOMIC_SEQ_CST);
}

static void
store (uint32_t *word, uint32_t value)
{
  __atomic_store_n (word, value, __ATOMIC_SEQ_CST);
}

/* The fifo of box @n; opened for both directions so that neither end waits for the other. */
static int
open_fifo (XdsSimWorld *world, uint32_t n)
{
  char path[512];
  int fd;

  if (n == BOX_SERVER)
    snprintf (path, sizeof path, "%s/server", world->dir);
  else
    snprintf (path, sizeof path, "%s/hub-%u", world->dir, n);
  if (mkfifo (path, 0600) < 0 && errno != EEXIST)
    return -errno;
  fd = open (path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

static int
box_fd (XdsSimWorld *world, uint32_t n)
{
  if (world->fds[n] < 0)
    world->fds[n] = open_fifo (world, n);
  return world->fds[n];
}

static void
wake (XdsSimWorld *world, uint32_t n)
{
  SimBox *box = &world->table->boxes[n];
  uint32_t round = load (&box->armed);
  int fd;

  if (round == 0)
    return;
  fd = box_fd (world, n);
  /* A full fifo is as good: it is readable. */
  if (fd < 0 || (write (fd, "", 1) < 0 && errno != EAGAIN))
    return;
  __atomic_compare_exchange_n (&box->armed, &round, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* Tells the receiver that word @id / 64 is worth a look, unless the bit is masked. */
static bool
select_bit (SimBox *box, uint32_t id)
{
  if (sim_test_bit (box->masked, id))
    return false;
  sim_set_bit (box->selector, id / 64);
  return true;
}

/* All steps are taken even if the bit was set: whoever set it may have died before the next one. */
static void
raise_bit (XdsSimWorld *world, uint32_t n, uint32_t id)
{
  SimBox *box = &world->table->boxes[n];

  sim_set_bit (box->pending, id);
  if (select_bit (box, id))
    wake (world, n);
}

/*
 * Takes bits of word @w, at most @max.  For the server, who has @used, they are masked, and those
 * of ports that are not bound are not told: a guest may signal a port that closes this moment.
 */
static size_t
take_word (SimBox *box, const uint64_t *used, uint32_t w, uint32_t *ret_ids, size_t max)
{
  uint64_t ready = __atomic_load_n (&box->pending[w], __ATOMIC_SEQ_CST)
                   & ~__atomic_load_n (&box->masked[w], __ATOMIC_SEQ_CST)
                   & (used != NULL ? used[w] : UINT64_MAX);
  uint64_t taken = 0;
  size_t n = 0;

  for (; ready != 0 && n < max; ready &= ready - 1)
    {
      taken |= ready & -ready;
      ret_ids[n++] = w * 64 + (uint32_t) __builtin_ctzll (ready);
    }
  if (used != NULL)
    __atomic_fetch_or (&box->masked[w], taken, __ATOMIC_SEQ_CST);
  __atomic_fetch_and (&box->pending[w], ~taken, __ATOMIC_SEQ_CST);
  if (ready != 0)
    sim_set_bit (box->selector, w);
  return n;
}

static size_t
take_selected (SimBox *box, const uint64_t *used, uint32_t s, uint32_t *ret_ids, size_t max)
{
  uint64_t words = __atomic_exchange_n (&box->selector[s], 0, __ATOMIC_SEQ_CST);
  size_t n = 0;

  for (; words != 0 && n < max; words &= words - 1)
    n += take_word (box, used, s * 64 + (uint32_t) __builtin_ctzll (words), ret_ids + n, max - n);
  __atomic_fetch_or (&box->selector[s], words, __ATOMIC_SEQ_CST);
  return n;
}

int
xds_sim_world_take (XdsSimWorld *world, uint32_t *ret_ids, size_t max)
{
  const uint64_t *used = world->role == BOX_SERVER ? world->table->used : NULL;
  SimBox *box;
  char bytes[64];
  size_t n = 0;
  uint32_t s;

  if (world->role < 0)
    return -EINVAL;
  box = &world->table->boxes[world->role];
  if (read (world->fds[world->role], bytes, sizeof bytes) < 0 && errno != EAGAIN)
    return -errno;
  box->round = box->round + 1 != 0 ? box->round + 1 : 1;
  store (&box->armed, box->round);
  for (s = 0; s < SIM_PORTS / 64 / 64; s++)
    n += take_selected (box, used, s, ret_ids + n, max - n);
  /* What did not fit keeps the descriptor readable. */
  for (s = 0; s < SIM_PORTS / 64 / 64; s++)
    if (__atomic_load_n (&box->selector[s], __ATOMIC_SEQ_CST) != 0)
      wake (world, world->role);
  return (int) n;
}

int
xds_sim_world_fd (XdsSimWorld *world)
{
  return world->role < 0 ? -EINVAL : world->fds[world->role];
}

/* Makes the box ours for as long as our descriptor is open: death gives it back. */
static int
take_role (XdsSimWorld *world, uint32_t n)
{
  SimBox *box = &world->table->boxes[n];
  int fd = box_fd (world, n);

  if (fd < 0)
    return fd;
  if (flock (fd, LOCK_EX | LOCK_NB) < 0)
    return errno == EWOULDBLOCK ? -EBUSY : -errno;
  memset (box->selector, 0, sizeof box->selector);
  memset (box->pending, 0, sizeof box->pending);
  memset (box->masked, 0, sizeof box->masked);
  world->role = (int) n;
  /* Round numbers go on: a sender of the last holder's time may still be about to disarm. */
  return xds_sim_world_take (world, &(uint32_t){ 0 }, 0);
}

int
xds_sim_world_serve (XdsSimWorld *world)
{
  SimTable *table = world->table;
  int res = world->role >= 0 ? -EINVAL : take_role (world, BOX_SERVER);

  if (res < 0)
    return res;
  memset (table->server_port, 0, sizeof table->server_port);
  memset (table->used, 0, sizeof table->used);
  memset (table->ports, 0, sizeof table->ports);
  table->exception_port = 0;
  table->used[0] = 1; /* there is no port 0 */
  return 0;
}

/* Nobody gets the events that box @n got. */
static void
empty_hub (SimTable *table, uint32_t n)
{
  uint32_t domid;

  for (domid = 0; domid < SIM_DOMIDS; domid++)
    {
      uint32_t expected = n;

      __atomic_compare_exchange_n (&table->hub[domid], &expected, 0, false, __ATOMIC_SEQ_CST,
                                   __ATOMIC_SEQ_CST);
    }
}

int
xds_sim_world_play (XdsSimWorld *world)
{
  uint32_t n;
  int res;

  if (world->role >= 0)
    return -EINVAL;
  for (n = 1; n < SIM_HUBS; n++)
    {
      res = take_role (world, n);
      if (res == -EBUSY)
        continue;
      if (res == 0)
        empty_hub (world->table, n);
      return res;
    }
  return -EBUSY;
}

void
sim_forget_channels (XdsSimWorld *world, uint32_t domid)
{
  store (&world->table->server_port[domid], 0);
  store (&world->table->hub[domid], 0);
}

/* The lowest port that is free, which is what Xen gives too. */
static int
new_port (SimTable *table, SimPort port, uint32_t *ret_port)
{
  SimBox *box = &table->boxes[BOX_SERVER];
  uint32_t w, n;

  for (w = 0; w < SIM_PORTS / 64; w++)
    if (~table->used[w] != 0)
      {
        n = w * 64 + (uint32_t) __builtin_ctzll (~table->used[w]);
        sim_clear_bit (box->pending, n);
        sim_clear_bit (box->masked, n);
        sim_set_bit (table->used, n);
        table->ports[n] = port;
        *ret_port = n;
        return 0;
      }
  return -ENOSPC;
}

int
xds_sim_world_bind (XdsSimWorld *world, uint32_t domid, uint32_t remote, uint32_t *ret_port)
{
  SimTable *table = world->table;
  XdsDomainV1 domain;
  SimPort *old;
  uint32_t port;
  int res = xds_sim_world_domain (world, domid, &domain);

  if (res < 0)
    return res;
  old = &table->ports[table->server_port[domid]];
  if (world->role != BOX_SERVER || remote == 0 || remote >= SIM_PORTS
      || (old->kind == SIM_PORT_DOMAIN && old->unique_id == domain.unique_id
          && old->remote == remote))
    return -EINVAL;
  res = new_port (table,
                  (SimPort){ .kind = SIM_PORT_DOMAIN,
                             .domid = domid,
                             .remote = remote,
                             .unique_id = domain.unique_id },
                  &port);
  if (res < 0)
    return res;
  store (&table->server_port[domid], port);
  /* Xen does so too: the other side may have signalled before there was a port. */
  raise_bit (world, BOX_SERVER, port);
  *ret_port = port;
  return 0;
}

int
xds_sim_world_bind_exception (XdsSimWorld *world, uint32_t *ret_port)
{
  SimTable *table = world->table;
  uint32_t port, w;
  int res;

  if (world->role != BOX_SERVER)
    return -EINVAL;
  if (table->exception_port != 0)
    return -EEXIST;
  res = new_port (table, (SimPort){ .kind = SIM_PORT_EXCEPTION }, &port);
  if (res < 0)
    return res;
  /* Whoever begins to listen is told all that there is. */
  for (w = 0; w < SIM_DOMIDS / 64; w++)
    __atomic_fetch_or (&table->changed[w], __atomic_load_n (&table->exists[w], __ATOMIC_SEQ_CST),
                       __ATOMIC_SEQ_CST);
  store (&table->exception_port, port);
  *ret_port = port;
  return 0;
}

static SimPort *
bound_port (XdsSimWorld *world, uint32_t port)
{
  SimPort *p = &world->table->ports[port % SIM_PORTS];

  return world->role == BOX_SERVER && port < SIM_PORTS && p->kind != SIM_PORT_FREE ? p : NULL;
}

void
xds_sim_world_unbind (XdsSimWorld *world, uint32_t port)
{
  SimTable *table = world->table;
  SimPort *p = bound_port (world, port);
  uint32_t expected = port;

  if (p == NULL)
    return;
  if (p->kind == SIM_PORT_EXCEPTION)
    store (&table->exception_port, 0);
  else
    __atomic_compare_exchange_n (&table->server_port[p->domid], &expected, 0, false,
                                 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  p->kind = SIM_PORT_FREE;
  sim_clear_bit (table->used, port);
  sim_clear_bit (table->boxes[BOX_SERVER].pending, port);
}

int
xds_sim_world_notify (XdsSimWorld *world, uint32_t port)
{
  SimTable *table = world->table;
  SimPort *p = bound_port (world, port);
  uint32_t hub;

  if (p == NULL || p->kind != SIM_PORT_DOMAIN)
    return -EINVAL;
  hub = load (&table->hub[p->domid]);
  /* To a guest that is gone or that nobody plays it goes nowhere, as in Xen. */
  if (hub != 0 && hub < SIM_HUBS && table->domains[p->domid].unique_id == p->unique_id)
    raise_bit (world, hub, p->domid);
  return 0;
}

int
xds_sim_world_unmask (XdsSimWorld *world, const uint32_t *ports, size_t n)
{
  SimBox *box = &world->table->boxes[BOX_SERVER];
  bool again = false;
  size_t i;

  for (i = 0; i < n; i++)
    {
      /* As the kernel does: it was taken with others and unbound since. */
      if (bound_port (world, ports[i]) == NULL)
        continue;
      sim_clear_bit (box->masked, ports[i]);
      if (sim_test_bit (box->pending, ports[i]))
        again |= select_bit (box, ports[i]);
    }
  if (again)
    wake (world, BOX_SERVER);
  return 0;
}

int
xds_sim_world_attach (XdsSimWorld *world, uint32_t domid)
{
  XdsDomainV1 domain;
  int res = xds_sim_world_domain (world, domid, &domain);

  if (res < 0)
    return res;
  if (world->role <= BOX_SERVER)
    return -EINVAL;
  store (&world->table->hub[domid], (uint32_t) world->role);
  raise_bit (world, (uint32_t) world->role, domid);
  return 0;
}

void
xds_sim_world_signal (XdsSimWorld *world, uint32_t domid)
{
  uint32_t port = domid < SIM_DOMIDS ? load (&world->table->server_port[domid]) : 0;

  if (port != 0 && port < SIM_PORTS)
    raise_bit (world, BOX_SERVER, port);
}

void
sim_raise_exception (XdsSimWorld *world)
{
  uint32_t port = load (&world->table->exception_port);

  if (port != 0 && port < SIM_PORTS)
    raise_bit (world, BOX_SERVER, port);
}
