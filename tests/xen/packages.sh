#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Installing the packages switches the host over at its next boot, and removing them switches it
# back; neither that nor an upgrade harms a host that runs:  packages.sh FOLDER-WITH-DEBS   with the
# environment of boot.sh.
#
# The package is installed and removed by dpkg in a copy of dom0's root, with its scripts; the files
# that it then has there are laid over dom0 for the boot, with what dpkg needs to go on there.
# Needs root, since dpkg calls chroot().
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"
set -eu

here=$(cd "$(dirname "$0")" && pwd)
: "${top_builddir:=$PWD}"
: "${XDS_XEN_WORK:=$top_builddir/tests/xen/work}"
export XDS_XEN_WORK top_builddir
[ $# -eq 1 ] || { echo "usage: ${0##*/} FOLDER-WITH-DEBS" >&2; exit 2; }
deb=$(find "$1" -maxdepth 1 -name 'xendomstore_*.deb' | head -n 1)
[ -n "$deb" ] || { echo "${0##*/}: there is no xendomstore_*.deb in $1: build it first" >&2; exit 1; }

bash "$here/host.sh" "$XDS_XEN_WORK"
root=$(mktemp -d "$XDS_XEN_WORK/packages.XXXXXX")
trap 'rm -rf "$root" "$root.laid"' EXIT
cp -a "$XDS_XEN_WORK/dom0/." "$root/"
rm -rf "$root/guest"
mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates" "$root/var/lib/dpkg/triggers"
touch "$root/var/lib/dpkg/status" "$root/var/lib/dpkg/available"

# lay_dpkg: dom0 has not all that dpkg runs, and has most of the rest of busybox.
lay_dpkg ()
{
  local laid=$root.laid/xds/dpkg program

  mkdir -p "$laid" "$root.laid/var/lib"
  cp -a "$root/var/lib/dpkg" "$root.laid/var/lib/"
  cp "$deb" "$root.laid/xds/package.deb"
  for program in dpkg dpkg-deb dpkg-split tar diff; do
    cp -L "$(command -v $program)" "$laid/"
  done
}

# boot SCENARIO EXPECTED-SERVER: with what the package has in the root now.
boot ()
{
  rm -rf "$root.laid"
  mkdir -p "$root.laid"
  dpkg --root="$root" -L xendomstore 2>/dev/null | sed 's|^/||' | while read -r file; do
    if [ -f "$root/$file" ]; then
      (cd "$root" && cp -a --parents "$file" "$root.laid/")
    fi
  done
  lay_dpkg
  XDS_XEN_ROOT=$root.laid bash "$here/boot.sh" -e "EXPECT=$2" "$here/$1.xen"
}

dpkg --root="$root" --force-depends -i "$deb"
echo '# after dpkg --install:'
boot packages /usr/sbin/xendomstored
echo "# the package's own units:"
boot units /usr/sbin/xendomstored
dpkg --root="$root" --force-depends -r xendomstore
echo '# after dpkg --remove:'
boot packages /usr/lib/xen-4.17/bin/oxenstored
