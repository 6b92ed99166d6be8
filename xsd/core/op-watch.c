/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "xsd/core/state.h"

/* More than any path has, and what a stream has room for. */
#define DEPTH_MAX 0xfffe

static XdsStatus
parse_depth (XdsRequest *request, XdsSpan text, gint *ret_depth)
{
  guint64 depth;

  if (!(xds_peer_features (request->peer) & XDS_FEATURE_WATCH_DEPTH)
      || !xds_msg_parse_number (text, G_MAXINT32, &depth))
    return XDS_EINVAL;
  *ret_depth = MIN (depth, DEPTH_MAX);
  return XDS_OK;
}

static XdsStatus
add_watch (XdsRequest *request, XdsSpan token, gint depth)
{
  XdsEngine *engine = request->engine;
  XdsPeer *peer = request->peer;
  const XdsPath *path = &request->path;
  XdsStatus status;

  if (xds_watches_find (&engine->watches, peer, path->text, path->len, token.data, token.len))
    return XDS_EEXIST;
  status = xds_request_check (request, XDS_QUOTA_WATCHES,
                              peer->account->used[XDS_QUOTA_WATCHES] + 1);
  if (status == XDS_OK && !peer->privileged)
    status = xds_request_check (request, XDS_QUOTA_MEMORY,
                                peer->account->used[XDS_QUOTA_MEMORY]
                                    + xds_watch_cost_of (path->len,
                                                         xds_path_depth (path->text, path->len),
                                                         token.len));
  if (status != XDS_OK)
    return status;
  request->fresh = xds_peer_add_watch (peer, path, token.data, token.len, depth);
  return XDS_OK;
}

XdsStatus
xds_op_watch (XdsRequest *request)
{
  gint depth = XDS_WATCH_ANY_DEPTH;
  XdsSpan strings[3];
  XdsStatus status = XDS_OK;

  if (xds_msg_split (request->payload, strings, 3))
    status = parse_depth (request, strings[2], &depth);
  else if (!xds_msg_split (request->payload, strings, 2))
    return XDS_EINVAL;
  if (status == XDS_OK)
    status = xds_request_path (request, strings[0], XDS_PATH_SPECIAL_ALLOWED);
  return status == XDS_OK ? add_watch (request, strings[1], depth) : status;
}

XdsStatus
xds_op_unwatch (XdsRequest *request)
{
  XdsPeer *peer = request->peer;
  const XdsPath *path = &request->path;
  XdsSpan strings[2];
  XdsWatch *watch;
  XdsStatus status;

  if (!xds_msg_split (request->payload, strings, 2))
    return XDS_EINVAL;
  status = xds_request_path (request, strings[0], XDS_PATH_SPECIAL_ALLOWED);
  if (status != XDS_OK)
    return status;
  watch = xds_watches_find (&request->engine->watches, peer, path->text, path->len,
                            strings[1].data, strings[1].len);
  if (watch == NULL)
    return XDS_ENOENT;
  xds_peer_free_watch (peer, watch);
  return XDS_OK;
}

XdsStatus
xds_op_reset_watches (XdsRequest *request)
{
  request->txn = NULL;
  xds_peer_drop_watches (request->peer);
  xds_peer_drop_txns (request->peer);
  return XDS_OK;
}
