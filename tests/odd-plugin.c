/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Plugins that no daemon may take, one for each way to be wrong; test-hypervisor.c loads them.
 * ODD_ABI and ODD_SIZE stand in their tables, which are called ODD_NAME; with ODD_SYMBOL the plugin
 * asks for a call that no release of libxenctrl ever had, as one that was built for another Xen
 * would.
 */

#include "xsd/hypervisor/hypervisor.h"

#ifndef ODD_ABI
#define ODD_ABI XDS_HYPERVISOR_ABI_V1
#endif
#ifndef ODD_SIZE
#define ODD_SIZE sizeof (XdsHypervisorV1)
#endif

#ifndef ODD_NAME
#define ODD_NAME xds_hypervisor_v1
#endif

#ifdef ODD_SYMBOL
extern void xc_of_no_release (void *self);
#define ODD_CLOSE xc_of_no_release
#else
#define ODD_CLOSE NULL
#endif

const XdsHypervisorV1 ODD_NAME = {
  .abi = ODD_ABI,
  .size = ODD_SIZE,
  .name = "odd",
  .close = ODD_CLOSE,
};
