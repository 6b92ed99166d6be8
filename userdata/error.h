/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What can go wrong with userdata.  Each condition is its own code, so that a caller never has to
 * read a message to know what to do; the message says what, where, why and what to do.
 * Whatever the code: nothing was changed.
 */

#include <glib.h>

#include "xsd/wire/status.h"

G_BEGIN_DECLS

#define XDS_USERDATA_ERROR (xds_userdata_error_quark ())

typedef enum
{
  XDS_USERDATA_ERROR_FAILED,      /* the system failed; the message has its words */
  XDS_USERDATA_ERROR_NO_DOMAIN,   /* there is no such domain, or it is being torn down */
  XDS_USERDATA_ERROR_ABSENT,      /* nothing is stored under that userid */
  XDS_USERDATA_ERROR_EMPTY,       /* a file without a byte: a store that a crash cut short */
  XDS_USERDATA_ERROR_BUSY,        /* somebody held the domain's lock for too long */
  XDS_USERDATA_ERROR_TOO_LARGE,   /* over the limit for one item */
  XDS_USERDATA_ERROR_TOO_MANY,    /* over the number of items of a domain */
  XDS_USERDATA_ERROR_DOMAIN_FULL, /* over the bytes of a domain */
  XDS_USERDATA_ERROR_DISK_FULL,
  XDS_USERDATA_ERROR_READ_ONLY, /* the file system is */
  XDS_USERDATA_ERROR_NO_FOLDER, /* the folder is missing */
  XDS_USERDATA_ERROR_BAD_NAME,  /* not a userid, or not a name that we store under */
  XDS_USERDATA_ERROR_NOT_REGULAR,
  XDS_USERDATA_ERROR_FOREIGN, /* the file belongs to somebody else */
  XDS_USERDATA_ERROR_CHANGED, /* compare-and-store: somebody was faster */
  XDS_USERDATA_ERROR_DENIED,
  XDS_USERDATA_ERROR_BAD_ARCHIVE, /* import: not something that export made */
  XDS_USERDATA_ERROR_MAX_,        /*< skip >*/
} XdsUserdataError;

GQuark xds_userdata_error_quark (void);

/* "no-domain", "absent", ...: a stable word for logs and JSON; never NULL. */
const char *xds_userdata_error_name (XdsUserdataError code);

/* How the wire would say it. */
XdsStatus xds_userdata_error_status (XdsUserdataError code);

/* Sets the code that belongs to @err, an errno, and a message that begins with @what and @name. */
void xds_userdata_set_errno (GError **error, int err, const char *what, const char *name);

G_END_DECLS
