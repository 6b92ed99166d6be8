/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A state is a dump and one or two journals.  When the last journal has become as long as the
 * dump, a child process, which has the engine as of that moment, writes a new dump, while we go
 * on in a new journal; once it is done the new dump and the new journal are the state, and all
 * before is dropped. So it costs a constant part of what is written, however big the store is,
 * and nobody waits for it.
 *
 * Each change of what counts is one store: of a journal's end, or of `which` of two sets.  All
 * files are memory (memfd), and their descriptors are in the table that the keeper shares.
 *
 * The road not taken: a file on disk.  It would survive the host's end too, but nothing in the
 * store does: domains, rings and event channels are gone then.
 */

#include "config.h"

#include "xsd/daemon/survival-private.h"

#include "xsd/daemon/service-private.h"
#include "xsd/transport/failure.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A journal that long, or as long as the dump, is replaced. */
#define JOURNAL_MIN (4 << 20)
#define JOURNAL_MAX (64 << 20)

/* Where so much is written that this would be all the time, a longer journal is the lesser cost. */
#define DUMP_INTERVAL (G_USEC_PER_SEC / 2)

/* What may be written while a dump is made; memory only as far as it is. */
#define JOURNAL_ROOM (256 << 20)

#define DUMPER_NICE 5

/* --- files --- */

gboolean
xds_journal_file_open (XdsJournalFile *ret, int fd, GError **error)
{
  struct stat st;
  void *map = MAP_FAILED;

  *ret = (XdsJournalFile){ .fd = -1 };
  if (fstat (fd, &st) == 0 && (gsize) st.st_size > sizeof (XdsJournalHead))
    map = mmap (NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  if (map == MAP_FAILED)
    return xds_fail (error, errno, "a journal of the state cannot be mapped");
  *ret = (XdsJournalFile){
    .fd = fd,
    .head = map,
    .data = (guint8 *) map + sizeof (XdsJournalHead),
    .size = st.st_size - sizeof (XdsJournalHead),
  };
  return TRUE;
}

void
xds_journal_file_close (XdsJournalFile *self)
{
  if (self->fd < 0)
    return;
  munmap (self->head, self->size + sizeof *self->head);
  close (self->fd);
  *self = (XdsJournalFile){ .fd = -1 };
}

/* The one that was left before, if it is there: its memory need not be found and cleared again. */
static gboolean
journal_make (XdsSurvival *self, XdsJournalFile *ret, guint64 position, GError **error)
{
  int fd;

  if (self->spare.fd >= 0)
    {
      *ret = self->spare;
      self->spare.fd = -1;
      ret->head->end = 0;
      ret->head->position = position;
      return TRUE;
    }
  fd = memfd_create ("xendomstored-journal", MFD_CLOEXEC);
  if (fd < 0 || ftruncate (fd, JOURNAL_ROOM) < 0)
    xds_fail (error, errno, "there is no memory for a journal of the state");
  else if (xds_journal_file_open (ret, fd, error))
    {
      ret->head->position = position;
      return TRUE;
    }
  if (fd >= 0)
    close (fd);
  return FALSE;
}

static void
journal_leave (XdsSurvival *self, XdsJournalFile *journal)
{
  if (journal->fd >= 0 && self->spare.fd < 0 && journal->head->end <= 2 * JOURNAL_MIN)
    self->spare = *journal;
  else
    xds_journal_file_close (journal);
}

static gboolean
write_all (int fd, const guint8 *data, gsize len)
{
  while (len > 0)
    {
      ssize_t n = write (fd, data, len);

      if (n < 0 && errno == EINTR)
        continue;
      if (n <= 0)
        return FALSE;
      data += n;
      len -= n;
    }
  return TRUE;
}

static gboolean
write_dump (XdsService *service, int fd)
{
  const XdsDumpHost side = { .socket_fd = -1, .evtchn_fd = -1 };
  g_autoptr (GBytes) stream = xds_engine_dump (service->engine, &side, service);
  gsize len;
  const guint8 *data = g_bytes_get_data (stream, &len);

  return write_all (fd, data, len);
}

/* --- what counts --- */

static guint
n_journals (const XdsSurvival *self)
{
  return self->journals[0].fd < 0 ? 0 : self->journals[1].fd < 0 ? 1 : 2;
}

XdsJournalFile *
xds_survival_last (XdsSurvival *self)
{
  return n_journals (self) == 2 ? &self->journals[1] : &self->journals[0];
}

/* What this process has is what the next one will find. */
static void
publish (XdsSurvival *self)
{
  guint32 next = !self->page->which;

  self->page->sets[next] = (XdsSurvivalSet){
    .base = self->base,
    .n_journals = n_journals (self),
    .journals = { self->journals[0].fd, self->journals[1].fd },
  };
  xds_slate_fence ();
  self->page->which = next;
  xds_slate_fence ();
}

/* What the engine still has to tell the journal that was, and where that one ends then. */
static guint64
settle (XdsSurvival *self)
{
  const XdsJournalFile *last = xds_survival_last (self);

  xds_engine_set_journal (self->service->engine, NULL);
  return last->fd >= 0 ? last->head->position + last->head->end : 0;
}

void
xds_survival_note_address (XdsSurvival *self)
{
  const XdsJournalFile *last = xds_survival_last (self);

  last->head->address = (guint64) (gsize) last->data;
}

/* An open slate has an address of the process before us, until its turn was finished. */
void
xds_survival_write_on (XdsSurvival *self)
{
  XdsJournalFile *last = xds_survival_last (self);
  const XdsJournalSpace space = {
    .data = last->data,
    .size = last->size,
    .position = last->head->position,
    .end = &last->head->end,
    .at = &self->page->at,
  };

  if (!self->page->slate.open)
    xds_survival_note_address (self);
  xds_engine_set_journal (self->service->engine, &space);
}

static void
drop_refused (XdsSurvivalPage *page, guint64 position)
{
  guint32 n = 0;

  for (guint32 i = 0; i < page->n_refused; i++)
    if (page->refused[i].position >= position)
      page->refused[n++] = page->refused[i];
  page->n_refused = n;
}

/* (transfer full) @base and @journal are the state from now on; all before goes. */
static void
replace (XdsSurvival *self, int base, XdsJournalFile journal)
{
  XdsJournalFile before[2] = { self->journals[0], self->journals[1] };
  int base_before = self->base;
  struct stat st = { 0 };

  fstat (base, &st);
  self->base = base;
  self->base_len = st.st_size;
  self->journals[0] = journal;
  self->journals[1] = (XdsJournalFile){ .fd = -1 };
  publish (self);
  for (guint i = 0; i < 2; i++)
    if (before[i].fd != journal.fd)
      journal_leave (self, &before[i]);
  if (base_before >= 0)
    close (base_before);
  drop_refused (self->page, journal.head->position);
}

/* --- a dump by ourselves: short where there is little, and where nothing else is left --- */

static void
give_up (XdsSurvival *self, const GError *error)
{
  g_warning ("the state is not kept for a process that would come after this one: %s",
             error->message);
  self->page->sets[!self->page->which] = (XdsSurvivalSet){ .base = -1 };
  xds_slate_fence ();
  self->page->which = !self->page->which;
  self->incomplete = TRUE;
}

static void
start_over (XdsSurvival *self)
{
  g_autoptr (GError) error = NULL;
  XdsJournalFile journal;
  guint64 position = settle (self);
  int base = memfd_create ("xendomstored-state", MFD_CLOEXEC);

  if (base < 0 || !write_dump (self->service, base))
    xds_fail (&error, errno, "there is no memory for a dump of it");
  if (error == NULL && journal_make (self, &journal, position, &error))
    {
      replace (self, base, journal);
      self->incomplete = FALSE;
      xds_survival_write_on (self);
      return;
    }
  if (base >= 0)
    close (base);
  give_up (self, error);
}

/* --- a dump by a child --- */

static void
dumper_gone (XdsSurvival *self, gboolean done)
{
  int dump = self->dump;

  xds_loop_remove (self->service->loop, &self->item);
  self->dumper = 0;
  self->dump = -1;
  if (done && n_journals (self) == 2 && !self->incomplete)
    replace (self, dump, self->journals[1]);
  else
    close (dump);
}

static void
dumper_turn (XdsLoopItem *item, guint32 events G_GNUC_UNUSED)
{
  XdsSurvival *self = (XdsSurvival *) ((guint8 *) item - G_STRUCT_OFFSET (XdsSurvival, item));
  int fd = item->fd, status;
  pid_t pid = waitpid (self->dumper, &status, WNOHANG);

  if (pid == 0)
    return;
  dumper_gone (self, pid > 0 && WIFEXITED (status) && WEXITSTATUS (status) == 0);
  close (fd);
}

static G_GNUC_NORETURN void
be_dumper (XdsSurvival *self, int fd)
{
  if (fd > 3)
    close_range (3, fd - 1, 0);
  close_range (fd + 1, ~0U, 0);
  setpriority (PRIO_PROCESS, 0, DUMPER_NICE);
  _exit (write_dump (self->service, fd) ? 0 : 1);
}

static gboolean
watch_dumper (XdsSurvival *self)
{
  int fd = syscall (SYS_pidfd_open, self->dumper, 0);

  return fd >= 0 && xds_loop_add (self->service->loop, &self->item, fd, EPOLLIN, dumper_turn, NULL);
}

/* The new journal begins where the dump ends. */
static void
start_dumper (XdsSurvival *self)
{
  guint64 position = settle (self);
  int dump = memfd_create ("xendomstored-state", MFD_CLOEXEC);

  if (dump < 0 || !journal_make (self, &self->journals[1], position, NULL))
    {
      if (dump >= 0)
        close (dump);
      xds_survival_write_on (self); /* and try again */
      return;
    }
  self->dumper = fork ();
  if (self->dumper == 0)
    be_dumper (self, dump);
  self->dump = dump;
  publish (self);
  xds_survival_write_on (self);
  if (self->dumper > 0 && watch_dumper (self))
    return;
  self->dumper = 0;
  close (dump);
  start_over (self);
}

static gboolean
is_long (XdsSurvival *self, gsize len)
{
  gint64 now;

  if (len < CLAMP (self->base_len, JOURNAL_MIN, JOURNAL_MAX))
    return FALSE;
  now = g_get_monotonic_time ();
  if (len < JOURNAL_MAX && now < self->last_dump + DUMP_INTERVAL)
    return FALSE;
  self->last_dump = now;
  return TRUE;
}

void
xds_survival_turn (XdsSurvival *self)
{
  if (self->service == NULL || self->dumper != 0)
    return;
  if (self->incomplete)
    start_over (self);
  else if (!is_long (self, xds_survival_last (self)->head->end))
    return;
  else if (n_journals (self) == 1)
    start_dumper (self);
  else
    start_over (self); /* a child was not able to */
}

void
xds_survival_stop (XdsSurvival *self)
{
  settle (self);
  self->incomplete = TRUE;
}

gboolean
xds_survival_more (XdsSurvival *self)
{
  start_over (self);
  return !self->incomplete;
}

/* --- life --- */

XdsSurvival *
xds_survival_new (GError **error)
{
  XdsSurvival *self;
  void *page = mmap (NULL, sizeof (XdsSurvivalPage), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

  if (page == MAP_FAILED)
    {
      xds_fail (error, errno, "there is no memory to share with who comes after us");
      return NULL;
    }
  self = g_new0 (XdsSurvival, 1);
  self->page = page;
  self->base = self->dump = -1;
  self->journals[0].fd = self->journals[1].fd = self->spare.fd = -1;
  return self;
}

void
xds_survival_free (XdsSurvival *self)
{
  if (self == NULL)
    return;
  xds_survival_end (self);
  munmap (self->page, sizeof *self->page);
  g_free (self);
}

XdsSlate *
xds_survival_slate (XdsSurvival *self)
{
  return &self->page->slate;
}

void
xds_survival_begin (XdsSurvival *self, XdsService *service)
{
  self->service = service;
  start_over (self);
}

void
xds_survival_end (XdsSurvival *self)
{
  if (self->service == NULL)
    return;
  if (self->dumper != 0)
    {
      int fd = self->item.fd, status;

      waitpid (self->dumper, &status, 0);
      dumper_gone (self, FALSE);
      close (fd);
    }
  xds_engine_set_journal (self->service->engine, NULL);
  self->service = NULL;
  for (guint i = 0; i < 2; i++)
    xds_journal_file_close (&self->journals[i]);
  xds_journal_file_close (&self->spare);
  if (self->base >= 0)
    close (self->base);
  self->base = -1;
}
