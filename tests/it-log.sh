#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the daemon logs, and where.

. "${0%/*}/it-lib.sh"
plan 18

# Who meets a limit is named, with the limit, what it has, and what it wanted; and once a minute.
start -Q nodes=5
new_guest 5
new_guest 6
for i in 1 2 3 4 5 6 7; do play 5 write "n$i" x; done > "$work/answers"
is 'a quota refuses' "$(grep -c ENOSPC "$work/answers")" 3
like 'the log names domain, limit, used, allowed, operation and path' "$(cat "$work/log")" \
     'domain 5 met its quota "nodes": 6 of 5, WRITE of /local/domain/5/n5 failed; see'
is 'and does so once' "$(grep -c 'domain 5 met its quota' "$work/log")" 1
like 'that it was near was told before' "$(cat "$work/log")" 'domain 5 is near its quota "nodes"'
for i in 1 2 3 4 5; do play 6 write "n$i" x; done > /dev/null
ok 'another domain is told of as well' said 'domain 6 met its quota "nodes"'
stop

# A file, and only what is important enough.
cat > "$work/conf" << CONF
[log]
target = file
file = $work/file
level = warning
CONF
background "$daemon" -N "${standard[@]}"
daemon_pid=$background_pid
wait_for op "$OP_DIRECTORY" /
new_guest 7
play 7 corrupt > /dev/null
ok 'a warning goes to the file' wait_for grep -q 'Z warning: domain 7 wrote indices' "$work/file"
not_ok 'a notice does not' grep -q 'ready: ' "$work/file"
sed -i 's/warning/loud/' "$work/conf"
kill -HUP "$daemon_pid"
ok 'a level that there is not is told at SIGHUP, with its line' \
  wait_for grep -q 'conf:4: level: "loud"' "$work/file"
kill "$daemon_pid" && wait "$daemon_pid"
sed -i "s/loud/notice/; s#$work/file#$work/no/file#" "$work/conf"
refused
is 'a log file that cannot be: exit 1' "$status" 1
like 'it is named' "$said" "$work/no/file"

# A disk that is full: the store goes on, and says why its log does not.
printf '[log]\ntarget = file\nfile = /dev/full\n' > "$work/conf"
: > "$work/log"
start -T /dev/full
ok 'what a log file has no room for is said on standard error' said 'ready: '
is 'a store whose access log is full serves' "$(op "$OP_WRITE" /a b)" OK
ok 'and says so, with the reason' wait_for said 'access log /dev/full: No space left on device'
stop
: > "$work/conf"
# It would end a process that does not ignore it; here it stands in for a disk that has some room.
trap '' XFSZ
ulimit -S -f 8
start -T "$work/access"
for _ in 1 2 3 4 5; do op "$OP_WRITE" /a "$(printf '%02000d' 1)"; done > /dev/null
ok 'an access log that fills up is told of' wait_for said 'access: File too large'
: > "$work/access"
op "$OP_WRITE" /a whole > /dev/null
ok 'and that there is room again, with what was lost' \
  wait_for said 'can be written again; [1-9][0-9]* bytes were lost'
is 'the next line is whole' "$(grep -cE '^20[^ ]* S.* WRITE .*whole$' "$work/access")" 1
stop
ulimit -S -f unlimited

# In the journal a message has fields.
if [ "$(id -u)" -ne 0 ] || ! unshare -m true 2> /dev/null; then
  skip 'mount namespaces are not allowed here'; skip 'mount namespaces are not allowed here'
  exit
fi
printf '[log]\ntarget = journal\n[quota]\nnodes = 1\n' > "$work/conf"
mkdir "$work/systemd"
background unshare -m sh -c "
  mkdir -p /run/systemd && mount --bind '$work/systemd' /run/systemd && mkdir /run/systemd/journal
  '$raw' listen-notify /run/systemd/journal/socket 99 > '$work/journal' &
  echo \$! > '$work/listener'
  until [ -S /run/systemd/journal/socket ]; do sleep 0.05; done
  exec '$daemon' -N ${standard[*]@Q}"
daemon_pid=$background_pid
wait_for op "$OP_DIRECTORY" /
tap_pids+=("$(cat "$work/listener")") # it waits for more than the daemon says
new_guest 8
play 8 write a 1 > /dev/null
ok 'the journal has domain and quota' wait_for grep -q '^XDS_DOMID=8' "$work/journal"
is 'operation and path' "$(grep -ahE '^XDS_(OP|PATH|QUOTA)=' "$work/journal" | tail -n 3 | sort)" \
   $'XDS_OP=WRITE\nXDS_PATH=/local/domain/8/a\nXDS_QUOTA=nodes'
stop
