/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Ends the process that serves, whose parent is the daemon that was started, for it-crash.sh.  The
 * socket is $XENSTORED_PATH.
 *
 *   it-crash random PID COUNT SIGNAL    at random moments; prints how many there were
 *   it-crash step PID COUNT [SIGNAL]    at instructions of a turn that executes a pipeline of
 *                                       requests, and judges the answers
 *   it-crash host PID COUNT DOMID       the same with requests that more than the store hears of: a
 *                                       domain comes and goes
 *   it-crash leave PID COUNT            at instructions of a turn that notices a client's end
 *
 *   it-crash fill                       by nodes, for which there is no memory
 *   it-crash poison                     by requests that are each its end, until the connection is
 *                                       closed
 *
 * A stepped process runs one instruction at a time from when the requests are sent, until it has
 * executed as many as were drawn, and is killed there.  How many a turn has is counted first.
 *
 * Exit status: 0; 1, and a line that says what was wrong.
 */

#include "xsd/wire/msg.h"
#include "xsd/wire/op-number.h"

#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE 20000 /* milliseconds */

static G_GNUC_NORETURN void
wrong (const char *what, const char *more)
{
  printf ("%s%s%s\n", what, more != NULL ? ": " : "", more != NULL ? more : "");
  exit (1);
}

/* --- the process that serves --- */

/* 0: there is none now. */
static pid_t
find_worker (pid_t keeper)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/task/%d/children", (int) keeper, (int) keeper);
  g_autofree char *text = NULL;

  if (!g_file_get_contents (path, &text, NULL, NULL))
    wrong ("the daemon is gone", NULL);
  return atoi (text);
}

static pid_t
wait_for_worker (pid_t keeper, pid_t before)
{
  gint64 end = g_get_monotonic_time () + PATIENCE * G_GINT64_CONSTANT (1000);
  pid_t pid;

  while ((pid = find_worker (keeper)) == 0 || pid == before)
    {
      if (g_get_monotonic_time () > end)
        wrong ("nobody comes after the process that was killed", NULL);
      g_usleep (200);
    }
  return pid;
}

/* --- a client --- */

typedef struct
{
  int fd;
  guint32 req_id;
  GByteArray *batch;
  char payload[XDS_PAYLOAD_MAX + 1];
  XdsMsgHeader header;
} Client;

static void
client_open (Client *self)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };

  self->fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  self->batch = g_byte_array_new ();
  g_strlcpy (address.sun_path, g_getenv ("XENSTORED_PATH"), sizeof address.sun_path);
  if (self->fd < 0 || connect (self->fd, (const struct sockaddr *) &address, sizeof address) < 0)
    wrong ("cannot connect", g_strerror (errno));
}

static void
client_close (Client *self)
{
  close (self->fd);
  g_byte_array_unref (self->batch);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Client, client_close)

static void
add (Client *self, guint32 type, guint32 tx_id, const char *path, const char *value)
{
  gsize len = strlen (path) + 1, value_len = value != NULL ? strlen (value) : 0;
  const XdsMsgHeader header = { type, ++self->req_id, tx_id, len + value_len };

  g_byte_array_append (self->batch, (const guint8 *) &header, sizeof header);
  g_byte_array_append (self->batch, (const guint8 *) path, len);
  g_byte_array_append (self->batch, (const guint8 *) value, value_len);
}

static void
flush (Client *self)
{
  if (send (self->fd, self->batch->data, self->batch->len, MSG_NOSIGNAL)
      != (ssize_t) self->batch->len)
    wrong ("cannot send", g_strerror (errno));
  g_byte_array_set_size (self->batch, 0);
}

static gboolean
has_answer (const Client *self, int timeout)
{
  struct pollfd poller = { .fd = self->fd, .events = POLLIN };

  return poll (&poller, 1, timeout) > 0;
}

static void
receive_bytes (const Client *self, void *bytes, gsize len)
{
  for (gsize got = 0; got < len;)
    {
      ssize_t n;

      if (!has_answer (self, PATIENCE))
        wrong ("no answer comes", NULL);
      n = recv (self->fd, (char *) bytes + got, len - got, 0);
      if (n <= 0)
        wrong ("the connection is gone", NULL);
      got += n;
    }
}

static void
expect (Client *self, guint32 type, guint32 req_id, const char *payload)
{
  g_autofree char *said = NULL;

  receive_bytes (self, &self->header, sizeof self->header);
  if (self->header.len > XDS_PAYLOAD_MAX)
    wrong ("a message is too long", NULL);
  receive_bytes (self, self->payload, self->header.len);
  self->payload[self->header.len] = '\0';
  if (self->header.type == type && self->header.req_id == req_id
      && (payload == NULL || strcmp (self->payload, payload) == 0))
    return;
  said = g_strdup_printf ("type %u, request %u, \"%s\" instead of type %u, request %u, \"%s\"",
                          self->header.type, self->header.req_id, self->payload, type, req_id,
                          payload != NULL ? payload : "");
  wrong ("another message", said);
}

static void
ask (Client *self, guint32 type, guint32 tx_id, const char *path, const char *value)
{
  add (self, type, tx_id, path, value);
  flush (self);
  expect (self, type, self->req_id, NULL);
}

/* --- at random --- */

static void
run_random (pid_t keeper, guint count, int signal)
{
  g_autoptr (GRand) rand = g_rand_new ();
  g_auto (Client) client = { 0 };

  client_open (&client);
  for (guint i = 0; i < count; i++)
    {
      pid_t pid;

      g_usleep (g_rand_int_range (rand, 0, 20000));
      pid = wait_for_worker (keeper, 0);
      kill (pid, signal);
      wait_for_worker (keeper, pid);
      if (i % 4 != 0)
        continue; /* the next one may be killed before it serves */
      ask (&client, XDS_OP_READ, 0, "/", NULL);
    }
  ask (&client, XDS_OP_READ, 0, "/", NULL);
  printf ("%u times\n", count);
}

/* --- step by step --- */

/* A pipeline of requests that one turn of the daemon is to execute, and what they are to give. */
typedef struct
{
  void (*add) (Client *self, guint round);
  void (*expect) (Client *self, guint round);
} Pipeline;

/* Each kind of change, and reads between. */
static void
add_changes (Client *self, guint round)
{
  guint32 txn;
  char value[16];

  ask (self, XDS_OP_TRANSACTION_START, 0, "", NULL);
  txn = g_ascii_strtoull (self->payload, NULL, 10);
  g_snprintf (value, sizeof value, "%u", round);
  add (self, XDS_OP_WRITE, 0, "/step/a", value);
  add (self, XDS_OP_READ, 0, "/step/a", NULL);
  add (self, XDS_OP_MKDIR, 0, "/step/b/c", NULL);
  add (self, XDS_OP_RM, 0, "/step/b", NULL);
  add (self, XDS_OP_READ, txn, "/step/t", NULL);
  add (self, XDS_OP_WRITE, txn, "/step/t", value);
  add (self, XDS_OP_TRANSACTION_END, txn, "T", NULL);
  add (self, XDS_OP_READ, 0, "/step/t", NULL);
}

static void
expect_event (Client *self, const char *path)
{
  expect (self, XDS_OP_WATCH_EVENT, 0, path);
}

static void
expect_changes (Client *self, guint round)
{
  guint32 id = self->req_id - 7;
  char value[16], before[16];

  g_snprintf (value, sizeof value, "%u", round);
  g_snprintf (before, sizeof before, "%u", round - 1);
  expect_event (self, "/step/a");
  expect (self, XDS_OP_WRITE, id++, "OK");
  expect (self, XDS_OP_READ, id++, value);
  expect_event (self, "/step/b/c");
  expect (self, XDS_OP_MKDIR, id++, "OK");
  expect_event (self, "/step/b");
  expect (self, XDS_OP_RM, id++, "OK");
  expect (self, XDS_OP_READ, id++, before);
  expect (self, XDS_OP_WRITE, id++, "OK");
  expect_event (self, "/step/t");
  expect (self, XDS_OP_TRANSACTION_END, id++, "OK");
  expect (self, XDS_OP_READ, id++, value);
}

static const Pipeline changes = { add_changes, expect_changes };

/* The domain that comes and goes. */
static char guest[16];

static void
add_host (Client *self, guint round G_GNUC_UNUSED)
{
  g_autofree char *numbers = g_strdup_printf ("%s 1 1", guest);
  g_autofree char *reason = g_strdup_printf ("reason %s", guest);
  gsize at = self->batch->len + sizeof (XdsMsgHeader);

  add (self, XDS_OP_INTRODUCE, 0, numbers, NULL);
  g_strdelimit ((char *) self->batch->data + at, " ", '\0');
  at = self->batch->len + sizeof (XdsMsgHeader);
  add (self, XDS_OP_CONTROL, 0, reason, NULL);
  g_strdelimit ((char *) self->batch->data + at, " ", '\0');
  add (self, XDS_OP_RELEASE, 0, guest, NULL);
}

static void
expect_host (Client *self, guint round G_GNUC_UNUSED)
{
  expect (self, XDS_OP_INTRODUCE, self->req_id - 2, "OK");
  expect (self, XDS_OP_CONTROL, self->req_id - 1, "running");
  expect (self, XDS_OP_RELEASE, self->req_id, "OK");
}

static const Pipeline host = { add_host, expect_host };

/* On one processor the two take turns at once. */
static void
stop (pid_t pid)
{
  cpu_set_t one;
  int status;

  CPU_ZERO (&one);
  CPU_SET (0, &one);
  sched_setaffinity (0, sizeof one, &one);
  sched_setaffinity (pid, sizeof one, &one);

  if (ptrace (PTRACE_SEIZE, pid, NULL, NULL) < 0 || ptrace (PTRACE_INTERRUPT, pid, NULL, NULL) < 0
      || waitpid (pid, &status, __WALL) != pid)
    wrong ("cannot trace the process that serves", g_strerror (errno));
}

/* How many instructions it did, at most @most, before it waited for something. */
static guint
step (pid_t pid, guint most)
{
  int status;

  for (guint i = 0; i < most; i++)
    {
      if (ptrace (PTRACE_SINGLESTEP, pid, NULL, NULL) < 0)
        wrong ("cannot step", g_strerror (errno));
      alarm (1);
      if (waitpid (pid, &status, __WALL) != pid)
        return i;
      if (!WIFSTOPPED (status))
        wrong ("the process that serves ended by itself", NULL);
    }
  alarm (0);
  return most;
}

static void
prepare_steps (Client *self)
{
  add (self, XDS_OP_WRITE, 0, "/step/t", "0");
  flush (self);
  expect (self, XDS_OP_WRITE, self->req_id, "OK");
  add (self, XDS_OP_WATCH, 0, "/step", "");
  g_byte_array_append (self->batch, (const guint8 *) "w", 2);
  ((XdsMsgHeader *) self->batch->data)->len += 2;
  flush (self);
  expect (self, XDS_OP_WATCH, self->req_id, "OK");
  expect_event (self, "/step");
}

static void
finish (pid_t pid, int signal)
{
  int status;

  alarm (0);
  kill (pid, signal);
  /* If it waited, it runs, and stops for the signal; else it stands. */
  if (ptrace (PTRACE_DETACH, pid, NULL, signal) < 0)
    {
      waitpid (pid, &status, __WALL);
      ptrace (PTRACE_DETACH, pid, NULL, signal);
    }
}

/* One round, in which the process is killed after @most instructions; how many it did. */
static guint
run_round (Client *client, const Pipeline *pipeline, pid_t keeper, guint round, guint most,
           int signal)
{
  pid_t pid = wait_for_worker (keeper, 0);
  guint done;

  pipeline->add (client, round);
  stop (pid);
  flush (client);
  done = step (pid, most);
  finish (pid, signal);
  wait_for_worker (keeper, pid);
  pipeline->expect (client, round);
  if (has_answer (client, 0))
    wrong ("more than the answers", NULL);
  return done;
}

static void
wake (int signal G_GNUC_UNUSED)
{
}

static void
run_step (const Pipeline *pipeline, pid_t keeper, guint count, int signal)
{
  g_autoptr (GRand) rand = g_rand_new ();
  g_auto (Client) client = { 0 };
  guint all;

  sigaction (SIGALRM, &(struct sigaction){ .sa_handler = wake }, NULL); /* ends a wait */
  client_open (&client);
  if (pipeline == &changes)
    prepare_steps (&client);
  all = run_round (&client, pipeline, keeper, 1, 2000000, signal);
  for (guint i = 0; i < count; i++)
    run_round (&client, pipeline, keeper, i + 2, g_rand_int_range (rand, 0, all), signal);
  printf ("%u times within %u instructions\n", count, all);
}

/* One client goes, and the process that serves is killed after @most instructions since; how many
   it did.  The one that stays is served all the same. */
static guint
run_leave_round (Client *stays, pid_t keeper, guint most)
{
  pid_t pid = wait_for_worker (keeper, 0);
  guint done;

  {
    g_auto (Client) goes = { 0 };

    client_open (&goes);
    ask (&goes, XDS_OP_READ, 0, "/", NULL);
    stop (pid);
  }
  done = step (pid, most);
  finish (pid, SIGKILL);
  wait_for_worker (keeper, pid);
  ask (stays, XDS_OP_READ, 0, "/", NULL);
  return done;
}

static void
run_leave (pid_t keeper, guint count)
{
  g_auto (Client) stays = { 0 };
  guint all;

  sigaction (SIGALRM, &(struct sigaction){ .sa_handler = wake }, NULL);
  client_open (&stays);
  all = run_leave_round (&stays, keeper, 2000000);
  for (guint i = 0; i < count; i++)
    run_leave_round (&stays, keeper, all * (guint64) i / count);
  printf ("%u times within %u instructions\n", count, all);
}

/* --- of itself --- */

/* More than a limit of memory that was set meanwhile allows. */
static void
run_fill (void)
{
  g_auto (Client) client = { 0 };
  g_autofree char *value = g_strnfill (3000, 'x');

  client_open (&client);
  for (guint i = 0; i < 5000; i++)
    {
      g_autofree char *path = g_strdup_printf ("/fill/%u", i);

      ask (&client, XDS_OP_WRITE, 0, path, value);
    }
  ask (&client, XDS_OP_RM, 0, "/fill", NULL);
}

static gboolean
is_closed (const Client *self)
{
  char byte;

  if (!has_answer (self, PATIENCE))
    wrong ("no answer comes", NULL);
  return recv (self->fd, &byte, 1, MSG_PEEK) <= 0;
}

/* The request in the middle of each three is one that kills. */
static void
run_poison (void)
{
  g_auto (Client) client = { 0 };
  guint n = 0;

  client_open (&client);
  for (;; n++)
    {
      add (&client, XDS_OP_WRITE, 0, "/poison", "1");
      add (&client, XDS_OP_IS_DOMAIN_INTRODUCED, 0, "5", NULL);
      add (&client, XDS_OP_READ, 0, "/poison", NULL);
      flush (&client);
      if (is_closed (&client))
        break;
      expect (&client, XDS_OP_WRITE, client.req_id - 2, "OK");
      expect (&client, XDS_OP_ERROR, client.req_id - 1, "EIO");
      expect (&client, XDS_OP_READ, client.req_id, "1");
    }
  printf ("%u times EIO, then closed\n", n);
}

int
main (int argc, char **argv)
{
  pid_t keeper = argc > 3 ? atoi (argv[2]) : 0;
  guint number = argc > 3 ? atoi (argv[3]) : 0;
  int signal = argc > 4 ? atoi (argv[4]) : SIGKILL;

  setvbuf (stdout, NULL, _IOLBF, 0);
  if (keeper > 0 && number > 0 && g_str_equal (argv[1], "random"))
    run_random (keeper, number, signal);
  else if (keeper > 0 && number > 0 && g_str_equal (argv[1], "step"))
    run_step (&changes, keeper, number, signal);
  else if (argc == 5 && keeper > 0 && number > 0 && g_str_equal (argv[1], "host"))
    {
      g_strlcpy (guest, argv[4], sizeof guest);
      run_step (&host, keeper, number, SIGKILL);
    }
  else if (keeper > 0 && number > 0 && g_str_equal (argv[1], "leave"))
    run_leave (keeper, number);
  else if (argc == 2 && g_str_equal (argv[1], "fill"))
    run_fill ();
  else if (argc == 2 && g_str_equal (argv[1], "poison"))
    run_poison ();
  else
    wrong ("usage: it-crash random|step|host|leave PID NUMBER [WHAT], or it-crash fill|poison",
           NULL);
  return 0;
}
