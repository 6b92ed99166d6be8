/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The whole state as a migration stream.
 *
 * A transaction sees the store as it was at its start.  So the stream tells a history: first the
 * tree as the oldest transaction sees it, then that transaction, then what changed until the next
 * one started, and so on to the present.  Whoever reads it does these things in this order, with
 * the functions that did them first, and gets the same snapshots.  Without transactions it is the
 * tree, and no more.
 *
 * The road not taken: writing what snapshots keep aside as it lies in memory.  It would bind the
 * stream to how snapshots are kept, and a reader to trusting it.
 */

#include "xsd/core/dump.h"

#include <string.h>

typedef struct
{
  XdsEngine *engine;
  XdsStreamOut *out;
  GHashTable *ids; /* (owned) peer -> number of its connection */
  XdsSnapshot *view; /* (nullable) the moment that nodes are written as of; NULL: now */
  GPtrArray *came; /* (owned) (element-type XdsNode) children that came until the view */
  gsize len;         /* of the path */
  char path[XDS_PATH_BUF];
} Dump;

/* --- our own records --- */

static void
put_own (Dump *dump, guint32 type, const void *body, gsize len)
{
  guint8 *at = xds_stream_begin (dump->out, type, len);

  if (at != NULL)
    memcpy (at, body, len);
}

static void
put_words (Dump *dump, guint32 type, guint32 number, const void *bytes, gsize len)
{
  const XdsRecordWords words = { number, len };
  guint8 *at = xds_stream_begin (dump->out, type, sizeof words + len);

  if (at == NULL)
    return;
  memcpy (at, &words, sizeof words);
  memcpy (at + sizeof words, bytes, len);
}

static guint32
conn_id (Dump *dump, const XdsPeer *peer)
{
  return GPOINTER_TO_UINT (g_hash_table_lookup (dump->ids, peer));
}

/* --- quotas and domains --- */

/* A value that the format has no room for is as good as none. */
static guint32
quota_value (guint64 limit)
{
  return limit > G_MAXUINT32 ? 0 : limit;
}

static void
put_quotas (Dump *dump)
{
  guint32 values[XDS_QUOTA_N];
  g_autoptr (GString) names = g_string_new (NULL);
  XdsRecordGlobalQuota record = { .n_domain = XDS_QUOTA_N };

  for (guint i = 0; i < XDS_QUOTA_N; i++)
    {
      values[i] = quota_value (dump->engine->quotas.limit[i]);
      g_string_append_len (names, xds_quota_name (i), strlen (xds_quota_name (i)) + 1);
    }
  record.quotas = (XdsRecordQuotas){
    .n = XDS_QUOTA_N,
    .values = values,
    .names = { names->str, names->len },
  };
  xds_stream_put_global_quota (dump->out, &record);
}

static void
put_domain (Dump *dump, const XdsDomain *domain)
{
  guint32 values[XDS_QUOTA_N];
  g_autoptr (GString) names = g_string_new (NULL);
  XdsRecordDomain record = { .domid = domain->domid, .features = domain->features };

  for (guint i = 0; i < XDS_QUOTA_N; i++)
    if (domain->account->own & (1u << i))
      {
        values[record.quotas.n++] = quota_value (domain->account->limit[i]);
        g_string_append_len (names, xds_quota_name (i), strlen (xds_quota_name (i)) + 1);
      }
  record.quotas.values = values;
  record.quotas.names = (XdsSpan){ names->str, names->len };
  xds_stream_put_domain (dump->out, &record);
}

static void
put_domain_state (Dump *dump, const XdsDomain *domain)
{
  const XdsRecordDomainState record = {
    .domid = domain->domid,
    .target = domain->target,
    .unique_id = domain->unique_id,
    .features = domain->features,
    .introduced = domain->introduced,
    .shutdown = domain->shutdown,
  };

  put_own (dump, XDS_RECORD_DOMAIN_STATE, &record, sizeof record);
}

static int
compare_domains (gconstpointer a, gconstpointer b)
{
  const XdsDomain *x = a, *y = b;

  return x->domid < y->domid ? -1 : x->domid > y->domid;
}

static void
each_domain (Dump *dump, void (*put) (Dump *dump, const XdsDomain *domain))
{
  g_autoptr (GList) known
      = g_list_sort (g_hash_table_get_values (dump->engine->domains), compare_domains);

  for (GList *l = known; l != NULL; l = l->next)
    put (dump, l->data);
}

/* --- connections --- */

static void
put_watches (Dump *dump, const XdsPeer *peer)
{
  const XdsWatch *watch = peer->watches;
  char path[XDS_PATH_BUF];

  while (watch != NULL && watch->owner_next != NULL)
    watch = watch->owner_next;
  for (; watch != NULL; watch = watch->owner_prev)
    {
      gsize len = xds_point_path (watch->point, path, sizeof path);
      const XdsRecordWatch record = {
        .conn_id = conn_id (dump, peer),
        .depth = watch->depth < 0 ? XDS_RECORD_DEPTH_ALL
                                  : MIN (watch->depth, XDS_RECORD_DEPTH_ALL - 1),
        .path = { path + watch->skip, len - watch->skip },
        .token = { watch->token, watch->token_len },
      };

      xds_stream_put_watch (dump->out, &record);
    }
}

typedef struct
{
  Dump *dump;
  guint32 conn_id;
} Held;

static void
put_held (const char *event, gsize len, void *data)
{
  Held *held = data;

  put_words (held->dump, XDS_RECORD_HELD, held->conn_id, event, len);
}

static void
put_peer (Dump *dump, XdsPeer *peer)
{
  const XdsRecordPeer record = {
    .id = peer->id,
    .given = peer->given,
    .taken = peer->taken,
    .conn_id = conn_id (dump, peer),
    .last_txn_id = peer->last_txn_id,
    .n_answers = peer->n_answers,
    .n_lost = peer->n_lost,
    .n_conflicts = peer->n_conflicts,
    .conflict_place = peer->conflict_place,
    .pid = peer->identity.pid,
    .uid = peer->identity.uid,
    .gid = peer->identity.gid,
    .failed = peer->failed,
  };

  put_own (dump, XDS_RECORD_PEER, &record, sizeof record);
  xds_peer_visit_held (peer, put_held, &(Held){ dump, record.conn_id });
}

static void
put_connection (Dump *dump, XdsPeer *peer, gint32 handle)
{
  const XdsDomain *domain = peer->domain;
  XdsRecordConnection record = {
    .id = conn_id (dump, peer),
    .kind = domain != NULL ? XDS_RECORD_RING : XDS_RECORD_SOCKET,
    .in = { (const char *) peer->in.data + peer->in.start, peer->in.end - peer->in.start },
    .out = { (const char *) peer->out.data + peer->out.start, peer->out.end - peer->out.start },
    .resp_len = peer->cut,
  };

  if (domain != NULL)
    {
      record.domid = domain->domid;
      record.target = domain->target < 0 ? XDS_RECORD_NO_DOMID : domain->target;
      record.port = handle;
      record.unique_id = domain->unique_id;
      record.has_unique_id = domain->unique_id != 0;
    }
  else
    record.socket_fd = handle;
  xds_stream_put_connection (dump->out, &record);
}

static void
put_peers (Dump *dump, const XdsDumpHost *host, void *data)
{
  XdsPeer *peer = dump->engine->peers;
  guint n = 0;

  while (peer != NULL && peer->next != NULL)
    peer = peer->next;
  for (; peer != NULL; peer = peer->prev)
    {
      g_hash_table_insert (dump->ids, peer, GUINT_TO_POINTER (++n));
      put_connection (dump, peer, host->handle != NULL ? host->handle (data, peer) : peer->handle);
      put_peer (dump, peer);
      put_watches (dump, peer);
    }
}

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
put_record (Dump *dump, XdsRecordNode *record, const XdsAcl *acl)
{
  g_autofree XdsRecordPerm *perms = g_new (XdsRecordPerm, acl != NULL ? acl->n : 1);

  if (acl != NULL)
    fill_perms (perms, acl);
  record->perms = perms;
  record->n_perms = acl != NULL ? acl->n : 0;
  record->path = (XdsSpan){ dump->path, dump->len };
  xds_stream_put_node (dump->out, record);
}

/* The node whose path is in dump->path, as the view sees it. */
static void
put_node (Dump *dump, XdsNode *node)
{
  XdsSnapshot *view = dump->view;
  const XdsAcl *acl = view != NULL ? xds_snapshot_acl (view, node) : node->acl;
  gsize len = node->value_len;
  const guint8 *value
      = view != NULL ? xds_snapshot_value (view, node, &len) : xds_node_value (node);
  XdsRecordNode record = { .value = { (const char *) value, len } };

  put_record (dump, &record, acl);
}

static void put_tree (Dump *dump, XdsNode *node);

static void
put_child (Dump *dump, XdsNode *child)
{
  gsize len = dump->len;

  if (len > 1)
    dump->path[dump->len++] = '/';
  memcpy (dump->path + dump->len, xds_node_name (child), child->name_len);
  dump->len += child->name_len;
  put_tree (dump, child);
  dump->len = len;
}

static void
put_children (Dump *dump, XdsNode *node)
{
  if (dump->view != NULL)
    {
      g_autoptr (GPtrArray) children = xds_snapshot_children (dump->view, node);

      for (guint i = 0; i < children->len; i++)
        put_child (dump, children->pdata[i]);
      return;
    }
  for (guint i = 0; node->dir != NULL && i < node->dir->n_entries; i++)
    if (node->dir->entries[i] != NULL)
      put_child (dump, node->dir->entries[i]);
}

/* As deep as a path may have components, which its length bounds. */
static void
put_tree (Dump *dump, XdsNode *node)
{
  put_node (dump, node);
  put_children (dump, node);
}

static void
put_whole_tree (Dump *dump)
{
  dump->len = g_strlcpy (dump->path, "/", sizeof dump->path);
  put_tree (dump, dump->engine->store.root);
  dump->len = 0; /* the parent of the special nodes has no name, and is in no stream */
  put_children (dump, dump->engine->store.special);
}

/* --- what changed between two moments --- */

typedef struct
{
  Dump *dump;
  XdsSnapshot *from;
} Change;

static gboolean
is_in_both (const Change *change, XdsNode *node)
{
  return xds_snapshot_sees (change->from, node) && xds_snapshot_sees (change->dump->view, node);
}

static XdsNode *
child_now (Dump *dump, const XdsChanged *changed)
{
  if (dump->view != NULL)
    return xds_snapshot_child (dump->view, changed->node, changed->name, changed->len);
  return xds_dir_find (changed->node, changed->name, changed->len,
                       xds_name_hash (changed->name, changed->len));
}

static void
set_path (Dump *dump, const XdsNode *node)
{
  dump->len = xds_node_path (node, dump->path, sizeof dump->path);
  if (node->flags & XDS_NODE_SPECIAL)
    dump->len = 0;
}

static void
set_child_path (Dump *dump, const XdsChanged *changed)
{
  set_path (dump, changed->node);
  if (dump->len > 1)
    dump->path[dump->len++] = '/';
  memcpy (dump->path + dump->len, changed->name, changed->len);
  dump->len += changed->len;
}

/* Names that went, and those that came only to go. */
static void
put_gone (const XdsChanged *changed, void *data)
{
  Change *change = data;
  Dump *dump = change->dump;
  XdsNode *child;

  if (changed->kind != XDS_CHANGED_CHILD || !is_in_both (change, changed->node))
    return;
  child = child_now (dump, changed);
  set_child_path (dump, changed);
  if (changed->old != NULL)
    put_words (dump, XDS_RECORD_GONE, 0, dump->path, dump->len);
  else if (child == NULL)
    put_words (dump, XDS_RECORD_CAME_AND_WENT, 0, dump->path, dump->len);
  if (child != NULL)
    g_ptr_array_add (dump->came, child);
}

static int
compare_births (gconstpointer a, gconstpointer b)
{
  const XdsNode *x = *(XdsNode *const *) a, *y = *(XdsNode *const *) b;

  if (x->parent != y->parent)
    return (gsize) x->parent < (gsize) y->parent ? -1 : 1;
  return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static void
put_written (const XdsChanged *changed, void *data)
{
  Change *change = data;
  Dump *dump = change->dump;

  if (changed->kind == XDS_CHANGED_CHILD || !is_in_both (change, changed->node))
    return;
  set_path (dump, changed->node);
  put_words (dump, XDS_RECORD_TOUCHED, changed->kind, dump->path, dump->len);
  put_node (dump, changed->node);
}

/* From the moment of @from to that of the view. */
static void
put_changes (Dump *dump, XdsSnapshot *from)
{
  Change change = { dump, from };

  g_ptr_array_set_size (dump->came, 0);
  xds_snapshot_visit_changes (from, put_gone, &change);
  g_ptr_array_sort (dump->came, compare_births);
  for (guint i = 0; i < dump->came->len; i++)
    {
      set_path (dump, dump->came->pdata[i]);
      put_tree (dump, dump->came->pdata[i]);
    }
  xds_snapshot_visit_changes (from, put_written, &change);
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
    return g_strlcpy (text, top->name, XDS_PATH_BUF); /* "/" or "@" */
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
put_txn_node (Dump *dump, XdsTxn *txn, const XdsTxnNode *node)
{
  const guint read = XDS_TXN_READ_NAME | XDS_TXN_READ_VALUE | XDS_TXN_READ_ACL | XDS_TXN_READ_LIST;
  const guint written = XDS_TXN_CREATED | XDS_TXN_VALUE | XDS_TXN_ACL;
  guint flags = node->flags | (node->acl != NULL && node->acl->retired ? XDS_TXN_STALE : 0);
  gsize len = 0;
  const char *value = node->value != NULL ? g_bytes_get_data (node->value, &len) : NULL;
  XdsRecordNode record = {
    .conn_id = conn_id (dump, txn->owner),
    .txn_id = txn->id,
    .access = flags << XDS_ACCESS_SHIFT,
    .value = { value, len },
  };

  record.access |= flags & read ? XDS_RECORD_READ : 0;
  record.access |= flags & written ? XDS_RECORD_WRITTEN : 0;
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
put_txn_order (Dump *dump, const XdsTxn *txn, const GPtrArray *sorted)
{
  g_autoptr (GHashTable) places = g_hash_table_new (NULL, NULL);
  gsize size = sizeof (XdsRecordTxnOrder) + sorted->len * sizeof (guint32);
  g_autofree XdsRecordTxnOrder *record = g_malloc0 (size);

  record->conn_id = conn_id (dump, txn->owner);
  record->txn_id = txn->id;
  for (guint i = 0; i < sorted->len; i++)
    g_hash_table_insert (places, sorted->pdata[i], GUINT_TO_POINTER (i));
  for (guint i = 0; i < txn->order->len; i++)
    if (txn->order->pdata[i] != NULL)
      record->order[record->n++]
          = GPOINTER_TO_UINT (g_hash_table_lookup (places, txn->order->pdata[i]));
  put_own (dump, XDS_RECORD_TXN_ORDER, record, size);
}

static void
put_txn (Dump *dump, XdsTxn *txn)
{
  g_autoptr (GPtrArray) sorted = sorted_nodes (txn);
  const XdsRecordTransaction record = { conn_id (dump, txn->owner), txn->id };
  const XdsRecordTxnState state = {
    .conn_id = record.conn_id,
    .txn_id = txn->id,
    .poison = txn->poison,
    .doomed = txn->doomed,
    .n_changes = txn->n_changes,
  };

  xds_stream_put_transaction (dump->out, &record);
  put_own (dump, XDS_RECORD_TXN_STATE, &state, sizeof state);
  for (guint i = 0; i < sorted->len; i++)
    put_txn_node (dump, txn, sorted->pdata[i]);
  put_txn_order (dump, txn, sorted);
}

static void
put_doomed (Dump *dump)
{
  for (XdsPeer *peer = dump->engine->peers; peer != NULL; peer = peer->next)
    for (guint i = 0; peer->txns != NULL && i < peer->txns->len; i++)
      if (((XdsTxn *) peer->txns->pdata[i])->doomed)
        put_txn (dump, peer->txns->pdata[i]);
}

static void
put_history (Dump *dump)
{
  XdsSnapshot *snapshot = dump->engine->store.history.newest;

  while (snapshot != NULL && snapshot->older != NULL)
    snapshot = snapshot->older;
  dump->view = snapshot;
  put_whole_tree (dump);
  for (; snapshot != NULL; snapshot = snapshot->newer)
    {
      put_txn (dump, xds_txn_of_snapshot (snapshot));
      dump->view = snapshot->newer;
      put_changes (dump, snapshot);
    }
}

/* --- all of it --- */

GBytes *
xds_engine_dump (XdsEngine *engine, const XdsDumpHost *host, void *data)
{
  const XdsRecordState state = { engine->store.history.now, engine->last_peer_id };
  XdsStreamOut out;
  Dump dump = {
    .engine = engine,
    .out = &out,
    .ids = g_hash_table_new (NULL, NULL),
    .came = g_ptr_array_new (),
  };

  xds_journal_settle (engine);
  xds_stream_out_heap (&out);
  xds_stream_put_header (&out, XDS_STREAM_VERSION_MAX);
  xds_stream_put_global (&out, &(XdsRecordGlobal){ host->socket_fd, host->evtchn_fd });
  put_quotas (&dump);
  put_own (&dump, XDS_RECORD_STATE, &state, sizeof state);
  each_domain (&dump, put_domain_state);
  put_peers (&dump, host, data);
  put_doomed (&dump);
  put_history (&dump);
  each_domain (&dump, put_domain);
  xds_stream_put_end (&out);
  g_hash_table_unref (dump.ids);
  g_ptr_array_unref (dump.came);
  return g_bytes_new_take (out.data, out.used);
}
