/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The folder of userdata of a test.  The backend is the system's, so that what is proved is proved
 * of real files and real locks; each call passes a gate that may refuse it.
 */

#include "tests/userdata-world.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

typedef struct
{
  XdsUserdataBackend base;
  XdsUserdataBackend *real; /* (owned) */
  XdsUserdataWorld *world;  /* (unowned) */
} GatedBackend;

#define REAL(self) (((GatedBackend *) (self))->real)

static int
gate (XdsUserdataBackend *self, const char *call, const char *name)
{
  XdsUserdataWorld *world = ((GatedBackend *) self)->world;

  return world->fault != NULL ? world->fault (call, name, world->fault_data) : 0;
}

#define GATED(call, name, forward)                                                                 \
  int rc = gate (self, call, name);                                                                \
  return rc < 0 ? rc : (forward)

static int
gated_open (XdsUserdataBackend *self, const char *name, int flags, guint mode)
{
  GATED ("open", name, REAL (self)->open (REAL (self), name, flags, mode));
}

static gssize
gated_read (XdsUserdataBackend *self, int fd, void *room, gsize n)
{
  GATED ("read", "", REAL (self)->read (REAL (self), fd, room, n));
}

/* In small pieces, so that a cut in the middle of writing is met. */
static gssize
gated_write (XdsUserdataBackend *self, int fd, const void *bytes, gsize n)
{
  GATED ("write", "", REAL (self)->write (REAL (self), fd, bytes, MIN (n, 4096)));
}

static int
gated_sync (XdsUserdataBackend *self, int fd)
{
  GATED ("sync", "", REAL (self)->sync (REAL (self), fd));
}

static int
gated_close (XdsUserdataBackend *self, int fd)
{
  int rc = gate (self, "close", "");
  int closed = REAL (self)->close (REAL (self), fd);

  return rc < 0 ? rc : closed;
}

static int
gated_stat_fd (XdsUserdataBackend *self, int fd, struct stat *ret_stat)
{
  GATED ("stat_fd", "", REAL (self)->stat_fd (REAL (self), fd, ret_stat));
}

static int
gated_stat (XdsUserdataBackend *self, const char *name, struct stat *ret_stat)
{
  GATED ("stat", name, REAL (self)->stat (REAL (self), name, ret_stat));
}

static int
gated_try_lock (XdsUserdataBackend *self, int fd)
{
  GATED ("try_lock", "", REAL (self)->try_lock (REAL (self), fd));
}

static int
gated_rename (XdsUserdataBackend *self, const char *from, const char *to)
{
  GATED ("rename", to, REAL (self)->rename (REAL (self), from, to));
}

static int
gated_link (XdsUserdataBackend *self, const char *from, const char *to)
{
  GATED ("link", to, REAL (self)->link (REAL (self), from, to));
}

static int
gated_unlink (XdsUserdataBackend *self, const char *name)
{
  GATED ("unlink", name, REAL (self)->unlink (REAL (self), name));
}

static int
gated_make_folder (XdsUserdataBackend *self, const char *name)
{
  GATED ("make_folder", name, REAL (self)->make_folder (REAL (self), name));
}

static int
gated_list (XdsUserdataBackend *self, const char *sub, GPtrArray *names)
{
  GATED ("list", sub != NULL ? sub : "", REAL (self)->list (REAL (self), sub, names));
}

static int
gated_sync_folder (XdsUserdataBackend *self)
{
  GATED ("sync_folder", "", REAL (self)->sync_folder (REAL (self)));
}

static gint64
gated_clock (XdsUserdataBackend *self, XdsClock which)
{
  if (which == XDS_CLOCK_BOOT)
    return ((GatedBackend *) self)->world->booted;
  return REAL (self)->clock (REAL (self), which);
}

static void
gated_pause (XdsUserdataBackend *self, gint64 usec)
{
  gate (self, "pause", "");
  REAL (self)->pause (REAL (self), usec);
}

static const char *
gated_boot_id (XdsUserdataBackend *self)
{
  return ((GatedBackend *) self)->world->boot_id;
}

static void
gated_free (XdsUserdataBackend *self)
{
  xds_userdata_backend_free (REAL (self));
  g_free (self);
}

static const XdsUserdataBackend gated_backend = {
  .open = gated_open,
  .read = gated_read,
  .write = gated_write,
  .sync = gated_sync,
  .close = gated_close,
  .stat_fd = gated_stat_fd,
  .stat = gated_stat,
  .try_lock = gated_try_lock,
  .rename = gated_rename,
  .link = gated_link,
  .unlink = gated_unlink,
  .make_folder = gated_make_folder,
  .list = gated_list,
  .sync_folder = gated_sync_folder,
  .clock = gated_clock,
  .pause = gated_pause,
  .boot_id = gated_boot_id,
  .free = gated_free,
};

/* --- domains --- */

const char *
xds_test_uuid (guint n)
{
  static char room[4][XDS_USERDATA_UUID_SIZE];
  static guint next;
  char *uuid = room[next++ % G_N_ELEMENTS (room)];

  g_snprintf (uuid, XDS_USERDATA_UUID_SIZE, "5a1ad000-0000-4000-8000-%012u", n);
  return uuid;
}

static gboolean
ask_one (gpointer data, guint domid, XdsUserdataDomain *ret_domain, GError **error)
{
  XdsUserdataWorld *world = data;
  const XdsUserdataDomain *domain;

  world->asked++;
  if (world->on_ask != NULL)
    world->on_ask (world, domid);
  domain = g_hash_table_lookup (world->domains, GUINT_TO_POINTER (domid));
  if (world->down)
    g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_FAILED, "no answer");
  else if (domain == NULL)
    g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_NO_DOMAIN, "no domain %u", domid);
  else
    {
      *ret_domain = *domain;
      return TRUE;
    }
  return FALSE;
}

static GArray *
ask_all (gpointer data, GError **error)
{
  XdsUserdataWorld *world = data;
  GArray *domains;
  GHashTableIter iter;
  gpointer domain;

  world->listed++;
  if (world->down)
    {
      g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_FAILED, "no answer");
      return NULL;
    }
  domains = g_array_new (FALSE, FALSE, sizeof (XdsUserdataDomain));
  g_hash_table_iter_init (&iter, world->domains);
  while (g_hash_table_iter_next (&iter, NULL, &domain))
    g_array_append_vals (domains, domain, 1);
  return domains;
}

XdsUserdataDomain *
xds_userdata_world_add (XdsUserdataWorld *world, guint domid, guint uuid)
{
  XdsUserdataDomain *domain = g_new0 (XdsUserdataDomain, 1);

  domain->domid = domid;
  g_strlcpy (domain->uuid, xds_test_uuid (uuid), sizeof domain->uuid);
  g_hash_table_replace (world->domains, GUINT_TO_POINTER (domid), domain);
  return domain;
}

void
xds_userdata_world_kill (XdsUserdataWorld *world, guint domid)
{
  g_assert_true (g_hash_table_remove (world->domains, GUINT_TO_POINTER (domid)));
}

/* --- life --- */

static guint
count_fds (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/fd", 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir) != NULL)
    n++;
  return n;
}

XdsUserdataStore *
xds_userdata_world_other_store (XdsUserdataWorld *world)
{
  g_autoptr (GError) error = NULL;
  XdsUserdataHypervisor hypervisor = { .one = ask_one, .all = ask_all, .data = world };
  GatedBackend *backend = g_new0 (GatedBackend, 1);

  backend->base = gated_backend;
  backend->world = world;
  backend->real = xds_userdata_backend_system_new (world->folder, &error);
  g_assert_no_error (error);
  return xds_userdata_store_new_with_backend (&backend->base, world->folder, &hypervisor);
}

XdsUserdataWorld *
xds_userdata_world_new (void)
{
  XdsUserdataWorld *world = g_new0 (XdsUserdataWorld, 1);
  g_autoptr (GError) error = NULL;

  world->fds = count_fds ();
  world->folder = g_dir_make_tmp ("xds-userdata-XXXXXX", &error);
  g_assert_no_error (error);
  world->domains = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  world->boot_id = "11111111-1111-4111-8111-111111111111";
  world->booted = g_get_real_time () - (gint64) 3600 * G_USEC_PER_SEC;
  world->store = xds_userdata_world_other_store (world);
  return world;
}

static void
remove_tree (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *child = g_build_filename (path, name, NULL);

      if (g_file_test (child, G_FILE_TEST_IS_DIR) && !g_file_test (child, G_FILE_TEST_IS_SYMLINK))
        remove_tree (child);
      else
        g_assert_cmpint (g_unlink (child), ==, 0);
    }
  g_assert_cmpint (g_rmdir (path), ==, 0);
}

void
xds_userdata_world_free (XdsUserdataWorld *world)
{
  if (world == NULL)
    return;
  xds_userdata_store_free (world->store);
  if (g_file_test (world->folder, G_FILE_TEST_IS_DIR))
    remove_tree (world->folder);
  g_hash_table_unref (world->domains);
  g_assert_cmpuint (count_fds (), ==, world->fds);
  g_free (world->folder);
  g_free (world);
}

/* --- files --- */

void
xds_userdata_world_write (XdsUserdataWorld *world, const char *name, const char *text)
{
  g_autofree char *path = g_build_filename (world->folder, name, NULL);
  g_autoptr (GError) error = NULL;

  g_file_set_contents_full (path, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, &error);
  g_assert_no_error (error);
}

char *
xds_userdata_world_read (XdsUserdataWorld *world, const char *name)
{
  g_autofree char *path = g_build_filename (world->folder, name, NULL);
  char *text = NULL;

  return g_file_get_contents (path, &text, NULL, NULL) ? text : NULL;
}

gboolean
xds_userdata_world_has (XdsUserdataWorld *world, const char *name)
{
  g_autofree char *path = g_build_filename (world->folder, name, NULL);
  GStatBuf st;

  return g_lstat (path, &st) == 0;
}

gint
xds_test_compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

char *
xds_userdata_world_ls (XdsUserdataWorld *world)
{
  g_autoptr (GDir) dir = g_dir_open (world->folder, 0, NULL);
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  const char *name;

  while ((name = g_dir_read_name (dir)) != NULL)
    if (strcmp (name, "userdata-m.boot") != 0)
      g_ptr_array_add (names, g_strdup (name));
  g_ptr_array_sort (names, xds_test_compare_names);
  g_ptr_array_add (names, NULL);
  return g_strjoinv (" ", (char **) names->pdata);
}

guint64
xds_userdata_world_put (XdsUserdataWorld *world, guint domid, const char *userid, const char *text)
{
  g_autoptr (GBytes) bytes = g_bytes_new (text, strlen (text));
  g_autoptr (GError) error = NULL;
  guint64 generation = 0;

  xds_userdata_store_put (world->store, domid, userid, bytes, &generation, &error);
  g_assert_no_error (error);
  return generation;
}

char *
xds_userdata_world_get (XdsUserdataWorld *world, guint domid, const char *userid)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = xds_userdata_store_get (world->store, domid, userid, NULL, &error);

  if (g_error_matches (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_ABSENT))
    return NULL;
  g_assert_no_error (error);
  return g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
}
