/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A folder of userdata in one call: a temporary folder, a pretend hypervisor with a table of
 * domains, a backend that can be made to fail, and a store over them.
 *
 * xds_userdata_world_free() asserts that no descriptor was left open and removes the folder.
 */

#include "userdata/keeper.h"
#include "userdata/store.h"

/* A uuid that ends in the digits of @n; valid until this has been called four times more. */
const char *xds_test_uuid (guint n);

typedef struct XdsUserdataWorld XdsUserdataWorld;

/* Asked before each call of the backend that could fail; a negative errno makes it fail. */
typedef int (*XdsUserdataFaultFunc) (const char *call, const char *name, gpointer data);

struct XdsUserdataWorld
{
  char *folder;            /* (owned) */
  XdsUserdataStore *store; /* (owned) */
  GHashTable *domains;     /* (owned): domid to XdsUserdataDomain */
  gboolean down;           /* the hypervisor does not answer */
  guint asked;             /* times that one domain was asked for */
  guint listed;            /* times that all were */

  /* Called when a domain is asked for, before the answer; (nullable) */
  void (*on_ask) (XdsUserdataWorld *world, guint domid);

  XdsUserdataFaultFunc fault; /* (nullable) */
  gpointer fault_data;
  const char *boot_id;
  gint64 booted; /* real time */
  guint fds;     /* open when the world was made */
};

XdsUserdataWorld *xds_userdata_world_new (void);
void xds_userdata_world_free (XdsUserdataWorld *world);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsUserdataWorld, xds_userdata_world_free)

/* Domains.  The uuid is that of xds_test_uuid(). */
XdsUserdataDomain *xds_userdata_world_add (XdsUserdataWorld *world, guint domid, guint uuid);
void xds_userdata_world_kill (XdsUserdataWorld *world, guint domid);

/* Another store over the same folder, as another program would have; (transfer full) */
XdsUserdataStore *xds_userdata_world_other_store (XdsUserdataWorld *world);

/* Files, by hand. */
void xds_userdata_world_write (XdsUserdataWorld *world, const char *name, const char *text);
char *xds_userdata_world_read (XdsUserdataWorld *world, const char *name); /* (nullable) */
gboolean xds_userdata_world_has (XdsUserdataWorld *world, const char *name);

/* All names in the folder, sorted, with a blank between; the sidecar of the boot is left out. */
char *xds_userdata_world_ls (XdsUserdataWorld *world);

/* Of pointers to strings, for g_ptr_array_sort(). */
gint xds_test_compare_names (gconstpointer a, gconstpointer b);

/* Puts @text, and asserts that it worked. */
guint64 xds_userdata_world_put (XdsUserdataWorld *world, guint domid, const char *userid,
                                const char *text);

/* What is stored, or NULL where get says absent; other errors end the test. */
char *xds_userdata_world_get (XdsUserdataWorld *world, guint domid, const char *userid);
