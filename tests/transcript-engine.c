/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The stage of transcripts inside this process.  Each case has an engine of its own, and at its end
 * everything that the engine was made to hold must be gone.
 *
 * Rings have no pages here: a ring peer is bytes in and bytes out like any other, since what a ring
 * adds is the business of the transport.
 */

#include "tests/transcript-stages.h"

#include "xsd/core/engine.h"
#include "xsd/wire/ring.h"

#include <string.h>

typedef struct
{
  XdsStage parent;
  XdsStageWays flags;
  XdsEngine *engine;  /* (nullable) between cases */
  GArray *domains;    /* (element-type XdsDomainState), by domid */
  GHashTable *failed; /* (element-type XdsPeer guint): what peer_failed() said */
  gint64 now;
  guint64 next_unique;
} EngineStage;

typedef struct
{
  XdsPeer *peer; /* of a socket; rings are looked up each time, since they may go */
  GByteArray *unsent;
} Link;

/* --- the host --- */

static XdsDomainState *
find_domain (EngineStage *s, guint domid, guint *ret_at)
{
  guint at = 0;

  while (at < s->domains->len && g_array_index (s->domains, XdsDomainState, at).domid < domid)
    at++;
  if (ret_at != NULL)
    *ret_at = at;
  if (at == s->domains->len || g_array_index (s->domains, XdsDomainState, at).domid != domid)
    return NULL;
  return &g_array_index (s->domains, XdsDomainState, at);
}

static gboolean
host_domain_state (void *data, guint domid, XdsDomainState *ret_state)
{
  const XdsDomainState *state = find_domain (data, domid, NULL);

  if (state != NULL)
    *ret_state = *state;
  return state != NULL;
}

static void
host_peer_failed (void *data, XdsPeer *peer, guint ring_error)
{
  EngineStage *s = data;

  g_hash_table_replace (s->failed, peer, GUINT_TO_POINTER (ring_error));
}

static XdsStatus
host_connect (void *data, XdsPeer *peer, guint domid, guint64 gfn, guint port)
{
  return find_domain (data, domid, NULL) != NULL ? XDS_OK : XDS_EINVAL;
}

static XdsStatus
host_reconnect (void *data, XdsPeer *peer, guint domid, guint port)
{
  EngineStage *s = data;

  g_hash_table_remove (s->failed, peer);
  return XDS_OK;
}

static void
host_disconnect (void *data, XdsPeer *peer, guint domid)
{
  EngineStage *s = data;

  g_hash_table_remove (s->failed, peer);
}

static const XdsHost host = {
  .peer_failed = host_peer_failed,
  .domain_state = host_domain_state,
  .domain_connect = host_connect,
  .domain_reconnect = host_reconnect,
  .domain_disconnect = host_disconnect,
};

/* --- peers --- */

static void
begin (EngineStage *s)
{
  const XdsDomainState dom0 = { .unique_id = 1 };

  g_array_set_size (s->domains, 0);
  g_array_append_val (s->domains, dom0);
  s->next_unique = 2;
  s->now = 1;
  s->engine = xds_engine_new (&host, s);
  xds_engine_domains (s->engine, &dom0, 1);
  xds_engine_tick (s->engine, s->now);
}

static XdsPeer *
peer_of (EngineStage *s, XdsTalker *talker)
{
  Link *link = talker->link;

  return talker->domid >= 0 ? xds_engine_domain_peer (s->engine, talker->domid) : link->peer;
}

static gboolean
stage_open (XdsStage *stage, XdsTalker *talker)
{
  static const XdsSocketIdentity identity = { 1, 0, 0 };
  EngineStage *s = (EngineStage *) stage;
  Link *link = g_new0 (Link, 1);

  if (s->engine == NULL)
    begin (s);
  link->unsent = g_byte_array_new ();
  talker->link = link;
  if (talker->domid < 0)
    link->peer = xds_engine_add_socket_peer (s->engine, &identity);
  else if (talker->domid == 0 && peer_of (s, talker) == NULL)
    xds_engine_add_domain_peer (s->engine, 0);
  return peer_of (s, talker) != NULL;
}

static void
stage_close (XdsStage *stage, XdsTalker *talker)
{
  EngineStage *s = (EngineStage *) stage;
  Link *link = talker->link;

  if (link == NULL)
    return;
  if (link->peer != NULL)
    {
      g_hash_table_remove (s->failed, link->peer);
      xds_engine_remove_peer (s->engine, link->peer);
    }
  g_byte_array_unref (link->unsent);
  g_free (link);
  talker->link = NULL;
}

/* A socket that failed is hung up, a ring stays what it is until it is introduced again. */
static gboolean
has_failed (EngineStage *s, XdsTalker *talker, XdsPeer *peer)
{
  gpointer error;

  if (peer == NULL)
    return TRUE;
  if (!g_hash_table_lookup_extended (s->failed, peer, NULL, &error))
    return FALSE;
  talker->ring_error = GPOINTER_TO_UINT (error);
  return TRUE;
}

/* Moves bytes in until the engine takes no more. */
static void
feed (EngineStage *s, XdsTalker *talker)
{
  GByteArray *unsent = ((Link *) talker->link)->unsent;
  XdsPeer *peer;

  while ((peer = peer_of (s, talker)) != NULL && !has_failed (s, talker, peer))
    {
      guint8 *room;
      gsize n = MIN (xds_peer_input (peer, &room), unsent->len);

      if (s->flags & XDS_STAGE_DRIBBLE)
        n = MIN (n, 5);
      if (n > 0)
        {
          memcpy (room, unsent->data, n);
          g_byte_array_remove_range (unsent, 0, n);
          xds_peer_filled (peer, n);
        }
      if (!xds_peer_serve (peer, s->flags & XDS_STAGE_DRIBBLE ? 1 : 8) && n == 0)
        return;
    }
}

static void
stage_send (XdsStage *stage, XdsTalker *talker, const guint8 *bytes, gsize n)
{
  EngineStage *s = (EngineStage *) stage;

  g_byte_array_append (((Link *) talker->link)->unsent, bytes, n);
  feed (s, talker);
}

static gboolean
stage_receive (XdsStage *stage, XdsTalker *talker)
{
  EngineStage *s = (EngineStage *) stage;
  XdsPeer *peer = peer_of (s, talker);
  const guint8 *bytes;
  gboolean some = FALSE;
  gsize n;

  while (peer != NULL && (n = xds_peer_output (peer, &bytes)) > 0)
    {
      if (s->flags & XDS_STAGE_DRIBBLE)
        n = MIN (n, 7);
      g_byte_array_append (talker->in, bytes, n);
      xds_peer_drained (peer, n);
      some = TRUE;
    }
  feed (s, talker);
  talker->closed = has_failed (s, talker, peer_of (s, talker));
  return some;
}

/* What a ring does beyond bytes is the transport's, which tells the engine of a reconnection. */
static gboolean
stage_ring (XdsStage *stage, XdsTalker *talker, const char *verb)
{
  EngineStage *s = (EngineStage *) stage;
  XdsPeer *peer = peer_of (s, talker);

  if (peer == NULL || !g_str_equal (verb, "reconnect"))
    return FALSE;
  xds_peer_reset (peer);
  g_byte_array_set_size (((Link *) talker->link)->unsent, 0);
  return TRUE;
}

/* --- domains, limits, time --- */

static void
tell (EngineStage *s, guint domid)
{
  if (s->flags & XDS_STAGE_SINGLE)
    xds_engine_domain_changed (s->engine, domid, find_domain (s, domid, NULL));
  else
    xds_engine_domains (s->engine, (XdsDomainState *) s->domains->data, s->domains->len);
}

static gboolean
stage_domain (XdsStage *stage, const char *verb, guint domid, guint reason)
{
  EngineStage *s = (EngineStage *) stage;
  XdsDomainState fresh = { .domid = domid, .unique_id = s->next_unique++ };
  guint at;
  XdsDomainState *state = find_domain (s, domid, &at);

  if ((state == NULL) != g_str_equal (verb, "create"))
    return FALSE;
  if (state == NULL)
    g_array_insert_val (s->domains, at, fresh);
  else if (g_str_equal (verb, "replace"))
    *state = fresh;
  else if (g_str_equal (verb, "destroy"))
    g_array_remove_index (s->domains, at);
  else if (g_str_equal (verb, "dying"))
    state->dying = TRUE;
  else if (g_str_equal (verb, "resume"))
    state->shutdown = FALSE;
  else
    {
      state->shutdown = TRUE;
      state->reason = reason;
    }
  tell (s, domid);
  return TRUE;
}

static gboolean
stage_quota (XdsStage *stage, const char *name, guint64 value)
{
  return xds_engine_set_quota (((EngineStage *) stage)->engine, name, value);
}

static gboolean
stage_option (XdsStage *stage, const char *name, guint value)
{
  XdsEngine *engine = ((EngineStage *) stage)->engine;

  if (g_str_equal (name, "store"))
    xds_engine_set_store_domid (engine, value);
  else if (g_str_equal (name, "privileged"))
    xds_engine_set_privileged_domid (engine, value);
  else if (g_str_equal (name, "keep-orphans"))
    xds_engine_set_keep_orphans (engine, value != 0);
  else
    return FALSE;
  return TRUE;
}

static void
stage_pass_time (XdsStage *stage, guint seconds)
{
  EngineStage *s = (EngineStage *) stage;

  for (guint i = 0; i < seconds; i++)
    {
      s->now += G_USEC_PER_SEC;
      xds_engine_tick (s->engine, s->now);
    }
}

/* --- the end --- */

static char *
stage_finish (XdsStage *stage)
{
  EngineStage *s = (EngineStage *) stage;
  XdsStatistics statistics;
  char *wrong;

  if (s->engine == NULL)
    return NULL;
  wrong = xds_engine_check (s->engine);
  g_array_set_size (s->domains, 1);
  xds_engine_domains (s->engine, (XdsDomainState *) s->domains->data, 1);
  if (wrong == NULL)
    wrong = xds_engine_check (s->engine);
  xds_engine_statistics (s->engine, &statistics);
  if (wrong == NULL && statistics.transactions > 0)
    wrong = g_strdup ("transactions of peers that are gone are there");
  xds_engine_free (g_steal_pointer (&s->engine));
  g_hash_table_remove_all (s->failed);
  return wrong;
}

static void
stage_free (XdsStage *stage)
{
  EngineStage *s = (EngineStage *) stage;

  xds_engine_free (s->engine);
  g_array_unref (s->domains);
  g_hash_table_unref (s->failed);
  g_free (s);
}

static const XdsStageClass engine_stage = {
  .open = stage_open,
  .close = stage_close,
  .send = stage_send,
  .receive = stage_receive,
  .ring = stage_ring,
  .domain = stage_domain,
  .quota = stage_quota,
  .option = stage_option,
  .pass_time = stage_pass_time,
  .finish = stage_finish,
  .free = stage_free,
};

XdsStage *
xds_stage_new_engine (XdsStageWays flags)
{
  EngineStage *s = g_new0 (EngineStage, 1);

  s->parent.class = &engine_stage;
  s->flags = flags;
  s->domains = g_array_new (FALSE, FALSE, sizeof (XdsDomainState));
  s->failed = g_hash_table_new (NULL, NULL);
  return &s->parent;
}
