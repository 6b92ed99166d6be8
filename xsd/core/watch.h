/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Watches, on a tree of the watched names only.
 *
 * An event walks down that tree along its path and stops where nobody watches: what other watches
 * there are does not matter.  A watch belongs to a point (a name in the tree) and to a peer.
 */

#include <glib.h>

typedef struct XdsPoint XdsPoint;
typedef struct XdsWatch XdsWatch;

#define XDS_WATCH_ANY_DEPTH (-1)

struct XdsPoint
{
  XdsPoint *parent;
  GHashTable *children;    /* (owned) (nullable) set of XdsPoint by name */
  XdsWatch *first, *last;  /* (owned) in order of setting */
  guint32 hash;
  guint16 name_len;
  const char *name; /* in the point's own memory; borrowed in a probe */
};

struct XdsWatch
{
  XdsPoint *point;
  void *owner; /* (unowned) the peer */
  XdsWatch *prev, *next;             /* at the point */
  XdsWatch *owner_prev, *owner_next; /* of the peer */
  gint32 depth;      /* levels below, or XDS_WATCH_ANY_DEPTH */
  guint16 skip;      /* of the path, when it is told: the watch was set by a relative path */
  guint16 token_len;
  const char *token; /* in the watch's own memory, with NUL */
};

typedef struct
{
  XdsPoint *root, *special; /* (owned) */
  GHashTable *watches; /* (owned) set by (owner, point, token) */
} XdsWatches;

void xds_watches_init (XdsWatches *watches);
void xds_watches_clear (XdsWatches *watches);

/* Paths are canonical; special ones are a tree of their own.  The head of the
   owner's list is *@owned.  NULL from add: there is the same already; FALSE from remove: none. */
XdsWatch *xds_watches_add (XdsWatches *watches, void *owner, XdsWatch **owned, const char *path,
                           gsize len, const char *token, gsize token_len, gint depth, guint skip);
XdsWatch *xds_watches_find (XdsWatches *watches, void *owner, const char *path, gsize len,
                            const char *token, gsize token_len);
void xds_watch_free (XdsWatches *watches, XdsWatch **owned, XdsWatch *watch);

/* The point of a name below @point, or of a path; NULL if nobody watches there. */
XdsPoint *xds_point_child (XdsPoint *point, const char *name, gsize len);
XdsPoint *xds_watches_point (XdsWatches *watches, const char *path, gsize len);

/* Writes the watched path, with a NUL; its length. */
gsize xds_point_path (const XdsPoint *point, char *text, gsize size);

/* What a watch costs its owner's account. */
gsize xds_watch_cost (const XdsWatch *watch);
gsize xds_watch_cost_of (gsize path_len, guint n_names, gsize token_len);
