/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What other files of the library need of userdata.  Not installed. */

#include "lib/xendomstore/userdata.h"
#include "userdata/store.h"

/* (transfer none) */
XdsUserdataStore *xds_userdata_get_store (XdsUserdata *userdata);

/* Makes an error of userdata/ one of the library; always FALSE. */
gboolean xds_userdata_give_error (GError *own, GError **error);
