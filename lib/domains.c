/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The truth about a domain, for userdata.
 *
 * On a Xen host the hypervisor is asked, through the daemon's plugin for it: so userdata works
 * while no server runs, as libxl's does.  Elsewhere (the simulated hypervisor, a driver domain) the
 * store is asked: a domain exists while it is introduced, and its node vm ends in its uuid.  libxl
 * writes that node before it introduces a domain, and from the hypervisor's own handle.
 *
 * The connection is this file's own, behind a lock, since whoever calls may be any thread.
 */

#include "lib/domains.h"
#include "lib/xendomstore/client.h"
#include "lib/xendomstore/domain.h"
#include "lib/xendomstore/error.h"
#include "lib/xendomstore/node.h"
#include "userdata/error.h"
#include "xsd/hypervisor/hypervisor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct XdsDomains
{
  GMutex lock;
  char *socket;
  XdsClient *client; /* owned, NULL until needed or after it broke */
  gboolean looked_for_plugin;
  const XdsHypervisorV1 *plugin; /* (nullable) */
  void *self;                    /* of the plugin */
};

XdsDomains *
xds_domains_new (const char *socket)
{
  XdsDomains *domains = g_new0 (XdsDomains, 1);

  g_mutex_init (&domains->lock);
  domains->socket = g_strdup (socket);
  return domains;
}

void
xds_domains_free (XdsDomains *domains)
{
  if (domains == NULL)
    return;
  if (domains->plugin != NULL)
    domains->plugin->close (domains->self);
  g_clear_object (&domains->client);
  g_mutex_clear (&domains->lock);
  g_free (domains->socket);
  g_free (domains);
}

/* --- the hypervisor --- */

/* Its sentences would be about a host without Xen, which is no error here. */
static void
ignore_log (void *data, int priority, const char *text)
{
}

static void
look_for_plugin (XdsDomains *domains)
{
  static const XdsHypervisorHostV1 host = { ignore_log, NULL };
  const XdsHypervisorV1 *plugin;
  char *why = NULL;

  if (domains->looked_for_plugin)
    return;
  domains->looked_for_plugin = TRUE;
  /* A host that says where its store is may have several, none of them Xen's. */
  plugin = domains->socket == NULL ? xds_hypervisor_load_best (XDS_PKGLIBDIR, &why) : NULL;
  free (why);
  if (plugin != NULL && plugin->open (&host, NULL, &domains->self) == 0)
    domains->plugin = plugin;
}

static gboolean
no_domain (guint domid, GError **error)
{
  g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_NO_DOMAIN,
               "There is no domain %u, or it is being torn down; \"xds domain\" lists domains.",
               domid);
  return FALSE;
}

static gboolean
ask_plugin (XdsDomains *domains, guint domid, XdsUserdataDomain *ret_domain, GError **error)
{
  XdsDomainV1 domain;
  int res = domains->plugin->domain (domains->self, domid, &domain);

  if (res == -ESRCH)
    return no_domain (domid, error);
  if (res < 0)
    {
      g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_FAILED,
                   "Cannot ask the hypervisor for domain %u: %s.", domid, g_strerror (-res));
      return FALSE;
    }
  *ret_domain = (XdsUserdataDomain){
    .domid = domid,
    .unique_id = domain.unique_id,
    .shutdown = (domain.state & XDS_DOMAIN_SHUTDOWN) != 0,
    .soft_reset
    = (domain.state & XDS_DOMAIN_SHUTDOWN) != 0 && domain.reason == XDS_SHUTDOWN_SOFT_RESET,
    .dying = (domain.state & (XDS_DOMAIN_DYING | XDS_DOMAIN_DEAD)) != 0,
  };
  xds_userdata_uuid_format (domain.uuid, ret_domain->uuid);
  return TRUE;
}

/* --- the store --- */

static gboolean
connect_store (XdsDomains *domains, GError **error)
{
  if (domains->client != NULL && !xds_client_is_open (domains->client))
    g_clear_object (&domains->client);
  if (domains->client != NULL)
    return TRUE;
  domains->client = domains->socket != NULL ? xds_client_open_path (domains->socket, error)
                                            : xds_client_open (error);
  return domains->client != NULL;
}

static gboolean
uuid_of_domain (XdsDomains *domains, guint domid, char uuid[XDS_USERDATA_UUID_SIZE], GError **error)
{
  g_autofree char *path = g_strdup_printf ("/local/domain/%u/vm", domid);
  g_autoptr (GError) own = NULL;
  g_autofree char *vm = xds_client_read (domains->client, NULL, path, NULL, &own);

  if (vm != NULL && g_str_has_prefix (vm, "/vm/"))
    {
      g_autofree char *lower = g_ascii_strdown (vm + strlen ("/vm/"), -1);

      if (xds_userdata_uuid_valid (lower))
        {
          g_strlcpy (uuid, lower, XDS_USERDATA_UUID_SIZE);
          return TRUE;
        }
    }
  /* Domain 0 has no such node everywhere; its handle is known. */
  if (domid == 0)
    {
      g_strlcpy (uuid, "00000000-0000-0000-0000-000000000000", XDS_USERDATA_UUID_SIZE);
      return TRUE;
    }
  if (own != NULL && !g_error_matches (own, XDS_ERROR, XDS_ERROR_ENOENT))
    {
      g_propagate_error (error, g_steal_pointer (&own));
      return FALSE;
    }
  g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_NO_DOMAIN,
               "Cannot tell the uuid of domain %u: %s should be /vm/ and the uuid.", domid, path);
  return FALSE;
}

static gboolean
one_of_store (XdsDomains *domains, guint domid, XdsUserdataDomain *ret_domain, GError **error)
{
  XdsUserdataDomain domain = { .domid = domid };
  g_autoptr (GError) own = NULL;

  if (!connect_store (domains, error))
    return FALSE;
  if (domid != 0 && !xds_client_is_introduced (domains->client, domid, &own))
    {
      if (own == NULL)
        return no_domain (domid, error);
      g_propagate_error (error, g_steal_pointer (&own));
      return FALSE;
    }
  if (!uuid_of_domain (domains, domid, domain.uuid, error))
    return FALSE;
  *ret_domain = domain;
  return TRUE;
}

/* A plugin that cannot tell uuids (xenmanage without xenctrl) gives zeros; then the store can. */
static gboolean
one_of_plugin (XdsDomains *domains, guint domid, XdsUserdataDomain *ret_domain, GError **error)
{
  XdsUserdataDomain domain;

  if (!ask_plugin (domains, domid, &domain, error))
    return FALSE;
  if (domid != 0 && strspn (domain.uuid, "0-") == strlen (domain.uuid)
      && (!connect_store (domains, error) || !uuid_of_domain (domains, domid, domain.uuid, error)))
    return FALSE;
  *ret_domain = domain;
  return TRUE;
}

static gboolean
one (gpointer data, guint domid, XdsUserdataDomain *ret_domain, GError **error)
{
  XdsDomains *domains = data;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&domains->lock);

  look_for_plugin (domains);
  return domains->plugin != NULL ? one_of_plugin (domains, domid, ret_domain, error)
                                 : one_of_store (domains, domid, ret_domain, error);
}

XdsUserdataHypervisor
xds_domains_as_hypervisor (XdsDomains *domains)
{
  return (XdsUserdataHypervisor){ .one = one, .data = domains };
}
