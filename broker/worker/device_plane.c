/* SPDX-License-Identifier: MIT */
/*
 * See device_plane.h.  Which bits of configuration space pass is config_space.c's to say; what is
 * done here is judging the access, and Bus Master Enable, which is the VMM's wish and the broker's
 * to grant.
 */
#include "broker/worker/device_plane.h"

#include "broker/worker/attach.h"
#include "broker/worker/clock.h"
#include "broker/worker/devices.h"
#include "broker/worker/interrupts.h"
#include "policy/judge.h"
#include "shared/checked.h"

int vtd_get_device_info(struct vtd_vm *vm, struct vtd_call *call)
{
        struct vtd_device_info_reply *reply = &call->reply->device_info;
        const struct vtd_policy_device *rule;
        const struct vtd_device *d;
        size_t index;

        call->subject = call->request->device.device;
        if (vtd_devices_find(vm, call->subject, &index) != 0)
                return vtd_call_refuse(call, VTD_REASON_DEVICE_HANDLE, call->subject, 0, 0);
        d = &vm->devices[index];
        rule = &vm->policy->devices[d->index];
        *reply = (struct vtd_device_info_reply){
                .config_readable = (rule->regions_read & VTD_POLICY_REGION_CONFIG) != 0,
                .config_writable = (rule->regions_write & VTD_POLICY_REGION_CONFIG) != 0,
                .msi_vectors = vtd_interrupts_offered(vm, d, VTD_INTERRUPT_MSI),
                .msix_vectors = vtd_interrupts_offered(vm, d, VTD_INTERRUPT_MSIX),
                .can_reset = d->info.can_reset,
        };
        for (uint32_t i = 0; i < VTD_REGIONS; i++) {
                uint64_t size = d->info.region_size[i];

                reply->regions[i] = (struct vtd_device_region){
                        .size = size,
                        .readable = size > 0 && (rule->regions_read & 1u << i),
                        .writable = size > 0 && (rule->regions_write & 1u << i),
                };
        }
        return 0;
}

/* The device that the access may be made to. */
static int judge(struct vtd_vm *vm, struct vtd_call *call, bool write, size_t *index)
{
        const struct vtd_config_request *request = &call->request->config;
        const struct vtd_policy_device *rule;
        struct vtd_policy_verdict verdict;
        uint32_t size;

        call->subject = request->device;
        call->detail[0] = request->offset;
        call->detail[1] = request->width;
        call->detail[2] = request->value;
        if (vtd_devices_find(vm, request->device, index) != 0)
                return vtd_call_refuse(call, VTD_REASON_DEVICE_HANDLE, request->device, 0, 0);
        rule = &vm->policy->devices[vm->devices[*index].index];
        verdict = vtd_policy_judge_config(rule, write);
        if (!verdict.granted)
                return vtd_call_refuse(call, VTD_REASON_CONFIG_NOT_GRANTED, 0, 0, verdict.line);
        size = vm->config_spaces[*index].size;
        if (!vtd_range_within(request->offset, request->width, size))
                return vtd_call_refuse(call, VTD_REASON_REGION_RANGE,
                                       (uint64_t)request->offset + request->width, size, 0);
        if (request->offset % request->width != 0)
                return vtd_call_refuse(call, VTD_REASON_ALIGNMENT, request->offset, request->width,
                                       0);
        return 0;
}

int vtd_config_read(struct vtd_vm *vm, struct vtd_call *call)
{
        const struct vtd_config_request *request = &call->request->config;
        uint32_t value = 0;
        size_t index;
        int r;

        r = judge(vm, call, false, &index);
        if (r != 0)
                return r;
        r = vtd_config_space_read(&vm->config_spaces[index], vm->host, vm->devices[index].id,
                                  request->offset, request->width, &value);
        if (r != 0)
                return vtd_call_refuse_host(call, r);
        call->reply->config_read.value = value;
        return 0;
}

/* A refusal leaves the wish as it was. */
static int wish_bus_master(struct vtd_vm *vm, struct vtd_call *call, size_t index, bool on)
{
        struct vtd_device *d = &vm->devices[index];
        bool before = d->bus_master_wished;
        int r;

        d->bus_master_wished = on;
        r = vtd_attach_settle_bus_master(vm, index);
        if (r != 0) {
                d->bus_master_wished = before;
                return vtd_call_refuse_host(call, r);
        }
        vtd_config_space_show_bus_master(&vm->config_spaces[index], on);
        return 0;
}

int vtd_config_write(struct vtd_vm *vm, struct vtd_call *call)
{
        const struct vtd_config_request *request = &call->request->config;
        size_t index;
        bool on;
        int r;

        r = judge(vm, call, true, &index);
        if (r != 0)
                return r;
        if (vtd_config_space_sets_bus_master(request->offset, request->width, request->value, &on))
                return wish_bus_master(vm, call, index, on);
        r = vtd_config_space_write(&vm->config_spaces[index], vm->host, vm->devices[index].id,
                                   request->offset, request->width, request->value);
        return r == 0 ? 0 : vtd_call_refuse_host(call, r);
}

/*
 * The host keeps attachments and armed vectors over a reset.  What became of the command register,
 * also in a reset that failed half-way, is not relied on: it is brought to what the books say.
 */
int vtd_reset_device(struct vtd_vm *vm, struct vtd_call *call)
{
        struct vtd_device *d;
        unsigned tries = 0;
        int r, settled;
        size_t index;

        call->subject = call->request->device.device;
        if (vtd_devices_find(vm, call->subject, &index) != 0)
                return vtd_call_refuse(call, VTD_REASON_DEVICE_HANDLE, call->subject, 0, 0);
        d = &vm->devices[index];
        if (!d->info.can_reset)
                return vtd_call_refuse(call, VTD_REASON_NO_RESET, 0, 0,
                                       vm->policy->devices[d->index].line);
        vtd_call_slow_down(vm, call);
        do
                r = vm->host->ops->reset(vm->host, d->id);
        while (r == VTD_HOST_E_BUSY && vtd_clock_back_off(&tries));
        settled = vtd_attach_renew_bus_master(vm, index);
        if (r == 0)
                r = settled;
        return r == 0 ? 0 : vtd_call_refuse_host(call, r);
}
