/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The reader of the migration stream.
 *
 * What always holds: no byte outside of the input is looked at; a record is handed out only when
 * all of it was found sound; lengths are compared before anything is added to them, so that nothing
 * overflows.
 *
 * It reads what the document says and what C xenstored really writes, from 4.17 on:
 *   - The length of a record is that of its body, or (C) the body's with its padding.  Both lead to
 *     the same next record, since each starts at a multiple of eight.
 *   - The flags of the header are big-endian by the document, native in C; both are understood.
 *   - The extended watch has its strings at 12 by the document.  C 4.22 writes the header of the
 *     plain watch, so that they are at 8, the depth is not there at all, and the next record may
 *     come eight bytes before the length says so; and its reader looks for them at 10.  The form is
 *     told by the strings and by what follows them.
 *   - A connection's unique id counts only from version 2 on; before, the field is padding.
 *
 * Not done here: whether records fit together (core/stream.c), since that needs memory.  The road
 * not taken is a table of fields for all records: three of the nine have parts whose place depends
 * on other parts, and those would be code anyway.
 */

#include "xsd/wire/stream.h"

#include <stdio.h>

#define RECORD_HEADER 8

static const char ident[8] = { 'x', 'e', 'n', 's', 't', 'o', 'r', 'e' };

static const char *const type_names[] = {
  "END",       "GLOBAL_DATA",       "CONNECTION_DATA", "WATCH_DATA",          "TRANSACTION_DATA",
  "NODE_DATA", "GLOBAL_QUOTA_DATA", "DOMAIN_DATA",     "WATCH_DATA_EXTENDED",
};

#define N_TYPES (sizeof type_names / sizeof *type_names)

const char *
xds_record_type_name (uint32_t type)
{
  return type < N_TYPES ? type_names[type] : NULL;
}

/* --- numbers and strings --- */

static uint16_t
u16 (bool swapped, const void *at)
{
  uint16_t n;

  memcpy (&n, at, sizeof n);
  return swapped ? __builtin_bswap16 (n) : n;
}

static uint32_t
u32 (bool swapped, const void *at)
{
  uint32_t n;

  memcpy (&n, at, sizeof n);
  return swapped ? __builtin_bswap32 (n) : n;
}

static uint64_t
u64 (bool swapped, const void *at)
{
  uint64_t n;

  memcpy (&n, at, sizeof n);
  return swapped ? __builtin_bswap64 (n) : n;
}

static size_t
align (size_t n)
{
  return (n + XDS_STREAM_ALIGN - 1) & ~(size_t) (XDS_STREAM_ALIGN - 1);
}

/* Is @len bytes at @at one string with its NUL? */
static bool
is_string (const uint8_t *at, size_t len)
{
  return len > 0 && memchr (at, '\0', len) == at + len - 1;
}

static XdsSpan
span (const uint8_t *at, size_t len)
{
  return (XdsSpan){ (const char *) at, len };
}

/* --- records; each returns what is wrong, or NULL --- */

static const char *
read_global (XdsStreamIn *in, const uint8_t *body, size_t len, XdsRecord *record)
{
  if (len < 8)
    return "it is too short";
  record->global = (XdsRecordGlobal){ (int32_t) u32 (in->swapped, body),
                                      (int32_t) u32 (in->swapped, body + 4) };
  return NULL;
}

static const char *
read_unique_id (XdsStreamIn *in, const uint8_t *body, size_t len, size_t end,
                XdsRecordConnection *ret)
{
  ret->has_unique_id = in->version >= 2 && (u16 (in->swapped, body + 6) & 1) != 0;
  if (!ret->has_unique_id)
    return NULL;
  if (align (end) > len || len - align (end) < 8)
    return "there is no room for the unique id that it announces";
  ret->unique_id = u64 (in->swapped, body + align (end));
  return NULL;
}

static const char *
read_connection (XdsStreamIn *in, const uint8_t *body, size_t len, XdsRecord *record)
{
  XdsRecordConnection connection = { .socket_fd = -1, .target = XDS_RECORD_NO_DOMID };
  const size_t fixed = 24;
  size_t in_len, out_len;

  if (len < fixed)
    return "it is too short";
  connection.id = u32 (in->swapped, body);
  connection.kind = u16 (in->swapped, body + 4);
  if (connection.kind == XDS_RECORD_RING)
    {
      connection.domid = u16 (in->swapped, body + 8);
      connection.target = u16 (in->swapped, body + 10);
      connection.port = u32 (in->swapped, body + 12);
    }
  else if (connection.kind == XDS_RECORD_SOCKET)
    connection.socket_fd = (int32_t) u32 (in->swapped, body + 8);
  else
    return "the connection is neither a ring nor a socket";
  in_len = u16 (in->swapped, body + 16);
  connection.resp_len = u16 (in->swapped, body + 18);
  out_len = u32 (in->swapped, body + 20);
  if (in_len > len - fixed || out_len > len - fixed - in_len)
    return "its pending bytes are more than the record has";
  if (connection.resp_len > out_len)
    return "a half-sent answer is longer than all that is to be sent";
  connection.in = span (body + fixed, in_len);
  connection.out = span (body + fixed + in_len, out_len);
  record->connection = connection;
  return read_unique_id (in, body, len, fixed + in_len + out_len, &record->connection);
}

/* Path and token at @at of @room bytes. */
static bool
read_watch_strings (XdsStreamIn *in, const uint8_t *body, const uint8_t *at, size_t room,
                    XdsRecordWatch *ret)
{
  size_t path_len = u16 (in->swapped, body + 4), token_len = u16 (in->swapped, body + 6);

  if (path_len > room || token_len > room - path_len || path_len < 2 || !is_string (at, path_len)
      || !is_string (at + path_len, token_len))
    return false;
  ret->conn_id = u32 (in->swapped, body);
  ret->path = span (at, path_len - 1);
  ret->token = span (at + path_len, token_len - 1);
  return true;
}

static const char *
read_watch (XdsStreamIn *in, const uint8_t *body, size_t len, XdsRecord *record)
{
  if (len < 8)
    return "it is too short";
  record->watch.depth = XDS_RECORD_DEPTH_ALL;
  if (!read_watch_strings (in, body, body + 8, len - 8, &record->watch))
    return "path and token are not two strings of the lengths that it gives";
  return NULL;
}

static const char *
read_transaction (XdsStreamIn *in, const uint8_t *body, size_t len, XdsRecord *record)
{
  if (len < 8)
    return "it is too short";
  record->transaction
      = (XdsRecordTransaction){ u32 (in->swapped, body), u32 (in->swapped, body + 4) };
  return NULL;
}

static const char *
read_node (XdsStreamIn *in, const uint8_t *body, size_t len, XdsRecord *record)
{
  XdsRecordNode *node = &record->node;
  const size_t fixed = 16;
  size_t path_len, value_len;

  if (len < fixed)
    return "it is too short";
  *node = (XdsRecordNode){ .conn_id = u32 (in->swapped, body), .swapped = in->swapped };
  node->txn_id = node->conn_id != 0 ? u32 (in->swapped, body + 4) : 0;
  path_len = u16 (in->swapped, body + 8);
  value_len = u16 (in->swapped, body + 10);
  node->access = u16 (in->swapped, body + 12);
  node->n_perms = u16 (in->swapped, body + 14);
  node->perms = body + fixed;
  len -= fixed;
  if (node->n_perms > len / sizeof (XdsRecordPerm))
    return "its permissions are more than the record has";
  body += fixed + node->n_perms * sizeof (XdsRecordPerm);
  len -= node->n_perms * sizeof (XdsRecordPerm);
  if (path_len > len || value_len > len - path_len)
    return "path and value are longer than the record";
  if (!is_string (body, path_len) || (body[0] != '/' && body[0] != '@'))
    return "its path is not a string that begins with / or @";
  if (node->n_perms == 0 && node->conn_id == 0)
    return "it has no permissions, so nobody owns it";
  for (unsigned i = 0; i < node->n_perms; i++)
    if (strchr ("nrwb", xds_record_perm (node, i).letter) == NULL
        || xds_record_perm (node, i).letter == '\0')
      return "a permission's letter is none of n, r, w, b";
  node->path = span (body, path_len - 1);
  node->value = span (body + path_len, value_len);
  return NULL;
}

static const char *
read_quotas (XdsStreamIn *in, const uint8_t *at, size_t len, size_t n, XdsRecordQuotas *ret)
{
  const uint8_t *names, *end;

  if (n > UINT16_MAX || n > len / sizeof (uint32_t))
    return "its quotas are more than the record has";
  names = end = at + n * sizeof (uint32_t);
  len -= n * sizeof (uint32_t);
  for (size_t i = 0; i < n; i++)
    {
      const uint8_t *nul = len > 0 ? memchr (end, '\0', len) : NULL;

      if (nul == NULL)
        return "a quota has no name";
      len -= nul + 1 - end;
      end = nul + 1;
    }
  *ret = (XdsRecordQuotas){ n, in->swapped, at, span (names, end - names) };
  return NULL;
}

static const char *
read_global_quota (XdsStreamIn *in, const uint8_t *body, size_t len, XdsRecord *record)
{
  if (len < 4)
    return "it is too short";
  record->global_quota.n_domain = u16 (in->swapped, body);
  return read_quotas (in, body + 4, len - 4,
                      (size_t) record->global_quota.n_domain + u16 (in->swapped, body + 2),
                      &record->global_quota.quotas);
}

static const char *
read_domain (XdsStreamIn *in, const uint8_t *body, size_t len, XdsRecord *record)
{
  if (len < 8)
    return "it is too short";
  record->domain.domid = u16 (in->swapped, body);
  record->domain.features = in->version >= 2 ? u32 (in->swapped, body + 4) : 0;
  return read_quotas (in, body + 8, len - 8, u16 (in->swapped, body + 2), &record->domain.quotas);
}

static const char *
read_end (XdsStreamIn *in, const uint8_t *body, size_t len, XdsRecord *record)
{
  (void) in;
  (void) body;
  (void) record;
  return len == 0 ? NULL : "it has a body";
}

/* --- the extended watch --- */

/* Could a record start at @at of the stream? */
static bool
record_starts (const XdsStreamIn *in, size_t at)
{
  uint32_t type;

  if (at == in->len)
    return in->may_stop;
  if (at > in->len || in->len - at < RECORD_HEADER)
    return false;
  type = u32 (in->swapped, in->data + at);
  if (type >= N_TYPES && type >> 16 != XDS_RECORD_OWN >> 16)
    return false;
  return type != XDS_RECORD_END || u32 (in->swapped, in->data + at + 4) == 0;
}

/*
 * Its strings are at 12, 10 or 8 (see above).  In the last form what was written may be shorter
 * than the length, and *len is put right.
 */
static const char *
read_watch_extended (XdsStreamIn *in, const uint8_t *body, size_t *len, XdsRecord *record)
{
  static const size_t places[] = { 12, 10, 8 };
  size_t strings, at = body - in->data;

  if (*len < 12 || in->len - at < 8)
    return "it is too short";
  strings = u16 (in->swapped, body + 4) + (size_t) u16 (in->swapped, body + 6);
  for (unsigned i = 0; i < 3; i++)
    {
      size_t place = places[i];
      size_t whole = place == 8 ? align (place + strings) : align (*len);

      if (whole > align (*len) || whole < place || !record_starts (in, at + whole)
          || !read_watch_strings (in, body, body + place, whole - place, &record->watch))
        continue;
      if (place == 12 && u16 (false, body + 10) != 0)
        continue;
      record->watch.depth = place == 8 ? XDS_RECORD_DEPTH_ALL : u16 (in->swapped, body + 8);
      if (place == 8)
        *len = whole;
      return NULL;
    }
  return "path and token are not two strings of the lengths that it gives";
}

/* --- the stream --- */

static const char *(*const readers[N_TYPES]) (XdsStreamIn *in, const uint8_t *body, size_t len,
                                              XdsRecord *record)
    = {
        [XDS_RECORD_END] = read_end,
        [XDS_RECORD_GLOBAL] = read_global,
        [XDS_RECORD_CONNECTION] = read_connection,
        [XDS_RECORD_WATCH] = read_watch,
        [XDS_RECORD_TRANSACTION] = read_transaction,
        [XDS_RECORD_NODE] = read_node,
        [XDS_RECORD_GLOBAL_QUOTA] = read_global_quota,
        [XDS_RECORD_DOMAIN] = read_domain,
      };

void
xds_stream_in_init (XdsStreamIn *in, const void *data, size_t len)
{
  *in = (XdsStreamIn){ .data = data, .len = len };
}

static bool
damaged (XdsStreamIn *in, uint32_t type, const char *reason)
{
  in->fault = (XdsStreamFault){ in->version != 0 ? in->index + 1 : 0, in->at, type, reason };
  return false;
}

static bool
read_header (XdsStreamIn *in)
{
  const uint16_t probe = 1;
  bool little = *(const uint8_t *) &probe == 1, big;
  uint32_t version, flags;

  if (in->len < XDS_STREAM_HEADER)
    return damaged (in, 0, "it is shorter than a header");
  if (memcmp (in->data, ident, sizeof ident) != 0)
    return damaged (in, 0, "it does not begin with \"xenstore\"");
  version = u32 (little, in->data + 8);
  if (version < 1 || version > XDS_STREAM_VERSION_MAX)
    return damaged (in, 0, "its version is neither 1 nor 2");
  flags = u32 (little, in->data + 12);
  if (flags != 0 && flags != 1 && flags != 0x01000000)
    return damaged (in, 0, "it has flags that are not known");
  big = flags != 0;
  in->version = version;
  in->swapped = big == little;
  in->at = XDS_STREAM_HEADER;
  return true;
}

/* Takes the record header apart; the body with its padding is in the input. */
static bool
read_record_header (XdsStreamIn *in, XdsRecord *record, size_t *ret_len)
{
  size_t left = in->len - in->at, len;

  if (left < RECORD_HEADER)
    return damaged (in, XDS_RECORD_END,
                    left == 0 ? "there is no END record" : "it is shorter than a record's header");
  record->type = u32 (in->swapped, in->data + in->at);
  len = u32 (in->swapped, in->data + in->at + 4);
  left -= RECORD_HEADER;
  if (record->type != XDS_RECORD_WATCH_EXTENDED && (len > left || align (len) > left))
    return damaged (in, record->type, "it is longer than what is left of the stream");
  /* The last eight bytes of this one may be missing. */
  if (len > left + XDS_STREAM_ALIGN)
    return damaged (in, record->type, "it is longer than what is left of the stream");
  *ret_len = len;
  return true;
}

bool
xds_stream_in_read (XdsStreamIn *in, XdsRecord *ret_record)
{
  XdsRecord record = { .type = XDS_RECORD_END, .known = true };
  const uint8_t *body;
  const char *reason = NULL;
  size_t len = 0;

  if (in->version == 0 && !read_header (in))
    return false;
  record.offset = in->at;
  record.index = in->index + 1;
  if (in->at < in->len || !in->may_stop)
    {
      if (!read_record_header (in, &record, &len))
        return false;
      body = in->data + in->at + RECORD_HEADER;
      record.known = record.type < N_TYPES;
      if (record.type == XDS_RECORD_WATCH_EXTENDED)
        reason = read_watch_extended (in, body, &len, &record);
      else if (record.known)
        reason = readers[record.type](in, body, len, &record);
      if (reason != NULL)
        return damaged (in, record.type, reason);
      record.body = span (body, len);
      in->at += RECORD_HEADER + align (len);
    }
  in->index++;
  *ret_record = record;
  return true;
}

int
xds_stream_fault_print (const XdsStreamFault *fault, char *text, size_t size)
{
  const char *name = xds_record_type_name (fault->type);

  if (fault->index == 0)
    return snprintf (text, size, "the stream's header is damaged: %s", fault->reason);
  if (name != NULL)
    return snprintf (text, size, "record %zu (%s) at byte %zu of the stream is damaged: %s",
                     fault->index, name, fault->offset, fault->reason);
  return snprintf (text, size, "record %zu (type 0x%08x) at byte %zu of the stream is damaged: %s",
                   fault->index, fault->type, fault->offset, fault->reason);
}

/* --- parts of records --- */

XdsRecordPerm
xds_record_perm (const XdsRecordNode *node, unsigned i)
{
  const uint8_t *at = (const uint8_t *) node->perms + i * sizeof (XdsRecordPerm);

  return (XdsRecordPerm){ at[0], at[1], u16 (node->swapped, at + 2) };
}

bool
xds_record_next_quota (XdsRecordQuotas *quotas, XdsSpan *ret_name, uint32_t *ret_value)
{
  if (quotas->n == 0 || !xds_msg_next_string (&quotas->names, ret_name))
    return false;
  *ret_value = u32 (quotas->swapped, quotas->values);
  quotas->values = (const uint8_t *) quotas->values + sizeof (uint32_t);
  quotas->n--;
  return true;
}
