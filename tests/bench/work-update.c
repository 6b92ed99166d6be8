/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A live update of a server to itself, with 100,000 nodes, 500 guests and 500 sockets: the longest
 * time for which a client that asks all the time had no answer, and the time until whoever asked
 * for the update was told that it is done.
 */

#include "tests/bench/work.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#define VALUE "12345678"
#define UPDATES 5
#define AFTERWARDS 0.2 /* seconds: who asked may be answered before the pause */

typedef struct
{
  double last, longest, done; /* times; longest is an interval */
} Pause;

static void
note_answer (BenchPeer *peer, const BenchMsg *msg G_GNUC_UNUSED)
{
  Pause *pause = peer->data;
  double now = bench_now ();

  pause->longest = fmax (pause->longest, now - pause->last);
  pause->last = now;
}

static void
note_done (BenchPeer *peer, const BenchMsg *msg)
{
  Pause *pause = peer->data;

  if (msg->header.type != XDS_OP_CONTROL || strcmp (msg->payload, "OK") != 0)
    bench_die ("the live update failed: %.*s", (int) msg->header.len, msg->payload);
  pause->done = bench_now ();
}

/* (transfer full) */
static char *
program_of (const BenchServer *server)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/exe", server->worker);
  char *file = g_file_read_link (path, NULL);

  if (file == NULL)
    bench_die ("%s cannot be read", path);
  return file;
}

static void
ask_for_update (BenchServer *server, BenchPeer *asker)
{
  g_autofree char *file = program_of (server);
  g_autoptr (GString) words = g_string_new (NULL);

  g_string_printf (words, "live-update%c%s%c", 0, server->kind == BENCH_C ? "-f" : file, 0);
  if (server->kind == BENCH_C)
    {
      g_string_append_len (words, file, strlen (file) + 1);
      bench_peer_call (asker, XDS_OP_CONTROL, 0, words->str, words->len, NULL);
      g_string_printf (words, "live-update%c-s%c-t%c60%c", 0, 0, 0, 0);
    }
  bench_peer_queue (asker, XDS_OP_CONTROL, 0, words->str, words->len);
  bench_peer_flush (asker);
}

static void
update (BenchServer *server, double *ret_pause, double *ret_whole)
{
  BenchPeer *asker = bench_peer_connect (server->loop), *client = bench_peer_connect (server->loop);
  Pause pause = { .longest = 0 };
  double start;

  bench_peer_repeat (client, XDS_OP_READ, "/update/000/001", NULL);
  client->answer = note_answer;
  client->data = &pause;
  asker->answer = note_done;
  asker->data = &pause;
  start = pause.last = bench_now ();
  ask_for_update (server, asker);
  client->next (client);
  bench_peer_flush (client);
  while (pause.done == 0 || bench_now () - pause.done < AFTERWARDS)
    bench_loop_step (server->loop, 10);
  *ret_pause = pause.longest * 1e3;
  *ret_whole = (pause.done - start) * 1e3;
  client->next = NULL;
  while (server->loop->under_way > 0)
    bench_loop_step (server->loop, 10);
  bench_peer_free (client);
  bench_peer_free (asker);
  bench_server_updated (server);
}

static void
measure (BenchRun *run, BenchKind kind, double *ret_pause, double *ret_whole)
{
  g_autoptr (BenchServer) server = bench_server_start (kind);
  guint n = run->quick ? 50 : 500;
  BenchPeer **sockets = bench_watch_elsewhere (server, n, 1);
  double pauses[UPDATES], wholes[UPDATES];

  bench_populate (server, "/update", 0, run->quick ? 10000 : 100000, VALUE);
  bench_server_guests (server, n, VALUE);
  for (guint i = 0; i < UPDATES; i++)
    update (server, &pauses[i], &wholes[i]);
  *ret_pause = bench_median (pauses, UPDATES);
  *ret_whole = bench_median (wholes, UPDATES);
  bench_free_peers (sockets, n);
}

void
bench_work_update (BenchRun *run)
{
  static const BenchFigure pause = { .name = "update.pause", .unit = "ms" };
  static const BenchFigure whole = { .name = "update.answer", .unit = "ms" };
  double pauses[BENCH_N_KINDS] = { NAN, NAN, NAN, NAN }, wholes[BENCH_N_KINDS];

  if (!bench_wanted (run, pause.name) && !bench_wanted (run, whole.name))
    return;
  memcpy (wholes, pauses, sizeof wholes);
  for (guint kind = BENCH_OURS; kind <= BENCH_C; kind++)
    if (run->kinds & (1u << kind))
      measure (run, kind, &pauses[kind], &wholes[kind]);
  if (bench_wanted (run, pause.name))
    bench_report (run, &pause, pauses, NAN);
  if (bench_wanted (run, whole.name))
    bench_report (run, &whole, wholes, NAN);
}
