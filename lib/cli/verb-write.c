/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * xds write: sets values, all of them or none.
 */

#include "lib/cli/out.h"
#include "lib/cli/verbs.h"

#include <stdio.h>

/* One more than a message can hold, so that too much is an error and not cut off. */
#define STDIN_MAX 4097

static gboolean escapes, from_stdin;

typedef struct
{
  GPtrArray *paths;
  GPtrArray *values; /* of GBytes */
} Writes;

static gboolean
do_writes (XdsCli *cli, XdsTransaction *txn, gpointer data, GError **error)
{
  Writes *writes = data;

  for (guint i = 0; i < writes->paths->len; i++)
    {
      gsize len;
      const char *value = g_bytes_get_data (writes->values->pdata[i], &len);

      if (!xds_client_write (cli->client, txn, writes->paths->pdata[i], value, len, error))
        return FALSE;
    }
  return TRUE;
}

static GBytes *
value_of (const char *text, GError **error)
{
  gsize len = strlen (text);
  char *bytes;

  if (!escapes)
    return g_bytes_new (text, len);
  bytes = xds_out_unescape (text, &len);
  if (bytes != NULL)
    return g_bytes_new_take (bytes, len);
  xds_cli_usage (error, "\"%s\" has a backslash that starts no escape; write \\\\ for a backslash.",
                 text);
  return NULL;
}

static GBytes *
value_from_stdin (void)
{
  char *bytes = g_malloc (STDIN_MAX);
  gsize len = fread (bytes, 1, STDIN_MAX, stdin);

  return g_bytes_new_take (bytes, len);
}

static int
run (XdsCli *cli, int argc, char **argv, GError **error)
{
  g_autoptr (GPtrArray) paths = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GPtrArray) values = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  Writes writes = { paths, values };

  if (from_stdin ? argc != 1 : argc == 0 || argc % 2 != 0)
    return xds_cli_usage (error, from_stdin ? "With --stdin give exactly one path."
                                            : "Give a path and a value, any number of times.");
  for (int i = 0; i < argc; i += 2)
    {
      char *path = xds_cli_path (cli, argv[i], error);
      GBytes *value = path == NULL ? NULL
                      : from_stdin ? value_from_stdin ()
                                   : value_of (argv[i + 1], error);

      if (path == NULL)
        return XDS_EXIT_NO;
      g_ptr_array_add (paths, path);
      if (value == NULL)
        return XDS_EXIT_USAGE;
      g_ptr_array_add (values, value);
    }
  return xds_cli_change (cli, paths, do_writes, &writes, error);
}

static const GOptionEntry options[] = {
  { "escapes", 'e', 0, G_OPTION_ARG_NONE, &escapes,
    "Values have escapes as \"xds read\" prints them", NULL },
  { "stdin", 0, 0, G_OPTION_ARG_NONE, &from_stdin, "Take the value from standard input", NULL },
  { NULL, 0, 0, 0, NULL, NULL, NULL },
};

const XdsVerb xds_verb_write = {
  .name = "write",
  .args = "PATH VALUE [PATH VALUE]...",
  .summary = "set the values of nodes",
  .details = "Makes nodes that are not there, and their parents. All writes happen at once or not "
             "at all.\nA value that begins with a dash follows a \"--\".\n\n"
             "  xds write /tool/note \"in repair\"\n"
             "  xds write -N -D web1 control/shutdown poweroff\n"
             "  xds write -- /a -5\n",
  .options = options,
  .changes = TRUE,
  .run = run,
};
