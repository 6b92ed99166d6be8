#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What xds prints, on both outputs and with which status, verb by verb, as text and as JSON.
#
# tests/golden/*.txt are sessions: a line that begins with "$ " is a command, what follows is what it
# printed, and its exit status in brackets.  Each session runs against a store of its own in the
# real daemon over a simulated world, and must come out as it stands there.  What differs from run
# to run is written UUID, TIME, GENERATION and WORK.  To take what comes out as right:
# XDS_GOLDEN_UPDATE=1, and read the difference.

# shellcheck source=tests/it-lib.sh
. "${0%/*}/it-lib.sh"

export XDS_SIM_WORLD=$world
golden=$top_srcdir/tests/golden
# What is left of a domain that there is not, for the sessions.
# shellcheck disable=SC2034
dead=userdata-d.99.11111111-2222-3333-4444-555555555555.note

xds ()
{
  timeout 20 "$top_builddir/xds" "$@"
}

mask ()
{
  sed -E -e "s#$work#WORK#g" \
    -e 's/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/UUID/g' \
    -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z/TIME/g' \
    -e 's/"generation":"[0-9a-f]+"/"generation":"GENERATION"/g'
}

# replay SESSION: runs its commands and prints the session as it came out.
replay ()
{
  local line status

  while IFS= read -r line <&3; do
    case $line in
      '#'*) echo "$line" ;;
      '$ '*)
        status=0
        echo "$line"
        # Both outputs in the order in which they were written.
        (cd "$work" && eval "${line#\$ }") 2>&1 < /dev/null || status=$?
        echo "[$status]" ;;
    esac
  done 3< "$1" | mask
}

sessions=("$golden"/*.txt)
plan "$((${#sessions[@]} + 1))"
for session in "${sessions[@]}"; do
  start
  replay "$session" > "$work/came"
  stop
  rm -f "$work"/userdata/userdata-*
  "$sim" -w "$world" init
  if [ -n "${XDS_GOLDEN_UPDATE-}" ]; then cp "$work/came" "$session"; fi
  ok "${session##*/} comes out as it stands" diff -u "$session" "$work/came"
done

# A verb without a session would be a verb that nobody knows to work.
missing=$(xds help | awk '/^  [a-z]/ { print $1 }' | while read -r verb; do
  grep -qE "^\\\$ .*xds ([^|;]* )?$verb( |\$)" "$golden"/*.txt || echo "$verb"
done)
is 'every verb has a session' "$missing" ''
