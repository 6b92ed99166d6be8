/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Names of nodes.  A canonical path is absolute, has no empty component and no slash at its
 * end (the root excepted), and uses only letters, digits and -/_@.  A special path starts
 * with '@' and names an event, not a node.
 */

#include "xsd/wire/limits.h"
#include "xsd/wire/status.h"

#include <stdbool.h>
#include <stdint.h>

/* A canonical path: text is NUL-terminated, len excludes the NUL. */
typedef struct
{
  uint16_t len;
  uint16_t skip; /* bytes of text to leave out when the path is told to a peer that gave it
                    relative: 0 for a path that was given absolute */
  char text[XDS_PATH_BUF];
} XdsPath;

typedef enum
{
  XDS_PATH_NODE = 0,
  XDS_PATH_SPECIAL_ALLOWED = 1 << 0, /* accept @introduceDomain, @releaseDomain, ... */
} XdsPathFlags;

/*
 * Makes @path canonical.  Relative ones are below /local/domain/@implicit_domid/.  @rel_max
 * bounds what is below a domain's home, absolute paths elsewhere too for peers that have such
 * a quota; 0 sets only the protocol's limits.  XDS_EINVAL for whatever is not a path; nothing
 * is written then.
 */
XdsStatus xds_path_init (XdsPath *path, const char *text, size_t len, unsigned implicit_domid,
                         unsigned rel_max, XdsPathFlags flags);

static inline bool
xds_path_is_special (const XdsPath *path)
{
  return path->text[0] == '@';
}

/* Length of the parent's path of the first @len bytes of @text; 0 for the root, 1 for "/x". */
size_t xds_path_parent_len (const char *text, size_t len);

/* Number of components: 0 for "/", 2 for "/a/b". */
unsigned xds_path_depth (const char *text, size_t len);

/*
 * Takes the next component.  *@pos starts at 1 (after the root's slash); FALSE at the end.
 * *@ret_name points into @text and is not NUL-terminated.
 */
static inline bool
xds_path_next (const char *text, size_t len, size_t *pos, const char **ret_name, size_t *ret_len)
{
  size_t start = *pos, end = start;

  if (start >= len)
    return false;
  while (end < len && text[end] != '/')
    end++;
  *ret_name = text + start;
  *ret_len = end - start;
  *pos = end + 1;
  return true;
}

/* Is @text[0..len) a node name: not empty, no slash, only legal letters? */
bool xds_path_valid_name (const char *text, size_t len);
