/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Slices in turn, medians, and the table.  The road not taken is the mean of one long run a
 * server: on a machine that does other things too it says which of them was unlucky.
 */

#include "tests/bench/figure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static int
compare_doubles (const void *a, const void *b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return x < y ? -1 : x > y;
}

double
bench_median (double *values, guint n)
{
  if (n == 0)
    return NAN;
  qsort (values, n, sizeof *values, compare_doubles);
  return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

gboolean
bench_wanted (const BenchRun *run, const char *name)
{
  for (guint i = 0; run->only != NULL && run->only[i] != NULL; i++)
    if (g_pattern_match_simple (run->only[i], name))
      return TRUE;
  return run->only == NULL;
}

void
bench_heading (BenchRun *run)
{
  printf ("%-34s %-6s %10s %10s %10s %10s %9s  %-14s %s\n", "figure", "unit", "ours", "C", "oxen",
          "echo", "ours/echo", "target", "reached");
  if (run->tsv != NULL)
    fprintf (run->tsv, "figure\tunit\tours\tC\toxen\techo\tours/echo\ttarget\treached\n");
}

/* Three or more figures that mean something, no needless ones. */
static void
print_number (char text[16], double value)
{
  if (!isfinite (value))
    g_strlcpy (text, "-", 16);
  else
    g_snprintf (text, 16, "%.*f", fabs (value) >= 1000 ? 0 : fabs (value) >= 100 ? 1 : 3, value);
}

static void
print_target (char text[32], const BenchFigure *figure)
{
  static const char *const of_what[] = { "", " echo", "", "", " oxen", " best" };
  const char *relation = figure->target == BENCH_TARGET_AT_MOST ? "<=" : ">=";

  text[0] = '\0';
  if (figure->target != BENCH_TARGET_NONE)
    g_snprintf (text, 32, "%s %g%s", relation, figure->bound, of_what[figure->target]);
}

/* The number that must not be below the bound; NAN when a part of it is missing. */
static double
margin (const BenchFigure *figure, const double *values, double ratio)
{
  double ours = values[BENCH_OURS];

  switch (figure->target)
    {
    case BENCH_TARGET_OF_ECHO:
      return ratio - figure->bound;
    case BENCH_TARGET_AT_LEAST:
      return ours - figure->bound;
    case BENCH_TARGET_AT_MOST:
      return figure->bound - ours;
    case BENCH_TARGET_TIMES_OXEN:
      return ours / values[BENCH_OXEN] - figure->bound;
    case BENCH_TARGET_TIMES_BEST:
      return ours / fmax (values[BENCH_C], values[BENCH_OXEN]) - figure->bound;
    default:
      return NAN;
    }
}

static void
print_line (BenchRun *run, const BenchFigure *figure, const double *values, double ratio)
{
  char numbers[BENCH_N_KINDS + 1][16], target[32];
  double above, of_echo = isnan (ratio) ? values[BENCH_OURS] / values[BENCH_ECHO] : ratio;
  const char *verdict;

  for (guint i = 0; i < BENCH_N_KINDS; i++)
    print_number (numbers[i], values[i]);
  print_number (numbers[BENCH_N_KINDS], of_echo);
  print_target (target, figure);
  above = margin (figure, values, of_echo);
  verdict = isnan (above) ? "-" : above >= 0 ? "yes" : "NO";
  run->n_reached += above >= 0;
  run->n_missed += above < 0;
  printf ("%-34s %-6s %10s %10s %10s %10s %9s  %-14s %s\n", figure->name, figure->unit, numbers[0],
          numbers[1], numbers[2], numbers[3], numbers[4], target, verdict);
  fflush (stdout);
  if (run->tsv != NULL)
    fprintf (run->tsv, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", figure->name, figure->unit,
             numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], target, verdict);
}

void
bench_report (BenchRun *run, const BenchFigure *plain, const double *values, double ratio)
{
  g_autofree char *name = g_strconcat (plain->name, run->variant, NULL);
  BenchFigure figure = *plain;

  figure.name = name;
  if (run->variant != NULL)
    figure.target = BENCH_TARGET_NONE;
  print_line (run, &figure, values, ratio);
}

/* One slice of each server; the first round warms up and is not kept. */
static void
measure_round (const BenchRun *run, const BenchFigure *figure, BenchServer **servers, void **states,
               double *values)
{
  for (guint kind = 0; kind < BENCH_N_KINDS; kind++)
    values[kind] = servers[kind] == NULL
                       ? NAN
                       : figure->slice (servers[kind], states[kind], run->seconds);
}

static double
column_median (double (*rounds)[BENCH_N_KINDS], guint n, guint kind, gboolean of_echo)
{
  g_autofree double *column = g_new (double, n);
  guint filled = 0;

  for (guint i = 0; i < n; i++)
    if (!isnan (rounds[i][kind]))
      column[filled++] = of_echo ? rounds[i][kind] / rounds[i][BENCH_ECHO] : rounds[i][kind];
  return bench_median (column, filled);
}

void
bench_figure (BenchRun *run, const BenchFigure *figure, BenchServer **all_servers)
{
  g_autofree double (*rounds)[BENCH_N_KINDS] = g_malloc_n (run->rounds, sizeof *rounds);
  BenchServer *servers[BENCH_N_KINDS] = { 0 };
  void *states[BENCH_N_KINDS] = { 0 };
  double values[BENCH_N_KINDS];

  if (!bench_wanted (run, figure->name))
    return;
  for (guint kind = 0; kind < BENCH_N_KINDS; kind++)
    if (all_servers[kind] != NULL && (figure->kinds & (1u << kind)))
      {
        servers[kind] = all_servers[kind];
        states[kind] = figure->begin == NULL ? NULL : figure->begin (servers[kind], figure);
      }
  measure_round (run, figure, servers, states, values);
  for (guint i = 0; i < run->rounds; i++)
    measure_round (run, figure, servers, states, rounds[i]);
  for (guint kind = 0; kind < BENCH_N_KINDS; kind++)
    {
      if (servers[kind] != NULL && figure->end != NULL)
        figure->end (servers[kind], states[kind]);
      values[kind] = column_median (rounds, run->rounds, kind, FALSE);
    }
  bench_report (run, figure, values, column_median (rounds, run->rounds, BENCH_OURS, TRUE));
}
