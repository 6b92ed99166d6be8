/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The journal: what was called since a dump, so that who calls the same again gets the same engine.
 *
 * It has inputs, not the changes that they make.  There is one place for that, the functions of
 * engine.h; and everything comes back, bytes that wait in a buffer included.  The road not taken:
 * a record of each change.  There are two dozen kinds, in as many places, and what one of them
 * forgets is lost.
 *
 * What always holds.
 *  - A record counts, by one store of *end, when its call is over; so a call that never ended is
 *    not in the journal, and what it had done was seen by nobody.
 *  - Behind what counts at most one thing is under way: a call, or the turn of self->peer, whose
 *    bytes the transport puts right where its record will have them.
 *  - Room is asked for before a call begins and never inside of one, so that whoever is asked finds
 *    an engine of which all is in the journal.
 *
 * A turn that only read, of a peer that had nothing waiting before and has nothing waiting after,
 * is forgotten when its answers are taken: nobody could tell that it had been.  If something else
 * comes first it counts.
 */

#include "xsd/core/journal.h"

#include "xsd/core/state.h"

#include <string.h>

#define RECORD_HEADER 8

/* What one request may ask of the host: SET_PERMS with a payload full of entries of three bytes. */
#define ANSWERS_MAX ((RECORD_HEADER + sizeof (XdsDomainState)) * (XDS_PAYLOAD_MAX / 3))

#define TURN_MAX (RECORD_HEADER + sizeof (XdsRecordTurn) + XDS_PEER_INPUT + ANSWERS_MAX)

G_STATIC_ASSERT (sizeof (XdsDomainState) == 24);
G_STATIC_ASSERT (TURN_MAX <= XDS_JOURNAL_MIN);

static gsize
padded (gsize len)
{
  return (len + XDS_STREAM_ALIGN - 1) & ~(gsize) (XDS_STREAM_ALIGN - 1);
}

/* --- life --- */

void
xds_journal_init (XdsJournal *self)
{
  *self = (XdsJournal){ .at = &self->nowhere };
}

void
xds_journal_clear (XdsJournal *self)
{
  g_clear_pointer (&self->refused, g_array_unref);
}

void
xds_engine_set_journal (XdsEngine *engine, const XdsJournalSpace *space)
{
  XdsJournal *self = &engine->journal;

  xds_journal_settle (engine);
  self->space = space != NULL ? *space : (XdsJournalSpace){ 0 };
  self->used = space != NULL ? *space->end : 0;
  self->at = space != NULL && space->at != NULL ? space->at : &self->nowhere;
}

void
xds_engine_leave_journal (XdsEngine *engine)
{
  xds_journal_init (&engine->journal);
}

void
xds_engine_refuse (XdsEngine *engine, const XdsJournalPlace *place)
{
  XdsJournal *self = &engine->journal;

  if (self->refused == NULL)
    self->refused = g_array_new (FALSE, FALSE, sizeof *place);
  g_array_append_val (self->refused, *place);
}

/* --- writing --- */

static void
set_place (XdsJournal *self, guint64 position, guint32 request)
{
  __atomic_store_n (&self->at->position, position, __ATOMIC_RELAXED);
  __atomic_store_n (&self->at->request, request, __ATOMIC_RELEASE);
}

/* Makes what is staged count. */
static void
commit (XdsJournal *self)
{
  self->used += self->staged;
  self->staged = 0;
  __atomic_store_n (self->space.end, self->used, __ATOMIC_RELEASE);
}

/* The body, of @len bytes, of a record that begins @offset bytes behind what counts. */
static guint8 *
put_header (XdsJournal *self, gsize offset, guint32 type, gsize len)
{
  guint8 *at = self->space.data + self->used + offset;
  const guint32 header[2] = { type, padded (len) };

  memcpy (at, header, sizeof header);
  if (padded (len) != len)
    memset (at + RECORD_HEADER + padded (len) - XDS_STREAM_ALIGN, 0, XDS_STREAM_ALIGN);
  return at + RECORD_HEADER;
}

static gsize
total (const XdsSpan *parts, guint n)
{
  gsize len = 0;

  for (guint i = 0; i < n; i++)
    len += parts[i].len;
  return len;
}

static void
stage (XdsJournal *self, guint32 type, const XdsSpan *parts, guint n)
{
  gsize len = total (parts, n);
  guint8 *at = put_header (self, self->staged, type, len);

  for (guint i = 0; i < n; i++)
    {
      if (parts[i].len > 0)
        memcpy (at, parts[i].data, parts[i].len);
      at += parts[i].len;
    }
  self->staged += RECORD_HEADER + padded (len);
}

/* FALSE: the journal was given up. */
static gboolean
reserve (XdsEngine *engine, gsize need)
{
  XdsJournal *self = &engine->journal;
  const XdsHost *host = engine->host;

  xds_journal_settle (engine);
  if (self->space.size - self->used >= need)
    return TRUE;
  if (host->journal_full != NULL && host->journal_full (engine->host_data, need)
      && self->space.data != NULL && self->space.size - self->used >= need)
    return TRUE;
  xds_engine_set_journal (engine, NULL);
  return FALSE;
}

/* --- turns --- */

static gsize
turn_size (const XdsJournal *self)
{
  return RECORD_HEADER + padded (sizeof (XdsRecordTurn) + self->n_bytes);
}

static void
commit_turn (XdsJournal *self, guint64 made)
{
  XdsPeer *peer = self->peer;
  const XdsRecordTurn turn = {
    .peer = peer->id,
    .n_bytes = self->n_bytes,
    .n_requests = self->n_requests,
    .failed = peer->failed,
    .made = made,
  };
  const guint32 header[2] = { XDS_RECORD_TURN, turn_size (self) - RECORD_HEADER };
  guint8 *at = self->space.data + self->used;

  memcpy (at, header, sizeof header);
  memcpy (at + sizeof header, &turn, sizeof turn);
  at += sizeof header + sizeof turn + self->n_bytes;
  memset (at, 0, padded (self->n_bytes) - self->n_bytes);
  peer->given += self->n_bytes;
  self->peer = NULL;
  self->over = FALSE;
  commit (self);
}

/* The turn stands at the tail with nothing in it yet. */
static void
stand (XdsPeer *peer)
{
  XdsJournal *self = &peer->engine->journal;

  self->peer = peer;
  self->over = FALSE;
  self->n_bytes = self->n_requests = 0;
  self->staged = 0;
}

static gboolean
is_open (const XdsPeer *peer)
{
  const XdsJournal *self = &peer->engine->journal;

  return self->peer == peer && !self->over;
}

void
xds_journal_settle (XdsEngine *engine)
{
  XdsJournal *self = &engine->journal;

  if (self->peer == NULL || self->inside)
    return;
  self->staged = turn_size (self);
  if (self->n_bytes > 0 || self->n_requests > 0)
    commit_turn (self, self->over ? engine->made - self->made : 0);
  self->peer = NULL;
  self->staged = 0;
}

guint8 *
xds_journal_room (XdsPeer *peer, gsize *most)
{
  XdsEngine *engine = peer->engine;
  XdsJournal *self = &engine->journal;

  if (self->space.data == NULL)
    return NULL;
  if (!is_open (peer))
    {
      if (!reserve (engine, TURN_MAX))
        return NULL;
      stand (peer);
    }
  *most = MIN (*most, XDS_PEER_INPUT - self->n_bytes);
  return self->space.data + self->used + RECORD_HEADER + sizeof (XdsRecordTurn) + self->n_bytes;
}

const guint8 *
xds_journal_filled (XdsPeer *peer, gsize n)
{
  XdsJournal *self = &peer->engine->journal;
  gsize before = self->n_bytes;

  if (self->space.data == NULL)
    {
      peer->given += n;
      return NULL;
    }
  g_assert (is_open (peer)); /* nothing else was called since it was told where to put them */
  self->n_bytes += n;
  return self->space.data + self->used + RECORD_HEADER + sizeof (XdsRecordTurn) + before;
}

/* Even an answer that is taken at once leaves its mark there, if no other was as long. */
static guint64
sum_of_peaks (const XdsPeer *peer)
{
  return peer->account->peak[XDS_QUOTA_MEMORY] + peer->engine->quotas.peak[XDS_QUOTA_MEMORY];
}

gboolean
xds_journal_begin_turn (XdsPeer *peer)
{
  XdsEngine *engine = peer->engine;
  XdsJournal *self = &engine->journal;
  gsize waiting = peer->in.end - peer->in.start;

  if (self->space.data == NULL || waiting == 0)
    return FALSE;
  if (!is_open (peer))
    {
      if (!reserve (engine, TURN_MAX))
        return FALSE;
      stand (peer);
    }
  self->staged = turn_size (self);
  self->pure = waiting == self->n_bytes && peer->out.end == peer->out.start && peer->held == NULL;
  self->of_peaks = sum_of_peaks (peer);
  self->made = engine->made;
  self->inside = TRUE;
  set_place (self, self->space.position + self->used, 0);
  return TRUE;
}

void
xds_journal_end_turn (XdsPeer *peer)
{
  XdsEngine *engine = peer->engine;
  XdsJournal *self = &engine->journal;

  self->inside = FALSE;
  set_place (self, 0, 0);
  if (self->n_bytes == 0 && self->n_requests == 0 && !peer->failed)
    self->peer = NULL;
  else if (self->pure && self->n_requests > 0 && !peer->failed && peer->in.end == peer->in.start
           && sum_of_peaks (peer) == self->of_peaks)
    self->over = TRUE;
  else
    commit_turn (self, engine->made - self->made);
}

gboolean
xds_journal_may_go_on (XdsEngine *engine)
{
  const XdsJournal *self = &engine->journal;

  return self->space.data == NULL
         || self->space.size - self->used - self->staged >= ANSWERS_MAX;
}

gboolean
xds_journal_begin_request (XdsEngine *engine)
{
  XdsJournal *self = &engine->journal;
  guint64 position = self->at->position;

  set_place (self, position, ++self->n_requests);
  for (guint i = 0; self->refused != NULL && i < self->refused->len; i++)
    {
      const XdsJournalPlace *place = &g_array_index (self->refused, XdsJournalPlace, i);

      if (place->position == position && place->request == self->n_requests)
        {
          self->pure = FALSE;
          return TRUE;
        }
    }
  return FALSE;
}

void
xds_journal_put_off (XdsEngine *engine)
{
  XdsJournal *self = &engine->journal;

  set_place (self, self->at->position, --self->n_requests);
}

gboolean
xds_journal_begin_drained (XdsPeer *peer, gsize n)
{
  XdsEngine *engine = peer->engine;
  XdsJournal *self = &engine->journal;

  if (self->peer == peer && self->over && n == peer->out.end - peer->out.start)
    {
      self->peer = NULL;
      self->over = FALSE;
      return FALSE;
    }
  peer->taken += n;
  if (n > 0)
    return xds_journal_begin_call (engine, XDS_RECORD_DRAINED, peer->id, n);
  xds_journal_settle (engine);
  return FALSE;
}

/* --- other calls --- */

gboolean
xds_journal_begin (XdsEngine *engine, guint32 type, const XdsSpan *parts, guint n)
{
  XdsJournal *self = &engine->journal;

  if (self->space.data == NULL || self->inside
      || !reserve (engine, RECORD_HEADER + padded (total (parts, n))))
    return FALSE;
  self->staged = 0;
  stage (self, type, parts, n);
  self->inside = TRUE;
  set_place (self, self->space.position + self->used, 0);
  return TRUE;
}

gboolean
xds_journal_begin_call (XdsEngine *engine, guint32 type, guint64 peer, gint64 value)
{
  const XdsRecordCall call = { peer, value };

  return xds_journal_begin (engine, type, &XDS_PART (call), 1);
}

void
xds_journal_end (XdsEngine *engine, gboolean begun)
{
  XdsJournal *self = &engine->journal;

  if (!begun)
    return;
  self->inside = FALSE;
  set_place (self, 0, 0);
  commit (self);
}

/* --- what a request asks of the host --- */

static void
record_answer (XdsEngine *engine, guint32 type, const XdsSpan *parts, guint n)
{
  XdsJournal *self = &engine->journal;

  if (self->space.data == NULL)
    return;
  g_assert (self->inside && self->peer != NULL); /* only requests ask */
  g_assert (self->space.size - self->used - self->staged
            >= RECORD_HEADER + padded (total (parts, n)));
  stage (self, type, parts, n);
}

gboolean
xds_ask_domain_state (XdsEngine *engine, guint domid, XdsDomainState *ret_state)
{
  const XdsHost *host = engine->host;

  *ret_state = (XdsDomainState){ .domid = domid };
  if (host->domain_state != NULL && !host->domain_state (engine->host_data, domid, ret_state))
    *ret_state = (XdsDomainState){ .domid = domid, .dying = TRUE };
  record_answer (engine, XDS_RECORD_ANSWER_DOMAIN, &XDS_PART (*ret_state), 1);
  return !ret_state->dying;
}

/* What the host did to the peer meanwhile is part of its answer. */
static XdsStatus
answer_ring (XdsEngine *engine, const XdsPeer *peer, XdsStatus status)
{
  const XdsRecordRing ring
      = { .status = status, .failed = peer->failed, .handle = peer->handle };

  record_answer (engine, XDS_RECORD_ANSWER_RING, &XDS_PART (ring), 1);
  return status;
}

XdsStatus
xds_ask_domain_connect (XdsEngine *engine, XdsPeer *peer, guint64 gfn, guint port)
{
  const XdsHost *host = engine->host;
  XdsStatus status = XDS_OK;

  if (host->domain_connect != NULL)
    status = host->domain_connect (engine->host_data, peer, xds_peer_domid (peer), gfn, port);
  return answer_ring (engine, peer, status);
}

XdsStatus
xds_ask_domain_reconnect (XdsEngine *engine, XdsPeer *peer, guint port)
{
  const XdsHost *host = engine->host;
  XdsStatus status = XDS_OK;

  if (host->domain_reconnect != NULL)
    status = host->domain_reconnect (engine->host_data, peer, xds_peer_domid (peer), port);
  return answer_ring (engine, peer, status);
}

XdsStatus
xds_ask_control (XdsEngine *engine, XdsPeer *peer, const char *const *args, GString *answer)
{
  const XdsHost *host = engine->host;
  XdsStatus status = XDS_EINVAL;
  XdsRecordText head;

  if (host->control != NULL)
    status = host->control (engine->host_data, peer, args, answer);
  if (status == XDS_LATER)
    return status;
  xds_control_cut (answer);
  head = (XdsRecordText){ status, answer->len };
  record_answer (engine, XDS_RECORD_ANSWER_CONTROL,
                 (XdsSpan[]){ XDS_PART (head), { answer->str, answer->len } }, 2);
  return status;
}
