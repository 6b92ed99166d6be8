/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * xenstore-ls.  Layout, found by measuring the original on terminals of all widths:
 *
 *   - lines are cut so that they fill the width but two columns on a terminal, 80 in a pipe; full
 *     paths (-f) are cut on a terminal only;
 *   - permissions stand behind dots up to column 60, or the width where that is less.
 *
 * Unlike the original, values and permissions of all children of a node are asked for at once.
 */

#include "lib/cli/compat.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PIPE_WIDTH 80
#define PERMS_COLUMN 60
#define CUT_MARK "\\...\""
#define CUT G_MAXINT16 /* as a column: the line is full */

typedef struct
{
  XdsCompat *compat;
  int width; /* negative: nothing is cut */
  GString *path; /* of the node whose children are printed */
} Ls;

static int
line_width (gboolean full)
{
  struct winsize size;

  if (!isatty (STDOUT_FILENO))
    return full ? -1 : PIPE_WIDTH;
  if (ioctl (STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
    return PIPE_WIDTH;
  return size.ws_col - 2;
}

/* The root's path ends in the slash that separates it from its children. */
static gboolean
below_root (const Ls *ls)
{
  return g_str_equal (ls->path->str, "/");
}

/* The first @most bytes; all of them where @most is negative, as printf() has it. */
static int
append_most (GString *out, const char *text, int most)
{
  gsize len = strlen (text);

  if (most >= 0)
    len = MIN (len, (gsize) most);
  g_string_append_len (out, text, len);
  return len;
}

static int
append_name (Ls *ls, const char *name, int indent)
{
  GString *out = ls->compat->output;

  if (ls->compat->full)
    {
      g_string_append_printf (out, "%s%s%s", ls->path->str, below_root (ls) ? "" : "/", name);
      return 0; /* does not count: the value begins where it may */
    }
  g_string_append_printf (out, "%*s", indent, "");
  return indent + append_most (out, name, ls->width - 8 - indent);
}

/* Prints ` = "value"`; the column after it, 0 where columns are not counted, or CUT. */
static int
append_value (Ls *ls, const char *value, gsize len, int column)
{
  GString *out = ls->compat->output;
  g_autoptr (GString) text = g_string_new (NULL);
  int room = ls->width - 8 - column;

  xds_compat_escape (text, value, len);
  g_string_append (out, " = \"");
  if (ls->width < 0 || (int) len <= room) /* before escapes, as the original counts */
    {
      g_string_append_printf (out, "%s\"", text->str);
      return ls->width < 0 || ls->compat->full ? 0 : column + 5 + (int) text->len;
    }
  append_most (out, text->str, room);
  g_string_append (out, CUT_MARK);
  return CUT;
}

static void
append_perms (Ls *ls, char **perms, int column)
{
  GString *out = ls->compat->output;
  int limit = MIN (ls->width, PERMS_COLUMN);
  g_autofree char *list = g_strjoinv (",", perms);

  if (column != CUT)
    g_string_append_c (out, ' ');
  for (column++; column > 1 && column < limit; column++)
    g_string_append_c (out, (column & 1) != 0 ? '.' : ' ');
  g_string_append_printf (out, "  (%s)", list);
}

/* What all children need, in one go. */
static gboolean
ask (Ls *ls, char **names, XdsBatch **ret_batch, GError **error)
{
  XdsBatch *batch = xds_batch_new (ls->compat->client, NULL);

  for (guint i = 0; names[i] != NULL; i++)
    {
      g_autofree char *path
          = g_strconcat (ls->path->str, below_root (ls) ? "" : "/", names[i], NULL);

      xds_batch_read (batch, path);
      if (ls->compat->perms)
        xds_batch_get_permissions (batch, path);
    }
  *ret_batch = batch;
  return xds_batch_run (batch, error);
}

static void
append_child (Ls *ls, XdsBatch *batch, guint index, const char *name, int indent)
{
  GString *out = ls->compat->output;
  guint step = ls->compat->perms ? 2 : 1;
  int column = append_name (ls, name, indent);
  const char *value;
  gsize len;

  value = xds_batch_get_value (batch, index * step, &len, NULL);
  if (value == NULL)
    g_string_append_c (out, ':');
  else
    column = append_value (ls, value, len, column);
  if (ls->compat->perms)
    {
      g_auto (GStrv) perms = xds_batch_get_strings (batch, index * step + 1, NULL);

      if (perms != NULL)
        append_perms (ls, perms, column);
    }
  g_string_append_c (out, '\n');
}

static gboolean list (Ls *ls, int indent, GError **error);

static gboolean
list_children (Ls *ls, char **names, int indent, GError **error)
{
  g_autoptr (XdsBatch) batch = NULL;
  gsize len = ls->path->len;

  if (names[0] == NULL)
    return TRUE;
  if (!ask (ls, names, &batch, error))
    return FALSE;
  for (guint i = 0; names[i] != NULL; i++)
    {
      g_autoptr (GError) below = NULL;

      append_child (ls, batch, i, names[i], indent);
      g_string_append_printf (ls->path, "%s%s", below_root (ls) ? "" : "/", names[i]);
      /* What cannot be listed, or went meanwhile, has no children to show. */
      list (ls, indent + 1, &below);
      g_string_truncate (ls->path, len);
    }
  return TRUE;
}

static gboolean
list (Ls *ls, int indent, GError **error)
{
  g_auto (GStrv) names = xds_client_list (ls->compat->client, NULL, ls->path->str, error);

  return names != NULL && list_children (ls, names, indent, error);
}

gboolean
xds_compat_ls (XdsCompat *compat, char **paths)
{
  char root_path[] = "/", *root[] = { root_path, NULL };

  if (paths[0] == NULL)
    paths = root;
  for (; *paths != NULL; paths++)
    {
      g_autoptr (GString) path = g_string_new (*paths);
      g_autoptr (GError) error = NULL;
      Ls ls = { compat, line_width (compat->full), path };

      if (list (&ls, 0, &error))
        continue;
      xds_compat_warn ("xs_directory (%s): %s", *paths, xds_compat_reason (error));
      return FALSE;
    }
  return TRUE;
}
