#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Who may include whom.  The table below is the architecture; ARCHITECTURE.md gives its reasons.
# A test proves that no file of a folder reaches for what its layer must not know.

. "${0%/*}/lib.sh"
cd "$top_srcdir" || exit 1

c_headers='assert|ctype|errno|inttypes|limits|stdarg|stdbool|stddef|stdint|stdio|stdlib|string'

# check FOLDER QUOTED ANGLE: every include of a .c or .h directly in FOLDER must match one of the
# two patterns, by whether it is in quotes or in angle brackets.
check ()
{
  local folder=$1 quoted=$2 angle=$3 files bad

  shopt -s nullglob
  files=("$folder"/*.[ch] "$folder"/*.def)
  shopt -u nullglob
  if [ "${#files[@]}" -eq 0 ]; then
    skip "$folder has no code"
    return
  fi
  bad=$(grep -HnE '^[[:space:]]*#[[:space:]]*include' "${files[@]}" \
          | grep -vE "include \"($quoted)\"|include <($angle)>")
  is "$folder includes only what its layer may know" "$bad" ''
}

plan 9
check xsd/wire 'xsd/wire/.*' "($c_headers)\.h|xen/io/xs_wire\.h"
check xsd/core '(xsd/wire|xsd/core)/.*' "($c_headers)\.h|glib\.h"
# Of the wire's, only what a ring looks like is the hypervisor's business, and that for sim alone.
check xsd/hypervisor 'config\.h|xsd/hypervisor/.*' '[^g].*|glib\.h|gnu/.*|grp\.h|getopt\.h'
check xsd/transport \
  'config\.h|xsd/wire/.*|xsd/core/engine\.h|xsd/hypervisor/hypervisor\.h|xsd/transport/.*' '.*'
check userdata 'config\.h|userdata/.*|xsd/wire/status\.h' '.*'
check xsd/daemon 'config\.h|xsd/(wire|hypervisor|transport|daemon)/.*|xsd/core/engine\.h|userdata/.*' '.*'
# The hypervisor's table, for userdata while no server runs.
check lib 'config\.h|lib/[^/]*|lib/xendomstore/.*|xsd/wire/.*|xsd/hypervisor/hypervisor\.h|userdata/.*|([a-z-]*/)?[a-z-]*\.h' '.*'
# xds is a user of the installed library; and it makes domains in the simulated world.
check lib/cli 'config\.h|lib/cli/.*|[a-z-]*\.h|xsd/hypervisor/sim-world\.h' '.*'

# Nobody but the daemon itself includes the daemon: it is the root of the composition.
is 'nobody includes the daemon' \
  "$(grep -rnE 'include "xsd/daemon/' xsd userdata lib --include='*.[ch]' | grep -v '^xsd/daemon/')" ''
