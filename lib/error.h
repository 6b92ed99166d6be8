/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How the library makes errors of the server's answers.  Not installed. */

#include "lib/client.h"

/* @tx is 0 outside of a transaction.  @path and @domid (XDS_NO_DOMID: none) say what the operation
   was about. */
GError *xds_error_new_for (guint op, guint32 tx, const char *path, int domid,
                           XdsStatus status);
