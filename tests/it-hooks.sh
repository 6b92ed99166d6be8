#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Hooks of the real daemon over a simulated world.

# shellcheck source=tests/it-lib.sh
. "${0%/*}/it-lib.sh"

hooks=$work/hooks
told=$work/told
mkdir "$hooks"
printf '[hooks]\nfolder = %s\ntimeout = 1\nat-once = 2\n' "$hooks" > "$work/conf"

# hook NAME: a program of what is on standard input.
hook ()
{
  { printf '#!/bin/sh\n'; cat; } > "$hooks/$1"
  chmod 755 "$hooks/$1"
}

hook 10-tell << TXT
echo "\$1 \$XDS_EVENT \$XDS_DOMID \$XDS_NAME \$XDS_REASON" >> $told
TXT
hook 20-uuid << TXT
echo "uuid \$XDS_UUID" >> $told
TXT
hook 30-backup~ << TXT
echo backup >> $told
TXT
hook 40-writable << TXT
echo writable >> $told
TXT
chmod 777 "$hooks/40-writable"

heard ()
{
  grep -qx -e "$1" "$told"
}

# named DOMID: a domain with a name, introduced.
named ()
{
  "$sim" -w "$world" create "$1" --uuid 11111111-2222-3333-4444-555555555555 > /dev/null \
    && op "$OP_WRITE" "/local/domain/$1/name" "guest$1" > /dev/null \
    && op "$OP_INTRODUCE" "$1" 1 1 > /dev/null
}

plan 19
start
touch "$told"

named 5
ok 'a hook hears of an introduction, with domid, name and event' \
   wait_for heard 'introduced introduced 5 guest5 '
ok 'it knows the uuid' wait_for heard 'uuid 11111111-2222-3333-4444-555555555555'

"$sim" -w "$world" shutdown 5 crash > /dev/null 2>&1 || "$sim" -w "$world" crash 5 > /dev/null
ok 'a hook hears of a shutdown, with the reason' wait_for heard 'shutdown shutdown 5 guest5 crash'

op 13 /local/domain/5 > /dev/null
"$sim" -w "$world" destroy 5 > /dev/null
ok 'a hook hears that a domain is gone, by the name that it had' \
   wait_for heard 'gone gone 5 guest5 crash'

named 6
"$sim" -w "$world" destroy 6 > /dev/null
ok 'of a domain that did not shut down it hears that it was destroyed' \
   wait_for heard 'gone gone 6 guest6 destroyed'
is 'events of one domain come in their order' \
   "$(grep ' 6 ' "$told" | cut -d' ' -f1 | tr '\n' ' ')" 'introduced gone '

is 'the server remembers why a domain went' "$(op "$OP_CONTROL" reason 5)" crash
is 'and that it was destroyed' "$(op "$OP_CONTROL" reason 6)" destroyed

# released ID: the library's signal, through the example in Python, or the reason alone without it.
example=$top_srcdir/lib/example.py
export LD_LIBRARY_PATH=$top_builddir/.libs GI_TYPELIB_PATH=$top_builddir
if [ -e "$top_builddir/Xendomstore-0.typelib" ] && /usr/bin/python3 -c 'import gi' 2> /dev/null; then
  (unset MALLOC_CHECK_ MALLOC_PERTURB_ G_DEBUG
   LD_PRELOAD=$(preload '' "$top_builddir/.libs/libxendomstore.so") ASAN_OPTIONS=detect_leaks=0 \
     background /usr/bin/python3 "$example" "$XENSTORED_PATH" "$work/userdata" > "$work/example"
   wait_for grep -q watching "$work/example"
   named 8
   wait_for grep -q 'came 8' "$work/example"
   "$sim" -w "$world" shutdown 8 reboot > /dev/null
   wait_for heard 'shutdown shutdown 8 guest8 reboot'
   "$sim" -w "$world" destroy 8 > /dev/null
   wait_for grep -q 'went 8' "$work/example"
   kill "$background_pid")
  like 'the library tells who went, and why' "$(cat "$work/example")" 'went 8 [^ ]* reboot'
else
  skip 'no introspection data'
fi
named 10
is 'of a domain that is there it says so' "$(op "$OP_CONTROL" reason 10)" running

not_ok 'what is no proper name, or may be written by others, does not run' \
       grep -qE 'backup|writable' "$told"

# The process that serves dies, before and while a domain goes.
worker ()
{
  worker_of "$daemon_pid"
}
named 11
named 12
wait_for heard 'introduced introduced 12 guest12 '
kill -KILL "$(worker)"
wait_for said 'takes its place'
op "$OP_READ" / > /dev/null
"$sim" -w "$world" destroy 10 > /dev/null
ok 'after a death of the daemon, too, hooks hear who goes' \
   wait_for heard 'gone gone 10 guest10 destroyed'
is 'and nothing twice' "$(grep -c 'introduced introduced 1[012]' "$told")" 3
kill -STOP "$daemon_pid"
kill -KILL "$(worker)"
"$sim" -w "$world" destroy 11 > /dev/null
"$sim" -w "$world" shutdown 12 crash > /dev/null
kill -CONT "$daemon_pid"
ok 'they hear who went while nobody served' wait_for heard 'gone gone 11 guest11 destroyed'
ok 'and who stopped' wait_for heard 'shutdown shutdown 12 guest12 crash'
is 'it can be updated' "$(timeout 60 "$top_builddir/xds" control live-update "$daemon" 2>&1)" OK
"$sim" -w "$world" destroy 12 > /dev/null
ok 'after that they hear who goes, and why' wait_for heard 'gone gone 12 guest12 crash'

hook 50-slow << TXT
echo "slow \$\$" >> $told
sleep 1000
TXT
named 7
wait_for grep -q '^slow' "$told"
ok 'the daemon serves while a hook runs' op "$OP_READ" /local/domain/7/name
ok 'a hook that takes too long is killed, and that is said' wait_for said '50-slow .*killed'
stop
