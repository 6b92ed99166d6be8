#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Pages and programs say the same.  The tests prove that pages are well-formed, that every option
# that xendomstored prints in its help is in its page and the other way round, and so for the keys
# of its file and the names of its quotas.

. "${0%/*}/lib.sh"

daemon=$top_builddir/xendomstored
man=$top_srcdir/man

# options_of_help: "--name" or "-x --name" a line, as the program prints them.
options_of_help ()
{
  "$daemon" --help | sed -nE 's/^ +((-[A-Za-z]), )?(--[a-z-]+).*/\2 \3/p' | sed 's/^ //' | sort
}

# options_of_page: the same out of the =item lines; several options may share one.
options_of_page ()
{
  grep '^=item B<-' "$man/xendomstored.8.pod" | tr ';' '\n' \
    | sed -nE 's/^[^B]*(B<(-[A-Za-z])>, )?B<(--[a-z-]+)>.*/\2 \3/p' | sed 's/^ //' | sort
}

# keys_of_source, keys_of_page: "[group] key" a line.
keys_of_source ()
{
  {
    sed -nE 's/^  \{ "([a-z-]+)", "([a-z-]+)", TYPE_.*/[\1] \2/p' "$top_srcdir/xsd/daemon/config.c"
    sed -nE 's/^XDS_QUOTA \([A-Z_]+, "([a-z-]+)".*/[quota] \1/p' "$top_srcdir/xsd/core/quota.def"
  } | sort
}

keys_of_page ()
{
  awk '/^=head2 \[/ { group = $2 } /^=head1/ { group = "" }
       /^=item B</ && group != "" { sub (/^=item B</, ""); sub (/>.*/, ""); print group, $0 }' \
    "$man/xendomstored.conf.5.pod" | sort
}

# defaults_of_source, defaults_of_page: the number of each quota.
defaults_of_source ()
{
  sed -nE 's/^XDS_QUOTA \([A-Z_]+, "([a-z-]+)", ([0-9]+).*/\1 \2/p' \
    "$top_srcdir/xsd/core/quota.def" | sort
}

defaults_of_page ()
{
  awk '/^=head2/ { quota = $2 == "[quota]" }
       /^=item B</ && quota { sub (/^=item B</, ""); sub (/>.*/, ""); name = $0 }
       /; [0-9]+\.$/ && quota { sub (/.*; /, ""); sub (/\.$/, ""); print name, $0 }' \
    "$man/xendomstored.conf.5.pod" | sort
}

plan 4
if command -v podchecker >/dev/null; then
  ok 'pages are well-formed' podchecker -warnings "$man"/*.pod
else
  skip 'podchecker is not installed'
fi
if [ -x "$daemon" ]; then
  is 'xendomstored(8) has the options of --help' "$(options_of_page)" "$(options_of_help)"
else
  skip 'xendomstored is not built'
fi
is 'xendomstored.conf(5) has the keys of the daemon' "$(keys_of_page)" "$(keys_of_source)"
is 'xendomstored.conf(5) has the defaults of the quotas' "$(defaults_of_page)" "$(defaults_of_source)"
