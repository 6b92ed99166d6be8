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
#include "lib/domains.h"
#include "lib/xendomstore/error.h"
#include "userdata/monitor.h"

#include <glib-unix.h>
#include <string.h>

/* The library's codes of userdata's errors are those of userdata/, moved. */
#define ERROR_BASE XDS_ERROR_FAILED

G_STATIC_ASSERT ((int) XDS_ERROR_NO_DOMAIN == ERROR_BASE + (int) XDS_USERDATA_ERROR_NO_DOMAIN);
G_STATIC_ASSERT ((int) XDS_ERROR_CHANGED == ERROR_BASE + (int) XDS_USERDATA_ERROR_CHANGED);
G_STATIC_ASSERT ((int) XDS_ERROR_BAD_ARCHIVE == ERROR_BASE + (int) XDS_USERDATA_ERROR_BAD_ARCHIVE);

enum
{
  SIGNAL_CHANGED,
  N_SIGNALS
};

static guint signals[N_SIGNALS];

struct _XdsUserdata
{
  GObject parent;
  XdsDomains *domains;     /* owned */
  XdsUserdataStore *store; /* owned */
  XdsMonitor *monitor;     /* (nullable) owned */
  GSource *source;         /* (nullable) owned */
};

/**
 * XdsUserdata:
 *
 * The data that programs store for domains, under names that libxl calls userids.
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

  if (userdata->source != NULL)
    g_source_destroy (userdata->source);
  g_clear_pointer (&userdata->source, g_source_unref);
  xds_monitor_free (userdata->monitor);
  xds_userdata_store_free (userdata->store);
  xds_domains_free (userdata->domains);
  G_OBJECT_CLASS (xds_userdata_parent_class)->finalize (object);
}

static void
xds_userdata_class_init (XdsUserdataClass *class)
{
  G_OBJECT_CLASS (class)->finalize = xds_userdata_finalize;

  /**
   * XdsUserdata::changed:
   * @userdata: the userdata
   * @domid: the domain
   * @userid: (nullable): what was stored or removed; %NULL if anything may have changed
   *
   * Somebody stored or removed something, libxl included. Emitted after xds_userdata_watch().
   */
  signals[SIGNAL_CHANGED] = g_signal_new ("changed", XDS_TYPE_USERDATA, G_SIGNAL_RUN_LAST, 0, NULL,
                                          NULL, NULL, G_TYPE_NONE, 2, G_TYPE_UINT, G_TYPE_STRING);
}

static void
xds_userdata_init (XdsUserdata *userdata)
{
}

XdsUserdataStore *
xds_userdata_get_store (XdsUserdata *userdata)
{
  return userdata->store;
}

gboolean
xds_userdata_give_error (GError *own, GError **error)
{
  if (own->domain == XDS_USERDATA_ERROR)
    {
      own->domain = XDS_ERROR;
      own->code += ERROR_BASE;
    }
  g_propagate_error (error, own);
  return FALSE;
}

/**
 * xds_userdata_new:
 * @folder: (type filename) (nullable): where the files are, %NULL for `/var/lib/xen`
 * @socket: (type filename) (nullable): the server to ask for domains where no hypervisor can be
 *   asked, %NULL for the host's
 * @error: return location for an error
 *
 * Opens the data of all domains.
 *
 * Returns: (transfer full): the userdata, or %NULL with @error set
 */
XdsUserdata *
xds_userdata_new (const char *folder, const char *socket, GError **error)
{
  g_autoptr (XdsUserdata) userdata = g_object_new (XDS_TYPE_USERDATA, NULL);
  XdsUserdataHypervisor hypervisor;
  g_autoptr (GError) own = NULL;

  userdata->domains = xds_domains_new (socket);
  hypervisor = xds_domains_as_hypervisor (userdata->domains);
  userdata->store = xds_userdata_store_new (folder, &hypervisor, &own);
  if (userdata->store != NULL)
    return g_steal_pointer (&userdata);
  xds_userdata_give_error (g_steal_pointer (&own), error);
  return NULL;
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
 * Returns: %TRUE, or %FALSE with @error set, and then nothing changed
 */
gboolean
xds_userdata_store (XdsUserdata *userdata, guint domid, const char *userid, const char *data,
                    gsize length, GError **error)
{
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GError) own = NULL;

  g_return_val_if_fail (XDS_IS_USERDATA (userdata) && userid != NULL, FALSE);

  bytes = g_bytes_new (data, length);
  if (xds_userdata_store_put (userdata->store, domid, userid, bytes, NULL, &own))
    return TRUE;
  return xds_userdata_give_error (g_steal_pointer (&own), error);
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
    return xds_userdata_give_error (g_steal_pointer (&own), error);
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
 * Returns: %TRUE, or %FALSE with @error set, which is %XDS_ERROR_ABSENT if nothing was stored
 */
gboolean
xds_userdata_unlink (XdsUserdata *userdata, guint domid, const char *userid, GError **error)
{
  g_autoptr (GError) own = NULL;

  g_return_val_if_fail (XDS_IS_USERDATA (userdata) && userid != NULL, FALSE);

  if (xds_userdata_store_remove (userdata->store, domid, userid, &own))
    return TRUE;
  return xds_userdata_give_error (g_steal_pointer (&own), error);
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
 * Returns: %TRUE, or %FALSE with @error set, which is %XDS_ERROR_CHANGED if somebody did
 */
gboolean
xds_userdata_compare_and_store (XdsUserdata *userdata, guint domid, const char *userid,
                                const char *data, gsize length, guint64 generation,
                                guint64 *ret_generation, GError **error)
{
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GError) own = NULL;

  g_return_val_if_fail (XDS_IS_USERDATA (userdata) && userid != NULL, FALSE);

  bytes = g_bytes_new (data, length);
  if (xds_userdata_store_put_if (userdata->store, domid, userid, bytes, generation, ret_generation,
                                 &own))
    return TRUE;
  return xds_userdata_give_error (g_steal_pointer (&own), error);
}

/**
 * xds_userdata_list:
 * @userdata: the userdata
 * @domid: the domain
 * @error: return location for an error
 *
 * Lists what is stored for a domain, by userid.
 *
 * Returns: (transfer container) (element-type XdsUserdataEntry): the entries, or %NULL with
 *   @error set
 */
GPtrArray *
xds_userdata_list (XdsUserdata *userdata, guint domid, GError **error)
{
  g_autoptr (GPtrArray) items = NULL;
  g_autoptr (GError) own = NULL;
  GPtrArray *entries;

  g_return_val_if_fail (XDS_IS_USERDATA (userdata), NULL);

  items = xds_userdata_store_list (userdata->store, domid, &own);
  if (items == NULL)
    {
      xds_userdata_give_error (g_steal_pointer (&own), error);
      return NULL;
    }
  entries = g_ptr_array_new_with_free_func ((GDestroyNotify) xds_userdata_entry_free);
  for (guint i = 0; i < items->len; i++)
    {
      const XdsUserdataItem *item = items->pdata[i];
      XdsUserdataEntry entry = { item->userid, item->size, item->mtime, item->generation };

      g_ptr_array_add (entries, xds_userdata_entry_copy (&entry));
    }
  return entries;
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
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_userdata_destroy_all (XdsUserdata *userdata, guint domid, GError **error)
{
  g_autoptr (GError) own = NULL;

  g_return_val_if_fail (XDS_IS_USERDATA (userdata), FALSE);

  if (xds_userdata_store_destroy_all (userdata->store, domid, &own))
    return TRUE;
  return xds_userdata_give_error (g_steal_pointer (&own), error);
}

/* --- watching --- */

static void
on_event (XdsMonitorEvent event, const char *file, gpointer data)
{
  XdsUserdata *userdata = data;
  XdsUserdataName name;

  if (event == XDS_MONITOR_CREATED)
    return;
  if (event == XDS_MONITOR_LOST)
    g_signal_emit (userdata, signals[SIGNAL_CHANGED], 0, 0, NULL);
  else if (xds_userdata_name_parse (file, &name) && name.letter == 'd')
    g_signal_emit (userdata, signals[SIGNAL_CHANGED], 0, name.domid, name.userid);
}

static gboolean
on_readable (int fd, GIOCondition condition, gpointer data)
{
  g_autoptr (XdsUserdata) userdata = g_object_ref (data);

  xds_monitor_dispatch (userdata->monitor, on_event, userdata);
  return G_SOURCE_CONTINUE;
}

/**
 * xds_userdata_watch:
 * @userdata: the userdata
 * @error: return location for an error
 *
 * Begins to emit #XdsUserdata::changed, in the thread's default main context. This watches the
 * files themselves, so it needs no server.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_userdata_watch (XdsUserdata *userdata, GError **error)
{
  g_autoptr (GMainContext) context = g_main_context_ref_thread_default ();
  g_autoptr (GError) own = NULL;

  g_return_val_if_fail (XDS_IS_USERDATA (userdata), FALSE);

  if (userdata->monitor != NULL)
    return TRUE;
  userdata->monitor = xds_monitor_new (xds_userdata_store_get_folder (userdata->store), &own);
  if (userdata->monitor == NULL)
    return xds_userdata_give_error (g_steal_pointer (&own), error);
  userdata->source = g_unix_fd_source_new (xds_monitor_fd (userdata->monitor), G_IO_IN);
  g_source_set_callback (userdata->source, (GSourceFunc) (void (*) (void)) on_readable, userdata,
                         NULL);
  g_source_set_static_name (userdata->source, "xendomstore userdata");
  g_source_attach (userdata->source, context);
  return TRUE;
}
