/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The daemon as the first and only program of a domain that serves the store.
 */

#include <glib.h>

/* The system has just started with us as its first program.  In a container, or after a live
   update, somebody made the surroundings already. */
gboolean xds_pid1_is_first (void);

/* Makes the surroundings; the arguments, from the kernel's command line. (transfer full) */
char **xds_pid1_begin (void);

/* The first program of a system must not end. */
G_NORETURN void xds_pid1_end (void);
