/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The names in a directory of any length.  Not installed.
 */

#include "lib/call.h"

/* The whole list by parts; for one that is known to be longer than a message. */
char **xds_list_by_parts (XdsClient *client, guint32 tx, const char *path, GError **error);
