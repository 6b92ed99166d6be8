/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "xsd/wire/msg.h"

unsigned
xds_msg_count_strings (XdsSpan payload)
{
  unsigned n = 0;

  for (size_t i = 0; i < payload.len; i++)
    n += payload.data[i] == '\0';
  return n;
}

bool
xds_msg_next_string (XdsSpan *payload, XdsSpan *ret_string)
{
  const char *end = payload->len > 0 ? memchr (payload->data, '\0', payload->len) : NULL;

  if (end == NULL)
    return false;
  *ret_string = (XdsSpan){ payload->data, end - payload->data };
  payload->len -= ret_string->len + 1;
  payload->data = end + 1;
  return true;
}

bool
xds_msg_split (XdsSpan payload, XdsSpan *ret_strings, unsigned n)
{
  if (payload.len == 0 || payload.data[payload.len - 1] != '\0'
      || xds_msg_count_strings (payload) != n)
    return false;
  for (unsigned i = 0; i < n; i++)
    xds_msg_next_string (&payload, &ret_strings[i]);
  return true;
}

bool
xds_msg_parse_number (XdsSpan text, uint64_t max, uint64_t *ret_number)
{
  uint64_t n = 0;

  if (text.len == 0)
    return false;
  for (size_t i = 0; i < text.len; i++)
    {
      unsigned digit = (unsigned char) text.data[i] - '0';

      if (digit > 9 || n > (max - digit) / 10)
        return false;
      n = n * 10 + digit;
    }
  if (n > max)
    return false;
  *ret_number = n;
  return true;
}
