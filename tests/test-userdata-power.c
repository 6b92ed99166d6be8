/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a store leaves when something fails: a system call, the process, or the power.
 *
 * Each is tried at each call that a store makes.  Failing and dying are done to real files; the
 * power is cut in a model that gives all that a disk could hold afterwards.
 */

#include "tests/disk-model.h"
#include "tests/userdata-world.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define DATA "userdata-d.7.5a1ad000-0000-4000-8000-000000000007.x"

/* Longer than one write of either backend. */
static char *
long_text (char c)
{
  return g_strnfill (10000, c);
}

/* --- a call fails --- */

typedef struct
{
  guint calls;
  guint at; /* which call fails, from 1 */
  int err;
  char failed[16]; /* its name */
} Fault;

static int
fail_at (const char *call, const char *name, gpointer data)
{
  Fault *fault = data;

  /* Nobody could answer for a lock file that cannot be removed, nor for a close. */
  if (strcmp (call, "close") == 0 || strcmp (call, "pause") == 0
      || (strcmp (call, "unlink") == 0 && strstr (name, XDS_USERDATA_LOCK) != NULL))
    return 0;
  if (++fault->calls != fault->at)
    return 0;
  g_strlcpy (fault->failed, call, sizeof fault->failed);
  return fault->err;
}

/* TRUE if the store was made to fail. */
static gboolean
put_with_fault (XdsUserdataWorld *world, const char *text, Fault *fault, GError **error)
{
  g_autoptr (GBytes) bytes = g_bytes_new (text, strlen (text));
  gboolean ok;

  world->fault = fail_at;
  world->fault_data = fault;
  ok = xds_userdata_store_put (world->store, 7, "x", bytes, NULL, error);
  world->fault = NULL;
  return !ok;
}

static XdsUserdataError
expected_code (int err)
{
  return err == -ENOSPC  ? XDS_USERDATA_ERROR_DISK_FULL
         : err == -EROFS ? XDS_USERDATA_ERROR_READ_ONLY
                         : XDS_USERDATA_ERROR_FAILED;
}

static void
check_after_fault (XdsUserdataWorld *world, const Fault *fault, const char *old, const char *new,
                   const GError *error)
{
  g_autofree char *ls = xds_userdata_world_ls (world);
  g_autofree char *text = xds_userdata_world_get (world, 7, "x");

  g_assert_error (error, XDS_USERDATA_ERROR, (gint) expected_code (fault->err));
  /* Only when the folder cannot be synced the new bytes are there already, and the error says so.
   */
  g_assert_cmpstr (text, ==, strcmp (fault->failed, "sync_folder") == 0 ? new : old);
  /* A lock that could not be had, or not be looked at, stays as if its holder had been killed. */
  if (strncmp (fault->failed, "stat", 4) != 0 && strcmp (fault->failed, "try_lock") != 0)
    g_assert_cmpstr (ls, ==, old != NULL ? DATA : "");
}

/* Proves that a store whose n-th call fails, whichever it is, says why, leaves the old bytes and
   nothing else, and that the next one works. */
static void
test_faults (gconstpointer data)
{
  int err = -GPOINTER_TO_INT (data);

  for (guint at = 1;; at++)
    {
      XdsUserdataWorld *world = xds_userdata_world_new ();
      Fault fault = { .at = at, .err = err };
      g_autofree char *old = long_text ('o');
      g_autofree char *new = long_text ('n');
      g_autofree char *text = NULL;
      g_autoptr (GError) error = NULL;
      gboolean failed;

      xds_userdata_world_add (world, 7, 7);
      xds_userdata_world_put (world, 7, "x", old);
      failed = put_with_fault (world, new, &fault, &error);
      if (failed)
        check_after_fault (world, &fault, old, new, error);
      xds_userdata_world_put (world, 7, "x", "after");
      text = xds_userdata_world_get (world, 7, "x");
      g_assert_cmpstr (text, ==, "after");
      xds_userdata_world_free (world);
      if (fault.calls < at)
        break;
      g_assert_true (failed || strcmp (fault.failed, "stat_fd") == 0
                     || strcmp (fault.failed, "stat") == 0);
    }
}

/* --- the process dies --- */

static int
die_at (const char *call G_GNUC_UNUSED, const char *name G_GNUC_UNUSED, gpointer data)
{
  Fault *fault = data;

  if (++fault->calls == fault->at)
    raise (SIGKILL);
  return 0;
}

/* TRUE if the child died on the way. */
static gboolean
put_in_child (XdsUserdataWorld *world, const char *text, guint at)
{
  int status;
  pid_t pid = fork ();

  if (pid == 0)
    {
      Fault fault = { .at = at };
      g_autoptr (GBytes) bytes = g_bytes_new (text, strlen (text));

      world->fault = die_at;
      world->fault_data = &fault;
      xds_userdata_store_put (world->store, 7, "x", bytes, NULL, NULL);
      _exit (0);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  return WIFSIGNALED (status);
}

/* Proves that a store killed before any of its calls leaves the old or the new bytes, that the
   next store works, and that once the domain is gone the sweep leaves nothing of it. */
static void
test_killed (gconstpointer data)
{
  gboolean first = data != NULL;
  guint died = 0, renewed = 0;

  for (guint at = 1;; at++)
    {
      XdsUserdataWorld *world = xds_userdata_world_new ();
      g_autoptr (XdsUserdataKeeper) keeper = xds_userdata_keeper_new (world->store, NULL, NULL);
      g_autofree char *old = first ? NULL : long_text ('o');
      g_autofree char *new = long_text ('n');
      g_autofree char *text = NULL;
      g_autofree char *ls = NULL;
      gboolean killed;

      xds_userdata_world_add (world, 7, 7);
      if (!first)
        xds_userdata_world_put (world, 7, "x", old);
      killed = put_in_child (world, new, at);
      text = xds_userdata_world_get (world, 7, "x");
      g_assert_true (g_strcmp0 (text, new) == 0 || (killed && g_strcmp0 (text, old) == 0));
      died += killed;
      renewed += killed && g_strcmp0 (text, new) == 0;
      if (at % 2 == 0)
        xds_userdata_world_put (world, 7, "x", "after");
      xds_userdata_world_kill (world, 7);
      xds_userdata_keeper_kick (keeper);
      xds_userdata_keeper_dispatch (keeper);
      ls = xds_userdata_world_ls (world);
      g_assert_cmpstr (ls, ==, "");
      g_clear_pointer (&keeper, xds_userdata_keeper_free);
      xds_userdata_world_free (world);
      if (!killed)
        break;
    }
  g_assert_cmpuint (died, >, 15);
  g_assert_cmpuint (renewed, >, 0);
  g_assert_cmpuint (renewed, <, died);
}

/* --- the power is cut --- */

typedef struct
{
  XdsDiskModel *model;
  XdsUserdataStore *store;
  const char *allowed[2]; /* what may be found; NULL stands for absent */
  guint cuts, states;
} Power;

static gboolean
one_domain (gpointer data G_GNUC_UNUSED, guint domid, XdsUserdataDomain *ret_domain, GError **error)
{
  if (domid != 7)
    {
      g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_NO_DOMAIN, "no");
      return FALSE;
    }
  *ret_domain = (XdsUserdataDomain){ .domid = 7 };
  g_strlcpy (ret_domain->uuid, xds_test_uuid (7), sizeof ret_domain->uuid);
  return TRUE;
}

static gboolean
nobody (gpointer data G_GNUC_UNUSED, guint domid G_GNUC_UNUSED,
        XdsUserdataDomain *ret_domain G_GNUC_UNUSED, GError **error)
{
  g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_NO_DOMAIN, "no");
  return FALSE;
}

static GArray *
no_domains (gpointer data G_GNUC_UNUSED, GError **error G_GNUC_UNUSED)
{
  return g_array_new (FALSE, FALSE, sizeof (XdsUserdataDomain));
}

static gboolean
is_text (GBytes *bytes, const char *text)
{
  if (bytes == NULL || text == NULL)
    return bytes == NULL && text == NULL;
  return g_bytes_get_size (bytes) == strlen (text)
         && memcmp (g_bytes_get_data (bytes, NULL), text, strlen (text)) == 0;
}

/* The host starts again, with no domain: the keeper leaves nothing of what was found. */
static void
start_again (GHashTable *files)
{
  XdsUserdataHypervisor hypervisor = { .one = nobody, .all = no_domains };
  XdsDiskModel *model = xds_disk_model_new_from (files);
  XdsUserdataStore *store
      = xds_userdata_store_new_with_backend (xds_disk_model_backend (model), NULL, &hypervisor);
  XdsUserdataKeeper *keeper = xds_userdata_keeper_new (store, NULL, NULL);

  g_assert_true (xds_userdata_keeper_start (keeper, NULL));
  xds_userdata_keeper_dispatch (keeper);
  /* The sidecar. */
  g_assert_cmpuint (xds_disk_model_count (model), ==, 1);
  xds_userdata_keeper_free (keeper);
  xds_userdata_store_free (store);
  xds_disk_model_free (model);
}

static void
check_state (GHashTable *files, gpointer data)
{
  Power *power = data;
  GBytes *found = g_hash_table_lookup (files, DATA);

  g_assert_true (is_text (found, power->allowed[0]) || is_text (found, power->allowed[1]));
  power->states++;
  if (power->states % 16 == 0)
    start_again (files);
}

static void
cut (gpointer data)
{
  Power *power = data;

  power->cuts++;
  xds_disk_model_cut (power->model, check_state, power);
}

static void
put_under_cuts (Power *power, const char *old, const char *new)
{
  g_autoptr (GBytes) bytes = g_bytes_new (new, strlen (new));
  g_autoptr (GError) error = NULL;

  power->allowed[0] = old;
  power->allowed[1] = new[0] != '\0' ? new : NULL;
  xds_userdata_store_put (power->store, 7, "x", bytes, NULL, &error);
  g_assert_no_error (error);
  /* From here on it is promised. */
  power->allowed[0] = power->allowed[1];
  cut (power);
}

/* Proves that whenever the power is cut, during a first store, a replacement or a removal, the disk
   holds the old or the new bytes, whole; that after the call it is the new ones; and that whatever
   else was left is gone after the next start. */
static void
test_power (void)
{
  XdsUserdataHypervisor hypervisor = { .one = one_domain };
  Power power = { .model = xds_disk_model_new () };

  power.store = xds_userdata_store_new_with_backend (xds_disk_model_backend (power.model), NULL,
                                                     &hypervisor);
  xds_disk_model_set_hook (power.model, cut, &power);
  put_under_cuts (&power, NULL, "the first version");
  put_under_cuts (&power, "the first version", "and the second");
  put_under_cuts (&power, "and the second", "");
  put_under_cuts (&power, NULL, "anew");
  g_assert_cmpuint (power.cuts, >, 50);
  g_assert_cmpuint (power.states, >, 1000);
  xds_disk_model_set_hook (power.model, NULL, NULL);
  xds_userdata_store_free (power.store);
  xds_disk_model_free (power.model);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/userdata/fault/io", GINT_TO_POINTER (EIO), test_faults);
  g_test_add_data_func ("/userdata/fault/disk-full", GINT_TO_POINTER (ENOSPC), test_faults);
  g_test_add_data_func ("/userdata/fault/read-only", GINT_TO_POINTER (EROFS), test_faults);
  g_test_add_data_func ("/userdata/killed/replacing", NULL, test_killed);
  g_test_add_data_func ("/userdata/killed/first", "first", test_killed);
  g_test_add_func ("/userdata/power/cut", test_power);
  return g_test_run ();
}
