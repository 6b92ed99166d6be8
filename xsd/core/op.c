/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * From a header to its handler and back to an answer.  A handler never writes to its peer: it says
 * what to answer, so that the events which it causes stand before the answer, as with the servers
 * that clients know.  A new watch is the exception: it fires right after.
 */

#include "xsd/core/state.h"

#include <stdio.h>
#include <string.h>

static const struct
{
  const char *name;
  XdsStatus (*handler) (XdsRequest *request);
  guint flags;
} table[XDS_OP_MAX] = {
#define XDS_OP(number, name, handler, flags) [number] = { name, handler, flags },
#include "xsd/core/ops.def"
#undef XDS_OP
};

const char *
xds_op_name (guint type)
{
  if (type == XDS_OP_WATCH_EVENT)
    return "WATCH_EVENT";
  if (type == XDS_OP_ERROR)
    return "ERROR";
  return type < XDS_OP_MAX ? table[type].name : NULL;
}

/* --- what handlers use --- */

XdsStatus
xds_request_path (XdsRequest *request, XdsSpan text, XdsPathFlags flags)
{
  const XdsPeer *peer = request->peer;
  guint64 most = peer->privileged ? 0
                                  : xds_quota_limit (&request->engine->quotas, peer->account,
                                                     XDS_QUOTA_PATH_MAX);

  return xds_path_init (&request->path, text.data, text.len, xds_peer_actor (peer),
                        MIN (most, XDS_PATH_ABS_MAX), flags);
}

void
xds_request_reply_scratch (XdsRequest *request, gsize n)
{
  request->reply = request->engine->scratch;
  request->reply_len = n;
}

void
xds_request_reply_text (XdsRequest *request, const char *text)
{
  gsize len = MIN (strlen (text), XDS_PAYLOAD_MAX - 1);

  memcpy (request->engine->scratch, text, len);
  request->engine->scratch[len] = '\0';
  xds_request_reply_scratch (request, len + 1);
}

/* Kept for "@quota/refused", see xds_op_read(). */
static void
note_refusal (XdsRequest *request, XdsQuota quota, guint64 total, guint64 allowed)
{
  XdsRefusal *refusal = g_new (XdsRefusal, 1);

  *refusal = (XdsRefusal){ .quota = quota,
                           .total = total,
                           .allowed = allowed,
                           .op = request->header.type,
                           .tx_id = request->header.tx_id,
                           .path = g_strdup (request->path.text) };
  xds_refusal_free (request->peer->refusal);
  request->peer->refusal = refusal;
}

XdsStatus
xds_request_refusal (XdsRequest *request)
{
  const XdsRefusal *refusal = request->peer->refusal;
  int n;

  if (refusal == NULL)
    return XDS_ENOENT;
  n = snprintf ((char *) request->engine->scratch, XDS_PAYLOAD_MAX,
                "%s %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %s %u %s",
                xds_quota_name (refusal->quota), refusal->total, refusal->allowed,
                xds_op_name (refusal->op),
                refusal->tx_id, refusal->path);
  xds_request_reply_scratch (request, n);
  return XDS_OK;
}

XdsStatus
xds_request_over_quota (XdsRequest *request, XdsQuota quota, guint64 used)
{
  XdsEngine *engine = request->engine;
  XdsPeer *peer = request->peer;
  guint64 allowed = xds_quota_limit (&engine->quotas, peer->account, quota);

  note_refusal (request, quota, used, allowed);
  xds_engine_notice (engine, XDS_NOTICE_QUOTA, peer, xds_peer_domid (peer), xds_quota_name (quota),
                     request->path.text, used, allowed);
  if (request->txn != NULL && quota != XDS_QUOTA_TRANSACTIONS)
    request->txn->poison = XDS_ENOSPC;
  return XDS_ENOSPC;
}

/* Tells once when a limit is four fifths full, and again only after it was half empty. */
static void
warn_early (XdsRequest *request, XdsQuota quota, guint64 total, guint64 limit)
{
  XdsAccount *account = request->peer->account;
  guint bit = 1u << quota;

  if (total < limit / 2)
    account->warned &= ~bit;
  if ((account->warned & bit) || total < limit - limit / 5)
    return;
  account->warned |= bit;
  xds_engine_notice (request->engine, XDS_NOTICE_QUOTA_SOFT, request->peer, account->domid,
                     xds_quota_name (quota), request->path.text, total, limit);
}

XdsStatus
xds_request_check (XdsRequest *request, XdsQuota quota, guint64 total)
{
  const XdsQuotas *quotas = &request->engine->quotas;
  XdsAccount *account = request->peer->account;
  guint64 limit;

  if (request->peer->privileged)
    return XDS_OK;
  if (!xds_quota_allows (quotas, account, quota, total))
    return xds_request_over_quota (request, quota, total);
  limit = xds_quota_limit (quotas, account,
                           quota == XDS_QUOTA_MEMORY ? XDS_QUOTA_SOFT_MEMORY : quota);
  if (limit > 0 && quota < XDS_QUOTA_N_COUNTED)
    warn_early (request, quota, total, limit);
  return XDS_OK;
}

/* --- dispatch --- */

static XdsStatus
run (XdsRequest *request)
{
  guint32 type = request->header.type;
  XdsPeer *peer = request->peer;
  guint flags;

  if (type >= XDS_OP_MAX || table[type].handler == NULL)
    return XDS_ENOSYS;
  flags = table[type].flags;
  if ((flags & XDS_OP_PRIVILEGED) && !peer->privileged)
    return XDS_EACCES;
  if (request->header.tx_id != 0 && !(flags & XDS_OP_NO_TXN_ID))
    {
      request->txn = xds_peer_find_txn (peer, request->header.tx_id);
      if (request->txn == NULL)
        return XDS_ENOENT;
      if (request->txn->doomed && type != XDS_OP_TRANSACTION_END
          && type != XDS_OP_RESET_WATCHES)
        return XDS_EAGAIN;
    }
  return table[type].handler (request);
}

static void
answer (XdsRequest *request, XdsStatus status)
{
  XdsMsgHeader header = request->header;

  if (status != XDS_OK)
    {
      const char *name = xds_status_name (status);

      header.type = XDS_OP_ERROR;
      request->engine->statistics.errors++;
      xds_peer_answer (request->peer, &header, name, strlen (name) + 1);
    }
  else if (request->reply != NULL)
    xds_peer_answer (request->peer, &header, request->reply, request->reply_len);
  else
    xds_peer_answer (request->peer, &header, "OK", 3);
}

static void
fire_fresh (XdsRequest *request)
{
  const XdsPath *path = &request->path;

  xds_peer_event (request->peer, path->text + path->skip, path->len - path->skip, request->fresh);
}

static void
trace (XdsRequest *request, XdsStatus status)
{
  const XdsHost *host = request->engine->host;
  const XdsTrace record = {
    .peer = request->peer,
    .type = request->header.type,
    .req_id = request->header.req_id,
    .tx_id = request->header.tx_id,
    .status = status,
    .payload = request->payload.data,
    .payload_len = request->payload.len,
  };

  if (host->trace != NULL)
    host->trace (request->engine->host_data, &record);
}

/* A transaction is charged for what it holds and for what it pins, which others' changes make
   grow. */
static void
settle (const XdsRequest *request)
{
  XdsSnapshot *newest = request->engine->store.history.newest;

  if (request->txn != NULL && !request->txn->doomed)
    xds_txn_recharge (request->txn);
  newest = request->engine->store.history.newest;
  if (newest != NULL && (request->txn == NULL || newest != &request->txn->snapshot))
    xds_txn_recharge (xds_txn_of_snapshot (newest));
}

static gboolean
is_pure (const XdsMsgHeader *header)
{
  return header->type < XDS_OP_MAX && header->tx_id == 0
         && (table[header->type].flags & XDS_OP_PURE) != 0;
}

/* Not all of it at once: the path's buffer is large and is written before it is read. */
static inline void
init_request (XdsRequest *request, XdsPeer *peer, const XdsMsgHeader *header, const char *payload)
{
  XdsEngine *engine = peer->engine;

  request->engine = engine;
  request->peer = peer;
  request->header = *header;
  request->payload = (XdsSpan){ payload, header->len };
  request->txn = NULL;
  request->reply = NULL;
  request->reply_len = 0;
  request->fresh = NULL;
  request->path.len = request->path.skip = 0;
  request->path.text[0] = '\0';
  engine->statistics.requests++;
  engine->op = xds_op_name (header->type);
}

gboolean
xds_op_run (XdsPeer *peer, const XdsMsgHeader *header, const char *payload)
{
  XdsEngine *engine = peer->engine;
  XdsRequest request;
  XdsStatus status;

  init_request (&request, peer, header, payload);
  status = run (&request);
  if (status == XDS_LATER)
    {
      engine->statistics.requests--;
      engine->op = NULL;
      return FALSE;
    }
  answer (&request, status);
  if (request.fresh != NULL)
    fire_fresh (&request);
  trace (&request, status);
  if (!is_pure (header))
    {
      engine->journal.pure = FALSE;
      settle (&request);
    }
  engine->op = NULL;
  return TRUE;
}

/* NULs as "|", what else is no text as in C. */
static char *
printable (const char *bytes, gsize len)
{
  GString *text = g_string_sized_new (len);

  for (gsize i = 0; i < len; i++)
    if (bytes[i] == '\0')
      g_string_append_c (text, '|');
    else if (g_ascii_isprint (bytes[i]) && bytes[i] != '\\')
      g_string_append_c (text, bytes[i]);
    else
      g_string_append_printf (text, "\\%03o", (guchar) bytes[i]);
  return g_string_free (text, FALSE);
}

void
xds_op_refuse (XdsPeer *peer, const XdsMsgHeader *header, const char *payload)
{
  XdsEngine *engine = peer->engine;
  g_autofree char *text = printable (payload, header->len);
  XdsRequest request;

  init_request (&request, peer, header, payload);
  xds_engine_notice (engine, XDS_NOTICE_REFUSED, peer, xds_peer_domid (peer), text, NULL, 0, 0);
  answer (&request, XDS_EIO);
  trace (&request, XDS_EIO);
  engine->op = NULL;
}
