/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * When domains change the engine is told of all of them, from one snapshot.  A list of changes
 * (poll_changed) would be shorter, but it is consumed by reading: what a daemon took from it and
 * had not handled when it died would be lost to the next one.
 */

#include "xsd/daemon/domains.h"

#include "xsd/daemon/log.h"
#include "xsd/transport/failure.h"

#include <string.h>

/* Domains for which there is room at first. */
#define FIRST_ROOM 128

/* What a process that is made without exec has from the one before it. */
static struct
{
  const XdsHypervisorV1 *plugin; /* NULL: it could not be loaded */
  char *folder, *hypervisor;     /* (owned) the configuration that it is of */
} prepared;

static void
set_sentence (GError **error, char *why)
{
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_FAILED,
                       why != NULL ? why : "the hypervisor plugin failed without a reason");
  free (why); /* malloc()'s: a plugin's loader knows no GLib */
}

/* "sim:/tmp/world" is a plugin and its own argument.  The port is for plugins of a real Xen. */
static char *
plugin_args (const XdsConfig *config, const char *colon, int channels)
{
  g_autoptr (GString) args = g_string_new (colon != NULL ? colon + 1 : "");

  if (colon == NULL && config->event_port != 0 && g_strcmp0 (config->hypervisor, "sim") != 0)
    g_string_append_printf (args, "event=%" G_GUINT64_FORMAT, config->event_port);
  if (channels >= 0)
    g_string_append_printf (args, "%schannels=%d", args->len > 0 ? "," : "", channels);
  return args->len > 0 ? g_string_free (g_steal_pointer (&args), FALSE) : NULL;
}

static const XdsHypervisorV1 *
load (const XdsConfig *config, const char *colon, char **ret_why)
{
  g_autofree char *name = NULL;

  if (prepared.plugin != NULL && g_strcmp0 (prepared.folder, config->plugin_dir) == 0
      && g_strcmp0 (prepared.hypervisor, config->hypervisor) == 0)
    return prepared.plugin;
  if (config->hypervisor == NULL)
    return xds_hypervisor_load_best (config->plugin_dir, ret_why);
  name = colon != NULL ? g_strndup (config->hypervisor, colon - config->hypervisor)
                       : g_strdup (config->hypervisor);
  return xds_hypervisor_load (config->plugin_dir, name, ret_why);
}

static const char *
colon_of (const XdsConfig *config)
{
  return config->hypervisor != NULL ? strchr (config->hypervisor, ':') : NULL;
}

void
xds_domains_prepare (const XdsConfig *config)
{
  char *why = NULL;

  prepared.plugin = load (config, colon_of (config), &why);
  prepared.folder = g_strdup (config->plugin_dir);
  prepared.hypervisor = g_strdup (config->hypervisor);
  free (why);
}

XdsDomains *
xds_domains_open (const XdsConfig *config, int channels, GError **error)
{
  const char *colon = colon_of (config);
  g_autofree char *args = plugin_args (config, colon, channels);
  char *why = NULL;
  const XdsHypervisorV1 *plugin = load (config, colon, &why);
  XdsDomains *self;
  void *opened;

  if (plugin == NULL
      || xds_hypervisor_open (plugin, args, xds_log_plugin, (void *) plugin->name, &opened, &why)
             < 0)
    {
      set_sentence (error, why);
      return NULL;
    }
  self = g_new0 (XdsDomains, 1);
  self->plugin = plugin;
  self->self = opened;
  return self;
}

void
xds_domains_free (XdsDomains *self)
{
  if (self == NULL)
    return;
  self->plugin->close (self->self);
  g_free (self->snapshot);
  g_free (self->states);
  g_free (self);
}

static XdsDomainState
state_of (const XdsDomainV1 *domain)
{
  return (XdsDomainState){
    .domid = domain->domid,
    .shutdown = (domain->state & XDS_DOMAIN_SHUTDOWN) != 0,
    .dying = (domain->state & (XDS_DOMAIN_DYING | XDS_DOMAIN_DEAD)) != 0,
    .reason = domain->reason,
    .unique_id = domain->unique_id,
  };
}

gboolean
xds_domains_state (XdsDomains *self, guint domid, XdsDomainState *ret_state)
{
  XdsDomainV1 domain;

  if (self->plugin->domain (self->self, domid, &domain) < 0)
    return FALSE;
  *ret_state = state_of (&domain);
  return TRUE;
}

static void
make_room (XdsDomains *self, gsize n)
{
  self->room = MAX (n, FIRST_ROOM);
  self->snapshot = g_renew (XdsDomainV1, self->snapshot, self->room);
  self->states = g_renew (XdsDomainState, self->states, self->room);
}

gboolean
xds_domains_all (XdsDomains *self, const XdsDomainV1 **ret_domains, gsize *ret_n, GError **error)
{
  gsize n = 0;
  int res;

  do
    {
      if (n >= self->room)
        make_room (self, n * 2);
      res = self->plugin->domains (self->self, self->snapshot, self->room, &n);
    }
  while (res >= 0 && n > self->room);
  if (res < 0)
    return xds_fail (error, -res, "the hypervisor does not tell which domains there are");
  self->n = n;
  *ret_domains = self->snapshot;
  *ret_n = n;
  return TRUE;
}

void
xds_domains_tell (XdsDomains *self, XdsEngine *engine)
{
  for (gsize i = 0; i < self->n; i++)
    self->states[i] = state_of (&self->snapshot[i]);
  xds_engine_domains (engine, self->states, self->n);
}
