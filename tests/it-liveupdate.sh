#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Live update of the daemon that runs, under load: sockets and rings, with pipelines, watches and
# transactions that are open all the while (tests/it-load.c says what must hold for each client).

. "${0%/*}/it-lib.sh"
plan 24

standard+=("${XDS_TEST_KEEPER:---keeper}")
updates=${XDS_TEST_UPDATES:-20} clients=6
[ -z "${XDS_TEST_LONG-}" ] || updates=1000
xds=$top_builddir/xds

# update WORD...: what the daemon says to that.
update ()
{
  timeout 60 "$xds" control live-update "$@" 2>&1
}

# readies: how often it said that it is ready.
readies ()
{
  grep -c 'ready: ' "$work/log"
}

ready_times ()
{
  [ "$(readies)" -ge "$1" ]
}

start
pid=$(cat "$work/pid")

# Once, and everything is there.
new_guest 5 > /dev/null
op "$OP_WRITE" /a 1 > /dev/null
"$xds" quota set nodes 777 > /dev/null
background "$xds" watch --no-initial /a > "$work/watched"
watcher=$background_pid
wait_for sh -c "'$xds' control watches | grep -q /a"
is 'an update to the same program' "$(update "$daemon")" OK
ok 'it is ready again' wait_for ready_times 2
is 'it is the same process' "$(cat "$work/pid")" "$pid"
is 'nodes are there' "$(op "$OP_READ" /a)" 1
is 'a quota that was set is' "$("$xds" quota nodes | awk '{ print $2 }')" 777
is 'the guest is served on its ring' "$(play 5 write b 2 > /dev/null; play 5 read b)" 2
op "$OP_WRITE" /a 2 > /dev/null
ok 'who watched before hears of it' wait_for grep -q /a "$work/watched"
kill "$watcher"
refused
is 'another daemon is refused as before' "$status" 1
"$sim" -w "$world" destroy 5 > /dev/null
ok 'a domain that ends is noticed' wait_for sh -c "! '$raw' op $OP_READ /local/domain/5/b > /dev/null 2>&1"

# What cannot take over leaves the old one running and says why.
like 'a file that is none' "$(update /nonexistent)" 'not the path of a program'
like 'a relative path' "$(update daemon)" 'not the path of a program'
like 'a program that fails' "$(update /bin/false)" 'so we stay'
printf '#!/bin/sh\nexec sleep 60\n' > "$work/sleeper"
chmod +x "$work/sleeper"
like 'a program that does not end' "$(update -t 1 "$work/sleeper")" 'took too long'
like 'options that are wrong' "$(update -c '--no-such-option' "$daemon")" 'so we stay.*no-such-option'
like 'nothing to start' "$(update -s)" 'say first which program'
like 'words that are none' "$(update -x "$daemon")" EINVAL
is 'it serves as before' "$(op "$OP_READ" /a)" 2
is 'it has not started again' "$(readies)" 2
is 'an update with other options' \
   "$(update -c "-N ${standard[*]} --entry-nb 555" "$daemon")" OK
ok 'it is ready with them' wait_for ready_times 3

# Under load.
op 13 /load > /dev/null
new_guest 6 > /dev/null
play 6 write b 1 > /dev/null
loads=()
for i in $(seq "$clients"); do
  background timeout 900 "$top_builddir/tests/it-load" "$i" $((updates / 2 + 3)) > "$work/load.$i"
  loads+=("$background_pid")
done
failed=0 floods=0
n=$(readies)
for i in $(seq "$updates"); do
  said=$(update "$daemon")
  if [ "$said" = OK ]; then
    n=$((n + 1))
  else
    failed=$((failed + 1))
    diag "update $i: $said"
  fi
  case $(play 6 flood 500 b 2>&1) in
    *'500 answers, 0 errors'*) floods=$((floods + 1)) ;;
  esac
  wait_for ready_times "$n" || failed=$((failed + 1))
done
is 'updates one after the other all work' "$failed" 0
is 'a guest got each of its answers' "$floods" "$updates"
bad=0
for load in "${loads[@]}"; do
  wait "$load" || bad=$((bad + 1))
done
cat "$work"/load.* | sed 's/^/# /'
is 'no client lost or doubled anything' "$bad" 0
stop
is 'it ends as asked' "$?" 0
