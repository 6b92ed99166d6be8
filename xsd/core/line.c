/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Clients that try a transaction again stand in line, each until the one before it is through.
 *
 * Forty toolstacks that take a guest down at once look at one directory and remove their own from
 * it.  They go in step, since each waits for its answers: one passes, all others have worked for
 * nothing and begin anew, together.  That is a round for each of them, and requests by the square
 * of their number.  In line each needs its first try, and one that nobody is in the way of.
 *
 * Who lost waits, and only for those that lost at the same place; it is a socket of the control
 * domain that has no other transaction open, so nobody's work stands still but its own.  A client
 * that has its turn and makes nothing of it loses it after a while.
 *
 * What always holds: to wait is no part of the engine's state.  The request has not come yet, as
 * far as journal and dump know, so whoever comes after us knows of no line, and needs none.
 *
 * The road not taken: to let nobody begin a transaction while another one runs that lost before.
 * Most have nothing to do with each other.
 */

#include "xsd/core/state.h"

/* Whose turn is over.  The next one's begins when it may be served again. */
static void
call_next (XdsEngine *engine)
{
  XdsLine *line = &engine->line;

  line->first = g_queue_pop_head (&line->rest);
  if (line->first == NULL)
    return;
  line->first->waits = FALSE;
  line->until = engine->now + line->patience;
  xds_peer_tell_host (line->first);
}

gboolean
xds_line_stand (XdsPeer *peer)
{
  XdsEngine *engine = peer->engine;
  XdsLine *line = &engine->line;

  if (line->patience == 0 || peer->domain != NULL || peer->txns != NULL || line->first == peer)
    return FALSE;
  if (line->first == NULL)
    {
      line->first = peer;
      line->place = peer->conflict_place;
      line->until = engine->now + line->patience;
      return FALSE;
    }
  if (line->place != peer->conflict_place)
    return FALSE;
  peer->waits = TRUE;
  g_queue_push_tail (&line->rest, peer);
  return TRUE;
}

void
xds_line_leave (XdsPeer *peer)
{
  XdsLine *line = &peer->engine->line;

  if (peer->waits)
    g_queue_remove (&line->rest, peer);
  peer->waits = FALSE;
  if (line->first == peer)
    call_next (peer->engine);
}

void
xds_line_tick (XdsEngine *engine)
{
  if (engine->line.rest.length > 0 && engine->now >= engine->line.until)
    call_next (engine);
}

gint64
xds_line_deadline (const XdsEngine *engine)
{
  return engine->line.rest.length > 0 ? engine->line.until : -1;
}
