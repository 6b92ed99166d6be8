/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A pretend hypervisor made of files in one directory: the list of domains, the event channels
 * between one xenstore server and its guests, and one xenstore page for each domain id.  The
 * preload library (shim.c) gives it to an unmodified server through the Xen library calls;
 * fakedom, transcripts and benchmarks use it from the guests' side.
 *
 *   DIR/state    shared table (struct fx_state)
 *   DIR/rings    sparse file, page N is the xenstore page of domain N
 *   DIR/evtchn   fifo read by the server: 4-byte local port numbers
 *   DIR/hub-N    fifo read by a player of guests: 4-byte domain numbers
 *   DIR/xsd_port text file with the port number of domain 0
 *
 * The simulated world of xsd/hypervisor is another thing: it gives our own plugin coherence,
 * incarnations and cheap events.  This one gives any server the driver's own interface, in which
 * the descriptor of event channels is read and written by the server itself.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "xsd/wire/msg.h"
#include "xsd/wire/op-number.h"
#include "xsd/wire/ring.h"

#define FX_MAGIC 0x314e5846u
#define FX_DOMS 32768u
#define FX_LAST_DOM 0x7fefu /* domids from 0x7ff0 on are reserved */
#define FX_PORTS 65536u
#define FX_GUEST_PORT 1 /* every guest's own xenstore port */
#define FX_HUBS 64

/* struct fx_dom.flags */
#define FX_EXIST 1u
#define FX_SHUTDOWN 2u
#define FX_DYING 4u
#define FX_DEAD 8u

struct fx_dom
{
  _Atomic uint32_t flags;
  _Atomic uint32_t reason; /* of a shutdown */
  _Atomic uint64_t unique;
  _Atomic uint32_t lport;           /* the server's port for it, or 0 */
  _Atomic uint32_t hub;             /* which hub fifo gets its events */
  _Atomic uint32_t pending, masked; /* the guest's end */
  uint8_t uuid[16];
};

struct fx_port
{
  _Atomic uint32_t kind; /* 0 free, else FX_PORT_* */
  _Atomic uint32_t domid;
  _Atomic uint32_t pending, masked;
};
#define FX_PORT_DOM 1u
#define FX_PORT_VIRQ 2u

enum fx_count
{
  FX_N_NOTIFY,
  FX_N_PENDING,
  FX_N_UNMASK,
  FX_N_BIND,
  FX_N_GETINFO,
  FX_N_MAP,
  FX_N_KICK,
  FX_N_WAKE,
  FX_N_LIST_ROOM, /* entries that lists of domains had room for, summed up */
  FX_N_COUNT
};

struct fx_state
{
  uint32_t magic, size;
  _Atomic uint64_t next_unique;
  _Atomic uint32_t virq_port;
  uint32_t pad;
  _Atomic uint64_t count[FX_N_COUNT];
  _Atomic uint64_t exist[FX_DOMS / 64]; /* one bit a domain */
  _Atomic uint64_t changed[FX_DOMS / 64];
  _Atomic uint64_t used[FX_PORTS / 64]; /* one bit a port */
  struct fx_dom dom[FX_DOMS];
  struct fx_port port[FX_PORTS];
};

struct fx
{
  struct fx_state *st;
  int rings;        /* fd of DIR/rings */
  int evtchn;       /* fd of DIR/evtchn */
  int hub[FX_HUBS]; /* fds of DIR/hub-N, -1 if not open yet */
  char dir[200];
};

/* Opens DIR, making what is missing.  Returns 0, or -1 with errno. */
int fx_open (struct fx *fx, const char *dir);
void fx_close (struct fx *fx);
/* Forgets all domains but 0, all ports and all queued events. */
void fx_reset (struct fx *fx);

XdsRingPage *fx_map (struct fx *fx, uint32_t domid);

/* Domains. */
void fx_dom_create (struct fx *fx, uint32_t domid, uint32_t hub);
void fx_dom_flags (struct fx *fx, uint32_t domid, uint32_t set);
void fx_dom_destroy (struct fx *fx, uint32_t domid);
void fx_virq (struct fx *fx);
/* The first domain from domid on that exists, or -1. */
int fx_next_dom (struct fx *fx, uint32_t domid);
/* Next domain whose state changed since asked last, or -1. */
int fx_next_changed (struct fx *fx);

/* The server's end of the event channels. */
int fx_bind_dom (struct fx *fx, uint32_t domid);
int fx_bind_virq (struct fx *fx);
void fx_unbind (struct fx *fx, uint32_t port);
void fx_unmask (struct fx *fx, uint32_t port);
void fx_notify_guest (struct fx *fx, uint32_t port);

/* The guests' end. */
int fx_hub_open (struct fx *fx, uint32_t hub); /* fd to read from */
void fx_notify_server (struct fx *fx, uint32_t domid);
void fx_guest_unmask (struct fx *fx, uint32_t domid);
