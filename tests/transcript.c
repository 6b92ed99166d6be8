/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Reads transcripts, the files wire-*.txt.  A transcript is the one statement of what the server
 * answers: the same text is played against the engine in this process, against any daemon behind
 * a socket, and against the daemons of others (where known differences stand in
 * wire-differences.txt).
 *
 * A file is a list of cases, and a case is a title and lines that are played in order:
 *
 *   # a comment, on a line of its own
 *   case own-write: A writer's own event comes before its answer.
 *   s > WATCH /a|token| => OK
 *   s < event /a|token|
 *   s > WRITE /a|value
 *   s < event /a|token|
 *   s < OK
 *
 * Peers need no declaration.  d3 is the ring of domain 3, which must have been introduced; any
 * other name is a client on the socket, connected when it is first named.
 *
 *   PEER > OP[@TX] [len=N] PAYLOAD [=> REPLY]
 *       sends a request.  OP is a name (READ) or a number; TX a number or a variable; len= claims
 *       another length than the payload's.  The answer is waited for, but checked only by
 *       "=> REPLY" or by a later line; every answer and every event must be checked by the end of
 *       the case, so that silence is asserted by saying nothing.
 *   PEER >> ...       the same, without waiting for the answer
 *   PEER < REPLY      the next message is the answer to the oldest open request
 *   PEER < event PATH|TOKEN|
 *                     the next message is this event
 *   PEER <~ event ... of neighbouring lines of this kind each comes, in whatever order
 *   PEER < nothing    nothing more has come so far
 *   PEER < closed     the server has hung up (a ring: it is no longer served)
 *   PEER < ring error N
 *                     ... and says so in the ring
 *   close PEER        hangs up
 *   ring PEER reconnect
 *                     the guest asks for a new beginning, and has it
 *   ring PEER corrupt the guest writes indices that cannot be
 *
 * A REPLY is OK, or !ENOENT for an error, or (empty), or a payload.
 *
 * In a payload | is a NUL byte.  Escapes: \xNN, and \ before one of | \ [ { $ # and blank.
 * {300*ab} is ab 300 times; {1..9:n#|} is n1|n2|...; $x is the variable x.  In a REPLY or an event
 * also [x]: digits, kept in the variable x; and [*]: anything.
 *
 *   quota NAME N       sets a default limit
 *   domain create 3    the hypervisor has a domain 3 from now on
 *   domain introduce 3 the toolstack introduces it
 *   domain boot 3      both, and its home /local/domain/3 belongs to it
 *   domain shutdown 3, domain resume 3, domain dying 3, domain destroy 3
 *                      as the hypervisor tells it
 *   domain replace 3   destroyed and created again before the server looks
 *   option NAME N      a setting of the engine: store, privileged, keep-orphans (engine only)
 *   time N             N seconds pass (engine only)
 *   repeat A..B ... end
 *                      the lines between once for each number, which is # in their payloads
 *   only engine        this case makes no sense, or takes too long, elsewhere
 *   only rings         it is about the page that a guest shares with the server
 *   since 4.22         it is about what came with that Xen; before the first case: all of them are
 *
 * Not chosen: a scripting language, which would say as little at a glance as C does, and a dump
 * of bytes, which nobody can review.
 */

#include "tests/transcript.h"

#include <string.h>

static const char *const type_names[] = {
  "CONTROL",
  "DIRECTORY",
  "READ",
  "GET_PERMS",
  "WATCH",
  "UNWATCH",
  "TX_START",
  "TX_END",
  "INTRODUCE",
  "RELEASE",
  "GET_DOMAIN_PATH",
  "WRITE",
  "MKDIR",
  "RM",
  "SET_PERMS",
  "WATCH_EVENT",
  "ERROR",
  "IS_DOMAIN_INTRODUCED",
  "RESUME",
  "SET_TARGET",
  "RESTRICT",
  "RESET_WATCHES",
  "DIRECTORY_PART",
  "GET_FEATURE",
  "SET_FEATURE",
  "GET_QUOTA",
  "SET_QUOTA",
};

gint64
xds_transcript_type (const char *name)
{
  guint64 number;

  for (gsize i = 0; i < G_N_ELEMENTS (type_names); i++)
    if (strcmp (type_names[i], name) == 0)
      return i;
  return g_ascii_string_to_unsigned (name, 10, 0, G_MAXUINT32, &number, NULL) ? (gint64) number
                                                                              : -1;
}

const char *
xds_transcript_type_name (guint32 type)
{
  return type < G_N_ELEMENTS (type_names) ? type_names[type] : "(no name)";
}

static void
step_free (gpointer data)
{
  XdsStep *step = data;

  g_free (step->peer);
  g_free (step->tx);
  g_free (step->text);
  g_free (step->reply);
  g_free (step);
}

static void
case_free (gpointer data)
{
  XdsCase *c = data;

  g_free (c->name);
  g_free (c->title);
  g_ptr_array_unref (c->steps);
  g_free (c);
}

/* Cuts the first word off *@text; an empty string when there is none. */
static char *
take_word (const char **text)
{
  const char *start = *text + strspn (*text, " "), *end = start + strcspn (start, " ");

  *text = end + strspn (end, " ");
  return g_strndup (start, end - start);
}

static gboolean
parse_number (const char *text, gint64 *ret_number)
{
  return g_ascii_string_to_signed (text, 10, 0, G_MAXINT32, ret_number, NULL);
}

/* Ring peers are called d and a number. */
static gboolean
is_domain_name (const char *peer)
{
  return peer[0] == 'd' && g_ascii_isdigit (peer[1]);
}

/* OP[@TX] [len=N] PAYLOAD [=> REPLY] */
static gboolean
parse_send (XdsStep *step, const char *text)
{
  g_autofree char *op = take_word (&text);
  char *at = strchr (op, '@');
  const char *arrow;
  gint64 type;

  if (at != NULL)
    {
      *at = '\0';
      step->tx = g_strdup (at + 1);
    }
  type = xds_transcript_type (op);
  step->type = type;
  step->declared = -1;
  if (g_str_has_prefix (text, "len="))
    {
      g_autofree char *len = take_word (&text);

      if (!parse_number (len + 4, &step->declared))
        return FALSE;
    }
  arrow = g_str_has_prefix (text, "=> ") ? text : strstr (text, " => ");
  step->text
      = g_strchomp (g_strndup (text, arrow != NULL ? (gsize) (arrow - text) : strlen (text)));
  if (arrow != NULL)
    step->reply = g_strdup (strstr (arrow, "=> ") + 3);
  return type >= 0;
}

static gboolean
parse_dialogue (XdsStep *step, const char *arrow, const char *text)
{
  if (strcmp (arrow, ">") == 0 || strcmp (arrow, ">>") == 0)
    {
      step->kind = XDS_STEP_SEND;
      step->pipelined = arrow[1] == '>';
      return parse_send (step, text);
    }
  step->kind = XDS_STEP_EXPECT;
  step->any_order = strcmp (arrow, "<~") == 0;
  step->text = g_strdup (text);
  return (step->any_order || strcmp (arrow, "<") == 0) && *text != '\0';
}

static gboolean
parse_range (XdsStep *step, const char *text)
{
  g_auto (GStrv) ends = g_strsplit (text, "..", 2);

  step->kind = XDS_STEP_REPEAT;
  return g_strv_length (ends) == 2 && parse_number (ends[0], &step->from)
         && parse_number (ends[1], &step->to);
}

/* A word and a number: "domain boot 3", "quota nodes 3", "time 3". */
static gboolean
parse_setting (XdsStep *step, XdsStepKind kind, const char *text)
{
  g_autofree char *number = NULL;

  step->kind = kind;
  step->peer = kind == XDS_STEP_TIME ? NULL : take_word (&text);
  number = take_word (&text);
  step->text = g_strdup (text);
  return parse_number (number, &step->from);
}

static gboolean
parse_ring (XdsStep *step, const char *text)
{
  step->kind = XDS_STEP_RING;
  step->peer = take_word (&text);
  step->text = g_strdup (text);
  return is_domain_name (step->peer);
}

static gboolean
parse_step (XdsStep *step, XdsCase *c, const char *line)
{
  const char *rest = line;
  g_autofree char *word = take_word (&rest), *arrow = NULL;

  if (strcmp (word, "domain") == 0)
    c->needs_domains = TRUE;
  if (strcmp (word, "option") == 0 || strcmp (word, "time") == 0)
    c->engine_only = TRUE;
  if (strcmp (word, "option") == 0)
    return parse_setting (step, XDS_STEP_OPTION, rest);
  if (strcmp (word, "domain") == 0)
    return parse_setting (step, XDS_STEP_DOMAIN, rest);
  if (strcmp (word, "quota") == 0)
    return parse_setting (step, XDS_STEP_QUOTA, rest);
  if (strcmp (word, "ring") == 0)
    return parse_ring (step, rest);
  if (strcmp (word, "time") == 0)
    return parse_setting (step, XDS_STEP_TIME, rest);
  if (strcmp (word, "repeat") == 0)
    return parse_range (step, rest);
  step->kind = strcmp (word, "end") == 0 ? XDS_STEP_END : XDS_STEP_CLOSE;
  if (step->kind == XDS_STEP_END)
    return *rest == '\0';
  if (strcmp (word, "close") == 0)
    {
      step->peer = take_word (&rest);
      return *step->peer != '\0';
    }
  step->peer = g_steal_pointer (&word);
  c->needs_domains |= is_domain_name (step->peer);
  arrow = take_word (&rest);
  return parse_dialogue (step, arrow, rest);
}

/* "case SLUG: A sentence." */
static XdsCase *
parse_title (const char *stem, const char *text)
{
  const char *colon = strstr (text, ": ");
  g_autofree char *slug = colon != NULL ? g_strndup (text, colon - text) : NULL;
  XdsCase *c;

  if (colon == NULL || strchr (slug, ' ') != NULL || !g_str_has_suffix (text, "."))
    return NULL;
  c = g_new0 (XdsCase, 1);
  c->name = g_strdup_printf ("%s/%s", stem, slug);
  c->title = g_strdup (colon + 2);
  c->steps = g_ptr_array_new_with_free_func (step_free);
  return c;
}

static gboolean
parse_line (GPtrArray *cases, const char *stem, double *since, const char *line, guint number)
{
  XdsCase *c = cases->len > 0 ? cases->pdata[cases->len - 1] : NULL;
  XdsStep *step;

  if (g_str_has_prefix (line, "case "))
    {
      c = parse_title (stem, line + 5);
      if (c == NULL)
        return FALSE;
      c->since = *since;
      g_ptr_array_add (cases, c);
      return TRUE;
    }
  if (g_str_has_prefix (line, "since "))
    {
      *(c != NULL ? &c->since : since) = g_ascii_strtod (line + strlen ("since "), NULL);
      return TRUE;
    }
  if (c == NULL)
    return FALSE;
  if (strcmp (line, "only engine") == 0)
    return c->engine_only = TRUE;
  if (strcmp (line, "only rings") == 0)
    return c->rings_only = TRUE;
  step = g_new0 (XdsStep, 1);
  step->line = number;
  g_ptr_array_add (c->steps, step);
  return parse_step (step, c, line);
}

/* "wire-watch" out of "/somewhere/wire-watch.txt" gives the cases their first name, "watch". */
static char *
stem_of (const char *path)
{
  g_autofree char *base = g_path_get_basename (path);
  char *dot = strrchr (base, '.');

  if (dot != NULL)
    *dot = '\0';
  return g_strdup (g_str_has_prefix (base, "wire-") ? base + 5 : base);
}

GPtrArray *
xds_transcript_load (const char *path, char **ret_why)
{
  g_autoptr (GPtrArray) cases = g_ptr_array_new_with_free_func (case_free);
  g_autofree char *text = NULL, *stem = stem_of (path);
  g_auto (GStrv) lines = NULL;
  g_autoptr (GError) error = NULL;
  double since = 0;

  if (!g_file_get_contents (path, &text, NULL, &error))
    {
      *ret_why = g_strdup (error->message);
      return NULL;
    }
  lines = g_strsplit (text, "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++)
    {
      const char *line = g_strstrip (lines[i]);

      if (*line == '\0' || *line == '#' || parse_line (cases, stem, &since, line, i + 1))
        continue;
      *ret_why = g_strdup_printf ("%s:%u: '%s' is no line of a transcript; the head of"
                                  " tests/transcript.c has the format",
                                  path, i + 1, line);
      return NULL;
    }
  return g_steal_pointer (&cases);
}
