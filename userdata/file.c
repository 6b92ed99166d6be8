/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Reading and replacing one file.
 *
 * Invariant: on every way out of a replacement, its new file is either renamed or removed.  Only
 * a crash leaves one behind; the next replacement, libxl's destroy and the sweep remove it.
 *
 * The generation is derived from the inode, the time of change and the bytes themselves.  Inode
 * and time alone would miss a change: the kernel's file times stand still for some milliseconds,
 * within which a file system gives a freed inode to the next file, so that the third of three
 * quick stores can look like the first.  With the bytes in it, two states of one generation hold
 * the same bytes, whatever the clock did, and however libxl wrote them.  A counter in a sidecar
 * lost: libxl's stores would not count, and it would be a second file to keep in step.
 */

#include "userdata/file.h"
#include "userdata/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void
xds_userdata_file_clear (XdsUserdataFile *file)
{
  g_clear_pointer (&file->bytes, g_bytes_unref);
}

static gboolean
set_absent (const char *name, GError **error)
{
  g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_ABSENT, "Nothing is stored as '%s'",
               name);
  return FALSE;
}

/* Only a regular file of root or of ourselves is userdata. */
static gboolean
check_stat (const char *name, const struct stat *st, GError **error)
{
  if (!S_ISREG (st->st_mode))
    xds_userdata_set_errno (error, S_ISLNK (st->st_mode) ? ELOOP : ENXIO, "Cannot use", name);
  else if (st->st_uid != 0 && st->st_uid != geteuid ())
    g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_FOREIGN,
                 "'%s' belongs to user %u and is not trusted; remove it, or "
                 "give it to root",
                 name, (guint) st->st_uid);
  else
    return TRUE;
  return FALSE;
}

gboolean
xds_userdata_file_stat (XdsUserdataBackend *backend, const char *name, struct stat *ret_stat,
                        GError **error)
{
  struct stat st;
  int rc = backend->stat (backend, name, &st);

  if (rc == -ENOENT)
    return set_absent (name, error);
  if (rc < 0)
    {
      xds_userdata_set_errno (error, -rc, "Cannot look at", name);
      return FALSE;
    }
  if (!check_stat (name, &st, error))
    return FALSE;
  *ret_stat = st;
  return TRUE;
}

/* All of it, as far as it goes: a file that somebody shortens by hand meanwhile is no error. */
static int
read_all (XdsUserdataBackend *backend, int fd, gsize size, GBytes **ret_bytes)
{
  /* No more than libxl can hold; and a huge file made by hand must not end the program. */
  g_autofree guint8 *room = size <= G_MAXINT ? g_try_malloc (size + 1) : NULL;
  gsize have = 0;

  if (room == NULL)
    return -EFBIG;
  while (have < size)
    {
      gssize got = backend->read (backend, fd, room + have, size - have);

      if (got < 0)
        return (int) got;
      if (got == 0)
        break;
      have += (gsize) got;
    }
  *ret_bytes = g_bytes_new_take (g_steal_pointer (&room), have);
  return 0;
}

static gboolean
read_open (XdsUserdataBackend *backend, int fd, const char *name, XdsUserdataFile *ret_file,
           GError **error)
{
  XdsUserdataFile file = { 0 };
  int rc = backend->stat_fd (backend, fd, &file.st);

  if (rc == 0 && !check_stat (name, &file.st, error))
    return FALSE;
  if (rc == 0)
    rc = read_all (backend, fd, (gsize) file.st.st_size, &file.bytes);
  if (rc < 0)
    {
      xds_userdata_set_errno (error, -rc, "Cannot read", name);
      return FALSE;
    }
  *ret_file = file;
  return TRUE;
}

gboolean
xds_userdata_file_read (XdsUserdataBackend *backend, const char *name, XdsUserdataFile *ret_file,
                        GError **error)
{
  /* Without waiting: opening a named pipe would, for a writer. */
  int fd = backend->open (backend, name, O_RDONLY | O_NONBLOCK, 0);
  gboolean ok;

  if (fd == -ENOENT)
    return set_absent (name, error);
  if (fd < 0)
    {
      xds_userdata_set_errno (error, -fd, "Cannot open", name);
      return FALSE;
    }
  ok = read_open (backend, fd, name, ret_file, error);
  backend->close (backend, fd);
  return ok;
}

static int
write_all (XdsUserdataBackend *backend, int fd, GBytes *bytes)
{
  gsize len, done = 0;
  const guint8 *data = g_bytes_get_data (bytes, &len);

  while (done < len)
    {
      gssize n = backend->write (backend, fd, data + done, len - done);

      if (n <= 0)
        return n < 0 ? (int) n : -EIO;
      done += (gsize) n;
    }
  return 0;
}

/* A new file of ours, never one that is there already: that might be a link to elsewhere. */
static int
open_new (XdsUserdataBackend *backend, const char *name)
{
  int fd = backend->open (backend, name, O_WRONLY | O_CREAT | O_EXCL, 0600);

  if (fd == -EEXIST)
    {
      int rc = backend->unlink (backend, name);

      if (rc < 0 && rc != -ENOENT)
        return rc;
      fd = backend->open (backend, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    }
  return fd;
}

static int
write_new (XdsUserdataBackend *backend, const char *name, GBytes *bytes, gboolean durable)
{
  int fd = open_new (backend, name);
  int rc, closed;

  if (fd < 0)
    return fd;
  rc = write_all (backend, fd, bytes);
  if (rc == 0 && durable)
    rc = backend->sync (backend, fd);
  closed = backend->close (backend, fd);
  return rc != 0 ? rc : closed;
}

gboolean
xds_userdata_sync_folder (XdsUserdataBackend *backend, const char *name, GError **error)
{
  int rc = backend->sync_folder (backend);

  if (rc < 0)
    xds_userdata_set_errno (error, -rc, "The change is made, but may not survive a power cut, of",
                            name);
  return rc == 0;
}

static gboolean
fail_new (int err, const char *name, GError **error)
{
  if (err == ENOENT)
    g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_NO_FOLDER,
                 "Cannot write '%s': its folder was removed; make it again", name);
  else
    xds_userdata_set_errno (error, err, "Cannot write", name);
  return FALSE;
}

gboolean
xds_userdata_file_replace (XdsUserdataBackend *backend, const char *name, const char *via,
                           GBytes *bytes, gboolean durable, XdsUserdataReadyFunc ready,
                           gpointer data, GError **error)
{
  int rc = write_new (backend, via, bytes, durable);
  gboolean ok = rc == 0 || fail_new (-rc, via, error);

  ok = ok && (ready == NULL || ready (data, error));
  if (ok)
    {
      rc = backend->rename (backend, via, name);
      ok = rc == 0 || fail_new (-rc, name, error);
    }
  if (!ok)
    {
      backend->unlink (backend, via);
      return FALSE;
    }
  return !durable || xds_userdata_sync_folder (backend, name, error);
}

gboolean
xds_userdata_file_remove (XdsUserdataBackend *backend, const char *name, gboolean durable,
                          GError **error)
{
  int rc = backend->unlink (backend, name);

  if (rc == -ENOENT)
    return set_absent (name, error);
  if (rc < 0)
    {
      xds_userdata_set_errno (error, -rc, "Cannot remove", name);
      return FALSE;
    }
  return !durable || xds_userdata_sync_folder (backend, name, error);
}

guint64
xds_userdata_file_generation (const XdsUserdataFile *file)
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  guint64 head[4] = { (guint64) file->st.st_ino, (guint64) file->st.st_mtim.tv_sec,
                      (guint64) file->st.st_mtim.tv_nsec, g_bytes_get_size (file->bytes) };
  guint8 digest[32];
  gsize len = sizeof digest;
  guint64 generation;

  g_checksum_update (sum, (const guchar *) head, sizeof head);
  if (head[3] != 0)
    g_checksum_update (sum, g_bytes_get_data (file->bytes, NULL), (gssize) head[3]);
  g_checksum_get_digest (sum, digest, &len);
  memcpy (&generation, digest, sizeof generation);
  return generation != 0 ? generation : 1;
}
