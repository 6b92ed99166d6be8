/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Error codes of userdata: their quark, their words, and which errno becomes which.
 *
 * One table holds what belongs to a code, so that a new code cannot be forgotten in one place.
 * ENOENT is not in the table of errnos: only the caller knows whether the file or the folder is
 * what is missing.
 */

#include "userdata/error.h"

#include <errno.h>

static const struct
{
  const char *name;
  XdsStatus status;
} codes[] = {
  [XDS_USERDATA_ERROR_FAILED] = { "failed", XDS_EIO },
  [XDS_USERDATA_ERROR_NO_DOMAIN] = { "no-domain", XDS_ENOENT },
  [XDS_USERDATA_ERROR_ABSENT] = { "absent", XDS_ENOENT },
  [XDS_USERDATA_ERROR_EMPTY] = { "empty", XDS_EIO },
  [XDS_USERDATA_ERROR_BUSY] = { "busy", XDS_EBUSY },
  [XDS_USERDATA_ERROR_TOO_LARGE] = { "too-large", XDS_E2BIG },
  [XDS_USERDATA_ERROR_TOO_MANY] = { "too-many", XDS_ENOSPC },
  [XDS_USERDATA_ERROR_DOMAIN_FULL] = { "domain-full", XDS_ENOSPC },
  [XDS_USERDATA_ERROR_DISK_FULL] = { "disk-full", XDS_ENOSPC },
  [XDS_USERDATA_ERROR_READ_ONLY] = { "read-only", XDS_EROFS },
  [XDS_USERDATA_ERROR_NO_FOLDER] = { "no-folder", XDS_ENOENT },
  [XDS_USERDATA_ERROR_BAD_NAME] = { "bad-name", XDS_EINVAL },
  [XDS_USERDATA_ERROR_NOT_REGULAR] = { "not-regular", XDS_EINVAL },
  [XDS_USERDATA_ERROR_FOREIGN] = { "foreign", XDS_EACCES },
  [XDS_USERDATA_ERROR_CHANGED] = { "changed", XDS_EAGAIN },
  [XDS_USERDATA_ERROR_DENIED] = { "denied", XDS_EACCES },
  [XDS_USERDATA_ERROR_BAD_ARCHIVE] = { "bad-archive", XDS_EINVAL },
};

G_STATIC_ASSERT (G_N_ELEMENTS (codes) == XDS_USERDATA_ERROR_MAX_);

G_DEFINE_QUARK (xds - userdata - error - quark, xds_userdata_error)

const char *
xds_userdata_error_name (XdsUserdataError code)
{
  return codes[(guint) code < G_N_ELEMENTS (codes) ? code : XDS_USERDATA_ERROR_FAILED].name;
}

XdsStatus
xds_userdata_error_status (XdsUserdataError code)
{
  return codes[(guint) code < G_N_ELEMENTS (codes) ? code : XDS_USERDATA_ERROR_FAILED].status;
}

static XdsUserdataError
code_of (int err)
{
  switch (err)
    {
    case ENOSPC:
    case EDQUOT:
      return XDS_USERDATA_ERROR_DISK_FULL;
    case EROFS:
      return XDS_USERDATA_ERROR_READ_ONLY;
    case ELOOP:
    case EISDIR:
    case ENXIO:
    case ENOTDIR:
      return XDS_USERDATA_ERROR_NOT_REGULAR;
    case EACCES:
    case EPERM:
      return XDS_USERDATA_ERROR_DENIED;
    default:
      return XDS_USERDATA_ERROR_FAILED;
    }
}

static const char *
advice (XdsUserdataError code)
{
  switch (code)
    {
    case XDS_USERDATA_ERROR_DISK_FULL:
      return "; free some space and try again";
    case XDS_USERDATA_ERROR_READ_ONLY:
      return "; remount the file system for writing";
    case XDS_USERDATA_ERROR_NOT_REGULAR:
      return "; userdata is kept in regular files only, remove what is there";
    case XDS_USERDATA_ERROR_DENIED:
      return "; userdata belongs to root, run this as root";
    default:
      return "";
    }
}

void
xds_userdata_set_errno (GError **error, int err, const char *what, const char *name)
{
  XdsUserdataError code = code_of (err);

  g_set_error (error, XDS_USERDATA_ERROR, code, "%s '%s': %s%s", what, name, g_strerror (err),
               advice (code));
}
