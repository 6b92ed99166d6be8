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

const XdsVerb *
xds_verb_find (const char *name)
{
  for (guint i = 0; xds_verbs[i] != NULL; i++)
    if (g_str_equal (xds_verbs[i]->name, name))
      return xds_verbs[i];
  return NULL;
}
