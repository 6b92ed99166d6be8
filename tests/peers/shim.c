/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Preload library: stands in for the Xen libraries (libxenctrl, libxenevtchn, libxengnttab,
 * libxenforeignmemory, libxenmanage) and for /proc/xen, so that an unmodified xenstore server
 * starts on a machine without a hypervisor.
 *
 * FAKEXEN_DIR         directory of the pretend hypervisor (fakexen.h)
 * FAKEXEN_FREE_CALLS  if set, calls that would enter the kernel or the hypervisor cost nothing;
 *                     else each of them costs one trivial system call, about what the real one
 *                     costs
 *
 * FAKEXEN_STUB        if set, what Xen 4.17 refuses to a xenstore domain other than domain 0 is
 *                     refused: the list of all domains at once
 *
 * FAKEXEN_BEFORE_421  if set, the hypervisor is one that libxenmanage is too new for
 *
 * The definitions have no symbol version, which the dynamic linker accepts for any version that
 * the server asks for.
 */

#include "tests/peers/fakexen.h"
#include "tests/peers/xenmanage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <xenctrl.h>
#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenforeignmemory.h>

/* Some of the calls are declared by headers of other releases of Xen, or declared again here. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wredundant-decls"

#define SHIM __attribute__ ((visibility ("default")))

static struct fx fx;
static bool fx_ready;
static bool free_calls;

static struct fx *
get (void)
{
  const char *dir;

  if (fx_ready)
    return &fx;
  dir = getenv ("FAKEXEN_DIR");
  if (!dir || fx_open (&fx, dir))
    {
      fprintf (stderr, "fakexen: cannot open FAKEXEN_DIR '%s': %s\n", dir ? dir : "",
               strerror (errno));
      exit (1);
    }
  free_calls = getenv ("FAKEXEN_FREE_CALLS") != NULL;
  fx_ready = true;
  return &fx;
}

/* One entry into the kernel, where the real library would make one. */
static struct fx *
call (enum fx_count what)
{
  struct fx *f = get ();

  atomic_fetch_add_explicit (&f->st->count[what], 1, memory_order_relaxed);
  if (!free_calls)
    syscall (SYS_getppid);
  return f;
}

/* libxenctrl */

static int the_interface;

SHIM xc_interface *
xc_interface_open (xentoollog_logger *a, xentoollog_logger *b, unsigned int c)
{
  (void) a, (void) b, (void) c;
  get ();
  return (void *) &the_interface;
}

SHIM int
xc_interface_close (xc_interface *xch)
{
  (void) xch;
  return 0;
}

#if XEN_DOMCTL_INTERFACE_VERSION < 0x16 /* xc_dominfo_t went away after Xen 4.17 */
SHIM int
xc_domain_getinfo (xc_interface *xch, uint32_t first, unsigned int max, xc_dominfo_t *info)
{
  struct fx *f = get ();
  unsigned int n;
  int domid;

  (void) xch;
  for (n = 0; n < max; n++, first = (uint32_t) domid + 1)
    {
      call (FX_N_GETINFO);
      domid = fx_next_dom (f, first);
      if (domid < 0)
        break;
      memset (&info[n], 0, sizeof (info[n]));
      info[n].domid = (uint32_t) domid;
      info[n].dying = !!(f->st->dom[domid].flags & FX_DEAD);
      info[n].shutdown = !!(f->st->dom[domid].flags & FX_SHUTDOWN);
      info[n].shutdown_reason = f->st->dom[domid].reason;
      info[n].crashed = info[n].shutdown && info[n].shutdown_reason == 3;
      info[n].nr_online_vcpus = 1;
      memcpy (info[n].handle, f->st->dom[domid].uuid, sizeof info[n].handle);
    }
  if (!n)
    {
      errno = ESRCH;
      return -1;
    }
  return (int) n;
}
#endif

/*
 * The structure's size differs between releases, its first words do not:
 * only these are filled in.
 */
static void
fill (struct fx *f, int domid, xc_domaininfo_t *info)
{
  uint32_t flags = f->st->dom[domid].flags;

  info->domain = (domid_t) domid;
  memcpy (info->handle, f->st->dom[domid].uuid, sizeof info->handle);
  info->flags = 0;
  if (flags & FX_DEAD)
    info->flags |= XEN_DOMINF_dying;
  if (flags & FX_SHUTDOWN)
    info->flags |= XEN_DOMINF_shutdown
                   | (f->st->dom[domid].reason & XEN_DOMINF_shutdownmask)
                         << XEN_DOMINF_shutdownshift;
}

SHIM int
xc_domain_getinfolist (xc_interface *xch, uint32_t first, unsigned int max, xc_domaininfo_t *info)
{
  struct fx *f = call (FX_N_GETINFO);
  unsigned int n;
  int domid;

  (void) xch;
  atomic_fetch_add_explicit (&f->st->count[FX_N_LIST_ROOM], max, memory_order_relaxed);
  if (getenv ("FAKEXEN_STUB") != NULL)
    {
      errno = EPERM;
      return -1;
    }
  for (n = 0; n < max; n++, first = (uint32_t) domid + 1)
    {
      domid = fx_next_dom (f, first);
      if (domid < 0)
        break;
      fill (f, domid, &info[n]);
    }
  return (int) n;
}

SHIM int
xc_domain_getinfo_single (xc_interface *xch, uint32_t domid, xc_domaininfo_t *info)
{
  struct fx *f = call (FX_N_GETINFO);

  (void) xch;
  if (domid > FX_LAST_DOM || !(f->st->dom[domid].flags & FX_EXIST))
    {
      errno = ESRCH;
      return -1;
    }
  if (info)
    fill (f, (int) domid, info);
  return 0;
}

SHIM void *
xc_map_foreign_range (xc_interface *xch, uint32_t dom, int size, int prot, unsigned long mfn)
{
  struct fx *f = call (FX_N_MAP);

  (void) xch, (void) size, (void) prot, (void) mfn;
  return fx_map (f, dom);
}

SHIM const xc_error *
xc_get_last_error (xc_interface *xch)
{
  static xc_error none;

  (void) xch;
  return &none;
}

SHIM const char *
xc_error_code_to_desc (int code)
{
  (void) code;
  return "fakexen";
}

SHIM int
xc_evtchn_status (xc_interface *xch, xc_evtchn_status_t *status)
{
  struct fx *f = get ();
  bool is_dom = f->st->port[status->port % FX_PORTS].kind == FX_PORT_DOM;

  (void) xch;
  status->status = is_dom ? EVTCHNSTAT_interdomain : EVTCHNSTAT_closed;
  status->u.interdomain.port = FX_GUEST_PORT;
  return 0;
}

/* libxenmanage */

#define CAPS_DOM0                                                                              \
  (XENMANAGE_GETDOMSTATE_CAP_CONTROL | XENMANAGE_GETDOMSTATE_CAP_HARDWARE                      \
   | XENMANAGE_GETDOMSTATE_CAP_XENSTORE)

SHIM xenmanage_handle *
xenmanage_open (struct xentoollog_logger *logger, unsigned int flags)
{
  (void) logger, (void) flags;
  get ();
  return (void *) &the_interface;
}

SHIM int
xenmanage_close (xenmanage_handle *h)
{
  (void) h;
  return 0;
}

static void
state_of (struct fx *f, uint32_t domid, unsigned int *state, unsigned int *caps, uint64_t *unique)
{
  uint32_t flags = f->st->dom[domid].flags;
  unsigned int s = 0;

  if (flags & FX_EXIST)
    {
      s = XENMANAGE_GETDOMSTATE_STATE_EXIST;
      if (flags & FX_SHUTDOWN)
        s |= XENMANAGE_GETDOMSTATE_STATE_SHUTDOWN;
      if (flags & FX_DEAD)
        s |= XENMANAGE_GETDOMSTATE_STATE_DEAD;
      else if (flags & FX_DYING)
        s |= XENMANAGE_GETDOMSTATE_STATE_DYING;
    }
  if (state)
    *state = s;
  if (caps)
    *caps = s && domid == 0 ? CAPS_DOM0 : 0;
  if (unique)
    *unique = f->st->dom[domid].unique;
}

SHIM int
xenmanage_get_domain_info (xenmanage_handle *h, unsigned int domid, unsigned int *state,
                           unsigned int *caps, uint64_t *unique)
{
  struct fx *f = call (FX_N_GETINFO);

  (void) h;
  if (getenv ("FAKEXEN_BEFORE_421") != NULL)
    {
      errno = EACCES;
      return -1;
    }
  if (domid > FX_LAST_DOM || !(f->st->dom[domid].flags & FX_EXIST))
    {
      errno = ESRCH;
      return -1;
    }
  state_of (f, domid, state, caps, unique);
  return 0;
}

SHIM int
xenmanage_poll_changed_domain (xenmanage_handle *h, unsigned int *domid, unsigned int *state,
                               unsigned int *caps, uint64_t *unique)
{
  struct fx *f = call (FX_N_GETINFO);
  int d = f->st->virq_port != 0 ? fx_next_changed (f) : -1;

  (void) h;
  if (d < 0)
    {
      errno = f->st->virq_port != 0 ? ENOENT : EACCES;
      return -1;
    }
  *domid = (unsigned int) d;
  state_of (f, (uint32_t) d, state, caps, unique);
  return 0;
}

/* libxenevtchn */

static int the_evtchn;

SHIM xenevtchn_handle *
xenevtchn_open (struct xentoollog_logger *l, unsigned int flags)
{
  struct fx *f = get ();
  int fl = fcntl (f->evtchn, F_GETFD);

  (void) l;
  if (flags & XENEVTCHN_NO_CLOEXEC)
    fcntl (f->evtchn, F_SETFD, fl & ~FD_CLOEXEC);
  /* The driver's fd blocks on read; servers poll before. */
  fcntl (f->evtchn, F_SETFL, O_RDWR);
  return (void *) &the_evtchn;
}

SHIM xenevtchn_handle *
xenevtchn_fdopen (struct xentoollog_logger *l, int fd, unsigned int flags)
{
  struct fx *f = get ();

  (void) l, (void) flags;
  if (fd != f->evtchn)
    {
      close (f->evtchn);
      f->evtchn = fd;
    }
  return (void *) &the_evtchn;
}

SHIM int
xenevtchn_close (xenevtchn_handle *h)
{
  (void) h;
  return 0;
}

SHIM int
xenevtchn_fd (xenevtchn_handle *h)
{
  (void) h;
  return get ()->evtchn;
}

SHIM int
xenevtchn_notify (xenevtchn_handle *h, evtchn_port_t port)
{
  (void) h;
  fx_notify_guest (call (FX_N_NOTIFY), port);
  return 0;
}

SHIM xenevtchn_port_or_error_t
xenevtchn_bind_unbound_port (xenevtchn_handle *h, uint32_t domid)
{
  (void) h;
  return fx_bind_dom (call (FX_N_BIND), domid);
}

SHIM xenevtchn_port_or_error_t
xenevtchn_bind_interdomain (xenevtchn_handle *h, uint32_t domid, evtchn_port_t remote)
{
  (void) h, (void) remote;
  return fx_bind_dom (call (FX_N_BIND), domid);
}

SHIM xenevtchn_port_or_error_t
xenevtchn_bind_virq (xenevtchn_handle *h, unsigned int virq)
{
  (void) h, (void) virq;
  return fx_bind_virq (call (FX_N_BIND));
}

SHIM int
xenevtchn_unbind (xenevtchn_handle *h, evtchn_port_t port)
{
  (void) h;
  fx_unbind (call (FX_N_BIND), port);
  return 0;
}

SHIM xenevtchn_port_or_error_t
xenevtchn_pending (xenevtchn_handle *h)
{
  struct fx *f = get ();
  uint32_t port;

  (void) h;
  atomic_fetch_add_explicit (&f->st->count[FX_N_PENDING], 1, memory_order_relaxed);
  if (read (f->evtchn, &port, 4) != 4)
    return -1;
  return (int) port;
}

SHIM int
xenevtchn_unmask (xenevtchn_handle *h, evtchn_port_t port)
{
  (void) h;
  fx_unmask (call (FX_N_UNMASK), port);
  return 0;
}

SHIM int
xenevtchn_restrict (xenevtchn_handle *h, domid_t domid)
{
  (void) h, (void) domid;
  return 0;
}

/*
 * What is written to the driver's descriptor are ports to unmask, many in one call.  A server
 * may do so itself instead of through the library.
 */
SHIM ssize_t
write (int fd, const void *data, size_t len)
{
  const evtchn_port_t *ports = data;
  size_t i;

  if (!fx_ready || fd != fx.evtchn)
    return syscall (SYS_write, fd, data, len);
  call (FX_N_UNMASK);
  for (i = 0; i < len / sizeof *ports; i++)
    fx_unmask (&fx, ports[i]);
  return len;
}

/* libxengnttab */

static int the_gnttab;

SHIM xengnttab_handle *
xengnttab_open (struct xentoollog_logger *l, unsigned int flags)
{
  (void) l, (void) flags;
  get ();
  return (void *) &the_gnttab;
}

SHIM int
xengnttab_close (xengnttab_handle *h)
{
  (void) h;
  return 0;
}

SHIM int
xengnttab_set_max_grants (xengnttab_handle *h, uint32_t n)
{
  (void) h, (void) n;
  return 0;
}

SHIM void *
xengnttab_map_grant_ref (xengnttab_handle *h, uint32_t domid, uint32_t ref, int prot)
{
  struct fx *f = call (FX_N_MAP);

  (void) h, (void) ref, (void) prot;
  if (domid > FX_LAST_DOM || !(f->st->dom[domid].flags & FX_EXIST))
    {
      errno = EINVAL;
      return NULL;
    }
  return fx_map (f, domid);
}

SHIM int
xengnttab_unmap (xengnttab_handle *h, void *addr, uint32_t count)
{
  (void) h;
  return munmap (addr, (size_t) count * 4096);
}

/* libxenforeignmemory */

static int the_fmem;

SHIM xenforeignmemory_handle *
xenforeignmemory_open (struct xentoollog_logger *l, unsigned int flags)
{
  (void) l, (void) flags;
  get ();
  return (void *) &the_fmem;
}

SHIM int
xenforeignmemory_close (xenforeignmemory_handle *h)
{
  (void) h;
  return 0;
}

SHIM void *
xenforeignmemory_map (xenforeignmemory_handle *h, uint32_t dom, int prot, size_t pages,
                      const xen_pfn_t *arr, int *err)
{
  (void) h, (void) prot, (void) arr;
  if (pages != 1)
    {
      errno = EINVAL;
      return NULL;
    }
  if (err)
    err[0] = 0;
  return fx_map (call (FX_N_MAP), dom);
}

SHIM int
xenforeignmemory_unmap (xenforeignmemory_handle *h, void *addr, size_t pages)
{
  (void) h;
  return munmap (addr, pages * 4096);
}

/* /proc/xen, and what an unprivileged container refuses */

static const char *
redirect (const char *path, char *buf, size_t size)
{
  const char *leaf = NULL;

  if (strncmp (path, "/proc/xen/", 10) == 0)
    {
      if (strcmp (path + 10, "xsd_kva") == 0)
        leaf = "rings"; /* page 0 is domain 0's */
      else if (strcmp (path + 10, "xsd_port") == 0)
        leaf = "xsd_port";
    }
  if (!leaf)
    return path;
  snprintf (buf, size, "%s/%s", get ()->dir, leaf);
  return buf;
}

static int
do_open (int dirfd, const char *path, int flags, int mode)
{
  char buf[256];

  return (int) syscall (SYS_openat, dirfd, redirect (path, buf, sizeof (buf)), flags, mode);
}

static int
mode_of (int flags, va_list ap)
{
  if (flags & (O_CREAT | __O_TMPFILE))
    return va_arg (ap, int);
  return 0;
}

#define WRAP_OPEN(name)                                                                            \
  SHIM int name (const char *path, int flags, ...);                                                \
  SHIM int name (const char *path, int flags, ...)                                                 \
  {                                                                                                \
    va_list ap;                                                                                    \
    int mode;                                                                                      \
                                                                                                   \
    va_start (ap, flags);                                                                          \
    mode = mode_of (flags, ap);                                                                    \
    va_end (ap);                                                                                   \
    return do_open (AT_FDCWD, path, flags, mode);                                                  \
  }

WRAP_OPEN (open)
WRAP_OPEN (open64)

/* A sanitizer calls this one before it is ready to watch anybody. */
#define UNWATCHED __attribute__ ((no_sanitize ("address", "undefined")))

UNWATCHED static int
limit (unsigned int what, const struct rlimit *want)
{
  struct rlimit have, r = *want;

  if (!syscall (SYS_prlimit64, 0, what, want, NULL))
    return 0;
  /* More than allowed was asked for: take all there is. */
  if (errno == EPERM && what == RLIMIT_NOFILE && !syscall (SYS_prlimit64, 0, what, NULL, &have))
    {
      if (r.rlim_max > have.rlim_max)
        r.rlim_max = have.rlim_max;
      if (r.rlim_cur > r.rlim_max)
        r.rlim_cur = r.rlim_max;
      return (int) syscall (SYS_prlimit64, 0, what, &r, NULL);
    }
  return -1;
}

UNWATCHED SHIM int
setrlimit (__rlimit_resource_t what, const struct rlimit *want)
{
  return limit (what, want);
}

UNWATCHED SHIM int
setrlimit64 (__rlimit_resource_t what, const struct rlimit64 *want)
{
  return limit (what, (const struct rlimit *) want);
}
