/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The keeper from inside, for its two files: keeper.c, and worker.c for its workers.  Each worker
 * has a copy of the struct as the keeper had it; what it changes in it the keeper does not see.
 */

#include "xsd/daemon/keeper.h"

#include <signal.h>

struct XdsKeeper
{
  XdsKeeperNote *note; /* (owned) shared */
  gboolean background, patient;
  pid_t pid;       /* the keeper's */
  pid_t worker;    /* 0: there is none */
  gint64 born;     /* when it was made */
  guint hurried;   /* how many died one soon after the other */
  int signal_fd;   /* (owned) */
  int alive_fd;    /* (owned) of the keeper itself; -1: the kernel has none */
  sigset_t mask;   /* signals that were blocked before there was a keeper */
  guint64 kept;    /* signals that wait for a worker, a bit each */
  gboolean asked;  /* to end */
  gboolean again;  /* a worker died since: the next one is the last that may end cleanly */
  char oom[16];    /* oom_score_adj as it was; "" if unknown */
  char *left;      /* (nullable) words of what could not be run: see xds_keeper_leave() */
  gsize left_len;
};
