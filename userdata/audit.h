/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What is wrong in the folder, and mending it: for an administrator, also while no keeper runs.
 */

#include "userdata/store.h"

G_BEGIN_DECLS

typedef enum
{
  XDS_AUDIT_ORPHAN,       /* of a domain that there is not */
  XDS_AUDIT_OTHER_UUID,   /* the number is another domain's now, or this one's uuid was changed */
  XDS_AUDIT_EARLIER_BOOT, /* written before the host was started */
  XDS_AUDIT_LEFTOVER,     /* the new file of a store that was cut short, a minute ago or more */
  XDS_AUDIT_STALE_LOCK,   /* a lock file a minute old; one that is held is not mended */
  XDS_AUDIT_EMPTY,        /* data without a byte; not mended, its owner has to store it again */
  XDS_AUDIT_BAD_NAME,     /* a userid that only libxl lets in; not mended */
  XDS_AUDIT_NOT_REGULAR,  /* not mended, as whoever made it knows why */
  XDS_AUDIT_FOREIGN,      /* of another user; not mended */
  XDS_AUDIT_MAX_,         /*< skip >*/
} XdsAuditKind;

typedef struct
{
  XdsAuditKind kind;
  char *file; /* (owned) */
  guint domid;
  gboolean fixed;
} XdsAuditFinding;

void xds_audit_finding_free (XdsAuditFinding *finding);

/* "orphan", "leftover", ...; never NULL. */
const char *xds_audit_kind_name (XdsAuditKind kind);

/*
 * Looks at each file; with @fix removes what can be removed, under the lock and without waiting
 * long.  Nothing of a domain that lives is removed but leftovers, locks that nobody holds and data
 * of an earlier boot; of domain 0 not even that.  Needs the hypervisor's all().
 * (element-type XdsAuditFinding) (transfer full)
 */
GPtrArray *xds_userdata_store_audit (XdsUserdataStore *store, gboolean fix, GError **error);

G_END_DECLS
