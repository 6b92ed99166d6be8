/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Buffers live only while there is something in them, so that an idle peer costs its struct.  The
 * peer that is being served uses the engine's spare pair, which goes back as soon as it is empty.
 *
 * A peer that does not take what is sent to it harms itself alone.  Above its bound it is not
 * served; events for it are then kept back, equal ones merged, and past a second bound dropped,
 * counted and told.  Nobody else ever waits for it.
 */

#include "xsd/core/state.h"

#include <string.h>

#define FIRST_OUTPUT 4096u
#define SPARE_OUTPUT_MAX 65536u

struct XdsHeld
{
  GQueue events;    /* (element-type GBytes) path NUL token NUL */
  GHashTable *keys; /* (unowned elements) the same, as a set */
  gsize bytes;
};

/* --- buffers --- */

static void
charge_output (XdsPeer *peer)
{
  gsize now = peer->out.end - peer->out.start + (peer->held != NULL ? peer->held->bytes : 0);

  if (now > peer->charged)
    xds_account_charge (&peer->engine->quotas, peer->account, XDS_QUOTA_MEMORY,
                        now - peer->charged);
  else if (now < peer->charged)
    xds_account_uncharge (peer->account, XDS_QUOTA_MEMORY, peer->charged - now);
  peer->charged = now;
}

static void
release_input (XdsPeer *peer)
{
  XdsEngine *engine = peer->engine;

  if (engine->spare_in == NULL)
    engine->spare_in = g_steal_pointer (&peer->in.data);
  g_clear_pointer (&peer->in.data, g_free);
  peer->in = (XdsBuffer){ 0 };
}

static void
release_output (XdsPeer *peer)
{
  XdsEngine *engine = peer->engine;

  if (engine->spare_out == NULL && peer->out.capacity <= SPARE_OUTPUT_MAX)
    {
      engine->spare_out = g_steal_pointer (&peer->out.data);
      engine->spare_out_capacity = peer->out.capacity;
    }
  g_clear_pointer (&peer->out.data, g_free);
  peer->out = (XdsBuffer){ 0 };
  peer->n_answers = 0;
  peer->cut = 0;
}

/* Room for @len more bytes at the end of the output. */
static guint8 *
reserve_output (XdsPeer *peer, gsize len)
{
  XdsBuffer *out = &peer->out;
  XdsEngine *engine = peer->engine;

  if (out->data == NULL && engine->spare_out != NULL)
    {
      out->data = g_steal_pointer (&engine->spare_out);
      out->capacity = engine->spare_out_capacity;
    }
  if (out->capacity - out->end >= len)
    return out->data + out->end;
  if (out->start > 0)
    {
      memmove (out->data, out->data + out->start, out->end - out->start);
      out->end -= out->start;
      out->start = 0;
    }
  if (out->capacity - out->end < len)
    {
      out->capacity = MAX (FIRST_OUTPUT, MAX (out->capacity * 2, out->end + len));
      out->data = g_realloc (out->data, out->capacity);
    }
  return out->data + out->end;
}

static inline guint8 *
put (guint8 *at, const void *data, gsize len)
{
  if (len > 0)
    memcpy (at, data, len);
  return at + len;
}

/* --- life --- */

XdsPeer *
xds_peer_new (XdsEngine *engine, XdsDomain *domain, const XdsSocketIdentity *identity)
{
  XdsPeer *peer = g_slice_new0 (XdsPeer);
  guint domid = domain != NULL ? domain->domid : engine->store_domid;

  peer->engine = engine;
  peer->domain = domain;
  peer->account = xds_account_ref (&engine->quotas, domid);
  peer->id = ++engine->last_peer_id;
  peer->handle = -1;
  peer->privileged = domain == NULL || xds_domid_privileged (engine, domid);
  if (identity != NULL)
    peer->identity = *identity;
  peer->next = engine->peers;
  if (engine->peers != NULL)
    engine->peers->prev = peer;
  engine->peers = peer;
  if (engine->by_id != NULL)
    g_hash_table_insert (engine->by_id, &peer->id, peer);
  engine->statistics.peers++;
  return peer;
}

static void
held_free (XdsHeld *held)
{
  g_hash_table_unref (held->keys);
  g_queue_clear_full (&held->events, (GDestroyNotify) g_bytes_unref);
  g_free (held);
}

void
xds_refusal_free (XdsRefusal *refusal)
{
  if (refusal == NULL)
    return;
  g_free (refusal->path);
  g_free (refusal);
}

static void
forget (XdsPeer *peer)
{
  xds_peer_drop_txns (peer);
  xds_peer_drop_watches (peer);
  g_clear_pointer (&peer->held, held_free);
  g_clear_pointer (&peer->refusal, xds_refusal_free);
  release_input (peer);
  release_output (peer);
  charge_output (peer);
  peer->last_txn_id = 0;
  peer->n_lost = 0;
  peer->part_generation = 0;
  peer->failed = peer->parked = FALSE;
}

void
xds_peer_reset (XdsPeer *peer)
{
  gboolean begun = xds_journal_begin_call (peer->engine, XDS_RECORD_RESET, peer->id, 0);

  forget (peer);
  xds_journal_end (peer->engine, begun);
}

void
xds_peer_give_up (XdsPeer *peer)
{
  gboolean begun = xds_journal_begin_call (peer->engine, XDS_RECORD_GIVE_UP, peer->id, 0);

  forget (peer);
  peer->failed = TRUE;
  xds_journal_end (peer->engine, begun);
}

void
xds_peer_free (XdsPeer *peer)
{
  XdsEngine *engine = peer->engine;

  forget (peer);
  xds_line_leave (peer);
  if (engine->by_id != NULL)
    g_hash_table_remove (engine->by_id, &peer->id);
  if (peer->prev != NULL)
    peer->prev->next = peer->next;
  else
    engine->peers = peer->next;
  if (peer->next != NULL)
    peer->next->prev = peer->prev;
  if (peer->domain != NULL)
    peer->domain->peer = NULL;
  engine->statistics.peers--;
  xds_account_unref (&engine->quotas, peer->account);
  g_slice_free (XdsPeer, peer);
}

void
xds_peer_fail (XdsPeer *peer, guint ring_error, const char *what)
{
  XdsEngine *engine = peer->engine;

  forget (peer);
  peer->failed = TRUE;
  xds_engine_notice (engine, XDS_NOTICE_PROTOCOL, peer, xds_peer_domid (peer), what, NULL, 0, 0);
  if (engine->host->peer_failed != NULL)
    engine->host->peer_failed (engine->host_data, peer, ring_error);
}

/* --- who it is --- */

void
xds_peer_set_handle (XdsPeer *peer, gint32 handle)
{
  gboolean begun = xds_journal_begin_call (peer->engine, XDS_RECORD_HANDLE, peer->id, handle);

  peer->handle = handle;
  xds_journal_end (peer->engine, begun);
}

guint64
xds_peer_given (XdsPeer *peer)
{
  return peer->given;
}

guint64
xds_peer_taken (XdsPeer *peer)
{
  return peer->taken;
}

void
xds_peer_set_data (XdsPeer *peer, void *data)
{
  peer->data = data;
}

void *
xds_peer_get_data (XdsPeer *peer)
{
  return peer->data;
}

gboolean
xds_peer_failed (XdsPeer *peer)
{
  return peer->failed;
}

gboolean
xds_peer_is_domain (XdsPeer *peer)
{
  return peer->domain != NULL;
}

guint
xds_peer_domid (XdsPeer *peer)
{
  return peer->domain != NULL ? peer->domain->domid : peer->engine->store_domid;
}

guint64
xds_peer_id (XdsPeer *peer)
{
  return peer->id;
}

guint32
xds_peer_features (XdsPeer *peer)
{
  return peer->domain != NULL ? peer->domain->features : XDS_FEATURES_ALL;
}

const XdsSocketIdentity *
xds_peer_identity (XdsPeer *peer)
{
  return peer->domain == NULL ? &peer->identity : NULL;
}

guint
xds_peer_actor (const XdsPeer *peer)
{
  return peer->domain != NULL ? peer->domain->domid : peer->engine->store_domid;
}

gint
xds_peer_target (const XdsPeer *peer)
{
  return peer->domain != NULL ? peer->domain->target : -1;
}

/* --- input --- */

static gboolean
takes_answers (const XdsPeer *peer)
{
  gsize waiting = peer->out.end - peer->out.start;

  if (peer->parked || peer->waits)
    return FALSE;
  if (waiting == 0)
    return TRUE;
  if (peer->privileged)
    return waiting < XDS_PEER_OUTPUT_SOCKET;
  return waiting < XDS_PEER_OUTPUT_DOMAIN
         && xds_quota_allows (&peer->engine->quotas, peer->account, XDS_QUOTA_OUTSTANDING,
                              peer->n_answers + 1);
}

gboolean
xds_peer_wants_input (XdsPeer *peer)
{
  return !peer->failed && peer->in.end - peer->in.start < XDS_PEER_INPUT && takes_answers (peer);
}

/* The room in the peer's own buffer. */
static gsize
own_room (XdsPeer *peer, guint8 **ret_room)
{
  XdsBuffer *in = &peer->in;

  if (in->data == NULL)
    {
      in->data = g_steal_pointer (&peer->engine->spare_in);
      if (in->data == NULL)
        in->data = g_malloc (XDS_PEER_INPUT);
      in->capacity = XDS_PEER_INPUT;
    }
  if (in->start > 0)
    {
      memmove (in->data, in->data + in->start, in->end - in->start);
      in->end -= in->start;
      in->start = 0;
    }
  *ret_room = in->data + in->end;
  return in->capacity - in->end;
}

gsize
xds_peer_input (XdsPeer *peer, guint8 **ret_room)
{
  gsize most = XDS_PEER_INPUT - (peer->in.end - peer->in.start);
  guint8 *room;

  if (!xds_peer_wants_input (peer))
    return 0;
  room = xds_journal_room (peer, &most);
  if (room == NULL)
    return own_room (peer, ret_room);
  *ret_room = room;
  return most;
}

void
xds_peer_filled (XdsPeer *peer, gsize n)
{
  const guint8 *bytes = xds_journal_filled (peer, n);

  if (bytes != NULL && n > 0)
    {
      xds_peer_load_input (peer, bytes, n);
      return;
    }
  g_assert (n <= peer->in.capacity - peer->in.end);
  peer->in.end += n;
  if (peer->in.end == peer->in.start)
    release_input (peer);
}

/* Without a buffer there is nothing to point into. */
static XdsMsgState
peek_request (const XdsBuffer *in, XdsMsgHeader *ret_header)
{
  if (in->data == NULL)
    return XDS_MSG_PARTIAL;
  return xds_msg_peek (in->data + in->start, in->end - in->start, ret_header);
}

static gboolean
has_request (const XdsPeer *peer)
{
  XdsMsgHeader header;

  return !peer->failed && peek_request (&peer->in, &header) != XDS_MSG_PARTIAL;
}

static gboolean
has_to_wait (XdsPeer *peer)
{
  XdsMsgHeader header;

  return peer->n_conflicts > 0 && peek_request (&peer->in, &header) == XDS_MSG_WHOLE
         && header.type == XDS_OP_TRANSACTION_START && xds_line_stand (peer);
}

static gboolean
serve_one (XdsPeer *peer)
{
  XdsBuffer *in = &peer->in;
  XdsMsgHeader header;
  const char *payload;

  switch (peek_request (in, &header))
    {
    case XDS_MSG_PARTIAL:
      return FALSE;
    case XDS_MSG_BAD:
      xds_peer_fail (peer, XDS_RING_ERROR_PROTO, "a message longer than 4096 bytes");
      return FALSE;
    case XDS_MSG_WHOLE:
      break;
    }
  payload = (const char *) in->data + in->start + sizeof header;
  if (xds_journal_begin_request (peer->engine))
    xds_op_refuse (peer, &header, payload);
  else
    peer->parked = !xds_op_run (peer, &header, payload);
  if (peer->parked)
    {
      xds_journal_put_off (peer->engine);
      return FALSE;
    }
  in->start += sizeof header + header.len;
  return TRUE;
}

static void
finish_turn (XdsPeer *peer)
{
  peer->serving = FALSE;
  if (peer->in.start == peer->in.end)
    release_input (peer);
  charge_output (peer);
}

gboolean
xds_peer_serve (XdsPeer *peer, guint budget)
{
  gboolean recorded = xds_journal_begin_turn (peer), more;

  peer->told = FALSE;
  peer->serving = TRUE;
  while (budget > 0 && !peer->failed && takes_answers (peer)
         && xds_journal_may_go_on (peer->engine) && !has_to_wait (peer) && serve_one (peer))
    budget--;
  more = takes_answers (peer) && has_request (peer);
  finish_turn (peer);
  if (recorded)
    xds_journal_end_turn (peer);
  return more;
}

gboolean
xds_peer_redo (XdsPeer *peer, guint n, gboolean failed)
{
  guint done = 0;

  peer->serving = TRUE;
  while (done < n && !peer->failed && serve_one (peer))
    done++;
  if (failed && done == n && !peer->failed && serve_one (peer))
    done++;
  finish_turn (peer);
  return done == n && peer->failed == failed;
}

/* --- output --- */

void
xds_peer_answer (XdsPeer *peer, const XdsMsgHeader *header, const void *payload, gsize len)
{
  XdsMsgHeader answer = *header;
  guint8 *at = reserve_output (peer, sizeof answer + len);

  answer.len = len;
  put (put (at, &answer, sizeof answer), payload, len);
  peer->out.end += sizeof answer + len;
  peer->engine->made += sizeof answer + len;
  peer->n_answers++;
}

static void
append_event (XdsPeer *peer, const void *path, gsize path_len, const void *token, gsize token_len)
{
  XdsMsgHeader header = { .type = XDS_OP_WATCH_EVENT, .len = path_len + token_len };
  guint8 *at = reserve_output (peer, sizeof header + header.len);

  put (put (put (at, &header, sizeof header), path, path_len), token, token_len);
  peer->out.end += sizeof header + header.len;
  peer->engine->made += sizeof header + header.len;
}

void
xds_peer_tell_host (XdsPeer *peer)
{
  XdsEngine *engine = peer->engine;

  if (peer->serving || peer->told || engine->host->peer_ready == NULL)
    return;
  peer->told = TRUE;
  engine->host->peer_ready (engine->host_data, peer);
}

static void
lose_event (XdsPeer *peer, const char *path)
{
  peer->engine->statistics.events_lost++;
  peer->n_lost++;
  xds_engine_notice (peer->engine, XDS_NOTICE_EVENTS_LOST, peer, xds_peer_domid (peer), "events",
                     path, peer->n_lost, 0);
}

static void
make_held (XdsPeer *peer)
{
  if (peer->held != NULL)
    return;
  peer->held = g_new0 (XdsHeld, 1);
  peer->held->keys = g_hash_table_new (g_bytes_hash, g_bytes_equal);
}

static void
push_held (XdsHeld *held, GBytes *event)
{
  held->bytes += g_bytes_get_size (event) + 64;
  g_hash_table_add (held->keys, event);
  g_queue_push_tail (&held->events, event);
}

static void
hold_event (XdsPeer *peer, const char *path, gsize path_len, const XdsWatch *watch)
{
  g_autoptr (GByteArray) joined = g_byte_array_sized_new (path_len + watch->token_len + 2);
  g_autoptr (GBytes) event = NULL;
  guint most = peer->privileged ? XDS_PEER_HELD_SOCKET : XDS_PEER_HELD_DOMAIN;

  g_byte_array_append (joined, (const guint8 *) path, path_len + 1);
  g_byte_array_append (joined, (const guint8 *) watch->token, watch->token_len + 1);
  event = g_byte_array_free_to_bytes (g_steal_pointer (&joined));
  make_held (peer);
  if (path[0] != '@' && g_hash_table_contains (peer->held->keys, event))
    {
      peer->engine->statistics.events_merged++;
      return;
    }
  if (peer->held->events.length >= most || peer->held->bytes >= XDS_PEER_HELD_BYTES
      || (!peer->privileged
          && !xds_quota_allows (&peer->engine->quotas, peer->account, XDS_QUOTA_MEMORY,
                                peer->account->used[XDS_QUOTA_MEMORY] + g_bytes_get_size (event))))
    {
      lose_event (peer, path);
      return;
    }
  push_held (peer->held, g_steal_pointer (&event));
}

static gsize
output_bound (const XdsPeer *peer)
{
  return peer->privileged ? XDS_PEER_OUTPUT_SOCKET : XDS_PEER_OUTPUT_DOMAIN;
}

void
xds_peer_event (XdsPeer *peer, const char *path, gsize path_len, const XdsWatch *watch)
{
  if (peer->failed)
    return;
  peer->engine->statistics.events++;
  if (path_len + watch->token_len + 2 > XDS_PAYLOAD_MAX)
    lose_event (peer, path);
  else if (peer->held == NULL && peer->out.end - peer->out.start < output_bound (peer))
    append_event (peer, path, path_len + 1, watch->token, watch->token_len + 1);
  else
    hold_event (peer, path, path_len, watch);
  if (!peer->serving)
    {
      charge_output (peer);
      xds_peer_tell_host (peer);
    }
}

/* Lets go of events that were kept back, as far as there is room for them. */
static void
release_held (XdsPeer *peer)
{
  XdsHeld *held = peer->held;
  g_autoptr (GBytes) event = NULL;

  while (peer->out.end - peer->out.start < output_bound (peer) / 2
         && (event = g_queue_pop_head (&held->events)) != NULL)
    {
      gsize len;
      const guint8 *data = g_bytes_get_data (event, &len);

      held->bytes -= len + 64;
      if (g_hash_table_lookup (held->keys, event) == event)
        g_hash_table_remove (held->keys, event);
      append_event (peer, data, len, NULL, 0);
      g_clear_pointer (&event, g_bytes_unref);
    }
  if (held->events.length == 0)
    {
      g_clear_pointer (&peer->held, held_free);
      peer->n_lost = 0;
    }
}

gsize
xds_peer_output (XdsPeer *peer, const guint8 **ret_bytes)
{
  *ret_bytes = peer->out.data != NULL ? peer->out.data + peer->out.start : NULL;
  return peer->out.end - peer->out.start;
}

/* Remembers how much of the message in which @n bytes end is left. */
static void
drained_in_part (XdsPeer *peer, gsize n)
{
  XdsBuffer *out = &peer->out;
  gsize at = peer->cut; /* where a message begins */

  while (at < n)
    {
      XdsMsgHeader header;

      memcpy (&header, out->data + out->start + at, sizeof header);
      at += sizeof header + header.len;
    }
  peer->cut = at - n;
  out->start += n;
}

void
xds_peer_drained (XdsPeer *peer, gsize n)
{
  XdsBuffer *out = &peer->out;
  gboolean begun;

  g_assert (n <= out->end - out->start);
  begun = xds_journal_begin_drained (peer, n);
  peer->told = FALSE;
  if (n == out->end - out->start)
    release_output (peer);
  else
    drained_in_part (peer, n);
  if (peer->held != NULL)
    release_held (peer);
  charge_output (peer);
  xds_journal_end (peer->engine, begun);
}

/* --- requests out of turn --- */

/* As many as there is room for in the journal. */
static void
serve_all (XdsPeer *peer)
{
  gboolean recorded = xds_journal_begin_turn (peer);

  peer->serving = TRUE;
  while (!peer->failed && xds_journal_may_go_on (peer->engine) && serve_one (peer))
    continue;
  finish_turn (peer);
  if (recorded)
    xds_journal_end_turn (peer);
  xds_peer_tell_host (peer);
}

void
xds_engine_unpark (XdsEngine *engine)
{
  for (XdsPeer *peer = engine->peers; peer != NULL; peer = peer->next)
    if (peer->parked)
      {
        peer->parked = FALSE;
        xds_peer_serve (peer, 1);
        xds_peer_tell_host (peer);
      }
}

/* A request can be what ends another peer, so each look begins anew. */
void
xds_engine_finish (XdsEngine *engine)
{
  XdsPeer *peer = engine->peers;

  while (peer != NULL)
    if (!peer->parked && has_request (peer))
      {
        serve_all (peer);
        peer = engine->peers;
      }
    else
      peer = peer->next;
}

/* --- from and to a dump --- */

void
xds_peer_visit_held (const XdsPeer *peer, XdsHeldVisit visit, void *data)
{
  for (GList *l = peer->held != NULL ? peer->held->events.head : NULL; l != NULL; l = l->next)
    {
      gsize len;
      const char *event = g_bytes_get_data (l->data, &len);

      visit (event, len, data);
    }
}

void
xds_peer_load_input (XdsPeer *peer, const void *bytes, gsize len)
{
  guint8 *room;

  if (len == 0)
    return;
  g_assert (own_room (peer, &room) >= len);
  memcpy (room, bytes, len);
  peer->in.end += len;
}

void
xds_peer_load_output (XdsPeer *peer, const void *bytes, gsize len)
{
  if (len == 0)
    return;
  put (reserve_output (peer, len), bytes, len);
  peer->out.end += len;
  charge_output (peer);
}

void
xds_peer_load_held (XdsPeer *peer, const char *event, gsize len)
{
  make_held (peer);
  push_held (peer->held, g_bytes_new (event, len));
  charge_output (peer);
}

/* --- transactions and watches --- */

XdsTxn *
xds_peer_find_txn (XdsPeer *peer, guint32 id)
{
  for (guint i = 0; peer->txns != NULL && i < peer->txns->len; i++)
    {
      XdsTxn *txn = peer->txns->pdata[i];

      if (txn->id == id)
        return txn;
    }
  return NULL;
}

XdsTxn *
xds_peer_start_txn (XdsPeer *peer)
{
  do
    peer->last_txn_id++;
  while (peer->last_txn_id == 0 || xds_peer_find_txn (peer, peer->last_txn_id) != NULL);
  return xds_peer_load_txn (peer, peer->last_txn_id);
}

XdsTxn *
xds_peer_load_txn (XdsPeer *peer, guint32 id)
{
  XdsTxn *txn = xds_txn_new (&peer->engine->store, id);

  txn->owner = peer;
  if (peer->txns == NULL)
    peer->txns = g_ptr_array_new ();
  g_ptr_array_add (peer->txns, txn);
  peer->engine->statistics.transactions++;
  xds_account_charge (&peer->engine->quotas, peer->account, XDS_QUOTA_TRANSACTIONS, 1);
  return txn;
}

/* What a transaction holds changes without its doing: it pins what others change. */
void
xds_txn_recharge (XdsTxn *txn)
{
  XdsPeer *peer = txn->owner;
  XdsEngine *engine = peer->engine;
  gsize bytes = txn->bytes + txn->snapshot.bytes;
  guint64 used;

  if (bytes >= txn->charged)
    xds_account_charge (&engine->quotas, peer->account, XDS_QUOTA_MEMORY, bytes - txn->charged);
  else
    xds_account_uncharge (peer->account, XDS_QUOTA_MEMORY, txn->charged - bytes);
  txn->charged = bytes;
  used = peer->account->used[XDS_QUOTA_MEMORY];
  if (peer->privileged
      || xds_quota_allows (&engine->quotas, peer->account, XDS_QUOTA_MEMORY, used))
    return;
  xds_engine_notice (engine, XDS_NOTICE_SNAPSHOT, peer, xds_peer_domid (peer), "memory", NULL, used,
                     xds_quota_limit (&engine->quotas, peer->account, XDS_QUOTA_MEMORY));
  xds_txn_doom (txn);
  xds_account_uncharge (peer->account, XDS_QUOTA_MEMORY, txn->charged);
  txn->charged = 0;
}

void
xds_peer_end_txn (XdsPeer *peer, XdsTxn *txn)
{
  XdsSnapshot *older = txn->snapshot.history != NULL ? txn->snapshot.older : NULL;

  g_ptr_array_remove (peer->txns, txn);
  if (peer->txns->len == 0)
    {
      g_clear_pointer (&peer->txns, g_ptr_array_unref);
      xds_line_leave (peer);
    }
  peer->engine->statistics.transactions--;
  if (peer->engine->favoured == txn)
    peer->engine->favoured = NULL;
  xds_account_uncharge (peer->account, XDS_QUOTA_TRANSACTIONS, 1);
  xds_account_uncharge (peer->account, XDS_QUOTA_MEMORY, txn->charged);
  xds_txn_free (txn);
  if (older != NULL)
    xds_txn_recharge (xds_txn_of_snapshot (older)); /* it may have got what the other held */
}

void
xds_peer_drop_txns (XdsPeer *peer)
{
  while (peer->txns != NULL)
    xds_peer_end_txn (peer, peer->txns->pdata[peer->txns->len - 1]);
}

XdsWatch *
xds_peer_add_watch (XdsPeer *peer, const XdsPath *path, const char *token, gsize token_len,
                    gint depth)
{
  XdsEngine *engine = peer->engine;
  XdsWatch *watch = xds_watches_add (&engine->watches, peer, &peer->watches, path->text, path->len,
                                     token, token_len, depth, path->skip);

  if (watch == NULL)
    return NULL;
  xds_account_charge (&engine->quotas, peer->account, XDS_QUOTA_WATCHES, 1);
  xds_account_charge (&engine->quotas, peer->account, XDS_QUOTA_MEMORY, xds_watch_cost (watch));
  peer->n_watches++;
  engine->statistics.watches++;
  return watch;
}

void
xds_peer_free_watch (XdsPeer *peer, XdsWatch *watch)
{
  XdsEngine *engine = peer->engine;

  xds_account_uncharge (peer->account, XDS_QUOTA_WATCHES, 1);
  xds_account_uncharge (peer->account, XDS_QUOTA_MEMORY, xds_watch_cost (watch));
  xds_watch_free (&engine->watches, &peer->watches, watch);
  peer->n_watches--;
  engine->statistics.watches--;
}

void
xds_peer_drop_watches (XdsPeer *peer)
{
  while (peer->watches != NULL)
    xds_peer_free_watch (peer, peer->watches);
}
