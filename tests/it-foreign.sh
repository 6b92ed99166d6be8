#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The library and xds work with servers that others wrote: the same session, with every verb that
# needs no more than the protocol of old, comes out alike with ours, with Debian's C xenstored and
# with its oxenstored.

# shellcheck source=tests/it-lib.sh
. "${0%/*}/it-lib.sh"

[ "$(id -u)" -eq 0 ] || skip_all 'the servers need root'
unshare -m true 2> /dev/null || skip_all 'this machine allows no mount namespaces'
xen=/usr/lib/xen-4.17/bin
O=$work/peers
export O
bash "$top_srcdir/tests/peers/build.sh" > "$work/build.log" 2>&1 \
  || skip_all 'the stand-in for the Xen libraries cannot be built: libxen-dev is not installed'

xds ()
{
  timeout 60 "$top_builddir/xds" -s "$socket" "$@" 2>&1
  echo "[$?]"
}

# Names whose listing does not fit into one message, as arguments of write.
long_list ()
{
  seq -f '/f/many/with-a-rather-long-name-%04.f' 1 300 | sed 's/$/\nx/'
}

session ()
{
  local many

  mapfile -t many < <(long_list)
  xds write /f/a 1 /f/b 'two words' /f/c/d ''
  xds write -e /f/bytes 'a\000\377'
  xds read /f/a /f/b /f/bytes
  xds read -j /f/a /f/bytes
  xds read /f/none
  xds write "${many[@]:0:300}"
  xds write "${many[@]:300}"
  xds list /f/many | md5sum
  xds exists /f/a /f/none
  xds chmod /f/b n0 r5 b6
  xds ls -p /f/b
  xds tree -L 1 /f/c
  xds mkdir /f/e
  xds write -N /f/a 5 /f/new 6
  xds rm -N /f/c
  xds read /f/a
  printf 'check /f/a 1\nread /f/b\nwrite /f/t x\n' | xds txn
  printf 'check /f/a 2\nwrite /f/t y\n' | xds txn
  xds read /f/t
  xds dump /f/c > "$work/dump"
  sed -i '$d' "$work/dump"
  xds apply "$work/dump" /f/copy
  xds diff /f/c /f/copy
  xds rm /f/c/d
  xds diff /f/c /f/copy
  (sleep 0.3; xds write /f/w/x now; xds write /f/w/deep/er 1; xds write /f/z 1) > /dev/null &
  local writer=$!
  xds watch -n 2 -d 1 /f/w
  wait "$writer"
  xds wait -t 10 /f/z 1
  xds wait -t 0.1 /f/z 2
  xds rm -t /f
  xds exists /f
}

# serve NAME COMMAND...: another's server.
serve ()
{
  local dir=$work/$1

  shift
  background sh "$top_srcdir/tests/peers/rundaemon.sh" "$dir" "$@" > "$dir.log" 2>&1
  socket=$dir/run/socket
  wait_for test -S "$socket" && wait_for "$top_builddir/xds" -s "$socket" list /
}

plan 3
start "$@"
socket=$XENSTORED_PATH
session > "$work/ours"
ok 'the session does what it is meant to' grep -q '^/f/w/x$' "$work/ours"
stop

for name in xenstored oxenstored; do
  case $name in
    xenstored) options=(-N) ;;
    oxenstored) options=(--no-fork --no-access-log --config-file %D/oxenstored.conf) ;;
  esac
  if [ ! -x "$xen/$name" ]; then skip "$name is not installed"; continue; fi
  serve "$name" "$xen/$name" "${options[@]}"
  session > "$work/theirs"
  ok "the same session with $name" diff -u "$work/ours" "$work/theirs"
  kill "$background_pid"
done
