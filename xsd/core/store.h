/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The live tree, and the one place where it changes: every change of a node passes one of the four
 * functions below, which keep charges, permission references, history and counters right.  Whoever
 * has to know of each change hooks in there.
 */

#include "xsd/core/snapshot.h"
#include "xsd/wire/path.h"

typedef struct
{
  XdsQuotas *quotas; /* (unowned) */
  XdsAclTable acls;
  XdsHistory history;
  XdsNode *root;    /* (owned) "/" */
  XdsNode *special; /* (owned) parent of @introduceDomain, @releaseDomain */
  guint64 n_nodes;
  guint64 bytes; /* of nodes, as charged */
} XdsStore;

/* With the tree that a server starts with: "/", "/tool" and the special nodes. */
void xds_store_init (XdsStore *store, XdsQuotas *quotas);
void xds_store_clear (XdsStore *store);

/* The tree's top that @path starts from; components start at *ret_pos of its text. */
XdsNode *xds_store_top (XdsStore *store, const char *text, gsize *ret_pos);

/*
 * The live node of a path, or NULL; then *ret_near is the deepest ancestor that exists, and
 * *ret_pos where the first missing component starts.  Both may be NULL.
 */
XdsNode *xds_store_find (XdsStore *store, const char *text, gsize len, XdsNode **ret_near,
                         gsize *ret_pos);

XdsNode *xds_store_create (XdsStore *store, XdsNode *parent, const char *name, gsize len,
                           XdsAcl *acl, const void *value, gsize value_len);
void xds_store_set_value (XdsStore *store, XdsNode *node, const void *value, gsize len);
void xds_store_set_acl (XdsStore *store, XdsNode *node, XdsAcl *acl);
void xds_store_remove (XdsStore *store, XdsNode *node);
