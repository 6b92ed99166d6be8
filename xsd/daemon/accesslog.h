/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A line for each request and each event, in a file:
 *
 *   2026-11-21T12:00:00.123456Z D7.12 WRITE tx=0 OK device/vif/0/state 4
 *
 * D7.12 is domain 7, the 12th peer since the start; a client on the socket is S.PID.12.  Bytes
 * that are not printable are written as \xNN, the NUL between strings as a blank.
 */

#include "xsd/core/engine.h"
#include "xsd/daemon/config.h"

typedef struct XdsAccessLog XdsAccessLog;

/* NULL without an error where @config asks for none. */
XdsAccessLog *xds_access_log_new (const XdsConfig *config, GError **error);
void xds_access_log_free (XdsAccessLog *self);

void xds_access_log_trace (XdsAccessLog *self, const XdsTrace *trace);

/* Writes what was collected. */
void xds_access_log_flush (XdsAccessLog *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsAccessLog, xds_access_log_free)
