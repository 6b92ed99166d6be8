/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The façade.  What a host may do with the store, in terms of the parts.
 */

#include "xsd/core/state.h"

#include <string.h>

/* Rare among clients that wait now and then: for them nothing changes. */
#define FAVOUR_AFTER 8

XdsEngine *
xds_engine_new (const XdsHost *host, void *data)
{
  XdsEngine *engine = g_new0 (XdsEngine, 1);

  engine->host = host;
  engine->host_data = data;
  xds_journal_init (&engine->journal);
  engine->favour_after = FAVOUR_AFTER;
  engine->scratch = g_malloc (XDS_PAYLOAD_MAX);
  engine->domains = g_hash_table_new (NULL, NULL);
  xds_quotas_init (&engine->quotas);
  xds_store_init (&engine->store, &engine->quotas);
  xds_watches_init (&engine->watches);
  return engine;
}

void
xds_engine_free (XdsEngine *engine)
{
  g_autoptr (GList) domains = NULL;

  if (engine == NULL)
    return;
  xds_engine_set_journal (engine, NULL);
  while (engine->peers != NULL)
    xds_peer_free (engine->peers);
  domains = g_hash_table_get_values (engine->domains);
  for (GList *l = domains; l != NULL; l = l->next)
    xds_domain_free (engine, l->data);
  g_hash_table_unref (engine->domains);
  xds_watches_clear (&engine->watches);
  xds_store_clear (&engine->store);
  xds_quotas_clear (&engine->quotas);
  g_free (engine->spare_in);
  g_free (engine->spare_out);
  g_free (engine->scratch);
  xds_journal_clear (&engine->journal);
  g_free (engine);
}

void
xds_engine_seed (guint64 seed)
{
  xds_name_hash_seed (seed);
}

static void
set (XdsEngine *engine, XdsJournalSetting which, guint *setting, guint value)
{
  gboolean begun = xds_journal_begin_call (engine, XDS_RECORD_SET, which, value);

  *setting = value;
  xds_journal_end (engine, begun);
}

void
xds_engine_set_store_domid (XdsEngine *engine, guint domid)
{
  set (engine, XDS_SET_STORE_DOMID, &engine->store_domid, domid);
}

void
xds_engine_set_privileged_domid (XdsEngine *engine, guint domid)
{
  set (engine, XDS_SET_PRIVILEGED_DOMID, &engine->privileged_domid, domid);
}

void
xds_engine_set_keep_orphans (XdsEngine *engine, gboolean keep)
{
  gboolean begun = xds_journal_begin_call (engine, XDS_RECORD_SET, XDS_SET_KEEP_ORPHANS, keep);

  engine->keep_orphans = keep;
  xds_journal_end (engine, begun);
}

void
xds_engine_set_favour_after (XdsEngine *engine, guint conflicts)
{
  set (engine, XDS_SET_FAVOUR_AFTER, &engine->favour_after, conflicts);
}

void
xds_engine_set_patience (XdsEngine *engine, gint64 patience)
{
  engine->line.patience = patience;
}

XdsPeer *
xds_engine_add_socket_peer (XdsEngine *engine, const XdsSocketIdentity *identity)
{
  const XdsRecordSocket record = { .peer = engine->last_peer_id + 1, .identity = *identity };
  gboolean begun = xds_journal_begin (engine, XDS_RECORD_ADD_SOCKET, &XDS_PART (record), 1);
  XdsPeer *peer = xds_peer_new (engine, NULL, identity);

  xds_journal_end (engine, begun);
  return peer;
}

void
xds_engine_remove_peer (XdsEngine *engine, XdsPeer *peer)
{
  gboolean begun;

  if (peer == NULL)
    return;
  begun = xds_journal_begin_call (engine, XDS_RECORD_REMOVE, peer->id, 0);
  if (peer->domain != NULL)
    peer->domain->introduced = FALSE;
  xds_peer_free (peer);
  xds_journal_end (engine, begun);
}

XdsPeer *
xds_engine_oldest_peer (const XdsEngine *engine)
{
  XdsPeer *peer = engine->peers;

  while (peer != NULL && peer->next != NULL)
    peer = peer->next;
  return peer;
}

XdsPeer *
xds_engine_find_peer (XdsEngine *engine, guint64 id)
{
  XdsPeer *peer = engine->peers;

  if (engine->by_id != NULL)
    return g_hash_table_lookup (engine->by_id, &id);
  while (peer != NULL && peer->id != id)
    peer = peer->next;
  return peer;
}

/* --- time --- */

void
xds_engine_tick (XdsEngine *engine, gint64 now)
{
  engine->now = MAX (engine->now, now);
  xds_line_tick (engine);
}

gint64
xds_engine_next_deadline (XdsEngine *engine)
{
  return xds_line_deadline (engine);
}

/* --- quotas --- */

const char *const *
xds_engine_quota_names (void)
{
  static const char *const names[] = {
#define XDS_QUOTA(enumerator, name, value, text) name,
#include "xsd/core/quota.def"
#undef XDS_QUOTA
    NULL
  };

  return names;
}

gboolean
xds_engine_set_quota (XdsEngine *engine, const char *name, guint64 value)
{
  int quota = xds_quota_from_name (name);
  const XdsRecordText head = { value, strlen (name) + 1 };
  gboolean begun;

  if (quota < 0)
    return FALSE;
  begun = xds_journal_begin (engine, XDS_RECORD_QUOTA,
                             (XdsSpan[]){ XDS_PART (head), { name, head.len } }, 2);
  engine->quotas.limit[quota] = value;
  xds_journal_end (engine, begun);
  return TRUE;
}

gboolean
xds_engine_get_quota (XdsEngine *engine, const char *name, guint64 *ret_value)
{
  int quota = xds_quota_from_name (name);

  if (quota < 0)
    return FALSE;
  *ret_value = engine->quotas.limit[quota];
  return TRUE;
}

void
xds_engine_notice (XdsEngine *engine, XdsNoticeKind kind, XdsPeer *peer, guint domid,
                   const char *what, const char *path, guint64 used, guint64 allowed)
{
  const XdsNotice notice = {
    .kind = kind,
    .domid = domid,
    .peer = peer,
    .what = what,
    .path = path,
    .op = engine->op,
    .used = used,
    .allowed = allowed,
  };

  if (engine->host->notice != NULL)
    engine->host->notice (engine->host_data, &notice);
}

/* --- nodes --- */

XdsStatus
xds_engine_write (XdsEngine *engine, const char *text, const void *value, gsize len)
{
  XdsStore *store = &engine->store;
  XdsNode *node, *near;
  XdsRecordText head;
  gboolean begun;
  XdsSpan name;
  XdsPath path;
  gsize pos;

  if (text[0] != '/' || len > XDS_PAYLOAD_MAX
      || xds_path_init (&path, text, strlen (text), 0, 0, XDS_PATH_NODE) != XDS_OK)
    return XDS_EINVAL;
  head = (XdsRecordText){ path.len, path.len + 1 + len };
  begun = xds_journal_begin (
      engine, XDS_RECORD_WRITE,
      (XdsSpan[]){ XDS_PART (head), { path.text, path.len + 1 }, { value, len } }, 3);
  node = xds_store_find (store, path.text, path.len, &near, &pos);
  if (node == NULL)
    for (node = near; xds_path_next (path.text, path.len, &pos, &name.data, &name.len);)
      node = xds_store_create (store, node, name.data, name.len, near->acl, NULL, 0);
  xds_store_set_value (store, node, value, len);
  xds_fire_node (engine, node, NULL);
  xds_journal_end (engine, begun);
  return XDS_OK;
}

const guint8 *
xds_engine_read (XdsEngine *engine, const char *text, gsize *ret_len)
{
  const XdsNode *node = NULL;
  XdsPath path;

  if (text[0] == '/' && xds_path_init (&path, text, strlen (text), 0, 0, XDS_PATH_NODE) == XDS_OK)
    node = xds_store_find (&engine->store, path.text, path.len, NULL, NULL);
  if (node == NULL)
    return NULL;
  *ret_len = node->value_len;
  return xds_node_value (node);
}

static void
fire (XdsEngine *engine, const char *path, gboolean below)
{
  const XdsRecordText head = { below, strlen (path) + 1 };
  gboolean begun = xds_journal_begin (engine, XDS_RECORD_FIRE,
                                      (XdsSpan[]){ XDS_PART (head), { path, head.len } }, 2);

  xds_fire_path (engine, path, below);
  xds_journal_end (engine, begun);
}

void
xds_engine_fire (XdsEngine *engine, const char *path)
{
  fire (engine, path, FALSE);
}

void
xds_engine_fire_below (XdsEngine *engine, const char *path)
{
  fire (engine, path, TRUE);
}

/* --- figures --- */

void
xds_engine_statistics (XdsEngine *engine, XdsStatistics *ret_statistics)
{
  *ret_statistics = engine->statistics;
  ret_statistics->nodes = engine->store.n_nodes - 1; /* the parent of the special ones is ours */
  ret_statistics->node_bytes = engine->store.bytes;
}
