/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Fuzz target: what was done to the engine, done again from a journal.
 *
 * The input is the journal; and then once more with types and lengths that can be, since these are
 * nothing that a fuzzer should spend its time on.  It is refused with a reason, or the engine that
 * came of it is sound, and a dump of that is the base of one that writes the same dump.
 */

#include "tests/fuzz.h"

#include "xsd/core/journal.h"

#include <string.h>

static const XdsHost host;

static GBytes *
dump (XdsEngine *engine)
{
  const XdsDumpHost side = { .socket_fd = -1, .evtchn_fd = -1 };

  return xds_engine_dump (engine, &side, NULL);
}

static void
assert_sound (XdsEngine *engine)
{
  g_autofree char *broken = xds_engine_check (engine);

  if (broken != NULL)
    g_error ("the engine is broken: %s", broken);
}

static void
dump_twice (XdsEngine *engine)
{
  XdsEngine *next = xds_engine_new (&host, NULL);
  g_autoptr (GBytes) once = dump (engine), twice = NULL;
  g_autofree char *why = NULL;
  gsize len;
  const void *base = g_bytes_get_data (once, &len);

  if (!xds_engine_recover (next, base, len, NULL, 0, NULL, NULL, NULL, &why))
    g_error ("the dump of what was recovered cannot be loaded: %s", why);
  assert_sound (next);
  twice = dump (next);
  g_assert_true (g_bytes_equal (once, twice));
  xds_engine_free (next);
}

static void
play (const guint8 *data, gsize len)
{
  XdsEngine *engine = xds_engine_new (&host, NULL);
  const XdsJournalPiece piece = { data, len, 0 };
  g_autofree char *why = NULL;

  if (xds_engine_recover (engine, NULL, 0, &piece, 1, NULL, NULL, NULL, &why))
    {
      assert_sound (engine);
      dump_twice (engine);
    }
  else
    g_assert_nonnull (why);
  xds_engine_free (engine);
}

static void
add_record (GByteArray *journal, guint32 type, const guint8 *body, gsize len)
{
  const guint32 n_types = XDS_RECORD_QUOTA + 1 - XDS_RECORD_TURN;
  const gsize padded = (len + 7) & ~(gsize) 7;
  const guint32 header[2] = { XDS_RECORD_TURN + (type - XDS_RECORD_TURN) % n_types, padded };
  static const guint8 zeros[8];

  g_byte_array_append (journal, (const guint8 *) header, sizeof header);
  g_byte_array_append (journal, body, len);
  g_byte_array_append (journal, zeros, padded - len);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GByteArray) journal = g_byte_array_new ();
  XdsFuzzInput input = { data, size };

  play (data, size);
  while (input.len > 8)
    {
      guint32 header[2];
      gsize len = sizeof header;

      memcpy (header, xds_fuzz_bytes (&input, &len), sizeof header);
      len = header[1] % 8200;
      add_record (journal, header[0], input.data, MIN (len, input.len));
      xds_fuzz_bytes (&input, &len);
    }
  play (journal->data, journal->len);
  return 0;
}
