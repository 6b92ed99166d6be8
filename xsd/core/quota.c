/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * An account lives as long as something refers to it: a known domain, a permission list that the
 * domain owns, a peer.  So a dead domain's charges vanish with the things that they paid for, and a
 * new domain of the same id starts from what is really there.
 */

#include "xsd/core/quota.h"

static const struct
{
  const char *name;
  guint64 value;
} table[XDS_QUOTA_N] = {
#define XDS_QUOTA(enumerator, name, value, text) { name, value },
#include "xsd/core/quota.def"
#undef XDS_QUOTA
};

void
xds_quotas_init (XdsQuotas *quotas)
{
  *quotas = (XdsQuotas){ .accounts = g_hash_table_new (NULL, NULL) };
  for (guint i = 0; i < XDS_QUOTA_N; i++)
    quotas->limit[i] = table[i].value;
}

void
xds_quotas_clear (XdsQuotas *quotas)
{
  g_assert (g_hash_table_size (quotas->accounts) == 0);
  g_clear_pointer (&quotas->accounts, g_hash_table_unref);
}

XdsAccount *
xds_account_find (XdsQuotas *quotas, guint domid)
{
  return g_hash_table_lookup (quotas->accounts, GUINT_TO_POINTER (domid));
}

static int
compare_accounts (gconstpointer a, gconstpointer b)
{
  const XdsAccount *x = *(XdsAccount *const *) a, *y = *(XdsAccount *const *) b;

  return x->domid < y->domid ? -1 : x->domid > y->domid;
}

GPtrArray *
xds_quotas_accounts (XdsQuotas *quotas)
{
  GPtrArray *accounts = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer account;

  g_hash_table_iter_init (&iter, quotas->accounts);
  while (g_hash_table_iter_next (&iter, NULL, &account))
    g_ptr_array_add (accounts, account);
  g_ptr_array_sort (accounts, compare_accounts);
  return accounts;
}

XdsAccount *
xds_account_ref (XdsQuotas *quotas, guint domid)
{
  XdsAccount *account = xds_account_find (quotas, domid);

  if (account == NULL)
    {
      account = g_new0 (XdsAccount, 1);
      account->domid = domid;
      g_hash_table_insert (quotas->accounts, GUINT_TO_POINTER (domid), account);
    }
  account->ref++;
  return account;
}

void
xds_account_unref (XdsQuotas *quotas, XdsAccount *account)
{
  if (account == NULL || --account->ref > 0)
    return;
  for (guint i = 0; i < XDS_QUOTA_N_COUNTED; i++)
    g_assert (account->used[i] == 0);
  g_hash_table_remove (quotas->accounts, GUINT_TO_POINTER (account->domid));
  g_free (account);
}

const char *
xds_quota_name (XdsQuota quota)
{
  return table[quota].name;
}

int
xds_quota_from_name (const char *name)
{
  for (guint i = 0; i < XDS_QUOTA_N; i++)
    if (g_str_equal (table[i].name, name))
      return i;
  return -1;
}

guint64
xds_quota_limit (const XdsQuotas *quotas, const XdsAccount *account, XdsQuota quota)
{
  if (account != NULL && (account->own & (1u << quota)) != 0)
    return account->limit[quota];
  return quotas->limit[quota];
}

void
xds_account_set_limit (XdsAccount *account, XdsQuota quota, guint64 value)
{
  account->limit[quota] = value;
  account->own |= 1u << quota;
}

void
xds_account_clear_limits (XdsAccount *account)
{
  account->own = 0;
  account->warned = 0;
}

gboolean
xds_quota_allows (const XdsQuotas *quotas, const XdsAccount *account, XdsQuota quota, guint64 total)
{
  guint64 limit = xds_quota_limit (quotas, account, quota);

  return limit == 0 || total <= limit;
}

void
xds_account_charge (XdsQuotas *quotas, XdsAccount *account, XdsQuota quota, guint64 n)
{
  account->used[quota] += n;
  account->peak[quota] = MAX (account->peak[quota], account->used[quota]);
  if (account->domid != 0)
    quotas->peak[quota] = MAX (quotas->peak[quota], account->used[quota]);
}

void
xds_account_uncharge (XdsAccount *account, XdsQuota quota, guint64 n)
{
  g_assert (account->used[quota] >= n);
  account->used[quota] -= n;
}
