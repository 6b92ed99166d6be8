/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Points exist only while something is watched at or below them, so the tree is as large as the
 * watches are, and an event of an unwatched path ends at the first missing name.
 */

#include "xsd/core/watch.h"
#include "xsd/core/node.h"
#include "xsd/wire/path.h"

#include <string.h>

static guint
point_hash (gconstpointer key)
{
  return ((const XdsPoint *) key)->hash;
}

static gboolean
point_equal (gconstpointer a, gconstpointer b)
{
  const XdsPoint *x = a, *y = b;

  return x->name_len == y->name_len && memcmp (x->name, y->name, x->name_len) == 0;
}

static guint
watch_hash (gconstpointer key)
{
  const XdsWatch *watch = key;

  return g_direct_hash (watch->owner) * 31 + g_direct_hash (watch->point)
         + xds_name_hash (watch->token, watch->token_len);
}

static gboolean
watch_equal (gconstpointer a, gconstpointer b)
{
  const XdsWatch *x = a, *y = b;

  return x->owner == y->owner && x->point == y->point && x->token_len == y->token_len
         && memcmp (x->token, y->token, x->token_len) == 0;
}

static XdsPoint *
point_new (XdsPoint *parent, const char *name, gsize len)
{
  XdsPoint *point = g_malloc0 (sizeof (XdsPoint) + len);

  point->parent = parent;
  point->hash = xds_name_hash (name, len);
  point->name_len = len;
  point->name = memcpy (point + 1, name, len);
  if (parent == NULL)
    return point;
  if (parent->children == NULL)
    parent->children = g_hash_table_new (point_hash, point_equal);
  g_hash_table_add (parent->children, point);
  return point;
}

void
xds_watches_init (XdsWatches *watches)
{
  watches->root = point_new (NULL, "", 0);
  watches->special = point_new (NULL, "@", 1);
  watches->watches = g_hash_table_new (watch_hash, watch_equal);
}

void
xds_watches_clear (XdsWatches *watches)
{
  g_assert (g_hash_table_size (watches->watches) == 0);
  g_assert (watches->root->children == NULL);
  g_assert (watches->special->children == NULL);
  g_clear_pointer (&watches->root, g_free);
  g_clear_pointer (&watches->special, g_free);
  g_clear_pointer (&watches->watches, g_hash_table_unref);
}

XdsPoint *
xds_point_child (XdsPoint *point, const char *name, gsize len)
{
  const XdsPoint probe = { .hash = xds_name_hash (name, len), .name = name, .name_len = len };

  return point->children != NULL ? g_hash_table_lookup (point->children, &probe) : NULL;
}

static XdsPoint *
top_point (XdsWatches *watches, const char *path, gsize *ret_pos)
{
  *ret_pos = path[0] == '@' ? 0 : 1;
  return path[0] == '@' ? watches->special : watches->root;
}

XdsPoint *
xds_watches_point (XdsWatches *watches, const char *path, gsize len)
{
  gsize pos, name_len;
  XdsPoint *point = top_point (watches, path, &pos);
  const char *name;

  while (point != NULL && xds_path_next (path, len, &pos, &name, &name_len))
    point = xds_point_child (point, name, name_len);
  return point;
}

static XdsPoint *
make_point (XdsWatches *watches, const char *path, gsize len)
{
  gsize pos, name_len;
  XdsPoint *point = top_point (watches, path, &pos), *child;
  const char *name;

  while (xds_path_next (path, len, &pos, &name, &name_len))
    {
      child = xds_point_child (point, name, name_len);
      point = child != NULL ? child : point_new (point, name, name_len);
    }
  return point;
}

/* Drops @point and what is above it, as far as nothing is watched there. */
static void
drop_point (XdsPoint *point)
{
  while (point->parent != NULL && point->first == NULL && point->children == NULL)
    {
      XdsPoint *parent = point->parent;

      g_hash_table_remove (parent->children, point);
      if (g_hash_table_size (parent->children) == 0)
        g_clear_pointer (&parent->children, g_hash_table_unref);
      g_free (point);
      point = parent;
    }
}

XdsWatch *
xds_watches_find (XdsWatches *watches, void *owner, const char *path, gsize len, const char *token,
                  gsize token_len)
{
  XdsWatch probe = { .owner = owner, .token = token, .token_len = token_len };

  probe.point = xds_watches_point (watches, path, len);
  return probe.point != NULL ? g_hash_table_lookup (watches->watches, &probe) : NULL;
}

static void
link_watch (XdsPoint *point, XdsWatch **owned, XdsWatch *watch)
{
  watch->prev = point->last;
  if (point->last != NULL)
    point->last->next = watch;
  else
    point->first = watch;
  point->last = watch;

  watch->owner_next = *owned;
  if (*owned != NULL)
    (*owned)->owner_prev = watch;
  *owned = watch;
}

XdsWatch *
xds_watches_add (XdsWatches *watches, void *owner, XdsWatch **owned, const char *path, gsize len,
                 const char *token, gsize token_len, gint depth, guint skip)
{
  XdsWatch *watch;

  if (xds_watches_find (watches, owner, path, len, token, token_len) != NULL)
    return NULL;
  watch = g_malloc0 (sizeof (XdsWatch) + token_len + 1);
  watch->point = make_point (watches, path, len);
  watch->owner = owner;
  watch->depth = depth;
  watch->skip = skip;
  watch->token_len = token_len;
  watch->token = memcpy (watch + 1, token, token_len);
  link_watch (watch->point, owned, watch);
  g_hash_table_add (watches->watches, watch);
  return watch;
}

void
xds_watch_free (XdsWatches *watches, XdsWatch **owned, XdsWatch *watch)
{
  XdsPoint *point = watch->point;

  g_hash_table_remove (watches->watches, watch);
  if (watch->prev != NULL)
    watch->prev->next = watch->next;
  else
    point->first = watch->next;
  if (watch->next != NULL)
    watch->next->prev = watch->prev;
  else
    point->last = watch->prev;
  if (watch->owner_prev != NULL)
    watch->owner_prev->owner_next = watch->owner_next;
  else
    *owned = watch->owner_next;
  if (watch->owner_next != NULL)
    watch->owner_next->owner_prev = watch->owner_prev;
  g_free (watch);
  drop_point (point);
}

gsize
xds_point_path (const XdsPoint *point, char *text, gsize size)
{
  const XdsPoint *top = point;
  gsize len = 0, at;

  for (; top->parent != NULL; top = top->parent)
    len += top->name_len + 1;
  g_assert (len + 2 <= size);
  if (len == 0)
    return g_strlcpy (text, "/", size);
  at = len;
  text[len] = '\0';
  for (const XdsPoint *p = point; p->parent != NULL; p = p->parent)
    {
      at -= p->name_len;
      memcpy (text + at, p->name, p->name_len);
      text[--at] = '/';
    }
  if (top->name_len > 0)
    memmove (text, text + 1, len--);
  return len;
}

/* Each name on the way is a point with a set of those below it, whose memory GLib does not tell.
   Watches share the first ones with others, and no ordinary path has more. */
#define NAMES_SHARED 16
#define NAME_COST (sizeof (XdsPoint) + 256)

gsize
xds_watch_cost_of (gsize path_len, guint n_names, gsize token_len)
{
  gsize own = n_names > NAMES_SHARED ? n_names - NAMES_SHARED : 0;

  return sizeof (XdsWatch) + sizeof (XdsPoint) + 64 + token_len + path_len + own * NAME_COST;
}

gsize
xds_watch_cost (const XdsWatch *watch)
{
  gsize len = 0;
  guint n = 0;

  for (const XdsPoint *p = watch->point; p->parent != NULL; p = p->parent, n++)
    len += p->name_len + 1;
  return xds_watch_cost_of (len, n, watch->token_len);
}
