#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Userdata, stores and retrieves a second: the real libxl over the stand-in for the hypervisor
# against ours, with and without sync, in one run on one folder.
#
#   top_builddir=BUILD tests/bench-userdata.sh [ROUNDS]

. "${0%/*}/lib.sh"
# shellcheck source=tests/libxl-interop/rig.sh
. "$top_srcdir/tests/libxl-interop/rig.sh"

rounds=${1:-1000}

# "stores=N seconds=S", "reads=N seconds=S" or "reads=N empty=N" in SECONDS.
rate ()
{
  awk -F'[= ]' -v given="$1" '{ s = $3 == "seconds" ? $4 : given; printf "%8.0f/s\n", $2 / s }'
}

add_domain 7
for size in 2048 65536; do
  printf 'userdata store %6d libxl          %s\n' "$size" \
    "$(lxl hammer-store 7 bench "$rounds" "$size" 1 | rate 0)"
  printf 'userdata store %6d ours           %s\n' "$size" \
    "$(tool hammer-store 7 bench "$rounds" "$size" 1 | rate 0)"
  printf 'userdata store %6d ours, durable  %s\n' "$size" \
    "$(tool hammer-store-durable 7 bench "$((rounds / 4 + 1))" "$size" 1 | rate 0)"
  printf 'userdata get   %6d libxl          %s\n' "$size" "$(lxl hammer-read 7 bench 1 | rate 1)"
  printf 'userdata get   %6d ours           %s\n' "$size" \
    "$(tool hammer-read 7 bench "$rounds" | rate 0)"
done
