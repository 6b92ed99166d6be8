/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * File functions with moved paths, event channels as FIFOs, grants as files.
 */

#include "fakexen.h"

/* --------------------------------------------------------- file functions */

static int
do_open (const char *path, int flags, mode_t mode)
{
  char buf[PATH_MAX];
  int fd;

  if (path && fx_statedir ()
      && (!strcmp (path, "/dev/xen/privcmd") || !strcmp (path, "/proc/xen/privcmd")))
    return fx_open_privcmd (flags);
  path = fx_move (path, buf);
  if (flags & O_CREAT)
    fx_checkpoint ("open", path);
  if (fx_is_userdata (path) && !fx_is_payload (path) && getenv ("FAKEXEN_FAIL")
      && !strcmp (getenv ("FAKEXEN_FAIL"), "lockopen"))
    {
      fx_trace ("open %s made to fail", path);
      errno = EMFILE;
      return -1;
    }
  fd = fx_raw_open (path, flags, mode);
  if (fd >= 0 && fd < (int) FX_PRIVCMD_FDS)
    fx_privcmd_fds[fd] = 0;
  if (fx_is_userdata (path))
    fx_trace ("open %s flags=%#x -> %d", path, flags, fd);
  return fd;
}

static mode_t
mode_arg (int flags, va_list ap)
{
  if (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE)
    return va_arg (ap, mode_t);
  return 0;
}

#define OPEN_LIKE(name)                                                                            \
  EXPORT int name (const char *path, int flags, ...)                                               \
  {                                                                                                \
    va_list ap;                                                                                    \
    mode_t mode;                                                                                   \
    va_start (ap, flags);                                                                          \
    mode = mode_arg (flags, ap);                                                                   \
    va_end (ap);                                                                                   \
    return do_open (path, flags, mode);                                                            \
  }
OPEN_LIKE (open)
OPEN_LIKE (open64)
EXPORT int
__open_2 (const char *p, int f)
{
  return do_open (p, f, 0);
}
EXPORT int
__open64_2 (const char *p, int f)
{
  return do_open (p, f, 0);
}

#define FOPEN_LIKE(name)                                                                           \
  EXPORT FILE *name (const char *path, const char *mode)                                           \
  {                                                                                                \
    char buf[PATH_MAX];                                                                            \
    REAL (FILE *, name, const char *, const char *);                                               \
    path = fx_move (path, buf);                                                                    \
    fx_checkpoint ("fopen", path);                                                                 \
    if (fx_is_userdata (path))                                                                     \
      fx_trace ("fopen %s %s", path, mode);                                                        \
    return real_##name (path, mode);                                                               \
  }
FOPEN_LIKE (fopen)
FOPEN_LIKE (fopen64)

#define STAT_LIKE(name, type)                                                                      \
  EXPORT int name (const char *path, type *st)                                                     \
  {                                                                                                \
    char buf[PATH_MAX];                                                                            \
    REAL (int, name, const char *, type *);                                                        \
    return real_##name (fx_move (path, buf), st);                                                  \
  }
STAT_LIKE (stat, struct stat)
STAT_LIKE (lstat, struct stat)
STAT_LIKE (stat64, struct stat64)
STAT_LIKE (lstat64, struct stat64)

EXPORT int
access (const char *path, int mode)
{
  char buf[PATH_MAX];
  REAL (int, access, const char *, int);
  return real_access (fx_move (path, buf), mode);
}
EXPORT int
mkdir (const char *path, mode_t mode)
{
  char buf[PATH_MAX];
  REAL (int, mkdir, const char *, mode_t);
  return real_mkdir (fx_move (path, buf), mode);
}
EXPORT int
rmdir (const char *path)
{
  char buf[PATH_MAX];
  REAL (int, rmdir, const char *);
  return real_rmdir (fx_move (path, buf));
}
EXPORT DIR *
opendir (const char *path)
{
  char buf[PATH_MAX];
  REAL (DIR *, opendir, const char *);
  return real_opendir (fx_move (path, buf));
}
EXPORT int
unlink (const char *path)
{
  char buf[PATH_MAX];
  int rc;
  path = fx_move (path, buf);
  fx_checkpoint ("unlink", path);
  rc = fx_raw_unlink (path);
  if (fx_is_userdata (path))
    fx_trace ("unlink %s -> %d", path, rc);
  return rc;
}
EXPORT int
rename (const char *a, const char *b)
{
  char ba[PATH_MAX], bb[PATH_MAX];
  int rc;
  a = fx_move (a, ba);
  b = fx_move (b, bb);
  fx_checkpoint ("rename", a);
  rc = fx_raw_rename (a, b);
  if (fx_is_userdata (b))
    fx_trace ("rename %s -> %s: %d", a, b, rc);
  return rc;
}

#define GLOB_LIKE(name, type)                                                                      \
  EXPORT int name (const char *pat, int flags, int (*err) (const char *, int), type *g)            \
  {                                                                                                \
    char buf[PATH_MAX];                                                                            \
    int rc;                                                                                        \
    REAL (int, name, const char *, int, int (*) (const char *, int), type *);                      \
    pat = fx_move (pat, buf);                                                                      \
    rc = real_##name (pat, flags, err, g);                                                         \
    if (strstr (pat, "userdata-"))                                                                 \
      fx_trace ("glob %s -> %d (%zu)", pat, rc, rc ? (size_t) 0 : (size_t) g->gl_pathc);           \
    return rc;                                                                                     \
  }
GLOB_LIKE (glob, glob_t)
GLOB_LIKE (glob64, glob64_t)

EXPORT int
flock (int fd, int op)
{
  int rc;
  REAL (int, flock, int, int);
  rc = real_flock (fd, op);
  fx_trace ("flock fd=%d op=%d -> %d", fd, op, rc);
  return rc;
}
EXPORT int
fsync (int fd)
{
  REAL (int, fsync, int);
  fx_trace ("fsync fd=%d", fd);
  return real_fsync (fd);
}
EXPORT int
fdatasync (int fd)
{
  REAL (int, fdatasync, int);
  fx_trace ("fdatasync fd=%d", fd);
  return real_fdatasync (fd);
}

EXPORT ssize_t
write (int fd, const void *buf, size_t len)
{
  REAL (ssize_t, write, int, const void *, size_t);
  if (getenv ("FAKEXEN_FAIL") && !strcmp (getenv ("FAKEXEN_FAIL"), "enospc"))
    {
      char link[64], target[PATH_MAX];
      ssize_t n;
      snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
      n = readlink (link, target, sizeof target - 1);
      if (n > 0)
        {
          target[n] = 0;
          if (fx_is_payload (target))
            {
              errno = ENOSPC;
              return -1;
            }
        }
    }
  return real_write (fd, buf, len);
}

EXPORT int
close (int fd)
{
  REAL (int, close, int);
  if (fd >= 0 && fd < (int) FX_PRIVCMD_FDS)
    fx_privcmd_fds[fd] = 0;
  if (getenv ("FAKEXEN_KILL") && !strcmp (getenv ("FAKEXEN_KILL"), "close"))
    {
      char link[64], target[PATH_MAX];
      ssize_t n;
      snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
      n = readlink (link, target, sizeof target - 1);
      if (n > 0)
        {
          target[n] = 0;
          fx_checkpoint ("close", target);
        }
    }
  return real_close (fd);
}

/* Unix sockets under the moved directories (QMP and such). */
static const struct sockaddr *
move_sock (const struct sockaddr *sa, socklen_t *len, struct sockaddr_un *un)
{
  char buf[PATH_MAX];
  const char *p;
  if (!sa || sa->sa_family != AF_UNIX || *len <= sizeof (sa_family_t))
    return sa;
  if (((const struct sockaddr_un *) sa)->sun_path[0] != '/')
    return sa;
  p = fx_move (((const struct sockaddr_un *) sa)->sun_path, buf);
  if (p != buf || strlen (p) >= sizeof un->sun_path)
    return sa;
  memset (un, 0, sizeof *un);
  un->sun_family = AF_UNIX;
  strcpy (un->sun_path, p);
  *len = sizeof *un;
  return (const struct sockaddr *) un;
}
EXPORT int
connect (int fd, const struct sockaddr *sa, socklen_t len)
{
  struct sockaddr_un un;
  REAL (int, connect, int, const struct sockaddr *, socklen_t);
  sa = move_sock (sa, &len, &un);
  return real_connect (fd, sa, len);
}
EXPORT int
bind (int fd, const struct sockaddr *sa, socklen_t len)
{
  struct sockaddr_un un;
  REAL (int, bind, int, const struct sockaddr *, socklen_t);
  sa = move_sock (sa, &len, &un);
  return real_bind (fd, sa, len);
}

/* ---------------------------------------------------------- event channel */

struct xenevtchn_handle
{
  int fd;
  char fifo[PATH_MAX];
  uint32_t next;
};
typedef struct xenevtchn_handle xenevtchn_handle;

EXPORT xenevtchn_handle *
xenevtchn_open (void *logger, unsigned flags)
{
  static unsigned seq;
  xenevtchn_handle *h;
  (void) logger;
  (void) flags;
  if (!fx_statedir ())
    {
      errno = ENOENT;
      return NULL;
    }
  h = calloc (1, sizeof *h);
  snprintf (h->fifo, sizeof h->fifo, "%s/evtchn.%d.%u", fx_statedir (), (int) getpid (),
            __atomic_fetch_add (&seq, 1, __ATOMIC_RELAXED));
  fx_raw_unlink (h->fifo);
  if (mkfifo (h->fifo, 0600))
    {
      free (h);
      return NULL;
    }
  h->fd = fx_raw_open (h->fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC, 0);
  h->next = 1;
  return h;
}
EXPORT xenevtchn_handle *
xenevtchn_fdopen (void *logger, int fd, unsigned flags)
{
  (void) logger;
  (void) fd;
  (void) flags;
  errno = ENOSYS;
  return NULL;
}
EXPORT int
xenevtchn_close (xenevtchn_handle *h)
{
  char reg[PATH_MAX + 16];
  if (!h)
    return 0;
  snprintf (reg, sizeof reg, "%s.domexc", h->fifo);
  fx_raw_unlink (reg);
  fx_raw_unlink (h->fifo);
  close (h->fd);
  free (h);
  return 0;
}
EXPORT int
xenevtchn_fd (xenevtchn_handle *h)
{
  return h->fd;
}
EXPORT int
xenevtchn_notify (xenevtchn_handle *h, uint32_t port)
{
  (void) h;
  (void) port;
  return 0;
}
EXPORT int
xenevtchn_bind_unbound_port (xenevtchn_handle *h, uint32_t domid)
{
  (void) domid;
  return h->next++;
}
EXPORT int
xenevtchn_bind_interdomain (xenevtchn_handle *h, uint32_t domid, uint32_t port)
{
  (void) domid;
  (void) port;
  return h->next++;
}
EXPORT int
xenevtchn_bind_virq (xenevtchn_handle *h, unsigned virq)
{
  int port = h->next++;
  if (virq == VIRQ_DOM_EXC)
    {
      char reg[PATH_MAX + 16], txt[16];
      int fd, n = snprintf (txt, sizeof txt, "%d\n", port);
      snprintf (reg, sizeof reg, "%s.domexc", h->fifo);
      fd = fx_raw_open (reg, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
      if (fd < 0)
        return -1;
      (void) !write (fd, txt, n);
      close (fd);
      /* A freshly bound VIRQ is delivered once, as on real Xen. */
      (void) !write (h->fd, &(uint32_t){ port }, 4);
    }
  return port;
}
EXPORT int
xenevtchn_unbind (xenevtchn_handle *h, uint32_t port)
{
  (void) h;
  (void) port;
  return 0;
}
EXPORT int
xenevtchn_pending (xenevtchn_handle *h)
{
  uint32_t port;
  if (read (h->fd, &port, sizeof port) != sizeof port)
    return -1;
  return port;
}
EXPORT int
xenevtchn_unmask (xenevtchn_handle *h, uint32_t port)
{
  (void) h;
  (void) port;
  return 0;
}
EXPORT int
xenevtchn_restrict (xenevtchn_handle *h, uint16_t domid)
{
  (void) h;
  (void) domid;
  return 0;
}

/* ------------------------------------------------------------ grant table */

typedef struct xengnttab_handle
{
  int unused;
} xengnttab_handle;

EXPORT xengnttab_handle *
xengnttab_open (void *logger, unsigned flags)
{
  (void) logger;
  (void) flags;
  return calloc (1, sizeof (xengnttab_handle));
}
EXPORT int
xengnttab_close (xengnttab_handle *h)
{
  free (h);
  return 0;
}
EXPORT int
xengnttab_set_max_grants (xengnttab_handle *h, uint32_t n)
{
  (void) h;
  (void) n;
  return 0;
}
EXPORT void *
xengnttab_map_grant_ref (xengnttab_handle *h, uint32_t domid, uint32_t ref, int prot)
{
  void *p = fx_map_page (NULL, domid, ref, prot);
  (void) h;
  return p == MAP_FAILED ? NULL : p;
}
EXPORT int
xengnttab_unmap (xengnttab_handle *h, void *p, uint32_t count)
{
  (void) h;
  return munmap (p, 4096ul * count);
}
