/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The yardstick of the benchmark: a server that frames messages as a xenstore server must and
 * does nothing else.  One epoll, one read and one write for each descriptor that is ready, as many
 * requests answered at once as the read brought; rings by the Xen libraries, one notification for
 * each ring that was served.  Whatever a real server spends beyond this is spent on the store.
 *
 * It knows no nodes: READ gets 16 bytes, DIRECTORY and GET_PERMS a plausible list, the rest "OK".
 * It is no model of a robust server: a peer that does not read its answers is dropped.
 *
 *   bench-echo SOCKET
 */

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <xenevtchn.h>
#include <xengnttab.h>

#include "xsd/wire/msg.h"
#include "xsd/wire/op-number.h"
#include "xsd/wire/ring.h"

#define MAX_PORTS 65536
#define IN_SIZE 16384

typedef struct
{
  int fd;
  size_t in_len;
  uint8_t in[IN_SIZE];
} Conn;

typedef struct
{
  void *page;
  XdsRingEnd reader, writer;
  size_t in_len;
  uint8_t in[2 * XDS_MSG_MAX];
} Ring;

typedef struct
{
  size_t len;
  uint8_t bytes[IN_SIZE / sizeof (XdsMsgHeader) * (sizeof (XdsMsgHeader) + 80)];
} Out;

static int epoll_fd, listen_fd;
static xenevtchn_handle *evtchn;
static xengnttab_handle *gnttab;
static Ring *rings[MAX_PORTS];
static Out out;

static _Noreturn void
die (const char *what)
{
  fprintf (stderr, "bench-echo: %s: %s\n", what, strerror (errno));
  exit (1);
}

static void
watch_fd (int fd, void *data)
{
  struct epoll_event event = { .events = EPOLLIN, .data.ptr = data };

  if (epoll_ctl (epoll_fd, EPOLL_CTL_ADD, fd, &event))
    die ("epoll");
}

/* The one request that has a meaning: without it there would be no rings. */
static void
introduce (const char *payload, size_t len)
{
  Ring *ring = calloc (1, sizeof *ring);
  unsigned domid = strtoul (payload, NULL, 10);
  const char *last = memrchr (payload, 0, len - 1);
  int port;

  ring->page = xengnttab_map_grant_ref (gnttab, domid, 1, 3);
  port = xenevtchn_bind_interdomain (evtchn, domid, strtoul (last + 1, NULL, 10));
  if (ring->page == NULL || port <= 0 || port >= MAX_PORTS)
    die ("introduce");
  xds_ring_server_ends (ring->page, &ring->reader, &ring->writer);
  rings[port] = ring;
}

static void
answer (const XdsMsgHeader *request, const char *payload)
{
  static const char listing[] = "alpha\0beta\0gamma\0delta\0epsilon\0zeta\0eta\0theta";
  XdsMsgHeader header = *request;
  const void *body = "OK";

  header.len = 3;
  if (request->type == XDS_OP_READ)
    header.len = 16, body = "0123456789abcdef";
  else if (request->type == XDS_OP_DIRECTORY)
    header.len = sizeof listing, body = listing;
  else if (request->type == XDS_OP_GET_PERMS)
    body = "n0";
  else if (request->type == XDS_OP_TRANSACTION_START)
    header.len = 2, body = "1";
  else if (request->type == XDS_OP_INTRODUCE)
    introduce (payload, request->len);
  memcpy (out.bytes + out.len, &header, sizeof header);
  memcpy (out.bytes + out.len + sizeof header, body, header.len);
  out.len += sizeof header + header.len;
}

/* Answers every whole message in @in; the number of bytes left over, moved to the front. */
static size_t
answer_all (uint8_t *in, size_t len)
{
  size_t done = 0;
  XdsMsgHeader header;

  out.len = 0;
  while (xds_msg_peek (in + done, len - done, &header) == XDS_MSG_WHOLE)
    {
      answer (&header, (const char *) in + done + sizeof header);
      done += sizeof header + header.len;
    }
  memmove (in, in + done, len - done);
  return len - done;
}

static void
serve_conn (Conn *conn)
{
  ssize_t n = recv (conn->fd, conn->in + conn->in_len, IN_SIZE - conn->in_len, 0);

  if (n > 0)
    {
      conn->in_len = answer_all (conn->in, conn->in_len + n);
      if (out.len == 0 || send (conn->fd, out.bytes, out.len, MSG_NOSIGNAL) == (ssize_t) out.len)
        return;
    }
  close (conn->fd);
  free (conn);
}

static void
serve_ring (uint32_t port)
{
  Ring *ring = rings[port];
  int n;

  xenevtchn_unmask (evtchn, port);
  if (ring == NULL)
    return;
  n = xds_ring_read (&ring->reader, ring->in + ring->in_len, sizeof ring->in - ring->in_len);
  if (n <= 0)
    return;
  ring->in_len = answer_all (ring->in, ring->in_len + n);
  if (out.len > 0 && xds_ring_write (&ring->writer, out.bytes, out.len) != (int) out.len)
    die ("a guest asked for more than its ring can hold");
  xenevtchn_notify (evtchn, port);
}

static void
serve_events (void)
{
  uint32_t ports[1024];
  ssize_t n = read (xenevtchn_fd (evtchn), ports, sizeof ports);

  for (ssize_t i = 0; i < n / 4; i++)
    serve_ring (ports[i] % MAX_PORTS);
}

static void
accept_conn (void)
{
  Conn *conn = malloc (sizeof *conn);

  conn->in_len = 0;
  conn->fd = accept4 (listen_fd, NULL, NULL, SOCK_CLOEXEC);
  if (conn->fd < 0)
    die ("accept");
  watch_fd (conn->fd, conn);
}

static void
open_all (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };

  epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  listen_fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  strncpy (address.sun_path, path, sizeof address.sun_path - 1);
  unlink (path);
  if (bind (listen_fd, (struct sockaddr *) &address, sizeof address) || listen (listen_fd, 128))
    die (path);
  watch_fd (listen_fd, &listen_fd);
  evtchn = xenevtchn_open (NULL, 0);
  gnttab = xengnttab_open (NULL, 0);
  if (evtchn == NULL || gnttab == NULL)
    die ("event channels");
  watch_fd (xenevtchn_fd (evtchn), &evtchn);
}

int
main (int argc, char **argv)
{
  struct epoll_event events[256];

  if (argc != 2)
    {
      fprintf (stderr, "usage: bench-echo SOCKET\n");
      return 2;
    }
  open_all (argv[1]);
  for (;;)
    {
      int n = epoll_wait (epoll_fd, events, 256, -1);

      for (int i = 0; i < n; i++)
        if (events[i].data.ptr == &listen_fd)
          accept_conn ();
        else if (events[i].data.ptr == &evtchn)
          serve_events ();
        else
          serve_conn (events[i].data.ptr);
    }
}
