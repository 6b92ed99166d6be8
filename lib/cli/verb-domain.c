/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * xds domain: the domains as the store knows them, and their connection to it.
 */

#include "lib/cli/out.h"
#include "lib/cli/verbs.h"

#include <stdio.h>

static int
compare_ids (gconstpointer a, gconstpointer b)
{
  return GPOINTER_TO_INT (a) - GPOINTER_TO_INT (b);
}

typedef struct
{
  guint domid;
  const char *name, *uuid;
  gboolean introduced;
} Row;

static void
print_row (const Row *row)
{
  printf ("%5u  %-10s  %-36s  %s\n", row->domid, row->introduced ? "connected" : "-",
          row->uuid[0] != '\0' ? row->uuid : "-", row->name[0] != '\0' ? row->name : "-");
}

static void
json_row (JsonBuilder *builder, const Row *row)
{
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "domid");
  json_builder_add_int_value (builder, row->domid);
  json_builder_set_member_name (builder, "name");
  json_builder_add_string_value (builder, row->name);
  json_builder_set_member_name (builder, "uuid");
  json_builder_add_string_value (builder, row->uuid);
  json_builder_set_member_name (builder, "connected");
  json_builder_add_boolean_value (builder, row->introduced);
  json_builder_end_object (builder);
}

static int
list_domains (XdsCli *cli, GError **error)
{
  g_autoptr (GHashTable) names = xds_cli_domain_names (cli, error);
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autoptr (GList) ids = NULL;

  if (names == NULL)
    return XDS_EXIT_OTHER;
  ids = g_list_sort (g_hash_table_get_keys (names), compare_ids);
  json_builder_begin_array (builder);
  if (!cli->json)
    printf ("%5s  %-10s  %-36s  %s\n", "DOMID", "STORE", "UUID", "NAME");
  for (GList *l = ids; l != NULL; l = l->next)
    {
      guint domid = GPOINTER_TO_UINT (l->data);
      g_autofree char *path = g_strdup_printf ("/local/domain/%u/vm", domid);
      g_autofree char *vm = xds_client_read (cli->client, NULL, path, NULL, NULL);
      Row row = { domid, g_hash_table_lookup (names, l->data),
                  vm != NULL && g_str_has_prefix (vm, "/vm/") ? vm + 4 : "",
                  xds_client_is_introduced (cli->client, domid, NULL) };

      if (cli->json)
        json_row (builder, &row);
      else
        print_row (&row);
    }
  json_builder_end_array (builder);
  if (cli->json)
    xds_out_json (builder);
  return XDS_EXIT_DONE;
}

static int
introduce (XdsCli *cli, int argc, char **argv, GError **error)
{
  guint64 gfn, port;
  guint domid;

  if (argc != 3 || !xds_cli_number (argv[1], G_MAXUINT64, &gfn)
      || !xds_cli_number (argv[2], G_MAXUINT32, &port))
    return xds_cli_usage (error, "Give domain id, frame and event channel: xds domain introduce "
                                 "7 1 5");
  if (!xds_cli_domid (cli, argv[0], &domid, error))
    return XDS_EXIT_NO;
  return xds_client_introduce (cli->client, domid, gfn, port, error) ? XDS_EXIT_DONE
                                                                     : XDS_EXIT_OTHER;
}

static int
release_or_resume (XdsCli *cli, const char *action, int argc, char **argv, GError **error)
{
  guint domid;
  gboolean good;

  if (argc != 1)
    return xds_cli_usage (error, "Give one domain.");
  if (!xds_cli_domid (cli, argv[0], &domid, error))
    return XDS_EXIT_NO;
  good = g_str_equal (action, "release") ? xds_client_release (cli->client, domid, error)
                                         : xds_client_resume (cli->client, domid, error);
  return good ? XDS_EXIT_DONE : XDS_EXIT_OTHER;
}

static int
set_target (XdsCli *cli, int argc, char **argv, GError **error)
{
  guint domid, target;

  if (argc != 2)
    return xds_cli_usage (error, "Give the domain that serves and the one that it serves.");
  if (!xds_cli_domid (cli, argv[0], &domid, error) || !xds_cli_domid (cli, argv[1], &target, error))
    return XDS_EXIT_NO;
  return xds_client_set_target (cli->client, domid, target, error) ? XDS_EXIT_DONE : XDS_EXIT_OTHER;
}

static int
run (XdsCli *cli, int argc, char **argv, GError **error)
{
  const char *action = argc > 0 ? argv[0] : "list";

  if (xds_cli_client (cli, error) == NULL)
    return XDS_EXIT_UNREACHABLE;
  if (g_str_equal (action, "list"))
    return list_domains (cli, error);
  if (g_str_equal (action, "introduce"))
    return introduce (cli, argc - 1, argv + 1, error);
  if (g_str_equal (action, "release") || g_str_equal (action, "resume"))
    return release_or_resume (cli, action, argc - 1, argv + 1, error);
  if (g_str_equal (action, "target"))
    return set_target (cli, argc - 1, argv + 1, error);
  return xds_cli_usage (error,
                        "\"%s\" is nothing to do with domains: list, introduce, release, "
                        "resume or target.",
                        action);
}

const XdsVerb xds_verb_domain = {
  .name = "domain",
  .args = "[list | introduce ID FRAME PORT | release DOM | resume DOM | target DOM DOM]",
  .summary = "list domains, connect them to the store",
  .details = "Lists the domains that have a home in the store. The other actions are what a "
             "toolstack does.\n\n"
             "  xds domain\n",
  .run = run,
};
