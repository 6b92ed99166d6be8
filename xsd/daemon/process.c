/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The pid file's lock is that of C xenstored (a record lock on the whole file), so that the two
 * refuse each other when they are told to use the same file.  It is an open-file-description
 * lock: a plain one would be lost as soon as anything in the process closed the file.
 */

#include "xsd/daemon/process.h"

#include "xsd/transport/failure.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int ready_fd = -1;

static struct
{
  gboolean background;
  pid_t main; /* 0: we are */
  gboolean again;
} place;

/* --- background --- */

static G_GNUC_NORETURN void
wait_for_child (pid_t child, int fd)
{
  char byte;
  int status;
  ssize_t n;

  do
    n = read (fd, &byte, 1);
  while (n < 0 && errno == EINTR);
  if (n == 1)
    _exit (EXIT_SUCCESS);
  while (waitpid (child, &status, 0) < 0 && errno == EINTR)
    ;
  _exit (WIFEXITED (status) && WEXITSTATUS (status) != 0 ? WEXITSTATUS (status) : EXIT_FAILURE);
}

gboolean
xds_process_background (GError **error)
{
  int fds[2];
  pid_t child;

  if (!g_unix_open_pipe (fds, FD_CLOEXEC, error))
    return FALSE;
  fflush (NULL);
  child = fork ();
  if (child < 0)
    {
      close (fds[0]);
      close (fds[1]);
      return xds_fail (error, errno, "cannot go to the background");
    }
  if (child > 0)
    {
      close (fds[1]);
      wait_for_child (child, fds[0]);
    }
  close (fds[0]);
  ready_fd = fds[1];
  place.background = TRUE;
  setsid ();
  return TRUE;
}

static void
let_streams_go (void)
{
  int null = open ("/dev/null", O_RDWR | O_CLOEXEC);

  for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
    dup2 (null, fd);
  if (null > STDERR_FILENO)
    close (null);
}

void
xds_process_ready (void)
{
  if (place.background && chdir ("/") < 0)
    g_debug ("cannot leave the folder that we were started in: %s", g_strerror (errno));
  if (ready_fd < 0)
    return;
  let_streams_go ();
  if (write (ready_fd, "", 1) < 0)
    g_debug ("nobody waits for us to be ready");
  close (ready_fd);
  ready_fd = -1;
}

/* --- our place under a keeper --- */

/* The pipe of the one before us is closed, and its number may be anything by now. */
void
xds_process_take_place (pid_t main, gboolean released, gboolean again)
{
  place.main = main;
  place.again = again;
  if (released)
    ready_fd = -1;
}

int
xds_process_ready_fd (void)
{
  return ready_fd;
}

pid_t
xds_process_main (void)
{
  return place.main != 0 ? place.main : getpid ();
}

gboolean
xds_process_is_again (void)
{
  return place.again;
}

static void
change_signals (int how)
{
  sigset_t set;

  sigemptyset (&set);
  sigaddset (&set, SIGTERM);
  sigaddset (&set, SIGINT);
  sigaddset (&set, SIGHUP);
  sigprocmask (how, &set, NULL);
}

void
xds_process_hold_signals (void)
{
  change_signals (SIG_BLOCK);
}

void
xds_process_release_signals (void)
{
  change_signals (SIG_UNBLOCK);
}

/* --- pid file --- */

static gboolean
refuse (int fd, const char *path, GError **error)
{
  char text[32] = "";
  ssize_t n = pread (fd, text, sizeof text - 1, 0);

  text[MAX (n, 0)] = '\0';
  g_strstrip (text);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY,
               "another xenstore server runs (process %s, it holds %s): stop it first, or choose "
               "another file with --pid-file",
               *text != '\0' ? text : "unknown", path);
  return FALSE;
}

static gboolean
write_pid (int fd, const char *path, GError **error)
{
  g_autofree char *text = g_strdup_printf ("%d\n", (int) getpid ());

  if (ftruncate (fd, 0) == 0 && pwrite (fd, text, strlen (text), 0) == (ssize_t) strlen (text))
    return TRUE;
  xds_fail (error, errno, "cannot write the pid file %s", path);
  return xds_advise (error, "make room for it, or choose another file with --pid-file");
}

static gboolean
lock_and_write (int fd, const char *path, GError **error)
{
  struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

  if (fcntl (fd, F_OFD_SETLK, &whole) < 0)
    return errno == EAGAIN || errno == EACCES ? refuse (fd, path, error)
                                              : xds_fail (error, errno, "cannot lock %s", path);
  return write_pid (fd, path, error);
}

static XdsPidFile *
make_pid_file (const char *path, int fd)
{
  XdsPidFile *self = g_new (XdsPidFile, 1);

  *self = (XdsPidFile){ g_strdup (path), fd, getpid () };
  return self;
}

XdsPidFile *
xds_pid_file_new (const char *path, GError **error)
{
  int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

  if (fd < 0)
    {
      xds_fail (error, errno, "cannot open the pid file %s", path);
      xds_advise (error, "make its folder, or choose another file with --pid-file");
      return NULL;
    }
  if (!lock_and_write (fd, path, error))
    {
      close (fd);
      return NULL;
    }
  return make_pid_file (path, fd);
}

/* The process may be another: the keeper of the one that left it died. */
XdsPidFile *
xds_pid_file_adopt (const char *path, int fd)
{
  g_autoptr (GError) error = NULL;

  if (!write_pid (fd, path, &error))
    g_warning ("%s; it has the process id that it had", error->message);
  return make_pid_file (path, fd);
}

void
xds_pid_file_free (XdsPidFile *self)
{
  if (self == NULL)
    return;
  if (self->owner == getpid ())
    {
      unlink (self->path);
      close (self->fd);
    }
  g_free (self->path);
  g_free (self);
}

/* --- surroundings --- */

/* Failure shows when the file itself cannot be made, with the same reason. */
void
xds_process_make_run_dir (const char *dir, const char *path)
{
  g_autofree char *parent = path != NULL ? g_path_get_dirname (path) : NULL;

  if (g_strcmp0 (parent, dir) == 0 && mkdir (dir, 0755) < 0 && errno != EEXIST)
    g_debug ("cannot make %s: %s", dir, g_strerror (errno));
}

void
xds_process_prepare (void)
{
  struct rlimit limit;

  signal (SIGPIPE, SIG_IGN);
  if (getrlimit (RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
    return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit (RLIMIT_NOFILE, &limit) < 0)
    g_debug ("cannot raise the limit of open files: %s", g_strerror (errno));
}
