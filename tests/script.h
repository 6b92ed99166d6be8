/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A random session with the store, as a list of steps that can be shortened and run again.
 *
 * A step means the same whatever came before it was left out: transactions are named by their
 * place among the open ones of the actor, and a step that makes no sense any more is skipped.
 */

#include <glib.h>

/* Steps that are no requests; requests are steps of their type (XDS_OP_*). */
enum
{
  XDS_STEP_HANG_UP = 100, /* the socket closes, another opens */
  XDS_STEP_CREATE,        /* from here on actor is a domid: a new domain, or one that is there, is
                             introduced */
  XDS_STEP_SHUTDOWN,
  XDS_STEP_DYING,
  XDS_STEP_DESTROY,
  XDS_STEP_REUSE, /* destroyed and created again before anybody looks */
};

#define XDS_SCRIPT_SOCKETS 3
#define XDS_SCRIPT_GUESTS 4 /* domids 1 to 4 are actors 3 to 6 */
#define XDS_SCRIPT_ACTORS (XDS_SCRIPT_SOCKETS + XDS_SCRIPT_GUESTS)

typedef struct
{
  guint type, actor;
  guint txn; /* 0 none; else one of the open ones; XDS_STEP_TXN_UNKNOWN */
  guint len;
  char payload[100];
} XdsStep;

#define XDS_STEP_TXN_UNKNOWN 99

/* @n random steps.  (element-type XdsStep) */
GArray *xds_script_new (GRand *rand, guint n);
void xds_step_print (const XdsStep *step, guint index, GString *text);

/*
 * Runs @script in a process of its own, so that a crash is a failure like any other.  TRUE if it
 * fails; then *ret_at is the step and *ret_why what was found.
 */
typedef char *(*XdsScriptRun) (const GArray *script, guint *progress);
gboolean xds_script_fails (const GArray *script, XdsScriptRun run, guint *ret_at, char **ret_why);

/* The shortest script that still fails which leaving out pieces finds. */
GArray *xds_script_shrink (const GArray *script, XdsScriptRun run);
