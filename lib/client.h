/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the files of the library share about a connection.  Not installed.
 *
 * request.c owns the bytes and the requests in flight, client.c the object and its place in a
 * main loop, watch.c the events.
 */

#include "lib/xendomstore/client.h"
#include "lib/xendomstore/error.h"
#include "xsd/wire/msg.h"
#include "xsd/wire/op-number.h"

#define XDS_NO_DOMID (-1)

/* One request before it is sent.  Nothing in it is owned: it lives as long as its caller's frame.
 */
typedef struct
{
  guint op;
  guint32 tx;
  const char *path; /* (nullable) for the error's text */
  int domid;        /* likewise; XDS_NO_DOMID where there is none */
  XdsSpan parts[5];
  guint n_parts;
} XdsCall;

/* What came back.  @data is only valid inside the XdsReplyFunc. */
typedef struct
{
  XdsStatus status;
  const GError *broken; /* (nullable) the connection broke instead */
  const char *data;
  gsize len;
} XdsReply;

typedef void (*XdsReplyFunc) (XdsClient *client, const XdsReply *reply, gpointer data);

typedef struct
{
  XdsReplyFunc func; /* (nullable) NULL: the answer is thrown away */
  gpointer data;
  guint op;
  gboolean waiting;
} XdsPending;

typedef struct
{
  guint64 watch;
  char *path;
} XdsEvent;

typedef struct XdsDomainWatch XdsDomainWatch;

struct _XdsClient
{
  GObject parent;

  int fd; /* -1 once closed */
  char *path;
  gboolean is_socket;
  GError *broken;       /* why nothing works any more */
  gboolean told_closed; /* "closed" was emitted */

  GByteArray *out;
  gsize out_sent;
  gboolean out_blocked; /* the last send would have waited */

  guint8 *in;
  gsize in_start, in_end, in_size;

  XdsPending *pending; /* ring, indexed by request id */
  guint32 pending_size, first_id, next_id;
  guint in_sync; /* depth of synchronous calls */

  GHashTable *watches; /* id to XdsWatch, borrowed: a watch removes itself */
  guint64 last_watch;
  GQueue events; /* of XdsEvent */

  int timeout;
  int features; /* of the connection; -1: not asked yet */
  GSource *source;
  XdsDomainWatch *domain_watch;
};

/* --- request.c --- */

void xds_request_init (XdsClient *client);
void xds_request_clear (XdsClient *client);

/* Queues a request; @func is called exactly once, unless this returns FALSE. */
gboolean xds_request_submit (XdsClient *client, const XdsCall *call, XdsReplyFunc func,
                             gpointer data, GError **error);

/* Takes @func out of whatever is in flight for @data. */
void xds_request_abandon (XdsClient *client, gpointer data);

/* Sends what fits, without waiting. */
void xds_request_flush (XdsClient *client);

/* The same inside of a call that is about something else: that the connection is gone is told to
   others by the main loop. */
void xds_request_push (XdsClient *client);

/* Sends everything, waiting for room if need be. */
void xds_request_drain (XdsClient *client);

/* Receives what is there without waiting and handles it. */
void xds_request_receive (XdsClient *client);

/*
 * Sends, waits for bytes until @deadline (monotonic; -1 without end), handles them.  FALSE only
 * when the time is over.
 */
gboolean xds_request_turn (XdsClient *client, gint64 deadline);

gint64 xds_deadline (int milliseconds);

/* The connection is of no more use; everything in flight is told @error (transfer full). */
void xds_request_break (XdsClient *client, GError *error);

/* --- client.c --- */

/* Async work is about to start: be in the caller's main loop. */
void xds_client_ensure_source (XdsClient *client);

/* --- watch.c --- */

void xds_client_queue_event (XdsClient *client, const char *data, gsize len);
void xds_client_emit_events (XdsClient *client);
void xds_event_free (XdsEvent *event);

/* --- domain-watch.c --- */

void xds_domain_watch_free (XdsDomainWatch *self);
