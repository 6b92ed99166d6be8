#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Programs that others wrote, unchanged, against the daemon.

. "${0%/*}/it-lib.sh"

command -v xenstore-read > /dev/null || skip_all 'xenstore-utils is not installed'
plan 15

start

# Those of xenstore-utils do what they do with any other server.
ok 'xenstore-write' xenstore-write /tools/a 1 /tools/b 2
is 'xenstore-read' "$(xenstore-read /tools/a /tools/b)" $'1\n2'
is 'xenstore-list' "$(xenstore-list /tools)" $'a\nb'
ok 'xenstore-exists' xenstore-exists /tools/a
not_ok 'xenstore-exists, when it does not' xenstore-exists /tools/c
ok 'xenstore-chmod' xenstore-chmod /tools/a n0 r3
is 'xenstore-ls' "$(xenstore-ls -fp /tools | tr -s .' ')" \
   $'/tools/a = "1" (n0,r3)\n/tools/b = "2" (n0)'
ok 'xenstore-rm' xenstore-rm /tools/a
not_ok 'xenstore-read of what is gone' xenstore-read /tools/a
background xenstore-watch -n 2 /tools > "$work/watched"
watcher=$background_pid
wait_for grep -q /tools "$work/watched"
xenstore-write /tools/c 3
wait "$watcher"
is 'xenstore-watch' "$(cat "$work/watched")" $'/tools\n/tools/c'

# Whoever watches a domain's userdata hears of what anybody does to its file.
uuid=6f1f4c3e-9a1b-4f3b-8c52-5d9b1a2f7e03
"$sim" -w "$world" create 9 --uuid "$uuid" > /dev/null
background xenstore-watch -n 2 @userdata/9/xl > "$work/watched"
watcher=$background_pid
wait_for grep -q userdata "$work/watched"
echo data > "$work/userdata/userdata-n.9.$uuid.xl"
mv "$work/userdata/userdata-n.9.$uuid.xl" "$work/userdata/userdata-d.9.$uuid.xl"
wait "$watcher"
is 'a watch on userdata' "$(cat "$work/watched")" $'@userdata/9/xl\n@userdata/9/xl'

# Xen's own test of a live xenstore server.
theirs=
for dir in /usr/lib/xen-*/bin /usr/libexec/xen/bin /usr/lib/xen/bin; do
  [ ! -x "$dir/test-xenstore" ] || theirs=$dir/test-xenstore
done
if [ -n "$theirs" ]; then
  ok "Xen's test-xenstore" timeout 100 "$theirs" -i 20
else
  skip 'test-xenstore is not installed'
fi

# A program over stock libxenstore.
if [ -x "$top_builddir/tests/it-libxenstore" ]; then
  timeout 300 "$top_builddir/tests/it-libxenstore" > "$work/lib"
  status=$?
  grep '^not ok' "$work/lib" | sed 's/^/# /'
  is 'libxenstore' "$status" 0
else
  skip 'libxenstore is not installed'
fi

# After all this the store is in order, and nothing was complained of.
ok 'the store is consistent' op "$OP_CONTROL" check
not_ok 'the log has no complaint' grep -v 'ready: ' "$work/log"
stop
