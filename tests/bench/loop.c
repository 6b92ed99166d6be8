/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The loop of the load generator: moves bytes between peers and one server.
 *
 * Invariant: a peer's queued bytes are sent at the latest when the round that queued them ends;
 * loop->under_way is the sum over its peers.
 */

#include "tests/bench/peer.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A server that answers nothing for so long is taken for dead. */
#define PATIENCE_SECONDS 60

#define HUB 1

BenchLoop *
bench_loop_new (const char *dir, pid_t server)
{
  BenchLoop *loop = g_new0 (BenchLoop, 1);
  g_autofree char *xen = g_build_filename (dir, "xen", NULL);
  struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };

  loop->epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  loop->socket_path = g_build_filename (dir, "run", "socket", NULL);
  if (clock_getcpuclockid (server, &loop->server_clock) != 0)
    bench_die ("%s: the server is gone", loop->socket_path);
  loop->peers = g_ptr_array_new ();
  loop->guests = g_new0 (BenchPeer *, FX_DOMS);
  if (fx_open (&loop->fx, xen) != 0)
    bench_die ("%s: %s", xen, g_strerror (errno));
  loop->hub_fd = fx_hub_open (&loop->fx, HUB);
  if (loop->hub_fd < 0 || epoll_ctl (loop->epoll_fd, EPOLL_CTL_ADD, loop->hub_fd, &event))
    bench_die ("%s: the guests' event channels cannot be opened: %s", xen, g_strerror (errno));
  return loop;
}

void
bench_loop_free (BenchLoop *loop)
{
  if (loop == NULL)
    return;
  while (loop->peers->len > 0)
    bench_peer_free (loop->peers->pdata[loop->peers->len - 1]);
  g_ptr_array_unref (loop->peers);
  fx_close (&loop->fx);
  close (loop->epoll_fd);
  g_free (loop->guests);
  g_free (loop->socket_path);
  g_free (loop);
}

/* --- bytes out --- */

static void
want_write (BenchPeer *peer, gboolean wants)
{
  struct epoll_event event = { .events = EPOLLIN | (wants ? EPOLLOUT : 0), .data.ptr = peer };

  if (peer->wants_write != wants)
    epoll_ctl (peer->loop->epoll_fd, EPOLL_CTL_MOD, peer->fd, &event);
  peer->wants_write = wants;
}

static void
flush_socket (BenchPeer *peer)
{
  ssize_t n = send (peer->fd, peer->out->data, peer->out->len, MSG_DONTWAIT | MSG_NOSIGNAL);

  if (n < 0 && errno != EAGAIN)
    bench_die ("%s: the server is gone: %s", peer->loop->socket_path, g_strerror (errno));
  if (n == (ssize_t) peer->out->len)
    g_byte_array_set_size (peer->out, 0);
  else if (n > 0)
    g_byte_array_remove_range (peer->out, 0, n);
  want_write (peer, peer->out->len > 0);
}

/* Puts into the ring what fits; TRUE if something did. */
static gboolean
flush_ring (BenchPeer *peer)
{
  int n = xds_ring_write (&peer->writer, peer->out->data, peer->out->len);

  if (n < 0)
    bench_die ("the ring of domain %u is broken", peer->domid);
  if (n == (int) peer->out->len)
    g_byte_array_set_size (peer->out, 0);
  else if (n > 0)
    g_byte_array_remove_range (peer->out, 0, n);
  return n > 0;
}

void
bench_peer_flush (BenchPeer *peer)
{
  if (peer->out->len == 0)
    return;
  if (peer->page == NULL)
    flush_socket (peer);
  else if (flush_ring (peer))
    fx_notify_server (&peer->loop->fx, peer->domid);
}

/* --- bytes in --- */

static void
take_message (BenchPeer *peer, const BenchMsg *msg)
{
  if (msg->header.type != XDS_OP_WATCH_EVENT)
    {
      peer->under_way--;
      peer->loop->under_way--;
      peer->loop->answers++;
    }
  if (msg->header.type == XDS_OP_ERROR)
    peer->loop->errors++;
  peer->answer (peer, msg);
  if (msg->header.type != XDS_OP_WATCH_EVENT && peer->next != NULL && !peer->loop->stopping)
    peer->next (peer);
}

/* Handles the whole messages of @data; how many bytes they were. */
static gsize
take_messages (BenchPeer *peer, const guint8 *data, gsize len)
{
  gsize done = 0;
  BenchMsg msg;

  while (xds_msg_peek (data + done, len - done, &msg.header) == XDS_MSG_WHOLE)
    {
      msg.payload = (const char *) data + done + sizeof msg.header;
      take_message (peer, &msg);
      done += sizeof msg.header + msg.header.len;
    }
  return done;
}

static void
take_bytes (BenchPeer *peer, const guint8 *data, gsize len)
{
  if (peer->in->len == 0)
    {
      gsize done = take_messages (peer, data, len);

      g_byte_array_append (peer->in, data + done, len - done);
      return;
    }
  g_byte_array_append (peer->in, data, len);
  g_byte_array_remove_range (peer->in, 0, take_messages (peer, peer->in->data, peer->in->len));
}

static void
serve_socket (BenchPeer *peer)
{
  static guint8 bytes[65536];
  ssize_t n = recv (peer->fd, bytes, sizeof bytes, MSG_DONTWAIT);

  if (n < 0 && errno == EAGAIN)
    return;
  if (n <= 0)
    bench_die ("%s: the server closed a connection: %s", peer->loop->socket_path,
               n == 0 ? "end of file" : g_strerror (errno));
  take_bytes (peer, bytes, n);
}

/* As a Linux guest: one signal to the server after whatever was taken and put. */
static void
serve_guest (BenchLoop *loop, guint domid)
{
  BenchPeer *peer = loop->guests[domid];
  guint8 bytes[XDS_RING_SIZE];
  gboolean sent;
  int n;

  fx_guest_unmask (&loop->fx, domid);
  if (peer == NULL)
    return;
  n = xds_ring_read (&peer->reader, bytes, sizeof bytes);
  if (n < 0)
    bench_die ("the server broke the ring of domain %u", domid);
  take_bytes (peer, bytes, n);
  sent = peer->out->len > 0 && flush_ring (peer);
  if (n > 0 || sent)
    fx_notify_server (&loop->fx, domid);
}

static void
serve_hub (BenchLoop *loop)
{
  guint32 domids[1024];
  ssize_t n = read (loop->hub_fd, domids, sizeof domids);

  for (ssize_t i = 0; i < n / 4; i++)
    serve_guest (loop, domids[i] % FX_DOMS);
}

void
bench_loop_step (BenchLoop *loop, int timeout_ms)
{
  struct epoll_event events[256];
  int n = epoll_wait (loop->epoll_fd, events, 256, timeout_ms);

  for (int i = 0; i < n; i++)
    {
      BenchPeer *peer = events[i].data.ptr;

      if (peer == NULL)
        {
          serve_hub (loop);
          continue;
        }
      if (events[i].events & ~EPOLLOUT)
        serve_socket (peer);
      bench_peer_flush (peer);
    }
}

/* --- workloads --- */

static void
start_peers (BenchPeer **peers, guint n, guint depth)
{
  for (guint i = 0; i < n; i++)
    {
      for (guint k = peers[i]->under_way; k < depth; k++)
        if (peers[i]->next == NULL || !peers[i]->next (peers[i]))
          break;
      bench_peer_flush (peers[i]);
    }
}

static void
bring_home (BenchLoop *loop)
{
  double start = bench_now ();

  while (loop->under_way > 0)
    {
      guint64 before = loop->answers;

      bench_loop_step (loop, 1000);
      if (loop->answers != before)
        start = bench_now ();
      else if (bench_now () - start > PATIENCE_SECONDS)
        bench_die ("%s: %u requests were not answered within %d seconds", loop->socket_path,
                   loop->under_way, PATIENCE_SECONDS);
    }
}

/* What both ends together have used of the processor. */
static double
cpu_now (const BenchLoop *loop)
{
  struct timespec us, server;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &us);
  if (clock_gettime (loop->server_clock, &server) != 0)
    bench_die ("%s: the server is gone", loop->socket_path);
  return us.tv_sec + us.tv_nsec / 1e9 + server.tv_sec + server.tv_nsec / 1e9;
}

/* By the processor's clock a slice is not over before so much was used: on a busy machine the other
   end may not have run at all yet. */
static gboolean
slice_is_over (const BenchLoop *loop, double start, double begun, double seconds)
{
  double passed = bench_now () - start;

  if (passed < seconds || !loop->by_cpu)
    return passed >= seconds;
  return cpu_now (loop) - begun >= seconds || passed > 20 * seconds;
}

double
bench_loop_now (const BenchLoop *loop)
{
  return loop->by_cpu ? cpu_now (loop) : bench_now ();
}

double
bench_loop_slice (BenchLoop *loop, BenchPeer **peers, guint n, guint depth, double seconds)
{
  double start = bench_now (), begun = bench_loop_now (loop), used;
  guint64 before = loop->score, done;

  loop->stopping = FALSE;
  start_peers (peers, n, depth);
  do
    bench_loop_step (loop, 100);
  while (!slice_is_over (loop, start, begun, seconds));
  used = bench_loop_now (loop) - begun;
  done = loop->score - before;
  loop->stopping = TRUE;
  bring_home (loop);
  return done / used;
}

void
bench_loop_drain (BenchLoop *loop, BenchPeer **peers, guint n, guint depth)
{
  loop->stopping = FALSE;
  start_peers (peers, n, depth);
  while (loop->under_way > 0)
    bring_home (loop);
}
