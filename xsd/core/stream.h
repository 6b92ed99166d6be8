/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The writer of the migration stream, and reading it with errors as text (wire/stream.h has the
 * records and the reader proper).
 */

#include <glib.h>

#include "xsd/wire/stream.h"

/* Where records go: memory that grows by its owner's function. */
typedef struct XdsStreamOut XdsStreamOut;
struct XdsStreamOut
{
  guint8 *data; /* (unowned) */
  gsize used, room;
  /* Makes room for @at_least bytes behind used, and may move data; FALSE: it cannot. */
  gboolean (*more) (XdsStreamOut *out, gsize at_least);
  gboolean failed; /* more() could not: nothing was written since */
};

/* On the heap; to be cleared. */
void xds_stream_out_heap (XdsStreamOut *out);
void xds_stream_out_clear (XdsStreamOut *out);

/* Of xds_stream_begin(), where there is no room. */
gboolean xds_stream_out_grow (XdsStreamOut *out, gsize at_least);

/*
 * Writes a record's header, and zeros where padding will be; the body, @body_len bytes, is to be
 * written to what is returned before the next call.  NULL when out of room.  The length that the
 * record gives is the padded one, as C xenstored needs it.
 */
static inline guint8 *
xds_stream_begin (XdsStreamOut *out, guint32 type, gsize body_len)
{
  gsize padded = (body_len + XDS_STREAM_ALIGN - 1) & ~(gsize) (XDS_STREAM_ALIGN - 1);
  const guint32 header[2] = { type, (guint32) padded };
  guint8 *at;

  if (G_UNLIKELY (out->failed || out->room - out->used < padded + sizeof header)
      && !xds_stream_out_grow (out, padded + sizeof header))
    return NULL;
  at = out->data + out->used;
  memcpy (at, header, sizeof header);
  at += sizeof header;
  if (padded != body_len)
    memset (at + padded - XDS_STREAM_ALIGN, 0, XDS_STREAM_ALIGN);
  out->used += sizeof header + padded;
  return at;
}

/* What a stream begins with; @version 1 or 2. */
void xds_stream_put_header (XdsStreamOut *out, guint version);

/* All numbers go out in the order of this host.  Lengths must fit the format's fields. */
void xds_stream_put_end (XdsStreamOut *out);
void xds_stream_put_global (XdsStreamOut *out, const XdsRecordGlobal *record);
void xds_stream_put_connection (XdsStreamOut *out, const XdsRecordConnection *record);
void xds_stream_put_watch (XdsStreamOut *out, const XdsRecordWatch *record);
void xds_stream_put_transaction (XdsStreamOut *out, const XdsRecordTransaction *record);
void xds_stream_put_node (XdsStreamOut *out, const XdsRecordNode *record);
void xds_stream_put_global_quota (XdsStreamOut *out, const XdsRecordGlobalQuota *record);
void xds_stream_put_domain (XdsStreamOut *out, const XdsRecordDomain *record);

/* As xds_stream_in_read(); FALSE with *ret_why (transfer full): damaged, in one sentence. */
gboolean xds_stream_in_next (XdsStreamIn *in, XdsRecord *ret_record, char **ret_why);

/*
 * Reads all of a stream to its END, and finds out whether its records fit together: what a record
 * names stands before it, nothing is there twice.  For a stream that is to replace a state.
 */
gboolean xds_stream_verify (const void *data, gsize len, char **ret_why);
