/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The engine from inside: what the operations share.
 */

#include "xsd/core/journal.h"
#include "xsd/core/peer.h"
#include "xsd/wire/msg.h"
#include "xsd/wire/op-number.h"
#include "xsd/wire/ring.h"

/* All that we can do; what a guest is offered unless SET_FEATURE said less. */
#define XDS_FEATURES_ALL                                                                           \
  (XDS_FEATURE_RECONNECTION | XDS_FEATURE_ERROR | XDS_FEATURE_WATCH_DEPTH | XDS_FEATURE_DOMID_ANY)

/* A domain that somebody named or introduced. */
struct XdsDomain
{
  guint domid;
  XdsAccount *account; /* (owned) a reference, so that its limits stay */
  XdsPeer *peer;       /* (owned by the engine) (nullable) its ring */
  guint64 unique_id;
  guint32 features;
  gint target;          /* domid that it stands in for; -1: none */
  gboolean introduced;
  gboolean shutdown; /* its shutdown was told already */
};

/* Who tries a transaction again, see line.c. */
typedef struct
{
  XdsPeer *first;  /* (unowned) (nullable) whose turn it is */
  GQueue rest;     /* (element-type XdsPeer) (unowned) who waits for theirs */
  guint32 place;   /* where all of them lost */
  gint64 until;    /* so long at most, if others wait */
  gint64 patience; /* microseconds; 0: nobody waits */
} XdsLine;

struct XdsEngine
{
  const XdsHost *host; /* (unowned) */
  void *host_data;
  XdsQuotas quotas;
  XdsStore store;
  XdsWatches watches;
  GHashTable *domains; /* (owned) domid -> XdsDomain */
  XdsPeer *peers;      /* (owned) list */
  GHashTable *by_id;   /* (owned) (nullable) the same by id, while a journal is replayed */
  guint64 last_peer_id;
  gint64 now;
  guint store_domid, privileged_domid;
  gboolean keep_orphans;
  gboolean any_target; /* SET_TARGET was ever used */
  XdsTxn *favoured;    /* (unowned) (nullable) whom others let pass, see op-txn.c */
  guint favour_left;   /* how often they will */
  guint favour_after;  /* conflicts in a row that earn it; 0: nothing does */
  XdsLine line;
  guint64 n_losers;    /* peers that ever earned it: whoever did before others goes first */
  guint8 *spare_in, *spare_out; /* (owned) (nullable) buffers of whoever is served */
  guint32 spare_out_capacity;
  const char *op;  /* (nullable) that is under way */
  guint8 *scratch; /* (owned) XDS_PAYLOAD_MAX bytes: answers are put together here */
  guint64 made;    /* bytes of output so far, whoever's */
  XdsJournal journal;
  XdsStatistics statistics;
};

/* One request on its way. */
typedef struct
{
  XdsEngine *engine;
  XdsPeer *peer;
  XdsMsgHeader header;
  XdsSpan payload;
  XdsTxn *txn; /* (nullable) */
  XdsPath path; /* of the operations that have one */
  const void *reply; /* borrowed; NULL: "OK" */
  gsize reply_len;
  XdsWatch *fresh; /* a watch that is to fire right after the answer */
} XdsRequest;

/* --- op-*.c: XdsStatus handler (XdsRequest *), listed in ops.def --- */

#define XDS_OP(number, name, handler, flags) XdsStatus handler (XdsRequest *request);
#include "xsd/core/ops.def"
#undef XDS_OP

enum
{
  XDS_OP_PRIVILEGED = 1 << 0, /* EACCES for others */
  XDS_OP_NO_TXN_ID = 1 << 1,  /* tx_id of the header means nothing */
  XDS_OP_PURE = 1 << 2,       /* outside of a transaction it changes nothing, whatever it answers */
};

/* op.c */
/* FALSE: it was put off (XDS_LATER). */
gboolean xds_op_run (XdsPeer *peer, const XdsMsgHeader *header, const char *payload);
/* Answers EIO instead, and tells the host. */
void xds_op_refuse (XdsPeer *peer, const XdsMsgHeader *header, const char *payload);
XdsStatus xds_request_path (XdsRequest *request, XdsSpan text, XdsPathFlags flags);
void xds_request_reply_text (XdsRequest *request, const char *text);
/* The first @n bytes of the engine's scratch, which the handler has filled. */
void xds_request_reply_scratch (XdsRequest *request, gsize n);

/* Told to the host with the peer's domid; the status to answer. */
XdsStatus xds_request_over_quota (XdsRequest *request, XdsQuota quota, guint64 used);
/* Answers with what was refused to the peer last: quota, total, allowed, operation, transaction,
   path. */
XdsStatus xds_request_refusal (XdsRequest *request);
/* May the peer's account reach @total?  XDS_OK, or what to answer, told and logged. */
XdsStatus xds_request_check (XdsRequest *request, XdsQuota quota, guint64 total);

/* op-control.c: cuts @answer to what fits into one. */
void xds_control_cut (GString *answer);

/* --- line.c --- */

/* @peer, which lost its last transaction, is about to begin one.  TRUE: it has to wait; the host is
   told when it may be served. */
gboolean xds_line_stand (XdsPeer *peer);
/* It has no transaction any more, or is no more. */
void xds_line_leave (XdsPeer *peer);
void xds_line_tick (XdsEngine *engine);
gint64 xds_line_deadline (const XdsEngine *engine);

/* --- fire.c --- */

/* The event of a change of @node, which is about to go or was made; @old_acl (nullable): what it
   was until now. */
void xds_fire_node (XdsEngine *engine, const XdsNode *node, const XdsAcl *old_acl);
/* The events of the removal of @root, before it: those below first.  @replaced: not the root's. */
void xds_fire_removal (XdsEngine *engine, XdsNode *root, gboolean replaced);
/* @introduceDomain or @releaseDomain, @generic: the bare one. */
void xds_fire_domain (XdsEngine *engine, const char *special, guint domid, gboolean generic,
                      gboolean per_domain);
/* A path without a node: everybody privileged who watches it, and with @below what is below it. */
void xds_fire_path (XdsEngine *engine, const char *path, gboolean below);

/* --- domain.c --- */

XdsDomain *xds_domain_find (XdsEngine *engine, guint domid);
XdsDomain *xds_domain_add (XdsEngine *engine, guint domid, guint64 unique_id);
/* The domain, if the hypervisor has it (and then it is remembered); NULL if it does not exist. */
XdsDomain *xds_domain_get (XdsEngine *engine, guint domid);
XdsStatus xds_domain_introduce (XdsEngine *engine, guint domid, guint64 gfn, guint port);
void xds_domain_release (XdsEngine *engine, XdsDomain *domain);
/* Domain 0 and the store's own: there without being introduced, and never gone. */
gboolean xds_domid_resident (const XdsEngine *engine, guint domid);

/* May do everything: those two, and the one that was set. */
gboolean xds_domid_privileged (const XdsEngine *engine, guint domid);
void xds_domain_free (XdsEngine *engine, XdsDomain *domain);
/* What the hypervisor says of domains that we know, in order of their ids; dying: or gone. */
void xds_domain_apply (XdsEngine *engine, const XdsDomainState *changes, gsize n);

/* The list of peers begins with the newest; from this one on, prev is the next younger. */
XdsPeer *xds_engine_oldest_peer (const XdsEngine *engine);

/* A limit was met: tells the host. */
void xds_engine_notice (XdsEngine *engine, XdsNoticeKind kind, XdsPeer *peer, guint domid,
                        const char *what, const char *path, guint64 used, guint64 allowed);
