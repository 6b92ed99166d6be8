/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Read, modify and write in one call.
 *
 * Optimistic: the caller's function runs without the lock, since nobody may hold it over
 * somebody's think time, and what it made is stored if what it was made from is still there.
 */

#include "userdata/store.h"

/* Somebody wins each round, so that this many lost in a row mean a writer that never rests. */
#define MAX_ROUNDS 100

/* What is there, NULL for nothing. An empty file counts as nothing, but keeps its generation. */
static gboolean
read_old (XdsUserdataStore *store, guint domid, const char *userid, GBytes **ret_old,
          guint64 *ret_generation, GError **error)
{
  g_autoptr (GError) local = NULL;
  g_autoptr (XdsUserdataItem) item = NULL;
  guint64 generation = XDS_USERDATA_NONE;
  GBytes *old = xds_userdata_store_get (store, domid, userid, &generation, &local);

  if (old == NULL && g_error_matches (local, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_EMPTY))
    {
      item = xds_userdata_store_stat (store, domid, userid, NULL);
      generation = item != NULL ? item->generation : XDS_USERDATA_NONE;
    }
  else if (old == NULL && !g_error_matches (local, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_ABSENT))
    {
      g_propagate_error (error, g_steal_pointer (&local));
      return FALSE;
    }
  *ret_old = old;
  *ret_generation = generation;
  return TRUE;
}

gboolean
xds_userdata_store_update (XdsUserdataStore *store, guint domid, const char *userid,
                           XdsUserdataUpdateFunc func, gpointer data, guint64 *ret_generation,
                           GError **error)
{
  for (guint round = 1;; round++)
    {
      g_autoptr (GError) local = NULL;
      g_autoptr (GBytes) old = NULL;
      g_autoptr (GBytes) new = NULL;
      guint64 generation;

      if (!read_old (store, domid, userid, &old, &generation, error))
        return FALSE;
      new = func (old, data, error);
      if (new == NULL)
        return FALSE;
      if (xds_userdata_store_put_if (store, domid, userid, new, generation, ret_generation, &local))
        return TRUE;
      if (round == MAX_ROUNDS
          || !g_error_matches (local, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_CHANGED))
        {
          g_propagate_error (error, g_steal_pointer (&local));
          return FALSE;
        }
    }
}
