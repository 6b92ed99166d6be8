/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The load generator: one process, one epoll loop a server, all servers in one run.  Started by
 * tests/bench.sh, which knows where the servers are and cleans up after them.
 */

#include "tests/bench/work.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

static gboolean arg_quick;
static guint arg_kinds = BENCH_ALL;
static char **arg_only;
static char *arg_tsv;
static int arg_rounds;

static gboolean
parse_kinds (const char *name G_GNUC_UNUSED, const char *value, void *data G_GNUC_UNUSED,
             GError **error)
{
  g_auto (GStrv) words = g_strsplit (value, ",", -1);

  arg_kinds = 0;
  for (guint i = 0; words[i] != NULL; i++)
    {
      guint kind = 0;

      while (kind < BENCH_N_KINDS && !g_str_equal (words[i], bench_kind_name (kind)))
        kind++;
      if (kind == BENCH_N_KINDS)
        {
          g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                       "no server '%s'; there are ours, C, oxen, echo", words[i]);
          return FALSE;
        }
      arg_kinds |= 1u << kind;
    }
  return TRUE;
}

static const GOptionEntry entries[] = {
  { "quick", 'q', 0, G_OPTION_ARG_NONE, &arg_quick, "Small stores and short slices", NULL },
  { "servers", 's', 0, G_OPTION_ARG_CALLBACK, parse_kinds, "Only these, of ours,C,oxen,echo",
    "LIST" },
  { "only", 'o', 0, G_OPTION_ARG_STRING_ARRAY, &arg_only, "Only figures that match one of these",
    "GLOB" },
  { "rounds", 'r', 0, G_OPTION_ARG_INT, &arg_rounds, "Slices of each server", "N" },
  { "tsv", 't', 0, G_OPTION_ARG_FILENAME, &arg_tsv, "Write the figures to FILE too", "FILE" },
  { 0 }
};

/* What a figure is worth nothing without. */
static void
print_machine (BenchRun *run)
{
  g_autoptr (GDateTime) now = g_date_time_new_now_utc ();
  g_autofree char *date = g_date_time_format (now, "%F %R UTC");
  g_autofree char *line = NULL;
  double load[3] = { 0 };
  struct utsname name;

  uname (&name);
  (void) getloadavg (load, 3);
  line = g_strdup_printf ("machine: %ld cores, load %.1f, %s %s %s, %s, %s, %u slices of %g s",
                          sysconf (_SC_NPROCESSORS_ONLN), load[0], name.sysname, name.release,
                          name.machine, date, run->quick ? "quick" : "full", run->rounds,
                          run->seconds);
  printf ("%s\n", line);
  if (run->tsv != NULL)
    fprintf (run->tsv, "# %s\n", line);
}

static void
start_all (BenchRun *run, BenchServer **servers)
{
  for (guint kind = 0; kind < BENCH_N_KINDS; kind++)
    servers[kind] = run->kinds & (1u << kind) ? bench_server_start (kind) : NULL;
}

static void
stop_all (BenchServer **servers)
{
  for (guint kind = 0; kind < BENCH_N_KINDS; kind++)
    g_clear_pointer (&servers[kind], bench_server_stop);
}

static void
run_requests (BenchRun *run)
{
  BenchServer *servers[BENCH_N_KINDS];

  start_all (run, servers);
  bench_work_simple (run, servers);
  bench_work_many (run, servers);
  stop_all (servers);
}

static void
run_transactions (BenchRun *run)
{
  BenchServer *servers[BENCH_N_KINDS];

  start_all (run, servers);
  bench_work_transactions (run, servers);
  stop_all (servers);
}

/*
 * On one processor, counted in processor time of both ends.  By the clock, on two processors, the
 * ratio to the echo server depends on where the scheduler puts the two ends, on what else runs, and
 * on what it costs to wake the other processor, which hides what a server computes; the same figure
 * taken twice differs by a factor of two.  So the clock comes last, as what a client would see, and
 * decides nothing: wherever it is steady, its ratios are better than the others.
 */
static void
run_all (BenchRun *run)
{
  bench_pin ("one");
  run_requests (run);
  run_transactions (run);
  bench_work_loaded (run);
  bench_work_domains (run);
  bench_work_curves (run);
  bench_work_update (run);
  bench_pin ("none");
  run->variant = ".clock";
  run_requests (run);
}

static void
set_up (BenchRun *run)
{
  run->quick = arg_quick;
  run->kinds = arg_kinds;
  run->only = arg_only;
  run->rounds = arg_rounds > 0 ? (guint) arg_rounds : arg_quick ? 5 : 11;
  run->seconds = arg_quick ? 0.04 : 0.1;
  run->tsv = arg_tsv == NULL ? NULL : fopen (arg_tsv, "w");
  if (arg_tsv != NULL && run->tsv == NULL)
    bench_die ("%s: cannot be written: %s", arg_tsv, g_strerror (errno));
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new ("- measure xenstore servers");
  g_autoptr (GError) error = NULL;
  BenchRun run = { 0 };

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    {
      fprintf (stderr, "bench: %s\n", error->message);
      return 2;
    }
  set_up (&run);
  print_machine (&run);
  bench_heading (&run);
  run_all (&run);
  printf ("targets: %u reached, %u missed\n", run.n_reached, run.n_missed);
  if (run.tsv != NULL)
    fclose (run.tsv);
  return 0;
}
