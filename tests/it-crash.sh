#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The process that serves is killed, at random and at each instruction, under load: sockets and rings
# with pipelines, watches and transactions that are open all the while.  tests/it-load.c and
# sim-guest's load say what must hold for each client; it-crash.c does the killing.

. "${0%/*}/it-lib.sh"
plan 13

kills=100 steps=25 clients=4
[ -z "${XDS_TEST_LONG-}" ] || { kills=10000; steps=1000; clients=6; }
crash=$top_builddir/tests/it-crash
xds=$top_builddir/xds

start
main=$(cat "$work/pid")
op 13 /load > /dev/null
op "$OP_WRITE" /before 1 > /dev/null
"$xds" quota set nodes 777 > /dev/null
new_guest 5 > /dev/null
new_guest 6 > /dev/null

# load CLIENTS DOMID: in the background until judged, on the socket and on a ring.
load ()
{
  loads=()
  for i in $(seq "$1"); do
    background "$top_builddir/tests/it-load" "$i" 0 > "$work/load.$i"
    loads+=("$background_pid")
  done
  background "$guest" -w "$world" -t 3600 "$2" load 100000000 "/local/domain/$2/load" > "$work/ring.$2"
  rings=$background_pid
}

# judge: $bad clients found something wrong; all of them are ended.
judge ()
{
  local each

  bad=0
  for each in "${loads[@]}"; do
    kill -TERM "$each" 2> /dev/null
    wait "$each" || bad=$((bad + 1))
  done
  kill -0 "$rings" 2> /dev/null || bad=$((bad + 1))
  kill "$rings" 2> /dev/null
  sed 's/^/# /' "$work"/load.* "$work"/ring.*
}

load "$clients" 5
is 'killed at random it is there again each time' \
   "$(timeout 3000 "$crash" random "$main" "$kills" 9)" "$kills times"
judge
is 'no client lost or doubled anything' "$bad" 0
ok 'a domain that was idle is served' play 6 write b 2
is 'what was there is there' "$(op "$OP_READ" /before)" 1
is 'a quota that was set is' "$("$xds" quota nodes | awk '{ print $2 }')" 777
is 'the pid file says the same process' "$(cat "$work/pid")" "$main"
ok 'which lives' kill -0 "$main"
is 'no client was closed for an outcome that is not known' "$(grep -c 'is not known' "$work/log")" 0
like 'the store is sound' "$("$xds" control check 2>&1)" 'OK|ok|sound'

timeout 3000 "$crash" step "$main" "$steps" > "$work/steps"
like 'killed at any instruction it answers each request once' "$(cat "$work/steps")" \
     "^$steps times within"
sed 's/^/# /' "$work/steps"

# Not by a kill, but of itself.
is 'a fault anywhere is no more than a kill' \
   "$(timeout 600 "$crash" random "$main" 20 11)" '20 times'
is 'it serves as before' "$(op "$OP_READ" /before)" 1
stop
is 'it ends as asked' "$?" 0
