/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A guest's side of its xenstore ring, as the kernel of a guest would drive it, and a player of
 * many guests of a simulated world in one process.
 *
 * The ring itself knows neither process nor event channel: it moves bytes when it is pumped, and
 * signals the server by a function that it is given.
 */

#include "xsd/hypervisor/sim-world.h"
#include "xsd/wire/msg.h"
#include "xsd/wire/op-number.h"
#include "xsd/wire/ring.h"

#include <glib.h>

typedef struct XdsGuestRing XdsGuestRing;

/* (owned) The payload has a NUL behind it that header.len does not count. */
typedef struct
{
  XdsMsgHeader header;
  char payload[XDS_PAYLOAD_MAX + 1];
} XdsGuestMsg;

/* @signal tells the server that the page changed. */
XdsGuestRing *xds_guest_ring_new (XdsRingPage *page, void (*signal) (void *data), void *data);
void xds_guest_ring_free (XdsGuestRing *ring);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsGuestRing, xds_guest_ring_free)

XdsRingPage *xds_guest_ring_page (XdsGuestRing *ring);

/* Moves what can be moved in both directions; TRUE if anything was.  Call it after each event. */
gboolean xds_guest_ring_pump (XdsGuestRing *ring);

/* Queues a request and pumps; as many may be queued as memory holds.  Its req_id. */
guint32 xds_guest_ring_send (XdsGuestRing *ring, guint32 type, guint32 tx_id, const void *payload,
                             gsize len);

/* Queues bytes as they are, whether they make sense or not. */
void xds_guest_ring_send_bytes (XdsGuestRing *ring, const void *bytes, gsize len);

/* Bytes that are queued and not yet in the ring. */
gsize xds_guest_ring_unsent (XdsGuestRing *ring);

/* The next whole message that came; (transfer full), or NULL.  Answers and events alike. */
XdsGuestMsg *xds_guest_ring_next (XdsGuestRing *ring);

/* TRUE when the server sent what cannot be a message. */
gboolean xds_guest_ring_is_broken (XdsGuestRing *ring);

/* While deaf, the ring takes nothing out of the page. */
void xds_guest_ring_set_deaf (XdsGuestRing *ring, gboolean deaf);

/* Asks for a reconnection; nothing is moved until xds_guest_ring_reconnected() says it is done. */
void xds_guest_ring_reconnect (XdsGuestRing *ring);
gboolean xds_guest_ring_reconnected (XdsGuestRing *ring);

/* --- many guests of a simulated world --- */

typedef struct XdsGuests XdsGuests;

XdsGuests *xds_guests_new (const char *dir, GError **error);
void xds_guests_free (XdsGuests *guests);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsGuests, xds_guests_free)

/* Plays @domid, which must exist; (transfer none). */
XdsGuestRing *xds_guests_add (XdsGuests *guests, guint domid, GError **error);
void xds_guests_remove (XdsGuests *guests, guint domid);

/* Signals the server for @domid, whether its ring changed or not. */
void xds_guests_signal (XdsGuests *guests, guint domid);

/* Readable when there is an event for one of the guests. */
int xds_guests_fd (XdsGuests *guests);

/* Waits for events up to @timeout_ms (-1 for ever) and pumps the rings that had one; their number.
 */
guint xds_guests_wait (XdsGuests *guests, gint timeout_ms);

/*
 * Sends a request and waits for its answer; watch events that come meanwhile go to the end of
 * @events, if that is not NULL.  NULL when there is no answer in time.
 */
XdsGuestMsg *xds_guests_call (XdsGuests *guests, XdsGuestRing *ring, guint32 type, guint32 tx_id,
                              const void *payload, gsize len, gint timeout_ms, GQueue *events);
