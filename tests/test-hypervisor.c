/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The loader: what it takes, what it refuses, and whether its sentences say what to do.
 */

#include "xsd/hypervisor/hypervisor.h"
#include "xsd/hypervisor/sim-world.h"

#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *
plugin_dir (void)
{
  const char *dir = g_getenv ("XDS_PLUGIN_DIR");

  return dir != NULL ? dir : ".libs";
}

/* Loads what must be refused; the sentence holds each of @words. */
static void
assert_refused (const char *name, const char *const *words)
{
  g_autofree char *why = NULL;
  gsize i;

  g_assert_null (xds_hypervisor_load (plugin_dir (), name, &why));
  g_assert_nonnull (why);
  for (i = 0; words[i] != NULL; i++)
    if (strstr (why, words[i]) == NULL)
      g_error ("\"%s\" is missing in: %s", words[i], why);
}

static char *
odd_plugin (const char *name)
{
  g_autofree char *file = g_strdup_printf ("odd-%s.so", name);

  return g_test_build_filename (G_TEST_BUILT, ".libs", file, NULL);
}

/* A name without a plugin: the sentence says which file is missing and what to install or set. */
static void
test_missing (void)
{
  assert_refused ("venus", (const char *[]){ "\"venus\"", "/venus.so", "there is no",
                                             "--plugin-dir", "xenctrl", NULL });
  assert_refused ("/nonexistent/x.so",
                  (const char *[]){ "/nonexistent/x.so", "cannot load", "install", NULL });
}

/* A file that is no shared object, or one of something else, is no plugin. */
static void
test_no_plugin (void)
{
  g_autofree char *path = NULL;
  int fd = g_file_open_tmp ("xds-plugin-XXXXXX", &path, NULL);

  g_assert_cmpint (write (fd, "text\n", 5), ==, 5);
  close (fd);
  assert_refused (path, (const char *[]){ path, "cannot load", NULL });
  g_unlink (path);
  g_free (path);
  path = odd_plugin ("nothing");
  assert_refused (path, (const char *[]){ path, "xds_hypervisor_v1", "another version", NULL });
}

/* A table of another ABI number, or of another size under the same number, is not used. */
static void
test_wrong_table (void)
{
  g_autofree char *abi = odd_plugin ("abi"), *size = odd_plugin ("size");

  assert_refused (abi, (const char *[]){ abi, "number 2", "knows 1", "one release", NULL });
  assert_refused (size, (const char *[]){ size, "bytes instead of", "one release", NULL });
}

/* A plugin that was built for another Xen names the call that is missing, and the sentence says
   that the plugin package and Xen must belong together. */
static void
test_other_xen (void)
{
  g_autofree char *path = odd_plugin ("symbol");

  assert_refused (path, (const char *[]){ path, "xc_of_no_release", "another Xen",
                                          "install the plugin package", NULL });
}

/* Off Xen nothing is chosen, least of all the simulator. */
static void
test_best (void)
{
  g_autofree char *why = NULL;
  const XdsHypervisorV1 *best = xds_hypervisor_load_best (plugin_dir (), &why);

  if (best != NULL)
    {
      g_assert_cmpstr (best->name, !=, "sim");
      g_test_skip ("this is a Xen host");
      return;
    }
  g_assert_nonnull (why);
  g_assert_nonnull (strstr (why, "Xen"));
  g_assert_nonnull (strstr (why, "--hypervisor sim"));
}

/* The simulator loads by its name; opening it where there is no world says how to make one. */
static void
test_sim (void)
{
  g_autofree char *why = NULL, *dir = g_dir_make_tmp ("xds-sim-XXXXXX", NULL);
  g_autofree char *command = g_strdup_printf ("rm -r '%s'", dir);
  g_autofree char *args = g_strdup_printf ("%s,compare", dir);
  const XdsHypervisorV1 *sim = xds_hypervisor_load (plugin_dir (), "sim", &why);
  XdsDomainV1 domain;
  void *self = NULL, *second = NULL;

  g_assert_cmpstr (why, ==, NULL);
  g_assert_cmpstr (sim->name, ==, "sim");
  g_assert_cmpint (xds_hypervisor_open (sim, dir, NULL, NULL, &self, &why), ==, -ENOENT);
  g_assert_nonnull (strstr (why, dir));
  g_assert_nonnull (strstr (why, "xds sim"));
  g_assert_null (self);
  g_assert_cmpint (xds_sim_world_init (dir), ==, 0);
  g_clear_pointer (&why, g_free);
  g_assert_cmpint (xds_hypervisor_open (sim, args, NULL, NULL, &self, &why), ==, 0);
  g_assert_null (why);
  g_assert_cmpint (sim->domain (self, 0, &domain), ==, 0);
  g_assert_cmpint (sim->poll_changed (self, &domain), ==, -ENOSYS);
  g_assert_cmpint (xds_hypervisor_open (sim, dir, NULL, NULL, &second, &why), ==, -EBUSY);
  g_assert_nonnull (strstr (why, "another xenstore server"));
  sim->close (self);
  sim->close (NULL);
  g_assert_cmpint (system (command), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/hypervisor/missing", test_missing);
  g_test_add_func ("/hypervisor/no-plugin", test_no_plugin);
  g_test_add_func ("/hypervisor/wrong-table", test_wrong_table);
  g_test_add_func ("/hypervisor/other-xen", test_other_xen);
  g_test_add_func ("/hypervisor/best", test_best);
  g_test_add_func ("/hypervisor/sim", test_sim);
  return g_test_run ();
}
