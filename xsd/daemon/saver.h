/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Snapshots of the store on disk, from time to time and on demand, for whoever wants to look at
 * them after a power cut: they are not read again by us.
 */

#include "xsd/core/engine.h"
#include "xsd/daemon/config.h"

typedef struct XdsSaver XdsSaver;

/* All are borrowed. */
XdsSaver *xds_saver_new (XdsEngine *engine, const XdsConfig *config);

/* Ends one that is being written; the file that was there before stays. */
void xds_saver_free (XdsSaver *self);

void xds_saver_set_config (XdsSaver *self, const XdsConfig *config);

/* CONTROL snapshot [FILE].  @last: nobody is answered later. */
XdsStatus xds_saver_control (XdsSaver *self, XdsPeer *peer, const char *const *args, gboolean last,
                             GString *answer);
