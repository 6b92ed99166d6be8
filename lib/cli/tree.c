/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Trees, read level by level: all questions about one level travel together, so a tree costs as
 * many round trips as it is deep, not as many as it has nodes.
 *
 * The list is put in the order of a walk afterwards, from each node's children.
 */

#include "lib/cli/tree.h"
#include "lib/cli/out.h"

#include <stdio.h>

void
xds_node_free (XdsNode *node)
{
  if (node == NULL)
    return;
  g_free (node->path);
  g_free (node->value);
  g_strfreev (node->perms);
  g_free (node);
}

XdsNode *
xds_node_new (const char *path, const char *value, gsize len, char **perms, guint depth)
{
  XdsNode *node = g_new0 (XdsNode, 1);

  node->path = g_strdup (path);
  if (value != NULL)
    {
      node->value = g_malloc0 (len + 1);
      memcpy (node->value, value, len);
      node->len = len;
    }
  node->perms = perms;
  node->depth = depth;
  return node;
}

/* --- loading --- */

/* A node while its level is being read. */
typedef struct
{
  char *path;
  guint read, perms, list; /* numbers in the batch */
  gboolean asks_list;
  XdsNode *node;       /* (owned) (nullable) NULL: it is not there */
  GPtrArray *children; /* of Loading */
} Loading;

static void
loading_free (gpointer data)
{
  Loading *self = data;

  xds_node_free (self->node);
  g_ptr_array_unref (self->children);
  g_free (self->path);
  g_free (self);
}

static Loading *
loading_new (const char *parent, const char *name)
{
  Loading *self = g_new0 (Loading, 1);

  if (parent == NULL)
    self->path = g_strdup (name);
  else
    self->path = g_strconcat (strcmp (parent, "/") == 0 ? "" : parent, "/", name, NULL);
  self->children = g_ptr_array_new_with_free_func (loading_free);
  return self;
}

static void
loading_ask (Loading *self, XdsBatch *batch, gboolean deeper)
{
  self->read = xds_batch_read (batch, self->path);
  self->perms = xds_batch_get_permissions (batch, self->path);
  self->asks_list = deeper;
  if (deeper)
    self->list = xds_batch_list (batch, self->path);
}

/* Takes the answers; adds the children to @next. */
static void
loading_take (Loading *self, XdsBatch *batch, guint depth, GPtrArray *next)
{
  g_autoptr (GError) error = NULL;
  gsize len = 0;
  const char *value = xds_batch_get_value (batch, self->read, &len, &error);
  g_auto (GStrv) names = NULL;

  if (g_error_matches (error, XDS_ERROR, XDS_ERROR_ENOENT))
    return;
  self->node = xds_node_new (self->path, value, len,
                             xds_batch_get_strings (batch, self->perms, NULL), depth);
  if (self->asks_list)
    names = xds_batch_get_strings (batch, self->list, NULL);
  for (gsize i = 0; names != NULL && names[i] != NULL; i++)
    {
      Loading *child = loading_new (self->path, names[i]);

      g_ptr_array_add (self->children, child);
      g_ptr_array_add (next, child);
    }
}

static gboolean
load_level (XdsClient *client, XdsTransaction *txn, GPtrArray *level, guint depth, gboolean deeper,
            GPtrArray *next, GError **error)
{
  g_autoptr (XdsBatch) batch = xds_batch_new (client, txn);

  for (guint i = 0; i < level->len; i++)
    loading_ask (level->pdata[i], batch, deeper);
  if (!xds_batch_run (batch, error))
    return FALSE;
  for (guint i = 0; i < level->len; i++)
    loading_take (level->pdata[i], batch, depth, next);
  return TRUE;
}

/* Nothing recursive: a tree may be as deep as a path is long. */
static GPtrArray *
flatten (Loading *root)
{
  GPtrArray *nodes = g_ptr_array_new_with_free_func ((GDestroyNotify) xds_node_free);
  g_autoptr (GPtrArray) stack = g_ptr_array_new ();

  g_ptr_array_add (stack, root);
  while (stack->len > 0)
    {
      Loading *self = g_ptr_array_steal_index (stack, stack->len - 1);

      if (self->node == NULL)
        continue;
      g_ptr_array_add (nodes, g_steal_pointer (&self->node));
      for (guint i = self->children->len; i > 0; i--)
        g_ptr_array_add (stack, self->children->pdata[i - 1]);
    }
  return nodes;
}

static void
free_levels (Loading *root)
{
  g_autoptr (GPtrArray) todo = g_ptr_array_new ();

  /* Children first out of their parents, for the same reason. */
  g_ptr_array_add (todo, root);
  for (guint i = 0; i < todo->len; i++)
    {
      Loading *self = todo->pdata[i];

      g_ptr_array_set_free_func (self->children, NULL);
      for (guint j = 0; j < self->children->len; j++)
        g_ptr_array_add (todo, self->children->pdata[j]);
    }
  g_ptr_array_foreach (todo, (GFunc) (void (*) (void)) loading_free, NULL);
}

GPtrArray *
xds_tree_load (XdsClient *client, XdsTransaction *txn, const char *path, int max_depth,
               GError **error)
{
  Loading *root = loading_new (NULL, path);
  g_autoptr (GPtrArray) level = g_ptr_array_new ();
  gint64 since = g_get_monotonic_time ();
  GPtrArray *nodes = NULL;
  gboolean good = TRUE;
  guint n = 0;

  g_ptr_array_add (level, root);
  for (guint depth = 0; good && level->len > 0; depth++)
    {
      GPtrArray *next = g_ptr_array_new ();

      good = load_level (client, txn, level, depth, max_depth < 0 || depth < (guint) max_depth,
                         next, error);
      g_ptr_array_unref (level);
      level = next;
      n += level->len;
      xds_out_progress (since, n, FALSE);
    }
  xds_out_progress (since, n, TRUE);
  if (good)
    nodes = flatten (root);
  free_levels (root);
  return nodes;
}

GPtrArray *
xds_tree_snapshot (XdsClient *client, const char *path, int max_depth, GError **error)
{
  g_autoptr (XdsTransaction) txn = xds_client_begin (client, error);

  return txn != NULL ? xds_tree_load (client, txn, path, max_depth, error) : NULL;
}

/* --- differences --- */

static GHashTable *
index_nodes (GPtrArray *nodes)
{
  GHashTable *index = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < nodes->len; i++)
    g_hash_table_insert (index, ((XdsNode *) nodes->pdata[i])->path, nodes->pdata[i]);
  return index;
}

static gboolean
same_value (const XdsNode *a, const XdsNode *b)
{
  return a->len == b->len && (a->value == NULL) == (b->value == NULL)
         && (a->value == NULL || memcmp (a->value, b->value, a->len) == 0);
}

static gboolean
same_perms (const XdsNode *a, const XdsNode *b)
{
  if (a->perms == NULL || b->perms == NULL)
    return TRUE;
  return g_strv_equal ((const char *const *) a->perms, (const char *const *) b->perms);
}

static void
add_diff (GArray *diff, XdsDiffKind kind, const XdsNode *old, const XdsNode *new)
{
  XdsDiff one = { kind, old, new };

  g_array_append_val (diff, one);
}

GArray *
xds_tree_diff (GPtrArray *old, GPtrArray *new)
{
  g_autoptr (GHashTable) in_old = index_nodes (old), in_new = index_nodes (new);
  GArray *diff = g_array_new (FALSE, FALSE, sizeof (XdsDiff));

  for (guint i = 0; i < old->len; i++)
    {
      const XdsNode *a = old->pdata[i], *b = g_hash_table_lookup (in_new, a->path);

      if (b == NULL)
        add_diff (diff, XDS_DIFF_REMOVED, a, NULL);
      if (b != NULL && !same_value (a, b))
        add_diff (diff, XDS_DIFF_VALUE, a, b);
      if (b != NULL && !same_perms (a, b))
        add_diff (diff, XDS_DIFF_PERMS, a, b);
    }
  for (guint i = 0; i < new->len; i++)
    {
      const XdsNode *b = new->pdata[i];

      if (!g_hash_table_contains (in_old, b->path))
        add_diff (diff, XDS_DIFF_ADDED, NULL, b);
    }
  return diff;
}

static char *
value_text (const XdsNode *node)
{
  g_autofree char *text = NULL;

  if (node->value == NULL)
    return g_strdup ("(unreadable)");
  text = xds_out_escape (node->value, node->len);
  return g_strconcat ("\"", text, "\"", NULL);
}

static void
print_one (const XdsDiff *one)
{
  const XdsNode *node = one->before != NULL ? one->before : one->after;
  g_autofree char *old = one->before != NULL ? value_text (one->before) : NULL;
  g_autofree char *new = one->after != NULL ? value_text (one->after) : NULL;
  g_autofree char *old_perms = NULL, *new_perms = NULL;

  switch (one->kind)
    {
    case XDS_DIFF_ADDED:
      printf ("+ %s = %s\n", node->path, new);
      break;
    case XDS_DIFF_REMOVED:
      printf ("- %s = %s\n", node->path, old);
      break;
    case XDS_DIFF_VALUE:
      printf ("~ %s = %s -> %s\n", node->path, old, new);
      break;
    case XDS_DIFF_PERMS:
      old_perms = g_strjoinv (",", one->before->perms);
      new_perms = g_strjoinv (",", one->after->perms);
      printf ("~ %s (%s) -> (%s)\n", node->path, old_perms, new_perms);
      break;
    }
}

void
xds_tree_print_diff (GArray *diff)
{
  for (guint i = 0; i < diff->len; i++)
    print_one (&g_array_index (diff, XdsDiff, i));
}

static void
json_value_of (JsonBuilder *builder, const XdsNode *node)
{
  if (node->value != NULL)
    xds_out_json_value (builder, node->value, node->len);
  else
    json_builder_add_null_value (builder);
}

static void
json_one (JsonBuilder *builder, const XdsDiff *one)
{
  static const char *const names[] = { "added", "removed", "value", "permissions" };
  const XdsNode *sides[] = { one->before, one->after };

  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "path");
  json_builder_add_string_value (builder, (one->before != NULL ? one->before : one->after)->path);
  json_builder_set_member_name (builder, "change");
  json_builder_add_string_value (builder, names[one->kind]);
  for (guint i = 0; i < 2; i++)
    if (sides[i] != NULL)
      {
        json_builder_set_member_name (builder, i == 0 ? "old" : "new");
        if (one->kind == XDS_DIFF_PERMS)
          xds_out_json_strings (builder, sides[i]->perms);
        else
          json_value_of (builder, sides[i]);
      }
  json_builder_end_object (builder);
}

void
xds_tree_json_diff (JsonBuilder *builder, GArray *diff)
{
  json_builder_begin_array (builder);
  for (guint i = 0; i < diff->len; i++)
    json_one (builder, &g_array_index (diff, XdsDiff, i));
  json_builder_end_array (builder);
}

void
xds_tree_json_node (JsonBuilder *builder, const XdsNode *node)
{
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "path");
  json_builder_add_string_value (builder, node->path);
  json_builder_set_member_name (builder, "value");
  json_value_of (builder, node);
  json_builder_set_member_name (builder, "permissions");
  xds_out_json_strings (builder, node->perms);
  json_builder_end_object (builder);
}
