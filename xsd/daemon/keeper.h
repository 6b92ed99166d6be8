/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The process that stays.  It makes the process that serves, the worker, and makes it anew when
 * that dies.  Both have one table of descriptors, so what a worker opened outlives it.
 */

#include <gio/gio.h>

/* In memory that the keeper shares with all of its workers. */
typedef struct
{
  guint32 generation; /* of the worker that runs, or ran last; from 1 */
  guint32 ready;      /* the last generation that could serve; 0: none could */
  guint32 announced;  /* the world was told so */
  guint32 deaths;     /* workers that ended without having been asked to */
  guint32 told;       /* of these, how many are in the log */
  gint32 pid, status; /* of the last one that died: its process id, and what wait() says of it */
  gint64 lived;       /* and for how long, in microseconds */
  gint32 words;       /* memory with the program to become; -1: none */
  gint32 refusal;     /* errno: we could not become it; 0: not tried */
} XdsKeeperNote;

typedef struct XdsKeeper XdsKeeper;

/* Before any thread is made.  @background: what the keeper has to say goes to the system's log.
   @patient: a worker that dies before it ever served is made anew, too. */
XdsKeeper *xds_keeper_new (gboolean background, gboolean patient, GError **error);
void xds_keeper_free (XdsKeeper *self);

/* Returns in each worker with XDS_KEEPER_WORKER, and in the keeper, when all is over, with the exit
   status. */
int xds_keeper_run (XdsKeeper *self);
#define XDS_KEEPER_WORKER (-1)

/* Exit status of a worker after which no other could do better. */
#define XDS_KEEPER_HOPELESS 70

/* --- in a worker --- */

const XdsKeeperNote *xds_keeper_note (const XdsKeeper *self);

/* The worker before us died, and its descriptors are still open. */
gboolean xds_keeper_crashed (const XdsKeeper *self);

/* What the worker before us left for a program that could not be run: we go on from there.
   (nullable) the value of --resume. */
const char *xds_keeper_left (const XdsKeeper *self);

/* Should we fail, another worker comes: what is open is its, and stays open. */
gboolean xds_keeper_goes_on (const XdsKeeper *self);

/* We can serve: who comes after us need not begin anew. */
void xds_keeper_ready (XdsKeeper *self);

/* The world was told: nobody tells it again. */
void xds_keeper_announced (XdsKeeper *self);

/* Writes to the log what the keeper cannot: who died, and how. */
void xds_keeper_tell (XdsKeeper *self);

/* How many died, and how the last one did.  (transfer full) */
char *xds_keeper_describe (const XdsKeeper *self);

/* Becomes readable when the keeper is gone; -1 where the kernel cannot tell. */
int xds_keeper_alive_fd (const XdsKeeper *self);
gboolean xds_keeper_is_gone (const XdsKeeper *self);

/* When this worker ends, the keeper becomes @file; @left is for who goes on if it cannot. */
gboolean xds_keeper_leave (XdsKeeper *self, const char *file, char *const *argv, const char *left,
                           GError **error);

typedef enum
{
  XDS_KEEPER_LISTENER,
  XDS_KEEPER_CONNECTION, /* one that a listener accepted */
} XdsKeeperFind;

/* Closes what the worker before us left open, but for @known, and what @found takes: TRUE. */
void xds_keeper_sweep (XdsKeeper *self, const int *known, guint n_known,
                       gboolean (*found) (void *data, int fd, XdsKeeperFind what), void *data);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsKeeper, xds_keeper_free)
