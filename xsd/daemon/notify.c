/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A datagram that cannot be sent is dropped: a manager that does not listen must never stop the
 * store.  Hence the socket does not block, and no call here reports more than it has to.
 */

#include "xsd/daemon/notify.h"

#include "xsd/daemon/process.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static gboolean
is_for_us (const char *pid)
{
  guint64 number;

  return pid != NULL && g_ascii_string_to_unsigned (pid, 10, 1, G_MAXINT, &number, NULL)
         && (pid_t) number == xds_process_main ();
}

guint
xds_notify_take_fds (void)
{
  const char *text = g_getenv ("LISTEN_FDS");
  guint64 n = 0;

  if (text == NULL || !is_for_us (g_getenv ("LISTEN_PID"))
      || !g_ascii_string_to_unsigned (text, 10, 0, 64, &n, NULL))
    return 0;
  g_unsetenv ("LISTEN_FDS");
  g_unsetenv ("LISTEN_PID");
  g_unsetenv ("LISTEN_FDNAMES");
  return n;
}

typedef union
{
  struct sockaddr any;
  struct sockaddr_un un;
} Address;

/* A leading @ is the NUL that starts an abstract address. */
static gboolean
manager_address (Address *ret_address, socklen_t *ret_len)
{
  const char *path = g_getenv ("NOTIFY_SOCKET");
  gsize len = path != NULL ? strlen (path) : 0;

  if (len < 2 || len >= sizeof ret_address->un.sun_path || (*path != '/' && *path != '@'))
    return FALSE;
  *ret_address = (Address){ .un.sun_family = AF_UNIX };
  memcpy (ret_address->un.sun_path, path, len);
  if (*path == '@')
    ret_address->un.sun_path[0] = '\0';
  *ret_len = offsetof (struct sockaddr_un, sun_path) + len;
  return TRUE;
}

gboolean
xds_notify_send (const char *lines)
{
  Address address;
  socklen_t len;
  gboolean sent;
  int fd;

  if (!manager_address (&address, &len))
    return FALSE;
  fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return FALSE;
  sent = sendto (fd, lines, strlen (lines), MSG_NOSIGNAL, &address.any, len) >= 0;
  close (fd);
  return sent;
}

gint64
xds_notify_watchdog_interval (void)
{
  const char *text = g_getenv ("WATCHDOG_USEC"), *pid = g_getenv ("WATCHDOG_PID");
  guint64 usec;

  if (text == NULL || (pid != NULL && !is_for_us (pid))
      || !g_ascii_string_to_unsigned (text, 10, 1, G_MAXINT64, &usec, NULL))
    return 0;
  return usec / 2;
}
