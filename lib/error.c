/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Errors.  A message says what was tried, where, why it failed and what to do; the wire has only
 * a name, so which quota is meant is told by what the request could have run into.
 */

#include "lib/error.h"

G_STATIC_ASSERT ((int) XDS_ERROR_EINVAL == (int) XDS_EINVAL);
G_STATIC_ASSERT ((int) XDS_ERROR_EPERM == (int) XDS_EPERM);
G_STATIC_ASSERT ((int) XDS_STATUS_MAX == (int) XDS_ERROR_EPERM + 1);

/* clang-format off: it would take the name for a sum */
G_DEFINE_QUARK (xds-error-quark, xds_error)
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

/* Which quotas a request of this kind is charged to. */
static const char *
op_quotas (guint op)
{
  switch (op)
    {
    case XDS_OP_WRITE:
      return "nodes, node-size, transaction-nodes or memory";
    case XDS_OP_MKDIR:
    case XDS_OP_RM:
      return "nodes, transaction-nodes or memory";
    case XDS_OP_SET_PERMS:
      return "node-permissions, transaction-nodes or memory";
    case XDS_OP_WATCH:
      return "watches or memory";
    case XDS_OP_TRANSACTION_START:
      return "transactions";
    case XDS_OP_TRANSACTION_END:
      return "nodes or memory";
    default:
      return "transaction-nodes or memory";
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
reason_invalid (guint op)
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
      return g_strdup ("this is no valid path; it has letters, digits and -/_@ only, and neither "
                       "an empty part nor a slash at its end");
    }
}

static char *
reason (guint op, XdsStatus status)
{
  switch (status)
    {
    case XDS_EINVAL:
      return reason_invalid (op);
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
      return g_strdup_printf ("a quota is used up (%s); \"xds quota\" shows limits and use",
                              op_quotas (op));
    case XDS_ENOMEM:
      return g_strdup ("the server is short of memory, or the quota memory is used up");
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

GError *
xds_error_new_for (guint op, const char *path, int domid, XdsStatus status)
{
  g_autofree char *why = reason (op, status);
  g_autofree char *where = NULL;

  if (domid != XDS_NO_DOMID && path != NULL)
    where = g_strdup_printf (" %s of domain %d", path, domid);
  else if (domid != XDS_NO_DOMID)
    where = g_strdup_printf (" %d", domid);
  else
    where = g_strconcat (path != NULL ? " " : "", path, NULL);
  return g_error_new (XDS_ERROR, (int) status, "Cannot %s%s: %s (%s).", op_words (op), where, why,
                      xds_status_name (status));
}
