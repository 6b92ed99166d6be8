/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One moment of the store, kept while the store goes on.
 *
 * The tree holds only the newest state.  Whoever changes a thing (the value of a node, its
 * permissions, a name in a directory) first puts the old state aside, if and only if a snapshot
 * was taken since the thing changed last.  What was put aside serves twice: a reader of the
 * snapshot finds the old state there, and a commit finds there that somebody wrote what it read.
 *
 *   time      --S1-----change a-----S2-----change a---change a---->
 *   aside           a as of S1 (for S1)     a as of S2   nothing: nobody can see what was between
 *
 * A piece put aside hangs on the newest snapshot that needs it, and is charged to it.  When that
 * snapshot goes, the piece moves to the next older one that needs it, or goes too.
 */

#include "xsd/core/node.h"

typedef struct XdsSnapshot XdsSnapshot;
typedef struct XdsAside XdsAside;
typedef struct XdsHistory XdsHistory;

struct XdsSnapshot
{
  XdsHistory *history; /* (unowned) */
  guint64 moment;      /* sees what was changed at or before it */
  XdsSnapshot *older, *newer;
  XdsAside *asides; /* (owned) what is kept because of this snapshot */
  gsize bytes;      /* that they hold */
};

struct XdsHistory
{
  XdsAclTable *acls;   /* (unowned) */
  guint64 now;         /* counts changes */
  XdsSnapshot *newest; /* (nullable) */
  GHashTable *things;  /* (owned) thing -> newest XdsAside of it */
  GHashTable *lists;   /* (owned) node -> newest XdsAside of a name in it */
};

void xds_history_init (XdsHistory *history, XdsAclTable *acls);
void xds_history_clear (XdsHistory *history);

/* O(1).  The snapshot must be released before the history is cleared. */
void xds_snapshot_take (XdsHistory *history, XdsSnapshot *snapshot);
void xds_snapshot_release (XdsSnapshot *snapshot);

/*
 * To be called before a change of the live tree, each change being one moment: the old value, the
 * old list, or the name that comes or goes in @dir.  xds_history_unlinked() takes the removed
 * tree over and frees it when nobody can see it; @bytes is what it costs.
 */
void xds_history_value (XdsHistory *history, XdsNode *node);
void xds_history_acl (XdsHistory *history, XdsNode *node);
void xds_history_linked (XdsHistory *history, XdsNode *dir, const XdsNode *child);
void xds_history_unlinked (XdsHistory *history, XdsNode *dir, XdsNode *child, gsize bytes);

/* Does a snapshot still need the order of @dir's children? */
gboolean xds_history_holds_list (XdsHistory *history, XdsNode *dir);

/* The state at the moment of @snapshot of a @node that existed then. */
XdsNode *xds_snapshot_child (XdsSnapshot *snapshot, XdsNode *node, const char *name, gsize len);
const guint8 *xds_snapshot_value (XdsSnapshot *snapshot, XdsNode *node, gsize *ret_len);
XdsAcl *xds_snapshot_acl (XdsSnapshot *snapshot, XdsNode *node);
/* (transfer container) (element-type XdsNode): in order of insertion */
GPtrArray *xds_snapshot_children (XdsSnapshot *snapshot, XdsNode *node);

/* Was it changed since? */
gboolean xds_snapshot_value_changed (XdsSnapshot *snapshot, XdsNode *node);
gboolean xds_snapshot_acl_changed (XdsSnapshot *snapshot, XdsNode *node);
gboolean xds_snapshot_child_changed (XdsSnapshot *snapshot, XdsNode *node, const char *name,
                                     gsize len);
gboolean xds_snapshot_list_changed (XdsSnapshot *snapshot, XdsNode *node);

/* Something that changed after @snapshot was taken and before the next newer one was. */
typedef enum
{
  XDS_CHANGED_VALUE,
  XDS_CHANGED_ACL,
  XDS_CHANGED_CHILD,
} XdsChangedKind;

typedef struct
{
  XdsChangedKind kind;
  XdsNode *node;    /* whose value, permissions or child it is */
  const char *name; /* of the child */
  gsize len;
  XdsNode *old; /* (nullable) what the name meant to the snapshot */
} XdsChanged;

typedef void (*XdsChangedVisit) (const XdsChanged *changed, void *data);
void xds_snapshot_visit_changes (const XdsSnapshot *snapshot, XdsChangedVisit visit, void *data);

/* Is @node, of whatever age, in the tree that @snapshot (NULL: now) sees? */
gboolean xds_snapshot_sees (XdsSnapshot *snapshot, XdsNode *node);
