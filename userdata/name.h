/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Names of userdata: what a userid may be, and how libxl calls the file of one.
 * Pure functions of text.
 *
 *     userdata-<letter>.<domid>.<uuid>.<userid>
 *
 * letter: 'd' data, 'n' the new file before it replaces the old, 'l' locks.  The uuid is what the
 * hypervisor calls the domain's handle, in lower case.  All after it is the userid, dots included.
 */

#include <glib.h>

G_BEGIN_DECLS

/* A uuid as text, with its NUL. */
#define XDS_USERDATA_UUID_SIZE 37

/* Long enough for anything that is in use, short enough for every file system we know. */
#define XDS_USERDATA_USERID_MAX 128

/* The userid of libxl's lock over all of a domain's userdata; not one to store under. */
#define XDS_USERDATA_LOCK "domain-userdata-lock"

#define XDS_USERDATA_PREFIX "userdata-"

typedef struct
{
  char letter;
  guint domid;
  char uuid[XDS_USERDATA_UUID_SIZE];
  const char *userid; /* (transfer none): into the name that was parsed */
} XdsUserdataName;

/* May we store under it? */
gboolean xds_userdata_userid_valid (const char *userid);

/* May it be looked at and removed?  libxl stores under names that we refuse. */
gboolean xds_userdata_userid_readable (const char *userid);

/* Is it one of those that libxl and libvirt depend on?  Limits never refuse these. */
gboolean xds_userdata_userid_is_libxl (const char *userid);

/* @uuid must be valid, see below.  (transfer full) */
char *xds_userdata_file_name (char letter, guint domid, const char *uuid, const char *userid);

/* FALSE, and *ret_name untouched, for a file that is none of libxl's pattern. */
gboolean xds_userdata_name_parse (const char *file, XdsUserdataName *ret_name);

/* The same for what is stored for a guest: no lock, nothing half written, nothing of domain 0. */
gboolean xds_userdata_name_parse_data (const char *file, XdsUserdataName *ret_name);

/* 36 characters, lower case, dashes where they belong. */
gboolean xds_userdata_uuid_valid (const char *uuid);

/* The handle of a domain as text.  A hypervisor that cannot tell it gives zeros, which only domain
   0 may have: then "". */
void xds_userdata_uuid_format (guint domid, const guint8 bytes[16],
                               char ret_uuid[XDS_USERDATA_UUID_SIZE]);

G_END_DECLS
