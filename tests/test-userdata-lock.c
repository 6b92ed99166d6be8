/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * libxl's lock, as we take it.
 */

#include "tests/userdata-world.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "lock"

typedef struct
{
  XdsUserdataWorld *world;
  XdsUserdataBackend *backend;
  char *path;
  guint pauses;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;

  f->world = xds_userdata_world_new ();
  f->backend = xds_userdata_backend_system_new (f->world->folder, &error);
  g_assert_no_error (error);
  f->path = g_build_filename (f->world->folder, NAME, NULL);
}

static void
tear_down (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_clear_pointer (&f->backend, xds_userdata_backend_free);
  g_clear_pointer (&f->world, xds_userdata_world_free);
  g_free (f->path);
}

/* Holds the file as another program would. */
static int
hold (Fixture *f)
{
  int fd = open (f->path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (flock (fd, LOCK_EX), ==, 0);
  return fd;
}

static void
assert_take_fails (Fixture *f, gint64 timeout, XdsUserdataError code)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (xds_userdata_lock_take (f->backend, NAME, timeout, &error));
  g_assert_error (error, XDS_USERDATA_ERROR, (gint) code);
}

/* Proves that the file is there while the lock is held, locked for others, and gone after. */
static void
test_take_release (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;
  XdsUserdataLock *lock = xds_userdata_lock_take (f->backend, NAME, XDS_USERDATA_LOCK_TRY, &error);
  int fd = open (f->path, O_RDONLY | O_CLOEXEC);
  GStatBuf st;

  g_assert_no_error (error);
  g_assert_cmpint (flock (fd, LOCK_EX | LOCK_NB), ==, -1);
  g_assert_cmpint (errno, ==, EWOULDBLOCK);
  g_assert_cmpint (g_stat (f->path, &st), ==, 0);
  g_assert_cmpuint (st.st_mode & 07777, ==, 0600);
  xds_userdata_lock_release (lock);
  g_assert_cmpint (g_stat (f->path, &st), ==, -1);
  g_assert_cmpint (flock (fd, LOCK_EX | LOCK_NB), ==, 0);
  close (fd);
  xds_userdata_lock_release (NULL);
}

/* Proves that one who does not get the lock says busy, in time, and leaves the holder's file. */
static void
test_busy (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  int fd = hold (f);

  assert_take_fails (f, XDS_USERDATA_LOCK_TRY, XDS_USERDATA_ERROR_BUSY);
  assert_take_fails (f, 30 * 1000, XDS_USERDATA_ERROR_BUSY);
  g_assert_true (xds_userdata_world_has (f->world, NAME));
  close (fd);
}

static int
no_descriptors (const char *call, const char *name G_GNUC_UNUSED, gpointer data G_GNUC_UNUSED)
{
  return strcmp (call, "open") == 0 ? -EMFILE : 0;
}

/* Proves that one who cannot even open the file does not remove it, as libxl does. */
static void
test_no_descriptors (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *lock = xds_userdata_file_name ('l', 7, xds_test_uuid (7), XDS_USERDATA_LOCK);
  g_autoptr (GBytes) bytes = g_bytes_new ("x", 1);
  g_autoptr (GError) error = NULL;

  xds_userdata_world_add (f->world, 7, 7);
  xds_userdata_world_write (f->world, lock, "");
  f->world->fault = no_descriptors;
  g_assert_false (xds_userdata_store_put (f->world->store, 7, "x", bytes, NULL, &error));
  g_assert_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_FAILED);
  g_assert_true (xds_userdata_world_has (f->world, lock));
}

/* Proves that a holder whose file was removed, and made anew by another, notices, and neither
   removes nor takes the other's. */
static void
test_replaced (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;
  XdsUserdataLock *lock = xds_userdata_lock_take (f->backend, NAME, XDS_USERDATA_LOCK_TRY, &error);
  int other;

  g_assert_true (xds_userdata_lock_check (lock, &error));
  g_assert_cmpint (g_unlink (f->path), ==, 0);
  g_assert_false (xds_userdata_lock_check (lock, NULL));
  other = hold (f);
  g_assert_false (xds_userdata_lock_check (lock, &error));
  g_assert_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_BUSY);
  xds_userdata_lock_release (lock);
  g_assert_true (xds_userdata_world_has (f->world, NAME));
  close (other);
}

static gpointer
release_soon (gpointer data)
{
  Fixture *f = data;
  int fd = GPOINTER_TO_INT (f->world->fault_data);

  g_usleep (20 * 1000);
  g_assert_cmpint (g_unlink (f->path), ==, 0);
  close (fd);
  return NULL;
}

/* Proves that a waiter does not take the dead file of the holder before for the lock. */
static void
test_dead_inode (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;
  XdsUserdataLock *lock;
  GThread *thread;

  f->world->fault_data = GINT_TO_POINTER (hold (f));
  thread = g_thread_new ("holder", release_soon, f);
  lock = xds_userdata_lock_take (f->backend, NAME, XDS_USERDATA_LOCK_FOREVER, &error);
  g_assert_no_error (error);
  g_assert_true (xds_userdata_lock_check (lock, &error));
  g_assert_true (xds_userdata_world_has (f->world, NAME));
  xds_userdata_lock_release (lock);
  g_thread_join (thread);
  g_assert_false (xds_userdata_world_has (f->world, NAME));
}

/* Proves that a lock left by one who was killed is simply taken. */
static void
test_left_over (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (XdsUserdataLock) lock = NULL;

  xds_userdata_world_write (f->world, NAME, "");
  lock = xds_userdata_lock_take (f->backend, NAME, XDS_USERDATA_LOCK_TRY, &error);
  g_assert_no_error (error);
}

/* Proves that a lock file which is a link, or somebody else's, is refused and left. */
static void
test_not_ours (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_assert_cmpint (symlink ("elsewhere", f->path), ==, 0);
  assert_take_fails (f, XDS_USERDATA_LOCK_TRY, XDS_USERDATA_ERROR_NOT_REGULAR);
  g_assert_false (xds_userdata_world_has (f->world, "elsewhere"));
  g_assert_cmpint (g_unlink (f->path), ==, 0);
  if (geteuid () != 0)
    return;
  xds_userdata_world_write (f->world, NAME, "");
  g_assert_cmpint (chown (f->path, 65534, 65534), ==, 0);
  assert_take_fails (f, XDS_USERDATA_LOCK_TRY, XDS_USERDATA_ERROR_FOREIGN);
  g_assert_true (xds_userdata_world_has (f->world, NAME));
}

/* Proves that a child does not inherit the lock. */
static void
test_close_on_exec (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (XdsUserdataLock) lock
      = xds_userdata_lock_take (f->backend, NAME, XDS_USERDATA_LOCK_TRY, &error);
  const char *argv[]
      = { "sh", "-c", "! ls -l /proc/self/fd | grep -q -- \"-> $0\"", f->path, NULL };
  gint status = -1;

  g_assert_nonnull (lock);
  g_assert_true (g_spawn_sync (NULL, (char **) argv, NULL,
                               G_SPAWN_SEARCH_PATH | G_SPAWN_LEAVE_DESCRIPTORS_OPEN, NULL, NULL,
                               NULL, NULL, &status, &error));
  g_assert_cmpint (status, ==, 0);
}

typedef struct
{
  Fixture *f;
  volatile guint *counter;
} Worker;

static gpointer
count_up (gpointer data)
{
  Worker *worker = data;

  for (guint i = 0; i < 1000; i++)
    {
      g_autoptr (GError) error = NULL;
      XdsUserdataLock *lock
          = xds_userdata_lock_take (worker->f->backend, NAME, XDS_USERDATA_LOCK_FOREVER, &error);
      guint seen = *worker->counter;

      g_assert_no_error (error);
      if (i % 16 == 0)
        g_thread_yield ();
      *worker->counter = seen + 1;
      xds_userdata_lock_release (lock);
    }
  return NULL;
}

/* Proves that threads of one process exclude each other too, over thousands of turns. */
static void
test_threads (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  volatile guint counter = 0;
  Worker worker = { f, &counter };
  GThread *threads[3];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("worker", count_up, &worker);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  g_assert_cmpuint (counter, ==, 3000);
  g_assert_false (xds_userdata_world_has (f->world, NAME));
}

static int
count_pauses (const char *call, const char *name G_GNUC_UNUSED, gpointer data)
{
  if (strcmp (call, "pause") == 0)
    ++*(guint *) data;
  return 0;
}

/* Proves that a waiter sleeps: a wait of 300 ms is a few dozen tries, not thousands. */
static void
test_sleeps (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *lock = xds_userdata_file_name ('l', 7, xds_test_uuid (7), XDS_USERDATA_LOCK);
  g_autoptr (GBytes) bytes = g_bytes_new ("x", 1);
  g_autoptr (GError) error = NULL;
  int fd;

  g_free (f->path);
  f->path = g_build_filename (f->world->folder, lock, NULL);
  fd = hold (f);
  xds_userdata_world_add (f->world, 7, 7);
  f->world->fault = count_pauses;
  f->world->fault_data = &f->pauses;
  xds_userdata_store_set_timeout (f->world->store, 300 * 1000);
  g_assert_false (xds_userdata_store_put (f->world->store, 7, "x", bytes, NULL, &error));
  g_assert_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_BUSY);
  g_assert_cmpuint (f->pauses, >, 0);
  g_assert_cmpuint (f->pauses, <, 60);
  close (fd);
}

#define ADD(name, func) g_test_add (name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("/userdata/lock/take-release", test_take_release);
  ADD ("/userdata/lock/busy", test_busy);
  ADD ("/userdata/lock/no-descriptors", test_no_descriptors);
  ADD ("/userdata/lock/replaced", test_replaced);
  ADD ("/userdata/lock/dead-inode", test_dead_inode);
  ADD ("/userdata/lock/left-over", test_left_over);
  ADD ("/userdata/lock/not-ours", test_not_ours);
  ADD ("/userdata/lock/close-on-exec", test_close_on_exec);
  ADD ("/userdata/lock/threads", test_threads);
  ADD ("/userdata/lock/sleeps", test_sleeps);
  return g_test_run ();
}
