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
        xds_request_flush (txn->client);
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
 * Returns: %FALSE, with @error set, if the server did not answer
 */
gboolean
xds_transaction_abort (XdsTransaction *txn, GError **error)
{
  return transaction_end (txn, FALSE, error);
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
  g_autoptr (GError) error = NULL;
  XdsCall call = call_end (txn, TRUE);
  guint32 tx;

  if (!xds_call_tx (txn->client, txn, &tx, &error))
    {
      g_task_report_error (txn->client, callback, user_data, xds_transaction_commit_async,
                           g_steal_pointer (&error));
      return;
    }
  txn->open = FALSE;
  xds_call_async (txn->client, &call, xds_transaction_commit_async, cancellable, callback,
                  user_data);
}

/**
 * xds_transaction_commit_finish:
 * @txn: the transaction
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_transaction_commit_async().
 *
 * Returns: %TRUE if it happened
 */
gboolean
xds_transaction_commit_finish (XdsTransaction *txn, GAsyncResult *result, GError **error)
{
  return xds_call_finish_ok (txn->client, result, xds_transaction_commit_async, error);
}

/* --- run and run again --- */

/*
 * Two programs that meet in a conflict would meet again if both started again at once; so from the
 * third try on each waits for a random part of a time that doubles.
 */
static void
pause_before (guint try)
{
  guint limit;

  if (try < 2)
    return;
  limit = MIN (100u << MIN (try - 2, 10), PAUSE_MAX_USEC);
  g_usleep (g_random_int_range (1, limit + 1));
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

      pause_before (try);
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
