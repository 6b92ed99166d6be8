/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The state of an engine into a file: for the next program, or for the disk.
 */

#include "xsd/core/engine.h"

#include <gio/gio.h>

/* At the position of @fd.  @host and @data as of xds_engine_dump(); *ret_len is nullable. */
gboolean xds_state_write (XdsEngine *engine, const XdsDumpHost *host, void *data, int fd,
                          gsize *ret_len, GError **error);
