/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A turn of a ring: bytes out of the page into the engine's buffer, requests, bytes of answers
 * into the page, and one notification for all of that.
 *
 * Nothing is parsed in the page, and of its words only the other side's indices and `connection`
 * are read, each once in a turn.  What the guest writes elsewhere is overwritten or ignored.
 *
 * No wake-up is lost.  Pending ports are unmasked before their rings are looked at, so whatever
 * the guest does after our look raises the port again.  A ring is not looked at when its peer
 * does not take its answers; it gets its turn when the guest has consumed some (it notifies
 * then) or when the engine says so.
 *
 * A ring that breaks the rules (indices that cannot be, packets that are too long) is dead: its
 * error field says why, its watches and transactions go, and only `connection` is read from then
 * on, since by that the guest can ask for a fresh start.  So can the toolstack by INTRODUCE.  The
 * domain itself stays introduced, and all the others never notice.
 *
 * Ports are looked up in an array, since the hypervisor hands them out densely; the road not
 * taken is a look at each ring after each event, which costs by the number of domains.
 */

#include "xsd/transport/domring.h"

#include "xsd/transport/failure.h"
#include "xsd/wire/ring.h"

#include <errno.h>
#include <gio/gio.h>

/* Pending ports taken in one go. */
#define PORTS_BATCH 128

/* More than any Xen has (FIFO event channels: 2^17): a plugin that tells others is wrong. */
#define PORTS_MAX (1u << 17)

/* Exchanges with the page in one turn: a ring holds 1 KiB, a request may be four times that. */
#define EXCHANGES_MAX 8

/* A guest can break its ring as often as it likes. */
#define WARNING_INTERVAL (60 * G_USEC_PER_SEC)

typedef struct Ring Ring;
struct Ring
{
  XdsLink link; /* must be first */
  XdsRingServer *server;
  Ring *next, *prev; /* all rings of the server */
  XdsRingPage *page; /* (owned) of the plugin; NULL once given up */
  XdsRingEnd reader, writer;
  guint32 domid, port, remote;
  gboolean bound, dead;
  gint64 last_warning; /* of indices that are wrong; 0 if there was none */
};

struct XdsRingServer
{
  XdsLoopItem item; /* must be first; the event channels' descriptor */
  XdsLoop *loop;
  XdsEngine *engine;
  XdsSlate *slate;
  const XdsHypervisorV1 *hv;
  void *hv_self;
  GPtrArray *by_port; /* (owned) (element-type Ring) (nullable elements) */
  Ring *rings;
  guint count;
  guint32 changed_port;
  gboolean has_changed_port;
  gboolean left; /* ports stay as they are when we go */
  GSourceFunc changed;
  void *data;
};

/* --- ports --- */

static void
set_port (XdsRingServer *self, guint32 port, Ring *ring)
{
  if (port >= self->by_port->len)
    g_ptr_array_set_size (self->by_port, port + 1);
  self->by_port->pdata[port] = ring;
}

static void
ring_unbind (Ring *self)
{
  if (!self->bound)
    return;
  set_port (self->server, self->port, NULL);
  self->server->hv->unbind_port (self->server->hv_self, self->port);
  self->bound = FALSE;
}

static XdsStatus
ring_set_port (Ring *self, guint32 local)
{
  XdsRingServer *server = self->server;

  if (local >= PORTS_MAX)
    {
      server->hv->unbind_port (server->hv_self, local);
      return XDS_EINVAL;
    }
  self->port = local;
  self->bound = TRUE;
  set_port (server, local, self);
  xds_peer_set_handle (self->link.peer, self->remote);
  return XDS_OK;
}

/* The page's own word wins: it is the domain builder's, @port is whatever a tool was told. */
static XdsStatus
ring_bind (Ring *self, guint port)
{
  XdsRingServer *server = self->server;
  guint32 in_page = xds_ring_load (&self->page->evtchn_port);
  guint32 local;
  int res;

  ring_unbind (self);
  self->remote = in_page != 0 ? in_page : port;
  res = server->hv->bind_port (server->hv_self, self->domid, self->remote, &local);
  return res < 0 ? xds_status_from_errno (-res) : ring_set_port (self, local);
}

/* A port of ours that whoever served before left bound.  It may have been told of and not unmasked,
   so that nothing would be heard from it any more.  Whoever comes after our death binds the other
   side's again, which C xenstored does not tell. */
static XdsStatus
ring_keep (Ring *self, guint32 local)
{
  XdsRingServer *server = self->server;

  if (server->hv->notify (server->hv_self, local) < 0)
    return XDS_EINVAL;
  server->hv->unmask (server->hv_self, &local, 1);
  if (server->hv->remote_port (server->hv_self, local, &self->remote) < 0)
    self->remote = xds_ring_load (&self->page->evtchn_port);
  return ring_set_port (self, local);
}

static void
ring_notify (Ring *self)
{
  if (self->bound)
    self->server->hv->notify (self->server->hv_self, self->port);
}

/* --- a turn --- */

static void
ring_complain (Ring *self)
{
  gint64 now = g_get_monotonic_time ();

  if (self->last_warning != 0 && now - self->last_warning < WARNING_INTERVAL)
    return;
  self->last_warning = now;
  xds_loop_disturb (self->server->loop);
  g_warning ("domain %u wrote indices into its ring that cannot be right; it is not served until "
             "it asks for a fresh start",
             self->domid);
}

/* What the engine found wrong it has told of itself. */
static void
ring_die (Ring *self, guint error)
{
  if (error == XDS_RING_ERROR_RINGIDX)
    ring_complain (self);
  self->dead = TRUE;
  xds_peer_give_up (self->link.peer);
  xds_ring_store (&self->page->error, error);
  ring_notify (self);
}

/*
 * Both sides forget everything.  The indices are zeroed before `connection` is, since that store
 * is what allows the guest to touch the ring again.
 */
static void
ring_restart (Ring *self)
{
  self->dead = self->link.failed = FALSE;
  xds_peer_reset (self->link.peer);
  xds_ring_reset (self->page, &self->reader, &self->writer);
  xds_ring_store (&self->page->server_features, xds_peer_features (self->link.peer));
  xds_ring_store (&self->page->error, XDS_RING_ERROR_NONE);
  xds_ring_store (&self->page->connection, XDS_RING_CONNECTED);
  ring_notify (self);
}

/* Both return the number of bytes moved, -1 if the guest's index is wrong. */
static int
ring_fill (Ring *self)
{
  XdsSlate *slate = self->server->slate;
  guint8 *room;
  gsize len = xds_peer_input (self->link.peer, &room);
  int n;

  if (len == 0)
    return 0;
  xds_slate_next_in (slate, self->link.peer, room, len);
  n = xds_ring_copy_out (&self->reader, room, len);
  if (n <= 0)
    return n;
  xds_slate_came (slate, n, self->reader.index + n);
  xds_ring_publish (&self->reader, n);
  xds_peer_filled (self->link.peer, n);
  return n;
}

static int
ring_drain (Ring *self)
{
  XdsSlate *slate = self->server->slate;
  const guint8 *bytes;
  gsize len = xds_peer_output (self->link.peer, &bytes);
  int n;

  if (len == 0)
    return 0;
  xds_slate_next_out (slate, self->link.peer, bytes, len);
  n = xds_ring_copy_in (&self->writer, bytes, len);
  if (n == 0)
    xds_peer_drained (self->link.peer, 0); /* what the turn answers must be kept */
  if (n <= 0)
    return n;
  xds_slate_went (slate, n, self->writer.index + n);
  xds_ring_publish (&self->writer, n);
  xds_peer_drained (self->link.peer, n);
  return n;
}

/*
 * One exchange with the page.  TRUE if bytes moved, so that more might; *@ret_more tells that
 * requests are left because the peer had its share.
 */
static gboolean
ring_exchange (Ring *self, gboolean *ret_more)
{
  gboolean moved;
  int in, out;

  xds_slate_begin (self->server->slate, self->link.peer);
  in = ring_fill (self);
  moved = in > 0;
  *ret_more = in >= 0 && xds_link_serve (&self->link);
  if (self->page == NULL)
    return FALSE;
  if (self->link.failed)
    {
      ring_die (self, self->link.ring_error);
      return FALSE;
    }
  while ((out = in < 0 ? in : ring_drain (self)) > 0)
    moved = TRUE;
  if (out == 0)
    return moved;
  ring_die (self, XDS_RING_ERROR_RINGIDX);
  return FALSE;
}

/* What its own request gave up (see ring_free) must live until the turn is over. */
static void
ring_turn (XdsLoopItem *item, guint32 events G_GNUC_UNUSED)
{
  Ring *self = (Ring *) item;
  gboolean moved = FALSE, more = FALSE, again = TRUE;

  if (xds_ring_load (&self->page->connection) == XDS_RING_RECONNECT)
    ring_restart (self);
  for (guint i = 0; !self->dead && again && !more && i < EXCHANGES_MAX; i++)
    {
      again = ring_exchange (self, &more);
      xds_slate_end (self->server->slate);
      moved |= again;
    }
  if (self->page == NULL)
    {
      g_slice_free (Ring, self);
      return;
    }
  if (moved && !self->dead)
    ring_notify (self);
  if ((more || again) && !self->dead)
    xds_loop_ready (self->server->loop, item);
}

/* --- pending ports --- */

static void
port_pending (XdsRingServer *self, guint32 port)
{
  Ring *ring;

  if (self->has_changed_port && port == self->changed_port)
    {
      xds_loop_disturb (self->loop);
      self->changed (self->data);
      return;
    }
  ring = port < self->by_port->len ? self->by_port->pdata[port] : NULL;
  if (ring != NULL)
    xds_loop_ready (self->loop, &ring->link.item);
}

/* A descriptor that failed would be ready for ever. */
static void
give_up_events (XdsRingServer *self)
{
  xds_loop_disturb (self->loop);
  xds_loop_remove (self->loop, &self->item);
  g_critical ("event channels failed: no domain is served any more; start the daemon again, and "
              "look into the kernel's log");
}

/* More than a batch is left for the next turn: the descriptor stays readable. */
static void
events_turn (XdsLoopItem *item, guint32 events)
{
  XdsRingServer *self = (XdsRingServer *) item;
  guint32 ports[PORTS_BATCH];
  int n = self->hv->take_pending (self->hv_self, ports, PORTS_BATCH);

  if (n <= 0)
    {
      if (events & (EPOLLERR | EPOLLHUP))
        give_up_events (self);
      return;
    }
  self->hv->unmask (self->hv_self, ports, n);
  for (int i = 0; i < n; i++)
    port_pending (self, ports[i]);
}

/* --- a ring's life --- */

/* A request that a ring itself made can be what ends it: its turn then frees what is left. */
static void
ring_free (Ring *self)
{
  XdsRingServer *server = self->server;

  xds_loop_remove (server->loop, &self->link.item);
  ring_unbind (self);
  server->hv->unmap_ring (server->hv_self, self->domid, self->page);
  self->page = NULL;
  self->dead = TRUE;
  xds_peer_set_data (self->link.peer, NULL);
  if (self->next != NULL)
    self->next->prev = self->prev;
  *(self->prev != NULL ? &self->prev->next : &server->rings) = self->next;
  server->count--;
  if (!self->link.serving)
    g_slice_free (Ring, self);
}

/* What a guest wrote before it was introduced counts, unless it wants a fresh start. */
static void
ring_begin (Ring *self)
{
  xds_ring_server_ends (self->page, &self->reader, &self->writer);
  xds_ring_store (&self->page->server_features, xds_peer_features (self->link.peer));
  xds_ring_store (&self->page->error, XDS_RING_ERROR_NONE);
  xds_loop_ready (self->server->loop, &self->link.item);
}

/* @bind is ring_bind() or ring_keep(). */
static XdsStatus
ring_add (XdsRingServer *self, XdsPeer *peer, guint domid, guint port,
          XdsStatus (*bind) (Ring *ring, guint port))
{
  Ring *ring;
  void *page;
  XdsStatus status;
  int res = self->hv->map_ring (self->hv_self, domid, &page);

  if (res < 0)
    return XDS_EINVAL;
  ring = g_slice_new0 (Ring);
  xds_loop_item_init (&ring->link.item, ring_turn);
  ring->link.item.quiet = TRUE;
  ring->link.peer = peer;
  ring->server = self;
  ring->page = page;
  ring->domid = domid;
  ring->next = self->rings;
  if (ring->next != NULL)
    ring->next->prev = ring;
  self->rings = ring;
  self->count++;
  xds_peer_set_data (peer, ring);
  status = bind (ring, port);
  if (status != XDS_OK)
    ring_free (ring);
  return status == XDS_OK ? XDS_OK : XDS_EINVAL;
}

XdsStatus
xds_ring_server_connect (XdsRingServer *self, XdsPeer *peer, guint domid, guint port)
{
  XdsStatus status = ring_add (self, peer, domid, port, ring_bind);

  if (status == XDS_OK)
    ring_begin (xds_peer_get_data (peer));
  return status;
}

/* It goes on where it was: what the ring holds is neither read nor told yet. */
XdsStatus
xds_ring_server_resume (XdsRingServer *self, XdsPeer *peer, guint domid, guint port, gboolean bound)
{
  XdsStatus status = ring_add (self, peer, domid, port, bound ? ring_keep : ring_bind);
  Ring *ring = xds_peer_get_data (peer);

  if (status != XDS_OK)
    return status;
  xds_ring_server_ends (ring->page, &ring->reader, &ring->writer);
  ring->dead = xds_peer_failed (peer);
  xds_loop_ready (self->loop, &ring->link.item);
  ring_notify (ring);
  return XDS_OK;
}

guint32
xds_ring_server_port (XdsRingServer *self, XdsPeer *peer)
{
  const Ring *ring = xds_peer_get_data (peer);

  return self->left ? ring->port : ring->remote;
}

/* The new index may have been told or not. */
void
xds_ring_server_tell_again (XdsRingServer *self G_GNUC_UNUSED, XdsPeer *peer, const XdsSlate *slate)
{
  Ring *ring = xds_peer_get_data (peer);

  if (slate->rx.msg_len != XDS_SLATE_NONE)
    xds_ring_store (&ring->page->req_cons, slate->req_cons);
  if (slate->tx.msg_len != XDS_SLATE_NONE)
    xds_ring_store (&ring->page->rsp_prod, slate->rsp_prod);
  xds_ring_server_ends (ring->page, &ring->reader, &ring->writer);
  ring_notify (ring);
}

XdsStatus
xds_ring_server_reconnect (XdsRingServer *self, XdsPeer *peer, guint port)
{
  Ring *ring = xds_peer_get_data (peer);

  if (ring == NULL) /* it could not be reached when we took over */
    return xds_ring_server_connect (self, peer, xds_peer_domid (peer), port);
  if (ring_bind (ring, port) != XDS_OK)
    {
      ring_die (ring, XDS_RING_ERROR_COMM);
      return XDS_EINVAL;
    }
  ring_restart (ring);
  xds_loop_ready (ring->server->loop, &ring->link.item);
  return XDS_OK;
}

void
xds_ring_server_disconnect (XdsRingServer *self G_GNUC_UNUSED, XdsPeer *peer)
{
  Ring *ring = xds_peer_get_data (peer);

  if (ring != NULL)
    ring_free (ring);
}

/* --- the server's life --- */

/* Domain 0's kernel, or that of whichever domain we serve from; without one it stays out. */
void
xds_ring_server_connect_own (XdsRingServer *self)
{
  guint32 domid, port;
  XdsPeer *peer;

  if (self->hv->own_ring == NULL || self->hv->own_ring (self->hv_self, &domid, &port) < 0)
    return;
  peer = xds_engine_add_domain_peer (self->engine, domid);
  if (xds_ring_server_connect (self, peer, domid, port) == XDS_OK)
    return;
  g_warning ("domain %u's own kernel cannot be served: its ring page cannot be mapped, or its "
             "port %u not bound; is another xenstore server running?",
             domid, port);
  xds_engine_remove_peer (self->engine, peer);
}

XdsRingServer *
xds_ring_server_new (XdsLoop *loop, XdsEngine *engine, XdsSlate *slate, const XdsHypervisorV1 *hv,
                     void *hv_self, GSourceFunc changed, void *data, GError **error)
{
  g_autoptr (XdsRingServer) self = g_new0 (XdsRingServer, 1);
  int fd = hv->event_fd (hv_self);
  int res;

  self->loop = loop;
  self->engine = engine;
  self->slate = slate;
  self->hv = hv;
  self->hv_self = hv_self;
  self->changed = changed;
  self->data = data;
  self->by_port = g_ptr_array_new ();
  xds_loop_item_init (&self->item, events_turn);
  if (fd < 0)
    {
      xds_fail (error, -fd, "hypervisor plugin %s has no event channels", hv->name);
      return NULL;
    }
  if (!xds_loop_add (loop, &self->item, fd, EPOLLIN, events_turn, error))
    return NULL;
  self->item.quiet = TRUE;
  res = hv->bind_domain_exception (hv_self, &self->changed_port);
  self->has_changed_port = res >= 0;
  if (res < 0)
    {
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (-res),
                   "the hypervisor does not tell us when domains change: %s; if another xenstore "
                   "server runs on this host, stop it first",
                   g_strerror (-res));
      return NULL;
    }
  return g_steal_pointer (&self);
}

int
xds_ring_server_leave (XdsRingServer *self)
{
  int fd = self->hv->leave_channels (self->hv_self);

  self->left = fd >= 0;
  return fd;
}

void
xds_ring_server_deafen (XdsRingServer *self)
{
  if (self->has_changed_port)
    self->hv->unbind_port (self->hv_self, self->changed_port);
  self->has_changed_port = FALSE;
}

void
xds_ring_server_free (XdsRingServer *self)
{
  if (self == NULL)
    return;
  while (self->rings != NULL)
    ring_free (self->rings);
  xds_ring_server_deafen (self);
  xds_loop_remove (self->loop, &self->item);
  g_ptr_array_unref (self->by_port);
  g_free (self);
}

guint
xds_ring_server_count (const XdsRingServer *self)
{
  return self->count;
}
