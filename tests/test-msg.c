/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Headers, strings and numbers of messages; and our list of message types against the one in
 * Xen's header, as far as that one goes.
 */

#include "xsd/wire/msg.h"
#include "xsd/wire/op-number.h"

#include <glib.h>
#include <sys/types.h>
#include <xen/io/xs_wire.h>

static XdsSpan
span (const char *data, gsize len)
{
  return (XdsSpan){ data, len };
}

#define SPAN(literal) span (literal, sizeof literal - 1)

/* Proves that the types' numbers and the header's layout are the published ones. */
static void
test_published (void)
{
  struct xsd_sockmsg theirs = { .type = 1, .req_id = 2, .tx_id = 3, .len = 4 };
  XdsMsgHeader ours;

  g_assert_cmpuint (sizeof ours, ==, sizeof theirs);
  memcpy (&ours, &theirs, sizeof ours);
  g_assert_cmpuint (ours.type, ==, 1);
  g_assert_cmpuint (ours.req_id, ==, 2);
  g_assert_cmpuint (ours.tx_id, ==, 3);
  g_assert_cmpuint (ours.len, ==, 4);
  g_assert_cmpuint (XDS_PAYLOAD_MAX, ==, XENSTORE_PAYLOAD_MAX);
  g_assert_cmpuint (XDS_PATH_ABS_MAX, ==, XENSTORE_ABS_PATH_MAX);
  g_assert_cmpuint (XDS_PATH_REL_MAX, ==, XENSTORE_REL_PATH_MAX);
  g_assert_cmpuint (XDS_OP_CONTROL, ==, XS_CONTROL);
  g_assert_cmpuint (XDS_OP_WATCH, ==, XS_WATCH);
  g_assert_cmpuint (XDS_OP_TRANSACTION_END, ==, XS_TRANSACTION_END);
  g_assert_cmpuint (XDS_OP_WRITE, ==, XS_WRITE);
  g_assert_cmpuint (XDS_OP_WATCH_EVENT, ==, XS_WATCH_EVENT);
  g_assert_cmpuint (XDS_OP_ERROR, ==, XS_ERROR);
  g_assert_cmpuint (XDS_OP_SET_TARGET, ==, XS_SET_TARGET);
  g_assert_cmpuint (XDS_OP_RESET_WATCHES, ==, XS_RESET_WATCHES);
  g_assert_cmpuint (XDS_OP_DIRECTORY_PART, ==, XS_DIRECTORY_PART);
  g_assert_cmpuint (XDS_OP_INVALID, ==, XS_INVALID);
}

/* Proves that a message is whole exactly from its last byte on, and bad by its length alone. */
static void
test_peek (void)
{
  guint8 bytes[XDS_MSG_MAX + 1] = { 0 };
  XdsMsgHeader header = { XDS_OP_READ, 7, 8, 5 }, seen = { 0 };

  memcpy (bytes, &header, sizeof header);
  for (gsize len = 0; len < sizeof header; len++)
    g_assert_cmpint (xds_msg_peek (bytes, len, &seen), ==, XDS_MSG_PARTIAL);
  g_assert_cmpuint (seen.req_id, ==, 0);
  for (gsize len = sizeof header; len < sizeof header + 5; len++)
    g_assert_cmpint (xds_msg_peek (bytes, len, &seen), ==, XDS_MSG_PARTIAL);
  g_assert_cmpint (xds_msg_peek (bytes, sizeof header + 5, &seen), ==, XDS_MSG_WHOLE);
  g_assert_cmpint (xds_msg_peek (bytes, sizeof header + 6, &seen), ==, XDS_MSG_WHOLE);
  g_assert_cmpmem (&seen, sizeof seen, &header, sizeof header);
  header.len = XDS_PAYLOAD_MAX;
  memcpy (bytes, &header, sizeof header);
  g_assert_cmpint (xds_msg_peek (bytes, XDS_MSG_MAX - 1, &seen), ==, XDS_MSG_PARTIAL);
  g_assert_cmpint (xds_msg_peek (bytes, XDS_MSG_MAX, &seen), ==, XDS_MSG_WHOLE);
  for (guint32 len = XDS_PAYLOAD_MAX + 1; len != 0; len = len << 1 | (len & 1))
    {
      header.len = len;
      memcpy (bytes, &header, sizeof header);
      g_assert_cmpint (xds_msg_peek (bytes, sizeof header, &seen), ==, XDS_MSG_BAD);
      if (len >= G_MAXUINT32 / 2)
        break;
    }
  header.len = G_MAXUINT32;
  memcpy (bytes, &header, sizeof header);
  g_assert_cmpint (xds_msg_peek (bytes, sizeof bytes, &seen), ==, XDS_MSG_BAD);
}

/* Proves that strings come off one by one, empty ones too, and a tail without NUL never. */
static void
test_next_string (void)
{
  XdsSpan payload = SPAN ("a\0\0long one\0tail"), string;

  g_assert_cmpuint (xds_msg_count_strings (payload), ==, 3);
  g_assert_true (xds_msg_next_string (&payload, &string));
  g_assert_cmpmem (string.data, string.len, "a", 1);
  g_assert_true (xds_msg_next_string (&payload, &string));
  g_assert_cmpuint (string.len, ==, 0);
  g_assert_true (xds_msg_next_string (&payload, &string));
  g_assert_cmpmem (string.data, string.len, "long one", 8);
  g_assert_false (xds_msg_next_string (&payload, &string));
  g_assert_cmpmem (payload.data, payload.len, "tail", 4);
  g_assert_cmpmem (string.data, string.len, "long one", 8);
  payload = span (NULL, 0);
  g_assert_false (xds_msg_next_string (&payload, &string));
  g_assert_cmpuint (xds_msg_count_strings (payload), ==, 0);
}

/* Proves that only exactly n terminated strings are split, else nothing is written. */
static void
test_split (void)
{
  static const struct
  {
    const char *data;
    gsize len;
    guint n;
    gboolean good;
  } cases[] = {
    { "", 0, 1, FALSE },      { "a", 1, 1, FALSE },      { "a\0", 2, 1, TRUE },
    { "\0", 1, 1, TRUE },     { "a\0b", 3, 1, FALSE },   { "a\0b", 3, 2, FALSE },
    { "a\0b\0", 4, 2, TRUE }, { "a\0b\0", 4, 1, FALSE }, { "a\0b\0", 4, 3, FALSE },
    { "\0\0\0", 3, 3, TRUE }, { "a\0\0", 3, 2, TRUE },   { "\0b\0", 3, 2, TRUE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      XdsSpan strings[3] = { { "untouched", 9 }, { "untouched", 9 }, { "untouched", 9 } };
      gboolean good = xds_msg_split (span (cases[i].data, cases[i].len), strings, cases[i].n);

      g_assert_cmpint (good, ==, cases[i].good);
      for (guint j = 0; j < 3; j++)
        if (good && j < cases[i].n)
          g_assert_cmpint (strings[j].data[strings[j].len], ==, '\0');
        else
          g_assert_cmpstr (strings[j].data, ==, "untouched");
    }
}

/* Proves, over random payloads, that a split is the payload cut at its NULs. */
static void
test_split_property (void)
{
  for (guint round = 0; round < 20000; round++)
    {
      char data[24];
      gsize len = g_test_rand_int_range (0, sizeof data);
      XdsSpan strings[24], payload = span (data, len);
      gsize at = 0;
      guint n;

      for (gsize i = 0; i < len; i++)
        data[i] = g_test_rand_int_range (0, 3) == 0 ? '\0' : 'x';
      n = xds_msg_count_strings (payload);
      if (!xds_msg_split (payload, strings, n))
        {
          g_assert_true (len == 0 || data[len - 1] != '\0');
          continue;
        }
      for (guint i = 0; i < n; i++)
        {
          g_assert_true (strings[i].data == data + at);
          at += strings[i].len + 1;
        }
      g_assert_cmpuint (at, ==, len);
    }
}

/* Proves that numbers are plain decimals up to the limit, and that nothing wraps round. */
static void
test_number (void)
{
  static const struct
  {
    const char *text;
    guint64 max;
    gboolean good;
    guint64 number;
  } cases[] = {
    { "", 10, FALSE, 0 },
    { "0", 0, TRUE, 0 },
    { "1", 0, FALSE, 0 },
    { "007", 10, TRUE, 7 },
    { "10", 10, TRUE, 10 },
    { "11", 10, FALSE, 0 },
    { "9", 5, FALSE, 0 },
    { "65535", 65535, TRUE, 65535 },
    { "65536", 65535, FALSE, 0 },
    { "-1", 65535, FALSE, 0 },
    { "+1", 65535, FALSE, 0 },
    { " 1", 65535, FALSE, 0 },
    { "1 ", 65535, FALSE, 0 },
    { "0x1", 65535, FALSE, 0 },
    { "1a", 65535, FALSE, 0 },
    { "18446744073709551615", G_MAXUINT64, TRUE, G_MAXUINT64 },
    { "18446744073709551616", G_MAXUINT64, FALSE, 0 },
    { "18446744073709551617", 65535, FALSE, 0 },
    { "99999999999999999999999999999999", G_MAXUINT64, FALSE, 0 },
    { "4294967296", G_MAXUINT32, FALSE, 0 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      XdsSpan text = span (cases[i].text, strlen (cases[i].text));
      guint64 number = 12345;

      g_test_message ("\"%s\"", cases[i].text);
      g_assert_cmpint (xds_msg_parse_number (text, cases[i].max, &number), ==, cases[i].good);
      g_assert_cmpuint (number, ==, cases[i].good ? cases[i].number : 12345);
    }
}

/* Proves, for small limits and every short text of digits, that parsing is counting. */
static void
test_number_property (void)
{
  for (guint64 max = 0; max <= 120; max++)
    for (guint value = 0; value < 1000; value++)
      for (guint width = 1; width <= 5; width++)
        {
          char text[16];
          gsize len = g_snprintf (text, sizeof text, "%0*u", (int)width, value);
          guint64 number;
          gboolean good = xds_msg_parse_number (span (text, len), max, &number);

          g_assert_cmpint (good, ==, value <= max);
          if (good)
            g_assert_cmpuint (number, ==, value);
        }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/wire/msg/published", test_published);
  g_test_add_func ("/wire/msg/peek", test_peek);
  g_test_add_func ("/wire/msg/next-string", test_next_string);
  g_test_add_func ("/wire/msg/split", test_split);
  g_test_add_func ("/wire/msg/split-property", test_split_property);
  g_test_add_func ("/wire/msg/number", test_number);
  g_test_add_func ("/wire/msg/number-property", test_number_property);
  return g_test_run ();
}
