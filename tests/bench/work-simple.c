/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One peer: an operation at a time, and sixteen under way, on the socket and on a ring.  The node
 * that is read and written has the value that the echo server answers, and the folder as many
 * children, so that both move the same bytes.
 */

#include "tests/bench/work.h"

#define VALUE "0123456789abcdef"
#define DEPTH 16

typedef struct
{
  BenchPeer *peer; /* (owned) */
  guint depth;
} Single;

static void
make_nodes (BenchServer *server)
{
  static const char *const names[]
      = { "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *path = g_build_path ("/", "/bench/simple", names[i], NULL);

      bench_peer_do (server->control, XDS_OP_WRITE, path, VALUE);
    }
}

static void *
begin_socket (BenchServer *server, const void *data)
{
  const BenchFigure *figure = data;
  gboolean is_dir = figure->param == XDS_OP_DIRECTORY;
  Single *single = g_new0 (Single, 1);

  make_nodes (server);
  single->peer = bench_peer_connect (server->loop);
  single->depth = figure->param2;
  bench_peer_repeat (single->peer, figure->param,
                     is_dir ? "/bench/simple" : "/bench/simple/delta",
                     figure->param == XDS_OP_WRITE ? VALUE : NULL);
  return single;
}

/* MKDIR and RM by turns: the state of the turn is in the packet itself. */
static gboolean
next_mkdir_rm (BenchPeer *peer)
{
  guint32 *type = (guint32 *) peer->packet->data;

  *type = *type == XDS_OP_MKDIR ? XDS_OP_RM : XDS_OP_MKDIR;
  bench_peer_queue_packet (peer, peer->packet, 0);
  return TRUE;
}

static void *
begin_mkdir_rm (BenchServer *server, const void *data)
{
  Single *single = begin_socket (server, data);

  bench_peer_repeat (single->peer, XDS_OP_RM, "/bench/simple/iota", NULL);
  single->peer->next = next_mkdir_rm;
  return single;
}

static void *
begin_ring (BenchServer *server, const void *data)
{
  const BenchFigure *figure = data;
  Single *single = g_new0 (Single, 1);

  single->peer = bench_server_guests (server, 1, VALUE)[0];
  single->depth = figure->param2;
  bench_peer_repeat (single->peer, figure->param, "/local/domain/1/delta",
                     figure->param == XDS_OP_WRITE ? VALUE : NULL);
  return single;
}

static double
slice (BenchServer *server, void *state, double seconds)
{
  Single *single = state;
  guint64 errors = server->loop->errors;
  double rate = bench_loop_slice (server->loop, &single->peer, 1, single->depth, seconds);

  if (server->loop->errors != errors)
    bench_die ("%s: requests failed", server->loop->socket_path);
  return rate;
}

static void
end_socket (BenchServer *server G_GNUC_UNUSED, void *state)
{
  Single *single = state;

  bench_peer_free (single->peer);
  g_free (single);
}

/* The guest stays: it is one of the thousand later. */
static void
end_ring (BenchServer *server G_GNUC_UNUSED, void *state)
{
  g_free (state);
}

#define SOCKET_FIGURE(name, op, depth, bound, begin) \
  { name, "op/s", BENCH_ALL, BENCH_TARGET_OF_ECHO, bound, op, depth, begin, slice, end_socket }
#define RING_FIGURE(name, op) \
  { name, "op/s", BENCH_ALL, BENCH_TARGET_OF_ECHO, 0.5, op, DEPTH, begin_ring, slice, end_ring }

static const BenchFigure figures[] = {
  SOCKET_FIGURE ("pingpong.read", XDS_OP_READ, 1, 0.8, begin_socket),
  SOCKET_FIGURE ("pingpong.write", XDS_OP_WRITE, 1, 0.8, begin_socket),
  SOCKET_FIGURE ("pingpong.getperms", XDS_OP_GET_PERMS, 1, 0.8, begin_socket),
  SOCKET_FIGURE ("pingpong.directory", XDS_OP_DIRECTORY, 1, 0.8, begin_socket),
  SOCKET_FIGURE ("pingpong.mkdir+rm", XDS_OP_MKDIR, 1, 0.8, begin_mkdir_rm),
  SOCKET_FIGURE ("deep16.socket.read", XDS_OP_READ, DEPTH, 0.5, begin_socket),
  SOCKET_FIGURE ("deep16.socket.write", XDS_OP_WRITE, DEPTH, 0.5, begin_socket),
  RING_FIGURE ("deep16.ring.read", XDS_OP_READ),
  RING_FIGURE ("deep16.ring.write", XDS_OP_WRITE),
};

void
bench_work_simple (BenchRun *run, BenchServer **servers)
{
  for (guint i = 0; i < G_N_ELEMENTS (figures); i++)
    bench_figure (run, &figures[i], servers);
}
