/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * XdsUserdata: the data of domains, in libxl's own files, for programs.
 *
 * userdata/ does the work; here it gets a face that can be bound, errors of the library's one
 * domain, and the meaning that libxl_userdata_store and _retrieve have: no bytes removes, and
 * nothing stored is no error.  The files are read and written by the caller's process, so this
 * works while no server runs, on a host whose hypervisor can be asked.
 */

#include "lib/userdata.h"
#include "lib/xendomstore/error.h"

#include <string.h>

/* The library's codes of userdata's errors are those of userdata/, moved. */
#define ERROR_BASE XDS_ERROR_FAILED

G_STATIC_ASSERT ((int) XDS_ERROR_NO_DOMAIN == ERROR_BASE + (int) XDS_USERDATA_ERROR_NO_DOMAIN);
G_STATIC_ASSERT ((int) XDS_ERROR_CHANGED == ERROR_BASE + (int) XDS_USERDATA_ERROR_CHANGED);
G_STATIC_ASSERT ((int) XDS_ERROR_BAD_ARCHIVE == ERROR_BASE + (int) XDS_USERDATA_ERROR_BAD_ARCHIVE);

/**
 * XdsUserdata:
 *
 * The data that programs store for domains, under names that libxl calls userids.
 *
 * The errors of the folder, which every call about a domain can have: %XDS_ERROR_NO_DOMAIN, there
 * is none or it is being torn down; %XDS_ERROR_BUSY, somebody held its lock for too long;
 * %XDS_ERROR_DISK_FULL; %XDS_ERROR_READ_ONLY; %XDS_ERROR_NO_FOLDER, it was removed;
 * %XDS_ERROR_DENIED; %XDS_ERROR_FAILED for what else the system says.  Where no hypervisor can be
 * asked for the domain, and the store is, also %XDS_ERROR_CONNECT and those of a connection
 * (#XdsClient).  After each of them nothing has changed.
 */
G_DEFINE_FINAL_TYPE (XdsUserdata, xds_userdata, G_TYPE_OBJECT)
G_DEFINE_BOXED_TYPE (XdsUserdataEntry, xds_userdata_entry, xds_userdata_entry_copy,
                     xds_userdata_entry_free)

/**
 * xds_userdata_entry_copy:
 * @entry: an entry
 *
 * Copies an entry.
 *
 * Returns: (transfer full): the copy
 */
XdsUserdataEntry *
xds_userdata_entry_copy (const XdsUserdataEntry *entry)
{
  XdsUserdataEntry *copy = g_memdup2 (entry, sizeof *entry);

  copy->userid = g_strdup (entry->userid);
  return copy;
}

/**
 * xds_userdata_entry_free:
 * @entry: (transfer full) (nullable): an entry
 *
 * Frees an entry.
 */
void
xds_userdata_entry_free (XdsUserdataEntry *entry)
{
  if (entry == NULL)
    return;
  g_free (entry->userid);
  g_free (entry);
}

static void
xds_userdata_finalize (GObject *object)
{
  XdsUserdata *userdata = XDS_USERDATA (object);

  xds_userdata_watch_clear (userdata);
  xds_userdata_store_free (userdata->store);
  xds_domains_free (userdata->domains);
  G_OBJECT_CLASS (xds_userdata_parent_class)->finalize (object);
}

static void
xds_userdata_class_init (XdsUserdataClass *class)
{
  G_OBJECT_CLASS (class)->finalize = xds_userdata_finalize;
  xds_userdata_watch_init_class (class);
}

static void
xds_userdata_init (XdsUserdata *userdata)
{
}

void
xds_userdata_own_error (GError **error)
{
  if (error == NULL || *error == NULL || (*error)->domain != XDS_USERDATA_ERROR)
    return;
  (*error)->domain = XDS_ERROR;
  (*error)->code += ERROR_BASE;
}

GPtrArray *
xds_userdata_own_list (GPtrArray *list, GCopyFunc convert, GDestroyNotify free_func)
{
  GPtrArray *own;

  if (list == NULL)
    return NULL;
  own = g_ptr_array_copy (list, convert, NULL);
  g_ptr_array_set_free_func (own, free_func);
  g_ptr_array_unref (list);
  return own;
}

/**
 * xds_userdata_new:
 * @folder: (type filename) (nullable): where the files are, %NULL for Xen's folder,
 *   `/var/lib/xen` unless the library was built for another
 * @socket: (type filename) (nullable): the server to ask for domains where no hypervisor can be
 *   asked, %NULL for the host's
 * @error: return location for an error
 *
 * Opens the data of all domains.
 *
 * Errors: %XDS_ERROR_NO_FOLDER, %XDS_ERROR_NOT_REGULAR, %XDS_ERROR_FOREIGN, %XDS_ERROR_DENIED,
 * %XDS_ERROR_FAILED.
 *
 * Returns: (transfer full): the userdata, or %NULL with @error set
 */
XdsUserdata *
xds_userdata_new (const char *folder, const char *socket, GError **error)
{
  g_autoptr (XdsUserdata) userdata = g_object_new (XDS_TYPE_USERDATA, NULL);
  XdsUserdataHypervisor hypervisor;

  userdata->domains = xds_domains_new (socket);
  hypervisor = xds_domains_as_hypervisor (userdata->domains);
  userdata->store = xds_userdata_store_new (folder, &hypervisor, error);
  xds_userdata_own_error (error);
  return userdata->store != NULL ? g_steal_pointer (&userdata) : NULL;
}

/**
 * xds_userdata_set_timeout:
 * @userdata: the userdata
 * @milliseconds: the time; -1 for ever, as libxl does
 *
 * Sets how long a call waits for a domain's lock, which libxl may hold for seconds, before it fails
 * with %XDS_ERROR_BUSY.
 */
void
xds_userdata_set_timeout (XdsUserdata *userdata, int milliseconds)
{
  g_return_if_fail (XDS_IS_USERDATA (userdata));

  xds_userdata_store_set_timeout (userdata->store, milliseconds < 0 ? XDS_USERDATA_LOCK_FOREVER
                                                                    : (gint64) milliseconds * 1000);
}

/**
 * xds_userdata_set_durable:
 * @userdata: the userdata
 * @durable: whether what was stored must survive a power cut, which it does by default
 *
 * Trades safety for speed.
 */
void
xds_userdata_set_durable (XdsUserdata *userdata, gboolean durable)
{
  g_return_if_fail (XDS_IS_USERDATA (userdata));

  xds_userdata_store_set_durable (userdata->store, durable);
}

/**
 * xds_userdata_set_limits:
 * @userdata: the userdata
 * @item_bytes: for one item, 0 for no limit; 64 KiB by default
 * @items: for one domain, 0 for no limit; 64 by default
 * @domain_bytes: for all items of one domain, 0 for no limit; 1 MiB by default
 *
 * Sets how much may be stored by this object. What libxl stores counts, but is never refused.
 */
void
xds_userdata_set_limits (XdsUserdata *userdata, gsize item_bytes, guint items, gsize domain_bytes)
{
  g_return_if_fail (XDS_IS_USERDATA (userdata));

  xds_userdata_store_set_limits (userdata->store,
                                 &(XdsUserdataLimits){ .item_bytes = item_bytes,
                                                       .items = items,
                                                       .domain_bytes = domain_bytes });
}

/* --- verbs --- */

/**
 * xds_userdata_store:
 * @userdata: the userdata
 * @domid: the domain
 * @userid: the name to store under
 * @data: (array length=length) (element-type guint8) (nullable): the bytes
 * @length: their number; 0 removes what is stored
 * @error: return location for an error
 *
 * Stores bytes for a domain, in place of what was stored under this name. They are gone when the
 * domain is. A reader sees the old or the new bytes, whole.
 *
 * Errors: %XDS_ERROR_BAD_NAME, %XDS_ERROR_TOO_LARGE, %XDS_ERROR_TOO_MANY, %XDS_ERROR_DOMAIN_FULL,
 * %XDS_ERROR_NOT_REGULAR, %XDS_ERROR_FOREIGN, those of the folder (#XdsUserdata).
 *
 * Returns: %TRUE, or %FALSE with @error set, and then nothing changed
 */
gboolean
xds_userdata_store (XdsUserdata *userdata, guint domid, const char *userid, const char *data,
                    gsize length, GError **error)
{
  g_autoptr (GBytes) bytes = NULL;
  gboolean good;

  g_return_val_if_fail (XDS_IS_USERDATA (userdata) && userid != NULL, FALSE);

  bytes = g_bytes_new (data, length);
  good = xds_userdata_store_put (userdata->store, domid, userid, bytes, NULL, error);
  xds_userdata_own_error (error);
  return good;
}

/**
 * xds_userdata_retrieve:
 * @userdata: the userdata
 * @domid: the domain
 * @userid: the name under which it is stored
 * @ret_data: (out) (optional) (nullable) (transfer full) (array length=ret_length)
 *   (element-type guint8): return location for the bytes, %NULL if nothing is stored. A NUL follows
 *   them that is not counted
 * @ret_length: (out) (optional): return location for their number
 * @ret_generation: (out) (optional): return location for the generation
 * @error: return location for an error
 *
 * Retrieves what is stored for a domain. That nothing is stored is no error.
 *
 * Errors: %XDS_ERROR_BAD_NAME, %XDS_ERROR_EMPTY, %XDS_ERROR_NOT_REGULAR, %XDS_ERROR_FOREIGN, those
 * of the folder (#XdsUserdata).
 *
 * Returns: %TRUE, or %FALSE with @error set, and then the outputs are untouched
 */
gboolean
xds_userdata_retrieve (XdsUserdata *userdata, guint domid, const char *userid, char **ret_data,
                       gsize *ret_length, guint64 *ret_generation, GError **error)
{
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GError) own = NULL;
  guint64 generation = XDS_USERDATA_CREATE;
  gsize len = 0;
  const char *data = NULL;

  g_return_val_if_fail (XDS_IS_USERDATA (userdata) && userid != NULL, FALSE);

  bytes = xds_userdata_store_get (userdata->store, domid, userid, &generation, &own);
  if (bytes == NULL && !g_error_matches (own, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_ABSENT))
    {
      xds_userdata_own_error (&own);
      g_propagate_error (error, g_steal_pointer (&own));
      return FALSE;
    }
  if (bytes != NULL)
    data = g_bytes_get_data (bytes, &len);
  if (ret_data != NULL)
    {
      *ret_data = bytes != NULL ? g_malloc0 (len + 1) : NULL;
      if (len > 0)
        memcpy (*ret_data, data, len);
    }
  if (ret_length != NULL)
    *ret_length = len;
  if (ret_generation != NULL)
    *ret_generation = bytes != NULL ? generation : XDS_USERDATA_CREATE;
  return TRUE;
}

/**
 * xds_userdata_unlink:
 * @userdata: the userdata
 * @domid: the domain
 * @userid: the name under which it is stored
 * @error: return location for an error
 *
 * Removes what is stored under a name.
 *
 * Errors: %XDS_ERROR_BAD_NAME, %XDS_ERROR_ABSENT, %XDS_ERROR_NOT_REGULAR, %XDS_ERROR_FOREIGN,
 * those of the folder (#XdsUserdata).
 *
 * Returns: %TRUE, or %FALSE with @error set, which is %XDS_ERROR_ABSENT if nothing was stored
 */
gboolean
xds_userdata_unlink (XdsUserdata *userdata, guint domid, const char *userid, GError **error)
{
  gboolean good;

  g_return_val_if_fail (XDS_IS_USERDATA (userdata) && userid != NULL, FALSE);

  good = xds_userdata_store_remove (userdata->store, domid, userid, error);
  xds_userdata_own_error (error);
  return good;
}

/**
 * xds_userdata_compare_and_store:
 * @userdata: the userdata
 * @domid: the domain
 * @userid: the name to store under
 * @data: (array length=length) (element-type guint8) (nullable): the bytes
 * @length: their number; 0 removes what is stored
 * @generation: what must be stored now, as xds_userdata_retrieve() or xds_userdata_list() told;
 *   %XDS_USERDATA_CREATE if nothing may be
 * @ret_generation: (out) (optional): return location for the new generation
 * @error: return location for an error
 *
 * Stores bytes if nobody else did meanwhile.
 *
 * Errors: %XDS_ERROR_CHANGED, %XDS_ERROR_BAD_NAME, %XDS_ERROR_TOO_LARGE, %XDS_ERROR_TOO_MANY,
 * %XDS_ERROR_DOMAIN_FULL, %XDS_ERROR_NOT_REGULAR, %XDS_ERROR_FOREIGN, those of the folder
 * (#XdsUserdata).
 *
 * Returns: %TRUE, or %FALSE with @error set, which is %XDS_ERROR_CHANGED if somebody did
 */
gboolean
xds_userdata_compare_and_store (XdsUserdata *userdata, guint domid, const char *userid,
                                const char *data, gsize length, guint64 generation,
                                guint64 *ret_generation, GError **error)
{
  g_autoptr (GBytes) bytes = NULL;
  gboolean good;

  g_return_val_if_fail (XDS_IS_USERDATA (userdata) && userid != NULL, FALSE);

  bytes = g_bytes_new (data, length);
  good = xds_userdata_store_put_if (userdata->store, domid, userid, bytes, generation,
                                    ret_generation, error);
  xds_userdata_own_error (error);
  return good;
}

/**
 * xds_userdata_update:
 * @userdata: the userdata
 * @domid: the domain
 * @userid: the name under which it is stored
 * @func: (scope call): makes the new bytes of the old ones
 * @user_data: for @func
 * @ret_generation: (out) (optional): return location for the new generation
 * @error: return location for an error
 *
 * Reads, modifies and writes in one call: if somebody else stores meanwhile, @func is asked again
 * with what is there then. It runs without the lock, so it may take its time. Its error ends this,
 * and is returned as it is.
 *
 * Errors: %XDS_ERROR_CHANGED, %XDS_ERROR_BAD_NAME, %XDS_ERROR_TOO_LARGE, %XDS_ERROR_TOO_MANY,
 * %XDS_ERROR_DOMAIN_FULL, %XDS_ERROR_NOT_REGULAR, %XDS_ERROR_FOREIGN, those of @func, those of the
 * folder (#XdsUserdata).
 *
 * Returns: %TRUE, or %FALSE with @error set, and then nothing changed
 */
gboolean
xds_userdata_update (XdsUserdata *userdata, guint domid, const char *userid,
                     XdsUserdataModifyFunc func, gpointer user_data, guint64 *ret_generation,
                     GError **error)
{
  gboolean good;

  g_return_val_if_fail (XDS_IS_USERDATA (userdata) && userid != NULL && func != NULL, FALSE);

  good = xds_userdata_store_update (userdata->store, domid, userid, func, user_data, ret_generation,
                                    error);
  xds_userdata_own_error (error);
  return good;
}

static gpointer
entry_of_item (gconstpointer src, gpointer data)
{
  const XdsUserdataItem *item = src;
  XdsUserdataEntry entry = { item->userid, item->size, item->mtime, item->generation };

  return xds_userdata_entry_copy (&entry);
}

/**
 * xds_userdata_list:
 * @userdata: the userdata
 * @domid: the domain
 * @error: return location for an error
 *
 * Lists what is stored for a domain, by userid.
 *
 * Errors: those of the folder (#XdsUserdata).
 *
 * Returns: (transfer container) (element-type XdsUserdataEntry): the entries, or %NULL with
 *   @error set
 */
GPtrArray *
xds_userdata_list (XdsUserdata *userdata, guint domid, GError **error)
{
  GPtrArray *items;

  g_return_val_if_fail (XDS_IS_USERDATA (userdata), NULL);

  items = xds_userdata_store_list (userdata->store, domid, error);
  xds_userdata_own_error (error);
  return xds_userdata_own_list (items, entry_of_item, (GDestroyNotify) xds_userdata_entry_free);
}

/**
 * xds_userdata_destroy_all:
 * @userdata: the userdata
 * @domid: the domain
 * @error: return location for an error
 *
 * Removes everything that is stored for a domain, libxl's own data included, as libxl does when it
 * destroys one.
 *
 * Errors: those of the folder (#XdsUserdata).
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_userdata_destroy_all (XdsUserdata *userdata, guint domid, GError **error)
{
  gboolean good;

  g_return_val_if_fail (XDS_IS_USERDATA (userdata), FALSE);

  good = xds_userdata_store_destroy_all (userdata->store, domid, error);
  xds_userdata_own_error (error);
  return good;
}
