/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The blob store, over real files in a temporary folder.
 */

#include "tests/userdata-world.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct
{
  XdsUserdataWorld *world;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->world = xds_userdata_world_new ();
  xds_userdata_world_add (f->world, 0, 0);
  xds_userdata_world_add (f->world, 7, 7);
  xds_userdata_store_set_timeout (f->world->store, 20 * 1000);
}

static void
tear_down (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_clear_pointer (&f->world, xds_userdata_world_free);
}

static XdsUserdataError
put_fails (XdsUserdataStore *store, guint domid, const char *userid, const char *text)
{
  g_autoptr (GBytes) bytes = g_bytes_new (text, strlen (text));
  g_autoptr (GError) error = NULL;
  guint64 generation = 4711;

  g_assert_false (xds_userdata_store_put (store, domid, userid, bytes, &generation, &error));
  g_assert_nonnull (error);
  g_assert_true (error->domain == XDS_USERDATA_ERROR);
  g_assert_cmpuint (generation, ==, 4711);
  return error->code;
}

static XdsUserdataError
get_fails (XdsUserdataStore *store, guint domid, const char *userid)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (xds_userdata_store_get (store, domid, userid, NULL, &error));
  g_assert_true (error->domain == XDS_USERDATA_ERROR);
  return error->code;
}

static char *
path_of (Fixture *f, char letter, guint domid, const char *userid)
{
  g_autofree char *name = xds_userdata_file_name (letter, domid, xds_test_uuid (domid), userid);

  return g_build_filename (f->world->folder, name, NULL);
}

/* Proves that data is kept byte for byte in libxl's file, readable by root alone, and that neither
   lock nor new file stays behind. */
static void
test_put_get (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  static const char blob[] = "a\0b\n\xff";
  g_autoptr (GBytes) bytes = g_bytes_new_static (blob, sizeof blob);
  g_autoptr (GBytes) back = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *ls = NULL;
  g_autofree char *path = path_of (f, 'd', 7, "xl");
  guint64 put_generation = 0, get_generation = 1;
  GStatBuf st;

  g_assert_true (xds_userdata_store_put (f->world->store, 7, "xl", bytes, &put_generation, &error));
  back = xds_userdata_store_get (f->world->store, 7, "xl", &get_generation, &error);
  g_assert_no_error (error);
  g_assert_true (g_bytes_equal (bytes, back));
  g_assert_cmpuint (put_generation, ==, get_generation);
  ls = xds_userdata_world_ls (f->world);
  g_assert_cmpstr (ls, ==, "userdata-d.7.5a1ad000-0000-4000-8000-000000000007.xl");
  g_assert_cmpint (g_stat (path, &st), ==, 0);
  g_assert_cmpuint (st.st_mode & 07777, ==, 0600);
  g_assert_cmpint (st.st_size, ==, sizeof blob);
}

/* Proves that replacing leaves one file, with the new bytes, and another generation even for the
   same bytes. */
static void
test_replace (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  guint64 a = xds_userdata_world_put (f->world, 7, "note", "one");
  guint64 b = xds_userdata_world_put (f->world, 7, "note", "two");
  g_autofree char *text = xds_userdata_world_get (f->world, 7, "note");

  g_assert_cmpstr (text, ==, "two");
  g_assert_cmpuint (a, !=, b);
  g_assert_cmpuint (b, !=, XDS_USERDATA_NONE);
}

/* Proves that absent, empty and no such domain are three different answers. */
static void
test_nothing_there (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *name = xds_userdata_file_name ('d', 7, xds_test_uuid (7), "cut");

  xds_userdata_world_write (f->world, name, "");
  g_assert_cmpint (get_fails (f->world->store, 7, "none"), ==, XDS_USERDATA_ERROR_ABSENT);
  g_assert_cmpint (get_fails (f->world->store, 7, "cut"), ==, XDS_USERDATA_ERROR_EMPTY);
  g_assert_cmpint (get_fails (f->world->store, 8, "none"), ==, XDS_USERDATA_ERROR_NO_DOMAIN);
  g_assert_cmpint (put_fails (f->world->store, 8, "x", "y"), ==, XDS_USERDATA_ERROR_NO_DOMAIN);
}

/* Proves that storing no bytes removes, twice without complaint, while remove says absent. */
static void
test_remove (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GBytes) none = g_bytes_new (NULL, 0);
  g_autoptr (GError) error = NULL;
  g_autofree char *ls = NULL;
  guint64 generation = 4711;

  xds_userdata_world_put (f->world, 7, "a", "1");
  xds_userdata_world_put (f->world, 7, "b", "1");
  for (guint i = 0; i < 2; i++)
    g_assert_true (xds_userdata_store_put (f->world->store, 7, "a", none, &generation, &error));
  g_assert_cmpuint (generation, ==, XDS_USERDATA_NONE);
  g_assert_true (xds_userdata_store_remove (f->world->store, 7, "b", &error));
  g_assert_no_error (error);
  g_assert_false (xds_userdata_store_remove (f->world->store, 7, "b", &error));
  g_assert_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_ABSENT);
  ls = xds_userdata_world_ls (f->world);
  g_assert_cmpstr (ls, ==, "");
}

/* Proves that a bad name is refused by storing, and that nothing is made for it. */
static void
test_bad_name (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *ls = NULL;

  g_assert_cmpint (put_fails (f->world->store, 7, "../x", "y"), ==, XDS_USERDATA_ERROR_BAD_NAME);
  g_assert_cmpint (put_fails (f->world->store, 7, "", "y"), ==, XDS_USERDATA_ERROR_BAD_NAME);
  g_assert_cmpint (get_fails (f->world->store, 7, "a/b"), ==, XDS_USERDATA_ERROR_BAD_NAME);
  ls = xds_userdata_world_ls (f->world);
  g_assert_cmpstr (ls, ==, "");
}

/* Proves that list tells each item once, in order, with size and the generation that get tells,
   of this domain only. */
static void
test_list (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GPtrArray) items = NULL;
  g_autoptr (XdsUserdataItem) item = NULL;
  g_autoptr (GError) error = NULL;
  guint64 generation = xds_userdata_world_put (f->world, 7, "b", "22");

  xds_userdata_world_put (f->world, 7, "a.b", "1");
  xds_userdata_world_put (f->world, 0, "c", "333");
  items = xds_userdata_store_list (f->world->store, 7, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (items->len, ==, 2);
  g_assert_cmpstr (((XdsUserdataItem *) items->pdata[0])->userid, ==, "a.b");
  g_assert_cmpstr (((XdsUserdataItem *) items->pdata[1])->userid, ==, "b");
  g_assert_cmpuint (((XdsUserdataItem *) items->pdata[1])->size, ==, 2);
  g_assert_cmpuint (((XdsUserdataItem *) items->pdata[1])->generation, ==, generation);
  item = xds_userdata_store_stat (f->world->store, 7, "b", &error);
  g_assert_cmpuint (item->generation, ==, generation);
  g_assert_cmpint (ABS (item->mtime - g_get_real_time ()), <, 600 * G_USEC_PER_SEC);
}

/* Proves that destroy-all takes every file of one domain, leftovers and unknown letters too, and
   none of another. */
static void
test_destroy_all (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *left = xds_userdata_file_name ('n', 7, xds_test_uuid (7), "cut");
  g_autofree char *odd = xds_userdata_file_name ('q', 7, xds_test_uuid (7), "x y");
  g_autofree char *ls = NULL;
  g_autoptr (GError) error = NULL;

  xds_userdata_world_put (f->world, 7, "a", "1");
  xds_userdata_world_put (f->world, 0, "a", "1");
  xds_userdata_world_write (f->world, left, "half");
  xds_userdata_world_write (f->world, odd, "?");
  g_assert_true (xds_userdata_store_destroy_all (f->world->store, 7, &error));
  ls = xds_userdata_world_ls (f->world);
  g_assert_cmpstr (ls, ==, "userdata-d.0.5a1ad000-0000-4000-8000-000000000000.a");
}

/* --- conditions --- */

static gboolean
put_if (Fixture *f, const char *text, guint64 generation, guint64 *ret_generation)
{
  g_autoptr (GBytes) bytes = g_bytes_new (text, strlen (text));
  g_autoptr (GError) error = NULL;

  if (xds_userdata_store_put_if (f->world->store, 7, "cas", bytes, generation, ret_generation,
                                 &error))
    return TRUE;
  g_assert_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_CHANGED);
  return FALSE;
}

/* Proves that a conditional store happens if and only if what it names is there. */
static void
test_compare_and_store (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *text = NULL;
  guint64 first = 0, second = 0;

  g_assert_false (put_if (f, "x", 12345, NULL));
  g_assert_true (put_if (f, "one", XDS_USERDATA_NONE, &first));
  g_assert_false (put_if (f, "again", XDS_USERDATA_NONE, NULL));
  g_assert_true (put_if (f, "two", first, &second));
  g_assert_false (put_if (f, "three", first, NULL));
  text = xds_userdata_world_get (f->world, 7, "cas");
  g_assert_cmpstr (text, ==, "two");
  g_assert_false (put_if (f, "", first, NULL));
  g_assert_true (put_if (f, "", second, NULL));
  g_assert_false (put_if (f, "x", second, NULL));
  g_assert_null (xds_userdata_world_get (f->world, 7, "cas"));
}

/* Proves that of many quick stores, whose inodes and times are reused, no two that differ share a
   generation. */
static void
test_generations_differ (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);

  xds_userdata_store_set_durable (f->world->store, FALSE);
  for (guint i = 0; i < 500; i++)
    {
      g_autofree char *text = g_strdup_printf ("%08u", i);
      guint64 *generation = g_new (guint64, 1);

      *generation = xds_userdata_world_put (f->world, 7, "quick", text);
      g_assert_true (g_hash_table_add (seen, generation));
    }
}

static GBytes *
add_one (GBytes *old, gpointer data, GError **error G_GNUC_UNUSED)
{
  guint n = old != NULL ? (guint) g_ascii_strtoull (g_bytes_get_data (old, NULL), NULL, 10) : 0;
  char *text = g_strdup_printf ("%u\n", n + 1);

  (*(guint *) data)++;
  return g_bytes_new_take (text, strlen (text));
}

typedef struct
{
  XdsUserdataStore *store;
  guint calls, rounds;
} Adder;

static gpointer
add_many (gpointer data)
{
  Adder *adder = data;

  for (guint i = 0; i < adder->rounds; i++)
    {
      g_autoptr (GError) error = NULL;

      xds_userdata_store_update (adder->store, 7, "count", add_one, &adder->calls, NULL, &error);
      g_assert_no_error (error);
    }
  return NULL;
}

/* Proves that read-modify-write from several threads at once loses no update. */
static void
test_update (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  Adder adders[3];
  GThread *threads[3];
  g_autofree char *text = NULL;

  xds_userdata_store_set_timeout (f->world->store, XDS_USERDATA_LOCK_FOREVER);
  xds_userdata_store_set_durable (f->world->store, FALSE);
  for (guint i = 0; i < 3; i++)
    {
      adders[i] = (Adder){ .store = f->world->store, .rounds = 100 };
      threads[i] = g_thread_new ("adder", add_many, &adders[i]);
    }
  for (guint i = 0; i < 3; i++)
    g_thread_join (threads[i]);
  text = xds_userdata_world_get (f->world, 7, "count");
  g_assert_cmpstr (text, ==, "300\n");
}

static GBytes *
refuse (GBytes *old, gpointer data, GError **error)
{
  g_assert_true ((old == NULL) == (data == NULL));
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "no");
  return NULL;
}

/* Proves that an update which its function gives up leaves everything as it was. */
static void
test_update_refused (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;

  g_assert_false (xds_userdata_store_update (f->world->store, 7, "u", refuse, NULL, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  xds_userdata_world_put (f->world, 7, "u", "old");
  g_assert_false (xds_userdata_store_update (f->world->store, 7, "u", refuse, f, NULL, &error));
  text = xds_userdata_world_get (f->world, 7, "u");
  g_assert_cmpstr (text, ==, "old");
}

/* --- limits --- */

/* Proves that each limit is met exactly, says which it is, and lets a replacement through that
   does not grow past it. */
static void
test_limits (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  XdsUserdataStore *store = f->world->store;

  xds_userdata_store_set_limits (store, &(XdsUserdataLimits){ 10, 3, 20 });
  xds_userdata_world_put (f->world, 7, "a", "0123456789");
  g_assert_cmpint (put_fails (store, 7, "b", "0123456789a"), ==, XDS_USERDATA_ERROR_TOO_LARGE);
  xds_userdata_world_put (f->world, 7, "b", "012345678");
  g_assert_cmpint (put_fails (store, 7, "c", "ab"), ==, XDS_USERDATA_ERROR_DOMAIN_FULL);
  xds_userdata_world_put (f->world, 7, "c", "a");
  xds_userdata_world_put (f->world, 7, "c", "b");
  g_assert_cmpint (put_fails (store, 7, "d", "d"), ==, XDS_USERDATA_ERROR_TOO_MANY);
  xds_userdata_world_put (f->world, 0, "d", "other");
}

/* Proves that libxl's own files count, but are never refused themselves. */
static void
test_limits_spare_libxl (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  XdsUserdataStore *store = f->world->store;

  xds_userdata_store_set_limits (store, &(XdsUserdataLimits){ 10, 2, 20 });
  xds_userdata_world_put (f->world, 7, "libxl-json", "a configuration that is long");
  xds_userdata_world_put (f->world, 7, "xl", "another one that is long");
  xds_userdata_world_put (f->world, 7, "libvirt-xml", "and one more");
  g_assert_cmpint (put_fails (store, 7, "note", "n"), ==, XDS_USERDATA_ERROR_TOO_MANY);
  xds_userdata_store_set_limits (store, &(XdsUserdataLimits){ 10, 0, 20 });
  g_assert_cmpint (put_fails (store, 7, "note", "n"), ==, XDS_USERDATA_ERROR_DOMAIN_FULL);
  xds_userdata_store_set_limits (store, &(XdsUserdataLimits){ 0 });
  xds_userdata_world_put (f->world, 7, "note", "not limited at all");
}

/* --- what lies in the folder --- */

/* Proves that a symbolic link, a folder or a pipe under the name of data is refused, without
   waiting, and neither it nor what it leads to is changed. */
static void
test_not_regular (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *link = path_of (f, 'd', 7, "link");
  g_autofree char *folder = path_of (f, 'd', 7, "folder");
  g_autofree char *pipe = path_of (f, 'd', 7, "pipe");
  g_autofree char *target = NULL;
  const char *userids[] = { "link", "folder", "pipe" };

  xds_userdata_world_write (f->world, "target", "precious");
  g_assert_cmpint (symlink ("target", link), ==, 0);
  g_assert_cmpint (g_mkdir (folder, 0700), ==, 0);
  g_assert_cmpint (mkfifo (pipe, 0600), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (userids); i++)
    {
      g_assert_cmpint (get_fails (f->world->store, 7, userids[i]), ==,
                       XDS_USERDATA_ERROR_NOT_REGULAR);
      g_assert_cmpint (put_fails (f->world->store, 7, userids[i], "x"), ==,
                       XDS_USERDATA_ERROR_NOT_REGULAR);
    }
  target = xds_userdata_world_read (f->world, "target");
  g_assert_cmpstr (target, ==, "precious");
}

/* Proves that a link planted as the new file is not written through. */
static void
test_planted_new_file (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *via = path_of (f, 'n', 7, "x");
  g_autofree char *target = NULL;
  g_autofree char *text = NULL;

  xds_userdata_world_write (f->world, "target", "precious");
  g_assert_cmpint (symlink ("target", via), ==, 0);
  xds_userdata_world_put (f->world, 7, "x", "mine");
  target = xds_userdata_world_read (f->world, "target");
  text = xds_userdata_world_get (f->world, 7, "x");
  g_assert_cmpstr (target, ==, "precious");
  g_assert_cmpstr (text, ==, "mine");
}

/* Proves that files of another user are neither believed nor replaced. */
static void
test_foreign_owner (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *name = xds_userdata_file_name ('d', 7, xds_test_uuid (7), "theirs");
  g_autofree char *path = path_of (f, 'd', 7, "theirs");

  if (geteuid () != 0)
    {
      g_test_skip ("only root can give files away");
      return;
    }
  xds_userdata_world_write (f->world, name, "x");
  g_assert_cmpint (chown (path, 65534, 65534), ==, 0);
  g_assert_cmpint (get_fails (f->world->store, 7, "theirs"), ==, XDS_USERDATA_ERROR_FOREIGN);
  g_assert_cmpint (put_fails (f->world->store, 7, "theirs", "y"), ==, XDS_USERDATA_ERROR_FOREIGN);
}

/* Proves that a folder that is missing, or was removed, is said to be what is missing. */
static void
test_no_folder (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  XdsUserdataHypervisor nobody = { 0 };
  g_autofree char *path = g_build_filename (f->world->folder, "none", NULL);
  g_autoptr (GError) error = NULL;

  g_assert_null (xds_userdata_store_new (path, &nobody, &error));
  g_assert_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_NO_FOLDER);
  g_assert_cmpint (g_rmdir (f->world->folder), ==, 0);
  g_assert_cmpint (put_fails (f->world->store, 7, "x", "y"), ==, XDS_USERDATA_ERROR_NO_FOLDER);
}

/* --- the domain's life --- */

/* Proves that a domain being torn down can be read and cleaned, but not stored for. */
static void
test_dying (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  XdsUserdataDomain *domain = g_hash_table_lookup (f->world->domains, GUINT_TO_POINTER (7));
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;

  xds_userdata_world_put (f->world, 7, "x", "last words");
  domain->dying = TRUE;
  g_assert_cmpint (put_fails (f->world->store, 7, "x", "more"), ==, XDS_USERDATA_ERROR_NO_DOMAIN);
  text = xds_userdata_world_get (f->world, 7, "x");
  g_assert_cmpstr (text, ==, "last words");
  g_assert_true (xds_userdata_store_remove (f->world->store, 7, "x", &error));
}

static void
reuse_domid (XdsUserdataWorld *world, guint domid)
{
  if (world->asked == GPOINTER_TO_UINT (world->fault_data))
    xds_userdata_world_add (world, domid, 99);
}

/* Proves that a domain which dies between any two questions of a call, with its number given to
   another, gets nothing stored and hands nothing out. */
static void
test_domid_reused (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  xds_userdata_world_put (f->world, 7, "x", "mine");
  f->world->on_ask = reuse_domid;
  for (guint i = 2; i <= 3; i++)
    {
      xds_userdata_world_add (f->world, 7, 7);
      f->world->asked = 0;
      f->world->fault_data = GUINT_TO_POINTER (i);
      g_assert_cmpint (put_fails (f->world->store, 7, "x", "y"), ==, XDS_USERDATA_ERROR_NO_DOMAIN);
    }
  xds_userdata_world_add (f->world, 7, 7);
  f->world->asked = 0;
  f->world->fault_data = GUINT_TO_POINTER (2);
  g_assert_cmpint (get_fails (f->world->store, 7, "x"), ==, XDS_USERDATA_ERROR_NO_DOMAIN);
}

/* Proves that a hypervisor which does not answer is not taken for one without domains. */
static void
test_hypervisor_down (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->world->down = TRUE;
  g_assert_cmpint (put_fails (f->world->store, 7, "x", "y"), ==, XDS_USERDATA_ERROR_FAILED);
}

/* Proves that data of an earlier boot is not handed out before the keeper has come, while data of
   this boot and domain 0's are. */
static void
test_earlier_boot (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *text = NULL;
  g_autofree char *own = NULL;

  xds_userdata_world_put (f->world, 7, "x", "mine");
  xds_userdata_world_put (f->world, 0, "x", "host");
  xds_userdata_world_write (f->world, "userdata-m.boot", "22222222-2222-4222-8222-222222222222\n");
  text = xds_userdata_world_get (f->world, 7, "x");
  g_assert_cmpstr (text, ==, "mine");
  f->world->booted = g_get_real_time () + 10 * G_USEC_PER_SEC;
  g_assert_null (xds_userdata_world_get (f->world, 7, "x"));
  own = xds_userdata_world_get (f->world, 0, "x");
  g_assert_cmpstr (own, ==, "host");
}

#define ADD(name, func) g_test_add (name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("/userdata/store/put-get", test_put_get);
  ADD ("/userdata/store/replace", test_replace);
  ADD ("/userdata/store/nothing-there", test_nothing_there);
  ADD ("/userdata/store/remove", test_remove);
  ADD ("/userdata/store/bad-name", test_bad_name);
  ADD ("/userdata/store/list", test_list);
  ADD ("/userdata/store/destroy-all", test_destroy_all);
  ADD ("/userdata/store/compare-and-store", test_compare_and_store);
  ADD ("/userdata/store/generations-differ", test_generations_differ);
  ADD ("/userdata/store/update", test_update);
  ADD ("/userdata/store/update-refused", test_update_refused);
  ADD ("/userdata/store/limits", test_limits);
  ADD ("/userdata/store/limits-spare-libxl", test_limits_spare_libxl);
  ADD ("/userdata/store/not-regular", test_not_regular);
  ADD ("/userdata/store/planted-new-file", test_planted_new_file);
  ADD ("/userdata/store/foreign-owner", test_foreign_owner);
  ADD ("/userdata/store/no-folder", test_no_folder);
  ADD ("/userdata/store/dying", test_dying);
  ADD ("/userdata/store/domid-reused", test_domid_reused);
  ADD ("/userdata/store/hypervisor-down", test_hypervisor_down);
  ADD ("/userdata/store/earlier-boot", test_earlier_boot);
  return g_test_run ();
}
