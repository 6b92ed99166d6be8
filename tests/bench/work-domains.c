/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Start and end of 200 domains, eight at a time, each by an xl of its own that stays connected and
 * watches, as xl does.  The servers take turns by batches; every batch finds the domains of those
 * before it, so the sum of the batches is the time for all.
 *
 * What an xl is going to say is composed before the clock starts: all xls are one process here,
 * and a fast server would wait for it.
 */

#include "tests/bench/work.h"
#include "tests/bench/xl.h"

#include <math.h>

#define AT_A_TIME 8
#define BATCHES 5
#define N_DOMAINS 200 /* a quick run as well: what the others need grows with it */
#define PATIENCE_SECONDS 60

typedef struct
{
  BenchServer *server; /* (owned) */
  BenchPlayer **xl;    /* (owned) by domid */
  guint n, next, left; /* domains in all; the next one to begin; those that have not finished */
  GPtrArray *(*script) (guint domid);
  GPtrArray **scripts; /* (owned) by domid: of the batch, until they begin */
  double seconds;
} Host;

static void begin_domain (Host *host);

static void
domain_finished (BenchPlayer *player)
{
  Host *host = player->data;

  host->left--;
  player->peer->next = NULL;
  if (host->script == bench_xl_destroy)
    {
      fx_dom_destroy (&host->server->loop->fx, player->peer->domid);
      fx_virq (&host->server->loop->fx);
    }
  begin_domain (host);
}

/* The connection of an xl, new at creation and the one that stayed at destruction. */
static BenchPeer *
xl_peer (Host *host, guint domid)
{
  BenchPlayer *old = host->xl[domid];
  BenchPeer *peer;

  if (old == NULL)
    {
      peer = bench_peer_connect (host->server->loop);
      peer->domid = domid;
      fx_dom_create (&host->server->loop->fx, domid, 1);
      return peer;
    }
  peer = old->peer;
  bench_player_free (old);
  return peer;
}

/* Begins the next domain of the batch, if there is one. */
static void
begin_domain (Host *host)
{
  guint domid = host->next;
  BenchPlayer *player;

  if (host->next > host->n)
    return;
  host->next++;
  player = bench_player_new (xl_peer (host, domid), g_steal_pointer (&host->scripts[domid]));
  player->finished = domain_finished;
  player->data = host;
  host->xl[domid] = player;
  player->peer->next (player->peer);
  bench_peer_flush (player->peer);
}

/* Does the server know that the domain is gone? */
static gboolean
is_gone (Host *host, guint domid)
{
  g_autofree char *text = g_strdup_printf ("%u", domid);
  g_autoptr (GString) answer = g_string_new (NULL);

  bench_peer_call (host->server->control, XDS_OP_IS_DOMAIN_INTRODUCED, 0, text, strlen (text) + 1,
                   answer);
  return g_str_equal (answer->str, "F");
}

static void
run_batch (Host *host, guint first, guint last)
{
  BenchLoop *loop = host->server->loop;
  double start, begun;

  for (guint domid = first; domid <= last; domid++)
    host->scripts[domid] = host->script (domid);
  start = bench_now ();
  begun = bench_loop_now (loop);
  loop->stopping = FALSE;
  host->next = first;
  host->n = last;
  host->left = last - first + 1;
  for (guint i = 0; i < AT_A_TIME; i++)
    begin_domain (host);
  while (host->left > 0)
    {
      bench_loop_step (loop, 1000);
      if (bench_now () - start > PATIENCE_SECONDS)
        bench_die ("%s: %u domains were not done within %d seconds", loop->socket_path, host->left,
                   PATIENCE_SECONDS);
    }
  if (host->script == bench_xl_destroy)
    for (guint domid = first; domid <= last; domid++)
      while (!is_gone (host, domid))
        bench_loop_step (loop, 0);
  host->seconds += bench_loop_now (loop) - begun;
}

/* All batches of one kind, the servers by turns; domains per second into @rates. */
static void
run_batches (Host *hosts, guint n_domains, GPtrArray *(*script) (guint), double *rates)
{
  guint each = n_domains / BATCHES;

  for (guint kind = 0; kind < BENCH_N_KINDS; kind++)
    {
      hosts[kind].script = script;
      hosts[kind].seconds = 0;
    }
  for (guint batch = 0; batch < BATCHES; batch++)
    for (guint kind = 0; kind < BENCH_N_KINDS; kind++)
      if (hosts[kind].server != NULL)
        run_batch (&hosts[kind], batch * each + 1, (batch + 1) * each);
  for (guint kind = 0; kind < BENCH_N_KINDS; kind++)
    rates[kind] = hosts[kind].server == NULL ? NAN : each * BATCHES / hosts[kind].seconds;
}

static const BenchFigure start_figure
    = { "domains.start", "dom/s", BENCH_STORES, BENCH_TARGET_TIMES_OXEN, 3, 0, 0, 0, 0, 0 };
static const BenchFigure end_figure
    = { "domains.end", "dom/s", BENCH_STORES, BENCH_TARGET_TIMES_BEST, 3, 0, 0, 0, 0, 0 };

static void
stop_host (Host *host, guint n_domains)
{
  for (guint i = 1; i <= n_domains; i++)
    bench_player_free (host->xl[i]);
  g_free (host->xl);
  g_free (host->scripts);
  bench_server_stop (host->server);
}

void
bench_work_domains (BenchRun *run)
{
  Host hosts[BENCH_N_KINDS] = { 0 };
  double rates[BENCH_N_KINDS];

  if (!bench_wanted (run, start_figure.name) && !bench_wanted (run, end_figure.name))
    return;
  for (guint kind = 0; kind < BENCH_N_KINDS; kind++)
    {
      hosts[kind].xl = g_new0 (BenchPlayer *, N_DOMAINS + 1);
      hosts[kind].scripts = g_new0 (GPtrArray *, N_DOMAINS + 1);
      if (run->kinds & BENCH_STORES & (1u << kind))
        hosts[kind].server = bench_server_start (kind);
    }
  run_batches (hosts, N_DOMAINS, bench_xl_create, rates);
  bench_report (run, &start_figure, rates, NAN);
  run_batches (hosts, N_DOMAINS, bench_xl_destroy, rates);
  bench_report (run, &end_figure, rates, NAN);
  for (guint kind = 0; kind < BENCH_N_KINDS; kind++)
    stop_host (&hosts[kind], N_DOMAINS);
}
