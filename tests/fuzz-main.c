/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Runs a fuzz target without libFuzzer: every input of tests/seeds/NAME is a test, and then a
 * number of inputs made of them by cutting, mixing and flipping.  Files named on the command
 * line are run instead, for a look at one crash.
 */

#include "tests/fuzz.h"

#include <stdlib.h>
#include <string.h>

#define MUTANTS 400
#define MUTANT_MAX 8192

static GPtrArray *seeds; /* (element-type GBytes) */

static void
run_bytes (gconstpointer data)
{
  gsize len;
  const guint8 *bytes = g_bytes_get_data ((GBytes *) data, &len);

  LLVMFuzzerTestOneInput (bytes, len);
}

/* A piece of one seed and a piece of another, with some bytes changed. */
static GByteArray *
mutant (void)
{
  GByteArray *bytes = g_byte_array_new ();

  for (guint i = 0; i < 2; i++)
    {
      gsize len = 0, from, n;
      const guint8 *seed;

      if (seeds->len > 0)
        seed = g_bytes_get_data (g_ptr_array_index (seeds, g_test_rand_int_range (0, seeds->len)),
                                 &len);
      if (len == 0)
        continue;
      from = g_test_rand_int_range (0, len);
      n = g_test_rand_int_range (0, MIN (len - from, MUTANT_MAX) + 1);
      g_byte_array_append (bytes, seed + from, n);
    }
  for (guint n = g_test_rand_int_range (0, 20); n > 0 && bytes->len > 0; n--)
    bytes->data[g_test_rand_int_range (0, bytes->len)] = g_test_rand_int_range (0, 256);
  return bytes;
}

/* Proves that nothing near the seeds does harm either. */
static void
test_mutants (void)
{
  for (guint i = 0; i < MUTANTS; i++)
    {
      g_autoptr (GByteArray) bytes = mutant ();

      LLVMFuzzerTestOneInput (bytes->data, bytes->len);
    }
}

static GBytes *
load (const char *path)
{
  g_autoptr (GError) error = NULL;
  gsize len;
  char *data;

  if (!g_file_get_contents (path, &data, &len, &error))
    g_error ("%s", error->message);
  return g_bytes_new_take (data, len);
}

/* "request" of ".../fuzz-request" or ".../lt-fuzz-request" */
static char *
target_name (const char *program)
{
  g_autofree char *base = g_path_get_basename (program);
  const char *at = strstr (base, "fuzz-");

  return g_strdup (at != NULL ? at + strlen ("fuzz-") : base);
}

/* Proves for each seed, many of them crashes of the past, that it does no harm. */
static void
add_seeds (const char *name)
{
  g_autofree char *folder = g_test_build_filename (G_TEST_DIST, "seeds", name, NULL);
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *file;

  while (dir != NULL && (file = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (folder, file, NULL);
      g_autofree char *test = g_strdup_printf ("/fuzz/%s/%s", name, file);
      GBytes *seed = load (path);

      g_ptr_array_add (seeds, seed);
      g_test_add_data_func (test, seed, run_bytes);
    }
}

int
main (int argc, char **argv)
{
  g_autofree char *name = target_name (argv[0]);
  g_autofree char *mutants = g_strdup_printf ("/fuzz/%s/mutants", name);
  int result;

  g_test_init (&argc, &argv, NULL);
  for (int i = 1; i < argc; i++)
    {
      g_autoptr (GBytes) input = load (argv[i]);

      run_bytes (input);
    }
  if (argc > 1)
    return 0;
  seeds = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  add_seeds (name);
  g_test_add_func (mutants, test_mutants);
  result = g_test_run ();
  g_ptr_array_unref (seeds);
  return result;
}
