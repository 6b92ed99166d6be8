/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The lock: open or create, flock, and see whether the name still leads to what was locked.
 *
 * Invariants: whoever holds a lock holds the inode that the name leads to, since only the holder
 * removes the name, and removes it before letting go.  We never remove a name without holding
 * its inode, also when we give up.  The descriptor never leaks into a child.
 *
 * flock() cannot wait for a limited time.  A thread that waits in our stead would stay behind,
 * with a descriptor, each time that somebody holds a lock for good; a signal would be the
 * program's, not ours to use.  So the lock is tried again after a pause that grows.  Waiters are
 * not served in order, but with this protocol they are not in libxl either: all of them wait for
 * a dead inode and race for the next.
 */

#include "userdata/lock.h"
#include "userdata/error.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* A store takes about a millisecond, so the first pauses are shorter than that.  The last ones
   must not delay much a lock that came free, and must cost nothing while it does not. */
#define FIRST_PAUSE 200
#define LONGEST_PAUSE 10000

struct XdsUserdataLock
{
  XdsUserdataBackend *backend; /* (unowned) */
  char *name;                  /* (owned) */
  int fd;                      /* (owned) */
};

/* Closes on leaving a scope, whatever way it is left. */
typedef struct
{
  XdsUserdataBackend *backend;
  int fd;
} HeldFd;

static void
held_fd_clear (HeldFd *held)
{
  if (held->fd >= 0)
    held->backend->close (held->backend, held->fd);
  held->fd = -1;
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (HeldFd, held_fd_clear)

/* Is what we have open still what the name leads to?  0, -ESTALE, or another negative errno. */
static int
check_name (XdsUserdataBackend *backend, int fd, const char *name)
{
  struct stat ours, theirs;
  int rc = backend->stat_fd (backend, fd, &ours);

  if (rc == 0)
    rc = backend->stat (backend, name, &theirs);
  if (rc == -ENOENT)
    return -ESTALE;
  if (rc == 0 && (ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino))
    return -ESTALE;
  return rc;
}

/* A file of somebody else would let him decide who gets the lock. */
static gboolean
check_file (XdsUserdataBackend *backend, int fd, const char *name, GError **error)
{
  struct stat st;
  int rc = backend->stat_fd (backend, fd, &st);

  if (rc < 0)
    xds_userdata_set_errno (error, -rc, "Cannot look at lock file", name);
  else if (!S_ISREG (st.st_mode))
    xds_userdata_set_errno (error, EISDIR, "Cannot lock", name);
  else if (st.st_uid != 0 && st.st_uid != geteuid ())
    g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_FOREIGN,
                 "Lock file '%s' belongs to user %u; remove it", name, (guint) st.st_uid);
  else
    return TRUE;
  return FALSE;
}

static gboolean
open_lock (XdsUserdataBackend *backend, const char *name, int *ret_fd, GError **error)
{
  int fd = backend->open (backend, name, O_RDWR | O_CREAT | O_NONBLOCK, 0600);
  g_auto (HeldFd) held = { backend, fd };

  if (fd == -ENOENT)
    g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_NO_FOLDER,
                 "Cannot make lock file '%s': its folder was removed; "
                 "make it again and restart",
                 name);
  else if (fd < 0)
    xds_userdata_set_errno (error, -fd, "Cannot make lock file", name);
  if (fd < 0 || !check_file (backend, fd, name, error))
    return FALSE;
  *ret_fd = held.fd;
  held.fd = -1;
  return TRUE;
}

/* One attempt on an open file: 0 when the lock is ours, -EWOULDBLOCK, -ESTALE, or worse. */
static int
attempt (XdsUserdataBackend *backend, int fd, const char *name)
{
  int rc = backend->try_lock (backend, fd);

  return rc == 0 ? check_name (backend, fd, name) : rc;
}

static gboolean
set_busy (GError **error, const char *name)
{
  g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_BUSY,
               "Somebody else holds '%s'; try again, or see who does "
               "with lslocks",
               name);
  return FALSE;
}

/* Sleeps, longer each time, but not past the end of time. */
static void
wait_a_little (XdsUserdataBackend *backend, gint64 deadline, gint64 *pause)
{
  gint64 left = deadline < 0 ? *pause : deadline - backend->clock (backend, XDS_CLOCK_MONOTONIC);

  if (left > 0)
    backend->pause (backend, MIN (*pause, left));
  *pause = MIN (*pause * 2, LONGEST_PAUSE);
}

static gboolean
past (XdsUserdataBackend *backend, gint64 deadline)
{
  return deadline >= 0 && backend->clock (backend, XDS_CLOCK_MONOTONIC) >= deadline;
}

/*
 * Until it is ours.  A name that led elsewhere is opened again at once, since that is progress:
 * somebody let go.  But also this ends at the deadline.
 */
static gboolean
acquire (HeldFd *held, const char *name, gint64 deadline, GError **error)
{
  XdsUserdataBackend *backend = held->backend;
  gint64 pause = FIRST_PAUSE;

  for (;;)
    {
      int rc;

      if (held->fd < 0 && !open_lock (backend, name, &held->fd, error))
        return FALSE;
      rc = attempt (backend, held->fd, name);
      if (rc == 0)
        return TRUE;
      if (rc != -EWOULDBLOCK && rc != -ESTALE)
        {
          xds_userdata_set_errno (error, -rc, "Cannot lock", name);
          return FALSE;
        }
      if (past (backend, deadline))
        return set_busy (error, name);
      if (rc == -ESTALE)
        held_fd_clear (held);
      else
        wait_a_little (backend, deadline, &pause);
    }
}

XdsUserdataLock *
xds_userdata_lock_take (XdsUserdataBackend *backend, const char *name, gint64 timeout,
                        GError **error)
{
  gint64 deadline = timeout < 0 ? -1 : backend->clock (backend, XDS_CLOCK_MONOTONIC) + timeout;
  g_auto (HeldFd) held = { backend, -1 };
  XdsUserdataLock *lock;

  if (!acquire (&held, name, deadline, error))
    return NULL;
  lock = g_new (XdsUserdataLock, 1);
  *lock = (XdsUserdataLock){ backend, g_strdup (name), held.fd };
  held.fd = -1;
  return lock;
}

gboolean
xds_userdata_lock_check (XdsUserdataLock *lock, GError **error)
{
  int rc = check_name (lock->backend, lock->fd, lock->name);

  if (rc == -ESTALE)
    return set_busy (error, lock->name);
  if (rc < 0)
    xds_userdata_set_errno (error, -rc, "Cannot look at lock file", lock->name);
  return rc == 0;
}

void
xds_userdata_lock_release (XdsUserdataLock *lock)
{
  if (lock == NULL)
    return;
  if (xds_userdata_lock_check (lock, NULL))
    lock->backend->unlink (lock->backend, lock->name);
  lock->backend->close (lock->backend, lock->fd);
  g_free (lock->name);
  g_free (lock);
}
