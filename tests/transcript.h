/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Transcripts: dialogues with a xenstore server as text.  The head of transcript.c has the format.
 */

#include <glib.h>

typedef enum
{
  XDS_STEP_SEND,   /* peer > OP payload [=> reply] */
  XDS_STEP_EXPECT, /* peer < ... */
  XDS_STEP_CLOSE,
  XDS_STEP_RING,
  XDS_STEP_DOMAIN,
  XDS_STEP_QUOTA,
  XDS_STEP_OPTION,
  XDS_STEP_TIME,
  XDS_STEP_REPEAT,
  XDS_STEP_END,
} XdsStepKind;

/* One line.  Texts are as written: they are expanded when the step is played. */
typedef struct
{
  XdsStepKind kind;
  guint line;
  char *peer;         /* SEND, EXPECT, CLOSE, RING; verb of DOMAIN; name of QUOTA, OPTION */
  guint32 type;       /* SEND */
  char *tx;           /* SEND (nullable) */
  char *text;         /* payload of SEND, expectation of EXPECT, argument of the others */
  char *reply;        /* SEND (nullable): expectation of the reply */
  gint64 declared;    /* SEND: length to claim in the header, -1 for the true one */
  gboolean pipelined; /* SEND: do not wait for the answer */
  gboolean any_order; /* EXPECT: one of several neighbours that may come in any order */
  gint64 from, to;    /* REPEAT; from is the domid of DOMAIN, the value of QUOTA, OPTION and TIME */
} XdsStep;

typedef struct
{
  char *name;  /* FILE/SLUG, "watch/own-write" */
  char *title; /* a sentence */
  GPtrArray *steps;
  gboolean engine_only, rings_only, needs_domains;
  double since; /* version of Xen */
} XdsCase;

/* All cases of a file, an array of XdsCase; NULL, and what is wrong in which line. */
GPtrArray *xds_transcript_load (const char *path, char **ret_why);

/* A message type by its name or number; -1 if it is neither. */
gint64 xds_transcript_type (const char *name);
const char *xds_transcript_type_name (guint32 type);
