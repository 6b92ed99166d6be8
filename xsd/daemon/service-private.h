/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The service from inside, for the files that it is made of: service.c (life), host.c (what the
 * engine asks of the world).
 */

#include "xsd/daemon/accesslog.h"
#include "xsd/daemon/blobs.h"
#include "xsd/daemon/domains.h"
#include "xsd/daemon/hooks.h"
#include "xsd/daemon/liveupdate.h"
#include "xsd/daemon/notify.h"
#include "xsd/daemon/process.h"
#include "xsd/daemon/saver.h"
#include "xsd/daemon/service.h"
#include "xsd/daemon/survival.h"
#include "xsd/transport/domring.h"
#include "xsd/transport/socket.h"

typedef struct
{
  XdsLoopItem item; /* must be first */
  XdsService *service;
} XdsKeeperWatch;

struct XdsService
{
  const XdsOptions *options; /* (unowned) */
  XdsConfig *config;
  XdsLoop *loop;
  XdsHost host;
  XdsEngine *engine;
  XdsDomains *domains;
  XdsSurvival *survival;    /* (unowned) (nullable) nobody comes after us */
  XdsSlate slate;           /* used where there is no survival */
  XdsRingServer *rings;
  XdsSocketServer *sockets;
  XdsBlobs *blobs;          /* (nullable) there is no folder for them */
  gboolean without_blobs;   /* that was said */
  XdsHooks *hooks;
  XdsAccessLog *access_log; /* (nullable) */
  GArray *quota_defaults;   /* (element-type guint64) in the order of the names */
  XdsPidFile *pid_file;     /* (unowned) (nullable) */
  XdsKeeper *keeper;        /* (unowned) (nullable) */
  XdsKeeperWatch watch;     /* whether it is still there */
  XdsLiveUpdate update;
  XdsSaver *saver;
};

/* The engine's callbacks. */
void xds_service_init_host (XdsHost *host);

/* (nullable) If they were not there they may be now. */
XdsBlobs *xds_service_blobs (XdsService *self);

/* From now on the engine is traced into @log; NULL for no more.  (transfer full) */
void xds_service_set_access_log (XdsService *self, XdsAccessLog *log);
