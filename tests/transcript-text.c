/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The little language of payloads (see the head of transcript.c).  A text becomes a list of pieces:
 * bytes, captures and wildcards.  A request must be one piece of bytes; an expectation may be any
 * list, matched from the left with backtracking at wildcards only.  Patterns are a handful of
 * pieces, so that the worst case of backtracking does not matter.
 */

#include "tests/transcript-text.h"

#include <string.h>

typedef enum
{
  PIECE_BYTES,
  PIECE_DIGITS,
  PIECE_ANYTHING,
} PieceKind;

typedef struct
{
  PieceKind kind;
  GString *bytes; /* or the variable's name */
} Piece;

typedef struct
{
  GHashTable *variables;
  GArray *pieces;
  char *why;
} Reader;

static void
piece_clear (gpointer data)
{
  g_string_free (((Piece *) data)->bytes, TRUE);
}

/* The piece that bytes go to. */
static GString *
tail (Reader *r)
{
  Piece *last = r->pieces->len > 0 ? &g_array_index (r->pieces, Piece, r->pieces->len - 1) : NULL;

  if (last == NULL || last->kind != PIECE_BYTES)
    {
      Piece piece = { PIECE_BYTES, g_string_new (NULL) };

      g_array_append_val (r->pieces, piece);
      return piece.bytes;
    }
  return last->bytes;
}

static gboolean read_text (Reader *r, const char *text, gsize len, gint64 number);

static const char *
read_escape (Reader *r, const char *p, const char *end)
{
  if (p + 3 < end && p[1] == 'x' && g_ascii_isxdigit (p[2]) && g_ascii_isxdigit (p[3]))
    {
      g_string_append_c (tail (r), g_ascii_xdigit_value (p[2]) * 16 + g_ascii_xdigit_value (p[3]));
      return p + 4;
    }
  if (p + 1 >= end || strchr ("|\\[{$# ", p[1]) == NULL)
    {
      r->why = g_strdup_printf ("'%.*s' is no escape", (int) MIN (end - p, 4), p);
      return NULL;
    }
  g_string_append_c (tail (r), p[1]);
  return p + 2;
}

/* {N*TEXT} and {A..B:TEXT} */
static const char *
read_repetition (Reader *r, const char *p, const char *end)
{
  const char *close = memchr (p, '}', end - p);
  char *mark;
  gint64 from = g_ascii_strtoll (p + 1, &mark, 10), to = from;

  if (close != NULL && g_str_has_prefix (mark, ".."))
    to = g_ascii_strtoll (mark + 2, &mark, 10);
  else
    from = 1;
  if (close == NULL || mark >= close || (*mark != '*' && *mark != ':'))
    {
      r->why = g_strdup ("a { that is neither {N*TEXT} nor {A..B:TEXT}");
      return NULL;
    }
  for (gint64 i = from; i <= to; i++)
    if (!read_text (r, mark + 1, close - mark - 1, i))
      return NULL;
  return close + 1;
}

static const char *
read_variable (Reader *r, const char *p, const char *end)
{
  const char *stop = p + 1;
  g_autofree char *name = NULL;
  const char *value;

  while (stop < end && g_ascii_isalnum (*stop))
    stop++;
  name = g_strndup (p + 1, stop - p - 1);
  value = g_hash_table_lookup (r->variables, name);
  if (value == NULL)
    {
      r->why = g_strdup_printf ("no variable '%s' was set", name);
      return NULL;
    }
  g_string_append (tail (r), value);
  return stop;
}

static const char *
read_pattern (Reader *r, const char *p, const char *end)
{
  const char *close = memchr (p, ']', end - p);
  Piece piece = { PIECE_DIGITS, NULL };

  if (close == NULL)
    {
      r->why = g_strdup ("a [ without its ]");
      return NULL;
    }
  piece.bytes = g_string_new_len (p + 1, close - p - 1);
  if (strcmp (piece.bytes->str, "*") == 0)
    piece.kind = PIECE_ANYTHING;
  g_array_append_val (r->pieces, piece);
  return close + 1;
}

static gboolean
read_text (Reader *r, const char *text, gsize len, gint64 number)
{
  const char *p = text, *end = text + len;

  while (p != NULL && p < end)
    {
      if (*p == '\\')
        p = read_escape (r, p, end);
      else if (*p == '{')
        p = read_repetition (r, p, end);
      else if (*p == '$')
        p = read_variable (r, p, end);
      else if (*p == '[')
        p = read_pattern (r, p, end);
      else if (*p == '#')
        g_string_append_printf (tail (r), "%" G_GINT64_FORMAT, number), p++;
      else
        g_string_append_c (tail (r), *p == '|' ? '\0' : *p), p++;
    }
  return p != NULL;
}

static gboolean
reader_run (Reader *r, const char *text, GHashTable *variables, gint64 number)
{
  r->variables = variables;
  r->why = NULL;
  r->pieces = g_array_new (FALSE, FALSE, sizeof (Piece));
  g_array_set_clear_func (r->pieces, piece_clear);
  return read_text (r, text, strlen (text), number);
}

GString *
xds_text_expand (const char *text, GHashTable *variables, gint64 number, char **ret_why)
{
  Reader r;
  gboolean ok = reader_run (&r, text, variables, number);
  g_autoptr (GArray) pieces = r.pieces;
  GString *bytes;

  if (ok && pieces->len > 1)
    r.why = g_strdup ("a [pattern] in what is to be sent");
  if (r.why != NULL)
    {
      *ret_why = r.why;
      return NULL;
    }
  bytes = tail (&r);
  return g_string_new_len (bytes->str, bytes->len);
}

static gboolean match_from (const Reader *r, guint at, const char *bytes, gsize len);

static gboolean
match_digits (const Reader *r, guint at, const char *name, const char *bytes, gsize len)
{
  gsize n = 0;

  while (n < len && g_ascii_isdigit (bytes[n]))
    n++;
  if (n == 0 || !match_from (r, at + 1, bytes + n, len - n))
    return FALSE;
  g_hash_table_replace (r->variables, g_strdup (name), g_strndup (bytes, n));
  return TRUE;
}

static gboolean
match_from (const Reader *r, guint at, const char *bytes, gsize len)
{
  const Piece *piece;

  if (at == r->pieces->len)
    return len == 0;
  piece = &g_array_index (r->pieces, Piece, at);
  if (piece->kind == PIECE_DIGITS)
    return match_digits (r, at, piece->bytes->str, bytes, len);
  if (piece->kind == PIECE_BYTES)
    return len >= piece->bytes->len && memcmp (bytes, piece->bytes->str, piece->bytes->len) == 0
           && match_from (r, at + 1, bytes + piece->bytes->len, len - piece->bytes->len);
  for (gsize skip = 0; skip <= len; skip++)
    if (match_from (r, at + 1, bytes + skip, len - skip))
      return TRUE;
  return FALSE;
}

gboolean
xds_text_match (const char *text, GHashTable *variables, gint64 number, const char *bytes,
                gsize len, char **ret_why)
{
  Reader r;
  gboolean ok = reader_run (&r, text, variables, number);
  g_autoptr (GArray) pieces = r.pieces;

  if (!ok)
    *ret_why = r.why;
  return ok && match_from (&r, 0, bytes, len);
}

char *
xds_text_show (const char *bytes, gsize len)
{
  GString *out = g_string_new (NULL);

  for (gsize i = 0; i < len && i < 300; i++)
    if (bytes[i] == '\0')
      g_string_append_c (out, '|');
    else if (bytes[i] < ' ' || bytes[i] > '~')
      g_string_append_printf (out, "\\x%02x", (guchar) bytes[i]);
    else
      g_string_append_c (out, bytes[i]);
  if (len > 300)
    g_string_append_printf (out, "... (%" G_GSIZE_FORMAT " bytes)", len);
  return g_string_free (out, FALSE);
}
