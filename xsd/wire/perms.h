/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One entry of a permission list: a letter and a domain id.  The letters live only here.
 * The first entry of a list names the owner, and its letter is what everybody else may do.
 */

#include "xsd/wire/limits.h"
#include "xsd/wire/status.h"

#include <stdint.h>

enum
{
  XDS_PERM_NONE = 0,
  XDS_PERM_READ = 1,
  XDS_PERM_WRITE = 2,
  /* The entry named a domain that did not exist: shown, but grants nothing. */
  XDS_PERM_INERT = 4,
};

typedef struct
{
  uint16_t domid;
  uint16_t access; /* XDS_PERM_* */
} XdsPerm;

/* Parses "n0", "b0x1f", ...; the number as strtoul base 0 reads it, at most 65535. */
XdsStatus xds_perm_parse (XdsPerm *ret_perm, const char *text);

/* Writes letter, number and NUL; the length without NUL. */
size_t xds_perm_print (const XdsPerm *perm, char text[XDS_PERM_TEXT_MAX]);

/* The letter of the stream and the wire, and back; '\0' / -1 for none such. */
char xds_perm_letter (unsigned access);
int xds_perm_from_letter (char letter);
