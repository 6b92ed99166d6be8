/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Finds, loads and checks plugins.
 *
 * A plugin stays loaded until the process ends: its table of functions is handed out without a
 * count of users, and a daemon has one.  Each failure is a sentence, since the likely ones (a
 * plugin for another Xen, a package that is missing) are the administrator's to mend.
 *
 * Not taken: linking the daemon to libxen*.  libxenctrl changes its ABI with every release, and
 * one daemon is to run on all of them.
 */

#include "xsd/hypervisor/hypervisor.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SENTENCE_MAX 1024

__attribute__ ((format (printf, 2, 3))) static void
explain (char **ret_why, const char *format, ...)
{
  char *text;
  va_list ap;

  va_start (ap, format);
  if (vasprintf (&text, format, ap) < 0)
    text = NULL;
  va_end (ap);
  *ret_why = text;
}

/* What an administrator can do about the words of dlopen(). */
static const char *
advice (const char *name, const char *error)
{
  if (strstr (error, "libxen") != NULL || strstr (error, "symbol") != NULL)
    return "the plugin was built for another Xen than the one whose libraries are installed: "
           "install the plugin package that belongs to this Xen, or the Xen libraries that the "
           "plugin names";
  if (strcmp (name, "sim") == 0)
    return "install the simulator's plugin, or say where it is by --plugin-dir";
  return "install the plugin, or say where it is by --plugin-dir";
}

static const XdsHypervisorV1 *
check_table (void *handle, const char *path, char **ret_why)
{
  const XdsHypervisorV1 *table = dlsym (handle, XDS_HYPERVISOR_SYMBOL_V1);

  if (table == NULL)
    explain (ret_why,
             "cannot use %s as a hypervisor plugin: it does not export \"%s\", so it is something "
             "else, or made for another version of xendomstored; name another file",
             path, XDS_HYPERVISOR_SYMBOL_V1);
  else if (table->abi != XDS_HYPERVISOR_ABI_V1)
    explain (ret_why,
             "cannot use the hypervisor plugin %s: its interface is number %u and this "
             "xendomstored knows %u; install plugin and daemon from one release",
             path, table->abi, XDS_HYPERVISOR_ABI_V1);
  else if (table->size != sizeof *table)
    explain (ret_why,
             "cannot use the hypervisor plugin %s: its table has %u bytes instead of %zu, though "
             "the interface's number is the same; install plugin and daemon from one release",
             path, table->size, sizeof *table);
  else
    return table;
  return NULL;
}

static const XdsHypervisorV1 *
load_file (const char *path, const char *name, char **ret_why)
{
  const XdsHypervisorV1 *table;
  void *handle = dlopen (path, RTLD_NOW | RTLD_LOCAL);
  const char *error;

  if (handle == NULL)
    {
      error = dlerror ();
      explain (ret_why, "cannot load the hypervisor plugin \"%s\" from %s: %s; %s", name, path,
               error, advice (name, error));
      return NULL;
    }
  table = check_table (handle, path, ret_why);
  if (table == NULL)
    dlclose (handle);
  return table;
}

const XdsHypervisorV1 *
xds_hypervisor_load (const char *folder, const char *name, char **ret_why)
{
  char path[4096];
  int len;

  if (strchr (name, '/') != NULL)
    return load_file (name, name, ret_why);
  if (folder == NULL)
    folder = XDS_PKGLIBDIR;
  len = snprintf (path, sizeof path, "%s/%s.so", folder, name);
  if (len < 0 || (size_t) len >= sizeof path)
    {
      explain (ret_why,
               "cannot load the hypervisor plugin \"%s\": the name of its folder is "
               "longer than %zu bytes; use a shorter one",
               name, sizeof path - 1);
      return NULL;
    }
  if (access (path, F_OK) < 0)
    {
      explain (ret_why,
               "cannot load the hypervisor plugin \"%s\": there is no %s; install the plugin, or "
               "say where it is by --plugin-dir (known ones: xenmanage, xenctrl, sim)",
               name, path);
      return NULL;
    }
  return load_file (path, name, ret_why);
}

/* What only a domain of a Xen host has, with the devices that a store server needs. */
static bool
host_is_xen (void)
{
  static const char *const signs[]
      = { "/dev/xen/privcmd", "/dev/xen/evtchn", "/proc/xen/privcmd", "/proc/xen/xsd_kva" };
  size_t i;

  for (i = 0; i < sizeof signs / sizeof signs[0]; i++)
    if (access (signs[i], F_OK) == 0)
      return true;
  return false;
}

const XdsHypervisorV1 *
xds_hypervisor_load_first (const char *folder, char **ret_why)
{
  const XdsHypervisorV1 *table;
  char *manage_why = NULL, *ctrl_why = NULL;

  table = xds_hypervisor_load (folder, "xenmanage", &manage_why);
  if (table == NULL)
    table = xds_hypervisor_load (folder, "xenctrl", &ctrl_why);
  if (table == NULL)
    explain (ret_why, "%s; and %s", ctrl_why != NULL ? ctrl_why : "no memory",
             manage_why != NULL ? manage_why : "no memory");
  free (manage_why);
  free (ctrl_why);
  return table;
}

const XdsHypervisorV1 *
xds_hypervisor_load_best (const char *folder, char **ret_why)
{
  if (host_is_xen ())
    return xds_hypervisor_load_first (folder, ret_why);
  explain (ret_why,
           "cannot choose a hypervisor plugin: this machine does not run as domain of a Xen host "
           "(there is neither /dev/xen/privcmd nor /proc/xen/xsd_kva); boot it under Xen and load "
           "the module xen-evtchn, or simulate one by --hypervisor sim:FOLDER");
  return NULL;
}

/* --- open --- */

typedef struct Opening Opening;

/* What a plugin logs to; as long as the plugin may log, which is as long as the process. */
struct Opening
{
  XdsHypervisorHostV1 host;
  Opening *next;
  void (*log) (void *data, int priority, const char *text);
  void *data;
  char sentence[SENTENCE_MAX];
};

static Opening *openings;

static void
keep_sentence (void *data, const char *sentence)
{
  Opening *opening = data;

  snprintf (opening->sentence, sizeof opening->sentence, "%s", sentence);
}

static void
pass_log (void *data, int priority, const char *text)
{
  Opening *opening = data;

  if (opening->log != NULL)
    opening->log (opening->data, priority, text);
}

int
xds_hypervisor_open (const XdsHypervisorV1 *hypervisor, const char *args,
                     void (*log) (void *data, int priority, const char *text), void *data,
                     void **ret_self, char **ret_why)
{
  Opening *opening = calloc (1, sizeof *opening);
  int res;

  if (opening == NULL)
    {
      explain (ret_why, "cannot open the hypervisor: no memory");
      return -ENOMEM;
    }
  opening->host = (XdsHypervisorHostV1){ pass_log, opening, keep_sentence };
  opening->log = log;
  opening->data = data;
  res = hypervisor->open (&opening->host, args, ret_self);
  if (res == 0)
    {
      opening->next = openings;
      openings = opening;
      return 0;
    }
  if (opening->sentence[0] != '\0')
    explain (ret_why, "%s", opening->sentence);
  else
    explain (ret_why, "cannot open the hypervisor by plugin \"%s\"%s%s: %s", hypervisor->name,
             args != NULL ? " with " : "", args != NULL ? args : "", strerror (-res));
  free (opening);
  return res;
}
