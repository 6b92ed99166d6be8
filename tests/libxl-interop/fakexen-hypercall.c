/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Hypercalls, answered from the domain files; and pages of guests.
 */

#include "fakexen.h"

/* ------------------------------------------------------------- hypercalls */

static long
hc_domctl (struct xen_domctl *c)
{
  struct dom d;
  int rc;

  if (c->interface_version != XEN_DOMCTL_INTERFACE_VERSION)
    return -EACCES;
  fx_trace ("domctl %u dom %u", c->cmd, c->domain);
  switch (c->cmd)
    {
    case XEN_DOMCTL_getdomaininfo:
      {
        unsigned *ids;
        int n = fx_dom_list (c->domain, &ids);
        for (int k = 0; k < n; k++)
          {
            if (fx_dom_load (ids[k], &d))
              continue;
            c->domain = ids[k];
            fx_dom_fill (&d, &c->u.getdomaininfo);
            free (ids);
            return 0;
          }
        free (ids);
        return -ESRCH;
      }
    case XEN_DOMCTL_createdomain:
      return -EOPNOTSUPP;
    default:
      break;
    }

  rc = fx_dom_load (c->domain, &d);
  if (rc)
    return rc;
  switch (c->cmd)
    {
    case XEN_DOMCTL_pausedomain:
      d.flags |= XEN_DOMINF_paused;
      return fx_dom_save (&d);
    case XEN_DOMCTL_unpausedomain:
      d.flags &= ~XEN_DOMINF_paused;
      return fx_dom_save (&d);
    case XEN_DOMCTL_setdomainhandle:
      memcpy (d.uuid, c->u.setdomainhandle.handle, 16);
      return fx_dom_save (&d);
    case XEN_DOMCTL_max_mem:
      d.maxmemkb = c->u.max_mem.max_memkb;
      return fx_dom_save (&d);
    case XEN_DOMCTL_destroydomain:
      {
        char path[PATH_MAX];
        if (getenv ("FAKEXEN_DESTROY_FAILS"))
          return -EPERM;
        if (c->domain == 0)
          return -EINVAL;
        snprintf (path, sizeof path, "%s/%u", fx_statedir (), c->domain);
        if (fx_raw_unlink (path))
          return -ESRCH;
        fx_raise_dom_exc ();
        return 0;
      }
    case XEN_DOMCTL_scheduler_op:
      if (c->u.scheduler_op.cmd == XEN_DOMCTL_SCHEDOP_getinfo)
        {
          c->u.scheduler_op.u.credit2.weight = 256;
          c->u.scheduler_op.u.credit2.cap = 0;
        }
      return 0;
    case XEN_DOMCTL_getvcpuinfo:
      if (c->u.getvcpuinfo.vcpu >= d.vcpus)
        return -ESRCH;
      c->u.getvcpuinfo.online = 1;
      c->u.getvcpuinfo.blocked = 1;
      c->u.getvcpuinfo.running = 0;
      c->u.getvcpuinfo.cpu_time = 1000000000ull;
      c->u.getvcpuinfo.cpu = 0;
      return 0;
    default:
      return -EOPNOTSUPP;
    }
}

static long
hc_sysctl (struct xen_sysctl *c)
{
  if (c->interface_version != XEN_SYSCTL_INTERFACE_VERSION)
    return -EACCES;
  fx_trace ("sysctl %u", c->cmd);
  switch (c->cmd)
    {
    case XEN_SYSCTL_getdomaininfolist:
      {
        struct xen_sysctl_getdomaininfolist *l = &c->u.getdomaininfolist;
        xen_domctl_getdomaininfo_t *out = l->buffer.p;
        unsigned *ids, got = 0;
        int n = fx_dom_list (l->first_domain, &ids);
        for (int k = 0; k < n && got < l->max_domains; k++)
          {
            struct dom d;
            if (fx_dom_load (ids[k], &d))
              continue;
            fx_dom_fill (&d, &out[got++]);
          }
        free (ids);
        l->num_domains = got;
        return 0;
      }
    case XEN_SYSCTL_physinfo:
      {
        struct xen_sysctl_physinfo *p = &c->u.physinfo;
        memset (p, 0, sizeof *p);
        p->threads_per_core = 1;
        p->cores_per_socket = 4;
        p->nr_cpus = 4;
        p->max_cpu_id = 3;
        p->nr_nodes = 1;
        p->cpu_khz = 2000000;
        p->capabilities = XEN_SYSCTL_PHYSCAP_pv | XEN_SYSCTL_PHYSCAP_hvm;
        p->total_pages = 4 << 18;
        p->free_pages = 2 << 18;
        p->max_mfn = p->total_pages;
        return 0;
      }
    case XEN_SYSCTL_sched_id:
      c->u.sched_id.sched_id = XEN_SCHEDULER_CREDIT2;
      return 0;
    case XEN_SYSCTL_cpupool_op:
      {
        struct xen_sysctl_cpupool_op *p = &c->u.cpupool_op;
        if (p->op != XEN_SYSCTL_CPUPOOL_OP_INFO)
          return -EOPNOTSUPP;
        if (p->cpupool_id > 0)
          return -ENOENT;
        p->cpupool_id = 0;
        p->sched_id = XEN_SCHEDULER_CREDIT2;
        p->n_dom = 1;
        if (p->cpumap.nr_bits && p->cpumap.bitmap.p)
          *(uint8_t *) p->cpumap.bitmap.p = 0x0f;
        return 0;
      }
    default:
      return -EOPNOTSUPP;
    }
}

static long
hc_version (unsigned cmd, void *arg)
{
  switch (cmd)
    {
    case XENVER_version:
      return (4 << 16) | 17;
    case XENVER_extraversion:
      strcpy (arg, ".fake");
      return 0;
    case XENVER_compile_info:
      memset (arg, 0, sizeof (struct xen_compile_info));
      return 0;
    case XENVER_capabilities:
      strcpy (arg, "xen-3.0-x86_64 hvm-3.0-x86_64");
      return 0;
    case XENVER_changeset:
      strcpy (arg, "fakexen");
      return 0;
    case XENVER_commandline:
      strcpy (arg, "placeholder dom0_mem=max:1G");
      return 0;
    case XENVER_platform_parameters:
      memset (arg, 0, sizeof (struct xen_platform_parameters));
      return 0;
    case XENVER_get_features:
      ((struct xen_feature_info *) arg)->submap = 0;
      return 0;
    case XENVER_pagesize:
      return 4096;
    default:
      return -ENOSYS;
    }
}

static long
hc_sched (unsigned cmd, void *arg)
{
  if (cmd == SCHEDOP_remote_shutdown)
    {
      struct sched_remote_shutdown *s = arg;
      struct dom d;
      int rc = fx_dom_load (s->domain_id, &d);
      if (rc)
        return rc;
      d.flags |= XEN_DOMINF_shutdown;
      d.flags &= ~XEN_DOMINF_running;
      d.reason = s->reason;
      rc = fx_dom_save (&d);
      fx_raise_dom_exc ();
      return rc;
    }
  return -ENOSYS;
}

static long
hypercall (privcmd_hypercall_t *h)
{
  switch (h->op)
    {
    case __HYPERVISOR_domctl:
      return hc_domctl ((void *) (uintptr_t) h->arg[0]);
    case __HYPERVISOR_sysctl:
      return hc_sysctl ((void *) (uintptr_t) h->arg[0]);
    case __HYPERVISOR_xen_version:
      return hc_version (h->arg[0], (void *) (uintptr_t) h->arg[1]);
    case __HYPERVISOR_sched_op:
      return hc_sched (h->arg[0], (void *) (uintptr_t) h->arg[1]);
    default:
      fx_trace ("hypercall %llu refused", (unsigned long long) h->op);
      return -ENOSYS;
    }
}

/* privcmd descriptors: tiny bitmap, descriptors above it are not ours */
unsigned char fx_privcmd_fds[FX_PRIVCMD_FDS];

int
fx_open_privcmd (int flags)
{
  int fd = memfd_create ("fakexen-privcmd", flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
  if (fd >= (int) FX_PRIVCMD_FDS)
    {
      close (fd);
      errno = EMFILE;
      return -1;
    }
  if (fd >= 0)
    fx_privcmd_fds[fd] = 1;
  return fd;
}

/* Guest pages are files $FAKEXEN_DIR/page.<domid>.<frame or grant>. */
void *
fx_map_page (void *at, unsigned domid, unsigned long frame, int prot)
{
  char path[PATH_MAX];
  void *p;
  int fd;
  snprintf (path, sizeof path, "%s/page.%u.%lu", fx_statedir (), domid, frame);
  fd = fx_raw_open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0)
    return MAP_FAILED;
  if (ftruncate (fd, 4096))
    {
      close (fd);
      return MAP_FAILED;
    }
  p = mmap (at, 4096, prot, MAP_SHARED | (at ? MAP_FIXED : 0), fd, 0);
  close (fd);
  return p;
}

static int
map_batch (const privcmd_mmapbatch_v2_t *b)
{
  struct dom d;
  if (fx_dom_load (b->dom, &d))
    {
      errno = ESRCH;
      return -1;
    }
  for (unsigned i = 0; i < b->num; i++)
    {
      void *p = fx_map_page ((void *) (uintptr_t) (b->addr + 4096ull * i), b->dom, b->arr[i],
                             PROT_READ | PROT_WRITE);
      b->err[i] = p == MAP_FAILED ? -EINVAL : 0;
    }
  return 0;
}

EXPORT int
ioctl (int fd, unsigned long req, ...)
{
  va_list ap;
  void *arg;
  REAL (int, ioctl, int, unsigned long, ...);

  va_start (ap, req);
  arg = va_arg (ap, void *);
  va_end (ap);
  if (fd >= 0 && fd < (int) FX_PRIVCMD_FDS && fx_privcmd_fds[fd]
      && req == (unsigned long) IOCTL_PRIVCMD_HYPERCALL)
    {
      long rc = hypercall (arg);
      if (rc < 0)
        {
          errno = -rc;
          return -1;
        }
      return rc;
    }
  if (fd >= 0 && fd < (int) FX_PRIVCMD_FDS && fx_privcmd_fds[fd]
      && req == (unsigned long) IOCTL_PRIVCMD_MMAPBATCH_V2)
    return map_batch (arg);
  return real_ioctl (fd, req, arg);
}

/* Hypercall buffers ask for locked memory, which small rlimits refuse. */
EXPORT void *
mmap (void *a, size_t l, int prot, int flags, int fd, off_t off)
{
  REAL (void *, mmap, void *, size_t, int, int, int, off_t);
  return real_mmap (a, l, prot, flags & ~MAP_LOCKED, fd, off);
}
EXPORT void *
mmap64 (void *a, size_t l, int prot, int flags, int fd, off64_t off)
{
  REAL (void *, mmap64, void *, size_t, int, int, int, off64_t);
  return real_mmap64 (a, l, prot, flags & ~MAP_LOCKED, fd, off);
}

/* oxenstored insists on raising its limits, which needs privilege. */
EXPORT int
setrlimit64 (__rlimit_resource_t what, const struct rlimit64 *l)
{
  REAL (int, setrlimit64, __rlimit_resource_t, const struct rlimit64 *);
  int rc = real_setrlimit64 (what, l);
  return rc && errno == EPERM && fx_statedir () ? 0 : rc;
}
EXPORT int
setrlimit (__rlimit_resource_t what, const struct rlimit *l)
{
  REAL (int, setrlimit, __rlimit_resource_t, const struct rlimit *);
  int rc = real_setrlimit (what, l);
  return rc && errno == EPERM && fx_statedir () ? 0 : rc;
}
