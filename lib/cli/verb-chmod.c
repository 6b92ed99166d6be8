/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * xds chmod: replaces permissions, of one node or of all below it too.  A permission's domain may
 * be given by name: rweb1 is what r7 is if web1 is domain 7.
 */

#include "lib/cli/tree.h"
#include "lib/cli/verbs.h"

static gboolean recursive;

typedef struct
{
  const char *path;
  char **perms;
} Chmod;

static gboolean
set_all_below (XdsCli *cli, XdsTransaction *txn, Chmod *chmod, GError **error)
{
  g_autoptr (GPtrArray) nodes = xds_tree_load (cli->client, txn, chmod->path, -1, error);
  g_autoptr (XdsBatch) batch = xds_batch_new (cli->client, txn);

  if (nodes == NULL)
    return FALSE;
  for (guint i = 0; i < nodes->len; i++)
    xds_batch_set_permissions (batch, ((XdsNode *) nodes->pdata[i])->path,
                               (const char *const *) chmod->perms);
  if (!xds_batch_run (batch, error))
    return FALSE;
  for (guint i = 0; i < nodes->len; i++)
    if (!xds_batch_check (batch, i, error))
      return FALSE;
  return TRUE;
}

static gboolean
do_chmod (XdsCli *cli, XdsTransaction *txn, gpointer data, GError **error)
{
  Chmod *chmod = data;

  if (!xds_client_set_permissions (cli->client, txn, chmod->path,
                                   (const char *const *) chmod->perms, error))
    return FALSE;
  return !recursive || set_all_below (cli, txn, chmod, error);
}

static char *
permission_of (XdsCli *cli, const char *text, GError **error)
{
  guint domid;

  if (text[0] == '\0' || strchr ("nrwb", text[0]) == NULL || text[1] == '\0')
    {
      xds_cli_usage (error,
                     "\"%s\" is no permission; one is a letter of n, r, w, b and a domain, as in "
                     "n0 r5.",
                     text);
      return NULL;
    }
  if (!xds_cli_domid (cli, text + 1, &domid, error))
    return NULL;
  return g_strdup_printf ("%c%u", text[0], domid);
}

static int
run (XdsCli *cli, int argc, char **argv, GError **error)
{
  g_autoptr (GPtrArray) perms = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GPtrArray) paths = NULL;
  Chmod chmod;

  if (argc < 2)
    return xds_cli_usage (error, "Give a path and its permissions, the owner's first.");
  for (int i = 1; i < argc; i++)
    {
      char *text = permission_of (cli, argv[i], error);

      if (text == NULL)
        return XDS_EXIT_USAGE;
      g_ptr_array_add (perms, text);
    }
  g_ptr_array_add (perms, NULL);
  paths = xds_cli_paths (cli, 1, argv, error);
  if (paths == NULL)
    return XDS_EXIT_NO;
  chmod = (Chmod){ paths->pdata[0], (char **) perms->pdata };
  return xds_cli_change (cli, paths, do_chmod, &chmod, error);
}

static const GOptionEntry options[] = {
  { "recursive", 'r', 0, G_OPTION_ARG_NONE, &recursive, "All nodes below it too", NULL },
  { NULL, 0, 0, 0, NULL, NULL, NULL },
};

const XdsVerb xds_verb_chmod = {
  .name = "chmod",
  .args = "PATH PERMISSION...",
  .summary = "set permissions",
  .details
  = "A permission is a letter (n none, r read, w write, b both) and a domain, by number or "
    "name.\nThe first names the owner, and what everybody else may do.\n\n"
    "  xds chmod /tool/mine n0 r3\n"
    "  xds chmod -r -D web1 data b7\n",
  .options = options,
  .changes = TRUE,
  .run = run,
};
