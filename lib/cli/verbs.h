/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Every verb; verbs.c has them in the order of the help. */

#include "lib/cli/cli.h"

extern const XdsVerb xds_verb_apply, xds_verb_chmod, xds_verb_complete, xds_verb_control,
    xds_verb_diff, xds_verb_domain, xds_verb_dump, xds_verb_exists, xds_verb_list, xds_verb_ls,
    xds_verb_mkdir, xds_verb_quota, xds_verb_read, xds_verb_rm, xds_verb_sim, xds_verb_top,
    xds_verb_tree, xds_verb_txn, xds_verb_userdata, xds_verb_wait, xds_verb_watch, xds_verb_write;
