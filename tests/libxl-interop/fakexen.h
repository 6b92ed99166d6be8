/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the parts of the stand-in share; see fakexen.c.
 */

#ifndef __XEN_TOOLS__
#define __XEN_TOOLS__ 1
#endif
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <xen/xen.h>
#include <xen/domctl.h>
#include <xen/sysctl.h>
#include <xen/sched.h>
#include <xen/version.h>
#include <xen/memory.h>
#include <xen/sys/privcmd.h>

#define EXPORT __attribute__ ((visibility ("default")))

/* In a function: real_NAME is what the next library calls NAME. */
#define REAL(ret, name, ...)                                                                       \
  static ret (*real_##name) (__VA_ARGS__);                                                         \
  if (!real_##name)                                                                                \
  *(void **) &real_##name = fx_next_sym (#name)

void *fx_next_sym (const char *name);
const char *fx_statedir (void);
int fx_raw_open (const char *path, int flags, mode_t mode);
int fx_raw_rename (const char *a, const char *b);
int fx_raw_unlink (const char *a);
void fx_trace (const char *fmt, ...);

/* A path as it is after moving; may be in @buf. */
const char *fx_move (const char *path, char buf[PATH_MAX]);
bool fx_is_userdata (const char *p);
bool fx_is_payload (const char *p);
void fx_checkpoint (const char *op, const char *path);

struct dom
{
  unsigned id;
  uint8_t uuid[16];
  uint32_t flags, reason, vcpus, pool;
  uint64_t memkb, maxmemkb;
};

int fx_dom_load (unsigned id, struct dom *d);
int fx_dom_save (const struct dom *d);
int fx_dom_list (unsigned first, unsigned **out);
void fx_dom_fill (const struct dom *d, xen_domctl_getdomaininfo_t *i);
void fx_raise_dom_exc (void);

/* Descriptors of privcmd: a tiny map; descriptors above it are not ours. */
#define FX_PRIVCMD_FDS 4096
extern unsigned char fx_privcmd_fds[FX_PRIVCMD_FDS];
int fx_open_privcmd (int flags);
void *fx_map_page (void *at, unsigned domid, unsigned long frame, int prot);
