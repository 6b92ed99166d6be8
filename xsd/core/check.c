/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The invariants of the whole, checked by counting everything anew.
 */

#include "xsd/core/state.h"

typedef struct
{
  guint64 nodes, bytes;
  GHashTable *owned; /* domid -> number of nodes */
  char *fault;       /* (owned) (nullable) the first one */
} Check;

static void G_GNUC_PRINTF (2, 3)
complain (Check *check, const char *format, ...)
{
  va_list args;

  if (check->fault != NULL)
    return;
  va_start (args, format);
  check->fault = g_strdup_vprintf (format, args);
  va_end (args);
}

static void
check_dir (Check *check, XdsNode *node, const char *path)
{
  const XdsDir *dir = node->dir;
  guint32 live = 0, bytes = 0;

  for (guint32 i = 0; i < dir->n_entries; i++)
    {
      XdsNode *child = dir->entries[i];

      if (child == NULL)
        continue;
      live++;
      bytes += child->name_len + 1;
      if (child->parent != node)
        complain (check, "%s: a child has another parent", path);
      if (xds_dir_find (node, xds_node_name (child), child->name_len, child->hash) != child)
        complain (check, "%s: a child is not found by its name", path);
    }
  if (live != dir->n_live || bytes != dir->list_bytes || live == 0)
    complain (check, "%s: says %u children, has %u", path, dir->n_live, live);
}

static void
check_node (XdsNode *node, void *data)
{
  Check *check = data;
  gpointer owner = GUINT_TO_POINTER (xds_acl_owner (node->acl));
  char path[XDS_PATH_BUF];

  xds_node_path (node, path, sizeof path);
  check->nodes++;
  check->bytes += xds_node_cost (node->name_len, node->value_len);
  g_hash_table_insert (check->owned, owner,
                       GUINT_TO_POINTER (
                           GPOINTER_TO_UINT (g_hash_table_lookup (check->owned, owner)) + 1));
  if (node->flags & XDS_NODE_DETACHED)
    complain (check, "%s: was removed and is still there", path);
  if (node->acl->retired)
    complain (check, "%s: names a domain that died", path);
  if (node->dir != NULL)
    check_dir (check, node, path);
}

static void
check_accounts (XdsEngine *engine, Check *check)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, engine->quotas.accounts);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      const XdsAccount *account = value;
      guint n = GPOINTER_TO_UINT (
          g_hash_table_lookup (check->owned, GUINT_TO_POINTER (account->domid)));

      if (account->used[XDS_QUOTA_NODES] != n)
        complain (check, "domain %u: charged for %" G_GUINT64_FORMAT " nodes, owns %u",
                  account->domid, account->used[XDS_QUOTA_NODES], n);
    }
}

static void
check_peers (XdsEngine *engine, Check *check)
{
  guint64 peers = 0, watches = 0, transactions = 0;

  for (const XdsPeer *peer = engine->peers; peer != NULL; peer = peer->next)
    {
      guint n = 0;

      for (const XdsWatch *watch = peer->watches; watch != NULL; watch = watch->owner_next)
        n++;
      if (n != peer->n_watches)
        complain (check, "connection %" G_GUINT64_FORMAT ": says %u watches, has %u", peer->id,
                  peer->n_watches, n);
      watches += n;
      peers++;
      transactions += peer->txns != NULL ? peer->txns->len : 0;
    }
  if (peers != engine->statistics.peers || watches != engine->statistics.watches
      || transactions != engine->statistics.transactions)
    complain (check, "connections, watches or transactions are miscounted");
}

char *
xds_engine_check (XdsEngine *engine)
{
  Check check = { .owned = g_hash_table_new (NULL, NULL) };

  xds_node_walk (engine->store.root, check_node, &check);
  xds_node_walk (engine->store.special, check_node, &check);
  if (check.nodes != engine->store.n_nodes || check.bytes != engine->store.bytes)
    complain (&check, "counted %" G_GUINT64_FORMAT " nodes, %" G_GUINT64_FORMAT " are charged",
              check.nodes, engine->store.n_nodes);
  check_accounts (engine, &check);
  check_peers (engine, &check);
  g_hash_table_unref (check.owned);
  return check.fault;
}
