/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The model from inside: its peers, watches and domains. */

#include "tests/model-tree.h"
#include "tests/model.h"

typedef struct
{
  char *path; /* canonical */
  guint skip; /* of it, when it is told */
  char *token;
  gint depth; /* -1: unlimited */
} XdsModelWatch;

typedef struct
{
  guint id;
  XdsModelTx *tx;
} XdsModelOpenTx;

struct XdsModelPeer
{
  XdsModel *model;
  gint domid;         /* -1: a socket, which may do everything */
  GPtrArray *watches; /* of XdsModelWatch */
  GPtrArray *txs;     /* of XdsModelOpenTx */
  guint last_tx_id;
  GQueue out; /* of XdsModelMsg */
};

typedef struct
{
  guint domid;
  gboolean introduced, shutdown_told;
  gint target; /* -1: none */
} XdsModelDomain;

struct XdsModel
{
  XdsModelDomainState domain_state;
  gpointer data;
  XdsModelLimits limits;
  XdsModelTree *tree;
  GHashTable *history;
  guint64 clock;
  GPtrArray *peers;    /* of XdsModelPeer */
  GHashTable *domains; /* domid -> XdsModelDomain, those that were introduced */
  GHashTable *known;   /* domid -> unique id of the domain that lived there when it was looked at */
  XdsStatus hint;      /* what the engine answered, for the cases that are open */
  GHashTable *died;    /* domid -> when it died last */
};

XdsModelPeer *xds_model_add_peer (XdsModel *model, gint domid);
void xds_model_send (XdsModelPeer *peer, guint32 type, const void *payload, gsize len);
gint xds_model_target (XdsModel *model, gint domid);

/* --- events --- */

void xds_model_send_event (XdsModelPeer *peer, const XdsModelWatch *watch, const char *path);

/* Tells everybody who may know.  (element-type XdsModelChange) */
void xds_model_fire (XdsModel *model, GPtrArray *changes);

/* A domain came or went; @generic, @specific: the bare event and the one with its number. */
void xds_model_fire_domain (XdsModel *model, const char *name, guint domid, gboolean generic,
                            gboolean specific);

/* --- domains --- */

/* Is there such a domain?  It is remembered, so that its death is noticed. */
gboolean xds_model_exists (XdsModel *model, guint domid);
void xds_model_release (XdsModel *model, guint domid);

/* The store itself, as a privileged requester sees it. */
void xds_model_store_view (XdsModel *model, XdsModelView *view, GPtrArray *changes);
void xds_model_append_perms (GByteArray *answer, const GArray *perms);
