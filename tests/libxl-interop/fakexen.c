/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * fakexen.c - LD_PRELOAD stand-in for the Xen hypervisor interfaces of dom0.
 *
 * Lets unmodified Xen user space (libxenctrl, libxenlight, xl, xenstored, ...)
 * run on a machine without Xen.  The real libraries stay in use; only the
 * kernel interface underneath them is replaced:
 *
 *   /dev/xen/privcmd   becomes a memfd, and ioctl(HYPERCALL) on it is answered
 *                      here from the domain files in $FAKEXEN_DIR;
 *   xenevtchn_*        is a FIFO per handle, so that VIRQ_DOM_EXC reaches
 *                      xenstored and makes it fire @releaseDomain;
 *   guest pages        (grants and foreign maps) are files page.<domid>.<n>;
 *   path prefixes      such as /var/lib/xen are moved elsewhere (see paths[]).
 *
 * Domain files: $FAKEXEN_DIR/<domid>, lines "key=value":
 *   uuid=<36 chars>             required
 *   flags=running,paused,...    any of dying shutdown paused blocked running
 *                               hvm hap xs_domain
 *   reason=<n>                  shutdown reason, with flags=shutdown
 *   memkb= maxmemkb= vcpus= pool=
 *
 * Environment:
 *   FAKEXEN_DIR       state directory (required)
 *   FAKEXEN_LIBDIR    instead of /var/lib/xen
 *   FAKEXEN_RUNDIR    instead of /run/xen and /run/xenstored (and /var/run/...)
 *   FAKEXEN_LOGDIR    instead of /var/log/xen
 *   FAKEXEN_HOLD      "OP:FILE": while FILE exists, a call OP on a userdata-d
 *                     or userdata-n path waits; FILE.reached is made first.
 *                     OP is one of open (to create), rename, unlink, fopen.
 *   FAKEXEN_KILL      OP: the process kills itself (SIGKILL) just before that
 *                     call on a userdata-d/-n path.  OP as above, or close.
 *   FAKEXEN_FAIL      "lockopen": opening a userdata-l file fails with EMFILE;
 *                     "enospc": writing a userdata-n file fails with ENOSPC
 *   FAKEXEN_TRACE     file to which hypercalls and file operations on
 *                     userdata paths are appended, one line each.
 *   FAKEXEN_DESTROY_FAILS  if set, destroydomain answers EPERM
 */
#include "fakexen.h"

/* ---------------------------------------------------------------- plumbing */

void *
fx_next_sym (const char *name)
{
  void *p = dlsym (RTLD_NEXT, name);
  if (!p)
    {
      static const char msg[] = "fakexen: missing libc symbol: ";
      (void) !write (2, msg, sizeof msg - 1);
      (void) !write (2, name, strlen (name));
      (void) !write (2, "\n", 1);
      _exit (127);
    }
  return p;
}

const char *
fx_statedir (void)
{
  const char *d = getenv ("FAKEXEN_DIR");
  return d && *d ? d : NULL;
}

int
fx_raw_open (const char *path, int flags, mode_t mode)
{
  REAL (int, open, const char *, int, ...);
  return real_open (path, flags, mode);
}

int
fx_raw_rename (const char *a, const char *b)
{
  REAL (int, rename, const char *, const char *);
  return real_rename (a, b);
}

int
fx_raw_unlink (const char *a)
{
  REAL (int, unlink, const char *);
  return real_unlink (a);
}

void
fx_trace (const char *fmt, ...)
{
  const char *f = getenv ("FAKEXEN_TRACE");
  char line[1024];
  struct timespec ts;
  va_list ap;
  int n, fd, e = errno;

  if (!f)
    return;
  clock_gettime (CLOCK_MONOTONIC, &ts);
  n = snprintf (line, sizeof line, "%lld.%06ld %d ", (long long) ts.tv_sec, ts.tv_nsec / 1000,
                (int) getpid ());
  va_start (ap, fmt);
  n += vsnprintf (line + n, sizeof line - n - 1, fmt, ap);
  va_end (ap);
  if (n > (int) sizeof line - 2)
    n = sizeof line - 2;
  line[n++] = '\n';
  fd = fx_raw_open (f, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (fd >= 0)
    {
      (void) !write (fd, line, n);
      close (fd);
    }
  errno = e;
}

/* ------------------------------------------------------------ path moving */

static const struct
{
  const char *from, *env, *sub;
} paths[] = {
  { "/var/lib/xen", "FAKEXEN_LIBDIR", "" },
  { "/var/run/xen", "FAKEXEN_RUNDIR", "" },
  { "/run/xen", "FAKEXEN_RUNDIR", "" },
  { "/var/run/xenstored", "FAKEXEN_RUNDIR", "" },
  { "/run/xenstored", "FAKEXEN_RUNDIR", "" },
  { "/var/log/xen", "FAKEXEN_LOGDIR", "" },
  { "/var/lock/xl", "FAKEXEN_RUNDIR", "/xl.lock" },
  { "/proc/xen", "FAKEXEN_DIR", "/proc" },
  { "/dev/xen", "FAKEXEN_DIR", "/dev" },
};

const char *
fx_move (const char *path, char buf[PATH_MAX])
{
  if (!path || path[0] != '/')
    return path;
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
    {
      size_t n = strlen (paths[i].from);
      const char *to;
      if (strncmp (path, paths[i].from, n))
        continue;
      if (path[n] != '\0' && path[n] != '/')
        continue;
      to = getenv (paths[i].env);
      if (!to || !*to)
        return path;
      if ((size_t) snprintf (buf, PATH_MAX, "%s%s%s", to, paths[i].sub, path + n) >= PATH_MAX)
        return path;
      return buf;
    }
  return path;
}

bool
fx_is_userdata (const char *p)
{
  const char *b = p ? strrchr (p, '/') : NULL;
  b = b ? b + 1 : p;
  return b && !strncmp (b, "userdata-", 9);
}

bool
fx_is_payload (const char *p) /* data or new file, not the lock */
{
  const char *b = p ? strrchr (p, '/') : NULL;
  b = b ? b + 1 : p;
  return b && (!strncmp (b, "userdata-d.", 11) || !strncmp (b, "userdata-n.", 11));
}

/* Called with the payload path just before OP is carried out. */
void
fx_checkpoint (const char *op, const char *path)
{
  const char *kill_op = getenv ("FAKEXEN_KILL");
  const char *hold = getenv ("FAKEXEN_HOLD");
  size_t n = strlen (op);
  int e = errno;

  if (!fx_is_payload (path))
    return;
  if (kill_op && !strcmp (kill_op, op))
    {
      fx_trace ("KILL before %s %s", op, path);
      kill (getpid (), SIGKILL);
    }
  if (hold && !strncmp (hold, op, n) && hold[n] == ':')
    {
      const char *file = hold + n + 1;
      char mark[PATH_MAX];
      struct stat st;
      REAL (int, stat, const char *, struct stat *);
      snprintf (mark, sizeof mark, "%s.reached", file);
      if (real_stat (file, &st) == 0)
        {
          int fd = fx_raw_open (mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
          if (fd >= 0)
            close (fd);
          fx_trace ("HOLD before %s %s", op, path);
          while (real_stat (file, &st) == 0)
            usleep (2000);
        }
    }
  errno = e;
}

/* ----------------------------------------------------------- domain files */

static const struct
{
  const char *n;
  uint32_t f;
} flagnames[] = {
  { "dying", XEN_DOMINF_dying },         { "hvm", XEN_DOMINF_hvm_guest },
  { "shutdown", XEN_DOMINF_shutdown },   { "paused", XEN_DOMINF_paused },
  { "blocked", XEN_DOMINF_blocked },     { "running", XEN_DOMINF_running },
  { "xs_domain", XEN_DOMINF_xs_domain }, { "hap", XEN_DOMINF_hap },
};

static bool
parse_uuid (const char *s, uint8_t out[16])
{
  int n = 0;
  for (; *s && n < 32; s++)
    {
      int v;
      if (*s == '-')
        continue;
      if (*s >= '0' && *s <= '9')
        v = *s - '0';
      else if (*s >= 'a' && *s <= 'f')
        v = *s - 'a' + 10;
      else if (*s >= 'A' && *s <= 'F')
        v = *s - 'A' + 10;
      else
        break;
      if (n & 1)
        out[n / 2] |= v;
      else
        out[n / 2] = v << 4;
      n++;
    }
  return n == 32;
}

int
fx_dom_load (unsigned id, struct dom *d)
{
  char path[PATH_MAX], buf[4096], *line, *save;
  ssize_t n;
  int fd;
  bool have_uuid = false;

  if (!fx_statedir ())
    return -ENODEV;
  snprintf (path, sizeof path, "%s/%u", fx_statedir (), id);
  fd = fx_raw_open (path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0)
    return -ESRCH;
  n = read (fd, buf, sizeof buf - 1);
  close (fd);
  if (n < 0)
    return -ESRCH;
  buf[n] = 0;

  memset (d, 0, sizeof *d);
  d->id = id;
  d->vcpus = 1;
  d->memkb = d->maxmemkb = 262144;
  for (line = strtok_r (buf, "\n", &save); line; line = strtok_r (NULL, "\n", &save))
    {
      char *v = strchr (line, '=');
      if (!v)
        continue;
      *v++ = 0;
      if (!strcmp (line, "uuid"))
        have_uuid = parse_uuid (v, d->uuid);
      else if (!strcmp (line, "reason"))
        d->reason = strtoul (v, 0, 0);
      else if (!strcmp (line, "vcpus"))
        d->vcpus = strtoul (v, 0, 0);
      else if (!strcmp (line, "pool"))
        d->pool = strtoul (v, 0, 0);
      else if (!strcmp (line, "memkb"))
        d->memkb = strtoull (v, 0, 0);
      else if (!strcmp (line, "maxmemkb"))
        d->maxmemkb = strtoull (v, 0, 0);
      else if (!strcmp (line, "flags"))
        {
          for (size_t i = 0; i < sizeof flagnames / sizeof *flagnames; i++)
            if (strstr (v, flagnames[i].n))
              d->flags |= flagnames[i].f;
        }
    }
  return have_uuid ? 0 : -ESRCH;
}

int
fx_dom_save (const struct dom *d)
{
  char path[PATH_MAX], tmp[PATH_MAX], buf[1024];
  int n, fd;

  n = snprintf (buf, sizeof buf,
                "uuid=%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
                "%02x%02x%02x%02x%02x%02x\nflags=",
                d->uuid[0], d->uuid[1], d->uuid[2], d->uuid[3], d->uuid[4], d->uuid[5], d->uuid[6],
                d->uuid[7], d->uuid[8], d->uuid[9], d->uuid[10], d->uuid[11], d->uuid[12],
                d->uuid[13], d->uuid[14], d->uuid[15]);
  for (size_t i = 0; i < sizeof flagnames / sizeof *flagnames; i++)
    if (d->flags & flagnames[i].f)
      n += snprintf (buf + n, sizeof buf - n, "%s,", flagnames[i].n);
  n += snprintf (buf + n, sizeof buf - n,
                 "\nreason=%u\nvcpus=%u\npool=%u\nmemkb=%llu\nmaxmemkb=%llu\n", d->reason, d->vcpus,
                 d->pool, (unsigned long long) d->memkb, (unsigned long long) d->maxmemkb);
  snprintf (path, sizeof path, "%s/%u", fx_statedir (), d->id);
  snprintf (tmp, sizeof tmp, "%s/.new.%u.%d", fx_statedir (), d->id, getpid ());
  fd = fx_raw_open (tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0)
    return -EIO;
  (void) !write (fd, buf, n);
  close (fd);
  return fx_raw_rename (tmp, path) ? -EIO : 0;
}

static int
cmp_unsigned (const void *a, const void *b)
{
  unsigned x = *(const unsigned *) a, y = *(const unsigned *) b;
  return x < y ? -1 : x > y;
}

/* All domain ids >= first, ascending. */
int
fx_dom_list (unsigned first, unsigned **out)
{
  REAL (DIR *, opendir, const char *);
  DIR *dir = fx_statedir () ? real_opendir (fx_statedir ()) : NULL;
  struct dirent *e;
  int n = 0, cap = 0;

  *out = NULL;
  if (!dir)
    return 0;
  while ((e = readdir (dir)))
    {
      char *end;
      unsigned long v;
      if (e->d_name[0] < '0' || e->d_name[0] > '9')
        continue;
      v = strtoul (e->d_name, &end, 10);
      if (*end || v < first || v >= 0x7ff0)
        continue;
      if (n == cap)
        *out = realloc (*out, (cap = cap * 2 + 64) * sizeof **out);
      (*out)[n++] = v;
    }
  closedir (dir);
  qsort (*out, n, sizeof **out, cmp_unsigned);
  return n;
}

void
fx_dom_fill (const struct dom *d, xen_domctl_getdomaininfo_t *i)
{
  memset (i, 0, sizeof *i);
  i->domain = d->id;
  i->flags = d->flags;
  if (d->flags & XEN_DOMINF_shutdown)
    i->flags |= (d->reason & XEN_DOMINF_shutdownmask) << XEN_DOMINF_shutdownshift;
  i->tot_pages = d->memkb / 4;
  i->max_pages = d->maxmemkb / 4;
  i->cpu_time = 1000000000ull * (d->id + 1);
  i->nr_online_vcpus = d->vcpus;
  i->max_vcpu_id = d->vcpus - 1;
  i->cpupool = d->pool;
  memcpy (i->handle, d->uuid, 16);
}

/* VIRQ_DOM_EXC: write the port into every FIFO that registered for it. */
void
fx_raise_dom_exc (void)
{
  char pat[PATH_MAX];
  glob_t g;
  REAL (int, glob, const char *, int, int (*) (const char *, int), glob_t *);

  if (!fx_statedir ())
    return;
  snprintf (pat, sizeof pat, "%s/evtchn.*.domexc", fx_statedir ());
  if (real_glob (pat, 0, NULL, &g))
    return;
  for (size_t k = 0; k < g.gl_pathc; k++)
    {
      char fifo[PATH_MAX], txt[32] = "";
      uint32_t port;
      int fd = fx_raw_open (g.gl_pathv[k], O_RDONLY | O_CLOEXEC, 0);
      if (fd < 0)
        continue;
      (void) !read (fd, txt, sizeof txt - 1);
      close (fd);
      port = strtoul (txt, NULL, 10);
      snprintf (fifo, sizeof fifo, "%.*s", (int) (strlen (g.gl_pathv[k]) - strlen (".domexc")),
                g.gl_pathv[k]);
      fd = fx_raw_open (fifo, O_WRONLY | O_NONBLOCK | O_CLOEXEC, 0);
      if (fd < 0)
        continue; /* reader is gone */
      (void) !write (fd, &port, sizeof port);
      close (fd);
    }
  globfree (&g);
}

/* -------------------------------------------------------------- set-up */

__attribute__ ((constructor)) static void
setup (void)
{
  char path[PATH_MAX];
  int fd;
  const char *d = fx_statedir ();

  if (!d)
    return;
  /* What xenstored reads to find dom0's ring. */
  snprintf (path, sizeof path, "%s/proc", d);
  {
    REAL (int, mkdir, const char *, mode_t);
    real_mkdir (path, 0700);
  }
  snprintf (path, sizeof path, "%s/proc/xsd_port", d);
  fd = fx_raw_open (path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd >= 0)
    {
      (void) !write (fd, "1", 1);
      close (fd);
    }
  snprintf (path, sizeof path, "%s/proc/xsd_kva", d);
  fd = fx_raw_open (path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd >= 0)
    {
      (void) !ftruncate (fd, 4096);
      close (fd);
    }
}
