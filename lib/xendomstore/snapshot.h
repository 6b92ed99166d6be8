/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "error.h"

G_BEGIN_DECLS

/**
 * XdsSnapshotFunc:
 * @path: of the node
 * @value: (array length=length) (element-type guint8): its value, with a NUL behind it
 * @length: of the value
 * @permissions: (array zero-terminated=1): as xds_client_get_permissions() gives them
 * @user_data: what was given to xds_snapshot_read()
 *
 * Is told one node of a snapshot.
 *
 * Returns: %FALSE to be told no more
 */
typedef gboolean (*XdsSnapshotFunc) (const char *path, const char *value, gsize length,
                                     const char *const *permissions, gpointer user_data);

gboolean xds_snapshot_read (const char *file, XdsSnapshotFunc func, gpointer user_data,
                            GError **error);

G_END_DECLS
