/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What verbs have in common: connection, paths and domains as people name them, and changes, which
 * are a transaction, or with --dry-run a transaction that is shown and aborted.  The dry run is
 * thus no guess: the server itself has checked paths, permissions and quotas.
 */

#include "lib/cli/cli.h"
#include "lib/cli/out.h"
#include "lib/cli/tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* clang-format off: it would take the name for a sum */
G_DEFINE_QUARK (xds - cli - error - quark, xds_cli_error)
/* clang-format on */

int
xds_cli_usage (GError **error, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error_literal (error, XDS_CLI_ERROR, 0, text);
  return XDS_EXIT_USAGE;
}

XdsClient *
xds_cli_client (XdsCli *cli, GError **error)
{
  if (cli->client == NULL && cli->socket != NULL)
    cli->client = xds_client_open_path (cli->socket, error);
  else if (cli->client == NULL)
    cli->client = xds_client_open (error);
  return cli->client;
}

gboolean
xds_cli_number (const char *text, guint64 max, guint64 *ret_number)
{
  return g_ascii_string_to_unsigned (text, 10, 0, max, ret_number, NULL);
}

char *
xds_cli_read_file (const char *file, gsize *ret_len, GError **error)
{
  gboolean is_stdin = g_str_equal (file, "-");
  FILE *from = is_stdin ? stdin : fopen (file, "re");
  g_autoptr (GString) text = g_string_new (NULL);
  char piece[4096];
  gsize n;
  int failed;

  while (from != NULL && (n = fread (piece, 1, sizeof piece, from)) > 0)
    g_string_append_len (text, piece, n);
  failed = from == NULL || ferror (from) ? errno : 0;
  if (from != NULL && !is_stdin)
    fclose (from);
  if (failed != 0)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "Cannot read %s: %s.",
                   is_stdin ? "standard input" : file, g_strerror (failed));
      return NULL;
    }
  *ret_len = text->len;
  return g_string_free (g_steal_pointer (&text), FALSE);
}

/* --- domains --- */

GHashTable *
xds_cli_domain_names (XdsCli *cli, GError **error)
{
  XdsClient *client = xds_cli_client (cli, error);
  g_autoptr (GHashTable) names = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  g_auto (GStrv) homes = NULL;
  g_autoptr (XdsBatch) batch = NULL;
  g_autoptr (GError) own = NULL;

  if (client == NULL)
    return NULL;
  homes = xds_client_list (client, NULL, "/local/domain", &own);
  if (homes == NULL && g_error_matches (own, XDS_ERROR, XDS_ERROR_ENOENT))
    return g_steal_pointer (&names);
  if (homes == NULL)
    {
      g_propagate_error (error, g_steal_pointer (&own));
      return NULL;
    }
  batch = xds_batch_new (client, NULL);
  for (guint i = 0; homes[i] != NULL; i++)
    {
      g_autofree char *path = g_strdup_printf ("/local/domain/%s/name", homes[i]);

      xds_batch_read (batch, path);
    }
  if (!xds_batch_run (batch, error))
    return NULL;
  for (guint i = 0; homes[i] != NULL; i++)
    {
      const char *name = xds_batch_get_value (batch, i, NULL, NULL);
      guint64 domid;

      if (xds_cli_number (homes[i], G_MAXUINT16, &domid))
        g_hash_table_insert (names, GUINT_TO_POINTER ((guint) domid),
                             g_strdup (name != NULL ? name : ""));
    }
  return g_steal_pointer (&names);
}

gboolean
xds_cli_domid (XdsCli *cli, const char *text, guint *ret_domid, GError **error)
{
  g_autoptr (GHashTable) names = NULL;
  GHashTableIter iter;
  gpointer domid, name;
  guint found[2] = { 0, 0 }, n = 0;
  guint64 number;

  if (xds_cli_number (text, G_MAXUINT16, &number))
    {
      *ret_domid = number;
      return TRUE;
    }
  names = xds_cli_domain_names (cli, error);
  if (names == NULL)
    return FALSE;
  g_hash_table_iter_init (&iter, names);
  while (g_hash_table_iter_next (&iter, &domid, &name))
    if (strcmp (name, text) == 0)
      found[n++ % 2] = GPOINTER_TO_UINT (domid);
  if (n == 1)
    {
      *ret_domid = found[0];
      return TRUE;
    }
  if (n > 1)
    {
      xds_cli_usage (error, "Domains %u and %u are both named \"%s\"; give the number.",
                     MIN (found[0], found[1]), MAX (found[0], found[1]), text);
      return FALSE;
    }
  g_set_error (error, XDS_ERROR, XDS_ERROR_ENOENT,
               "There is no domain named \"%s\"; \"xds domain\" lists those that there are.", text);
  return FALSE;
}

/* --- paths --- */

char *
xds_cli_path (XdsCli *cli, const char *text, GError **error)
{
  guint domid;

  if (cli->domain == NULL || text[0] == '/' || text[0] == '@')
    return g_strdup (text);
  if (!xds_cli_domid (cli, cli->domain, &domid, error))
    return NULL;
  if (text[0] == '\0' || strcmp (text, ".") == 0)
    return g_strdup_printf ("/local/domain/%u", domid);
  return g_strdup_printf ("/local/domain/%u/%s", domid, text);
}

GPtrArray *
xds_cli_paths (XdsCli *cli, int n, char **texts, GError **error)
{
  g_autoptr (GPtrArray) paths = g_ptr_array_new_with_free_func (g_free);

  for (int i = 0; i < n; i++)
    {
      char *path = xds_cli_path (cli, texts[i], error);

      if (path == NULL)
        return NULL;
      g_ptr_array_add (paths, path);
    }
  return g_steal_pointer (&paths);
}

/* --- changes --- */

/* What a change of @path can change: all below it, and the parents that are made for it. */
static gboolean
load_around (XdsCli *cli, XdsTransaction *txn, const char *path, GHashTable *seen, GPtrArray *nodes,
             GError **error)
{
  g_autoptr (GPtrArray) below = xds_tree_load (cli->client, txn, path, -1, error);
  g_autofree char *parent = g_strdup (path);
  char *slash;

  if (below == NULL)
    return FALSE;
  while ((slash = strrchr (parent, '/')) != NULL && slash != parent)
    {
      g_autoptr (GPtrArray) one = NULL;

      *slash = '\0';
      one = xds_tree_load (cli->client, txn, parent, 0, error);
      if (one == NULL)
        return FALSE;
      g_ptr_array_extend_and_steal (below, g_steal_pointer (&one));
    }
  while (below->len > 0)
    {
      XdsNode *node = g_ptr_array_steal_index (below, 0);

      if (g_hash_table_add (seen, g_strdup (node->path)))
        g_ptr_array_add (nodes, node);
      else
        xds_node_free (node);
    }
  return TRUE;
}

static int
compare_paths (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(XdsNode *const *) a)->path, (*(XdsNode *const *) b)->path);
}

static GPtrArray *
load_all_around (XdsCli *cli, XdsTransaction *txn, GPtrArray *paths, GError **error)
{
  g_autoptr (GPtrArray) nodes = g_ptr_array_new_with_free_func ((GDestroyNotify) xds_node_free);
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; i < paths->len; i++)
    if (!load_around (cli, txn, paths->pdata[i], seen, nodes, error))
      return NULL;
  g_ptr_array_sort (nodes, compare_paths);
  return g_steal_pointer (&nodes);
}

static gboolean
show_change (XdsCli *cli, GPtrArray *paths, XdsCliChange func, gpointer data, GError **error)
{
  g_autoptr (XdsTransaction) txn = xds_client_begin (cli->client, error);
  g_autoptr (GPtrArray) before = NULL, after = NULL;
  g_autoptr (GArray) diff = NULL;
  g_autoptr (JsonBuilder) builder = NULL;

  if (txn == NULL)
    return FALSE;
  before = load_all_around (cli, txn, paths, error);
  if (before == NULL || !func (cli, txn, data, error))
    return FALSE;
  after = load_all_around (cli, txn, paths, error);
  if (after == NULL || !xds_transaction_abort (txn, error))
    return FALSE;
  diff = xds_tree_diff (before, after);
  if (!cli->json)
    {
      xds_tree_print_diff (diff);
      return TRUE;
    }
  builder = json_builder_new ();
  xds_tree_json_diff (builder, diff);
  xds_out_json (builder);
  return TRUE;
}

typedef struct
{
  XdsCli *cli;
  XdsCliChange func;
  gpointer data;
} Change;

static gboolean
change_body (XdsClient *client, XdsTransaction *txn, gpointer data, GError **error)
{
  Change *change = data;

  return change->func (change->cli, txn, change->data, error);
}

int
xds_cli_change (XdsCli *cli, GPtrArray *paths, XdsCliChange func, gpointer data, GError **error)
{
  Change change = { cli, func, data };

  if (xds_cli_client (cli, error) == NULL)
    return XDS_EXIT_UNREACHABLE;
  if (cli->dry_run)
    return show_change (cli, paths, func, data, error) ? XDS_EXIT_DONE : XDS_EXIT_OTHER;
  return xds_client_transact (cli->client, 0, change_body, &change, error) ? XDS_EXIT_DONE
                                                                           : XDS_EXIT_OTHER;
}
