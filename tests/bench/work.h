/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The groups of figures; each prints its lines. */

#include "tests/bench/figure.h"

void bench_work_simple (BenchRun *run, BenchServer **servers);
void bench_work_many (BenchRun *run, BenchServer **servers);
void bench_work_transactions (BenchRun *run, BenchServer **servers);
void bench_work_loaded (BenchRun *run);
void bench_work_domains (BenchRun *run);
void bench_work_curves (BenchRun *run);
void bench_work_update (BenchRun *run);

/* Makes nodes number @from to @n - 1 below @dir, a thousand to a folder: @dir/000/000 and so on. */
void bench_populate (BenchServer *server, const char *dir, guint from, guint n, const char *value);

/* The same, all children of @dir itself. */
void bench_populate_flat (BenchServer *server, const char *dir, guint from, guint n,
                          const char *value);

/* @n_peers new connections, each with @each watches on paths that nobody writes. */
BenchPeer **bench_watch_elsewhere (BenchServer *server, guint n_peers, guint each);
void bench_free_peers (BenchPeer **peers, guint n);
