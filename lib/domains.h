/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Which domains there are: what userdata asks.  Not installed.
 */

#include "userdata/domain.h"

typedef struct XdsDomains XdsDomains;

/* @socket NULL: the host's server.  Nothing is opened before the first question. */
XdsDomains *xds_domains_new (const char *socket);
void xds_domains_free (XdsDomains *domains);

/* To be given to a userdata store; may be called from any thread. */
XdsUserdataHypervisor xds_domains_as_hypervisor (XdsDomains *domains);
