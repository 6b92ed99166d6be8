/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * State here is global because GLib's log is.
 *
 * A line that its file has no room for goes where lines go without a file: the last thing to be
 * silent about is trouble of the disk.  There is no buffer, which would hold such a line and write
 * it later once more.
 *
 * Guests can cause notices, so the table that limits their rate is bounded, too: when it is
 * full it is emptied, which lets some through early but never grows.
 */

#include "xsd/daemon/log.h"

#include "xsd/transport/failure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#define NOTICE_INTERVAL (60 * G_USEC_PER_SEC)
#define NOTICES_MAX 4096

typedef enum
{
  TARGET_STDERR,
  TARGET_JOURNAL,
  TARGET_SYSLOG,
  TARGET_FILE,
} Target;

static struct
{
  Target target;
  Target without_file; /* where lines go that the file does not take */
  int level;           /* the least important priority of syslog's that is written */
  int file;            /* (owned) or -1 */
  gboolean installed;
} state = { .level = LOG_NOTICE, .file = -1 };

/* --- writing --- */

static int
priority_of (GLogLevelFlags level)
{
  if (level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL))
    return LOG_ERR;
  if (level & G_LOG_LEVEL_WARNING)
    return LOG_WARNING;
  if (level & G_LOG_LEVEL_MESSAGE)
    return LOG_NOTICE;
  return level & G_LOG_LEVEL_INFO ? LOG_INFO : LOG_DEBUG;
}

static const char *
message_of (const GLogField *fields, gsize n_fields)
{
  for (gsize i = 0; i < n_fields; i++)
    if (g_str_equal (fields[i].key, "MESSAGE"))
      return fields[i].value;
  return "";
}

static gboolean
write_line (int file, int priority, const char *text)
{
  static const char *const names[] = { "", "", "", "error", "warning", "notice", "info", "debug" };
  g_autoptr (GDateTime) now = g_date_time_new_now_utc ();
  g_autofree char *stamp = g_date_time_format (now, "%Y-%m-%dT%H:%M:%S");
  g_autofree char *line
      = g_strdup_printf ("%s.%06dZ %s: %s\n", stamp, g_date_time_get_microsecond (now),
                         names[priority], text);
  ssize_t len = strlen (line);

  return write (file, line, len) == len;
}

static GLogWriterOutput
writer (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data G_GNUC_UNUSED)
{
  int priority = priority_of (level);
  const char *text = message_of (fields, n_fields);
  Target target = state.target;

  if (priority > state.level)
    return G_LOG_WRITER_HANDLED;
  if (target == TARGET_FILE)
    {
      if (write_line (state.file, priority, text))
        return G_LOG_WRITER_HANDLED;
      target = state.without_file;
    }
  if (target == TARGET_JOURNAL
      && g_log_writer_journald (level, fields, n_fields, NULL) == G_LOG_WRITER_HANDLED)
    return G_LOG_WRITER_HANDLED;
  if (target == TARGET_SYSLOG)
    syslog (priority, "%s", text);
  else
    fprintf (stderr, "xendomstored: %s\n", text);
  return G_LOG_WRITER_HANDLED;
}

/* --- opening --- */

static Target
pick_by_place (const XdsConfig *config)
{
  if (g_log_writer_is_journald (STDERR_FILENO))
    return TARGET_JOURNAL;
  return config->foreground ? TARGET_STDERR : TARGET_SYSLOG;
}

static Target
pick_target (const XdsConfig *config)
{
  const char *name = config->log_target;

  if (g_str_equal (name, "journal"))
    return TARGET_JOURNAL;
  if (g_str_equal (name, "syslog"))
    return TARGET_SYSLOG;
  if (g_str_equal (name, "file"))
    return TARGET_FILE;
  if (g_str_equal (name, "stderr"))
    return TARGET_STDERR;
  return pick_by_place (config);
}

static int
pick_level (const char *name)
{
  static const struct
  {
    const char *name;
    int level;
  } levels[] = {
    { "error", LOG_ERR }, { "warning", LOG_WARNING }, { "notice", LOG_NOTICE },
    { "info", LOG_INFO }, { "debug", LOG_DEBUG },
  };

  for (guint i = 0; i < G_N_ELEMENTS (levels); i++)
    if (g_str_equal (name, levels[i].name))
      return levels[i].level;
  return LOG_NOTICE;
}

static gboolean
open_file (const char *path, int *ret_file, GError **error)
{
  int file = open (path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);

  if (file < 0)
    {
      xds_fail (error, errno, "cannot write the log %s", path);
      return xds_advise (error, "make its folder, or choose another in [log] of the configuration");
    }
  *ret_file = file;
  return TRUE;
}

gboolean
xds_log_open (const XdsConfig *config, GError **error)
{
  Target target = pick_target (config);
  int file = -1;

  if (target == TARGET_FILE && config->log_file == NULL)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                   "[log] target = file needs file = PATH beside it");
      return FALSE;
    }
  if (target == TARGET_FILE && !open_file (config->log_file, &file, error))
    return FALSE;
  if (state.file >= 0)
    close (state.file);
  state.file = file;
  state.level = pick_level (config->log_level);
  state.target = target;
  state.without_file = pick_by_place (config);
  if (target == TARGET_SYSLOG || state.without_file == TARGET_SYSLOG)
    openlog ("xendomstored", LOG_PID, LOG_DAEMON);
  if (!state.installed)
    g_log_set_writer_func (writer, NULL, NULL);
  state.installed = TRUE;
  return TRUE;
}

void
xds_log_plugin (void *data, int priority, const char *text)
{
  GLogLevelFlags level = priority <= LOG_ERR       ? G_LOG_LEVEL_CRITICAL
                         : priority == LOG_WARNING ? G_LOG_LEVEL_WARNING
                         : priority == LOG_NOTICE  ? G_LOG_LEVEL_MESSAGE
                         : priority == LOG_INFO    ? G_LOG_LEVEL_INFO
                                                   : G_LOG_LEVEL_DEBUG;

  g_log_structured (G_LOG_DOMAIN, level, "XDS_PLUGIN", (const char *) data, "MESSAGE",
                    "plugin %s: %s", (const char *) data, text);
}

/* --- notices --- */

typedef struct
{
  gint64 told;
  guint left_out;
} Rate;

/* TRUE if it is to be told now; *@ret_left_out of the same were not. */
static gboolean
rate_allows (const XdsNotice *notice, guint *ret_left_out)
{
  static GHashTable *rates;
  g_autofree char *key = NULL;
  gint64 now = g_get_monotonic_time ();
  Rate *rate;

  if (rates == NULL)
    rates = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  if (g_hash_table_size (rates) >= NOTICES_MAX)
    g_hash_table_remove_all (rates);
  key = g_strdup_printf ("%u %d %s", notice->domid, notice->kind, notice->what);
  rate = g_hash_table_lookup (rates, key);
  if (rate != NULL && now - rate->told < NOTICE_INTERVAL)
    {
      rate->left_out++;
      return FALSE;
    }
  if (rate == NULL)
    {
      rate = g_new0 (Rate, 1);
      g_hash_table_insert (rates, g_steal_pointer (&key), rate);
    }
  *ret_left_out = rate->left_out;
  *rate = (Rate){ now, 0 };
  return TRUE;
}

static char *
describe_protocol (const XdsNotice *notice)
{
  const XdsSocketIdentity *identity
      = notice->peer != NULL ? xds_peer_identity (notice->peer) : NULL;

  if (identity != NULL)
    return g_strdup_printf ("the client with process id %d broke the protocol (%s); its "
                            "connection is closed",
                            identity->pid, notice->what);
  return g_strdup_printf ("domain %u broke the protocol (%s); it is not served until it asks for "
                          "a fresh start",
                          notice->domid, notice->what);
}

static char *
describe_quota (const XdsNotice *notice)
{
  return g_strdup_printf ("domain %u met its quota \"%s\": %" G_GUINT64_FORMAT
                          " of %" G_GUINT64_FORMAT ", %s%s%s failed; see `xds quota -D %u`",
                          notice->domid, notice->what, notice->used, notice->allowed,
                          notice->op != NULL ? notice->op : "a request",
                          notice->path != NULL ? " of " : "",
                          notice->path != NULL ? notice->path : "", notice->domid);
}

static char *
describe (const XdsNotice *notice)
{
  switch (notice->kind)
    {
    case XDS_NOTICE_QUOTA:
      return describe_quota (notice);
    case XDS_NOTICE_QUOTA_SOFT:
      return g_strdup_printf ("domain %u is near its quota \"%s\": %" G_GUINT64_FORMAT
                              " of %" G_GUINT64_FORMAT,
                              notice->domid, notice->what, notice->used, notice->allowed);
    case XDS_NOTICE_EVENTS_LOST:
      return g_strdup_printf (
          "domain %u does not read its events: %" G_GUINT64_FORMAT " lost so far, the last of %s",
          notice->domid, notice->used, notice->path != NULL ? notice->path : notice->what);
    case XDS_NOTICE_PROTOCOL:
      return describe_protocol (notice);
    case XDS_NOTICE_SNAPSHOT:
      return g_strdup_printf ("a transaction of domain %u will fail: it keeps %" G_GUINT64_FORMAT
                              " bytes of old state, %" G_GUINT64_FORMAT " are allowed",
                              notice->domid, notice->used, notice->allowed);
    case XDS_NOTICE_REFUSED:
      return g_strdup_printf ("a request of domain %u brought the server down; it was answered EIO "
                              "instead of run again: %s \"%s\"; please report it",
                              notice->domid, notice->op != NULL ? notice->op : "unknown",
                              notice->what);
    }
  g_assert_not_reached ();
}

void
xds_log_notice (const XdsNotice *notice)
{
  gboolean mild = notice->kind == XDS_NOTICE_QUOTA_SOFT || notice->kind == XDS_NOTICE_SNAPSHOT;
  g_autofree char *text = NULL, *domid = NULL, *peer = NULL, *more = NULL;
  guint left_out;

  if (!rate_allows (notice, &left_out))
    return;
  text = describe (notice);
  more = left_out > 0 ? g_strdup_printf (" (%u times more since)", left_out) : g_strdup ("");
  domid = g_strdup_printf ("%u", notice->domid);
  peer = g_strdup_printf ("%" G_GUINT64_FORMAT,
                          notice->peer != NULL ? xds_peer_id (notice->peer) : 0);
  g_log_structured (G_LOG_DOMAIN, mild ? G_LOG_LEVEL_MESSAGE : G_LOG_LEVEL_WARNING, "XDS_DOMID",
                    domid, "XDS_PEER", peer, "XDS_PATH", notice->path != NULL ? notice->path : "",
                    "XDS_OP", notice->op != NULL ? notice->op : "", "XDS_QUOTA",
                    notice->what != NULL ? notice->what : "", "MESSAGE", "%s%s", text, more);
}
