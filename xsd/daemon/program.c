/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What can be learnt of a program before we become it.
 *
 * A C xenstored must not be run to see whether it can: it has no trial, ignores options that it
 * does not know, and would begin to serve beside us.  But -H makes each of its versions print its
 * help and end, and ours too; the help tells which it is.
 *
 * All C xenstoreds that can be updated live take a stream of version 1, those of Xen 4.22 and later
 * also 2.  Nothing that they print tells; but who can set quotas of domains knows that operation by
 * name, and came with version 2.
 */

#include "xsd/daemon/program.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAID_MAX 8192
#define NAME_OF_VERSION_2 "SET_QUOTA"

/* --- running it --- */

/* All that it says until it ends; FALSE: it takes too long. */
static gboolean
listen_to (int fd, gint64 deadline, GString *said)
{
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
      if (n > 0 && said->len < SAID_MAX)
        g_string_append_len (said, text, n);
    }
}

static void
append_end (GString *said, int status)
{
  if (WIFSIGNALED (status))
    g_string_append_printf (said, "%sit was killed by signal %d (%s)", said->len > 0 ? "; " : "",
                            WTERMSIG (status), g_strsignal (WTERMSIG (status)));
  else if (said->len == 0)
    g_string_append_printf (said, "it ended with exit status %d, and said nothing",
                            WEXITSTATUS (status));
}

static gboolean
end (GPid pid, gboolean in_time, GString *said)
{
  int status = 0;

  if (!in_time)
    kill (pid, SIGKILL);
  while (waitpid (pid, &status, 0) < 0 && errno == EINTR)
    continue;
  g_strstrip (said->str);
  said->len = strlen (said->str);
  if (in_time && WIFEXITED (status) && WEXITSTATUS (status) == 0)
    return TRUE;
  if (in_time)
    append_end (said, status);
  else
    g_string_assign (said, "it took too long to look at it; on a busy host, -t gives it more time");
  return FALSE;
}

static void
join_outputs (gpointer data G_GNUC_UNUSED)
{
  dup2 (STDERR_FILENO, STDOUT_FILENO);
}

gboolean
xds_program_run (char **argv, int fd, gint64 deadline, GString *said)
{
  g_autoptr (GError) error = NULL;
  const int target = 3;
  gboolean in_time;
  int out;
  GPid pid;

  if (!g_spawn_async_with_pipes_and_fds (NULL, (const char *const *) argv, NULL,
                                         G_SPAWN_DO_NOT_REAP_CHILD, join_outputs, NULL, -1, -1, -1,
                                         fd >= 0 ? &fd : NULL, fd >= 0 ? &target : NULL,
                                         fd >= 0 ? 1 : 0, &pid, NULL, NULL, &out, &error))
    {
      g_string_append (said, error->message);
      return FALSE;
    }
  in_time = listen_to (out, deadline, said);
  close (out);
  return end (pid, in_time, said);
}

/* --- what it is --- */

XdsProgram
xds_program_kind (const char *file, gint64 deadline, GString *said)
{
  char *argv[] = { (char *) file, (char *) "-H", NULL };
  g_autoptr (GString) help = g_string_new (NULL);
  gboolean good = xds_program_run (argv, -1, deadline, help);

  if (good && strstr (help->str, "xendomstored") != NULL)
    return XDS_PROGRAM_OURS;
  if (good && strstr (help->str, " xenstored ") != NULL && strstr (help->str, "--entry-nb") != NULL)
    return XDS_PROGRAM_C_XENSTORED;
  g_string_append (said, good ? "its help (-H) is of no xenstore server that we know" : help->str);
  return XDS_PROGRAM_UNKNOWN;
}

char *
xds_program_stamp (const char *file)
{
  struct stat st;

  if (stat (file, &st) < 0)
    return NULL;
  return g_strdup_printf ("%" G_GUINT64_FORMAT ":%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT
                          " %" G_GINT64_FORMAT ".%09ld %" G_GINT64_FORMAT ".%09ld",
                          (guint64) st.st_dev, (guint64) st.st_ino, (guint64) st.st_size,
                          (gint64) st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
                          (gint64) st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
}

guint
xds_program_stream_version (const char *file)
{
  g_autoptr (GMappedFile) mapped = g_mapped_file_new (file, FALSE, NULL);

  return mapped != NULL
                 && memmem (g_mapped_file_get_contents (mapped), g_mapped_file_get_length (mapped),
                            NAME_OF_VERSION_2, strlen (NAME_OF_VERSION_2))
                        != NULL
             ? 2
             : 1;
}

/* --- how a C xenstored is started --- */

/* 0 is no limit here; not all versions of C xenstored see it so. */
static void
add_quotas (GStrvBuilder *options, XdsEngine *engine)
{
  static const struct
  {
    const char *name, *option, *prefix;
  } table[] = {
    { "nodes", "-E", "" },
    { "node-size", "-S", "" },
    { "watches", "-W", "" },
    { "transactions", "-t", "" },
    { "node-permissions", "-A", "" },
    { "path-max", "-M", "" },
    { "memory", "-Q", "memory=" },
    { "outstanding", "-Q", "outstanding=" },
    { "transaction-nodes", "-Q", "transaction-nodes=" },
    { "soft-memory", "-q", "memory=" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (table); i++)
    {
      g_autofree char *text = NULL;
      guint64 value = 0;

      xds_engine_get_quota (engine, table[i].name, &value);
      text = g_strdup_printf ("%s%" G_GUINT64_FORMAT, table[i].prefix,
                              value == 0 ? G_MAXINT32 : MIN (value, G_MAXINT32));
      g_strv_builder_add_many (options, table[i].option, text, NULL);
    }
}

static void
add_number (GStrvBuilder *options, const char *option, guint64 number)
{
  g_autofree char *text = g_strdup_printf ("%" G_GUINT64_FORMAT, number);

  if (number != 0)
    g_strv_builder_add_many (options, option, text, NULL);
}

GStrv
xds_program_c_options (const XdsConfig *config, XdsEngine *engine)
{
  g_autoptr (GStrvBuilder) options = g_strv_builder_new ();

  if (config->foreground)
    g_strv_builder_add (options, "-N");
  if (config->pid_file != NULL)
    g_strv_builder_add_many (options, "-F", config->pid_file, NULL);
  if (config->keep_orphans)
    g_strv_builder_add (options, "-K");
  add_number (options, "-e", config->event_port);
  add_number (options, "-m", config->store_domid);
  add_number (options, "-p", config->privileged_domid);
  add_quotas (options, engine);
  return g_strv_builder_end (options);
}
