/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A client of another store.
 *
 * Each request is one write(): the kernel's device takes no two messages at once.  What the socket
 * does not take is kept, and sent when it does; the device never says so, and always takes.  There
 * is no bound on what is kept but the caller's: he asks a few things of each domain.
 *
 * The road not taken is the library's client: it blocks, or wants a thread of its own, and a
 * daemon that linked the library for this would meet its own code twice.
 */

#include "xsd/transport/client.h"

#include "xsd/wire/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Milliseconds from one try to the next: soon at first, since a restart is short. */
#define FIRST_RETRY 100
#define LONGEST_RETRY 5000

typedef struct
{
  guint32 req_id;
  guint domid;
  XdsStoreReply reply; /* (nullable) */
} Pending;

struct XdsStoreClient
{
  XdsLoopItem item; /* must be first */
  XdsLoop *loop;
  char **paths;
  XdsStoreClientEvents events;
  gpointer data;
  int fd;             /* -1: no connection */
  guint32 last_id;
  GQueue pending;     /* (element-type Pending) (owned) in the order of their requests */
  GQueue output;      /* (element-type GBytes) (owned) */
  gsize sent;         /* of the first of them */
  GByteArray *input;
  guint timer, delay; /* until the next try; 0: none waits */
  char *reason;       /* (nullable) that was told last */
};

static gboolean try_all (gpointer data);

/* --- connection --- */

static void
tell_lost (XdsStoreClient *self, const char *reason)
{
  if (g_strcmp0 (self->reason, reason) == 0)
    return;
  g_free (self->reason);
  self->reason = g_strdup (reason);
  self->events.lost (self->data, reason);
}

static void
drop_pending (XdsStoreClient *self)
{
  Pending *pending;

  while ((pending = g_queue_pop_head (&self->pending)) != NULL)
    {
      if (pending->reply != NULL)
        pending->reply (self->data, pending->domid, "EIO", NULL, 0);
      g_free (pending);
    }
}

static void
disconnect (XdsStoreClient *self)
{
  if (self->fd < 0)
    return;
  xds_loop_remove (self->loop, &self->item);
  close (self->fd);
  self->fd = -1;
  g_byte_array_set_size (self->input, 0);
  g_queue_clear_full (&self->output, (GDestroyNotify) g_bytes_unref);
  self->sent = 0;
  drop_pending (self);
}

static void
retry_later (XdsStoreClient *self)
{
  self->delay = CLAMP (self->delay * 2, FIRST_RETRY, LONGEST_RETRY);
  self->timer = g_timeout_add (self->delay, try_all, self);
}

static void
lose (XdsStoreClient *self, const char *reason)
{
  xds_loop_disturb (self->loop);
  disconnect (self);
  tell_lost (self, reason);
  if (self->timer == 0)
    retry_later (self);
}

/* --- output --- */

/* FALSE when the connection is lost. */
static gboolean
flush (XdsStoreClient *self)
{
  while (self->output.head != NULL)
    {
      gsize len;
      const guint8 *data = g_bytes_get_data (self->output.head->data, &len);
      ssize_t n = write (self->fd, data + self->sent, len - self->sent);

      if (n < 0 && (errno == EAGAIN || errno == EINTR))
        break;
      if (n < 0)
        {
          lose (self, g_strerror (errno));
          return FALSE;
        }
      self->sent += n;
      if (self->sent < len)
        continue;
      g_bytes_unref (g_queue_pop_head (&self->output));
      self->sent = 0;
    }
  xds_loop_modify (self->loop, &self->item,
                   EPOLLIN | (self->output.head != NULL ? EPOLLOUT : 0));
  return TRUE;
}

void
xds_store_client_send (XdsStoreClient *self, guint op, const char *const *strings,
                       XdsStoreReply reply, guint domid)
{
  GByteArray *message = g_byte_array_new ();
  XdsMsgHeader header = { .type = op, .req_id = ++self->last_id };
  Pending *pending;

  g_byte_array_append (message, (const guint8 *) &header, sizeof header);
  for (guint i = 0; strings[i] != NULL; i++)
    g_byte_array_append (message, (const guint8 *) strings[i], strlen (strings[i]) + 1);
  header.len = message->len - sizeof header;
  memcpy (message->data, &header, sizeof header);
  if (self->fd < 0 || header.len > XDS_PAYLOAD_MAX)
    {
      g_byte_array_unref (message);
      return;
    }
  pending = g_new (Pending, 1);
  *pending = (Pending){ header.req_id, domid, reply };
  g_queue_push_tail (&self->pending, pending);
  g_queue_push_tail (&self->output, g_byte_array_free_to_bytes (message));
  flush (self);
}

/* --- input --- */

static void
take_event (XdsStoreClient *self, XdsSpan payload)
{
  XdsSpan strings[2];

  if (xds_msg_split (payload, strings, 2))
    self->events.event (self->data, strings[0].data, strings[1].data);
}

static void
take_reply (XdsStoreClient *self, const XdsMsgHeader *header, const char *payload)
{
  g_autofree char *name = header->type == XDS_OP_ERROR ? g_strndup (payload, header->len) : NULL;

  for (GList *link = self->pending.head; link != NULL; link = link->next)
    {
      g_autofree Pending *pending = link->data;

      if (pending->req_id != header->req_id)
        {
          g_steal_pointer (&pending);
          continue;
        }
      g_queue_delete_link (&self->pending, link);
      if (pending->reply != NULL)
        pending->reply (self->data, pending->domid, name, (const guint8 *) payload, header->len);
      return;
    }
}

/* FALSE when the connection is lost. */
static gboolean
take_messages (XdsStoreClient *self)
{
  XdsMsgHeader header;
  XdsMsgState state;

  while ((state = xds_msg_peek (self->input->data, self->input->len, &header)) == XDS_MSG_WHOLE)
    {
      g_autofree char *payload = g_malloc (header.len + 1);

      memcpy (payload, self->input->data + sizeof header, header.len);
      payload[header.len] = '\0';
      g_byte_array_remove_range (self->input, 0, sizeof header + header.len);
      if (header.type == XDS_OP_WATCH_EVENT)
        take_event (self, (XdsSpan){ payload, header.len });
      else
        take_reply (self, &header, payload);
      if (self->fd < 0)
        return FALSE;
    }
  if (state == XDS_MSG_BAD)
    lose (self, "it sent a message that is too long");
  return state != XDS_MSG_BAD;
}

static void
turn (XdsLoopItem *item, guint32 events)
{
  XdsStoreClient *self = (XdsStoreClient *) item;
  guint8 buffer[XDS_MSG_MAX];
  ssize_t n = 0;

  xds_loop_disturb (self->loop);
  if ((events & EPOLLOUT) != 0 && !flush (self))
    return;
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0)
    return;
  n = read (self->fd, buffer, sizeof buffer);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n <= 0)
    {
      lose (self, n == 0 ? "it closed the connection" : g_strerror (errno));
      return;
    }
  g_byte_array_append (self->input, buffer, n);
  take_messages (self);
}

/* --- connecting --- */

static int
connect_socket (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd, err;

  if (g_strlcpy (address.sun_path, path, sizeof address.sun_path) >= sizeof address.sun_path)
    {
      errno = ENAMETOOLONG;
      return -1;
    }
  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || connect (fd, (struct sockaddr *) &address, sizeof address) == 0)
    return fd;
  err = errno;
  close (fd);
  errno = err;
  return -1;
}

static int
open_store (const char *path)
{
  struct stat st;

  if (stat (path, &st) < 0)
    return -1;
  return S_ISSOCK (st.st_mode) ? connect_socket (path)
                               : open (path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
}

static gboolean
try_one (XdsStoreClient *self, const char *path, GString *reasons)
{
  g_autoptr (GError) error = NULL;
  int fd = open_store (path);

  if (fd < 0)
    {
      g_string_append_printf (reasons, "%s%s: %s", reasons->len > 0 ? "; " : "", path,
                              g_strerror (errno));
      return FALSE;
    }
  if (!xds_loop_add (self->loop, &self->item, fd, EPOLLIN, turn, &error))
    {
      g_string_append_printf (reasons, "%s%s: %s", reasons->len > 0 ? "; " : "", path,
                              error->message);
      close (fd);
      return FALSE;
    }
  self->fd = fd;
  return TRUE;
}

static gboolean
try_all (gpointer data)
{
  XdsStoreClient *self = data;
  g_autoptr (GString) reasons = g_string_new (NULL);

  self->timer = 0;
  xds_loop_disturb (self->loop);
  for (guint i = 0; self->paths[i] != NULL; i++)
    if (try_one (self, self->paths[i], reasons))
      {
        self->delay = 0;
        g_clear_pointer (&self->reason, g_free);
        self->events.connected (self->data, self->paths[i]);
        return G_SOURCE_REMOVE;
      }
  tell_lost (self, reasons->str);
  retry_later (self);
  return G_SOURCE_REMOVE;
}

/* --- life --- */

XdsStoreClient *
xds_store_client_new (XdsLoop *loop, const char *const *paths, const XdsStoreClientEvents *events,
                      gpointer data)
{
  XdsStoreClient *self = g_new0 (XdsStoreClient, 1);

  self->loop = loop;
  self->paths = g_strdupv ((char **) paths);
  self->events = *events;
  self->data = data;
  self->fd = -1;
  self->input = g_byte_array_new ();
  self->timer = g_idle_add (try_all, self);
  return self;
}

void
xds_store_client_free (XdsStoreClient *self)
{
  if (self == NULL)
    return;
  g_clear_handle_id (&self->timer, g_source_remove);
  if (self->fd >= 0)
    {
      xds_loop_remove (self->loop, &self->item);
      close (self->fd);
    }
  g_queue_clear_full (&self->pending, g_free);
  g_queue_clear_full (&self->output, (GDestroyNotify) g_bytes_unref);
  g_byte_array_unref (self->input);
  g_strfreev (self->paths);
  g_free (self->reason);
  g_free (self);
}
