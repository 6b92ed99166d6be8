/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Domains that the store knows: those introduced, and those that a permission list or a limit
 * names, since their death has to be noticed too.
 *
 * Death removes what the domain owned and strikes its id from all lists, at once and before
 * anybody is told.  A domid that comes back with another unique id is another domain.
 */

#include "xsd/core/state.h"

#include <stdlib.h>

gboolean
xds_domid_resident (const XdsEngine *engine, guint domid)
{
  return domid == 0 || domid == engine->store_domid;
}

gboolean
xds_domid_privileged (const XdsEngine *engine, guint domid)
{
  return xds_domid_resident (engine, domid) || domid == engine->privileged_domid;
}

XdsDomain *
xds_domain_find (XdsEngine *engine, guint domid)
{
  return g_hash_table_lookup (engine->domains, GUINT_TO_POINTER (domid));
}

XdsDomain *
xds_domain_add (XdsEngine *engine, guint domid, guint64 unique_id)
{
  XdsDomain *domain = g_new0 (XdsDomain, 1);

  domain->domid = domid;
  domain->account = xds_account_ref (&engine->quotas, domid);
  domain->unique_id = unique_id;
  domain->features = XDS_FEATURES_ALL;
  domain->target = -1;
  g_hash_table_insert (engine->domains, GUINT_TO_POINTER (domid), domain);
  engine->statistics.domains++;
  return domain;
}

void
xds_domain_free (XdsEngine *engine, XdsDomain *domain)
{
  g_hash_table_remove (engine->domains, GUINT_TO_POINTER (domain->domid));
  engine->statistics.domains--;
  xds_account_clear_limits (domain->account);
  xds_account_unref (&engine->quotas, domain->account);
  g_free (domain);
}

static gboolean
ask_host (XdsEngine *engine, guint domid, XdsDomainState *ret_state)
{
  *ret_state = (XdsDomainState){ .domid = domid };
  return xds_domid_resident (engine, domid) || xds_ask_domain_state (engine, domid, ret_state);
}

static gboolean
is_other (const XdsDomain *domain, guint64 unique_id)
{
  return domain->unique_id != 0 && unique_id != 0 && domain->unique_id != unique_id;
}

static gboolean
is_served (const XdsDomain *domain)
{
  return domain->peer != NULL && domain->peer->serving;
}

XdsDomain *
xds_domain_get (XdsEngine *engine, guint domid)
{
  XdsDomain *domain = xds_domain_find (engine, domid);
  XdsDomainState state;

  if (domid >= XDS_DOMID_FIRST_RESERVED || !ask_host (engine, domid, &state))
    return NULL;
  if (domain != NULL && is_other (domain, state.unique_id))
    {
      /* A request that the dead one had left in its ring: it must not end under its own feet, and
         what it asks about itself is not there any more. */
      if (is_served (domain))
        return NULL;
      xds_domain_release (engine, domain);
      domain = NULL;
    }
  return domain != NULL ? domain : xds_domain_add (engine, domid, state.unique_id);
}

/* --- introduction --- */

static XdsStatus
connect_domain (XdsEngine *engine, XdsDomain *domain, guint64 gfn, guint port)
{
  XdsStatus status;

  domain->peer = xds_peer_new (engine, domain, NULL);
  status = xds_ask_domain_connect (engine, domain->peer, gfn, port);
  if (status != XDS_OK)
    xds_peer_free (domain->peer);
  return status;
}

XdsStatus
xds_domain_introduce (XdsEngine *engine, guint domid, guint64 gfn, guint port)
{
  XdsDomain *domain = xds_domid_resident (engine, domid) ? NULL : xds_domain_get (engine, domid);

  if (domain == NULL || is_served (domain))
    return XDS_EINVAL;
  if (domain->introduced)
    {
      xds_peer_reset (domain->peer);
      return xds_ask_domain_reconnect (engine, domain->peer, port);
    }
  if (connect_domain (engine, domain, gfn, port) != XDS_OK)
    return XDS_EINVAL;
  domain->introduced = TRUE;
  xds_fire_domain (engine, "@introduceDomain", domid, TRUE, TRUE);
  if (engine->host->domain_introduced != NULL)
    engine->host->domain_introduced (engine->host_data, domid);
  return XDS_OK;
}

XdsPeer *
xds_engine_add_domain_peer (XdsEngine *engine, guint domid)
{
  XdsDomain *domain = xds_domain_find (engine, domid);
  gboolean known = domain != NULL && domain->peer != NULL;
  gboolean begun = xds_journal_begin_call (
      engine, XDS_RECORD_ADD_RING, known ? domain->peer->id : engine->last_peer_id + 1, domid);

  if (domain == NULL)
    domain = xds_domain_add (engine, domid, 0);
  if (domain->peer == NULL)
    domain->peer = xds_peer_new (engine, domain, NULL);
  domain->introduced = TRUE;
  xds_journal_end (engine, begun);
  return domain->peer;
}

XdsPeer *
xds_engine_domain_peer (XdsEngine *engine, guint domid)
{
  XdsDomain *domain = xds_domain_find (engine, domid);

  return domain != NULL ? domain->peer : NULL;
}

/* --- death --- */

/* The outermost ancestor of @node, or itself, that @domid owns. */
static XdsNode *
outermost_owned (XdsNode *node, guint domid)
{
  XdsNode *top = node;

  for (XdsNode *up = node->parent; up != NULL; up = up->parent)
    if (xds_acl_owner (up->acl) == domid && !(up->flags & XDS_NODE_FIXED))
      top = up;
  return top;
}

static void
give_to (XdsEngine *engine, XdsNode *node, guint domid)
{
  XdsAcl *acl = xds_acl_with_owner (&engine->store.acls, node->acl, domid);

  xds_store_set_acl (&engine->store, node, acl);
  xds_acl_unref (&engine->store.acls, acl);
}

/* Nodes of the list that stay go to another owner; the outermost of those that do not to @tops. */
static void
disown (XdsEngine *engine, XdsAcl *acl, guint domid, GHashTable *tops)
{
  XdsNode *node = acl->nodes, *next;

  for (; node != NULL; node = next)
    {
      next = node->acl_next;
      if (engine->keep_orphans || (node->flags & XDS_NODE_FIXED))
        give_to (engine, node, engine->privileged_domid);
      else
        g_hash_table_add (tops, outermost_owned (node, domid));
    }
}

static guint
depth_of (const XdsNode *node)
{
  guint depth = 0;

  for (; node->parent != NULL; node = node->parent)
    depth++;
  return depth;
}

/* As a walk over the tree meets them, neither being above the other. */
static int
compare_tops (gconstpointer a, gconstpointer b)
{
  const XdsNode *x = *(XdsNode *const *) a, *y = *(XdsNode *const *) b;
  guint of_x = depth_of (x), of_y = depth_of (y);

  for (; of_x > of_y; of_x--)
    x = x->parent;
  for (; of_y > of_x; of_y--)
    y = y->parent;
  while (x->parent != y->parent)
    {
      x = x->parent;
      y = y->parent;
    }
  return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* In the order of the tree, so that it is the same whatever lists there are in memory. */
static void
remove_tops (XdsEngine *engine, GHashTable *tops)
{
  g_autoptr (GPtrArray) nodes = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer node;

  g_hash_table_iter_init (&iter, tops);
  while (g_hash_table_iter_next (&iter, &node, NULL))
    g_ptr_array_add (nodes, node);
  g_ptr_array_sort (nodes, compare_tops);
  for (guint i = 0; i < nodes->len; i++)
    {
      xds_fire_node (engine, nodes->pdata[i], NULL);
      xds_store_remove (&engine->store, nodes->pdata[i]);
    }
}

static void
strike (XdsEngine *engine, XdsAcl *acl, guint domid)
{
  XdsAcl *rest = xds_acl_without (&engine->store.acls, acl, domid);

  while (acl->nodes != NULL)
    xds_store_set_acl (&engine->store, acl->nodes, rest);
  xds_acl_unref (&engine->store.acls, rest);
}

/* Lists that name @domid: those of which it is the owner (@owned), or the others. */
static void
retire_lists (XdsEngine *engine, guint domid, gboolean owned)
{
  g_autoptr (GPtrArray) lists = xds_acl_table_naming (&engine->store.acls, domid);
  g_autoptr (GHashTable) tops = g_hash_table_new (NULL, NULL);

  for (guint i = 0; i < lists->len; i++)
    {
      XdsAcl *acl = lists->pdata[i];

      if ((xds_acl_owner (acl) == domid) != owned)
        continue;
      if (owned)
        disown (engine, acl, domid, tops);
      else
        strike (engine, acl, domid);
    }
  remove_tops (engine, tops);
  for (guint i = 0; i < lists->len; i++)
    {
      XdsAcl *acl = lists->pdata[i];

      if ((xds_acl_owner (acl) == domid) == owned)
        xds_acl_retire (&engine->store.acls, acl);
      xds_acl_unref (&engine->store.acls, acl);
    }
}

/* Owned ones first: who inherits a kept orphan may be on a list that names the domain as well. */
static void
forget_domid (XdsEngine *engine, guint domid)
{
  retire_lists (engine, domid, TRUE);
  retire_lists (engine, domid, FALSE);
}

static void
forget_target (XdsEngine *engine, guint domid)
{
  GHashTableIter iter;
  gpointer value;

  if (!engine->any_target)
    return;
  g_hash_table_iter_init (&iter, engine->domains);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    if (((XdsDomain *) value)->target == (gint) domid)
      ((XdsDomain *) value)->target = -1;
}

void
xds_domain_release (XdsEngine *engine, XdsDomain *domain)
{
  guint domid = domain->domid;
  gboolean introduced = domain->introduced;

  if (domain->peer != NULL)
    {
      xds_peer_reset (domain->peer);
      if (engine->host->domain_disconnect != NULL)
        engine->host->domain_disconnect (engine->host_data, domain->peer, domid);
      xds_peer_free (domain->peer);
    }
  xds_domain_free (engine, domain);
  forget_target (engine, domid);
  forget_domid (engine, domid);
  if (!introduced)
    return;
  xds_fire_domain (engine, "@releaseDomain", domid, TRUE, TRUE);
  if (engine->host->domain_released != NULL)
    engine->host->domain_released (engine->host_data, domid);
}

/* --- what the hypervisor says --- */

static gboolean
is_end (const XdsDomain *domain, const XdsDomainState *state)
{
  return state->dying || is_other (domain, state->unique_id);
}

static gboolean
is_news (XdsEngine *engine, const XdsDomain *domain, const XdsDomainState *state)
{
  if (xds_domid_resident (engine, domain->domid))
    return FALSE;
  return is_end (domain, state) || (domain->unique_id == 0 && state->unique_id != 0)
         || (domain->introduced && state->shutdown && !domain->shutdown);
}

/* TRUE if the domain has shut down and nobody was told the bare event yet. */
static gboolean
apply_state (XdsEngine *engine, XdsDomain *domain, const XdsDomainState *state)
{
  if (is_end (domain, state))
    {
      xds_domain_release (engine, domain);
      return FALSE;
    }
  if (domain->unique_id == 0)
    domain->unique_id = state->unique_id;
  if (!domain->introduced || !state->shutdown || domain->shutdown)
    return FALSE;
  domain->shutdown = TRUE;
  xds_fire_domain (engine, "@releaseDomain", domain->domid, FALSE, TRUE);
  return TRUE;
}

void
xds_domain_apply (XdsEngine *engine, const XdsDomainState *changes, gsize n)
{
  gboolean any = FALSE;

  for (gsize i = 0; i < n; i++)
    {
      XdsDomain *domain = xds_domain_find (engine, changes[i].domid);

      if (domain != NULL && is_news (engine, domain, &changes[i]))
        any |= apply_state (engine, domain, &changes[i]);
    }
  if (any)
    xds_fire_domain (engine, "@releaseDomain", 0, TRUE, FALSE);
}

static void
apply (XdsEngine *engine, const XdsDomainState *changes, gsize n)
{
  const XdsSpan part = { (const char *) changes, n * sizeof *changes };
  gboolean begun;

  if (n == 0)
    return;
  begun = xds_journal_begin (engine, XDS_RECORD_DOMAINS, &part, 1);
  xds_domain_apply (engine, changes, n);
  xds_journal_end (engine, begun);
}

static int
by_domid (const void *a, const void *b)
{
  const XdsDomainState *x = a, *y = b;

  return x->domid < y->domid ? -1 : x->domid > y->domid;
}

static gint
compare_states (gconstpointer a, gconstpointer b)
{
  return by_domid (a, b);
}

void
xds_engine_domains (XdsEngine *engine, const XdsDomainState *domains, gsize n)
{
  g_autoptr (GArray) changes = g_array_new (FALSE, FALSE, sizeof (XdsDomainState));
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, engine->domains);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      const XdsDomain *domain = value;
      const XdsDomainState gone = { .domid = domain->domid, .dying = TRUE };
      const XdsDomainState *state
          = n > 0 ? bsearch (&gone, domains, n, sizeof gone, by_domid) : NULL;

      if (state == NULL)
        state = &gone;
      if (is_news (engine, domain, state))
        g_array_append_vals (changes, state, 1);
    }
  g_array_sort (changes, compare_states); /* so that a run can be repeated */
  apply (engine, (const XdsDomainState *) changes->data, changes->len);
}

void
xds_engine_visit_domains (XdsEngine *engine, XdsDomainVisit visit, void *data)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, engine->domains);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      const XdsDomain *domain = value;
      const XdsDomainState state = {
        .domid = domain->domid,
        .shutdown = domain->shutdown,
        .unique_id = domain->unique_id,
      };

      if (domain->introduced && !xds_domid_resident (engine, domain->domid))
        visit (data, &state);
    }
}

void
xds_engine_domain_changed (XdsEngine *engine, guint domid, const XdsDomainState *state)
{
  const XdsDomain *domain = xds_domain_find (engine, domid);
  XdsDomainState change = { .domid = domid, .dying = TRUE };

  if (state != NULL)
    change = *state;
  change.domid = domid;
  if (domain != NULL && is_news (engine, domain, &change))
    apply (engine, &change, 1);
}
