/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The conditions that the xenstore wire can express, by the names that travel in an ERROR
 * message.  A handler that fails returns one of these; there is no other error in the core.
 */

#include <stddef.h>
#include <stdbool.h>

/* clang-format off: one column reads better */
#define XDS_STATUS_LIST(X) \
  X (EINVAL)               \
  X (EACCES)               \
  X (EEXIST)               \
  X (EISDIR)               \
  X (ENOENT)               \
  X (ENOMEM)               \
  X (ENOSPC)               \
  X (EIO)                  \
  X (ENOTEMPTY)            \
  X (ENOSYS)               \
  X (EROFS)                \
  X (EBUSY)                \
  X (EAGAIN)               \
  X (EISCONN)              \
  X (E2BIG)                \
  X (EPERM)
/* clang-format on */

typedef enum
{
  XDS_OK = 0,
#define XDS_STATUS_ENUM(name) XDS_##name,
  XDS_STATUS_LIST (XDS_STATUS_ENUM)
#undef XDS_STATUS_ENUM
  XDS_STATUS_MAX
} XdsStatus;

/* "OK", "ENOENT", ...; never NULL. */
const char *xds_status_name (XdsStatus status);

/* A name that is not in the table is EINVAL, as stock clients decide. */
XdsStatus xds_status_from_name (const char *name, size_t len);

/* The host's errno of a status and back; an errno outside the table becomes XDS_EINVAL. */
int xds_status_to_errno (XdsStatus status);
XdsStatus xds_status_from_errno (int err);
