/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A turn of a connection is one recv() into the engine's own buffer, the requests that are whole,
 * and one send() of what they gave, however many requests that were.
 *
 * Connections are watched edge-triggered: the kernel tells once that bytes came, and `readable`
 * remembers it until a recv() takes less than there was room for.  So nothing has to be told to
 * the kernel when a peer is not to be read because it does not take its answers: it is not on the
 * ready list, and that is all.  Interest in EPOLLOUT, on the other hand, is registered only while
 * a send() fell short; else each answer that a client reads would wake us.
 *
 * Each recv() and send() is noted in the slate (slate.h), so that a daemon that comes after us
 * knows what was done.  The order of a turn is part of that: what came counts in the engine
 * before anything goes out, and a connection is forgotten before it is closed.
 *
 * That they do not wait is said in each call and not of the socket: the socket may go to a C
 * xenstored one day, which closes one of which it can read a header and not yet the rest.
 *
 * A connection ends when the other end closed it, its requests are executed and its answers taken,
 * or nobody is left to take them.  An idle one costs its XdsLink, two list pointers, and what
 * the engine needs: buffers are the engine's and there only while they hold something.
 *
 * When descriptors run out, listeners are paused until a connection goes, or a second is over:
 * clients then wait in the kernel's queue.  The road not taken is a spare descriptor, used to
 * accept and close at once; a client that sees its connection close takes the store for dead.
 */

#include "xsd/transport/socket.h"

#include "xsd/transport/failure.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Accepted in one turn: a storm of new clients must not keep the others waiting. */
#define ACCEPT_BATCH 64

/* As the kernel allows (net.core.somaxconn cuts it): who finds the queue full has to wait. */
#define BACKLOG 1024

/* Pieces of output sent in one turn, where the engine has more than one. */
#define SENDS_MAX 4

#define PAUSE_SECONDS 1
#define WARNING_INTERVAL (60 * G_USEC_PER_SEC)

#define CONN_EVENTS (EPOLLIN | EPOLLRDHUP | EPOLLET)

typedef struct
{
  XdsLoopItem item; /* must be first */
  XdsSocketServer *server;
  char *path; /* (owned) (nullable) to be removed at the end */
} Listener;

typedef struct Conn Conn;
struct Conn
{
  XdsLink link; /* must be first */
  XdsSocketServer *server;
  Conn *next, *prev; /* all connections of the server */
};

struct XdsSocketServer
{
  XdsLoop *loop;
  XdsEngine *engine;
  XdsSlate *slate;
  GPtrArray *listeners; /* (owned) (element-type Listener) */
  Conn *conns;
  guint n_conns;
  guint pause_timer;   /* 0 unless paused */
  gint64 last_warning; /* of a pause; 0 if there was none */
};

/* --- pause --- */

static void
set_listening (XdsSocketServer *self, gboolean on)
{
  for (guint i = 0; i < self->listeners->len; i++)
    {
      Listener *listener = g_ptr_array_index (self->listeners, i);

      xds_loop_modify (self->loop, &listener->item, on ? EPOLLIN : 0);
    }
}

static void
resume (XdsSocketServer *self)
{
  if (self->pause_timer == 0)
    return;
  g_source_remove (self->pause_timer);
  self->pause_timer = 0;
  set_listening (self, TRUE);
}

static gboolean
pause_over (gpointer data)
{
  resume (data);
  return G_SOURCE_REMOVE;
}

static void
pause_accepting (XdsSocketServer *self, int err)
{
  gint64 now = g_get_monotonic_time ();

  if (self->pause_timer != 0)
    return;
  if (self->last_warning == 0 || now - self->last_warning > WARNING_INTERVAL)
    {
      self->last_warning = now;
      g_warning ("cannot accept a client on the socket, %u are connected: %s; new ones wait until "
                 "some leave, or raise LimitNOFILE= of the service",
                 self->n_conns, g_strerror (err));
    }
  set_listening (self, FALSE);
  self->pause_timer = g_timeout_add_seconds (PAUSE_SECONDS, pause_over, self);
}

/* --- connections --- */

/* Forgotten first: a number that the journal has is that of an open connection, or who comes after
   us would take what got the number since for one. */
static void
conn_free (Conn *self)
{
  XdsSocketServer *server = self->server;
  int fd = self->link.item.fd;

  xds_loop_remove (server->loop, &self->link.item);
  if (self->next != NULL)
    self->next->prev = self->prev;
  *(self->prev != NULL ? &self->prev->next : &server->conns) = self->next;
  server->n_conns--;
  xds_peer_set_data (self->link.peer, NULL);
  xds_engine_remove_peer (server->engine, self->link.peer);
  close (fd);
  g_slice_free (Conn, self);
  resume (server);
}

static void
conn_receive (Conn *self)
{
  XdsLink *link = &self->link;
  guint8 *room;
  gsize len;
  ssize_t n;

  if (!link->readable || link->failed)
    return;
  len = xds_peer_input (link->peer, &room);
  if (len == 0)
    return;
  xds_slate_next_in (self->server->slate, link->peer, room, len);
  n = xds_slate_receive (self->server->slate, link->item.fd);
  if (n > 0)
    {
      xds_peer_filled (link->peer, n);
      /* Less than asked for means that there was no more, unless the end is still to come. */
      link->readable = (gsize) n == len || link->hung_up;
      return;
    }
  if (n < 0 && errno == EINTR)
    return;
  link->readable = FALSE;
  if (n == 0 || errno != EAGAIN)
    link->eof = TRUE;
}

/* TRUE if all of the piece was taken. */
static gboolean
conn_send_piece (Conn *self, const guint8 *bytes, gsize len)
{
  XdsSlate *slate = self->server->slate;
  XdsLink *link = &self->link;
  ssize_t n;

  xds_slate_next_out (slate, link->peer, bytes, len);
  n = xds_slate_send (slate, link->item.fd);
  if (n < 0 && errno != EAGAIN && errno != EINTR)
    {
      link->deaf = link->eof = TRUE;
      n = len;
    }
  xds_peer_drained (link->peer, MAX (n, 0)); /* none too: then what it answers must be kept */
  return n == (ssize_t) len;
}

/* TRUE if anything went out. */
static gboolean
conn_send (Conn *self)
{
  XdsLink *link = &self->link;
  const guint8 *bytes;
  gsize len;
  guint i;

  if (link->blocked)
    return FALSE;
  for (i = 0; i < SENDS_MAX && (len = xds_peer_output (link->peer, &bytes)) > 0; i++)
    {
      if (link->deaf)
        xds_peer_drained (link->peer, len);
      else if (!conn_send_piece (self, bytes, len))
        {
          link->blocked = TRUE;
          break;
        }
    }
  xds_loop_modify (self->server->loop, &link->item, CONN_EVENTS | (link->blocked ? EPOLLOUT : 0));
  return i > 0 || link->blocked;
}

/* @more: requests are left that could be served at once. */
static void
conn_settle (Conn *self, gboolean more, gboolean sent)
{
  XdsLink *link = &self->link;
  const guint8 *bytes;

  if (link->failed || (link->eof && !more && !sent && !link->blocked))
    {
      conn_free (self);
      return;
    }
  if (link->blocked)
    return;
  if (more || link->eof || (link->readable && xds_peer_wants_input (link->peer))
      || (sent && xds_peer_output (link->peer, &bytes) > 0))
    xds_loop_ready (self->server->loop, &link->item);
}

static void
conn_turn (XdsLoopItem *item, guint32 events)
{
  Conn *self = (Conn *) item;
  XdsLink *link = &self->link;
  gboolean more, held, sent;

  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
    link->hung_up = TRUE;
  if (events & (EPOLLHUP | EPOLLERR))
    link->deaf = TRUE;
  if (events & ~(guint32) EPOLLOUT)
    link->readable = TRUE;
  if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
    link->blocked = FALSE;
  xds_slate_begin (self->server->slate, link->peer);
  conn_receive (self);
  more = !link->failed && xds_link_serve (link);
  held = !xds_peer_wants_input (link->peer);
  sent = conn_send (self);
  xds_slate_end (self->server->slate);
  /* What was held back because answers piled up may be served once they are gone. */
  more |= held && sent;
  conn_settle (self, more, sent);
}

/* A connection whose peer is still to be said. */
static Conn *
conn_new (XdsSocketServer *self, int fd, GError **error)
{
  Conn *conn = g_slice_new0 (Conn);

  if (!xds_loop_add (self->loop, &conn->link.item, fd, CONN_EVENTS, conn_turn, error))
    {
      g_slice_free (Conn, conn);
      close (fd);
      return NULL;
    }
  conn->server = self;
  conn->link.item.quiet = TRUE;
  conn->next = self->conns;
  if (conn->next != NULL)
    conn->next->prev = conn;
  self->conns = conn;
  self->n_conns++;
  return conn;
}

/* Without a descriptor in the journal the peer is nobody for who comes after us. */
static void
conn_set_peer (Conn *self, XdsPeer *peer)
{
  self->link.peer = peer;
  xds_peer_set_data (peer, self);
}

gboolean
xds_socket_server_add (XdsSocketServer *self, int fd, GError **error)
{
  struct ucred cred = { 0 };
  socklen_t len = sizeof cred;
  XdsSocketIdentity identity;
  Conn *conn = conn_new (self, fd, error);

  if (conn == NULL)
    return FALSE;
  getsockopt (fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
  identity = (XdsSocketIdentity){ .pid = cred.pid, .uid = cred.uid, .gid = cred.gid };
  conn_set_peer (conn, xds_engine_add_socket_peer (self->engine, &identity));
  xds_peer_set_handle (conn->link.peer, fd);
  return TRUE;
}

gboolean
xds_socket_server_resume (XdsSocketServer *self, XdsPeer *peer, int fd, GError **error)
{
  Conn *conn = conn_new (self, fd, error);

  if (conn == NULL)
    return FALSE;
  conn_set_peer (conn, peer);
  conn->link.readable = TRUE;
  xds_loop_ready (self->loop, &conn->link.item);
  return TRUE;
}

void
xds_socket_server_drop (XdsSocketServer *self, XdsPeer *peer)
{
  Conn *conn = xds_peer_get_data (peer);

  if (conn != NULL)
    conn_free (conn);
  else
    xds_engine_remove_peer (self->engine, peer);
}

void
xds_socket_server_fds (XdsSocketServer *self, GArray *fds)
{
  for (const Conn *conn = self->conns; conn != NULL; conn = conn->next)
    g_array_append_val (fds, conn->link.item.fd);
}

/* --- listening --- */

static void
listener_turn (XdsLoopItem *item, guint32 events G_GNUC_UNUSED)
{
  XdsSocketServer *self = ((Listener *) item)->server;

  for (guint i = 0; i < ACCEPT_BATCH; i++)
    {
      g_autoptr (GError) error = NULL;
      int fd = accept4 (item->fd, NULL, NULL, SOCK_CLOEXEC);

      if (fd >= 0)
        {
          if (!xds_socket_server_add (self, fd, &error))
            g_warning ("a client on the socket was turned away: %s", error->message);
          continue;
        }
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        pause_accepting (self, errno);
      if (errno != ECONNABORTED && errno != EINTR)
        return;
    }
}

static void
listener_free (gpointer data)
{
  Listener *self = data;
  int fd = self->item.fd;

  xds_loop_remove (self->server->loop, &self->item);
  if (fd >= 0)
    close (fd);
  if (self->path != NULL)
    unlink (self->path);
  g_free (self->path);
  g_free (self);
}

static gboolean
is_listening (int fd)
{
  int type = 0, domain = 0, accepting = 0;
  socklen_t len = sizeof (int);

  return getsockopt (fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM
         && getsockopt (fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX
         && getsockopt (fd, SOL_SOCKET, SO_ACCEPTCONN, &accepting, &len) == 0 && accepting;
}

static gboolean
add_listener (XdsSocketServer *self, int fd, const char *path, GError **error)
{
  Listener *listener = g_new0 (Listener, 1);

  listener->server = self;
  listener->path = g_strdup (path);
  if (xds_loop_add (self->loop, &listener->item, fd, EPOLLIN, listener_turn, error))
    {
      g_ptr_array_add (self->listeners, listener);
      return TRUE;
    }
  close (fd);
  listener->item.fd = -1;
  listener_free (listener);
  return FALSE;
}

static void
prepare (int fd)
{
  fcntl (fd, F_SETFD, FD_CLOEXEC);
  fcntl (fd, F_SETFL, fcntl (fd, F_GETFL) | O_NONBLOCK);
}

gboolean
xds_socket_server_listen_fd (XdsSocketServer *self, int fd, GError **error)
{
  if (!is_listening (fd))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                   "descriptor %d is not a listening unix stream socket: use ListenStream= with a "
                   "path in the socket unit",
                   fd);
      close (fd);
      return FALSE;
    }
  prepare (fd);
  return add_listener (self, fd, NULL, error);
}

gboolean
xds_socket_server_adopt (XdsSocketServer *self, int fd, const char *path, GError **error)
{
  prepare (fd);
  /* C xenstored lets one client wait. */
  if (listen (fd, BACKLOG) == 0)
    return add_listener (self, fd, path, error);
  xds_fail (error, errno, "cannot listen at %s", path);
  close (fd);
  return FALSE;
}

int
xds_socket_server_listener (const XdsSocketServer *self)
{
  const Listener *first = self->listeners->len > 0 ? self->listeners->pdata[0] : NULL;

  return first != NULL ? first->item.fd : -1;
}

void
xds_socket_server_hand_over (XdsSocketServer *self, GString *text)
{
  for (guint i = 0; i < self->listeners->len; i++)
    {
      const Listener *listener = g_ptr_array_index (self->listeners, i);

      fcntl (listener->item.fd, F_SETFD, 0);
      g_string_append_printf (text, ",%s:%d", listener->path != NULL ? "own" : "passed",
                              listener->item.fd);
    }
  for (const Conn *conn = self->conns; conn != NULL; conn = conn->next)
    fcntl (conn->link.item.fd, F_SETFD, 0);
}

static gboolean
make_address (struct sockaddr_un *ret_address, const char *path, GError **error)
{
  if (strlen (path) >= sizeof ret_address->sun_path)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_FILENAME_TOO_LONG,
                   "cannot listen at %s: the path of a socket has at most %zu bytes, choose a "
                   "shorter one",
                   path, sizeof ret_address->sun_path - 1);
      return FALSE;
    }
  *ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
  memcpy (ret_address->sun_path, path, strlen (path));
  return TRUE;
}

static gboolean
is_served (const struct sockaddr_un *address)
{
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  gboolean served;

  if (fd < 0)
    return FALSE;
  /* A full queue (EAGAIN) has an owner, too. */
  served = connect (fd, (const struct sockaddr *) address, sizeof *address) == 0 || errno == EAGAIN;
  close (fd);
  return served;
}

/* Removes what is left of a daemon that died; anything else in the way is not ours. */
static gboolean
clear_stale (const struct sockaddr_un *address, GError **error)
{
  const char *path = address->sun_path;
  struct stat st;

  if (lstat (path, &st) < 0)
    return errno == ENOENT || xds_fail (error, errno, "cannot look at %s", path);
  if (!S_ISSOCK (st.st_mode))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_EXISTS,
                   "cannot listen at %s: it exists and is not a socket; remove it, or choose "
                   "another path with --socket",
                   path);
      return FALSE;
    }
  if (is_served (address))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE,
                   "cannot listen at %s: another xenstore server answers there; stop it first",
                   path);
      return FALSE;
    }
  return unlink (path) == 0 || xds_fail (error, errno, "cannot remove the stale socket %s", path);
}

/* The mode comes from the umask, so that there is no moment in which others could connect. */
static gboolean
bind_and_listen (int fd, const struct sockaddr_un *address, GError **error)
{
  mode_t mask = umask (0177);
  int res = bind (fd, (const struct sockaddr *) address, sizeof *address);
  int err = errno;

  umask (mask);
  errno = err;
  if (res < 0 || listen (fd, BACKLOG) < 0)
    {
      xds_fail (error, errno, "cannot listen at %s", address->sun_path);
      return xds_advise (error, "make its folder, or choose another path with --socket");
    }
  return TRUE;
}

gboolean
xds_socket_server_listen_path (XdsSocketServer *self, const char *path, GError **error)
{
  struct sockaddr_un address;
  int fd;

  if (!make_address (&address, path, error) || !clear_stale (&address, error))
    return FALSE;
  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return xds_fail (error, errno, "cannot make a socket for %s", path);
  if (bind_and_listen (fd, &address, error))
    return add_listener (self, fd, path, error);
  close (fd);
  return FALSE;
}

/* --- life --- */

XdsSocketServer *
xds_socket_server_new (XdsLoop *loop, XdsEngine *engine, XdsSlate *slate)
{
  XdsSocketServer *self = g_new0 (XdsSocketServer, 1);

  self->loop = loop;
  self->engine = engine;
  self->slate = slate;
  self->listeners = g_ptr_array_new_with_free_func (listener_free);
  return self;
}

void
xds_socket_server_free (XdsSocketServer *self)
{
  if (self == NULL)
    return;
  g_clear_handle_id (&self->pause_timer, g_source_remove);
  g_clear_pointer (&self->listeners, g_ptr_array_unref);
  while (self->conns != NULL)
    conn_free (self->conns);
  g_free (self);
}

guint
xds_socket_server_count (const XdsSocketServer *self)
{
  return self->n_conns;
}

gboolean
xds_socket_server_is_paused (const XdsSocketServer *self)
{
  return self->pause_timer != 0;
}
