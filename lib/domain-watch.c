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
  GSList *tasks; /* owned: whoever waits for the first look, which signals nothing */
  GError *error; /* (nullable) of the first look */
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
  g_slist_free_full (self->tasks, g_object_unref);
  g_clear_error (&self->error);
  g_free (self);
}

static void look (XdsDomainWatch *self);

/* The uuid in "/vm/UUID", where a domain's node vm points; "" for anything else. */
static const char *
uuid_of (const char *vm)
{
  return vm != NULL && g_str_has_prefix (vm, "/vm/") ? vm + strlen ("/vm/") : "";
}

/* A look is over.  After the first one there are signals; if that failed, nothing is watched. */
static void
look_ended (XdsDomainWatch *self)
{
  XdsClient *client = self->client;
  GSList *tasks = g_steal_pointer (&self->tasks);
  g_autoptr (GError) error = g_steal_pointer (&self->error);

  self->looking = FALSE;
  if (error != NULL)
    g_clear_pointer (&client->domain_watch, xds_domain_watch_free);
  else if (self->again)
    look (self);
  /* Last, since the callbacks may do anything. */
  for (GSList *l = tasks; l != NULL; l = l->next)
    if (error != NULL)
      g_task_return_error (l->data, g_error_copy (error));
    else
      g_task_return_boolean (l->data, TRUE);
  g_slist_free_full (tasks, g_object_unref);
}

static void
answer_counted (XdsDomainWatch *self)
{
  if (--self->n_open == 0)
    look_ended (self);
}

/* Only the first look can fail; what another misses, the next event shows.  @error is taken over.
 */
static void
note_error (XdsDomainWatch *self, GError *error)
{
  if (error != NULL && self->tasks != NULL && self->error == NULL)
    self->error = error;
  else
    g_clear_error (&error);
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
  if (self->tasks == NULL)
    g_signal_emit_by_name (self->client, "domain-introduced", domid, uuid[0] != '\0' ? uuid : NULL);
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
  GError *error = NULL;
  gboolean is = xds_client_is_introduced_finish (XDS_CLIENT (source), result, &error);
  XdsDomainWatch *self = still_there (source);
  guint domid = GPOINTER_TO_UINT (data);
  gboolean was;

  if (self == NULL)
    {
      g_clear_error (&error);
      return;
    }
  was = g_hash_table_contains (self->known, data);
  if (error == NULL && is && !was)
    domain_came (self, domid);
  else if (error == NULL && !is && was)
    domain_went (self, domid);
  note_error (self, error);
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

static XdsDomainWatch *
domain_watch_new (XdsClient *client)
{
  XdsDomainWatch *self = g_new0 (XdsDomainWatch, 1);

  self->client = client;
  self->known = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  self->asked = g_hash_table_new (NULL, NULL);
  return self;
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
 * Errors: %XDS_ERROR_EACCES, %XDS_ERROR_ENOSPC, those of a connection (#XdsClient).
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
  self = domain_watch_new (client);
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

/* --- later: two watches, then the first look --- */

static void
got_watch (GObject *source, GAsyncResult *result, gpointer data)
{
  GError *error = NULL;
  g_autoptr (XdsWatch) watch = xds_client_watch_finish (XDS_CLIENT (source), result, &error);
  XdsDomainWatch *self = still_there (source);

  if (watch != NULL && self != NULL)
    {
      xds_watch_make_internal (watch);
      if (self->introduce == NULL)
        {
          self->introduce = g_steal_pointer (&watch);
          xds_client_watch_async (self->client, "@releaseDomain", 1, NULL, got_watch, NULL);
          return;
        }
      self->release = g_steal_pointer (&watch);
      g_signal_connect (self->introduce, "changed", G_CALLBACK (on_event), self);
      g_signal_connect (self->release, "changed", G_CALLBACK (on_event), self);
      look (self);
    }
  else if (self != NULL)
    {
      note_error (self, error);
      look_ended (self);
    }
  else
    g_clear_error (&error);
}

/**
 * xds_client_watch_domains_async:
 * @client: the client
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_client_watch_domains() does, without waiting.
 */
void
xds_client_watch_domains_async (XdsClient *client, GCancellable *cancellable,
                                GAsyncReadyCallback callback, gpointer user_data)
{
  XdsDomainWatch *self;
  GTask *task;

  g_return_if_fail (XDS_IS_CLIENT (client));

  task = g_task_new (client, cancellable, callback, user_data);
  g_task_set_source_tag (task, xds_client_watch_domains_async);
  self = client->domain_watch;
  if (self != NULL && self->tasks == NULL)
    {
      g_task_return_boolean (task, TRUE);
      g_object_unref (task);
      return;
    }
  if (self == NULL)
    {
      client->domain_watch = domain_watch_new (client);
      xds_client_watch_async (client, "@introduceDomain", 1, NULL, got_watch, NULL);
    }
  client->domain_watch->tasks = g_slist_append (client->domain_watch->tasks, task);
}

/**
 * xds_client_watch_domains_finish:
 * @client: the client
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_client_watch_domains_async().
 *
 * Errors: those of xds_client_watch_domains(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_client_watch_domains_finish (XdsClient *client, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, client), FALSE);
  g_return_val_if_fail (g_async_result_is_tagged (result, xds_client_watch_domains_async), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}
