/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The library's calls that are made of others, in their asynchronous forms, and userdata without a
 * GLib main loop: each does what its synchronous form does, and fails as that does.  And which
 * limit a guest met, told by each form.
 */

#include "tests/async.h"
#include "tests/store-server.h"

#include <glib/gstdio.h>
#include <libglib-testing/signal-logger.h>
#include <poll.h>
#include <string.h>
#include <xendomstore.h>

typedef struct
{
  XdsStoreServer *server;
  XdsClient *client;
  GtSignalLogger *logger; /* of the client's signals */
  char *folder;           /* of userdata */
} Fixture;

static void
setup (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  f->server = xds_store_server_start ();
  f->client = xds_client_open_path (xds_store_server_path (f->server), &error);
  g_assert_no_error (error);
  f->folder = g_dir_make_tmp ("xds-later-XXXXXX", &error);
  g_assert_no_error (error);
  f->logger = gt_signal_logger_new ();
  gt_signal_logger_connect (f->logger, f->client, "closed");
  gt_signal_logger_connect (f->logger, f->client, "domain-introduced");
  gt_signal_logger_connect (f->logger, f->client, "domain-released");
}

static void
teardown (Fixture *f, gconstpointer data)
{
  g_autoptr (GDir) dir = g_dir_open (f->folder, 0, NULL);
  const char *name;

  gt_signal_logger_assert_no_emissions (f->logger);
  gt_signal_logger_free (f->logger);
  xds_client_close (f->client);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_finalize_object (f->client);
  xds_store_server_stop (f->server);
  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (f->folder, name, NULL);

      g_unlink (path);
    }
  g_rmdir (f->folder);
  g_free (f->folder);
}

/* --- nodes --- */

/* Present is TRUE, absent is FALSE without an error, and what is no path is one. */
static void
test_exists (Fixture *f, gconstpointer data)
{
  g_autoptr (GAsyncResult) there = NULL, absent = NULL, wrong = NULL;
  g_autoptr (GError) error = NULL;

  xds_client_mkdir (f->client, NULL, "/e", NULL);
  xds_client_exists_async (f->client, NULL, "/e", NULL, store_result, &there);
  xds_client_exists_async (f->client, NULL, "/no", NULL, store_result, &absent);
  xds_client_exists_async (f->client, NULL, "/no/", NULL, store_result, &wrong);
  g_assert_true (xds_client_exists_finish (f->client, wait_result (&there), &error));
  g_assert_no_error (error);
  g_assert_false (xds_client_exists_finish (f->client, wait_result (&absent), &error));
  g_assert_no_error (error);
  g_assert_false (xds_client_exists_finish (f->client, wait_result (&wrong), &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_EINVAL);
}

/* --- transactions --- */

/* What an aborted transaction wrote is not there, and it cannot be used any more. */
static void
test_abort (Fixture *f, gconstpointer data)
{
  g_autoptr (XdsTransaction) txn = xds_client_begin (f->client, NULL);
  g_autoptr (GAsyncResult) aborted = NULL, again = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_true (xds_client_write (f->client, txn, "/a", "x", -1, NULL));
  xds_transaction_abort_async (txn, NULL, store_result, &aborted);
  g_assert_false (xds_transaction_is_open (txn));
  g_assert_true (xds_transaction_abort_finish (txn, wait_result (&aborted), &error));
  g_assert_no_error (error);
  g_assert_false (xds_client_exists (f->client, NULL, "/a", NULL));
  xds_transaction_abort_async (txn, NULL, store_result, &again);
  g_assert_false (xds_transaction_abort_finish (txn, wait_result (&again), &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_USAGE);
}

typedef struct
{
  XdsClient *other; /* (nullable) changes what the first tries read */
  guint conflicts;  /* how many of them */
  guint runs;
  gboolean fails, freed;
} Body;

static void
body_written (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) body = data;
  GError *error = NULL;

  if (xds_client_write_finish (XDS_CLIENT (source), result, &error))
    g_task_return_boolean (body, TRUE);
  else
    g_task_return_error (body, error);
}

static void
run_body (XdsClient *client, XdsTransaction *txn, GTask *body, gpointer data)
{
  Body *self = data;
  g_autofree char *value = NULL;

  if (self->fails)
    {
      g_task_return_new_error (body, G_IO_ERROR, G_IO_ERROR_FAILED, "no");
      g_object_unref (body);
      return;
    }
  value = xds_client_read (client, txn, "/t", NULL, NULL);
  if (self->runs++ < self->conflicts)
    xds_client_write (self->other, NULL, "/t", "other", -1, NULL);
  xds_client_write_async (client, txn, "/t", "mine", -1, NULL, body_written, body);
}

static void
body_freed (gpointer data)
{
  ((Body *) data)->freed = TRUE;
}

/*
 * A transaction runs again after each conflict until it commits, up to the number of tries; an
 * error of its body aborts it and is the result; the body's data is freed when it is over.
 */
static void
test_transact (Fixture *f, gconstpointer data)
{
  g_autoptr (XdsClient) other = xds_client_open_path (xds_store_server_path (f->server), NULL);
  Body good = { .other = other, .conflicts = 4 }, few = { .other = other, .conflicts = 9 };
  Body bad = { .fails = TRUE };
  g_autoptr (GAsyncResult) committed = NULL, lost = NULL, failed = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *value = NULL;

  xds_client_write (other, NULL, "/t", "", 0, NULL);
  xds_client_transact_async (f->client, 0, run_body, &good, body_freed, NULL, store_result,
                             &committed);
  g_assert_true (xds_client_transact_finish (f->client, wait_result (&committed), &error));
  g_assert_no_error (error);
  g_assert_cmpuint (good.runs, ==, 5);
  value = xds_client_read (other, NULL, "/t", NULL, NULL);
  g_assert_cmpstr (value, ==, "mine");
  xds_client_transact_async (f->client, 3, run_body, &few, NULL, NULL, store_result, &lost);
  g_assert_false (xds_client_transact_finish (f->client, wait_result (&lost), &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_EAGAIN);
  g_assert_cmpuint (few.runs, ==, 3);
  g_clear_error (&error);
  xds_client_transact_async (f->client, 0, run_body, &bad, NULL, NULL, store_result, &failed);
  g_assert_false (xds_client_transact_finish (f->client, wait_result (&failed), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_FAILED);
  g_clear_object (&committed);
  g_assert_true (good.freed);
}

/* --- batches --- */

/* A batch gives later what it gives at once: values, long lists, and each refusal by its number. */
static void
test_batch (Fixture *f, gconstpointer data)
{
  g_autoptr (XdsBatch) writes = xds_batch_new (f->client, NULL);
  g_autoptr (XdsBatch) reads = xds_batch_new (f->client, NULL);
  g_autoptr (GAsyncResult) written = NULL, read = NULL, twice = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) names = NULL;

  for (guint i = 0; i < 1000; i++)
    {
      g_autofree char *path = g_strdup_printf ("/b/a-child-with-number-%u", i);

      xds_batch_write (writes, path, path, -1);
    }
  xds_batch_run_async (writes, NULL, store_result, &written);
  xds_batch_run_async (writes, NULL, store_result, &twice);
  g_assert_false (xds_batch_run_finish (writes, wait_result (&twice), &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_USAGE);
  g_clear_error (&error);
  g_assert_true (xds_batch_run_finish (writes, wait_result (&written), &error));
  g_assert_true (xds_batch_check (writes, 999, &error));
  g_assert_no_error (error);
  xds_batch_list (reads, "/b");
  xds_batch_read (reads, "/b/a-child-with-number-7");
  xds_batch_read (reads, "/no");
  xds_batch_run_async (reads, NULL, store_result, &read);
  g_assert_true (xds_batch_run_finish (reads, wait_result (&read), &error));
  names = xds_batch_get_strings (reads, 0, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_strv_length (names), ==, 1000);
  g_assert_cmpstr (names[999], ==, "a-child-with-number-999");
  g_assert_cmpstr (xds_batch_get_value (reads, 1, NULL, NULL), ==, "/b/a-child-with-number-7");
  g_assert_false (xds_batch_check (reads, 2, &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_ENOENT);
}

/* An empty batch is done too; a batch whose server hangs up says so, however often it is run. */
static void
test_batch_broken (Fixture *f, gconstpointer data)
{
  g_autoptr (XdsBatch) batch = xds_batch_new (f->client, NULL);
  g_autoptr (GAsyncResult) empty = NULL, cut = NULL, later = NULL;
  g_autoptr (GError) error = NULL;

  xds_batch_run_async (batch, NULL, store_result, &empty);
  g_assert_true (xds_batch_run_finish (batch, wait_result (&empty), &error));
  xds_batch_read (batch, "/");
  xds_store_server_hang_up (f->server);
  xds_batch_run_async (batch, NULL, store_result, &cut);
  g_assert_false (xds_batch_run_finish (batch, wait_result (&cut), &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_CLOSED);
  g_clear_error (&error);
  xds_batch_run_async (batch, NULL, store_result, &later);
  g_assert_false (xds_batch_run_finish (batch, wait_result (&later), &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_CLOSED);
  while (gt_signal_logger_get_n_emissions (f->logger) < 1)
    g_main_context_iteration (NULL, TRUE);
  gt_signal_logger_assert_emission_pop (f->logger, f->client, "closed", NULL);
}

/* --- limits --- */

static void
assert_names (GError **error, const char *what)
{
  g_assert_error (*error, XDS_ERROR, XDS_ERROR_ENOSPC);
  g_assert_cmpstr (strstr ((*error)->message, what), !=, NULL);
  g_clear_error (error);
}

/* A client of domain 3, which has a home with one node in it, and may own no more. */
static XdsClient *
new_guest (Fixture *f)
{
  XdsClient *guest;

  xds_client_mkdir (f->client, NULL, "/local/domain/3", NULL);
  xds_client_set_permissions (f->client, NULL, "/local/domain/3",
                              (const char *const[]){ "n3", NULL }, NULL);
  xds_store_server_set_quota (f->server, "nodes", 2);
  xds_store_server_set_quota (f->server, "watches", 1);
  xds_store_server_be_guest (f->server, 3);
  guest = xds_client_open_path (xds_store_server_path (f->server), NULL);
  g_assert_true (xds_client_write (guest, NULL, "a", "x", 1, NULL));
  return guest;
}

/* The error of a guest that met a limit names that one, at once and later, and with which numbers.
 */
static void
test_quota_named (Fixture *f, gconstpointer data)
{
  g_autoptr (XdsClient) guest = new_guest (f);
  g_autofree char *big = g_strnfill (2049, 'x');
  g_autoptr (GAsyncResult) written = NULL;
  g_autoptr (XdsWatch) watch = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_false (xds_client_write (guest, NULL, "b", "x", 1, &error));
  assert_names (&error, "write b: the quota nodes is used up: this would be 3, and 2 are allowed");
  g_assert_false (xds_client_write (guest, NULL, "a", big, -1, &error));
  assert_names (&error, "the quota node-size is used up: this would be 2049, and 2048 are allowed");
  watch = xds_client_watch (guest, "a", XDS_WATCH_UNLIMITED, &error);
  g_assert_no_error (error);
  g_assert_null (xds_client_watch (guest, "b", XDS_WATCH_UNLIMITED, &error));
  assert_names (&error,
                "watch b: the quota watches is used up: this would be 2, and 1 are allowed");
  xds_client_write_async (guest, NULL, "/local/domain/3/c", "x", 1, NULL, store_result, &written);
  g_assert_false (xds_client_write_finish (guest, wait_result (&written), &error));
  assert_names (&error, "the quota nodes is used up: this would be 3, and 2 are allowed");
  g_clear_object (&watch);
  xds_client_close (guest);
}

/* In a transaction the request that met the limit names it, and so does the commit that fails. */
static void
test_quota_in_transaction (Fixture *f, gconstpointer data)
{
  g_autoptr (XdsClient) guest = new_guest (f);
  g_autoptr (XdsTransaction) txn = xds_client_begin (guest, NULL);
  g_autofree char *big = g_strnfill (2049, 'x');
  g_autoptr (GError) error = NULL;

  g_assert_false (xds_client_write (guest, txn, "a", big, -1, &error));
  assert_names (&error, "the quota node-size is used up: this would be 2049, and 2048 are allowed");
  g_assert_false (xds_transaction_commit (txn, &error));
  assert_names (&error, "the quota node-size was met by WRITE /local/domain/3/a in it");
  xds_client_close (guest);
}

/* Of a batch the last refusal is named, and the others say what it was about. */
static void
test_quota_in_batch (Fixture *f, gconstpointer data)
{
  g_autoptr (XdsClient) guest = new_guest (f);
  g_autoptr (XdsBatch) batch = xds_batch_new (guest, NULL);
  g_autoptr (XdsBatch) later = xds_batch_new (guest, NULL);
  g_autoptr (GAsyncResult) run = NULL;
  g_autoptr (GError) error = NULL;

  xds_batch_mkdir (batch, "b");
  xds_batch_mkdir (batch, "c");
  g_assert_true (xds_batch_run (batch, &error));
  g_assert_false (xds_batch_check (batch, 0, &error));
  assert_names (&error, "nodes or memory; the last that this client met was nodes");
  g_assert_false (xds_batch_check (batch, 1, &error));
  assert_names (&error, "the quota nodes is used up: this would be 3");
  xds_batch_mkdir (later, "d");
  xds_batch_run_async (later, NULL, store_result, &run);
  g_assert_true (xds_batch_run_finish (later, wait_result (&run), &error));
  g_assert_false (xds_batch_check (later, 0, &error));
  assert_names (&error, "make d: the quota nodes is used up");
  xds_client_close (guest);
}

/* --- domains --- */

/* Domains that are there are not signalled, those that come afterwards are, also to who asked
 * twice. */
static void
test_domains (Fixture *f, gconstpointer data)
{
  g_autoptr (GAsyncResult) watched = NULL, twice = NULL, again = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *uuid = NULL;
  guint domid = 0;

  xds_client_write (f->client, NULL, "/local/domain/7/vm", "/vm/the-uuid", -1, NULL);
  xds_client_write (f->client, NULL, "/local/domain/8/vm", "/vm/another", -1, NULL);
  g_assert_true (xds_client_introduce (f->client, 7, 1, 5, NULL));
  xds_client_watch_domains_async (f->client, NULL, store_result, &watched);
  xds_client_watch_domains_async (f->client, NULL, store_result, &twice);
  g_assert_true (xds_client_watch_domains_finish (f->client, wait_result (&watched), &error));
  g_assert_true (xds_client_watch_domains_finish (f->client, wait_result (&twice), &error));
  xds_client_watch_domains_async (f->client, NULL, store_result, &again);
  g_assert_true (xds_client_watch_domains_finish (f->client, wait_result (&again), &error));
  g_assert_no_error (error);
  g_assert_true (xds_client_introduce (f->client, 8, 1, 5, NULL));
  while (gt_signal_logger_get_n_emissions (f->logger) < 1)
    g_main_context_iteration (NULL, TRUE);
  gt_signal_logger_assert_emission_pop (f->logger, f->client, "domain-introduced", &domid, &uuid);
  g_assert_cmpuint (domid, ==, 8);
  g_assert_cmpstr (uuid, ==, "another");
}

/* A server that hangs up meanwhile is an error, and nothing is watched. */
static void
test_domains_broken (Fixture *f, gconstpointer data)
{
  g_autoptr (GAsyncResult) watched = NULL;
  g_autoptr (GError) error = NULL;

  xds_store_server_hang_up (f->server);
  xds_client_watch_domains_async (f->client, NULL, store_result, &watched);
  g_assert_false (xds_client_watch_domains_finish (f->client, wait_result (&watched), &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_CLOSED);
  g_assert_false (xds_client_watch_domains (f->client, NULL));
  while (gt_signal_logger_get_n_emissions (f->logger) < 1)
    g_main_context_iteration (NULL, TRUE);
  gt_signal_logger_assert_emission_pop (f->logger, f->client, "closed", NULL);
}

/* --- userdata --- */

static XdsUserdata *
new_userdata (Fixture *f)
{
  g_autoptr (GError) error = NULL;
  XdsUserdata *userdata = xds_userdata_new (f->folder, xds_store_server_path (f->server), &error);

  g_assert_no_error (error);
  xds_client_write (f->client, NULL, "/local/domain/7/vm",
                    "/vm/00112233-4455-6677-8899-aabbccddeeff", -1, NULL);
  g_assert_true (xds_client_introduce (f->client, 7, 1, 5, NULL));
  return userdata;
}

/* Puts an exclamation mark behind what is there. */
static GBytes *
louder (GBytes *old, gpointer data, GError **error)
{
  GString *text = g_string_new (NULL);

  g_atomic_int_inc ((gint *) data);
  if (old != NULL)
    g_string_append_len (text, g_bytes_get_data (old, NULL), g_bytes_get_size (old));
  g_string_append_c (text, '!');
  return g_string_free_to_bytes (text);
}

static GBytes *
refuse (GBytes *old, gpointer data, GError **error)
{
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "no");
  return NULL;
}

/* Read, modify and write is one call, at once and later; the caller's error leaves all as it was.
 */
static void
test_update (Fixture *f, gconstpointer data)
{
  g_autoptr (XdsUserdata) userdata = new_userdata (f);
  g_autoptr (GAsyncResult) updated = NULL;
  g_autoptr (GError) error = NULL;
  guint64 first = 0, second = 0, now = 0;
  g_autofree char *got = NULL;
  gint runs = 0;

  g_assert_true (xds_userdata_update (userdata, 7, "note", louder, &runs, &first, &error));
  xds_userdata_update_async (userdata, 7, "note", louder, &runs, NULL, NULL, store_result,
                             &updated);
  g_assert_true (xds_userdata_update_finish (userdata, wait_result (&updated), &second, &error));
  g_assert_no_error (error);
  g_assert_cmpint (runs, ==, 2);
  g_assert_cmpuint (first, !=, second);
  g_assert_false (xds_userdata_update (userdata, 7, "note", refuse, NULL, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_FAILED);
  g_clear_error (&error);
  g_assert_false (xds_userdata_update (userdata, 8, "note", louder, &runs, NULL, &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_NO_DOMAIN);
  g_assert_true (xds_userdata_retrieve (userdata, 7, "note", &got, NULL, &now, NULL));
  g_assert_cmpstr (got, ==, "!!");
  g_assert_cmpuint (now, ==, second);
}

/* What is exported later is imported later; an audit without a hypervisor fails as at once. */
static void
test_transfer (Fixture *f, gconstpointer data)
{
  g_autoptr (XdsUserdata) userdata = new_userdata (f);
  g_autoptr (GAsyncResult) exported = NULL, imported = NULL, bad = NULL, audited = NULL;
  g_autoptr (GBytes) junk = g_bytes_new_static ("junk", 4);
  g_autoptr (GBytes) archive = NULL;
  g_autoptr (GError) error = NULL;
  guint n = 0;

  g_assert_true (xds_userdata_store (userdata, 7, "note", "x", 1, NULL));
  g_assert_true (xds_userdata_store (userdata, 7, "xl", "y", 1, NULL));
  xds_userdata_export_async (userdata, 7, FALSE, NULL, store_result, &exported);
  archive = xds_userdata_export_finish (userdata, wait_result (&exported), &error);
  g_assert_no_error (error);
  g_assert_true (xds_userdata_destroy_all (userdata, 7, NULL));
  xds_userdata_import_async (userdata, 7, archive, FALSE, NULL, store_result, &imported);
  g_assert_true (xds_userdata_import_finish (userdata, wait_result (&imported), &n, &error));
  g_assert_cmpuint (n, ==, 2);
  xds_userdata_import_async (userdata, 7, junk, FALSE, NULL, store_result, &bad);
  g_assert_false (xds_userdata_import_finish (userdata, wait_result (&bad), &n, &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_BAD_ARCHIVE);
  g_clear_error (&error);
  xds_userdata_audit_async (userdata, FALSE, NULL, store_result, &audited);
  g_assert_null (xds_userdata_audit_finish (userdata, wait_result (&audited), &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_FAILED);
}

/* With only descriptor, events and dispatch, a foreign loop hears of every store and removal. */
static void
test_foreign_loop (Fixture *f, gconstpointer data)
{
  g_autoptr (XdsUserdata) userdata = new_userdata (f);
  g_autoptr (XdsUserdata) writer
      = xds_userdata_new (f->folder, xds_store_server_path (f->server), NULL);
  g_autoptr (GtSignalLogger) logger = gt_signal_logger_new ();
  const char *const changes[] = { "x", NULL };
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (xds_userdata_get_fd (userdata), ==, -1);
  g_assert_cmpint (xds_userdata_get_events (userdata), ==, 0);
  g_assert_true (xds_userdata_dispatch (userdata));
  g_assert_true (xds_userdata_watch (userdata, &error));
  g_assert_no_error (error);
  gt_signal_logger_connect (logger, userdata, "changed");
  for (guint i = 0; i < G_N_ELEMENTS (changes); i++)
    {
      struct pollfd p = { xds_userdata_get_fd (userdata), xds_userdata_get_events (userdata), 0 };
      g_autofree char *userid = NULL;
      guint domid = 0;

      g_assert_true (xds_userdata_store (writer, 7, "note", changes[i], changes[i] != NULL, NULL));
      while (gt_signal_logger_get_n_emissions (logger) < 1)
        {
          g_assert_cmpint (poll (&p, 1, 10000), ==, 1);
          g_assert_true (xds_userdata_dispatch (userdata));
        }
      gt_signal_logger_assert_emission_pop (logger, userdata, "changed", &domid, &userid);
      g_assert_cmpuint (domid, ==, 7);
      g_assert_cmpstr (userid, ==, "note");
    }
  gt_signal_logger_assert_no_emissions (logger);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add (path, Fixture, NULL, setup, func, teardown)
  ADD ("/later/exists", test_exists);
  ADD ("/later/abort", test_abort);
  ADD ("/later/transact", test_transact);
  ADD ("/later/batch", test_batch);
  ADD ("/later/batch-broken", test_batch_broken);
  ADD ("/later/quota-named", test_quota_named);
  ADD ("/later/quota-in-transaction", test_quota_in_transaction);
  ADD ("/later/quota-in-batch", test_quota_in_batch);
  ADD ("/later/domains", test_domains);
  ADD ("/later/domains-broken", test_domains_broken);
  ADD ("/later/userdata-update", test_update);
  ADD ("/later/userdata-transfer", test_transfer);
  ADD ("/later/userdata-foreign-loop", test_foreign_loop);
  return g_test_run ();
}
