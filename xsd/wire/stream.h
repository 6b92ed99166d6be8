/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The migration stream: what its records say, and a reader of it.  It is the one form in which a
 * store leaves its process: for live update, recovery, takeover and snapshots on disk.
 * core/stream.h writes it.
 *
 * Everything that a record points to lies in the input, and lives as long as that.
 */

#include "xsd/wire/msg.h"

#define XDS_STREAM_VERSION_MAX 2
#define XDS_STREAM_HEADER 16 /* bytes before the first record */
#define XDS_STREAM_ALIGN 8   /* of each record's start */

enum
{
  XDS_RECORD_END = 0,
  XDS_RECORD_GLOBAL = 1,
  XDS_RECORD_CONNECTION = 2,
  XDS_RECORD_WATCH = 3,
  XDS_RECORD_TRANSACTION = 4,
  XDS_RECORD_NODE = 5,
  XDS_RECORD_GLOBAL_QUOTA = 6,
  XDS_RECORD_DOMAIN = 7,
  XDS_RECORD_WATCH_EXTENDED = 8,
  XDS_RECORD_OWN = 0x58440000, /* "XD": from here on our own, which others skip */
};

#define XDS_RECORD_RING 0 /* kinds of connections */
#define XDS_RECORD_SOCKET 1
#define XDS_RECORD_NO_DOMID 0x7ff4 /* xen.h */
#define XDS_RECORD_DEPTH_ALL 0xffff
#define XDS_RECORD_READ 0x0001 /* of a node in a transaction; none of both: removed */
#define XDS_RECORD_WRITTEN 0x0002
#define XDS_RECORD_INERT 0x01 /* flag of a permission */

typedef struct
{
  int32_t socket_fd, evtchn_fd; /* -1: none */
} XdsRecordGlobal;

typedef struct
{
  uint32_t id;
  uint16_t kind;
  uint16_t domid, target; /* of a ring; target XDS_RECORD_NO_DOMID: none */
  uint32_t port;          /* ours, of a ring */
  int32_t socket_fd;      /* of a socket */
  bool has_unique_id;
  uint64_t unique_id;
  XdsSpan in;        /* read of the connection, and not yet executed */
  XdsSpan out;       /* not yet written to it */
  uint16_t resp_len; /* so many bytes of it end a message whose beginning was written */
} XdsRecordConnection;

typedef struct
{
  uint32_t conn_id;
  uint16_t depth;
  XdsSpan path, token; /* without NUL */
} XdsRecordWatch;

typedef struct
{
  uint32_t conn_id, txn_id;
} XdsRecordTransaction;

typedef struct
{
  uint8_t letter, flags;
  uint16_t domid;
} XdsRecordPerm;

_Static_assert(sizeof (XdsRecordPerm) == 4, "as in the stream");

typedef struct
{
  uint32_t conn_id, txn_id; /* 0, 0: of the store itself */
  uint16_t access;          /* raw: bits above the two of the format are ours */
  uint16_t n_perms;
  bool swapped;      /* perms are in the other byte order */
  const void *perms; /* XdsRecordPerm[n_perms]; xds_record_perm() reads it */
  XdsSpan path, value;
} XdsRecordNode;

/* Names with their values; xds_record_next_quota() takes one off. */
typedef struct
{
  uint16_t n;
  bool swapped;
  const void *values; /* uint32_t[n] */
  XdsSpan names;      /* n strings, each with its NUL */
} XdsRecordQuotas;

typedef struct
{
  uint16_t n_domain; /* so many of the quotas are for domains, the rest is for the whole store */
  XdsRecordQuotas quotas;
} XdsRecordGlobalQuota;

typedef struct
{
  uint16_t domid;
  uint32_t features;
  XdsRecordQuotas quotas;
} XdsRecordDomain;

typedef struct
{
  uint32_t type;
  bool known;    /* the format's own record; else body is all there is */
  size_t offset; /* of the record in the stream */
  size_t index;  /* the first one is 1 */
  XdsSpan body;  /* with its padding where the writer counted that */
  union
  {
    XdsRecordGlobal global;
    XdsRecordConnection connection;
    XdsRecordWatch watch; /* of both types */
    XdsRecordTransaction transaction;
    XdsRecordNode node;
    XdsRecordGlobalQuota global_quota;
    XdsRecordDomain domain;
  };
} XdsRecord;

/* What is wrong with a stream. */
typedef struct
{
  size_t index, offset; /* of the record; index 0: the header */
  uint32_t type;
  const char *reason; /* (static) */
} XdsStreamFault;

typedef struct
{
  const uint8_t *data;
  size_t len;
  size_t at;            /* what comes next */
  size_t index;         /* of the last record */
  unsigned version;     /* 0 before the first record */
  bool swapped;         /* the body is in the other byte order */
  bool may_stop;        /* for the caller to set: no END is needed after the last record */
  XdsStreamFault fault; /* valid after a FALSE */
} XdsStreamIn;

void xds_stream_in_init (XdsStreamIn *in, const void *data, size_t len);

/* The next record; one of type END is the last.  FALSE: damaged, see the fault. */
bool xds_stream_in_read (XdsStreamIn *in, XdsRecord *ret_record);

/* "NODE_DATA", ...; NULL for a type that is not of the format. */
const char *xds_record_type_name (uint32_t type);

/* The fault as one sentence; the text's length as of snprintf(). */
int xds_stream_fault_print (const XdsStreamFault *fault, char *text, size_t size);

XdsRecordPerm xds_record_perm (const XdsRecordNode *node, unsigned i);

/* Takes the first quota off; FALSE: none left. */
bool xds_record_next_quota (XdsRecordQuotas *quotas, XdsSpan *ret_name, uint32_t *ret_value);
