/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Names of nodes: a table of the cases that have bitten servers before, and random strings of
 * a nasty alphabet judged both by the code and by a checker that goes letter by letter.
 */

#include "xsd/wire/path.h"

#include <glib.h>
#include <string.h>

#define SPECIAL XDS_PATH_SPECIAL_ALLOWED

/* Proves which texts are paths, what they become, and how much of them a peer is told. */
static void
test_table (void)
{
  static const struct
  {
    const char *text;
    guint flags;
    const char *canonical; /* NULL: EINVAL */
    guint skip;
  } cases[] = {
    { "/", 0, "/", 0 },
    { "/a", 0, "/a", 0 },
    { "/a/b-_@9Z", 0, "/a/b-_@9Z", 0 },
    { "/@", 0, "/@", 0 },
    { "a", 0, "/local/domain/7/a", 16 },
    { "a/b", 0, "/local/domain/7/a/b", 16 },
    { "-", 0, "/local/domain/7/-", 16 },
    { "", 0, NULL, 0 },
    { "//", 0, NULL, 0 },
    { "/a/", 0, NULL, 0 },
    { "a/", 0, NULL, 0 },
    { "/a//b", 0, NULL, 0 },
    { "//a", 0, NULL, 0 },
    { "a//b", 0, NULL, 0 },
    { "/local/domain/", 0, NULL, 0 }, /* XSA-481 */
    { "/a.b", 0, NULL, 0 },
    { "/a+b", 0, NULL, 0 },
    { "/a:b", 0, NULL, 0 },
    { "/a b", 0, NULL, 0 },
    { "/a\xc3\xa4", 0, NULL, 0 },
    { "/a\n", 0, NULL, 0 },
    { ".", 0, NULL, 0 },
    { "@releaseDomain", 0, NULL, 0 },
    { "@releaseDomain", SPECIAL, "@releaseDomain", 0 },
    { "@releaseDomain/3", SPECIAL, "@releaseDomain/3", 0 },
    { "@releaseDomain/", SPECIAL, NULL, 0 },
    { "@a//b", SPECIAL, NULL, 0 },
    { "/a", SPECIAL, "/a", 0 },
    { "a@", SPECIAL, "/local/domain/7/a@", 16 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      XdsPath path = { .len = 77, .skip = 78, .text = "untouched" };
      const char *text = cases[i].text;
      XdsStatus status = xds_path_init (&path, text, strlen (text), 7, 0, cases[i].flags);

      g_test_message ("\"%s\"", text);
      if (cases[i].canonical == NULL)
        {
          g_assert_cmpint (status, ==, XDS_EINVAL);
          g_assert_cmpstr (path.text, ==, "untouched");
          g_assert_cmpuint (path.len, ==, 77);
          g_assert_cmpuint (path.skip, ==, 78);
          continue;
        }
      g_assert_cmpint (status, ==, XDS_OK);
      g_assert_cmpstr (path.text, ==, cases[i].canonical);
      g_assert_cmpuint (path.len, ==, strlen (path.text));
      g_assert_cmpuint (path.skip, ==, cases[i].skip);
      g_assert_cmpint (xds_path_is_special (&path), ==, cases[i].canonical[0] == '@');
    }
}

/* A NUL inside the given length is an illegal letter like any other. */
static void
test_nul (void)
{
  XdsPath path;

  g_assert_cmpint (xds_path_init (&path, "/a\0b", 4, 0, 0, 0), ==, XDS_EINVAL);
  g_assert_cmpint (xds_path_init (&path, "/a\0", 3, 0, 0, 0), ==, XDS_EINVAL);
  g_assert_cmpint (xds_path_init (&path, "/ab", 2, 0, 0, 0), ==, XDS_OK);
  g_assert_cmpstr (path.text, ==, "/a");
}

static XdsStatus
init_long (const char *prefix, gsize total, guint rel_max)
{
  g_autofree char *text = g_malloc (total + 1);
  gsize start = strlen (prefix);
  XdsPath path;

  memset (text, 'x', total);
  memcpy (text, prefix, start);
  return xds_path_init (&path, text, total, 65535, rel_max, SPECIAL);
}

/* Proves the limits of length on both sides: the protocol's, and a peer's own quota, which
   counts in a domain's home only what is behind the home. */
static void
test_lengths (void)
{
  const gsize home = strlen ("/local/domain/12/");

  g_assert_cmpint (init_long ("/", XDS_PATH_ABS_MAX, 0), ==, XDS_OK);
  g_assert_cmpint (init_long ("/", XDS_PATH_ABS_MAX + 1, 0), ==, XDS_EINVAL);
  g_assert_cmpint (init_long ("x", XDS_PATH_REL_MAX, 0), ==, XDS_OK);
  g_assert_cmpint (init_long ("x", XDS_PATH_REL_MAX + 1, 0), ==, XDS_EINVAL);
  g_assert_cmpint (init_long ("@x", XDS_PATH_ABS_MAX + 1, 0), ==, XDS_EINVAL);
  g_assert_cmpint (init_long ("/", 100, 100), ==, XDS_OK);
  g_assert_cmpint (init_long ("/", 101, 100), ==, XDS_EINVAL);
  g_assert_cmpint (init_long ("x", 100, 100), ==, XDS_OK);
  g_assert_cmpint (init_long ("x", 101, 100), ==, XDS_EINVAL);
  g_assert_cmpint (init_long ("@x", 101, 100), ==, XDS_EINVAL);
  g_assert_cmpint (init_long ("/local/domain/12/", home + 100, 100), ==, XDS_OK);
  g_assert_cmpint (init_long ("/local/domain/12/", home + 101, 100), ==, XDS_EINVAL);
  g_assert_cmpint (init_long ("/local/domain/1x/", 101, 100), ==, XDS_EINVAL);
  g_assert_cmpint (init_long ("/local/domain/x/y", 101, 100), ==, XDS_EINVAL);
  g_assert_cmpint (init_long ("/local/domainx12/", 101, 100), ==, XDS_EINVAL);
  g_assert_cmpint (init_long ("x", XDS_PATH_REL_MAX + 1, 60000), ==, XDS_EINVAL);
  g_assert_cmpint (init_long ("/", XDS_PATH_ABS_MAX + 1, 60000), ==, XDS_EINVAL);
}

/* The checker: a path is good if cutting it at its slashes gives only names. */
static gboolean
naive_valid (const char *text, gsize len, gboolean special)
{
  g_autofree char *copy = g_strndup (text, len);
  g_auto (GStrv) parts = NULL;
  gboolean absolute = len > 0 && copy[0] == '/';

  if (strlen (copy) != len || len == 0 || (copy[0] == '@' && !special))
    return FALSE;
  if (g_str_equal (copy, "/"))
    return TRUE;
  parts = g_strsplit (copy + absolute, "/", -1);
  for (guint i = 0; parts[i] != NULL; i++)
    {
      if (*parts[i] == '\0')
        return FALSE;
      for (const char *p = parts[i]; *p != '\0'; p++)
        if (!g_ascii_isalnum (*p) && strchr ("-_@", *p) == NULL)
          return FALSE;
    }
  return TRUE;
}

/* Proves, over random strings, that code and checker agree, and that walking a canonical path
   by components, by parents and by depth tells the same story. */
static void
test_property (void)
{
  static const char alphabet[] = "//aZ09-_@.\0";

  for (guint round = 0; round < 200000; round++)
    {
      char text[12];
      gsize len = g_test_rand_int_range (0, sizeof text);
      gboolean special = g_test_rand_bit ();
      XdsPath path;
      XdsStatus status;

      for (gsize i = 0; i < len; i++)
        text[i] = alphabet[g_test_rand_int_range (0, sizeof alphabet - 1)];
      status = xds_path_init (&path, text, len, 3, 0, special ? SPECIAL : 0);
      g_assert_cmpint (status == XDS_OK, ==, naive_valid (text, len, special));
      if (status != XDS_OK || xds_path_is_special (&path))
        continue;
      g_assert_cmpmem (path.text + path.skip, path.len - path.skip, text, len);

      g_autoptr (GString) joined = g_string_new (NULL);
      gsize pos = 1, name_len, parent = path.len;
      const char *name;
      guint n = 0;

      while (xds_path_next (path.text, path.len, &pos, &name, &name_len))
        {
          g_assert_true (xds_path_valid_name (name, name_len));
          g_string_append_c (joined, '/');
          g_string_append_len (joined, name, name_len);
          n++;
        }
      g_assert_cmpstr (n > 0 ? joined->str : "/", ==, path.text);
      g_assert_cmpuint (xds_path_depth (path.text, path.len), ==, n);
      for (guint left = n; left > 0; left--)
        {
          parent = xds_path_parent_len (path.text, parent);
          g_assert_cmpuint (xds_path_depth (path.text, parent), ==, left - 1);
        }
      g_assert_cmpuint (parent, ==, 1);
      g_assert_cmpuint (xds_path_parent_len (path.text, n > 0 ? 1 : path.len), ==, 1);
    }
}

/* Proves what is a name: the alphabet byte by byte, no slash, not empty. */
static void
test_names (void)
{
  for (int c = 0; c < 256; c++)
    {
      char name[2] = { 'a', (char)c };
      gboolean good = c < 128 && c != 0 && (g_ascii_isalnum (c) || strchr ("-_@", c) != NULL);

      g_assert_cmpint (xds_path_valid_name (name, 2), ==, good);
      g_assert_cmpint (xds_path_valid_name (name + 1, 1), ==, good);
    }
  g_assert_false (xds_path_valid_name ("", 0));
  g_assert_false (xds_path_valid_name ("a/b", 3));
}

/* Proves the documented answers for the edges of the two small walkers. */
static void
test_parents (void)
{
  g_assert_cmpuint (xds_path_parent_len ("/x", 2), ==, 1);
  g_assert_cmpuint (xds_path_parent_len ("/x/yy", 5), ==, 2);
  g_assert_cmpuint (xds_path_parent_len ("@x", 2), ==, 0);
  g_assert_cmpuint (xds_path_depth ("/", 1), ==, 0);
  g_assert_cmpuint (xds_path_depth ("/x", 2), ==, 1);
  g_assert_cmpuint (xds_path_depth ("/x/yy", 5), ==, 2);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/wire/path/table", test_table);
  g_test_add_func ("/wire/path/nul", test_nul);
  g_test_add_func ("/wire/path/lengths", test_lengths);
  g_test_add_func ("/wire/path/property", test_property);
  g_test_add_func ("/wire/path/names", test_names);
  g_test_add_func ("/wire/path/parents", test_parents);
  return g_test_run ();
}
