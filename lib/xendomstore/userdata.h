/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/**
 * XDS_USERDATA_CREATE:
 *
 * The generation of what is not stored: as a condition of xds_userdata_compare_and_store() it
 * means to create, and not to replace.
 */
#define XDS_USERDATA_CREATE G_GUINT64_CONSTANT (0)

/**
 * XdsUserdataEntry:
 * @userid: under which it is stored
 * @size: bytes
 * @mtime: when it was stored, in microseconds since 1970
 * @generation: tells this content from another one; never 0
 *
 * One thing that is stored for a domain.
 */
typedef struct
{
  char *userid;
  gsize size;
  gint64 mtime;
  guint64 generation;
} XdsUserdataEntry;

#define XDS_TYPE_USERDATA_ENTRY (xds_userdata_entry_get_type ())
GType xds_userdata_entry_get_type (void) G_GNUC_CONST;
XdsUserdataEntry *xds_userdata_entry_copy (const XdsUserdataEntry *entry);
void xds_userdata_entry_free (XdsUserdataEntry *entry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsUserdataEntry, xds_userdata_entry_free)

/**
 * XdsUserdataFinding:
 * @kind: "orphan" (of a domain that there is not), "other-uuid" (the number is another domain's
 *   now), "earlier-boot", "leftover" (of a store that was cut short), "stale-lock", "empty",
 *   "bad-name", "not-regular" or "foreign" (of another user)
 * @file: its name in the folder
 * @domid: the domain that it names
 * @fixed: whether it was removed
 *
 * One thing that is wrong in the folder.
 */
typedef struct
{
  char *kind;
  char *file;
  guint domid;
  gboolean fixed;
} XdsUserdataFinding;

#define XDS_TYPE_USERDATA_FINDING (xds_userdata_finding_get_type ())
GType xds_userdata_finding_get_type (void) G_GNUC_CONST;
XdsUserdataFinding *xds_userdata_finding_copy (const XdsUserdataFinding *finding);
void xds_userdata_finding_free (XdsUserdataFinding *finding);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsUserdataFinding, xds_userdata_finding_free)

/**
 * XdsUserdataModifyFunc:
 * @old: (nullable): what is stored, %NULL for nothing
 * @user_data: what was given to xds_userdata_update()
 * @error: where to say why it failed
 *
 * Makes new bytes of old ones. It may run more than once.
 *
 * Returns: (transfer full): the new bytes, none to remove what is stored; %NULL, with @error set,
 *   to leave it
 */
typedef GBytes *(*XdsUserdataModifyFunc) (GBytes *old, gpointer user_data, GError **error);

#define XDS_TYPE_USERDATA (xds_userdata_get_type ())
G_DECLARE_FINAL_TYPE (XdsUserdata, xds_userdata, XDS, USERDATA, GObject)

XdsUserdata *xds_userdata_new (const char *folder, const char *socket, GError **error);
void xds_userdata_set_timeout (XdsUserdata *userdata, int milliseconds);
void xds_userdata_set_durable (XdsUserdata *userdata, gboolean durable);
void xds_userdata_set_limits (XdsUserdata *userdata, gsize item_bytes, guint items,
                              gsize domain_bytes);

gboolean xds_userdata_store (XdsUserdata *userdata, guint domid, const char *userid,
                             const char *data, gsize length, GError **error);
gboolean xds_userdata_retrieve (XdsUserdata *userdata, guint domid, const char *userid,
                                char **ret_data, gsize *ret_length, guint64 *ret_generation,
                                GError **error);
gboolean xds_userdata_unlink (XdsUserdata *userdata, guint domid, const char *userid,
                              GError **error);
gboolean xds_userdata_compare_and_store (XdsUserdata *userdata, guint domid, const char *userid,
                                         const char *data, gsize length, guint64 generation,
                                         guint64 *ret_generation, GError **error);
gboolean xds_userdata_update (XdsUserdata *userdata, guint domid, const char *userid,
                              XdsUserdataModifyFunc func, gpointer user_data,
                              guint64 *ret_generation, GError **error);
GPtrArray *xds_userdata_list (XdsUserdata *userdata, guint domid, GError **error);
gboolean xds_userdata_destroy_all (XdsUserdata *userdata, guint domid, GError **error);

gboolean xds_userdata_watch (XdsUserdata *userdata, GError **error);

/* with any other loop, or none */
int xds_userdata_get_fd (XdsUserdata *userdata);
GIOCondition xds_userdata_get_events (XdsUserdata *userdata);
gboolean xds_userdata_dispatch (XdsUserdata *userdata);

/* all of a domain's, and all of the folder */
GBytes *xds_userdata_export (XdsUserdata *userdata, guint domid, gboolean third_party,
                             GError **error);
gboolean xds_userdata_import (XdsUserdata *userdata, guint domid, GBytes *archive,
                              gboolean replace, guint *ret_n, GError **error);
GPtrArray *xds_userdata_audit (XdsUserdata *userdata, gboolean fix, GError **error);

/* later */
void xds_userdata_store_async (XdsUserdata *userdata, guint domid, const char *userid,
                               const char *data, gsize length, GCancellable *cancellable,
                               GAsyncReadyCallback callback, gpointer user_data);
gboolean xds_userdata_store_finish (XdsUserdata *userdata, GAsyncResult *result, GError **error);

void xds_userdata_retrieve_async (XdsUserdata *userdata, guint domid, const char *userid,
                                  GCancellable *cancellable, GAsyncReadyCallback callback,
                                  gpointer user_data);
gboolean xds_userdata_retrieve_finish (XdsUserdata *userdata, GAsyncResult *result, char **ret_data,
                                       gsize *ret_length, guint64 *ret_generation, GError **error);

void xds_userdata_unlink_async (XdsUserdata *userdata, guint domid, const char *userid,
                                GCancellable *cancellable, GAsyncReadyCallback callback,
                                gpointer user_data);
gboolean xds_userdata_unlink_finish (XdsUserdata *userdata, GAsyncResult *result, GError **error);

void xds_userdata_compare_and_store_async (XdsUserdata *userdata, guint domid, const char *userid,
                                           const char *data, gsize length, guint64 generation,
                                           GCancellable *cancellable, GAsyncReadyCallback callback,
                                           gpointer user_data);
gboolean xds_userdata_compare_and_store_finish (XdsUserdata *userdata, GAsyncResult *result,
                                                guint64 *ret_generation, GError **error);

void xds_userdata_update_async (XdsUserdata *userdata, guint domid, const char *userid,
                                XdsUserdataModifyFunc func, gpointer func_data,
                                GDestroyNotify func_destroy, GCancellable *cancellable,
                                GAsyncReadyCallback callback, gpointer user_data);
gboolean xds_userdata_update_finish (XdsUserdata *userdata, GAsyncResult *result,
                                     guint64 *ret_generation, GError **error);

void xds_userdata_list_async (XdsUserdata *userdata, guint domid, GCancellable *cancellable,
                              GAsyncReadyCallback callback, gpointer user_data);
GPtrArray *xds_userdata_list_finish (XdsUserdata *userdata, GAsyncResult *result, GError **error);

void xds_userdata_destroy_all_async (XdsUserdata *userdata, guint domid, GCancellable *cancellable,
                                     GAsyncReadyCallback callback, gpointer user_data);
gboolean xds_userdata_destroy_all_finish (XdsUserdata *userdata, GAsyncResult *result,
                                          GError **error);

void xds_userdata_export_async (XdsUserdata *userdata, guint domid, gboolean third_party,
                                GCancellable *cancellable, GAsyncReadyCallback callback,
                                gpointer user_data);
GBytes *xds_userdata_export_finish (XdsUserdata *userdata, GAsyncResult *result, GError **error);

void xds_userdata_import_async (XdsUserdata *userdata, guint domid, GBytes *archive,
                                gboolean replace, GCancellable *cancellable,
                                GAsyncReadyCallback callback, gpointer user_data);
gboolean xds_userdata_import_finish (XdsUserdata *userdata, GAsyncResult *result, guint *ret_n,
                                     GError **error);

void xds_userdata_audit_async (XdsUserdata *userdata, gboolean fix, GCancellable *cancellable,
                               GAsyncReadyCallback callback, gpointer user_data);
GPtrArray *xds_userdata_audit_finish (XdsUserdata *userdata, GAsyncResult *result, GError **error);

G_END_DECLS
