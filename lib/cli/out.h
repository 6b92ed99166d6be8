/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is printed, and how: text that hides nothing, and JSON. */

#include <gio/gio.h>
#include <json-glib/json-glib.h>

/* Text as it is, other bytes as \n, \t, \r, \\, \ooo. */
char *xds_out_escape (const char *data, gsize len);

/* The bytes that such a text stands for; NULL if a backslash starts nothing known. */
char *xds_out_unescape (const char *text, gsize *ret_len);

/* A value: a string if it is UTF-8 without NUL, else an object with encoding and data. */
void xds_out_json_value (JsonBuilder *builder, const char *data, gsize len);
void xds_out_json_strings (JsonBuilder *builder, char **strings);

/* One line of JSON. */
void xds_out_json (JsonBuilder *builder);

/* An error on standard error. */
void xds_out_error (const GError *error, int status, gboolean json);

/* What is left of @columns for the terminal's width; 0 if output is no terminal. */
guint xds_out_width (void);

/* Tells of @n nodes so far, once work that began @since (monotonic) takes its time; at its end the
   line is cleared.  On a terminal only, and on standard error: what is printed is the same without.
 */
void xds_out_progress (gint64 since, guint n, gboolean end);

/* Flushes; FALSE and an error if anything until now could not be written. */
gboolean xds_out_finish (GError **error);
