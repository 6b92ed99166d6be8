/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One epoll_wait() a turn.
 *
 * The usual way to put an epoll descriptor into a GMainContext costs two system calls a turn:
 * poll() finds that the epoll descriptor is readable, epoll_wait() finds out what is.  With one
 * client that asks and waits, that is one system call in four.  So the context gets a poll
 * function of ours.  A context polls a descriptor of its own, by which other threads wake it;
 * that one lives as long as the context and is registered in the epoll once.  As long as it is
 * the only one that GLib wants polled, the poll function is a single epoll_wait(), and what it
 * found waits in self->events for our source to be dispatched.
 *
 * Other descriptors of GLib's are not registered.  GLib tells us their numbers before each poll
 * but not whether a number still means the same file: closed and opened again it would look
 * unchanged, while the epoll has silently forgotten it.  With such sources around (they are rare
 * here) the poll function polls them together with the epoll descriptor, as anybody would.
 *
 * A round through GLib itself costs a good part of what a request does.  So our source, once
 * dispatched, lingers: it serves what is ready and waits for more by itself, until GLib's next
 * timer is due.  GLib gets its round at once when the context's own descriptor is woken (by a
 * signal, another thread, g_main_loop_quit()), and when a callback ran that may have changed what
 * GLib would wait for.  Every callback counts as such, but for items that promised not to
 * (XdsLoopItem.quiet); what these call, and does it nevertheless, says so by xds_loop_disturb().
 *
 * Invariants.  An event in self->events points to a registered item or is NULL.  An item is on
 * one list at most.
 *
 * The road not taken: lingering for a millisecond, always.  It needs no promise from anybody, but
 * a timer that short must be programmed into the processor for each wait, at twice the cost of
 * the round that it saves.
 */

#include "xsd/transport/loop.h"

#include "xsd/transport/failure.h"

#include <errno.h>
#include <gio/gio.h>
#include <unistd.h>

/* Events taken from the kernel at once: enough to make the call cheap, and few enough for the
   ready list to get its turn soon. */
#define BATCH 128

/* Rounds before GLib looks at its sources, whatever we believe of them. */
#define ROUNDS_MAX 256

struct XdsLoop
{
  GSource source;    /* must be first */
  int epoll_fd;      /* (owned) */
  int wakeup_fd;     /* the context's own; -1 if it could not be told */
  XdsLoopItem ready; /* head of a circular list */
  struct epoll_event events[BATCH];
  guint n_events, cursor; /* those before the cursor were called already */
  gboolean dispatching;
  gboolean woken;     /* GLib wants to look at its sources */
  gboolean disturbed; /* a callback may have changed GLib's sources */
  gboolean alone;     /* nobody but us has a descriptor in the context */
  gint64 poll_until;  /* when GLib's next timer is due; -1: never */
  gint64 deadline;
  guint64 turns;
  GArray *beside; /* (owned) (element-type GPollFD) */
  GFunc begin, end;
  void *data;
};

/* The loop whose context is about to poll in this thread: a GPollFunc has no user data. */
static _Thread_local XdsLoop *polling;

/* --- lists --- */

static void
list_init (XdsLoopItem *head)
{
  head->next = head->prev = head;
}

static void
list_append (XdsLoopItem *head, XdsLoopItem *item)
{
  item->next = head;
  item->prev = head->prev;
  head->prev->next = item;
  head->prev = item;
}

static void
list_unlink (XdsLoopItem *item)
{
  if (item->next == NULL)
    return;
  item->next->prev = item->prev;
  item->prev->next = item->next;
  item->next = item->prev = NULL;
}

static gboolean
list_is_empty (const XdsLoopItem *head)
{
  return head->next == head;
}

/* Moves all of @from to the empty list @to. */
static void
list_take (XdsLoopItem *to, XdsLoopItem *from)
{
  list_init (to);
  if (list_is_empty (from))
    return;
  to->next = from->next;
  to->prev = from->prev;
  to->next->prev = to->prev->next = to;
  list_init (from);
}

/* --- a turn --- */

static gboolean
has_work (const XdsLoop *self)
{
  return self->n_events > 0 || !list_is_empty (&self->ready);
}

/* Takes a batch from the kernel; the context's own descriptor is told by woken. */
static void
take_events (XdsLoop *self, int timeout)
{
  int n = epoll_wait (self->epoll_fd, self->events, BATCH, timeout);

  self->cursor = 0;
  self->n_events = MAX (n, 0);
  self->woken = FALSE;
  for (guint i = 0; i < self->n_events; i++)
    if (self->events[i].data.ptr == self)
      {
        self->woken = TRUE;
        self->events[i].data.ptr = NULL;
      }
}

static void
run_events (XdsLoop *self)
{
  while (self->cursor < self->n_events)
    {
      struct epoll_event *event = &self->events[self->cursor++];
      XdsLoopItem *item = event->data.ptr;

      if (item == NULL)
        continue;
      self->disturbed |= !item->quiet;
      item->func (item, event->events);
    }
}

/* Each item that is on the list now gets one turn; whoever comes meanwhile waits for the next. */
static void
run_ready (XdsLoop *self)
{
  XdsLoopItem running;

  list_take (&running, &self->ready);
  while (!list_is_empty (&running))
    {
      XdsLoopItem *item = running.next;

      list_unlink (item);
      self->disturbed |= !item->quiet;
      item->func (item, 0);
    }
}

/* What is left of the time that GLib gave, in milliseconds; -1 for ever. */
static int
time_left (const XdsLoop *self)
{
  gint64 left;

  if (self->poll_until < 0)
    return -1;
  left = self->poll_until - g_get_monotonic_time ();
  return left > 0 ? left / 1000 + 1 : 0;
}

/*
 * Takes more work without going back to GLib, if that is allowed; FALSE if there is none.  Where
 * several peers were active others became so meanwhile, thus the wait is none in general.
 */
static gboolean
linger (XdsLoop *self, guint round)
{
  if (self->woken || self->disturbed || !self->alone || round >= ROUNDS_MAX)
    return FALSE;
  take_events (self, list_is_empty (&self->ready) ? time_left (self) : 0);
  return has_work (self);
}

static gboolean
loop_dispatch (GSource *source, GSourceFunc callback G_GNUC_UNUSED, gpointer data G_GNUC_UNUSED)
{
  XdsLoop *self = (XdsLoop *) source;
  guint round = 0;

  self->dispatching = TRUE;
  do
    {
      self->turns++;
      if (self->begin != NULL)
        self->begin (self, self->data);
      run_events (self);
      run_ready (self);
      self->n_events = self->cursor = 0;
      if (self->end != NULL)
        self->end (self, self->data);
    }
  while (linger (self, ++round));
  self->dispatching = self->disturbed = FALSE;
  return G_SOURCE_CONTINUE;
}

/* --- GLib's side --- */

static gboolean
loop_prepare (GSource *source, gint *ret_timeout)
{
  XdsLoop *self = (XdsLoop *) source;

  polling = self;
  *ret_timeout = -1;
  return has_work (self);
}

static gboolean
loop_check (GSource *source)
{
  return has_work ((XdsLoop *) source);
}

static gint
poll_beside (XdsLoop *self, GPollFD *fds, guint n, gint timeout)
{
  GPollFD mine = { .fd = self->epoll_fd, .events = G_IO_IN };
  GPollFD *all;
  gint res;

  g_array_set_size (self->beside, 0);
  g_array_append_vals (self->beside, fds, n);
  g_array_append_val (self->beside, mine);
  all = (GPollFD *) self->beside->data;
  res = g_poll (all, n + 1, timeout);
  if (res <= 0)
    return res;
  for (guint i = 0; i < n; i++)
    fds[i].revents = all[i].revents;
  if (all[n].revents != 0)
    take_events (self, 0);
  return res;
}

/*
 * polling is set by our own prepare function.  Where that was not called (a source of a higher
 * priority is ready, or somebody iterates the context from inside a turn) our turn is not now,
 * and neither is it while events are left from before.
 */
static gint
loop_poll (GPollFD *fds, guint n, gint timeout)
{
  XdsLoop *self = g_steal_pointer (&polling);

  if (self == NULL || self->dispatching || self->n_events > 0)
    return g_poll (fds, n, timeout);
  self->alone = n == 1 && fds[0].fd == self->wakeup_fd;
  self->poll_until
      = timeout < 0 ? -1 : g_get_monotonic_time () + timeout * G_GINT64_CONSTANT (1000);
  if (!self->alone)
    return poll_beside (self, fds, n, timeout);
  take_events (self, timeout);
  fds[0].revents = self->woken ? G_IO_IN : 0;
  return self->woken;
}

/* --- life --- */

/* The only descriptor that a context without sources polls is its own. */
static gboolean
register_wakeup (XdsLoop *self, GMainContext *context, GError **error)
{
  struct epoll_event event = { .events = EPOLLIN, .data.ptr = self };
  GPollFD fds[2];
  gint timeout;

  self->wakeup_fd = -1;
  if (g_main_context_query (context, G_MAXINT, &timeout, fds, G_N_ELEMENTS (fds)) != 1)
    return TRUE;
  self->wakeup_fd = fds[0].fd;
  return epoll_ctl (self->epoll_fd, EPOLL_CTL_ADD, fds[0].fd, &event) == 0
         || xds_fail (error, errno, "cannot watch the main context's descriptor");
}

static void
loop_finalize (GSource *source)
{
  XdsLoop *self = (XdsLoop *) source;

  if (self->epoll_fd >= 0)
    close (self->epoll_fd);
  g_clear_pointer (&self->beside, g_array_unref);
}

XdsLoop *
xds_loop_new (GMainContext *context, GError **error)
{
  static GSourceFuncs funcs = {
    .prepare = loop_prepare,
    .check = loop_check,
    .dispatch = loop_dispatch,
    .finalize = loop_finalize,
  };
  g_autoptr (XdsLoop) self = (XdsLoop *) g_source_new (&funcs, sizeof *self);

  g_source_set_static_name (&self->source, "xds-loop");
  list_init (&self->ready);
  self->deadline = -1;
  self->beside = g_array_new (FALSE, FALSE, sizeof (GPollFD));
  self->epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  if (self->epoll_fd < 0)
    {
      xds_fail (error, errno, "cannot make an epoll descriptor");
      return NULL;
    }
  if (!register_wakeup (self, context, error))
    return NULL;
  g_main_context_set_poll_func (context, loop_poll);
  g_source_attach (&self->source, context);
  return g_steal_pointer (&self);
}

void
xds_loop_free (XdsLoop *self)
{
  GMainContext *context;

  if (self == NULL)
    return;
  if (polling == self)
    polling = NULL;
  context = g_source_get_context (&self->source);
  if (context != NULL)
    g_main_context_set_poll_func (context, g_poll);
  g_source_destroy (&self->source);
  g_source_unref (&self->source);
}

void
xds_loop_set_hooks (XdsLoop *self, GFunc begin, GFunc end, void *data)
{
  self->begin = begin;
  self->end = end;
  self->data = data;
}

void
xds_loop_set_deadline (XdsLoop *self, gint64 deadline)
{
  if (self->deadline == deadline)
    return;
  self->deadline = deadline;
  self->disturbed = TRUE;
  g_source_set_ready_time (&self->source, deadline);
}

void
xds_loop_disturb (XdsLoop *self)
{
  self->disturbed = TRUE;
}

guint64
xds_loop_turns (const XdsLoop *self)
{
  return self->turns;
}

/* --- items --- */

void
xds_loop_item_init (XdsLoopItem *item, XdsLoopFunc func)
{
  *item = (XdsLoopItem){ .func = func, .fd = -1 };
}

gboolean
xds_loop_add (XdsLoop *self, XdsLoopItem *item, int fd, guint32 events, XdsLoopFunc func,
              GError **error)
{
  struct epoll_event event = { .events = events, .data.ptr = item };

  if (epoll_ctl (self->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
    return xds_fail (error, errno, "cannot watch a descriptor");
  *item = (XdsLoopItem){ .func = func, .fd = fd, .events = events };
  return TRUE;
}

/* Cannot fail for a registered descriptor: the kernel allocates nothing for it. */
void
xds_loop_modify (XdsLoop *self, XdsLoopItem *item, guint32 events)
{
  struct epoll_event event = { .events = events, .data.ptr = item };

  if (item->fd < 0 || item->events == events)
    return;
  epoll_ctl (self->epoll_fd, EPOLL_CTL_MOD, item->fd, &event);
  item->events = events;
}

void
xds_loop_remove (XdsLoop *self, XdsLoopItem *item)
{
  list_unlink (item);
  if (item->fd < 0)
    return;
  epoll_ctl (self->epoll_fd, EPOLL_CTL_DEL, item->fd, NULL);
  for (guint i = self->cursor; i < self->n_events; i++)
    if (self->events[i].data.ptr == item)
      self->events[i].data.ptr = NULL;
  item->fd = -1;
}

void
xds_loop_ready (XdsLoop *self, XdsLoopItem *item)
{
  if (item->next == NULL)
    list_append (&self->ready, item);
}
