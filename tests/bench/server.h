/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A server under test: a process of our own in a folder of its own. */

#include "tests/bench/peer.h"

/* The order of the report's columns. */
typedef enum
{
  BENCH_OURS,
  BENCH_C,
  BENCH_OXEN,
  BENCH_ECHO,
  BENCH_N_KINDS
} BenchKind;

/* "ours", "C", "oxen", "echo": what start.sh is told. */
const char *bench_kind_name (BenchKind kind);

typedef struct
{
  BenchKind kind;
  GPid pid;           /* that was started */
  GPid worker;        /* that serves: its child, where it is kept, or itself */
  char *dir;          /* (owned) */
  BenchLoop *loop;    /* (owned) */
  BenchPeer *control; /* (owned) a connection for set-up */
  GPtrArray *guests;  /* (element-type BenchPeer) (owned) domains 1, 2, ... */
} BenchServer;

/* Starts one and waits until it answers; ends the program if it does not. */
BenchServer *bench_server_start (BenchKind kind);
void bench_server_stop (BenchServer *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BenchServer, bench_server_stop)

/*
 * Where this process and servers that are started from now on run: "none" leaves it to the
 * scheduler, "one" puts all on one processor, and time is then the processor time of both ends.
 */
void bench_pin (const char *how);

/* Makes sure that there are @n guests, introduced, each with a home that it owns and a node
   "delta" of @value in it. */
BenchPeer **bench_server_guests (BenchServer *server, guint n, const char *value);

/* Another process serves by now, as after a live update. */
void bench_server_updated (BenchServer *server);

/* Memory in bytes: its own, and what ours keeps for the process that would take its place. */
gsize bench_server_memory (const BenchServer *server);
gsize bench_server_kept (const BenchServer *server);
