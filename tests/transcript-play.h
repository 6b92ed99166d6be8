/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Plays the cases of a transcript on a stage: the engine in this process, or a live daemon. */

#include "tests/transcript.h"

typedef struct XdsStage XdsStage;

/* One peer of a dialogue. */
typedef struct
{
  char *name;
  gint domid;     /* -1: on the socket */
  GByteArray *in; /* what came and is not a whole message yet */
  GQueue inbox;   /* messages that no line has looked at */
  GQueue open;    /* requests whose answer no line has looked at */
  guint answers;  /* answers among the inbox */
  guint32 next_id;
  gboolean closed;
  guint ring_error;
  gpointer link; /* the stage's own */
} XdsTalker;

typedef struct
{
  /* Connects; FALSE if that cannot be. */
  gboolean (*open) (XdsStage *stage, XdsTalker *talker);
  void (*close) (XdsStage *stage, XdsTalker *talker);
  void (*send) (XdsStage *stage, XdsTalker *talker, const guint8 *bytes, gsize n);

  /* Appends what has come to talker->in, or sets closed; FALSE: no more will come. */
  gboolean (*receive) (XdsStage *stage, XdsTalker *talker);

  /* reconnect, corrupt; FALSE if it does not come to pass. */
  gboolean (*ring) (XdsStage *stage, XdsTalker *talker, const char *verb);

  /* create, shutdown, resume, dying, destroy, replace; returns when the server has seen it. */
  gboolean (*domain) (XdsStage *stage, const char *verb, guint domid, guint reason);

  /* Sets a default limit; FALSE if this server cannot. */
  gboolean (*quota) (XdsStage *stage, const char *name, guint64 value);

  /* Of the engine; FALSE if there is no such option. */
  gboolean (*option) (XdsStage *stage, const char *name, guint value);

  void (*pass_time) (XdsStage *stage, guint seconds);

  /* After the last line, all peers closed: cleans up.  What is wrong by then, or NULL. */
  char *(*finish) (XdsStage *stage);

  void (*free) (XdsStage *stage);
} XdsStageClass;

struct XdsStage
{
  const XdsStageClass *class;
};

/* Plays a case.  NULL, or a sentence about the first line that did not go as it says. */
char *xds_case_play (const XdsCase *c, XdsStage *stage);

void xds_stage_free (XdsStage *stage);

/* --- for stages --- */

XdsTalker *xds_talker_new (const char *name);
void xds_talker_free (XdsTalker *talker);

/*
 * Sends a request outside of any dialogue, and drops what the answer says.  TRUE if it came and
 * was no error.
 */
gboolean xds_talker_ask (XdsStage *stage, XdsTalker *talker, guint32 type, const char *payload,
                         gsize len, GString *ret_answer);
