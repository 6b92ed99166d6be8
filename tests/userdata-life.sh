#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A domain's data before and beyond its ordinary life, against the daemon over a simulated world, with data that
# xds stores: a soft reset, in which libxl removes all, gives back what is not libxl's own, over a
# restart of the daemon as well; and the last will, which a domain leaves however it goes, for its
# time.

# shellcheck source=tests/it-lib.sh
. "${0%/*}/it-lib.sh"

folder=$work/userdata
export XDS_SIM_WORLD=$world XDS_HYPERVISOR=sim:$world,look

xds ()
{
  timeout 20 "$top_builddir/xds" "$@"
}

put ()
{
  xds userdata put --folder "$folder" "$@"
}

get ()
{
  xds userdata get --folder "$folder" "$@" 2>/dev/null
}

# remove_all DOMID: as libxl does, in a soft reset and before a destroy.
remove_all ()
{
  rm -f "$folder"/userdata-?."$1".*
}

no_files ()
{
  [ -z "$(find "$folder" -name "*userdata-?.$1.*")" ]
}

# is_there DOMID NAME BYTES
is_there ()
{
  [ "$(get "$1" "$2")" = "$3" ]
}

# kept N: so many files are put aside.
kept ()
{
  [ "$(find "$folder/userdata-kept" -type f 2>/dev/null | wc -l)" -eq "$1" ]
}

# begin_reset DOMID N: until N files are put aside and libxl has removed all.
begin_reset ()
{
  xds sim shutdown "$1" soft-reset
  wait_for kept "$2"
  remove_all "$1"
  xds domain release "$1"
}

end_reset ()
{
  xds sim resume "$1"
  xds domain introduce "$1" 1 1
}

plan 20
start
xds sim start 7 web1
put 7 note 'of mine'
put 7 tag 'an old one'
put 7 xl 'of libxl'
begin_reset 7 2
not_ok 'in a soft reset nobody sees what libxl removed' is_there 7 note 'of mine'
put 7 tag 'a new one'
end_reset 7
ok 'after it, what is not libxl'"'"'s own is there again' wait_for is_there 7 note 'of mine'
is 'what was stored meanwhile wins' "$(get 7 tag)" 'a new one'
is 'what is libxl'"'"'s own is left to libxl' "$(get 7 xl)" ''
ok 'and nothing is left aside' wait_for kept 0

begin_reset 7 2
stop
start
ok 'a restart of the daemon in a reset loses nothing' kept 2
end_reset 7
ok 'and what was put aside comes back' wait_for is_there 7 note 'of mine'
ok 'all of it' wait_for is_there 7 tag 'a new one'

begin_reset 7 2
xds sim destroy 7
ok 'a domain that dies in its reset leaves nothing' wait_for no_files 7

# --- before its life: what is being built is not in the store yet ---

xds sim create 6
xds sim start 5 other
put 6 libxl-json 'of one that is being built'
put 5 note x
xds sim destroy 5
wait_for no_files 5
is 'data of a domain that is being built stays' "$(get 6 libxl-json)" 'of one that is being built'
stop

# --- the last will ---

# willed DOMID USERID: the bytes that a domain left.
willed ()
{
  cat "$folder"/userdata-will/[0-9]*.userdata-d."$1".*."$2" 2>/dev/null
}

has_willed ()
{
  [ "$(willed "$1" "$2")" = "$3" ]
}

no_will ()
{
  ! ls "$folder"/userdata-will/[0-9]*.userdata-d."$1".* >/dev/null 2>&1
}

printf '[userdata]\nlast-will = 3\n' >"$work/conf"
start
for domid in 8 9 10; do
  xds sim start "$domid" "web$domid"
  put "$domid" libxl-json "how $domid was configured"
  put "$domid" note "of $domid"
done
put 8 removed 'while it lived'
xds userdata rm --folder "$folder" 8 removed
xds sim crash 9
is 'a domain that crashed and is kept has its data, and leaves none' "$(get 9 note) $(willed 9 note)" 'of 9 '
died=$(date +%s)
xds sim destroy 8
ok 'a domain that is destroyed leaves its data' wait_for has_willed 8 note 'of 8'
ok 'libxl'"'"'s own as well' has_willed 8 libxl-json 'how 8 was configured'
is 'and nobody gets it as data of a domain' "$(get 8 note; find "$folder" -maxdepth 1 -name '*.8.*')" ''
when=$(find "$folder/userdata-will" -name '[0-9]*.userdata-d.8.*.note' -printf '%f' | cut -d. -f1)
ok 'it says when the domain died' test "$((when - died))" -ge 0 -a "$((when - died))" -le 60
remove_all 10
xds sim destroy 10
ok 'so does one whose data libxl removed first' wait_for has_willed 10 note 'of 10'
xds sim destroy 9
ok 'and one that crashed, when it is gone' wait_for has_willed 9 note 'of 9'
xds sim start 8 again
is 'another domain of that number gets none of it' "$(get 8 note)" ''
ok 'a will ends with its time' wait_for no_will 8
stop
sleep 3
start
ok 'also with the daemon away' wait_for no_will 9
stop
