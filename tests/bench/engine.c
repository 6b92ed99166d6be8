/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The engine alone: requests in, answers out, no system call between.  Nanoseconds of processor
 * time a request, without and with a journal by turns; and under `valgrind --tool=callgrind` the
 * same work counted in instructions, which repeats where time does not.
 *
 *   bench-engine [REQUESTS]
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "xsd/core/engine.h"
#include "xsd/wire/msg.h"
#include "xsd/wire/op-number.h"

#define ROUNDS 20
#define JOURNAL_SIZE (8 << 20)

typedef struct
{
  const char *name;
  guint types[2]; /* by turns */
  const char *payload;
  gsize len;
  guint at_once;
} Work;

#define NODE "/bench/simple/delta"
#define VALUE "0123456789abcdef"

static const Work works[] = {
  { "read", { XDS_OP_READ, XDS_OP_READ }, NODE, sizeof NODE, 1 },
  { "write", { XDS_OP_WRITE, XDS_OP_WRITE }, NODE "\0" VALUE, sizeof NODE + 16, 1 },
  { "read 16", { XDS_OP_READ, XDS_OP_READ }, NODE, sizeof NODE, 16 },
  { "write 16", { XDS_OP_WRITE, XDS_OP_WRITE }, NODE "\0" VALUE, sizeof NODE + 16, 16 },
  { "getperms 16", { XDS_OP_GET_PERMS, XDS_OP_GET_PERMS }, NODE, sizeof NODE, 16 },
  { "directory 16", { XDS_OP_DIRECTORY, XDS_OP_DIRECTORY }, "/bench/simple", 14, 16 },
  { "mkdir+rm 16", { XDS_OP_MKDIR, XDS_OP_RM }, NODE "/x", sizeof NODE + 2, 16 },
};

/* The journal starts anew where it is full: what a host would do beside is not what is measured. */
typedef struct
{
  XdsEngine *engine;
  XdsPeer *peer;
  XdsJournalSpace space;
  XdsJournalPlace at;
  guint64 end;
} Bench;

static gboolean
journal_full (void *data, gsize need G_GNUC_UNUSED)
{
  Bench *bench = data;

  bench->end = 0;
  bench->space.position += JOURNAL_SIZE;
  xds_engine_set_journal (bench->engine, &bench->space);
  return TRUE;
}

static double
now (void)
{
  struct timespec ts;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &ts);
  return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void
put (XdsPeer *peer, guint type, guint tx_id, const char *payload, gsize len)
{
  XdsMsgHeader header = { type, 1, tx_id, len };
  guint8 *room;

  if (xds_peer_input (peer, &room) < sizeof header + len)
    abort ();
  memcpy (room, &header, sizeof header);
  memcpy (room + sizeof header, payload, len);
  xds_peer_filled (peer, sizeof header + len);
}

static void
drain (XdsPeer *peer)
{
  const guint8 *bytes;
  gsize n;

  while ((n = xds_peer_output (peer, &bytes)) > 0)
    xds_peer_drained (peer, n);
}

static void
serve (XdsPeer *peer)
{
  while (xds_peer_serve (peer, 32))
    ;
  drain (peer);
}

static void
run_simple (XdsPeer *peer, const Work *work, guint n)
{
  for (guint i = 0; i < n; i += work->at_once)
    {
      for (guint k = 0; k < work->at_once; k++)
        put (peer, work->types[k % 2], 0, work->payload, work->len);
      serve (peer);
    }
}

/* A transaction of three writes, each message a turn: five of @n requests. */
static void
run_transactions (XdsPeer *peer, const Work *work G_GNUC_UNUSED, guint n)
{
  const guint8 *bytes;

  for (guint i = 0; i < n; i += 5)
    {
      guint id;

      put (peer, XDS_OP_TRANSACTION_START, 0, "", 1);
      xds_peer_serve (peer, 1);
      xds_peer_output (peer, &bytes);
      id = strtoul ((const char *) bytes + sizeof (XdsMsgHeader), NULL, 10);
      drain (peer);
      for (guint k = 0; k < 3; k++)
        {
          put (peer, XDS_OP_WRITE, id, NODE "\0" VALUE, sizeof NODE + 16);
          serve (peer);
        }
      put (peer, XDS_OP_TRANSACTION_END, id, "T", 2);
      serve (peer);
    }
}

static void
run (Bench *bench, const char *name, void (*run) (XdsPeer *, const Work *, guint),
     const Work *work, guint n)
{
  double spent[2] = { 0, 0 };

  for (guint i = 0; i < ROUNDS * 2; i++)
    {
      double start;

      xds_engine_set_journal (bench->engine, i % 2 == 0 ? NULL : &bench->space);
      start = now ();
      run (bench->peer, work, n / ROUNDS);
      spent[i % 2] += now () - start;
    }
  printf ("%-12s %8.1f ns %8.1f ns with a journal, %+.1f %%\n", name, spent[0] * 1e9 / n,
          spent[1] * 1e9 / n, (spent[1] / spent[0] - 1) * 100);
}

int
main (int argc, char **argv)
{
  guint n = argc > 1 ? strtoul (argv[1], NULL, 10) : 2000000;
  static const XdsHost host = { .journal_full = journal_full };
  XdsSocketIdentity identity = { 1, 0, 0 };
  Bench bench = { .space = { .data = g_malloc0 (JOURNAL_SIZE), .size = JOURNAL_SIZE } };

  bench.space.end = &bench.end;
  bench.space.at = &bench.at;
  bench.engine = xds_engine_new (&host, &bench);
  bench.peer = xds_engine_add_socket_peer (bench.engine, &identity);
  for (guint i = 0; i < 8; i++)
    {
      g_autofree char *path = g_strdup_printf ("/bench/simple/child%u", i);

      xds_engine_write (bench.engine, path, VALUE, 16);
    }
  xds_engine_write (bench.engine, NODE, VALUE, 16);
  for (guint i = 0; i < G_N_ELEMENTS (works); i++)
    run (&bench, works[i].name, run_simple, &works[i], n);
  run (&bench, "transactions", run_transactions, NULL, n);
  xds_engine_free (bench.engine);
  g_free (bench.space.data);
  return 0;
}
