/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * xds mkdir: makes nodes with an empty value.
 */

#include "lib/cli/verbs.h"

static gboolean
do_mkdirs (XdsCli *cli, XdsTransaction *txn, gpointer data, GError **error)
{
  GPtrArray *paths = data;

  for (guint i = 0; i < paths->len; i++)
    if (!xds_client_mkdir (cli->client, txn, paths->pdata[i], error))
      return FALSE;
  return TRUE;
}

static int
run (XdsCli *cli, int argc, char **argv, GError **error)
{
  g_autoptr (GPtrArray) paths = NULL;

  if (argc == 0)
    return xds_cli_usage (error, "What is to be made? Give a path.");
  paths = xds_cli_paths (cli, argc, argv, error);
  return paths != NULL ? xds_cli_change (cli, paths, do_mkdirs, paths, error) : XDS_EXIT_NO;
}

const XdsVerb xds_verb_mkdir = {
  .name = "mkdir",
  .args = "PATH...",
  .summary = "make empty nodes",
  .details = "Parents are made too. Nothing happens to a node that is there.\n\n"
             "  xds mkdir /tool/mine\n",
  .changes = TRUE,
  .run = run,
};
