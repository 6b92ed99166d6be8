/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The engine alone: requests in, answers out, no system call between.  Nanoseconds of processor
 * time a request, and under `valgrind --tool=callgrind` the same work counted in instructions,
 * which repeats where time does not.
 *
 *   bench-engine [REQUESTS]
 */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "xsd/core/engine.h"
#include "xsd/wire/msg.h"
#include "xsd/wire/op-number.h"

#define AT_ONCE 16

typedef struct
{
  const char *name;
  guint types[2]; /* by turns */
  const char *payload;
  gsize len;
} Work;

#define NODE "/bench/simple/delta"

static const Work works[] = {
  { "read", { XDS_OP_READ, XDS_OP_READ }, NODE, sizeof NODE },
  { "write", { XDS_OP_WRITE, XDS_OP_WRITE }, NODE "\0" "0123456789abcdef", sizeof NODE + 16 },
  { "getperms", { XDS_OP_GET_PERMS, XDS_OP_GET_PERMS }, NODE, sizeof NODE },
  { "directory", { XDS_OP_DIRECTORY, XDS_OP_DIRECTORY }, "/bench/simple", 14 },
  { "mkdir+rm", { XDS_OP_MKDIR, XDS_OP_RM }, NODE "/x", sizeof NODE + 2 },
};

static double
now (void)
{
  struct timespec ts;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &ts);
  return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void
put (XdsPeer *peer, guint type, const char *payload, gsize len)
{
  XdsMsgHeader header = { type, 1, 0, len };
  guint8 *room;

  if (xds_peer_input (peer, &room) < sizeof header + len)
    abort ();
  memcpy (room, &header, sizeof header);
  memcpy (room + sizeof header, payload, len);
  xds_peer_filled (peer, sizeof header + len);
}

static void
serve (XdsPeer *peer)
{
  const guint8 *bytes;
  gsize n;

  while (xds_peer_serve (peer, AT_ONCE))
    ;
  while ((n = xds_peer_output (peer, &bytes)) > 0)
    xds_peer_drained (peer, n);
}

static void
run (XdsPeer *peer, const Work *work, guint n)
{
  double start = now ();

  for (guint i = 0; i < n; i += AT_ONCE)
    {
      for (guint k = 0; k < AT_ONCE; k++)
        put (peer, work->types[k % 2], work->payload, work->len);
      serve (peer);
    }
  printf ("%-12s %8.1f ns\n", work->name, (now () - start) * 1e9 / n);
}

int
main (int argc, char **argv)
{
  guint n = argc > 1 ? strtoul (argv[1], NULL, 10) : 2000000;
  static const XdsHost host;
  XdsSocketIdentity identity = { 1, 0, 0 };
  XdsEngine *engine = xds_engine_new (&host, NULL);
  XdsPeer *peer = xds_engine_add_socket_peer (engine, &identity);

  for (guint i = 0; i < 8; i++)
    {
      g_autofree char *path = g_strdup_printf ("/bench/simple/child%u", i);

      xds_engine_write (engine, path, "0123456789abcdef", 16);
    }
  xds_engine_write (engine, NODE, "0123456789abcdef", 16);
  for (guint i = 0; i < G_N_ELEMENTS (works); i++)
    run (peer, &works[i], n);
  xds_engine_free (engine);
  return 0;
}
