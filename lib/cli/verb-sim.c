/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * xds sim: the domains of the simulated hypervisor.  create and destroy are what a hypervisor does;
 * start and stop are what a toolstack does, who also writes a domain's home and connects it to the
 * store.
 */

#include "lib/cli/out.h"
#include "lib/cli/verbs.h"
#include "xsd/hypervisor/sim-world.h"

#include <stdio.h>

static char *folder;

typedef struct
{
  XdsCli *cli;
  XdsSimWorld *world;
} Sim;

static const char *
world_folder (void)
{
  const char *from_environment = g_getenv ("XDS_SIM_WORLD");

  return folder != NULL             ? folder
         : from_environment != NULL ? from_environment
                                    : XDS_SIM_WORLD_DEFAULT;
}

/* What a call on the world returned, as an exit status and an error. */
static int
check (int res, const char *domain, GError **error)
{
  if (res >= 0)
    return XDS_EXIT_DONE;
  if (res == -ESRCH)
    g_set_error (error, XDS_ERROR, XDS_ERROR_ENOENT,
                 "There is no domain %s in the simulated world %s; \"xds sim list\" lists them.",
                 domain, world_folder ());
  else if (res == -EEXIST)
    g_set_error (error, XDS_ERROR, XDS_ERROR_EEXIST,
                 "There is a domain %s in the simulated world %s already; end it first.", domain,
                 world_folder ());
  else
    g_set_error (error, XDS_ERROR, XDS_ERROR_EIO, "Cannot change domain %s in %s: %s.", domain,
                 world_folder (), g_strerror (-res));
  return XDS_EXIT_OTHER;
}

static gboolean
parse_domid (const char *text, guint32 *ret_domid, GError **error)
{
  guint64 number;

  if (!xds_cli_number (text, XDS_SIM_LAST_DOMID, &number))
    {
      xds_cli_usage (error, "\"%s\" is no domain id; one is a number from 0 to %u.", text,
                     XDS_SIM_LAST_DOMID);
      return FALSE;
    }
  *ret_domid = number;
  return TRUE;
}

/* Of a domain that there is: its name in the store does as well. */
static gboolean
find_domid (Sim *sim, const char *text, guint32 *ret_domid, GError **error)
{
  guint64 number;
  guint domid;

  if (xds_cli_number (text, G_MAXUINT64, &number))
    return parse_domid (text, ret_domid, error);
  if (!xds_cli_domid (sim->cli, text, &domid, error))
    return FALSE;
  *ret_domid = domid;
  return TRUE;
}

/* --- list --- */

static void
uuid_text (const guint8 uuid[16], char text[37])
{
  char *at = text;

  for (int i = 0; i < 16; i++)
    at += g_snprintf (at, 4, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
}

static const char *
state_word (guint32 state)
{
  if ((state & (XDS_DOMAIN_DYING | XDS_DOMAIN_DEAD)) != 0)
    return "dying";
  if ((state & XDS_DOMAIN_SHUTDOWN) != 0)
    return "shutdown";
  return (state & XDS_DOMAIN_PAUSED) != 0 ? "paused" : "running";
}

static void
list_one (gboolean json, JsonBuilder *builder, const XdsDomainV1 *domain)
{
  char uuid[37];

  uuid_text (domain->uuid, uuid);
  if (!json)
    {
      printf ("%5u  %-8s  %s\n", domain->domid, state_word (domain->state), uuid);
      return;
    }
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "domid");
  json_builder_add_int_value (builder, domain->domid);
  json_builder_set_member_name (builder, "state");
  json_builder_add_string_value (builder, state_word (domain->state));
  json_builder_set_member_name (builder, "uuid");
  json_builder_add_string_value (builder, uuid);
  json_builder_end_object (builder);
}

static int
sim_list (Sim *sim, char **argv, GError **error)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autofree XdsDomainV1 *domains = NULL;
  gsize n = 0, room = 0;
  int res;

  /* Asked again while domains come between the calls. */
  do
    {
      room = n + 16;
      domains = g_renew (XdsDomainV1, domains, room);
      res = xds_sim_world_domains (sim->world, domains, room, &n);
    }
  while (res == 0 && n > room);
  if (res < 0)
    return check (res, "list", error);
  json_builder_begin_array (builder);
  for (gsize i = 0; i < n; i++)
    list_one (sim->cli->json, builder, &domains[i]);
  json_builder_end_array (builder);
  if (sim->cli->json)
    xds_out_json (builder);
  return XDS_EXIT_DONE;
}

/* --- what a hypervisor does --- */

static int
sim_create (Sim *sim, char **argv, GError **error)
{
  guint32 domid;

  if (!parse_domid (argv[0], &domid, error))
    return XDS_EXIT_USAGE;
  return check (xds_sim_world_create_domain (sim->world, domid, NULL), argv[0], error);
}

static int
sim_destroy (Sim *sim, char **argv, GError **error)
{
  guint32 domid;

  if (!find_domid (sim, argv[0], &domid, error))
    return XDS_EXIT_OTHER;
  return check (xds_sim_world_destroy_domain (sim->world, domid), argv[0], error);
}

static int
change_state (Sim *sim, char **argv, guint set, guint clear, guint reason, GError **error)
{
  guint32 domid;

  if (!find_domid (sim, argv[0], &domid, error))
    return XDS_EXIT_OTHER;
  return check (xds_sim_world_change_domain (sim->world, domid, set, clear, reason), argv[0],
                error);
}

static int
sim_pause (Sim *sim, char **argv, GError **error)
{
  return change_state (sim, argv, XDS_DOMAIN_PAUSED, 0, 0, error);
}

static int
sim_unpause (Sim *sim, char **argv, GError **error)
{
  return change_state (sim, argv, 0, XDS_DOMAIN_PAUSED, 0, error);
}

static int
sim_shutdown (Sim *sim, char **argv, GError **error)
{
  static const char *const reasons[]
      = { "poweroff", "reboot", "suspend", "crash", "watchdog", "soft-reset" };
  guint reason = 0;

  while (argv[1] != NULL && reason < G_N_ELEMENTS (reasons)
         && !g_str_equal (argv[1], reasons[reason]))
    reason++;
  if (reason == G_N_ELEMENTS (reasons))
    return xds_cli_usage (error,
                          "\"%s\" is no reason; poweroff, reboot, suspend, crash, watchdog and "
                          "soft-reset are.",
                          argv[1]);
  return change_state (sim, argv, XDS_DOMAIN_SHUTDOWN, 0, reason, error);
}

static int
sim_crash (Sim *sim, char **argv, GError **error)
{
  return change_state (sim, argv, XDS_DOMAIN_SHUTDOWN, 0, XDS_SHUTDOWN_CRASH, error);
}

static int
sim_resume (Sim *sim, char **argv, GError **error)
{
  return change_state (sim, argv, 0, XDS_DOMAIN_SHUTDOWN, 0, error);
}

/* --- what a toolstack does --- */

typedef struct
{
  guint domid;
  const char *name;
  char uuid[37];
} Home;

static gboolean
write_home (XdsClient *client, XdsTransaction *txn, gpointer data, GError **error)
{
  Home *home = data;
  g_autofree char *path = g_strdup_printf ("/local/domain/%u", home->domid);
  g_autofree char *name = g_strconcat (path, "/name", NULL);
  g_autofree char *vm = g_strconcat (path, "/vm", NULL);
  g_autofree char *data_path = g_strconcat (path, "/data", NULL);
  g_autofree char *vm_path = g_strconcat ("/vm/", home->uuid, NULL);
  g_autofree char *read_only = g_strdup_printf ("r%u", home->domid);
  g_autofree char *owner = g_strdup_printf ("n%u", home->domid);
  const char *of_home[] = { "n0", read_only, NULL }, *of_data[] = { owner, NULL };

  return xds_client_mkdir (client, txn, path, error)
         && xds_client_set_permissions (client, txn, path, of_home, error)
         && xds_client_write (client, txn, name, home->name, -1, error)
         && xds_client_write (client, txn, vm, vm_path, -1, error)
         && xds_client_mkdir (client, txn, data_path, error)
         && xds_client_set_permissions (client, txn, data_path, of_data, error)
         && xds_client_mkdir (client, txn, vm_path, error);
}

static int
sim_start (Sim *sim, char **argv, GError **error)
{
  XdsClient *client = xds_cli_client (sim->cli, error);
  g_autofree char *name = NULL;
  XdsDomainV1 domain;
  Home home;
  int status;

  if (client == NULL || (status = sim_create (sim, argv, error)) != XDS_EXIT_DONE)
    return XDS_EXIT_OTHER;
  if (!parse_domid (argv[0], &home.domid, error))
    return XDS_EXIT_USAGE;
  status = check (xds_sim_world_domain (sim->world, home.domid, &domain), argv[0], error);
  if (status != XDS_EXIT_DONE)
    return status;
  uuid_text (domain.uuid, home.uuid);
  name = argv[1] == NULL ? g_strdup_printf ("domain-%u", home.domid) : g_strdup (argv[1]);
  home.name = name;
  if (!xds_client_transact (client, 0, write_home, &home, error)
      || !xds_client_introduce (client, home.domid, 1, XDS_SIM_GUEST_PORT, error))
    return XDS_EXIT_OTHER;
  return XDS_EXIT_DONE;
}

static gboolean
remove_home (XdsClient *client, XdsTransaction *txn, gpointer data, GError **error)
{
  g_autofree char *path = g_strdup_printf ("/local/domain/%u", *(guint32 *) data);
  g_autofree char *vm_link = g_strconcat (path, "/vm", NULL);
  g_autofree char *vm = xds_client_read (client, txn, vm_link, NULL, NULL);
  g_autoptr (GError) own = NULL;

  if (vm != NULL && g_str_has_prefix (vm, "/vm/") && !xds_client_remove (client, txn, vm, error))
    return FALSE;
  if (xds_client_remove (client, txn, path, &own)
      || g_error_matches (own, XDS_ERROR, XDS_ERROR_ENOENT))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&own));
  return FALSE;
}

static int
sim_stop (Sim *sim, char **argv, GError **error)
{
  XdsClient *client = xds_cli_client (sim->cli, error);
  guint32 domid;

  if (client == NULL || !find_domid (sim, argv[0], &domid, error)
      || !xds_client_transact (client, 0, remove_home, &domid, error))
    return XDS_EXIT_OTHER;
  return check (xds_sim_world_destroy_domain (sim->world, domid), argv[0], error);
}

/* --- the table --- */

static const struct
{
  const char *name;
  int min, max;
  int (*func) (Sim *sim, char **argv, GError **error);
} actions[] = {
  { "list", 0, 0, sim_list },       { "create", 1, 1, sim_create },
  { "destroy", 1, 1, sim_destroy }, { "pause", 1, 1, sim_pause },
  { "unpause", 1, 1, sim_unpause }, { "shutdown", 1, 2, sim_shutdown },
  { "crash", 1, 1, sim_crash },     { "resume", 1, 1, sim_resume },
  { "start", 1, 2, sim_start },     { "stop", 1, 1, sim_stop },
};

static int
run_action (XdsCli *cli, const char *action, int argc, char **argv, GError **error)
{
  Sim sim = { cli, NULL };
  int res, status;

  for (guint i = 0; i < G_N_ELEMENTS (actions); i++)
    {
      if (!g_str_equal (action, actions[i].name))
        continue;
      if (argc < actions[i].min || argc > actions[i].max)
        return xds_cli_usage (error,
                              "\"xds sim %s\" takes %d to %d words; \"xds sim --help\" "
                              "shows which.",
                              action, actions[i].min, actions[i].max);
      res = xds_sim_world_open (world_folder (), &sim.world);
      if (res < 0)
        {
          g_set_error (error, XDS_ERROR, XDS_ERROR_CONNECT,
                       "Cannot open the simulated world %s: %s. \"xds sim init\" makes one.",
                       world_folder (), g_strerror (-res));
          return XDS_EXIT_UNREACHABLE;
        }
      status = actions[i].func (&sim, argv, error);
      xds_sim_world_free (sim.world);
      return status;
    }
  return xds_cli_usage (
      error, "There is no \"xds sim %s\"; \"xds sim --help\" shows what there is.", action);
}

static int
run (XdsCli *cli, int argc, char **argv, GError **error)
{
  const char *action = argc > 0 ? argv[0] : "list";
  int res;

  if (!g_str_equal (action, "init"))
    return run_action (cli, action, MAX (argc - 1, 0), argv + MIN (argc, 1), error);
  res = xds_sim_world_init (world_folder ());
  if (res >= 0)
    return XDS_EXIT_DONE;
  g_set_error (error, XDS_ERROR, XDS_ERROR_EIO, "Cannot make a simulated world in %s: %s.",
               world_folder (), g_strerror (-res));
  return XDS_EXIT_OTHER;
}

static const GOptionEntry options[] = {
  { "world", 'w', 0, G_OPTION_ARG_FILENAME, &folder, "The world's folder", "FOLDER" },
  { NULL, 0, 0, 0, NULL, NULL, NULL },
};

const XdsVerb xds_verb_sim = {
  .name = "sim",
  .args = "[list | init | start ID [NAME] | stop ID | create ID | destroy ID | pause ID | "
          "unpause ID | shutdown ID [REASON] | crash ID | resume ID]",
  .summary = "make and end domains of the simulated hypervisor",
  .details
  = "The world is a folder, by default XDS_SIM_WORLD or /run/xds-sim. \"create\" and "
    "\"destroy\" only make and\nend a domain; \"start\" and \"stop\" also write and remove "
    "its home in the store and connect it.\n\n"
    "  xds sim start 7 web1\n"
    "  xds sim shutdown 7 crash\n",
  .options = options,
  .run = run,
};
