/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The sweep and the keeper: exactly what is gone goes.
 */

#include "tests/userdata-world.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct
{
  XdsUserdataWorld *world;
  XdsUserdataKeeper *keeper;
  GString *log;
  guint swept;
  guint troubles;
} Fixture;

static void
changed (gpointer data, guint domid, const char *userid, XdsUserdataChange change)
{
  static const char signs[] = { '+', '-', '!' };

  g_string_append_printf (((Fixture *) data)->log, "%c%u/%s ", signs[change], domid,
                          userid != NULL ? userid : "");
}

static void
swept (gpointer data, const XdsUserdataOwner *owner G_GNUC_UNUSED)
{
  ((Fixture *) data)->swept++;
}

static void
trouble (gpointer data, const GError *error G_GNUC_UNUSED)
{
  ((Fixture *) data)->troubles++;
}

static void
set_up (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  static const XdsUserdataKeeperEvents events = { changed, swept, trouble };

  f->world = xds_userdata_world_new ();
  xds_userdata_store_set_durable (f->world->store, FALSE);
  xds_userdata_world_add (f->world, 0, 0);
  xds_userdata_world_add (f->world, 7, 7);
  f->keeper = xds_userdata_keeper_new (f->world->store, &events, f);
  f->log = g_string_new (NULL);
}

static void
tear_down (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_clear_pointer (&f->keeper, xds_userdata_keeper_free);
  g_clear_pointer (&f->world, xds_userdata_world_free);
  g_string_free (f->log, TRUE);
}

static void
start (Fixture *f)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (xds_userdata_keeper_start (f->keeper, &error));
  g_assert_no_error (error);
}

/* Until nothing is due and no event is left to read. */
static void
settle (Fixture *f)
{
  gint64 next;

  do
    {
      xds_userdata_keeper_dispatch (f->keeper);
      next = xds_userdata_keeper_next (f->keeper);
      if (next > g_get_monotonic_time ())
        g_usleep ((gulong) (next - g_get_monotonic_time ()));
    }
  while (next >= 0);
  xds_userdata_keeper_dispatch (f->keeper);
}

static void
assert_ls (Fixture *f, const char *expected)
{
  g_autofree char *ls = xds_userdata_world_ls (f->world);

  g_assert_cmpstr (ls, ==, expected);
}

static void
leave (Fixture *f, char letter, guint domid, guint uuid, const char *userid)
{
  g_autofree char *name = xds_userdata_file_name (letter, domid, xds_test_uuid (uuid), userid);

  xds_userdata_world_write (f->world, name, "left");
}

#define DATA(n) "userdata-d." #n ".5a1ad000-0000-4000-8000-00000000000" #n

/* Proves the decision: whoever is not alive goes, once; the living, the stopped, domain 0 and what
   is not libxl's stay. */
static void
test_decide (void)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GArray) domains = g_array_new (FALSE, TRUE, sizeof (XdsUserdataDomain));
  g_autoptr (GArray) owners = NULL;

  for (guint domid = 0; domid < 6; domid++)
    for (guint i = 0; i < 2; i++)
      g_ptr_array_add (names, xds_userdata_file_name ("dl"[i], domid, xds_test_uuid (domid), "x"));
  g_ptr_array_add (names, xds_userdata_file_name ('d', 0, xds_test_uuid (44), "x"));
  g_ptr_array_add (names, g_strdup ("userdata-m.boot"));
  g_ptr_array_add (names, g_strdup ("save"));
  g_array_set_size (domains, 4);
  for (guint i = 0; i < 4; i++)
    {
      XdsUserdataDomain *domain = &g_array_index (domains, XdsUserdataDomain, i);

      domain->domid = i + 1;
      g_strlcpy (domain->uuid, xds_test_uuid (i + 1), sizeof domain->uuid);
    }
  g_array_index (domains, XdsUserdataDomain, 0).shutdown = TRUE;
  g_array_index (domains, XdsUserdataDomain, 1).dying = TRUE;
  g_strlcpy (g_array_index (domains, XdsUserdataDomain, 2).uuid, xds_test_uuid (33), 37);

  owners = xds_userdata_sweep_decide (names, domains);
  g_assert_cmpuint (owners->len, ==, 3);
  g_assert_cmpuint (g_array_index (owners, XdsUserdataOwner, 0).domid, ==, 2);
  g_assert_cmpuint (g_array_index (owners, XdsUserdataOwner, 1).domid, ==, 3);
  g_assert_cmpstr (g_array_index (owners, XdsUserdataOwner, 1).uuid, ==, xds_test_uuid (3));
  g_assert_cmpuint (g_array_index (owners, XdsUserdataOwner, 2).domid, ==, 5);
}

/* Proves that a start sweeps what died unseen, of every letter, and leaves the living alone. */
static void
test_start (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  xds_userdata_world_put (f->world, 7, "xl", "alive");
  xds_userdata_world_put (f->world, 0, "xl", "host");
  leave (f, 'd', 8, 8, "xl");
  leave (f, 'n', 8, 8, "xl");
  leave (f, 'l', 8, 8, "qmp-socket-lock");
  leave (f, 'l', 8, 8, XDS_USERDATA_LOCK);
  leave (f, 'm', 8, 8, "other");
  leave (f, 'd', 7, 8, "of the domain before");
  start (f);
  settle (f);
  assert_ls (f, DATA (0) ".xl " DATA (7) ".xl");
  g_assert_cmpuint (f->swept, ==, 2);
  g_assert_cmpuint (f->troubles, ==, 0);
}

/* Proves that a shutdown keeps the data, that dying removes it, and that what libxl still stores
   for a dying domain goes too. */
static void
test_shutdown_then_dying (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  XdsUserdataDomain *domain = g_hash_table_lookup (f->world->domains, GUINT_TO_POINTER (7));

  start (f);
  xds_userdata_world_put (f->world, 7, "xl", "alive");
  domain->shutdown = TRUE;
  xds_userdata_keeper_kick (f->keeper);
  settle (f);
  assert_ls (f, DATA (7) ".xl");
  domain->dying = TRUE;
  xds_userdata_keeper_kick (f->keeper);
  settle (f);
  assert_ls (f, "");
  leave (f, 'd', 7, 7, "libxl-json");
  settle (f);
  assert_ls (f, "");
}

/* Proves that a file which appears for a domain that is gone goes without anybody's kick. */
static void
test_late_store (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  start (f);
  settle (f);
  xds_userdata_world_kill (f->world, 7);
  leave (f, 'd', 7, 7, "xl");
  settle (f);
  assert_ls (f, "");
}

static int
hold_lock (Fixture *f, guint domid, const char *userid)
{
  g_autofree char *name = xds_userdata_file_name ('l', domid, xds_test_uuid (domid), userid);
  g_autofree char *path = g_build_filename (f->world->folder, name, NULL);
  int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (flock (fd, LOCK_EX), ==, 0);
  return fd;
}

/* Proves that the keeper does not wait for a lock, removes nothing while it is held, and comes
   back; the same for a slow lock, whose file it leaves to its holder. */
static void
test_busy_lock (Fixture *f, gconstpointer data)
{
  const char *lock = data;
  int fd;

  xds_userdata_world_put (f->world, 7, "xl", "alive");
  fd = hold_lock (f, 7, lock);
  xds_userdata_world_kill (f->world, 7);
  start (f);
  xds_userdata_keeper_dispatch (f->keeper);
  g_assert_cmpint (xds_userdata_keeper_next (f->keeper), >, 0);
  g_assert_true (xds_userdata_world_has (f->world, DATA (7) ".xl")
                 == g_str_equal (lock, XDS_USERDATA_LOCK));
  g_assert_cmpuint (f->swept, ==, 0);
  g_assert_cmpint (close (fd), ==, 0);
  settle (f);
  assert_ls (f, "");
  g_assert_cmpuint (f->swept, ==, 1);
}

static void
revive (XdsUserdataWorld *world, guint domid G_GNUC_UNUSED)
{
  xds_userdata_world_add (world, 7, 7);
}

/* Proves that a domain which comes back, with number and uuid, after the snapshot and before the
   removal keeps its data. */
static void
test_comes_back (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  xds_userdata_world_put (f->world, 7, "xl", "alive");
  xds_userdata_world_kill (f->world, 7);
  f->world->on_ask = revive;
  start (f);
  settle (f);
  assert_ls (f, DATA (7) ".xl");
  g_assert_cmpuint (f->swept, ==, 0);
}

/* Proves that all data of a number in use stays where the hypervisor tells no uuid, and goes with
   its domain. */
static void
test_no_uuid (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  XdsUserdataDomain *domain = g_hash_table_lookup (f->world->domains, GUINT_TO_POINTER (7));

  xds_userdata_world_put (f->world, 7, "xl", "alive");
  domain->uuid[0] = '\0';
  start (f);
  settle (f);
  assert_ls (f, DATA (7) ".xl");
  xds_userdata_world_kill (f->world, 7);
  xds_userdata_keeper_kick (f->keeper);
  settle (f);
  assert_ls (f, "");
  g_assert_cmpuint (f->troubles, ==, 0);
}

/* Proves that nothing is removed while the hypervisor does not answer, and that it is tried again.
 */
static void
test_hypervisor_down (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  leave (f, 'd', 8, 8, "xl");
  f->world->down = TRUE;
  start (f);
  xds_userdata_keeper_dispatch (f->keeper);
  assert_ls (f, DATA (8) ".xl");
  g_assert_cmpuint (f->troubles, ==, 1);
  g_assert_cmpint (xds_userdata_keeper_next (f->keeper), >, 0);
  f->world->down = FALSE;
  xds_userdata_keeper_kick (f->keeper);
  settle (f);
  assert_ls (f, "");
}

/* Proves that each change in the folder is told once, whoever made it: by store, by hand, by
   sweep; and that locks and new files are not. */
static void
test_changes (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;

  start (f);
  settle (f);
  xds_userdata_world_put (f->world, 7, "a", "1");
  xds_userdata_world_put (f->world, 0, "b.c", "2");
  xds_userdata_store_remove (f->world->store, 0, "b.c", &error);
  g_assert_no_error (error);
  leave (f, 'd', 7, 7, "by hand");
  xds_userdata_keeper_dispatch (f->keeper);
  g_assert_cmpstr (f->log->str, ==, "+7/a +0/b.c -0/b.c +7/by hand ");
  g_string_truncate (f->log, 0);
  xds_userdata_world_kill (f->world, 7);
  xds_userdata_keeper_kick (f->keeper);
  settle (f);
  g_assert_nonnull (strstr (f->log->str, "-7/a "));
  g_assert_nonnull (strstr (f->log->str, "-7/by hand "));
}

/* Proves that the first start after boot removes what the last boot left, also for a living domain
   of the same number and uuid, but not what was stored since, nor domain 0's; and that a restart
   removes nothing. */
static void
test_boot (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *old = g_build_filename (f->world->folder, DATA (7) ".xl", NULL);
  struct timespec times[2] = { { .tv_sec = 1000000 }, { .tv_sec = 1000000 } };
  g_autofree char *mark = NULL;

  xds_userdata_world_put (f->world, 7, "xl", "of the last boot");
  g_assert_cmpint (utimensat (AT_FDCWD, old, times, 0), ==, 0);
  xds_userdata_world_put (f->world, 7, "new", "since boot");
  xds_userdata_world_put (f->world, 0, "xl", "host");
  leave (f, 'd', 9, 9, "xl");
  xds_userdata_world_write (f->world, "userdata-m.boot", "22222222-2222-4222-8222-222222222222\n");
  start (f);
  settle (f);
  assert_ls (f, DATA (0) ".xl " DATA (7) ".new");
  mark = xds_userdata_world_read (f->world, "userdata-m.boot");
  g_assert_cmpstr (mark, ==, "11111111-1111-4111-8111-111111111111\n");

  xds_userdata_world_put (f->world, 7, "xl", "new, by a clock that is wrong");
  g_assert_cmpint (utimensat (AT_FDCWD, old, times, 0), ==, 0);
  xds_userdata_keeper_free (f->keeper);
  f->keeper = xds_userdata_keeper_new (f->world->store, NULL, NULL);
  start (f);
  settle (f);
  assert_ls (f, DATA (0) ".xl " DATA (7) ".new " DATA (7) ".xl");
}

/* Proves that where the hypervisor has unique ids, data of an earlier life of the same number and
   uuid goes, and what the new life stored stays. */
static void
test_unique_id (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  xds_userdata_world_add (f->world, 7, 7)->unique_id = 1001;
  start (f);
  settle (f);
  xds_userdata_world_put (f->world, 7, "old", "1");
  xds_userdata_world_put (f->world, 7, "both", "1");
  settle (f);
  xds_userdata_world_add (f->world, 7, 7)->unique_id = 1002;
  xds_userdata_world_put (f->world, 7, "both", "2");
  xds_userdata_world_put (f->world, 7, "new", "2");
  xds_userdata_keeper_kick (f->keeper);
  settle (f);
  assert_ls (f, DATA (7) ".both " DATA (7) ".new");
}

/* Proves that what was stored for a dead domain is not the next life's, also when that came back
   with number and uuid before the lock was free; while what the next life stores is. */
static void
test_comes_back_while_busy (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  int fd;

  xds_userdata_world_add (f->world, 7, 7)->unique_id = 1001;
  start (f);
  settle (f);
  xds_userdata_world_kill (f->world, 7);
  fd = hold_lock (f, 7, XDS_USERDATA_LOCK);
  leave (f, 'd', 7, 7, "late");
  leave (f, 'd', 7, 7, "both");
  xds_userdata_keeper_dispatch (f->keeper);
  xds_userdata_world_add (f->world, 7, 7)->unique_id = 1002;
  leave (f, 'd', 7, 7, "both");
  close (fd);
  settle (f);
  assert_ls (f, DATA (7) ".both");
}

/* Proves that what cannot be removed is told, and tried again rarely, while the rest goes. */
static void
test_not_removable (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *path = g_build_filename (f->world->folder, DATA (8) ".folder", NULL);

  g_assert_cmpint (g_mkdir (path, 0700), ==, 0);
  leave (f, 'd', 8, 8, "xl");
  leave (f, 'd', 9, 9, "xl");
  start (f);
  for (guint i = 0; i < 10; i++)
    xds_userdata_keeper_dispatch (f->keeper);
  assert_ls (f, DATA (8) ".folder");
  g_assert_cmpuint (f->troubles, <=, 2);
  g_assert_cmpint (xds_userdata_keeper_next (f->keeper), >,
                   g_get_monotonic_time () + G_USEC_PER_SEC);
}

static gboolean
stop_loop (gpointer loop)
{
  g_main_loop_quit (loop);
  return G_SOURCE_REMOVE;
}

/* Proves that as a source the keeper wakes for the folder and for its own time, and sleeps
   otherwise. */
static void
test_source (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GMainLoop) loop = g_main_loop_new (context, FALSE);
  g_autoptr (GSource) source = NULL;
  g_autoptr (GSource) timeout = g_timeout_source_new (20 * 1000);

  start (f);
  source = xds_userdata_keeper_create_source (f->keeper);
  g_source_attach (source, context);
  g_source_set_callback (timeout, stop_loop, loop, NULL);
  g_source_attach (timeout, context);
  leave (f, 'd', 8, 8, "xl");
  while (g_main_context_pending (context) || xds_userdata_keeper_next (f->keeper) >= 0)
    g_main_context_iteration (context, TRUE);
  assert_ls (f, "");
  leave (f, 'd', 8, 8, "xl");
  while (g_main_context_pending (context) || xds_userdata_keeper_next (f->keeper) >= 0)
    g_main_context_iteration (context, TRUE);
  assert_ls (f, "");
  g_source_destroy (timeout);
}

#define ADD(name, data, func) g_test_add (name, Fixture, data, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/userdata/sweep/decide", test_decide);
  ADD ("/userdata/keeper/start", NULL, test_start);
  ADD ("/userdata/keeper/shutdown-then-dying", NULL, test_shutdown_then_dying);
  ADD ("/userdata/keeper/late-store", NULL, test_late_store);
  ADD ("/userdata/keeper/busy-lock", XDS_USERDATA_LOCK, test_busy_lock);
  ADD ("/userdata/keeper/busy-slow-lock", "qmp-socket-lock", test_busy_lock);
  ADD ("/userdata/keeper/comes-back", NULL, test_comes_back);
  ADD ("/userdata/keeper/hypervisor-down", NULL, test_hypervisor_down);
  ADD ("/userdata/keeper/changes", NULL, test_changes);
  ADD ("/userdata/keeper/boot", NULL, test_boot);
  ADD ("/userdata/keeper/unique-id", NULL, test_unique_id);
  ADD ("/userdata/keeper/comes-back-while-busy", NULL, test_comes_back_while_busy);
  ADD ("/userdata/keeper/no-uuid", NULL, test_no_uuid);
  ADD ("/userdata/keeper/not-removable", NULL, test_not_removable);
  ADD ("/userdata/keeper/source", NULL, test_source);
  return g_test_run ();
}
