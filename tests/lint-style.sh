#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The house rules that a machine can see (CONTRIBUTING.md).  Each test proves one of them for the
# whole tree and prints who breaks it.

. "${0%/*}/lib.sh"
cd "$top_srcdir" || exit 1

mapfile -t code < <(find xsd userdata lib tests -name '*.[ch]' -o -name '*.def' -o -name '*.cc' | sort)
mapfile -t product < <(find xsd userdata lib -name '*.c' | sort)
mapfile -t scripts < <({
  find tests .ci autogen.sh \( -name '*.sh' -o -path .ci/run \) 2>/dev/null
  find tests/xen -name '*.xen' -o -path '*/dom0/*' -type f -o -path '*/guest/init'
} | sort -u)
mapfile -t build < <(find . -maxdepth 2 -name 'Makefile*.am' -o -maxdepth 1 -name configure.ac | sort)

# Length of each function in GNU layout: "FILE:LINE LENGTH", from the brace in column 0 to its end.
functions ()
{
  awk 'FNR == 1 { start = 0 }
       /^{/ { start = FNR }
       /^}[[:space:]]*$/ && start { print FILENAME ":" start, FNR - start + 1; start = 0 }' "$@"
}

shopt -s nullglob
plan 9

is 'every file says its licence at the top' "$(
  for file in "${code[@]}" "${scripts[@]}" "${build[@]}"; do
    head -n 3 "$file" | grep -q 'SPDX-License-Identifier: LGPL-2.1-or-later' || echo "$file"
  done)" ''

is 'no line of code is longer than 100 columns' \
  "$(awk 'length > 100 { print FILENAME ":" FNR }' "${code[@]}")" ''

is 'no tabs, no blanks at the end of a line' \
  "$(grep -nE $'\t|[ \t]+$' "${code[@]}" "${scripts[@]}" | cut -d: -f1,2)" ''

is 'no file is longer than 1000 lines' \
  "$(wc -l "${code[@]}" | awk '$2 != "total" && $1 > 1000 { print $2, $1 }')" ''

is 'no function is longer than 80 lines' \
  "$(functions "${product[@]}" tests/*.c | awk '$2 > 80')" ''

is 'no goto' "$(grep -nE '^[^/*"]*\<goto\>[[:space:]]+[a-z_]+;' "${code[@]}" | cut -d: -f1,2)" ''

is 'headers are guarded by #pragma once' \
  "$(find xsd userdata lib tests -name '*.h' -exec grep -L '^#pragma once' {} +)" ''

is 'nothing is left for later' \
  "$(grep -nwE '[T]ODO|[F]IXME|[X]XX|[H]ACK' "${code[@]}" "${scripts[@]}" "${build[@]}" | cut -d: -f1,2)" ''

if command -v shellcheck >/dev/null; then
  ok 'shellcheck finds nothing' shellcheck -x -P tests -S warning "${scripts[@]}"
else
  skip 'shellcheck is not installed'
fi

# Not a test: a reviewer decides.
functions "${product[@]}" | awk '{ print $2 }' \
  | sort -n | awk '{ a[NR] = $1 } END { if (NR) printf "# functions: %d, median %d, over 40 lines: ",
                    NR, a[int((NR + 1) / 2)]; for (i in a) n += a[i] > 40; print n + 0 }'
