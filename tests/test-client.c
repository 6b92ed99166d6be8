/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The library against our engine behind a socket: every group of calls at once and later, with the
 * error that a refusal gives, and nothing signalled beyond what was expected.
 */

#include "tests/async.h"
#include "tests/store-server.h"

#include <glib/gstdio.h>
#include <libglib-testing/signal-logger.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <xendomstore.h>

typedef struct
{
  XdsStoreServer *server;
  XdsClient *client;
  GtSignalLogger *logger; /* of the client's signals */
} Fixture;

static void
setup (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  f->server = xds_store_server_start ();
  f->client = xds_client_open_path (xds_store_server_path (f->server), &error);
  g_assert_no_error (error);
  f->logger = gt_signal_logger_new ();
  gt_signal_logger_connect (f->logger, f->client, "closed");
  gt_signal_logger_connect (f->logger, f->client, "domain-introduced");
  gt_signal_logger_connect (f->logger, f->client, "domain-released");
}

static void
teardown (Fixture *f, gconstpointer data)
{
  gt_signal_logger_assert_no_emissions (f->logger);
  gt_signal_logger_free (f->logger);
  /* What is under way holds the client until it was told. */
  xds_client_close (f->client);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_finalize_object (f->client);
  xds_store_server_stop (f->server);
}

/* --- nodes --- */

/* What is written is read, byte for byte, NUL and all, and a NUL that is not counted follows. */
static void
test_value (Fixture *f, gconstpointer data)
{
  static const char value[] = "a\0b\nc\377";
  g_autoptr (GError) error = NULL;
  g_autofree char *got = NULL, *empty = NULL;
  gsize len = 99;

  g_assert_true (xds_client_write (f->client, NULL, "/a/b", value, sizeof value - 1, &error));
  got = xds_client_read (f->client, NULL, "/a/b", &len, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (got, len, value, sizeof value - 1);
  g_assert_cmpint (got[len], ==, '\0');
  empty = xds_client_read (f->client, NULL, "/a", &len, &error);
  g_assert_cmpstr (empty, ==, "");
  g_assert_cmpuint (len, ==, 0);
}

/* A refusal is an error with the wire's code, names operation and path, and touches no output. */
static void
test_refusal (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *long_value = g_strnfill (5000, 'x');
  gsize len = 77;

  g_assert_null (xds_client_read (f->client, NULL, "/no", &len, &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_ENOENT);
  g_assert_cmpuint (len, ==, 77);
  g_assert_nonnull (strstr (error->message, "read /no"));
  g_clear_error (&error);
  g_assert_false (xds_client_write (f->client, NULL, "/no/", "", 0, &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_EINVAL);
  g_clear_error (&error);
  g_assert_false (xds_client_write (f->client, NULL, "/a", long_value, -1, &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_E2BIG);
  g_clear_error (&error);
  g_assert_false (xds_client_exists (f->client, NULL, "/no", &error));
  g_assert_no_error (error);
  g_assert_true (xds_client_is_open (f->client));
}

/* A directory of any length is listed whole and in order, at once, later, and in a batch. */
static void
test_list (Fixture *f, gconstpointer data)
{
  g_autoptr (XdsBatch) batch = xds_batch_new (f->client, NULL);
  g_autoptr (XdsBatch) lists = xds_batch_new (f->client, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (GAsyncResult) result = NULL;
  g_auto (GStrv) now = NULL, later = NULL, batched = NULL;

  for (guint i = 0; i < 1000; i++)
    {
      g_autofree char *path = g_strdup_printf ("/dir/a-child-with-number-%u", i);

      xds_batch_mkdir (batch, path);
    }
  g_assert_true (xds_batch_run (batch, &error));
  now = xds_client_list (f->client, NULL, "/dir", &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_strv_length (now), ==, 1000);
  g_assert_cmpstr (now[0], ==, "a-child-with-number-0");
  g_assert_cmpstr (now[999], ==, "a-child-with-number-999");
  xds_client_list_async (f->client, NULL, "/dir", NULL, store_result, &result);
  later = xds_client_list_finish (f->client, wait_result (&result), &error);
  g_assert_no_error (error);
  g_assert_true (g_strv_equal ((const char *const *) now, (const char *const *) later));
  xds_batch_list (lists, "/dir");
  g_assert_true (xds_batch_run (lists, &error));
  batched = xds_batch_get_strings (lists, 0, &error);
  g_assert_true (g_strv_equal ((const char *const *) now, (const char *const *) batched));
}

/* Permissions come back as they were set, and a wrong one is refused. */
static void
test_permissions (Fixture *f, gconstpointer data)
{
  const char *const wanted[] = { "n0", "r5", "b7", NULL };
  const char *const wrong[] = { "z0", NULL };
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) got = NULL;

  g_assert_true (xds_client_mkdir (f->client, NULL, "/p", &error));
  g_assert_true (xds_client_set_permissions (f->client, NULL, "/p", wanted, &error));
  got = xds_client_get_permissions (f->client, NULL, "/p", &error);
  g_assert_true (g_strv_equal (wanted, (const char *const *) got));
  g_assert_false (xds_client_set_permissions (f->client, NULL, "/p", wrong, &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_EINVAL);
}

/* Every node operation works asynchronously too, many at a time, each with its own answer. */
static void
test_async (Fixture *f, gconstpointer data)
{
  const char *const perms[] = { "n0", "r3", NULL };
  g_autoptr (GAsyncResult) written = NULL, made = NULL, set = NULL, got = NULL, read = NULL,
                           removed = NULL, missing = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) strings = NULL;
  g_autofree char *value = NULL;

  xds_client_write_async (f->client, NULL, "/x/y", "1", -1, NULL, store_result, &written);
  xds_client_mkdir_async (f->client, NULL, "/x/z", NULL, store_result, &made);
  xds_client_set_permissions_async (f->client, NULL, "/x/z", perms, NULL, store_result, &set);
  xds_client_get_permissions_async (f->client, NULL, "/x/z", NULL, store_result, &got);
  xds_client_read_async (f->client, NULL, "/x/y", NULL, store_result, &read);
  xds_client_remove_async (f->client, NULL, "/x", NULL, store_result, &removed);
  xds_client_read_async (f->client, NULL, "/x/y", NULL, store_result, &missing);
  g_assert_true (xds_client_write_finish (f->client, wait_result (&written), &error));
  g_assert_true (xds_client_mkdir_finish (f->client, wait_result (&made), &error));
  g_assert_true (xds_client_set_permissions_finish (f->client, wait_result (&set), &error));
  strings = xds_client_get_permissions_finish (f->client, wait_result (&got), &error);
  g_assert_true (g_strv_equal (perms, (const char *const *) strings));
  value = xds_client_read_finish (f->client, wait_result (&read), NULL, &error);
  g_assert_cmpstr (value, ==, "1");
  g_assert_true (xds_client_remove_finish (f->client, wait_result (&removed), &error));
  g_assert_no_error (error);
  g_assert_null (xds_client_read_finish (f->client, wait_result (&missing), NULL, &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_ENOENT);
}

/* A synchronous call runs nobody's callback, though it takes the answers that come by. */
static void
test_sync_within_async (Fixture *f, gconstpointer data)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autofree char *value = NULL;

  xds_client_write (f->client, NULL, "/k", "v", -1, NULL);
  xds_client_read_async (f->client, NULL, "/k", NULL, store_result, &result);
  g_assert_true (xds_client_exists (f->client, NULL, "/k", NULL));
  g_assert_null (result);
  value = xds_client_read_finish (f->client, wait_result (&result), NULL, NULL);
  g_assert_cmpstr (value, ==, "v");
}

/* A batch of any length comes back in order, refusals among it, in far fewer reads of the server.
 */
static void
test_batch (Fixture *f, gconstpointer data)
{
  enum
  {
    N = 5000
  };
  g_autoptr (XdsBatch) batch = xds_batch_new (f->client, NULL);
  g_autoptr (GError) error = NULL;
  guint reads = xds_store_server_reads (f->server);

  xds_client_write (f->client, NULL, "/v", "value", -1, NULL);
  for (guint i = 0; i < N; i++)
    g_assert_cmpuint (xds_batch_read (batch, i % 2 == 0 ? "/v" : "/none"), ==, i);
  g_assert_null (xds_batch_get_value (batch, 0, NULL, &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_USAGE);
  g_clear_error (&error);
  g_assert_true (xds_batch_run (batch, &error));
  for (guint i = 0; i < N; i++)
    {
      g_autoptr (GError) own = NULL;
      const char *value = xds_batch_get_value (batch, i, NULL, &own);

      g_assert_cmpstr (value, ==, i % 2 == 0 ? "value" : NULL);
      g_assert_true (i % 2 == 0 || g_error_matches (own, XDS_ERROR, XDS_ERROR_ENOENT));
    }
  g_assert_cmpuint (xds_store_server_reads (f->server) - reads, <, N / 4);
}

/* --- transactions --- */

/* What is written in a transaction is there after commit, and not before, and not after abort. */
static void
test_transaction (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (XdsTransaction) txn = xds_client_begin (f->client, &error);
  g_autoptr (XdsTransaction) other = xds_client_begin (f->client, &error);

  g_assert_no_error (error);
  g_assert_true (xds_client_write (f->client, txn, "/t", "1", -1, &error));
  g_assert_true (xds_client_write (f->client, other, "/u", "1", -1, &error));
  g_assert_false (xds_client_exists (f->client, NULL, "/t", NULL));
  g_assert_true (xds_transaction_commit (txn, &error));
  g_assert_true (xds_client_exists (f->client, NULL, "/t", NULL));
  g_assert_true (xds_transaction_abort (other, &error));
  g_assert_false (xds_client_exists (f->client, NULL, "/u", NULL));
  g_assert_false (xds_transaction_is_open (txn));
  g_assert_false (xds_client_write (f->client, txn, "/t", "2", -1, &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_USAGE);
}

typedef struct
{
  guint runs, conflicts;
} Transact;

/* Reads /n and adds one; the first @conflicts times somebody else is faster. */
static gboolean
add_one (XdsClient *client, XdsTransaction *txn, gpointer data, GError **error)
{
  Transact *self = data;
  g_autofree char *value = xds_client_read (client, txn, "/n", NULL, error);
  g_autofree char *next = NULL;

  if (value == NULL)
    return FALSE;
  if (self->runs++ < self->conflicts)
    g_assert_true (xds_client_write (client, NULL, "/n", "10", -1, NULL));
  next = g_strdup_printf ("%d", atoi (value) + 1);
  return xds_client_write (client, txn, "/n", next, -1, error);
}

/* A body runs again after each conflict, as often as allowed; its own error comes back as it is. */
static void
test_transact (Fixture *f, gconstpointer data)
{
  Transact twice = { 0, 2 }, always = { 0, 100 }, missing = { 0, 0 };
  g_autoptr (GError) error = NULL;
  g_autofree char *value = NULL;

  xds_client_write (f->client, NULL, "/n", "1", -1, NULL);
  g_assert_true (xds_client_transact (f->client, 0, add_one, &twice, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (twice.runs, ==, 3);
  value = xds_client_read (f->client, NULL, "/n", NULL, NULL);
  g_assert_cmpstr (value, ==, "11");
  g_assert_false (xds_client_transact (f->client, 4, add_one, &always, &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_EAGAIN);
  g_assert_cmpuint (always.runs, ==, 4);
  g_clear_error (&error);
  xds_client_remove (f->client, NULL, "/n", NULL);
  g_assert_false (xds_client_transact (f->client, 0, add_one, &missing, &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_ENOENT);
}

/* Begin and commit work asynchronously. */
static void
test_transaction_async (Fixture *f, gconstpointer data)
{
  g_autoptr (GAsyncResult) begun = NULL, committed = NULL;
  g_autoptr (XdsTransaction) txn = NULL;
  g_autoptr (GError) error = NULL;

  xds_client_begin_async (f->client, NULL, store_result, &begun);
  txn = xds_client_begin_finish (f->client, wait_result (&begun), &error);
  g_assert_no_error (error);
  xds_client_write (f->client, txn, "/ta", "", 0, NULL);
  xds_transaction_commit_async (txn, NULL, store_result, &committed);
  g_assert_true (xds_transaction_commit_finish (txn, wait_result (&committed), &error));
  g_assert_true (xds_client_exists (f->client, NULL, "/ta", NULL));
}

/* --- watches --- */

static void
iterate_until (GtSignalLogger *logger, gsize n)
{
  while (gt_signal_logger_get_n_emissions (logger) < n)
    g_main_context_iteration (NULL, TRUE);
}

static void
assert_changed (GtSignalLogger *logger, XdsWatch *watch, const char *path)
{
  g_autofree char *got = NULL;

  gt_signal_logger_assert_emission_pop (logger, watch, "changed", &got);
  g_assert_cmpstr (got, ==, path);
}

/* A watch signals once at first, then each change within its depth, and nothing after its end. */
static void
test_watch (Fixture *f, gconstpointer data)
{
  g_autoptr (GtSignalLogger) logger = gt_signal_logger_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (XdsWatch) watch = xds_client_watch (f->client, "/w", 1, &error);
  g_autoptr (XdsWatch) other = xds_client_watch (f->client, "/w", XDS_WATCH_UNLIMITED, &error);

  g_assert_no_error (error);
  gt_signal_logger_connect (logger, watch, "changed");
  xds_client_write (f->client, NULL, "/w/a", "", 0, NULL);
  xds_client_write (f->client, NULL, "/w/a/b", "", 0, NULL);
  xds_client_write (f->client, NULL, "/w", "", 0, NULL);
  xds_client_write (f->client, NULL, "/elsewhere", "", 0, NULL);
  iterate_until (logger, 3);
  assert_changed (logger, watch, "/w");
  assert_changed (logger, watch, "/w/a");
  assert_changed (logger, watch, "/w");
  xds_watch_cancel (watch);
  xds_client_write (f->client, NULL, "/w/c", "", 0, NULL);
  xds_client_dispatch (f->client, NULL);
  gt_signal_logger_assert_no_emissions (logger);
}

/* Without a main loop the events of a watch are taken one by one, and a quiet one times out. */
static void
test_watch_next (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (XdsWatch) watch = xds_client_watch (f->client, "/n", XDS_WATCH_UNLIMITED, &error);
  g_autofree char *first = xds_watch_next (watch, -1, &error);
  g_autofree char *second = NULL;

  g_assert_cmpstr (first, ==, "/n");
  xds_client_write (f->client, NULL, "/n/x", "", 0, NULL);
  second = xds_watch_next (watch, -1, &error);
  g_assert_cmpstr (second, ==, "/n/x");
  g_assert_null (xds_watch_next (watch, 0, &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_TIMED_OUT);
}

/* A watch made later signals its first event to who connects in the callback. */
static void
test_watch_async (Fixture *f, gconstpointer data)
{
  g_autoptr (GtSignalLogger) logger = gt_signal_logger_new ();
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (XdsWatch) watch = NULL;

  xds_client_watch_async (f->client, "/wa", 0, NULL, store_result, &result);
  watch = xds_client_watch_finish (f->client, wait_result (&result), &error);
  g_assert_no_error (error);
  gt_signal_logger_connect (logger, watch, "changed");
  iterate_until (logger, 1);
  assert_changed (logger, watch, "/wa");
}

/* With only descriptor, events and dispatch, a foreign loop sees all that happens. */
static void
test_foreign_loop (Fixture *f, gconstpointer data)
{
  g_autoptr (GtSignalLogger) logger = gt_signal_logger_new ();
  g_autoptr (XdsClient) writer = xds_client_open_path (xds_store_server_path (f->server), NULL);
  g_autoptr (XdsWatch) watch = xds_client_watch (f->client, "/f", XDS_WATCH_UNLIMITED, NULL);

  gt_signal_logger_connect (logger, watch, "changed");
  xds_client_write (writer, NULL, "/f/1", "", 0, NULL);
  while (gt_signal_logger_get_n_emissions (logger) < 2)
    {
      struct pollfd p = { xds_client_get_fd (f->client), POLLIN, 0 };

      g_assert_cmpint (xds_client_get_events (f->client), ==, G_IO_IN);
      if (!xds_client_is_ready (f->client))
        poll (&p, 1, -1);
      g_assert_true (xds_client_dispatch (f->client, NULL));
    }
  assert_changed (logger, watch, "/f");
  assert_changed (logger, watch, "/f/1");
}

/* --- waiting for a value --- */

/* Waiting ends when the value is there, when the time is over, and when it is cancelled. */
static void
test_wait (Fixture *f, gconstpointer data)
{
  g_autoptr (GAsyncResult) waited = NULL, over = NULL, gone = NULL;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  g_autofree char *value = NULL, *at_once = NULL;

  xds_client_wait_value_async (f->client, "/s", "4", -1, NULL, store_result, &waited);
  xds_client_write (f->client, NULL, "/s", "3", -1, NULL);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_null (waited);
  xds_client_write (f->client, NULL, "/s", "4", -1, NULL);
  value = xds_client_wait_value_finish (f->client, wait_result (&waited), NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (value, ==, "4");
  at_once = xds_client_wait_value (f->client, "/s", NULL, 0, NULL, &error);
  g_assert_cmpstr (at_once, ==, "4");
  g_assert_null (xds_client_wait_value (f->client, "/s", "5", 1, NULL, &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_TIMED_OUT);
  g_clear_error (&error);
  xds_client_wait_value_async (f->client, "/s", "5", 1, NULL, store_result, &over);
  g_assert_null (xds_client_wait_value_finish (f->client, wait_result (&over), NULL, &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_TIMED_OUT);
  g_clear_error (&error);
  xds_client_wait_value_async (f->client, "/s", "5", -1, cancellable, store_result, &gone);
  g_cancellable_cancel (cancellable);
  g_assert_null (xds_client_wait_value_finish (f->client, wait_result (&gone), NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

/* --- domains --- */

static void
assert_domain (Fixture *f, const char *signal, guint domid, const char *uuid)
{
  g_autofree char *got_uuid = NULL, *reason = NULL;
  guint got = 0;

  iterate_until (f->logger, 1);
  if (g_str_equal (signal, "domain-introduced"))
    gt_signal_logger_assert_emission_pop (f->logger, f->client, signal, &got, &got_uuid);
  else
    gt_signal_logger_assert_emission_pop (f->logger, f->client, signal, &got, &got_uuid, &reason);
  g_assert_null (reason); /* the engine alone does not know */
  g_assert_cmpuint (got, ==, domid);
  g_assert_cmpstr (got_uuid, ==, uuid);
}

/* A domain that comes and goes is signalled once each, with its uuid. */
static void
test_domains (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = xds_client_get_domain_path (f->client, 7, &error);

  g_assert_cmpstr (path, ==, "/local/domain/7");
  g_assert_true (xds_client_watch_domains (f->client, &error));
  g_assert_no_error (error);
  xds_client_write (f->client, NULL, "/local/domain/7/vm", "/vm/the-uuid", -1, NULL);
  g_assert_false (xds_client_is_introduced (f->client, 7, &error));
  g_assert_no_error (error);
  g_assert_true (xds_client_introduce (f->client, 7, 1, 5, &error));
  g_assert_true (xds_client_is_introduced (f->client, 7, &error));
  assert_domain (f, "domain-introduced", 7, "the-uuid");
  g_assert_true (xds_client_introduce (f->client, 8, 1, 5, &error));
  xds_client_mkdir (f->client, NULL, "/local/domain/8", NULL);
  assert_domain (f, "domain-introduced", 8, NULL);
  g_assert_true (xds_client_set_target (f->client, 8, 7, &error));
  xds_store_server_kill (f->server, 7);
  assert_domain (f, "domain-released", 7, "the-uuid");
  g_assert_true (xds_client_release (f->client, 8, &error));
  assert_domain (f, "domain-released", 8, NULL);
  g_assert_false (xds_client_resume (f->client, 8, &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_ENOENT);
}

/* Features, quotas and control commands reach the server; a wrong name is refused. */
static void
test_control (Fixture *f, gconstpointer data)
{
  const char *const words[] = { "help", NULL }, *const wrong[] = { "no-such", NULL };
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) names = xds_client_list_quotas (f->client, &error);
  g_autofree char *help = xds_client_control (f->client, words, &error);
  XdsFeatures features = XDS_FEATURES_NONE;
  guint64 limit = 0;

  g_assert_no_error (error);
  g_assert_true (g_strv_contains ((const char *const *) names, "watches"));
  g_assert_nonnull (strstr (help, "check"));
  g_assert_null (xds_client_control (f->client, wrong, &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_EINVAL);
  g_clear_error (&error);
  g_assert_true (xds_client_get_features (f->client, XDS_GLOBAL, &features, &error));
  g_assert_true (features & XDS_FEATURES_WATCH_DEPTH);
  g_assert_true (xds_client_set_quota (f->client, XDS_GLOBAL, "watches", 33, &error));
  g_assert_true (xds_client_get_quota (f->client, XDS_GLOBAL, "watches", &limit, &error));
  g_assert_cmpuint (limit, ==, 33);
  g_assert_false (xds_client_get_quota (f->client, XDS_GLOBAL, "no-such", &limit, &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_EINVAL);
}

/* --- userdata --- */

static char *
new_folder (void)
{
  g_autoptr (GError) error = NULL;
  char *folder = g_dir_make_tmp ("xds-userdata-XXXXXX", &error);

  g_assert_no_error (error);
  return folder;
}

static void
remove_folder (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);

      g_unlink (path);
    }
  g_rmdir (folder);
}

/* Domain 7 is connected, and the store tells its uuid. */
static XdsUserdata *
new_userdata (Fixture *f, const char *folder)
{
  g_autoptr (GError) error = NULL;
  XdsUserdata *userdata = xds_userdata_new (folder, xds_store_server_path (f->server), &error);

  g_assert_no_error (error);
  xds_client_write (f->client, NULL, "/local/domain/7/vm",
                    "/vm/00112233-4455-6677-8899-aabbccddeeff", -1, NULL);
  g_assert_true (xds_client_introduce (f->client, 7, 1, 5, NULL));
  return userdata;
}

/*
 * What is stored is retrieved; nothing stored is no error, no bytes removes, and only who knows the
 * generation may replace.
 */
static void
test_userdata (Fixture *f, gconstpointer data)
{
  g_autofree char *folder = new_folder ();
  g_autoptr (XdsUserdata) userdata = new_userdata (f, folder);
  g_autoptr (GPtrArray) entries = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *none = NULL, *got = NULL;
  gsize len = 9;
  guint64 generation = 9, newer = 0;

  g_assert_true (xds_userdata_retrieve (userdata, 7, "note", &none, &len, &generation, &error));
  g_assert_null (none);
  g_assert_cmpuint (len, ==, 0);
  g_assert_cmpuint (generation, ==, XDS_USERDATA_CREATE);
  g_assert_true (xds_userdata_store (userdata, 7, "note", "a\0b", 3, &error));
  g_assert_true (xds_userdata_retrieve (userdata, 7, "note", &got, &len, &generation, &error));
  g_assert_cmpmem (got, len, "a\0b", 3);
  g_assert_true (
      xds_userdata_compare_and_store (userdata, 7, "note", "c", 1, generation, &newer, &error));
  g_assert_false (
      xds_userdata_compare_and_store (userdata, 7, "note", "d", 1, generation, NULL, &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_CHANGED);
  g_clear_error (&error);
  entries = xds_userdata_list (userdata, 7, &error);
  g_assert_cmpuint (entries->len, ==, 1);
  g_assert_cmpuint (((XdsUserdataEntry *) entries->pdata[0])->generation, ==, newer);
  g_assert_true (xds_userdata_store (userdata, 7, "note", NULL, 0, &error));
  g_assert_false (xds_userdata_unlink (userdata, 7, "note", &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_ABSENT);
  g_clear_error (&error);
  g_assert_false (xds_userdata_store (userdata, 8, "note", "x", 1, &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_NO_DOMAIN);
  g_assert_true (xds_userdata_store (userdata, 7, "xl", "x", 1, NULL));
  g_assert_true (xds_userdata_destroy_all (userdata, 7, NULL));
  remove_folder (folder);
}

/* Asynchronous calls give the same, and every change is signalled, whoever made it. */
static void
test_userdata_async (Fixture *f, gconstpointer data)
{
  g_autofree char *folder = new_folder ();
  g_autoptr (XdsUserdata) userdata = new_userdata (f, folder);
  g_autoptr (XdsUserdata) other = new_userdata (f, folder);
  g_autoptr (GtSignalLogger) logger = gt_signal_logger_new ();
  g_autoptr (GAsyncResult) stored = NULL, retrieved = NULL, compared = NULL, listed = NULL,
                           unlinked = NULL, destroyed = NULL;
  g_autoptr (GPtrArray) entries = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *got = NULL, *userid = NULL;
  gsize len = 0;
  guint domid = 0;

  g_assert_true (xds_userdata_watch (userdata, &error));
  gt_signal_logger_connect (logger, userdata, "changed");
  xds_userdata_store_async (other, 7, "note", "text", 4, NULL, store_result, &stored);
  g_assert_true (xds_userdata_store_finish (other, wait_result (&stored), &error));
  iterate_until (logger, 1);
  gt_signal_logger_assert_emission_pop (logger, userdata, "changed", &domid, &userid);
  g_assert_cmpuint (domid, ==, 7);
  g_assert_cmpstr (userid, ==, "note");
  xds_userdata_retrieve_async (userdata, 7, "note", NULL, store_result, &retrieved);
  g_assert_true (
      xds_userdata_retrieve_finish (userdata, wait_result (&retrieved), &got, &len, NULL, &error));
  g_assert_cmpmem (got, len, "text", 4);
  xds_userdata_compare_and_store_async (userdata, 7, "note", "x", 1, XDS_USERDATA_CREATE, NULL,
                                        store_result, &compared);
  g_assert_false (
      xds_userdata_compare_and_store_finish (userdata, wait_result (&compared), NULL, &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_CHANGED);
  g_clear_error (&error);
  xds_userdata_list_async (userdata, 7, NULL, store_result, &listed);
  entries = xds_userdata_list_finish (userdata, wait_result (&listed), &error);
  g_assert_cmpuint (entries->len, ==, 1);
  xds_userdata_unlink_async (userdata, 7, "note", NULL, store_result, &unlinked);
  g_assert_true (xds_userdata_unlink_finish (userdata, wait_result (&unlinked), &error));
  xds_userdata_destroy_all_async (userdata, 7, NULL, store_result, &destroyed);
  g_assert_true (xds_userdata_destroy_all_finish (userdata, wait_result (&destroyed), &error));
  g_assert_no_error (error);
  remove_folder (folder);
}

/* --- the connection --- */

/* A server that hangs up ends every call under way, signals it once, and refuses later calls. */
static void
test_hang_up (Fixture *f, gconstpointer data)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_false (xds_client_exists (f->client, NULL, "/x", NULL));
  xds_store_server_hang_up (f->server);
  xds_client_read_async (f->client, NULL, "/x", NULL, store_result, &result);
  g_assert_null (xds_client_read_finish (f->client, wait_result (&result), NULL, &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_CLOSED);
  g_clear_error (&error);
  iterate_until (f->logger, 1);
  gt_signal_logger_assert_emission_pop (f->logger, f->client, "closed", NULL);
  g_assert_false (xds_client_is_open (f->client));
  g_assert_null (xds_client_read (f->client, NULL, "/x", NULL, &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_CLOSED);
}

/* XENSTORED_PATH is where open goes, and a server that is not there is told as such. */
static void
test_open (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (XdsClient) client = NULL;

  g_setenv ("XENSTORED_PATH", xds_store_server_path (f->server), TRUE);
  client = xds_client_open (&error);
  g_assert_no_error (error);
  g_assert_cmpstr (xds_client_get_path (client), ==, xds_store_server_path (f->server));
  g_unsetenv ("XENSTORED_PATH");
  g_assert_null (xds_client_open_path ("/no/such/socket", &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_CONNECT);
  g_assert_nonnull (strstr (error->message, "/no/such/socket"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add (path, Fixture, NULL, setup, func, teardown)
  ADD ("/client/value", test_value);
  ADD ("/client/refusal", test_refusal);
  ADD ("/client/list", test_list);
  ADD ("/client/permissions", test_permissions);
  ADD ("/client/async", test_async);
  ADD ("/client/sync-within-async", test_sync_within_async);
  ADD ("/client/batch", test_batch);
  ADD ("/client/transaction", test_transaction);
  ADD ("/client/transact", test_transact);
  ADD ("/client/transaction-async", test_transaction_async);
  ADD ("/client/watch", test_watch);
  ADD ("/client/watch-next", test_watch_next);
  ADD ("/client/watch-async", test_watch_async);
  ADD ("/client/foreign-loop", test_foreign_loop);
  ADD ("/client/wait", test_wait);
  ADD ("/client/domains", test_domains);
  ADD ("/client/control", test_control);
  ADD ("/client/userdata", test_userdata);
  ADD ("/client/userdata-async", test_userdata_async);
  ADD ("/client/hang-up", test_hang_up);
  ADD ("/client/open", test_open);
  return g_test_run ();
}
