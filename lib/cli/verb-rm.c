/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * xds rm: removes nodes with all below them.  One that is not there is a negative answer, as for
 * rm(1), unless --force; the server alone would call that success.
 */

#include "lib/cli/verbs.h"

static gboolean force, tidy;

/* Parents that became empty, without value, for the removal's sake. */
static gboolean
remove_empty_parents (XdsCli *cli, XdsTransaction *txn, const char *path, GError **error)
{
  g_autofree char *parent = g_strdup (path);
  char *slash;

  while ((slash = strrchr (parent, '/')) != NULL && slash != parent)
    {
      g_auto (GStrv) names = NULL;
      g_autofree char *value = NULL;
      gsize len = 0;

      *slash = '\0';
      names = xds_client_list (cli->client, txn, parent, error);
      if (names == NULL)
        return FALSE;
      value = xds_client_read (cli->client, txn, parent, &len, error);
      if (value == NULL)
        return FALSE;
      if (names[0] != NULL || len > 0)
        return TRUE;
      if (!xds_client_remove (cli->client, txn, parent, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
remove_one (XdsCli *cli, XdsTransaction *txn, const char *path, GError **error)
{
  g_autoptr (GError) own = NULL;

  if (!xds_client_exists (cli->client, txn, path, &own))
    {
      if (own == NULL && force)
        return TRUE;
      if (own == NULL)
        own = g_error_new (XDS_ERROR, XDS_ERROR_ENOENT,
                           "Cannot remove %s: there is no such node (ENOENT). --force does not "
                           "mind.",
                           path);
      g_propagate_error (error, g_steal_pointer (&own));
      return FALSE;
    }
  if (!xds_client_remove (cli->client, txn, path, error))
    return FALSE;
  return !tidy || remove_empty_parents (cli, txn, path, error);
}

static gboolean
do_removes (XdsCli *cli, XdsTransaction *txn, gpointer data, GError **error)
{
  GPtrArray *paths = data;

  for (guint i = 0; i < paths->len; i++)
    if (!remove_one (cli, txn, paths->pdata[i], error))
      return FALSE;
  return TRUE;
}

static int
run (XdsCli *cli, int argc, char **argv, GError **error)
{
  g_autoptr (GPtrArray) paths = NULL;

  if (argc == 0)
    return xds_cli_usage (error, "What is to be removed? Give a path.");
  paths = xds_cli_paths (cli, argc, argv, error);
  return paths != NULL ? xds_cli_change (cli, paths, do_removes, paths, error) : XDS_EXIT_NO;
}

static const GOptionEntry options[] = {
  { "force", 'f', 0, G_OPTION_ARG_NONE, &force, "A node that is not there is no error", NULL },
  { "tidy", 't', 0, G_OPTION_ARG_NONE, &tidy, "Remove parents too that are left empty", NULL },
  { NULL, 0, 0, 0, NULL, NULL, NULL },
};

const XdsVerb xds_verb_rm = {
  .name = "rm",
  .args = "PATH...",
  .summary = "remove nodes and all below them",
  .details = "All are removed at once or none.\n\n"
             "  xds rm -N /local/domain/7      shows what would go\n"
             "  xds rm -t /tool/a/b/c\n",
  .options = options,
  .changes = TRUE,
  .run = run,
};
