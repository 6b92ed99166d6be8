/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Payloads of transcripts: from text to bytes, and bytes against text. */

#include <glib.h>

/* The bytes that @text stands for; NULL, and why not.  @number is what # means. */
GString *xds_text_expand (const char *text, GHashTable *variables, gint64 number, char **ret_why);

/*
 * Do the bytes match the text?  Variables that it names by [x] are set if they do.  On a fault in
 * the text itself FALSE and *@ret_why.
 */
gboolean xds_text_match (const char *text, GHashTable *variables, gint64 number, const char *bytes,
                         gsize len, char **ret_why);

/* Bytes as a person can read them, cut where they are long. */
char *xds_text_show (const char *bytes, gsize len);
