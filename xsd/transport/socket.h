/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Clients on a unix stream socket, with the rights of the domain that we serve from.  The
 * socket's file mode is what keeps others out.
 */

#include "xsd/transport/link.h"
#include "xsd/transport/slate.h"

typedef struct XdsSocketServer XdsSocketServer;

/* All are borrowed, and must outlive the server. */
XdsSocketServer *xds_socket_server_new (XdsLoop *loop, XdsEngine *engine, XdsSlate *slate);

/* Closes all connections; removes the socket files that it made. */
void xds_socket_server_free (XdsSocketServer *self);

/*
 * Listens at @path, mode 0600.  A socket file that nobody serves any more is replaced;
 * G_IO_ERROR_ADDRESS_IN_USE if somebody does.
 */
gboolean xds_socket_server_listen_path (XdsSocketServer *self, const char *path, GError **error);

/* Listens at @fd, a listening unix stream socket; takes it over also on failure. */
gboolean xds_socket_server_listen_fd (XdsSocketServer *self, int fd, GError **error);

/* A connection that is there already; takes @fd over also on failure. */
gboolean xds_socket_server_add (XdsSocketServer *self, int fd, GError **error);

/* The same for a peer that was loaded, which goes on where it was. */
gboolean xds_socket_server_resume (XdsSocketServer *self, XdsPeer *peer, int fd, GError **error);

/* Listens at @fd, whose socket file at @path we made before; takes it over also on failure. */
gboolean xds_socket_server_adopt (XdsSocketServer *self, int fd, const char *path,
                                  GError **error);

/* Lets an exec inherit all descriptors; appends those of listeners, ",own:N" or ",passed:N". */
void xds_socket_server_hand_over (XdsSocketServer *self, GString *text);

/* Closes the connection of @peer, which goes, too. */
void xds_socket_server_drop (XdsSocketServer *self, XdsPeer *peer);

/* Appends the descriptors of all connections to @fds (element-type int). */
void xds_socket_server_fds (XdsSocketServer *self, GArray *fds);

/* The descriptor of the first listener; -1: there is none. */
int xds_socket_server_listener (const XdsSocketServer *self);

/* Open connections, and whether new ones wait because descriptors ran out. */
guint xds_socket_server_count (const XdsSocketServer *self);
gboolean xds_socket_server_is_paused (const XdsSocketServer *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsSocketServer, xds_socket_server_free)
