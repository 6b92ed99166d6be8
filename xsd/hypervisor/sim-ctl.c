/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * xds-sim: makes and ends the domains of a simulated world by hand and in scripts.
 *
 * Exit status: 0 done; 1 no (there is no such domain, or there is one already); 2 usage;
 * 6 there is no world; 7 anything else.
 */

#include "xsd/hypervisor/sim-world.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum
{
  EXIT_NEGATIVE = 1,
  EXIT_USAGE = 2,
  EXIT_NO_WORLD = 6,
  EXIT_OTHER = 7,
};

typedef struct
{
  const char *dir;
  const char *uuid;
  bool json;
} Options;

typedef struct
{
  const char *name;
  const char *args;
  int min, max; /* arguments */
  int (*run) (XdsSimWorld *world, const Options *options, char **args);
  const char *help;
} Verb;

static const char *const reasons[]
    = { "poweroff", "reboot", "suspend", "crash", "watchdog", "soft_reset" };
#define N_REASONS (sizeof reasons / sizeof reasons[0])

__attribute__ ((format (printf, 2, 3))) static int
fail (int status, const char *format, ...)
{
  va_list ap;

  fputs ("xds-sim: ", stderr);
  va_start (ap, format);
  vfprintf (stderr, format, ap);
  va_end (ap);
  fputc ('\n', stderr);
  return status;
}

/* --- arguments --- */

static bool
parse_number (const char *text, unsigned long max, uint32_t *ret_number)
{
  char *end;
  unsigned long n;

  if (*text < '0' || *text > '9')
    return false;
  errno = 0;
  n = strtoul (text, &end, 10);
  if (*end != '\0' || errno != 0 || n > max)
    return false;
  *ret_number = (uint32_t) n;
  return true;
}

static int
parse_domid (const char *text, uint32_t *ret_domid)
{
  if (parse_number (text, XDS_SIM_LAST_DOMID, ret_domid))
    return 0;
  return fail (EXIT_USAGE, "\"%s\" is no domain id: give a number from 0 to %u", text,
               XDS_SIM_LAST_DOMID);
}

static int
parse_reason (const char *text, uint32_t *ret_reason)
{
  uint32_t i;

  if (text == NULL || parse_number (text, 255, ret_reason))
    return 0;
  for (i = 0; i < N_REASONS; i++)
    if (strcmp (text, reasons[i]) == 0)
      {
        *ret_reason = i;
        return 0;
      }
  return fail (EXIT_USAGE,
               "\"%s\" is no reason to shut down: give a number to 255, or one of poweroff, "
               "reboot, suspend, crash, watchdog, soft_reset",
               text);
}

static bool
parse_uuid (const char *text, uint8_t *ret_uuid)
{
  uint8_t uuid[16];
  int i;
  char pair[3] = { 0 };
  const char *at = text;

  for (i = 0; i < 16; i++)
    {
      if ((i == 4 || i == 6 || i == 8 || i == 10) && *at++ != '-')
        return false;
      if (strspn (at, "0123456789abcdefABCDEF") < 2)
        return false;
      memcpy (pair, at, 2);
      uuid[i] = (uint8_t) strtoul (pair, NULL, 16);
      at += 2;
    }
  if (*at != '\0')
    return false;
  memcpy (ret_uuid, uuid, sizeof uuid);
  return true;
}

static int
report (const Options *options, const char *domid, int res)
{
  switch (-res)
    {
    case 0:
      return 0;
    case ESRCH:
      return fail (EXIT_NEGATIVE, "there is no domain %s in %s: see \"xds-sim -w %s list\"", domid,
                   options->dir, options->dir);
    case EEXIST:
      return fail (EXIT_NEGATIVE, "there is a domain %s in %s already: destroy it first", domid,
                   options->dir);
    default:
      return fail (EXIT_OTHER, "cannot change domain %s in %s: %s", domid, options->dir,
                   strerror (-res));
    }
}

/* --- verbs --- */

static int
run_create (XdsSimWorld *world, const Options *options, char **args)
{
  uint8_t uuid[16];
  uint32_t domid;
  int res = parse_domid (args[0], &domid);

  if (res != 0)
    return res;
  if (options->uuid != NULL && !parse_uuid (options->uuid, uuid))
    return fail (EXIT_USAGE, "\"%s\" is no uuid: give 8-4-4-4-12 hexadecimal digits",
                 options->uuid);
  return report (options, args[0],
                 xds_sim_world_create_domain (world, domid, options->uuid != NULL ? uuid : NULL));
}

static int
change (XdsSimWorld *world, const Options *options, char **args, uint32_t set, uint32_t clear,
        uint32_t reason)
{
  uint32_t domid;
  int res = parse_domid (args[0], &domid);

  if (res != 0)
    return res;
  return report (options, args[0], xds_sim_world_change_domain (world, domid, set, clear, reason));
}

static int
run_pause (XdsSimWorld *world, const Options *options, char **args)
{
  return change (world, options, args, XDS_DOMAIN_PAUSED, 0, 0);
}

static int
run_unpause (XdsSimWorld *world, const Options *options, char **args)
{
  return change (world, options, args, 0, XDS_DOMAIN_PAUSED, 0);
}

static int
run_shutdown (XdsSimWorld *world, const Options *options, char **args)
{
  uint32_t reason = XDS_SHUTDOWN_POWEROFF;
  int res = parse_reason (args[1], &reason);

  return res != 0 ? res : change (world, options, args, XDS_DOMAIN_SHUTDOWN, 0, reason);
}

static int
run_crash (XdsSimWorld *world, const Options *options, char **args)
{
  return change (world, options, args, XDS_DOMAIN_SHUTDOWN, 0, XDS_SHUTDOWN_CRASH);
}

static int
run_resume (XdsSimWorld *world, const Options *options, char **args)
{
  return change (world, options, args, 0, XDS_DOMAIN_SHUTDOWN, 0);
}

static int
run_dying (XdsSimWorld *world, const Options *options, char **args)
{
  return change (world, options, args, XDS_DOMAIN_DYING, 0, 0);
}

static int
run_dead (XdsSimWorld *world, const Options *options, char **args)
{
  return change (world, options, args, XDS_DOMAIN_DYING | XDS_DOMAIN_DEAD, 0, 0);
}

static int
run_destroy (XdsSimWorld *world, const Options *options, char **args)
{
  uint32_t domid;
  int res = parse_domid (args[0], &domid);

  return res != 0 ? res : report (options, args[0], xds_sim_world_destroy_domain (world, domid));
}

/* --- list --- */

static const char *
state_name (const XdsDomainV1 *d)
{
  if (d->state & XDS_DOMAIN_DEAD)
    return "dead";
  if (d->state & XDS_DOMAIN_DYING)
    return "dying";
  if (d->state & XDS_DOMAIN_SHUTDOWN)
    return "shutdown";
  return d->state & XDS_DOMAIN_PAUSED ? "paused" : "running";
}

static void
format_uuid (const uint8_t *uuid, char *ret_text)
{
  int i;

  for (i = 0; i < 16; i++)
    ret_text
        += sprintf (ret_text, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", uuid[i]);
}

static void
format_reason (const XdsDomainV1 *d, char *ret_text, size_t size)
{
  if (!(d->state & XDS_DOMAIN_SHUTDOWN))
    *ret_text = '\0';
  else if (d->reason < N_REASONS)
    snprintf (ret_text, size, "%s", reasons[d->reason]);
  else
    snprintf (ret_text, size, "%u", d->reason);
}

static void
print_domain (const XdsDomainV1 *d, bool json, bool last)
{
  char uuid[40], reason[16];

  format_uuid (d->uuid, uuid);
  format_reason (d, reason, sizeof reason);
  if (!json)
    printf ("%5u  %-8s  %-10s  %8llu  %s\n", d->domid, state_name (d), *reason ? reason : "-",
            (unsigned long long) d->unique_id, uuid);
  else
    printf ("  {\"domid\": %u, \"state\": \"%s\", \"paused\": %s, \"reason\": %s%s%s, "
            "\"unique_id\": %llu, \"uuid\": \"%s\"}%s\n",
            d->domid, state_name (d), d->state & XDS_DOMAIN_PAUSED ? "true" : "false",
            *reason ? "\"" : "", *reason ? reason : "null", *reason ? "\"" : "",
            (unsigned long long) d->unique_id, uuid, last ? "" : ",");
}

static int
run_list (XdsSimWorld *world, const Options *options, char **args)
{
  size_t n = 0, i, max = XDS_SIM_LAST_DOMID + 1;
  XdsDomainV1 *domains = calloc (max, sizeof *domains);
  int res = domains == NULL ? -ENOMEM : xds_sim_world_domains (world, domains, max, &n);

  (void) args;
  if (res == 0)
    {
      puts (options->json ? "[" : "DOMID  STATE     REASON      UNIQUE    UUID");
      for (i = 0; i < n; i++)
        print_domain (&domains[i], options->json, i + 1 == n);
      if (options->json)
        puts ("]");
    }
  free (domains);
  return res == 0 ? 0
                  : fail (EXIT_OTHER, "cannot list the domains in %s: %s", options->dir,
                          strerror (-res));
}

/* --- the command --- */

static const Verb verbs[] = {
  { "init", "", 0, 0, NULL, "make the world, or empty it: domain 0 alone" },
  { "list", "[--json]", 0, 0, run_list, "the domains" },
  { "create", "ID [--uuid UUID]", 1, 1, run_create, "a domain comes into being" },
  { "pause", "ID", 1, 1, run_pause, "it is not scheduled" },
  { "unpause", "ID", 1, 1, run_unpause, "it is again" },
  { "shutdown", "ID [REASON]", 1, 2, run_shutdown, "it stops by itself (default: poweroff)" },
  { "crash", "ID", 1, 1, run_crash, "the same as shutdown ID crash" },
  { "resume", "ID", 1, 1, run_resume, "it goes on, as after a suspend that was called off" },
  { "dying", "ID", 1, 1, run_dying, "it is being torn down" },
  { "dead", "ID", 1, 1, run_dead, "nothing of it is left but its entry" },
  { "destroy", "ID", 1, 1, run_destroy, "its entry goes too" },
};
#define N_VERBS (sizeof verbs / sizeof verbs[0])

static int
usage (int status)
{
  FILE *out = status == 0 ? stdout : stderr;
  size_t i;

  fprintf (out, "usage: xds-sim [-w FOLDER] VERB [ARGUMENT...]\n\n"
                "Domains of a simulated Xen host, for xendomstored --hypervisor sim:FOLDER.\n"
                "FOLDER is $XDS_SIM_WORLD or " XDS_SIM_WORLD_DEFAULT " unless given.\n\n");
  for (i = 0; i < N_VERBS; i++)
    fprintf (out, "  %-8s  %-18s  %s\n", verbs[i].name, verbs[i].args, verbs[i].help);
  return status;
}

static int
run_verb (const Verb *verb, const Options *options, char **args)
{
  XdsSimWorld *world;
  int res;

  if (verb->run == NULL)
    {
      res = xds_sim_world_init (options->dir);
      return res == 0 ? 0
                      : fail (EXIT_OTHER, "cannot make a world in %s: %s", options->dir,
                              strerror (-res));
    }
  res = xds_sim_world_open (options->dir, &world);
  if (res < 0)
    return fail (EXIT_NO_WORLD, "cannot open the world in %s: %s; \"xds-sim -w %s init\" makes one",
                 options->dir, strerror (-res), options->dir);
  res = verb->run (world, options, args);
  xds_sim_world_free (world);
  return res;
}

/* The value of --help is a status of its own: nothing is to be done. */
static int
parse_options (int argc, char **argv, Options *options)
{
  static const struct option names[] = {
    { "world", required_argument, NULL, 'w' },
    { "uuid", required_argument, NULL, 'u' },
    { "json", no_argument, NULL, 'j' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
  };
  int c;

  while ((c = getopt_long (argc, argv, "w:u:jh", names, NULL)) != -1)
    if (c == 'w')
      options->dir = optarg;
    else if (c == 'u')
      options->uuid = optarg;
    else if (c == 'j')
      options->json = true;
    else
      return c == 'h' ? 0 : EXIT_USAGE;
  return -1;
}

int
main (int argc, char **argv)
{
  Options options = { .dir = getenv ("XDS_SIM_WORLD") };
  int res = parse_options (argc, argv, &options);
  int n = argc - optind - 1;
  size_t i;

  if (options.dir == NULL || *options.dir == '\0')
    options.dir = XDS_SIM_WORLD_DEFAULT;
  if (res >= 0 || n < 0)
    return usage (res >= 0 ? res : EXIT_USAGE);
  for (i = 0; i < N_VERBS; i++)
    if (strcmp (argv[optind], verbs[i].name) == 0)
      {
        if (n < verbs[i].min || n > verbs[i].max)
          return fail (EXIT_USAGE, "write \"xds-sim %s %s\"", verbs[i].name, verbs[i].args);
        return run_verb (&verbs[i], &options, argv + optind + 1);
      }
  fail (EXIT_USAGE, "there is no verb \"%s\"", argv[optind]);
  return usage (EXIT_USAGE);
}
