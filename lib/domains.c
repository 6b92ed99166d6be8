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
 *
 * All domains at one moment only the hypervisor knows: a domain that is being built is not in the
 * store yet, and whatever is missing would be taken for dead.  So without it there is no audit.
 *
 * XDS_HYPERVISOR names another plugin and its argument, "sim:FOLDER,look", and XDS_PLUGIN_DIR where
 * plugins are.  Who names one wants no other answer: if it cannot be asked, nobody is.
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
  XdsHypervisorHostV1 host;      /* what the plugin knows of us */
  const XdsHypervisorV1 *plugin; /* (nullable) */
  void *self;                    /* of the plugin */
  char *why_not;                 /* (owned) (nullable) the plugin that was named cannot be asked */
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
  g_free (domains->why_not);
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
keep_reason (void *data, const char *sentence)
{
  XdsDomains *domains = data;

  g_free (domains->why_not);
  domains->why_not = g_strdup (sentence);
}

/* The plugin, and in @ret_args what it is opened with. */
static const XdsHypervisorV1 *
choose_plugin (XdsDomains *domains, const char *named, char **ret_args, char **ret_why)
{
  const char *folder = g_getenv ("XDS_PLUGIN_DIR");
  g_auto (GStrv) words = named != NULL ? g_strsplit (named, ":", 2) : NULL;

  if (folder == NULL)
    folder = XDS_PKGLIBDIR;
  if (words != NULL && words[0] != NULL)
    {
      *ret_args = g_strdup (words[1]);
      return xds_hypervisor_load (folder, words[0], ret_why);
    }
  /* A host that says where its store is may have several, none of them Xen's. */
  return domains->socket == NULL ? xds_hypervisor_load_best (folder, ret_why) : NULL;
}

static void
find_plugin (XdsDomains *domains)
{
  const char *named = g_getenv ("XDS_HYPERVISOR");
  g_autofree char *args = NULL;
  char *why = NULL;
  const XdsHypervisorV1 *plugin = choose_plugin (domains, named, &args, &why);
  int res = 0;

  domains->host = (XdsHypervisorHostV1){ ignore_log, domains, keep_reason };
  if (plugin != NULL)
    res = plugin->open (&domains->host, args, &domains->self);
  if (plugin != NULL && res == 0)
    domains->plugin = plugin;
  else if (named == NULL)
    g_clear_pointer (&domains->why_not, g_free);
  else if (domains->why_not == NULL)
    keep_reason (domains, why != NULL ? why : g_strerror (-res));
  free (why);
}

static gboolean
look_for_plugin (XdsDomains *domains, GError **error)
{
  if (!domains->looked_for_plugin)
    find_plugin (domains);
  domains->looked_for_plugin = TRUE;
  if (domains->why_not == NULL)
    return TRUE;
  g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_FAILED,
               "Cannot ask the hypervisor that XDS_HYPERVISOR names: %s.", domains->why_not);
  return FALSE;
}

static gboolean
no_domain (guint domid, GError **error)
{
  g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_NO_DOMAIN,
               "There is no domain %u, or it is being torn down; \"xds domain\" lists domains.",
               domid);
  return FALSE;
}

static XdsUserdataDomain
convert (const XdsDomainV1 *domain)
{
  gboolean shutdown = (domain->state & XDS_DOMAIN_SHUTDOWN) != 0;
  XdsUserdataDomain converted = {
    .domid = domain->domid,
    .unique_id = domain->unique_id,
    .shutdown = shutdown,
    .soft_reset = shutdown && domain->reason == XDS_SHUTDOWN_SOFT_RESET,
    .dying = (domain->state & (XDS_DOMAIN_DYING | XDS_DOMAIN_DEAD)) != 0,
  };

  xds_userdata_uuid_format (domain->domid, domain->uuid, converted.uuid);
  return converted;
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
  *ret_domain = convert (&domain);
  return TRUE;
}

static GArray *
all (gpointer data, GError **error)
{
  XdsDomains *domains = data;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&domains->lock);
  g_autofree XdsDomainV1 *snapshot = NULL;
  size_t n = 64, room; /* a first guess; asked again until all fit */
  GArray *found;
  int res;

  if (!look_for_plugin (domains, error))
    return NULL;
  if (domains->plugin == NULL)
    {
      g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_FAILED,
                   "Cannot tell which domains there are: no hypervisor can be asked here. Run this "
                   "as root in domain 0.");
      return NULL;
    }
  do
    {
      room = n;
      snapshot = g_renew (XdsDomainV1, snapshot, room);
      res = domains->plugin->domains (domains->self, snapshot, room, &n);
    }
  while (res >= 0 && n > room);
  if (res < 0)
    {
      g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_FAILED,
                   "Cannot ask the hypervisor which domains there are: %s.", g_strerror (-res));
      return NULL;
    }
  found = g_array_sized_new (FALSE, FALSE, sizeof (XdsUserdataDomain), n);
  for (size_t i = 0; i < n; i++)
    {
      XdsUserdataDomain domain = convert (&snapshot[i]);

      g_array_append_val (found, domain);
    }
  return found;
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

/* What a plugin cannot tell (xenmanage without xenctrl), the store can. */
static gboolean
one_of_plugin (XdsDomains *domains, guint domid, XdsUserdataDomain *ret_domain, GError **error)
{
  XdsUserdataDomain domain;

  if (!ask_plugin (domains, domid, &domain, error))
    return FALSE;
  if (domain.uuid[0] == '\0'
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

  if (!look_for_plugin (domains, error))
    return FALSE;
  return domains->plugin != NULL ? one_of_plugin (domains, domid, ret_domain, error)
                                 : one_of_store (domains, domid, ret_domain, error);
}

XdsUserdataHypervisor
xds_domains_as_hypervisor (XdsDomains *domains)
{
  return (XdsUserdataHypervisor){ .one = one, .all = all, .data = domains };
}
