/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A program that is to go on in our place: which kind of server it is, and how it is started.
 */

#include "xsd/core/engine.h"
#include "xsd/daemon/config.h"

typedef enum
{
  XDS_PROGRAM_UNKNOWN,
  XDS_PROGRAM_OURS,
  XDS_PROGRAM_C_XENSTORED,
} XdsProgram;

/*
 * Runs @argv until it ends, at most until @deadline of g_get_monotonic_time().  @fd (-1: none) is
 * its descriptor 3; what it prints goes to @said.  TRUE if its status was 0; else @said has a
 * reason.
 */
gboolean xds_program_run (char **argv, int fd, gint64 deadline, GString *said);

/* Asks @file for its help, which no server does anything else for.  UNKNOWN: @said has a reason. */
XdsProgram xds_program_kind (const char *file, gint64 deadline, GString *said);

/* (transfer full) (nullable) Another text whenever @file was replaced, written or removed. */
char *xds_program_stamp (const char *file);

/* The version of the stream that the C xenstored at @file takes: 1 or 2. */
guint xds_program_stream_version (const char *file);

/* (transfer full) What a C xenstored is started with to be as we are; without its name and -U. */
GStrv xds_program_c_options (const XdsConfig *config, XdsEngine *engine);
