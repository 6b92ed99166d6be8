/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Which domains come and go.
 *
 * The store's own events say little: @introduceDomain and @releaseDomain name no domain unless the
 * server knows watches with depth, and a release event also comes when a domain only shuts down.
 * So an event is a reason to look, and what is signalled is the difference between two looks.  A
 * look is asynchronous: list the homes of all domains, then ask of each whether it is introduced,
 * and of each new one for its uuid.  All these questions travel together.  Why a domain went only
 * the server can tell, and only ours does; it is asked when one did.
 *
 * An event during a look causes another look after it, however many events there are.
 */

#include "lib/client.h"
#include "lib/watch.h"
#include "lib/xendomstore/control.h"
#include "lib/xendomstore/domain.h"
#include "lib/xendomstore/node.h"

#include <stdlib.h>

struct XdsDomainWatch
{
  XdsClient *client; /* borrowed: owns this */
  XdsWatch *introduce, *release;
  GHashTable *known; /* domid to uuid ("": not known) */
  GHashTable *asked; /* set of domids, during a look */
  guint n_open;      /* questions of this look without an answer */
  gboolean looking, again;
};

void
xds_domain_watch_free (XdsDomainWatch *self)
{
  if (self == NULL)
    return;
  g_clear_object (&self->introduce);
  g_clear_object (&self->release);
  g_hash_table_unref (self->known);
  g_hash_table_unref (self->asked);
  g_free (self);
}

static void look (XdsDomainWatch *self);

/* The uuid in "/vm/UUID", where a domain's node vm points; "" for anything else. */
static const char *
uuid_of (const char *vm)
{
  return vm != NULL && g_str_has_prefix (vm, "/vm/") ? vm + strlen ("/vm/") : "";
}

static void
answer_counted (XdsDomainWatch *self)
{
  if (--self->n_open > 0)
    return;
  self->looking = FALSE;
  if (self->again)
    look (self);
}

/* The answers below may come when the client, and with it the XdsDomainWatch, is being closed. */
static XdsDomainWatch *
still_there (GObject *source)
{
  return XDS_CLIENT (source)->domain_watch;
}

static void
got_uuid (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autofree char *vm = xds_client_read_finish (XDS_CLIENT (source), result, NULL, NULL);
  g_autofree char *uuid = g_strdup (uuid_of (vm));
  XdsDomainWatch *self = still_there (source);
  guint domid = GPOINTER_TO_UINT (data);

  if (self == NULL)
    return;
  g_hash_table_insert (self->known, GUINT_TO_POINTER (domid), g_strdup (uuid));
  g_signal_emit_by_name (self->client, "domain-introduced", domid,
                         uuid[0] != '\0' ? uuid : NULL);
  answer_counted (self);
}

static void
domain_came (XdsDomainWatch *self, guint domid)
{
  g_autofree char *path = g_strdup_printf ("/local/domain/%u/vm", domid);

  self->n_open++;
  xds_client_read_async (self->client, NULL, path, NULL, got_uuid, GUINT_TO_POINTER (domid));
}

/* A domain that went, while the server is asked why. */
typedef struct
{
  guint domid;
  char *uuid;
} Gone;

static void
gone_free (Gone *gone)
{
  g_free (gone->uuid);
  g_free (gone);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Gone, gone_free)

static void
got_reason (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (Gone) gone = data;
  g_autofree char *reason = xds_client_control_finish (XDS_CLIENT (source), result, NULL);
  XdsDomainWatch *self = still_there (source);

  if (self == NULL)
    return;
  g_signal_emit_by_name (self->client, "domain-released", gone->domid,
                         gone->uuid[0] != '\0' ? gone->uuid : NULL, reason);
  answer_counted (self);
}

static void
domain_went (XdsDomainWatch *self, guint domid)
{
  Gone *gone = g_new (Gone, 1);
  g_autofree char *number = g_strdup_printf ("%u", domid);
  const char *words[] = { "reason", number, NULL };
  gpointer uuid = NULL;

  g_hash_table_steal_extended (self->known, GUINT_TO_POINTER (domid), NULL, &uuid);
  *gone = (Gone){ domid, uuid };
  self->n_open++;
  xds_client_control_async (self->client, words, NULL, got_reason, gone);
}

static void
got_introduced (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  gboolean is = xds_client_is_introduced_finish (XDS_CLIENT (source), result, &error);
  XdsDomainWatch *self = still_there (source);
  guint domid = GPOINTER_TO_UINT (data);
  gboolean was;

  if (self == NULL)
    return;
  was = g_hash_table_contains (self->known, data);
  if (error == NULL && is && !was)
    domain_came (self, domid);
  else if (error == NULL && !is && was)
    domain_went (self, domid);
  answer_counted (self);
}

static void
ask_about (XdsDomainWatch *self, guint domid)
{
  if (!g_hash_table_add (self->asked, GUINT_TO_POINTER (domid)))
    return;
  self->n_open++;
  xds_client_is_introduced_async (self->client, domid, NULL, got_introduced,
                                  GUINT_TO_POINTER (domid));
}

static void
got_homes (GObject *source, GAsyncResult *result, gpointer data)
{
  g_auto (GStrv) names = xds_client_list_finish (XDS_CLIENT (source), result, NULL);
  XdsDomainWatch *self = still_there (source);
  GHashTableIter iter;
  gpointer domid;

  if (self == NULL)
    return;
  for (gsize i = 0; names != NULL && names[i] != NULL; i++)
    ask_about (self, strtoul (names[i], NULL, 10));
  g_hash_table_iter_init (&iter, self->known);
  while (g_hash_table_iter_next (&iter, &domid, NULL))
    ask_about (self, GPOINTER_TO_UINT (domid));
  answer_counted (self);
}

static void
look (XdsDomainWatch *self)
{
  self->again = self->looking;
  if (self->looking)
    return;
  self->looking = TRUE;
  self->n_open = 1;
  g_hash_table_remove_all (self->asked);
  xds_client_list_async (self->client, NULL, "/local/domain", NULL, got_homes, NULL);
}

/* With depth the event names the domain, which then need not have a home. */
static void
on_event (XdsWatch *watch, const char *path, XdsDomainWatch *self)
{
  const char *slash = strchr (path, '/');

  if (slash == NULL || self->looking)
    {
      look (self);
      return;
    }
  self->looking = TRUE;
  g_hash_table_remove_all (self->asked);
  ask_about (self, strtoul (slash + 1, NULL, 10));
}

static XdsWatch *
watch_special (XdsDomainWatch *self, const char *path, GError **error)
{
  XdsWatch *watch = xds_client_watch (self->client, path, 1, error);

  if (watch == NULL)
    return NULL;
  xds_watch_make_internal (watch);
  g_signal_connect (watch, "changed", G_CALLBACK (on_event), self);
  return watch;
}

/* Those that are there already are known, and not signalled. */
static gboolean
learn_known (XdsDomainWatch *self, GError **error)
{
  g_auto (GStrv) names = xds_client_list (self->client, NULL, "/local/domain", NULL);

  for (gsize i = 0; names != NULL && names[i] != NULL; i++)
    {
      guint domid = strtoul (names[i], NULL, 10);
      g_autoptr (GError) own = NULL;
      g_autofree char *path = NULL, *vm = NULL;

      if (xds_client_is_introduced (self->client, domid, &own))
        {
          path = g_strdup_printf ("/local/domain/%u/vm", domid);
          vm = xds_client_read (self->client, NULL, path, NULL, NULL);
          g_hash_table_insert (self->known, GUINT_TO_POINTER (domid), g_strdup (uuid_of (vm)));
        }
      else if (own != NULL)
        {
          g_propagate_error (error, g_steal_pointer (&own));
          return FALSE;
        }
    }
  return TRUE;
}

/**
 * xds_client_watch_domains:
 * @client: the client
 * @error: return location for an error
 *
 * Begins to emit #XdsClient::domain-introduced and #XdsClient::domain-released. Domains that are
 * there already are not signalled. Only privileged domains may do this.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_client_watch_domains (XdsClient *client, GError **error)
{
  XdsDomainWatch *self;

  g_return_val_if_fail (XDS_IS_CLIENT (client), FALSE);

  if (client->domain_watch != NULL)
    return TRUE;
  self = g_new0 (XdsDomainWatch, 1);
  self->client = client;
  self->known = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  self->asked = g_hash_table_new (NULL, NULL);
  self->introduce = watch_special (self, "@introduceDomain", error);
  if (self->introduce != NULL)
    self->release = watch_special (self, "@releaseDomain", error);
  if (self->release == NULL || !learn_known (self, error))
    {
      xds_domain_watch_free (self);
      return FALSE;
    }
  client->domain_watch = self;
  return TRUE;
}
