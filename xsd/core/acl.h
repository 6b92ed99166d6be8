/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Permission lists, each stored once.  A list knows the nodes that use it, a domain id knows the
 * lists that name it: so whatever a domain owned, and wherever it was named, is found when it
 * dies without a look at anything else.
 */

#include "xsd/core/quota.h"
#include "xsd/wire/perms.h"

typedef struct XdsNode XdsNode;

typedef struct XdsAcl
{
  guint ref;
  guint n;             /* entries; at least one, the first is the owner's */
  gboolean retired;    /* it names a domain that died: no node may get it any more */
  XdsAccount *account; /* (owned) the owner's: what its nodes are charged to */
  XdsNode *nodes;      /* (nullable) first of the nodes that use it */
  XdsPerm perms[];
} XdsAcl;

typedef struct
{
  XdsQuotas *quotas;    /* (unowned) */
  GHashTable *lists;    /* (owned) set of XdsAcl */
  GHashTable *by_domid; /* (owned) domid -> set of XdsAcl that name it */
} XdsAclTable;

void xds_acl_table_init (XdsAclTable *table, XdsQuotas *quotas);
void xds_acl_table_clear (XdsAclTable *table);

/* The list with these entries, with a reference for the caller. */
XdsAcl *xds_acl_get (XdsAclTable *table, const XdsPerm *perms, guint n);
/* Another such list, of which a domain died: only snapshots and transactions have any. */
XdsAcl *xds_acl_get_retired (XdsAclTable *table, const XdsPerm *perms, guint n);
XdsAcl *xds_acl_ref (XdsAcl *acl);
void xds_acl_unref (XdsAclTable *table, XdsAcl *acl);

/* @acl names a domain that died and has no nodes left: who asks for its entries gets a new one. */
void xds_acl_retire (XdsAclTable *table, XdsAcl *acl);

/* @acl with another owner, or without the entries of @domid; with a reference. */
XdsAcl *xds_acl_with_owner (XdsAclTable *table, const XdsAcl *acl, guint domid);
XdsAcl *xds_acl_without (XdsAclTable *table, const XdsAcl *acl, guint domid);

/* What @domid may do, @target being the domain that it stands in for (-1: none). */
guint xds_acl_access (const XdsAcl *acl, guint domid, gint target);

static inline guint
xds_acl_owner (const XdsAcl *acl)
{
  return acl->perms[0].domid;
}

/* The lists that name @domid: (transfer container), each with a reference; may be empty. */
GPtrArray *xds_acl_table_naming (XdsAclTable *table, guint domid);
