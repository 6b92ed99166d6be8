/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The watchdog is fed from inside the loop, so that it proves that the loop turns; and readiness is
 * told from there, when all that was ready at the start has had a turn.
 *
 * A configuration that is wrong changes nothing, and the manager is told READY all the same: it
 * waits for that after RELOADING.
 *
 * The same request to end may come twice, from a terminal or manager and from the keeper, so once
 * it was heard no signal is heard any more.
 */

#include "xsd/daemon/run.h"

#include "xsd/daemon/notify.h"
#include "xsd/daemon/process.h"

#include <glib-unix.h>
#include <signal.h>
#include <unistd.h>

typedef struct
{
  const XdsOptions *options;
  gboolean print_pid;
  const XdsRunCalls *calls;
  gpointer data;
  GMainLoop *loop; /* (owned) */
} Run;

static gboolean
tell_ready (gpointer data)
{
  Run *run = data;
  gboolean again = xds_process_is_again ();
  g_autofree char *status = run->calls->ready (run->data);
  g_autofree char *text = g_strdup_printf ("%sMAINPID=%d\nSTATUS=%s",
                                           again ? "" : "READY=1\n", (int) xds_process_main (),
                                           status);

  xds_notify_send (text);
  if (run->print_pid && !again)
    g_print ("%d\n", (int) xds_process_main ());
  xds_process_ready ();
  return G_SOURCE_REMOVE;
}

static void
warn (const char *text)
{
  g_warning ("%s", text);
}

static gboolean
reload (gpointer data)
{
  Run *run = data;
  g_autoptr (GError) error = NULL;
  XdsConfig *config;

  xds_notify_send ("RELOADING=1");
  config = xds_options_load (run->options, warn, &error);
  if (config == NULL || !run->calls->reload (run->data, config, &error))
    {
      g_warning ("the configuration stays as it was: %s", error->message);
      xds_config_free (config);
    }
  xds_notify_send ("READY=1");
  return G_SOURCE_CONTINUE;
}

static gboolean
stop (gpointer data)
{
  xds_notify_send ("STOPPING=1");
  g_main_loop_quit (((Run *) data)->loop);
  return G_SOURCE_CONTINUE;
}

static gboolean
pet_watchdog (gpointer data G_GNUC_UNUSED)
{
  xds_notify_send ("WATCHDOG=1");
  return G_SOURCE_CONTINUE;
}

void
xds_run (const XdsOptions *options, gboolean print_pid, const XdsRunCalls *calls, gpointer data)
{
  Run run = { options, print_pid, calls, data, g_main_loop_new (NULL, FALSE) };
  gint64 interval = xds_notify_watchdog_interval ();
  guint sources[] = {
    g_unix_signal_add (SIGTERM, stop, &run),
    g_unix_signal_add (SIGINT, stop, &run),
    g_unix_signal_add (SIGHUP, reload, &run),
    interval > 0 ? g_timeout_add (MAX (interval / 1000, 1), pet_watchdog, &run) : 0,
  };

  xds_process_release_signals ();
  g_idle_add_full (G_PRIORITY_DEFAULT, tell_ready, &run, NULL);
  g_main_loop_run (run.loop);
  xds_process_hold_signals ();
  for (guint i = 0; i < G_N_ELEMENTS (sources); i++)
    g_clear_handle_id (&sources[i], g_source_remove);
  g_main_loop_unref (run.loop);
  g_message ("stopped");
}
