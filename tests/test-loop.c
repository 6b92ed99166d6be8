/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The loop under the transports: it must be quick about its own descriptors without ever being
 * late for anybody else's sources.
 */

#include "xsd/transport/loop.h"

#include <gio/gio.h>
#include <glib-unix.h>
#include <sys/eventfd.h>
#include <unistd.h>

typedef struct
{
  XdsLoopItem item; /* must be first */
  int fd;
  guint called;
  struct Fixture *fixture;
} Counter;

typedef struct Fixture
{
  GMainContext *context;
  XdsLoop *loop;
  GMainLoop *main;
  GString *order;
  Counter a, b;
} Fixture;

static void
count (XdsLoopItem *item, guint32 events)
{
  Counter *self = (Counter *) item;
  eventfd_t value;

  self->called++;
  if (events & EPOLLIN)
    g_assert_no_errno (eventfd_read (self->fd, &value));
  g_string_append_c (self->fixture->order, self == &self->fixture->a ? 'a' : 'b');
}

static void
counter_init (Counter *self, Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  self->fixture = fixture;
  self->fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  xds_loop_add (fixture->loop, &self->item, self->fd, EPOLLIN, count, &error);
  g_assert_no_error (error);
}

static void
set_up (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;

  f->context = g_main_context_new ();
  g_main_context_push_thread_default (f->context);
  f->loop = xds_loop_new (f->context, &error);
  g_assert_no_error (error);
  f->main = g_main_loop_new (f->context, FALSE);
  f->order = g_string_new (NULL);
  counter_init (&f->a, f);
  counter_init (&f->b, f);
}

static void
tear_down (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  xds_loop_remove (f->loop, &f->a.item);
  xds_loop_remove (f->loop, &f->b.item);
  close (f->a.fd);
  close (f->b.fd);
  g_main_loop_unref (f->main);
  xds_loop_free (f->loop);
  g_main_context_pop_thread_default (f->context);
  g_main_context_unref (f->context);
  g_string_free (f->order, TRUE);
}

static GSource *
add_source (Fixture *f, GSource *source, GSourceFunc func)
{
  g_source_set_callback (source, func, f, NULL);
  g_source_attach (source, f->context);
  g_source_unref (source);
  return source;
}

static gboolean
quit (gpointer data)
{
  g_main_loop_quit (((Fixture *) data)->main);
  return G_SOURCE_REMOVE;
}

static void
quit_item (XdsLoopItem *item, guint32 events)
{
  count (item, events);
  g_main_loop_quit (((Counter *) item)->fixture->main);
}

/* Only items whose descriptors are ready are called. */
static void
test_ready_only (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  eventfd_write (f->b.fd, 1);
  g_main_context_iteration (f->context, TRUE);
  g_assert_cmpuint (f->a.called, ==, 0);
  g_assert_cmpuint (f->b.called, ==, 1);
  g_assert_false (g_main_context_iteration (f->context, FALSE));
}

/* What is put on the ready list gets one turn each, in order, however often it is put there. */
static void
test_ready_list (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  xds_loop_ready (f->loop, &f->b.item);
  xds_loop_ready (f->loop, &f->a.item);
  xds_loop_ready (f->loop, &f->b.item);
  g_main_context_iteration (f->context, TRUE);
  g_assert_cmpstr (f->order->str, ==, "ba");
}

static void
again (XdsLoopItem *item, guint32 events)
{
  Counter *self = (Counter *) item;

  count (item, events);
  if (self->called < 5)
    xds_loop_ready (self->fixture->loop, item);
}

/* Who always has more to do takes turns with the others. */
static void
test_fairness (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->a.item.func = f->b.item.func = again;
  xds_loop_ready (f->loop, &f->a.item);
  xds_loop_ready (f->loop, &f->b.item);
  while (f->a.called < 5 || f->b.called < 5)
    g_main_context_iteration (f->context, TRUE);
  g_assert_cmpstr (f->order->str, ==, "ababababab");
}

static void
remove_other (XdsLoopItem *item, guint32 events)
{
  Counter *self = (Counter *) item;
  Fixture *f = self->fixture;

  count (item, events);
  xds_loop_remove (f->loop, self == &f->a ? &f->b.item : &f->a.item);
}

/* An item that is removed is not called any more, though its event was taken already. */
static void
test_remove (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->a.item.func = f->b.item.func = remove_other;
  eventfd_write (f->a.fd, 1);
  eventfd_write (f->b.fd, 1);
  g_main_context_iteration (f->context, TRUE);
  while (g_main_context_iteration (f->context, FALSE))
    ;
  g_assert_cmpuint (f->a.called + f->b.called, ==, 1);
}

/* A timer that was there before is served though a quiet item keeps the loop lingering. */
static void
test_timer_before (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->a.item.quiet = TRUE;
  add_source (f, g_timeout_source_new (20), quit);
  eventfd_write (f->a.fd, 1);
  g_main_loop_run (f->main);
  g_assert_cmpuint (f->a.called, ==, 1);
}

static void
add_timer (XdsLoopItem *item, guint32 events)
{
  Counter *self = (Counter *) item;

  count (item, events);
  xds_loop_disturb (self->fixture->loop);
  add_source (self->fixture, g_timeout_source_new (1), quit);
}

/* A timer that a quiet item adds is seen when it says so; one of any other item always. */
static void
test_timer_within (Fixture *f, gconstpointer quiet)
{
  f->a.item.quiet = GPOINTER_TO_INT (quiet);
  f->a.item.func = add_timer;
  eventfd_write (f->a.fd, 1);
  g_main_loop_run (f->main);
  g_assert_cmpuint (f->a.called, ==, 1);
}

static gpointer
attach_from_thread (gpointer data)
{
  Fixture *f = data;

  while (g_atomic_int_get (&f->a.called) == 0)
    g_usleep (1000);
  add_source (f, g_idle_source_new (), quit);
  return NULL;
}

/* A source that another thread adds wakes the loop, though it lingers without limit. */
static void
test_other_thread (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GThread) thread = g_thread_new ("adds-a-source", attach_from_thread, f);

  f->a.item.quiet = TRUE;
  eventfd_write (f->a.fd, 1);
  g_main_loop_run (f->main);
  g_thread_join (g_steal_pointer (&thread));
}

static gboolean
fd_ready (gint fd, GIOCondition condition G_GNUC_UNUSED, gpointer data)
{
  eventfd_t value;

  eventfd_read (fd, &value);
  return quit (data);
}

/* Somebody else's descriptor is polled beside ours, and both are served. */
static void
test_foreign_fd (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  int fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  GSource *source = g_unix_fd_source_new (fd, G_IO_IN);

  f->a.item.quiet = TRUE;
  g_source_set_callback (source, G_SOURCE_FUNC (fd_ready), f, NULL);
  g_source_attach (source, f->context);
  eventfd_write (f->a.fd, 1);
  while (f->a.called == 0)
    g_main_context_iteration (f->context, TRUE);
  eventfd_write (fd, 1);
  g_main_loop_run (f->main);
  g_source_destroy (source);
  g_source_unref (source);
  close (fd);
}

static void
iterate_inside (XdsLoopItem *item, guint32 events)
{
  Fixture *f = ((Counter *) item)->fixture;

  count (item, events);
  g_main_context_iteration (f->context, FALSE);
}

/* Iterating the context from inside a turn neither loses nor repeats events. */
static void
test_nested (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->a.item.func = f->b.item.func = iterate_inside;
  eventfd_write (f->a.fd, 1);
  eventfd_write (f->b.fd, 1);
  g_main_context_iteration (f->context, TRUE);
  while (g_main_context_iteration (f->context, FALSE))
    ;
  g_assert_cmpuint (f->a.called, ==, 1);
  g_assert_cmpuint (f->b.called, ==, 1);
}

static void
clear_deadline (gpointer loop, gpointer data)
{
  Fixture *f = data;

  xds_loop_set_deadline (loop, -1);
  f->b.called++;
  g_main_loop_quit (f->main);
}

/* A deadline gives a turn though nothing is ready. */
static void
test_deadline (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  xds_loop_set_hooks (f->loop, NULL, clear_deadline, f);
  xds_loop_set_deadline (f->loop, g_get_monotonic_time () + 1000);
  g_main_loop_run (f->main);
  g_assert_cmpuint (f->b.called, ==, 1);
  xds_loop_set_hooks (f->loop, NULL, NULL, NULL);
}

/* A thousand idle items cost no turn: one that is active is served alone. */
static void
test_many (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  enum
  {
    N = 400
  };
  g_autofree Counter *idle = g_new0 (Counter, N);
  guint64 turns;

  for (guint i = 0; i < N; i++)
    counter_init (&idle[i], f);
  f->a.item.func = quit_item;
  turns = xds_loop_turns (f->loop);
  eventfd_write (f->a.fd, 1);
  g_main_loop_run (f->main);
  g_assert_cmpuint (xds_loop_turns (f->loop) - turns, ==, 1);
  g_assert_cmpstr (f->order->str, ==, "a");
  for (guint i = 0; i < N; i++)
    {
      xds_loop_remove (f->loop, &idle[i].item);
      close (idle[i].fd);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define TEST(name, data) g_test_add ("/loop/" #name, Fixture, data, set_up, test_##name, tear_down)
  TEST (ready_only, NULL);
  TEST (ready_list, NULL);
  TEST (fairness, NULL);
  TEST (remove, NULL);
  TEST (timer_before, NULL);
  g_test_add ("/loop/timer_within/quiet", Fixture, GINT_TO_POINTER (TRUE), set_up,
              test_timer_within, tear_down);
  g_test_add ("/loop/timer_within/other", Fixture, GINT_TO_POINTER (FALSE), set_up,
              test_timer_within, tear_down);
  TEST (other_thread, NULL);
  TEST (foreign_fd, NULL);
  TEST (nested, NULL);
  TEST (deadline, NULL);
  TEST (many, NULL);
  return g_test_run ();
}
