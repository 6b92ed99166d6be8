/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Another binary takes the place of this one, in the same process: connections, watches,
 * transactions, rings and whatever is on its way stay as they are.
 */

#include <gio/gio.h>

typedef struct XdsService XdsService;

/* CONTROL live-update: what to answer. */
gboolean xds_live_update_control (XdsService *service, const char *const *args, GString *answer);

/* Between two turns: if an update is due, does not return unless it failed. */
void xds_live_update_turn (XdsService *service);

/* Our keeper is gone: we become ourselves, with a new one, before anything else. */
void xds_live_update_alone (XdsService *service);

void xds_live_update_clear (XdsService *service);
