/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The table below is the list of keys; xendomstored.conf(5) describes them.  The keys of [quota]
 * are the names that the engine has, so a quota that it learns needs no line here.
 *
 * The file looks like GKeyFile's, but is read here: GKeyFile forgets on which line a value stood,
 * and an error without its line is no help in a long file.
 */

#include "xsd/daemon/config.h"

#include "xsd/core/engine.h"
#include "xsd/wire/op-number.h"

#include <errno.h>
#include <string.h>

#define DOMID_WANTED "a domain id (0 to 32751)"

typedef enum
{
  TYPE_TEXT,
  TYPE_PATH,
  TYPE_LIST,
  TYPE_DOMIDS,
  TYPE_OPERATIONS,
  TYPE_BOOLEAN,
  TYPE_DOMID,
  TYPE_NUMBER,
  TYPE_COUNT,
} Type;

typedef struct
{
  const char *group, *key;
  Type type;
  gsize offset;
  const char *choices; /* (nullable) words allowed, each between blanks */
} Key;

#define FIELD(name) G_STRUCT_OFFSET (XdsConfig, name)

static const Key keys[] = {
  { "daemon", "socket", TYPE_PATH, FIELD (socket), NULL },
  { "daemon", "pid-file", TYPE_PATH, FIELD (pid_file), NULL },
  { "daemon", "hypervisor", TYPE_TEXT, FIELD (hypervisor), NULL },
  { "daemon", "plugin-dir", TYPE_PATH, FIELD (plugin_dir), NULL },
  { "daemon", "userdata-dir", TYPE_PATH, FIELD (userdata_dir), NULL },
  { "daemon", "event-port", TYPE_NUMBER, FIELD (event_port), NULL },
  { "daemon", "foreground", TYPE_BOOLEAN, FIELD (foreground), NULL },
  { "daemon", "keeper", TYPE_BOOLEAN, FIELD (keeper), NULL },
  { "daemon", "userdata-only", TYPE_BOOLEAN, FIELD (userdata_only), NULL },
  { "daemon", "print-pid", TYPE_BOOLEAN, FIELD (print_pid), NULL },
  { "store", "keep-orphans", TYPE_BOOLEAN, FIELD (keep_orphans), NULL },
  { "store", "domid", TYPE_DOMID, FIELD (store_domid), NULL },
  { "store", "privileged-domid", TYPE_DOMID, FIELD (privileged_domid), NULL },
  { "hooks", "folder", TYPE_PATH, FIELD (hooks_folder), NULL },
  { "hooks", "timeout", TYPE_COUNT, FIELD (hooks_timeout), NULL },
  { "hooks", "at-once", TYPE_COUNT, FIELD (hooks_at_once), NULL },
  { "userdata", "last-will", TYPE_NUMBER, FIELD (last_will), NULL },
  { "snapshot", "file", TYPE_PATH, FIELD (snapshot_file), NULL },
  { "snapshot", "interval", TYPE_NUMBER, FIELD (snapshot_interval), NULL },
  { "log", "target", TYPE_TEXT, FIELD (log_target), " auto journal syslog stderr file " },
  { "log", "level", TYPE_TEXT, FIELD (log_level), " error warning notice info debug " },
  { "log", "file", TYPE_PATH, FIELD (log_file), NULL },
  { "access-log", "file", TYPE_PATH, FIELD (access_file), NULL },
  { "access-log", "domains", TYPE_DOMIDS, FIELD (access_domains), NULL },
  { "access-log", "operations", TYPE_OPERATIONS, FIELD (access_operations), NULL },
  { "access-log", "paths", TYPE_LIST, FIELD (access_paths), NULL },
  { "access-log", "redact", TYPE_LIST, FIELD (access_redact), NULL },
};

/* --- life --- */

static void
clear_quota (gpointer setting)
{
  g_free (((XdsQuotaSetting *) setting)->name);
}

static gboolean
is_list (Type type)
{
  return type == TYPE_LIST || type == TYPE_DOMIDS || type == TYPE_OPERATIONS;
}

/* The environment is the one that libxenstore, and C xenstored, look at. */
XdsConfig *
xds_config_new (void)
{
  XdsConfig *self = g_new0 (XdsConfig, 1);
  const char *dir = g_getenv ("XENSTORED_RUNDIR");
  const char *path = g_getenv ("XENSTORED_PATH");

  self->run_dir
      = g_canonicalize_filename (dir != NULL && *dir != '\0' ? dir : "/run/xenstored", NULL);
  self->socket = path != NULL && *path != '\0' ? g_canonicalize_filename (path, NULL)
                                               : g_build_filename (self->run_dir, "socket", NULL);
  self->pid_file = g_build_filename (self->run_dir, "xendomstored.pid", NULL);
  self->plugin_dir = g_strdup (XDS_PKGLIBDIR);
  self->userdata_dir = g_strdup (XDS_XEN_LIB_DIR);
  self->keeper = XDS_KEEPER_DEFAULT;
  self->hooks_folder = g_strdup (XDS_SYSCONFDIR "/xendomstore/hooks.d");
  self->hooks_timeout = 30;
  self->hooks_at_once = 4;
  self->log_target = g_strdup ("auto");
  self->log_level = g_strdup ("notice");
  self->quotas = g_array_new (FALSE, FALSE, sizeof (XdsQuotaSetting));
  g_array_set_clear_func (self->quotas, clear_quota);
  return self;
}

void
xds_config_free (XdsConfig *self)
{
  if (self == NULL)
    return;
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    {
      void *field = G_STRUCT_MEMBER_P (self, keys[i].offset);

      if (keys[i].type == TYPE_TEXT || keys[i].type == TYPE_PATH)
        g_free (*(char **) field);
      else if (is_list (keys[i].type))
        g_strfreev (*(char ***) field);
    }
  g_free (self->run_dir);
  g_array_unref (self->quotas);
  g_free (self);
}

void
xds_config_keep_start (XdsConfig *self, XdsConfig *start)
{
  const XdsConfig now = *self;

#define SWAP(field) (self->field = start->field, start->field = now.field)
  SWAP (run_dir);
  SWAP (socket);
  SWAP (userdata_only);
  SWAP (pid_file);
  SWAP (hypervisor);
  SWAP (plugin_dir);
  SWAP (userdata_dir);
  SWAP (event_port);
  SWAP (foreground);
  SWAP (keeper);
  SWAP (print_pid);
  SWAP (store_domid);
  SWAP (privileged_domid);
#undef SWAP
}

/* --- values --- */

static gboolean
bad (GError **error, const char *value, const char *wanted)
{
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "\"%s\" is not %s", value, wanted);
  return FALSE;
}

static gboolean
set_number (guint64 *field, const char *value, guint64 max, const char *wanted, GError **error)
{
  return g_ascii_string_to_unsigned (value, 10, 0, max, field, NULL) || bad (error, value, wanted);
}

static gboolean
set_count (guint64 *field, const char *value, GError **error)
{
  return g_ascii_string_to_unsigned (value, 10, 1, 3600, field, NULL)
         || bad (error, value, "a number from 1 to 3600");
}

static gboolean
set_boolean (gboolean *field, const char *value, GError **error)
{
  if (g_str_equal (value, "true") || g_str_equal (value, "yes") || g_str_equal (value, "1"))
    *field = TRUE;
  else if (g_str_equal (value, "false") || g_str_equal (value, "no") || g_str_equal (value, "0"))
    *field = FALSE;
  else
    return bad (error, value, "true or false");
  return TRUE;
}

static gboolean
set_text (char **field, const Key *key, const char *value, GError **error)
{
  g_autofree char *word = g_strdup_printf (" %s ", value);

  if (key->choices != NULL && strstr (key->choices, word) == NULL)
    {
      g_autofree char *wanted = g_strdup_printf ("one of%s", key->choices);

      return bad (error, value, g_strchomp (wanted));
    }
  g_free (*field);
  *field = *value != '\0' ? g_strdup (value) : NULL;
  return TRUE;
}

/* The daemon changes its folder, so a path is made absolute now.  "" sets to none. */
static gboolean
set_path (char **field, const char *value)
{
  g_free (*field);
  *field = *value != '\0' ? g_canonicalize_filename (value, NULL) : NULL;
  return TRUE;
}

static gboolean
is_operation (const char *word)
{
  for (guint type = 0; type < XDS_OP_MAX; type++)
    if (g_strcmp0 (xds_op_name (type), word) == 0)
      return TRUE;
  return FALSE;
}

static gboolean
check_word (Type type, const char *word, GError **error)
{
  guint64 domid;

  if (type == TYPE_DOMIDS)
    return set_number (&domid, word, XDS_DOMID_FIRST_RESERVED - 1, DOMID_WANTED, error);
  if (type == TYPE_OPERATIONS && !is_operation (word))
    return bad (error, word, "an operation; they are READ, WRITE, MKDIR, WATCH_EVENT and so on");
  return TRUE;
}

static gboolean
set_list (char ***field, Type type, const char *value, GError **error)
{
  g_auto (GStrv) words = g_strsplit_set (value, " ;,\t", -1);
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();

  for (guint i = 0; words[i] != NULL; i++)
    {
      if (*words[i] == '\0')
        continue;
      if (!check_word (type, words[i], error))
        return FALSE;
      g_strv_builder_add (builder, words[i]);
    }
  g_strfreev (*field);
  *field = g_strv_builder_end (builder);
  if (*field[0] == NULL)
    g_clear_pointer (field, g_strfreev);
  return TRUE;
}

static gboolean
set_quota (XdsConfig *self, const char *name, const char *value, GError **error)
{
  XdsQuotaSetting setting;

  if (!set_number (&setting.value, value, G_MAXUINT32, "a number from 0 (no limit) to 4294967295",
                   error))
    return FALSE;
  setting.name = g_strdup (name);
  g_array_append_val (self->quotas, setting);
  return TRUE;
}

static gboolean
set_key (XdsConfig *self, const Key *key, const char *value, GError **error)
{
  void *field = G_STRUCT_MEMBER_P (self, key->offset);

  switch (key->type)
    {
    case TYPE_TEXT:
      return set_text (field, key, value, error);
    case TYPE_PATH:
      return set_path (field, value);
    case TYPE_LIST:
    case TYPE_DOMIDS:
    case TYPE_OPERATIONS:
      return set_list (field, key->type, value, error);
    case TYPE_BOOLEAN:
      return set_boolean (field, value, error);
    case TYPE_DOMID:
      return set_number (field, value, XDS_DOMID_FIRST_RESERVED - 1, DOMID_WANTED, error);
    case TYPE_COUNT:
      return set_count (field, value, error);
    case TYPE_NUMBER:
      return set_number (field, value, G_MAXUINT32, "a number", error);
    }
  g_assert_not_reached ();
}

gboolean
xds_config_set (XdsConfig *self, const char *group, const char *key, const char *value,
                GError **error)
{
  if (g_str_equal (group, "quota") && g_strv_contains (xds_engine_quota_names (), key))
    return set_quota (self, key, value, error);
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    if (g_str_equal (keys[i].group, group) && g_str_equal (keys[i].key, key))
      return set_key (self, &keys[i], value, error);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "there is no key \"%s\" in [%s]", key,
               group);
  return FALSE;
}

/* --- the file --- */

typedef struct
{
  XdsConfig *config;
  const char *path;
  guint line;
  char *group; /* (owned) (nullable) */
  void (*warn) (const char *text);
} Reader;

static gboolean
syntax (const Reader *self, const char *what, GError **error)
{
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s:%u: %s", self->path, self->line,
               what);
  return FALSE;
}

static gboolean
read_assignment (Reader *self, char *text, GError **error)
{
  g_autoptr (GError) why = NULL;
  g_autofree char *message = NULL;
  char *equals = strchr (text, '=');

  if (equals == NULL)
    return syntax (self, "this is neither [group] nor key = value; start a comment with #", error);
  if (self->group == NULL)
    return syntax (self, "a key needs a [group] above it", error);
  *equals = '\0';
  if (xds_config_set (self->config, self->group, g_strstrip (text), g_strstrip (equals + 1), &why))
    return TRUE;
  if (!g_error_matches (why, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
    {
      message = g_strdup_printf ("%s: %s", text, why->message);
      return syntax (self, message, error);
    }
  message = g_strdup_printf ("%s:%u: %s, it has no effect; see xendomstored.conf(5)", self->path,
                             self->line, why->message);
  self->warn (message);
  return TRUE;
}

static gboolean
read_line (Reader *self, char *text, GError **error)
{
  gsize len;

  g_strstrip (text);
  len = strlen (text);
  if (len == 0 || *text == '#' || *text == ';')
    return TRUE;
  if (*text != '[')
    return read_assignment (self, text, error);
  if (text[len - 1] != ']')
    return syntax (self, "the name of a group ends with ]", error);
  g_free (self->group);
  self->group = g_strndup (text + 1, len - 2);
  return TRUE;
}

gboolean
xds_config_read (XdsConfig *self, const char *path, void (*warn) (const char *text), GError **error)
{
  Reader reader = { .config = self, .path = path, .warn = warn };
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;
  gboolean good = TRUE;

  if (!g_file_get_contents (path, &text, NULL, error))
    {
      g_prefix_error (error, "cannot read the configuration: ");
      return FALSE;
    }
  lines = g_strsplit (text, "\n", -1);
  for (guint i = 0; good && lines[i] != NULL; i++)
    {
      reader.line = i + 1;
      good = read_line (&reader, lines[i], error);
    }
  g_free (reader.group);
  return good;
}
