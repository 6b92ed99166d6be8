#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Completion as a person meets it: the real bash, zsh and fish are asked what comes next, and offer
# verbs, options, live paths of the store, names of domains, and quotas.

# shellcheck source=tests/it-lib.sh
. "${0%/*}/it-lib.sh"

export PATH=$top_builddir:$PATH XDS_SIM_WORLD=$world HOME=$work
unset MALLOC_CHECK_ MALLOC_PERTURB_ G_DEBUG # the shells are not ours to judge
files=$top_srcdir/lib/cli/completion

# ask_bash LINE: what bash has for the last word, one a line.
ask_bash ()
{
  # shellcheck disable=SC2016 # for the inner bash to expand
  bash --norc -c '
    . "$1/xds.bash"
    COMP_LINE=$2 COMP_POINT=${#2}
    read -ra COMP_WORDS <<< "$2"
    [[ $2 != *" " ]] || COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    compopt () { :; }
    _xds
    printf "%s\n" "${COMPREPLY[@]}"' - "$files" "$1"
}

# compadd only works in the line editor, so here it prints what it is to add.
ask_zsh ()
{
  # shellcheck disable=SC2016 # for zsh to expand
  zsh -f -c '
    compadd () { print -rl -- "${(@P)@[-1]}" }
    words=(${(z)2})
    [[ $2 != *" " ]] || words+=("")
    CURRENT=$#words
    complete_xds () { . "$1/_xds" }
    complete_xds "$1"' - "$files" "$1"
}

ask_fish ()
{
  # shellcheck disable=SC2016 # for fish to expand
  XDG_CONFIG_HOME=$work XDG_DATA_HOME=$work \
    fish --no-config -c 'source $argv[1]/xds.fish; complete -C $argv[2]' "$files" "$1" | cut -f1
}

# ask SHELL LINE WANTED...: each of these is offered, and nothing that begins otherwise.
offers ()
{
  local shell=$1 line=$2 word=${2##* } got wanted

  shift 2
  got=$("ask_$shell" "$line")
  for wanted in "$@"; do
    grep -qxF -e "$wanted" <<< "$got" || { diag "$shell, $line: $got"; return 1; }
  done
  [ -z "$word" ] || ! grep -qv -e "^$word" <<< "$got" || { diag "$shell, $line: $got"; return 1; }
}

plan 21
start "$@"
xds sim start 7 web1
xds write /local/domain/7/device/vif 1

for shell in bash zsh fish; do
  if ! command -v "$shell" > /dev/null; then
    for _ in 1 2 3 4 5 6 7; do skip "$shell is not installed"; done
    continue
  fi
  ok "$shell completes verbs" offers "$shell" 'xds w' write watch wait
  ok "$shell completes options" offers "$shell" 'xds tree --l' --level
  ok "$shell completes a path" offers "$shell" 'xds read /local/do' /local/domain/
  ok "$shell completes below a path" offers "$shell" 'xds ls /local/domain/7/' \
     /local/domain/7/name /local/domain/7/device/
  ok "$shell completes names of domains" offers "$shell" 'xds read -D we' web1
  ok "$shell completes paths of a domain" offers "$shell" 'xds read -D web1 na' name
  ok "$shell completes quotas" offers "$shell" 'xds quota transaction' transactions transaction-nodes
done
stop
