/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The keeper of userdata.
 *
 * A pass lists the folder, takes one snapshot of all domains, decides, and removes, each owner
 * under its lock by trying.  A pass becomes due by a kick, by an event that names a domain that
 * is gone or dying (libxl can store after its own clean-up), and after a pause while a lock was
 * busy or work was left.  A pass too long for one turn of the loop goes on in the next.
 *
 * Invariant: while something of a dead domain may be in the folder, a pass is due, or an event of
 * the folder is still to be read.  So there is no timer that looks now and then.
 *
 * A domain that is introduced may only have come back from a soft reset.  That costs no pass: with
 * one for each of n domains that start, the host would pay n squared.
 */

#include "userdata/keeper.h"
#include "userdata/boot.h"
#include "userdata/lives.h"
#include "userdata/monitor.h"
#include "userdata/soft-reset.h"
#include "userdata/store-private.h"
#include "userdata/will.h"

#include <string.h>

/* A busy lock is tried again after this long, then after twice as long, up to the longest: libxl
   holds it for a millisecond, or over a device change, for seconds. */
#define FIRST_RETRY (5 * 1000)
#define LONGEST_RETRY (500 * 1000)

/* What cannot be done now is tried again rarely: the disk, or the hypervisor, is in trouble. */
#define TROUBLE_RETRY (5 * G_USEC_PER_SEC)

/* How long one turn of the daemon's loop may be kept from xenstore's clients. */
#define TURN (10 * 1000)

struct XdsUserdataKeeper
{
  XdsUserdataStore *store; /* (unowned) */
  XdsUserdataKeeperEvents events;
  gpointer data;           /* (unowned) */
  XdsMonitor *monitor;     /* (owned) (nullable) */
  GSource *source;         /* (owned) (nullable) */
  XdsUserdataLives *lives; /* (owned) */
  GHashTable *gone_for;    /* (owned): set of owners whom the last pass went for */
  GHashTable *resetting;   /* (owned): domids in a soft reset, and how far each is */
  GHashTable *resets;      /* (owned): set of domids whose kept data is to be put back */
  XdsUserdataWill *will;   /* (owned) (nullable) */
  gint64 next;             /* when a pass is due; -1: none is */
  gint64 next_reset;       /* when kept data is put back without one; -1: it is not */
  gint64 retry;            /* the pause after the next busy lock */
  gboolean old_boot;       /* this boot's first pass has not succeeded yet */
  gboolean unmarked;       /* the folder does not say yet that it is of this boot */
  char *told;              /* (owned) (nullable) trouble that was told, and is not over yet */
  gboolean first;          /* no pass has begun yet */
};

static gint64
now (XdsUserdataKeeper *keeper)
{
  return keeper->store->backend->clock (keeper->store->backend, XDS_CLOCK_MONOTONIC);
}

/* Of two points in time, of which -1 is never. */
static gint64
earlier (gint64 a, gint64 b)
{
  return a < 0 || (b >= 0 && b < a) ? b : a;
}

gint64
xds_userdata_keeper_next (XdsUserdataKeeper *keeper)
{
  return earlier (keeper->next, keeper->next_reset);
}

static void
set_timer (XdsUserdataKeeper *keeper)
{
  if (keeper->source != NULL)
    g_source_set_ready_time (keeper->source, xds_userdata_keeper_next (keeper));
}

static void
make_due (XdsUserdataKeeper *keeper, gint64 when)
{
  keeper->next = earlier (keeper->next, when);
  set_timer (keeper);
}

void
xds_userdata_keeper_kick (XdsUserdataKeeper *keeper)
{
  keeper->retry = FIRST_RETRY;
  make_due (keeper, now (keeper));
}

/* Once, however often it is met until a pass goes well. */
static void
trouble (XdsUserdataKeeper *keeper, const GError *error)
{
  if (keeper->events.trouble == NULL || g_strcmp0 (keeper->told, error->message) == 0)
    return;
  g_free (keeper->told);
  keeper->told = g_strdup (error->message);
  keeper->events.trouble (keeper->data, error);
}

/* --- what happens in the folder --- */

static void
tell_change (XdsUserdataKeeper *keeper, const XdsUserdataName *name, XdsUserdataChange change)
{
  if (keeper->events.changed != NULL && name->letter == 'd' && name->userid[0] != '\0')
    keeper->events.changed (keeper->data, name->domid, name->userid, change);
}

static char *
owner_key (guint domid, const char *uuid)
{
  return g_strdup_printf ("%u.%s", domid, uuid);
}

/* The lock of an owner whom the last pass went for.  Were it news that somebody made a file for
   him, a file that cannot be removed would have us run for ever. */
static gboolean
is_own_lock (XdsUserdataKeeper *keeper, const XdsUserdataName *name)
{
  g_autofree char *key = owner_key (name->domid, name->uuid);

  return name->letter == 'l' && strcmp (name->userid, XDS_USERDATA_LOCK) == 0
         && g_hash_table_contains (keeper->gone_for, key);
}

static void
folder_event (XdsMonitorEvent event, const char *file, gpointer data)
{
  XdsUserdataKeeper *keeper = data;
  XdsUserdataName name;

  if (event == XDS_MONITOR_LOST)
    {
      xds_userdata_lives_forget (keeper->lives);
      xds_userdata_keeper_kick (keeper);
      if (keeper->events.changed != NULL)
        keeper->events.changed (keeper->data, 0, NULL, XDS_USERDATA_LOST);
      return;
    }
  if (!xds_userdata_name_parse (file, &name))
    return;
  if (event == XDS_MONITOR_VANISHED)
    {
      xds_userdata_lives_vanished (keeper->lives, file);
      if (keeper->will != NULL && name.letter == 'd')
        make_due (keeper, xds_userdata_will_vanished (keeper->will, file));
      tell_change (keeper, &name, XDS_USERDATA_REMOVED);
      return;
    }
  if (is_own_lock (keeper, &name))
    return;
  xds_userdata_lives_touched (keeper->lives, file);
  if (event != XDS_MONITOR_STORED)
    return;
  if (keeper->will != NULL)
    xds_userdata_will_stored (keeper->will, file);
  /* The last thing that libxl does in a soft reset. */
  if (strcmp (name.userid, "libxl-json") == 0
      && g_hash_table_contains (keeper->resetting, GUINT_TO_POINTER (name.domid)))
    xds_userdata_keeper_introduced (keeper, name.domid);
  tell_change (keeper, &name, XDS_USERDATA_STORED);
}

/* TRUE if there are no more. */
static gboolean
read_events (XdsUserdataKeeper *keeper)
{
  gboolean all
      = keeper->monitor == NULL || xds_monitor_dispatch (keeper->monitor, folder_event, keeper);

  if (xds_userdata_lives_ask (keeper->lives))
    xds_userdata_keeper_kick (keeper);
  return all;
}

/* --- files of another life, or boot, of a domain that is alive --- */

static gboolean
is_of_earlier_boot (XdsUserdataKeeper *keeper, const char *file)
{
  XdsUserdataBackend *backend = keeper->store->backend;
  struct stat st;

  return keeper->old_boot && backend->stat (backend, file, &st) == 0
         && xds_userdata_boot_predates (backend, &st);
}

/* Under the lock, and after all events so far, the answer can still be no. */
static XdsSweepResult
remove_stale (XdsUserdataKeeper *keeper, const char *file, const XdsUserdataDomain *domain)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (XdsUserdataLock) lock
      = xds_userdata_lock_domain (keeper->store, domain, XDS_USERDATA_LOCK_TRY, FALSE, &error);

  if (lock == NULL)
    return g_error_matches (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_BUSY) ? XDS_SWEEP_BUSY
                                                                                : XDS_SWEEP_ALIVE;
  if (!read_events (keeper))
    return XDS_SWEEP_BUSY;
  if (!xds_userdata_lives_is_earlier (keeper->lives, file, domain)
      && !is_of_earlier_boot (keeper, file))
    return XDS_SWEEP_ALIVE;
  if (xds_userdata_file_remove (keeper->store->backend, file, FALSE, &error))
    return XDS_SWEEP_DONE;
  trouble (keeper, error);
  return XDS_SWEEP_FAILED;
}

static XdsSweepResult
sweep_stale (XdsUserdataKeeper *keeper, const GPtrArray *names, GHashTable *index)
{
  XdsSweepResult worst = XDS_SWEEP_DONE;

  for (guint i = 0; i < names->len; i++)
    {
      const char *file = names->pdata[i];
      const XdsUserdataDomain *domain;
      XdsUserdataName name;

      if (!xds_userdata_name_parse_data (file, &name))
        continue;
      domain = xds_userdata_index_find (index, &name);
      if (domain != NULL
          && (xds_userdata_lives_is_earlier (keeper->lives, file, domain)
              || is_of_earlier_boot (keeper, file)))
        worst = xds_sweep_worse (worst, remove_stale (keeper, file, domain));
    }
  return worst;
}

/* --- data that is put aside: over a soft reset, and after death --- */

/* What is known of a soft reset: the domain waits to be reset, or runs again already. */
#define RESET_WAITS GUINT_TO_POINTER (1)
#define RESET_RUNS GUINT_TO_POINTER (2)

static void
begin_reset (XdsUserdataKeeper *keeper, const XdsUserdataDomain *domain)
{
  gpointer domid = GUINT_TO_POINTER (domain->domid);
  g_autoptr (GError) error = NULL;

  if (g_hash_table_lookup (keeper->resetting, domid) == RESET_WAITS)
    return;
  g_hash_table_insert (keeper->resetting, domid, RESET_WAITS);
  if (!xds_userdata_soft_reset_begin (keeper->store, domain, &error))
    trouble (keeper, error);
}

void
xds_userdata_keeper_soft_reset (XdsUserdataKeeper *keeper, guint domid)
{
  XdsUserdataDomain domain;

  if (xds_userdata_ask (keeper->store, domid, TRUE, &domain, NULL))
    begin_reset (keeper, &domain);
}

/* Whoever shut down for a reset since the last pass, and whoever was reset or died since. */
static void
follow_resets (XdsUserdataKeeper *keeper, const GArray *domains)
{
  g_autoptr (GHashTable) index = xds_userdata_index_new (domains);
  GHashTableIter iter;
  gpointer domid;

  g_hash_table_iter_init (&iter, keeper->resetting);
  while (g_hash_table_iter_next (&iter, &domid, NULL))
    {
      const XdsUserdataDomain *domain = g_hash_table_lookup (index, domid);

      if (domain == NULL || domain->dying)
        g_hash_table_iter_remove (&iter);
      else if (!domain->soft_reset)
        g_hash_table_iter_replace (&iter, RESET_RUNS);
    }
  for (guint i = 0; i < domains->len; i++)
    {
      const XdsUserdataDomain *domain = &g_array_index (domains, XdsUserdataDomain, i);

      if (domain->soft_reset && !domain->dying)
        begin_reset (keeper, domain);
    }
}

void
xds_userdata_keeper_introduced (XdsUserdataKeeper *keeper, guint domid)
{
  g_hash_table_add (keeper->resets, GUINT_TO_POINTER (domid));
  keeper->next_reset = now (keeper);
  set_timer (keeper);
}

/* Whoever was reset while no keeper was there, and runs again. */
static void
find_resets (XdsUserdataKeeper *keeper, const GPtrArray *kept, const GArray *domains)
{
  g_autoptr (GHashTable) index = xds_userdata_index_new (domains);

  for (guint i = 0; i < kept->len; i++)
    {
      const XdsUserdataDomain *domain;
      XdsUserdataName name;

      if (!xds_userdata_name_parse (kept->pdata[i], &name))
        continue;
      domain = g_hash_table_lookup (index, GUINT_TO_POINTER (name.domid));
      if (domain != NULL && !domain->shutdown)
        g_hash_table_add (keeper->resets, GUINT_TO_POINTER (name.domid));
    }
}

/* Puts back what can be put back; BUSY if some cannot yet. */
static XdsSweepResult
end_resets (XdsUserdataKeeper *keeper)
{
  XdsSweepResult worst = XDS_SWEEP_DONE;
  GHashTableIter iter;
  gpointer domid;

  g_hash_table_iter_init (&iter, keeper->resets);
  while (g_hash_table_iter_next (&iter, &domid, NULL))
    {
      g_autoptr (GError) error = NULL;
      XdsUserdataDomain domain;
      XdsSweepResult result = XDS_SWEEP_DONE;

      if (xds_userdata_ask (keeper->store, GPOINTER_TO_UINT (domid), TRUE, &domain, NULL))
        result = xds_userdata_soft_reset_end (keeper->store, &domain, &error);
      if (result == XDS_SWEEP_FAILED)
        trouble (keeper, error);
      if (result != XDS_SWEEP_BUSY)
        {
          g_hash_table_remove (keeper->resetting, domid);
          g_hash_table_iter_remove (&iter);
        }
      worst = xds_sweep_worse (worst, result);
    }
  return worst;
}

/* Those whom a pass has not met. */
static void
run_resets (XdsUserdataKeeper *keeper)
{
  XdsSweepResult result = end_resets (keeper);

  keeper->next_reset = -1;
  if (result == XDS_SWEEP_BUSY)
    make_due (keeper, now (keeper) + keeper->retry);
  else if (result == XDS_SWEEP_FAILED)
    make_due (keeper, now (keeper) + TROUBLE_RETRY);
}

/* Data that no event told of is part of a will, too: what is there when the keeper comes, and what
   is there under the lock of an owner who is dead. */
static void
shadow_all (const GPtrArray *names, gpointer data)
{
  XdsUserdataKeeper *keeper = data;

  for (guint i = 0; i < names->len; i++)
    xds_userdata_will_stored (keeper->will, names->pdata[i]);
}

/* Never NULL: a subfolder that is not there has nothing in it. */
static GPtrArray *
names_aside (XdsUserdataKeeper *keeper, const char *sub)
{
  GPtrArray *names = xds_userdata_names (keeper->store, sub, NULL);

  return names != NULL ? names : g_ptr_array_new ();
}

/* --- passes --- */

static XdsSweepResult
sweep_one (XdsUserdataKeeper *keeper, const XdsUserdataOwner *owner)
{
  g_autoptr (GError) error = NULL;
  XdsSweepResult result = xds_userdata_sweep_owner (
      keeper->store, owner, keeper->will != NULL ? shadow_all : NULL, keeper, &error);

  g_hash_table_add (keeper->gone_for, owner_key (owner->domid, owner->uuid));
  if (result == XDS_SWEEP_DONE && keeper->events.swept != NULL)
    keeper->events.swept (keeper->data, owner);
  if (result == XDS_SWEEP_FAILED)
    trouble (keeper, error);
  return result;
}

/* As many as a turn allows.  The worst of what happened; BUSY too when some are left. */
static XdsSweepResult
sweep_owners (XdsUserdataKeeper *keeper, const GArray *owners)
{
  gint64 end = now (keeper) + TURN;
  XdsSweepResult worst = XDS_SWEEP_DONE;

  for (guint i = 0; i < owners->len; i++)
    {
      if (now (keeper) > end)
        {
          make_due (keeper, now (keeper));
          return xds_sweep_worse (worst, XDS_SWEEP_BUSY);
        }
      worst = xds_sweep_worse (worst,
                               sweep_one (keeper, &g_array_index (owners, XdsUserdataOwner, i)));
    }
  return worst;
}

/* All that was listed before the domains were. */
typedef struct
{
  GPtrArray *files; /* (owned) (nullable) */
  GPtrArray *kept;  /* (owned) */
} Listing;

static void
listing_clear (Listing *listing)
{
  g_clear_pointer (&listing->files, g_ptr_array_unref);
  g_clear_pointer (&listing->kept, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Listing, listing_clear)

static XdsSweepResult
sweep_listing (XdsUserdataKeeper *keeper, const Listing *listing, const GArray *domains)
{
  g_autoptr (GArray) owners = xds_userdata_sweep_decide (listing->files, domains);
  g_autoptr (GHashTable) index = xds_userdata_index_new (domains);
  XdsSweepResult result;

  /* Without events a file could change under us, and what we remember be wrong. */
  if (keeper->monitor != NULL)
    xds_userdata_lives_learn (keeper->lives, listing->files, index);
  if (keeper->first)
    find_resets (keeper, listing->kept, domains);
  if (keeper->first && keeper->will != NULL)
    shadow_all (listing->files, keeper);
  keeper->first = FALSE;
  follow_resets (keeper, domains);
  result = sweep_owners (keeper, owners);
  result = xds_sweep_worse (result, sweep_stale (keeper, listing->files, index));
  xds_userdata_soft_reset_sweep (keeper->store, listing->kept, domains);
  return xds_sweep_worse (result, end_resets (keeper));
}

/* After the sweep, whose dead have just got their shadows; these are listed only now, but what
   is listed is compared with domains that were asked for before: so ask again. */
static XdsSweepResult
sweep_wills (XdsUserdataKeeper *keeper)
{
  XdsUserdataHypervisor *hypervisor = &keeper->store->hypervisor;
  g_autoptr (GPtrArray) names = NULL;
  g_autoptr (GArray) domains = NULL;
  gint64 next;

  if (keeper->will == NULL)
    return XDS_SWEEP_DONE;
  names = names_aside (keeper, XDS_USERDATA_WILL);
  domains = hypervisor->all (hypervisor->data, NULL);
  if (domains == NULL)
    return XDS_SWEEP_FAILED;
  next = xds_userdata_will_sweep (keeper->will, names, domains);
  if (next >= 0)
    make_due (keeper, next);
  return XDS_SWEEP_DONE;
}

/* Listed first, asked second: see sweep.c. */
static XdsSweepResult
pass (XdsUserdataKeeper *keeper)
{
  XdsUserdataHypervisor *hypervisor = &keeper->store->hypervisor;
  g_autoptr (GError) error = NULL;
  g_auto (Listing) listing = { .files = xds_userdata_names (keeper->store, NULL, &error),
                               .kept = names_aside (keeper, XDS_USERDATA_KEPT) };
  g_autoptr (GArray) domains
      = listing.files != NULL ? hypervisor->all (hypervisor->data, &error) : NULL;

  if (domains == NULL)
    {
      trouble (keeper, error);
      return XDS_SWEEP_FAILED;
    }
  return xds_sweep_worse (sweep_listing (keeper, &listing, domains), sweep_wills (keeper));
}

/* The first pass of a boot is over once nothing was in its way, and the folder says so. */
static void
mark_boot (XdsUserdataKeeper *keeper)
{
  g_autoptr (GError) error = NULL;

  keeper->unmarked = !xds_userdata_boot_mark (keeper->store->backend, &error);
  if (keeper->unmarked)
    {
      trouble (keeper, error);
      make_due (keeper, now (keeper) + TROUBLE_RETRY);
      return;
    }
  keeper->old_boot = FALSE;
  g_clear_pointer (&keeper->told, g_free);
}

static void
run_pass (XdsUserdataKeeper *keeper)
{
  XdsSweepResult result;

  keeper->next = keeper->next_reset = -1;
  g_hash_table_remove_all (keeper->gone_for);
  result = pass (keeper);
  if (result == XDS_SWEEP_BUSY)
    {
      make_due (keeper, now (keeper) + keeper->retry);
      keeper->retry = MIN (keeper->retry * 2, LONGEST_RETRY);
      return;
    }
  keeper->retry = FIRST_RETRY;
  if (result == XDS_SWEEP_FAILED)
    make_due (keeper, now (keeper) + TROUBLE_RETRY);
  else if (keeper->old_boot || keeper->unmarked)
    mark_boot (keeper);
  else
    g_clear_pointer (&keeper->told, g_free);
}

static gboolean
is_due (XdsUserdataKeeper *keeper, gint64 when)
{
  return when >= 0 && when <= now (keeper);
}

void
xds_userdata_keeper_dispatch (XdsUserdataKeeper *keeper)
{
  read_events (keeper);
  if (is_due (keeper, keeper->next))
    run_pass (keeper);
  if (is_due (keeper, keeper->next_reset))
    run_resets (keeper);
  set_timer (keeper);
}

int
xds_userdata_keeper_fd (XdsUserdataKeeper *keeper)
{
  return keeper->monitor != NULL ? xds_monitor_fd (keeper->monitor) : -1;
}

/* --- life --- */

XdsUserdataKeeper *
xds_userdata_keeper_new (XdsUserdataStore *store, const XdsUserdataKeeperEvents *events,
                         gpointer data)
{
  XdsUserdataKeeper *keeper = g_new0 (XdsUserdataKeeper, 1);

  keeper->store = store;
  if (events != NULL)
    keeper->events = *events;
  keeper->data = data;
  keeper->lives = xds_userdata_lives_new (store);
  keeper->gone_for = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  keeper->resetting = g_hash_table_new (NULL, NULL);
  keeper->resets = g_hash_table_new (NULL, NULL);
  keeper->next = keeper->next_reset = -1;
  keeper->retry = FIRST_RETRY;
  keeper->first = TRUE;
  return keeper;
}

void
xds_userdata_keeper_free (XdsUserdataKeeper *keeper)
{
  if (keeper == NULL)
    return;
  if (keeper->source != NULL)
    g_source_destroy (keeper->source);
  g_clear_pointer (&keeper->source, g_source_unref);
  xds_monitor_free (keeper->monitor);
  xds_userdata_will_free (keeper->will);
  g_hash_table_unref (keeper->gone_for);
  g_hash_table_unref (keeper->resetting);
  g_hash_table_unref (keeper->resets);
  xds_userdata_lives_free (keeper->lives);
  g_free (keeper->told);
  g_free (keeper);
}

void
xds_userdata_keeper_set_will (XdsUserdataKeeper *keeper, guint seconds)
{
  g_clear_pointer (&keeper->will, xds_userdata_will_free);
  if (seconds > 0)
    keeper->will = xds_userdata_will_new (keeper->store, seconds);
}

gboolean
xds_userdata_keeper_start (XdsUserdataKeeper *keeper, GError **error)
{
  XdsBootState state = xds_userdata_boot_state (keeper->store->backend);

  /* Without a sidecar nobody knows of which boot the data of the living is; let them have it. */
  keeper->old_boot = state == XDS_BOOT_EARLIER;
  /* On a disk that cannot be written now there is work all the same, and later it may. */
  if (state == XDS_BOOT_UNKNOWN)
    mark_boot (keeper);
  xds_userdata_keeper_kick (keeper);
  if (keeper->store->folder == NULL || keeper->monitor != NULL)
    return TRUE;
  keeper->monitor = xds_monitor_new (keeper->store->folder, error);
  return keeper->monitor != NULL;
}

/* --- as a source --- */

typedef struct
{
  GSource base;
  XdsUserdataKeeper *keeper; /* (unowned) */
} KeeperSource;

static gboolean
source_dispatch (GSource *source, GSourceFunc func G_GNUC_UNUSED, gpointer data G_GNUC_UNUSED)
{
  xds_userdata_keeper_dispatch (((KeeperSource *) source)->keeper);
  return G_SOURCE_CONTINUE;
}

GSource *
xds_userdata_keeper_create_source (XdsUserdataKeeper *keeper)
{
  static GSourceFuncs funcs = { .dispatch = source_dispatch };
  GSource *source = g_source_new (&funcs, sizeof (KeeperSource));

  ((KeeperSource *) source)->keeper = keeper;
  keeper->source = g_source_ref (source);
  g_source_set_static_name (source, "userdata keeper");
  if (keeper->monitor != NULL)
    g_source_add_unix_fd (source, xds_monitor_fd (keeper->monitor), G_IO_IN);
  g_source_set_ready_time (source, xds_userdata_keeper_next (keeper));
  return source;
}
