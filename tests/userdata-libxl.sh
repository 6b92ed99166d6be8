#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Our userdata and the real libxl, its programs and xl, on the same folder at the same time: the
# installed Debian libraries over a stand-in for the hypervisor (libxl-interop/README.md).
#
# Each storing process of the contention does $USERDATA_TURNS stores, 500 unless told otherwise, and
# 3000 with XDS_TEST_LONG.

. "${0%/*}/lib.sh"

# shellcheck source=tests/libxl-interop/rig.sh
. "$top_srcdir/tests/libxl-interop/rig.sh"

turns=${USERDATA_TURNS:-500}
[ -z "${XDS_TEST_LONG:-}" ] || turns=3000
rounds=20

plan 16

# --- the same bytes ---

add_domain 7
head -c 100000 "$top_builddir/xendomstored" >"$work/blob"
same=yes
for size in 1 15 4096 65536 100000; do
  head -c "$size" "$work/blob" >"$work/in"
  lxl store 7 libvirt-xml <"$work/in" && tool get 7 libvirt-xml >"$work/out" \
    && cmp -s "$work/in" "$work/out" || same="libxl to us, $size"
  tool put 7 xl <"$work/in" && lxl retrieve 7 xl >"$work/out" \
    && cmp -s "$work/in" "$work/out" || same="us to libxl, $size"
done
is 'what one side stores the other reads, byte for byte' "$same" yes
is 'both use the same files' "$(files_of 7 | sed 's/.*userdata-//' | tr '\n' ' ')" \
  "d.7.$(uuid 7).libvirt-xml d.7.$(uuid 7).xl "
ok 'libxl removes what we stored' lxl unlink 7 xl
tool get 7 xl
is 'after that it is absent for us' "$?" 102

# --- xl on what we stored ---

lxl mkjson guest7 "$(uuid 7)" 2 131072 >"$work/json"
tool put 7 libxl-json <"$work/json"
like 'xl list -l shows a configuration that we stored' "$(fake "$xl" list -l guest7 2>&1)" \
  '"uuid": "'"$(uuid 7)"'"'
printf 'name = "guest7"\nmemory = 64\nkernel = "/boot/vmlinuz"\n' >"$work/cfg"
fake "$xl" config-update guest7 "$work/cfg" >"$work/out" 2>&1
is 'we read what xl config-update stored' "$(tool get 7 xl)" "$(cat "$work/cfg")"

background env LD_PRELOAD="$work/libfakexen.so" "$work/fxctl" backends
fake "$xl" vtpm-attach guest7 backend=0 >"$work/out" 2>&1
like 'xl vtpm-attach adds to the configuration that we stored' "$(tool get 7 libxl-json | tr -d '\0')" \
  '"vtpms"'
# Over a stub that we stored; without this node it takes domain 0 for one that is not set up.
printf '{}\0' | tool put 0 libxl-json
xenstore-rm /local/domain/0/domid
fake /usr/lib/xen-4.17/bin/xen-init-dom0 >"$work/out" 2>&1
like 'we read what xen-init-dom0 stored' "$(tool get 0 libxl-json | tr -d '\0')" '"c_info"'

# --- the lock ---

hammer ()
{
  local pids=() pid failed=0

  lxl hammer-store 7 blob "$turns" 9000 1 >/dev/null & pids+=($!)
  lxl hammer-store 7 blob "$turns" 9000 2 >/dev/null & pids+=($!)
  tool hammer-store 7 blob "$turns" 9000 3 >/dev/null & pids+=($!)
  tool hammer-store 7 blob "$turns" 9000 4 >/dev/null & pids+=($!)
  tool hammer-read 7 blob $((turns * 8)) >/dev/null & pids+=($!)
  for pid in "${pids[@]}"; do
    wait "$pid" || failed=$?
  done
  return "$failed"
}
ok 'no store of four processes, two of libxl, meets another; no reader sees torn data' hammer

killed_holders ()
{
  local i at

  for i in 1 2 3 4 5 6; do
    for at in open close rename; do
      echo data | FAKEXEN_KILL=$at lxl store 7 blob 2>/dev/null
      echo data | tool put 7 blob || return 1
    done
    start_holder 7
    kill_holder
    echo "data $i" | lxl store 7 blob || return 1
  done
  [ "$(tool get 7 blob)" = 'data 6' ] || return 1
  [ -z "$(files_of 7 | grep -v 'userdata-d')" ]
}
ok 'a holder that is killed, of either side, stops nobody and leaves no trace' killed_holders 2>/dev/null

excluded ()
{
  local storer

  start_holder 7
  echo later | lxl store 7 blob &
  storer=$!
  sleep 0.3
  [ "$(lxl_blob)" != later ] || return 1
  kill_holder
  wait "$storer"
}
lxl_blob ()
{
  cat "$work/lib/userdata-d.7.$(uuid 7).blob"
}
ok 'libxl waits while we hold the lock' excluded
is 'and stores when we let go' "$(lxl_blob)" later

# libxl that runs out of descriptors removes a lock file that it does not hold.
replaced ()
{
  start_holder 7
  echo x | FAKEXEN_FAIL=lockopen lxl store 7 blob && return 1
  echo second | tool put 7 blob || return 1
  kill_holder
  echo third | lxl store 7 blob && [ "$(tool get 7 blob)" = third ] \
    && [ -z "$(files_of 7 | grep -v userdata-d)" ]
}
ok 'a lock file removed under its holder harms nobody' replaced

# --- the sweep ---

background "${tool[@]}" keep >"$work/keep.log"
wait_for grep -q keeping "$work/keep.log"
echo x | lxl store 7 note
wait_for grep -q 'stored 7/note' "$work/keep.log"
ok 'a store by libxl is told' grep -q 'stored 7/note' "$work/keep.log"

clean=0
for ((i = 0; i < rounds; i++)); do
  destroy_under_storm $((100 + i)) && clean=$((clean + 1))
done
is "xl destroy against two busy writers leaves nothing, $rounds times" "$clean" "$rounds"
is 'nothing of the living was touched' "$(tool get 7 note)" x
