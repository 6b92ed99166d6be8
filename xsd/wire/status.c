/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The table is ordered as the wire's published error list, so that our enum and that list
 * can be compared line by line.  errno values come from the host's <errno.h> and are never
 * assumed to be equal to the enum.
 */

#include "xsd/wire/status.h"

#include <errno.h>
#include <string.h>

static const struct
{
  const char *name;
  int err;
} table[] = {
  { "OK", 0 },
#define XDS_STATUS_ROW(name) { #name, name },
  XDS_STATUS_LIST (XDS_STATUS_ROW)
#undef XDS_STATUS_ROW
};

_Static_assert(sizeof table / sizeof table[0] == XDS_STATUS_MAX, "one row a status");

const char *
xds_status_name (XdsStatus status)
{
  return (unsigned) status < XDS_STATUS_MAX ? table[status].name : "EINVAL";
}

XdsStatus
xds_status_from_name (const char *name, size_t len)
{
  for (unsigned i = 1; i < XDS_STATUS_MAX; i++)
    if (strlen (table[i].name) == len && memcmp (table[i].name, name, len) == 0)
      return i;
  return XDS_EINVAL;
}

int
xds_status_to_errno (XdsStatus status)
{
  return (unsigned) status < XDS_STATUS_MAX ? table[status].err : EINVAL;
}

XdsStatus
xds_status_from_errno (int err)
{
  for (unsigned i = 0; i < XDS_STATUS_MAX; i++)
    if (table[i].err == err)
      return i;
  return XDS_EINVAL;
}
