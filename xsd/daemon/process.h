/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The daemon as a process: in the background, with a pid file, with enough descriptors.
 */

#include <gio/gio.h>

/*
 * Goes on in a child, while the parent waits for xds_process_ready() and then exits with 0, or
 * with the child's own status if that ends before.  Must come before any thread is made.
 */
gboolean xds_process_background (GError **error);

/* We serve: lets the parent go, and its folder, standard output and error.  Once; else nothing. */
void xds_process_ready (void);

/* A pid file that is locked as long as we live. */
typedef struct
{
  char *path;
  int fd;
} XdsPidFile;

/* G_IO_ERROR_BUSY: another process holds it; the file is left as it was. */
XdsPidFile *xds_pid_file_new (const char *path, GError **error);

/* The same from a descriptor that a live update left us: it is locked, and says our process id. */
XdsPidFile *xds_pid_file_adopt (const char *path, int fd);

/* Removes the file. */
void xds_pid_file_free (XdsPidFile *self);

/* Makes @dir if it is missing and @path is to be in it. */
void xds_process_make_run_dir (const char *dir, const char *path);

/* As many open files as the kernel lets us have; a closed pipe is an error, not the end. */
void xds_process_prepare (void);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsPidFile, xds_pid_file_free)
