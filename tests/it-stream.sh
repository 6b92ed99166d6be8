#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The migration stream as Debian's C xenstored writes and reads it.  A live update of that daemon
# runs through a program of ours on the way, which keeps the stream and puts what our writer makes of
# it in its place: so C xenstored goes on from bytes of ours, with its guests, watches and clients.

. "${0%/*}/lib.sh"

[ "$(id -u)" -eq 0 ] || skip_all 'only root can make the mount namespaces that the daemons run in'
unshare -m true 2>/dev/null || skip_all 'mount namespaces are not allowed here'
xen=/usr/lib/xen-4.17/bin
[ -x $xen/xenstored ] || skip_all 'xen-utils-4.17 is not installed'
command -v xenstore-watch >/dev/null || skip_all 'xenstore-utils is not installed'

export O=$work/peers
sh "$top_srcdir/tests/peers/build.sh" || skip_all 'tests/peers cannot be built: install libxen-dev'

host=$work/host
tool=$top_builddir/tests/stream-tool
export XENSTORED_PATH=$host/run/socket

dom ()
{
  timeout 20 "$O/fakedom" -F "$host/xen" -S "$host/run/socket" "$@"
}

# What C xenstored executes as its next binary.
mkdir "$host"
cat > "$host/next" <<EOF
#!/bin/bash
echo "\$*" > $host/arguments
cp /run/xenstored/state_dump $host/stream
env -u LD_PRELOAD $tool rewrite /run/xenstored/state_dump 2> $host/why
cp /run/xenstored/state_dump $host/rewritten
exec $xen/xenstored "\$@"
EOF
chmod +x "$host/next"

update ()
{
  timeout 60 $xen/xenstore-control live-update "$@" "$host/next"
}

plan 17
background "$top_srcdir/tests/peers/rundaemon.sh" "$host" $xen/xenstored -N >"$work/log" 2>&1
wait_for timeout 5 xenstore-exists /tool # the socket is there before the pretend hypervisor is
for id in 1 2; do
  dom create $id >/dev/null && dom introduce $id >/dev/null
  xenstore-write "/local/domain/$id/name" "guest $id"
  xenstore-chmod "/local/domain/$id" "n$id" "r3"
done
dom -t 1 guest 1 watch device 'a token' >/dev/null
xenstore-watch /local/domain/1/state @releaseDomain >"$work/watch" &
tap_pids+=($!)
wait_for grep -q state "$work/watch"

ok 'C xenstored goes through a live update with our rewriting in the middle' update
is 'the next binary is started with -U behind the arguments of the first' \
  "$(cat "$host/arguments")" '-N -U'
is 'our reader finds nothing to say against the stream' "$(cat "$host/why")" ''
ok 'what our writer makes of it is what C xenstored wrote, byte for byte' \
  cmp "$host/stream" "$host/rewritten"
text=$("$tool" show "$host/stream")
like 'it is of version 1, with the listening socket and the event channels' "$text" \
  $'^version 1\nglobal socket=yes event-channels=yes\n'
like 'the guests are in it' "$text" $'ring [0-9]+ domid=1 target=32756 .*ring [0-9]+ domid=2 '
like 'a watch of a guest stands as the guest gave it' "$text" 'watch of [0-9]+ path=device token=a token'
like 'the watches of a client are in it' "$text" 'path=/local/domain/1/state .*path=@releaseDomain '
like 'who asked for the live update has its answer in it' "$text" \
  $'socket [0-9]+ in= out\[19\] of-a-message=0'
like 'nodes have their permissions, also for a domain that does not exist' "$text" \
  $'node path=/local/domain/1 value= n1 r3!\n'

# Without a server: xds reads what C xenstored left.
xds ()
{
  XENSTORED_PATH=/nowhere "$top_builddir/xds" "$@"
}
is 'xds dump reads the stream of C xenstored, without a server' \
  "$(xds dump "file:$host/stream" /local/domain/2)" \
  '[
{"path":"/local/domain/2","value":"","permissions":["n2","r3"]},
{"path":"/local/domain/2/name","value":"guest 2","permissions":["n0"]}
]'
is 'and xds diff compares it with a dump' "$(xds dump "file:$host/stream" >"$work/json" \
  && xds diff "file:$host/stream" "file:$work/json" && echo same)" same
head -c 300 "$host/stream" >"$work/cut"
like 'xds says where a damaged one is damaged, and prints nothing of it' \
  "$(xds dump "file:$work/cut" 2>&1; echo "$?")" \
  '^xds: .*/cut cannot be read as a snapshot of a store: record [0-9]+ .* at byte [0-9]+ .*7$'

# Behind the update all go on.
watched ()
{
  [ "$(grep -c '/state$' "$work/watch")" -ge 2 ]
}
not_ok 'nothing was told to a client that waits before something happened' watched

# The stand-in can lose a signal that falls into the exec; a guest would signal again with its next
# request.
served ()
{
  [ "$(dom -t 3 guest 1 write state 4)" = OK ]
}
ok 'the guest that was there before is served' wait_for served
ok 'the client that waits is told what the guest wrote' wait_for watched
update -c '-N -U'
is 'with -c the next binary gets the words of -c instead' "$(cat "$host/arguments")" '-N -U'
