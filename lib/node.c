/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Nodes: read, write, mkdir, remove, list, permissions.
 *
 * Each operation has a function that describes the call and one that gives its answer a meaning;
 * the public functions below only combine them.  Listing is in list.c, since it may take many
 * requests.
 */

#include "lib/call.h"
#include "lib/error.h"
#include "lib/list.h"
#include "lib/xendomstore/node.h"

static XdsCall
call_write (guint32 tx, const char *path, const char *value, gssize length)
{
  XdsCall call = xds_call (XDS_OP_WRITE, tx, path);

  xds_call_add (&call, value, length < 0 ? strlen (value) : (gsize) length);
  return call;
}

/* *@ret_text is what the call points to. */
static XdsCall
call_set_permissions (guint32 tx, const char *path, const char *const *permissions, char **ret_text)
{
  XdsCall call = xds_call (XDS_OP_SET_PERMS, tx, path);
  GString *text = g_string_new (NULL);

  for (gsize i = 0; permissions[i] != NULL; i++)
    g_string_append_len (text, permissions[i], strlen (permissions[i]) + 1);
  xds_call_add (&call, text->str, text->len);
  *ret_text = g_string_free (text, FALSE);
  return call;
}

static char *
take_bytes (XdsAnswer *answer, gsize *ret_length)
{
  if (ret_length != NULL)
    *ret_length = answer->len;
  return g_steal_pointer (&answer->data);
}

/**
 * xds_client_read:
 * @client: the client
 * @txn: (nullable): the transaction to do it in, or %NULL
 * @path: an absolute path, or one below the home of the caller's domain
 * @ret_length: (out) (optional): return location for the number of bytes
 * @error: return location for an error
 *
 * Reads a node's value. A NUL follows the value that is not part of it, so that text can be used
 * at once; a value may also hold NULs of its own.
 *
 * Errors: %XDS_ERROR_ENOENT, %XDS_ERROR_EACCES, %XDS_ERROR_EINVAL, %XDS_ERROR_EAGAIN,
 * %XDS_ERROR_ENOSPC, %XDS_ERROR_USAGE, those of a connection (#XdsClient).
 *
 * Returns: (transfer full) (array length=ret_length) (element-type guint8): the value, to be freed
 * with g_free(), or %NULL with @error set
 */
char *
xds_client_read (XdsClient *client, XdsTransaction *txn, const char *path, gsize *ret_length,
                 GError **error)
{
  g_auto (XdsAnswer) answer = { NULL, 0 };
  XdsCall call;
  guint32 tx;

  g_return_val_if_fail (XDS_IS_CLIENT (client) && path != NULL, NULL);

  if (!xds_call_tx (client, txn, &tx, error))
    return NULL;
  call = xds_call (XDS_OP_READ, tx, path);
  if (!xds_call_run (client, &call, &answer, error))
    return NULL;
  return take_bytes (&answer, ret_length);
}

/**
 * xds_client_read_async:
 * @client: the client
 * @txn: (nullable): the transaction to do it in, or %NULL
 * @path: an absolute path, or one below the home of the caller's domain
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_client_read() does, without waiting.
 */
void
xds_client_read_async (XdsClient *client, XdsTransaction *txn, const char *path,
                       GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  XdsCall call;
  guint32 tx;

  g_return_if_fail (XDS_IS_CLIENT (client) && path != NULL);

  if (!xds_call_begin_async (client, txn, &tx, xds_client_read_async, callback, user_data))
    return;
  call = xds_call (XDS_OP_READ, tx, path);
  xds_call_async (client, &call, xds_client_read_async, cancellable, callback, user_data);
}

/**
 * xds_client_read_finish:
 * @client: the client
 * @result: what the callback was given
 * @ret_length: (out) (optional): return location for the number of bytes
 * @error: return location for an error
 *
 * Finishes xds_client_read_async().
 *
 * Errors: those of xds_client_read(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: (transfer full) (array length=ret_length) (element-type guint8): the value, or %NULL
 * with
 *   @error set
 */
char *
xds_client_read_finish (XdsClient *client, GAsyncResult *result, gsize *ret_length, GError **error)
{
  g_autoptr (XdsAnswer) answer = xds_call_finish (client, result, xds_client_read_async, error);

  return answer != NULL ? take_bytes (answer, ret_length) : NULL;
}

/**
 * xds_client_write:
 * @client: the client
 * @txn: (nullable): the transaction to do it in, or %NULL
 * @path: an absolute path, or one below the home of the caller's domain
 * @value: (array length=length) (element-type guint8): the bytes
 * @length: their number, -1 if @value ends with a NUL, which is then not written
 * @error: return location for an error
 *
 * Writes a node's value. The node and its parents are made if they are not there; a new node has
 * the permissions of its parent.
 *
 * Errors: %XDS_ERROR_EACCES, %XDS_ERROR_EINVAL, %XDS_ERROR_ENOSPC, %XDS_ERROR_EAGAIN,
 * %XDS_ERROR_ENOENT, %XDS_ERROR_USAGE, those of a connection (#XdsClient).
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_client_write (XdsClient *client, XdsTransaction *txn, const char *path, const char *value,
                  gssize length, GError **error)
{
  XdsCall call;
  guint32 tx;

  g_return_val_if_fail (XDS_IS_CLIENT (client) && path != NULL, FALSE);

  if (!xds_call_tx (client, txn, &tx, error))
    return FALSE;
  call = call_write (tx, path, value, length);
  return xds_call_run_ok (client, &call, error);
}

/**
 * xds_client_write_async:
 * @client: the client
 * @txn: (nullable): the transaction to do it in, or %NULL
 * @path: an absolute path, or one below the home of the caller's domain
 * @value: (array length=length) (element-type guint8): the bytes
 * @length: their number, -1 if @value ends with a NUL, which is then not written
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_client_write() does, without waiting.
 */
void
xds_client_write_async (XdsClient *client, XdsTransaction *txn, const char *path, const char *value,
                        gssize length, GCancellable *cancellable, GAsyncReadyCallback callback,
                        gpointer user_data)
{
  XdsCall call;
  guint32 tx;

  g_return_if_fail (XDS_IS_CLIENT (client) && path != NULL);

  if (!xds_call_begin_async (client, txn, &tx, xds_client_write_async, callback, user_data))
    return;
  call = call_write (tx, path, value, length);
  xds_call_async (client, &call, xds_client_write_async, cancellable, callback, user_data);
}

/**
 * xds_client_write_finish:
 * @client: the client
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_client_write_async().
 *
 * Errors: those of xds_client_write(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_client_write_finish (XdsClient *client, GAsyncResult *result, GError **error)
{
  return xds_call_finish_ok (client, result, xds_client_write_async, error);
}

/**
 * xds_client_mkdir:
 * @client: the client
 * @txn: (nullable): the transaction to do it in, or %NULL
 * @path: an absolute path, or one below the home of the caller's domain
 * @error: return location for an error
 *
 * Makes a node with an empty value, and its parents. Nothing happens to one that is there.
 *
 * Errors: %XDS_ERROR_EACCES, %XDS_ERROR_EINVAL, %XDS_ERROR_ENOSPC, %XDS_ERROR_EAGAIN,
 * %XDS_ERROR_ENOENT, %XDS_ERROR_USAGE, those of a connection (#XdsClient).
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_client_mkdir (XdsClient *client, XdsTransaction *txn, const char *path, GError **error)
{
  XdsCall call;
  guint32 tx;

  g_return_val_if_fail (XDS_IS_CLIENT (client) && path != NULL, FALSE);

  if (!xds_call_tx (client, txn, &tx, error))
    return FALSE;
  call = xds_call (XDS_OP_MKDIR, tx, path);
  return xds_call_run_ok (client, &call, error);
}

/**
 * xds_client_mkdir_async:
 * @client: the client
 * @txn: (nullable): the transaction to do it in, or %NULL
 * @path: an absolute path, or one below the home of the caller's domain
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_client_mkdir() does, without waiting.
 */
void
xds_client_mkdir_async (XdsClient *client, XdsTransaction *txn, const char *path,
                        GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  XdsCall call;
  guint32 tx;

  g_return_if_fail (XDS_IS_CLIENT (client) && path != NULL);

  if (!xds_call_begin_async (client, txn, &tx, xds_client_mkdir_async, callback, user_data))
    return;
  call = xds_call (XDS_OP_MKDIR, tx, path);
  xds_call_async (client, &call, xds_client_mkdir_async, cancellable, callback, user_data);
}

/**
 * xds_client_mkdir_finish:
 * @client: the client
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_client_mkdir_async().
 *
 * Errors: those of xds_client_mkdir(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_client_mkdir_finish (XdsClient *client, GAsyncResult *result, GError **error)
{
  return xds_call_finish_ok (client, result, xds_client_mkdir_async, error);
}

/**
 * xds_client_remove:
 * @client: the client
 * @txn: (nullable): the transaction to do it in, or %NULL
 * @path: an absolute path, or one below the home of the caller's domain
 * @error: return location for an error
 *
 * Removes a node and all below it. One that is not there, but whose parent is, counts as removed.
 *
 * Errors: %XDS_ERROR_ENOENT, %XDS_ERROR_EACCES, %XDS_ERROR_EINVAL, %XDS_ERROR_EAGAIN,
 * %XDS_ERROR_ENOSPC, %XDS_ERROR_USAGE, those of a connection (#XdsClient).
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_client_remove (XdsClient *client, XdsTransaction *txn, const char *path, GError **error)
{
  XdsCall call;
  guint32 tx;

  g_return_val_if_fail (XDS_IS_CLIENT (client) && path != NULL, FALSE);

  if (!xds_call_tx (client, txn, &tx, error))
    return FALSE;
  call = xds_call (XDS_OP_RM, tx, path);
  return xds_call_run_ok (client, &call, error);
}

/**
 * xds_client_remove_async:
 * @client: the client
 * @txn: (nullable): the transaction to do it in, or %NULL
 * @path: an absolute path, or one below the home of the caller's domain
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_client_remove() does, without waiting.
 */
void
xds_client_remove_async (XdsClient *client, XdsTransaction *txn, const char *path,
                         GCancellable *cancellable, GAsyncReadyCallback callback,
                         gpointer user_data)
{
  XdsCall call;
  guint32 tx;

  g_return_if_fail (XDS_IS_CLIENT (client) && path != NULL);

  if (!xds_call_begin_async (client, txn, &tx, xds_client_remove_async, callback, user_data))
    return;
  call = xds_call (XDS_OP_RM, tx, path);
  xds_call_async (client, &call, xds_client_remove_async, cancellable, callback, user_data);
}

/**
 * xds_client_remove_finish:
 * @client: the client
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_client_remove_async().
 *
 * Errors: those of xds_client_remove(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_client_remove_finish (XdsClient *client, GAsyncResult *result, GError **error)
{
  return xds_call_finish_ok (client, result, xds_client_remove_async, error);
}

/**
 * xds_client_get_permissions:
 * @client: the client
 * @txn: (nullable): the transaction to do it in, or %NULL
 * @path: an absolute path, or one below the home of the caller's domain
 * @error: return location for an error
 *
 * Tells a node's permissions: a letter (n none, r read, w write, b both) and a domain id each.
 * The first names the owner, and what everybody may do who is not named after it.
 *
 * Errors: %XDS_ERROR_ENOENT, %XDS_ERROR_EACCES, %XDS_ERROR_EINVAL, %XDS_ERROR_EAGAIN,
 * %XDS_ERROR_ENOSPC, %XDS_ERROR_USAGE, those of a connection (#XdsClient).
 *
 * Returns: (transfer full) (array zero-terminated=1): the strings, to be freed with g_strfreev(),
 * or %NULL with @error set
 */
char **
xds_client_get_permissions (XdsClient *client, XdsTransaction *txn, const char *path,
                            GError **error)
{
  g_auto (XdsAnswer) answer = { NULL, 0 };
  XdsCall call;
  guint32 tx;

  g_return_val_if_fail (XDS_IS_CLIENT (client) && path != NULL, NULL);

  if (!xds_call_tx (client, txn, &tx, error))
    return NULL;
  call = xds_call (XDS_OP_GET_PERMS, tx, path);
  if (!xds_call_run (client, &call, &answer, error))
    return NULL;
  return xds_answer_strings (answer.data, answer.len);
}

/**
 * xds_client_get_permissions_async:
 * @client: the client
 * @txn: (nullable): the transaction to do it in, or %NULL
 * @path: an absolute path, or one below the home of the caller's domain
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_client_get_permissions() does, without waiting.
 */
void
xds_client_get_permissions_async (XdsClient *client, XdsTransaction *txn, const char *path,
                                  GCancellable *cancellable, GAsyncReadyCallback callback,
                                  gpointer user_data)
{
  XdsCall call;
  guint32 tx;

  g_return_if_fail (XDS_IS_CLIENT (client) && path != NULL);

  if (!xds_call_begin_async (client, txn, &tx, xds_client_get_permissions_async, callback,
                             user_data))
    return;
  call = xds_call (XDS_OP_GET_PERMS, tx, path);
  xds_call_async (client, &call, xds_client_get_permissions_async, cancellable, callback,
                  user_data);
}

/**
 * xds_client_get_permissions_finish:
 * @client: the client
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_client_get_permissions_async().
 *
 * Errors: those of xds_client_get_permissions(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: (transfer full) (array zero-terminated=1): the strings, or %NULL with @error set
 */
char **
xds_client_get_permissions_finish (XdsClient *client, GAsyncResult *result, GError **error)
{
  g_autoptr (XdsAnswer) answer
      = xds_call_finish (client, result, xds_client_get_permissions_async, error);

  return answer != NULL ? xds_answer_strings (answer->data, answer->len) : NULL;
}

/**
 * xds_client_set_permissions:
 * @client: the client
 * @txn: (nullable): the transaction to do it in, or %NULL
 * @path: an absolute path, or one below the home of the caller's domain
 * @permissions: (array zero-terminated=1): as xds_client_get_permissions() tells them
 * @error: return location for an error
 *
 * Replaces a node's permissions.
 *
 * Errors: %XDS_ERROR_ENOENT, %XDS_ERROR_EACCES, %XDS_ERROR_EPERM, %XDS_ERROR_EINVAL,
 * %XDS_ERROR_ENOSPC, %XDS_ERROR_EAGAIN, %XDS_ERROR_USAGE, those of a connection (#XdsClient).
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_client_set_permissions (XdsClient *client, XdsTransaction *txn, const char *path,
                            const char *const *permissions, GError **error)
{
  XdsCall call;
  g_autofree char *text = NULL;
  guint32 tx;

  g_return_val_if_fail (XDS_IS_CLIENT (client) && path != NULL, FALSE);

  if (!xds_call_tx (client, txn, &tx, error))
    return FALSE;
  call = call_set_permissions (tx, path, permissions, &text);
  return xds_call_run_ok (client, &call, error);
}

/**
 * xds_client_set_permissions_async:
 * @client: the client
 * @txn: (nullable): the transaction to do it in, or %NULL
 * @path: an absolute path, or one below the home of the caller's domain
 * @permissions: (array zero-terminated=1): as xds_client_get_permissions() tells them
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_client_set_permissions() does, without waiting.
 */
void
xds_client_set_permissions_async (XdsClient *client, XdsTransaction *txn, const char *path,
                                  const char *const *permissions, GCancellable *cancellable,
                                  GAsyncReadyCallback callback, gpointer user_data)
{
  g_autofree char *text = NULL;
  XdsCall call;
  guint32 tx;

  g_return_if_fail (XDS_IS_CLIENT (client) && path != NULL);

  if (!xds_call_begin_async (client, txn, &tx, xds_client_set_permissions_async, callback,
                             user_data))
    return;
  call = call_set_permissions (tx, path, permissions, &text);
  xds_call_async (client, &call, xds_client_set_permissions_async, cancellable, callback,
                  user_data);
}

/**
 * xds_client_set_permissions_finish:
 * @client: the client
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_client_set_permissions_async().
 *
 * Errors: those of xds_client_set_permissions(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_client_set_permissions_finish (XdsClient *client, GAsyncResult *result, GError **error)
{
  return xds_call_finish_ok (client, result, xds_client_set_permissions_async, error);
}

/* The bytes of a READ tell it as well as whether they may be read does. */
static gboolean
is_there (gboolean was_read, GError *own, GError **error)
{
  gboolean hidden = g_error_matches (own, XDS_ERROR, XDS_ERROR_EACCES);

  if (was_read || hidden || g_error_matches (own, XDS_ERROR, XDS_ERROR_ENOENT))
    {
      g_clear_error (&own);
      return was_read || hidden;
    }
  g_propagate_error (error, own);
  return FALSE;
}

/**
 * xds_client_exists:
 * @client: the client
 * @txn: (nullable): the transaction to do it in, or %NULL
 * @path: an absolute path, or one below the home of the caller's domain
 * @error: return location for an error
 *
 * Tells whether a node is there. One that exists but may not be read counts as there.
 *
 * Errors: %XDS_ERROR_EINVAL, %XDS_ERROR_EAGAIN, %XDS_ERROR_ENOSPC, %XDS_ERROR_USAGE, those of a
 * connection (#XdsClient).
 *
 * Returns: %TRUE if it is; %FALSE without @error if it is not; %FALSE with @error if that could not
 * be told
 */
gboolean
xds_client_exists (XdsClient *client, XdsTransaction *txn, const char *path, GError **error)
{
  g_autofree char *value = NULL;
  GError *own = NULL;

  g_return_val_if_fail (XDS_IS_CLIENT (client) && path != NULL, FALSE);

  value = xds_client_read (client, txn, path, NULL, &own);
  return is_there (value != NULL, own, error);
}

/**
 * xds_client_exists_async:
 * @client: the client
 * @txn: (nullable): the transaction to do it in, or %NULL
 * @path: an absolute path, or one below the home of the caller's domain
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_client_exists() does, without waiting.
 */
void
xds_client_exists_async (XdsClient *client, XdsTransaction *txn, const char *path,
                         GCancellable *cancellable, GAsyncReadyCallback callback,
                         gpointer user_data)
{
  XdsCall call;
  guint32 tx;

  g_return_if_fail (XDS_IS_CLIENT (client) && path != NULL);

  if (!xds_call_begin_async (client, txn, &tx, xds_client_exists_async, callback, user_data))
    return;
  call = xds_call (XDS_OP_READ, tx, path);
  xds_call_async (client, &call, xds_client_exists_async, cancellable, callback, user_data);
}

/**
 * xds_client_exists_finish:
 * @client: the client
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_client_exists_async().
 *
 * Errors: those of xds_client_exists(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: %TRUE if it is there; %FALSE without @error if it is not; %FALSE with @error if that
 *   could not be told
 */
gboolean
xds_client_exists_finish (XdsClient *client, GAsyncResult *result, GError **error)
{
  GError *own = NULL;
  g_autoptr (XdsAnswer) answer = xds_call_finish (client, result, xds_client_exists_async, &own);

  return is_there (answer != NULL, own, error);
}
