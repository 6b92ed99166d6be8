/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The command line.  Options of C xenstored keep their letters and names where they mean the
 * same here.  An option is an assignment to a configuration key, kept to be made again after
 * the file is read again.
 */

#include "xsd/daemon/config.h"

typedef struct
{
  GPtrArray *assignments; /* (element-type Assignment) */
  char *config_file;      /* (nullable) as given by --config */
  char **argv;            /* (owned) as given, without these three */
  char *resume;           /* (nullable) of --resume */
  int check_stream;       /* of --check-stream; -1: not given */
  gboolean live_update;   /* -U */
  gboolean check_config;
  gboolean version;
} XdsOptions;

XdsOptions *xds_options_new (void);
void xds_options_free (XdsOptions *self);

/* @argv as main() got it.  The error is one sentence for the terminal. */
gboolean xds_options_parse (XdsOptions *self, char **argv, GError **error);

/* Defaults, then the file, then the options.  @warn is told of what has no effect. */
XdsConfig *xds_options_load (const XdsOptions *self, void (*warn) (const char *text),
                             GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsOptions, xds_options_free)
