/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The boot sidecar.
 *
 * Domains do not outlive the host, so in state EARLIER all data of guests is stale, except what
 * was written since this boot by somebody who came before the keeper.  Only the file's own time
 * can tell these apart, and only roughly, since clocks get set; so it is asked in this one state
 * and never again once the keeper has cleaned.
 *
 * A sidecar that cannot be read as a boot id counts as one of another boot: a power cut can
 * shorten it, a running host cannot.
 */

#include "userdata/boot.h"
#include "userdata/error.h"
#include "userdata/file.h"

#include <string.h>

/* File times come from a clock that ticks a few hundred times a second. */
#define SLACK G_USEC_PER_SEC

XdsBootState
xds_userdata_boot_state (XdsUserdataBackend *backend)
{
  const char *id = backend->boot_id (backend);
  g_auto (XdsUserdataFile) file = { 0 };
  gsize len;
  const char *text;

  if (id[0] == '\0' || !xds_userdata_file_read (backend, XDS_USERDATA_BOOT_FILE, &file, NULL))
    return XDS_BOOT_UNKNOWN;
  text = g_bytes_get_data (file.bytes, &len);
  if (len == strlen (id) + 1 && memcmp (text, id, len - 1) == 0 && text[len - 1] == '\n')
    return XDS_BOOT_CURRENT;
  return XDS_BOOT_EARLIER;
}

gboolean
xds_userdata_boot_mark (XdsUserdataBackend *backend, GError **error)
{
  g_autofree char *text = g_strconcat (backend->boot_id (backend), "\n", NULL);
  g_autoptr (GBytes) bytes = g_bytes_new (text, strlen (text));

  if (text[0] == '\n')
    return TRUE;
  return xds_userdata_file_replace (backend, XDS_USERDATA_BOOT_FILE, XDS_USERDATA_BOOT_FILE ".new",
                                    bytes, TRUE, NULL, NULL, error);
}

gboolean
xds_userdata_boot_predates (XdsUserdataBackend *backend, const struct stat *st)
{
  gint64 written = (gint64) st->st_mtim.tv_sec * G_USEC_PER_SEC + st->st_mtim.tv_nsec / 1000;

  /* A time to come is one of a clock that ran ahead, in some earlier boot. */
  return written < backend->clock (backend, XDS_CLOCK_BOOT) - SLACK
         || written > backend->clock (backend, XDS_CLOCK_REAL) + SLACK;
}
