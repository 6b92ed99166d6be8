/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The plugin for a real Xen over the stand-in for the Xen libraries (tests/peers).  The stand-in
 * is linked into this program, whose symbols the plugin finds before those of the libraries.
 */

#include "config.h"

#include "tests/peers/fakexen.h"
#include "xsd/hypervisor/hypervisor.h"

#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define HUB 1
#define MANY 200
#define CROWD 32000

typedef struct
{
  struct fx fx; /* the guests' side of the pretend hypervisor */
  int hub;      /* where events for guests arrive */
  void *self;
} Fixture;

static char *world_dir;
static const XdsHypervisorV1 *xen;

/* The plugin has no reason to log anything in these tests. */
static void
refuse_log (void *data, int priority, const char *text)
{
  g_error ("unexpected log of priority %d: %s", priority, text);
}

static void *
open_plugin (void)
{
  g_autofree char *why = NULL;
  void *self = NULL;

  if (xds_hypervisor_open (xen, NULL, refuse_log, NULL, &self, &why) != 0)
    g_error ("%s", why);
  return self;
}

static void
set_up (Fixture *fixture, gconstpointer unused)
{
  g_assert_cmpint (fx_open (&fixture->fx, world_dir), ==, 0);
  fx_reset (&fixture->fx);
  fixture->hub = fx_hub_open (&fixture->fx, HUB);
  fixture->self = open_plugin ();
}

static void
tear_down (Fixture *fixture, gconstpointer unused)
{
  xen->close (fixture->self);
  fx_close (&fixture->fx);
}

static guint64
calls (Fixture *fixture, enum fx_count what)
{
  return fixture->fx.st->count[what];
}

static gboolean
is_readable (int fd)
{
  struct pollfd pfd = { .fd = fd, .events = POLLIN };

  return poll (&pfd, 1, 0) == 1;
}

static XdsDomainV1
domain (Fixture *fixture, guint domid)
{
  XdsDomainV1 d;

  g_assert_cmpint (xen->domain (fixture->self, domid, &d), ==, 0);
  return d;
}

/* All domains come from one hypercall once there is room for them, however many there are. */
static void
test_domains (Fixture *fixture, gconstpointer unused)
{
  g_autofree XdsDomainV1 *list = g_new0 (XdsDomainV1, MANY + 1);
  guint64 before;
  size_t n = 0;
  guint i;

  for (i = 1; i <= MANY; i++)
    fx_dom_create (&fixture->fx, i * 100, HUB);
  g_assert_cmpint (xen->domains (fixture->self, list, 1, &n), ==, 0);
  g_assert_cmpuint (n, ==, MANY + 1);
  before = calls (fixture, FX_N_GETINFO);
  g_assert_cmpint (xen->domains (fixture->self, list, MANY + 1, &n), ==, 0);
  g_assert_cmpuint (calls (fixture, FX_N_GETINFO), ==, before + 1);
  g_assert_cmpuint (n, ==, MANY + 1);
  for (i = 0; i <= MANY; i++)
    g_assert_cmpuint (list[i].domid, ==, i * 100);
  g_assert_cmpuint (list[0].caps, ==, XDS_DOMAIN_CAP_CONTROL | XDS_DOMAIN_CAP_HARDWARE);
  g_assert_cmpuint (list[1].caps, ==, 0);
}

/* libxenctrl copies the room that it is given, not only what is in it: when many domains are gone,
   the list of three costs what it did before there were many. */
static void
test_list_room (Fixture *fixture, gconstpointer unused)
{
  XdsDomainV1 list[4];
  guint64 before;
  size_t n = 0;
  guint i;

  for (i = 1; i <= MANY; i++)
    fx_dom_create (&fixture->fx, i, HUB);
  g_assert_cmpint (xen->domains (fixture->self, list, 4, &n), ==, 0);
  g_assert_cmpuint (n, ==, MANY + 1);
  for (i = 3; i <= MANY; i++)
    fx_dom_destroy (&fixture->fx, i);
  g_assert_cmpint (xen->domains (fixture->self, list, 4, &n), ==, 0);
  g_assert_cmpuint (n, ==, 3);
  before = calls (fixture, FX_N_LIST_ROOM);
  g_assert_cmpint (xen->domains (fixture->self, list, 4, &n), ==, 0);
  g_assert_cmpuint (n, ==, 3);
  g_assert_cmpuint (calls (fixture, FX_N_LIST_ROOM) - before, <=, 64);
}

/* Makes domains until there are @n besides domain 0; the room that one list of them took. */
static guint64
room_for (Fixture *fixture, guint n)
{
  static XdsDomainV1 list[CROWD + 1];
  guint64 room, hypercalls;
  gint64 start;
  size_t got = 0;

  for (guint i = 1; i <= n; i++)
    if (xen->domain (fixture->self, i, &list[0]) != 0)
      fx_dom_create (&fixture->fx, i, HUB);
  g_assert_cmpint (xen->domains (fixture->self, list, G_N_ELEMENTS (list), &got), ==, 0);
  room = calls (fixture, FX_N_LIST_ROOM);
  hypercalls = calls (fixture, FX_N_GETINFO);
  start = g_get_monotonic_time ();
  g_assert_cmpint (xen->domains (fixture->self, list, G_N_ELEMENTS (list), &got), ==, 0);
  room = calls (fixture, FX_N_LIST_ROOM) - room;
  g_test_message ("%zu domains: %" G_GINT64_FORMAT " us, room for %" G_GUINT64_FORMAT, got,
                  g_get_monotonic_time () - start, room);
  g_assert_cmpuint (got, ==, n + 1);
  g_assert_cmpuint (calls (fixture, FX_N_GETINFO) - hypercalls, ==, 1);
  return room;
}

/* Three domains cost a list of 64; more cost a few times what they are, and at most what Xen can
   have; always in one hypercall. */
static void
test_list_cost (Fixture *fixture, gconstpointer unused)
{
  g_assert_cmpuint (room_for (fixture, 2), <=, 64);
  g_assert_cmpuint (room_for (fixture, 1000), <=, 4 * 1001);
  g_assert_cmpuint (room_for (fixture, CROWD), <=, FX_LAST_DOM + 1);
}

#ifdef HAVE_XC_DOMAIN_GETINFO
/* A domain that serves the store without being domain 0 is refused the list of all domains on Xen
   4.17, and still learns the same of each. */
static void
test_refused_list (Fixture *fixture, gconstpointer unused)
{
  XdsDomainV1 at_once[4], walked[4];
  size_t n = 0;

  fx_dom_create (&fixture->fx, 5, HUB);
  fx_dom_create (&fixture->fx, XDS_DOMID_FIRST_RESERVED - 1, HUB);
  fixture->fx.st->dom[5].reason = XDS_SHUTDOWN_SUSPEND;
  fx_dom_flags (&fixture->fx, 5, FX_SHUTDOWN);
  g_assert_cmpint (xen->domains (fixture->self, at_once, 4, &n), ==, 0);
  xen->close (fixture->self);
  g_setenv ("FAKEXEN_STUB", "1", TRUE);
  fixture->self = open_plugin ();
  g_assert_cmpint (xen->domains (fixture->self, walked, 2, &n), ==, 0);
  g_assert_cmpuint (n, ==, 3);
  g_assert_cmpint (xen->domains (fixture->self, walked, 4, &n), ==, 0);
  g_assert_cmpmem (walked, n * sizeof walked[0], at_once, 3 * sizeof at_once[0]);
  g_assert_cmpint (xen->domain (fixture->self, 5, &walked[0]), ==, 0);
  g_assert_cmpmem (walked, sizeof walked[0], &at_once[1], sizeof at_once[0]);
  g_assert_cmpint (xen->domain (fixture->self, 6, &walked[0]), ==, -ESRCH);
  g_unsetenv ("FAKEXEN_STUB");
}
#endif

/* Xen's flags become states; a domain that is not there is not taken for the next one. */
static void
test_states (Fixture *fixture, gconstpointer unused)
{
  XdsDomainV1 d;

  fx_dom_create (&fixture->fx, 5, HUB);
  g_assert_cmpuint (domain (fixture, 5).state, ==, XDS_DOMAIN_EXISTS);
  g_assert_cmpint (xen->domain (fixture->self, 4, &d), ==, -ESRCH);
  g_assert_cmpint (xen->domain (fixture->self, 6, &d), ==, -ESRCH);
  fixture->fx.st->dom[5].reason = XDS_SHUTDOWN_SUSPEND;
  fx_dom_flags (&fixture->fx, 5, FX_SHUTDOWN);
  d = domain (fixture, 5);
  g_assert_cmpuint (d.state, ==, XDS_DOMAIN_EXISTS | XDS_DOMAIN_SHUTDOWN);
  g_assert_cmpuint (d.reason, ==, XDS_SHUTDOWN_SUSPEND);
  fx_dom_flags (&fixture->fx, 5, FX_DEAD);
  g_assert_cmpuint (domain (fixture, 5).state, ==,
                    XDS_DOMAIN_EXISTS | XDS_DOMAIN_SHUTDOWN | XDS_DOMAIN_DYING | XDS_DOMAIN_DEAD);
  g_assert_cmpint (xen->poll_changed (fixture->self, &d), ==, -ENOSYS);
}

/* A domain keeps its unique id when the daemon starts anew; the next one in its id has another. */
static void
test_unique_ids (Fixture *fixture, gconstpointer unused)
{
  XdsDomainV1 first;

  fx_dom_create (&fixture->fx, 5, HUB);
  first = domain (fixture, 5);
  g_assert_cmpuint (first.unique_id, !=, 0);
  g_assert_cmpmem (first.uuid, 16, fixture->fx.st->dom[5].uuid, 16);
  xen->close (fixture->self);
  fixture->self = open_plugin ();
  g_assert_cmpuint (domain (fixture, 5).unique_id, ==, first.unique_id);
  fx_dom_destroy (&fixture->fx, 5);
  fx_dom_create (&fixture->fx, 5, HUB);
  g_assert_cmpuint (domain (fixture, 5).unique_id, !=, first.unique_id);
}

/* The kernel's own ring is found by /proc/xen, and given back only with the plugin. */
static void
test_own_ring (Fixture *fixture, gconstpointer unused)
{
  guint32 domid = 1, remote = 0;
  void *page, *again;

  g_assert_cmpint (xen->own_ring (fixture->self, &domid, &remote), ==, 0);
  g_assert_cmpuint (domid, ==, 0);
  g_assert_cmpuint (remote, ==, FX_GUEST_PORT);
  g_assert_cmpint (xen->map_ring (fixture->self, 0, &page), ==, 0);
  strcpy (page, "mine");
  xen->unmap_ring (fixture->self, 0, page);
  g_assert_cmpint (xen->map_ring (fixture->self, 0, &again), ==, 0);
  g_assert_true (again == page);
  g_assert_cmpstr (again, ==, "mine");
}

/* A guest's page is the one that it sees itself, and there is none of a domain that is not. */
static void
test_map_ring (Fixture *fixture, gconstpointer unused)
{
  XdsRingPage *theirs;
  void *page = NULL;

  g_assert_cmpint (xen->map_ring (fixture->self, 5, &page), <, 0);
  g_assert_null (page);
  fx_dom_create (&fixture->fx, 5, HUB);
  g_assert_cmpint (xen->map_ring (fixture->self, 5, &page), ==, 0);
  theirs = fx_map (&fixture->fx, 5);
  theirs->req_prod = 77;
  g_assert_cmpuint (((XdsRingPage *) page)->req_prod, ==, 77);
  xen->unmap_ring (fixture->self, 5, page);
}

/* Any number of pending ports is taken by one call and unmasked by one; what came in between is
   told after that. */
static void
test_ports (Fixture *fixture, gconstpointer unused)
{
  guint32 ports[MANY], taken[MANY + 1];
  guint64 before;
  guint i;

  for (i = 0; i < MANY; i++)
    {
      fx_dom_create (&fixture->fx, i + 1, HUB);
      g_assert_cmpint (xen->bind_port (fixture->self, i + 1, FX_GUEST_PORT, &ports[i]), ==, 0);
    }
  g_assert_cmpint (xen->take_pending (fixture->self, taken, MANY + 1), ==, MANY);
  g_assert_cmpmem (taken, sizeof ports, ports, sizeof ports);
  g_assert_cmpint (xen->take_pending (fixture->self, taken, MANY + 1), ==, 0);
  fx_notify_server (&fixture->fx, 7);
  g_assert_false (is_readable (xen->event_fd (fixture->self)));
  before = calls (fixture, FX_N_UNMASK);
  g_assert_cmpint (xen->unmask (fixture->self, ports, MANY), ==, 0);
  g_assert_cmpuint (calls (fixture, FX_N_UNMASK), ==, before + 1);
  g_assert_true (is_readable (xen->event_fd (fixture->self)));
  g_assert_cmpint (xen->take_pending (fixture->self, taken, MANY), ==, 1);
  g_assert_cmpuint (taken[0], ==, ports[6]);
}

/* A guest hears the server's signal; a port knows its other side; one that is bound no more is
   nobody's. */
static void
test_notify (Fixture *fixture, gconstpointer unused)
{
  guint32 port, remote;

  g_assert_cmpint (xen->bind_port (fixture->self, 5, FX_GUEST_PORT, &port), ==, -ESRCH);
  fx_dom_create (&fixture->fx, 5, HUB);
  g_assert_cmpint (xen->bind_port (fixture->self, 5, FX_GUEST_PORT, &port), ==, 0);
  g_assert_false (is_readable (fixture->hub));
  g_assert_cmpint (xen->notify (fixture->self, port), ==, 0);
  g_assert_true (is_readable (fixture->hub));
  g_assert_cmpint (xen->remote_port (fixture->self, port, &remote), ==, 0);
  g_assert_cmpuint (remote, ==, FX_GUEST_PORT);
  xen->unbind_port (fixture->self, port);
  g_assert_cmpint (xen->remote_port (fixture->self, port, &remote), ==, -ENOENT);
  g_assert_cmpuint (fixture->fx.st->dom[5].lport, ==, 0);
}

/* The end of a domain is an event of its own. */
static void
test_exception (Fixture *fixture, gconstpointer unused)
{
  guint32 port, taken;

  fx_dom_create (&fixture->fx, 5, HUB);
  g_assert_cmpint (xen->bind_domain_exception (fixture->self, &port), ==, 0);
  g_assert_false (is_readable (xen->event_fd (fixture->self)));
  fx_dom_destroy (&fixture->fx, 5);
  fx_virq (&fixture->fx);
  g_assert_cmpint (xen->take_pending (fixture->self, &taken, 1), ==, 1);
  g_assert_cmpuint (taken, ==, port);
}

/* Arguments choose whom to serve first; words that are none are told, with those that are. */
static void
test_arguments (Fixture *fixture, gconstpointer unused)
{
  static const char *const bad[] = { "event",
                                     "event=x",
                                     "event=0",
                                     "master=99999",
                                     "a=1",
                                     "event=12,,",
                                     "event=99999999999999999999999999" };
  g_autofree char *why = NULL;
  guint32 domid, port;
  void *self;
  gsize i;

  for (i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_assert_cmpint (xds_hypervisor_open (xen, bad[i], refuse_log, NULL, &self, &why), ==,
                       -EINVAL);
      g_assert_nonnull (strstr (why, "event=PORT"));
      g_clear_pointer (&why, g_free);
    }
  g_assert_cmpint (xds_hypervisor_open (xen, "master=3,event=12", refuse_log, NULL, &self, &why),
                   ==, 0);
  g_assert_cmpint (xen->own_ring (self, &domid, &port), ==, 0);
  g_assert_cmpuint (domid, ==, 3);
  g_assert_cmpuint (port, ==, 12);
  xen->close (self);
}

static int
run (void)
{
#define ADD(path, test) g_test_add ("/xenctrl/" path, Fixture, NULL, set_up, test, tear_down)
  ADD ("domains", test_domains);
#ifdef HAVE_XC_DOMAIN_GETINFO
  ADD ("refused-list", test_refused_list);
#endif
  ADD ("states", test_states);
  ADD ("list-room", test_list_room);
  ADD ("list-cost", test_list_cost);
  ADD ("unique-ids", test_unique_ids);
  ADD ("own-ring", test_own_ring);
  ADD ("map-ring", test_map_ring);
  ADD ("ports", test_ports);
  ADD ("notify", test_notify);
  ADD ("exception", test_exception);
  ADD ("arguments", test_arguments);
#undef ADD
  return g_test_run ();
}

int
main (int argc, char **argv)
{
  const char *dir = g_getenv ("XDS_PLUGIN_DIR");
  g_autofree char *why = NULL, *command = NULL;
  int res;

  g_test_init (&argc, &argv, NULL);
  world_dir = g_dir_make_tmp ("xds-fakexen-XXXXXX", NULL);
  g_setenv ("FAKEXEN_DIR", world_dir, TRUE);
  xen = xds_hypervisor_load (dir != NULL ? dir : ".libs", "xenctrl", &why);
  if (xen == NULL)
    g_error ("%s", why);
  res = run ();
  command = g_strdup_printf ("rm -r '%s'", world_dir);
  g_assert_cmpint (system (command), ==, 0);
  g_free (world_dir);
  return res;
}
