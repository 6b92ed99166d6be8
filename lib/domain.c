/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Domains: connecting them to the store, and what the store knows of them.
 *
 * All of these calls carry small numbers as text, which call_numbers() prints into one buffer.
 */

#include "lib/call.h"
#include "lib/error.h"
#include "lib/xendomstore/domain.h"

/* Room for three numbers of 64 bits. */
typedef struct
{
  char text[64];
} NumberText;

static XdsCall
call_numbers (guint op, guint domid, const guint64 *numbers, guint n, NumberText *text)
{
  XdsCall call = xds_call_domain (op, domid);
  gsize len = 0;

  for (guint i = 0; i < n; i++)
    len += g_snprintf (text->text + len, sizeof text->text - len, "%" G_GUINT64_FORMAT, numbers[i])
           + 1;
  xds_call_add (&call, text->text, len);
  return call;
}

static XdsCall
call_domain (guint op, guint domid, NumberText *text)
{
  guint64 number = domid;

  return call_numbers (op, domid, &number, 1, text);
}

static XdsCall
call_introduce (guint domid, guint64 gfn, guint port, NumberText *text)
{
  guint64 numbers[] = { domid, gfn, port };

  return call_numbers (XDS_OP_INTRODUCE, domid, numbers, 3, text);
}

static XdsCall
call_set_target (guint domid, guint target, NumberText *text)
{
  guint64 numbers[] = { domid, target };

  return call_numbers (XDS_OP_SET_TARGET, domid, numbers, 2, text);
}

/**
 * xds_client_introduce:
 * @client: the client
 * @domid: the domain
 * @gfn: the frame of its ring; servers of today use grant 1 instead and ignore this
 * @port: its event channel
 * @error: return location for an error
 *
 * Connects a domain to the store. One that is connected already gets a new event channel and an
 * empty ring.
 *
 * Errors: %XDS_ERROR_EACCES, %XDS_ERROR_EINVAL, %XDS_ERROR_ENOENT, %XDS_ERROR_EISCONN, those of a
 * connection (#XdsClient).
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_client_introduce (XdsClient *client, guint domid, guint64 gfn, guint port, GError **error)
{
  NumberText text;
  XdsCall call = call_introduce (domid, gfn, port, &text);

  g_return_val_if_fail (XDS_IS_CLIENT (client), FALSE);

  return xds_call_run_ok (client, &call, error);
}

/**
 * xds_client_introduce_async:
 * @client: the client
 * @domid: the domain
 * @gfn: the frame of its ring; servers of today use grant 1 instead and ignore this
 * @port: its event channel
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_client_introduce() does, without waiting.
 */
void
xds_client_introduce_async (XdsClient *client, guint domid, guint64 gfn, guint port,
                            GCancellable *cancellable, GAsyncReadyCallback callback,
                            gpointer user_data)
{
  NumberText text;
  XdsCall call = call_introduce (domid, gfn, port, &text);

  g_return_if_fail (XDS_IS_CLIENT (client));

  xds_call_async (client, &call, xds_client_introduce_async, cancellable, callback, user_data);
}

/**
 * xds_client_introduce_finish:
 * @client: the client
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_client_introduce_async().
 *
 * Errors: those of xds_client_introduce(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_client_introduce_finish (XdsClient *client, GAsyncResult *result, GError **error)
{
  return xds_call_finish_ok (client, result, xds_client_introduce_async, error);
}

/**
 * xds_client_release:
 * @client: the client
 * @domid: the domain
 * @error: return location for an error
 *
 * Gives up the connection of a domain.
 *
 * Errors: %XDS_ERROR_EACCES, %XDS_ERROR_EINVAL, %XDS_ERROR_ENOENT, those of a connection
 * (#XdsClient).
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_client_release (XdsClient *client, guint domid, GError **error)
{
  NumberText text;
  XdsCall call = call_domain (XDS_OP_RELEASE, domid, &text);

  g_return_val_if_fail (XDS_IS_CLIENT (client), FALSE);

  return xds_call_run_ok (client, &call, error);
}

/**
 * xds_client_release_async:
 * @client: the client
 * @domid: the domain
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_client_release() does, without waiting.
 */
void
xds_client_release_async (XdsClient *client, guint domid, GCancellable *cancellable,
                          GAsyncReadyCallback callback, gpointer user_data)
{
  NumberText text;
  XdsCall call = call_domain (XDS_OP_RELEASE, domid, &text);

  g_return_if_fail (XDS_IS_CLIENT (client));

  xds_call_async (client, &call, xds_client_release_async, cancellable, callback, user_data);
}

/**
 * xds_client_release_finish:
 * @client: the client
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_client_release_async().
 *
 * Errors: those of xds_client_release(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_client_release_finish (XdsClient *client, GAsyncResult *result, GError **error)
{
  return xds_call_finish_ok (client, result, xds_client_release_async, error);
}

/**
 * xds_client_resume:
 * @client: the client
 * @domid: the domain
 * @error: return location for an error
 *
 * Tells the server that a domain that was shut down runs again, so that its next shutdown is
 * reported.
 *
 * Errors: %XDS_ERROR_EACCES, %XDS_ERROR_EINVAL, %XDS_ERROR_ENOENT, those of a connection
 * (#XdsClient).
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_client_resume (XdsClient *client, guint domid, GError **error)
{
  NumberText text;
  XdsCall call = call_domain (XDS_OP_RESUME, domid, &text);

  g_return_val_if_fail (XDS_IS_CLIENT (client), FALSE);

  return xds_call_run_ok (client, &call, error);
}

/**
 * xds_client_resume_async:
 * @client: the client
 * @domid: the domain
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_client_resume() does, without waiting.
 */
void
xds_client_resume_async (XdsClient *client, guint domid, GCancellable *cancellable,
                         GAsyncReadyCallback callback, gpointer user_data)
{
  NumberText text;
  XdsCall call = call_domain (XDS_OP_RESUME, domid, &text);

  g_return_if_fail (XDS_IS_CLIENT (client));

  xds_call_async (client, &call, xds_client_resume_async, cancellable, callback, user_data);
}

/**
 * xds_client_resume_finish:
 * @client: the client
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_client_resume_async().
 *
 * Errors: those of xds_client_resume(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_client_resume_finish (XdsClient *client, GAsyncResult *result, GError **error)
{
  return xds_call_finish_ok (client, result, xds_client_resume_async, error);
}

/**
 * xds_client_set_target:
 * @client: the client
 * @domid: the domain
 * @target: the domain that it serves
 * @error: return location for an error
 *
 * Gives @domid, which serves the devices of @target, the rights of @target in the store.
 *
 * Errors: %XDS_ERROR_EACCES, %XDS_ERROR_EINVAL, %XDS_ERROR_ENOENT, those of a connection
 * (#XdsClient).
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_client_set_target (XdsClient *client, guint domid, guint target, GError **error)
{
  NumberText text;
  XdsCall call = call_set_target (domid, target, &text);

  g_return_val_if_fail (XDS_IS_CLIENT (client), FALSE);

  return xds_call_run_ok (client, &call, error);
}

/**
 * xds_client_set_target_async:
 * @client: the client
 * @domid: the domain
 * @target: the domain that it serves
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_client_set_target() does, without waiting.
 */
void
xds_client_set_target_async (XdsClient *client, guint domid, guint target,
                             GCancellable *cancellable, GAsyncReadyCallback callback,
                             gpointer user_data)
{
  NumberText text;
  XdsCall call = call_set_target (domid, target, &text);

  g_return_if_fail (XDS_IS_CLIENT (client));

  xds_call_async (client, &call, xds_client_set_target_async, cancellable, callback, user_data);
}

/**
 * xds_client_set_target_finish:
 * @client: the client
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_client_set_target_async().
 *
 * Errors: those of xds_client_set_target(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_client_set_target_finish (XdsClient *client, GAsyncResult *result, GError **error)
{
  return xds_call_finish_ok (client, result, xds_client_set_target_async, error);
}

/**
 * xds_client_is_introduced:
 * @client: the client
 * @domid: the domain
 * @error: return location for an error
 *
 * Tells whether a domain is connected to the store.
 *
 * Errors: %XDS_ERROR_EACCES, %XDS_ERROR_EINVAL, those of a connection (#XdsClient).
 *
 * Returns: %TRUE if it is; %FALSE without @error if it is not; %FALSE with @error if that could not
 * be told
 */
gboolean
xds_client_is_introduced (XdsClient *client, guint domid, GError **error)
{
  g_auto (XdsAnswer) answer = { NULL, 0 };
  NumberText text;
  XdsCall call = call_domain (XDS_OP_IS_DOMAIN_INTRODUCED, domid, &text);

  g_return_val_if_fail (XDS_IS_CLIENT (client), FALSE);

  if (!xds_call_run (client, &call, &answer, error))
    return FALSE;
  return strcmp (answer.data, "T") == 0;
}

/**
 * xds_client_is_introduced_async:
 * @client: the client
 * @domid: the domain
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_client_is_introduced() does, without waiting.
 */
void
xds_client_is_introduced_async (XdsClient *client, guint domid, GCancellable *cancellable,
                                GAsyncReadyCallback callback, gpointer user_data)
{
  NumberText text;
  XdsCall call = call_domain (XDS_OP_IS_DOMAIN_INTRODUCED, domid, &text);

  g_return_if_fail (XDS_IS_CLIENT (client));

  xds_call_async (client, &call, xds_client_is_introduced_async, cancellable, callback, user_data);
}

/**
 * xds_client_is_introduced_finish:
 * @client: the client
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_client_is_introduced_async().
 *
 * Errors: those of xds_client_is_introduced(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: %TRUE if it is; %FALSE without @error if it is not; %FALSE with @error if that could not
 * be told
 */
gboolean
xds_client_is_introduced_finish (XdsClient *client, GAsyncResult *result, GError **error)
{
  g_autoptr (XdsAnswer) answer
      = xds_call_finish (client, result, xds_client_is_introduced_async, error);

  if (answer == NULL)
    return FALSE;
  return strcmp (answer->data, "T") == 0;
}

/**
 * xds_client_get_domain_path:
 * @client: the client
 * @domid: the domain
 * @error: return location for an error
 *
 * Tells the home of a domain in the store, whether it exists or not.
 *
 * Errors: %XDS_ERROR_EINVAL, those of a connection (#XdsClient).
 *
 * Returns: (transfer full): the path, or %NULL with @error set
 */
char *
xds_client_get_domain_path (XdsClient *client, guint domid, GError **error)
{
  g_auto (XdsAnswer) answer = { NULL, 0 };
  NumberText text;
  XdsCall call = call_domain (XDS_OP_GET_DOMAIN_PATH, domid, &text);

  g_return_val_if_fail (XDS_IS_CLIENT (client), NULL);

  if (!xds_call_run (client, &call, &answer, error))
    return NULL;
  return g_steal_pointer (&answer.data);
}

/**
 * xds_client_get_domain_path_async:
 * @client: the client
 * @domid: the domain
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_client_get_domain_path() does, without waiting.
 */
void
xds_client_get_domain_path_async (XdsClient *client, guint domid, GCancellable *cancellable,
                                  GAsyncReadyCallback callback, gpointer user_data)
{
  NumberText text;
  XdsCall call = call_domain (XDS_OP_GET_DOMAIN_PATH, domid, &text);

  g_return_if_fail (XDS_IS_CLIENT (client));

  xds_call_async (client, &call, xds_client_get_domain_path_async, cancellable, callback,
                  user_data);
}

/**
 * xds_client_get_domain_path_finish:
 * @client: the client
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_client_get_domain_path_async().
 *
 * Errors: those of xds_client_get_domain_path(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: (transfer full): the path, or %NULL with @error set
 */
char *
xds_client_get_domain_path_finish (XdsClient *client, GAsyncResult *result, GError **error)
{
  g_autoptr (XdsAnswer) answer
      = xds_call_finish (client, result, xds_client_get_domain_path_async, error);

  if (answer == NULL)
    return NULL;
  return g_steal_pointer (&answer->data);
}
