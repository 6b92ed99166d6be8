/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The guest's side of a ring.  Like Linux it signals after what it wrote, and after what it read
 * only if the ring had been full: a server that counts on more signals than that hangs.
 */

#include "tests/guest-ring.h"

#include <poll.h>
#include <string.h>

struct XdsGuestRing
{
  XdsRingPage *page; /* (transfer none) */
  XdsRingEnd reader, writer;
  void (*signal) (void *data);
  void *data;
  GByteArray *out, *in; /* (owned) */
  gsize in_taken;       /* bytes of @in that were handed out */
  guint32 last_req_id;
  gboolean deaf, broken, reconnecting;
};

XdsGuestRing *
xds_guest_ring_new (XdsRingPage *page, void (*signal) (void *data), void *data)
{
  XdsGuestRing *ring = g_new0 (XdsGuestRing, 1);

  ring->page = page;
  ring->signal = signal;
  ring->data = data;
  ring->out = g_byte_array_new ();
  ring->in = g_byte_array_new ();
  /* Answers that an earlier player of this guest left in the ring are not taken for ours. */
  ring->last_req_id = g_random_int ();
  xds_ring_guest_ends (page, &ring->reader, &ring->writer);
  return ring;
}

void
xds_guest_ring_free (XdsGuestRing *ring)
{
  if (ring == NULL)
    return;
  g_byte_array_unref (ring->out);
  g_byte_array_unref (ring->in);
  g_free (ring);
}

XdsRingPage *
xds_guest_ring_page (XdsGuestRing *ring)
{
  return ring->page;
}

/* --- bytes --- */

static gboolean
push_out (XdsGuestRing *ring)
{
  int n;

  if (ring->out->len == 0)
    return FALSE;
  n = xds_ring_write (&ring->writer, ring->out->data, ring->out->len);
  if (n <= 0)
    return FALSE;
  g_byte_array_remove_range (ring->out, 0, (guint) n);
  ring->signal (ring->data);
  return TRUE;
}

static gboolean
pull_in (XdsGuestRing *ring)
{
  guint8 bytes[XDS_RING_SIZE];
  gboolean was_full;
  int n;

  if (ring->deaf)
    return FALSE;
  was_full = xds_ring_readable (&ring->reader) == XDS_RING_SIZE;
  n = xds_ring_read (&ring->reader, bytes, sizeof bytes);
  if (n <= 0)
    return FALSE;
  g_byte_array_append (ring->in, bytes, (guint) n);
  if (was_full)
    ring->signal (ring->data);
  return TRUE;
}

gboolean
xds_guest_ring_pump (XdsGuestRing *ring)
{
  gboolean moved = FALSE, again;

  if (ring->reconnecting)
    return FALSE;
  do
    {
      again = push_out (ring);
      again = pull_in (ring) || again;
      moved |= again;
    }
  while (again);
  return moved;
}

void
xds_guest_ring_send_bytes (XdsGuestRing *ring, const void *bytes, gsize len)
{
  g_byte_array_append (ring->out, bytes, (guint) len);
  xds_guest_ring_pump (ring);
}

guint32
xds_guest_ring_send (XdsGuestRing *ring, guint32 type, guint32 tx_id, const void *payload,
                     gsize len)
{
  XdsMsgHeader header
      = { .type = type, .req_id = ++ring->last_req_id, .tx_id = tx_id, .len = (guint32) len };

  g_byte_array_append (ring->out, (const guint8 *) &header, sizeof header);
  g_byte_array_append (ring->out, payload, (guint) len);
  xds_guest_ring_pump (ring);
  return header.req_id;
}

gsize
xds_guest_ring_unsent (XdsGuestRing *ring)
{
  return ring->out->len;
}

/* --- messages --- */

/* Bytes are moved to the front once half of them is stale: each is moved at most twice. */
static void
take (XdsGuestRing *ring, gsize len)
{
  ring->in_taken += len;
  if (ring->in_taken * 2 < ring->in->len)
    return;
  g_byte_array_remove_range (ring->in, 0, (guint) ring->in_taken);
  ring->in_taken = 0;
}

XdsGuestMsg *
xds_guest_ring_next (XdsGuestRing *ring)
{
  const guint8 *at = ring->in->data + ring->in_taken;
  XdsMsgHeader header;
  XdsGuestMsg *msg;

  if (ring->broken || ring->in->len == ring->in_taken)
    return NULL;
  switch (xds_msg_peek (at, ring->in->len - ring->in_taken, &header))
    {
    case XDS_MSG_PARTIAL:
      return NULL;
    case XDS_MSG_BAD:
      ring->broken = TRUE;
      return NULL;
    case XDS_MSG_WHOLE:
      break;
    }
  msg = g_new (XdsGuestMsg, 1);
  msg->header = header;
  memcpy (msg->payload, at + sizeof header, header.len);
  msg->payload[header.len] = '\0';
  take (ring, sizeof header + header.len);
  return msg;
}

gboolean
xds_guest_ring_is_broken (XdsGuestRing *ring)
{
  return ring->broken;
}

void
xds_guest_ring_set_deaf (XdsGuestRing *ring, gboolean deaf)
{
  ring->deaf = deaf;
  xds_guest_ring_pump (ring);
}

/* --- reconnection --- */

void
xds_guest_ring_reconnect (XdsGuestRing *ring)
{
  ring->reconnecting = TRUE;
  g_byte_array_set_size (ring->out, 0);
  g_byte_array_set_size (ring->in, 0);
  ring->in_taken = 0;
  ring->broken = FALSE;
  xds_ring_store (&ring->page->connection, XDS_RING_RECONNECT);
  ring->signal (ring->data);
}

gboolean
xds_guest_ring_reconnected (XdsGuestRing *ring)
{
  if (!ring->reconnecting)
    return TRUE;
  if (xds_ring_load (&ring->page->connection) != XDS_RING_CONNECTED)
    return FALSE;
  xds_ring_guest_ends (ring->page, &ring->reader, &ring->writer);
  ring->reconnecting = FALSE;
  xds_guest_ring_pump (ring);
  return TRUE;
}

/* --- many guests --- */

struct XdsGuests
{
  XdsSimWorld *world; /* (owned) */
  GHashTable *rings;  /* (owned) (element-type guint Guest) by domid */
};

typedef struct
{
  XdsGuests *guests;
  guint domid;
  XdsGuestRing *ring; /* (owned) */
} Guest;

static void
guest_free (void *data)
{
  Guest *guest = data;

  if (guest->ring != NULL)
    xds_sim_world_unmap_ring (xds_guest_ring_page (guest->ring));
  xds_guest_ring_free (guest->ring);
  g_free (guest);
}

static void
signal_server (void *data)
{
  Guest *guest = data;

  xds_sim_world_signal (guest->guests->world, guest->domid);
}

XdsGuests *
xds_guests_new (const char *dir, GError **error)
{
  g_autoptr (XdsGuests) guests = g_new0 (XdsGuests, 1);
  int res;

  guests->rings = g_hash_table_new_full (NULL, NULL, NULL, guest_free);
  res = xds_sim_world_open (dir, &guests->world);
  if (res == 0)
    res = xds_sim_world_play (guests->world);
  if (res == 0)
    return g_steal_pointer (&guests);
  g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (-res),
               "cannot play guests of the simulated world in %s: %s", dir, g_strerror (-res));
  return NULL;
}

void
xds_guests_free (XdsGuests *guests)
{
  if (guests == NULL)
    return;
  g_hash_table_unref (guests->rings);
  xds_sim_world_free (guests->world);
  g_free (guests);
}

XdsGuestRing *
xds_guests_add (XdsGuests *guests, guint domid, GError **error)
{
  Guest *guest;
  void *page;
  int res = xds_sim_world_map_ring (guests->world, domid, &page);

  if (res < 0)
    {
      g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (-res), "cannot play domain %u: %s",
                   domid, g_strerror (-res));
      return NULL;
    }
  guest = g_new0 (Guest, 1);
  guest->guests = guests;
  guest->domid = domid;
  guest->ring = xds_guest_ring_new (page, signal_server, guest);
  g_hash_table_replace (guests->rings, GUINT_TO_POINTER (domid), guest);
  xds_sim_world_attach (guests->world, domid);
  return guest->ring;
}

void
xds_guests_remove (XdsGuests *guests, guint domid)
{
  g_hash_table_remove (guests->rings, GUINT_TO_POINTER (domid));
}

void
xds_guests_signal (XdsGuests *guests, guint domid)
{
  xds_sim_world_signal (guests->world, domid);
}

int
xds_guests_fd (XdsGuests *guests)
{
  return xds_sim_world_fd (guests->world);
}

guint
xds_guests_wait (XdsGuests *guests, gint timeout_ms)
{
  struct pollfd pfd = { .fd = xds_guests_fd (guests), .events = POLLIN };
  guint32 ids[256];
  Guest *guest;
  guint total = 0;
  int i, n;

  if (poll (&pfd, 1, timeout_ms) != 1)
    return 0;
  do
    {
      n = xds_sim_world_take (guests->world, ids, G_N_ELEMENTS (ids));
      for (i = 0; i < n; i++)
        {
          guest = g_hash_table_lookup (guests->rings, GUINT_TO_POINTER (ids[i]));
          if (guest != NULL)
            xds_guest_ring_pump (guest->ring);
        }
      total += (guint) MAX (n, 0);
    }
  while (n == (int) G_N_ELEMENTS (ids));
  return total;
}

XdsGuestMsg *
xds_guests_call (XdsGuests *guests, XdsGuestRing *ring, guint32 type, guint32 tx_id,
                 const void *payload, gsize len, gint timeout_ms, GQueue *events)
{
  gint64 end = g_get_monotonic_time () + (gint64) timeout_ms * 1000, left;
  guint32 req_id = xds_guest_ring_send (ring, type, tx_id, payload, len);
  XdsGuestMsg *msg;

  for (;;)
    {
      while ((msg = xds_guest_ring_next (ring)) != NULL)
        {
          if (msg->header.type != XDS_OP_WATCH_EVENT && msg->header.req_id == req_id)
            return msg;
          if (msg->header.type == XDS_OP_WATCH_EVENT && events != NULL)
            g_queue_push_tail (events, msg);
          else
            g_free (msg);
        }
      left = end - g_get_monotonic_time ();
      if (left <= 0 || xds_guest_ring_is_broken (ring))
        return NULL;
      xds_guests_wait (guests, (gint) (left / 1000) + 1);
    }
}
