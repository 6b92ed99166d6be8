/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A whole store in one call: an engine, a pretend hypervisor that it asks, and clients.
 *
 * The world is the engine's host.  Nothing happens by itself: a request is executed when it is
 * sent with xds_world_call(), or with xds_world_pump() after xds_world_send().  Domains live in
 * a table that only the xds_world_domain_*() calls change; the engine hears of a change by
 * xds_world_report(), as a daemon would tell it after the hypervisor's notification.
 *
 * xds_world_free() kills every domain and client and then asserts that nothing is left: no
 * watch, transaction, peer or domain, no broken invariant, no open descriptor.
 */

#include "xsd/core/engine.h"
#include "xsd/wire/msg.h"
#include "xsd/wire/op-number.h"

typedef struct XdsWorld XdsWorld;

/* A client: what a process at the socket, or the kernel of a guest, would be. */
typedef struct
{
  XdsWorld *world;
  XdsPeer *peer; /* (transfer none): NULL when the engine gave it up */
  guint domid;   /* of a guest; 0 for a socket */
  gboolean guest;
  gboolean asleep; /* set it to stop reading */
  gboolean failed; /* the engine gave it up for what it sent */
  guint ring_error;
  guint32 last_req_id;
  GByteArray *inbox; /* bytes received and not yet taken */
  GQueue events;     /* of XdsWorldMsg *: those that xds_world_call() met before its reply */
  /* While there is a journal: what may have to be done again, since its totals were these. */
  guint64 given, taken;
  GByteArray *sent; /* bytes that the engine was given */
  gsize got;        /* bytes that it took */
  gboolean served;  /* it had a turn since it was given some */
} XdsWorldPeer;

/* A message taken from the store.  The payload has a NUL behind it that len does not count. */
typedef struct
{
  guint32 type, req_id, tx_id;
  gsize len;
  char payload[];
} XdsWorldMsg;

G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsWorldMsg, g_free)

/* Something that the engine told its host. */
typedef struct
{
  XdsNoticeKind kind;
  guint domid;
  char *what, *path;
  guint64 used, allowed;
} XdsWorldNotice;

/* --- life --- */

/* A world with domain 0, an empty store and nobody connected. */
XdsWorld *xds_world_new (void);
void xds_world_free (XdsWorld *world);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsWorld, xds_world_free)

XdsEngine *xds_world_engine (XdsWorld *world);

/* Another engine takes the place of the one that there is, from its dump; the clients notice
   nothing.  What is no part of the state (xds_engine_set_*) is to be set anew. */
void xds_world_reload (XdsWorld *world);

/*
 * From now on there is a journal, in pieces as @rand likes, and now and then in a turn the engine
 * dies and another takes its place; the clients notice nothing.  Asserted each time: the new engine
 * is sound, and its dump is the same to the byte as that of the dead one.
 */
void xds_world_journal (XdsWorld *world, GRand *rand);
/* The engine dies now. */
void xds_world_die (XdsWorld *world);
guint xds_world_deaths (XdsWorld *world);

/* --- clients; owned by the world --- */

XdsWorldPeer *xds_world_add_socket (XdsWorld *world);

/* A domain that exists, has been introduced by @by, and speaks over a ring. */
XdsWorldPeer *xds_world_add_guest (XdsWorld *world, XdsWorldPeer *by, guint domid);

/* The guest's client while it is connected, or NULL. */
XdsWorldPeer *xds_world_guest (XdsWorld *world, guint domid);

/* The client hangs up. */
void xds_world_remove_peer (XdsWorldPeer *peer);

/* The guest's ring starts anew; @dead: it broke the rules of its indices, and does not. */
void xds_world_restart (XdsWorldPeer *peer, gboolean dead);

/* --- bytes and messages --- */

/* Raw bytes, as many as the engine takes now; their number. */
gsize xds_world_send_bytes (XdsWorldPeer *peer, const void *data, gsize len);

/* A request that is not executed yet; the whole of it must fit.  Returns its req_id. */
guint32 xds_world_send (XdsWorldPeer *peer, guint32 type, guint32 tx_id, const void *payload,
                        gsize len);

/* Lets the engine work, and moves what it says, until nothing happens any more. */
void xds_world_pump (XdsWorld *world);

/* Next message as it came, events and replies alike; NULL if there is none.  (transfer full) */
XdsWorldMsg *xds_world_receive (XdsWorldPeer *peer);

/* Sends, pumps, and takes the reply; events before it are kept for xds_world_event(). */
XdsWorldMsg *xds_world_call (XdsWorldPeer *peer, guint32 type, guint32 tx_id, const void *payload,
                             gsize len);

/* The same, the payload as a format in which | is a NUL. */
XdsWorldMsg *xds_world_say (XdsWorldPeer *peer, guint32 type, guint32 tx_id, const char *format,
                            ...) G_GNUC_PRINTF (4, 5);

/* The next event, or NULL; replies in between are a failure of the test. */
XdsWorldMsg *xds_world_event (XdsWorldPeer *peer);

/* Of a call: its status, the payload of a success freed. Strings with their NULs by sizeof. */
XdsStatus xds_world_status (XdsWorldPeer *peer, guint32 type, guint32 tx_id, const void *payload,
                            gsize len);
XdsStatus xds_world_msg_status (const XdsWorldMsg *msg);

/* Starts a transaction; its id. */
guint32 xds_world_begin (XdsWorldPeer *peer);

/* Asserts that the next event is @path and @token; with a NULL @path, that there is none. */
void xds_world_expect_event (XdsWorldPeer *peer, const char *path, const char *token);

/* --- the pretend hypervisor --- */

void xds_world_domain_create (XdsWorld *world, guint domid);
void xds_world_domain_shutdown (XdsWorld *world, guint domid, guint reason);
void xds_world_domain_resume (XdsWorld *world, guint domid);
void xds_world_domain_dying (XdsWorld *world, guint domid);
void xds_world_domain_destroy (XdsWorld *world, guint domid);
gboolean xds_world_domain_get (XdsWorld *world, guint domid, XdsDomainState *ret_state);

/* Makes the next INTRODUCE of a new domain fail with @status; XDS_OK for no failure. */
void xds_world_fail_connect (XdsWorld *world, XdsStatus status);

/* Tells the engine of all domains, and pumps. */
void xds_world_report (XdsWorld *world);

/* --- what the engine told its host since the last call of xds_world_clear_told() --- */

const XdsWorldNotice *xds_world_notice (XdsWorld *world, guint index); /* NULL past the end */
const char *xds_world_told (XdsWorld *world); /* "+5 -5 print:..." in order */
void xds_world_clear_told (XdsWorld *world);
