/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Where messages go.  All of the daemon logs by GLib (g_warning() and so on); this is the writer
 * behind it.  g_message() is syslog's "notice".
 */

#include "xsd/core/engine.h"
#include "xsd/daemon/config.h"

/* May be called again: to change target, level or file, or because the file was moved away. */
gboolean xds_log_open (const XdsConfig *config, GError **error);

/* A plugin's XdsHypervisorHostV1.log. */
void xds_log_plugin (void *data, int priority, const char *text);

/*
 * An engine's notice, with the journal fields XDS_DOMID=, XDS_PEER=, XDS_OP=, XDS_PATH= and
 * XDS_QUOTA=.
 * The same thing of the same domain is told once a minute, with the number left out meanwhile.
 */
void xds_log_notice (const XdsNotice *notice);
