/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Fuzz target: two guests that write whatever they like into their pages, served by the real
 * transport on a hypervisor of our own.
 *
 * Pages change between looks at them and in the middle of a turn: an act of the input is taken
 * after each request that the engine executes, which is after bytes came out of the page and
 * before answers go in.  Whatever they do, a third party on a socket is answered, the engine's
 * invariants hold, and a guest that asks for a fresh start gets a ring that works.
 */

#include "tests/fuzz.h"
#include "xsd/core/engine.h"
#include "xsd/transport/domring.h"
#include "xsd/wire/msg.h"
#include "xsd/wire/op-number.h"
#include "xsd/wire/ring.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define GUESTS 2
#define PORT_CHANGED 1
#define PORT_GUEST 2 /* of domain 1; the next one's is the next */

typedef struct
{
  XdsRingPage page;
  guint8 rest[4096 - sizeof (XdsRingPage)];
} Page;

typedef struct
{
  XdsFuzzInput input;
  Page pages[GUESTS];
  gboolean pending[PORT_GUEST + GUESTS];
  int event_fd;
  GMainContext *context;
  XdsLoop *loop;
  XdsEngine *engine;
  XdsSlate slate;
  XdsRingServer *server;
  XdsPeer *socket;
} Play;

/* --- the hypervisor --- */

static int
hv_map_ring (void *self, uint32_t domid, void **ret_page)
{
  Play *play = self;

  if (domid < 1 || domid > GUESTS)
    return -ESRCH;
  *ret_page = &play->pages[domid - 1];
  return 0;
}

static void
hv_unmap_ring (void *self, uint32_t domid, void *page)
{
  g_assert_true (page == &((Play *) self)->pages[domid - 1]);
}

static int
hv_bind_port (void *self, uint32_t domid, uint32_t remote_port, uint32_t *ret_port)
{
  (void) self;
  if (remote_port > 1000)
    return -EINVAL;
  *ret_port = PORT_GUEST + domid - 1;
  return 0;
}

static int
hv_bind_domain_exception (void *self, uint32_t *ret_port)
{
  (void) self;
  *ret_port = PORT_CHANGED;
  return 0;
}

static void
hv_unbind_port (void *self, uint32_t port)
{
  ((Play *) self)->pending[port] = FALSE;
}

static int
hv_notify (void *self, uint32_t port)
{
  (void) self;
  (void) port;
  return 0;
}

static int
hv_event_fd (void *self)
{
  return ((Play *) self)->event_fd;
}

static int
hv_take_pending (void *self, uint32_t *ret_ports, size_t max)
{
  Play *play = self;
  eventfd_t count;
  size_t n = 0;

  eventfd_read (play->event_fd, &count);
  for (uint32_t port = 0; port < G_N_ELEMENTS (play->pending) && n < max; port++)
    if (play->pending[port])
      {
        play->pending[port] = FALSE;
        ret_ports[n++] = port;
      }
  return n;
}

static int
hv_unmask (void *self, const uint32_t *ports, size_t n)
{
  (void) self;
  (void) ports;
  (void) n;
  return 0;
}

static const XdsHypervisorV1 hv = {
  .abi = XDS_HYPERVISOR_ABI_V1,
  .size = sizeof (XdsHypervisorV1),
  .name = "fuzz",
  .map_ring = hv_map_ring,
  .unmap_ring = hv_unmap_ring,
  .bind_port = hv_bind_port,
  .bind_domain_exception = hv_bind_domain_exception,
  .unbind_port = hv_unbind_port,
  .notify = hv_notify,
  .event_fd = hv_event_fd,
  .take_pending = hv_take_pending,
  .unmask = hv_unmask,
};

/* --- what guests do --- */

static void
ring_the_bell (Play *play, guint guest)
{
  play->pending[PORT_GUEST + guest] = TRUE;
  eventfd_write (play->event_fd, 1);
}

/* A request as an honest guest would put it there, with a length that may lie. */
static void
put_request (Play *play, Page *page)
{
  XdsRingEnd reader, writer;
  XdsMsgHeader header = { 0 };
  gsize len = xds_fuzz_byte (&play->input) % 64;
  guint how;
  const guint8 *payload;

  header.type = xds_fuzz_byte (&play->input) % 32;
  how = xds_fuzz_byte (&play->input);
  header.tx_id = how % 4;
  payload = xds_fuzz_bytes (&play->input, &len);
  header.len = how < 240 ? len : how << (how % 16);
  xds_ring_guest_ends (&page->page, &reader, &writer);
  xds_ring_write (&writer, &header, sizeof header);
  if (len > 0)
    xds_ring_write (&writer, payload, len);
}

/* Any word of the page becomes anything, or nearly what it was. */
static void
put_word (Play *play, Page *page)
{
  uint32_t *words = &page->page.req_cons;
  guint which = xds_fuzz_byte (&play->input) % 8, how = xds_fuzz_byte (&play->input);
  uint32_t value = 0;

  if (how < 128)
    value = words[which] + (how % 16) - 8;
  else
    for (guint i = 0; i < 4; i++)
      value = value << 8 | xds_fuzz_byte (&play->input);
  xds_ring_store (&words[which], value);
}

static void
put_bytes (Play *play, Page *page)
{
  gsize at = xds_fuzz_byte (&play->input) * 8, len = xds_fuzz_byte (&play->input);
  const guint8 *bytes = xds_fuzz_bytes (&play->input, &len);

  if (len > 0)
    memcpy ((guint8 *) page + at, bytes, MIN (len, 2 * XDS_RING_SIZE - at));
}

static void
act (Play *play)
{
  guint what = xds_fuzz_byte (&play->input), guest = what >> 4 & 1;
  Page *page = &play->pages[guest];

  switch (what % 8)
    {
    case 0:
    case 1:
    case 2:
      put_request (play, page);
      break;
    case 3:
      put_word (play, page);
      break;
    case 4:
      put_bytes (play, page);
      break;
    case 5:
      page->page.rsp_cons = page->page.rsp_prod;
      break;
    case 6:
      page->page.connection = XDS_RING_RECONNECT;
      break;
    default:
      break;
    }
  if (what & 32)
    ring_the_bell (play, guest);
}

/* --- the engine's host --- */

static void
peer_ready (void *data, XdsPeer *peer)
{
  Play *play = data;

  if (peer != play->socket)
    xds_link_ready (play->loop, xds_peer_get_data (peer));
}

static void
peer_failed (void *data, XdsPeer *peer, guint ring_error)
{
  Play *play = data;

  g_assert_true (peer != play->socket);
  xds_link_failed (play->loop, xds_peer_get_data (peer), ring_error);
}

static XdsStatus
domain_connect (void *data, XdsPeer *peer, guint domid, guint64 gfn, guint port)
{
  (void) gfn;
  return xds_ring_server_connect (((Play *) data)->server, peer, domid, port);
}

static XdsStatus
domain_reconnect (void *data, XdsPeer *peer, guint domid, guint port)
{
  (void) domid;
  return xds_ring_server_reconnect (((Play *) data)->server, peer, port);
}

static void
domain_disconnect (void *data, XdsPeer *peer, guint domid)
{
  (void) domid;
  xds_ring_server_disconnect (((Play *) data)->server, peer);
}

/* In the middle of a turn. */
static void
trace (void *data, const XdsTrace *trace)
{
  Play *play = data;

  if (!trace->is_event && trace->peer != play->socket && play->input.len > 0)
    act (play);
}

static const XdsHost host = {
  .peer_ready = peer_ready,
  .peer_failed = peer_failed,
  .domain_connect = domain_connect,
  .domain_reconnect = domain_reconnect,
  .domain_disconnect = domain_disconnect,
  .trace = trace,
};

/* --- a play --- */

static gboolean
nothing_changed (gpointer data)
{
  (void) data;
  return G_SOURCE_CONTINUE;
}

static GLogWriterOutput
quiet (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  (void) level;
  (void) fields;
  (void) n_fields;
  (void) data;
  return G_LOG_WRITER_HANDLED;
}

/* Of the socket: the type of the answer to a request. */
static guint
ask (Play *play, guint type, const void *payload, gsize len)
{
  XdsMsgHeader header = { type, 0, 0, len };
  const guint8 *bytes;
  guint8 *room;
  gsize n;

  g_assert_cmpuint (xds_peer_input (play->socket, &room), >=, sizeof header + len);
  memcpy (room, &header, sizeof header);
  memcpy (room + sizeof header, payload, len);
  xds_peer_filled (play->socket, sizeof header + len);
  xds_peer_serve (play->socket, 1);
  n = xds_peer_output (play->socket, &bytes);
  g_assert_cmpint (xds_msg_peek (bytes, n, &header), ==, XDS_MSG_WHOLE);
  xds_peer_drained (play->socket, n);
  return header.type;
}

static void
turn (Play *play)
{
  for (guint i = 0; i < 8; i++)
    g_main_context_iteration (play->context, FALSE);
}

/* The fresh start: after it the guest is answered, whatever it did before. */
static void
recover (Play *play, guint guest)
{
  Page *page = &play->pages[guest];
  XdsMsgHeader header = { XDS_OP_GET_DOMAIN_PATH, 1, 0, 2 };
  XdsRingEnd reader, writer;

  page->page.connection = XDS_RING_RECONNECT;
  ring_the_bell (play, guest);
  turn (play);
  g_assert_cmpuint (page->page.connection, ==, XDS_RING_CONNECTED);
  g_assert_cmpuint (page->page.error, ==, XDS_RING_ERROR_NONE);
  xds_ring_guest_ends (&page->page, &reader, &writer);
  g_assert_cmpint (xds_ring_write (&writer, &header, sizeof header), ==, sizeof header);
  g_assert_cmpint (xds_ring_write (&writer, "7", 2), ==, 2);
  ring_the_bell (play, guest);
  turn (play);
  g_assert_cmpint (xds_ring_read (&reader, &header, sizeof header), ==, sizeof header);
  g_assert_cmpuint (header.type, ==, XDS_OP_GET_DOMAIN_PATH);
  g_assert_cmpuint (header.len, ==, sizeof "/local/domain/7");
}

static void
begin (Play *play)
{
  static const XdsSocketIdentity identity = { 1, 0, 0 };
  static gboolean is_quiet;

  if (!is_quiet)
    g_log_set_writer_func (quiet, NULL, NULL);
  is_quiet = TRUE;
  play->event_fd = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
  play->context = g_main_context_new ();
  play->loop = xds_loop_new (play->context, NULL);
  play->engine = xds_engine_new (&host, play);
  play->server
      = xds_ring_server_new (play->loop, play->engine, &play->slate, &hv, play, nothing_changed,
                             play, NULL);
  play->socket = xds_engine_add_socket_peer (play->engine, &identity);
  for (guint guest = 0; guest < GUESTS; guest++)
    {
      char payload[16];
      gsize len = g_snprintf (payload, sizeof payload, "%u%c1%c5", guest + 1, 0, 0) + 1;

      g_assert_cmpuint (ask (play, XDS_OP_INTRODUCE, payload, len), ==, XDS_OP_INTRODUCE);
    }
}

static void
end (Play *play)
{
  g_autofree char *broken = xds_engine_check (play->engine);

  if (broken != NULL)
    g_error ("%s", broken);
  xds_ring_server_free (play->server);
  xds_engine_free (play->engine);
  xds_loop_free (play->loop);
  g_main_context_unref (play->context);
  close (play->event_fd);
}

static int
play_once (Play *play)
{
  begin (play);
  while (play->input.len > 0)
    {
      act (play);
      g_main_context_iteration (play->context, FALSE);
      g_assert_cmpuint (ask (play, XDS_OP_DIRECTORY, "/", 2), ==, XDS_OP_DIRECTORY);
    }
  turn (play);
  for (guint guest = 0; guest < GUESTS; guest++)
    recover (play, guest);
  end (play);
  return 0;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree Play *play = g_new0 (Play, 1);

  play->input = (XdsFuzzInput){ data, size };
  return play_once (play);
}
