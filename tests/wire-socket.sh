#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Plays the transcripts without domains against our own daemon on the simulated world: the socket
# carries what the engine says, whoever runs this.  Those with domains: wire-reference.sh.

# shellcheck source=tests/it-lib.sh
. "${0%/*}/it-lib.sh"

transcripts=()
for file in "$top_srcdir"/tests/wire-*.txt; do
  [ "${file##*/}" = wire-differences.txt ] || transcripts+=("$file")
done

play ()
{
  local tap

  tap=$("$top_builddir/tests/wire-reference" "${transcripts[@]}") && return
  grep -A2 -e '^not ok' -e '^Bail out' <<<"$tap"
  return 1
}

plan 1
start
ok 'the daemon answers on its socket as the transcripts say' play
