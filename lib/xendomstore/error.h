/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * XDS_ERROR:
 *
 * The domain of all errors of this library; codes are from #XdsError.
 */
#define XDS_ERROR (xds_error_quark ())

/**
 * XdsError:
 * @XDS_ERROR_EINVAL: the server did not understand the request, or a path is none
 * @XDS_ERROR_EACCES: the permissions of the node, or of the caller, forbid it
 * @XDS_ERROR_EEXIST: it is there already
 * @XDS_ERROR_EISDIR: never sent by known servers
 * @XDS_ERROR_ENOENT: no such node, watch, transaction or domain
 * @XDS_ERROR_ENOMEM: the server is out of memory, or a domain's memory quota is used up
 * @XDS_ERROR_ENOSPC: a quota is used up
 * @XDS_ERROR_EIO: the server could not do it
 * @XDS_ERROR_ENOTEMPTY: never sent by known servers
 * @XDS_ERROR_ENOSYS: the server has no such request
 * @XDS_ERROR_EROFS: never sent by known servers
 * @XDS_ERROR_EBUSY: not now: in a transaction, or too late
 * @XDS_ERROR_EAGAIN: the transaction met a conflict and has to be run again
 * @XDS_ERROR_EISCONN: the domain is connected already
 * @XDS_ERROR_E2BIG: longer than one message can be
 * @XDS_ERROR_EPERM: this change is not the caller's to make
 * @XDS_ERROR_CONNECT: no server could be reached
 * @XDS_ERROR_CLOSED: the connection is gone
 * @XDS_ERROR_PROTOCOL: the server sent what is no answer
 * @XDS_ERROR_TIMED_OUT: the time that was allowed is over
 * @XDS_ERROR_USAGE: the call itself is wrong, for example with a finished transaction
 * @XDS_ERROR_FAILED: userdata: the system failed; the message has its words
 * @XDS_ERROR_NO_DOMAIN: userdata: there is no such domain, or it is being torn down
 * @XDS_ERROR_ABSENT: userdata: nothing is stored under that name
 * @XDS_ERROR_EMPTY: userdata: a file without a byte, as a crash leaves it
 * @XDS_ERROR_BUSY: userdata: somebody held the domain's lock for too long
 * @XDS_ERROR_TOO_LARGE: userdata: over the limit for one item
 * @XDS_ERROR_TOO_MANY: userdata: over the number of items of a domain
 * @XDS_ERROR_DOMAIN_FULL: userdata: over the bytes of a domain
 * @XDS_ERROR_DISK_FULL: userdata: no space on the disk
 * @XDS_ERROR_READ_ONLY: userdata: the file system cannot be written
 * @XDS_ERROR_NO_FOLDER: userdata: the folder is missing
 * @XDS_ERROR_BAD_NAME: userdata: not a name to store under
 * @XDS_ERROR_NOT_REGULAR: userdata: there is something else than a file
 * @XDS_ERROR_FOREIGN: userdata: the file belongs to somebody else
 * @XDS_ERROR_CHANGED: userdata: somebody else was faster
 * @XDS_ERROR_DENIED: userdata: not allowed to this user
 * @XDS_ERROR_BAD_ARCHIVE: not something that an export of userdata, or a server, made
 *
 * Why a call failed.  The codes up to @XDS_ERROR_EPERM are the server's own answers.
 */
typedef enum
{
  XDS_ERROR_EINVAL = 1,
  XDS_ERROR_EACCES = 2,
  XDS_ERROR_EEXIST = 3,
  XDS_ERROR_EISDIR = 4,
  XDS_ERROR_ENOENT = 5,
  XDS_ERROR_ENOMEM = 6,
  XDS_ERROR_ENOSPC = 7,
  XDS_ERROR_EIO = 8,
  XDS_ERROR_ENOTEMPTY = 9,
  XDS_ERROR_ENOSYS = 10,
  XDS_ERROR_EROFS = 11,
  XDS_ERROR_EBUSY = 12,
  XDS_ERROR_EAGAIN = 13,
  XDS_ERROR_EISCONN = 14,
  XDS_ERROR_E2BIG = 15,
  XDS_ERROR_EPERM = 16,
  XDS_ERROR_CONNECT = 64,
  XDS_ERROR_CLOSED = 65,
  XDS_ERROR_PROTOCOL = 66,
  XDS_ERROR_TIMED_OUT = 67,
  XDS_ERROR_USAGE = 68,
  XDS_ERROR_FAILED = 80,
  XDS_ERROR_NO_DOMAIN = 81,
  XDS_ERROR_ABSENT = 82,
  XDS_ERROR_EMPTY = 83,
  XDS_ERROR_BUSY = 84,
  XDS_ERROR_TOO_LARGE = 85,
  XDS_ERROR_TOO_MANY = 86,
  XDS_ERROR_DOMAIN_FULL = 87,
  XDS_ERROR_DISK_FULL = 88,
  XDS_ERROR_READ_ONLY = 89,
  XDS_ERROR_NO_FOLDER = 90,
  XDS_ERROR_BAD_NAME = 91,
  XDS_ERROR_NOT_REGULAR = 92,
  XDS_ERROR_FOREIGN = 93,
  XDS_ERROR_CHANGED = 94,
  XDS_ERROR_DENIED = 95,
  XDS_ERROR_BAD_ARCHIVE = 96,
} XdsError;

GQuark xds_error_quark (void);

const char *xds_error_get_name (int code);

G_END_DECLS
