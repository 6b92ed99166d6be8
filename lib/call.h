/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * From a call's description to its result, at once or later.  Not installed.
 *
 * An answer is kept as the bytes that came; what they mean is decided where it is asked for, by the
 * same function for synchronous calls, _finish functions and batches.
 */

#include "lib/client.h"
#include "lib/xendomstore/txn.h"

/* The payload of an answer, with a NUL behind it that is not counted. */
typedef struct
{
  char *data;
  gsize len;
} XdsAnswer;

void xds_answer_clear (XdsAnswer *answer);
void xds_answer_free (XdsAnswer *answer);
XdsAnswer *xds_answer_copy (const char *data, gsize len);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (XdsAnswer, xds_answer_clear)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsAnswer, xds_answer_free)

/* --- describing --- */

XdsCall xds_call (guint op, guint32 tx, const char *path);
XdsCall xds_call_domain (guint op, int domid);
void xds_call_add (XdsCall *call, const char *data, gsize len);

/* A string with its NUL. */
void xds_call_add_string (XdsCall *call, const char *text);

/* The id of @txn, 0 for NULL.  FALSE and an error if it is over or another client's. */
gboolean xds_call_tx (XdsClient *client, XdsTransaction *txn, guint32 *ret_tx, GError **error);

/* The same where somebody waits for a callback: FALSE, and it will be told why. */
gboolean xds_call_begin_async (XdsClient *client, XdsTransaction *txn, guint32 *ret_tx,
                               gpointer source_tag, GAsyncReadyCallback callback,
                               gpointer user_data);

/* --- running --- */

gboolean xds_call_run (XdsClient *client, const XdsCall *call, XdsAnswer *ret_answer,
                       GError **error);

/* For calls whose answer is "OK". */
gboolean xds_call_run_ok (XdsClient *client, const XdsCall *call, GError **error);

/* Asks which limit was met last; NULL with a server that does not tell. */
char *xds_call_ask_refusal (XdsClient *client);

/* Called with an answer (transfer full), or with an error (transfer full). */
typedef void (*XdsCallDone) (XdsClient *client, XdsAnswer *answer, GError *error, gpointer data);

/* Never calls @done before it returns. */
void xds_call_start (XdsClient *client, const XdsCall *call, XdsCallDone done, gpointer data);

/* Starts @call and returns its answer as the task's result. */
void xds_call_async (XdsClient *client, const XdsCall *call, gpointer source_tag,
                     GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data);
XdsAnswer *xds_call_finish (XdsClient *client, GAsyncResult *result, gpointer source_tag,
                            GError **error);
gboolean xds_call_finish_ok (XdsClient *client, GAsyncResult *result, gpointer source_tag,
                             GError **error);

/* --- meaning --- */

/* Strings that each end in a NUL, as a list. */
char **xds_answer_strings (const char *data, gsize len);

gboolean xds_answer_number (const XdsAnswer *answer, guint64 *ret_number, GError **error);
