/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Waiting until a node has a value.
 *
 * A watch first, then read, then wait for an event, and so on: whatever happens after the read is
 * an event, so no change is missed.  The watch has depth 0, since children do not matter; an event
 * for a parent, as after its removal, is reported at the node itself.
 *
 * The asynchronous form is the same loop in pieces.  At most one read is under way; an event that
 * comes meanwhile asks for another one after it.
 */

#include "lib/call.h"
#include "lib/watch.h"
#include "lib/xendomstore/node.h"

/* Is what was read what was waited for?  @value NULL: any value will do. */
static gboolean
is_wanted (const char *got, gsize got_len, const char *value)
{
  return got != NULL
         && (value == NULL || (strlen (value) == got_len && memcmp (got, value, got_len) == 0));
}

static GError *
timed_out (const char *path, const char *value, int milliseconds)
{
  if (value == NULL)
    return g_error_new (XDS_ERROR, XDS_ERROR_TIMED_OUT, "%s did not appear within %d ms.", path,
                        milliseconds);
  return g_error_new (XDS_ERROR, XDS_ERROR_TIMED_OUT, "%s did not become \"%s\" within %d ms.",
                      path, value, milliseconds);
}

/* What is left of the time, for calls that take milliseconds. */
static int
left_of (gint64 deadline)
{
  gint64 left = deadline - g_get_monotonic_time ();

  if (deadline < 0)
    return -1;
  return left <= 0 ? 0 : (int) ((left + 999) / 1000);
}

/**
 * xds_client_wait_value:
 * @client: the client
 * @path: the node, which need not exist yet
 * @value: (nullable): the value to wait for; %NULL waits until the node exists
 * @milliseconds: how long to wait at most; -1 for ever
 * @ret_length: (out) (optional): return location for the number of bytes
 * @error: return location for an error
 *
 * Waits until a node has a value. A node that may not be read is an error, one that is not there
 * is waited for.
 *
 * Errors: %XDS_ERROR_TIMED_OUT, %XDS_ERROR_EACCES, %XDS_ERROR_EINVAL, %XDS_ERROR_ENOSPC, those of
 * a connection (#XdsClient).
 *
 * Returns: (transfer full) (array length=ret_length) (element-type guint8): the value that the
 *   node has, or %NULL with @error set, which is %XDS_ERROR_TIMED_OUT if the time is over
 */
char *
xds_client_wait_value (XdsClient *client, const char *path, const char *value, int milliseconds,
                       gsize *ret_length, GError **error)
{
  gint64 deadline = xds_deadline (milliseconds);
  g_autoptr (XdsWatch) watch = NULL;

  g_return_val_if_fail (XDS_IS_CLIENT (client) && path != NULL, NULL);

  watch = xds_client_watch (client, path, 0, error);
  while (watch != NULL)
    {
      g_autoptr (GError) own = NULL;
      gsize len = 0;
      g_autofree char *got = xds_client_read (client, NULL, path, &len, &own);
      g_autofree char *event = NULL;

      if (is_wanted (got, len, value))
        {
          if (ret_length != NULL)
            *ret_length = len;
          return g_steal_pointer (&got);
        }
      if (own != NULL && !g_error_matches (own, XDS_ERROR, XDS_ERROR_ENOENT))
        {
          g_propagate_error (error, g_steal_pointer (&own));
          return NULL;
        }
      g_clear_error (&own);
      event = xds_watch_next (watch, left_of (deadline), &own);
      if (event == NULL && !g_error_matches (own, XDS_ERROR, XDS_ERROR_TIMED_OUT))
        {
          g_propagate_error (error, g_steal_pointer (&own));
          return NULL;
        }
      if (event == NULL)
        {
          g_propagate_error (error, timed_out (path, value, milliseconds));
          return NULL;
        }
    }
  return NULL;
}

/* --- later --- */

typedef struct
{
  GTask *task; /* borrowed: this is its data */
  char *path, *value;
  int milliseconds;
  XdsWatch *watch; /* owned */
  gboolean reading, again, over;
  GSource *timer, *cancel; /* owned */
} Wait;

static void
drop_source (GSource **source)
{
  if (*source != NULL)
    g_source_destroy (*source);
  g_clear_pointer (source, g_source_unref);
}

static void
wait_free (gpointer data)
{
  Wait *self = data;

  drop_source (&self->timer);
  drop_source (&self->cancel);
  g_clear_object (&self->watch);
  g_free (self->path);
  g_free (self->value);
  g_free (self);
}

/* Exactly one of @answer, @error, both taken over; or neither for a cancellation. */
static void
wait_end (Wait *self, XdsAnswer *answer, GError *error)
{
  g_autoptr (GTask) task = self->task;

  self->over = TRUE;
  drop_source (&self->timer);
  drop_source (&self->cancel);
  if (self->watch != NULL)
    xds_watch_cancel (self->watch);
  if (error != NULL)
    g_task_return_error (task, error);
  else if (answer != NULL)
    g_task_return_pointer (task, answer, (GDestroyNotify) xds_answer_free);
  else
    g_task_return_error_if_cancelled (task);
}

static void wait_read (Wait *self);

static void
wait_read_done (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) keep = data;
  Wait *self = g_task_get_task_data (keep);
  g_autoptr (GError) error = NULL;
  gsize len = 0;
  g_autofree char *got = xds_client_read_finish (XDS_CLIENT (source), result, &len, &error);

  self->reading = FALSE;
  if (self->over)
    return;
  if (is_wanted (got, len, self->value))
    wait_end (self, xds_answer_copy (got, len), NULL);
  else if (error != NULL && !g_error_matches (error, XDS_ERROR, XDS_ERROR_ENOENT))
    wait_end (self, NULL, g_steal_pointer (&error));
  else if (self->again)
    wait_read (self);
}

static void
wait_read (Wait *self)
{
  self->again = self->reading;
  if (self->reading)
    return;
  self->reading = TRUE;
  xds_client_read_async (g_task_get_source_object (self->task), NULL, self->path, NULL,
                         wait_read_done, g_object_ref (self->task));
}

static void
on_changed (XdsWatch *watch, const char *path, Wait *self)
{
  if (!self->over)
    wait_read (self);
}

static void
wait_watched (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) keep = data;
  Wait *self = g_task_get_task_data (keep);
  g_autoptr (GError) error = NULL;
  g_autoptr (XdsWatch) watch = xds_client_watch_finish (XDS_CLIENT (source), result, &error);

  if (self->over)
    return;
  if (watch == NULL)
    {
      wait_end (self, NULL, g_steal_pointer (&error));
      return;
    }
  /* The watch's first event, which always comes, makes the first read. */
  self->watch = g_steal_pointer (&watch);
  g_signal_connect (self->watch, "changed", G_CALLBACK (on_changed), self);
}

static gboolean
on_timer (gpointer data)
{
  Wait *self = data;

  wait_end (self, NULL, timed_out (self->path, self->value, self->milliseconds));
  return G_SOURCE_REMOVE;
}

static gboolean
on_cancelled (GCancellable *cancellable, gpointer data)
{
  wait_end (data, NULL, NULL);
  return G_SOURCE_REMOVE;
}

static void
wait_arm (Wait *self, GCancellable *cancellable)
{
  if (self->milliseconds >= 0)
    {
      self->timer = g_timeout_source_new (self->milliseconds);
      g_task_attach_source (self->task, self->timer, on_timer);
      g_source_set_callback (self->timer, on_timer, self, NULL);
    }
  if (cancellable != NULL)
    {
      self->cancel = g_cancellable_source_new (cancellable);
      g_task_attach_source (self->task, self->cancel, (GSourceFunc) (void (*) (void)) on_cancelled);
      g_source_set_callback (self->cancel, (GSourceFunc) (void (*) (void)) on_cancelled, self,
                             NULL);
    }
}

/**
 * xds_client_wait_value_async:
 * @client: the client
 * @path: the node, which need not exist yet
 * @value: (nullable): the value to wait for; %NULL waits until the node exists
 * @milliseconds: how long to wait at most; -1 for ever
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_client_wait_value() does, in the main loop.
 */
void
xds_client_wait_value_async (XdsClient *client, const char *path, const char *value,
                             int milliseconds, GCancellable *cancellable,
                             GAsyncReadyCallback callback, gpointer user_data)
{
  Wait *self;

  g_return_if_fail (XDS_IS_CLIENT (client) && path != NULL);

  self = g_new0 (Wait, 1);
  self->task = g_task_new (client, cancellable, callback, user_data);
  self->path = g_strdup (path);
  self->value = g_strdup (value);
  self->milliseconds = milliseconds;
  g_task_set_source_tag (self->task, xds_client_wait_value_async);
  g_task_set_task_data (self->task, self, wait_free);
  wait_arm (self, cancellable);
  xds_client_watch_async (client, path, 0, NULL, wait_watched, g_object_ref (self->task));
}

/**
 * xds_client_wait_value_finish:
 * @client: the client
 * @result: what the callback was given
 * @ret_length: (out) (optional): return location for the number of bytes
 * @error: return location for an error
 *
 * Finishes xds_client_wait_value_async().
 *
 * Errors: those of xds_client_wait_value(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: (transfer full) (array length=ret_length) (element-type guint8): the value that the
 *   node has, or %NULL with @error set
 */
char *
xds_client_wait_value_finish (XdsClient *client, GAsyncResult *result, gsize *ret_length,
                              GError **error)
{
  g_autoptr (XdsAnswer) answer
      = xds_call_finish (client, result, xds_client_wait_value_async, error);

  if (answer == NULL)
    return NULL;
  if (ret_length != NULL)
    *ret_length = answer->len;
  return g_steal_pointer (&answer->data);
}
