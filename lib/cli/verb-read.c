/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * xds read: values.  Several are read in one transaction, so that they belong together, and are
 * printed only if all could be read.
 */

#include "lib/cli/out.h"
#include "lib/cli/verbs.h"

#include <stdio.h>

static gboolean raw, with_path;

static void
print_value (const char *path, const char *value, gsize len)
{
  g_autofree char *text = NULL;

  if (with_path)
    printf ("%s: ", path);
  if (raw)
    {
      fwrite (value, 1, len, stdout);
      return;
    }
  text = xds_out_escape (value, len);
  puts (text);
}

static gboolean
print_values (XdsCli *cli, GPtrArray *paths, XdsBatch *batch, GError **error)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();

  for (guint i = 0; i < paths->len; i++)
    if (!xds_batch_check (batch, i, error))
      return FALSE;
  json_builder_begin_array (builder);
  for (guint i = 0; i < paths->len; i++)
    {
      gsize len = 0;
      const char *value = xds_batch_get_value (batch, i, &len, NULL);

      if (!cli->json)
        {
          print_value (paths->pdata[i], value, len);
          continue;
        }
      json_builder_begin_object (builder);
      json_builder_set_member_name (builder, "path");
      json_builder_add_string_value (builder, paths->pdata[i]);
      json_builder_set_member_name (builder, "value");
      xds_out_json_value (builder, value, len);
      json_builder_end_object (builder);
    }
  json_builder_end_array (builder);
  if (cli->json)
    xds_out_json (builder);
  return TRUE;
}

static int
run (XdsCli *cli, int argc, char **argv, GError **error)
{
  XdsClient *client = xds_cli_client (cli, error);
  g_autoptr (XdsTransaction) txn = NULL;
  g_autoptr (GPtrArray) paths = NULL;
  g_autoptr (XdsBatch) batch = NULL;

  if (client == NULL)
    return XDS_EXIT_UNREACHABLE;
  if (argc == 0)
    return xds_cli_usage (error, "What is to be read? Give a path.");
  paths = xds_cli_paths (cli, argc, argv, error);
  if (paths == NULL)
    return XDS_EXIT_NO;
  if (paths->len > 1 && (txn = xds_client_begin (client, error)) == NULL)
    return XDS_EXIT_OTHER;
  batch = xds_batch_new (client, txn);
  for (guint i = 0; i < paths->len; i++)
    xds_batch_read (batch, paths->pdata[i]);
  if (!xds_batch_run (batch, error) || !print_values (cli, paths, batch, error))
    return XDS_EXIT_OTHER;
  return XDS_EXIT_DONE;
}

static const GOptionEntry options[] = {
  { "path", 'p', 0, G_OPTION_ARG_NONE, &with_path, "Print the path before each value", NULL },
  { "raw", 'R', 0, G_OPTION_ARG_NONE, &raw, "Print the bytes as they are, without newline", NULL },
  { NULL, 0, 0, 0, NULL, NULL, NULL },
};

const XdsVerb xds_verb_read = {
  .name = "read",
  .args = "PATH...",
  .summary = "print the values of nodes",
  .details
  = "Prints one value a line; bytes that are no plain text are escaped (\\n, \\\\, \\ooo).\n"
    "Several values are of one moment.\n\n"
    "  xds read /local/domain/3/name\n"
    "  xds read -D web1 name memory/target\n",
  .options = options,
  .run = run,
};
