/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A folder in memory that knows what a disk would hold if the power went now.
 *
 * The worst that POSIX allows: without a sync of the folder, any subset of the changes of names
 * since the last one may have reached the disk; without a sync of a file, it may hold any part of
 * what was written, or zeros, or nothing.  A rename is one change: both names or none.
 */

#include "userdata/backend.h"

typedef struct XdsDiskModel XdsDiskModel;

/* Called for each folder that could be found after a power cut: name to GBytes. */
typedef void (*XdsDiskFunc) (GHashTable *files, gpointer data);

XdsDiskModel *xds_disk_model_new (void);
void xds_disk_model_free (XdsDiskModel *model);

/* A backend over it; the model must outlive it. (transfer full) */
XdsUserdataBackend *xds_disk_model_backend (XdsDiskModel *model);

/* @before is called before each call of a backend, with the number of the call. */
void xds_disk_model_set_hook (XdsDiskModel *model, void (*before) (gpointer data), gpointer data);

/* All that the disk could hold now. */
void xds_disk_model_cut (XdsDiskModel *model, XdsDiskFunc func, gpointer data);

/* How many files there are, by a running system's view. */
guint xds_disk_model_count (XdsDiskModel *model);

/* A model that begins with @files, all of them durable. */
XdsDiskModel *xds_disk_model_new_from (GHashTable *files);
