#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The introspection data are right: Python uses the whole library through them (client.py), and the
# example runs.

. "${0%/*}/lib.sh"

[ -e "$top_builddir/Xendomstore-0.typelib" ] || skip_all 'introspection is not built'
python=
for candidate in python3 /usr/bin/python3; do
  if "$candidate" -c 'import gi' 2>/dev/null; then python=$candidate; break; fi
done
[ -n "$python" ] || skip_all 'python3-gi is not installed'

export LD_LIBRARY_PATH=$top_builddir/.libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export GI_TYPELIB_PATH=$top_builddir PYTHONDONTWRITEBYTECODE=1
# The interpreter is not ours to judge.
unset MALLOC_CHECK_ MALLOC_PERTURB_ G_DEBUG
python=(timeout 60 env LD_PRELOAD="$(preload '' "$top_builddir/.libs/libxendomstore.so")"
  ASAN_OPTIONS=detect_leaks=0 "$python")

background "$top_builddir/tests/store-server" "$work/socket"
wait_for test -S "$work/socket"
mkdir "$work/userdata" "$work/example"

plan "$(($(grep -c 'def test_' "$top_srcdir/tests/client.py") + 1))"
"${python[@]}" "$top_srcdir/tests/client.py" "$work/socket" "$work/userdata" > "$work/tap"
cat "$work/tap"
tap_n=$(grep -cE '^(not )?ok ' "$work/tap")
grep -q '^not ok' "$work/tap" && tap_failed=1

background "${python[@]}" "$top_srcdir/lib/example.py" "$work/socket" "$work/example" \
  > "$work/out"
wait_for grep -q watching "$work/out"
xds ()
{
  "$top_builddir/xds" -s "$work/socket" "$@"
}
xds write /local/domain/9/name nine /local/domain/9/vm /vm/99112233-4455-6677-8899-aabbccddeeff
xds domain introduce 9 1 5
wait_for grep -q 'came 9' "$work/out"
xds domain release 9
wait_for grep -q 'went 9' "$work/out"
is 'the example tells who comes and goes' "$(grep -v watching "$work/out")" \
  "came 9 99112233-4455-6677-8899-aabbccddeeff nine
went 9 99112233-4455-6677-8899-aabbccddeeff -"
