/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Ends that an ordinary session never comes to: an answer that does not fit, a transaction that
 * keeps too much of the past or meets its nodes long before it makes them, and each fault that the
 * store's own check knows.
 */

#include "tests/world.h"

#include "xsd/core/state.h"

#include <stdio.h>
#include <string.h>

typedef struct
{
  XdsWorld *world;
  XdsEngine *engine;
  XdsWorldPeer *tools; /* a privileged client on the socket */
  XdsWorldPeer *guest; /* domain 3, with a home of its own */
} Fixture;

#define expect(status, ...)                                                                        \
  G_STMT_START                                                                                     \
  {                                                                                                \
    g_autoptr (XdsWorldMsg) msg_ = xds_world_say (__VA_ARGS__);                                    \
    g_assert_cmpstr (xds_status_name (xds_world_msg_status (msg_)), ==, #status);                  \
  }                                                                                                \
  G_STMT_END

static void
set_up (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->world = xds_world_new ();
  f->engine = xds_world_engine (f->world);
  f->tools = xds_world_add_socket (f->world);
  f->guest = xds_world_add_guest (f->world, f->tools, 3);
  expect (OK, f->tools, XDS_OP_WRITE, 0, "/local/domain/3|");
  expect (OK, f->tools, XDS_OP_SET_PERMS, 0, "/local/domain/3|n3|");
}

static void
tear_down (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  xds_world_free (f->world);
}

/* --- answers --- */

static guint
count_lines (const char *text)
{
  guint n = 0;

  for (; (text = strchr (text, '\n')) != NULL; text++)
    n++;
  return n;
}

/* Proves that an answer with no room for all lines has whole ones, and says how many more there
   are. */
static void
test_long_answer (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (XdsWorldMsg) msg = NULL;
  guint told, more;

  for (guint i = 0; i < 200; i++)
    expect (OK, f->tools, XDS_OP_WATCH, 0, "/some/where/far/below/%u|token|", i);
  msg = xds_world_say (f->tools, XDS_OP_CONTROL, 0, "watches|");
  told = count_lines (msg->payload);
  g_assert_cmpuint (msg->len, <=, XDS_PAYLOAD_MAX);
  g_assert_cmpuint (msg->len, >, XDS_PAYLOAD_MAX - 128);
  g_assert_cmpint (sscanf (strrchr (msg->payload, '('), "(and %u more lines)", &more), ==, 1);
  g_assert_cmpuint (told - 1 + more, ==, 200);
  for (guint i = 0; i < 200; i++)
    {
      g_autoptr (XdsWorldMsg) event = xds_world_event (f->tools);

      g_assert_nonnull (event);
    }
}

/* Proves that one line that is longer than any answer is cut, and no more. */
static void
test_long_line (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *token = g_strnfill (3900, 't');
  g_autofree char *name = g_strnfill (190, 'n');
  g_autoptr (XdsWorldMsg) msg = NULL;

  expect (OK, f->tools, XDS_OP_WATCH, 0, "/%s|%s|", name, token);
  msg = xds_world_say (f->tools, XDS_OP_CONTROL, 0, "watches|");
  g_assert_cmpuint (msg->len, <=, XDS_PAYLOAD_MAX);
  g_assert_nonnull (strstr (msg->payload, "ttt(and 1 more lines)\n"));
}

/* --- transactions --- */

static void
expect_given_up (Fixture *f)
{
  const XdsWorldNotice *notice;
  guint n = 0;

  while ((notice = xds_world_notice (f->world, n)) != NULL && notice->kind != XDS_NOTICE_SNAPSHOT)
    n++;
  g_assert_nonnull (notice);
  g_assert_cmpuint (notice->domid, ==, 3);
  g_assert_cmpuint (notice->used, >, notice->allowed);
}

/* Proves that a guest's transaction that keeps more of the past than its domain may have is given
   up: that it is told, its memory comes back, and all in it fails with EAGAIN.  What a younger
   transaction of another keeps counts for that one, until it ends (@data), which goes on. */
static void
test_pinned (Fixture *f, gconstpointer data)
{
  g_autofree char *value = g_strnfill (3000, 'v');
  gboolean second = data != NULL;
  guint32 guests = 0, ours = 0;

  xds_engine_set_quota (f->engine, "memory", 50000);
  for (guint i = 0; i < 40; i++)
    expect (OK, f->tools, XDS_OP_WRITE, 0, "/big/%u|%s", i, value);
  for (guint i = 0; i < 2; i++)
    if (second == (i == 1))
      ours = xds_world_begin (f->tools);
    else
      guests = xds_world_begin (f->guest);
  expect (OK, f->guest, XDS_OP_WRITE, guests, "mine|1");
  for (guint i = 0; i < 40; i++)
    expect (OK, f->tools, XDS_OP_WRITE, 0, "/big/%u|", i);
  if (second)
    expect (OK, f->guest, XDS_OP_READ, guests, "mine|");
  expect (OK, f->tools, XDS_OP_WRITE, ours, "/ours|1");
  expect (OK, f->tools, XDS_OP_TRANSACTION_END, ours, "T|");
  expect_given_up (f);
  expect (EAGAIN, f->guest, XDS_OP_READ, guests, "mine|");
  expect (EAGAIN, f->guest, XDS_OP_MKDIR, guests, "other|");
  expect (EAGAIN, f->guest, XDS_OP_TRANSACTION_END, guests, "T|");
  expect (ENOENT, f->guest, XDS_OP_TRANSACTION_END, guests, "T|");
  expect (ENOENT, f->guest, XDS_OP_READ, 0, "mine|");
  expect (OK, f->guest, XDS_OP_WRITE, 0, "after|x");
}

/* Proves that RESET_WATCHES, which ends all transactions, works in one that was given up. */
static void
test_pinned_reset (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *value = g_strnfill (3000, 'v');
  guint32 tx;

  xds_engine_set_quota (f->engine, "memory", 2000);
  expect (OK, f->tools, XDS_OP_WRITE, 0, "/big|%s", value);
  tx = xds_world_begin (f->guest);
  expect (OK, f->tools, XDS_OP_WRITE, 0, "/big|");
  expect (EAGAIN, f->guest, XDS_OP_READ, tx, "/local|");
  expect (OK, f->guest, XDS_OP_RESET_WATCHES, tx, "|");
  expect (ENOENT, f->guest, XDS_OP_TRANSACTION_END, tx, "F|");
}

/* Proves that nodes that a transaction found missing, and made in another order much later, come
   in the order in which they were made, and so do their events. */
static void
test_met_before_made (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GString) wanted = g_string_new (NULL);
  g_autoptr (XdsWorldMsg) listing = NULL;
  guint32 tx;

  expect (OK, f->tools, XDS_OP_MKDIR, 0, "/dir|");
  expect (OK, f->tools, XDS_OP_WATCH, 0, "/dir|t|");
  xds_world_expect_event (f->tools, "/dir", "t");
  tx = xds_world_begin (f->tools);
  for (guint i = 0; i < 40; i++)
    expect (ENOENT, f->tools, XDS_OP_READ, tx, "/dir/%u|", i);
  for (guint i = 40; i-- > 0;)
    {
      expect (OK, f->tools, XDS_OP_WRITE, tx, "/dir/%u|%u", i, i);
      g_string_append_printf (wanted, "%u ", i);
    }
  expect (OK, f->tools, XDS_OP_TRANSACTION_END, tx, "T|");
  for (guint i = 40; i-- > 0;)
    {
      char path[16];

      g_snprintf (path, sizeof path, "/dir/%u", i);
      xds_world_expect_event (f->tools, path, "t");
    }
  listing = xds_world_say (f->tools, XDS_OP_DIRECTORY, 0, "/dir|");
  for (gsize i = 0; i < listing->len; i++)
    if (listing->payload[i] == '\0')
      listing->payload[i] = ' ';
  g_assert_cmpstr (listing->payload, ==, wanted->str);
}

/* Proves that a watch is charged for each name of its path: a guest with many deep ones would have
   memory of its host that is fourteen times what it may. */
static void
test_deep_watches (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GString) deep = g_string_new (NULL);
  XdsStatus status = XDS_OK;
  guint n = 0;

  for (guint i = 0; i < 900; i++)
    g_string_append (deep, "/a");
  while (status == XDS_OK && n < 128)
    {
      g_autoptr (XdsWorldMsg) msg
          = xds_world_say (f->guest, XDS_OP_WATCH, 0, "/%u%s|t|", n++, deep->str);

      status = xds_world_msg_status (msg);
    }
  g_assert_cmpstr (xds_status_name (status), ==, "ENOSPC");
  g_assert_cmpuint (n, <, 12);
  expect (OK, f->guest, XDS_OP_RESET_WATCHES, 0, "|");
  for (n = 0; n < 128; n++)
    expect (OK, f->guest, XDS_OP_WATCH, 0, "/local/domain/3/device/vif/%u/state|t|", n);
}

/* --- the check --- */

static void
expect_fault (Fixture *f, const char *fault)
{
  g_autoptr (XdsWorldMsg) msg = xds_world_say (f->tools, XDS_OP_CONTROL, 0, "check|");

  if (strstr (msg->payload, fault) == NULL)
    g_error ("\"%s\" is not in \"%s\"", fault, msg->payload);
}

/* Proves that CONTROL check finds each fault that it looks for, names its place, and is content
   when it is mended. */
static void
test_check (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  XdsAccount *account = f->guest->peer->account;
  XdsStore *store = &f->engine->store;
  XdsNode *node, *child;
  guint32 hash;

  expect (OK, f->guest, XDS_OP_WRITE, 0, "data/a|1");
  expect (OK, f->guest, XDS_OP_WRITE, 0, "data/b|1");
  expect (OK, f->guest, XDS_OP_WATCH, 0, "data|t|");
  xds_world_expect_event (f->guest, "data", "t");
  expect_fault (f, "OK");
  node = xds_store_find (store, "/local/domain/3/data", 20, NULL, NULL);
  g_assert_nonnull (node);
  child = node->dir->entries[0];
  hash = child->hash;

  store->n_nodes++;
  expect_fault (f, "nodes, ");
  store->n_nodes--;
  account->used[XDS_QUOTA_NODES]++;
  expect_fault (f, "domain 3: charged for 5 nodes, owns 4");
  account->used[XDS_QUOTA_NODES]--;
  f->guest->peer->n_watches++;
  expect_fault (f, "says 2 watches, has 1");
  f->guest->peer->n_watches--;
  f->engine->statistics.watches++;
  expect_fault (f, "are miscounted");
  f->engine->statistics.watches--;
  node->dir->n_live++;
  expect_fault (f, "/local/domain/3/data: says 3 children, has 2");
  node->dir->n_live--;
  child->parent = node->parent;
  expect_fault (f, "/local/domain/3/data: a child has another parent");
  child->parent = node;
  child->blob[0] = 'b';
  child->hash = node->dir->entries[1]->hash;
  expect_fault (f, "/local/domain/3/data: a child is not found by its name");
  child->blob[0] = 'a';
  child->hash = hash;
  node->flags |= XDS_NODE_DETACHED;
  expect_fault (f, "/local/domain/3/data: was removed and is still there");
  node->flags &= ~XDS_NODE_DETACHED;
  node->acl->retired = TRUE;
  expect_fault (f, "names a domain that died");
  node->acl->retired = FALSE;
  expect_fault (f, "OK");
}

#define ADD(name, data, func) g_test_add (name, Fixture, data, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("/limits/long-answer", NULL, test_long_answer);
  ADD ("/limits/long-line", NULL, test_long_line);
  ADD ("/limits/pinned", NULL, test_pinned);
  ADD ("/limits/pinned-second", "", test_pinned);
  ADD ("/limits/pinned-reset", NULL, test_pinned_reset);
  ADD ("/limits/met-before-made", NULL, test_met_before_made);
  ADD ("/limits/deep-watches", NULL, test_deep_watches);
  ADD ("/limits/check", NULL, test_check);
  return g_test_run ();
}
