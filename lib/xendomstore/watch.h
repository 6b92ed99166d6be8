/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client.h"

G_BEGIN_DECLS

/**
 * XDS_WATCH_UNLIMITED:
 *
 * The depth of a watch that reports whatever happens below its path.
 */
#define XDS_WATCH_UNLIMITED (-1)

#define XDS_TYPE_WATCH (xds_watch_get_type ())
G_DECLARE_FINAL_TYPE (XdsWatch, xds_watch, XDS, WATCH, GObject)

XdsWatch *xds_client_watch (XdsClient *client, const char *path, int depth, GError **error);
void xds_client_watch_async (XdsClient *client, const char *path, int depth,
                             GCancellable *cancellable, GAsyncReadyCallback callback,
                             gpointer user_data);
XdsWatch *xds_client_watch_finish (XdsClient *client, GAsyncResult *result, GError **error);

const char *xds_watch_get_path (XdsWatch *watch);
int xds_watch_get_depth (XdsWatch *watch);
XdsClient *xds_watch_get_client (XdsWatch *watch);
char *xds_watch_next (XdsWatch *watch, int milliseconds, GError **error);
void xds_watch_cancel (XdsWatch *watch);

char *xds_client_wait_value (XdsClient *client, const char *path, const char *value,
                             int milliseconds, gsize *ret_length, GError **error);
void xds_client_wait_value_async (XdsClient *client, const char *path, const char *value,
                                  int milliseconds, GCancellable *cancellable,
                                  GAsyncReadyCallback callback, gpointer user_data);
char *xds_client_wait_value_finish (XdsClient *client, GAsyncResult *result, gsize *ret_length,
                                    GError **error);

gboolean xds_client_watch_domains (XdsClient *client, GError **error);
void xds_client_watch_domains_async (XdsClient *client, GCancellable *cancellable,
                                     GAsyncReadyCallback callback, gpointer user_data);
gboolean xds_client_watch_domains_finish (XdsClient *client, GAsyncResult *result,
                                          GError **error);

G_END_DECLS
