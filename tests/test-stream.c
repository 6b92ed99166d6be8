/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The migration stream: records against bytes that were put together by hand here, a writer of our
 * own for the forms that the product reads and does not write, and damage.
 *
 * Every input lies against a page that nobody may read, so that one byte too far is a crash.
 */

#include "tests/stream-any.h"

#include <sys/mman.h>
#include <unistd.h>

/* --- inputs at the edge of a page --- */

typedef struct
{
  guint8 *map, *data;
  gsize map_len, len;
} Edge;

static void
edge_init (Edge *edge, const void *data, gsize len)
{
  gsize page = sysconf (_SC_PAGESIZE), whole = (len + page - 1) / page * page;

  edge->map_len = whole + page;
  edge->map
      = mmap (NULL, edge->map_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  g_assert_true (edge->map != MAP_FAILED);
  g_assert_cmpint (mprotect (edge->map + whole, page, PROT_NONE), ==, 0);
  edge->data = edge->map + whole - len;
  edge->len = len;
  memcpy (edge->data, data, len);
}

static void
edge_clear (Edge *edge)
{
  munmap (edge->map, edge->map_len);
}

/* --- a writer of all forms --- */

typedef struct
{
  GByteArray *bytes;
  gboolean swapped;  /* the other byte order */
  gboolean unpadded; /* lengths as the document has them */
  guint version;
  gsize record; /* where the record began */
} Form;

static void
form_bytes (Form *form, const void *bytes, gsize len)
{
  if (len > 0)
    g_byte_array_append (form->bytes, bytes, len);
}

static void
form_u16 (Form *form, guint16 n)
{
  if (form->swapped)
    n = GUINT16_SWAP_LE_BE (n);
  form_bytes (form, &n, sizeof n);
}

static void
form_u32 (Form *form, guint32 n)
{
  if (form->swapped)
    n = GUINT32_SWAP_LE_BE (n);
  form_bytes (form, &n, sizeof n);
}

static void
form_u64 (Form *form, guint64 n)
{
  if (form->swapped)
    n = GUINT64_SWAP_LE_BE (n);
  form_bytes (form, &n, sizeof n);
}

static void
form_pad (Form *form)
{
  while (form->bytes->len % 8 != 0)
    form_bytes (form, "", 1);
}

static void
form_begin (Form *form, guint32 type)
{
  form->record = form->bytes->len;
  form_u32 (form, type);
  form_u32 (form, 0);
}

static void
form_end (Form *form)
{
  guint32 len = form->bytes->len - form->record - 8;

  form_pad (form);
  if (!form->unpadded)
    len = form->bytes->len - form->record - 8;
  if (form->swapped)
    len = GUINT32_SWAP_LE_BE (len);
  memcpy (form->bytes->data + form->record + 4, &len, sizeof len);
}

static void
form_header (Form *form)
{
  guint32 version = GUINT32_TO_BE (form->version);
  guint32 flags = GUINT32_TO_BE ((G_BYTE_ORDER == G_BIG_ENDIAN) != form->swapped);

  form_bytes (form, "xenstore", 8);
  form_bytes (form, &version, 4);
  form_bytes (form, &flags, 4);
}

/* --- random records, kept until the end of a test --- */

typedef struct
{
  XdsRecord record;
  XdsRecordPerm perms[8];
  guint32 values[6];
  GByteArray *names;
} Made;

static void
made_free (Made *made)
{
  g_byte_array_unref (made->names);
  g_free (made);
}

/* Text without NUL of @at_least to @max characters, or any bytes; never freed before the exit of
   the test, as records borrow it. */
static XdsSpan
some (GPtrArray *texts, gsize at_least, gsize max, const char *first, gboolean any)
{
  gsize len = g_test_rand_int_range (at_least, max + 1);
  char *text = g_malloc (len + 1);

  for (gsize i = 0; i < len; i++)
    text[i] = any ? g_test_rand_int () : g_test_rand_int_range ('a', 'z' + 1);
  if (first != NULL)
    text[0] = first[g_test_rand_int_range (0, strlen (first))];
  g_ptr_array_add (texts, text);
  return (XdsSpan){ text, len };
}

static XdsRecordQuotas
some_quotas (Made *made, guint max)
{
  guint n = g_test_rand_int_range (0, max + 1);

  for (guint i = 0; i < n; i++)
    {
      g_autofree char *name = g_strdup_printf ("quota-%u", g_test_rand_int_range (0, 1000));

      made->values[i] = g_test_rand_int ();
      g_byte_array_append (made->names, (guint8 *) name, strlen (name) + 1);
    }
  return (
      XdsRecordQuotas){ n, FALSE, made->values, { (char *) made->names->data, made->names->len } };
}

static void
some_connection (XdsRecordConnection *connection, guint version, GPtrArray *texts)
{
  connection->id = g_test_rand_int ();
  connection->kind = g_test_rand_bit ();
  connection->socket_fd = -1;
  connection->target = XDS_RECORD_NO_DOMID;
  if (connection->kind == XDS_RECORD_RING)
    {
      connection->domid = g_test_rand_int ();
      connection->target = g_test_rand_int ();
      connection->port = g_test_rand_int ();
    }
  else
    connection->socket_fd = g_test_rand_int ();
  connection->in = some (texts, 0, 30, NULL, TRUE);
  connection->out = some (texts, 0, 30, NULL, TRUE);
  connection->resp_len = g_test_rand_int_range (0, connection->out.len + 1);
  connection->has_unique_id = version >= 2 && g_test_rand_bit ();
  if (connection->has_unique_id)
    connection->unique_id = (guint64) g_test_rand_int () << 32 | (guint32) g_test_rand_int ();
}

static void
some_node (Made *made, GPtrArray *texts)
{
  XdsRecordNode *node = &made->record.node;

  node->conn_id = g_test_rand_bit () ? 0 : g_test_rand_int () | 1;
  node->txn_id = node->conn_id == 0 ? 0 : g_test_rand_int ();
  node->access = g_test_rand_int ();
  node->n_perms = g_test_rand_int_range (node->conn_id == 0, G_N_ELEMENTS (made->perms) + 1);
  for (guint i = 0; i < node->n_perms; i++)
    made->perms[i] = (XdsRecordPerm){ "nrwb"[g_test_rand_int_range (0, 4)], g_test_rand_bit (),
                                      g_test_rand_int () };
  node->perms = made->perms;
  node->path = some (texts, 1, 40, "/@", FALSE);
  node->value = some (texts, 0, 40, NULL, TRUE);
}

static Made *
some_record (guint version, GPtrArray *texts)
{
  Made *made = g_new0 (Made, 1);
  XdsRecord *record = &made->record;

  made->names = g_byte_array_new ();
  record->known = TRUE;
  record->type = g_test_rand_int_range (XDS_RECORD_GLOBAL, XDS_RECORD_WATCH_EXTENDED + 1);
  switch (record->type)
    {
    case XDS_RECORD_GLOBAL:
      record->global = (XdsRecordGlobal){ g_test_rand_int (), g_test_rand_int () };
      break;
    case XDS_RECORD_CONNECTION:
      some_connection (&record->connection, version, texts);
      break;
    case XDS_RECORD_WATCH:
    case XDS_RECORD_WATCH_EXTENDED:
      record->watch.conn_id = g_test_rand_int ();
      record->watch.path = some (texts, 1, 20, NULL, FALSE);
      record->watch.token = some (texts, 0, 20, NULL, FALSE);
      record->watch.depth
          = record->type == XDS_RECORD_WATCH ? XDS_RECORD_DEPTH_ALL : g_test_rand_int_range (0, 9);
      break;
    case XDS_RECORD_TRANSACTION:
      record->transaction = (XdsRecordTransaction){ g_test_rand_int (), g_test_rand_int () };
      break;
    case XDS_RECORD_NODE:
      some_node (made, texts);
      break;
    case XDS_RECORD_GLOBAL_QUOTA:
      record->global_quota.quotas = some_quotas (made, G_N_ELEMENTS (made->values));
      record->global_quota.n_domain = g_test_rand_int_range (0, record->global_quota.quotas.n + 1);
      break;
    default:
      record->domain.domid = g_test_rand_int ();
      record->domain.features = version >= 2 ? g_test_rand_int () : 0;
      record->domain.quotas = some_quotas (made, G_N_ELEMENTS (made->values));
      break;
    }
  return made;
}

/* --- records in a form --- */

static void
form_connection (Form *form, const XdsRecordConnection *connection)
{
  form_u32 (form, connection->id);
  form_u16 (form, connection->kind);
  form_u16 (form, connection->has_unique_id);
  if (connection->kind == XDS_RECORD_RING)
    {
      form_u16 (form, connection->domid);
      form_u16 (form, connection->target);
      form_u32 (form, connection->port);
    }
  else
    {
      form_u32 (form, connection->socket_fd);
      form_u32 (form, 0);
    }
  form_u16 (form, connection->in.len);
  form_u16 (form, connection->resp_len);
  form_u32 (form, connection->out.len);
  form_bytes (form, connection->in.data, connection->in.len);
  form_bytes (form, connection->out.data, connection->out.len);
  if (connection->has_unique_id)
    {
      form_pad (form);
      form_u64 (form, connection->unique_id);
    }
}

static void
form_watch (Form *form, const XdsRecord *record, gsize strings_at)
{
  form_u32 (form, record->watch.conn_id);
  form_u16 (form, record->watch.path.len + 1);
  form_u16 (form, record->watch.token.len + 1);
  if (strings_at > 8)
    form_u16 (form, record->watch.depth);
  if (strings_at > 10)
    form_u16 (form, 0);
  form_bytes (form, record->watch.path.data, record->watch.path.len);
  form_bytes (form, "", 1);
  form_bytes (form, record->watch.token.data, record->watch.token.len);
  form_bytes (form, "", 1);
}

static void
form_quotas (Form *form, const XdsRecordQuotas *quotas)
{
  for (guint i = 0; i < quotas->n; i++)
    form_u32 (form, ((const guint32 *) quotas->values)[i]);
  form_bytes (form, quotas->names.data, quotas->names.len);
}

static void
form_node (Form *form, const XdsRecordNode *node)
{
  const XdsRecordPerm *perms = node->perms;

  form_u32 (form, node->conn_id);
  form_u32 (form, node->txn_id);
  form_u16 (form, node->path.len + 1);
  form_u16 (form, node->value.len);
  form_u16 (form, node->access);
  form_u16 (form, node->n_perms);
  for (guint i = 0; i < node->n_perms; i++)
    {
      form_bytes (form, &perms[i].letter, 1);
      form_bytes (form, &perms[i].flags, 1);
      form_u16 (form, perms[i].domid);
    }
  form_bytes (form, node->path.data, node->path.len);
  form_bytes (form, "", 1);
  form_bytes (form, node->value.data, node->value.len);
}

static void
form_record (Form *form, const XdsRecord *record)
{
  form_begin (form, record->type);
  switch (record->type)
    {
    case XDS_RECORD_GLOBAL:
      form_u32 (form, record->global.socket_fd);
      form_u32 (form, record->global.evtchn_fd);
      break;
    case XDS_RECORD_CONNECTION:
      form_connection (form, &record->connection);
      break;
    case XDS_RECORD_WATCH:
    case XDS_RECORD_WATCH_EXTENDED:
      form_watch (form, record, record->type == XDS_RECORD_WATCH ? 8 : 12);
      break;
    case XDS_RECORD_TRANSACTION:
      form_u32 (form, record->transaction.conn_id);
      form_u32 (form, record->transaction.txn_id);
      break;
    case XDS_RECORD_NODE:
      form_node (form, &record->node);
      break;
    case XDS_RECORD_GLOBAL_QUOTA:
      form_u16 (form, record->global_quota.n_domain);
      form_u16 (form, record->global_quota.quotas.n - record->global_quota.n_domain);
      form_quotas (form, &record->global_quota.quotas);
      break;
    case XDS_RECORD_DOMAIN:
      form_u16 (form, record->domain.domid);
      form_u16 (form, record->domain.quotas.n);
      form_u32 (form, record->domain.features);
      form_quotas (form, &record->domain.quotas);
      break;
    default:
      break;
    }
  form_end (form);
}

/* --- comparing --- */

#define assert_span(a, b) g_assert_cmpmem ((a).data, (a).len, (b).data, (b).len)

static void
assert_quotas (XdsRecordQuotas a, XdsRecordQuotas b)
{
  XdsSpan name_a, name_b;
  guint32 value_a, value_b;

  g_assert_cmpuint (a.n, ==, b.n);
  while (xds_record_next_quota (&a, &name_a, &value_a))
    {
      g_assert_true (xds_record_next_quota (&b, &name_b, &value_b));
      assert_span (name_a, name_b);
      g_assert_cmpuint (value_a, ==, value_b);
    }
  g_assert_false (xds_record_next_quota (&b, &name_b, &value_b));
}

static void
assert_connection (const XdsRecordConnection *a, const XdsRecordConnection *b)
{
  g_assert_cmpuint (a->id, ==, b->id);
  g_assert_cmpuint (a->kind, ==, b->kind);
  g_assert_cmpuint (a->domid, ==, b->domid);
  g_assert_cmpuint (a->target, ==, b->target);
  g_assert_cmpuint (a->port, ==, b->port);
  g_assert_cmpint (a->socket_fd, ==, b->socket_fd);
  g_assert_cmpuint (a->has_unique_id, ==, b->has_unique_id);
  g_assert_cmpuint (a->unique_id, ==, b->unique_id);
  g_assert_cmpuint (a->resp_len, ==, b->resp_len);
  assert_span (a->in, b->in);
  assert_span (a->out, b->out);
}

static void
assert_node (const XdsRecordNode *a, const XdsRecordNode *b)
{
  g_assert_cmpuint (a->conn_id, ==, b->conn_id);
  g_assert_cmpuint (a->txn_id, ==, b->txn_id);
  g_assert_cmpuint (a->access, ==, b->access);
  g_assert_cmpuint (a->n_perms, ==, b->n_perms);
  for (guint i = 0; i < a->n_perms; i++)
    {
      g_assert_cmpuint (xds_record_perm (a, i).letter, ==, xds_record_perm (b, i).letter);
      g_assert_cmpuint (xds_record_perm (a, i).flags, ==, xds_record_perm (b, i).flags);
      g_assert_cmpuint (xds_record_perm (a, i).domid, ==, xds_record_perm (b, i).domid);
    }
  assert_span (a->path, b->path);
  assert_span (a->value, b->value);
}

static void
assert_record (const XdsRecord *a, const XdsRecord *b)
{
  g_assert_cmpuint (a->type, ==, b->type);
  g_assert_cmpuint (a->known, ==, b->known);
  switch (a->type)
    {
    case XDS_RECORD_GLOBAL:
      g_assert_cmpint (a->global.socket_fd, ==, b->global.socket_fd);
      g_assert_cmpint (a->global.evtchn_fd, ==, b->global.evtchn_fd);
      break;
    case XDS_RECORD_CONNECTION:
      assert_connection (&a->connection, &b->connection);
      break;
    case XDS_RECORD_WATCH:
    case XDS_RECORD_WATCH_EXTENDED:
      g_assert_cmpuint (a->watch.conn_id, ==, b->watch.conn_id);
      g_assert_cmpuint (a->watch.depth, ==, b->watch.depth);
      assert_span (a->watch.path, b->watch.path);
      assert_span (a->watch.token, b->watch.token);
      break;
    case XDS_RECORD_TRANSACTION:
      g_assert_cmpuint (a->transaction.conn_id, ==, b->transaction.conn_id);
      g_assert_cmpuint (a->transaction.txn_id, ==, b->transaction.txn_id);
      break;
    case XDS_RECORD_NODE:
      assert_node (&a->node, &b->node);
      break;
    case XDS_RECORD_GLOBAL_QUOTA:
      g_assert_cmpuint (a->global_quota.n_domain, ==, b->global_quota.n_domain);
      assert_quotas (a->global_quota.quotas, b->global_quota.quotas);
      break;
    case XDS_RECORD_DOMAIN:
      g_assert_cmpuint (a->domain.domid, ==, b->domain.domid);
      g_assert_cmpuint (a->domain.features, ==, b->domain.features);
      assert_quotas (a->domain.quotas, b->domain.quotas);
      break;
    default:
      break;
    }
}

/* --- tests --- */

static XdsRecord
next (XdsStreamIn *in)
{
  XdsRecord record;
  char *why = NULL;

  if (!xds_stream_in_next (in, &record, &why))
    g_error ("%s", why);
  return record;
}

/* Every record of @bytes is the one that was made; what was read is written to @out again. */
static void
assert_reads_as (GByteArray *bytes, GPtrArray *made, XdsStreamOut *out)
{
  Edge edge;
  XdsStreamIn in;
  XdsRecord record;

  edge_init (&edge, bytes->data, bytes->len);
  xds_stream_in_init (&in, edge.data, edge.len);
  for (guint i = 0; i < made->len; i++)
    {
      record = next (&in);
      g_assert_cmpuint (record.index, ==, i + 1);
      assert_record (&record, &((Made *) made->pdata[i])->record);
      xds_stream_put_any (out, &record);
    }
  record = next (&in);
  g_assert_cmpuint (record.type, ==, XDS_RECORD_END);
  g_assert_cmpuint (in.at, ==, edge.len);
  xds_stream_put_any (out, &record);
  edge_clear (&edge);
}

/* Proves that random records come back from both byte orders, both versions and both conventions of
   length, and that written anew in the native form they are the bytes that a second writer makes.
 */
static void
test_round_trip (void)
{
  for (guint round = 0; round < 400; round++)
    {
      g_autoptr (GPtrArray) texts = g_ptr_array_new_with_free_func (g_free);
      g_autoptr (GPtrArray) made = g_ptr_array_new_with_free_func ((GDestroyNotify) made_free);
      g_autoptr (GByteArray) bytes = g_byte_array_new (), native = g_byte_array_new ();
      Form form = { bytes, round & 1, (round & 2) != 0, 1 + (round >> 2 & 1), 0 };
      Form plain = { native, FALSE, FALSE, form.version, 0 };
      XdsStreamOut out;

      form_header (&form);
      form_header (&plain);
      for (guint n = g_test_rand_int_range (0, 20); n > 0; n--)
        {
          g_ptr_array_add (made, some_record (form.version, texts));
          form_record (&form, made->pdata[made->len - 1]);
          form_record (&plain, made->pdata[made->len - 1]);
        }
      form_record (&form, &(XdsRecord){ .type = XDS_RECORD_END });
      form_record (&plain, &(XdsRecord){ .type = XDS_RECORD_END });
      xds_stream_out_heap (&out);
      xds_stream_put_header (&out, form.version);
      assert_reads_as (bytes, made, &out);
      g_assert_cmpmem (out.data, out.used, native->data, native->len);
      xds_stream_out_clear (&out);
    }
}

#define NUMBER(n) (n) & 255, (n) >> 8 & 255, (n) >> 16 & 255, (n) >> 24 & 255

/* All records as bytes, little-endian: the format, written down. */
static const guint8 golden[] = {
  /* clang-format off */
  'x', 'e', 'n', 's', 't', 'o', 'r', 'e', 0, 0, 0, 2, 0, 0, 0, 0,
  /* GLOBAL_DATA: socket 5, no event channels */
  NUMBER (1), NUMBER (8), NUMBER (5), 255, 255, 255, 255,
  /* GLOBAL_QUOTA_DATA: one for domains, one for all */
  NUMBER (6), NUMBER (24), 1, 0, 1, 0, NUMBER (1000), NUMBER (7), 'n', 'o', 'd', 'e', 's', 0, 'x',
  0, 0, 0, 0, 0,
  /* CONNECTION_DATA: a ring with a unique id, one byte in, three bytes out of which two end an
     answer */
  NUMBER (2), NUMBER (40), NUMBER (9), 0, 0, 1, 0, 3, 0, 0xf4, 0x7f, NUMBER (17), 1, 0, 2, 0,
  NUMBER (3), 'i', 'o', 'u', 't', 0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1,
  /* WATCH_DATA */
  NUMBER (3), NUMBER (16), NUMBER (9), 3, 0, 2, 0, '/', 'a', 0, 't', 0, 0, 0, 0,
  /* WATCH_DATA_EXTENDED: depth 1 */
  NUMBER (8), NUMBER (24), NUMBER (9), 3, 0, 2, 0, 1, 0, 0, 0, '/', 'b', 0, 't', 0, 0, 0, 0, 0, 0,
  0, 0,
  /* CONNECTION_DATA: a socket */
  NUMBER (2), NUMBER (24), NUMBER (10), 1, 0, 0, 0, NUMBER (6), NUMBER (0), 0, 0, 0, 0, NUMBER (0),
  /* TRANSACTION_DATA */
  NUMBER (4), NUMBER (8), NUMBER (10), NUMBER (2),
  /* NODE_DATA: of the store */
  NUMBER (5), NUMBER (32), NUMBER (0), NUMBER (0), 3, 0, 2, 0, 0, 0, 2, 0, 'n', 0, 0, 0, 'r', 1, 3,
  0, '/', 'a', 0, 'v', 'w', 0, 0, 0,
  /* NODE_DATA: removed in the transaction */
  NUMBER (5), NUMBER (24), NUMBER (10), NUMBER (2), 3, 0, 0, 0, 0, 0, 0, 0, '/', 'a', 0, 0, 0, 0, 0,
  0,
  /* DOMAIN_DATA */
  NUMBER (7), NUMBER (24), 3, 0, 1, 0, NUMBER (5), NUMBER (20), 'n', 'o', 'd', 'e', 's', 0, 0, 0, 0,
  0, 0, 0,
  /* END */
  NUMBER (0), NUMBER (0),
  /* clang-format on */
};

static const XdsRecord *
golden_records (gsize *ret_n)
{
  static const guint32 values[] = { 1000, 7 }, domain_values[] = { 20 };
  static const XdsRecordPerm perms[] = { { 'n', 0, 0 }, { 'r', 1, 3 } };
  static const XdsRecord records[] = {
    { .type = XDS_RECORD_GLOBAL, .known = TRUE, .global = { 5, -1 } },
    { .type = XDS_RECORD_GLOBAL_QUOTA,
      .known = TRUE,
      .global_quota = { 1, { 2, FALSE, values, { "nodes\0x", 8 } } } },
    { .type = XDS_RECORD_CONNECTION,
      .known = TRUE,
      .connection = { .id = 9,
                      .kind = XDS_RECORD_RING,
                      .domid = 3,
                      .target = XDS_RECORD_NO_DOMID,
                      .port = 17,
                      .socket_fd = -1,
                      .has_unique_id = TRUE,
                      .unique_id = 0x0102030405060708,
                      .in = { "i", 1 },
                      .out = { "out", 3 },
                      .resp_len = 2 } },
    { .type = XDS_RECORD_WATCH,
      .known = TRUE,
      .watch = { 9, XDS_RECORD_DEPTH_ALL, { "/a", 2 }, { "t", 1 } } },
    { .type = XDS_RECORD_WATCH_EXTENDED,
      .known = TRUE,
      .watch = { 9, 1, { "/b", 2 }, { "t", 1 } } },
    { .type = XDS_RECORD_CONNECTION,
      .known = TRUE,
      .connection
      = { .id = 10, .kind = XDS_RECORD_SOCKET, .target = XDS_RECORD_NO_DOMID, .socket_fd = 6 } },
    { .type = XDS_RECORD_TRANSACTION, .known = TRUE, .transaction = { 10, 2 } },
    { .type = XDS_RECORD_NODE,
      .known = TRUE,
      .node = { 0, 0, 0, 2, FALSE, perms, { "/a", 2 }, { "vw", 2 } } },
    { .type = XDS_RECORD_NODE,
      .known = TRUE,
      .node = { 10, 2, 0, 0, FALSE, perms, { "/a", 2 }, { NULL, 0 } } },
    { .type = XDS_RECORD_DOMAIN,
      .known = TRUE,
      .domain = { 3, 5, { 1, FALSE, domain_values, { "nodes", 6 } } } },
    { .type = XDS_RECORD_END, .known = TRUE },
  };

  *ret_n = G_N_ELEMENTS (records);
  return records;
}

/* Proves that each record is these bytes: of our own dumps, and of whoever wrote the format. */
static void
test_golden (void)
{
  gsize n;
  const XdsRecord *records = golden_records (&n);
  XdsStreamIn in;
  XdsStreamOut out;
  char *why = NULL;

  xds_stream_in_init (&in, golden, sizeof golden);
  xds_stream_out_heap (&out);
  xds_stream_put_header (&out, 2);
  for (gsize i = 0; i < n; i++)
    {
      XdsRecord record = next (&in);

      assert_record (&record, &records[i]);
      xds_stream_put_any (&out, &records[i]);
    }
  g_assert_cmpuint (in.at, ==, sizeof golden);
  if (G_BYTE_ORDER == G_LITTLE_ENDIAN)
    g_assert_cmpmem (out.data, out.used, golden, sizeof golden);
  g_assert_true (xds_stream_verify (golden, sizeof golden, &why));
  xds_stream_out_clear (&out);
}

/* Proves that the extended watch is read as the document has it, as C xenstored's reader expects
   it, and as C xenstored writes it, whatever the lengths, and that the record behind it is found.
 */
static void
test_extended_watch (void)
{
  static const gsize places[] = { 8, 10, 12 };
  const char *path = "/local/domain/1/device/vif/0", *token = "abcdefghijklmnopqrstuvwxyz";
  Form form = { NULL, FALSE, FALSE, 2, 0 };

  for (gsize path_len = 1; path_len <= strlen (path); path_len++)
    for (gsize token_len = 0; token_len <= strlen (token); token_len++)
      for (guint i = 0; i < 3 * 2; i++)
        {
          g_autoptr (GByteArray) bytes = form.bytes = g_byte_array_new ();
          XdsRecord made = { .type = XDS_RECORD_WATCH_EXTENDED, .known = TRUE };
          XdsRecord after = { .type = XDS_RECORD_GLOBAL, .known = TRUE, .global = { 5, 6 } };
          XdsRecord record;
          guint32 len;
          XdsStreamIn in;
          Edge edge;

          form.swapped = i >= 3;
          made.watch = (XdsRecordWatch){ 7, 2, { path, path_len }, { token, token_len } };
          form_header (&form);
          form_begin (&form, made.type);
          form_watch (&form, &made, places[i % 3]);
          form_end (&form);
          len = (12 + path_len + 1 + token_len + 1 + 7) & ~7;
          if (form.swapped)
            len = GUINT32_SWAP_LE_BE (len);
          if (places[i % 3] != 10)
            memcpy (bytes->data + form.record + 4, &len, sizeof len);
          form_record (&form, &after);
          form_record (&form, &(XdsRecord){ .type = XDS_RECORD_END });
          edge_init (&edge, bytes->data, bytes->len);
          xds_stream_in_init (&in, edge.data, edge.len);
          record = next (&in);
          if (places[i % 3] == 8)
            made.watch.depth = XDS_RECORD_DEPTH_ALL;
          assert_record (&record, &made);
          record = next (&in);
          assert_record (&record, &after);
          record = next (&in);
          g_assert_cmpuint (record.type, ==, XDS_RECORD_END);
          edge_clear (&edge);
        }
}

/* Proves that records of our own and of the future are handed out as they are, marked as such. */
static void
test_raw (void)
{
  XdsStreamOut out;
  XdsStreamIn in;
  XdsRecord record;

  xds_stream_out_heap (&out);
  xds_stream_put_header (&out, 2);
  memcpy (xds_stream_begin (&out, XDS_RECORD_OWN + 1, 3), "abc", 3);
  memcpy (xds_stream_begin (&out, 9, 8), "12345678", 8);
  xds_stream_put_end (&out);
  xds_stream_in_init (&in, out.data, out.used);
  record = next (&in);
  g_assert_cmpuint (record.type, ==, XDS_RECORD_OWN + 1);
  g_assert_false (record.known);
  g_assert_cmpmem (record.body.data, record.body.len, "abc\0\0\0\0\0", 8);
  record = next (&in);
  g_assert_cmpuint (record.type, ==, 9);
  g_assert_false (record.known);
  g_assert_cmpmem (record.body.data, record.body.len, "12345678", 8);
  g_assert_cmpuint (next (&in).type, ==, XDS_RECORD_END);
  xds_stream_out_clear (&out);
}

/* Proves that a journal may stop behind any record, and nowhere else. */
static void
test_may_stop (void)
{
  XdsStreamIn in;
  XdsRecord record;

  xds_stream_in_init (&in, golden, sizeof golden - 8);
  in.may_stop = TRUE;
  do
    record = next (&in);
  while (record.type != XDS_RECORD_END);
  g_assert_cmpuint (in.at, ==, sizeof golden - 8);
  xds_stream_in_init (&in, golden, sizeof golden - 9);
  in.may_stop = TRUE;
  do
    if (!xds_stream_in_read (&in, &record))
      break;
  while (record.type != XDS_RECORD_END);
  g_assert_cmpuint (record.type, !=, XDS_RECORD_END);
}

/* Reads all of it; the sentence that says what is wrong, or NULL. */
static char *
read_all (const guint8 *data, gsize len)
{
  Edge edge;
  char *why = NULL;
  gboolean sound;

  edge_init (&edge, data, len);
  sound = xds_stream_verify (edge.data, edge.len, &why);
  edge_clear (&edge);
  g_assert_true (sound == (why == NULL));
  if (why != NULL)
    g_assert_true (g_str_has_prefix (why, "the stream's header is damaged: ")
                   || (g_str_has_prefix (why, "record ") && strstr (why, " at byte ") != NULL));
  return why;
}

/* Proves that a stream that was cut anywhere is refused, with a reason. */
static void
test_cut (void)
{
  for (gsize len = 0; len < sizeof golden; len++)
    {
      g_autofree char *why = read_all (golden, len);

      g_assert_nonnull (why);
    }
}

/* Proves that no change of any byte makes the reader look outside, and that each byte that says how
   long, of what kind or where something is cannot be changed unnoticed. */
static void
test_damage (void)
{
  guint8 bytes[sizeof golden];
  guint noticed = 0;

  for (gsize i = 0; i < sizeof golden; i++)
    for (guint bit = 0; bit < 8; bit++)
      {
        g_autofree char *why = NULL;

        memcpy (bytes, golden, sizeof golden);
        bytes[i] ^= 1 << bit;
        why = read_all (bytes, sizeof bytes);
        noticed += why != NULL;
        if (i < 16)
          g_assert_nonnull (why);
      }
  g_assert_cmpuint (noticed, >, sizeof golden * 8 / 3);
}

static void
damage (gsize at, guint8 byte, const char *sentence)
{
  guint8 bytes[sizeof golden];
  g_autofree char *why = NULL;

  memcpy (bytes, golden, sizeof golden);
  bytes[at] = byte;
  why = read_all (bytes, sizeof bytes);
  g_assert_cmpstr (why, ==, sentence);
}

/* Proves that what is wrong is said: which record, where it is, why. */
static void
test_reasons (void)
{
  damage (0, 'X', "the stream's header is damaged: it does not begin with \"xenstore\"");
  damage (11, 3, "the stream's header is damaged: its version is neither 1 nor 2");
  damage (15, 2, "the stream's header is damaged: it has flags that are not known");
  damage (20, 0, "record 1 (GLOBAL_DATA) at byte 16 of the stream is damaged: it is too short");
  damage (23, 1,
          "record 1 (GLOBAL_DATA) at byte 16 of the stream is damaged: it is longer than "
          "what is left of the stream");
  damage (40, 9,
          "record 2 (GLOBAL_QUOTA_DATA) at byte 32 of the stream is damaged: "
          "its quotas are more than the record has");
  damage (76, 2,
          "record 3 (CONNECTION_DATA) at byte 64 of the stream is damaged: "
          "the connection is neither a ring nor a socket");
  damage (88, 60,
          "record 3 (CONNECTION_DATA) at byte 64 of the stream is damaged: "
          "its pending bytes are more than the record has");
  damage (90, 4,
          "record 3 (CONNECTION_DATA) at byte 64 of the stream is damaged: "
          "a half-sent answer is longer than all that is to be sent");
  damage (120, 8,
          "record 4 (WATCH_DATA) at byte 112 of the stream is damaged: "
          "no record of the connection that it names stands before it");
  damage (124, 4,
          "record 4 (WATCH_DATA) at byte 112 of the stream is damaged: "
          "path and token are not two strings of the lengths that it gives");
}

/* Proves that what was never announced, or announced twice, is found. */
static void
test_references (void)
{
  XdsStreamOut out;
  const XdsRecordTransaction txn = { 1, 1 };
  const XdsRecordConnection connection = { .id = 1, .kind = XDS_RECORD_SOCKET };
  const XdsRecordNode node = { .conn_id = 1, .txn_id = 2, .path = { "/", 1 } };
  g_autofree char *unknown = NULL, *twice = NULL, *orphan = NULL;

  xds_stream_out_heap (&out);
  xds_stream_put_header (&out, 2);
  xds_stream_put_transaction (&out, &txn);
  unknown = read_all (out.data, out.used);
  g_assert_cmpstr (unknown, ==,
                   "record 1 (TRANSACTION_DATA) at byte 16 of the stream is damaged: "
                   "no record of the connection that it names stands before it");
  out.used = XDS_STREAM_HEADER;
  xds_stream_put_connection (&out, &connection);
  xds_stream_put_transaction (&out, &txn);
  xds_stream_put_node (&out, &node);
  orphan = read_all (out.data, out.used);
  g_assert_cmpstr (orphan, ==,
                   "record 3 (NODE_DATA) at byte 64 of the stream is damaged: "
                   "no record of the transaction that it names stands before it");
  out.used = 64;
  xds_stream_put_transaction (&out, &txn);
  twice = read_all (out.data, out.used);
  g_assert_cmpstr (twice, ==,
                   "record 3 (TRANSACTION_DATA) at byte 64 of the stream is damaged: "
                   "there is one of the same number before it");
  xds_stream_out_clear (&out);
}

static gboolean
no_more (XdsStreamOut *out, gsize at_least)
{
  (void) out;
  (void) at_least;
  return FALSE;
}

/* Proves that a record that does not fit is not begun, nor any after it that would fit. */
static void
test_no_room (void)
{
  guint8 memory[56];
  XdsStreamOut out = { .data = memory, .room = sizeof memory, .more = no_more };
  const XdsRecordNode node = { .conn_id = 1, .txn_id = 2, .path = { "/12345678901234567890", 21 } };

  xds_stream_put_header (&out, 1);
  g_assert_false (out.failed);
  xds_stream_put_node (&out, &node);
  g_assert_true (out.failed);
  xds_stream_put_end (&out);
  g_assert_null (xds_stream_begin (&out, XDS_RECORD_OWN, 1));
  g_assert_cmpuint (out.used, ==, XDS_STREAM_HEADER);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/stream/round-trip", test_round_trip);
  g_test_add_func ("/stream/golden", test_golden);
  g_test_add_func ("/stream/extended-watch", test_extended_watch);
  g_test_add_func ("/stream/raw", test_raw);
  g_test_add_func ("/stream/may-stop", test_may_stop);
  g_test_add_func ("/stream/cut", test_cut);
  g_test_add_func ("/stream/damage", test_damage);
  g_test_add_func ("/stream/reasons", test_reasons);
  g_test_add_func ("/stream/references", test_references);
  g_test_add_func ("/stream/no-room", test_no_room);
  return g_test_run ();
}
