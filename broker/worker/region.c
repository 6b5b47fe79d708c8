/* SPDX-License-Identifier: MIT */
/* RegionRead and RegionWrite: see region.h. */
#include "broker/worker/region.h"

#include "broker/worker/devices.h"
#include "policy/judge.h"
#include "shared/checked.h"

static int judge(struct vtd_vm *vm, struct vtd_call *call, bool write, uint32_t *device)
{
        const struct vtd_region_request *request = &call->request->region;
        const struct vtd_policy_device *rule;
        struct vtd_policy_verdict verdict;
        uint64_t size, end;
        size_t index;

        call->subject = request->device;
        call->detail[0] = request->region;
        call->detail[1] = request->offset;
        call->detail[2] = request->width;
        if (vtd_devices_find(vm, request->device, &index) != 0)
                return vtd_call_refuse(call, VTD_REASON_DEVICE_HANDLE, request->device, 0, 0);
        rule = &vm->policy->devices[vm->devices[index].index];
        verdict = vtd_policy_judge_region(rule, request->region, write);
        if (!verdict.granted)
                return vtd_call_refuse(call, VTD_REASON_REGION_NOT_GRANTED, verdict.asked, 0,
                                       verdict.line);
        size = vm->devices[index].info.region_size[request->region];
        if (!vtd_range_within(request->offset, request->width, size)) {
                if (!vtd_add_u64(request->offset, request->width, &end))
                        end = UINT64_MAX;
                return vtd_call_refuse(call, VTD_REASON_REGION_RANGE, end, size, 0);
        }
        if (request->offset % request->width != 0)
                return vtd_call_refuse(call, VTD_REASON_ALIGNMENT, request->offset, request->width,
                                       0);
        *device = vm->devices[index].id;
        return 0;
}

int vtd_region_read(struct vtd_vm *vm, struct vtd_call *call)
{
        const struct vtd_region_request *request = &call->request->region;
        uint64_t value = 0;
        uint32_t device;
        int r;

        r = judge(vm, call, false, &device);
        if (r != 0)
                return r;
        r = vm->host->ops->region_read(vm->host, device, request->region, request->offset,
                                       request->width, &value);
        if (r != 0)
                return vtd_call_refuse_host(call, r);
        call->reply->region_read.value = value;
        return 0;
}

int vtd_region_write(struct vtd_vm *vm, struct vtd_call *call)
{
        const struct vtd_region_request *request = &call->request->region;
        uint32_t device;
        int r;

        r = judge(vm, call, true, &device);
        if (r != 0)
                return r;
        r = vm->host->ops->region_write(vm->host, device, request->region, request->offset,
                                        request->width, request->value);
        return r == 0 ? 0 : vtd_call_refuse_host(call, r);
}
