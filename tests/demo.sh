#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The main job, to be seen: from a bare Debian 12 to a served store.  Installs what is missing,
# builds outside of the tree, and plays a session in which each step is a command that you could
# type; after it stands what must be true then, and whether it is.  Exit status 0 only if all is.
#
#   XDS_BUILD=DIR   build there and keep it, instead of in a folder that is removed at the end
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"
set -u

src=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/xds-demo.XXXXXX") || exit 1
if [ -n "${XDS_BUILD-}" ]; then
  mkdir -p "$XDS_BUILD" && build=$(cd "$XDS_BUILD" && pwd) || exit 1
else
  build=$work
fi
children=()

end ()
{
  local status=$?

  trap - EXIT
  [ "${#children[@]}" -eq 0 ] || kill "${children[@]}" 2>/dev/null
  wait
  rm -rf "$work"
  exit "$status"
}
trap end EXIT
trap 'exit 129' HUP INT TERM

# shellcheck source=tests/prepare.sh
. "$src/tests/prepare.sh"

# --- how a session looks ---

failed=0
if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
  bold=$'\e[1m' good=$'\e[32m' bad=$'\e[31m' plain=$'\e[0m'
else
  bold='' good='' bad='' plain=''
fi

say ()
{
  printf '\n%s%s%s\n' "$bold" "$*" "$plain"
}

# words WORD...: as they would be typed.
words ()
{
  local word
  for word in "$@"; do
    [[ $word =~ ^[A-Za-z0-9_@%+=:,./-]+$ ]] || word="'$word'"
    printf ' %s' "$word"
  done
}

# run COMMAND...: shows the command and what it prints; the text is in $out too.
run ()
{
  printf '  $%s\n' "$(words "$@")"
  out=$("$@" 2>&1)
  local status=$?
  [ -z "$out" ] || printf '%s\n' "$out" | sed 's/^/  /'
  return "$status"
}

# start FILE COMMAND...: shows the command, and runs it beside us with its output in FILE.
start ()
{
  local file=$1
  shift
  printf '  $%s &\n' "$(words "$@")"
  "$@" >"$file" 2>&1 &
  children+=("$!")
}

# check TEXT COMMAND...: the command must succeed, now or within a while: events take their time.
check ()
{
  local text=$1 tries=0
  shift
  until "$@" >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -ge 100 ]; then
      printf '  %s✗ %s%s\n' "$bad" "$text" "$plain"
      failed=$((failed + 1))
      return 1
    fi
    sleep 0.1
  done
  printf '  %s✓ %s%s\n' "$good" "$text" "$plain"
}

# not COMMAND...
not ()
{
  ! "$@"
}

printed ()
{
  [ "$out" = "$1" ]
}

# watched_more_than N: the watcher printed more than N lines.
watched_more_than ()
{
  [ "$(wc -l <"$work/watched")" -gt "$1" ]
}

# heard PATH: an event came, not counting those that each watch begins with.
heard ()
{
  sed 1,3d "$work/watched" | grep -qxF -- "$1"
}

# --- install and build ---

install_packages "${packages_build[@]}" "${packages_demo[@]}"
echo 'building (a minute or two)'
(configure_and_build && make tests/sim-guest) >"$build/build.log" 2>&1 \
  || { tail -n 30 "$build/build.log" >&2; die "the build failed"; }
mkdir "$work/bin"
for program in xendomstored xds xds-sim tests/sim-guest; do
  ln -s "$build/tree/$program" "$work/bin/"
done
PATH=$work/bin:$PATH

# --- the session ---

cd "$work" || exit 1
export XDS_SIM_WORLD=$work/world XENSTORED_RUNDIR=$work/run XENSTORED_PATH=$work/run/socket
mkdir "$XENSTORED_RUNDIR" lib
uuid=6d1b9b5c-8f0e-4a27-9d0a-3c1f5e7a2b48
home=/local/domain/7
lib=$work/lib

say '1. A host without Xen, and the daemon on it'
run xds-sim init
start daemon.log xendomstored --no-fork --hypervisor "sim:$XDS_SIM_WORLD" \
  --plugin-dir "$build/tree/.libs" --userdata-dir "$lib"
check 'it listens on the socket where every xenstore client looks' test -S "$XENSTORED_PATH" \
  || { cat daemon.log >&2; exit 1; }

say "2. A domain is made, as a toolstack does it, with Debian's own tools"
run xds-sim create 7 --uuid "$uuid"
run xenstore-write $home/name demo $home/data '' $home/vm /vm/$uuid
run xenstore-chmod -r $home n7
run xenstore-chmod $home/name n0 r7
run xds domain introduce 7 0 1
start watched xenstore-watch $home/data @releaseDomain @userdata/7/note
check 'the watches are set: each fires once at the begin' watched_more_than 2

say '3. The guest speaks, through the ring that it shares with the daemon'
run sim-guest 7 read name
check 'it reads its name by a path relative to its home' printed demo
run sim-guest 7 write data/hello 'from the guest'
run xenstore-read $home/data/hello
check 'what it wrote is what we read' printed 'from the guest'
check 'and the watch told so' heard $home/data/hello
run sim-guest 7 write name other
check 'its name is not its to change' printed 'error EACCES'
run xenstore-ls -f $home

say '4. Userdata: a file of the domain, where libxl has it'
run xds userdata --folder lib put 7 note 'belongs to demo'
run ls lib
check 'it lies under the name that libxl would give it' test -s "lib/userdata-d.7.$uuid.note"
check 'the watch told so' heard @userdata/7/note
run xds userdata --folder lib get 7 note
check 'and it is read back' printed 'belongs to demo'

say '5. The domain is destroyed; nobody cleans up after it'
run xds-sim destroy 7
check 'the watcher heard @releaseDomain' heard @releaseDomain
run xenstore-ls -f /local/domain
check 'its nodes are gone' not xenstore-exists $home
check 'its userdata is gone' not test -e "lib/userdata-d.7.$uuid.note"
run ls lib

say 'watched, line by line:'
sed 's/^/  /' watched

if [ "$failed" -eq 0 ]; then
  say 'All that was said held.'
else
  say "$failed of it did not hold; the daemon's log:"
  sed 's/^/  /' daemon.log
  exit 1
fi
