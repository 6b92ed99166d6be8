#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Debian's C xenstored goes on as our daemon, by its own live update, while guests and clients stay
# connected.

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

  background "$top_srcdir/tests/peers/rundaemon.sh" "$host" $xen/xenstored -N --pid-file $pid_file \
    >"$work/log" 2>&1
  wait_for test -S "$XENSTORED_PATH"
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

is_ready ()
{
  grep -q 'ready: ' "$work/log"
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

plan 15
start_c
dom -t 1 guest 1 watch device 'a token' >/dev/null
xenstore-watch /local/domain/1/state @releaseDomain >"$work/watch" &
tap_pids+=($!)
wait_for grep -q state "$work/watch"
background python3 "$top_srcdir/tests/holder.py" "$XENSTORED_PATH" "$work" 1 >"$work/held" 2>&1
holder=$background_pid
wait_for test -e "$work/ready.0"
before=$(xenstore-ls -fp | grep -v ^/tool)
pid=$(cat "$host/run/pid")

is 'C xenstored says nothing against going on as our daemon' \
  "$(update -c "-N -U --pid-file $pid_file ${ours[*]}" "$top_builddir/xendomstored")" ''
ok 'our daemon is ready' wait_for is_ready
is 'in the same process' "$(readlink "/proc/$pid/exe")" "$(realpath "$top_builddir/xendomstored")"
is 'which the pid file names' "$(cat "$host/run/pid")" "$pid"
not_ok 'the file with the state is gone' test -e "$host/run/state_dump"
is 'nodes and permissions are as they were' "$(xenstore-ls -fp | grep -v ^/tool)" "$before"
touch "$work/go.0"
wait "$holder"
is 'a half request is executed, answers on their way arrive, a watch fires' \
  "$(cat "$work/held")" 'round 0: all came'
ok 'the guest that was there before is served' wait_for served 1 state 4
ok 'who waits is told what it wrote' wait_for told 2
is 'the watch of the guest is there' \
  "$(dom -t 3 guest 1 write device/x 1 wait)" $'event device/x a token\nOK'
dom destroy 2 >/dev/null
ok 'a domain that ends is noticed' wait_for sh -c "! xenstore-exists /local/domain/2"
is 'only what is used is open' "$(find "/proc/$pid/fd" -lname "*state_dump*" | wc -l)" 0

# What cannot be gone on from.
kill "$pid"
wait_for sh -c "! test -e $host/run/socket"
printf 'xenstore\0\0\0\1garbage' >"$host/run/state_dump"
said=$(XENSTORED_RUNDIR=$host/run "$top_builddir/xendomstored" -N -U "${ours[@]}" 2>&1)
is 'a damaged state ends with status 1' "$?" 1
like 'and one line says what and where' "$said" '^xendomstored: .*/state_dump is damaged: .*$'
ok 'it stays, for somebody to look at' test -s "$host/run/state_dump"
