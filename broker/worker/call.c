/* SPDX-License-Identifier: MIT */
/* Refusals: see call.h. */
#include "broker/worker/call.h"

#include "broker/worker/clock.h"
#include "policy/judge.h"

int vtd_call_refuse(struct vtd_call *call, enum vtd_reason reason, uint64_t asked, uint64_t allowed,
                    uint32_t line)
{
        call->reply->refused = true;
        call->reply->refusal = (struct vtd_refusal){
                .status = vtd_reason_status(reason),
                .reason = reason,
                .asked = asked,
                .allowed = allowed,
        };
        call->line = line;
        return VTD_CALL_E_REFUSED;
}

int vtd_call_refuse_host(struct vtd_call *call, int result)
{
        if (result == VTD_HOST_E_BUSY)
                return vtd_call_refuse(call, VTD_REASON_DEVICE_BUSY, 0, 0, 0);
        if (result == VTD_HOST_E_LIMIT)
                return vtd_call_refuse(call, VTD_REASON_HOST_LIMIT, 0, 0, 0);
        return vtd_call_refuse(call, VTD_REASON_HOST_FAILED, 0, 0, 0);
}

void vtd_call_slow_down(struct vtd_vm *vm, struct vtd_call *call)
{
        call->delay_ns = vtd_rate_take(&vm->device_rate, 1, vtd_clock_now()).delay_ns;
        vm->stats.delayed_us += call->delay_ns / 1000;
}

int vtd_call_charge(struct vtd_vm *vm, struct vtd_call *call, enum vtd_policy_limit_index account,
                    uint64_t amount, enum vtd_reason reason)
{
        struct vtd_policy_verdict verdict;

        if (vtd_quota_charge(&vm->quota, account, amount) == 0)
                return 0;
        verdict = vtd_policy_judge_limit(vm->policy, account, vtd_quota_used(&vm->quota, account),
                                         amount);
        return vtd_call_refuse(call, reason, verdict.asked, verdict.allowed, verdict.line);
}
