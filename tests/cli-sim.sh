#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# xds-sim: what it prints, what it makes, and with which status it ends.

. "${0%/*}/lib.sh"

XDS_SIM_WORLD=$work/world
export XDS_SIM_WORLD
uuid=00112233-4455-6677-8899-aabbccddeeff

sim ()
{
  "$top_builddir/xds-sim" "$@"
}

# status N NAME ARGUMENT...: it ends with N, and if that is not 0 it says in one line why.
status ()
{
  local wanted=$1 name=$2 text code=0
  shift 2

  text=$(sim "$@" 2>&1 >/dev/null) || code=$?
  is "$name: status" "$code" "$wanted"
  [ "$wanted" -eq 0 ] || like "$name: why" "$text" '^xds-sim: .+'
}

# The state and reason that the list gives for a domain.
state ()
{
  sim list | awk -v id="$1" '$1 == id { print $2, $3 }'
}

plan 34

status 6 'without a world there is nothing to list' list
status 0 'init makes one' init
is 'it has domain 0 alone' "$(sim list | awk 'NR > 1 { print $1, $2 }')" '0 running'

status 0 'a domain is made' create 5
status 1 'but not twice' create 5
status 0 'with a uuid of its own' create 32751 --uuid "$uuid"
is 'which is listed' "$(sim list | awk '$1 == 32751 { print $5 }')" "$uuid"

sim pause 5
is 'it is paused' "$(state 5)" 'paused -'
sim unpause 5
is 'and runs again' "$(state 5)" 'running -'
sim shutdown 5 suspend
is 'it stops for a reason' "$(state 5)" 'shutdown suspend'
sim resume 5
is 'and goes on' "$(state 5)" 'running -'
sim shutdown 5 77
is 'a reason may be a number' "$(state 5)" 'shutdown 77'
sim crash 5
is 'it crashes' "$(state 5)" 'shutdown crash'
sim dying 5
is 'it is torn down' "$(state 5)" 'dying crash'
sim dead 5
is 'nothing is left of it' "$(state 5)" 'dead crash'
ok 'the list is JSON too' sh -c "'$top_builddir/xds-sim' list --json | python3 -c '
import json, sys
got = {d[\"domid\"]: d for d in json.load(sys.stdin)}
assert sorted(got) == [0, 5, 32751]
assert (got[5][\"state\"], got[5][\"reason\"]) == (\"dead\", \"crash\")
assert got[0][\"reason\"] is None and got[32751][\"uuid\"] == \"$uuid\"
assert len({d[\"unique_id\"] for d in got.values()}) == 3
'"
status 0 'it goes' destroy 5
status 1 'and is not there any more' destroy 5

status 2 'a verb that there is not' frob
status 2 'an id that no domain has' create 32752
status 2 'an id that is no number' create 5x
status 2 'a uuid that is none' create 6 --uuid 0011
status 2 'a reason that is none' shutdown 32751 boredom
status 2 'too few arguments' create
like 'help names each verb' "$(sim --help)" 'destroy'
