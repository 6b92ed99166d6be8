/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The plugin for a real Xen by libxenctrl, whose ABI changes with every release: one build of this
 * file serves one release of Xen.
 *
 * All domains come from one hypercall, which holds Xen's list of domains still: a loop of smaller
 * ones could miss a domain that dies and comes back between two of them.  Xen 4.17 refuses that
 * hypercall to a domain of its own that serves the store (--event); only there we walk from each
 * domain to the next, which finds every domain that is there all the while.
 *
 * Xen before 4.21 does not number incarnations.  The unique id is made of domid and handle: a
 * domain keeps it over a restart of the daemon, which a counter of ours would not give, and a new
 * domain in an old domid has another handle.  The two can only agree when a domain comes back with
 * the same uuid in the same domid, which toolstacks do not do to a domid that was in use lately.
 */

#include "config.h"

/* Before the others: it asks Xen's public headers for more than the stable libraries do. */
#include <xenctrl.h>

#include "xsd/hypervisor/xen-io.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* All of it is copied at each call.  A page of it is kept by libxenctrl for the next call, more is
   mapped and unmapped each time. */
#define FIRST_ROOM (4096 / sizeof (xc_domaininfo_t))
#define GROWTH 4      /* six steps to all the domains that there can be */
#define DOMAINS_MAX DOMID_FIRST_RESERVED

typedef struct
{
  XdsXenIo io;            /* must be first */
  xc_interface *xc;       /* (owned) */
  xc_domaininfo_t *infos; /* (owned) */
  size_t room;            /* of @infos */
  bool walk;              /* all domains at once are refused to us */
} Ctrl;

/* --- domains --- */

/* FNV-1a; what matters is that any other handle gives another number. */
static uint64_t
unique_id_of (uint32_t domid, const uint8_t *handle)
{
  uint64_t hash = 0xcbf29ce484222325u;
  size_t i;

  for (i = 0; i < sizeof (xen_domain_handle_t) + sizeof domid; i++)
    {
      hash ^= i < sizeof domid ? (uint8_t) (domid >> (8 * i)) : handle[i - sizeof domid];
      hash *= 0x100000001b3u;
    }
  return hash != 0 ? hash : 1;
}

static uint32_t
state_of (const xc_domaininfo_t *info)
{
  uint32_t state = XDS_DOMAIN_EXISTS;

  if (info->flags & XEN_DOMINF_paused)
    state |= XDS_DOMAIN_PAUSED;
  if (info->flags & XEN_DOMINF_shutdown)
    state |= XDS_DOMAIN_SHUTDOWN;
  /* Xen says so only once everything that the domain had was given back. */
  if (info->flags & XEN_DOMINF_dying)
    state |= XDS_DOMAIN_DYING | XDS_DOMAIN_DEAD;
  return state;
}

static XdsDomainV1
convert (const xc_domaininfo_t *info)
{
  XdsDomainV1 domain = {
    .domid = info->domain,
    .state = state_of (info),
    .unique_id = unique_id_of (info->domain, info->handle),
  };

  if (info->domain == 0)
    domain.caps = XDS_DOMAIN_CAP_CONTROL | XDS_DOMAIN_CAP_HARDWARE;
  if (info->flags & XEN_DOMINF_xs_domain)
    domain.caps |= XDS_DOMAIN_CAP_XENSTORE;
  if (domain.state & XDS_DOMAIN_SHUTDOWN)
    domain.reason = info->flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask;
  memcpy (domain.uuid, info->handle, sizeof domain.uuid);
  return domain;
}

#ifdef HAVE_XC_DOMAIN_GETINFO
static XdsDomainV1
convert_old (const xc_dominfo_t *old)
{
  xc_domaininfo_t info = { .domain = old->domid };

  info.flags = (old->dying ? XEN_DOMINF_dying : 0) | (old->paused ? XEN_DOMINF_paused : 0)
               | (old->xenstore ? XEN_DOMINF_xs_domain : 0);
  if (old->shutdown)
    info.flags |= XEN_DOMINF_shutdown
                  | (old->shutdown_reason & XEN_DOMINF_shutdownmask) << XEN_DOMINF_shutdownshift;
  memcpy (info.handle, old->handle, sizeof info.handle);
  return convert (&info);
}

/* The first domain from @from on; -ESRCH if there is none. */
static int
next_by_walk (Ctrl *ctrl, uint32_t from, XdsDomainV1 *ret_domain)
{
  xc_dominfo_t info;
  int n = xc_domain_getinfo (ctrl->xc, from, 1, &info);

  if (n < 0)
    return errno > 0 ? -errno : -EIO;
  if (n == 0)
    return -ESRCH;
  *ret_domain = convert_old (&info);
  return 0;
}
#else
static int
next_by_walk (Ctrl *ctrl, uint32_t from, XdsDomainV1 *ret_domain)
{
  (void) ctrl;
  (void) from;
  (void) ret_domain;
  return -EPERM;
}
#endif

static int
next_domain (Ctrl *ctrl, uint32_t from, XdsDomainV1 *ret_domain)
{
  xc_domaininfo_t info;
  int n;

  if (ctrl->walk)
    return next_by_walk (ctrl, from, ret_domain);
  n = xc_domain_getinfolist (ctrl->xc, from, 1, &info);
  if (n < 0)
    return errno > 0 ? -errno : -EIO;
  if (n == 0)
    return -ESRCH;
  *ret_domain = convert (&info);
  return 0;
}

/* --- life --- */

static void
ctrl_close (void *self)
{
  Ctrl *ctrl = self;

  if (ctrl == NULL)
    return;
  if (ctrl->xc != NULL)
    xc_interface_close (ctrl->xc);
  xds_xen_io_close (&ctrl->io);
  free (ctrl->infos);
  free (ctrl);
}

static int
open_interface (Ctrl *ctrl, const XdsHypervisorHostV1 *host)
{
  ctrl->xc = xc_interface_open (&ctrl->io.log.logger, &ctrl->io.log.logger, 0);
  if (ctrl->xc != NULL)
    return 0;
  return xds_xen_io_explain (host, errno,
                             "cannot open Xen's control interface (/dev/xen/privcmd): %s; run as "
                             "root in the control domain of a Xen host and load the module "
                             "xen-privcmd",
                             strerror (errno));
}

/* Asks Xen once, for what fails only at the first call: a refusal, an interface of another
   version. */
static int
probe (Ctrl *ctrl, const XdsHypervisorHostV1 *host)
{
  XdsDomainV1 domain;
  int res = next_domain (ctrl, 0, &domain);

  if (res == -EPERM)
    {
      ctrl->walk = true;
      res = next_domain (ctrl, 0, &domain);
    }
  if (res == 0)
    return 0;
  return xds_xen_io_explain (host, -res,
                             "cannot ask Xen for its domains: %s; run as root in the control "
                             "domain, or in one that was made to serve the store, and if the "
                             "running Xen is not the one that this plugin was built for, install "
                             "the plugin package that belongs to it",
                             strerror (-res));
}

static int
ctrl_open (const XdsHypervisorHostV1 *host, const char *args, void **ret_self)
{
  Ctrl *ctrl = calloc (1, sizeof *ctrl);
  int res;

  if (ctrl == NULL)
    return -ENOMEM;
  ctrl->room = FIRST_ROOM;
  ctrl->infos = calloc (ctrl->room, sizeof *ctrl->infos);
  res = ctrl->infos == NULL ? -ENOMEM : xds_xen_io_open (&ctrl->io, host, args);
  if (res == 0)
    res = open_interface (ctrl, host);
  if (res == 0)
    res = probe (ctrl, host);
  if (res < 0)
    ctrl_close (ctrl);
  else
    *ret_self = ctrl;
  return res;
}

/* --- lists --- */

static int
set_room (Ctrl *ctrl, size_t room)
{
  xc_domaininfo_t *infos = calloc (room, sizeof *infos);

  if (infos == NULL)
    return -ENOMEM;
  free (ctrl->infos);
  ctrl->infos = infos;
  ctrl->room = room;
  return 0;
}

static int
grow (Ctrl *ctrl)
{
  return set_room (ctrl, ctrl->room < DOMAINS_MAX / GROWTH ? ctrl->room * GROWTH : DOMAINS_MAX);
}

/* libxenctrl copies all the room at each call, so what a crowd needed does not stay.  No memory for
   less room leaves us with more. */
static void
shrink (Ctrl *ctrl, size_t n)
{
  size_t room = ctrl->room;

  while (room > FIRST_ROOM && n < room / (GROWTH * GROWTH))
    room /= GROWTH;
  if (room < ctrl->room)
    set_room (ctrl, room < FIRST_ROOM ? FIRST_ROOM : room);
}

/* A list that fills all the room may have been cut: it is thrown away and asked for again. */
static int
list_at_once (Ctrl *ctrl, XdsDomainV1 *ret_domains, size_t max, size_t *ret_n)
{
  int i, n, res;

  for (;;)
    {
      n = xc_domain_getinfolist (ctrl->xc, 0, (unsigned int) ctrl->room, ctrl->infos);
      if (n < 0)
        return errno > 0 ? -errno : -EIO;
      if ((size_t) n < ctrl->room || ctrl->room >= DOMAINS_MAX)
        break;
      res = grow (ctrl);
      if (res < 0)
        return res;
    }
  for (i = 0; i < n && (size_t) i < max; i++)
    ret_domains[i] = convert (&ctrl->infos[i]);
  *ret_n = (size_t) n;
  shrink (ctrl, (size_t) n);
  return 0;
}

static int
list_by_walk (Ctrl *ctrl, XdsDomainV1 *ret_domains, size_t max, size_t *ret_n)
{
  XdsDomainV1 domain;
  uint32_t from = 0;
  size_t n = 0;
  int res;

  while ((res = next_by_walk (ctrl, from, &domain)) == 0)
    {
      if (n < max)
        ret_domains[n] = domain;
      n++;
      from = domain.domid + 1;
    }
  if (res != -ESRCH)
    return res;
  *ret_n = n;
  return 0;
}

static int
ctrl_domains (void *self, XdsDomainV1 *ret_domains, size_t max, size_t *ret_n)
{
  Ctrl *ctrl = self;

  return ctrl->walk ? list_by_walk (ctrl, ret_domains, max, ret_n)
                    : list_at_once (ctrl, ret_domains, max, ret_n);
}

static int
ctrl_domain (void *self, uint32_t domid, XdsDomainV1 *ret_domain)
{
  XdsDomainV1 domain;
  int res = next_domain (self, domid, &domain);

  if (res < 0)
    return res;
  /* Where the one asked for is missing, the next one is told. */
  if (domain.domid != domid)
    return -ESRCH;
  *ret_domain = domain;
  return 0;
}

static int
ctrl_poll_changed (void *self, XdsDomainV1 *ret_domain)
{
  (void) self;
  (void) ret_domain;
  return -ENOSYS;
}

static int
ctrl_remote_port (void *self, uint32_t port, uint32_t *ret_remote)
{
  xc_evtchn_status_t status = { .dom = DOMID_SELF, .port = port };

  if (xc_evtchn_status (((Ctrl *) self)->xc, &status) < 0)
    return errno > 0 ? -errno : -EIO;
  if (status.status != EVTCHNSTAT_interdomain)
    return -ENOENT;
  *ret_remote = status.u.interdomain.port;
  return 0;
}

const XdsHypervisorV1 xds_hypervisor_v1 = {
  .abi = XDS_HYPERVISOR_ABI_V1,
  .size = sizeof (XdsHypervisorV1),
  .name = "xenctrl",
  .open = ctrl_open,
  .close = ctrl_close,
  .domains = ctrl_domains,
  .domain = ctrl_domain,
  .poll_changed = ctrl_poll_changed,
  .map_ring = xds_xen_io_map_ring,
  .unmap_ring = xds_xen_io_unmap_ring,
  .own_ring = xds_xen_io_own_ring,
  .bind_port = xds_xen_io_bind_port,
  .bind_domain_exception = xds_xen_io_bind_exception,
  .unbind_port = xds_xen_io_unbind_port,
  .notify = xds_xen_io_notify,
  .event_fd = xds_xen_io_event_fd,
  .take_pending = xds_xen_io_take_pending,
  .unmask = xds_xen_io_unmask,
  .leave_channels = xds_xen_io_leave_channels,
  .remote_port = ctrl_remote_port,
};
