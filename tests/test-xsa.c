/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One test for each security advisory that xenstore servers have had: what an attacker did then is
 * done here.  A test is named after its advisory.  Each world asserts at its end that nothing is
 * left behind, and that the store is what it should be.
 *
 * What an advisory did to a ring page, xsa_38 does to the functions that alone touch the page; the
 * rest is the same through any transport.
 */

#include "tests/world.h"

#include "xsd/wire/ring.h"

#include <malloc.h>
#include <string.h>

typedef struct
{
  XdsWorld *world;
  XdsWorldPeer *tools; /* a privileged client on the socket */
  XdsWorldPeer *guest; /* domain 3, with a home of its own */
} Fixture;

/* --- saying it shortly: | is a NUL in all texts --- */

/* (transfer full) @msg */
static XdsStatus
status_of (XdsWorldMsg *msg)
{
  g_autoptr (XdsWorldMsg) reply = msg;

  g_assert_nonnull (reply);
  return xds_world_msg_status (reply);
}

#define say(...) status_of (xds_world_say (__VA_ARGS__))

static XdsStatus
do_write (XdsWorldPeer *peer, const char *path, const char *value)
{
  return say (peer, XDS_OP_WRITE, 0, "%s|%s", path, value);
}

static XdsStatus
do_read (XdsWorldPeer *peer, const char *path)
{
  return say (peer, XDS_OP_READ, 0, "%s|", path);
}

static XdsStatus
tx_commit (XdsWorldPeer *peer, guint32 tx_id)
{
  return say (peer, XDS_OP_TRANSACTION_END, tx_id, "T|");
}

#define assert_status(call, status) g_assert_cmpstr (xds_status_name (call), ==, #status)

/* --- the world of each test --- */

static XdsWorldPeer *
add_guest (Fixture *f, guint domid)
{
  XdsWorldPeer *guest = xds_world_add_guest (f->world, f->tools, domid);

  assert_status (say (f->tools, XDS_OP_WRITE, 0, "/local/domain/%u|", domid), OK);
  assert_status (say (f->tools, XDS_OP_SET_PERMS, 0, "/local/domain/%u|n%u|", domid, domid), OK);
  return guest;
}

static void
destroy (Fixture *f, guint domid)
{
  xds_world_domain_destroy (f->world, domid);
  xds_world_report (f->world);
}

static void
set_up (Fixture *f, gconstpointer data)
{
  f->world = xds_world_new ();
  f->tools = xds_world_add_socket (f->world);
  f->guest = add_guest (f, 3);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  xds_world_free (f->world);
}

/* The client reads again, and throws away all that waits. */
static void
wake_up (XdsWorldPeer *peer)
{
  const guint8 *bytes;
  gsize n;

  peer->asleep = FALSE;
  while ((n = xds_peer_output (peer->peer, &bytes)) > 0)
    xds_peer_drained (peer->peer, n);
}

static XdsStatistics
statistics (Fixture *f)
{
  XdsStatistics s;

  xds_engine_statistics (xds_world_engine (f->world), &s);
  return s;
}

static void
assert_sound (Fixture *f)
{
  g_autofree char *wrong = xds_engine_check (xds_world_engine (f->world));

  g_assert_cmpstr (wrong, ==, NULL);
}

static gsize
memory_in_use (void)
{
  return mallinfo2 ().uordblks;
}

/* --- the advisories --- */

/* Whatever indices a guest writes into its ring, no more than a ring's bytes are ever moved. */
static void
xsa_38 (void)
{
  static const guint32 odd[] = { 0,          1,          1023,       1024,       1025,      4096,
                                 0x7fffffff, 0x80000000, 0xfffffbff, 0xfffffc00, 0xffffffff };
  guint8 buffer[XDS_RING_SIZE];

  for (gsize i = 0; i < G_N_ELEMENTS (odd); i++)
    for (gsize j = 0; j < G_N_ELEMENTS (odd); j++)
      {
        XdsRingPage page
            = { .req_cons = odd[i], .req_prod = odd[j], .rsp_cons = odd[j], .rsp_prod = odd[i] };
        XdsRingEnd reader, writer;
        gboolean sane = odd[j] - odd[i] <= XDS_RING_SIZE;

        xds_ring_server_ends (&page, &reader, &writer);
        g_assert_cmpint (xds_ring_read (&reader, buffer, sizeof buffer), ==,
                         sane ? (int) (odd[j] - odd[i]) : -1);
        sane = odd[i] - odd[j] <= XDS_RING_SIZE;
        g_assert_cmpint (xds_ring_write (&writer, buffer, sizeof buffer), ==,
                         sane ? (int) (XDS_RING_SIZE - (odd[i] - odd[j])) : -1);
      }
}

/* A listing that does not fit in a message is an error, and the connection goes on. */
static void
xsa_72 (Fixture *f, gconstpointer data)
{
  for (guint i = 0; i < 700; i++)
    assert_status (say (f->guest, XDS_OP_WRITE, 0, "dir/some-name-%u|", i), OK);
  assert_status (say (f->guest, XDS_OP_DIRECTORY, 0, "dir|"), E2BIG);
  assert_status (do_read (f->guest, "dir/some-name-1"), OK);
  assert_status (do_read (f->tools, "/local/domain/3/dir/some-name-1"), OK);
}

/* A guest that writes all the time does not keep a toolstack's transaction from committing. */
static void
xsa_206 (Fixture *f, gconstpointer data)
{
  guint32 tx;

  assert_status (do_write (f->guest, "data/mine", "0"), OK);
  tx = xds_world_begin (f->tools);
  for (guint i = 0; i < 100; i++)
    {
      assert_status (say (f->guest, XDS_OP_WRITE, 0, "data/mine|%u", i), OK);
      assert_status (say (f->guest, XDS_OP_WRITE, 0, "data/new-%u|x", i), OK);
      assert_status (say (f->tools, XDS_OP_WRITE, tx, "/local/domain/3/device/%u|x", i), OK);
      assert_status (say (f->tools, XDS_OP_WRITE, tx, "/local/domain/3/data/theirs-%u|x", i), OK);
    }
  assert_status (tx_commit (f->tools, tx), OK);
}

/* A device model and its target that vanish at the same moment are each cleaned up once. */
static void
xsa_233 (Fixture *f, gconstpointer data)
{
  XdsWorldPeer *model = add_guest (f, 4);

  assert_status (say (f->tools, XDS_OP_SET_TARGET, 0, "4|3|"), OK);
  assert_status (do_write (model, "/local/domain/3/device-model/x", "1"), OK);
  assert_status (say (model, XDS_OP_WATCH, 0, "/local/domain/3|t|"), OK);
  xds_world_domain_destroy (f->world, 3);
  xds_world_domain_destroy (f->world, 4);
  xds_world_report (f->world);
  assert_status (do_read (f->tools, "/local/domain/3"), ENOENT);
  assert_status (do_read (f->tools, "/local/domain/4"), ENOENT);
  assert_sound (f);
}

/* The limit of nodes holds for parents made on the way, too. */
static void
xsa_272 (Fixture *f, gconstpointer data)
{
  guint made = 0;

  while (made < 2000 && say (f->guest, XDS_OP_WRITE, 0, "p%u/q/r|x", made) == XDS_OK)
    made++;
  g_assert_cmpuint (made, ==, 333); /* and the home makes 1000 */
  assert_status (do_write (f->guest, "one-more", "x"), ENOSPC);
}

/* A guest hears nothing of nodes that it may not read, and commands nobody. */
static void
xsa_115 (Fixture *f, gconstpointer data)
{
  assert_status (do_write (f->tools, "/secret/name", "1"), OK);
  assert_status (say (f->guest, XDS_OP_WATCH, 0, "/|t|"), OK);
  xds_world_expect_event (f->guest, "/", "t");
  assert_status (say (f->guest, XDS_OP_WATCH, 0, "@introduceDomain|t|"), OK);
  xds_world_expect_event (f->guest, "@introduceDomain", "t");
  assert_status (do_write (f->tools, "/secret/name", "2"), OK);
  assert_status (say (f->tools, XDS_OP_RM, 0, "/secret|"), OK);
  add_guest (f, 4);
  xds_world_expect_event (f->guest, NULL, NULL);
  assert_status (say (f->guest, XDS_OP_IS_DOMAIN_INTRODUCED, 0, "4|"), EACCES);
  assert_status (say (f->guest, XDS_OP_INTRODUCE, 0, "5|1|1|"), EACCES);
  assert_status (say (f->guest, XDS_OP_RELEASE, 0, "4|"), EACCES);
  assert_status (say (f->guest, XDS_OP_SET_TARGET, 0, "3|4|"), EACCES);
}

/* A new domain by an old number has none of the rights of the old one. */
static void
xsa_322 (Fixture *f, gconstpointer data)
{
  assert_status (do_write (f->tools, "/a", "secret"), OK);
  assert_status (say (f->tools, XDS_OP_SET_PERMS, 0, "/a|n0|r3|"), OK);
  assert_status (do_write (f->tools, "/b", "secret"), OK);
  assert_status (say (f->tools, XDS_OP_SET_PERMS, 0, "/b|n3|"), OK);
  assert_status (do_read (f->guest, "/a"), OK);
  destroy (f, 3);
  f->guest = add_guest (f, 3);
  assert_status (do_read (f->guest, "/a"), EACCES);
  assert_status (do_read (f->guest, "/b"), EACCES);
}

/* A relative path counts with what it is relative to. */
static void
xsa_323 (Fixture *f, gconstpointer data)
{
  g_autofree char *longest = g_strnfill (XDS_PATH_REL_MAX, 'a');
  g_autofree char *longer = g_strnfill (XDS_PATH_REL_MAX + 1, 'a');

  assert_status (do_write (f->guest, longest, "x"), OK);
  assert_status (do_write (f->guest, longer, "x"), EINVAL);
  assert_status (say (f->guest, XDS_OP_WATCH, 0, "%s|t|", longer), EINVAL);
}

/* A token and a path that together fit in no event harm nobody. */
static void
xsa_324 (Fixture *f, gconstpointer data)
{
  g_autofree char *token = g_strnfill (4000, 't'), *name = g_strnfill (2000, 'n');

  assert_status (say (f->guest, XDS_OP_WATCH, 0, "d|%s|", token), OK);
  xds_world_expect_event (f->guest, "d", token);
  assert_status (say (f->guest, XDS_OP_WRITE, 0, "d/%s|x", name), OK);
  xds_world_expect_event (f->guest, NULL, NULL);
  assert_status (do_write (f->guest, "d", "x"), OK);
  xds_world_expect_event (f->guest, "d", token);
}

/* A client that broke the protocol does not keep its domain from being cleaned up. */
static void
xsa_325 (Fixture *f, gconstpointer data)
{
  static const guint32 broken[4] = { XDS_OP_READ, 1, 0, XDS_PAYLOAD_MAX + 1 };

  assert_status (do_write (f->guest, "x", "1"), OK);
  assert_status (say (f->tools, XDS_OP_WATCH, 0, "@releaseDomain|r|"), OK);
  xds_world_expect_event (f->tools, "@releaseDomain", "r");
  xds_world_send_bytes (f->guest, broken, sizeof broken);
  xds_world_pump (f->world);
  g_assert_true (f->guest->failed);
  assert_status (say (f->tools, XDS_OP_IS_DOMAIN_INTRODUCED, 0, "3|"), OK);
  destroy (f, 3);
  xds_world_expect_event (f->tools, "@releaseDomain", "r");
  assert_status (do_read (f->tools, "/local/domain/3/x"), ENOENT);
}

/* Watching and dropping all watches again and again uses no memory. */
static void
xsa_330 (Fixture *f, gconstpointer data)
{
  gsize before = 0;

  for (guint i = 0; i < 10000; i++)
    {
      if (i == 1000)
        before = memory_in_use ();
      assert_status (say (f->guest, XDS_OP_WATCH, 0, "w|%u|", i), OK);
      assert_status (say (f->guest, XDS_OP_RESET_WATCHES, 0, "|"), OK);
      g_queue_clear_full (&f->guest->events, g_free);
    }
  g_assert_cmpuint (memory_in_use (), <, before + 65536);
  g_assert_cmpuint (statistics (f).watches, ==, 0);
}

/* A guest cannot give a node away, neither to another nor to the control domain. */
static void
xsa_352 (Fixture *f, gconstpointer data)
{
  add_guest (f, 4);
  assert_status (do_write (f->guest, "x", "1"), OK);
  assert_status (say (f->guest, XDS_OP_SET_PERMS, 0, "x|n4|"), EPERM);
  assert_status (say (f->guest, XDS_OP_SET_PERMS, 0, "x|b0|b3|"), EPERM);
  assert_status (say (f->guest, XDS_OP_SET_PERMS, 0, "x|b3|b4|"), OK);
}

/* The root is protected like any node. */
static void
xsa_353 (Fixture *f, gconstpointer data)
{
  g_assert_cmpint (say (f->guest, XDS_OP_RM, 0, "/|"), !=, XDS_OK);
  assert_status (say (f->guest, XDS_OP_SET_PERMS, 0, "/|n3|"), EACCES);
  assert_status (say (f->guest, XDS_OP_SET_PERMS, 0, "/|b0|"), EACCES);
  assert_status (say (f->guest, XDS_OP_WRITE, 0, "/|x"), EACCES);
  assert_status (do_write (f->guest, "/mine", "x"), EACCES);
}

/* The memory that a sleeping guest's events take has a bound, and the writer does not wait. */
static void
xsa_326_events (Fixture *f, gconstpointer data)
{
  gsize before;

  for (guint i = 0; i < 100; i++)
    assert_status (say (f->guest, XDS_OP_WATCH, 0, "data|%u|", i), OK);
  f->guest->asleep = TRUE;
  before = memory_in_use ();
  for (guint i = 0; i < 2000; i++)
    {
      assert_status (say (f->tools, XDS_OP_WRITE, 0, "/local/domain/3/data/%u|x", i), OK);
      xds_world_clear_told (f->world);
    }
  g_assert_cmpuint (memory_in_use (), <, before + (1u << 20));
  g_assert_cmpuint (statistics (f).events_lost, >, 0);
  wake_up (f->guest);
  assert_status (do_read (f->guest, "data/1"), OK);
}

/* The same event, over and over, is kept once for a guest that sleeps. */
static void
xsa_326_merged (Fixture *f, gconstpointer data)
{
  assert_status (say (f->guest, XDS_OP_WATCH, 0, "data|t|"), OK);
  f->guest->asleep = TRUE;
  for (guint i = 0; i < 100000; i++)
    assert_status (say (f->tools, XDS_OP_WRITE, 0, "/local/domain/3/data|x"), OK);
  g_assert_cmpuint (statistics (f).events_lost, ==, 0);
  g_assert_cmpuint (statistics (f).events_merged, >, 50000);
}

/* Transactions have bounds: their number, and the nodes that each may name. */
static void
xsa_326_transactions (Fixture *f, gconstpointer data)
{
  XdsStatus status = XDS_OK;
  guint32 tx;
  guint n = 0;

  for (guint i = 0; i < 10; i++)
    tx = xds_world_begin (f->guest);
  assert_status (say (f->guest, XDS_OP_TRANSACTION_START, 0, "|"), ENOSPC);
  while (n < 5000 && status != XDS_ENOSPC)
    status = say (f->guest, XDS_OP_READ, tx, "none-%u|", n++);
  g_assert_cmpuint (n, <, 1100);
  assert_status (say (f->guest, XDS_OP_RESET_WATCHES, 0, "|"), OK);
  g_assert_cmpuint (statistics (f).transactions, ==, 0);
}

/* All that a guest may keep at once is bounded by its memory limit. */
static void
xsa_326_memory (Fixture *f, gconstpointer data)
{
  g_autofree char *value = g_strnfill (2000, 'v');
  gsize before = memory_in_use ();

  g_assert_true (xds_engine_set_quota (xds_world_engine (f->world), "memory", 200000));
  for (guint i = 0; i < 900; i++)
    say (f->guest, XDS_OP_WRITE, 0, "n%u|%s", i, value);
  assert_status (say (f->guest, XDS_OP_WRITE, 0, "more|%s", value), ENOSPC);
  g_assert_cmpuint (memory_in_use (), <, before + 600000);
  assert_status (say (f->guest, XDS_OP_RM, 0, "n0|"), OK);
  assert_status (say (f->guest, XDS_OP_RM, 0, "n1|"), OK);
  assert_status (say (f->guest, XDS_OP_WRITE, 0, "small|x"), OK);
}

/*
 * A guest that floods a path which dom0's backends watch: what waits for a reader that does not
 * read has a bound, equal events count once, and the flood ends with the guest.
 */
static void
xsa_349 (Fixture *f, gconstpointer data)
{
  gsize before;

  assert_status (say (f->tools, XDS_OP_WATCH, 0, "/local/domain/3|backend|"), OK);
  f->tools->asleep = TRUE;
  before = memory_in_use ();
  for (guint i = 0; i < 300000; i++)
    assert_status (say (f->guest, XDS_OP_WRITE, 0, "data/%u|x", i % 4), OK);
  g_assert_cmpuint (memory_in_use (), <, before + (1u << 20));
  g_assert_cmpuint (statistics (f).events_merged, >, 200000);
  wake_up (f->tools);
  assert_status (do_read (f->tools, "/local/domain/3/data/1"), OK);
}

/*
 * A toolstack that mirrors a guest's nodes holds as much as the guest may write: many nodes with
 * large values end at the guest's limits, however they are spread.
 */
static void
xsa_354 (Fixture *f, gconstpointer data)
{
  g_autofree char *value = g_strnfill (2048, 'v');
  guint64 before = statistics (f).node_bytes;
  guint n = 0;

  while (n < 100000 && say (f->guest, XDS_OP_WRITE, 0, "d%u/n%u|%s", n % 7, n, value) == XDS_OK)
    n++;
  g_assert_cmpuint (n, <=, 1000);
  g_assert_cmpuint (statistics (f).node_bytes, <, before + 2621440);
}

/* A creation that fails half-way leaves none of the parents that it needed. */
static void
xsa_414 (Fixture *f, gconstpointer data)
{
  guint64 before = statistics (f).nodes;

  g_assert_true (xds_engine_set_quota (xds_world_engine (f->world), "nodes", 4));
  assert_status (do_write (f->guest, "a/b/c/d/e", "x"), ENOSPC);
  assert_status (do_read (f->guest, "a"), ENOENT);
  g_assert_cmpuint (statistics (f).nodes, ==, before);
  assert_status (do_write (f->guest, "a/b/c", "x"), OK);
  assert_sound (f);
}

/* So it is in a transaction: what is stored is what can be reached. */
static void
xsa_415 (Fixture *f, gconstpointer data)
{
  guint64 before = statistics (f).nodes;
  guint32 tx = xds_world_begin (f->guest);

  g_assert_true (xds_engine_set_quota (xds_world_engine (f->world), "nodes", 4));
  assert_status (say (f->guest, XDS_OP_WRITE, tx, "a/b|x"), OK);
  assert_status (say (f->guest, XDS_OP_WRITE, tx, "a/c/d/e|x"), ENOSPC);
  assert_status (tx_commit (f->guest, tx), ENOSPC);
  g_assert_cmpuint (statistics (f).nodes, ==, before);
  assert_status (do_write (f->guest, "a/b/c", "x"), OK);
  assert_sound (f);
}

/* A guest that asks and never reads is not served for ever: memory has a bound. */
static void
xsa_416 (Fixture *f, gconstpointer data)
{
  g_autofree char *value = g_strnfill (2000, 'v');
  struct
  {
    XdsMsgHeader header;
    char path[4];
  } request = { { XDS_OP_READ, 1, 0, 4 }, "big" };
  gsize before = memory_in_use (), taken = 0;

  assert_status (do_write (f->guest, "big", value), OK);
  f->guest->asleep = TRUE;
  for (guint i = 0; i < 10000; i++)
    {
      taken += xds_world_send_bytes (f->guest, &request, sizeof request) == sizeof request;
      xds_world_pump (f->world);
    }
  g_assert_cmpuint (taken, <, 1000);
  g_assert_cmpuint (memory_in_use (), <, before + (1u << 20));
  assert_status (do_write (f->tools, "/local/domain/3/x", "others go on"), OK);
}

/* Entries for a dead domain go, so that the next by its number gets nothing by them. */
static void
xsa_417 (Fixture *f, gconstpointer data)
{
  g_autofree XdsWorldMsg *perms = NULL;

  assert_status (do_write (f->tools, "/a", "secret"), OK);
  assert_status (say (f->tools, XDS_OP_SET_PERMS, 0, "/a|n0|r0|r3|b3|"), OK);
  xds_world_domain_destroy (f->world, 3);
  xds_world_domain_create (f->world, 3);
  xds_world_report (f->world);
  perms = xds_world_call (f->tools, XDS_OP_GET_PERMS, 0, "/a", 3);
  g_assert_cmpmem (perms->payload, perms->len, "n0\0r0", 6);
  assert_status (say (f->tools, XDS_OP_INTRODUCE, 0, "3|1|1|"), OK);
  assert_status (do_read (xds_world_guest (f->world, 3), "/a"), EACCES);
}

/* A tree as deep as paths allow is walked and removed without deep recursion. */
static void
xsa_418 (Fixture *f, gconstpointer data)
{
  g_autoptr (GString) path = g_string_new ("x");

  while (path->len + 2 < XDS_PATH_REL_MAX)
    g_string_append (path, "/x");
  g_assert_true (xds_engine_set_quota (xds_world_engine (f->world), "nodes", 2000));
  assert_status (do_write (f->guest, path->str, "deep"), OK);
  assert_sound (f);
  assert_status (say (f->tools, XDS_OP_RM, 0, "/local/domain/3/x|"), OK);
  assert_status (do_write (f->guest, path->str, "deep"), OK);
  destroy (f, 3);
  assert_status (do_read (f->tools, "/local/domain/3/x"), ENOENT);
}

/* What one guest made in the home of another goes with either, and is not charged for ever. */
static void
xsa_419 (Fixture *f, gconstpointer data)
{
  XdsWorldPeer *other = add_guest (f, 4);

  g_assert_true (xds_engine_set_quota (xds_world_engine (f->world), "nodes", 3));
  assert_status (do_write (other, "shared", "x"), OK);
  assert_status (say (other, XDS_OP_SET_PERMS, 0, "shared|b4|"), OK);
  assert_status (do_write (f->guest, "/local/domain/4/shared/a", "x"), OK);
  assert_status (do_write (f->guest, "/local/domain/4/shared/b", "x"), OK);
  assert_status (do_write (f->guest, "/local/domain/4/shared/c", "x"), ENOSPC);
  destroy (f, 4);
  assert_status (do_read (f->tools, "/local/domain/4/shared/a"), ENOENT);
  assert_status (do_write (f->guest, "a", "x"), OK);
  assert_status (do_write (f->guest, "b", "x"), OK);
  assert_status (do_write (f->guest, "c", "x"), ENOSPC);
  assert_sound (f);
}

/* Numbers of 32 bits are taken as they are. */
static void
xsa_420 (Fixture *f, gconstpointer data)
{
  static const guint32 broken[4] = { XDS_OP_READ, 1, 0, 0x80000000 };
  XdsMsgHeader header = { XDS_OP_GET_DOMAIN_PATH, 0xffffffff, 0, 2 };
  g_autofree XdsWorldMsg *answer = NULL;

  assert_status (say (f->guest, XDS_OP_READ, 0x80000001, "/|"), ENOENT);
  assert_status (say (f->guest, 0x80000002, 0, "/|"), ENOSYS);
  xds_world_send_bytes (f->guest, &header, sizeof header);
  xds_world_send_bytes (f->guest, "3", 2);
  xds_world_pump (f->world);
  answer = xds_world_receive (f->guest);
  g_assert_cmphex (answer->req_id, ==, 0xffffffff);
  xds_world_send_bytes (f->guest, broken, sizeof broken);
  xds_world_pump (f->world);
  g_assert_true (f->guest->failed);
}

/* Making and removing nodes in transactions leaves the count what the tree is. */
static void
xsa_421 (Fixture *f, gconstpointer data)
{
  guint64 before = statistics (f).nodes;

  g_assert_true (xds_engine_set_quota (xds_world_engine (f->world), "nodes", 5));
  for (guint i = 0; i < 1000; i++)
    {
      guint32 tx = xds_world_begin (f->guest);

      assert_status (say (f->guest, XDS_OP_WRITE, tx, "a/b|x"), OK);
      assert_status (say (f->guest, XDS_OP_RM, tx, "a|"), OK);
      if (i % 2 == 0)
        assert_status (say (f->guest, XDS_OP_WRITE, tx, "a|x"), OK);
      assert_status (tx_commit (f->guest, tx), OK);
      assert_status (say (f->guest, XDS_OP_RM, 0, "a|"), OK);
    }
  g_assert_cmpuint (statistics (f).nodes, ==, before);
  assert_status (do_write (f->guest, "a/b/c/d", "x"), OK);
  assert_status (do_write (f->guest, "e", "x"), ENOSPC);
  assert_sound (f);
}

/* A domain may be released, introduced again, and die. */
static void
xsa_425 (Fixture *f, gconstpointer data)
{
  for (guint i = 0; i < 3; i++)
    {
      assert_status (say (xds_world_guest (f->world, 3), XDS_OP_WATCH, 0, "/|t|"), OK);
      assert_status (say (f->tools, XDS_OP_RELEASE, 0, "3|"), OK);
      assert_status (say (f->tools, XDS_OP_INTRODUCE, 0, "3|1|1|"), OK);
    }
  xds_world_domain_shutdown (f->world, 3, 5);
  xds_world_report (f->world);
  assert_status (say (f->tools, XDS_OP_RELEASE, 0, "3|"), OK);
  assert_status (say (f->tools, XDS_OP_INTRODUCE, 0, "3|1|1|"), OK);
  destroy (f, 3);
  assert_sound (f);
}

/* Two transactions that remove the same nodes do not make the count of nodes less than none. */
static void
xsa_440 (Fixture *f, gconstpointer data)
{
  guint32 first, second;

  for (guint i = 0; i < 50; i++)
    assert_status (say (f->guest, XDS_OP_WRITE, 0, "n%u|x", i), OK);
  first = xds_world_begin (f->guest);
  second = xds_world_begin (f->guest);
  for (guint i = 0; i < 50; i++)
    {
      assert_status (say (f->guest, XDS_OP_RM, first, "n%u|", i), OK);
      assert_status (say (f->guest, XDS_OP_RM, second, "n%u|", i), OK);
    }
  assert_status (tx_commit (f->guest, first), OK);
  tx_commit (f->guest, second);
  assert_status (do_read (f->guest, "n0"), ENOENT);
  assert_sound (f);
}

/* The path that is only the beginning of a home is an error for each request. */
static void
xsa_481 (Fixture *f, gconstpointer data)
{
  static const guint32 types[]
      = { XDS_OP_READ, XDS_OP_DIRECTORY, XDS_OP_GET_PERMS, XDS_OP_MKDIR, XDS_OP_RM };
  static const char *const paths[] = { "/local/domain/", "/local/domain/3/", "/local/", "//" };

  for (gsize p = 0; p < G_N_ELEMENTS (paths); p++)
    {
      for (gsize i = 0; i < G_N_ELEMENTS (types); i++)
        assert_status (say (f->guest, types[i], 0, "%s|", paths[p]), EINVAL);
      assert_status (say (f->guest, XDS_OP_WRITE, 0, "%s|x", paths[p]), EINVAL);
      assert_status (say (f->guest, XDS_OP_WATCH, 0, "%s|t|", paths[p]), EINVAL);
      assert_status (say (f->guest, XDS_OP_UNWATCH, 0, "%s|t|", paths[p]), EINVAL);
      assert_status (say (f->guest, XDS_OP_SET_PERMS, 0, "%s|n3|", paths[p]), EINVAL);
      assert_status (say (f->guest, XDS_OP_DIRECTORY_PART, 0, "%s|0|", paths[p]), EINVAL);
    }
}

/* A new domain by an old number does not begin with the old one's use of its limits. */
static void
xsa_483 (Fixture *f, gconstpointer data)
{
  g_assert_true (xds_engine_set_quota (xds_world_engine (f->world), "nodes", 3));
  for (guint round = 0; round < 3; round++)
    {
      assert_status (do_write (f->guest, "a", "x"), OK);
      assert_status (do_write (f->guest, "b", "x"), OK);
      assert_status (do_write (f->guest, "c", "x"), ENOSPC);
      destroy (f, 3);
      f->guest = add_guest (f, 3);
    }
}

/* RESET_WATCHES is legal inside a transaction, and ends it. */
static void
xsa_484 (Fixture *f, gconstpointer data)
{
  guint32 tx = xds_world_begin (f->guest);

  assert_status (say (f->guest, XDS_OP_WRITE, tx, "a|x"), OK);
  assert_status (say (f->guest, XDS_OP_WATCH, tx, "a|t|"), OK);
  assert_status (say (f->guest, XDS_OP_RESET_WATCHES, tx, "|"), OK);
  assert_status (tx_commit (f->guest, tx), ENOENT);
  g_assert_cmpuint (statistics (f).watches, ==, 0);
  g_assert_cmpuint (statistics (f).transactions, ==, 0);
  assert_status (do_read (f->guest, "a"), ENOENT);
}

int
main (int argc, char **argv)
{
  static const struct
  {
    const char *path;
    void (*run) (Fixture *f, gconstpointer data);
  } tests[] = {
    { "/xsa/72", xsa_72 },
    { "/xsa/115", xsa_115 },
    { "/xsa/206", xsa_206 },
    { "/xsa/233", xsa_233 },
    { "/xsa/272", xsa_272 },
    { "/xsa/322", xsa_322 },
    { "/xsa/323", xsa_323 },
    { "/xsa/324", xsa_324 },
    { "/xsa/325", xsa_325 },
    { "/xsa/326/events", xsa_326_events },
    { "/xsa/326/merged", xsa_326_merged },
    { "/xsa/326/transactions", xsa_326_transactions },
    { "/xsa/326/memory", xsa_326_memory },
    { "/xsa/330", xsa_330 },
    { "/xsa/349", xsa_349 },
    { "/xsa/352", xsa_352 },
    { "/xsa/353", xsa_353 },
    { "/xsa/354", xsa_354 },
    { "/xsa/414", xsa_414 },
    { "/xsa/415", xsa_415 },
    { "/xsa/416", xsa_416 },
    { "/xsa/417", xsa_417 },
    { "/xsa/418", xsa_418 },
    { "/xsa/419", xsa_419 },
    { "/xsa/420", xsa_420 },
    { "/xsa/421", xsa_421 },
    { "/xsa/425", xsa_425 },
    { "/xsa/440", xsa_440 },
    { "/xsa/481", xsa_481 },
    { "/xsa/483", xsa_483 },
    { "/xsa/484", xsa_484 },
  };

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/xsa/38", xsa_38);
  for (gsize i = 0; i < G_N_ELEMENTS (tests); i++)
    g_test_add (tests[i].path, Fixture, NULL, set_up, tests[i].run, tear_down);
  return g_test_run ();
}
