/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Export and import.
 *
 * The archive is read whole and its sum checked before anything is stored: it comes over a wire or
 * from a disk that was full.  tar lost: its names are paths, and a reader of it can do more than
 * is wanted here; JSON lost: the data is bytes.
 */

#include "userdata/transfer.h"

#include <stdio.h>
#include <string.h>

#define MAGIC "xds-userdata 1\n"

/* --- export --- */

static void
append_userid (GByteArray *out, const char *userid)
{
  for (const char *p = userid; *p != '\0'; p++)
    {
      char text[4] = { *p };

      if (!g_ascii_isgraph (*p) || *p == '%')
        g_snprintf (text, sizeof text, "%%%02x", (guint) (guchar) *p);
      g_byte_array_append (out, (const guint8 *) text, (guint) strlen (text));
    }
}

static void
append_text (GByteArray *out, const char *text)
{
  g_byte_array_append (out, (const guint8 *) text, (guint) strlen (text));
}

static void
append_item (GByteArray *out, const char *userid, GBytes *bytes)
{
  g_autofree char *size = g_strdup_printf (" %" G_GSIZE_FORMAT "\n", g_bytes_get_size (bytes));

  append_text (out, "item ");
  append_userid (out, userid);
  append_text (out, size);
  g_byte_array_append (out, g_bytes_get_data (bytes, NULL), (guint) g_bytes_get_size (bytes));
  append_text (out, "\n");
}

static void
append_end (GByteArray *out, guint n)
{
  g_autofree char *sum = g_compute_checksum_for_data (G_CHECKSUM_SHA256, out->data, out->len);
  g_autofree char *line = g_strdup_printf ("end %u %s\n", n, sum);

  append_text (out, line);
}

/* What vanished since it was listed is left out; anything else that fails is an error. */
static gboolean
export_item (XdsUserdataStore *store, guint domid, const char *userid, GByteArray *out, guint *n,
             GError **error)
{
  g_autoptr (GError) local = NULL;
  g_autoptr (GBytes) bytes = xds_userdata_store_get (store, domid, userid, NULL, &local);

  if (bytes != NULL)
    {
      append_item (out, userid, bytes);
      (*n)++;
      return TRUE;
    }
  if (g_error_matches (local, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_ABSENT)
      || g_error_matches (local, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_EMPTY))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&local));
  return FALSE;
}

GBytes *
xds_userdata_store_export (XdsUserdataStore *store, guint domid, XdsUserdataTransferFlags flags,
                           GError **error)
{
  g_autoptr (GPtrArray) items = xds_userdata_store_list (store, domid, error);
  g_autoptr (GByteArray) out = g_byte_array_new ();
  guint n = 0;

  if (items == NULL)
    return NULL;
  append_text (out, MAGIC);
  for (guint i = 0; i < items->len; i++)
    {
      const char *userid = ((XdsUserdataItem *) items->pdata[i])->userid;

      if ((flags & XDS_USERDATA_TRANSFER_THIRD_PARTY) && xds_userdata_userid_is_libxl (userid))
        continue;
      if (!export_item (store, domid, userid, out, &n, error))
        return NULL;
    }
  append_end (out, n);
  return g_byte_array_free_to_bytes (g_steal_pointer (&out));
}

/* --- import --- */

typedef struct
{
  char *userid;  /* (owned) */
  GBytes *bytes; /* (owned) */
} Item;

static void
item_clear (Item *item)
{
  g_free (item->userid);
  g_bytes_unref (item->bytes);
}

/* What is left to read. */
typedef struct
{
  GBytes *whole; /* (unowned) */
  const char *start, *p, *end;
} Reader;

/* (transfer full): the next line without its newline; NULL if there is none. */
static char *
read_line (Reader *reader)
{
  const char *newline = memchr (reader->p, '\n', (gsize) (reader->end - reader->p));
  char *line;

  if (newline == NULL)
    return NULL;
  line = g_strndup (reader->p, (gsize) (newline - reader->p));
  reader->p = newline + 1;
  return line;
}

/* (transfer full) (nullable) */
static char *
unescape (const char *text)
{
  g_autoptr (GString) out = g_string_new (NULL);

  for (const char *p = text; *p != '\0'; p++)
    if (*p != '%')
      g_string_append_c (out, *p);
    else if (g_ascii_isxdigit (p[1]) && g_ascii_isxdigit (p[2]) && (p[1] != '0' || p[2] != '0'))
      {
        g_string_append_c (out,
                           (char) (g_ascii_xdigit_value (p[1]) * 16 + g_ascii_xdigit_value (p[2])));
        p += 2;
      }
    else
      return NULL;
  return g_strdup (out->str);
}

/* "item USERID SIZE", and the bytes that follow it. */
static gboolean
read_item (Reader *reader, const char *line, GArray *items)
{
  g_auto (GStrv) words = g_strsplit (line, " ", -1);
  g_autofree char *userid = NULL;
  gsize left = (gsize) (reader->end - reader->p);
  guint64 size;
  Item item;

  if (g_strv_length (words) != 3 || strcmp (words[0], "item") != 0
      || !g_ascii_string_to_unsigned (words[2], 10, 0, G_MAXINT, &size, NULL) || size >= left
      || reader->p[size] != '\n')
    return FALSE;
  userid = unescape (words[1]);
  if (userid == NULL || userid[0] == '\0')
    return FALSE;
  item.userid = g_steal_pointer (&userid);
  item.bytes = g_bytes_new_from_bytes (reader->whole, (gsize) (reader->p - reader->start), size);
  g_array_append_val (items, item);
  reader->p += size + 1;
  return TRUE;
}

/* "end N SUM", and nothing after it. */
static gboolean
check_end (Reader *reader, const char *line, gsize before, guint n)
{
  g_autofree char *sum
      = g_compute_checksum_for_data (G_CHECKSUM_SHA256, (const guchar *) reader->start, before);
  g_autofree char *expected = g_strdup_printf ("end %u %s", n, sum);

  return reader->p == reader->end && strcmp (line, expected) == 0;
}

static gboolean
read_archive (GBytes *archive, GArray *items)
{
  gsize len;
  const char *data = g_bytes_get_data (archive, &len);
  Reader reader = { archive, data, data, data + len };

  if (len < strlen (MAGIC) || memcmp (data, MAGIC, strlen (MAGIC)) != 0)
    return FALSE;
  reader.p += strlen (MAGIC);
  for (;;)
    {
      gsize before = (gsize) (reader.p - reader.start);
      g_autofree char *line = read_line (&reader);

      if (line == NULL)
        return FALSE;
      if (g_str_has_prefix (line, "end "))
        return check_end (&reader, line, before, items->len);
      if (!read_item (&reader, line, items))
        return FALSE;
    }
}

/* FALSE without an error for what is there already and shall stay. */
static gboolean
import_item (XdsUserdataStore *store, guint domid, const Item *item, gboolean replace,
             GError **error)
{
  g_autoptr (GError) local = NULL;

  if (g_bytes_get_size (item->bytes) == 0)
    return FALSE;
  if (replace)
    return xds_userdata_store_put (store, domid, item->userid, item->bytes, NULL, error);
  if (xds_userdata_store_put_if (store, domid, item->userid, item->bytes, XDS_USERDATA_NONE, NULL,
                                 &local))
    return TRUE;
  if (!g_error_matches (local, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_CHANGED))
    g_propagate_error (error, g_steal_pointer (&local));
  return FALSE;
}

gboolean
xds_userdata_store_import (XdsUserdataStore *store, guint domid, GBytes *archive,
                           XdsUserdataTransferFlags flags, guint *ret_n, GError **error)
{
  g_autoptr (GArray) items = g_array_new (FALSE, FALSE, sizeof (Item));
  guint n = 0;

  g_array_set_clear_func (items, (GDestroyNotify) item_clear);
  if (!read_archive (archive, items))
    {
      g_set_error (error, XDS_USERDATA_ERROR, XDS_USERDATA_ERROR_BAD_ARCHIVE,
                   "This is not a whole archive of userdata, nothing was stored; export it again");
      return FALSE;
    }
  for (guint i = 0; i < items->len; i++)
    {
      const Item *item = &g_array_index (items, Item, i);
      GError *local = NULL;

      n += import_item (store, domid, item, (flags & XDS_USERDATA_TRANSFER_REPLACE) != 0, &local);
      if (local != NULL)
        {
          g_propagate_prefixed_error (error, local, "Import stopped at '%s': ", item->userid);
          return FALSE;
        }
    }
  if (ret_n != NULL)
    *ret_n = n;
  return TRUE;
}
