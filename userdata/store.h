/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Userdata: blobs of bytes that belong to a domain, under a userid, in libxl's own files.
 *
 * Each call is complete in itself and takes libxl's lock where it changes something; there is no
 * state but the files and the hypervisor.  So programs that use this, libxl and xl can all work
 * on the same folder at the same time.  After new and set calls, one store may be used from
 * several threads.
 *
 * A domain that is dying is gone for whoever wants to store.  Readers take no lock.
 */

#include <gio/gio.h>

#include "userdata/backend.h"
#include "userdata/domain.h"
#include "userdata/error.h"
#include "userdata/lock.h"

G_BEGIN_DECLS

#define XDS_USERDATA_DEFAULT_FOLDER XDS_XEN_LIB_DIR

/* How long a call waits for a domain's lock unless told otherwise: libxl holds it over the slowest
   of its device changes, which waits for xenstore, but not longer than its own 10 s for a backend.
 */
#define XDS_USERDATA_DEFAULT_TIMEOUT (15 * G_USEC_PER_SEC)

/* 0 is unlimited.  Files of libxl count, but are never refused. */
typedef struct
{
  gsize item_bytes;   /* of one item */
  guint items;        /* of one domain */
  gsize domain_bytes; /* of all items of one domain */
} XdsUserdataLimits;

/* Twice the largest libxl-json seen; and a few megabytes are what a thousand guests may take. */
#define XDS_USERDATA_DEFAULT_LIMITS                                                                \
  {                                                                                                \
    64 * 1024, 64, 1024 * 1024                                                                     \
  }

/* The generation of what is not there: as a condition it means create, do not replace. */
#define XDS_USERDATA_NONE G_GUINT64_CONSTANT (0)

typedef struct
{
  char *userid; /* (owned) */
  gsize size;
  gint64 mtime;       /* microseconds since 1970 */
  guint64 generation; /* see file.c */
} XdsUserdataItem;

void xds_userdata_item_free (XdsUserdataItem *item);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsUserdataItem, xds_userdata_item_free)

typedef struct XdsUserdataStore XdsUserdataStore;

/* --- life --- */

/* @folder NULL is the default.  @hypervisor is copied; its data must outlive the store. */
XdsUserdataStore *xds_userdata_store_new (const char *folder,
                                          const XdsUserdataHypervisor *hypervisor, GError **error);

/* (transfer full) @backend.  @folder is what a keeper may watch; NULL where there is none. */
XdsUserdataStore *xds_userdata_store_new_with_backend (XdsUserdataBackend *backend,
                                                       const char *folder,
                                                       const XdsUserdataHypervisor *hypervisor);
void xds_userdata_store_free (XdsUserdataStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsUserdataStore, xds_userdata_store_free)

void xds_userdata_store_set_limits (XdsUserdataStore *store, const XdsUserdataLimits *limits);

/* Microseconds, XDS_USERDATA_LOCK_TRY or XDS_USERDATA_LOCK_FOREVER. */
void xds_userdata_store_set_timeout (XdsUserdataStore *store, gint64 timeout);

/* Default TRUE: what a call did survives a power cut once it returned. */
void xds_userdata_store_set_durable (XdsUserdataStore *store, gboolean durable);

/* NULL for a store over another backend than the system's. */
const char *xds_userdata_store_get_folder (XdsUserdataStore *store);

/* --- verbs --- */

/* What is stored, whole.  @ret_generation may be NULL in each of these calls. */
GBytes *xds_userdata_store_get (XdsUserdataStore *store, guint domid, const char *userid,
                                guint64 *ret_generation, GError **error);

/* As with libxl, no bytes means remove; here that is no error where there is nothing. */
gboolean xds_userdata_store_put (XdsUserdataStore *store, guint domid, const char *userid,
                                 GBytes *bytes, guint64 *ret_generation, GError **error);

/* The same if @generation is what is there; otherwise XDS_USERDATA_ERROR_CHANGED. */
gboolean xds_userdata_store_put_if (XdsUserdataStore *store, guint domid, const char *userid,
                                    GBytes *bytes, guint64 generation, guint64 *ret_generation,
                                    GError **error);

/* Given what is there (NULL: nothing), returns what shall be there: (transfer full), empty to
   remove, NULL with @error set to leave it.  Runs without the lock, again if somebody was faster.
 */
typedef GBytes *(*XdsUserdataUpdateFunc) (GBytes *old, gpointer data, GError **error);

gboolean xds_userdata_store_update (XdsUserdataStore *store, guint domid, const char *userid,
                                    XdsUserdataUpdateFunc func, gpointer data,
                                    guint64 *ret_generation, GError **error);

/* XDS_USERDATA_ERROR_ABSENT where there is nothing. */
gboolean xds_userdata_store_remove (XdsUserdataStore *store, guint domid, const char *userid,
                                    GError **error);

/* Everything of the domain, libxl's own data included; not the locks. */
gboolean xds_userdata_store_destroy_all (XdsUserdataStore *store, guint domid, GError **error);

/* --- queries --- */

XdsUserdataItem *xds_userdata_store_stat (XdsUserdataStore *store, guint domid, const char *userid,
                                          GError **error);

/* (element-type XdsUserdataItem) (transfer full), ordered by userid. */
GPtrArray *xds_userdata_store_list (XdsUserdataStore *store, guint domid, GError **error);

G_END_DECLS
