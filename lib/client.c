/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * XdsClient: one connection to a xenstore server.
 *
 * The object belongs to one thread at a time: it has no lock, since a lock would cost every single
 * call something and would still not say which thread's main loop runs the callbacks.  A program
 * with several threads opens a client in each; connections are cheap.
 *
 * In a GLib main loop the client is one GSource.  It is ready when bytes came, when bytes wait to
 * be sent, and when events wait that a synchronous call received by the way.
 */

#include "lib/client.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define DEFAULT_RUNDIR "/run/xenstored"
#define XENBUS_DEVICE "/dev/xen/xenbus"

enum
{
  SIGNAL_CLOSED,
  SIGNAL_DOMAIN_INTRODUCED,
  SIGNAL_DOMAIN_RELEASED,
  N_SIGNALS
};

static guint signals[N_SIGNALS];

/**
 * XdsClient:
 *
 * A connection to a xenstore server, by a socket or by the kernel's device.
 *
 * The errors of a connection, which every call that asks the server can have: %XDS_ERROR_CLOSED,
 * it is gone; %XDS_ERROR_TIMED_OUT, no answer within xds_client_set_timeout();
 * %XDS_ERROR_PROTOCOL, the answer is none; %XDS_ERROR_E2BIG, the request is longer than one
 * message; %XDS_ERROR_EIO and %XDS_ERROR_ENOMEM, the server could not do it; %XDS_ERROR_ENOSYS, it
 * has no such request.
 */
G_DEFINE_FINAL_TYPE (XdsClient, xds_client, G_TYPE_OBJECT)

static void
drop_source (XdsClient *client)
{
  if (client->source == NULL)
    return;
  g_source_destroy (client->source);
  g_clear_pointer (&client->source, g_source_unref);
}

static void
xds_client_dispose (GObject *object)
{
  XdsClient *client = XDS_CLIENT (object);

  g_clear_pointer (&client->domain_watch, xds_domain_watch_free);
  xds_client_close (client);
  G_OBJECT_CLASS (xds_client_parent_class)->dispose (object);
}

static void
xds_client_finalize (GObject *object)
{
  XdsClient *client = XDS_CLIENT (object);

  xds_request_clear (client);
  g_hash_table_unref (client->watches);
  g_queue_clear_full (&client->events, (GDestroyNotify) xds_event_free);
  g_clear_error (&client->broken);
  g_free (client->path);
  G_OBJECT_CLASS (xds_client_parent_class)->finalize (object);
}

static void
xds_client_class_init (XdsClientClass *class)
{
  GObjectClass *object_class = G_OBJECT_CLASS (class);

  object_class->dispose = xds_client_dispose;
  object_class->finalize = xds_client_finalize;

  /**
   * XdsClient::closed:
   * @client: the client
   *
   * The connection is gone, because the server or somebody between closed it. Every call from now
   * on fails with %XDS_ERROR_CLOSED. Not emitted for xds_client_close().
   */
  signals[SIGNAL_CLOSED] = g_signal_new ("closed", XDS_TYPE_CLIENT, G_SIGNAL_RUN_LAST, 0, NULL,
                                         NULL, NULL, G_TYPE_NONE, 0);

  /**
   * XdsClient::domain-introduced:
   * @client: the client
   * @domid: the domain
   * @uuid: (nullable): its uuid, where the store tells it
   *
   * A domain was connected to the store. Emitted after xds_client_watch_domains().
   */
  signals[SIGNAL_DOMAIN_INTRODUCED]
      = g_signal_new ("domain-introduced", XDS_TYPE_CLIENT, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                      G_TYPE_NONE, 2, G_TYPE_UINT, G_TYPE_STRING);

  /**
   * XdsClient::domain-released:
   * @client: the client
   * @domid: the domain
   * @uuid: (nullable): the uuid that it had, where the store told it
   * @reason: (nullable): why: "poweroff", "reboot", "suspend", "crash", "watchdog" or "soft-reset"
   *   if it stopped for that, "destroyed" if it was still running, "running" if it still is and was
   *   only released; %NULL where the server does not tell, which only xendomstored does
   *
   * A domain is connected to the store no more, because it is gone or was released. A domain that
   * is only shut down, and kept, is not released. Emitted after xds_client_watch_domains().
   */
  signals[SIGNAL_DOMAIN_RELEASED]
      = g_signal_new ("domain-released", XDS_TYPE_CLIENT, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                      G_TYPE_NONE, 3, G_TYPE_UINT, G_TYPE_STRING, G_TYPE_STRING);
}

static void
xds_client_init (XdsClient *client)
{
  client->fd = -1;
  client->timeout = -1;
  client->features = -1;
  client->watches = g_hash_table_new (g_int64_hash, g_int64_equal);
  g_queue_init (&client->events);
  xds_request_init (client);
}

/* --- opening --- */

static int
connect_socket (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  const void *general = &address;
  int fd;

  if (strlen (path) >= sizeof address.sun_path)
    {
      errno = ENAMETOOLONG;
      return -1;
    }
  strcpy (address.sun_path, path);
  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return -1;
  if (connect (fd, general, sizeof address) < 0)
    {
      int saved = errno;

      close (fd);
      errno = saved;
      return -1;
    }
  return fd;
}

static XdsClient *
client_new (int fd, const char *path)
{
  XdsClient *client = g_object_new (XDS_TYPE_CLIENT, NULL);
  struct stat st;

  client->fd = fd;
  client->path = g_strdup (path);
  client->is_socket = fstat (fd, &st) == 0 && S_ISSOCK (st.st_mode);
  return client;
}

/* A socket or a device at @path; -1 and errno. */
static int
open_path (const char *path)
{
  struct stat st;

  if (stat (path, &st) == 0 && S_ISCHR (st.st_mode))
    return open (path, O_RDWR | O_CLOEXEC);
  return connect_socket (path);
}

/**
 * xds_client_open_path:
 * @path: (type filename): a unix socket, or the kernel's device
 * @error: return location for an error
 *
 * Connects to the server at @path.
 *
 * Errors: %XDS_ERROR_CONNECT.
 *
 * Returns: (transfer full): the client, or %NULL with %XDS_ERROR_CONNECT
 */
XdsClient *
xds_client_open_path (const char *path, GError **error)
{
  int fd;

  g_return_val_if_fail (path != NULL, NULL);

  fd = open_path (path);
  if (fd >= 0)
    return client_new (fd, path);
  g_set_error (error, XDS_ERROR, XDS_ERROR_CONNECT,
               "Cannot reach a xenstore server at %s: %s. Is the server running, and are you "
               "root? XENSTORED_PATH names another socket.",
               path, g_strerror (errno));
  return NULL;
}

static char *
default_socket (void)
{
  const char *path = g_getenv ("XENSTORED_PATH");
  const char *rundir = g_getenv ("XENSTORED_RUNDIR");

  if (path != NULL && path[0] != '\0')
    return g_strdup (path);
  return g_build_filename (rundir != NULL ? rundir : DEFAULT_RUNDIR, "socket", NULL);
}

/**
 * xds_client_open:
 * @error: return location for an error
 *
 * Connects to the host's server: at `XENSTORED_PATH` if that is set, else at the socket in
 * `XENSTORED_RUNDIR` (by default `/run/xenstored`), else through the kernel's `/dev/xen/xenbus`.
 * So one program runs in domain 0 and in a guest.
 *
 * Errors: %XDS_ERROR_CONNECT.
 *
 * Returns: (transfer full): the client, or %NULL with %XDS_ERROR_CONNECT
 */
XdsClient *
xds_client_open (GError **error)
{
  g_autofree char *path = default_socket ();
  int fd = open_path (path);

  if (fd >= 0)
    return client_new (fd, path);
  if (access (XENBUS_DEVICE, F_OK) == 0)
    return xds_client_open_path (XENBUS_DEVICE, error);
  return xds_client_open_path (path, error);
}

/**
 * xds_client_open_fd:
 * @fd: a connected socket, or the open device; the client closes it
 * @error: return location for an error
 *
 * Makes a client of a connection that somebody else made. Nobody else may use @fd from now on.
 *
 * Errors: %XDS_ERROR_CONNECT.
 *
 * Returns: (transfer full): the client, or %NULL with %XDS_ERROR_CONNECT, and then @fd stays open
 */
XdsClient *
xds_client_open_fd (int fd, GError **error)
{
  g_autofree char *name = g_strdup_printf ("descriptor %d", fd);

  if (fcntl (fd, F_GETFD) >= 0)
    return client_new (fd, name);
  g_set_error (error, XDS_ERROR, XDS_ERROR_CONNECT, "Cannot use %s: %s.", name, g_strerror (errno));
  return NULL;
}

/**
 * xds_client_close:
 * @client: the client
 *
 * Closes the connection. Calls that are under way fail with %XDS_ERROR_CLOSED, and so does every
 * later one. The server ends the connection's transactions and watches.
 */
void
xds_client_close (XdsClient *client)
{
  g_autoptr (XdsClient) keep = NULL;

  g_return_if_fail (XDS_IS_CLIENT (client));

  if (client->fd < 0)
    return;
  keep = g_object_ref (client); /* whoever is told may drop the last reference */
  client->told_closed = TRUE;
  drop_source (client);
  xds_request_break (client, g_error_new (XDS_ERROR, XDS_ERROR_CLOSED,
                                          "The connection to the xenstore server at %s was "
                                          "closed by this program.",
                                          client->path));
  close (client->fd);
  client->fd = -1;
}

/**
 * xds_client_is_open:
 * @client: the client
 *
 * Tells whether the connection works, as far as is known.
 *
 * Returns: %FALSE after it was closed or broke
 */
gboolean
xds_client_is_open (XdsClient *client)
{
  g_return_val_if_fail (XDS_IS_CLIENT (client), FALSE);

  return client->broken == NULL;
}

/**
 * xds_client_get_path:
 * @client: the client
 *
 * Tells where the server is: the path of the socket or device, or "descriptor" and a number.
 *
 * Returns: (transfer none): the text
 */
const char *
xds_client_get_path (XdsClient *client)
{
  g_return_val_if_fail (XDS_IS_CLIENT (client), NULL);

  return client->path;
}

/**
 * xds_client_set_timeout:
 * @client: the client
 * @milliseconds: the time, or -1 for no limit, which is the default
 *
 * Sets how long a synchronous call may wait for its answer before it fails with
 * %XDS_ERROR_TIMED_OUT. The server may carry such a request out nevertheless.
 */
void
xds_client_set_timeout (XdsClient *client, int milliseconds)
{
  g_return_if_fail (XDS_IS_CLIENT (client));

  client->timeout = MAX (milliseconds, -1);
}

/**
 * xds_client_get_timeout:
 * @client: the client
 *
 * Tells what xds_client_set_timeout() set.
 *
 * Returns: milliseconds, or -1
 */
int
xds_client_get_timeout (XdsClient *client)
{
  g_return_val_if_fail (XDS_IS_CLIENT (client), -1);

  return client->timeout;
}

/* --- loops --- */

/**
 * xds_client_get_fd:
 * @client: the client
 *
 * For a main loop that is not GLib's: the descriptor to poll for xds_client_get_events().
 *
 * Returns: the descriptor, -1 once closed
 */
int
xds_client_get_fd (XdsClient *client)
{
  g_return_val_if_fail (XDS_IS_CLIENT (client), -1);

  return client->fd;
}

/**
 * xds_client_get_events:
 * @client: the client
 *
 * Tells what to poll the descriptor for, until something is called again.
 *
 * Returns: %G_IO_IN, and %G_IO_OUT too while bytes wait to be sent
 */
GIOCondition
xds_client_get_events (XdsClient *client)
{
  g_return_val_if_fail (XDS_IS_CLIENT (client), 0);

  return client->out->len > 0 ? G_IO_IN | G_IO_OUT : G_IO_IN;
}

/**
 * xds_client_is_ready:
 * @client: the client
 *
 * Tells whether xds_client_dispatch() has something to do although the descriptor may not be
 * readable: events that came while a synchronous call waited, or the end of the connection. A
 * loop must not sleep then.
 *
 * Returns: %TRUE if there is work
 */
gboolean
xds_client_is_ready (XdsClient *client)
{
  g_return_val_if_fail (XDS_IS_CLIENT (client), FALSE);

  return !g_queue_is_empty (&client->events) || (client->broken != NULL && !client->told_closed);
}

static void
tell_closed (XdsClient *client)
{
  if (client->broken == NULL || client->told_closed)
    return;
  client->told_closed = TRUE;
  g_signal_emit (client, signals[SIGNAL_CLOSED], 0);
}

/**
 * xds_client_dispatch:
 * @client: the client
 * @error: return location for an error
 *
 * Sends what waits, takes what came, and runs the callbacks and signals that follow from it. Never
 * waits. With a GLib main loop this happens by itself.
 *
 * Errors: %XDS_ERROR_CLOSED, %XDS_ERROR_PROTOCOL.
 *
 * Returns: %FALSE, with @error set, if the connection is gone
 */
gboolean
xds_client_dispatch (XdsClient *client, GError **error)
{
  g_autoptr (XdsClient) keep = NULL;

  g_return_val_if_fail (XDS_IS_CLIENT (client), FALSE);

  keep = g_object_ref (client);
  xds_request_flush (client);
  xds_request_receive (client);
  xds_request_flush (client);
  xds_client_emit_events (client);
  tell_closed (client);
  if (client->broken == NULL)
    return TRUE;
  g_propagate_error (error, g_error_copy (client->broken));
  return FALSE;
}

/**
 * xds_client_wait:
 * @client: the client
 * @milliseconds: how long at most; -1 for ever
 * @error: return location for an error
 *
 * Waits until something comes from the server, and dispatches it: a whole main loop for a program
 * that has no other.
 *
 * Errors: %XDS_ERROR_TIMED_OUT, %XDS_ERROR_CLOSED, %XDS_ERROR_PROTOCOL.
 *
 * Returns: %FALSE, with @error set, if nothing came in time (%XDS_ERROR_TIMED_OUT) or the
 *   connection is gone
 */
gboolean
xds_client_wait (XdsClient *client, int milliseconds, GError **error)
{
  gint64 deadline = xds_deadline (milliseconds);

  g_return_val_if_fail (XDS_IS_CLIENT (client), FALSE);

  if (!xds_client_is_ready (client) && client->broken == NULL
      && !xds_request_turn (client, deadline))
    {
      g_set_error (error, XDS_ERROR, XDS_ERROR_TIMED_OUT,
                   "Nothing came from the xenstore server at %s within %d ms.", client->path,
                   milliseconds);
      return FALSE;
    }
  return xds_client_dispatch (client, error);
}

/**
 * xds_client_flush:
 * @client: the client
 * @error: return location for an error
 *
 * Sends all requests that wait, and waits for as long as that takes. Needed only where neither a
 * main loop nor another call follows.
 *
 * Errors: %XDS_ERROR_CLOSED, %XDS_ERROR_PROTOCOL.
 *
 * Returns: %FALSE, with @error set, if the connection is gone
 */
gboolean
xds_client_flush (XdsClient *client, GError **error)
{
  g_return_val_if_fail (XDS_IS_CLIENT (client), FALSE);

  client->in_sync++;
  xds_request_drain (client);
  client->in_sync--;
  if (client->broken == NULL)
    return TRUE;
  g_propagate_error (error, g_error_copy (client->broken));
  return FALSE;
}

/* --- the source --- */

typedef struct
{
  GSource source;
  XdsClient *client; /* borrowed: the client destroys the source */
  gpointer tag;
} ClientSource;

static gboolean
client_source_prepare (GSource *source, int *timeout)
{
  ClientSource *self = (ClientSource *) source;
  XdsClient *client = self->client;

  *timeout = -1;
  g_source_modify_unix_fd (source, self->tag, client->out_blocked ? G_IO_IN | G_IO_OUT : G_IO_IN);
  return (client->out->len > 0 && !client->out_blocked) || xds_client_is_ready (client);
}

static gboolean
client_source_check (GSource *source)
{
  ClientSource *self = (ClientSource *) source;

  return g_source_query_unix_fd (source, self->tag) != 0 || xds_client_is_ready (self->client);
}

static gboolean
client_source_dispatch (GSource *source, GSourceFunc callback, gpointer user_data)
{
  XdsClient *client = ((ClientSource *) source)->client;

  return xds_client_dispatch (client, NULL) ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static GSourceFuncs client_source_funcs = {
  .prepare = client_source_prepare,
  .check = client_source_check,
  .dispatch = client_source_dispatch,
};

/**
 * xds_client_attach:
 * @client: the client
 * @context: (nullable): the main context, %NULL for the default one
 *
 * Puts the client into a GLib main loop, and takes it out of the one where it was. The first
 * asynchronous call, and the first watch, do this by themselves with the thread's default context.
 */
void
xds_client_attach (XdsClient *client, GMainContext *context)
{
  ClientSource *self;

  g_return_if_fail (XDS_IS_CLIENT (client));

  drop_source (client);
  if (client->fd < 0)
    return;
  client->source = g_source_new (&client_source_funcs, sizeof (ClientSource));
  self = (ClientSource *) client->source;
  self->client = client;
  self->tag = g_source_add_unix_fd (client->source, client->fd, G_IO_IN);
  g_source_set_static_name (client->source, "xendomstore client");
  g_source_attach (client->source, context);
}

void
xds_client_ensure_source (XdsClient *client)
{
  g_autoptr (GMainContext) context = NULL;

  if (client->source != NULL)
    return;
  context = g_main_context_ref_thread_default ();
  xds_client_attach (client, context);
}
