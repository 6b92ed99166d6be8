/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A client that keeps a daemon busy while something happens to it, and believes nothing: for
 * it-liveupdate.sh and it-crash.sh.  The socket is $XENSTORED_PATH.
 *
 *   it-load ID SECONDS (0: until SIGTERM)
 *
 * Over one connection, in rounds: requests sent at once, before any is answered; their answers
 * must come in order, each once, with what was written just before; each write is one event before
 * its answer; a transaction that nobody disturbs must see its moment, and pass; one that stays open
 * over many rounds must go on seeing what it saw first.  It prints how many rounds there were.
 *
 * Exit status: 0; 1, and a line that says what was wrong.
 */

#include "xsd/wire/msg.h"
#include "xsd/wire/op-number.h"

#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define WRITES 8            /* in a round */
#define ROUNDS_OF_A_TXN 500 /* for which one stays open */

typedef struct
{
  XdsMsgHeader header;
  char payload[XDS_PAYLOAD_MAX + 1];
} Msg;

typedef struct
{
  int fd;
  guint id;
  guint round;
  guint32 req_id; /* of the last request */
  GByteArray *batch;
  guint events; /* since the last answer */
} Load;

static G_GNUC_NORETURN void
wrong (const Load *load, const char *what, const Msg *msg)
{
  printf ("client %u, round %u: %s", load->id, load->round, what);
  if (msg != NULL)
    printf (": type %u, request %u, \"%s\"", msg->header.type, msg->header.req_id, msg->payload);
  printf ("\n");
  exit (1);
}

static int
open_socket (const Load *load)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_strlcpy (address.sun_path, g_getenv ("XENSTORED_PATH"), sizeof address.sun_path);
  if (fd < 0 || connect (fd, (const struct sockaddr *) &address, sizeof address) < 0)
    wrong (load, "cannot connect", NULL);
  return fd;
}

/* --- bytes --- */

static void
add (Load *load, guint32 type, guint32 tx_id, const char *path, const char *value)
{
  gsize len = strlen (path) + 1, value_len = value != NULL ? strlen (value) : 0;
  const XdsMsgHeader header = { type, ++load->req_id, tx_id, len + value_len };

  g_byte_array_append (load->batch, (const guint8 *) &header, sizeof header);
  g_byte_array_append (load->batch, (const guint8 *) path, len);
  g_byte_array_append (load->batch, (const guint8 *) value, value_len);
}

static void
send_batch (Load *load)
{
  gsize sent = 0;

  while (sent < load->batch->len)
    {
      ssize_t n = send (load->fd, load->batch->data + sent, load->batch->len - sent, MSG_NOSIGNAL);

      if (n < 0)
        wrong (load, "the connection is gone", NULL);
      sent += n;
    }
  g_byte_array_set_size (load->batch, 0);
}

static void
receive_bytes (const Load *load, void *bytes, gsize len)
{
  gsize got = 0;

  while (got < len)
    {
      ssize_t n = recv (load->fd, (char *) bytes + got, len - got, 0);

      if (n <= 0)
        wrong (load, "the connection is gone", NULL);
      got += n;
    }
}

/* The next answer; the events before it are counted. */
static void
receive (Load *load, guint32 req_id, guint32 type, Msg *ret_msg)
{
  load->events = 0;
  for (;;)
    {
      receive_bytes (load, &ret_msg->header, sizeof ret_msg->header);
      if (ret_msg->header.len > XDS_PAYLOAD_MAX)
        wrong (load, "a message is too long", NULL);
      receive_bytes (load, ret_msg->payload, ret_msg->header.len);
      ret_msg->payload[ret_msg->header.len] = '\0';
      if (ret_msg->header.type != XDS_OP_WATCH_EVENT)
        break;
      load->events++;
    }
  if (ret_msg->header.req_id != req_id || ret_msg->header.type != type)
    wrong (load, "that is not the next answer", ret_msg);
}

static guint32
ask (Load *load, guint32 type, guint32 tx_id, const char *path, const char *value, Msg *ret_msg)
{
  add (load, type, tx_id, path, value);
  send_batch (load);
  receive (load, load->req_id, type, ret_msg);
  return g_ascii_strtoull (ret_msg->payload, NULL, 10);
}

/* --- what is checked --- */

/* Writes and reads in turn, all sent at once. */
static void
run_pipeline (Load *load, const char *path)
{
  guint32 first = load->req_id + 1;
  char value[32];
  Msg msg;

  for (guint i = 0; i < WRITES; i++)
    {
      g_snprintf (value, sizeof value, "%u.%u", load->round, i);
      add (load, XDS_OP_WRITE, 0, path, value);
      add (load, XDS_OP_READ, 0, path, NULL);
    }
  send_batch (load);
  for (guint i = 0; i < WRITES; i++)
    {
      g_snprintf (value, sizeof value, "%u.%u", load->round, i);
      receive (load, first + 2 * i, XDS_OP_WRITE, &msg);
      if (load->events != 1)
        wrong (load, "a write is not one event", &msg);
      receive (load, first + 2 * i + 1, XDS_OP_READ, &msg);
      if (load->events != 0 || !g_str_equal (msg.payload, value))
        wrong (load, value, &msg);
    }
}

static void
run_transaction (Load *load, const char *path)
{
  Msg msg;
  guint32 id = ask (load, XDS_OP_TRANSACTION_START, 0, "", NULL, &msg);
  char value[16];

  g_snprintf (value, sizeof value, "t%u", load->round);
  ask (load, XDS_OP_READ, id, path, NULL, &msg);
  ask (load, XDS_OP_WRITE, id, path, value, &msg);
  ask (load, XDS_OP_TRANSACTION_END, id, "T", NULL, &msg);
  if (load->events != 1)
    wrong (load, "a commit is not one event", &msg);
  ask (load, XDS_OP_READ, 0, path, NULL, &msg);
  if (!g_str_equal (msg.payload, value))
    wrong (load, "what was committed is not there", &msg);
}

/* One that was open all the while: sees what it saw, and must not pass. */
static void
run_long (Load *load, const char *path, guint32 *id, char *seen, gsize size)
{
  Msg msg;

  if (*id == 0)
    {
      *id = ask (load, XDS_OP_TRANSACTION_START, 0, "", NULL, &msg);
      ask (load, XDS_OP_READ, *id, path, NULL, &msg);
      g_strlcpy (seen, msg.payload, size);
      return;
    }
  ask (load, XDS_OP_READ, *id, path, NULL, &msg);
  if (!g_str_equal (msg.payload, seen))
    wrong (load, "a transaction sees another moment", &msg);
  if (load->round % ROUNDS_OF_A_TXN != 0)
    return;
  add (load, XDS_OP_TRANSACTION_END, *id, "T", NULL);
  send_batch (load);
  receive (load, load->req_id, XDS_OP_ERROR, &msg);
  if (!g_str_equal (msg.payload, "EAGAIN"))
    wrong (load, "a transaction that must not pass", &msg);
  *id = 0;
}

static volatile sig_atomic_t asked_to_end;

static void
end_asked (int signal G_GNUC_UNUSED)
{
  asked_to_end = 1;
}

int
main (int argc, char **argv)
{
  Load load = { .id = argc > 1 ? atoi (argv[1]) : 0, .batch = g_byte_array_new () };
  gint64 seconds = argc > 2 ? atoi (argv[2]) : 1;
  gint64 end = g_get_monotonic_time () + (seconds != 0 ? seconds : 86400) * G_USEC_PER_SEC;
  char path[32], seen[64];
  guint32 long_id = 0;
  Msg msg;

  load.fd = open_socket (&load);
  g_snprintf (path, sizeof path, "/load/%u", load.id);
  ask (&load, XDS_OP_WRITE, 0, path, "first", &msg);
  add (&load, XDS_OP_WATCH, 0, path, "");
  g_byte_array_append (load.batch, (const guint8 *) "token", 6);
  ((XdsMsgHeader *) load.batch->data)->len += 6;
  send_batch (&load);
  receive (&load, load.req_id, XDS_OP_WATCH, &msg);
  ask (&load, XDS_OP_READ, 0, path, NULL, &msg); /* and the watch's first event */
  sigaction (SIGTERM, &(struct sigaction){ .sa_handler = end_asked, .sa_flags = SA_RESTART }, NULL);
  while (g_get_monotonic_time () < end && !asked_to_end)
    {
      load.round++;
      run_pipeline (&load, path);
      run_transaction (&load, path);
      run_long (&load, path, &long_id, seen, sizeof seen);
    }
  printf ("client %u: %u rounds\n", load.id, load.round);
  g_byte_array_unref (load.batch);
  close (load.fd);
  return 0;
}
