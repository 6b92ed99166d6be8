/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Listings that do not fit in one message, put together from parts as clients do, while the
 * directory changes; the truth is a plain array of names.
 */

#include "tests/world.h"

#include <string.h>

#define ROUNDS 400
#define CHANGES_MAX 12
#define NAMES 100 /* about so many, of about 100 bytes */

typedef struct
{
  XdsWorld *world;
  XdsWorldPeer *writer, *guest;
  GPtrArray *names; /* (owned) in order of insertion */
  guint n_made;
} Directory;

static void
request (Directory *dir, guint type, guint tx, const char *name)
{
  g_autofree char *path = g_strconcat ("/d", *name != '\0' ? "/" : "", name, NULL);

  g_assert_cmpint (xds_world_status (dir->writer, type, tx, path, strlen (path) + 1), ==, XDS_OK);
}

/* A child comes or goes; the names are long, so that few of them fill a message. */
static void
change (Directory *dir, guint tx)
{
  if (g_test_rand_int_range (0, 2 * NAMES) < (gint) dir->names->len)
    {
      guint at = g_test_rand_int_range (0, dir->names->len);

      request (dir, XDS_OP_RM, tx, dir->names->pdata[at]);
      g_ptr_array_remove_index (dir->names, at);
      return;
    }
  char name[201];
  gsize len = g_test_rand_int_range (8, 200);

  memset (name, 'x', len);
  g_snprintf (name, sizeof name, "%u", dir->n_made++);
  name[strlen (name)] = '-';
  name[len] = '\0';
  request (dir, XDS_OP_MKDIR, tx, name);
  g_ptr_array_add (dir->names, g_strdup (name));
}

static GByteArray *
joined (const GPtrArray *names)
{
  GByteArray *bytes = g_byte_array_new ();

  for (guint i = 0; i < names->len; i++)
    g_byte_array_append (bytes, names->pdata[i], strlen (names->pdata[i]) + 1);
  return bytes;
}

static XdsWorldMsg *
part (XdsWorldPeer *peer, guint tx, gsize offset)
{
  char payload[32] = "/d";
  gsize len = 3 + g_snprintf (payload + 3, sizeof payload - 3, "%" G_GSIZE_FORMAT, offset) + 1;
  XdsWorldMsg *msg = xds_world_call (peer, XDS_OP_DIRECTORY_PART, tx, payload, len);

  g_assert_cmpint (msg->type, ==, XDS_OP_DIRECTORY_PART);
  g_assert_cmpuint (msg->len, <=, XDS_PAYLOAD_MAX);
  return msg;
}

/* As stock clients do it: from the start again when the directory changed. */
static GByteArray *
list_in_parts (Directory *dir, XdsWorldPeer *peer, guint tx, gboolean disturb)
{
  g_autofree char *generation = NULL;
  GByteArray *bytes = g_byte_array_new ();

  for (;;)
    {
      g_autoptr (XdsWorldMsg) msg = part (peer, tx, bytes->len);
      gsize skip = strlen (msg->payload) + 1, len = msg->len - skip;
      const char *data = msg->payload + skip;
      gboolean last = len >= 1 && data[len - 1] == '\0' && (len == 1 || data[len - 2] == '\0');

      if (g_strcmp0 (generation, msg->payload) != 0)
        {
          gboolean first = generation == NULL;

          g_free (generation);
          generation = g_strdup (msg->payload);
          if (!first)
            {
              g_byte_array_set_size (bytes, 0);
              continue;
            }
        }
      g_byte_array_append (bytes, (const guint8 *) data, len - last);
      if (last)
        return bytes;
      g_assert_cmpint (bytes->data[bytes->len - 1], ==, '\0');
      if (disturb && g_test_rand_int_range (0, 4) == 0)
        change (dir, 0);
    }
}

static void
check (Directory *dir, XdsWorldPeer *peer, guint tx, gboolean disturb)
{
  g_autoptr (GByteArray) got = list_in_parts (dir, peer, tx, disturb);
  g_autoptr (GByteArray) want = joined (dir->names);
  g_autoptr (XdsWorldMsg) whole = xds_world_call (peer, XDS_OP_DIRECTORY, tx, "/d", 3);
  gsize offset = g_test_rand_int_range (0, want->len + 2);
  g_autoptr (XdsWorldMsg) tail = part (peer, tx, offset);
  gsize skip = strlen (tail->payload) + 1, len = tail->len - skip;

  g_assert_cmpmem (got->data, got->len, want->data, want->len);
  if (want->len > XDS_PAYLOAD_MAX)
    g_assert_cmpint (xds_world_msg_status (whole), ==, XDS_E2BIG);
  else
    g_assert_cmpmem (whole->payload, whole->len, want->data, want->len);
  if (offset >= want->len)
    g_assert_cmpmem (tail->payload + skip, len, "", 1);
  else
    g_assert_cmpmem (tail->payload + skip, MIN (len, want->len - offset), want->data + offset,
                     MIN (len, want->len - offset));
}

static void
directory_init (Directory *dir)
{
  dir->world = xds_world_new ();
  dir->writer = xds_world_add_socket (dir->world);
  dir->guest = xds_world_add_guest (dir->world, dir->writer, 1);
  dir->names = g_ptr_array_new_with_free_func (g_free);
  dir->n_made = 0;
  request (dir, XDS_OP_MKDIR, 0, "");
  g_assert_cmpint (xds_world_status (dir->writer, XDS_OP_SET_PERMS, 0, "/d\0r0", 6), ==, XDS_OK);
}

static void
directory_clear (Directory *dir)
{
  g_ptr_array_unref (dir->names);
  xds_world_free (dir->world);
}

/* Proves that the parts make the whole, in order of insertion, for sockets and for guests, and
   that a change between two parts shows in the generation. */
static void
test_parts (void)
{
  Directory dir;

  directory_init (&dir);
  for (guint round = 0; round < ROUNDS; round++)
    {
      for (guint n = g_test_rand_int_range (0, CHANGES_MAX); n > 0; n--)
        change (&dir, 0);
      check (&dir, g_test_rand_bit () ? dir.writer : dir.guest, 0, TRUE);
    }
  directory_clear (&dir);
}

static GPtrArray *
copy (const GPtrArray *names)
{
  return g_ptr_array_copy ((GPtrArray *) names, (GCopyFunc) (void (*) (void)) g_strdup, NULL);
}

/* Proves that a transaction lists what was there when it began and what it did itself, whatever
   others do meanwhile, and that they list what is there. */
static void
test_snapshot (void)
{
  Directory dir;

  directory_init (&dir);
  for (guint round = 0; round < ROUNDS / 4; round++)
    {
      guint tx = xds_world_begin (dir.writer);
      g_autoptr (GPtrArray) inside = copy (dir.names);

      g_ptr_array_set_free_func (inside, g_free);
      for (guint n = g_test_rand_int_range (0, 20); n > 0; n--)
        {
          gboolean in = g_test_rand_bit ();
          Directory view = dir;

          view.names = in ? inside : dir.names;
          change (&view, in ? tx : 0);
          dir.n_made = view.n_made;
          view.names = inside;
          check (&view, dir.writer, tx, FALSE);
          check (&dir, dir.guest, 0, FALSE);
        }
      g_assert_cmpint (xds_world_status (dir.writer, XDS_OP_TRANSACTION_END, tx, "F", 2), ==,
                       XDS_OK);
    }
  directory_clear (&dir);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/listing/parts", test_parts);
  g_test_add_func ("/listing/snapshot", test_snapshot);
  return g_test_run ();
}
