/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Births and deaths of domains at random against the keeper, with few numbers that are used again
 * and again, and uuids that come back.
 *
 * Proves, after each turn of the keeper, that nothing of a living domain was removed, and in the
 * end that nothing of a dead one is left; with XDS_TEST_LONG a hundred thousand times.
 */

#include "tests/userdata-world.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define DOMIDS 12
#define BIRTHS 5000
#define USERIDS 3

typedef struct
{
  gboolean alive;
  guint uuid;
  guint64 unique_id;
  gboolean holds[USERIDS]; /* what must be in the folder */
  int lock;                /* somebody's, or -1 */
} Life;

typedef struct
{
  XdsUserdataWorld *world;
  XdsUserdataKeeper *keeper;
  GRand *rand;
  Life lives[DOMIDS + 1];
  guint births, uuids;
  guint64 unique_ids;
} Play;

static const char *const userids[USERIDS] = { "libxl-json", "xl", "note" };

static guint
pick (Play *play, guint n)
{
  return (guint) g_rand_int_range (play->rand, 0, (gint32) n);
}

static char *
name_of (Play *play, char letter, guint domid, const char *userid)
{
  return xds_userdata_file_name (letter, domid, xds_test_uuid (play->lives[domid].uuid), userid);
}

static void
turn (Play *play)
{
  if (pick (play, 2) == 0)
    xds_userdata_keeper_kick (play->keeper);
  xds_userdata_keeper_dispatch (play->keeper);
  for (guint domid = 1; domid <= DOMIDS; domid++)
    for (guint i = 0; play->lives[domid].alive && i < USERIDS; i++)
      {
        g_autofree char *name = name_of (play, 'd', domid, userids[i]);

        if (play->lives[domid].holds[i])
          g_assert_true (xds_userdata_world_has (play->world, name));
      }
}

/* --- what domains do --- */

static void
be_born (Play *play, guint domid)
{
  Life *life = &play->lives[domid];
  XdsUserdataDomain *domain;

  /* The same guest again, with the same number: only its unique id tells the lives apart, and
     that the keeper heard of what the old life stored. */
  if (life->uuid != 0 && pick (play, 4) == 0)
    xds_userdata_keeper_dispatch (play->keeper);
  else
    life->uuid = ++play->uuids;
  life->alive = TRUE;
  life->unique_id = ++play->unique_ids;
  memset (life->holds, 0, sizeof life->holds);
  domain = xds_userdata_world_add (play->world, domid, life->uuid);
  domain->unique_id = life->unique_id;
  play->births++;
}

static void
drop_lock (Life *life)
{
  if (life->lock >= 0)
    close (life->lock);
  life->lock = -1;
}

static void
die (Play *play, guint domid)
{
  Life *life = &play->lives[domid];
  XdsUserdataDomain *domain = g_hash_table_lookup (play->world->domains, GUINT_TO_POINTER (domid));

  life->alive = FALSE;
  /* Some linger, because a backend still has a page of theirs. */
  if (pick (play, 3) == 0)
    domain->dying = TRUE;
  else
    xds_userdata_world_kill (play->world, domid);
}

/* As libxl stores, by hand; it has passed its check, so a dead domain gets it too. */
static void
store_late (Play *play, guint domid)
{
  g_autofree char *name = name_of (play, 'd', domid, userids[pick (play, USERIDS)]);

  if (play->lives[domid].uuid != 0 && !play->lives[domid].alive)
    xds_userdata_world_write (play->world, name, "late");
}

static void
store (Play *play, guint domid)
{
  guint i = pick (play, USERIDS);

  if (!play->lives[domid].alive || play->lives[domid].lock >= 0)
    return;
  xds_userdata_world_put (play->world, domid, userids[i], "data");
  play->lives[domid].holds[i] = TRUE;
}

static void
remove_item (Play *play, guint domid)
{
  guint i = pick (play, USERIDS);
  g_autoptr (GBytes) none = g_bytes_new (NULL, 0);
  g_autoptr (GError) error = NULL;

  if (!play->lives[domid].alive || play->lives[domid].lock >= 0)
    return;
  xds_userdata_store_put (play->world->store, domid, userids[i], none, NULL, &error);
  g_assert_no_error (error);
  play->lives[domid].holds[i] = FALSE;
}

/* Somebody takes the lock, and gives it back some steps later without removing the file. */
static void
toggle_lock (Play *play, guint domid)
{
  Life *life = &play->lives[domid];
  g_autofree char *name = NULL;
  g_autofree char *path = NULL;

  if (life->uuid == 0 || life->lock >= 0)
    {
      drop_lock (life);
      return;
    }
  name = name_of (play, 'l', domid, XDS_USERDATA_LOCK);
  path = g_build_filename (play->world->folder, name, NULL);
  life->lock = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  g_assert_cmpint (flock (life->lock, LOCK_EX | LOCK_NB), ==, 0);
}

static void
stop_or_go (Play *play, guint domid)
{
  XdsUserdataDomain *domain = g_hash_table_lookup (play->world->domains, GUINT_TO_POINTER (domid));

  if (domain != NULL)
    domain->shutdown = !domain->shutdown;
}

static void
step (Play *play)
{
  guint domid = 1 + pick (play, DOMIDS);
  Life *life = &play->lives[domid];
  gboolean lingers
      = !life->alive && g_hash_table_contains (play->world->domains, GUINT_TO_POINTER (domid));

  if (lingers && pick (play, 3) == 0)
    xds_userdata_world_kill (play->world, domid);
  else if (!life->alive && !lingers && pick (play, 2) == 0)
    {
      drop_lock (life);
      be_born (play, domid);
    }
  else
    switch (pick (play, 9))
      {
      case 0:
        if (life->alive)
          die (play, domid);
        break;
      case 1:
        store_late (play, domid);
        break;
      case 2:
        toggle_lock (play, domid);
        break;
      case 3:
        stop_or_go (play, domid);
        break;
      case 4:
        remove_item (play, domid);
        break;
      case 5:
        turn (play);
        break;
      default:
        store (play, domid);
      }
}

/* The end: all locks are given back, and the keeper has all the time that it wants. */
static void
settle (Play *play)
{
  for (guint domid = 1; domid <= DOMIDS; domid++)
    drop_lock (&play->lives[domid]);
  xds_userdata_keeper_kick (play->keeper);
  do
    {
      turn (play);
      g_usleep (1000);
    }
  while (xds_userdata_keeper_next (play->keeper) >= 0);
  turn (play);
}

static char *
expected_ls (Play *play)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);

  for (guint domid = 1; domid <= DOMIDS; domid++)
    for (guint i = 0; i < USERIDS; i++)
      if (play->lives[domid].alive && play->lives[domid].holds[i])
        g_ptr_array_add (names, name_of (play, 'd', domid, userids[i]));
  g_ptr_array_sort (names, (GCompareFunc) xds_test_compare_names);
  g_ptr_array_add (names, NULL);
  return g_strjoinv (" ", (char **) names->pdata);
}

/* Locks of the living that somebody left are his to remove. */
static void
remove_locks (Play *play)
{
  for (guint domid = 1; domid <= DOMIDS; domid++)
    if (play->lives[domid].alive)
      {
        g_autofree char *name = name_of (play, 'l', domid, XDS_USERDATA_LOCK);
        g_autofree char *path = g_build_filename (play->world->folder, name, NULL);

        g_unlink (path);
      }
}

static void
assert_exactly (Play *play)
{
  g_autofree char *ls = NULL;
  g_autofree char *expected = expected_ls (play);

  settle (play);
  remove_locks (play);
  ls = xds_userdata_world_ls (play->world);
  g_assert_cmpstr (ls, ==, expected);
}

static void
test_births (void)
{
  guint births = g_getenv ("XDS_TEST_LONG") != NULL ? 20 * BIRTHS : BIRTHS;
  Play play = { .world = xds_userdata_world_new () };
  g_autoptr (GError) error = NULL;

  play.rand = g_rand_new_with_seed ((guint32) g_test_rand_int ());
  play.keeper = xds_userdata_keeper_new (play.world->store, NULL, NULL);
  xds_userdata_store_set_durable (play.world->store, FALSE);
  xds_userdata_store_set_limits (play.world->store, &(XdsUserdataLimits){ 0 });
  for (guint domid = 0; domid <= DOMIDS; domid++)
    play.lives[domid].lock = -1;
  g_assert_true (xds_userdata_keeper_start (play.keeper, &error));
  while (play.births < births)
    {
      step (&play);
      if (pick (&play, 500) == 0)
        assert_exactly (&play);
    }
  assert_exactly (&play);
  xds_userdata_keeper_free (play.keeper);
  g_rand_free (play.rand);
  xds_userdata_world_free (play.world);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/userdata/keeper/births", test_births);
  return g_test_run ();
}
