/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How the library makes errors of the server's answers.  Not installed. */

#include "lib/client.h"

/* What an operation was about. */
typedef struct
{
  guint op;
  guint32 tx;       /* 0 outside of a transaction */
  const char *path; /* (nullable) */
  int domid;        /* XDS_NO_DOMID: none */
} XdsErrorAbout;

/* @refusal (nullable) is what xendomstored answered to a READ of XDS_REFUSAL_PATH afterwards. */
GError *xds_error_new_for (const XdsErrorAbout *about, XdsStatus status, const char *refusal);

/* Where xendomstored tells a client which limit its last request met that met one. */
#define XDS_REFUSAL_PATH "@quota/refused"
