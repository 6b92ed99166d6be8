/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Going on where the program before us stopped, in the same process.
 *
 * We ourselves leave descriptors by option --resume (liveupdate.c).  C xenstored starts us as it
 * would start its next self: with its own options and -U; the state is in a file in its run
 * directory, and names descriptors by their numbers.  What else is open then is nobody's, and is
 * closed: above all its pid file, whose lock would keep us out.
 *
 * A takeover cannot go back, since that server is gone.  So all of the stream is read and checked
 * before anything is changed, and the file goes only when we serve.
 */

#include "xsd/daemon/resume.h"

#include "xsd/daemon/service-private.h"
#include "xsd/transport/failure.h"
#include "xsd/wire/stream.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <syslog.h>
#include <unistd.h>

#define STATE_FILE "state_dump"

static void
keep_private (int fd)
{
  fcntl (fd, F_SETFD, FD_CLOEXEC);
}

/* --- what our own live update left --- */

static gboolean
take_word (XdsResume *self, const char *word)
{
  const char *colon = strchr (word, ':');
  guint64 number;
  int fd;

  if (colon == NULL || !g_ascii_string_to_unsigned (colon + 1, 10, 3, G_MAXINT, &number, NULL))
    return FALSE;
  fd = number;
  keep_private (fd);
  if (g_str_has_prefix (word, "stream:"))
    self->stream = fd;
  else if (g_str_has_prefix (word, "pid-file:"))
    self->pid_file = fd;
  else if (g_str_has_prefix (word, "channels:"))
    self->channels = fd;
  else if (g_str_has_prefix (word, "own:"))
    g_array_append_val (self->own, fd);
  else if (g_str_has_prefix (word, "passed:"))
    g_array_append_val (self->passed, fd);
  else
    return FALSE;
  return TRUE;
}

gboolean
xds_resume_set (XdsResume *self, const char *text, GError **error)
{
  g_auto (GStrv) words = g_strsplit (text, ",", -1);

  for (guint i = 0; words[i] != NULL; i++)
    if (!take_word (self, words[i]))
      {
        g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                     "option --resume is for a live update's own use, and \"%s\" is not of it",
                     words[i]);
        return FALSE;
      }
  return TRUE;
}

XdsResume *
xds_resume_new (const char *text, GError **error)
{
  g_autoptr (XdsResume) self = g_new0 (XdsResume, 1);

  self->own = g_array_new (FALSE, FALSE, sizeof (int));
  self->passed = g_array_new (FALSE, FALSE, sizeof (int));
  self->clients = g_array_new (FALSE, FALSE, sizeof (int));
  xds_resume_forget (self);
  return text == NULL || xds_resume_set (self, text, error) ? g_steal_pointer (&self) : NULL;
}

void
xds_resume_forget (XdsResume *self)
{
  self->stream = self->pid_file = self->channels = -1;
  g_array_set_size (self->own, 0);
  g_array_set_size (self->clients, 0);
  g_clear_pointer (&self->state_file, g_free);
}

void
xds_resume_free (XdsResume *self)
{
  if (self == NULL)
    return;
  if (self->stream >= 0)
    close (self->stream);
  g_array_unref (self->own);
  g_array_unref (self->passed);
  g_array_unref (self->clients);
  g_free (self->state_file);
  g_free (self);
}

/* --- what C xenstored left --- */

/* (transfer full) NULL: it cannot be read. */
static GMappedFile *
map_stream (int fd, GError **error)
{
  return g_mapped_file_new_from_fd (fd, FALSE, error);
}

static void
take_descriptors (XdsResume *self, const XdsRecord *record, GHashTable *named)
{
  if (record->type == XDS_RECORD_GLOBAL)
    {
      self->channels = record->global.evtchn_fd;
      g_hash_table_add (named, GINT_TO_POINTER (self->channels));
      g_hash_table_add (named, GINT_TO_POINTER (record->global.socket_fd));
      if (record->global.socket_fd >= 0)
        g_array_append_val (self->own, record->global.socket_fd);
    }
  else if (record->type == XDS_RECORD_CONNECTION && record->connection.kind == XDS_RECORD_SOCKET)
    g_hash_table_add (named, GINT_TO_POINTER (record->connection.socket_fd));
}

/* Reads all of the stream; the descriptors that it names become keys of @named. */
static gboolean
take_stream (XdsResume *self, const char *path, GMappedFile *file, GHashTable *named,
             GError **error)
{
  XdsRecord record = { .type = XDS_RECORD_OWN };
  XdsStreamIn in;
  char why[256];

  xds_stream_in_init (&in, g_mapped_file_get_contents (file), g_mapped_file_get_length (file));
  while (record.type != XDS_RECORD_END)
    {
      if (xds_stream_in_read (&in, &record))
        {
          take_descriptors (self, &record, named);
          continue;
        }
      xds_stream_fault_print (&in.fault, why, sizeof why);
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s is damaged: %s", path, why);
      return FALSE;
    }
  return TRUE;
}

static void
close_others (GHashTable *named)
{
  DIR *dir = opendir ("/proc/self/fd");
  const struct dirent *entry;
  guint64 number;

  if (dir == NULL)
    return;
  while ((entry = readdir (dir)) != NULL)
    if (g_ascii_string_to_unsigned (entry->d_name, 10, 3, G_MAXINT, &number, NULL)
        && (int) number != dirfd (dir)
        && !g_hash_table_contains (named, GINT_TO_POINTER ((int) number)))
      close (number);
  closedir (dir);
}

gboolean
xds_resume_take_over (XdsResume *self, const char *run_dir, GError **error)
{
  g_autofree char *path = g_build_filename (run_dir, STATE_FILE, NULL);
  g_autoptr (GMappedFile) file = NULL;
  g_autoptr (GHashTable) named = g_hash_table_new (NULL, NULL);

  if (self->stream >= 0)
    return TRUE;
  self->stream = open (path, O_RDONLY | O_CLOEXEC);
  if (self->stream < 0)
    return xds_fail (error, errno, "cannot open %s", path);
  g_hash_table_add (named, GINT_TO_POINTER (self->stream));
  file = map_stream (self->stream, error);
  if (file == NULL || !take_stream (self, path, file, named, error))
    return FALSE;
  close_others (named);
  self->state_file = g_steal_pointer (&path);
  return TRUE;
}

void
xds_resume_done (XdsResume *self)
{
  if (self->stream >= 0)
    close (self->stream);
  self->stream = -1;
  if (self->state_file == NULL)
    return;
  if (unlink (self->state_file) < 0)
    g_warning ("cannot remove %s, whose state we went on from: %s", self->state_file,
               g_strerror (errno));
  g_message ("took over from another xenstore server, with what it left in %s", self->state_file);
}

void
xds_resume_lament (const GError *error)
{
  openlog ("xendomstored", LOG_PID, LOG_DAEMON);
  syslog (LOG_CRIT,
          "could not take over from the xenstore server that started us: %s.  That server is gone "
          "with this, and so are its connections.  Its state is left as it was, in " STATE_FILE
          " of the run directory: copy that away, look at it with \"xds dump file:FILE\", start a "
          "server and then the domains again",
          error->message);
  closelog ();
}

/* --- loading it --- */

static gboolean
load (XdsEngine *engine, int fd, XdsPeerLoaded loaded, void *data, GError **error)
{
  g_autoptr (GMappedFile) file = map_stream (fd, error);
  g_autofree char *why = NULL;

  if (file == NULL)
    return FALSE;
  if (xds_engine_load (engine, g_mapped_file_get_contents (file), g_mapped_file_get_length (file),
                       loaded, data, &why))
    return TRUE;
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, why);
  return FALSE;
}

gboolean
xds_resume_check (int fd, GError **error)
{
  const XdsHost nobody = { 0 };
  XdsEngine *engine = xds_engine_new (&nobody, NULL);
  gboolean good = load (engine, fd, NULL, NULL, error);

  xds_engine_free (engine);
  return good;
}

typedef struct
{
  const XdsResume *resume;
  XdsService *service;
} Loading;

static gboolean
ring_loaded (const Loading *loading, XdsPeer *peer, gint32 port)
{
  guint domid = xds_peer_domid (peer);

  if (xds_ring_server_resume (loading->service->rings, peer, domid, port,
                              loading->resume->channels >= 0)
      == XDS_OK)
    return TRUE;
  g_warning ("domain %u is not served any more: its ring cannot be mapped, or its port not be had",
             domid);
  return FALSE;
}

static gboolean
peer_loaded (void *data, XdsPeer *peer, gint32 handle)
{
  const Loading *loading = data;
  g_autoptr (GError) error = NULL;

  if (xds_peer_is_domain (peer))
    return ring_loaded (loading, peer, handle);
  if (handle < 0)
    return FALSE;
  keep_private (handle);
  fcntl (handle, F_SETFL, fcntl (handle, F_GETFL) & ~O_NONBLOCK); /* see socket.c */
  if (xds_socket_server_resume (loading->service->sockets, peer, handle, &error))
    return TRUE;
  g_warning ("a client on the socket was lost: %s", error->message);
  return FALSE;
}

gboolean
xds_resume_load (const XdsResume *self, XdsService *service, GError **error)
{
  Loading loading = { self, service };

  return load (service->engine, self->stream, peer_loaded, &loading, error);
}
