#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the pure layers need of the world, asked of the object code: a macro or a helper of GLib can
# hide a clock or a file from a look at the sources, but not from `nm`.  A test proves that every
# symbol that the layer leaves undefined is on its list.  The list is also what a port to a place
# without an operating system must provide.

. "${0%/*}/lib.sh"

wire='mem(chr|cmp|cpy|move|rchr|set)|str(chr|cmp|len|ncmp|nlen|rchr|to(ul|ull|ll))|snprintf
  |__errno_location|__assert_fail'

# Memory, containers and text of GLib; no g_get_*, no g_log*, nothing with a file, a time or a loop.
core="$wire"'|qsort|bsearch|abort
  |g_(malloc|malloc0|malloc_n|malloc0_n|realloc|realloc_n|try_(malloc|realloc)(0|_n|0_n)?|free)
  |g_(memdup2|aligned_.*|slice_.*|rc_box_.*|clear_pointer|steal_pointer)
  |g_(array|ptr_array|byte_array|bytes|hash_table|queue|list|slist|sequence|tree|string)_.*
  |g_(str|strv|ascii|direct|int|int64)_.*|g_str(dup|ndup|concat|split|freev|joinv?|lcpy|cmp0)
  |g_strdup_(printf|vprintf)|g_ascii_table|g_spaced_primes_closest
  |g_assertion_message.*|g_return_if_fail_warning'

# Put in by the compiler.
compiler='__stack_chk_fail|__[a-z]*_chk|_GLOBAL_OFFSET_TABLE_|__tls_get_addr'

# undefined ARCHIVE...: what the archives need that they do not define.
undefined ()
{
  $NM -P "$@" | awk 'NF >= 2 { if ($2 == "U" || $2 == "w") need[$1]; else have[$1] }
                     END { for (s in need) if (!(s in have)) print s }' | sort
}

# check NAME LIST ARCHIVE...
check ()
{
  local name=$1 list=${2//[$' \n']/}
  shift 2
  is "$name needs nothing of the world" "$(undefined "$@" | grep -vxE "($list|$compiler)")" ''
}

: "${NM:=nm}"
libs=$top_builddir/.libs
if [ ! -e "$libs/libxds-wire.a" ]; then skip_all 'there is no build here'; fi
if $NM "$libs/libxds-wire.a" | grep -qE '__(asan|ubsan|gcov|sanitizer)_'; then
  skip_all 'this build is instrumented, and its objects call the tools'
fi
plan 4
check wire "$wire" "$libs/libxds-wire.a"
check core "$core" "$libs/libxds-core.a" "$libs/libxds-wire.a"

# libxenctrl and libxenmanage change with Xen, so a plugin alone may need them; the stable ones come
# with it.  One build of the rest runs on any Xen, or none.
xen_needs ()
{
  local file

  for file in "$@"; do
    [ -e "${file%/*}/.libs/${file##*/}" ] && file=${file%/*}/.libs/${file##*/}
    readelf -d "$file" | sed -n 's/.*(NEEDED).*\[\(libxen[a-z]*\)\.so.*/\1/p'
  done | grep -v '^libxendomstore$' | sort -u | tr '\n' ' '
}

is 'daemon, library, xds and the simulator are linked with no library of Xen' \
  "$(xen_needs "$top_builddir"/{xendomstored,xds} "$libs"/{libxendomstore.so,sim.so})" ''
if [ -e "$libs/xenctrl.so" ]; then
  is 'the plugin for Xen needs one that is not stable, and no foreign mapping' \
    "$(xen_needs "$libs/xenctrl.so")" 'libxenctrl libxenevtchn libxengnttab '
else
  skip 'there is no plugin for Xen in this build'
fi
