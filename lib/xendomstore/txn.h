/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client.h"

G_BEGIN_DECLS

/**
 * XdsTransaction:
 *
 * One transaction: what is read in it is of one moment, what is written in it happens at once
 * or not at all.
 */
typedef struct _XdsTransaction XdsTransaction;

#define XDS_TYPE_TRANSACTION (xds_transaction_get_type ())
GType xds_transaction_get_type (void) G_GNUC_CONST;

/**
 * XdsTransactFunc:
 * @client: the client
 * @txn: the transaction, to be given to every call
 * @user_data: what was given to xds_client_transact()
 * @error: where to say why it failed
 *
 * The body of a transaction.  It may run more than once, so it must start from nothing each time.
 * It must neither commit nor abort @txn.
 *
 * Returns: %TRUE to commit; %FALSE, with @error set, to abort
 */
typedef gboolean (*XdsTransactFunc) (XdsClient *client, XdsTransaction *txn, gpointer user_data,
                                     GError **error);

/**
 * XdsTransactAsyncFunc:
 * @client: the client
 * @txn: the transaction, to be given to every call
 * @body: (transfer full): the task by which it ends: g_task_return_boolean() with %TRUE commits,
 *   g_task_return_error() aborts
 * @user_data: what was given to xds_client_transact_async()
 *
 * The body of a transaction that does not wait: it starts calls, and returns from @body when they
 * are done. It may run more than once, as an #XdsTransactFunc.
 */
typedef void (*XdsTransactAsyncFunc) (XdsClient *client, XdsTransaction *txn, GTask *body,
                                      gpointer user_data);

XdsTransaction *xds_client_begin (XdsClient *client, GError **error);
void xds_client_begin_async (XdsClient *client, GCancellable *cancellable,
                             GAsyncReadyCallback callback, gpointer user_data);
XdsTransaction *xds_client_begin_finish (XdsClient *client, GAsyncResult *result, GError **error);

gboolean xds_client_transact (XdsClient *client, guint max_tries, XdsTransactFunc func,
                              gpointer user_data, GError **error);
void xds_client_transact_async (XdsClient *client, guint max_tries, XdsTransactAsyncFunc func,
                                gpointer func_data, GDestroyNotify func_destroy,
                                GCancellable *cancellable, GAsyncReadyCallback callback,
                                gpointer user_data);
gboolean xds_client_transact_finish (XdsClient *client, GAsyncResult *result, GError **error);

XdsTransaction *xds_transaction_ref (XdsTransaction *txn);
void xds_transaction_unref (XdsTransaction *txn);
guint32 xds_transaction_get_id (XdsTransaction *txn);
gboolean xds_transaction_is_open (XdsTransaction *txn);

gboolean xds_transaction_commit (XdsTransaction *txn, GError **error);
gboolean xds_transaction_abort (XdsTransaction *txn, GError **error);

void xds_transaction_commit_async (XdsTransaction *txn, GCancellable *cancellable,
                                   GAsyncReadyCallback callback, gpointer user_data);
gboolean xds_transaction_commit_finish (XdsTransaction *txn, GAsyncResult *result,
                                        GError **error);

void xds_transaction_abort_async (XdsTransaction *txn, GCancellable *cancellable,
                                  GAsyncReadyCallback callback, gpointer user_data);
gboolean xds_transaction_abort_finish (XdsTransaction *txn, GAsyncResult *result,
                                       GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsTransaction, xds_transaction_unref)

G_END_DECLS
