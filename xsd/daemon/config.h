/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What an operator can set: one struct, one table of keys.  The file, the options of the command
 * line and the environment all go through xds_config_set(), so they accept and refuse the same.
 */

#include <gio/gio.h>

typedef struct
{
  char *name;
  guint64 value;
} XdsQuotaSetting;

typedef struct
{
  char *run_dir; /* the default place of socket and pid file; made if it is missing */

  /* [daemon] */
  char *socket; /* (nullable) NULL: none, the socket comes by activation or not at all */
  gboolean userdata_only;  /* no server: the store at @socket is another's */
  char *pid_file;
  char *hypervisor; /* (nullable) NAME[:ARGS]; NULL: the best for this host */
  char *plugin_dir;
  char *userdata_dir;
  guint64 event_port; /* 0: of the host's own interface */
  gboolean foreground;
  gboolean keeper;
  gboolean print_pid;

  /* [store] */
  gboolean keep_orphans;
  guint64 store_domid, privileged_domid;

  /* [hooks] */
  char *hooks_folder;                   /* (nullable) */
  guint64 hooks_timeout, hooks_at_once; /* seconds; programs */

  /* [userdata] */
  guint64 last_will; /* seconds for which the dead leave their data; 0: not */

  /* [snapshot] */
  char *snapshot_file;       /* (nullable) */
  guint64 snapshot_interval; /* seconds; 0: only on demand */

  /* [quota] (element-type XdsQuotaSetting) */
  GArray *quotas;

  /* [log] */
  char *log_target; /* auto journal syslog stderr file */
  char *log_level;  /* error warning notice info debug */
  char *log_file;   /* (nullable) */

  /* [access-log] */
  char *access_file;     /* (nullable) NULL: no access log */
  char **access_domains; /* (nullable) (array zero-terminated=1) each NULL means: all */
  char **access_operations;
  char **access_paths;
  char **access_redact; /* (nullable) patterns of paths whose values are not written */
} XdsConfig;

XdsConfig *xds_config_new (void);
void xds_config_free (XdsConfig *self);

/* What is bound to the start stays as @start has it, which gets what @self had. */
void xds_config_keep_start (XdsConfig *self, XdsConfig *start);

/*
 * One value; the error says what is wrong with it, but not where it came from.
 * G_IO_ERROR_NOT_FOUND: there is no such key.
 */
gboolean xds_config_set (XdsConfig *self, const char *group, const char *key, const char *value,
                         GError **error);

/*
 * Reads @path.  An error names file and line.  Keys that are not known are told to @warn and
 * skipped, so that a newer file serves an older daemon.
 */
gboolean xds_config_read (XdsConfig *self, const char *path, void (*warn) (const char *text),
                          GError **error);

/* Whether the daemon is made anew when it dies. */
#define XDS_KEEPER_DEFAULT TRUE

#define XDS_CONFIG_DEFAULT_FILE XDS_SYSCONFDIR "/xendomstore/xendomstored.conf"

G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsConfig, xds_config_free)
