/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "txn.h"

G_BEGIN_DECLS

/**
 * XdsBatch:
 *
 * Many requests that travel together: they are sent by as few system calls as possible, and
 * their answers are collected before xds_batch_run() returns.  They are executed in the order in
 * which they were added; one that fails does not stop those after it.
 */
typedef struct _XdsBatch XdsBatch;

#define XDS_TYPE_BATCH (xds_batch_get_type ())
GType xds_batch_get_type (void) G_GNUC_CONST;

XdsBatch *xds_batch_new (XdsClient *client, XdsTransaction *txn);
XdsBatch *xds_batch_ref (XdsBatch *batch);
void xds_batch_unref (XdsBatch *batch);

/* Each returns the number by which to ask for the result. */
guint xds_batch_read (XdsBatch *batch, const char *path);
guint xds_batch_write (XdsBatch *batch, const char *path, const char *value, gssize length);
guint xds_batch_mkdir (XdsBatch *batch, const char *path);
guint xds_batch_remove (XdsBatch *batch, const char *path);
guint xds_batch_list (XdsBatch *batch, const char *path);
guint xds_batch_get_permissions (XdsBatch *batch, const char *path);
guint xds_batch_set_permissions (XdsBatch *batch, const char *path,
                                 const char *const *permissions);

guint xds_batch_get_size (XdsBatch *batch);
gboolean xds_batch_run (XdsBatch *batch, GError **error);
void xds_batch_run_async (XdsBatch *batch, GCancellable *cancellable,
                          GAsyncReadyCallback callback, gpointer user_data);
gboolean xds_batch_run_finish (XdsBatch *batch, GAsyncResult *result, GError **error);

gboolean xds_batch_check (XdsBatch *batch, guint index, GError **error);
const char *xds_batch_get_value (XdsBatch *batch, guint index, gsize *ret_length,
                                 GError **error);
char **xds_batch_get_strings (XdsBatch *batch, guint index, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsBatch, xds_batch_unref)

G_END_DECLS
