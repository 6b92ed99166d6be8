#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Live update of the daemon that runs, under load: sockets and rings, with pipelines, watches and
# transactions that are open all the while (tests/it-load.c says what must hold for each client).
#
# A build that goes on in the same folder takes its programs, and the library that xds needs, away
# for a moment, and the long run (XDS_TEST_LONG) has many moments.  So what runs again and again
# are copies that need nothing of that folder; an update by xds comes before.

. "${0%/*}/it-lib.sh"
plan 33

standard+=("${XDS_TEST_KEEPER:---keeper}")
updates=${XDS_TEST_UPDATES:-20} clients=6
[ -z "${XDS_TEST_LONG-}" ] || updates=1000
xds=$top_builddir/xds

cp "$daemon" "$raw" "$guest" "$work"
daemon=$work/${daemon##*/} raw=$work/${raw##*/} guest=$work/${guest##*/}

# update WORD...: what the daemon says to that, which may take it 65 seconds.
update ()
{
  timeout 90 "$xds" control live-update "$@" 2>&1
}

# update_again: the same without xds, to the same program.
update_again ()
{
  timeout 90 "$raw" op "$OP_CONTROL" live-update "$daemon" 2>&1
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

# processes: the one that was started, and the one that it keeps, if it does.
processes ()
{
  echo "$daemon_pid"
  worker_of "$daemon_pid" | grep .
}

# descriptors PID...: how many these processes have together.
descriptors ()
{
  local pid

  for pid; do
    find "/proc/$pid/fd" -mindepth 1
  done | wc -l
}

# no_more_than N: descriptors of ours.
no_more_than ()
{
  local n

  # shellcheck disable=SC2046 # process ids
  n=$(descriptors $(processes))
  [ "$n" -gt 0 ] && [ "$n" -le "$1" ]
}

# no_zombie: none of their children is dead and not waited for.
no_zombie ()
{
  local pid child

  for pid in $(processes); do
    for child in $(tr ' ' '\n' < "/proc/$pid/task/$pid/children"); do
      ! grep -q '^State:[[:space:]]*Z' "/proc/$child/status" || return 1
    done
  done
}

# figures WHEN: what they hold, for whoever looks.
figures ()
{
  local pid

  for pid in $(processes); do
    diag "$1: $(cat "/proc/$pid/comm") has $(descriptors "$pid") descriptors," \
         "$(awk '$1 == "VmRSS:" { print $2, $3 }' "/proc/$pid/status")"
  done
}

# replaced_by COMMANDS: $work/changing is a program that is good; while it is tried it gets these.
replaced_by ()
{
  cat > "$work/other" <<END
#!/bin/sh
echo "\$*" >> "$work/tried"
daemon=$daemon
$1
END
  cat > "$work/changing" <<END
#!/bin/sh
case "\$*" in *--check-stream*) mv "$work/other" "\$0" ;; esac
exec "$daemon" "\$@"
END
  chmod +x "$work/other" "$work/changing"
  rm -f "$work/tried"
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
like 'a file that is none' "$(update /nonexistent)" 'not the path of a program: No such file'
like 'a relative path' "$(update daemon)" 'not the path of a program: it has to begin with'
like 'a program that fails' "$(update /bin/false)" 'so we stay: it ended with exit status 1'
printf '#!/bin/sh\nkill -SEGV $$\n' > "$work/crasher"
chmod +x "$work/crasher"
like 'a program that crashes' "$(update "$work/crasher")" 'so we stay: .*signal 11'
printf '#!/bin/sh\nexec sleep 60\n' > "$work/sleeper"
chmod +x "$work/sleeper"
like 'a program that does not end' "$(update -t 1 "$work/sleeper")" 'took too long.*-t'
like 'options that are wrong' "$(update -c '--no-such-option' "$daemon")" 'so we stay.*no-such-option'
like 'nothing to start' "$(update -s)" 'say first which program'
like 'words that are none' "$(update -x "$daemon")" EINVAL
like 'a program that is replaced by one that fails' \
     "$(replaced_by 'echo it fails; exit 1'; update "$work/changing")" 'so we stay: it fails'
replaced_by 'touch "$0"; exec "$daemon" "$@"'
like 'a program that is never whole' "$(update -t 1 "$work/changing")" 'was replaced while it was tried'
is 'it serves as before' "$(op "$OP_READ" /a)" 2
is 'it has not started again' "$(readies)" 2
is 'an update with other options' \
   "$(update -c "-N ${standard[*]} --entry-nb 555" "$daemon")" OK
ok 'it is ready with them' wait_for ready_times 3
is 'a program that is replaced by another' \
   "$(replaced_by 'exec "$daemon" "$@"'; update "$work/changing")" OK
ok 'it is ready as that' wait_for ready_times 4
like 'which was tried itself' "$(cat "$work/tried")" '--check-stream=3'
printf '#!/bin/sh\nsleep 0.5\nexec "%s" "$@"\n' "$daemon" > "$work/slow"
chmod +x "$work/slow"
timeout 0.3 "$raw" op "$OP_CONTROL" live-update "$work/slow" > /dev/null
ok 'an update goes on without whoever asked' wait_for ready_times 5

# Under load.
op 13 /load > /dev/null
new_guest 6 > /dev/null
play 6 write b 1 > /dev/null
loads=()
for i in $(seq "$clients"); do
  background "$top_builddir/tests/it-load" "$i" 0 > "$work/load.$i"
  loads+=("$background_pid")
done
for i in $(seq "$clients"); do
  wait_for op "$OP_READ" "/load/$i"
done
failed=0 floods=0 worst=0
n=$(readies)
# shellcheck disable=SC2046 # process ids
held=$(descriptors $(processes))
figures 'before'
for i in $(seq "$updates"); do
  began=${EPOCHREALTIME/./}
  said=$(update_again)
  took=$(((${EPOCHREALTIME/./} - began) / 1000))
  [ "$took" -le "$worst" ] || worst=$took
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
figures "after $updates updates"
diag "the longest took $worst ms"
is 'updates one after the other all work' "$failed" 0
# How many memory files there are depends on the moment; one that each update leaves is more.
ok 'no descriptor is left over' wait_for no_more_than $((held + updates / 2))
ok 'no dead child either' wait_for no_zombie
is 'a guest got each of its answers' "$floods" "$updates"
bad=0
for load in "${loads[@]}"; do
  kill "$load"
  wait "$load" || bad=$((bad + 1))
done
cat "$work"/load.* | sed 's/^/# /'
is 'no client lost or doubled anything' "$bad" 0
stop
is 'it ends as asked' "$?" 0
