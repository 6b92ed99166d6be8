/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The shared page between an honest pair, started just before the indices wrap, and against a
 * guest that writes whatever it likes.
 */

#include "xsd/wire/ring.h"

#include <glib.h>
#include <stddef.h>
#include <string.h>
#include <sys/types.h>
#include <xen/grant_table.h>
#include <xen/io/xs_wire.h>

typedef struct
{
  XdsRingPage page;
  XdsRingEnd server_reader, server_writer, guest_reader, guest_writer;
} Pair;

static void
pair_init (Pair *pair, guint32 start)
{
  memset (pair, 0, sizeof *pair);
  pair->page.req_cons = pair->page.req_prod = start;
  pair->page.rsp_cons = pair->page.rsp_prod = start;
  xds_ring_server_ends (&pair->page, &pair->server_reader, &pair->server_writer);
  xds_ring_guest_ends (&pair->page, &pair->guest_reader, &pair->guest_writer);
}

/* Proves that the page's layout is the published one. */
static void
test_published (void)
{
  typedef struct xenstore_domain_interface Theirs;

  g_assert_cmpuint (XDS_RING_SIZE, ==, XENSTORE_RING_SIZE);
  g_assert_cmpuint (offsetof (XdsRingPage, rsp), ==, offsetof (Theirs, rsp));
  g_assert_cmpuint (offsetof (XdsRingPage, req_cons), ==, offsetof (Theirs, req_cons));
  g_assert_cmpuint (offsetof (XdsRingPage, req_prod), ==, offsetof (Theirs, req_prod));
  g_assert_cmpuint (offsetof (XdsRingPage, rsp_cons), ==, offsetof (Theirs, rsp_cons));
  g_assert_cmpuint (offsetof (XdsRingPage, rsp_prod), ==, offsetof (Theirs, rsp_prod));
  g_assert_cmpuint (offsetof (XdsRingPage, server_features), ==,
                    offsetof (Theirs, server_features));
  g_assert_cmpuint (offsetof (XdsRingPage, connection), ==, offsetof (Theirs, connection));
  g_assert_cmpuint (offsetof (XdsRingPage, error), ==, offsetof (Theirs, error));
}

/* Proves that an empty ring has nothing, a full one no room, and that the sum is the size, from
   whatever index the two start. */
static void
test_edges (void)
{
  static const guint32 starts[] = { 0, 1, 1023, 1024, 0x7fffffff, 0xfffffc00, 0xffffffff };
  guint8 bytes[XDS_RING_SIZE + 1], back[XDS_RING_SIZE + 1];

  for (gsize i = 0; i < sizeof bytes; i++)
    bytes[i] = i * 7;
  for (guint i = 0; i < G_N_ELEMENTS (starts); i++)
    {
      Pair pair;

      pair_init (&pair, starts[i]);
      g_assert_cmpint (xds_ring_readable (&pair.server_reader), ==, 0);
      g_assert_cmpint (xds_ring_read (&pair.server_reader, back, 1), ==, 0);
      g_assert_cmpint (xds_ring_writable (&pair.guest_writer), ==, XDS_RING_SIZE);
      g_assert_cmpint (xds_ring_write (&pair.guest_writer, bytes, 0), ==, 0);
      g_assert_cmpint (xds_ring_write (&pair.guest_writer, bytes, sizeof bytes), ==, XDS_RING_SIZE);
      g_assert_cmpint (xds_ring_writable (&pair.guest_writer), ==, 0);
      g_assert_cmpint (xds_ring_write (&pair.guest_writer, bytes, 1), ==, 0);
      g_assert_cmpint (xds_ring_readable (&pair.server_reader), ==, XDS_RING_SIZE);
      g_assert_cmpint (xds_ring_read (&pair.server_reader, back, 1), ==, 1);
      g_assert_cmpint (xds_ring_writable (&pair.guest_writer), ==, 1);
      g_assert_cmpint (xds_ring_read (&pair.server_reader, back + 1, sizeof back - 1), ==,
                       XDS_RING_SIZE - 1);
      g_assert_cmpmem (back, XDS_RING_SIZE, bytes, XDS_RING_SIZE);
      g_assert_cmpuint (pair.page.req_cons, ==, starts[i] + XDS_RING_SIZE);
      g_assert_cmpuint (pair.page.req_prod, ==, starts[i] + XDS_RING_SIZE);
      g_assert_cmpuint (pair.page.rsp_prod, ==, starts[i]);
    }
}

static guint8
byte_at (guint64 position)
{
  return position * 31 + (position >> 8);
}

/* Moves random pieces through one direction; every byte must come out once and in order. */
static void
stream (XdsRingEnd *writer, XdsRingEnd *reader, guint64 total)
{
  guint64 in = 0, out = 0;

  while (out < total)
    {
      guint8 piece[1500];
      gsize len = g_test_rand_int_range (0, g_test_rand_bit () ? 20 : (gint)sizeof piece);
      int room = xds_ring_writable (writer), n;

      for (gsize i = 0; i < len; i++)
        piece[i] = byte_at (in + i);
      n = xds_ring_write (writer, piece, len);
      g_assert_cmpint (n, ==, MIN ((gsize)room, len));
      in += n;
      g_assert_cmpint (xds_ring_readable (reader), ==, (int)(in - out));
      len = g_test_rand_int_range (0, sizeof piece);
      n = xds_ring_read (reader, piece, len);
      g_assert_cmpint (n, ==, (int)MIN (in - out, len));
      for (int i = 0; i < n; i++)
        g_assert_cmpuint (piece[i], ==, byte_at (out + i));
      out += n;
      g_assert_cmpint (xds_ring_readable (reader) + xds_ring_writable (writer), ==, XDS_RING_SIZE);
    }
}

/* Proves that both directions carry a stream unharmed over the wrap of the indices at 2^32. */
static void
test_stream (void)
{
  Pair pair;

  pair_init (&pair, 0u - 5000);
  stream (&pair.guest_writer, &pair.server_reader, 300000);
  stream (&pair.server_writer, &pair.guest_reader, 300000);
}

/* Proves that an index more than a ring away moves nothing, publishes nothing, and that the
   ring goes on as soon as the index makes sense again. */
static void
test_hostile_index (void)
{
  static const guint32 steps[] = { 1025, 1026, 0x7fffffff, 0x80000000, 0xfffffbff, 0xffffffff };
  guint8 bytes[64] = { 0 };

  for (guint i = 0; i < G_N_ELEMENTS (steps); i++)
    {
      Pair pair;
      XdsRingPage before;

      pair_init (&pair, 100);
      pair.page.req_prod = 100 + steps[i];
      pair.page.rsp_cons = 100 - steps[i];
      before = pair.page;
      g_assert_cmpint (xds_ring_readable (&pair.server_reader), ==, -1);
      g_assert_cmpint (xds_ring_writable (&pair.server_writer), ==, -1);
      g_assert_cmpint (xds_ring_read (&pair.server_reader, bytes, sizeof bytes), ==, -1);
      g_assert_cmpint (xds_ring_write (&pair.server_writer, bytes, sizeof bytes), ==, -1);
      g_assert_cmpmem (&pair.page, sizeof pair.page, &before, sizeof before);
      pair.page.req_prod = 101;
      g_assert_cmpint (xds_ring_read (&pair.server_reader, bytes, sizeof bytes), ==, 1);
    }
}

/* Proves that our own indices, written over in the page by the guest, are not believed. */
static void
test_own_index_overwritten (void)
{
  Pair pair;
  guint8 bytes[4];

  pair_init (&pair, 0);
  g_assert_cmpint (xds_ring_write (&pair.guest_writer, "abcd", 4), ==, 4);
  pair.page.req_cons = 77777;
  pair.page.rsp_prod = 88888;
  g_assert_cmpint (xds_ring_read (&pair.server_reader, bytes, 4), ==, 4);
  g_assert_cmpmem (bytes, 4, "abcd", 4);
  g_assert_cmpuint (pair.page.req_cons, ==, 4);
  g_assert_cmpint (xds_ring_write (&pair.server_writer, "xy", 2), ==, 2);
  g_assert_cmpuint (pair.page.rsp_prod, ==, 2);
}

/* Proves that random rubbish in every index never makes a copy leave its ring: the rest of the
   page and what lies around it stay as they were. */
static void
test_hostile_property (void)
{
  struct
  {
    guint8 before[64];
    Pair pair;
    guint8 after[64];
  } box;
  guint8 data[2048];

  memset (&box, 0x5a, sizeof box);
  pair_init (&box.pair, 0);
  for (guint round = 0; round < 100000; round++)
    {
      XdsRingPage *page = &box.pair.page;
      gsize len = g_test_rand_int_range (0, sizeof data);
      guint8 req[XDS_RING_SIZE];
      int n;

      page->req_prod = g_test_rand_bit ()
                           ? (guint32)g_test_rand_int ()
                           : box.pair.server_reader.index + g_test_rand_int_range (-3, 1028);
      page->rsp_cons = g_test_rand_bit ()
                           ? (guint32)g_test_rand_int ()
                           : box.pair.server_writer.index - g_test_rand_int_range (-3, 1028);
      page->req_cons = g_test_rand_int ();
      memset (page->req, round, sizeof page->req);
      memset (page->rsp, 0xee, sizeof page->rsp);
      memset (data, 0xdd, sizeof data);
      memcpy (req, page->req, sizeof req);
      n = xds_ring_write (&box.pair.server_writer, data, len);
      g_assert_cmpint (n, >=, -1);
      g_assert_cmpint (n, <=, (int)MIN (len, XDS_RING_SIZE));
      g_assert_cmpmem (page->req, sizeof req, req, sizeof req);
      n = xds_ring_read (&box.pair.server_reader, data, len);
      g_assert_cmpint (n, >=, -1);
      g_assert_cmpint (n, <=, (int)MIN (len, XDS_RING_SIZE));
      for (int i = 0; i < n; i++)
        g_assert_cmpuint (data[i], ==, (guint8)round);
    }
  for (guint i = 0; i < sizeof box.before; i++)
    g_assert_cmpuint (box.before[i] + box.after[i], ==, 2 * 0x5a);
}

/* Proves that after a reset both directions are empty from index 0, for both sides. */
static void
test_reset (void)
{
  Pair pair;
  guint8 byte;

  pair_init (&pair, 5);
  g_assert_cmpint (xds_ring_write (&pair.guest_writer, "stale", 5), ==, 5);
  g_assert_cmpint (xds_ring_write (&pair.server_writer, "stale", 5), ==, 5);
  pair.page.req_prod = 0xdeadbeef;
  xds_ring_reset (&pair.page, &pair.server_reader, &pair.server_writer);
  g_assert_cmpuint (pair.page.req_cons | pair.page.req_prod, ==, 0);
  g_assert_cmpuint (pair.page.rsp_cons | pair.page.rsp_prod, ==, 0);
  g_assert_cmpint (xds_ring_readable (&pair.server_reader), ==, 0);
  g_assert_cmpint (xds_ring_writable (&pair.server_writer), ==, XDS_RING_SIZE);
  xds_ring_guest_ends (&pair.page, &pair.guest_reader, &pair.guest_writer);
  g_assert_cmpint (xds_ring_write (&pair.guest_writer, "f", 1), ==, 1);
  g_assert_cmpint (xds_ring_read (&pair.server_reader, &byte, 1), ==, 1);
  g_assert_cmpint (byte, ==, 'f');
}

/* Proves that the page's other words are loaded and stored as they are. */
static void
test_words (void)
{
  guint32 word = 1;

  g_assert_cmpuint (xds_ring_load (&word), ==, 1);
  xds_ring_store (&word, 0xfedcba98);
  g_assert_cmpuint (word, ==, 0xfedcba98);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/wire/ring/published", test_published);
  g_test_add_func ("/wire/ring/edges", test_edges);
  g_test_add_func ("/wire/ring/stream", test_stream);
  g_test_add_func ("/wire/ring/hostile-index", test_hostile_index);
  g_test_add_func ("/wire/ring/own-index-overwritten", test_own_index_overwritten);
  g_test_add_func ("/wire/ring/hostile-property", test_hostile_property);
  g_test_add_func ("/wire/ring/reset", test_reset);
  g_test_add_func ("/wire/ring/words", test_words);
  return g_test_run ();
}
