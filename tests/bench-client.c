/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What the library costs: reads of one node by libxenstore, and by ours one at a time, in batches
 * and asynchronously, in turns so that a busy machine slows all alike.  Figures are requests a
 * second and, the one to look at, the ratio to libxenstore in the same turn (median of the turns).
 *
 * Usage: bench-client [SOCKET [SECONDS]], by default the host's server and ten seconds.
 */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xendomstore.h>
#ifdef HAVE_XENSTORE
#include <xenstore.h>
#endif

#define PATH "/bench-client/node"
#define TURNS 7
#define BATCH 1000
#define ASYNC 256

typedef struct
{
  XdsClient *client;
  gint64 until;
  guint64 n;
  guint in_flight;
} Run;

/* --- the ways to read; each returns when the time is over --- */

#ifdef HAVE_XENSTORE
static void
read_libxenstore (Run *run)
{
  struct xs_handle *handle = xs_open (0);

  while (handle != NULL && g_get_monotonic_time () < run->until)
    for (guint i = 0; i < 16; i++, run->n++)
      {
        unsigned len;

        free (xs_read (handle, XBT_NULL, PATH, &len));
      }
  if (handle != NULL)
    xs_close (handle);
}
#endif

static void
read_single (Run *run)
{
  while (g_get_monotonic_time () < run->until)
    for (guint i = 0; i < 16; i++, run->n++)
      g_free (xds_client_read (run->client, NULL, PATH, NULL, NULL));
}

static void
read_batch (Run *run)
{
  while (g_get_monotonic_time () < run->until)
    {
      g_autoptr (XdsBatch) batch = xds_batch_new (run->client, NULL);

      for (guint i = 0; i < BATCH; i++)
        xds_batch_read (batch, PATH);
      xds_batch_run (batch, NULL);
      run->n += BATCH;
    }
}

static void
on_read (GObject *source, GAsyncResult *result, gpointer data)
{
  Run *run = data;

  g_free (xds_client_read_finish (XDS_CLIENT (source), result, NULL, NULL));
  run->n++;
  if (g_get_monotonic_time () < run->until)
    xds_client_read_async (run->client, NULL, PATH, NULL, on_read, run);
  else
    run->in_flight--;
}

static void
read_async (Run *run)
{
  for (run->in_flight = 0; run->in_flight < ASYNC; run->in_flight++)
    xds_client_read_async (run->client, NULL, PATH, NULL, on_read, run);
  while (run->in_flight > 0)
    g_main_context_iteration (NULL, TRUE);
}

static const struct
{
  const char *name;
  void (*func) (Run *run);
} ways[] = {
#ifdef HAVE_XENSTORE
  { "libxenstore", read_libxenstore },
#endif
  { "single", read_single },
  { "async", read_async },
  { "batch", read_batch },
};

static int
compare (const void *a, const void *b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return (x > y) - (x < y);
}

static double
median (const double *values)
{
  double sorted[TURNS];

  memcpy (sorted, values, sizeof sorted);
  qsort (sorted, TURNS, sizeof *sorted, compare);
  return sorted[TURNS / 2];
}

static void
measure (XdsClient *client, double seconds, double rates[G_N_ELEMENTS (ways)][TURNS])
{
  double slice = seconds / TURNS / G_N_ELEMENTS (ways);

  for (guint turn = 0; turn < TURNS; turn++)
    for (guint way = 0; way < G_N_ELEMENTS (ways); way++)
      {
        gint64 start = g_get_monotonic_time ();
        Run run = { .client = client, .until = start + (gint64) (slice * G_USEC_PER_SEC) };

        ways[way].func (&run);
        rates[way][turn]
            = run.n * (double) G_USEC_PER_SEC / MAX (g_get_monotonic_time () - start, 1);
      }
}

int
main (int argc, char **argv)
{
  static double rates[G_N_ELEMENTS (ways)][TURNS];
  g_autoptr (GError) error = NULL;
  g_autoptr (XdsClient) client = NULL;

  if (argc > 1)
    g_setenv ("XENSTORED_PATH", argv[1], TRUE);
  client = xds_client_open (&error);
  if (client == NULL || !xds_client_write (client, NULL, PATH, "value", -1, &error))
    {
      fprintf (stderr, "bench-client: %s\n", error->message);
      return 1;
    }
  measure (client, argc > 2 ? g_ascii_strtod (argv[2], NULL) : 10, rates);
  xds_client_remove (client, NULL, "/bench-client", NULL);
  for (guint way = 0; way < G_N_ELEMENTS (ways); way++)
    {
      double ratios[TURNS];

      for (guint turn = 0; turn < TURNS; turn++)
        ratios[turn] = rates[way][turn] / rates[0][turn];
      printf ("client-read-%-12s %10.0f/s  ratio %5.2f\n", ways[way].name, median (rates[way]),
              median (ratios));
    }
  return 0;
}
