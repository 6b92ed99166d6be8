/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Which boot of the host is the folder's data of?  A sidecar says so: the file userdata-m.boot,
 * which no pattern of libxl's matches, holding the kernel's boot id.
 */

#include <glib.h>

#include "userdata/backend.h"

G_BEGIN_DECLS

#define XDS_USERDATA_BOOT_FILE "userdata-m.boot"

typedef enum
{
  XDS_BOOT_UNKNOWN, /* no sidecar: no keeper was ever here, or the boot id cannot be had */
  XDS_BOOT_CURRENT, /* a keeper cleaned in this boot */
  XDS_BOOT_EARLIER, /* a keeper was here, but not yet in this boot */
} XdsBootState;

XdsBootState xds_userdata_boot_state (XdsUserdataBackend *backend);

/* From now on the state is CURRENT. */
gboolean xds_userdata_boot_mark (XdsUserdataBackend *backend, GError **error);

/* Was a file written before this boot?  Meaningful in state EARLIER only. */
gboolean xds_userdata_boot_predates (XdsUserdataBackend *backend, const struct stat *st);

G_END_DECLS
