#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs one xenstore server in the foreground on a machine without Xen:
#   rundaemon.sh DIR command...
# in a mount namespace of its own, where /run, /var/lib and /var/log are empty and
# /run/xenstored is DIR/run; its socket is then DIR/run/socket.  The pretend hypervisor is
# DIR/xen.  %D in the command's words becomes DIR.  O is the folder that build.sh filled.
# With FX_PRELOAD_OFF set the command runs without the stand-in (ours with its sim plugin).
set -e
O=${O:-/tmp/xs-peers}
here=$(cd "$(dirname "$0")" && pwd)
dir=$1
shift
mkdir -p "$dir/run" "$dir/xen"
dir=$(cd "$dir" && pwd)
if [ "${FX_INNER:-}" = "" ]; then
  rm -f "$dir/run/"*
  cp "$here/oxenstored.conf" "$dir/oxenstored.conf"
  n=$#
  for a in "$@"; do
    set -- "$@" "$(printf '%s' "$a" | sed "s#%D#$dir#g")"
  done
  shift "$n"
  export FX_INNER=1 O
  exec unshare -m -- "$0" "$dir" "$@"
fi

mount --make-rprivate /
for d in /var/lib /var/log; do
  mount -t tmpfs none "$d"
done
mkdir -p /var/lib/xen /var/lib/xenstored /var/log/xen
mount -t tmpfs none /run
mkdir -p /run/xenstored /run/xen
mount --bind "$dir/run" /run/xenstored
unset FX_INNER XENSTORED_PATH
export XENSTORED_RUNDIR=/run/xenstored
export FAKEXEN_DIR="$dir/xen"
[ -z "${FX_PRELOAD_OFF:-}" ] || exec "$@"
# The runtime of a sanitizer, where our own server has one, wants to stand first; also where another
# one is to become ours: $FX_PROGRAM.
runtime=$(ldd "${FX_PROGRAM:-$1}" | sed -nE 's/.*=> (.*lib[a-z]*san\.so[^ ]*) .*/\1/p' | tr '\n' ' ')
exec env LD_PRELOAD="$runtime$O/libfakexen.so" "$@"
