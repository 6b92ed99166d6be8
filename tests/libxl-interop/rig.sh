# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2154
#
# A world with the real libxl in it: sourced after tests/lib.sh, skips where Debian's programs are
# not installed.  Has domain 0, and as its store the C xenstored, or with rig_server=ours our daemon;
# userdata is below $work/lib.

xl=/usr/lib/xen-4.17/bin/xl
xenstored=/usr/lib/xen-4.17/bin/xenstored

[ -x "$xl" ] && [ -x "$xenstored" ] || skip_all 'xen-utils-4.17 is not installed'
command -v xenstore-write >/dev/null || skip_all 'xenstore-utils is not installed'
pkg-config --exists xenlight 2>/dev/null || skip_all 'libxen-dev is not installed'
if ! "$top_srcdir/tests/libxl-interop/build.sh" "$work" >"$work/build.log" 2>&1; then
  diag "$(cat "$work/build.log")"
  exit 1
fi

tool=("$top_builddir/tests/userdata-tool" "$work/lib")
mkdir "$work/xen" "$work/lib" "$work/run" "$work/log"
export FAKEXEN_DIR=$work/xen FAKEXEN_LIBDIR=$work/lib FAKEXEN_RUNDIR=$work/run
export FAKEXEN_LOGDIR=$work/log XENSTORED_RUNDIR=$work/run XENSTORED_PATH=$work/run/socket
# glibc's own checks of the heap are for our programs, not for those of others.
unset MALLOC_CHECK_ MALLOC_PERTURB_

fake ()
{
  LD_PRELOAD=$work/libfakexen.so "$@"
}
lxl ()
{
  LD_PRELOAD=$work/libfakexen.so "$work/lxl" "$@" 2>>"$work/lxl.log"
}
tool ()
{
  "${tool[@]}" "$@" 2>>"$work/tool.log"
}
uuid ()
{
  printf '5a1ad000-0000-4000-8000-%012d' "$1"
}
files_of ()
{
  find "$work/lib" -maxdepth 1 -name "userdata-?.$1.*" | sort
}
has_files_of ()
{
  [ -n "$(files_of "$1")" ]
}
no_files_of ()
{
  [ -z "$(files_of "$1")" ]
}
# Holds the lock of a domain until it is killed; its pid is in $holder.
start_holder ()
{
  : >"$work/held"
  "${tool[@]}" hold "$1" >"$work/held" 2>>"$work/tool.log" &
  holder=$!
  wait_for grep -q held "$work/held"
}
kill_holder ()
{
  kill -KILL "$holder"
  wait "$holder" 2>/dev/null
}
# xl destroy while two processes of libxl store without pause; TRUE if nothing is left in the end.
destroy_under_storm ()
{
  local one two

  add_domain "$1"
  lxl hammer-store "$1" one 1000000 4000 "$1" >/dev/null & one=$!
  lxl hammer-store "$1" two 1000000 4000 "$1" >/dev/null & two=$!
  wait_for has_files_of "$1"
  sleep 0.05
  fake "$xl" destroy "$1" >>"$work/xl.log" 2>&1
  # The domain is gone, so both give up.
  wait "$one" "$two" 2>/dev/null
  wait_for no_files_of "$1"
}
add_domain ()
{
  fake "$work/fxctl" add "$1" "$(uuid "$1")" "guest$1"
}

start_server ()
{
  local command=("$xenstored" -N --pid-file "$work/run/pid")

  if [ "${rig_server:-}" = ours ]; then
    command=("$top_builddir/xendomstored" -N --hypervisor xenctrl --plugin-dir "$top_builddir/.libs"
      --config "$work/conf" --userdata-dir "$work/lib" --socket "$work/run/socket" --pid-file "$work/run/pid")
  fi
  rm -f "$work/run/socket"
  background env LD_PRELOAD="$(preload "$work/libfakexen.so" "${command[0]}")" "${command[@]}" \
    >>"$work/server.log" 2>&1
  server_pid=$background_pid
  wait_for test -S "$work/run/socket"
}
stop_server ()
{
  kill "$server_pid"
  wait "$server_pid" 2>/dev/null
}

: >"$work/conf" # of our server

# Domain 0 must be there before xenstored is, or it will not trust it.
printf 'uuid=00000000-0000-0000-0000-000000000000\nflags=running\n' >"$work/xen/0"
start_server
wait_for fake "$work/fxctl" add 0 00000000-0000-0000-0000-000000000000 Domain-0
# As the toolstack's start-up script does; libxl asks for it with the scheduler.
xenstore-write /local/pool/0/name Pool-0
