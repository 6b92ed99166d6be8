/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of the library share about userdata.  Not installed. */

#include "lib/domains.h"
#include "lib/xendomstore/userdata.h"
#include "userdata/monitor.h"
#include "userdata/store.h"

struct _XdsUserdata
{
  GObject parent;
  XdsDomains *domains;     /* owned */
  XdsUserdataStore *store; /* owned */
  XdsMonitor *monitor;     /* (nullable) owned */
  GSource *source;         /* (nullable) owned */
};

/* --- userdata.c --- */

/* Makes an error of userdata/, if there is one, one of the library; to be called before return. */
void xds_userdata_own_error (GError **error);

/* What a list of userdata/ (transfer full) (nullable) is for the caller; NULL for NULL. */
GPtrArray *xds_userdata_own_list (GPtrArray *list, GCopyFunc convert, GDestroyNotify free_func);

/* --- userdata-watch.c --- */

void xds_userdata_watch_init_class (XdsUserdataClass *userdata_class);
void xds_userdata_watch_clear (XdsUserdata *userdata);
