#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Boots the emulated host with a store server, runs one scenario in its dom0, and prints the
# scenario's test points.  As test driver of *.xen files it is all that `make check-xen` runs.
#
#   boot.sh [OPTION...] SCENARIO
#     -d PATH    the store server, as a path in dom0 (default: the scenario's, else this project's)
#     -o DIR     lay this folder over dom0's root; may be repeated
#     -e N=V     a variable for the scenario; may be repeated
#     -v         show dom0's console as well, on standard error
#
# A scenario says what it needs in comments of the form "# xds-NAME: VALUE":
#   daemon     as -d; "xenstored" and "oxenstored" are the stock ones
#   program    of the build folder's tests, to be in /xds
#   seconds    for the whole run (default 300)
#   memory     of the machine, MB (default 1536)
#   dom0       dom0's memory, MB (default 768)
#   clock      "instructions": the machine's time is what it did and not the host's, so that times
#              can be compared and limits are met whatever else the host does; it boots more slowly
#   layers     of dom0's root, see host.sh
#   store-domain "yes": the image of a domain that serves the store is in /store
#   tiny       "yes": it has no sense without the tiny guest
#   xen        more words for Xen's command line
#
# Environment: XDS_XEN_WORK, where the host is made and logs are kept (default: tests/xen/work in
# the build folder); XDS_XEN_LOCK, a file that is locked while the emulator runs (default: one in
# XDS_XEN_WORK), since two at a time only slow each other down; XDS_XEN_ROOT, an installed tree to
# boot with instead of one of this build; QEMU.
#
# Exit status: 0 unless wrong usage: what happened is in the test points.
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"
set -u

here=$(cd "$(dirname "$0")" && pwd)
: "${top_builddir:=$PWD}"
: "${XDS_XEN_WORK:=$top_builddir/tests/xen/work}"
: "${XDS_XEN_LOCK:=$XDS_XEN_WORK/lock}"
: "${QEMU:=qemu-system-x86_64}"
daemon='' overlays=() variables=() show=''

usage ()
{
  sed -n '3,/^\[ -n/{/^\[/d; s/^# \{0,1\}//; p}' "$0" >&2
  exit 2
}

skip_all ()
{
  echo "1..0 # SKIP $*"
  exit 0
}

bail_out ()
{
  echo "Bail out! $*"
  exit 0
}

while getopts 'd:o:e:v' option; do
  case $option in
  d) daemon=$OPTARG ;;
  o) overlays+=("$OPTARG") ;;
  e) variables+=("$OPTARG") ;;
  v) show=yes ;;
  *) usage ;;
  esac
done
shift $((OPTIND - 1))
[ $# -eq 1 ] && [ -r "$1" ] || usage
scenario=$1

# said NAME DEFAULT: what the scenario says of itself.
said ()
{
  local value

  value=$(sed -n "s/^# xds-$1: *//p" "$scenario" | head -n 1)
  echo "${value:-$2}"
}

# --- what is booted ---

# installed_tree: this build as it would be installed, with the libraries that dom0 has not.
installed_tree ()
{
  local root=$run/root file library

  mkdir -p "$root/lib/x86_64-linux-gnu"
  if [ -n "${XDS_XEN_ROOT-}" ]; then
    cp -a "$XDS_XEN_ROOT/." "$root/"
  else
    env -u MAKEFLAGS -u MAKELEVEL make -s -C "$top_builddir" install DESTDIR="$root" \
      >"$logs/install.log" 2>&1 || bail_out "make install failed: see $logs/install.log"
  fi
  find "$root" -name 'libxendomstore.so*' ! -path "$root/lib/*" -exec cp -a {} "$root/lib/x86_64-linux-gnu/" \;
  find "$root" -type f -perm -u+x -exec ldd {} \; 2>/dev/null \
    | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p' | sort -u | while read -r library; do
      file=lib/x86_64-linux-gnu/${library##*/}
      [ -e "$XDS_XEN_WORK/dom0/$file" ] || [ -e "$root/$file" ] || cp -L "$library" "$root/$file"
    done
  overlays=("${layers[@]/#/$XDS_XEN_WORK/layer-}" "$root" ${overlays[@]+"${overlays[@]}"})
}

# daemon_path: "xenstored" and "oxenstored" are the stock ones; ours is where it was installed.
daemon_path ()
{
  case $1 in
  xenstored | oxenstored) echo "/usr/lib/xen/bin/$1" ;;
  '') (cd "$run/root" && find . -name xendomstored -path '*bin*' | head -n 1 | cut -c2-) ;;
  *) echo "$1" ;;
  esac
}

# tiny_guest: at 4 MB, since at 1 MB is the firmware of HVM guests.  Where this compiler makes no 32-bit programs, the scenarios that want it cannot run.
tiny_guest ()
{
  mkdir -p "$run/tiny/guest"
  "${CC:-cc}" -m32 -std=gnu11 -O1 -Wall -ffreestanding -fno-pic -fno-stack-protector \
    -fno-asynchronous-unwind-tables -mno-sse -mno-mmx -nostdlib -static -no-pie \
    -Wl,-e,tiny_start,-Ttext-segment=0x400000,--build-id=none -o "$run/tiny/guest/tiny" \
    "$here/guest/tiny.c" >"$logs/tiny.log" 2>&1 \
    && overlays+=("$run/tiny")
}

# store_domain: this build as PID 1 of a domain, in /store.
store_domain ()
{
  mkdir -p "$run/store"
  bash "$here/store-image.sh" "$(find "$run/root" -name xendomstored -path '*bin*' | head -n 1)" \
    "$(find "$run/root" -name xenctrl.so | head -n 1)" "$XDS_XEN_WORK/vmlinux" \
    "$XDS_XEN_WORK/dom0/modules" "$run/store/store" >"$logs/store-image.log" 2>&1 \
    || bail_out "the store domain's image could not be made: see $logs/store-image.log"
  overlays+=("$run/store")
}

# layer: a second initramfs archive; the kernel unpacks both, one over the other.
layer ()
{
  local root=$run/layer overlay variable program

  mkdir -p "$root/xds"
  for overlay in "${overlays[@]}"; do
    cp -a "$overlay/." "$root/"
  done
  cp "$here/dom0/lib.sh" "$root/xds/"
  cp "$here"/*.xen "$root/xds/"
  cp "$scenario" "$root/xds/scenario"
  program=$(said program '')
  [ -z "$program" ] || "$top_builddir/libtool" --quiet --mode=install \
    install "$top_builddir/tests/$program" "$root/xds/" >"$logs/program.log" 2>&1
  for variable in "DAEMON=$(daemon_path "$daemon")" ${variables[@]+"${variables[@]}"}; do
    printf 'export %s=%q\n' "${variable%%=*}" "${variable#*=}"
  done >"$root/xds/environment"
  (cd "$root" && find . -mindepth 1 | LC_ALL=C sort | cpio -o -H newc --quiet -R 0:0)
}

# --- the machine ---

# Xen runs PVH guests on emulated SVM with nested paging; Debian's has no shadow paging.  MONITOR
# would fault in Xen's idle loop; with XSAVE, or with lazy switching of the FPU, programs of two PV
# domains spoil each other's registers under this emulation; RDTSCP ends a PVH guest.
cpu=max,-vmx,-la57,-monitor,-xsave,-avx,-avx2,-rdtscp

xen_line ()
{
  local dom0

  dom0=$(said dom0 768)
  echo "console=com1 com1=115200 dom0_mem=${dom0}M,max:${dom0}M dom0_max_vcpus=1 noreboot=0" \
    'bootscrub=0 spec-ctrl=no,eager-fpu xpti=no pv-l1tf=no pcid=no smep=0 smap=0 watchdog=0' \
    "loglvl=warning guest_loglvl=warning vga=none $(said xen '')"
}

# A comma would end the argument, so it is doubled.
kernel_line ()
{
  echo 'console=hvc0 quiet rdinit=/init mitigations=off nokaslr selinux=0 apparmor=0 audit=0' \
    'random.trust_cpu=on net.ifnames=0 panic=1' | sed 's/,/,,/g'
}

# As many instructions a second as this emulation does on a processor of its own, about.
clock ()
{
  [ "$(said clock host)" != instructions ] || echo '-icount shift=2,sleep=off'
}

# machine: its second serial port is our standard output.  One processor: more are slower here.
machine ()
{
  exec timeout -k 5 "$(said seconds 300)" nice "$QEMU" -nodefaults -no-user-config -no-reboot \
    -display none -monitor none -machine pc,accel=tcg -cpu "$cpu" -smp 1 -m "$(said memory 1536)" \
    ${clock[@]+"${clock[@]}"} \
    -kernel "$XDS_XEN_WORK/xen" -append "$(xen_line)" \
    -initrd "$XDS_XEN_WORK/vmlinux $(kernel_line),$run/initrd" \
    -serial "file:$logs/console" -serial stdio </dev/null 2>"$logs/qemu.err"
}

# pass_results: test points as they come, the files of dom0 into the logs, the status at the end.
pass_results ()
{
  local line files=''

  while IFS= read -r line; do
    line=${line%$'\r'}
    case $line in
    '@files') files=yes ;;
    '@status '*) echo "${line#@status }" >"$run/status" ;;
    *) if [ -n "$files" ]; then echo "$line" >&3; else printf '%s\n' "$line"; fi ;;
    esac
  done 3>"$run/files"
}

# --- all of it ---

for name in "$QEMU" cpio; do
  command -v "$name" >/dev/null || skip_all "there is no $name: see tests/prepare.sh"
done
daemon=${daemon:-$(said daemon '')}
name=$(basename "$scenario" .xen)
logs=$XDS_XEN_WORK/logs/$name
mkdir -p "$logs"
exec 9>"$XDS_XEN_LOCK"
flock 9
read -ra layers < <(said layers '')
bash "$here/host.sh" "$XDS_XEN_WORK" ${layers[@]+"${layers[@]}"} 2>"$logs/host.log" \
  || { sed 's/^/# /' "$logs/host.log"; bail_out 'the emulated host could not be made'; }
run=$(mktemp -d "$XDS_XEN_WORK/run.XXXXXX")
trap 'rm -rf "$run"' EXIT
trap 'exit 129' HUP INT TERM
rm -rf "$logs/files" "$logs/console"
mkdir -p "$logs/files"
: >"$logs/console"
installed_tree
tiny_guest || [ -z "$(said tiny '')" ] || skip_all "no 32-bit guest could be built: see $logs/tiny.log"
[ -z "$(said store-domain '')" ] || store_domain
layer >"$run/layer.cpio"
cat "$XDS_XEN_WORK/dom0.cpio" "$run/layer.cpio" >"$run/initrd"
if [ -n "$show" ]; then
  tail -f "$logs/console" >&2 &
  trap 'kill %1; rm -rf "$run"' EXIT
fi
read -ra clock < <(clock)
start=$SECONDS
machine | pass_results
base64 -d "$run/files" 2>/dev/null | tar -xz -C "$logs/files" 2>/dev/null
echo "# $name: $((SECONDS - start)) s; console and files are in $logs"
[ -e "$run/status" ] && [ "$(cat "$run/status")" = 0 ] || tail -n 60 "$logs/console" | sed 's/^/# /'
[ -e "$run/status" ] \
  || bail_out "the machine did not come to the scenario's end within $(said seconds 300) s"
