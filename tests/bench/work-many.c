/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Many peers: a thousand sockets or rings active at once, and a thousand sockets open of which ten
 * are active, against ten open.
 */

#include "tests/bench/work.h"

#define VALUE "0123456789abcdef"
#define ACTIVE 10

typedef struct
{
  BenchPeer **peers; /* (owned container, elements owned unless guests) */
  guint n;
} Crowd;

static BenchPeer **
connect_many (BenchServer *server, guint n)
{
  BenchPeer **peers = g_new (BenchPeer *, n);

  for (guint i = 0; i < n; i++)
    peers[i] = bench_peer_connect (server->loop);
  return peers;
}

/* Each peer reads or writes a node of its own. */
static void *
begin_sockets (BenchServer *server, const void *data)
{
  const BenchFigure *figure = data;
  Crowd *crowd = g_new0 (Crowd, 1);

  crowd->n = figure->param2;
  crowd->peers = connect_many (server, crowd->n);
  for (guint i = 0; i < crowd->n; i++)
    {
      g_autofree char *path = g_strdup_printf ("/bench/many/%u", i);

      bench_peer_do (server->control, XDS_OP_WRITE, path, VALUE);
      bench_peer_repeat (crowd->peers[i], figure->param, path,
                         figure->param == XDS_OP_WRITE ? VALUE : NULL);
    }
  return crowd;
}

static void
end_sockets (BenchServer *server, void *state)
{
  Crowd *crowd = state;

  for (guint i = 0; i < crowd->n; i++)
    bench_peer_free (crowd->peers[i]);
  g_free (crowd->peers);
  g_free (crowd);
  /* The server has seen them go when it answers again. */
  bench_peer_do (server->control, XDS_OP_READ, "/", NULL);
}

static void *
begin_rings (BenchServer *server, const void *data)
{
  const BenchFigure *figure = data;
  Crowd *crowd = g_new0 (Crowd, 1);

  crowd->n = figure->param2;
  crowd->peers = bench_server_guests (server, crowd->n, VALUE);
  for (guint i = 0; i < crowd->n; i++)
    {
      g_autofree char *path = g_strdup_printf ("/local/domain/%u/delta", crowd->peers[i]->domid);

      bench_peer_repeat (crowd->peers[i], figure->param, path,
                         figure->param == XDS_OP_WRITE ? VALUE : NULL);
    }
  return crowd;
}

static void
end_rings (BenchServer *server G_GNUC_UNUSED, void *state)
{
  g_free (state);
}

static double
slice_all (BenchServer *server, void *state, double seconds)
{
  Crowd *crowd = state;
  guint64 errors = server->loop->errors;
  double rate = bench_loop_slice (server->loop, crowd->peers, crowd->n, 1, seconds);

  if (server->loop->errors != errors)
    bench_die ("%s: requests failed", server->loop->socket_path);
  return rate;
}

/* Ten active peers with nobody else; then with the rest connected and silent. */
static double
slice_idle (BenchServer *server, void *state, double seconds)
{
  Crowd *crowd = state;
  guint n_idle = 1000 - ACTIVE;
  double alone = bench_loop_slice (server->loop, crowd->peers, crowd->n, 1, seconds), crowded;
  BenchPeer **idle = connect_many (server, n_idle);

  bench_peer_do (idle[n_idle - 1], XDS_OP_READ, "/", NULL);
  crowded = bench_loop_slice (server->loop, crowd->peers, crowd->n, 1, seconds);
  for (guint i = 0; i < n_idle; i++)
    bench_peer_free (idle[i]);
  g_free (idle);
  bench_peer_do (server->control, XDS_OP_READ, "/", NULL);
  return crowded / alone;
}

#define ACTIVE_FIGURE(name, op, begin, end) \
  { name, "op/s", BENCH_ALL, BENCH_TARGET_OF_ECHO, 0.5, op, 1000, begin, slice_all, end }
#define IDLE_FIGURE(name, op)                                                                 \
  { name,   "ratio",       BENCH_ALL,  BENCH_TARGET_AT_LEAST, 0.9, op,                        \
    ACTIVE, begin_sockets, slice_idle, end_sockets }

static const BenchFigure figures[] = {
  IDLE_FIGURE ("idle990.read.of-ten-alone", XDS_OP_READ),
  IDLE_FIGURE ("idle990.write.of-ten-alone", XDS_OP_WRITE),
  ACTIVE_FIGURE ("active1000.socket.read", XDS_OP_READ, begin_sockets, end_sockets),
  ACTIVE_FIGURE ("active1000.socket.write", XDS_OP_WRITE, begin_sockets, end_sockets),
  ACTIVE_FIGURE ("active1000.ring.read", XDS_OP_READ, begin_rings, end_rings),
  ACTIVE_FIGURE ("active1000.ring.write", XDS_OP_WRITE, begin_rings, end_rings),
};

void
bench_work_many (BenchRun *run, BenchServer **servers)
{
  for (guint i = 0; i < G_N_ELEMENTS (figures); i++)
    bench_figure (run, &figures[i], servers);
}
