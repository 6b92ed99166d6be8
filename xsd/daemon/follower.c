/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The keeper of userdata beside a store that is not ours: a foreign server on this host, or one in
 * a domain of its own.
 *
 * The store says only that some domain came or went; which, the hypervisor says, in one list.  So
 * nothing is lost while the store is away: the first list after it came back has it all.  Whether
 * a domain is introduced is asked of the store for each that was not yet, and its name is watched,
 * since at the domain's end nobody has it any more.
 *
 * Changes of userdata cannot be events on @userdata here: no client can fire what is no node.  They
 * are writes to nodes below /tool/xendomstore/userdata, which any client can watch the same way,
 * and which go with their domain.
 */

#include "xsd/daemon/follower.h"

#include "xsd/daemon/blobs.h"
#include "xsd/daemon/hooks.h"
#include "xsd/daemon/log.h"
#include "xsd/daemon/process.h"
#include "xsd/daemon/run.h"
#include "xsd/transport/client.h"

#include <stdio.h>
#include <string.h>

#define KERNEL_STORE "/dev/xen/xenbus"
#define NEWS "/tool/xendomstore"

/* Tokens of our watches. */
#define TOKEN_INTRODUCED "introduced"
#define TOKEN_RELEASED "released"
#define TOKEN_NAME "name"

typedef struct
{
  guint64 unique_id;
  gboolean introduced; /* and hooks were told */
  char *name;          /* (owned) (nullable) the last that the store had */
} Known;

struct XdsFollower
{
  const XdsOptions *options; /* (unowned) */
  XdsConfig *config;
  XdsLoop *loop;
  XdsDomains *domains;
  XdsBlobs *blobs;
  XdsHooks *hooks;
  XdsStoreClient *store;
  GHashTable *known; /* (owned) domid -> Known */
};

static void
known_free (gpointer data)
{
  g_free (((Known *) data)->name);
  g_free (data);
}

static Known *
find (XdsFollower *self, guint domid)
{
  return g_hash_table_lookup (self->known, GUINT_TO_POINTER (domid));
}

/* --- what the parts ask of us --- */

static const guint8 *
read_name (gpointer data, guint domid, gsize *ret_len)
{
  const Known *known = find (data, domid);

  if (known == NULL || known->name == NULL)
    return NULL;
  *ret_len = strlen (known->name);
  return (const guint8 *) known->name;
}

static gboolean
lives (const XdsDomainV1 *domain)
{
  return (domain->state & (XDS_DOMAIN_DYING | XDS_DOMAIN_DEAD)) == 0;
}

/* The end of a dead domain's data is no news: its node went, and must not come back. */
static gboolean
is_news (XdsFollower *self, const char *path)
{
  XdsDomainV1 domain;
  guint domid;

  if (sscanf (path, "@userdata/%u", &domid) != 1)
    return TRUE;
  return self->domains->plugin->domain (self->domains->self, domid, &domain) >= 0
         && lives (&domain);
}

/* @path is "@userdata" or below. */
static void
publish (gpointer data, const char *path)
{
  XdsFollower *self = data;
  g_autofree char *node = g_strconcat (NEWS "/", path + 1, NULL);

  if (self->store != NULL && is_news (self, path))
    xds_store_client_send (self->store, XDS_OP_WRITE, (const char *[]){ node, "", NULL }, NULL, 0);
}

static void
unpublish (XdsFollower *self, guint domid)
{
  g_autofree char *node = g_strdup_printf (NEWS "/userdata/%u", domid);

  xds_store_client_send (self->store, XDS_OP_RM, (const char *[]){ node, NULL }, NULL, 0);
}

/* --- names and introductions --- */

static void
watch_name (XdsFollower *self, guint op, guint domid)
{
  g_autofree char *path = g_strdup_printf ("/local/domain/%u/name", domid);

  xds_store_client_send (self->store, op, (const char *[]){ path, TOKEN_NAME, NULL }, NULL, 0);
}

static void
got_name (gpointer data, guint domid, const char *error_name, const guint8 *payload, gsize len)
{
  XdsFollower *self = data;
  Known *known = find (self, domid);

  if (known == NULL || g_strcmp0 (error_name, "EIO") == 0)
    return;
  if (error_name == NULL)
    {
      g_free (known->name);
      known->name = g_strndup ((const char *) payload, len);
    }
  if (known->introduced)
    return;
  known->introduced = TRUE;
  g_info ("domain %u is introduced", domid);
  xds_hooks_introduced (self->hooks, domid);
}

/* Its name comes as the first event of a watch on it. */
static void
got_introduced (gpointer data, guint domid, const char *error_name, const guint8 *payload,
                gsize len)
{
  XdsFollower *self = data;
  Known *known = find (self, domid);

  if (known == NULL || error_name != NULL || len == 0 || payload[0] != 'T')
    return;
  xds_blobs_introduced (self->blobs, domid);
  watch_name (self, XDS_OP_WATCH, domid);
}

static void
ask_if_introduced (XdsFollower *self, guint domid)
{
  char text[12];

  g_snprintf (text, sizeof text, "%u", domid);
  xds_store_client_send (self->store, XDS_OP_IS_DOMAIN_INTRODUCED, (const char *[]){ text, NULL },
                         got_introduced, domid);
}

/* --- domains --- */

static void
meet (XdsFollower *self, const XdsDomainV1 *domain)
{
  gpointer domid = GUINT_TO_POINTER (domain->domid);
  Known *known = g_hash_table_lookup (self->known, domid);

  if (known == NULL || known->unique_id != domain->unique_id)
    {
      known = g_new0 (Known, 1);
      known->unique_id = domain->unique_id;
      g_hash_table_insert (self->known, domid, known);
    }
  if (!known->introduced)
    ask_if_introduced (self, domain->domid);
  else if ((domain->state & XDS_DOMAIN_SHUTDOWN) == 0)
    xds_blobs_introduced (self->blobs, domain->domid); /* it may be back from a soft reset */
}

static void
part (XdsFollower *self, const XdsDomainV1 *domains, gsize n)
{
  g_autoptr (GHashTable) alive = g_hash_table_new (NULL, NULL);
  GHashTableIter iter;
  gpointer domid;

  for (gsize i = 0; i < n; i++)
    if (lives (&domains[i]))
      g_hash_table_add (alive, GUINT_TO_POINTER (domains[i].domid));
  g_hash_table_iter_init (&iter, self->known);
  while (g_hash_table_iter_next (&iter, &domid, NULL))
    if (!g_hash_table_contains (alive, domid))
      {
        watch_name (self, XDS_OP_UNWATCH, GPOINTER_TO_UINT (domid));
        unpublish (self, GPOINTER_TO_UINT (domid));
        g_info ("domain %u is gone", GPOINTER_TO_UINT (domid));
        g_hash_table_iter_remove (&iter);
      }
}

/* Hooks hear of the end before the name is forgotten. */
static void
domains_changed (XdsFollower *self)
{
  g_autoptr (GError) error = NULL;
  const XdsDomainV1 *domains;
  gsize n;

  if (!xds_domains_all (self->domains, &domains, &n, &error))
    {
      g_warning ("%s; the dead keep their userdata until it tells", error->message);
      return;
    }
  xds_blobs_domains (self->blobs, domains, n);
  xds_hooks_domains (self->hooks, domains, n);
  part (self, domains, n);
  for (gsize i = 0; i < n; i++)
    if (domains[i].domid != 0 && lives (&domains[i]))
      meet (self, &domains[i]);
}

/* --- the store --- */

static void
connected (gpointer data, const char *path)
{
  XdsFollower *self = data;
  GHashTableIter iter;
  gpointer domid;

  g_message ("follows the store at %s", path);
  xds_store_client_send (self->store, XDS_OP_WATCH,
                         (const char *[]){ "@introduceDomain", TOKEN_INTRODUCED, NULL }, NULL, 0);
  xds_store_client_send (self->store, XDS_OP_WATCH,
                         (const char *[]){ "@releaseDomain", TOKEN_RELEASED, NULL }, NULL, 0);
  g_hash_table_iter_init (&iter, self->known);
  while (g_hash_table_iter_next (&iter, &domid, NULL))
    watch_name (self, XDS_OP_WATCH, GPOINTER_TO_UINT (domid));
  domains_changed (self);
}

static void
lost (gpointer data G_GNUC_UNUSED, const char *reason)
{
  g_message ("the store is away (%s); tries again until it is there", reason);
}

static void
event (gpointer data, const char *path, const char *token)
{
  XdsFollower *self = data;
  guint domid;

  if (!g_str_equal (token, TOKEN_NAME))
    domains_changed (self);
  else if (sscanf (path, "/local/domain/%u/", &domid) == 1)
    xds_store_client_send (self->store, XDS_OP_READ, (const char *[]){ path, NULL }, got_name,
                           domid);
}

/* --- running --- */

static void
turn_begins (gpointer loop G_GNUC_UNUSED, gpointer data)
{
  xds_blobs_tick (((XdsFollower *) data)->blobs, g_get_monotonic_time ());
}

static void
turn_ends (gpointer loop, gpointer data)
{
  xds_loop_set_deadline (loop, xds_blobs_deadline (((XdsFollower *) data)->blobs));
}

static gboolean
reload (gpointer data, XdsConfig *config, GError **error)
{
  XdsFollower *self = data;

  if (!xds_log_open (config, error))
    return FALSE;
  xds_config_free (self->config);
  self->config = config;
  xds_hooks_set_config (self->hooks, config);
  g_message ("read the configuration again; what is no log and no hook changes with a restart");
  return TRUE;
}

static char *
ready (gpointer data)
{
  XdsFollower *self = data;

  g_message ("ready: keeps userdata in %s, plugin %s", self->config->userdata_dir,
             self->domains->plugin->name);
  return g_strdup ("keeping userdata, as a client of the store");
}

void
xds_follower_run (XdsFollower *self)
{
  static const XdsRunCalls calls = { ready, reload };

  xds_run (self->options, self->config->print_pid, &calls, self);
}

/* --- life --- */

static gboolean
make_parts (XdsFollower *self, GError **error)
{
  if (self->config->userdata_dir == NULL)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                   "--userdata-only without a folder for it has nothing to do: set userdata-dir");
      return FALSE;
    }
  if (!xds_log_open (self->config, error))
    return FALSE;
  self->domains = xds_domains_open (self->config, -1, error);
  if (self->domains == NULL)
    return FALSE;
  self->blobs
      = xds_blobs_new (self->config, self->loop, publish, self, self->domains, error);
  if (self->blobs == NULL)
    return FALSE;
  self->hooks = xds_hooks_new (self->config, self->loop, read_name, self, self->domains);
  return TRUE;
}

XdsFollower *
xds_follower_new (const XdsOptions *options, XdsConfig *config, GError **error)
{
  static const XdsStoreClientEvents events = { connected, lost, event };
  g_autoptr (XdsFollower) self = g_new0 (XdsFollower, 1);
  const char *paths[3] = { NULL };

  self->options = options;
  self->config = config;
  self->known = g_hash_table_new_full (NULL, NULL, NULL, known_free);
  self->loop = xds_loop_new (g_main_context_default (), error);
  if (self->loop == NULL)
    return NULL;
  if (!make_parts (self, error))
    return NULL;
  paths[0] = config->socket != NULL ? config->socket : KERNEL_STORE;
  paths[1] = config->socket != NULL ? KERNEL_STORE : NULL;
  self->store = xds_store_client_new (self->loop, paths, &events, self);
  xds_loop_set_hooks (self->loop, turn_begins, turn_ends, self);
  return g_steal_pointer (&self);
}

void
xds_follower_free (XdsFollower *self)
{
  if (self == NULL)
    return;
  if (self->loop != NULL)
    xds_loop_set_hooks (self->loop, NULL, NULL, NULL);
  g_clear_pointer (&self->store, xds_store_client_free);
  g_clear_pointer (&self->blobs, xds_blobs_free);
  g_clear_pointer (&self->hooks, xds_hooks_free);
  g_clear_pointer (&self->domains, xds_domains_free);
  g_clear_pointer (&self->loop, xds_loop_free);
  g_hash_table_unref (self->known);
  xds_config_free (self->config);
  g_free (self);
}
