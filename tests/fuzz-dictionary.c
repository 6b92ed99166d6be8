/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Prints libFuzzer's dictionary for fuzz-request: the operations as the target and as the wire
   number them, and texts that mean something to the engine. */

#include "xsd/core/engine.h"
#include "xsd/wire/op-number.h"

#include <stdio.h>

static const guint operations[] = {
#define XDS_OP(number, name, handler, flags) number,
#include "xsd/core/ops.def"
#undef XDS_OP
};

static const char *const texts[] = {
  "/\\x00",
  "/tool\\x00",
  "/local/domain/1\\x00",
  "/local/domain/2/a\\x00",
  "a\\x00",
  "a/b\\x00",
  "/a/b/c\\x00",
  "@releaseDomain\\x00",
  "@introduceDomain\\x00",
  "@releaseDomain/1\\x00",
  "n0\\x00",
  "r1\\x00",
  "b2\\x00",
  "w32757\\x00",
  "n0\\x00r1\\x00b2\\x00",
  "T\\x00",
  "F\\x00",
  "0\\x00",
  "1\\x00",
  "32752\\x00",
  "65535\\x00",
  "check\\x00",
  "quota\\x00",
  "print\\x00",
};

int
main (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (operations); i++)
    {
      printf ("\"\\x%02x\"\n", operations[i]);
      printf ("\"\\x%02x\\x00\\x00\\x00\"\n", operations[i]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    printf ("\"%s\"\n", texts[i]);
  for (const char *const *name = xds_engine_quota_names (); *name != NULL; name++)
    printf ("\"%s\\x00\"\n", *name);
  return 0;
}
