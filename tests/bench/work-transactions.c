/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * 64 connections, each in a loop of: start, read, write, end.  Disjoint: each on its own child of
 * one parent.  Create: each makes and removes a child of its own.  Contended: all on one node,
 * where a server can only let one of those that overlap through, and must let each through some
 * time.
 */

#include "tests/bench/work.h"
#include "tests/bench/script.h"

#define N 64

typedef struct
{
  BenchPeer *peers[N];
  BenchPlayer *players[N]; /* (owned) */
} Crowd;

enum
{
  DISJOINT,
  CREATE,
  CONTENDED,
};

static GPtrArray *
make_script (guint what, const char *path)
{
  GPtrArray *script = bench_script_new ();

  bench_script_add (script, XDS_OP_TRANSACTION_START, "", NULL);
  bench_script_add (script, XDS_OP_READ, path, NULL);
  bench_script_add (script, XDS_OP_WRITE, path, "00000000");
  bench_script_add (script, XDS_OP_TRANSACTION_END, "T", NULL);
  if (what == CREATE)
    bench_script_add (script, XDS_OP_RM, path, NULL);
  return script;
}

static void *
begin (BenchServer *server, const void *data)
{
  const BenchFigure *figure = data;
  Crowd *crowd = g_new0 (Crowd, 1);

  for (guint i = 0; i < N; i++)
    {
      guint own = figure->param == CONTENDED ? 0 : i;
      g_autofree char *path = g_strdup_printf ("/bench/tx%u/%u", figure->param, own);

      bench_peer_do (server->control, XDS_OP_WRITE, path, "0");
      crowd->peers[i] = bench_peer_connect (server->loop);
      crowd->players[i] = bench_player_new (crowd->peers[i],
                                            make_script (figure->param, path));
      crowd->players[i]->vary = TRUE;
    }
  return crowd;
}

static void
end (BenchServer *server G_GNUC_UNUSED, void *state)
{
  Crowd *crowd = state;

  for (guint i = 0; i < N; i++)
    {
      bench_peer_free (crowd->peers[i]);
      bench_player_free (crowd->players[i]);
    }
  g_free (crowd);
}

static double
slice_commits (BenchServer *server, void *state, double seconds)
{
  Crowd *crowd = state;

  return bench_loop_slice (server->loop, crowd->peers, N, 1, seconds);
}

/* Conflicts in a hundred commits. */
static double
slice_conflicts (BenchServer *server, void *state, double seconds)
{
  Crowd *crowd = state;
  guint64 commits = 0, conflicts = 0;

  for (guint i = 0; i < N; i++)
    crowd->players[i]->commits = crowd->players[i]->conflicts = 0;
  bench_loop_slice (server->loop, crowd->peers, N, 1, seconds);
  for (guint i = 0; i < N; i++)
    {
      commits += crowd->players[i]->commits;
      conflicts += crowd->players[i]->conflicts;
    }
  return commits == 0 ? 1e9 : 100.0 * conflicts / commits;
}

/* What the least lucky peer got of its fair share, over all slices so far; a slice lasts until each
   could have had four commits. */
static double
slice_share (BenchServer *server, void *state, double seconds)
{
  Crowd *crowd = state;
  guint64 least = G_MAXUINT64, sum = 0, enough = server->loop->score + 4 * N;
  double end = bench_now () + 20 * seconds;

  do
    bench_loop_slice (server->loop, crowd->peers, N, 1, seconds);
  while (server->loop->score < enough && bench_now () < end);
  for (guint i = 0; i < N; i++)
    {
      least = MIN (least, crowd->players[i]->commits);
      sum += crowd->players[i]->commits;
    }
  return sum == 0 ? 0 : (double) least * N / sum;
}

/* A tenth of the fair share is what we call progress for all. */
#define FIGURE(name, unit, target, bound, what, slice) \
  { name, unit, BENCH_STORES, target, bound, what, 0, begin, slice, end }

static const BenchFigure figures[] = {
  FIGURE ("tx64.disjoint.commits", "tx/s", BENCH_TARGET_NONE, 0, DISJOINT, slice_commits),
  FIGURE ("tx64.disjoint.EAGAIN", "%", BENCH_TARGET_AT_MOST, 0, DISJOINT, slice_conflicts),
  FIGURE ("tx64.create.commits", "tx/s", BENCH_TARGET_NONE, 0, CREATE, slice_commits),
  FIGURE ("tx64.create.EAGAIN", "%", BENCH_TARGET_AT_MOST, 0, CREATE, slice_conflicts),
  FIGURE ("tx64.contended.commits", "tx/s", BENCH_TARGET_TIMES_OXEN, 1, CONTENDED, slice_commits),
  FIGURE ("tx64.contended.EAGAIN", "%", BENCH_TARGET_NONE, 0, CONTENDED, slice_conflicts),
  FIGURE ("tx64.contended.least-share", "ratio", BENCH_TARGET_AT_LEAST, 0.1, CONTENDED,
          slice_share),
};

void
bench_work_transactions (BenchRun *run, BenchServer **servers)
{
  for (guint i = 0; i < G_N_ELEMENTS (figures); i++)
    bench_figure (run, &figures[i], servers);
}
