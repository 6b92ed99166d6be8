/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The world as userdata sees it: one folder, three clocks, one boot.  Everything impure goes
 * through here, one member a system call, so that a test can fail, cut or replay each of them.
 *
 * Names are relative to the folder and may have one subfolder in them.  Calls return 0, a
 * descriptor or a count, or a negative errno.  A symbolic link is never followed.
 */

#include <glib.h>
#include <sys/stat.h>

G_BEGIN_DECLS

typedef enum
{
  XDS_CLOCK_MONOTONIC, /* microseconds, only forward */
  XDS_CLOCK_REAL,      /* microseconds since 1970 */
  XDS_CLOCK_BOOT,      /* the real time at which this host was started */
} XdsClock;

typedef struct XdsUserdataBackend XdsUserdataBackend;

struct XdsUserdataBackend
{
  /* O_CLOEXEC and O_NOFOLLOW are added to @flags. */
  int (*open) (XdsUserdataBackend *self, const char *name, int flags, guint mode);
  gssize (*read) (XdsUserdataBackend *self, int fd, void *room, gsize n);
  gssize (*write) (XdsUserdataBackend *self, int fd, const void *bytes, gsize n);
  int (*sync) (XdsUserdataBackend *self, int fd);
  int (*close) (XdsUserdataBackend *self, int fd);
  int (*stat_fd) (XdsUserdataBackend *self, int fd, struct stat *ret_stat);
  int (*stat) (XdsUserdataBackend *self, const char *name, struct stat *ret_stat);

  /* An exclusive flock, without waiting: -EWOULDBLOCK. */
  int (*try_lock) (XdsUserdataBackend *self, int fd);

  int (*rename) (XdsUserdataBackend *self, const char *from, const char *to);
  int (*link) (XdsUserdataBackend *self, const char *from, const char *to);
  int (*unlink) (XdsUserdataBackend *self, const char *name);
  int (*make_folder) (XdsUserdataBackend *self, const char *name);

  /* Adds the names in the folder, or in subfolder @sub, to @names.  One opened listing. */
  int (*list) (XdsUserdataBackend *self, const char *sub, GPtrArray *names);
  int (*sync_folder) (XdsUserdataBackend *self);

  gint64 (*clock) (XdsUserdataBackend *self, XdsClock which);
  void (*pause) (XdsUserdataBackend *self, gint64 usec);
  const char *(*boot_id) (XdsUserdataBackend *self);

  void (*free) (XdsUserdataBackend *self);
};

/* The real thing.  XDS_USERDATA_ERROR_NO_FOLDER if there is no such folder. */
XdsUserdataBackend *xds_userdata_backend_system_new (const char *folder, GError **error);

void xds_userdata_backend_free (XdsUserdataBackend *backend);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsUserdataBackend, xds_userdata_backend_free)

G_END_DECLS
