/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What other files of the library need of watches.  Not installed. */

#include "lib/client.h"
#include "lib/xendomstore/watch.h"

/* The client owns @watch from now on, not the other way round. */
void xds_watch_make_internal (XdsWatch *watch);
