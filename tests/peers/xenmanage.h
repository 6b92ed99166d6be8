/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Stands in for the header of libxenmanage (Xen 4.21) where that is not installed: the calls and
 * bits that the plugin xenmanage uses, and no more.  shim.c has the calls, over the pretend
 * hypervisor.
 *
 * Each returns 0, or -1 with errno; outputs other than @domid may be NULL.
 */

#include <stdint.h>

#define XENMANAGE_GETDOMSTATE_STATE_EXIST 1
#define XENMANAGE_GETDOMSTATE_STATE_SHUTDOWN 2
#define XENMANAGE_GETDOMSTATE_STATE_DYING 4
#define XENMANAGE_GETDOMSTATE_STATE_DEAD 8

#define XENMANAGE_GETDOMSTATE_CAP_CONTROL 1
#define XENMANAGE_GETDOMSTATE_CAP_HARDWARE 2
#define XENMANAGE_GETDOMSTATE_CAP_XENSTORE 4

struct xentoollog_logger;
typedef struct xenmanage_handle xenmanage_handle;

xenmanage_handle *xenmanage_open (struct xentoollog_logger *logger, unsigned int flags);
int xenmanage_close (xenmanage_handle *handle);

/* ESRCH: there is no such domain. */
int xenmanage_get_domain_info (xenmanage_handle *handle, unsigned int domid, unsigned int *state,
                               unsigned int *caps, uint64_t *unique_id);

/* ENOENT: no domain changed since it was told.  EACCES: VIRQ_DOM_EXC is not bound. */
int xenmanage_poll_changed_domain (xenmanage_handle *handle, unsigned int *domid,
                                   unsigned int *state, unsigned int *caps, uint64_t *unique_id);
