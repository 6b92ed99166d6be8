#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# How the daemon starts, refuses to start, and ends.

. "${0%/*}/it-lib.sh"
plan 54

# An option that there is not is one line, and exit status 2.
refused --no-such-option
is 'an unknown option: exit 2' "$status" 2
like 'an unknown option is named' "$said" '--no-such-option.*--help'
is 'an unknown option: one line' "$(wc -l <<< "$said")" 1

# A value that cannot be is refused with the option and what it should be.
refused -E many
is 'a bad number: exit 2' "$status" 2
like 'a bad number: option and value are named' "$said" '-E.*"many" is not a number'
refused -Q zebras=3
is 'an unknown quota: exit 2' "$status" 2
like 'an unknown quota: those that there are are listed' "$said" '"zebras".*nodes.*watches'
refused -Q nodes
is 'a quota without a number: exit 2' "$status" 2
refused surplus
is 'a surplus argument: exit 2' "$status" 2

# Every option that has a value, and every key that not all values fit, refuses one that cannot be:
# exit status 2, and one line that names it and, of a file, the line.
told ()
{
  [ "$status" -eq 2 ] && [[ $said == *"$1"*"\"$2\""* ]] && [ "$(wc -l <<< "$said")" -eq 1 ] \
    || echo "$1=$2: $status, $said"
}
is 'each option refuses a wrong value' "$(
  for option in -E --entry-nb -S --entry-size -W --watch-nb -t --transaction -A --perm-nb -M \
    --path-max -m --master-domid -p --priv-domid -e --event; do
    refused "$option" 1x
    told "$option" 1x
  done
  for quota in nodes watches transactions outstanding memory soft-memory transaction-nodes \
    node-permissions node-size path-max; do
    refused -Q "$quota=-1"
    told -Q -1
  done
  refused -q memory=
  told -q '')" ''
is 'each key refuses a wrong value' "$(
  for line in daemon:event-port:x daemon:foreground:maybe daemon:print-pid:2 store:keep-orphans:on \
    store:domid:32752 store:privileged-domid:-1 hooks:timeout:0 hooks:at-once:0 \
    userdata:last-will:soon log:target:printer log:level:5 access-log:domains:dom0 \
    access-log:operations:read quota:nodes:4294967296 quota:memory:1.5 quota:path-max:0x10; do
    IFS=: read -r group key value <<< "$line"
    printf '[%s]\n%s = %s\n' "$group" "$key" "$value" > "$work/bad"
    refused --config "$work/bad"
    told "$work/bad:2: $key: " "$value"
  done)" ''
printf '[quota\nnodes = 12\n' > "$work/bad"
refused --config "$work/bad"
like 'a group without its end is an error with its line' "$said" 'bad:1: .*ends with \]'

# Options of C xenstored that change nothing here are accepted and said to.
said=$("$daemon" --check-config --config "$work/conf" -w watch-event=5 2>&1)
is 'an option without effect is accepted' "$?" 0
like 'and this is said' "$said" '-w has no effect'

is 'so is the other name of help' "$("$daemon" -H)" "$("$daemon" --help)"

# As with getopt, a value may stand right behind its letter, and letters together.
said=$("$daemon" --check-config --config "$work/conf" -NE2000 -Qwatches=5 -DIoff 2>&1)
is 'a value right behind its letter is taken' "$?" 0
refused -NEmany
is 'and a wrong one is not' "$status" 2
like 'and is named' "$said" '-E: "many" is not a number'

# An error in the file names file and line.
printf '# all is well\n[quota]\nnodes = 12\nwatches = lots\n' > "$work/bad"
refused --config "$work/bad"
is 'a bad value in the file: exit 2' "$status" 2
like 'its file and line are named' "$said" "$work/bad:4: watches: \"lots\""
printf '[access-log]\noperations = READ SING\n' > "$work/bad"
refused --config "$work/bad"
like 'a word of a list that cannot be is named' "$said" 'bad:2: .*"SING"'
printf 'nodes = 12\n' > "$work/bad"
refused --config "$work/bad"
like 'a key outside of a group is an error with its line' "$said" 'bad:1: '
printf '[quota]\nnodes\n' > "$work/bad"
refused --config "$work/bad"
like 'a line that is no assignment is an error with its line' "$said" 'bad:2: '
printf '[log]\nlevel = loud\n' > "$work/bad"
refused --config "$work/bad"
like 'a word that is none of those allowed: they are listed' "$said" 'bad:2: .*error.*debug'
refused --config "$work/absent"
is 'a file that was named and is not there: exit 2' "$status" 2
printf '[quota]\nnodes = 12\n[daemon]\nspeed = high\n' > "$work/odd"
said=$("$daemon" --check-config --config "$work/odd" 2>&1)
is 'an unknown key does not stop the daemon' "$?" 0
like 'but is told with its line' "$said" 'odd:4: .*"speed"'

# Without Xen, and without being told to, it does not simulate one.
if [ -e /dev/xen/privcmd ] || [ -e /proc/xen/privcmd ]; then
  skip 'this is a Xen host'; skip 'this is a Xen host'
else
  said=$("$daemon" -N --config "$work/conf" --pid-file "$work/pid" 2>&1)
  is 'without Xen it refuses: exit 1' "$?" 1
  like 'and says what to do' "$said" '--hypervisor sim'
fi
refused --hypervisor nonsense
is 'a plugin that there is not: exit 1' "$status" 1
refused --socket "$work/no/such/dir/socket"
is 'a socket in a folder that there is not: exit 1' "$status" 1
like 'the path is named' "$said" "$work/no/such/dir/socket"
refused --socket "$work/$(printf '%0120d' 1)"
like 'a socket path that is too long: the limit is named' "$said" 'at most 107 bytes'
: > "$work/file"
refused --socket "$work/file"
like 'a file in the way of the socket stays' "$said" 'is not a socket'
ok 'and is still there' test -f "$work/file"
not_ok 'no pid file is left by those' test -e "$work/pid"

# It starts, and a second one is refused without a change to the first.
start
is 'the pid file holds its process id' "$(cat "$work/pid")" "$daemon_pid"
is 'the socket is for root alone' "$(stat -c %a "$XENSTORED_PATH")" 600
refused
is 'a second one: exit 1' "$status" 1
like 'it says who is there' "$said" "process $daemon_pid"
is 'the pid file was left alone' "$(cat "$work/pid")" "$daemon_pid"
"$sim" -w "$work/world2" init
refused --pid-file "$work/pid2" --hypervisor "sim:$work/world2"
like 'one with another pid file finds the socket served' "$said" 'another xenstore server answers'
ok 'the first one still serves' op "$OP_DIRECTORY" /

# It ends cleanly by SIGTERM.
stop
is 'SIGTERM: exit 0' "$?" 0
not_ok 'SIGTERM: the socket is removed' test -e "$XENSTORED_PATH"
not_ok 'SIGTERM: the pid file is removed' test -e "$work/pid"

# What a killed one leaves behind does not stop the next.
: > "$work/log"
start
kill_daemon
ok 'a killed one leaves its socket' test -S "$XENSTORED_PATH"
: > "$work/log"
start
ok 'the next one replaces it' op "$OP_DIRECTORY" /

# SIGHUP reads the file again; one that is wrong changes nothing.
printf '[quota]\nnodes = 77\n' > "$work/conf"
kill -HUP "$daemon_pid"
wait_for said 'read the configuration again'
like 'SIGHUP: a quota is changed' "$(op "$OP_CONTROL" quota)" 'nodes[ :=]*77'
printf '[quota]\nnodes = none\n' > "$work/conf"
kill -HUP "$daemon_pid"
wait_for said 'stays as it was'
like 'SIGHUP: a wrong file is told with its line' "$(cat "$work/log")" 'conf:2: nodes'
like 'SIGHUP: a wrong file changes nothing' "$(op "$OP_CONTROL" quota)" 'nodes[ :=]*77'
: > "$work/conf"
stop

# In the background: the parent ends with 0 only when the socket answers.
"$daemon" "${standard[@]}" > "$work/out" 2>&1
is 'background: the parent exits with 0' "$?" 0
ok 'background: the socket answers at once' op "$OP_DIRECTORY" /
kill "$(cat "$work/pid")"
wait_for test ! -e "$work/pid"
"$daemon" "${standard[@]}" --socket "$work/file" > "$work/out" 2>&1
is 'background: a failure is the exit status of the parent' "$?" 1
