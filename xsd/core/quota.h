/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Limits, and the accounts that they are held against: one account a domain id, shared by
 * whatever was charged to it.
 */

#include <glib.h>

typedef enum
{
#define XDS_QUOTA(enumerator, name, value, text) XDS_QUOTA_##enumerator,
#include "xsd/core/quota.def"
#undef XDS_QUOTA
  XDS_QUOTA_N
} XdsQuota;

/* The quotas that count something an account holds; the rest bound one request. */
#define XDS_QUOTA_N_COUNTED (XDS_QUOTA_MEMORY + 1)

typedef struct
{
  guint domid;
  guint ref;
  guint own; /* bit per quota: limit[] overrides the global one */
  guint warned; /* bit per quota: 80 % was told already */
  guint64 limit[XDS_QUOTA_N];
  guint64 used[XDS_QUOTA_N_COUNTED];
  guint64 peak[XDS_QUOTA_N_COUNTED];
} XdsAccount;

typedef struct
{
  guint64 limit[XDS_QUOTA_N]; /* global; 0 unlimited */
  guint64 peak[XDS_QUOTA_N_COUNTED];
  GHashTable *accounts; /* (owned) (element-type domid XdsAccount) borrowed values */
} XdsQuotas;

void xds_quotas_init (XdsQuotas *quotas);
void xds_quotas_clear (XdsQuotas *quotas);

/* The account of @domid, made when there is none; released by xds_account_unref(). */
XdsAccount *xds_account_ref (XdsQuotas *quotas, guint domid);
void xds_account_unref (XdsQuotas *quotas, XdsAccount *account);
XdsAccount *xds_account_find (XdsQuotas *quotas, guint domid);
/* (transfer container) (element-type XdsAccount): in order of their domids */
GPtrArray *xds_quotas_accounts (XdsQuotas *quotas);

const char *xds_quota_name (XdsQuota quota);
int xds_quota_from_name (const char *name); /* -1: none */

/* What holds for @account (NULL: the global one); 0 is unlimited. */
guint64 xds_quota_limit (const XdsQuotas *quotas, const XdsAccount *account, XdsQuota quota);
void xds_account_set_limit (XdsAccount *account, XdsQuota quota, guint64 value);
void xds_account_clear_limits (XdsAccount *account);

/* May @total be reached?  Exactly the limit may. */
gboolean xds_quota_allows (const XdsQuotas *quotas, const XdsAccount *account, XdsQuota quota,
                           guint64 total);

/* Never fail: whether a charge is allowed is asked before. */
void xds_account_charge (XdsQuotas *quotas, XdsAccount *account, XdsQuota quota, guint64 n);
void xds_account_uncharge (XdsAccount *account, XdsQuota quota, guint64 n);
