/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The algebra of the page that a guest shares with the server.
 *
 *      0                1024             2048
 *      | req[1024]      | rsp[1024]      | req_cons req_prod rsp_cons rsp_prod
 *      | guest writes   | server writes  | server_features connection error evtchn_port
 *
 * Indices run free modulo 2^32; a byte's slot is its index modulo 1024.  The other side may
 * write anything anywhere at any time.  So each index is loaded once, into a local; bytes are
 * copied out before anybody looks at them; and the copies that the caller holds of the indices
 * that this side owns are the truth, not what stands in the page.
 */

#include "xsd/wire/limits.h"

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

typedef struct
{
  uint8_t req[XDS_RING_SIZE];
  uint8_t rsp[XDS_RING_SIZE];
  uint32_t req_cons, req_prod;
  uint32_t rsp_cons, rsp_prod;
  uint32_t server_features;
  uint32_t connection;
  uint32_t error;
  uint32_t evtchn_port;
} XdsRingPage;

_Static_assert(offsetof (XdsRingPage, req_cons) == 2048, "as in io/xs_wire.h");
_Static_assert(offsetof (XdsRingPage, evtchn_port) == 2076, "as in io/xs_wire.h");

/* Values of the page's connection and error fields. */
enum
{
  XDS_RING_CONNECTED = 0,
  XDS_RING_RECONNECT = 1,
};

enum
{
  XDS_RING_ERROR_NONE = 0,
  XDS_RING_ERROR_COMM = 1,
  XDS_RING_ERROR_RINGIDX = 2,
  XDS_RING_ERROR_PROTO = 3,
};

/*
 * One side's view of one direction.  @index is the index that this side owns: the consumer's
 * for a reader, the producer's for a writer.
 */
typedef struct
{
  uint8_t *bytes;  /* req or rsp of the page */
  uint32_t *own;   /* where @index is published */
  uint32_t *other; /* where the other side publishes its index */
  uint32_t index;
} XdsRingEnd;

/* The server's two ends, starting from the indices that the page holds now. */
void xds_ring_server_ends (XdsRingPage *page, XdsRingEnd *ret_reader, XdsRingEnd *ret_writer);

/* The guest's two ends (tests and the simulated guest). */
void xds_ring_guest_ends (XdsRingPage *page, XdsRingEnd *ret_reader, XdsRingEnd *ret_writer);

/*
 * Copies up to @len bytes out of, or into, the ring and publishes the new index.  The number of
 * bytes moved; -1 when the other side's index cannot be right (more than a ring apart), and
 * nothing is moved then.
 */
int xds_ring_read (XdsRingEnd *reader, void *data, size_t len);
int xds_ring_write (XdsRingEnd *writer, const void *data, size_t len);

/* The same in two steps: the bytes are copied, and the other side does not know yet. */
int xds_ring_copy_out (const XdsRingEnd *reader, void *data, size_t len);
int xds_ring_copy_in (const XdsRingEnd *writer, const void *data, size_t len);
void xds_ring_publish (XdsRingEnd *end, uint32_t n);

/* Bytes that could be read or written now; -1 as above. */
int xds_ring_readable (const XdsRingEnd *reader);
int xds_ring_writable (const XdsRingEnd *writer);

/* Loads and stores of the page's other words, each exactly once. */
uint32_t xds_ring_load (const uint32_t *word);
void xds_ring_store (uint32_t *word, uint32_t value);

/* Empties both directions: consumers catch up with nothing, all four indices become 0. */
void xds_ring_reset (XdsRingPage *page, XdsRingEnd *reader, XdsRingEnd *writer);
