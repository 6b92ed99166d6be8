/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The keeper: ties the data in the folder to the lives of domains, and tells every change of it,
 * whoever made it.  One a host, in the daemon.
 *
 * It never waits: not for a lock, not for time.  Whoever runs it has a loop and either attaches
 * xds_userdata_keeper_create_source(), or polls xds_userdata_keeper_fd() and calls
 * xds_userdata_keeper_dispatch() when it is readable or when xds_userdata_keeper_next() has come.
 */

#include "userdata/store.h"
#include "userdata/sweep.h"

G_BEGIN_DECLS

typedef enum
{
  XDS_USERDATA_STORED,
  XDS_USERDATA_REMOVED,
  XDS_USERDATA_LOST, /* events were dropped: anything may have changed; no userid, domid 0 */
} XdsUserdataChange;

/* Each member may be NULL.  Called from dispatch only; must not call the keeper. */
typedef struct
{
  void (*changed) (gpointer data, guint domid, const char *userid, XdsUserdataChange change);

  /* All of a dead domain's data went. */
  void (*swept) (gpointer data, const XdsUserdataOwner *owner);

  /* Something could not be done; it is tried again if that can help. */
  void (*trouble) (gpointer data, const GError *error);
} XdsUserdataKeeperEvents;

typedef struct XdsUserdataKeeper XdsUserdataKeeper;

/* @store must outlive the keeper, and its hypervisor have all(). */
XdsUserdataKeeper *xds_userdata_keeper_new (XdsUserdataStore *store,
                                            const XdsUserdataKeeperEvents *events, gpointer data);
void xds_userdata_keeper_free (XdsUserdataKeeper *keeper);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsUserdataKeeper, xds_userdata_keeper_free)

/* Begins to watch the folder, and makes a first sweep due, which at the first start after boot
   also removes what is left of earlier boots.  On failure the keeper still sweeps when kicked. */
gboolean xds_userdata_keeper_start (XdsUserdataKeeper *keeper, GError **error);

/* From now on the dead leave their data for @seconds (will.h).  Before start. */
void xds_userdata_keeper_set_will (XdsUserdataKeeper *keeper, guint seconds);

/* Some domain came, stopped or went: a hint, as often as you like. */
void xds_userdata_keeper_kick (XdsUserdataKeeper *keeper);

/*
 * A soft reset (soft-reset.h) is seen by the next sweep after the domain shut down for it, and is
 * over when libxl stores its own data again.  Who knows these moments can say so: before anybody
 * else hears of the shutdown, and when the domain is introduced, again or for the first time.
 */
void xds_userdata_keeper_soft_reset (XdsUserdataKeeper *keeper, guint domid);
void xds_userdata_keeper_introduced (XdsUserdataKeeper *keeper, guint domid);

int xds_userdata_keeper_fd (XdsUserdataKeeper *keeper); /* -1: none */
gint64 xds_userdata_keeper_next (
    XdsUserdataKeeper *keeper); /* monotonic time; -1: nothing is due */
void xds_userdata_keeper_dispatch (XdsUserdataKeeper *keeper);

/* All of this as one source, once, after start.  (transfer full); it ends with the keeper. */
GSource *xds_userdata_keeper_create_source (XdsUserdataKeeper *keeper);

G_END_DECLS
