/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "txn.h"

G_BEGIN_DECLS

/* at once */
char *xds_client_read (XdsClient *client, XdsTransaction *txn, const char *path,
                       gsize *ret_length, GError **error);
gboolean xds_client_write (XdsClient *client, XdsTransaction *txn, const char *path,
                           const char *value, gssize length, GError **error);
gboolean xds_client_mkdir (XdsClient *client, XdsTransaction *txn, const char *path,
                           GError **error);
gboolean xds_client_remove (XdsClient *client, XdsTransaction *txn, const char *path,
                            GError **error);
gboolean xds_client_exists (XdsClient *client, XdsTransaction *txn, const char *path,
                            GError **error);
char **xds_client_list (XdsClient *client, XdsTransaction *txn, const char *path, GError **error);
char **xds_client_get_permissions (XdsClient *client, XdsTransaction *txn, const char *path,
                                   GError **error);
gboolean xds_client_set_permissions (XdsClient *client, XdsTransaction *txn, const char *path,
                                     const char *const *permissions, GError **error);

/* later */
void xds_client_read_async (XdsClient *client, XdsTransaction *txn, const char *path,
                            GCancellable *cancellable, GAsyncReadyCallback callback,
                            gpointer user_data);
char *xds_client_read_finish (XdsClient *client, GAsyncResult *result, gsize *ret_length,
                              GError **error);

void xds_client_write_async (XdsClient *client, XdsTransaction *txn, const char *path,
                             const char *value, gssize length, GCancellable *cancellable,
                             GAsyncReadyCallback callback, gpointer user_data);
gboolean xds_client_write_finish (XdsClient *client, GAsyncResult *result, GError **error);

void xds_client_mkdir_async (XdsClient *client, XdsTransaction *txn, const char *path,
                             GCancellable *cancellable, GAsyncReadyCallback callback,
                             gpointer user_data);
gboolean xds_client_mkdir_finish (XdsClient *client, GAsyncResult *result, GError **error);

void xds_client_remove_async (XdsClient *client, XdsTransaction *txn, const char *path,
                              GCancellable *cancellable, GAsyncReadyCallback callback,
                              gpointer user_data);
gboolean xds_client_remove_finish (XdsClient *client, GAsyncResult *result, GError **error);

void xds_client_exists_async (XdsClient *client, XdsTransaction *txn, const char *path,
                              GCancellable *cancellable, GAsyncReadyCallback callback,
                              gpointer user_data);
gboolean xds_client_exists_finish (XdsClient *client, GAsyncResult *result, GError **error);

void xds_client_list_async (XdsClient *client, XdsTransaction *txn, const char *path,
                            GCancellable *cancellable, GAsyncReadyCallback callback,
                            gpointer user_data);
char **xds_client_list_finish (XdsClient *client, GAsyncResult *result, GError **error);

void xds_client_get_permissions_async (XdsClient *client, XdsTransaction *txn, const char *path,
                                       GCancellable *cancellable, GAsyncReadyCallback callback,
                                       gpointer user_data);
char **xds_client_get_permissions_finish (XdsClient *client, GAsyncResult *result,
                                          GError **error);

void xds_client_set_permissions_async (XdsClient *client, XdsTransaction *txn, const char *path,
                                       const char *const *permissions,
                                       GCancellable *cancellable, GAsyncReadyCallback callback,
                                       gpointer user_data);
gboolean xds_client_set_permissions_finish (XdsClient *client, GAsyncResult *result,
                                            GError **error);

G_END_DECLS
