/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The model's peers, events and domains; its nodes are in model-tree.c, requests in
 * model-request.c.
 *
 * Every change is a list of changed paths first and events afterwards, for requests, for the end
 * of a transaction, and for the death of a domain alike.
 */

#include "tests/model-peer.h"

#include "xsd/wire/op-number.h"
#include "xsd/wire/path.h"

#include <string.h>

/* --- life --- */

static void
watch_free (gpointer data)
{
  XdsModelWatch *watch = data;

  g_free (watch->path);
  g_free (watch->token);
  g_free (watch);
}

static void
open_tx_free (gpointer data)
{
  xds_model_tx_free (((XdsModelOpenTx *) data)->tx);
  g_free (data);
}

void
xds_model_msg_free (XdsModelMsg *msg)
{
  g_byte_array_unref (msg->payload);
  g_free (msg);
}

static void
peer_free (gpointer data)
{
  XdsModelPeer *peer = data;

  g_ptr_array_unref (peer->watches);
  g_ptr_array_unref (peer->txs);
  g_queue_clear_full (&peer->out, (GDestroyNotify) xds_model_msg_free);
  g_free (peer);
}

XdsModelPeer *
xds_model_add_peer (XdsModel *model, gint domid)
{
  XdsModelPeer *peer = g_new0 (XdsModelPeer, 1);

  peer->model = model;
  peer->domid = domid;
  peer->watches = g_ptr_array_new_with_free_func (watch_free);
  peer->txs = g_ptr_array_new_with_free_func (open_tx_free);
  g_queue_init (&peer->out);
  g_ptr_array_add (model->peers, peer);
  return peer;
}

static void
add_fixed (XdsModel *model, const char *path, const char *any)
{
  g_autoptr (GArray) perms = g_array_new (FALSE, TRUE, sizeof (XdsPerm));
  XdsPerm perm = { 0, XDS_PERM_NONE };

  g_array_append_val (perms, perm);
  if (any != NULL && xds_perm_parse (&perm, any) == XDS_OK)
    g_array_append_val (perms, perm);
  xds_model_tree_add (model->tree, path, perms, ++model->clock);
}

XdsModel *
xds_model_new (XdsModelDomainState domain_state, void *data, const XdsModelLimits *limits)
{
  XdsModel *model = g_new0 (XdsModel, 1);

  model->domain_state = domain_state;
  model->data = data;
  model->limits = *limits;
  model->tree = xds_model_tree_new ();
  model->history = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  model->peers = g_ptr_array_new_with_free_func (peer_free);
  model->domains = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  model->known = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  model->died = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  add_fixed (model, "/", NULL);
  add_fixed (model, "/tool", NULL);
  add_fixed (model, "@introduceDomain", NULL);
  add_fixed (model, "@releaseDomain", "r32757");
  return model;
}

void
xds_model_free (XdsModel *model)
{
  if (model == NULL)
    return;
  g_ptr_array_unref (model->peers);
  g_hash_table_unref (model->tree);
  g_hash_table_unref (model->history);
  g_hash_table_unref (model->domains);
  g_hash_table_unref (model->known);
  g_hash_table_unref (model->died);
  g_free (model);
}

XdsModelPeer *
xds_model_add_socket (XdsModel *model)
{
  return xds_model_add_peer (model, -1);
}

XdsModelPeer *
xds_model_guest (XdsModel *model, guint domid)
{
  for (guint i = 0; i < model->peers->len; i++)
    {
      XdsModelPeer *peer = g_ptr_array_index (model->peers, i);

      if (peer->domid == (gint) domid)
        return peer;
    }
  return NULL;
}

void
xds_model_remove_peer (XdsModelPeer *peer)
{
  g_ptr_array_remove (peer->model->peers, peer);
}

void
xds_model_send (XdsModelPeer *peer, guint32 type, const void *payload, gsize len)
{
  XdsModelMsg *msg = g_new0 (XdsModelMsg, 1);

  msg->type = type;
  msg->payload = g_byte_array_new ();
  g_byte_array_append (msg->payload, payload, len);
  g_queue_push_tail (&peer->out, msg);
}

XdsModelMsg *
xds_model_receive (XdsModelPeer *peer)
{
  return g_queue_pop_head (&peer->out);
}

/* --- events --- */

void
xds_model_send_event (XdsModelPeer *peer, const XdsModelWatch *watch, const char *path)
{
  g_autoptr (GByteArray) payload = g_byte_array_new ();

  path += watch->skip;
  g_byte_array_append (payload, (const guint8 *) path, strlen (path) + 1);
  g_byte_array_append (payload, (const guint8 *) watch->token, strlen (watch->token) + 1);
  if (payload->len <= XDS_PAYLOAD_MAX)
    xds_model_send (peer, XDS_OP_WATCH_EVENT, payload->data, payload->len);
}

gint
xds_model_target (XdsModel *model, gint domid)
{
  XdsModelDomain *domain
      = domid >= 0 ? g_hash_table_lookup (model->domains, GINT_TO_POINTER (domid)) : NULL;

  return domain != NULL ? domain->target : -1;
}

static gboolean
readable (const XdsModelPeer *peer, const GArray *perms)
{
  return perms != NULL
         && (xds_model_access (perms, peer->domid, xds_model_target (peer->model, peer->domid))
             & XDS_PERM_READ);
}

/* May be told: whoever can read the node or its parent, now or before the change. */
static gboolean
may_be_told (const XdsModelPeer *peer, const XdsModelChange *change)
{
  XdsModelTree *tree = peer->model->tree;
  g_autofree char *above = xds_model_parent (change->path);
  const XdsModelNode *node = g_hash_table_lookup (tree, change->path);
  const XdsModelNode *parent = above != NULL ? g_hash_table_lookup (tree, above) : NULL;

  if (peer->domid < 0)
    return TRUE;
  if (readable (peer, change->old_perms) || readable (peer, change->old_parent))
    return TRUE;
  /* What comes after a removed one in the same place says nothing about it. */
  return !change->descendant
         && ((node != NULL && readable (peer, node->perms))
             || (parent != NULL && readable (peer, parent->perms)));
}

static gboolean
fits (const XdsModelWatch *watch, const XdsModelChange *change)
{
  if (change->descendant || change->path[0] == '@')
    return g_str_equal (watch->path, change->path);
  if (!xds_model_is_below (change->path, watch->path))
    return FALSE;
  return watch->depth < 0
         || (gint) xds_path_depth (change->path, strlen (change->path))
                    - (gint) xds_path_depth (watch->path, strlen (watch->path))
                <= watch->depth;
}

/* Outer watches first, and those of one path in the order of their setting. */
static void
fire_at (XdsModelPeer *peer, const XdsModelChange *change)
{
  for (guint depth = 0; depth <= xds_path_depth (change->path, strlen (change->path)); depth++)
    for (guint w = 0; w < peer->watches->len; w++)
      {
        const XdsModelWatch *watch = g_ptr_array_index (peer->watches, w);

        if (xds_path_depth (watch->path, strlen (watch->path)) == depth && fits (watch, change))
          xds_model_send_event (peer, watch, change->path);
      }
}

void
xds_model_fire (XdsModel *model, GPtrArray *changes)
{
  for (guint i = 0; i < changes->len; i++)
    for (guint p = 0; p < model->peers->len; p++)
      if (may_be_told (g_ptr_array_index (model->peers, p), g_ptr_array_index (changes, i)))
        fire_at (g_ptr_array_index (model->peers, p), g_ptr_array_index (changes, i));
}

/* A domain came or went, or (@generic alone or @specific alone) half of that was told already. */
void
xds_model_fire_domain (XdsModel *model, const char *name, guint domid, gboolean generic,
                       gboolean specific)
{
  g_autofree char *full = g_strdup_printf ("%s/%u", name, domid);
  const XdsModelNode *node = g_hash_table_lookup (model->tree, name);

  for (guint p = 0; p < model->peers->len; p++)
    {
      XdsModelPeer *peer = g_ptr_array_index (model->peers, p);

      if (!readable (peer, node->perms))
        continue;
      for (guint w = 0; w < peer->watches->len; w++)
        {
          const XdsModelWatch *watch = g_ptr_array_index (peer->watches, w);

          if (g_str_equal (watch->path, name) && watch->depth < 0 && generic)
            xds_model_send_event (peer, watch, name);
          else if (g_str_equal (watch->path, name) && watch->depth > 0 && specific)
            xds_model_send_event (peer, watch, full);
        }
      for (guint w = 0; w < peer->watches->len && specific; w++)
        if (g_str_equal (((XdsModelWatch *) g_ptr_array_index (peer->watches, w))->path, full))
          xds_model_send_event (peer, g_ptr_array_index (peer->watches, w), full);
    }
}

/* --- domains --- */

gboolean
xds_model_exists (XdsModel *model, guint domid)
{
  XdsDomainState state;

  if (!model->domain_state (model->data, domid, &state) || state.dying)
    return FALSE;
  if (domid != 0)
    g_hash_table_insert (model->known, GUINT_TO_POINTER (domid),
                         g_memdup2 (&state.unique_id, sizeof state.unique_id));
  return TRUE;
}

void
xds_model_store_view (XdsModel *model, XdsModelView *view, GPtrArray *changes)
{
  *view = (XdsModelView){ .tree = model->tree,
                          .history = model->history,
                          .clock = &model->clock,
                          .changes = changes,
                          .domid = -1,
                          .target = -1 };
}

static gint
compare_paths (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* Nodes that are never removed: domain 0 inherits them. */
static gboolean
is_fixed (const char *path)
{
  return path[0] == '@' || path[1] == '\0';
}

/* Whatever the domain owned goes, and wherever it was named it is named no more. */
static void
forget_in_tree (XdsModel *model, guint domid)
{
  g_autoptr (GPtrArray) changes
      = g_ptr_array_new_with_free_func ((GDestroyNotify) xds_model_change_free);
  g_autoptr (GPtrArray) paths = g_ptr_array_new ();
  GHashTableIter iter;
  XdsModelNode *node;
  XdsModelView view;

  xds_model_store_view (model, &view, changes);
  g_hash_table_iter_init (&iter, model->tree);
  while ((node = xds_model_tree_next (&iter)) != NULL)
    {
      guint n = node->perms->len;

      for (guint i = n; i-- > 1;)
        if (g_array_index (node->perms, XdsPerm, i).domid == domid)
          g_array_remove_index (node->perms, i);
      if (g_array_index (node->perms, XdsPerm, 0).domid == domid && !is_fixed (node->path))
        g_ptr_array_add (paths, node->path);
      else if (g_array_index (node->perms, XdsPerm, 0).domid == domid)
        g_array_index (node->perms, XdsPerm, n = 0).domid = 0;
      if (node->perms->len != n)
        xds_model_wrote (&view, XDS_MODEL_PERMS, node->path);
    }
  g_ptr_array_sort (paths, compare_paths);
  for (guint i = 0; i < paths->len; i++)
    {
      const char *path = g_ptr_array_index (paths, i);
      gboolean gone = FALSE;

      for (guint j = 0; j < i && !gone; j++)
        gone = xds_model_is_below (path, g_ptr_array_index (paths, j));
      if (gone)
        paths->pdata[i] = (gpointer) "none";
      else
        paths->pdata[i] = g_strdup (path);
    }
  for (guint i = 0; i < paths->len; i++)
    if (*(const char *) g_ptr_array_index (paths, i) == '/')
      {
        g_autofree char *path = g_ptr_array_index (paths, i);

        xds_model_remove (&view, path, TRUE);
      }
  xds_model_fire (model, changes);
}

void
xds_model_release (XdsModel *model, guint domid)
{
  XdsModelPeer *peer = xds_model_guest (model, domid);
  gboolean introduced = g_hash_table_remove (model->domains, GUINT_TO_POINTER (domid));
  GHashTableIter iter;
  gpointer domain;

  if (peer != NULL)
    xds_model_remove_peer (peer);
  g_hash_table_iter_init (&iter, model->domains);
  while (g_hash_table_iter_next (&iter, NULL, &domain))
    if (((XdsModelDomain *) domain)->target == (gint) domid)
      ((XdsModelDomain *) domain)->target = -1;
  forget_in_tree (model, domid);
  g_hash_table_insert (model->died, GUINT_TO_POINTER (domid),
                       g_memdup2 (&(guint64){ ++model->clock }, sizeof (guint64)));
  g_hash_table_remove (model->known, GUINT_TO_POINTER (domid));
  if (introduced)
    xds_model_fire_domain (model, "@releaseDomain", domid, TRUE, TRUE);
}

static const XdsDomainState *
find_state (const XdsDomainState *domains, gsize n, guint domid)
{
  for (gsize i = 0; i < n; i++)
    if (domains[i].domid == domid && !domains[i].dying)
      return &domains[i];
  return NULL;
}

void
xds_model_domains (XdsModel *model, const XdsDomainState *domains, gsize n)
{
  gboolean generic = FALSE;

  for (guint domid = 1; domid < XDS_DOMID_FIRST_RESERVED; domid++)
    {
      guint64 *unique = g_hash_table_lookup (model->known, GUINT_TO_POINTER (domid));
      const XdsDomainState *state = find_state (domains, n, domid);
      XdsModelDomain *domain;

      if (unique != NULL && (state == NULL || state->unique_id != *unique))
        xds_model_release (model, domid);
      domain = g_hash_table_lookup (model->domains, GUINT_TO_POINTER (domid));
      if (state != NULL && domain != NULL && state->shutdown && !domain->shutdown_told)
        {
          domain->shutdown_told = TRUE;
          generic = TRUE;
          xds_model_fire_domain (model, "@releaseDomain", domid, FALSE, TRUE);
        }
    }
  if (generic)
    xds_model_fire_domain (model, "@releaseDomain", 0, TRUE, FALSE);
}

/* --- the whole at a glance --- */

void
xds_model_append_perms (GByteArray *answer, const GArray *perms)
{
  for (guint i = 0; i < perms->len; i++)
    {
      char text[XDS_PERM_TEXT_MAX];
      gsize len = xds_perm_print (&g_array_index (perms, XdsPerm, i), text);

      g_byte_array_append (answer, (const guint8 *) text, len + 1);
    }
}

static void
dump_node (XdsModel *model, const char *path, GString *text)
{
  const XdsModelNode *node = g_hash_table_lookup (model->tree, path);
  g_autoptr (GPtrArray) children = xds_model_tree_children (model->tree, path);
  g_autoptr (GByteArray) perms = g_byte_array_new ();
  gsize len;
  const char *value = g_bytes_get_data (node->value, &len);

  xds_model_append_perms (perms, node->perms);
  g_string_append_printf (text, "%s = \"%.*s\"", path, (int) len, len > 0 ? value : "");
  for (guint i = 0; i < perms->len; i += strlen ((char *) perms->data + i) + 1)
    g_string_append_printf (text, " %s", perms->data + i);
  g_string_append_c (text, '\n');
  for (guint i = 0; i < children->len; i++)
    dump_node (model, ((XdsModelNode *) g_ptr_array_index (children, i))->path, text);
}

char *
xds_model_dump (XdsModel *model)
{
  GString *text = g_string_new (NULL);

  dump_node (model, "/", text);
  return g_string_free (text, FALSE);
}

void
xds_model_statistics (XdsModel *model, XdsModelStatistics *ret_statistics)
{
  XdsModelStatistics statistics = { 0 };
  GHashTableIter iter;
  const XdsModelNode *node;

  g_hash_table_iter_init (&iter, model->tree);
  while ((node = xds_model_tree_next (&iter)) != NULL)
    statistics.nodes += *node->path == '/';
  for (guint i = 0; i < model->peers->len; i++)
    {
      const XdsModelPeer *peer = g_ptr_array_index (model->peers, i);

      statistics.watches += peer->watches->len;
      statistics.transactions += peer->txs->len;
    }
  statistics.domains = g_hash_table_size (model->domains);
  *ret_statistics = statistics;
}
