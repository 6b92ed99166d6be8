#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Userdata on a disk that is full, has no room for another file, is read-only or is not there: a real
# small file system.  Each is an error of its own, of the library and of xds, after which the folder
# is as it was; and the daemon says so, goes on serving, and does its work when it can again.

# The mounts are in a name space of their own, and go with it.
if [ -z "${XDS_TEST_MOUNTS-}" ]; then
  [ "$(id -u)" -eq 0 ] || { echo '1..0 # SKIP only root can mount a small disk'; exit 0; }
  unshare -m true 2>/dev/null || { echo '1..0 # SKIP mounts are not permitted here'; exit 0; }
  XDS_TEST_MOUNTS=own exec unshare -m bash "$0" "$@"
fi

# shellcheck source=tests/it-lib.sh
. "${0%/*}/it-lib.sh"

disk=$work/disk
mkdir "$disk"
mount -t tmpfs -o size=64k,nr_inodes=16 xds-test "$disk" 2>/dev/null \
  || skip_all 'mounts are not permitted here'
folder=$disk/userdata
mkdir "$folder"
# Domains are asked for where they are, since the store begins anew with each daemon.
export XDS_HYPERVISOR=sim:$world,look

xds ()
{
  timeout 20 "$top_builddir/xds" "$@"
}

put ()
{
  xds userdata put --folder "$folder" "$@"
}

# state: each file's name and bytes.
state ()
{
  (cd "$folder" && for file in *; do [ ! -f "$file" ] || echo "$file $(md5sum <"$file")"; done)
}

# refuses TITLE ERROR STATUS COMMAND...: it fails so, as text and as JSON, and changes nothing.
refuses ()
{
  local title=$1 error=$2 status=$3 before said text_status json_status

  shift 3
  before=$(state)
  said=$("$@" 2>&1)
  text_status=$?
  json=$("$@" -j 2>&1)
  json_status=$?
  is "$title: $error" "$text_status $json_status $(sed -nE 's/^\{"error":"([A-Z_]+)".*/\1/p' <<<"$json")" \
    "$status $status $error"
  like "$title: the message says where, and what to do" "$said" "^xds: .*('$folder|userdata-[dnl]\.7\.).*[;.] .+"
  is "$title: nothing changes" "$(state)" "$before"
}

big=$(head -c 9000 /dev/zero | tr '\0' b)

plan 41
start
xds sim -w "$world" start 7 web1
xds sim -w "$world" start 8 web2
put 7 note 'the old bytes'
put 7 empty-later x

# --- full ---

dd if=/dev/zero of="$disk/filler" bs=4096 2>/dev/null
refuses 'a store on a full disk' DISK_FULL 5 put 7 note "$big"
refuses 'a first store on a full disk' DISK_FULL 5 put 7 other "$big"
is 'what is there can be read' "$(xds userdata get --folder "$folder" 7 note)" 'the old bytes'
ok 'and removed' xds userdata rm --folder "$folder" 7 empty-later
rm "$disk/filler"
ok 'with some space it can be stored again' put 7 note 'newer bytes'

for i in {1..20}; do : >"$disk/filler-$i"; done 2>/dev/null
refuses 'a store without room for a file' DISK_FULL 5 put 7 note 'newest bytes'
rm -f "$disk"/filler-*

# --- read-only ---

mount -o remount,ro "$disk"
refuses 'a store on a read-only disk' READ_ONLY 7 put 7 note 'newest bytes'
refuses 'a removal on a read-only disk' READ_ONLY 7 xds userdata rm --folder "$folder" 7 note
is 'what is there can be read from it' "$(xds userdata get --folder "$folder" 7 note)" 'newer bytes'
is 'and listed' "$(xds userdata ls --folder "$folder" -j 7 | grep -c '"note"')" 1
mount -o remount,rw "$disk"

# --- not there ---

mv "$folder" "$folder.away"
for words in 'put 7 note x' 'get 7 note' 'ls 7' 'rm 7 note'; do
  # shellcheck disable=SC2086 # words are words
  said=$(xds userdata ${words%% *} --folder "$folder" ${words#* } 2>&1)
  is "without the folder, xds userdata $words says so" "$? ${said%%;*}" \
     "7 xds: The userdata folder '$folder' is missing"
done
ok 'and does not make it' test ! -e "$folder"
mv "$folder.away" "$folder"
stop

# --- the daemon ---

alive ()
{
  xds write /tool/alive "$1" && [ "$(xds read /tool/alive)" = "$1" ]
}

# files DOMID: how many files of data that domain has.
files ()
{
  find "$folder" -name "userdata-d.$1.*" | wc -l
}

no_files ()
{
  [ "$(files "$1")" -eq 0 ]
}

mv "$folder" "$folder.away"
start --userdata-dir "$folder"
ok 'a daemon without the folder says so' said "not kept: The userdata folder '$folder' is missing"
ok 'and serves' alive without
xds sim -w "$world" create 9
xds sim -w "$world" destroy 9
is 'and says it once' "$(grep -c 'not kept' "$work/log")" 1
mv "$folder.away" "$folder"
xds sim -w "$world" create 9
ok 'a folder that comes is found when a domain comes' wait_for said 'kept in .* from now on'
ok 'there is data of that domain' put 9 note nine
xds sim -w "$world" destroy 9
ok 'and that of a domain that dies goes' wait_for no_files 9
stop

dd if=/dev/zero of="$disk/filler" bs=4096 2>/dev/null
start --userdata-dir "$folder"
ok 'a daemon starts on a full disk and serves' alive full
ok 'data of a domain that lives stays' test "$(files 7)" -eq 1
rm "$disk/filler"
ok 'there is data of another domain' put 8 note two
dd if=/dev/zero of="$disk/filler" bs=4096 2>/dev/null
xds sim -w "$world" destroy 8
ok 'data of a domain that dies goes from a full disk' wait_for no_files 8
rm "$disk/filler"

mount -o remount,ro "$disk"
xds sim -w "$world" destroy 7
ok 'on a read-only disk the daemon says what it cannot do' wait_for said 'userdata: .*Read-only file system'
is 'the data stays' "$(files 7)" 1
ok 'and the store is served' alive read-only
mount -o remount,rw "$disk"
ok 'when the disk can be written again, the data of the dead goes' wait_for no_files 7
stop

mount -o remount,ro "$disk"
: >"$work/log"
start --userdata-dir "$folder"
ok 'a daemon starts on a read-only disk and serves' alive again
mount -o remount,rw "$disk"
stop

start --userdata-dir "$folder"
rm -r "$folder"
ok 'a daemon whose folder is taken away goes on serving' alive away
stop
umount "$disk"
