/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The model's nodes.  Everything is found by looking at all nodes.
 *
 * What a transaction reads from its snapshot is written down by aspect and path, and so is, with
 * a rising number, whatever is written to the store: the transaction conflicts if something that
 * it read was written after its start.  What it wrote itself before is its own and not a read of
 * the snapshot; a listing is its own only in a directory that it created, since adding a child
 * leaves the other children what they were.
 */

#include "tests/model-tree.h"

#include "xsd/wire/op-number.h"

#include <string.h>

/* --- nodes --- */

static void
node_free (gpointer data)
{
  XdsModelNode *node = data;

  g_free (node->path);
  g_bytes_unref (node->value);
  g_array_unref (node->perms);
  g_free (node);
}

GArray *
xds_model_perms_copy (const GArray *perms)
{
  GArray *copy = g_array_new (FALSE, TRUE, sizeof (XdsPerm));

  g_array_append_vals (copy, perms->data, perms->len);
  return copy;
}

XdsModelTree *
xds_model_tree_new (void)
{
  return g_hash_table_new_full (g_str_hash, g_str_equal, NULL, node_free);
}

XdsModelNode *
xds_model_tree_add (XdsModelTree *tree, const char *path, const GArray *perms, guint64 seq)
{
  XdsModelNode *node = g_new0 (XdsModelNode, 1);

  node->path = g_strdup (path);
  node->value = g_bytes_new (NULL, 0);
  node->perms = xds_model_perms_copy (perms);
  node->seq = node->perms_at = seq;
  g_hash_table_replace (tree, node->path, node);
  return node;
}

XdsModelNode *
xds_model_tree_next (GHashTableIter *iter)
{
  gpointer node;

  return g_hash_table_iter_next (iter, NULL, &node) ? node : NULL;
}

XdsModelTree *
xds_model_tree_copy (XdsModelTree *tree)
{
  XdsModelTree *copy = xds_model_tree_new ();
  GHashTableIter iter;
  XdsModelNode *node;

  g_hash_table_iter_init (&iter, tree);
  while ((node = xds_model_tree_next (&iter)) != NULL)
    {
      XdsModelNode *twin = xds_model_tree_add (copy, node->path, node->perms, node->seq);

      g_bytes_unref (twin->value);
      twin->value = g_bytes_ref (node->value);
    }
  return copy;
}

guint
xds_model_tree_owned (XdsModelTree *tree, guint domid)
{
  GHashTableIter iter;
  XdsModelNode *node;
  guint n = 0;

  g_hash_table_iter_init (&iter, tree);
  while ((node = xds_model_tree_next (&iter)) != NULL)
    n += g_array_index (node->perms, XdsPerm, 0).domid == domid;
  return n;
}

gboolean
xds_model_is_below (const char *path, const char *top)
{
  gsize len = strlen (top);

  if (g_str_equal (top, "/"))
    return path[0] == '/';
  return strncmp (path, top, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/* "/" for "/x"; NULL for the root and for special nodes. */
char *
xds_model_parent (const char *path)
{
  const char *slash = strrchr (path, '/');

  if (path[0] != '/' || path[1] == '\0')
    return NULL;
  return slash == path ? g_strdup ("/") : g_strndup (path, slash - path);
}

static gint
compare_seq (gconstpointer a, gconstpointer b)
{
  const XdsModelNode *x = *(XdsModelNode *const *) a, *y = *(XdsModelNode *const *) b;

  return x->seq < y->seq ? -1 : x->seq > y->seq;
}

GPtrArray *
xds_model_tree_children (XdsModelTree *tree, const char *path)
{
  GPtrArray *children = g_ptr_array_new ();
  GHashTableIter iter;
  XdsModelNode *node;

  g_hash_table_iter_init (&iter, tree);
  while ((node = xds_model_tree_next (&iter)) != NULL)
    {
      g_autofree char *parent = xds_model_parent (node->path);

      if (g_strcmp0 (parent, path) == 0)
        g_ptr_array_add (children, node);
    }
  g_ptr_array_sort (children, compare_seq);
  return children;
}

/* --- permissions --- */

/* The owner and his stand-in may do all; then the first entry that fits; then the default. */
guint
xds_model_access (const GArray *perms, gint domid, gint target)
{
  const XdsPerm *list = (const XdsPerm *) perms->data;

  if (domid < 0 || list[0].domid == domid || (target >= 0 && list[0].domid == target))
    return XDS_PERM_READ | XDS_PERM_WRITE;
  for (guint i = 1; i < perms->len; i++)
    if (!(list[i].access & XDS_PERM_INERT)
        && (list[i].domid == domid || (target >= 0 && list[i].domid == target)
            || list[i].domid == XDS_DOMID_ANY))
      return list[i].access & (XDS_PERM_READ | XDS_PERM_WRITE);
  return list[0].access & (XDS_PERM_READ | XDS_PERM_WRITE);
}

/* --- transactions --- */

static char *
aspect_key (XdsModelAspect aspect, const char *path)
{
  return g_strdup_printf ("%d %s", aspect, path);
}

static void
write_free (gpointer data)
{
  XdsModelWrite *entry = data;

  g_free (entry->path);
  g_clear_pointer (&entry->value, g_bytes_unref);
  g_clear_pointer (&entry->perms, g_array_unref);
  g_free (entry);
}

XdsModelTx *
xds_model_tx_new (XdsModelTree *tree, guint64 clock)
{
  XdsModelTx *tx = g_new0 (XdsModelTx, 1);

  tx->tree = xds_model_tree_copy (tree);
  tx->before = xds_model_tree_copy (tree);
  tx->start = clock;
  tx->reads = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  tx->own = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  tx->removed = g_ptr_array_new_with_free_func (g_free);
  tx->writes = g_ptr_array_new_with_free_func (write_free);
  tx->met = g_ptr_array_new_with_free_func (g_free);
  tx->fires = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  tx->gone = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return tx;
}

void
xds_model_tx_free (XdsModelTx *tx)
{
  if (tx == NULL)
    return;
  g_hash_table_unref (tx->tree);
  g_hash_table_unref (tx->before);
  g_hash_table_unref (tx->reads);
  g_hash_table_unref (tx->own);
  g_ptr_array_unref (tx->removed);
  g_ptr_array_unref (tx->writes);
  g_ptr_array_unref (tx->met);
  g_hash_table_unref (tx->fires);
  g_hash_table_unref (tx->gone);
  g_free (tx);
}

gboolean
xds_model_tx_conflicts (const XdsModelTx *tx, GHashTable *history)
{
  GHashTableIter iter;
  gpointer key;

  g_hash_table_iter_init (&iter, tx->reads);
  while (g_hash_table_iter_next (&iter, &key, NULL))
    {
      guint64 *when = g_hash_table_lookup (history, key);

      if (when != NULL && *when > tx->start)
        return TRUE;
    }
  return FALSE;
}

static gboolean
is_own (const XdsModelTx *tx, XdsModelAspect aspect, const char *path)
{
  g_autofree char *key = aspect_key (aspect, path);

  if (g_hash_table_contains (tx->own, key))
    return TRUE;
  for (guint i = 0; i < tx->removed->len && aspect == XDS_MODEL_EXISTENCE; i++)
    if (xds_model_is_below (path, g_ptr_array_index (tx->removed, i)))
      return TRUE;
  return FALSE;
}

/* @again: it is created, and stands where it was created instead of where it was met. */
static void
meet (XdsModelView *view, const char *path, gboolean again)
{
  guint at;

  if (view->tx == NULL)
    return;
  if (g_ptr_array_find_with_equal_func (view->tx->met, path, g_str_equal, &at))
    {
      if (!again)
        return;
      g_ptr_array_remove_index (view->tx->met, at);
    }
  g_ptr_array_add (view->tx->met, g_strdup (path));
}

static void
saw (XdsModelView *view, XdsModelAspect aspect, const char *path)
{
  if (view->tx != NULL && !is_own (view->tx, aspect, path))
    g_hash_table_add (view->tx->reads, aspect_key (aspect, path));
}

void
xds_model_wrote (XdsModelView *view, XdsModelAspect aspect, const char *path)
{
  if (view->tx == NULL)
    g_hash_table_replace (view->history, aspect_key (aspect, path),
                          g_memdup2 (&(guint64){ ++*view->clock }, sizeof (guint64)));
  else if (aspect != XDS_MODEL_LISTING)
    g_hash_table_add (view->tx->own, aspect_key (aspect, path));
}

static void
keep_write (XdsModelView *view, guint op, const char *path, GBytes *value, const GArray *perms)
{
  XdsModelWrite *entry;

  if (view->tx == NULL)
    return;
  entry = g_new0 (XdsModelWrite, 1);
  entry->op = op;
  entry->path = g_strdup (path);
  entry->value = value != NULL ? g_bytes_ref (value) : NULL;
  entry->perms = perms != NULL ? xds_model_perms_copy (perms) : NULL;
  g_ptr_array_add (view->tx->writes, entry);
}

/* --- changes --- */

gboolean
xds_model_tx_names (const XdsModelTx *tx, guint domid, guint64 when)
{
  GHashTableIter iter;
  XdsModelNode *node;

  g_hash_table_iter_init (&iter, tx->tree);
  while ((node = xds_model_tree_next (&iter)) != NULL)
    for (guint i = 0; i < node->perms->len && is_own (tx, XDS_MODEL_PERMS, node->path); i++)
      if (g_array_index (node->perms, XdsPerm, i).domid == domid && node->perms_at < when)
        return TRUE;
  return FALSE;
}

void
xds_model_change_free (XdsModelChange *change)
{
  g_free (change->path);
  g_clear_pointer (&change->old_perms, g_array_unref);
  g_clear_pointer (&change->old_parent, g_array_unref);
  g_free (change);
}

static XdsModelChange *
add_change (GPtrArray *changes, const char *path)
{
  XdsModelChange *change = g_new0 (XdsModelChange, 1);

  change->path = g_strdup (path);
  g_ptr_array_add (changes, change);
  return change;
}

static XdsModelChange *
changed (XdsModelView *view, const char *path)
{
  if (view->tx != NULL)
    g_hash_table_add (view->tx->fires, g_strdup (path));
  return add_change (view->changes, path);
}

/* The removal of what is below @path, children before their parents. */
static void
descendants (XdsModelTree *tree, const char *path, GPtrArray *changes)
{
  g_autoptr (GPtrArray) children = xds_model_tree_children (tree, path);
  const XdsModelNode *node = g_hash_table_lookup (tree, path);

  for (guint i = 0; i < children->len; i++)
    {
      const XdsModelNode *child = g_ptr_array_index (children, i);
      XdsModelChange *change;

      descendants (tree, child->path, changes);
      change = add_change (changes, child->path);
      change->descendant = TRUE;
      change->old_perms = xds_model_perms_copy (child->perms);
      change->old_parent = xds_model_perms_copy (node->perms);
    }
}

static void
tx_change (const XdsModelTx *tx, XdsModelTree *tree, const char *path, GPtrArray *changes)
{
  g_autofree char *parent = xds_model_parent (path);
  const XdsModelNode *old = g_hash_table_lookup (tree, path);
  gboolean gone = g_hash_table_contains (tx->gone, path);
  gboolean exists = g_hash_table_contains (tx->tree, path);
  XdsModelChange *change = NULL;

  if (gone && !g_hash_table_contains (tx->gone, parent))
    {
      descendants (tree, path, changes);
      if (!exists)
        change = add_change (changes, path);
    }
  if (exists)
    change = add_change (changes, path);
  if (change != NULL && old != NULL && (!exists || (!gone && is_own (tx, XDS_MODEL_PERMS, path))))
    change->old_perms = xds_model_perms_copy (old->perms);
}

void
xds_model_tx_changes (const XdsModelTx *tx, XdsModelTree *tree, GPtrArray *changes)
{
  for (guint i = 0; i < tx->met->len; i++)
    if (g_hash_table_contains (tx->fires, g_ptr_array_index (tx->met, i)))
      tx_change (tx, tree, g_ptr_array_index (tx->met, i), changes);
}

/* --- the way to a node --- */

/* Looks at each node on the way until one is missing; *ret_last is the last that is there. */
static XdsModelNode *
walk (XdsModelView *view, const char *path, XdsModelNode **ret_last)
{
  XdsModelNode *node = NULL;
  gsize len = strlen (path);

  for (gsize end = 1; end <= len; end++)
    {
      g_autofree char *prefix = NULL;

      if (end < len && path[end] != '/' && (end > 1 || path[0] != '/'))
        continue;
      prefix = g_strndup (path, end);
      meet (view, prefix, FALSE);
      saw (view, XDS_MODEL_EXISTENCE, prefix);
      node = g_hash_table_lookup (view->tree, prefix);
      if (node == NULL)
        return NULL;
      *ret_last = node;
    }
  return node;
}

static gboolean
allows (XdsModelView *view, const XdsModelNode *node, guint want)
{
  if (view->domid < 0)
    return TRUE;
  saw (view, XDS_MODEL_PERMS, node->path);
  return (xds_model_access (node->perms, view->domid, view->target) & want) == want;
}

/*
 * The node, if it is there and may be used so.  That one is missing is told to those who may read
 * the nearest node above it; @make: to those who may write there.  Nobody reads the place where
 * special nodes are.
 */
static XdsStatus
find (XdsModelView *view, const char *path, guint want, gboolean make, XdsModelNode **ret_node,
      XdsModelNode **ret_last)
{
  XdsModelNode *last = NULL;
  XdsModelNode *node = walk (view, path, &last);

  if (ret_last != NULL)
    *ret_last = last;
  if (node == NULL && last == NULL)
    return view->domid < 0 ? XDS_ENOENT : XDS_EACCES;
  if (node == NULL)
    return allows (view, last, make ? XDS_PERM_WRITE : XDS_PERM_READ) ? XDS_ENOENT : XDS_EACCES;
  if (!allows (view, node, want))
    return XDS_EACCES;
  *ret_node = node;
  return XDS_OK;
}

/* --- requests that read --- */

XdsStatus
xds_model_read (XdsModelView *view, const char *path, GBytes **ret_value)
{
  XdsModelNode *node = NULL;
  XdsStatus status = find (view, path, XDS_PERM_READ, FALSE, &node, NULL);

  if (status != XDS_OK)
    return status;
  saw (view, XDS_MODEL_VALUE, path);
  *ret_value = node->value;
  return XDS_OK;
}

XdsStatus
xds_model_get_perms (XdsModelView *view, const char *path, const GArray **ret_perms)
{
  XdsModelNode *node = NULL;
  XdsStatus status = find (view, path, XDS_PERM_READ, FALSE, &node, NULL);

  if (status != XDS_OK)
    return status;
  saw (view, XDS_MODEL_PERMS, path);
  *ret_perms = node->perms;
  return XDS_OK;
}

XdsStatus
xds_model_directory (XdsModelView *view, const char *path, GByteArray *names)
{
  XdsModelNode *node = NULL;
  XdsStatus status = find (view, path, XDS_PERM_READ, FALSE, &node, NULL);
  g_autoptr (GPtrArray) children = NULL;

  if (status != XDS_OK)
    return status;
  saw (view, XDS_MODEL_LISTING, path);
  children = xds_model_tree_children (view->tree, path);
  for (guint i = 0; i < children->len; i++)
    {
      XdsModelNode *child = g_ptr_array_index (children, i);
      const char *name = strrchr (child->path, '/') + 1;

      g_byte_array_append (names, (const guint8 *) name, strlen (name) + 1);
    }
  return XDS_OK;
}

/* --- requests that write --- */

static XdsModelNode *
create_one (XdsModelView *view, const char *path, const XdsModelNode *parent)
{
  XdsModelNode *node;

  meet (view, path, TRUE);
  saw (view, XDS_MODEL_PERMS, parent->path);
  node = xds_model_tree_add (view->tree, path, parent->perms, ++*view->clock);
  if (view->domid >= 0)
    g_array_index (node->perms, XdsPerm, 0).domid = view->domid;
  xds_model_wrote (view, XDS_MODEL_EXISTENCE, path);
  xds_model_wrote (view, XDS_MODEL_VALUE, path);
  xds_model_wrote (view, XDS_MODEL_PERMS, path);
  xds_model_wrote (view, XDS_MODEL_LISTING, path);
  xds_model_wrote (view, XDS_MODEL_LISTING, parent->path);
  if (view->tx != NULL)
    g_hash_table_add (view->tx->own, aspect_key (XDS_MODEL_LISTING, path));
  return node;
}

static gsize
missing_below (const char *path, const XdsModelNode *last)
{
  gsize n = 0;

  for (const char *p = path + strlen (last->path); *p != '\0'; p++)
    n += *p == '/';
  return n + (last->path[1] == '\0');
}

static XdsStatus
create (XdsModelView *view, const char *path, XdsModelNode *last, XdsModelNode **ret_node)
{
  gsize len = strlen (path);

  if (view->may_own != NULL && !view->may_own (view->data, missing_below (path, last)))
    return XDS_ENOSPC;
  for (gsize end = strlen (last->path) + 1; end <= len; end++)
    if (end == len || path[end] == '/')
      {
        g_autofree char *prefix = g_strndup (path, end);

        last = create_one (view, prefix, last);
      }
  *ret_node = last;
  return XDS_OK;
}

XdsStatus
xds_model_write (XdsModelView *view, const char *path, GBytes *value)
{
  XdsModelNode *node = NULL, *last;
  XdsStatus status = find (view, path, XDS_PERM_WRITE, TRUE, &node, &last);

  if (status == XDS_ENOENT)
    status = create (view, path, last, &node);
  if (status != XDS_OK)
    return status;
  g_bytes_unref (node->value);
  node->value = g_bytes_ref (value);
  xds_model_wrote (view, XDS_MODEL_VALUE, path);
  keep_write (view, XDS_OP_WRITE, path, value, NULL);
  changed (view, path);
  return XDS_OK;
}

XdsStatus
xds_model_mkdir (XdsModelView *view, const char *path)
{
  XdsModelNode *node = NULL, *last;
  XdsStatus status = find (view, path, XDS_PERM_WRITE, TRUE, &node, &last);

  if (status != XDS_ENOENT)
    return status;
  status = create (view, path, last, &node);
  if (status != XDS_OK)
    return status;
  keep_write (view, XDS_OP_MKDIR, path, NULL, NULL);
  changed (view, path);
  return XDS_OK;
}

static void
remove_node (XdsModelView *view, const char *path)
{
  g_autoptr (GPtrArray) children = xds_model_tree_children (view->tree, path);
  g_autofree char *parent = xds_model_parent (path);

  for (guint i = 0; i < children->len; i++)
    {
      g_autofree char *child = g_strdup (((XdsModelNode *) g_ptr_array_index (children, i))->path);

      remove_node (view, child);
    }
  xds_model_wrote (view, XDS_MODEL_EXISTENCE, path);
  xds_model_wrote (view, XDS_MODEL_LISTING, parent);
  g_hash_table_remove (view->tree, path);
  if (view->tx == NULL)
    return;
  if (g_hash_table_contains (view->tx->before, path))
    g_hash_table_add (view->tx->gone, g_strdup (path));
}

static gboolean
fires_below (gpointer key, gpointer value, gpointer top)
{
  (void) value;
  return xds_model_is_below (key, top);
}

void
xds_model_remove (XdsModelView *view, const char *path, gboolean quietly)
{
  const XdsModelNode *node = g_hash_table_lookup (view->tree, path);
  g_autofree char *above = xds_model_parent (path);
  const XdsModelNode *parent = g_hash_table_lookup (view->tree, above);
  XdsModelChange *change;

  if (!quietly)
    descendants (view->tree, path, view->changes);
  change = add_change (view->changes, path);
  change->old_perms = xds_model_perms_copy (node->perms);
  change->old_parent = xds_model_perms_copy (parent->perms);
  remove_node (view, path);
  if (view->tx != NULL)
    {
      g_hash_table_foreach_remove (view->tx->fires, fires_below, (gpointer) path);
      g_ptr_array_add (view->tx->removed, g_strdup (path));
      g_hash_table_add (view->tx->fires, g_strdup (path));
    }
  keep_write (view, XDS_OP_RM, path, NULL, NULL);
}

XdsStatus
xds_model_rm (XdsModelView *view, const char *path)
{
  XdsModelNode *node = NULL;
  XdsStatus status = find (view, path, XDS_PERM_WRITE, FALSE, &node, NULL);
  g_autofree char *parent = xds_model_parent (path);

  if (status == XDS_ENOENT)
    return g_hash_table_contains (view->tree, parent) ? XDS_OK : XDS_ENOENT;
  if (status != XDS_OK)
    return status;
  xds_model_remove (view, path, FALSE);
  return XDS_OK;
}

static void
put_perms (XdsModelView *view, XdsModelNode *node, const GArray *perms)
{
  XdsModelChange *change = changed (view, node->path);

  change->old_perms = node->perms;
  node->perms = xds_model_perms_copy (perms);
  node->perms_at = ++*view->clock;
  xds_model_wrote (view, XDS_MODEL_PERMS, node->path);
}

XdsStatus
xds_model_set_perms (XdsModelView *view, const char *path, const GArray *perms)
{
  XdsModelNode *node = NULL;
  XdsStatus status = find (view, path, XDS_PERM_WRITE, FALSE, &node, NULL);
  gint owner;

  if (status != XDS_OK)
    return status;
  owner = g_array_index (node->perms, XdsPerm, 0).domid;
  if (view->domid >= 0 && owner != view->domid && owner != view->target)
    return XDS_EACCES;
  if (view->domid >= 0 && g_array_index (perms, XdsPerm, 0).domid != owner)
    return XDS_EPERM;
  put_perms (view, node, perms);
  keep_write (view, XDS_OP_SET_PERMS, path, NULL, perms);
  return XDS_OK;
}

/* --- the end of a transaction --- */

static void
replay_one (XdsModelView *view, const XdsModelWrite *entry)
{
  XdsModelNode *node = NULL;

  switch (entry->op)
    {
    case XDS_OP_WRITE:
      g_assert_cmpint (xds_model_write (view, entry->path, entry->value), ==, XDS_OK);
      break;
    case XDS_OP_MKDIR:
      g_assert_cmpint (xds_model_mkdir (view, entry->path), ==, XDS_OK);
      break;
    case XDS_OP_RM:
      xds_model_remove (view, entry->path, FALSE);
      break;
    default:
      node = g_hash_table_lookup (view->tree, entry->path);
      g_assert_nonnull (node);
      put_perms (view, node, entry->perms);
      break;
    }
}

void
xds_model_replay (XdsModelView *view, const XdsModelTx *tx)
{
  for (guint i = 0; i < tx->writes->len; i++)
    replay_one (view, g_ptr_array_index (tx->writes, i));
}

static void
came_or_went (XdsModelView *view, const char *path)
{
  g_autofree char *parent = xds_model_parent (path);

  xds_model_wrote (view, XDS_MODEL_EXISTENCE, path);
  if (parent != NULL)
    xds_model_wrote (view, XDS_MODEL_LISTING, parent);
}

void
xds_model_settle (XdsModelView *view, const XdsModelTx *tx, XdsModelTree *old)
{
  GHashTableIter iter;
  const XdsModelNode *node;

  g_hash_table_iter_init (&iter, old);
  while ((node = xds_model_tree_next (&iter)) != NULL)
    if (!g_hash_table_contains (view->tree, node->path)
        || g_hash_table_contains (tx->gone, node->path))
      came_or_went (view, node->path);
    else
      for (XdsModelAspect aspect = XDS_MODEL_VALUE; aspect <= XDS_MODEL_PERMS; aspect++)
        if (is_own (tx, aspect, node->path))
          xds_model_wrote (view, aspect, node->path);
  g_hash_table_iter_init (&iter, view->tree);
  while ((node = xds_model_tree_next (&iter)) != NULL)
    if (!g_hash_table_contains (old, node->path))
      came_or_went (view, node->path);
}
