/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Most options are one line in the table: a name, a letter, and the key that they set.  Those
 * whose value holds the key itself (-Q nodes=2000) have a function.
 *
 * An option of C xenstored that would change nothing here is accepted, and said to have no
 * effect, so that a host's existing settings keep working.
 */

#include "xsd/daemon/options.h"

#include "xsd/core/engine.h"

#include <string.h>

typedef struct
{
  char *option, *group, *key, *value;
} Assignment;

typedef struct
{
  const char *name;
  char letter; /* '\0': none */
  const char *group, *key; /* (nullable) of an option without an effect */
  const char *value;       /* (nullable) for an option without an argument */
  const char *placeholder; /* (nullable) of the argument */
  const char *help;
} Entry;

static const Entry entries[] = {
  { "socket", 0, "daemon", "socket", NULL, "PATH", "listen at PATH" },
  { "pid-file", 'F', "daemon", "pid-file", NULL, "FILE", "write the process id to FILE" },
  { "no-fork", 'N', "daemon", "foreground", "true", NULL, "stay in the foreground" },
  { "output-pid", 'P', "daemon", "print-pid", "true", NULL, "print the process id when ready" },
  { "hypervisor", 0, "daemon", "hypervisor", NULL, "NAME[:ARGS]",
    "use this plugin, e.g. xenctrl, or sim:/tmp/world" },
  { "plugin-dir", 0, "daemon", "plugin-dir", NULL, "DIR", "look for plugins in DIR" },
  { "userdata-dir", 0, "daemon", "userdata-dir", NULL, "DIR", "keep domains' userdata in DIR" },
  { "userdata-only", 0, "daemon", "userdata-only", "true", NULL,
    "serve no store: keep userdata beside one that another serves" },
  { "keeper", 0, "daemon", "keeper", "true", NULL, "replace the process that serves when it dies" },
  { "no-keeper", 0, "daemon", "keeper", "false", NULL, "serve by the process that is started" },
  { "event", 'e', "daemon", "event-port", NULL, "PORT", "event channel of the domain 0 ring" },
  { "entry-nb", 'E', "quota", "nodes", NULL, "N", "nodes that a domain may own" },
  { "entry-size", 'S', "quota", "node-size", NULL, "N", "bytes of a node of a domain" },
  { "watch-nb", 'W', "quota", "watches", NULL, "N", "watches of a domain" },
  { "transaction", 't', "quota", "transactions", NULL, "N", "transactions of a domain at once" },
  { "perm-nb", 'A', "quota", "node-permissions", NULL, "N", "permissions of a node" },
  { "path-max", 'M', "quota", "path-max", NULL, "N", "length of a domain's paths" },
  { "keep-orphans", 'K', "store", "keep-orphans", "true", NULL,
    "keep nodes of domains that are gone" },
  { "master-domid", 'm', "store", "domid", NULL, "DOMID", "the domain that the store is in" },
  { "priv-domid", 'p', "store", "privileged-domid", NULL, "DOMID", "the privileged domain" },
  { "trace-file", 'T', "access-log", "file", NULL, "FILE", "log each request to FILE" },
  { "verbose", 'V', "log", "level", "debug", NULL, "log more" },
  { "timeout", 'w', NULL, NULL, NULL, "NAME=S", "no effect: no reader stalls a writer" },
  { "trace-control", 0, NULL, NULL, NULL, "SWITCH", "no effect: see [access-log]" },
  { "internal-db", 'I', NULL, NULL, NULL, "ON", "no effect" },
  { "no-domain-init", 'D', NULL, NULL, "", NULL, "no effect: the plugin knows the domains" },
  { "no-recovery", 'R', NULL, NULL, "", NULL, "no effect" },
};

/* --- what was given --- */

static void
assignment_free (gpointer data)
{
  Assignment *self = data;

  g_free (self->option);
  g_free (self->group);
  g_free (self->key);
  g_free (self->value);
  g_free (self);
}

static void
assign (XdsOptions *self, const char *option, const char *group, const char *key, const char *value)
{
  Assignment *assignment = g_new (Assignment, 1);

  *assignment
      = (Assignment){ g_strdup (option), g_strdup (group), g_strdup (key), g_strdup (value) };
  g_ptr_array_add (self->assignments, assignment);
}

static const Entry *
find_entry (const char *option)
{
  for (guint i = 0; i < G_N_ELEMENTS (entries); i++)
    if (option[1] == '-' ? g_str_equal (option + 2, entries[i].name)
                         : option[1] == entries[i].letter)
      return &entries[i];
  return NULL;
}

static gboolean
entry_cb (const gchar *option, const gchar *value, gpointer data, GError **error G_GNUC_UNUSED)
{
  const Entry *entry = find_entry (option);

  assign (data, option, entry->group, entry->key, entry->value != NULL ? entry->value : value);
  return TRUE;
}

/* Other names that C xenstored has, or had, for the same quota. */
static const char *
quota_name (const char *name)
{
  if (g_str_equal (name, "permissions"))
    return "node-permissions";
  return g_str_equal (name, "path-length") ? "path-max" : name;
}

static gboolean
quota_cb (const gchar *option, const gchar *value, gpointer data, GError **error)
{
  gboolean soft = g_str_equal (option, "-q") || g_str_equal (option, "--quota-soft");
  const char *equals = strchr (value, '=');
  g_autofree char *what = NULL, *name = NULL;

  if (equals == NULL)
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                   "option %s wants NAME=N, e.g. %s, not \"%s\"", option,
                   soft ? "memory=2097152" : "nodes=2000", value);
      return FALSE;
    }
  what = g_strndup (value, equals - value);
  if (soft && !g_str_equal (what, "memory"))
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                   "option %s: only memory has an amount from which on it warns, not \"%s\"",
                   option, what);
      return FALSE;
    }
  name = g_strconcat (soft ? "soft-" : "", quota_name (what), NULL);
  assign (data, option, "quota", name, equals + 1);
  return TRUE;
}

/* --- life --- */

XdsOptions *
xds_options_new (void)
{
  XdsOptions *self = g_new0 (XdsOptions, 1);

  self->check_stream = -1;
  self->assignments = g_ptr_array_new_with_free_func (assignment_free);
  return self;
}

void
xds_options_free (XdsOptions *self)
{
  if (self == NULL)
    return;
  g_ptr_array_unref (self->assignments);
  g_strfreev (self->argv);
  g_free (self->resume);
  g_free (self->config_file);
  g_free (self);
}

/* --- parsing --- */

static gboolean
wants_value (char letter)
{
  for (guint i = 0; i < G_N_ELEMENTS (entries); i++)
    if (entries[i].letter == letter)
      return entries[i].placeholder != NULL;
  return letter == 'Q' || letter == 'q';
}

/* getopt takes -E2000, and -H for help; GOption takes neither, and a host's settings may have them.
   So what follows a letter that wants a value becomes a word of its own. */
static GPtrArray *
split_words (char **argv)
{
  GPtrArray *words = g_ptr_array_new_with_free_func (g_free);

  g_ptr_array_add (words, g_strdup (argv[0]));
  for (argv++; *argv != NULL; argv++)
    {
      const char *at = argv[0][0] == '-' && argv[0][1] != '-' ? *argv + 1 : "";

      if (*at == '\0')
        g_ptr_array_add (words, g_strdup (*argv));
      for (; *at != '\0'; at++)
        {
          g_ptr_array_add (words, g_strdup_printf ("-%c", *at == 'H' ? 'h' : *at));
          if (!wants_value (*at))
            continue;
          if (at[1] != '\0')
            g_ptr_array_add (words, g_strdup (at + 1));
          else if (argv[1] != NULL)
            g_ptr_array_add (words, g_strdup (*++argv));
          break;
        }
    }
  g_ptr_array_add (words, NULL);
  return words;
}

static GOptionEntry
make_entry (const char *name, char letter, gpointer callback, const char *help,
            const char *placeholder)
{
  return (GOptionEntry){
    .long_name = name,
    .short_name = letter,
    .flags = placeholder == NULL ? G_OPTION_FLAG_NO_ARG : 0,
    .arg = G_OPTION_ARG_CALLBACK,
    .arg_data = callback,
    .description = help,
    .arg_description = placeholder,
  };
}

static void
add_table (GOptionGroup *group)
{
  for (guint i = 0; i < G_N_ELEMENTS (entries); i++)
    {
      const Entry *entry = &entries[i];
      const GOptionEntry pair[] = {
        make_entry (entry->name, entry->letter, entry_cb, entry->help, entry->placeholder),
        { NULL },
      };

      g_option_group_add_entries (group, pair);
    }
}

static void
add_others (GOptionGroup *group, XdsOptions *self)
{
  const GOptionEntry others[] = {
    make_entry ("quota", 'Q', quota_cb, "set a quota by its name", "NAME=N"),
    make_entry ("quota-soft", 'q', quota_cb, "set the limit from which a quota warns", "NAME=N"),
    { "config", 0, 0, G_OPTION_ARG_FILENAME, &self->config_file,
      "read FILE instead of " XDS_CONFIG_DEFAULT_FILE, "FILE" },
    { "check-config", 0, 0, G_OPTION_ARG_NONE, &self->check_config,
      "say whether options and file are right, and exit", NULL },
    { "live-update", 'U', 0, G_OPTION_ARG_NONE, &self->live_update,
      "go on from what the C xenstored left that became us", NULL },
    { "resume", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_STRING, &self->resume, NULL, "WHAT" },
    { "check-stream", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_INT, &self->check_stream, NULL, "FD" },
    { "version", 0, 0, G_OPTION_ARG_NONE, &self->version, "print the version, and exit", NULL },
    { NULL },
  };
  g_option_group_add_entries (group, others);
}

/* A live update starts with the same options, but not with what the one before it left. */
static char **
without_resume (char **argv)
{
  g_autoptr (GStrvBuilder) rest = g_strv_builder_new ();

  for (; *argv != NULL; argv++)
    if (!g_str_has_prefix (*argv, "--resume=") && !g_str_has_prefix (*argv, "--check-stream=")
        && !g_str_equal (*argv, "-U") && !g_str_equal (*argv, "--live-update"))
      g_strv_builder_add (rest, *argv);
  return g_strv_builder_end (rest);
}

gboolean
xds_options_parse (XdsOptions *self, char **argv, GError **error)
{
  g_autoptr (GPtrArray) words = split_words (argv);
  g_autofree char **left = g_memdup2 (words->pdata, words->len * sizeof (char *));
  int n_left = (int) words->len - 1;
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  GOptionGroup *group = g_option_group_new ("main", NULL, NULL, self, NULL);

  g_option_context_set_summary (context, "The xenstore server of this host, and the keeper of its "
                                         "domains' userdata.");
  g_option_context_set_description (context, "See xendomstored(8) and xendomstored.conf(5).");
  self->argv = without_resume (argv);
  add_table (group);
  add_others (group, self);
  g_option_context_set_main_group (context, group);
  if (!g_option_context_parse (context, &n_left, &left, error))
    return FALSE;
  if (self->config_file != NULL)
    {
      g_autofree char *given = g_steal_pointer (&self->config_file);

      self->config_file = g_canonicalize_filename (given, NULL);
    }
  if (n_left == 1)
    return TRUE;
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
               "\"%s\" is not an option, and there are no other arguments", left[1]);
  return FALSE;
}

/* --- loading --- */

static gboolean
apply (XdsConfig *config, const Assignment *assignment, GError **error)
{
  if (xds_config_set (config, assignment->group, assignment->key, assignment->value, error))
    return TRUE;
  if (g_str_equal (assignment->group, "quota")
      && g_error_matches (*error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
    {
      g_autofree char *names = g_strjoinv (" ", (char **) xds_engine_quota_names ());

      g_clear_error (error);
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "there is no quota \"%s\", only: %s",
                   assignment->key, names);
    }
  g_prefix_error (error, "option %s: ", assignment->option);
  return FALSE;
}

static gboolean
read_file (const XdsOptions *self, XdsConfig *config, void (*warn) (const char *), GError **error)
{
  g_autoptr (GError) why = NULL;
  const char *path = self->config_file != NULL ? self->config_file : XDS_CONFIG_DEFAULT_FILE;

  if (xds_config_read (config, path, warn, &why))
    return TRUE;
  if (self->config_file == NULL && g_error_matches (why, G_FILE_ERROR, G_FILE_ERROR_NOENT))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&why));
  return FALSE;
}

XdsConfig *
xds_options_load (const XdsOptions *self, void (*warn) (const char *text), GError **error)
{
  g_autoptr (XdsConfig) config = xds_config_new ();
  g_autoptr (GError) why = NULL;

  if (!read_file (self, config, warn, error))
    return NULL;
  for (guint i = 0; i < self->assignments->len; i++)
    {
      const Assignment *assignment = g_ptr_array_index (self->assignments, i);

      if (assignment->group == NULL)
        {
          g_autofree char *text
              = g_strdup_printf ("option %s has no effect here", assignment->option);

          warn (text);
        }
      else if (!apply (config, assignment, &why))
        {
          g_propagate_error (error, g_steal_pointer (&why));
          return NULL;
        }
    }
  return g_steal_pointer (&config);
}
