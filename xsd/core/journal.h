/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The journal from inside: its records, in the framing of the migration stream and the byte order
 * of the host, and who writes them.  replay.c reads.
 */

#include "xsd/core/engine.h"
#include "xsd/core/stream.h"

enum
{
  XDS_RECORD_TURN = XDS_RECORD_OWN + 0x101, /* XdsRecordTurn, and the bytes that came before it */
  XDS_RECORD_ANSWER_DOMAIN,  /* XdsDomainState, dying: there is none; answers stand after a turn */
  XDS_RECORD_ANSWER_RING,    /* XdsRecordRing: of connecting and reconnecting one */
  XDS_RECORD_ANSWER_CONTROL, /* XdsRecordText: .number is the status */
  XDS_RECORD_ADD_SOCKET,     /* XdsRecordSocket */
  XDS_RECORD_ADD_RING,       /* from here on XdsRecordCall: .value is the domid */
  XDS_RECORD_REMOVE,
  XDS_RECORD_RESET,
  XDS_RECORD_GIVE_UP,
  XDS_RECORD_HANDLE,  /* .value */
  XDS_RECORD_DRAINED, /* .value: bytes */
  XDS_RECORD_SET,     /* .peer: XdsJournalSetting */
  XDS_RECORD_DOMAINS, /* XdsDomainState[]: those that changed, dying: or went */
  XDS_RECORD_WRITE,   /* XdsRecordText, path NUL value: .number is the length of the path */
  XDS_RECORD_FIRE,    /* XdsRecordText, path NUL */
  XDS_RECORD_QUOTA,   /* XdsRecordText, name NUL: .number is the value */
};

typedef enum
{
  XDS_SET_STORE_DOMID,
  XDS_SET_PRIVILEGED_DOMID,
  XDS_SET_KEEP_ORPHANS,
  XDS_SET_FAVOUR_AFTER,
} XdsJournalSetting;

typedef struct
{
  guint64 peer;
  guint32 n_bytes, n_requests;
  guint32 failed; /* it broke the protocol, or had before */
  guint32 made;   /* bytes of output, whoever's */
} XdsRecordTurn;

typedef struct
{
  guint64 peer;
  gint64 value;
} XdsRecordCall;

typedef struct
{
  guint64 peer;
  XdsSocketIdentity identity;
  guint32 pad;
} XdsRecordSocket;

typedef struct
{
  guint32 status, failed;
  gint32 handle;
  guint32 pad;
} XdsRecordRing;

typedef struct
{
  guint64 number;
  guint64 len; /* of the bytes that follow */
} XdsRecordText;

typedef struct
{
  XdsJournalSpace space; /* data NULL: nothing is recorded */
  XdsJournalPlace *at;   /* never NULL */
  XdsJournalPlace nowhere;
  GArray *refused; /* (owned) (nullable) (element-type XdsJournalPlace) */
  gsize used;      /* bytes of data that count */
  gsize staged;    /* behind them, of what is under way */
  XdsPeer *peer;   /* (unowned) (nullable) whose turn stands there and does not count yet */
  guint32 n_bytes, n_requests; /* of it */
  guint64 made, of_peaks;      /* what XdsEngine.made and the peaks were before */
  gboolean inside; /* a call is executed: what callbacks call is part of it */
  gboolean pure;   /* the turn only read so far */
  gboolean over;   /* it is over, and only read */
} XdsJournal;

void xds_journal_init (XdsJournal *journal);
void xds_journal_clear (XdsJournal *journal);

/* --- a turn --- */

/* Where to put at most @most bytes of @peer; NULL: in its own buffer. */
guint8 *xds_journal_room (XdsPeer *peer, gsize *most);
/* @n bytes were put there: what they are; NULL: they were not. */
const guint8 *xds_journal_filled (XdsPeer *peer, gsize n);

/* FALSE: there is nothing to be recorded, and no end then. */
gboolean xds_journal_begin_turn (XdsPeer *peer);
void xds_journal_end_turn (XdsPeer *peer);

/* Another request of the turn begins; FALSE: not now, there may be no room for what it asks. */
gboolean xds_journal_may_go_on (XdsEngine *engine);
/* It is on; TRUE: it is to be refused. */
gboolean xds_journal_begin_request (XdsEngine *engine);
/* It was put off (XDS_LATER), as if it had not been on. */
void xds_journal_put_off (XdsEngine *engine);

/* All that @peer has, @n bytes, is about to go: TRUE if the journal has to know. */
gboolean xds_journal_begin_drained (XdsPeer *peer, gsize n);

/* --- other calls --- */

#define XDS_PART(thing) ((XdsSpan){ (const char *) &(thing), sizeof (thing) })

/* FALSE: it is not recorded; the result is for xds_journal_end(), after its execution. */
gboolean xds_journal_begin (XdsEngine *engine, guint32 type, const XdsSpan *parts, guint n);
gboolean xds_journal_begin_call (XdsEngine *engine, guint32 type, guint64 peer, gint64 value);
void xds_journal_end (XdsEngine *engine, gboolean begun);

/* What does not count yet does now. */
void xds_journal_settle (XdsEngine *engine);

/* --- what a request asks of the host; its answers are recorded --- */

gboolean xds_ask_domain_state (XdsEngine *engine, guint domid, XdsDomainState *ret_state);
XdsStatus xds_ask_domain_connect (XdsEngine *engine, XdsPeer *peer, guint64 gfn, guint port);
XdsStatus xds_ask_domain_reconnect (XdsEngine *engine, XdsPeer *peer, guint port);
/* Appends at most what fits into an answer. */
XdsStatus xds_ask_control (XdsEngine *engine, XdsPeer *peer, const char *const *args,
                           GString *answer);
