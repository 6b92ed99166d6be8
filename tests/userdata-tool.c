/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Our userdata from the command line, for tests against the real libxl.
 *
 * Domains are the stand-in's: files $FAKEXEN_DIR/<domid> with uuid= and flags= lines.  Results are
 * the exit status: 0, or 100 plus the code of the error; 99 for a torn blob.
 */

#include "userdata/keeper.h"
#include "userdata/monitor.h"
#include "userdata/store.h"

#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TORN 99

static XdsUserdataStore *store;

/* --- the hypervisor --- */

static gboolean
load_domain (guint domid, XdsUserdataDomain *ret_domain)
{
  g_autofree char *path = g_strdup_printf ("%s/%u", g_getenv ("FAKEXEN_DIR"), domid);
  g_autofree char *text = NULL;
  const char *uuid;

  if (!g_file_get_contents (path, &text, NULL, NULL))
    return FALSE;
  uuid = strstr (text, "uuid=");
  if (uuid == NULL || strlen (uuid) < 5 + 36)
    return FALSE;
  *ret_domain = (XdsUserdataDomain){ .domid = domid };
  memcpy (ret_domain->uuid, uuid + 5, 36);
  ret_domain->shutdown = strstr (text, "shutdown") != NULL;
  ret_domain->dying = strstr (text, "dying") != NULL;
  return TRUE;
}

static gboolean
ask_one (gpointer data G_GNUC_UNUSED, guint domid, XdsUserdataDomain *ret_domain, GError **error)
{
  if (load_domain (domid, ret_domain))
    return TRUE;
  g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_NO_DOMAIN, "There is no domain %u",
               domid);
  return FALSE;
}

static GArray *
ask_all (gpointer data G_GNUC_UNUSED, GError **error)
{
  g_autoptr (GDir) dir = g_dir_open (g_getenv ("FAKEXEN_DIR"), 0, error);
  GArray *domains;
  const char *name;

  if (dir == NULL)
    return NULL;
  domains = g_array_new (FALSE, FALSE, sizeof (XdsUserdataDomain));
  while ((name = g_dir_read_name (dir)) != NULL)
    {
      XdsUserdataDomain domain;
      guint64 domid;

      if (g_ascii_string_to_unsigned (name, 10, 0, G_MAXUINT16, &domid, NULL)
          && load_domain ((guint) domid, &domain))
        g_array_append_val (domains, domain);
    }
  return domains;
}

/* --- blobs that say themselves whether they are whole; the format is that of lxl.c --- */

static guint32
prng (guint32 *s)
{
  *s ^= *s << 13;
  *s ^= *s >> 17;
  *s ^= *s << 5;
  return *s;
}

static guint32
sum (const guint8 *b, gsize n)
{
  guint32 h = 2166136261u;

  while (n--)
    h = (h ^ *b++) * 16777619u;
  return h;
}

static GBytes *
make_blob (guint32 len, guint32 seed)
{
  guint8 *b = g_malloc0 (len);
  guint32 s = seed | 1, c;

  memcpy (b, "XDS\n", 4);
  memcpy (b + 4, &len, 4);
  memcpy (b + 8, &seed, 4);
  for (guint32 i = 16; i < len; i++)
    b[i] = (guint8) prng (&s);
  c = sum (b + 16, len - 16);
  memcpy (b + 12, &c, 4);
  return g_bytes_new_take (b, len);
}

static gboolean
blob_is_whole (GBytes *bytes)
{
  gsize n;
  const guint8 *b = g_bytes_get_data (bytes, &n);
  guint32 len, c;

  if (n < 16 || memcmp (b, "XDS\n", 4) != 0)
    return FALSE;
  memcpy (&len, b + 4, 4);
  memcpy (&c, b + 12, 4);
  return len == n && c == sum (b + 16, n - 16);
}

/* --- verbs --- */

static int
report (gboolean ok, GError *error)
{
  if (ok)
    return 0;
  g_printerr ("userdata-tool: %s\n", error->message);
  return 100 + error->code;
}

static guint
number (const char *text)
{
  return (guint) strtoul (text, NULL, 0);
}

static int
do_put (char **a)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GByteArray) in = g_byte_array_new ();
  g_autoptr (GBytes) bytes = NULL;
  guint8 room[4096];
  gssize n;

  while ((n = read (0, room, sizeof room)) > 0)
    g_byte_array_append (in, room, (guint) n);
  bytes = g_byte_array_free_to_bytes (g_steal_pointer (&in));
  return report (xds_userdata_store_put (store, number (a[0]), a[1], bytes, NULL, &error), error);
}

static int
do_get (char **a)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = xds_userdata_store_get (store, number (a[0]), a[1], NULL, &error);
  gsize len;
  const guint8 *data;

  if (bytes == NULL)
    return report (FALSE, error);
  data = g_bytes_get_data (bytes, &len);
  return write (1, data, len) == (gssize) len ? 0 : 1;
}

static int
do_remove (char **a)
{
  g_autoptr (GError) error = NULL;

  return report (xds_userdata_store_remove (store, number (a[0]), a[1], &error), error);
}

static int
do_list (char **a)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) items = xds_userdata_store_list (store, number (a[0]), &error);

  for (guint i = 0; items != NULL && i < items->len; i++)
    g_print ("%s %" G_GSIZE_FORMAT "\n", ((XdsUserdataItem *) items->pdata[i])->userid,
             ((XdsUserdataItem *) items->pdata[i])->size);
  return report (items != NULL, error);
}

static int
hammer (char **a, gboolean durable)
{
  guint count = number (a[2]), max = number (a[3]);
  guint32 seed = number (a[4]) | 1;
  gint64 start = g_get_monotonic_time ();

  xds_userdata_store_set_durable (store, durable);
  for (guint i = 0; i < count; i++)
    {
      g_autoptr (GError) error = NULL;
      guint32 len = 16 + prng (&seed) % (max - 15);
      g_autoptr (GBytes) bytes = make_blob (len, prng (&seed));

      if (!xds_userdata_store_put (store, number (a[0]), a[1], bytes, NULL, &error))
        return report (FALSE, error);
    }
  g_print ("stores=%u seconds=%.3f\n", count, (double) (g_get_monotonic_time () - start) / 1e6);
  return 0;
}

static int
do_hammer_store (char **a)
{
  return hammer (a, FALSE);
}

static int
do_hammer_store_durable (char **a)
{
  return hammer (a, TRUE);
}

static int
do_hammer_read (char **a)
{
  guint count = number (a[2]);
  gint64 start = g_get_monotonic_time ();

  for (guint i = 0; i < count; i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (GBytes) bytes = xds_userdata_store_get (store, number (a[0]), a[1], NULL, &error);

      if (bytes == NULL && !g_error_matches (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_ABSENT))
        return report (FALSE, error);
      if (bytes != NULL && !blob_is_whole (bytes))
        return TORN;
    }
  g_print ("reads=%u seconds=%.3f\n", count, (double) (g_get_monotonic_time () - start) / 1e6);
  return 0;
}

/* Takes the lock for a moment, until killed: says so by a line. */
static int
do_hold (char **a)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (XdsUserdataBackend) backend = NULL;
  XdsUserdataDomain domain;
  g_autofree char *name = NULL;
  XdsUserdataLock *lock;

  if (!ask_one (NULL, number (a[0]), &domain, &error))
    return report (FALSE, error);
  backend = xds_userdata_backend_system_new (xds_userdata_store_get_folder (store), &error);
  name = xds_userdata_file_name ('l', domain.domid, domain.uuid, XDS_USERDATA_LOCK);
  lock = xds_userdata_lock_take (backend, name, XDS_USERDATA_LOCK_FOREVER, &error);
  if (lock == NULL)
    return report (FALSE, error);
  g_print ("held\n");
  pause ();
  return 0;
}

/* --- the keeper --- */

static void
changed (gpointer data G_GNUC_UNUSED, guint domid, const char *userid, XdsUserdataChange change)
{
  g_print ("%s %u/%s\n",
           change == XDS_USERDATA_STORED    ? "stored"
           : change == XDS_USERDATA_REMOVED ? "removed"
                                            : "lost",
           domid, userid != NULL ? userid : "");
}

static void
trouble (gpointer data G_GNUC_UNUSED, const GError *error)
{
  g_print ("trouble %s\n", error->message);
}

static void
domain_event (XdsMonitorEvent event, const char *name G_GNUC_UNUSED, gpointer keeper)
{
  if (event == XDS_MONITOR_VANISHED || event == XDS_MONITOR_STORED)
    xds_userdata_keeper_kick (keeper);
}

typedef struct
{
  XdsMonitor *monitor;
  XdsUserdataKeeper *keeper;
} Domains;

static gboolean
domains_ready (gint fd G_GNUC_UNUSED, GIOCondition condition G_GNUC_UNUSED, gpointer data)
{
  Domains *domains = data;

  xds_monitor_dispatch (domains->monitor, domain_event, domains->keeper);
  return G_SOURCE_CONTINUE;
}

static gboolean
stop (gpointer loop)
{
  g_main_loop_quit (loop);
  return G_SOURCE_REMOVE;
}

/* Sweeps until SIGTERM; what happens is printed. */
static int
do_keep (char **a G_GNUC_UNUSED)
{
  static const XdsUserdataKeeperEvents events = { .changed = changed, .trouble = trouble };
  g_autoptr (GError) error = NULL;
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (XdsUserdataKeeper) keeper = xds_userdata_keeper_new (store, &events, NULL);
  g_autoptr (XdsMonitor) monitor = xds_monitor_new (g_getenv ("FAKEXEN_DIR"), &error);
  g_autoptr (GSource) source = NULL;
  Domains domains = { monitor, keeper };

  if (monitor == NULL || !xds_userdata_keeper_start (keeper, &error))
    return report (FALSE, error);
  source = xds_userdata_keeper_create_source (keeper);
  g_source_attach (source, NULL);
  g_unix_fd_add (xds_monitor_fd (monitor), G_IO_IN, domains_ready, &domains);
  g_unix_signal_add (SIGTERM, stop, loop);
  g_print ("keeping\n");
  g_main_loop_run (loop);
  return 0;
}

static const struct
{
  const char *name;
  int n;
  int (*run) (char **a);
} verbs[] = {
  { "put", 2, do_put },
  { "get", 2, do_get },
  { "remove", 2, do_remove },
  { "list", 1, do_list },
  { "hold", 1, do_hold },
  { "hammer-store", 5, do_hammer_store },
  { "keep", 0, do_keep },
  { "hammer-read", 3, do_hammer_read },
  { "hammer-store-durable", 5, do_hammer_store_durable },
};

int
main (int argc, char **argv)
{
  XdsUserdataHypervisor hypervisor = { .one = ask_one, .all = ask_all };
  g_autoptr (GError) error = NULL;
  int status = 2;

  setvbuf (stdout, NULL, _IOLBF, 0);
  if (argc < 3 || g_getenv ("FAKEXEN_DIR") == NULL)
    return 2;
  store = xds_userdata_store_new (argv[1], &hypervisor, &error);
  if (store == NULL)
    return report (FALSE, error);
  for (gsize i = 0; i < G_N_ELEMENTS (verbs); i++)
    if (strcmp (argv[2], verbs[i].name) == 0 && argc - 3 == verbs[i].n)
      status = verbs[i].run (argv + 3);
  xds_userdata_store_free (store);
  return status;
}
