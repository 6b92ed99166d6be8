/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Transactions that meet again and again on one node: whoever always lost passes in the end, and
 * nobody pays for that who writes elsewhere, or for long.  Who lost together tries again one after
 * the other.
 */

#include "tests/world.h"

#include <stdlib.h>

#define AFTER 3 /* conflicts in a row */
#define PATIENCE 1000
#define CLIENTS 8

typedef struct
{
  XdsWorld *world;
  XdsWorldPeer *slow, *quick;
} Fixture;

static XdsStatus
say (XdsWorldPeer *peer, guint32 type, guint32 tx, const char *payload, gsize len)
{
  return xds_world_status (peer, type, tx, payload, len);
}

/* Reads and writes /hot, or another node of so long a name. */
static void
touch (XdsWorldPeer *peer, guint32 tx, const char *path)
{
  g_autofree char *payload = g_strdup_printf ("%s|x", path);

  g_assert_cmpint (say (peer, XDS_OP_READ, tx, path, 5), ==, XDS_OK);
  payload[4] = '\0';
  g_assert_cmpint (say (peer, XDS_OP_WRITE, tx, payload, 6), ==, XDS_OK);
}

static XdsStatus
commit (XdsWorldPeer *peer, guint32 tx)
{
  return say (peer, XDS_OP_TRANSACTION_END, tx, "T", 2);
}

/* A whole transaction. */
static XdsStatus
pass (XdsWorldPeer *peer, const char *path)
{
  guint32 tx = xds_world_begin (peer);

  touch (peer, tx, path);
  return commit (peer, tx);
}

static void
set_up (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->world = xds_world_new ();
  xds_engine_set_favour_after (xds_world_engine (f->world), AFTER);
  f->slow = xds_world_add_socket (f->world);
  f->quick = xds_world_add_socket (f->world);
  g_assert_cmpint (say (f->quick, XDS_OP_WRITE, 0, "/hot\0000", 6), ==, XDS_OK);
  g_assert_cmpint (say (f->quick, XDS_OP_WRITE, 0, "/far\0000", 6), ==, XDS_OK);
  g_assert_cmpint (say (f->quick, XDS_OP_SET_PERMS, 0, "/hot\0b0", 8), ==, XDS_OK);
}

static void
tear_down (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  xds_world_free (f->world);
}

/* The slow one loses @n times. */
static void
lose (Fixture *f, XdsWorldPeer *slow, guint n)
{
  while (n-- > 0)
    {
      guint32 tx = xds_world_begin (slow);

      touch (slow, tx, "/hot");
      g_assert_cmpint (pass (f->quick, "/hot"), ==, XDS_OK);
      g_assert_cmpint (commit (slow, tx), ==, XDS_EAGAIN);
    }
}

/* After conflicts enough the slow one passes, and after it the quick one again. */
static void
passes_in_the_end (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  guint32 tx;

  lose (f, f->slow, AFTER);
  tx = xds_world_begin (f->slow);
  g_assert_cmpint (pass (f->quick, "/hot"), ==, XDS_EAGAIN);
  touch (f->slow, tx, "/hot");
  g_assert_cmpint (pass (f->quick, "/hot"), ==, XDS_EAGAIN);
  g_assert_cmpint (commit (f->slow, tx), ==, XDS_OK);
  g_assert_cmpint (pass (f->quick, "/hot"), ==, XDS_OK);
  lose (f, f->slow, AFTER);
}

/* Who writes elsewhere, or without a transaction, is not kept waiting. */
static void
only_at_the_place (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  guint32 tx;

  lose (f, f->slow, AFTER);
  tx = xds_world_begin (f->slow);
  touch (f->slow, tx, "/hot");
  g_assert_cmpint (pass (f->quick, "/far"), ==, XDS_OK);
  g_assert_cmpint (say (f->quick, XDS_OP_WRITE, 0, "/hot\0001", 6), ==, XDS_OK);
  g_assert_cmpint (commit (f->slow, tx), ==, XDS_EAGAIN);
}

/* A favoured transaction that never ends, or whose client goes, does not stop the others. */
static void
not_for_ever (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  guint n = 0;

  lose (f, f->slow, AFTER);
  touch (f->slow, xds_world_begin (f->slow), "/hot");
  while (pass (f->quick, "/hot") == XDS_EAGAIN)
    g_assert_cmpuint (++n, <=, 10000);
  g_assert_cmpuint (n, >, 0);
  touch (f->slow, xds_world_begin (f->slow), "/hot");
  g_assert_cmpint (pass (f->quick, "/hot"), ==, XDS_EAGAIN);
  xds_world_remove_peer (f->slow);
  g_assert_cmpint (pass (f->quick, "/hot"), ==, XDS_OK);
}

/* A guest is never favoured: it cannot make others fail. */
static void
no_guest (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  XdsWorldPeer *guest = xds_world_add_guest (f->world, f->quick, 3);

  lose (f, guest, AFTER + 2);
}

/* --- those who try again --- */

typedef struct
{
  XdsWorld *world;
  XdsWorldPeer *clients[CLIENTS];
} Line;

static void
line_up (Line *line, gconstpointer data G_GNUC_UNUSED)
{
  line->world = xds_world_new ();
  xds_engine_set_patience (xds_world_engine (line->world), PATIENCE);
  for (guint i = 0; i < CLIENTS; i++)
    line->clients[i] = xds_world_add_socket (line->world);
  g_assert_cmpint (say (line->clients[0], XDS_OP_WRITE, 0, "/hot\0000", 6), ==, XDS_OK);
  g_assert_cmpint (say (line->clients[0], XDS_OP_WRITE, 0, "/far\0000", 6), ==, XDS_OK);
}

static void
line_down (Line *line, gconstpointer data G_GNUC_UNUSED)
{
  xds_world_free (line->world);
}

/* @first passes and @n clients lose to it. */
static void
lose_together (XdsWorldPeer *first, XdsWorldPeer **clients, guint n, const char *path)
{
  guint32 tx[CLIENTS];

  for (guint i = 0; i < n; i++)
    touch (clients[i], tx[i] = xds_world_begin (clients[i]), path);
  g_assert_cmpint (pass (first, path), ==, XDS_OK);
  for (guint i = 0; i < n; i++)
    g_assert_cmpint (commit (clients[i], tx[i]), ==, XDS_EAGAIN);
}

/* It asks for a transaction, and waits for the answer if it has to. */
static void
ask (XdsWorldPeer *client)
{
  xds_world_send (client, XDS_OP_TRANSACTION_START, 0, "", 1);
  xds_world_pump (client->world);
}

/* Its transaction; 0: it waits. */
static guint32
answered (XdsWorldPeer *client)
{
  g_autofree XdsWorldMsg *msg = xds_world_receive (client);

  return msg != NULL ? strtoul (msg->payload, NULL, 10) : 0;
}

static void
tick (Line *line, gint64 now)
{
  xds_engine_tick (xds_world_engine (line->world), now);
  xds_world_pump (line->world);
}

/* Many who lost to one need one more try each, in the order in which they ask. */
static void
one_after_the_other (Line *line, gconstpointer data G_GNUC_UNUSED)
{
  XdsWorldPeer **losers = line->clients + 1;

  lose_together (line->clients[0], losers, CLIENTS - 1, "/hot");
  for (guint i = 0; i < CLIENTS - 1; i++)
    ask (losers[i]);
  for (guint i = 0; i < CLIENTS - 1; i++)
    {
      guint32 tx = answered (losers[i]);

      g_assert_cmpuint (tx, !=, 0);
      for (guint j = i + 1; j < CLIENTS - 1; j++)
        g_assert_null (xds_world_receive (losers[j]));
      touch (losers[i], tx, "/hot");
      g_assert_cmpint (commit (losers[i], tx), ==, XDS_OK);
    }
  g_assert_cmpint (xds_engine_next_deadline (xds_world_engine (line->world)), ==, -1);
}

/* Nobody waits who never lost, lost elsewhere, or is in the middle of something. */
static void
only_who_must (Line *line, gconstpointer data G_GNUC_UNUSED)
{
  XdsWorldPeer **clients = line->clients;
  guint32 open;

  lose_together (clients[0], clients + 1, 2, "/hot");
  lose_together (clients[0], clients + 3, 1, "/far");
  ask (clients[1]);
  g_assert_cmpuint (answered (clients[1]), !=, 0);
  ask (clients[3]);
  g_assert_cmpuint (answered (clients[3]), !=, 0);
  ask (clients[4]);
  open = answered (clients[4]);
  g_assert_cmpuint (open, !=, 0);
  lose_together (clients[0], clients + 4, 1, "/hot");
  ask (clients[4]);
  g_assert_cmpuint (answered (clients[4]), !=, 0);
  ask (clients[2]);
  g_assert_cmpuint (answered (clients[2]), ==, 0);
}

/* Who does nothing with its turn, or goes, loses it. */
static void
not_long (Line *line, gconstpointer data G_GNUC_UNUSED)
{
  XdsWorldPeer **clients = line->clients;
  XdsEngine *engine = xds_world_engine (line->world);

  tick (line, 1);
  lose_together (clients[0], clients + 1, 4, "/hot");
  for (guint i = 1; i <= 4; i++)
    ask (clients[i]);
  g_assert_cmpuint (answered (clients[1]), !=, 0);
  g_assert_cmpint (xds_engine_next_deadline (engine), ==, 1 + PATIENCE);
  tick (line, PATIENCE);
  g_assert_cmpuint (answered (clients[2]), ==, 0);
  tick (line, 1 + PATIENCE);
  g_assert_cmpuint (answered (clients[2]), !=, 0);
  g_assert_cmpuint (answered (clients[3]), ==, 0);
  xds_world_remove_peer (clients[3]);
  xds_world_remove_peer (clients[2]);
  xds_world_pump (line->world);
  g_assert_cmpuint (answered (clients[4]), !=, 0);
}

/* An engine that takes the place of this one has nobody wait. */
static void
no_heir (Line *line, gconstpointer data G_GNUC_UNUSED)
{
  XdsWorldPeer **clients = line->clients;

  lose_together (clients[0], clients + 1, 2, "/hot");
  ask (clients[1]);
  ask (clients[2]);
  g_assert_cmpuint (answered (clients[2]), ==, 0);
  xds_world_reload (line->world);
  xds_world_pump (line->world);
  g_assert_cmpuint (answered (clients[2]), !=, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(function) \
  g_test_add ("/fairness/" #function, Fixture, NULL, set_up, function, tear_down)
  ADD (passes_in_the_end);
  ADD (only_at_the_place);
  ADD (not_for_ever);
  ADD (no_guest);
#undef ADD
#define ADD(function) g_test_add ("/line/" #function, Line, NULL, line_up, function, line_down)
  ADD (one_after_the_other);
  ADD (only_who_must);
  ADD (not_long);
  ADD (no_heir);
  return g_test_run ();
}
