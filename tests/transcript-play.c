/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The player.  After each request it waits until the answer has come, so that what other peers
 * are told by it is in their inboxes too; then lines take messages out of the inboxes.  That no
 * more has come is asked of the server itself, by a request whose answer must be next: no test
 * waits for silence.
 */

#include "tests/transcript-play.h"
#include "tests/transcript-text.h"

#include "xsd/wire/msg.h"
#include "xsd/wire/op-number.h"

#include <stdlib.h>
#include <string.h>

typedef struct
{
  XdsMsgHeader header;
  char *payload;
} Message;

typedef struct
{
  const XdsCase *c;
  XdsStage *stage;
  GHashTable *talkers;   /* (element-type utf8 XdsTalker) (owned) */
  GHashTable *variables; /* (element-type utf8 utf8) */
  const XdsStep *step;   /* being played */
  XdsTalker *toolstack;  /* does what a toolstack does around a dialogue */
  char *why;
} Player;

static void
message_free (gpointer data)
{
  g_free (((Message *) data)->payload);
  g_free (data);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Message, message_free)

XdsTalker *
xds_talker_new (const char *name)
{
  XdsTalker *talker = g_new0 (XdsTalker, 1);

  talker->name = g_strdup (name);
  talker->domid = name[0] == 'd' && g_ascii_isdigit (name[1]) ? atoi (name + 1) : -1;
  talker->in = g_byte_array_new ();
  return talker;
}

void
xds_talker_free (XdsTalker *talker)
{
  if (talker == NULL)
    return;
  g_queue_clear_full (&talker->inbox, message_free);
  g_queue_clear_full (&talker->open, g_free);
  g_byte_array_unref (talker->in);
  g_free (talker->name);
  g_free (talker);
}

/* --- messages --- */

/* Makes messages of the bytes that have come. */
static void
sort_inbox (XdsTalker *talker)
{
  XdsMsgHeader header;

  while (xds_msg_peek (talker->in->data, talker->in->len, &header) == XDS_MSG_WHOLE)
    {
      Message *message = g_new0 (Message, 1);

      message->header = header;
      message->payload = g_memdup2 (talker->in->data + sizeof header, header.len);
      g_byte_array_remove_range (talker->in, 0, sizeof header + header.len);
      g_queue_push_tail (&talker->inbox, message);
      talker->answers += header.type != XDS_OP_WATCH_EVENT;
    }
}

static gboolean
fill_inbox (Player *p, XdsTalker *talker)
{
  gboolean more = !talker->closed && p->stage->class->receive (p->stage, talker);

  sort_inbox (talker);
  return more;
}

/* Whatever came, and whatever was asked, is forgotten. */
static void
drop_messages (XdsTalker *talker)
{
  g_queue_clear_full (&talker->inbox, message_free);
  g_queue_clear_full (&talker->open, g_free);
  g_byte_array_set_size (talker->in, 0);
  talker->answers = 0;
}

static Message *
take_message (XdsTalker *talker)
{
  Message *message = g_queue_pop_head (&talker->inbox);

  if (message != NULL)
    talker->answers -= message->header.type != XDS_OP_WATCH_EVENT;
  return message;
}

static void
send_request (XdsStage *stage, XdsTalker *talker, const XdsMsgHeader *header, const char *payload,
              gsize len)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();

  g_byte_array_append (bytes, (const guint8 *) header, sizeof *header);
  g_byte_array_append (bytes, (const guint8 *) payload, len);
  stage->class->send (stage, talker, bytes->data, bytes->len);
}

/* Asks for something harmless, so that all that came before the answer has come. */
static void
barrier (Player *p, XdsTalker *talker)
{
  XdsMsgHeader header = { XDS_OP_GET_DOMAIN_PATH, 0xba000000u + talker->next_id++, 0, 2 };
  Message *last;

  if (talker->closed)
    return;
  send_request (p->stage, talker, &header, "0", 2);
  do
    {
      sort_inbox (talker);
      last = g_queue_peek_tail (&talker->inbox);
      if (last != NULL && last->header.req_id == header.req_id)
        {
          message_free (g_queue_pop_tail (&talker->inbox));
          talker->answers--;
          return;
        }
    }
  while (fill_inbox (p, talker));
}

gboolean
xds_talker_ask (XdsStage *stage, XdsTalker *talker, guint32 type, const char *payload, gsize len,
                GString *ret_answer)
{
  XdsMsgHeader header = { type, talker->next_id++, 0, len };
  Player p = { .stage = stage };
  gboolean ok = FALSE;

  send_request (stage, talker, &header, payload, len);
  do
    {
      sort_inbox (talker);
      while (!g_queue_is_empty (&talker->inbox))
        {
          g_autoptr (Message) message = take_message (talker);

          if (message->header.type == XDS_OP_WATCH_EVENT)
            continue;
          ok = message->header.type == type;
          if (ret_answer != NULL)
            g_string_append_len (ret_answer, message->payload, message->header.len);
          return ok;
        }
    }
  while (fill_inbox (&p, talker));
  return FALSE;
}

/* --- failing --- */

static gboolean G_GNUC_PRINTF (2, 3) fail (Player *p, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  if (p->why == NULL)
    p->why = g_strdup_printf ("%s, line %u: %s", p->c->name, p->step->line, text);
  return FALSE;
}

static char *
show_message (const Message *message)
{
  g_autofree char *payload = NULL;

  if (message == NULL)
    return g_strdup ("nothing");
  payload = xds_text_show (message->payload, message->header.len);
  if (message->header.type == XDS_OP_WATCH_EVENT)
    return g_strdup_printf ("event %s", payload);
  return g_strdup_printf ("%s '%s'", xds_transcript_type_name (message->header.type), payload);
}

static gboolean
fail_message (Player *p, const XdsTalker *talker, const char *expected, const Message *message)
{
  g_autofree char *got = show_message (message);

  return fail (p, "%s should have got '%s', but got %s%s", talker->name, expected, got,
               message == NULL && talker->closed ? " and is closed" : "");
}

/* --- expecting --- */

static gboolean
matches (Player *p, const char *text, gint64 number, const Message *message)
{
  char *why = NULL;
  gboolean ok
      = xds_text_match (text, p->variables, number, message->payload, message->header.len, &why);

  if (why != NULL)
    {
      fail (p, "%s", why);
      g_free (why);
    }
  return ok;
}

static gboolean
matches_event (Player *p, const char *text, gint64 number, const Message *message)
{
  return message->header.type == XDS_OP_WATCH_EVENT && message->header.req_id == 0
         && message->header.tx_id == 0 && matches (p, text, number, message);
}

static gboolean
matches_reply (Player *p, const char *text, gint64 number, const XdsMsgHeader *request,
               const Message *message)
{
  const XdsMsgHeader *header = &message->header;
  g_autofree char *error = NULL;

  if (request == NULL || header->req_id != request->req_id || header->tx_id != request->tx_id)
    return FALSE;
  if (*text == '!')
    {
      error = g_strdup_printf ("%s|", text + 1);
      return header->type == XDS_OP_ERROR && matches (p, error, number, message);
    }
  if (header->type != request->type)
    return FALSE;
  if (g_str_equal (text, "(empty)"))
    return header->len == 0;
  return matches (p, g_str_equal (text, "OK") ? "OK|" : text, number, message);
}

static gboolean
expect_reply (Player *p, XdsTalker *talker, const char *text, gint64 number)
{
  g_autofree XdsMsgHeader *request = g_queue_pop_head (&talker->open);
  g_autoptr (Message) message = take_message (talker);

  if (message == NULL || !matches_reply (p, text, number, request, message))
    return fail_message (p, talker, text, message);
  return TRUE;
}

/* The next event; asks the server for what is still on its way. */
static Message *
next_message (Player *p, XdsTalker *talker)
{
  if (g_queue_is_empty (&talker->inbox))
    barrier (p, talker);
  return take_message (talker);
}

static gboolean
expect_event (Player *p, XdsTalker *talker, const char *text, gint64 number)
{
  g_autoptr (Message) message = next_message (p, talker);

  if (message == NULL || !matches_event (p, text + strlen ("event "), number, message))
    return fail_message (p, talker, text, message);
  return TRUE;
}

static gboolean
expect_nothing (Player *p, XdsTalker *talker)
{
  g_autoptr (Message) message = next_message (p, talker);

  return message == NULL || fail_message (p, talker, "nothing", message);
}

static gboolean
expect_closed (Player *p, XdsTalker *talker, const char *text)
{
  guint error = 0;

  while (!talker->closed && fill_inbox (p, talker))
    ;
  if (g_str_has_prefix (text, "ring error "))
    error = atoi (text + strlen ("ring error "));
  if (!talker->closed || (error > 0 && talker->ring_error != error))
    return fail (p, "%s should have been '%s', but is %s with ring error %u", talker->name, text,
                 talker->closed ? "closed" : "open", talker->ring_error);
  drop_messages (talker);
  return TRUE;
}

static XdsTalker *
talker_of (Player *p, const char *name)
{
  XdsTalker *talker = g_hash_table_lookup (p->talkers, name);

  if (talker != NULL)
    return talker;
  talker = xds_talker_new (name);
  if (!p->stage->class->open (p->stage, talker))
    {
      xds_talker_free (talker);
      fail (p, "%s cannot be connected", name);
      return NULL;
    }
  g_hash_table_insert (p->talkers, talker->name, talker);
  return talker;
}

static gboolean
play_expect (Player *p, const XdsStep *step, gint64 number)
{
  XdsTalker *talker = talker_of (p, step->peer);

  if (talker == NULL)
    return FALSE;
  if (g_str_has_prefix (step->text, "event "))
    return expect_event (p, talker, step->text, number);
  if (g_str_equal (step->text, "nothing"))
    return expect_nothing (p, talker);
  if (g_str_equal (step->text, "closed") || g_str_has_prefix (step->text, "ring error "))
    return expect_closed (p, talker, step->text);
  while (g_queue_is_empty (&talker->inbox) && fill_inbox (p, talker))
    ;
  return expect_reply (p, talker, step->text, number);
}

/* Neighbouring "<~" lines of one peer; the number of lines, 0 on failure. */
static guint
play_any_order (Player *p, guint at, gint64 number)
{
  const XdsStep *first = p->c->steps->pdata[at];
  XdsTalker *talker = talker_of (p, first->peer);
  g_autoptr (GPtrArray) open = g_ptr_array_new ();
  guint n;

  for (n = 0; at + n < p->c->steps->len; n++)
    {
      const XdsStep *step = p->c->steps->pdata[at + n];

      if (step->kind != XDS_STEP_EXPECT || !step->any_order
          || !g_str_equal (step->peer, first->peer))
        break;
      g_ptr_array_add (open, step->text);
    }
  while (talker != NULL && open->len > 0)
    {
      g_autoptr (Message) message = next_message (p, talker);
      guint i = 0;

      while (message != NULL && i < open->len
             && !matches_event (p, (char *) open->pdata[i] + strlen ("event "), number, message))
        i++;
      if (message == NULL || i == open->len)
        return fail_message (p, talker, open->pdata[0], message);
      g_ptr_array_remove_index (open, i);
    }
  return talker != NULL ? n : 0;
}

/* --- acting --- */

static gboolean
request_header (Player *p, const XdsStep *step, gint64 number, XdsTalker *talker, gsize len,
                XdsMsgHeader *ret_header)
{
  char *why = NULL;
  g_autoptr (GString) tx
      = xds_text_expand (step->tx != NULL ? step->tx : "0", p->variables, number, &why);

  if (tx == NULL)
    {
      fail (p, "%s", why);
      g_free (why);
      return FALSE;
    }
  *ret_header = (XdsMsgHeader){ step->type, ++talker->next_id, strtoul (tx->str, NULL, 10),
                                step->declared >= 0 ? step->declared : (gint64) len };
  return TRUE;
}

static gboolean
play_send (Player *p, const XdsStep *step, gint64 number)
{
  char *why = NULL;
  XdsTalker *talker = talker_of (p, step->peer);
  g_autoptr (GString) payload = NULL;
  XdsMsgHeader header;

  if (talker == NULL)
    return FALSE;
  payload = xds_text_expand (step->text, p->variables, number, &why);
  if (payload == NULL)
    {
      fail (p, "%s", why);
      g_free (why);
      return FALSE;
    }
  if (!request_header (p, step, number, talker, payload->len, &header))
    return FALSE;
  g_queue_push_tail (&talker->open, g_memdup2 (&header, sizeof header));
  send_request (p->stage, talker, &header, payload->str, payload->len);
  while (!step->pipelined && talker->answers < talker->open.length && fill_inbox (p, talker))
    ;
  return step->reply == NULL || expect_reply (p, talker, step->reply, number);
}

/* The toolstack's part; # in @text is the domid. */
static gboolean
ask (Player *p, guint32 type, guint domid, const char *text)
{
  char *why = NULL;
  g_autoptr (GString) payload = xds_text_expand (text, p->variables, domid, &why);

  return xds_talker_ask (p->stage, p->toolstack, type, payload->str, payload->len, NULL);
}

static void
forget (Player *p, const char *name)
{
  XdsTalker *talker = g_hash_table_lookup (p->talkers, name);

  if (talker == NULL)
    return;
  p->stage->class->close (p->stage, talker);
  g_hash_table_remove (p->talkers, name);
}

static gboolean
play_domain (Player *p, const XdsStep *step)
{
  const char *verb = step->peer;
  gboolean boot = g_str_equal (verb, "boot"), ok = TRUE;
  g_autofree char *ring = g_strdup_printf ("d%" G_GINT64_FORMAT, step->from);

  if (!g_str_equal (verb, "introduce"))
    ok = p->stage->class->domain (p->stage, boot ? "create" : verb, step->from, atoi (step->text));
  if (ok && (boot || g_str_equal (verb, "introduce")))
    ok = ask (p, XDS_OP_INTRODUCE, step->from, "#|1|1|");
  if (ok && boot)
    ok = ask (p, XDS_OP_WRITE, step->from, "/local/domain/#|")
         && ask (p, XDS_OP_SET_PERMS, step->from, "/local/domain/#|n#|");
  /* Another domain by this number has another ring. */
  if (g_str_equal (verb, "destroy") || g_str_equal (verb, "replace"))
    forget (p, ring);
  return ok || fail (p, "domain %s %s could not be done", verb, ring + 1);
}

static gboolean
play_close (Player *p, const XdsStep *step)
{
  XdsTalker *talker = talker_of (p, step->peer);

  forget (p, step->peer);
  return talker != NULL;
}

static gboolean
play_ring (Player *p, const XdsStep *step)
{
  XdsTalker *talker = talker_of (p, step->peer);

  if (talker == NULL || !p->stage->class->ring (p->stage, talker, step->text))
    return fail (p, "ring %s %s could not be done", step->peer, step->text);
  if (g_str_equal (step->text, "reconnect"))
    drop_messages (talker);
  return TRUE;
}

static gboolean
play_step (Player *p, const XdsStep *step, gint64 number)
{
  switch (step->kind)
    {
    case XDS_STEP_SEND:
      return play_send (p, step, number);
    case XDS_STEP_EXPECT:
      return play_expect (p, step, number);
    case XDS_STEP_CLOSE:
      return play_close (p, step);
    case XDS_STEP_RING:
      return play_ring (p, step);
    case XDS_STEP_DOMAIN:
      return play_domain (p, step);
    case XDS_STEP_QUOTA:
      return p->stage->class->quota (p->stage, step->peer, step->from)
             || fail (p, "quota %s cannot be set", step->peer);
    case XDS_STEP_OPTION:
      return p->stage->class->option (p->stage, step->peer, step->from)
             || fail (p, "there is no option %s", step->peer);
    case XDS_STEP_TIME:
      p->stage->class->pass_time (p->stage, step->from);
      return TRUE;
    case XDS_STEP_REPEAT:
    case XDS_STEP_END:
      break;
    }
  return fail (p, "a repeat without its end, or an end without its repeat");
}

static guint
find_end (Player *p, guint at)
{
  guint depth = 1;

  while (++at < p->c->steps->len)
    {
      const XdsStep *step = p->c->steps->pdata[at];

      depth += step->kind == XDS_STEP_REPEAT;
      depth -= step->kind == XDS_STEP_END;
      if (depth == 0)
        break;
    }
  return at;
}

static gboolean
play_range (Player *p, guint from, guint to, gint64 number)
{
  for (guint i = from; i < to; i++)
    {
      const XdsStep *step = p->c->steps->pdata[i];
      guint end, n;

      p->step = step;
      if (step->kind == XDS_STEP_REPEAT && (end = find_end (p, i)) < to)
        {
          for (gint64 k = step->from; k <= step->to; k++)
            if (!play_range (p, i + 1, end, k))
              return FALSE;
          i = end;
        }
      else if (step->kind == XDS_STEP_EXPECT && step->any_order)
        {
          n = play_any_order (p, i, number);
          if (n == 0)
            return FALSE;
          i += n - 1;
        }
      else if (!play_step (p, step, number))
        return FALSE;
    }
  return TRUE;
}

/* Nobody may have got what no line speaks of. */
static void
check_silence (Player *p)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, p->talkers);
  while (p->why == NULL && g_hash_table_iter_next (&iter, NULL, &value))
    expect_nothing (p, value);
}

static void
close_all (Player *p)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, p->talkers);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    p->stage->class->close (p->stage, value);
  g_hash_table_remove_all (p->talkers);
  p->stage->class->close (p->stage, p->toolstack);
}

void
xds_stage_free (XdsStage *stage)
{
  if (stage != NULL)
    stage->class->free (stage);
}

char *
xds_case_play (const XdsCase *c, XdsStage *stage)
{
  static const XdsStep end = { .kind = XDS_STEP_END };
  Player p = { c, stage, NULL, NULL, &end, NULL, NULL };
  g_autoptr (GHashTable) talkers
      = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) xds_talker_free);
  g_autoptr (GHashTable) variables
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_autofree char *wrong = NULL;

  p.talkers = talkers;
  p.variables = variables;
  p.toolstack = xds_talker_new ("toolstack");
  if (!stage->class->open (stage, p.toolstack))
    fail (&p, "the server cannot be reached");
  else if (play_range (&p, 0, c->steps->len, 0))
    check_silence (&p);
  close_all (&p);
  wrong = stage->class->finish (stage);
  if (wrong != NULL)
    fail (&p, "afterwards: %s", wrong);
  xds_talker_free (p.toolstack);
  return p.why;
}
