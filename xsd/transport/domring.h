/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Domains on their shared ring: a page and an event channel each, through a hypervisor plugin.
 * The first four calls below are what the engine's host callbacks of the same names need.
 */

#include "xsd/hypervisor/hypervisor.h"
#include "xsd/transport/link.h"
#include "xsd/transport/slate.h"

typedef struct XdsRingServer XdsRingServer;

/*
 * All are borrowed, and must outlive the server.  Listens for domains that change, too, where
 * the plugin can tell: @changed is called then, once however many did.
 */
XdsRingServer *xds_ring_server_new (XdsLoop *loop, XdsEngine *engine, XdsSlate *slate,
                                    const XdsHypervisorV1 *hv, void *hv_self, GSourceFunc changed,
                                    void *data, GError **error);

/* Gives up all rings; the engine's peers stay. */
void xds_ring_server_free (XdsRingServer *self);

/* Maps the ring of @domid and binds its port: that in the page, else @port. */
XdsStatus xds_ring_server_connect (XdsRingServer *self, XdsPeer *peer, guint domid, guint port);

/* The same for a peer that was loaded, which goes on where it was.  @bound: @port is one of ours
   that was left bound (see xds_ring_server_leave); else it is the domain's. */
XdsStatus xds_ring_server_resume (XdsRingServer *self, XdsPeer *peer, guint domid, guint port,
                                  gboolean bound);

/* For a peer that was resumed: tells the domain what @slate says was under way, if it was not. */
void xds_ring_server_tell_again (XdsRingServer *self, XdsPeer *peer, const XdsSlate *slate);

/*
 * Before another program takes our place: all ports stay bound, and @return is the descriptor that
 * they live by, inherited from now on.  A negative errno where the plugin cannot do so; then the
 * other binds them again.
 */
int xds_ring_server_leave (XdsRingServer *self);

/* The port that whoever takes our place needs: ours after a leave, else the domain's. */
guint32 xds_ring_server_port (XdsRingServer *self, XdsPeer *peer);

/* Is told of changes of domains no more: only one can be. */
void xds_ring_server_deafen (XdsRingServer *self);

/* The ring of the domain that we serve from, where there is one; a warning if it fails. */
void xds_ring_server_connect_own (XdsRingServer *self);

/* Binds the port again and empties the ring, whatever state it was in. */
XdsStatus xds_ring_server_reconnect (XdsRingServer *self, XdsPeer *peer, guint port);

/* Gives the ring up.  Nothing happens if there is none. */
void xds_ring_server_disconnect (XdsRingServer *self, XdsPeer *peer);

guint xds_ring_server_count (const XdsRingServer *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsRingServer, xds_ring_server_free)
