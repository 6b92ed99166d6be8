/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The simulated world: a hypervisor made of files in one folder, which any number of processes
 * share.  One of them, the xenstore server, has the world by the sim plugin; others play guests,
 * and xds-sim makes and ends domains.
 *
 *   DIR/world    shared table: domains, event channels
 *   DIR/rings    sparse; one page for each domain that ever was, by its slot
 *   DIR/server   fifo that wakes the server
 *   DIR/hub-N    fifo that wakes a player of guests
 *
 * Any process may be killed at any moment: the others go on.  Calls return 0 or a negative
 * errno; outputs are untouched on failure.
 */

#include "xsd/hypervisor/hypervisor.h"

/* Where the world is when nobody says; a folder that is gone after a boot. */
#define XDS_SIM_WORLD_DEFAULT "/run/xds-sim"

#define XDS_SIM_LAST_DOMID 32751u
#define XDS_SIM_GUEST_PORT 1u /* the port that a toolstack would have made in each guest */

typedef struct XdsSimWorld XdsSimWorld;

/* Makes a world with domain 0 alone; one that is there loses its domains, but unique ids and ring
   pages are never used again. */
int xds_sim_world_init (const char *dir);

/* -ENOENT when there is no world, -EPROTO when another version made it. */
int xds_sim_world_open (const char *dir, XdsSimWorld **ret_world);
void xds_sim_world_free (XdsSimWorld *world);

/* --- domains --- */

/* @uuid NULL for a random one.  -EEXIST, -EINVAL for an id that no domain may have. */
int xds_sim_world_create_domain (XdsSimWorld *world, uint32_t domid, const uint8_t *uuid);

/* Sets and clears bits of XDS_DOMAIN_*; @reason is kept where SHUTDOWN is set.  Tells the server,
   unless only PAUSED changed. */
int xds_sim_world_change_domain (XdsSimWorld *world, uint32_t domid, uint32_t set, uint32_t clear,
                                 uint32_t reason);
int xds_sim_world_destroy_domain (XdsSimWorld *world, uint32_t domid);

/* As in XdsHypervisorV1. */
int xds_sim_world_domains (XdsSimWorld *world, XdsDomainV1 *ret_domains, size_t max, size_t *ret_n);
int xds_sim_world_domain (XdsSimWorld *world, uint32_t domid, XdsDomainV1 *ret_domain);
int xds_sim_world_poll_changed (XdsSimWorld *world, XdsDomainV1 *ret_domain);

int xds_sim_world_map_ring (XdsSimWorld *world, uint32_t domid, void **ret_page);
void xds_sim_world_unmap_ring (void *page);

/* --- roles: a handle is nobody at first, then the server or a player of guests --- */

/* Becomes the server, whose ports are all closed then; -EBUSY while another one lives. */
int xds_sim_world_serve (XdsSimWorld *world);

/* Becomes a player, who gets the events of the guests that it takes; -EBUSY if there are too many.
 */
int xds_sim_world_play (XdsSimWorld *world);

/* Readable when there is something to take. */
int xds_sim_world_fd (XdsSimWorld *world);

/* Takes up to @max pending ports (server; they are masked) or domids (player); their number. */
int xds_sim_world_take (XdsSimWorld *world, uint32_t *ret_ids, size_t max);

/* --- event channels, the server's side: as in XdsHypervisorV1 --- */

int xds_sim_world_bind (XdsSimWorld *world, uint32_t domid, uint32_t remote, uint32_t *ret_port);
int xds_sim_world_bind_exception (XdsSimWorld *world, uint32_t *ret_port);
void xds_sim_world_unbind (XdsSimWorld *world, uint32_t port);
int xds_sim_world_notify (XdsSimWorld *world, uint32_t port);
int xds_sim_world_unmask (XdsSimWorld *world, const uint32_t *ports, size_t n);

/* --- event channels, the guests' side --- */

/* From now on events of @domid come to this player; one is pending at once, as after a bind. */
int xds_sim_world_attach (XdsSimWorld *world, uint32_t domid);

/* @domid signals the server.  No system call while the server has its signal pending already. */
void xds_sim_world_signal (XdsSimWorld *world, uint32_t domid);
