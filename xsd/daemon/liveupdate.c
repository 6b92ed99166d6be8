/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Live update.  The new binary is first run beside us, to read a copy of the state and say whether
 * it could go on from there (--check-stream), while we go on serving.  Only then we become it, by
 * exec: same process id, same lock on the pid file, same place under a service manager.  Sockets
 * and event channels stay open; where a plugin cannot leave its channels they are bound anew.
 * Rings are mapped anew, and each gets a turn and a notification, for whatever was signalled in
 * between.
 *
 * Under a keeper the process that stays is the keeper: it becomes the new program when we end.
 *
 * A C xenstored has no trial; there we read ourselves what it is to read.  It gets the state in a
 * file, as from its like.  What it cannot hold is told before, and lost only when told to.
 *
 * A file that was replaced or written while it was tried (a package is upgraded, a build goes on)
 * is tried again, whatever came of it: only what was tried is run.
 *
 * If the exec fails after all, we become ourselves again in the same way.
 *
 * The road not taken: a second process that takes over while the first one looks on.  It can fail
 * later and still go back, but the event channel of domain 0's kernel and the one for changes of
 * domains can be bound only once, so two cannot be ready at the same time.
 */

#include "xsd/daemon/liveupdate.h"

#include "xsd/daemon/program.h"
#include "xsd/daemon/service-private.h"
#include "xsd/daemon/statefile.h"
#include "xsd/transport/failure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHECK_SECONDS_DEFAULT 60
#define CHECK_SECONDS_MAX 3600

/* Between two trials of a file that is being written. */
#define PAUSE (G_USEC_PER_SEC / 10)

#define STATE_FILE "state_dump" /* where C xenstored looks for it, in its run directory */
#define SELF "/proc/self/exe"

static void
set_inherited (int fd, gboolean inherited)
{
  fcntl (fd, F_SETFD, inherited ? 0 : FD_CLOEXEC);
}

/* --- the state that is passed on --- */

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

static int
new_memory (GError **error)
{
  int fd = memfd_create ("xendomstored-state", 0);

  if (fd < 0)
    xds_fail (error, errno, "there is no memory for the state");
  return fd;
}

/* @version is that of XdsDumpHost. */
static gboolean
dump (XdsService *self, int fd, guint version, int channels, GError **error)
{
  const XdsDumpHost side = {
    .socket_fd = xds_socket_server_listener (self->sockets),
    .evtchn_fd = channels,
    .handle = handle_of,
    .version = version,
  };

  return xds_state_write (self->engine, &side, self, fd, NULL, error)
         && (lseek (fd, 0, SEEK_SET) == 0 || xds_fail (error, errno, "cannot read the state"));
}

/* --- how the new program is started --- */

static GStrv
own_options (XdsService *self)
{
  return g_strdupv (self->options->argv + 1);
}

/* (transfer full) @name, its options and @last; NULL: the words of -c are none. */
static GStrv
make_argv (XdsService *self, const char *name, GStrv options, const char *last, GError **error)
{
  g_autoptr (GStrvBuilder) argv = g_strv_builder_new ();
  g_auto (GStrv) words = NULL;

  if (self->update.line != NULL
      && !g_shell_parse_argv (self->update.line, NULL, &words, error)
      && !g_error_matches (*error, G_SHELL_ERROR, G_SHELL_ERROR_EMPTY_STRING))
    return NULL;
  g_clear_error (error);
  g_strv_builder_add (argv, name);
  if (self->update.line == NULL)
    g_strv_builder_addv (argv, (const char **) options);
  else if (words != NULL)
    g_strv_builder_addv (argv, (const char **) words);
  g_strv_builder_add (argv, last);
  return g_strv_builder_end (argv);
}

/* --- trying it, in a child of ours --- */

/* A stream for C xenstored is read by us; for one of us, by that. */
static gboolean
read_by (XdsService *self, guint version, gint64 deadline, GString *said)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) options = own_options (self);
  g_auto (GStrv) argv = NULL;
  int stream = new_memory (&error);

  if (version != 0)
    g_clear_pointer (&self->update.line, g_free); /* the child's; these are not our options */
  if (stream >= 0 && dump (self, stream, version, -1, &error))
    argv = make_argv (self, version == 0 ? self->update.file : SELF, options, "--check-stream=3",
                      &error);
  if (argv != NULL)
    return xds_program_run (argv, stream, deadline, said);
  g_string_append (said, error->message);
  return FALSE;
}

/* What it says of one that can go on is the version for C xenstored, or 0. */
static gboolean
try (gpointer data, GString *said)
{
  XdsService *self = data;
  gint64 deadline = self->update.deadline;
  XdsProgram kind;
  guint version = 0;

  xds_engine_leave_journal (self->engine);
  if (self->update.again)
    g_usleep (PAUSE);
  kind = xds_program_kind (self->update.file, deadline, said);
  if (kind == XDS_PROGRAM_UNKNOWN)
    return FALSE;
  if (kind == XDS_PROGRAM_C_XENSTORED)
    version = self->update.version != 0 ? self->update.version
                                        : xds_program_stream_version (self->update.file);
  if (!read_by (self, version, deadline, said))
    return FALSE;
  g_string_printf (said, "%u", version);
  return TRUE;
}

/* --- becoming it --- */

/* For one of us; what another program must not have is not @inherited. */
static char *
describe_fds (XdsService *self, int stream, int channels, gboolean inherited)
{
  g_autoptr (GString) text = g_string_new (NULL);

  set_inherited (stream, inherited);
  g_string_append_printf (text, "--resume=stream:%d", stream);
  if (channels >= 0)
    g_string_append_printf (text, ",channels:%d", channels);
  if (self->pid_file != NULL)
    {
      set_inherited (self->pid_file->fd, inherited);
      g_string_append_printf (text, ",pid-file:%d", self->pid_file->fd);
    }
  xds_socket_server_hand_over (self->sockets, text);
  return g_string_free (g_steal_pointer (&text), FALSE);
}

static gboolean
has_keeper (const XdsService *self)
{
  return self->keeper != NULL && !xds_keeper_is_gone (self->keeper);
}

/* Returns only if neither the new program nor we can be run: then nothing is left to do.  @resume
   is for the one of us that goes on if the new one cannot be run. */
static void
become (XdsService *self, const char *file, char **argv, const char *resume, int channels,
        GError **error)
{
  g_auto (GStrv) options = own_options (self);
  g_auto (GStrv) again = NULL;

  if (has_keeper (self)
      && !xds_keeper_leave (self->keeper, file, argv, strchr (resume, '=') + 1, error))
    return;
  g_message ("live update: going on as %s", file);
  g_clear_pointer (&self->hooks, xds_hooks_free);
  g_clear_pointer (&self->blobs, xds_blobs_free);
  g_clear_pointer (&self->saver, xds_saver_free);
  xds_ring_server_deafen (self->rings);
  if (channels < 0)
    {
      g_clear_pointer (&self->rings, xds_ring_server_free);
      g_clear_pointer (&self->domains, xds_domains_free);
    }
  if (has_keeper (self))
    exit (EXIT_SUCCESS);
  execv (file, argv);
  g_critical ("live update: %s cannot be run: %s; going on as before", file, g_strerror (errno));
  g_clear_pointer (&self->update.line, g_free);
  again = make_argv (self, self->options->argv[0], options, resume, NULL);
  execv (SELF, again);
  g_error ("live update: we cannot be run again either: %s", g_strerror (errno));
}

/* The words that one of us goes on by. (transfer full) (nullable) */
static char *
leave_state (XdsService *self, int channels, gboolean inherited, GError **error)
{
  int stream = new_memory (error);

  if (stream < 0)
    return NULL;
  if (dump (self, stream, 0, channels, error))
    return describe_fds (self, stream, channels, inherited);
  close (stream);
  return NULL;
}

static void
become_one_of_us (XdsService *self, const char *file, const char *name, GError **error)
{
  int channels = xds_ring_server_leave (self->rings);
  g_autofree char *resume = leave_state (self, channels, TRUE, error);
  g_auto (GStrv) options = own_options (self);
  g_auto (GStrv) argv = resume != NULL ? make_argv (self, name, options, resume, error) : NULL;

  if (argv == NULL)
    return;
  xds_notify_send ("RELOADING=1");
  become (self, file, argv, resume, channels, error);
}

static gboolean
leave_file (XdsService *self, guint version, int channels, GError **error)
{
  g_autofree char *path = g_build_filename (self->config->run_dir, STATE_FILE, NULL);
  int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  gboolean good;

  if (fd < 0)
    return xds_fail (error, errno, "cannot write %s", path);
  good = dump (self, fd, version, channels, error);
  close (fd);
  if (!good)
    unlink (path);
  return good;
}

/* It locks the pid file anew, so ours must end with us; and it says nothing to a service manager:
   who waited for a sign of life is told not to. */
static void
become_c_xenstored (XdsService *self, guint version, int channels, GError **error)
{
  g_auto (GStrv) options = xds_program_c_options (self->config, self->engine);
  g_auto (GStrv) argv = make_argv (self, self->update.file, options, "-U", error);
  g_autofree char *resume = argv != NULL ? leave_state (self, channels, FALSE, error) : NULL;

  if (resume == NULL || !leave_file (self, version, channels, error))
    return;
  xds_notify_send ("WATCHDOG_USEC=0");
  become (self, self->update.file, argv, resume, channels, error);
}

/* --- whoever asked --- */

/* That it is answered counts only with the update: who dies before has not begun the request, and
   whoever comes then does both. */
static void
count_no_more (XdsService *self)
{
  if (self->survival != NULL)
    xds_survival_stop (self->survival);
}

static void
count_again (XdsService *self)
{
  if (self->survival != NULL)
    xds_survival_more (self->survival);
}

/* FALSE: nobody waits for the answer any more. */
static gboolean
answer (XdsService *self, const char *text)
{
  self->update.answer = g_strdup (text);
  xds_engine_unpark (self->engine);
  return self->update.answer == NULL;
}

static void give_up (XdsService *self, const char *format, ...) G_GNUC_PRINTF (2, 3);

static void
give_up (XdsService *self, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list ap;

  va_start (ap, format);
  text = g_strdup_vprintf (format, ap);
  va_end (ap);
  g_warning ("live update: %s", text);
  answer (self, text);
  xds_live_update_clear (self);
}

static void
stayed (XdsService *self, const GError *error)
{
  g_critical ("live update: %s; going on as before", error->message);
  count_again (self);
  xds_live_update_clear (self);
}

/* FALSE: then nothing is done. */
static gboolean
answer_ok (XdsService *self)
{
  count_no_more (self);
  if (answer (self, "OK"))
    return TRUE;
  count_again (self);
  g_warning ("live update: whoever asked for %s is gone, so we stay", self->update.file);
  xds_live_update_clear (self);
  return FALSE;
}

static void
go_on_as_one_of_us (XdsService *self)
{
  g_autoptr (GError) error = NULL;

  if (!answer_ok (self))
    return;
  become_one_of_us (self, self->update.file, self->update.file, &error);
  stayed (self, error);
}

void
xds_live_update_turn (XdsService *self)
{
  g_autoptr (GError) error = NULL;

  if (!self->update.alone)
    return;
  self->update.alone = FALSE;
  become_one_of_us (self, SELF, self->options->argv[0], &error);
  stayed (self, error);
}

void
xds_live_update_alone (XdsService *self)
{
  g_autofree char *text = g_strdup_printf ("MAINPID=%d", (int) getpid ());

  g_critical ("the process that keeps this one is gone: going on with a new one");
  xds_notify_send (text);
  xds_live_update_clear (self);
  self->update.alone = TRUE;
}

/* All requests that are whole are executed before it is seen what would be lost, and whoever asked
   comes last. */
static void
go_on_as_c_xenstored (XdsService *self, guint version)
{
  g_autofree char *losses = NULL;
  g_autoptr (GError) error = NULL;
  int channels = xds_ring_server_leave (self->rings);

  if (channels < 0)
    {
      give_up (self,
               "%s cannot go on from us, so we stay: it needs event channels that are bound, and "
               "the hypervisor plugin %s cannot leave its own",
               self->update.file, self->domains->plugin->name);
      return;
    }
  xds_engine_finish (self->engine);
  losses = xds_engine_dump_losses (self->engine, version);
  if (losses != NULL && !self->update.force)
    {
      give_up (self, "%s cannot hold all that we have, so we stay; say -F to lose it: %s",
               self->update.file, losses);
      return;
    }
  if (losses != NULL)
    g_warning ("live update: lost on the way: %s", losses);
  self->update.going = TRUE;
  if (!answer_ok (self))
    return;
  xds_engine_finish (self->engine);
  become_c_xenstored (self, version, channels, &error);
  stayed (self, error);
}

static void tried (gpointer data, gboolean good, const char *said);

static gboolean
start_trial (XdsService *self, GError **error)
{
  gint64 left = self->update.deadline - g_get_monotonic_time ();

  g_free (self->update.stamp);
  self->update.stamp = xds_program_stamp (self->update.file);
  /* The child's own alarm is for what nobody thought of. */
  self->update.trial
      = xds_aside_start (try, tried, self, MAX (left, 0) / G_USEC_PER_SEC + 5, error);
  return self->update.trial != NULL;
}

static gboolean
is_over (const XdsService *self)
{
  return g_get_monotonic_time () >= self->update.deadline;
}

static void
try_again (XdsService *self)
{
  g_autoptr (GError) error = NULL;
  gboolean first = !self->update.again;

  self->update.again = TRUE;
  if (is_over (self))
    give_up (self,
             "%s was replaced while it was tried, and the time for that is over, so we stay: try "
             "again when nobody writes it any more",
             self->update.file);
  else if (!start_trial (self, &error))
    give_up (self, "%s, so we stay: try again", error->message);
  else if (first)
    g_message ("live update: %s was replaced while it was tried: trying again", self->update.file);
}

static gboolean
was_replaced (XdsService *self)
{
  g_autofree char *stamp = xds_program_stamp (self->update.file);

  return g_strcmp0 (stamp, self->update.stamp) != 0;
}

static void
tried (gpointer data, gboolean good, const char *said)
{
  XdsService *self = data;
  guint version = good ? (guint) g_ascii_strtoull (said, NULL, 10) : 0;

  g_clear_pointer (&self->update.trial, xds_aside_free);
  if (self->update.stopped)
    give_up (self, "somebody said live-update -a");
  else if (was_replaced (self) || (self->update.again && !good && is_over (self)))
    try_again (self);
  else if (!good)
    give_up (self, "%s does not go on from our state, so we stay: %s", self->update.file, said);
  else if (version == 0)
    go_on_as_one_of_us (self);
  else
    go_on_as_c_xenstored (self, version);
}

/* --- CONTROL --- */

void
xds_live_update_clear (XdsService *self)
{
  g_clear_pointer (&self->update.trial, xds_aside_free);
  g_clear_pointer (&self->update.file, g_free);
  g_clear_pointer (&self->update.line, g_free);
  g_clear_pointer (&self->update.answer, g_free);
  g_clear_pointer (&self->update.stamp, g_free);
  self->update.going = self->update.stopped = self->update.again = FALSE;
}

/* NULL: nothing that can be seen without running it. */
static const char *
why_no_program (const char *file)
{
  if (file[0] != '/')
    return "it has to begin with \"/\"";
  if (g_file_test (file, G_FILE_TEST_IS_DIR))
    return "it is a folder";
  return access (file, X_OK) < 0 ? g_strerror (errno) : NULL;
}

static gboolean
set_file (XdsService *self, const char *file, GString *answer)
{
  const char *why = why_no_program (file);

  if (why != NULL)
    {
      g_string_append_printf (answer, "%s is not the path of a program: %s", file, why);
      return FALSE;
    }
  xds_live_update_clear (self);
  self->update.file = g_strdup (file);
  return TRUE;
}

/* The dialogue of xenstore-control: -f FILE, -c LINE, -s, each a request of its own, and -a; and
   everything in one: [-c LINE] [-t SECONDS] [-v VERSION] [-F] FILE. */
typedef struct
{
  const char *file, *line;
  gboolean start, abort, force;
  guint64 seconds, version;
} Words;

/* The option at *@args that has a value; leaves *@args at that. */
static gboolean
parse_value (const char *const **args, Words *words)
{
  const char option = (**args)[1];
  const char *value = *++*args;

  if (value == NULL)
    return FALSE;
  if (option == 'c')
    words->line = value;
  else if (option == 'f')
    words->file = value;
  else if (option == 't')
    return g_ascii_string_to_unsigned (value, 10, 1, CHECK_SECONDS_MAX, &words->seconds, NULL);
  else
    return g_ascii_string_to_unsigned (value, 10, 1, 2, &words->version, NULL);
  return TRUE;
}

static gboolean
parse (const char *const *args, Words *words)
{
  static const char *const with_value[] = { "-c", "-f", "-t", "-v", NULL };

  for (; *args != NULL; args++)
    if (g_str_equal (*args, "-s"))
      words->start = TRUE;
    else if (g_str_equal (*args, "-a"))
      words->abort = TRUE;
    else if (g_str_equal (*args, "-F"))
      words->force = TRUE;
    else if (g_strv_contains (with_value, *args))
      {
        if (!parse_value (&args, words))
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

static XdsStatus
start (XdsService *self, XdsPeer *peer, const Words *words, GString *answer)
{
  g_autoptr (GError) error = NULL;

  self->update.asker = xds_peer_id (peer);
  self->update.deadline = g_get_monotonic_time () + words->seconds * G_USEC_PER_SEC;
  self->update.version = words->version;
  self->update.force = words->force;
  if (start_trial (self, &error))
    return XDS_LATER;
  g_string_append_printf (answer, "%s, so we stay: try again", error->message);
  return XDS_OK;
}

/* A request that was put off, or one while another's is. */
static XdsStatus
under_way (XdsService *self, XdsPeer *peer, const Words *words, GString *answer)
{
  g_autofree char *text = NULL;

  if (words->abort)
    {
      self->update.stopped = TRUE;
      xds_aside_stop (self->update.trial);
      g_string_append (answer, "OK");
    }
  else if (self->update.asker != xds_peer_id (peer))
    g_string_append (answer, "another live update is under way: try again, or stop it with -a");
  else if (self->update.answer == NULL)
    return XDS_LATER;
  else
    {
      text = g_steal_pointer (&self->update.answer);
      g_string_append (answer, text);
    }
  return XDS_OK;
}

XdsStatus
xds_live_update_control (XdsService *self, XdsPeer *peer, const char *const *args, GString *answer)
{
  Words words = { .seconds = CHECK_SECONDS_DEFAULT };

  if (!parse (args, &words))
    return XDS_EINVAL;
  if (self->update.trial != NULL || self->update.answer != NULL)
    return under_way (self, peer, &words, answer);
  if (words.abort)
    xds_live_update_clear (self);
  if (words.file != NULL && !set_file (self, words.file, answer))
    return XDS_OK;
  if (words.line != NULL)
    {
      g_free (self->update.line);
      self->update.line = g_strdup (words.line);
    }
  if (words.start && self->update.file == NULL)
    g_string_append (answer, "say first which program: live-update /PATH");
  else if (words.start)
    return start (self, peer, &words, answer);
  else
    g_string_append (answer, "OK");
  return XDS_OK;
}
