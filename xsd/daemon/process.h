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

/* We serve: lets the parent go, and its folder, standard output and error. */
void xds_process_ready (void);

/* A keeper (keeper.h) made this process: @main is its process id.  @released: one before us let the
   parent go.  @again: what the world was told when that one was ready is not told again. */
void xds_process_take_place (pid_t main, gboolean released, gboolean again);

/* Where the parent waits for us to be ready; -1: it does not. */
int xds_process_ready_fd (void);

/* The process that the world knows as the daemon: ours, unless there is a keeper. */
pid_t xds_process_main (void);
gboolean xds_process_is_again (void);

/* Signals that ask us for something wait, while there is nobody who could handle them. */
void xds_process_hold_signals (void);
void xds_process_release_signals (void);

/* A pid file that is locked as long as we live. */
typedef struct
{
  char *path;
  int fd;
  pid_t owner; /* who removes it */
} XdsPidFile;

/* G_IO_ERROR_BUSY: another process holds it; the file is left as it was. */
XdsPidFile *xds_pid_file_new (const char *path, GError **error);

/* The same from a descriptor that a live update left us: it is locked. */
XdsPidFile *xds_pid_file_adopt (const char *path, int fd);

/* Removes the file, in the process that took it. */
void xds_pid_file_free (XdsPidFile *self);

/* Makes @dir if it is missing and @path is to be in it. */
void xds_process_make_run_dir (const char *dir, const char *path);

/* As many open files as the kernel lets us have; a closed pipe is an error, not the end. */
void xds_process_prepare (void);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (XdsPidFile, xds_pid_file_free)
