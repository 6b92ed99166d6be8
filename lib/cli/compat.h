/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * xds under the names of Xen's own tools: xenstore, xenstore-read, ... and xenstore-control.  What
 * scripts see (output, diagnostics, exit status) is what those tools of Xen 4.17 give.
 */

#include "xendomstore.h"

/* Is @name (the last part of argv[0]) one of them? */
gboolean xds_compat_is_name (const char *name);

/* Runs as the tool that argv[0] names; its exit status. */
int xds_compat_main (int argc, char **argv);

/* --- between compat*.c --- */

typedef struct
{
  XdsClient *client;
  XdsTransaction *txn; /* (nullable) */
  GString *output;     /* printed at the end: a transaction may have to start over */
  gboolean perms, full, tidy, upto, recurse, raw, prefix;
  int n_events; /* -1: for ever */
} XdsCompat;

/* Says "NAME: MESSAGE" on standard error. */
void xds_compat_warn (const char *format, ...) G_GNUC_PRINTF (1, 2);

/* The text of the errno that @error stands for. */
const char *xds_compat_reason (const GError *error);

/* Appends @value as the tools print it: what is not printable, escaped. */
void xds_compat_escape (GString *text, const char *value, gsize len);

gboolean xds_compat_ls (XdsCompat *compat, char **paths);
int xds_compat_control (int argc, char **argv);
