/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * inotify over the one folder of userdata.
 *
 * GFileMonitor lost: it merges and delays events, needs the default main context, and cannot
 * tell that events were dropped, which is the one case that must not go unseen.
 */

#include "userdata/monitor.h"
#include "userdata/error.h"

#include <errno.h>
#include <sys/inotify.h>
#include <unistd.h>

#define EVENTS                                                                                     \
  (IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF           \
   | IN_MOVE_SELF | IN_ONLYDIR)

/* So that a storm of stores cannot keep the caller's loop here. */
#define READS_AT_ONCE 16

struct XdsMonitor
{
  int fd; /* (owned) */
};

XdsMonitor *
xds_monitor_new (const char *folder, GError **error)
{
  int fd = inotify_init1 (IN_CLOEXEC | IN_NONBLOCK);
  XdsMonitor *monitor;

  if (fd < 0 || inotify_add_watch (fd, folder, EVENTS) < 0)
    {
      xds_userdata_set_errno (error, errno, "Cannot watch the userdata folder", folder);
      if (fd >= 0)
        close (fd);
      return NULL;
    }
  monitor = g_new (XdsMonitor, 1);
  monitor->fd = fd;
  return monitor;
}

void
xds_monitor_free (XdsMonitor *monitor)
{
  if (monitor == NULL)
    return;
  close (monitor->fd);
  g_free (monitor);
}

int
xds_monitor_fd (XdsMonitor *monitor)
{
  return monitor->fd;
}

static void
tell (const struct inotify_event *event, XdsMonitorFunc func, gpointer data)
{
  if (event->mask & (IN_Q_OVERFLOW | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT))
    func (XDS_MONITOR_LOST, NULL, data);
  else if (event->len == 0)
    return;
  else if (event->mask & IN_CREATE)
    func (XDS_MONITOR_CREATED, event->name, data);
  else if (event->mask & (IN_MOVED_TO | IN_CLOSE_WRITE))
    func (XDS_MONITOR_STORED, event->name, data);
  else if (event->mask & (IN_DELETE | IN_MOVED_FROM))
    func (XDS_MONITOR_VANISHED, event->name, data);
}

gboolean
xds_monitor_dispatch (XdsMonitor *monitor, XdsMonitorFunc func, gpointer data)
{
  char room[16384] __attribute__ ((aligned (__alignof__(struct inotify_event))));

  for (guint i = 0; i < READS_AT_ONCE; i++)
    {
      gssize got = TEMP_FAILURE_RETRY (read (monitor->fd, room, sizeof room));
      const char *p = room;

      if (got <= 0)
        return TRUE;
      while (p < room + got)
        {
          const struct inotify_event *event = (const void *) p;

          tell (event, func, data);
          p += sizeof *event + event->len;
        }
    }
  return FALSE;
}
