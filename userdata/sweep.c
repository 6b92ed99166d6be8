/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Sweeping up after dead domains.
 *
 * Why nothing of a living domain can go: the files are listed before the domains are.  A domain
 * that came after the listing has no file in it; one that is listed and not among the domains
 * was gone at the moment of the snapshot.  It may have come back since, with the same number and
 * uuid, so the hypervisor is asked again under the lock.  If it comes back after that, its first
 * store waits for the lock and finds a clean folder.
 *
 * Why nothing of a dead domain can stay: whoever stores asks for the domain under the same lock.
 * Before us, he is seen by the listing under the lock; after us, he is told that it is gone.
 * libxl takes a dying domain for alive: what it stores then is seen as an event by the keeper.
 *
 * Shut down is not dead: a corpse that is kept keeps its data.  Dying is dead: it will not run
 * again, and whoever tears it down needs none of this.  The road not taken is to act on the
 * store's own events: @releaseDomain also fires for corpses and in the midst of a soft reset.
 */

#include "userdata/sweep.h"
#include "userdata/store-private.h"

#include <string.h>

GHashTable *
xds_userdata_index_new (const GArray *domains)
{
  GHashTable *index = g_hash_table_new (NULL, NULL);

  for (guint i = 0; i < domains->len; i++)
    {
      XdsUserdataDomain *domain = &g_array_index (domains, XdsUserdataDomain, i);

      g_hash_table_insert (index, GUINT_TO_POINTER (domain->domid), domain);
    }
  return index;
}

const XdsUserdataDomain *
xds_userdata_index_find (GHashTable *index, const XdsUserdataName *name)
{
  const XdsUserdataDomain *domain = g_hash_table_lookup (index, GUINT_TO_POINTER (name->domid));

  if (domain == NULL || domain->dying || strcmp (domain->uuid, name->uuid) != 0)
    return NULL;
  return domain;
}

/* For a domain whose uuid is not known, which owns whatever has its number, the uuid is "". */
static char *
owner_key (guint domid, const char *uuid)
{
  return g_strdup_printf ("%u.%s", domid, uuid);
}

/* (transfer full): a set of keys of whoever is alive. */
static GHashTable *
living (const GArray *domains)
{
  GHashTable *set = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; i < domains->len; i++)
    {
      const XdsUserdataDomain *domain = &g_array_index (domains, XdsUserdataDomain, i);

      if (!domain->dying)
        g_hash_table_add (set, owner_key (domain->domid, domain->uuid));
    }
  return set;
}

GArray *
xds_userdata_sweep_decide (const GPtrArray *names, const GArray *domains)
{
  /* Who is done with: the living, and the dead that are in the result already. */
  g_autoptr (GHashTable) settled = living (domains);
  GArray *owners = g_array_new (FALSE, FALSE, sizeof (XdsUserdataOwner));

  for (guint i = 0; i < names->len; i++)
    {
      g_autofree char *whoever = NULL;
      XdsUserdataName name;
      XdsUserdataOwner owner;

      if (!xds_userdata_name_parse (names->pdata[i], &name) || name.domid == 0)
        continue;
      whoever = owner_key (name.domid, "");
      if (g_hash_table_contains (settled, whoever)
          || !g_hash_table_add (settled, owner_key (name.domid, name.uuid)))
        continue;
      owner.domid = name.domid;
      memcpy (owner.uuid, name.uuid, sizeof owner.uuid);
      g_array_append_val (owners, owner);
    }
  return owners;
}

/* DONE when the hypervisor says that it is gone or dying. */
static XdsSweepResult
ask_if_gone (XdsUserdataStore *store, const XdsUserdataOwner *owner, GError **error)
{
  g_autoptr (GError) local = NULL;
  XdsUserdataDomain now;

  if (xds_userdata_ask (store, owner->domid, TRUE, &now, &local))
    return xds_userdata_domain_may_be (&now, owner->uuid) ? XDS_SWEEP_ALIVE : XDS_SWEEP_DONE;
  if (g_error_matches (local, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_NO_DOMAIN))
    return XDS_SWEEP_DONE;
  g_propagate_error (error, g_steal_pointer (&local));
  return XDS_SWEEP_FAILED;
}

static XdsSweepResult
result_of (GError *local, GError **error)
{
  if (g_error_matches (local, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_BUSY))
    {
      g_error_free (local);
      return XDS_SWEEP_BUSY;
    }
  g_propagate_error (error, local);
  return XDS_SWEEP_FAILED;
}

/* The slow locks of libxl, each by taking it: its holder may still be at work. */
static XdsSweepResult
remove_slow_lock (XdsUserdataStore *store, const char *file, GError **error)
{
  GError *local = NULL;
  XdsUserdataLock *lock
      = xds_userdata_lock_take (store->backend, file, XDS_USERDATA_LOCK_TRY, &local);

  if (lock == NULL)
    return result_of (local, error);
  xds_userdata_lock_release (lock);
  return XDS_SWEEP_DONE;
}

static XdsSweepResult
remove_slow_locks (XdsUserdataStore *store, const GPtrArray *names, GError **error)
{
  XdsSweepResult result = XDS_SWEEP_DONE;

  for (guint i = 0; result != XDS_SWEEP_FAILED && i < names->len; i++)
    {
      XdsUserdataName name;

      if (xds_userdata_name_parse (names->pdata[i], &name) && name.letter == 'l'
          && strcmp (name.userid, XDS_USERDATA_LOCK) != 0)
        result = xds_sweep_worse (result, remove_slow_lock (store, names->pdata[i], error));
    }
  return result;
}

XdsSweepResult
xds_userdata_sweep_owner (XdsUserdataStore *store, const XdsUserdataOwner *owner,
                          XdsSweepLastFunc last, gpointer data, GError **error)
{
  g_autofree char *name
      = xds_userdata_file_name ('l', owner->domid, owner->uuid, XDS_USERDATA_LOCK);
  GError *local = NULL;
  g_autoptr (XdsUserdataLock) lock
      = xds_userdata_lock_take (store->backend, name, XDS_USERDATA_LOCK_TRY, &local);
  g_autoptr (GPtrArray) names = NULL;
  XdsSweepResult result;

  if (lock == NULL)
    return result_of (local, error);
  result = ask_if_gone (store, owner, error);
  if (result != XDS_SWEEP_DONE)
    return result;
  names = xds_userdata_names_of (store, owner->domid, owner->uuid, error);
  if (names == NULL)
    return XDS_SWEEP_FAILED;
  if (last != NULL)
    last (names, data);
  if (!xds_userdata_remove_files (store, names, error))
    return XDS_SWEEP_FAILED;
  return remove_slow_locks (store, names, error);
}
