/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client.h"

G_BEGIN_DECLS

/**
 * XDS_GLOBAL:
 *
 * In place of a domain id: the value that holds for every domain without one of its own.
 */
#define XDS_GLOBAL (-1)

/**
 * XdsFeatures:
 * @XDS_FEATURES_NONE: none
 * @XDS_FEATURES_RECONNECTION: a guest may ask for a new start of its ring
 * @XDS_FEATURES_ERROR: the ring says why it was given up
 * @XDS_FEATURES_WATCH_DEPTH: watches may have a depth
 * @XDS_FEATURES_DOMID_ANY: a permission may name all domains
 *
 * What a server offers.
 */
typedef enum
{
  XDS_FEATURES_NONE = 0,
  XDS_FEATURES_RECONNECTION = 1 << 0,
  XDS_FEATURES_ERROR = 1 << 1,
  XDS_FEATURES_WATCH_DEPTH = 1 << 2,
  XDS_FEATURES_DOMID_ANY = 1 << 3,
} XdsFeatures;

gboolean xds_client_get_features (XdsClient *client, int domid, XdsFeatures *ret_features,
                                  GError **error);
void xds_client_get_features_async (XdsClient *client, int domid, GCancellable *cancellable,
                                    GAsyncReadyCallback callback, gpointer user_data);
gboolean xds_client_get_features_finish (XdsClient *client, GAsyncResult *result,
                                         XdsFeatures *ret_features, GError **error);

gboolean xds_client_set_features (XdsClient *client, guint domid, XdsFeatures features,
                                  GError **error);
void xds_client_set_features_async (XdsClient *client, guint domid, XdsFeatures features,
                                    GCancellable *cancellable, GAsyncReadyCallback callback,
                                    gpointer user_data);
gboolean xds_client_set_features_finish (XdsClient *client, GAsyncResult *result,
                                         GError **error);

char **xds_client_list_quotas (XdsClient *client, GError **error);
void xds_client_list_quotas_async (XdsClient *client, GCancellable *cancellable,
                                   GAsyncReadyCallback callback, gpointer user_data);
char **xds_client_list_quotas_finish (XdsClient *client, GAsyncResult *result, GError **error);

gboolean xds_client_get_quota (XdsClient *client, int domid, const char *name,
                               guint64 *ret_value, GError **error);
void xds_client_get_quota_async (XdsClient *client, int domid, const char *name,
                                 GCancellable *cancellable, GAsyncReadyCallback callback,
                                 gpointer user_data);
gboolean xds_client_get_quota_finish (XdsClient *client, GAsyncResult *result,
                                      guint64 *ret_value, GError **error);

gboolean xds_client_set_quota (XdsClient *client, int domid, const char *name, guint64 value,
                               GError **error);
void xds_client_set_quota_async (XdsClient *client, int domid, const char *name, guint64 value,
                                 GCancellable *cancellable, GAsyncReadyCallback callback,
                                 gpointer user_data);
gboolean xds_client_set_quota_finish (XdsClient *client, GAsyncResult *result, GError **error);

char *xds_client_control (XdsClient *client, const char *const *words, GError **error);
void xds_client_control_async (XdsClient *client, const char *const *words,
                               GCancellable *cancellable, GAsyncReadyCallback callback,
                               gpointer user_data);
char *xds_client_control_finish (XdsClient *client, GAsyncResult *result, GError **error);

G_END_DECLS
