/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * After a daemon that died: dump and journals give the engine as of the last turn that counted; the
 * slate says what became of the turn after it.  Bytes that had come are executed now, for the first
 * time as far as the store knows; bytes that had gone out are not sent again.  If that turn only
 * read, executing it again gives the bytes that it gave, since nothing counted in between.
 *
 * A request that brought two processes down, each by itself and not by a kill, is not tried a third
 * time: it is answered EIO, and its bytes are in the log.
 *
 * Descriptors need no care: they are open, in the table that the keeper shares.  Rings are
 * mapped and their ports bound anew; each gets a turn and a notification for what was missed.
 */

#include "config.h"

#include "xsd/daemon/survival-private.h"

#include "xsd/daemon/service-private.h"
#include "xsd/wire/ring.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

/* Requests of one peer that had to be refused, before it is disconnected. */
#define KILLS_MAX 4

/* What the process before us left, as it was before we write there ourselves. */
typedef struct
{
  XdsSurvival *survival;
  XdsService *service;
  XdsSlate slate;
  guint8 *pending; /* (owned) (nullable) bytes that came, and are not in the journal */
  gsize n_pending;
  GArray *connections; /* (owned) those that are open, in order */
  GPtrArray *lost; /* (owned) (element-type XdsPeer) that cannot be reached any more */
} Recovery;

/* --- descriptors --- */

guint
xds_survival_fds (const XdsSurvival *self, int *fds)
{
  const XdsSurvivalSet *set = &self->page->sets[self->page->which];
  guint n = 0;

  if (set->n_journals > 0)
    fds[n++] = set->base;
  for (guint i = 0; i < set->n_journals; i++)
    fds[n++] = set->journals[i];
  return n;
}

static int
compare_fds (const void *a, const void *b)
{
  const int x = *(const int *) a, y = *(const int *) b;

  return (x > y) - (x < y);
}

/* The kill came after a connection was accepted and before anybody had noted it, or after it was
   forgotten and before it was closed: then its end is all that comes of it. */
static void
adopt_strays (Recovery *self)
{
  g_autoptr (GArray) known = g_array_new (FALSE, FALSE, sizeof (int));

  xds_socket_server_fds (self->service->sockets, known);
  g_array_sort (known, compare_fds);
  for (guint i = 0; i < self->connections->len; i++)
    {
      int fd = g_array_index (self->connections, int, i);

      if (!g_array_binary_search (known, &fd, compare_fds, NULL))
        xds_socket_server_add (self->service->sockets, fd, NULL);
    }
}

/* --- who is to blame --- */

static gboolean
same_place (const XdsJournalPlace *a, const XdsJournalPlace *b)
{
  return a->position == b->position && a->request == b->request;
}

static gboolean
died_of_itself (int status)
{
  static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS };

  for (guint i = 0; WIFSIGNALED (status) && i < G_N_ELEMENTS (signals); i++)
    if (WTERMSIG (status) == signals[i])
      return TRUE;
  return FALSE;
}

static void
count_killer (XdsSurvivalPage *page, guint64 peer)
{
  guint i = 0;

  while (i < XDS_SURVIVAL_KILLERS - 1 && page->killers[i].n > 0 && page->killers[i].peer != peer)
    i++;
  if (page->killers[i].peer != peer)
    page->killers[i].n = 0;
  page->killers[i].peer = peer;
  page->killers[i].n++;
}

static void
blame (XdsSurvivalPage *page, int status)
{
  const XdsJournalPlace at = page->at;

  if (!died_of_itself (status) || at.request == 0)
    return;
  if (same_place (&at, &page->suspect) && page->n_refused < XDS_SURVIVAL_REFUSED)
    {
      page->refused[page->n_refused++] = at;
      if (page->slate.open)
        count_killer (page, page->slate.peer);
    }
  page->suspect = at;
}

static void
condemn (Recovery *self)
{
  XdsSurvivalPage *page = self->survival->page;

  for (guint i = 0; i < XDS_SURVIVAL_KILLERS; i++)
    {
      XdsPeer *peer = page->killers[i].n >= KILLS_MAX
                          ? xds_engine_find_peer (self->service->engine, page->killers[i].peer)
                          : NULL;

      if (peer != NULL)
        g_ptr_array_add (self->lost, peer);
      if (page->killers[i].n >= KILLS_MAX)
        page->killers[i].n = 0;
    }
}

/* --- what is there --- */

static gboolean
open_state (XdsSurvival *self, GError **error)
{
  const XdsSurvivalSet *set = &self->page->sets[self->page->which];

  if (set->n_journals == 0)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                   "the process before this one did not keep its state");
      return FALSE;
    }
  self->base = set->base;
  for (guint i = 0; i < set->n_journals; i++)
    if (!xds_journal_file_open (&self->journals[i], set->journals[i], error))
      return FALSE;
  return TRUE;
}

/* The bytes lie behind the end of the journal that was written last, at the address where the
   process that received them had it: nobody changes that while the slate is open. */
static void
save_pending (Recovery *self)
{
  const XdsSlate *slate = &self->slate;
  const XdsJournalFile *last = xds_survival_last (self->survival);
  guint64 at = (guint64) (gsize) slate->in.iov_base - last->head->address;

  if (!slate->open || slate->rx.msg_len == XDS_SLATE_NONE || at > last->size
      || slate->rx.msg_len > last->size - at)
    return;
  self->n_pending = slate->rx.msg_len;
  self->pending = g_memdup2 (last->data + at, self->n_pending);
}

/* --- the engine --- */

/* What else has the number is ours. */
static gboolean
is_connection (const Recovery *self, gint32 handle)
{
  return g_array_binary_search (self->connections, &handle, compare_fds, NULL);
}

static gboolean
peer_loaded (void *data, XdsPeer *peer, gint32 handle)
{
  Recovery *self = data;
  XdsService *service = self->service;
  gboolean on_slate = self->slate.open && self->slate.peer == xds_peer_id (peer);

  if (!xds_peer_is_domain (peer))
    {
      if (!is_connection (self, handle)
          || !xds_socket_server_resume (service->sockets, peer, handle, NULL))
        g_ptr_array_add (self->lost, peer);
    }
  else if (xds_ring_server_resume (service->rings, peer, xds_peer_domid (peer), handle, FALSE)
           == XDS_OK)
    {
      if (on_slate)
        xds_ring_server_tell_again (service->rings, peer, &self->slate);
    }
  else
    g_warning ("the ring of domain %u cannot be reached any more", xds_peer_domid (peer));
  return TRUE; /* who is lost goes when the journal is told of it */
}

static gboolean
replay (Recovery *self, GError **error)
{
  XdsSurvival *survival = self->survival;
  g_autoptr (GMappedFile) base = g_mapped_file_new_from_fd (survival->base, FALSE, error);
  g_autofree char *why = NULL;
  XdsJournalPiece pieces[2];
  guint n = 0;

  if (base == NULL)
    return FALSE;
  survival->base_len = g_mapped_file_get_length (base);
  for (; n < 2 && survival->journals[n].fd >= 0; n++)
    pieces[n] = (XdsJournalPiece){
      .data = survival->journals[n].data,
      .len = MIN (survival->journals[n].head->end, survival->journals[n].size),
      .position = survival->journals[n].head->position,
    };
  for (guint i = 0; i < survival->page->n_refused; i++)
    xds_engine_refuse (self->service->engine, &survival->page->refused[i]);
  if (xds_engine_recover (self->service->engine, g_mapped_file_get_contents (base),
                          survival->base_len, pieces, n, &survival->page->at, peer_loaded, self,
                          &why))
    return TRUE;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
               "what the process before this one kept cannot be read: %s", why);
  return FALSE;
}

/* --- the turn that was not over --- */

static void
give_pending (Recovery *self, XdsPeer *peer)
{
  gboolean counted = self->pending == NULL || xds_peer_given (peer) != self->slate.given;
  guint8 *room;

  if (!counted && xds_peer_input (peer, &room) < self->n_pending)
    {
      g_ptr_array_add (self->lost, peer);
      return;
    }
  if (!counted)
    {
      memcpy (room, self->pending, self->n_pending);
      xds_peer_filled (peer, self->n_pending);
    }
  /* Of bytes that came before, too: a request that is refused is known by the place of its turn,
     which is the next. */
  xds_peer_serve (peer, XDS_LINK_BUDGET);
}

static void
take_sent (Recovery *self, XdsPeer *peer)
{
  const guint8 *bytes;
  guint64 taken;

  if (self->slate.tx.msg_len == XDS_SLATE_NONE)
    return;
  taken = self->slate.taken + self->slate.tx.msg_len;
  if (taken <= xds_peer_taken (peer))
    return; /* it is in the journal */
  taken -= xds_peer_taken (peer);
  if (taken <= xds_peer_output (peer, &bytes))
    xds_peer_drained (peer, taken);
  else
    g_ptr_array_add (self->lost, peer);
}

static void
finish_turn (Recovery *self)
{
  XdsPeer *peer = self->slate.open ? xds_engine_find_peer (self->service->engine, self->slate.peer)
                                   : NULL;

  if (peer != NULL && !g_ptr_array_find (self->lost, peer, NULL))
    {
      give_pending (self, peer);
      take_sent (self, peer);
      xds_peer_drained (peer, 0); /* a turn that only read counts if its answers did not go out */
    }
  xds_slate_end (&self->survival->page->slate);
  xds_survival_note_address (self->survival);
}

/* Whom we cannot go on with is closed: no answer is better than a wrong one. */
static void
drop_lost (Recovery *self, const char *why)
{
  for (guint i = 0; i < self->lost->len; i++)
    {
      XdsPeer *peer = self->lost->pdata[i];
      guint64 id = xds_peer_id (peer);

      if (!xds_peer_is_domain (peer))
        {
          g_warning ("client %" G_GUINT64_FORMAT " on the socket is closed: %s", id, why);
          xds_socket_server_drop (self->service->sockets, peer);
          continue;
        }
      g_warning ("domain %u is not served until it asks for a fresh start: %s",
                 xds_peer_domid (peer), why);
      xds_link_failed (self->service->loop, xds_peer_get_data (peer), XDS_RING_ERROR_COMM);
    }
  g_ptr_array_set_size (self->lost, 0);
}

/* Nobody can go on from it, but somebody may look at it. */
static void
leave_behind (const XdsSurvival *self, const XdsService *service)
{
  g_autofree char *path = g_build_filename (service->config->run_dir, "xendomstored.lost", NULL);
  g_autoptr (GMappedFile) base
      = self->base >= 0 ? g_mapped_file_new_from_fd (self->base, FALSE, NULL) : NULL;

  if (base != NULL
      && g_file_set_contents_full (path, g_mapped_file_get_contents (base),
                                   g_mapped_file_get_length (base),
                                   G_FILE_SET_CONTENTS_CONSISTENT, 0600, NULL))
    g_critical ("the store as it was a while ago is in %s: see xds dump", path);
}

gboolean
xds_survival_recover (XdsSurvival *self, XdsService *service, const GArray *connections,
                      int status, GError **error)
{
  Recovery recovery = {
    .survival = self,
    .service = service,
    .slate = self->page->slate,
    .connections = g_array_new (FALSE, FALSE, sizeof (int)),
    .lost = g_ptr_array_new (),
  };
  gboolean done;

  g_array_append_vals (recovery.connections, connections->data, connections->len);
  g_array_sort (recovery.connections, compare_fds);
  blame (self->page, status);
  done = open_state (self, error);
  if (done)
    {
      save_pending (&recovery);
      done = replay (&recovery, error);
    }
  if (done)
    {
      self->service = service;
      xds_survival_write_on (self);
      finish_turn (&recovery);
      drop_lost (&recovery, "it cannot be reached, or what became of its last bytes is not known");
      condemn (&recovery);
      drop_lost (&recovery, "its requests brought this daemon down again and again");
      adopt_strays (&recovery);
    }
  if (!done)
    leave_behind (self, service);
  g_free (recovery.pending);
  g_array_unref (recovery.connections);
  g_ptr_array_unref (recovery.lost);
  return done;
}
