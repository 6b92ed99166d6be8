/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "xsd/wire/perms.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Indexed by XDS_PERM_READ | XDS_PERM_WRITE. */
static const char letters[] = "nrwb";

char
xds_perm_letter (unsigned access)
{
  return letters[access & (XDS_PERM_READ | XDS_PERM_WRITE)];
}

int
xds_perm_from_letter (char letter)
{
  const char *at = letter != '\0' ? strchr (letters, letter) : NULL;

  return at != NULL ? (int) (at - letters) : -1;
}

XdsStatus
xds_perm_parse (XdsPerm *ret_perm, const char *text)
{
  int access = xds_perm_from_letter (text[0]);
  unsigned long domid;
  char *end;

  /* strtoul itself would take blanks and signs. */
  if (access < 0 || text[1] < '0' || text[1] > '9')
    return XDS_EINVAL;
  errno = 0;
  domid = strtoul (text + 1, &end, 0);
  if (errno != 0 || *end != '\0' || domid > UINT16_MAX)
    return XDS_EINVAL;
  ret_perm->domid = domid;
  ret_perm->access = access;
  return XDS_OK;
}

size_t
xds_perm_print (const XdsPerm *perm, char text[XDS_PERM_TEXT_MAX])
{
  return snprintf (text, XDS_PERM_TEXT_MAX, "%c%u", xds_perm_letter (perm->access),
                   (unsigned) perm->domid);
}
