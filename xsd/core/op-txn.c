/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Start and end of transactions, and who goes first.
 *
 * Of transactions that overlap on one node only one can pass, and nothing says that it is another
 * one next time: of 64 clients that count in one node, each as fast as it can, the same few win
 * for ever.  So a peer that lost several times in a row is favoured: until its next transaction
 * ends, those of others that would write where it lost last end in EAGAIN, as if they had come
 * later.  There is one such transaction at a time, that of the peer that has been losing longest,
 * and others step aside a limited number of times, so that a client that stops in the middle of one
 * delays them by little.
 *
 * Only privileged peers are favoured: they are trusted, and a guest that could make others fail by
 * looking at what they write would be a worse thing than a guest that has to try again.
 *
 * The road not taken: serving whoever lost before those who did not.  It helps only where both
 * requests wait at the same time, and reorders what is none of its business.
 */

#include "xsd/core/state.h"

#include <stdio.h>

/* Enough for each of a thousand others to finish what it had begun. */
#define STEPS_ASIDE 1024

/* Who has waited longer goes before who is favoured now: so the one that waits longest passes. */
static void
favour (XdsPeer *peer, XdsTxn *txn)
{
  XdsEngine *engine = peer->engine;
  const XdsPeer *first = engine->favoured != NULL ? engine->favoured->owner : NULL;

  if (peer->losing_since == 0 || (first != NULL && first->losing_since <= peer->losing_since))
    return;
  engine->favoured = txn;
  engine->favour_left = STEPS_ASIDE;
}

static void
count_conflict (XdsPeer *peer)
{
  XdsEngine *engine = peer->engine;

  engine->statistics.conflicts++;
  if (++peer->n_conflicts == engine->favour_after && peer->privileged)
    peer->losing_since = ++engine->n_losers;
}

/* Has @txn, which could be committed, to let another one pass? */
static gboolean
steps_aside (XdsEngine *engine, const XdsTxn *txn)
{
  const XdsPeer *first = engine->favoured != NULL ? engine->favoured->owner : NULL;
  XdsPeer *peer = txn->owner;

  if (first == NULL || engine->favoured == txn || engine->favoured->doomed
      || !xds_txn_writes (txn, first->conflict_place))
    return FALSE;
  peer->conflict_place = first->conflict_place;
  if (--engine->favour_left == 0)
    engine->favoured = NULL;
  return TRUE;
}

XdsStatus
xds_op_transaction_start (XdsRequest *request)
{
  XdsPeer *peer = request->peer;
  XdsStatus status;
  XdsTxn *txn;
  char id[16];

  if (request->txn != NULL)
    return XDS_EBUSY;
  status = xds_request_check (request, XDS_QUOTA_TRANSACTIONS,
                              peer->account->used[XDS_QUOTA_TRANSACTIONS] + 1);
  if (status != XDS_OK)
    return status;
  txn = xds_peer_start_txn (peer);
  favour (peer, txn);
  snprintf (id, sizeof id, "%u", txn->id);
  xds_request_reply_text (request, id);
  return XDS_OK;
}

static void
removing (void *data, XdsNode *node, gboolean replaced)
{
  xds_fire_removal (data, node, replaced);
}

static void
changed (void *data, XdsNode *node, XdsAcl *old_acl)
{
  xds_fire_node (data, node, old_acl);
}

static XdsStatus
commit (XdsRequest *request)
{
  XdsEngine *engine = request->engine;
  XdsTxn *txn = request->txn;
  XdsAccount *account = request->peer->account;
  const XdsTxnEvents events = { removing, changed, engine };
  gint64 delta;

  if (txn->poison != XDS_OK)
    return txn->poison;
  if (xds_txn_conflicts (txn, &request->peer->conflict_place) || steps_aside (engine, txn))
    {
      count_conflict (request->peer);
      return XDS_EAGAIN;
    }
  request->peer->n_conflicts = 0;
  request->peer->losing_since = 0;
  delta = request->peer->privileged ? 0 : xds_txn_node_delta (txn, account);
  if (delta > 0
      && !xds_quota_allows (&engine->quotas, account, XDS_QUOTA_NODES,
                            account->used[XDS_QUOTA_NODES] + delta))
    return xds_request_over_quota (request, XDS_QUOTA_NODES,
                                   account->used[XDS_QUOTA_NODES] + delta);
  xds_txn_apply (txn, &events);
  engine->statistics.commits++;
  return XDS_OK;
}

XdsStatus
xds_op_transaction_end (XdsRequest *request)
{
  XdsStatus status = XDS_OK;
  XdsSpan arg;

  if (!xds_msg_split (request->payload, &arg, 1) || arg.len != 1
      || (arg.data[0] != 'T' && arg.data[0] != 'F'))
    return XDS_EINVAL;
  if (request->txn == NULL)
    return XDS_ENOENT;
  if (arg.data[0] == 'T')
    status = commit (request);
  xds_peer_end_txn (request->peer, request->txn);
  request->txn = NULL;
  return status;
}
