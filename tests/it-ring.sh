#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Domains on their rings: the daemon over a simulated world, guests played by tests/sim-guest.

. "${0%/*}/it-lib.sh"
plan 26

# page_says DOMID TEXT
page_says ()
{
  play "$1" page | grep -q "$2"
}

# is_gone DOMID: it has no home.
is_gone ()
{
  ! op "$OP_DIRECTORY" /local/domain | grep -qx "$1"
}

start

# A guest is served on its ring, below its home.
ok 'a domain is introduced' new_guest 5
ok 'it writes' play 5 write a 1
is 'others see it' "$(op "$OP_READ" /local/domain/5/a)" 1
is 'it reads' "$(play 5 read a)" 1
like 'features are published' "$(play 5 page)" 'features 0xf .*error 0'
not_ok 'it has no rights elsewhere' play 5 write /local/domain/0/a 1
is 'many requests at once are answered' "$(play 5 flood 2000 a)" '2000 answers, 0 errors'

# A request that was in the ring before the domain was introduced is answered.
"$sim" -w "$world" create 6 > /dev/null
op "$OP_WRITE" /local/domain/6 > /dev/null
op "$OP_SET_PERMS" /local/domain/6 n6 > /dev/null
background "$guest" -w "$world" -t 60 6 write early 1 > "$work/early"
early=$background_pid
ok 'a domain is introduced after it asked' op "$OP_INTRODUCE" 6 1 1
wait "$early"
is 'its request was answered' "$?" 0

# Indices that cannot be stop that ring, and no other.
play 5 corrupt > /dev/null
ok 'wrong indices are told in the error field' wait_for page_says 5 'error 2'
ok 'and in the log' wait_for said 'domain 5 wrote indices'
ok 'others are served' play 6 read early
ok 'the domain stays introduced' op 17 5
is 'that is true' "$(op 17 5)" T

# A fresh start that the guest asks for mends it.
ok 'the guest reconnects' play 5 reconnect
like 'the error is cleared' "$(play 5 page)" 'connection 0 error 0'
is 'it is served again' "$(play 5 read a)" 1

# So does a second INTRODUCE.
play 5 corrupt > /dev/null
ok 'INTRODUCE again' op "$OP_INTRODUCE" 5 1 1
is 'it is served again after that' "$(play 5 read a)" 1

# A watch of one that does not read never stalls the one that writes.
background "$guest" -w "$world" -t 60 6 deaf 100 early > "$work/deaf"
play 5 write b 2 > /dev/null
is 'a guest that takes no answers stalls no other' "$(play 5 read b)" 2

# Death removes what was the domain's, and the others stay.
"$sim" -w "$world" destroy 5 > /dev/null
ok 'a dead domain has no nodes' wait_for is_gone 5
is 'nor is it introduced' "$(op 17 5)" F
like 'the other one is' "$(op "$OP_DIRECTORY" /local/domain)" 6

# Its userdata goes with it.
uuid=$("$sim" -w "$world" create 7 --uuid 6f1f4c3e-9a1b-4f3b-8c52-5d9b1a2f7e01 2>&1)
data=$work/userdata/userdata-d.7.6f1f4c3e-9a1b-4f3b-8c52-5d9b1a2f7e01.xl
echo data > "$data"
"$sim" -w "$world" destroy 7 > /dev/null
ok "userdata of a dead domain is removed ($uuid)" wait_for test ! -e "$data"

# What is not libxl's own survives a soft reset, in which libxl removes all.
uuid=6f1f4c3e-9a1b-4f3b-8c52-5d9b1a2f7e02
data=$work/userdata/userdata-d.8.$uuid.notes
"$sim" -w "$world" create 8 --uuid "$uuid" > /dev/null
op "$OP_INTRODUCE" 8 1 1 > /dev/null
echo notes > "$data"
"$sim" -w "$world" shutdown 8 soft_reset > /dev/null
ok 'data of a domain in a soft reset is put aside' \
  wait_for test -e "$work/userdata/userdata-kept/${data##*/}"
rm "$data"
op 9 8 > /dev/null
"$sim" -w "$world" resume 8 > /dev/null
op "$OP_INTRODUCE" 8 1 1 > /dev/null
ok 'and is there again after it' wait_for test -e "$data"
stop
