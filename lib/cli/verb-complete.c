/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * xds complete: what could come next, for the shells.  The words of the command line so far are
 * given, the last being the one that is being written; one candidate a line is printed, and never
 * an error: a completion that fails has nothing to offer.
 *
 * What a word is follows from the verb and from the word before it, by the table below.
 */

#include "lib/cli/out.h"
#include "lib/cli/verbs.h"

#include <stdio.h>

static GPtrArray *offered; /* (owned) while the verb runs */

static void
offer (const char *candidate, const char *word)
{
  if (g_str_has_prefix (candidate, word))
    g_ptr_array_add (offered, g_strdup (candidate));
}

static void
print_offered (gboolean json)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();

  g_ptr_array_add (offered, NULL);
  xds_out_json_strings (builder, (char **) offered->pdata);
  if (json)
    xds_out_json (builder);
  for (guint i = 0; !json && offered->pdata[i] != NULL; i++)
    puts (offered->pdata[i]);
}

static void
offer_verbs (const char *word)
{
  for (guint i = 0; xds_verbs[i] != NULL; i++)
    if (!g_str_equal (xds_verbs[i]->name, "complete"))
      offer (xds_verbs[i]->name, word);
  offer ("help", word);
}

/* Children of the directory that is written already; those that have children end in a slash. */
static void
offer_paths (XdsCli *cli, const char *word)
{
  const char *slash = strrchr (word, '/');
  g_autofree char *parent = slash != NULL ? g_strndup (word, slash - word) : g_strdup ("");
  g_autofree char *path = xds_cli_path (cli, slash == word ? "/" : parent, NULL);
  g_autoptr (XdsBatch) batch = NULL;
  g_auto (GStrv) names = NULL;

  if (path == NULL || xds_cli_client (cli, NULL) == NULL)
    return;
  if (path[0] == '\0')
    {
      offer ("/", word);
      return;
    }
  names = xds_client_list (cli->client, NULL, path, NULL);
  batch = xds_batch_new (cli->client, NULL);
  for (guint i = 0; names != NULL && names[i] != NULL; i++)
    {
      g_autofree char *child
          = g_strconcat (g_str_equal (path, "/") ? "" : path, "/", names[i], NULL);

      xds_batch_list (batch, child);
    }
  if (names == NULL || !xds_batch_run (batch, NULL))
    return;
  for (guint i = 0; names[i] != NULL; i++)
    {
      g_auto (GStrv) below = xds_batch_get_strings (batch, i, NULL);
      g_autofree char *candidate = g_strconcat (parent, slash != NULL ? "/" : "", names[i],
                                                below != NULL && below[0] != NULL ? "/" : "", NULL);

      offer (candidate, word);
    }
}

static void
offer_domains (XdsCli *cli, const char *word)
{
  g_autoptr (GHashTable) names = xds_cli_domain_names (cli, NULL);
  GHashTableIter iter;
  gpointer domid, name;

  if (names == NULL)
    return;
  g_hash_table_iter_init (&iter, names);
  while (g_hash_table_iter_next (&iter, &domid, &name))
    {
      g_autofree char *number = g_strdup_printf ("%u", GPOINTER_TO_UINT (domid));

      offer (number, word);
      if (((char *) name)[0] != '\0')
        offer (name, word);
    }
}

static void
offer_quotas (XdsCli *cli, const char *word)
{
  XdsClient *client = xds_cli_client (cli, NULL);
  g_auto (GStrv) names = client != NULL ? xds_client_list_quotas (client, NULL) : NULL;

  offer ("set", word);
  for (guint i = 0; names != NULL && names[i] != NULL; i++)
    offer (names[i], word);
}

static void
offer_options (const char *verb, const char *word)
{
  static const char *const common[] = { "--domain", "--json", "--socket", "--dry-run", "--help" };
  const XdsVerb *known = xds_verb_find (verb);

  for (guint i = 0; i < G_N_ELEMENTS (common); i++)
    offer (common[i], word);
  for (const GOptionEntry *o = known != NULL ? known->options : NULL;
       o != NULL && o->long_name != NULL; o++)
    {
      g_autofree char *option = g_strconcat ("--", o->long_name, NULL);

      offer (option, word);
    }
}

static void
offer_words (const char *const *words, const char *word)
{
  for (guint i = 0; words[i] != NULL; i++)
    offer (words[i], word);
}

static const char *const domain_actions[]
    = { "list", "introduce", "release", "resume", "target", NULL };
static const char *const sim_actions[]
    = { "list",  "init",    "start",    "stop",  "create", "destroy",
        "pause", "unpause", "shutdown", "crash", "resume", NULL };
static const char *const userdata_actions[]
    = { "ls", "get", "put", "edit", "rm", "export", "import", "audit", NULL };

/* @position: of the word behind the verb, options left out. */
static void
offer_argument (XdsCli *cli, const char *verb, guint position, const char *word)
{
  const char *const *actions = g_str_equal (verb, "domain")     ? domain_actions
                               : g_str_equal (verb, "sim")      ? sim_actions
                               : g_str_equal (verb, "userdata") ? userdata_actions
                                                                : NULL;

  if (actions != NULL && position == 0)
    offer_words (actions, word);
  else if (actions != NULL)
    offer_domains (cli, word);
  else if (g_str_equal (verb, "quota"))
    offer_quotas (cli, word);
  else if (g_str_equal (verb, "help"))
    offer_verbs (word);
  else if (!g_str_equal (verb, "control") && !g_str_equal (verb, "top"))
    offer_paths (cli, word);
}

static int
run (XdsCli *cli, int argc, char **argv, GError **error)
{
  const char *verb = NULL, *word = argc > 0 ? argv[argc - 1] : "";
  const char *before = argc > 1 ? argv[argc - 2] : "";
  guint position = 0;

  offered = g_ptr_array_new_with_free_func (g_free);
  for (int i = 0; i < argc - 1; i++)
    if (g_str_equal (argv[i], "-D") || g_str_equal (argv[i], "--domain"))
      {
        g_free (cli->domain);
        cli->domain = i + 1 < argc - 1 ? g_strdup (argv[++i]) : NULL;
      }
    else if (argv[i][0] != '-' && verb == NULL)
      verb = argv[i];
    else if (argv[i][0] != '-')
      position++;
  if (g_str_equal (before, "-D") || g_str_equal (before, "--domain"))
    offer_domains (cli, word);
  else if (word[0] == '-')
    offer_options (verb != NULL ? verb : "", word);
  else if (verb == NULL)
    offer_verbs (word);
  else
    offer_argument (cli, verb, position, word);
  print_offered (cli->json);
  g_clear_pointer (&offered, g_ptr_array_unref);
  return XDS_EXIT_DONE;
}

const XdsVerb xds_verb_complete = {
  .name = "complete",
  .args = "-- [WORD]...",
  .summary = "print what could come next, for shells",
  .details = "The words of a command line without \"xds\", the last one being written.\n\n"
             "  xds complete -- read /local/do\n",
  .run = run,
};
