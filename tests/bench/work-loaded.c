/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The same write in an empty store and in one that is full of what should not matter: watches
 * elsewhere, siblings, nodes; and what it costs that nothing of it can be lost.  And what a node
 * and an idle connection take of memory, since the stores are there to be weighed.
 */

#include "tests/bench/work.h"

#include <math.h>

#define VALUE "12345678"
#define NAME_AND_VALUE (3 + 8)

/* C xenstored needs minutes for a million nodes. */
#define OTHERS_MAX 200000

typedef struct
{
  BenchServer *empty[BENCH_N_KINDS], *loaded[BENCH_N_KINDS]; /* (owned) */
} Pair;

typedef struct
{
  BenchServer *loaded;
  BenchPeer *in_empty, *in_loaded; /* (owned) */
} Writers;

static Pair pair;

static BenchPeer *
make_writer (BenchServer *server, const char *path)
{
  BenchPeer *peer = bench_peer_connect (server->loop);

  bench_peer_do (peer, XDS_OP_WRITE, path, VALUE);
  bench_peer_repeat (peer, XDS_OP_WRITE, path, VALUE);
  return peer;
}

static void *
begin (BenchServer *server, const void *data)
{
  static const char *const paths[] = { "/load/folder/000001", "/load/000/001" };
  const BenchFigure *figure = data;
  Writers *writers = g_new0 (Writers, 1);

  writers->loaded = pair.loaded[server->kind];
  writers->in_empty = make_writer (server, paths[figure->param]);
  writers->in_loaded = make_writer (writers->loaded, paths[figure->param]);
  return writers;
}

static void
end (BenchServer *server G_GNUC_UNUSED, void *state)
{
  Writers *writers = state;

  bench_peer_free (writers->in_empty);
  bench_peer_free (writers->in_loaded);
  g_free (writers);
}

/* Each store twice, in an order that favours none. */
static double
slice (BenchServer *server, void *state, double seconds)
{
  Writers *writers = state;
  double empty, loaded;

  empty = bench_loop_slice (server->loop, &writers->in_empty, 1, 8, seconds / 2);
  loaded = bench_loop_slice (writers->loaded->loop, &writers->in_loaded, 1, 8, seconds / 2);
  loaded += bench_loop_slice (writers->loaded->loop, &writers->in_loaded, 1, 8, seconds / 2);
  empty += bench_loop_slice (server->loop, &writers->in_empty, 1, 8, seconds / 2);
  return loaded / empty;
}

#define FIGURE(name, which) \
  { name, "ratio", BENCH_STORES, BENCH_TARGET_AT_LEAST, 0.9, which, 0, begin, slice, end }
#define MEMORY_FIGURE(name, bound) \
  { name, "bytes", BENCH_STORES, BENCH_TARGET_AT_MOST, bound, 0, 0, NULL, NULL, NULL }

static const BenchFigure watches = FIGURE ("write.10k-watches.of-empty", 0);
static const BenchFigure siblings = FIGURE ("write.32k-siblings.of-empty", 0);
static const BenchFigure million = FIGURE ("write.1M-nodes.of-empty", 1);
static const BenchFigure node_memory = MEMORY_FIGURE ("memory.node", 112);
static const BenchFigure node_kept
    = { "memory.node.kept", "bytes", BENCH_STORES, BENCH_TARGET_NONE, 0, 0, 0, NULL, NULL, NULL };
static const BenchFigure peer_memory = MEMORY_FIGURE ("memory.idle-peer", 400);

/* The empty one serves without a keeper: nothing is kept of it. */
static const BenchFigure kept = { "write.kept.of-not-kept", "ratio", 1u << BENCH_OURS,
                                  BENCH_TARGET_AT_LEAST, 0.95, 1, 0, begin, slice, end };

static void
start_pairs (const BenchRun *run)
{
  for (guint kind = 0; kind < BENCH_N_KINDS; kind++)
    if (run->kinds & BENCH_STORES & (1u << kind))
      {
        pair.empty[kind] = bench_server_start (kind);
        pair.loaded[kind] = bench_server_start (kind);
      }
}

static void
stop_pairs (void)
{
  for (guint kind = 0; kind < BENCH_N_KINDS; kind++)
    {
      g_clear_pointer (&pair.empty[kind], bench_server_stop);
      g_clear_pointer (&pair.loaded[kind], bench_server_stop);
    }
}

static double
weigh_peers (BenchServer *server, guint n)
{
  gsize before = bench_server_memory (server), after;
  BenchPeer **peers = g_new (BenchPeer *, n);

  for (guint i = 0; i < n; i++)
    {
      peers[i] = bench_peer_connect (server->loop);
      bench_peer_do (peers[i], XDS_OP_READ, "/", NULL);
    }
  after = bench_server_memory (server);
  bench_free_peers (peers, n);
  return ((double) after - before) / n;
}

static double
weigh_nodes (BenchServer *server, guint n)
{
  gsize before = bench_server_memory (server);

  if (server->kind != BENCH_OURS)
    n = MIN (n, OTHERS_MAX);
  bench_populate (server, "/load", 0, n, VALUE);
  return ((double) bench_server_memory (server) - before) / n - NAME_AND_VALUE;
}

/* After weigh_nodes(): what the next process would need of them, with their names and values. */
static double
weigh_kept (BenchServer *server, guint n)
{
  return server->kind == BENCH_OURS ? (double) bench_server_kept (server) / n : NAN;
}

/* Memory is asked of the servers one by one: there is nothing to take turns in. */
static void
weigh (BenchRun *run, const BenchFigure *figure, double (*function) (BenchServer *, guint), guint n)
{
  double values[BENCH_N_KINDS];

  for (guint kind = 0; kind < BENCH_N_KINDS; kind++)
    values[kind] = pair.loaded[kind] == NULL ? NAN : function (pair.loaded[kind], n);
  bench_report (run, figure, values, NAN);
}

static void
with_watches (BenchRun *run)
{
  BenchPeer **watchers[BENCH_N_KINDS] = { 0 };
  guint n = 100, each = 100;

  for (guint kind = 0; kind < BENCH_N_KINDS; kind++)
    if (pair.loaded[kind] != NULL)
      watchers[kind] = bench_watch_elsewhere (pair.loaded[kind], n, each);
  bench_figure (run, &watches, pair.empty);
  for (guint kind = 0; kind < BENCH_N_KINDS; kind++)
    if (watchers[kind] != NULL)
      bench_free_peers (watchers[kind], n);
}

static void
with_siblings (BenchRun *run)
{
  for (guint kind = 0; kind < BENCH_N_KINDS; kind++)
    if (pair.loaded[kind] != NULL)
      bench_populate_flat (pair.loaded[kind], "/load/folder", 0, run->quick ? 8000 : 32000, VALUE);
  bench_figure (run, &siblings, pair.empty);
}

/* What it costs to go on after a death. */
static void
with_keeper (BenchRun *run)
{
  if ((run->kinds & (1u << BENCH_OURS)) == 0)
    return;
  g_setenv ("BENCH_OURS_MORE", "--no-keeper", TRUE);
  pair.empty[BENCH_OURS] = bench_server_start (BENCH_OURS);
  g_unsetenv ("BENCH_OURS_MORE");
  pair.loaded[BENCH_OURS] = bench_server_start (BENCH_OURS);
  bench_figure (run, &kept, pair.empty);
  stop_pairs ();
}

void
bench_work_loaded (BenchRun *run)
{
  if (bench_wanted (run, kept.name))
    with_keeper (run);
  start_pairs (run);
  if (bench_wanted (run, peer_memory.name))
    weigh (run, &peer_memory, weigh_peers, run->quick ? 2000 : 5000);
  if (bench_wanted (run, watches.name))
    with_watches (run);
  if (bench_wanted (run, siblings.name))
    with_siblings (run);
  stop_pairs ();
  if (bench_wanted (run, node_memory.name) || bench_wanted (run, million.name))
    {
      start_pairs (run);
      weigh (run, &node_memory, weigh_nodes, run->quick ? 100000 : 1000000);
      weigh (run, &node_kept, weigh_kept, run->quick ? 100000 : 1000000);
      bench_figure (run, &million, pair.empty);
      stop_pairs ();
    }
}
