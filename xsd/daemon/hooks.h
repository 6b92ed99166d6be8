/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Programs of the administrator's that run when a domain is introduced, shuts down or goes.
 */

#include "xsd/daemon/domains.h"
#include "xsd/transport/loop.h"

typedef struct XdsHooks XdsHooks;

/* The name that the store has for a domain, or NULL; borrowed until the next call. */
typedef const guint8 *(*XdsHooksName) (gpointer data, guint domid, gsize *ret_len);

/* All are borrowed, and must outlive it.  A folder that is missing has no hooks. */
XdsHooks *xds_hooks_new (const XdsConfig *config, XdsLoop *loop, XdsHooksName name, gpointer data,
                         XdsDomains *domains);
void xds_hooks_free (XdsHooks *self);

/* Folder and bounds, from a configuration that was read again. */
void xds_hooks_set_config (XdsHooks *self, const XdsConfig *config);

void xds_hooks_introduced (XdsHooks *self, guint domid);

/* One that was introduced before there were these hooks, as the store knows it: it hears no more of
   that, but of all that comes. */
void xds_hooks_adopt (XdsHooks *self, const XdsDomainState *domain);

/* These are all domains now: before the engine hears of it, since names of the dead are in it. */
void xds_hooks_domains (XdsHooks *self, const XdsDomainV1 *domains, gsize n);

/* Why a domain stopped or went, "poweroff" and so on; "running" for one that did not; NULL if
   nobody knows. */
const char *xds_hooks_reason (XdsHooks *self, guint domid);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsHooks, xds_hooks_free)
