/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Builds the parts in the order in which they need each other, and takes them down in reverse.
 * The socket comes last: whoever can connect is served.
 *
 * SIGHUP reads the configuration again.  Quotas, logs and keep-orphans change; what is bound to
 * the start (socket, hypervisor, domain ids) stays as it is, and that is said.  A file that is
 * wrong changes nothing.
 */

#include "xsd/daemon/log.h"
#include "xsd/daemon/process.h"
#include "xsd/daemon/run.h"
#include "xsd/daemon/service-private.h"

#include <unistd.h>

/* Ten times what a toolstack's longest transaction takes on a busy host; no more than that is lost
   when one of them is stopped in the middle of it. */
#define PATIENCE (100 * G_TIME_SPAN_MILLISECOND)

/* --- turns of the loop --- */

static void
turn_begins (gpointer loop G_GNUC_UNUSED, gpointer data)
{
  XdsService *self = data;
  gint64 now = g_get_monotonic_time ();

  xds_engine_tick (self->engine, now);
  if (self->blobs != NULL)
    xds_blobs_tick (self->blobs, now);
}

/* -1 is never. */
static gint64
earlier (gint64 a, gint64 b)
{
  return a < 0 || (b >= 0 && b < a) ? b : a;
}

static void
turn_ends (gpointer loop, gpointer data)
{
  XdsService *self = data;

  gint64 deadline = xds_engine_next_deadline (self->engine);

  if (self->blobs != NULL)
    deadline = earlier (deadline, xds_blobs_deadline (self->blobs));
  xds_loop_set_deadline (loop, deadline);
  if (self->access_log != NULL)
    xds_access_log_flush (self->access_log);
  xds_live_update_turn (self);
  if (self->survival != NULL)
    xds_survival_turn (self->survival);
}

/* All of it: what changed is not known. */
static void
fire (gpointer data, const char *path)
{
  XdsService *self = data;

  if (g_str_equal (path, XDS_BLOBS_ALL))
    xds_engine_fire_below (self->engine, path);
  else
    xds_engine_fire (self->engine, path);
}

/* The store works without; whoever comes or goes is a reason to look for the folder again. */
XdsBlobs *
xds_service_blobs (XdsService *self)
{
  g_autoptr (GError) error = NULL;

  if (self->blobs != NULL || self->config->userdata_dir == NULL)
    return self->blobs;
  self->blobs = xds_blobs_new (self->config, self->loop, fire, self, self->domains, &error);
  if (self->blobs == NULL && !self->without_blobs)
    g_warning ("userdata of domains is not kept: %s", error->message);
  else if (self->blobs != NULL && self->without_blobs)
    g_message ("userdata of domains is kept in %s from now on", self->config->userdata_dir);
  self->without_blobs = self->blobs == NULL;
  return self->blobs;
}

static gboolean
domains_changed (gpointer data)
{
  XdsService *self = data;
  g_autoptr (GError) error = NULL;
  const XdsDomainV1 *domains;
  XdsBlobs *blobs;
  gsize n;

  if (!xds_domains_all (self->domains, &domains, &n, &error))
    {
      g_warning ("%s; dead domains stay until it tells", error->message);
      return G_SOURCE_CONTINUE;
    }
  blobs = xds_service_blobs (self);
  if (blobs != NULL)
    xds_blobs_domains (blobs, domains, n);
  xds_hooks_domains (self->hooks, domains, n);
  xds_domains_tell (self->domains, self->engine);
  return G_SOURCE_CONTINUE;
}

static const guint8 *
read_name (gpointer data, guint domid, gsize *ret_len)
{
  char path[48];

  g_snprintf (path, sizeof path, "/local/domain/%u/name", domid);
  return xds_engine_read (((XdsService *) data)->engine, path, ret_len);
}

/* --- settings --- */

static void
remember_quotas (XdsService *self)
{
  const char *const *names = xds_engine_quota_names ();

  self->quota_defaults = g_array_new (FALSE, TRUE, sizeof (guint64));
  for (guint i = 0; names[i] != NULL; i++)
    {
      guint64 value = 0;

      xds_engine_get_quota (self->engine, names[i], &value);
      g_array_append_val (self->quota_defaults, value);
    }
}

/* What a file does not name any more goes back to its default. */
static void
apply_settings (XdsService *self)
{
  const char *const *names = xds_engine_quota_names ();

  for (guint i = 0; names[i] != NULL; i++)
    xds_engine_set_quota (self->engine, names[i], g_array_index (self->quota_defaults, guint64, i));
  for (guint i = 0; i < self->config->quotas->len; i++)
    {
      const XdsQuotaSetting *setting = &g_array_index (self->config->quotas, XdsQuotaSetting, i);

      xds_engine_set_quota (self->engine, setting->name, setting->value);
    }
  xds_engine_set_keep_orphans (self->engine, self->config->keep_orphans);
}

static gboolean
open_logs (XdsService *self, const XdsConfig *config, GError **error)
{
  g_autoptr (GError) why = NULL;
  XdsAccessLog *log = xds_access_log_new (config, &why);

  if (why != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&why));
      return FALSE;
    }
  if (!xds_log_open (config, error))
    {
      xds_access_log_free (log);
      return FALSE;
    }
  xds_service_set_access_log (self, log);
  return TRUE;
}

/* Whom we serve was served before: a log that cannot be had is no reason to stop. */
static void
open_some_logs (XdsService *self, XdsConfig *config)
{
  g_autoptr (GError) no_access_log = NULL, no_log = NULL;
  XdsAccessLog *log = xds_access_log_new (config, &no_access_log);

  if (!xds_log_open (config, &no_log))
    {
      g_free (config->log_target);
      config->log_target = g_strdup ("auto");
      xds_log_open (config, NULL);
      g_critical ("%s; going on without", no_log->message);
    }
  if (log == NULL && no_access_log != NULL)
    g_critical ("%s; going on without", no_access_log->message);
  xds_service_set_access_log (self, log);
}

static gboolean
begin_logs (XdsService *self, GError **error)
{
  if (self->keeper == NULL || !xds_keeper_goes_on (self->keeper))
    return open_logs (self, self->config, error);
  open_some_logs (self, self->config);
  return TRUE;
}

static void
say_what_stays (const XdsConfig *before, const XdsConfig *now)
{
  if (g_strcmp0 (before->socket, now->socket) != 0
      || g_strcmp0 (before->hypervisor, now->hypervisor) != 0
      || g_strcmp0 (before->pid_file, now->pid_file) != 0
      || g_strcmp0 (before->userdata_dir, now->userdata_dir) != 0
      || before->store_domid != now->store_domid
      || before->privileged_domid != now->privileged_domid)
    g_warning ("socket, pid file, hypervisor, folders and domain ids stay as they are until the "
               "daemon is started again");
}

static gboolean
reload (gpointer data, XdsConfig *config, GError **error)
{
  XdsService *self = data;

  if (!open_logs (self, config, error))
    return FALSE;
  say_what_stays (self->config, config);
  xds_config_keep_start (config, self->config);
  xds_config_free (self->config);
  self->config = config;
  apply_settings (self);
  xds_hooks_set_config (self->hooks, config);
  xds_saver_set_config (self->saver, config);
  g_message ("read the configuration again");
  return TRUE;
}

/* --- running --- */

static char *
ready (gpointer data)
{
  XdsService *self = data;

  if (self->keeper != NULL)
    xds_keeper_announced (self->keeper);
  g_message ("ready: socket %s, plugin %s", self->config->socket, self->domains->plugin->name);
  return g_strdup_printf ("serving %u domains by plugin %s", xds_ring_server_count (self->rings),
                          self->domains->plugin->name);
}

void
xds_service_run (XdsService *self)
{
  static const XdsRunCalls calls = { ready, reload };

  xds_run (self->options, self->config->print_pid, &calls, self);
}

/* --- life --- */

static gboolean
make_engine (XdsService *self, int channels, GError **error)
{
  xds_engine_seed ((guint64) g_random_int () << 32 | g_random_int ());
  self->engine = xds_engine_new (&self->host, self);
  xds_engine_set_store_domid (self->engine, self->config->store_domid);
  xds_engine_set_privileged_domid (self->engine, self->config->privileged_domid);
  remember_quotas (self);
  apply_settings (self);
  xds_engine_tick (self->engine, g_get_monotonic_time ());
  self->domains = xds_domains_open (self->config, channels, error);
  return self->domains != NULL;
}

static XdsSlate *
slate_of (XdsService *self)
{
  return self->survival != NULL ? xds_survival_slate (self->survival) : &self->slate;
}

static gboolean
make_rings (XdsService *self, GError **error)
{
  self->rings = xds_ring_server_new (self->loop, self->engine, slate_of (self),
                                     self->domains->plugin, self->domains->self, domains_changed,
                                     self, error);
  return self->rings != NULL;
}

static gboolean
is_successor (const XdsService *self)
{
  return self->keeper != NULL && xds_keeper_crashed (self->keeper);
}

/* That of a process that died, that of the program before this one, or a new one. */
static gboolean
find_state (XdsService *self, const XdsResume *resume, GError **error)
{
  if (is_successor (self))
    return xds_survival_recover (self->survival, self, resume->clients,
                                 xds_keeper_note (self->keeper)->status, error);
  if (resume->stream >= 0)
    {
      if (!xds_resume_load (resume, self, error))
        return FALSE;
    }
  else
    {
      xds_engine_write (self->engine, "/tool/xenstored", "", 0);
      xds_ring_server_connect_own (self->rings);
    }
  if (self->survival != NULL)
    xds_survival_begin (self->survival, self);
  return TRUE;
}

static void
adopt_domain (void *hooks, const XdsDomainState *domain)
{
  xds_hooks_adopt (hooks, domain);
}

/* The state, then what became of its domains.  Before there is one, all that a request may ask for:
   one that a process before us died of is executed when the state is found. */
static gboolean
make_state (XdsService *self, const XdsResume *resume, GError **error)
{
  const XdsDomainV1 *domains;
  gsize n;

  self->saver = xds_saver_new (self->engine, self->config);
  self->hooks = xds_hooks_new (self->config, self->loop, read_name, self, self->domains);
  if (!find_state (self, resume, error))
    return FALSE;
  xds_engine_visit_domains (self->engine, adopt_domain, self->hooks);
  if (!xds_domains_all (self->domains, &domains, &n, error))
    return FALSE;
  xds_hooks_domains (self->hooks, domains, n);
  xds_domains_tell (self->domains, self->engine);
  return TRUE;
}

/* Sockets that are there already come instead of a new one. */
static gboolean
make_listeners (XdsService *self, const XdsResume *resume, GError **error)
{
  for (guint i = 0; i < resume->own->len; i++)
    if (!xds_socket_server_adopt (self->sockets, g_array_index (resume->own, int, i),
                                  self->config->socket, error))
      return FALSE;
  for (guint i = 0; i < resume->passed->len; i++)
    if (!xds_socket_server_listen_fd (self->sockets, g_array_index (resume->passed, int, i), error))
      return FALSE;
  return resume->own->len + resume->passed->len > 0 || self->config->socket == NULL
         || xds_socket_server_listen_path (self->sockets, self->config->socket, error);
}

static void
keeper_gone (XdsLoopItem *item, guint32 events G_GNUC_UNUSED)
{
  XdsService *self = ((XdsKeeperWatch *) item)->service;

  xds_loop_remove (self->loop, item);
  xds_live_update_alone (self);
}

static gboolean
watch_keeper (XdsService *self, GError **error)
{
  int fd = self->keeper != NULL ? xds_keeper_alive_fd (self->keeper) : -1;

  self->watch.service = self;
  xds_loop_item_init (&self->watch.item, keeper_gone);
  return fd < 0 || xds_loop_add (self->loop, &self->watch.item, fd, EPOLLIN, keeper_gone, error);
}

static gboolean
make_parts (XdsService *self, const XdsResume *resume, GError **error)
{
  self->loop = xds_loop_new (g_main_context_default (), error);
  if (self->loop == NULL)
    return FALSE;
  xds_service_init_host (&self->host);
  if (!begin_logs (self, error))
    return FALSE;
  if (self->keeper != NULL)
    xds_keeper_tell (self->keeper);
  if (!make_engine (self, resume->channels, error) || !make_rings (self, error)
      || !watch_keeper (self, error))
    return FALSE;
  self->sockets = xds_socket_server_new (self->loop, self->engine, slate_of (self));
  if (!make_state (self, resume, error) || !make_listeners (self, resume, error))
    return FALSE;
  if (xds_service_blobs (self) != NULL && (is_successor (self) || resume->stream >= 0))
    fire (self, XDS_BLOBS_ALL); /* of what changed while nobody looked */
  xds_engine_set_patience (self->engine, PATIENCE);
  xds_loop_set_hooks (self->loop, turn_begins, turn_ends, self);
  return TRUE;
}

/* What is open when it fails is for who tries again, if somebody does: so nothing is freed then. */
XdsService *
xds_service_new (const XdsOptions *options, XdsConfig *config, const XdsResume *resume,
                 XdsPidFile *pid_file, GError **error)
{
  XdsService *self = g_new0 (XdsService, 1);

  self->options = options;
  self->config = config;
  self->pid_file = pid_file;
  self->survival = resume->survival;
  self->keeper = resume->keeper;
  if (make_parts (self, resume, error))
    return self;
  if (self->keeper == NULL || !xds_keeper_goes_on (self->keeper))
    xds_service_free (self);
  return NULL;
}

void
xds_service_free (XdsService *self)
{
  if (self == NULL)
    return;
  if (self->loop != NULL)
    xds_loop_set_hooks (self->loop, NULL, NULL, NULL);
  xds_live_update_clear (self);
  g_clear_pointer (&self->saver, xds_saver_free);
  if (self->survival != NULL)
    xds_survival_end (self->survival);
  g_clear_pointer (&self->sockets, xds_socket_server_free);
  g_clear_pointer (&self->rings, xds_ring_server_free);
  g_clear_pointer (&self->blobs, xds_blobs_free);
  g_clear_pointer (&self->hooks, xds_hooks_free);
  g_clear_pointer (&self->engine, xds_engine_free);
  g_clear_pointer (&self->domains, xds_domains_free);
  g_clear_pointer (&self->access_log, xds_access_log_free);
  g_clear_pointer (&self->quota_defaults, g_array_unref);
  if (self->loop != NULL)
    xds_loop_remove (self->loop, &self->watch.item);
  g_clear_pointer (&self->loop, xds_loop_free);
  xds_config_free (self->config);
  g_free (self);
}
