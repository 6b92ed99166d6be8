/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The operations on nodes.  Each is written once for both worlds: a spot is a node of the live
 * store, or of a transaction.
 */

#include "xsd/core/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct
{
  XdsNode *live;     /* outside of a transaction */
  XdsTxnNode *inner; /* in one */
} Spot;

/* --- both worlds --- */

/* FALSE in *@ret_found: *@near is the nearest ancestor, *@ret_pos where the first missing name
   is. */
static XdsStatus
spot_find (XdsRequest *request, Spot *spot, Spot *near, gsize *ret_pos, gboolean *ret_found)
{
  const XdsPath *path = &request->path;
  XdsTxn *txn = request->txn;

  *spot = *near = (Spot){ 0 };
  if (txn == NULL)
    {
      spot->live = xds_store_find (&request->engine->store, path->text, path->len, &near->live,
                                   ret_pos);
      *ret_found = spot->live != NULL;
      return XDS_OK;
    }
  spot->inner = xds_txn_find (txn, path->text, path->len, &near->inner, ret_pos);
  *ret_found = spot->inner != NULL;
  return xds_request_check (request, XDS_QUOTA_TRANSACTION_NODES, txn->n_targets);
}

static XdsAcl *
spot_acl (XdsRequest *request, const Spot *spot)
{
  return spot->inner != NULL ? xds_txn_acl (request->txn, spot->inner) : spot->live->acl;
}

static gboolean
spot_allows (XdsRequest *request, const Spot *spot, guint access)
{
  XdsPeer *peer = request->peer;

  return peer->privileged
         || (xds_acl_access (spot_acl (request, spot), xds_peer_actor (peer),
                             xds_peer_target (peer))
             & access)
                == access;
}

/* That something is absent may be known where its nearest ancestor can be read. */
static XdsStatus
absent (XdsRequest *request, const Spot *near)
{
  return spot_allows (request, near, XDS_PERM_READ) ? XDS_ENOENT : XDS_EACCES;
}

/* Parses the path, looks it up, and asks for @access on what is there. */
static XdsStatus
open_spot (XdsRequest *request, XdsSpan text, XdsPathFlags flags, guint access, Spot *ret_spot)
{
  XdsStatus status = xds_request_path (request, text, flags);
  gboolean found;
  Spot near;
  gsize pos;

  if (status == XDS_OK)
    status = spot_find (request, ret_spot, &near, &pos, &found);
  if (status != XDS_OK)
    return status;
  if (!found)
    return absent (request, &near);
  return spot_allows (request, ret_spot, access) ? XDS_OK : XDS_EACCES;
}

/*
 * The one special path that can be read: the protocol answers ENOSPC whatever the limit, and a
 * guest may neither ask by CONTROL nor see the log.  Behind ENOSPC's NUL there would be room, but
 * some clients compare the whole answer; and the devices of old kernels let READ through and no
 * request that they do not know.
 */
static gboolean
is_refusal (const XdsRequest *request)
{
  static const char name[] = "@quota/refused";

  return request->payload.len == sizeof name
         && memcmp (request->payload.data, name, sizeof name) == 0;
}

static XdsStatus
open_only (XdsRequest *request, XdsPathFlags flags, guint access, Spot *ret_spot)
{
  XdsSpan text;

  if (!xds_msg_split (request->payload, &text, 1))
    return XDS_EINVAL;
  return open_spot (request, text, flags, access, ret_spot);
}

/* --- reading --- */

XdsStatus
xds_op_read (XdsRequest *request)
{
  XdsStatus status;
  Spot spot;

  if (is_refusal (request))
    return xds_request_refusal (request);
  status = open_only (request, XDS_PATH_NODE, XDS_PERM_READ, &spot);
  if (status != XDS_OK)
    return status;
  if (spot.inner != NULL)
    request->reply = xds_txn_value (request->txn, spot.inner, &request->reply_len);
  else
    {
      request->reply = xds_node_value (spot.live);
      request->reply_len = spot.live->value_len;
    }
  return XDS_OK;
}

XdsStatus
xds_op_get_perms (XdsRequest *request)
{
  char *at = (char *) request->engine->scratch, *end = at + XDS_PAYLOAD_MAX;
  XdsStatus status;
  const XdsAcl *acl;
  Spot spot;

  status = open_only (request, XDS_PATH_SPECIAL_ALLOWED, XDS_PERM_READ, &spot);
  if (status != XDS_OK)
    return status;
  acl = spot_acl (request, &spot);
  for (guint i = 0; i < acl->n; i++)
    {
      if (end - at < XDS_PERM_TEXT_MAX)
        return XDS_E2BIG;
      at += xds_perm_print (&acl->perms[i], at) + 1;
    }
  xds_request_reply_scratch (request, at - (char *) request->engine->scratch);
  return XDS_OK;
}

/* --- listing --- */

static gsize
put_names (const XdsDir *dir, char *at)
{
  const char *start = at;

  for (guint32 i = 0; i < dir->n_entries; i++)
    if (dir->entries[i] != NULL)
      {
        const XdsNode *child = dir->entries[i];

        at = (char *) memcpy (at, child->blob, child->name_len) + child->name_len;
        *at++ = '\0';
      }
  return at - start;
}

XdsStatus
xds_op_directory (XdsRequest *request)
{
  Spot spot;
  XdsStatus status = open_only (request, XDS_PATH_NODE, XDS_PERM_READ, &spot);
  guint64 generation;

  if (status != XDS_OK)
    return status;
  if (spot.inner != NULL)
    {
      const GString *listing = xds_txn_listing (request->txn, spot.inner, &generation);

      if (listing->len > XDS_PAYLOAD_MAX)
        return XDS_E2BIG;
      request->reply = listing->str;
      request->reply_len = listing->len;
      return XDS_OK;
    }
  if (spot.live->dir != NULL && spot.live->dir->list_bytes > XDS_PAYLOAD_MAX)
    return XDS_E2BIG;
  xds_request_reply_scratch (request, spot.live->dir != NULL
                                          ? put_names (spot.live->dir,
                                                       (char *) request->engine->scratch)
                                          : 0);
  return XDS_OK;
}

/* Appends names of a listing from @offset on, whole ones, as many as fit; the number of bytes. */
static gsize
part_of_text (const GString *listing, gsize offset, char *at, gsize room)
{
  gsize n;

  if (offset >= listing->len)
    return 0;
  n = MIN (listing->len - offset, room);
  while (n > 0 && listing->str[offset + n - 1] != '\0')
    n--;
  memcpy (at, listing->str + offset, n);
  return n;
}

/*
 * The same of a directory of the live store.  The peer remembers where its last part ended, so that
 * all parts together look at each entry once.
 */
static gsize
part_of_dir (XdsPeer *peer, const XdsDir *dir, gsize offset, char *at, gsize room)
{
  gsize pos = 0, n = 0;
  guint32 i = 0;

  if (offset >= dir->list_bytes)
    return 0;
  if (peer->part_generation == dir->generation && peer->part_offset <= offset)
    {
      pos = peer->part_offset;
      i = peer->part_entry;
    }
  for (; i < dir->n_entries; i++)
    {
      const XdsNode *child = dir->entries[i];
      gsize skip, len;

      if (child == NULL)
        continue;
      len = child->name_len + 1;
      if (pos + len <= offset)
        {
          pos += len;
          continue;
        }
      skip = offset > pos ? offset - pos : 0;
      if (n + len - skip > room)
        break;
      memcpy (at + n, child->blob + skip, len - 1 - skip);
      n += len - skip;
      at[n - 1] = '\0';
      pos += len;
    }
  peer->part_generation = dir->generation;
  peer->part_offset = pos;
  peer->part_entry = i;
  return n;
}

XdsStatus
xds_op_directory_part (XdsRequest *request)
{
  char *out = (char *) request->engine->scratch;
  const GString *listing = NULL;
  const XdsDir *dir = NULL;
  guint64 generation = 0;
  gsize used, n = 0, total;
  XdsSpan strings[2];
  XdsStatus status;
  gint64 offset;
  Spot spot;

  if (!xds_msg_split (request->payload, strings, 2))
    return XDS_EINVAL;
  status = open_spot (request, strings[0], XDS_PATH_NODE, XDS_PERM_READ, &spot);
  if (status != XDS_OK)
    return status;
  /* Whatever is no number is 0, and past the end there is nothing: as clients know it. */
  offset = strtoll (strings[1].data, NULL, 10);
  if (spot.inner != NULL)
    listing = xds_txn_listing (request->txn, spot.inner, &generation);
  else if ((dir = spot.live->dir) != NULL)
    generation = dir->generation;
  total = listing != NULL ? listing->len : dir != NULL ? dir->list_bytes : 0;
  used = snprintf (out, XDS_PAYLOAD_MAX, "%" G_GUINT64_FORMAT, generation) + 1;
  if (offset < 0)
    offset = total;
  if (listing != NULL)
    n = part_of_text (listing, offset, out + used, XDS_PAYLOAD_MAX - used - 1);
  else if (dir != NULL)
    n = part_of_dir (request->peer, dir, offset, out + used, XDS_PAYLOAD_MAX - used - 1);
  used += n;
  if ((gsize) offset + n >= total)
    out[used++] = '\0';
  xds_request_reply_scratch (request, used);
  return XDS_OK;
}

/* --- writing --- */

static XdsStatus
check_memory (XdsRequest *request, gsize more)
{
  guint64 used = request->peer->account->used[XDS_QUOTA_MEMORY];

  return request->peer->privileged ? XDS_OK
                                   : xds_request_check (request, XDS_QUOTA_MEMORY, used + more);
}

/* May the peer own @n more nodes? */
static XdsStatus
check_nodes (XdsRequest *request, guint n)
{
  const XdsAccount *account = request->peer->account;
  gint64 total = account->used[XDS_QUOTA_NODES] + n;

  if (request->peer->privileged)
    return XDS_OK;
  if (request->txn != NULL)
    total += xds_txn_node_delta (request->txn, account);
  return xds_request_check (request, XDS_QUOTA_NODES, MAX (total, 0));
}

/* What a new node below @near gets: the same list, but its maker is the owner. */
static XdsAcl *
inherit (XdsRequest *request, const Spot *near)
{
  XdsAcl *acl = spot_acl (request, near);

  if (request->peer->privileged)
    return xds_acl_ref (acl);
  return xds_acl_with_owner (&request->engine->store.acls, acl, xds_peer_actor (request->peer));
}

static void
create_one (XdsRequest *request, Spot *spot, XdsSpan name, XdsAcl *acl, XdsSpan value)
{
  if (spot->inner == NULL)
    {
      spot->live = xds_store_create (&request->engine->store, spot->live, name.data, name.len, acl,
                                     value.data, value.len);
      return;
    }
  spot->inner = xds_txn_create (request->txn, spot->inner, name.data, name.len, acl);
  if (value.len > 0)
    xds_txn_set_value (request->txn, spot->inner, value.data, value.len);
}

/* Makes what is missing of the path below @near, the last one included, which *near then is. */
static XdsStatus
create_missing (XdsRequest *request, Spot *near, gsize pos, XdsSpan value)
{
  const XdsPath *path = &request->path;
  XdsAcl *acl;
  XdsSpan name;
  guint n = xds_path_depth (path->text + pos - 1, path->len - pos + 1);
  XdsStatus status;

  if (!spot_allows (request, near, XDS_PERM_WRITE))
    return XDS_EACCES;
  status = check_nodes (request, n);
  if (status == XDS_OK)
    status = check_memory (request, n * xds_node_cost (0, 0) + path->len - pos + value.len);
  if (status != XDS_OK)
    return status;
  acl = inherit (request, near);
  while (xds_path_next (path->text, path->len, &pos, &name.data, &name.len))
    create_one (request, near, name, acl, pos > path->len ? value : (XdsSpan){ 0 });
  xds_acl_unref (&request->engine->store.acls, acl);
  return XDS_OK;
}

static void
fire (XdsRequest *request, const Spot *spot, const XdsAcl *old_acl)
{
  if (spot->inner != NULL)
    spot->inner->flags |= XDS_TXN_FIRES; /* at commit */
  else
    xds_fire_node (request->engine, spot->live, old_acl);
}

/* Opens the path of a request that makes it, with @value, if need be. */
static XdsStatus
open_or_create (XdsRequest *request, XdsSpan text, XdsSpan value, Spot *ret_spot,
                gboolean *ret_created)
{
  XdsStatus status = xds_request_path (request, text, XDS_PATH_NODE);
  gboolean found;
  Spot near;
  gsize pos;

  if (status == XDS_OK)
    status = xds_request_check (request, XDS_QUOTA_NODE_SIZE, value.len);
  if (status == XDS_OK)
    status = spot_find (request, ret_spot, &near, &pos, &found);
  if (status != XDS_OK)
    return status;
  *ret_created = !found;
  if (!found)
    {
      status = create_missing (request, &near, pos, value);
      *ret_spot = near;
      return status;
    }
  return spot_allows (request, ret_spot, XDS_PERM_WRITE) ? XDS_OK : XDS_EACCES;
}

static XdsStatus
replace_value (XdsRequest *request, Spot *spot, XdsSpan value)
{
  XdsTxnNode *inner = spot->inner;
  gsize now;
  XdsStatus status;

  if (inner != NULL)
    now = inner->value != NULL ? g_bytes_get_size (inner->value) : 0;
  else
    now = spot->live->value_len;
  status = check_memory (request, value.len > now ? value.len - now : 0);
  if (status != XDS_OK)
    return status;
  if (inner != NULL)
    xds_txn_set_value (request->txn, inner, value.data, value.len);
  else
    xds_store_set_value (&request->engine->store, spot->live, value.data, value.len);
  return XDS_OK;
}

XdsStatus
xds_op_write (XdsRequest *request)
{
  XdsSpan value = request->payload, text;
  gboolean created;
  XdsStatus status;
  Spot spot;

  if (!xds_msg_next_string (&value, &text))
    return XDS_EINVAL;
  status = open_or_create (request, text, value, &spot, &created);
  if (status == XDS_OK && !created)
    status = replace_value (request, &spot, value);
  if (status == XDS_OK)
    fire (request, &spot, NULL);
  return status;
}

XdsStatus
xds_op_mkdir (XdsRequest *request)
{
  gboolean created;
  XdsStatus status;
  XdsSpan text;
  Spot spot;

  if (!xds_msg_split (request->payload, &text, 1))
    return XDS_EINVAL;
  status = open_or_create (request, text, (XdsSpan){ 0 }, &spot, &created);
  if (status == XDS_OK && created)
    fire (request, &spot, NULL);
  return status;
}

/* --- removing --- */

static XdsStatus
remove_absent (XdsRequest *request, const Spot *near, gsize pos)
{
  const XdsPath *path = &request->path;
  XdsStatus status = absent (request, near);

  /* The parent is there: what was asked for is so already. */
  if (status == XDS_ENOENT && memchr (path->text + pos, '/', path->len - pos) == NULL)
    return XDS_OK;
  return status;
}

XdsStatus
xds_op_rm (XdsRequest *request)
{
  XdsStatus status;
  gboolean found;
  Spot spot, near;
  XdsSpan text;
  gsize pos;

  if (!xds_msg_split (request->payload, &text, 1))
    return XDS_EINVAL;
  status = xds_request_path (request, text, XDS_PATH_NODE);
  if (status == XDS_OK && request->path.len == 1)
    return XDS_EINVAL; /* the root */
  if (status == XDS_OK)
    status = spot_find (request, &spot, &near, &pos, &found);
  if (status != XDS_OK)
    return status;
  if (!found)
    return remove_absent (request, &near, pos);
  if (!spot_allows (request, &spot, XDS_PERM_WRITE))
    return XDS_EACCES;
  if (spot.inner != NULL)
    {
      xds_txn_remove (request->txn, spot.inner);
      return XDS_OK;
    }
  xds_fire_removal (request->engine, spot.live, FALSE);
  xds_store_remove (&request->engine->store, spot.live);
  return XDS_OK;
}

/* --- permissions --- */

/* Entries of domains that do not exist are kept, but nobody who gets the id later is meant. */
static XdsStatus
parse_perms (XdsRequest *request, XdsSpan rest, XdsPerm *perms, guint n)
{
  XdsSpan text;

  for (guint i = 0; i < n; i++)
    {
      XdsStatus status;

      xds_msg_next_string (&rest, &text);
      status = xds_perm_parse (&perms[i], text.data);
      if (status != XDS_OK)
        return status;
    }
  if (perms[0].domid == XDS_DOMID_ANY)
    return XDS_EINVAL;
  for (guint i = 0; i < n; i++)
    {
      if (perms[i].domid == XDS_DOMID_ANY || xds_domain_get (request->engine, perms[i].domid))
        continue;
      if (i == 0)
        return XDS_ENOENT;
      perms[i].access |= XDS_PERM_INERT;
    }
  return XDS_OK;
}

static XdsStatus
apply_perms (XdsRequest *request, Spot *spot, const XdsPerm *perms, guint n)
{
  XdsStore *store = &request->engine->store;
  XdsAcl *acl, *old;

  acl = xds_acl_get (&store->acls, perms, n);
  if (spot->inner != NULL)
    xds_txn_set_acl (request->txn, spot->inner, acl);
  else
    {
      old = xds_acl_ref (spot->live->acl);
      xds_store_set_acl (store, spot->live, acl);
      fire (request, spot, old);
      xds_acl_unref (&store->acls, old);
    }
  xds_acl_unref (&store->acls, acl);
  return XDS_OK;
}

/* Only the owner may, and may not give the node away.  For a privileged peer the old list is not
   even looked at: in a transaction that would be a read. */
static XdsStatus
may_chown (XdsRequest *request, const Spot *spot, guint new_owner)
{
  const XdsPeer *peer = request->peer;
  guint owner;

  if (peer->privileged)
    return XDS_OK;
  owner = xds_acl_owner (spot_acl (request, spot));
  if (owner != xds_peer_actor (peer) && (gint) owner != xds_peer_target (peer))
    return XDS_EACCES;
  return owner == new_owner ? XDS_OK : XDS_EPERM;
}

XdsStatus
xds_op_set_perms (XdsRequest *request)
{
  XdsSpan rest = request->payload, text;
  guint n = xds_msg_count_strings (rest);
  g_autofree XdsPerm *perms = NULL;
  XdsStatus status;
  Spot spot;

  if (n < 2 || rest.data[rest.len - 1] != '\0')
    return XDS_EINVAL;
  xds_msg_next_string (&rest, &text);
  status = xds_request_check (request, XDS_QUOTA_NODE_PERMISSIONS, --n);
  if (status != XDS_OK)
    return status;
  perms = g_new (XdsPerm, n);
  status = parse_perms (request, rest, perms, n);
  if (status == XDS_OK)
    status = open_spot (request, text, XDS_PATH_SPECIAL_ALLOWED, XDS_PERM_WRITE, &spot);
  if (status != XDS_OK)
    return status;
  status = may_chown (request, &spot, perms[0].domid);
  return status == XDS_OK ? apply_perms (request, &spot, perms, n) : status;
}
