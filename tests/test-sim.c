/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The simulated world, from both of its sides, by one process and by many, some of which are
 * killed in the worst moment.
 */

#include "tests/guest-ring.h"
#include "xsd/hypervisor/sim-private.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MANY 1000
#define HAND_OVERS 20000

typedef struct
{
  char *dir;          /* (owned) */
  XdsSimWorld *world; /* (owned) the server */
} Fixture;

/* --- helpers --- */

static void
remove_folder (const char *dir)
{
  g_autoptr (GDir) list = g_dir_open (dir, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (list)) != NULL)
    {
      g_autofree char *path = g_build_filename (dir, name, NULL);

      g_assert_no_errno (g_unlink (path));
    }
  g_assert_no_errno (g_rmdir (dir));
}

static void
set_up (Fixture *fixture, gconstpointer unused)
{
  fixture->dir = g_dir_make_tmp ("xds-sim-XXXXXX", NULL);
  g_assert_nonnull (fixture->dir);
  g_assert_cmpint (xds_sim_world_init (fixture->dir), ==, 0);
  g_assert_cmpint (xds_sim_world_open (fixture->dir, &fixture->world), ==, 0);
  g_assert_cmpint (xds_sim_world_serve (fixture->world), ==, 0);
}

static void
tear_down (Fixture *fixture, gconstpointer unused)
{
  xds_sim_world_free (fixture->world);
  remove_folder (fixture->dir);
  g_free (fixture->dir);
}

static gboolean
is_readable (XdsSimWorld *world)
{
  struct pollfd pfd = { .fd = xds_sim_world_fd (world), .events = POLLIN };

  return poll (&pfd, 1, 0) == 1;
}

/* How often a receiver that did not look yet was woken: each time costs a system call. */
static int
count_wakes (XdsSimWorld *world)
{
  int n = -1;

  g_assert_no_errno (ioctl (xds_sim_world_fd (world), FIONREAD, &n));
  return n;
}

static void
wait_readable (XdsSimWorld *world)
{
  struct pollfd pfd = { .fd = xds_sim_world_fd (world), .events = POLLIN };

  g_assert_cmpint (poll (&pfd, 1, 60 * 1000), ==, 1);
}

static XdsSimWorld *
open_player (Fixture *fixture)
{
  XdsSimWorld *player;

  g_assert_cmpint (xds_sim_world_open (fixture->dir, &player), ==, 0);
  g_assert_cmpint (xds_sim_world_play (player), ==, 0);
  return player;
}

static void
create (Fixture *fixture, guint domid)
{
  g_assert_cmpint (xds_sim_world_create_domain (fixture->world, domid, NULL), ==, 0);
}

static guint32
bind_domain (Fixture *fixture, guint domid)
{
  guint32 port, ids[2];

  g_assert_cmpint (xds_sim_world_bind (fixture->world, domid, XDS_SIM_GUEST_PORT, &port), ==, 0);
  /* A new port is pending at once. */
  g_assert_cmpint (xds_sim_world_take (fixture->world, ids, 2), ==, 1);
  g_assert_cmpuint (ids[0], ==, port);
  g_assert_cmpint (xds_sim_world_unmask (fixture->world, &port, 1), ==, 0);
  return port;
}

static guint64
unique_id (Fixture *fixture, guint domid)
{
  XdsDomainV1 domain;

  g_assert_cmpint (xds_sim_world_domain (fixture->world, domid, &domain), ==, 0);
  return domain.unique_id;
}

/* Runs @work in another process, which must not return from it by itself. */
static pid_t
start_process (Fixture *fixture, void (*work) (Fixture *fixture))
{
  pid_t pid = fork ();

  g_assert_cmpint (pid, >=, 0);
  if (pid != 0)
    return pid;
  /* A test that fails leaves nobody behind. */
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  work (fixture);
  _exit (0);
}

static int
end_of (pid_t pid)
{
  int status;

  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  return status;
}

/* --- domains --- */

/* A folder without a world is told from one that another version made, and nothing is opened. */
static void
test_open_errors (Fixture *fixture, gconstpointer unused)
{
  g_autofree char *path = g_build_filename (fixture->dir, "world", NULL);
  XdsSimWorld *world = NULL;

  g_assert_cmpint (xds_sim_world_open ("/nonexistent", &world), ==, -ENOENT);
  g_assert_no_errno (truncate (path, 4096));
  g_assert_cmpint (xds_sim_world_open (fixture->dir, &world), ==, -EPROTO);
  g_assert_null (world);
  g_assert_cmpint (xds_sim_world_init (fixture->dir), ==, 0);
  g_assert_cmpint (xds_sim_world_open (fixture->dir, &world), ==, 0);
  xds_sim_world_free (world);
  xds_sim_world_free (NULL);
}

/* Domains are listed in the order of their ids, with what was said of each. */
static void
test_domains (Fixture *fixture, gconstpointer unused)
{
  const guint8 uuid[16] = { 1, 2, 3 };
  XdsDomainV1 list[4];
  size_t n;

  g_assert_cmpint (xds_sim_world_create_domain (fixture->world, XDS_SIM_LAST_DOMID, uuid), ==, 0);
  create (fixture, 7);
  g_assert_cmpint (xds_sim_world_create_domain (fixture->world, 7, NULL), ==, -EEXIST);
  g_assert_cmpint (xds_sim_world_create_domain (fixture->world, XDS_SIM_LAST_DOMID + 1, NULL), ==,
                   -EINVAL);
  g_assert_cmpint (xds_sim_world_domains (fixture->world, list, 4, &n), ==, 0);
  g_assert_cmpuint (n, ==, 3);
  g_assert_cmpuint (list[0].domid, ==, 0);
  g_assert_cmpuint (list[0].caps, !=, 0);
  g_assert_cmpuint (list[1].domid, ==, 7);
  g_assert_cmpuint (list[2].domid, ==, XDS_SIM_LAST_DOMID);
  g_assert_cmpmem (list[2].uuid, 16, uuid, 16);
  /* Without room for all, their number is told all the same. */
  g_assert_cmpint (xds_sim_world_domains (fixture->world, list, 1, &n), ==, 0);
  g_assert_cmpuint (n, ==, 3);
}

/* States come and go as told, a reason stays with the shutdown, and a domain that is not there
   cannot change. */
static void
test_states (Fixture *fixture, gconstpointer unused)
{
  XdsDomainV1 d;

  create (fixture, 5);
  xds_sim_world_change_domain (fixture->world, 5, XDS_DOMAIN_PAUSED, 0, 0);
  xds_sim_world_change_domain (fixture->world, 5, XDS_DOMAIN_SHUTDOWN, 0, XDS_SHUTDOWN_CRASH);
  g_assert_cmpint (xds_sim_world_domain (fixture->world, 5, &d), ==, 0);
  g_assert_cmpuint (d.state, ==, XDS_DOMAIN_EXISTS | XDS_DOMAIN_PAUSED | XDS_DOMAIN_SHUTDOWN);
  g_assert_cmpuint (d.reason, ==, XDS_SHUTDOWN_CRASH);
  xds_sim_world_change_domain (fixture->world, 5, XDS_DOMAIN_DYING, XDS_DOMAIN_PAUSED, 0);
  g_assert_cmpint (xds_sim_world_domain (fixture->world, 5, &d), ==, 0);
  g_assert_cmpuint (d.state, ==, XDS_DOMAIN_EXISTS | XDS_DOMAIN_DYING | XDS_DOMAIN_SHUTDOWN);
  g_assert_cmpuint (d.reason, ==, XDS_SHUTDOWN_CRASH);
  g_assert_cmpint (xds_sim_world_destroy_domain (fixture->world, 5), ==, 0);
  g_assert_cmpint (xds_sim_world_destroy_domain (fixture->world, 5), ==, -ESRCH);
  g_assert_cmpint (xds_sim_world_change_domain (fixture->world, 5, XDS_DOMAIN_DYING, 0, 0), ==,
                   -ESRCH);
  g_assert_cmpint (xds_sim_world_domain (fixture->world, 5, &d), ==, -ESRCH);
}

/* No two domains have the same unique id, be it in one domid or after the world was emptied. */
static void
test_unique_ids (Fixture *fixture, gconstpointer unused)
{
  guint64 last = unique_id (fixture, 0);
  int i;

  for (i = 0; i < 20; i++)
    {
      if (i % 5 == 4)
        g_assert_cmpint (xds_sim_world_init (fixture->dir), ==, 0);
      create (fixture, 3);
      g_assert_cmpuint (unique_id (fixture, 3), >, last);
      last = unique_id (fixture, 3);
      g_assert_cmpint (xds_sim_world_destroy_domain (fixture->world, 3), ==, 0);
    }
}

/* Whoever listens hears of each change once, of those before it listened too. */
static void
test_changes (Fixture *fixture, gconstpointer unused)
{
  guint32 port, id;
  XdsDomainV1 d;

  create (fixture, 9);
  while (xds_sim_world_poll_changed (fixture->world, &d) == 0)
    ;
  g_assert_cmpint (xds_sim_world_bind_exception (fixture->world, &port), ==, 0);
  g_assert_cmpint (xds_sim_world_poll_changed (fixture->world, &d), ==, 0);
  g_assert_cmpuint (d.domid, ==, 0);
  g_assert_cmpint (xds_sim_world_poll_changed (fixture->world, &d), ==, 0);
  g_assert_cmpuint (d.domid, ==, 9);
  g_assert_cmpint (xds_sim_world_poll_changed (fixture->world, &d), ==, -ENOENT);

  g_assert_false (is_readable (fixture->world));
  g_assert_cmpint (xds_sim_world_destroy_domain (fixture->world, 9), ==, 0);
  g_assert_true (is_readable (fixture->world));
  g_assert_cmpint (xds_sim_world_take (fixture->world, &id, 1), ==, 1);
  g_assert_cmpuint (id, ==, port);
  g_assert_cmpint (xds_sim_world_poll_changed (fixture->world, &d), ==, 0);
  g_assert_cmpuint (d.domid, ==, 9);
  g_assert_cmpuint (d.state, ==, 0);
  g_assert_cmpint (xds_sim_world_poll_changed (fixture->world, &d), ==, -ENOENT);
}

/* --- coherence --- */

/* Hands a token down from domain to domain: the next is made before the last one goes, so that at
   any moment there are one or two.  Only one that reads the whole list at one moment sees that. */
static void
hand_token_down (Fixture *fixture)
{
  XdsSimWorld *world;
  guint at = 300, next;

  if (xds_sim_world_open (fixture->dir, &world) != 0)
    _exit (1);
  for (;; at = next)
    {
      next = at > 100 ? at - 1 : 300;
      xds_sim_world_create_domain (world, next, NULL);
      xds_sim_world_destroy_domain (world, at);
    }
}

/* The number of domains that are not 0, and the greatest unique id. */
static size_t
count_tokens (Fixture *fixture, guint64 *ret_last)
{
  XdsDomainV1 list[8];
  guint64 last = 0;
  size_t n, i;

  g_assert_cmpint (xds_sim_world_domains (fixture->world, list, 8, &n), ==, 0);
  g_assert_cmpuint (n, <=, 8);
  for (i = 0; i < n; i++)
    {
      g_assert_cmpuint (list[i].state, ==, XDS_DOMAIN_EXISTS);
      g_assert_cmpuint (list[i].unique_id, !=, 0);
      last = MAX (last, list[i].unique_id);
    }
  *ret_last = last;
  return n - 1;
}

/* A list of domains is one moment's, however fast another process makes and ends them. */
static void
test_coherent_list (Fixture *fixture, gconstpointer unused)
{
  guint64 first, last;
  size_t n;
  pid_t pid;

  create (fixture, 300);
  first = unique_id (fixture, 300);
  pid = start_process (fixture, hand_token_down);
  do
    {
      n = count_tokens (fixture, &last);
      g_assert_cmpuint (n, >=, 1);
      g_assert_cmpuint (n, <=, 2);
    }
  while (last < first + HAND_OVERS);
  kill (pid, SIGKILL);
  end_of (pid);
}

/* A process that is killed while it makes and ends domains harms nobody: what it did is done
   wholly or not at all, and the next one can go on. */
static void
test_killed_anywhere (Fixture *fixture, gconstpointer unused)
{
  XdsDomainV1 list[8];
  guint64 last;
  size_t n;
  pid_t pid;
  int i;

  for (i = 0; i < 25; i++)
    {
      create (fixture, 300);
      pid = start_process (fixture, hand_token_down);
      g_usleep ((gulong) g_test_rand_int_range (500, 4000));
      kill (pid, SIGKILL);
      end_of (pid);
      g_assert_cmpuint (count_tokens (fixture, &last), <=, 2);
      g_assert_cmpint (xds_sim_world_domains (fixture->world, list, 8, &n), ==, 0);
      while (n-- > 1)
        g_assert_cmpint (xds_sim_world_destroy_domain (fixture->world, list[n].domid), ==, 0);
      g_assert_cmpuint (count_tokens (fixture, &last), ==, 0);
    }
}

static void
die_in_the_middle (Fixture *fixture)
{
  XdsSimWorld *world;
  SimDomain *d;

  if (xds_sim_world_open (fixture->dir, &world) != 0 || sim_lock (world) != 0)
    _exit (1);
  d = sim_begin_change (world, 4);
  d->state = XDS_DOMAIN_EXISTS | XDS_DOMAIN_DYING;
  d->unique_id = 12345;
  raise (SIGKILL);
}

/* A half-made change of a process that died with the lock in its hand is undone by the next one
   who looks, a reader or a writer. */
static void
test_killed_holder (Fixture *fixture, gconstpointer unused)
{
  guint64 before, last;
  XdsDomainV1 d;
  int i;

  create (fixture, 4);
  before = unique_id (fixture, 4);
  for (i = 0; i < 2; i++)
    {
      g_assert_true (WIFSIGNALED (end_of (start_process (fixture, die_in_the_middle))));
      if (i == 1)
        create (fixture, 6);
      g_assert_cmpint (xds_sim_world_domain (fixture->world, 4, &d), ==, 0);
      g_assert_cmpuint (d.state, ==, XDS_DOMAIN_EXISTS);
      g_assert_cmpuint (d.unique_id, ==, before);
      g_assert_cmpuint (count_tokens (fixture, &last), ==, 1 + i);
    }
}

/* --- event channels --- */

/* A port that was taken stays silent until it is unmasked, and what came in between is told then,
   once. */
static void
test_pending_and_masked (Fixture *fixture, gconstpointer unused)
{
  guint32 port, ids[4];

  create (fixture, 2);
  port = bind_domain (fixture, 2);
  g_assert_false (is_readable (fixture->world));
  xds_sim_world_signal (fixture->world, 2);
  xds_sim_world_signal (fixture->world, 2);
  g_assert_true (is_readable (fixture->world));
  g_assert_cmpint (xds_sim_world_take (fixture->world, ids, 4), ==, 1);
  g_assert_cmpuint (ids[0], ==, port);
  g_assert_false (is_readable (fixture->world));

  xds_sim_world_signal (fixture->world, 2);
  g_assert_false (is_readable (fixture->world));
  g_assert_cmpint (xds_sim_world_take (fixture->world, ids, 4), ==, 0);
  g_assert_cmpint (xds_sim_world_unmask (fixture->world, &port, 1), ==, 0);
  g_assert_true (is_readable (fixture->world));
  g_assert_cmpint (xds_sim_world_take (fixture->world, ids, 4), ==, 1);
  g_assert_cmpint (xds_sim_world_unmask (fixture->world, &port, 1), ==, 0);
  g_assert_false (is_readable (fixture->world));
}

/* A thousand ports that are pending at once come in one call and are one wake-up, and what a call
   leaves keeps the descriptor readable. */
static void
test_many_ports (Fixture *fixture, gconstpointer unused)
{
  guint32 ports[MANY], ids[MANY + 1];
  guint i;

  for (i = 0; i < MANY; i++)
    {
      create (fixture, i + 1);
      g_assert_cmpint (xds_sim_world_bind (fixture->world, i + 1, XDS_SIM_GUEST_PORT, &ports[i]),
                       ==, 0);
    }
  g_assert_cmpint (xds_sim_world_take (fixture->world, ids, MANY + 1), ==, MANY);
  g_assert_false (is_readable (fixture->world));
  g_assert_cmpint (xds_sim_world_unmask (fixture->world, ports, MANY), ==, 0);
  for (i = 0; i < MANY; i++)
    xds_sim_world_signal (fixture->world, i + 1);
  g_assert_cmpint (count_wakes (fixture->world), ==, 1);
  g_assert_cmpint (xds_sim_world_take (fixture->world, ids, MANY - 1), ==, MANY - 1);
  g_assert_true (is_readable (fixture->world));
  g_assert_cmpint (xds_sim_world_take (fixture->world, ids, MANY), ==, 1);
  g_assert_false (is_readable (fixture->world));
}

/* A guest's port is bound once; a port that is not bound is nobody's, and does not keep others from
   being unmasked with it; a port that was given back is given out again. */
static void
test_bind (Fixture *fixture, gconstpointer unused)
{
  guint32 port, both[2], other = 0;

  create (fixture, 2);
  g_assert_cmpint (xds_sim_world_bind (fixture->world, 3, 1, &other), ==, -ESRCH);
  g_assert_cmpint (xds_sim_world_bind (fixture->world, 2, 0, &other), ==, -EINVAL);
  port = bind_domain (fixture, 2);
  g_assert_cmpint (xds_sim_world_bind (fixture->world, 2, XDS_SIM_GUEST_PORT, &other), ==, -EINVAL);
  g_assert_cmpuint (other, ==, 0);
  xds_sim_world_unbind (fixture->world, port);
  g_assert_cmpint (xds_sim_world_notify (fixture->world, port), ==, -EINVAL);
  xds_sim_world_signal (fixture->world, 2);
  g_assert_false (is_readable (fixture->world));
  create (fixture, 3);
  both[0] = port + 1;
  both[1] = bind_domain (fixture, 3);
  g_assert_cmpuint (both[1], ==, port);
  xds_sim_world_signal (fixture->world, 3);
  g_assert_cmpint (xds_sim_world_take (fixture->world, &other, 1), ==, 1);
  g_assert_cmpint (xds_sim_world_unmask (fixture->world, both, 2), ==, 0);
  xds_sim_world_signal (fixture->world, 3);
  g_assert_true (is_readable (fixture->world));
}

/* There is one server; its end, even by a kill, lets another one in, who finds no port bound. */
static void
test_one_server (Fixture *fixture, gconstpointer unused)
{
  XdsSimWorld *other;
  guint32 port;

  create (fixture, 2);
  port = bind_domain (fixture, 2);
  g_assert_cmpint (xds_sim_world_open (fixture->dir, &other), ==, 0);
  g_assert_cmpint (xds_sim_world_serve (other), ==, -EBUSY);
  g_assert_cmpint (xds_sim_world_fd (other), ==, -EINVAL);
  xds_sim_world_free (fixture->world);
  g_assert_cmpint (xds_sim_world_serve (other), ==, 0);
  g_assert_false (is_readable (other));
  g_assert_cmpint (xds_sim_world_notify (other, port), ==, -EINVAL);
  fixture->world = other;
  bind_domain (fixture, 2);
}

/* A player gets the events of the guests that it took, and no others; a guest that it takes has
   one at once; a bit that is set stays one event. */
static void
test_player (Fixture *fixture, gconstpointer unused)
{
  XdsSimWorld *player = open_player (fixture), *second = open_player (fixture);
  guint32 port, ids[4];

  create (fixture, 2);
  create (fixture, 3);
  port = bind_domain (fixture, 2);
  g_assert_cmpint (xds_sim_world_notify (fixture->world, port), ==, 0);
  g_assert_false (is_readable (player));
  g_assert_cmpint (xds_sim_world_attach (player, 9), ==, -ESRCH);
  g_assert_cmpint (xds_sim_world_attach (player, 2), ==, 0);
  g_assert_cmpint (xds_sim_world_attach (second, 3), ==, 0);
  g_assert_cmpint (xds_sim_world_take (player, ids, 4), ==, 1);
  g_assert_cmpint (xds_sim_world_take (second, ids, 4), ==, 1);
  g_assert_cmpint (xds_sim_world_notify (fixture->world, port), ==, 0);
  g_assert_cmpint (xds_sim_world_notify (fixture->world, port), ==, 0);
  g_assert_cmpint (count_wakes (player), ==, 1);
  g_assert_false (is_readable (second));
  g_assert_cmpint (xds_sim_world_take (player, ids, 4), ==, 1);
  g_assert_cmpuint (ids[0], ==, 2);
  g_assert_false (is_readable (player));
  xds_sim_world_free (player);
  /* Whoever comes next in that place hears nothing of guests that it did not take. */
  player = open_player (fixture);
  g_assert_cmpint (xds_sim_world_notify (fixture->world, port), ==, 0);
  g_assert_false (is_readable (player));
  xds_sim_world_free (player);
  xds_sim_world_free (second);
}

/* --- rings --- */

/* A page belongs to one incarnation: who still maps a dead domain's sees zeros, and nothing of the
   next domain in that id, whose signals do not reach the old port either. */
static void
test_incarnations (Fixture *fixture, gconstpointer unused)
{
  void *old, *new;
  guint32 port;

  create (fixture, 5);
  port = bind_domain (fixture, 5);
  g_assert_cmpint (xds_sim_world_map_ring (fixture->world, 5, &old), ==, 0);
  strcpy (old, "old");
  g_assert_cmpint (xds_sim_world_destroy_domain (fixture->world, 5), ==, 0);
  create (fixture, 5);
  g_assert_cmpint (xds_sim_world_map_ring (fixture->world, 5, &new), ==, 0);
  g_assert_cmpstr (new, ==, "");
  strcpy (new, "new");
  g_assert_cmpstr (old, ==, "");
  xds_sim_world_signal (fixture->world, 5);
  g_assert_false (is_readable (fixture->world));
  g_assert_cmpint (xds_sim_world_notify (fixture->world, port), ==, 0);
  xds_sim_world_unmap_ring (old);
  xds_sim_world_unmap_ring (new);
  xds_sim_world_unmap_ring (NULL);
  g_assert_cmpint (xds_sim_world_map_ring (fixture->world, 6, &old), ==, -ESRCH);
}

#define ECHO_BYTES 1000000
#define ECHO_CHUNK 3001

/* Sends bytes that follow a rule, takes them back and holds them against it. */
static void
play_echo_guest (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;
  XdsGuests *guests = xds_guests_new (fixture->dir, &error);
  XdsGuestRing *ring = xds_guests_add (guests, 1, &error);
  guint8 bytes[ECHO_CHUNK];
  XdsGuestMsg *msg;
  guint i, sent, received = 0;

  for (sent = 0; sent < ECHO_BYTES; sent += ECHO_CHUNK)
    {
      for (i = 0; i < ECHO_CHUNK; i++)
        bytes[i] = (guint8) ((sent + i) * 7 % 251);
      xds_guest_ring_send (ring, XDS_OP_WRITE, 0, bytes, sizeof bytes);
    }
  while (received < sent)
    {
      while ((msg = xds_guest_ring_next (ring)) != NULL)
        {
          for (i = 0; i < msg->header.len; i++, received++)
            if ((guint8) msg->payload[i] != received * 7 % 251)
              _exit (2);
          g_free (msg);
        }
      if (received < sent && xds_guests_wait (guests, 60 * 1000) == 0)
        _exit (3);
    }
  xds_guests_free (guests);
}

/* Moves what came back out, as far as there is room; TRUE if something moved. */
static gboolean
echo (XdsRingEnd *reader, XdsRingEnd *writer)
{
  guint8 bytes[XDS_RING_SIZE];
  int room = xds_ring_writable (writer);
  int n = room > 0 ? xds_ring_read (reader, bytes, (size_t) room) : 0;

  if (n <= 0)
    return FALSE;
  g_assert_cmpint (xds_ring_write (writer, bytes, (size_t) n), ==, n);
  return TRUE;
}

/* A million bytes go from a guest's process to the server and back, none lost or changed, and the
   event channels alone tell both sides when to look. */
static void
test_two_processes (Fixture *fixture, gconstpointer unused)
{
  XdsRingEnd reader, writer;
  guint32 port, id;
  void *page;
  pid_t pid;
  guint64 total = 0, all = (ECHO_BYTES + ECHO_CHUNK - 1) / ECHO_CHUNK * (ECHO_CHUNK + 16);

  create (fixture, 1);
  g_assert_cmpint (xds_sim_world_map_ring (fixture->world, 1, &page), ==, 0);
  xds_ring_server_ends (page, &reader, &writer);
  port = bind_domain (fixture, 1);
  pid = start_process (fixture, play_echo_guest);
  while (total < all)
    {
      guint32 before = writer.index;

      wait_readable (fixture->world);
      if (xds_sim_world_take (fixture->world, &id, 1) != 1)
        continue;
      g_assert_cmpint (xds_sim_world_unmask (fixture->world, &port, 1), ==, 0);
      while (echo (&reader, &writer))
        ;
      total += writer.index - before;
      g_assert_cmpint (xds_sim_world_notify (fixture->world, port), ==, 0);
    }
  g_assert_cmpint (end_of (pid), ==, 0);
  xds_sim_world_unmap_ring (page);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, test) g_test_add ("/sim/" path, Fixture, NULL, set_up, test, tear_down)
  ADD ("open-errors", test_open_errors);
  ADD ("domains", test_domains);
  ADD ("states", test_states);
  ADD ("unique-ids", test_unique_ids);
  ADD ("changes", test_changes);
  ADD ("coherent-list", test_coherent_list);
  ADD ("killed-anywhere", test_killed_anywhere);
  ADD ("killed-holder", test_killed_holder);
  ADD ("pending-and-masked", test_pending_and_masked);
  ADD ("many-ports", test_many_ports);
  ADD ("bind", test_bind);
  ADD ("one-server", test_one_server);
  ADD ("player", test_player);
  ADD ("incarnations", test_incarnations);
  ADD ("two-processes", test_two_processes);
#undef ADD
  return g_test_run ();
}
