/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * libxl's file names, made and taken apart, and the rules for userids.
 *
 * Invariant: what xds_userdata_name_parse() accepts, xds_userdata_file_name() makes again byte for
 * byte.  So a domid with a leading zero or a uuid in capitals is not of libxl's pattern: no libxl
 * would ever find such a file, and neither do we touch it.
 *
 * The road not taken is glob(): userids come from outside, and comparing strings cannot be talked
 * into matching something else.
 */

#include "userdata/name.h"

#include <string.h>

/* Characters that a shell, a glob or a path would take for more than themselves. */
static const char refused[] = "/*?[]\\";

static const char *const libxl_userids[] = { "libxl-json", "xl", "libvirt-xml" };

gboolean
xds_userdata_userid_valid (const char *userid)
{
  gsize len = strlen (userid);

  if (len == 0 || len > XDS_USERDATA_USERID_MAX)
    return FALSE;
  for (gsize i = 0; i < len; i++)
    if (!g_ascii_isgraph (userid[i]) || strchr (refused, userid[i]) != NULL)
      return FALSE;
  /* libxl's destroy skips every name with this in it: the data would outlive the domain. */
  return strstr (userid, XDS_USERDATA_LOCK) == NULL;
}

gboolean
xds_userdata_userid_readable (const char *userid)
{
  return userid[0] != '\0' && strlen (userid) <= 200 && strchr (userid, '/') == NULL;
}

gboolean
xds_userdata_userid_is_libxl (const char *userid)
{
  for (gsize i = 0; i < G_N_ELEMENTS (libxl_userids); i++)
    if (strcmp (userid, libxl_userids[i]) == 0)
      return TRUE;
  return FALSE;
}

char *
xds_userdata_file_name (char letter, guint domid, const char *uuid, const char *userid)
{
  return g_strdup_printf (XDS_USERDATA_PREFIX "%c.%u.%s.%s", letter, domid, uuid, userid);
}

/* The first 36 characters of @text; more may follow. */
static gboolean
uuid_at (const char *text)
{
  for (guint i = 0; i < XDS_USERDATA_UUID_SIZE - 1; i++)
    {
      gboolean dash = i == 8 || i == 13 || i == 18 || i == 23;
      char c = text[i];

      if (dash ? c != '-' : !(g_ascii_isdigit (c) || (c >= 'a' && c <= 'f')))
        return FALSE;
    }
  return TRUE;
}

gboolean
xds_userdata_uuid_valid (const char *uuid)
{
  return uuid_at (uuid) && uuid[XDS_USERDATA_UUID_SIZE - 1] == '\0';
}

void
xds_userdata_uuid_format (guint domid, const guint8 bytes[16],
                          char ret_uuid[XDS_USERDATA_UUID_SIZE])
{
  static const char digits[] = "0123456789abcdef";
  static const guint8 unknown[16];
  char *p = ret_uuid;

  *p = '\0';
  if (domid != 0 && memcmp (bytes, unknown, sizeof unknown) == 0)
    return;
  for (guint i = 0; i < 16; i++)
    {
      if (i == 4 || i == 6 || i == 8 || i == 10)
        *p++ = '-';
      *p++ = digits[bytes[i] >> 4];
      *p++ = digits[bytes[i] & 15];
    }
  *p = '\0';
}

/* A domid as libxl prints it: no sign, no leading zero, no more than 16 bits. */
static gboolean
parse_domid (const char **text, guint *ret_domid)
{
  const char *p = *text;
  guint domid = 0;

  if (!g_ascii_isdigit (*p) || (p[0] == '0' && g_ascii_isdigit (p[1])))
    return FALSE;
  while (g_ascii_isdigit (*p) && domid <= G_MAXUINT16)
    domid = domid * 10 + (guint) (*p++ - '0');
  if (domid > G_MAXUINT16 || *p != '.')
    return FALSE;
  *text = p + 1;
  *ret_domid = domid;
  return TRUE;
}

gboolean
xds_userdata_name_parse (const char *file, XdsUserdataName *ret_name)
{
  const char *p = file + strlen (XDS_USERDATA_PREFIX);
  XdsUserdataName name = { 0 };

  if (!g_str_has_prefix (file, XDS_USERDATA_PREFIX) || !g_ascii_islower (p[0]) || p[1] != '.')
    return FALSE;
  name.letter = p[0];
  p += 2;
  if (!parse_domid (&p, &name.domid) || !uuid_at (p))
    return FALSE;
  memcpy (name.uuid, p, XDS_USERDATA_UUID_SIZE - 1);
  p += XDS_USERDATA_UUID_SIZE - 1;
  if (p[0] != '.')
    return FALSE;
  name.userid = p + 1;
  *ret_name = name;
  return TRUE;
}

gboolean
xds_userdata_name_parse_data (const char *file, XdsUserdataName *ret_name)
{
  XdsUserdataName name;

  if (!xds_userdata_name_parse (file, &name) || name.letter != 'd' || name.domid == 0)
    return FALSE;
  *ret_name = name;
  return TRUE;
}
