/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The library against a server that does what no good one does, and what a foreign one may: the
 * test itself is the server, at the other end of a socket pair.
 */

#include "tests/async.h"
#include "xsd/wire/msg.h"
#include "xsd/wire/op-number.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xendomstore.h>

typedef struct
{
  XdsClient *client;
  int server;
} Fixture;

static void
setup (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  int fds[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
  f->client = xds_client_open_fd (fds[0], &error);
  g_assert_no_error (error);
  f->server = fds[1];
}

static void
teardown (Fixture *f, gconstpointer data)
{
  xds_client_close (f->client);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_finalize_object (f->client);
  close (f->server);
}

/* --- the server --- */

static void
read_whole (int fd, void *to, gsize len)
{
  for (gsize at = 0; at < len;)
    {
      gssize n = read (fd, (guint8 *) to + at, len - at);

      g_assert_cmpint (n, >, 0);
      at += n;
    }
}

/* Takes one request. */
static XdsMsgHeader
take (Fixture *f, char payload[XDS_PAYLOAD_MAX])
{
  XdsMsgHeader header;

  read_whole (f->server, &header, sizeof header);
  g_assert_cmpuint (header.len, <=, XDS_PAYLOAD_MAX);
  read_whole (f->server, payload, header.len);
  return header;
}

static void
give (Fixture *f, guint type, guint32 id, const char *payload, gsize len)
{
  XdsMsgHeader header = { type, id, 0, len };

  g_assert_cmpint (write (f->server, &header, sizeof header), ==, sizeof header);
  g_assert_cmpint (write (f->server, payload, len), ==, len);
}

/* --- the client's side --- */

static void
start_read (Fixture *f, const char *path, GAsyncResult **slot)
{
  xds_client_read_async (f->client, NULL, path, NULL, store_result, slot);
}

static void
assert_read (Fixture *f, GAsyncResult **slot, const char *wanted)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *value = NULL;

  wait_result (slot);
  value = xds_client_read_finish (f->client, *slot, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (value, ==, wanted);
}

static void
assert_read_fails (Fixture *f, GAsyncResult **slot, int code)
{
  g_autoptr (GError) error = NULL;

  wait_result (slot);
  g_assert_null (xds_client_read_finish (f->client, *slot, NULL, &error));
  g_assert_error (error, XDS_ERROR, code);
}

/* Answers find their requests in whatever order they come, and in whatever pieces. */
static void
test_out_of_order (Fixture *f, gconstpointer data)
{
  g_autoptr (GAsyncResult) one = NULL, two = NULL, three = NULL;
  char payload[XDS_PAYLOAD_MAX];
  XdsMsgHeader first, second, third;

  start_read (f, "/1", &one);
  start_read (f, "/2", &two);
  start_read (f, "/3", &three);
  xds_client_flush (f->client, NULL);
  first = take (f, payload);
  g_assert_cmpstr (payload, ==, "/1");
  second = take (f, payload);
  third = take (f, payload);
  give (f, XDS_OP_READ, third.req_id, "three", 5);
  assert_read (f, &three, "three");
  g_assert_null (one);
  give (f, XDS_OP_READ, first.req_id, "one", 3);
  assert_read (f, &one, "one");
  give (f, XDS_OP_ERROR, second.req_id, "EACCES", 7);
  assert_read_fails (f, &two, XDS_ERROR_EACCES);
}

/* An error's name that is not in the table is EINVAL, as with every other client. */
static void
test_unknown_error (Fixture *f, gconstpointer data)
{
  g_autoptr (GAsyncResult) result = NULL;
  char payload[XDS_PAYLOAD_MAX];
  XdsMsgHeader header;

  start_read (f, "/1", &result);
  xds_client_flush (f->client, NULL);
  header = take (f, payload);
  give (f, XDS_OP_ERROR, header.req_id, "EQUOTA", 7);
  assert_read_fails (f, &result, XDS_ERROR_EINVAL);
  g_assert_true (xds_client_is_open (f->client));
}

/* An answer to nothing, or of another type than was asked, ends the connection with a reason. */
static void
test_wrong_answer (Fixture *f, gconstpointer data)
{
  g_autoptr (GAsyncResult) result = NULL;
  char payload[XDS_PAYLOAD_MAX];
  XdsMsgHeader header;

  start_read (f, "/1", &result);
  xds_client_flush (f->client, NULL);
  header = take (f, payload);
  if (data == NULL)
    give (f, XDS_OP_READ, header.req_id + 1, "x", 1);
  else
    give (f, XDS_OP_WRITE, header.req_id, "OK", 3);
  assert_read_fails (f, &result, XDS_ERROR_PROTOCOL);
  g_assert_false (xds_client_is_open (f->client));
}

/* A length that cannot be right ends the connection, one that is only too long is read. */
static void
test_length (Fixture *f, gconstpointer data)
{
  g_autoptr (GAsyncResult) longer = NULL, wrong = NULL;
  g_autofree char *text = g_strnfill (100000, 'x');
  char payload[XDS_PAYLOAD_MAX];
  XdsMsgHeader header;

  start_read (f, "/1", &longer);
  start_read (f, "/2", &wrong);
  xds_client_flush (f->client, NULL);
  header = take (f, payload);
  give (f, XDS_OP_READ, header.req_id, text, 100000);
  assert_read (f, &longer, text);
  header = take (f, payload);
  header.len = G_MAXUINT32;
  g_assert_cmpint (write (f->server, &header, sizeof header), ==, sizeof header);
  assert_read_fails (f, &wrong, XDS_ERROR_PROTOCOL);
}

/* A server that is silent costs the time that was allowed; its late answer harms nobody. */
static void
test_timeout (Fixture *f, gconstpointer data)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  char payload[XDS_PAYLOAD_MAX];
  XdsMsgHeader late, header;

  xds_client_set_timeout (f->client, 1);
  g_assert_null (xds_client_read (f->client, NULL, "/1", NULL, &error));
  g_assert_error (error, XDS_ERROR, XDS_ERROR_TIMED_OUT);
  late = take (f, payload);
  start_read (f, "/2", &result);
  xds_client_flush (f->client, NULL);
  header = take (f, payload);
  give (f, XDS_OP_READ, late.req_id, "late", 4);
  give (f, XDS_OP_READ, header.req_id, "in time", 7);
  assert_read (f, &result, "in time");
}

static void
drop_client (GObject *source, GAsyncResult *result, gpointer data)
{
  g_clear_object ((XdsClient **) data);
}

/* Ends the connection inside of a call: by closing it, or by what is sent to a server that went. */
static gboolean
end_connection (gpointer data)
{
  Fixture *f = data;
  g_autofree char *value = g_strnfill (4000, 'x');

  if (f->server >= 0)
    xds_client_close (f->client);
  for (guint i = 0; i < 40 && f->client != NULL; i++)
    xds_client_write_async (f->client, NULL, "/1", value, 4000, NULL, NULL, NULL);
  return G_SOURCE_REMOVE;
}

/* Who is told that the connection is gone may drop the last reference to it. */
static void
test_last_reference (Fixture *f, gconstpointer data)
{
  Fixture other;
  char byte;

  setup (&other, NULL);
  xds_client_read_async (other.client, NULL, "/1", NULL, drop_client, &other.client);
  xds_client_flush (other.client, NULL);
  if (data != NULL)
    {
      close (other.server);
      other.server = -1;
    }
  g_timeout_add_full (G_PRIORITY_HIGH, 1, end_connection, &other, NULL);
  while (other.client != NULL)
    g_main_context_iteration (NULL, TRUE);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  if (other.server < 0)
    return;
  while (recv (other.server, &byte, 1, MSG_DONTWAIT) == 1)
    ;
  g_assert_cmpint (recv (other.server, &byte, 1, MSG_DONTWAIT), ==, 0);
  close (other.server);
}

/* A directory that changes between two parts is listed again from its beginning. */
static void
test_parts (Fixture *f, gconstpointer data)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) names = NULL;
  char payload[XDS_PAYLOAD_MAX];

  xds_client_list_async (f->client, NULL, "/d", NULL, store_result, &result);
  xds_client_flush (f->client, NULL);
  give (f, XDS_OP_ERROR, take (f, payload).req_id, "E2BIG", 6);
  for (guint i = 0; i < 4; i++)
    {
      static const struct
      {
        const char *offset, *answer;
        gsize len;
      } steps[] = {
        { "0", "1\0a", 4 },
        { "2", "2\0c", 4 },
        { "0", "2\0b", 4 },
        { "2", "2\0c\0", 5 },
      };
      XdsMsgHeader header;

      while (g_main_context_iteration (NULL, FALSE))
        ;
      header = take (f, payload);
      g_assert_cmpuint (header.type, ==, XDS_OP_DIRECTORY_PART);
      g_assert_cmpstr (payload + sizeof "/d", ==, steps[i].offset);
      give (f, XDS_OP_DIRECTORY_PART, header.req_id, steps[i].answer, steps[i].len);
    }
  wait_result (&result);
  names = xds_client_list_finish (f->client, result, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_strv_length (names), ==, 2);
  g_assert_cmpstr (names[0], ==, "b");
  g_assert_cmpstr (names[1], ==, "c");
}

static void
count (XdsWatch *watch, const char *path, guint *n)
{
  ++*n;
}

/* Where the server knows no depth it is not asked for one, and deep events are left out here. */
static void
test_depth (Fixture *f, gconstpointer data)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (XdsWatch) watch = NULL;
  g_autofree char *event = NULL;
  char payload[XDS_PAYLOAD_MAX];
  XdsMsgHeader header;
  guint n = 0;

  xds_client_watch_async (f->client, "/a", 1, NULL, store_result, &result);
  xds_client_flush (f->client, NULL);
  header = take (f, payload);
  g_assert_cmpuint (header.type, ==, XDS_OP_GET_FEATURE);
  give (f, XDS_OP_ERROR, header.req_id, "ENOSYS", 7);
  /* What goes behind a message without payload, for servers that need more bytes. */
  header = take (f, payload);
  g_assert_cmpuint (header.type, ==, XDS_OP_GET_DOMAIN_PATH);
  give (f, XDS_OP_GET_DOMAIN_PATH, header.req_id, "/local/domain/0", 16);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  header = take (f, payload);
  g_assert_cmpuint (header.type, ==, XDS_OP_WATCH);
  g_assert_cmpuint (header.len, ==, sizeof "/a" + sizeof "1");
  give (f, XDS_OP_WATCH, header.req_id, "OK", 3);
  wait_result (&result);
  watch = xds_client_watch_finish (f->client, result, &error);
  g_assert_no_error (error);
  g_signal_connect (watch, "changed", G_CALLBACK (count), &n);
  give (f, XDS_OP_WATCH_EVENT, 0, "/a/b/c\0001", 9);
  give (f, XDS_OP_WATCH_EVENT, 0, "/a/b\0001", 7);
  give (f, XDS_OP_WATCH_EVENT, 0, "/a/b\0002", 7);
  give (f, XDS_OP_WATCH_EVENT, 0, "nonsense", 8);
  event = xds_watch_next (watch, -1, &error);
  g_assert_cmpstr (event, ==, "/a/b");
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpuint (n, ==, 0);
}

int
main (int argc, char **argv)
{
  static const char type[] = "type";

  g_test_init (&argc, &argv, NULL);
#define ADD(path, func, data) g_test_add (path, Fixture, data, setup, func, teardown)
  ADD ("/client-wire/out-of-order", test_out_of_order, NULL);
  ADD ("/client-wire/unknown-error", test_unknown_error, NULL);
  ADD ("/client-wire/wrong-answer/id", test_wrong_answer, NULL);
  ADD ("/client-wire/wrong-answer/type", test_wrong_answer, type);
  ADD ("/client-wire/length", test_length, NULL);
  ADD ("/client-wire/timeout", test_timeout, NULL);
  ADD ("/client-wire/last-reference/close", test_last_reference, NULL);
  ADD ("/client-wire/last-reference/send", test_last_reference, type);
  ADD ("/client-wire/parts", test_parts, NULL);
  ADD ("/client-wire/depth", test_depth, NULL);
  return g_test_run ();
}
