/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the fuzz targets share: taking their input to pieces.  Each target is a fuzz-NAME.c with
 * the function below; with libFuzzer it is linked as it is, else with fuzz-main.c, which runs
 * the inputs of tests/seeds/NAME.
 */

#include <glib.h>
#include <stdint.h>
#include <stddef.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

typedef struct
{
  const guint8 *data;
  gsize len;
} XdsFuzzInput;

/* The next byte; 0 at the end. */
static inline guint8
xds_fuzz_byte (XdsFuzzInput *input)
{
  if (input->len == 0)
    return 0;
  input->len--;
  return *input->data++;
}

/* Up to @len bytes; *@len becomes how many there are. */
static inline const guint8 *
xds_fuzz_bytes (XdsFuzzInput *input, gsize *len)
{
  const guint8 *bytes = input->data;

  *len = MIN (*len, input->len);
  input->data += *len;
  input->len -= *len;
  return bytes;
}
