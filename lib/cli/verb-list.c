/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * xds list: the names of children, one a line.
 */

#include "lib/cli/out.h"
#include "lib/cli/verbs.h"

#include <stdio.h>

static gboolean with_path;

static void
print_names (const char *path, char **names)
{
  for (gsize i = 0; names[i] != NULL; i++)
    if (with_path)
      printf ("%s/%s\n", strcmp (path, "/") == 0 ? "" : path, names[i]);
    else
      puts (names[i]);
}

static void
json_names (JsonBuilder *builder, const char *path, char **names)
{
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "path");
  json_builder_add_string_value (builder, path);
  json_builder_set_member_name (builder, "names");
  xds_out_json_strings (builder, names);
  json_builder_end_object (builder);
}

static int
run (XdsCli *cli, int argc, char **argv, GError **error)
{
  XdsClient *client = xds_cli_client (cli, error);
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  char *home[] = { (char *) (cli->domain != NULL ? "." : "/") };
  g_autoptr (GPtrArray) paths = NULL;

  if (client == NULL)
    return XDS_EXIT_UNREACHABLE;
  paths = xds_cli_paths (cli, MAX (argc, 1), argc > 0 ? argv : home, error);
  if (paths == NULL)
    return XDS_EXIT_NO;
  json_builder_begin_array (builder);
  for (guint i = 0; i < paths->len; i++)
    {
      g_auto (GStrv) names = xds_client_list (client, NULL, paths->pdata[i], error);

      if (names == NULL)
        return XDS_EXIT_OTHER;
      if (cli->json)
        json_names (builder, paths->pdata[i], names);
      else
        print_names (paths->pdata[i], names);
    }
  json_builder_end_array (builder);
  if (cli->json)
    xds_out_json (builder);
  return XDS_EXIT_DONE;
}

static const GOptionEntry options[] = {
  { "path", 'p', 0, G_OPTION_ARG_NONE, &with_path, "Print whole paths", NULL },
  { NULL, 0, 0, 0, NULL, NULL, NULL },
};

const XdsVerb xds_verb_list = {
  .name = "list",
  .args = "[PATH]...",
  .summary = "print the names of a node's children",
  .details = "One name a line, in the order of the store, however many there are.\n\n"
             "  xds list /local/domain\n",
  .options = options,
  .run = run,
};
