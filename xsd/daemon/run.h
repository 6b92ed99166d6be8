/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The daemon while it runs, server or follower: signals, the watchdog, being ready, reading the
 * configuration again.  What these mean is for the one that runs.
 */

#include "xsd/daemon/options.h"

typedef struct
{
  /* The loop turns.  (transfer full) what the service manager is to say of us. */
  char *(*ready) (gpointer data);
  /* SIGHUP.  (transfer full) @config if TRUE; else it stays the caller's, and nothing changed. */
  gboolean (*reload) (gpointer data, XdsConfig *config, GError **error);
} XdsRunCalls;

/* Until SIGTERM or SIGINT.  @options is read again at SIGHUP; @print_pid is --pid-to-stdout. */
void xds_run (const XdsOptions *options, gboolean print_pid, const XdsRunCalls *calls,
              gpointer data);
