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

# A zsh of its own on a pseudo-terminal finds _xds in its fpath, as an installed one is found; Tab
# starts the whole completion system, and what reaches compadd and fits the word is printed.
ask_zsh ()
{
  # shellcheck disable=SC2016 # for zsh to expand
  zsh -f -c '
    zmodload zsh/zpty
    zpty inner zsh -f -i
    zpty -w inner "PS1= PS2=; stty -echo; unsetopt zle_bracketed_paste 2> /dev/null; fpath=($1 \$fpath)"
    zpty -w inner "autoload -Uz compinit; compinit -D -u; TERM=dumb"
    zpty -w inner "compadd () {
      local -a fitting
      builtin compadd -A fitting \"\$@\"
      print -rl -- \"\" offer:\$^fitting
      builtin compadd \"\$@\"
    }"
    zpty -w inner "complete-and-end () { zle complete-word; print -r -- \"\"; print -r en\"\"d; exit }"
    zpty -w inner "zle -N complete-and-end; bindkey \"^I\" complete-and-end; print -r rea\"\"dy"
    zpty -r inner said "*ready*"
    zpty -w -n inner "$2"$'"'\\t'"'
    zpty -r inner said "*end*"
    print -r -- "$said"
    zpty -d inner' - "$files" "$1" | tr -d '\r' | sed -n 's/^offer://p'
}

# fish finds the file by its name, too.
ask_fish ()
{
  mkdir -p "$work/fish/completions"
  cp "$files/xds.fish" "$work/fish/completions/"
  # shellcheck disable=SC2016 # for fish to expand
  XDG_CONFIG_HOME=$work XDG_DATA_HOME=$work fish -c 'complete -C $argv[1]' "$1" | cut -f1
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

# in_bash LINE: what comes when LINE, with TAB for that key, is typed into a bash on a terminal.
in_bash ()
{
  python3 - "$files" "$1" <<'EOF'
import os, pty, sys

def until(text):
    said = b''
    while text not in said:
        said += os.read(fd, 4096)
    return said.replace(text, b'').replace(b'\r', b'').decode()

pid, fd = pty.fork()
if pid == 0:
    os.execvp('bash', ['bash', '--norc', '--noprofile', '-i'])
os.write(fd, (f". {sys.argv[1]}/xds.bash; PS1= PS2=; bind 'set bell-style none'; stty -echo\n"
              "bind 'set enable-bracketed-paste off'; echo rea''dy\n").encode())
until(b'ready')
os.write(fd, sys.argv[2].encode().replace(b'TAB', b'\t') + b"\necho en''d\n")
print(until(b'end'))
EOF
}

plan 23
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
ok 'what Tab made of a line in bash is run' \
   grep -qx web1 <(in_bash 'xds read /local/domain/7/namTAB')
ok 'no blank follows a path that goes on, in bash' \
   grep -qx 1 <(in_bash 'xds read /local/domain/7/devTABvif')
stop
