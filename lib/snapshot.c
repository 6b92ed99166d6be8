/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A store that a server left in a file, in the form of the migration stream.
 *
 * No server is asked, so this works when there is none any more.  The stream is read twice: nothing
 * is told of one that turns out to be damaged.  The road not taken is to map the file: whoever
 * truncates it would end the program that reads it.
 */

#include "config.h"

#include "lib/xendomstore/snapshot.h"
#include "xsd/wire/stream.h"

/* What @node says, to @func. */
static gboolean
tell (const XdsRecordNode *node, XdsSnapshotFunc func, gpointer user_data)
{
  g_autofree char *path = g_strndup (node->path.data, node->path.len);
  g_autofree char *value = g_malloc (node->value.len + 1);
  g_auto (GStrv) permissions = g_new0 (char *, node->n_perms + 1);

  if (node->value.len > 0)
    memcpy (value, node->value.data, node->value.len);
  value[node->value.len] = '\0';
  for (guint i = 0; i < node->n_perms; i++)
    {
      XdsRecordPerm perm = xds_record_perm (node, i);

      permissions[i] = g_strdup_printf ("%c%u", perm.letter, perm.domid);
    }
  return func (path, value, node->value.len, (const char *const *) permissions, user_data);
}

/* All records; with @func NULL only whether they are sound. */
static gboolean
read_records (XdsStreamIn *in, XdsSnapshotFunc func, gpointer user_data)
{
  XdsRecord record;
  gboolean go_on = TRUE;

  do
    {
      if (!xds_stream_in_read (in, &record))
        return FALSE;
      if (func != NULL && record.type == XDS_RECORD_NODE && record.node.conn_id == 0)
        go_on = tell (&record.node, func, user_data);
    }
  while (go_on && record.type != XDS_RECORD_END);
  return TRUE;
}

/**
 * xds_snapshot_read:
 * @file: (type filename): a snapshot that a server wrote, xendomstored or C xenstored
 * @func: (scope call) (closure user_data): is told each node, parents before their children;
 * special nodes (`@releaseDomain`) are among them
 * @user_data: for @func
 * @error: return location for an error: of #GFileError, or %XDS_ERROR_BAD_ARCHIVE
 *
 * Reads the nodes of a snapshot of a store, without any server.  What open transactions wrote is
 * not part of it.  Nothing is told of a damaged file.
 *
 * Errors: %XDS_ERROR_BAD_ARCHIVE, those of #GFileError.
 *
 * Returns: %TRUE on success
 */
gboolean
xds_snapshot_read (const char *file, XdsSnapshotFunc func, gpointer user_data, GError **error)
{
  g_autofree char *data = NULL;
  gsize len;
  char why[256];
  XdsStreamIn in;

  g_return_val_if_fail (file != NULL && func != NULL, FALSE);
  if (!g_file_get_contents (file, &data, &len, error))
    return FALSE;
  xds_stream_in_init (&in, data, len);
  if (!read_records (&in, NULL, NULL))
    {
      xds_stream_fault_print (&in.fault, why, sizeof why);
      g_set_error (error, XDS_ERROR, XDS_ERROR_BAD_ARCHIVE,
                   "%s cannot be read as a snapshot of a store: %s. Take another one.", file, why);
      return FALSE;
    }
  xds_stream_in_init (&in, data, len);
  return read_records (&in, func, user_data);
}
