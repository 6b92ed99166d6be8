/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Listing.
 *
 * A directory whose names fit in one message is one request; the others come by parts, each of
 * which starts with the directory's generation.  A part of another generation means that the
 * directory changed meanwhile, and the listing starts again, so what the caller gets is always the
 * list of one moment.  An empty string ends the last part.
 *
 * Within a transaction the directory does not change and there is no starting again.
 */

#include "lib/list.h"
#include "lib/error.h"
#include "lib/xendomstore/node.h"

typedef struct
{
  guint32 tx;
  char *path;
  GString *generation; /* of the parts so far; empty before the first */
  GString *names;      /* each with its NUL */
} Listing;

static Listing *
listing_new (guint32 tx, const char *path)
{
  Listing *self = g_new0 (Listing, 1);

  self->tx = tx;
  self->path = g_strdup (path);
  self->generation = g_string_new (NULL);
  self->names = g_string_new (NULL);
  return self;
}

static void
listing_free (Listing *self)
{
  if (self == NULL)
    return;
  g_free (self->path);
  g_string_free (self->generation, TRUE);
  g_string_free (self->names, TRUE);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Listing, listing_free)

/* Space for a decimal offset. */
typedef struct
{
  char text[24];
} OffsetText;

static XdsCall
listing_next_call (Listing *self, OffsetText *offset)
{
  XdsCall call = xds_call (XDS_OP_DIRECTORY_PART, self->tx, self->path);

  g_snprintf (offset->text, sizeof offset->text, "%" G_GSIZE_FORMAT, self->names->len);
  xds_call_add_string (&call, offset->text);
  return call;
}

typedef enum
{
  PART_MORE,
  PART_LAST,
  PART_BAD,
} PartState;

static PartState
listing_add_part (Listing *self, const XdsAnswer *answer)
{
  gsize generation = strnlen (answer->data, answer->len);
  const char *names = answer->data + generation + 1;
  gsize len;
  gboolean last;

  if (generation == answer->len)
    return PART_BAD;
  len = answer->len - generation - 1;
  if (self->generation->len > 0 && strcmp (self->generation->str, answer->data) != 0)
    {
      g_string_truncate (self->generation, 0);
      g_string_truncate (self->names, 0);
      return PART_MORE;
    }
  g_string_assign (self->generation, answer->data);
  last = len > 0 && names[len - 1] == '\0' && (len == 1 || names[len - 2] == '\0');
  g_string_append_len (self->names, names, last ? len - 1 : len);
  if (last)
    return PART_LAST;
  return len > 0 ? PART_MORE : PART_BAD;
}

static GError *
listing_bad (Listing *self)
{
  return g_error_new (XDS_ERROR, XDS_ERROR_PROTOCOL,
                      "Cannot list %s: the server's answer has no end.", self->path);
}

static char **
listing_result (Listing *self)
{
  return xds_answer_strings (self->names->str, self->names->len);
}

char **
xds_list_by_parts (XdsClient *client, guint32 tx, const char *path, GError **error)
{
  g_autoptr (Listing) self = listing_new (tx, path);
  PartState state = PART_MORE;

  while (state == PART_MORE)
    {
      g_auto (XdsAnswer) answer = { NULL, 0 };
      OffsetText offset;
      XdsCall call = listing_next_call (self, &offset);

      if (!xds_call_run (client, &call, &answer, error))
        return NULL;
      state = listing_add_part (self, &answer);
    }
  if (state == PART_LAST)
    return listing_result (self);
  g_propagate_error (error, listing_bad (self));
  return NULL;
}

/**
 * xds_client_list:
 * @client: the client
 * @txn: (nullable): the transaction to do it in, or %NULL
 * @path: an absolute path, or one below the home of the caller's domain
 * @error: return location for an error
 *
 * Lists the names of a node's children, however many there are. The list is of one moment.
 *
 * Errors: %XDS_ERROR_ENOENT, %XDS_ERROR_EACCES, %XDS_ERROR_EINVAL, %XDS_ERROR_EAGAIN,
 * %XDS_ERROR_ENOSPC, %XDS_ERROR_USAGE, those of a connection (#XdsClient).
 *
 * Returns: (transfer full) (array zero-terminated=1): the names, to be freed with g_strfreev(),
 *   or %NULL with @error set
 */
char **
xds_client_list (XdsClient *client, XdsTransaction *txn, const char *path, GError **error)
{
  g_auto (XdsAnswer) answer = { NULL, 0 };
  g_autoptr (GError) own = NULL;
  XdsCall call;
  guint32 tx;

  g_return_val_if_fail (XDS_IS_CLIENT (client) && path != NULL, NULL);

  if (!xds_call_tx (client, txn, &tx, error))
    return NULL;
  call = xds_call (XDS_OP_DIRECTORY, tx, path);
  if (xds_call_run (client, &call, &answer, &own))
    return xds_answer_strings (answer.data, answer.len);
  if (g_error_matches (own, XDS_ERROR, XDS_ERROR_E2BIG))
    return xds_list_by_parts (client, tx, path, error);
  g_propagate_error (error, g_steal_pointer (&own));
  return NULL;
}

/* --- later: the task's data is the listing --- */

static void list_part_done (XdsClient *client, XdsAnswer *answer, GError *error, gpointer data);

static void
list_next_part (XdsClient *client, GTask *task)
{
  OffsetText offset;
  XdsCall call = listing_next_call (g_task_get_task_data (task), &offset);

  xds_call_start (client, &call, list_part_done, task);
}

static void
list_part_done (XdsClient *client, XdsAnswer *own_answer, GError *error, gpointer data)
{
  g_autoptr (XdsAnswer) answer = own_answer;
  g_autoptr (GTask) task = data;
  Listing *self = g_task_get_task_data (task);

  if (error != NULL)
    {
      g_task_return_error (task, error);
      return;
    }
  switch (listing_add_part (self, answer))
    {
    case PART_MORE:
      list_next_part (client, g_steal_pointer (&task));
      return;
    case PART_LAST:
      g_task_return_pointer (task, listing_result (self), (GDestroyNotify) g_strfreev);
      return;
    case PART_BAD:
      g_task_return_error (task, listing_bad (self));
      return;
    }
}

static void
list_done (XdsClient *client, XdsAnswer *own_answer, GError *error, gpointer data)
{
  g_autoptr (XdsAnswer) answer = own_answer;
  g_autoptr (GTask) task = data;

  if (error == NULL)
    g_task_return_pointer (task, xds_answer_strings (answer->data, answer->len),
                           (GDestroyNotify) g_strfreev);
  else if (g_error_matches (error, XDS_ERROR, XDS_ERROR_E2BIG))
    {
      g_error_free (error);
      list_next_part (client, g_steal_pointer (&task));
    }
  else
    g_task_return_error (task, error);
}

/**
 * xds_client_list_async:
 * @client: the client
 * @txn: (nullable): the transaction to do it in, or %NULL
 * @path: an absolute path, or one below the home of the caller's domain
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_client_list() does, without waiting.
 */
void
xds_client_list_async (XdsClient *client, XdsTransaction *txn, const char *path,
                       GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  XdsCall call;
  guint32 tx;
  GTask *task;

  g_return_if_fail (XDS_IS_CLIENT (client) && path != NULL);

  if (!xds_call_begin_async (client, txn, &tx, xds_client_list_async, callback, user_data))
    return;
  task = g_task_new (client, cancellable, callback, user_data);
  g_task_set_source_tag (task, xds_client_list_async);
  g_task_set_task_data (task, listing_new (tx, path), (GDestroyNotify) listing_free);
  call = xds_call (XDS_OP_DIRECTORY, tx, path);
  xds_call_start (client, &call, list_done, task);
}

/**
 * xds_client_list_finish:
 * @client: the client
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_client_list_async().
 *
 * Errors: those of xds_client_list(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: (transfer full) (array zero-terminated=1): the names, or %NULL with @error set
 */
char **
xds_client_list_finish (XdsClient *client, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, client), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}
