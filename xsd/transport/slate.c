/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * recvmmsg() and sendmmsg() for one message, since they and no other call store the number of bytes
 * into memory of ours.  The kernel does so before it looks at signals, and the page is there, so a
 * kill comes before the call or after its outcome is noted.
 */

#include "config.h"

#include "xsd/transport/slate.h"

static void
set_header (struct mmsghdr *header, struct iovec *piece)
{
  header->msg_hdr = (struct msghdr){ .msg_iov = piece, .msg_iovlen = 1 };
}

ssize_t
xds_slate_receive (XdsSlate *self, int fd)
{
  int n;

  set_header (&self->rx, &self->in);
  n = recvmmsg (fd, &self->rx, 1, MSG_DONTWAIT, NULL);
  return n < 0 ? -1 : (ssize_t) self->rx.msg_len;
}

ssize_t
xds_slate_send (XdsSlate *self, int fd)
{
  int n;

  set_header (&self->tx, &self->out);
  n = sendmmsg (fd, &self->tx, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
  return n < 0 ? -1 : (ssize_t) self->tx.msg_len;
}
