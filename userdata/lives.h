/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Which life of a domain is each file of?  For the keeper only, and of use where the hypervisor has
 * unique ids: a number and a uuid can come back within one boot, when a guest is given them.
 */

#include "userdata/sweep.h"

G_BEGIN_DECLS

typedef struct XdsUserdataLives XdsUserdataLives;

XdsUserdataLives *xds_userdata_lives_new (XdsUserdataStore *store);
void xds_userdata_lives_free (XdsUserdataLives *lives);

/* An event told that somebody made or changed @file, or that it vanished. */
void xds_userdata_lives_touched (XdsUserdataLives *lives, const char *file);
void xds_userdata_lives_vanished (XdsUserdataLives *lives, const char *file);

/* Events were lost. */
void xds_userdata_lives_forget (XdsUserdataLives *lives);

/* After all events that there were: asks for the owners of what was touched.  TRUE if one of them
   is gone, or cannot be asked for, so that a sweep is due. */
gboolean xds_userdata_lives_ask (XdsUserdataLives *lives);

/* @names were listed, then @index made of all domains, and no event was read since. */
void xds_userdata_lives_learn (XdsUserdataLives *lives, const GPtrArray *names, GHashTable *index);

/* Was @file stored for an earlier life of @domain? */
gboolean xds_userdata_lives_is_earlier (XdsUserdataLives *lives, const char *file,
                                        const XdsUserdataDomain *domain);

G_END_DECLS
