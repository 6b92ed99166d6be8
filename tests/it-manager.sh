#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The daemon and the service manager: readiness, watchdog, sockets that are passed.

. "${0%/*}/it-lib.sh"
plan 8

# It says when it is ready, what it does, and when it stops.
background "$raw" listen-notify "$work/notify" 2 > "$work/heard"
wait_for test -S "$work/notify"
NOTIFY_SOCKET=$work/notify start
wait_for grep -q READY=1 "$work/heard"
like 'it tells when it is ready' "$(cat "$work/heard")" 'READY=1'
like 'and what it serves' "$(cat "$work/heard")" 'STATUS=.*sim'
stop
wait_for grep -q STOPPING=1 "$work/heard"
like 'it tells when it stops' "$(cat "$work/heard")" 'STOPPING=1'
rm "$work/notify"

# The watchdog is fed from inside the loop.
background "$raw" listen-notify "$work/notify" 3 > "$work/heard"
wait_for test -S "$work/notify"
: > "$work/log"
NOTIFY_SOCKET=$work/notify WATCHDOG_USEC=200000 start
ok 'it feeds the watchdog' wait_for grep -q WATCHDOG=1 "$work/heard"
stop

# A manager that does not listen changes nothing.
: > "$work/log"
NOTIFY_SOCKET=$work/nobody start
ok 'it serves when nobody hears that it is ready' op "$OP_DIRECTORY" /
stop

# A socket that is passed is served, in place of one of its own, and stays afterwards.
: > "$work/log"
XENSTORED_PATH=$work/passed
background "$raw" activate "$work/passed" "$daemon" -N "${standard[@]}" --socket "$work/own" \
  2>> "$work/log"
daemon_pid=$background_pid
wait_for said 'ready: '
ok 'a socket that was passed is served' op "$OP_DIRECTORY" /
not_ok 'no other is made' test -e "$work/own"
stop
ok 'it is the manager that removes it' test -S "$work/passed"
