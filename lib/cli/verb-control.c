/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * xds control, quota: the server itself.
 */

#include "lib/cli/out.h"
#include "lib/cli/verbs.h"

#include <stdio.h>

static int
print_answer (XdsCli *cli, const char *answer)
{
  g_autoptr (JsonBuilder) builder = NULL;

  if (!cli->json)
    {
      fputs (answer, stdout);
      if (answer[0] != '\0' && answer[strlen (answer) - 1] != '\n')
        putchar ('\n');
      return XDS_EXIT_DONE;
    }
  builder = json_builder_new ();
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "answer");
  json_builder_add_string_value (builder, answer);
  json_builder_end_object (builder);
  xds_out_json (builder);
  return XDS_EXIT_DONE;
}

static int
run_control (XdsCli *cli, int argc, char **argv, GError **error)
{
  XdsClient *client = xds_cli_client (cli, error);
  g_autofree char *answer = NULL;

  if (client == NULL)
    return XDS_EXIT_UNREACHABLE;
  if (argc == 0)
    return xds_cli_usage (error, "Give a command; \"xds control help\" lists them.");
  answer = xds_client_control (client, (const char *const *) argv, error);
  return answer != NULL ? print_answer (cli, answer) : XDS_EXIT_OTHER;
}

const XdsVerb xds_verb_control = {
  .name = "control",
  .args = "COMMAND [WORD]...",
  .summary = "run a command in the server",
  .details = "Which there are, the server tells.\n\n"
             "  xds control help\n"
             "  xds control check\n"
             "  xds control live-update -c '--entry-nb 2000' /usr/sbin/xendomstored\n\n"
             "The words behind COMMAND are the command's, dashes or not; options go before it.\n",
  .words = TRUE,
  .run = run_control,
};

/* --- quota --- */

static int
set_quota (XdsCli *cli, int domid, int argc, char **argv, GError **error)
{
  guint64 value;

  if (argc != 2 || !xds_cli_number (argv[1], G_MAXUINT64, &value))
    return xds_cli_usage (error, "Give a quota's name and its limit, 0 for none: xds quota set "
                                 "nodes 2000");
  return xds_client_set_quota (cli->client, domid, argv[0], value, error) ? XDS_EXIT_DONE
                                                                          : XDS_EXIT_OTHER;
}

static int
print_quotas (XdsCli *cli, int domid, char **names, GError **error)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();

  json_builder_begin_array (builder);
  for (gsize i = 0; names[i] != NULL; i++)
    {
      guint64 value;

      if (!xds_client_get_quota (cli->client, domid, names[i], &value, error))
        return XDS_EXIT_OTHER;
      if (!cli->json && value == 0)
        printf ("%-18s unlimited\n", names[i]);
      else if (!cli->json)
        printf ("%-18s %" G_GUINT64_FORMAT "\n", names[i], value);
      json_builder_begin_object (builder);
      json_builder_set_member_name (builder, "quota");
      json_builder_add_string_value (builder, names[i]);
      json_builder_set_member_name (builder, "limit");
      json_builder_add_int_value (builder, value);
      json_builder_end_object (builder);
    }
  json_builder_end_array (builder);
  if (cli->json)
    xds_out_json (builder);
  return XDS_EXIT_DONE;
}

/* Servers older than Xen 4.22 only have a text for people. */
static int
print_text_quotas (XdsCli *cli, int domid, GError **error)
{
  g_autofree char *number = domid >= 0 ? g_strdup_printf ("%d", domid) : NULL;
  const char *words[] = { "quota", number, NULL };
  g_autofree char *answer = xds_client_control (cli->client, words, error);

  return answer != NULL ? print_answer (cli, answer) : XDS_EXIT_OTHER;
}

static int
run_quota (XdsCli *cli, int argc, char **argv, GError **error)
{
  g_autoptr (GError) own = NULL;
  g_auto (GStrv) names = NULL;
  int domid = XDS_GLOBAL;
  guint number;

  if (xds_cli_client (cli, error) == NULL)
    return XDS_EXIT_UNREACHABLE;
  if (cli->domain != NULL)
    {
      if (!xds_cli_domid (cli, cli->domain, &number, error))
        return XDS_EXIT_NO;
      domid = number;
    }
  if (argc > 0 && g_str_equal (argv[0], "set"))
    return set_quota (cli, domid, argc - 1, argv + 1, error);
  if (argc > 0)
    return print_quotas (cli, domid, argv, error);
  names = xds_client_list_quotas (cli->client, &own);
  if (names != NULL)
    return print_quotas (cli, domid, names, error);
  if (g_error_matches (own, XDS_ERROR, XDS_ERROR_ENOSYS))
    return print_text_quotas (cli, domid, error);
  g_propagate_error (error, g_steal_pointer (&own));
  return XDS_EXIT_OTHER;
}

const XdsVerb xds_verb_quota = {
  .name = "quota",
  .args = "[NAME... | set NAME LIMIT]",
  .summary = "show and set limits",
  .details = "Without -D the limits of every domain that has none of its own.\n\n"
             "  xds quota\n"
             "  xds quota -D web1 set nodes 5000\n",
  .run = run_quota,
};
