/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The hypervisor, as the rest of the daemon asks it: one opened plugin.
 */

#include "xsd/core/engine.h"
#include "xsd/daemon/config.h"
#include "xsd/hypervisor/hypervisor.h"

typedef struct
{
  const XdsHypervisorV1 *plugin;
  void *self;             /* (owned) */
  XdsDomainV1 *snapshot;  /* (owned) room for the last one */
  XdsDomainState *states; /* (owned) as much */
  gsize n, room;
} XdsDomains;

/*
 * Loads the plugin, once, for all processes that are made of this one, and opens nothing: it is
 * then of one version with the program, whatever becomes of the files.  A failure is told by
 * xds_domains_open().
 */
void xds_domains_prepare (const XdsConfig *config);

/*
 * The plugin that @config names, or else the best for this host.  @channels is the descriptor that
 * the one before us left its event channels at; -1: none.  The error is a sentence.
 */
XdsDomains *xds_domains_open (const XdsConfig *config, int channels, GError **error);
void xds_domains_free (XdsDomains *self);

/* FALSE if there is none. */
gboolean xds_domains_state (XdsDomains *self, guint domid, XdsDomainState *ret_state);

/* All domains at one moment.  The array belongs to @self until the next call. */
gboolean xds_domains_all (XdsDomains *self, const XdsDomainV1 **ret_domains, gsize *ret_n,
                          GError **error);

/* Tells @engine of what xds_domains_all() gave last. */
void xds_domains_tell (XdsDomains *self, XdsEngine *engine);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsDomains, xds_domains_free)
