/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A world whose engine dies.
 *
 * The clients are what a kernel would be: they know what they gave and took, and the totals in the
 * journal say how much of that counts.  What does not is given and executed once more, as a daemon
 * does after its crash; and the dump of the engine that then is must be that of the one that was.
 *
 * A death in the middle of a turn cannot be had without a crash.  But of a turn that is over and
 * does not count, since the journal's end is put back, nobody can tell how far it was.
 */

#include "tests/world-private.h"

#include <string.h>

typedef struct
{
  guint8 *data; /* (owned) */
  guint64 position, size, end;
} Piece;

struct XdsWorldJournal
{
  GRand *rand; /* (unowned) */
  GBytes *base; /* (owned) (nullable) */
  Piece pieces[2];
  guint n_pieces;
  guint n_full;
  guint n_clients; /* before the turn: who came in it comes again when it is done again */
  XdsJournalPlace at;
  guint n_deaths;
};

static guint
pick (XdsWorldJournal *self, guint n)
{
  return g_rand_int_range (self->rand, 0, n);
}

static GBytes *
dump (XdsEngine *engine)
{
  const XdsDumpHost side = { .socket_fd = -1, .evtchn_fd = -1 };

  return xds_engine_dump (engine, &side, NULL);
}

/* --- pieces --- */

static Piece *
last_piece (XdsWorldJournal *self)
{
  return &self->pieces[self->n_pieces - 1];
}

static void
tell_engine (XdsWorld *world)
{
  XdsWorldJournal *self = world->journal;
  Piece *piece = last_piece (self);
  const XdsJournalSpace space
      = { piece->data, piece->size, piece->position, &piece->end, &self->at };

  xds_engine_set_journal (world->engine, &space);
}

static void
add_piece (XdsWorld *world, guint64 position)
{
  XdsWorldJournal *self = world->journal;
  Piece *piece = &self->pieces[self->n_pieces++];

  *piece = (Piece){ .position = position, .size = XDS_JOURNAL_MIN + 8 * pick (self, 4000) };
  piece->data = g_malloc (piece->size);
  memset (piece->data, 0xa5, piece->size);
  tell_engine (world);
}

static void
drop_pieces (XdsWorldJournal *self)
{
  while (self->n_pieces > 0)
    g_free (self->pieces[--self->n_pieces].data);
}

static guint64
end_of_journal (XdsWorldJournal *self)
{
  return last_piece (self)->position + last_piece (self)->end;
}

static void
rebase (XdsWorld *world)
{
  XdsWorldJournal *self = world->journal;
  guint64 end;

  g_clear_pointer (&self->base, g_bytes_unref);
  self->base = dump (world->engine);
  end = end_of_journal (self);
  xds_engine_set_journal (world->engine, NULL);
  drop_pieces (self);
  add_piece (world, end);
}

gboolean
xds_world_journal_full (void *data, gsize need)
{
  XdsWorld *world = data;
  XdsWorldJournal *self = world->journal;

  g_assert_cmpuint (need, <=, XDS_JOURNAL_MIN);
  self->n_full++;
  if (self->n_pieces == 2)
    rebase (world);
  else
    add_piece (world, end_of_journal (self));
  return TRUE;
}

/* --- life --- */

void
xds_world_journal (XdsWorld *world, GRand *rand)
{
  g_assert_null (world->journal);
  world->journal = g_new0 (XdsWorldJournal, 1);
  world->journal->rand = rand;
  world->journal->base = dump (world->engine);
  for (guint i = 0; i < world->peers->len; i++)
    xds_world_peer_sync (world->peers->pdata[i]);
  add_piece (world, 8 * pick (world->journal, 1000));
}

void
xds_world_journal_clear (XdsWorld *world)
{
  if (world->journal == NULL)
    return;
  xds_engine_set_journal (world->engine, NULL);
  drop_pieces (world->journal);
  g_clear_pointer (&world->journal->base, g_bytes_unref);
  g_clear_pointer (&world->journal, g_free);
}

guint
xds_world_deaths (XdsWorld *world)
{
  return world->journal->n_deaths;
}

/* --- death --- */

void
xds_world_peer_sync (XdsWorldPeer *self)
{
  g_byte_array_set_size (self->sent, 0);
  self->got = 0;
  if (self->peer == NULL)
    return;
  self->given = xds_peer_given (self->peer);
  self->taken = xds_peer_taken (self->peer);
}

/* Whoever is dead writes no more, so @end holds. */
static void
bury (XdsWorld *world, guint64 end)
{
  Piece *piece = last_piece (world->journal);

  for (guint i = 0; i < world->peers->len; i++)
    ((XdsWorldPeer *) world->peers->pdata[i])->peer = NULL;
  xds_engine_free (world->engine);
  piece->end = end;
  memset (piece->data + end, 0x5a, piece->size - end);
}

static void
recover (XdsWorld *world)
{
  XdsWorldJournal *self = world->journal;
  XdsJournalPiece pieces[2];
  g_autofree char *why = NULL, *broken = NULL;
  gsize len = 0;
  const void *base = g_bytes_get_data (self->base, &len);

  for (guint i = 0; i < self->n_pieces; i++)
    pieces[i] = (XdsJournalPiece){ self->pieces[i].data, self->pieces[i].end,
                                   self->pieces[i].position };
  xds_engine_seed (g_rand_int (self->rand)); /* as in another process */
  world->engine = xds_engine_new (&xds_world_host, world);
  if (!xds_engine_recover (world->engine, base, len, pieces, self->n_pieces, NULL,
                           xds_world_peer_loaded, world, &why))
    g_error ("the journal cannot be replayed: %s", why);
  broken = xds_engine_check (world->engine);
  if (broken != NULL)
    g_error ("what was recovered is broken: %s", broken);
  tell_engine (world);
}

/* What does not count is given once more.  TRUE if there was any. */
static gboolean
give_again (XdsWorldPeer *self)
{
  g_autoptr (GByteArray) sent = NULL;
  gsize counted;

  if (self->peer == NULL)
    return FALSE;
  counted = xds_peer_given (self->peer) - self->given;
  g_assert_cmpuint (counted, <=, self->sent->len);
  if (counted == self->sent->len)
    return FALSE;
  sent = g_steal_pointer (&self->sent);
  self->sent = g_byte_array_new ();
  g_byte_array_append (self->sent, sent->data, counted);
  g_assert_cmpuint (xds_world_send_bytes (self, sent->data + counted, sent->len - counted), ==,
                    sent->len - counted);
  return TRUE;
}

static void
compare (XdsWorld *world, GBytes *was)
{
  g_autoptr (GBytes) is = dump (world->engine);
  gsize len, was_len, at = 0;
  const guint8 *data = g_bytes_get_data (is, &len), *was_data = g_bytes_get_data (was, &was_len);

  if (g_bytes_equal (is, was))
    return;
  while (at < MIN (len, was_len) && data[at] == was_data[at])
    at++;
  if (g_getenv ("XDS_TEST_KEEP") != NULL)
    {
      g_file_set_contents ("was.dump", (const char *) was_data, was_len, NULL);
      g_file_set_contents ("is.dump", (const char *) data, len, NULL);
    }
  g_error ("after death %u the dump is another one, from byte %" G_GSIZE_FORMAT " of %"
           G_GSIZE_FORMAT " on; it had %" G_GSIZE_FORMAT,
           world->journal->n_deaths, at, len, was_len);
}

/* @end: of the last piece, of what counts.  @served (nullable): had its turn, with that budget,
   which is to be done again if @undone, or if its bytes do not count. */
static void
die (XdsWorld *world, guint64 end, gboolean undone, XdsWorldPeer *served, guint budget)
{
  g_autoptr (GBytes) was = dump (world->engine);

  world->journal->n_deaths++;
  bury (world, end);
  for (guint i = world->peers->len; undone && i > world->journal->n_clients; i--)
    {
      g_hash_table_remove (world->ready, world->peers->pdata[i - 1]);
      g_ptr_array_remove_index (world->peers, i - 1);
    }
  recover (world);
  if (undone)
    served->failed = xds_peer_failed (served->peer);
  for (guint i = 0; i < world->peers->len; i++)
    {
      XdsWorldPeer *peer = world->peers->pdata[i];
      gboolean had_turn = peer->served, again = give_again (peer);

      if (peer == served ? again || undone : again && had_turn)
        xds_peer_serve (peer->peer, peer == served ? budget : G_MAXUINT);
      peer->served = had_turn;
    }
  compare (world, was);
}

void
xds_world_die (XdsWorld *world)
{
  die (world, last_piece (world->journal)->end, FALSE, NULL, 0);
}

/* --- a turn, in which the engine may die at each point --- */

static gboolean
fate (XdsWorldJournal *self)
{
  return pick (self, 20) == 0;
}

/* Takes @n bytes; TRUE if they were all that there was. */
static gboolean
take (XdsWorldPeer *self, guint budget)
{
  XdsWorld *world = self->world;
  XdsWorldJournal *journal = world->journal;
  const guint8 *bytes;
  gsize waiting = xds_peer_output (self->peer, &bytes), n = waiting;

  if (waiting == 0)
    return TRUE;
  if (pick (journal, 4) == 0)
    n = pick (journal, waiting + 1);
  g_byte_array_append (self->inbox, bytes, n);
  self->got = n;
  if (fate (journal))
    {
      die (world, last_piece (journal)->end, FALSE, self, budget);
      n -= xds_peer_taken (self->peer) - self->taken;
    }
  xds_peer_drained (self->peer, n);
  xds_world_peer_sync (self);
  return n == waiting && xds_peer_output (self->peer, &bytes) == 0;
}

/* Bytes of somebody else that do not count are made to by the turn, so that it cannot be undone
   without them. */
static gboolean
is_alone (XdsWorldPeer *self)
{
  for (guint i = 0; i < self->world->peers->len; i++)
    {
      const XdsWorldPeer *peer = self->world->peers->pdata[i];

      if (peer != self && peer->peer != NULL
          && xds_peer_given (peer->peer) - peer->given != peer->sent->len)
        return FALSE;
    }
  return TRUE;
}

gboolean
xds_world_journal_turn (XdsWorldPeer *self, guint budget)
{
  XdsWorld *world = self->world;
  XdsWorldJournal *journal = world->journal;
  gboolean more = FALSE, alone, undone;
  guint64 end;
  guint n_full;

  budget = 1 + pick (journal, budget);
  if (pick (journal, 60) == 0)
    rebase (world);
  if (fate (journal))
    die (world, last_piece (journal)->end, FALSE, NULL, 0);
  end = last_piece (journal)->end;
  n_full = journal->n_full;
  alone = is_alone (self);
  journal->n_clients = world->peers->len;
  if (!self->failed)
    more = xds_peer_serve (self->peer, budget);
  self->served = TRUE;
  if (self->peer != NULL && fate (journal))
    {
      undone = alone && n_full == journal->n_full && pick (journal, 2) == 0;
      die (world, undone ? end : last_piece (journal)->end, undone, self, budget);
    }
  if (self->asleep || self->peer == NULL)
    return FALSE;
  return !take (self, budget) || more;
}
