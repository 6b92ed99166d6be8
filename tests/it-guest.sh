#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The daemon and its guests, over rings and event channels: once with the simulator, and once with
# the plugin for a real Xen over the stand-in for the Xen libraries.

. "${0%/*}/lib.sh"

daemon=$top_builddir/xendomstored
stand_in=$work/stand-in

# start FOLDER ENVIRONMENT... -- ARGUMENT...: the daemon, with nothing of this host's.
start ()
{
  local dir=$1 settings=()

  shift
  while [ "$1" != -- ]; do
    settings+=("$1")
    shift
  done
  shift
  mkdir -p "$dir/userdata"
  background env "${settings[@]}" "$daemon" --no-fork --socket="$dir/socket" \
    --pid-file="$dir/pid" --userdata-dir="$dir/userdata" --plugin-dir="$XDS_PLUGIN_DIR" "$@" \
    2>"$dir/log"
}

sim_world ()
{
  "$top_builddir/xds-sim" -w "$work/sim/world" "$@"
}

sim_guest ()
{
  "$top_builddir/tests/sim-guest" -w "$work/sim/world" -t 30 "$@"
}

xen_world ()
{
  "$stand_in/fakedom" -F "$work/xen/world" "$@"
}

xen_guest ()
{
  "$stand_in/fakedom" -F "$work/xen/world" -t 30 guest "$@"
}

# The guest's page once the server is done with what it was signalled.
page_becomes ()
{
  [[ $("$1" 5 page) =~ $2 ]]
}

is_released ()
{
  [ "$("$1" 0 raw 17 5)" = F ]
}

# tour WORLD GUEST: 14 tests that hold with any hypervisor.
tour ()
{
  local world=$1 guest=$2 home=/local/domain/5

  ok "$1: domain 0 is served without being introduced" wait_for "$guest" 0 write "$home" ''
  "$world" create 5
  "$guest" 0 setperms "$home" n5 >/dev/null
  is "$1: a domain is introduced" "$("$guest" 0 raw 8 5 1 1)" OK
  is "$1: which writes" "$("$guest" 5 write data value)" OK
  is "$1: and reads" "$("$guest" 5 read data)" value
  is "$1: but not outside its home" "$("$guest" 5 write /other 1)" 'error EACCES'
  is "$1: domain 0 sees it" "$("$guest" 0 read "$home/data")" value

  ok "$1: a reconnection is granted" "$guest" 5 reconnect
  is "$1: and leaves an empty ring" "$("$guest" 5 page | cut -d' ' -f1-4)" 'req 0/0 rsp 0/0'
  is "$1: that works" "$("$guest" 5 read data)" value

  "$guest" 5 corrupt
  ok "$1: a guest that breaks its indices is told" wait_for page_becomes "$guest" 'error 2'
  is "$1: and harms nobody else" "$("$guest" 0 read "$home/data")" value
  "$guest" 0 raw 8 5 1 1 >/dev/null
  is "$1: introduced again it is served again" "$("$guest" 5 read data)" value

  "$world" destroy 5
  ok "$1: the end of a domain is noticed" wait_for is_released "$guest"
  is "$1: and what it owned goes with it" "$("$guest" 0 read "$home/data")" 'error ENOENT'
}

plan 29

mkdir "$work/sim"
sim_world init
start "$work/sim" -- --hypervisor="sim:$work/sim/world"
tour sim_world sim_guest
is 'a guest may send faster than it reads' "$(sim_guest 0 flood 5000 /)" '5000 answers, 0 errors'

if [ ! -e "$XDS_PLUGIN_DIR/xenctrl.so" ] || ! O=$stand_in "$top_srcdir/tests/peers/build.sh"; then
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do
    skip 'the Xen libraries cannot be stood in for: they are not here'
  done
  exit
fi
mkdir "$work/xen"
xen_world init
start "$work/xen" LD_PRELOAD="$(preload "$stand_in/libfakexen.so" "$daemon")" \
  FAKEXEN_DIR="$work/xen/world" -- \
  --hypervisor=xenctrl
tour xen_world xen_guest
