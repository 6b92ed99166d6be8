#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Runs a GTest program.  Each prints its "random seed"; XDS_TEST_SEED=R02S... is such a seed, and
# makes the program draw the same again.  A number is the seed of a test that draws on its own, and
# is none of this script's.
case ${XDS_TEST_SEED-} in
  R02S*) exec "$@" --seed="$XDS_TEST_SEED" ;;
  *) exec "$@" ;;
esac
