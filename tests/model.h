/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The store as simply as it can be made: a second opinion on what each request means.
 *
 * Nodes are a hash table from path to node, a transaction copies it whole and is replayed at its
 * end, and every question is answered by looking at everything.  It was written from the
 * protocol's description, not from the core, and shares no code with it beyond xsd/wire.
 */

#include "xsd/core/engine.h"
#include "xsd/wire/perms.h"

typedef struct XdsModel XdsModel;
typedef struct XdsModelPeer XdsModelPeer;

/* What a peer is sent, events and replies in order. */
typedef struct
{
  guint32 type; /* of the reply; XDS_OP_WATCH_EVENT; XDS_OP_ERROR */
  GByteArray *payload;
} XdsModelMsg;

/* Is there a domain, as the hypervisor knows it? */
typedef gboolean (*XdsModelDomainState) (void *data, guint domid, XdsDomainState *ret_state);

typedef struct
{
  guint64 nodes, node_size, node_permissions, watches, transactions; /* 0: unlimited */
} XdsModelLimits;

XdsModel *xds_model_new (XdsModelDomainState domain_state, void *data,
                         const XdsModelLimits *limits);
void xds_model_free (XdsModel *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsModel, xds_model_free)

XdsModelPeer *xds_model_add_socket (XdsModel *model);
XdsModelPeer *xds_model_guest (XdsModel *model, guint domid); /* NULL if not connected */
void xds_model_remove_peer (XdsModelPeer *peer);

/* Executes a request at once.  TRANSACTION_START answers with the model's own id.  Where nothing
   is said about what to answer, @hint is as good as anything. */
void xds_model_request (XdsModelPeer *peer, guint32 type, guint32 tx_id, const char *payload,
                        gsize len, XdsStatus hint);

/* All domains that there are, ordered by domid. */
void xds_model_domains (XdsModel *model, const XdsDomainState *domains, gsize n);

/* What @peer was sent next, or NULL. (transfer full) */
XdsModelMsg *xds_model_receive (XdsModelPeer *peer);
void xds_model_msg_free (XdsModelMsg *msg);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsModelMsg, xds_model_msg_free)

/* The whole store as text, one node a line, children in order of insertion. */
char *xds_model_dump (XdsModel *model);

typedef struct
{
  guint64 nodes, watches, transactions, domains;
} XdsModelStatistics;

void xds_model_statistics (XdsModel *model, XdsModelStatistics *ret_statistics);
