/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tests/transcript-play.h"

/* Ways to say the same to the engine; every transcript must come out the same. */
typedef enum
{
  XDS_STAGE_PLAIN = 0,
  XDS_STAGE_DRIBBLE = 1 << 0, /* requests come, and answers go, a few bytes at a time */
  XDS_STAGE_SINGLE = 1 << 1,  /* domains are told one by one, not as a whole list */
} XdsStageWays;

/* The engine in this process, with a table of domains for a hypervisor. */
XdsStage *xds_stage_new_engine (XdsStageWays flags);

/*
 * A daemon that listens on @socket.  @pretend is the folder of tests/peers' pretend hypervisor
 * that it runs on, or NULL: then there are no domains.
 */
XdsStage *xds_stage_new_live (const char *socket, const char *pretend);

/* How long an answer may take. */
void xds_stage_live_set_patience (XdsStage *stage, int patience_ms);

/* Does the daemon still take connections? */
gboolean xds_stage_live_is_up (XdsStage *stage);
