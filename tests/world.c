/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The engine's host in memory.
 *
 * Invariant: a client's `peer` is the engine's peer whose data is that client, or NULL.  A guest's
 * client stays in the world after its ring is gone, so that a test can still look at its inbox;
 * introducing the domain again makes a new client.
 *
 * A world over real sockets and pages was not made: those belong to the transports, which have
 * tests of their own, and here each run must be the same to the byte.
 */

#include "tests/world-private.h"

#include <dirent.h>

#define SERVE_BUDGET 4

/* --- helpers --- */

static guint
count_fds (void)
{
  DIR *dir = opendir ("/proc/self/fd");
  guint n = 0;

  if (dir == NULL)
    return 0;
  while (readdir (dir) != NULL)
    n++;
  closedir (dir);
  return n;
}

static void
peer_free (XdsWorldPeer *self)
{
  g_byte_array_unref (self->inbox);
  g_byte_array_unref (self->sent);
  g_queue_clear_full (&self->events, g_free);
  g_free (self);
}

static XdsWorldPeer *
peer_new (XdsWorld *world, XdsPeer *peer)
{
  XdsWorldPeer *self = g_new0 (XdsWorldPeer, 1);

  self->world = world;
  self->peer = peer;
  self->guest = xds_peer_is_domain (peer);
  self->domid = self->guest ? xds_peer_domid (peer) : 0;
  self->inbox = g_byte_array_new ();
  self->sent = g_byte_array_new ();
  g_queue_init (&self->events);
  xds_peer_set_data (peer, self);
  xds_peer_set_handle (peer, world->peers->len);
  g_ptr_array_add (world->peers, self);
  g_hash_table_add (world->ready, self);
  return self;
}

static void
clear_notice (gpointer data)
{
  XdsWorldNotice *notice = data;

  g_free (notice->what);
  g_free (notice->path);
}

static XdsDomainState *
find_domain (XdsWorld *world, guint domid)
{
  for (guint i = 0; i < world->domains->len; i++)
    if (g_array_index (world->domains, XdsDomainState, i).domid == domid)
      return &g_array_index (world->domains, XdsDomainState, i);
  return NULL;
}

/* --- the host's side of the engine --- */

static void
host_peer_ready (void *data, XdsPeer *peer)
{
  XdsWorld *world = data;
  XdsWorldPeer *self = xds_peer_get_data (peer);

  /* A peer that is being made is ready before it is ours. */
  if (self != NULL)
    g_hash_table_add (world->ready, self);
}

static void
host_peer_failed (void *data, XdsPeer *peer, guint ring_error)
{
  XdsWorldPeer *self = xds_peer_get_data (peer);

  host_peer_ready (data, peer);
  self->failed = TRUE;
  self->ring_error = ring_error;
}

static gboolean
host_domain_state (void *data, guint domid, XdsDomainState *ret_state)
{
  XdsDomainState *state = find_domain (data, domid);

  if (state == NULL)
    return FALSE;
  *ret_state = *state;
  return TRUE;
}

static XdsStatus
host_domain_connect (void *data, XdsPeer *peer, guint domid, guint64 gfn, guint port)
{
  XdsWorld *world = data;

  (void)gfn;
  g_assert_cmpuint (port, >, 0);
  g_assert_cmpuint (xds_peer_domid (peer), ==, domid);
  if (world->fail_connect != XDS_OK)
    return world->fail_connect;
  if (find_domain (world, domid) == NULL)
    return XDS_EINVAL;
  peer_new (world, peer);
  return XDS_OK;
}

static XdsStatus
host_domain_reconnect (void *data, XdsPeer *peer, guint domid, guint port)
{
  XdsWorldPeer *self = xds_peer_get_data (peer);

  (void)data;
  g_assert_cmpuint (port, >, 0);
  g_assert_cmpuint (self->domid, ==, domid);
  g_byte_array_set_size (self->inbox, 0);
  xds_world_peer_sync (self);
  self->failed = FALSE;
  self->ring_error = 0;
  return XDS_OK;
}

static void
host_domain_disconnect (void *data, XdsPeer *peer, guint domid)
{
  XdsWorld *world = data;
  XdsWorldPeer *self = xds_peer_get_data (peer);

  g_assert_nonnull (self);
  g_assert_cmpuint (self->domid, ==, domid);
  g_hash_table_remove (world->ready, self);
  self->peer = NULL;
}

G_GNUC_PRINTF (2, 3)
static void
tell (XdsWorld *world, const char *format, ...)
{
  va_list args;

  if (world->told->len > 0)
    g_string_append_c (world->told, ' ');
  va_start (args, format);
  g_string_append_vprintf (world->told, format, args);
  va_end (args);
}

static void
host_print (void *data, const char *text)
{
  tell (data, "print:%s", text);
}

static void
host_notice (void *data, const XdsNotice *notice)
{
  XdsWorld *world = data;
  XdsWorldNotice copy
      = { notice->kind, notice->domid,  g_strdup (notice->what), g_strdup (notice->path),
          notice->used, notice->allowed };

  g_array_append_val (world->notices, copy);
}

static void
host_domain_introduced (void *data, guint domid)
{
  tell (data, "+%u", domid);
}

static void
host_domain_released (void *data, guint domid)
{
  tell (data, "-%u", domid);
}

const XdsHost xds_world_host = {
  .peer_ready = host_peer_ready,
  .peer_failed = host_peer_failed,
  .domain_state = host_domain_state,
  .domain_connect = host_domain_connect,
  .domain_reconnect = host_domain_reconnect,
  .domain_disconnect = host_domain_disconnect,
  .print = host_print,
  .notice = host_notice,
  .domain_introduced = host_domain_introduced,
  .domain_released = host_domain_released,
  .journal_full = xds_world_journal_full,
};

/* --- life --- */

XdsWorld *
xds_world_new (void)
{
  XdsWorld *world = g_new0 (XdsWorld, 1);

  world->n_fds = count_fds ();
  world->peers = g_ptr_array_new_with_free_func ((GDestroyNotify)peer_free);
  world->ready = g_hash_table_new (NULL, NULL);
  world->domains = g_array_new (FALSE, TRUE, sizeof (XdsDomainState));
  world->notices = g_array_new (FALSE, TRUE, sizeof (XdsWorldNotice));
  g_array_set_clear_func (world->notices, clear_notice);
  world->told = g_string_new (NULL);
  xds_world_domain_create (world, 0);
  world->engine = xds_engine_new (&xds_world_host, world);
  return world;
}

static void
assert_sound (XdsWorld *world)
{
  g_autofree char *wrong = xds_engine_check (world->engine);

  g_assert_cmpstr (wrong, ==, NULL);
}

/* Everybody goes: the sockets first, so that the domains' deaths are told to nobody. */
static void
empty (XdsWorld *world)
{
  XdsStatistics left;

  for (guint i = 0; i < world->peers->len; i++)
    {
      XdsWorldPeer *self = g_ptr_array_index (world->peers, i);

      if (self->peer != NULL && !self->guest)
        xds_world_remove_peer (self);
    }
  assert_sound (world);
  while (world->domains->len > 1)
    xds_world_domain_destroy (world, g_array_index (world->domains, XdsDomainState, 1).domid);
  xds_world_report (world);
  assert_sound (world);
  for (guint i = 0; i < world->peers->len; i++)
    {
      XdsWorldPeer *self = g_ptr_array_index (world->peers, i);

      if (self->peer != NULL && self->domid == 0)
        xds_world_remove_peer (self);
      g_assert_null (self->peer);
    }
  xds_engine_statistics (world->engine, &left);
  g_assert_cmpuint (left.watches, ==, 0);
  g_assert_cmpuint (left.transactions, ==, 0);
  g_assert_cmpuint (left.peers, ==, 0);
  g_assert_cmpuint (left.domains, <=, 1);
}

void
xds_world_free (XdsWorld *world)
{
  if (world == NULL)
    return;
  empty (world);
  xds_world_journal_clear (world);
  xds_engine_free (world->engine);
  g_ptr_array_unref (world->peers);
  g_hash_table_unref (world->ready);
  g_array_unref (world->domains);
  g_array_unref (world->notices);
  g_string_free (world->told, TRUE);
  g_assert_cmpuint (count_fds (), ==, world->n_fds);
  g_free (world);
}

gboolean
xds_world_peer_loaded (void *data, XdsPeer *peer, gint32 handle)
{
  XdsWorld *world = data;
  XdsWorldPeer *self;

  if (handle < 0)
    return FALSE;
  self = g_ptr_array_index (world->peers, handle);
  g_assert_cmpuint (self->guest, ==, xds_peer_is_domain (peer));
  self->peer = peer;
  xds_peer_set_data (peer, self);
  g_hash_table_add (world->ready, self);
  return TRUE;
}

void
xds_world_reload (XdsWorld *world)
{
  const XdsDumpHost side = { .socket_fd = -1, .evtchn_fd = -1 };
  g_autoptr (GBytes) stream = xds_engine_dump (world->engine, &side, world);
  g_autofree char *why = NULL, *broken = NULL;
  gsize len;
  const void *data = g_bytes_get_data (stream, &len);

  for (guint i = 0; i < world->peers->len; i++)
    ((XdsWorldPeer *) world->peers->pdata[i])->peer = NULL;
  xds_engine_free (world->engine);
  world->engine = xds_engine_new (&xds_world_host, world);
  if (!xds_engine_load (world->engine, data, len, xds_world_peer_loaded, world, &why))
    g_error ("the dump cannot be loaded: %s", why);
  broken = xds_engine_check (world->engine);
  if (broken != NULL)
    g_error ("what was loaded is broken: %s", broken);
}

XdsEngine *
xds_world_engine (XdsWorld *world)
{
  return world->engine;
}

/* --- clients --- */

XdsWorldPeer *
xds_world_add_socket (XdsWorld *world)
{
  static const XdsSocketIdentity identity = { .pid = 1, .uid = 0, .gid = 0 };

  return peer_new (world, xds_engine_add_socket_peer (world->engine, &identity));
}

XdsWorldPeer *
xds_world_guest (XdsWorld *world, guint domid)
{
  for (guint i = world->peers->len; i-- > 0;)
    {
      XdsWorldPeer *self = g_ptr_array_index (world->peers, i);

      if (self->guest && self->domid == domid && self->peer != NULL)
        return self;
    }
  return NULL;
}

XdsWorldPeer *
xds_world_add_guest (XdsWorld *world, XdsWorldPeer *by, guint domid)
{
  char payload[64];
  gsize len;

  if (find_domain (world, domid) == NULL)
    xds_world_domain_create (world, domid);
  len = g_snprintf (payload, sizeof payload, "%u%c%u%c%u", domid, 0, 4242, 0, domid + 1) + 1;
  g_assert_cmpint (xds_world_status (by, XDS_OP_INTRODUCE, 0, payload, len), ==, XDS_OK);
  return xds_world_guest (world, domid);
}

void
xds_world_remove_peer (XdsWorldPeer *self)
{
  XdsWorld *world = self->world;
  XdsPeer *peer = g_steal_pointer (&self->peer);

  g_assert_nonnull (peer);
  g_hash_table_remove (world->ready, self);
  xds_peer_set_data (peer, NULL);
  xds_engine_remove_peer (world->engine, peer);
}

void
xds_world_restart (XdsWorldPeer *self, gboolean dead)
{
  if (dead)
    xds_peer_give_up (self->peer);
  else
    xds_peer_reset (self->peer);
  self->failed = dead;
  g_byte_array_set_size (self->inbox, 0);
  xds_world_peer_sync (self);
}

/* --- bytes and messages --- */

gsize
xds_world_send_bytes (XdsWorldPeer *self, const void *data, gsize len)
{
  gsize sent = 0;

  while (sent < len && self->peer != NULL && !self->failed)
    {
      guint8 *room;
      gsize n = MIN (xds_peer_input (self->peer, &room), len - sent);

      if (n == 0)
        break;
      memcpy (room, (const guint8 *)data + sent, n);
      xds_peer_filled (self->peer, n);
      g_byte_array_append (self->sent, room, n);
      self->served = FALSE;
      sent += n;
    }
  if (sent > 0 && self->peer != NULL)
    g_hash_table_add (self->world->ready, self);
  return sent;
}

guint32
xds_world_send (XdsWorldPeer *self, guint32 type, guint32 tx_id, const void *payload, gsize len)
{
  XdsMsgHeader header = { type, ++self->last_req_id, tx_id, len };
  g_autofree guint8 *bytes = g_malloc (sizeof header + len);

  memcpy (bytes, &header, sizeof header);
  if (len > 0)
    memcpy (bytes + sizeof header, payload, len);
  g_assert_cmpuint (xds_world_send_bytes (self, bytes, sizeof header + len), ==,
                    sizeof header + len);
  return header.req_id;
}

/* One turn of one client; TRUE if it may have more to do. */
static gboolean
turn (XdsWorldPeer *self)
{
  const guint8 *bytes;
  gboolean more = FALSE;
  gsize n;

  if (self->world->journal != NULL)
    return xds_world_journal_turn (self, SERVE_BUDGET);
  if (!self->failed)
    more = xds_peer_serve (self->peer, SERVE_BUDGET);
  if (self->asleep || self->peer == NULL)
    return FALSE;
  while ((n = xds_peer_output (self->peer, &bytes)) > 0)
    {
      g_byte_array_append (self->inbox, bytes, n);
      xds_peer_drained (self->peer, n);
      xds_world_peer_sync (self);
    }
  return more;
}

/* In the order in which the clients came, so that a run can be repeated. */
void
xds_world_pump (XdsWorld *world)
{
  while (g_hash_table_size (world->ready) > 0)
    for (guint i = 0; i < world->peers->len; i++)
      {
        XdsWorldPeer *self = g_ptr_array_index (world->peers, i);

        if (!g_hash_table_remove (world->ready, self))
          continue;
        if (turn (self))
          g_hash_table_add (world->ready, self);
        if (self->failed && !self->guest && self->peer != NULL)
          xds_world_remove_peer (self);
      }
}

XdsWorldMsg *
xds_world_receive (XdsWorldPeer *self)
{
  XdsMsgHeader header;
  XdsWorldMsg *msg;

  xds_world_pump (self->world);
  switch (xds_msg_peek (self->inbox->data, self->inbox->len, &header))
    {
    case XDS_MSG_PARTIAL:
      return NULL;
    case XDS_MSG_BAD:
      g_error ("the store sent a message with a payload of %u bytes", header.len);
    case XDS_MSG_WHOLE:
      break;
    }
  msg = g_malloc (sizeof *msg + header.len + 1);
  msg->type = header.type;
  msg->req_id = header.req_id;
  msg->tx_id = header.tx_id;
  msg->len = header.len;
  memcpy (msg->payload, self->inbox->data + sizeof header, header.len);
  msg->payload[header.len] = '\0';
  g_byte_array_remove_range (self->inbox, 0, sizeof header + header.len);
  return msg;
}

XdsWorldMsg *
xds_world_call (XdsWorldPeer *self, guint32 type, guint32 tx_id, const void *payload, gsize len)
{
  guint32 req_id = xds_world_send (self, type, tx_id, payload, len);
  XdsWorldMsg *msg;

  while ((msg = xds_world_receive (self)) != NULL && msg->type == XDS_OP_WATCH_EVENT)
    g_queue_push_tail (&self->events, msg);
  if (msg == NULL)
    return NULL;
  g_assert_cmpuint (msg->req_id, ==, req_id);
  g_assert_cmpuint (msg->tx_id, ==, tx_id);
  if (msg->type != XDS_OP_ERROR)
    g_assert_cmpuint (msg->type, ==, type);
  return msg;
}

XdsWorldMsg *
xds_world_say (XdsWorldPeer *self, guint32 type, guint32 tx_id, const char *format, ...)
{
  g_autofree char *text = NULL;
  gsize len;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  len = strlen (text);
  return xds_world_call (self, type, tx_id, g_strdelimit (text, "|", '\0'), len);
}

XdsWorldMsg *
xds_world_event (XdsWorldPeer *self)
{
  XdsWorldMsg *msg = g_queue_pop_head (&self->events);

  if (msg == NULL)
    msg = xds_world_receive (self);
  if (msg == NULL)
    return NULL;
  g_assert_cmpuint (msg->type, ==, XDS_OP_WATCH_EVENT);
  g_assert_cmpuint (msg->req_id, ==, 0);
  g_assert_cmpuint (msg->tx_id, ==, 0);
  g_assert_cmpuint (xds_msg_count_strings ((XdsSpan){ msg->payload, msg->len }), >=, 2);
  return msg;
}

XdsStatus
xds_world_msg_status (const XdsWorldMsg *msg)
{
  return msg->type == XDS_OP_ERROR ? xds_status_from_name (msg->payload, strlen (msg->payload))
                                   : XDS_OK;
}

XdsStatus
xds_world_status (XdsWorldPeer *self, guint32 type, guint32 tx_id, const void *payload, gsize len)
{
  g_autoptr (XdsWorldMsg) reply = xds_world_call (self, type, tx_id, payload, len);

  g_assert_nonnull (reply);
  return xds_world_msg_status (reply);
}

guint32
xds_world_begin (XdsWorldPeer *self)
{
  g_autoptr (XdsWorldMsg) reply = xds_world_call (self, XDS_OP_TRANSACTION_START, 0, "", 1);

  g_assert_nonnull (reply);
  g_assert_cmpint (xds_world_msg_status (reply), ==, XDS_OK);
  return g_ascii_strtoull (reply->payload, NULL, 10);
}

void
xds_world_expect_event (XdsWorldPeer *self, const char *path, const char *token)
{
  g_autoptr (XdsWorldMsg) event = xds_world_event (self);

  g_assert_cmpstr (event != NULL ? event->payload : NULL, ==, path);
  if (event != NULL)
    g_assert_cmpstr (event->payload + strlen (event->payload) + 1, ==, token);
}

/* --- the pretend hypervisor --- */

void
xds_world_domain_create (XdsWorld *world, guint domid)
{
  XdsDomainState state = { .domid = domid, .unique_id = ++world->last_unique_id };
  guint at = 0;

  g_assert_null (find_domain (world, domid));
  while (at < world->domains->len
         && g_array_index (world->domains, XdsDomainState, at).domid < domid)
    at++;
  g_array_insert_val (world->domains, at, state);
}

void
xds_world_domain_shutdown (XdsWorld *world, guint domid, guint reason)
{
  XdsDomainState *state = find_domain (world, domid);

  state->shutdown = TRUE;
  state->reason = reason;
}

void
xds_world_domain_resume (XdsWorld *world, guint domid)
{
  find_domain (world, domid)->shutdown = FALSE;
}

void
xds_world_domain_dying (XdsWorld *world, guint domid)
{
  find_domain (world, domid)->dying = TRUE;
}

void
xds_world_domain_destroy (XdsWorld *world, guint domid)
{
  XdsDomainState *state = find_domain (world, domid);

  g_assert_nonnull (state);
  g_array_remove_index (world->domains, state - (XdsDomainState *)world->domains->data);
}

gboolean
xds_world_domain_get (XdsWorld *world, guint domid, XdsDomainState *ret_state)
{
  return host_domain_state (world, domid, ret_state);
}

void
xds_world_fail_connect (XdsWorld *world, XdsStatus status)
{
  world->fail_connect = status;
}

void
xds_world_report (XdsWorld *world)
{
  xds_engine_domains (world->engine, (const XdsDomainState *)world->domains->data,
                      world->domains->len);
  xds_world_pump (world);
}

/* --- what the engine told --- */

const XdsWorldNotice *
xds_world_notice (XdsWorld *world, guint index)
{
  return index < world->notices->len ? &g_array_index (world->notices, XdsWorldNotice, index)
                                     : NULL;
}

const char *
xds_world_told (XdsWorld *world)
{
  return world->told->str;
}

void
xds_world_clear_told (XdsWorld *world)
{
  g_array_set_size (world->notices, 0);
  g_string_truncate (world->told, 0);
}
