# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Completion of xds for bash: xds itself knows what could come.

_xds ()
{
  local candidate

  COMPREPLY=()
  while IFS= read -r candidate; do
    COMPREPLY+=("$candidate")
  done < <(xds complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  # A path that goes on is not followed by a blank.
  [[ ${COMPREPLY[0]-} == */ ]] && compopt -o nospace
  return 0
}
complete -F _xds xds
