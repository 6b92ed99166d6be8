/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The store as the outside sees it: the only header of the core that others include.
 *
 * The engine is a function of bytes, domain events and time.  It opens nothing, waits for
 * nothing, knows no clock.  Bytes of a peer come in by xds_peer_input() and xds_peer_filled(),
 * answers and events go out by xds_peer_output() and xds_peer_drained().  What it needs of the
 * world it asks of an XdsHost, each member of which may be NULL.
 *
 * Not thread-safe: one engine, one thread.
 */

#include <glib.h>

#include "xsd/wire/limits.h"
#include "xsd/wire/status.h"

typedef struct XdsEngine XdsEngine;
typedef struct XdsPeer XdsPeer;

/*
 * No status of the wire: a host's answer to a CONTROL request that takes a while.  The request
 * stays where it is, as if it had not come yet, and is executed again by xds_engine_unpark(); its
 * peer waits, others do not.
 */
#define XDS_LATER XDS_STATUS_MAX

/* A domain as the hypervisor knows it. */
typedef struct
{
  guint domid;
  gboolean shutdown; /* stopped by itself, perhaps kept */
  gboolean dying;    /* will never run again: for the store it is gone */
  guint reason;      /* of the shutdown */
  guint64 unique_id; /* tells incarnations of a domid apart; 0 where unknown */
} XdsDomainState;

/* Something an administrator wants to know.  domid is that of the domain concerned. */
typedef enum
{
  XDS_NOTICE_QUOTA,       /* a hard limit was met: what = quota, used, allowed */
  XDS_NOTICE_QUOTA_SOFT,  /* 80 % of a limit, or the soft limit of memory */
  XDS_NOTICE_EVENTS_LOST, /* a reader did not read: what = path, used = number lost so far */
  XDS_NOTICE_PROTOCOL,    /* a peer broke the protocol: what = how */
  XDS_NOTICE_SNAPSHOT,    /* a transaction was doomed because it pinned too much: used, allowed */
  XDS_NOTICE_REFUSED,     /* a request that had brought us down was not run: what = its payload */
} XdsNoticeKind;

typedef struct
{
  XdsNoticeKind kind;
  guint domid;
  XdsPeer *peer;    /* (nullable) */
  const char *what; /* name of the quota, path, or a few words */
  const char *path; /* (nullable) of the request */
  const char *op;   /* (nullable) of the request that is under way, whoever's it is */
  guint64 used, allowed;
} XdsNotice;

/* One request and its answer, or one event, for the access log and the tracer. */
typedef struct
{
  XdsPeer *peer;
  gboolean is_event;
  guint type; /* of the request */
  guint32 req_id, tx_id;
  XdsStatus status;
  const char *payload; /* (array length=payload_len) of the request, or path NUL token NUL */
  gsize payload_len;
} XdsTrace;

typedef struct
{
  /* @peer has output, or has buffered requests again: drain and serve it.  Level, not edge: may
     be called again for a peer that is on the host's list already. */
  void (*peer_ready) (void *data, XdsPeer *peer);

  /* @peer broke the protocol: its bytes are not taken any more.  @ring_error is what to tell in its
     ring (XDS_RING_ERROR_*).  A socket's peer is to be removed with xds_engine_remove_peer(), but
     not from inside this call; a domain's stays, until the domain is introduced again, its ring
     reconnects (xds_peer_reset() revives it) or the domain dies. */
  void (*peer_failed) (void *data, XdsPeer *peer, guint ring_error);

  /* Does @domid exist, and how?  FALSE if not.  Without this member every domid exists. */
  gboolean (*domain_state) (void *data, guint domid, XdsDomainState *ret_state);

  /* INTRODUCE of a domain that is not connected: make its ring reachable, or say why not.
     @peer is new and the host may attach its transport to it. */
  XdsStatus (*domain_connect) (void *data, XdsPeer *peer, guint domid, guint64 gfn, guint port);

  /* INTRODUCE again of a domain that is connected: rebind @port, empty the ring, clear its
     error. */
  XdsStatus (*domain_reconnect) (void *data, XdsPeer *peer, guint domid, guint port);

  /* The domain's ring is to be given up; @peer is freed when this returns. */
  void (*domain_disconnect) (void *data, XdsPeer *peer, guint domid);

  /* CONTROL sub-commands that are the host's: "log", "logfile", "memreport", ...
     Append the answer's text.  @args: the sub-command and what follows it.  XDS_EINVAL for one
     that is unknown; XDS_LATER: not yet, see there. */
  XdsStatus (*control) (void *data, XdsPeer *peer, const char *const *args, GString *answer);

  /* CONTROL print. */
  void (*print) (void *data, const char *text);

  void (*notice) (void *data, const XdsNotice *notice);
  void (*trace) (void *data, const XdsTrace *trace);

  /* The store saw a domain come (introduced) or go for good, for whom ties things to it. */
  void (*domain_introduced) (void *data, guint domid);
  void (*domain_released) (void *data, guint domid);

  /* The journal has no room for @need more bytes.  All that counts is in it, so this is the moment
     for another base too: xds_engine_dump(), then xds_engine_set_journal() with another space, and
     TRUE.  FALSE: nothing is recorded any more. */
  gboolean (*journal_full) (void *data, gsize need);
} XdsHost;

/* --- life --- */

/* @host must stay valid as long as the engine. */
XdsEngine *xds_engine_new (const XdsHost *host, void *data);
void xds_engine_free (XdsEngine *engine);

/* Sets which domain serves the store (default 0), whose home relative paths of sockets are in, and
   which other domain's ring is privileged (default 0).  Before there are peers. */
void xds_engine_set_store_domid (XdsEngine *engine, guint domid);
void xds_engine_set_privileged_domid (XdsEngine *engine, guint domid);

/* Nodes of a dead domain go to the privileged domain instead of being removed. */
void xds_engine_set_keep_orphans (XdsEngine *engine, gboolean keep);

/* After how many conflicts in a row the next transaction of a privileged peer goes before others
   (default 8); 0: never. */
void xds_engine_set_favour_after (XdsEngine *engine, guint conflicts);

/*
 * A client that lost a transaction, and begins it again, waits while another one does so that lost
 * at the same place, and no longer than @patience microseconds for each of those; 0, as at first:
 * nobody waits.  Takes a host that asks for xds_engine_next_deadline().
 */
void xds_engine_set_patience (XdsEngine *engine, gint64 patience);

/* --- peers --- */

typedef struct
{
  gint pid; /* 0 unknown */
  guint uid, gid;
} XdsSocketIdentity;

/* A privileged peer on a socket.  (transfer none): owned by the engine. */
XdsPeer *xds_engine_add_socket_peer (XdsEngine *engine, const XdsSocketIdentity *identity);

/* A ring that is there without INTRODUCE: the domain that we serve from.  Fires no event. */
XdsPeer *xds_engine_add_domain_peer (XdsEngine *engine, guint domid);

/* The ring peer of a connected domain, or NULL. */
XdsPeer *xds_engine_domain_peer (XdsEngine *engine, guint domid);

void xds_engine_remove_peer (XdsEngine *engine, XdsPeer *peer);

/* The host's own pointer of a peer. */
void xds_peer_set_data (XdsPeer *peer, void *data);
void *xds_peer_get_data (XdsPeer *peer);

gboolean xds_peer_failed (XdsPeer *peer); /* broke the protocol: see XdsHost.peer_failed */
gboolean xds_peer_is_domain (XdsPeer *peer);
guint xds_peer_domid (XdsPeer *peer);     /* of a socket: the store domain's */
guint64 xds_peer_id (XdsPeer *peer);      /* unique since the engine began */
guint32 xds_peer_features (XdsPeer *peer); /* what a ring's server_features should say */
const XdsSocketIdentity *xds_peer_identity (XdsPeer *peer); /* NULL for a ring */
XdsPeer *xds_engine_find_peer (XdsEngine *engine, guint64 id); /* NULL: there is none */

/* What the host needs to reach the peer again: a descriptor, a remote port; -1: it cannot. */
void xds_peer_set_handle (XdsPeer *peer, gint32 handle);

/* --- bytes in --- */

/*
 * Where to put bytes of @peer, and how many fit.  No room (0) means: do not read now, the peer
 * has answers to take first, or requests to be served.  With a journal it is in there, behind what
 * counts; it is good until another call, for whatever peer, that the journal has.
 */
gsize xds_peer_input (XdsPeer *peer, guint8 **ret_room);

/* @n bytes were put there.  Nothing is executed yet. */
void xds_peer_filled (XdsPeer *peer, gsize n);

/*
 * Executes buffered requests, at most @budget of them, and stops before when the peer's answers
 * pile up.  TRUE if a whole request is left that could be served right away.
 */
gboolean xds_peer_serve (XdsPeer *peer, guint budget);

/* Executes again what was put off, at once. */
void xds_engine_unpark (XdsEngine *engine);

/* Executes all whole requests that are buffered and not put off, however much their answers pile
   up: whoever takes over has of each peer at most one, in part. */
void xds_engine_finish (XdsEngine *engine);

/* Would bytes of @peer be taken now? */
gboolean xds_peer_wants_input (XdsPeer *peer);

/* Forgets partial packets, queued output, watches and transactions, and that the peer failed: a
   ring that starts anew. */
void xds_peer_reset (XdsPeer *peer);

/* Forgets all of that too, and takes no bytes until it is reset: a ring that broke the rules of its
   indices. */
void xds_peer_give_up (XdsPeer *peer);

/* --- bytes out --- */

/* What to send, in one piece; 0 if there is nothing. Valid until the next call for this peer. */
gsize xds_peer_output (XdsPeer *peer, const guint8 **ret_bytes);

/* The first @n bytes of it were sent; 0 settles that none could be. */
void xds_peer_drained (XdsPeer *peer, gsize n);

/* --- events --- */

/* All domains that there are, at one moment, ordered by domid: whoever is missing is gone. */
void xds_engine_domains (XdsEngine *engine, const XdsDomainState *domains, gsize n);

/* Those that are introduced, but for who is always there; with their shutdown, if it was told. */
typedef void (*XdsDomainVisit) (void *data, const XdsDomainState *domain);
void xds_engine_visit_domains (XdsEngine *engine, XdsDomainVisit visit, void *data);

/* One domain changed; @state NULL: it is gone. */
void xds_engine_domain_changed (XdsEngine *engine, guint domid, const XdsDomainState *state);

/* Time, in microseconds of a clock that only goes forward, and when it wants to be told next (-1:
   no need). */
void xds_engine_tick (XdsEngine *engine, gint64 now);
gint64 xds_engine_next_deadline (XdsEngine *engine);

/* Makes names hash differently in each process; before the first engine. */
void xds_engine_seed (guint64 seed);

/* --- limits --- */

/* Global default of a quota by name ("nodes", "watches", ..., "soft-memory"); 0 is unlimited.
   FALSE for an unknown name. */
gboolean xds_engine_set_quota (XdsEngine *engine, const char *name, guint64 value);
gboolean xds_engine_get_quota (XdsEngine *engine, const char *name, guint64 *ret_value);

/* The names of all quotas, NULL-terminated. */
const char *const *xds_engine_quota_names (void);

/* "READ", "WRITE", ...; NULL for a type that there is not. */
const char *xds_op_name (guint type);

/* --- nodes, for the composition root and for tests; no peer, no permission, no quota --- */

/* Writes @path (absolute), creating parents, with events. */
XdsStatus xds_engine_write (XdsEngine *engine, const char *path, const void *value, gsize len);

/* The value of @path, borrowed until the next change; NULL if there is no such node. */
const guint8 *xds_engine_read (XdsEngine *engine, const char *path, gsize *ret_len);

/* Fires watches of an absolute or special path for privileged peers ("@userdata/3/xl"). */
void xds_engine_fire (XdsEngine *engine, const char *path);

/* The same for whoever watches @path or anything below it, each by the path that he watches: nobody
   knows what changed there. */
void xds_engine_fire_below (XdsEngine *engine, const char *path);

/* --- the whole state as a migration stream --- */

/* What the host knows of its side; in a dump of one and the loading of the next. */
typedef struct
{
  gint32 socket_fd, evtchn_fd; /* that the next process inherits; -1: none */

  /* The descriptor of a socket, the local port of a ring; NULL: as xds_peer_set_handle() said. */
  gint32 (*handle) (void *data, XdsPeer *peer);

  /* 0: all that there is, for one of us.  1 or 2: what C xenstored takes of a stream of that
     version, after xds_engine_finish(). */
  guint version;
} XdsDumpHost;

GBytes *xds_engine_dump (XdsEngine *engine, const XdsDumpHost *host, void *data);

/* (transfer full) (nullable) What there is that such a dump cannot hold, as words in a sentence. */
char *xds_engine_dump_losses (XdsEngine *engine, guint version);

/* @peer was loaded, with what it had not sent and not taken: attach its transport.  FALSE: it
   cannot be reached any more, and is forgotten like one that hung up. */
typedef gboolean (*XdsPeerLoaded) (void *data, XdsPeer *peer, gint32 handle);

/*
 * Fills an @engine that is as new.  FALSE with (transfer full) *ret_why: the stream is damaged at
 * such a record, for such a reason, and the engine is of no use any more; a stream that
 * xds_stream_verify() accepted can only fail for what its records mean.
 */
gboolean xds_engine_load (XdsEngine *engine, const void *stream, gsize len, XdsPeerLoaded loaded,
                          void *data, char **ret_why);

/* --- the journal: what was done to the engine since a dump, to be done again --- */

/* The least that a space must have; a call may need more. */
#define XDS_JOURNAL_MIN 65536

typedef struct
{
  guint64 position; /* in the whole journal: of the record that is made or replayed */
  guint32 request;  /* number within its turn, from 1; 0: none has begun */
  guint32 pad;
} XdsJournalPlace;

typedef struct
{
  guint8 *data; /* aligned to 8 */
  gsize size;
  guint64 position;    /* of data[0] in the whole journal; positions only grow */
  guint64 *end;        /* bytes of data that count, those that did before included; stored last */
  XdsJournalPlace *at; /* written before each request runs; cleared (0, 0) after the turn */
} XdsJournalSpace;

/*
 * From now on what is done to @engine is written there, behind *end; NULL: no more.  @space is
 * copied.  A turn counts when xds_peer_serve() returns, any other call when it returns; before, no
 * effect of it has left the engine.  But a turn that only read counts no sooner than something
 * else, or than xds_peer_drained() was told of less than all its output; when all was taken it is
 * forgotten, since done again it would answer the same.
 *
 * In a callback the host may call of the engine what only looks, and for its own peer
 * xds_peer_reset(), xds_peer_give_up() and xds_peer_set_handle(); nothing that is recorded else.
 */
void xds_engine_set_journal (XdsEngine *engine, const XdsJournalSpace *space);

/* In a child that has the engine by fork(): the journal is the parent's, and is not touched. */
void xds_engine_leave_journal (XdsEngine *engine);

/* How many bytes the peer gave and took in all, as the journal has them. */
guint64 xds_peer_given (XdsPeer *peer);
guint64 xds_peer_taken (XdsPeer *peer);

typedef struct
{
  const guint8 *data; /* aligned to 8 */
  gsize len;
  guint64 position;
} XdsJournalPiece;

/*
 * Fills an @engine that is as new from a dump (@base_len 0: there is none) and what the journal
 * has since, then calls @loaded for each peer that is left, with the handle that was set last, as
 * xds_engine_load() does; of whom it does not want nothing is recorded, so a host that goes on with
 * the same journal must say the same each time.  No callback of the host is called before.  FALSE
 * with (transfer full) *ret_why: such a record cannot be, or a turn gave another number of bytes
 * than it did; the engine is of no use then.  @at (nullable) says all the time where we are.
 *
 * Each peer may have requests waiting: serve it.  The one whose turn was under way goes first, so
 * that a request that is refused has its old place.
 */
gboolean xds_engine_recover (XdsEngine *engine, const void *base, gsize base_len,
                             const XdsJournalPiece *pieces, guint n_pieces, XdsJournalPlace *at,
                             XdsPeerLoaded loaded, void *data, char **ret_why);

/* The request there brought us down: it is answered EIO instead of run, now and when it is
   replayed.  Before xds_engine_recover(). */
void xds_engine_refuse (XdsEngine *engine, const XdsJournalPlace *place);

/* --- figures --- */

typedef struct
{
  guint64 nodes, node_bytes; /* node_bytes: memory of all nodes with names and values */
  guint64 watches, transactions, peers, domains;
  guint64 requests, errors, events, events_lost, events_merged, conflicts, commits;
} XdsStatistics;

void xds_engine_statistics (XdsEngine *engine, XdsStatistics *ret_statistics);

/* Walks everything and checks each invariant; NULL, or (transfer full) what is wrong. */
char *xds_engine_check (XdsEngine *engine);
