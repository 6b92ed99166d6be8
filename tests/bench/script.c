/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Packets are built before the clock runs; only the transaction's id is filled in on the way.
 * Each commit scores 1 in the loop.
 */

#include "tests/bench/script.h"

#include <stdlib.h>

GPtrArray *
bench_script_new (void)
{
  return g_ptr_array_new_with_free_func ((GDestroyNotify) g_byte_array_unref);
}

void
bench_script_add (GPtrArray *script, guint type, const char *path, const char *value)
{
  g_ptr_array_add (script, bench_packet (type, path, value));
}

static guint
type_at (const BenchPlayer *player, guint at)
{
  const GByteArray *packet = player->packets->pdata[at];

  return ((const XdsMsgHeader *) packet->data)->type;
}

/* No two writes of the run write the same, so that no server can think that nothing changed. */
static void
vary (BenchPlayer *player)
{
  static guint serial;
  GByteArray *packet = player->packets->pdata[player->at];
  char text[9];

  g_snprintf (text, sizeof text, "%08x", serial++);
  if (type_at (player, player->at) == XDS_OP_WRITE)
    memcpy (packet->data + packet->len - 8, text, 8);
}

static gboolean
next_of_script (BenchPeer *peer)
{
  BenchPlayer *player = peer->data;

  if (player->at == player->packets->len)
    return FALSE;
  if (player->vary)
    vary (player);
  bench_peer_queue_packet (peer, player->packets->pdata[player->at], player->tx);
  return TRUE;
}

static void
end_transaction (BenchPlayer *player, const BenchMsg *msg)
{
  player->tx = 0;
  if (msg->header.type != XDS_OP_ERROR)
    {
      player->commits++;
      player->peer->loop->score++;
    }
  else if (msg->header.len >= 6 && strcmp (msg->payload, "EAGAIN") == 0)
    {
      player->conflicts++;
      player->at = player->restart - 1;
    }
  else
    bench_die ("%s: a transaction ended with %.*s", player->peer->loop->socket_path,
               (int) msg->header.len, msg->payload);
}

static void
answer_of_script (BenchPeer *peer, const BenchMsg *msg)
{
  BenchPlayer *player = peer->data;
  guint type;

  if (msg->header.type == XDS_OP_WATCH_EVENT)
    return;
  type = type_at (player, player->at);
  if (type == XDS_OP_TRANSACTION_START)
    {
      player->restart = player->at;
      player->tx = strtoul (msg->payload, NULL, 10);
    }
  else if (type == XDS_OP_TRANSACTION_END)
    end_transaction (player, msg);
  player->at++;
  if (player->at < player->packets->len)
    return;
  if (player->finished == NULL)
    player->at = 0;
  else
    player->finished (player);
}

BenchPlayer *
bench_player_new (BenchPeer *peer, GPtrArray *packets)
{
  BenchPlayer *player = g_new0 (BenchPlayer, 1);

  player->peer = peer;
  player->packets = packets;
  peer->data = player;
  peer->next = next_of_script;
  peer->answer = answer_of_script;
  return player;
}

void
bench_player_free (BenchPlayer *player)
{
  if (player == NULL)
    return;
  g_ptr_array_unref (player->packets);
  g_free (player);
}
