/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Files and lives.
 *
 * For each file of data this remembers the unique id of the domain under which it last changed, or
 * that it was nobody's.  It is memory, not state: after a restart of the daemon, what is there is
 * taken for the living one's, and the rest is learnt anew.
 *
 * Invariant: a file is never taken for one of an older life than the one that it is of; an error
 * the other way only keeps something stale.  That is why owners are asked for after all events
 * were read, and why a listing is learnt from before any further event is.
 */

#include "userdata/lives.h"
#include "userdata/store-private.h"

#include <string.h>

/* In place of a unique id: of somebody who is gone. */
#define NOBODY G_MAXUINT64

struct XdsUserdataLives
{
  XdsUserdataStore *store; /* (unowned) */
  GHashTable *of_file;     /* (owned): file name to guint64 */
  GHashTable *touched;     /* (owned): set of file names, since they were last asked for */
};

XdsUserdataLives *
xds_userdata_lives_new (XdsUserdataStore *store)
{
  XdsUserdataLives *lives = g_new (XdsUserdataLives, 1);

  lives->store = store;
  lives->of_file = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  lives->touched = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return lives;
}

void
xds_userdata_lives_free (XdsUserdataLives *lives)
{
  if (lives == NULL)
    return;
  g_hash_table_unref (lives->of_file);
  g_hash_table_unref (lives->touched);
  g_free (lives);
}

static void
set_life (XdsUserdataLives *lives, const char *file, guint64 life)
{
  g_hash_table_replace (lives->of_file, g_strdup (file), g_memdup2 (&life, sizeof life));
}

void
xds_userdata_lives_touched (XdsUserdataLives *lives, const char *file)
{
  g_hash_table_add (lives->touched, g_strdup (file));
}

void
xds_userdata_lives_vanished (XdsUserdataLives *lives, const char *file)
{
  g_hash_table_remove (lives->of_file, file);
  g_hash_table_remove (lives->touched, file);
}

/* A wrong answer would remove good data, so there is none. */
void
xds_userdata_lives_forget (XdsUserdataLives *lives)
{
  g_hash_table_remove_all (lives->of_file);
}

/* His unique id, or NOBODY; each owner is asked for once in a turn, as @seen tells. */
static guint64
life_of (XdsUserdataLives *lives, GHashTable *seen, const XdsUserdataName *name)
{
  g_autofree char *key = g_strdup_printf ("%u.%s", name->domid, name->uuid);
  const guint64 *known = g_hash_table_lookup (seen, key);
  XdsUserdataDomain domain;
  guint64 life = NOBODY;

  if (known != NULL)
    return *known;
  if (xds_userdata_ask (lives->store, name->domid, TRUE, &domain, NULL)
      && xds_userdata_domain_may_be (&domain, name->uuid))
    life = domain.unique_id;
  g_hash_table_insert (seen, g_steal_pointer (&key), g_memdup2 (&life, sizeof life));
  return life;
}

gboolean
xds_userdata_lives_ask (XdsUserdataLives *lives)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  gboolean gone = FALSE;
  GHashTableIter iter;
  gpointer file;

  g_hash_table_iter_init (&iter, lives->touched);
  while (g_hash_table_iter_next (&iter, &file, NULL))
    {
      XdsUserdataName name;
      guint64 life;

      if (!xds_userdata_name_parse (file, &name) || name.domid == 0)
        continue;
      life = life_of (lives, seen, &name);
      gone |= life == NOBODY;
      /* Gone, or just not to be asked for: only a pass can tell. */
      if (life == NOBODY)
        g_hash_table_remove (lives->of_file, file);
      else if (name.letter == 'd')
        set_life (lives, file, life);
    }
  g_hash_table_remove_all (lives->touched);
  return gone;
}

/*
 * A file whose owner is gone is nobody's from then on, whoever comes back with that number and
 * uuid.  What was not known before is taken for the living one's.
 */
void
xds_userdata_lives_learn (XdsUserdataLives *lives, const GPtrArray *names, GHashTable *index)
{
  for (guint i = 0; i < names->len; i++)
    {
      const char *file = names->pdata[i];
      const XdsUserdataDomain *domain;
      XdsUserdataName name;

      if (!xds_userdata_name_parse_data (file, &name))
        continue;
      domain = xds_userdata_index_find (index, &name);
      if (domain == NULL)
        set_life (lives, file, NOBODY);
      else if (!g_hash_table_contains (lives->of_file, file))
        set_life (lives, file, domain->unique_id);
    }
}

gboolean
xds_userdata_lives_is_earlier (XdsUserdataLives *lives, const char *file,
                               const XdsUserdataDomain *domain)
{
  const guint64 *life = g_hash_table_lookup (lives->of_file, file);

  return domain->unique_id != 0 && life != NULL && *life != domain->unique_id;
}
