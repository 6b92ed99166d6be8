/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What an action costs as the store grows: a curve for each row of the design's table of costs.
 * A line a point, microseconds for each server (of processor time of both ends, where requests
 * repeat: the clock would show what else the machine does); where the design says O(1) or O(own),
 * the column of ours should not move.  The servers to compare with leave a curve when a point
 * would take them longer than the rest of the benchmark, and have none when it is to be quick.
 */

#include "tests/bench/work.h"
#include "tests/bench/script.h"

#include <math.h>

#define VALUE "12345678"

typedef struct
{
  const char *name, *unit;
  const guint *points; /* ends in 0 */
  guint others_until;  /* last point for the servers that we compare with */
  guint quick_until;
  /* Brings the server from the point before to point @n. */
  void (*grow) (BenchServer *server, guint from, guint n);
  /* Microseconds. */
  double (*measure) (BenchServer *server, guint n, double seconds);
} Curve;

/* --- measuring --- */

/* Microseconds of one request of the kind, one at a time. */
static double
time_request (BenchServer *server, guint type, const char *path, const char *value, double seconds)
{
  BenchPeer *peer = bench_peer_connect (server->loop);
  double rate;

  bench_peer_repeat (peer, type, path, value);
  rate = bench_loop_slice (server->loop, &peer, 1, 8, seconds);
  bench_peer_free (peer);
  return 1e6 / rate;
}

static double
time_script (BenchServer *server, GPtrArray *script, double seconds)
{
  BenchPeer *peer = bench_peer_connect (server->loop);
  BenchPlayer *player = bench_player_new (peer, script);
  double rate = bench_loop_slice (server->loop, &peer, 1, 1, seconds);

  bench_peer_free (peer);
  bench_player_free (player);
  return 1e6 / rate;
}

static double
measure_read (BenchServer *server, guint n G_GNUC_UNUSED, double seconds)
{
  return time_request (server, XDS_OP_READ, "/curve/000/001", NULL, seconds);
}

static double
measure_write (BenchServer *server, guint n G_GNUC_UNUSED, double seconds)
{
  return time_request (server, XDS_OP_WRITE, "/curve/000/001", VALUE, seconds);
}

static double
measure_perms (BenchServer *server, guint n G_GNUC_UNUSED, double seconds)
{
  return time_request (server, XDS_OP_GET_PERMS, "/curve/000/001", NULL, seconds);
}

/* Start, write, end: three round trips. */
static double
measure_transaction (BenchServer *server, guint n G_GNUC_UNUSED, double seconds)
{
  GPtrArray *script = bench_script_new ();

  bench_script_add (script, XDS_OP_TRANSACTION_START, "", NULL);
  bench_script_add (script, XDS_OP_WRITE, "/curve/000/001", VALUE);
  bench_script_add (script, XDS_OP_TRANSACTION_END, "T", NULL);
  return time_script (server, script, seconds);
}

static gboolean
next_by_turns (BenchPeer *peer)
{
  guint32 *type = (guint32 *) peer->packet->data;

  *type = *type == XDS_OP_MKDIR ? XDS_OP_RM : XDS_OP_MKDIR;
  bench_peer_queue_packet (peer, peer->packet, 0);
  return TRUE;
}

static double
measure_child (BenchServer *server, guint n G_GNUC_UNUSED, double seconds)
{
  BenchPeer *peer = bench_peer_connect (server->loop);
  double rate;

  bench_peer_repeat (peer, XDS_OP_RM, "/curve/flat/zzz", NULL);
  peer->next = next_by_turns;
  rate = bench_loop_slice (server->loop, &peer, 1, 8, seconds);
  bench_peer_free (peer);
  return 1e6 / rate;
}

/* A whole listing by parts; the payload of the last part ends in two NULs.  Microseconds for a
   thousand children. */
static double
list_once (BenchServer *server, guint n)
{
  g_autoptr (GString) part = g_string_new (NULL);
  double start = bench_now ();
  gsize offset = 0;
  guint type;

  do
    {
      g_autofree char *words = g_strdup_printf ("/curve/flat %" G_GSIZE_FORMAT, offset);
      gsize len = strlen (words) + 1;

      *strchr (words, ' ') = '\0';
      type = bench_peer_call (server->control, XDS_OP_DIRECTORY_PART, 0, words, len, part);
      if (type != XDS_OP_DIRECTORY_PART)
        return NAN;
      offset += part->len - strlen (part->str) - 1;
    }
  while (part->len < 2 || part->str[part->len - 1] != '\0' || part->str[part->len - 2] != '\0');
  return (bench_now () - start) * 1e6 * 1000 / n;
}

static double
measure_listing (BenchServer *server, guint n, double seconds)
{
  double end = bench_now () + seconds, best = INFINITY;

  do
    best = fmin (best, list_once (server, n));
  while (bench_now () < end);
  return best;
}

/* The END of a transaction of @n writes, divided by @n. */
static double
measure_commit (BenchServer *server, guint n, double seconds)
{
  double end = bench_now () + seconds, best = INFINITY;
  g_autoptr (GString) id = g_string_new (NULL);

  do
    {
      double start;
      guint32 tx;

      bench_peer_call (server->control, XDS_OP_TRANSACTION_START, 0, "", 1, id);
      tx = g_ascii_strtoull (id->str, NULL, 10);
      for (guint i = 0; i < n; i++)
        {
          g_autofree char *path = g_strdup_printf ("/curve/commit/%u=" VALUE, i);
          gsize len = strlen (path);

          *strchr (path, '=') = '\0';
          bench_peer_call (server->control, XDS_OP_WRITE, tx, path, len, NULL);
        }
      start = bench_now ();
      bench_peer_call (server->control, XDS_OP_TRANSACTION_END, tx, "T", 2, NULL);
      best = fmin (best, (bench_now () - start) * 1e6 / n);
    }
  while (bench_now () < end);
  return best;
}

/* In a transaction that has made nodes of a depth of @n: each removal of another that stands before
   those. */
static double
measure_removal (BenchServer *server, guint n, double seconds)
{
  double end = bench_now () + seconds, best = INFINITY;
  g_autoptr (GString) id = g_string_new (NULL), deep = g_string_new ("/curve/deep");

  for (guint i = 0; i < n; i++)
    g_string_append (deep, "/a");
  do
    {
      char path[] = "/curve/a";
      double start;
      guint32 tx;

      bench_peer_call (server->control, XDS_OP_TRANSACTION_START, 0, "", 1, id);
      tx = g_ascii_strtoull (id->str, NULL, 10);
      for (char *last = path + sizeof path - 2; *last <= 'z'; ++*last)
        bench_peer_call (server->control, XDS_OP_MKDIR, tx, path, sizeof path, NULL);
      bench_peer_call (server->control, XDS_OP_MKDIR, tx, deep->str, deep->len + 1, NULL);
      start = bench_now ();
      for (char *last = path + sizeof path - 2; --*last >= 'a';)
        bench_peer_call (server->control, XDS_OP_RM, tx, path, sizeof path, NULL);
      best = fmin (best, (bench_now () - start) * 1e6 / ('z' - 'a' + 1));
      bench_peer_call (server->control, XDS_OP_TRANSACTION_END, tx, "F", 2, NULL);
    }
  while (bench_now () < end);
  return best;
}

/* A domain that owns @n nodes dies: from the interrupt until the server says so. */
static double
measure_death (BenchServer *server, guint n, double seconds G_GNUC_UNUSED)
{
  static guint domid = 20000;
  g_autofree char *home = g_strdup_printf ("/local/domain/%u", ++domid);
  g_autofree char *perm = g_strdup_printf ("n%u", domid);
  g_autoptr (GString) answer = g_string_new (NULL);
  BenchPeer *guest = bench_peer_introduce (server->loop, server->control, domid);
  double start;

  for (guint i = 0; i < n; i++)
    {
      g_autofree char *path = g_strdup_printf ("%s/%u", home, i);

      bench_peer_do (server->control, XDS_OP_WRITE, path, VALUE);
      bench_peer_do (server->control, XDS_OP_SET_PERMS, path, perm);
    }
  bench_peer_do (server->control, XDS_OP_SET_PERMS, home, perm);
  start = bench_now ();
  fx_dom_destroy (&server->loop->fx, domid);
  fx_virq (&server->loop->fx);
  do
    bench_peer_call (server->control, XDS_OP_IS_DOMAIN_INTRODUCED, 0, perm + 1, strlen (perm),
                     answer);
  while (!g_str_equal (answer->str, "F"));
  bench_peer_free (guest);
  return (bench_now () - start) * 1e6;
}

/* --- growing --- */

static void
grow_nodes (BenchServer *server, guint from, guint n)
{
  bench_populate (server, "/curve", from, n, VALUE);
}

static void
grow_flat (BenchServer *server, guint from, guint n)
{
  bench_populate_flat (server, "/curve/flat", from, n, VALUE);
}

/* A hundred watches a connection, so that no server's search for duplicates is what we see. */
static void
grow_watches (BenchServer *server, guint from, guint n)
{
  bench_peer_do (server->control, XDS_OP_WRITE, "/curve/000/001", VALUE);
  g_free (bench_watch_elsewhere (server, (n - from) / 100, 100));
}

static void
grow_peers (BenchServer *server, guint from, guint n)
{
  bench_peer_do (server->control, XDS_OP_WRITE, "/curve/000/001", VALUE);
  for (guint i = from; i < n; i++)
    bench_peer_do (bench_peer_connect (server->loop), XDS_OP_READ, "/", NULL);
}

/* Ten open transactions a connection, each of which has read something: a snapshot is held. */
static void
grow_snapshots (BenchServer *server, guint from, guint n)
{
  g_autoptr (GString) id = g_string_new (NULL);
  BenchPeer *peer = NULL;

  bench_peer_do (server->control, XDS_OP_WRITE, "/curve/000/001", VALUE);
  for (guint i = from; i < n; i++)
    {
      if (i % 10 == 0 || peer == NULL)
        peer = bench_peer_connect (server->loop);
      bench_peer_do (server->control, XDS_OP_WRITE, "/curve/000/001", VALUE);
      bench_peer_call (peer, XDS_OP_TRANSACTION_START, 0, "", 1, id);
      bench_peer_call (peer, XDS_OP_READ, g_ascii_strtoull (id->str, NULL, 10), "/curve/000/001",
                       sizeof "/curve/000/001", NULL);
    }
}

/* --- the curves --- */

static const guint by_ten[] = { 1000, 10000, 100000, 1000000, 0 };
static const guint children[] = { 10, 100, 1000, 8000, 32000, 0 };
static const guint watches[] = { 100, 1000, 10000, 100000, 0 };
static const guint peers[] = { 10, 100, 1000, 5000, 0 };
static const guint snapshots[] = { 10, 100, 1000, 0 };
static const guint owned[] = { 10, 100, 1000, 0 };
static const guint depths[] = { 10, 100, 1000, 0 };

/* The curves of one group share their servers: grow is that of the first one. */
static const Curve nodes_group[] = {
  { "nodes.read", "us", by_ten, 100000, 100000, grow_nodes, measure_read },
  { "nodes.write", "us", by_ten, 100000, 100000, grow_nodes, measure_write },
  { "nodes.getperms", "us", by_ten, 100000, 100000, grow_nodes, measure_perms },
  { "nodes.transaction", "us", by_ten, 100000, 100000, grow_nodes, measure_transaction },
};
static const Curve children_group[] = {
  { "children.mkdir+rm", "us", children, 8000, 8000, grow_flat, measure_child },
  { "children.list-1000", "us", children, 8000, 8000, grow_flat, measure_listing },
};
static const Curve watches_group[] = {
  { "watches.write", "us", watches, 10000, 10000, grow_watches, measure_write },
};
static const Curve peers_group[] = {
  { "peers.read", "us", peers, 5000, 1000, grow_peers, measure_read },
};
static const Curve snapshots_group[] = {
  { "snapshots.write", "us", snapshots, 1000, 100, grow_snapshots, measure_write },
  { "snapshots.transaction", "us", snapshots, 1000, 100, grow_snapshots, measure_transaction },
};
static const Curve commit_group[] = {
  { "commit.per-write", "us", owned, 1000, 1000, NULL, measure_commit },
};

static const Curve removal_group[] = {
  { "removal.beside-deep", "us", depths, 1000, 1000, NULL, measure_removal },
};

/* In a store of 10^6 (ours) or 10^5 nodes (the others, and quick). */
static const Curve death_group[] = {
  { "death.owned", "us", owned, 1000, 1000, NULL, measure_death },
};

static gboolean
takes_part (const BenchRun *run, const Curve *curve, guint kind, guint n)
{
  return (run->kinds & (1u << kind)) && (kind == BENCH_OURS || n <= curve->others_until);
}

static void
measure_point (BenchRun *run, const Curve *curve, BenchServer **servers, guint n)
{
  g_autofree char *name = g_strdup_printf ("curve.%s.%u", curve->name, n);
  BenchFigure figure = { name, curve->unit, BENCH_STORES, BENCH_TARGET_NONE, 0, 0, 0, 0, 0, 0 };
  double values[BENCH_N_KINDS], rounds[BENCH_N_KINDS][3];

  if (!bench_wanted (run, name))
    return;
  for (guint i = 0; i < 3; i++)
    for (guint kind = 0; kind < BENCH_N_KINDS; kind++)
      if (servers[kind] != NULL && takes_part (run, curve, kind, n))
        rounds[kind][i] = curve->measure (servers[kind], n, run->seconds);
  for (guint kind = 0; kind < BENCH_N_KINDS; kind++)
    values[kind] = servers[kind] != NULL && takes_part (run, curve, kind, n)
                       ? bench_median (rounds[kind], 3)
                       : NAN;
  bench_report (run, &figure, values, NAN);
}

static void
start_stores (const BenchRun *run, BenchServer **servers)
{
  guint kinds = run->kinds & (run->quick ? 1u << BENCH_OURS : BENCH_STORES);

  for (guint kind = 0; kind < BENCH_N_KINDS; kind++)
    servers[kind] = kinds & (1u << kind) ? bench_server_start (kind) : NULL;
}

static gboolean
group_wanted (const BenchRun *run, const Curve *curves, guint n_curves)
{
  for (guint i = 0; i < n_curves; i++)
    for (const guint *n = curves[i].points; *n != 0; n++)
      {
        g_autofree char *name = g_strdup_printf ("curve.%s.%u", curves[i].name, *n);

        if (bench_wanted (run, name))
          return TRUE;
      }
  return FALSE;
}

/* @populate: nodes to begin with. */
static void
run_group (BenchRun *run, const Curve *curves, guint n_curves, guint populate)
{
  BenchServer *servers[BENCH_N_KINDS];
  guint from = 0;

  if (!group_wanted (run, curves, n_curves))
    return;
  start_stores (run, servers);
  for (guint kind = 0; kind < BENCH_N_KINDS; kind++)
    if (servers[kind] != NULL && populate > 0)
      grow_nodes (servers[kind], 0, kind == BENCH_OURS ? populate : MIN (populate, 100000));
  for (const guint *n = curves[0].points; *n != 0; from = *n++)
    {
      if (run->quick && *n > curves[0].quick_until)
        break;
      for (guint kind = 0; kind < BENCH_N_KINDS; kind++)
        if (servers[kind] != NULL && curves[0].grow != NULL
            && takes_part (run, &curves[0], kind, *n))
          curves[0].grow (servers[kind], from, *n);
      for (guint i = 0; i < n_curves; i++)
        measure_point (run, &curves[i], servers, *n);
    }
  for (guint kind = 0; kind < BENCH_N_KINDS; kind++)
    bench_server_stop (servers[kind]);
}

#define RUN_GROUP(group, populate) run_group (run, group, G_N_ELEMENTS (group), populate)

void
bench_work_curves (BenchRun *run)
{
  RUN_GROUP (nodes_group, 0);
  RUN_GROUP (children_group, 0);
  RUN_GROUP (watches_group, 0);
  RUN_GROUP (peers_group, 0);
  RUN_GROUP (snapshots_group, 0);
  RUN_GROUP (commit_group, 0);
  RUN_GROUP (removal_group, 0);
  RUN_GROUP (death_group, run->quick ? 100000 : 1000000);
}
