/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The backend over a real folder.
 *
 * The folder is opened once and everything is reached from its descriptor, so that a renamed or
 * replaced folder cannot send us elsewhere halfway.  Each function is one system call, restarted
 * when a signal interrupts it.
 *
 * g_file_set_contents_full() was the other choice: its temporary name would look to libxl like
 * the data of another userid, and it takes paths, not descriptors.
 */

#include "userdata/backend.h"
#include "userdata/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

typedef struct
{
  XdsUserdataBackend base;
  int folder;       /* (owned) descriptor */
  char boot_id[40]; /* empty where the kernel does not tell */
} SystemBackend;

#define FOLDER(self) (((SystemBackend *) (self))->folder)

/* -1 and errno become one number. */
#define RESULT(call) (TEMP_FAILURE_RETRY (call) < 0 ? -errno : 0)

static int
system_open (XdsUserdataBackend *self, const char *name, int flags, guint mode)
{
  int fd = TEMP_FAILURE_RETRY (openat (FOLDER (self), name, flags | O_CLOEXEC | O_NOFOLLOW, mode));

  return fd < 0 ? -errno : fd;
}

static gssize
system_read (XdsUserdataBackend *self G_GNUC_UNUSED, int fd, void *room, gsize n)
{
  gssize got = TEMP_FAILURE_RETRY (read (fd, room, n));

  return got < 0 ? -errno : got;
}

static gssize
system_write (XdsUserdataBackend *self G_GNUC_UNUSED, int fd, const void *bytes, gsize n)
{
  gssize done = TEMP_FAILURE_RETRY (write (fd, bytes, n));

  return done < 0 ? -errno : done;
}

static int
system_sync (XdsUserdataBackend *self G_GNUC_UNUSED, int fd)
{
  return RESULT (fsync (fd));
}

/* Not restarted: after EINTR Linux has closed the descriptor all the same. */
static int
system_close (XdsUserdataBackend *self G_GNUC_UNUSED, int fd)
{
  return close (fd) < 0 && errno != EINTR ? -errno : 0;
}

static int
system_stat_fd (XdsUserdataBackend *self G_GNUC_UNUSED, int fd, struct stat *ret_stat)
{
  return RESULT (fstat (fd, ret_stat));
}

static int
system_stat (XdsUserdataBackend *self, const char *name, struct stat *ret_stat)
{
  return RESULT (fstatat (FOLDER (self), name, ret_stat, AT_SYMLINK_NOFOLLOW));
}

static int
system_try_lock (XdsUserdataBackend *self G_GNUC_UNUSED, int fd)
{
  return RESULT (flock (fd, LOCK_EX | LOCK_NB));
}

static int
system_rename (XdsUserdataBackend *self, const char *from, const char *to)
{
  return RESULT (renameat (FOLDER (self), from, FOLDER (self), to));
}

static int
system_link (XdsUserdataBackend *self, const char *from, const char *to)
{
  return RESULT (linkat (FOLDER (self), from, FOLDER (self), to, 0));
}

static int
system_unlink (XdsUserdataBackend *self, const char *name)
{
  return RESULT (unlinkat (FOLDER (self), name, 0));
}

static int
system_make_folder (XdsUserdataBackend *self, const char *name)
{
  return RESULT (mkdirat (FOLDER (self), name, 0700));
}

static int
system_list (XdsUserdataBackend *self, const char *sub, GPtrArray *names)
{
  int fd = openat (FOLDER (self), sub != NULL ? sub : ".",
                   O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  DIR *dir = fd >= 0 ? fdopendir (fd) : NULL;
  struct dirent *entry;
  int err;

  if (dir == NULL)
    {
      err = errno;
      if (fd >= 0)
        close (fd);
      return -err;
    }
  for (errno = 0; (entry = readdir (dir)) != NULL; errno = 0)
    if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0)
      g_ptr_array_add (names, g_strdup (entry->d_name));
  err = errno;
  closedir (dir);
  return -err;
}

static int
system_sync_folder (XdsUserdataBackend *self)
{
  return RESULT (fsync (FOLDER (self)));
}

static gint64
microseconds (clockid_t id)
{
  struct timespec t;

  clock_gettime (id, &t);
  return (gint64) t.tv_sec * G_USEC_PER_SEC + t.tv_nsec / 1000;
}

static gint64
system_clock (XdsUserdataBackend *self G_GNUC_UNUSED, XdsClock which)
{
  if (which == XDS_CLOCK_MONOTONIC)
    return g_get_monotonic_time ();
  if (which == XDS_CLOCK_REAL)
    return g_get_real_time ();
  return microseconds (CLOCK_REALTIME) - microseconds (CLOCK_BOOTTIME);
}

static void
system_pause (XdsUserdataBackend *self G_GNUC_UNUSED, gint64 usec)
{
  g_usleep ((gulong) usec);
}

static const char *
system_boot_id (XdsUserdataBackend *self)
{
  return ((SystemBackend *) self)->boot_id;
}

static void
system_free (XdsUserdataBackend *self)
{
  close (FOLDER (self));
  g_free (self);
}

static const XdsUserdataBackend system_backend = {
  .open = system_open,
  .read = system_read,
  .write = system_write,
  .sync = system_sync,
  .close = system_close,
  .stat_fd = system_stat_fd,
  .stat = system_stat,
  .try_lock = system_try_lock,
  .rename = system_rename,
  .link = system_link,
  .unlink = system_unlink,
  .make_folder = system_make_folder,
  .list = system_list,
  .sync_folder = system_sync_folder,
  .clock = system_clock,
  .pause = system_pause,
  .boot_id = system_boot_id,
  .free = system_free,
};

static void
read_boot_id (char room[40])
{
  g_autofree char *text = NULL;

  if (g_file_get_contents ("/proc/sys/kernel/random/boot_id", &text, NULL, NULL))
    g_strlcpy (room, g_strstrip (text), 40);
}

XdsUserdataBackend *
xds_userdata_backend_system_new (const char *folder, GError **error)
{
  int fd = TEMP_FAILURE_RETRY (open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  SystemBackend *self;

  if (fd < 0 && errno == ENOENT)
    g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_NO_FOLDER,
                 "The userdata folder '%s' is missing; make it "
                 "(mode 0755 or 0700, owned by root) or name another one",
                 folder);
  else if (fd < 0)
    xds_userdata_set_errno (error, errno, "Cannot open the userdata folder", folder);
  if (fd < 0)
    return NULL;
  self = g_new0 (SystemBackend, 1);
  self->base = system_backend;
  self->folder = fd;
  read_boot_id (self->boot_id);
  return &self->base;
}

void
xds_userdata_backend_free (XdsUserdataBackend *backend)
{
  if (backend != NULL)
    backend->free (backend);
}
