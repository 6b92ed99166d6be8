#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Makes, from Debian's packages alone, what boot.sh boots: Xen, a kernel for dom0 and for guests,
# dom0's root and a guest's as initramfs archives.  Nothing is installed and nothing is run of what
# is unpacked, so it needs no root.  A second run with nothing changed does nothing.
#
#   host.sh WORK [LAYER...]
#
# makes WORK/xen, WORK/vmlinux, WORK/dom0.cpio, and for each layer the folder WORK/layer-LAYER, to be
# laid over dom0's root; downloads stay in WORK/debs.  Layers are what few scenarios need:
#   hvm       the device model and firmware of HVM guests
#   systemd   systemd, to be dom0's PID 1
#
# The kernel is unpacked here, once: neither Xen nor libxenguest has to do it under emulation, at
# every boot.  Guests' kernel and initramfs are in dom0's root, below /guest.
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 1 ] || { echo "usage: ${0##*/} WORK [LAYER...]" >&2; exit 2; }
mkdir -p "$1"
work=$(cd "$1" && pwd)
shift
version=4.17
tools=usr/lib/xen-$version/bin
clients=(xenstore xenstore-chmod xenstore-exists xenstore-list xenstore-ls xenstore-read
  xenstore-rm xenstore-watch xenstore-write)
packages=("xen-hypervisor-$version-amd64" "xen-utils-$version" xen-utils-common xenstore-utils
  bash busybox-static dash dpkg sysvinit-utils util-linux libblkid1 libbz2-1.0 libc6 libffi8
  libgcc-s1 libglib2.0-0 libjson-glib-1.0-0 liblzma5 libmd0 libmount1 libncurses6 libpcre2-8-0
  libselinux1 libtinfo6 libuuid1 libxencall1 libxendevicemodel1 libxenevtchn1
  libxenforeignmemory1 libxengnttab1 libxenhypfs1 "libxenmisc$version" libxenstore4
  libxentoolcore1 libxentoollog1 libyajl2 libzstd1 zlib1g)
# shellcheck disable=SC2034 # named by layer
hvm_packages=(qemu-system-xen qemu-system-data ipxe-qemu seabios libcap2 libdw1 libelf1 libfdt1
  libgstreamer-plugins-base1.0-0 libgstreamer1.0-0 libjpeg62-turbo liblz4-1 libopus0 liborc-0.4-0
  libpixman-1-0 libsasl2-2 libspice-server1 libssl3 libstdc++6 libudev1 libunwind8 libusb-1.0-0)
# shellcheck disable=SC2034
systemd_packages=(systemd libsystemd-shared libsystemd0 libacl1 libapparmor1 libargon2-1 libaudit1
  libcap-ng0 libcap2 libcrypt1 libcryptsetup12 libdevmapper1.02.1 libfdisk1 libgcrypt20
  libgpg-error0 libip4tc2 libjson-c5 libkmod2 liblz4-1 libp11-kit0 libpam0g libseccomp2 libssl3
  libudev1 mount)

say ()
{
  printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die ()
{
  say "$@"
  exit 1
}

# --- packages ---

# kernel_package: the one that linux-image-amd64 stands for today.
kernel_package ()
{
  apt-cache depends linux-image-amd64 2>/dev/null \
    | sed -n 's/^ *Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1
}

# deb PACKAGE: its newest file among the downloads, if there is one.
deb ()
{
  find "$work/debs" -name "$1_*.deb" -printf '%T@ %p\n' | sort -rn | head -n 1 | cut -d' ' -f2-
}

download ()
{
  local package missing=()

  mkdir -p "$work/debs"
  for package in "$@"; do
    [ -n "$(deb "$package")" ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "downloading ${#missing[@]} packages"
  (cd "$work/debs" && apt-get -qq -o APT::Sandbox::User=root download "${missing[@]}") \
    >"$work/apt.log" 2>&1 \
    || { cat "$work/apt.log" >&2; die 'apt-get could not download: is there a network?'; }
}

# unpack PACKAGE...: into one tree.
unpack ()
{
  local package

  rm -rf "$work/tree"
  mkdir -p "$work/tree"
  for package in "$@"; do
    dpkg-deb -x "$(deb "$package")" "$work/tree"
  done
}

# unpack_modules: of the kernel's package only what is used, since it is big.
unpack_modules ()
{
  rm -rf "$work/kernel"
  mkdir -p "$work/kernel"
  dpkg-deb --fsys-tarfile "$(deb "$kernel")" | tar -x -C "$work/kernel" --wildcards \
    './boot/vmlinuz-*' '*/xenfs.ko' '*/xen-*.ko' '*/drivers/block/loop.ko'
}

# --- hypervisor and kernel ---

# number FILE OFFSET BYTES: a little-endian number in a file.
number ()
{
  od -An -tu"$3" -j"$2" -N"$3" "$1" | tr -d ' '
}

# The bzImage's header says where in it the compressed kernel is (Linux' boot protocol: sectors of
# setup code at 0x1f1, offset and length of the payload at 0x248 and 0x24c).
unpack_kernel ()
{
  local image offset

  image=$(echo "$work"/kernel/boot/vmlinuz-*)
  offset=$((($(number "$image" 497 1) + 1) * 512 + $(number "$image" 584 4)))
  dd if="$image" bs=1M iflag=skip_bytes,count_bytes skip=$offset \
    count="$(number "$image" 588 4)" status=none | xz -dc --single-stream >"$work/vmlinux"
  readelf -h "$work/vmlinux" | grep -q X86-64 || die "no kernel was found in $image"
  zcat "$work/tree/boot/xen-$version-amd64.gz" >"$work/xen"
}

# --- roots ---

module ()
{
  find "$work/kernel" -name "$1.ko"
}

# needed FILE...: the libraries that they name, as files of the tree, in all levels.
needed ()
{
  local todo=("$@") file name found
  declare -A seen=()

  while [ ${#todo[@]} -gt 0 ]; do
    file=${todo[0]}
    todo=("${todo[@]:1}")
    while read -r name; do
      [ -z "${seen[$name]-}" ] || continue
      seen[$name]=1
      found=$(find "$work/tree/lib" "$work/tree/usr/lib" -name "$name" | head -n 1)
      [ -n "$found" ] || die "$file needs $name, which is in none of the packages"
      echo "$found"
      todo+=("$found")
    done < <(readelf -d "$file" 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
  done
}

# put_libraries ROOT FILE...: what the files need, and the loader.
put_libraries ()
{
  local root=$1
  shift

  mkdir -p "$root/lib/x86_64-linux-gnu" "$root/lib64"
  needed "$@" | sort -u | xargs -r cp -L -t "$root/lib/x86_64-linux-gnu"
  cp -L "$(find "$work/tree" -name 'ld-linux-x86-64.so.2' | head -n 1)" "$root/lib64/"
}

# skeleton ROOT: folders, and busybox under all its names.  The kernel runs /sbin/poweroff when
# dom0 asks a guest to end; busybox' own would only tell an init of busybox.
skeleton ()
{
  local root=$1 name

  rm -rf "$root"
  mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,etc,proc,sys,dev,run,tmp,root,lib,modules} \
    "$root"/var/{log,lib,lock}
  cp "$work/tree/bin/busybox" "$root/bin/busybox"
  for name in $("$work/tree/bin/busybox" --list); do
    [ "$name" = busybox ] || ln -s busybox "$root/bin/$name"
  done
  for name in poweroff reboot; do
    rm -f "$root/bin/$name"
    printf '#!/bin/sh\nexec busybox %s -f\n' "$name" >"$root/sbin/$name"
    chmod 755 "$root/sbin/$name"
  done
  echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
  echo 'root:x:0:' >"$root/etc/group"
  echo '127.0.0.1 localhost' >"$root/etc/hosts"
}

put_clients ()
{
  local root=$1 name

  for name in "${clients[@]}"; do
    [ ! -e "$work/tree/usr/bin/$name" ] || cp -a "$work/tree/usr/bin/$name" "$root/usr/bin/"
  done
}

put_modules ()
{
  local root=$1 name
  shift

  for name in "$@"; do
    cp "$(module "$name")" "$root/modules/"
  done
}

pack ()
{
  (cd "$1" && find . -mindepth 1 | LC_ALL=C sort | cpio -o -H newc --quiet -R 0:0) >"$2"
}

make_guest ()
{
  local root=$work/guest

  skeleton "$root"
  put_clients "$root"
  put_libraries "$root" "$work/tree/usr/bin/xenstore-read" "$work/tree/usr/bin/xenstore-watch"
  put_modules "$root" xen-privcmd xenfs xen-evtchn xen-netfront xen-blkfront
  install -m 755 "$here/guest/init" "$root/init"
  pack "$root" "$work/guest.cpio"
}

# elves FOLDER...: the ELF files in them.
elves ()
{
  find "$@" -type f -exec sh -c 'head -c4 "$1" | grep -q ELF && echo "$1"' _ {} \;
}

make_dom0 ()
{
  local root=$work/dom0 name files

  skeleton "$root"
  mkdir -p "$root"/etc/{xen/scripts,default} "$root"/usr/lib "$root"/guest "$root"/xds "$root"/boot \
    "$root"/var/lib/{xen,xenstored} "$root"/var/log/xen/console "$root"/run/{xen,lock}
  cp -a "$work/tree/usr/lib/xen-$version" "$root/usr/lib/"
  rm -rf "$root/usr/lib/xen-$version"/{lib/python,boot}
  ln -s xen-$version "$root/usr/lib/xen"
  cp -a "$work"/tree/etc/xen/{xl.conf,oxenstored.conf} "$root/etc/xen/"
  cp "$work/tree/bin/bash" "$root/bin/bash"
  # Debian's own way to start a host's store: /etc/init.d/xen, and what it calls.
  mkdir -p "$root/lib/init" "$root/lib/lsb" "$root/etc/init.d"
  cp -a "$work/tree/etc/init.d/xen" "$root/etc/init.d/"
  cp -a "$work/tree/lib/init/vars.sh" "$root/lib/init/"
  cp -a "$work"/tree/lib/lsb/init-functions* "$root/lib/lsb/"
  cp -a "$work/tree/usr/lib/xen-common" "$root/usr/lib/"
  # busybox' shell would take its own start-stop-daemon, which knows no --test.
  rm -f "$root"/bin/{sh,start-stop-daemon,choom}
  cp "$work/tree/bin/dash" "$root/bin/sh"
  cp "$work/tree/sbin/start-stop-daemon" "$root/sbin/"
  cp "$work/tree/usr/bin/choom" "$root/usr/bin/"
  put_clients "$root"
  for name in xl xenstored oxenstored xenconsoled xen-init-dom0 xenconsole xenstore-control \
    lsevtchn init-xenstore-domain; do
    ln -s "/$tools/$name" "$root/usr/sbin/$name"
  done
  mapfile -t files < <(elves "$root/$tools" "$root/usr/bin" "$root/sbin" "$root/bin/bash" "$root/bin/sh")
  put_libraries "$root" "${files[@]}"
  # pthread_cancel() loads it, so no file names it.
  cp -L "$(find "$work/tree" -name libgcc_s.so.1)" "$root/lib/x86_64-linux-gnu/"
  put_modules "$root" xen-privcmd xenfs xen-evtchn xen-gntdev xen-gntalloc xen-blkback \
    xen-netback loop
  install -m 755 "$here/dom0/init" "$root/init"
  install -m 755 "$here/dom0/block" "$here/dom0/vif-up" "$root/etc/xen/scripts/"
  cp "$work/vmlinux" "$root/guest/vmlinux"
  cp "$work/guest.cpio" "$root/guest/initrd"
  pack "$root" "$work/dom0.cpio"
}

# --- layers ---

fill_hvm ()
{
  local root=$1 name

  mkdir -p "$root/usr/lib/xen-$version/boot" "$root/usr/libexec" "$root/usr/share/seabios" \
    "$root/usr/share/qemu/keymaps"
  cp "$work/tree/usr/lib/xen-$version/boot/hvmloader" "$root/usr/lib/xen-$version/boot/"
  cp "$work/tree/usr/libexec/xen-qemu-system-i386" "$root/usr/libexec/"
  cp "$work/tree/usr/share/seabios/bios-256k.bin" "$root/usr/share/seabios/"
  cp "$work"/tree/usr/share/qemu/linuxboot*.bin "$root/usr/share/qemu/"
  # The device model takes the one with DMA, and gives guests of Xen no DMA for it.
  for name in multiboot multiboot_dma; do
    cp "$work/tree/usr/share/qemu/multiboot.bin" "$root/usr/share/qemu/$name.bin"
  done
  cp "$work/tree/usr/share/qemu/keymaps/en-us" "$root/usr/share/qemu/keymaps/"
}

# Only what a host needs to start: no login, no network, no devices.
fill_systemd ()
{
  local root=$1 name

  mkdir -p "$root"/{bin,etc/systemd,lib,usr/lib}
  for name in systemctl journalctl systemd-tmpfiles systemd-notify mount umount; do
    cp "$work/tree/bin/$name" "$root/bin/"
  done
  cp -a "$work/tree/lib/systemd" "$root/lib/"
  cp -a "$work/tree/usr/lib/systemd" "$work/tree/usr/lib/tmpfiles.d" "$root/usr/lib/"
  rm -rf "$root/lib/systemd/system"/{sysinit,multi-user,local-fs,timers,sockets,graphical}.target.wants
  mkdir -p "$root/lib/systemd/system"/{sysinit,sockets}.target.wants
  ln -s ../systemd-journald.service "$root/lib/systemd/system/sysinit.target.wants/"
  for name in systemd-journald systemd-journald-dev-log; do
    ln -s "../$name.socket" "$root/lib/systemd/system/sockets.target.wants/"
  done
  ln -sf multi-user.target "$root/lib/systemd/system/default.target"
}

# make_layer NAME: what fill_NAME puts there, and the libraries of it that dom0 has not.
make_layer ()
{
  local name=$1 root=$work/new-layer file files
  local -n more=$1_packages

  rm -rf "$root"
  mkdir -p "$root"
  download "${more[@]}"
  unpack "${packages[@]}" "${more[@]}"
  "fill_$name" "$root"
  mapfile -t files < <(elves "$root")
  put_libraries "$root" "${files[@]}"
  for file in "$root"/lib/x86_64-linux-gnu/* "$root"/lib64/*; do
    [ ! -e "$work/dom0/${file#"$root/"}" ] || rm "$file"
  done
  rm -rf "$work/tree"
  mv "$root" "$work/layer-$name"
}

# --- all of it ---

# What the result depends on: a change of one makes it anew.
stamp ()
{
  printf '%s\n' "${packages[@]}" "$kernel"
  cat "$here/host.sh" "$here"/dom0/{init,block,vif-up} "$here/guest/init"
}

for name in apt-cache cpio dpkg-deb readelf xz; do
  command -v "$name" >/dev/null || die "there is no $name: see tests/prepare.sh for its package"
done
kernel=$(kernel_package)
if [ -z "$kernel" ] && [ "$(id -u)" -eq 0 ]; then
  apt-get -qq update >"$work/apt.log" 2>&1 || true
  kernel=$(kernel_package)
fi
[ -n "$kernel" ] || die 'apt knows no linux-image-amd64: run apt-get update'
now=$(stamp | sha256sum)
if [ "$now" != "$(cat "$work/stamp" 2>/dev/null)" ]; then
  rm -rf "$work/stamp" "$work"/layer-*
  download "$kernel" "${packages[@]}"
  unpack "${packages[@]}"
  unpack_modules
  unpack_kernel
  make_guest
  make_dom0
  rm -rf "$work/tree" "$work/kernel"
  echo "$now" >"$work/stamp"
  say "made $(du -sh "$work" | cut -f1) in $work, $SECONDS s"
fi
for layer; do
  [ -e "$work/layer-$layer" ] || make_layer "$layer"
done
