/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Plays all transcripts against the engine, each in several ways: a transcript says what peers see,
 * and that may not depend on how bytes and news of domains are cut into calls.
 */

#include "tests/transcript-stages.h"

#include <string.h>

static const struct
{
  const char *name;
  XdsStageWays flags;
} ways[] = {
  { "plain", XDS_STAGE_PLAIN },
  { "dribbled", XDS_STAGE_DRIBBLE | XDS_STAGE_SINGLE },
};

typedef struct
{
  const XdsCase *c;
  XdsStageWays flags;
} Trial;

static void
play (gconstpointer data)
{
  const Trial *trial = data;
  XdsStage *stage = xds_stage_new_engine (trial->flags);
  g_autofree char *why = xds_case_play (trial->c, stage);

  if (why != NULL)
    {
      g_test_message ("%s", trial->c->title);
      g_test_fail_printf ("%s", why);
    }
  xds_stage_free (stage);
}

static void
add_case (XdsCase *c)
{
  for (gsize i = 0; i < G_N_ELEMENTS (ways) && !c->rings_only; i++)
    {
      g_autofree char *path = g_strdup_printf ("/wire/%s/%s", c->name, ways[i].name);
      Trial *trial = g_new (Trial, 1);

      *trial = (Trial){ c, ways[i].flags };
      g_test_add_data_func_full (path, trial, play, g_free);
    }
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

/* The names of all transcripts, in order. */
static GPtrArray *
list_files (const char *folder)
{
  GPtrArray *files = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;

  g_assert_nonnull (dir);
  while ((name = g_dir_read_name (dir)) != NULL)
    if (g_str_has_prefix (name, "wire-") && g_str_has_suffix (name, ".txt")
        && strcmp (name, "wire-differences.txt") != 0)
      g_ptr_array_add (files, g_build_filename (folder, name, NULL));
  g_ptr_array_sort (files, compare_names);
  return files;
}

int
main (int argc, char **argv)
{
  g_autoptr (GPtrArray) files = NULL, loaded = NULL;

  g_test_init (&argc, &argv, NULL);
  files = list_files (g_test_get_dir (G_TEST_DIST));
  loaded = g_ptr_array_new_with_free_func ((GDestroyNotify) g_ptr_array_unref);
  for (guint i = 0; i < files->len; i++)
    {
      char *why = NULL;
      GPtrArray *cases = xds_transcript_load (files->pdata[i], &why);

      if (cases == NULL)
        g_error ("%s", why);
      g_ptr_array_add (loaded, cases);
      for (guint j = 0; j < cases->len; j++)
        add_case (cases->pdata[j]);
    }
  return g_test_run ();
}
