/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The bytes of a connection, and the requests in flight on it.
 *
 * Requests get consecutive ids.  Those in flight are a window of ids, kept in a ring that is
 * indexed by the id, so an answer finds its request by one index whether answers come in order,
 * as from known servers and from the kernel's device, or not.
 *
 * Requests gather in one buffer and leave by one send when somebody waits, when the main loop
 * turns, or when there are many; answers are taken by one receive of up to IN_SIZE bytes.  The
 * kernel's device is the exception: it wants one message a write.
 *
 * Nothing here waits for room to send without also receiving: a server that is owed a read
 * stops reading, and both would wait for ever.
 *
 * An XdsReplyFunc may call anything of the library.  So the loop over received messages keeps
 * its position in the client, and steps over a message before the message is handled.
 */

#include "lib/client.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Holds fifteen of the longest messages or some thousand short ones. */
#define IN_SIZE (64 * 1024)

/*
 * The longest answer that we take.  The protocol says XDS_PAYLOAD_MAX, but oxenstored lists a long
 * directory in one answer all the same.
 */
#define ANSWER_MAX (16 * 1024 * 1024)

/* Unsent bytes from which on we do not wait for the main loop. */
#define OUT_MANY (64 * 1024)

#define PENDING_FIRST 64

void
xds_request_init (XdsClient *client)
{
  client->out = g_byte_array_new ();
  client->in_size = IN_SIZE;
  client->in = g_malloc (client->in_size);
  client->pending_size = PENDING_FIRST;
  client->pending = g_new0 (XdsPending, PENDING_FIRST);
  client->first_id = client->next_id = 1;
}

void
xds_request_clear (XdsClient *client)
{
  g_clear_pointer (&client->out, g_byte_array_unref);
  g_clear_pointer (&client->in, g_free);
  g_clear_pointer (&client->pending, g_free);
}

static XdsPending *
pending_at (XdsClient *client, guint32 id)
{
  return &client->pending[id & (client->pending_size - 1)];
}

static void
pending_grow (XdsClient *client)
{
  XdsPending *old = client->pending;
  guint32 old_size = client->pending_size;

  client->pending_size = old_size * 2;
  client->pending = g_new0 (XdsPending, client->pending_size);
  for (guint32 id = client->first_id; id != client->next_id; id++)
    *pending_at (client, id) = old[id & (old_size - 1)];
  g_free (old);
}

/* Takes the request with this id out of the window; FALSE if none such waits. */
static gboolean
pending_take (XdsClient *client, guint32 id, XdsPending *ret_pending)
{
  XdsPending *pending = pending_at (client, id);

  if (id - client->first_id >= client->next_id - client->first_id || !pending->waiting)
    return FALSE;
  *ret_pending = *pending;
  pending->waiting = FALSE;
  while (client->first_id != client->next_id && !pending_at (client, client->first_id)->waiting)
    client->first_id++;
  return TRUE;
}

void
xds_request_abandon (XdsClient *client, gpointer data)
{
  for (guint32 id = client->first_id; id != client->next_id; id++)
    if (pending_at (client, id)->data == data)
      pending_at (client, id)->func = NULL;
}

void
xds_request_break (XdsClient *client, GError *error)
{
  XdsReply reply = { .status = XDS_EIO };
  XdsPending pending;

  if (client->broken != NULL)
    {
      g_error_free (error);
      return;
    }
  client->broken = error;
  reply.broken = error;
  while (client->first_id != client->next_id)
    if (pending_take (client, client->first_id, &pending) && pending.func != NULL)
      pending.func (client, &reply, pending.data);
}

static void
break_errno (XdsClient *client, const char *doing)
{
  int saved = errno;

  xds_request_break (client, g_error_new (XDS_ERROR, XDS_ERROR_CLOSED,
                                          "Lost the connection to the xenstore server at %s "
                                          "while %s: %s. Open a new one.",
                                          client->path, doing, g_strerror (saved)));
}

/* --- out --- */

static gsize
call_length (const XdsCall *call)
{
  gsize len = 0;

  for (guint i = 0; i < call->n_parts; i++)
    len += call->parts[i].len;
  return len;
}

static void
put_message (XdsClient *client, const XdsCall *call, guint32 id, gsize len)
{
  XdsMsgHeader header = { call->op, id, call->tx, len };
  gsize at = client->out->len;
  guint8 *to;

  g_byte_array_set_size (client->out, at + sizeof header + len);
  to = client->out->data + at;
  memcpy (to, &header, sizeof header);
  to += sizeof header;
  for (guint i = 0; i < call->n_parts; i++)
    {
      if (call->parts[i].len > 0)
        memcpy (to, call->parts[i].data, call->parts[i].len);
      to += call->parts[i].len;
    }
}

/*
 * oxenstored looks at a message without payload only when more bytes come; so something harmless
 * goes behind it.
 */
static void
nudge (XdsClient *client)
{
  XdsCall call = { .op = XDS_OP_GET_DOMAIN_PATH, .n_parts = 1 };

  call.parts[0] = (XdsSpan){ "0", 2 };
  xds_request_submit (client, &call, NULL, NULL, NULL);
}

gboolean
xds_request_submit (XdsClient *client, const XdsCall *call, XdsReplyFunc func, gpointer data,
                    GError **error)
{
  gsize len = call_length (call);

  if (client->broken != NULL)
    {
      if (error != NULL)
        *error = g_error_copy (client->broken);
      return FALSE;
    }
  if (len > XDS_PAYLOAD_MAX)
    {
      g_set_error (error, XDS_ERROR, XDS_ERROR_E2BIG,
                   "A request about %s is %" G_GSIZE_FORMAT " bytes long, but xenstore allows "
                   "%d. Split the value over several nodes.",
                   call->path != NULL ? call->path : "the server", len, XDS_PAYLOAD_MAX);
      return FALSE;
    }
  if (client->next_id - client->first_id == client->pending_size)
    pending_grow (client);
  put_message (client, call, client->next_id, len);
  *pending_at (client, client->next_id) = (XdsPending){ func, data, call->op, TRUE };
  client->next_id++;
  if (len == 0)
    nudge (client);
  if (client->out->len - client->out_sent > OUT_MANY && !client->out_blocked)
    xds_request_push (client);
  return TRUE;
}

/* How much may go out in one system call. */
static gsize
out_chunk (XdsClient *client)
{
  gsize left = client->out->len - client->out_sent;
  XdsMsgHeader header;

  if (client->is_socket)
    return left;
  memcpy (&header, client->out->data + client->out_sent, sizeof header);
  return sizeof header + header.len;
}

static gssize
send_some (XdsClient *client)
{
  const guint8 *from = client->out->data + client->out_sent;
  gsize len = out_chunk (client);
  gssize n;

  do
    n = client->is_socket ? send (client->fd, from, len, MSG_NOSIGNAL | MSG_DONTWAIT)
                          : write (client->fd, from, len);
  while (n < 0 && errno == EINTR);
  return n;
}

void
xds_request_flush (XdsClient *client)
{
  client->out_blocked = FALSE;
  while (client->broken == NULL && client->out_sent < client->out->len)
    {
      gssize n = send_some (client);

      if (n >= 0)
        client->out_sent += n;
      else if (errno == EAGAIN)
        {
          client->out_blocked = TRUE;
          return;
        }
      else
        break_errno (client, "sending");
    }
  g_byte_array_set_size (client->out, 0);
  client->out_sent = 0;
}

/* Their callbacks could drop the last reference to the client. */
void
xds_request_push (XdsClient *client)
{
  client->in_sync++;
  xds_request_flush (client);
  client->in_sync--;
}

/* --- in --- */

static void
break_reply (XdsClient *client, const XdsMsgHeader *header)
{
  xds_request_break (client,
                     g_error_new (XDS_ERROR, XDS_ERROR_PROTOCOL,
                                  "The xenstore server at %s answered a request that was not made "
                                  "(number %u, type %u). Is another program using the same "
                                  "descriptor?",
                                  client->path, header->req_id, header->type));
}

static void
handle_reply (XdsClient *client, const XdsMsgHeader *header, const char *data)
{
  XdsReply reply = { .status = XDS_OK, .data = data, .len = header->len };
  XdsPending pending = { NULL };
  gboolean known = pending_take (client, header->req_id, &pending);

  if (!known || (header->type != pending.op && header->type != XDS_OP_ERROR))
    {
      break_reply (client, header);
      reply = (XdsReply){ .status = XDS_EIO, .broken = client->broken };
    }
  else if (header->type == XDS_OP_ERROR)
    reply.status = xds_status_from_name (data, strnlen (data, header->len));
  if (pending.func != NULL)
    pending.func (client, &reply, pending.data);
}

static void
handle_message (XdsClient *client, const XdsMsgHeader *header, const char *data)
{
  if (header->type == XDS_OP_WATCH_EVENT)
    xds_client_queue_event (client, data, header->len);
  else
    handle_reply (client, header, data);
}

/* Handles every whole message in the buffer. */
static void
handle_buffer (XdsClient *client)
{
  while (client->broken == NULL && client->in_end - client->in_start >= sizeof (XdsMsgHeader))
    {
      guint8 *at = client->in + client->in_start;
      XdsMsgHeader header;

      memcpy (&header, at, sizeof header);
      if (header.len > ANSWER_MAX)
        {
          xds_request_break (client, g_error_new (XDS_ERROR, XDS_ERROR_PROTOCOL,
                                                  "The xenstore server at %s sent a message of "
                                                  "%u bytes, more than can be right.",
                                                  client->path, header.len));
          return;
        }
      if (client->in_end - client->in_start - sizeof header < header.len)
        return;
      client->in_start += sizeof header + header.len;
      handle_message (client, &header, (const char *) at + sizeof header);
    }
}

/* Moves what is left to the front, and sees that the message that began there fits. */
static void
make_room (XdsClient *client)
{
  gsize left = client->in_end - client->in_start;
  XdsMsgHeader header = { 0 };

  if (client->in_start > 0)
    memmove (client->in, client->in + client->in_start, left);
  client->in_start = 0;
  client->in_end = left;
  if (left >= sizeof header)
    memcpy (&header, client->in, sizeof header);
  if (sizeof header + header.len <= client->in_size)
    return;
  client->in_size = sizeof header + header.len;
  client->in = g_realloc (client->in, client->in_size);
}

static gboolean
poll_one (int fd, short events, int timeout, short *ret_revents)
{
  struct pollfd p = { .fd = fd, .events = events };
  int n = poll (&p, 1, timeout);

  if (n <= 0)
    return FALSE;
  *ret_revents = p.revents;
  return TRUE;
}

/* One receive.  @wait: until something comes, as a signal handler or the server may also end it. */
static void
receive_once (XdsClient *client, gboolean wait)
{
  gssize n;
  short got;

  make_room (client);
  if (!client->is_socket && !wait && !poll_one (client->fd, POLLIN, 0, &got))
    return;
  n = client->is_socket
          ? recv (client->fd, client->in + client->in_end, client->in_size - client->in_end,
                  wait ? 0 : MSG_DONTWAIT)
          : read (client->fd, client->in + client->in_end, client->in_size - client->in_end);
  if (n > 0)
    {
      client->in_end += n;
      handle_buffer (client);
    }
  else if (n == 0)
    {
      errno = ECONNRESET;
      break_errno (client, "receiving");
    }
  else if (errno == EAGAIN)
    {
      if (wait)
        poll_one (client->fd, POLLIN, -1, &got);
    }
  else if (errno != EINTR)
    break_errno (client, "receiving");
}

void
xds_request_receive (XdsClient *client)
{
  if (client->broken == NULL)
    receive_once (client, FALSE);
}

gint64
xds_deadline (int milliseconds)
{
  return milliseconds < 0 ? -1 : g_get_monotonic_time () + (gint64) milliseconds * 1000;
}

static int
poll_timeout (gint64 deadline)
{
  gint64 left;

  if (deadline < 0)
    return -1;
  left = deadline - g_get_monotonic_time ();
  return left <= 0 ? 0 : (int) MIN ((left + 999) / 1000, G_MAXINT);
}

gboolean
xds_request_turn (XdsClient *client, gint64 deadline)
{
  short got = 0;
  int timeout;

  xds_request_flush (client);
  if (client->broken != NULL)
    return TRUE;
  /* The common case needs no poll: all is sent, and there is nothing to do but wait. */
  if (deadline < 0 && !client->out_blocked)
    {
      receive_once (client, TRUE);
      return TRUE;
    }
  timeout = poll_timeout (deadline);
  if (poll_one (client->fd, POLLIN | (client->out_blocked ? POLLOUT : 0), timeout, &got))
    {
      if ((got & ~POLLOUT) != 0)
        receive_once (client, FALSE);
      return TRUE;
    }
  return timeout != 0;
}

void
xds_request_drain (XdsClient *client)
{
  short got;

  xds_request_flush (client);
  while (client->broken == NULL && client->out_blocked)
    {
      if (poll_one (client->fd, POLLIN | POLLOUT, -1, &got) && (got & ~POLLOUT) != 0)
        receive_once (client, FALSE);
      xds_request_flush (client);
    }
}
