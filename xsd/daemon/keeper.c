/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The keeper waits, and does nothing else, so there is nothing that can bring it down: no main
 * loop, no byte of a peer, no allocation once it runs, and a plugin only as pages of a file.
 * Signals are blocked and read from a descriptor, so there is one place where it waits and no
 * handler.
 *
 * A worker is made without exec, from memory in which nothing has happened but the reading of
 * options and configuration and the loading of the plugin; that is a few hundred pages that nobody
 * writes, and works when the files of program and plugin are others, or gone with the package.
 * It is made by clone() with the table of descriptors shared, which fork() cannot do: sockets,
 * event channels and memory of a worker that dies stay open, and need not be sent to anybody while
 * it lives.  Of what the C library does in fork() a process with one thread needs nothing.  What
 * goes with the sharing: nothing is closed by the death of a worker, so the next one closes what it
 * has no use for (worker.c).
 *
 * Invariants.  There is one worker, or none and kept signals wait for it.  The keeper never gives
 * up by itself once a worker has served; it is asked to end, or a worker ends with exit status 0.
 *
 * The roads not taken.  Descriptors in the service manager's store: they would have to be sent
 * there one by one, as clients come and go, and there is not always such a manager.  A keeper that
 * execs the worker: it could not be of one version with it after an upgrade of the package.
 */

#include "xsd/daemon/keeper-private.h"
#include "xsd/daemon/process.h"
#include "xsd/transport/failure.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#define KEEPER_NAME "xendomkeeper"
#define WORKER_NAME "xendomstored"

#define OOM_FILE "/proc/self/oom_score_adj"
#define OOM_NEVER "-1000"

/* What the daemon acts on, and what else somebody may mean for it. */
static const int asking[] = { SIGTERM, SIGINT, SIGHUP };
static const int forwarded[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGQUIT, SIGABRT };

/* --- surroundings --- */

/* What syslog() opens is in the table that workers have, and one of them closes what it does not
   know; so it is not left open. */
static G_GNUC_PRINTF (2, 3) void
say (const XdsKeeper *self, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  if (self->background)
    {
      vsyslog (LOG_DAEMON | LOG_ERR, format, args);
      closelog ();
    }
  else
    {
      dprintf (STDERR_FILENO, "xendomstored: ");
      vdprintf (STDERR_FILENO, format, args);
      dprintf (STDERR_FILENO, "\n");
    }
  va_end (args);
}

static void
set_oom_score (const char *text)
{
  int fd = open (OOM_FILE, O_WRONLY | O_CLOEXEC);

  if (fd < 0)
    return;
  if (write (fd, text, strlen (text)) < 0)
    g_debug ("%s stays: %s", OOM_FILE, g_strerror (errno));
  close (fd);
}

static void
get_oom_score (char *text, gsize size)
{
  int fd = open (OOM_FILE, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd >= 0 ? read (fd, text, size - 1) : 0;

  text[MAX (n, 0)] = '\0';
  if (fd >= 0)
    close (fd);
}

/* --- signals --- */

/* A terminal's stop, and what a fault of our own raises, stay as they are. */
static void
block_signals (sigset_t *ret_before)
{
  static const int left[] = { SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT, SIGSEGV, SIGBUS, SIGILL, SIGFPE };
  sigset_t set;

  sigfillset (&set);
  for (guint i = 0; i < G_N_ELEMENTS (left); i++)
    sigdelset (&set, left[i]);
  sigprocmask (SIG_SETMASK, &set, ret_before);
}

static int
open_signals (void)
{
  sigset_t set;

  sigemptyset (&set);
  sigaddset (&set, SIGCHLD);
  for (guint i = 0; i < G_N_ELEMENTS (forwarded); i++)
    sigaddset (&set, forwarded[i]);
  return signalfd (-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* To a worker that is dead already, but not waited for, it is lost.  Only what asks to end would be
   missed then, and that is sent to the next one, too. */
static void
forward_signals (XdsKeeper *self)
{
  if (self->worker == 0)
    return;
  for (guint i = 0; i < G_N_ELEMENTS (forwarded); i++)
    if (self->kept & G_GUINT64_CONSTANT (1) << forwarded[i])
      kill (self->worker, forwarded[i]);
  self->kept = 0;
}

static void
take_signals (XdsKeeper *self)
{
  struct signalfd_siginfo info;

  while (read (self->signal_fd, &info, sizeof info) == sizeof info)
    {
      int number = info.ssi_signo;

      self->asked |= number == SIGTERM || number == SIGINT;
      if (number != SIGCHLD)
        self->kept |= G_GUINT64_CONSTANT (1) << number;
    }
  forward_signals (self);
}

/* Returns at the next signal, or after @msec if they are not negative. */
static void
wait_for_signal (XdsKeeper *self, int msec)
{
  struct pollfd poller = { .fd = self->signal_fd, .events = POLLIN };

  poll (&poller, 1, msec);
  take_signals (self);
}

/* --- workers --- */

/* Until a later worker can handle them, signals that ask for something wait (xds_run()); the first
   one dies of them, as any program that starts. */
static void
begin_worker (XdsKeeper *self)
{
  gboolean first = self->note->generation == 1, announced = self->note->announced;
  sigset_t mask = self->mask;

  prctl (PR_SET_NAME, WORKER_NAME);
  if (*self->oom != '\0')
    set_oom_score (self->oom);
  xds_process_take_place (self->pid, announced, announced && self->left == NULL);
  for (guint i = 0; !first && i < G_N_ELEMENTS (asking); i++)
    sigaddset (&mask, asking[i]);
  sigprocmask (SIG_SETMASK, &mask, NULL);
}

/* TRUE in the worker. */
static gboolean
make_worker (XdsKeeper *self)
{
  pid_t pid;

  self->born = g_get_monotonic_time ();
  self->note->generation++;
  pid = syscall (SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
  if (pid == 0)
    {
      begin_worker (self);
      return TRUE;
    }
  self->worker = MAX (pid, 0);
  if (pid < 0 && self->hurried <= 1)
    say (self, "cannot make a process that serves: %s; trying on", strerror (errno));
  if (self->asked)
    self->kept |= G_GUINT64_CONSTANT (1) << SIGTERM;
  forward_signals (self);
  return FALSE;
}

/* What wait() says of the worker, once it has ended. */
static int
wait_for_worker (XdsKeeper *self)
{
  int status;
  pid_t pid;

  for (;;)
    {
      wait_for_signal (self, -1);
      while ((pid = waitpid (-1, &status, WNOHANG)) > 0)
        if (pid == self->worker)
          return status;
    }
}

/* The next worker writes it to the log; if that one died before it could, we do. */
static void
note_death (XdsKeeper *self, int status)
{
  XdsKeeperNote *note = self->note;

  if (note->told < note->deaths)
    say (self, "process %d died (wait status %d), and the one after it before it could tell; "
               "trying on", note->pid, note->status);
  note->deaths++;
  note->pid = self->worker;
  note->status = status;
  note->lived = g_get_monotonic_time () - self->born;
}

/* Who dies again and again before serving waits longer and longer, to a second.  Not who served:
   its clients wait, and a request that kills is refused the third time (recovery.c). */
static void
pause_before_next (XdsKeeper *self)
{
  static const int msecs[] = { 0, 0, 10, 100, 1000 };
  const XdsKeeperNote *note = self->note;
  gint64 until;

  self->hurried = note->ready == note->generation ? 0
                                                  : MIN (self->hurried + 1, G_N_ELEMENTS (msecs));
  if (self->hurried == 0)
    return;
  until = g_get_monotonic_time () + msecs[self->hurried - 1] * G_GINT64_CONSTANT (1000);
  while (!self->asked && g_get_monotonic_time () < until)
    wait_for_signal (self, (until - g_get_monotonic_time ()) / 1000 + 1);
}

/* TRUE if there is to be no other worker.  When one dies and an end was asked for, there is, once:
   to end cleanly takes a worker. */
static gboolean
is_over (XdsKeeper *self, int status, int *ret_status)
{
  gboolean by_signal = WIFSIGNALED (status), served = self->note->ready != 0;

  *ret_status = by_signal ? 128 + WTERMSIG (status) : WEXITSTATUS (status);
  if (*ret_status == EXIT_SUCCESS || *ret_status == XDS_KEEPER_HOPELESS)
    return TRUE;
  if (self->asked ? served && !self->again : served || self->patient)
    {
      self->again = self->asked;
      return FALSE;
    }
  if (by_signal && !self->asked)
    say (self, "the daemon died by signal %d (%s) before it could serve", WTERMSIG (status),
         strsignal (WTERMSIG (status)));
  return TRUE;
}

/* --- becoming another program --- */

/* Maps the words at @fd, and makes an array of those that are for exec behind the first two. */
static char **
map_words (int fd, char **ret_words, gsize *ret_len)
{
  struct stat st;
  char *words = MAP_FAILED;
  char **argv = MAP_FAILED;
  gsize n = 0;

  if (fstat (fd, &st) == 0 && st.st_size > 0)
    words = mmap (NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  for (off_t i = 0; words != MAP_FAILED && i < st.st_size; i++)
    n += words[i] == '\0';
  if (n > 2)
    argv = mmap (NULL, n * sizeof *argv, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                 0);
  if (argv == MAP_FAILED)
    return NULL;
  *ret_words = words;
  *ret_len = st.st_size;
  for (gsize i = 0; i < n; i++, words += strlen (words) + 1)
    if (i >= 2)
      argv[i - 2] = words;
  return argv;
}

/* Returns only if that cannot be: with errno.  A signal that comes between here and there must not
   end what has nothing but descriptors left; the new program handles it. */
static int
run_program (XdsKeeper *self, const char *file, char **argv)
{
  int err;

  if (self->background && chdir ("/") < 0)
    return errno;
  if (*self->oom != '\0')
    set_oom_score (self->oom);
  signal (SIGHUP, SIG_IGN);
  sigprocmask (SIG_SETMASK, &self->mask, NULL);
  execv (file, argv);
  err = errno;
  set_oom_score (OOM_NEVER);
  block_signals (NULL);
  signal (SIGHUP, SIG_DFL);
  return err;
}

/* If it returns, the next worker goes on from what was left. */
static void
become (XdsKeeper *self)
{
  XdsKeeperNote *note = self->note;
  int fd = note->words;
  char **argv;

  note->words = -1;
  argv = map_words (fd, &self->left, &self->left_len);
  close (fd);
  take_signals (self);
  if (argv == NULL)
    note->refusal = ENOMEM;
  else if (self->asked)
    note->refusal = ECANCELED;
  else
    note->refusal = run_program (self, self->left + strlen (self->left) + 1, argv);
}

/* --- life --- */

/* One that served needs what was left for it no more. */
static void
forget_left (XdsKeeper *self)
{
  if (self->left == NULL || self->note->ready != self->note->generation)
    return;
  munmap (self->left, self->left_len);
  self->left = NULL;
}

int
xds_keeper_run (XdsKeeper *self)
{
  int status, result;

  fflush (NULL);
  for (;;)
    {
      if (make_worker (self))
        return XDS_KEEPER_WORKER;
      if (self->worker != 0)
        {
          status = wait_for_worker (self);
          forget_left (self);
          if (self->note->words >= 0)
            become (self);
          else if (is_over (self, status, &result))
            return result;
          else
            note_death (self, status);
          self->worker = 0;
        }
      pause_before_next (self);
    }
}

static gboolean
make_note (XdsKeeper *self, GError **error)
{
  self->note = mmap (NULL, sizeof *self->note, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                     -1, 0);
  if (self->note == MAP_FAILED)
    {
      self->note = NULL;
      return xds_fail (error, errno, "cannot share memory with the process that serves");
    }
  self->note->words = -1;
  return TRUE;
}

XdsKeeper *
xds_keeper_new (gboolean background, gboolean patient, GError **error)
{
  g_autoptr (XdsKeeper) self = g_new0 (XdsKeeper, 1);

  self->background = background;
  self->patient = patient;
  self->pid = getpid ();
  signal (SIGCHLD, SIG_DFL); /* ignored, a child would go without a word */
  block_signals (&self->mask);
  self->signal_fd = open_signals ();
  self->alive_fd = syscall (SYS_pidfd_open, self->pid, 0);
  if (self->signal_fd < 0)
    {
      xds_fail (error, errno, "cannot receive signals");
      return NULL;
    }
  if (!make_note (self, error))
    return NULL;
  get_oom_score (self->oom, sizeof self->oom);
  set_oom_score (OOM_NEVER);
  prctl (PR_SET_NAME, KEEPER_NAME);
  return g_steal_pointer (&self);
}

void
xds_keeper_free (XdsKeeper *self)
{
  if (self == NULL)
    return;
  if (self->pid == getpid ())
    {
      if (self->signal_fd >= 0)
        close (self->signal_fd);
      if (self->alive_fd >= 0)
        close (self->alive_fd);
    }
  if (self->note != NULL)
    munmap (self->note, sizeof *self->note);
  if (self->left != NULL)
    munmap (self->left, self->left_len);
  g_free (self);
}
