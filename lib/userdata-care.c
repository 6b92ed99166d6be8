/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * All of a domain's data at once, and the whole folder: export, import, audit.
 */

#include "lib/userdata.h"
#include "userdata/audit.h"
#include "userdata/transfer.h"

/**
 * xds_userdata_export:
 * @userdata: the userdata
 * @domid: the domain
 * @third_party: whether to leave out what libxl and libvirt make anew by themselves
 * @error: return location for an error
 *
 * Makes one archive of all data of a domain, to follow a guest to another host, number or life. It
 * is text around the bytes, and has a checksum.
 *
 * Errors: those of the folder (#XdsUserdata).
 *
 * Returns: (transfer full): the archive, or %NULL with @error set
 */
GBytes *
xds_userdata_export (XdsUserdata *userdata, guint domid, gboolean third_party, GError **error)
{
  XdsUserdataTransferFlags flags
      = third_party ? XDS_USERDATA_TRANSFER_THIRD_PARTY : XDS_USERDATA_TRANSFER_NONE;
  GBytes *archive;

  g_return_val_if_fail (XDS_IS_USERDATA (userdata), NULL);

  archive = xds_userdata_store_export (userdata->store, domid, flags, error);
  xds_userdata_own_error (error);
  return archive;
}

/**
 * xds_userdata_import:
 * @userdata: the userdata
 * @domid: the domain
 * @archive: what xds_userdata_export() made
 * @replace: whether to replace what is stored already, which is left alone otherwise
 * @ret_n: (out) (optional): return location for the number of items that were stored
 * @error: return location for an error
 *
 * Stores what is in an archive for a domain. Nothing is stored of an archive that is not whole,
 * which is %XDS_ERROR_BAD_ARCHIVE; if an item cannot be stored, those before it are.
 *
 * Errors: %XDS_ERROR_BAD_ARCHIVE, %XDS_ERROR_BAD_NAME, %XDS_ERROR_TOO_LARGE, %XDS_ERROR_TOO_MANY,
 * %XDS_ERROR_DOMAIN_FULL, those of the folder (#XdsUserdata).
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
xds_userdata_import (XdsUserdata *userdata, guint domid, GBytes *archive, gboolean replace,
                     guint *ret_n, GError **error)
{
  XdsUserdataTransferFlags flags
      = replace ? XDS_USERDATA_TRANSFER_REPLACE : XDS_USERDATA_TRANSFER_NONE;
  gboolean good;

  g_return_val_if_fail (XDS_IS_USERDATA (userdata) && archive != NULL, FALSE);

  good = xds_userdata_store_import (userdata->store, domid, archive, flags, ret_n, error);
  xds_userdata_own_error (error);
  return good;
}

/* --- audit --- */

G_DEFINE_BOXED_TYPE (XdsUserdataFinding, xds_userdata_finding, xds_userdata_finding_copy,
                     xds_userdata_finding_free)

/**
 * xds_userdata_finding_copy:
 * @finding: a finding
 *
 * Copies a finding.
 *
 * Returns: (transfer full): the copy
 */
XdsUserdataFinding *
xds_userdata_finding_copy (const XdsUserdataFinding *finding)
{
  XdsUserdataFinding *copy = g_memdup2 (finding, sizeof *finding);

  copy->kind = g_strdup (finding->kind);
  copy->file = g_strdup (finding->file);
  return copy;
}

/**
 * xds_userdata_finding_free:
 * @finding: (transfer full) (nullable): a finding
 *
 * Frees a finding.
 */
void
xds_userdata_finding_free (XdsUserdataFinding *finding)
{
  if (finding == NULL)
    return;
  g_free (finding->kind);
  g_free (finding->file);
  g_free (finding);
}

static gpointer
finding_of_audit (gconstpointer src, gpointer data)
{
  const XdsAuditFinding *found = src;
  XdsUserdataFinding one
      = { (char *) xds_audit_kind_name (found->kind), found->file, found->domid, found->fixed };

  return xds_userdata_finding_copy (&one);
}

/**
 * xds_userdata_audit:
 * @userdata: the userdata
 * @fix: whether to remove what can be removed
 * @error: return location for an error
 *
 * Looks at each file of the folder for what should not be there. With @fix removes what belongs to
 * no domain, what an earlier boot or a cut store left, and locks that nobody holds; nothing of a
 * domain that lives, else. Needs a hypervisor that can be asked.
 *
 * Errors: those of the folder (#XdsUserdata).
 *
 * Returns: (transfer container) (element-type XdsUserdataFinding): what was found, or %NULL with
 *   @error set
 */
GPtrArray *
xds_userdata_audit (XdsUserdata *userdata, gboolean fix, GError **error)
{
  GPtrArray *findings;

  g_return_val_if_fail (XDS_IS_USERDATA (userdata), NULL);

  findings = xds_userdata_store_audit (userdata->store, fix, error);
  xds_userdata_own_error (error);
  return xds_userdata_own_list (findings, finding_of_audit,
                                (GDestroyNotify) xds_userdata_finding_free);
}
