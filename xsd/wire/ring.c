/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Order of memory.  The producer's store of its index releases the bytes before it, the
 * consumer's load of it acquires them; the consumer's store releases the slots that it has read.
 * The two need no stronger order between them: a wake-up that could be lost by store-load
 * reordering is prevented by the hypervisor call of the event channel, which is a full barrier.
 */

#include "xsd/wire/ring.h"

#include <string.h>

uint32_t
xds_ring_load (const uint32_t *word)
{
  return __atomic_load_n (word, __ATOMIC_ACQUIRE);
}

void
xds_ring_store (uint32_t *word, uint32_t value)
{
  __atomic_store_n (word, value, __ATOMIC_RELEASE);
}

static XdsRingEnd
make_end (uint8_t *bytes, uint32_t *own, uint32_t *other)
{
  return (XdsRingEnd){ bytes, own, other, xds_ring_load (own) };
}

void
xds_ring_server_ends (XdsRingPage *page, XdsRingEnd *ret_reader, XdsRingEnd *ret_writer)
{
  *ret_reader = make_end (page->req, &page->req_cons, &page->req_prod);
  *ret_writer = make_end (page->rsp, &page->rsp_prod, &page->rsp_cons);
}

void
xds_ring_guest_ends (XdsRingPage *page, XdsRingEnd *ret_reader, XdsRingEnd *ret_writer)
{
  *ret_reader = make_end (page->rsp, &page->rsp_cons, &page->rsp_prod);
  *ret_writer = make_end (page->req, &page->req_prod, &page->req_cons);
}

int
xds_ring_readable (const XdsRingEnd *reader)
{
  uint32_t used = xds_ring_load (reader->other) - reader->index;

  return used <= XDS_RING_SIZE ? (int) used : -1;
}

int
xds_ring_writable (const XdsRingEnd *writer)
{
  uint32_t used = writer->index - xds_ring_load (writer->other);

  return used <= XDS_RING_SIZE ? (int) (XDS_RING_SIZE - used) : -1;
}

void
xds_ring_publish (XdsRingEnd *end, uint32_t n)
{
  end->index += n;
  xds_ring_store (end->own, end->index);
}

int
xds_ring_copy_out (const XdsRingEnd *reader, void *data, size_t len)
{
  int have = xds_ring_readable (reader);
  uint32_t at = reader->index % XDS_RING_SIZE;
  size_t n, first;

  if (have <= 0)
    return have;
  n = len < (size_t) have ? len : (size_t) have;
  first = n < XDS_RING_SIZE - at ? n : XDS_RING_SIZE - at;
  memcpy (data, reader->bytes + at, first);
  memcpy ((uint8_t *) data + first, reader->bytes, n - first);
  return n;
}

int
xds_ring_copy_in (const XdsRingEnd *writer, const void *data, size_t len)
{
  int room = xds_ring_writable (writer);
  uint32_t at = writer->index % XDS_RING_SIZE;
  size_t n, first;

  if (room <= 0)
    return room;
  n = len < (size_t) room ? len : (size_t) room;
  first = n < XDS_RING_SIZE - at ? n : XDS_RING_SIZE - at;
  memcpy (writer->bytes + at, data, first);
  memcpy (writer->bytes, (const uint8_t *) data + first, n - first);
  return n;
}

int
xds_ring_read (XdsRingEnd *reader, void *data, size_t len)
{
  int n = xds_ring_copy_out (reader, data, len);

  if (n > 0)
    xds_ring_publish (reader, n);
  return n;
}

int
xds_ring_write (XdsRingEnd *writer, const void *data, size_t len)
{
  int n = xds_ring_copy_in (writer, data, len);

  if (n > 0)
    xds_ring_publish (writer, n);
  return n;
}

void
xds_ring_reset (XdsRingPage *page, XdsRingEnd *reader, XdsRingEnd *writer)
{
  xds_ring_store (&page->req_prod, 0);
  xds_ring_store (&page->rsp_cons, 0);
  reader->index = 0;
  writer->index = 0;
  xds_ring_publish (reader, 0);
  xds_ring_publish (writer, 0);
}
