/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Soft reset: hard links in a subfolder.
 *
 * A link costs no copy and is one version of the data, whole, because data is only ever replaced
 * by rename.  The link is made when the guest has shut down for its reset, which the daemon knows
 * before it lets xl know; it is put back when the domain is introduced again, which libxl does
 * after it removed everything.  While the domain is away in between, nothing refers to the data,
 * as libxl's own rules want it.  Links, not memory: the daemon may be restarted meanwhile.
 *
 * What somebody stored in between under the same userid wins over what was kept.
 */

#include "userdata/soft-reset.h"
#include "userdata/store-private.h"

#include <errno.h>
#include <string.h>

static char *
kept_path (const char *file)
{
  return g_strconcat (XDS_USERDATA_KEPT "/", file, NULL);
}

static gboolean
is_kept_data (const char *file, guint domid, const char *uuid)
{
  XdsUserdataName name;

  return xds_userdata_name_parse (file, &name) && name.letter == 'd' && name.domid == domid
         && strcmp (name.uuid, uuid) == 0 && !xds_userdata_userid_is_libxl (name.userid);
}

/* By way of another name, so that what an earlier call kept is there until this is. */
static gboolean
keep_file (XdsUserdataBackend *backend, const char *file, GError **error)
{
  g_autofree char *kept = kept_path (file);
  g_autofree char *via = g_strconcat (kept, ".new", NULL);
  int rc;

  backend->unlink (backend, via);
  rc = backend->link (backend, file, via);
  if (rc == 0)
    rc = backend->rename (backend, via, kept);
  backend->unlink (backend, via);
  if (rc == 0 || rc == -ENOENT)
    return TRUE;
  xds_userdata_set_errno (error, -rc, "Cannot keep over a soft reset", file);
  return FALSE;
}

gboolean
xds_userdata_soft_reset_begin (XdsUserdataStore *store, const XdsUserdataDomain *domain,
                               GError **error)
{
  g_autoptr (GPtrArray) names = xds_userdata_names (store, NULL, error);
  int rc = names != NULL ? store->backend->make_folder (store->backend, XDS_USERDATA_KEPT) : 0;

  if (names == NULL)
    return FALSE;
  if (rc < 0 && rc != -EEXIST)
    {
      xds_userdata_set_errno (error, -rc, "Cannot make folder", XDS_USERDATA_KEPT);
      return FALSE;
    }
  for (guint i = 0; i < names->len; i++)
    if (is_kept_data (names->pdata[i], domain->domid, domain->uuid)
        && !keep_file (store->backend, names->pdata[i], error))
      return FALSE;
  return TRUE;
}

/* Under the lock: back to its place if that is free. */
static gboolean
put_back (XdsUserdataBackend *backend, const char *file, GError **error)
{
  g_autofree char *kept = kept_path (file);
  struct stat st;
  int rc = backend->stat (backend, file, &st);

  rc = rc == -ENOENT ? backend->rename (backend, kept, file) : backend->unlink (backend, kept);
  if (rc == 0 || rc == -ENOENT)
    return TRUE;
  xds_userdata_set_errno (error, -rc, "Cannot put back after a soft reset", file);
  return FALSE;
}

/* (transfer full) (nullable): names kept for this domain; NULL if there are none. */
static GPtrArray *
kept_names (XdsUserdataStore *store, const XdsUserdataDomain *domain)
{
  g_autoptr (GPtrArray) names = xds_userdata_names (store, XDS_USERDATA_KEPT, NULL);

  for (guint i = names != NULL ? names->len : 0; i > 0; i--)
    if (!is_kept_data (names->pdata[i - 1], domain->domid, domain->uuid))
      g_ptr_array_remove_index_fast (names, i - 1);
  return names != NULL && names->len > 0 ? g_steal_pointer (&names) : NULL;
}

XdsSweepResult
xds_userdata_soft_reset_end (XdsUserdataStore *store, const XdsUserdataDomain *domain,
                             GError **error)
{
  g_autoptr (GPtrArray) names = kept_names (store, domain);
  g_autoptr (XdsUserdataLock) lock = NULL;
  g_autoptr (GError) local = NULL;

  if (names == NULL)
    return XDS_SWEEP_DONE;
  lock = xds_userdata_lock_domain (store, domain, XDS_USERDATA_LOCK_TRY, TRUE, &local);
  for (guint i = 0; lock != NULL && local == NULL && i < names->len; i++)
    put_back (store->backend, names->pdata[i], &local);
  if (local == NULL)
    return XDS_SWEEP_DONE;
  if (g_error_matches (local, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_BUSY))
    return XDS_SWEEP_BUSY;
  g_propagate_error (error, g_steal_pointer (&local));
  return XDS_SWEEP_FAILED;
}

void
xds_userdata_soft_reset_sweep (XdsUserdataStore *store, const GPtrArray *names,
                               const GArray *domains)
{
  g_autoptr (GArray) owners = xds_userdata_sweep_decide (names, domains);

  for (guint i = 0; i < names->len; i++)
    {
      g_autofree char *kept = kept_path (names->pdata[i]);

      for (guint j = 0; j < owners->len; j++)
        {
          const XdsUserdataOwner *owner = &g_array_index (owners, XdsUserdataOwner, j);

          if (is_kept_data (names->pdata[i], owner->domid, owner->uuid))
            store->backend->unlink (store->backend, kept);
        }
    }
}
