/* SPDX-License-Identifier: MIT */
/* See workers.h. */
#include "broker/brokerd/workers.h"

#include <glib.h>
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

/* Each VM may use all that its limits say, so that is what counts against the totals. */
static const struct vtd_policy_limit *exhausted_total(const struct vtd_tenant *tenant)
{
        const struct vtd_policy *policy = &tenant->policy;

        for (unsigned i = 0; i < VTD_POLICY_LIMIT_COUNT; i++) {
                const struct vtd_policy_limit *total = vtd_policy_total_of(policy, i);
                uint64_t sum;

                if (total && (__builtin_mul_overflow(policy->limits[i].value,
                                                     (uint64_t)tenant->vms + 1, &sum) ||
                              sum > total->value))
                        return total;
        }
        return NULL;
}

int vtd_workers_admit(struct vtd_workers *workers, struct vtd_tenant *tenant)
{
        size_t others = workers->greeting - tenant->greeting;

        /* It has as many VMs as it may, but of one only the end is not over yet. */
        if ((tenant->vms >= tenant->policy.vms || exhausted_total(tenant)) && tenant->ending > 0)
                return VTD_WORKERS_E_LATER;
        /* Half of what the others leave: no tenant can take the last place from all of them. */
        if (workers->greeting >= VTD_LIMIT_GREETING ||
            tenant->greeting >= (VTD_LIMIT_GREETING - others + 1) / 2)
                return VTD_WORKERS_E_LATER;
        return vtd_bucket_take(&tenant->spawns, (uint64_t)g_get_monotonic_time() / 1000)
                       ? 0
                       : VTD_WORKERS_E_LATER;
}

static void refuse(struct vtd_workers *workers, struct vtd_tenant *tenant, int peer_pid,
                   const char *text, uint32_t line)
{
        tenant->counts.refused++;
        vtd_audit_log_event(workers->config.audit, &tenant->source,
                            &(const struct vtd_audit_event_line){
                                    .event = "connection-refused",
                                    .text = text,
                                    .pid = peer_pid,
                                    .uid = tenant->policy.uid,
                                    .line = line,
                            });
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

void vtd_workers_start(struct vtd_workers *workers, struct vtd_tenant *tenant, int connection,
                       int peer_pid)
{
        VTD_CLEANUP_FD int owned = connection;
        const struct vtd_policy_limit *total;
        struct vtd_worker *worker;
        uint32_t uid;

        if (tenant->vms >= tenant->policy.vms) {
                refuse(workers, tenant, peer_pid, "the tenant has as many VMs as it may",
                       tenant->policy.vms_line);
                return;
        }
        total = exhausted_total(tenant);
        if (total) {
                refuse(workers, tenant, peer_pid,
                       "another VM's limits would exceed what all VMs of the tenant may have",
                       total->line);
                return;
        }
        if (workers->count >= VTD_LIMIT_WORKERS) {
                refuse(workers, tenant, peer_pid, "vtd-brokerd has as many workers as it may", 0);
                return;
        }
        if (vtd_uids_take(workers->config.uids, &uid) != 0) {
                refuse(workers, tenant, peer_pid, "no worker user is free", 0);
                return;
        }
        worker = vtd_worker_new(workers, tenant, uid);
        if (vtd_worker_start(worker, owned, peer_pid) < 0)
                refuse(workers, tenant, peer_pid, "no worker could be started", 0);
        else
                add_worker(workers, worker);
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
