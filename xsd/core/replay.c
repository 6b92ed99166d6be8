/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Reading the journal: what was called is called again, on an engine whose host is a stand-in that
 * gives the answers which the host gave then.
 *
 * The journal is our own memory, but whoever died may have scribbled on it.  So nothing is believed
 * that was not looked at, and what does not fit is refused with its place and the reason; that the
 * bytes of requests may be anything the engine is used to.
 */

#include "xsd/core/dump.h"

#include <string.h>

#define RECORD_HEADER 8

typedef struct
{
  guint32 type;
  gsize index;      /* in the journal, from 1 */
  guint64 position; /* in the journal, in bytes */
  XdsSpan body;
} Record;

typedef struct
{
  XdsEngine *engine;
  const XdsJournalPiece *piece, *end; /* the one that is read; behind the last one */
  gsize at;                           /* in it */
  Record record;                      /* the last one that was read */
  const char *reason;                 /* (static) (nullable) why it cannot be */
} Replay;

static gboolean
refuse (Replay *replay, const char *reason)
{
  if (replay->reason == NULL)
    replay->reason = reason;
  return FALSE;
}

/* --- records --- */

/* FALSE: there is none any more, or, with a reason, it is none. */
static gboolean
next_record (Replay *replay)
{
  Record *record = &replay->record;
  guint32 header[2];
  gsize left;

  while (replay->piece < replay->end && replay->at == replay->piece->len)
    {
      replay->at = 0;
      if (++replay->piece < replay->end
          && replay->piece->position != replay->piece[-1].position + replay->piece[-1].len)
        return refuse (replay, "the piece that follows does not begin where it ends");
    }
  if (replay->piece == replay->end)
    return FALSE;
  left = replay->piece->len - replay->at;
  record->index++;
  record->position = replay->piece->position + replay->at;
  record->type = 0;
  if (left < RECORD_HEADER)
    return refuse (replay, "it is too short");
  memcpy (header, replay->piece->data + replay->at, sizeof header);
  record->type = header[0];
  if (header[1] > left - RECORD_HEADER || header[1] % XDS_STREAM_ALIGN != 0)
    return refuse (replay, "its length cannot be");
  record->body
      = (XdsSpan){ (const char *) replay->piece->data + replay->at + RECORD_HEADER, header[1] };
  replay->at += RECORD_HEADER + header[1];
  return TRUE;
}

static gboolean
take (Replay *replay, void *ret_body, gsize len)
{
  if (replay->record.body.len < len)
    return refuse (replay, "it is too short");
  memcpy (ret_body, replay->record.body.data, len);
  return TRUE;
}

/* A record's text with its head; *ret_text has the head's length. */
static gboolean
take_text (Replay *replay, XdsRecordText *ret_head, XdsSpan *ret_text)
{
  const XdsSpan *body = &replay->record.body;

  if (!take (replay, ret_head, sizeof *ret_head))
    return FALSE;
  if (ret_head->len > body->len - sizeof *ret_head)
    return refuse (replay, "it is too short");
  *ret_text = (XdsSpan){ body->data + sizeof *ret_head, ret_head->len };
  return TRUE;
}

/* One string with its NUL, and what is behind it. */
static gboolean
take_string (Replay *replay, XdsRecordText *ret_head, XdsSpan *ret_string, XdsSpan *ret_rest)
{
  return take_text (replay, ret_head, ret_rest)
         && (xds_msg_next_string (ret_rest, ret_string) || refuse (replay, "its text has no end"));
}

static gboolean
find_peer (Replay *replay, guint64 id, XdsPeer **ret_peer)
{
  XdsPeer *peer = xds_engine_find_peer (replay->engine, id);

  if (peer == NULL)
    return refuse (replay, "there is no such connection");
  *ret_peer = peer;
  return TRUE;
}

static gboolean
is_domid (Replay *replay, gint64 domid)
{
  return (domid >= 0 && domid < XDS_DOMID_FIRST_RESERVED)
         || refuse (replay, "there is no domain of that number");
}

/* --- what the host answered --- */

static gboolean
next_answer (Replay *replay, guint32 type, const char *reason)
{
  if (replay->reason != NULL)
    return FALSE;
  if (!next_record (replay) || replay->record.type != type)
    return refuse (replay, reason);
  return TRUE;
}

static gboolean
answer_domain_state (void *data, guint domid, XdsDomainState *ret_state)
{
  Replay *replay = data;
  XdsDomainState state;

  if (!next_answer (replay, XDS_RECORD_ANSWER_DOMAIN, "a request before asks for a domain here")
      || !take (replay, &state, sizeof state))
    return FALSE;
  if (state.domid != domid)
    return refuse (replay, "a request before asks for another domain here");
  state.shutdown = state.shutdown != 0;
  *ret_state = state;
  return !state.dying;
}

static XdsStatus
answer_ring (Replay *replay, XdsPeer *peer)
{
  XdsRecordRing ring;

  if (!next_answer (replay, XDS_RECORD_ANSWER_RING, "a request before connects a ring here")
      || !take (replay, &ring, sizeof ring))
    return XDS_EINVAL;
  if (ring.status >= XDS_STATUS_MAX)
    {
      refuse (replay, "it is no status");
      return XDS_EINVAL;
    }
  xds_peer_set_handle (peer, ring.handle);
  if (ring.failed)
    xds_peer_give_up (peer);
  return ring.status;
}

static XdsStatus
answer_domain_connect (void *data, XdsPeer *peer, guint domid G_GNUC_UNUSED,
                       guint64 gfn G_GNUC_UNUSED, guint port G_GNUC_UNUSED)
{
  return answer_ring (data, peer);
}

static XdsStatus
answer_domain_reconnect (void *data, XdsPeer *peer, guint domid G_GNUC_UNUSED,
                         guint port G_GNUC_UNUSED)
{
  return answer_ring (data, peer);
}

static XdsStatus
answer_control (void *data, XdsPeer *peer G_GNUC_UNUSED, const char *const *args G_GNUC_UNUSED,
                GString *answer)
{
  Replay *replay = data;
  XdsRecordText head;
  XdsSpan text;

  if (!next_answer (replay, XDS_RECORD_ANSWER_CONTROL, "a request before asks the host here")
      || !take_text (replay, &head, &text))
    return XDS_EINVAL;
  if (head.number >= XDS_STATUS_MAX)
    {
      refuse (replay, "it is no status");
      return XDS_EINVAL;
    }
  g_string_append_len (answer, text.data, text.len);
  return head.number;
}

/* --- calls --- */

static gboolean
replay_turn (Replay *replay)
{
  XdsEngine *engine = replay->engine;
  XdsRecordTurn turn;
  XdsPeer *peer = NULL;
  guint64 made = engine->made;

  if (!take (replay, &turn, sizeof turn) || !find_peer (replay, turn.peer, &peer))
    return FALSE;
  if (turn.n_bytes > replay->record.body.len - sizeof turn)
    return refuse (replay, "it is too short");
  if (turn.n_bytes > XDS_PEER_INPUT - (peer->in.end - peer->in.start)
      || (turn.n_bytes > 0 && peer->failed))
    return refuse (replay, "its connection could not take so many bytes");
  xds_peer_load_input (peer, replay->record.body.data + sizeof turn, turn.n_bytes);
  peer->given += turn.n_bytes;
  engine->journal.n_requests = 0;
  if (turn.n_requests == 0 && !turn.failed)
    return TRUE;
  if (!xds_peer_redo (peer, turn.n_requests, turn.failed != 0))
    return refuse (replay, "its requests went another way before");
  return (guint32) (engine->made - made) == turn.made
         || refuse (replay, "it gave another number of bytes before");
}

static gboolean
replay_add_socket (Replay *replay)
{
  XdsRecordSocket record;

  if (!take (replay, &record, sizeof record))
    return FALSE;
  return xds_engine_add_socket_peer (replay->engine, &record.identity)->id == record.peer
         || refuse (replay, "the connection has another number now");
}

static gboolean
replay_drained (Replay *replay, XdsPeer *peer, gint64 n)
{
  if (n < 0 || n > peer->out.end - peer->out.start)
    return refuse (replay, "so many bytes do not wait for the connection");
  xds_peer_drained (peer, n);
  return TRUE;
}

static gboolean
replay_set (Replay *replay, guint64 setting, gint64 value)
{
  XdsEngine *engine = replay->engine;

  if ((setting == XDS_SET_STORE_DOMID || setting == XDS_SET_PRIVILEGED_DOMID)
      && (engine->peers != NULL || !is_domid (replay, value)))
    return refuse (replay, "there are connections already");
  switch (setting)
    {
    case XDS_SET_STORE_DOMID:
      xds_engine_set_store_domid (engine, value);
      return TRUE;
    case XDS_SET_PRIVILEGED_DOMID:
      xds_engine_set_privileged_domid (engine, value);
      return TRUE;
    case XDS_SET_KEEP_ORPHANS:
      xds_engine_set_keep_orphans (engine, value != 0);
      return TRUE;
    case XDS_SET_FAVOUR_AFTER:
      xds_engine_set_favour_after (engine, value);
      return TRUE;
    default:
      return refuse (replay, "there is no such setting");
    }
}

static gboolean
replay_call (Replay *replay)
{
  XdsEngine *engine = replay->engine;
  guint32 type = replay->record.type;
  XdsRecordCall call;
  XdsPeer *peer = NULL;

  if (!take (replay, &call, sizeof call))
    return FALSE;
  if (type == XDS_RECORD_SET)
    return replay_set (replay, call.peer, call.value);
  if (type == XDS_RECORD_ADD_RING)
    return is_domid (replay, call.value)
           && (xds_engine_add_domain_peer (engine, call.value)->id == call.peer
               || refuse (replay, "the connection has another number now"));
  if (!find_peer (replay, call.peer, &peer))
    return FALSE;
  if (type == XDS_RECORD_DRAINED)
    return replay_drained (replay, peer, call.value);
  if (type == XDS_RECORD_REMOVE)
    xds_engine_remove_peer (engine, peer);
  else if (type == XDS_RECORD_RESET)
    xds_peer_reset (peer);
  else if (type == XDS_RECORD_GIVE_UP)
    xds_peer_give_up (peer);
  else
    xds_peer_set_handle (peer, call.value);
  return TRUE;
}

static gboolean
replay_domains (Replay *replay)
{
  const XdsSpan *body = &replay->record.body;
  gsize n = body->len / sizeof (XdsDomainState);
  g_autofree XdsDomainState *changes = g_memdup2 (body->data, body->len);

  xds_domain_apply (replay->engine, changes, n);
  return TRUE;
}

static gboolean
replay_text (Replay *replay)
{
  XdsEngine *engine = replay->engine;
  XdsRecordText head;
  XdsSpan string, rest;
  XdsPath path;

  if (!take_string (replay, &head, &string, &rest))
    return FALSE;
  if (replay->record.type == XDS_RECORD_QUOTA)
    return xds_engine_set_quota (engine, string.data, head.number)
           || refuse (replay, "there is no such quota");
  if (replay->record.type == XDS_RECORD_WRITE)
    return xds_engine_write (engine, string.data, rest.data, rest.len) == XDS_OK
           || refuse (replay, "its path is none");
  if (xds_path_init (&path, string.data, string.len, 0, 0, XDS_PATH_SPECIAL_ALLOWED) != XDS_OK
      || path.len != string.len)
    return refuse (replay, "its path is none");
  if (head.number != 0)
    xds_engine_fire_below (engine, string.data);
  else
    xds_engine_fire (engine, string.data);
  return TRUE;
}

static gboolean
replay_record (Replay *replay)
{
  switch (replay->record.type)
    {
    case XDS_RECORD_TURN:
      return replay_turn (replay);
    case XDS_RECORD_ADD_SOCKET:
      return replay_add_socket (replay);
    case XDS_RECORD_ADD_RING:
    case XDS_RECORD_REMOVE:
    case XDS_RECORD_RESET:
    case XDS_RECORD_GIVE_UP:
    case XDS_RECORD_HANDLE:
    case XDS_RECORD_DRAINED:
    case XDS_RECORD_SET:
      return replay_call (replay);
    case XDS_RECORD_DOMAINS:
      return replay_domains (replay);
    case XDS_RECORD_WRITE:
    case XDS_RECORD_FIRE:
    case XDS_RECORD_QUOTA:
      return replay_text (replay);
    case XDS_RECORD_ANSWER_DOMAIN:
    case XDS_RECORD_ANSWER_RING:
    case XDS_RECORD_ANSWER_CONTROL:
      return refuse (replay, "no request before it asks anything");
    default:
      return refuse (replay, "there is no such type");
    }
}

/* --- all of it --- */

static void
index_peers (XdsEngine *engine)
{
  engine->by_id = g_hash_table_new (g_int64_hash, g_int64_equal);
  for (XdsPeer *peer = engine->peers; peer != NULL; peer = peer->next)
    g_hash_table_insert (engine->by_id, &peer->id, peer);
}

static gboolean
replay_all (Replay *replay, char **ret_why)
{
  XdsJournalPlace *at = replay->engine->journal.at;
  const Record *record = &replay->record;
  gboolean good = TRUE;

  index_peers (replay->engine);
  while (good && next_record (replay))
    {
      at->position = record->position;
      at->request = 0;
      good = replay_record (replay) && replay->reason == NULL;
    }
  *at = (XdsJournalPlace){ 0 };
  g_clear_pointer (&replay->engine->by_id, g_hash_table_unref);
  if (replay->reason == NULL)
    return TRUE;
  *ret_why = g_strdup_printf ("record %" G_GSIZE_FORMAT " (type 0x%08x) at byte %" G_GUINT64_FORMAT
                              " of the journal is damaged: %s",
                              record->index, record->type, record->position, replay->reason);
  return FALSE;
}

gboolean
xds_engine_recover (XdsEngine *engine, const void *base, gsize base_len,
                    const XdsJournalPiece *pieces, guint n_pieces, XdsJournalPlace *at,
                    XdsPeerLoaded loaded, void *data, char **ret_why)
{
  static const XdsHost stand_in = {
    .domain_state = answer_domain_state,
    .domain_connect = answer_domain_connect,
    .domain_reconnect = answer_domain_reconnect,
    .control = answer_control,
  };
  Replay replay = { .engine = engine, .piece = pieces, .end = pieces };
  const XdsHost *host = engine->host;
  void *host_data = engine->host_data;
  XdsJournal *journal = &engine->journal;
  gboolean done;

  g_assert (journal->space.data == NULL);
  if (n_pieces > 0)
    replay.end += n_pieces;
  engine->host = &stand_in;
  engine->host_data = &replay;
  journal->at = at != NULL ? at : &journal->nowhere;
  done = (base_len == 0 || xds_load_state (engine, base, base_len, TRUE, ret_why))
         && replay_all (&replay, ret_why);
  journal->at = &journal->nowhere;
  engine->host = host;
  engine->host_data = host_data;
  if (done)
    xds_load_attach (engine, loaded, data);
  return done;
}
