/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * lxl.c - drive the REAL libxenlight from the command line.
 *
 * Nothing here knows how libxl keeps userdata: every subcommand is one libxl
 * API call.  Run it under libfakexen.so with FAKEXEN_DIR (and friends) and
 * XENSTORED_PATH or XENSTORED_RUNDIR set.
 *
 * usage: lxl [-v] COMMAND ARGS...
 *   store DOMID USERID            data from stdin -> libxl_userdata_store
 *   retrieve DOMID USERID         libxl_userdata_retrieve -> stdout
 *   size DOMID USERID             the same with data_r == NULL; prints length
 *   unlink DOMID USERID           libxl_userdata_unlink
 *   list                          libxl_list_domain
 *   info DOMID                    libxl_domain_info
 *   destroy DOMID                 libxl_domain_destroy (synchronous)
 *   rename DOMID OLD NEW          libxl_domain_rename
 *   preserve DOMID NAME SUFFIX UUID   libxl_domain_preserve
 *   setmaxmem DOMID KB            libxl_domain_setmaxmem (reads libxl-json)
 *   mkjson NAME UUID VCPUS MEMKB  print a libxl_domain_config as JSON
 *   getconfig DOMID               libxl_retrieve_domain_configuration as JSON
 *   vkb-add DOMID ID              libxl_device_vkb_add (rewrites libxl-json)
 *   hammer-store DOMID USERID COUNT MAXLEN SEED
 *   hammer-read  DOMID USERID SECONDS
 *        blobs are self-describing, see blob(); a torn one ends the run
 *
 * The result is reported on stderr as "rc=N errno=N" and as the exit status:
 * 0 rc == 0; 10 no data (retrieve only); 20 rc == ERROR_LOCK_FAIL;
 * 21 rc == ERROR_FAIL; 22 ERROR_DOMAIN_NOTFOUND; 23 other negative rc;
 * 24 positive rc; 30 torn data; 2 usage; 3 no libxl context.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libxl.h>
#include <libxl_utils.h>
#include <xentoollog.h>

static libxl_ctx *ctx;

static int
report (int rc)
{
  int e = errno;
  fprintf (stderr, "rc=%d errno=%d\n", rc, rc ? e : 0);
  if (rc == 0)
    return 0;
  if (rc > 0)
    return 24;
  if (rc == ERROR_LOCK_FAIL)
    return 20;
  if (rc == ERROR_FAIL)
    return 21;
  if (rc == ERROR_DOMAIN_NOTFOUND)
    return 22;
  return 23;
}

static uint8_t *
slurp (int *len)
{
  size_t cap = 1 << 16, n = 0;
  uint8_t *b = malloc (cap);
  ssize_t r;
  while ((r = read (0, b + n, cap - n)) > 0)
    {
      n += r;
      if (n == cap)
        b = realloc (b, cap *= 2);
    }
  *len = n;
  return b;
}

static void
spit (const void *p, size_t n)
{
  const uint8_t *b = p;
  while (n)
    {
      ssize_t w = write (1, b, n);
      if (w <= 0)
        exit (1);
      b += w;
      n -= w;
    }
}

/*
 * A blob of length n (>= 16): "XDS" '\n', its length (4 bytes, little endian),
 * a seed (4 bytes), a checksum of what follows (4 bytes), filler from the seed.
 */
static uint32_t
prng (uint32_t *s)
{
  *s ^= *s << 13;
  *s ^= *s >> 17;
  *s ^= *s << 5;
  return *s;
}
static uint32_t
sum (const uint8_t *b, size_t n)
{
  uint32_t h = 2166136261u;
  while (n--)
    h = (h ^ *b++) * 16777619u;
  return h;
}
static void
blob (uint8_t *b, uint32_t n, uint32_t seed)
{
  uint32_t s = seed | 1, c;
  memcpy (b, "XDS\n", 4);
  memcpy (b + 4, &n, 4);
  memcpy (b + 8, &seed, 4);
  for (uint32_t i = 16; i < n; i++)
    b[i] = prng (&s);
  c = sum (b + 16, n - 16);
  memcpy (b + 12, &c, 4);
}
static bool
blob_ok (const uint8_t *b, uint32_t n)
{
  uint32_t len, c;
  if (n < 16 || memcmp (b, "XDS\n", 4))
    return false;
  memcpy (&len, b + 4, 4);
  memcpy (&c, b + 12, 4);
  return len == n && c == sum (b + 16, n - 16);
}

static double
now (void)
{
  struct timespec t;
  clock_gettime (CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void
make_config (libxl_domain_config *c, const char *name, const char *uuid, int vcpus, uint64_t memkb)
{
  libxl_domain_config_init (c);
  c->c_info.type = LIBXL_DOMAIN_TYPE_PV;
  c->c_info.name = strdup (name);
  libxl_uuid_from_string (&c->c_info.uuid, uuid);
  libxl_domain_build_info_init (&c->b_info);
  libxl_domain_build_info_init_type (&c->b_info, LIBXL_DOMAIN_TYPE_PV);
  c->b_info.max_vcpus = vcpus;
  libxl_bitmap_alloc (ctx, &c->b_info.avail_vcpus, vcpus);
  libxl_bitmap_set_any (&c->b_info.avail_vcpus);
  c->b_info.max_memkb = c->b_info.target_memkb = memkb;
  c->b_info.video_memkb = 0;
  c->b_info.kernel = strdup ("/boot/vmlinuz-guest");
  c->b_info.cmdline = strdup ("root=/dev/xvda1 \"quoted\" \xc3\xa9");
}

/* --- one function a verb; a[0] is the domid where there is one --- */

static uint32_t
domid_of (char **a)
{
  return strtoul (a[0], NULL, 0);
}

static int
do_store (char **a)
{
  int len;
  uint8_t *b = slurp (&len);
  int st;

  errno = 0;
  st = report (libxl_userdata_store (ctx, domid_of (a), a[1], b, len));
  free (b);
  return st;
}

static int
do_retrieve (char **a)
{
  uint8_t *b = NULL;
  int len = -1;
  int rc = libxl_userdata_retrieve (ctx, domid_of (a), a[1], &b, &len);
  int st = report (rc);

  if (rc)
    return st;
  if (b == NULL && len == 0)
    return 10;
  spit (b, len);
  free (b);
  return st;
}

static int
do_size (char **a)
{
  int len = -1;
  int rc = libxl_userdata_retrieve (ctx, domid_of (a), a[1], NULL, &len);

  if (!rc)
    printf ("%d\n", len);
  return report (rc);
}

static int
do_unlink (char **a)
{
  return report (libxl_userdata_unlink (ctx, domid_of (a), a[1]));
}

static int
do_list (char **a)
{
  int nb = 0;
  libxl_dominfo *l = libxl_list_domain (ctx, &nb);

  (void) a;
  if (!l)
    return 21;
  for (int i = 0; i < nb; i++)
    printf ("%u " LIBXL_UUID_FMT " %s%s%s\n", l[i].domid, LIBXL_UUID_BYTES (l[i].uuid),
            l[i].shutdown ? "s" : "-", l[i].dying ? "d" : "-", l[i].paused ? "p" : "-");
  libxl_dominfo_list_free (l, nb);
  return 0;
}

static int
do_info (char **a)
{
  libxl_dominfo i;
  int rc, st;

  libxl_dominfo_init (&i);
  rc = libxl_domain_info (ctx, &i, domid_of (a));
  st = report (rc);
  if (!rc)
    {
      char *js = libxl_dominfo_to_json (ctx, &i);

      printf ("%s", js);
      free (js);
    }
  libxl_dominfo_dispose (&i);
  return st;
}

static int
do_destroy (char **a)
{
  return report (libxl_domain_destroy (ctx, domid_of (a), NULL));
}

static int
do_rename (char **a)
{
  return report (libxl_domain_rename (ctx, domid_of (a), a[1], a[2]));
}

static int
do_preserve (char **a)
{
  libxl_domain_create_info ci;
  libxl_uuid u;
  int st;

  libxl_domain_create_info_init (&ci);
  ci.name = strdup (a[1]);
  libxl_uuid_from_string (&u, a[3]);
  st = report (libxl_domain_preserve (ctx, domid_of (a), &ci, a[2], u));
  libxl_domain_create_info_dispose (&ci);
  return st;
}

static int
do_setmaxmem (char **a)
{
  return report (libxl_domain_setmaxmem (ctx, domid_of (a), strtoull (a[1], NULL, 0)));
}

static int
do_mkjson (char **a)
{
  libxl_domain_config c;
  char *js;

  make_config (&c, a[0], a[1], atoi (a[2]), strtoull (a[3], NULL, 0));
  js = libxl_domain_config_to_json (ctx, &c);
  if (!js)
    return 21;
  spit (js, strlen (js) + 1); /* libxl-json ends with a NUL */
  free (js);
  libxl_domain_config_dispose (&c);
  return 0;
}

static int
do_getconfig (char **a)
{
  libxl_domain_config c;
  int rc, st;

  libxl_domain_config_init (&c);
  rc = libxl_retrieve_domain_configuration (ctx, domid_of (a), &c, NULL);
  st = report (rc);
  if (!rc)
    {
      char *js = libxl_domain_config_to_json (ctx, &c);

      printf ("%s", js);
      free (js);
    }
  libxl_domain_config_dispose (&c);
  return st;
}

static int
do_vkb_add (char **a)
{
  libxl_device_vkb v;
  int st;

  libxl_device_vkb_init (&v);
  v.devid = -1;
  v.backend_type = LIBXL_VKB_BACKEND_LINUX;
  v.unique_id = strdup (a[1]);
  st = report (libxl_device_vkb_add (ctx, domid_of (a), &v, NULL));
  libxl_device_vkb_dispose (&v);
  return st;
}

static int
do_hammer_store (char **a)
{
  int count = atoi (a[2]), st = 0, done;
  uint32_t max = strtoul (a[3], 0, 0), seed = strtoul (a[4], 0, 0) | 1;
  uint8_t *b = malloc (max < 16 ? 16 : max);
  double t0 = now ();

  for (done = 0; done < count && st == 0; done++)
    {
      uint32_t len = 16 + prng (&seed) % (max - 15);
      int rc;

      blob (b, len, prng (&seed));
      rc = libxl_userdata_store (ctx, domid_of (a), a[1], b, len);
      if (rc)
        st = report (rc);
    }
  printf ("stores=%d seconds=%.3f\n", done, now () - t0);
  free (b);
  return st;
}

static int
do_hammer_read (char **a)
{
  double end = now () + atof (a[2]);
  long reads = 0, empty = 0;
  int st = 0;

  while (now () < end && st == 0)
    {
      uint8_t *b = NULL;
      int len = 0;
      int rc = libxl_userdata_retrieve (ctx, domid_of (a), a[1], &b, &len);

      if (rc)
        st = report (rc);
      else if (!b)
        empty++;
      else if (blob_ok (b, len))
        reads++;
      else
        {
          fprintf (stderr, "torn blob of %d bytes\n", len);
          st = 30;
        }
      free (b);
    }
  printf ("reads=%ld empty=%ld\n", reads, empty);
  return st;
}

static const struct
{
  const char *name;
  int n;
  int (*run) (char **a);
} verbs[] = {
  { "store", 2, do_store },
  { "retrieve", 2, do_retrieve },
  { "size", 2, do_size },
  { "unlink", 2, do_unlink },
  { "list", 0, do_list },
  { "info", 1, do_info },
  { "destroy", 1, do_destroy },
  { "rename", 3, do_rename },
  { "preserve", 4, do_preserve },
  { "setmaxmem", 2, do_setmaxmem },
  { "mkjson", 4, do_mkjson },
  { "getconfig", 1, do_getconfig },
  { "vkb-add", 2, do_vkb_add },
  { "hammer-store", 5, do_hammer_store },
  { "hammer-read", 3, do_hammer_read },
};

static int
usage (void)
{
  fprintf (stderr, "usage: lxl [-v] COMMAND ARGS... (see lxl.c)\n");
  return 2;
}

static int
run (int argc, char **argv)
{
  if (argc < 2)
    return usage ();
  for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
    if (!strcmp (argv[1], verbs[i].name) && argc - 2 == verbs[i].n)
      {
        errno = 0;
        return verbs[i].run (argv + 2);
      }
  return usage ();
}

int
main (int argc, char **argv)
{
  xentoollog_level level = XTL_ERROR;
  xentoollog_logger_stdiostream *lg;
  int st;

  if (argc > 1 && !strcmp (argv[1], "-v"))
    {
      level = XTL_DEBUG;
      argv++;
      argc--;
    }
  lg = xtl_createlogger_stdiostream (stderr, level, 0);
  if (libxl_ctx_alloc (&ctx, LIBXL_VERSION, 0, (xentoollog_logger *) lg))
    {
      fprintf (stderr, "lxl: no libxl context\n");
      return 3;
    }
  st = run (argc, argv);
  libxl_ctx_free (ctx);
  xtl_logger_destroy ((xentoollog_logger *) lg);
  return st;
}
