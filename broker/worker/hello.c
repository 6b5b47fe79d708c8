/* SPDX-License-Identifier: MIT */
/* Hello and GetStats: see hello.h. */
#include "broker/worker/hello.h"

#include "shared/checked.h"

/* No optional feature exists yet. */
#define FEATURES UINT64_C(0)

static uint32_t lower(uint32_t a, uint32_t b)
{
        return a < b ? a : b;
}

/*
 * The major version must match: a client that asks for another is told which one, and may say Hello
 * again.  Of the minor versions the lower one is spoken.
 */
int vtd_hello(struct vtd_vm *vm, struct vtd_call *call)
{
        const struct vtd_hello_request *request = &call->request->hello;
        const struct vtd_policy_limit *limits = vm->policy->limits;

        if (request->major != VTD_PROTOCOL_MAJOR)
                return vtd_call_refuse(call, VTD_REASON_VERSION, request->major, VTD_PROTOCOL_MAJOR,
                                       0);
        if (vtd_supervisor_greeted(vm->supervisor) != 0)
                return VTD_CALL_E_FATAL;
        vm->phase = VTD_VM_OPEN;
        vm->minor = lower(request->minor, VTD_PROTOCOL_MINOR);
        call->reply->hello = (struct vtd_hello_reply){
                .major = VTD_PROTOCOL_MAJOR,
                .minor = vm->minor,
                .features = request->features & FEATURES,
                .host = vm->host_kind,
                .memory = limits[VTD_POLICY_MEMORY].value,
                .mappings = (uint32_t)limits[VTD_POLICY_MAPPINGS].value,
                .devices = (uint32_t)limits[VTD_POLICY_DEVICES].value,
                .first_stage_tables = (uint32_t)limits[VTD_POLICY_FIRST_STAGE_TABLES].value,
                .pasids = (uint32_t)limits[VTD_POLICY_PASIDS].value,
                .modes = vm->policy->modes | 1u << (VTD_ATTACH_BLOCKED - 1),
        };
        return 0;
}

void vtd_stats_now(const struct vtd_vm *vm, struct vtd_stats *stats)
{
        *stats = vm->stats;
        stats->host_calls = vm->host_audit.calls;
        stats->memory = vtd_quota_used(&vm->quota, VTD_POLICY_MEMORY);
        stats->mappings = (uint32_t)vtd_quota_used(&vm->quota, VTD_POLICY_MAPPINGS);
        stats->devices = (uint32_t)vtd_quota_used(&vm->quota, VTD_POLICY_DEVICES);
        stats->first_stage_tables =
                (uint32_t)vtd_quota_used(&vm->quota, VTD_POLICY_FIRST_STAGE_TABLES);
        stats->second_stage_tables = 0;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(vm->second_stages); i++)
                stats->second_stage_tables += vm->second_stages[i].hwpt != VTD_NO_ID;
        stats->attachments = 0;
        for (size_t i = 0; i < vm->n_attachments; i++)
                stats->attachments += vm->attachments[i].used;
}

int vtd_get_stats(struct vtd_vm *vm, struct vtd_call *call)
{
        vtd_stats_now(vm, &call->reply->stats);
        return 0;
}
