/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Batches: pipelining, for programs that wait and for those that do not.
 *
 * A batch first only collects; its requests are submitted together by xds_batch_run(), which then
 * turns the connection until the last answer is there, or by xds_batch_run_async(), which leaves
 * that to the main loop.  Answers may come while later requests still wait to be sent, so a batch
 * of any length cannot block itself.
 */

#include "lib/call.h"
#include "lib/error.h"
#include "lib/list.h"
#include "lib/xendomstore/batch.h"
#include "lib/xendomstore/node.h"

typedef struct
{
  XdsBatch *batch; /* borrowed */
  guint op;
  char *path;
  char *rest; /* (nullable) payload behind the path */
  gsize rest_len;
  gboolean done;
  XdsStatus status;
  XdsAnswer answer;
  char **strings; /* (nullable) a list that came by parts */
  GError *error;  /* (nullable) when the connection broke */
} BatchItem;

struct _XdsBatch
{
  gatomicrefcount refs;
  XdsClient *client;   /* owned */
  XdsTransaction *txn; /* (nullable) owned */
  GPtrArray *items;    /* of BatchItem */
  guint n_left;
  gboolean asked; /* which limit was met last, for the items that met one */
  char *refusal;  /* (nullable) what the server said */
  GTask *task;    /* (nullable) owned while xds_batch_run_async() is under way; it owns us */
};

G_DEFINE_BOXED_TYPE (XdsBatch, xds_batch, xds_batch_ref, xds_batch_unref)

static void
batch_item_free (gpointer data)
{
  BatchItem *item = data;

  g_free (item->path);
  g_free (item->rest);
  g_strfreev (item->strings);
  g_clear_error (&item->error);
  xds_answer_clear (&item->answer);
  g_free (item);
}

/**
 * xds_batch_new:
 * @client: the client
 * @txn: (nullable): the transaction for all requests of the batch, or %NULL
 *
 * Makes an empty batch.
 *
 * Returns: (transfer full): the batch
 */
XdsBatch *
xds_batch_new (XdsClient *client, XdsTransaction *txn)
{
  XdsBatch *batch;

  g_return_val_if_fail (XDS_IS_CLIENT (client), NULL);

  batch = g_new0 (XdsBatch, 1);
  g_atomic_ref_count_init (&batch->refs);
  batch->client = g_object_ref (client);
  batch->txn = txn != NULL ? xds_transaction_ref (txn) : NULL;
  batch->items = g_ptr_array_new_with_free_func (batch_item_free);
  return batch;
}

/**
 * xds_batch_ref:
 * @batch: the batch
 *
 * Takes another reference.
 *
 * Returns: (transfer full): @batch
 */
XdsBatch *
xds_batch_ref (XdsBatch *batch)
{
  g_atomic_ref_count_inc (&batch->refs);
  return batch;
}

/**
 * xds_batch_unref:
 * @batch: (transfer full) (nullable): the batch
 *
 * Drops a reference; the last one frees it.
 */
void
xds_batch_unref (XdsBatch *batch)
{
  if (batch == NULL || !g_atomic_ref_count_dec (&batch->refs))
    return;
  g_ptr_array_unref (batch->items);
  g_free (batch->refusal);
  xds_transaction_unref (batch->txn);
  g_object_unref (batch->client);
  g_free (batch);
}

/* @rest is taken over. */
static guint
batch_add (XdsBatch *batch, guint op, const char *path, char *rest, gsize rest_len)
{
  BatchItem *item = g_new0 (BatchItem, 1);

  item->batch = batch;
  item->op = op;
  item->path = g_strdup (path);
  item->rest = rest;
  item->rest_len = rest_len;
  g_ptr_array_add (batch->items, item);
  return batch->items->len - 1;
}

/**
 * xds_batch_read:
 * @batch: the batch
 * @path: the node
 *
 * Adds a request for a node's value; see xds_batch_get_value().
 *
 * Returns: the number of the request
 */
guint
xds_batch_read (XdsBatch *batch, const char *path)
{
  return batch_add (batch, XDS_OP_READ, path, NULL, 0);
}

/**
 * xds_batch_write:
 * @batch: the batch
 * @path: the node
 * @value: (array length=length) (element-type guint8): the bytes
 * @length: their number, -1 if @value ends with a NUL
 *
 * Adds the writing of a node; see xds_batch_check().
 *
 * Returns: the number of the request
 */
guint
xds_batch_write (XdsBatch *batch, const char *path, const char *value, gssize length)
{
  gsize len = length < 0 ? strlen (value) : (gsize) length;

  return batch_add (batch, XDS_OP_WRITE, path, g_memdup2 (value, len), len);
}

/**
 * xds_batch_mkdir:
 * @batch: the batch
 * @path: the node
 *
 * Adds the making of a node; see xds_batch_check().
 *
 * Returns: the number of the request
 */
guint
xds_batch_mkdir (XdsBatch *batch, const char *path)
{
  return batch_add (batch, XDS_OP_MKDIR, path, NULL, 0);
}

/**
 * xds_batch_remove:
 * @batch: the batch
 * @path: the node
 *
 * Adds the removal of a node; see xds_batch_check().
 *
 * Returns: the number of the request
 */
guint
xds_batch_remove (XdsBatch *batch, const char *path)
{
  return batch_add (batch, XDS_OP_RM, path, NULL, 0);
}

/**
 * xds_batch_list:
 * @batch: the batch
 * @path: the node
 *
 * Adds a request for the names of a node's children; see xds_batch_get_strings().
 *
 * Returns: the number of the request
 */
guint
xds_batch_list (XdsBatch *batch, const char *path)
{
  return batch_add (batch, XDS_OP_DIRECTORY, path, NULL, 0);
}

/**
 * xds_batch_get_permissions:
 * @batch: the batch
 * @path: the node
 *
 * Adds a request for a node's permissions; see xds_batch_get_strings().
 *
 * Returns: the number of the request
 */
guint
xds_batch_get_permissions (XdsBatch *batch, const char *path)
{
  return batch_add (batch, XDS_OP_GET_PERMS, path, NULL, 0);
}

/**
 * xds_batch_set_permissions:
 * @batch: the batch
 * @path: the node
 * @permissions: (array zero-terminated=1): as xds_client_get_permissions() tells them
 *
 * Adds the replacement of a node's permissions; see xds_batch_check().
 *
 * Returns: the number of the request
 */
guint
xds_batch_set_permissions (XdsBatch *batch, const char *path, const char *const *permissions)
{
  GString *text = g_string_new (NULL);
  gsize len;

  for (gsize i = 0; permissions[i] != NULL; i++)
    g_string_append_len (text, permissions[i], strlen (permissions[i]) + 1);
  len = text->len;
  return batch_add (batch, XDS_OP_SET_PERMS, path, g_string_free (text, FALSE), len);
}

/**
 * xds_batch_get_size:
 * @batch: the batch
 *
 * Tells how many requests were added.
 *
 * Returns: their number
 */
guint
xds_batch_get_size (XdsBatch *batch)
{
  return batch->items->len;
}

static void batch_one_less (XdsBatch *batch);

static void
batch_reply (XdsClient *client, const XdsReply *reply, gpointer data)
{
  BatchItem *item = data;

  item->done = TRUE;
  item->status = reply->status;
  if (reply->broken != NULL)
    item->error = g_error_copy (reply->broken);
  else if (reply->status == XDS_OK)
    {
      item->answer.data = g_malloc (reply->len + 1);
      if (reply->len > 0)
        memcpy (item->answer.data, reply->data, reply->len);
      item->answer.data[reply->len] = '\0';
      item->answer.len = reply->len;
    }
  batch_one_less (item->batch);
}

static void
batch_submit (XdsBatch *batch, guint32 tx, BatchItem *item)
{
  XdsCall call = xds_call (item->op, tx, item->path);

  if (item->done)
    return;
  if (item->rest != NULL)
    xds_call_add (&call, item->rest, item->rest_len);
  batch->n_left++;
  if (!xds_request_submit (batch->client, &call, batch_reply, item, &item->error))
    {
      batch->n_left--;
      item->done = TRUE;
    }
}

/* Takes what is there now and then while submitting, so that the server can go on sending. */
#define RECEIVE_EVERY 256

static gboolean
batch_wait (XdsBatch *batch, GError **error)
{
  XdsClient *client = batch->client;
  gint64 deadline = xds_deadline (client->timeout);

  while (batch->n_left > 0 && xds_request_turn (client, deadline))
    ;
  if (batch->n_left == 0)
    return TRUE;
  for (guint i = 0; i < batch->items->len; i++)
    xds_request_abandon (client, g_ptr_array_index (batch->items, i));
  batch->n_left = 0;
  g_set_error (error, XDS_ERROR, XDS_ERROR_TIMED_OUT,
               "The xenstore server at %s did not answer all requests of a batch within %d ms.",
               client->path, client->timeout);
  return FALSE;
}

/* A directory that is longer than a message, of which the parts are still to be asked for. */
static gboolean
needs_parts (const BatchItem *item)
{
  return item->op == XDS_OP_DIRECTORY && item->status == XDS_E2BIG && item->strings == NULL
         && item->error == NULL;
}

static void
batch_list_by_parts (XdsBatch *batch, guint32 tx, BatchItem *item)
{
  if (needs_parts (item))
    item->strings = xds_list_by_parts (batch->client, tx, item->path, &item->error);
}

/* Did any item meet a limit, and was nobody asked yet which? */
static gboolean
needs_refusal (const XdsBatch *batch)
{
  gboolean any = FALSE;

  for (guint i = 0; i < batch->items->len && !any; i++)
    any = ((BatchItem *) g_ptr_array_index (batch->items, i))->status == XDS_ENOSPC;
  return any && !batch->asked;
}

/* What may be sent now; FALSE and an error if nothing may. */
static gboolean
batch_may_run (XdsBatch *batch, guint32 *ret_tx, GError **error)
{
  if (batch->task == NULL)
    return xds_call_tx (batch->client, batch->txn, ret_tx, error);
  g_set_error (error, XDS_ERROR, XDS_ERROR_USAGE,
               "The batch is under way. Run it again when it is done.");
  return FALSE;
}

static void
batch_submit_all (XdsBatch *batch, guint32 tx)
{
  batch->asked = FALSE;
  g_clear_pointer (&batch->refusal, g_free);
  for (guint i = 0; i < batch->items->len; i++)
    {
      batch_submit (batch, tx, g_ptr_array_index (batch->items, i));
      if (i % RECEIVE_EVERY == RECEIVE_EVERY - 1)
        xds_request_receive (batch->client);
    }
}

/**
 * xds_batch_run:
 * @batch: the batch
 * @error: return location for an error
 *
 * Sends all requests that were not sent yet and waits for their answers. A request that the server
 * refuses does not make this fail: ask for each by its number.
 *
 * Errors: %XDS_ERROR_USAGE, those of a connection (#XdsClient).
 *
 * Returns: %FALSE, with @error set, if the connection is gone or too slow, or if the transaction
 *   is over
 */
gboolean
xds_batch_run (XdsBatch *batch, GError **error)
{
  XdsClient *client = batch->client;
  gboolean in_time;
  guint32 tx;

  if (!batch_may_run (batch, &tx, error))
    return FALSE;
  client->in_sync++;
  batch_submit_all (batch, tx);
  in_time = batch_wait (batch, error);
  for (guint i = 0; in_time && i < batch->items->len; i++)
    batch_list_by_parts (batch, tx, g_ptr_array_index (batch->items, i));
  if (in_time && needs_refusal (batch))
    batch->refusal = xds_call_ask_refusal (client);
  client->in_sync--;
  if (!in_time || client->broken == NULL)
    return in_time;
  g_propagate_error (error, g_error_copy (client->broken));
  return FALSE;
}

/* --- later --- */

static gboolean batch_end (gpointer data);

/* What is found out inside another call is told by the main loop. */
static void
batch_one_less (XdsBatch *batch)
{
  g_autoptr (GSource) idle = NULL;

  batch->n_left--;
  if (batch->n_left > 0 || batch->task == NULL)
    return;
  idle = g_idle_source_new ();
  g_source_set_priority (idle, G_PRIORITY_DEFAULT);
  g_source_set_static_name (idle, "xendomstore batch");
  g_source_set_callback (idle, batch_end, batch, NULL);
  g_source_attach (idle, g_task_get_context (batch->task));
}

static void
batch_listed (GObject *source, GAsyncResult *result, gpointer data)
{
  BatchItem *item = data;

  item->strings = xds_client_list_finish (XDS_CLIENT (source), result, &item->error);
  batch_one_less (item->batch);
}

static void
batch_refusal_asked (GObject *source, GAsyncResult *result, gpointer data)
{
  XdsBatch *batch = data;

  batch->refusal = xds_client_read_finish (XDS_CLIENT (source), result, NULL, NULL);
  batch_one_less (batch);
}

static gboolean
batch_end (gpointer data)
{
  XdsBatch *batch = data;
  XdsClient *client = batch->client;
  g_autoptr (GTask) task = NULL;

  batch->n_left = 1;
  for (guint i = 0; i < batch->items->len; i++)
    {
      BatchItem *item = g_ptr_array_index (batch->items, i);

      if (!needs_parts (item))
        continue;
      batch->n_left++;
      xds_client_list_async (client, batch->txn, item->path, NULL, batch_listed, item);
    }
  if (needs_refusal (batch))
    {
      batch->asked = TRUE;
      batch->n_left++;
      xds_client_read_async (client, NULL, XDS_REFUSAL_PATH, NULL, batch_refusal_asked, batch);
    }
  if (--batch->n_left > 0)
    return G_SOURCE_REMOVE;
  task = g_steal_pointer (&batch->task);
  if (client->broken == NULL)
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, g_error_copy (client->broken));
  return G_SOURCE_REMOVE;
}

/**
 * xds_batch_run_async:
 * @batch: the batch, which must be left alone until it is done
 * @cancellable: (nullable): to give up
 * @callback: called when it is done; its source object is the batch's client
 * @user_data: for @callback
 *
 * Does what xds_batch_run() does, without waiting.
 */
void
xds_batch_run_async (XdsBatch *batch, GCancellable *cancellable, GAsyncReadyCallback callback,
                     gpointer user_data)
{
  XdsClient *client = batch->client;
  g_autoptr (GError) error = NULL;
  guint32 tx;

  if (!batch_may_run (batch, &tx, &error))
    {
      g_task_report_error (client, callback, user_data, xds_batch_run_async,
                           g_steal_pointer (&error));
      return;
    }
  batch->task = g_task_new (client, cancellable, callback, user_data);
  g_task_set_source_tag (batch->task, xds_batch_run_async);
  g_task_set_task_data (batch->task, xds_batch_ref (batch), (GDestroyNotify) xds_batch_unref);
  xds_client_ensure_source (client);
  batch->n_left++;
  client->in_sync++;
  batch_submit_all (batch, tx);
  client->in_sync--;
  batch_one_less (batch);
}

/**
 * xds_batch_run_finish:
 * @batch: the batch
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_batch_run_async().
 *
 * Errors: those of xds_batch_run(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: %FALSE, with @error set, if the connection is gone, or if the transaction is over
 */
gboolean
xds_batch_run_finish (XdsBatch *batch, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, batch->client), FALSE);
  g_return_val_if_fail (g_async_result_is_tagged (result, xds_batch_run_async), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

/* --- results --- */

static void
batch_refused (XdsBatch *batch, const BatchItem *item, GError **error)
{
  guint32 tx = batch->txn != NULL ? xds_transaction_get_id (batch->txn) : 0;
  const XdsErrorAbout about = { item->op, tx, item->path, XDS_NO_DOMID };

  g_propagate_error (error, xds_error_new_for (&about, item->status, batch->refusal));
}

/* The item, if it went well; NULL and an error otherwise. */
static BatchItem *
batch_get (XdsBatch *batch, guint index, GError **error)
{
  BatchItem *item = index < batch->items->len ? g_ptr_array_index (batch->items, index) : NULL;

  if (item == NULL || !item->done)
    {
      g_set_error (error, XDS_ERROR, XDS_ERROR_USAGE,
                   "Request %u of a batch of %u has no answer. Call xds_batch_run() first.", index,
                   batch->items->len);
      return NULL;
    }
  if (item->error != NULL)
    {
      g_propagate_error (error, g_error_copy (item->error));
      return NULL;
    }
  if (item->status == XDS_OK || item->strings != NULL)
    return item;
  batch_refused (batch, item, error);
  return NULL;
}

/**
 * xds_batch_check:
 * @batch: the batch, after xds_batch_run()
 * @index: the number of a request
 * @error: return location for an error
 *
 * Tells whether a request was carried out.
 *
 * Errors: %XDS_ERROR_USAGE, those of the call that the request stands for.
 *
 * Returns: %FALSE, with @error set, if it was refused
 */
gboolean
xds_batch_check (XdsBatch *batch, guint index, GError **error)
{
  return batch_get (batch, index, error) != NULL;
}

/**
 * xds_batch_get_value:
 * @batch: the batch, after xds_batch_run()
 * @index: the number of a request made by xds_batch_read()
 * @ret_length: (out) (optional): return location for the number of bytes
 * @error: return location for an error
 *
 * Tells what was read. A NUL follows the value that is not part of it.
 *
 * Errors: %XDS_ERROR_USAGE, those of the call that the request stands for.
 *
 * Returns: (transfer none) (array length=ret_length) (element-type guint8): the value, or %NULL
 *   with @error set
 */
const char *
xds_batch_get_value (XdsBatch *batch, guint index, gsize *ret_length, GError **error)
{
  BatchItem *item = batch_get (batch, index, error);

  if (item == NULL)
    return NULL;
  if (ret_length != NULL)
    *ret_length = item->answer.len;
  return item->answer.data != NULL ? item->answer.data : "";
}

/**
 * xds_batch_get_strings:
 * @batch: the batch, after xds_batch_run()
 * @index: the number of a request made by xds_batch_list() or xds_batch_get_permissions()
 * @error: return location for an error
 *
 * Tells the names or the permissions.
 *
 * Errors: %XDS_ERROR_USAGE, those of the call that the request stands for.
 *
 * Returns: (transfer full) (array zero-terminated=1): the strings, to be freed with
 *   g_strfreev(), or %NULL with @error set
 */
char **
xds_batch_get_strings (XdsBatch *batch, guint index, GError **error)
{
  BatchItem *item = batch_get (batch, index, error);

  if (item == NULL)
    return NULL;
  if (item->strings != NULL)
    return g_strdupv (item->strings);
  return xds_answer_strings (item->answer.data, item->answer.len);
}
