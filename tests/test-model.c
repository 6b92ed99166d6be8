/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The engine against the model: the same random requests to both, and every answer, every event,
 * the tree and the figures compared.
 *
 * A failure prints the seed and the shortest script that still fails.  To see one again:
 *   XDS_TEST_SEED=1234 tests/test-model
 * More and other scripts: XDS_TEST_LONG=1 runs a million steps, XDS_TEST_STEPS=n runs n.
 */

#include "tests/model.h"
#include "tests/script.h"
#include "tests/world.h"

#include <stdlib.h>
#include <string.h>

#define STEPS_OF_A_SCRIPT 300
#define STEPS_BETWEEN_LOOKS 20
#define STEPS_BETWEEN_RELOADS 7

/* Small, so that a script meets them. */
static const XdsModelLimits limits = {
  .nodes = 12,
  .node_size = 12,
  .node_permissions = 3,
  .watches = 4,
  .transactions = 2,
};

/* The two ids of one transaction. */
typedef struct
{
  guint32 engine, model;
} Ids;

typedef struct
{
  XdsWorldPeer *client;
  XdsModelPeer *twin;
  GArray *txns;    /* of Ids, those that are open */
  GPtrArray *got;  /* what the engine told it, as text */
  guint32 new_txn; /* the engine's id of the one that was started last */
} Actor;

typedef struct
{
  XdsWorld *world;
  XdsModel *model;
  XdsWorldPeer *looker; /* compares the trees, is in neither's way */
  Actor actors[XDS_SCRIPT_ACTORS];
  gboolean deaths; /* the step may have killed domains */
  GRand *rand;     /* of what the engine dies of */
  GString *why;
} Duel;

/* --- both sides' messages --- */

/* As text, without the numbers that the two sides choose freely: the id of a transaction and the
   generation of a listing. */
static char *
print_message (guint32 type, const char *payload, gsize len)
{
  GString *text = g_string_new (NULL);
  gsize at = type == XDS_OP_DIRECTORY_PART || type == XDS_OP_TRANSACTION_START
                 ? strnlen (payload, len)
                 : 0;

  g_string_append_printf (text, "%u \"", type);
  for (; at < len; at++)
    g_string_append_c (text, payload[at] == '\0' ? '|' : payload[at]);
  g_string_append_c (text, '"');
  return g_string_free (text, FALSE);
}

/* What the engine told one peer goes to its list; the status of the answer, if there was one. */
static XdsStatus
listen (Actor *actor, guint32 *ret_txn)
{
  g_autoptr (XdsWorldMsg) is = NULL;
  XdsStatus status = XDS_OK;

  while ((is = xds_world_receive (actor->client)) != NULL)
    {
      if (is->type == XDS_OP_TRANSACTION_START)
        *ret_txn = strtoul (is->payload, NULL, 10);
      if (is->type != XDS_OP_WATCH_EVENT)
        status = xds_world_msg_status (is);
      g_ptr_array_add (actor->got, print_message (is->type, is->payload, is->len));
      g_clear_pointer (&is, g_free);
    }
  return status;
}

/* What both told one peer; the answer to START binds the two ids of a transaction together. */
static void
take_messages (Actor *actor, GPtrArray *want)
{
  g_autoptr (XdsModelMsg) should_be = NULL;
  Ids ids = { actor->new_txn, 0 };

  listen (actor, &ids.engine);
  actor->new_txn = 0;
  while ((should_be = xds_model_receive (actor->twin)) != NULL)
    {
      const char *payload = (char *) should_be->payload->data;

      if (should_be->type == XDS_OP_TRANSACTION_START)
        ids.model = strtoul (payload, NULL, 10);
      g_ptr_array_add (want, print_message (should_be->type, payload, should_be->payload->len));
      g_clear_pointer (&should_be, xds_model_msg_free);
    }
  if (ids.engine != 0)
    g_array_append_val (actor->txns, ids);
}

static gint
compare_texts (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

/* The order in which a dead domain's nodes go is free: puts each row of their events in order. */
static void
sort_rows (GPtrArray *texts)
{
  for (guint from = 0, to; from < texts->len; from = to + 1)
    {
      for (to = from; to < texts->len && g_str_has_prefix (texts->pdata[to], "15 ")
                      && !g_str_has_prefix (texts->pdata[to], "15 \"@");)
        to++;
      qsort (texts->pdata + from, to - from, sizeof (gpointer), compare_texts);
    }
}

static void
compare_messages (Duel *duel, Actor *actor, const char *who)
{
  g_autoptr (GPtrArray) want = g_ptr_array_new_with_free_func (g_free);
  GPtrArray *got = actor->got;

  take_messages (actor, want);
  if (duel->deaths)
    {
      sort_rows (got);
      sort_rows (want);
    }
  for (guint i = 0; i < MAX (got->len, want->len); i++)
    {
      const char *is = i < got->len ? got->pdata[i] : "nothing";
      const char *should_be = i < want->len ? want->pdata[i] : "nothing";

      if (!g_str_equal (is, should_be))
        g_string_append_printf (duel->why, "%s: the engine says %s, the model %s\n", who, is,
                                should_be);
    }
  g_ptr_array_set_size (got, 0);
}

static void
compare_all_messages (Duel *duel)
{
  for (guint i = 0; i < XDS_SCRIPT_ACTORS; i++)
    if (duel->actors[i].client != NULL)
      {
        g_autofree char *who = i < XDS_SCRIPT_SOCKETS
                                   ? g_strdup_printf ("socket %u", i)
                                   : g_strdup_printf ("domain %u", i - XDS_SCRIPT_SOCKETS + 1);

        compare_messages (duel, &duel->actors[i], who);
      }
}

/* --- both sides' trees --- */

static void
dump_engine (XdsWorldPeer *looker, const char *path, GString *text)
{
  gsize len = strlen (path) + 1;
  g_autoptr (XdsWorldMsg) value = xds_world_call (looker, XDS_OP_READ, 0, path, len);
  g_autoptr (XdsWorldMsg) perms = xds_world_call (looker, XDS_OP_GET_PERMS, 0, path, len);
  g_autoptr (XdsWorldMsg) names = xds_world_call (looker, XDS_OP_DIRECTORY, 0, path, len);
  XdsSpan rest = { names->payload, names->len }, name;

  g_string_append_printf (text, "%s = \"%s\"", path, value->payload);
  for (gsize i = 0; i < perms->len; i += strlen (perms->payload + i) + 1)
    g_string_append_printf (text, " %s", perms->payload + i);
  g_string_append_c (text, '\n');
  while (xds_msg_next_string (&rest, &name))
    {
      g_autofree char *child = g_strconcat (len > 2 ? path : "", "/", name.data, NULL);

      dump_engine (looker, child, text);
    }
}

static void
compare_figures (Duel *duel)
{
  XdsStatistics is;
  XdsModelStatistics should_be;

  xds_engine_statistics (xds_world_engine (duel->world), &is);
  xds_model_statistics (duel->model, &should_be);
  if (is.watches != should_be.watches || is.transactions != should_be.transactions)
    g_string_append_printf (duel->why,
                            "the engine counts %" G_GUINT64_FORMAT " watches and %" G_GUINT64_FORMAT
                            " transactions, the model %" G_GUINT64_FORMAT " and %" G_GUINT64_FORMAT
                            "\n",
                            is.watches, is.transactions, should_be.watches, should_be.transactions);
}

static void
compare_states (Duel *duel)
{
  g_autoptr (GString) is = g_string_new (NULL);
  g_autofree char *should_be = xds_model_dump (duel->model);
  g_autofree char *broken = xds_engine_check (xds_world_engine (duel->world));

  if (broken != NULL)
    g_string_append_printf (duel->why, "the engine is broken: %s\n", broken);
  dump_engine (duel->looker, "/", is);
  if (!g_str_equal (is->str, should_be))
    g_string_append_printf (duel->why, "the engine has\n%sthe model\n%s", is->str, should_be);
  compare_figures (duel);
}

/* --- steps --- */

/* Guests come and go by INTRODUCE and RELEASE: looks again who is there, on both sides. */
static void
find_guests (Duel *duel)
{
  for (guint domid = 1; domid <= XDS_SCRIPT_GUESTS; domid++)
    {
      Actor *actor = &duel->actors[XDS_SCRIPT_SOCKETS + domid - 1];
      XdsWorldPeer *client = xds_world_guest (duel->world, domid);
      XdsModelPeer *twin = xds_model_guest (duel->model, domid);

      if ((client == NULL) != (twin == NULL))
        g_string_append_printf (duel->why, "domain %u is connected on one side only\n", domid);
      if (client != actor->client)
        g_array_set_size (actor->txns, 0);
      actor->client = twin != NULL ? client : NULL;
      actor->twin = client != NULL ? twin : NULL;
    }
}

/* After what ends transactions behind the actor's back, the ids are worth nothing. */
static void
forget_transactions (Duel *duel, const XdsStep *step, Actor *actor)
{
  guint64 domid = 0;

  if (step->type == XDS_OP_RESET_WATCHES)
    g_array_set_size (actor->txns, 0);
  if (step->type == XDS_OP_INTRODUCE && step->len > 0)
    domid = g_ascii_strtoull (step->payload, NULL, 10);
  if (domid >= 1 && domid <= XDS_SCRIPT_GUESTS)
    g_array_set_size (duel->actors[XDS_SCRIPT_SOCKETS + domid - 1].txns, 0);
}

static void
request (Duel *duel, const XdsStep *step)
{
  Actor *actor = &duel->actors[step->actor];
  Ids ids = { 0, 0 };
  XdsStatus hint;
  guint at = 0;

  if (actor->client == NULL)
    return;
  if (step->txn == XDS_STEP_TXN_UNKNOWN)
    ids = (Ids){ 12345, 12345 };
  else if (step->txn > 0 && actor->txns->len > 0)
    {
      at = step->txn % actor->txns->len;
      ids = g_array_index (actor->txns, Ids, at);
      if (step->type == XDS_OP_TRANSACTION_END && step->len == 2)
        g_array_remove_index (actor->txns, at);
    }
  xds_world_send (actor->client, step->type, ids.engine, step->payload, step->len);
  xds_world_pump (duel->world);
  hint = listen (actor, &actor->new_txn);
  xds_model_request (actor->twin, step->type, ids.model, step->payload, step->len, hint);
  forget_transactions (duel, step, actor);
}

static void
hang_up (Duel *duel, Actor *actor)
{
  if (actor->client != NULL)
    {
      xds_world_remove_peer (actor->client);
      xds_model_remove_peer (actor->twin);
    }
  g_array_set_size (actor->txns, 0);
  actor->client = xds_world_add_socket (duel->world);
  actor->twin = xds_model_add_socket (duel->model);
}

/* TRUE if the hypervisor has something to report. */
static gboolean
change_domain (Duel *duel, guint type, guint domid)
{
  XdsDomainState state;
  gboolean exists = xds_world_domain_get (duel->world, domid, &state);

  if (exists == (type == XDS_STEP_CREATE))
    return FALSE;
  switch (type)
    {
    case XDS_STEP_CREATE:
      xds_world_domain_create (duel->world, domid);
      return FALSE;
    case XDS_STEP_SHUTDOWN:
      xds_world_domain_shutdown (duel->world, domid, 0);
      return TRUE;
    case XDS_STEP_DYING:
      xds_world_domain_dying (duel->world, domid);
      return TRUE;
    case XDS_STEP_REUSE:
      xds_world_domain_destroy (duel->world, domid);
      xds_world_domain_create (duel->world, domid);
      return TRUE;
    default:
      xds_world_domain_destroy (duel->world, domid);
      return TRUE;
    }
}

static void
report_domains (Duel *duel)
{
  XdsDomainState states[XDS_SCRIPT_GUESTS + 1];
  gsize n = 0;

  for (guint domid = 0; domid <= XDS_SCRIPT_GUESTS; domid++)
    n += xds_world_domain_get (duel->world, domid, &states[n]);
  xds_world_report (duel->world);
  xds_model_domains (duel->model, states, n);
}

static void
introduce (Duel *duel, guint domid)
{
  XdsStep step = { .type = XDS_OP_INTRODUCE };

  step.len = g_snprintf (step.payload, sizeof step.payload, "%u%c77%c5", domid, 0, 0) + 1;
  request (duel, &step);
}

static void
take_step (Duel *duel, const XdsStep *step)
{
  duel->deaths = step->type > XDS_STEP_HANG_UP || step->type == XDS_OP_RELEASE;
  if (step->type == XDS_STEP_HANG_UP)
    hang_up (duel, &duel->actors[step->actor]);
  else if (step->type < XDS_STEP_HANG_UP)
    request (duel, step);
  else if (change_domain (duel, step->type, step->actor))
    report_domains (duel);
  else if (step->type == XDS_STEP_CREATE)
    introduce (duel, step->actor);
  find_guests (duel);
  compare_all_messages (duel);
}

/* --- a duel --- */

static gboolean
domain_state (void *data, guint domid, XdsDomainState *ret_state)
{
  return xds_world_domain_get (data, domid, ret_state);
}

static gboolean reloading, dying;

/* Quotas are part of what is loaded; what is configured is not. */
static void
reload (Duel *duel)
{
  xds_world_reload (duel->world);
  xds_engine_set_favour_after (xds_world_engine (duel->world), 0);
}

static void
set_limits (XdsEngine *engine)
{
  g_assert_true (xds_engine_set_quota (engine, "nodes", limits.nodes));
  g_assert_true (xds_engine_set_quota (engine, "node-size", limits.node_size));
  g_assert_true (xds_engine_set_quota (engine, "node-permissions", limits.node_permissions));
  g_assert_true (xds_engine_set_quota (engine, "watches", limits.watches));
  g_assert_true (xds_engine_set_quota (engine, "transactions", limits.transactions));
  g_assert_true (xds_engine_set_quota (engine, "memory", 0));
  g_assert_true (xds_engine_set_quota (engine, "soft-memory", 0));
}

/* The first steps of every duel: guests with a home each, and a place where all may write. */
static void
prelude (Duel *duel)
{
  for (guint domid = 1; domid <= XDS_SCRIPT_GUESTS; domid++)
    {
      XdsStep step = { .type = XDS_OP_INTRODUCE };

      xds_world_domain_create (duel->world, domid);
      step.len = g_snprintf (step.payload, sizeof step.payload, "%u%c77%c5", domid, 0, 0) + 1;
      take_step (duel, &step);
      step.type = XDS_OP_MKDIR;
      step.len = g_snprintf (step.payload, sizeof step.payload, "/local/domain/%u", domid) + 1;
      take_step (duel, &step);
      step.type = XDS_OP_SET_PERMS;
      step.len
          = g_snprintf (step.payload, sizeof step.payload, "/local/domain/%u%cn%u", domid, 0, domid)
            + 1;
      take_step (duel, &step);
    }
  take_step (duel, &(XdsStep){ .type = XDS_OP_SET_PERMS, .payload = "/\0b0", .len = 5 });
}

static guint32 fate;

static void
duel_init (Duel *duel)
{
  memset (duel, 0, sizeof *duel);
  duel->why = g_string_new (NULL);
  duel->world = xds_world_new ();
  xds_engine_set_favour_after (xds_world_engine (duel->world), 0); /* the model favours nobody */
  duel->model = xds_model_new (domain_state, duel->world, &limits);
  set_limits (xds_world_engine (duel->world));
  duel->looker = xds_world_add_socket (duel->world);
  for (guint i = 0; i < XDS_SCRIPT_ACTORS; i++)
    {
      duel->actors[i].txns = g_array_new (FALSE, FALSE, sizeof (Ids));
      duel->actors[i].got = g_ptr_array_new_with_free_func (g_free);
    }
  for (guint i = 0; i < XDS_SCRIPT_SOCKETS; i++)
    hang_up (duel, &duel->actors[i]);
  duel->rand = g_rand_new_with_seed (fate);
  if (dying)
    xds_world_journal (duel->world, duel->rand);
  prelude (duel);
}

static void
duel_clear (Duel *duel)
{
  for (guint i = 0; i < XDS_SCRIPT_ACTORS; i++)
    {
      g_array_unref (duel->actors[i].txns);
      g_ptr_array_unref (duel->actors[i].got);
    }
  xds_model_free (duel->model);
  xds_world_free (duel->world);
  g_rand_free (duel->rand);
  g_string_free (duel->why, TRUE);
}

/* NULL, or what was found at step *@progress. */
static char *
run (const GArray *script, guint *progress)
{
  Duel duel;
  char *why = NULL;

  duel_init (&duel);
  for (guint i = 0; i < script->len && duel.why->len == 0; i++)
    {
      *progress = i;
      take_step (&duel, &g_array_index (script, XdsStep, i));
      if (reloading && i % STEPS_BETWEEN_RELOADS == 0)
        reload (&duel);
      if (dying && i % STEPS_BETWEEN_RELOADS == 0)
        xds_world_die (duel.world);
      if (i % STEPS_BETWEEN_LOOKS == 0 || i + 1 == script->len)
        compare_states (&duel);
    }
  if (duel.why->len > 0)
    return g_string_free (g_steal_pointer (&duel.why), FALSE);
  duel_clear (&duel);
  return why;
}

/* --- tests --- */

static void
report_failure (const GArray *script, guint32 seed)
{
  g_autoptr (GArray) shortest = xds_script_shrink (script, run);
  g_autoptr (GString) text = g_string_new (NULL);
  g_autofree char *why = NULL;
  guint at = 0;

  if (!xds_script_fails (shortest, run, &at, &why))
    why = g_strdup ("nothing, the second time");
  for (guint i = 0; i < shortest->len; i++)
    xds_step_print (&g_array_index (shortest, XdsStep, i), i, text);
  g_printerr ("XDS_TEST_SEED=%u fails; the shortest script is\n%sand at step %u\n%s\n", seed,
              text->str, at, why);
}

static guint
number_of_steps (void)
{
  const char *steps = g_getenv ("XDS_TEST_STEPS");

  if (steps != NULL)
    return strtoul (steps, NULL, 10);
  if (g_getenv ("XDS_TEST_VALGRIND") != NULL)
    return 900;
  return g_getenv ("XDS_TEST_LONG") != NULL ? 1000000 : 20000;
}

/* A seed of one script is a number; what GTest prints and takes is none. */
static const char *
number_or_null (const char *text)
{
  return text != NULL && g_ascii_isdigit (text[0]) ? text : NULL;
}

/* Proves that the engine answers, tells and keeps what the model does, over random sessions of
   sockets and guests with transactions, watches, quotas and dying domains. */
static void
test_random (void)
{
  const char *fixed = number_or_null (g_getenv ("XDS_TEST_SEED"));
  guint32 seed = fixed != NULL ? strtoul (fixed, NULL, 10) : (guint32) g_test_rand_int ();
  guint n = fixed != NULL ? 1 : MAX (number_of_steps () / STEPS_OF_A_SCRIPT, 1);

  g_test_message ("first seed %u", seed);
  for (guint i = 0; i < n; i++, seed++)
    {
      g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
      g_autoptr (GArray) script = xds_script_new (rand, STEPS_OF_A_SCRIPT);

      fate = seed;
      xds_engine_seed (seed); /* names hash otherwise each time, and nobody may notice */
      if (xds_script_fails (script, run, NULL, NULL))
        {
          report_failure (script, seed);
          g_test_fail ();
          return;
        }
    }
}

/* Proves that nobody can tell when another engine took over from a dump: the same sessions, with
   connections, watches, events under way and open transactions. */
static void
test_reloaded (void)
{
  reloading = TRUE;
  test_random ();
  reloading = FALSE;
}

/* Proves that nobody can tell when the engine died, at whatever moment, and another took its place
   with the help of the journal; the dead one's state and the new one's are the same to the byte. */
static void
test_dying (void)
{
  dying = TRUE;
  test_random ();
  dying = FALSE;
}

/* Proves that a request which a dead domain left behind, and which names the id that somebody else
   has by now, is answered as if there were no such domain, and that its end comes as for any. */
static void
test_dead_domain_names_itself (void)
{
  g_autoptr (XdsWorld) world = xds_world_new ();
  XdsWorldPeer *socket = xds_world_add_socket (world);
  XdsWorldPeer *guest = xds_world_add_guest (world, socket, 1);
  g_autoptr (XdsWorldMsg) answer = NULL;

  g_assert_cmpint (xds_world_status (socket, XDS_OP_MKDIR, 0, "/a", 3), ==, XDS_OK);
  g_assert_cmpint (xds_world_status (socket, XDS_OP_SET_PERMS, 0, "/a\0n1", 6), ==, XDS_OK);
  xds_world_send (guest, XDS_OP_SET_PERMS, 0, "/a\0n1", 6);
  xds_world_domain_destroy (world, 1);
  xds_world_domain_create (world, 1);
  answer = xds_world_receive (guest);
  g_assert_cmpint (xds_world_msg_status (answer), ==, XDS_ENOENT);
  g_assert_nonnull (guest->peer);
  xds_world_report (world);
  g_assert_null (guest->peer);
  g_assert_cmpint (xds_world_status (socket, XDS_OP_READ, 0, "/a", 3), ==, XDS_ENOENT);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/dead-domain-names-itself", test_dead_domain_names_itself);
  g_test_add_func ("/model/random", test_random);
  g_test_add_func ("/model/reloaded", test_reloaded);
  g_test_add_func ("/model/dying", test_dying);
  return g_test_run ();
}
