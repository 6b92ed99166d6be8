/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * xds userdata: what is stored for a domain, in libxl's files.
 */

#include "lib/cli/out.h"
#include "lib/cli/verbs.h"

#include <glib/gstdio.h>
#include <stdio.h>
#include <unistd.h>

static char *folder;
static gboolean create, replace, third_party, fix, unlimited;

typedef struct
{
  XdsCli *cli;
  XdsUserdata *userdata;
  guint domid;
  const char *userid; /* (nullable) for ls */
  int argc;           /* what follows */
  char **argv;
} Action;

/* --- ls --- */

static void
list_one (Action *action, JsonBuilder *builder, const XdsUserdataEntry *entry)
{
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_utc (entry->mtime / G_USEC_PER_SEC);
  g_autofree char *when = g_date_time_format (time, "%Y-%m-%dT%H:%M:%SZ");
  g_autofree char *generation = g_strdup_printf ("%" G_GINT64_MODIFIER "x", entry->generation);

  if (!action->cli->json)
    {
      printf ("%10" G_GSIZE_FORMAT "  %s  %s\n", entry->size, when, entry->userid);
      return;
    }
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "userid");
  json_builder_add_string_value (builder, entry->userid);
  json_builder_set_member_name (builder, "size");
  json_builder_add_int_value (builder, entry->size);
  json_builder_set_member_name (builder, "time");
  json_builder_add_string_value (builder, when);
  json_builder_set_member_name (builder, "generation");
  json_builder_add_string_value (builder, generation);
  json_builder_end_object (builder);
}

static int
action_ls (Action *action, GError **error)
{
  g_autoptr (GPtrArray) entries = xds_userdata_list (action->userdata, action->domid, error);
  g_autoptr (JsonBuilder) builder = json_builder_new ();

  if (entries == NULL)
    return XDS_EXIT_OTHER;
  json_builder_begin_array (builder);
  for (guint i = 0; i < entries->len; i++)
    list_one (action, builder, entries->pdata[i]);
  json_builder_end_array (builder);
  if (action->cli->json)
    xds_out_json (builder);
  return XDS_EXIT_DONE;
}

/* --- get --- */

static gboolean
retrieve (Action *action, char **ret_data, gsize *ret_len, guint64 *ret_generation, GError **error)
{
  return xds_userdata_retrieve (action->userdata, action->domid, action->userid, ret_data, ret_len,
                                ret_generation, error);
}

static int
action_get (Action *action, GError **error)
{
  g_autoptr (JsonBuilder) builder = NULL;
  g_autofree char *data = NULL;
  gsize len = 0;

  if (!retrieve (action, &data, &len, NULL, error))
    return XDS_EXIT_OTHER;
  if (data == NULL)
    {
      g_set_error (error, XDS_ERROR, XDS_ERROR_ABSENT,
                   "Nothing is stored for domain %u as \"%s\"; \"xds userdata ls %u\" lists what "
                   "is.",
                   action->domid, action->userid, action->domid);
      return XDS_EXIT_NO;
    }
  if (!action->cli->json)
    {
      fwrite (data, 1, len, stdout);
      return XDS_EXIT_DONE;
    }
  builder = json_builder_new ();
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "userid");
  json_builder_add_string_value (builder, action->userid);
  json_builder_set_member_name (builder, "data");
  xds_out_json_value (builder, data, len);
  json_builder_end_object (builder);
  xds_out_json (builder);
  return XDS_EXIT_DONE;
}

/* --- put --- */

static int
action_put (Action *action, GError **error)
{
  g_autofree char *bytes = NULL;
  gsize len;
  gboolean good;

  if (action->argc > 1)
    return xds_cli_usage (error, "Give one value, or none to take it from standard input.");
  if (action->argc == 0)
    bytes = xds_cli_read_file ("-", &len, error);
  else
    len = strlen (bytes = g_strdup (action->argv[0]));
  if (bytes == NULL)
    return XDS_EXIT_OTHER;
  if (len == 0)
    return xds_cli_usage (error, "There are no bytes to store; \"xds userdata rm\" removes.");
  good = create ? xds_userdata_compare_and_store (action->userdata, action->domid, action->userid,
                                                  bytes, len, XDS_USERDATA_CREATE, NULL, error)
                : xds_userdata_store (action->userdata, action->domid, action->userid, bytes, len,
                                      error);
  return good ? XDS_EXIT_DONE : XDS_EXIT_OTHER;
}

/* --- edit --- */

/* Runs the editor on @path; FALSE and an error if it says that it failed. */
static gboolean
run_editor (const char *path, GError **error)
{
  const char *named = g_getenv ("VISUAL") != NULL ? g_getenv ("VISUAL") : g_getenv ("EDITOR");
  const char *editor = named != NULL ? named : "vi";
  g_autofree char *quoted = g_shell_quote (path);
  g_autofree char *command = g_strconcat (editor, " ", quoted, NULL);
  const char *argv[] = { "/bin/sh", "-c", command, NULL };
  g_autoptr (GError) own = NULL;
  int status;

  if (g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_CHILD_INHERITS_STDIN, NULL, NULL, NULL,
                    NULL, &status, &own)
      && g_spawn_check_wait_status (status, &own))
    return TRUE;
  g_set_error (error, XDS_ERROR, XDS_ERROR_FAILED,
               "The editor \"%s\" did not do it, so nothing was stored: %s. VISUAL or EDITOR "
               "names another one.",
               editor, own->message);
  return FALSE;
}

/* Stores what the editor left in @path.  What cannot be stored is not thrown away. */
static gboolean
store_edited (Action *action, const char *path, const char *data, gsize len, guint64 generation,
              gboolean *ret_keep, GError **error)
{
  g_autofree char *edited = NULL;
  gsize edited_len;

  if (!g_file_get_contents (path, &edited, &edited_len, error))
    return FALSE;
  if (edited_len == len && memcmp (edited, data, len) == 0)
    return TRUE;
  if (xds_userdata_compare_and_store (action->userdata, action->domid, action->userid, edited,
                                      edited_len, generation, NULL, error))
    return TRUE;
  g_prefix_error (error, "What you wrote is in %s and was not stored: ", path);
  *ret_keep = TRUE;
  return FALSE;
}

static int
action_edit (Action *action, GError **error)
{
  g_autofree char *data = NULL, *temporary = NULL, *path = NULL;
  guint64 generation = XDS_USERDATA_CREATE;
  gboolean good, keep = FALSE;
  const char *old;
  gsize len = 0;

  if (!retrieve (action, &data, &len, &generation, error))
    return XDS_EXIT_OTHER;
  temporary = g_dir_make_tmp ("xds-edit-XXXXXX", error);
  if (temporary == NULL)
    return XDS_EXIT_OTHER;
  path = g_build_filename (temporary, "userdata", NULL);
  old = data != NULL ? data : "";
  good = g_file_set_contents_full (path, old, len, G_FILE_SET_CONTENTS_NONE, 0600, error)
         && run_editor (path, error)
         && store_edited (action, path, old, len, generation, &keep, error);
  if (!keep)
    {
      g_unlink (path);
      g_rmdir (temporary);
    }
  return good ? XDS_EXIT_DONE : XDS_EXIT_OTHER;
}

static int
action_rm (Action *action, GError **error)
{
  return xds_userdata_unlink (action->userdata, action->domid, action->userid, error)
             ? XDS_EXIT_DONE
             : XDS_EXIT_OTHER;
}

/* --- all of it --- */

static int
action_export (Action *action, GError **error)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autoptr (GBytes) archive
      = xds_userdata_export (action->userdata, action->domid, third_party, error);

  if (archive == NULL)
    return XDS_EXIT_OTHER;
  if (action->cli->json)
    {
      json_builder_begin_object (builder);
      json_builder_set_member_name (builder, "archive");
      xds_out_json_value (builder, g_bytes_get_data (archive, NULL), g_bytes_get_size (archive));
      json_builder_end_object (builder);
      xds_out_json (builder);
      return XDS_EXIT_DONE;
    }
  fwrite (g_bytes_get_data (archive, NULL), 1, g_bytes_get_size (archive), stdout);
  return XDS_EXIT_DONE;
}

static int
action_import (Action *action, GError **error)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autoptr (GBytes) archive = NULL;
  gsize len;
  char *bytes;
  guint n = 0;

  if (action->argc > 1)
    return xds_cli_usage (error, "Give one file, or none to take it from standard input.");
  bytes = xds_cli_read_file (action->argc > 0 ? action->argv[0] : "-", &len, error);
  if (bytes == NULL)
    return XDS_EXIT_OTHER;
  archive = g_bytes_new_take (bytes, len);
  if (!xds_userdata_import (action->userdata, action->domid, archive, replace, &n, error))
    return XDS_EXIT_OTHER;
  if (!action->cli->json)
    return XDS_EXIT_DONE;
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "stored");
  json_builder_add_int_value (builder, n);
  json_builder_end_object (builder);
  xds_out_json (builder);
  return XDS_EXIT_DONE;
}

static void
json_finding (JsonBuilder *builder, const XdsUserdataFinding *finding)
{
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "kind");
  json_builder_add_string_value (builder, finding->kind);
  json_builder_set_member_name (builder, "domid");
  json_builder_add_int_value (builder, finding->domid);
  json_builder_set_member_name (builder, "file");
  json_builder_add_string_value (builder, finding->file);
  json_builder_set_member_name (builder, "fixed");
  json_builder_add_boolean_value (builder, finding->fixed);
  json_builder_end_object (builder);
}

static int
action_audit (Action *action, GError **error)
{
  g_autoptr (GPtrArray) findings = xds_userdata_audit (action->userdata, fix, error);
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  gboolean left = FALSE;

  if (findings == NULL)
    return XDS_EXIT_OTHER;
  json_builder_begin_array (builder);
  for (guint i = 0; i < findings->len; i++)
    {
      const XdsUserdataFinding *finding = findings->pdata[i];

      left |= !finding->fixed;
      json_finding (builder, finding);
      if (!action->cli->json)
        printf ("%-12s  %s%s\n", finding->kind, finding->file, finding->fixed ? "  removed" : "");
    }
  json_builder_end_array (builder);
  if (action->cli->json)
    xds_out_json (builder);
  return left ? XDS_EXIT_NO : XDS_EXIT_DONE;
}

/* --- the table --- */

static const struct
{
  const char *name;
  gboolean takes_domain, takes_userid;
  int (*func) (Action *action, GError **error);
} actions[] = {
  { "ls", TRUE, FALSE, action_ls },         { "get", TRUE, TRUE, action_get },
  { "put", TRUE, TRUE, action_put },        { "edit", TRUE, TRUE, action_edit },
  { "rm", TRUE, TRUE, action_rm },          { "export", TRUE, FALSE, action_export },
  { "import", TRUE, FALSE, action_import }, { "audit", FALSE, FALSE, action_audit },
};

/* Takes domain and userid off the words. */
static int
take_words (Action *action, gboolean takes_userid, GError **error)
{
  const char *domain = action->cli->domain;

  if (domain == NULL && action->argc > 0)
    {
      domain = action->argv[0];
      action->argc--;
      action->argv++;
    }
  if (domain == NULL || (takes_userid && action->argc == 0))
    return xds_cli_usage (error, takes_userid ? "Give a domain and the name that it is stored "
                                                "under: xds userdata get 7 xl"
                                              : "Give a domain: xds userdata ls 7");
  if (takes_userid)
    {
      action->userid = action->argv[0];
      action->argc--;
      action->argv++;
    }
  return xds_cli_domid (action->cli, domain, &action->domid, error) ? XDS_EXIT_DONE : XDS_EXIT_NO;
}

static int
run (XdsCli *cli, int argc, char **argv, GError **error)
{
  g_autoptr (XdsUserdata) userdata = NULL;
  Action action = { cli, NULL, 0, NULL, argc - 1, argv + 1 };
  int status = XDS_EXIT_DONE;

  if (argc == 0)
    return xds_cli_usage (error, "Give what to do: ls, get, put, edit, rm, export, import or "
                                 "audit.");
  for (guint i = 0; i < G_N_ELEMENTS (actions); i++)
    {
      if (!g_str_equal (argv[0], actions[i].name))
        continue;
      if (actions[i].takes_domain)
        status = take_words (&action, actions[i].takes_userid, error);
      if (status != XDS_EXIT_DONE)
        return status;
      userdata = xds_userdata_new (folder, cli->socket, error);
      action.userdata = userdata;
      if (unlimited && userdata != NULL)
        xds_userdata_set_limits (userdata, 0, 0, 0);
      return userdata != NULL ? actions[i].func (&action, error) : XDS_EXIT_OTHER;
    }
  return xds_cli_usage (error,
                        "There is no \"xds userdata %s\"; ls, get, put, edit, rm, export, import "
                        "and audit are.",
                        argv[0]);
}

static const GOptionEntry options[] = {
  { "folder", 0, 0, G_OPTION_ARG_FILENAME, &folder, "Where the files are (" XDS_XEN_LIB_DIR ")",
    "FOLDER" },
  { "create", 0, 0, G_OPTION_ARG_NONE, &create, "put: only if nothing is stored yet", NULL },
  { "third-party", 0, 0, G_OPTION_ARG_NONE, &third_party,
    "export: without what libxl and libvirt make anew", NULL },
  { "replace", 0, 0, G_OPTION_ARG_NONE, &replace, "import: replace what is stored already", NULL },
  { "unlimited", 0, 0, G_OPTION_ARG_NONE, &unlimited,
    "put, edit, import: as much as there is room for", NULL },
  { "fix", 0, 0, G_OPTION_ARG_NONE, &fix, "audit: remove what can be removed", NULL },
  { NULL, 0, 0, 0, NULL, NULL, NULL },
};

const XdsVerb xds_verb_userdata = {
  .name = "userdata",
  .args = "ls DOM | get DOM NAME | put DOM NAME [VALUE] | edit DOM NAME | rm DOM NAME | "
          "export DOM | import DOM [FILE] | audit",
  .summary = "what programs stored for a domain",
  .details = "The data is in libxl's files and goes when the domain goes. With -D leave DOM out. "
             "\"put\" without VALUE takes\nit from standard input; \"edit\" stores only if nobody "
             "else did meanwhile.\n\n"
             "  xds userdata ls web1\n"
             "  xds userdata put 7 note < note.txt\n",
  .options = options,
  .run = run,
};
