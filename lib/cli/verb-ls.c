/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * xds ls, tree: what is in the store, of one moment, with values that are never cut.
 */

#include "lib/cli/out.h"
#include "lib/cli/tree.h"
#include "lib/cli/verbs.h"

#include <stdio.h>

static gboolean full, with_perms;
static int levels = -1;

static const char *
last_name (const char *path)
{
  const char *slash = strrchr (path, '/');

  return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

static void
print_node (const XdsNode *node, const char *name)
{
  g_autofree char *value = node->value != NULL ? xds_out_escape (node->value, node->len) : NULL;
  g_autofree char *perms = with_perms && node->perms != NULL ? g_strjoinv (",", node->perms) : NULL;

  fputs (name, stdout);
  if (value != NULL)
    printf (" = \"%s\"", value);
  else
    fputs (" (unreadable)", stdout);
  if (perms != NULL)
    printf ("  (%s)", perms);
  putchar ('\n');
}

static void
print_ls (GPtrArray *nodes)
{
  /* The root of the tree is what was asked for: it is not listed, unless it is alone. */
  for (guint i = nodes->len > 1 ? 1 : 0; i < nodes->len; i++)
    {
      const XdsNode *node = nodes->pdata[i];

      if (!full && node->depth > 1)
        printf ("%*s", (int) node->depth - 1, "");
      print_node (node, full ? node->path : last_name (node->path));
    }
}

/* Is there, behind node @at, another one at @depth before one that is higher up? */
static gboolean
has_next_at (GPtrArray *nodes, guint at, guint depth)
{
  for (guint i = at + 1; i < nodes->len; i++)
    {
      const XdsNode *node = nodes->pdata[i];

      if (node->depth <= depth)
        return node->depth == depth;
    }
  return FALSE;
}

static void
print_tree (GPtrArray *nodes)
{
  g_autoptr (GString) rails = g_string_new (NULL);
  g_autoptr (GArray) lengths = g_array_new (FALSE, TRUE, sizeof (gsize));

  for (guint i = 0; i < nodes->len; i++)
    {
      const XdsNode *node = nodes->pdata[i];
      gboolean more = node->depth > 0 && has_next_at (nodes, i, node->depth);

      /* lengths[d]: how much of the rails a node of depth d + 1 has before its own branch. */
      g_array_set_size (lengths, MAX (lengths->len, node->depth + 1));
      if (node->depth > 0)
        {
          g_string_truncate (rails, g_array_index (lengths, gsize, node->depth - 1));
          printf ("%s%s", rails->str, more ? "├── " : "└── ");
          g_string_append (rails, more ? "│   " : "    ");
        }
      g_array_index (lengths, gsize, node->depth) = rails->len;
      print_node (node, node->depth == 0 ? node->path : last_name (node->path));
    }
}

static int
show (XdsCli *cli, int argc, char **argv, void (*print) (GPtrArray *nodes), GError **error)
{
  XdsClient *client = xds_cli_client (cli, error);
  g_autoptr (GPtrArray) nodes = NULL;
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autofree char *path = NULL;

  if (client == NULL)
    return XDS_EXIT_UNREACHABLE;
  if (argc > 1)
    return xds_cli_usage (error, "Give one path, or none for all.");
  if (levels < -1)
    return xds_cli_usage (error, "A level is 0 or more.");
  path = xds_cli_path (cli, argc > 0 ? argv[0] : cli->domain != NULL ? "." : "/", error);
  if (path == NULL || (nodes = xds_tree_snapshot (client, path, levels, error)) == NULL)
    return XDS_EXIT_OTHER;
  if (nodes->len == 0)
    {
      g_set_error (error, XDS_ERROR, XDS_ERROR_ENOENT,
                   "Cannot list %s: there is no such node (ENOENT).", path);
      return XDS_EXIT_NO;
    }
  if (!cli->json)
    {
      print (nodes);
      return XDS_EXIT_DONE;
    }
  json_builder_begin_array (builder);
  for (guint i = 0; i < nodes->len; i++)
    xds_tree_json_node (builder, nodes->pdata[i]);
  json_builder_end_array (builder);
  xds_out_json (builder);
  return XDS_EXIT_DONE;
}

static int
run_ls (XdsCli *cli, int argc, char **argv, GError **error)
{
  return show (cli, argc, argv, print_ls, error);
}

static int
run_tree (XdsCli *cli, int argc, char **argv, GError **error)
{
  return show (cli, argc, argv, print_tree, error);
}

static const GOptionEntry ls_options[] = {
  { "full", 'f', 0, G_OPTION_ARG_NONE, &full, "Print whole paths", NULL },
  { "permissions", 'p', 0, G_OPTION_ARG_NONE, &with_perms, "Print permissions", NULL },
  { "level", 'L', 0, G_OPTION_ARG_INT, &levels, "Go down at most N levels", "N" },
  { NULL, 0, 0, 0, NULL, NULL, NULL },
};

const XdsVerb xds_verb_ls = {
  .name = "ls",
  .args = "[PATH]",
  .summary = "print nodes and values below a path",
  .details = "All of it is of one moment.\n\n"
             "  xds ls\n"
             "  xds ls -fp -D web1 device\n",
  .options = ls_options,
  .run = run_ls,
};

const XdsVerb xds_verb_tree = {
  .name = "tree",
  .args = "[PATH]",
  .summary = "draw nodes and values below a path",
  .details = "As \"xds ls\", drawn.\n\n"
             "  xds tree -L 2 /local/domain\n",
  .options = ls_options + 1,
  .run = run_tree,
};
