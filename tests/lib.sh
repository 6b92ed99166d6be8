# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# TAP for shell tests.  Source it first:
#
#   . "${0%/*}/lib.sh"
#   plan 2
#   ok 'the daemon says what is wrong' test -n "$text"
#   is 'it exits with 2' "$code" 2
#
# A test that is not run for a reason says so: skip_all 'valgrind is not installed'.
# Everything made below $work goes when the script ends, and so does every process started with
# `background`.  A script that dies on the way leaves its plan unmet, and so fails.

set -u

: "${top_srcdir:=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)}"
: "${top_builddir:=$PWD}"
export top_srcdir top_builddir

tap_n=0
tap_failed=0
tap_pids=()
work=$(mktemp -d "${TMPDIR:-/tmp}/xds-test.XXXXXX")

tap_end ()
{
  local status=$? pid tries=0

  trap - EXIT
  for pid in "${tap_pids[@]:+${tap_pids[@]}}"; do
    kill "$pid" 2>/dev/null
  done
  # They may be writing below $work still; one that does not listen is not asked again.
  while [ -n "$(jobs -pr)" ] && [ "$tries" -lt 100 ]; do
    tries=$((tries + 1))
    sleep 0.05
  done
  for pid in $(jobs -pr); do
    kill -KILL "$pid" 2>/dev/null
  done
  wait 2>/dev/null
  rm -rf "$work"
  [ "$status" -ne 0 ] || [ "$tap_failed" -eq 0 ] || status=1
  exit "$status"
}
trap tap_end EXIT
trap 'exit 129' HUP INT TERM

plan ()
{
  echo "1..$1"
}

skip_all ()
{
  echo "1..0 # SKIP $*"
  exit 0
}

diag ()
{
  printf '%s\n' "$*" | sed 's/^/# /'
}

pass ()
{
  tap_n=$((tap_n + 1))
  echo "ok $tap_n - $1"
}

fail ()
{
  tap_n=$((tap_n + 1))
  tap_failed=$((tap_failed + 1))
  echo "not ok $tap_n - $1"
}

skip ()
{
  tap_n=$((tap_n + 1))
  echo "ok $tap_n # SKIP $1"
}

# ok NAME COMMAND...: the command succeeds.  What it prints is shown only when it does not.
ok ()
{
  local name=$1 out
  shift
  if out=$("$@" 2>&1); then pass "$name"; else
    fail "$name"
    diag "failed: $*"
    [ -z "$out" ] || diag "$out"
  fi
}

# not_ok NAME COMMAND...: the command fails.
not_ok ()
{
  local name=$1 out
  shift
  if out=$("$@" 2>&1); then
    fail "$name"
    diag "should have failed: $*"
    [ -z "$out" ] || diag "$out"
  else pass "$name"; fi
}

# is NAME GOT WANTED
is ()
{
  if [ "$2" = "$3" ]; then pass "$1"; else
    fail "$1"
    diag "got:    $2"
    diag "wanted: $3"
  fi
}

# like NAME TEXT REGEX
like ()
{
  if [[ $2 =~ $3 ]]; then pass "$1"; else
    fail "$1"
    diag "got:            $2"
    diag "does not match: $3"
  fi
}

# background COMMAND...: starts it; its pid is in $background_pid, and it is ended with the script.
background ()
{
  "$@" &
  # shellcheck disable=SC2034 # for the script that sources this
  background_pid=$!
  tap_pids+=("$background_pid")
}

# preload LIBRARY PROGRAM: the LD_PRELOAD that gives the program the library.  The runtime of a
# sanitizer, where the program has one, wants to stand first.
preload ()
{
  echo "$(ldd "$2" | sed -nE 's/.*=> (.*lib[a-z]*san\.so[^ ]*) .*/\1/p' | tr '\n' ' ')$1"
}

# wait_for COMMAND...: until it succeeds.  The time limit only keeps a broken test from hanging.
wait_for ()
{
  local tries=0

  until "$@" >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt "${XDS_TEST_PATIENCE:-600}" ] || { diag "never came true: $*"; return 1; }
    sleep 0.05
  done
}
