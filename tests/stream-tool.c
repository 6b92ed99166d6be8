/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A migration stream from the command line, for tests against servers that are not ours:
 *
 *   stream-tool show FILE       one record a line
 *   stream-tool rewrite FILE    replaces it with what our writer makes of its records
 *
 * Exit status: 0 done; 1 the stream is damaged, and why is on standard error; 2 usage.
 */

#include "tests/stream-any.h"

#include <stdio.h>

static void
print_bytes (const char *what, XdsSpan bytes)
{
  g_autofree char *raw = g_strndup (bytes.data, bytes.len), *text = g_strescape (raw, NULL);

  /* g_strescape() ends at a NUL, which a message in flight has. */
  if (memchr (bytes.data != NULL ? bytes.data : "", '\0', bytes.len) != NULL)
    printf (" %s[%zu]", what, bytes.len);
  else
    printf (" %s=%s", what, text);
}

static void
show_connection (const XdsRecordConnection *connection)
{
  if (connection->kind == XDS_RECORD_RING)
    printf ("ring %u domid=%u target=%u", connection->id, connection->domid, connection->target);
  else
    printf ("socket %u", connection->id);
  print_bytes ("in", connection->in);
  print_bytes ("out", connection->out);
  printf (" of-a-message=%u\n", connection->resp_len);
}

static void
show_node (const XdsRecordNode *node)
{
  printf ("node");
  print_bytes ("path", node->path);
  print_bytes ("value", node->value);
  for (guint i = 0; i < node->n_perms; i++)
    printf (" %c%u%s", xds_record_perm (node, i).letter, xds_record_perm (node, i).domid,
            xds_record_perm (node, i).flags & XDS_RECORD_INERT ? "!" : "");
  putchar ('\n');
}

static void
show (const XdsRecord *record)
{
  switch (record->type)
    {
    case XDS_RECORD_GLOBAL:
      printf ("global socket=%s event-channels=%s\n", record->global.socket_fd >= 0 ? "yes" : "no",
              record->global.evtchn_fd >= 0 ? "yes" : "no");
      break;
    case XDS_RECORD_CONNECTION:
      show_connection (&record->connection);
      break;
    case XDS_RECORD_WATCH:
      printf ("watch of %u", record->watch.conn_id);
      print_bytes ("path", record->watch.path);
      print_bytes ("token", record->watch.token);
      putchar ('\n');
      break;
    case XDS_RECORD_NODE:
      show_node (&record->node);
      break;
    default:
      if (record->known)
        printf ("%s\n", xds_record_type_name (record->type));
      else
        printf ("0x%08x\n", record->type);
      break;
    }
}

static int
each_record (const char *data, gsize len, gboolean do_show, XdsStreamOut *out)
{
  XdsRecord record = { .type = XDS_RECORD_OWN };
  XdsStreamIn in;
  g_autofree char *why = NULL;

  if (!xds_stream_verify (data, len, &why))
    {
      fprintf (stderr, "stream-tool: %s\n", why);
      return 1;
    }
  xds_stream_in_init (&in, data, len);
  while (record.type != XDS_RECORD_END && xds_stream_in_read (&in, &record))
    {
      if (out->used == 0)
        xds_stream_put_header (out, in.version);
      if (out->used == XDS_STREAM_HEADER && do_show)
        printf ("version %u\n", in.version);
      if (do_show)
        show (&record);
      xds_stream_put_any (out, &record);
    }
  return 0;
}

int
main (int argc, char **argv)
{
  g_autofree char *data = NULL;
  g_autoptr (GError) error = NULL;
  gboolean do_show = argc == 3 && g_str_equal (argv[1], "show");
  XdsStreamOut out;
  gsize len;
  int status;

  if (argc != 3 || (!do_show && !g_str_equal (argv[1], "rewrite"))
      || !g_file_get_contents (argv[2], &data, &len, &error))
    {
      fprintf (stderr, "stream-tool: %s\n",
               error != NULL ? error->message : "give show or rewrite, and a file");
      return 2;
    }
  xds_stream_out_heap (&out);
  status = each_record (data, len, do_show, &out);
  if (status == 0 && !do_show
      && !g_file_set_contents (argv[2], (char *) out.data, out.used, &error))
    {
      fprintf (stderr, "stream-tool: %s\n", error->message);
      status = 2;
    }
  xds_stream_out_clear (&out);
  return status;
}
