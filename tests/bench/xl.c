/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One string a request: a letter for the operation, the path, a blank, the value.  %D is the
 * domid, %U the uuid, %B and %F a device's backend and frontend, %L its place below /libxl.
 *
 *   [ ]   start and end of a transaction         W  write         M  mkdir        X  rm
 *   R     read                                   L  list          P  set perms (',' for NUL)
 *   +  -  watch, unwatch (the value is the token)
 *   I     introduce
 */

#include "tests/bench/xl.h"

typedef struct
{
  guint domid;
  const char *kind; /* of the device the lines are for, NULL for the domain itself */
  const char *devid;
} Subject;

static const char *const make_domain[] = {
  "R/local/domain/0/domid", "R/vm", "[",
  "X/local/domain/%D", "M/local/domain/%D", "P/local/domain/%D n0,r%D",
  "X/vm/%U", "M/vm/%U", "P/vm/%U n0,r%D",
  "X/libxl/%D", "M/libxl/%D", "P/libxl/%D n0",
  "W/local/domain/%D/vm /vm/%U", "R/local/domain/%D/name", "W/local/domain/%D/name guest-%D",
  "W/vm/%U/name guest-%D",
  "M/local/domain/%D/cpu", "P/local/domain/%D/cpu n0,r%D",
  "M/local/domain/%D/memory", "P/local/domain/%D/memory n0,r%D",
  "M/local/domain/%D/device", "P/local/domain/%D/device n0,r%D",
  "M/local/domain/%D/control", "P/local/domain/%D/control n0,r%D",
  "M/local/domain/%D/control/shutdown", "P/local/domain/%D/control/shutdown n%D",
  "M/local/domain/%D/control/feature-poweroff",
  "P/local/domain/%D/control/feature-poweroff n%D",
  "M/local/domain/%D/control/feature-reboot", "P/local/domain/%D/control/feature-reboot n%D",
  "M/local/domain/%D/control/feature-suspend", "P/local/domain/%D/control/feature-suspend n%D",
  "M/local/domain/%D/control/sysrq", "P/local/domain/%D/control/sysrq n%D",
  "M/local/domain/%D/device/suspend/event-channel",
  "P/local/domain/%D/device/suspend/event-channel n%D",
  "M/local/domain/%D/data", "P/local/domain/%D/data n%D",
  "M/local/domain/%D/drivers", "P/local/domain/%D/drivers n%D",
  "M/local/domain/%D/feature", "P/local/domain/%D/feature n%D",
  "M/local/domain/%D/attr", "P/local/domain/%D/attr n%D",
  "M/local/domain/%D/error", "P/local/domain/%D/error n%D",
  "W/vm/%U/uuid %U", "W/local/domain/%D/control/platform-feature-multiprocessor-suspend 1",
  "W/local/domain/%D/control/platform-feature-xs_reset_watches 1", "W/libxl/%D/type pv",
  "W/libxl/%D/dm-version qemu_xen", "]",
  NULL,
};

static const char *const build_domain[] = {
  "[", "W/vm/%U/image/ostype linux", "W/vm/%U/image/kernel /boot/vmlinuz", "W/vm/%U/start_time 1.0",
  "W/local/domain/%D/memory/static-max 1048576", "W/local/domain/%D/memory/target 1048576",
  "W/local/domain/%D/memory/videoram 0", "W/local/domain/%D/domid %D",
  "W/local/domain/%D/store/port 1", "W/local/domain/%D/store/ring-ref 1000",
  "W/local/domain/%D/cpu/0/availability online", "W/local/domain/%D/cpu/1/availability online", "]",
  "I%D 1000 1", NULL,
};

/* Every device: the record below /libxl, the frontend, the backend, all in one transaction. */
static const char *const make_device[] = {
  "[", "R%L", "X%L", "M%L", "P%L n0", "W%L/frontend %F", "W%L/backend %B",
  "X%F", "M%F", "P%F n%D,r0", "W%F/backend %B", "W%F/backend-id 0", "W%F/state 1",
  "X%B", "M%B", "P%B n0,r%D", "W%B/frontend %F", "W%B/frontend-id %D", "W%B/online 1",
  "W%B/state 1",
  NULL,
};

static const char *const make_console[] = {
  "W%F/limit 1048576", "W%F/type xenconsoled", "W%F/output pty", "W%F/tty ", "W%F/port 2",
  "W%F/ring-ref 1001", "W%B/protocol vt100", "]", NULL,
};

static const char *const make_disk[] = {
  "W%F/virtual-device 51712", "W%F/device-type disk", "W%B/params /dev/vg/guest-%D",
  "W%B/script /etc/xen/scripts/block", "W%B/removable 0", "W%B/bootable 1", "W%B/dev xvda",
  "W%B/type phy", "W%B/mode w", "W%B/device-type disk", "W%B/discard-enable 1",
  "W%B/multi-queue-max-queues 2", "]", NULL,
};

static const char *const make_nic[] = {
  "W%F/handle 0", "W%F/mac 00:16:3e:00:00:01", "W%F/mtu 1500",
  "W%B/script /etc/xen/scripts/vif-bridge", "W%B/mac 00:16:3e:00:00:01", "W%B/bridge xenbr0",
  "W%B/handle 0", "W%B/type vif", "]", NULL,
};

/* The backend comes up and the hotplug script has run; xl watches for it. */
static const char *const start_backend[] = {
  "+%B/state xl", "W%B/feature-flush-cache 1", "W%B/state 2", "R%B/state", "R%B/params",
  "W%B/physical-device fd:3", "W%B/hotplug-status connected", "R%B/hotplug-status", "-%B/state xl",
  NULL,
};

/* xl stays to see the guest's end. */
static const char *const monitor[] = { "R/libxl/%D/type", "+@releaseDomain xl", NULL };

static const char *const list_devices[] = {
  "R/local/domain/%D/vm", "R/libxl/%D/type", "L/libxl/%D/device", "L/libxl/%D/device/vbd",
  "L/libxl/%D/device/vif", "L/libxl/%D/device/console", NULL,
};

static const char *const stop_backend[] = {
  "R%L/backend", "[", "R%B/state", "R%B/online", "W%B/online 0", "W%B/state 5", "]",
  "+%B/state xl", "R%B/state", "W%B/state 6", "R%B/state", "-%B/state xl", "R%B/script",
  NULL,
};

static const char *const drop_device[] = {
  "[", "X%F", "X%B", "X%L", "L/libxl/%D/device", "]", NULL,
};

static const char *const drop_domain[] = {
  "L/local/domain/%D/device", "X/local/domain/%D", "X/vm/%U", "X/libxl/%D", NULL,
};

static const struct
{
  char letter;
  guint type;
} operations[] = {
  { '[', XDS_OP_TRANSACTION_START }, { ']', XDS_OP_TRANSACTION_END },
  { 'W', XDS_OP_WRITE },             { 'M', XDS_OP_MKDIR },
  { 'X', XDS_OP_RM },                { 'R', XDS_OP_READ },
  { 'L', XDS_OP_DIRECTORY },         { 'P', XDS_OP_SET_PERMS },
  { '+', XDS_OP_WATCH },             { '-', XDS_OP_UNWATCH },
  { 'I', XDS_OP_INTRODUCE },
};

static guint
type_of (char letter)
{
  for (guint i = 0; i < G_N_ELEMENTS (operations); i++)
    if (operations[i].letter == letter)
      return operations[i].type;
  bench_die ("no operation '%c' in a script", letter);
}

static void
append_subject (GString *text, char letter, const Subject *subject)
{
  switch (letter)
    {
    case 'D':
      g_string_append_printf (text, "%u", subject->domid);
      break;
    case 'U':
      g_string_append_printf (text, "c2e3f0a4-5b6d-4e7f-8091-%012u", subject->domid);
      break;
    case 'B':
      g_string_append_printf (text, "/local/domain/0/backend/%s/%u/%s", subject->kind,
                              subject->domid, subject->devid);
      break;
    case 'F':
      g_string_append_printf (text, "/local/domain/%u/device/%s/%s", subject->domid, subject->kind,
                              subject->devid);
      break;
    case 'L':
      g_string_append_printf (text, "/libxl/%u/device/%s/%s", subject->domid, subject->kind,
                              subject->devid);
      break;
    default:
      bench_die ("no '%%%c' in a script", letter);
    }
}

static char *
expand (const char *line, const Subject *subject)
{
  GString *text = g_string_new (NULL);

  for (; *line != '\0'; line++)
    if (*line == '%')
      append_subject (text, *++line, subject);
    else
      g_string_append_c (text, *line);
  return g_string_free (text, FALSE);
}

/* INTRODUCE and SET_PERMS take several words, which bench_packet() does not know. */
static void
add_words (GPtrArray *script, guint type, char *words, const char *separators)
{
  XdsMsgHeader header = { type, 1, 0, strlen (words) + 1 };
  GByteArray *packet = g_byte_array_new ();

  g_strdelimit (words, separators, '\0');
  g_byte_array_append (packet, (guint8 *) &header, sizeof header);
  g_byte_array_append (packet, (guint8 *) words, header.len);
  g_ptr_array_add (script, packet);
}

static void
add_line (GPtrArray *script, const char *line, const Subject *subject)
{
  g_autofree char *words = expand (line + 1, subject);
  guint type = type_of (*line);
  char *blank = strchr (words, ' ');

  if (type == XDS_OP_TRANSACTION_START)
    bench_script_add (script, type, "", NULL);
  else if (type == XDS_OP_TRANSACTION_END)
    bench_script_add (script, type, "T", NULL);
  else if (type == XDS_OP_INTRODUCE || type == XDS_OP_SET_PERMS)
    add_words (script, type, words, " ,");
  else
    {
      if (blank != NULL)
        *blank++ = '\0';
      bench_script_add (script, type, words, blank);
    }
}

static void
add_lines (GPtrArray *script, const char *const *lines, const Subject *subject)
{
  for (; *lines != NULL; lines++)
    add_line (script, *lines, subject);
}

GPtrArray *
bench_xl_create (guint domid)
{
  Subject domain = { domid, NULL, NULL }, console = { domid, "console", "0" };
  Subject disk = { domid, "vbd", "51712" }, nic = { domid, "vif", "0" };
  GPtrArray *script = bench_script_new ();

  add_lines (script, make_domain, &domain);
  add_lines (script, build_domain, &domain);
  add_lines (script, make_device, &console);
  add_lines (script, make_console, &console);
  add_lines (script, make_device, &disk);
  add_lines (script, make_disk, &disk);
  add_lines (script, start_backend, &disk);
  add_lines (script, make_device, &nic);
  add_lines (script, make_nic, &nic);
  add_lines (script, start_backend, &nic);
  add_lines (script, monitor, &domain);
  return script;
}

GPtrArray *
bench_xl_destroy (guint domid)
{
  Subject domain = { domid, NULL, NULL }, console = { domid, "console", "0" };
  Subject disk = { domid, "vbd", "51712" }, nic = { domid, "vif", "0" };
  GPtrArray *script = bench_script_new ();

  add_lines (script, list_devices, &domain);
  add_lines (script, stop_backend, &disk);
  add_lines (script, drop_device, &disk);
  add_lines (script, stop_backend, &nic);
  add_lines (script, drop_device, &nic);
  add_lines (script, drop_device, &console);
  add_lines (script, drop_domain, &domain);
  return script;
}
