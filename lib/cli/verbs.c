/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The table of verbs.  One that is here works; nothing else decides what xds can do.
 */

#include "lib/cli/verbs.h"

const XdsVerb *const xds_verbs[] = {
  &xds_verb_read,
  &xds_verb_write,
  &xds_verb_rm,
  &xds_verb_mkdir,
  &xds_verb_list,
  &xds_verb_ls,
  &xds_verb_tree,
  &xds_verb_exists,
  &xds_verb_chmod,
  &xds_verb_watch,
  &xds_verb_wait,
  &xds_verb_txn,
  &xds_verb_dump,
  &xds_verb_diff,
  &xds_verb_apply,
  &xds_verb_userdata,
  &xds_verb_domain,
  &xds_verb_quota,
  &xds_verb_top,
  &xds_verb_control,
  &xds_verb_sim,
  &xds_verb_complete,
  NULL,
};

/* How many letters have to be put in, left out or changed: small words, so the plain way. */
static guint
distance (const char *a, const char *b)
{
  guint changed;

  if (*a == '\0' || *b == '\0')
    return strlen (a) + strlen (b);
  if (*a == *b)
    return distance (a + 1, b + 1);
  changed = distance (a + 1, b + 1);
  changed = MIN (changed, distance (a + 1, b));
  return 1 + MIN (changed, distance (a, b + 1));
}

/* Longer than any verb by more than a slip; also a bound for distance(). */
#define SLIP_MAX 10

const XdsVerb *
xds_verb_nearest (const char *name)
{
  const XdsVerb *best = NULL;
  guint least = 3;

  if (strlen (name) < 2 || strlen (name) > SLIP_MAX)
    return NULL;
  for (guint i = 0; xds_verbs[i] != NULL; i++)
    {
      guint far = g_str_has_prefix (xds_verbs[i]->name, name) ? 0
                                                              : distance (name, xds_verbs[i]->name);

      if (far < least && far < strlen (name) - 1)
        {
          best = xds_verbs[i];
          least = far;
        }
    }
  return best;
}

const XdsVerb *
xds_verb_find (const char *name)
{
  for (guint i = 0; xds_verbs[i] != NULL; i++)
    if (g_str_equal (xds_verbs[i]->name, name))
      return xds_verbs[i];
  return NULL;
}
