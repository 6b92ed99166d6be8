/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * xenstore-control: a command and its arguments go to the server as they are, the answer is
 * printed.  Exit status: 1 no server, 2 wrong use, 3 the server refused.
 *
 * live-update is a dialogue: the binary's name, its command line, then "-s" again and again until
 * the server, which waits for transactions to end, says OK.
 */

#include "lib/cli/compat.h"

#include <stdio.h>
#include <string.h>

enum
{
  NO_SERVER = 1,
  WRONG_USE = 2,
  REFUSED = 3,
};

static int
fail (int status, const char *text)
{
  fprintf (stderr, "%s\n", text);
  return status;
}

static char *
command (XdsClient *client, const char *const *words, GError **error)
{
  return xds_client_control (client, words, error);
}

static int
explain (XdsClient *client, const GError *error)
{
  static const char *const help[] = { "help", NULL };
  g_autofree char *answer = NULL;

  if (!g_error_matches (error, XDS_ERROR, XDS_ERROR_EINVAL))
    {
      fprintf (stderr, "Error: %s when trying to execute command.\n", xds_compat_reason (error));
      return REFUSED;
    }
  answer = command (client, help, NULL);
  fprintf (stderr, "Command not supported. Valid commands are:\n%s\n",
           answer != NULL ? answer : "");
  return REFUSED;
}

/* --- live update --- */

typedef struct
{
  char *file, *command_line, *timeout;
  gboolean force;
} Update;

static int
parse_update (char **words, Update *update)
{
  for (; *words != NULL; words++)
    if (g_str_equal (*words, "-c"))
      {
        if ((update->command_line = *++words) == NULL)
          return fail (WRONG_USE, "Missing command line value");
      }
    else if (g_str_equal (*words, "-t"))
      {
        if ((update->timeout = *++words) == NULL)
          return fail (WRONG_USE, "Missing timeout value");
      }
    else if (g_str_equal (*words, "-F"))
      update->force = TRUE;
    else
      update->file = *words;
  return update->file != NULL ? 0 : fail (WRONG_USE, "Missing binary specification");
}

/* One step of the dialogue; the server says OK, BUSY, or why not. */
static char *
step (XdsClient *client, const char *failed, const char *const *words)
{
  g_autoptr (GError) error = NULL;
  char *answer = command (client, words, &error);

  if (answer != NULL && (g_str_equal (answer, "OK") || g_str_equal (answer, "BUSY")))
    return answer;
  fprintf (stderr, "%s\n%s\n", failed,
           answer != NULL ? answer : xds_compat_reason (error));
  g_free (answer);
  return NULL;
}

static int
start_update (XdsClient *client, const Update *update)
{
  const char *timeout = update->timeout != NULL ? update->timeout : "60";
  const char *words[]
      = { "live-update", "-s", "-t", timeout, update->force ? "-F" : NULL, NULL };
  g_autofree char *answer = NULL;

  do
    {
      g_free (answer);
      answer = step (client, "Starting live update failed:", words);
    }
  while (answer != NULL && g_str_equal (answer, "BUSY"));
  if (answer == NULL)
    return REFUSED;
  printf ("%s\n", answer);
  return 0;
}

static int
live_update (XdsClient *client, char **words)
{
  static const char failed[] = "Setting update binary failed:";
  Update update = { 0 };
  int status = parse_update (words, &update);
  const char *file[] = { "live-update", "-f", update.file, NULL };
  const char *line[] = { "live-update", "-c", update.command_line, NULL };
  g_autofree char *first = NULL, *second = NULL;

  if (status != 0)
    return status;
  first = step (client, failed, file);
  if (first == NULL)
    return REFUSED;
  if (update.command_line != NULL
      && (second = step (client, "Setting update command line failed:", line)) == NULL)
    return REFUSED;
  return start_update (client, &update);
}

int
xds_compat_control (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (XdsClient) client = NULL;
  g_autofree char *answer = NULL;

  if (argc < 2)
    {
      fprintf (stderr, "Usage:\n%s <command> [<arg>...]\n", argv[0]);
      return WRONG_USE;
    }
  client = xds_client_open (&error);
  if (client == NULL)
    return fail (NO_SERVER, "Failed to contact Xenstored.");
  if (g_str_equal (argv[1], "live-update"))
    return live_update (client, argv + 2);
  answer = command (client, (const char *const *) argv + 1, &error);
  if (answer == NULL)
    return explain (client, error);
  printf ("%s\n", answer);
  return 0;
}
