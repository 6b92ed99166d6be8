/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The daemon as PID 1.
 *
 * Its image has the daemon, the libraries and plugin that it loads, and three modules of the
 * kernel.  xen-privcmd is told not to ask the store whom it may reach: that store is us, and Xen
 * itself lets a domain like ours do no more than look.
 *
 * A console that nobody reads must not stop the store.  Its ring holds 2 KiB, the server that would
 * tell a reader of it is the one that starts here, and the kernel spins when the ring is full, with
 * interrupts off: O_NONBLOCK changes nothing about that.  So standard error is a pipe, which does
 * not block and holds 64 KiB, and a child carries from there to the console, a piece at a time.  A
 * reader raises an event when it has read; before one came after the last piece, there is no other
 * piece.  An event may be of what was read before that piece was there, but not two: so no more
 * than two pieces are in the ring at a time, and it holds them.  The kernel's own messages are
 * turned off, since it does not wait.
 *
 * The road not taken is a shell's init: a second program to keep safe in the domain that is made to
 * be safe.
 */

#include "xsd/daemon/pid1.h"

#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MODULES "/modules"
#define PIECE 256 /* of the ring's 2048 bytes; the tty may make two of one, and there may be two */
#define SYSLOG_CONSOLE_LEVEL 8

static void
make_mount (const char *type, const char *path)
{
  mkdir (path, 0755);
  if (mount (type, path, type, 0, NULL) < 0)
    fprintf (stderr, "xendomstored: cannot mount %s: %m\n", path);
}

/* Adds what stands for each processor between the colon and the names. */
static guint64
sum_of_counts (const char *line)
{
  const char *at = strchr (line, ':') + 1;
  guint64 sum = 0, count;
  char *end;

  while (count = g_ascii_strtoull (at, &end, 10), end != at)
    {
      sum += count;
      at = end;
    }
  return sum;
}

/* How often the console's reader told that it read; 0 if that cannot be known. */
static guint64
events_of_console (void)
{
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;

  if (!g_file_get_contents ("/proc/interrupts", &text, NULL, NULL))
    return 0;
  lines = g_strsplit (text, "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++)
    if (g_str_has_suffix (lines[i], " hvc_console"))
      return sum_of_counts (lines[i]);
  return 0;
}

static _Noreturn void
carry_log (int from)
{
  int console = open ("/dev/hvc0", O_WRONLY | O_NOCTTY);
  char piece[PIECE];
  ssize_t n;

  while ((n = read (from, piece, sizeof piece)) > 0)
    {
      guint64 before = events_of_console ();

      if (write (console, piece, n) < 0)
        break;
      for (gulong wait = 10000; events_of_console () == before; wait = MIN (2 * wait, 1000000))
        g_usleep (wait);
    }
  _exit (0);
}

/* Who starts us may have opened nothing.  The pipe's other end stays open here, so that it goes on
   keeping the log if nobody carries it. */
static void
open_log (void)
{
  int null, ends[2];

  while ((null = open ("/dev/null", O_RDWR)) >= 0 && null <= STDERR_FILENO)
    ;
  klogctl (SYSLOG_CONSOLE_LEVEL, NULL, 1);
  if (null < 0 || pipe (ends) < 0)
    return;
  if (fork () == 0)
    carry_log (ends[0]);
  fcntl (ends[1], F_SETFL, O_NONBLOCK);
  dup2 (null, STDIN_FILENO);
  dup2 (ends[1], STDOUT_FILENO);
  dup2 (ends[1], STDERR_FILENO);
  close (null);
  close (ends[1]);
}

/* One that is built into the kernel is missing here, and not missed. */
static void
load_module (const char *name, const char *words)
{
  g_autofree char *path = g_strdup_printf (MODULES "/%s.ko", name);
  int fd = open (path, O_RDONLY | O_CLOEXEC);

  if (fd < 0)
    return;
  if (syscall (SYS_finit_module, fd, words, 0) < 0)
    fprintf (stderr, "xendomstored: cannot load the module %s: %m\n", path);
  close (fd);
}

/* init-xenstore-domain puts "--event N" first; what else is for us begins with "xendomstored.". */
static char **
make_arguments (void)
{
  static const char *const fixed[]
      = { "xendomstored", "--no-fork", "--socket=", "--pid-file=", "--userdata-dir=" };
  GPtrArray *arguments = g_ptr_array_new ();
  g_autofree char *line = NULL;
  g_auto (GStrv) words = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (fixed); i++)
    g_ptr_array_add (arguments, g_strdup (fixed[i]));
  if (!g_file_get_contents ("/proc/cmdline", &line, NULL, NULL))
    line = g_strdup ("");
  words = g_strsplit_set (line, " \n", -1);
  for (guint i = 0; words[i] != NULL; i++)
    if (g_str_equal (words[i], "--event") && words[i + 1] != NULL)
      g_ptr_array_add (arguments, g_strdup_printf ("--event=%s", words[i + 1]));
    else if (g_str_has_prefix (words[i], "xendomstored."))
      g_ptr_array_add (arguments, g_strconcat ("--", words[i] + strlen ("xendomstored."), NULL));
  g_ptr_array_add (arguments, NULL);
  return (char **) g_ptr_array_free (arguments, FALSE);
}

gboolean
xds_pid1_is_first (void)
{
  return getpid () == 1 && access ("/proc/self", F_OK) < 0;
}

char **
xds_pid1_begin (void)
{
  make_mount ("devtmpfs", "/dev");
  make_mount ("proc", "/proc");
  open_log ();
  make_mount ("tmpfs", "/run");
  load_module ("xen-privcmd", "unrestricted=1");
  load_module ("xen-evtchn", "");
  load_module ("xen-gntdev", "");
  signal (SIGCHLD, SIG_IGN); /* whoever is left to us is reaped by the kernel */
  return make_arguments ();
}

void
xds_pid1_end (void)
{
  fprintf (stderr, "xendomstored: nothing serves this host's store any more: restart the host\n");
  for (;;)
    pause ();
}
