/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Names of userdata: libxl's pattern, both ways, and what a userid may be.
 */

#include "userdata/error.h"
#include "userdata/name.h"

#include <errno.h>
#include <string.h>

#define UUID "12345678-9abc-def0-1234-56789abcdef0"

/* Proves that a name is built as libxl builds it, byte for byte. */
static void
test_build (void)
{
  g_autofree char *data = xds_userdata_file_name ('d', 7, UUID, "xl");
  g_autofree char *lock = xds_userdata_file_name ('l', 65535, UUID, XDS_USERDATA_LOCK);

  g_assert_cmpstr (data, ==, "userdata-d.7." UUID ".xl");
  g_assert_cmpstr (lock, ==, "userdata-l.65535." UUID ".domain-userdata-lock");
}

/* Proves that what is parsed is what was built, with dots in the userid left alone. */
static void
test_both_ways (void)
{
  static const char *const userids[] = { "xl", "libxl-json", "a.b.c", ".", "7." UUID ".xl", "" };

  for (guint i = 0; i < G_N_ELEMENTS (userids); i++)
    {
      g_autofree char *file = xds_userdata_file_name ('n', 300, UUID, userids[i]);
      XdsUserdataName name;

      g_assert_true (xds_userdata_name_parse (file, &name));
      g_assert_cmpint (name.letter, ==, 'n');
      g_assert_cmpuint (name.domid, ==, 300);
      g_assert_cmpstr (name.uuid, ==, UUID);
      g_assert_cmpstr (name.userid, ==, userids[i]);
    }
}

/* Proves that a file which libxl would never make is not taken for one, and no output is touched.
 */
static void
test_not_libxl (void)
{
  static const char *const files[] = {
    "",
    "userdata",
    "userdata-",
    "userdata-d",
    "userdata-d.",
    "userdata-d.7",
    "userdata-d.7." UUID,
    "userdata-d.07." UUID ".xl",
    "userdata-d.-7." UUID ".xl",
    "userdata-d.65536." UUID ".xl",
    "userdata-d.99999999999999999999." UUID ".xl",
    "userdata-d.." UUID ".xl",
    "userdata-D.7." UUID ".xl",
    "userdata-dd.7." UUID ".xl",
    "userdata-d.7.12345678-9ABC-def0-1234-56789abcdef0.xl",
    "userdata-d.7.12345678-9abc-def0-1234-56789abcdef.xl",
    "userdata-d.7.1234567-89abc-def0-1234-56789abcdef0.xl",
    "userdata-m.boot",
    " userdata-d.7." UUID ".xl",
  };

  for (guint i = 0; i < G_N_ELEMENTS (files); i++)
    {
      XdsUserdataName name = { .domid = 4711 };

      g_assert_false (xds_userdata_name_parse (files[i], &name));
      g_assert_cmpuint (name.domid, ==, 4711);
    }
}

/* Proves that a guest's data is told from locks, from what is half written, and from domain 0's. */
static void
test_data (void)
{
  static const char *const others[] = { "l.7." UUID ".xl", "n.7." UUID ".xl", "m.7." UUID ".xl",
                                        "d.0." UUID ".xl", "d.7." UUID };
  XdsUserdataName name = { .domid = 99 };

  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    {
      g_autofree char *file = g_strconcat ("userdata-", others[i], NULL);

      g_assert_false (xds_userdata_name_parse_data (file, &name));
    }
  g_assert_cmpuint (name.domid, ==, 99);
  g_assert_true (xds_userdata_name_parse_data ("userdata-d.7." UUID ".xl", &name));
  g_assert_cmpuint (name.domid, ==, 7);
}

/* Proves the rules for userids, and that all names in use on Xen hosts pass them. */
static void
test_userid (void)
{
  static const char *const good[]
      = { "xl", "libxl-json", "libvirt-xml", "org.example.backup", "~" };
  static const char *const bad[] = { "",
                                     "a b",
                                     "a/b",
                                     "..\\x",
                                     "x*",
                                     "[a]",
                                     "x?",
                                     "t\tb",
                                     "n\nl",
                                     "\x7f",
                                     "\xc3\xa4",
                                     XDS_USERDATA_LOCK,
                                     "my-" XDS_USERDATA_LOCK ".bak" };
  g_autofree char *longest = g_strnfill (XDS_USERDATA_USERID_MAX, 'x');
  g_autofree char *longer = g_strnfill (XDS_USERDATA_USERID_MAX + 1, 'x');

  for (guint i = 0; i < G_N_ELEMENTS (good); i++)
    g_assert_true (xds_userdata_userid_valid (good[i]));
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (xds_userdata_userid_valid (bad[i]));
  g_assert_true (xds_userdata_userid_valid (longest));
  g_assert_false (xds_userdata_userid_valid (longer));
}

/* Proves that what libxl lets in can be looked at, but nothing leads out of the folder. */
static void
test_readable (void)
{
  g_assert_true (xds_userdata_userid_readable ("x*"));
  g_assert_true (xds_userdata_userid_readable ("with blank"));
  g_assert_false (xds_userdata_userid_readable (""));
  g_assert_false (xds_userdata_userid_readable ("../x"));
  g_assert_false (xds_userdata_userid_readable ("a/b"));
}

/* Proves that a uuid is written as the hypervisor's handle is, in lower case, and that one it does
   not tell is none. */
static void
test_uuid (void)
{
  static const guint8 bytes[16] = { 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0,
                                    0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0 };
  static const guint8 none[16];
  char uuid[XDS_USERDATA_UUID_SIZE];

  xds_userdata_uuid_format (7, bytes, uuid);
  g_assert_cmpstr (uuid, ==, UUID);
  xds_userdata_uuid_format (7, none, uuid);
  g_assert_cmpstr (uuid, ==, "");
  xds_userdata_uuid_format (0, none, uuid);
  g_assert_true (xds_userdata_uuid_valid (uuid));
  g_assert_true (xds_userdata_uuid_valid (uuid));
  g_assert_false (xds_userdata_uuid_valid (UUID "0"));
  g_assert_false (xds_userdata_uuid_valid (""));
}

/* Proves that each code has a word and a wire status of its own making. */
static void
test_error_table (void)
{
  g_autoptr (GHashTable) words = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < XDS_USERDATA_ERROR_MAX_; i++)
    {
      g_assert_true (g_hash_table_add (words, (gpointer) xds_userdata_error_name (i)));
      g_assert_cmpint (xds_userdata_error_status (i), !=, XDS_OK);
    }
  g_assert_cmpstr (xds_userdata_error_name (XDS_USERDATA_ERROR_MAX_), ==, "failed");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/userdata/name/build", test_build);
  g_test_add_func ("/userdata/name/both-ways", test_both_ways);
  g_test_add_func ("/userdata/name/not-libxl", test_not_libxl);
  g_test_add_func ("/userdata/name/data", test_data);
  g_test_add_func ("/userdata/name/userid", test_userid);
  g_test_add_func ("/userdata/name/readable", test_readable);
  g_test_add_func ("/userdata/name/uuid", test_uuid);
  g_test_add_func ("/userdata/error/table", test_error_table);
  return g_test_run ();
}
