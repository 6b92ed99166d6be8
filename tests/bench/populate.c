/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Filling a store as fast as the server takes it: many requests under way on one connection. */

#include "tests/bench/work.h"

#define DEPTH 64
#define PER_FOLDER 1000

typedef struct
{
  const char *dir, *value;
  guint at, n;
  gboolean flat;
} Filling;

static gboolean
next_node (BenchPeer *peer)
{
  Filling *filling = peer->data;
  char payload[256];
  int len;

  if (filling->at == filling->n)
    return FALSE;
  if (filling->flat)
    len = g_snprintf (payload, sizeof payload, "%s/%06u", filling->dir, filling->at);
  else
    len = g_snprintf (payload, sizeof payload, "%s/%03u/%03u", filling->dir,
                      filling->at / PER_FOLDER, filling->at % PER_FOLDER);
  len += 1 + g_snprintf (payload + len + 1, sizeof payload - len - 1, "%s", filling->value);
  filling->at++;
  bench_peer_queue (peer, XDS_OP_WRITE, 0, payload, len);
  return TRUE;
}

static void
fill (BenchServer *server, Filling *filling)
{
  BenchPeer *peer = bench_peer_connect (server->loop);
  guint64 errors = server->loop->errors;

  peer->data = filling;
  peer->next = next_node;
  bench_loop_drain (server->loop, &peer, 1, DEPTH);
  bench_peer_free (peer);
  if (server->loop->errors != errors)
    bench_die ("%s: nodes could not be made", server->loop->socket_path);
}

void
bench_populate (BenchServer *server, const char *dir, guint from, guint n, const char *value)
{
  Filling filling = { dir, value, from, n, FALSE };

  fill (server, &filling);
}

void
bench_populate_flat (BenchServer *server, const char *dir, guint from, guint n, const char *value)
{
  Filling filling = { dir, value, from, n, TRUE };

  fill (server, &filling);
}

BenchPeer **
bench_watch_elsewhere (BenchServer *server, guint n_peers, guint each)
{
  BenchPeer **peers = g_new (BenchPeer *, n_peers);

  for (guint i = 0; i < n_peers; i++)
    {
      peers[i] = bench_peer_connect (server->loop);
      for (guint k = 0; k < each; k++)
        {
          g_autofree char *path = g_strdup_printf ("/elsewhere/%u/%u", i, k);

          bench_peer_do (peers[i], XDS_OP_WATCH, path, "token");
        }
    }
  return peers;
}

void
bench_free_peers (BenchPeer **peers, guint n)
{
  for (guint i = 0; i < n; i++)
    bench_peer_free (peers[i]);
  g_free (peers);
}
