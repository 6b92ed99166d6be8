/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The keeper waits for a descriptor and for points in time; both are given to our own loop, since
 * a source of its own would make each turn a poll() dearer (see loop.c).
 *
 * Watch events are fired after the keeper has returned: it must not be called from its own
 * callbacks, and firing can lead anywhere.
 */

#include "xsd/daemon/blobs.h"

#include "userdata/keeper.h"
#include "xsd/wire/path.h"

#include <errno.h>
#include <string.h>

struct XdsBlobs
{
  XdsLoopItem item; /* must be first */
  XdsLoop *loop;
  XdsBlobsFire fire;
  gpointer data; /* (unowned) of @fire */
  XdsDomains *domains;
  XdsUserdataStore *store;
  XdsUserdataKeeper *keeper;
  GPtrArray *to_fire;    /* (element-type utf8) */
  GHashTable *resetting; /* (element-type guint) domids in a soft reset */
};

/* --- the hypervisor, in userdata's words --- */

static XdsUserdataDomain
convert (const XdsDomainV1 *domain)
{
  gboolean shutdown = (domain->state & XDS_DOMAIN_SHUTDOWN) != 0;
  XdsUserdataDomain converted = {
    .domid = domain->domid,
    .unique_id = domain->unique_id,
    .shutdown = shutdown,
    .soft_reset = shutdown && domain->reason == XDS_SHUTDOWN_SOFT_RESET,
    .dying = (domain->state & (XDS_DOMAIN_DYING | XDS_DOMAIN_DEAD)) != 0,
  };

  xds_userdata_uuid_format (domain->domid, domain->uuid, converted.uuid);
  return converted;
}

static gboolean
ask_one (gpointer data, guint domid, XdsUserdataDomain *ret_domain, GError **error)
{
  XdsDomains *domains = ((XdsBlobs *) data)->domains;
  XdsDomainV1 domain;
  int res = domains->plugin->domain (domains->self, domid, &domain);

  if (res >= 0)
    {
      *ret_domain = convert (&domain);
      return TRUE;
    }
  if (res == -ESRCH)
    g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_NO_DOMAIN, "there is no domain %u",
                 domid);
  else
    g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_FAILED,
                 "the hypervisor does not tell of domain %u: %s", domid, g_strerror (-res));
  return FALSE;
}

static GArray *
ask_all (gpointer data, GError **error)
{
  const XdsDomainV1 *domains;
  GArray *all;
  gsize n;

  if (!xds_domains_all (((XdsBlobs *) data)->domains, &domains, &n, error))
    return NULL;
  all = g_array_sized_new (FALSE, FALSE, sizeof (XdsUserdataDomain), n);
  for (gsize i = 0; i < n; i++)
    {
      XdsUserdataDomain converted = convert (&domains[i]);

      g_array_append_val (all, converted);
    }
  return all;
}

/* --- news --- */

/* A userid can hold letters that no path may; then the event is its domain's. */
static void
changed (gpointer data, guint domid, const char *userid, XdsUserdataChange change G_GNUC_UNUSED)
{
  XdsBlobs *self = data;
  gboolean whole = userid != NULL && xds_path_valid_name (userid, strlen (userid));

  if (userid == NULL)
    g_ptr_array_add (self->to_fire, g_strdup (XDS_BLOBS_ALL));
  else
    g_ptr_array_add (self->to_fire, whole ? g_strdup_printf ("@userdata/%u/%s", domid, userid)
                                          : g_strdup_printf ("@userdata/%u", domid));
}

static void
swept (gpointer data G_GNUC_UNUSED, const XdsUserdataOwner *owner)
{
  g_info ("removed the userdata of domain %u (%s), which is gone", owner->domid, owner->uuid);
}

static void
trouble (gpointer data G_GNUC_UNUSED, const GError *error)
{
  g_warning ("userdata: %s", error->message);
}

static void
dispatch (XdsBlobs *self)
{
  xds_loop_disturb (self->loop);
  xds_userdata_keeper_dispatch (self->keeper);
  for (guint i = 0; i < self->to_fire->len; i++)
    self->fire (self->data, self->to_fire->pdata[i]);
  g_ptr_array_set_size (self->to_fire, 0);
}

static void
folder_turn (XdsLoopItem *item, guint32 events G_GNUC_UNUSED)
{
  dispatch ((XdsBlobs *) item);
}

/* libxl removes all data of a domain that it resets, as soon as it hears of the shutdown; so what
   is not its own is put aside right before that, once for each reset. */
void
xds_blobs_domains (XdsBlobs *self, const XdsDomainV1 *domains, gsize n)
{
  g_autoptr (GHashTable) before = g_steal_pointer (&self->resetting);

  self->resetting = g_hash_table_new (NULL, NULL);
  for (gsize i = 0; i < n; i++)
    {
      gpointer domid = GUINT_TO_POINTER (domains[i].domid);

      if ((domains[i].state & XDS_DOMAIN_SHUTDOWN) == 0
          || domains[i].reason != XDS_SHUTDOWN_SOFT_RESET)
        continue;
      g_hash_table_add (self->resetting, domid);
      if (!g_hash_table_contains (before, domid))
        xds_userdata_keeper_soft_reset (self->keeper, domains[i].domid);
    }
  xds_userdata_keeper_kick (self->keeper);
}

void
xds_blobs_introduced (XdsBlobs *self, guint domid)
{
  xds_userdata_keeper_introduced (self->keeper, domid);
}

gint64
xds_blobs_deadline (XdsBlobs *self)
{
  return xds_userdata_keeper_next (self->keeper);
}

void
xds_blobs_tick (XdsBlobs *self, gint64 now)
{
  gint64 due = xds_userdata_keeper_next (self->keeper);

  if (due >= 0 && due <= now)
    dispatch (self);
}

/* --- life --- */

XdsBlobs *
xds_blobs_new (const XdsConfig *config, XdsLoop *loop, XdsBlobsFire fire, gpointer data,
               XdsDomains *domains, GError **error)
{
  static const XdsUserdataKeeperEvents events = { changed, swept, trouble };
  g_autoptr (XdsBlobs) self = g_new0 (XdsBlobs, 1);
  const XdsUserdataHypervisor hypervisor = { ask_one, ask_all, self };
  int fd;

  self->item.fd = -1;
  self->loop = loop;
  self->fire = fire;
  self->data = data;
  self->domains = domains;
  self->to_fire = g_ptr_array_new_with_free_func (g_free);
  self->resetting = g_hash_table_new (NULL, NULL);
  self->store = xds_userdata_store_new (config->userdata_dir, &hypervisor, error);
  if (self->store == NULL)
    return NULL;
  self->keeper = xds_userdata_keeper_new (self->store, &events, self);
  if (config->last_will != 0)
    xds_userdata_keeper_set_will (self->keeper, config->last_will);
  if (!xds_userdata_keeper_start (self->keeper, error))
    return NULL;
  fd = xds_userdata_keeper_fd (self->keeper);
  if (fd >= 0 && !xds_loop_add (loop, &self->item, fd, EPOLLIN, folder_turn, error))
    return NULL;
  return g_steal_pointer (&self);
}

void
xds_blobs_free (XdsBlobs *self)
{
  if (self == NULL)
    return;
  xds_loop_remove (self->loop, &self->item);
  g_clear_pointer (&self->keeper, xds_userdata_keeper_free);
  g_clear_pointer (&self->store, xds_userdata_store_free);
  g_ptr_array_unref (self->to_fire);
  g_hash_table_unref (self->resetting);
  g_free (self);
}
