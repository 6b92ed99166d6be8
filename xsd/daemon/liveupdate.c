/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Live update.  The new binary is first run beside us, to read the state and say whether it could
 * go on from there (--check-stream).  Only then we become it, by exec: same process id, same lock
 * on the pid file, same place under a service manager.  Sockets and event channels stay open; where
 * a plugin cannot leave its channels they are bound anew.  Rings are mapped anew, and each gets a
 * turn and a notification, for whatever was signalled in between.
 *
 * If the exec fails after all, we become ourselves again in the same way.
 *
 * Under a keeper (keeper.h) the same is done by two processes: this one ends, and the keeper, whose
 * process id the world knows, becomes the program.
 *
 * The road not taken: a second process that takes over while the first one looks on.  It can fail
 * later and still go back, but the event channel of domain 0's kernel and the one for changes of
 * domains can be bound only once, so two cannot be ready at the same time.
 */

#include "xsd/daemon/liveupdate.h"

#include "xsd/daemon/service-private.h"
#include "xsd/transport/failure.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK_SECONDS_DEFAULT 60
#define CHECK_SECONDS_MAX 3600

static void
set_inherited (int fd, gboolean inherited)
{
  fcntl (fd, F_SETFD, inherited ? 0 : FD_CLOEXEC);
}

/* --- the state in memory that is passed on --- */

static gint32
handle_of (void *data, XdsPeer *peer)
{
  XdsLink *link = xds_peer_get_data (peer);

  if (link == NULL)
    return -1;
  if (xds_peer_is_domain (peer))
    return xds_ring_server_port (((XdsService *) data)->rings, peer);
  return link->item.fd;
}

static gboolean
write_all (int fd, const guint8 *data, gsize len)
{
  while (len > 0)
    {
      ssize_t n = write (fd, data, len);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        return FALSE;
      data += n;
      len -= n;
    }
  return TRUE;
}

static int
new_memory (GError **error)
{
  int fd = memfd_create ("xendomstored-state", 0);

  if (fd < 0)
    xds_fail (error, errno, "there is no memory for the state");
  return fd;
}

static gboolean
dump (XdsService *self, int fd, int channels, GError **error)
{
  const XdsDumpHost side = { .socket_fd = -1, .evtchn_fd = channels, .handle = handle_of };
  g_autoptr (GBytes) stream = xds_engine_dump (self->engine, &side, self);
  gsize len;
  const guint8 *data = g_bytes_get_data (stream, &len);

  return (write_all (fd, data, len) && lseek (fd, 0, SEEK_SET) == 0)
         || xds_fail (error, errno, "there is no memory for the state");
}

/* --- trying the new binary --- */

static GStrv
make_argv (XdsService *self, const char *last, GError **error)
{
  g_autoptr (GStrvBuilder) argv = g_strv_builder_new ();
  g_auto (GStrv) words = NULL;

  if (self->update.line != NULL
      && !g_shell_parse_argv (self->update.line, NULL, &words, error)
      && !g_error_matches (*error, G_SHELL_ERROR, G_SHELL_ERROR_EMPTY_STRING))
    return NULL;
  g_clear_error (error);
  g_strv_builder_add (argv, self->update.file != NULL ? self->update.file : self->options->argv[0]);
  if (self->update.line == NULL)
    g_strv_builder_addv (argv, (const char **) self->options->argv + 1);
  else if (words != NULL)
    g_strv_builder_addv (argv, (const char **) words);
  g_strv_builder_add (argv, last);
  return g_strv_builder_end (argv);
}

/* All that the child says until it ends; FALSE: it takes longer than @seconds. */
static gboolean
listen_to (int fd, guint seconds, GString *said)
{
  gint64 deadline = g_get_monotonic_time () + seconds * G_USEC_PER_SEC;
  char text[512];

  for (;;)
    {
      struct pollfd poller = { .fd = fd, .events = POLLIN };
      gint64 left = deadline - g_get_monotonic_time ();
      ssize_t n;

      if (left <= 0 || poll (&poller, 1, left / 1000 + 1) == 0)
        return FALSE;
      n = read (fd, text, sizeof text);
      if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
        return TRUE;
      if (n > 0 && said->len < 2048)
        g_string_append_len (said, text, n);
    }
}

/* Runs the new binary on a copy of the state; what is wrong goes to @answer. */
static gboolean
accepts (XdsService *self, guint seconds, GString *answer)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GString) said = g_string_new (NULL);
  int stream = new_memory (&error), target = 3, out = -1, status = 0;
  g_auto (GStrv) argv = NULL;
  gboolean in_time;
  GPid pid;

  if (stream >= 0 && dump (self, stream, -1, &error))
    argv = make_argv (self, "--check-stream=3", &error);

  if (argv == NULL
      || !g_spawn_async_with_pipes_and_fds (NULL, (const char *const *) argv, NULL,
                                            G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, -1, -1, -1,
                                            &stream, &target, 1, &pid, NULL, NULL, &out, &error))
    {
      g_string_append (answer, error->message);
      if (stream >= 0)
        close (stream);
      return FALSE;
    }
  close (stream);
  in_time = listen_to (out, seconds, said);
  if (!in_time)
    kill (pid, SIGKILL);
  while (waitpid (pid, &status, 0) < 0 && errno == EINTR)
    ;
  close (out);
  if (in_time && WIFEXITED (status) && WEXITSTATUS (status) == 0)
    return TRUE;
  g_strstrip (said->str);
  g_string_append_printf (answer, "%s does not go on from our state, so we stay: %s",
                          self->update.file,
                          !in_time ? "it took too long to look at it"
                          : *said->str != '\0' ? said->str
                                               : "it died without a word");
  return FALSE;
}

/* --- becoming it --- */

static char *
describe_fds (XdsService *self, int stream, int channels)
{
  g_autoptr (GString) text = g_string_new (NULL);

  g_string_append_printf (text, "--resume=stream:%d", stream);
  if (channels >= 0)
    g_string_append_printf (text, ",channels:%d", channels);
  if (self->pid_file != NULL)
    {
      set_inherited (self->pid_file->fd, TRUE);
      g_string_append_printf (text, ",pid-file:%d", self->pid_file->fd);
    }
  xds_socket_server_hand_over (self->sockets, text);
  return g_string_free (g_steal_pointer (&text), FALSE);
}

/* Under a keeper it is the keeper that becomes it, when we end. */
static gboolean
has_keeper (const XdsService *self)
{
  return self->keeper != NULL && !xds_keeper_is_gone (self->keeper);
}

static gboolean
leave_words (XdsService *self, const char *file, char **argv, const char *resume, GError **error)
{
  return !has_keeper (self)
         || xds_keeper_leave (self->keeper, file, argv, strchr (resume, '=') + 1, error);
}

/* Does not return unless neither the new binary nor we can be run: then nothing is left to do. */
static void
become (XdsService *self, const char *file, char **argv, int channels)
{
  xds_notify_send ("RELOADING=1");
  g_message ("live update: going on as %s", file);
  xds_hooks_free (g_steal_pointer (&self->hooks));
  g_clear_pointer (&self->blobs, xds_blobs_free);
  xds_ring_server_deafen (self->rings);
  if (channels < 0)
    {
      xds_ring_server_free (g_steal_pointer (&self->rings));
      xds_domains_free (g_steal_pointer (&self->domains));
    }
  if (has_keeper (self))
    exit (EXIT_SUCCESS);
  execv (file, argv);
  g_critical ("live update: %s cannot be run: %s; going on as before", file, g_strerror (errno));
  execv ("/proc/self/exe", argv);
  g_error ("live update: we cannot be run again either: %s", g_strerror (errno));
}

void
xds_live_update_turn (XdsService *self)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *resume = NULL;
  g_auto (GStrv) argv = NULL;
  const char *file = self->update.file != NULL ? self->update.file : "/proc/self/exe";
  int stream, channels = -1;

  if (!self->update.due)
    return;
  self->update.due = FALSE;
  stream = new_memory (&error);
  if (stream >= 0)
    {
      channels = xds_ring_server_leave (self->rings);
      resume = describe_fds (self, stream, channels);
    }
  if (resume != NULL)
    argv = make_argv (self, resume, &error);
  if (argv == NULL || !dump (self, stream, channels, &error)
      || !leave_words (self, file, argv, resume, &error))
    {
      g_critical ("live update: %s; going on as before", error->message);
      return;
    }
  become (self, file, argv, channels);
}

void
xds_live_update_alone (XdsService *self)
{
  g_autofree char *text = NULL;

  g_critical ("the process that keeps this one is gone: going on with a new one");
  text = g_strdup_printf ("MAINPID=%d", (int) getpid ());
  xds_notify_send (text);
  xds_live_update_clear (self);
  self->update.due = TRUE;
}

/* --- CONTROL --- */

void
xds_live_update_clear (XdsService *self)
{
  g_clear_pointer (&self->update.file, g_free);
  g_clear_pointer (&self->update.line, g_free);
  self->update.due = FALSE;
}

static gboolean
set_file (XdsService *self, const char *file, GString *answer)
{
  if (file[0] != '/' || !g_file_test (file, G_FILE_TEST_IS_EXECUTABLE)
      || g_file_test (file, G_FILE_TEST_IS_DIR))
    {
      g_string_append_printf (answer, "%s is not the path of a program", file);
      return FALSE;
    }
  xds_live_update_clear (self);
  self->update.file = g_strdup (file);
  return TRUE;
}

/* The dialogue of xenstore-control: -f FILE, -c LINE, -s, each a request of its own, and -a; and
   everything in one: [-c LINE] [-t SECONDS] [-F] FILE. */
typedef struct
{
  const char *file, *line;
  gboolean start, abort;
  guint64 seconds;
} Words;

static gboolean
parse (const char *const *args, Words *words)
{
  for (; *args != NULL; args++)
    if (g_str_equal (*args, "-s"))
      words->start = TRUE;
    else if (g_str_equal (*args, "-a"))
      words->abort = TRUE;
    else if (g_str_equal (*args, "-F"))
      continue; /* nothing here waits for transactions to end, so nothing is to be forced */
    else if (g_str_equal (*args, "-c") || g_str_equal (*args, "-f") || g_str_equal (*args, "-t"))
      {
        const char *option = *args++;

        if (*args == NULL)
          return FALSE;
        if (option[1] == 'c')
          words->line = *args;
        else if (option[1] == 'f')
          words->file = *args;
        else if (!g_ascii_string_to_unsigned (*args, 10, 1, CHECK_SECONDS_MAX, &words->seconds,
                                              NULL))
          return FALSE;
      }
    else if (**args == '-' || words->file != NULL)
      return FALSE;
    else
      {
        words->file = *args;
        words->start = TRUE;
      }
  return words->start || words->abort || words->file != NULL || words->line != NULL;
}

gboolean
xds_live_update_control (XdsService *self, const char *const *args, GString *answer)
{
  Words words = { .seconds = CHECK_SECONDS_DEFAULT };

  if (!parse (args, &words))
    return FALSE;
  if (words.abort)
    xds_live_update_clear (self);
  if (words.file != NULL && !set_file (self, words.file, answer))
    return TRUE;
  if (words.line != NULL)
    {
      g_free (self->update.line);
      self->update.line = g_strdup (words.line);
    }
  if (words.start && self->update.file == NULL)
    {
      g_string_append (answer, "say first which program: live-update /PATH");
      return TRUE;
    }
  if (words.start && !accepts (self, words.seconds, answer))
    {
      g_warning ("live update: %s", answer->str);
      xds_live_update_clear (self);
      return TRUE;
    }
  self->update.due = words.start;
  g_string_append (answer, "OK");
  return TRUE;
}
