#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Clients on the socket: many, slow, rude.

. "${0%/*}/it-lib.sh"
plan 25

start
op "$OP_WRITE" /a > /dev/null

# Requests sent in one piece are answered in order, and a client that has said all it has to say
# still gets its answers.
is 'many requests in one piece' "$(timeout 60 "$raw" pipeline 2000)" '2000 answers, then the end'
is 'a request that comes byte by byte' "$(timeout 60 "$raw" drip)" answered
is 'a message that is too long ends the connection' "$(timeout 60 "$raw" too-long)" closed
ok 'the log says so' wait_for said 'process id .* broke the protocol'

# A request that was sent whole is executed though nobody waits for the answer.
timeout 60 "$raw" write-and-go /gone here
ok 'a write whose client went is done' wait_for op "$OP_READ" /gone

# A client that never reads harms itself alone.
background "$raw" deaf /gone 600 > "$work/deaf"
wait_for grep -q deaf "$work/deaf"
is 'a client that takes no answers is not read' "$(cat "$work/deaf")" \
   'deaf after the store stopped reading'
for i in {1..300}; do op "$OP_WRITE" "/many/$i"; done > "$work/replies"
is 'writers are not stalled by it, though it watches them' "$(grep -c OK "$work/replies")" 300
kill "$background_pid"

# Many connections at once.
if [ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -gt 2200 ]; then
  is '1000 connections' "$(timeout 60 "$raw" open 1000)" $'open\nanswered'
else
  skip 'too few descriptors are allowed here'
fi

# The access log has who, what and how it went, hides values where asked to, and is opened again.
cat > "$work/conf" << CONF
[access-log]
file = $work/access
paths = /secret /public
redact = /secret/*
CONF
kill -HUP "$daemon_pid"
wait_for said 'read the configuration again'
xenstore_write ()
{
  timeout 60 "$raw" write-and-go "$1" "$2"
}
xenstore_write /public/a visible
xenstore_write /secret/a invisible
xenstore_write /other/a elsewhere
wait_for grep -q secret "$work/access"
like 'the access log has requests' "$(cat "$work/access")" 'S\.[0-9]+\.[0-9]+ WRITE tx=0 OK /public/a visible'
not_ok 'values of some paths are not in it' grep -q invisible "$work/access"
not_ok 'nor are other paths' grep -q elsewhere "$work/access"
mv "$work/access" "$work/access.1"
kill -HUP "$daemon_pid"
ok 'SIGHUP opens it again' wait_for test -e "$work/access"
is 'CONTROL log with a switch of C xenstored' "$(op "$OP_CONTROL" log +io)" OK
not_ok 'CONTROL log with anything else' op "$OP_CONTROL" log loudly
is 'CONTROL log off' "$(op "$OP_CONTROL" log off)" OK
op "$OP_READ" /public/a > /dev/null
not_ok 'nothing is written then' grep -q 'READ.*/public/a' "$work/access"
is 'CONTROL logfile' "$(op "$OP_CONTROL" logfile "$work/elsewhere")" OK
op "$OP_READ" /public/a > /dev/null
ok 'it is written there then' wait_for grep -q 'READ.*/public/a' "$work/elsewhere"
not_ok 'CONTROL logfile in a folder that there is not' op "$OP_CONTROL" logfile "$work/no/file"
ok 'the log says why' said "logfile: .*$work/no/file"
is 'CONTROL memreport into a file' "$(op "$OP_CONTROL" memreport "$work/memory")" OK
like 'it has figures' "$(cat "$work/memory")" 'nodes [0-9]+ bytes [0-9]+'
not_ok 'CONTROL memreport into a folder that there is not' op "$OP_CONTROL" memreport "$work/no/file"
ok 'the log says why, too' said "memreport: .*$work/no/file"
stop

# When descriptors run out new clients wait, and are served when some went.
: > "$work/log"
: > "$work/conf"
(ulimit -n 64 && exec "$daemon" -N "${standard[@]}" 2>> "$work/log") &
daemon_pid=$!
tap_pids+=("$daemon_pid")
wait_for said 'ready: '
background "$raw" open 200 > "$work/opened"
opener=$background_pid
wait_for said 'cannot accept a client'
kill "$opener"
ok 'descriptors ran out, then there were some again' wait_for op "$OP_DIRECTORY" /
stop
