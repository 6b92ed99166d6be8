/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What xl of Xen 4.17 says to the store for a paravirtual guest with one disk and one interface,
 * as scripts: its start, and its destruction.  Both include what the backends and the hotplug
 * scripts write meanwhile, since they too stand between the user and a running guest.
 */

#include "tests/bench/script.h"

GPtrArray *bench_xl_create (guint domid);
GPtrArray *bench_xl_destroy (guint domid);
