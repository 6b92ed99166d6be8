/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a transport is about to do to the world for one peer, noted where the end of the process
 * does not reach.  Whoever comes next sees of each step whether it was done: bytes that left the
 * kernel or a ring are not asked for twice, and bytes that went out are not sent twice.
 *
 * A step on a socket is one system call, and the kernel itself notes its outcome: msg_len of the
 * two headers lies here, and is written before the call can be interrupted for good.  A step on
 * a ring is the publishing of an index: the new one is noted before, and published again by
 * whoever comes next.
 *
 * One process writes, one after the other reads: so the order of stores in the program is
 * enough, and only the compiler has to be kept from changing it.
 */

#include "xsd/core/engine.h"

#include <sys/socket.h>
#include <sys/uio.h>

/* No outcome yet. */
#define XDS_SLATE_NONE G_MAXUINT32

typedef struct
{
  guint32 open; /* stored first and last: what stands below is of a turn that is not over */
  guint32 req_cons, rsp_prod; /* of a ring: indices that go with rx and tx */
  guint32 pad;
  guint64 peer;         /* its id */
  guint64 given, taken; /* its totals before what rx and tx say */
  struct iovec in, out;
  struct mmsghdr rx, tx; /* msg_len: bytes that came, and that went; or XDS_SLATE_NONE */
} XdsSlate;

static inline void
xds_slate_fence (void)
{
  __atomic_signal_fence (__ATOMIC_SEQ_CST);
}

static inline void
xds_slate_end (XdsSlate *self)
{
  xds_slate_fence ();
  self->open = 0;
  xds_slate_fence ();
}

static inline void
xds_slate_begin (XdsSlate *self, XdsPeer *peer)
{
  xds_slate_end (self);
  self->peer = xds_peer_id (peer);
  self->given = xds_peer_given (peer);
  self->taken = xds_peer_taken (peer);
  self->rx.msg_len = self->tx.msg_len = XDS_SLATE_NONE;
  xds_slate_fence ();
  self->open = 1;
  xds_slate_fence ();
}

/* The next bytes are to go out, or to come in: the outcome of those before is with the engine. */
static inline void
xds_slate_next_in (XdsSlate *self, XdsPeer *peer, guint8 *room, gsize len)
{
  self->rx.msg_len = XDS_SLATE_NONE;
  xds_slate_fence ();
  self->given = xds_peer_given (peer);
  self->in = (struct iovec){ room, len };
  xds_slate_fence ();
}

static inline void
xds_slate_next_out (XdsSlate *self, XdsPeer *peer, const guint8 *bytes, gsize len)
{
  self->tx.msg_len = XDS_SLATE_NONE;
  xds_slate_fence ();
  self->taken = xds_peer_taken (peer);
  self->out = (struct iovec){ (void *) bytes, len };
  xds_slate_fence ();
}

/* As recv() and send(), on a socket that does not block. */
ssize_t xds_slate_receive (XdsSlate *self, int fd);
ssize_t xds_slate_send (XdsSlate *self, int fd);

/* Of a ring: @n bytes came or went, and @index is what tells the other side. */
static inline void
xds_slate_came (XdsSlate *self, guint32 n, guint32 index)
{
  self->req_cons = index;
  xds_slate_fence ();
  self->rx.msg_len = n;
  xds_slate_fence ();
}

static inline void
xds_slate_went (XdsSlate *self, guint32 n, guint32 index)
{
  self->rsp_prod = index;
  xds_slate_fence ();
  self->tx.msg_len = n;
  xds_slate_fence ();
}
