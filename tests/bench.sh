#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Measures this store server against Debian's C xenstored and oxenstored and a bare echo server,
# all in one run, on the same stand-ins for the Xen libraries.
#
#   tests/bench.sh [--quick] [--tsv FILE] [--only GLOB] [--servers ours,C,oxen,echo] ...
#
# Needs root (mount namespaces) and built programs; `make bench` calls it.  From the environment:
# BUILD (top of the build folder), BENCH_OURS (command of our daemon), BENCH_XEN (folder of the
# other two).  A server that is not there is left out.  Whatever the end, nothing is left behind.
set -e
src=$(cd "$(dirname "$0")" && pwd)
BUILD=$(cd "${BUILD:-.}" && pwd)
BENCH_XEN=${BENCH_XEN:-/usr/lib/xen-4.17/bin}
BENCH_PEERS=${BENCH_PEERS:-$src/peers}
BENCH_START=$src/bench/start.sh
BENCH_ECHO=${BENCH_ECHO:-$BUILD/tests/bench-echo}
load=${BENCH_LOAD:-$BUILD/tests/bench-load}
BENCH_OURS=${BENCH_OURS:-}
if [ -z "$BENCH_OURS" ] && [ -x "$BUILD/xendomstored" ]; then
  BENCH_OURS="$BUILD/xendomstored -N --hypervisor xenctrl --plugin-dir $BUILD/.libs"
fi

if [ "$(id -u)" != 0 ]; then
  echo "bench.sh: mount namespaces need root; run it as root" >&2
  exit 77
fi
BENCH_TMP=$(mktemp -d "${TMPDIR:-/tmp}/xds-bench.XXXXXX")
pid=
finish () {
  # The servers die with the generator.
  [ -z "$pid" ] || kill "$pid" 2>/dev/null || :
  rm -rf "$BENCH_TMP"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

O=${O:-$BENCH_TMP/peers-build}
[ -e "$O/libfakexen.so" ] || O=$O sh "$BENCH_PEERS/build.sh" >"$BENCH_TMP/make.log" 2>&1 || {
  cat "$BENCH_TMP/make.log" >&2
  exit 1
}
servers='echo'
[ -z "$BENCH_OURS" ] || servers=$servers,ours
[ ! -x "$BENCH_XEN/xenstored" ] || servers=$servers,C
[ ! -x "$BENCH_XEN/oxenstored" ] || servers=$servers,oxen

# A peer is a descriptor on either side.
ulimit -n "$(ulimit -Hn)"
export BENCH_TMP BENCH_START BENCH_PEERS BENCH_ECHO BENCH_OURS BENCH_XEN O
"$load" --servers "$servers" "$@" &
pid=$!
rc=0
wait "$pid" || rc=$?
pid=
exit "$rc"
