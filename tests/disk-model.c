/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The disk as a model: inodes with what was written and what was synced, names as they are and as
 * they were synced, and the changes of names in between.
 */

#include "tests/disk-model.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

typedef struct
{
  GByteArray *live;   /* (owned) */
  GByteArray *synced; /* (owned) (nullable): NULL before the first sync */
  guint64 ino;
  guint64 changed;
} Inode;

/* Name @name leads to @inode since then (NULL: to nothing), and @gone, if any, to nothing. */
typedef struct
{
  char *name;   /* (owned) */
  Inode *inode; /* (unowned) (nullable) */
  char *gone;   /* (owned) (nullable) */
} NameChange;

typedef struct
{
  Inode *inode; /* (unowned); NULL: free */
  gsize pos;
} Open;

struct XdsDiskModel
{
  GPtrArray *inodes;   /* (owned): never freed before the model */
  GHashTable *names;   /* (owned): name to Inode, as a running system sees it */
  GHashTable *durable; /* (owned): the same at the last sync of the folder */
  GArray *changes;     /* (owned) of NameChange, since then */
  GArray *files;       /* (owned) of Open; the index is the descriptor */
  guint64 time;
  void (*before) (gpointer data);
  gpointer data;
};

typedef struct
{
  XdsUserdataBackend base;
  XdsDiskModel *model; /* (unowned) */
} ModelBackend;

static void
inode_free (Inode *inode)
{
  g_byte_array_unref (inode->live);
  g_clear_pointer (&inode->synced, g_byte_array_unref);
  g_free (inode);
}

static void
name_change_clear (NameChange *change)
{
  g_free (change->name);
  g_free (change->gone);
}

XdsDiskModel *
xds_disk_model_new (void)
{
  XdsDiskModel *model = g_new0 (XdsDiskModel, 1);

  model->inodes = g_ptr_array_new_with_free_func ((GDestroyNotify) inode_free);
  model->names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  model->durable = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  model->changes = g_array_new (FALSE, FALSE, sizeof (NameChange));
  g_array_set_clear_func (model->changes, (GDestroyNotify) name_change_clear);
  model->files = g_array_new (FALSE, TRUE, sizeof (Open));
  return model;
}

void
xds_disk_model_free (XdsDiskModel *model)
{
  if (model == NULL)
    return;
  g_ptr_array_unref (model->inodes);
  g_hash_table_unref (model->names);
  g_hash_table_unref (model->durable);
  g_array_unref (model->changes);
  g_array_unref (model->files);
  g_free (model);
}

static Inode *
inode_new (XdsDiskModel *model)
{
  Inode *inode = g_new0 (Inode, 1);

  inode->live = g_byte_array_new ();
  inode->ino = model->inodes->len + 1;
  inode->changed = ++model->time;
  g_ptr_array_add (model->inodes, inode);
  return inode;
}

XdsDiskModel *
xds_disk_model_new_from (GHashTable *files)
{
  XdsDiskModel *model = xds_disk_model_new ();
  GHashTableIter iter;
  gpointer name, bytes;

  g_hash_table_iter_init (&iter, files);
  while (g_hash_table_iter_next (&iter, &name, &bytes))
    {
      Inode *inode = inode_new (model);

      g_byte_array_append (inode->live, g_bytes_get_data (bytes, NULL),
                           (guint) g_bytes_get_size (bytes));
      inode->synced = g_byte_array_ref (inode->live);
      g_hash_table_insert (model->names, g_strdup (name), inode);
      g_hash_table_insert (model->durable, g_strdup (name), inode);
    }
  return model;
}

void
xds_disk_model_set_hook (XdsDiskModel *model, void (*before) (gpointer data), gpointer data)
{
  model->before = before;
  model->data = data;
}

guint
xds_disk_model_count (XdsDiskModel *model)
{
  return g_hash_table_size (model->names);
}

/* --- what the disk could hold --- */

static void
apply (GHashTable *names, const NameChange *change)
{
  if (change->gone != NULL)
    g_hash_table_remove (names, change->gone);
  if (change->inode != NULL)
    g_hash_table_replace (names, g_strdup (change->name), change->inode);
  else
    g_hash_table_remove (names, change->name);
}

/* @damage: 0 all of it, 1 nothing, 2 half, 3 zeros; 4 what was last synced. */
#define DAMAGES 5

static GBytes *
content (const Inode *inode, guint damage)
{
  guint len = inode->live->len;
  g_autofree guint8 *zeros = g_malloc0 (len + 1);

  if (inode->synced != NULL && inode->synced->len == len
      && memcmp (inode->synced->data, inode->live->data, len) == 0)
    return g_bytes_new (inode->live->data, len);
  if (damage == 4 && inode->synced != NULL)
    return g_bytes_new (inode->synced->data, inode->synced->len);
  if (damage == 3)
    return g_bytes_new (zeros, len);
  return g_bytes_new (inode->live->data, damage == 0 ? len : damage == 1 ? 0 : len / 2);
}

static void
tell (GHashTable *names, guint damage, XdsDiskFunc func, gpointer data)
{
  g_autoptr (GHashTable) files
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_bytes_unref);
  GHashTableIter iter;
  gpointer name, inode;

  g_hash_table_iter_init (&iter, names);
  while (g_hash_table_iter_next (&iter, &name, &inode))
    g_hash_table_insert (files, g_strdup (name), content (inode, damage));
  func (files, data);
}

void
xds_disk_model_cut (XdsDiskModel *model, XdsDiskFunc func, gpointer data)
{
  g_assert_cmpuint (model->changes->len, <, 16);
  for (guint subset = 0; subset < 1u << model->changes->len; subset++)
    {
      g_autoptr (GHashTable) names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
      GHashTableIter iter;
      gpointer name, inode;

      g_hash_table_iter_init (&iter, model->durable);
      while (g_hash_table_iter_next (&iter, &name, &inode))
        g_hash_table_insert (names, g_strdup (name), inode);
      for (guint i = 0; i < model->changes->len; i++)
        if (subset & (1u << i))
          apply (names, &g_array_index (model->changes, NameChange, i));
      for (guint damage = 0; damage < DAMAGES; damage++)
        tell (names, damage, func, data);
    }
}

/* --- the backend --- */

static XdsDiskModel *
enter (XdsUserdataBackend *self)
{
  XdsDiskModel *model = ((ModelBackend *) self)->model;

  if (model->before != NULL)
    model->before (model->data);
  return model;
}

static void
change_name (XdsDiskModel *model, const char *name, Inode *inode, const char *gone)
{
  NameChange change = { g_strdup (name), inode, g_strdup (gone) };

  g_array_append_val (model->changes, change);
  apply (model->names, &change);
}

static int
model_open (XdsUserdataBackend *self, const char *name, int flags, guint mode G_GNUC_UNUSED)
{
  XdsDiskModel *model = enter (self);
  Inode *inode = g_hash_table_lookup (model->names, name);
  Open opened = { 0 };

  if (inode != NULL && (flags & O_EXCL))
    return -EEXIST;
  if (inode == NULL && !(flags & O_CREAT))
    return -ENOENT;
  if (inode == NULL)
    {
      inode = inode_new (model);
      change_name (model, name, inode, NULL);
    }
  opened.inode = inode;
  g_array_append_val (model->files, opened);
  return (int) model->files->len - 1;
}

static gssize
model_read (XdsUserdataBackend *self, int fd, void *room, gsize n)
{
  XdsDiskModel *model = enter (self);
  Open *opened = &g_array_index (model->files, Open, fd);
  gsize left = opened->inode->live->len - opened->pos;

  n = MIN (n, left);
  memcpy (room, opened->inode->live->data + opened->pos, n);
  opened->pos += n;
  return (gssize) n;
}

/* In small pieces, so that a power cut in between is met. */
static gssize
model_write (XdsUserdataBackend *self, int fd, const void *bytes, gsize n)
{
  XdsDiskModel *model = enter (self);
  Open *opened = &g_array_index (model->files, Open, fd);

  n = MIN (n, 5);
  g_byte_array_append (opened->inode->live, bytes, (guint) n);
  opened->inode->changed = ++model->time;
  return (gssize) n;
}

static int
model_sync (XdsUserdataBackend *self, int fd)
{
  XdsDiskModel *model = enter (self);
  Inode *inode = g_array_index (model->files, Open, fd).inode;

  g_clear_pointer (&inode->synced, g_byte_array_unref);
  inode->synced = g_byte_array_new ();
  g_byte_array_append (inode->synced, inode->live->data, inode->live->len);
  return 0;
}

static int
model_close (XdsUserdataBackend *self, int fd)
{
  XdsDiskModel *model = enter (self);

  g_array_index (model->files, Open, fd).inode = NULL;
  return 0;
}

static int
fill_stat (const Inode *inode, struct stat *ret_stat)
{
  if (inode == NULL)
    return -ENOENT;
  *ret_stat = (struct stat){ .st_mode = S_IFREG | 0600,
                             .st_ino = inode->ino,
                             .st_size = inode->live->len };
  ret_stat->st_mtim.tv_sec = (time_t) inode->changed;
  return 0;
}

static int
model_stat_fd (XdsUserdataBackend *self, int fd, struct stat *ret_stat)
{
  return fill_stat (g_array_index (enter (self)->files, Open, fd).inode, ret_stat);
}

static int
model_stat (XdsUserdataBackend *self, const char *name, struct stat *ret_stat)
{
  return fill_stat (g_hash_table_lookup (enter (self)->names, name), ret_stat);
}

static int
model_try_lock (XdsUserdataBackend *self, int fd G_GNUC_UNUSED)
{
  enter (self);
  return 0;
}

static int
model_rename (XdsUserdataBackend *self, const char *from, const char *to)
{
  XdsDiskModel *model = enter (self);
  Inode *inode = g_hash_table_lookup (model->names, from);

  if (inode == NULL)
    return -ENOENT;
  change_name (model, to, inode, from);
  return 0;
}

static int
model_link (XdsUserdataBackend *self, const char *from, const char *to)
{
  XdsDiskModel *model = enter (self);
  Inode *inode = g_hash_table_lookup (model->names, from);

  if (inode == NULL || g_hash_table_contains (model->names, to))
    return inode == NULL ? -ENOENT : -EEXIST;
  change_name (model, to, inode, NULL);
  return 0;
}

static int
model_unlink (XdsUserdataBackend *self, const char *name)
{
  XdsDiskModel *model = enter (self);

  if (!g_hash_table_contains (model->names, name))
    return -ENOENT;
  change_name (model, name, NULL, NULL);
  return 0;
}

static int
model_make_folder (XdsUserdataBackend *self, const char *name G_GNUC_UNUSED)
{
  enter (self);
  return 0;
}

/* Subfolders are not modelled. */
static int
model_list (XdsUserdataBackend *self, const char *sub, GPtrArray *names)
{
  XdsDiskModel *model = enter (self);
  GHashTableIter iter;
  gpointer name;

  if (sub != NULL)
    return -ENOENT;
  g_hash_table_iter_init (&iter, model->names);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    g_ptr_array_add (names, g_strdup (name));
  return 0;
}

static int
model_sync_folder (XdsUserdataBackend *self)
{
  XdsDiskModel *model = enter (self);

  for (guint i = 0; i < model->changes->len; i++)
    apply (model->durable, &g_array_index (model->changes, NameChange, i));
  g_array_set_size (model->changes, 0);
  return 0;
}

/* Files are all from long ago. */
static gint64
model_clock (XdsUserdataBackend *self G_GNUC_UNUSED, XdsClock which)
{
  return which == XDS_CLOCK_MONOTONIC ? 1000 : g_get_real_time ();
}

static void
model_pause (XdsUserdataBackend *self G_GNUC_UNUSED, gint64 usec G_GNUC_UNUSED)
{
  g_assert_not_reached ();
}

static const char *
model_boot_id (XdsUserdataBackend *self G_GNUC_UNUSED)
{
  return "33333333-3333-4333-8333-333333333333";
}

static void
model_free (XdsUserdataBackend *self)
{
  XdsDiskModel *model = ((ModelBackend *) self)->model;

  for (guint i = 0; i < model->files->len; i++)
    g_assert_null (g_array_index (model->files, Open, i).inode);
  g_free (self);
}

static const XdsUserdataBackend model_backend = {
  .open = model_open,
  .read = model_read,
  .write = model_write,
  .sync = model_sync,
  .close = model_close,
  .stat_fd = model_stat_fd,
  .stat = model_stat,
  .try_lock = model_try_lock,
  .rename = model_rename,
  .link = model_link,
  .unlink = model_unlink,
  .make_folder = model_make_folder,
  .list = model_list,
  .sync_folder = model_sync_folder,
  .clock = model_clock,
  .pause = model_pause,
  .boot_id = model_boot_id,
  .free = model_free,
};

XdsUserdataBackend *
xds_disk_model_backend (XdsDiskModel *model)
{
  ModelBackend *backend = g_new0 (ModelBackend, 1);

  backend->base = model_backend;
  backend->model = model;
  return &backend->base;
}
