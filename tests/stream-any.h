/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Writing a record of whatever type as it was read, for tests; the product always knows which type
 * it writes.
 */

#include "xsd/core/stream.h"

static inline void
xds_stream_put_any (XdsStreamOut *out, const XdsRecord *record)
{
  switch (record->type)
    {
    case XDS_RECORD_END:
      xds_stream_put_end (out);
      break;
    case XDS_RECORD_GLOBAL:
      xds_stream_put_global (out, &record->global);
      break;
    case XDS_RECORD_CONNECTION:
      xds_stream_put_connection (out, &record->connection);
      break;
    case XDS_RECORD_WATCH:
    case XDS_RECORD_WATCH_EXTENDED:
      xds_stream_put_watch (out, &record->watch);
      break;
    case XDS_RECORD_TRANSACTION:
      xds_stream_put_transaction (out, &record->transaction);
      break;
    case XDS_RECORD_NODE:
      xds_stream_put_node (out, &record->node);
      break;
    case XDS_RECORD_GLOBAL_QUOTA:
      xds_stream_put_global_quota (out, &record->global_quota);
      break;
    case XDS_RECORD_DOMAIN:
      xds_stream_put_domain (out, &record->domain);
      break;
    default:
      memcpy (xds_stream_begin (out, record->type, record->body.len), record->body.data,
              record->body.len);
      break;
    }
}
