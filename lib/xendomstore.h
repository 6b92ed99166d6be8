/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * libxendomstore: xenstore and per-domain userdata from C, by one API.
 *
 * Every header below stands alone; this one has them all.
 */

#include "xendomstore/error.h"
#include "xendomstore/client.h"
#include "xendomstore/txn.h"
#include "xendomstore/node.h"
#include "xendomstore/batch.h"
#include "xendomstore/watch.h"
#include "xendomstore/domain.h"
#include "xendomstore/control.h"
#include "xendomstore/snapshot.h"
#include "xendomstore/userdata.h"
