/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * xds exists: says it by its exit status; 0 only if all are there.
 */

#include "lib/cli/out.h"
#include "lib/cli/verbs.h"

static gboolean
check_one (XdsCli *cli, const char *path, JsonBuilder *builder, gboolean *all, GError **error)
{
  g_autoptr (GError) own = NULL;
  gboolean there = xds_client_exists (cli->client, NULL, path, &own);

  if (own != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&own));
      return FALSE;
    }
  *all = *all && there;
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "path");
  json_builder_add_string_value (builder, path);
  json_builder_set_member_name (builder, "exists");
  json_builder_add_boolean_value (builder, there);
  json_builder_end_object (builder);
  return TRUE;
}

static int
run (XdsCli *cli, int argc, char **argv, GError **error)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autoptr (GPtrArray) paths = NULL;
  gboolean all = TRUE;

  if (xds_cli_client (cli, error) == NULL)
    return XDS_EXIT_UNREACHABLE;
  if (argc == 0)
    return xds_cli_usage (error, "What is asked for? Give a path.");
  paths = xds_cli_paths (cli, argc, argv, error);
  if (paths == NULL)
    return XDS_EXIT_NO;
  json_builder_begin_array (builder);
  for (guint i = 0; i < paths->len; i++)
    if (!check_one (cli, paths->pdata[i], builder, &all, error))
      return XDS_EXIT_OTHER;
  json_builder_end_array (builder);
  if (cli->json)
    xds_out_json (builder);
  return all ? XDS_EXIT_DONE : XDS_EXIT_NO;
}

const XdsVerb xds_verb_exists = {
  .name = "exists",
  .args = "PATH...",
  .summary = "tell whether nodes are there",
  .details = "Prints nothing; the exit status is 0 if all are there, 1 if not.\n\n"
             "  xds exists /local/domain/3 || echo gone\n",
  .run = run,
};
