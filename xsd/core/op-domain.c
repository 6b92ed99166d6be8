/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Operations on domains, their features and their quotas.
 */

#include "xsd/core/state.h"

#include <stdio.h>
#include <string.h>

#define DOMID_MAX 65535

static XdsStatus
parse_domid (XdsSpan text, guint *ret_domid)
{
  guint64 domid;

  if (!xds_msg_parse_number (text, DOMID_MAX, &domid))
    return XDS_EINVAL;
  *ret_domid = domid;
  return XDS_OK;
}

static XdsStatus
only_domid (XdsRequest *request, guint *ret_domid)
{
  XdsSpan text;

  if (!xds_msg_split (request->payload, &text, 1))
    return XDS_EINVAL;
  return parse_domid (text, ret_domid);
}

/* The introduced domain of a request that names just it. */
static XdsStatus
only_introduced (XdsRequest *request, XdsDomain **ret_domain)
{
  guint domid = 0;
  XdsStatus status = only_domid (request, &domid);
  XdsDomain *domain;

  if (status != XDS_OK)
    return status;
  domain = xds_domain_find (request->engine, domid);
  if (domain == NULL || !domain->introduced)
    return xds_domid_privileged (request->engine, domid) ? XDS_EINVAL : XDS_ENOENT;
  *ret_domain = domain;
  return XDS_OK;
}

XdsStatus
xds_op_introduce (XdsRequest *request)
{
  XdsSpan strings[3];
  guint64 gfn, port;
  guint domid;

  if (!xds_msg_split (request->payload, strings, 3) || parse_domid (strings[0], &domid) != XDS_OK
      || !xds_msg_parse_number (strings[1], G_MAXUINT64, &gfn)
      || !xds_msg_parse_number (strings[2], G_MAXUINT32, &port) || port == 0)
    return XDS_EINVAL;
  return xds_domain_introduce (request->engine, domid, gfn, port);
}

XdsStatus
xds_op_release (XdsRequest *request)
{
  XdsDomain *domain;
  XdsStatus status = only_introduced (request, &domain);

  if (status != XDS_OK)
    return status;
  if (xds_domid_privileged (request->engine, domain->domid))
    return XDS_EINVAL;
  xds_domain_release (request->engine, domain);
  return XDS_OK;
}

XdsStatus
xds_op_resume (XdsRequest *request)
{
  XdsDomain *domain;
  XdsStatus status = only_introduced (request, &domain);

  if (status == XDS_OK)
    domain->shutdown = FALSE;
  return status;
}

XdsStatus
xds_op_set_target (XdsRequest *request)
{
  XdsEngine *engine = request->engine;
  guint domid, target_domid;
  XdsDomain *domain, *target;
  XdsSpan strings[2];

  if (!xds_msg_split (request->payload, strings, 2) || parse_domid (strings[0], &domid) != XDS_OK
      || parse_domid (strings[1], &target_domid) != XDS_OK)
    return XDS_EINVAL;
  /* Standing in for the control domain would be to be it. */
  if (xds_domid_privileged (engine, target_domid))
    return XDS_EINVAL;
  domain = xds_domain_find (engine, domid);
  target = xds_domain_find (engine, target_domid);
  if (domain == NULL || !domain->introduced || target == NULL || !target->introduced)
    return XDS_ENOENT;
  domain->target = target_domid;
  engine->any_target = TRUE;
  return XDS_OK;
}

XdsStatus
xds_op_is_introduced (XdsRequest *request)
{
  guint domid = 0;
  XdsStatus status = only_domid (request, &domid);
  const XdsDomain *domain;

  if (status != XDS_OK)
    return status;
  domain = xds_domain_find (request->engine, domid);
  xds_request_reply_text (request, domid == XDS_DOMID_SELF
                                           || xds_domid_resident (request->engine, domid)
                                           || (domain != NULL && domain->introduced)
                                       ? "T"
                                       : "F");
  return XDS_OK;
}

XdsStatus
xds_op_get_domain_path (XdsRequest *request)
{
  XdsSpan text;
  guint domid = 0;
  char path[32];

  if (!xds_msg_split (request->payload, &text, 1)
      || (text.len > 0 && parse_domid (text, &domid) != XDS_OK))
    return XDS_EINVAL;
  snprintf (path, sizeof path, "/local/domain/%u", domid);
  xds_request_reply_text (request, path);
  return XDS_OK;
}

/* --- features --- */

static void
reply_number (XdsRequest *request, guint64 number)
{
  char text[24];

  snprintf (text, sizeof text, "%" G_GUINT64_FORMAT, number);
  xds_request_reply_text (request, text);
}

XdsStatus
xds_op_get_feature (XdsRequest *request)
{
  guint domid = 0;
  XdsDomain *domain;
  XdsStatus status;

  if (request->payload.len == 0)
    {
      reply_number (request, xds_peer_features (request->peer));
      return XDS_OK;
    }
  if (!request->peer->privileged)
    return XDS_EACCES;
  status = only_domid (request, &domid);
  if (status != XDS_OK)
    return status;
  domain = xds_domain_get (request->engine, domid);
  if (domain == NULL)
    return XDS_ENOENT;
  reply_number (request, domain->features);
  return XDS_OK;
}

XdsStatus
xds_op_set_feature (XdsRequest *request)
{
  XdsSpan strings[2];
  XdsDomain *domain;
  guint64 mask;
  guint domid;

  if (!xds_msg_split (request->payload, strings, 2) || parse_domid (strings[0], &domid) != XDS_OK
      || !xds_msg_parse_number (strings[1], G_MAXUINT32, &mask) || (mask & ~XDS_FEATURES_ALL) != 0)
    return XDS_EINVAL;
  domain = xds_domain_get (request->engine, domid);
  if (domain == NULL)
    return XDS_ENOENT;
  /* What was offered in a ring is never taken back. */
  if (domain->introduced || xds_domid_privileged (request->engine, domid))
    return XDS_EBUSY;
  domain->features = mask;
  return XDS_OK;
}

/* --- quotas --- */

static void
reply_quota_names (XdsRequest *request)
{
  g_autofree char *names = g_strjoinv (" ", (char **) xds_engine_quota_names ());

  xds_request_reply_text (request, names);
}

/* Whose quota a request is about: NULL is everybody's. */
static XdsStatus
quota_account (XdsRequest *request, XdsSpan domid_text, XdsAccount **ret_account)
{
  XdsDomain *domain;
  guint domid;

  *ret_account = NULL;
  if (domid_text.len == 0)
    return XDS_OK;
  if (parse_domid (domid_text, &domid) != XDS_OK)
    return XDS_EINVAL;
  domain = xds_domain_get (request->engine, domid);
  if (domain == NULL)
    return XDS_ENOENT;
  *ret_account = domain->account;
  return XDS_OK;
}

/* The strings of a request, of which the domid in front may be left out. */
static gboolean
split_quota (XdsRequest *request, XdsSpan *strings, guint n)
{
  strings[0] = (XdsSpan){ "", 0 };
  return xds_msg_split (request->payload, strings, n)
         || xds_msg_split (request->payload, strings + 1, n - 1);
}

XdsStatus
xds_op_get_quota (XdsRequest *request)
{
  XdsAccount *account;
  XdsSpan strings[2];
  XdsStatus status;
  int quota;

  if (request->payload.len == 0 || (request->payload.len == 1 && request->payload.data[0] == '\0'))
    {
      reply_quota_names (request);
      return XDS_OK;
    }
  if (!split_quota (request, strings, 2))
    return XDS_EINVAL;
  quota = xds_quota_from_name (strings[1].data);
  if (quota < 0)
    return XDS_EINVAL;
  status = quota_account (request, strings[0], &account);
  if (status == XDS_OK)
    reply_number (request, xds_quota_limit (&request->engine->quotas, account, quota));
  return status;
}

XdsStatus
xds_op_set_quota (XdsRequest *request)
{
  XdsAccount *account;
  XdsSpan strings[3];
  XdsStatus status;
  guint64 value;
  int quota;

  if (!split_quota (request, strings, 3))
    return XDS_EINVAL;
  quota = xds_quota_from_name (strings[1].data);
  if (quota < 0 || !xds_msg_parse_number (strings[2], G_MAXINT32, &value))
    return XDS_EINVAL;
  status = quota_account (request, strings[0], &account);
  if (status != XDS_OK)
    return status;
  if (account != NULL)
    xds_account_set_limit (account, quota, value);
  else
    request->engine->quotas.limit[quota] = value;
  return XDS_OK;
}
