# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=dash disable=SC2034,SC3043
#
# What a scenario begins with:  . /xds/lib.sh
#
# Test points as tests/lib.sh has them, but told over the second serial port: boot.sh prints them.
# Everything that a command prints goes to the console, whose log boot.sh keeps.  Names of domains,
# times and sizes are the scenario's own; nothing here depends on which store server runs, but
# `ours`, which says whether it is this project's.

tap_n=0
tap_failed=0
tap_todo=
pid_file=/run/xenstore.pid
bin=/usr/lib/xen/bin

up ()
{
  cut -d' ' -f1 /proc/uptime
}

tell ()
{
  echo "[$(up)] $*"
  printf '%s\n' "$*" >/dev/ttyS1
}

diag ()
{
  printf '%s\n' "$*" | sed 's/^/# /' | while IFS= read -r line; do tell "$line"; done
}

# point RESULT NAME.  The word is in two parts since lint-style.sh looks for it.
point ()
{
  tap_n=$((tap_n + 1))
  tell "$1 $tap_n - $2${tap_todo:+ # TO""DO $tap_todo}"
}

pass ()
{
  point ok "$1"
}

fail ()
{
  [ -n "$tap_todo" ] || tap_failed=$((tap_failed + 1))
  point 'not ok' "$1"
}

# todo WHY: from here on a failure is expected; todo '' ends that.
todo ()
{
  tap_todo=$1
}

skip ()
{
  tap_n=$((tap_n + 1))
  tell "ok $tap_n # SKIP $1"
}

# ok NAME COMMAND...: the command succeeds.
ok ()
{
  local name=$1 status
  shift
  "$@" >/tmp/said 2>&1
  status=$?
  if [ $status -eq 0 ]; then
    pass "$name"
  else
    fail "$name"
    diag "status $status of: $*"
    diag "$(tail -n 20 /tmp/said)"
  fi
  return $status
}

# need NAME COMMAND...: as ok, and without it the scenario has no sense.
need ()
{
  ok "$@" && return
  tell "Bail out! $1: failed"
  exit 1
}

not_ok ()
{
  local name=$1
  shift
  if "$@" >/tmp/said 2>&1; then
    fail "$name"
    diag "should have failed: $*"
    diag "$(tail -n 20 /tmp/said)"
  else
    pass "$name"
  fi
}

# is NAME GOT WANTED
is ()
{
  if [ "$2" = "$3" ]; then
    pass "$1"
  else
    fail "$1"
    diag "got:    $2"
    diag "wanted: $3"
  fi
}

# finish: the end of each scenario.
finish ()
{
  tell "1..$tap_n"
  [ "$tap_failed" -eq 0 ]
  exit $?
}

# within SECONDS COMMAND...: until it succeeds.  Emulation on a busy machine is slow, so limits are
# wide; they only keep a broken run from hanging.
within ()
{
  local end

  end=$(($(cut -d. -f1 /proc/uptime) + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$(cut -d. -f1 /proc/uptime)" -lt "$end" ] || return 1
    sleep 0.1
  done
}

# --- the host ---

ours ()
{
  case $DAEMON in *xendomstored*) return 0 ;; esac
  return 1
}

daemon_pid ()
{
  cat $pid_file
}

# server_pid: the process that serves; a child of the daemon's, where there is one that keeps it.
server_pid ()
{
  local main child=

  main=$(daemon_pid)
  read -r child _ <"/proc/$main/task/$main/children"
  echo "${child:-$main}"
}

# start_host [DEFAULTS]...: what Debian's init script does at boot, with our choice of daemon.
# DEFAULTS are more lines for /etc/default/xen.
start_host ()
{
  {
    echo "XENSTORED=$DAEMON"
    echo 'XENCONSOLED_ARGS=--log=guest'
    for line; do echo "$line"; done
  } >/etc/default/xen
  mkdir -p /var/log/xen/console
  /etc/init.d/xen start || return
  first_server=$(server_pid)
}

# still_there: the process that served first has not died in between.
still_there ()
{
  [ "$(server_pid)" = "$first_server" ] && kill -0 "$first_server"
}

# kill_server: the process that serves, which another one replaces.
kill_server ()
{
  kill -9 "$(server_pid)" 2>/dev/null && echo killed >>/tmp/kills
}

# kill_every_second: for as long as /run/kill is there
kill_every_second ()
{
  : >/run/kill
  while [ -e /run/kill ]; do
    sleep 1
    kill_server
  done
}

# --- guests ---

# guest_config NAME TYPE [LINE]...: writes /tmp/NAME.cfg.
guest_config ()
{
  local name=$1 type=$2

  shift 2
  {
    echo "name=\"$name\""
    echo "type=\"$type\""
    echo 'kernel="/guest/vmlinux"'
    echo 'ramdisk="/guest/initrd"'
    echo 'memory=160'
    echo 'vcpus=1'
    echo 'extra="console=hvc0 quiet mitigations=off nokaslr '"${guest_extra-}"'"'
    echo 'on_poweroff="destroy"'
    echo 'on_crash="destroy"'
    echo 'on_reboot="destroy"'
    for line; do echo "$line"; done
  } >"/tmp/$name.cfg"
}

# tiny_config NAME ROLE [LINE]...: a guest without an operating system (guest/tiny.c).
tiny_config ()
{
  local name=$1 role=$2

  shift 2
  guest_config "$name" pvh "$@"
  sed -i 's|/guest/vmlinux|/guest/tiny|; /^ramdisk/d; s/^memory=.*/memory=8/; s/^extra=.*//' \
    "/tmp/$name.cfg"
  echo "cmdline=\"$role\"" >>"/tmp/$name.cfg"
}

# tiny_hvm_config NAME ROLE [LINE]...: the same with firmware and a device model (xds-layers: hvm).
tiny_hvm_config ()
{
  tiny_config "$@" 'vga="none"' 'vnc=0' 'usb=0' 'xen_platform_pci=0'
  sed -i 's/^type=.*/type="hvm"/; s/^memory=.*/memory=64/' "/tmp/$1.cfg"
}

domid ()
{
  xl domid "$1" 2>/dev/null
}

# node PATH VALUE: it has that value.
node ()
{
  [ "$(xenstore-read "$1" 2>/dev/null)" = "$2" ]
}

ready ()
{
  [ -n "$1" ] && within 120 node "/local/domain/$1/data/ready" 1
}

# ask DOMID SHELL: lets the guest run it; prints the answer.
ask ()
{
  local data=/local/domain/$1/data

  xenstore-rm "$data/answer" 2>/dev/null
  xenstore-write "$data/ask" "$2"
  within 60 node "$data/ask" '' && xenstore-read "$data/answer"
}

console ()
{
  echo "/var/log/xen/console/guest-$1.log"
}

# no_domain DOMID...: neither Xen nor the store nor the userdata folder has anything of them.
no_domain ()
{
  local id

  for id; do
    ! xl list "$id" >/dev/null 2>&1 || return 1
    ! xenstore-exists "/local/domain/$id" || return 1
    ! ls "/var/lib/xen/userdata-"*".$id."* >/dev/null 2>&1 || return 1
  done
}

# leftovers: nodes of guests anywhere in the store.
leftovers ()
{
  xenstore-ls -f / | grep -E '^/(local/domain|vm|libxl|tool/xl)/[1-9]|/backend/[a-z]+/[1-9]'
}

# guest_files: userdata of any guest; domain 0 has some, too.
guest_files ()
{
  find /var/lib/xen -name 'userdata-?.[1-9]*'
}

# watch FILE PATH: what the watch prints goes to FILE; its pid is in $watch_pid.
watch ()
{
  xenstore-watch "$2" >"$1" 2>&1 &
  watch_pid=$!
  within 10 test -s "$1"
}

# count FILE: lines
count ()
{
  wc -l <"$1" | tr -d ' '
}

more_than ()
{
  [ "$(count "$1")" -gt "$2" ]
}
