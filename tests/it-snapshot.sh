#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Snapshots of the store on disk: on demand, from time to time, and where the disk does not take them.

. "${0%/*}/it-lib.sh"
plan 26

xds=$top_builddir/xds
saved=$work/saved

snapshot ()
{
  timeout 60 "$xds" control snapshot "$@" 2>&1
}

cat >"$work/conf" <<EOF
[snapshot]
file = $saved
EOF
start
new_guest 5 >/dev/null
"$xds" write /a 1

like 'where it is and how large, is said' "$(snapshot)" "^OK: [0-9]+ bytes in $saved$"
ok 'xds diff finds no difference to the store' "$xds" diff "file:$saved" /
is 'xds dump reads it' "$("$xds" dump "file:$saved" /a)" $'[\n{"path":"/a","value":"1","permissions":["n0"]}\n]'
is 'only root can' "$(stat -c %a "$saved")" 600
not_ok 'nothing is left beside it' test -e "$saved.new"
ok 'the log tells' said "snapshot: OK: .* bytes in $saved"
"$xds" write /a 2
like 'another file can be named' "$(snapshot "$work/other")" '^OK: '
is 'which has what there is now' "$("$xds" dump "file:$work/other" /a)" \
  $'[\n{"path":"/a","value":"2","permissions":["n0"]}\n]'
like 'the first one stays as it was' "$("$xds" diff "file:$saved" "file:$work/other")" 'a = "1" -> "2"'
like 'a relative path is refused' "$(snapshot other)" EINVAL

# What the disk does not take.
like 'a folder that there is not' "$(snapshot "$work/no/file")" 'No such file or directory; what was'
ok 'the log warns' said "snapshot in $work/no/file failed"
mkdir "$work/taken"
like 'a folder is in its place' "$(snapshot "$work/taken")" 'cannot put .*/taken.new in place of'
like 'what others are is no file' "$(ln -s "$work/other" "$work/link.new"; snapshot "$work/link")" \
  'cannot make .*/link.new'
if [ "$(id -u)" -eq 0 ] && unshare -m true 2>/dev/null; then
  mkdir "$work/small"
  stop
  # shellcheck disable=SC2016 # for the inner shell
  background unshare -m sh -c 'mount -t tmpfs -o size=64k small "$0" && exec "$@"' "$work/small" \
    "$daemon" -N "${standard[@]}" 2>>"$work/log"
  daemon_pid=$background_pid
  wait_for "$xds" write /a 1
  like 'into a disk with room' "$(snapshot "$work/small/saved")" '^OK: '
  for i in $(seq 40); do
    op "$OP_WRITE" "/big/$i" "$(printf '%02000d' "$i")" >/dev/null
  done
  like 'a full disk' "$(snapshot "$work/small/saved")" 'No space left on device; what was in .* still'
  is 'what was there before is whole' \
    "$(nsenter -t "$daemon_pid" -m "$xds" dump "file:$work/small/saved" /a | grep -c path)" 1
  not_ok 'nothing is left beside it' nsenter -t "$daemon_pid" -m test -e "$work/small/saved.new"
else
  for i in 1 2 3 4; do skip 'only root can make a small disk'; done
fi
is 'it serves as before' "$(op "$OP_READ" /a)" 1

# Many at once are written one after the other.
askers=()
for i in 1 2 3 4 5; do
  snapshot "$work/many.$i" >"$work/said.$i" &
  askers+=($!)
done
wait "${askers[@]}"
is 'who asks at the same time has his turn' "$(cat "$work"/said.* | grep -c '^OK: ')" 5
is 'with his own file' "$(ls "$work"/many.? | wc -l)" 5

# From time to time; a signal makes it read the configuration again.
rm "$saved"
echo 'interval = 1' >>"$work/conf"
kill -HUP "$daemon_pid"
ok 'one comes by itself' wait_for test -e "$saved"
first=$(stat -c %i "$saved")
another ()
{
  [ "$(stat -c %i "$saved" 2>/dev/null)" != "$first" ]
}
ok 'and another' wait_for another
sed -i /interval/d "$work/conf"
kill -HUP "$daemon_pid"
printf '[snapshot]\ninterval = soon\n' >"$work/wrong"
refused --config "$work/wrong"
like 'an interval that is none is refused' "$said" 'wrong:2: interval: "soon" is not a number'
stop
is 'it ends as asked' "$?" 0
sed -i '/file =/d' "$work/conf"
start
like 'without a file one has to be named' "$(snapshot)" 'no file for it is set'
