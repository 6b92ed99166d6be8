/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The last will.
 *
 * libxl removes a domain's data before it destroys the domain, so what the dead leave must have
 * been put aside while they lived: each version of data that the keeper hears of gets a second
 * name, a hard link, in the subfolder ("shadow", under its own name).  When its owner is dead the
 * shadow is renamed to "<seconds since 1970>.<name>", and removed when its time is over.
 *
 * Data that its owner removed while alive is not part of the will.  But libxl's destroy looks just
 * the same, until the domain is gone; so a shadow outlives its data for a while.
 *
 * Copies lost: they cost a write for each store, and could be torn.
 */

#include "userdata/will.h"
#include "userdata/store-private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* From libxl's removal to the end of the domain: devices are gone by then, memory has to go. */
#define GRACE (60 * G_USEC_PER_SEC)

struct XdsUserdataWill
{
  XdsUserdataStore *store; /* (unowned) */
  gint64 seconds;
  GHashTable *vanished; /* (owned): file name to gint64, when it was seen to vanish */
};

/* --- what there is --- */

void
xds_userdata_legacy_free (XdsUserdataLegacy *legacy)
{
  if (legacy == NULL)
    return;
  g_free (legacy->userid);
  g_free (legacy->file);
  g_free (legacy);
}

static char *
will_path (const char *file)
{
  return g_strconcat (XDS_USERDATA_WILL "/", file, NULL);
}

/* "<seconds>.<name>" */
static gboolean
parse_legacy (const char *file, gint64 *ret_died, XdsUserdataName *ret_name)
{
  char *end;
  gint64 died = g_ascii_strtoll (file, &end, 10);

  if (!g_ascii_isdigit (file[0]) || *end != '.' || !xds_userdata_name_parse (end + 1, ret_name))
    return FALSE;
  *ret_died = died;
  return TRUE;
}

static gint
compare_legacies (gconstpointer a, gconstpointer b)
{
  const XdsUserdataLegacy *x = *(XdsUserdataLegacy *const *) a;
  const XdsUserdataLegacy *y = *(XdsUserdataLegacy *const *) b;

  if (x->died != y->died)
    return x->died > y->died ? -1 : 1;
  return strcmp (x->file, y->file);
}

GPtrArray *
xds_userdata_will_list (XdsUserdataStore *store, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  GPtrArray *legacies;
  int rc = store->backend->list (store->backend, XDS_USERDATA_WILL, names);

  if (rc < 0 && rc != -ENOENT)
    {
      xds_userdata_set_errno (error, -rc, "Cannot list", XDS_USERDATA_WILL);
      return NULL;
    }
  legacies = g_ptr_array_new_with_free_func ((GDestroyNotify) xds_userdata_legacy_free);
  for (guint i = 0; i < names->len; i++)
    {
      XdsUserdataLegacy *legacy;
      XdsUserdataName name;
      gint64 died;

      if (!parse_legacy (names->pdata[i], &died, &name))
        continue;
      legacy = g_new0 (XdsUserdataLegacy, 1);
      legacy->owner.domid = name.domid;
      memcpy (legacy->owner.uuid, name.uuid, sizeof name.uuid);
      legacy->userid = g_strdup (name.userid);
      legacy->file = will_path (names->pdata[i]);
      legacy->died = died;
      g_ptr_array_add (legacies, legacy);
    }
  g_ptr_array_sort (legacies, compare_legacies);
  return legacies;
}

GBytes *
xds_userdata_will_get (XdsUserdataStore *store, const XdsUserdataLegacy *legacy, GError **error)
{
  g_auto (XdsUserdataFile) file = { 0 };

  if (!xds_userdata_file_read (store->backend, legacy->file, &file, error))
    return NULL;
  return g_steal_pointer (&file.bytes);
}

/* --- life --- */

XdsUserdataWill *
xds_userdata_will_new (XdsUserdataStore *store, guint seconds)
{
  XdsUserdataWill *will = g_new0 (XdsUserdataWill, 1);

  will->store = store;
  will->seconds = seconds;
  will->vanished = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  store->backend->make_folder (store->backend, XDS_USERDATA_WILL);
  return will;
}

void
xds_userdata_will_free (XdsUserdataWill *will)
{
  if (will == NULL)
    return;
  g_hash_table_unref (will->vanished);
  g_free (will);
}

/* --- shadows --- */

static gboolean
is_shadowed (const char *file)
{
  XdsUserdataName name;

  return xds_userdata_name_parse_data (file, &name);
}

void
xds_userdata_will_stored (XdsUserdataWill *will, const char *file)
{
  XdsUserdataBackend *backend = will->store->backend;
  g_autofree char *shadow = will_path (file);
  g_autofree char *via = g_strconcat (shadow, ".new", NULL);

  if (!is_shadowed (file))
    return;
  g_hash_table_remove (will->vanished, file);
  /* By way of another name, so that there is a shadow also if the data vanishes right now.  A
     rename onto another name of the same file does nothing, so the way is cleared in any case. */
  backend->unlink (backend, via);
  if (backend->link (backend, file, via) == 0)
    backend->rename (backend, via, shadow);
  backend->unlink (backend, via);
}

gint64
xds_userdata_will_vanished (XdsUserdataWill *will, const char *file)
{
  XdsUserdataBackend *backend = will->store->backend;
  gint64 when = backend->clock (backend, XDS_CLOCK_MONOTONIC);

  if (is_shadowed (file))
    g_hash_table_replace (will->vanished, g_strdup (file), g_memdup2 (&when, sizeof when));
  return when + GRACE;
}

/* --- the sweep --- */

static gint64
sooner (gint64 a, gint64 b)
{
  return a < 0 || (b >= 0 && b < a) ? b : a;
}

static void
remove_entry (XdsUserdataWill *will, const char *entry)
{
  g_autofree char *path = will_path (entry);

  will->store->backend->unlink (will->store->backend, path);
}

/* Its owner is dead: from now on it counts the seconds.  Returns when they are over. */
static gint64
bequeath (XdsUserdataWill *will, const char *shadow)
{
  XdsUserdataBackend *backend = will->store->backend;
  gint64 died = backend->clock (backend, XDS_CLOCK_REAL) / G_USEC_PER_SEC;
  g_autofree char *from = will_path (shadow);
  g_autofree char *to
      = g_strdup_printf (XDS_USERDATA_WILL "/%" G_GINT64_FORMAT ".%s", died, shadow);

  backend->rename (backend, from, to);
  g_hash_table_remove (will->vanished, shadow);
  return backend->clock (backend, XDS_CLOCK_MONOTONIC) + will->seconds * G_USEC_PER_SEC;
}

/* Its owner lives: was the data removed, and long enough ago?  Returns when to look again. */
static gint64
look_at_shadow (XdsUserdataWill *will, const char *shadow)
{
  XdsUserdataBackend *backend = will->store->backend;
  gint64 now = backend->clock (backend, XDS_CLOCK_MONOTONIC);
  const gint64 *when = g_hash_table_lookup (will->vanished, shadow);
  struct stat st;

  if (when == NULL && backend->stat (backend, shadow, &st) == -ENOENT)
    {
      /* It vanished before this keeper came. */
      return xds_userdata_will_vanished (will, shadow);
    }
  if (when == NULL)
    return -1;
  if (now < *when + GRACE)
    return *when + GRACE;
  remove_entry (will, shadow);
  g_hash_table_remove (will->vanished, shadow);
  return -1;
}

/* A time to come is of a clock that was set back: then nobody knows, and it goes. */
static gint64
look_at_legacy (XdsUserdataWill *will, const char *entry, gint64 died)
{
  XdsUserdataBackend *backend = will->store->backend;
  gint64 now = backend->clock (backend, XDS_CLOCK_REAL) / G_USEC_PER_SEC;

  if (now >= died && now < died + will->seconds)
    return backend->clock (backend, XDS_CLOCK_MONOTONIC)
           + (died + will->seconds - now) * G_USEC_PER_SEC;
  remove_entry (will, entry);
  return -1;
}

/* What vanished long ago has no shadow any more, or never had one. */
static gboolean
is_long_gone (gpointer file G_GNUC_UNUSED, gpointer when, gpointer now)
{
  return *(const gint64 *) now >= *(const gint64 *) when + GRACE;
}

static char *
owner_key (guint domid, const char *uuid)
{
  return g_strdup_printf ("%u.%s", domid, uuid);
}

gint64
xds_userdata_will_sweep (XdsUserdataWill *will, const GPtrArray *names, const GArray *domains)
{
  g_autoptr (GArray) owners = xds_userdata_sweep_decide (names, domains);
  g_autoptr (GHashTable) dead = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  gint64 now = will->store->backend->clock (will->store->backend, XDS_CLOCK_MONOTONIC);
  gint64 next = -1;

  for (guint i = 0; i < owners->len; i++)
    {
      const XdsUserdataOwner *owner = &g_array_index (owners, XdsUserdataOwner, i);

      g_hash_table_add (dead, owner_key (owner->domid, owner->uuid));
    }
  for (guint i = 0; i < names->len; i++)
    {
      const char *entry = names->pdata[i];
      XdsUserdataName name;
      gint64 died;

      if (parse_legacy (entry, &died, &name))
        next = sooner (next, look_at_legacy (will, entry, died));
      else if (xds_userdata_name_parse (entry, &name))
        {
          g_autofree char *key = owner_key (name.domid, name.uuid);

          if (g_hash_table_contains (dead, key))
            next = sooner (next, bequeath (will, entry));
          else
            next = sooner (next, look_at_shadow (will, entry));
        }
    }
  g_hash_table_foreach_remove (will->vanished, is_long_gone, &now);
  return next;
}
