/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Stock libxenstore against the daemon at $XENSTORED_PATH, as any toolstack uses it.  Prints TAP.
 */

#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xenstore.h>

#define CHILDREN 20000

static struct xs_handle *xs;
static guint n_tests, n_failed;

static void
check (const char *what, gboolean good)
{
  printf ("%sok %u - %s\n", good ? "" : "not ", ++n_tests, what);
  n_failed += !good;
}

/* The next event's path; "" if none comes. */
static char *
next_event (void)
{
  struct pollfd fd = { .fd = xs_fileno (xs), .events = POLLIN };
  unsigned n;
  char **event, *path;

  if (poll (&fd, 1, 20000) != 1)
    return g_strdup ("");
  event = xs_read_watch (xs, &n);
  if (event == NULL)
    return g_strdup ("");
  path = g_strdup (event[XS_WATCH_PATH]);
  free (event);
  return path;
}

static gboolean
event_is (const char *wanted)
{
  g_autofree char *path = next_event ();

  return g_str_equal (path, wanted);
}

/* A value is bytes: each of the 256 comes back as it was. */
static void
test_bytes (void)
{
  char value[256];
  unsigned len = 0;
  char *back;

  for (guint i = 0; i < sizeof value; i++)
    value[i] = i;
  check ("a value with every byte is written",
         xs_write (xs, XBT_NULL, "/lib/bytes", value, sizeof value));
  back = xs_read (xs, XBT_NULL, "/lib/bytes", &len);
  check ("and comes back as it was",
         back != NULL && len == sizeof value && memcmp (back, value, len) == 0);
  free (back);
}

/* A directory that no single message can hold comes whole, in the order of creation. */
static void
test_listing (void)
{
  unsigned n = 0;
  gboolean good = TRUE;
  char **names;

  for (guint i = 0; i < CHILDREN && good; i++)
    {
      g_autofree char *path = g_strdup_printf ("/lib/many/child-%u", i);

      good = xs_write (xs, XBT_NULL, path, "", 0);
    }
  check ("20000 children are made", good);
  names = xs_directory (xs, XBT_NULL, "/lib/many", &n);
  check ("all are listed", names != NULL && n == CHILDREN);
  for (guint i = 0; i < n && good; i++)
    {
      g_autofree char *name = g_strdup_printf ("child-%u", i);

      good = g_str_equal (names[i], name);
    }
  check ("in the order of their creation", good);
  free (names);
  check ("they go at once", xs_rm (xs, XBT_NULL, "/lib/many"));
}

/* A watch fires when it is set, on what happens to its node and below, and no more once unset. */
static void
test_watches (void)
{
  check ("a watch is set", xs_watch (xs, "/lib/watched", "token"));
  check ("it fires at once", event_is ("/lib/watched"));
  check ("a write below",
         xs_write (xs, XBT_NULL, "/lib/watched/a/b", "1", 1) && event_is ("/lib/watched/a/b"));
  check ("a change of permissions",
         xs_set_permissions (xs, XBT_NULL, "/lib/watched/a", &(struct xs_permissions){ 0 }, 1)
             && event_is ("/lib/watched/a"));
  check ("a removal", xs_rm (xs, XBT_NULL, "/lib/watched") && event_is ("/lib/watched"));
  check ("the same watch twice is refused",
         !xs_watch (xs, "/lib/watched", "token") && errno == EEXIST);
  check ("it is unset", xs_unwatch (xs, "/lib/watched", "token"));
  check ("unset twice is refused", !xs_unwatch (xs, "/lib/watched", "token") && errno == ENOENT);
}

/* A transaction is seen whole or not at all, and one that read what was changed must try again. */
static void
test_transactions (void)
{
  struct xs_handle *other = xs_open (0);
  xs_transaction_t t = xs_transaction_start (xs);
  unsigned len;

  check ("a transaction starts", t != XBT_NULL);
  xs_write (xs, t, "/lib/txn/a", "1", 1);
  check ("others do not see what it writes", xs_read (other, XBT_NULL, "/lib/txn/a", &len) == NULL);
  check ("it ends", xs_transaction_end (xs, t, false));
  free (xs_read (other, XBT_NULL, "/lib/txn/a", &len));
  t = xs_transaction_start (xs);
  free (xs_read (xs, t, "/lib/txn/a", &len));
  xs_write (other, XBT_NULL, "/lib/txn/a", "2", 1);
  xs_write (xs, t, "/lib/txn/b", "1", 1);
  check ("one whose reading is outdated must try again",
         !xs_transaction_end (xs, t, false) && errno == EAGAIN);
  xs_close (other);
}

int
main (void)
{
  xs = xs_open (0);
  if (xs == NULL)
    {
      perror ("xs_open");
      return 1;
    }
  test_bytes ();
  test_listing ();
  test_watches ();
  test_transactions ();
  xs_close (xs);
  printf ("1..%u\n", n_tests);
  return n_failed != 0;
}
