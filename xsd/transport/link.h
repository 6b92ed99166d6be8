/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the two transports have in common: a peer of the engine, and its turn in the loop.  The
 * engine's peer_ready and peer_failed callbacks need no more than this, whichever it is.
 */

#include "xsd/core/engine.h"
#include "xsd/transport/loop.h"

/* Requests that one peer may have executed in one turn while others wait. */
#define XDS_LINK_BUDGET 32

typedef struct
{
  XdsLoopItem item;   /* must be first */
  XdsPeer *peer;      /* (not owned) the engine's */
  guint8 serving : 1; /* inside xds_peer_serve() for this very peer */
  guint8 failed : 1;  /* broke the protocol */
  guint8 ring_error;  /* why, as a ring says it */
  /* The rest is of the socket alone; it is here because there is room. */
  guint8 readable : 1; /* bytes may wait in the kernel */
  guint8 blocked : 1;  /* the kernel takes no more bytes now */
  guint8 eof : 1;      /* nothing will come any more */
  guint8 deaf : 1;     /* nobody hears what we say */
  guint8 hung_up : 1;
} XdsLink;

/*
 * The engine has something for the peer.  Not while it is served: its turn goes on to send
 * whatever that gave.
 */
static inline void
xds_link_ready (XdsLoop *loop, XdsLink *link)
{
  if (link != NULL && !link->serving)
    xds_loop_ready (loop, &link->item);
}

static inline void
xds_link_failed (XdsLoop *loop, XdsLink *link, guint ring_error)
{
  if (link == NULL)
    return;
  link->failed = TRUE;
  link->ring_error = ring_error;
  xds_loop_ready (loop, &link->item);
}

/* Serves @link's peer for one turn; TRUE if requests are left that could be served at once. */
static inline gboolean
xds_link_serve (XdsLink *link)
{
  gboolean more;

  link->serving = TRUE;
  more = xds_peer_serve (link->peer, XDS_LINK_BUDGET);
  link->serving = FALSE;
  return more;
}
