/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Nodes and transactions in a dump.
 *
 * A transaction sees the store as it was at its start.  So the stream tells a history: first the
 * tree as the oldest transaction sees it, then that transaction, then what changed until the next
 * one started, and so on to the present.  Whoever reads it does these things in this order, with
 * the functions that did them first, and gets the same snapshots.  Without transactions it is the
 * tree, and no more.
 *
 * What a snapshot keeps aside is charged to somebody, so the reader must end up with just the same
 * pieces: a thing that nobody can see any more is told too as long as it is kept, a new node first
 * with what it was made with, and a removed tree is first brought to what it was when it went.
 *
 * The road not taken: writing what snapshots keep aside as it lies in memory.  It would bind the
 * stream to how snapshots are kept, and a reader to trusting it.
 */

#include "xsd/core/dump.h"

#include <string.h>

/* --- nodes --- */

static void
fill_perms (XdsRecordPerm *perms, const XdsAcl *acl)
{
  for (guint i = 0; i < acl->n; i++)
    perms[i] = (XdsRecordPerm){
      .letter = xds_perm_letter (acl->perms[i].access & ~XDS_PERM_INERT),
      .flags = acl->perms[i].access & XDS_PERM_INERT ? XDS_RECORD_INERT : 0,
      .domid = acl->perms[i].domid,
    };
}

static void
put_record (XdsDump *dump, XdsRecordNode *record, const XdsAcl *acl)
{
  g_autofree XdsRecordPerm *perms = g_new (XdsRecordPerm, acl != NULL ? acl->n : 1);

  if (acl != NULL)
    fill_perms (perms, acl);
  record->perms = perms;
  record->n_perms = acl != NULL ? acl->n : 0;
  if (acl != NULL && acl->retired)
    record->access |= XDS_ACCESS_STALE;
  record->path = (XdsSpan){ dump->path, dump->len };
  xds_stream_put_node (dump->out, record);
}

/* The node whose path is in dump->path, as @as_of sees it (NULL: as it is now). */
static void
put_node (XdsDump *dump, XdsNode *node, XdsSnapshot *as_of)
{
  const XdsAcl *acl = as_of != NULL ? xds_snapshot_acl (as_of, node) : node->acl;
  gsize len = node->value_len;
  const guint8 *value
      = as_of != NULL ? xds_snapshot_value (as_of, node, &len) : xds_node_value (node);
  XdsRecordNode record = { .value = { (const char *) value, len } };

  put_record (dump, &record, acl);
}

static void put_tree (XdsDump *dump, XdsNode *node, XdsSnapshot *as_of);

static void
put_child (XdsDump *dump, XdsNode *child, XdsSnapshot *as_of)
{
  gsize len = dump->len;

  if (len > 1)
    dump->path[dump->len++] = '/';
  memcpy (dump->path + dump->len, xds_node_name (child), child->name_len);
  dump->len += child->name_len;
  put_tree (dump, child, as_of);
  dump->len = len;
}

/* The children that the view has. */
static void
put_children (XdsDump *dump, XdsNode *node, XdsSnapshot *as_of)
{
  if (dump->view != NULL)
    {
      g_autoptr (GPtrArray) children = xds_snapshot_children (dump->view, node);

      for (guint i = 0; i < children->len; i++)
        put_child (dump, children->pdata[i], as_of);
      return;
    }
  for (guint i = 0; node->dir != NULL && i < node->dir->n_entries; i++)
    if (node->dir->entries[i] != NULL)
      put_child (dump, node->dir->entries[i], as_of);
}

/* As deep as a path may have components, which its length bounds. */
static void
put_tree (XdsDump *dump, XdsNode *node, XdsSnapshot *as_of)
{
  put_node (dump, node, as_of);
  put_children (dump, node, as_of);
}

void
xds_dump_tree (XdsDump *dump)
{
  dump->len = g_strlcpy (dump->path, "/", sizeof dump->path);
  put_tree (dump, dump->engine->store.root, dump->view);
  dump->len = 0; /* the parent of the special nodes has no name, and is in no stream */
  put_children (dump, dump->engine->store.special, dump->view);
}

static void
add_generation (XdsNode *node, void *data)
{
  if (node->dir != NULL)
    g_array_append_val ((GArray *) data, node->dir->generation);
}

static void
put_generations (XdsDump *dump)
{
  g_autoptr (GArray) generations = g_array_new (FALSE, FALSE, sizeof (guint64));

  xds_node_walk (dump->engine->store.root, add_generation, generations);
  xds_node_walk (dump->engine->store.special, add_generation, generations);
  xds_dump_own (dump, XDS_RECORD_GENERATIONS, generations->data,
                generations->len * sizeof (guint64));
}

/* --- what changed between two moments --- */

typedef struct
{
  XdsChanged changed;
  XdsNode *tree; /* (nullable) the removed one that it is in; NULL: in what the view sees */
  char *path;    /* (owned) of its node */
} Change;

typedef struct
{
  XdsDump *dump;
  XdsSnapshot *from;
  GPtrArray *changes; /* (owned) (element-type Change) in the order in which they are told */
  GHashTable *trees;  /* (owned) tree -> (owned) GPtrArray of its changes */
} Interval;

static void
change_free (gpointer data)
{
  Change *change = data;

  g_free (change->path);
  g_free (change);
}

/* What the name means to the view; in a removed tree, what it meant when that went. */
static XdsNode *
child_then (XdsDump *dump, XdsNode *node, const char *name, gsize len)
{
  if (dump->view != NULL)
    return xds_snapshot_child (dump->view, node, name, len);
  return xds_dir_find (node, name, len, xds_name_hash (name, len));
}

static XdsNode *
removed_tree (XdsDump *dump, XdsNode *node)
{
  for (; node->parent != NULL; node = node->parent)
    if (child_then (dump, node->parent, xds_node_name (node), node->name_len) != node)
      return node;
  return NULL;
}

static void
add_change (const XdsChanged *changed, void *data)
{
  Interval *interval = data;
  Change *change = g_new0 (Change, 1);
  char path[XDS_PATH_BUF];

  xds_node_path (changed->node, path, sizeof path);
  change->changed = *changed;
  change->tree = removed_tree (interval->dump, changed->node);
  change->path = g_strdup (changed->node->flags & XDS_NODE_SPECIAL ? "" : path);
  g_ptr_array_add (interval->changes, change);
}

static int
compare_changes (gconstpointer a, gconstpointer b)
{
  const Change *x = *(Change *const *) a, *y = *(Change *const *) b;
  int order = strcmp (x->path, y->path);

  if (order == 0)
    order = (int) x->changed.kind - (int) y->changed.kind;
  if (order == 0 && x->changed.len > 0 && y->changed.len > 0)
    order = memcmp (x->changed.name, y->changed.name, MIN (x->changed.len, y->changed.len));
  if (order == 0)
    order = (int) x->changed.len - (int) y->changed.len;
  return order;
}

/* Puts the path of the child, or of the node itself, into dump->path. */
static void
set_path (XdsDump *dump, const Change *change)
{
  dump->len = g_strlcpy (dump->path, change->path, sizeof dump->path);
  if (change->changed.kind != XDS_CHANGED_CHILD)
    return;
  if (dump->len > 1)
    dump->path[dump->len++] = '/';
  memcpy (dump->path + dump->len, change->changed.name, change->changed.len);
  dump->len += change->changed.len;
}

static XdsNode *
new_child (Interval *interval, const Change *change)
{
  const XdsChanged *changed = &change->changed;

  if (changed->kind != XDS_CHANGED_CHILD)
    return NULL;
  return child_then (interval->dump, changed->node, changed->name, changed->len);
}

static void put_changes_of (Interval *interval, XdsNode *tree);

static void
put_gone (Interval *interval, const Change *change)
{
  XdsDump *dump = interval->dump;

  if (change->changed.kind != XDS_CHANGED_CHILD || change->changed.old == NULL)
    return;
  put_changes_of (interval, change->changed.old);
  set_path (dump, change);
  xds_dump_words (dump, XDS_RECORD_GONE, 0, dump->path, dump->len);
}

static int
compare_births (gconstpointer a, gconstpointer b)
{
  const XdsNode *x = *(XdsNode *const *) a, *y = *(XdsNode *const *) b;

  return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* Those that came in one directory, which @children are, in the order in which they did. */
static void
put_came (Interval *interval, const Change *of_one, GPtrArray *children)
{
  XdsDump *dump = interval->dump;

  g_ptr_array_sort (children, compare_births);
  for (guint i = 0; i < children->len; i++)
    {
      dump->len = g_strlcpy (dump->path, of_one->path, sizeof dump->path);
      put_child (dump, children->pdata[i], interval->from);
    }
  g_ptr_array_set_size (children, 0);
}

/* What came with its parent was told with it. */
static void
put_all_that_came (Interval *interval, const GPtrArray *changes)
{
  g_autoptr (GPtrArray) children = g_ptr_array_new ();

  for (guint i = 0; i < changes->len; i++)
    {
      const Change *change = changes->pdata[i];
      const Change *next = i + 1 < changes->len ? changes->pdata[i + 1] : NULL;
      XdsNode *child = new_child (interval, change);

      if (child != NULL && xds_snapshot_sees (interval->from, change->changed.node))
        g_ptr_array_add (children, child);
      if (next == NULL || next->changed.node != change->changed.node)
        put_came (interval, change, children);
    }
}

static void
put_rest (Interval *interval, const Change *change)
{
  XdsDump *dump = interval->dump;
  const XdsChanged *changed = &change->changed;

  set_path (dump, change);
  if (changed->kind != XDS_CHANGED_CHILD)
    {
      xds_dump_words (dump, XDS_RECORD_TOUCHED, changed->kind, dump->path, dump->len);
      put_node (dump, changed->node, dump->view);
    }
  else if (changed->old == NULL && new_child (interval, change) == NULL)
    xds_dump_words (dump, XDS_RECORD_CAME_AND_WENT, 0, dump->path, dump->len);
}

/* Removed trees may be in one another, but no deeper than a path. */
static void
put_changes_of (Interval *interval, XdsNode *tree)
{
  const GPtrArray *changes = g_hash_table_lookup (interval->trees, tree);

  if (changes == NULL)
    return;
  for (guint i = 0; i < changes->len; i++)
    put_gone (interval, changes->pdata[i]);
  put_all_that_came (interval, changes);
  for (guint i = 0; i < changes->len; i++)
    put_rest (interval, changes->pdata[i]);
}

/* From the moment of @from to that of the view. */
static void
put_changes (XdsDump *dump, XdsSnapshot *from)
{
  Interval interval = {
    .dump = dump,
    .from = from,
    .changes = g_ptr_array_new_with_free_func (change_free),
    .trees = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) g_ptr_array_unref),
  };

  xds_snapshot_visit_changes (from, add_change, &interval);
  g_ptr_array_sort (interval.changes, compare_changes);
  for (guint i = 0; i < interval.changes->len; i++)
    {
      Change *change = interval.changes->pdata[i];
      GPtrArray *of_tree = g_hash_table_lookup (interval.trees, change->tree);

      if (of_tree == NULL)
        {
          of_tree = g_ptr_array_new ();
          g_hash_table_insert (interval.trees, change->tree, of_tree);
        }
      g_ptr_array_add (of_tree, change);
    }
  put_changes_of (&interval, NULL);
  g_hash_table_unref (interval.trees);
  g_ptr_array_unref (interval.changes);
}

/* --- transactions --- */

static gsize
print_path (const XdsTxnNode *node, char *text)
{
  const XdsTxnNode *top = node;
  gsize len = 0, at;

  for (; top->parent != NULL; top = top->parent)
    len += top->name_len + 1;
  if (len == 0)
    {
      memcpy (text, top->name, top->name_len); /* "/" or "@" */
      text[top->name_len] = '\0';
      return top->name_len;
    }
  at = len;
  for (; node->parent != NULL; node = node->parent)
    {
      at -= node->name_len;
      memcpy (text + at, node->name, node->name_len);
      text[--at] = '/';
    }
  if (top->name[0] == '@')
    memmove (text, text + 1, --len);
  return len;
}

static void
put_txn_node (XdsDump *dump, XdsTxn *txn, const XdsTxnNode *node)
{
  const guint read = XDS_TXN_READ_NAME | XDS_TXN_READ_VALUE | XDS_TXN_READ_ACL | XDS_TXN_READ_LIST;
  const guint written = XDS_TXN_CREATED | XDS_TXN_VALUE | XDS_TXN_ACL;
  gsize len = 0;
  const char *value = node->value != NULL ? g_bytes_get_data (node->value, &len) : NULL;
  XdsRecordNode record = {
    .conn_id = xds_dump_conn_id (dump, txn->owner),
    .txn_id = txn->id,
    .access = node->flags << XDS_ACCESS_SHIFT,
    .value = { value, len },
  };

  record.access |= node->flags & read ? XDS_RECORD_READ : 0;
  record.access |= node->flags & written ? XDS_RECORD_WRITTEN : 0;
  record.access |= node->base != NULL ? XDS_ACCESS_BASE : 0;
  dump->len = print_path (node, dump->path);
  put_record (dump, &record, node->acl);
}

static guint
txn_depth (const XdsTxnNode *node)
{
  guint depth = 0;

  for (; node->parent != NULL; node = node->parent)
    depth++;
  return depth;
}

static int
compare_txn_nodes (gconstpointer a, gconstpointer b)
{
  const XdsTxnNode *x = *(XdsTxnNode *const *) a, *y = *(XdsTxnNode *const *) b;
  guint of_x = txn_depth (x), of_y = txn_depth (y);

  if (of_x != of_y)
    return of_x < of_y ? -1 : 1;
  return x->at < y->at ? -1 : x->at > y->at;
}

/* The transaction's nodes, parents first. */
static GPtrArray *
sorted_nodes (const XdsTxn *txn)
{
  GPtrArray *sorted = g_ptr_array_new ();

  for (guint i = 0; i < txn->order->len; i++)
    if (txn->order->pdata[i] != NULL)
      g_ptr_array_add (sorted, txn->order->pdata[i]);
  g_ptr_array_sort (sorted, compare_txn_nodes);
  return sorted;
}

static void
put_txn_order (XdsDump *dump, const XdsTxn *txn, const GPtrArray *sorted)
{
  g_autoptr (GHashTable) places = g_hash_table_new (NULL, NULL);
  gsize size = sizeof (XdsRecordTxnOrder) + sorted->len * sizeof (XdsTxnPlace);
  g_autofree XdsRecordTxnOrder *record = g_malloc0 (size);

  record->conn_id = xds_dump_conn_id (dump, txn->owner);
  record->txn_id = txn->id;
  for (guint i = 0; i < sorted->len; i++)
    g_hash_table_insert (places, sorted->pdata[i], GUINT_TO_POINTER (i));
  for (guint i = 0; i < txn->order->len; i++)
    {
      const XdsTxnNode *node = txn->order->pdata[i];

      if (node != NULL)
        record->order[record->n++] = (XdsTxnPlace){
          .node = GPOINTER_TO_UINT (g_hash_table_lookup (places, node)),
          .listed = node->listing != NULL,
          .generation = node->generation,
        };
    }
  xds_dump_own (dump, XDS_RECORD_TXN_ORDER, record, size);
}

static guint
place_of (const XdsTxn *txn)
{
  const XdsPeer *peer = txn->owner;
  guint place = 0;

  while (peer->txns->pdata[place] != txn)
    place++;
  return place;
}

static void
put_txn (XdsDump *dump, XdsTxn *txn)
{
  g_autoptr (GPtrArray) sorted = sorted_nodes (txn);
  const XdsRecordTransaction record = { xds_dump_conn_id (dump, txn->owner), txn->id };
  const XdsRecordTxnState state = {
    .conn_id = record.conn_id,
    .txn_id = txn->id,
    .poison = txn->poison,
    .doomed = txn->doomed,
    .n_changes = txn->n_changes,
    .moment = txn->doomed ? 0 : txn->snapshot.moment,
    .charged = txn->charged,
    .place = place_of (txn),
  };

  xds_stream_put_transaction (dump->out, &record);
  xds_dump_own (dump, XDS_RECORD_TXN_STATE, &state, sizeof state);
  for (guint i = 0; i < sorted->len; i++)
    put_txn_node (dump, txn, sorted->pdata[i]);
  put_txn_order (dump, txn, sorted);
}

static void
put_doomed (XdsDump *dump)
{
  for (XdsPeer *peer = dump->engine->peers; peer != NULL; peer = peer->next)
    for (guint i = 0; peer->txns != NULL && i < peer->txns->len; i++)
      if (((XdsTxn *) peer->txns->pdata[i])->doomed)
        put_txn (dump, peer->txns->pdata[i]);
}

void
xds_dump_history (XdsDump *dump)
{
  XdsSnapshot *snapshot = dump->engine->store.history.newest;

  put_doomed (dump);
  while (snapshot != NULL && snapshot->older != NULL)
    snapshot = snapshot->older;
  dump->view = snapshot;
  xds_dump_tree (dump);
  for (; snapshot != NULL; snapshot = snapshot->newer)
    {
      put_txn (dump, xds_txn_of_snapshot (snapshot));
      dump->view = snapshot->newer;
      put_changes (dump, snapshot);
    }
  put_generations (dump);
}
