#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Becomes one server of the benchmark: start.sh KIND DIR.  Its socket is DIR/run/socket, its
# pretend hypervisor DIR/xen.  All of them run below the same stand-ins for the Xen libraries, on
# the same kind of rings, with no quota that could colour a figure.  From the environment:
# BENCH_PEERS (folder of rundaemon.sh), O (where its library was built), BENCH_ECHO, BENCH_OURS
# (programs), BENCH_XEN (folder of Debian's daemons).
set -e
kind=$1
dir=$2
run=$BENCH_PEERS/rundaemon.sh
case $kind in
echo)
  exec "$run" "$dir" "$BENCH_ECHO" /run/xenstored/socket
  ;;
C)
  exec "$run" "$dir" "$BENCH_XEN/xenstored" -N -E 100000000 -S 1000000 -W 1000000 -t 100000 \
    -Q transaction-nodes=1000000 -Q memory=2000000000 -Q outstanding=100000
  ;;
oxen)
  exec "$run" "$dir" "$BENCH_XEN/oxenstored" --no-fork --no-access-log \
    --config-file %D/oxenstored.conf
  ;;
ours)
  # Word splitting is wanted: BENCH_OURS may carry options.
  exec "$run" "$dir" $BENCH_OURS ${BENCH_OURS_MORE-}
  ;;
*)
  echo "start.sh: no server of kind '$kind'; there are echo, C, oxen, ours" >&2
  exit 2
  ;;
esac
