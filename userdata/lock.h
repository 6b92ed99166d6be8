/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * libxl's lock files: an exclusive flock on a file that exists only while the lock is wanted.
 *
 * Taken and given back exactly as libxl does it, so that both sides exclude each other.
 */

#include <glib.h>

#include "userdata/backend.h"

G_BEGIN_DECLS

typedef struct XdsUserdataLock XdsUserdataLock;

/* For @timeout of xds_userdata_lock_take(), in microseconds. */
#define XDS_USERDATA_LOCK_TRY 0        /* never wait: for who must answer others meanwhile */
#define XDS_USERDATA_LOCK_FOREVER (-1) /* as libxl does */

/*
 * Takes the lock whose file is @name.  XDS_USERDATA_ERROR_BUSY when it was not to be had within
 * @timeout.  What the lock protects must be looked at again once it is held: the wait may have
 * been long.
 */
XdsUserdataLock *xds_userdata_lock_take (XdsUserdataBackend *backend, const char *name,
                                         gint64 timeout, GError **error);

/*
 * Is it still ours alone?  Not if somebody removed the file under us, as libxl does when it runs
 * out of descriptors.  To be asked right before a change becomes visible.
 */
gboolean xds_userdata_lock_check (XdsUserdataLock *lock, GError **error);

/* Removes the file, if it is still ours, then lets go.  NULL is fine. */
void xds_userdata_lock_release (XdsUserdataLock *lock);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsUserdataLock, xds_userdata_lock_release)

G_END_DECLS
