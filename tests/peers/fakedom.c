/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * fakedom: plays domains by hand on a pretend hypervisor.
 *
 *   fakedom -F DIR init                  fresh: only domain 0
 *   fakedom -F DIR list                  the domains, and what was counted
 *   fakedom -F DIR create ID             a domain comes into being
 *   fakedom -F DIR uuid ID               prints its handle
 *   fakedom -F DIR -S SOCK introduce ID  ... and the server is told
 *   fakedom -F DIR -S SOCK release ID
 *   fakedom -F DIR shutdown ID [REASON]  it has shut down (+ VIRQ_DOM_EXC)
 *   fakedom -F DIR dying ID              it is being torn down (+ VIRQ)
 *   fakedom -F DIR dead ID               nothing runs any more (+ VIRQ)
 *   fakedom -F DIR destroy ID            gone from the list (+ VIRQ)
 *   fakedom -F DIR virq                  VIRQ_DOM_EXC alone
 *   fakedom -F DIR -t SEC guest ID CMD   one command as the guest, over its ring: read P,
 *                                        write P V, ls P, rm P, mkdir P, perms P,
 *                                        setperms P PERM..., watch P TOKEN (prints events until
 *                                        -t is over), raw TYPE [STRING...], reconnect, corrupt
 *                                        (breaks the ring's indices), page (its last words)
 *
 * It needs a C compiler alone, unlike sim-guest, so that it can be built beside any server.
 * Exit status: 0 done; 1 an error reply or no answer; 2 usage.
 */

#include "tests/peers/fakexen.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define HUB (FX_HUBS - 1) /* other players begin at 1 */

static struct fx fx;
static double limit_s = 5;
static uint64_t end_ns;
static uint32_t domid;
static const char *server_socket;
static XdsRingPage *page;
static XdsRingEnd reader, writer;
static int hub;

static _Noreturn void
fail (const char *what)
{
  fprintf (stderr, "fakedom: %s: %s\n", what, strerror (errno));
  exit (1);
}

static uint64_t
now (void)
{
  struct timespec ts;

  clock_gettime (CLOCK_MONOTONIC, &ts);
  return (uint64_t) ts.tv_sec * 1000000000u + (uint64_t) ts.tv_nsec;
}

/* --- the ring --- */

/* Waits for a signal from the server; false when the time is over. */
static bool
wait_event (void)
{
  struct pollfd pfd = { .fd = hub, .events = POLLIN };
  uint64_t t = now ();
  uint32_t id;

  if (t >= end_ns)
    return false;
  if (poll (&pfd, 1, (int) ((end_ns - t) / 1000000) + 1) != 1)
    return false;
  if (read (hub, &id, sizeof id) == sizeof id)
    fx_guest_unmask (&fx, id);
  return true;
}

/* Moves @len bytes in one direction, with a signal to the server for each piece. */
static bool
move (int (*step) (XdsRingEnd *end, void *data, size_t len), XdsRingEnd *end, void *data,
      size_t len)
{
  uint8_t *at = data;
  int n;

  while (len > 0)
    {
      n = step (end, at, len);
      if (n < 0)
        {
          errno = EPROTO;
          fail ("the server broke the ring's indices");
        }
      if (n == 0 && !wait_event ())
        return false;
      if (n > 0)
        fx_notify_server (&fx, domid);
      at += n;
      len -= (size_t) n;
    }
  return true;
}

static int
write_step (XdsRingEnd *end, void *data, size_t len)
{
  return xds_ring_write (end, data, len);
}

static void
send_request (XdsMsgHeader *header, char *body)
{
  if (move (write_step, &writer, header, sizeof *header)
      && move (write_step, &writer, body, header->len))
    return;
  errno = ETIMEDOUT;
  fail ("no room in the ring");
}

static bool
receive (XdsMsgHeader *ret_header, char *ret_body)
{
  if (!move (xds_ring_read, &reader, ret_header, sizeof *ret_header))
    return false;
  if (ret_header->len > XDS_PAYLOAD_MAX)
    {
      errno = EPROTO;
      fail ("oversized answer");
    }
  if (!move (xds_ring_read, &reader, ret_body, ret_header->len))
    return false;
  ret_body[ret_header->len] = '\0';
  return true;
}

static void
print (const XdsMsgHeader *header, const char *body)
{
  uint32_t i;

  if (header->type == XDS_OP_ERROR)
    printf ("error %s\n", body);
  else if (header->type == XDS_OP_WATCH_EVENT)
    printf ("event %s %s\n", body, body + strlen (body) + 1);
  else if (header->type == XDS_OP_READ)
    printf ("%s\n", body);
  else
    for (i = 0; i < header->len; i += (uint32_t) strlen (body + i) + 1)
      printf ("%s\n", body + i);
  fflush (stdout);
}

/* --- the guest's commands --- */

static int
guest_page (void)
{
  printf ("req %u/%u rsp %u/%u features %#x connection %u error %u port %u\n", page->req_cons,
          page->req_prod, page->rsp_cons, page->rsp_prod, page->server_features, page->connection,
          page->error, page->evtchn_port);
  return 0;
}

static int
guest_corrupt (void)
{
  xds_ring_store (&page->req_prod, xds_ring_load (&page->req_cons) + 5000);
  fx_notify_server (&fx, domid);
  return 0;
}

static int
guest_reconnect (void)
{
  xds_ring_store (&page->connection, XDS_RING_RECONNECT);
  fx_notify_server (&fx, domid);
  while (xds_ring_load (&page->connection) != XDS_RING_CONNECTED)
    if (!wait_event ())
      {
        errno = ETIMEDOUT;
        fail ("no reconnection");
      }
  return 0;
}

/* Words become the payload; the value of WRITE has no NUL behind it.  False: too long. */
static bool
make_payload (XdsMsgHeader *header, char *body, int n, char **words)
{
  size_t len;
  int i;

  for (i = 0; i < n; i++)
    {
      len = strlen (words[i]) + !(header->type == XDS_OP_WRITE && i == 1);
      if (header->len + len > XDS_PAYLOAD_MAX)
        return false;
      memcpy (body + header->len, words[i], len);
      header->len += (uint32_t) len;
    }
  return true;
}

/* Sends a request and prints the answer, or for a watch all events until the time is over. */
static int
guest_request (uint32_t type, int n, char **words)
{
  XdsMsgHeader header = { .type = type, .req_id = 1 };
  char body[XDS_PAYLOAD_MAX + 1];

  if (!make_payload (&header, body, n, words))
    return 2;
  send_request (&header, body);
  while (receive (&header, body))
    {
      print (&header, body);
      if (header.type == XDS_OP_ERROR)
        return 1;
      if (header.type != XDS_OP_WATCH_EVENT && header.type != XDS_OP_WATCH)
        return 0;
    }
  return type == XDS_OP_WATCH ? 0 : 1;
}

static const struct
{
  const char *name;
  uint32_t type;
  int (*run) (void); /* NULL: a request of @type */
} guest_commands[] = {
  { "read", XDS_OP_READ, NULL },
  { "write", XDS_OP_WRITE, NULL },
  { "ls", XDS_OP_DIRECTORY, NULL },
  { "rm", XDS_OP_RM, NULL },
  { "mkdir", XDS_OP_MKDIR, NULL },
  { "perms", XDS_OP_GET_PERMS, NULL },
  { "setperms", XDS_OP_SET_PERMS, NULL },
  { "watch", XDS_OP_WATCH, NULL },
  { "page", 0, guest_page },
  { "corrupt", 0, guest_corrupt },
  { "reconnect", 0, guest_reconnect },
};

static void
play_guest (void)
{
  page = fx_map (&fx, domid);
  hub = fx_hub_open (&fx, HUB);
  if (page == NULL || hub < 0)
    fail ("ring");
  fx.st->dom[domid].hub = HUB;
  fx_guest_unmask (&fx, domid);
  xds_ring_guest_ends (page, &reader, &writer);
}

static int
run_guest (int n, char **words)
{
  size_t i;

  if (n < 1)
    return 2;
  play_guest ();
  if (strcmp (words[0], "raw") == 0)
    return n < 2 ? 2 : guest_request ((uint32_t) strtoul (words[1], NULL, 0), n - 2, words + 2);
  for (i = 0; i < sizeof guest_commands / sizeof guest_commands[0]; i++)
    if (strcmp (words[0], guest_commands[i].name) == 0)
      return guest_commands[i].run != NULL
                 ? guest_commands[i].run ()
                 : guest_request (guest_commands[i].type, n - 1, words + 1);
  return 2;
}

/* --- the server's socket --- */

static int
connect_server (void)
{
  struct sockaddr_un sa = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM, 0);

  strncpy (sa.sun_path, server_socket, sizeof sa.sun_path - 1);
  if (fd < 0 || connect (fd, (struct sockaddr *) &sa, sizeof sa) < 0)
    fail (server_socket);
  return fd;
}

static int
tell_server (uint32_t type)
{
  struct
  {
    XdsMsgHeader header;
    char body[64];
  } m = { .header = { .type = type } };
  int fd, n;

  if (server_socket == NULL)
    return 2;
  fd = connect_server ();
  n = type == XDS_OP_INTRODUCE
          ? snprintf (m.body, sizeof m.body, "%u%c%u%c%u", domid, 0, 1000 + domid, 0, FX_GUEST_PORT)
          : snprintf (m.body, sizeof m.body, "%u", domid);
  m.header.len = (uint32_t) n + 1;
  if (write (fd, &m, sizeof m.header + m.header.len) < 0
      || recv (fd, &m.header, sizeof m.header, MSG_WAITALL) != sizeof m.header
      || m.header.len >= sizeof m.body
      || recv (fd, m.body, m.header.len, MSG_WAITALL) != (ssize_t) m.header.len)
    fail ("server");
  m.body[m.header.len] = '\0';
  close (fd);
  if (m.header.type == XDS_OP_ERROR)
    printf ("error %s\n", m.body);
  return m.header.type == XDS_OP_ERROR;
}

/* --- the verbs --- */

static int
run_init (int n, char **words)
{
  fx_reset (&fx);
  return 0;
}

static int
run_list (int n, char **words)
{
  static const char *const names[FX_N_COUNT]
      = { "notify", "pending", "unmask", "bind", "getinfo", "map", "kick", "wake", "list-room" };
  uint32_t i, flags;

  for (i = 0; i <= FX_LAST_DOM; i++)
    {
      flags = fx.st->dom[i].flags;
      if (flags)
        printf ("dom %u unique %llu port %u%s%s%s\n", i, (unsigned long long) fx.st->dom[i].unique,
                fx.st->dom[i].lport, flags & FX_SHUTDOWN ? " shutdown" : "",
                flags & FX_DYING ? " dying" : "", flags & FX_DEAD ? " dead" : "");
    }
  for (i = 0; i < FX_N_COUNT; i++)
    printf ("count %s %llu\n", names[i], (unsigned long long) fx.st->count[i]);
  return 0;
}

static int
run_virq (int n, char **words)
{
  fx_virq (&fx);
  return 0;
}

static int
run_create (int n, char **words)
{
  fx_dom_create (&fx, domid, HUB);
  return 0;
}

static int
run_uuid (int n, char **words)
{
  uint32_t i;

  for (i = 0; i < 16; i++)
    printf ("%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", fx.st->dom[domid].uuid[i]);
  putchar ('\n');
  return 0;
}

static int
run_introduce (int n, char **words)
{
  return tell_server (XDS_OP_INTRODUCE);
}

static int
run_release (int n, char **words)
{
  return tell_server (XDS_OP_RELEASE);
}

static int
set_flags (uint32_t flags)
{
  fx_dom_flags (&fx, domid, flags);
  fx_virq (&fx);
  return 0;
}

static int
run_shutdown (int n, char **words)
{
  fx.st->dom[domid].reason = n > 0 ? (uint32_t) strtoul (words[0], NULL, 10) : 0;
  return set_flags (FX_SHUTDOWN);
}

static int
run_dying (int n, char **words)
{
  return set_flags (FX_DYING);
}

static int
run_dead (int n, char **words)
{
  return set_flags (FX_DYING | FX_DEAD);
}

static int
run_destroy (int n, char **words)
{
  fx_dom_destroy (&fx, domid);
  fx_virq (&fx);
  return 0;
}

static const struct
{
  const char *name;
  bool has_id;
  int (*run) (int n, char **words);
} verbs[] = {
  { "init", false, run_init },          { "list", false, run_list },
  { "virq", false, run_virq },          { "create", true, run_create },
  { "introduce", true, run_introduce }, { "release", true, run_release },
  { "shutdown", true, run_shutdown },   { "dying", true, run_dying },
  { "dead", true, run_dead },           { "destroy", true, run_destroy },
  { "guest", true, run_guest },         { "uuid", true, run_uuid },
};

static int
usage (void)
{
  fprintf (stderr, "usage: fakedom -F DIR [-S SOCKET] [-t SECONDS] init | list | virq |\n"
                   "  create ID | uuid ID | introduce ID | release ID | shutdown ID [REASON] |\n"
                   "  dying ID | dead ID | destroy ID | guest ID COMMAND...\n");
  return 2;
}

static int
run_verb (int n, char **words)
{
  int res = 2;
  size_t i;

  for (i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
    if (strcmp (words[0], verbs[i].name) == 0)
      {
        if (n < 1 + verbs[i].has_id)
          break;
        domid = verbs[i].has_id ? (uint32_t) strtoul (words[1], NULL, 10) : 0;
        if (domid <= FX_LAST_DOM)
          res = verbs[i].run (n - 1 - verbs[i].has_id, words + 1 + verbs[i].has_id);
        break;
      }
  return res == 2 ? usage () : res;
}

int
main (int argc, char **argv)
{
  const char *dir = getenv ("FAKEXEN_DIR");
  int ch;

  while ((ch = getopt (argc, argv, "+F:S:t:")) != -1)
    if (ch == 'F')
      dir = optarg;
    else if (ch == 'S')
      server_socket = optarg;
    else if (ch == 't')
      limit_s = strtod (optarg, NULL);
    else
      return usage ();
  if (dir == NULL || optind >= argc)
    return usage ();
  if (fx_open (&fx, dir) < 0)
    fail (dir);
  end_ns = now () + (uint64_t) (limit_s * 1e9);
  return run_verb (argc - optind, argv + optind);
}
