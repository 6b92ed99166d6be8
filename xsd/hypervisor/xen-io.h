/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Rings and event channels of a real Xen, by its stable libraries (libxengnttab, libxenevtchn) and
 * the devices of the kernel.  The plugins for real Xen share it; they differ in how they learn of
 * domains.  What takes a @self can stand in a table of XdsHypervisorV1, and does what it says
 * there: the plugin's own struct then begins with an XdsXenIo.
 */

#include "xsd/hypervisor/hypervisor.h"

#include <xenevtchn.h>
#include <xengnttab.h>
#include <xentoollog.h>

/* What libxen* write goes to the host's log instead of standard error. */
typedef struct
{
  xentoollog_logger logger; /* first: libxen* hand us a pointer to it */
  const XdsHypervisorHostV1 *host;
} XdsXenLogger;

typedef struct
{
  XdsXenLogger log;
  xenevtchn_handle *evtchn; /* (owned) */
  xengnttab_handle *gnttab; /* (owned) */
  void *own_page;           /* (owned) mapped by the kernel's help, or NULL */
  uint32_t own_domid;       /* whose kernel we serve without INTRODUCE */
  uint32_t own_port;        /* its port, 0 if there is nobody */
  int channels;             /* of args; -1: none were left to us */
} XdsXenIo;

/*
 * @args: NULL, or words with commas between: "event=PORT" serves the domain "master=DOMID"
 * (default 0) from a domain of our own; "channels=FD" takes over the event channels that are bound
 * at FD.  On failure the sentence went to host->explain.
 */
int xds_xen_io_open (XdsXenIo *io, const XdsHypervisorHostV1 *host, const char *args);
void xds_xen_io_close (XdsXenIo *io);

/* Tells the host why open fails; returns @err as a negative errno. */
__attribute__ ((format (printf, 3, 4))) int xds_xen_io_explain (const XdsHypervisorHostV1 *host,
                                                                int err, const char *format, ...);

int xds_xen_io_map_ring (void *self, uint32_t domid, void **ret_page);
void xds_xen_io_unmap_ring (void *self, uint32_t domid, void *page);
int xds_xen_io_own_ring (void *self, uint32_t *ret_domid, uint32_t *ret_port);

int xds_xen_io_bind_port (void *self, uint32_t domid, uint32_t remote_port, uint32_t *ret_port);
int xds_xen_io_bind_exception (void *self, uint32_t *ret_port);
void xds_xen_io_unbind_port (void *self, uint32_t port);
int xds_xen_io_notify (void *self, uint32_t port);
int xds_xen_io_event_fd (void *self);
int xds_xen_io_take_pending (void *self, uint32_t *ret_ports, size_t max);
int xds_xen_io_unmask (void *self, const uint32_t *ports, size_t n);
int xds_xen_io_leave_channels (void *self);
