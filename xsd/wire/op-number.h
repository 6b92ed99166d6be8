/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The numbers of message types.  xen/io/xs_wire.h of the Xen that we build on has only some of
 * them (those after DIRECTORY_PART came with Xen 4.21 and 4.22), hence a list of our own; a
 * test holds the two against each other.
 */

enum
{
  XDS_OP_CONTROL = 0,
  XDS_OP_DIRECTORY = 1,
  XDS_OP_READ = 2,
  XDS_OP_GET_PERMS = 3,
  XDS_OP_WATCH = 4,
  XDS_OP_UNWATCH = 5,
  XDS_OP_TRANSACTION_START = 6,
  XDS_OP_TRANSACTION_END = 7,
  XDS_OP_INTRODUCE = 8,
  XDS_OP_RELEASE = 9,
  XDS_OP_GET_DOMAIN_PATH = 10,
  XDS_OP_WRITE = 11,
  XDS_OP_MKDIR = 12,
  XDS_OP_RM = 13,
  XDS_OP_SET_PERMS = 14,
  XDS_OP_WATCH_EVENT = 15,
  XDS_OP_ERROR = 16,
  XDS_OP_IS_DOMAIN_INTRODUCED = 17,
  XDS_OP_RESUME = 18,
  XDS_OP_SET_TARGET = 19,
  XDS_OP_RESTRICT = 20, /* removed from the protocol: answered ENOSYS */
  XDS_OP_RESET_WATCHES = 21,
  XDS_OP_DIRECTORY_PART = 22,
  XDS_OP_GET_FEATURE = 23,
  XDS_OP_SET_FEATURE = 24,
  XDS_OP_GET_QUOTA = 25,
  XDS_OP_SET_QUOTA = 26,
  XDS_OP_MAX = 27,
  XDS_OP_INVALID = 0xffff,
};

/* Bits of GET_FEATURE, SET_FEATURE and the ring's server_features. */
enum
{
  XDS_FEATURE_RECONNECTION = 1 << 0,
  XDS_FEATURE_ERROR = 1 << 1,
  XDS_FEATURE_WATCH_DEPTH = 1 << 2,
  XDS_FEATURE_DOMID_ANY = 1 << 3,
};
