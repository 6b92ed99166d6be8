/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Whose data has to go?  A pure decision, and its execution for one owner.
 */

#include "userdata/store.h"

G_BEGIN_DECLS

/* Whom files belong to: a domid is not enough, it gets used again. */
typedef struct
{
  guint domid;
  char uuid[XDS_USERDATA_UUID_SIZE];
} XdsUserdataOwner;

/* All domains, to be looked up by number: (transfer full), into @domains. */
GHashTable *xds_userdata_index_new (const GArray *domains);

/* Whoever a file belongs to; NULL if he is not alive. */
const XdsUserdataDomain *xds_userdata_index_find (GHashTable *index, const XdsUserdataName *name);

/*
 * @names were listed first, @domains are all domains at one moment after that.  Returns whoever
 * owns a file of @names and is not, or is no longer alive, among @domains, each once, in the order
 * of @names.  Domain 0 is never in it.  (element-type XdsUserdataOwner) (transfer full)
 */
GArray *xds_userdata_sweep_decide (const GPtrArray *names, const GArray *domains);

/* Ordered by how soon somebody has to come back. */
typedef enum
{
  XDS_SWEEP_DONE,  /* nothing of the owner is left */
  XDS_SWEEP_ALIVE, /* it lives after all; nothing was touched */
  XDS_SWEEP_FAILED,
  XDS_SWEEP_BUSY, /* somebody holds a lock: come back */
} XdsSweepResult;

/* MAX(), but each argument is evaluated once. */
static inline XdsSweepResult
xds_sweep_worse (XdsSweepResult a, XdsSweepResult b)
{
  return a > b ? a : b;
}

/*
 * Removes all of an owner who is gone, under its lock, after asking again.  Never waits.
 * @last (nullable) is called under the lock, with all files of the owner, before any is removed.
 */
typedef void (*XdsSweepLastFunc) (const GPtrArray *names, gpointer data);

XdsSweepResult xds_userdata_sweep_owner (XdsUserdataStore *store, const XdsUserdataOwner *owner,
                                         XdsSweepLastFunc last, gpointer data, GError **error);

G_END_DECLS
