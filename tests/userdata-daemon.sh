#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The daemon as keeper of userdata, with the real libxl and xl around it (libxl-interop/README.md):
# what is gone loses its data, however it went, and nothing else does.

. "${0%/*}/lib.sh"
rig_server=ours
[ -x "$top_builddir/xendomstored" ] || skip_all 'xendomstored is not built'
[ -e "$top_builddir/.libs/xenctrl.so" ] || skip_all 'the plugin xenctrl is not built'
# shellcheck source=tests/libxl-interop/rig.sh
. "$top_srcdir/tests/libxl-interop/rig.sh"

plan 16

# --- whoever goes ---

clean=0
for ((i = 0; i < 20; i++)); do
  destroy_under_storm $((100 + i)) && clean=$((clean + 1))
done
is 'xl destroy against two busy writers leaves nothing, 20 times' "$clean" 20

add_domain 7
add_domain 8
echo seven | lxl store 7 note
echo eight | lxl store 8 note
fake "$work/fxctl" kill 8
ok 'a domain destroyed behind the toolstack loses its data' wait_for no_files_of 8
is 'and another keeps its own' "$(tool get 7 note)" seven

fake "$work/fxctl" shutdown 7 0
add_domain 9
echo nine | lxl store 9 note
fake "$work/fxctl" kill 9
wait_for no_files_of 9
is 'a domain that is shut down and kept keeps its data' "$(tool get 7 note)" seven

# --- while somebody holds a lock ---

add_domain 10
echo ten | lxl store 10 note
start_holder 10
fake "$work/fxctl" kill 10
ok 'requests are answered while the lock of a dead domain is held' timeout 20 \
  xenstore-write /tool/alive yes
is 'its data is not touched under the lock' "$(cat "$work/lib/userdata-d.10.$(uuid 10).note")" ten
kill_holder
ok 'and goes when the lock is free' wait_for no_files_of 10

# --- changes ---

background xenstore-watch @userdata >"$work/events"
wait_for grep -q '@userdata' "$work/events"
echo more | lxl store 7 note
ok 'a store by libxl is a watch event' wait_for grep -qx '@userdata/7/note' "$work/events"
echo more | tool put 7 other.note
ok 'and so is one of ours' wait_for grep -q '@userdata/7' "$work/events"

# --- restarts ---

add_domain 11
echo eleven | lxl store 11 note
stop_server
rm "$FAKEXEN_DIR/11"
echo kept | tool put 7 note
start_server
ok 'a domain that died while the daemon was away loses its data' wait_for no_files_of 11
is 'a restart takes nothing from the living' "$(tool get 7 note)" kept

stop_server
echo host | tool put 0 note
echo '22222222-2222-4222-8222-222222222222' >"$work/lib/userdata-m.boot"
touch -d '2001-01-01' "$work/lib/userdata-d.7.$(uuid 7).note" "$work/lib/userdata-d.0."*.note
echo new | tool put 7 since-boot
start_server
ok 'the first start after boot takes what an earlier boot left' \
  wait_for test ! -e "$work/lib/userdata-d.7.$(uuid 7).note"
is 'but not what was stored since' "$(tool get 7 since-boot)" new
is 'nor what is domain 0'"'"'s' "$(tool get 0 note)" host

# --- the last will ---

stop_server
printf '[userdata]\nlast-will = 60\n' >"$work/conf"
start_server
add_domain 30
add_domain 31
echo configuration | lxl store 30 libxl-json
echo last words | lxl store 30 note
echo of another | lxl store 31 note
fake "$xl" destroy 30 >>"$work/xl.log" 2>&1
fake "$work/fxctl" kill 31
ok 'what xl destroy removed, and what nobody removed, goes' \
  wait_for eval 'no_files_of 30 && no_files_of 31'
is 'and is left as a will' \
  "$(cat "$work/lib/userdata-will/"[0-9]*.{30.*.libxl-json,30.*.note,31.*.note})" \
  "configuration
last words
of another"
