#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the library exports, what its map lists, what its headers declare and what its comments
# document are the same names; and its soname is the promised one.

. "${0%/*}/lib.sh"

library=$top_builddir/.libs/libxendomstore.so
lib=$top_srcdir/lib

# The types that a macro declares are documented by their XdsName.
macro_types='xds_client_get_type xds_watch_get_type xds_userdata_get_type'

exported=$(${NM:-nm} -D --defined-only "$library" | awk '$2 != "A" { print $3 }' \
             | sed 's/@.*//' | sort -u)
mapped=$(sed -n 's/^  \(xds_[a-z_0-9]*\);$/\1/p' "$lib/libxendomstore-devel.map" | sort -u)
declared=$({ grep -hoE '\<xds_[a-z_0-9]+ \(' "$lib"/xendomstore/*.h | tr -d ' ('
             printf '%s\n' $macro_types; } | sort -u)
documented=$(grep -hoE '^ \* xds_[a-z_0-9]+:$' "$lib"/*.c | tr -d ' *:' | sort -u)
undocumented_by_rule='xds_error_quark xds_batch_get_type xds_transaction_get_type xds_client_get_type
  xds_watch_get_type xds_userdata_get_type xds_userdata_entry_get_type
  xds_userdata_finding_get_type'

plan 4
is 'the library exports what the map lists' "$exported" "$mapped"
is 'the headers declare what the map lists' "$declared" "$mapped"
is 'the comments document what the map lists' \
  "$({ echo "$documented"; printf '%s\n' $undocumented_by_rule; } | sort -u)" "$mapped"
is 'the soname is libxendomstore.so.0' \
  "$(objdump -p "$library" | awk '$1 == "SONAME" { print $2 }')" libxendomstore.so.0
