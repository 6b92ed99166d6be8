#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Our library against libxenstore, with this daemon over a simulated world: bench-client, and whether
# its figures are those that are promised.  Usage: bench-client.sh [SECONDS]

# shellcheck source=tests/it-lib.sh
. "${0%/*}/it-lib.sh"

start
"$top_builddir/tests/bench-client" "$XENSTORED_PATH" "${1:-10}" | tee "$work/figures"
stop

# promise KIND RATIO: it is at least so many times libxenstore's.  A twentieth is the noise.
promise ()
{
  awk -v kind="client-read-$1" -v wanted="$2" '
    $1 == kind { found = 1; good = $4 >= 0.95 * wanted
                 printf "%s is %s times libxenstore, promised %s: %s\n", $1, $4, wanted,
                        good ? "kept" : "BROKEN" }
    END { exit !(found && good) }' "$work/figures"
}

status=0
promise single 1 || status=1
promise async 5 || status=1
promise batch 5 || status=1
exit $status
