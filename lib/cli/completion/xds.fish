# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Completion of xds for fish: xds itself knows what could come.

complete -c xds -f -a '(xds complete -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
