/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Lists are interned because hosts have many nodes and few distinct lists: a node pays a pointer
 * instead of a copy, and death of a domain visits lists instead of nodes.  The alternative, a walk
 * over the tree at each death, is what existing servers do and what stalls them.
 */

#include "xsd/core/acl.h"

#include <string.h>

static guint
acl_hash (gconstpointer key)
{
  const XdsAcl *acl = key;
  guint hash = acl->n;

  for (guint i = 0; i < acl->n; i++)
    hash = hash * 31 + acl->perms[i].domid * 8u + acl->perms[i].access;
  return hash * 2654435761u;
}

static gboolean
acl_equal (gconstpointer a, gconstpointer b)
{
  const XdsAcl *x = a, *y = b;

  return x->n == y->n && memcmp (x->perms, y->perms, x->n * sizeof (XdsPerm)) == 0;
}

void
xds_acl_table_init (XdsAclTable *table, XdsQuotas *quotas)
{
  table->quotas = quotas;
  table->lists = g_hash_table_new (acl_hash, acl_equal);
  table->by_domid = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) g_hash_table_unref);
}

void
xds_acl_table_clear (XdsAclTable *table)
{
  g_assert (g_hash_table_size (table->lists) == 0);
  g_clear_pointer (&table->lists, g_hash_table_unref);
  g_clear_pointer (&table->by_domid, g_hash_table_unref);
}

static void
index_add (XdsAclTable *table, XdsAcl *acl)
{
  for (guint i = 0; i < acl->n; i++)
    {
      gpointer domid = GUINT_TO_POINTER (acl->perms[i].domid);
      GHashTable *set = g_hash_table_lookup (table->by_domid, domid);

      if (set == NULL)
        {
          set = g_hash_table_new (NULL, NULL);
          g_hash_table_insert (table->by_domid, domid, set);
        }
      g_hash_table_add (set, acl);
    }
}

static void
index_remove (XdsAclTable *table, XdsAcl *acl)
{
  for (guint i = 0; i < acl->n; i++)
    {
      gpointer domid = GUINT_TO_POINTER (acl->perms[i].domid);
      GHashTable *set = g_hash_table_lookup (table->by_domid, domid);

      if (set == NULL)
        continue; /* named twice in the list */
      g_hash_table_remove (set, acl);
      if (g_hash_table_size (set) == 0)
        g_hash_table_remove (table->by_domid, domid);
    }
}

static XdsAcl *
acl_alloc (const XdsPerm *perms, guint n)
{
  XdsAcl *acl = g_malloc0 (sizeof (XdsAcl) + n * sizeof (XdsPerm));

  acl->ref = 1;
  acl->n = n;
  memcpy (acl->perms, perms, n * sizeof (XdsPerm));
  return acl;
}

XdsAcl *
xds_acl_get_retired (XdsAclTable *table, const XdsPerm *perms, guint n)
{
  XdsAcl *acl = acl_alloc (perms, n);

  acl->retired = TRUE;
  acl->account = xds_account_ref (table->quotas, perms[0].domid);
  return acl;
}

XdsAcl *
xds_acl_get (XdsAclTable *table, const XdsPerm *perms, guint n)
{
  XdsAcl *acl = acl_alloc (perms, n), *known;

  known = g_hash_table_lookup (table->lists, acl);
  if (known != NULL)
    {
      g_free (acl);
      return xds_acl_ref (known);
    }
  acl->account = xds_account_ref (table->quotas, perms[0].domid);
  g_hash_table_add (table->lists, acl);
  index_add (table, acl);
  return acl;
}

XdsAcl *
xds_acl_ref (XdsAcl *acl)
{
  acl->ref++;
  return acl;
}

void
xds_acl_retire (XdsAclTable *table, XdsAcl *acl)
{
  if (acl->retired)
    return;
  acl->retired = TRUE;
  g_hash_table_remove (table->lists, acl);
  index_remove (table, acl);
}

void
xds_acl_unref (XdsAclTable *table, XdsAcl *acl)
{
  if (acl == NULL || --acl->ref > 0)
    return;
  g_assert (acl->nodes == NULL);
  xds_acl_retire (table, acl);
  xds_account_unref (table->quotas, acl->account);
  g_free (acl);
}

XdsAcl *
xds_acl_with_owner (XdsAclTable *table, const XdsAcl *acl, guint domid)
{
  g_autofree XdsPerm *perms = g_memdup2 (acl->perms, acl->n * sizeof (XdsPerm));

  perms[0].domid = domid;
  return xds_acl_get (table, perms, acl->n);
}

XdsAcl *
xds_acl_without (XdsAclTable *table, const XdsAcl *acl, guint domid)
{
  g_autofree XdsPerm *perms = g_new (XdsPerm, acl->n);
  guint n = 1;

  perms[0] = acl->perms[0];
  for (guint i = 1; i < acl->n; i++)
    if (acl->perms[i].domid != domid)
      perms[n++] = acl->perms[i];
  return xds_acl_get (table, perms, n);
}

static gboolean
names (const XdsPerm *perm, guint domid, gint target)
{
  return (perm->access & XDS_PERM_INERT) == 0
         && (perm->domid == domid || (target >= 0 && perm->domid == (guint) target));
}

guint
xds_acl_access (const XdsAcl *acl, guint domid, gint target)
{
  if (names (&acl->perms[0], domid, target))
    return XDS_PERM_READ | XDS_PERM_WRITE;
  for (guint i = 1; i < acl->n; i++)
    if (names (&acl->perms[i], domid, target) || acl->perms[i].domid == XDS_DOMID_ANY)
      return acl->perms[i].access & (XDS_PERM_READ | XDS_PERM_WRITE);
  return acl->perms[0].access & (XDS_PERM_READ | XDS_PERM_WRITE);
}

GPtrArray *
xds_acl_table_naming (XdsAclTable *table, guint domid)
{
  GPtrArray *lists = g_ptr_array_new ();
  GHashTable *set = g_hash_table_lookup (table->by_domid, GUINT_TO_POINTER (domid));
  GHashTableIter iter;
  gpointer acl;

  if (set == NULL)
    return lists;
  g_hash_table_iter_init (&iter, set);
  while (g_hash_table_iter_next (&iter, &acl, NULL))
    g_ptr_array_add (lists, xds_acl_ref (acl));
  return lists;
}
