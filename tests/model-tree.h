/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The model's nodes and transactions, without peers and watches. */

#include <glib.h>

#include "xsd/wire/perms.h"

typedef struct
{
  char *path;
  GBytes *value;
  GArray *perms;    /* of XdsPerm */
  guint64 seq;      /* rises in order of creation */
  guint64 perms_at; /* when the list was written last */
} XdsModelNode;

/* path -> XdsModelNode */
typedef GHashTable XdsModelTree;

/* The things of a node that can be read or written. */
typedef enum
{
  XDS_MODEL_EXISTENCE,
  XDS_MODEL_VALUE,
  XDS_MODEL_PERMS,
  XDS_MODEL_LISTING,
} XdsModelAspect;

/* Something that happened to a node, for the events. */
typedef struct
{
  char *path;
  gboolean descendant; /* removed with something above it: told to watches of this path only */
  GArray *old_perms;   /* (nullable) of the node, where it was removed or its list changed */
  GArray *old_parent;  /* (nullable) of its parent, where it was removed */
} XdsModelChange;

/* A write to be done again at the end of the transaction. */
typedef struct
{
  guint op;
  char *path;
  GBytes *value;
  GArray *perms;
} XdsModelWrite;

typedef struct
{
  XdsModelTree *tree, *before; /* what it sees, and saw at its start */
  guint64 start;
  GHashTable *reads;  /* "aspect path" read from the snapshot */
  GHashTable *own;    /* "aspect path" written by itself */
  GPtrArray *removed; /* paths of subtrees it removed */
  GPtrArray *writes;  /* of XdsModelWrite */
  GPtrArray *met;     /* paths that it came across, in order */
  GHashTable *fires;  /* paths that a request changed */
  GHashTable *gone;   /* paths of its snapshot that it removed, also if they came again */
  XdsStatus poison;
} XdsModelTx;

/* Where a request works: the store, or a transaction's copy of it. */
typedef struct
{
  XdsModelTree *tree;
  XdsModelTx *tx;      /* NULL for the store itself */
  GHashTable *history; /* "aspect path" -> when it was written last, in the store */
  guint64 *clock;      /* rises with each write */
  GPtrArray *changes;  /* of XdsModelChange */
  gint domid, target;  /* of the requester; -1 for a privileged one */
  /* (nullable) May the requester own @n nodes more? */
  gboolean (*may_own) (gpointer data, guint n);
  gpointer data;
} XdsModelView;

XdsModelTree *xds_model_tree_new (void);
XdsModelTree *xds_model_tree_copy (XdsModelTree *tree);
XdsModelNode *xds_model_tree_next (GHashTableIter *iter); /* NULL at the end */
guint xds_model_tree_owned (XdsModelTree *tree, guint domid);
GPtrArray *xds_model_tree_children (XdsModelTree *tree, const char *path); /* of XdsModelNode */
XdsModelNode *xds_model_tree_add (XdsModelTree *tree, const char *path, const GArray *perms,
                                  guint64 seq);
gboolean xds_model_is_below (const char *path, const char *top); /* or the same */
char *xds_model_parent (const char *path);
GArray *xds_model_perms_copy (const GArray *perms);
guint xds_model_access (const GArray *perms, gint domid, gint target);

void xds_model_change_free (XdsModelChange *change);
XdsModelTx *xds_model_tx_new (XdsModelTree *tree, guint64 clock);
void xds_model_tx_free (XdsModelTx *tx);
gboolean xds_model_tx_conflicts (const XdsModelTx *tx, GHashTable *history);

/* Did it write a list that names @domid before @when? */
gboolean xds_model_tx_names (const XdsModelTx *tx, guint domid, guint64 when);

/* What will change in @tree by its commit, as events are told: in the order in which it met the
   paths, and for what was removed and came again both. */
void xds_model_tx_changes (const XdsModelTx *tx, XdsModelTree *tree, GPtrArray *changes);

/* Requests on nodes. */
XdsStatus xds_model_read (XdsModelView *view, const char *path, GBytes **ret_value);
XdsStatus xds_model_get_perms (XdsModelView *view, const char *path, const GArray **ret_perms);
XdsStatus xds_model_directory (XdsModelView *view, const char *path, GByteArray *names);
XdsStatus xds_model_write (XdsModelView *view, const char *path, GBytes *value);
XdsStatus xds_model_mkdir (XdsModelView *view, const char *path);
XdsStatus xds_model_rm (XdsModelView *view, const char *path);
XdsStatus xds_model_set_perms (XdsModelView *view, const char *path, const GArray *perms);

/* Does again what the transaction did, in the store that @view shows, asking nothing. */
void xds_model_replay (XdsModelView *view, const XdsModelTx *tx);

/* Writes in the history what the commit changed of @old: not what came and went in between. */
void xds_model_settle (XdsModelView *view, const XdsModelTx *tx, XdsModelTree *old);

/* Removes a node and all below it, whoever asks; @quietly: nobody is told of those below. */
void xds_model_remove (XdsModelView *view, const char *path, gboolean quietly);

/* Writes in the history that @aspect of @path changed now. */
void xds_model_wrote (XdsModelView *view, XdsModelAspect aspect, const char *path);
