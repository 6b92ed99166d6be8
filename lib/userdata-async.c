/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * XdsUserdata without waiting: each call runs the synchronous one in a thread, since a lock of
 * libxl's may take its time and there is nothing that a loop could poll for.
 *
 * A job is one call: its arguments, which are copied, the synchronous function, and then its
 * results, which _finish takes.
 */

#include "lib/userdata.h"

typedef struct Job Job;

struct Job
{
  gboolean (*run) (XdsUserdata *userdata, Job *job, GError **error);
  guint domid;
  char *userid; /* (nullable) */
  char *data;   /* (nullable) to store, or what was retrieved */
  gsize length;
  guint64 generation;
  gboolean flag;   /* third_party, replace or fix */
  GBytes *archive; /* (nullable) */
  GPtrArray *list; /* (nullable) a result */
  guint n;         /* a result */
  XdsUserdataModifyFunc modify;
  gpointer modify_data;
  GDestroyNotify modify_destroy; /* (nullable) */
};

static void
job_free (gpointer data)
{
  Job *job = data;

  if (job->modify_destroy != NULL)
    job->modify_destroy (job->modify_data);
  g_clear_pointer (&job->archive, g_bytes_unref);
  g_clear_pointer (&job->list, g_ptr_array_unref);
  g_free (job->userid);
  g_free (job->data);
  g_free (job);
}

static Job *
job_new (gboolean (*run) (XdsUserdata *userdata, Job *job, GError **error), guint domid,
         const char *userid)
{
  Job *job = g_new0 (Job, 1);

  job->run = run;
  job->domid = domid;
  job->userid = g_strdup (userid);
  return job;
}

static void
job_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  GError *error = NULL;
  Job *job = data;

  if (job->run (source, job, &error))
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

/* @tag is the public function, by which _finish knows its result; @job is taken over. */
static void
start (XdsUserdata *userdata, gpointer tag, Job *job, GCancellable *cancellable,
       GAsyncReadyCallback callback, gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (userdata, cancellable, callback, user_data);

  g_task_set_source_tag (task, tag);
  g_task_set_task_data (task, job, job_free);
  g_task_run_in_thread (task, job_in_thread);
}

/* The job with its results, which lives as long as @result; NULL and an error if it failed. */
static Job *
finish (XdsUserdata *userdata, GAsyncResult *result, gpointer tag, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, userdata), NULL);
  g_return_val_if_fail (g_async_result_is_tagged (result, tag), NULL);

  if (!g_task_propagate_boolean (G_TASK (result), error))
    return NULL;
  return g_task_get_task_data (G_TASK (result));
}

static gboolean
run_store (XdsUserdata *userdata, Job *job, GError **error)
{
  return xds_userdata_store (userdata, job->domid, job->userid, job->data, job->length, error);
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
  Job *job;

  g_return_if_fail (XDS_IS_USERDATA (userdata) && userid != NULL);

  job = job_new (run_store, domid, userid);
  job->data = g_memdup2 (data, length);
  job->length = length;
  start (userdata, xds_userdata_store_async, job, cancellable, callback, user_data);
}

/**
 * xds_userdata_store_finish:
 * @userdata: the userdata
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_userdata_store_async().
 *
 * Errors: those of xds_userdata_store(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_userdata_store_finish (XdsUserdata *userdata, GAsyncResult *result, GError **error)
{
  return finish (userdata, result, xds_userdata_store_async, error) != NULL;
}

static gboolean
run_retrieve (XdsUserdata *userdata, Job *job, GError **error)
{
  return xds_userdata_retrieve (userdata, job->domid, job->userid, &job->data, &job->length,
                                &job->generation, error);
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

  start (userdata, xds_userdata_retrieve_async, job_new (run_retrieve, domid, userid), cancellable,
         callback, user_data);
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
 * Errors: those of xds_userdata_retrieve(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_userdata_retrieve_finish (XdsUserdata *userdata, GAsyncResult *result, char **ret_data,
                              gsize *ret_length, guint64 *ret_generation, GError **error)
{
  Job *job = finish (userdata, result, xds_userdata_retrieve_async, error);

  if (job == NULL)
    return FALSE;
  if (ret_data != NULL)
    *ret_data = g_steal_pointer (&job->data);
  if (ret_length != NULL)
    *ret_length = job->length;
  if (ret_generation != NULL)
    *ret_generation = job->generation;
  return TRUE;
}

static gboolean
run_unlink (XdsUserdata *userdata, Job *job, GError **error)
{
  return xds_userdata_unlink (userdata, job->domid, job->userid, error);
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

  start (userdata, xds_userdata_unlink_async, job_new (run_unlink, domid, userid), cancellable,
         callback, user_data);
}

/**
 * xds_userdata_unlink_finish:
 * @userdata: the userdata
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_userdata_unlink_async().
 *
 * Errors: those of xds_userdata_unlink(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_userdata_unlink_finish (XdsUserdata *userdata, GAsyncResult *result, GError **error)
{
  return finish (userdata, result, xds_userdata_unlink_async, error) != NULL;
}

static gboolean
run_compare_and_store (XdsUserdata *userdata, Job *job, GError **error)
{
  return xds_userdata_compare_and_store (userdata, job->domid, job->userid, job->data, job->length,
                                         job->generation, &job->generation, error);
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

  job = job_new (run_compare_and_store, domid, userid);
  job->data = g_memdup2 (data, length);
  job->length = length;
  job->generation = generation;
  start (userdata, xds_userdata_compare_and_store_async, job, cancellable, callback, user_data);
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
 * Errors: those of xds_userdata_compare_and_store(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_userdata_compare_and_store_finish (XdsUserdata *userdata, GAsyncResult *result,
                                       guint64 *ret_generation, GError **error)
{
  Job *job = finish (userdata, result, xds_userdata_compare_and_store_async, error);

  if (job != NULL && ret_generation != NULL)
    *ret_generation = job->generation;
  return job != NULL;
}

static gboolean
run_update (XdsUserdata *userdata, Job *job, GError **error)
{
  return xds_userdata_update (userdata, job->domid, job->userid, job->modify, job->modify_data,
                              &job->generation, error);
}

/**
 * xds_userdata_update_async:
 * @userdata: the userdata
 * @domid: the domain
 * @userid: the name under which it is stored
 * @func: (scope notified) (closure func_data) (destroy func_destroy): makes the new bytes of the
 * old ones, in a thread
 * @func_data: for @func
 * @func_destroy: (nullable): frees @func_data when @func is not called any more
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_userdata_update() does, without waiting.
 */
void
xds_userdata_update_async (XdsUserdata *userdata, guint domid, const char *userid,
                           XdsUserdataModifyFunc func, gpointer func_data,
                           GDestroyNotify func_destroy, GCancellable *cancellable,
                           GAsyncReadyCallback callback, gpointer user_data)
{
  Job *job;

  g_return_if_fail (XDS_IS_USERDATA (userdata) && userid != NULL && func != NULL);

  job = job_new (run_update, domid, userid);
  job->modify = func;
  job->modify_data = func_data;
  job->modify_destroy = func_destroy;
  start (userdata, xds_userdata_update_async, job, cancellable, callback, user_data);
}

/**
 * xds_userdata_update_finish:
 * @userdata: the userdata
 * @result: what the callback was given
 * @ret_generation: (out) (optional): return location for the new generation
 * @error: return location for an error
 *
 * Finishes xds_userdata_update_async().
 *
 * Errors: those of xds_userdata_update(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_userdata_update_finish (XdsUserdata *userdata, GAsyncResult *result, guint64 *ret_generation,
                            GError **error)
{
  Job *job = finish (userdata, result, xds_userdata_update_async, error);

  if (job != NULL && ret_generation != NULL)
    *ret_generation = job->generation;
  return job != NULL;
}

static gboolean
run_list (XdsUserdata *userdata, Job *job, GError **error)
{
  job->list = xds_userdata_list (userdata, job->domid, error);
  return job->list != NULL;
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

  start (userdata, xds_userdata_list_async, job_new (run_list, domid, NULL), cancellable, callback,
         user_data);
}

/**
 * xds_userdata_list_finish:
 * @userdata: the userdata
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_userdata_list_async().
 *
 * Errors: those of xds_userdata_list(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: (transfer container) (element-type XdsUserdataEntry): the entries, or %NULL with
 *   @error set
 */
GPtrArray *
xds_userdata_list_finish (XdsUserdata *userdata, GAsyncResult *result, GError **error)
{
  Job *job = finish (userdata, result, xds_userdata_list_async, error);

  return job != NULL ? g_steal_pointer (&job->list) : NULL;
}

static gboolean
run_destroy_all (XdsUserdata *userdata, Job *job, GError **error)
{
  return xds_userdata_destroy_all (userdata, job->domid, error);
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

  start (userdata, xds_userdata_destroy_all_async, job_new (run_destroy_all, domid, NULL),
         cancellable, callback, user_data);
}

/**
 * xds_userdata_destroy_all_finish:
 * @userdata: the userdata
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_userdata_destroy_all_async().
 *
 * Errors: those of xds_userdata_destroy_all(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_userdata_destroy_all_finish (XdsUserdata *userdata, GAsyncResult *result, GError **error)
{
  return finish (userdata, result, xds_userdata_destroy_all_async, error) != NULL;
}

static gboolean
run_export (XdsUserdata *userdata, Job *job, GError **error)
{
  job->archive = xds_userdata_export (userdata, job->domid, job->flag, error);
  return job->archive != NULL;
}

/**
 * xds_userdata_export_async:
 * @userdata: the userdata
 * @domid: the domain
 * @third_party: whether to leave out what libxl and libvirt make anew by themselves
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_userdata_export() does, without waiting.
 */
void
xds_userdata_export_async (XdsUserdata *userdata, guint domid, gboolean third_party,
                           GCancellable *cancellable, GAsyncReadyCallback callback,
                           gpointer user_data)
{
  Job *job;

  g_return_if_fail (XDS_IS_USERDATA (userdata));

  job = job_new (run_export, domid, NULL);
  job->flag = third_party;
  start (userdata, xds_userdata_export_async, job, cancellable, callback, user_data);
}

/**
 * xds_userdata_export_finish:
 * @userdata: the userdata
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_userdata_export_async().
 *
 * Errors: those of xds_userdata_export(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: (transfer full): the archive, or %NULL with @error set
 */
GBytes *
xds_userdata_export_finish (XdsUserdata *userdata, GAsyncResult *result, GError **error)
{
  Job *job = finish (userdata, result, xds_userdata_export_async, error);

  return job != NULL ? g_steal_pointer (&job->archive) : NULL;
}

static gboolean
run_import (XdsUserdata *userdata, Job *job, GError **error)
{
  return xds_userdata_import (userdata, job->domid, job->archive, job->flag, &job->n, error);
}

/**
 * xds_userdata_import_async:
 * @userdata: the userdata
 * @domid: the domain
 * @archive: what xds_userdata_export() made
 * @replace: whether to replace what is stored already, which is left alone otherwise
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_userdata_import() does, without waiting.
 */
void
xds_userdata_import_async (XdsUserdata *userdata, guint domid, GBytes *archive, gboolean replace,
                           GCancellable *cancellable, GAsyncReadyCallback callback,
                           gpointer user_data)
{
  Job *job;

  g_return_if_fail (XDS_IS_USERDATA (userdata) && archive != NULL);

  job = job_new (run_import, domid, NULL);
  job->archive = g_bytes_ref (archive);
  job->flag = replace;
  start (userdata, xds_userdata_import_async, job, cancellable, callback, user_data);
}

/**
 * xds_userdata_import_finish:
 * @userdata: the userdata
 * @result: what the callback was given
 * @ret_n: (out) (optional): return location for the number of items that were stored
 * @error: return location for an error
 *
 * Finishes xds_userdata_import_async().
 *
 * Errors: those of xds_userdata_import(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_userdata_import_finish (XdsUserdata *userdata, GAsyncResult *result, guint *ret_n,
                            GError **error)
{
  Job *job = finish (userdata, result, xds_userdata_import_async, error);

  if (job != NULL && ret_n != NULL)
    *ret_n = job->n;
  return job != NULL;
}

static gboolean
run_audit (XdsUserdata *userdata, Job *job, GError **error)
{
  job->list = xds_userdata_audit (userdata, job->flag, error);
  return job->list != NULL;
}

/**
 * xds_userdata_audit_async:
 * @userdata: the userdata
 * @fix: whether to remove what can be removed
 * @cancellable: (nullable): to give up
 * @callback: called when it is done
 * @user_data: for @callback
 *
 * Does what xds_userdata_audit() does, without waiting.
 */
void
xds_userdata_audit_async (XdsUserdata *userdata, gboolean fix, GCancellable *cancellable,
                          GAsyncReadyCallback callback, gpointer user_data)
{
  Job *job;

  g_return_if_fail (XDS_IS_USERDATA (userdata));

  job = job_new (run_audit, 0, NULL);
  job->flag = fix;
  start (userdata, xds_userdata_audit_async, job, cancellable, callback, user_data);
}

/**
 * xds_userdata_audit_finish:
 * @userdata: the userdata
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes xds_userdata_audit_async().
 *
 * Errors: those of xds_userdata_audit(), and %G_IO_ERROR_CANCELLED.
 *
 * Returns: (transfer container) (element-type XdsUserdataFinding): what was found, or %NULL with
 *   @error set
 */
GPtrArray *
xds_userdata_audit_finish (XdsUserdata *userdata, GAsyncResult *result, GError **error)
{
  Job *job = finish (userdata, result, xds_userdata_audit_async, error);

  return job != NULL ? g_steal_pointer (&job->list) : NULL;
}
