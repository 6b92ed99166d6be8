/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

#define XDS_TYPE_CLIENT (xds_client_get_type ())
G_DECLARE_FINAL_TYPE (XdsClient, xds_client, XDS, CLIENT, GObject)

/* life */
XdsClient *xds_client_open (GError **error);
XdsClient *xds_client_open_path (const char *path, GError **error);
XdsClient *xds_client_open_fd (int fd, GError **error);
void xds_client_close (XdsClient *client);
gboolean xds_client_is_open (XdsClient *client);
const char *xds_client_get_path (XdsClient *client);

/* time that a synchronous call may take */
void xds_client_set_timeout (XdsClient *client, int milliseconds);
int xds_client_get_timeout (XdsClient *client);

/* with a GLib main loop */
void xds_client_attach (XdsClient *client, GMainContext *context);

/* with any other loop, or none */
int xds_client_get_fd (XdsClient *client);
GIOCondition xds_client_get_events (XdsClient *client);
gboolean xds_client_is_ready (XdsClient *client);
gboolean xds_client_dispatch (XdsClient *client, GError **error);
gboolean xds_client_wait (XdsClient *client, int milliseconds, GError **error);
gboolean xds_client_flush (XdsClient *client, GError **error);

G_END_DECLS
