/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The header of a message and the strings of its payload.  All numbers are in the byte order
 * of the host, since both ends are on it.
 */

#include "xsd/wire/limits.h"
#include "xsd/wire/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef struct
{
  uint32_t type; /* XDS_OP_* of wire/op-number.h */
  uint32_t req_id;
  uint32_t tx_id;
  uint32_t len; /* of the payload that follows */
} XdsMsgHeader;

_Static_assert(sizeof (XdsMsgHeader) == 16, "as on the wire");

#define XDS_MSG_MAX (sizeof (XdsMsgHeader) + XDS_PAYLOAD_MAX)

typedef enum
{
  XDS_MSG_WHOLE,   /* a message starts at the span and is all there */
  XDS_MSG_PARTIAL, /* more bytes are needed */
  XDS_MSG_BAD,     /* the length breaks the protocol: nothing after it can be trusted */
} XdsMsgState;

/* Looks at the first message in @data; the header is valid unless XDS_MSG_PARTIAL. */
static inline XdsMsgState
xds_msg_peek (const uint8_t *data, size_t len, XdsMsgHeader *ret_header)
{
  if (len < sizeof *ret_header)
    return XDS_MSG_PARTIAL;
  memcpy (ret_header, data, sizeof *ret_header);
  if (ret_header->len > XDS_PAYLOAD_MAX)
    return XDS_MSG_BAD;
  return len - sizeof *ret_header < ret_header->len ? XDS_MSG_PARTIAL : XDS_MSG_WHOLE;
}

/* A borrowed piece of a payload. */
typedef struct
{
  const char *data;
  size_t len;
} XdsSpan;

/* Number of NUL bytes in the payload. */
unsigned xds_msg_count_strings (XdsSpan payload);

/* Takes the next NUL-terminated string off *@payload; FALSE when none is left. */
bool xds_msg_next_string (XdsSpan *payload, XdsSpan *ret_string);

/*
 * Splits a payload that must be exactly @n NUL-terminated strings.  FALSE, and nothing
 * written, when it is anything else.
 */
bool xds_msg_split (XdsSpan payload, XdsSpan *ret_strings, unsigned n);

/* A decimal number, digits only, at most @max; FALSE for anything else. */
bool xds_msg_parse_number (XdsSpan text, uint64_t max, uint64_t *ret_number);
