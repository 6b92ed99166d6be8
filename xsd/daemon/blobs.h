/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Domains' userdata in the daemon: the keeper of userdata/, in our loop, over our hypervisor,
 * with its news as watch events on @userdata/<domid>/<userid>.
 */

#include "xsd/daemon/domains.h"
#include "xsd/transport/loop.h"

typedef struct XdsBlobs XdsBlobs;

#define XDS_BLOBS_ALL "@userdata"

/* Told of a change; @path is below XDS_BLOBS_ALL, or that itself: anything may have changed. */
typedef void (*XdsBlobsFire) (gpointer data, const char *path);

/* All are borrowed, and must outlive it.  A missing folder is an error. */
XdsBlobs *xds_blobs_new (const XdsConfig *config, XdsLoop *loop, XdsBlobsFire fire, gpointer data,
                         XdsDomains *domains, GError **error);
void xds_blobs_free (XdsBlobs *self);

/* These are all domains now, some of which came, stopped or went: before anybody hears of it. */
void xds_blobs_domains (XdsBlobs *self, const XdsDomainV1 *domains, gsize n);

/* The domain was introduced, be it for the first time or after a soft reset. */
void xds_blobs_introduced (XdsBlobs *self, guint domid);

/* When it has to do something (monotonic time; -1: never), and doing what is due. */
gint64 xds_blobs_deadline (XdsBlobs *self);
void xds_blobs_tick (XdsBlobs *self, gint64 now);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsBlobs, xds_blobs_free)
