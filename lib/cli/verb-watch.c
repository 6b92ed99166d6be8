/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * xds watch, wait: what changes, while it changes.
 */

#include "lib/cli/out.h"
#include "lib/cli/verbs.h"

#include <stdio.h>

static int max_events, depth = XDS_WATCH_UNLIMITED;
static gboolean verbose, no_initial;
static double timeout = G_MAXDOUBLE; /* seconds; more than can be counted is for ever */

typedef struct
{
  XdsCli *cli;
  int n;
  GHashTable *fresh; /* watches whose first event is still to come */
} Watching;

static void
print_event (Watching *self, const char *path, const char *value, gsize len)
{
  g_autoptr (JsonBuilder) builder = NULL;
  g_autofree char *text = value != NULL ? xds_out_escape (value, len) : NULL;

  if (!self->cli->json)
    {
      if (!verbose)
        puts (path);
      else if (text != NULL)
        printf ("%s = \"%s\"\n", path, text);
      else
        printf ("%s (gone)\n", path);
      fflush (stdout);
      return;
    }
  builder = json_builder_new ();
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "path");
  json_builder_add_string_value (builder, path);
  if (verbose)
    {
      json_builder_set_member_name (builder, "value");
      if (value != NULL)
        xds_out_json_value (builder, value, len);
      else
        json_builder_add_null_value (builder);
    }
  json_builder_end_object (builder);
  xds_out_json (builder);
  fflush (stdout);
}

static void
on_changed (XdsWatch *watch, const char *path, Watching *self)
{
  g_autofree char *value = NULL;
  gsize len = 0;

  if (g_hash_table_remove (self->fresh, watch) && no_initial)
    return;
  if (max_events > 0 && self->n >= max_events)
    return;
  self->n++;
  if (verbose)
    value = xds_client_read (self->cli->client, NULL, path, &len, NULL);
  print_event (self, path, value, len);
}

static int
run_watch (XdsCli *cli, int argc, char **argv, GError **error)
{
  g_autoptr (GPtrArray) watches = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr (GHashTable) fresh = g_hash_table_new (NULL, NULL);
  Watching self = { cli, 0, fresh };
  g_autoptr (GPtrArray) paths = NULL;

  if (xds_cli_client (cli, error) == NULL)
    return XDS_EXIT_UNREACHABLE;
  if (argc == 0)
    return xds_cli_usage (error, "What is to be watched? Give a path.");
  if (depth < XDS_WATCH_UNLIMITED || max_events < 0)
    return xds_cli_usage (error, "A depth is 0 or more, or -1 for all below; a number of events "
                                 "is 1 or more.");
  paths = xds_cli_paths (cli, argc, argv, error);
  for (guint i = 0; paths != NULL && i < paths->len; i++)
    {
      XdsWatch *watch = xds_client_watch (cli->client, paths->pdata[i], depth, error);

      if (watch == NULL)
        return XDS_EXIT_OTHER;
      g_ptr_array_add (watches, watch);
      g_hash_table_add (fresh, watch);
      g_signal_connect (watch, "changed", G_CALLBACK (on_changed), &self);
    }
  while (paths != NULL && (max_events <= 0 || self.n < max_events))
    if (!xds_client_wait (cli->client, -1, error) || !xds_out_finish (error))
      return XDS_EXIT_OTHER;
  return paths != NULL ? XDS_EXIT_DONE : XDS_EXIT_NO;
}

static const GOptionEntry watch_options[] = {
  { "number", 'n', 0, G_OPTION_ARG_INT, &max_events, "End after N events", "N" },
  { "depth", 'd', 0, G_OPTION_ARG_INT, &depth, "Report N levels below the path, 0 only itself",
    "N" },
  { "verbose", 'v', 0, G_OPTION_ARG_NONE, &verbose, "Print the value too", NULL },
  { "no-initial", 0, 0, G_OPTION_ARG_NONE, &no_initial, "Leave out the event that comes at once",
    NULL },
  { NULL, 0, 0, 0, NULL, NULL, NULL },
};

const XdsVerb xds_verb_watch = {
  .name = "watch",
  .args = "PATH...",
  .summary = "print what changes",
  .details = "Prints the path of each change, one a line; the first comes at once and only says "
             "that the watch works.\n\n"
             "  xds watch -v -D web1 device\n"
             "  xds watch @releaseDomain\n",
  .options = watch_options,
  .run = run_watch,
};

static int
run_wait (XdsCli *cli, int argc, char **argv, GError **error)
{
  XdsClient *client = xds_cli_client (cli, error);
  g_autoptr (JsonBuilder) builder = NULL;
  g_autofree char *path = NULL, *value = NULL, *text = NULL;
  gsize len = 0;
  int milliseconds;

  if (client == NULL)
    return XDS_EXIT_UNREACHABLE;
  if (argc < 1 || argc > 2)
    return xds_cli_usage (error, "Give a path, and the value to wait for if not any will do.");
  if (!(timeout >= 0))
    return xds_cli_usage (error, "A timeout is a number of seconds, 0 or more.");
  path = xds_cli_path (cli, argv[0], error);
  if (path == NULL)
    return XDS_EXIT_NO;
  milliseconds = timeout >= G_MAXINT / 1000 ? -1 : (int) (timeout * 1000);
  value = xds_client_wait_value (client, path, argc > 1 ? argv[1] : NULL, milliseconds, &len,
                                 error);
  if (value == NULL)
    return XDS_EXIT_OTHER;
  text = xds_out_escape (value, len);
  if (!cli->json)
    {
      puts (text);
      return XDS_EXIT_DONE;
    }
  builder = json_builder_new ();
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "path");
  json_builder_add_string_value (builder, path);
  json_builder_set_member_name (builder, "value");
  xds_out_json_value (builder, value, len);
  json_builder_end_object (builder);
  xds_out_json (builder);
  return XDS_EXIT_DONE;
}

static const GOptionEntry wait_options[] = {
  { "timeout", 't', 0, G_OPTION_ARG_DOUBLE, &timeout, "Give up after so many seconds (status 124)",
    "SECONDS" },
  { NULL, 0, 0, 0, NULL, NULL, NULL },
};

const XdsVerb xds_verb_wait = {
  .name = "wait",
  .args = "PATH [VALUE]",
  .summary = "wait until a node has a value",
  .details = "Without VALUE waits until the node exists. Prints the value.\n\n"
             "  xds wait -t 10 /local/domain/3/device/vif/0/state 4\n",
  .options = wait_options,
  .run = run_wait,
};
