/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Lines are collected and written once a turn of the loop, as one write().  A file that cannot
 * be written (a full disk) loses lines, is told of once, and the number lost is told when
 * it can be written again: the store never waits for its log.  The line that was cut is ended then,
 * so that the next one is whole.
 *
 * Values of the paths that match `redact` are left out.  Matching is on absolute paths, also for
 * a domain's relative ones, so that one pattern covers both ways to write a path.
 */

#include "xsd/daemon/accesslog.h"

#include "xsd/transport/failure.h"
#include "xsd/wire/op-number.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Lines are written out early where one turn makes more than this. */
#define COLLECT_MAX (64 * 1024)

struct XdsAccessLog
{
  int fd;
  char *path;
  GString *lines;
  GPtrArray *redact;          /* (nullable) (element-type GPatternSpec) */
  GArray *domains;            /* (nullable) (element-type guint) */
  char **operations, **paths; /* (nullable) */
  guint64 lost; /* bytes, since it could not be written */
  gboolean is_cut;
};

/* --- life --- */

/* The words were checked when the configuration was read. */
static void
set_domains (XdsAccessLog *self, char **words)
{
  if (words == NULL)
    return;
  self->domains = g_array_new (FALSE, FALSE, sizeof (guint));
  for (; *words != NULL; words++)
    {
      guint domid = g_ascii_strtoull (*words, NULL, 10);

      g_array_append_val (self->domains, domid);
    }
}

XdsAccessLog *
xds_access_log_new (const XdsConfig *config, GError **error)
{
  g_autoptr (XdsAccessLog) self = NULL;

  if (config->access_file == NULL)
    return NULL;
  self = g_new0 (XdsAccessLog, 1);
  self->lines = g_string_new (NULL);
  self->path = g_strdup (config->access_file);
  self->operations = g_strdupv (config->access_operations);
  self->paths = g_strdupv (config->access_paths);
  self->fd = open (self->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (self->fd < 0)
    {
      xds_fail (error, errno, "cannot write the access log %s", self->path);
      xds_advise (error, "make its folder, or choose another");
      return NULL;
    }
  set_domains (self, config->access_domains);
  if (config->access_redact != NULL)
    self->redact = g_ptr_array_new_with_free_func ((GDestroyNotify) g_pattern_spec_free);
  for (guint i = 0; config->access_redact != NULL && config->access_redact[i] != NULL; i++)
    g_ptr_array_add (self->redact, g_pattern_spec_new (config->access_redact[i]));
  return g_steal_pointer (&self);
}

void
xds_access_log_free (XdsAccessLog *self)
{
  if (self == NULL)
    return;
  if (self->fd >= 0)
    {
      xds_access_log_flush (self);
      close (self->fd);
    }
  g_string_free (self->lines, TRUE);
  g_free (self->path);
  g_clear_pointer (&self->redact, g_ptr_array_unref);
  g_clear_pointer (&self->domains, g_array_unref);
  g_strfreev (self->operations);
  g_strfreev (self->paths);
  g_free (self);
}

/* What is left of @len bytes when no more can be written; errno says why. */
static gsize
write_out (int fd, const char *text, gsize len)
{
  ssize_t n = 1;

  for (; len > 0 && n > 0; text += MAX (n, 0), len -= MAX (n, 0))
    n = write (fd, text, len);
  return len;
}

void
xds_access_log_flush (XdsAccessLog *self)
{
  gsize len, left;

  if (self->lines->len == 0)
    return;
  if (self->is_cut)
    g_string_prepend_c (self->lines, '\n');
  len = self->lines->len;
  left = write_out (self->fd, self->lines->str, len);
  if (left > 0 && self->lost == 0)
    g_warning ("cannot write the access log %s: %s; what comes is lost until there is room",
               self->path, g_strerror (errno));
  if (left == 0 && self->lost > 0)
    g_message ("the access log %s can be written again; %" G_GUINT64_FORMAT " bytes were lost",
               self->path, self->lost);
  self->lost = left > 0 ? self->lost + left : 0;
  if (left < len)
    self->is_cut = left > 0 && self->lines->str[len - left - 1] != '\n';
  g_string_truncate (self->lines, 0);
}

/* --- what is logged --- */

/* The path that a payload starts with, made absolute; empty for requests that have none. */
static void
path_of (GString *path, const XdsTrace *trace)
{
  gsize len = strnlen (trace->payload, trace->payload_len);

  if (trace->type == XDS_OP_CONTROL || len == 0)
    return;
  if (*trace->payload != '/' && *trace->payload != '@')
    g_string_printf (path, "/local/domain/%u/", xds_peer_domid (trace->peer));
  g_string_append_len (path, trace->payload, len);
}

static gboolean
starts_with_one (const char *path, char **prefixes)
{
  for (; *prefixes != NULL; prefixes++)
    {
      gsize len = strlen (*prefixes);

      if (strncmp (path, *prefixes, len) == 0 && (path[len] == '\0' || path[len] == '/'))
        return TRUE;
    }
  return FALSE;
}

static gboolean
has_domain (const GArray *domains, guint domid)
{
  for (guint i = 0; i < domains->len; i++)
    if (g_array_index (domains, guint, i) == domid)
      return TRUE;
  return FALSE;
}

static const char *
name_of (const XdsTrace *trace)
{
  const char *name = xds_op_name (trace->is_event ? XDS_OP_WATCH_EVENT : trace->type);

  return name != NULL ? name : "UNKNOWN";
}

static gboolean
is_wanted (const XdsAccessLog *self, const XdsTrace *trace, const char *path)
{
  if (self->domains != NULL && !has_domain (self->domains, xds_peer_domid (trace->peer)))
    return FALSE;
  if (self->operations != NULL
      && !g_strv_contains ((const char *const *) self->operations, name_of (trace)))
    return FALSE;
  return self->paths == NULL || starts_with_one (path, self->paths);
}

static gboolean
is_redacted (const XdsAccessLog *self, const XdsTrace *trace, const GString *path)
{
  if (self->redact == NULL || trace->type != XDS_OP_WRITE || trace->is_event)
    return FALSE;
  for (guint i = 0; i < self->redact->len; i++)
    if (g_pattern_spec_match_string (g_ptr_array_index (self->redact, i), path->str))
      return TRUE;
  return FALSE;
}

/* --- lines --- */

static void
append_bytes (GString *line, const char *bytes, gsize len)
{
  for (gsize i = 0; i < len; i++)
    {
      guchar c = bytes[i];

      if (c == '\0')
        g_string_append_c (line, ' ');
      else if (c < ' ' || c >= 0x7f || c == '\\')
        g_string_append_printf (line, "\\x%02x", c);
      else
        g_string_append_c (line, c);
    }
}

static void
append_head (GString *line, const XdsTrace *trace)
{
  const XdsSocketIdentity *identity = xds_peer_identity (trace->peer);
  gint64 now = g_get_real_time ();
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_utc (now / G_USEC_PER_SEC);
  g_autofree char *stamp = g_date_time_format (time, "%Y-%m-%dT%H:%M:%S");

  g_string_append_printf (line, "%s.%06dZ ", stamp, (int) (now % G_USEC_PER_SEC));
  if (identity != NULL)
    g_string_append_printf (line, "S.%d", identity->pid);
  else
    g_string_append_printf (line, "D%u", xds_peer_domid (trace->peer));
  g_string_append_printf (line, ".%" G_GUINT64_FORMAT " %s", xds_peer_id (trace->peer),
                          name_of (trace));
  if (!trace->is_event)
    g_string_append_printf (line, " tx=%u %s", trace->tx_id, xds_status_name (trace->status));
  g_string_append_c (line, ' ');
}

void
xds_access_log_trace (XdsAccessLog *self, const XdsTrace *trace)
{
  g_autoptr (GString) path = g_string_new (NULL);
  gsize len = trace->payload_len;

  path_of (path, trace);
  if (!is_wanted (self, trace, path->str))
    return;
  append_head (self->lines, trace);
  if (is_redacted (self, trace, path))
    {
      append_bytes (self->lines, trace->payload, strnlen (trace->payload, len));
      g_string_append_printf (self->lines, " [%" G_GSIZE_FORMAT " bytes redacted]",
                              len - MIN (len, strnlen (trace->payload, len) + 1));
    }
  else
    append_bytes (self->lines, trace->payload,
                  len > 0 && trace->payload[len - 1] == '\0' ? len - 1 : len);
  g_string_append_c (self->lines, '\n');
  if (self->lines->len >= COLLECT_MAX)
    xds_access_log_flush (self);
}
