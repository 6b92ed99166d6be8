/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * CONTROL: sub-commands of the store itself; what is the host's is handed out.
 */

#define _GNU_SOURCE /* memrchr */

#include "xsd/core/state.h"

#include <string.h>

typedef struct
{
  const char *name;
  const char *args;
  XdsStatus (*handler) (XdsRequest *request, const char *const *args, GString *answer);
} Control;

static XdsStatus
control_check (XdsRequest *request, const char *const *args, GString *answer)
{
  g_autofree char *fault = xds_engine_check (request->engine);

  (void) args;
  g_string_append (answer, fault != NULL ? fault : "OK");
  return XDS_OK;
}

static XdsStatus
control_print (XdsRequest *request, const char *const *args, GString *answer)
{
  XdsEngine *engine = request->engine;

  if (args[0] == NULL || args[1] != NULL)
    return XDS_EINVAL;
  if (engine->host->print != NULL)
    engine->host->print (engine->host_data, args[0]);
  g_string_append (answer, "OK");
  return XDS_OK;
}

/* --- quotas --- */

static void
append_limits (XdsEngine *engine, const XdsAccount *account, GString *answer)
{
  for (guint i = 0; i < XDS_QUOTA_N; i++)
    {
      g_string_append_printf (answer, "%-17s: %8" G_GUINT64_FORMAT, xds_quota_name (i),
                              xds_quota_limit (&engine->quotas, account, i));
      if (account != NULL && i < XDS_QUOTA_N_COUNTED && i != XDS_QUOTA_OUTSTANDING)
        g_string_append_printf (answer, " used %8" G_GUINT64_FORMAT " peak %8" G_GUINT64_FORMAT,
                                account->used[i], account->peak[i]);
      g_string_append_c (answer, '\n');
    }
}

static void
append_peaks (XdsEngine *engine, gboolean reset, GString *answer)
{
  for (guint i = 0; i < XDS_QUOTA_N_COUNTED; i++)
    {
      g_string_append_printf (answer, "%-17s: %8" G_GUINT64_FORMAT "\n", xds_quota_name (i),
                              engine->quotas.peak[i]);
      if (reset)
        engine->quotas.peak[i] = 0;
    }
}

static XdsStatus
set_global (XdsEngine *engine, const char *const *args, GString *answer)
{
  guint64 value;
  int quota;

  if (args[0] == NULL || args[1] == NULL || args[2] != NULL)
    return XDS_EINVAL;
  quota = xds_quota_from_name (args[0]);
  if (quota < 0
      || !xds_msg_parse_number ((XdsSpan){ args[1], strlen (args[1]) }, G_MAXINT32, &value))
    return XDS_EINVAL;
  engine->quotas.limit[quota] = value;
  g_string_append (answer, "OK");
  return XDS_OK;
}

static XdsStatus
control_quota (XdsRequest *request, const char *const *args, GString *answer)
{
  XdsEngine *engine = request->engine;
  XdsDomain *domain;
  guint64 domid;

  if (args[0] == NULL)
    {
      append_limits (engine, NULL, answer);
      return XDS_OK;
    }
  if (g_str_equal (args[0], "set"))
    return set_global (engine, args + 1, answer);
  if (g_str_equal (args[0], "max") && (args[1] == NULL || g_str_equal (args[1], "-r")))
    {
      append_peaks (engine, args[1] != NULL, answer);
      return XDS_OK;
    }
  if (args[1] != NULL
      || !xds_msg_parse_number ((XdsSpan){ args[0], strlen (args[0]) }, 65535, &domid))
    return XDS_EINVAL;
  domain = xds_domain_get (engine, domid);
  if (domain == NULL)
    return XDS_ENOENT;
  append_limits (engine, domain->account, answer);
  return XDS_OK;
}

static XdsStatus
control_quota_soft (XdsRequest *request, const char *const *args, GString *answer)
{
  const char *set[] = { "soft-memory", NULL, NULL };

  if (args[0] == NULL)
    {
      g_string_append_printf (answer, "%-17s: %8" G_GUINT64_FORMAT "\n", "soft-memory",
                              request->engine->quotas.limit[XDS_QUOTA_SOFT_MEMORY]);
      return XDS_OK;
    }
  if (!g_str_equal (args[0], "set") || args[1] == NULL || args[2] == NULL || args[3] != NULL
      || (!g_str_equal (args[1], "memory") && !g_str_equal (args[1], "soft-memory")))
    return XDS_EINVAL;
  set[1] = args[2];
  return set_global (request->engine, set, answer);
}

/* --- what there is --- */

static void
append_peer_name (const XdsPeer *peer, GString *answer)
{
  if (peer->domain != NULL)
    g_string_append_printf (answer, "domain %u", peer->domain->domid);
  else
    g_string_append_printf (answer, "socket %" G_GUINT64_FORMAT " pid %d uid %u", peer->id,
                            peer->identity.pid, peer->identity.uid);
}

static XdsStatus
control_connections (XdsRequest *request, const char *const *args, GString *answer)
{
  (void) args;
  for (const XdsPeer *peer = request->engine->peers; peer != NULL; peer = peer->next)
    {
      append_peer_name (peer, answer);
      g_string_append_printf (answer, " watches %u transactions %u waiting %u lost %u%s\n",
                              peer->n_watches, peer->txns != NULL ? peer->txns->len : 0,
                              peer->out.end - peer->out.start, peer->n_lost,
                              peer->failed ? " failed" : "");
    }
  return XDS_OK;
}

static XdsStatus
control_watches (XdsRequest *request, const char *const *args, GString *answer)
{
  char path[XDS_PATH_BUF];

  (void) args;
  for (const XdsPeer *peer = request->engine->peers; peer != NULL; peer = peer->next)
    for (const XdsWatch *watch = peer->watches; watch != NULL; watch = watch->owner_next)
      {
        append_peer_name (peer, answer);
        xds_point_path (watch->point, path, sizeof path);
        g_string_append_printf (answer, " %s %s", path, watch->token);
        if (watch->depth != XDS_WATCH_ANY_DEPTH)
          g_string_append_printf (answer, " depth %d", watch->depth);
        g_string_append_c (answer, '\n');
      }
  return XDS_OK;
}

static XdsStatus
control_transactions (XdsRequest *request, const char *const *args, GString *answer)
{
  (void) args;
  for (const XdsPeer *peer = request->engine->peers; peer != NULL; peer = peer->next)
    for (guint i = 0; peer->txns != NULL && i < peer->txns->len; i++)
      {
        const XdsTxn *txn = peer->txns->pdata[i];

        append_peer_name (peer, answer);
        g_string_append_printf (answer, " transaction %u nodes %u bytes %" G_GSIZE_FORMAT "%s\n",
                                txn->id, txn->n_targets, txn->bytes + txn->snapshot.bytes,
                                txn->doomed            ? " doomed"
                                : txn->poison != XDS_OK ? " over quota"
                                                        : "");
      }
  return XDS_OK;
}

static void
append_memory (XdsEngine *engine, GString *report)
{
  g_autoptr (GPtrArray) accounts = xds_quotas_accounts (&engine->quotas);
  XdsStatistics s;

  xds_engine_statistics (engine, &s);
  g_string_append_printf (report,
                          "nodes %" G_GUINT64_FORMAT " bytes %" G_GUINT64_FORMAT
                          "\nput aside for transactions %u\nwatches %" G_GUINT64_FORMAT
                          "\ntransactions %" G_GUINT64_FORMAT "\nconnections %" G_GUINT64_FORMAT
                          "\ndomains %" G_GUINT64_FORMAT "\n",
                          s.nodes, s.node_bytes, g_hash_table_size (engine->store.history.things),
                          s.watches, s.transactions, s.peers, s.domains);
  for (guint i = 0; i < accounts->len; i++)
    {
      const XdsAccount *account = accounts->pdata[i];

      g_string_append_printf (report,
                              "domain %u nodes %" G_GUINT64_FORMAT " memory %" G_GUINT64_FORMAT
                              " peak %" G_GUINT64_FORMAT "\n",
                              account->domid, account->used[XDS_QUOTA_NODES],
                              account->used[XDS_QUOTA_MEMORY], account->peak[XDS_QUOTA_MEMORY]);
    }
}

/* An answer may be too short for a line a domain; a file, which the host writes, is not. */
static XdsStatus
control_memreport (XdsRequest *request, const char *const *args, GString *answer)
{
  XdsEngine *engine = request->engine;
  g_autoptr (GString) report = NULL;

  if (args[0] == NULL)
    {
      append_memory (engine, answer);
      return XDS_OK;
    }
  if (args[1] != NULL)
    return XDS_EINVAL;
  report = g_string_new (NULL);
  append_memory (engine, report);
  return xds_ask_control (engine, request->peer,
                          (const char *[]){ "memreport", args[0], report->str, NULL }, answer);
}

static XdsStatus control_help (XdsRequest *request, const char *const *args, GString *answer);

static const Control controls[] = {
  { "check", "", control_check },
  { "connections", "", control_connections },
  { "deaths", "", NULL },
  { "help", "", control_help },
  { "live-update", "[-c <options>] [-t <seconds>] [-v <version>] [-F] <file>", NULL },
  { "log", "on|off|+<switch>|-<switch>", NULL },
  { "logfile", "<file>", NULL },
  { "memreport", "[<file>]", control_memreport },
  { "print", "<string>", control_print },
  { "quota", "[set <name> <val>|<domid>|max [-r]]", control_quota },
  { "quota-soft", "[set <name> <val>]", control_quota_soft },
  { "reason", "<domid>", NULL },
  { "snapshot", "[<file>]", NULL },
  { "transactions", "", control_transactions },
  { "watches", "", control_watches },
};

static XdsStatus
control_help (XdsRequest *request, const char *const *args, GString *answer)
{
  (void) request;
  if (args[0] != NULL)
    return XDS_EINVAL;
  for (guint i = 0; i < G_N_ELEMENTS (controls); i++)
    g_string_append_printf (answer, "%-15s %s\n", controls[i].name, controls[i].args);
  return XDS_OK;
}

/* --- dispatch --- */

static XdsStatus
run_control (XdsRequest *request, const char *const *args, GString *answer)
{
  XdsEngine *engine = request->engine;

  for (guint i = 0; i < G_N_ELEMENTS (controls); i++)
    if (g_str_equal (controls[i].name, args[0]) && controls[i].handler != NULL)
      return controls[i].handler (request, args + 1, answer);
  return xds_ask_control (engine, request->peer, args, answer);
}

/* An answer has a bound: whole lines that fit, and how many there would have been. */
void
xds_control_cut (GString *answer)
{
  guint dropped = 0;

  if (answer->len < XDS_PAYLOAD_MAX)
    return;
  while (answer->len > XDS_PAYLOAD_MAX - 64)
    {
      char *end = memrchr (answer->str, '\n', answer->len - 1);

      g_string_truncate (answer, end != NULL ? (gsize) (end + 1 - answer->str)
                                             : XDS_PAYLOAD_MAX - 64);
      dropped++;
      if (end == NULL)
        break;
    }
  g_string_append_printf (answer, "(and %u more lines)\n", dropped);
}

XdsStatus
xds_op_control (XdsRequest *request)
{
  g_autoptr (GString) answer = g_string_new (NULL);
  g_autoptr (GPtrArray) args = g_ptr_array_new ();
  XdsSpan rest = request->payload, text;
  XdsStatus status;

  if (rest.len == 0 || rest.data[rest.len - 1] != '\0')
    return XDS_EINVAL;
  while (xds_msg_next_string (&rest, &text))
    g_ptr_array_add (args, (char *) text.data);
  g_ptr_array_add (args, NULL);
  status = run_control (request, (const char *const *) args->pdata, answer);
  if (status != XDS_OK)
    return status;
  xds_control_cut (answer);
  xds_request_reply_text (request, answer->len > 0 ? answer->str : "");
  return XDS_OK;
}
