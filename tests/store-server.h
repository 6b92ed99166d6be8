/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The engine behind a unix socket, in a thread: a server for tests of what is on the other side.
 *
 * Every domid is a domain that exists, and any may be introduced: no ring is served.
 */

#include <glib.h>

typedef struct XdsStoreServer XdsStoreServer;

/* The path is in a new folder below the temporary one. */
XdsStoreServer *xds_store_server_start (void);
XdsStoreServer *xds_store_server_start_at (const char *path);
const char *xds_store_server_path (XdsStoreServer *server);

/* How many system calls brought requests so far. */
guint xds_store_server_reads (XdsStoreServer *server);

/* The next connection is domain @domid's, as by a ring; it has the quotas of a guest. */
void xds_store_server_be_guest (XdsStoreServer *server, guint domid);

/* Sets a quota of all. */
void xds_store_server_set_quota (XdsStoreServer *server, const char *name, guint64 value);

/* Ends a domain, as a hypervisor would tell. */
void xds_store_server_kill (XdsStoreServer *server, guint domid);

/* Hangs up on all clients. */
void xds_store_server_hang_up (XdsStoreServer *server);

void xds_store_server_stop (XdsStoreServer *server);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsStoreServer, xds_store_server_stop)
