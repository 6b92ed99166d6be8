/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What the engine asks of the world.
 *
 * The two callbacks that run for each request or event, peer_ready and trace, touch no source of
 * the main context.  All others are rare and may: each says so to the loop (see loop.c).
 */

#include "xsd/daemon/log.h"
#include "xsd/daemon/service-private.h"

/* --- peers --- */

static void
peer_ready (void *data, XdsPeer *peer)
{
  xds_link_ready (((XdsService *) data)->loop, xds_peer_get_data (peer));
}

static void
peer_failed (void *data, XdsPeer *peer, guint ring_error)
{
  xds_link_failed (((XdsService *) data)->loop, xds_peer_get_data (peer), ring_error);
}

/* --- domains --- */

static gboolean
domain_state (void *data, guint domid, XdsDomainState *ret_state)
{
  return xds_domains_state (((XdsService *) data)->domains, domid, ret_state);
}

static XdsStatus
domain_connect (void *data, XdsPeer *peer, guint domid, guint64 gfn G_GNUC_UNUSED, guint port)
{
  XdsService *self = data;

  xds_loop_disturb (self->loop);
  return xds_ring_server_connect (self->rings, peer, domid, port);
}

static XdsStatus
domain_reconnect (void *data, XdsPeer *peer, guint domid G_GNUC_UNUSED, guint port)
{
  XdsService *self = data;

  xds_loop_disturb (self->loop);
  return xds_ring_server_reconnect (self->rings, peer, port);
}

static void
domain_disconnect (void *data, XdsPeer *peer, guint domid G_GNUC_UNUSED)
{
  XdsService *self = data;

  xds_loop_disturb (self->loop);
  xds_ring_server_disconnect (self->rings, peer);
}

static void
domain_introduced (void *data, guint domid)
{
  XdsService *self = data;
  XdsBlobs *blobs = xds_service_blobs (self);

  xds_loop_disturb (self->loop);
  if (blobs != NULL)
    xds_blobs_introduced (blobs, domid);
  xds_hooks_introduced (self->hooks, domid);
  g_info ("domain %u is introduced", domid);
}

static void
domain_released (void *data, guint domid)
{
  xds_loop_disturb (((XdsService *) data)->loop);
  g_info ("domain %u is gone", domid);
}

/* --- logging --- */

static void
print (void *data, const char *text)
{
  xds_loop_disturb (((XdsService *) data)->loop);
  g_message ("%s", text);
}

static void
notice (void *data, const XdsNotice *notice)
{
  xds_loop_disturb (((XdsService *) data)->loop);
  xds_log_notice (notice);
}

static void
trace (void *data, const XdsTrace *trace)
{
  XdsService *self = data;

  if (self->access_log != NULL)
    xds_access_log_trace (self->access_log, trace);
}

void
xds_service_set_access_log (XdsService *self, XdsAccessLog *log)
{
  xds_access_log_free (self->access_log);
  self->access_log = log;
  self->host.trace = log != NULL ? trace : NULL;
}

/* --- CONTROL --- */

static XdsStatus
open_access_log (XdsService *self, const char *path, GString *answer)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *before = g_steal_pointer (&self->config->access_file);
  XdsAccessLog *log = NULL;

  self->config->access_file = g_strdup (path);
  log = xds_access_log_new (self->config, &error);
  if (error != NULL)
    {
      g_free (self->config->access_file);
      self->config->access_file = g_steal_pointer (&before);
      g_warning ("CONTROL logfile: %s", error->message);
      return XDS_EINVAL;
    }
  xds_service_set_access_log (self, log);
  g_string_append (answer, "OK");
  return XDS_OK;
}

/* Of C xenstored, "+io" and so on: they choose what goes into its trace. */
static gboolean
is_switch (const char *word)
{
  static const char *const switches[] = { "obj", "io", "wrl", "acc", "tdb", NULL };

  return (*word == '+' || *word == '-') && g_strv_contains (switches, word + 1);
}

/* "on" and "off"; switches are taken, but [access-log] says what is logged. */
static XdsStatus
control_log (XdsService *self, const char *const *args, GString *answer)
{
  gboolean on = args[0] != NULL && g_str_equal (args[0], "on");
  gboolean off = args[0] != NULL && g_str_equal (args[0], "off");

  if (args[0] == NULL || args[1] != NULL || !(on || off || is_switch (args[0])))
    return XDS_EINVAL;
  if (on && self->config->access_file == NULL)
    {
      g_string_append (answer, "no file for it is set: say logfile /PATH, or set one in "
                               "[access-log]");
      return XDS_OK;
    }
  if (on)
    return open_access_log (self, self->config->access_file, answer);
  if (off)
    xds_service_set_access_log (self, NULL);
  g_string_append (answer, "OK");
  return XDS_OK;
}

static XdsStatus
control_logfile (XdsService *self, const char *const *args, GString *answer)
{
  if (args[0] == NULL || args[1] != NULL || args[0][0] != '/')
    return XDS_EINVAL;
  return open_access_log (self, args[0], answer);
}

/* The engine made the report; here it becomes a file. */
static XdsStatus
control_memreport (XdsService *self G_GNUC_UNUSED, const char *const *args, GString *answer)
{
  g_autoptr (GError) error = NULL;

  if (args[0] == NULL || args[1] == NULL || args[0][0] != '/')
    return XDS_EINVAL;
  if (!g_file_set_contents_full (args[0], args[1], -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600,
                                 &error))
    {
      g_warning ("CONTROL memreport: %s", error->message);
      return XDS_EINVAL;
    }
  g_string_append (answer, "OK");
  return XDS_OK;
}

/* Nobody else remembers: a release tells no reason, and then the hypervisor has forgotten. */
static XdsStatus
control_reason (XdsService *self, const char *const *args, GString *answer)
{
  guint64 domid;
  const char *reason;

  if (args[0] == NULL || args[1] != NULL
      || !g_ascii_string_to_unsigned (args[0], 10, 0, G_MAXUINT16, &domid, NULL))
    return XDS_EINVAL;
  reason = xds_hooks_reason (self->hooks, domid);
  if (reason == NULL)
    return XDS_ENOENT;
  g_string_append (answer, reason);
  return XDS_OK;
}

static XdsStatus
control_deaths (XdsService *self, const char *const *args, GString *answer)
{
  g_autofree char *text = NULL;

  if (args[0] != NULL)
    return XDS_EINVAL;
  if (self->keeper != NULL)
    text = xds_keeper_describe (self->keeper);
  g_string_append (answer, text != NULL ? text : "nobody counts them: there is no keeper");
  return XDS_OK;
}

static XdsStatus
control (void *data, XdsPeer *peer, const char *const *args, GString *answer)
{
  static const struct
  {
    const char *name;
    XdsStatus (*run) (XdsService *self, const char *const *args, GString *answer);
  } commands[] = {
    { "deaths", control_deaths },
    { "log", control_log },
    { "logfile", control_logfile },
    { "memreport", control_memreport },
    { "reason", control_reason },
  };
  XdsService *self = data;

  xds_loop_disturb (self->loop);
  if (g_strcmp0 (args[0], "live-update") == 0)
    return xds_live_update_control (self, peer, args + 1, answer);
  if (g_strcmp0 (args[0], "snapshot") == 0)
    return xds_saver_control (self->saver, peer, args + 1, self->update.going, answer);
  for (guint i = 0; i < G_N_ELEMENTS (commands); i++)
    if (g_strcmp0 (args[0], commands[i].name) == 0)
      return commands[i].run (self, args + 1, answer);
  return XDS_EINVAL;
}

static gboolean
journal_full (void *data, gsize need G_GNUC_UNUSED)
{
  XdsService *self = data;

  return self->survival != NULL && xds_survival_more (self->survival);
}

void
xds_service_init_host (XdsHost *host)
{
  *host = (XdsHost){
    .peer_ready = peer_ready,
    .peer_failed = peer_failed,
    .domain_state = domain_state,
    .domain_connect = domain_connect,
    .domain_reconnect = domain_reconnect,
    .domain_disconnect = domain_disconnect,
    .control = control,
    .print = print,
    .notice = notice,
    .domain_introduced = domain_introduced,
    .domain_released = domain_released,
    .journal_full = journal_full,
  };
}
