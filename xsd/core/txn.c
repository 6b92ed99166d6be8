/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Rules of reading.  Walking a path reads the existence of each name on it; for a name that is
 * absent, its absence.  A check of permissions reads them; creation reads those of the parent that
 * are inherited.  Creating does not read the parent's listing: so two transactions that create
 * different children never meet.  Removing does not read what is below: what others put there
 * meanwhile goes with it.
 *
 * The road not taken: replay of the requests against the newest tree.  It finds fewer conflicts
 * where a changed value does not change an answer, but costs the whole transaction once more at
 * each commit, and what it has to compare grows with the answers.
 */

#include "xsd/core/txn.h"

#include <string.h>

static guint
node_hash (gconstpointer key)
{
  const XdsTxnNode *node = key;

  return g_direct_hash (node->parent) * 31 + xds_name_hash (node->name, node->name_len);
}

static gboolean
node_equal (gconstpointer a, gconstpointer b)
{
  const XdsTxnNode *x = a, *y = b;

  return x->parent == y->parent && x->name_len == y->name_len
         && memcmp (x->name, y->name, x->name_len) == 0;
}

static XdsTxnNode *
node_alloc (XdsTxnNode *parent, const char *name, gsize len)
{
  XdsTxnNode *node = g_malloc0 (sizeof (XdsTxnNode) + len);

  node->parent = parent;
  node->name_len = len;
  node->name = memcpy (node + 1, name, len);
  return node;
}

static void
forget_writes (XdsTxn *txn, XdsTxnNode *node)
{
  if (node->acl != NULL)
    xds_acl_unref (&txn->store->acls, g_steal_pointer (&node->acl));
  if (node->value != NULL)
    txn->bytes -= g_bytes_get_size (node->value);
  g_clear_pointer (&node->value, g_bytes_unref);
  g_clear_pointer (&node->created, g_ptr_array_unref);
  node->flags &= ~(XDS_TXN_CREATED | XDS_TXN_VALUE | XDS_TXN_ACL | XDS_TXN_EXISTS | XDS_TXN_STALE);
}

static void
forget_listing (XdsTxn *txn, XdsTxnNode *node)
{
  if (node->listing == NULL)
    return;
  txn->bytes -= node->listing->allocated_len;
  g_string_free (g_steal_pointer (&node->listing), TRUE);
}

/* --- the order in which commit goes: as nodes were met, but new ones as they were created --- */

static void
close_holes (XdsTxn *txn)
{
  guint n = 0;

  for (guint i = 0; i < txn->order->len; i++)
    {
      XdsTxnNode *node = txn->order->pdata[i];

      if (node == NULL)
        continue;
      node->at = n;
      txn->order->pdata[n++] = node;
    }
  g_ptr_array_set_size (txn->order, n);
  txn->n_holes = 0;
}

static void
put_last (XdsTxn *txn, XdsTxnNode *node)
{
  node->at = txn->order->len;
  g_ptr_array_add (txn->order, node);
}

static void
move_last (XdsTxn *txn, XdsTxnNode *node)
{
  if (node->at + 1 == txn->order->len)
    return;
  txn->order->pdata[node->at] = NULL;
  if (++txn->n_holes > txn->order->len / 2)
    close_holes (txn);
  put_last (txn, node);
}

static XdsTxnNode *
make_top (XdsTxn *txn, XdsNode *base, const char *name)
{
  XdsTxnNode *node = node_alloc (NULL, name, strlen (name));

  node->base = base;
  node->flags = XDS_TXN_EXISTS;
  put_last (txn, node);
  return node;
}

XdsTxn *
xds_txn_new (XdsStore *store, guint32 id)
{
  XdsTxn *txn = g_new0 (XdsTxn, 1);

  txn->id = id;
  txn->store = store;
  txn->nodes = g_hash_table_new (node_hash, node_equal);
  txn->order = g_ptr_array_new ();
  txn->top = make_top (txn, store->root, "/");
  txn->special = make_top (txn, store->special, "@");
  xds_snapshot_take (&store->history, &txn->snapshot);
  return txn;
}

static void
forget_all (XdsTxn *txn)
{
  for (guint i = 0; i < txn->order->len; i++)
    {
      XdsTxnNode *node = txn->order->pdata[i];

      if (node == NULL)
        continue;
      forget_writes (txn, node);
      forget_listing (txn, node);
      g_free (node);
    }
  g_ptr_array_set_size (txn->order, 0);
  txn->n_holes = 0;
  g_hash_table_remove_all (txn->nodes);
  txn->top = txn->special = NULL;
  txn->n_targets = 0;
  txn->bytes = 0;
  xds_snapshot_release (&txn->snapshot);
}

void
xds_txn_free (XdsTxn *txn)
{
  if (txn == NULL)
    return;
  forget_all (txn);
  g_hash_table_unref (txn->nodes);
  g_ptr_array_unref (txn->order);
  g_free (txn);
}

void
xds_txn_doom (XdsTxn *txn)
{
  forget_all (txn);
  txn->doomed = TRUE;
}

/* --- looking --- */

/* Are names below @node to be looked up in the snapshot? */
static gboolean
shows_base (const XdsTxnNode *node)
{
  return node->base != NULL && (node->flags & (XDS_TXN_EXISTS | XDS_TXN_REMOVED)) == XDS_TXN_EXISTS;
}

static XdsTxnNode *
child_of (XdsTxn *txn, XdsTxnNode *parent, const char *name, gsize len)
{
  const XdsTxnNode probe = { .parent = parent, .name = name, .name_len = len };
  XdsTxnNode *node = g_hash_table_lookup (txn->nodes, &probe);

  if (node != NULL)
    return node;
  node = node_alloc (parent, name, len);
  if (shows_base (parent))
    {
      node->base = xds_snapshot_child (&txn->snapshot, parent->base, name, len);
      node->flags = XDS_TXN_READ_NAME | (node->base != NULL ? XDS_TXN_EXISTS : 0);
    }
  txn->bytes += sizeof (XdsTxnNode) + len + 64;
  g_hash_table_add (txn->nodes, node);
  put_last (txn, node);
  return node;
}

static void
count_target (XdsTxn *txn, XdsTxnNode *node)
{
  txn->n_targets += (node->flags & XDS_TXN_TARGET) == 0;
  node->flags |= XDS_TXN_TARGET;
}

XdsTxnNode *
xds_txn_find (XdsTxn *txn, const char *text, gsize len, XdsTxnNode **ret_near, gsize *ret_pos)
{
  XdsTxnNode *node = text[0] == '@' ? txn->special : txn->top, *child;
  gsize pos = text[0] == '@' ? 0 : 1, start, name_len;
  const char *name;

  for (start = pos; xds_path_next (text, len, &pos, &name, &name_len); start = pos)
    {
      child = child_of (txn, node, name, name_len);
      if ((child->flags & XDS_TXN_EXISTS) == 0)
        {
          count_target (txn, child);
          if (ret_near != NULL)
            *ret_near = node;
          if (ret_pos != NULL)
            *ret_pos = start;
          return NULL;
        }
      node = child;
    }
  count_target (txn, node);
  return node;
}

const guint8 *
xds_txn_value (XdsTxn *txn, XdsTxnNode *node, gsize *ret_len)
{
  *ret_len = 0;
  if (node->flags & XDS_TXN_VALUE)
    {
      const guint8 *value = g_bytes_get_data (node->value, ret_len);

      return *ret_len > 0 ? value : (const guint8 *) ""; /* of no bytes GBytes says NULL */
    }
  if (node->flags & XDS_TXN_CREATED)
    return (const guint8 *) "";
  node->flags |= XDS_TXN_READ_VALUE;
  return xds_snapshot_value (&txn->snapshot, node->base, ret_len);
}

XdsAcl *
xds_txn_acl (XdsTxn *txn, XdsTxnNode *node)
{
  if (node->acl != NULL)
    return node->acl;
  node->flags |= XDS_TXN_READ_ACL;
  return xds_snapshot_acl (&txn->snapshot, node->base);
}

static gboolean
is_hidden (XdsTxn *txn, XdsTxnNode *parent, const XdsNode *child)
{
  const XdsTxnNode probe
      = { .parent = parent, .name = xds_node_name (child), .name_len = child->name_len };
  const XdsTxnNode *node = g_hash_table_lookup (txn->nodes, &probe);

  return node != NULL && (node->flags & XDS_TXN_REMOVED) != 0;
}

static void
list_base (XdsTxn *txn, XdsTxnNode *node, GString *listing)
{
  g_autoptr (GPtrArray) children = xds_snapshot_children (&txn->snapshot, node->base);

  node->flags |= XDS_TXN_READ_LIST;
  for (guint i = 0; i < children->len; i++)
    {
      const XdsNode *child = children->pdata[i];

      if (is_hidden (txn, node, child))
        continue;
      g_string_append_len (listing, xds_node_name (child), child->name_len);
      g_string_append_c (listing, '\0');
    }
}

const GString *
xds_txn_listing (XdsTxn *txn, XdsTxnNode *node, guint64 *ret_generation)
{
  if (node->listing == NULL)
    {
      node->listing = g_string_new (NULL);
      if (shows_base (node))
        list_base (txn, node, node->listing);
      for (guint i = 0; node->created != NULL && i < node->created->len; i++)
        {
          const XdsTxnNode *child = node->created->pdata[i];

          g_string_append_len (node->listing, child->name, child->name_len);
          g_string_append_c (node->listing, '\0');
        }
      txn->bytes += node->listing->allocated_len;
    }
  *ret_generation = txn->snapshot.moment + node->generation;
  return node->listing;
}

/* --- writing --- */

static void
list_changed (XdsTxn *txn, XdsTxnNode *node)
{
  node->generation = ++txn->n_changes;
  forget_listing (txn, node);
}

XdsTxnNode *
xds_txn_create (XdsTxn *txn, XdsTxnNode *parent, const char *name, gsize len, XdsAcl *acl)
{
  XdsTxnNode *node = child_of (txn, parent, name, len);

  g_assert ((node->flags & XDS_TXN_EXISTS) == 0);
  move_last (txn, node);
  node->flags |= XDS_TXN_EXISTS | XDS_TXN_CREATED;
  node->acl = xds_acl_ref (acl);
  if (parent->created == NULL)
    parent->created = g_ptr_array_new ();
  g_ptr_array_add (parent->created, node);
  list_changed (txn, parent);
  return node;
}

void
xds_txn_set_value (XdsTxn *txn, XdsTxnNode *node, const void *value, gsize len)
{
  if (node->value != NULL)
    txn->bytes -= g_bytes_get_size (node->value);
  g_clear_pointer (&node->value, g_bytes_unref);
  node->value = g_bytes_new (value, len);
  node->flags |= XDS_TXN_VALUE | XDS_TXN_FIRES;
  txn->bytes += len;
}

void
xds_txn_set_acl (XdsTxn *txn, XdsTxnNode *node, XdsAcl *acl)
{
  XdsAcl *old = node->acl;

  node->acl = xds_acl_ref (acl);
  xds_acl_unref (&txn->store->acls, old);
  node->flags &= ~(guint) XDS_TXN_STALE;
  node->flags |= XDS_TXN_ACL | XDS_TXN_FIRES;
}

static void
vanish (XdsTxn *txn, XdsTxnNode *node)
{
  if (node->base != NULL)
    node->flags |= XDS_TXN_REMOVED;
  forget_writes (txn, node);
  forget_listing (txn, node);
}

/* What exists was met or created later than its parent, so it stands behind it: each needs no more
   than a look at its parent, however deep it is. */
static void
vanish_below (XdsTxn *txn, XdsTxnNode *top)
{
  guint n = txn->order->len - top->at;
  g_autofree guint8 *goes = g_malloc0 (n); /* by how far behind @top */

  goes[0] = TRUE;
  for (guint i = 1; i < n; i++)
    {
      XdsTxnNode *node = txn->order->pdata[top->at + i];

      if (node == NULL || node->parent == NULL || node->parent->at < top->at
          || !goes[node->parent->at - top->at])
        continue;
      goes[i] = TRUE;
      vanish (txn, node);
      node->flags &= ~XDS_TXN_FIRES;
    }
}

void
xds_txn_remove (XdsTxn *txn, XdsTxnNode *node)
{
  XdsTxnNode *parent = node->parent;

  vanish_below (txn, node);
  if (parent->created != NULL)
    g_ptr_array_remove (parent->created, node);
  vanish (txn, node);
  node->flags |= XDS_TXN_FIRES;
  list_changed (txn, parent);
}

/* --- from a dump --- */

/* The node of the path's last name, made now; or a top, which was there. */
static XdsTxnNode *
make_loaded (XdsTxn *txn, const XdsTxnLoad *load)
{
  XdsTxnNode *parent = load->path[0] == '@' ? txn->special : txn->top, *node = parent;
  gsize pos = load->path[0] == '@' ? 0 : 1, name_len = 0;
  const char *name = NULL;

  if (load->len == 1)
    return node;
  while (node != NULL && xds_path_next (load->path, load->len, &pos, &name, &name_len))
    {
      const XdsTxnNode probe = { .parent = node, .name = name, .name_len = name_len };

      parent = node;
      node = g_hash_table_lookup (txn->nodes, &probe);
    }
  if (node != NULL || pos <= load->len)
    return NULL;
  node = node_alloc (parent, name, name_len);
  txn->bytes += sizeof (XdsTxnNode) + name_len + 64;
  g_hash_table_add (txn->nodes, node);
  put_last (txn, node);
  return node;
}

/* What was read or written of the snapshot must be there, and what is to come needs permissions. */
static gboolean
makes_sense (const XdsTxnNode *node, const XdsTxnLoad *load)
{
  const guint of_base = XDS_TXN_READ_VALUE | XDS_TXN_READ_ACL | XDS_TXN_READ_LIST | XDS_TXN_REMOVED;
  const guint created = XDS_TXN_CREATED | XDS_TXN_EXISTS;

  if ((load->flags & of_base) && node->base == NULL)
    return FALSE;
  if ((load->flags & XDS_TXN_READ_NAME) && (node->parent == NULL || node->parent->base == NULL))
    return FALSE;
  if ((load->flags & XDS_TXN_EXISTS) && node->parent != NULL
      && (node->parent->flags & XDS_TXN_EXISTS) == 0)
    return FALSE;
  if (load->flags & XDS_TXN_CREATED)
    return node->parent != NULL && load->acl != NULL && (load->flags & created) == created
           && (node->base == NULL || (load->flags & XDS_TXN_REMOVED));
  if ((load->flags & XDS_TXN_EXISTS) && node->base == NULL)
    return FALSE;
  return (load->acl != NULL) == ((load->flags & XDS_TXN_ACL) != 0);
}

gboolean
xds_txn_load (XdsTxn *txn, const XdsTxnLoad *load)
{
  XdsTxnNode *node = make_loaded (txn, load), *parent;

  if (node == NULL)
    return FALSE;
  parent = node->parent;
  if (load->based && parent != NULL && parent->base != NULL)
    node->base = xds_snapshot_child (&txn->snapshot, parent->base, node->name, node->name_len);
  if (!makes_sense (node, load))
    return FALSE;
  node->flags = load->flags & ~(guint) (XDS_TXN_TARGET | XDS_TXN_STALE);
  if (load->flags & XDS_TXN_TARGET)
    count_target (txn, node);
  if (load->acl != NULL)
    node->acl = xds_acl_ref (load->acl);
  if (load->flags & XDS_TXN_VALUE)
    {
      node->value = g_bytes_new (load->value, load->value_len);
      txn->bytes += load->value_len;
    }
  if (load->flags & XDS_TXN_CREATED)
    {
      if (parent->created == NULL)
        parent->created = g_ptr_array_new ();
      g_ptr_array_add (parent->created, node);
    }
  return TRUE;
}

gboolean
xds_txn_load_order (XdsTxn *txn, const XdsTxnPlace *order, guint n)
{
  g_autoptr (GPtrArray) loaded = g_ptr_array_copy (txn->order, NULL, NULL);
  guint64 unused;

  if (n != loaded->len || txn->n_holes > 0)
    return FALSE;
  for (guint i = 0; i < n; i++)
    {
      if (order[i].node >= n || g_steal_pointer (&loaded->pdata[order[i].node]) == NULL)
        return FALSE;
    }
  g_ptr_array_set_size (loaded, 0);
  g_ptr_array_extend (loaded, txn->order, NULL, NULL);
  for (guint i = 0; i < n; i++)
    {
      XdsTxnNode *node = loaded->pdata[order[i].node];

      node->at = i;
      node->generation = order[i].generation;
      txn->order->pdata[i] = node;
    }
  for (guint i = 0; i < n; i++)
    if (order[i].listed)
      xds_txn_listing (txn, txn->order->pdata[i], &unused);
  return TRUE;
}

/* --- commit --- */

static gboolean
node_conflicts (XdsTxn *txn, XdsTxnNode *node)
{
  XdsSnapshot *snapshot = &txn->snapshot;

  if (node->acl != NULL && node->acl->retired)
    return TRUE; /* it would give rights to whoever gets a dead domain's id */
  if ((node->flags & XDS_TXN_READ_NAME)
      && xds_snapshot_child_changed (snapshot, node->parent->base, node->name, node->name_len))
    return TRUE;
  if ((node->flags & XDS_TXN_READ_VALUE) && xds_snapshot_value_changed (snapshot, node->base))
    return TRUE;
  if ((node->flags & XDS_TXN_READ_ACL) && xds_snapshot_acl_changed (snapshot, node->base))
    return TRUE;
  return (node->flags & XDS_TXN_READ_LIST) && xds_snapshot_list_changed (snapshot, node->base);
}

/* A hash of the path; not that of names, which the next process would not understand. */
static guint32
place_of (const XdsTxnNode *node)
{
  guint32 place = 2166136261u;

  for (; node != NULL; node = node->parent)
    {
      for (guint i = 0; i < node->name_len; i++)
        place = (place ^ (guchar) node->name[i]) * 16777619u;
      place = (place ^ '/') * 16777619u;
    }
  return place;
}

gboolean
xds_txn_conflicts (XdsTxn *txn, guint32 *ret_place)
{
  if (txn->doomed)
    return TRUE;
  for (guint i = 0; i < txn->order->len; i++)
    if (txn->order->pdata[i] != NULL && node_conflicts (txn, txn->order->pdata[i]))
      {
        *ret_place = place_of (txn->order->pdata[i]);
        return TRUE;
      }
  return FALSE;
}

gboolean
xds_txn_writes (const XdsTxn *txn, guint32 place)
{
  const guint written = XDS_TXN_REMOVED | XDS_TXN_CREATED | XDS_TXN_VALUE | XDS_TXN_ACL;

  for (guint i = 0; i < txn->order->len; i++)
    {
      const XdsTxnNode *node = txn->order->pdata[i];

      if (node != NULL && (node->flags & written) != 0 && place_of (node) == place)
        return TRUE;
    }
  return FALSE;
}

typedef struct
{
  const XdsAccount *account;
  gint64 n;
} Count;

static void
count_visit (XdsNode *node, void *data)
{
  Count *count = data;

  count->n += node->acl->account == count->account;
}

static gboolean
goes_with_parent (const XdsTxnNode *node)
{
  return node->parent != NULL && (node->parent->flags & XDS_TXN_REMOVED) != 0;
}

gint64
xds_txn_node_delta (XdsTxn *txn, const XdsAccount *account)
{
  gint64 delta = 0;

  for (guint i = 0; i < txn->order->len; i++)
    {
      XdsTxnNode *node = txn->order->pdata[i];
      Count gone = { account, 0 };

      if (node == NULL)
        continue;
      if ((node->flags & XDS_TXN_REMOVED) && !goes_with_parent (node))
        xds_node_walk (node->base, count_visit, &gone);
      delta -= gone.n;
      if (node->acl == NULL)
        continue;
      delta += node->acl->account == account;
      if (!(node->flags & XDS_TXN_CREATED))
        delta -= node->base->acl->account == account;
    }
  return delta;
}

static void
apply_node (XdsTxn *txn, XdsTxnNode *node, const XdsTxnEvents *events)
{
  XdsStore *store = txn->store;
  XdsAcl *old_acl = NULL;
  gsize len = 0;
  const guint8 *value = node->value != NULL ? g_bytes_get_data (node->value, &len) : NULL;

  if ((node->flags & XDS_TXN_REMOVED) && !goes_with_parent (node))
    {
      if (node->flags & XDS_TXN_FIRES)
        events->removing (events->data, node->base, (node->flags & XDS_TXN_EXISTS) != 0);
      xds_store_remove (store, node->base);
    }
  if (!(node->flags & XDS_TXN_EXISTS))
    return;
  if (node->flags & XDS_TXN_CREATED)
    node->live = xds_store_create (store, node->parent->live, node->name, node->name_len, node->acl,
                                   value, len);
  else
    {
      node->live = node->base;
      if (node->flags & XDS_TXN_VALUE)
        xds_store_set_value (store, node->live, value, len);
      if (node->flags & XDS_TXN_ACL)
        {
          old_acl = xds_acl_ref (node->live->acl);
          xds_store_set_acl (store, node->live, node->acl);
        }
    }
  if (node->flags & XDS_TXN_FIRES)
    events->changed (events->data, node->live, old_acl);
  xds_acl_unref (&store->acls, old_acl);
}

void
xds_txn_apply (XdsTxn *txn, const XdsTxnEvents *events)
{
  /* In this order a parent comes before its children, and new siblings as the transaction itself
     lists them.  The snapshot goes first: it must not put anything aside for what we do. */
  xds_snapshot_release (&txn->snapshot);
  for (guint i = 0; i < txn->order->len; i++)
    if (txn->order->pdata[i] != NULL)
      apply_node (txn, txn->order->pdata[i], events);
}
