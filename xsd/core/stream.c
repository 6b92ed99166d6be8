/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The writer of the migration stream, and the check of a whole one.
 *
 * What always holds: a record is in the memory whole or not at all, and each begins at a multiple
 * of eight bytes after the header.  Once there was no room nothing more is written, so that a
 * caller needs to look only once, at the end.
 *
 * The road not taken is a stream of write() calls: the journal is shared memory, a dump is taken at
 * one moment between two requests, and neither may wait for a file.
 */

#include "xsd/core/stream.h"

#define HEAP_FIRST 4096

/* --- memory --- */

static gboolean
heap_more (XdsStreamOut *out, gsize at_least)
{
  out->room = MAX (MAX (out->used + at_least, 2 * out->room), HEAP_FIRST);
  out->data = g_realloc (out->data, out->room);
  return TRUE;
}

void
xds_stream_out_heap (XdsStreamOut *out)
{
  *out = (XdsStreamOut){ .more = heap_more };
}

void
xds_stream_out_clear (XdsStreamOut *out)
{
  g_clear_pointer (&out->data, g_free);
  out->used = out->room = 0;
}

gboolean
xds_stream_out_grow (XdsStreamOut *out, gsize at_least)
{
  if (!out->failed && out->room - out->used < at_least)
    out->failed = out->more == NULL || !out->more (out, at_least);
  return !out->failed;
}

/* --- records --- */

static guint8 *
put (guint8 *at, const void *bytes, gsize len)
{
  if (len > 0)
    memcpy (at, bytes, len);
  return at + len;
}

static guint8 *
put_u16 (guint8 *at, guint16 n)
{
  return put (at, &n, sizeof n);
}

static guint8 *
put_u32 (guint8 *at, guint32 n)
{
  return put (at, &n, sizeof n);
}

static guint8 *
put_string (guint8 *at, XdsSpan string)
{
  at = put (at, string.data, string.len);
  *at++ = '\0';
  return at;
}

void
xds_stream_put_header (XdsStreamOut *out, guint version)
{
  const guint32 numbers[2]
      = { GUINT32_TO_BE (version), G_BYTE_ORDER == G_BIG_ENDIAN ? GUINT32_TO_BE (1) : 0 };
  guint8 *at;

  if (!xds_stream_out_grow (out, XDS_STREAM_HEADER))
    return;
  at = put (out->data + out->used, "xenstore", 8);
  put (at, numbers, sizeof numbers);
  out->used += XDS_STREAM_HEADER;
}

void
xds_stream_put_end (XdsStreamOut *out)
{
  xds_stream_begin (out, XDS_RECORD_END, 0);
}

void
xds_stream_put_global (XdsStreamOut *out, const XdsRecordGlobal *record)
{
  guint8 *at = xds_stream_begin (out, XDS_RECORD_GLOBAL, 8);

  if (at != NULL)
    put_u32 (put_u32 (at, record->socket_fd), record->evtchn_fd);
}

void
xds_stream_put_connection (XdsStreamOut *out, const XdsRecordConnection *record)
{
  gsize data = record->in.len + record->out.len;
  gsize padded = (data + XDS_STREAM_ALIGN - 1) & ~(gsize) (XDS_STREAM_ALIGN - 1);
  guint8 *at = xds_stream_begin (out, XDS_RECORD_CONNECTION,
                                 24 + padded + (record->has_unique_id ? 8 : 0));

  if (at == NULL)
    return;
  g_assert (record->in.len <= G_MAXUINT16 && record->out.len <= G_MAXUINT32);
  at = put_u16 (put_u16 (put_u32 (at, record->id), record->kind), record->has_unique_id);
  if (record->kind == XDS_RECORD_RING)
    at = put_u32 (put_u16 (put_u16 (at, record->domid), record->target), record->port);
  else
    at = put_u32 (put_u32 (at, record->socket_fd), 0);
  at = put_u32 (put_u16 (put_u16 (at, record->in.len), record->resp_len), record->out.len);
  at = put (put (at, record->in.data, record->in.len), record->out.data, record->out.len);
  memset (at, 0, padded - data);
  at += padded - data;
  if (record->has_unique_id)
    put (at, &record->unique_id, sizeof record->unique_id);
}

void
xds_stream_put_watch (XdsStreamOut *out, const XdsRecordWatch *record)
{
  gboolean extended = record->depth != XDS_RECORD_DEPTH_ALL;
  gsize strings = record->path.len + 1 + record->token.len + 1;
  guint8 *at = xds_stream_begin (out, extended ? XDS_RECORD_WATCH_EXTENDED : XDS_RECORD_WATCH,
                                 (extended ? 12 : 8) + strings);

  if (at == NULL)
    return;
  g_assert (record->path.len < G_MAXUINT16 && record->token.len < G_MAXUINT16);
  at = put_u32 (at, record->conn_id);
  at = put_u16 (put_u16 (at, record->path.len + 1), record->token.len + 1);
  if (extended)
    at = put_u16 (put_u16 (at, record->depth), 0);
  put_string (put_string (at, record->path), record->token);
}

void
xds_stream_put_transaction (XdsStreamOut *out, const XdsRecordTransaction *record)
{
  guint8 *at = xds_stream_begin (out, XDS_RECORD_TRANSACTION, 8);

  if (at != NULL)
    put_u32 (put_u32 (at, record->conn_id), record->txn_id);
}

void
xds_stream_put_node (XdsStreamOut *out, const XdsRecordNode *record)
{
  gsize perms = record->n_perms * sizeof (XdsRecordPerm);
  guint8 *at = xds_stream_begin (out, XDS_RECORD_NODE,
                                 16 + perms + record->path.len + 1 + record->value.len);

  if (at == NULL)
    return;
  g_assert (record->path.len < G_MAXUINT16 && record->value.len <= G_MAXUINT16);
  at = put_u32 (put_u32 (at, record->conn_id), record->txn_id);
  at = put_u16 (put_u16 (at, record->path.len + 1), record->value.len);
  at = put_u16 (put_u16 (at, record->access), record->n_perms);
  if (!record->swapped)
    at = put (at, record->perms, perms);
  else
    for (guint i = 0; i < record->n_perms; i++)
      {
        XdsRecordPerm perm = xds_record_perm (record, i);

        at = put (at, &perm, sizeof perm);
      }
  put (put_string (at, record->path), record->value.data, record->value.len);
}

static gsize
quotas_len (const XdsRecordQuotas *quotas)
{
  return quotas->n * sizeof (guint32) + quotas->names.len;
}

static void
put_quotas (guint8 *at, const XdsRecordQuotas *quotas)
{
  XdsRecordQuotas left = *quotas;
  XdsSpan name;
  guint32 value;

  while (xds_record_next_quota (&left, &name, &value))
    at = put_u32 (at, value);
  put (at, quotas->names.data, quotas->names.len);
}

void
xds_stream_put_global_quota (XdsStreamOut *out, const XdsRecordGlobalQuota *record)
{
  guint8 *at = xds_stream_begin (out, XDS_RECORD_GLOBAL_QUOTA, 4 + quotas_len (&record->quotas));

  if (at == NULL)
    return;
  at = put_u16 (put_u16 (at, record->n_domain), record->quotas.n - record->n_domain);
  put_quotas (at, &record->quotas);
}

void
xds_stream_put_domain (XdsStreamOut *out, const XdsRecordDomain *record)
{
  guint8 *at = xds_stream_begin (out, XDS_RECORD_DOMAIN, 8 + quotas_len (&record->quotas));

  if (at == NULL)
    return;
  at = put_u16 (put_u16 (at, record->domid), record->quotas.n);
  put_quotas (put_u32 (at, record->features), &record->quotas);
}

/* --- reading --- */

static gboolean
fail (XdsStreamIn *in, char **ret_why)
{
  char text[256];

  xds_stream_fault_print (&in->fault, text, sizeof text);
  *ret_why = g_strdup (text);
  return FALSE;
}

gboolean
xds_stream_in_next (XdsStreamIn *in, XdsRecord *ret_record, char **ret_why)
{
  return xds_stream_in_read (in, ret_record) || fail (in, ret_why);
}

/* What was met so far.  Ids of connections are not required to differ: C xenstored counts its
   sockets anew after each live update, and what follows a connection means the last one. */
typedef struct
{
  GHashTable *connections; /* ids */
  GHashTable *txns;        /* (connection << 32 | id) */
  gboolean global;
} Met;

static guint64
txn_key (guint32 conn_id, guint32 txn_id)
{
  return (guint64) conn_id << 32 | txn_id;
}

static gboolean
met_txn (Met *met, guint32 conn_id, guint32 txn_id)
{
  guint64 key = txn_key (conn_id, txn_id);

  return g_hash_table_contains (met->txns, &key);
}

static gboolean
met_connection (Met *met, guint32 id)
{
  return g_hash_table_contains (met->connections, GUINT_TO_POINTER (id));
}

/* What does not fit; NULL: it does. */
static const char *
meet (Met *met, const XdsRecord *record)
{
  const XdsRecordTransaction *txn = &record->transaction;

  switch (record->type)
    {
    case XDS_RECORD_GLOBAL:
      if (met->global)
        return "there is one before it already";
      met->global = TRUE;
      break;
    case XDS_RECORD_CONNECTION:
      g_hash_table_add (met->connections, GUINT_TO_POINTER (record->connection.id));
      break;
    case XDS_RECORD_WATCH:
    case XDS_RECORD_WATCH_EXTENDED:
      if (!met_connection (met, record->watch.conn_id))
        return "no record of the connection that it names stands before it";
      break;
    case XDS_RECORD_TRANSACTION:
      if (!met_connection (met, txn->conn_id))
        return "no record of the connection that it names stands before it";
      if (met_txn (met, txn->conn_id, txn->txn_id))
        return "there is one of the same number before it";
      g_hash_table_add (met->txns, g_memdup2 (&(guint64){ txn_key (txn->conn_id, txn->txn_id) },
                                              sizeof (guint64)));
      break;
    case XDS_RECORD_NODE:
      if (record->node.conn_id != 0 && !met_txn (met, record->node.conn_id, record->node.txn_id))
        return "no record of the transaction that it names stands before it";
      break;
    default:
      break;
    }
  return NULL;
}

gboolean
xds_stream_verify (const void *data, gsize len, char **ret_why)
{
  g_autoptr (GHashTable) connections = g_hash_table_new (NULL, NULL);
  g_autoptr (GHashTable) txns = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  Met met = { connections, txns, FALSE };
  XdsRecord record = { .type = XDS_RECORD_OWN };
  XdsStreamIn in;

  xds_stream_in_init (&in, data, len);
  while (record.type != XDS_RECORD_END)
    {
      const char *reason;

      if (!xds_stream_in_read (&in, &record))
        return fail (&in, ret_why);
      if ((reason = meet (&met, &record)) != NULL)
        {
          in.fault = (XdsStreamFault){ record.index, record.offset, record.type, reason };
          return fail (&in, ret_why);
        }
    }
  return TRUE;
}
