/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * From a change to the events of those who watch it.  An event walks the tree of watched names
 * along its path: cost is its depth and the watches that match, whatever others there are.
 *
 * At one point watches fire in the order of their setting, outer points before inner ones.
 */

#include "xsd/core/state.h"

#include <stdio.h>
#include <string.h>

/* What decides who may learn of a change: readable now, or its parent, or as it was before. */
typedef struct
{
  const XdsAcl *acl, *parent_acl, *old_acl; /* (nullable); without any, privileged peers only */
} Audience;

static gboolean
may_read (const XdsPeer *peer, const XdsAcl *acl)
{
  return acl != NULL
         && (xds_acl_access (acl, xds_peer_actor (peer), xds_peer_target (peer)) & XDS_PERM_READ);
}

static gboolean
may_know (const XdsPeer *peer, const Audience *audience)
{
  return peer->privileged || may_read (peer, audience->acl) || may_read (peer, audience->parent_acl)
         || may_read (peer, audience->old_acl);
}

static void
tell (XdsWatch *watch, const char *path, gsize len, const Audience *audience)
{
  XdsPeer *peer = watch->owner;

  if (may_know (peer, audience))
    xds_peer_event (peer, path + watch->skip, len - watch->skip, watch);
}

/* The watches at @point, the change being @distance levels below it. */
static void
fire_point (const XdsPoint *point, guint distance, const char *path, gsize len,
            const Audience *audience)
{
  for (XdsWatch *watch = point->first; watch != NULL; watch = watch->next)
    if (watch->depth == XDS_WATCH_ANY_DEPTH || distance <= (guint) watch->depth)
      tell (watch, path, len, audience);
}

static void
fire_along (XdsEngine *engine, const char *path, gsize len, const Audience *audience)
{
  gboolean special = path[0] == '@';
  XdsPoint *point = special ? engine->watches.special : engine->watches.root;
  guint distance = xds_path_depth (path, len) + (special ? 1 : 0);
  gsize pos = special ? 0 : 1, name_len;
  const char *name;

  fire_point (point, distance, path, len, audience);
  while (xds_path_next (path, len, &pos, &name, &name_len))
    {
      point = xds_point_child (point, name, name_len);
      if (point == NULL)
        return;
      fire_point (point, --distance, path, len, audience);
    }
}

static gboolean
nobody_watches (const XdsEngine *engine)
{
  return engine->statistics.watches == 0;
}

void
xds_fire_node (XdsEngine *engine, const XdsNode *node, const XdsAcl *old_acl)
{
  Audience audience = { node->acl, node->parent != NULL ? node->parent->acl : NULL, old_acl };
  char path[XDS_PATH_BUF];
  gsize len;

  if (nobody_watches (engine))
    return;
  len = xds_node_path (node, path, sizeof path);
  fire_along (engine, path, len, &audience);
}

static int
by_name (gconstpointer a, gconstpointer b)
{
  const XdsPoint *x = *(XdsPoint *const *) a, *y = *(XdsPoint *const *) b;
  int order = memcmp (x->name, y->name, MIN (x->name_len, y->name_len));

  return order != 0 ? order : (int) x->name_len - (int) y->name_len;
}

/* As deep as a path that somebody watches has names, and in an order that each engine has. */
static void
fire_points_below (const XdsPoint *point, char *path, gsize len, const Audience *audience)
{
  g_autoptr (GPtrArray) points = NULL;
  GHashTableIter iter;
  gpointer child;

  if (point->children == NULL)
    return;
  points = g_ptr_array_new ();
  g_hash_table_iter_init (&iter, point->children);
  while (g_hash_table_iter_next (&iter, &child, NULL))
    g_ptr_array_add (points, child);
  g_ptr_array_sort (points, by_name);
  for (guint i = 0; i < points->len; i++)
    {
      XdsPoint *below = points->pdata[i];
      gsize end = len + 1 + below->name_len;

      path[len] = '/';
      memcpy (path + len + 1, below->name, below->name_len);
      path[end] = '\0';
      fire_point (below, 0, path, end, audience);
      fire_points_below (below, path, end, audience);
    }
}

void
xds_fire_path (XdsEngine *engine, const char *path, gboolean below)
{
  static const Audience privileged;
  gsize len = strlen (path);
  XdsPoint *point = below ? xds_watches_point (&engine->watches, path, len) : NULL;
  char longer[XDS_PATH_BUF];

  fire_along (engine, path, len, &privileged);
  if (point == NULL)
    return;
  memcpy (longer, path, len);
  fire_points_below (point, longer, len, &privileged);
}

/* --- removal --- */

typedef struct
{
  XdsNode *node;
  XdsPoint *point;
} Pair;

static int
by_seq (gconstpointer a, gconstpointer b)
{
  const Pair *x = a, *y = b;

  return x->node->seq < y->node->seq ? -1 : x->node->seq > y->node->seq;
}

/* The children of @node that somebody watches at or below, in order. */
static GArray *
watched_children (const XdsNode *node, const XdsPoint *point)
{
  GArray *pairs = g_array_new (FALSE, FALSE, sizeof (Pair));
  GHashTableIter iter;
  gpointer key;

  g_hash_table_iter_init (&iter, point->children);
  while (g_hash_table_iter_next (&iter, &key, NULL))
    {
      XdsPoint *below = key;
      Pair pair = { xds_dir_find (node, below->name, below->name_len, below->hash), below };

      if (pair.node != NULL)
        g_array_append_val (pairs, pair);
    }
  g_array_sort (pairs, by_seq);
  return pairs;
}

/*
 * Those below @node first, each to the watches on just its path.  Recursion is as deep as a path
 * that somebody watches has names, which the length of a path bounds.
 */
static void
fire_below (const XdsNode *node, const XdsPoint *point, char *path, gsize len)
{
  g_autoptr (GArray) pairs = NULL;

  if (node->dir == NULL || point->children == NULL)
    return;
  pairs = watched_children (node, point);
  for (guint i = 0; i < pairs->len; i++)
    {
      const Pair *pair = &g_array_index (pairs, Pair, i);
      Audience audience = { pair->node->acl, node->acl, NULL };
      gsize below = len;

      path[below++] = '/';
      memcpy (path + below, pair->node->blob, pair->node->name_len);
      below += pair->node->name_len;
      fire_below (pair->node, pair->point, path, below);
      path[below] = '\0';
      fire_point (pair->point, 0, path, below, &audience);
    }
}

void
xds_fire_removal (XdsEngine *engine, XdsNode *root, gboolean replaced)
{
  char path[XDS_PATH_BUF];
  XdsPoint *point;
  gsize len;

  if (nobody_watches (engine))
    return;
  len = xds_node_path (root, path, sizeof path);
  point = xds_watches_point (&engine->watches, path, len);
  if (point != NULL)
    fire_below (root, point, path, len);
  if (!replaced)
    xds_fire_node (engine, root, NULL);
}

/* --- domains --- */

void
xds_fire_domain (XdsEngine *engine, const char *special, guint domid, gboolean generic,
                 gboolean per_domain)
{
  XdsPoint *point = xds_watches_point (&engine->watches, special, strlen (special));
  XdsNode *node = xds_store_find (&engine->store, special, strlen (special), NULL, NULL);
  Audience audience = { node->acl, NULL, NULL };
  char path[64];
  gsize len = snprintf (path, sizeof path, "%s/%u", special, domid);
  const char *id = path + strlen (special) + 1;
  XdsPoint *one;

  if (point == NULL)
    return;
  for (XdsWatch *watch = point->first; watch != NULL; watch = watch->next)
    if (watch->depth == XDS_WATCH_ANY_DEPTH && generic)
      tell (watch, special, strlen (special), &audience);
    else if (watch->depth >= 1 && per_domain)
      tell (watch, path, len, &audience);
  one = per_domain ? xds_point_child (point, id, strlen (id)) : NULL;
  for (XdsWatch *watch = one != NULL ? one->first : NULL; watch != NULL; watch = watch->next)
    tell (watch, path, len, &audience);
}
