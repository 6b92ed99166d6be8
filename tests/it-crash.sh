#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The process that serves is killed, at random and at each instruction, under load: sockets and rings
# with pipelines, watches and transactions that are open all the while.  tests/it-load.c and
# sim-guest's load say what must hold for each client; it-crash.c does the killing.

. "${0%/*}/it-lib.sh"
plan 29

kills=100 steps=25 clients=4
[ -z "${XDS_TEST_LONG-}" ] || { kills=10000; steps=1000; clients=6; }
crash=$top_builddir/tests/it-crash
xds=$top_builddir/xds

start
main=$(cat "$work/pid")
op 13 /load > /dev/null
op "$OP_WRITE" /before 1 > /dev/null
"$xds" quota set nodes 777 > /dev/null
new_guest 6 > /dev/null

# load CLIENTS: in the background until judged, on the socket and on the ring of another domain.
domid=10
load ()
{
  domid=$((domid + 1))
  new_guest "$domid" > /dev/null
  loads=()
  for i in $(seq "$1"); do
    background "$top_builddir/tests/it-load" "$i" 0 > "$work/load.$i"
    loads+=("$background_pid")
  done
  background "$guest" -w "$world" -t 3600 "$domid" load 100000000 "/local/domain/$domid/load" \
    > "$work/ring.$domid"
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

load "$clients"
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

timeout 3000 "$crash" leave "$main" "$steps" > "$work/steps"
like 'killed as a client leaves, it serves those that stay' "$(cat "$work/steps")" "^$steps times"
is 'and takes nothing else for a client' "$(grep -c 'cannot be reached' "$work/log")" 0
"$sim" -w "$world" create 9 > /dev/null
timeout 3000 "$crash" host "$main" "$steps" 9 > "$work/steps"
like 'killed as a domain comes and goes, it answers as if it had not been' "$(cat "$work/steps")" \
     "^$steps times within"
sed 's/^/# /' "$work/steps"

# Not by a kill, but of itself: a fault, and no memory.
is 'a fault anywhere is no more than a kill' \
   "$(timeout 600 "$crash" random "$main" 20 11)" '20 times'
timeout 3000 "$crash" step "$main" 5 11 > "$work/steps"
like 'a fault in the middle of a request is none' "$(cat "$work/steps")" '^5 times within'
load 1
prlimit --pid "$(worker_of "$main")" --as=1
ok 'without memory its work is done' timeout 60 "$crash" fill
ok 'by the process after it' said 'failed to allocate\|AddressSanitizer'
judge
is 'and nobody notices' "$bad" 0
is 'it serves as before' "$(op "$OP_READ" /before)" 1

# A request that kills: the keeper's program, from which processes are made, gets a trap in it.
start_of ()
{
  nm "${2:-$daemon}" | awk -v name="$1" '$3 == name { print "0x" $1 }'
}
mapped=0x$(grep -m 1 xendomstored "/proc/$main/maps" | cut -d - -f 1)
printf '\xcc' | dd of="/proc/$main/mem" bs=1 seek=$((mapped + $(start_of xds_op_is_introduced))) \
                   conv=notrunc 2> /dev/null
kill -9 "$(worker_of "$main")"
load 2
is 'a request that kills is answered EIO, and who sends nothing else is closed' \
   "$(timeout 60 "$crash" poison)" '3 times EIO, then closed'
judge
is 'the others are served all the while' "$bad" 0
like 'its bytes are in the log' "$(cat "$work/log")" 'brought the server down.*IS_DOMAIN_INTRODUCED "5'

# A hypervisor that does not tell for a while: sim_domains () of the keeper's plugin returns -EIO.
plugin=${XDS_PLUGIN_DIR:-$top_builddir/.libs}/sim.so
"$xds" watch --no-initial /patient > "$work/patient" &
watcher=$!
wait_for sh -c "'$xds' control watches | grep -q /patient"
at=$(($(start_of sim_domains "$plugin") + 0x$(grep -m 1 /sim.so "/proc/$main/maps" \
                                               | cut -d - -f 1)))
whole=$(dd if="/proc/$main/mem" bs=1 skip="$at" count=6 2> /dev/null | od -An -tx1 | tr -d ' ')
poke ()
{
  printf '%b' "$(sed 's/../\\x&/g' <<< "$1")" \
    | dd of="/proc/$main/mem" bs=1 seek="$at" conv=notrunc 2> /dev/null
}
poke b8fbffffffc3
kill -9 "$(worker_of "$main")"
ok 'what it cannot do without it says' \
   wait_for sh -c "[ \$(grep -c 'does not tell which domains' '$work/log') -ge 2 ]"
poke "$whole"
is 'it has the state when it can' "$(op "$OP_READ" /before)" 1
op "$OP_WRITE" /patient > /dev/null
ok 'and each client' wait_for grep -q /patient "$work/patient"
kill "$watcher"

# The keeper itself: who serves becomes the daemon.
load 2
kill -9 "$main"
ok 'the daemon goes on without its keeper' wait_for sh -c "! grep -qx '$main' '$work/pid'"
main=$(cat "$work/pid")
wait_for sh -c "[ -n \"\$(cat /proc/$main/task/$main/children)\" ]"
is 'and has another one' "$(timeout 60 "$crash" random "$main" 10 9)" '10 times'
judge
is 'no client notices that' "$bad" 0
kill "$main"
ok 'it ends as asked' wait_for sh -c "! kill -0 $main 2> /dev/null"
