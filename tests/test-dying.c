/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Sessions of clients that do what they should not, over an engine that dies again and again:
 * readers that sleep, halves of requests, messages that are none, rings that begin anew, limits
 * that are met, domains that come and go.  What is proved is the world's (world-journal.c): that
 * the engine that takes over is the one that died, to the byte.  What well-behaved clients see is
 * test-model's.
 *
 * A failure prints the seed; XDS_TEST_SEED=n runs that one again, XDS_TEST_STEPS=n so many steps.
 */

#include "tests/script.h"
#include "tests/world.h"

#include <stdlib.h>
#include <string.h>

#define STEPS_OF_A_SESSION 400

typedef struct
{
  GByteArray *todo; /* of messages that the engine did not take yet */
  guint32 txns[2];  /* the last ones that were started */
  XdsWorldPeer *of; /* whose they are */
} Mouth;

typedef struct
{
  XdsWorld *world;
  GRand *rand;
  XdsWorldPeer *sockets[XDS_SCRIPT_SOCKETS];
  Mouth mouths[XDS_SCRIPT_ACTORS];
} Session;

static guint
pick (Session *self, guint n)
{
  return g_rand_int_range (self->rand, 0, n);
}

/* NULL: nobody is there. */
static XdsWorldPeer *
actor (Session *self, guint i)
{
  XdsWorldPeer *peer = i < XDS_SCRIPT_SOCKETS
                           ? self->sockets[i]
                           : xds_world_guest (self->world, i - XDS_SCRIPT_SOCKETS + 1);

  if (peer != self->mouths[i].of)
    g_byte_array_set_size (self->mouths[i].todo, 0);
  self->mouths[i].of = peer;
  return peer != NULL && peer->peer != NULL ? peer : NULL;
}

static void
speak (Session *self, guint i)
{
  XdsWorldPeer *peer = actor (self, i);
  GByteArray *todo = self->mouths[i].todo;
  gsize n;

  if (peer == NULL || todo->len == 0)
    return;
  n = pick (self, 3) == 0 ? pick (self, todo->len + 1) : todo->len;
  n = xds_world_send_bytes (peer, todo->data, n);
  g_byte_array_remove_range (todo, 0, n);
}

static void
say (Session *self, guint i, guint32 type, guint32 tx_id, const char *payload, guint32 len)
{
  const XdsMsgHeader header = { type, 1, tx_id, len };
  GByteArray *todo = self->mouths[i].todo;

  if (todo->len > 20000)
    return;
  g_byte_array_append (todo, (const guint8 *) &header, sizeof header);
  g_byte_array_append (todo, (const guint8 *) payload, len <= XDS_PAYLOAD_MAX ? len : 0);
  speak (self, i);
}

/* Remembers which transactions there are, and forgets the rest. */
static void
listen (Session *self, guint i)
{
  XdsWorldPeer *peer = actor (self, i);
  XdsMsgHeader header;

  while (peer != NULL
         && xds_msg_peek (peer->inbox->data, peer->inbox->len, &header) == XDS_MSG_WHOLE)
    {
      if (header.type == XDS_OP_TRANSACTION_START)
        {
          self->mouths[i].txns[1] = self->mouths[i].txns[0];
          self->mouths[i].txns[0]
              = strtoul ((char *) peer->inbox->data + sizeof header, NULL, 10);
        }
      g_byte_array_remove_range (peer->inbox, 0, sizeof header + header.len);
    }
}

/* --- steps --- */

static void
control (Session *self)
{
  static const char *const lines[] = {
    "quota set nodes 9",       "quota set nodes 20",   "quota set memory 9000",
    "quota set memory 200000", "quota set watches 3",  "quota max -r",
    "quota max",               "quota 1",              "quota 3",
    "connections",             "watches",              "transactions",
    "memreport",               "check",                "quota-soft set memory 5000",
    "quota set outstanding 3", "quota set outstanding 0", "none",
  };
  g_autofree char *line = g_strdup (lines[pick (self, G_N_ELEMENTS (lines))]);
  gsize len = strlen (line) + 1;

  g_strdelimit (line, " ", '\0');
  say (self, pick (self, XDS_SCRIPT_SOCKETS), XDS_OP_CONTROL, 0, line, len);
}

static void
set_limit (Session *self)
{
  static const char *const names[] = { "nodes", "watches", "memory", "transactions" };
  char payload[64];
  guint len;

  len = g_snprintf (payload, sizeof payload, "%u%c%s%c%u", 1 + pick (self, XDS_SCRIPT_GUESTS), 0,
                    names[pick (self, G_N_ELEMENTS (names))], 0, 3 + pick (self, 20) * 10)
        + 1;
  say (self, pick (self, XDS_SCRIPT_SOCKETS), XDS_OP_SET_QUOTA, 0, payload, len);
}

/* What the host does beside moving bytes. */
static void
host_acts (Session *self)
{
  XdsEngine *engine = xds_world_engine (self->world);
  guint i = pick (self, XDS_SCRIPT_ACTORS);
  XdsWorldPeer *peer = actor (self, i);

  switch (pick (self, 6))
    {
    case 0:
      xds_engine_set_keep_orphans (engine, pick (self, 4) == 0);
      break;
    case 1:
      xds_engine_write (engine, pick (self, 2) ? "/a/b/c" : "/tool/x", "host", pick (self, 5));
      break;
    case 2:
      xds_engine_fire (engine, "@userdata/3/xl");
      break;
    case 3:
      xds_engine_set_favour_after (engine, pick (self, 4));
      break;
    case 4:
      if (peer == NULL || !peer->guest)
        return;
      xds_world_restart (peer, pick (self, 3) == 0);
      g_byte_array_set_size (self->mouths[i].todo, 0);
      break;
    default:
      if (i >= XDS_SCRIPT_SOCKETS)
        return;
      if (peer != NULL)
        xds_world_remove_peer (peer);
      self->sockets[i] = xds_world_add_socket (self->world);
      break;
    }
}

static void
domain_acts (Session *self, guint type, guint domid)
{
  XdsDomainState state;
  gboolean exists = xds_world_domain_get (self->world, domid, &state);
  char payload[32];

  if (!exists)
    xds_world_domain_create (self->world, domid);
  else if (type == XDS_STEP_SHUTDOWN)
    xds_world_domain_shutdown (self->world, domid, 0);
  else if (type == XDS_STEP_DYING)
    xds_world_domain_dying (self->world, domid);
  else if (type != XDS_STEP_CREATE)
    xds_world_domain_destroy (self->world, domid);
  if (exists && type == XDS_STEP_REUSE)
    xds_world_domain_create (self->world, domid);
  if (exists && type != XDS_STEP_CREATE)
    xds_world_report (self->world);
  else
    say (self, 0, XDS_OP_INTRODUCE, 0, payload,
         g_snprintf (payload, sizeof payload, "%u%c77%c5", domid, 0, 0) + 1);
}

static void
take_step (Session *self, const XdsStep *step)
{
  Mouth *mouth = &self->mouths[step->actor % XDS_SCRIPT_ACTORS];
  XdsWorldPeer *peer = actor (self, step->actor % XDS_SCRIPT_ACTORS);

  switch (pick (self, 40))
    {
    case 0:
    case 1:
      control (self);
      return;
    case 2:
      set_limit (self);
      return;
    case 3:
    case 4:
      host_acts (self);
      return;
    case 5:
      if (pick (self, 4) == 0)
        say (self, step->actor % XDS_SCRIPT_ACTORS, XDS_OP_READ, 0, "", 70000);
      return;
    case 6:
    case 7:
      if (peer != NULL)
        peer->asleep = pick (self, 3) > 0;
      return;
    default:
      break;
    }
  if (step->type >= XDS_STEP_CREATE)
    domain_acts (self, step->type, step->actor);
  else if (step->type < XDS_STEP_HANG_UP)
    say (self, step->actor, step->type,
         step->txn == 0 ? 0 : mouth->txns[step->txn % G_N_ELEMENTS (mouth->txns)], step->payload,
         step->len);
}

/* --- a session --- */

static void
session_init (Session *self, GRand *rand)
{
  *self = (Session){ .rand = rand, .world = xds_world_new () };
  for (guint i = 0; i < XDS_SCRIPT_ACTORS; i++)
    self->mouths[i].todo = g_byte_array_new ();
  for (guint i = 0; i < XDS_SCRIPT_SOCKETS; i++)
    self->sockets[i] = xds_world_add_socket (self->world);
  xds_world_journal (self->world, rand);
  xds_engine_set_favour_after (xds_world_engine (self->world), 2);
  for (guint domid = 1; domid <= XDS_SCRIPT_GUESTS; domid++)
    domain_acts (self, XDS_STEP_CREATE, domid);
  say (self, 0, XDS_OP_SET_PERMS, 0, "/\0b0", 5);
  xds_world_pump (self->world);
}

static void
session_clear (Session *self)
{
  for (guint i = 0; i < XDS_SCRIPT_ACTORS; i++)
    g_byte_array_unref (self->mouths[i].todo);
  xds_world_free (self->world);
}

static void
run (guint32 seed)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  g_autoptr (GArray) script = xds_script_new (rand, STEPS_OF_A_SESSION);
  Session session;

  session_init (&session, rand);
  for (guint i = 0; i < script->len; i++)
    {
      take_step (&session, &g_array_index (script, XdsStep, i));
      if (pick (&session, 3) > 0)
        xds_world_pump (session.world);
      if (pick (&session, 30) == 0)
        xds_world_die (session.world);
      for (guint k = 0; k < XDS_SCRIPT_ACTORS; k++)
        {
          listen (&session, k);
          speak (&session, k);
        }
    }
  session_clear (&session);
}

/* Proves that whatever clients do, no answer that is given later tells that the engine died. */
static void
test_sessions (void)
{
  const char *fixed = g_getenv ("XDS_TEST_SEED"), *steps = g_getenv ("XDS_TEST_STEPS");
  gboolean one = fixed != NULL && g_ascii_isdigit (fixed[0]);
  guint32 seed = one ? strtoul (fixed, NULL, 10) : (guint32) g_test_rand_int ();
  guint n = 20;

  if (g_getenv ("XDS_TEST_VALGRIND") != NULL)
    n = 2;
  else if (g_getenv ("XDS_TEST_LONG") != NULL)
    n = 1000;
  if (steps != NULL)
    n = strtoul (steps, NULL, 10) / STEPS_OF_A_SESSION;
  for (guint i = 0; i < (one ? 1 : MAX (n, 1)); i++)
    {
      g_test_message ("XDS_TEST_SEED=%u", seed + i);
      run (seed + i);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/dying/sessions", test_sessions);
  return g_test_run ();
}
