#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Makes the image of a domain that serves the store: Debian's kernel, and an initramfs with this
# daemon as its first and only program.
#
#   store-image.sh DAEMON PLUGIN VMLINUX MODULES OUT    makes OUT/kernel and OUT/initramfs
#
# MODULES is a folder with the kernel's modules.  init-xenstore-domain boots a kernel with a
# PHYS32_ENTRY note as PVH, and Linux wants ACPI tables for that, which the tool does not give; so
# the note's type is spoilt in the copy here, and the domain is a PV one.
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"
set -euo pipefail

[ $# -eq 5 ] || { echo "usage: ${0##*/} DAEMON PLUGIN VMLINUX MODULES OUT" >&2; exit 2; }
daemon=$1 plugin=$2 vmlinux=$3 modules=$4 out=$5
mkdir -p "$out"
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

# What ldd says of a file, into the folder where the loader looks.
put_libraries ()
{
  local library

  ldd "$@" | sed -n 's/.*=> \(\/[^ ]*\) (.*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' | sort -u \
    | while read -r library; do
        case $library in
          */ld-linux*) install -D "$library" "$root/lib64/${library##*/}" ;;
          *) install -D "$library" "$root/lib/x86_64-linux-gnu/${library##*/}" ;;
        esac
      done
}

install -D -s "$daemon" "$root/init"
folder=$(strings -a "$daemon" | grep -x '/.*/xendomstore' | head -n 1)
install -D -s "$plugin" "$root$folder/xenctrl.so"
put_libraries "$daemon" "$plugin"
mkdir -p "$root"/{dev,proc,run,modules}
for name in xen-privcmd xen-evtchn xen-gntdev; do
  install -m 644 "$(find "$modules" -name "$name.ko" | head -n 1)" "$root/modules/"
done
(cd "$root" && find . -mindepth 1 | LC_ALL=C sort | cpio -o -H newc --quiet -R 0:0) \
  >"$out/initramfs"

cp "$vmlinux" "$out/kernel"
# A note of Xen: sizes 4 and 4 or 8, type 18, the name "Xen".
for size in '\x04' '\x08'; do
  LC_ALL=C grep -obUaP "\\x04\\x00\\x00\\x00$size\\x00\\x00\\x00\\x12\\x00\\x00\\x00Xen\\x00" \
    "$out/kernel" || :
done | while IFS=: read -r offset _; do
  printf '\176' | dd of="$out/kernel" bs=1 seek=$((offset + 8)) conv=notrunc status=none
done
