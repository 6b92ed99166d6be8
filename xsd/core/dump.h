/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Records of our own in the migration stream, for what its format has no place for.  Whoever does
 * not know them skips them, and gets the store without its open transactions.  Their numbers are in
 * the byte order of the stream; a stream of the other order has none that we would read.
 */

#include "xsd/core/state.h"
#include "xsd/core/stream.h"

enum
{
  XDS_RECORD_STATE = XDS_RECORD_OWN + 1, /* XdsRecordState: of the whole engine */
  XDS_RECORD_DOMAIN_STATE,               /* XdsRecordDomainState: before connections */
  XDS_RECORD_PEER,                       /* XdsRecordPeer: after its connection */
  XDS_RECORD_HELD,      /* XdsRecordWords, path NUL token NUL: an event kept back */
  XDS_RECORD_TXN_STATE, /* XdsRecordTxnState: after its transaction */
  XDS_RECORD_TXN_ORDER, /* XdsRecordTxnOrder: after its nodes */
  /* What happened between the starts of two transactions: each is XdsRecordWords and a path. */
  XDS_RECORD_GONE,          /* the node was removed */
  XDS_RECORD_TOUCHED,       /* .number: XdsChangedKind; a write that left it as it was */
  XDS_RECORD_CAME_AND_WENT, /* a child was made and removed again */
  XDS_RECORD_GENERATIONS,   /* guint64[]: of the directories of the tree, in order */
  XDS_RECORD_ACCOUNT,       /* XdsRecordAccount: after all that is charged */
  XDS_RECORD_REFUSAL,       /* XdsRecordRefusal, path: after the connection */
};

typedef struct
{
  guint64 moment; /* of the history */
  guint64 last_peer_id, n_losers;
  guint32 favour_after, favour_left;
  guint32 favoured_conn, favoured_txn; /* 0: nobody */
  guint32 store_domid, privileged_domid, keep_orphans, pad;
  guint64 limit[XDS_QUOTA_N], peak[XDS_QUOTA_N_COUNTED]; /* the stream's own are of 32 bits */
} XdsRecordState;

typedef struct
{
  guint32 domid;
  guint32 own, warned, pad;
  guint64 limit[XDS_QUOTA_N], peak[XDS_QUOTA_N_COUNTED];
} XdsRecordAccount;

typedef struct
{
  guint32 domid;
  gint32 target;
  guint64 unique_id;
  guint32 features;
  guint32 introduced, shutdown;
  guint32 pad;
} XdsRecordDomainState;

typedef struct
{
  guint64 id;
  guint64 given, taken, losing_since;
  guint32 conn_id;
  guint32 last_txn_id, n_answers, n_lost;
  guint32 n_conflicts, conflict_place;
  gint32 pid;
  guint32 uid, gid;
  guint32 failed, privileged;
  guint32 pad;
} XdsRecordPeer;

typedef struct
{
  guint64 total, allowed;
  guint32 conn_id, quota, op, tx_id;
  guint32 len; /* of the path, which follows */
  guint32 pad;
} XdsRecordRefusal;

typedef struct
{
  guint32 conn_id, txn_id;
  guint32 poison, doomed;
  guint64 n_changes;
  guint64 moment, charged;
  guint32 place; /* among those of its connection */
  guint32 pad;
} XdsRecordTxnState;

/* Nodes are told parents first; commit goes in another order, where something was created again. */
typedef struct
{
  guint32 conn_id, txn_id;
  guint32 n, pad;
  XdsTxnPlace order[]; /* .node: which of the nodes told comes first, which next, ... */
} XdsRecordTxnOrder;

typedef struct
{
  guint32 number;
  guint32 len; /* of the bytes that follow */
} XdsRecordWords;

/* Of a node in a transaction: our flags, above the two of the format. */
#define XDS_ACCESS_SHIFT 2
#define XDS_ACCESS_BASE 0x4000 /* the snapshot has something under this name */
/* Of any node: its permissions name a domain that died since. */
#define XDS_ACCESS_STALE (XDS_TXN_STALE << XDS_ACCESS_SHIFT)

/* --- who writes: dump.c, and dump-history.c for nodes and transactions --- */

typedef struct
{
  XdsEngine *engine;
  XdsStreamOut *out;
  GHashTable *ids;   /* (owned) peer -> number of its connection */
  XdsSnapshot *view; /* (nullable) the moment that nodes are written as of; NULL: now */
  guint version;     /* of XdsDumpHost */
  gsize len;         /* of the path */
  char path[XDS_PATH_BUF];
} XdsDump;

void xds_dump_own (XdsDump *dump, guint32 type, const void *body, gsize len);
void xds_dump_words (XdsDump *dump, guint32 type, guint32 number, const void *bytes, gsize len);
guint32 xds_dump_conn_id (XdsDump *dump, const XdsPeer *peer);
void xds_dump_history (XdsDump *dump);
void xds_dump_tree (XdsDump *dump); /* as the view sees it */

/* load.c: all but the peers' transports, which are attached at last. */
gboolean xds_load_state (XdsEngine *engine, const void *stream, gsize len, gboolean exact,
                         char **ret_why);
void xds_load_attach (XdsEngine *engine, XdsPeerLoaded loaded, void *data);
