#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Makes ./configure from configure.ac.  Run it once after a clone; `make` repeats it by itself when
# a build file changes.
set -eu
cd "$(dirname "$0")"

for tool in autoreconf automake libtoolize pkg-config; do
  if ! command -v "$tool" >/dev/null; then
    echo "autogen.sh: '$tool' is not installed, and configure cannot be made without it." >&2
    echo "autogen.sh: on Debian: apt-get install autoconf automake libtool pkg-config" >&2
    exit 1
  fi
done

mkdir -p m4
exec autoreconf --install --force --warnings=all
