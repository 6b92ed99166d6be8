/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The model's requests.  They are parsed here a second time, with string functions, so that an
 * error in the core's parsing is not shared.
 */

#include "tests/model-peer.h"

#include "xsd/wire/op-number.h"

#include <string.h>

/* --- texts --- */

typedef struct
{
  const char *text[8];
  guint n;
  gboolean whole; /* the payload ended with a NUL */
} Strings;

static Strings
split (const char *payload, gsize len)
{
  Strings strings = { .n = 0, .whole = len > 0 && payload[len - 1] == '\0' };

  for (gsize at = 0; at < len && strings.n < G_N_ELEMENTS (strings.text);)
    {
      gsize n = strnlen (payload + at, len - at);

      if (at + n == len)
        break;
      strings.text[strings.n++] = payload + at;
      at += n + 1;
    }
  return strings;
}

static gboolean
number (const char *text, guint64 max, guint64 *ret_number)
{
  return g_ascii_string_to_unsigned (text, 10, 0, max, ret_number, NULL) && g_ascii_isdigit (*text);
}

/* The canonical form; NULL where it is no path. */
static char *
canonical (const XdsModelPeer *peer, const char *text, gboolean special, guint *ret_skip)
{
  g_autofree char *path = NULL;
  gsize len = strlen (text);

  if (*text == '/' || *text == '@')
    path = g_strdup (text);
  else
    path = g_strdup_printf ("/local/domain/%d/%s", MAX (peer->domid, 0), text);
  if (len == 0 || (*text == '@' && !special) || (len > 1 && text[len - 1] == '/')
      || strstr (path, "//") != NULL
      || strspn (path, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-/_@") != strlen (path)
      || strlen (path) > XDS_PATH_ABS_MAX)
    return NULL;
  if (ret_skip != NULL)
    *ret_skip = strlen (path) - len;
  return g_steal_pointer (&path);
}

/* --- requests on domains --- */

static XdsStatus
introduce (XdsModelPeer *peer, const Strings *args)
{
  XdsModel *model = peer->model;
  guint64 domid, gfn, port;
  XdsModelPeer *guest;
  XdsModelDomain *domain;

  if (args->n != 3 || !number (args->text[0], G_MAXUINT16, &domid)
      || !number (args->text[1], G_MAXUINT64, &gfn) || !number (args->text[2], G_MAXUINT32, &port)
      || port == 0 || domid == 0)
    return XDS_EINVAL;
  guest = xds_model_guest (model, domid);
  if (guest != NULL)
    {
      g_ptr_array_set_size (guest->watches, 0);
      g_ptr_array_set_size (guest->txs, 0);
      g_queue_clear_full (&guest->out, (GDestroyNotify) xds_model_msg_free);
      return XDS_OK;
    }
  if (!xds_model_exists (model, domid))
    return XDS_EINVAL;
  domain = g_new0 (XdsModelDomain, 1);
  domain->domid = domid;
  domain->introduced = TRUE;
  domain->target = -1;
  g_hash_table_insert (model->domains, GUINT_TO_POINTER (domid), domain);
  xds_model_add_peer (model, domid);
  xds_model_fire_domain (model, "@introduceDomain", domid, TRUE, TRUE);
  return XDS_OK;
}

static XdsStatus
named_domain (XdsModelPeer *peer, const Strings *args, XdsModelDomain **ret_domain)
{
  guint64 domid;

  if (args->n != 1 || !number (args->text[0], G_MAXUINT16, &domid))
    return XDS_EINVAL;
  *ret_domain = g_hash_table_lookup (peer->model->domains, GUINT_TO_POINTER (domid));
  if (domid == 0)
    return XDS_EINVAL;
  return *ret_domain != NULL ? XDS_OK : XDS_ENOENT;
}

static XdsStatus
set_target (XdsModelPeer *peer, const Strings *args)
{
  XdsModelDomain *domain;
  guint64 domid, target;

  if (args->n != 2 || !number (args->text[0], G_MAXUINT16, &domid)
      || !number (args->text[1], G_MAXUINT16, &target) || target == 0)
    return XDS_EINVAL;
  domain = g_hash_table_lookup (peer->model->domains, GUINT_TO_POINTER (domid));
  if (domain == NULL || !g_hash_table_contains (peer->model->domains, GUINT_TO_POINTER (target)))
    return XDS_ENOENT;
  domain->target = target;
  return XDS_OK;
}

static XdsStatus
do_domain (XdsModelPeer *peer, guint32 type, const Strings *args, GByteArray *answer)
{
  XdsModelDomain *domain = NULL;
  guint64 domid;
  XdsStatus status;
  char path[64];

  switch (type)
    {
    case XDS_OP_INTRODUCE:
      return introduce (peer, args);
    case XDS_OP_SET_TARGET:
      return set_target (peer, args);
    case XDS_OP_GET_DOMAIN_PATH:
    case XDS_OP_IS_DOMAIN_INTRODUCED:
      if (args->n == 1 && *args->text[0] == '\0' && type == XDS_OP_GET_DOMAIN_PATH)
        domid = 0;
      else if (args->n != 1 || !number (args->text[0], G_MAXUINT16, &domid))
        return XDS_EINVAL;
      domain = g_hash_table_lookup (peer->model->domains, GUINT_TO_POINTER (domid));
      if (type == XDS_OP_GET_DOMAIN_PATH)
        g_snprintf (path, sizeof path, "/local/domain/%u", (guint) domid);
      else
        g_snprintf (path, sizeof path, "%s",
                    domain != NULL || domid == 0 || domid == XDS_DOMID_SELF ? "T" : "F");
      g_byte_array_append (answer, (const guint8 *) path, strlen (path) + 1);
      return XDS_OK;
    default:
      status = named_domain (peer, args, &domain);
      if (status == XDS_OK && type == XDS_OP_RELEASE)
        xds_model_release (peer->model, domain->domid);
      else if (status == XDS_OK)
        domain->shutdown_told = FALSE;
      return status;
    }
}

/* --- requests on watches --- */

static gint
find_watch (XdsModelPeer *peer, const char *path, const char *token)
{
  for (guint i = 0; i < peer->watches->len; i++)
    {
      const XdsModelWatch *watch = g_ptr_array_index (peer->watches, i);

      if (g_str_equal (watch->path, path) && g_str_equal (watch->token, token))
        return i;
    }
  return -1;
}

static XdsStatus
do_watch (XdsModelPeer *peer, const Strings *args, XdsModelWatch **ret_watch)
{
  guint64 depth = 0;
  guint skip = 0;
  g_autofree char *path = NULL;
  XdsModelWatch *watch;

  if ((args->n != 2 && args->n != 3) || !args->whole)
    return XDS_EINVAL;
  path = canonical (peer, args->text[0], TRUE, &skip);
  if (path == NULL || (args->n == 3 && !number (args->text[2], G_MAXINT, &depth)))
    return XDS_EINVAL;
  if (find_watch (peer, path, args->text[1]) >= 0)
    return XDS_EEXIST;
  if (peer->domid >= 0 && peer->model->limits.watches > 0
      && peer->watches->len >= peer->model->limits.watches)
    return XDS_ENOSPC;
  watch = g_new0 (XdsModelWatch, 1);
  watch->path = g_steal_pointer (&path);
  watch->skip = skip;
  watch->token = g_strdup (args->text[1]);
  watch->depth = args->n == 3 ? (gint) depth : -1;
  g_ptr_array_add (peer->watches, watch);
  *ret_watch = watch;
  return XDS_OK;
}

static XdsStatus
do_unwatch (XdsModelPeer *peer, const Strings *args)
{
  g_autofree char *path = NULL;
  gint index;

  if (args->n != 2 || !args->whole)
    return XDS_EINVAL;
  path = canonical (peer, args->text[0], TRUE, NULL);
  if (path == NULL)
    return XDS_EINVAL;
  index = find_watch (peer, path, args->text[1]);
  if (index < 0)
    return XDS_ENOENT;
  g_ptr_array_remove_index (peer->watches, index);
  return XDS_OK;
}

/* --- transactions --- */

/* How many nodes the peer would own if the transaction ended now. */
static guint64
owned_after (XdsModelPeer *peer, const XdsModelTx *tx)
{
  XdsModel *model = peer->model;
  g_autoptr (GPtrArray) changes
      = g_ptr_array_new_with_free_func ((GDestroyNotify) xds_model_change_free);
  g_autoptr (GHashTable) history = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_autoptr (GHashTable) tree = xds_model_tree_copy (model->tree);
  guint64 clock = model->clock;
  XdsModelView view = { .tree = tree,
                        .history = history,
                        .clock = &clock,
                        .changes = changes,
                        .domid = peer->domid,
                        .target = xds_model_target (model, peer->domid) };

  xds_model_replay (&view, tx);
  return xds_model_tree_owned (tree, peer->domid);
}

static XdsModelOpenTx *
find_tx (XdsModelPeer *peer, guint32 id)
{
  for (guint i = 0; i < peer->txs->len; i++)
    if (((XdsModelOpenTx *) g_ptr_array_index (peer->txs, i))->id == id)
      return g_ptr_array_index (peer->txs, i);
  return NULL;
}

static XdsStatus
do_start (XdsModelPeer *peer, guint32 tx_id, GByteArray *answer)
{
  XdsModelOpenTx *open;
  char text[16];

  if (tx_id != 0)
    return XDS_EBUSY;
  if (peer->domid >= 0 && peer->model->limits.transactions > 0
      && peer->txs->len >= peer->model->limits.transactions)
    return XDS_ENOSPC;
  open = g_new0 (XdsModelOpenTx, 1);
  open->id = ++peer->last_tx_id;
  open->tx = xds_model_tx_new (peer->model->tree, peer->model->clock);
  g_ptr_array_add (peer->txs, open);
  g_snprintf (text, sizeof text, "%u", open->id);
  g_byte_array_append (answer, (const guint8 *) text, strlen (text) + 1);
  return XDS_OK;
}

/* Would a list that it wrote give rights to whoever gets a dead domain's id? */
static gboolean
names_the_dead (XdsModel *model, const XdsModelTx *tx)
{
  GHashTableIter iter;
  gpointer domid, when;

  g_hash_table_iter_init (&iter, model->died);
  while (g_hash_table_iter_next (&iter, &domid, &when))
    if (*(guint64 *) when > tx->start
        && xds_model_tx_names (tx, GPOINTER_TO_UINT (domid), *(guint64 *) when))
      return TRUE;
  return FALSE;
}

static gboolean
grows_over_limit (XdsModelPeer *peer, const XdsModelTx *tx)
{
  guint64 limit = peer->model->limits.nodes, after;

  if (peer->domid < 0 || limit == 0)
    return FALSE;
  after = owned_after (peer, tx);
  return after > limit && after > xds_model_tree_owned (peer->model->tree, peer->domid);
}

static XdsStatus
commit (XdsModelPeer *peer, const XdsModelTx *tx)
{
  XdsModel *model = peer->model;
  g_autoptr (GPtrArray) changes
      = g_ptr_array_new_with_free_func ((GDestroyNotify) xds_model_change_free);
  g_autoptr (GPtrArray) replayed
      = g_ptr_array_new_with_free_func ((GDestroyNotify) xds_model_change_free);
  g_autoptr (GHashTable) scratch = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_autoptr (GHashTable) old = xds_model_tree_copy (model->tree);
  XdsModelView view;

  if (tx->poison != XDS_OK)
    return tx->poison;
  if (xds_model_tx_conflicts (tx, model->history) || names_the_dead (model, tx))
    return XDS_EAGAIN;
  if (grows_over_limit (peer, tx))
    return XDS_ENOSPC;
  xds_model_tx_changes (tx, model->tree, changes);
  xds_model_store_view (model, &view, replayed);
  view.domid = peer->domid;
  view.target = xds_model_target (model, peer->domid);
  view.history = scratch;
  xds_model_replay (&view, tx);
  view.history = model->history;
  xds_model_settle (&view, tx, old);
  xds_model_fire (model, changes);
  return XDS_OK;
}

static XdsStatus
do_end (XdsModelPeer *peer, guint32 tx_id, const Strings *args)
{
  XdsModelOpenTx *open = find_tx (peer, tx_id);
  XdsStatus status = XDS_OK;
  XdsModelTx *tx;

  if (args->n != 1 || !args->whole
      || (!g_str_equal (args->text[0], "T") && !g_str_equal (args->text[0], "F")))
    return XDS_EINVAL;
  if (open == NULL)
    return XDS_ENOENT;
  tx = g_steal_pointer (&open->tx);
  g_ptr_array_remove (peer->txs, open);
  if (*args->text[0] == 'T')
    status = commit (peer, tx);
  xds_model_tx_free (tx);
  return status;
}

/* --- requests on nodes --- */

static XdsStatus
parse_perms (XdsModel *model, const char *payload, gsize len, GArray *perms)
{
  for (gsize at = strlen (payload) + 1; at < len; at += strlen (payload + at) + 1)
    {
      XdsPerm perm;

      if (xds_perm_parse (&perm, payload + at) != XDS_OK)
        return XDS_EINVAL;
      g_array_append_val (perms, perm);
    }
  if (perms->len == 0 || g_array_index (perms, XdsPerm, 0).domid == XDS_DOMID_ANY)
    return XDS_EINVAL;
  if (!xds_model_exists (model, g_array_index (perms, XdsPerm, 0).domid))
    return XDS_ENOENT;
  for (guint i = 1; i < perms->len; i++)
    {
      XdsPerm *perm = &g_array_index (perms, XdsPerm, i);

      if (perm->domid != XDS_DOMID_ANY && !xds_model_exists (model, perm->domid))
        perm->access |= XDS_PERM_INERT;
    }
  return XDS_OK;
}

/* The list is looked at before the path, as C xenstored does. */
static XdsStatus
do_set_perms (XdsModelPeer *peer, XdsModelView *view, const char *payload, gsize len)
{
  g_autoptr (GArray) perms = g_array_new (FALSE, TRUE, sizeof (XdsPerm));
  guint64 limit = peer->model->limits.node_permissions;
  g_autofree char *path = NULL;
  Strings args = split (payload, len);
  XdsStatus status;

  if (args.n < 2 || !args.whole)
    return XDS_EINVAL;
  if (peer->domid >= 0 && limit > 0 && args.n - 1 > limit)
    return XDS_ENOSPC;
  status = parse_perms (peer->model, payload, len, perms);
  if (status != XDS_OK)
    return status;
  path = canonical (peer, args.text[0], TRUE, NULL);
  return path != NULL ? xds_model_set_perms (view, path, perms) : XDS_EINVAL;
}

static XdsStatus
do_part (XdsModelView *view, const char *path, const char *offset_text, GByteArray *answer)
{
  g_autoptr (GByteArray) names = g_byte_array_new ();
  XdsStatus status = xds_model_directory (view, path, names);
  guint64 offset = 0;

  if (status != XDS_OK)
    return status;
  number (offset_text, G_MAXUINT32, &offset);
  g_byte_array_append (answer, (const guint8 *) "?", 2);
  if (offset < names->len)
    g_byte_array_append (answer, names->data + offset, names->len - offset);
  g_byte_array_append (answer, (const guint8 *) "", 1);
  return XDS_OK;
}

static XdsStatus
do_write (XdsModelPeer *peer, XdsModelView *view, const char *path, const char *value, gsize len)
{
  g_autoptr (GBytes) bytes = g_bytes_new (value, len);

  if (peer->domid >= 0 && peer->model->limits.node_size > 0 && len > peer->model->limits.node_size)
    return XDS_ENOSPC;
  return xds_model_write (view, path, bytes);
}

static gboolean
right_number_of_strings (guint32 type, const Strings *args)
{
  switch (type)
    {
    case XDS_OP_WRITE:
      return args->n >= 1;
    case XDS_OP_DIRECTORY_PART:
      return args->n == 2 && args->whole;
    default:
      return args->n == 1 && args->whole;
    }
}

static XdsStatus
do_node (XdsModelPeer *peer, XdsModelView *view, guint32 type, const char *payload, gsize len,
         GByteArray *answer)
{
  Strings args = split (payload, len);
  g_autofree char *path = NULL;
  GBytes *value = NULL;
  const GArray *perms = NULL;
  XdsStatus status;

  if (type == XDS_OP_SET_PERMS)
    return do_set_perms (peer, view, payload, len);
  if (!right_number_of_strings (type, &args))
    return XDS_EINVAL;
  path = canonical (peer, args.text[0], type == XDS_OP_GET_PERMS, NULL);
  if (path == NULL || (type == XDS_OP_RM && g_str_equal (path, "/")))
    return XDS_EINVAL;
  switch (type)
    {
    case XDS_OP_READ:
      status = xds_model_read (view, path, &value);
      if (status == XDS_OK)
        g_byte_array_append (answer, g_bytes_get_data (value, NULL), g_bytes_get_size (value));
      return status;
    case XDS_OP_GET_PERMS:
      status = xds_model_get_perms (view, path, &perms);
      if (status == XDS_OK)
        xds_model_append_perms (answer, perms);
      return status;
    case XDS_OP_DIRECTORY:
      status = xds_model_directory (view, path, answer);
      return status == XDS_OK && answer->len > XDS_PAYLOAD_MAX ? XDS_E2BIG : status;
    case XDS_OP_DIRECTORY_PART:
      return do_part (view, path, args.text[1], answer);
    case XDS_OP_WRITE:
      return do_write (peer, view, path, payload + strlen (payload) + 1,
                       len - strlen (payload) - 1);
    case XDS_OP_MKDIR:
      return xds_model_mkdir (view, path);
    default:
      return xds_model_rm (view, path);
    }
}

typedef struct
{
  XdsModelPeer *peer;
  XdsModelTx *tx;
} Owner;

static gboolean
may_own (gpointer data, guint n)
{
  const Owner *owner = data;
  XdsModel *model = owner->peer->model;

  if (owner->tx == NULL)
    return xds_model_tree_owned (model->tree, owner->peer->domid) + n <= model->limits.nodes;
  /* What a transaction may own that cannot end well any more is nowhere said. */
  if (xds_model_tx_conflicts (owner->tx, model->history))
    return model->hint != XDS_ENOSPC;
  return owned_after (owner->peer, owner->tx) + n <= model->limits.nodes;
}

/* A request on nodes, in the store or in a transaction, with the events that it causes. */
static XdsStatus
on_nodes (XdsModelPeer *peer, guint32 type, guint32 tx_id, const char *payload, gsize len,
          GByteArray *answer)
{
  XdsModel *model = peer->model;
  XdsModelOpenTx *open = find_tx (peer, tx_id);
  g_autoptr (GPtrArray) changes
      = g_ptr_array_new_with_free_func ((GDestroyNotify) xds_model_change_free);
  XdsModelView view;
  XdsStatus status;

  xds_model_store_view (model, &view, changes);
  view.domid = peer->domid;
  view.target = xds_model_target (model, peer->domid);
  if (peer->domid >= 0 && model->limits.nodes > 0)
    view.may_own = may_own;
  view.data = &(Owner){ peer, open != NULL ? open->tx : NULL };
  if (open != NULL)
    {
      view.tx = open->tx;
      view.tree = open->tx->tree;
    }
  status = do_node (peer, &view, type, payload, len, answer);
  if (open == NULL)
    xds_model_fire (model, changes);
  else if (status == XDS_ENOSPC && open->tx->poison == XDS_OK)
    open->tx->poison = status;
  return status;
}

/* --- any request --- */

static gboolean
is_privileged (guint32 type)
{
  switch (type)
    {
    case XDS_OP_CONTROL:
    case XDS_OP_INTRODUCE:
    case XDS_OP_RELEASE:
    case XDS_OP_IS_DOMAIN_INTRODUCED:
    case XDS_OP_RESUME:
    case XDS_OP_SET_TARGET:
    case XDS_OP_SET_FEATURE:
    case XDS_OP_GET_QUOTA:
    case XDS_OP_SET_QUOTA:
      return TRUE;
    default:
      return FALSE;
    }
}

static void
answer_with (XdsModelPeer *peer, guint32 type, XdsStatus status, const GByteArray *answer)
{
  const char *name = xds_status_name (status);

  if (status != XDS_OK)
    xds_model_send (peer, XDS_OP_ERROR, name, strlen (name) + 1);
  else if (answer->len > 0 || type == XDS_OP_READ || type == XDS_OP_DIRECTORY)
    xds_model_send (peer, type, answer->data, answer->len);
  else
    xds_model_send (peer, type, "OK", 3);
}

void
xds_model_request (XdsModelPeer *peer, guint32 type, guint32 tx_id, const char *payload, gsize len,
                   XdsStatus hint)
{
  g_autoptr (GByteArray) answer = g_byte_array_new ();
  Strings args = split (payload, len);
  XdsModelWatch *watch = NULL;
  XdsStatus status;

  peer->model->hint = hint;
  if (type == XDS_OP_WATCH_EVENT || type == XDS_OP_ERROR || type == XDS_OP_RESTRICT)
    status = XDS_ENOSYS;
  else if (is_privileged (type) && peer->domid >= 0)
    status = XDS_EACCES;
  else if (type != XDS_OP_WATCH && type != XDS_OP_UNWATCH && tx_id != 0
           && find_tx (peer, tx_id) == NULL)
    status = XDS_ENOENT;
  else
    switch (type)
      {
      case XDS_OP_WATCH:
        status = do_watch (peer, &args, &watch);
        break;
      case XDS_OP_UNWATCH:
        status = do_unwatch (peer, &args);
        break;
      case XDS_OP_RESET_WATCHES:
        g_ptr_array_set_size (peer->watches, 0);
        g_ptr_array_set_size (peer->txs, 0);
        status = XDS_OK;
        break;
      case XDS_OP_TRANSACTION_START:
        status = do_start (peer, tx_id, answer);
        break;
      case XDS_OP_TRANSACTION_END:
        status = do_end (peer, tx_id, &args);
        break;
      case XDS_OP_INTRODUCE:
      case XDS_OP_RELEASE:
      case XDS_OP_GET_DOMAIN_PATH:
      case XDS_OP_IS_DOMAIN_INTRODUCED:
      case XDS_OP_RESUME:
      case XDS_OP_SET_TARGET:
        status = args.whole ? do_domain (peer, type, &args, answer) : XDS_EINVAL;
        break;
      case XDS_OP_READ:
      case XDS_OP_GET_PERMS:
      case XDS_OP_SET_PERMS:
      case XDS_OP_DIRECTORY:
      case XDS_OP_DIRECTORY_PART:
      case XDS_OP_WRITE:
      case XDS_OP_MKDIR:
      case XDS_OP_RM:
        status = on_nodes (peer, type, tx_id, payload, len, answer);
        break;
      default:
        status = XDS_ENOSYS;
        break;
      }
  answer_with (peer, type, status, answer);
  if (watch != NULL)
    xds_model_send_event (peer, watch, watch->path);
}
