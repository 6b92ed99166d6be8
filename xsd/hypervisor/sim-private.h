/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The shared table of a simulated world, for sim-world.c and sim-event.c (and for the test that
 * dies while it holds the lock).
 */

#include "xsd/hypervisor/sim-world.h"

#include <pthread.h>
#include <stdbool.h>

#define SIM_DOMIDS 32768u
#define SIM_PORTS 65536u
#define SIM_HUBS 256u
#define SIM_PAGE 4096u
#define SIM_MAGIC 0x314d5358u /* "XSM1" */

/* A domain.  Changed only under the lock and inside a begin/end pair. */
typedef struct
{
  uint32_t state; /* XDS_DOMAIN_*, 0: there is none */
  uint32_t caps, reason;
  uint32_t pad;
  uint64_t slot; /* of its page in the file of rings */
  uint64_t unique_id;
  uint8_t uuid[16];
} SimDomain;

/*
 * Events for one receiver: bit n of @pending is port n of the server, or domain n of a player.
 * Bit w of @selector says that word w may have bits that are pending and not masked.  @armed is
 * the round that the receiver waits in, or 0 when its fifo has been written to in that round.
 */
typedef struct
{
  uint32_t armed, round;
  uint64_t selector[SIM_PORTS / 64 / 64];
  uint64_t pending[SIM_PORTS / 64];
  uint64_t masked[SIM_PORTS / 64];
} SimBox;

typedef enum
{
  SIM_PORT_FREE = 0,
  SIM_PORT_DOMAIN,
  SIM_PORT_EXCEPTION,
} SimPortKind;

/* A port of the server.  Only the server writes these. */
typedef struct
{
  uint32_t kind, domid, remote, pad;
  uint64_t unique_id; /* of the domain when it was bound: a later one is another domain */
} SimPort;

typedef struct
{
  uint32_t magic, size;
  pthread_mutex_t lock; /* robust; writers, and readers that had no luck with @seq */
  uint32_t seq;         /* odd while somebody changes a domain */
  uint32_t resetting;   /* the lock's holder removes all domains */
  struct
  {
    uint32_t valid, domid;
    SimDomain before;
  } undo; /* what a holder that died was changing */
  uint64_t next_unique;
  uint32_t exception_port;
  uint64_t exists[SIM_DOMIDS / 64];  /* follows @domains */
  uint64_t changed[SIM_DOMIDS / 64]; /* to be told by poll_changed */
  SimDomain domains[SIM_DOMIDS];
  uint32_t server_port[SIM_DOMIDS]; /* the server's port for a domain, 0 if none */
  uint32_t hub[SIM_DOMIDS];         /* which player gets a domain's events, 0 if none */
  uint64_t used[SIM_PORTS / 64];
  SimPort ports[SIM_PORTS];
  SimBox boxes[SIM_HUBS]; /* 0 is the server's */
} SimTable;

struct XdsSimWorld
{
  SimTable *table;
  char *dir;
  int rings;
  int role;          /* -1 nobody, 0 the server, else the number of the hub */
  int fds[SIM_HUBS]; /* fifos that were opened so far, -1 if not */
};

/* The writers' bracket; 0 or a negative errno.  begin_change says which domain will change. */
int sim_lock (XdsSimWorld *world);
void sim_unlock (XdsSimWorld *world);
SimDomain *sim_begin_change (XdsSimWorld *world, uint32_t domid);
void sim_end_change (XdsSimWorld *world, uint32_t domid);

/* Forgets the event channels of a domain that is new. */
void sim_forget_channels (XdsSimWorld *world, uint32_t domid);

/* VIRQ_DOM_EXC. */
void sim_raise_exception (XdsSimWorld *world);

static inline bool
sim_test_bit (const uint64_t *words, uint32_t n)
{
  return __atomic_load_n (&words[n / 64], __ATOMIC_SEQ_CST) >> n % 64 & 1;
}

static inline void
sim_set_bit (uint64_t *words, uint32_t n)
{
  __atomic_fetch_or (&words[n / 64], 1ull << n % 64, __ATOMIC_SEQ_CST);
}

static inline void
sim_clear_bit (uint64_t *words, uint32_t n)
{
  __atomic_fetch_and (&words[n / 64], ~(1ull << n % 64), __ATOMIC_SEQ_CST);
}
