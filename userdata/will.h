/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The last will: what a dead domain leaves, for a set time, to find out why it died and how it was
 * configured.
 */

#include "userdata/sweep.h"

G_BEGIN_DECLS

/* The subfolder; no pattern of libxl's, nor of scripts that look for its data, matches in it. */
#define XDS_USERDATA_WILL "userdata-will"

/* One file of somebody dead. */
typedef struct
{
  XdsUserdataOwner owner;
  char *userid; /* (owned) */
  char *file;   /* (owned): its name below the folder */
  gint64 died;  /* seconds since 1970 */
} XdsUserdataLegacy;

void xds_userdata_legacy_free (XdsUserdataLegacy *legacy);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsUserdataLegacy, xds_userdata_legacy_free)

/* What there is. (element-type XdsUserdataLegacy) (transfer full), the latest first. */
GPtrArray *xds_userdata_will_list (XdsUserdataStore *store, GError **error);

GBytes *xds_userdata_will_get (XdsUserdataStore *store, const XdsUserdataLegacy *legacy,
                               GError **error);

/* --- for the keeper --- */

typedef struct XdsUserdataWill XdsUserdataWill;

/* Keeps for @seconds. */
XdsUserdataWill *xds_userdata_will_new (XdsUserdataStore *store, guint seconds);
void xds_userdata_will_free (XdsUserdataWill *will);

/* A file of data was stored, or vanished; then returns when to sweep, in monotonic time. */
void xds_userdata_will_stored (XdsUserdataWill *will, const char *file);
gint64 xds_userdata_will_vanished (XdsUserdataWill *will, const char *file);

/* As for a sweep: @names are those in the subfolder, listed before @domains.  Returns when to call
   again, in monotonic time; -1: no need. */
gint64 xds_userdata_will_sweep (XdsUserdataWill *will, const GPtrArray *names,
                                const GArray *domains);

G_END_DECLS
