/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Exit status: 0 after a clean end; 2 when options or configuration are wrong; 1 for all else
 * that keeps the daemon from serving.  A failure is one line on standard error.
 */

#include "xsd/daemon/follower.h"
#include "xsd/daemon/log.h"
#include "xsd/daemon/pid1.h"
#include "xsd/daemon/process.h"
#include "xsd/daemon/service.h"

#include <stdio.h>
#include <stdlib.h>

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

static int
serve (const XdsOptions *options, XdsConfig *config, XdsResume *resume, GError **error)
{
  g_autoptr (XdsPidFile) pid_file = NULL;
  g_autoptr (XdsService) service = NULL;
  gboolean has_pid_file = config->pid_file != NULL;

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
  service = xds_service_new (options, config, resume, pid_file, error);
  if (service == NULL)
    return EXIT_FAILURE;
  xds_resume_done (resume);
  xds_service_run (service);
  return EXIT_SUCCESS;
}

static int
run (char **argv)
{
  g_autoptr (XdsOptions) options = xds_options_new ();
  g_autoptr (XdsResume) resume = NULL;
  g_autoptr (GError) error = NULL;
  XdsConfig *config;

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
  if (serve (options, config, resume, &error) != EXIT_SUCCESS)
    return complain (EXIT_FAILURE, error);
  return EXIT_SUCCESS;
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
