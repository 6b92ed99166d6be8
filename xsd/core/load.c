/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The whole state from a migration stream: ours (see dump.c) or another server's.
 *
 * Each record is done with the function that did the like in the life of the store, so charges,
 * permission lists and snapshots come out right by themselves.  No event is fired and no limit is
 * asked: what was allowed once stays.  A stream that does not fit together is refused with the
 * record at which that was seen; the engine is then of no use.
 */

#include "xsd/core/dump.h"

#include <string.h>

/* No transaction holds as much; more could not be summed up. */
#define CHARGED_MAX (G_GUINT64_CONSTANT (1) << 40)

typedef struct
{
  XdsEngine *engine;
  gboolean exact;       /* it is the base of a journal: all has to be as it was */
  gboolean native;      /* our own records are in this host's byte order */
  GHashTable *peers;    /* (owned) number of a connection -> its peer */
  gboolean ours;        /* it has the state of our engine: */
  XdsRecordState state;
  guint64 last_change;  /* moment of the latest change between two transactions */
  const char *reason;   /* (static) why a record cannot be */
} Load;

static gboolean
refuse (Load *load, const char *reason)
{
  load->reason = reason;
  return FALSE;
}

/* --- quotas and domains --- */

static gboolean
load_global_quota (Load *load, const XdsRecord *record)
{
  XdsRecordQuotas left = record->global_quota.quotas;
  XdsSpan name;
  guint32 value;

  while (xds_record_next_quota (&left, &name, &value))
    xds_engine_set_quota (load->engine, name.data, value); /* others' own ones mean nothing here */
  return TRUE;
}

static XdsDomain *
make_domain (Load *load, guint domid, guint64 unique_id)
{
  XdsDomain *domain = xds_domain_find (load->engine, domid);

  return domain != NULL ? domain : xds_domain_add (load->engine, domid, unique_id);
}

static gboolean
load_domain (Load *load, const XdsRecord *record)
{
  XdsRecordQuotas left = record->domain.quotas;
  XdsDomain *domain;
  XdsSpan name;
  guint32 value;

  if (record->domain.domid >= XDS_DOMID_FIRST_RESERVED)
    return refuse (load, "there is no domain of that number");
  domain = make_domain (load, record->domain.domid, 0);
  if (record->domain.features != 0)
    domain->features = record->domain.features & XDS_FEATURES_ALL;
  while (xds_record_next_quota (&left, &name, &value))
    if (xds_quota_from_name (name.data) >= 0)
      xds_account_set_limit (domain->account, xds_quota_from_name (name.data), value);
  return TRUE;
}

static gboolean
load_domain_state (Load *load, const XdsRecord *record)
{
  XdsRecordDomainState state;
  XdsDomain *domain;

  if (record->body.len < sizeof state)
    return refuse (load, "it is too short");
  memcpy (&state, record->body.data, sizeof state);
  if (state.domid >= XDS_DOMID_FIRST_RESERVED)
    return refuse (load, "there is no domain of that number");
  domain = make_domain (load, state.domid, state.unique_id);
  domain->target = CLAMP (state.target, -1, (gint) XDS_DOMID_FIRST_RESERVED);
  domain->features = state.features & XDS_FEATURES_ALL;
  domain->shutdown = state.shutdown != 0;
  load->engine->any_target |= domain->target >= 0;
  return TRUE;
}

static gboolean
load_state (Load *load, const XdsRecord *record)
{
  XdsEngine *engine = load->engine;
  XdsRecordState *state = &load->state;

  if (record->body.len < sizeof *state)
    return refuse (load, "it is too short");
  memcpy (state, record->body.data, sizeof *state);
  load->ours = TRUE;
  engine->n_losers = state->n_losers;
  memcpy (engine->quotas.limit, state->limit, sizeof state->limit);
  if (!load->exact)
    return TRUE; /* what is configured now holds */
  engine->favour_after = state->favour_after;
  engine->store_domid = state->store_domid;
  engine->privileged_domid = state->privileged_domid;
  engine->keep_orphans = state->keep_orphans != 0;
  return TRUE;
}

/* Whoever has no account owns nothing any more. */
static gboolean
load_account (Load *load, const XdsRecord *record)
{
  XdsRecordAccount state;
  XdsAccount *account;

  if (record->body.len < sizeof state)
    return refuse (load, "it is too short");
  memcpy (&state, record->body.data, sizeof state);
  account = xds_account_find (&load->engine->quotas, state.domid);
  if (account == NULL)
    return TRUE;
  account->own = state.own & ((1u << XDS_QUOTA_N) - 1);
  account->warned = state.warned;
  memcpy (account->limit, state.limit, sizeof state.limit);
  memcpy (account->peak, state.peak, sizeof state.peak);
  return TRUE;
}

/* --- connections --- */

static XdsPeer *
find_peer (Load *load, guint32 conn_id)
{
  return g_hash_table_lookup (load->peers, GUINT_TO_POINTER (conn_id));
}

static XdsPeer *
make_ring (Load *load, const XdsRecordConnection *record)
{
  XdsDomain *domain = make_domain (load, record->domid, record->unique_id);

  if (domain->peer != NULL)
    return NULL;
  if (record->target < XDS_DOMID_FIRST_RESERVED)
    {
      domain->target = record->target;
      load->engine->any_target = TRUE;
    }
  domain->introduced = TRUE;
  domain->peer = xds_peer_new (load->engine, domain, NULL);
  return domain->peer;
}

static gboolean
load_connection (Load *load, const XdsRecord *record)
{
  const XdsRecordConnection *connection = &record->connection;
  const XdsSocketIdentity nobody = { 0 };
  gboolean is_ring = connection->kind == XDS_RECORD_RING;
  gpointer key = GUINT_TO_POINTER (connection->id);
  XdsPeer *peer;

  if (is_ring && connection->domid >= XDS_DOMID_FIRST_RESERVED)
    return refuse (load, "there is no domain of that number");
  if (connection->in.len > XDS_PEER_INPUT)
    return refuse (load, "more bytes wait to be executed than two requests have");
  if (connection->resp_len > connection->out.len)
    return refuse (load, "a message that was sent in part is longer than all that is to be sent");
  peer = is_ring ? make_ring (load, connection) : xds_peer_new (load->engine, NULL, &nobody);
  if (peer == NULL)
    return refuse (load, "the domain has a connection already");
  xds_peer_load_input (peer, connection->in.data, connection->in.len);
  xds_peer_load_output (peer, connection->out.data, connection->out.len);
  peer->cut = connection->resp_len;
  peer->handle = is_ring ? (gint32) connection->port : connection->socket_fd;
  g_hash_table_insert (load->peers, key, peer);
  return TRUE;
}

static gboolean
load_peer (Load *load, const XdsRecord *record)
{
  XdsRecordPeer state;
  XdsPeer *peer;

  if (record->body.len < sizeof state)
    return refuse (load, "it is too short");
  memcpy (&state, record->body.data, sizeof state);
  peer = find_peer (load, state.conn_id);
  if (peer == NULL)
    return refuse (load, "no record of its connection stands before it");
  peer->id = state.id;
  peer->last_txn_id = state.last_txn_id;
  peer->n_answers = state.n_answers;
  peer->n_lost = state.n_lost;
  peer->n_conflicts = state.n_conflicts;
  peer->conflict_place = state.conflict_place;
  peer->identity = (XdsSocketIdentity){ state.pid, state.uid, state.gid };
  peer->failed = state.failed != 0;
  peer->given = state.given;
  peer->taken = state.taken;
  peer->losing_since = state.losing_since;
  if (load->exact)
    peer->privileged = state.privileged != 0;
  return TRUE;
}

static gboolean
load_refusal (Load *load, const XdsRecord *record)
{
  XdsRecordRefusal state;
  XdsRefusal *refusal;
  XdsPeer *peer;

  if (record->body.len < sizeof state)
    return refuse (load, "it is too short");
  memcpy (&state, record->body.data, sizeof state);
  if (state.len > MIN (record->body.len - sizeof state, XDS_PATH_ABS_MAX))
    return refuse (load, "its length cannot be");
  peer = find_peer (load, state.conn_id);
  if (peer == NULL)
    return refuse (load, "no record of its connection stands before it");
  if (state.quota >= XDS_QUOTA_N || xds_op_name (state.op) == NULL)
    return refuse (load, "there is no such quota or operation");
  refusal = g_new (XdsRefusal, 1);
  *refusal = (XdsRefusal){ .quota = state.quota,
                           .total = state.total,
                           .allowed = state.allowed,
                           .op = state.op,
                           .tx_id = state.tx_id,
                           .path = g_strndup (record->body.data + sizeof state, state.len) };
  xds_refusal_free (peer->refusal);
  peer->refusal = refusal;
  return TRUE;
}

static gboolean
load_held (Load *load, XdsPeer *peer, XdsSpan event)
{
  XdsSpan strings[2];

  if (peer == NULL)
    return refuse (load, "no record of its connection stands before it");
  if (event.len > XDS_PAYLOAD_MAX || !xds_msg_split (event, strings, 2))
    return refuse (load, "it is not a path and a token");
  xds_peer_load_held (peer, event.data, event.len);
  return TRUE;
}

static gboolean
load_watch (Load *load, const XdsRecord *record)
{
  const XdsRecordWatch *watch = &record->watch;
  XdsPeer *peer = find_peer (load, watch->conn_id);
  XdsPath path;

  if (peer == NULL)
    return refuse (load, "no record of its connection stands before it");
  if (xds_path_init (&path, watch->path.data, watch->path.len, xds_peer_actor (peer), 0,
                     XDS_PATH_SPECIAL_ALLOWED)
      != XDS_OK)
    return refuse (load, "what it watches is not a path");
  if (watch->token.len > XDS_PAYLOAD_MAX
      || xds_peer_add_watch (peer, &path, watch->token.data, watch->token.len,
                             watch->depth == XDS_RECORD_DEPTH_ALL ? XDS_WATCH_ANY_DEPTH
                                                                  : watch->depth)
             == NULL)
    return refuse (load, "the connection has the same watch already");
  return TRUE;
}

/* --- nodes --- */

static gboolean
read_path (Load *load, XdsSpan text, XdsPath *ret_path)
{
  if (text.len > 0 && (text.data[0] == '/' || text.data[0] == '@')
      && xds_path_init (ret_path, text.data, text.len, 0, 0, XDS_PATH_SPECIAL_ALLOWED) == XDS_OK)
    return TRUE;
  return refuse (load, "its path is none");
}

/* NULL if there are none, or none that could be. */
static XdsAcl *
read_acl (Load *load, const XdsRecordNode *node)
{
  g_autofree XdsPerm *perms = g_new (XdsPerm, node->n_perms + 1);
  XdsAclTable *acls = &load->engine->store.acls;

  for (guint i = 0; i < node->n_perms; i++)
    {
      XdsRecordPerm perm = xds_record_perm (node, i);
      int access = xds_perm_from_letter (perm.letter);

      if (access < 0)
        return NULL;
      perms[i].domid = perm.domid;
      perms[i].access = access | (perm.flags & XDS_RECORD_INERT ? XDS_PERM_INERT : 0);
    }
  if (node->n_perms == 0)
    return NULL;
  if (load->ours && (node->access & XDS_ACCESS_STALE) != 0)
    return xds_acl_get_retired (acls, perms, node->n_perms);
  return xds_acl_get (acls, perms, node->n_perms);
}

/* Retired ones are not stored once. */
static gboolean
is_same_acl (const XdsAcl *a, const XdsAcl *b)
{
  return a == b
         || (a->retired && b->retired && a->n == b->n
             && memcmp (a->perms, b->perms, a->n * sizeof (XdsPerm)) == 0);
}

/* Only what differs: a write that leaves all as it was would be seen by transactions. */
static void
update_node (XdsStore *store, XdsNode *node, const XdsRecordNode *record, XdsAcl *acl)
{
  if (node->value_len != record->value.len
      || memcmp (xds_node_value (node), record->value.data, record->value.len) != 0)
    xds_store_set_value (store, node, record->value.data, record->value.len);
  if (!is_same_acl (node->acl, acl))
    xds_store_set_acl (store, node, acl);
}

static gboolean
load_node_of_store (Load *load, const XdsRecordNode *record, const XdsPath *path, XdsAcl *acl)
{
  XdsStore *store = &load->engine->store;
  XdsNode *node, *near;
  gsize pos, name_len = 0;
  const char *name = NULL;

  node = xds_store_find (store, path->text, path->len, &near, &pos);
  if (node != NULL)
    {
      update_node (store, node, record, acl);
      return TRUE;
    }
  xds_path_next (path->text, path->len, &pos, &name, &name_len);
  if (pos <= path->len)
    return refuse (load, "its parent does not stand before it");
  xds_store_create (store, near, name, name_len, acl, record->value.data, record->value.len);
  return TRUE;
}

static gboolean
load_node_of_txn (Load *load, const XdsRecordNode *record, XdsTxn *txn, XdsAcl *acl)
{
  XdsTxnLoad node = {
    .path = record->path.data,
    .len = record->path.len,
    .flags = (record->access & (XDS_ACCESS_BASE - 1u)) >> XDS_ACCESS_SHIFT,
    .based = (record->access & XDS_ACCESS_BASE) != 0,
    .acl = acl,
    .value = record->value.data,
    .value_len = record->value.len,
  };

  if (txn->doomed)
    return refuse (load, "its transaction was given up");
  return xds_txn_load (txn, &node) || refuse (load, "it does not fit to its transaction");
}

static XdsTxn *
find_txn (Load *load, guint32 conn_id, guint32 txn_id)
{
  XdsPeer *peer = find_peer (load, conn_id);

  return peer != NULL ? xds_peer_find_txn (peer, txn_id) : NULL;
}

static gboolean
load_node (Load *load, const XdsRecord *record)
{
  const XdsRecordNode *node = &record->node;
  gboolean of_txn = node->conn_id != 0;
  XdsTxn *txn = of_txn ? find_txn (load, node->conn_id, node->txn_id) : NULL;
  gboolean is_top = of_txn && node->path.len == 1 && node->path.data[0] == '@';
  XdsAcl *acl = NULL;
  gboolean done;
  XdsPath path;

  if (of_txn && txn == NULL)
    return refuse (load, "no record of its transaction stands before it");
  if (!is_top && !read_path (load, node->path, &path))
    return FALSE;
  acl = read_acl (load, node);
  if (acl == NULL && (!of_txn || node->n_perms > 0))
    return refuse (load, "its permissions are none");
  done = of_txn ? load_node_of_txn (load, node, txn, acl)
                : load_node_of_store (load, node, &path, acl);
  xds_acl_unref (&load->engine->store.acls, acl);
  return done;
}

/* --- transactions, and what happened between their starts --- */

static gboolean
load_txn (Load *load, const XdsRecord *record)
{
  XdsPeer *peer = find_peer (load, record->transaction.conn_id);
  guint32 id = record->transaction.txn_id;

  if (peer == NULL)
    return refuse (load, "no record of its connection stands before it");
  if (id == 0 || xds_peer_find_txn (peer, id) != NULL)
    return refuse (load, "the connection has a transaction of that number");
  xds_peer_load_txn (peer, id);
  peer->last_txn_id = MAX (peer->last_txn_id, id);
  return TRUE;
}

/* The moment that a transaction sees, and what it has been charged for, are as they were. */
static gboolean
restore_txn (Load *load, XdsTxn *txn, const XdsRecordTxnState *state)
{
  XdsHistory *history = &load->engine->store.history;
  XdsSnapshot *snapshot = &txn->snapshot;
  XdsPeer *peer = txn->owner;

  if (history->newest != snapshot || snapshot->asides != NULL || state->charged > CHARGED_MAX)
    return refuse (load, "it does not fit to its transaction");
  if (state->moment < load->last_change
      || (snapshot->older != NULL && state->moment < snapshot->older->moment))
    return refuse (load, "its transaction began before what stands before it happened");
  snapshot->moment = history->now = state->moment;
  txn->charged = state->charged;
  xds_account_charge (&load->engine->quotas, peer->account, XDS_QUOTA_MEMORY, txn->charged);
  return TRUE;
}

static gboolean
load_txn_state (Load *load, const XdsRecord *record)
{
  XdsRecordTxnState state;
  XdsTxn *txn;

  if (record->body.len < sizeof state)
    return refuse (load, "it is too short");
  memcpy (&state, record->body.data, sizeof state);
  txn = find_txn (load, state.conn_id, state.txn_id);
  if (txn == NULL)
    return refuse (load, "no record of its transaction stands before it");
  if (state.poison >= XDS_STATUS_MAX || txn->doomed)
    return refuse (load, "it does not fit to its transaction");
  txn->poison = state.poison;
  txn->n_changes = state.n_changes;
  txn->place = state.place;
  if (!state.doomed)
    return restore_txn (load, txn, &state);
  xds_txn_doom (txn);
  return TRUE;
}

static gboolean
load_txn_order (Load *load, const XdsRecord *record)
{
  g_autofree XdsRecordTxnOrder *copy = NULL;
  XdsTxn *txn;

  if (record->body.len < sizeof *copy)
    return refuse (load, "it is too short");
  copy = g_memdup2 (record->body.data, record->body.len); /* the stream may lie anywhere */
  if ((record->body.len - sizeof *copy) / sizeof (XdsTxnPlace) < copy->n)
    return refuse (load, "it is too short");
  txn = find_txn (load, copy->conn_id, copy->txn_id);
  if (txn == NULL)
    return refuse (load, "no record of its transaction stands before it");
  if (txn->doomed)
    return copy->n == 0 || refuse (load, "its transaction was given up");
  if (!xds_txn_load_order (txn, copy->order, copy->n))
    return refuse (load, "it does not name each node of its transaction once");
  return TRUE;
}

static gboolean
go_node (Load *load, const XdsPath *path)
{
  XdsNode *node = xds_store_find (&load->engine->store, path->text, path->len, NULL, NULL);

  if (node == NULL || (node->flags & XDS_NODE_FIXED))
    return refuse (load, "what it says was removed is not there");
  xds_store_remove (&load->engine->store, node);
  return TRUE;
}

static gboolean
touch_node (Load *load, const XdsPath *path, guint32 kind)
{
  XdsStore *store = &load->engine->store;
  XdsNode *node = xds_store_find (store, path->text, path->len, NULL, NULL);

  if (node == NULL)
    return refuse (load, "what it says was written is not there");
  if (kind == XDS_CHANGED_ACL)
    xds_store_set_acl (store, node, node->acl);
  else
    {
      g_autofree guint8 *value = g_memdup2 (xds_node_value (node), node->value_len);

      xds_store_set_value (store, node, value, node->value_len);
    }
  return TRUE;
}

static gboolean
pass_node (Load *load, const XdsPath *path)
{
  XdsStore *store = &load->engine->store;
  XdsNode *near;
  gsize pos, name_len = 0;
  const char *name = NULL;

  if (xds_store_find (store, path->text, path->len, &near, &pos) != NULL)
    return refuse (load, "what it says came and went is there");
  xds_path_next (path->text, path->len, &pos, &name, &name_len);
  if (pos <= path->len)
    return refuse (load, "its parent does not stand before it");
  xds_store_remove (store, xds_store_create (store, near, name, name_len, near->acl, NULL, 0));
  return TRUE;
}

static gboolean
load_words (Load *load, const XdsRecord *record)
{
  XdsRecordWords words;
  XdsPath path;
  XdsSpan text;

  if (record->body.len < sizeof words)
    return refuse (load, "it is too short");
  memcpy (&words, record->body.data, sizeof words);
  if (words.len > record->body.len - sizeof words)
    return refuse (load, "it is too short");
  text = (XdsSpan){ record->body.data + sizeof words, words.len };
  if (record->type == XDS_RECORD_HELD)
    return load_held (load, find_peer (load, words.number), text);
  if (!read_path (load, text, &path))
    return FALSE;
  if (record->type == XDS_RECORD_GONE)
    return go_node (load, &path);
  if (record->type == XDS_RECORD_TOUCHED)
    return touch_node (load, &path, words.number);
  return pass_node (load, &path);
}

static void
count_dir (XdsNode *node, void *data)
{
  *(gsize *) data += node->dir != NULL;
}

static void
set_generation (XdsNode *node, void *data)
{
  const guint8 **at = data;

  if (node->dir == NULL)
    return;
  memcpy (&node->dir->generation, *at, sizeof node->dir->generation);
  *at += sizeof node->dir->generation;
}

static gboolean
load_generations (Load *load, const XdsRecord *record)
{
  XdsStore *store = &load->engine->store;
  const guint8 *at = (const guint8 *) record->body.data;
  gsize n = 0;

  xds_node_walk (store->root, count_dir, &n);
  xds_node_walk (store->special, count_dir, &n);
  if (record->body.len != n * sizeof (guint64))
    return refuse (load, "it does not have one number a directory");
  xds_node_walk (store->root, set_generation, &at);
  xds_node_walk (store->special, set_generation, &at);
  return TRUE;
}

/* --- all of it --- */

static gboolean
load_own (Load *load, const XdsRecord *record)
{
  if (!load->native)
    return TRUE;
  switch (record->type)
    {
    case XDS_RECORD_STATE:
      return load_state (load, record);
    case XDS_RECORD_DOMAIN_STATE:
      return load_domain_state (load, record);
    case XDS_RECORD_PEER:
      return load_peer (load, record);
    case XDS_RECORD_TXN_STATE:
      return load_txn_state (load, record);
    case XDS_RECORD_TXN_ORDER:
      return load_txn_order (load, record);
    case XDS_RECORD_HELD:
    case XDS_RECORD_GONE:
    case XDS_RECORD_TOUCHED:
    case XDS_RECORD_CAME_AND_WENT:
      return load_words (load, record);
    case XDS_RECORD_GENERATIONS:
      return load_generations (load, record);
    case XDS_RECORD_ACCOUNT:
      return load_account (load, record);
    case XDS_RECORD_REFUSAL:
      return load_refusal (load, record);
    default:
      return TRUE;
    }
}

static gboolean
load_record (Load *load, const XdsRecord *record)
{
  switch (record->type)
    {
    case XDS_RECORD_GLOBAL_QUOTA:
      return load_global_quota (load, record);
    case XDS_RECORD_CONNECTION:
      return load_connection (load, record);
    case XDS_RECORD_WATCH:
    case XDS_RECORD_WATCH_EXTENDED:
      return load_watch (load, record);
    case XDS_RECORD_TRANSACTION:
      return load_txn (load, record);
    case XDS_RECORD_NODE:
      return load_node (load, record);
    case XDS_RECORD_DOMAIN:
      return load_domain (load, record);
    default:
      return record->known || load_own (load, record);
    }
}

/* Things that changed between two moments can have changed at any time between. */
static void
hold_time (Load *load)
{
  XdsHistory *history = &load->engine->store.history;

  if (!load->ours || history->newest == NULL || history->newest->moment == history->now)
    return;
  load->last_change = MAX (load->last_change, history->now);
  history->now = history->newest->moment;
}

static void
fail (XdsStreamIn *in, const XdsRecord *record, const char *reason, char **ret_why)
{
  char text[256];

  in->fault = (XdsStreamFault){ record->index, record->offset, record->type, reason };
  xds_stream_fault_print (&in->fault, text, sizeof text);
  *ret_why = g_strdup (text);
}

/* Of a stream that does not say: what transactions hold. */
static void
charge_txns (XdsEngine *engine)
{
  for (XdsSnapshot *s = engine->store.history.newest, *older; s != NULL; s = older)
    {
      older = s->older;
      xds_txn_recharge (xds_txn_of_snapshot (s));
    }
}

static int
compare_places (gconstpointer a, gconstpointer b)
{
  const XdsTxn *x = *(XdsTxn *const *) a, *y = *(XdsTxn *const *) b;

  return x->place < y->place ? -1 : x->place > y->place;
}

static void
look_for_retired (XdsNode *node, void *data)
{
  *(gboolean *) data |= node->acl->retired;
}

static gboolean
finish (Load *load)
{
  XdsEngine *engine = load->engine;
  XdsHistory *history = &engine->store.history;
  const XdsRecordState *state = &load->state;
  gboolean retired = FALSE;

  if (!load->ours)
    {
      charge_txns (engine);
      return TRUE;
    }
  if (state->moment < load->last_change
      || (history->newest != NULL && state->moment < history->newest->moment))
    return refuse (load, "its state is of a time before what it has happened");
  xds_node_walk (engine->store.root, look_for_retired, &retired);
  xds_node_walk (engine->store.special, look_for_retired, &retired);
  if (retired)
    return refuse (load, "a node that is there names a domain that died");
  history->now = state->moment;
  engine->last_peer_id = state->last_peer_id;
  for (XdsPeer *peer = engine->peers; peer != NULL; peer = peer->next)
    {
      engine->last_peer_id = MAX (engine->last_peer_id, peer->id);
      if (peer->txns != NULL)
        g_ptr_array_sort (peer->txns, compare_places);
    }
  if (state->favoured_txn != 0)
    engine->favoured = find_txn (load, state->favoured_conn, state->favoured_txn);
  engine->favour_left = state->favour_left;
  memcpy (engine->quotas.peak, state->peak, sizeof state->peak);
  return TRUE;
}

static gboolean
load_records (Load *load, const void *stream, gsize len, char **ret_why)
{
  XdsRecord record = { .type = XDS_RECORD_OWN };
  XdsStreamIn in;

  xds_stream_in_init (&in, stream, len);
  while (record.type != XDS_RECORD_END)
    {
      if (!xds_stream_in_next (&in, &record, ret_why))
        return FALSE;
      load->native = !in.swapped;
      if (!load_record (load, &record))
        {
          fail (&in, &record, load->reason, ret_why);
          return FALSE;
        }
      hold_time (load);
    }
  if (finish (load))
    return TRUE;
  fail (&in, &record, load->reason, ret_why);
  return FALSE;
}

gboolean
xds_load_state (XdsEngine *engine, const void *stream, gsize len, gboolean exact, char **ret_why)
{
  Load load = { .engine = engine, .exact = exact, .peers = g_hash_table_new (NULL, NULL) };
  gboolean done = load_records (&load, stream, len, ret_why);

  g_hash_table_unref (load.peers);
  return done;
}

void
xds_load_attach (XdsEngine *engine, XdsPeerLoaded loaded, void *data)
{
  XdsPeer *newer;

  for (XdsPeer *peer = xds_engine_oldest_peer (engine); peer != NULL; peer = newer)
    {
      XdsDomain *domain = peer->domain;

      newer = peer->prev;
      if (loaded == NULL || loaded (data, peer, peer->handle))
        continue;
      xds_peer_free (peer);
      if (domain != NULL)
        domain->introduced = FALSE;
    }
}

gboolean
xds_engine_load (XdsEngine *engine, const void *stream, gsize len, XdsPeerLoaded loaded,
                 void *data, char **ret_why)
{
  if (!xds_load_state (engine, stream, len, FALSE, ret_why))
    return FALSE;
  xds_load_attach (engine, loaded, data);
  return TRUE;
}
