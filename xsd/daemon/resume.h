/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the program that this process was before left for us: by our own live update, or by that
 * of a C xenstored, which does not know us.
 */

#include "xsd/daemon/keeper.h"
#include "xsd/daemon/survival.h"

typedef struct XdsService XdsService;

typedef struct
{
  int stream;       /* the state; -1: this is an ordinary start */
  int pid_file;     /* -1: there is none */
  int channels;     /* event channels that are bound; -1: they are to be bound anew */
  GArray *own;      /* (owned) (element-type int) listeners whose socket file is ours */
  GArray *passed;   /* (owned) (element-type int) listeners that were passed to us */
  GArray *clients;  /* (owned) (element-type int) of a process that died (xds_keeper_sweep()) */
  XdsKeeper *keeper;     /* (unowned) (nullable) */
  XdsSurvival *survival; /* (unowned) (nullable) */
  char *state_file; /* (owned) (nullable) of the C xenstored that started us; to be removed */
} XdsResume;

/* @text is that of option --resume, written by ourselves; NULL: an ordinary start. */
XdsResume *xds_resume_new (const char *text, GError **error);

/* Its descriptors are another process's by now; those that were passed to us stay. */
void xds_resume_forget (XdsResume *self);

/* @text is that of option --resume, but of a program that could not be run.  For one that is as
   new. */
gboolean xds_resume_set (XdsResume *self, const char *text, GError **error);
void xds_resume_free (XdsResume *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsResume, xds_resume_free)

/* Option -U: finds what a C xenstored left in @run_dir, and closes what it left open for nobody.
   Nothing was done when this fails, or if a live update of our own comes with the option. */
gboolean xds_resume_take_over (XdsResume *self, const char *run_dir, GError **error);

/* We go on: what we went on from is not needed any more. */
void xds_resume_done (XdsResume *self);

/* A takeover failed, and there is no old server to go back to: tells the system's log, too. */
void xds_resume_lament (const GError *error);

/* Whether we could go on from the stream at @fd (option --check-stream). */
gboolean xds_resume_check (int fd, GError **error);

/* Attaches what the stream has; the service is made and serves nobody yet. */
gboolean xds_resume_load (const XdsResume *self, XdsService *service, GError **error);
