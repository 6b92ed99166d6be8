/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A figure is one number for each server, taken in short slices in turn (ours C oxen echo, ours C
 * oxen echo, ...), so that whatever else the machine does meets all of them; the median of the
 * slices counts, and the median of each round's ratios for a ratio.  A rate is by processor time of
 * both ends, or by the clock, see server.h.
 */

#include <stdio.h>

#include "tests/bench/server.h"

typedef enum
{
  BENCH_TARGET_NONE,
  BENCH_TARGET_OF_ECHO,    /* ours / echo at least */
  BENCH_TARGET_AT_LEAST,   /* ours at least */
  BENCH_TARGET_AT_MOST,    /* ours at most */
  BENCH_TARGET_TIMES_OXEN, /* ours at least so many times oxenstored's */
  BENCH_TARGET_TIMES_BEST, /* ... the better one of the two others */
} BenchTarget;

typedef struct
{
  const char *name;
  const char *unit;
  guint kinds; /* bits (1 << BenchKind) of the servers that have such a figure */
  BenchTarget target;
  double bound;
  guint param; /* for the functions below */
  guint param2;

  /* Prepares one server; its result is handed to the others.  (nullable) */
  void *(*begin) (BenchServer *server, const void *figure);
  /* One slice: the number. */
  double (*slice) (BenchServer *server, void *state, double seconds);
  void (*end) (BenchServer *server, void *state); /* (nullable) */
} BenchFigure;

#define BENCH_ALL ((1u << BENCH_N_KINDS) - 1)
#define BENCH_STORES (BENCH_ALL & ~(1u << BENCH_ECHO))

typedef struct
{
  gboolean quick;
  guint kinds;   /* the servers that take part */
  guint rounds;
  double seconds; /* of a slice */
  char **only; /* (nullable) globs of names */
  const char *variant; /* (nullable) appended to names; such figures have no target */
  FILE *tsv;     /* (nullable) */
  guint n_reached, n_missed;
} BenchRun;

/* Measures and prints one line; @servers by kind, NULL for those that do not take part. */
void bench_figure (BenchRun *run, const BenchFigure *figure, BenchServer **servers);

/* Prints a figure that was measured otherwise; NAN for a server without one.  @ratio is ours to
   echo, NAN to take that of the values. */
void bench_report (BenchRun *run, const BenchFigure *figure, const double *values, double ratio);

gboolean bench_wanted (const BenchRun *run, const char *name);
void bench_heading (BenchRun *run);
double bench_median (double *values, guint n);
