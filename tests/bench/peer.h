/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Peers of a server under load: connections of its socket and guests on their rings, all served
 * by one epoll loop in this process.  A peer keeps a number of requests under way; what it sends
 * next, and what an answer means, is the workload's.
 */

#include <glib.h>
#include <sys/types.h>
#include <time.h>

#include "tests/peers/fakexen.h"
#include "xsd/wire/msg.h"
#include "xsd/wire/op-number.h"
#include "xsd/wire/ring.h"

typedef struct BenchPeer BenchPeer;

typedef struct
{
  XdsMsgHeader header;
  const char *payload;
} BenchMsg;

typedef struct
{
  int epoll_fd;
  gboolean stopping;  /* no new requests: what is under way comes home */
  guint under_way;    /* requests without an answer, of all peers */
  guint64 score;      /* what the workload counts */
  guint64 answers;    /* of all kinds */
  guint64 errors;     /* ERROR answers */
  gboolean by_cpu;    /* a slice is as long as the processor time that both ends used in it */
  clockid_t server_clock;
  char *socket_path; /* (owned) */
  GPtrArray *peers;   /* (element-type BenchPeer) (owned) */
  struct fx fx;       /* the pretend hypervisor that the guests share with the server */
  int hub_fd;
  BenchPeer **guests; /* (owned) by domid */
} BenchLoop;

/* Queues the next request; FALSE if there is none to make now. */
typedef gboolean (*BenchNextFunc) (BenchPeer *peer);

/* Takes an answer (or a watch event: then nothing is under way less). */
typedef void (*BenchAnswerFunc) (BenchPeer *peer, const BenchMsg *msg);

struct BenchPeer
{
  BenchLoop *loop; /* (unowned) */
  int fd;          /* -1 for a guest */
  guint domid;
  XdsRingPage *page; /* (owned) of a guest */
  XdsRingEnd reader, writer;
  GByteArray *in, *out; /* (owned) a partial message; what is not sent yet */
  gboolean wants_write;
  guint under_way;
  BenchNextFunc next;
  BenchAnswerFunc answer;
  void *data;         /* of the workload */
  GByteArray *packet; /* (owned) (nullable) for bench_next_packet() */
};

/* @dir is a server's folder: its socket is run/socket, its pretend hypervisor xen. */
BenchLoop *bench_loop_new (const char *dir, pid_t server);
void bench_loop_free (BenchLoop *loop);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BenchLoop, bench_loop_free)

/* Seconds of the clock that counts, see by_cpu. */
double bench_loop_now (const BenchLoop *loop);

/* Handles what is ready, waiting at most @timeout_ms for something. */
void bench_loop_step (BenchLoop *loop, int timeout_ms);

/* Lets each of @peers have @depth requests under way for @seconds, then waits for the rest; the
   score per second. */
double bench_loop_slice (BenchLoop *loop, BenchPeer **peers, guint n, guint depth, double seconds);

/* The same without a clock: until no peer has a next request and all are answered. */
void bench_loop_drain (BenchLoop *loop, BenchPeer **peers, guint n, guint depth);

/* A connected socket, or -1. */
int bench_connect (const char *path);

BenchPeer *bench_peer_connect (BenchLoop *loop);
BenchPeer *bench_peer_connected (BenchLoop *loop, int fd);

/* Creates domain @domid in the pretend hypervisor and introduces it by @control. */
BenchPeer *bench_peer_introduce (BenchLoop *loop, BenchPeer *control, guint domid);
void bench_peer_free (BenchPeer *peer);

/* Queues a request; it is sent with whatever else this round brings. */
void bench_peer_queue (BenchPeer *peer, guint type, guint32 tx, const void *payload, gsize len);
void bench_peer_queue_packet (BenchPeer *peer, const GByteArray *packet, guint32 tx);

/* Sends now what is queued. */
void bench_peer_flush (BenchPeer *peer);

/* Sends one request now and waits for its answer; its type, the payload in @ret (nullable). */
guint bench_peer_call (BenchPeer *peer, guint type, guint32 tx, const void *payload, gsize len,
                       GString *ret);

/* The same for payloads of NUL-terminated words; the last one of a WRITE has no NUL.  An ERROR
   ends the program: set-up must not fail. */
void bench_peer_do (BenchPeer *peer, guint type, const char *path, const char *value);

/* Makes a peer repeat one packet; next function for it, and the answer that scores 1. */
void bench_peer_repeat (BenchPeer *peer, guint type, const char *path, const char *value);
gboolean bench_next_packet (BenchPeer *peer);
void bench_answer_score (BenchPeer *peer, const BenchMsg *msg);

/* A whole packet: header, path, NUL, value (as bench_peer_do()). */
GByteArray *bench_packet (guint type, const char *path, const char *value);

_Noreturn void bench_die (const char *format, ...) G_GNUC_PRINTF (1, 2);
double bench_now (void);
