/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The stage of transcripts around a daemon that runs: sockets, and, on the pretend hypervisor of
 * tests/peers, domains and their rings.  The daemon is not started anew for each case; a case's
 * nodes, domains and limits are taken away after it.
 *
 * Nothing here waits for a time to pass, only at most so long for an answer.
 */

#include "tests/peers/fakexen.h"
#include "tests/transcript-stages.h"

#include "xsd/wire/op-number.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_HUB 2
#define LOOK_MS 50 /* between looks at a page that may change without a signal */

typedef struct
{
  XdsStage parent;
  char *socket;
  int patience_ms;
  struct fx *fx;        /* (nullable) */
  XdsTalker *caretaker; /* cleans up, and sets limits */
  GHashTable *quotas;   /* (element-type utf8): those that a case changed */
} LiveStage;

typedef struct
{
  int fd;            /* of the socket, or of the hub that wakes us for the ring */
  XdsRingPage *page; /* (nullable) */
  XdsRingEnd reader, writer;
} Link;

/* The limits that a server starts with, to be restored. */
static const struct
{
  const char *name;
  guint value;
} defaults[] = {
  { "nodes", 1000 },          { "watches", 128 },    { "transactions", 10 },
  { "outstanding", 20 },      { "node-size", 2048 }, { "transaction-nodes", 1024 },
  { "node-permissions", 5 },  { "path-max", 2048 },  { "memory", 2621440 },
  { "soft-memory", 2097152 },
};

/* --- sockets --- */

static int
socket_connect (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  if (connect (fd, (struct sockaddr *) &address, sizeof address) == 0)
    return fd;
  close (fd);
  return -1;
}

static void
socket_send (XdsTalker *talker, Link *link, const guint8 *bytes, gsize n)
{
  while (n > 0)
    {
      gssize done = send (link->fd, bytes, n, MSG_NOSIGNAL);

      if (done < 0)
        return; /* the end will be read, too */
      bytes += done;
      n -= done;
    }
}

static gboolean
socket_receive (LiveStage *s, XdsTalker *talker, Link *link)
{
  struct pollfd pollfd = { .fd = link->fd, .events = POLLIN };
  guint8 buffer[8192];
  gssize n;

  if (poll (&pollfd, 1, s->patience_ms) != 1)
    return FALSE;
  n = recv (link->fd, buffer, sizeof buffer, 0);
  if (n <= 0)
    {
      talker->closed = TRUE;
      return FALSE;
    }
  g_byte_array_append (talker->in, buffer, n);
  return TRUE;
}

/* --- rings --- */

static gboolean
ring_open (LiveStage *s, XdsTalker *talker, Link *link)
{
  guint hub = FIRST_HUB + talker->domid % (FX_HUBS - FIRST_HUB);

  if (s->fx == NULL || !(s->fx->st->dom[talker->domid].flags & FX_EXIST))
    return FALSE;
  link->page = fx_map (s->fx, talker->domid);
  link->fd = fx_hub_open (s->fx, hub);
  s->fx->st->dom[talker->domid].hub = hub;
  fx_guest_unmask (s->fx, talker->domid);
  xds_ring_guest_ends (link->page, &link->reader, &link->writer);
  return TRUE;
}

/* A ring that the server has given up says so in its page, and perhaps by no signal. */
static gboolean
ring_is_broken (XdsTalker *talker, Link *link)
{
  talker->ring_error = xds_ring_load (&link->page->error);
  talker->closed = talker->ring_error != XDS_RING_ERROR_NONE;
  return talker->closed;
}

/* Waits until the server has touched the ring; FALSE if it does not. */
static gboolean
ring_wait (LiveStage *s, XdsTalker *talker, Link *link)
{
  struct pollfd pollfd = { .fd = link->fd, .events = POLLIN };
  guint32 domid;

  for (int waited = 0; waited < s->patience_ms; waited += LOOK_MS)
    {
      if (ring_is_broken (talker, link))
        return FALSE;
      if (poll (&pollfd, 1, LOOK_MS) != 1)
        continue;
      if (read (link->fd, &domid, sizeof domid) == sizeof domid)
        fx_guest_unmask (s->fx, domid);
      return TRUE;
    }
  return FALSE;
}

static void
ring_send (LiveStage *s, XdsTalker *talker, Link *link, const guint8 *bytes, gsize n)
{
  while (n > 0)
    {
      int done = xds_ring_write (&link->writer, bytes, n);

      if (done < 0 || (done == 0 && !ring_wait (s, talker, link)))
        return;
      bytes += done;
      n -= done;
      fx_notify_server (s->fx, talker->domid);
    }
}

static gboolean
ring_receive (LiveStage *s, XdsTalker *talker, Link *link)
{
  guint8 buffer[XDS_RING_SIZE];
  int n;

  while ((n = xds_ring_read (&link->reader, buffer, sizeof buffer)) == 0)
    if (!ring_wait (s, talker, link))
      return FALSE;
  if (n < 0)
    return FALSE;
  g_byte_array_append (talker->in, buffer, n);
  fx_notify_server (s->fx, talker->domid);
  return TRUE;
}

/* Until the server has answered to the page; FALSE if it does not. */
static gboolean
ring_reconnect (LiveStage *s, XdsTalker *talker, Link *link)
{
  xds_ring_store (&link->page->connection, XDS_RING_RECONNECT);
  fx_notify_server (s->fx, talker->domid);
  while (xds_ring_load (&link->page->connection) != XDS_RING_CONNECTED)
    if (!ring_wait (s, talker, link))
      return FALSE;
  xds_ring_guest_ends (link->page, &link->reader, &link->writer);
  return TRUE;
}

static void
ring_corrupt (LiveStage *s, XdsTalker *talker, Link *link)
{
  xds_ring_store (&link->page->req_prod, xds_ring_load (&link->page->req_cons) + 5000);
  fx_notify_server (s->fx, talker->domid);
}

/* --- peers --- */

static gboolean
stage_open (XdsStage *stage, XdsTalker *talker)
{
  LiveStage *s = (LiveStage *) stage;
  Link *link = g_new0 (Link, 1);

  talker->link = link;
  if (talker->domid >= 0)
    return ring_open (s, talker, link);
  link->fd = socket_connect (s->socket);
  return link->fd >= 0;
}

static void
stage_close (XdsStage *stage, XdsTalker *talker)
{
  Link *link = talker->link;

  if (link == NULL)
    return;
  if (link->page != NULL)
    munmap (link->page, 4096); /* the hub's descriptor is the pretend hypervisor's */
  else if (link->fd >= 0)
    close (link->fd);
  g_free (link);
  talker->link = NULL;
}

static void
stage_send (XdsStage *stage, XdsTalker *talker, const guint8 *bytes, gsize n)
{
  Link *link = talker->link;

  if (link->page != NULL)
    ring_send ((LiveStage *) stage, talker, link, bytes, n);
  else
    socket_send (talker, link, bytes, n);
}

static gboolean
stage_receive (XdsStage *stage, XdsTalker *talker)
{
  Link *link = talker->link;

  if (link->page != NULL)
    return ring_receive ((LiveStage *) stage, talker, link);
  return socket_receive ((LiveStage *) stage, talker, link);
}

static gboolean
stage_ring (XdsStage *stage, XdsTalker *talker, const char *verb)
{
  LiveStage *s = (LiveStage *) stage;

  if (g_str_equal (verb, "reconnect"))
    return ring_reconnect (s, talker, talker->link);
  ring_corrupt (s, talker, talker->link);
  return g_str_equal (verb, "corrupt");
}

/* --- what the caretaker does --- */

/* @text with | for NUL. */
static gboolean
ask (LiveStage *s, guint32 type, const char *text, GString *ret_answer)
{
  g_autofree char *payload = g_strdelimit (g_strdup (text), "|", '\0');

  if (s->caretaker == NULL)
    {
      s->caretaker = xds_talker_new ("caretaker");
      if (!stage_open (&s->parent, s->caretaker))
        return FALSE;
    }
  return xds_talker_ask (&s->parent, s->caretaker, type, payload, strlen (text), ret_answer);
}

/* Until the server has seen the news about domains and done what follows from them. */
static void
settle (LiveStage *s)
{
  struct fx_port *port = &s->fx->st->port[s->fx->st->virq_port];

  fx_virq (s->fx);
  for (guint i = 0; i < (guint) s->patience_ms && (port->pending || port->masked); i++)
    g_usleep (1000);
  for (guint i = 0; i < 3; i++)
    ask (s, XDS_OP_READ, "/|", NULL);
}

static gboolean
stage_domain (XdsStage *stage, const char *verb, guint domid, guint reason)
{
  LiveStage *s = (LiveStage *) stage;

  if (s->fx == NULL)
    return FALSE;
  if (g_str_equal (verb, "destroy") || g_str_equal (verb, "replace"))
    fx_dom_destroy (s->fx, domid);
  if (g_str_equal (verb, "create") || g_str_equal (verb, "replace"))
    fx_dom_create (s->fx, domid, 0);
  if (g_str_equal (verb, "resume"))
    atomic_fetch_and (&s->fx->st->dom[domid].flags, ~FX_SHUTDOWN);
  if (g_str_equal (verb, "dying"))
    fx_dom_flags (s->fx, domid, FX_DYING | FX_DEAD);
  if (g_str_equal (verb, "shutdown"))
    {
      s->fx->st->dom[domid].reason = reason;
      fx_dom_flags (s->fx, domid, FX_SHUTDOWN);
    }
  settle (s);
  return TRUE;
}

/* The message since Xen 4.22, or the admin command before that. */
static gboolean
set_quota (LiveStage *s, const char *name, guint64 value)
{
  g_autofree char *now = g_strdup_printf ("%s|%" G_GUINT64_FORMAT "|", name, value);
  g_autofree char *then = g_strdup_printf ("quota|set|%s", now);
  g_autoptr (GString) answer = g_string_new (NULL);

  if (ask (s, XDS_OP_SET_QUOTA, now, NULL))
    return TRUE;
  return ask (s, XDS_OP_CONTROL, then, answer) && g_str_has_prefix (answer->str, "OK");
}

static gboolean
stage_quota (XdsStage *stage, const char *name, guint64 value)
{
  LiveStage *s = (LiveStage *) stage;

  g_hash_table_add (s->quotas, g_strdup (name));
  return set_quota (s, name, value);
}

static gboolean
stage_option (XdsStage *stage, const char *name, guint value)
{
  return FALSE;
}

static void
stage_pass_time (XdsStage *stage, guint seconds)
{
}

static void
remove_domains (LiveStage *s)
{
  if (s->fx == NULL)
    return;
  for (int domid = fx_next_dom (s->fx, 1); domid > 0; domid = fx_next_dom (s->fx, domid + 1))
    fx_dom_destroy (s->fx, domid);
  settle (s);
}

static void
remove_children (LiveStage *s, const char *path)
{
  g_autofree char *directory = g_strdup_printf ("%s|", *path != '\0' ? path : "/");
  g_autoptr (GString) names = g_string_new (NULL);

  ask (s, XDS_OP_DIRECTORY, directory, names);
  for (gsize at = 0; at < names->len; at += strlen (names->str + at) + 1)
    {
      g_autofree char *child = g_strdup_printf ("%s/%s|", path, names->str + at);

      if (g_str_equal (child, "/tool|"))
        remove_children (s, "/tool");
      else if (!g_str_equal (child, "/tool/xenstored|"))
        ask (s, XDS_OP_RM, child, NULL);
    }
}

static char *
stage_finish (XdsStage *stage)
{
  LiveStage *s = (LiveStage *) stage;

  for (gsize i = 0; i < G_N_ELEMENTS (defaults); i++)
    if (g_hash_table_contains (s->quotas, defaults[i].name))
      set_quota (s, defaults[i].name, defaults[i].value);
  g_hash_table_remove_all (s->quotas);
  remove_domains (s);
  remove_children (s, "");
  ask (s, XDS_OP_SET_PERMS, "/|n0|", NULL);
  return NULL;
}

static void
stage_free (XdsStage *stage)
{
  LiveStage *s = (LiveStage *) stage;

  if (s->caretaker != NULL)
    stage_close (stage, s->caretaker);
  xds_talker_free (s->caretaker);
  if (s->fx != NULL)
    fx_close (s->fx);
  g_free (s->fx);
  g_free (s->socket);
  g_hash_table_unref (s->quotas);
  g_free (s);
}

static const XdsStageClass live_stage = {
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
xds_stage_new_live (const char *socket, const char *pretend)
{
  LiveStage *s = g_new0 (LiveStage, 1);

  s->parent.class = &live_stage;
  s->socket = g_strdup (socket);
  s->patience_ms = 10000;
  s->quotas = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  if (pretend != NULL)
    {
      s->fx = g_new0 (struct fx, 1);
      g_assert_cmpint (fx_open (s->fx, pretend), ==, 0);
    }
  return &s->parent;
}

void
xds_stage_live_set_patience (XdsStage *stage, int patience_ms)
{
  ((LiveStage *) stage)->patience_ms = patience_ms;
}

gboolean
xds_stage_live_is_up (XdsStage *stage)
{
  int fd = socket_connect (((LiveStage *) stage)->socket);

  if (fd >= 0)
    close (fd);
  return fd >= 0;
}
