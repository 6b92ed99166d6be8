#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The same as it-liveupdate.sh, where nobody keeps the process that serves.

XDS_TEST_KEEPER=--no-keeper
XDS_TEST_UPDATES=5
. "${0%/*}/it-liveupdate.sh"
