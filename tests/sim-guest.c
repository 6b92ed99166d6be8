/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Plays one guest of a simulated world by hand: sends requests through its ring as a kernel would
 * and prints what comes back.  Without arguments it prints its commands.
 *
 * Output: strings one a line; "error NAME" for an error reply; "event PATH TOKEN" for a watch
 * event.  Exit status: 0 done; 1 an error reply; 2 usage; 3 the guest cannot be played;
 * 124 no answer in time.
 */

#include "tests/guest-ring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum
{
  EXIT_ERROR_REPLY = 1,
  EXIT_USAGE = 2,
  EXIT_NO_GUEST = 3,
  EXIT_TIMEOUT = 124,
};

typedef struct
{
  XdsGuests *guests;  /* (owned) */
  XdsGuestRing *ring; /* (transfer none) */
  guint domid;
  gint64 end; /* when to give up, of g_get_monotonic_time() */
  guint32 tx_id;
  GQueue events; /* (element-type XdsGuestMsg) */
} Player;

typedef struct
{
  const char *name, *args;
  guint32 type;
  int min, max; /* words after the name; max -1: any number */
  int (*run) (Player *player, guint32 type, int n, char **words);
} Command;

static int run_words (Player *player, int n, char **words);

/* --- asking and printing --- */

static gint
time_left (Player *player)
{
  gint64 left = player->end - g_get_monotonic_time ();

  return left > 0 ? (gint) (left / 1000) + 1 : 0;
}

static void
print_event (const XdsGuestMsg *msg)
{
  printf ("event %s %s\n", msg->payload, msg->payload + strlen (msg->payload) + 1);
}

static guint
print_events (Player *player)
{
  XdsGuestMsg *msg;
  guint n = 0;

  while ((msg = g_queue_pop_head (&player->events)) != NULL)
    {
      print_event (msg);
      g_free (msg);
      n++;
    }
  fflush (stdout);
  return n;
}

static void
print_reply (const XdsGuestMsg *msg)
{
  guint32 i;

  if (msg->header.type == XDS_OP_ERROR)
    printf ("error %s\n", msg->payload);
  else if (msg->header.type == XDS_OP_READ)
    {
      fwrite (msg->payload, 1, msg->header.len, stdout);
      putchar ('\n');
    }
  else
    for (i = 0; i < msg->header.len; i += (guint32) strlen (msg->payload + i) + 1)
      puts (msg->payload + i);
  fflush (stdout);
}

static XdsGuestMsg *
ask (Player *player, guint32 type, const void *payload, gsize len)
{
  return xds_guests_call (player->guests, player->ring, type, player->tx_id, payload, len,
                          time_left (player), &player->events);
}

static int
timed_out (void)
{
  fprintf (stderr, "sim-guest: no answer in time: is a server running, and was the domain "
                   "introduced to it?\n");
  return EXIT_TIMEOUT;
}

/* Words become the payload; the last one of WRITE has no NUL behind it. */
static GByteArray *
make_payload (guint32 type, int n, char **words)
{
  GByteArray *payload = g_byte_array_new ();
  int i;

  for (i = 0; i < n; i++)
    g_byte_array_append (payload, (const guint8 *) words[i],
                         (guint) strlen (words[i]) + !(type == XDS_OP_WRITE && i == 1));
  return payload;
}

static int
run_plain (Player *player, guint32 type, int n, char **words)
{
  g_autoptr (GByteArray) payload = make_payload (type, n, words);
  g_autofree XdsGuestMsg *msg = ask (player, type, payload->data, payload->len);

  if (msg == NULL)
    return timed_out ();
  print_events (player);
  print_reply (msg);
  return msg->header.type == XDS_OP_ERROR ? EXIT_ERROR_REPLY : 0;
}

/* --- listings, in parts where one message is too small --- */

static XdsGuestMsg *
ask_part (Player *player, const char *path, gsize offset)
{
  g_autofree char *number = g_strdup_printf ("%" G_GSIZE_FORMAT, offset);
  char *words[] = { (char *) path, number };
  g_autoptr (GByteArray) payload = make_payload (XDS_OP_DIRECTORY_PART, 2, words);

  return ask (player, XDS_OP_DIRECTORY_PART, payload->data, payload->len);
}

static void
print_names (GByteArray *names)
{
  gsize i;

  for (i = 0; i < names->len; i += strlen ((char *) names->data + i) + 1)
    puts ((char *) names->data + i);
  fflush (stdout);
}

static int
list_parts (Player *player, const char *path)
{
  g_autoptr (GByteArray) names = g_byte_array_new ();
  g_autofree char *generation = NULL;
  gsize head;

  for (;;)
    {
      g_autofree XdsGuestMsg *msg = ask_part (player, path, names->len);

      if (msg == NULL)
        return timed_out ();
      if (msg->header.type == XDS_OP_ERROR)
        {
          print_reply (msg);
          return EXIT_ERROR_REPLY;
        }
      head = strlen (msg->payload) + 1;
      if (g_strcmp0 (generation, msg->payload) != 0)
        {
          /* The directory changed: what was collected may not fit together. */
          gboolean again = generation != NULL;

          g_free (generation);
          generation = g_strdup (msg->payload);
          g_byte_array_set_size (names, 0);
          if (again)
            continue;
        }
      g_byte_array_append (names, (guint8 *) msg->payload + head, msg->header.len - head);
      /* An empty name ends the list. */
      if (names->len == 0 || (names->len == 1 && names->data[0] == 0)
          || (names->len > 1 && names->data[names->len - 2] == 0))
        break;
    }
  if (names->len > 0)
    g_byte_array_set_size (names, names->len - 1);
  print_names (names);
  return 0;
}

static int
run_ls (Player *player, guint32 type, int n, char **words)
{
  g_autoptr (GByteArray) payload = make_payload (type, n, words);
  g_autofree XdsGuestMsg *msg = ask (player, type, payload->data, payload->len);

  if (msg == NULL)
    return timed_out ();
  print_events (player);
  if (msg->header.type == XDS_OP_ERROR && strcmp (msg->payload, "E2BIG") == 0)
    return list_parts (player, words[0]);
  print_reply (msg);
  return msg->header.type == XDS_OP_ERROR ? EXIT_ERROR_REPLY : 0;
}

static int
run_parts (Player *player, guint32 type, int n, char **words)
{
  return list_parts (player, words[0]);
}

/* --- watches --- */

/* Prints events until @max came (-1: any number) or the time is over. */
static int
print_coming_events (Player *player, gint64 max)
{
  XdsGuestMsg *msg;
  gint64 n = print_events (player);

  while (max < 0 || n < max)
    {
      while ((msg = xds_guest_ring_next (player->ring)) != NULL)
        if (msg->header.type == XDS_OP_WATCH_EVENT)
          g_queue_push_tail (&player->events, msg);
        else
          g_free (msg);
      n += print_events (player);
      if (max >= 0 && n >= max)
        break;
      if (time_left (player) == 0)
        return max < 0 ? 0 : EXIT_TIMEOUT;
      xds_guests_wait (player->guests, time_left (player));
    }
  return 0;
}

static int
run_watch (Player *player, guint32 type, int n, char **words)
{
  g_autoptr (GByteArray) payload = make_payload (type, 2, words);
  g_autofree XdsGuestMsg *msg = NULL;
  gint64 max = -1;
  int i;

  for (i = 2; i + 1 < n; i += 2)
    if (strcmp (words[i], "-n") == 0)
      max = strtoll (words[i + 1], NULL, 10);
    else if (strcmp (words[i], "-t") == 0)
      player->end = g_get_monotonic_time () + (gint64) (strtod (words[i + 1], NULL) * 1e6);
    else
      return EXIT_USAGE;
  if (i != n)
    return EXIT_USAGE;
  msg = ask (player, type, payload->data, payload->len);
  if (msg == NULL)
    return timed_out ();
  if (msg->header.type == XDS_OP_ERROR)
    {
      print_reply (msg);
      return EXIT_ERROR_REPLY;
    }
  return print_coming_events (player, max);
}

static int
run_events (Player *player, guint32 type, int n, char **words)
{
  return print_coming_events (player, n == 1 ? strtoll (words[0], NULL, 10) : -1);
}

/* --- transactions: commands between commas --- */

static int
finish_transaction (Player *player, gboolean commit)
{
  char word[] = { commit ? 'T' : 'F', '\0' };
  char *words[] = { word };
  int res = run_plain (player, XDS_OP_TRANSACTION_END, 1, words);

  player->tx_id = 0;
  return res;
}

static int
run_txn (Player *player, guint32 type, int n, char **words)
{
  g_autofree XdsGuestMsg *msg = ask (player, type, "", 1);
  int from, to, res = 0;

  if (msg == NULL)
    return timed_out ();
  if (msg->header.type == XDS_OP_ERROR)
    {
      print_reply (msg);
      return EXIT_ERROR_REPLY;
    }
  player->tx_id = (guint32) strtoul (msg->payload, NULL, 10);
  for (from = 0; from < n && res == 0; from = to + 1)
    {
      for (to = from; to < n && strcmp (words[to], ",") != 0; to++)
        ;
      res = run_words (player, to - from, words + from);
    }
  if (res == 0)
    return finish_transaction (player, TRUE);
  finish_transaction (player, FALSE);
  return res;
}

/* --- load and mischief --- */

/* Sends N reads without waiting in between, then takes the answers. */
static int
run_flood (Player *player, guint32 type, int n, char **words)
{
  const char *path = n > 1 ? words[1] : "/";
  guint64 i, total = strtoull (words[0], NULL, 10), answers = 0, errors = 0;
  XdsGuestMsg *msg;

  for (i = 0; i < total; i++)
    xds_guest_ring_send (player->ring, type, 0, path, strlen (path) + 1);
  while (answers < total)
    {
      while ((msg = xds_guest_ring_next (player->ring)) != NULL)
        {
          answers += msg->header.type != XDS_OP_WATCH_EVENT;
          errors += msg->header.type == XDS_OP_ERROR;
          g_free (msg);
        }
      if (answers < total && time_left (player) == 0)
        break;
      if (answers < total)
        xds_guests_wait (player->guests, time_left (player));
    }
  printf ("%" G_GUINT64_FORMAT " answers, %" G_GUINT64_FORMAT " errors\n", answers, errors);
  return answers == total ? 0 : EXIT_TIMEOUT;
}

/* The next message, whatever it is; (transfer full), NULL when there is none in time. */
static XdsGuestMsg *
next_message (Player *player)
{
  XdsGuestMsg *msg;

  while ((msg = xds_guest_ring_next (player->ring)) == NULL && time_left (player) > 0)
    xds_guests_wait (player->guests, time_left (player));
  return msg;
}

/* Is the next message of that type, and for that request, with that payload (nullable)? */
static gboolean
comes (Player *player, guint32 type, guint32 req_id, const char *payload)
{
  g_autofree XdsGuestMsg *msg = next_message (player);

  if (msg != NULL && msg->header.type == type && msg->header.req_id == req_id
      && (payload == NULL || strcmp (msg->payload, payload) == 0))
    return TRUE;
  if (msg == NULL)
    printf ("no message\n");
  else
    printf ("type %u, request %u, \"%s\" instead of type %u, request %u, \"%s\"\n",
            msg->header.type, msg->header.req_id, msg->payload, type, req_id,
            payload != NULL ? payload : "");
  return FALSE;
}

#define LOAD_WRITES 8

/* One round of writes and reads, all sent before any is answered. */
static gboolean
load_round (Player *player, const char *path, guint64 round)
{
  guint32 first = 0, id;
  char payload[256];

  for (guint i = 0; i < LOAD_WRITES; i++)
    {
      int len = snprintf (payload, sizeof payload, "%s%c%" G_GUINT64_FORMAT ".%u", path, 0, round,
                          i);

      id = xds_guest_ring_send (player->ring, XDS_OP_WRITE, 0, payload, len);
      first = i == 0 ? id : first;
      xds_guest_ring_send (player->ring, XDS_OP_READ, 0, path, strlen (path) + 1);
    }
  for (guint i = 0; i < LOAD_WRITES; i++)
    {
      snprintf (payload, sizeof payload, "%" G_GUINT64_FORMAT ".%u", round, i);
      if (!comes (player, XDS_OP_WATCH_EVENT, 0, path)
          || !comes (player, XDS_OP_WRITE, first + 2 * i, "OK")
          || !comes (player, XDS_OP_READ, first + 2 * i + 1, payload))
        return FALSE;
    }
  return TRUE;
}

/* Believes nothing: each write is one event and one answer, and is what is read next. */
static int
run_load (Player *player, guint32 type G_GNUC_UNUSED, int n G_GNUC_UNUSED, char **words)
{
  guint64 total = strtoull (words[0], NULL, 10);
  char payload[256];
  guint32 id;
  int len;

  len = snprintf (payload, sizeof payload, "%s%c", words[1], 0);
  id = xds_guest_ring_send (player->ring, XDS_OP_WRITE, 0, payload, len);
  if (!comes (player, XDS_OP_WRITE, id, "OK"))
    return EXIT_ERROR_REPLY;
  len = snprintf (payload, sizeof payload, "%s%cload", words[1], 0) + 1;
  id = xds_guest_ring_send (player->ring, XDS_OP_WATCH, 0, payload, len);
  if (!comes (player, XDS_OP_WATCH, id, "OK") || !comes (player, XDS_OP_WATCH_EVENT, 0, words[1]))
    return EXIT_ERROR_REPLY;
  for (guint64 i = 0; i < total; i++)
    if (!load_round (player, words[1], i))
      return EXIT_ERROR_REPLY;
  printf ("%" G_GUINT64_FORMAT " rounds\n", total);
  return 0;
}

/* Sends N reads and takes no answer; prints how many requests the server let into the ring. */
static int
run_deaf (Player *player, guint32 type, int n, char **words)
{
  const char *path = n > 1 ? words[1] : "/";
  gsize size = sizeof (XdsMsgHeader) + strlen (path) + 1;
  guint64 i, total = strtoull (words[0], NULL, 10);

  xds_guest_ring_set_deaf (player->ring, TRUE);
  for (i = 0; i < total; i++)
    xds_guest_ring_send (player->ring, type, 0, path, strlen (path) + 1);
  while (xds_guest_ring_unsent (player->ring) > 0 && time_left (player) > 0)
    xds_guests_wait (player->guests, time_left (player));
  printf ("%" G_GUINT64_FORMAT " sent\n", total - xds_guest_ring_unsent (player->ring) / size);
  return 0;
}

static int
run_reconnect (Player *player, guint32 type, int n, char **words)
{
  xds_guest_ring_reconnect (player->ring);
  while (!xds_guest_ring_reconnected (player->ring))
    {
      if (time_left (player) == 0)
        return timed_out ();
      xds_guests_wait (player->guests, time_left (player));
    }
  return 0;
}

/* Claims to have written more than the ring can hold. */
static int
run_corrupt (Player *player, guint32 type, int n, char **words)
{
  XdsRingPage *page = xds_guest_ring_page (player->ring);

  xds_ring_store (&page->req_prod, xds_ring_load (&page->req_cons) + 5000);
  xds_guests_signal (player->guests, player->domid);
  return 0;
}

static int
run_page (Player *player, guint32 type, int n, char **words)
{
  XdsRingPage *page = xds_guest_ring_page (player->ring);

  printf ("req %u/%u rsp %u/%u features %#x connection %u error %u port %u\n",
          xds_ring_load (&page->req_cons), xds_ring_load (&page->req_prod),
          xds_ring_load (&page->rsp_cons), xds_ring_load (&page->rsp_prod),
          xds_ring_load (&page->server_features), xds_ring_load (&page->connection),
          xds_ring_load (&page->error), xds_ring_load (&page->evtchn_port));
  return 0;
}

static int
run_raw (Player *player, guint32 type, int n, char **words)
{
  return run_plain (player, (guint32) strtoul (words[0], NULL, 0), n - 1, words + 1);
}

/* --- the command --- */

static const Command commands[] = {
  { "read", "PATH", XDS_OP_READ, 1, 1, run_plain },
  { "write", "PATH VALUE", XDS_OP_WRITE, 2, 2, run_plain },
  { "ls", "PATH", XDS_OP_DIRECTORY, 1, 1, run_ls },
  { "parts", "PATH (a listing by DIRECTORY_PART alone)", 0, 1, 1, run_parts },
  { "rm", "PATH", XDS_OP_RM, 1, 1, run_plain },
  { "mkdir", "PATH", XDS_OP_MKDIR, 1, 1, run_plain },
  { "perms", "PATH", XDS_OP_GET_PERMS, 1, 1, run_plain },
  { "setperms", "PATH PERM...", XDS_OP_SET_PERMS, 2, -1, run_plain },
  { "watch", "PATH TOKEN [-t SECONDS] [-n EVENTS]", XDS_OP_WATCH, 2, -1, run_watch },
  { "unwatch", "PATH TOKEN", XDS_OP_UNWATCH, 2, 2, run_plain },
  { "events", "[EVENTS] (print those that come)", 0, 0, 1, run_events },
  { "txn", "COMMAND... , COMMAND... (one transaction)", XDS_OP_TRANSACTION_START, 1, -1, run_txn },
  { "raw", "TYPE [WORD...]", 0, 1, -1, run_raw },
  { "flood", "N [PATH] (N reads at once)", XDS_OP_READ, 1, 2, run_flood },
  { "deaf", "N [PATH] (the same, taking no answer)", XDS_OP_READ, 1, 2, run_deaf },
  { "load", "N PATH (N rounds of writes and reads, each judged)", 0, 2, 2, run_load },
  { "reconnect", "", 0, 0, 0, run_reconnect },
  { "corrupt", "(break the ring's indices)", 0, 0, 0, run_corrupt },
  { "page", "(print the words of the page)", 0, 0, 0, run_page },
};

static int
usage (void)
{
  gsize i;

  fprintf (stderr, "usage: sim-guest [-w FOLDER] [-t SECONDS] ID COMMAND...\n");
  for (i = 0; i < G_N_ELEMENTS (commands); i++)
    fprintf (stderr, "  %s %s\n", commands[i].name, commands[i].args);
  return EXIT_USAGE;
}

static int
run_words (Player *player, int n, char **words)
{
  gsize i;

  for (i = 0; n > 0 && i < G_N_ELEMENTS (commands); i++)
    if (strcmp (words[0], commands[i].name) == 0 && n - 1 >= commands[i].min
        && (commands[i].max < 0 || n - 1 <= commands[i].max))
      return commands[i].run (player, commands[i].type, n - 1, words + 1);
  return usage ();
}

static int
play (const char *dir, Player *player, int n, char **words)
{
  g_autoptr (GError) error = NULL;
  int res;

  player->guests = xds_guests_new (dir, &error);
  if (player->guests != NULL)
    player->ring = xds_guests_add (player->guests, player->domid, &error);
  if (error != NULL)
    {
      fprintf (stderr, "sim-guest: %s\n", error->message);
      xds_guests_free (player->guests);
      return EXIT_NO_GUEST;
    }
  xds_guest_ring_pump (player->ring);
  res = run_words (player, n, words);
  g_queue_clear_full (&player->events, g_free);
  xds_guests_free (player->guests);
  return res;
}

int
main (int argc, char **argv)
{
  const char *dir = g_getenv ("XDS_SIM_WORLD");
  double seconds = 5;
  Player player = { .events = G_QUEUE_INIT };
  int c;

  while ((c = getopt (argc, argv, "+w:t:")) != -1)
    if (c == 'w')
      dir = optarg;
    else if (c == 't')
      seconds = strtod (optarg, NULL);
    else
      return usage ();
  if (argc - optind < 2 || !g_ascii_isdigit (argv[optind][0]))
    return usage ();
  player.domid = (guint) strtoul (argv[optind], NULL, 10);
  player.end = g_get_monotonic_time () + (gint64) (seconds * 1e6);
  return play (dir != NULL ? dir : XDS_SIM_WORLD_DEFAULT, &player, argc - optind - 1,
               argv + optind + 1);
}
