#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Debian's C xenstored goes on as our daemon, by its own live update, and our daemon as C xenstored
# again, while guests and clients stay connected.

. "${0%/*}/lib.sh"

[ "$(id -u)" -eq 0 ] || skip_all 'only root can make the mount namespaces that the daemons run in'
unshare -m true 2>/dev/null || skip_all 'mount namespaces are not allowed here'
xen=/usr/lib/xen-4.17/bin
[ -x $xen/xenstored ] || skip_all 'xen-utils-4.17 is not installed'
command -v xenstore-watch >/dev/null || skip_all 'xenstore-utils is not installed'
plugins=${XDS_PLUGIN_DIR:-$top_builddir/.libs}
[ -e "$plugins/xenctrl.so" ] || skip_all 'the plugin xenctrl was not built'

export O=$work/peers
sh "$top_srcdir/tests/peers/build.sh" || skip_all 'tests/peers cannot be built: install libxen-dev'

host=$work/host
pid_file=/run/xenstored/pid # as the servers see it
export XENSTORED_PATH=$host/run/socket
mkdir "$host" "$work/userdata"
ours=(--hypervisor xenctrl --plugin-dir "$plugins" --userdata-dir "$work/userdata" --config "$work/conf")
: >"$work/conf"

dom ()
{
  timeout 20 "$O/fakedom" -F "$host/xen" -S "$host/run/socket" "$@"
}

# start_c: a C xenstored, with two guests.
start_c ()
{
  local id

  FX_PROGRAM=$top_builddir/xendomstored background "$top_srcdir/tests/peers/rundaemon.sh" "$host" \
    $xen/xenstored -N --pid-file $pid_file >"$work/log" 2>&1
  wait_for timeout 5 xenstore-exists /tool # the socket is there before the pretend hypervisor is
  for id in 1 2; do
    dom create $id >/dev/null && dom introduce $id >/dev/null
    xenstore-write "/local/domain/$id/name" "guest $id"
    xenstore-chmod "/local/domain/$id" "n$id" "r3"
  done
}

# update WORD...: what the server says to a live update to our daemon.
update ()
{
  timeout 60 $xen/xenstore-control live-update "$@" 2>&1
}

# is_ready TIMES: our daemon took over so often.
is_ready ()
{
  [ "$(grep -c 'ready: ' "$work/log")" -eq "$1" ]
}

# goes_on ROUND: the client's halves become whole, in the server that is there now.
goes_on ()
{
  touch "$work/go.$1"
  wait_for grep -q "round $1: all came" "$work/held"
}

to_ours ()
{
  update -c "-N -U --pid-file $pid_file ${ours[*]}" "$top_builddir/xendomstored"
}

# runs PROGRAM: that is what the process is.
runs ()
{
  [ "$(readlink "/proc/$pid/exe")" = "$(realpath "$1")" ]
}

# The stand-in can lose a signal that falls into the exec; a guest would signal again with its next
# request.
served ()
{
  [ "$(dom -t 3 guest "$1" write "$2" "$3")" = OK ]
}

# told TIMES: so often, as of now, who watches has heard of the node.
told ()
{
  [ "$(grep -c '/state$' "$work/watch")" -eq "$1" ]
}

plan 33
start_c
dom -t 1 guest 1 watch device 'a token' >/dev/null
xenstore-watch /local/domain/1/state @releaseDomain >"$work/watch" &
tap_pids+=($!)
wait_for grep -q state "$work/watch"
background python3 "$top_srcdir/tests/holder.py" "$XENSTORED_PATH" "$work" 3 >"$work/held" 2>&1
holder=$background_pid
wait_for test -e "$work/ready.0"
before=$(xenstore-ls -fp | grep -v ^/tool)
pid=$(cat "$host/run/pid")

is 'C xenstored says nothing against going on as our daemon' "$(to_ours)" ''
ok 'our daemon is ready' wait_for is_ready 1
ok 'in the same process' runs "$top_builddir/xendomstored"
is 'which the pid file names' "$(cat "$host/run/pid")" "$pid"
not_ok 'the file with the state is gone' test -e "$host/run/state_dump"
is 'nodes and permissions are as they were' "$(xenstore-ls -fp | grep -v ^/tool)" "$before"
ok 'a half request is executed, answers on their way arrive, a watch fires' goes_on 0
ok 'the guest that was there before is served' wait_for served 1 state 4
ok 'who waits is told what it wrote' wait_for told 2
is 'the watch of the guest is there' \
  "$(dom -t 3 guest 1 write device/x 1 wait)" $'event device/x a token\nOK'
dom destroy 2 >/dev/null
ok 'a domain that ends is noticed' wait_for sh -c "! xenstore-exists /local/domain/2"
is 'what was gone on from is closed' "$(find "/proc/$pid/fd" -lname "*state_dump*" | wc -l)" 0

# And back.  What C xenstored cannot hold is told first.
xds=$top_builddir/xds
background "$xds" watch --no-initial --depth 1 /local/domain >"$work/shallow"
shallow=$background_pid
background python3 "$top_srcdir/tests/holder.py" "$XENSTORED_PATH"
txn=$background_pid
wait_for sh -c "'$xds' control transactions | grep -q transaction"
wait_for sh -c "'$xds' control watches | grep -q depth"
"$xds" quota -D 1 set nodes 77
like 'what would be lost is told' "$(update $xen/xenstored)" \
  'so we stay; say -F to lose it: 1 open transaction.*, 1 watch.* with a depth, 1 domain.* quotas'
like 'a stream of version 2 would hold more' "$("$xds" control live-update -v 2 $xen/xenstored)" \
  'to lose it: 1 open transaction[^,]*$'
ok 'and nothing was done' runs "$top_builddir/xendomstored"
kill "$shallow" "$txn"
wait_for sh -c "'$xds' control transactions | grep -q transaction || exit 0; exit 1"
wait_for test -e "$work/ready.1"
"$xds" quota set nodes 888
before=$(xenstore-ls -fp | grep -v ^/tool)
is 'told to, our daemon goes on as C xenstored' "$("$xds" control live-update -F $xen/xenstored)" OK
ok 'which it is then' wait_for runs $xen/xenstored
is 'nodes and permissions are as they were' "$(xenstore-ls -fp | grep -v ^/tool)" "$before"
ok 'the client did not notice' goes_on 1
ok 'the guest is served' wait_for served 1 state 5
ok 'who waits is told' wait_for told 3
like 'limits went along as options' "$(tr '\0' ' ' <"/proc/$pid/cmdline")" "-N -F $pid_file -E 888 "
not_ok 'the file with the state is gone' test -e "$host/run/state_dump"

# There and back, with what each program was started with.
wait_for test -e "$work/ready.2"
is 'C xenstored goes on as our daemon once more' "$(to_ours)" ''
ok 'our daemon is ready' wait_for is_ready 2
ok 'the client did not notice' goes_on 2
is 'it said no other word' "$(wait "$holder"; cat "$work/held")" \
  $'round 0: all came\nround 1: all came\nround 2: all came'
is 'it goes on as itself' "$("$xds" control live-update "$top_builddir/xendomstored")" OK
ok 'and is ready' wait_for is_ready 3
ok 'the guest is served' wait_for served 1 state 6

# What cannot be gone on from.
kill "$pid"
wait_for sh -c "! test -e $host/run/socket"
printf 'xenstore\0\0\0\1garbage' >"$host/run/state_dump"
said=$(XENSTORED_RUNDIR=$host/run "$top_builddir/xendomstored" -N -U "${ours[@]}" 2>&1)
is 'a damaged state ends with status 1' "$?" 1
like 'and one line says what and where' "$said" '^xendomstored: .*/state_dump is damaged: .*$'
ok 'it stays, for somebody to look at' test -s "$host/run/state_dump"
