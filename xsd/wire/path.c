/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The alphabet is a table of 256 bytes, because this runs for each byte of each request.
 */

#include "xsd/wire/path.h"

#include <stdio.h>
#include <string.h>

static const bool legal[256] = {
  ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
  ['-'] = true,         ['/'] = true,         ['_'] = true,
  ['@'] = true,
};

static bool
all_legal (const char *text, size_t len)
{
  for (size_t i = 0; i < len; i++)
    if (!legal[(unsigned char) text[i]])
      return false;
  return true;
}

bool
xds_path_valid_name (const char *text, size_t len)
{
  return len > 0 && all_legal (text, len) && memchr (text, '/', len) == NULL;
}

/* No empty component: neither a doubled slash nor one at the end. */
static bool
well_formed (const char *text, size_t len)
{
  if (len == 1 && text[0] == '/')
    return true;
  if (len == 0 || text[len - 1] == '/' || !all_legal (text, len))
    return false;
  for (const char *p = text; (p = memchr (p, '/', text + len - p)) != NULL; p++)
    if (p + 1 < text + len && p[1] == '/')
      return false;
  return true;
}

/*
 * What the quota of a path's length counts: all of it, or for a path in the home of some
 * domain the part behind /local/domain/N/.
 */
static size_t
counted_len (const char *text, size_t len)
{
  static const char home[] = "/local/domain/";
  size_t pos = sizeof home - 1;

  if (len <= pos || memcmp (text, home, pos) != 0)
    return len;
  while (pos < len && text[pos] >= '0' && text[pos] <= '9')
    pos++;
  if (pos == sizeof home - 1 || pos >= len || text[pos] != '/')
    return len;
  return len - pos - 1;
}

static XdsStatus
init_relative (XdsPath *path, const char *text, size_t len, unsigned implicit_domid)
{
  char home[sizeof "/local/domain/65535/"];
  int n = snprintf (home, sizeof home, "/local/domain/%u/", implicit_domid & 0xffffu);

  if (len > XDS_PATH_REL_MAX || n + len > XDS_PATH_ABS_MAX)
    return XDS_EINVAL;
  memcpy (path->text, home, n);
  memcpy (path->text + n, text, len);
  path->len = n + len;
  path->skip = n;
  path->text[path->len] = '\0';
  return XDS_OK;
}

XdsStatus
xds_path_init (XdsPath *path, const char *text, size_t len, unsigned implicit_domid,
               unsigned rel_max, XdsPathFlags flags)
{
  bool special = len > 0 && text[0] == '@';

  if (!well_formed (text, len) || (special && !(flags & XDS_PATH_SPECIAL_ALLOWED)))
    return XDS_EINVAL;
  if (len > XDS_PATH_ABS_MAX)
    return XDS_EINVAL;
  if (special || text[0] == '/')
    {
      if (rel_max != 0 && counted_len (text, len) > rel_max)
        return XDS_EINVAL;
      memcpy (path->text, text, len);
      path->text[len] = '\0';
      path->len = len;
      path->skip = 0;
      return XDS_OK;
    }
  if (rel_max != 0 && len > rel_max)
    return XDS_EINVAL;
  return init_relative (path, text, len, implicit_domid);
}

size_t
xds_path_parent_len (const char *text, size_t len)
{
  while (len > 0 && text[len - 1] != '/')
    len--;
  return len > 1 ? len - 1 : len;
}

unsigned
xds_path_depth (const char *text, size_t len)
{
  unsigned depth = 0;

  if (len <= 1)
    return 0;
  for (size_t i = 0; i < len; i++)
    depth += text[i] == '/';
  return depth;
}
