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
plan "$((${#sessions[@]} + 2))"
for session in "${sessions[@]}"; do
  start || { echo "Bail out! the daemon does not start: $(tail -n 1 "$work/log")"; exit 1; }
  replay "$session" > "$work/came"
  stop
  rm -f "$work"/userdata/userdata-*
  "$sim" -w "$world" init
  if [ -n "${XDS_GOLDEN_UPDATE-}" ]; then cp "$work/came" "$session"; fi
  ok "${session##*/} comes out as it stands" diff -u "$session" "$work/came"
done

# things: every verb, and every action of those that have actions, as words of a command line.
things ()
{
  local verb action

  for verb in $(xds help | awk '/^  [a-z]/ { print $1 }'); do
    case $verb in
      userdata | domain | sim)
        for action in $(xds complete -- "$verb" ''); do echo "$verb $action"; done ;;
      *) echo "$verb" ;;
    esac
  done
}

# commands THING: the commands of all sessions in which it is run, not those about its help; at most
# options with their values are between its words.
commands ()
{
  local option='(-[A-Za-z]+|--[a-z-]+|userdata|other|web1|7|8)'

  grep -hoE "^\\$ .*" "$golden"/*.txt \
    | grep -oE "xds ($option )*${1/ / ($option )*}( [^|;&]*)?" | grep -vE -- '--help|complete -- .* '
}

# without FORMAT: what has no session in it.
without ()
{
  things | while read -r thing; do
    commands "$thing" | grep -qE "$@" -- ' (-[A-Za-z]*j|--json)( |$)' || echo "$thing"
  done
}

is 'everything that xds does has a session as text' "$(without -v)" ''
is 'everything that xds does has a session as JSON' "$(without)" ''
