/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Rings and event channels of a real Xen.
 *
 * The driver of event channels hands out pending ports by read() and takes ports to unmask by
 * write(), many at once; libxenevtchn offers one a call, so with many busy guests we go to its
 * descriptor ourselves.
 *
 * The ring of the domain that we run in is not a grant to us: its kernel lends the page, by
 * /proc/xen/xsd_kva on old kernels and by /dev/xen/xenbus_backend on those without it.
 */

#include "xsd/hypervisor/xen-io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <syslog.h>
#include <unistd.h>

#include <xen/xen.h>

#define PAGE_BYTES 4096
#define GRANT_XENSTORE 1 /* the reference that toolstacks reserve for the page */
#define TEXT_MAX 1024
#define PORTS_IN_ONE_CALL (PAGE_BYTES / sizeof (uint32_t)) /* the driver takes a page at most */

/* linux/drivers/xen/xenbus/xenbus_dev_backend.c answers this with the port of its own kernel. */
#define BACKEND_EVTCHN _IO ('B', 0)

/* --- log --- */

static int
priority_of (xentoollog_level level)
{
  if (level >= XTL_ERROR)
    return LOG_ERR;
  if (level >= XTL_WARN)
    return LOG_WARNING;
  return level >= XTL_INFO ? LOG_INFO : LOG_DEBUG;
}

__attribute__ ((format (printf, 5, 0))) static void
pass_message (xentoollog_logger *logger, xentoollog_level level, int errnoval, const char *context,
              const char *format, va_list al)
{
  XdsXenLogger *log = (XdsXenLogger *) logger;
  int saved = errno;
  char text[TEXT_MAX];
  int n;

  if (log->host == NULL || log->host->log == NULL)
    return;
  n = snprintf (text, sizeof text, "%s: ", context != NULL ? context : "libxen");
  if (n >= 0 && (size_t) n < sizeof text)
    n += vsnprintf (text + n, sizeof text - n, format, al);
  if (errnoval > 0 && n >= 0 && (size_t) n < sizeof text)
    snprintf (text + n, sizeof text - n, ": %s", strerror (errnoval));
  log->host->log (log->host->data, priority_of (level), text);
  errno = saved;
}

static void
keep_logger (xentoollog_logger *logger)
{
  (void) logger; /* it is part of an XdsXenIo */
}

int
xds_xen_io_explain (const XdsHypervisorHostV1 *host, int err, const char *format, ...)
{
  char text[TEXT_MAX];
  va_list ap;

  va_start (ap, format);
  vsnprintf (text, sizeof text, format, ap);
  va_end (ap);
  if (host != NULL && host->explain != NULL)
    host->explain (host->data, text);
  return err > 0 ? -err : -EIO;
}

/* --- the kernel's own ring --- */

static void *
map_file (int fd)
{
  void *page = mmap (NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

  return page == MAP_FAILED ? NULL : page;
}

static bool
read_number (const char *path, uint32_t *ret_number)
{
  char text[32], *end;
  unsigned long number;
  ssize_t n;
  int fd = open (path, O_RDONLY | O_CLOEXEC);

  if (fd < 0)
    return false;
  n = read (fd, text, sizeof text - 1);
  close (fd);
  if (n <= 0)
    return false;
  text[n] = '\0';
  number = strtoul (text, &end, 10);
  if (end == text || number == 0 || number > UINT32_MAX)
    return false;
  *ret_number = (uint32_t) number;
  return true;
}

static bool
own_ring_from_proc (XdsXenIo *io)
{
  uint32_t port;
  void *page;
  int fd;

  if (!read_number ("/proc/xen/xsd_port", &port))
    return false;
  fd = open ("/proc/xen/xsd_kva", O_RDWR | O_CLOEXEC);
  if (fd < 0)
    return false;
  page = map_file (fd);
  close (fd);
  if (page == NULL)
    return false;
  io->own_page = page;
  io->own_port = port;
  return true;
}

static bool
own_ring_from_backend (XdsXenIo *io)
{
  void *page;
  int fd = open ("/dev/xen/xenbus_backend", O_RDWR | O_CLOEXEC);
  int port;

  if (fd < 0)
    return false;
  port = ioctl (fd, BACKEND_EVTCHN, 0);
  page = port > 0 ? map_file (fd) : NULL;
  close (fd);
  if (page == NULL)
    return false;
  io->own_page = page;
  io->own_port = (uint32_t) port;
  return true;
}

static bool
find_own_ring (XdsXenIo *io)
{
  return io->own_port != 0 || own_ring_from_proc (io) || own_ring_from_backend (io);
}

int
xds_xen_io_own_ring (void *self, uint32_t *ret_domid, uint32_t *ret_port)
{
  XdsXenIo *io = self;

  if (!find_own_ring (io))
    return -ENOENT;
  *ret_domid = io->own_domid;
  *ret_port = io->own_port;
  return 0;
}

/* --- rings --- */

int
xds_xen_io_map_ring (void *self, uint32_t domid, void **ret_page)
{
  XdsXenIo *io = self;
  void *page = domid == io->own_domid && find_own_ring (io) ? io->own_page : NULL;

  if (page == NULL)
    page = xengnttab_map_grant_ref (io->gnttab, domid, GRANT_XENSTORE, PROT_READ | PROT_WRITE);
  if (page == NULL)
    return errno > 0 ? -errno : -EIO;
  *ret_page = page;
  return 0;
}

void
xds_xen_io_unmap_ring (void *self, uint32_t domid, void *page)
{
  XdsXenIo *io = self;

  (void) domid;
  /* The kernel's own page stays: it can be asked for again. */
  if (page != NULL && page != io->own_page)
    xengnttab_unmap (io->gnttab, page, 1);
}

/* --- event channels --- */

static int
keep_port (xenevtchn_port_or_error_t port, uint32_t *ret_port)
{
  if (port < 0)
    return errno > 0 ? -errno : -EIO;
  *ret_port = (uint32_t) port;
  return 0;
}

int
xds_xen_io_bind_port (void *self, uint32_t domid, uint32_t remote_port, uint32_t *ret_port)
{
  XdsXenIo *io = self;

  return keep_port (xenevtchn_bind_interdomain (io->evtchn, domid, remote_port), ret_port);
}

int
xds_xen_io_bind_exception (void *self, uint32_t *ret_port)
{
  XdsXenIo *io = self;

  return keep_port (xenevtchn_bind_virq (io->evtchn, VIRQ_DOM_EXC), ret_port);
}

void
xds_xen_io_unbind_port (void *self, uint32_t port)
{
  XdsXenIo *io = self;

  xenevtchn_unbind (io->evtchn, port);
}

int
xds_xen_io_notify (void *self, uint32_t port)
{
  XdsXenIo *io = self;

  return xenevtchn_notify (io->evtchn, port) < 0 ? -errno : 0;
}

int
xds_xen_io_event_fd (void *self)
{
  XdsXenIo *io = self;

  return xenevtchn_fd (io->evtchn);
}

int
xds_xen_io_take_pending (void *self, uint32_t *ret_ports, size_t max)
{
  XdsXenIo *io = self;
  ssize_t n = read (xenevtchn_fd (io->evtchn), ret_ports, max * sizeof *ret_ports);

  if (n < 0)
    return errno == EAGAIN || errno == EINTR ? 0 : -errno;
  return (int) ((size_t) n / sizeof *ret_ports);
}

int
xds_xen_io_unmask (void *self, const uint32_t *ports, size_t n)
{
  XdsXenIo *io = self;
  size_t done = 0, part;
  ssize_t written;

  while (done < n)
    {
      part = n - done < PORTS_IN_ONE_CALL ? n - done : PORTS_IN_ONE_CALL;
      written = write (xenevtchn_fd (io->evtchn), ports + done, part * sizeof *ports);
      if (written < 0 && errno != EINTR)
        return -errno;
      if (written > 0)
        done += (size_t) written / sizeof *ports;
    }
  return 0;
}

int
xds_xen_io_leave_channels (void *self)
{
  XdsXenIo *io = self;
  int fd = xenevtchn_fd (io->evtchn);

  if (fcntl (fd, F_SETFD, 0) < 0 || fcntl (fd, F_SETFL, fcntl (fd, F_GETFL) & ~O_NONBLOCK) < 0)
    return -errno;
  return fd;
}

/* --- life --- */

/* Takes one word; NULL when it is understood, else what is wrong with it. */
static const char *
parse_word (XdsXenIo *io, const char *word, size_t len)
{
  char text[32], *end;
  unsigned long number;
  const char *value;

  if (len >= sizeof text)
    return "is too long";
  memcpy (text, word, len);
  text[len] = '\0';
  value = strchr (text, '=');
  if (value == NULL || value[1] < '0' || value[1] > '9')
    return "is not NAME=NUMBER";
  number = strtoul (value + 1, &end, 10);
  if (*end != '\0' || number > INT32_MAX)
    return "has a number that cannot be";
  if (strncmp (text, "event=", 6) == 0 && number > 0)
    io->own_port = (uint32_t) number;
  else if (strncmp (text, "master=", 7) == 0 && number < DOMID_FIRST_RESERVED)
    io->own_domid = (uint32_t) number;
  else if (strncmp (text, "channels=", 9) == 0)
    io->channels = (int) number;
  else
    return "is unknown, or its number cannot be";
  return NULL;
}

static int
parse_args (XdsXenIo *io, const XdsHypervisorHostV1 *host, const char *args)
{
  const char *at, *wrong;
  size_t len;

  for (at = args; at != NULL && *at != '\0'; at += len + (at[len] == ','))
    {
      len = strcspn (at, ",");
      wrong = parse_word (io, at, len);
      if (wrong != NULL)
        return xds_xen_io_explain (host, EINVAL,
                                   "cannot open Xen: the word \"%.*s\" of the plugin's arguments "
                                   "%s; write event=PORT, master=DOMID or channels=FD",
                                   (int) len, at, wrong);
    }
  return 0;
}

static int
open_devices (XdsXenIo *io, const XdsHypervisorHostV1 *host)
{
  int fd;

  if (io->channels >= 0)
    io->evtchn = xenevtchn_fdopen (&io->log.logger, io->channels, 0);
  else
    io->evtchn = xenevtchn_open (&io->log.logger, 0);
  if (io->evtchn == NULL)
    return xds_xen_io_explain (host, errno,
                               "cannot open Xen's event channels (/dev/xen/evtchn): %s; run as "
                               "root in a domain of a Xen host and load the module xen-evtchn",
                               strerror (errno));
  io->gnttab = xengnttab_open (&io->log.logger, 0);
  if (io->gnttab == NULL)
    return xds_xen_io_explain (host, errno,
                               "cannot open Xen's grant tables (/dev/xen/gntdev): %s; run as root "
                               "in a domain of a Xen host and load the module xen-gntdev",
                               strerror (errno));
  /* We read after poll(), but two readers of one event must not block either. */
  fd = xenevtchn_fd (io->evtchn);
  if (fcntl (fd, F_SETFD, FD_CLOEXEC) < 0
      || fcntl (fd, F_SETFL, fcntl (fd, F_GETFL) | O_NONBLOCK) < 0)
    return xds_xen_io_explain (host, errno, "cannot make Xen's event channels non-blocking: %s",
                               strerror (errno));
  return 0;
}

int
xds_xen_io_open (XdsXenIo *io, const XdsHypervisorHostV1 *host, const char *args)
{
  int res;

  *io = (XdsXenIo){ .log = { .logger = { .vmessage = pass_message, .destroy = keep_logger },
                             .host = host },
                    .channels = -1 };
  res = parse_args (io, host, args);
  if (res == 0)
    res = open_devices (io, host);
  if (res < 0)
    xds_xen_io_close (io);
  return res;
}

void
xds_xen_io_close (XdsXenIo *io)
{
  if (io->own_page != NULL)
    munmap (io->own_page, PAGE_BYTES);
  if (io->gnttab != NULL)
    xengnttab_close (io->gnttab);
  if (io->evtchn != NULL)
    xenevtchn_close (io->evtchn);
  io->own_page = NULL;
  io->gnttab = NULL;
  io->evtchn = NULL;
}
