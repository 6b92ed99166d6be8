/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The audit.
 *
 * As in a sweep, the files are listed before the domains are asked for, and each removal is done
 * under the lock after asking again; so --fix is as safe as the sweep is.  What only its maker can
 * judge is reported and left.
 */

#include "userdata/audit.h"
#include "userdata/boot.h"
#include "userdata/store-private.h"
#include "userdata/sweep.h"

#include <string.h>
#include <unistd.h>

static const char *const kinds[] = {
  [XDS_AUDIT_ORPHAN] = "orphan",
  [XDS_AUDIT_OTHER_UUID] = "other-uuid",
  [XDS_AUDIT_EARLIER_BOOT] = "earlier-boot",
  [XDS_AUDIT_LEFTOVER] = "leftover",
  [XDS_AUDIT_STALE_LOCK] = "stale-lock",
  [XDS_AUDIT_EMPTY] = "empty",
  [XDS_AUDIT_BAD_NAME] = "bad-name",
  [XDS_AUDIT_NOT_REGULAR] = "not-regular",
  [XDS_AUDIT_FOREIGN] = "foreign",
};

G_STATIC_ASSERT (G_N_ELEMENTS (kinds) == XDS_AUDIT_MAX_);

void
xds_audit_finding_free (XdsAuditFinding *finding)
{
  if (finding == NULL)
    return;
  g_free (finding->file);
  g_free (finding);
}

const char *
xds_audit_kind_name (XdsAuditKind kind)
{
  return (guint) kind < G_N_ELEMENTS (kinds) ? kinds[kind] : "unknown";
}

/* --- looking --- */

static const XdsUserdataDomain *
find_domid (const GArray *domains, guint domid)
{
  for (guint i = 0; i < domains->len; i++)
    if (g_array_index (domains, XdsUserdataDomain, i).domid == domid)
      return &g_array_index (domains, XdsUserdataDomain, i);
  return NULL;
}

/* New files and locks come and go all the time.  Without taking the lock, which would change
   something, only their age tells. */
static gboolean
is_old (XdsUserdataStore *store, const struct stat *st)
{
  gint64 now = store->backend->clock (store->backend, XDS_CLOCK_REAL) / G_USEC_PER_SEC;

  return st->st_mtim.tv_sec + 60 < now;
}

/* Taken to find out: if that works, nobody else had it, and giving it back removes the file. */
static gboolean
break_lock (XdsUserdataStore *store, const char *file)
{
  g_autoptr (XdsUserdataLock) lock
      = xds_userdata_lock_take (store->backend, file, XDS_USERDATA_LOCK_TRY, NULL);

  return lock != NULL;
}

/* What the file is by itself, whoever it belongs to; MAX_ if nothing is wrong. */
static XdsAuditKind
judge_file (XdsUserdataStore *store, const XdsUserdataName *name, const struct stat *st)
{
  if (!S_ISREG (st->st_mode))
    return XDS_AUDIT_NOT_REGULAR;
  if (st->st_uid != 0 && st->st_uid != geteuid ())
    return XDS_AUDIT_FOREIGN;
  if (name->letter == 'n')
    return XDS_AUDIT_LEFTOVER;
  if (name->letter == 'l')
    return XDS_AUDIT_STALE_LOCK;
  if (xds_userdata_is_stale (store, name->domid, st))
    return XDS_AUDIT_EARLIER_BOOT;
  if (name->letter == 'd' && !xds_userdata_userid_valid (name->userid))
    return XDS_AUDIT_BAD_NAME;
  if (name->letter == 'd' && st->st_size == 0)
    return XDS_AUDIT_EMPTY;
  return XDS_AUDIT_MAX_;
}

static XdsAuditKind
judge (XdsUserdataStore *store, const XdsUserdataName *name, const struct stat *st,
       const GArray *domains)
{
  const XdsUserdataDomain *domain = find_domid (domains, name->domid);

  if (domain == NULL || domain->dying)
    return XDS_AUDIT_ORPHAN;
  if (!xds_userdata_domain_may_be (domain, name->uuid))
    return XDS_AUDIT_OTHER_UUID;
  return judge_file (store, name, st);
}

/* --- mending --- */

static gboolean
sweep (XdsUserdataStore *store, const XdsUserdataName *name)
{
  XdsUserdataOwner owner = { .domid = name->domid };
  struct stat st;
  g_autofree char *file
      = xds_userdata_file_name (name->letter, name->domid, name->uuid, name->userid);

  if (name->domid == 0)
    return FALSE;
  memcpy (owner.uuid, name->uuid, sizeof owner.uuid);
  /* An earlier finding of the same owner may have taken this file along. */
  return store->backend->stat (store->backend, file, &st) < 0
         || xds_userdata_sweep_owner (store, &owner, NULL, NULL, NULL) == XDS_SWEEP_DONE;
}

/* A file of somebody who lives: whoever holds the lock knows that no store is under way. */
static gboolean
remove_locked (XdsUserdataStore *store, const char *file, const XdsUserdataName *name)
{
  XdsUserdataDomain domain;
  g_autoptr (XdsUserdataLock) lock = NULL;

  if (!xds_userdata_ask (store, name->domid, FALSE, &domain, NULL)
      || strcmp (domain.uuid, name->uuid) != 0)
    return FALSE;
  lock = xds_userdata_lock_domain (store, &domain, MIN (store->timeout, G_USEC_PER_SEC), FALSE,
                                   NULL);
  return lock != NULL && xds_userdata_file_remove (store->backend, file, FALSE, NULL);
}

static gboolean
mend (XdsUserdataStore *store, XdsAuditKind kind, const char *file, const XdsUserdataName *name)
{
  struct stat st;

  switch (kind)
    {
    case XDS_AUDIT_ORPHAN:
    case XDS_AUDIT_OTHER_UUID:
      return sweep (store, name);
    case XDS_AUDIT_EARLIER_BOOT:
      return store->backend->stat (store->backend, file, &st) == 0
             && xds_userdata_boot_predates (store->backend, &st)
             && remove_locked (store, file, name);
    case XDS_AUDIT_LEFTOVER:
      return remove_locked (store, file, name);
    case XDS_AUDIT_STALE_LOCK:
      return break_lock (store, file);
    default:
      return FALSE;
    }
}

/* --- all of it --- */

/* (transfer full) (nullable) */
static XdsAuditFinding *
audit_file (XdsUserdataStore *store, const char *file, const GArray *domains, gboolean fix)
{
  XdsAuditFinding *finding;
  XdsUserdataName name;
  XdsAuditKind kind;
  struct stat st;

  if (!xds_userdata_name_parse (file, &name)
      || store->backend->stat (store->backend, file, &st) < 0)
    return NULL;
  kind = judge (store, &name, &st, domains);
  if (kind == XDS_AUDIT_MAX_
      || ((kind == XDS_AUDIT_LEFTOVER || kind == XDS_AUDIT_STALE_LOCK) && !is_old (store, &st)))
    return NULL;
  finding = g_new0 (XdsAuditFinding, 1);
  finding->kind = kind;
  finding->file = g_strdup (file);
  finding->domid = name.domid;
  finding->fixed = fix && mend (store, kind, file, &name);
  return finding;
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

GPtrArray *
xds_userdata_store_audit (XdsUserdataStore *store, gboolean fix, GError **error)
{
  g_autoptr (GPtrArray) names = xds_userdata_names (store, NULL, error);
  g_autoptr (GArray) domains = NULL;
  GPtrArray *findings;

  if (names == NULL)
    return NULL;
  domains = store->hypervisor.all (store->hypervisor.data, error);
  if (domains == NULL)
    return NULL;
  findings = g_ptr_array_new_with_free_func ((GDestroyNotify) xds_audit_finding_free);
  g_ptr_array_sort (names, compare_names);
  for (guint i = 0; i < names->len; i++)
    {
      XdsAuditFinding *finding = audit_file (store, names->pdata[i], domains, fix);

      if (finding != NULL)
        g_ptr_array_add (findings, finding);
    }
  return findings;
}
