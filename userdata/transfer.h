/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * All of a domain's data as one archive, to follow a guest to another host, number or life.
 *
 * The format is text with the bytes in between, and can be read by eye:
 *
 *     xds-userdata 1\n
 *     item <userid> <size>\n<size bytes>\n        any number of times
 *     end <number of items> <SHA-256 of all before this line, in hex>\n
 *
 * In a userid, '%' and whatever is not printable ASCII is written as % and two hex digits.
 */

#include "userdata/store.h"

G_BEGIN_DECLS

typedef enum
{
  XDS_USERDATA_TRANSFER_NONE = 0,
  /* Export: without what libxl and libvirt make anew for the new domain by themselves. */
  XDS_USERDATA_TRANSFER_THIRD_PARTY = 1 << 0,
  /* Import: replace what is there.  Otherwise it is left alone, and that is no error. */
  XDS_USERDATA_TRANSFER_REPLACE = 1 << 1,
} XdsUserdataTransferFlags;

GBytes *xds_userdata_store_export (XdsUserdataStore *store, guint domid,
                                   XdsUserdataTransferFlags flags, GError **error);

/*
 * XDS_USERDATA_ERROR_BAD_ARCHIVE, and nothing is stored, if @archive is not whole.  Should an item
 * not be storable, those before it are; the message names it.  @ret_n, which may be NULL, is the
 * number of items stored.
 */
gboolean xds_userdata_store_import (XdsUserdataStore *store, guint domid, GBytes *archive,
                                    XdsUserdataTransferFlags flags, guint *ret_n, GError **error);

G_END_DECLS
