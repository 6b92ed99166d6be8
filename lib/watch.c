/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Watches.
 *
 * The token on the wire is ours: the number of the watch, so an event finds its watch by one
 * look-up and two watches on one path never meet.  Events are queued by whoever receives them and
 * handed out by dispatch, or by xds_watch_next(): never from inside another call.
 *
 * Where the server knows no depth, all events come and those too deep are left out here.  The
 * result is the same, except that the special paths then never carry a domain id.
 *
 * A watch holds its client.  The client only knows the watch by its number, so dropping the last
 * reference ends it; the answer to that is not waited for, since there is nothing to do about it.
 */

#include "lib/watch.h"
#include "lib/call.h"
#include "lib/error.h"
#include "lib/xendomstore/control.h"

enum
{
  SIGNAL_CHANGED,
  N_SIGNALS
};

static guint signals[N_SIGNALS];

struct _XdsWatch
{
  GObject parent;
  XdsClient *client; /* owned, unless @is_internal: then the client owns the watch */
  gboolean is_internal;
  gboolean is_handed_out; /* somebody had the time to connect to the signal */
  guint64 id;             /* 0 once cancelled */
  char *path;
  int depth;
};

/**
 * XdsWatch:
 *
 * Tells of changes at a path. It ends when the last reference to it is dropped.
 */
G_DEFINE_FINAL_TYPE (XdsWatch, xds_watch, G_TYPE_OBJECT)

/* --- the wire's side --- */

typedef struct
{
  char token[24];
  char depth[16];
} WatchText;

static XdsCall
call_watch (XdsWatch *watch, guint op, WatchText *text)
{
  XdsCall call = xds_call (op, 0, watch->path);

  g_snprintf (text->token, sizeof text->token, "%" G_GUINT64_FORMAT, watch->id);
  xds_call_add_string (&call, text->token);
  if (op == XDS_OP_WATCH && watch->depth >= 0
      && (watch->client->features & XDS_FEATURES_WATCH_DEPTH) != 0)
    {
      g_snprintf (text->depth, sizeof text->depth, "%d", watch->depth);
      xds_call_add_string (&call, text->depth);
    }
  return call;
}

static void
ignore_answer (XdsClient *client, const XdsReply *reply, gpointer data)
{
}

/**
 * xds_watch_cancel:
 * @watch: the watch
 *
 * Ends the watch now; no event of it is reported any more, not even one that came already.
 */
void
xds_watch_cancel (XdsWatch *watch)
{
  WatchText text;
  XdsCall call;

  g_return_if_fail (XDS_IS_WATCH (watch));

  if (watch->id == 0)
    return;
  g_hash_table_remove (watch->client->watches, &watch->id);
  call = call_watch (watch, XDS_OP_UNWATCH, &text);
  if (xds_request_submit (watch->client, &call, ignore_answer, NULL, NULL))
    xds_request_push (watch->client);
  watch->id = 0;
}

static void
xds_watch_dispose (GObject *object)
{
  XdsWatch *watch = XDS_WATCH (object);

  if (watch->client != NULL)
    {
      xds_watch_cancel (watch);
      if (!watch->is_internal)
        g_object_unref (watch->client);
      watch->client = NULL;
    }
  G_OBJECT_CLASS (xds_watch_parent_class)->dispose (object);
}

static void
xds_watch_finalize (GObject *object)
{
  g_free (XDS_WATCH (object)->path);
  G_OBJECT_CLASS (xds_watch_parent_class)->finalize (object);
}

static void
xds_watch_class_init (XdsWatchClass *class)
{
  GObjectClass *object_class = G_OBJECT_CLASS (class);

  object_class->dispose = xds_watch_dispose;
  object_class->finalize = xds_watch_finalize;

  /**
   * XdsWatch::changed:
   * @watch: the watch
   * @path: what changed: the watched path or one below it
   *
   * Something changed, or may have changed: the first emission comes right after the watch was
   * made and only says that it works.  Read the node to see what it is now.
   */
  signals[SIGNAL_CHANGED] = g_signal_new ("changed", XDS_TYPE_WATCH, G_SIGNAL_RUN_LAST, 0, NULL,
                                          NULL, NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
}

static void
xds_watch_init (XdsWatch *watch)
{
}

static XdsWatch *
watch_new (XdsClient *client, const char *path, int depth)
{
  XdsWatch *watch = g_object_new (XDS_TYPE_WATCH, NULL);

  watch->client = g_object_ref (client);
  watch->id = ++client->last_watch;
  watch->path = g_strdup (path);
  watch->depth = depth;
  /* Known before it is asked for: its first event may come in one receive with the answer. */
  g_hash_table_insert (client->watches, &watch->id, watch);
  return watch;
}

void
xds_watch_make_internal (XdsWatch *watch)
{
  watch->is_internal = TRUE;
  g_object_unref (watch->client);
}

/* The server refused: there is nothing to take back. */
static void
watch_forget (XdsWatch *watch)
{
  g_hash_table_remove (watch->client->watches, &watch->id);
  watch->id = 0;
}

/* Without an answer there are no features; a connection that broke shows at the next call. */
static void
learn_features (XdsClient *client)
{
  XdsFeatures features = XDS_FEATURES_NONE;

  if (client->features >= 0)
    return;
  /* The kernel's device makes watches of its own, which have no depth. */
  if (client->is_socket)
    xds_client_get_features (client, XDS_GLOBAL, &features, NULL);
  client->features = features;
}

/**
 * xds_client_watch:
 * @client: the client
 * @path: a node, which need not exist; or a special path such as `@releaseDomain`
 * @depth: how many levels below @path to report, or %XDS_WATCH_UNLIMITED
 * @error: return location for an error
 *
 * Watches a path. Changes come by #XdsWatch::changed in a main loop, or by xds_watch_next()
 * without one. The first comes at once.
 *
 * Errors: %XDS_ERROR_EINVAL, %XDS_ERROR_EACCES, %XDS_ERROR_EEXIST, %XDS_ERROR_ENOSPC, those of a
 * connection (#XdsClient).
 *
 * Returns: (transfer full): the watch, or %NULL with @error set
 */
XdsWatch *
xds_client_watch (XdsClient *client, const char *path, int depth, GError **error)
{
  g_autoptr (XdsWatch) watch = NULL;
  WatchText text;
  XdsCall call;

  g_return_val_if_fail (XDS_IS_CLIENT (client) && path != NULL, NULL);

  if (depth >= 0)
    learn_features (client);
  xds_client_ensure_source (client);
  watch = watch_new (client, path, depth);
  call = call_watch (watch, XDS_OP_WATCH, &text);
  if (xds_call_run_ok (client, &call, error))
    {
      watch->is_handed_out = TRUE;
      return g_steal_pointer (&watch);
    }
  watch_forget (watch);
  return NULL;
}

/* --- later --- */

typedef struct
{
  char *path;
  int depth;
  XdsWatch *watch; /* owned, once asked for */
} WatchTask;

static void
watch_task_free (gpointer data)
{
  WatchTask *self = data;

  g_clear_object (&self->watch);
  g_free (self->path);
  g_free (self);
}

static void
watch_async_done (XdsClient *client, XdsAnswer *answer, GError *error, gpointer data)
{
  g_autoptr (GTask) task = data;
  WatchTask *self = g_task_get_task_data (task);

  xds_answer_free (answer);
  if (error != NULL)
    {
      watch_forget (self->watch);
      g_task_return_error (task, error);
      return;
    }
  g_task_return_pointer (task, g_steal_pointer (&self->watch), g_object_unref);
}

static void
watch_async_start (XdsClient *client, GTask *task)
{
  WatchTask *self = g_task_get_task_data (task);
  WatchText text;
  XdsCall call;

  self->watch = watch_new (client, self->path, self->depth);
  call = call_watch (self->watch, XDS_OP_WATCH, &text);
  xds_call_start (client, &call, watch_async_done, task);
}

static void
watch_async_features (GObject *source, GAsyncResult *result, gpointer data)
{
  XdsClient *client = XDS_CLIENT (source);
  XdsFeatures features = XDS_FEATURES_NONE;

  xds_client_get_features_finish (client, result, &features, NULL);
  client->features = client->is_socket ? features : 0;
  watch_async_start (client, data);
}

/**
 * xds_client_watch_async:
 * @client: the client
 * @path: a node, which need not exist; or a special path such as `@releaseDomain`
 * @depth: how many levels below @path to report, or %XDS_WATCH_UNLIMITED
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_client_watch() does, without waiting.
 */
void
xds_client_watch_async (XdsClient *client, const char *path, int depth, GCancellable *cancellable,
                        GAsyncReadyCallback callback, gpointer user_data)
{
  WatchTask *self;
  GTask *task;

  g_return_if_fail (XDS_IS_CLIENT (client) && path != NULL);

  self = g_new0 (WatchTask, 1);
  self->path = g_strdup (path);
  self->depth = depth;
  task = g_task_new (client, cancellable, callback, user_data);
  g_task_set_source_tag (task, xds_client_watch_async);
  g_task_set_task_data (task, self, watch_task_free);
  if (depth >= 0 && client->features < 0)
    xds_client_get_features_async (client, XDS_GLOBAL, NULL, watch_async_features, task);
  else
    watch_async_start (client, task);
}

/**
 * xds_client_watch_finish:
 * @client: the client
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_client_watch_async().
 *
 * Errors: those of xds_client_watch(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: (transfer full): the watch, or %NULL with @error set
 */
XdsWatch *
xds_client_watch_finish (XdsClient *client, GAsyncResult *result, GError **error)
{
  XdsWatch *watch;

  g_return_val_if_fail (g_task_is_valid (result, client), NULL);

  watch = g_task_propagate_pointer (G_TASK (result), error);
  if (watch != NULL)
    watch->is_handed_out = TRUE;
  return watch;
}

/* --- looking --- */

/**
 * xds_watch_get_path:
 * @watch: the watch
 *
 * Tells what is watched.
 *
 * Returns: (transfer none): the path, as it was given
 */
const char *
xds_watch_get_path (XdsWatch *watch)
{
  g_return_val_if_fail (XDS_IS_WATCH (watch), NULL);

  return watch->path;
}

/**
 * xds_watch_get_depth:
 * @watch: the watch
 *
 * Tells how deep changes are reported.
 *
 * Returns: the depth, or %XDS_WATCH_UNLIMITED
 */
int
xds_watch_get_depth (XdsWatch *watch)
{
  g_return_val_if_fail (XDS_IS_WATCH (watch), XDS_WATCH_UNLIMITED);

  return watch->depth;
}

/**
 * xds_watch_get_client:
 * @watch: the watch
 *
 * Tells whose watch it is.
 *
 * Returns: (transfer none): the client
 */
XdsClient *
xds_watch_get_client (XdsWatch *watch)
{
  g_return_val_if_fail (XDS_IS_WATCH (watch), NULL);

  return watch->client;
}

/* --- events --- */

void
xds_event_free (XdsEvent *event)
{
  g_free (event->path);
  g_free (event);
}

/* Is @path not too deep below what @watch watches? */
static gboolean
is_within_depth (XdsWatch *watch, const char *path)
{
  gsize len = strcmp (watch->path, "/") == 0 ? 0 : strlen (watch->path);
  int levels = 0;

  if (watch->depth < 0 || strlen (path) <= len || strcmp (path, "/") == 0)
    return TRUE;
  for (const char *p = path + len; *p != '\0'; p++)
    levels += *p == '/';
  return levels <= watch->depth;
}

void
xds_client_queue_event (XdsClient *client, const char *data, gsize len)
{
  XdsSpan payload = { data, len }, path, token;
  XdsWatch *watch;
  XdsEvent *event;
  guint64 id;

  /* An event of a watch that is not ours is not ours to judge: the descriptor may have had a life
     before. */
  if (!xds_msg_next_string (&payload, &path) || !xds_msg_next_string (&payload, &token)
      || !xds_msg_parse_number (token, G_MAXUINT64, &id))
    return;
  watch = g_hash_table_lookup (client->watches, &id);
  if (watch == NULL || !is_within_depth (watch, path.data))
    return;
  event = g_new (XdsEvent, 1);
  event->watch = id;
  event->path = g_strndup (path.data, path.len);
  g_queue_push_tail (&client->events, event);
}

static void
emit_event (XdsClient *client, XdsEvent *event)
{
  XdsWatch *known = g_hash_table_lookup (client->watches, &event->watch);
  g_autoptr (XdsWatch) watch = known != NULL ? g_object_ref (known) : NULL;

  /* Its _finish function is about to be called: until then nobody would hear this. */
  if (watch != NULL && !watch->is_handed_out)
    {
      g_queue_push_tail (&client->events, event);
      return;
    }
  if (watch != NULL)
    g_signal_emit (watch, signals[SIGNAL_CHANGED], 0, event->path);
  xds_event_free (event);
}

/* Only those that are there now: a handler that causes another must not keep the loop. */
void
xds_client_emit_events (XdsClient *client)
{
  for (guint n = client->events.length; n > 0 && !g_queue_is_empty (&client->events); n--)
    emit_event (client, g_queue_pop_head (&client->events));
}

static char *
take_event (XdsWatch *watch)
{
  for (GList *l = watch->client->events.head; l != NULL; l = l->next)
    {
      XdsEvent *event = l->data;
      char *path;

      if (event->watch != watch->id)
        continue;
      path = g_steal_pointer (&event->path);
      g_queue_delete_link (&watch->client->events, l);
      xds_event_free (event);
      return path;
    }
  return NULL;
}

/**
 * xds_watch_next:
 * @watch: the watch
 * @milliseconds: how long to wait at most; -1 for ever, 0 not at all
 * @error: return location for an error
 *
 * Waits for the watch's next event and takes it; it is then not signalled.
 *
 * Errors: %XDS_ERROR_TIMED_OUT, those of a connection (#XdsClient).
 *
 * Returns: (transfer full): the path that changed, or %NULL with @error set, which is
 *   %XDS_ERROR_TIMED_OUT if nothing happened
 */
char *
xds_watch_next (XdsWatch *watch, int milliseconds, GError **error)
{
  XdsClient *client;
  gint64 deadline = xds_deadline (milliseconds);
  char *path;

  g_return_val_if_fail (XDS_IS_WATCH (watch) && watch->id != 0, NULL);

  client = watch->client;
  client->in_sync++;
  while ((path = take_event (watch)) == NULL && client->broken == NULL
         && xds_request_turn (client, deadline))
    ;
  client->in_sync--;
  if (path != NULL)
    return path;
  if (client->broken != NULL)
    g_propagate_error (error, g_error_copy (client->broken));
  else
    g_set_error (error, XDS_ERROR, XDS_ERROR_TIMED_OUT, "Nothing happened to %s within %d ms.",
                 watch->path, milliseconds);
  return NULL;
}
