/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Servers are started by start.sh in $BENCH_TMP/KIND.N.  They die with this process, whatever end
 * it takes; the folder is removed by bench.sh, which made it.
 *
 * Ours is two processes.  What is measured is the one that serves.
 */

#include "tests/bench/server.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_SECONDS 15

const char *
bench_kind_name (BenchKind kind)
{
  static const char *const names[] = { "ours", "C", "oxen", "echo" };

  G_STATIC_ASSERT (G_N_ELEMENTS (names) == BENCH_N_KINDS);
  return names[kind];
}

static const char *
need_env (const char *name)
{
  const char *value = g_getenv (name);

  if (value == NULL)
    bench_die ("%s is not set; start the benchmark by tests/bench.sh", name);
  return value;
}

static const char *pinning = "none";

static void
pin (pid_t pid)
{
  cpu_set_t set;

  CPU_ZERO (&set);
  for (guint i = 0; i < CPU_SETSIZE; i++)
    if (i == 0 || g_str_equal (pinning, "none"))
      CPU_SET (i, &set);
  (void) sched_setaffinity (pid, sizeof set, &set);
}

void
bench_pin (const char *how)
{
  pinning = how;
  pin (0);
}

/* Slices on one processor are counted in processor time. */
static void
pin_server (BenchServer *server)
{
  pin (server->worker);
  server->loop->by_cpu = g_str_equal (pinning, "one");
}

/* In the child: what the server says goes to a file, so that the table stays readable. */
static _Noreturn void
become_server (const char *kind, const char *dir)
{
  g_autofree char *log = g_build_filename (dir, "log", NULL);
  int fd = open (log, O_WRONLY | O_CREAT | O_APPEND, 0600);

  /* The one that serves would go on if the one that keeps it were killed. */
  prctl (PR_SET_PDEATHSIG, g_str_equal (kind, "ours") ? SIGTERM : SIGKILL);
  dup2 (fd, STDOUT_FILENO);
  dup2 (fd, STDERR_FILENO);
  execl ("/bin/sh", "sh", need_env ("BENCH_START"), kind, dir, NULL);
  _exit (127);
}

static _Noreturn void
die_with_log (const BenchServer *server)
{
  g_autofree char *path = g_build_filename (server->dir, "log", NULL);
  g_autofree char *text = NULL;

  (void) g_file_get_contents (path, &text, NULL, NULL);
  bench_die ("the server '%s' is not there; it said:\n%s", bench_kind_name (server->kind),
             text == NULL ? "" : text);
}

/* A connection, once the server takes one. */
static int
wait_for (const BenchServer *server)
{
  g_autofree char *path = g_build_filename (server->dir, "run", "socket", NULL);
  double start = bench_now ();
  int fd;

  while ((fd = bench_connect (path)) < 0)
    {
      if (waitpid (server->pid, NULL, WNOHANG) == server->pid
          || bench_now () - start > START_SECONDS)
        die_with_log (server);
      g_usleep (20000);
    }
  return fd;
}

static GPid
find_worker (GPid pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/task/%d/children", pid, pid);
  g_autofree char *text = NULL;

  return g_file_get_contents (path, &text, NULL, NULL) && *text != '\0' ? atoi (text) : pid;
}

void
bench_server_updated (BenchServer *server)
{
  server->worker = find_worker (server->pid);
}

BenchServer *
bench_server_start (BenchKind kind)
{
  static guint serial;
  BenchServer *server = g_new0 (BenchServer, 1);
  const char *name = bench_kind_name (kind);
  int fd;

  server->kind = kind;
  server->dir = g_strdup_printf ("%s/%s.%u", need_env ("BENCH_TMP"), name, serial++);
  if (g_mkdir_with_parents (server->dir, 0700) != 0)
    bench_die ("%s: %s", server->dir, g_strerror (errno));
  server->pid = fork ();
  if (server->pid == 0)
    become_server (name, server->dir);
  fd = wait_for (server);
  server->guests = g_ptr_array_new ();
  server->worker = find_worker (server->pid);
  server->loop = bench_loop_new (server->dir, server->worker);
  server->control = bench_peer_connected (server->loop, fd);
  bench_peer_do (server->control, XDS_OP_READ, "/", NULL);
  pin_server (server);
  return server;
}

void
bench_server_stop (BenchServer *server)
{
  if (server == NULL)
    return;
  bench_loop_free (server->loop);
  g_ptr_array_unref (server->guests);
  kill (server->pid, SIGSTOP);
  kill (find_worker (server->pid), SIGKILL);
  kill (server->pid, SIGKILL);
  waitpid (server->pid, NULL, 0);
  g_free (server->dir);
  g_free (server);
}

static BenchPeer *
add_guest (BenchServer *server, guint domid, const char *value)
{
  g_autofree char *home = g_strdup_printf ("/local/domain/%u", domid);
  g_autofree char *path = g_strdup_printf ("%s/delta", home);
  g_autofree char *perm = g_strdup_printf ("n%u", domid);
  BenchPeer *guest = bench_peer_introduce (server->loop, server->control, domid);

  bench_peer_do (server->control, XDS_OP_WRITE, path, value);
  bench_peer_do (server->control, XDS_OP_SET_PERMS, home, perm);
  bench_peer_do (server->control, XDS_OP_SET_PERMS, path, perm);
  return guest;
}

BenchPeer **
bench_server_guests (BenchServer *server, guint n, const char *value)
{
  while (server->guests->len < n)
    g_ptr_array_add (server->guests, add_guest (server, server->guests->len + 1, value));
  return (BenchPeer **) server->guests->pdata;
}

/* The fields of /proc/PID/FILE. */
static char **
proc_fields (const BenchServer *server, const char *file)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/%s", server->worker, file);
  g_autofree char *text = NULL;

  if (!g_file_get_contents (path, &text, NULL, NULL))
    die_with_log (server);
  return g_strsplit (text, " ", -1);
}

/* Without what is shared: libraries, and what is kept for the next process (below). */
gsize
bench_server_memory (const BenchServer *server)
{
  g_auto (GStrv) fields = proc_fields (server, "statm");

  return (g_ascii_strtoull (fields[1], NULL, 10) - g_ascii_strtoull (fields[2], NULL, 10))
         * sysconf (_SC_PAGESIZE);
}

gsize
bench_server_kept (const BenchServer *server)
{
  g_autofree char *folder = g_strdup_printf ("/proc/%d/fd", server->worker);
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;
  gsize sum = 0;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);
      g_autofree char *target = g_file_read_link (path, NULL);
      struct stat st;

      if (target != NULL && g_str_has_prefix (target, "/memfd:") && stat (path, &st) == 0)
        sum += st.st_blocks * 512;
    }
  return sum;
}
