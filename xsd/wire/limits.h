/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Every limit that the protocol sets.  Limits that an operator can change are quotas and
 * live in core/quota.def; these cannot be changed without a new protocol.
 */

/* xs_wire.h: payload of one message, without its header. */
#define XDS_PAYLOAD_MAX 4096

/* xs_wire.h: longest absolute path and longest relative path, without the NUL. */
#define XDS_PATH_ABS_MAX 3072
#define XDS_PATH_REL_MAX 2048

/* A buffer that holds any canonical path and its NUL. */
#define XDS_PATH_BUF (XDS_PATH_ABS_MAX + 1)

/* xen.h: ids from here on name no domain; the reserved ones that the protocol knows. */
#define XDS_DOMID_FIRST_RESERVED 0x7ff0
#define XDS_DOMID_SELF 0x7ff0
#define XDS_DOMID_ANY 0x7ff5

/* xs_wire.h: bytes in each direction of a shared ring. */
#define XDS_RING_SIZE 1024

/* Permission text: one letter, five digits, NUL. */
#define XDS_PERM_TEXT_MAX 7
