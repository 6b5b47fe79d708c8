/* SPDX-License-Identifier: MIT */
/* See workers.h. */
#include "broker/brokerd/workers.h"

#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "broker/brokerd/worker.h"
#include "shared/checked.h"
#include "shared/cleanup.h"

#define WATCHDOG_TICK_MS 2000u

static gboolean on_watchdog(gpointer opaque)
{
        struct vtd_workers *workers = opaque;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(workers->slots); i++)
                if (workers->slots[i])
                        vtd_worker_watch(workers->slots[i]);
        vtd_audit_log_flush(workers->config.audit);
        return G_SOURCE_CONTINUE;
}

void vtd_workers_init(struct vtd_workers *workers, const struct vtd_workers_config *config)
{
        memset(workers, 0, sizeof(*workers));
        workers->config = *config;
        /*
         * All sources of vtd-brokerd have one priority: a worker that floods its channel then takes
         * one turn in the round, like everybody, and starves no watchdog.
         */
        workers->watchdog = g_timeout_add(WATCHDOG_TICK_MS, on_watchdog, workers);
}

void vtd_workers_deinit(struct vtd_workers *workers)
{
        if (workers->watchdog != 0)
                (void)g_source_remove(workers->watchdog);
        workers->watchdog = 0;
        workers->config.on_empty = NULL;
        vtd_workers_kill(workers, "vtd-brokerd ends");
        for (size_t i = 0; i < VTD_ARRAY_SIZE(workers->slots); i++)
                if (workers->slots[i])
                        vtd_worker_wait(workers->slots[i]);
}

int vtd_workers_admit(struct vtd_workers *workers, const struct vtd_arrival *arrival)
{
        struct vtd_tenant *tenant = arrival->tenant;
        size_t others = workers->greeting - tenant->greeting;

        /* It has as many VMs as it may, but of one only the end is not over yet. */
        if (!arrival->charged && tenant->ending > 0 &&
            (tenant->vms >= tenant->policy.vms || vtd_tenant_exhausted(tenant, arrival->policy)))
                return VTD_WORKERS_E_LATER;
        /* Half of what the others leave: no tenant can take the last place from all of them. */
        if (workers->greeting >= VTD_LIMIT_GREETING ||
            tenant->greeting >= (VTD_LIMIT_GREETING - others + 1) / 2)
                return VTD_WORKERS_E_LATER;
        return vtd_bucket_take(&tenant->spawns, (uint64_t)g_get_monotonic_time() / 1000)
                       ? 0
                       : VTD_WORKERS_E_LATER;
}

static int refuse(struct vtd_workers *workers, const struct vtd_arrival *arrival, const char *text,
                  uint32_t line)
{
        struct vtd_tenant *tenant = arrival->tenant;

        tenant->counts.refused++;
        vtd_audit_log_event(workers->config.audit, &tenant->source,
                            &(const struct vtd_audit_event_line){
                                    .event = "connection-refused",
                                    .text = text,
                                    .pid = arrival->peer_pid,
                                    .uid = tenant->policy.uid,
                                    .line = line,
                            });
        return VTD_WORKERS_E_REFUSED;
}

void vtd_workers_remove(struct vtd_workers *workers, const struct vtd_worker *worker)
{
        for (size_t i = 0; i < VTD_ARRAY_SIZE(workers->slots); i++)
                if (workers->slots[i] == worker)
                        workers->slots[i] = NULL;
        workers->count--;
        if (workers->count == 0 && workers->config.on_empty)
                workers->config.on_empty(workers->config.opaque);
}

static void add_worker(struct vtd_workers *workers, struct vtd_worker *worker)
{
        for (size_t i = 0; i < VTD_ARRAY_SIZE(workers->slots); i++) {
                if (!workers->slots[i]) {
                        workers->slots[i] = worker;
                        break;
                }
        }
        workers->count++;
}

/* 0, or VTD_WORKERS_E_REFUSED. */
static int judge_tenant(struct vtd_workers *workers, const struct vtd_arrival *arrival)
{
        const struct vtd_tenant *tenant = arrival->tenant;
        const struct vtd_policy_limit *total;

        if (arrival->charged)
                return 0;
        if (tenant->vms >= tenant->policy.vms)
                return refuse(workers, arrival, "the tenant has as many VMs as it may",
                              tenant->policy.vms_line);
        total = vtd_tenant_exhausted(tenant, arrival->policy);
        if (total)
                return refuse(
                        workers, arrival,
                        "another VM's limits would exceed what all VMs of the tenant may have",
                        total->line);
        return 0;
}

/* Not the tenant's limit, but the host's: the administrator is told of it in the log as well. */
static int refuse_by_host(struct vtd_workers *workers, const struct vtd_arrival *arrival,
                          const char *text)
{
        vtd_log(workers->config.log, VTD_LOG_WARNING, "%s: connection refused: %s",
                arrival->tenant->policy.tenant, text);
        return refuse(workers, arrival, text, 0);
}

static int refuse_by_number(struct vtd_workers *workers, const struct vtd_arrival *arrival)
{
        char text[96];

        (void)snprintf(text, sizeof(text),
                       "there are %zu workers, which is as many as there may be", workers->count);
        return refuse_by_host(workers, arrival, text);
}

static int refuse_without_uid(struct vtd_workers *workers, const struct vtd_arrival *arrival)
{
        const struct vtd_uids *uids = workers->config.uids;
        char text[128];

        (void)snprintf(text, sizeof(text),
                       "no worker user is free: all %u of --worker-uids %u-%u are taken",
                       uids->count, uids->first, uids->first + (uids->count - 1));
        return refuse_by_host(workers, arrival, text);
}

/* Whoever saw the error has logged it. */
static int refuse_without_worker(struct vtd_workers *workers, const struct vtd_arrival *arrival,
                                 int error)
{
        char text[128];

        (void)snprintf(text, sizeof(text), "no worker could be started: %s", strerror(-error));
        return refuse(workers, arrival, text, 0);
}

int vtd_workers_start(struct vtd_workers *workers, const struct vtd_arrival *arrival,
                      int connection)
{
        VTD_CLEANUP_FD int owned = connection;
        struct vtd_worker *worker;
        int result = judge_tenant(workers, arrival);
        uint32_t uid;

        if (result != 0)
                return result;
        if (workers->count >= VTD_LIMIT_WORKERS)
                return refuse_by_number(workers, arrival);
        if (vtd_uids_take(workers->config.uids, &uid) != 0)
                return refuse_without_uid(workers, arrival);
        worker = vtd_worker_new(workers, arrival, uid);
        result = vtd_worker_start(worker, arrival, owned);
        if (result < 0)
                return refuse_without_worker(workers, arrival, result);
        add_worker(workers, worker);
        return 0;
}

void vtd_workers_drain(struct vtd_workers *workers)
{
        for (size_t i = 0; i < VTD_ARRAY_SIZE(workers->slots); i++)
                if (workers->slots[i])
                        vtd_worker_drain(workers->slots[i]);
}

void vtd_workers_kill(struct vtd_workers *workers, const char *reason)
{
        for (size_t i = 0; i < VTD_ARRAY_SIZE(workers->slots); i++)
                if (workers->slots[i])
                        vtd_worker_kill(workers->slots[i], reason);
}

struct vtd_worker *vtd_workers_at(const struct vtd_workers *workers, size_t slot)
{
        return slot < VTD_ARRAY_SIZE(workers->slots) ? workers->slots[slot] : NULL;
}

struct vtd_worker *vtd_workers_find_name(const struct vtd_workers *workers, const char *name)
{
        for (size_t i = 0; i < VTD_ARRAY_SIZE(workers->slots); i++)
                if (workers->slots[i] && strcmp(vtd_worker_view(workers->slots[i]).name, name) == 0)
                        return workers->slots[i];
        return NULL;
}

struct vtd_worker *vtd_workers_find(const struct vtd_workers *workers, uint32_t vm)
{
        for (size_t i = 0; i < VTD_ARRAY_SIZE(workers->slots); i++)
                if (workers->slots[i] && vtd_worker_view(workers->slots[i]).vm == vm)
                        return workers->slots[i];
        return NULL;
}
