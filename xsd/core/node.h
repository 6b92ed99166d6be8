/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A node and the directory of its children.
 *
 *   XdsNode (64 bytes) --- blob ---> | name | value |
 *      | dir (only with children)
 *      v
 *   XdsDir --- entries ---> | child | child | hole | child |     in order of insertion
 *          --- index -----> open addressing: slot = number of the entry + 1
 *
 * Up to XDS_DIR_SCAN entries there is no index.  A removed child leaves a hole; holes go when the
 * table is laid out anew.
 */

#include "xsd/core/acl.h"

#define XDS_DIR_SCAN 8

typedef struct XdsDir XdsDir;

enum
{
  XDS_NODE_FIXED = 1 << 0,    /* root, and the special nodes: never removed */
  XDS_NODE_DETACHED = 1 << 1, /* removed, and kept only for a snapshot */
  XDS_NODE_SPECIAL = 1 << 2,  /* the parent of the special nodes, which no path names */
};

struct XdsNode
{
  XdsNode *parent; /* (nullable) */
  XdsDir *dir;     /* (owned) (nullable) */
  XdsAcl *acl;     /* (owned) a reference */
  XdsNode *acl_prev, *acl_next;
  guint8 *blob; /* (owned) name, then value */
  guint32 hash; /* of the name */
  guint32 seq;  /* rises in order of insertion among siblings */
  guint16 name_len, value_len;
  guint32 flags;
};

G_STATIC_ASSERT (GLIB_SIZEOF_VOID_P != 8 || sizeof (XdsNode) == 64);

struct XdsDir
{
  XdsNode **entries; /* (owned) NULL for a hole */
  guint32 *index;    /* (owned) (nullable) */
  guint32 n_entries, capacity; /* entries in use, holes included; entries there are */
  guint32 n_live;
  guint32 n_slots, n_slots_used; /* of the index; used includes slots of removed children */
  guint32 next_seq;
  guint32 list_bytes; /* of all names with their NULs: the length of a listing */
  guint64 generation; /* changes when a child comes or goes */
};

static inline const char *
xds_node_name (const XdsNode *node)
{
  return (const char *) node->blob;
}

static inline const guint8 *
xds_node_value (const XdsNode *node)
{
  return node->blob + node->name_len;
}

static inline guint
xds_node_n_children (const XdsNode *node)
{
  return node->dir != NULL ? node->dir->n_live : 0;
}

/* What a node of these sizes costs its owner. */
static inline gsize
xds_node_cost (gsize name_len, gsize value_len)
{
  return sizeof (XdsNode) + 32 + name_len + value_len;
}

guint32 xds_name_hash (const char *name, gsize len);

/* Makes names hash differently in each process, so that nobody can aim at one bucket. */
void xds_name_hash_seed (guint64 seed);

/* Not yet linked anywhere.  Takes a reference on @acl. */
XdsNode *xds_node_new (const char *name, gsize name_len, XdsAcl *acl, const void *value,
                       gsize value_len);
void xds_node_set_value (XdsNode *node, const void *value, gsize len);

/* Frees @root and all below it, in a loop: a deep tree must not end the stack. */
void xds_node_free_tree (XdsNode *root, XdsAclTable *acls);

XdsNode *xds_dir_find (const XdsNode *node, const char *name, gsize len, guint32 hash);
void xds_dir_insert (XdsNode *parent, XdsNode *child, guint64 generation, gboolean renumber);
void xds_dir_remove (XdsNode *parent, XdsNode *child, guint64 generation);

/* Writes the path, with a NUL; its length.  Special nodes have no slash in front. */
gsize xds_node_path (const XdsNode *node, char *text, gsize size);

/* Calls @visit for all below @root and then for it: children before their parent, siblings in
   order.  The tree must not change meanwhile. */
typedef void (*XdsNodeVisit) (XdsNode *node, void *data);
void xds_node_walk (XdsNode *root, XdsNodeVisit visit, void *data);
