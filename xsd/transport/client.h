/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The other end of the wire: a client of a store that some other process or domain serves, by its
 * unix socket or by the kernel's /dev/xen/xenbus.  It never waits, and comes back when the store
 * does.
 */

#include "xsd/transport/loop.h"
#include "xsd/wire/op-number.h"

typedef struct XdsStoreClient XdsStoreClient;

/* None may free the client. */
typedef struct
{
  /* There is a connection, for the first time or again: nothing of an earlier one stands. */
  void (*connected) (gpointer data, const char *path);

  /* There is none any more, or none yet; once for each @reason in a row. */
  void (*lost) (gpointer data, const char *reason);

  void (*event) (gpointer data, const char *path, const char *token);
} XdsStoreClientEvents;

/* @error_name: NULL, or the store's word for what is wrong, or "EIO" if the connection ended. */
typedef void (*XdsStoreReply) (gpointer data, guint domid, const char *error_name,
                               const guint8 *payload, gsize len);

/* Tries each of @paths (a strv, copied) in turn, now and for ever.  @loop is borrowed. */
XdsStoreClient *xds_store_client_new (XdsLoop *loop, const char *const *paths,
                                      const XdsStoreClientEvents *events, gpointer data);
void xds_store_client_free (XdsStoreClient *self);

/*
 * Sends a request whose payload is the strings up to NULL, each with its NUL; without a connection
 * it is dropped.  @reply (nullable) is called once with @domid, unless the client is freed before.
 */
void xds_store_client_send (XdsStoreClient *self, guint op, const char *const *strings,
                            XdsStoreReply reply, guint domid);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsStoreClient, xds_store_client_free)
