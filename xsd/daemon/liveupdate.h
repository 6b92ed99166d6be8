/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Another binary takes the place of this one, in the same process: connections, watches,
 * transactions, rings and whatever is on its way stay as they are.
 */

#include "xsd/core/engine.h"
#include "xsd/daemon/aside.h"

typedef struct XdsService XdsService;

/* Of a service. */
typedef struct
{
  char *file, *line;      /* (owned) (nullable) what to become, and its options if not ours */
  guint64 asker;          /* id of the peer that waits for the answer */
  guint64 version;
  gint64 deadline;        /* of the trial */
  char *stamp;            /* (owned) (nullable) of the file when the trial began */
  gboolean again;         /* it is not the first: the file was replaced meanwhile */
  gboolean force;
  XdsAside *trial;        /* (owned) (nullable) while it is tried */
  char *answer;           /* (owned) (nullable) until the asker has it */
  gboolean stopped;       /* by -a */
  gboolean alone;         /* the keeper is gone: we become ourselves, untried */
  gboolean going;         /* what cannot be answered now never will be */
} XdsLiveUpdate;

/* CONTROL live-update: the loop does not come back unless it failed. */
XdsStatus xds_live_update_control (XdsService *service, XdsPeer *peer, const char *const *args,
                                   GString *answer);

/* Our keeper is gone: we become ourselves, with a new one, before anything else. */
void xds_live_update_alone (XdsService *service);

/* Between two turns: does that. */
void xds_live_update_turn (XdsService *service);

void xds_live_update_clear (XdsService *service);
