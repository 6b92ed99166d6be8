/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Peers and what they say; the loop that moves the bytes is in loop.c.
 *
 * The generator must never be what is measured: requests that repeat are built once and copied,
 * one send a peer and round, one wake-up a guest and round.  A thread a peer was the road not
 * taken: it measures the scheduler.
 */

#include "tests/bench/peer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* Whatever number: the pretend hypervisor gives every domain the same port of its own. */
#define GFN_TEXT "1000"

void
bench_die (const char *format, ...)
{
  va_list args;

  va_start (args, format);
  fputs ("bench: ", stderr);
  vfprintf (stderr, format, args);
  fputc ('\n', stderr);
  va_end (args);
  exit (1);
}

double
bench_now (void)
{
  struct timespec ts;

  clock_gettime (CLOCK_MONOTONIC, &ts);
  return ts.tv_sec + ts.tv_nsec / 1e9;
}

GByteArray *
bench_packet (guint type, const char *path, const char *value)
{
  gsize path_len = strlen (path) + 1;
  gsize value_len = value == NULL ? 0 : strlen (value) + (type != XDS_OP_WRITE);
  XdsMsgHeader header = { type, 1, 0, path_len + value_len };
  GByteArray *packet = g_byte_array_sized_new (sizeof header + header.len);

  g_byte_array_append (packet, (guint8 *) &header, sizeof header);
  g_byte_array_append (packet, (guint8 *) path, path_len);
  g_byte_array_append (packet, (guint8 *) value, value_len);
  return packet;
}

static BenchPeer *
peer_new (BenchLoop *loop)
{
  BenchPeer *peer = g_new0 (BenchPeer, 1);

  peer->loop = loop;
  peer->fd = -1;
  peer->in = g_byte_array_new ();
  peer->out = g_byte_array_new ();
  peer->answer = bench_answer_score;
  g_ptr_array_add (loop->peers, peer);
  return peer;
}

int
bench_connect (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  if (fd >= 0 && connect (fd, (void *) &address, sizeof address) == 0)
    return fd;
  if (fd >= 0)
    close (fd);
  return -1;
}

BenchPeer *
bench_peer_connected (BenchLoop *loop, int fd)
{
  struct epoll_event event = { .events = EPOLLIN };
  BenchPeer *peer = peer_new (loop);

  peer->fd = fd;
  event.data.ptr = peer;
  if (fd < 0 || epoll_ctl (loop->epoll_fd, EPOLL_CTL_ADD, fd, &event))
    bench_die ("%s: cannot connect: %s", loop->socket_path, g_strerror (errno));
  return peer;
}

BenchPeer *
bench_peer_connect (BenchLoop *loop)
{
  return bench_peer_connected (loop, bench_connect (loop->socket_path));
}

BenchPeer *
bench_peer_introduce (BenchLoop *loop, BenchPeer *control, guint domid)
{
  g_autofree char *words = g_strdup_printf ("%u %s %d", domid, GFN_TEXT, FX_GUEST_PORT);
  gsize len = strlen (words) + 1;
  BenchPeer *peer = peer_new (loop);

  fx_dom_create (&loop->fx, domid, 1);
  peer->domid = domid;
  peer->page = fx_map (&loop->fx, domid);
  if (peer->page == NULL)
    bench_die ("the ring of domain %u cannot be mapped: %s", domid, g_strerror (errno));
  xds_ring_guest_ends (peer->page, &peer->reader, &peer->writer);
  loop->guests[domid] = peer;
  g_strdelimit (words, " ", '\0');
  if (bench_peer_call (control, XDS_OP_INTRODUCE, 0, words, len, NULL) != XDS_OP_INTRODUCE)
    bench_die ("domain %u cannot be introduced", domid);
  return peer;
}

void
bench_peer_free (BenchPeer *peer)
{
  if (peer == NULL)
    return;
  peer->loop->under_way -= peer->under_way;
  if (peer->page != NULL)
    {
      peer->loop->guests[peer->domid] = NULL;
      munmap (peer->page, 4096);
    }
  else
    close (peer->fd);
  g_byte_array_unref (peer->in);
  g_byte_array_unref (peer->out);
  g_clear_pointer (&peer->packet, g_byte_array_unref);
  g_ptr_array_remove_fast (peer->loop->peers, peer);
  g_free (peer);
}

static void
count_request (BenchPeer *peer)
{
  peer->under_way++;
  peer->loop->under_way++;
}

void
bench_peer_queue (BenchPeer *peer, guint type, guint32 tx, const void *payload, gsize len)
{
  XdsMsgHeader header = { type, 1, tx, len };

  g_byte_array_append (peer->out, (guint8 *) &header, sizeof header);
  g_byte_array_append (peer->out, payload, len);
  count_request (peer);
}

void
bench_peer_queue_packet (BenchPeer *peer, const GByteArray *packet, guint32 tx)
{
  guint at = peer->out->len + G_STRUCT_OFFSET (XdsMsgHeader, tx_id);

  g_byte_array_append (peer->out, packet->data, packet->len);
  memcpy (peer->out->data + at, &tx, sizeof tx);
  count_request (peer);
}

gboolean
bench_next_packet (BenchPeer *peer)
{
  bench_peer_queue_packet (peer, peer->packet, 0);
  return TRUE;
}

void
bench_answer_score (BenchPeer *peer, const BenchMsg *msg)
{
  if (msg->header.type != XDS_OP_WATCH_EVENT)
    peer->loop->score++;
}

void
bench_peer_repeat (BenchPeer *peer, guint type, const char *path, const char *value)
{
  g_clear_pointer (&peer->packet, g_byte_array_unref);
  peer->packet = bench_packet (type, path, value);
  peer->next = bench_next_packet;
}

/* --- one call at a time --- */

typedef struct
{
  guint type;
  GString *payload; /* (unowned) (nullable) */
} CallAnswer;

static void
take_answer (BenchPeer *peer, const BenchMsg *msg)
{
  CallAnswer *answer = peer->data;

  if (msg->header.type == XDS_OP_WATCH_EVENT)
    return;
  answer->type = msg->header.type;
  if (answer->payload != NULL)
    {
      g_string_truncate (answer->payload, 0);
      g_string_append_len (answer->payload, msg->payload, msg->header.len);
    }
}

guint
bench_peer_call (BenchPeer *peer, guint type, guint32 tx, const void *payload, gsize len,
                 GString *ret)
{
  CallAnswer answer = { XDS_OP_INVALID, ret };
  BenchPeer saved = *peer;

  bench_peer_queue (peer, type, tx, payload, len);
  peer->answer = take_answer;
  peer->next = NULL;
  peer->data = &answer;
  bench_loop_drain (peer->loop, &peer, 1, 1);
  peer->answer = saved.answer;
  peer->next = saved.next;
  peer->data = saved.data;
  return answer.type;
}

void
bench_peer_do (BenchPeer *peer, guint type, const char *path, const char *value)
{
  g_autoptr (GByteArray) packet = bench_packet (type, path, value);
  g_autoptr (GString) text = g_string_new (NULL);
  gsize skip = sizeof (XdsMsgHeader);

  if (bench_peer_call (peer, type, 0, packet->data + skip, packet->len - skip, text) != type)
    bench_die ("%s: request %u for %s was answered %s", peer->loop->socket_path, type, path,
               text->str);
}
