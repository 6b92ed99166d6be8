/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Calls: one description, two ways to run it.
 *
 * A synchronous call turns the connection until its own answer is there; the answers of others that
 * come by are handled too, but the callbacks of asynchronous ones wait for the main loop: nobody
 * expects to be called from inside a read.
 */

#include "lib/call.h"
#include "lib/error.h"

void
xds_answer_clear (XdsAnswer *answer)
{
  g_clear_pointer (&answer->data, g_free);
  answer->len = 0;
}

void
xds_answer_free (XdsAnswer *answer)
{
  if (answer == NULL)
    return;
  g_free (answer->data);
  g_free (answer);
}

static void
answer_set (XdsAnswer *answer, const char *data, gsize len)
{
  answer->data = g_malloc (len + 1);
  if (len > 0)
    memcpy (answer->data, data, len);
  answer->data[len] = '\0';
  answer->len = len;
}

XdsAnswer *
xds_answer_copy (const char *data, gsize len)
{
  XdsAnswer *answer = g_new (XdsAnswer, 1);

  answer_set (answer, data, len);
  return answer;
}

/* --- describing --- */

void
xds_call_add (XdsCall *call, const char *data, gsize len)
{
  g_assert (call->n_parts < G_N_ELEMENTS (call->parts));
  call->parts[call->n_parts++] = (XdsSpan){ data, len };
}

void
xds_call_add_string (XdsCall *call, const char *text)
{
  xds_call_add (call, text, strlen (text) + 1);
}

XdsCall
xds_call (guint op, guint32 tx, const char *path)
{
  XdsCall call = { .op = op, .tx = tx, .path = path, .domid = XDS_NO_DOMID };

  if (path != NULL)
    xds_call_add_string (&call, path);
  return call;
}

XdsCall
xds_call_domain (guint op, int domid)
{
  return (XdsCall){ .op = op, .domid = domid };
}

/* --- at once --- */

typedef struct
{
  gboolean done;
  XdsStatus status;
  GError *broken;
  XdsAnswer answer;
} SyncCall;

static void
sync_done (XdsClient *client, const XdsReply *reply, gpointer data)
{
  SyncCall *sync = data;

  sync->done = TRUE;
  sync->status = reply->status;
  if (reply->broken != NULL)
    sync->broken = g_error_copy (reply->broken);
  else if (reply->status == XDS_OK)
    answer_set (&sync->answer, reply->data, reply->len);
}

static XdsErrorAbout
about_call (const XdsCall *call)
{
  return (XdsErrorAbout){ call->op, call->tx, call->path, call->domid };
}

static gboolean
sync_wait (XdsClient *client, SyncCall *sync, const XdsCall *call, GError **error)
{
  gint64 deadline = xds_deadline (client->timeout);

  client->in_sync++;
  while (!sync->done && xds_request_turn (client, deadline))
    ;
  client->in_sync--;
  if (sync->done)
    return TRUE;
  xds_request_abandon (client, sync);
  g_set_error (error, XDS_ERROR, XDS_ERROR_TIMED_OUT,
               "The xenstore server at %s did not answer a request about %s within %d ms. It may "
               "still carry it out.",
               client->path, call->path != NULL ? call->path : "itself", client->timeout);
  return FALSE;
}

char *
xds_call_ask_refusal (XdsClient *client)
{
  XdsCall call = xds_call (XDS_OP_READ, 0, XDS_REFUSAL_PATH);
  SyncCall sync = { .done = FALSE };

  if (xds_request_submit (client, &call, sync_done, &sync, NULL))
    sync_wait (client, &sync, &call, NULL);
  g_clear_error (&sync.broken);
  return sync.answer.data;
}

gboolean
xds_call_run (XdsClient *client, const XdsCall *call, XdsAnswer *ret_answer, GError **error)
{
  SyncCall sync = { .done = FALSE };

  if (!xds_request_submit (client, call, sync_done, &sync, error)
      || !sync_wait (client, &sync, call, error))
    return FALSE;
  if (sync.broken != NULL)
    {
      g_propagate_error (error, sync.broken);
      return FALSE;
    }
  if (sync.status != XDS_OK)
    {
      g_autofree char *refusal = sync.status == XDS_ENOSPC ? xds_call_ask_refusal (client) : NULL;
      XdsErrorAbout about = about_call (call);

      g_propagate_error (error, xds_error_new_for (&about, sync.status, refusal));
      return FALSE;
    }
  *ret_answer = sync.answer;
  return TRUE;
}

gboolean
xds_call_run_ok (XdsClient *client, const XdsCall *call, GError **error)
{
  g_auto (XdsAnswer) answer = { NULL, 0 };

  return xds_call_run (client, call, &answer, error);
}

/* --- later --- */

/* An asynchronous call in flight: what its error would have to say, and whom to tell. */
typedef struct
{
  XdsClient *client; /* owned */
  guint op;
  guint32 tx;
  char *path;
  int domid;
  XdsCallDone done;
  gpointer data;
  XdsAnswer *answer; /* while it waits for the main loop */
  GError *error;
} AsyncCall;

static void
async_call_free (gpointer data)
{
  AsyncCall *self = data;

  xds_answer_free (self->answer);
  g_clear_error (&self->error);
  g_free (self->path);
  g_object_unref (self->client);
  g_free (self);
}

static gboolean
async_call_tell (gpointer data)
{
  AsyncCall *self = data;

  self->done (self->client, g_steal_pointer (&self->answer), g_steal_pointer (&self->error),
              self->data);
  return G_SOURCE_REMOVE;
}

/* The caller is inside another call of the library: tell later. */
static void
async_call_tell_later (AsyncCall *self)
{
  g_autoptr (GSource) idle = g_idle_source_new ();
  GMainContext *context
      = self->client->source != NULL ? g_source_get_context (self->client->source) : NULL;

  g_source_set_priority (idle, G_PRIORITY_DEFAULT);
  g_source_set_callback (idle, async_call_tell, self, async_call_free);
  g_source_set_static_name (idle, "xendomstore answer");
  g_source_attach (idle, context);
}

static void
async_call_end (AsyncCall *self)
{
  if (self->client->in_sync > 0)
    {
      async_call_tell_later (self);
      return;
    }
  async_call_tell (self);
  async_call_free (self);
}

static void
async_refused (AsyncCall *self, XdsStatus status, const char *refusal)
{
  const XdsErrorAbout about = { self->op, self->tx, self->path, self->domid };

  self->error = xds_error_new_for (&about, status, refusal);
  async_call_end (self);
}

static void
async_refusal_asked (XdsClient *client, const XdsReply *reply, gpointer data)
{
  g_autofree char *refusal = NULL;

  if (reply->broken == NULL && reply->status == XDS_OK)
    refusal = g_strndup (reply->data, reply->len);
  async_refused (data, XDS_ENOSPC, refusal);
}

static void
async_done (XdsClient *client, const XdsReply *reply, gpointer data)
{
  const XdsCall ask = xds_call (XDS_OP_READ, 0, XDS_REFUSAL_PATH);
  AsyncCall *self = data;

  if (reply->broken == NULL && reply->status == XDS_ENOSPC
      && xds_request_submit (client, &ask, async_refusal_asked, self, NULL))
    return;
  if (reply->broken == NULL && reply->status != XDS_OK)
    {
      async_refused (self, reply->status, NULL);
      return;
    }
  if (reply->broken != NULL)
    self->error = g_error_copy (reply->broken);
  else
    self->answer = xds_answer_copy (reply->data, reply->len);
  async_call_end (self);
}

void
xds_call_start (XdsClient *client, const XdsCall *call, XdsCallDone done, gpointer data)
{
  AsyncCall *self = g_new0 (AsyncCall, 1);

  *self = (AsyncCall){ .client = g_object_ref (client),
                       .op = call->op,
                       .tx = call->tx,
                       .path = g_strdup (call->path),
                       .domid = call->domid,
                       .done = done,
                       .data = data };
  xds_client_ensure_source (client);
  if (!xds_request_submit (client, call, async_done, self, &self->error))
    async_call_tell_later (self);
}

static void
task_done (XdsClient *client, XdsAnswer *answer, GError *error, gpointer data)
{
  g_autoptr (GTask) task = data;

  if (error != NULL)
    g_task_return_error (task, error);
  else
    g_task_return_pointer (task, answer, (GDestroyNotify) xds_answer_free);
}

void
xds_call_async (XdsClient *client, const XdsCall *call, gpointer source_tag,
                GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  GTask *task = g_task_new (client, cancellable, callback, user_data);

  g_task_set_source_tag (task, source_tag);
  xds_call_start (client, call, task_done, task);
}

XdsAnswer *
xds_call_finish (XdsClient *client, GAsyncResult *result, gpointer source_tag, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, client), NULL);
  g_return_val_if_fail (g_async_result_is_tagged (result, source_tag), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

gboolean
xds_call_finish_ok (XdsClient *client, GAsyncResult *result, gpointer source_tag, GError **error)
{
  g_autoptr (XdsAnswer) answer = xds_call_finish (client, result, source_tag, error);

  return answer != NULL;
}

/* --- meaning --- */

char **
xds_answer_strings (const char *data, gsize len)
{
  g_autoptr (GPtrArray) strings = g_ptr_array_new ();
  XdsSpan rest = { data, len }, one;

  while (xds_msg_next_string (&rest, &one))
    g_ptr_array_add (strings, g_strndup (one.data, one.len));
  g_ptr_array_add (strings, NULL);
  return (char **) g_ptr_array_free (g_steal_pointer (&strings), FALSE);
}

gboolean
xds_answer_number (const XdsAnswer *answer, guint64 *ret_number, GError **error)
{
  XdsSpan text = { answer->data, strlen (answer->data) };

  if (xds_msg_parse_number (text, G_MAXUINT64, ret_number))
    return TRUE;
  g_set_error (error, XDS_ERROR, XDS_ERROR_PROTOCOL,
               "The xenstore server answered \"%s\" where a number belongs.", answer->data);
  return FALSE;
}
