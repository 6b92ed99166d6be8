/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A transaction: a snapshot, and over it a small tree of what the transaction looked at or wrote.
 *
 * Each XdsTxnNode stands for one name.  It remembers what was read of the snapshot (so that commit
 * can ask whether somebody wrote that since) and what was written.  Nothing of the live store
 * changes before commit.
 */

#include "xsd/core/store.h"

typedef struct XdsTxnNode XdsTxnNode;
typedef struct XdsTxn XdsTxn;

enum
{
  /* read of the snapshot */
  XDS_TXN_READ_NAME = 1 << 0, /* whether it exists */
  XDS_TXN_READ_VALUE = 1 << 1,
  XDS_TXN_READ_ACL = 1 << 2,
  XDS_TXN_READ_LIST = 1 << 3,
  /* written */
  XDS_TXN_REMOVED = 1 << 4, /* what the snapshot has here is to go */
  XDS_TXN_CREATED = 1 << 5, /* a new node is to come */
  XDS_TXN_VALUE = 1 << 6,
  XDS_TXN_ACL = 1 << 7,
  /* state */
  XDS_TXN_EXISTS = 1 << 8, /* as the transaction sees it */
  XDS_TXN_TARGET = 1 << 9, /* a request named it, so it counts */
  XDS_TXN_FIRES = 1 << 10, /* a request changed it, so commit fires an event */
  XDS_TXN_STALE = 1 << 11, /* in a dump: its permissions name a domain that died since */
};

struct XdsTxnNode
{
  XdsTxnNode *parent;
  XdsNode *base;    /* (nullable) (unowned) what the snapshot has under this name */
  XdsNode *live;    /* (unowned) during commit: the node of the live tree */
  XdsAcl *acl;      /* (owned) (nullable) when ACL or CREATED */
  GBytes *value;    /* (owned) (nullable) when VALUE */
  GPtrArray *created; /* (owned) (nullable) children that are to come, in order */
  GString *listing; /* (owned) (nullable) names with NULs, while nothing changed */
  guint64 generation; /* of the listing */
  guint flags;
  guint32 at; /* in the transaction's order */
  guint16 name_len;
  const char *name; /* in the node's own memory; borrowed in a probe */
};

struct XdsTxn
{
  guint32 id;
  XdsStore *store; /* (unowned) */
  void *owner;     /* (unowned) the peer */
  XdsSnapshot snapshot;
  GHashTable *nodes; /* (owned) (parent, name) -> XdsTxnNode */
  GPtrArray *order;  /* (owned) (element-type XdsTxnNode) as first met, or as created; with holes */
  guint n_holes;     /* in it */
  XdsTxnNode *top, *special;
  guint n_targets;
  guint64 n_changes;
  XdsStatus poison; /* what commit has to answer: a quota was met */
  gboolean doomed;  /* it was given up: nothing but its id is left */
  gsize bytes;      /* of nodes and written values, beside the snapshot's */
  gsize charged;    /* to the peer's account */
  guint32 place;    /* while it is loaded: among those of its peer */
};

XdsTxn *xds_txn_new (XdsStore *store, guint32 id);
void xds_txn_free (XdsTxn *txn);

/* As xds_store_find(), in the transaction's view; what was looked at counts as read. */
XdsTxnNode *xds_txn_find (XdsTxn *txn, const char *text, gsize len, XdsTxnNode **ret_near,
                          gsize *ret_pos);

/* Of nodes that exist; each counts as read unless the transaction wrote it itself. */
const guint8 *xds_txn_value (XdsTxn *txn, XdsTxnNode *node, gsize *ret_len);
XdsAcl *xds_txn_acl (XdsTxn *txn, XdsTxnNode *node);
const GString *xds_txn_listing (XdsTxn *txn, XdsTxnNode *node, guint64 *ret_generation);

XdsTxnNode *xds_txn_create (XdsTxn *txn, XdsTxnNode *parent, const char *name, gsize len,
                            XdsAcl *acl);
void xds_txn_set_value (XdsTxn *txn, XdsTxnNode *node, const void *value, gsize len);
void xds_txn_set_acl (XdsTxn *txn, XdsTxnNode *node, XdsAcl *acl);
void xds_txn_remove (XdsTxn *txn, XdsTxnNode *node);

/* A node as a dump had it; its parents stand before it.  @based: the snapshot has something under
   its name.  FALSE: it cannot be so. */
typedef struct
{
  const char *path; /* canonical; "@" is the parent of the special ones */
  gsize len;
  guint flags;
  gboolean based;
  XdsAcl *acl; /* (nullable) */
  const void *value;
  gsize value_len;
} XdsTxnLoad;
gboolean xds_txn_load (XdsTxn *txn, const XdsTxnLoad *load);
/* Puts the nodes in the order of commit: order[i] says which of those loaded is the i-th.  Before
   the store changes again, since listings are put together anew. */
typedef struct
{
  guint32 node;   /* which of those loaded */
  guint32 listed; /* its listing was put together */
  guint64 generation;
} XdsTxnPlace;
gboolean xds_txn_load_order (XdsTxn *txn, const XdsTxnPlace *order, guint n);

/* Gives everything up: the transaction pins nothing any more and can only end in EAGAIN. */
void xds_txn_doom (XdsTxn *txn);

/* Was anything that was read written by somebody else since?  Then *@ret_place stands for the name
   where (see xds_txn_writes()); it is not touched where there is none to tell. */
gboolean xds_txn_conflicts (XdsTxn *txn, guint32 *ret_place);

/* Would the commit write the name that @place stands for?  By chance too, once in 2^32. */
gboolean xds_txn_writes (const XdsTxn *txn, guint32 place);

/* How many nodes of the account's domain come (or go, negative) with the commit. */
gint64 xds_txn_node_delta (XdsTxn *txn, const XdsAccount *account);

/*
 * Applies the changes to the live store, after the snapshot was released.  Before a change that
 * removes, @removing is called with the node that goes (@replaced: another comes in its place);
 * after any other, @changed with the node and its old permissions (NULL: the same).  Only for
 * nodes that a request named.
 */
typedef struct
{
  void (*removing) (void *data, XdsNode *node, gboolean replaced);
  void (*changed) (void *data, XdsNode *node, XdsAcl *old_acl);
  void *data;
} XdsTxnEvents;
void xds_txn_apply (XdsTxn *txn, const XdsTxnEvents *events);
