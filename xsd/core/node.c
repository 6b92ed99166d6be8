/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The cost that this layout is for: at most 112 bytes over name and value for a small node.  64
 * for the struct (GSlice adds nothing), about 16 for the blob's malloc header and rounding, about
 * 10 for the parent's entry and 7 for its slot in the index.  Links between siblings would cost 16
 * more, a separate value 24 more.  Trees of children (persistent maps) were weighed too: they give
 * snapshots for free but cost more than the whole node does here; core/snapshot.h is the other way.
 */

#include "xsd/core/node.h"

#include <string.h>

#define SLOT_FREE 0u
#define SLOT_GONE G_MAXUINT32
#define MIN_ENTRIES 2u

static guint64 hash_seed = 0x9e3779b97f4a7c15u;

void
xds_name_hash_seed (guint64 seed)
{
  hash_seed = seed | 1;
}

static inline guint64
mix (guint64 a, guint64 b)
{
  __uint128_t product = (__uint128_t) a * b;

  return (guint64) product ^ (guint64) (product >> 64);
}

guint32
xds_name_hash (const char *name, gsize len)
{
  guint64 hash = hash_seed ^ len, word;

  for (; len >= 8; name += 8, len -= 8)
    {
      memcpy (&word, name, 8);
      hash = mix (hash ^ word, 0xa0761d6478bd642fu ^ hash_seed);
    }
  word = 0;
  memcpy (&word, name, len);
  hash = mix (hash ^ word, 0xe7037ed1a0b428dbu ^ hash_seed);
  return (guint32) (hash ^ (hash >> 32));
}

XdsNode *
xds_node_new (const char *name, gsize name_len, XdsAcl *acl, const void *value, gsize value_len)
{
  XdsNode *node = g_slice_new0 (XdsNode);

  node->acl = xds_acl_ref (acl);
  node->blob = g_malloc (MAX (name_len + value_len, 1));
  node->hash = xds_name_hash (name, name_len);
  node->name_len = name_len;
  node->value_len = value_len;
  memcpy (node->blob, name, name_len);
  if (value_len > 0)
    memcpy (node->blob + name_len, value, value_len);
  return node;
}

void
xds_node_set_value (XdsNode *node, const void *value, gsize len)
{
  if (len != node->value_len)
    node->blob = g_realloc (node->blob, MAX (node->name_len + len, 1));
  node->value_len = len;
  if (len > 0)
    memcpy (node->blob + node->name_len, value, len);
}

static void
dir_free (XdsDir *dir)
{
  g_free (dir->entries);
  g_free (dir->index);
  g_slice_free (XdsDir, dir);
}

/* A leaf, or what has become one: NULL where children are left. */
static XdsNode *
last_child (XdsNode *node)
{
  XdsDir *dir = node->dir;

  while (dir != NULL && dir->n_entries > 0)
    {
      XdsNode *child = dir->entries[--dir->n_entries];

      if (child != NULL)
        return child;
    }
  return NULL;
}

void
xds_node_free_tree (XdsNode *root, XdsAclTable *acls)
{
  XdsNode *node = root;

  while (node != NULL)
    {
      XdsNode *child = last_child (node), *parent = node->parent;

      if (child != NULL)
        {
          node = child;
          continue;
        }
      g_clear_pointer (&node->dir, dir_free);
      xds_acl_unref (acls, node->acl);
      g_free (node->blob);
      g_slice_free (XdsNode, node);
      node = node == root ? NULL : parent;
    }
}

static inline gboolean
is_named (const XdsNode *node, const char *name, gsize len, guint32 hash)
{
  return node->hash == hash && node->name_len == len && memcmp (node->blob, name, len) == 0;
}

/* The slot that refers to the child of this name; NULL if there is none. */
static guint32 *
find_slot (const XdsDir *dir, const char *name, gsize len, guint32 hash)
{
  guint32 mask = dir->n_slots - 1;

  for (guint32 i = hash & mask; dir->index[i] != SLOT_FREE; i = (i + 1) & mask)
    if (dir->index[i] != SLOT_GONE && is_named (dir->entries[dir->index[i] - 1], name, len, hash))
      return &dir->index[i];
  return NULL;
}

XdsNode *
xds_dir_find (const XdsNode *node, const char *name, gsize len, guint32 hash)
{
  const XdsDir *dir = node->dir;
  const guint32 *slot;

  if (dir == NULL)
    return NULL;
  if (dir->index != NULL)
    {
      slot = find_slot (dir, name, len, hash);
      return slot != NULL ? dir->entries[*slot - 1] : NULL;
    }
  for (guint32 i = 0; i < dir->n_entries; i++)
    if (dir->entries[i] != NULL && is_named (dir->entries[i], name, len, hash))
      return dir->entries[i];
  return NULL;
}

/* The slot of a child that went is taken again: else a name that comes and goes leaves a trail of
   them, which each search for it would have to follow. */
/* The name is not there yet, so the first slot that holds nothing will do. */
static void
index_put (XdsDir *dir, guint32 hash, guint32 entry)
{
  guint32 mask = dir->n_slots - 1, i = hash & mask;

  while (dir->index[i] != SLOT_FREE && dir->index[i] != SLOT_GONE)
    i = (i + 1) & mask;
  dir->n_slots_used += dir->index[i] == SLOT_FREE;
  dir->index[i] = entry + 1;
}

/* Where a run of slots ends, what is gone before its end need not be walked over any more. */
static void
index_drop (XdsDir *dir, guint32 *slot)
{
  guint32 mask = dir->n_slots - 1, i = slot - dir->index;

  *slot = SLOT_GONE;
  if (dir->index[(i + 1) & mask] != SLOT_FREE)
    return;
  for (; dir->index[i] == SLOT_GONE; i = (i - 1) & mask)
    {
      dir->index[i] = SLOT_FREE;
      dir->n_slots_used--;
    }
}

static void
index_rebuild (XdsDir *dir)
{
  guint32 n_slots = 16;

  if (dir->capacity <= XDS_DIR_SCAN)
    {
      g_clear_pointer (&dir->index, g_free);
      return;
    }
  /* At most three slots of four are in use when all entries are. */
  while (n_slots / 4 * 3 < dir->capacity)
    n_slots *= 2;
  g_free (dir->index);
  dir->index = g_new0 (guint32, n_slots);
  dir->n_slots = n_slots;
  dir->n_slots_used = 0;
  for (guint32 i = 0; i < dir->n_entries; i++)
    index_put (dir, dir->entries[i]->hash, i);
}

/* Closes the holes, and makes room for at least one more. */
static void
lay_out (XdsDir *dir, gboolean renumber)
{
  guint32 n = 0;

  for (guint32 i = 0; i < dir->n_entries; i++)
    if (dir->entries[i] != NULL)
      dir->entries[n++] = dir->entries[i];
  dir->n_entries = n;
  if (renumber)
    {
      for (guint32 i = 0; i < n; i++)
        dir->entries[i]->seq = i;
      dir->next_seq = n;
    }
  dir->capacity = MAX (MIN_ENTRIES, n + n / 4 + 1);
  dir->entries = g_renew (XdsNode *, dir->entries, dir->capacity);
  index_rebuild (dir);
}

void
xds_dir_insert (XdsNode *parent, XdsNode *child, guint64 generation, gboolean renumber)
{
  XdsDir *dir = parent->dir;

  if (dir == NULL)
    dir = parent->dir = g_slice_new0 (XdsDir);
  if (dir->n_entries == dir->capacity
      || (dir->index != NULL && dir->n_slots_used >= dir->n_slots / 8 * 7))
    lay_out (dir, renumber);
  child->parent = parent;
  child->seq = dir->next_seq++;
  if (dir->index != NULL)
    index_put (dir, child->hash, dir->n_entries);
  dir->entries[dir->n_entries++] = child;
  dir->n_live++;
  dir->list_bytes += child->name_len + 1;
  dir->generation = generation;
}

static guint32
take_entry (XdsDir *dir, XdsNode *child)
{
  guint32 entry = 0, *slot;

  if (dir->index != NULL)
    {
      slot = find_slot (dir, xds_node_name (child), child->name_len, child->hash);
      entry = *slot - 1;
      index_drop (dir, slot);
      return entry;
    }
  while (dir->entries[entry] != child)
    entry++;
  return entry;
}

void
xds_dir_remove (XdsNode *parent, XdsNode *child, guint64 generation)
{
  XdsDir *dir = parent->dir;

  dir->entries[take_entry (dir, child)] = NULL;
  while (dir->n_entries > 0 && dir->entries[dir->n_entries - 1] == NULL)
    dir->n_entries--;
  dir->n_live--;
  dir->list_bytes -= child->name_len + 1;
  dir->generation = generation;
  if (dir->n_live == 0)
    g_clear_pointer (&parent->dir, dir_free);
  else if (dir->capacity > 64 && dir->n_live < dir->capacity / 4)
    lay_out (dir, FALSE);
}

gsize
xds_node_path (const XdsNode *node, char *text, gsize size)
{
  const XdsNode *top = node;
  gsize len = 0, at;

  for (; top->parent != NULL; top = top->parent)
    len += top->name_len + 1;
  g_assert (MAX (len, 1) + 1 <= size);
  if (len == 0)
    return g_strlcpy (text, "/", size);
  at = len;
  text[len] = '\0';
  for (const XdsNode *n = node; n->parent != NULL; n = n->parent)
    {
      at -= n->name_len;
      memcpy (text + at, n->blob, n->name_len);
      text[--at] = '/';
    }
  if (top->flags & XDS_NODE_SPECIAL)
    {
      memmove (text, text + 1, len);
      len--;
    }
  return len;
}

typedef struct
{
  XdsNode *node;
  guint32 next; /* entry to go down to */
} Step;

void
xds_node_walk (XdsNode *root, XdsNodeVisit visit, void *data)
{
  g_autoptr (GArray) stack = g_array_new (FALSE, FALSE, sizeof (Step));
  Step first = { root, 0 };

  g_array_append_val (stack, first);
  while (stack->len > 0)
    {
      Step *step = &g_array_index (stack, Step, stack->len - 1);
      const XdsDir *dir = step->node->dir;
      Step down = { NULL, 0 };

      while (dir != NULL && step->next < dir->n_entries && down.node == NULL)
        down.node = dir->entries[step->next++];
      if (down.node != NULL)
        {
          g_array_append_val (stack, down);
          continue;
        }
      visit (step->node, data);
      g_array_set_size (stack, stack->len - 1);
    }
}
