#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Plays the transcripts against daemons on a pretend hypervisor, over sockets and rings: ours must
# answer as they say, and so must Debian's two, except for what tests/wire-differences.txt lists.  So
# a transcript that is wrong about the protocol is found, and a difference that nobody decided on.

. "${0%/*}/lib.sh"

[ "$(id -u)" -eq 0 ] || skip_all 'only root can make the mount namespaces that the daemons run in'
unshare -m true 2>/dev/null || skip_all 'mount namespaces are not allowed here'
xen=/usr/lib/xen-4.17/bin
[ -x $xen/xenstored ] && [ -x $xen/oxenstored ] || skip_all 'xen-utils-4.17 is not installed'

export O=$work/peers
sh "$top_srcdir/tests/peers/build.sh" || skip_all 'tests/peers cannot be built: install libxen-dev'

transcripts=()
for file in "$top_srcdir"/tests/wire-*.txt; do
  [ "${file##*/}" = wire-differences.txt ] || transcripts+=("$file")
done

# start NAME COMMAND...: a new daemon.
start ()
{
  local name=$1
  shift
  background "$top_srcdir/tests/peers/rundaemon.sh" "$work/$name" "$@" >"$work/$name.log" 2>&1
  wait_for test -S "$work/$name/run/socket"
}

# compare NAME: all transcripts against it; prints what went wrong, and nothing of what went well.
compare ()
{
  local name=$1 tap

  tap=$(XENSTORED_PATH=$work/$name/run/socket "$top_builddir/tests/wire-reference" -d "$name" \
    -D "$top_srcdir/tests/wire-differences.txt" -X "$work/$name/xen" "${transcripts[@]}") && return
  grep -A2 -e '^not ok' -e '^Bail out' <<<"$tap"
  return 1
}

plan 3
start xenstored-4.17 $xen/xenstored -N
start xendomstored "$top_builddir/xendomstored" -N --plugin-dir="$top_builddir/.libs" \
  --hypervisor=xenctrl --socket="$work/xendomstored/run/socket" --userdata-dir="$work/userdata"
start oxenstored-4.17 $xen/oxenstored --no-fork --no-access-log --config-file %D/oxenstored.conf
ok 'C xenstored 4.17 answers as the transcripts and the list of differences say' \
  compare xenstored-4.17
ok 'xendomstored answers as the transcripts say' compare xendomstored
ok 'oxenstored 4.17 answers as the transcripts and the list of differences say' \
  compare oxenstored-4.17
