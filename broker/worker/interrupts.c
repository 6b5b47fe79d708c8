/* SPDX-License-Identifier: MIT */
/*
 * SetInterrupt and ClearInterrupts: see interrupts.h.  The descriptor is hostile, and whether it is an
 * eventfd is the host's to judge, because nothing but the kernel can: here it is only handed on.
 */
#include "broker/worker/interrupts.h"

#include "broker/worker/devices.h"
#include "shared/cleanup.h"

static uint32_t vectors_of(const struct vtd_device *d, enum vtd_interrupt_kind kind)
{
        return kind == VTD_INTERRUPT_MSI ? d->info.msi_vectors : d->info.msix_vectors;
}

uint32_t vtd_interrupts_offered(const struct vtd_vm *vm, const struct vtd_device *d,
                                enum vtd_interrupt_kind kind)
{
        uint64_t granted = vm->policy->limits[VTD_POLICY_INTERRUPTS].value;
        uint32_t vectors = vectors_of(d, kind);

        return vectors < granted ? vectors : (uint32_t)granted;
}

void vtd_interrupts_forget(struct vtd_vm *vm, struct vtd_device *d)
{
        vtd_quota_release(&vm->quota, VTD_POLICY_INTERRUPTS, d->vectors);
        d->vectors = 0;
}

static int find(struct vtd_vm *vm, struct vtd_call *call, struct vtd_device **out)
{
        const struct vtd_device_interrupt_request *request = &call->request->interrupt;
        size_t index;

        call->subject = request->device;
        call->detail[0] = request->kind;
        call->detail[1] = request->vector;
        if (vtd_devices_find(vm, request->device, &index) != 0)
                return vtd_call_refuse(call, VTD_REASON_DEVICE_HANDLE, request->device, 0, 0);
        *out = &vm->devices[index];
        return 0;
}

static int judge(struct vtd_vm *vm, struct vtd_call *call, struct vtd_device **out)
{
        const struct vtd_device_interrupt_request *request = &call->request->interrupt;
        struct vtd_device *d;
        int r;

        r = find(vm, call, &d);
        if (r != 0)
                return r;
        if (request->vector >= vectors_of(d, request->kind))
                return vtd_call_refuse(call, VTD_REASON_INTERRUPT_VECTOR, request->vector,
                                       vectors_of(d, request->kind), 0);
        if (d->vectors > 0 && d->vectors_kind != request->kind)
                return vtd_call_refuse(call, VTD_REASON_INTERRUPT_KIND, request->kind,
                                       d->vectors_kind, 0);
        *out = d;
        return 0;
}

int vtd_set_interrupt(struct vtd_vm *vm, struct vtd_call *call)
{
        const struct vtd_device_interrupt_request *request = &call->request->interrupt;
        VTD_CLEANUP_FD int fd = vtd_fd_list_take(call->fds);
        uint32_t needed = request->vector, before;
        struct vtd_device *d = NULL;
        int r;

        r = judge(vm, call, &d);
        if (r != 0)
                return r;
        before = d->vectors;
        needed++; /* does not wrap: it is below a number of vectors */
        if (needed > before) {
                r = vtd_call_charge(vm, call, VTD_POLICY_INTERRUPTS, needed - before,
                                    VTD_REASON_INTERRUPT_LIMIT);
                if (r != 0)
                        return r;
                d->vectors = needed;
                d->vectors_kind = request->kind;
        }
        vtd_call_slow_down(vm, call);
        r = vm->host->ops->set_interrupt(vm->host, d->id, request->kind, request->vector, fd);
        if (r == 0)
                return 0;
        if (before == 0) /* then the host has none armed, and has kept none */
                vtd_interrupts_forget(vm, d);
        if (r == VTD_HOST_E_INVALID)
                return vtd_call_refuse(call, VTD_REASON_EVENTFD_KIND, 0, 0, 0);
        return vtd_call_refuse_host(call, r);
}

int vtd_clear_interrupts(struct vtd_vm *vm, struct vtd_call *call)
{
        enum vtd_interrupt_kind kind = call->request->interrupt.kind;
        struct vtd_device *d;
        int r;

        r = find(vm, call, &d);
        if (r != 0)
                return r;
        if (d->vectors == 0 || d->vectors_kind != kind)
                return 0;
        r = vm->host->ops->clear_interrupts(vm->host, d->id, kind);
        if (r != 0)
                return vtd_call_refuse_host(call, r);
        vtd_interrupts_forget(vm, d);
        return 0;
}
