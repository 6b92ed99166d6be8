#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Builds the stand-in for the Xen libraries and fakedom into folder O (default /tmp/xs-peers).
# Needs a C compiler and libxen-dev, nothing else of the project.
set -e
O=${O:-/tmp/xs-peers}
here=$(cd "$(dirname "$0")" && pwd)
flags="-std=gnu11 -O2 -g -Wall -Wextra -Wno-unused-parameter -D_GNU_SOURCE= -I$here/../.."
mkdir -p "$O"
# shellcheck disable=SC2086 # flags are words
${CC:-cc} $flags -o "$O/fakedom" "$here/fakedom.c" "$here/fakexen.c" "$here/../../xsd/wire/ring.c"
# shellcheck disable=SC2086
${CC:-cc} $flags -fPIC -fvisibility=hidden -shared -o "$O/libfakexen.so" \
  "$here/shim.c" "$here/fakexen.c"
