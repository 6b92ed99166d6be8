/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Changes of userdata, whoever makes them: the folder's own events, so that no server is needed.
 *
 * They come by one signal, which a GLib main loop emits by itself and another loop, or none, by
 * xds_userdata_dispatch().  The road not taken is the server's events on "@userdata": they are for
 * whoever may not see the folder.
 */

#include "lib/userdata.h"

#include <glib-unix.h>

enum
{
  SIGNAL_CHANGED,
  N_SIGNALS
};

static guint signals[N_SIGNALS];

void
xds_userdata_watch_init_class (XdsUserdataClass *class)
{
  /**
   * XdsUserdata::changed:
   * @userdata: the userdata
   * @domid: the domain
   * @userid: (nullable): what was stored or removed; %NULL if anything may have changed
   *
   * Somebody stored or removed something, libxl included. Emitted after xds_userdata_watch().
   */
  signals[SIGNAL_CHANGED]
      = g_signal_new ("changed", G_TYPE_FROM_CLASS (class), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                      G_TYPE_NONE, 2, G_TYPE_UINT, G_TYPE_STRING);
}

void
xds_userdata_watch_clear (XdsUserdata *userdata)
{
  if (userdata->source != NULL)
    g_source_destroy (userdata->source);
  g_clear_pointer (&userdata->source, g_source_unref);
  g_clear_pointer (&userdata->monitor, xds_monitor_free);
}

static void
on_event (XdsMonitorEvent event, const char *file, gpointer data)
{
  XdsUserdata *userdata = data;
  XdsUserdataName name;

  if (event == XDS_MONITOR_CREATED)
    return;
  if (event == XDS_MONITOR_LOST)
    g_signal_emit (userdata, signals[SIGNAL_CHANGED], 0, 0, NULL);
  else if (xds_userdata_name_parse (file, &name) && name.letter == 'd')
    g_signal_emit (userdata, signals[SIGNAL_CHANGED], 0, name.domid, name.userid);
}

static gboolean
on_readable (int fd, GIOCondition condition, gpointer data)
{
  xds_userdata_dispatch (data);
  return G_SOURCE_CONTINUE;
}

/**
 * xds_userdata_watch:
 * @userdata: the userdata
 * @error: return location for an error
 *
 * Begins to emit #XdsUserdata::changed, in the thread's default main context; without a GLib main
 * loop see xds_userdata_get_fd(). This watches the files themselves, so it needs no server.
 *
 * Errors: %XDS_ERROR_NO_FOLDER, %XDS_ERROR_DENIED, %XDS_ERROR_FAILED.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_userdata_watch (XdsUserdata *userdata, GError **error)
{
  g_autoptr (GMainContext) context = g_main_context_ref_thread_default ();

  g_return_val_if_fail (XDS_IS_USERDATA (userdata), FALSE);

  if (userdata->monitor != NULL)
    return TRUE;
  userdata->monitor = xds_monitor_new (xds_userdata_store_get_folder (userdata->store), error);
  xds_userdata_own_error (error);
  if (userdata->monitor == NULL)
    return FALSE;
  userdata->source = g_unix_fd_source_new (xds_monitor_fd (userdata->monitor), G_IO_IN);
  g_source_set_callback (userdata->source, (GSourceFunc) (void (*) (void)) on_readable, userdata,
                         NULL);
  g_source_set_static_name (userdata->source, "xendomstore userdata");
  g_source_attach (userdata->source, context);
  return TRUE;
}

/**
 * xds_userdata_get_fd:
 * @userdata: the userdata
 *
 * For a main loop that is not GLib's: the descriptor to poll for xds_userdata_get_events().
 *
 * Returns: the descriptor, -1 before xds_userdata_watch()
 */
int
xds_userdata_get_fd (XdsUserdata *userdata)
{
  g_return_val_if_fail (XDS_IS_USERDATA (userdata), -1);

  return userdata->monitor != NULL ? xds_monitor_fd (userdata->monitor) : -1;
}

/**
 * xds_userdata_get_events:
 * @userdata: the userdata
 *
 * Tells what to poll the descriptor for.
 *
 * Returns: %G_IO_IN, nothing before xds_userdata_watch()
 */
GIOCondition
xds_userdata_get_events (XdsUserdata *userdata)
{
  g_return_val_if_fail (XDS_IS_USERDATA (userdata), 0);

  return userdata->monitor != NULL ? G_IO_IN : 0;
}

/**
 * xds_userdata_dispatch:
 * @userdata: the userdata
 *
 * Emits #XdsUserdata::changed for what happened so far. Never waits. With a GLib main loop this
 * happens by itself.
 *
 * Returns: %TRUE if that was all; %FALSE if there is more, and the descriptor still readable
 */
gboolean
xds_userdata_dispatch (XdsUserdata *userdata)
{
  g_autoptr (XdsUserdata) keep = NULL;

  g_return_val_if_fail (XDS_IS_USERDATA (userdata), TRUE);

  if (userdata->monitor == NULL)
    return TRUE;
  keep = g_object_ref (userdata);
  return xds_monitor_dispatch (userdata->monitor, on_event, userdata);
}
