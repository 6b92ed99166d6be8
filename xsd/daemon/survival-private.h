/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The memory behind survival.h, for its two files: survival.c (writing) and recovery.c (reading).
 */

#include "xsd/daemon/survival.h"
#include "xsd/transport/loop.h"

#include <sys/types.h>

#define XDS_SURVIVAL_REFUSED 64
#define XDS_SURVIVAL_KILLERS 16

/* Before the bytes of a journal, in its file. */
typedef struct
{
  guint64 end;      /* bytes that count */
  guint64 position; /* of the first in the whole journal */
  guint64 address;  /* where the process that writes has the first one */
  guint64 pad[5];
} XdsJournalHead;

/* A state: what @base has, and what the journals tell one after the other. */
typedef struct
{
  gint32 base;
  guint32 n_journals; /* 0: there is no state */
  gint32 journals[2];
} XdsSurvivalSet;

typedef struct
{
  XdsSlate slate;
  XdsJournalPlace at;
  XdsSurvivalSet sets[2];
  guint32 which; /* of the two counts: stored last */
  guint32 pad;
  XdsJournalPlace suspect; /* where a process died of itself, last */
  guint32 n_refused;
  guint32 pad_end;
  XdsJournalPlace refused[XDS_SURVIVAL_REFUSED]; /* where that happened twice */
  struct
  {
    guint64 peer;
    guint64 n;
  } killers[XDS_SURVIVAL_KILLERS]; /* whose requests these were, and how many */
} XdsSurvivalPage;

/* A journal as this process has it. */
typedef struct
{
  int fd; /* -1: none */
  XdsJournalHead *head;
  guint8 *data;
  gsize size; /* of the data */
} XdsJournalFile;

struct XdsSurvival
{
  XdsSurvivalPage *page; /* shared */
  XdsService *service;   /* (nullable) whose engine is kept */
  XdsLoopItem item;      /* the process that makes a dump */
  pid_t dumper;          /* 0: there is none */
  int dump;              /* what it fills */
  gint64 last_dump;      /* when one was begun */
  int base;              /* -1: none */
  gsize base_len;
  XdsJournalFile journals[2]; /* the last one with a descriptor is written */
  XdsJournalFile spare;       /* a short one that is not needed any more */
  gboolean incomplete;        /* the journal was full: what is kept is of the past */
};

/* Opens what is at @fd; *ret is cleared if it is none. */
gboolean xds_journal_file_open (XdsJournalFile *ret, int fd, GError **error);
void xds_journal_file_close (XdsJournalFile *self);

/* The one that is written, or was last. */
XdsJournalFile *xds_survival_last (XdsSurvival *self);

/* Where this process has it. */
void xds_survival_note_address (XdsSurvival *self);

/* Goes on writing at the end of the last journal. */
void xds_survival_write_on (XdsSurvival *self);
