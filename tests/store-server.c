/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One thread, one poll array, one engine.  Commands of the test come through a pipe, one byte each,
 * so that the engine is only ever touched by its own thread; the test waits for the answer.
 */

#include "tests/store-server.h"

#include "xsd/core/engine.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

typedef struct
{
  int fd;
  XdsPeer *peer;
  gboolean failed;
} Connection;

struct XdsStoreServer
{
  GThread *thread;
  char *folder, *path; /* folder NULL: the socket's place is the caller's */
  int listener;
  int command[2], answer[2];
  guint domid; /* of a command */
  const char *quota;
  guint64 value;
  gint reads;  /* atomic */

  /* the thread's own */
  XdsEngine *engine;
  GPtrArray *connections;
  gint guest; /* whose the next connection is; -1: a client's of domain 0 */
  gboolean ended;
};

/* --- the engine's host --- */

static void
on_failed (void *data, XdsPeer *peer, guint ring_error)
{
  Connection *connection = xds_peer_get_data (peer);

  if (connection != NULL)
    connection->failed = TRUE;
}

static const XdsHost host = { .peer_failed = on_failed };

/* --- connections --- */

static void
connection_free (gpointer data)
{
  Connection *connection = data;

  close (connection->fd);
  g_free (connection);
}

static void
drop (XdsStoreServer *server, Connection *connection)
{
  xds_engine_remove_peer (server->engine, connection->peer);
  g_ptr_array_remove (server->connections, connection);
}

static void
accept_one (XdsStoreServer *server)
{
  XdsSocketIdentity identity = { 0 };
  Connection *connection;
  int fd = accept4 (server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

  if (fd < 0)
    return;
  connection = g_new0 (Connection, 1);
  connection->fd = fd;
  if (server->guest >= 0)
    connection->peer = xds_engine_add_domain_peer (server->engine, (guint) server->guest);
  else
    connection->peer = xds_engine_add_socket_peer (server->engine, &identity);
  server->guest = -1;
  xds_peer_set_data (connection->peer, connection);
  g_ptr_array_add (server->connections, connection);
}

/* FALSE: it hung up. */
static gboolean
take_input (XdsStoreServer *server, Connection *connection)
{
  guint8 *room;
  gsize n = xds_peer_input (connection->peer, &room);
  gssize got;

  if (n == 0)
    return TRUE;
  got = recv (connection->fd, room, n, 0);
  if (got <= 0)
    return got < 0 && errno == EAGAIN;
  g_atomic_int_inc (&server->reads);
  xds_peer_filled (connection->peer, got);
  return TRUE;
}

static gboolean
send_output (Connection *connection)
{
  const guint8 *bytes;
  gsize n;

  while ((n = xds_peer_output (connection->peer, &bytes)) > 0)
    {
      gssize sent = send (connection->fd, bytes, n, MSG_NOSIGNAL);

      if (sent < 0)
        return errno == EAGAIN;
      xds_peer_drained (connection->peer, sent);
    }
  return TRUE;
}

/* Serves and sends until nothing moves, since one peer's request is another one's event. */
static void
serve_all (XdsStoreServer *server)
{
  gboolean again = TRUE;

  while (again)
    {
      again = FALSE;
      for (guint i = server->connections->len; i > 0; i--)
        {
          Connection *connection = server->connections->pdata[i - 1];

          again |= xds_peer_serve (connection->peer, 64);
          if (!send_output (connection) || connection->failed)
            drop (server, connection);
        }
    }
}

/* --- the thread --- */

static void
do_command (XdsStoreServer *server)
{
  char what = 0;

  g_assert_cmpint (read (server->command[0], &what, 1), ==, 1);
  switch (what)
    {
    case 'k':
      xds_engine_domain_changed (server->engine, server->domid, NULL);
      break;
    case 'g':
      server->guest = (gint) server->domid;
      break;
    case 'q':
      g_assert_true (xds_engine_set_quota (server->engine, server->quota, server->value));
      break;
    case 'h':
      while (server->connections->len > 0)
        drop (server, server->connections->pdata[0]);
      break;
    default:
      server->ended = TRUE;
    }
  serve_all (server);
  g_assert_cmpint (write (server->answer[1], &what, 1), ==, 1);
}

static void
poll_once (XdsStoreServer *server)
{
  g_autoptr (GArray) fds = g_array_new (FALSE, TRUE, sizeof (struct pollfd));
  g_autoptr (GPtrArray) polled = g_ptr_array_copy (server->connections, NULL, NULL);
  struct pollfd own[] = { { server->listener, POLLIN, 0 }, { server->command[0], POLLIN, 0 } };

  g_ptr_array_set_free_func (polled, NULL);
  g_array_append_vals (fds, own, 2);
  for (guint i = 0; i < polled->len; i++)
    {
      Connection *connection = polled->pdata[i];
      const guint8 *bytes;
      gboolean full = xds_peer_output (connection->peer, &bytes) > 0;
      struct pollfd one = { connection->fd, 0, 0 };

      one.events = (xds_peer_wants_input (connection->peer) ? POLLIN : 0) | (full ? POLLOUT : 0);
      g_array_append_val (fds, one);
    }
  poll ((struct pollfd *) (void *) fds->data, fds->len, -1);
  for (guint i = 0; i < polled->len; i++)
    if (g_array_index (fds, struct pollfd, i + 2).revents != 0
        && !take_input (server, polled->pdata[i]))
      drop (server, polled->pdata[i]);
  serve_all (server);
  if (g_array_index (fds, struct pollfd, 0).revents != 0)
    accept_one (server);
  if (g_array_index (fds, struct pollfd, 1).revents != 0)
    do_command (server);
}

static gpointer
run (gpointer data)
{
  XdsStoreServer *server = data;

  server->engine = xds_engine_new (&host, server);
  server->guest = -1;
  server->connections = g_ptr_array_new_with_free_func (connection_free);
  while (!server->ended)
    poll_once (server);
  while (server->connections->len > 0)
    drop (server, server->connections->pdata[0]);
  g_ptr_array_unref (server->connections);
  xds_engine_free (server->engine);
  return NULL;
}

/* --- the test's side --- */

static void
command (XdsStoreServer *server, char what)
{
  g_assert_cmpint (write (server->command[1], &what, 1), ==, 1);
  g_assert_cmpint (read (server->answer[0], &what, 1), ==, 1);
}

XdsStoreServer *
xds_store_server_start_at (const char *path)
{
  XdsStoreServer *server = g_new0 (XdsStoreServer, 1);
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  const void *general = &address;

  server->path = g_strdup (path);
  g_assert_cmpuint (strlen (path), <, sizeof address.sun_path);
  strcpy (address.sun_path, path);
  unlink (path);
  server->listener = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint (bind (server->listener, general, sizeof address), ==, 0);
  g_assert_cmpint (listen (server->listener, 16), ==, 0);
  g_assert_cmpint (pipe (server->command), ==, 0);
  g_assert_cmpint (pipe (server->answer), ==, 0);
  server->thread = g_thread_new ("store", run, server);
  return server;
}

XdsStoreServer *
xds_store_server_start (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *folder = g_dir_make_tmp ("xds-store-XXXXXX", &error);
  g_autofree char *path = g_build_filename (folder, "socket", NULL);
  XdsStoreServer *server;

  g_assert_no_error (error);
  server = xds_store_server_start_at (path);
  server->folder = g_steal_pointer (&folder);
  return server;
}

const char *
xds_store_server_path (XdsStoreServer *server)
{
  return server->path;
}

guint
xds_store_server_reads (XdsStoreServer *server)
{
  return g_atomic_int_get (&server->reads);
}

void
xds_store_server_be_guest (XdsStoreServer *server, guint domid)
{
  server->domid = domid;
  command (server, 'g');
}

void
xds_store_server_set_quota (XdsStoreServer *server, const char *name, guint64 value)
{
  server->quota = name;
  server->value = value;
  command (server, 'q');
}

void
xds_store_server_kill (XdsStoreServer *server, guint domid)
{
  server->domid = domid;
  command (server, 'k');
}

void
xds_store_server_hang_up (XdsStoreServer *server)
{
  command (server, 'h');
}

void
xds_store_server_stop (XdsStoreServer *server)
{
  if (server == NULL)
    return;
  command (server, 'e');
  g_thread_join (server->thread);
  close (server->listener);
  for (int i = 0; i < 2; i++)
    {
      close (server->command[i]);
      close (server->answer[i]);
    }
  unlink (server->path);
  if (server->folder != NULL)
    g_rmdir (server->folder);
  g_free (server->folder);
  g_free (server->path);
  g_free (server);
}
