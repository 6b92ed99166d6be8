/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Transactions that meet again and again on one node: whoever always lost passes in the end, and
 * nobody pays for that who writes elsewhere, or for long.
 */

#include "tests/world.h"

#define AFTER 3 /* conflicts in a row */

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
  return g_test_run ();
}
