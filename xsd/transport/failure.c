/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The number is an argument, not errno: it is read before anything here can change it. */

#include "xsd/transport/failure.h"

gboolean
xds_fail (GError **error, int err, const char *format, ...)
{
  g_autofree char *what = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (err), "%s: %s", what, g_strerror (err));
  return FALSE;
}

gboolean
xds_advise (GError **error, const char *advice)
{
  char *message;

  if (error == NULL)
    return FALSE;
  message = g_strconcat ((*error)->message, "; ", advice, NULL);
  g_free ((*error)->message);
  (*error)->message = message;
  return FALSE;
}
