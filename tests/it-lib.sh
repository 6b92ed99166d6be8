# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# A daemon over a simulated world, for the it-*.sh tests, with all of lib.sh.
#
# shellcheck disable=SC2034 # what is set here is for those that source this

# shellcheck source=tests/lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

daemon=$top_builddir/xendomstored
raw=$top_builddir/tests/it-raw
sim=$top_builddir/xds-sim
guest=$top_builddir/tests/sim-guest
world=$work/world
export XENSTORED_PATH=$work/socket
export XENSTORED_RUNDIR=$work/run
unset NOTIFY_SOCKET LISTEN_FDS LISTEN_PID WATCHDOG_USEC WATCHDOG_PID XENSTORED_SOCKET

# Numbers of operations, for it-raw op.
OP_DIRECTORY=1
OP_READ=2
OP_INTRODUCE=8
OP_WRITE=11
OP_SET_PERMS=14
OP_CONTROL=0

standard=(--hypervisor "sim:$world" --plugin-dir "${XDS_PLUGIN_DIR:-$top_builddir/.libs}"
          --pid-file "$work/pid" --userdata-dir "$work/userdata" --config "$work/conf")

mkdir "$work/userdata"
: > "$work/conf"
"$sim" -w "$world" init

# start [OPTION...]: in the foreground of a background job; its messages are in $work/log.
start ()
{
  background "$daemon" -N "${standard[@]}" "$@" 2>> "$work/log"
  daemon_pid=$background_pid
  wait_for test -S "$XENSTORED_PATH"
  wait_for grep -q 'ready: ' "$work/log"
}

# worker_of PID: the process that serves, where PID keeps it.
worker_of ()
{
  local children=

  read -r children < "/proc/$1/task/$1/children"
  echo "${children%% *}"
}

# has_ended PID: it holds nothing any more, whether or not somebody waited for it.
has_ended ()
{
  ! grep -q '^State:[[:space:]]*[^ZX]' "/proc/$1/status" 2> /dev/null
}

# kill_daemon: the one that serves and, first made unable to replace it, the one that keeps it.
kill_daemon ()
{
  local worker

  kill -STOP "$daemon_pid"
  worker=$(worker_of "$daemon_pid")
  kill -KILL $worker "$daemon_pid"
  wait "$daemon_pid" 2> /dev/null
  [ -z "$worker" ] || wait_for has_ended "$worker"
}

stop ()
{
  kill "$daemon_pid" && wait "$daemon_pid"
}

# refused OPTION...: its exit status is in $status and what it says in $said.
refused ()
{
  said=$("$daemon" -N "${standard[@]}" "$@" 2>&1 < /dev/null)
  status=$?
}

op ()
{
  timeout 20 "$raw" op "$@"
}

# new_guest DOMID: a domain that is introduced and owns its home.
new_guest ()
{
  "$sim" -w "$world" create "$1" > /dev/null \
    && op "$OP_WRITE" "/local/domain/$1" > /dev/null \
    && op "$OP_SET_PERMS" "/local/domain/$1" "n$1" > /dev/null \
    && op "$OP_INTRODUCE" "$1" 1 1 > /dev/null
}

play ()
{
  timeout 20 "$guest" -w "$world" "$@"
}

said ()
{
  grep -q -e "$1" "$work/log"
}
