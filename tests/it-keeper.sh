#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The process that keeps the daemon: whatever ends the one that serves, the one that the world knows
# stays, with its descriptors.

. "${0%/*}/it-lib.sh"
plan 74

deaths=20
[ -z "${XDS_TEST_LONG-}" ] || deaths=100
xds=$top_builddir/xds
standard+=(--keeper)

# readies, deaths_told: how often it said so.
readies ()
{
  grep -c 'ready: ' "$work/log"
}

deaths_told ()
{
  grep -c 'takes its place' "$work/log"
}

# count NAME N: it said so N times.
count ()
{
  [ "$("$1")" -ge "$2" ]
}

worker ()
{
  worker_of "$daemon_pid"
}

# is_replaced PID: somebody else serves.
is_replaced ()
{
  [ -n "$(worker)" ] && [ "$(worker)" != "$1" ]
}

descriptors ()
{
  ls "/proc/$1/fd" | wc -l
}

# state PID: a letter of ps(1).
state ()
{
  awk '/^State/ { print $2 }' "/proc/$1/status"
}

# waits_in_worker: there is one, and it is at the log that nobody reads.
waits_in_worker ()
{
  [ -n "$(worker)" ] && [ "$(cat "/proc/$(worker)/wchan")" != 0 ] && [ "$(state "$(worker)")" = S ]
}

# hang_at_log: who starts from now on comes no further than its log.
hang_at_log ()
{
  printf '[log]\ntarget = file\nfile = %s\n' "$work/fifo" > "$work/conf"
  mkfifo "$work/fifo"
}

# Two processes die, and neither could tell in the log.
die_untold ()
{
  local dying i

  for i in 1 2; do
    dying=$(worker)
    kill -ABRT "$dying"
    wait_for is_replaced "$dying"
    wait_for waits_in_worker
  done
}

start_hanging ()
{
  hang_at_log
  : > "$work/log"
  background "$daemon" -N "${standard[@]}" 2>> "$work/log"
  daemon_pid=$background_pid
  wait_for test -s "$work/pid"
  wait_for waits_in_worker
}

end_hanging ()
{
  wait "$daemon_pid"
  status=$?
  rm "$work/fifo"
  : > "$work/conf"
}

# --- the start ---

refused --socket "$work/no/such/dir/socket"
is 'a start that fails: exit 1' "$status" 1
is 'it is told once' "$(wc -l <<< "$said")" 1
not_ok 'no pid file is left' test -e "$work/pid"
"$daemon" "${standard[@]}" > "$work/out" 2>&1
is 'background: the parent exits with 0' "$?" 0
daemon_pid=$(cat "$work/pid")
wait_for op "$OP_DIRECTORY" /
kill -KILL "$(worker)"
ok 'background: the socket answers again' wait_for op "$OP_DIRECTORY" /
kill "$daemon_pid"
wait_for test ! -e "$work/pid"
not_ok 'background: it ends as asked' test -e "$XENSTORED_PATH"
"$daemon" "${standard[@]}" --socket "$work/no/socket" > "$work/out" 2>&1
is 'background: a failure is the exit status of the parent' "$?" 1

# The keeper itself speaks to the system's log, of which there is one of ours in a /dev of ours.
if [ "$(id -u)" -eq 0 ] && unshare -m true 2> /dev/null; then
  background "$raw" listen-notify "$work/syslog" 100 > "$work/heard"
  wait_for test -S "$work/syslog"
  mkdir "$work/dev"
  unshare -m sh -c 'mount -t tmpfs none "$0" || exit
    for each in null zero urandom; do : > "$0/$each"; mount --bind "/dev/$each" "$0/$each"; done
    ln -s "$1" "$0/log"; mount --move "$0" /dev; shift; exec "$@"' \
    "$work/dev" "$work/syslog" "$daemon" "${standard[@]}"
  daemon_pid=$(cat "$work/pid")
  hang_at_log
  die_untold
  rm "$work/fifo"
  printf '[access-log]\nfile = %s\n' "$work/access" > "$work/conf"
  kill -ABRT "$(worker)"
  wait_for op "$OP_DIRECTORY" /
  ok 'background: the keeper speaks to the system'\''s log' \
     wait_for grep -q 'died .*before it could tell' "$work/heard"
  ok 'and keeps nothing open for that, which would be another file soon' \
     wait_for grep -q DIRECTORY "$work/access"
  kill "$daemon_pid"
  wait_for test ! -e "$work/pid"
  : > "$work/conf"
else
  skip 'mount namespaces are not allowed here'; skip 'mount namespaces are not allowed here'
fi

start_hanging
kill -ABRT "$(worker)"
end_hanging
is 'one that dies before it served is not replaced' "$status" 134
ok 'and that is said' said 'signal 6 .*before it could serve'
not_ok 'no pid file is left by it' test -e "$work/pid"
start_hanging
kill "$daemon_pid"
end_hanging
is 'who is asked to end before it serves ends' "$status" 143

: > "$work/log"
"$daemon" -N "${standard[@]}" --no-keeper 2>> "$work/log" &
daemon_pid=$!
wait_for said 'ready: '
is 'without a keeper there is one process' "$(worker)" ''
stop
is 'which ends as asked' "$?" 0

# --- what stays ---

: > "$work/log"
soft=$(ulimit -Sn)
ulimit -Sn 64
start --output-pid > "$work/printed"
ulimit -Sn "$soft"
first=$(worker)
is 'the pid file has the process that was started' "$(cat "$work/pid")" "$daemon_pid"
is 'the process id that is printed is that, too' "$(cat "$work/printed")" "$daemon_pid"
is 'its name is another' "$(cat "/proc/$daemon_pid/comm")" xendomkeeper
is 'the name of the process that serves is that of the program' "$(cat "/proc/$first/comm")" \
   xendomstored
score=$(cat /proc/self/oom_score_adj)
is 'the process that serves is killed for its memory as before' \
   "$(cat "/proc/$first/oom_score_adj")" "$score"
diag "memory of the keeper: $(awk '/^(Rss|Pss|Private_Dirty):/ { printf "%s %d KiB ", $1, $2 }' \
  "/proc/$daemon_pid/smaps_rollup" 2> /dev/null)"
kill -ABRT "$first"
ok 'one that dies is replaced' wait_for count readies 2
like 'the log says how it died, once' "$(deaths_told) $(cat "$work/log")" \
     "^1 .*process $first was killed by signal 6 .*number of such deaths is 1"
like 'a client can ask, too' "$(op "$OP_CONTROL" deaths)" "^1, .*process $first .*signal 6 "
ok 'it is another process' is_replaced "$first"
is 'the pid file is as it was' "$(cat "$work/pid")" "$daemon_pid"
is 'the process id is not printed again' "$(wc -l < "$work/printed")" 1
ok 'the socket answers' op "$OP_DIRECTORY" /

before=$(descriptors "$daemon_pid")
signals=(SEGV KILL ABRT BUS TERM)
failed=0
for ((i = 0; i < deaths; i++)); do
  # TERM is not asked of the process that serves: it would end by it.  ABRT reaches it by the keeper.
  case ${signals[i % 5]} in
    TERM) kill -ABRT "$daemon_pid" ;;
    *) kill -"${signals[i % 5]}" "$(worker)" ;;
  esac
  wait_for count readies $((i + 3)) || failed=$((failed + 1))
  op "$OP_DIRECTORY" / > /dev/null || failed=$((failed + 1))
  sleep 0.1
done
is "$deaths deaths, each by another signal: it is there each time" "$failed" 0
is 'each is in the log' "$(deaths_told)" $((deaths + 1))
is 'no descriptor is left by them' "$(descriptors "$daemon_pid")" "$before"
is 'no child is left by them' "$(wc -w < "/proc/$daemon_pid/task/$daemon_pid/children")" 1
is 'it is still the same process' "$(cat "$work/pid")" "$daemon_pid"

# More descriptors are open than the daemon was started with.
background "$raw" open 200 60 > /dev/null
opener=$background_pid
opened ()
{
  [ "$(descriptors "$daemon_pid")" -ge $((before + $1)) ]
}
wait_for opened 200
n=$(readies)
kill -KILL "$(worker)"
ok 'the next one opens what it needs, whatever is open' wait_for count readies $((n + 1))
kill "$opener"
all_closed ()
{
  [ "$(descriptors "$daemon_pid")" = "$before" ]
}
ok 'and closes what is for nobody' wait_for all_closed

# --- the configuration's file changes, and nobody says so ---

printf '[daemon]\nsocket = %s\n[log]\ntarget = file\nfile = %s\n[access-log]\nfile = %s\n' \
       "$work/other" "$work/no/log" "$work/no/access" > "$work/conf"
n=$(readies)
kill -KILL "$(worker)"
ok 'without a log it goes on serving' wait_for count readies $((n + 1))
ok 'and says so' said "cannot write the log $work/no/log.* without"
ok 'of the other one, too' said "cannot write the access log $work/no/access.* without"
like 'what is bound to the start stays' "$(grep 'ready: ' "$work/log" | tail -n 1)" \
     "socket $XENSTORED_PATH,"

# --- signals ---

printf '[quota]\nnodes = 77\n' > "$work/conf"
kill -HUP "$daemon_pid"
ok 'SIGHUP is passed on' wait_for said 'read the configuration again'
n=$(readies)
kill -KILL "$(worker)"
wait_for count readies $((n + 1))
like 'what was read is not forgotten by a death' "$(op "$OP_CONTROL" quota)" 'nodes[ :=]*77'

hang_at_log
told=$(deaths_told)
served=$(worker)
die_untold
ok 'if the next one dies before it could tell, the keeper does' said "process $served died .*trying on"
: > "$work/conf"
n=$(readies)
kill -ABRT "$(worker)"
ok 'and does not give up' wait_for count readies $((n + 1))
is 'the next one tells of all of them' "$(deaths_told)" $((told + 1))
like 'with their number' "$(grep 'takes its place' "$work/log" | tail -n 1)" "is $((deaths + 7))$"
rm "$work/fifo"
kill -STOP "$daemon_pid"
kill -KILL "$(worker)"
kill -TERM "$daemon_pid"
kill -CONT "$daemon_pid"
wait "$daemon_pid"
is 'who is asked to end when there is nobody who serves ends' "$?" 0
not_ok 'the socket is removed' test -e "$XENSTORED_PATH"
not_ok 'the pid file is removed' test -e "$work/pid"

: > "$work/log"
start
kill -INT "$(worker)" "$daemon_pid" "$(worker)"
wait "$daemon_pid"
is 'asked to end several times, it ends cleanly' "$?" 0
ok 'and once' said stopped
not_ok 'with no trace' test -e "$XENSTORED_PATH"

: > "$work/log"
cp -r "${XDS_PLUGIN_DIR:-$top_builddir/.libs}" "$work/plugins"
start --plugin-dir "$work/plugins"
rm -r "$work/plugins"
kill -KILL "$(worker)"
ok 'with the files of its package gone, one that dies is replaced, too' wait_for count readies 2
ok 'by one that serves' op "$OP_DIRECTORY" /
stop

# --- a manager ---

background "$raw" listen-notify "$work/notify" 12 > "$work/heard"
wait_for test -S "$work/notify"
: > "$work/log"
NOTIFY_SOCKET=$work/notify WATCHDOG_USEC=200000 start
wait_for grep -q WATCHDOG=1 "$work/heard"
kill -SEGV "$(worker)"
wait_for count readies 2
wait_for sh -c "[ \$(grep -c WATCHDOG=1 '$work/heard') -ge 6 ]"
is 'a manager is told once that it is ready' "$(grep -c READY=1 "$work/heard")" 1
ok 'the main process is the keeper' grep -q "MAINPID=$daemon_pid" "$work/heard"
stop
rm "$work/notify"

: > "$work/log"
socket=$XENSTORED_PATH
XENSTORED_PATH=$work/passed
background "$raw" activate "$work/passed" "$daemon" -N "${standard[@]}" --socket "$work/own" \
  2>> "$work/log"
daemon_pid=$background_pid
wait_for said 'ready: '
kill -SEGV "$(worker)"
wait_for count readies 2
ok 'a socket that was passed is served again' op "$OP_DIRECTORY" /
not_ok 'no other is made then' test -e "$work/own"
stop
ok 'it is the manager that removes it' test -S "$work/passed"
XENSTORED_PATH=$socket

# --- live update ---

update ()
{
  timeout 60 "$xds" control live-update "$@" 2>&1
}

: > "$work/log"
start
op "$OP_WRITE" /a 1 > /dev/null
background "$xds" watch --no-initial /a > "$work/watched"
watcher=$background_pid
wait_for sh -c "'$xds' control watches | grep -q /a"
# A program that was replaced would be tried again, but its interpreter is not asked.
ln -s /bin/sh "$work/shell"
cat > "$work/brief" <<END
#!$work/shell
case "\$*" in *--check-stream*) rm -f "$work/shell" ;; esac
exec "$daemon" "\$@"
END
chmod +x "$work/brief"
is 'an update to a program that cannot be run when its time comes' "$(update "$work/brief")" OK
ok 'is not made' wait_for said "$work/brief cannot be run: No such file.*as before"
wait_for count readies 2
is 'it serves as before' "$(op "$OP_READ" /a)" 1
is 'it is the same process as before' "$(cat "$work/pid")" "$daemon_pid"
is 'an update after that' "$(update "$daemon")" OK
wait_for count readies 3
is 'is the same process' "$(cat "$work/pid") $(cat "/proc/$daemon_pid/comm")" \
   "$daemon_pid xendomkeeper"
is 'has the state' "$(op "$OP_READ" /a)" 1

# The new program's first process is killed on its way, each time a little later.
for i in {1..10}; do
  pairs=()
  for j in {1..2000}; do pairs+=("/many/$i/$j" 1); done
  "$xds" write "${pairs[@]}" > /dev/null
done
failed=none
for ((i = 0; i < 10; i++)); do
  before=$(worker)
  update "$daemon" > /dev/null &
  updater=$!
  for ((tries = 0; tries < 20000; tries++)); do
    ! is_replaced "$before" || break
  done
  sleep "0.00$i"
  kill -KILL "$(worker)" 2> /dev/null
  wait "$updater"
  timeout 20 "$raw" op "$OP_READ" /a > /dev/null || { failed=$i; break; }
done
is 'one whose first process dies before it serves goes on, too' "$failed" none

# And the old program's, at random: about when it has said that the new one goes on.
failed=none
for ((i = 0; i < 30; i++)); do
  before=$(worker)
  update "$daemon" > "$work/answer" &
  updater=$!
  sleep "0.$(printf %06d $((45000 + RANDOM)))"
  kill -KILL "$before" 2> /dev/null
  wait "$updater"
  case "$(cat "$work/answer") $(op "$OP_CONTROL" deaths)" in
    'OK 0'*) ;;
    *) failed=$i ;;
  esac
done
is 'an update that was answered OK was made' "$failed" none
"$xds" rm /many > /dev/null

# --- userdata that changes while nobody serves ---

"$sim" -w "$world" create 7 --uuid 11111111-2222-3333-4444-555555555555 > /dev/null
"$xds" watch --no-initial @userdata/7/note > "$work/noted" &
noted=$!
wait_for sh -c "'$xds' control watches | grep -q /note"
kill -STOP "$daemon_pid"
kill -KILL "$(worker)"
: > "$work/userdata/userdata-d.7.11111111-2222-3333-4444-555555555555.note"
kill -CONT "$daemon_pid"
ok 'who watches it hears of it' wait_for grep -q @userdata/7/note "$work/noted"
: > "$work/noted"
n=$(readies)
update "$daemon" > /dev/null
wait_for count readies $((n + 1))
ok 'after an update, too' wait_for grep -q @userdata/7/note "$work/noted"
kill "$noted"

# --- the keeper's death ---

op 13 /load > /dev/null
background timeout 60 "$top_builddir/tests/it-load" 1 4 > "$work/load"
load=$background_pid
sleep 1
alone=$(worker)
n=$(readies)
kill -KILL "$daemon_pid"
wait "$daemon_pid" 2> /dev/null
ok 'who serves goes on alone' wait_for count readies $((n + 1))
daemon_pid=$(cat "$work/pid")
is 'its pid file says so' "$daemon_pid" "$alone"
is 'it has made itself a keeper' "$(cat "/proc/$alone/comm")" xendomkeeper
op "$OP_WRITE" /a 2 > /dev/null
ok 'who watched since before the updates hears of it' wait_for grep -q /a "$work/watched"
kill "$watcher"
wait "$load"
is 'nothing was lost for a client' "$?" 0
sed 's/^/# /' "$work/load"
kill "$daemon_pid"
ok 'it ends as asked, after all' wait_for test ! -e "$work/pid"
