#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the library exports, what its map lists, what its headers declare and what its comments
# document are the same names; whatever may wait has an asynchronous form; whatever can fail tells its
# errors; and the soname is the promised one.

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

# Every function that can fail can be waited for, but these:
#   the connection is made and used without an answer to wait for: client_open*, client_dispatch,
#     client_flush, client_wait, snapshot_read (of a file), userdata_new, userdata_watch;
#   their asynchronous form is a signal: watch_next;
#   they give what is there already: batch_check, batch_get_*.
never_wait='xds_client_open xds_client_open_path xds_client_open_fd xds_client_dispatch
  xds_client_flush xds_client_wait xds_snapshot_read xds_userdata_new xds_userdata_watch
  xds_watch_next xds_batch_check xds_batch_get_value xds_batch_get_strings'

# fallible: functions with a GError that are declared, but no _finish and none of never_wait.
fallible ()
{
  grep -hv '^#' "$lib"/xendomstore/*.h | tr '\n' ' ' | grep -oE 'xds_[a-z_0-9]+ \([^;{}]*GError \*\*error\);' \
    | sed 's/ (.*//' | grep -vE '_finish$' | grep -vxF "$(printf '%s\n' $never_wait)" | sort -u
}

without_pair ()
{
  local name

  for name in $(fallible); do
    grep -qx "${name}_async" <<< "$declared" && grep -qx "${name}_finish" <<< "$declared" \
      || echo "$name"
  done
}

# comment NAME: the lines of its documentation.
comment ()
{
  awk -v name=" * $1:" '$0 == "/**" { text = ""; wanted = 0 }
    { text = text $0 "\n" } $0 == name { wanted = 1 }
    $0 == " */" && wanted { printf "%s", text; exit }' "$lib"/*.c
}

# errors_of NAME: what its documentation says behind "Errors:", in one line.
errors_of ()
{
  comment "$1" | sed -n '/^ \* Errors:/,/^ \*$/p' | sed 's/^ \*//' | tr '\n' ' '
}

# fallible_all: those that can fail, with their _finish.
fallible_all ()
{
  fallible
  printf '%s\n' $never_wait
  grep -E '_finish$' <<< "$declared"
}

without_errors ()
{
  local name

  for name in $(fallible_all); do
    grep -qE 'Errors: .*\.' <<< "$(errors_of "$name")" || echo "$name"
  done
}

# codes: those of XdsError; told: those that some comment has among errors.
codes ()
{
  sed -nE 's/^  (XDS_ERROR_[A-Z0-9_]+) = .*/\1/p' "$lib/xendomstore/error.h" | sort
}

told ()
{
  {
    for name in $(fallible_all); do errors_of "$name"; done
    sed -n '/^ \* The errors of /,/^ \*\//p' "$lib"/*.c
  } | grep -oE 'XDS_ERROR_[A-Z0-9_]+' | sort -u
}

plan 8
is 'what can fail tells its errors' "$(without_errors)" ''
# EISDIR, ENOTEMPTY and EROFS are names of the wire that no server sends.
is 'every error is told by whoever has it' "$(told)" \
   "$(codes | grep -vE '_(EISDIR|ENOTEMPTY|EROFS)$')"
ok 'there are functions that can fail' test "$(fallible | wc -l)" -gt 30
is 'what may wait has _async and _finish' "$(without_pair)" ''
is 'the library exports what the map lists' "$exported" "$mapped"
is 'the headers declare what the map lists' "$declared" "$mapped"
is 'the comments document what the map lists' \
  "$({ echo "$documented"; printf '%s\n' $undocumented_by_rule; } | sort -u)" "$mapped"
is 'the soname is libxendomstore.so.0' \
  "$(objdump -p "$library" | awk '$1 == "SONAME" { print $2 }')" libxendomstore.so.0
