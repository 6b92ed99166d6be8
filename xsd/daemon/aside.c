/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The child of a fork: the memory of the state is shared until one of the two writes to it, so the
 * loop waits for as long as it takes to copy a table of pages, however large the store.
 *
 * What always holds: the child has no descriptor of ours but standard output and error and its end
 * of a pipe, so that it keeps no socket open, no lock held and no event channel bound, should it
 * outlive us; it does not, for it is told to die with us.  It answers no signal as we do, and ends
 * without cleaning up what it shares.  GLib's own thread is not in the child: what it may hold is
 * the reason for the alarm.
 *
 * The road not taken is a thread: the store has no locks, and would need them for every request.
 */

#include "xsd/daemon/aside.h"

#include "xsd/transport/failure.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAID_MAX 4096

struct XdsAside
{
  pid_t child;
  int fd;       /* (owned) the child's words */
  guint source;
  GString *said; /* (owned) */
  XdsAsideDone done;
  gpointer data;
};

/* --- in the child --- */

static void
leave_parent (int *fd, guint seconds)
{
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  for (int number = 1; number < NSIG; number++)
    signal (number, number == SIGPIPE ? SIG_IGN : SIG_DFL);
  *fd = dup2 (*fd, STDERR_FILENO + 1);
  close_range (STDERR_FILENO + 2, ~0u, 0);
  fcntl (*fd, F_SETFD, FD_CLOEXEC);
  alarm (seconds);
}

static G_GNUC_NORETURN void
be_child (XdsAsideWork work, gpointer data, int fd, guint seconds)
{
  GString *said = g_string_new (NULL);
  gboolean good;

  leave_parent (&fd, seconds);
  good = work (data, said);
  if (write (fd, said->str, MIN (said->len, SAID_MAX)) < 0)
    _exit (EXIT_FAILURE);
  _exit (good ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* --- in the loop --- */

/* The child closed its end, or was ended. */
static gboolean
end (XdsAside *self)
{
  int status = 0;

  while (waitpid (self->child, &status, 0) < 0 && errno == EINTR)
    continue;
  self->child = 0;
  if (WIFSIGNALED (status) && self->said->len == 0)
    g_string_append (self->said,
                     WTERMSIG (status) == SIGALRM ? "it took too long" : "it died without a word");
  return WIFEXITED (status) && WEXITSTATUS (status) == 0;
}

static gboolean
child_said (gint fd, GIOCondition condition G_GNUC_UNUSED, gpointer data)
{
  XdsAside *self = data;
  char text[512];
  ssize_t n = read (fd, text, sizeof text);
  g_autofree char *said = NULL;
  gboolean good;

  if (n > 0)
    g_string_append_len (self->said, text, n);
  if (n > 0 || (n < 0 && errno == EINTR))
    return G_SOURCE_CONTINUE;
  self->source = 0;
  good = end (self);
  said = g_strdup (self->said->str);
  self->done (self->data, good, said);
  return G_SOURCE_REMOVE;
}

XdsAside *
xds_aside_start (XdsAsideWork work, XdsAsideDone done, gpointer data, guint seconds, GError **error)
{
  XdsAside *self;
  int fds[2];
  pid_t child;

  if (!g_unix_open_pipe (fds, FD_CLOEXEC, error))
    return NULL;
  child = fork ();
  if (child == 0)
    be_child (work, data, fds[1], seconds);
  close (fds[1]);
  if (child < 0)
    {
      xds_fail (error, errno, "cannot make a process");
      close (fds[0]);
      return NULL;
    }
  self = g_new0 (XdsAside, 1);
  self->child = child;
  self->fd = fds[0];
  self->said = g_string_new (NULL);
  self->done = done;
  self->data = data;
  self->source = g_unix_fd_add (self->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, child_said, self);
  return self;
}

void
xds_aside_stop (XdsAside *self)
{
  if (self != NULL && self->child > 0)
    kill (self->child, SIGKILL);
}

void
xds_aside_free (XdsAside *self)
{
  if (self == NULL)
    return;
  g_clear_handle_id (&self->source, g_source_remove);
  xds_aside_stop (self);
  if (self->child > 0)
    end (self);
  close (self->fd);
  g_string_free (self->said, TRUE);
  g_free (self);
}
