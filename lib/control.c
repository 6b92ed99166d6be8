/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The server itself: features, quotas, control commands.
 *
 * Features and quotas of the protocol came with Xen 4.22.  A server without them answers ENOSYS;
 * for quotas there is then the control command "quota", which people read and programs do not, so
 * nothing is guessed from it here.
 */

#include "lib/call.h"
#include "lib/error.h"
#include "lib/xendomstore/control.h"

/* The strings of a payload, in one piece. */
typedef struct
{
  char text[256];
  gsize len;
} WordText;

static void
add_word (WordText *words, const char *word)
{
  gsize len = strlen (word) + 1;

  if (len > sizeof words->text - words->len)
    return;
  memcpy (words->text + words->len, word, len);
  words->len += len;
}

static void
add_number (WordText *words, guint64 number)
{
  char text[24];

  g_snprintf (text, sizeof text, "%" G_GUINT64_FORMAT, number);
  add_word (words, text);
}

static XdsCall
call_words (guint op, const char *what, int domid, const WordText *words)
{
  XdsCall call = { .op = op, .path = what, .domid = domid };

  if (words->len > 0)
    xds_call_add (&call, words->text, words->len);
  return call;
}

/* --- features --- */

static XdsCall
call_get_features (int domid, WordText *words)
{
  *words = (WordText){ .len = 0 };
  if (domid >= 0)
    add_number (words, domid);
  return call_words (XDS_OP_GET_FEATURE, NULL, domid, words);
}

static gboolean
take_features (const XdsAnswer *answer, XdsFeatures *ret_features, GError **error)
{
  guint64 number;

  if (!xds_answer_number (answer, &number, error))
    return FALSE;
  *ret_features = number;
  return TRUE;
}

/**
 * xds_client_get_features:
 * @client: the client
 * @domid: a domain, or %XDS_GLOBAL for this connection
 * @ret_features: (out): return location for the features
 * @error: return location for an error
 *
 * Tells what the server offers to a domain, or to us.
 *
 * Errors: %XDS_ERROR_EACCES, %XDS_ERROR_ENOENT, %XDS_ERROR_EINVAL, those of a connection
 * (#XdsClient).
 *
 * Returns: %TRUE, or %FALSE with @error set, which is %XDS_ERROR_ENOSYS with a server that is
 *   older than Xen 4.22
 */
gboolean
xds_client_get_features (XdsClient *client, int domid, XdsFeatures *ret_features, GError **error)
{
  g_auto (XdsAnswer) answer = { NULL, 0 };
  WordText words;
  XdsCall call = call_get_features (domid, &words);

  g_return_val_if_fail (XDS_IS_CLIENT (client), FALSE);

  return xds_call_run (client, &call, &answer, error)
         && take_features (&answer, ret_features, error);
}

/**
 * xds_client_get_features_async:
 * @client: the client
 * @domid: a domain, or %XDS_GLOBAL for this connection
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_client_get_features() does, without waiting.
 */
void
xds_client_get_features_async (XdsClient *client, int domid, GCancellable *cancellable,
                               GAsyncReadyCallback callback, gpointer user_data)
{
  WordText words;
  XdsCall call = call_get_features (domid, &words);

  g_return_if_fail (XDS_IS_CLIENT (client));

  xds_call_async (client, &call, xds_client_get_features_async, cancellable, callback, user_data);
}

/**
 * xds_client_get_features_finish:
 * @client: the client
 * @result: what the callback was given
 * @ret_features: (out): return location for the features
 * @error: return location for an error
 *
 * Finishes xds_client_get_features_async().
 *
 * Errors: those of xds_client_get_features(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_client_get_features_finish (XdsClient *client, GAsyncResult *result, XdsFeatures *ret_features,
                                GError **error)
{
  g_autoptr (XdsAnswer) answer
      = xds_call_finish (client, result, xds_client_get_features_async, error);

  return answer != NULL && take_features (answer, ret_features, error);
}

static XdsCall
call_set_features (guint domid, XdsFeatures features, WordText *words)
{
  *words = (WordText){ .len = 0 };
  add_number (words, domid);
  add_number (words, features);
  return call_words (XDS_OP_SET_FEATURE, NULL, domid, words);
}

/**
 * xds_client_set_features:
 * @client: the client
 * @domid: a domain that is not introduced yet
 * @features: what it shall be offered
 * @error: return location for an error
 *
 * Sets what a domain will find on offer, for a guest that has to move to an older host later.
 *
 * Errors: %XDS_ERROR_EACCES, %XDS_ERROR_ENOENT, %XDS_ERROR_EINVAL, %XDS_ERROR_EBUSY, those of a
 * connection (#XdsClient).
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_client_set_features (XdsClient *client, guint domid, XdsFeatures features, GError **error)
{
  WordText words;
  XdsCall call = call_set_features (domid, features, &words);

  g_return_val_if_fail (XDS_IS_CLIENT (client), FALSE);

  return xds_call_run_ok (client, &call, error);
}

/**
 * xds_client_set_features_async:
 * @client: the client
 * @domid: a domain that is not introduced yet
 * @features: what it shall be offered
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_client_set_features() does, without waiting.
 */
void
xds_client_set_features_async (XdsClient *client, guint domid, XdsFeatures features,
                               GCancellable *cancellable, GAsyncReadyCallback callback,
                               gpointer user_data)
{
  WordText words;
  XdsCall call = call_set_features (domid, features, &words);

  g_return_if_fail (XDS_IS_CLIENT (client));

  xds_call_async (client, &call, xds_client_set_features_async, cancellable, callback, user_data);
}

/**
 * xds_client_set_features_finish:
 * @client: the client
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_client_set_features_async().
 *
 * Errors: those of xds_client_set_features(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_client_set_features_finish (XdsClient *client, GAsyncResult *result, GError **error)
{
  return xds_call_finish_ok (client, result, xds_client_set_features_async, error);
}

/* --- quotas --- */

static XdsCall
call_list_quotas (void)
{
  return (XdsCall){ .op = XDS_OP_GET_QUOTA, .path = "names", .domid = XDS_NO_DOMID };
}

/**
 * xds_client_list_quotas:
 * @client: the client
 * @error: return location for an error
 *
 * Lists the names of the server's quotas.
 *
 * Errors: %XDS_ERROR_EACCES, those of a connection (#XdsClient).
 *
 * Returns: (transfer full) (array zero-terminated=1): the names, or %NULL with @error set
 */
char **
xds_client_list_quotas (XdsClient *client, GError **error)
{
  g_auto (XdsAnswer) answer = { NULL, 0 };
  XdsCall call = call_list_quotas ();

  g_return_val_if_fail (XDS_IS_CLIENT (client), NULL);

  if (!xds_call_run (client, &call, &answer, error))
    return NULL;
  return g_strsplit (answer.data, " ", -1);
}

/**
 * xds_client_list_quotas_async:
 * @client: the client
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_client_list_quotas() does, without waiting.
 */
void
xds_client_list_quotas_async (XdsClient *client, GCancellable *cancellable,
                              GAsyncReadyCallback callback, gpointer user_data)
{
  XdsCall call = call_list_quotas ();

  g_return_if_fail (XDS_IS_CLIENT (client));

  xds_call_async (client, &call, xds_client_list_quotas_async, cancellable, callback, user_data);
}

/**
 * xds_client_list_quotas_finish:
 * @client: the client
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_client_list_quotas_async().
 *
 * Errors: those of xds_client_list_quotas(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: (transfer full) (array zero-terminated=1): the names, or %NULL with @error set
 */
char **
xds_client_list_quotas_finish (XdsClient *client, GAsyncResult *result, GError **error)
{
  g_autoptr (XdsAnswer) answer
      = xds_call_finish (client, result, xds_client_list_quotas_async, error);

  return answer != NULL ? g_strsplit (answer->data, " ", -1) : NULL;
}

static XdsCall
call_get_quota (int domid, const char *name, WordText *words)
{
  *words = (WordText){ .len = 0 };
  if (domid >= 0)
    add_number (words, domid);
  add_word (words, name);
  return call_words (XDS_OP_GET_QUOTA, name, domid, words);
}

/**
 * xds_client_get_quota:
 * @client: the client
 * @domid: a domain, or %XDS_GLOBAL for the value of domains without one of their own
 * @name: the quota
 * @ret_value: (out): return location for the limit; 0 means none
 * @error: return location for an error
 *
 * Tells a quota's limit.
 *
 * Errors: %XDS_ERROR_EACCES, %XDS_ERROR_ENOENT, %XDS_ERROR_EINVAL, those of a connection
 * (#XdsClient).
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_client_get_quota (XdsClient *client, int domid, const char *name, guint64 *ret_value,
                      GError **error)
{
  g_auto (XdsAnswer) answer = { NULL, 0 };
  WordText words;
  XdsCall call = call_get_quota (domid, name, &words);

  g_return_val_if_fail (XDS_IS_CLIENT (client), FALSE);

  return xds_call_run (client, &call, &answer, error)
         && xds_answer_number (&answer, ret_value, error);
}

/**
 * xds_client_get_quota_async:
 * @client: the client
 * @domid: a domain, or %XDS_GLOBAL
 * @name: the quota
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_client_get_quota() does, without waiting.
 */
void
xds_client_get_quota_async (XdsClient *client, int domid, const char *name,
                            GCancellable *cancellable, GAsyncReadyCallback callback,
                            gpointer user_data)
{
  WordText words;
  XdsCall call = call_get_quota (domid, name, &words);

  g_return_if_fail (XDS_IS_CLIENT (client));

  xds_call_async (client, &call, xds_client_get_quota_async, cancellable, callback, user_data);
}

/**
 * xds_client_get_quota_finish:
 * @client: the client
 * @result: what the callback was given
 * @ret_value: (out): return location for the limit
 * @error: return location for an error
 *
 * Finishes xds_client_get_quota_async().
 *
 * Errors: those of xds_client_get_quota(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_client_get_quota_finish (XdsClient *client, GAsyncResult *result, guint64 *ret_value,
                             GError **error)
{
  g_autoptr (XdsAnswer) answer
      = xds_call_finish (client, result, xds_client_get_quota_async, error);

  return answer != NULL && xds_answer_number (answer, ret_value, error);
}

static XdsCall
call_set_quota (int domid, const char *name, guint64 value, WordText *words)
{
  *words = (WordText){ .len = 0 };
  if (domid >= 0)
    add_number (words, domid);
  add_word (words, name);
  add_number (words, value);
  return call_words (XDS_OP_SET_QUOTA, name, domid, words);
}

/**
 * xds_client_set_quota:
 * @client: the client
 * @domid: a domain, or %XDS_GLOBAL for all domains without a value of their own
 * @name: the quota
 * @value: the limit; 0 for none
 * @error: return location for an error
 *
 * Sets a quota's limit.
 *
 * Errors: %XDS_ERROR_EACCES, %XDS_ERROR_ENOENT, %XDS_ERROR_EINVAL, those of a connection
 * (#XdsClient).
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_client_set_quota (XdsClient *client, int domid, const char *name, guint64 value, GError **error)
{
  WordText words;
  XdsCall call = call_set_quota (domid, name, value, &words);

  g_return_val_if_fail (XDS_IS_CLIENT (client), FALSE);

  return xds_call_run_ok (client, &call, error);
}

/**
 * xds_client_set_quota_async:
 * @client: the client
 * @domid: a domain, or %XDS_GLOBAL
 * @name: the quota
 * @value: the limit; 0 for none
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_client_set_quota() does, without waiting.
 */
void
xds_client_set_quota_async (XdsClient *client, int domid, const char *name, guint64 value,
                            GCancellable *cancellable, GAsyncReadyCallback callback,
                            gpointer user_data)
{
  WordText words;
  XdsCall call = call_set_quota (domid, name, value, &words);

  g_return_if_fail (XDS_IS_CLIENT (client));

  xds_call_async (client, &call, xds_client_set_quota_async, cancellable, callback, user_data);
}

/**
 * xds_client_set_quota_finish:
 * @client: the client
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_client_set_quota_async().
 *
 * Errors: those of xds_client_set_quota(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_client_set_quota_finish (XdsClient *client, GAsyncResult *result, GError **error)
{
  return xds_call_finish_ok (client, result, xds_client_set_quota_async, error);
}

/* --- control --- */

/* *@ret_text is what the call points to. */
static XdsCall
call_control (const char *const *words, char **ret_text)
{
  XdsCall call = { .op = XDS_OP_CONTROL, .path = words[0], .domid = XDS_NO_DOMID };
  GString *text = g_string_new (NULL);

  for (gsize i = 0; words[i] != NULL; i++)
    g_string_append_len (text, words[i], strlen (words[i]) + 1);
  xds_call_add (&call, text->str, text->len);
  *ret_text = g_string_free (text, FALSE);
  return call;
}

/**
 * xds_client_control:
 * @client: the client
 * @words: (array zero-terminated=1): a command and its words; `help` lists the commands
 * @error: return location for an error
 *
 * Runs a control command in the server.
 *
 * Errors: %XDS_ERROR_EACCES, %XDS_ERROR_EINVAL, %XDS_ERROR_ENOENT, those of a connection
 * (#XdsClient).
 *
 * Returns: (transfer full): what it answered, or %NULL with @error set
 */
char *
xds_client_control (XdsClient *client, const char *const *words, GError **error)
{
  g_auto (XdsAnswer) answer = { NULL, 0 };
  g_autofree char *text = NULL;
  XdsCall call;

  g_return_val_if_fail (XDS_IS_CLIENT (client) && words != NULL, NULL);

  call = call_control (words, &text);
  if (!xds_call_run (client, &call, &answer, error))
    return NULL;
  return g_steal_pointer (&answer.data);
}

/**
 * xds_client_control_async:
 * @client: the client
 * @words: (array zero-terminated=1): a command and its words
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_client_control() does, without waiting.
 */
void
xds_client_control_async (XdsClient *client, const char *const *words, GCancellable *cancellable,
                          GAsyncReadyCallback callback, gpointer user_data)
{
  g_autofree char *text = NULL;
  XdsCall call;

  g_return_if_fail (XDS_IS_CLIENT (client) && words != NULL);

  call = call_control (words, &text);
  xds_call_async (client, &call, xds_client_control_async, cancellable, callback, user_data);
}

/**
 * xds_client_control_finish:
 * @client: the client
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_client_control_async().
 *
 * Errors: those of xds_client_control(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: (transfer full): what it answered, or %NULL with @error set
 */
char *
xds_client_control_finish (XdsClient *client, GAsyncResult *result, GError **error)
{
  g_autoptr (XdsAnswer) answer = xds_call_finish (client, result, xds_client_control_async, error);

  return answer != NULL ? g_steal_pointer (&answer->data) : NULL;
}
