/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The daemon's one loop: any number of descriptors behind one epoll descriptor, which is one
 * GSource of a GMainContext.  Beside it stands the ready list, for work that no descriptor
 * announces: a ring whose port was pending, a peer whose turn was over before its requests
 * were, a peer that somebody else's request gave something to say.
 */

#include <glib.h>
#include <sys/epoll.h>

typedef struct XdsLoop XdsLoop;
typedef struct XdsLoopItem XdsLoopItem;

/* @events is what epoll saw (EPOLL*); 0 means that its turn in the ready list came. */
typedef void (*XdsLoopFunc) (XdsLoopItem *item, guint32 events);

/* To be embedded.  All but quiet is the loop's own; the two calls that set an item up clear it. */
struct XdsLoopItem
{
  XdsLoopFunc func;
  XdsLoopItem *next, *prev; /* (nullable) neighbours in a ready list */
  int fd;                   /* (not owned) -1 if there is none */
  guint32 events;           /* asked of epoll; 0 if not registered */
  gboolean quiet;           /* its function adds and changes no source of the main context */
};

/* @context must have no other source yet: its own descriptor has to be recognised. */
XdsLoop *xds_loop_new (GMainContext *context, GError **error);
void xds_loop_free (XdsLoop *self);

/* Called at the begin and at the end of each turn, in which many items may be served. */
void xds_loop_set_hooks (XdsLoop *self, GFunc begin, GFunc end, void *data);

/* A turn at the latest at @deadline (of g_get_monotonic_time(); -1: no need). */
void xds_loop_set_deadline (XdsLoop *self, gint64 deadline);

/* An item without a descriptor. */
void xds_loop_item_init (XdsLoopItem *item, XdsLoopFunc func);

/* @fd must not be closed before xds_loop_remove(). */
gboolean xds_loop_add (XdsLoop *self, XdsLoopItem *item, int fd, guint32 events, XdsLoopFunc func,
                       GError **error);
void xds_loop_modify (XdsLoop *self, XdsLoopItem *item, guint32 events);

/* Afterwards @item is not called any more, also not in the turn that runs. */
void xds_loop_remove (XdsLoop *self, XdsLoopItem *item);

/* Puts @item at the end of the ready list, if it is on none. */
void xds_loop_ready (XdsLoop *self, XdsLoopItem *item);

/* Something of the main context was changed by a callback of a quiet item. */
void xds_loop_disturb (XdsLoop *self);

/* Turns so far, for the tests that count work. */
guint64 xds_loop_turns (const XdsLoop *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsLoop, xds_loop_free)
