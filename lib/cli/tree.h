/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A piece of the store, read whole, and what differs between two of them. */

#include <json-glib/json-glib.h>
#include <xendomstore.h>

typedef struct
{
  char *path;
  char *value; /* (nullable) NULL: may not be read */
  gsize len;
  char **perms; /* (nullable) */
  guint depth;  /* below the root of the tree */
} XdsNode;

void xds_node_free (XdsNode *node);
XdsNode *xds_node_new (const char *path, const char *value, gsize len, char **perms, guint depth);

/*
 * All nodes at and below @path, parents first, siblings in the order of the store; empty if there
 * is no such node.  @max_depth -1: all.  (element-type XdsNode)
 */
GPtrArray *xds_tree_load (XdsClient *client, XdsTransaction *txn, const char *path, int max_depth,
                          GError **error);

/* The same in a transaction of its own, so that it is of one moment. */
GPtrArray *xds_tree_snapshot (XdsClient *client, const char *path, int max_depth, GError **error);

typedef enum
{
  XDS_DIFF_ADDED,
  XDS_DIFF_REMOVED,
  XDS_DIFF_VALUE,
  XDS_DIFF_PERMS,
} XdsDiffKind;

typedef struct
{
  XdsDiffKind kind;
  const XdsNode *before, *after; /* (nullable) borrowed from the two trees */
} XdsDiff;

/* (element-type XdsDiff) what makes @before into @after: in @before's order, then what is new. */
GArray *xds_tree_diff (GPtrArray *before, GPtrArray *after);

void xds_tree_print_diff (GArray *diff);
void xds_tree_json_diff (JsonBuilder *builder, GArray *diff);

/* One node as an object. */
void xds_tree_json_node (JsonBuilder *builder, const XdsNode *node);
