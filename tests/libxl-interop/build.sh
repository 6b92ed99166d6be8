#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# build.sh FOLDER: makes libfakexen.so, lxl and fxctl there, against the Xen libraries of the
# machine.  Fails where these are not installed (Debian: libxen-dev).

set -eu
source=$(cd "${0%/*}" && pwd)
out=$1
compile=("${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -O1 -g -Wall -Wextra)
read -ra xenlight < <(pkg-config --cflags --libs xenlight)

"${compile[@]}" -fPIC -shared -fvisibility=hidden -o "$out/libfakexen.so" \
  "$source/fakexen.c" "$source/fakexen-file.c" "$source/fakexen-hypercall.c" -ldl
"${compile[@]}" -o "$out/lxl" "$source/lxl.c" "${xenlight[@]}" -lxentoollog
"${compile[@]}" -o "$out/fxctl" "$source/fxctl.c" -lxenctrl -lxenevtchn -lxenstore
