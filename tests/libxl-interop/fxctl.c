/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * fxctl.c - make, change and destroy the domains of fakexen.
 *
 * Run under libfakexen.so, like the programs under test.
 *
 * usage: fxctl COMMAND ARGS...
 *   add DOMID UUID NAME [VCPUS [MEMKB]]  make the domain, tell xenstored about
 *                            it, write the nodes that xl and libxl look at
 *   kill DOMID               destroy it behind the toolstack's back
 *                            (xc_domain_destroy, then VIRQ_DOM_EXC)
 *   shutdown DOMID REASON    the guest shuts down but is not destroyed
 *   rehandle DOMID UUID      change the UUID that the hypervisor reports
 *   exists DOMID             exit status 0 or 1
 *   backends                 play every device backend: answer state 1 with 2
 *                            and 5 with 6, until killed
 *   releaser                 for daemons that have no event channel: on
 *                            VIRQ_DOM_EXC do XS_RELEASE for vanished domains
 *   watch SECONDS PATH...    print watch events
 *   cleaner DIR              a minimal stand-in for the daemon under test: on
 *                            @releaseDomain remove the userdata of domains
 *                            that are gone.  FXCLEAN_BUG makes it wrong:
 *                            shutdown (also those of guests that only shut
 *                            down), nouuid (looks at the domid only), nolock
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <xenctrl.h>
#include <xenevtchn.h>
#include <xenstore.h>

static void
die (const char *what)
{
  fprintf (stderr, "fxctl: %s: %s\n", what, strerror (errno));
  exit (1);
}

static struct xs_handle *
store (void)
{
  struct xs_handle *h = xs_open (0);
  if (!h)
    die ("xs_open");
  return h;
}

static xc_interface *
hyp (void)
{
  xc_interface *x = xc_interface_open (0, 0, 0);
  if (!x)
    die ("xc_interface_open");
  return x;
}

static void
put (struct xs_handle *h, const char *val, const char *fmt, ...)
{
  char path[512];
  va_list ap;
  va_start (ap, fmt);
  vsnprintf (path, sizeof path, fmt, ap);
  va_end (ap);
  if (!xs_write (h, XBT_NULL, path, val, strlen (val)))
    die (path);
}

static int
add (int n, char **a)
{
  unsigned id = strtoul (a[0], 0, 0), vcpus = n > 3 ? atoi (a[3]) : 1;
  const char *mem = n > 4 ? a[4] : "262144";
  char path[4096], tmp[4096], txt[64];
  FILE *f;
  struct xs_handle *h;

  snprintf (path, sizeof path, "%s/%u", getenv ("FAKEXEN_DIR"), id);
  snprintf (tmp, sizeof tmp, "%s/.add.%u.%d", getenv ("FAKEXEN_DIR"), id, (int) getpid ());
  f = fopen (tmp, "w");
  if (!f)
    die (tmp);
  fprintf (f, "uuid=%s\nflags=blocked\nvcpus=%u\nmemkb=%s\nmaxmemkb=%s\n", a[1], vcpus, mem, mem);
  fclose (f);
  if (rename (tmp, path))
    die (path);

  h = store ();
  if (id && !xs_introduce_domain (h, id, 1, 1))
    die ("xs_introduce_domain");
  put (h, a[2], "/local/domain/%u/name", id);
  snprintf (txt, sizeof txt, "%u", id);
  put (h, txt, "/local/domain/%u/domid", id);
  snprintf (txt, sizeof txt, "/vm/%s", a[1]);
  put (h, txt, "/local/domain/%u/vm", id);
  put (h, a[2], "/vm/%s/name", a[1]);
  put (h, a[1], "/vm/%s/uuid", a[1]);
  put (h, mem, "/local/domain/%u/memory/target", id);
  put (h, mem, "/local/domain/%u/memory/static-max", id);
  for (unsigned v = 0; v < vcpus; v++)
    put (h, "online", "/local/domain/%u/cpu/%u/availability", id, v);
  put (h, "pv", "/libxl/%u/type", id);
  xs_close (h);
  return 0;
}

static int
backends (void)
{
  struct xs_handle *h = store ();
  unsigned num;
  char **ev;

  xs_watch (h, "/local/domain/0/backend", "b");
  while ((ev = xs_read_watch (h, &num)))
    {
      const char *p = ev[XS_WATCH_PATH];
      size_t n = strlen (p);
      if (n > 6 && !strcmp (p + n - 6, "/state"))
        {
          char *v = xs_read (h, XBT_NULL, p, NULL);
          if (v && !strcmp (v, "1"))
            xs_write (h, XBT_NULL, p, "2", 1);
          if (v && !strcmp (v, "5"))
            xs_write (h, XBT_NULL, p, "6", 1);
          free (v);
        }
      free (ev);
    }
  return 0;
}

static int
releaser (void)
{
  static unsigned char seen[0x7ff0];
  struct xs_handle *h = store ();
  xc_interface *x = hyp ();
  xenevtchn_handle *e = xenevtchn_open (NULL, 0);
  if (!e || xenevtchn_bind_virq (e, VIRQ_DOM_EXC) < 0)
    die ("event channel");
  for (;;)
    {
      static xc_domaininfo_t info[1024];
      static unsigned char now[0x7ff0];
      struct pollfd p = { .fd = xenevtchn_fd (e), .events = POLLIN };
      int n;
      /* Domains come without an event, so look now and then. */
      if (poll (&p, 1, 20) > 0)
        xenevtchn_pending (e);
      n = xc_domain_getinfolist (x, 0, 1024, info);
      memset (now, 0, sizeof now);
      for (int i = 0; i < n; i++)
        now[info[i].domain] = 1;
      for (unsigned d = 1; d < sizeof now; d++)
        if (seen[d] && !now[d])
          xs_release_domain (h, d);
      memcpy (seen, now, sizeof now);
    }
  return 0;
}

static int
watch (int n, char **a)
{
  struct xs_handle *h = store ();
  struct timespec t;
  double end;

  for (int i = 1; i < n; i++)
    xs_watch (h, a[i], a[i]);
  clock_gettime (CLOCK_MONOTONIC, &t);
  end = t.tv_sec + t.tv_nsec / 1e9 + atof (a[0]);
  for (;;)
    {
      struct pollfd p = { .fd = xs_fileno (h), .events = POLLIN };
      char **ev;
      double left;
      clock_gettime (CLOCK_MONOTONIC, &t);
      left = end - (t.tv_sec + t.tv_nsec / 1e9);
      if (left <= 0)
        return 0;
      if (poll (&p, 1, left * 1000) <= 0)
        continue;
      while ((ev = xs_check_watch (h)))
        {
          printf ("%s %s\n", ev[XS_WATCH_PATH], ev[XS_WATCH_TOKEN]);
          fflush (stdout);
          free (ev);
        }
    }
}

static int
bug (const char *b)
{
  const char *e = getenv ("FXCLEAN_BUG");
  return e && !strcmp (e, b);
}

/* Is the domain DOMID with this UUID (as in the file name) still there? */
static int
alive (xc_interface *x, unsigned domid, const char *uuid)
{
  xc_domaininfo_t i;
  char txt[40];
  int n = 0;
  if (xc_domain_getinfolist (x, domid, 1, &i) != 1 || i.domain != domid)
    return 0;
  if (bug ("nouuid"))
    return 1;
  if (bug ("shutdown") && (i.flags & XEN_DOMINF_shutdown))
    return 0;
  for (int k = 0; k < 16; k++)
    n += sprintf (txt + n, "%s%02x", k == 4 || k == 6 || k == 8 || k == 10 ? "-" : "", i.handle[k]);
  return !strncmp (txt, uuid, 36);
}

static void
scan (xc_interface *x, const char *dir)
{
  DIR *d = opendir (dir);
  struct dirent *e;
  while (d && (e = readdir (d)))
    {
      unsigned domid;
      int n = 0, fd = -1;
      char tail[64], path[4096], lock[4096];
      if (strncmp (e->d_name, "userdata-", 9) || e->d_name[10] != '.'
          || sscanf (e->d_name + 11, "%u.%n", &domid, &n) < 1 || strlen (e->d_name + 11 + n) < 37)
        continue;
      snprintf (tail, sizeof tail, "%u.%.36s.", domid, e->d_name + 11 + n);
      if (alive (x, domid, e->d_name + 11 + n))
        continue;
      /* Whoever is storing right now holds the lock: wait for it, so that
       * nothing appears after we have removed everything. */
      snprintf (lock, sizeof lock, "%s/userdata-l.%sdomain-userdata-lock", dir, tail);
      for (; !bug ("nolock");)
        {
          struct stat a, b;
          fd = open (lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
          if (fd < 0)
            break;
          if (!flock (fd, LOCK_EX) && !fstat (fd, &a) && !stat (lock, &b) && a.st_ino == b.st_ino)
            break;
          close (fd);
        }
      if (!alive (x, domid, e->d_name + 11 + n))
        {
          DIR *d2 = opendir (dir);
          struct dirent *f;
          while (d2 && (f = readdir (d2)))
            if (!strncmp (f->d_name, "userdata-", 9)
                && !strncmp (f->d_name + 11, tail, strlen (tail))
                && strcmp (strrchr (lock, '/') + 1, f->d_name))
              {
                snprintf (path, sizeof path, "%s/%s", dir, f->d_name);
                unlink (path);
              }
          if (d2)
            closedir (d2);
        }
      unlink (lock);
      if (fd >= 0)
        close (fd);
    }
  if (d)
    closedir (d);
}

static int
cleaner (const char *dir)
{
  struct xs_handle *h = store ();
  xc_interface *x = hyp ();
  unsigned num;
  char **ev;
  xs_watch (h, "@releaseDomain", "c");
  while ((ev = xs_read_watch (h, &num)))
    {
      free (ev);
      scan (x, dir);
    }
  return 0;
}

int
main (int argc, char **argv)
{
  const char *c = argc > 1 ? argv[1] : "";
  char **a = argv + 2;
  int n = argc - 2;

  if (!getenv ("FAKEXEN_DIR"))
    {
      fprintf (stderr, "fxctl: FAKEXEN_DIR is not set\n");
      return 2;
    }
  if (!strcmp (c, "add") && n >= 3)
    return add (n, a);
  if (!strcmp (c, "kill") && n == 1)
    {
      if (xc_domain_destroy (hyp (), atoi (a[0])))
        die ("xc_domain_destroy");
      return 0;
    }
  if (!strcmp (c, "shutdown") && n == 2)
    {
      if (xc_domain_shutdown (hyp (), atoi (a[0]), atoi (a[1])))
        die ("xc_domain_shutdown");
      return 0;
    }
  if (!strcmp (c, "rehandle") && n == 2)
    {
      xen_domain_handle_t u;
      unsigned b[16];
      if (sscanf (a[1], "%2x%2x%2x%2x-%2x%2x-%2x%2x-%2x%2x-%2x%2x%2x%2x%2x%2x", b, b + 1, b + 2,
                  b + 3, b + 4, b + 5, b + 6, b + 7, b + 8, b + 9, b + 10, b + 11, b + 12, b + 13,
                  b + 14, b + 15)
          != 16)
        return 2;
      for (int i = 0; i < 16; i++)
        u[i] = b[i];
      if (xc_domain_sethandle (hyp (), atoi (a[0]), u))
        die ("sethandle");
      return 0;
    }
  if (!strcmp (c, "exists") && n == 1)
    {
      xc_domaininfo_t i;
      unsigned d = atoi (a[0]);
      return !(xc_domain_getinfolist (hyp (), d, 1, &i) == 1 && i.domain == d);
    }
  if (!strcmp (c, "backends") && n == 0)
    return backends ();
  if (!strcmp (c, "releaser") && n == 0)
    return releaser ();
  if (!strcmp (c, "watch") && n >= 2)
    return watch (n, a);
  if (!strcmp (c, "cleaner") && n == 1)
    return cleaner (a[0]);
  fprintf (stderr, "usage: fxctl COMMAND ARGS... (see fxctl.c)\n");
  return 2;
}
