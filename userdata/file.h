/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One file of userdata: read whole, replaced whole.  Knows nothing of domains.
 */

#include <glib.h>

#include "userdata/backend.h"

G_BEGIN_DECLS

typedef struct
{
  GBytes *bytes; /* (owned) (nullable) */
  struct stat st;
} XdsUserdataFile;

void xds_userdata_file_clear (XdsUserdataFile *file);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (XdsUserdataFile, xds_userdata_file_clear)

/* XDS_USERDATA_ERROR_ABSENT, _NOT_REGULAR, _FOREIGN, ...  An empty file is read without error. */
gboolean xds_userdata_file_read (XdsUserdataBackend *backend, const char *name,
                                 XdsUserdataFile *ret_file, GError **error);

/* Without reading: is there a file that we may replace, and how large is it?  */
gboolean xds_userdata_file_stat (XdsUserdataBackend *backend, const char *name,
                                 struct stat *ret_stat, GError **error);

/*
 * Makes @name hold @bytes, by way of a new file @via.  At every moment @name leads to the old
 * bytes or to the new ones, whole; with @durable also after a power cut, and to the new ones once
 * this returned.  @ready, if not NULL, is asked last before the new bytes become visible.
 */
typedef gboolean (*XdsUserdataReadyFunc) (gpointer data, GError **error);

gboolean xds_userdata_file_replace (XdsUserdataBackend *backend, const char *name, const char *via,
                                    GBytes *bytes, gboolean durable, XdsUserdataReadyFunc ready,
                                    gpointer data, GError **error);

/* XDS_USERDATA_ERROR_ABSENT if there is none. */
gboolean xds_userdata_file_remove (XdsUserdataBackend *backend, const char *name, gboolean durable,
                                   GError **error);

/* Makes what was renamed and removed so far survive a power cut; @name is for the message. */
gboolean xds_userdata_sync_folder (XdsUserdataBackend *backend, const char *name, GError **error);

/* Tells one content of a file from another; never 0.  See file.c. */
guint64 xds_userdata_file_generation (const XdsUserdataFile *file);

G_END_DECLS
