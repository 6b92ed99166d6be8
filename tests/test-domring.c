/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Rings over a hypervisor that is all in this file: what a turn costs in notifications, and what a
 * guest may do to its page without harm to anybody else.
 */

#include "tests/guest-ring.h"
#include "xsd/transport/domring.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PORTS 16
#define CHANGED_PORT 1u

/* Remote port P of domain D is bound as local port D, so that a test can tell who is meant. */
typedef struct
{
  XdsRingPage pages[PORTS];
  guint mapped[PORTS];
  guint remote[PORTS]; /* 0: not bound */
  guint notified[PORTS];
  gboolean pending[PORTS], masked[PORTS];
  int fd;
  int other_end; /* of a pipe that stands in for a device that can fail; else -1 */
  int bind_error;
} Machine;

typedef struct
{
  Machine machine;
  GMainContext *context;
  XdsLoop *loop;
  XdsHost host;
  XdsEngine *engine;
  XdsSlate slate;
  XdsRingServer *server;
  guint n_changed;
} Fixture;

static guint n_warnings;

/* --- the machine --- */

static int
map_ring (void *self, uint32_t domid, void **ret_page)
{
  Machine *machine = self;

  if (domid >= PORTS)
    return -ENOENT;
  machine->mapped[domid]++;
  *ret_page = &machine->pages[domid];
  return 0;
}

static void
unmap_ring (void *self, uint32_t domid, void *page)
{
  Machine *machine = self;

  g_assert_true (page == &machine->pages[domid]);
  machine->mapped[domid]--;
}

static int
bind_port (void *self, uint32_t domid, uint32_t remote, uint32_t *ret_port)
{
  Machine *machine = self;

  if (machine->bind_error != 0)
    return machine->bind_error;
  g_assert_cmpuint (machine->remote[domid], ==, 0);
  machine->remote[domid] = remote;
  *ret_port = domid;
  return 0;
}

static int
bind_domain_exception (void *self, uint32_t *ret_port)
{
  *ret_port = CHANGED_PORT;
  return 0;
}

static void
unbind_port (void *self, uint32_t port)
{
  ((Machine *) self)->remote[port] = 0;
}

static int
notify (void *self, uint32_t port)
{
  Machine *machine = self;

  if (machine->remote[port] == 0)
    return -EINVAL;
  machine->notified[port]++;
  return 0;
}

static int
event_fd (void *self)
{
  return ((Machine *) self)->fd;
}

static int
take_pending (void *self, uint32_t *ret_ports, size_t max)
{
  Machine *machine = self;
  eventfd_t value;
  size_t n = 0;

  eventfd_read (machine->fd, &value);
  for (guint port = 0; port < PORTS && n < max; port++)
    if (machine->pending[port] && !machine->masked[port])
      {
        machine->pending[port] = FALSE;
        machine->masked[port] = TRUE;
        ret_ports[n++] = port;
      }
  return n;
}

static int
unmask (void *self, const uint32_t *ports, size_t n)
{
  for (size_t i = 0; i < n; i++)
    ((Machine *) self)->masked[ports[i]] = FALSE;
  return 0;
}

static int
leave_channels (void *self)
{
  return ((Machine *) self)->fd;
}

static int
remote_port (void *self, uint32_t port, uint32_t *ret_remote)
{
  *ret_remote = ((Machine *) self)->remote[port];
  return 0;
}

static const XdsHypervisorV1 plugin = {
  .abi = XDS_HYPERVISOR_ABI_V1,
  .size = sizeof (XdsHypervisorV1),
  .name = "dummy",
  .map_ring = map_ring,
  .unmap_ring = unmap_ring,
  .bind_port = bind_port,
  .bind_domain_exception = bind_domain_exception,
  .unbind_port = unbind_port,
  .notify = notify,
  .event_fd = event_fd,
  .take_pending = take_pending,
  .unmask = unmask,
  .leave_channels = leave_channels,
  .remote_port = remote_port,
};

static void
raise_port (Fixture *f, guint port)
{
  f->machine.pending[port] = TRUE;
  eventfd_write (f->machine.fd, 1);
}

/* --- host and fixture --- */

static void
peer_ready (void *data, XdsPeer *peer)
{
  xds_link_ready (((Fixture *) data)->loop, xds_peer_get_data (peer));
}

static void
peer_failed (void *data, XdsPeer *peer, guint ring_error)
{
  xds_link_failed (((Fixture *) data)->loop, xds_peer_get_data (peer), ring_error);
}

static gboolean
changed (gpointer data)
{
  ((Fixture *) data)->n_changed++;
  return G_SOURCE_CONTINUE;
}

static void
set_up (Fixture *f, gconstpointer device)
{
  g_autoptr (GError) error = NULL;
  int fds[2] = { -1, -1 };

  if (device != NULL)
    g_assert_cmpint (pipe2 (fds, O_CLOEXEC | O_NONBLOCK), ==, 0);
  else
    fds[0] = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  f->machine.fd = fds[0];
  f->machine.other_end = fds[1];
  f->context = g_main_context_new ();
  f->loop = xds_loop_new (f->context, &error);
  g_assert_no_error (error);
  f->host = (XdsHost){ .peer_ready = peer_ready, .peer_failed = peer_failed };
  f->engine = xds_engine_new (&f->host, f);
  f->server = xds_ring_server_new (f->loop, f->engine, &f->slate, &plugin, &f->machine,
                                   changed, f, &error);
  g_assert_no_error (error);
}

/* Nothing stays mapped or bound. */
static void
tear_down (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  xds_ring_server_free (f->server);
  for (guint i = 0; i < PORTS; i++)
    {
      g_assert_cmpuint (f->machine.mapped[i], ==, 0);
      g_assert_cmpuint (f->machine.remote[i], ==, 0);
    }
  xds_engine_free (f->engine);
  xds_loop_free (f->loop);
  g_main_context_unref (f->context);
  close (f->machine.fd);
}

static void
settle (Fixture *f)
{
  while (g_main_context_iteration (f->context, FALSE))
    ;
}

typedef struct
{
  Fixture *f;
  guint domid;
} Signal;

static void
signal_server (void *data)
{
  Signal *self = data;

  raise_port (self->f, self->domid);
}

static XdsPeer *
connect_domain (Fixture *f, guint domid)
{
  XdsPeer *peer = xds_engine_add_domain_peer (f->engine, domid);

  g_assert_cmpint (xds_ring_server_connect (f->server, peer, domid, 7), ==, XDS_OK);
  settle (f);
  f->machine.notified[domid] = 0;
  return peer;
}

/* Sends GET_DOMAIN_PATH, which anybody may, and checks the answer. */
static void
assert_served (Fixture *f, XdsGuestRing *ring)
{
  g_autofree XdsGuestMsg *msg = NULL;

  xds_guest_ring_send (ring, XDS_OP_GET_DOMAIN_PATH, 0, "3", 2);
  settle (f);
  xds_guest_ring_pump (ring);
  msg = xds_guest_ring_next (ring);
  g_assert_nonnull (msg);
  g_assert_cmpstr (msg->payload, ==, "/local/domain/3");
}

/* --- tests --- */

/* A burst of requests is answered in one turn, with one notification. */
static void
test_one_notification (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  Signal sig = { f, 3 };
  g_autoptr (XdsGuestRing) ring = NULL;

  connect_domain (f, 3);
  ring = xds_guest_ring_new (&f->machine.pages[3], signal_server, &sig);
  for (guint i = 0; i < 16; i++)
    xds_guest_ring_send (ring, XDS_OP_GET_DOMAIN_PATH, 0, "3", 2);
  settle (f);
  g_assert_cmpuint (f->machine.notified[3], ==, 1);
  xds_guest_ring_pump (ring);
  for (guint i = 0; i < 16; i++)
    {
      g_autofree XdsGuestMsg *msg = xds_guest_ring_next (ring);

      g_assert_nonnull (msg);
    }
}

/* An event without anything in the ring costs no notification. */
static void
test_nothing_new (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  connect_domain (f, 3);
  raise_port (f, 3);
  settle (f);
  g_assert_cmpuint (f->machine.notified[3], ==, 0);
}

/* A port that was never bound, and the one that tells of domains, lead where they should. */
static void
test_ports (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  raise_port (f, 9);
  raise_port (f, CHANGED_PORT);
  settle (f);
  g_assert_cmpuint (f->n_changed, ==, 1);
}

/* The port that stands in the page wins over the one that a tool names. */
static void
test_port_in_page (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  connect_domain (f, 3);
  g_assert_cmpuint (f->machine.remote[3], ==, 7);
  f->machine.pages[4].evtchn_port = 12;
  connect_domain (f, 4);
  g_assert_cmpuint (f->machine.remote[4], ==, 12);
}

/* A port that cannot be bound leaves nothing behind. */
static void
test_bind_fails (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  XdsPeer *peer = xds_engine_add_domain_peer (f->engine, 3);

  f->machine.bind_error = -EINVAL;
  g_assert_cmpint (xds_ring_server_connect (f->server, peer, 3, 7), ==, XDS_EINVAL);
  g_assert_cmpuint (f->machine.mapped[3], ==, 0);
  g_assert_cmpuint (xds_ring_server_count (f->server), ==, 0);
  g_assert_null (xds_peer_get_data (peer));
}

/* At an INTRODUCE again that cannot bind the port, the ring is dead and says why; a later one that
   can mends it. */
static void
test_rebind_fails (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  Signal sig = { f, 3 };
  XdsPeer *peer = connect_domain (f, 3);
  g_autoptr (XdsGuestRing) ring = NULL;

  f->machine.bind_error = -EINVAL;
  g_assert_cmpint (xds_ring_server_reconnect (f->server, peer, 8), ==, XDS_EINVAL);
  g_assert_cmpuint (f->machine.pages[3].error, ==, XDS_RING_ERROR_COMM);
  f->machine.bind_error = 0;
  g_assert_cmpint (xds_ring_server_reconnect (f->server, peer, 8), ==, XDS_OK);
  g_assert_cmpuint (f->machine.pages[3].error, ==, XDS_RING_ERROR_NONE);
  ring = xds_guest_ring_new (&f->machine.pages[3], signal_server, &sig);
  assert_served (f, ring);
}

/* Any distance between the indices that is more than a ring kills this ring, tells why, touches
   nothing else, and goes away by a reconnection.  The log is told once, not each time. */
static void
test_wrong_indices (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  static const guint32 distances[] = { 1025, 5000, 0x7fffffff, 0x80000000, 0xffffffff };
  guint before = n_warnings;
  Signal sig = { f, 3 }, other_sig = { f, 4 };
  g_autoptr (XdsGuestRing) ring = NULL, other = NULL;
  XdsRingPage *page = &f->machine.pages[3];

  connect_domain (f, 3);
  connect_domain (f, 4);
  other = xds_guest_ring_new (&f->machine.pages[4], signal_server, &other_sig);
  for (guint i = 0; i < G_N_ELEMENTS (distances); i++)
    {
      g_clear_pointer (&ring, xds_guest_ring_free);
      page->req_prod = page->req_cons + distances[i];
      raise_port (f, 3);
      settle (f);
      g_assert_cmpuint (page->error, ==, XDS_RING_ERROR_RINGIDX);
      assert_served (f, other);
      page->connection = XDS_RING_RECONNECT;
      raise_port (f, 3);
      settle (f);
      g_assert_cmpuint (page->connection, ==, XDS_RING_CONNECTED);
      g_assert_cmpuint (page->error, ==, XDS_RING_ERROR_NONE);
      ring = xds_guest_ring_new (page, signal_server, &sig);
      assert_served (f, ring);
    }
  g_assert_cmpuint (n_warnings - before, ==, 1);
}

/* The other direction's index is looked at as well, when there is something to send. */
static void
test_wrong_consumer (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  Signal sig = { f, 3 };
  g_autoptr (XdsGuestRing) ring = NULL;
  XdsRingPage *page = &f->machine.pages[3];

  connect_domain (f, 3);
  page->rsp_cons = page->rsp_prod + 1;
  ring = xds_guest_ring_new (page, signal_server, &sig);
  xds_guest_ring_send (ring, XDS_OP_GET_DOMAIN_PATH, 0, "3", 2);
  settle (f);
  g_assert_cmpuint (page->error, ==, XDS_RING_ERROR_RINGIDX);
}

/* A packet that is too long is a broken protocol. */
static void
test_too_long (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  static const XdsMsgHeader header = { .type = XDS_OP_READ, .len = XDS_PAYLOAD_MAX + 1 };
  Signal sig = { f, 3 };
  g_autoptr (XdsGuestRing) ring = NULL;

  connect_domain (f, 3);
  ring = xds_guest_ring_new (&f->machine.pages[3], signal_server, &sig);
  xds_guest_ring_send_bytes (ring, &header, sizeof header);
  settle (f);
  g_assert_cmpuint (f->machine.pages[3].error, ==, XDS_RING_ERROR_PROTO);
}

/* A reconnection forgets what was half there, in both directions. */
static void
test_reconnect_forgets (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  Signal sig = { f, 3 };
  g_autoptr (XdsGuestRing) ring = NULL;
  XdsRingPage *page = &f->machine.pages[3];

  connect_domain (f, 3);
  ring = xds_guest_ring_new (page, signal_server, &sig);
  for (guint i = 0; i < 5; i++)
    xds_guest_ring_send (ring, XDS_OP_GET_DOMAIN_PATH, 0, "3", 2);
  xds_guest_ring_send_bytes (ring, "half a header", 10);
  settle (f);
  page->connection = XDS_RING_RECONNECT;
  raise_port (f, 3);
  settle (f);
  g_assert_cmpuint (page->req_prod | page->req_cons | page->rsp_prod | page->rsp_cons, ==, 0);
  g_clear_pointer (&ring, xds_guest_ring_free);
  ring = xds_guest_ring_new (page, signal_server, &sig);
  assert_served (f, ring);
}

/* What the page wants from the start (a guest that was built with it) is granted. */
static void
test_reconnect_preset (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  XdsRingPage *page = &f->machine.pages[3];

  page->connection = XDS_RING_RECONNECT;
  page->req_prod = 77;
  xds_ring_server_connect (f->server, xds_engine_add_domain_peer (f->engine, 3), 3, 7);
  settle (f);
  g_assert_cmpuint (page->connection, ==, XDS_RING_CONNECTED);
  g_assert_cmpuint (page->req_prod, ==, 0);
  g_assert_cmpuint (f->machine.notified[3], ==, 1);
}

/* What a guest writes over the words that are ours has no effect but on what it sees. */
static void
test_scribbling (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  Signal sig = { f, 3 };
  g_autoptr (XdsGuestRing) ring = NULL;
  XdsRingPage *page = &f->machine.pages[3];

  connect_domain (f, 3);
  ring = xds_guest_ring_new (page, signal_server, &sig);
  page->server_features = 0xffffffff;
  page->error = 99;
  page->connection = 2;
  page->evtchn_port = 5;
  assert_served (f, ring);
}

/* A guest that takes no answers is not read on, and goes on where it was when it does. */
static void
test_back_pressure (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  Signal sig = { f, 3 };
  g_autoptr (XdsGuestRing) ring = NULL;
  guint n = 0;

  connect_domain (f, 3);
  ring = xds_guest_ring_new (&f->machine.pages[3], signal_server, &sig);
  xds_guest_ring_set_deaf (ring, TRUE);
  for (guint i = 0; i < 2000; i++)
    xds_guest_ring_send (ring, XDS_OP_GET_DOMAIN_PATH, 0, "3", 2);
  settle (f);
  xds_guest_ring_pump (ring);
  g_assert_cmpuint (xds_guest_ring_unsent (ring), >, 0);
  xds_guest_ring_set_deaf (ring, FALSE);
  for (guint quiet = 0; quiet < 2;)
    {
      g_autofree XdsGuestMsg *msg = NULL;

      settle (f);
      xds_guest_ring_pump (ring);
      msg = xds_guest_ring_next (ring);
      quiet = msg != NULL ? 0 : quiet + 1;
      n += msg != NULL;
    }
  g_assert_cmpuint (n, ==, 2000);
}

/* A domain that is given up is not served any more, and its port leads nowhere. */
static void
test_disconnect (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  XdsPeer *peer = connect_domain (f, 3);

  raise_port (f, 3);
  xds_ring_server_disconnect (f->server, peer);
  xds_ring_server_disconnect (f->server, peer);
  settle (f);
  g_assert_cmpuint (xds_ring_server_count (f->server), ==, 0);
  g_assert_cmpuint (f->machine.mapped[3], ==, 0);
}

/* A device of event channels that failed is told of once, and costs no turns. */
static void
test_events_fail (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  guint before = n_warnings;

  connect_domain (f, 3);
  g_assert_cmpint (close (f->machine.other_end), ==, 0);
  settle (f);
  settle (f);
  g_assert_cmpuint (n_warnings - before, ==, 1);
}

static GLogWriterOutput
count_warning (GLogLevelFlags level, const GLogField *fields G_GNUC_UNUSED,
               gsize n_fields G_GNUC_UNUSED, gpointer data G_GNUC_UNUSED)
{
  n_warnings += (level & (G_LOG_LEVEL_WARNING | G_LOG_LEVEL_CRITICAL)) != 0;
  return G_LOG_WRITER_HANDLED;
}

/* A ring whose port was left bound goes on at that very port, though it was told of and never
   unmasked; of one that is not bound any more the domain is given up. */
static void
test_kept_port (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  XdsPeer *peer = xds_engine_add_domain_peer (f->engine, 3);
  Signal sig = { f, 3 };
  g_autoptr (XdsGuestRing) ring = NULL;

  f->machine.remote[3] = 7; /* as whoever served before had bound it */
  f->machine.masked[3] = TRUE;
  g_assert_cmpint (xds_ring_server_resume (f->server, peer, 3, 3, TRUE), ==, XDS_OK);
  settle (f);
  g_assert_cmpuint (f->machine.notified[3], >, 0);
  g_assert_cmpuint (xds_ring_server_port (f->server, peer), ==, 7); /* known from the plugin */
  ring = xds_guest_ring_new (&f->machine.pages[3], signal_server, &sig);
  assert_served (f, ring);
  g_assert_cmpint (xds_ring_server_leave (f->server), ==, f->machine.fd);
  g_assert_cmpuint (xds_ring_server_port (f->server, peer), ==, 3);
  peer = xds_engine_add_domain_peer (f->engine, 4);
  g_assert_cmpint (xds_ring_server_resume (f->server, peer, 4, 4, TRUE), ==, XDS_EINVAL);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_writer_func (count_warning, NULL, NULL);
#define TEST(name) g_test_add ("/domring/" #name, Fixture, NULL, set_up, test_##name, tear_down)
  TEST (one_notification);
  TEST (nothing_new);
  TEST (ports);
  TEST (port_in_page);
  TEST (bind_fails);
  TEST (rebind_fails);
  TEST (wrong_indices);
  TEST (wrong_consumer);
  TEST (too_long);
  TEST (reconnect_forgets);
  TEST (reconnect_preset);
  TEST (scribbling);
  TEST (back_pressure);
  TEST (disconnect);
  TEST (kept_port);
  g_test_add ("/domring/events_fail", Fixture, "device", set_up, test_events_fail, tear_down);
  return g_test_run ();
}
