/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The hypervisor as the daemon sees it: plugin interface V1.
 *
 * FROZEN once released: no field is added, moved or given another meaning.  What must change
 * becomes a V2 beside it, and the loader learns to take both.
 *
 * A plugin is a shared object that exports `xds_hypervisor_v1`, an XdsHypervisorV1.  It never
 * prints, never starts a thread, never blocks, and logs only by the function that it is given.
 * Calls return 0 or a negative errno; outputs are untouched on failure.
 */

#include <stddef.h>
#include <stdint.h>

#define XDS_HYPERVISOR_ABI_V1 1u
#define XDS_HYPERVISOR_SYMBOL_V1 "xds_hypervisor_v1"

/* Bits of XdsDomainV1.state */
enum
{
  XDS_DOMAIN_EXISTS = 1 << 0,
  XDS_DOMAIN_PAUSED = 1 << 1,
  XDS_DOMAIN_SHUTDOWN = 1 << 2, /* stopped by itself; reason says why; may be kept as a corpse */
  XDS_DOMAIN_DYING = 1 << 3,    /* being torn down; will not run again */
  XDS_DOMAIN_DEAD = 1 << 4,     /* all its memory may be free already; still listed */
};

/* Bits of XdsDomainV1.caps */
enum
{
  XDS_DOMAIN_CAP_CONTROL = 1 << 0,  /* the control domain */
  XDS_DOMAIN_CAP_HARDWARE = 1 << 1, /* the hardware domain */
  XDS_DOMAIN_CAP_XENSTORE = 1 << 2, /* the domain that serves xenstore */
};

/* XdsDomainV1.reason while SHUTDOWN, as in Xen's public sched.h */
enum
{
  XDS_SHUTDOWN_POWEROFF = 0,
  XDS_SHUTDOWN_REBOOT = 1,
  XDS_SHUTDOWN_SUSPEND = 2,
  XDS_SHUTDOWN_CRASH = 3,
  XDS_SHUTDOWN_WATCHDOG = 4,
  XDS_SHUTDOWN_SOFT_RESET = 5,
  XDS_SHUTDOWN_UNKNOWN = 255, /* none of Xen's: the plugin cannot tell */
};

typedef struct
{
  uint32_t domid;
  uint32_t state;     /* XDS_DOMAIN_* */
  uint32_t caps;      /* XDS_DOMAIN_CAP_* */
  uint32_t reason;    /* XDS_SHUTDOWN_*, while SHUTDOWN */
  uint64_t unique_id; /* of this incarnation, the same after a restart of the daemon; 0: unknown */
  uint8_t uuid[16];   /* the domain's handle; all 0 for any but domain 0: the plugin cannot tell */
} XdsDomainV1;

typedef struct
{
  /* Priority as syslog's; one line, no newline at the end. */
  void (*log) (void *data, int priority, const char *text);
  void *data;
  /* Why open failed, in one sentence for a person: what, where, why, what to do.  May be NULL. */
  void (*explain) (void *data, const char *sentence);
} XdsHypervisorHostV1;

typedef struct
{
  uint32_t abi;  /* XDS_HYPERVISOR_ABI_V1 */
  uint32_t size; /* sizeof (XdsHypervisorV1) */
  const char *name;

  /*
   * @args is the plugin's own: for sim the folder of the simulated world, for xenctrl words like
   * "event=12" (serve from a domain of its own).  NULL for the defaults.  The word "channels=FD"
   * goes on with what another process left (see leave_channels).
   */
  int (*open) (const XdsHypervisorHostV1 *host, const char *args, void **ret_self);
  void (*close) (void *self);

  /*
   * All domains at one moment.  Fills at most @max entries, ordered by domid, and tells in
   * *ret_n how many there are; where that is more than @max the caller asks again with more
   * room, since a part is never to be used.  One call to the hypervisor, never a loop.
   */
  int (*domains) (void *self, XdsDomainV1 *ret_domains, size_t max, size_t *ret_n);

  /* One domain; -ESRCH if there is none. */
  int (*domain) (void *self, uint32_t domid, XdsDomainV1 *ret_domain);

  /*
   * The next domain that changed since it was told last, where the hypervisor keeps such a list
   * (then *ret_domain may have state 0: it is gone).  -ENOENT when there is none, -ENOSYS when
   * there is no such list: the daemon then compares whole snapshots.
   */
  int (*poll_changed) (void *self, XdsDomainV1 *ret_domain);

  /* The xenstore page of a domain, by its grant reference 1, shared and writable, 4096 bytes. */
  int (*map_ring) (void *self, uint32_t domid, void **ret_page);
  void (*unmap_ring) (void *self, uint32_t domid, void *page);

  /* The page and the remote port of the domain that we serve from (domain 0's kernel).  -ENOENT
     where there is none to serve. */
  int (*own_ring) (void *self, uint32_t *ret_domid, uint32_t *ret_port);

  /* Event channels.  Ports are local ones; bind makes one from the other side's. */
  int (*bind_port) (void *self, uint32_t domid, uint32_t remote_port, uint32_t *ret_port);
  int (*bind_domain_exception) (void *self, uint32_t *ret_port);
  void (*unbind_port) (void *self, uint32_t port);
  int (*notify) (void *self, uint32_t port);

  /* Becomes readable when a bound port is pending. */
  int (*event_fd) (void *self);

  /*
   * Takes up to @max pending ports in one go; their number.  A taken port stays silent until it
   * is unmasked, so unmask first and look at the ring afterwards.  Ports that were unbound in
   * between are passed over.
   */
  int (*take_pending) (void *self, uint32_t *ret_ports, size_t max);
  int (*unmask) (void *self, const uint32_t *ports, size_t n);

  /*
   * The descriptor that all bound ports live by, for the program that we are about to become: it
   * is inherited from now on, and a read of it waits, as other servers expect.  -ENOSYS where ports
   * end with the process: the next one then binds them again.
   */
  int (*leave_channels) (void *self);

  /* The other side's port of a bound one of ours; -ENOSYS where the plugin cannot tell. */
  int (*remote_port) (void *self, uint32_t port, uint32_t *ret_remote);
} XdsHypervisorV1;

extern const XdsHypervisorV1 xds_hypervisor_v1; /* what a plugin exports */

/*
 * Loads a plugin by name ("sim", "xenctrl", "xenmanage") from the plugin folder, or from @name
 * itself if that is a path.  On failure returns NULL, and *ret_why is a sentence (to be freed)
 * that says what, where, why and what to do.
 */
const XdsHypervisorV1 *xds_hypervisor_load (const char *folder, const char *name, char **ret_why);

/* The best of those that load: xenmanage, else xenctrl; the host is not looked at. */
const XdsHypervisorV1 *xds_hypervisor_load_first (const char *folder, char **ret_why);

/* The same if we are on a Xen host; never "sim".  NULL and a sentence as above. */
const XdsHypervisorV1 *xds_hypervisor_load_best (const char *folder, char **ret_why);

/*
 * Opens @hypervisor; @log and @data as in XdsHypervisorHostV1, whose life is then the loader's
 * business.  0 or a negative errno with a sentence in *ret_why (to be freed).
 */
int xds_hypervisor_open (const XdsHypervisorV1 *hypervisor, const char *args,
                         void (*log) (void *data, int priority, const char *text), void *data,
                         void **ret_self, char **ret_why);
