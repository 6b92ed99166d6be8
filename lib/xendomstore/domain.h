/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client.h"

G_BEGIN_DECLS

gboolean xds_client_introduce (XdsClient *client, guint domid, guint64 gfn, guint port,
                               GError **error);
gboolean xds_client_release (XdsClient *client, guint domid, GError **error);
gboolean xds_client_resume (XdsClient *client, guint domid, GError **error);
gboolean xds_client_set_target (XdsClient *client, guint domid, guint target, GError **error);
gboolean xds_client_is_introduced (XdsClient *client, guint domid, GError **error);
char *xds_client_get_domain_path (XdsClient *client, guint domid, GError **error);

void xds_client_introduce_async (XdsClient *client, guint domid, guint64 gfn, guint port,
                                 GCancellable *cancellable, GAsyncReadyCallback callback,
                                 gpointer user_data);
gboolean xds_client_introduce_finish (XdsClient *client, GAsyncResult *result, GError **error);

void xds_client_release_async (XdsClient *client, guint domid, GCancellable *cancellable,
                               GAsyncReadyCallback callback, gpointer user_data);
gboolean xds_client_release_finish (XdsClient *client, GAsyncResult *result, GError **error);

void xds_client_resume_async (XdsClient *client, guint domid, GCancellable *cancellable,
                              GAsyncReadyCallback callback, gpointer user_data);
gboolean xds_client_resume_finish (XdsClient *client, GAsyncResult *result, GError **error);

void xds_client_set_target_async (XdsClient *client, guint domid, guint target,
                                  GCancellable *cancellable, GAsyncReadyCallback callback,
                                  gpointer user_data);
gboolean xds_client_set_target_finish (XdsClient *client, GAsyncResult *result, GError **error);

void xds_client_is_introduced_async (XdsClient *client, guint domid, GCancellable *cancellable,
                                     GAsyncReadyCallback callback, gpointer user_data);
gboolean xds_client_is_introduced_finish (XdsClient *client, GAsyncResult *result,
                                          GError **error);

void xds_client_get_domain_path_async (XdsClient *client, guint domid,
                                       GCancellable *cancellable, GAsyncReadyCallback callback,
                                       gpointer user_data);
char *xds_client_get_domain_path_finish (XdsClient *client, GAsyncResult *result,
                                         GError **error);

G_END_DECLS
