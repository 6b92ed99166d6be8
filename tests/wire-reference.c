/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * wire-reference [-d DAEMON -D DIFFERENCES] [-X FOLDER] [-v] [-c CASE] FILE...
 *
 * Plays transcripts against the daemon at $XENSTORED_PATH, and prints TAP: one point for each case.
 * With -X, FOLDER is the pretend hypervisor (tests/peers) that it runs on, and cases with domains
 * are played too.
 *
 * DAEMON is a name that DIFFERENCES uses, such as xenstored-4.17: a case that is listed there for
 * it must differ, any other must not, and what came with a later Xen than that is not played.  The
 * list's format:
 *
 *   # a comment
 *   DAEMON: a sentence, why it differs
 *     file/case
 *     !file/case       is not even played, since the daemon does not live through it
 */

#include "tests/transcript-stages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct
{
  const char *daemon, *differences, *pretend, *only;
  gboolean verbose;
  double version;    /* of the Xen that the daemon is of */
  GHashTable *known; /* case to reason, of this daemon */
  XdsStage *stage;
  guint n, failed;
} Run;

/* "xenstored-4.17"; any other name is of no Xen, and knows all. */
static double
version_of (const char *daemon)
{
  const char *dash = daemon != NULL ? strrchr (daemon, '-') : NULL;

  return dash != NULL ? g_ascii_strtod (dash + 1, NULL) : G_MAXDOUBLE;
}

/* Keeps those entries of the list that are about this daemon. */
static gboolean
load_differences (Run *run)
{
  g_autofree char *text = NULL, *reason = NULL;
  g_auto (GStrv) lines = NULL;

  run->known = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  if (run->differences == NULL)
    return TRUE;
  if (!g_file_get_contents (run->differences, &text, NULL, NULL))
    return FALSE;
  lines = g_strsplit (text, "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++)
    {
      const char *colon = strstr (lines[i], ": ");

      if (lines[i][0] == '#' || lines[i][0] == '\0')
        continue;
      if (lines[i][0] == ' ')
        {
          if (reason != NULL)
            g_hash_table_insert (run->known, g_strdup (g_strstrip (lines[i])), g_strdup (reason));
          continue;
        }
      g_clear_pointer (&reason, g_free);
      if (colon != NULL && run->daemon != NULL
          && strncmp (lines[i], run->daemon, colon - lines[i]) == 0
          && strlen (run->daemon) == (gsize) (colon - lines[i]))
        reason = g_strdup (colon + 2);
    }
  return TRUE;
}

static void
report (Run *run, const XdsCase *c, const char *why)
{
  const char *reason = g_hash_table_lookup (run->known, c->name);
  gboolean ok = (why == NULL) == (reason == NULL);

  run->n++;
  run->failed += !ok;
  printf ("%sok %u - %s%s%s\n", ok ? "" : "not ", run->n, c->name,
          reason != NULL ? ", differs: " : "", reason != NULL ? reason : "");
  if (why != NULL && (!ok || run->verbose))
    printf ("# %s\n# %s\n", c->title, why);
  if (why == NULL && !ok)
    printf ("# It is in the list of differences, but differs no more: take it out.\n");
  fflush (stdout);
}

static const char *
why_not (Run *run, const XdsCase *c)
{
  g_autofree char *deadly = g_strdup_printf ("!%s", c->name);

  if (c->engine_only)
    return "of the engine alone";
  if (c->since > run->version)
    return "came with a later Xen";
  if (c->needs_domains && run->pretend == NULL)
    return "there are no domains here";
  return g_hash_table_lookup (run->known, deadly);
}

/* An answer that is known not to come is not waited for as long as one that must. */
static int
patience_for (Run *run, const XdsCase *c)
{
  return g_hash_table_contains (run->known, c->name) ? 300 : 20000;
}

static void
play_case (Run *run, const XdsCase *c)
{
  g_autofree char *why = NULL;
  const char *skip;

  if (run->only != NULL && !g_str_has_prefix (c->name, run->only))
    return;
  skip = why_not (run, c);
  if (skip != NULL)
    {
      printf ("ok %u - %s # SKIP %s\n", ++run->n, c->name, skip);
      return;
    }
  xds_stage_live_set_patience (run->stage, patience_for (run, c));
  why = xds_case_play (c, run->stage);
  report (run, c, why);
  if (!xds_stage_live_is_up (run->stage))
    {
      printf ("Bail out! The daemon died of %s.\n", c->name);
      exit (1);
    }
}

static gboolean
play_file (Run *run, const char *path)
{
  char *why = NULL;
  g_autoptr (GPtrArray) cases = xds_transcript_load (path, &why);

  if (cases == NULL)
    {
      printf ("Bail out! %s\n", why);
      g_free (why);
      return FALSE;
    }
  for (guint i = 0; i < cases->len; i++)
    play_case (run, cases->pdata[i]);
  return TRUE;
}

int
main (int argc, char **argv)
{
  Run run = { NULL };
  const char *socket = g_getenv ("XENSTORED_PATH");
  int option;

  while ((option = getopt (argc, argv, "c:d:D:vX:")) != -1)
    switch (option)
      {
      case 'c':
        run.only = optarg;
        break;
      case 'd':
        run.daemon = optarg;
        break;
      case 'D':
        run.differences = optarg;
        break;
      case 'v':
        run.verbose = TRUE;
        break;
      case 'X':
        run.pretend = optarg;
        break;
      default:
        return 2;
      }
  if (socket == NULL || !load_differences (&run))
    {
      fprintf (stderr, "wire-reference: set XENSTORED_PATH to the daemon's socket, and -D to a"
                       " file that is there\n");
      return 2;
    }
  run.version = version_of (run.daemon);
  run.stage = xds_stage_new_live (socket, run.pretend);
  for (int i = optind; i < argc; i++)
    if (!play_file (&run, argv[i]))
      return 2;
  printf ("1..%u\n", run.n);
  xds_stage_free (run.stage);
  g_hash_table_unref (run.known);
  return run.failed > 0;
}
