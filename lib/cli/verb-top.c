/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * xds top: what each domain has in the store, beside what it may have.
 *
 * The numbers are from the control command "quota DOMID": lines of a name, a colon, and, by our own
 * server, the limit with "used" and "peak"; C xenstored gives the use alone.  What a server does
 * not tell is left out.
 */

#include "lib/cli/out.h"
#include "lib/cli/verbs.h"

#include <stdio.h>
#include <unistd.h>

static int rounds;
static double interval = 2;

/* The columns, by the names of quotas. */
static const char *const columns[] = { "nodes", "watches", "transactions", "memory" };

typedef struct
{
  guint64 used, limit;
  gboolean has_used, has_limit;
} Usage;

typedef struct
{
  guint domid;
  const char *name;
  Usage usage[G_N_ELEMENTS (columns)];
} Row;

/* One line of the answer: "nodes : 1000 used 9 peak 13" or "nodes : 9". */
static void
parse_line (const char *line, Row *row)
{
  g_auto (GStrv) words = g_strsplit_set (line, " :", -1);
  g_autoptr (GPtrArray) full = g_ptr_array_new ();
  guint column = 0;
  Usage usage = { 0 };

  for (guint i = 0; words[i] != NULL; i++)
    if (words[i][0] != '\0')
      g_ptr_array_add (full, words[i]);
  if (full->len < 2)
    return;
  while (column < G_N_ELEMENTS (columns) && !g_str_equal (columns[column], full->pdata[0]))
    column++;
  if (column == G_N_ELEMENTS (columns))
    return;
  usage.has_limit = full->len >= 4 && g_str_equal (full->pdata[2], "used")
                    && xds_cli_number (full->pdata[1], G_MAXUINT64, &usage.limit);
  usage.has_used = xds_cli_number (full->pdata[usage.has_limit ? 3 : 1], G_MAXUINT64, &usage.used);
  row->usage[column] = usage;
}

/* FALSE: the server knows nothing of this domain. */
static gboolean
load_row (XdsCli *cli, Row *row)
{
  g_autofree char *number = g_strdup_printf ("%u", row->domid);
  const char *words[] = { "quota", number, NULL };
  g_autofree char *answer = xds_client_control (cli->client, words, NULL);
  g_auto (GStrv) lines = answer != NULL ? g_strsplit (answer, "\n", -1) : NULL;

  for (guint i = 0; lines != NULL && lines[i] != NULL; i++)
    parse_line (lines[i], row);
  return lines != NULL;
}

static void
print_usage (const Usage *usage)
{
  g_autofree char *text = NULL;

  if (!usage->has_used)
    text = g_strdup ("-");
  else if (!usage->has_limit)
    text = g_strdup_printf ("%" G_GUINT64_FORMAT, usage->used);
  else if (usage->limit == 0)
    text = g_strdup_printf ("%" G_GUINT64_FORMAT "/-", usage->used);
  else
    text = g_strdup_printf ("%" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT, usage->used, usage->limit);
  printf ("  %16s", text);
}

static void
print_row (const Row *row)
{
  printf ("%5u", row->domid);
  for (guint i = 0; i < G_N_ELEMENTS (columns); i++)
    print_usage (&row->usage[i]);
  printf ("  %s\n", row->name[0] != '\0' ? row->name : "-");
}

static void
json_row (JsonBuilder *builder, const Row *row)
{
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "domid");
  json_builder_add_int_value (builder, row->domid);
  json_builder_set_member_name (builder, "name");
  json_builder_add_string_value (builder, row->name);
  for (guint i = 0; i < G_N_ELEMENTS (columns); i++)
    {
      const Usage *usage = &row->usage[i];

      if (!usage->has_used)
        continue;
      json_builder_set_member_name (builder, columns[i]);
      json_builder_begin_object (builder);
      json_builder_set_member_name (builder, "used");
      json_builder_add_int_value (builder, usage->used);
      if (usage->has_limit)
        {
          json_builder_set_member_name (builder, "limit");
          json_builder_add_int_value (builder, usage->limit);
        }
      json_builder_end_object (builder);
    }
  json_builder_end_object (builder);
}

static int
compare_ids (gconstpointer a, gconstpointer b)
{
  return GPOINTER_TO_INT (a) - GPOINTER_TO_INT (b);
}

static void
print_head (gboolean json)
{
  if (json)
    return;
  /* On a terminal every round takes the place of the one before. */
  if (isatty (STDOUT_FILENO))
    fputs ("\033[H\033[J", stdout);
  printf ("%5s", "DOMID");
  for (guint i = 0; i < G_N_ELEMENTS (columns); i++)
    printf ("  %16s", columns[i]);
  puts ("  NAME");
}

static gboolean
show_round (XdsCli *cli, GError **error)
{
  g_autoptr (GHashTable) names = xds_cli_domain_names (cli, error);
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autoptr (GList) ids = NULL;

  if (names == NULL)
    return FALSE;
  if (!g_hash_table_contains (names, GUINT_TO_POINTER (0)))
    g_hash_table_insert (names, GUINT_TO_POINTER (0), g_strdup (""));
  ids = g_list_sort (g_hash_table_get_keys (names), compare_ids);
  print_head (cli->json);
  json_builder_begin_array (builder);
  for (GList *l = ids; l != NULL; l = l->next)
    {
      Row row
          = { .domid = GPOINTER_TO_UINT (l->data), .name = g_hash_table_lookup (names, l->data) };

      if (!load_row (cli, &row))
        continue;
      if (cli->json)
        json_row (builder, &row);
      else
        print_row (&row);
    }
  json_builder_end_array (builder);
  if (cli->json)
    xds_out_json (builder);
  return xds_out_finish (error);
}

static int
run (XdsCli *cli, int argc, char **argv, GError **error)
{
  if (xds_cli_client (cli, error) == NULL)
    return XDS_EXIT_UNREACHABLE;
  if (argc > 0 || !(interval >= 0))
    return xds_cli_usage (error,
                          "\"xds top\" takes no words, and an interval that is not below 0.");
  for (int i = 0; rounds <= 0 || i < rounds; i++)
    {
      if (i > 0)
        g_usleep (interval * G_USEC_PER_SEC);
      if (!show_round (cli, error))
        return XDS_EXIT_OTHER;
    }
  return XDS_EXIT_DONE;
}

static const GOptionEntry options[] = {
  { "number", 'n', 0, G_OPTION_ARG_INT, &rounds, "End after N rounds", "N" },
  { "interval", 'i', 0, G_OPTION_ARG_DOUBLE, &interval, "Time between rounds (2)", "SECONDS" },
  { NULL, 0, 0, 0, NULL, NULL, NULL },
};

const XdsVerb xds_verb_top = {
  .name = "top",
  .args = "",
  .summary = "show what each domain uses of its limits",
  .details = "Use and limit of each domain's quotas, again every few seconds.\n\n"
             "  xds top\n"
             "  xds top -n 1 --json\n",
  .options = options,
  .run = run,
};
