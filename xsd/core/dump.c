/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The whole state as a migration stream.
 *
 * Two engines of the same state write the same bytes: nothing is in the order of a hash table, or
 * of addresses.  So the journal's tests can compare what was with what came of it, and what a dump
 * leaves out nobody can tell (op-node.c: the place where the last part of a listing ended).
 *
 * Engine, domains and connections are here; nodes and transactions in dump-history.c.
 */

#include "xsd/core/dump.h"

#include <string.h>

/* --- our own records --- */

void
xds_dump_own (XdsDump *dump, guint32 type, const void *body, gsize len)
{
  guint8 *at = xds_stream_begin (dump->out, type, len);

  if (at != NULL)
    memcpy (at, body, len);
}

void
xds_dump_words (XdsDump *dump, guint32 type, guint32 number, const void *bytes, gsize len)
{
  const XdsRecordWords words = { number, len };
  guint8 *at = xds_stream_begin (dump->out, type, sizeof words + len);

  if (at == NULL)
    return;
  memcpy (at, &words, sizeof words);
  memcpy (at + sizeof words, bytes, len);
}

guint32
xds_dump_conn_id (XdsDump *dump, const XdsPeer *peer)
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
put_quotas (XdsDump *dump)
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
put_domain (XdsDump *dump, const XdsDomain *domain)
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
put_domain_state (XdsDump *dump, const XdsDomain *domain)
{
  const XdsRecordDomainState record = {
    .domid = domain->domid,
    .target = domain->target,
    .unique_id = domain->unique_id,
    .features = domain->features,
    .introduced = domain->introduced,
    .shutdown = domain->shutdown,
  };

  xds_dump_own (dump, XDS_RECORD_DOMAIN_STATE, &record, sizeof record);
}

static int
compare_domains (gconstpointer a, gconstpointer b)
{
  const XdsDomain *x = a, *y = b;

  return x->domid < y->domid ? -1 : x->domid > y->domid;
}

static void
each_domain (XdsDump *dump, void (*put) (XdsDump *dump, const XdsDomain *domain))
{
  g_autoptr (GList) known
      = g_list_sort (g_hash_table_get_values (dump->engine->domains), compare_domains);

  for (GList *l = known; l != NULL; l = l->next)
    put (dump, l->data);
}

/* --- connections --- */

static void
put_watches (XdsDump *dump, const XdsPeer *peer)
{
  const XdsWatch *watch = peer->watches;
  char path[XDS_PATH_BUF];

  while (watch != NULL && watch->owner_next != NULL)
    watch = watch->owner_next;
  for (; watch != NULL; watch = watch->owner_prev)
    {
      gsize len = xds_point_path (watch->point, path, sizeof path);
      const XdsRecordWatch record = {
        .conn_id = xds_dump_conn_id (dump, peer),
        .depth = watch->depth < 0 || dump->version == 1
                     ? XDS_RECORD_DEPTH_ALL
                     : MIN (watch->depth, XDS_RECORD_DEPTH_ALL - 1),
        .path = { path + watch->skip, len - watch->skip },
        .token = { watch->token, watch->token_len },
      };

      xds_stream_put_watch (dump->out, &record);
    }
}

typedef struct
{
  XdsDump *dump;
  guint32 conn_id;
} Held;

static void
put_held (const char *event, gsize len, void *data)
{
  Held *held = data;

  xds_dump_words (held->dump, XDS_RECORD_HELD, held->conn_id, event, len);
}

static void
put_refusal (XdsDump *dump, const XdsPeer *peer)
{
  const XdsRefusal *refusal = peer->refusal;
  gsize len = strlen (refusal->path);
  const XdsRecordRefusal record = {
    .total = refusal->total,
    .allowed = refusal->allowed,
    .conn_id = xds_dump_conn_id (dump, peer),
    .quota = refusal->quota,
    .op = refusal->op,
    .tx_id = refusal->tx_id,
    .len = len,
  };
  guint8 *at = xds_stream_begin (dump->out, XDS_RECORD_REFUSAL, sizeof record + len);

  memcpy (at, &record, sizeof record);
  memcpy (at + sizeof record, refusal->path, len);
}

static void
put_peer (XdsDump *dump, XdsPeer *peer)
{
  const XdsRecordPeer record = {
    .id = peer->id,
    .given = peer->given,
    .taken = peer->taken,
    .conn_id = xds_dump_conn_id (dump, peer),
    .last_txn_id = peer->last_txn_id,
    .n_answers = peer->n_answers,
    .n_lost = peer->n_lost,
    .losing_since = peer->losing_since,
    .n_conflicts = peer->n_conflicts,
    .conflict_place = peer->conflict_place,
    .pid = peer->identity.pid,
    .uid = peer->identity.uid,
    .gid = peer->identity.gid,
    .failed = peer->failed,
    .privileged = peer->privileged,
  };

  xds_dump_own (dump, XDS_RECORD_PEER, &record, sizeof record);
  xds_peer_visit_held (peer, put_held, &(Held){ dump, record.conn_id });
  if (peer->refusal != NULL)
    put_refusal (dump, peer);
}

static XdsSpan
waiting (const XdsBuffer *buffer)
{
  if (buffer->data == NULL)
    return (XdsSpan){ NULL, 0 };
  return (XdsSpan){ (const char *) buffer->data + buffer->start, buffer->end - buffer->start };
}

static void
append_held (const char *event, gsize len, void *data)
{
  const XdsMsgHeader header = { .type = XDS_OP_WATCH_EVENT, .len = len };

  g_byte_array_append (data, (const guint8 *) &header, sizeof header);
  g_byte_array_append (data, (const guint8 *) event, len);
}

/* What waits for the peer; for C xenstored events that were kept back are among it. */
static GByteArray *
output_of (const XdsDump *dump, const XdsPeer *peer)
{
  GByteArray *output = g_byte_array_new ();
  XdsSpan queued = waiting (&peer->out);

  if (queued.len > 0)
    g_byte_array_append (output, (const guint8 *) queued.data, queued.len);
  if (dump->version != 0)
    xds_peer_visit_held (peer, append_held, output);
  return output;
}

static void
put_connection (XdsDump *dump, XdsPeer *peer, gint32 handle)
{
  const XdsDomain *domain = peer->domain;
  g_autoptr (GByteArray) output = output_of (dump, peer);
  XdsRecordConnection record = {
    .id = xds_dump_conn_id (dump, peer),
    .kind = domain != NULL ? XDS_RECORD_RING : XDS_RECORD_SOCKET,
    .in = waiting (&peer->in),
    .out = { (const char *) output->data, output->len },
    .resp_len = peer->cut,
  };

  if (domain != NULL)
    {
      record.domid = domain->domid;
      record.target = domain->target < 0 ? XDS_RECORD_NO_DOMID : domain->target;
      record.port = handle;
      record.unique_id = domain->unique_id;
      record.has_unique_id = domain->unique_id != 0 && dump->version != 1;
    }
  else
    record.socket_fd = handle;
  xds_stream_put_connection (dump->out, &record);
}

static void
put_peers (XdsDump *dump, const XdsDumpHost *host, void *data)
{
  XdsPeer *peer = xds_engine_oldest_peer (dump->engine);

  for (; peer != NULL; peer = peer->prev)
    {
      gint32 handle = host->handle != NULL ? host->handle (data, peer) : peer->handle;

      if (dump->version != 0 && (handle < 0 || (peer->failed && peer->domain == NULL)))
        continue;
      put_connection (dump, peer, handle);
      if (dump->version == 0)
        put_peer (dump, peer);
      put_watches (dump, peer);
    }
}

/* --- the engine, and what is held against its limits --- */

static void
put_state (XdsDump *dump)
{
  const XdsEngine *engine = dump->engine;
  const XdsTxn *favoured = engine->favoured;
  XdsRecordState state = {
    .moment = engine->store.history.now,
    .last_peer_id = engine->last_peer_id,
    .n_losers = engine->n_losers,
    .favour_after = engine->favour_after,
    .favour_left = engine->favour_left,
    .favoured_conn = favoured != NULL ? xds_dump_conn_id (dump, favoured->owner) : 0,
    .favoured_txn = favoured != NULL ? favoured->id : 0,
    .store_domid = engine->store_domid,
    .privileged_domid = engine->privileged_domid,
    .keep_orphans = engine->keep_orphans,
  };

  memcpy (state.limit, engine->quotas.limit, sizeof state.limit);
  memcpy (state.peak, engine->quotas.peak, sizeof state.peak);
  xds_dump_own (dump, XDS_RECORD_STATE, &state, sizeof state);
}

static void
put_accounts (XdsDump *dump)
{
  g_autoptr (GPtrArray) accounts = xds_quotas_accounts (&dump->engine->quotas);

  for (guint i = 0; i < accounts->len; i++)
    {
      const XdsAccount *account = accounts->pdata[i];
      XdsRecordAccount record
          = { .domid = account->domid, .own = account->own, .warned = account->warned };

      for (guint k = 0; k < XDS_QUOTA_N; k++)
        record.limit[k] = account->own & (1u << k) ? account->limit[k] : 0;
      memcpy (record.peak, account->peak, sizeof record.peak);
      xds_dump_own (dump, XDS_RECORD_ACCOUNT, &record, sizeof record);
    }
}

/* --- all of it --- */

static void
number_peers (XdsDump *dump)
{
  guint n = 0;

  for (XdsPeer *peer = xds_engine_oldest_peer (dump->engine); peer != NULL; peer = peer->prev)
    g_hash_table_insert (dump->ids, peer, GUINT_TO_POINTER (++n));
}

/* For one of us. */
static void
put_all (XdsDump *dump, const XdsDumpHost *host, void *data)
{
  put_quotas (dump);
  put_state (dump);
  each_domain (dump, put_domain_state);
  put_peers (dump, host, data);
  xds_dump_history (dump);
  each_domain (dump, put_domain);
  put_accounts (dump);
}

/* For C xenstored, which knows of a store without a past. */
static void
put_present (XdsDump *dump, const XdsDumpHost *host, void *data)
{
  if (dump->version > 1)
    put_quotas (dump);
  put_peers (dump, host, data);
  xds_dump_tree (dump);
  if (dump->version > 1)
    each_domain (dump, put_domain);
}

GBytes *
xds_engine_dump (XdsEngine *engine, const XdsDumpHost *host, void *data)
{
  XdsStreamOut out;
  XdsDump dump = {
    .engine = engine,
    .out = &out,
    .ids = g_hash_table_new (NULL, NULL),
    .version = host->version,
  };

  xds_journal_settle (engine);
  xds_stream_out_heap (&out);
  xds_stream_put_header (&out, host->version != 0 ? host->version : XDS_STREAM_VERSION_MAX);
  xds_stream_put_global (&out, &(XdsRecordGlobal){ host->socket_fd, host->evtchn_fd });
  number_peers (&dump);
  if (host->version == 0)
    put_all (&dump, host, data);
  else
    put_present (&dump, host, data);
  xds_stream_put_end (&out);
  g_hash_table_unref (dump.ids);
  return g_bytes_new_take (out.data, out.used);
}

/* --- what is lost on the way to C xenstored --- */

static guint
count_depths (const XdsEngine *engine)
{
  guint n = 0;

  for (const XdsPeer *peer = engine->peers; peer != NULL; peer = peer->next)
    for (const XdsWatch *watch = peer->watches; watch != NULL; watch = watch->owner_next)
      n += watch->depth != XDS_WATCH_ANY_DEPTH;
  return n;
}

static guint
count_limited (const XdsEngine *engine)
{
  GHashTableIter iter;
  gpointer domain;
  guint n = 0;

  g_hash_table_iter_init (&iter, engine->domains);
  while (g_hash_table_iter_next (&iter, NULL, &domain))
    n += ((XdsDomain *) domain)->account->own != 0;
  return n;
}

static void
append_count (GString *text, guint64 n, const char *what)
{
  if (n > 0)
    g_string_append_printf (text, "%s%" G_GUINT64_FORMAT " %s", text->len > 0 ? ", " : "", n, what);
}

char *
xds_engine_dump_losses (XdsEngine *engine, guint version)
{
  g_autoptr (GString) text = g_string_new (NULL);

  append_count (text, engine->statistics.transactions, "open transaction(s)");
  if (version == 1)
    {
      append_count (text, count_depths (engine), "watch(es) with a depth");
      append_count (text, count_limited (engine), "domain(s) with quotas of their own");
    }
  return text->len > 0 ? g_string_free (g_steal_pointer (&text), FALSE) : NULL;
}
