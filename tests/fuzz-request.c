/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Fuzz target: bytes of several peers, mixed with the lives of domains and with time.
 *
 * The input is a list of acts.  An act is a byte that says what, a byte that says who, and what
 * that needs.  Requests get a right header from us, since a fuzzer would spend its time on
 * lengths otherwise; raw bytes are an act too.  Whatever happens, the engine's invariants hold,
 * what it sends are messages, and in the end nothing is left.
 */

#include "tests/fuzz.h"
#include "tests/world.h"

#define SOCKETS 2
#define GUESTS 4
#define ACTORS (SOCKETS + GUESTS)

enum
{
  ACT_REQUEST, /* type, transaction, length, payload */
  ACT_REQUEST_2,
  ACT_REQUEST_3,
  ACT_REQUEST_4,
  ACT_LONG, /* a request whose payload is a text repeated */
  ACT_RAW,  /* length, bytes */
  ACT_DOMAIN,
  ACT_INTRODUCE,
  ACT_SLEEP,
  ACT_TICK,
  ACT_HANG_UP,
  ACT_RESET,
  ACT_PUMP,
  ACT_CHECK, /* or tight limits from here on */
  ACT_N
};

typedef struct
{
  XdsWorld *world;
  XdsWorldPeer *sockets[SOCKETS];
  gint64 now;
} Play;

static XdsWorldPeer *
actor (Play *play, guint who)
{
  who %= ACTORS;
  return who < SOCKETS ? play->sockets[who] : xds_world_guest (play->world, who - SOCKETS + 1);
}

/* Takes what a client was sent; a stream that is no row of messages ends in an assertion. */
static void
swallow (XdsWorldPeer *client)
{
  g_autoptr (XdsWorldMsg) msg = NULL;

  while (client != NULL && (msg = xds_world_receive (client)) != NULL)
    g_clear_pointer (&msg, g_free);
}

static void
swallow_all (Play *play)
{
  for (guint i = 0; i < ACTORS; i++)
    swallow (actor (play, i));
}

static void
send_request (XdsWorldPeer *client, guint type, guint txn, const guint8 *payload, gsize len)
{
  XdsMsgHeader header = { type, 1, txn, len };

  xds_world_send_bytes (client, &header, sizeof header);
  xds_world_send_bytes (client, payload, len);
}

static void
act_request (XdsWorldPeer *client, XdsFuzzInput *input)
{
  guint type = xds_fuzz_byte (input);
  guint txn = xds_fuzz_byte (input);
  gsize len = xds_fuzz_byte (input);
  const guint8 *payload = xds_fuzz_bytes (input, &len);

  send_request (client, type % 32, txn < 128 ? 0 : txn % 8, payload, len);
}

/* A path and then one letter as often as fits: near the limits of paths, values and messages. */
static void
act_long (XdsWorldPeer *client, XdsFuzzInput *input)
{
  guint8 payload[XDS_PAYLOAD_MAX];
  guint type = xds_fuzz_byte (input), txn = xds_fuzz_byte (input);
  gsize len = (xds_fuzz_byte (input) << 8 | xds_fuzz_byte (input)) % (sizeof payload + 1);
  gsize n = xds_fuzz_byte (input) % 64;
  const guint8 *start = xds_fuzz_bytes (input, &n);

  memset (payload, 'x', sizeof payload);
  if (n > 0)
    memcpy (payload, start, n);
  if (len > 0 && (txn & 64))
    payload[len - 1] = '\0';
  send_request (client, type % 32, txn < 128 ? 0 : txn % 8, payload, len);
}

static void
act_domain (Play *play, guint domid, guint how)
{
  XdsDomainState state;

  if (!xds_world_domain_get (play->world, domid, &state))
    xds_world_domain_create (play->world, domid);
  else if (how % 5 == 0)
    xds_world_domain_destroy (play->world, domid);
  else if (how % 5 == 1)
    xds_world_domain_shutdown (play->world, domid, how);
  else if (how % 5 == 2)
    xds_world_domain_resume (play->world, domid);
  else if (how % 5 == 3)
    xds_world_domain_dying (play->world, domid);
  else
    {
      xds_world_domain_destroy (play->world, domid);
      xds_world_domain_create (play->world, domid);
    }
  if (how & 128)
    xds_engine_domain_changed (xds_world_engine (play->world), domid,
                               xds_world_domain_get (play->world, domid, &state) ? &state : NULL);
  else if (how & 64)
    xds_world_report (play->world);
}

static void
act_introduce (Play *play, guint domid)
{
  XdsDomainState state;
  char payload[32];
  gsize len = g_snprintf (payload, sizeof payload, "%u%c1%c1", domid, 0, 0) + 1;

  if (!xds_world_domain_get (play->world, domid, &state))
    xds_world_domain_create (play->world, domid);
  send_request (play->sockets[0], XDS_OP_INTRODUCE, 0, (guint8 *) payload, len);
}

static void
check (Play *play)
{
  g_autofree char *broken = xds_engine_check (xds_world_engine (play->world));

  if (broken != NULL)
    g_error ("%s", broken);
}

static void
limit (Play *play, guint n)
{
  static const struct
  {
    const char *name;
    guint factor;
  } limits[] = {
    { "nodes", 1 },
    { "watches", 1 },
    { "transactions", 1 },
    { "outstanding", 1 },
    { "memory", 600 },
    { "soft-memory", 400 },
    { "node-size", 8 },
    { "path-max", 16 },
    { "transaction-nodes", 1 },
    { "node-permissions", 1 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (limits); i++)
    g_assert_true (xds_engine_set_quota (xds_world_engine (play->world), limits[i].name,
                                         n * limits[i].factor));
}

static void
act_on (Play *play, guint act, guint who, XdsFuzzInput *input)
{
  XdsWorldPeer *client = actor (play, who);
  const guint8 *bytes;
  gsize len;

  if (client == NULL || client->peer == NULL)
    return;
  switch (act)
    {
    case ACT_LONG:
      act_long (client, input);
      break;
    case ACT_RAW:
      /* Of two arguments either may be evaluated first, and the call shortens len. */
      len = xds_fuzz_byte (input);
      bytes = xds_fuzz_bytes (input, &len);
      xds_world_send_bytes (client, bytes, len);
      break;
    case ACT_SLEEP:
      client->asleep = !client->asleep;
      break;
    case ACT_HANG_UP:
      if (!client->guest)
        xds_world_remove_peer (client);
      break;
    case ACT_RESET:
      if (client->guest)
        xds_peer_reset (client->peer);
      break;
    default:
      act_request (client, input);
      break;
    }
}

static void
act (Play *play, XdsFuzzInput *input)
{
  guint what = xds_fuzz_byte (input) % ACT_N, who = xds_fuzz_byte (input);

  switch (what)
    {
    case ACT_DOMAIN:
      act_domain (play, 1 + who % GUESTS, xds_fuzz_byte (input));
      break;
    case ACT_INTRODUCE:
      if (play->sockets[0]->peer != NULL)
        act_introduce (play, 1 + who % GUESTS);
      break;
    case ACT_TICK:
      play->now += who * G_GINT64_CONSTANT (1000000);
      xds_engine_tick (xds_world_engine (play->world), play->now);
      break;
    case ACT_PUMP:
      xds_world_pump (play->world);
      swallow_all (play);
      break;
    case ACT_CHECK:
      if (who < 128)
        check (play);
      else
        limit (play, who % 16);
      break;
    default:
      act_on (play, what, who, input);
      break;
    }
  for (guint i = 0; i < SOCKETS; i++)
    if (play->sockets[i]->peer == NULL)
      play->sockets[i] = xds_world_add_socket (play->world);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  XdsFuzzInput input = { data, size };
  Play play = { .world = xds_world_new () };

  /* Some of what act() adds to the time is less. */
  xds_engine_set_patience (xds_world_engine (play.world), 100 * G_TIME_SPAN_SECOND);
  for (guint i = 0; i < SOCKETS; i++)
    play.sockets[i] = xds_world_add_socket (play.world);
  while (input.len > 0)
    act (&play, &input);
  xds_world_pump (play.world);
  swallow_all (&play);
  check (&play);
  xds_world_free (play.world);
  return 0;
}
