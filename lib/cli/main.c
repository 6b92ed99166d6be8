/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * xds: the store and the data of domains, for people and scripts.
 *
 * Each verb is one file with one XdsVerb; verbs.c lists them.
 */

#include "config.h"

#include "lib/cli/cli.h"
#include "lib/cli/compat.h"
#include "lib/cli/out.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int
status_of (const GError *error)
{
  if (error->domain == XDS_CLI_ERROR || error->domain == G_OPTION_ERROR)
    return XDS_EXIT_USAGE;
  if (error->domain != XDS_ERROR)
    return XDS_EXIT_OTHER;
  switch ((XdsError) error->code)
    {
    case XDS_ERROR_ENOENT:
    case XDS_ERROR_EEXIST:
    case XDS_ERROR_NO_DOMAIN:
    case XDS_ERROR_ABSENT:
    case XDS_ERROR_EMPTY:
      return XDS_EXIT_NO;
    case XDS_ERROR_USAGE:
    case XDS_ERROR_BAD_NAME:
      return XDS_EXIT_USAGE;
    case XDS_ERROR_EACCES:
    case XDS_ERROR_EPERM:
    case XDS_ERROR_FOREIGN:
    case XDS_ERROR_DENIED:
      return XDS_EXIT_DENIED;
    case XDS_ERROR_EAGAIN:
    case XDS_ERROR_CHANGED:
      return XDS_EXIT_CONFLICT;
    case XDS_ERROR_ENOSPC:
    case XDS_ERROR_ENOMEM:
    case XDS_ERROR_E2BIG:
    case XDS_ERROR_TOO_LARGE:
    case XDS_ERROR_TOO_MANY:
    case XDS_ERROR_DOMAIN_FULL:
    case XDS_ERROR_DISK_FULL:
      return XDS_EXIT_LIMIT;
    case XDS_ERROR_CONNECT:
    case XDS_ERROR_CLOSED:
      return XDS_EXIT_UNREACHABLE;
    case XDS_ERROR_TIMED_OUT:
    case XDS_ERROR_BUSY:
      return XDS_EXIT_TIMED_OUT;
    default:
      return XDS_EXIT_OTHER;
    }
}

static void
print_help (FILE *to)
{
  fputs ("Usage: xds VERB [OPTION...] [WORD...]\n\nVerbs:\n", to);
  for (guint i = 0; xds_verbs[i] != NULL; i++)
    fprintf (to, "  %-10s %s\n", xds_verbs[i]->name, xds_verbs[i]->summary);
  fputs ("\nOptions of every verb:\n"
         "  -D, --domain NAME|ID  paths are below the home of this domain\n"
         "  -j, --json            print JSON, errors too\n"
         "  -s, --socket PATH     the server's socket, or the kernel's device\n"
         "  -N, --dry-run         where something would change: show what, and leave it\n"
         "  -h, --help            tell more; before a verb: this list\n"
         "      --version         before a verb: tell which version this is\n"
         "\n\"xds VERB --help\" tells more, xds(1) everything.\n",
         to);
}

/* Options may come before the verb too; those with a value are known here. */
static int
find_verb (int argc, char **argv)
{
  for (int i = 1; i < argc; i++)
    {
      if (argv[i][0] != '-')
        return i;
      if (g_str_equal (argv[i], "-D") || g_str_equal (argv[i], "-s")
          || g_str_equal (argv[i], "--domain") || g_str_equal (argv[i], "--socket"))
        i++;
    }
  return argc;
}

/* GLib says what is wrong with an option; this adds what to do. */
static void
say_where_options_are (const XdsVerb *verb, GError **error)
{
  g_autofree char *wrong = NULL;

  if (error == NULL || *error == NULL)
    return;
  wrong = g_steal_pointer (&(*error)->message);
  (*error)->message
      = g_strdup_printf ("%s; \"xds %s --help\" tells the options.", wrong, verb->name);
}

static gboolean
parse_options (XdsCli *cli, const XdsVerb *verb, int *argc, char ***argv, GError **error)
{
  const GOptionEntry common[] = {
    { "domain", 'D', 0, G_OPTION_ARG_STRING, &cli->domain, "Paths are below this domain's home",
      "NAME|ID" },
    { "json", 'j', 0, G_OPTION_ARG_NONE, &cli->json, "Print JSON", NULL },
    { "socket", 's', 0, G_OPTION_ARG_FILENAME, &cli->socket, "The server's socket", "PATH" },
    { "dry-run", 'N', 0, G_OPTION_ARG_NONE, &cli->dry_run, "Show changes, leave them", NULL },
    { NULL, 0, 0, 0, NULL, NULL, NULL },
  };
  g_autofree char *parameters = g_strconcat (verb->args, " - ", verb->summary, NULL);
  g_autoptr (GOptionContext) context = g_option_context_new (parameters);

  g_option_context_set_description (context, verb->details);
  g_option_context_add_main_entries (context, common, NULL);
  g_option_context_set_strict_posix (context, verb->words);
  if (verb->options != NULL)
    g_option_context_add_main_entries (context, verb->options, NULL);
  if (g_option_context_parse (context, argc, argv, error))
    return TRUE;
  say_where_options_are (verb, error);
  return FALSE;
}

/* "--" has done its work when the options are parsed. */
static void
drop_separator (int *argc, char **argv)
{
  for (int i = 1; i < *argc; i++)
    if (g_str_equal (argv[i], "--"))
      {
        for (int j = i; j < *argc; j++)
          argv[j] = argv[j + 1];
        (*argc)--;
        return;
      }
}

static int
run_verb (XdsCli *cli, const XdsVerb *verb, int argc, char **argv, GError **error)
{
  int status;

  if (!parse_options (cli, verb, &argc, &argv, error))
    return XDS_EXIT_USAGE;
  drop_separator (&argc, argv);
  if (cli->dry_run && !verb->changes)
    return xds_cli_usage (error, "\"xds %s\" has no dry run; verbs that change nodes have.",
                          verb->name);
  status = verb->run (cli, argc - 1, argv + 1, error);
  return *error != NULL || xds_out_finish (error) ? status : XDS_EXIT_OTHER;
}

static int
unknown_verb (const char *name, GError **error)
{
  const XdsVerb *nearest = xds_verb_nearest (name);

  if (nearest != NULL)
    return xds_cli_usage (error, "There is no verb \"%s\"; is it \"%s\"? \"xds help\" lists them.",
                          name, nearest->name);
  return xds_cli_usage (error, "There is no verb \"%s\"; \"xds help\" lists them.", name);
}

static int
help (const char *about, GError **error)
{
  const XdsVerb *verb = about != NULL ? xds_verb_find (about) : NULL;
  g_autofree char *name = g_strdup_printf ("xds %s", verb != NULL ? verb->name : "");
  char *words[] = { name, (char *) "--help", NULL };
  char **rest = words;
  XdsCli cli = { 0 };
  int n = 2;

  if (about != NULL && verb == NULL)
    return unknown_verb (about, error);
  if (verb != NULL)
    {
      /* Prints, and ends the program. */
      g_set_prgname (name);
      parse_options (&cli, verb, &n, &rest, NULL);
    }
  print_help (stdout);
  return xds_out_finish (error) ? XDS_EXIT_DONE : XDS_EXIT_OTHER;
}

/* "--help" and "--version", where a verb would be. */
static int
without_verb (int argc, char **argv, GError **error)
{
  for (int i = 1; i < argc; i++)
    if (g_str_equal (argv[i], "-h") || g_str_equal (argv[i], "--help"))
      return help (NULL, error);
    else if (g_str_equal (argv[i], "--version"))
      {
        puts ("xds " PACKAGE_VERSION);
        return xds_out_finish (error) ? XDS_EXIT_DONE : XDS_EXIT_OTHER;
      }
  if (argc > 1)
    return xds_cli_usage (error, "Give a verb; \"xds help\" lists them.");
  print_help (stderr);
  return XDS_EXIT_USAGE;
}

static int
run (XdsCli *cli, int argc, char **argv, GError **error)
{
  g_autofree char *name = NULL;
  int at = find_verb (argc, argv);
  const XdsVerb *verb;

  if (at >= argc)
    return without_verb (argc, argv, error);
  if (g_str_equal (argv[at], "help"))
    return help (at + 1 < argc ? argv[at + 1] : NULL, error);
  verb = xds_verb_find (argv[at]);
  if (verb == NULL)
    return unknown_verb (argv[at], error);
  /* The verb takes the program's place, so that what is before it are options like the others. */
  for (int i = at; i > 0; i--)
    argv[i] = argv[i - 1];
  name = g_strdup_printf ("xds %s", verb->name);
  g_set_prgname (name);
  return run_verb (cli, verb, argc - 1, argv + 1, error);
}

/*
 * Without this a connection would get the number of a standard stream that the caller closed, and
 * what is printed would go to the server.  They are opened the wrong way round, so that whoever
 * uses one is told that it cannot be.
 */
static void
keep_standard_streams (void)
{
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (fcntl (fd, F_GETFD) < 0
        && open ("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
      _exit (XDS_EXIT_OTHER);
}

/* An error is to be JSON wherever -j stands, also if it is about the words before it. */
static gboolean
asks_for_json (int argc, char **argv)
{
  for (int i = 1; i < argc && !g_str_equal (argv[i], "--"); i++)
    if (g_str_equal (argv[i], "-j") || g_str_equal (argv[i], "--json"))
      return TRUE;
  return FALSE;
}

static int
run_and_tell (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  gboolean json = asks_for_json (argc, argv);
  XdsCli cli = { 0 };
  int status = run (&cli, argc, argv, &error);

  if (error != NULL)
    {
      status = status_of (error);
      xds_out_error (error, status, json || cli.json);
    }
  g_clear_object (&cli.client);
  g_free (cli.domain);
  g_free (cli.socket);
  return status;
}

int
main (int argc, char **argv)
{
  g_autofree char *name = g_path_get_basename (argv[0]);

  keep_standard_streams ();
  setlocale (LC_ALL, "");
  return xds_compat_is_name (name) ? xds_compat_main (argc, argv) : run_and_tell (argc, argv);
}
