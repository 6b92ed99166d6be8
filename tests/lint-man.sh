#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Pages and programs say the same.  The tests prove that pages are well-formed, that every option
# that xendomstored prints in its help is in its page and the other way round, and so for the keys
# of its file and the names of its quotas; that every verb of xds has a page with all of its options;
# and that every function of the library is in the page of its group.

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

# verb_options_of_help, verb_options_of_page VERB: "-x, --name" a line, those of every verb left out.
verb_options_of_help ()
{
  "$xds" "$1" --help | sed -n '/^Application Options:/,/^$/p' \
    | sed -nE 's/^ +((-[A-Za-z], )?--[a-z-]+).*/\1/p' \
    | grep -vE -- '--(domain|json|socket|dry-run)$' | sort
}

verb_options_of_page ()
{
  sed -nE 's/^=item (B<-.*>).*/\1/p' "$man/xds-$1.1.pod" \
    | grep -oE 'B<-[^>]*>' | tr '\n' ' ' | sed -E 's/> B<--([a-z])/, --\1/g' \
    | grep -oE '(-[A-Za-z], )?--[a-z-]+' | sort
}

verbs_without_page ()
{
  "$xds" help | awk '/^  [a-z]/ { print $1 }' | while read -r verb; do
    [ -e "$man/xds-$verb.1.pod" ] || echo "$verb has no page"
    grep -q "^xds-$verb - " "$man/xds-$verb.1.pod" || echo "$verb has no name in its page"
    grep -q "L<xds-$verb(1)>" "$man/xds.1.pod" || echo "$verb is not in xds(1)"
    [ "$(verb_options_of_help "$verb")" = "$(verb_options_of_page "$verb")" ] \
      || echo "$verb has other options: $(verb_options_of_help "$verb") / $(verb_options_of_page "$verb")"
  done
}

# Every function that the map exports, its types left out.
functions_of_map ()
{
  sed -n 's/^  \(xds_[a-z_0-9]*\);$/\1/p' "$top_srcdir/lib/libxendomstore-devel.map" \
    | grep -vE '_get_type$' | sort
}

# What a reader finds: in the generated pages.
functions_of_pages ()
{
  local page

  for page in "$man"/libxendomstore-*.3.api; do
    perl "$man/api.pl" "$top_srcdir/lib" "$page" > "$work/$(basename "$page").pod"
  done
  cat "$work"/*.api.pod | sed -n 's/^=head2 \(xds_[a-z_0-9]*\)$/\1/p' | sort
}

xds=$top_builddir/xds

plan 7
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

if [ -x "$xds" ]; then
  is 'every verb of xds has a page, with the options of its help' "$(verbs_without_page)" ''
else
  skip 'xds is not built'
fi
is 'every function of the library is in a page' "$({ functions_of_pages; echo xds_error_quark; } | sort)" \
   "$(functions_of_map)"
if command -v podchecker >/dev/null; then
  ok 'the pages of functions are well-formed' podchecker -warnings "$work"/*.api.pod
else
  skip 'podchecker is not installed'
fi
