/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Making, printing, running and shrinking random sessions.
 *
 * Names are few and short, so that peers meet: three names, at most three levels, some of them in
 * the homes of domains, and now and then one that is no path at all.
 */

#include "tests/script.h"

#include "xsd/wire/op-number.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a script is like, so that not all are a bit of everything. */
typedef struct
{
  guint actors[XDS_SCRIPT_ACTORS];
  guint n_actors;
  guint calm;  /* one step in so many is something rare */
  guint alone; /* one request in so many is outside of a transaction */
  guint n_names;
} Manner;

static guint
pick (GRand *rand, guint n)
{
  return g_rand_int_range (rand, 0, n);
}

#define PICK(rand, list) ((list)[pick ((rand), G_N_ELEMENTS (list))])

static void
add_path (GRand *rand, const Manner *manner, GString *text)
{
  static const char *const odd[]
      = { "/", "", "//", "/a/", "a//b", "/a.b", "@releaseDomain", "/local/domain/", "/local" };
  static const char *const names[] = { "a", "b", "c" };
  guint kind = pick (rand, 40);
  guint levels = 1 + pick (rand, 3);

  if (kind == 0)
    {
      g_string_append (text, PICK (rand, odd));
      return;
    }
  if (kind < 4)
    g_string_append_printf (text, "/local/domain/%u", 1 + pick (rand, XDS_SCRIPT_GUESTS));
  else if (kind < 10)
    {
      g_string_append (text, names[pick (rand, manner->n_names)]);
      levels--;
    }
  for (guint i = 0; i < levels; i++)
    g_string_append_printf (text, "/%s", names[pick (rand, manner->n_names)]);
}

static void
add_watch_path (GRand *rand, const Manner *manner, GString *text)
{
  static const char *const special[] = { "@releaseDomain",
                                         "@introduceDomain",
                                         "@releaseDomain/2",
                                         "@introduceDomain/3",
                                         "@none",
                                         "/",
                                         "/local/domain",
                                         "/",
                                         "/a" };

  if (pick (rand, 3) == 0)
    g_string_append (text, PICK (rand, special));
  else
    add_path (rand, manner, text);
}

static void
add_perms (GRand *rand, GString *text)
{
  static const guint domids[] = { 0, 1, 2, 3, 4, 1, 2, 3, 4, 9, 32757 };
  guint n = 1 + pick (rand, 3) + (pick (rand, 20) == 0 ? 3 : 0);

  for (guint i = 0; i < n; i++)
    {
      g_string_append_printf (text, "%c%u", "nrwb"[pick (rand, 4)], PICK (rand, domids));
      g_string_append_c (text, '\0');
    }
  if (pick (rand, 60) == 0)
    g_string_append_len (text, "x1", 3);
}

static void
add_domid (GRand *rand, GString *text)
{
  static const char *const odd[] = { "0", "9", "", "-1", "65536", "32752", "1x" };

  if (pick (rand, 10) == 0)
    g_string_append (text, PICK (rand, odd));
  else
    g_string_append_printf (text, "%u", 1 + pick (rand, XDS_SCRIPT_GUESTS));
  g_string_append_c (text, '\0');
}

static void
add_watch (GRand *rand, const Manner *manner, guint type, GString *text)
{
  static const char *const depths[] = { "0", "1", "2", "x", "" };

  add_watch_path (rand, manner, text);
  g_string_append_c (text, '\0');
  g_string_append_c (text, 't' + pick (rand, 2));
  g_string_append_c (text, '\0');
  if (type == XDS_OP_WATCH && pick (rand, 3) == 0)
    {
      g_string_append (text, PICK (rand, depths));
      g_string_append_c (text, '\0');
    }
}

static void
add_payload (GRand *rand, const Manner *manner, guint type, GString *text)
{
  switch (type)
    {
    case XDS_OP_WATCH:
    case XDS_OP_UNWATCH:
      add_watch (rand, manner, type, text);
      break;
    case XDS_OP_TRANSACTION_START:
    case XDS_OP_RESET_WATCHES:
      g_string_append_c (text, '\0');
      break;
    case XDS_OP_TRANSACTION_END:
      g_string_append_len (text, pick (rand, 5) == 0 ? "F" : "T", 2);
      break;
    case XDS_OP_INTRODUCE:
      add_domid (rand, text);
      g_string_append_len (text,
                           "77\0"
                           "5",
                           5);
      break;
    case XDS_OP_SET_TARGET:
      add_domid (rand, text);
      add_domid (rand, text);
      break;
    case XDS_OP_RELEASE:
    case XDS_OP_RESUME:
    case XDS_OP_IS_DOMAIN_INTRODUCED:
    case XDS_OP_GET_DOMAIN_PATH:
      add_domid (rand, text);
      break;
    default:
      add_path (rand, manner, text);
      g_string_append_c (text, '\0');
      if (type == XDS_OP_WRITE)
        for (guint n = pick (rand, 30) == 0 ? 20 : pick (rand, 4); n > 0; n--)
          g_string_append_c (text, '0' + pick (rand, 10));
      else if (type == XDS_OP_SET_PERMS)
        add_perms (rand, text);
      else if (type == XDS_OP_DIRECTORY_PART)
        g_string_append_printf (text, "%u%c", pick (rand, 6), 0);
      break;
    }
}

/* Each type as often as it stands here. */
static guint
pick_type (GRand *rand, const Manner *manner)
{
  static const guint types[] = {
    XDS_OP_READ,
    XDS_OP_READ,
    XDS_OP_READ,
    XDS_OP_READ,
    XDS_OP_DIRECTORY,
    XDS_OP_DIRECTORY,
    XDS_OP_DIRECTORY_PART,
    XDS_OP_GET_PERMS,
    XDS_OP_GET_PERMS,
    XDS_OP_WRITE,
    XDS_OP_WRITE,
    XDS_OP_WRITE,
    XDS_OP_WRITE,
    XDS_OP_WRITE,
    XDS_OP_WRITE,
    XDS_OP_MKDIR,
    XDS_OP_MKDIR,
    XDS_OP_MKDIR,
    XDS_OP_RM,
    XDS_OP_RM,
    XDS_OP_RM,
    XDS_OP_SET_PERMS,
    XDS_OP_SET_PERMS,
    XDS_OP_SET_PERMS,
    XDS_OP_WATCH,
    XDS_OP_WATCH,
    XDS_OP_WATCH,
    XDS_OP_UNWATCH,
    XDS_OP_TRANSACTION_START,
    XDS_OP_TRANSACTION_START,
    XDS_OP_TRANSACTION_START,
    XDS_OP_TRANSACTION_END,
    XDS_OP_TRANSACTION_END,
    XDS_OP_TRANSACTION_END,
    XDS_OP_TRANSACTION_END,
  };
  static const guint rare[] = {
    XDS_OP_INTRODUCE,
    XDS_OP_INTRODUCE,
    XDS_OP_INTRODUCE,
    XDS_OP_RELEASE,
    XDS_OP_RESUME,
    XDS_OP_SET_TARGET,
    XDS_OP_IS_DOMAIN_INTRODUCED,
    XDS_OP_GET_DOMAIN_PATH,
    XDS_OP_RESET_WATCHES,
    XDS_OP_ERROR,
    XDS_OP_WATCH_EVENT,
    XDS_OP_RESTRICT,
    XDS_STEP_HANG_UP,
    XDS_STEP_CREATE,
    XDS_STEP_CREATE,
    XDS_STEP_SHUTDOWN,
    XDS_STEP_DYING,
    XDS_STEP_DESTROY,
    XDS_STEP_REUSE,
  };

  return pick (rand, manner->calm) == 0 ? PICK (rand, rare) : PICK (rand, types);
}

static void
random_step (GRand *rand, const Manner *manner, XdsStep *step)
{
  g_autoptr (GString) payload = g_string_new (NULL);

  memset (step, 0, sizeof *step);
  step->type = pick_type (rand, manner);
  step->actor = manner->actors[pick (rand, manner->n_actors)];
  if (step->type == XDS_STEP_HANG_UP)
    step->actor = 1 + pick (rand, XDS_SCRIPT_SOCKETS - 1);
  if (step->type >= XDS_STEP_CREATE)
    step->actor = 1 + pick (rand, XDS_SCRIPT_GUESTS);
  if (step->type >= XDS_STEP_HANG_UP)
    return;
  /* Half of what sockets alone may do would be EACCES otherwise. */
  if (step->type == XDS_OP_INTRODUCE)
    step->actor = pick (rand, XDS_SCRIPT_SOCKETS);
  if ((step->type != XDS_OP_TRANSACTION_START && pick (rand, manner->alone) != 0)
      || pick (rand, 60) == 0)
    step->txn = 1 + pick (rand, 2);
  if (step->type == XDS_OP_TRANSACTION_END)
    step->txn = 1 + pick (rand, 2);
  if (pick (rand, 100) == 0)
    step->txn = XDS_STEP_TXN_UNKNOWN;
  add_payload (rand, manner, step->type, payload);
  /* Now and then the last NUL is missing. */
  if (payload->len > 0 && pick (rand, 100) == 0)
    g_string_truncate (payload, payload->len - 1);
  g_assert_cmpuint (payload->len, <=, sizeof step->payload);
  step->len = payload->len;
  memcpy (step->payload, payload->str, payload->len);
}

GArray *
xds_script_new (GRand *rand, guint n)
{
  GArray *script = g_array_sized_new (FALSE, TRUE, sizeof (XdsStep), n);
  Manner manner = {
    .n_actors = 2 + pick (rand, XDS_SCRIPT_ACTORS - 1),
    .calm = 5 << (2 * pick (rand, 3)),
    .alone = 1 + pick (rand, 4),
    .n_names = 1 + pick (rand, 3),
  };

  for (guint i = 0; i < manner.n_actors; i++)
    manner.actors[i] = pick (rand, XDS_SCRIPT_ACTORS);
  g_array_set_size (script, n);
  for (guint i = 0; i < n; i++)
    random_step (rand, &manner, &g_array_index (script, XdsStep, i));
  return script;
}

void
xds_step_print (const XdsStep *step, guint index, GString *text)
{
  static const char *const others[]
      = { "hang-up", "create", "shutdown", "dying", "destroy", "reuse" };

  if (step->type >= XDS_STEP_HANG_UP)
    {
      g_string_append_printf (text, "%4u %s %u\n", index, others[step->type - XDS_STEP_HANG_UP],
                              step->actor);
      return;
    }
  if (step->actor < XDS_SCRIPT_SOCKETS)
    g_string_append_printf (text, "%4u socket %u: type %u", index, step->actor, step->type);
  else
    g_string_append_printf (text, "%4u domain %u: type %u", index,
                            step->actor - XDS_SCRIPT_SOCKETS + 1, step->type);
  if (step->txn != 0)
    g_string_append_printf (text, " in transaction %u", step->txn);
  g_string_append (text, " \"");
  for (guint i = 0; i < step->len; i++)
    if (step->payload[i] == '\0')
      g_string_append (text, "|");
    else
      g_string_append_c (text, step->payload[i]);
  g_string_append (text, "\"\n");
}

/* --- running --- */

typedef struct
{
  guint progress;
  gboolean done;
  char why[8192];
} Shared;

static void
run_in_child (const GArray *script, XdsScriptRun run, Shared *shared)
{
  g_autofree char *why = run (script, &shared->progress);

  if (why != NULL)
    g_strlcpy (shared->why, why, sizeof shared->why);
  shared->done = TRUE;
}

gboolean
xds_script_fails (const GArray *script, XdsScriptRun run, guint *ret_at, char **ret_why)
{
  Shared *shared
      = mmap (NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  gboolean fails;
  int status;
  pid_t pid;

  g_assert_true (shared != MAP_FAILED);
  fflush (NULL);
  pid = fork ();
  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    {
      /* Its last words go where they cannot be taken for results of a test. */
      if (ret_why != NULL)
        dup2 (STDERR_FILENO, STDOUT_FILENO);
      else if (freopen ("/dev/null", "w", stdout) == NULL
               || freopen ("/dev/null", "w", stderr) == NULL)
        _exit (1);
      run_in_child (script, run, shared);
      _exit (0);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  fails = !shared->done || shared->why[0] != '\0';
  if (fails && ret_at != NULL)
    *ret_at = shared->progress;
  if (fails && ret_why != NULL)
    *ret_why = shared->done ? g_strdup (shared->why)
                            : g_strdup_printf ("the process died with status %#x", status);
  munmap (shared, sizeof *shared);
  return fails;
}

static GArray *
without (const GArray *script, guint from, guint n)
{
  GArray *rest = g_array_new (FALSE, TRUE, sizeof (XdsStep));

  g_array_append_vals (rest, script->data, from);
  if (from + n < script->len)
    g_array_append_vals (rest, &g_array_index (script, XdsStep, from + n), script->len - from - n);
  return rest;
}

GArray *
xds_script_shrink (const GArray *script, XdsScriptRun run)
{
  GArray *best = without (script, script->len, 0);
  guint at = best->len - 1;

  if (xds_script_fails (best, run, &at, NULL) && at + 1 < best->len)
    g_array_set_size (best, at + 1);
  for (guint n = MAX (best->len / 2, 1); n >= 1; n /= 2)
    for (guint from = 0; from < best->len;)
      {
        GArray *shorter = without (best, from, n);

        if (xds_script_fails (shorter, run, NULL, NULL))
          {
            g_array_unref (best);
            best = shorter;
          }
        else
          {
            g_array_unref (shorter);
            from += n;
          }
      }
  return best;
}
