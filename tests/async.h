/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Waiting for what comes later: a slot that is NULL until the call is over. */

#include <gio/gio.h>

/* A GAsyncReadyCallback whose @data is the slot. */
static inline void
store_result (GObject *source G_GNUC_UNUSED, GAsyncResult *result, gpointer data)
{
  GAsyncResult **slot = data;

  *slot = g_object_ref (result);
}

static inline GAsyncResult *
wait_result (GAsyncResult **slot)
{
  while (*slot == NULL)
    g_main_context_iteration (NULL, TRUE);
  return *slot;
}
