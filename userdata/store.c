/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The blob store: what a caller does with the data of one domain.
 *
 * Every change goes the same way: ask who the domain is, take its lock, ask again, look at what
 * is there, change it, let go.  The second question closes the gap in which a domain dies between
 * the first and the lock; since whoever cleans up after a dead domain takes the same lock, nothing
 * can appear behind his back.
 *
 * A reader takes no lock: replacement is a rename, so an open file is one version, whole.  He asks
 * again after reading, so that he never gets what belongs to the next domain of that number.
 *
 * The road not taken is a database.  The files are a contract with libxl, libvirt and people's
 * scripts, and a domain has a handful of them.
 */

#include "userdata/store.h"
#include "userdata/boot.h"
#include "userdata/store-private.h"

#include <errno.h>
#include <string.h>

/* --- life --- */

XdsUserdataStore *
xds_userdata_store_new_with_backend (XdsUserdataBackend *backend, const char *folder,
                                     const XdsUserdataHypervisor *hypervisor)
{
  XdsUserdataStore *store = g_new0 (XdsUserdataStore, 1);

  store->backend = backend;
  store->folder = g_strdup (folder);
  store->hypervisor = *hypervisor;
  store->limits = (XdsUserdataLimits) XDS_USERDATA_DEFAULT_LIMITS;
  store->timeout = XDS_USERDATA_DEFAULT_TIMEOUT;
  store->durable = TRUE;
  return store;
}

XdsUserdataStore *
xds_userdata_store_new (const char *folder, const XdsUserdataHypervisor *hypervisor, GError **error)
{
  const char *path = folder != NULL ? folder : XDS_USERDATA_DEFAULT_FOLDER;
  XdsUserdataBackend *backend = xds_userdata_backend_system_new (path, error);

  if (backend == NULL)
    return NULL;
  return xds_userdata_store_new_with_backend (backend, path, hypervisor);
}

void
xds_userdata_store_free (XdsUserdataStore *store)
{
  if (store == NULL)
    return;
  xds_userdata_backend_free (store->backend);
  g_free (store->folder);
  g_free (store);
}

void
xds_userdata_store_set_limits (XdsUserdataStore *store, const XdsUserdataLimits *limits)
{
  store->limits = *limits;
}

void
xds_userdata_store_set_timeout (XdsUserdataStore *store, gint64 timeout)
{
  store->timeout = timeout;
}

void
xds_userdata_store_set_durable (XdsUserdataStore *store, gboolean durable)
{
  store->durable = durable;
}

const char *
xds_userdata_store_get_folder (XdsUserdataStore *store)
{
  return store->folder;
}

void
xds_userdata_item_free (XdsUserdataItem *item)
{
  if (item == NULL)
    return;
  g_free (item->userid);
  g_free (item);
}

/* --- who is it? --- */

static gboolean
set_no_domain (guint domid, const char *why, GError **error)
{
  g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_NO_DOMAIN, "Domain %u %s", domid, why);
  return FALSE;
}

gboolean
xds_userdata_ask (XdsUserdataStore *store, guint domid, gboolean for_writing,
                  XdsUserdataDomain *ret_domain, GError **error)
{
  XdsUserdataDomain domain = { 0 };

  if (!store->hypervisor.one (store->hypervisor.data, domid, &domain, error))
    return FALSE;
  if (for_writing && domain.dying)
    return set_no_domain (domid, "is being torn down; nothing can be stored for it any more",
                          error);
  *ret_domain = domain;
  return TRUE;
}

gboolean
xds_userdata_ask_again (XdsUserdataStore *store, const XdsUserdataDomain *domain,
                        gboolean for_writing, GError **error)
{
  XdsUserdataDomain now;

  if (!xds_userdata_ask (store, domain->domid, for_writing, &now, error))
    return FALSE;
  if (!xds_userdata_domain_same (domain, &now))
    return set_no_domain (domain->domid, "is gone, and another one has its number now", error);
  return TRUE;
}

XdsUserdataLock *
xds_userdata_lock_domain (XdsUserdataStore *store, const XdsUserdataDomain *domain, gint64 timeout,
                          gboolean for_writing, GError **error)
{
  g_autofree char *name
      = xds_userdata_file_name ('l', domain->domid, domain->uuid, XDS_USERDATA_LOCK);
  g_autoptr (XdsUserdataLock) lock = xds_userdata_lock_take (store->backend, name, timeout, error);

  if (lock == NULL || !xds_userdata_ask_again (store, domain, for_writing, error))
    return NULL;
  return g_steal_pointer (&lock);
}

gboolean
xds_userdata_is_stale (XdsUserdataStore *store, guint domid, const struct stat *st)
{
  XdsBootState state;

  if (domid == 0 || g_atomic_int_get (&store->boot_is_current))
    return FALSE;
  state = xds_userdata_boot_state (store->backend);
  if (state == XDS_BOOT_CURRENT)
    g_atomic_int_set (&store->boot_is_current, TRUE);
  return state == XDS_BOOT_EARLIER && xds_userdata_boot_predates (store->backend, st);
}

/* --- names --- */

static gboolean
check_userid (const char *userid, gboolean ok, GError **error)
{
  if (!ok)
    g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_BAD_NAME,
                 "'%s' is not a userid: take 1 to %d printable ASCII "
                 "characters without blanks or / * ? [ ] \\, not the name of libxl's lock",
                 userid, XDS_USERDATA_USERID_MAX);
  return ok;
}

static gboolean
check_readable (const char *userid, GError **error)
{
  return check_userid (userid, xds_userdata_userid_readable (userid), error);
}

GPtrArray *
xds_userdata_names (XdsUserdataStore *store, const char *sub, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  int rc = store->backend->list (store->backend, sub, names);

  if (rc < 0)
    {
      xds_userdata_set_errno (error, -rc, "Cannot list the userdata folder",
                              sub != NULL ? sub : (store->folder != NULL ? store->folder : "."));
      return NULL;
    }
  return g_steal_pointer (&names);
}

static gboolean
name_is_of (const char *file, guint domid, const char *uuid, XdsUserdataName *ret_name)
{
  return xds_userdata_name_parse (file, ret_name) && ret_name->domid == domid
         && strcmp (ret_name->uuid, uuid) == 0;
}

/* --- reading --- */

/* A file of data, of this boot. */
static gboolean
read_data (XdsUserdataStore *store, const XdsUserdataDomain *domain, const char *userid,
           XdsUserdataFile *ret_file, GError **error)
{
  g_autofree char *name = xds_userdata_file_name ('d', domain->domid, domain->uuid, userid);
  g_auto (XdsUserdataFile) file = { 0 };

  if (!xds_userdata_file_read (store->backend, name, &file, error))
    return FALSE;
  if (xds_userdata_is_stale (store, domain->domid, &file.st))
    {
      g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_ABSENT,
                   "Nothing is stored as '%s' since the host was started", name);
      return FALSE;
    }
  *ret_file = file;
  file.bytes = NULL;
  return TRUE;
}

static gboolean
read_item (XdsUserdataStore *store, guint domid, const char *userid, XdsUserdataFile *ret_file,
           GError **error)
{
  g_auto (XdsUserdataFile) file = { 0 };
  XdsUserdataDomain domain;

  if (!check_readable (userid, error) || !xds_userdata_ask (store, domid, FALSE, &domain, error)
      || !read_data (store, &domain, userid, &file, error)
      || !xds_userdata_ask_again (store, &domain, FALSE, error))
    return FALSE;
  *ret_file = file;
  file.bytes = NULL;
  return TRUE;
}

GBytes *
xds_userdata_store_get (XdsUserdataStore *store, guint domid, const char *userid,
                        guint64 *ret_generation, GError **error)
{
  g_auto (XdsUserdataFile) file = { 0 };

  if (!read_item (store, domid, userid, &file, error))
    return NULL;
  if (g_bytes_get_size (file.bytes) == 0)
    {
      g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_EMPTY,
                   "'%s' of domain %u is empty, left so by a crash; store it "
                   "again or remove it",
                   userid, domid);
      return NULL;
    }
  if (ret_generation != NULL)
    *ret_generation = xds_userdata_file_generation (&file);
  return g_steal_pointer (&file.bytes);
}

static XdsUserdataItem *
item_new (const char *userid, const XdsUserdataFile *file)
{
  XdsUserdataItem *item = g_new (XdsUserdataItem, 1);

  item->userid = g_strdup (userid);
  item->size = g_bytes_get_size (file->bytes);
  item->mtime = (gint64) file->st.st_mtim.tv_sec * G_USEC_PER_SEC + file->st.st_mtim.tv_nsec / 1000;
  item->generation = xds_userdata_file_generation (file);
  return item;
}

XdsUserdataItem *
xds_userdata_store_stat (XdsUserdataStore *store, guint domid, const char *userid, GError **error)
{
  g_auto (XdsUserdataFile) file = { 0 };

  if (!read_item (store, domid, userid, &file, error))
    return NULL;
  return item_new (userid, &file);
}

static gint
compare_items (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(XdsUserdataItem *const *) a)->userid, (*(XdsUserdataItem *const *) b)->userid);
}

/* What cannot be read is left out: gone since the listing, or not a file of data at all. */
static GPtrArray *
list_items (XdsUserdataStore *store, const XdsUserdataDomain *domain, GPtrArray *names)
{
  GPtrArray *items = g_ptr_array_new_with_free_func ((GDestroyNotify) xds_userdata_item_free);

  for (guint i = 0; i < names->len; i++)
    {
      g_auto (XdsUserdataFile) file = { 0 };
      XdsUserdataName name;

      if (name_is_of (names->pdata[i], domain->domid, domain->uuid, &name) && name.letter == 'd'
          && name.userid[0] != '\0' && read_data (store, domain, name.userid, &file, NULL))
        g_ptr_array_add (items, item_new (name.userid, &file));
    }
  g_ptr_array_sort (items, compare_items);
  return items;
}

GPtrArray *
xds_userdata_store_list (XdsUserdataStore *store, guint domid, GError **error)
{
  g_autoptr (GPtrArray) names = NULL;
  g_autoptr (GPtrArray) items = NULL;
  XdsUserdataDomain domain;

  if (!xds_userdata_ask (store, domid, FALSE, &domain, error))
    return NULL;
  names = xds_userdata_names (store, NULL, error);
  if (names == NULL)
    return NULL;
  items = list_items (store, &domain, names);
  if (!xds_userdata_ask_again (store, &domain, FALSE, error))
    return NULL;
  return g_steal_pointer (&items);
}

/* --- limits --- */

typedef struct
{
  guint items;
  gsize bytes;
} Usage;

/* What the domain has stored under other userids than @userid. */
static gboolean
other_usage (XdsUserdataStore *store, const XdsUserdataDomain *domain, const char *userid,
             Usage *ret_usage, GError **error)
{
  g_autoptr (GPtrArray) names = xds_userdata_names (store, NULL, error);
  Usage usage = { 0 };

  if (names == NULL)
    return FALSE;
  for (guint i = 0; i < names->len; i++)
    {
      struct stat st;
      XdsUserdataName name;

      if (!name_is_of (names->pdata[i], domain->domid, domain->uuid, &name) || name.letter != 'd'
          || strcmp (name.userid, userid) == 0
          || store->backend->stat (store->backend, names->pdata[i], &st) < 0)
        continue;
      usage.items++;
      usage.bytes += (gsize) st.st_size;
    }
  *ret_usage = usage;
  return TRUE;
}

static gboolean
check_item_size (XdsUserdataStore *store, const char *userid, gsize len, GError **error)
{
  gsize allowed = store->limits.item_bytes;

  if (allowed == 0 || len <= allowed || xds_userdata_userid_is_libxl (userid))
    return TRUE;
  g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_TOO_LARGE,
               "'%s' would have %" G_GSIZE_FORMAT " bytes and %" G_GSIZE_FORMAT
               " are allowed for one item; store less, or raise the limit",
               userid, len, allowed);
  return FALSE;
}

static gboolean
check_domain_limits (XdsUserdataStore *store, const XdsUserdataDomain *domain, const char *userid,
                     gsize len, GError **error)
{
  const XdsUserdataLimits *limits = &store->limits;
  Usage usage;

  if ((limits->items == 0 && limits->domain_bytes == 0) || xds_userdata_userid_is_libxl (userid))
    return TRUE;
  if (!other_usage (store, domain, userid, &usage, error))
    return FALSE;
  if (limits->items != 0 && usage.items + 1 > limits->items)
    g_set_error (
        error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_TOO_MANY,
        "Domain %u has %u items already and %u are allowed; remove one, or raise the limit",
        domain->domid, usage.items, limits->items);
  else if (limits->domain_bytes != 0 && usage.bytes + len > limits->domain_bytes)
    g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_DOMAIN_FULL,
                 "Domain %u has %" G_GSIZE_FORMAT " bytes elsewhere, %" G_GSIZE_FORMAT
                 " more would be over the %" G_GSIZE_FORMAT
                 " allowed; remove some, or raise the limit",
                 domain->domid, usage.bytes, len, limits->domain_bytes);
  else
    return TRUE;
  return FALSE;
}

/* --- changing --- */

/* One change on its way: what the steps of it share. */
typedef struct
{
  XdsUserdataStore *store;
  const char *userid;
  GBytes *bytes;            /* empty: remove */
  const guint64 *condition; /* (nullable): the generation that must be there */
  XdsUserdataDomain domain;
  XdsUserdataLock *lock; /* (owned) */
} Change;

static void
change_clear (Change *change)
{
  g_clear_pointer (&change->lock, xds_userdata_lock_release);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Change, change_clear)

/* The generation there is; XDS_USERDATA_NONE if nothing is there. */
static gboolean
current_generation (Change *change, guint64 *ret_generation, GError **error)
{
  g_auto (XdsUserdataFile) file = { 0 };
  g_autoptr (GError) local = NULL;

  if (read_data (change->store, &change->domain, change->userid, &file, &local))
    *ret_generation = xds_userdata_file_generation (&file);
  else if (g_error_matches (local, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_ABSENT))
    *ret_generation = XDS_USERDATA_NONE;
  else
    {
      g_propagate_error (error, g_steal_pointer (&local));
      return FALSE;
    }
  return TRUE;
}

static gboolean
check_condition (Change *change, GError **error)
{
  guint64 now;

  if (change->condition == NULL)
    return TRUE;
  if (!current_generation (change, &now, error))
    return FALSE;
  if (now == *change->condition)
    return TRUE;
  g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_CHANGED,
               "'%s' of domain %u %s; read it again and retry", change->userid,
               change->domain.domid,
               *change->condition == XDS_USERDATA_NONE ? "is there already"
               : now == XDS_USERDATA_NONE              ? "was removed meanwhile"
                                                       : "was changed meanwhile");
  return FALSE;
}

/* The lock may have been taken from us, or the domain have died, while the disk was busy. */
static gboolean
still_ours (gpointer data, GError **error)
{
  Change *change = data;

  return xds_userdata_lock_check (change->lock, error)
         && xds_userdata_ask_again (change->store, &change->domain, TRUE, error);
}

/* What is there must be something that we would have made, or nothing. */
static gboolean
check_target (Change *change, const char *name, GError **error)
{
  g_autoptr (GError) local = NULL;
  struct stat st;

  if (xds_userdata_file_stat (change->store->backend, name, &st, &local)
      || g_error_matches (local, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_ABSENT))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&local));
  return FALSE;
}

/* Of what was just stored, under the lock.  The store is done: should the file not let itself be
   looked at, the answer is none, which as a condition makes the next store read first. */
static guint64
new_generation (Change *change, const char *name)
{
  XdsUserdataFile file = { .bytes = change->bytes };

  if (change->store->backend->stat (change->store->backend, name, &file.st) < 0)
    return XDS_USERDATA_NONE;
  return xds_userdata_file_generation (&file);
}

static gboolean
replace_data (Change *change, guint64 *ret_generation, GError **error)
{
  const XdsUserdataDomain *domain = &change->domain;
  g_autofree char *name = xds_userdata_file_name ('d', domain->domid, domain->uuid, change->userid);
  g_autofree char *via = xds_userdata_file_name ('n', domain->domid, domain->uuid, change->userid);
  gsize len = g_bytes_get_size (change->bytes);

  if (!check_item_size (change->store, change->userid, len, error)
      || !check_domain_limits (change->store, domain, change->userid, len, error)
      || !check_target (change, name, error)
      || !xds_userdata_file_replace (change->store->backend, name, via, change->bytes,
                                     change->store->durable, still_ours, change, error))
    return FALSE;
  if (ret_generation != NULL)
    *ret_generation = new_generation (change, name);
  return TRUE;
}

static gboolean
remove_data (Change *change, GError **error)
{
  g_autofree char *name
      = xds_userdata_file_name ('d', change->domain.domid, change->domain.uuid, change->userid);

  return xds_userdata_file_remove (change->store->backend, name, change->store->durable, error);
}

static gboolean
remove_if_there (Change *change, guint64 *ret_generation, GError **error)
{
  g_autoptr (GError) local = NULL;

  if (!remove_data (change, &local)
      && !g_error_matches (local, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_ABSENT))
    {
      g_propagate_error (error, g_steal_pointer (&local));
      return FALSE;
    }
  if (ret_generation != NULL)
    *ret_generation = XDS_USERDATA_NONE;
  return TRUE;
}

static gboolean
begin_change (Change *change, guint domid, gboolean for_writing, GError **error)
{
  XdsUserdataStore *store = change->store;

  if (!xds_userdata_ask (store, domid, for_writing, &change->domain, error))
    return FALSE;
  change->lock
      = xds_userdata_lock_domain (store, &change->domain, store->timeout, for_writing, error);
  return change->lock != NULL;
}

static gboolean
put (XdsUserdataStore *store, guint domid, const char *userid, GBytes *bytes,
     const guint64 *condition, guint64 *ret_generation, GError **error)
{
  g_auto (Change) change
      = { .store = store, .userid = userid, .bytes = bytes, .condition = condition };
  gboolean removes = g_bytes_get_size (bytes) == 0;

  if (!check_userid (userid,
                     removes ? xds_userdata_userid_readable (userid)
                             : xds_userdata_userid_valid (userid),
                     error)
      || !begin_change (&change, domid, !removes, error) || !check_condition (&change, error))
    return FALSE;
  if (removes)
    return remove_if_there (&change, ret_generation, error);
  return replace_data (&change, ret_generation, error);
}

gboolean
xds_userdata_store_put (XdsUserdataStore *store, guint domid, const char *userid, GBytes *bytes,
                        guint64 *ret_generation, GError **error)
{
  return put (store, domid, userid, bytes, NULL, ret_generation, error);
}

gboolean
xds_userdata_store_put_if (XdsUserdataStore *store, guint domid, const char *userid, GBytes *bytes,
                           guint64 generation, guint64 *ret_generation, GError **error)
{
  return put (store, domid, userid, bytes, &generation, ret_generation, error);
}

gboolean
xds_userdata_store_remove (XdsUserdataStore *store, guint domid, const char *userid, GError **error)
{
  g_auto (Change) change = { .store = store, .userid = userid };

  return check_readable (userid, error) && begin_change (&change, domid, FALSE, error)
         && remove_data (&change, error);
}

/* --- everything of a domain --- */

GPtrArray *
xds_userdata_names_of (XdsUserdataStore *store, guint domid, const char *uuid, GError **error)
{
  g_autoptr (GPtrArray) names = xds_userdata_names (store, NULL, error);
  XdsUserdataName name;

  if (names == NULL)
    return NULL;
  for (guint i = names->len; i > 0; i--)
    if (!name_is_of (names->pdata[i - 1], domid, uuid, &name))
      g_ptr_array_remove_index_fast (names, i - 1);
  return g_steal_pointer (&names);
}

gboolean
xds_userdata_remove_files (XdsUserdataStore *store, const GPtrArray *names, GError **error)
{
  g_autoptr (GError) first = NULL;

  for (guint i = 0; i < names->len; i++)
    {
      XdsUserdataName name;
      int rc;

      if (!xds_userdata_name_parse (names->pdata[i], &name) || name.letter == 'l')
        continue;
      rc = store->backend->unlink (store->backend, names->pdata[i]);
      if (rc < 0 && rc != -ENOENT)
        xds_userdata_set_errno (first == NULL ? &first : NULL, -rc, "Cannot remove",
                                names->pdata[i]);
    }
  if (first == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&first));
  return FALSE;
}

gboolean
xds_userdata_store_destroy_all (XdsUserdataStore *store, guint domid, GError **error)
{
  g_auto (Change) change = { .store = store };
  g_autoptr (GPtrArray) names = NULL;

  if (!begin_change (&change, domid, FALSE, error))
    return FALSE;
  names = xds_userdata_names_of (store, domid, change.domain.uuid, error);
  return names != NULL && xds_userdata_remove_files (store, names, error)
         && (!store->durable
             || xds_userdata_sync_folder (store->backend, change.domain.uuid, error));
}
