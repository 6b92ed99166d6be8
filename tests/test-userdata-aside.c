/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Data beyond its ordinary life: export and import, soft reset, the last will, and the audit.
 */

#include "tests/userdata-world.h"
#include "userdata/audit.h"
#include "userdata/soft-reset.h"
#include "userdata/store-private.h"
#include "userdata/transfer.h"
#include "userdata/will.h"

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
  XdsUserdataStore *store; /* the world's */
  XdsUserdataKeeper *keeper;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->world = xds_userdata_world_new ();
  f->store = f->world->store;
  xds_userdata_store_set_durable (f->store, FALSE);
  xds_userdata_world_add (f->world, 0, 0);
  xds_userdata_world_add (f->world, 7, 7);
  f->keeper = xds_userdata_keeper_new (f->store, NULL, NULL);
}

static void
tear_down (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_clear_pointer (&f->keeper, xds_userdata_keeper_free);
  g_clear_pointer (&f->world, xds_userdata_world_free);
}

static void
start (Fixture *f)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (xds_userdata_keeper_start (f->keeper, &error));
  g_assert_no_error (error);
}

/* All that is due now. */
static void
turn (Fixture *f)
{
  for (guint i = 0; i < 4; i++)
    xds_userdata_keeper_dispatch (f->keeper);
}

static void
assert_stored (Fixture *f, guint domid, const char *userid, const char *expected)
{
  g_autofree char *text = xds_userdata_world_get (f->world, domid, userid);

  g_assert_cmpstr (text, ==, expected);
}

/* --- export and import --- */

/* Proves the format, byte for byte, as the header tells it. */
static void
test_export (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  static const char expected[] = "xds-userdata 1\nitem a%20%25 3\none\nitem b 4\ntwo\n\n"
                                 "item xl 1\n3\nend 3 ";
  g_autofree char *odd = xds_userdata_file_name ('d', 7, xds_test_uuid (7), "a %");
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) all = NULL;
  g_autoptr (GBytes) some = NULL;

  xds_userdata_world_write (f->world, odd, "one");
  xds_userdata_world_put (f->world, 7, "b", "two\n");
  xds_userdata_world_put (f->world, 7, "xl", "3");
  all = xds_userdata_store_export (f->store, 7, 0, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_bytes_get_size (all), ==, strlen (expected) + 64 + 1);
  g_assert_cmpmem (g_bytes_get_data (all, NULL), strlen (expected), expected, strlen (expected));
  some = xds_userdata_store_export (f->store, 7, XDS_USERDATA_TRANSFER_THIRD_PARTY, &error);
  g_assert_null (
      g_strstr_len (g_bytes_get_data (some, NULL), (gssize) g_bytes_get_size (some), "item xl"));
}

/* Proves that data travels to another domain, and that what is there is kept unless replacing is
   asked for. */
static void
test_import (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) archive = NULL;
  guint n = 99;

  xds_userdata_world_add (f->world, 8, 7);
  xds_userdata_world_put (f->world, 7, "a", "one");
  xds_userdata_world_put (f->world, 7, "b", "two");
  xds_userdata_world_put (f->world, 8, "b", "mine");
  archive = xds_userdata_store_export (f->store, 7, 0, &error);
  g_assert_true (xds_userdata_store_import (f->store, 8, archive, 0, &n, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (n, ==, 1);
  assert_stored (f, 8, "a", "one");
  assert_stored (f, 8, "b", "mine");
  g_assert_true (
      xds_userdata_store_import (f->store, 8, archive, XDS_USERDATA_TRANSFER_REPLACE, &n, &error));
  g_assert_cmpuint (n, ==, 2);
  assert_stored (f, 8, "b", "two");
}

/* Proves that an archive which was cut anywhere, or with any one byte changed, is refused whole. */
static void
test_import_damaged (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) archive = NULL;
  g_autofree guint8 *copy = NULL;
  gsize len;

  xds_userdata_world_put (f->world, 7, "a", "one");
  xds_userdata_world_put (f->world, 7, "b%", "two");
  archive = xds_userdata_store_export (f->store, 7, 0, &error);
  xds_userdata_world_add (f->world, 8, 8);
  copy = g_memdup2 (g_bytes_get_data (archive, &len), g_bytes_get_size (archive));
  for (gsize i = 0; i < 2 * len; i++)
    {
      g_autoptr (GBytes) bad = NULL;

      copy[i % len] ^= i < len ? 0 : 1;
      bad = g_bytes_new (copy, i < len ? i : len);
      copy[i % len] ^= i < len ? 0 : 1;
      g_assert_false (xds_userdata_store_import (f->store, 8, bad, 0, NULL, &error));
      g_assert_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_BAD_ARCHIVE);
      g_clear_error (&error);
    }
  assert_stored (f, 8, "a", NULL);
}

/* --- soft reset --- */

/* What libxl does meanwhile, by its own rules. */
static void
libxl_soft_reset (Fixture *f)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (xds_userdata_store_destroy_all (f->store, 7, &error));
  g_assert_no_error (error);
}

/* Proves that third-party data is back after a soft reset, that newer data wins over it, that
   libxl's own is left to libxl, and that nothing is left aside. */
static void
test_soft_reset (Fixture *f, gconstpointer data)
{
  gboolean restart = data != NULL;
  XdsUserdataDomain *domain = g_hash_table_lookup (f->world->domains, GUINT_TO_POINTER (7));
  g_autofree char *ls = NULL;

  start (f);
  xds_userdata_world_put (f->world, 7, "note", "old");
  xds_userdata_world_put (f->world, 7, "tag", "old");
  xds_userdata_world_put (f->world, 7, "xl", "old");
  domain->shutdown = domain->soft_reset = TRUE;
  xds_userdata_keeper_soft_reset (f->keeper, 7);
  libxl_soft_reset (f);
  turn (f);
  assert_stored (f, 7, "note", NULL);
  xds_userdata_world_put (f->world, 7, "tag", "new");
  domain->shutdown = domain->soft_reset = FALSE;
  if (restart)
    {
      xds_userdata_keeper_free (f->keeper);
      f->keeper = xds_userdata_keeper_new (f->store, NULL, NULL);
      start (f);
    }
  else
    xds_userdata_keeper_introduced (f->keeper, 7);
  turn (f);
  assert_stored (f, 7, "note", "old");
  assert_stored (f, 7, "tag", "new");
  assert_stored (f, 7, "xl", NULL);
  libxl_soft_reset (f);
  xds_userdata_keeper_introduced (f->keeper, 7);
  turn (f);
  ls = xds_userdata_world_ls (f->world);
  g_assert_cmpstr (ls, ==, XDS_USERDATA_KEPT);
}

/* Proves that the start of a domain, which may be the end of a reset, does not cost a list of all
   domains, and that what could not be put back because somebody had the lock is put back later. */
static void
test_introduced (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  XdsUserdataDomain *domain = g_hash_table_lookup (f->world->domains, GUINT_TO_POINTER (7));
  g_autoptr (GError) error = NULL;
  XdsUserdataLock *lock;
  guint listed;

  start (f);
  xds_userdata_world_put (f->world, 7, "note", "old");
  domain->shutdown = domain->soft_reset = TRUE;
  xds_userdata_keeper_soft_reset (f->keeper, 7);
  turn (f);
  libxl_soft_reset (f);
  turn (f);
  domain->shutdown = domain->soft_reset = FALSE;
  listed = f->world->listed;
  lock = xds_userdata_lock_domain (f->store, domain, XDS_USERDATA_LOCK_TRY, TRUE, &error);
  g_assert_no_error (error);
  xds_userdata_keeper_introduced (f->keeper, 0);
  xds_userdata_keeper_introduced (f->keeper, 7);
  xds_userdata_keeper_dispatch (f->keeper);
  g_assert_cmpuint (f->world->listed, ==, listed);
  assert_stored (f, 7, "note", NULL);
  xds_userdata_lock_release (lock);
  while (xds_userdata_keeper_next (f->keeper) >= 0)
    turn (f);
  assert_stored (f, 7, "note", "old");
}

/* Proves the same where nobody tells the keeper more than that some domain changed. */
static void
test_soft_reset_unaided (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  XdsUserdataDomain *domain = g_hash_table_lookup (f->world->domains, GUINT_TO_POINTER (7));

  start (f);
  for (guint i = 0; i < 2; i++)
    {
      xds_userdata_world_put (f->world, 7, "note", i == 0 ? "first" : "second");
      domain->shutdown = domain->soft_reset = TRUE;
      xds_userdata_keeper_kick (f->keeper);
      turn (f);
      libxl_soft_reset (f);
      turn (f);
      domain->shutdown = domain->soft_reset = FALSE;
      xds_userdata_keeper_kick (f->keeper);
      turn (f);
      xds_userdata_world_put (f->world, 7, "libxl-json", "{}");
      turn (f);
      assert_stored (f, 7, "note", i == 0 ? "first" : "second");
      assert_stored (f, 7, "libxl-json", "{}");
    }
}

/* Proves that what was kept for a domain that never came back goes. */
static void
test_soft_reset_dies (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *kept
      = g_strdup_printf (XDS_USERDATA_KEPT "/userdata-d.7.%s.note", xds_test_uuid (7));

  start (f);
  xds_userdata_world_put (f->world, 7, "note", "old");
  xds_userdata_keeper_soft_reset (f->keeper, 7);
  g_assert_true (xds_userdata_world_has (f->world, kept));
  xds_userdata_world_kill (f->world, 7);
  xds_userdata_keeper_kick (f->keeper);
  turn (f);
  g_assert_false (xds_userdata_world_has (f->world, kept));
}

/* --- the last will --- */

static char *
wills (Fixture *f)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) legacies = xds_userdata_will_list (f->store, &error);
  GString *text = g_string_new (NULL);

  g_assert_no_error (error);
  for (guint i = 0; i < legacies->len; i++)
    {
      XdsUserdataLegacy *legacy = legacies->pdata[i];
      g_autoptr (GBytes) bytes = xds_userdata_will_get (f->store, legacy, &error);

      g_assert_no_error (error);
      g_string_append_printf (text, "%u/%s=%.*s ", legacy->owner.domid, legacy->userid,
                              (int) g_bytes_get_size (bytes),
                              (const char *) g_bytes_get_data (bytes, NULL));
    }
  return g_string_free (text, FALSE);
}

/* Proves that a dead domain's last version of each item can be read after death, also when libxl
   removed it first as its destroy does, and also what no event told of. */
static void
test_will (Fixture *f, gconstpointer data)
{
  gboolean by_libxl = data != NULL;
  g_autofree char *text = NULL;

  xds_userdata_world_put (f->world, 7, "before", "0");
  xds_userdata_keeper_set_will (f->keeper, 3600);
  start (f);
  turn (f);
  xds_userdata_world_put (f->world, 7, "note", "1");
  turn (f);
  xds_userdata_world_put (f->world, 7, "note", "2");
  xds_userdata_world_put (f->world, 0, "host", "lives");
  turn (f);
  if (by_libxl)
    libxl_soft_reset (f);
  else
    xds_userdata_world_put (f->world, 7, "unheard", "3");
  xds_userdata_world_kill (f->world, 7);
  xds_userdata_keeper_kick (f->keeper);
  turn (f);
  text = wills (f);
  g_assert_cmpstr (text, ==,
                   by_libxl ? "7/before=0 7/note=2 " : "7/before=0 7/note=2 7/unheard=3 ");
  /* It comes back by itself, at the latest when the will's time is over. */
  g_assert_cmpint (xds_userdata_keeper_next (f->keeper), >=, 0);
  g_assert_cmpint (xds_userdata_keeper_next (f->keeper), <=,
                   g_get_monotonic_time () + (gint64) 3600 * G_USEC_PER_SEC);
}

/* Proves that a will ends with its time, and one from a future that never came as well. */
static void
test_will_ends (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  const gint64 now = g_get_real_time () / G_USEC_PER_SEC;
  const gint64 died[] = { now - 100, now - 5000, now + 5000 };
  g_autofree char *text = NULL;

  xds_userdata_keeper_set_will (f->keeper, 3600);
  for (guint i = 0; i < G_N_ELEMENTS (died); i++)
    {
      g_autofree char *name
          = g_strdup_printf (XDS_USERDATA_WILL "/%" G_GINT64_FORMAT ".userdata-d.9.%s.%u", died[i],
                             xds_test_uuid (9), i);

      xds_userdata_world_write (f->world, name, "x");
    }
  start (f);
  turn (f);
  text = wills (f);
  g_assert_cmpstr (text, ==, "9/0=x ");
}

/* --- audit --- */

static char *
audit (Fixture *f, gboolean fix)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) findings = xds_userdata_store_audit (f->store, fix, &error);
  g_autoptr (GPtrArray) lines = g_ptr_array_new_with_free_func (g_free);

  g_assert_no_error (error);
  for (guint i = 0; i < findings->len; i++)
    {
      XdsAuditFinding *finding = findings->pdata[i];

      g_ptr_array_add (lines, g_strdup_printf ("%u:%s%s", finding->domid,
                                               xds_audit_kind_name (finding->kind),
                                               finding->fixed ? "!" : ""));
    }
  g_ptr_array_add (lines, NULL);
  return g_strjoinv (" ", (char **) lines->pdata);
}

static void
leave (Fixture *f, char letter, guint domid, guint uuid, const char *userid, const char *text)
{
  g_autofree char *name = xds_userdata_file_name (letter, domid, xds_test_uuid (uuid), userid);
  g_autofree char *path = g_build_filename (f->world->folder, name, NULL);
  struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = 0 } };

  times[1].tv_sec = g_get_real_time () / G_USEC_PER_SEC - 120;
  xds_userdata_world_write (f->world, name, text);
  g_assert_cmpint (utimensat (AT_FDCWD, path, times, 0), ==, 0);
}

/* Proves that an audit finds each kind of trouble and changes nothing, that --fix mends all that
   is not its owner's to mend, and that a second one then finds only that. */
static void
test_audit (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  static const char left[] = "0:other-uuid 7:bad-name 7:empty";
  g_autofree char *before = NULL;
  g_autofree char *found = NULL;
  g_autofree char *after = NULL;
  g_autofree char *fixed = NULL;
  g_autofree char *again = NULL;

  xds_userdata_world_put (f->world, 7, "good", "1");
  leave (f, 'd', 0, 99, "xl", "before sethandle");
  leave (f, 'd', 7, 8, "xl", "old uuid");
  leave (f, 'd', 9, 9, "xl", "orphan");
  leave (f, 'n', 7, 7, "cut", "half");
  leave (f, 'l', 7, 7, "qmp-socket-lock", "");
  leave (f, 'd', 7, 7, "cut", "");
  leave (f, 'd', 7, 7, "a b", "x");
  before = xds_userdata_world_ls (f->world);
  found = audit (f, FALSE);
  after = xds_userdata_world_ls (f->world);
  g_assert_cmpstr (found, ==,
                   "0:other-uuid 7:bad-name 7:empty 7:other-uuid 9:orphan 7:stale-lock 7:leftover");
  g_assert_cmpstr (before, ==, after);
  fixed = audit (f, TRUE);
  g_assert_cmpstr (
      fixed, ==,
      "0:other-uuid 7:bad-name 7:empty 7:other-uuid! 9:orphan! 7:stale-lock! 7:leftover!");
  again = audit (f, FALSE);
  g_assert_cmpstr (again, ==, left);
  assert_stored (f, 7, "good", "1");
}

/* Proves that --fix removes nothing of a number in use where the hypervisor tells no uuid. */
static void
test_audit_no_uuid (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  XdsUserdataDomain *domain = g_hash_table_lookup (f->world->domains, GUINT_TO_POINTER (7));
  g_autofree char *found = NULL;

  leave (f, 'd', 7, 7, "xl", "alive");
  leave (f, 'd', 9, 9, "xl", "orphan");
  domain->uuid[0] = '\0';
  found = audit (f, TRUE);
  g_assert_cmpstr (found, ==, "9:orphan!");
}

/* Proves that --fix does not break a lock that somebody holds. */
static void
test_audit_held_lock (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *name
      = xds_userdata_file_name ('l', 7, xds_test_uuid (7), "libxl-device-changes-lock");
  g_autofree char *path = g_build_filename (f->world->folder, name, NULL);
  g_autofree char *found = NULL;
  int fd;

  leave (f, 'l', 7, 7, "libxl-device-changes-lock", "");
  fd = open (path, O_RDWR | O_CLOEXEC);
  g_assert_cmpint (flock (fd, LOCK_EX), ==, 0);
  found = audit (f, TRUE);
  g_assert_cmpstr (found, ==, "7:stale-lock");
  g_assert_true (xds_userdata_world_has (f->world, name));
  g_assert_cmpint (close (fd), ==, 0);
}

#define ADD(name, data, func) g_test_add (name, Fixture, data, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("/userdata/transfer/export", NULL, test_export);
  ADD ("/userdata/transfer/import", NULL, test_import);
  ADD ("/userdata/transfer/damaged", NULL, test_import_damaged);
  ADD ("/userdata/soft-reset/survives", NULL, test_soft_reset);
  ADD ("/userdata/soft-reset/over-restart", "restart", test_soft_reset);
  ADD ("/userdata/soft-reset/introduced", NULL, test_introduced);
  ADD ("/userdata/soft-reset/unaided", NULL, test_soft_reset_unaided);
  ADD ("/userdata/soft-reset/dies", NULL, test_soft_reset_dies);
  ADD ("/userdata/will/killed", NULL, test_will);
  ADD ("/userdata/will/destroyed-by-libxl", "libxl", test_will);
  ADD ("/userdata/will/ends", NULL, test_will_ends);
  ADD ("/userdata/audit/all", NULL, test_audit);
  ADD ("/userdata/audit/held-lock", NULL, test_audit_held_lock);
  ADD ("/userdata/audit/no-uuid", NULL, test_audit_no_uuid);
  return g_test_run ();
}
