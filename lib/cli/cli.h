/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the verbs of xds share: the options that all have, the connection, and how a verb looks to
 * main.c.
 */

#include <gio/gio.h>
#include <json-glib/json-glib.h>
#include <xendomstore.h>

/* Exit statuses; scripts depend on them (xds(1)). */
enum
{
  XDS_EXIT_DONE = 0,
  XDS_EXIT_NO = 1, /* absent, different, not matched */
  XDS_EXIT_USAGE = 2,
  XDS_EXIT_DENIED = 3,
  XDS_EXIT_CONFLICT = 4,
  XDS_EXIT_LIMIT = 5,
  XDS_EXIT_UNREACHABLE = 6,
  XDS_EXIT_OTHER = 7,
  XDS_EXIT_TIMED_OUT = 124,
};

typedef struct
{
  gboolean json, dry_run;
  char *domain;      /* (owned) (nullable) -D, as it was given */
  char *socket;      /* (owned) (nullable) */
  XdsClient *client; /* (owned) (nullable) once somebody needed it */
} XdsCli;

typedef struct
{
  const char *name;
  const char *args;    /* for the usage line */
  const char *summary; /* half a line */
  const char *details; /* whole sentences, and examples */
  const GOptionEntry *options; /* (nullable) */
  gboolean changes; /* takes --dry-run */
  gboolean words;   /* options end at the first word: what follows is not ours */

  /*
   * @argv has the words after the verb and its options.  Returns an exit status; one that is set
   * with @error is ignored, since main.c knows which status an error has.
   */
  int (*run) (XdsCli *cli, int argc, char **argv, GError **error);
} XdsVerb;

/* All verbs, in the order of the help; ends with one without name. */
extern const XdsVerb *const xds_verbs[];
const XdsVerb *xds_verb_find (const char *name);

/* The one that somebody who wrote @name may have meant; NULL if none is near. */
const XdsVerb *xds_verb_nearest (const char *name);

/* Says what is wrong with the words given. */
#define XDS_CLI_ERROR (xds_cli_error_quark ())
GQuark xds_cli_error_quark (void);
int xds_cli_usage (GError **error, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* The connection, made when first asked for. */
XdsClient *xds_cli_client (XdsCli *cli, GError **error);

/* A path as the store knows it: with -D below that domain's home, unless absolute. */
char *xds_cli_path (XdsCli *cli, const char *text, GError **error);
GPtrArray *xds_cli_paths (XdsCli *cli, int n, char **texts, GError **error);

/* A domain by number or name. */
gboolean xds_cli_domid (XdsCli *cli, const char *text, guint *ret_domid, GError **error);

/* (element-type: domid to name) of all domains that have a home. */
GHashTable *xds_cli_domain_names (XdsCli *cli, GError **error);

/* The bytes of a file, "-" being standard input, with a NUL behind them that is not counted. */
char *xds_cli_read_file (const char *file, gsize *ret_len, GError **error);

gboolean xds_cli_number (const char *text, guint64 max, guint64 *ret_number);

/*
 * Runs @func in a transaction.  With --dry-run shows what it does to @paths instead of doing it.
 */
typedef gboolean (*XdsCliChange) (XdsCli *cli, XdsTransaction *txn, gpointer data,
                                  GError **error);
int xds_cli_change (XdsCli *cli, GPtrArray *paths, XdsCliChange func, gpointer data,
                    GError **error);
