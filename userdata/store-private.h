/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the files of userdata/ share of a store; nobody else includes this.
 */

#include "userdata/file.h"
#include "userdata/store.h"

G_BEGIN_DECLS

struct XdsUserdataStore
{
  XdsUserdataBackend *backend; /* (owned) */
  XdsUserdataHypervisor hypervisor;
  XdsUserdataLimits limits;
  char *folder; /* (owned) (nullable) */
  gint64 timeout;
  gboolean durable;
  gint boot_is_current; /* atomic; once seen it stays */
};

/* The domain now.  With @for_writing one that is dying is none. */
gboolean xds_userdata_ask (XdsUserdataStore *store, guint domid, gboolean for_writing,
                           XdsUserdataDomain *ret_domain, GError **error);

/* Is the domain still the one that it was? */
gboolean xds_userdata_ask_again (XdsUserdataStore *store, const XdsUserdataDomain *domain,
                                 gboolean for_writing, GError **error);

/* The domain's lock, and the domain was asked for again. */
XdsUserdataLock *xds_userdata_lock_domain (XdsUserdataStore *store, const XdsUserdataDomain *domain,
                                           gint64 timeout, gboolean for_writing, GError **error);

/* All names in the folder, or in a subfolder of it. (element-type utf8) (transfer full) */
GPtrArray *xds_userdata_names (XdsUserdataStore *store, const char *sub, GError **error);

/* Data of an earlier boot is nobody's, unless it is domain 0's own. */
gboolean xds_userdata_is_stale (XdsUserdataStore *store, guint domid, const struct stat *st);

/* The same, of one incarnation. (element-type utf8) (transfer full) */
GPtrArray *xds_userdata_names_of (XdsUserdataStore *store, guint domid, const char *uuid,
                                  GError **error);

/*
 * Removes files, all letters but locks.  The lock of their owner must be held.  Goes on after an
 * error; the first one is told.
 */
gboolean xds_userdata_remove_files (XdsUserdataStore *store, const GPtrArray *names,
                                    GError **error);

G_END_DECLS
