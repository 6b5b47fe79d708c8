/* SPDX-License-Identifier: MIT */
/* The records of status and tree about one thing each: see administration.h. */
#include "broker/brokerd/administration.h"

#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/brokerd/audit_names.h"
#include "broker/brokerd/worker.h"

void vtd_administration_put_broker(const struct vtd_administration *administration,
                                   struct vtd_admin_record *record)
{
        const struct vtd_workers *workers = administration->workers;
        const struct vtd_policies *policies = administration->policies;
        uint64_t now = (uint64_t)g_get_monotonic_time() / 1000;

        vtd_admin_begin(record, VTD_ADMIN_BROKER);
        vtd_admin_put_text(record, VTD_ADMIN_K_VERSION, administration->version);
        vtd_admin_put_text(record, VTD_ADMIN_K_HOST,
                           workers->config.host == VTD_HOST_LINUX ? "linux" : "simulated");
        vtd_admin_put_number(record, VTD_ADMIN_K_PID, (uint64_t)getpid());
        vtd_admin_put_number(record, VTD_ADMIN_K_SECONDS,
                             (now - administration->started_ms) / 1000);
        vtd_admin_put_number(record, VTD_ADMIN_K_LANDLOCK_ABI, administration->landlock_abi);
        vtd_admin_put_text(record, VTD_ADMIN_K_AUDIT_LEVEL,
                           vtd_audit_level_name(workers->config.audit_level));
        vtd_admin_put_number(record, VTD_ADMIN_K_TENANTS, policies->tenants.array->len);
        vtd_admin_put_number(record, VTD_ADMIN_K_VMS, workers->count);
        vtd_admin_put_number(record, VTD_ADMIN_K_GRANTS, administration->grants->array->len);
        vtd_admin_put_number(record, VTD_ADMIN_K_RELOADS, policies->reloads);
        vtd_admin_put_number(record, VTD_ADMIN_K_RELOADS_REFUSED, policies->refused);
}

void vtd_administration_put_tenant(const struct vtd_tenant *tenant, struct vtd_admin_record *record)
{
        const struct vtd_policy *policy = &tenant->policy;
        static const struct {
                enum vtd_policy_limit_index limit;
                enum vtd_policy_total_index total;
                enum vtd_admin_key held;
                enum vtd_admin_key most;
        } totals[] = {
                {VTD_POLICY_MEMORY, VTD_POLICY_TOTAL_MEMORY, VTD_ADMIN_K_MEMORY,
                 VTD_ADMIN_K_TOTAL_MEMORY},
                {VTD_POLICY_FIRST_STAGE_TABLES, VTD_POLICY_TOTAL_FIRST_STAGE_TABLES,
                 VTD_ADMIN_K_FIRST_STAGE_TABLES, VTD_ADMIN_K_TOTAL_FIRST_STAGE_TABLES},
                {VTD_POLICY_PASIDS, VTD_POLICY_TOTAL_PASIDS, VTD_ADMIN_K_PASIDS,
                 VTD_ADMIN_K_TOTAL_PASIDS},
        };

        vtd_admin_begin(record, VTD_ADMIN_TENANT);
        vtd_admin_put_text(record, VTD_ADMIN_K_TENANT, policy->tenant);
        vtd_admin_put_text(record, VTD_ADMIN_K_POLICY, policy->file);
        vtd_admin_put_number(record, VTD_ADMIN_K_UID, policy->uid);
        vtd_admin_put_text(record, VTD_ADMIN_K_STATE,
                           tenant->door      ? "open"
                           : tenant->revoked ? "revoked"
                                             : "gone");
        vtd_admin_put_number(record, VTD_ADMIN_K_VMS, tenant->vms);
        vtd_admin_put_number(record, VTD_ADMIN_K_VMS_LIMIT, policy->vms);
        for (size_t i = 0; i < G_N_ELEMENTS(totals); i++) {
                vtd_admin_put_number(record, totals[i].held, tenant->held[totals[i].limit]);
                vtd_admin_put_number(record, totals[i].most, policy->totals[totals[i].total].value);
        }
}

static void put_policy(const struct vtd_policy *policy, struct vtd_admin_record *record)
{
        for (uint32_t i = 0; i < policy->n_devices; i++)
                vtd_admin_put_text(record, VTD_ADMIN_K_DEVICE, policy->devices[i].name);
        for (unsigned i = 0; i < VTD_POLICY_LIMIT_COUNT; i++)
                vtd_admin_put_number(record, vtd_admin_limit_key(i), policy->limits[i].value);
}

void vtd_administration_put_grant(const struct vtd_grant *grant, struct vtd_admin_record *record)
{
        char path[256];

        vtd_grant_path(grant, path, sizeof(path));
        vtd_admin_begin(record, VTD_ADMIN_GRANT);
        vtd_admin_put_text(record, VTD_ADMIN_K_TENANT, grant->policy.tenant);
        vtd_admin_put_text(record, VTD_ADMIN_K_NAME, grant->name);
        vtd_admin_put_number(record, VTD_ADMIN_K_UID, grant->policy.uid);
        vtd_admin_put_number(record, VTD_ADMIN_K_EXPIRES, vtd_grant_seconds(grant));
        vtd_admin_put_text(record, VTD_ADMIN_K_SOCKET, path);
        put_policy(&grant->policy, record);
}

void vtd_administration_put_vm(const struct vtd_worker *worker, struct vtd_admin_record *record)
{
        const struct vtd_worker_view view = vtd_worker_view(worker);

        vtd_admin_begin(record, VTD_ADMIN_VM);
        vtd_admin_put_text(record, VTD_ADMIN_K_TENANT, view.policy->tenant);
        vtd_admin_put_text(record, VTD_ADMIN_K_NAME, view.name);
        vtd_admin_put_number(record, VTD_ADMIN_K_VM, view.vm);
        vtd_admin_put_number(record, VTD_ADMIN_K_UID, view.policy->uid);
        vtd_admin_put_text(record, VTD_ADMIN_K_POLICY, view.policy->file);
        vtd_admin_put_text(record, VTD_ADMIN_K_STATE, view.state);
        vtd_admin_put_number(record, VTD_ADMIN_K_PID, (uint64_t)view.pid);
        vtd_admin_put_number(record, VTD_ADMIN_K_WORKER_UID, view.uid);
        vtd_admin_put_number(record, VTD_ADMIN_K_SECONDS, view.age_ms / 1000);
        vtd_admin_put_text(record, VTD_ADMIN_K_KILLED, view.killed);
        for (uint32_t i = 0; i < view.policy->n_devices; i++)
                if (view.open & UINT32_C(1) << i)
                        vtd_admin_put_text(record, VTD_ADMIN_K_OPEN, view.policy->devices[i].name);
        put_policy(view.policy, record);
}
