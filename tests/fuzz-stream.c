/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Fuzz target: the reader of the migration stream.
 *
 * The input is a stream, or, when it does not begin like one, a byte for version and byte order and
 * then records: the header is nothing that a fuzzer should spend its time on.  A stream that is
 * sound is written anew, and that must be sound too and say the same; one that is not has a reason
 * and a place inside of the input.
 */

#include "tests/fuzz.h"
#include "tests/stream-any.h"

/* Every byte that a record points to, so that a sanitizer sees those that are not there. */
static guint
touch (const XdsRecord *record)
{
  guint sum = 0;

  for (gsize i = 0; i < record->body.len; i++)
    sum += record->body.data[i];
  return sum;
}

/* FALSE: damaged, and the place that is named is in the input. */
static gboolean
rewrite (const guint8 *data, gsize len, XdsStreamOut *out)
{
  XdsRecord record = { .type = XDS_RECORD_OWN };
  XdsStreamIn in;
  volatile guint sum = 0;

  xds_stream_in_init (&in, data, len);
  while (record.type != XDS_RECORD_END)
    {
      g_autofree char *why = NULL;

      if (!xds_stream_in_next (&in, &record, &why))
        {
          g_assert_cmpuint (in.fault.offset, <=, len);
          g_assert_nonnull (why);
          return FALSE;
        }
      if (out->used == 0)
        xds_stream_put_header (out, in.version);
      g_assert_cmpuint (in.at, <=, len);
      sum += touch (&record);
      xds_stream_put_any (out, &record);
    }
  return TRUE;
}

static void
play (const guint8 *data, gsize len)
{
  XdsStreamOut once, twice;
  g_autofree char *why = NULL, *why_again = NULL;
  gboolean sound = xds_stream_verify (data, len, &why);

  g_assert_true (sound == (why == NULL));
  xds_stream_out_heap (&once);
  xds_stream_out_heap (&twice);
  if (rewrite (data, len, &once))
    {
      g_assert_true (rewrite (once.data, once.used, &twice));
      g_assert_cmpmem (once.data, once.used, twice.data, twice.used);
      g_assert_true (sound == xds_stream_verify (once.data, once.used, &why_again));
    }
  xds_stream_out_clear (&once);
  xds_stream_out_clear (&twice);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GByteArray) stream = g_byte_array_new ();
  guint8 header[XDS_STREAM_HEADER] = "xenstore";
  XdsFuzzInput input = { data, size };
  guint form;

  if (size >= 8 && memcmp (data, header, 8) == 0)
    play (data, size);
  else
    {
      form = xds_fuzz_byte (&input);
      header[11] = 1 + (form & 1);
      header[15] = form >> 1 & 1;
      g_byte_array_append (stream, header, sizeof header);
      g_byte_array_append (stream, input.data, input.len);
      play (stream->data, stream->len);
    }
  return 0;
}
