/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The keeper's other side: what the process that serves has to do with it.
 *
 * A worker that comes after one that died finds that one's descriptors open: sockets, which it
 * goes on with, and its epoll, its log, its devices, its locks on files, of which it has no use
 * and which nobody closes if not we.  So everything is closed that nobody knows and that is no
 * listener or client of ours.  It is not asked what was open before there was a worker: numbers
 * come back.
 */

#include "xsd/daemon/keeper-private.h"
#include "xsd/transport/failure.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- what the keeper knows --- */

const XdsKeeperNote *
xds_keeper_note (const XdsKeeper *self)
{
  return self->note;
}

const char *
xds_keeper_left (const XdsKeeper *self)
{
  return self->left;
}

gboolean
xds_keeper_crashed (const XdsKeeper *self)
{
  return self->note->ready != 0 && self->left == NULL;
}

gboolean
xds_keeper_goes_on (const XdsKeeper *self)
{
  return self->note->ready != 0 || self->patient;
}

void
xds_keeper_ready (XdsKeeper *self)
{
  self->note->ready = self->note->generation;
}

void
xds_keeper_announced (XdsKeeper *self)
{
  self->note->announced = TRUE;
}

int
xds_keeper_alive_fd (const XdsKeeper *self)
{
  return self->alive_fd;
}

gboolean
xds_keeper_is_gone (const XdsKeeper *self)
{
  return getppid () != self->pid;
}

/* --- the log --- */

static char *
describe_end (int status)
{
  if (WIFSIGNALED (status))
    return g_strdup_printf ("was killed by signal %d (%s)%s", WTERMSIG (status),
                            strsignal (WTERMSIG (status)),
                            WCOREDUMP (status) ? ", with a core," : "");
  return g_strdup_printf ("ended with exit status %d", WEXITSTATUS (status));
}

/* "process 12 was killed by signal 9 (Killed) after 3.2 s" */
static char *
describe_death (const XdsKeeperNote *note)
{
  g_autofree char *end = describe_end (note->status);

  return g_strdup_printf ("process %d %s after %.1f s", note->pid, end,
                          note->lived / (double) G_USEC_PER_SEC);
}

char *
xds_keeper_describe (const XdsKeeper *self)
{
  g_autofree char *last = NULL;

  if (self->note->deaths == 0)
    return g_strdup ("0");
  last = describe_death (self->note);
  return g_strdup_printf ("%u, the last: %s", self->note->deaths, last);
}

void
xds_keeper_tell (XdsKeeper *self)
{
  XdsKeeperNote *note = self->note;
  g_autofree char *death = NULL;

  if (self->left != NULL)
    g_critical ("live update: %s cannot be run: %s; going on as before",
                self->left + strlen (self->left) + 1, g_strerror (note->refusal));
  if (note->told == note->deaths)
    return;
  death = describe_death (note);
  g_critical ("%s; process %d takes its place, the number of such deaths is %u", death,
              (int) getpid (), note->deaths);
  note->told = note->deaths;
}

/* --- another program --- */

/* The words in order, each with its NUL: what is left, the file, argv. */
gboolean
xds_keeper_leave (XdsKeeper *self, const char *file, char *const *argv, const char *left,
                  GError **error)
{
  g_autoptr (GString) words = g_string_new (NULL);
  int fd = memfd_create ("xendomstored-words", MFD_CLOEXEC);

  g_string_append_len (words, left, strlen (left) + 1);
  g_string_append_len (words, file, strlen (file) + 1);
  for (; *argv != NULL; argv++)
    g_string_append_len (words, *argv, strlen (*argv) + 1);
  if (fd >= 0 && write (fd, words->str, words->len) == (ssize_t) words->len)
    {
      self->note->words = fd;
      return TRUE;
    }
  xds_fail (error, errno, "there is no memory for the words of a live update");
  if (fd >= 0)
    close (fd);
  return FALSE;
}

/* --- descriptors --- */

/* Those that are open. (transfer full) (element-type int) */
static GArray *
open_descriptors (void)
{
  DIR *dir = opendir ("/proc/self/fd");
  GArray *fds = g_array_new (FALSE, FALSE, sizeof (int));
  const struct dirent *entry;
  guint64 number;

  while (dir != NULL && (entry = readdir (dir)) != NULL)
    if (g_ascii_string_to_unsigned (entry->d_name, 10, 0, G_MAXINT, &number, NULL)
        && (int) number != dirfd (dir))
      {
        int fd = number;

        g_array_append_val (fds, fd);
      }
  if (dir != NULL)
    closedir (dir);
  return fds;
}

static gboolean
is_known (const XdsKeeper *self, const int *known, guint n_known, int fd)
{
  for (guint i = 0; i < n_known; i++)
    if (known[i] == fd)
      return TRUE;
  return fd <= STDERR_FILENO || fd == self->signal_fd || fd == self->alive_fd;
}

static gboolean
is_listener (int fd)
{
  int type = 0, listens = 0;
  socklen_t len = sizeof (int);

  return getsockopt (fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM
         && getsockopt (fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens;
}

/* The address at which it listens or was accepted; NULL: it is no such socket. (transfer full) */
static char *
local_address (int fd)
{
  struct sockaddr_un address = { 0 };
  socklen_t len = sizeof address;

  if (getsockname (fd, (struct sockaddr *) &address, &len) < 0 || address.sun_family != AF_UNIX
      || len <= G_STRUCT_OFFSET (struct sockaddr_un, sun_path))
    return NULL;
  return g_strndup (address.sun_path, len - G_STRUCT_OFFSET (struct sockaddr_un, sun_path));
}

/* (transfer full) a set of the addresses of all our listeners. */
static GHashTable *
listener_addresses (const GArray *fds)
{
  GHashTable *set = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; i < fds->len; i++)
    {
      int fd = g_array_index (fds, int, i);
      char *address = is_listener (fd) ? local_address (fd) : NULL;

      if (address != NULL)
        g_hash_table_add (set, address);
    }
  return set;
}

void
xds_keeper_sweep (XdsKeeper *self, const int *known, guint n_known,
                  gboolean (*found) (void *data, int fd, XdsKeeperFind what), void *data)
{
  g_autoptr (GArray) fds = open_descriptors ();
  g_autoptr (GHashTable) listeners = listener_addresses (fds);

  for (guint i = 0; i < fds->len; i++)
    {
      int fd = g_array_index (fds, int, i);
      g_autofree char *address = NULL;

      if (is_known (self, known, n_known, fd))
        continue;
      address = local_address (fd);
      if (address == NULL || !g_hash_table_contains (listeners, address)
          || !found (data, fd, is_listener (fd) ? XDS_KEEPER_LISTENER : XDS_KEEPER_CONNECTION))
        close (fd);
    }
}
