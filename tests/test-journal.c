/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The journal by hand: what is in it and what is not, and what is made of one that is damaged.
 * That random sessions survive the death of the engine at any moment is test-model's.
 */

#include "xsd/core/engine.h"
#include "xsd/wire/msg.h"
#include "xsd/wire/op-number.h"

#include <string.h>

#define SPACE (1 << 20)

/* One engine after the other over the same journal. */
typedef struct
{
  XdsEngine *engine;
  guint8 *data;
  gsize size;
  guint64 end;
  XdsJournalPlace at;
  GBytes *base; /* (nullable) */
  guint n_full; /* how often there was no room */
  gboolean more; /* and whether there shall be some then */
  gboolean busy; /* what is asked of the host is put off */
  GString *refused;
} World;

static void
notice (void *data, const XdsNotice *notice)
{
  World *world = data;

  if (notice->kind == XDS_NOTICE_REFUSED)
    g_string_append_printf (world->refused, "%s %s\n", notice->op, notice->what);
}

static GBytes *
dump (XdsEngine *engine)
{
  const XdsDumpHost host = { .socket_fd = -1, .evtchn_fd = -1 };

  return xds_engine_dump (engine, &host, NULL);
}

static XdsStatus
control (void *data, XdsPeer *peer G_GNUC_UNUSED, const char *const *args, GString *answer)
{
  static guint n;

  if (((World *) data)->busy)
    return XDS_LATER;
  g_string_append_printf (answer, "%s %u", args[0], ++n); /* another one each time */
  return XDS_OK;
}

static void
start (World *world)
{
  const XdsJournalSpace space = { world->data, world->size, 0, &world->end, &world->at };

  xds_engine_set_journal (world->engine, &space);
}

static void
set_base (World *world)
{
  g_clear_pointer (&world->base, g_bytes_unref);
  world->base = dump (world->engine);
}

static gboolean
journal_full (void *data, gsize need)
{
  World *world = data;

  world->n_full++;
  g_assert_cmpuint (need, <=, world->size);
  if (!world->more)
    return FALSE;
  set_base (world);
  world->end = 0;
  start (world);
  return TRUE;
}

static XdsStatus
domain_connect (void *data G_GNUC_UNUSED, XdsPeer *peer, guint domid, guint64 gfn G_GNUC_UNUSED,
                guint port)
{
  xds_peer_set_handle (peer, port);
  return domid == 5 ? XDS_EINVAL : XDS_OK;
}

static gboolean
domain_state (void *data G_GNUC_UNUSED, guint domid, XdsDomainState *ret_state)
{
  *ret_state = (XdsDomainState){ .domid = domid, .unique_id = 100 + domid };
  return domid < 8;
}

static const XdsHost host = {
  .notice = notice,
  .control = control,
  .journal_full = journal_full,
  .domain_connect = domain_connect,
  .domain_state = domain_state,
};

static void
world_init (World *world, gsize size)
{
  *world = (World){ .size = size, .data = g_malloc (size), .refused = g_string_new (NULL) };
  world->engine = xds_engine_new (&host, world);
  start (world);
}

static void
world_clear (World *world)
{
  xds_engine_free (world->engine);
  g_free (world->data);
  g_clear_pointer (&world->base, g_bytes_unref);
  g_string_free (world->refused, TRUE);
}

static gboolean
recover (const World *world, XdsEngine *engine, char **ret_why)
{
  const XdsJournalPiece piece = { world->data, world->end, 0 };
  gsize len = 0;
  const void *base = world->base != NULL ? g_bytes_get_data (world->base, &len) : NULL;

  return xds_engine_recover (engine, base, len, &piece, 1, NULL, NULL, NULL, ret_why);
}

/* The engine dies; another one takes over.  @place (nullable): of what brought it down. */
static void
die (World *world, const XdsJournalPlace *place)
{
  XdsEngine *next = xds_engine_new (&host, world);
  g_autofree char *why = NULL, *broken = NULL;
  guint64 end = world->end;

  xds_engine_free (world->engine);
  world->end = end; /* whoever is dead says nothing any more */
  if (place != NULL)
    xds_engine_refuse (next, place);
  if (!recover (world, next, &why))
    g_error ("%s", why);
  broken = xds_engine_check (next);
  g_assert_cmpstr (broken, ==, NULL);
  world->engine = next;
  start (world);
}

static XdsPeer *
add_socket (World *world)
{
  static const XdsSocketIdentity identity = { 1, 0, 0 };

  return xds_engine_add_socket_peer (world->engine, &identity);
}

static void
send (XdsPeer *peer, guint32 type, const char *payload, gsize len)
{
  const XdsMsgHeader header = { type, 1, 0, len };
  guint8 *room;

  g_assert_cmpuint (xds_peer_input (peer, &room), >=, sizeof header + len);
  memcpy (room, &header, sizeof header);
  memcpy (room + sizeof header, payload, len);
  xds_peer_filled (peer, sizeof header + len);
}

/* What the peer is told next; of an answer its payload with the length. */
static GString *
output (XdsPeer *peer)
{
  const guint8 *bytes;
  gsize len = xds_peer_output (peer, &bytes);

  return g_string_new_len ((const char *) bytes, len);
}

static void
drain (XdsPeer *peer)
{
  const guint8 *bytes;

  xds_peer_drained (peer, xds_peer_output (peer, &bytes));
}

static void
call (XdsPeer *peer, guint32 type, const char *payload, gsize len)
{
  send (peer, type, payload, len);
  xds_peer_serve (peer, 1);
  drain (peer);
}

/* Proves that what was executed is there afterwards, with its answer that was not taken yet and
   that which the host gave to it; and what was not executed is not. */
static void
test_answers (void)
{
  g_autoptr (GString) before = NULL, after = NULL;
  XdsPeer *peer;
  World world;

  world_init (&world, SPACE);
  peer = add_socket (&world);
  call (peer, XDS_OP_WRITE, "/a\0x", 4);
  send (peer, XDS_OP_CONTROL, "log", 4);
  xds_peer_serve (peer, 1);
  before = output (peer);
  send (peer, XDS_OP_WRITE, "/b\0x", 4);
  die (&world, NULL);
  peer = xds_engine_find_peer (world.engine, 1);
  after = output (peer);
  g_assert_cmpmem (before->str, before->len, after->str, after->len);
  g_assert_nonnull (xds_engine_read (world.engine, "/a", &(gsize){ 0 }));
  g_assert_null (xds_engine_read (world.engine, "/b", &(gsize){ 0 }));
  world_clear (&world);
}

/* Proves that reading leaves nothing in the journal, unless not all of its answer was taken. */
static void
test_reading (void)
{
  World world;
  XdsPeer *peer;
  guint64 end, given, taken;

  world_init (&world, SPACE);
  peer = add_socket (&world);
  call (peer, XDS_OP_WRITE, "/a\0x", 4);
  call (peer, XDS_OP_DIRECTORY, "/", 2); /* the longest answer so far counts: it is a peak */
  end = world.end;
  given = xds_peer_given (peer);
  taken = xds_peer_taken (peer);
  call (peer, XDS_OP_READ, "/a", 3);
  call (peer, XDS_OP_READ, "/b", 3);
  call (peer, XDS_OP_DIRECTORY, "/", 2);
  g_assert_cmpuint (world.end, ==, end);
  g_assert_cmpuint (xds_peer_given (peer), ==, given);
  g_assert_cmpuint (xds_peer_taken (peer), ==, taken);
  send (peer, XDS_OP_READ, "/a", 3);
  xds_peer_serve (peer, 1);
  g_assert_cmpuint (world.end, ==, end);
  xds_peer_drained (peer, 0);
  g_assert_cmpuint (world.end, >, end);
  drain (peer);
  end = world.end;
  given = xds_peer_given (peer);
  taken = xds_peer_taken (peer);
  send (peer, XDS_OP_READ, "/a", 3);
  xds_peer_serve (peer, 1);
  g_assert_cmpuint (world.end, ==, end);
  xds_peer_drained (peer, 5);
  g_assert_cmpuint (world.end, >, end);
  g_assert_cmpuint (xds_peer_given (peer), ==, given + sizeof (XdsMsgHeader) + 3);
  g_assert_cmpuint (xds_peer_taken (peer), ==, taken + 5);
  die (&world, NULL);
  peer = xds_engine_find_peer (world.engine, 1);
  g_assert_cmpuint (xds_peer_given (peer), ==, given + sizeof (XdsMsgHeader) + 3);
  g_assert_cmpuint (xds_peer_taken (peer), ==, taken + 5);
  g_assert_cmpuint (xds_peer_output (peer, &(const guint8 *){ NULL }), ==,
                    sizeof (XdsMsgHeader) + 1 - 5);
  world_clear (&world);
}

/* Proves that a request that is refused in the middle of a row of sixteen is answered EIO and told
   with its bytes, that the others are executed, and that so it stays when the engine dies again. */
static void
test_refused (void)
{
  XdsJournalPlace place = { 0 };
  XdsPeer *peer;
  World world;

  world_init (&world, SPACE);
  peer = add_socket (&world);
  for (guint round = 0; round < 2; round++)
    {
      for (guint i = 0; i < 16; i++)
        send (peer, XDS_OP_WRITE, (char[]){ '/', 'a' + i, '\0', '\1' }, 4);
      if (round > 0)
        break;
      place.position = world.end;
      place.request = 8;
      die (&world, &place); /* in the turn, nothing of which counts */
      peer = xds_engine_find_peer (world.engine, 1);
    }
  xds_peer_serve (peer, 16);
  g_assert_cmpstr (world.refused->str, ==, "WRITE /h|\\001\n");
  for (guint round = 0; round < 3; round++)
    {
      g_autoptr (GString) told = output (peer);

      g_assert_cmpuint (told->len, ==, 15 * 19 + 20);
      g_assert_cmpmem (told->str + 7 * 19 + 16, 4, "EIO", 4);
      for (guint i = 0; i < 16; i++)
        g_assert_true ((xds_engine_read (world.engine, (char[]){ '/', 'a' + i, '\0' },
                                         &(gsize){ 0 })
                        != NULL)
                       == (i != 7));
      die (&world, &place);
      peer = xds_engine_find_peer (world.engine, 1);
    }
  world_clear (&world);
}

/* Proves that no answer depends on what a dump has not: which limit was met last, how deep a watch
   looks. */
static void
test_remembered (void)
{
  g_autoptr (GString) before = NULL, after = NULL;
  XdsPeer *peer, *guest;
  World world;

  world_init (&world, SPACE);
  xds_engine_set_quota (world.engine, "node-size", 3);
  peer = add_socket (&world);
  call (peer, XDS_OP_WATCH, "/a\0t\000100000", 12);
  call (peer, XDS_OP_INTRODUCE, "3\0001\0001", 6);
  guest = xds_engine_domain_peer (world.engine, 3);
  call (guest, XDS_OP_WRITE, "/guest/x\0long", 13);
  set_base (&world);
  world.end = 0;
  start (&world);
  send (guest, XDS_OP_READ, "@quota/refused", 15);
  xds_peer_serve (guest, 1);
  before = output (guest);
  g_assert_nonnull (strstr (before->str + sizeof (XdsMsgHeader), "WRITE"));
  call (peer, XDS_OP_CONTROL, "watches", 8);
  die (&world, NULL);
  after = output (xds_engine_domain_peer (world.engine, 3));
  g_assert_cmpmem (before->str, before->len, after->str, after->len);
  world_clear (&world);
}

/* Proves that a journal that is full goes on with another base, and that without one the engine
   goes on alone. */
static void
test_full (void)
{
  World world;
  XdsPeer *peer;

  world_init (&world, XDS_JOURNAL_MIN);
  world.more = TRUE;
  peer = add_socket (&world);
  for (guint i = 0; i < 1000; i++)
    {
      call (peer, XDS_OP_WRITE, "/a\0x", 4);
      if (i % 10 == 0)
        die (&world, NULL);
      peer = xds_engine_find_peer (world.engine, 1);
    }
  g_assert_cmpuint (world.n_full, >, 2);
  g_assert_cmpuint (xds_peer_given (peer), ==, 1000 * 20);
  world.n_full = 0;
  world.more = FALSE;
  for (guint i = 0; i < 1000; i++)
    call (peer, XDS_OP_WRITE, "/a\0y", 4);
  g_assert_cmpuint (world.n_full, ==, 1);
  g_assert_cmpuint (xds_peer_given (peer), ==, 2000 * 20);
  world_clear (&world);
}

/* One of each record. */
static void
do_everything (World *world)
{
  const XdsDomainState there[] = { { .domid = 2, .unique_id = 102, .shutdown = TRUE } };
  XdsPeer *socket = add_socket (world), *other = add_socket (world), *ring;

  xds_engine_set_quota (world->engine, "nodes", 50);
  xds_engine_set_keep_orphans (world->engine, TRUE);
  xds_engine_set_favour_after (world->engine, 3);
  xds_engine_add_domain_peer (world->engine, 0);
  xds_peer_set_handle (socket, 7);
  call (socket, XDS_OP_WATCH, "/a\0t", 5);
  call (socket, XDS_OP_INTRODUCE, "1\0" "7\0" "9", 6);
  call (socket, XDS_OP_INTRODUCE, "2\0" "7\0" "9", 6);
  call (socket, XDS_OP_INTRODUCE, "5\0" "7\0" "9", 6);
  call (socket, XDS_OP_INTRODUCE, "1\0" "7\0" "9", 6);
  call (socket, XDS_OP_WRITE, "/a/b\0x", 6);
  call (socket, XDS_OP_SET_PERMS, "/a\0n1\0r2\0r9", 12);
  call (socket, XDS_OP_CONTROL, "log", 4);
  call (socket, XDS_OP_TRANSACTION_START, "", 1);
  xds_engine_write (world->engine, "/tool/x", "y", 1);
  xds_engine_fire (world->engine, "@userdata/3/xl");
  ring = xds_engine_domain_peer (world->engine, 2);
  send (ring, XDS_OP_WRITE, "/a\0no", 5);
  xds_peer_reset (ring);
  xds_peer_give_up (ring);
  xds_engine_domains (world->engine, there, 1);
  xds_engine_remove_peer (world->engine, other);
  send (socket, XDS_OP_READ, "/a/b", 5);
  send (socket, XDS_OP_RM, "/a", 3);
  xds_peer_serve (socket, 1);
  xds_peer_drained (socket, 3);
  xds_peer_serve (socket, 1);
  send (socket, 77, "", 0);
}

/* Proves that a journal in which any one byte is damaged, or which ends early, is refused with the
   record, its place and the reason, or gives an engine that is sound. */
static void
test_damaged (void)
{
  guint refused = 0;
  World world;

  world_init (&world, SPACE);
  do_everything (&world);
  die (&world, NULL);
  if (g_getenv ("XDS_TEST_KEEP") != NULL)
    g_file_set_contents ("journal", (const char *) world.data, world.end, NULL);
  for (gsize i = 0; i < world.end * 4; i++)
    {
      XdsEngine *engine = xds_engine_new (&host, &world);
      g_autofree char *why = NULL, *broken = NULL;
      guint64 end = world.end;

      if (i % 4 < 3)
        world.data[i / 4] ^= 1u << (3 * (i % 4));
      else
        world.end = i / 4;
      if (!recover (&world, engine, &why))
        {
          refused++;
          g_assert_true (g_str_has_prefix (why, "record "));
        }
      else if ((broken = xds_engine_check (engine)) != NULL)
        g_error ("byte %" G_GSIZE_FORMAT ": %s", i / 4, broken);
      xds_engine_free (engine);
      world.end = end;
      if (i % 4 < 3)
        world.data[i / 4] ^= 1u << (3 * (i % 4));
    }
  g_assert_cmpuint (refused, >, world.end);
  world_clear (&world);
}

/* Proves that a request which is put off holds up its own peer alone, that it was not executed for
   who takes over after a death, and that it is answered once when it is not put off any more. */
static void
test_later (void)
{
  g_autoptr (GString) none = NULL, answer = NULL;
  XdsPeer *peer, *other;
  World world;

  world_init (&world, SPACE);
  peer = add_socket (&world);
  other = add_socket (&world);
  world.busy = TRUE;
  call (peer, XDS_OP_WRITE, "/a\0x", 4);
  send (peer, XDS_OP_CONTROL, "log", 4);
  g_assert_false (xds_peer_serve (peer, 2));
  g_assert_false (xds_peer_wants_input (peer));
  call (other, XDS_OP_WRITE, "/b\0x", 4);
  die (&world, NULL);
  peer = xds_engine_find_peer (world.engine, 1);
  none = output (peer);
  g_assert_cmpuint (none->len, ==, 0);
  xds_peer_serve (peer, 2);
  xds_engine_unpark (world.engine);
  g_assert_false (xds_peer_wants_input (peer));
  world.busy = FALSE;
  xds_engine_unpark (world.engine);
  answer = output (peer);
  g_assert_cmpuint (answer->len, >, sizeof (XdsMsgHeader));
  xds_engine_unpark (world.engine);
  drain (peer);
  die (&world, NULL);
  none->len = xds_peer_output (xds_engine_find_peer (world.engine, 1), &(const guint8 *){ NULL });
  g_assert_cmpuint (none->len, ==, 0);
  world_clear (&world);
}

/* Proves that all whole requests are executed at once, though their answers are more than the peer
   would be served for, and that who takes over after a death gives the same. */
static void
test_finish (void)
{
  g_autoptr (GString) before = NULL, after = NULL;
  char value[3 + 3000] = "/a"; /* eighty answers with it are less than the bound, a hundred more */
  XdsPeer *peer;
  World world;

  world_init (&world, SPACE);
  peer = add_socket (&world);
  call (peer, XDS_OP_WRITE, value, sizeof value);
  for (guint i = 0; i < 100; i++)
    {
      send (peer, XDS_OP_READ, "/a", 3);
      if (i < 80)
        xds_peer_serve (peer, 1);
    }
  while (xds_peer_serve (peer, 1))
    continue;
  g_assert_false (xds_peer_wants_input (peer));
  xds_engine_finish (world.engine);
  before = output (peer);
  g_assert_cmpuint (before->len, ==, 100 * (sizeof (XdsMsgHeader) + sizeof value - 3));
  die (&world, NULL);
  after = output (xds_engine_find_peer (world.engine, 1));
  g_assert_true (g_string_equal (before, after));
  world_clear (&world);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/journal/answers", test_answers);
  g_test_add_func ("/journal/reading", test_reading);
  g_test_add_func ("/journal/refused", test_refused);
  g_test_add_func ("/journal/remembered", test_remembered);
  g_test_add_func ("/journal/full", test_full);
  g_test_add_func ("/journal/damaged", test_damaged);
  g_test_add_func ("/journal/later", test_later);
  g_test_add_func ("/journal/finish", test_finish);
  return g_test_run ();
}
