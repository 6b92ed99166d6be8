/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * An event of a domain becomes one job for each program in the folder, in order of their names.
 * Jobs of one domain run one after the other, so that "gone" never overtakes "introduced"; those of
 * different domains run at once, as many as the configuration allows.  One that takes too long is
 * killed with all that it started.  The daemon waits for none of them.
 *
 * posix_spawn() and not fork(): a store of a million nodes would be copied page table by page
 * table for each hook.  That is also why all descriptors of the daemon are close-on-exec.
 */

#include "xsd/daemon/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Jobs that wait; a storm of births and deaths beyond it is logged and not told to hooks. */
#define QUEUE_MAX 4096

/* What was known of a domain when it was introduced: nobody else remembers at its end. */
typedef struct
{
  guint domid;
  char uuid[37];
  char *name; /* (owned) may be empty */
  guint64 unique_id;
  gboolean shutdown; /* was told */
  guint reason;
} Known;

typedef struct
{
  XdsHooks *hooks; /* (unowned) */
  guint domid;
  char *program; /* (owned) */
  char **env;    /* (owned) */
  const char *event;
  GPid pid; /* while it runs */
  guint watch, timeout;
} Job;

struct XdsHooks
{
  XdsLoop *loop;
  XdsHooksName name;
  gpointer data; /* (unowned) of @name */
  XdsDomains *domains;
  char *folder;       /* (owned) (nullable) */
  guint64 seconds, at_once;
  GHashTable *known;  /* (owned) domid -> Known */
  GHashTable *ended;  /* (owned) domid -> why the last one of this id went; no more than there are
                         ids */
  GQueue waiting;     /* (element-type Job) (owned) */
  GPtrArray *running; /* (element-type Job) (owned) */
};

static void run_waiting (XdsHooks *self);

/* --- jobs --- */

static void
job_free (Job *job)
{
  g_clear_handle_id (&job->watch, g_source_remove);
  g_clear_handle_id (&job->timeout, g_source_remove);
  g_free (job->program);
  g_strfreev (job->env);
  g_free (job);
}

static void
tell_end (const Job *job, int status)
{
  g_autoptr (GError) error = NULL;

  if (!g_spawn_check_wait_status (status, &error))
    g_warning ("hook %s for domain %u (%s): %s", job->program, job->domid, job->event,
               error->message);
}

static void
ended (GPid pid G_GNUC_UNUSED, int status, gpointer data)
{
  Job *job = data;
  XdsHooks *self = job->hooks;

  job->watch = 0;
  tell_end (job, status);
  g_ptr_array_remove_fast (self->running, job);
  run_waiting (self);
}

static gboolean
too_long (gpointer data)
{
  Job *job = data;

  job->timeout = 0;
  g_warning ("hook %s for domain %u (%s) ran longer than %" G_GUINT64_FORMAT
             " s and is killed: see [hooks] timeout",
             job->program, job->domid, job->event, job->hooks->seconds);
  kill (-job->pid, SIGKILL);
  return G_SOURCE_REMOVE;
}

/* A group of its own, default signals, nothing to read; what it says goes where our errors go. */
static int
spawn (Job *job)
{
  char *argv[] = { job->program, (char *) job->event, NULL };
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attr;
  sigset_t none, all;
  int err;

  sigemptyset (&none);
  sigfillset (&all);
  posix_spawnattr_init (&attr);
  posix_spawnattr_setflags (&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK
                                       | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setsigmask (&attr, &none);
  posix_spawnattr_setsigdefault (&attr, &all);
  posix_spawn_file_actions_init (&files);
  posix_spawn_file_actions_addopen (&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2 (&files, 2, 1);
  err = posix_spawn (&job->pid, job->program, &files, &attr, argv, job->env);
  posix_spawn_file_actions_destroy (&files);
  posix_spawnattr_destroy (&attr);
  return err;
}

static void
start (XdsHooks *self, Job *job)
{
  int err = spawn (job);

  if (err != 0)
    {
      g_warning ("hook %s for domain %u (%s) does not start: %s", job->program, job->domid,
                 job->event, g_strerror (err));
      job_free (job);
      return;
    }
  job->watch = g_child_watch_add (job->pid, ended, job);
  job->timeout = g_timeout_add_seconds (self->seconds, too_long, job);
  g_ptr_array_add (self->running, job);
}

static gboolean
is_busy (const XdsHooks *self, guint domid)
{
  for (guint i = 0; i < self->running->len; i++)
    if (((const Job *) self->running->pdata[i])->domid == domid)
      return TRUE;
  return FALSE;
}

static void
run_waiting (XdsHooks *self)
{
  GList *link = self->waiting.head;

  xds_loop_disturb (self->loop);
  while (link != NULL && self->running->len < self->at_once)
    {
      GList *next = link->next;
      Job *job = link->data;

      if (!is_busy (self, job->domid))
        {
          g_queue_delete_link (&self->waiting, link);
          start (self, job);
        }
      link = next;
    }
}

/* --- the folder --- */

/* As run-parts(8) has it, so that backups and leftovers of packages do not run. */
static gboolean
good_name (const char *name)
{
  return name[0] != '.' && name[strspn (name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                              "0123456789_-")]
                               == '\0';
}

/* Who may write a hook is root on this host. */
static gboolean
is_trusted (const char *path)
{
  struct stat st;

  if (stat (path, &st) != 0 || !S_ISREG (st.st_mode) || (st.st_mode & S_IXUSR) == 0)
    return FALSE;
  if ((st.st_uid == 0 || st.st_uid == geteuid ()) && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0)
    return TRUE;
  g_warning ("hook %s is not run: it has to belong to root, and nobody else may write it", path);
  return FALSE;
}

static int
by_name (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

static GPtrArray *
list_programs (const char *folder)
{
  GPtrArray *programs = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GDir) dir = folder != NULL ? g_dir_open (folder, 0, NULL) : NULL;
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);

      if (good_name (name) && is_trusted (path))
        g_ptr_array_add (programs, g_steal_pointer (&path));
    }
  g_ptr_array_sort (programs, by_name);
  return programs;
}

static char **
make_env (const Known *known, const char *event, const char *reason)
{
  g_auto (GStrv) env = g_get_environ ();
  char domid[12];

  g_snprintf (domid, sizeof domid, "%u", known->domid);
  env = g_environ_unsetenv (g_steal_pointer (&env), "NOTIFY_SOCKET");
  env = g_environ_setenv (g_steal_pointer (&env), "XDS_EVENT", event, TRUE);
  env = g_environ_setenv (g_steal_pointer (&env), "XDS_DOMID", domid, TRUE);
  env = g_environ_setenv (g_steal_pointer (&env), "XDS_UUID", known->uuid, TRUE);
  env = g_environ_setenv (g_steal_pointer (&env), "XDS_NAME", known->name, TRUE);
  env = g_environ_setenv (g_steal_pointer (&env), "XDS_REASON", reason, TRUE);
  return g_steal_pointer (&env);
}

static void
queue (XdsHooks *self, const Known *known, const char *event, const char *reason)
{
  g_autoptr (GPtrArray) programs = list_programs (self->folder);

  if (programs->len > 0 && self->waiting.length + programs->len > QUEUE_MAX)
    {
      g_warning ("hooks are not told that domain %u is %s: %u wait already", known->domid, event,
                 self->waiting.length);
      return;
    }
  for (guint i = 0; i < programs->len; i++)
    {
      Job *job = g_new0 (Job, 1);

      job->hooks = self;
      job->domid = known->domid;
      job->program = g_strdup (programs->pdata[i]);
      job->env = make_env (known, event, reason);
      job->event = event;
      g_queue_push_tail (&self->waiting, job);
    }
  run_waiting (self);
}

/* --- domains --- */

static void
known_free (gpointer data)
{
  g_free (((Known *) data)->name);
  g_free (data);
}

/* Names change, so the last one that the store had counts. */
static void
look_up_name (XdsHooks *self, Known *known)
{
  gsize len = 0;
  const guint8 *name = self->name (self->data, known->domid, &len);

  if (name == NULL && known->name != NULL)
    return;
  g_free (known->name);
  /* An environment holds no NUL: a value that has one ends there. */
  known->name = name != NULL ? g_strndup ((const char *) name, len) : g_strdup ("");
}

static const char *
reason_name (guint reason)
{
  static const char *const names[]
      = { "poweroff", "reboot", "suspend", "crash", "watchdog", "soft-reset" };

  return reason < G_N_ELEMENTS (names) ? names[reason] : "unknown";
}

static void
print_uuid (const guint8 *u, char text[37])
{
  for (guint i = 0, at = 0; i < 16; i++)
    at += g_snprintf (text + at, 37 - at, "%s%02x",
                      i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", u[i]);
}

void
xds_hooks_introduced (XdsHooks *self, guint domid)
{
  XdsDomainV1 domain;
  Known *known;

  if (self->domains->plugin->domain (self->domains->self, domid, &domain) < 0)
    return;
  known = g_new0 (Known, 1);
  known->domid = domid;
  known->unique_id = domain.unique_id;
  print_uuid (domain.uuid, known->uuid);
  look_up_name (self, known);
  g_hash_table_insert (self->known, GUINT_TO_POINTER (domid), known);
  g_hash_table_remove (self->ended, GUINT_TO_POINTER (domid));
  queue (self, known, "introduced", "");
}

/* If it went while nobody served, the hypervisor does not know it any more, or has another one. */
void
xds_hooks_adopt (XdsHooks *self, const XdsDomainState *domain)
{
  gpointer domid = GUINT_TO_POINTER (domain->domid);
  XdsDomainV1 now;
  Known *known;

  if (g_hash_table_contains (self->known, domid))
    return;
  known = g_new0 (Known, 1);
  known->domid = domain->domid;
  known->unique_id = domain->unique_id;
  known->shutdown = domain->shutdown;
  known->reason = G_MAXUINT;
  if (self->domains->plugin->domain (self->domains->self, known->domid, &now) >= 0
      && (known->unique_id == 0 || known->unique_id == now.unique_id))
    {
      known->unique_id = now.unique_id;
      known->reason = now.reason;
      print_uuid (now.uuid, known->uuid);
    }
  look_up_name (self, known);
  g_hash_table_insert (self->known, domid, known);
}

static int
by_domid (const void *a, const void *b)
{
  const XdsDomainV1 *x = a, *y = b;

  return x->domid < y->domid ? -1 : x->domid > y->domid;
}

static gboolean
is_gone (const Known *known, const XdsDomainV1 *now)
{
  return now == NULL || (now->state & (XDS_DOMAIN_DYING | XDS_DOMAIN_DEAD)) != 0
         || (known->unique_id != 0 && now->unique_id != known->unique_id);
}

/* TRUE if it is gone and can be forgotten. */
static gboolean
update (XdsHooks *self, Known *known, const XdsDomainV1 *now)
{
  look_up_name (self, known);
  if (is_gone (known, now))
    {
      const char *reason = known->shutdown ? reason_name (known->reason) : "destroyed";

      queue (self, known, "gone", reason);
      g_hash_table_insert (self->ended, GUINT_TO_POINTER (known->domid), (char *) reason);
      return TRUE;
    }
  if ((now->state & XDS_DOMAIN_SHUTDOWN) == 0)
    {
      known->shutdown = FALSE; /* it was resumed */
      return FALSE;
    }
  if (known->shutdown)
    return FALSE;
  known->shutdown = TRUE;
  known->reason = now->reason;
  queue (self, known, "shutdown", reason_name (now->reason));
  return FALSE;
}

void
xds_hooks_domains (XdsHooks *self, const XdsDomainV1 *domains, gsize n)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, self->known);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      Known *known = value;
      const XdsDomainV1 probe = { .domid = known->domid };

      if (update (self, known,
                  n > 0 ? bsearch (&probe, domains, n, sizeof probe, by_domid) : NULL))
        g_hash_table_iter_remove (&iter);
    }
}

const char *
xds_hooks_reason (XdsHooks *self, guint domid)
{
  const char *ended = g_hash_table_lookup (self->ended, GUINT_TO_POINTER (domid));
  XdsDomainV1 now;

  if (ended != NULL || self->domains->plugin->domain (self->domains->self, domid, &now) < 0)
    return ended;
  return (now.state & XDS_DOMAIN_SHUTDOWN) != 0 ? reason_name (now.reason) : "running";
}

/* --- life --- */

void
xds_hooks_set_config (XdsHooks *self, const XdsConfig *config)
{
  g_free (self->folder);
  self->folder = g_strdup (config->hooks_folder);
  self->seconds = config->hooks_timeout;
  self->at_once = config->hooks_at_once;
}

XdsHooks *
xds_hooks_new (const XdsConfig *config, XdsLoop *loop, XdsHooksName name, gpointer data,
               XdsDomains *domains)
{
  XdsHooks *self = g_new0 (XdsHooks, 1);

  self->loop = loop;
  self->name = name;
  self->data = data;
  self->domains = domains;
  self->known = g_hash_table_new_full (NULL, NULL, NULL, known_free);
  self->ended = g_hash_table_new (NULL, NULL);
  self->running = g_ptr_array_new_with_free_func ((GDestroyNotify) job_free);
  xds_hooks_set_config (self, config);
  return self;
}

/* What runs goes on without us; what waits is dropped. */
void
xds_hooks_free (XdsHooks *self)
{
  if (self == NULL)
    return;
  g_queue_clear_full (&self->waiting, (GDestroyNotify) job_free);
  g_ptr_array_unref (self->running);
  g_hash_table_unref (self->known);
  g_hash_table_unref (self->ended);
  g_free (self->folder);
  g_free (self);
}
