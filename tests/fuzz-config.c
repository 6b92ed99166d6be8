/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Fuzz target: the daemon's configuration file.  Any bytes are either read or refused with one
 * line that names the file; a configuration that was refused is as it was, and can be freed.
 */

#include "tests/fuzz.h"
#include "xsd/daemon/config.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void
no_warning (const char *text)
{
  g_assert_nonnull (text);
  g_assert_null (strchr (text, '\n'));
}

/* Only a file has lines, so the bytes become one, in memory. */
static char *
make_file (const uint8_t *data, size_t size, int *ret_fd)
{
  *ret_fd = memfd_create ("config", MFD_CLOEXEC);
  g_assert_cmpint (*ret_fd, >=, 0);
  for (size_t at = 0; at < size;)
    {
      ssize_t n = write (*ret_fd, data + at, size - at);

      g_assert_cmpint (n, >, 0);
      at += n;
    }
  return g_strdup_printf ("/proc/self/fd/%d", *ret_fd);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  int fd;
  g_autofree char *path = make_file (data, size, &fd);
  g_autoptr (XdsConfig) config = xds_config_new ();
  g_autoptr (GError) error = NULL;

  if (!xds_config_read (config, path, no_warning, &error))
    {
      g_assert_nonnull (error);
      g_assert_nonnull (strstr (error->message, path));
      g_assert_null (strchr (error->message, '\n'));
    }
  else
    g_assert_no_error (error);
  close (fd);
  return 0;
}
