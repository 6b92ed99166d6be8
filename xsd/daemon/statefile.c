/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * All of it is made in memory before the first byte is written, so that it is of one moment, and a
 * disk that is full costs no more than what was written.
 */

#include "xsd/daemon/statefile.h"

#include "xsd/transport/failure.h"

#include <errno.h>
#include <unistd.h>

gboolean
xds_state_write (XdsEngine *engine, const XdsDumpHost *host, void *data, int fd, gsize *ret_len,
                 GError **error)
{
  g_autoptr (GBytes) stream = xds_engine_dump (engine, host, data);
  gsize len, left;
  const guint8 *at = g_bytes_get_data (stream, &len);

  for (left = len; left > 0;)
    {
      ssize_t n = write (fd, at, left);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        return xds_fail (error, errno, "there is no room for the state");
      at += n;
      left -= n;
    }
  if (ret_len != NULL)
    *ret_len = len;
  return TRUE;
}
