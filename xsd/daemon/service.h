/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The composition root: one engine, one hypervisor, the transports, and what they need of each
 * other.  Nothing else knows all of them.
 */

#include "xsd/daemon/options.h"
#include "xsd/daemon/process.h"
#include "xsd/daemon/resume.h"

/* Everything that can fail at the start; clients can connect when this returns.  (transfer full)
   @config; @options is borrowed, for SIGHUP, and @pid_file (nullable) too, for a live update.
   @resume says what to go on from. */
XdsService *xds_service_new (const XdsOptions *options, XdsConfig *config, const XdsResume *resume,
                             XdsPidFile *pid_file, GError **error);

/* Removes the socket and gives up all rings. */
void xds_service_free (XdsService *self);

/* Serves until SIGTERM or SIGINT. */
void xds_service_run (XdsService *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsService, xds_service_free)
