/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Another binary takes the place of this one, in the same process: connections, watches,
 * transactions, rings and whatever is on its way stay as they are.
 */

#include <gio/gio.h>

typedef struct XdsService XdsService;

/* What the process that we were left open for us: option --resume, written by ourselves. */
typedef struct
{
  int stream;       /* memory with the state; -1: this is an ordinary start */
  int pid_file;     /* -1: there is none */
  GArray *own;      /* (owned) (element-type int) listeners whose socket file is ours */
  GArray *passed;   /* (owned) (element-type int) listeners that were passed to us */
} XdsResume;

XdsResume *xds_resume_new (const char *text, GError **error); /* NULL text: an ordinary start */
void xds_resume_free (XdsResume *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsResume, xds_resume_free)

/* Whether we could go on from the stream at @fd (option --check-stream). */
gboolean xds_resume_check (int fd, GError **error);

/* Attaches what the stream at resume->stream has; the service is made and serves nobody yet. */
gboolean xds_live_update_resume (XdsService *service, const XdsResume *resume, GError **error);

/* CONTROL live-update: what to answer. */
gboolean xds_live_update_control (XdsService *service, const char *const *args, GString *answer);

/* Between two turns: if an update is due, does not return unless it failed. */
void xds_live_update_turn (XdsService *service);

void xds_live_update_clear (XdsService *service);
