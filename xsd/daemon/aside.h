/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Work on a copy of the state while serving goes on: a child of ours, which has all memory as it
 * was at one moment, and none of our descriptors.
 */

#include <gio/gio.h>

typedef struct XdsAside XdsAside;

/* In the child, for @seconds at most.  What it says comes to the other one. */
typedef gboolean (*XdsAsideWork) (gpointer data, GString *said);

/* In the loop, once: the child is gone.  @self may be freed. */
typedef void (*XdsAsideDone) (gpointer data, gboolean good, const char *said);

/* Adds a source to the default main context. */
XdsAside *xds_aside_start (XdsAsideWork work, XdsAsideDone done, gpointer data, guint seconds,
                           GError **error);

/* Ends the child if it still runs: that it failed is told, as always. */
void xds_aside_stop (XdsAside *self);

/* Ends the child if it still runs; nobody is told then. */
void xds_aside_free (XdsAside *self);
