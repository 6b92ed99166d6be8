#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A test proves that every header of ours can be the first line of a program, in C11 and in C++17.
# An internal header may use _Static_assert, which C++ spells otherwise; an installed one may not.

. "${0%/*}/lib.sh"
cd "$top_srcdir" || exit 1

: "${CC:=gcc}" "${CXX:=g++}"
flags="-Wall -Wextra -Werror -Wno-unused -fsyntax-only -I. -Ilib -U_GNU_SOURCE -D_GNU_SOURCE=
  $(pkg-config --cflags gio-unix-2.0 json-glib-1.0)"

# alone COMPILER LANGUAGE STANDARD HEADER DEFINE...: the define may be missing.
alone ()
{
  # shellcheck disable=SC2086 # flags are words
  echo "#include \"$4\"" | $1 -x "$2" "-std=$3" $flags "${@:5}" -
}

mapfile -t headers < <(find xsd userdata lib -name '*.h' | sort)
have_cxx=yes
echo 'int x;' | $CXX -x c++ -std=c++17 -fsyntax-only - 2>/dev/null || have_cxx=no

plan $((2 * ${#headers[@]}))
for header in "${headers[@]}"; do
  ok "$header alone, C11" alone "$CC" c c11 "$header"
  if [ $have_cxx = no ]; then skip "no C++ compiler for $header"; continue; fi
  case $header in
    lib/xendomstore.h | lib/xendomstore/*) ok "$header alone, C++17" alone "$CXX" c++ c++17 "$header" ;;
    *)
      ok "$header alone, C++17" \
        alone "$CXX" c++ c++17 "$header" -D_Static_assert=static_assert ;;
  esac
done
