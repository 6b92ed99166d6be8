/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Invariants.
 *  - For one thing there is at most one aside between two neighbouring snapshots; so what a
 *    snapshot can pin is bounded by the size of the store at its moment.
 *  - An aside (moment m, previous change of the thing at p) hangs on the newest snapshot s with
 *    p <= s.moment < m.
 *  - A removed tree is owned by the aside of its name, and goes with it; whatever was put aside of
 *    nodes in it goes then too.
 *
 * The road not taken: a persistent tree, whose snapshots are a pointer.  Its nodes cannot have
 * parents, so owner lists and watch firing need an index beside it, and each write while a
 * snapshot is held copies a path.
 */

#include "xsd/core/snapshot.h"

#include <string.h>

typedef enum
{
  ASIDE_VALUE,
  ASIDE_ACL,
  ASIDE_CHILD,
} AsideKind;

struct XdsAside
{
  AsideKind kind;
  guint32 hash; /* of the name, for ASIDE_CHILD */
  XdsNode *node; /* whose thing it is */
  guint64 moment; /* of the change */
  XdsAside *older; /* of the same thing */
  XdsAside *newer;
  XdsAside *list_older, *list_newer; /* ASIDE_CHILD: other names of the same directory */
  XdsSnapshot *holder;
  XdsAside *held_prev, *held_next;
  gsize bytes;
  union
  {
    XdsAcl *acl;    /* (owned) */
    XdsNode *child; /* (owned) (nullable) what the name meant: NULL for nothing */
  } old;
  const char *name; /* ASIDE_CHILD: of the child, in @data; borrowed in a probe */
  guint16 len;      /* of @data: the old value, or the name */
  char data[];
};

static guint
thing_hash (gconstpointer key)
{
  const XdsAside *aside = key;

  return g_direct_hash (aside->node) * 31 + aside->kind * 7 + aside->hash;
}

static gboolean
thing_equal (gconstpointer a, gconstpointer b)
{
  const XdsAside *x = a, *y = b;

  if (x->node != y->node || x->kind != y->kind || x->hash != y->hash)
    return FALSE;
  return x->kind != ASIDE_CHILD || (x->len == y->len && memcmp (x->name, y->name, x->len) == 0);
}

void
xds_history_init (XdsHistory *history, XdsAclTable *acls)
{
  *history = (XdsHistory){
    .acls = acls,
    .now = 1,
    .things = g_hash_table_new (thing_hash, thing_equal),
    .lists = g_hash_table_new (NULL, NULL),
  };
}

void
xds_history_clear (XdsHistory *history)
{
  g_assert (history->newest == NULL);
  g_assert (g_hash_table_size (history->things) == 0);
  g_clear_pointer (&history->things, g_hash_table_unref);
  g_clear_pointer (&history->lists, g_hash_table_unref);
}

/* --- asides --- */

static void
hold (XdsSnapshot *snapshot, XdsAside *aside)
{
  aside->holder = snapshot;
  aside->held_prev = NULL;
  aside->held_next = snapshot->asides;
  if (aside->held_next != NULL)
    aside->held_next->held_prev = aside;
  snapshot->asides = aside;
  snapshot->bytes += aside->bytes;
}

static XdsAside *
aside_new (AsideKind kind, XdsNode *node, guint32 hash, const void *data, gsize len)
{
  XdsAside *aside = g_malloc0 (sizeof (XdsAside) + len);

  aside->kind = kind;
  aside->node = node;
  aside->hash = hash;
  aside->len = len;
  aside->name = kind == ASIDE_CHILD ? aside->data : NULL;
  aside->bytes = sizeof (XdsAside) + len;
  if (len > 0)
    memcpy (aside->data, data, len);
  return aside;
}

/* Makes @aside the newest of its thing.  A key that is replaced in the table is the older aside
   itself, so the table's key is always the value. */
static void
link_aside (XdsHistory *history, XdsAside *aside, XdsAside *older)
{
  aside->moment = history->now;
  aside->older = older;
  if (older != NULL)
    older->newer = aside;
  g_hash_table_replace (history->things, aside, aside);
  if (aside->kind == ASIDE_CHILD)
    {
      aside->list_older = g_hash_table_lookup (history->lists, aside->node);
      if (aside->list_older != NULL)
        aside->list_older->list_newer = aside;
      g_hash_table_insert (history->lists, aside->node, aside);
    }
  hold (history->newest, aside);
}

static void
unlink_from_list (XdsHistory *history, XdsAside *aside)
{
  if (aside->list_older != NULL)
    aside->list_older->list_newer = aside->list_newer;
  if (aside->list_newer != NULL)
    aside->list_newer->list_older = aside->list_older;
  else if (aside->list_older != NULL)
    g_hash_table_insert (history->lists, aside->node, aside->list_older);
  else
    g_hash_table_remove (history->lists, aside->node);
}

static void
let_go (XdsAside *aside)
{
  XdsSnapshot *holder = aside->holder;

  if (holder == NULL)
    return;
  if (aside->held_prev != NULL)
    aside->held_prev->held_next = aside->held_next;
  else
    holder->asides = aside->held_next;
  if (aside->held_next != NULL)
    aside->held_next->held_prev = aside->held_prev;
  holder->bytes -= aside->bytes;
  aside->holder = NULL;
}

/* Frees @aside, but gives the tree that it owns to @trees: trees are freed in a loop. */
static void
aside_free (XdsHistory *history, XdsAside *aside, GPtrArray *trees)
{
  let_go (aside);
  if (aside->older != NULL)
    aside->older->newer = aside->newer;
  if (aside->newer != NULL)
    aside->newer->older = aside->older;
  else if (aside->older != NULL)
    g_hash_table_replace (history->things, aside->older, aside->older);
  else
    g_hash_table_remove (history->things, aside);
  if (aside->kind == ASIDE_CHILD)
    unlink_from_list (history, aside);
  if (aside->kind == ASIDE_ACL)
    xds_acl_unref (history->acls, aside->old.acl);
  if (aside->kind == ASIDE_CHILD && aside->old.child != NULL)
    g_ptr_array_add (trees, aside->old.child);
  g_free (aside);
}

/* The newest aside of a thing. */
static XdsAside *
newest_of (XdsHistory *history, AsideKind kind, XdsNode *node, guint32 hash, const char *name,
           gsize len)
{
  const XdsAside probe = { .kind = kind, .node = node, .hash = hash, .name = name, .len = len };

  if (g_hash_table_size (history->things) == 0)
    return NULL;
  return g_hash_table_lookup (history->things, &probe);
}

/* --- removed trees --- */

typedef struct
{
  XdsHistory *history;
  GPtrArray *trees;
} Burial;

static void
forget_visit (XdsNode *node, void *data)
{
  Burial *burial = data;
  XdsHistory *history = burial->history;
  XdsAside *aside;

  for (AsideKind kind = ASIDE_VALUE; kind <= ASIDE_ACL; kind++)
    while ((aside = newest_of (history, kind, node, 0, NULL, 0)) != NULL)
      aside_free (history, aside, burial->trees);
  while ((aside = g_hash_table_lookup (history->lists, node)) != NULL)
    aside_free (history, aside, burial->trees);
}

/*
 * Frees trees that nobody can see.  Asides of their nodes may be about still: whether a thing is
 * put aside is decided by its own last change, without asking whether its node can be seen.
 */
static void
bury (XdsHistory *history, GPtrArray *trees)
{
  Burial burial = { history, trees };

  while (trees->len > 0)
    {
      XdsNode *tree = g_ptr_array_steal_index_fast (trees, trees->len - 1);

      if (g_hash_table_size (history->things) > 0)
        xds_node_walk (tree, forget_visit, &burial);
      xds_node_free_tree (tree, history->acls);
    }
}

/* --- snapshots --- */

void
xds_snapshot_take (XdsHistory *history, XdsSnapshot *snapshot)
{
  *snapshot = (XdsSnapshot){
    .history = history,
    .moment = history->now,
    .older = history->newest,
  };
  if (history->newest != NULL)
    history->newest->newer = snapshot;
  history->newest = snapshot;
}

void
xds_snapshot_release (XdsSnapshot *snapshot)
{
  XdsHistory *history = snapshot->history;
  XdsSnapshot *older = snapshot->older;

  if (history == NULL)
    return;
  if (snapshot->newer != NULL)
    snapshot->newer->older = older;
  else
    history->newest = older;
  if (older != NULL)
    older->newer = snapshot->newer;

  g_autoptr (GPtrArray) trees = g_ptr_array_new ();

  while (snapshot->asides != NULL)
    {
      XdsAside *aside = snapshot->asides;
      guint64 previous = aside->older != NULL ? aside->older->moment : 0;

      let_go (aside);
      if (older != NULL && older->moment >= previous)
        hold (older, aside);
      else
        aside_free (history, aside, trees);
    }
  bury (history, trees);
  snapshot->history = NULL;
}

/* --- before a change --- */

/* Can somebody see the state that is about to be replaced? */
static gboolean
is_seen (XdsHistory *history, const XdsAside *newest)
{
  return history->newest != NULL
         && (newest == NULL || history->newest->moment >= newest->moment);
}

void
xds_history_value (XdsHistory *history, XdsNode *node)
{
  XdsAside *newest;

  history->now++;
  if (history->newest == NULL)
    return;
  newest = newest_of (history, ASIDE_VALUE, node, 0, NULL, 0);
  if (is_seen (history, newest))
    link_aside (history,
                aside_new (ASIDE_VALUE, node, 0, xds_node_value (node), node->value_len), newest);
}

void
xds_history_acl (XdsHistory *history, XdsNode *node)
{
  XdsAside *newest, *aside;

  history->now++;
  if (history->newest == NULL)
    return;
  newest = newest_of (history, ASIDE_ACL, node, 0, NULL, 0);
  if (!is_seen (history, newest))
    return;
  aside = aside_new (ASIDE_ACL, node, 0, NULL, 0);
  aside->old.acl = xds_acl_ref (node->acl);
  link_aside (history, aside, newest);
}

static XdsAside *
put_name_aside (XdsHistory *history, XdsNode *dir, const XdsNode *child)
{
  const char *name = xds_node_name (child);
  XdsAside *newest, *aside;

  history->now++;
  if (history->newest == NULL)
    return NULL;
  newest = newest_of (history, ASIDE_CHILD, dir, child->hash, name, child->name_len);
  if (!is_seen (history, newest))
    return NULL;
  aside = aside_new (ASIDE_CHILD, dir, child->hash, name, child->name_len);
  link_aside (history, aside, newest);
  return aside;
}

void
xds_history_linked (XdsHistory *history, XdsNode *dir, const XdsNode *child)
{
  put_name_aside (history, dir, child);
}

void
xds_history_unlinked (XdsHistory *history, XdsNode *dir, XdsNode *child, gsize bytes)
{
  XdsAside *aside = put_name_aside (history, dir, child);

  if (aside == NULL)
    {
      g_autoptr (GPtrArray) trees = g_ptr_array_new ();

      g_ptr_array_add (trees, child);
      bury (history, trees);
      return;
    }
  aside->old.child = child;
  aside->bytes += bytes;
  aside->holder->bytes += bytes;
}

gboolean
xds_history_holds_list (XdsHistory *history, XdsNode *dir)
{
  return g_hash_table_size (history->lists) > 0
         && g_hash_table_contains (history->lists, dir);
}

/* --- looking back --- */

/* The first change of a thing after the moment of @snapshot: it holds what the snapshot sees. */
static XdsAside *
first_after (XdsSnapshot *snapshot, XdsAside *newest)
{
  XdsAside *aside = newest;

  if (aside == NULL || aside->moment <= snapshot->moment)
    return NULL;
  while (aside->older != NULL && aside->older->moment > snapshot->moment)
    aside = aside->older;
  return aside;
}

static XdsAside *
child_after (XdsSnapshot *snapshot, XdsNode *node, const char *name, gsize len, guint32 hash)
{
  return first_after (snapshot,
                      newest_of (snapshot->history, ASIDE_CHILD, node, hash, name, len));
}

XdsNode *
xds_snapshot_child (XdsSnapshot *snapshot, XdsNode *node, const char *name, gsize len)
{
  guint32 hash = xds_name_hash (name, len);
  XdsAside *aside = child_after (snapshot, node, name, len, hash);

  return aside != NULL ? aside->old.child : xds_dir_find (node, name, len, hash);
}

const guint8 *
xds_snapshot_value (XdsSnapshot *snapshot, XdsNode *node, gsize *ret_len)
{
  XdsAside *aside
      = first_after (snapshot, newest_of (snapshot->history, ASIDE_VALUE, node, 0, NULL, 0));

  *ret_len = aside != NULL ? aside->len : node->value_len;
  return aside != NULL ? (const guint8 *) aside->data : xds_node_value (node);
}

XdsAcl *
xds_snapshot_acl (XdsSnapshot *snapshot, XdsNode *node)
{
  XdsAside *aside
      = first_after (snapshot, newest_of (snapshot->history, ASIDE_ACL, node, 0, NULL, 0));

  return aside != NULL ? aside->old.acl : node->acl;
}

static int
by_seq (gconstpointer a, gconstpointer b)
{
  const XdsNode *x = *(XdsNode *const *) a, *y = *(XdsNode *const *) b;

  return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* The removed children that @snapshot sees go to @children; names that changed to @names. */
static void
collect_changed (XdsSnapshot *snapshot, XdsNode *node, GPtrArray *children, GHashTable *names)
{
  XdsAside *aside = g_hash_table_lookup (snapshot->history->lists, node);

  for (; aside != NULL && aside->moment > snapshot->moment; aside = aside->list_older)
    if (aside->older == NULL || aside->older->moment <= snapshot->moment)
      {
        g_hash_table_add (names, aside);
        if (aside->old.child != NULL)
          g_ptr_array_add (children, aside->old.child);
      }
}

static gboolean
has_changed (GHashTable *names, XdsNode *node, const XdsNode *child)
{
  const XdsAside probe = {
    .kind = ASIDE_CHILD,
    .node = node,
    .hash = child->hash,
    .name = xds_node_name (child),
    .len = child->name_len,
  };

  return g_hash_table_contains (names, &probe);
}

GPtrArray *
xds_snapshot_children (XdsSnapshot *snapshot, XdsNode *node)
{
  GPtrArray *children = g_ptr_array_new ();
  g_autoptr (GHashTable) names = g_hash_table_new (thing_hash, thing_equal);
  const XdsDir *dir = node->dir;
  guint n_removed;

  collect_changed (snapshot, node, children, names);
  n_removed = children->len;
  for (guint32 i = 0; dir != NULL && i < dir->n_entries; i++)
    if (dir->entries[i] != NULL
        && (g_hash_table_size (names) == 0 || !has_changed (names, node, dir->entries[i])))
      g_ptr_array_add (children, dir->entries[i]);
  if (n_removed > 0)
    g_ptr_array_sort (children, by_seq);
  return children;
}

gboolean
xds_snapshot_value_changed (XdsSnapshot *snapshot, XdsNode *node)
{
  return first_after (snapshot, newest_of (snapshot->history, ASIDE_VALUE, node, 0, NULL, 0))
         != NULL;
}

gboolean
xds_snapshot_acl_changed (XdsSnapshot *snapshot, XdsNode *node)
{
  return first_after (snapshot, newest_of (snapshot->history, ASIDE_ACL, node, 0, NULL, 0)) != NULL;
}

gboolean
xds_snapshot_child_changed (XdsSnapshot *snapshot, XdsNode *node, const char *name, gsize len)
{
  return child_after (snapshot, node, name, len, xds_name_hash (name, len)) != NULL;
}

gboolean
xds_snapshot_list_changed (XdsSnapshot *snapshot, XdsNode *node)
{
  XdsAside *aside = g_hash_table_lookup (snapshot->history->lists, node);

  return aside != NULL && aside->moment > snapshot->moment;
}

/* --- for a dump --- */

void
xds_snapshot_visit_changes (const XdsSnapshot *snapshot, XdsChangedVisit visit, void *data)
{
  for (const XdsAside *aside = snapshot->asides; aside != NULL; aside = aside->held_next)
    {
      const XdsChanged changed = {
        .kind = (XdsChangedKind) aside->kind,
        .node = aside->node,
        .name = aside->name,
        .len = aside->name != NULL ? aside->len : 0,
        .old = aside->kind == ASIDE_CHILD ? aside->old.child : NULL,
      };

      visit (&changed, data);
    }
}

gboolean
xds_snapshot_sees (XdsSnapshot *snapshot, XdsNode *node)
{
  if (snapshot == NULL)
    return (node->flags & XDS_NODE_DETACHED) == 0;
  for (; node->parent != NULL; node = node->parent)
    if (xds_snapshot_child (snapshot, node->parent, xds_node_name (node), node->name_len) != node)
      return FALSE;
  return TRUE;
}
