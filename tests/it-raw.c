/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Does things to a store's socket that no well-behaved client does, for the it-*.sh tests.
 * The socket is $XENSTORED_PATH.  Without arguments it prints its commands.
 *
 * Exit status: 0 done; 1 an error reply, or not what was expected; 2 usage.
 */

#include "xsd/wire/msg.h"
#include "xsd/wire/op-number.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

typedef struct
{
  XdsMsgHeader header;
  char payload[XDS_PAYLOAD_MAX + 1];
} Msg;

typedef union
{
  struct sockaddr any;
  struct sockaddr_un un;
} Address;

static Address
address_of (const char *path)
{
  Address address = { .un.sun_family = AF_UNIX };

  g_strlcpy (address.un.sun_path, path, sizeof address.un.sun_path);
  return address;
}

static int
try_connect (void)
{
  Address address = address_of (g_getenv ("XENSTORED_PATH"));
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  if (fd >= 0 && connect (fd, &address.any, sizeof address) == 0)
    return fd;
  perror ("it-raw: connect");
  exit (1);
}

static void
send_all (int fd, const void *bytes, gsize len)
{
  if (send (fd, bytes, len, MSG_NOSIGNAL) == (ssize_t) len)
    return;
  perror ("it-raw: send");
  exit (1);
}

static void
send_msg (int fd, guint32 type, const void *payload, gsize len)
{
  XdsMsgHeader header = { .type = type, .req_id = 1, .len = len };
  guint8 bytes[XDS_MSG_MAX];

  memcpy (bytes, &header, sizeof header);
  memcpy (bytes + sizeof header, payload, len);
  send_all (fd, bytes, sizeof header + len);
}

/* Exactly @len bytes; FALSE at the end of the stream. */
static gboolean
receive (int fd, void *room, gsize len)
{
  for (gsize at = 0; at < len;)
    {
      ssize_t n = recv (fd, (char *) room + at, len - at, 0);

      if (n <= 0)
        return FALSE;
      at += n;
    }
  return TRUE;
}

static gboolean
receive_msg (int fd, Msg *ret_msg)
{
  if (!receive (fd, &ret_msg->header, sizeof ret_msg->header)
      || ret_msg->header.len > XDS_PAYLOAD_MAX
      || !receive (fd, ret_msg->payload, ret_msg->header.len))
    return FALSE;
  ret_msg->payload[ret_msg->header.len] = '\0';
  return TRUE;
}

static void
receive_reply (int fd, Msg *ret_msg)
{
  do
    if (!receive_msg (fd, ret_msg))
      {
        fputs ("it-raw: the connection was closed\n", stderr);
        exit (1);
      }
  while (ret_msg->header.type == XDS_OP_WATCH_EVENT);
}

/* Words, each with its NUL; prints the reply's strings, one a line. */
static int
cmd_op (char **args)
{
  g_autoptr (GByteArray) payload = g_byte_array_new ();
  int fd = try_connect ();
  Msg msg;

  for (char **word = args + 1; *word != NULL; word++)
    g_byte_array_append (payload, (guint8 *) *word, strlen (*word) + 1);
  send_msg (fd, atoi (args[0]), payload->data, payload->len);
  receive_reply (fd, &msg);
  for (guint i = 0; i < msg.header.len; i++)
    putchar (msg.payload[i] != '\0' ? msg.payload[i] : '\n');
  return msg.header.type == XDS_OP_ERROR;
}

/* N connections, all open at once; a request on the last while the others are idle. */
static int
cmd_open (char **args)
{
  guint n = atoi (args[0]);
  struct rlimit limit;
  Msg msg;
  int fd = -1;

  getrlimit (RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);
  for (guint i = 0; i < n; i++)
    {
      fd = try_connect ();
      send_msg (fd, XDS_OP_DIRECTORY, "/", 2);
      receive_reply (fd, &msg);
    }
  puts ("open");
  fflush (stdout);
  if (args[1] != NULL)
    sleep (atoi (args[1]));
  send_msg (fd, XDS_OP_DIRECTORY, "/", 2);
  receive_reply (fd, &msg);
  puts (msg.header.type == XDS_OP_DIRECTORY ? "answered" : "error");
  return 0;
}

/* Watches PATH, asks for READ without ever taking an answer, then sleeps SECONDS. */
static int
cmd_deaf (char **args)
{
  static const char watch[] = "/\0token";
  int fd = try_connect ();
  guint32 size = 4096;
  guint n = 0;

  setsockopt (fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  send_msg (fd, XDS_OP_WATCH, watch, sizeof watch);
  for (; n < 100000; n++)
    {
      XdsMsgHeader header = { .type = XDS_OP_READ, .len = strlen (args[0]) + 1 };
      guint8 bytes[XDS_MSG_MAX];

      memcpy (bytes, &header, sizeof header);
      memcpy (bytes + sizeof header, args[0], header.len);
      if (send (fd, bytes, sizeof header + header.len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        break;
    }
  printf ("deaf after %s\n", n < 100000 ? "the store stopped reading" : "everything");
  fflush (stdout);
  sleep (atoi (args[1]));
  return 0;
}

/* N requests in one piece, then the answers, in order; half closed before they are read. */
static int
cmd_pipeline (char **args)
{
  guint n = atoi (args[0]);
  int fd = try_connect ();
  g_autoptr (GByteArray) all = g_byte_array_new ();
  Msg msg;

  for (guint i = 0; i < n; i++)
    {
      XdsMsgHeader header = { .type = XDS_OP_DIRECTORY, .req_id = i, .len = 2 };

      g_byte_array_append (all, (guint8 *) &header, sizeof header);
      g_byte_array_append (all, (guint8 *) "/", 2);
    }
  send_all (fd, all->data, all->len);
  shutdown (fd, SHUT_WR);
  for (guint i = 0; i < n; i++)
    if (!receive_msg (fd, &msg) || msg.header.req_id != i)
      {
        fprintf (stderr, "it-raw: answer %u is wrong\n", i);
        return 1;
      }
  if (receive_msg (fd, &msg))
    return 1;
  printf ("%u answers, then the end\n", n);
  return 0;
}

/* Writes PATH VALUE and closes at once, without waiting for the answer. */
static int
cmd_write_and_go (char **args)
{
  g_autofree char *payload = g_strdup_printf ("%s%c%s", args[0], '\0', args[1]);
  int fd = try_connect ();

  send_msg (fd, XDS_OP_WRITE, payload, strlen (args[0]) + 1 + strlen (args[1]));
  close (fd);
  return 0;
}

/* A header whose length breaks the protocol; the store must close. */
static int
cmd_too_long (char **args G_GNUC_UNUSED)
{
  XdsMsgHeader header = { .type = XDS_OP_READ, .len = XDS_PAYLOAD_MAX + 1 };
  int fd = try_connect ();
  char byte;

  send_all (fd, &header, sizeof header);
  puts (recv (fd, &byte, 1, 0) == 0 ? "closed" : "open");
  return 0;
}

/* One byte at a time. */
static int
cmd_drip (char **args G_GNUC_UNUSED)
{
  static const XdsMsgHeader header = { .type = XDS_OP_DIRECTORY, .len = 2 };
  int fd = try_connect ();
  guint8 bytes[sizeof header + 2] = { 0 };
  Msg msg;

  memcpy (bytes, &header, sizeof header);
  bytes[sizeof header] = '/';
  for (guint i = 0; i < sizeof bytes; i++)
    {
      send_all (fd, bytes + i, 1);
      usleep (1000);
    }
  receive_reply (fd, &msg);
  puts (msg.header.type == XDS_OP_DIRECTORY ? "answered" : "error");
  return 0;
}

/* Prints the first N messages that come to a datagram socket at PATH, as a manager would get. */
static int
cmd_listen_notify (char **args)
{
  Address address = address_of (args[0]);
  int fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  char text[4096];

  if (bind (fd, &address.any, sizeof address) < 0)
    return 1;
  for (int n = atoi (args[1]); n > 0; n--)
    {
      ssize_t len = recv (fd, text, sizeof text - 1, 0);

      if (len < 0)
        return 1;
      text[len] = '\0';
      puts (text);
      fflush (stdout);
    }
  return 0;
}

/* Listens at PATH, then becomes COMMAND, with the socket passed as a service manager does. */
static int
cmd_activate (char **args)
{
  Address address = address_of (args[0]);
  int fd = socket (AF_UNIX, SOCK_STREAM, 0);
  g_autofree char *pid = g_strdup_printf ("%d", (int) getpid ());

  if (bind (fd, &address.any, sizeof address) < 0 || listen (fd, 16) < 0 || dup2 (fd, 3) < 0)
    return 1;
  g_setenv ("LISTEN_PID", pid, TRUE);
  g_setenv ("LISTEN_FDS", "1", TRUE);
  execvp (args[1], args + 1);
  perror (args[1]);
  return 1;
}

int
main (int argc, char **argv)
{
  static const struct
  {
    const char *name, *args;
    int n_args; /* at least */
    int (*run) (char **args);
  } commands[] = {
    { "op", "TYPE [WORD...]", 1, cmd_op },
    { "open", "N [SECONDS]", 1, cmd_open },
    { "deaf", "PATH SECONDS", 2, cmd_deaf },
    { "pipeline", "N", 1, cmd_pipeline },
    { "write-and-go", "PATH VALUE", 2, cmd_write_and_go },
    { "too-long", "", 0, cmd_too_long },
    { "drip", "", 0, cmd_drip },
    { "listen-notify", "PATH N", 2, cmd_listen_notify },
    { "activate", "PATH COMMAND...", 2, cmd_activate },
  };

  for (guint i = 0; argc > 1 && i < G_N_ELEMENTS (commands); i++)
    if (g_str_equal (argv[1], commands[i].name) && argc - 2 >= commands[i].n_args)
      return commands[i].run (argv + 2);
  for (guint i = 0; i < G_N_ELEMENTS (commands); i++)
    fprintf (stderr, "it-raw %s %s\n", commands[i].name, commands[i].args);
  return 2;
}
