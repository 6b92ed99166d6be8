/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Exit status: 0 after a clean end; 2 when options or configuration are wrong; 70 when a process
 * died and left nothing to go on from; 1 for all else that keeps the daemon from serving.  A
 * failure is one line on standard error.
 */

#include "xsd/daemon/domains.h"
#include "xsd/daemon/follower.h"
#include "xsd/daemon/log.h"
#include "xsd/daemon/notify.h"
#include "xsd/daemon/pid1.h"
#include "xsd/daemon/process.h"
#include "xsd/daemon/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define EXIT_WRONG 2

/* The process that a C xenstored was, which has closed our standard error (option -U). */
static gboolean takes_over;

static int
complain (int status, const GError *error)
{
  if (takes_over)
    xds_resume_lament (error);
  fprintf (stderr, "xendomstored: %s%s\n", error->message,
           status == EXIT_WRONG ? "; see xendomstored --help" : "");
  return status;
}

static void
warn (const char *text)
{
  fprintf (stderr, "xendomstored: %s\n", text);
}

static XdsPidFile *
take_pid_file (const XdsConfig *config, const XdsResume *resume, GError **error)
{
  if (resume->pid_file >= 0)
    return xds_pid_file_adopt (config->pid_file, resume->pid_file);
  return xds_pid_file_new (config->pid_file, error);
}

static int
follow (const XdsOptions *options, XdsConfig *config, GError **error)
{
  g_autoptr (XdsFollower) follower = xds_follower_new (options, config, error);

  if (follower == NULL)
    return EXIT_FAILURE;
  xds_follower_run (follower);
  return EXIT_SUCCESS;
}

/* --- under a keeper --- */

static gboolean
found (void *data, int fd, XdsKeeperFind what)
{
  XdsResume *resume = data;

  g_array_append_val (what == XDS_KEEPER_LISTENER ? resume->own : resume->clients, fd);
  return TRUE;
}

/* In a process that takes the place of one that died. */
static void
inherit (XdsKeeper *keeper, XdsResume *resume, const XdsPidFile *pid_file)
{
  g_autoptr (GArray) known = g_array_copy (resume->passed);
  int parent = xds_process_ready_fd ();
  int kept[XDS_SURVIVAL_FDS];
  guint n_kept = xds_survival_fds (resume->survival, kept);

  xds_resume_forget (resume);
  g_array_append_val (known, parent);
  g_array_append_vals (known, kept, n_kept);
  if (pid_file != NULL)
    g_array_append_val (known, pid_file->fd);
  xds_keeper_sweep (keeper, (const int *) known->data, known->len, found, resume);
}

static gboolean
stays (void *data G_GNUC_UNUSED, int fd G_GNUC_UNUSED, XdsKeeperFind what G_GNUC_UNUSED)
{
  return TRUE;
}

/* In a process after one that died before it served: what both go on from stays, and what that one
   opened goes, its hold on the hypervisor above all. */
static void
take_back (XdsKeeper *keeper, const XdsResume *resume, const XdsPidFile *pid_file)
{
  g_autoptr (GArray) known = g_array_copy (resume->passed);
  const int others[] = { xds_process_ready_fd (), resume->stream, resume->pid_file,
                         resume->channels, pid_file != NULL ? pid_file->fd : -1 };

  g_array_append_vals (known, others, G_N_ELEMENTS (others));
  g_array_append_vals (known, resume->own->data, resume->own->len);
  xds_keeper_sweep (keeper, (const int *) known->data, known->len, stays, NULL);
}

/* In a process that is not the first: this memory has not seen what has happened since. */
static gboolean
catch_up (XdsKeeper *keeper, const XdsOptions *options, XdsConfig **config, XdsResume *resume,
          const XdsPidFile *pid_file, GError **error)
{
  XdsConfig *now = xds_options_load (options, warn, NULL);

  if (now != NULL)
    {
      xds_config_keep_start (now, *config);
      xds_config_free (*config);
      *config = now;
    }
  if (xds_keeper_crashed (keeper))
    {
      inherit (keeper, resume, pid_file);
      return TRUE;
    }
  if (xds_keeper_left (keeper) != NULL)
    {
      xds_resume_forget (resume);
      g_array_set_size (resume->passed, 0);
      if (!xds_resume_set (resume, xds_keeper_left (keeper), error))
        return FALSE;
    }
  take_back (keeper, resume, pid_file);
  return TRUE;
}

/* --- serving --- */

/* Nothing is freed or closed where somebody comes after us: what is open is for him. */
static int
fail (const XdsKeeper *keeper, const GError *error)
{
  gboolean hopeless = keeper != NULL && xds_keeper_crashed (keeper)
                      && g_error_matches (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
  int status = hopeless ? XDS_KEEPER_HOPELESS : EXIT_FAILURE;

  if (keeper != NULL && xds_keeper_goes_on (keeper))
    _exit (complain (status, error));
  return status;
}

/* (transfer full) @config */
static int
serve (const XdsOptions *options, XdsConfig *config, XdsResume *resume, XdsPidFile *pid_file,
       GError **error)
{
  g_autoptr (XdsService) service = xds_service_new (options, config, resume, pid_file, error);

  if (service == NULL)
    return fail (resume->keeper, *error);
  if (resume->keeper != NULL)
    xds_keeper_ready (resume->keeper);
  xds_resume_done (resume);
  xds_service_run (service);
  return EXIT_SUCCESS;
}

/* The same, by a process that we keep. */
static int
keep (const XdsOptions *options, XdsConfig *config, XdsResume *resume, XdsPidFile *pid_file,
      GError **error)
{
  gboolean patient = resume->stream >= 0 && !takes_over;
  g_autoptr (XdsSurvival) survival = xds_survival_new (error);
  g_autoptr (XdsKeeper) keeper
      = survival != NULL ? xds_keeper_new (!config->foreground, patient, error) : NULL;
  int status = EXIT_FAILURE;

  if (keeper != NULL)
    {
      xds_domains_prepare (config);
      status = xds_keeper_run (keeper);
    }
  if (status == XDS_KEEPER_WORKER)
    {
      resume->keeper = keeper;
      resume->survival = survival;
      if (xds_keeper_note (keeper)->generation == 1
          || catch_up (keeper, options, &config, resume, pid_file, error))
        return serve (options, config, resume, pid_file, error);
      status = EXIT_FAILURE;
    }
  xds_config_free (config);
  return status;
}

static void
take_passed (XdsResume *resume)
{
  guint n = xds_notify_take_fds ();

  for (int fd = XDS_NOTIFY_FIRST_FD; fd < XDS_NOTIFY_FIRST_FD + (int) n; fd++)
    g_array_append_val (resume->passed, fd);
}

/* (transfer full) @config */
static int
begin (const XdsOptions *options, XdsConfig *config, XdsResume *resume, GError **error)
{
  g_autoptr (XdsPidFile) pid_file = NULL;
  gboolean has_pid_file = config->pid_file != NULL;

  xds_process_prepare ();
  xds_process_make_run_dir (config->run_dir, config->pid_file);
  xds_process_make_run_dir (config->run_dir, config->socket);
  if (has_pid_file)
    pid_file = take_pid_file (config, resume, error);
  if (has_pid_file && pid_file == NULL)
    {
      xds_config_free (config);
      return EXIT_FAILURE;
    }
  if (config->userdata_only)
    return follow (options, config, error);
  take_passed (resume);
  if (config->keeper && getpid () != 1)
    return keep (options, config, resume, pid_file, error);
  return serve (options, config, resume, pid_file, error);
}

static int
run (char **argv)
{
  g_autoptr (XdsOptions) options = xds_options_new ();
  g_autoptr (XdsResume) resume = NULL;
  g_autoptr (GError) error = NULL;
  XdsConfig *config;
  int status;

  takes_over = g_strv_contains ((const char *const *) argv, "-U");
  if (!xds_options_parse (options, argv, &error))
    return complain (EXIT_WRONG, error);
  if (options->version)
    return puts ("xendomstored " XDS_VERSION) < 0;
  resume = xds_resume_new (options->resume, &error);
  if (resume == NULL)
    return complain (EXIT_WRONG, error);
  config = xds_options_load (options, warn, &error);
  if (config == NULL)
    return complain (EXIT_WRONG, error);
  if (options->check_config)
    {
      xds_config_free (config);
      return puts ("the configuration is right") < 0;
    }
  if (options->check_stream >= 0)
    {
      xds_config_free (config);
      return xds_resume_check (options->check_stream, &error) ? EXIT_SUCCESS
                                                              : complain (EXIT_FAILURE, error);
    }
  if (options->live_update && !xds_resume_take_over (resume, config->run_dir, &error))
    {
      xds_config_free (config);
      return complain (EXIT_FAILURE, error);
    }
  if (!config->foreground && resume->stream < 0 && !xds_process_background (&error))
    return complain (EXIT_FAILURE, error);
  status = begin (options, config, resume, &error);
  return error != NULL ? complain (status, error) : status;
}

int
main (int argc G_GNUC_UNUSED, char **argv)
{
  if (!xds_pid1_is_first ())
    return run (argv);
  argv = xds_pid1_begin ();
  run (argv);
  xds_pid1_end ();
}
