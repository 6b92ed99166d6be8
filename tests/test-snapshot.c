/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Snapshots of the store against full copies of it: what a snapshot shows after any changes is what
 * a copy made at its moment holds, and it calls a thing changed exactly when it was written since.
 */

#include "xsd/core/store.h"

#include <glib.h>
#include <string.h>

#define N_SNAPSHOTS 4

/* A copy: path -> "value|permissions", and path + "/" -> its listing. */
typedef struct
{
  XdsSnapshot snapshot;
  gboolean taken;
  GHashTable *copy;
  GHashTable *written; /* set of "v" path, "a" path, "n" path, "l" path */
} Moment;

typedef struct
{
  XdsQuotas quotas;
  XdsStore store;
  Moment moments[N_SNAPSHOTS];
} World;

static void
world_init (World *w)
{
  memset (w, 0, sizeof *w);
  xds_quotas_init (&w->quotas);
  xds_store_init (&w->store, &w->quotas);
}

static void
moment_drop (Moment *m)
{
  if (!m->taken)
    return;
  xds_snapshot_release (&m->snapshot);
  g_hash_table_unref (m->copy);
  g_hash_table_unref (m->written);
  m->taken = FALSE;
}

static void
world_clear (World *w)
{
  for (guint i = 0; i < N_SNAPSHOTS; i++)
    moment_drop (&w->moments[i]);
  xds_store_clear (&w->store);
  xds_quotas_clear (&w->quotas);
}

static void
append_state (GString *text, const guint8 *value, gsize len, const XdsAcl *acl)
{
  g_string_append_len (text, (const char *) value, len);
  for (guint i = 0; i < acl->n; i++)
    g_string_append_printf (text, "|%u.%u", acl->perms[i].domid, acl->perms[i].access);
}

static void
copy_visit (XdsNode *node, void *data)
{
  GHashTable *copy = data;
  char path[XDS_PATH_BUF];
  GString *state = g_string_new (NULL), *list = g_string_new (NULL);

  xds_node_path (node, path, sizeof path);
  append_state (state, xds_node_value (node), node->value_len, node->acl);
  for (guint i = 0; node->dir != NULL && i < node->dir->n_entries; i++)
    if (node->dir->entries[i] != NULL)
      {
        g_string_append_len (list, xds_node_name (node->dir->entries[i]),
                             node->dir->entries[i]->name_len);
        g_string_append_c (list, ' ');
      }
  g_hash_table_insert (copy, g_strdup (path), g_string_free (state, FALSE));
  g_hash_table_insert (copy, g_strconcat (path, "/", NULL), g_string_free (list, FALSE));
}

static void
moment_take (World *w, Moment *m)
{
  moment_drop (m);
  xds_snapshot_take (&w->store.history, &m->snapshot);
  m->taken = TRUE;
  m->copy = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  m->written = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  xds_node_walk (w->store.root, copy_visit, m->copy);
}

static void
note_written (World *w, char kind, const char *path)
{
  for (guint i = 0; i < N_SNAPSHOTS; i++)
    if (w->moments[i].taken)
      g_hash_table_add (w->moments[i].written, g_strdup_printf ("%c%s", kind, path));
}

static gboolean
was_written (Moment *m, char kind, const char *path)
{
  g_autofree char *key = g_strdup_printf ("%c%s", kind, path);

  return g_hash_table_contains (m->written, key);
}

/* @gone: the node was removed since, so what was written under its path may be another's. */
static void
compare_node (Moment *m, XdsNode *node, const char *path, gboolean gone, guint *count)
{
  g_autoptr (GPtrArray) children = xds_snapshot_children (&m->snapshot, node);
  g_autoptr (GString) state = g_string_new (NULL), list = g_string_new (NULL);
  g_autofree char *list_key = g_strconcat (path, "/", NULL);
  const guint8 *value;
  gsize len;

  value = xds_snapshot_value (&m->snapshot, node, &len);
  append_state (state, value, len, xds_snapshot_acl (&m->snapshot, node));
  g_assert_cmpstr (state->str, ==, g_hash_table_lookup (m->copy, path));
  if (!gone)
    g_assert_cmpint (xds_snapshot_list_changed (&m->snapshot, node), ==,
                     was_written (m, 'l', path));
  for (guint i = 0; i < children->len; i++)
    {
      XdsNode *child = children->pdata[i];
      g_autofree char *name = g_strndup (xds_node_name (child), child->name_len);
      g_autofree char *below = g_strconcat (path[1] != '\0' ? path : "", "/", name, NULL);

      g_string_append_printf (list, "%s ", name);
      g_assert_true (xds_snapshot_child (&m->snapshot, node, name, strlen (name)) == child);
      if (!gone)
        g_assert_cmpint (xds_snapshot_child_changed (&m->snapshot, node, name, strlen (name)), ==,
                         was_written (m, 'n', below));
      compare_node (m, child, below, gone || was_written (m, 'n', below), count);
    }
  g_assert_cmpstr (list->str, ==, g_hash_table_lookup (m->copy, list_key));
  *count += 2;
}

static void
compare (World *w, Moment *m)
{
  guint count = 0;

  if (!m->taken)
    return;
  compare_node (m, w->store.root, "/", FALSE, &count);
  g_assert_cmpuint (count, ==, g_hash_table_size (m->copy));
}

static XdsNode *
random_node (World *w)
{
  XdsNode *node = w->store.root;

  while (node->dir != NULL && g_test_rand_bit ())
    {
      XdsNode *child = node->dir->entries[g_test_rand_int_range (0, node->dir->n_entries)];

      node = child != NULL ? child : node;
    }
  return node;
}

static void
random_create (World *w, XdsNode *node)
{
  char name[8], path[XDS_PATH_BUF];
  g_autofree char *below = NULL;
  gsize len;

  g_snprintf (name, sizeof name, "c%d", g_test_rand_int_range (0, 12));
  len = strlen (name);
  xds_node_path (node, path, sizeof path);
  if (strlen (path) > 30 || xds_dir_find (node, name, len, xds_name_hash (name, len)) != NULL)
    return;
  xds_store_create (&w->store, node, name, len, node->acl, "new", 3);
  below = g_strconcat (path[1] != '\0' ? path : "", "/", name, NULL);
  note_written (w, 'n', below);
  note_written (w, 'l', path);
}

static void
random_remove (World *w, XdsNode *node)
{
  char path[XDS_PATH_BUF], parent[XDS_PATH_BUF];

  if (node->parent == NULL)
    return;
  xds_node_path (node, path, sizeof path);
  xds_node_path (node->parent, parent, sizeof parent);
  note_written (w, 'n', path);
  note_written (w, 'l', parent);
  xds_store_remove (&w->store, node);
}

static void
random_set_acl (World *w, XdsNode *node)
{
  const XdsPerm perms[] = { { g_test_rand_int_range (0, 3), g_test_rand_int_range (0, 4) } };
  XdsAcl *acl = xds_acl_get (&w->store.acls, perms, 1);

  xds_store_set_acl (&w->store, node, acl);
  xds_acl_unref (&w->store.acls, acl);
}

static void
random_step (World *w)
{
  XdsNode *node = random_node (w);
  char value[16];

  switch (g_test_rand_int_range (0, 10))
    {
    case 0:
      moment_take (w, &w->moments[g_test_rand_int_range (0, N_SNAPSHOTS)]);
      break;
    case 1:
      moment_drop (&w->moments[g_test_rand_int_range (0, N_SNAPSHOTS)]);
      break;
    case 2:
      random_remove (w, node);
      break;
    case 3:
      random_set_acl (w, node);
      break;
    case 4:
    case 5:
      g_snprintf (value, sizeof value, "%d", g_test_rand_int ());
      xds_store_set_value (&w->store, node, value, strlen (value));
      break;
    default:
      random_create (w, node);
    }
}

/* Whatever changes, each of several snapshots shows its own moment, and nothing is left behind when
   they are gone. */
static void
test_random (void)
{
  guint n = g_test_thorough () || g_getenv ("XDS_TEST_LONG") != NULL ? 200000 : 4000;
  World w;

  world_init (&w);
  for (guint i = 0; i < n; i++)
    {
      random_step (&w);
      if (i % 16 == 0)
        for (guint k = 0; k < N_SNAPSHOTS; k++)
          compare (&w, &w.moments[k]);
    }
  world_clear (&w);
}

/* Without a snapshot nothing is put aside, however much changes. */
static void
test_no_snapshot (void)
{
  World w;

  world_init (&w);
  for (guint i = 0; i < 1000; i++)
    random_step (&w);
  for (guint i = 0; i < N_SNAPSHOTS; i++)
    moment_drop (&w.moments[i]);
  g_assert_cmpuint (g_hash_table_size (w.store.history.things), ==, 0);
  for (guint i = 0; i < 100; i++)
    random_create (&w, w.store.root);
  g_assert_cmpuint (g_hash_table_size (w.store.history.things), ==, 0);
  world_clear (&w);
}

/* A value that changes a thousand times under a snapshot is kept once. */
static void
test_bounded (void)
{
  XdsSnapshot snapshot;
  XdsNode *node;
  World w;

  world_init (&w);
  node = xds_store_find (&w.store, "/tool", 5, NULL, NULL);
  xds_snapshot_take (&w.store.history, &snapshot);
  for (guint i = 0; i < 1000; i++)
    xds_store_set_value (&w.store, node, &i, sizeof i);
  g_assert_cmpuint (g_hash_table_size (w.store.history.things), ==, 1);
  g_assert_cmpuint (snapshot.bytes, <, 256);
  xds_snapshot_release (&snapshot);
  world_clear (&w);
}

/* A child made and removed again and again under a snapshot does not pile up. */
static void
test_churn (void)
{
  XdsSnapshot snapshot;
  World w;

  world_init (&w);
  xds_snapshot_take (&w.store.history, &snapshot);
  for (guint i = 0; i < 1000; i++)
    xds_store_remove (&w.store, xds_store_create (&w.store, w.store.root, "x", 1,
                                                  w.store.root->acl, "1", 1));
  g_assert_cmpuint (g_hash_table_size (w.store.history.things), ==, 1);
  g_assert_cmpuint (snapshot.bytes, <, 256);
  xds_snapshot_release (&snapshot);
  world_clear (&w);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/snapshot/random", test_random);
  g_test_add_func ("/snapshot/none", test_no_snapshot);
  g_test_add_func ("/snapshot/bounded", test_bounded);
  g_test_add_func ("/snapshot/churn", test_churn);
  return g_test_run ();
}
