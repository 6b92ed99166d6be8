/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A guest of a few KiB without an operating system: 32 bits, no paging, no interrupts, one stack.
 * As PVH guest Xen enters it, as HVM guest a BIOS does, which takes it for a multiboot kernel.  It
 * has its xenstore ring to itself, so it can do to it what no kernel lets a program do, and it
 * boots at once, so that there can be many.  Its command line is its role:
 *
 *   idle (or none)  writes data/ready, watches control/shutdown and obeys it
 *   crash, poweroff   writes data/ready, and shuts down with that reason
 *   soft-reset  writes data/ready, asks for a soft reset once data/ask is there, finds its ring
 *               anew, as a kernel that was booted by another would, writes data/again, and idles
 *   garbage     random bytes as requests          lengths     headers that tell of too much
 *   indices     random indices in the ring        notify      events and nothing else
 *   flood       requests as fast as they go       stall       requests, and reads no answer
 *   drip        a request byte by byte            reconnect   asks for a reconnection all the time
 *
 * Built by boot.sh: cc -m32 -ffreestanding -nostdlib.  Xen finds the entry by the note at the end.
 */

#include <stddef.h>
#include <stdint.h>

#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__
#include <xen/xen.h>
#include <xen/event_channel.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/io/xs_wire.h>

#define PAGE 4096
#define RING XENSTORE_RING_SIZE
#define BURST 64 /* what a hostile role does before it yields: others shall get the processor */

#define PVH_MAGIC 0x336ec578

/* As far as we read it: what Xen hands to a PVH guest, or a BIOS to a multiboot kernel. */
typedef union
{
  struct
  {
    uint32_t magic, version, flags, n_modules;
    uint64_t modules, command_line;
  } pvh;
  struct
  {
    uint32_t flags, lower, upper, device, command_line;
  } multiboot;
} StartInfo;

/* Pages that Xen fills or puts in place of ours. */
static uint8_t hypercalls[PAGE] __attribute__ ((aligned (PAGE)));
static uint8_t shared_page[PAGE] __attribute__ ((aligned (PAGE)));
static volatile struct xenstore_domain_interface *ring;
static uint32_t store_port;
static uint32_t random_state = 1;

uint8_t tiny_stack[4 * PAGE] __attribute__ ((aligned (16)));
void tiny_main (const StartInfo *info);

static volatile shared_info_t *
shared (void)
{
  return (volatile shared_info_t *) shared_page;
}

/* --- Xen --- */

static long
hypercall (unsigned int number, unsigned long a, unsigned long b)
{
  long res;
  uintptr_t entry = (uintptr_t) hypercalls + number * 32;

  __asm__ volatile("call *%1" : "=a"(res), "+r"(entry), "+b"(a), "+c"(b) : : "memory");
  return res;
}

static void
cpuid (uint32_t leaf, uint32_t *ret_ebx)
{
  uint32_t a = leaf, b, c = 0, d;

  __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  *ret_ebx = b;
}

static void
set_up_hypercalls (void)
{
  uint32_t msr;

  cpuid (0x40000002, &msr);
  __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t) (uintptr_t) hypercalls), "d"(0) : "memory");
}

static uint64_t
parameter (uint32_t index)
{
  struct xen_hvm_param param = { .domid = DOMID_SELF, .index = index };

  hypercall (__HYPERVISOR_hvm_op, HVMOP_get_param, (unsigned long) &param);
  return param.value;
}

static void
map_shared_info (void)
{
  struct xen_add_to_physmap map = { .domid = DOMID_SELF, .space = XENMAPSPACE_shared_info };

  map.gpfn = (uintptr_t) shared_page / PAGE;
  hypercall (__HYPERVISOR_memory_op, XENMEM_add_to_physmap, (unsigned long) &map);
}

static void
shut_down (unsigned int reason)
{
  struct sched_shutdown shutdown = { .reason = reason };

  for (;;)
    hypercall (__HYPERVISOR_sched_op, SCHEDOP_shutdown, (unsigned long) &shutdown);
}

/* Memory and processor are as they were after it; all that Xen and the toolstack gave is new. */
static void
ask_for_soft_reset (void)
{
  struct sched_shutdown shutdown = { .reason = SHUTDOWN_soft_reset };

  hypercall (__HYPERVISOR_sched_op, SCHEDOP_shutdown, (unsigned long) &shutdown);
}

static void
yield (void)
{
  hypercall (__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
}

static void
notify (void)
{
  struct evtchn_send event = { .port = store_port };

  hypercall (__HYPERVISOR_event_channel_op, EVTCHNOP_send, (unsigned long) &event);
}

/* Clears the event; the caller looks at the ring again, and then waits. */
static void
clear_event (void)
{
  volatile xen_ulong_t *word = &shared ()->evtchn_pending[store_port / 32];

  __atomic_fetch_and (word, ~(1ul << store_port % 32), __ATOMIC_SEQ_CST);
}

static void
wait_for_event (void)
{
  evtchn_port_t port = store_port;
  struct sched_poll poll = { .nr_ports = 1 };

  set_xen_guest_handle (poll.ports, &port);
  hypercall (__HYPERVISOR_sched_op, SCHEDOP_poll, (unsigned long) &poll);
}

/* --- a client of the store --- */

static size_t
length (const char *text)
{
  size_t n = 0;

  while (text[n] != '\0')
    n++;
  return n;
}

static int
same (const char *a, const char *b)
{
  size_t i = 0;

  while (a[i] != '\0' && a[i] == b[i])
    i++;
  return a[i] == b[i];
}

static void
put (const void *bytes, size_t n)
{
  const uint8_t *from = bytes;

  while (n > 0)
    {
      clear_event ();
      if (ring->req_prod - ring->req_cons >= RING)
        {
          wait_for_event ();
          continue;
        }
      ring->req[ring->req_prod % RING] = (char) *from++;
      __atomic_thread_fence (__ATOMIC_SEQ_CST);
      ring->req_prod++;
      n--;
    }
}

static void
get (void *bytes, size_t n)
{
  uint8_t *to = bytes;

  while (n > 0)
    {
      clear_event ();
      if (ring->rsp_prod == ring->rsp_cons)
        {
          wait_for_event ();
          continue;
        }
      *to++ = (uint8_t) ring->rsp[ring->rsp_cons % RING];
      __atomic_thread_fence (__ATOMIC_SEQ_CST);
      ring->rsp_cons++;
      n--;
    }
  notify ();
}

static void
put_request (uint32_t type, const char *first, const char *second, size_t n_second)
{
  struct xsd_sockmsg header = { .type = type, .len = length (first) + 1 + n_second };

  put (&header, sizeof header);
  put (first, length (first) + 1);
  put (second, n_second);
  notify ();
}

/* The next message; @text gets its payload and a NUL. */
static uint32_t
next_message (char *text, size_t room)
{
  struct xsd_sockmsg header;
  char byte;
  size_t i;

  get (&header, sizeof header);
  for (i = 0; i < header.len; i++)
    {
      get (&byte, 1);
      if (i < room - 1)
        text[i] = byte;
    }
  text[header.len < room ? header.len : room - 1] = '\0';
  return header.type;
}

/* The answer; events before it are passed over. */
static uint32_t
call (uint32_t type, const char *first, const char *second, size_t n_second, char *text,
      size_t room)
{
  uint32_t answer;

  put_request (type, first, second, n_second);
  do
    answer = next_message (text, room);
  while (answer == XS_WATCH_EVENT);
  return answer;
}

static void
write_node (const char *path, const char *value)
{
  char text[64];

  call (XS_WRITE, path, value, length (value), text, sizeof text);
}

static void
idle (void)
{
  char text[64];

  call (XS_WATCH, "control/shutdown", "t", 2, text, sizeof text);
  for (;;)
    {
      call (XS_READ, "control/shutdown", "", 0, text, sizeof text);
      if (same (text, "poweroff"))
        shut_down (SHUTDOWN_poweroff);
      if (same (text, "reboot"))
        shut_down (SHUTDOWN_reboot);
      while (next_message (text, sizeof text) != XS_WATCH_EVENT)
        ;
    }
}

static void
find_ring (void)
{
  set_up_hypercalls ();
  map_shared_info ();
  ring = (void *) (uintptr_t) (parameter (HVM_PARAM_STORE_PFN) * PAGE);
  store_port = (uint32_t) parameter (HVM_PARAM_STORE_EVTCHN);
}

static void
soft_reset (void)
{
  char text[64];

  call (XS_WATCH, "data/ask", "t", 2, text, sizeof text);
  do
    {
      while (next_message (text, sizeof text) != XS_WATCH_EVENT)
        ;
      call (XS_READ, "data/ask", "", 0, text, sizeof text);
    }
  while (!same (text, "soft-reset"));
  ask_for_soft_reset ();
  find_ring ();
  write_node ("data/again", "1");
}

/* --- what nobody may do --- */

static uint32_t
chance (void)
{
  random_state = random_state * 1664525u + 1013904223u;
  return random_state >> 8;
}

static void
garbage (void)
{
  uint32_t i;

  for (i = 0; i < RING; i++)
    ring->req[i] = (char) chance ();
  ring->req_prod += chance () % RING;
  ring->rsp_cons = ring->rsp_prod;
}

static void
lengths (void)
{
  struct xsd_sockmsg header = { .type = chance () % 30, .len = chance () << (chance () % 9) };
  uint32_t i;

  for (i = 0; i < sizeof header; i++)
    ring->req[(ring->req_prod + i) % RING] = ((const char *) &header)[i];
  ring->req_prod += sizeof header;
  ring->rsp_cons = ring->rsp_prod;
}

static void
indices (void)
{
  ring->req_prod = chance () << (chance () % 9);
  ring->req_cons = chance () << (chance () % 9);
  ring->rsp_prod = chance ();
  ring->rsp_cons = chance ();
  ring->connection = chance () % 3;
  ring->server_features = chance ();
}

/* Whole requests, as many as there is room for. */
static void
fill (uint32_t type, const char *payload, uint32_t n)
{
  struct xsd_sockmsg header = { .type = type, .len = n };
  uint32_t i, at = ring->req_prod;

  while (RING - (at - ring->req_cons) >= sizeof header + n)
    {
      for (i = 0; i < sizeof header; i++)
        ring->req[at++ % RING] = ((const char *) &header)[i];
      for (i = 0; i < n; i++)
        ring->req[at++ % RING] = payload[i];
    }
  __atomic_thread_fence (__ATOMIC_SEQ_CST);
  ring->req_prod = at;
}

static void
flood (void)
{
  char name[] = "data/flood-a";
  char watch[] = "data\0token-a";

  name[sizeof name - 2] = (char) ('a' + chance () % 26);
  watch[sizeof watch - 2] = (char) ('a' + chance () % 26);
  if (chance () % 4 == 0)
    fill (XS_WATCH, watch, sizeof watch);
  else
    fill (XS_WRITE, name, sizeof name);
  ring->rsp_cons = ring->rsp_prod;
}

static void
stall (void)
{
  fill (XS_DIRECTORY, "data", 5);
}

static void
drip (void)
{
  static const char bytes[] = "\2\0\0\0\0\0\0\0\0\0\0\0\6\0\0\0domid";
  static uint32_t at;

  if (ring->req_prod - ring->req_cons < RING)
    {
      ring->req[ring->req_prod % RING] = bytes[at++ % sizeof bytes];
      ring->req_prod++;
    }
  ring->rsp_cons = ring->rsp_prod;
}

static void
reconnect (void)
{
  stall ();
  ring->connection = 1;
}

static void
only_notify (void)
{
}

static const struct
{
  const char *name;
  void (*step) (void);
} hostile[] = {
  { "garbage", garbage }, { "lengths", lengths }, { "indices", indices }, { "flood", flood },
  { "stall", stall },     { "drip", drip },       { "reconnect", reconnect },
  { "notify", only_notify },
};

static void
be_hostile (void (*step) (void))
{
  uint32_t i;

  for (;;)
    {
      for (i = 0; i < BURST; i++)
        {
          step ();
          notify ();
        }
      yield ();
    }
}

/* --- life --- */

static const struct
{
  const char *name;
  unsigned int reason;
} ends[] = {
  { "crash", SHUTDOWN_crash },
  { "poweroff", SHUTDOWN_poweroff },
};

/* The last word of the command line; a multiboot kernel's own name is before it. */
static const char *
role_of (const StartInfo *info)
{
  const char *line = (const char *) (uintptr_t) (info->pvh.magic == PVH_MAGIC
                                                     ? info->pvh.command_line
                                                     : info->multiboot.command_line);
  const char *word = line;

  for (; line != NULL && *line != '\0'; line++)
    if (line[0] == ' ' && line[1] != '\0')
      word = line + 1;
  return word;
}

void
tiny_main (const StartInfo *info)
{
  const char *role = role_of (info);
  size_t i;

  find_ring ();
  write_node ("data/ready", "1");
  for (i = 0; role != NULL && i < sizeof ends / sizeof ends[0]; i++)
    if (same (role, ends[i].name))
      shut_down (ends[i].reason);
  for (i = 0; role != NULL && i < sizeof hostile / sizeof hostile[0]; i++)
    if (same (role, hostile[i].name))
      be_hostile (hostile[i].step);
  if (role != NULL && same (role, "soft-reset"))
    soft_reset ();
  idle ();
}

/* Xen or the BIOS enters here, in 32 bits without paging, with the start info in ebx. */
__asm__(".section .text.first, \"ax\"\n"
        ".align 4\n"
        ".long 0x1badb002, 0, -0x1badb002\n" /* multiboot: magic, flags, sum */
        ".globl tiny_start\n"
        "tiny_start:\n"
        "  cli\n"
        "  mov $tiny_stack + 4 * 4096 - 16, %esp\n"
        "  push %ebx\n"
        "  call tiny_main\n"
        ".section .note.Xen, \"a\", @note\n"
        "  .align 4\n"
        "  .long 4, 4, 18\n" /* sizes of name and value; XEN_ELFNOTE_PHYS32_ENTRY */
        "  .asciz \"Xen\"\n"
        "  .long tiny_start\n"
        ".previous\n");
