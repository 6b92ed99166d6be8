/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The world from inside; and how its engine dies and is recovered (world-journal.c). */

#include "tests/world.h"

typedef struct XdsWorldJournal XdsWorldJournal;

struct XdsWorld
{
  XdsEngine *engine;
  GPtrArray *peers;  /* (owned) of XdsWorldPeer */
  GHashTable *ready; /* of XdsWorldPeer: those that the engine asked to serve */
  GArray *domains;   /* of XdsDomainState, ordered by domid */
  guint64 last_unique_id;
  XdsStatus fail_connect;
  GArray *notices; /* of XdsWorldNotice */
  GString *told;
  guint n_fds;
  XdsWorldJournal *journal; /* (owned) (nullable) */
};

extern const XdsHost xds_world_host;
gboolean xds_world_peer_loaded (void *data, XdsPeer *peer, gint32 handle);

/* What the client gave and took is settled: nothing of it can be undone by a death. */
void xds_world_peer_sync (XdsWorldPeer *peer);

gboolean xds_world_journal_turn (XdsWorldPeer *peer, guint budget);
gboolean xds_world_journal_full (void *data, gsize need);
void xds_world_journal_clear (XdsWorld *world);
