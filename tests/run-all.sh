#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# All tests, from nothing: installs what is missing on Debian 12, builds outside of the tree with
# warnings as errors, runs `make check`, boots a real Xen in an emulator, then makes a tarball and builds, tests and installs from
# that.  The last line is "N passed, N failed, N skipped", counted from the results of automake's
# TAP driver; the exit status is 0 only if nothing failed.
#
#   XDS_BUILD=DIR       build there and keep it, instead of in a folder that is removed at the end
#   XDS_CONFIGURE=...   more options for configure
#   XDS_DIST=no         leave out the tarball
#   XDS_XEN=no          leave out the emulated Xen host
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"
set -u

src=$(cd "$(dirname "$0")/.." && pwd)
if [ -n "${XDS_BUILD-}" ]; then
  mkdir -p "$XDS_BUILD" && build=$(cd "$XDS_BUILD" && pwd) || exit 1
else
  build=$(mktemp -d "${TMPDIR:-/tmp}/xds-build.XXXXXX") || exit 1
  # distcheck leaves its tree read-only when it fails.
  trap 'chmod -R u+w "$build"; rm -rf "$build"' EXIT
  trap 'exit 129' HUP INT TERM
fi
# shellcheck source=tests/prepare.sh
. "$src/tests/prepare.sh"

# results: the files of the TAP driver, but not those of a tarball's own tree.
results ()
{
  find "$build/tree" -path '*/xendomstore-[0-9]*' -prune -o -name '*.trs' -print | sort
}

# count RESULT...: test points that ended so, over all programs.
count ()
{
  results | tr '\n' '\0' | xargs -0r cat | awk -v wanted=" $* " '
      $1 == ":test-result:" && index (wanted, " " $2 " ") { n++ } END { print n + 0 }'
}

# summary: one line a program, and the whole log of one in which something failed.
summary ()
{
  local trs name

  while read -r trs; do
    name=${trs#"$build/tree/"}
    awk -v name="${name%.trs}" '
      $1 == ":test-result:" { n[$2]++ }
      END { failed = n["FAIL"] + n["ERROR"] + n["XPASS"]
            printf "%s %s: %d passed, %d failed, %d skipped\n", failed ? "FAIL" : "ok  ", name,
                   n["PASS"] + n["XFAIL"], failed, n["SKIP"] }' "$trs"
    if grep -qE '^:test-result: (FAIL|ERROR|XPASS)' "$trs"; then
      sed 's/^/     /' "${trs%.trs}.log"
    fi
  done < <(results)
}

packages=("${packages_build[@]}" "${packages_tests[@]}")
[ "${XDS_XEN-yes}" = no ] || packages+=("${packages_xen[@]}")
install_packages "${packages[@]}"
echo "building in $build/tree"
configure_and_build WERROR=-Werror

echo 'building the tests'
make -k -j "$(nproc)" WERROR=-Werror check TESTS=

echo 'running make check'
make -k -j "$(nproc)" WERROR=-Werror check >"$build/check.log" 2>&1
status=$?
if [ "${XDS_XEN-yes}" != no ]; then
  echo 'running make check-xen'
  make -k WERROR=-Werror check-xen >"$build/check-xen.log" 2>&1 || status=$?
fi
summary
passed=$(count PASS XFAIL) failed=$(count FAIL ERROR XPASS) skipped=$(count SKIP)
if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then
  echo 'FAIL a test program does not build: see above'
  failed=1
fi
if [ "$passed" -eq 0 ] && [ "$failed" -eq 0 ]; then
  echo 'FAIL no test was run'
  failed=1
fi

if [ "${XDS_DIST-yes}" != no ]; then
  echo 'running make distcheck'
  if make -j "$(nproc)" distcheck >"$build/distcheck.log" 2>&1; then
    echo 'ok   the tarball builds, passes its tests, installs and goes without a trace'
    passed=$((passed + 1))
  else
    tail -n 60 "$build/distcheck.log"
    echo 'FAIL make distcheck'
    failed=$((failed + 1))
  fi
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
