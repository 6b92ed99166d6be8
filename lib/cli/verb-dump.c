/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * xds dump, diff, apply: a piece of the store as a file, against another piece, and back.
 *
 * The file is what "xds ls --json" prints, one node a line, so that line tools can work on it too.
 * In a comparison and in apply, paths count from the root of each side: one domain can be held
 * against another.
 */

#include "lib/cli/out.h"
#include "lib/cli/tree.h"
#include "lib/cli/verbs.h"

#include <stdio.h>

#define FILE_PREFIX "file:"

static gboolean prune;

/* --- snapshots that a server wrote --- */

typedef struct
{
  GPtrArray *nodes;
  const char *root;
  gsize root_len; /* 0 for "/", which all paths are below */
} Snapshot;

static gboolean
add_node (const char *path, const char *value, gsize len, const char *const *permissions,
          gpointer data)
{
  Snapshot *snapshot = data;

  if (path[0] == '/' && strncmp (path, snapshot->root, snapshot->root_len) == 0
      && (snapshot->root_len == 0 || path[snapshot->root_len] == '/'
          || path[snapshot->root_len] == '\0'))
    g_ptr_array_add (snapshot->nodes,
                     xds_node_new (path, value, len, g_strdupv ((char **) permissions), 0));
  return TRUE;
}

/* The nodes at and below @root. */
static GPtrArray *
load_snapshot (const char *file, const char *root, GError **error)
{
  g_autoptr (GPtrArray) nodes = g_ptr_array_new_with_free_func ((GDestroyNotify) xds_node_free);
  Snapshot snapshot = { nodes, root, strcmp (root, "/") == 0 ? 0 : strlen (root) };

  if (!xds_snapshot_read (file, add_node, &snapshot, error))
    return NULL;
  return g_steal_pointer (&nodes);
}

/* By what it begins with; what cannot be read is none, and its reader says why. */
static gboolean
is_snapshot (const char *file)
{
  char begin[8];
  FILE *stream = fopen (file, "r");
  gboolean is;

  if (stream == NULL)
    return FALSE;
  is = fread (begin, sizeof begin, 1, stream) == 1 && memcmp (begin, "xenstore", sizeof begin) == 0;
  fclose (stream);
  return is;
}

/* --- dump --- */

static char *
node_text (const XdsNode *node)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autoptr (JsonNode) root = NULL;

  xds_tree_json_node (builder, node);
  root = json_builder_get_root (builder);
  return json_to_string (root, FALSE);
}

static int
print_dump (GPtrArray *nodes, const char *path, GError **error)
{
  if (nodes->len == 0)
    {
      g_set_error (error, XDS_ERROR, XDS_ERROR_ENOENT,
                   "Cannot dump %s: there is no such node (ENOENT).", path);
      return XDS_EXIT_NO;
    }
  for (guint i = 0; i < nodes->len; i++)
    {
      g_autofree char *text = node_text (nodes->pdata[i]);

      printf ("%s%s", i == 0 ? "[\n" : ",\n", text);
    }
  puts ("\n]");
  return XDS_EXIT_DONE;
}

/* Of a snapshot, without a server; so names of domains are not known, and paths are absolute. */
static int
dump_snapshot (const char *file, const char *path, GError **error)
{
  g_autoptr (GPtrArray) nodes = NULL;

  if (path[0] != '/')
    return xds_cli_usage (error, "Of a snapshot, give an absolute path: it is not %s.", path);
  nodes = load_snapshot (file, path, error);
  return nodes != NULL ? print_dump (nodes, path, error) : XDS_EXIT_OTHER;
}

static int
run_dump (XdsCli *cli, int argc, char **argv, GError **error)
{
  XdsClient *client;
  g_autoptr (GPtrArray) nodes = NULL;
  g_autofree char *path = NULL;

  if (argc > 0 && argc <= 2 && g_str_has_prefix (argv[0], FILE_PREFIX))
    return dump_snapshot (argv[0] + strlen (FILE_PREFIX), argc > 1 ? argv[1] : "/", error);
  if ((client = xds_cli_client (cli, error)) == NULL)
    return XDS_EXIT_UNREACHABLE;
  if (argc > 1)
    return xds_cli_usage (error, "Give one path, or none for all.");
  path = xds_cli_path (cli, argc > 0 ? argv[0] : cli->domain != NULL ? "." : "/", error);
  if (path == NULL || (nodes = xds_tree_snapshot (client, path, -1, error)) == NULL)
    return XDS_EXIT_OTHER;
  return print_dump (nodes, path, error);
}

const XdsVerb xds_verb_dump = {
  .name = "dump",
  .args = "[file:SNAPSHOT] [PATH]",
  .summary = "print a piece of the store for diff and apply",
  .details = "Prints JSON, one node a line, all of one moment.\n\n"
             "  xds dump /local/domain/3 > web1.json\n\n"
             "Of a snapshot that a server wrote, no server is asked; the path is absolute then.\n\n"
             "  xds dump file:/run/xenstored/state_dump /local/domain/3\n",
  .run = run_dump,
};

/* --- reading a dump --- */

static char **
strings_of (JsonObject *object)
{
  JsonArray *array = json_object_has_member (object, "permissions")
                         ? json_object_get_array_member (object, "permissions")
                         : NULL;
  g_autoptr (GPtrArray) strings = g_ptr_array_new ();

  if (array == NULL)
    return NULL;
  for (guint i = 0; i < json_array_get_length (array); i++)
    g_ptr_array_add (strings, g_strdup (json_array_get_string_element (array, i)));
  g_ptr_array_add (strings, NULL);
  return (char **) g_ptr_array_free (g_steal_pointer (&strings), FALSE);
}

/* The bytes of a value; NULL for one that could not be read when it was dumped. */
static char *
bytes_of (JsonNode *value, gsize *ret_len)
{
  if (JSON_NODE_HOLDS_OBJECT (value))
    return (char *) g_base64_decode (
        json_object_get_string_member_with_default (json_node_get_object (value), "data", ""),
        ret_len);
  if (JSON_NODE_HOLDS_NULL (value) || json_node_get_value_type (value) != G_TYPE_STRING)
    return NULL;
  *ret_len = strlen (json_node_get_string (value));
  return json_node_dup_string (value);
}

static XdsNode *
node_of (JsonNode *element)
{
  JsonObject *object = JSON_NODE_HOLDS_OBJECT (element) ? json_node_get_object (element) : NULL;
  const char *path
      = object != NULL ? json_object_get_string_member_with_default (object, "path", NULL) : NULL;
  JsonNode *value = object != NULL ? json_object_get_member (object, "value") : NULL;
  g_autofree char *bytes = NULL;
  gsize len = 0;

  if (path == NULL || value == NULL)
    return NULL;
  bytes = bytes_of (value, &len);
  return xds_node_new (path, bytes, len, strings_of (object), 0);
}

static gboolean
load_json (JsonParser *parser, const char *file, const char *text, gsize len, GError **error)
{
  g_autoptr (GError) own = NULL;

  if (json_parser_load_from_data (parser, text, len, &own))
    return TRUE;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s is not what \"xds dump\" prints: %s",
               file, own->message);
  return FALSE;
}

static GPtrArray *
load_file (const char *file, GError **error)
{
  g_autoptr (GPtrArray) nodes = g_ptr_array_new_with_free_func ((GDestroyNotify) xds_node_free);
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autofree char *text = NULL;
  JsonNode *root;
  JsonArray *array;
  gsize len;

  if (is_snapshot (file))
    return load_snapshot (file, "/", error);
  text = xds_cli_read_file (file, &len, error);
  if (text == NULL || !load_json (parser, file, text, len, error))
    return NULL;
  root = json_parser_get_root (parser);
  array = root != NULL && JSON_NODE_HOLDS_ARRAY (root) ? json_node_get_array (root) : NULL;
  for (guint i = 0; array != NULL && i < json_array_get_length (array); i++)
    {
      XdsNode *node = node_of (json_array_get_element (array, i));

      if (node == NULL)
        array = NULL;
      else
        g_ptr_array_add (nodes, node);
    }
  if (array != NULL && nodes->len > 0)
    return g_steal_pointer (&nodes);
  xds_cli_usage (error,
                 "%s is not what \"xds dump\" prints: a list of objects with path, value and "
                 "permissions.",
                 file);
  return NULL;
}

/* --- diff --- */

/* The path below the tree's root: "." for the root itself. */
static char *
below_root (const char *root, const char *path)
{
  gsize len = strcmp (root, "/") == 0 ? 0 : strlen (root);

  return path[len] == '\0' || strcmp (path, root) == 0 ? g_strdup (".") : g_strdup (path + len + 1);
}

static void
rebase (GPtrArray *nodes)
{
  g_autofree char *root = NULL;

  if (nodes->len == 0)
    return;
  root = g_strdup (((XdsNode *) nodes->pdata[0])->path);
  for (guint i = 0; i < nodes->len; i++)
    {
      XdsNode *node = nodes->pdata[i];
      char *path = below_root (root, node->path);

      g_free (node->path);
      node->path = path;
    }
}

static GPtrArray *
load_side (XdsCli *cli, const char *word, GError **error)
{
  g_autoptr (GPtrArray) nodes = NULL;
  g_autofree char *path = NULL;

  if (g_str_has_prefix (word, FILE_PREFIX))
    nodes = load_file (word + strlen (FILE_PREFIX), error);
  else if (xds_cli_client (cli, error) != NULL && (path = xds_cli_path (cli, word, error)) != NULL)
    nodes = xds_tree_snapshot (cli->client, path, -1, error);
  if (nodes != NULL)
    rebase (nodes);
  return g_steal_pointer (&nodes);
}

static void
show_diff (XdsCli *cli, GArray *diff)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();

  if (!cli->json)
    {
      xds_tree_print_diff (diff);
      return;
    }
  xds_tree_json_diff (builder, diff);
  xds_out_json (builder);
}

static int
run_diff (XdsCli *cli, int argc, char **argv, GError **error)
{
  g_autoptr (GPtrArray) before = NULL, after = NULL;
  g_autoptr (GArray) diff = NULL;

  if (argc != 2)
    return xds_cli_usage (error, "Give two paths, or file: and a dump in place of one.");
  before = load_side (cli, argv[0], error);
  after = before != NULL ? load_side (cli, argv[1], error) : NULL;
  if (after == NULL)
    return XDS_EXIT_OTHER;
  diff = xds_tree_diff (before, after);
  show_diff (cli, diff);
  return diff->len == 0 ? XDS_EXIT_DONE : XDS_EXIT_NO;
}

const XdsVerb xds_verb_diff = {
  .name = "diff",
  .args = "PATH|file:DUMP PATH|file:DUMP",
  .summary = "compare two pieces of the store",
  .details = "Prints + what only the second has, - what only the first has, ~ what differs; the "
             "exit status is 1 if\nanything does.\n\n"
             "  xds diff /local/domain/3 /local/domain/4\n"
             "  xds diff file:before.json /\n",
  .run = run_diff,
};

/* --- apply --- */

typedef struct
{
  GPtrArray *wanted;
  const char *root;
  GArray *diff;     /* owned: of the last run */
  GPtrArray *found; /* owned: what @diff points into */
} Apply;

static gboolean
apply_one (XdsCli *cli, XdsTransaction *txn, const XdsDiff *one, GError **error)
{
  const XdsNode *node = one->after;

  if (one->kind == XDS_DIFF_REMOVED)
    {
      g_autoptr (GError) own = NULL;

      /* It went with its parent already. */
      if (!prune || xds_client_remove (cli->client, txn, one->before->path, &own)
          || g_error_matches (own, XDS_ERROR, XDS_ERROR_ENOENT))
        return TRUE;
      g_propagate_error (error, g_steal_pointer (&own));
      return FALSE;
    }
  if (one->kind != XDS_DIFF_PERMS && node->value != NULL
      && !xds_client_write (cli->client, txn, node->path, node->value, node->len, error))
    return FALSE;
  return one->kind == XDS_DIFF_VALUE || node->perms == NULL
         || xds_client_set_permissions (cli->client, txn, node->path,
                                        (const char *const *) node->perms, error);
}

static gboolean
apply_all (XdsCli *cli, XdsTransaction *txn, const GArray *diff, GError **error)
{
  gint64 since = g_get_monotonic_time ();
  gboolean good = TRUE;

  for (guint i = 0; good && i < diff->len; i++)
    {
      good = apply_one (cli, txn, &g_array_index (diff, XdsDiff, i), error);
      xds_out_progress (since, i + 1, FALSE);
    }
  xds_out_progress (since, diff->len, TRUE);
  return good;
}

static gboolean
do_apply (XdsCli *cli, XdsTransaction *txn, gpointer data, GError **error)
{
  Apply *apply = data;

  g_clear_pointer (&apply->diff, g_array_unref);
  g_clear_pointer (&apply->found, g_ptr_array_unref);
  apply->found = xds_tree_load (cli->client, txn, apply->root, -1, error);
  if (apply->found == NULL)
    return FALSE;
  apply->diff = xds_tree_diff (apply->found, apply->wanted);
  for (guint i = 0; !prune && i < apply->diff->len;)
    if (g_array_index (apply->diff, XdsDiff, i).kind == XDS_DIFF_REMOVED)
      g_array_remove_index (apply->diff, i);
    else
      i++;
  return apply_all (cli, txn, apply->diff, error);
}

/* Puts a dump that was made elsewhere below @root. */
static void
move_to (GPtrArray *nodes, const char *root)
{
  rebase (nodes);
  for (guint i = 0; i < nodes->len; i++)
    {
      XdsNode *node = nodes->pdata[i];
      char *path = strcmp (node->path, ".") == 0
                       ? g_strdup (root)
                       : g_strconcat (strcmp (root, "/") == 0 ? "" : root, "/", node->path, NULL);

      g_free (node->path);
      node->path = path;
    }
}

static int
run_apply (XdsCli *cli, int argc, char **argv, GError **error)
{
  g_autoptr (GPtrArray) wanted = NULL;
  g_autoptr (GPtrArray) paths = g_ptr_array_new_with_free_func (g_free);
  Apply apply = { 0 };
  int status;

  if (argc < 1 || argc > 2)
    return xds_cli_usage (error, "Give a dump, - for standard input, and a path if it shall be put "
                                 "elsewhere.");
  wanted = load_file (argv[0], error);
  if (wanted == NULL)
    return XDS_EXIT_OTHER;
  if (argc == 2)
    {
      g_autofree char *root = xds_cli_path (cli, argv[1], error);

      if (root == NULL)
        return XDS_EXIT_NO;
      move_to (wanted, root);
    }
  apply.wanted = wanted;
  apply.root = ((XdsNode *) wanted->pdata[0])->path;
  g_ptr_array_add (paths, g_strdup (apply.root));
  status = xds_cli_change (cli, paths, do_apply, &apply, error);
  if (status == XDS_EXIT_DONE && !cli->dry_run)
    show_diff (cli, apply.diff);
  g_clear_pointer (&apply.diff, g_array_unref);
  g_clear_pointer (&apply.found, g_ptr_array_unref);
  return status;
}

static const GOptionEntry apply_options[] = {
  { "prune", 0, 0, G_OPTION_ARG_NONE, &prune, "Remove what is not in the dump", NULL },
  { NULL, 0, 0, 0, NULL, NULL, NULL },
};

const XdsVerb xds_verb_apply = {
  .name = "apply",
  .args = "DUMP [PATH]",
  .summary = "make the store what a dump says",
  .details
  = "Writes what is missing or differs, all at once, and prints what it changed. Nodes that "
    "the dump does not\nhave stay, unless --prune.\n\n"
    "  xds apply -N web1.json\n"
    "  xds apply web1.json /local/domain/4\n",
  .options = apply_options,
  .changes = TRUE,
  .run = run_apply,
};
