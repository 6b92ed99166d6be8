/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The plugin for Xen 4.21 and later by libxenmanage, whose ABI stays: one build of this file serves
 * all of them.
 *
 * The library tells of one domain a call.  How that becomes one moment of all of them: Xen keeps a
 * bit a domain for "changed", sets all of them when VIRQ_DOM_EXC is bound, and clears one as it
 * tells of that domain.  So whoever has the VIRQ keeps a table, and when Xen has nothing more to
 * tell, then at that moment each line of the table was true.  An unchanged host costs one call.
 * Who has not got the VIRQ must leave the bits alone, though Xen would let any program of its
 * domain have them: they are the store server's.  He takes the list of the plugin xenctrl, and
 * takes it again unless all of it is still there when asked for one by one: then it was right as it
 * was taken.  Where that plugin is not, each id is asked for.  What is told of an id then was true
 * of it within the call, but not of all at one moment; collecting twice would not help, for an id
 * that was free both times may have been in use in between.  A sweep of userdata does not mind: a
 * domain that it takes for gone was gone after its files had been seen.
 *
 * The library knows neither a domain's uuid nor why it shut down.  Where the plugin xenctrl lies
 * beside this one and fits the running Xen, these come from it, as does the list of ids for who has
 * not got the VIRQ; it is asked after Xen told of a change, so what it says is of that life or of a
 * newer one, and then Xen has that change still to tell.  The road not taken is a hypercall of our
 * own: that part of Xen's interface is as little stable as libxenctrl.
 */

#include "xsd/hypervisor/xen-io.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include <xen/xen.h>
#include <xenmanage.h>

#define FIRST_ROOM 64
#define TRIES 64 /* who sees domains go under each of so many looks is told to ask again */

/* Domains, ordered by their ids. */
typedef struct
{
  XdsDomainV1 *domains; /* (owned) */
  size_t n, room;
} Table;

typedef struct
{
  XdsXenIo io;                 /* must be first */
  xenmanage_handle *xm;        /* (owned) */
  const XdsHypervisorV1 *ctrl; /* (nullable) knows uuids and reasons */
  void *ctrl_self;             /* (owned) of @ctrl */
  uint32_t virq_port;          /* 0: the changes are not ours to take */
  Table table;                 /* what Xen told, while @virq_port is set; else the last look */
} Manage;

/* --- tables --- */

static int
make_room (Table *table)
{
  size_t room = table->room > 0 ? table->room * 2 : FIRST_ROOM;
  XdsDomainV1 *domains;

  if (table->n < table->room)
    return 0;
  domains = reallocarray (table->domains, room, sizeof *domains);
  if (domains == NULL)
    return -ENOMEM;
  table->domains = domains;
  table->room = room;
  return 0;
}

/* Where @domid is, or would be. */
static size_t
find (const Table *table, uint32_t domid)
{
  size_t low = 0, high = table->n, middle;

  while (low < high)
    {
      middle = low + (high - low) / 2;
      if (table->domains[middle].domid < domid)
        low = middle + 1;
      else
        high = middle;
    }
  return low;
}

static int
put (Table *table, const XdsDomainV1 *domain)
{
  size_t at = find (table, domain->domid);
  bool known = at < table->n && table->domains[at].domid == domain->domid;
  int res = known ? 0 : make_room (table);

  if (res < 0)
    return res;
  if (!known)
    {
      memmove (table->domains + at + 1, table->domains + at,
               (table->n - at) * sizeof *table->domains);
      table->n++;
    }
  table->domains[at] = *domain;
  return 0;
}

static void
drop (Table *table, uint32_t domid)
{
  size_t at = find (table, domid);

  if (at >= table->n || table->domains[at].domid != domid)
    return;
  table->n--;
  memmove (table->domains + at, table->domains + at + 1, (table->n - at) * sizeof *table->domains);
}

/* --- one domain --- */

static XdsDomainV1
convert (uint32_t domid, unsigned int state, unsigned int caps, uint64_t unique_id)
{
  XdsDomainV1 domain = { .domid = domid, .unique_id = unique_id };

  if (state & XENMANAGE_GETDOMSTATE_STATE_EXIST)
    domain.state |= XDS_DOMAIN_EXISTS;
  if (state & XENMANAGE_GETDOMSTATE_STATE_SHUTDOWN)
    domain.state |= XDS_DOMAIN_SHUTDOWN;
  if (state & XENMANAGE_GETDOMSTATE_STATE_DYING)
    domain.state |= XDS_DOMAIN_DYING;
  if (state & XENMANAGE_GETDOMSTATE_STATE_DEAD)
    domain.state |= XDS_DOMAIN_DYING | XDS_DOMAIN_DEAD;
  if (caps & XENMANAGE_GETDOMSTATE_CAP_CONTROL)
    domain.caps |= XDS_DOMAIN_CAP_CONTROL;
  if (caps & XENMANAGE_GETDOMSTATE_CAP_HARDWARE)
    domain.caps |= XDS_DOMAIN_CAP_HARDWARE;
  if (caps & XENMANAGE_GETDOMSTATE_CAP_XENSTORE)
    domain.caps |= XDS_DOMAIN_CAP_XENSTORE;
  if (domain.state & XDS_DOMAIN_SHUTDOWN)
    domain.reason = XDS_SHUTDOWN_UNKNOWN;
  return domain;
}

static void
add_details (Manage *manage, XdsDomainV1 *domain)
{
  XdsDomainV1 details;

  if (manage->ctrl == NULL || domain->state == 0
      || manage->ctrl->domain (manage->ctrl_self, domain->domid, &details) < 0)
    return;
  memcpy (domain->uuid, details.uuid, sizeof domain->uuid);
  if ((domain->state & details.state & XDS_DOMAIN_SHUTDOWN) != 0)
    domain->reason = details.reason;
}

static int
ask (Manage *manage, uint32_t domid, XdsDomainV1 *ret_domain)
{
  unsigned int state = 0, caps = 0;
  uint64_t unique_id = 0;

  if (xenmanage_get_domain_info (manage->xm, domid, &state, &caps, &unique_id) < 0)
    return errno > 0 ? -errno : -EIO;
  if ((state & XENMANAGE_GETDOMSTATE_STATE_EXIST) == 0)
    return -ESRCH;
  *ret_domain = convert (domid, state, caps, unique_id);
  return 0;
}

/* Asked before and after the details, so that these are of the same life. */
static int
manage_domain (void *self, uint32_t domid, XdsDomainV1 *ret_domain)
{
  Manage *manage = self;
  XdsDomainV1 domain, after;
  int res = domid < DOMID_FIRST_RESERVED ? ask (manage, domid, &domain) : -ESRCH;

  while (res == 0)
    {
      add_details (manage, &domain);
      res = ask (manage, domid, &after);
      if (res == 0 && after.unique_id == domain.unique_id && after.state == domain.state)
        break;
      domain = after;
    }
  if (res == 0)
    *ret_domain = domain;
  return res;
}

/* --- what changed, for who has the VIRQ --- */

static int
manage_poll_changed (void *self, XdsDomainV1 *ret_domain)
{
  Manage *manage = self;
  unsigned int domid = 0, state = 0, caps = 0;
  uint64_t unique_id = 0;
  XdsDomainV1 domain;
  int res = 0;

  if (manage->virq_port == 0)
    return -ENOSYS;
  if (xenmanage_poll_changed_domain (manage->xm, &domid, &state, &caps, &unique_id) < 0)
    return errno > 0 ? -errno : -EIO;
  domain = convert (domid, state, caps, unique_id);
  add_details (manage, &domain);
  if (domain.state == 0)
    drop (&manage->table, domid);
  else
    res = put (&manage->table, &domain);
  if (res == 0)
    *ret_domain = domain;
  return res;
}

static int
bind_exception (void *self, uint32_t *ret_port)
{
  Manage *manage = self;
  int res = xds_xen_io_bind_exception (self, ret_port);

  if (res < 0)
    return res;
  manage->virq_port = *ret_port;
  manage->table.n = 0; /* from now on Xen has every domain to tell */
  return 0;
}

static void
unbind_port (void *self, uint32_t port)
{
  Manage *manage = self;

  if (port == manage->virq_port)
    manage->virq_port = 0;
  xds_xen_io_unbind_port (self, port);
}

static int
take_changes (Manage *manage)
{
  XdsDomainV1 domain;
  int res;

  do
    res = manage_poll_changed (manage, &domain);
  while (res == 0);
  return res == -ENOENT ? 0 : res;
}

/* --- all domains, for who has not got it --- */

static int
add (Manage *manage, uint32_t domid)
{
  XdsDomainV1 domain;
  int res = manage_domain (manage, domid, &domain);

  return res == 0 ? put (&manage->table, &domain) : res;
}

static int
list_of_ctrl (Manage *manage, XdsDomainV1 **ret_list, size_t *ret_n)
{
  XdsDomainV1 *list = NULL;
  size_t n = FIRST_ROOM, max = 0;
  int res = 0;

  while (res == 0 && n > max)
    {
      max = n * 2;
      free (list);
      list = calloc (max, sizeof *list);
      res = list == NULL ? -ENOMEM : manage->ctrl->domains (manage->ctrl_self, list, max, &n);
    }
  if (res < 0)
    {
      free (list);
      return res;
    }
  *ret_list = list;
  *ret_n = n;
  return 0;
}

/* -ESRCH when one of the list is there no more, or another is in its place. */
static int
look_by_list (Manage *manage)
{
  XdsDomainV1 *list;
  size_t n, i;
  int res = list_of_ctrl (manage, &list, &n);

  if (res < 0)
    return res;
  for (i = 0; res == 0 && i < n; i++)
    {
      res = add (manage, list[i].domid);
      if (res == 0
          && memcmp (manage->table.domains[i].uuid, list[i].uuid, sizeof list[i].uuid) != 0)
        res = -ESRCH;
    }
  free (list);
  return res;
}

static int
look_by_ids (Manage *manage)
{
  uint32_t domid;
  int res = 0;

  for (domid = 0; res == 0 && domid < DOMID_FIRST_RESERVED; domid++)
    {
      res = add (manage, domid);
      if (res == -ESRCH)
        res = 0;
    }
  return res;
}

static int
look (Manage *manage)
{
  int i, res = -ESRCH;

  for (i = 0; res == -ESRCH && i < TRIES; i++)
    {
      manage->table.n = 0;
      res = manage->ctrl != NULL ? look_by_list (manage) : look_by_ids (manage);
    }
  return res == -ESRCH ? -EAGAIN : res;
}

static int
manage_domains (void *self, XdsDomainV1 *ret_domains, size_t max, size_t *ret_n)
{
  Manage *manage = self;
  const Table *table = &manage->table;
  int res = manage->virq_port != 0 ? take_changes (manage) : look (manage);

  if (res < 0)
    return res;
  if (table->n > 0 && max > 0)
    memcpy (ret_domains, table->domains,
            (table->n < max ? table->n : max) * sizeof *ret_domains);
  *ret_n = table->n;
  return 0;
}

/* --- life --- */

static void
manage_close (void *self)
{
  Manage *manage = self;

  if (manage == NULL)
    return;
  if (manage->ctrl_self != NULL)
    manage->ctrl->close (manage->ctrl_self);
  if (manage->xm != NULL)
    xenmanage_close (manage->xm);
  xds_xen_io_close (&manage->io);
  free (manage->table.domains);
  free (manage);
}

/* The plugin xenctrl in the folder that we lie in ourselves. */
static const XdsHypervisorV1 *
load_ctrl (char **ret_why)
{
  char folder[4096];
  Dl_info info;
  char *slash;

  if (dladdr (&xds_hypervisor_v1, &info) == 0 || info.dli_fname == NULL)
    return NULL;
  snprintf (folder, sizeof folder, "%s", info.dli_fname);
  slash = strrchr (folder, '/');
  if (slash == NULL)
    return NULL;
  *slash = '\0';
  return xds_hypervisor_load (folder, "xenctrl", ret_why);
}

static void
open_ctrl (Manage *manage, const XdsHypervisorHostV1 *host)
{
  XdsHypervisorHostV1 quiet = { .log = host->log, .data = host->data };
  char text[1280], *why = NULL;
  int res = -ENOENT;

  manage->ctrl = load_ctrl (&why);
  if (manage->ctrl != NULL)
    res = manage->ctrl->open (&quiet, NULL, &manage->ctrl_self);
  if (res == 0)
    return;
  manage->ctrl = NULL;
  snprintf (text, sizeof text,
            "uuids of domains and the reasons of their shutdowns are not known, so userdata is "
            "kept as long as its domain id is in use: %s",
            why != NULL ? why : "the plugin xenctrl does not fit the running Xen; install the one "
                                "that belongs to it");
  if (host->log != NULL)
    host->log (host->data, LOG_WARNING, text);
  free (why);
}

/* Xen before 4.21 takes the call for one of another version. */
static int
probe (Manage *manage, const XdsHypervisorHostV1 *host)
{
  XdsDomainV1 domain;
  int res = ask (manage, 0, &domain);

  if (res == 0 || res == -ESRCH)
    return 0;
  return xds_xen_io_explain (host, -res,
                             "cannot ask Xen for a domain's state: %s; the plugin xenmanage needs "
                             "Xen 4.21 or later and a domain that may ask: install the plugin "
                             "xenctrl of the running Xen and choose it by --hypervisor xenctrl, or "
                             "boot a newer Xen",
                             strerror (-res));
}

static int
open_library (Manage *manage, const XdsHypervisorHostV1 *host)
{
  manage->xm = xenmanage_open (&manage->io.log.logger, 0);
  if (manage->xm != NULL)
    return probe (manage, host);
  return xds_xen_io_explain (host, errno,
                             "cannot open Xen's hypercalls (/dev/xen/privcmd): %s; run as root in "
                             "the control domain of a Xen host and load the module xen-privcmd",
                             strerror (errno));
}

static int
manage_open (const XdsHypervisorHostV1 *host, const char *args, void **ret_self)
{
  Manage *manage = calloc (1, sizeof *manage);
  int res = manage == NULL ? -ENOMEM : xds_xen_io_open (&manage->io, host, args);

  if (res == 0)
    res = open_library (manage, host);
  if (res < 0)
    {
      manage_close (manage);
      return res;
    }
  open_ctrl (manage, host);
  *ret_self = manage;
  return 0;
}

/* No stable library tells. */
static int
manage_remote_port (void *self, uint32_t port, uint32_t *ret_remote)
{
  Manage *manage = self;

  if (manage->ctrl == NULL)
    return -ENOSYS;
  return manage->ctrl->remote_port (manage->ctrl_self, port, ret_remote);
}

const XdsHypervisorV1 xds_hypervisor_v1 = {
  .abi = XDS_HYPERVISOR_ABI_V1,
  .size = sizeof (XdsHypervisorV1),
  .name = "xenmanage",
  .open = manage_open,
  .close = manage_close,
  .domains = manage_domains,
  .domain = manage_domain,
  .poll_changed = manage_poll_changed,
  .map_ring = xds_xen_io_map_ring,
  .unmap_ring = xds_xen_io_unmap_ring,
  .own_ring = xds_xen_io_own_ring,
  .bind_port = xds_xen_io_bind_port,
  .bind_domain_exception = bind_exception,
  .unbind_port = unbind_port,
  .notify = xds_xen_io_notify,
  .event_fd = xds_xen_io_event_fd,
  .take_pending = xds_xen_io_take_pending,
  .unmask = xds_xen_io_unmask,
  .leave_channels = xds_xen_io_leave_channels,
  .remote_port = manage_remote_port,
};
