/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A peer that plays a list of requests, one at a time as libxenstore does.  What stands between a
 * TRANSACTION_START and its END is sent with the transaction's id, and played again from the start
 * of it on EAGAIN.  Other errors are answers like any other: libxl reads and removes what may not
 * be there.
 */

#include "tests/bench/peer.h"

typedef struct BenchPlayer BenchPlayer;

struct BenchPlayer
{
  BenchPeer *peer;    /* (unowned) its data is this player */
  GPtrArray *packets; /* (element-type GByteArray) (owned) */
  guint at, restart;  /* next packet; the last TRANSACTION_START */
  guint32 tx;
  guint64 commits, conflicts;
  gboolean vary; /* put a new number at the end of each WRITE's value, of 8 bytes at least */
  void (*finished) (BenchPlayer *player); /* (nullable) at the end; without it: again */
  void *data;
};

/* @packets (transfer full) */
BenchPlayer *bench_player_new (BenchPeer *peer, GPtrArray *packets);
void bench_player_free (BenchPlayer *player); /* not its peer */

GPtrArray *bench_script_new (void);
void bench_script_add (GPtrArray *script, guint type, const char *path, const char *value);
