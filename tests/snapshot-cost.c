/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What the list of all domains costs on the Xen that this runs on, by the plugin xenctrl:
 *
 *   snapshot-cost PLUGIN-FOLDER    prints "3 domains: 41.2 us a list, of 500"
 *
 * A program and no test: the emulated host runs it (xen/cost.xen).  test-xenctrl counts, over a
 * stand-in, what libxenctrl copies for 3 and for 32,000 domains.
 */

#include "xsd/hypervisor/hypervisor.h"

#include <glib.h>
#include <stdlib.h>

#define ROUNDS 500
#define ROOM 32768

static void
print_log (void *data G_GNUC_UNUSED, int priority G_GNUC_UNUSED, const char *text)
{
  g_printerr ("snapshot-cost: %s\n", text);
}

int
main (int argc, char **argv)
{
  g_autofree XdsDomainV1 *domains = g_new0 (XdsDomainV1, ROOM);
  g_autofree char *why = NULL;
  const XdsHypervisorV1 *plugin;
  void *self = NULL;
  gint64 start;
  size_t n = 0;

  plugin = argc == 2 ? xds_hypervisor_load (argv[1], "xenctrl", &why) : NULL;
  if (plugin == NULL || xds_hypervisor_open (plugin, NULL, print_log, NULL, &self, &why) != 0)
    {
      g_printerr ("snapshot-cost: %s\n", why != NULL ? why : "usage: snapshot-cost PLUGIN-FOLDER");
      return EXIT_FAILURE;
    }
  start = g_get_monotonic_time ();
  for (guint i = 0; i < ROUNDS; i++)
    if (plugin->domains (self, domains, ROOM, &n) != 0)
      return EXIT_FAILURE;
  g_print ("%" G_GSIZE_FORMAT " domains: %.1f us a list, of %u\n", n,
           (double) (g_get_monotonic_time () - start) / ROUNDS, ROUNDS);
  plugin->close (self);
  return EXIT_SUCCESS;
}
