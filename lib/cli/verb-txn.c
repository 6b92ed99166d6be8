/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * xds txn: a list of commands that happen at once or not at all, and only if what they check holds.
 *
 * The commands may run several times, after a conflict; so what they print is collected, and comes
 * out once they have happened.
 */

#include "lib/cli/out.h"
#include "lib/cli/verbs.h"

#include <stdio.h>

typedef struct
{
  guint number; /* of the line */
  int argc;
  char **argv; /* owned */
} Line;

typedef struct
{
  GPtrArray *lines; /* of Line */
  GString *text;
  JsonBuilder *builder;
} Txn;

static void
line_free (gpointer data)
{
  Line *line = data;

  g_strfreev (line->argv);
  g_free (line);
}

static gboolean
fail_check (const Line *line, const char *is, GError **error)
{
  g_set_error (error, XDS_ERROR, XDS_ERROR_ENOENT, "Line %u: %s %s, so nothing was changed.",
               line->number, line->argv[1], is);
  return FALSE;
}

static gboolean
do_check (XdsCli *cli, XdsTransaction *txn, const Line *line, const char *path, Txn *self,
          GError **error)
{
  g_autoptr (GError) own = NULL;
  gsize len = 0;
  g_autofree char *value = xds_client_read (cli->client, txn, path, &len, &own);
  const char *wanted = line->argc > 2 ? line->argv[2] : NULL;

  if (g_error_matches (own, XDS_ERROR, XDS_ERROR_ENOENT))
    return fail_check (line, "is not there", error);
  if (value == NULL)
    {
      g_propagate_error (error, g_steal_pointer (&own));
      return FALSE;
    }
  if (wanted != NULL && (strlen (wanted) != len || memcmp (wanted, value, len) != 0))
    return fail_check (line, "has another value", error);
  return TRUE;
}

static gboolean
do_absent (XdsCli *cli, XdsTransaction *txn, const Line *line, const char *path, Txn *self,
           GError **error)
{
  g_autoptr (GError) own = NULL;

  if (xds_client_exists (cli->client, txn, path, &own))
    return fail_check (line, "is there", error);
  if (own == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&own));
  return FALSE;
}

static gboolean
do_read (XdsCli *cli, XdsTransaction *txn, const Line *line, const char *path, Txn *self,
         GError **error)
{
  gsize len = 0;
  g_autofree char *value = xds_client_read (cli->client, txn, path, &len, error);
  g_autofree char *text = value != NULL ? xds_out_escape (value, len) : NULL;

  if (value == NULL)
    return FALSE;
  g_string_append_printf (self->text, "%s\n", text);
  json_builder_begin_object (self->builder);
  json_builder_set_member_name (self->builder, "line");
  json_builder_add_int_value (self->builder, line->number);
  json_builder_set_member_name (self->builder, "path");
  json_builder_add_string_value (self->builder, path);
  json_builder_set_member_name (self->builder, "value");
  xds_out_json_value (self->builder, value, len);
  json_builder_end_object (self->builder);
  return TRUE;
}

static gboolean
do_write (XdsCli *cli, XdsTransaction *txn, const Line *line, const char *path, Txn *self,
          GError **error)
{
  return xds_client_write (cli->client, txn, path, line->argv[2], -1, error);
}

static gboolean
do_mkdir (XdsCli *cli, XdsTransaction *txn, const Line *line, const char *path, Txn *self,
          GError **error)
{
  return xds_client_mkdir (cli->client, txn, path, error);
}

static gboolean
do_rm (XdsCli *cli, XdsTransaction *txn, const Line *line, const char *path, Txn *self,
       GError **error)
{
  return xds_client_remove (cli->client, txn, path, error);
}

static gboolean
do_chmod (XdsCli *cli, XdsTransaction *txn, const Line *line, const char *path, Txn *self,
          GError **error)
{
  return xds_client_set_permissions (cli->client, txn, path, (const char *const *) line->argv + 2,
                                     error);
}

static const struct
{
  const char *name;
  int min, max; /* words, the name included */
  gboolean (*func) (XdsCli *cli, XdsTransaction *txn, const Line *line, const char *path, Txn *self,
                    GError **error);
} commands[] = {
  { "check", 2, 3, do_check },        { "absent", 2, 2, do_absent }, { "read", 2, 2, do_read },
  { "write", 3, 3, do_write },        { "mkdir", 2, 2, do_mkdir },   { "rm", 2, 2, do_rm },
  { "chmod", 3, G_MAXINT, do_chmod },
};

static int
find_command (const Line *line, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (commands); i++)
    if (g_str_equal (commands[i].name, line->argv[0]) && line->argc >= commands[i].min
        && line->argc <= commands[i].max)
      return i;
  xds_cli_usage (
      error,
      "Line %u, \"%s\": a line is check PATH [VALUE], absent PATH, read PATH, write PATH "
      "VALUE, mkdir PATH, rm PATH or chmod PATH PERMISSION...",
      line->number, line->argv[0]);
  return -1;
}

static gboolean
do_lines (XdsCli *cli, XdsTransaction *txn, gpointer data, GError **error)
{
  Txn *self = data;

  g_string_truncate (self->text, 0);
  json_builder_reset (self->builder);
  json_builder_begin_array (self->builder);
  for (guint i = 0; i < self->lines->len; i++)
    {
      const Line *line = self->lines->pdata[i];
      g_autofree char *path = xds_cli_path (cli, line->argv[1], error);
      int command = find_command (line, NULL);

      if (path == NULL || !commands[command].func (cli, txn, line, path, self, error))
        return FALSE;
    }
  json_builder_end_array (self->builder);
  return TRUE;
}

/* --- reading the list --- */

static gboolean
add_line (GPtrArray *lines, const char *text, guint number, GError **error)
{
  g_autoptr (GError) own = NULL;
  Line *line = g_new0 (Line, 1);

  line->number = number;
  if (!g_shell_parse_argv (text, &line->argc, &line->argv, &own)
      && !g_error_matches (own, G_SHELL_ERROR, G_SHELL_ERROR_EMPTY_STRING))
    {
      g_free (line);
      xds_cli_usage (error, "Line %u: %s", number, own->message);
      return FALSE;
    }
  if (line->argc == 0)
    {
      g_free (line);
      return TRUE;
    }
  g_ptr_array_add (lines, line);
  return find_command (line, error) >= 0;
}

static GPtrArray *
load_lines (const char *file, GError **error)
{
  g_autoptr (GPtrArray) lines = g_ptr_array_new_with_free_func (line_free);
  g_autofree char *text = NULL;
  g_auto (GStrv) split = NULL;
  gsize len;

  text = xds_cli_read_file (file, &len, error);
  if (text == NULL)
    return NULL;
  split = g_strsplit (text, "\n", -1);
  for (guint i = 0; split[i] != NULL; i++)
    if (!add_line (lines, split[i], i + 1, error))
      return NULL;
  return g_steal_pointer (&lines);
}

static int
run (XdsCli *cli, int argc, char **argv, GError **error)
{
  g_autoptr (GPtrArray) lines = NULL;
  g_autoptr (GPtrArray) paths = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  Txn self = { NULL, text, builder };
  int status;

  if (argc > 1)
    return xds_cli_usage (error, "Give one file, or none for standard input.");
  lines = load_lines (argc > 0 ? argv[0] : "-", error);
  if (lines == NULL)
    return XDS_EXIT_USAGE;
  for (guint i = 0; i < lines->len; i++)
    {
      char *path = xds_cli_path (cli, ((Line *) lines->pdata[i])->argv[1], error);

      if (path == NULL)
        return XDS_EXIT_NO;
      g_ptr_array_add (paths, path);
    }
  self.lines = lines;
  status = xds_cli_change (cli, paths, do_lines, &self, error);
  if (status != XDS_EXIT_DONE || cli->dry_run)
    return status;
  if (cli->json)
    xds_out_json (builder);
  else
    fputs (text->str, stdout);
  return XDS_EXIT_DONE;
}

const XdsVerb xds_verb_txn = {
  .name = "txn",
  .args = "[FILE]",
  .summary = "run a list of commands in one transaction",
  .details
  = "Lines are check PATH [VALUE], absent PATH, read PATH, write PATH VALUE, mkdir PATH, rm "
    "PATH, chmod PATH\nPERMISSION...; words are quoted as in the shell. If a check fails, "
    "nothing happens and the status is 1.\n\n"
    "  printf 'check /lock free\\nwrite /lock mine\\n' | xds txn\n",
  .changes = TRUE,
  .run = run,
};
