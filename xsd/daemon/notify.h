/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The service manager: its sockets for us, and what it wants to hear.  The protocols are a few
 * environment variables and datagrams, so nothing is linked for them.  All calls do nothing
 * where there is no such manager.
 */

#include <glib.h>

/* First descriptor that was passed. */
#define XDS_NOTIFY_FIRST_FD 3

/* Descriptors passed to this process; forgets about them for children. */
guint xds_notify_take_fds (void);

/* Sends lines such as "READY=1"; FALSE if nobody listens. */
gboolean xds_notify_send (const char *lines);

/* How often "WATCHDOG=1" is wanted, in microseconds: half of what would kill us; 0 for never. */
gint64 xds_notify_watchdog_interval (void);
