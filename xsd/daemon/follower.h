/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The daemon without its server (--userdata-only): it keeps domains' userdata and runs hooks, and
 * hears of domains as a client of whatever serves the store.
 */

#include "xsd/daemon/options.h"

typedef struct XdsFollower XdsFollower;

/* Everything that can fail at the start; the store need not be there yet.  (transfer full) @config;
   @options is borrowed, for SIGHUP. */
XdsFollower *xds_follower_new (const XdsOptions *options, XdsConfig *config, GError **error);
void xds_follower_free (XdsFollower *self);

/* Until SIGTERM or SIGINT. */
void xds_follower_run (XdsFollower *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsFollower, xds_follower_free)
