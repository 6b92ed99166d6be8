/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * XdsUserdata without waiting: each call runs the synchronous one in a thread, since a lock of
 * libxl's may take its time and there is nothing that a loop could poll for.
 */

#include "lib/xendomstore/userdata.h"

typedef struct
{
  guint domid;
  char *userid;
  char *data;
  gsize length;
  guint64 generation;
} Job;

static void
job_free (gpointer data)
{
  Job *job = data;

  g_free (job->userid);
  g_free (job->data);
  g_free (job);
}

static void
start (XdsUserdata *userdata, gpointer tag, Job *job, GTaskThreadFunc func,
       GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (userdata, cancellable, callback, user_data);

  g_task_set_source_tag (task, tag);
  g_task_set_task_data (task, job, job_free);
  g_task_run_in_thread (task, func);
}

static Job *
job_new (guint domid, const char *userid, const char *data, gsize length)
{
  Job *job = g_new0 (Job, 1);

  *job = (Job){ domid, g_strdup (userid), g_memdup2 (data, length), length, 0 };
  return job;
}

static void
end (GTask *task, gboolean good, GError *error)
{
  if (good)
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

static void
store_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  GError *error = NULL;
  Job *job = data;
  gboolean good
      = xds_userdata_store (source, job->domid, job->userid, job->data, job->length, &error);

  end (task, good, error);
}

/**
 * xds_userdata_store_async:
 * @userdata: the userdata
 * @domid: the domain
 * @userid: the name to store under
 * @data: (array length=length) (element-type guint8) (nullable): the bytes
 * @length: their number; 0 removes what is stored
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_userdata_store() does, without waiting.
 */
void
xds_userdata_store_async (XdsUserdata *userdata, guint domid, const char *userid, const char *data,
                          gsize length, GCancellable *cancellable, GAsyncReadyCallback callback,
                          gpointer user_data)
{
  g_return_if_fail (XDS_IS_USERDATA (userdata) && userid != NULL);

  start (userdata, xds_userdata_store_async, job_new (domid, userid, data, length), store_in_thread,
         cancellable, callback, user_data);
}

/**
 * xds_userdata_store_finish:
 * @userdata: the userdata
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_userdata_store_async().
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_userdata_store_finish (XdsUserdata *userdata, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, userdata), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

static void
retrieve_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  GError *error = NULL;
  Job *job = data;
  gboolean good = xds_userdata_retrieve (source, job->domid, job->userid, &job->data, &job->length,
                                         &job->generation, &error);

  end (task, good, error);
}

/**
 * xds_userdata_retrieve_async:
 * @userdata: the userdata
 * @domid: the domain
 * @userid: the name under which it is stored
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_userdata_retrieve() does, without waiting.
 */
void
xds_userdata_retrieve_async (XdsUserdata *userdata, guint domid, const char *userid,
                             GCancellable *cancellable, GAsyncReadyCallback callback,
                             gpointer user_data)
{
  g_return_if_fail (XDS_IS_USERDATA (userdata) && userid != NULL);

  start (userdata, xds_userdata_retrieve_async, job_new (domid, userid, NULL, 0),
         retrieve_in_thread, cancellable, callback, user_data);
}

/**
 * xds_userdata_retrieve_finish:
 * @userdata: the userdata
 * @result: what the callback was given
 * @ret_data: (out) (optional) (nullable) (transfer full) (array length=ret_length)
 *   (element-type guint8): return location for the bytes, %NULL if nothing is stored
 * @ret_length: (out) (optional): return location for their number
 * @ret_generation: (out) (optional): return location for the generation
 * @error: return location for an error
 *
 * Finishes xds_userdata_retrieve_async().
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_userdata_retrieve_finish (XdsUserdata *userdata, GAsyncResult *result, char **ret_data,
                              gsize *ret_length, guint64 *ret_generation, GError **error)
{
  Job *job;

  g_return_val_if_fail (g_task_is_valid (result, userdata), FALSE);

  if (!g_task_propagate_boolean (G_TASK (result), error))
    return FALSE;
  job = g_task_get_task_data (G_TASK (result));
  if (ret_data != NULL)
    *ret_data = g_steal_pointer (&job->data);
  if (ret_length != NULL)
    *ret_length = job->length;
  if (ret_generation != NULL)
    *ret_generation = job->generation;
  return TRUE;
}

static void
unlink_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  GError *error = NULL;
  Job *job = data;
  gboolean good = xds_userdata_unlink (source, job->domid, job->userid, &error);

  end (task, good, error);
}

/**
 * xds_userdata_unlink_async:
 * @userdata: the userdata
 * @domid: the domain
 * @userid: the name under which it is stored
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_userdata_unlink() does, without waiting.
 */
void
xds_userdata_unlink_async (XdsUserdata *userdata, guint domid, const char *userid,
                           GCancellable *cancellable, GAsyncReadyCallback callback,
                           gpointer user_data)
{
  g_return_if_fail (XDS_IS_USERDATA (userdata) && userid != NULL);

  start (userdata, xds_userdata_unlink_async, job_new (domid, userid, NULL, 0), unlink_in_thread,
         cancellable, callback, user_data);
}

/**
 * xds_userdata_unlink_finish:
 * @userdata: the userdata
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_userdata_unlink_async().
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_userdata_unlink_finish (XdsUserdata *userdata, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, userdata), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

static void
compare_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  GError *error = NULL;
  Job *job = data;
  gboolean good
      = xds_userdata_compare_and_store (source, job->domid, job->userid, job->data, job->length,
                                        job->generation, &job->generation, &error);

  end (task, good, error);
}

/**
 * xds_userdata_compare_and_store_async:
 * @userdata: the userdata
 * @domid: the domain
 * @userid: the name to store under
 * @data: (array length=length) (element-type guint8) (nullable): the bytes
 * @length: their number; 0 removes what is stored
 * @generation: what must be stored now, %XDS_USERDATA_CREATE if nothing may be
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_userdata_compare_and_store() does, without waiting.
 */
void
xds_userdata_compare_and_store_async (XdsUserdata *userdata, guint domid, const char *userid,
                                      const char *data, gsize length, guint64 generation,
                                      GCancellable *cancellable, GAsyncReadyCallback callback,
                                      gpointer user_data)
{
  Job *job;

  g_return_if_fail (XDS_IS_USERDATA (userdata) && userid != NULL);

  job = job_new (domid, userid, data, length);
  job->generation = generation;
  start (userdata, xds_userdata_compare_and_store_async, job, compare_in_thread, cancellable,
         callback, user_data);
}

/**
 * xds_userdata_compare_and_store_finish:
 * @userdata: the userdata
 * @result: what the callback was given
 * @ret_generation: (out) (optional): return location for the new generation
 * @error: return location for an error
 *
 * Finishes xds_userdata_compare_and_store_async().
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_userdata_compare_and_store_finish (XdsUserdata *userdata, GAsyncResult *result,
                                       guint64 *ret_generation, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, userdata), FALSE);

  if (!g_task_propagate_boolean (G_TASK (result), error))
    return FALSE;
  if (ret_generation != NULL)
    *ret_generation = ((Job *) g_task_get_task_data (G_TASK (result)))->generation;
  return TRUE;
}

static void
list_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  GError *error = NULL;
  GPtrArray *entries = xds_userdata_list (source, ((Job *) data)->domid, &error);

  if (entries != NULL)
    g_task_return_pointer (task, entries, (GDestroyNotify) g_ptr_array_unref);
  else
    g_task_return_error (task, error);
}

/**
 * xds_userdata_list_async:
 * @userdata: the userdata
 * @domid: the domain
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_userdata_list() does, without waiting.
 */
void
xds_userdata_list_async (XdsUserdata *userdata, guint domid, GCancellable *cancellable,
                         GAsyncReadyCallback callback, gpointer user_data)
{
  g_return_if_fail (XDS_IS_USERDATA (userdata));

  start (userdata, xds_userdata_list_async, job_new (domid, NULL, NULL, 0), list_in_thread,
         cancellable, callback, user_data);
}

/**
 * xds_userdata_list_finish:
 * @userdata: the userdata
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_userdata_list_async().
 *
 * Returns: (transfer container) (element-type XdsUserdataEntry): the entries, or %NULL with
 *   @error set
 */
GPtrArray *
xds_userdata_list_finish (XdsUserdata *userdata, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, userdata), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

static void
destroy_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  GError *error = NULL;
  gboolean good = xds_userdata_destroy_all (source, ((Job *) data)->domid, &error);

  end (task, good, error);
}

/**
 * xds_userdata_destroy_all_async:
 * @userdata: the userdata
 * @domid: the domain
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_userdata_destroy_all() does, without waiting.
 */
void
xds_userdata_destroy_all_async (XdsUserdata *userdata, guint domid, GCancellable *cancellable,
                                GAsyncReadyCallback callback, gpointer user_data)
{
  g_return_if_fail (XDS_IS_USERDATA (userdata));

  start (userdata, xds_userdata_destroy_all_async, job_new (domid, NULL, NULL, 0),
         destroy_in_thread, cancellable, callback, user_data);
}

/**
 * xds_userdata_destroy_all_finish:
 * @userdata: the userdata
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_userdata_destroy_all_async().
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_userdata_destroy_all_finish (XdsUserdata *userdata, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, userdata), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}
