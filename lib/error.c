/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Errors.  A message says what was tried, where, why it failed and what to do.  The wire has only a
 * name, so which quota is meant is asked for afterwards; a server of others does not tell, and then
 * all are named that such a request could have run into.
 */

#include "lib/error.h"

G_STATIC_ASSERT ((int) XDS_ERROR_EINVAL == (int) XDS_EINVAL);
G_STATIC_ASSERT ((int) XDS_ERROR_EPERM == (int) XDS_EPERM);
G_STATIC_ASSERT ((int) XDS_STATUS_MAX == (int) XDS_ERROR_EPERM + 1);

/* clang-format off: it would take the name for a sum */
G_DEFINE_QUARK (xds - error - quark, xds_error)
/* clang-format on */

/* From XDS_ERROR_FAILED on. */
static const char *const of_userdata[]
    = { "FAILED",      "NO_DOMAIN",   "ABSENT",    "EMPTY",     "BUSY",       "TOO_LARGE",
        "TOO_MANY",    "DOMAIN_FULL", "DISK_FULL", "READ_ONLY", "NO_FOLDER",  "BAD_NAME",
        "NOT_REGULAR", "FOREIGN",     "CHANGED",   "DENIED",    "BAD_ARCHIVE" };

/**
 * xds_error_get_name:
 * @code: an #XdsError
 *
 * Tells the short name of an error: that of the wire ("ENOENT") for what the server answered, and
 * one in the same manner for the library's own. Scripts can rely on these names.
 *
 * Returns: the name, "UNKNOWN" for a number that is no error
 */
const char *
xds_error_get_name (int code)
{
  switch (code)
    {
    case XDS_ERROR_CONNECT:
      return "CONNECT";
    case XDS_ERROR_CLOSED:
      return "CLOSED";
    case XDS_ERROR_PROTOCOL:
      return "PROTOCOL";
    case XDS_ERROR_TIMED_OUT:
      return "TIMED_OUT";
    case XDS_ERROR_USAGE:
      return "USAGE";
    default:
      if (code >= XDS_ERROR_FAILED && code - XDS_ERROR_FAILED < (int) G_N_ELEMENTS (of_userdata))
        return of_userdata[code - XDS_ERROR_FAILED];
      return code > 0 && code < XDS_STATUS_MAX ? xds_status_name (code) : "UNKNOWN";
    }
}

/* Every operation, in words that follow "Cannot". */
static const char *
op_words (guint op)
{
  static const char *const words[] = {
    [XDS_OP_CONTROL] = "run the control command",
    [XDS_OP_DIRECTORY] = "list",
    [XDS_OP_READ] = "read",
    [XDS_OP_GET_PERMS] = "get the permissions of",
    [XDS_OP_WATCH] = "watch",
    [XDS_OP_UNWATCH] = "stop watching",
    [XDS_OP_TRANSACTION_START] = "start a transaction",
    [XDS_OP_TRANSACTION_END] = "end the transaction",
    [XDS_OP_INTRODUCE] = "introduce the domain",
    [XDS_OP_RELEASE] = "release the domain",
    [XDS_OP_GET_DOMAIN_PATH] = "tell the home of the domain",
    [XDS_OP_WRITE] = "write",
    [XDS_OP_MKDIR] = "make",
    [XDS_OP_RM] = "remove",
    [XDS_OP_SET_PERMS] = "set the permissions of",
    [XDS_OP_IS_DOMAIN_INTRODUCED] = "tell whether the domain is introduced:",
    [XDS_OP_RESUME] = "resume the domain",
    [XDS_OP_SET_TARGET] = "set the target of the domain",
    [XDS_OP_DIRECTORY_PART] = "list",
    [XDS_OP_GET_FEATURE] = "get the features",
    [XDS_OP_SET_FEATURE] = "set the features of the domain",
    [XDS_OP_GET_QUOTA] = "get the quota",
    [XDS_OP_SET_QUOTA] = "set the quota",
  };

  return op < G_N_ELEMENTS (words) && words[op] != NULL ? words[op] : "do this to";
}

/* The quota of its own that a request of this kind can run into, beside that of memory. */
static const char *
op_quotas (guint op, guint32 tx)
{
  switch (op)
    {
    case XDS_OP_WRITE:
      return tx != 0 ? "nodes, node-size, transaction-nodes" : "nodes, node-size";
    case XDS_OP_SET_PERMS:
      return tx != 0 ? "node-permissions, transaction-nodes" : "node-permissions";
    case XDS_OP_MKDIR:
      return tx != 0 ? "nodes, transaction-nodes" : "nodes";
    case XDS_OP_WATCH:
      return "watches";
    case XDS_OP_TRANSACTION_START:
      return "transactions";
    case XDS_OP_TRANSACTION_END:
      return "nodes";
    default:
      return "transaction-nodes";
    }
}

/* About domains, a missing thing is the domain. */
static gboolean
op_is_of_domain (guint op)
{
  return op == XDS_OP_INTRODUCE || op == XDS_OP_RELEASE || op == XDS_OP_RESUME
         || op == XDS_OP_SET_TARGET || op == XDS_OP_SET_FEATURE || op == XDS_OP_GET_FEATURE
         || op == XDS_OP_GET_QUOTA || op == XDS_OP_SET_QUOTA;
}

static char *
reason_invalid (guint op, const char *path)
{
  switch (op)
    {
    case XDS_OP_CONTROL:
      return g_strdup ("the server has no such command, or not with these words; "
                       "the command \"help\" lists them");
    case XDS_OP_GET_QUOTA:
    case XDS_OP_SET_QUOTA:
      return g_strdup ("the server has no quota of this name, or not with this value");
    case XDS_OP_SET_PERMS:
      return g_strdup ("the path or a permission is not valid; a permission is one of the "
                       "letters n, r, w, b and a domain id, as in n0 r5");
    default:
      if (op_is_of_domain (op))
        return g_strdup ("the server cannot do that with this domain");
      if (path != NULL && strlen (path) > (path[0] == '/' ? XDS_PATH_ABS_MAX : XDS_PATH_REL_MAX))
        return g_strdup_printf ("the path is too long; an absolute one has up to %d bytes, another "
                                "up to %d",
                                XDS_PATH_ABS_MAX, XDS_PATH_REL_MAX);
      return g_strdup ("this is no valid path; it has letters, digits and -/_@ only, and neither "
                       "an empty part nor a slash at its end");
    }
}

/* Is @path, which a server gave, what a caller calls @ours? */
static gboolean
is_same_path (const char *path, const char *ours)
{
  gsize len = strlen (path), ours_len = ours != NULL ? strlen (ours) : 0;

  if (ours_len == 0 || ours_len >= len)
    return g_strcmp0 (path, ours != NULL ? ours : "") == 0;
  return g_str_has_suffix (path, ours) && path[len - ours_len - 1] == '/';
}

/*
 * "QUOTA TOTAL ALLOWED OPERATION TRANSACTION PATH", if that was this request; a connection may have
 * other users (the kernel's device has), whose requests met a limit after ours.  A transaction
 * fails to commit for what any of its requests met.
 */
static char *
reason_named (const XdsErrorAbout *about, const char *refusal)
{
  g_auto (GStrv) words = refusal != NULL ? g_strsplit (refusal, " ", 6) : NULL;

  if (words == NULL || g_strv_length (words) != 6
      || g_ascii_strtoull (words[4], NULL, 10) != about->tx)
    return NULL;
  if (about->op == XDS_OP_TRANSACTION_END && words[5][0] != '\0')
    return g_strdup_printf ("the quota %s was met by %s %s in it: that would have been %s, and %s "
                            "are allowed; in domain 0 \"xds quota\" changes limits",
                            words[0], words[3], words[5], words[1], words[2]);
  if (!is_same_path (words[5], about->path))
    return NULL;
  return g_strdup_printf ("the quota %s is used up: this would be %s, and %s are allowed; in "
                          "domain 0 \"xds quota\" changes limits",
                          words[0], words[1], words[2]);
}

static char *
reason_quota (const XdsErrorAbout *about, const char *refusal)
{
  const char *could = op_quotas (about->op, about->tx);
  char *named = reason_named (about, refusal);

  if (named != NULL)
    return named;
  if (refusal != NULL)
    return g_strdup_printf ("a quota is used up, %s or memory; the last that this client met was "
                            "%.*s; in domain 0 \"xds quota\" changes limits",
                            could, (int) strcspn (refusal, " "), refusal);
  return g_strdup_printf ("a quota is used up, and this server does not tell which: %s or memory; "
                          "in domain 0 \"xds quota\" shows and changes limits",
                          could);
}

static char *
reason (const XdsErrorAbout *about, XdsStatus status, const char *refusal)
{
  guint op = about->op;

  switch (status)
    {
    case XDS_EINVAL:
      return reason_invalid (op, about->path);
    case XDS_EACCES:
      return g_strdup ("its permissions do not allow this to us; its owner, or domain 0, can "
                       "change them");
    case XDS_EPERM:
      return g_strdup ("only a privileged domain may change the owner");
    case XDS_ENOENT:
      return g_strdup (op == XDS_OP_TRANSACTION_END ? "there is no such transaction any more"
                       : op == XDS_OP_UNWATCH       ? "there is no such watch"
                       : op_is_of_domain (op)       ? "the server knows no such domain"
                                                    : "there is no such node");
    case XDS_EEXIST:
      return g_strdup ("it is there already");
    case XDS_ENOSPC:
      return reason_quota (about, refusal);
    case XDS_ENOMEM:
      return g_strdup ("the server, or the domain, has no memory left; \"xds top\" shows limits "
                       "and use");
    case XDS_E2BIG:
      return g_strdup ("it is longer than one message can be");
    case XDS_EAGAIN:
      return g_strdup ("somebody else changed what it read; run the transaction again");
    case XDS_EBUSY:
      return g_strdup ("not at this time: inside a transaction, or after the introduction");
    case XDS_ENOSYS:
      return g_strdup ("this server has no such request");
    default:
      return g_strdup ("the server could not do it");
    }
}

/* As much of a path as a message has room for. */
#define NAMED_MAX 200

static char *
name_path (const char *path)
{
  if (path == NULL)
    return g_strdup ("");
  if (path[0] == '\0')
    return g_strdup (" \"\"");
  if (strlen (path) <= NAMED_MAX)
    return g_strconcat (" ", path, NULL);
  return g_strdup_printf (" %.*s... (%" G_GSIZE_FORMAT " bytes)", NAMED_MAX, path, strlen (path));
}

GError *
xds_error_new_for (const XdsErrorAbout *about, XdsStatus status, const char *refusal)
{
  g_autofree char *why = reason (about, status, refusal);
  g_autofree char *where = NULL;

  if (about->domid != XDS_NO_DOMID && about->path != NULL)
    where = g_strdup_printf (" %s of domain %d", about->path, about->domid);
  else if (about->domid != XDS_NO_DOMID)
    where = g_strdup_printf (" %d", about->domid);
  else
    where = name_path (about->path);
  return g_error_new (XDS_ERROR, (int) status, "Cannot %s%s: %s (%s).", op_words (about->op), where,
                      why, xds_status_name (status));
}
