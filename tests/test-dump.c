/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A dump of the engine and what is made of it; that random sessions survive it is test-model's.
 */

#include "tests/world.h"

#include "xsd/core/stream.h"

#include <string.h>

static GBytes *
dump (XdsEngine *engine)
{
  const XdsDumpHost host = { .socket_fd = -1, .evtchn_fd = -1 };

  return xds_engine_dump (engine, &host, NULL);
}

static void
expect_ok (XdsWorldPeer *peer, guint32 type, guint32 tx_id, const void *payload, gsize len)
{
  g_assert_cmpint (xds_world_status (peer, type, tx_id, payload, len), ==, XDS_OK);
}

static guint32
start (XdsWorldPeer *peer)
{
  g_autoptr (XdsWorldMsg) id = xds_world_call (peer, XDS_OP_TRANSACTION_START, 0, "", 1);

  return g_ascii_strtoull (id->payload, NULL, 10);
}

/* Proves that of a reader who sleeps the events in its buffer and those kept back are all there
   afterwards, in order, each once. */
static void
test_sleeping_reader (void)
{
  g_autoptr (XdsWorld) world = xds_world_new ();
  XdsWorldPeer *socket = xds_world_add_socket (world);
  XdsWorldPeer *guest = xds_world_add_guest (world, socket, 1);

  expect_ok (socket, XDS_OP_MKDIR, 0, "/d", 3);
  expect_ok (socket, XDS_OP_SET_PERMS, 0, "/d\0r0", 6);
  expect_ok (guest, XDS_OP_WATCH, 0, "/d\0t", 5);
  xds_world_expect_event (guest, "/d", "t");
  guest->asleep = TRUE;
  for (guint i = 0; i < 1500; i++)
    {
      char path[32];

      g_snprintf (path, sizeof path, "/d/long-name-%04u", i);
      expect_ok (socket, XDS_OP_MKDIR, 0, path, strlen (path) + 1);
    }
  xds_world_reload (world);
  guest->asleep = FALSE;
  xds_world_pump (world);
  for (guint i = 0; i < 1500; i++)
    {
      char path[32];

      g_snprintf (path, sizeof path, "/d/long-name-%04u", i);
      xds_world_expect_event (guest, path, "t");
    }
  xds_world_expect_event (guest, NULL, NULL);
}

/* Proves that half a request which was sent before is one with the half that comes after. */
static void
test_half_a_request (void)
{
  g_autoptr (XdsWorld) world = xds_world_new ();
  XdsWorldPeer *socket = xds_world_add_socket (world);
  const XdsMsgHeader header = { .type = XDS_OP_WRITE, .req_id = 7, .len = 6 };
  g_autoptr (XdsWorldMsg) answer = NULL, value = NULL;

  g_assert_cmpuint (xds_world_send_bytes (socket, &header, 10), ==, 10);
  xds_world_pump (world);
  xds_world_reload (world);
  g_assert_cmpuint (xds_world_send_bytes (socket, (const char *) &header + 10, 6), ==, 6);
  g_assert_cmpuint (xds_world_send_bytes (socket, "/a\0abc", 6), ==, 6);
  xds_world_pump (world);
  answer = xds_world_receive (socket);
  g_assert_cmpuint (answer->req_id, ==, 7);
  g_assert_cmpint (xds_world_msg_status (answer), ==, XDS_OK);
  value = xds_world_call (socket, XDS_OP_READ, 0, "/a", 3);
  g_assert_cmpmem (value->payload, value->len, "abc", 3);
}

/* Proves that three transactions of different moments each see theirs, and conflict as before. */
static void
test_moments (void)
{
  g_autoptr (XdsWorld) world = xds_world_new ();
  XdsWorldPeer *socket = xds_world_add_socket (world);
  guint32 ids[3];

  for (guint i = 0; i < 3; i++)
    {
      const char value[] = { '/', 'a', '\0', (char) ('0' + i) };

      expect_ok (socket, XDS_OP_WRITE, 0, value, sizeof value);
      ids[i] = start (socket);
    }
  expect_ok (socket, XDS_OP_RM, 0, "/a", 3);
  xds_world_reload (world);
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr (XdsWorldMsg) value = xds_world_call (socket, XDS_OP_READ, ids[i], "/a", 3);

      g_assert_cmpuint (value->len, ==, 1);
      g_assert_cmpint (value->payload[0], ==, '0' + i);
    }
  expect_ok (socket, XDS_OP_WRITE, ids[0], "/b", 3);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpint (xds_world_status (socket, XDS_OP_TRANSACTION_END, ids[i], "T", 2), ==,
                     XDS_EAGAIN);
  g_assert_cmpint (xds_world_status (socket, XDS_OP_READ, 0, "/b", 3), ==, XDS_ENOENT);
}

/* Proves that a transaction which gave a node to a domain that has died since commits, after a dump
   too, if it changed its mind: gave the node to another, or removed it. */
static void
test_dead_owner_forgotten (void)
{
  static const char *const minds[] = { "/a\0n0", "/a" };

  for (guint i = 0; i < G_N_ELEMENTS (minds); i++)
    {
      g_autoptr (XdsWorld) world = xds_world_new ();
      XdsWorldPeer *socket = xds_world_add_socket (world);
      guint32 id;

      xds_world_add_guest (world, socket, 3);
      expect_ok (socket, XDS_OP_MKDIR, 0, "/a", 3);
      id = start (socket);
      expect_ok (socket, XDS_OP_SET_PERMS, id, "/a\0n3", 6);
      xds_world_domain_destroy (world, 3);
      xds_world_report (world);
      xds_world_reload (world);
      expect_ok (socket, i == 0 ? XDS_OP_SET_PERMS : XDS_OP_RM, id, minds[i], i == 0 ? 6 : 3);
      expect_ok (socket, XDS_OP_TRANSACTION_END, id, "T", 2);
    }
}

/* Proves that a dump of what was loaded is the same dump: nothing is lost or made up. */
static void
test_twice (void)
{
  g_autoptr (XdsWorld) world = xds_world_new ();
  XdsWorldPeer *socket = xds_world_add_socket (world);
  XdsWorldPeer *guest = xds_world_add_guest (world, socket, 3);
  g_autoptr (GBytes) first = NULL, second = NULL;
  g_autofree char *why = NULL;

  expect_ok (socket, XDS_OP_SET_QUOTA, 0, "3\0nodes\0" "77", 11);
  expect_ok (socket, XDS_OP_WRITE, 0, "/local/domain/3/a\0\0\1\2", 21);
  expect_ok (socket, XDS_OP_SET_PERMS, 0, "/local/domain/3\0n3", 19);
  expect_ok (guest, XDS_OP_WATCH, 0, "a\0token\0" "2", 10);
  expect_ok (guest, XDS_OP_WRITE, start (guest), "b\0x", 3);
  xds_world_reload (world);
  first = dump (xds_world_engine (world));
  xds_world_reload (world);
  second = dump (xds_world_engine (world));
  g_assert_true (
      xds_stream_verify (g_bytes_get_data (first, NULL), g_bytes_get_size (first), &why));
  g_assert_cmpuint (g_bytes_get_size (first), ==, g_bytes_get_size (second));
}

/* Proves that a dump in which any one byte is damaged is either refused, with the record and the
   place, or loads into an engine that is sound. */
static void
test_damaged (void)
{
  g_autoptr (XdsWorld) world = xds_world_new ();
  XdsWorldPeer *socket = xds_world_add_socket (world);
  const XdsHost host = { 0 };
  g_autoptr (GBytes) whole = NULL;
  g_autofree guint8 *stream = NULL;
  guint32 id = start (socket);
  gsize len;

  expect_ok (socket, XDS_OP_WRITE, id, "/a/b/c\0x", 8);
  expect_ok (socket, XDS_OP_WRITE, 0, "/a/d\0x", 6);
  expect_ok (socket, XDS_OP_WATCH, 0, "/a\0t", 5);
  whole = dump (xds_world_engine (world));
  stream = g_memdup2 (g_bytes_get_data (whole, &len), g_bytes_get_size (whole));
  for (gsize i = 0; i < len; i++)
    for (guint bit = 0; bit < 8; bit += 3)
      {
        XdsEngine *engine = xds_engine_new (&host, NULL);
        g_autofree char *why = NULL;

        stream[i] ^= 1u << bit;
        if (xds_engine_load (engine, stream, len, NULL, NULL, &why))
          {
            g_autofree char *broken = xds_engine_check (engine);

            g_assert_cmpstr (broken, ==, NULL);
          }
        else
          g_assert_nonnull (why);
        stream[i] ^= 1u << bit;
        xds_engine_free (engine);
      }
}

static gint32
some_handle (void *data G_GNUC_UNUSED, XdsPeer *peer G_GNUC_UNUSED)
{
  return 7;
}

/* (transfer full) What is in a dump of @version for C xenstored, by the types of its records. */
static char *
types_for_c (XdsEngine *engine, guint version)
{
  const XdsDumpHost host = { -1, -1, some_handle, version };
  g_autoptr (GBytes) bytes = xds_engine_dump (engine, &host, NULL);
  GString *text = g_string_new (NULL);
  XdsRecord record = { .type = XDS_RECORD_OWN };
  XdsStreamIn in;

  xds_stream_in_init (&in, g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
  while (record.type != XDS_RECORD_END && xds_stream_in_read (&in, &record))
    if (record.type != XDS_RECORD_NODE)
      g_string_append_printf (text, "%u ", record.type);
    else
      g_string_append_printf (text, "%.*s ", (int) record.node.path.len, record.node.path.data);
  g_assert_cmpuint (in.version, ==, version);
  return g_string_free (text, FALSE);
}

/* Proves that C xenstored is given the present without transactions, in the order that it needs,
   nothing that its version has no record for, and that what is lost by that is told. */
static void
test_for_c (void)
{
  g_autoptr (XdsWorld) world = xds_world_new ();
  XdsWorldPeer *socket = xds_world_add_socket (world);
  g_autofree char *one = NULL, *two = NULL, *lost = NULL, *lost_of_two = NULL;
  guint32 id;

  expect_ok (socket, XDS_OP_WRITE, 0, "/a\0x", 4);
  id = start (socket);
  expect_ok (socket, XDS_OP_WRITE, id, "/t\0x", 4);
  expect_ok (socket, XDS_OP_RM, 0, "/a", 3);
  expect_ok (socket, XDS_OP_WRITE, 0, "/b\0x", 4);
  expect_ok (socket, XDS_OP_WATCH, 0, "/b\0t\0" "2", 7);
  one = types_for_c (xds_world_engine (world), 1);
  g_assert_cmpstr (one, ==, "1 2 3 / /tool /b @introduceDomain @releaseDomain 0 ");
  two = types_for_c (xds_world_engine (world), 2);
  g_assert_cmpstr (two, ==, "1 6 2 8 / /tool /b @introduceDomain @releaseDomain 0 ");
  lost = xds_engine_dump_losses (xds_world_engine (world), 1);
  g_assert_cmpstr (lost, ==, "1 open transaction(s), 1 watch(es) with a depth");
  expect_ok (socket, XDS_OP_TRANSACTION_END, id, "F", 2);
  lost_of_two = xds_engine_dump_losses (xds_world_engine (world), 2);
  g_assert_null (lost_of_two);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/dump/sleeping-reader", test_sleeping_reader);
  g_test_add_func ("/dump/half-a-request", test_half_a_request);
  g_test_add_func ("/dump/moments", test_moments);
  g_test_add_func ("/dump/dead-owner-forgotten", test_dead_owner_forgotten);
  g_test_add_func ("/dump/twice", test_twice);
  g_test_add_func ("/dump/damaged", test_damaged);
  g_test_add_func ("/dump/for-c", test_for_c);
  return g_test_run ();
}
