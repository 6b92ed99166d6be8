/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The plugin over a simulated world (sim-world.h).  Its argument is the folder, perhaps with
 * ",compare" behind it: then there is no list of changed domains, as on a Xen before 4.21, and
 * the daemon has to compare snapshots.  With ",look" behind it the domains can be seen while a
 * daemon serves the world, but nothing can be served.
 */

#include "xsd/hypervisor/sim-world.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMPARE ",compare"
#define LOOK ",look"

typedef struct
{
  XdsSimWorld *world;
  bool compare;
} Sim;

static const char *
reason (int err)
{
  switch (-err)
    {
    case ENOENT:
      return "there is none: make it by \"xds sim -w FOLDER init\"";
    case EPROTO:
      return "another version made it: make it anew by \"xds sim -w FOLDER init\"";
    case EBUSY:
      return "another xenstore server serves it: stop that one first, or use another folder";
    default:
      return strerror (-err);
    }
}

static int
sim_open_world (const XdsHypervisorHostV1 *host, const char *dir, bool serve,
                XdsSimWorld **ret_world)
{
  XdsSimWorld *world = NULL;
  char text[512];
  int res = xds_sim_world_open (dir, &world);

  if (res == 0 && serve)
    res = xds_sim_world_serve (world);
  if (res < 0)
    {
      xds_sim_world_free (world);
      snprintf (text, sizeof text, "cannot serve the simulated world in %s: %s", dir, reason (res));
      if (host != NULL && host->explain != NULL)
        host->explain (host->data, text);
      return res;
    }
  *ret_world = world;
  return 0;
}

/* Takes @tail off @dir; was it there? */
static bool
take_tail (char *dir, const char *tail)
{
  size_t len = strlen (dir), n = strlen (tail);

  if (len <= n || strcmp (dir + len - n, tail) != 0)
    return false;
  dir[len - n] = '\0';
  return true;
}

static int
sim_open (const XdsHypervisorHostV1 *host, const char *args, void **ret_self)
{
  const char *from = args != NULL && *args != '\0' ? args : XDS_SIM_WORLD_DEFAULT;
  Sim *sim = calloc (1, sizeof *sim);
  char *dir = strdup (from);
  int res = sim == NULL || dir == NULL ? -ENOMEM : 0;

  if (res == 0)
    {
      bool look = take_tail (dir, LOOK);

      sim->compare = take_tail (dir, COMPARE);
      res = sim_open_world (host, dir, !look, &sim->world);
    }
  free (dir);
  if (res < 0)
    free (sim);
  else
    *ret_self = sim;
  return res;
}

static void
sim_close (void *self)
{
  Sim *sim = self;

  if (sim != NULL)
    xds_sim_world_free (sim->world);
  free (sim);
}

static int
sim_domains (void *self, XdsDomainV1 *ret_domains, size_t max, size_t *ret_n)
{
  return xds_sim_world_domains (((Sim *) self)->world, ret_domains, max, ret_n);
}

static int
sim_domain (void *self, uint32_t domid, XdsDomainV1 *ret_domain)
{
  return xds_sim_world_domain (((Sim *) self)->world, domid, ret_domain);
}

static int
sim_poll_changed (void *self, XdsDomainV1 *ret_domain)
{
  Sim *sim = self;

  return sim->compare ? -ENOSYS : xds_sim_world_poll_changed (sim->world, ret_domain);
}

static int
sim_map_ring (void *self, uint32_t domid, void **ret_page)
{
  return xds_sim_world_map_ring (((Sim *) self)->world, domid, ret_page);
}

static void
sim_unmap_ring (void *self, uint32_t domid, void *page)
{
  (void) self;
  (void) domid;
  xds_sim_world_unmap_ring (page);
}

static int
sim_own_ring (void *self, uint32_t *ret_domid, uint32_t *ret_port)
{
  XdsDomainV1 domain;

  if (xds_sim_world_domain (((Sim *) self)->world, 0, &domain) < 0)
    return -ENOENT;
  *ret_domid = 0;
  *ret_port = XDS_SIM_GUEST_PORT;
  return 0;
}

static int
sim_bind_port (void *self, uint32_t domid, uint32_t remote_port, uint32_t *ret_port)
{
  return xds_sim_world_bind (((Sim *) self)->world, domid, remote_port, ret_port);
}

static int
sim_bind_domain_exception (void *self, uint32_t *ret_port)
{
  return xds_sim_world_bind_exception (((Sim *) self)->world, ret_port);
}

static void
sim_unbind_port (void *self, uint32_t port)
{
  xds_sim_world_unbind (((Sim *) self)->world, port);
}

static int
sim_notify (void *self, uint32_t port)
{
  return xds_sim_world_notify (((Sim *) self)->world, port);
}

static int
sim_event_fd (void *self)
{
  return xds_sim_world_fd (((Sim *) self)->world);
}

static int
sim_take_pending (void *self, uint32_t *ret_ports, size_t max)
{
  return xds_sim_world_take (((Sim *) self)->world, ret_ports, max);
}

static int
sim_unmask (void *self, const uint32_t *ports, size_t n)
{
  return xds_sim_world_unmask (((Sim *) self)->world, ports, n);
}

/* The box of the server is emptied by whoever takes it next. */
static int
sim_leave_channels (void *self)
{
  (void) self;
  return -ENOSYS;
}

/* Only those would need it that can be left. */
static int
sim_remote_port (void *self, uint32_t port, uint32_t *ret_remote)
{
  (void) self;
  (void) port;
  (void) ret_remote;
  return -ENOSYS;
}

const XdsHypervisorV1 xds_hypervisor_v1 = {
  .abi = XDS_HYPERVISOR_ABI_V1,
  .size = sizeof (XdsHypervisorV1),
  .name = "sim",
  .open = sim_open,
  .close = sim_close,
  .domains = sim_domains,
  .domain = sim_domain,
  .poll_changed = sim_poll_changed,
  .map_ring = sim_map_ring,
  .unmap_ring = sim_unmap_ring,
  .own_ring = sim_own_ring,
  .bind_port = sim_bind_port,
  .bind_domain_exception = sim_bind_domain_exception,
  .unbind_port = sim_unbind_port,
  .notify = sim_notify,
  .event_fd = sim_event_fd,
  .take_pending = sim_take_pending,
  .unmask = sim_unmask,
  .leave_channels = sim_leave_channels,
  .remote_port = sim_remote_port,
};
