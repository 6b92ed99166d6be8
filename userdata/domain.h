/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What userdata must know of domains, and whom it asks.  Whoever uses a store provides this: the
 * daemon from its hypervisor plugin, the library from wherever it finds the truth.
 */

#include <glib.h>

#include "userdata/name.h"

G_BEGIN_DECLS

/* One domain at one moment. */
typedef struct
{
  guint domid;
  char uuid[XDS_USERDATA_UUID_SIZE]; /* the hypervisor's handle; "": it cannot tell */
  guint64 unique_id;                 /* tells incarnations apart; 0 where it cannot be told */
  gboolean shutdown;                 /* stopped by itself, perhaps kept */
  gboolean soft_reset;               /* shut down in order to be reset: it will live on */
  gboolean dying;                    /* will never run again */
} XdsUserdataDomain;

typedef struct
{
  /* XDS_USERDATA_ERROR_NO_DOMAIN if there is none; any other error means that it is not known. */
  gboolean (*one) (gpointer data, guint domid, XdsUserdataDomain *ret_domain, GError **error);

  /*
   * All domains at one moment: never pieced together, since what is missing is taken for dead.
   * (element-type XdsUserdataDomain) (transfer full).  May be NULL where nothing is swept.
   */
  GArray *(*all) (gpointer data, GError **error);

  gpointer data; /* (unowned) */
} XdsUserdataHypervisor;

/* The owner of that uuid may be this domain: whoever removes must take it for him. */
static inline gboolean
xds_userdata_domain_may_be (const XdsUserdataDomain *domain, const char *uuid)
{
  return domain->uuid[0] == '\0' || g_str_equal (domain->uuid, uuid);
}

/* The same life of the same domain? */
static inline gboolean
xds_userdata_domain_same (const XdsUserdataDomain *a, const XdsUserdataDomain *b)
{
  return a->domid == b->domid && g_str_equal (a->uuid, b->uuid)
         && (a->unique_id == b->unique_id || a->unique_id == 0 || b->unique_id == 0);
}

G_END_DECLS
