/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A client as the core sees it: who it is, what it sent and has not been answered, what it has
 * not taken yet, its watches and its transactions.
 */

#include "xsd/core/engine.h"
#include "xsd/core/txn.h"
#include "xsd/core/watch.h"
#include "xsd/wire/msg.h"

typedef struct XdsDomain XdsDomain;

/* Room for pipelined requests; at least one message.  More costs fairness, not throughput. */
#define XDS_PEER_INPUT 8192

/* Bytes waiting for a peer, above which it is not served, and events are merged and counted. */
#define XDS_PEER_OUTPUT_DOMAIN 32768
#define XDS_PEER_OUTPUT_SOCKET 262144

/* Events kept back for a peer that is above that. */
#define XDS_PEER_HELD_DOMAIN 1024
#define XDS_PEER_HELD_SOCKET 65536
#define XDS_PEER_HELD_BYTES (16 << 20)

typedef struct
{
  guint8 *data; /* (owned) (nullable) while something is in it */
  guint32 start, end, capacity;
} XdsBuffer;

typedef struct XdsHeld XdsHeld;

/* Which limit a request met last, for a client that was told no more than ENOSPC.  One a peer, so
   that it needs no charge. */
typedef struct
{
  XdsQuota quota;
  guint64 total, allowed; /* what it would have come to, and what may be */
  guint32 op, tx_id;
  char *path; /* (owned) "" where there is none */
} XdsRefusal;

struct XdsPeer
{
  XdsEngine *engine;   /* (unowned) */
  XdsDomain *domain;   /* (unowned) (nullable) NULL: a socket */
  XdsAccount *account; /* (owned) a reference */
  void *data;          /* (unowned) the host's */
  XdsPeer *prev, *next;
  guint64 id;
  guint64 given, taken; /* bytes in all, as the journal has them */
  XdsBuffer in, out;
  XdsHeld *held;      /* (owned) (nullable) */
  XdsRefusal *refusal; /* (owned) (nullable) */
  XdsWatch *watches;  /* (owned) newest first */
  GPtrArray *txns;    /* (owned) (nullable) */
  guint64 part_generation; /* where the last part of a listing ended */
  guint32 part_offset, part_entry;
  guint32 last_txn_id;
  guint32 n_watches;
  guint32 n_answers;  /* in out, not taken yet */
  guint32 charged;    /* bytes of output, charged to the account */
  guint32 n_lost;     /* events, since its queue was empty last */
  guint32 cut;        /* bytes at the start of out that end a message which was sent in part */
  guint32 n_conflicts, conflict_place; /* of its transactions: in a row, and where last */
  guint64 losing_since; /* as the engine's n_losers counts; 0: it is not */
  XdsSocketIdentity identity;
  gint32 handle; /* what the host reaches it by; -1: nothing */
  guint privileged : 1;
  guint serving : 1;
  guint told : 1;   /* the host knows that there is something to do */
  guint failed : 1; /* broke the protocol: its bytes are not read any more */
  guint parked : 1; /* its next request was put off (XDS_LATER) */
  guint waits : 1;  /* its next request is for later, see line.c */
};

XdsPeer *xds_peer_new (XdsEngine *engine, XdsDomain *domain, const XdsSocketIdentity *identity);
void xds_peer_free (XdsPeer *peer);

/* There is something to do for it. */
void xds_peer_tell_host (XdsPeer *peer);

/* Appends an answer. */
void xds_peer_answer (XdsPeer *peer, const XdsMsgHeader *header, const void *payload, gsize len);

/* Queues an event, or keeps it back, or drops it where the peer does not read. */
void xds_peer_event (XdsPeer *peer, const char *path, gsize path_len, const XdsWatch *watch);

/* Events that are kept back, each as path NUL token NUL. */
typedef void (*XdsHeldVisit) (const char *event, gsize len, void *data);
void xds_peer_visit_held (const XdsPeer *peer, XdsHeldVisit visit, void *data);

/* What a dump had of the peer: bytes, an event that was kept back, a transaction. */
void xds_peer_load_input (XdsPeer *peer, const void *bytes, gsize len);
void xds_peer_load_output (XdsPeer *peer, const void *bytes, gsize len);
void xds_peer_load_held (XdsPeer *peer, const char *event, gsize len);
XdsTxn *xds_peer_load_txn (XdsPeer *peer, guint32 id);

XdsTxn *xds_peer_find_txn (XdsPeer *peer, guint32 id);
XdsTxn *xds_peer_start_txn (XdsPeer *peer);
void xds_peer_end_txn (XdsPeer *peer, XdsTxn *txn);
void xds_txn_recharge (XdsTxn *txn);

static inline XdsTxn *
xds_txn_of_snapshot (XdsSnapshot *snapshot)
{
  return (XdsTxn *) ((guint8 *) snapshot - G_STRUCT_OFFSET (XdsTxn, snapshot));
}

/* NULL: it has the same one already.  Asks for no quota. */
XdsWatch *xds_peer_add_watch (XdsPeer *peer, const XdsPath *path, const char *token,
                              gsize token_len, gint depth);
void xds_peer_free_watch (XdsPeer *peer, XdsWatch *watch);
void xds_peer_drop_watches (XdsPeer *peer);
void xds_peer_drop_txns (XdsPeer *peer);

/* A turn that was: just @n requests, the last of which may have been what it failed by.  FALSE: it
   goes another way now. */
gboolean xds_peer_redo (XdsPeer *peer, guint n, gboolean failed);

/* Whom permissions are checked for. */
guint xds_peer_actor (const XdsPeer *peer);
gint xds_peer_target (const XdsPeer *peer);

void xds_refusal_free (XdsRefusal *refusal);

/* Stops reading it, and tells the host. */
void xds_peer_fail (XdsPeer *peer, guint ring_error, const char *what);
