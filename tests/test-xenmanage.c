/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The plugin for Xen 4.21 and later, built against a header of ours, over the stand-in for the Xen
 * libraries (tests/peers), which is linked into this program.  Alone, and with the plugin xenctrl
 * beside it.
 */

#include "config.h"

#include "tests/peers/fakexen.h"
#include "xsd/hypervisor/hypervisor.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HUB 1
#define LOW 3
#define HIGH 20000
#define ROOM 64

typedef struct
{
  struct fx fx;
  void *self;
  guint warnings;
} Fixture;

static char *world_dir;
static const XdsHypervisorV1 *alone, *beside; /* the same file in a folder without, with xenctrl */

static const XdsHypervisorV1 *
plugin (gconstpointer with_ctrl)
{
  return with_ctrl != NULL ? beside : alone;
}

static void
count_log (void *data, int priority, const char *text)
{
  g_assert_nonnull (strstr (text, "uuids of domains"));
  ((Fixture *) data)->warnings++;
}

static void
set_up (Fixture *fixture, gconstpointer with_ctrl)
{
  g_autofree char *why = NULL;

  g_assert_cmpint (fx_open (&fixture->fx, world_dir), ==, 0);
  fx_reset (&fixture->fx);
  fx_hub_open (&fixture->fx, HUB);
  if (xds_hypervisor_open (plugin (with_ctrl), NULL, count_log, fixture, &fixture->self, &why) != 0)
    g_error ("%s", why);
  g_assert_cmpuint (fixture->warnings, ==, with_ctrl != NULL ? 0 : 1);
}

static void
tear_down (Fixture *fixture, gconstpointer with_ctrl)
{
  plugin (with_ctrl)->close (fixture->self);
  fx_close (&fixture->fx);
}

static guint64
calls (Fixture *fixture)
{
  return fixture->fx.st->count[FX_N_GETINFO];
}

static size_t
list (Fixture *fixture, gconstpointer with_ctrl, XdsDomainV1 domains[ROOM])
{
  size_t n = 0;

  g_assert_cmpint (plugin (with_ctrl)->domains (fixture->self, domains, ROOM, &n), ==, 0);
  g_assert_cmpuint (n, <=, ROOM);
  return n;
}

/* Who has the VIRQ learns of all domains at first, and then pays for what changed only. */
static void
test_owner (Fixture *fixture, gconstpointer with_ctrl)
{
  XdsDomainV1 d[ROOM];
  guint64 before;
  guint32 port;

  fx_dom_create (&fixture->fx, LOW, HUB);
  fx_dom_create (&fixture->fx, HIGH, HUB);
  g_assert_cmpint (plugin (with_ctrl)->bind_domain_exception (fixture->self, &port), ==, 0);
  g_assert_cmpuint (list (fixture, with_ctrl, d), ==, 3);
  g_assert_cmpuint (d[0].domid, ==, 0);
  g_assert_cmpuint (d[0].caps, ==,
                    XDS_DOMAIN_CAP_CONTROL | XDS_DOMAIN_CAP_HARDWARE | XDS_DOMAIN_CAP_XENSTORE);
  g_assert_cmpuint (d[1].domid, ==, LOW);
  g_assert_cmpuint (d[2].domid, ==, HIGH);
  before = calls (fixture);
  g_assert_cmpuint (list (fixture, with_ctrl, d), ==, 3);
  g_assert_cmpuint (calls (fixture), ==, before + 1);
  fx_dom_destroy (&fixture->fx, LOW);
  fx_dom_create (&fixture->fx, LOW + 1, HUB);
  g_assert_cmpuint (list (fixture, with_ctrl, d), ==, 3);
  g_assert_cmpuint (d[1].domid, ==, LOW + 1);
}

/* What Xen tells of who has the VIRQ: each change once, the end of a domain as state 0. */
static void
test_changes (Fixture *fixture, gconstpointer with_ctrl)
{
  const XdsHypervisorV1 *xen = plugin (with_ctrl);
  XdsDomainV1 d;
  guint32 port;

  g_assert_cmpint (xen->poll_changed (fixture->self, &d), ==, -ENOSYS);
  fx_dom_create (&fixture->fx, LOW, HUB);
  g_assert_cmpint (xen->bind_domain_exception (fixture->self, &port), ==, 0);
  g_assert_cmpint (xen->poll_changed (fixture->self, &d), ==, 0);
  g_assert_cmpuint (d.domid, ==, 0);
  g_assert_cmpint (xen->poll_changed (fixture->self, &d), ==, 0);
  g_assert_cmpuint (d.domid, ==, LOW);
  g_assert_cmpint (xen->poll_changed (fixture->self, &d), ==, -ENOENT);
  fx_dom_destroy (&fixture->fx, LOW);
  g_assert_cmpint (xen->poll_changed (fixture->self, &d), ==, 0);
  g_assert_cmpuint (d.domid, ==, LOW);
  g_assert_cmpuint (d.state, ==, 0);
  xen->unbind_port (fixture->self, port);
  g_assert_cmpint (xen->poll_changed (fixture->self, &d), ==, -ENOSYS);
}

/* Who has not got the VIRQ sees all domains, and takes no change from the server that has. */
static void
test_onlooker (Fixture *fixture, gconstpointer with_ctrl)
{
  XdsDomainV1 d[ROOM];
  guint domid;

  g_assert_cmpint (fx_bind_virq (&fixture->fx), >, 0);
  for (domid = 1; domid < 10; domid++)
    fx_dom_create (&fixture->fx, domid * 1000, HUB);
  g_assert_cmpuint (list (fixture, with_ctrl, d), ==, 10);
  for (domid = 0; domid < 10; domid++)
    g_assert_cmpuint (d[domid].domid, ==, domid * 1000);
  for (domid = 0; domid < 10; domid++)
    g_assert_cmpint (fx_next_changed (&fixture->fx), ==, domid * 1000);
}

/* One of two domains is there at any moment. */
static gpointer
relay (gpointer data)
{
  Fixture *fixture = data;
  struct fx fx;

  g_assert_cmpint (fx_open (&fx, world_dir), ==, 0);
  for (guint i = 0; g_atomic_int_get (&fixture->warnings) < G_MAXINT; i++)
    {
      fx_dom_create (&fx, i % 2 == 0 ? HIGH : LOW, HUB);
      fx_dom_destroy (&fx, i % 2 == 0 ? LOW : HIGH);
      g_usleep (i % 8 < 6 ? 500 : 60000);
    }
  fx_close (&fx);
  return NULL;
}

/* Beside xenctrl no list says that neither of two domains is there, when one was at any moment. */
static void
test_one_moment (Fixture *fixture, gconstpointer with_ctrl)
{
  XdsDomainV1 d[ROOM];
  GThread *thread;
  guint good = 0;

  fx_dom_create (&fixture->fx, LOW, HUB);
  thread = g_thread_new ("relay", relay, fixture);
  for (guint i = 0; i < 100000 && good < 20; i++)
    {
      size_t n = 0;
      int res = plugin (with_ctrl)->domains (fixture->self, d, ROOM, &n);

      if (res == -EAGAIN)
        continue;
      g_assert_cmpint (res, ==, 0);
      g_assert_cmpuint (n, >=, 2);
      good++;
    }
  g_atomic_int_set (&fixture->warnings, G_MAXINT);
  g_thread_join (thread);
  g_assert_cmpuint (good, ==, 20);
}

/* Xen's bits become states, its unique ids are ours; uuid and reason are known beside xenctrl, and
   alone are said not to be. */
static void
test_states (Fixture *fixture, gconstpointer with_ctrl)
{
  static const guint8 none[16];
  const XdsHypervisorV1 *xen = plugin (with_ctrl);
  XdsDomainV1 d, next;

  g_assert_cmpint (xen->domain (fixture->self, LOW, &d), ==, -ESRCH);
  g_assert_cmpint (xen->domain (fixture->self, 40000, &d), ==, -ESRCH);
  fx_dom_create (&fixture->fx, LOW, HUB);
  g_assert_cmpint (xen->domain (fixture->self, LOW, &d), ==, 0);
  g_assert_cmpuint (d.unique_id, ==, fixture->fx.st->dom[LOW].unique);
  g_assert_cmpmem (d.uuid, 16, with_ctrl != NULL ? fixture->fx.st->dom[LOW].uuid : none, 16);
  fixture->fx.st->dom[LOW].reason = XDS_SHUTDOWN_CRASH;
  fx_dom_flags (&fixture->fx, LOW, FX_SHUTDOWN);
  g_assert_cmpint (xen->domain (fixture->self, LOW, &d), ==, 0);
  g_assert_cmpuint (d.state, ==, XDS_DOMAIN_EXISTS | XDS_DOMAIN_SHUTDOWN);
  g_assert_cmpuint (d.reason, ==, with_ctrl != NULL ? XDS_SHUTDOWN_CRASH : XDS_SHUTDOWN_UNKNOWN);
  fx_dom_flags (&fixture->fx, LOW, FX_DYING);
  g_assert_cmpint (xen->domain (fixture->self, LOW, &next), ==, 0);
  g_assert_cmpuint (next.state, ==, d.state | XDS_DOMAIN_DYING);
  fx_dom_flags (&fixture->fx, LOW, FX_DEAD);
  g_assert_cmpint (xen->domain (fixture->self, LOW, &next), ==, 0);
  g_assert_cmpuint (next.state, ==, d.state | XDS_DOMAIN_DYING | XDS_DOMAIN_DEAD);
}

/* Rings and ports are those of the plugin xenctrl. */
static void
test_ring (Fixture *fixture, gconstpointer with_ctrl)
{
  const XdsHypervisorV1 *xen = plugin (with_ctrl);
  guint32 port, taken;
  void *page;

  fx_dom_create (&fixture->fx, LOW, HUB);
  g_assert_cmpint (xen->map_ring (fixture->self, LOW, &page), ==, 0);
  fx_map (&fixture->fx, LOW)->req_prod = 77;
  g_assert_cmpuint (((XdsRingPage *) page)->req_prod, ==, 77);
  xen->unmap_ring (fixture->self, LOW, page);
  g_assert_cmpint (xen->bind_port (fixture->self, LOW, FX_GUEST_PORT, &port), ==, 0);
  g_assert_cmpint (xen->take_pending (fixture->self, &taken, 1), ==, 1);
  g_assert_cmpuint (taken, ==, port);
}

/* On an older Xen the plugin refuses, and says what to install. */
static void
test_older_xen (Fixture *fixture, gconstpointer with_ctrl)
{
  g_autofree char *why = NULL;
  void *self = NULL;

  g_setenv ("FAKEXEN_BEFORE_421", "1", TRUE);
  g_assert_cmpint (xds_hypervisor_open (plugin (with_ctrl), NULL, NULL, NULL, &self, &why), ==,
                   -EACCES);
  g_unsetenv ("FAKEXEN_BEFORE_421");
  g_assert_null (self);
  g_assert_nonnull (strstr (why, "needs Xen 4.21"));
  g_assert_nonnull (strstr (why, "install the plugin xenctrl"));
}

/* Where both plugins load, this one is chosen. */
static void
test_choice (void)
{
  g_autofree char *folder = g_build_filename (world_dir, "both", NULL), *why = NULL;
  const XdsHypervisorV1 *best = xds_hypervisor_load_first (folder, &why);

  g_assert_cmpstr (why, ==, NULL);
  g_assert_cmpstr (best->name, ==, "xenmanage");
}

static int
run (void)
{
#define ADD(path, test)                                                                            \
  g_test_add ("/xenmanage/alone/" path, Fixture, NULL, set_up, test, tear_down);                   \
  g_test_add ("/xenmanage/with-xenctrl/" path, Fixture, "", set_up, test, tear_down)
  ADD ("owner", test_owner);
  ADD ("changes", test_changes);
  ADD ("onlooker", test_onlooker);
  ADD ("states", test_states);
  ADD ("ring", test_ring);
  ADD ("older-xen", test_older_xen); /* sets the environment: before there is a thread */
  g_test_add ("/xenmanage/one-moment/with-xenctrl", Fixture, "", set_up, test_one_moment,
              tear_down);
#undef ADD
  g_test_add_func ("/xenmanage/choice", test_choice);
  return g_test_run ();
}

/* The plugin in a folder of @name below the world's, with xenctrl or without. */
static const XdsHypervisorV1 *
load (const char *name, gboolean with_ctrl)
{
  const char *dir = g_getenv ("XDS_PLUGIN_DIR");
  g_autofree char *folder = g_build_filename (world_dir, name, NULL);
  g_autofree char *built = g_test_build_filename (G_TEST_BUILT, ".libs", "xenmanage.so", NULL);
  g_autofree char *ctrl = g_build_filename (dir != NULL ? dir : ".libs", "xenctrl.so", NULL);
  g_autofree char *command
      = g_strdup_printf ("mkdir '%s' && cp '%s' '%s'", folder, built, folder), *why = NULL;
  g_autofree char *copy = g_strdup_printf ("cp '%s' '%s'", ctrl, folder);
  const XdsHypervisorV1 *table;

  g_assert_cmpint (system (command), ==, 0);
  if (with_ctrl)
    g_assert_cmpint (system (copy), ==, 0);
  table = xds_hypervisor_load (folder, "xenmanage", &why);
  if (table == NULL)
    g_error ("%s", why);
  return table;
}

int
main (int argc, char **argv)
{
  g_autofree char *command = NULL;
  int res;

  g_test_init (&argc, &argv, NULL);
  world_dir = g_dir_make_tmp ("xds-xenmanage-XXXXXX", NULL);
  g_setenv ("FAKEXEN_DIR", world_dir, TRUE);
  alone = load ("alone", FALSE);
  beside = load ("both", TRUE);
  res = run ();
  command = g_strdup_printf ("rm -r '%s'", world_dir);
  g_assert_cmpint (system (command), ==, 0);
  g_free (world_dir);
  return res;
}
