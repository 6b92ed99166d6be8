/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Data that survives a soft reset.
 *
 * A soft reset starts a guest anew in the same domain.  libxl does it with the code of destroy and
 * removes all userdata, then writes its own again; what others stored would be lost.
 */

#include "userdata/sweep.h"

G_BEGIN_DECLS

/* Subfolder of what is kept meanwhile; no pattern of libxl's matches it. */
#define XDS_USERDATA_KEPT "userdata-kept"

/* The domain has shut down in order to be reset: keep what is not libxl's.  To be called before
   the toolstack hears of the shutdown.  Needs no lock. */
gboolean xds_userdata_soft_reset_begin (XdsUserdataStore *store, const XdsUserdataDomain *domain,
                                        GError **error);

/* The domain was introduced again: put back what is missing.  Never waits; BUSY: come back. */
XdsSweepResult xds_userdata_soft_reset_end (XdsUserdataStore *store,
                                            const XdsUserdataDomain *domain, GError **error);

/* Drops what was kept for domains that did not come back.  @domains as for a sweep, and @names
   are those in the subfolder, listed before. */
void xds_userdata_soft_reset_sweep (XdsUserdataStore *store, const GPtrArray *names,
                                    const GArray *domains);

G_END_DECLS
