/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "xsd/core/store.h"

#include <string.h>

/* --- what a node is charged to: the owner's account, and the list of its permissions --- */

static void
enlist (XdsStore *store, XdsNode *node)
{
  XdsAcl *acl = node->acl;
  gsize cost = xds_node_cost (node->name_len, node->value_len);

  node->acl_prev = NULL;
  node->acl_next = acl->nodes;
  if (acl->nodes != NULL)
    acl->nodes->acl_prev = node;
  acl->nodes = node;
  xds_account_charge (store->quotas, acl->account, XDS_QUOTA_NODES, 1);
  xds_account_charge (store->quotas, acl->account, XDS_QUOTA_MEMORY, cost);
  store->n_nodes++;
  store->bytes += cost;
}

static void
delist (XdsStore *store, XdsNode *node)
{
  XdsAcl *acl = node->acl;
  gsize cost = xds_node_cost (node->name_len, node->value_len);

  if (node->acl_prev != NULL)
    node->acl_prev->acl_next = node->acl_next;
  else
    acl->nodes = node->acl_next;
  if (node->acl_next != NULL)
    node->acl_next->acl_prev = node->acl_prev;
  node->acl_prev = node->acl_next = NULL;
  xds_account_uncharge (acl->account, XDS_QUOTA_NODES, 1);
  xds_account_uncharge (acl->account, XDS_QUOTA_MEMORY, cost);
  store->n_nodes--;
  store->bytes -= cost;
}

/* --- life --- */

static XdsNode *
make_top (XdsStore *store, XdsAcl *acl, guint flags)
{
  XdsNode *node = xds_node_new ("", 0, acl, NULL, 0);

  node->flags = flags;
  enlist (store, node);
  return node;
}

static void
create_fixed (XdsStore *store, XdsNode *parent, const char *name, XdsAcl *acl)
{
  xds_store_create (store, parent, name, strlen (name), acl, NULL, 0)->flags |= XDS_NODE_FIXED;
}

void
xds_store_init (XdsStore *store, XdsQuotas *quotas)
{
  static const XdsPerm closed[] = { { 0, XDS_PERM_NONE } };
  static const XdsPerm watchable[] = { { 0, XDS_PERM_NONE }, { XDS_DOMID_ANY, XDS_PERM_READ } };
  XdsAcl *acl, *open;

  *store = (XdsStore){ .quotas = quotas };
  xds_acl_table_init (&store->acls, quotas);
  xds_history_init (&store->history, &store->acls);
  acl = xds_acl_get (&store->acls, closed, G_N_ELEMENTS (closed));
  open = xds_acl_get (&store->acls, watchable, G_N_ELEMENTS (watchable));
  store->root = make_top (store, acl, XDS_NODE_FIXED);
  store->special = make_top (store, acl, XDS_NODE_FIXED | XDS_NODE_SPECIAL);
  create_fixed (store, store->special, "@introduceDomain", acl);
  create_fixed (store, store->special, "@releaseDomain", open);
  xds_store_create (store, store->root, "tool", 4, acl, NULL, 0);
  xds_acl_unref (&store->acls, acl);
  xds_acl_unref (&store->acls, open);
}

static void
delist_visit (XdsNode *node, void *data)
{
  delist (data, node);
  node->flags |= XDS_NODE_DETACHED;
}

void
xds_store_clear (XdsStore *store)
{
  xds_node_walk (store->root, delist_visit, store);
  xds_node_walk (store->special, delist_visit, store);
  xds_node_free_tree (g_steal_pointer (&store->root), &store->acls);
  xds_node_free_tree (g_steal_pointer (&store->special), &store->acls);
  xds_history_clear (&store->history);
  xds_acl_table_clear (&store->acls);
}

/* --- looking --- */

XdsNode *
xds_store_top (XdsStore *store, const char *text, gsize *ret_pos)
{
  *ret_pos = text[0] == '@' ? 0 : 1;
  return text[0] == '@' ? store->special : store->root;
}

XdsNode *
xds_store_find (XdsStore *store, const char *text, gsize len, XdsNode **ret_near, gsize *ret_pos)
{
  gsize pos, start, name_len;
  XdsNode *node = xds_store_top (store, text, &pos), *child;
  const char *name;

  for (start = pos; xds_path_next (text, len, &pos, &name, &name_len); start = pos)
    {
      child = xds_dir_find (node, name, name_len, xds_name_hash (name, name_len));
      if (child == NULL)
        {
          if (ret_near != NULL)
            *ret_near = node;
          if (ret_pos != NULL)
            *ret_pos = start;
          return NULL;
        }
      node = child;
    }
  return node;
}

/* --- the four changes --- */

XdsNode *
xds_store_create (XdsStore *store, XdsNode *parent, const char *name, gsize len, XdsAcl *acl,
                  const void *value, gsize value_len)
{
  XdsNode *node = xds_node_new (name, len, acl, value, value_len);

  xds_history_linked (&store->history, parent, node);
  xds_dir_insert (parent, node, store->history.now,
                  !xds_history_holds_list (&store->history, parent));
  enlist (store, node);
  return node;
}

void
xds_store_set_value (XdsStore *store, XdsNode *node, const void *value, gsize len)
{
  xds_history_value (&store->history, node);
  if (len == node->value_len)
    {
      xds_node_set_value (node, value, len);
      return;
    }
  store->bytes += len - node->value_len;
  if (len > node->value_len)
    xds_account_charge (store->quotas, node->acl->account, XDS_QUOTA_MEMORY,
                        len - node->value_len);
  else
    xds_account_uncharge (node->acl->account, XDS_QUOTA_MEMORY, node->value_len - len);
  xds_node_set_value (node, value, len);
}

void
xds_store_set_acl (XdsStore *store, XdsNode *node, XdsAcl *acl)
{
  XdsAcl *old = node->acl;

  if (acl == old)
    {
      xds_history_acl (&store->history, node);
      return;
    }
  xds_history_acl (&store->history, node);
  delist (store, node);
  node->acl = xds_acl_ref (acl);
  enlist (store, node);
  xds_acl_unref (&store->acls, old);
}

void
xds_store_remove (XdsStore *store, XdsNode *node)
{
  guint64 bytes = store->bytes;
  XdsNode *parent = node->parent;

  g_assert ((node->flags & XDS_NODE_FIXED) == 0);
  xds_node_walk (node, delist_visit, store);
  xds_dir_remove (parent, node, store->history.now + 1);
  xds_history_unlinked (&store->history, parent, node, bytes - store->bytes);
}
