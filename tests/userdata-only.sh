#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The daemon without its server: it keeps userdata, tells changes and runs hooks, beside our own
# server and beside Debian's two, on a pretend hypervisor (tests/peers).

. "${0%/*}/lib.sh"

[ "$(id -u)" -eq 0 ] || skip_all 'only root can make the mount namespaces that the daemons run in'
unshare -m true 2>/dev/null || skip_all 'mount namespaces are not allowed here'
xen=/usr/lib/xen-4.17/bin
[ -x $xen/xenstored ] && [ -x $xen/oxenstored ] || skip_all 'xen-utils-4.17 is not installed'
command -v xenstore-write >/dev/null || skip_all 'xenstore-utils is not installed'
[ -e "$top_builddir/.libs/xenctrl.so" ] || skip_all 'the plugin xenctrl is not built'
export O=$work/peers
sh "$top_srcdir/tests/peers/build.sh" || skip_all 'tests/peers cannot be built: install libxen-dev'
unset NOTIFY_SOCKET MALLOC_CHECK_ MALLOC_PERTURB_

# use NAME: the world of that server from here on.
use ()
{
  name=$1 dir=$work/$1 folder=$work/$1/userdata
  export XENSTORED_PATH=$dir/run/socket
  mkdir -p "$folder" "$dir/hooks"
  printf '[hooks]\nfolder = %s\n' "$dir/hooks" >"$dir/conf"
  printf '#!/bin/sh\necho "$1 $XDS_DOMID $XDS_NAME $XDS_REASON" >>%s\n' "$dir/told" \
    >"$dir/hooks/tell"
  chmod 755 "$dir/hooks/tell"
  touch "$dir/told"
}

serve ()
{
  case $name in
    xenstored) set -- $xen/xenstored -N ;;
    oxenstored) set -- $xen/oxenstored --no-fork --no-access-log --config-file %D/oxenstored.conf ;;
    ours) set -- "$top_builddir/xendomstored" -N "--plugin-dir=$top_builddir/.libs" \
      --hypervisor=xenctrl "--socket=$dir/run/socket" --userdata-dir=/nonexistent ;;
  esac
  rm -f "$dir/run/socket"
  background "$top_srcdir/tests/peers/rundaemon.sh" "$dir" "$@" >>"$dir/server.log" 2>&1
  server_pid=$background_pid
  wait_for test -S "$dir/run/socket"
  # The socket is there before C xenstored looks at its domains.
  wait_for timeout 5 xenstore-exists /
}

follow ()
{
  FAKEXEN_DIR=$dir/xen LD_PRELOAD=$(preload "$O/libfakexen.so" "$top_builddir/xendomstored") \
    background "$top_builddir/xendomstored" \
    --userdata-only -N --plugin-dir="$top_builddir/.libs" --hypervisor xenctrl \
    --config "$dir/conf" --socket "$dir/run/socket" --userdata-dir "$folder" \
    --pid-file "$dir/keeper.pid" 2>>"$dir/keeper.log"
  wait_for grep -q 'ready: ' "$dir/keeper.log"
}

dom ()
{
  "$O/fakedom" -F "$dir/xen" -S "$dir/run/socket" "$@" >/dev/null
}

# add DOMID: a domain with a name, introduced, and with userdata.
add ()
{
  dom create "$1"
  xenstore-write "/local/domain/$1/name" "guest$1"
  dom introduce "$1"
  echo text >"$folder/userdata-d.$1.$("$O/fakedom" -F "$dir/xen" uuid "$1").note"
}

has ()
{
  compgen -G "$folder/userdata-d.$1.*" >/dev/null
}

has_not ()
{
  ! has "$1"
}

heard ()
{
  grep -qx -e "$1" "$dir/told"
}

plan 24
for server in xenstored oxenstored ours; do
  use $server
  serve
  follow
  wait_for grep -q 'follows the store' "$dir/keeper.log"
  add 5
  ok "$server: a hook hears of an introduction, with the name" wait_for heard 'introduced 5 guest5 '
  ok "$server: a change of userdata is a node that can be watched" \
    wait_for xenstore-exists /tool/xendomstore/userdata/5/note
  dom shutdown 5 3
  ok "$server: a hook hears of a shutdown, with the reason" wait_for heard 'shutdown 5 guest5 crash'
  ok "$server: a domain that is shut down keeps its data" has 5
  xenstore-rm /local/domain/5
  dom destroy 5
  ok "$server: a domain that is gone loses it" wait_for has_not 5
  ok "$server: and its node of changes" \
    wait_for eval '! xenstore-exists /tool/xendomstore/userdata/5'
  ok "$server: a hook hears that it is gone, by the name that it had" \
    wait_for heard 'gone 5 guest5 crash'

  add 6
  wait_for heard 'introduced 6 guest6 '
  kill "$server_pid"
  wait "$server_pid" 2>/dev/null
  wait_for grep -q 'the store is away' "$dir/keeper.log"
  dom destroy 6
  serve
  ok "$server: what died while the store was away loses its data when it is back" \
    wait_for has_not 6
done
