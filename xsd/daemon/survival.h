/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What outlives the daemon's process: a dump of the engine, the journal of what was done to it
 * since, and the slate of the transports.  The keeper (keeper.h) gives it to the next process.
 */

#include "xsd/transport/slate.h"

#include <gio/gio.h>

typedef struct XdsService XdsService;
typedef struct XdsSurvival XdsSurvival;

/* In the keeper, before there is a daemon: memory that it and each daemon after it share. */
XdsSurvival *xds_survival_new (GError **error);
void xds_survival_free (XdsSurvival *self);

XdsSlate *xds_survival_slate (XdsSurvival *self);

/*
 * From now on what is done to the service's engine is kept.  A warning if it cannot be: the daemon
 * then serves without.
 */
void xds_survival_begin (XdsSurvival *self, XdsService *service);

/* Descriptors that hold what is kept, at most XDS_SURVIVAL_FDS; their number. */
#define XDS_SURVIVAL_FDS 3
guint xds_survival_fds (const XdsSurvival *self, int *fds);

/*
 * In a daemon that comes after one that died: its engine, which is as new, and its transports are
 * brought to where that one was.  @connections: of the socket, that were found open.  @status: what
 * wait() says of that process.
 */
gboolean xds_survival_recover (XdsSurvival *self, XdsService *service, const GArray *connections,
                               int status, GError **error);

/* Between two turns: makes a new dump where the journal has become long. */
void xds_survival_turn (XdsSurvival *self);

/* What is done from now on is not kept, until xds_survival_more(). */
void xds_survival_stop (XdsSurvival *self);

/* XdsHost.journal_full */
gboolean xds_survival_more (XdsSurvival *self);

/* Stops keeping, and waits for a dump that is being made. */
void xds_survival_end (XdsSurvival *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsSurvival, xds_survival_free)
