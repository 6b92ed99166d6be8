# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034,SC2154
#
# From a bare Debian 12 to a build: sourced by tests/demo.sh and tests/run-all.sh, which set $src
# and $build (a folder outside the tree).  XDS_CONFIGURE has more options for configure, as words.

# What the build cannot do without.
packages_build=(build-essential autoconf automake libtool pkg-config perl libglib2.0-dev
  libjson-glib-dev libxen-dev)
# What the demo shows us working with: Debian's own clients.
packages_demo=(xenstore-utils)
# What the tests compare with, or look with.
packages_tests=(libglib-testing-0-dev xenstore-utils xen-utils-4.17 gobject-introspection
  libgirepository1.0-dev python3-gi valgrind shellcheck zsh fish)

# What the emulated Xen host is made and booted with (tests/xen).
packages_xen=(qemu-system-x86 cpio xz-utils binutils)

die ()
{
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

installed ()
{
  dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

# install_packages NAME...: those that are missing; none missing needs neither network nor root.
install_packages ()
{
  local package missing=()

  for package in "$@"; do
    installed "$package" || missing+=("$package")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  [ "$(id -u)" -eq 0 ] || die "these packages are missing, install them as root: ${missing[*]}"
  echo "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update || die 'apt-get update failed: is there a network, is sources.list right?'
  apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends "${missing[@]}" \
    >"$build/apt.log" 2>&1 \
    || { tail -n 20 "$build/apt.log" >&2; die "apt-get could not install: ${missing[*]}"; }
}

# configure_and_build MAKE-ARGUMENT...
configure_and_build ()
{
  if [ -e "$src/config.status" ]; then
    die "$src was built in place, so it cannot be built elsewhere: run make distclean there first"
  fi
  [ -x "$src/configure" ] || "$src/autogen.sh" >"$build/autogen.log" 2>&1 \
    || { cat "$build/autogen.log" >&2; die 'autogen.sh failed'; }
  mkdir -p "$build/tree"
  cd "$build/tree" || die "no folder $build/tree"
  # shellcheck disable=SC2086 # options are words
  [ -e Makefile ] || "$src/configure" --quiet ${XDS_CONFIGURE-} \
    || die "configure failed: see $build/tree/config.log"
  make -j "$(nproc)" "$@" || die 'the build failed'
}
