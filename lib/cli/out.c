/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Output.  Values are bytes: as text they are escaped so that what is printed can be given back,
 * in JSON they stay strings wherever they can be, since base64 would hide what is nearly always
 * plain text.
 */

#include "lib/cli/out.h"
#include "lib/cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

char *
xds_out_escape (const char *data, gsize len)
{
  GString *text = g_string_sized_new (len + 1);

  for (gsize i = 0; i < len; i++)
    {
      guchar c = data[i];

      if (c == '\\')
        g_string_append (text, "\\\\");
      else if (c == '\n')
        g_string_append (text, "\\n");
      else if (c == '\t')
        g_string_append (text, "\\t");
      else if (c == '\r')
        g_string_append (text, "\\r");
      else if (c >= ' ' && c < 0x7f)
        g_string_append_c (text, c);
      else
        g_string_append_printf (text, "\\%03o", c);
    }
  return g_string_free (text, FALSE);
}

/* One escape behind its backslash; the number of letters it took, 0 for none known. */
static guint
unescape_one (const char *text, char *ret_byte)
{
  static const char letters[] = "ntr\\", bytes[] = "\n\t\r\\";
  const char *at = text[0] != '\0' ? strchr (letters, text[0]) : NULL;
  guint n = 0, value = 0;

  if (at != NULL)
    {
      *ret_byte = bytes[at - letters];
      return 1;
    }
  if (text[0] == 'x')
    {
      for (n = 1; n <= 2 && g_ascii_isxdigit (text[n]); n++)
        value = value * 16 + g_ascii_xdigit_value (text[n]);
      *ret_byte = value;
      return n > 1 ? n : 0;
    }
  for (; n < 3 && text[n] >= '0' && text[n] <= '7'; n++)
    value = value * 8 + (text[n] - '0');
  *ret_byte = value;
  return value <= 0xff ? n : 0;
}

char *
xds_out_unescape (const char *text, gsize *ret_len)
{
  g_autoptr (GString) bytes = g_string_new (NULL);

  for (const char *p = text; *p != '\0';)
    {
      char byte = *p;
      guint n = 1;

      if (*p++ == '\\')
        {
          n = unescape_one (p, &byte);
          p += n;
        }
      if (n == 0)
        return NULL;
      g_string_append_c (bytes, byte);
    }
  *ret_len = bytes->len;
  return g_string_free (g_steal_pointer (&bytes), FALSE);
}

void
xds_out_json_value (JsonBuilder *builder, const char *data, gsize len)
{
  g_autofree char *base64 = NULL;

  if (memchr (data, '\0', len) == NULL && g_utf8_validate (data, len, NULL))
    {
      g_autofree char *text = g_strndup (data, len);

      json_builder_add_string_value (builder, text);
      return;
    }
  base64 = g_base64_encode ((const guchar *) data, len);
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "encoding");
  json_builder_add_string_value (builder, "base64");
  json_builder_set_member_name (builder, "data");
  json_builder_add_string_value (builder, base64);
  json_builder_end_object (builder);
}

void
xds_out_json_strings (JsonBuilder *builder, char **strings)
{
  json_builder_begin_array (builder);
  for (gsize i = 0; strings != NULL && strings[i] != NULL; i++)
    json_builder_add_string_value (builder, strings[i]);
  json_builder_end_array (builder);
}

static char *
json_text (JsonBuilder *builder)
{
  g_autoptr (JsonNode) root = json_builder_get_root (builder);

  return json_to_string (root, FALSE);
}

void
xds_out_json (JsonBuilder *builder)
{
  g_autofree char *text = json_text (builder);

  puts (text);
}

static const char *
error_name (const GError *error)
{
  if (error->domain == XDS_ERROR)
    return xds_error_get_name (error->code);
  return error->domain == XDS_CLI_ERROR || error->domain == G_OPTION_ERROR ? "USAGE" : "FAILED";
}

void
xds_out_error (const GError *error, int status, gboolean json)
{
  g_autoptr (JsonBuilder) builder = NULL;
  g_autofree char *text = NULL;

  if (!json)
    {
      fprintf (stderr, "xds: %s\n", error->message);
      return;
    }
  builder = json_builder_new ();
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "error");
  json_builder_add_string_value (builder, error_name (error));
  json_builder_set_member_name (builder, "message");
  json_builder_add_string_value (builder, error->message);
  json_builder_set_member_name (builder, "status");
  json_builder_add_int_value (builder, status);
  json_builder_end_object (builder);
  text = json_text (builder);
  fprintf (stderr, "%s\n", text);
}

guint
xds_out_width (void)
{
  struct winsize size;

  if (ioctl (STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
    return 0;
  return size.ws_col;
}

gboolean
xds_out_finish (GError **error)
{
  if (fflush (stdout) == 0 && !ferror (stdout))
    return TRUE;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "Cannot write the output: %s.",
               g_strerror (errno));
  return FALSE;
}

/* Work takes long enough to be told of it from here on, in microseconds. */
#define PATIENCE (G_USEC_PER_SEC / 2)

/* As often as an eye can see. */
#define PACE (G_USEC_PER_SEC / 10)

void
xds_out_progress (gint64 since, guint n, gboolean end)
{
  static gint64 shown; /* when last; 0: nothing is on the line */
  gint64 now = g_get_monotonic_time ();

  if (!isatty (STDERR_FILENO))
    return;
  if (end && shown != 0)
    fputs ("\r\033[K", stderr);
  else if (!end && now - since >= PATIENCE && now - shown >= PACE)
    fprintf (stderr, "\r%u nodes...", n);
  else if (!end)
    return;
  shown = end ? 0 : now;
}
