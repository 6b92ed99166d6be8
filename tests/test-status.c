/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The names of errors on the wire.  The order and the spelling are the protocol's, so they are
 * held against the list in Xen's own header, not against a copy of our table.
 */

#include "xsd/wire/status.h"

#include <errno.h>
#include <glib.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

/* Only for the table of error names. */
#include <xen/io/xs_wire.h>

/* Proves that our list and the published one are the same, in the same order. */
static void
test_published_order (void)
{
  g_assert_cmpuint (G_N_ELEMENTS (xsd_errors), <=, XDS_STATUS_MAX - 1);
  for (guint i = 0; i < G_N_ELEMENTS (xsd_errors); i++)
    {
      XdsStatus status = i + 1;

      g_assert_cmpstr (xds_status_name (status), ==, xsd_errors[i].errstring);
      g_assert_cmpint (xds_status_to_errno (status), ==, xsd_errors[i].errnum);
    }
}

/* Proves that name and errno of each status lead back to it. */
static void
test_both_ways (void)
{
  for (guint i = 1; i < XDS_STATUS_MAX; i++)
    {
      const char *name = xds_status_name (i);

      g_assert_cmpint (xds_status_from_name (name, strlen (name)), ==, i);
      g_assert_cmpint (xds_status_from_errno (xds_status_to_errno (i)), ==, i);
    }
  g_assert_cmpint (xds_status_from_errno (0), ==, XDS_OK);
  g_assert_cmpint (xds_status_to_errno (XDS_OK), ==, 0);
  g_assert_cmpstr (xds_status_name (XDS_OK), ==, "OK");
}

/* Proves that whatever the table lacks is EINVAL, as stock clients decide. */
static void
test_unknown (void)
{
  static const char *const names[]
      = { "", "OK", "EQUOTA", "einval", "ENOENTX", "ENOEN", "EDEADLK", " ENOENT" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    g_assert_cmpint (xds_status_from_name (names[i], strlen (names[i])), ==, XDS_EINVAL);
  g_assert_cmpint (xds_status_from_name ("ENOENT\0x", 8), ==, XDS_EINVAL);
  g_assert_cmpint (xds_status_from_name ("ENOENT and more", 6), ==, XDS_ENOENT);
  g_assert_cmpint (xds_status_from_errno (EBADF), ==, XDS_EINVAL);
  g_assert_cmpint (xds_status_from_errno (-1), ==, XDS_EINVAL);
  g_assert_cmpint (xds_status_to_errno (XDS_STATUS_MAX), ==, EINVAL);
  g_assert_cmpint (xds_status_to_errno ((XdsStatus)-1), ==, EINVAL);
  g_assert_cmpstr (xds_status_name (XDS_STATUS_MAX), ==, "EINVAL");
  g_assert_cmpstr (xds_status_name ((XdsStatus)-1), ==, "EINVAL");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/wire/status/published-order", test_published_order);
  g_test_add_func ("/wire/status/both-ways", test_both_ways);
  g_test_add_func ("/wire/status/unknown", test_unknown);
  return g_test_run ();
}
