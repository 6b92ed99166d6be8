/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The engine at a socket, until it is killed: `store-server SOCKET`, for tests of programs.
 */

#include "tests/store-server.h"

#include <stdio.h>
#include <unistd.h>

int
main (int argc, char **argv)
{
  if (argc != 2)
    {
      fputs ("Usage: store-server SOCKET\n", stderr);
      return 2;
    }
  xds_store_server_start_at (argv[1]);
  for (;;)
    pause ();
}
