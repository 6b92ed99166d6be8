/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A child of ours writes its copy of the state beside the file, and puts it in the file's place
 * when the disk has it: so the loop waits for no disk, and the file is an old one or a new one,
 * whole.
 *
 * One is written at a time.  Who asks meanwhile waits for his turn, since a request that is put off
 * is executed again; the clock's turn is left out then.
 */

#include "xsd/daemon/saver.h"

#include "xsd/daemon/aside.h"
#include "xsd/daemon/statefile.h"
#include "xsd/transport/failure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* A disk that takes longer for a store is not one to wait for. */
#define SECONDS_MAX 600

struct XdsSaver
{
  XdsEngine *engine;
  char *file;       /* (owned) (nullable) of the configuration */
  guint64 interval;
  guint timer;      /* 0: there is none */
  XdsAside *aside;  /* (owned) (nullable) while one is written */
  char *path;       /* (owned) (nullable) to where */
  guint64 asker;    /* id of the peer that asked for it; 0: the clock */
  char *result;     /* (owned) (nullable) until the asker has it */
};

/* --- in the child --- */

static gint32
no_handle (void *data G_GNUC_UNUSED, XdsPeer *peer G_GNUC_UNUSED)
{
  return -1;
}

static gboolean
sync_folder (const char *path, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (path);
  int fd = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  gboolean good = fd >= 0 && fsync (fd) == 0;

  if (!good)
    xds_fail (error, errno, "cannot write %s", folder);
  if (fd >= 0)
    close (fd);
  return good;
}

static gboolean
write_file (XdsSaver *self, const char *path, gsize *ret_len, GError **error)
{
  const XdsDumpHost side = { .socket_fd = -1, .evtchn_fd = -1, .handle = no_handle };
  int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  gboolean good;

  if (fd < 0)
    return xds_fail (error, errno, "cannot make %s", path);
  good = xds_state_write (self->engine, &side, NULL, fd, ret_len, error)
         && (fsync (fd) == 0 || xds_fail (error, errno, "it does not get to the disk"));
  close (fd);
  if (!good)
    {
      g_prefix_error (error, "%s: ", path);
      unlink (path);
    }
  return good;
}

static gboolean
save (gpointer data, GString *said)
{
  XdsSaver *self = data;
  g_autofree char *beside = g_strconcat (self->path, ".new", NULL);
  g_autoptr (GError) error = NULL;
  gsize len = 0;

  xds_engine_leave_journal (self->engine);
  setpriority (PRIO_PROCESS, 0, 19);
  if (write_file (self, beside, &len, &error)
      && (rename (beside, self->path) == 0
          || xds_fail (&error, errno, "cannot put %s in place of %s", beside, self->path))
      && sync_folder (self->path, &error))
    {
      g_string_printf (said, "OK: %" G_GSIZE_FORMAT " bytes in %s", len, self->path);
      return TRUE;
    }
  g_string_printf (said, "%s; what was in %s before is still there", error->message, self->path);
  return FALSE;
}

/* --- in the loop --- */

static void
saved (gpointer data, gboolean good, const char *said)
{
  XdsSaver *self = data;

  g_clear_pointer (&self->aside, xds_aside_free);
  if (!good)
    g_warning ("snapshot in %s failed: %s", self->path, said);
  else if (self->asker != 0)
    g_message ("snapshot: %s", said);
  else
    g_info ("snapshot: %s", said);
  g_free (self->result);
  self->result = self->asker != 0 ? g_strdup (said) : NULL;
  xds_engine_unpark (self->engine);
}

static gboolean
start (XdsSaver *self, const char *path, guint64 asker, GError **error)
{
  g_free (self->path);
  self->path = g_strdup (path);
  self->asker = asker;
  g_clear_pointer (&self->result, g_free);
  self->aside = xds_aside_start (save, saved, self, SECONDS_MAX, error);
  return self->aside != NULL;
}

static gboolean
time_is_over (gpointer data)
{
  XdsSaver *self = data;
  g_autoptr (GError) error = NULL;

  if (self->aside == NULL && !start (self, self->file, 0, &error))
    g_warning ("snapshot in %s failed: %s", self->file, error->message);
  return G_SOURCE_CONTINUE;
}

XdsStatus
xds_saver_control (XdsSaver *self, XdsPeer *peer, const char *const *args, gboolean last,
                   GString *answer)
{
  const char *path = args[0] != NULL ? args[0] : self->file;
  g_autoptr (GError) error = NULL;

  if (args[0] != NULL && (args[0][0] != '/' || args[1] != NULL))
    return XDS_EINVAL;
  if (self->result != NULL && self->asker == xds_peer_id (peer))
    {
      g_string_append (answer, self->result);
      g_clear_pointer (&self->result, g_free);
      return XDS_OK;
    }
  if (path == NULL)
    g_string_append (answer, "no file for it is set: say snapshot /PATH, or set one in [snapshot]");
  else if (last)
    g_string_append (answer, "another program goes on here: ask that");
  else if (self->aside != NULL || start (self, path, xds_peer_id (peer), &error))
    return XDS_LATER;
  else
    g_string_append (answer, error->message);
  return XDS_OK;
}

/* --- life --- */

void
xds_saver_set_config (XdsSaver *self, const XdsConfig *config)
{
  guint64 interval = config->snapshot_file != NULL ? config->snapshot_interval : 0;

  g_free (self->file);
  self->file = g_strdup (config->snapshot_file);
  if (interval == self->interval)
    return;
  g_clear_handle_id (&self->timer, g_source_remove);
  self->interval = interval;
  if (interval > 0)
    self->timer = g_timeout_add_seconds (MIN (interval, G_MAXUINT), time_is_over, self);
}

XdsSaver *
xds_saver_new (XdsEngine *engine, const XdsConfig *config)
{
  XdsSaver *self = g_new0 (XdsSaver, 1);

  self->engine = engine;
  xds_saver_set_config (self, config);
  return self;
}

void
xds_saver_free (XdsSaver *self)
{
  if (self == NULL)
    return;
  g_clear_handle_id (&self->timer, g_source_remove);
  g_clear_pointer (&self->aside, xds_aside_free);
  g_free (self->file);
  g_free (self->path);
  g_free (self->result);
  g_free (self);
}
