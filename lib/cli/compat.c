/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "lib/cli/compat.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PREFIX "xenstore-"

typedef gboolean (*Run) (XdsCompat *compat, char **words, GError **error);

typedef struct
{
  const char *name;
  const char *letters; /* options that it has; another tool's asks for the usage */
  const char *usage;
  int min_words;
  gboolean transaction;
  Run run;
} Mode;

static char *
tool_name (void)
{
  return program_invocation_short_name;
}

void
xds_compat_warn (const char *format, ...)
{
  va_list args;

  fprintf (stderr, "%s: ", tool_name ());
  va_start (args, format);
  vfprintf (stderr, format, args);
  va_end (args);
  fputc ('\n', stderr);
}

const char *
xds_compat_reason (const GError *error)
{
  static const int errnos[] = {
    [XDS_ERROR_EINVAL] = EINVAL,       [XDS_ERROR_EACCES] = EACCES,
    [XDS_ERROR_EEXIST] = EEXIST,       [XDS_ERROR_EISDIR] = EISDIR,
    [XDS_ERROR_ENOENT] = ENOENT,       [XDS_ERROR_ENOMEM] = ENOMEM,
    [XDS_ERROR_ENOSPC] = ENOSPC,       [XDS_ERROR_EIO] = EIO,
    [XDS_ERROR_ENOTEMPTY] = ENOTEMPTY, [XDS_ERROR_ENOSYS] = ENOSYS,
    [XDS_ERROR_EROFS] = EROFS,         [XDS_ERROR_EBUSY] = EBUSY,
    [XDS_ERROR_EAGAIN] = EAGAIN,       [XDS_ERROR_EISCONN] = EISCONN,
    [XDS_ERROR_E2BIG] = E2BIG,         [XDS_ERROR_EPERM] = EPERM,
  };

  if (error->domain == XDS_ERROR && error->code > 0 && error->code < (int) G_N_ELEMENTS (errnos))
    return strerror (errnos[error->code]);
  if (error->domain == XDS_ERROR && error->code == XDS_ERROR_USAGE)
    return strerror (EINVAL);
  return error->message;
}

/* --- values as text --- */

void
xds_compat_escape (GString *text, const char *value, gsize len)
{
  for (gsize i = 0; i < len; i++)
    {
      guchar c = value[i];

      if (c >= ' ' && c <= '~' && c != '\\')
        g_string_append_c (text, c);
      else if (c == '\t')
        g_string_append (text, "\\t");
      else if (c == '\n')
        g_string_append (text, "\\n");
      else if (c == '\r')
        g_string_append (text, "\\r");
      else if (c == '\\')
        g_string_append (text, "\\\\");
      else
        g_string_append_printf (text, c < 010 ? "\\%03o" : "\\x%02x", c);
    }
}

static guint
take_digits (const char **at, guint base, guint most)
{
  guint value = 0;

  for (guint i = 0; i < most; i++, (*at)++)
    {
      int digit = g_ascii_xdigit_value (**at);

      if (digit < 0 || (guint) digit >= base)
        break;
      value = value * base + digit;
    }
  return value;
}

/* At most two digits of base 16; the original takes the prefix 0x for such a number too: 0. */
static guint
take_hex (const char **at)
{
  guint value = take_digits (at, 16, 2);

  if ((*at)[-2] == 'x' && (*at)[-1] == '0' && g_ascii_tolower (**at) == 'x')
    (*at)++;
  return value;
}

/* A backslash before nothing is a NUL, as with the original. */
static GString *
unescape (const char *text)
{
  GString *value = g_string_new (NULL);

  while (*text != '\0')
    {
      char c = *text++;

      if (c == '\\')
        {
          c = *text;
          if (c >= '0' && c <= '7')
            c = take_digits (&text, 8, 3);
          else if (c == 'x' && g_ascii_isxdigit (text[1]))
            {
              text++;
              c = take_hex (&text);
            }
          else
            {
              c = c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c;
              text += *text != '\0';
            }
        }
      g_string_append_c (value, c);
    }
  return value;
}

/* --- modes; each says what failed, and FALSE with EAGAIN in @error is tried again --- */

static gboolean
run_read (XdsCompat *compat, char **words, GError **error)
{
  for (; *words != NULL; words++)
    {
      gsize len;
      g_autofree char *value = xds_client_read (compat->client, compat->txn, *words, &len, error);

      if (value == NULL)
        {
          xds_compat_warn ("couldn't read path %s", *words);
          return FALSE;
        }
      if (compat->prefix)
        g_string_append_printf (compat->output, "%s: ", *words);
      if (compat->raw)
        g_string_append_len (compat->output, value, len);
      else
        {
          xds_compat_escape (compat->output, value, len);
          g_string_append_c (compat->output, '\n');
        }
    }
  return TRUE;
}

static gboolean
run_write (XdsCompat *compat, char **words, GError **error)
{
  for (; *words != NULL; words += 2)
    {
      g_autoptr (GString) value = compat->raw ? g_string_new (words[1]) : unescape (words[1]);

      if (!xds_client_write (compat->client, compat->txn, words[0], value->str, value->len, error))
        {
          xds_compat_warn ("could not write path %s", words[0]);
          return FALSE;
        }
    }
  return TRUE;
}

static gboolean
run_list (XdsCompat *compat, char **words, GError **error)
{
  for (; *words != NULL; words++)
    {
      g_auto (GStrv) names = xds_client_list (compat->client, compat->txn, *words, error);

      if (names == NULL)
        {
          xds_compat_warn ("could not list path %s", *words);
          return FALSE;
        }
      for (guint i = 0; names[i] != NULL; i++)
        g_string_append_printf (compat->output, "%s%s%s\n", compat->prefix ? *words : "",
                                compat->prefix ? "/" : "", names[i]);
    }
  return TRUE;
}

/* Removes parents of @path that have become empty. */
static gboolean
tidy (XdsCompat *compat, const char *path, GError **error)
{
  g_autofree char *parent = g_strdup (path);
  char *slash;

  while ((slash = strrchr (parent, '/')) != NULL && slash != parent)
    {
      g_auto (GStrv) names = NULL;
      g_autofree char *value = NULL;
      gsize len;

      *slash = '\0';
      value = xds_client_read (compat->client, compat->txn, parent, &len, error);
      if (value == NULL)
        return FALSE;
      if (len > 0)
        return TRUE;
      names = xds_client_list (compat->client, compat->txn, parent, error);
      if (names == NULL)
        return FALSE;
      if (names[0] != NULL)
        return TRUE;
      if (!xds_client_remove (compat->client, compat->txn, parent, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
run_rm (XdsCompat *compat, char **words, GError **error)
{
  for (; *words != NULL; words++)
    if (!xds_client_remove (compat->client, compat->txn, *words, error)
        || (compat->tidy && !tidy (compat, *words, error)))
      {
        xds_compat_warn ("could not remove path %s", *words);
        return FALSE;
      }
  return TRUE;
}

static gboolean
run_exists (XdsCompat *compat, char **words, GError **error)
{
  for (; *words != NULL; words++)
    {
      g_autofree char *value = xds_client_read (compat->client, compat->txn, *words, NULL, error);

      if (value == NULL)
        return FALSE;
    }
  return TRUE;
}

static gboolean
run_ls (XdsCompat *compat, char **words, GError **error)
{
  (void) error;
  return xds_compat_ls (compat, words);
}

/* --- chmod --- */

static gboolean
set_perms (XdsCompat *compat, const char *path, char **perms, GError **error)
{
  if (xds_client_set_permissions (compat->client, compat->txn, path, (const char *const *) perms,
                                  error))
    return TRUE;
  if (!g_error_matches (*error, XDS_ERROR, XDS_ERROR_EAGAIN))
    xds_compat_warn ("Error occurred setting permissions on '%s': %s", path,
                     xds_compat_reason (*error));
  return FALSE;
}

static gboolean
set_perms_below (XdsCompat *compat, const char *path, char **perms, GError **error)
{
  g_auto (GStrv) names = xds_client_list (compat->client, compat->txn, path, error);

  for (guint i = 0; names != NULL && names[i] != NULL; i++)
    {
      g_autofree char *child = g_strdup_printf ("%s/%s", path, names[i]);

      if (!set_perms (compat, child, perms, error)
          || !set_perms_below (compat, child, perms, error))
        return FALSE;
    }
  return names != NULL;
}

static gboolean
set_perms_above (XdsCompat *compat, const char *path, char **perms, GError **error)
{
  g_autofree char *parent = g_strdup (path);
  char *slash;

  while ((slash = strrchr (parent, '/')) != NULL && slash != parent)
    {
      *slash = '\0';
      if (!set_perms (compat, parent, perms, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
check_perms (char **perms)
{
  for (; *perms != NULL; perms++)
    if (strchr ("nrwb", **perms) == NULL || **perms == '\0')
      {
        xds_compat_warn ("Invalid permission specification: '%c'", **perms);
        return FALSE;
      }
  return TRUE;
}

/* Numbers are read as atoi() does: what is none is domain 0. */
static char **
plain_perms (char **perms)
{
  char **plain = g_new0 (char *, g_strv_length (perms) + 1);

  for (guint i = 0; perms[i] != NULL; i++)
    plain[i] = g_strdup_printf ("%c%u", perms[i][0], (guint) atoi (perms[i] + 1));
  return plain;
}

static gboolean
run_chmod (XdsCompat *compat, char **words, GError **error)
{
  g_auto (GStrv) perms = NULL;

  if (words[1] == NULL && *words[0] == '\0')
    return TRUE;
  if (words[1] == NULL)
    {
      xds_compat_warn ("Error occurred setting permissions on '%s': %s", words[0],
                       strerror (EINVAL));
      return FALSE;
    }
  if (!check_perms (words + 1))
    return FALSE;
  perms = plain_perms (words + 1);
  return set_perms (compat, words[0], perms, error)
         && (!compat->upto || set_perms_above (compat, words[0], perms, error))
         && (!compat->recurse || set_perms_below (compat, words[0], perms, error));
}

/* --- watch --- */

static void
print_event (XdsWatch *watch, const char *path, gpointer data)
{
  int *left = data;

  (void) watch;
  if (*left == 0)
    return;
  printf ("%s\n", path);
  fflush (stdout);
  if (*left > 0)
    (*left)--;
}

static gboolean
run_watch (XdsCompat *compat, char **words, GError **error)
{
  g_autoptr (GPtrArray) watches = g_ptr_array_new_with_free_func (g_object_unref);
  int left = compat->n_events;

  if (left == 0)
    return TRUE;
  xds_client_attach (compat->client, NULL);
  for (; *words != NULL; words++)
    {
      XdsWatch *watch = xds_client_watch (compat->client, *words, XDS_WATCH_UNLIMITED, error);

      if (watch == NULL)
        {
          xds_compat_warn ("Unable to add watch on %s\n", *words);
          return FALSE;
        }
      g_ptr_array_add (watches, watch);
      g_signal_connect (watch, "changed", G_CALLBACK (print_event), &left);
    }
  while (left != 0 && xds_client_is_open (compat->client))
    g_main_context_iteration (NULL, TRUE);
  return left <= 0;
}

/* --- the tools --- */

static const Mode modes[] = {
  { "chmod", "hsru", "[-h] [-u] [-r] [-s] key <mode [modes...]>", 1, TRUE, run_chmod },
  { "exists", "hs", "[-h] [-p] [-s] key [...]", 1, TRUE, run_exists },
  { "list", "hsp", "[-h] [-p] [-s] key [...]", 1, TRUE, run_list },
  { "ls", "hsfp", "[-h] [-f] [-p] [-s] [path]", 0, FALSE, run_ls },
  { "read", "hspR", "[-h] [-p] [-s] [-R] key [...]", 1, TRUE, run_read },
  { "rm", "hst", "[-h] [-s] [-t] key [...]", 1, TRUE, run_rm },
  { "watch", "hsn", "[-h] [-n NR] key", 1, FALSE, run_watch },
  { "write", "hsR", "[-h] [-s] [-R] key value [...]", 2, TRUE, run_write },
};

static const Mode *
find_mode (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (modes); i++)
    if (g_str_equal (modes[i].name, name))
      return &modes[i];
  return NULL;
}

gboolean
xds_compat_is_name (const char *name)
{
  if (g_str_equal (name, "xenstore") || g_str_equal (name, PREFIX "control"))
    return TRUE;
  return g_str_has_prefix (name, PREFIX) && find_mode (name + strlen (PREFIX)) != NULL;
}

/* xs_open() of the original says by errno why it failed; ours says it in a sentence. */
static int
open_errno (void)
{
  const char *path = g_getenv ("XENSTORED_PATH"), *dir = g_getenv ("XENSTORED_RUNDIR");
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

  if (path != NULL)
    g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  else
    g_snprintf (address.sun_path, sizeof address.sun_path, "%s/socket",
                dir != NULL ? dir : "/run/xenstored");
  err = connect (fd, (struct sockaddr *) &address, sizeof address) == 0 ? EIO : errno;
  close (fd);
  return err;
}

static int
usage (const Mode *mode, gboolean by_prefix, const char *program)
{
  xds_compat_warn (by_prefix ? "Usage: %s%s %s" : "Usage: %s %s %s", program,
                   by_prefix ? "" : mode->name, mode->usage);
  return 1;
}

/* FALSE: the usage is to be shown. */
static gboolean
parse_options (XdsCompat *compat, const Mode *mode, int argc, char **argv)
{
  static const struct option longs[] = {
    { "help", no_argument, NULL, 'h' },      { "flat", no_argument, NULL, 'f' },
    { "prefix", no_argument, NULL, 'p' },    { "tidy", no_argument, NULL, 't' },
    { "upto", no_argument, NULL, 'u' },      { "recurse", no_argument, NULL, 'r' },
    { "number", required_argument, NULL, 'n' }, { "raw", no_argument, NULL, 'R' },
    { NULL, 0, NULL, 0 },
  };
  int c;

  while ((c = getopt_long (argc, argv, "hfpstn:urR", longs, NULL)) != -1)
    switch (c == '?' || strchr (mode->letters, c) != NULL ? c : 'h')
      {
      case 'h':
        return FALSE;
      case 'f':
        compat->full = TRUE;
        break;
      case 'p':
        compat->perms = compat->prefix = TRUE;
        break;
      case 't':
        compat->tidy = TRUE;
        break;
      case 'u':
        compat->upto = TRUE;
        break;
      case 'r':
        compat->recurse = TRUE;
        break;
      case 'R':
        compat->raw = TRUE;
        break;
      case 'n':
        compat->n_events = atoi (optarg);
        break;
      default: /* getopt has said it; the rest is done all the same */
        break;
      }
  return TRUE;
}

/* One try: in a transaction where the mode has one.  FALSE with EAGAIN is a conflict. */
static gboolean
run_once (XdsCompat *compat, const Mode *mode, char **words, gboolean in_transaction,
          GError **error)
{
  gboolean done;

  if (!in_transaction)
    return mode->run (compat, words, error);
  compat->txn = xds_client_begin (compat->client, error);
  if (compat->txn == NULL)
    {
      xds_compat_warn ("couldn't start transaction");
      return FALSE;
    }
  done = mode->run (compat, words, error);
  if (done)
    done = xds_transaction_commit (compat->txn, error);
  else
    xds_transaction_abort (compat->txn, NULL);
  xds_transaction_unref (compat->txn);
  compat->txn = NULL;
  return done;
}

static int
run (XdsCompat *compat, const Mode *mode, char **words, int n)
{
  g_autoptr (GError) error = NULL;
  /* One write is atomic by itself. */
  gboolean in_transaction = mode->transaction && !(g_str_equal (mode->name, "write") && n == 2);
  gboolean done;

  while (!(done = run_once (compat, mode, words, in_transaction, &error))
         && g_error_matches (error, XDS_ERROR, XDS_ERROR_EAGAIN))
    {
      g_string_truncate (compat->output, 0);
      g_clear_error (&error);
    }
  fwrite (compat->output->str, 1, compat->output->len, stdout);
  return done && fflush (stdout) == 0 ? 0 : 1;
}

int
xds_compat_main (int argc, char **argv)
{
  gboolean by_prefix = g_str_has_prefix (tool_name (), PREFIX);
  g_autoptr (GString) output = g_string_new (NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (XdsClient) client = NULL;
  XdsCompat compat = { .output = output, .n_events = -1 };
  const char *program = argv[0];
  const Mode *mode;
  int n;

  if (g_str_equal (tool_name (), PREFIX "control"))
    return xds_compat_control (argc, argv);
  if (!by_prefix && argc < 2)
    {
      xds_compat_warn ("Usage: %s <mode> [-h] [...]", program);
      return 1;
    }
  mode = find_mode (by_prefix ? tool_name () + strlen (PREFIX) : argv[1]);
  if (mode == NULL)
    {
      xds_compat_warn ("unknown mode %s\n", argv[1]);
      return 1;
    }
  argc -= !by_prefix;
  argv += !by_prefix;
  if (!parse_options (&compat, mode, argc, argv))
    return usage (mode, by_prefix, program);
  n = argc - optind;
  if (n < mode->min_words || (g_str_equal (mode->name, "write") && n % 2 != 0))
    return usage (mode, by_prefix, program);
  client = xds_client_open (&error);
  if (client == NULL)
    {
      xds_compat_warn ("xs_open: %s", strerror (open_errno ()));
      return 1;
    }
  compat.client = client;
  return run (&compat, mode, argv + optind, n);
}
