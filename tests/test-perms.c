/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Texts of permission entries. */

#include "xsd/wire/perms.h"

#include <glib.h>
#include <string.h>

/* Proves which texts are entries, and what they mean. */
static void
test_parse (void)
{
  static const struct
  {
    const char *text;
    guint access, domid;
  } good[] = {
    { "n0", XDS_PERM_NONE, 0 },
    { "r1", XDS_PERM_READ, 1 },
    { "w7", XDS_PERM_WRITE, 7 },
    { "b32757", XDS_PERM_READ | XDS_PERM_WRITE, XDS_DOMID_ANY },
    { "b65535", XDS_PERM_READ | XDS_PERM_WRITE, 65535 },
    { "r0x1f", XDS_PERM_READ, 31 }, /* C xenstored reads numbers in the base they show */
    { "n010", XDS_PERM_NONE, 8 },
    { "n0000000000000000000000000000001", XDS_PERM_NONE, 1 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (good); i++)
    {
      XdsPerm perm = { 99, 99 };

      g_assert_cmpint (xds_perm_parse (&perm, good[i].text), ==, XDS_OK);
      g_assert_cmpuint (perm.access, ==, good[i].access);
      g_assert_cmpuint (perm.domid, ==, good[i].domid);
    }
}

/* Proves that anything else is EINVAL and leaves the output alone. */
static void
test_refuse (void)
{
  static const char *const bad[]
      = { "",     "n",    "0",        "x1",   "N0",  "n-1", "n+1", "n 1",
          "n1 ",  "n1x",  "n65536",   "n08",  "n0x", "rw1", "nn1", "n99999999999999999999",
          "n1.5", "n\t1", "b0x10000", "n1\n", " n1", "n0xg" };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      XdsPerm perm = { 99, 98 };

      g_test_message ("\"%s\"", bad[i]);
      g_assert_cmpint (xds_perm_parse (&perm, bad[i]), ==, XDS_EINVAL);
      g_assert_cmpuint (perm.domid, ==, 99);
      g_assert_cmpuint (perm.access, ==, 98);
    }
}

/* Proves that printing and parsing undo each other for every letter and every domain id, that
   the text always fits, and that the inert mark does not show. */
static void
test_round_trip (void)
{
  for (guint domid = 0; domid <= 65535; domid++)
    for (guint access = 0; access < 4; access++)
      {
        XdsPerm perm = { domid, access | (domid % 2 ? XDS_PERM_INERT : 0) };
        XdsPerm back;
        char text[XDS_PERM_TEXT_MAX];

        g_assert_cmpuint (xds_perm_print (&perm, text), ==, strlen (text));
        g_assert_cmpint (xds_perm_parse (&back, text), ==, XDS_OK);
        g_assert_cmpuint (back.domid, ==, domid);
        g_assert_cmpuint (back.access, ==, access);
      }
}

/* Proves that letters and rights correspond one to one, and that no other letter has any. */
static void
test_letters (void)
{
  guint known = 0;

  for (int letter = 0; letter < 256; letter++)
    {
      int access = xds_perm_from_letter ((char)letter);

      if (access < 0)
        continue;
      known++;
      g_assert_cmpint (xds_perm_letter (access), ==, letter);
    }
  g_assert_cmpuint (known, ==, 4);
  g_assert_cmpint (xds_perm_from_letter ('\0'), ==, -1);
  g_assert_cmpint (xds_perm_letter (XDS_PERM_INERT | XDS_PERM_READ), ==, 'r');
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/wire/perms/parse", test_parse);
  g_test_add_func ("/wire/perms/refuse", test_refuse);
  g_test_add_func ("/wire/perms/round-trip", test_round_trip);
  g_test_add_func ("/wire/perms/letters", test_letters);
  return g_test_run ();
}
