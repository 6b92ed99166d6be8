/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the host refused, as an error: here since transport is the lowest layer that asks it for
 * anything.
 */

#include <gio/gio.h>

/* "@format: the text of @err", a number of errno's; always FALSE. */
gboolean xds_fail (GError **error, int err, const char *format, ...) G_GNUC_PRINTF (3, 4);

/* Adds what to do about it, "; @advice"; always FALSE. */
gboolean xds_advise (GError **error, const char *advice);
