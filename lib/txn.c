/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Transactions.
 *
 * An XdsTransaction holds its client, and is over after commit or abort; the last reference to one
 * that is not over aborts it, without waiting for the answer.  A transaction that failed to commit
 * is over too: its number means nothing to the server any more.
 */

#include "lib/call.h"
#include "lib/error.h"

struct _XdsTransaction
{
  gatomicrefcount refs;
  XdsClient *client; /* owned */
  guint32 id;
  gboolean open;
};

G_DEFINE_BOXED_TYPE (XdsTransaction, xds_transaction, xds_transaction_ref, xds_transaction_unref)

/* The default number of tries: with a random pause that grows, some seconds in all. */
#define DEFAULT_TRIES 1000

/* Pauses double from the third try on up to this. */
#define PAUSE_MAX_USEC 10000

gboolean
xds_call_tx (XdsClient *client, XdsTransaction *txn, guint32 *ret_tx, GError **error)
{
  if (txn == NULL)
    {
      *ret_tx = 0;
      return TRUE;
    }
  if (!txn->open || txn->client != client)
    {
      g_set_error (error, XDS_ERROR, XDS_ERROR_USAGE,
                   "Transaction %u %s. Start one with xds_client_begin() on this client.", txn->id,
                   txn->open ? "belongs to another connection" : "is over already");
      return FALSE;
    }
  *ret_tx = txn->id;
  return TRUE;
}

gboolean
xds_call_begin_async (XdsClient *client, XdsTransaction *txn, guint32 *ret_tx, gpointer source_tag,
                      GAsyncReadyCallback callback, gpointer user_data)
{
  GError *error = NULL;

  if (xds_call_tx (client, txn, ret_tx, &error))
    return TRUE;
  g_task_report_error (client, callback, user_data, source_tag, error);
  return FALSE;
}

static XdsCall
call_begin (void)
{
  XdsCall call = xds_call (XDS_OP_TRANSACTION_START, 0, NULL);

  xds_call_add_string (&call, "");
  return call;
}

static XdsCall
call_end (XdsTransaction *txn, gboolean commit)
{
  XdsCall call = xds_call (XDS_OP_TRANSACTION_END, txn->id, NULL);

  xds_call_add_string (&call, commit ? "T" : "F");
  return call;
}

static XdsTransaction *
transaction_new (XdsClient *client, const XdsAnswer *answer, GError **error)
{
  XdsTransaction *txn;
  guint64 id;

  if (!xds_answer_number (answer, &id, error))
    return NULL;
  txn = g_new0 (XdsTransaction, 1);
  g_atomic_ref_count_init (&txn->refs);
  txn->client = g_object_ref (client);
  txn->id = id;
  txn->open = TRUE;
  return txn;
}

/**
 * xds_client_begin:
 * @client: the client
 * @error: return location for an error
 *
 * Starts a transaction. Prefer xds_client_transact(), which also runs it again after a conflict.
 *
 * Errors: %XDS_ERROR_ENOSPC, those of a connection (#XdsClient).
 *
 * Returns: (transfer full): the transaction, or %NULL
 */
XdsTransaction *
xds_client_begin (XdsClient *client, GError **error)
{
  g_auto (XdsAnswer) answer = { NULL, 0 };
  XdsCall call = call_begin ();

  g_return_val_if_fail (XDS_IS_CLIENT (client), NULL);

  if (!xds_call_run (client, &call, &answer, error))
    return NULL;
  return transaction_new (client, &answer, error);
}

/**
 * xds_client_begin_async:
 * @client: the client
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Starts a transaction without waiting.
 */
void
xds_client_begin_async (XdsClient *client, GCancellable *cancellable, GAsyncReadyCallback callback,
                        gpointer user_data)
{
  XdsCall call = call_begin ();

  g_return_if_fail (XDS_IS_CLIENT (client));

  xds_call_async (client, &call, xds_client_begin_async, cancellable, callback, user_data);
}

/**
 * xds_client_begin_finish:
 * @client: the client
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_client_begin_async().
 *
 * Errors: those of xds_client_begin(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: (transfer full): the transaction, or %NULL
 */
XdsTransaction *
xds_client_begin_finish (XdsClient *client, GAsyncResult *result, GError **error)
{
  g_autoptr (XdsAnswer) answer = xds_call_finish (client, result, xds_client_begin_async, error);

  return answer != NULL ? transaction_new (client, answer, error) : NULL;
}

/**
 * xds_transaction_ref:
 * @txn: the transaction
 *
 * Takes another reference.
 *
 * Returns: (transfer full): @txn
 */
XdsTransaction *
xds_transaction_ref (XdsTransaction *txn)
{
  g_atomic_ref_count_inc (&txn->refs);
  return txn;
}

static void
ignore_answer (XdsClient *client, const XdsReply *reply, gpointer data)
{
}

/**
 * xds_transaction_unref:
 * @txn: (transfer full) (nullable): the transaction
 *
 * Drops a reference; the last one aborts a transaction that is still open.
 */
void
xds_transaction_unref (XdsTransaction *txn)
{
  if (txn == NULL || !g_atomic_ref_count_dec (&txn->refs))
    return;
  if (txn->open)
    {
      XdsCall call = call_end (txn, FALSE);

      if (xds_request_submit (txn->client, &call, ignore_answer, NULL, NULL))
        xds_request_push (txn->client);
    }
  g_object_unref (txn->client);
  g_free (txn);
}

/**
 * xds_transaction_get_id:
 * @txn: the transaction
 *
 * Tells the transaction's number on the wire, for logs.
 *
 * Returns: the number
 */
guint32
xds_transaction_get_id (XdsTransaction *txn)
{
  return txn->id;
}

/**
 * xds_transaction_is_open:
 * @txn: the transaction
 *
 * Tells whether it was neither committed nor aborted yet.
 *
 * Returns: %TRUE if it can be used
 */
gboolean
xds_transaction_is_open (XdsTransaction *txn)
{
  return txn->open;
}

static gboolean
transaction_end (XdsTransaction *txn, gboolean commit, GError **error)
{
  guint32 tx;
  XdsCall call;

  if (!xds_call_tx (txn->client, txn, &tx, error))
    return FALSE;
  call = call_end (txn, commit);
  txn->open = FALSE;
  return xds_call_run_ok (txn->client, &call, error);
}

/**
 * xds_transaction_commit:
 * @txn: the transaction
 * @error: return location for an error
 *
 * Makes all that was written in the transaction happen at once. %XDS_ERROR_EAGAIN says that
 * somebody else changed what it read: nothing happened, start it again. It is over in any case.
 *
 * Errors: %XDS_ERROR_EAGAIN, %XDS_ERROR_ENOSPC, %XDS_ERROR_ENOENT, %XDS_ERROR_USAGE, those of a
 * connection (#XdsClient).
 *
 * Returns: %TRUE if it happened
 */
gboolean
xds_transaction_commit (XdsTransaction *txn, GError **error)
{
  return transaction_end (txn, TRUE, error);
}

/**
 * xds_transaction_abort:
 * @txn: the transaction
 * @error: return location for an error
 *
 * Forgets the transaction and what was written in it.
 *
 * Errors: %XDS_ERROR_ENOENT, %XDS_ERROR_USAGE, those of a connection (#XdsClient).
 *
 * Returns: %FALSE, with @error set, if the server did not answer
 */
gboolean
xds_transaction_abort (XdsTransaction *txn, GError **error)
{
  return transaction_end (txn, FALSE, error);
}

/* @tag is the public function, by which _finish knows its result. */
static void
transaction_end_async (XdsTransaction *txn, gboolean commit, gpointer tag,
                       GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  g_autoptr (GError) error = NULL;
  XdsCall call = call_end (txn, commit);
  guint32 tx;

  if (!xds_call_tx (txn->client, txn, &tx, &error))
    {
      g_task_report_error (txn->client, callback, user_data, tag, g_steal_pointer (&error));
      return;
    }
  txn->open = FALSE;
  xds_call_async (txn->client, &call, tag, cancellable, callback, user_data);
}

/**
 * xds_transaction_commit_async:
 * @txn: the transaction
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Commits without waiting. The transaction is over from now on.
 */
void
xds_transaction_commit_async (XdsTransaction *txn, GCancellable *cancellable,
                              GAsyncReadyCallback callback, gpointer user_data)
{
  transaction_end_async (txn, TRUE, xds_transaction_commit_async, cancellable, callback, user_data);
}

/**
 * xds_transaction_commit_finish:
 * @txn: the transaction
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_transaction_commit_async().
 *
 * Errors: those of xds_transaction_commit(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: %TRUE if it happened
 */
gboolean
xds_transaction_commit_finish (XdsTransaction *txn, GAsyncResult *result, GError **error)
{
  return xds_call_finish_ok (txn->client, result, xds_transaction_commit_async, error);
}

/**
 * xds_transaction_abort_async:
 * @txn: the transaction
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Aborts without waiting. The transaction is over from now on.
 */
void
xds_transaction_abort_async (XdsTransaction *txn, GCancellable *cancellable,
                             GAsyncReadyCallback callback, gpointer user_data)
{
  transaction_end_async (txn, FALSE, xds_transaction_abort_async, cancellable, callback, user_data);
}

/**
 * xds_transaction_abort_finish:
 * @txn: the transaction
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_transaction_abort_async().
 *
 * Errors: those of xds_transaction_abort(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: %FALSE, with @error set, if the server did not answer
 */
gboolean
xds_transaction_abort_finish (XdsTransaction *txn, GAsyncResult *result, GError **error)
{
  return xds_call_finish_ok (txn->client, result, xds_transaction_abort_async, error);
}

/* --- run and run again --- */

/*
 * Two programs that meet in a conflict would meet again if both started again at once; so from the
 * third try on each waits for a random part of a time that doubles.
 */
static guint
pause_before (guint try)
{
  guint limit;

  if (try < 2)
    return 0;
  limit = MIN (100u << MIN (try - 2, 10), PAUSE_MAX_USEC);
  return g_random_int_range (1, limit + 1);
}

/* One try.  *@ret_conflict tells, on failure, whether another makes sense. */
static gboolean
transact_once (XdsClient *client, XdsTransactFunc func, gpointer user_data, gboolean *ret_conflict,
               GError **error)
{
  g_autoptr (XdsTransaction) txn = xds_client_begin (client, error);
  g_autoptr (GError) own = NULL;

  *ret_conflict = FALSE;
  if (txn == NULL)
    return FALSE;
  if (!func (client, txn, user_data, &own))
    {
      *ret_conflict = g_error_matches (own, XDS_ERROR, XDS_ERROR_EAGAIN);
      g_propagate_error (error, g_steal_pointer (&own));
      return FALSE;
    }
  if (transaction_end (txn, TRUE, &own))
    return TRUE;
  *ret_conflict = g_error_matches (own, XDS_ERROR, XDS_ERROR_EAGAIN);
  g_propagate_error (error, g_steal_pointer (&own));
  return FALSE;
}

/**
 * xds_client_transact:
 * @client: the client
 * @max_tries: how often at most, 0 for a sensible number
 * @func: (scope call): what to do in the transaction
 * @user_data: for @func
 * @error: return location for an error
 *
 * Starts a transaction, runs @func in it and commits it; after a conflict all of this again, with
 * short random pauses in between. An error of @func aborts it, and is returned as it is.
 *
 * Errors: %XDS_ERROR_EAGAIN, %XDS_ERROR_ENOSPC, %XDS_ERROR_ENOENT, those of @func, those of a
 * connection (#XdsClient).
 *
 * Returns: %TRUE if it happened; %FALSE with %XDS_ERROR_EAGAIN if @max_tries were not enough
 */
gboolean
xds_client_transact (XdsClient *client, guint max_tries, XdsTransactFunc func, gpointer user_data,
                     GError **error)
{
  guint tries = max_tries > 0 ? max_tries : DEFAULT_TRIES;
  gboolean conflict = TRUE;

  g_return_val_if_fail (XDS_IS_CLIENT (client), FALSE);
  g_return_val_if_fail (func != NULL, FALSE);

  for (guint try = 0; try < tries; try++)
    {
      g_autoptr (GError) own = NULL;
      guint pause = pause_before (try);

      if (pause > 0)
        g_usleep (pause);
      if (transact_once (client, func, user_data, &conflict, &own))
        return TRUE;
      if (!conflict || try + 1 == tries)
        {
          g_propagate_error (error, g_steal_pointer (&own));
          return FALSE;
        }
    }
  return FALSE;
}

/* --- the same in pieces --- */

typedef struct
{
  XdsTransactAsyncFunc func;
  gpointer func_data;
  GDestroyNotify func_destroy; /* (nullable) */
  guint try, tries;
  XdsTransaction *txn; /* (nullable) owned, of this try */
} Transact;

static void
transact_free (gpointer data)
{
  Transact *self = data;

  xds_transaction_unref (self->txn);
  if (self->func_destroy != NULL)
    self->func_destroy (self->func_data);
  g_free (self);
}

static void transact_begun (GObject *source, GAsyncResult *result, gpointer data);

/* Whatever is under way has a reference to the task. */
static gboolean
transact_try (gpointer data)
{
  GTask *task = data;

  xds_client_begin_async (g_task_get_source_object (task), g_task_get_cancellable (task),
                          transact_begun, g_object_ref (task));
  return G_SOURCE_REMOVE;
}

/* @error is taken over: again after a conflict, else it is the result. */
static void
transact_failed (GTask *task, GError *error)
{
  Transact *self = g_task_get_task_data (task);
  g_autoptr (GSource) timer = NULL;

  g_clear_pointer (&self->txn, xds_transaction_unref);
  if (!g_error_matches (error, XDS_ERROR, XDS_ERROR_EAGAIN) || ++self->try == self->tries)
    {
      g_task_return_error (task, error);
      return;
    }
  g_error_free (error);
  timer = g_timeout_source_new ((pause_before (self->try) + 999) / 1000);
  g_source_set_callback (timer, transact_try, g_object_ref (task), g_object_unref);
  g_source_attach (timer, g_task_get_context (task));
}

static void
transact_committed (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = data;
  Transact *self = g_task_get_task_data (task);
  GError *error = NULL;

  if (xds_transaction_commit_finish (self->txn, result, &error))
    g_task_return_boolean (task, TRUE);
  else
    transact_failed (task, error);
}

static void
transact_body_done (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = data;
  Transact *self = g_task_get_task_data (task);
  GError *error = NULL;

  if (g_task_propagate_boolean (G_TASK (result), &error))
    xds_transaction_commit_async (self->txn, g_task_get_cancellable (task), transact_committed,
                                  g_object_ref (task));
  else if (error != NULL)
    transact_failed (task, error);
  else
    g_task_return_new_error (task, XDS_ERROR, XDS_ERROR_USAGE,
                             "The body of a transaction must return TRUE or an error.");
}

static void
transact_begun (GObject *source, GAsyncResult *result, gpointer data)
{
  XdsClient *client = XDS_CLIENT (source);
  g_autoptr (GTask) task = data;
  Transact *self = g_task_get_task_data (task);
  GError *error = NULL;

  self->txn = xds_client_begin_finish (client, result, &error);
  if (self->txn == NULL)
    g_task_return_error (task, error);
  else
    self->func (
        client, self->txn,
        g_task_new (client, g_task_get_cancellable (task), transact_body_done, g_object_ref (task)),
        self->func_data);
}

/**
 * xds_client_transact_async:
 * @client: the client
 * @max_tries: how often at most, 0 for a sensible number
 * @func: (scope notified) (closure func_data) (destroy func_destroy): what to do in the transaction
 * @func_data: for @func
 * @func_destroy: (nullable): frees @func_data when @func is not called any more
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_client_transact() does, without waiting, with a body that need not wait either.
 */
void
xds_client_transact_async (XdsClient *client, guint max_tries, XdsTransactAsyncFunc func,
                           gpointer func_data, GDestroyNotify func_destroy,
                           GCancellable *cancellable, GAsyncReadyCallback callback,
                           gpointer user_data)
{
  g_autoptr (GTask) task = NULL;
  Transact *self;

  g_return_if_fail (XDS_IS_CLIENT (client) && func != NULL);

  self = g_new (Transact, 1);
  *self = (Transact){ func, func_data, func_destroy, 0, max_tries > 0 ? max_tries : DEFAULT_TRIES,
                      NULL };
  task = g_task_new (client, cancellable, callback, user_data);
  g_task_set_source_tag (task, xds_client_transact_async);
  g_task_set_task_data (task, self, transact_free);
  transact_try (task);
}

/**
 * xds_client_transact_finish:
 * @client: the client
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_client_transact_async().
 *
 * Errors: those of xds_client_transact(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: %TRUE if it happened; %FALSE with %XDS_ERROR_EAGAIN if the tries were not enough
 */
gboolean
xds_client_transact_finish (XdsClient *client, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, client), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}
