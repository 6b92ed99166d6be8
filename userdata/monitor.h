/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What happens in the folder, whoever does it: inotify, as a descriptor and one call.
 */

#include <glib.h>

G_BEGIN_DECLS

typedef enum
{
  XDS_MONITOR_CREATED, /* somebody makes a file, and has not written it yet */
  XDS_MONITOR_STORED,  /* a name that leads to new bytes, by rename or by writing in place */
  XDS_MONITOR_VANISHED,
  XDS_MONITOR_LOST, /* the kernel dropped events, or the folder went away: look at everything */
} XdsMonitorEvent;

/* @name is NULL for LOST. */
typedef void (*XdsMonitorFunc) (XdsMonitorEvent event, const char *name, gpointer data);

typedef struct XdsMonitor XdsMonitor;

XdsMonitor *xds_monitor_new (const char *folder, GError **error);
void xds_monitor_free (XdsMonitor *monitor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsMonitor, xds_monitor_free)

/* Readable when there is something to dispatch. */
int xds_monitor_fd (XdsMonitor *monitor);

/* Tells what happened so far; never waits.  TRUE if that was all; a call tells at most a few
   thousand events. */
gboolean xds_monitor_dispatch (XdsMonitor *monitor, XdsMonitorFunc func, gpointer data);

G_END_DECLS
