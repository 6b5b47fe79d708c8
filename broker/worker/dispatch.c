/* SPDX-License-Identifier: MIT */
/* The request table and the one place that runs handlers: see dispatch.h. */
#include "broker/worker/dispatch.h"

#include "broker/worker/attach.h"
#include "broker/worker/audit.h"
#include "broker/worker/clock.h"
#include "broker/worker/device_plane.h"
#include "broker/worker/devices.h"
#include "broker/worker/hello.h"
#include "broker/worker/interrupts.h"
#include "broker/worker/invalidate.h"
#include "broker/worker/memory.h"
#include "broker/worker/region.h"
#include "shared/checked.h"

/* In the protocol, decoded and judged like the others, but there is nothing behind it yet. */
static int not_built(struct vtd_vm *vm, struct vtd_call *call)
{
        (void)vm;
        return vtd_call_refuse(call, VTD_REASON_NOT_BUILT, call->request->type, 0, 0);
}

#define MUTATES VTD_DISPATCH_MUTATES
#define ALWAYS  VTD_DISPATCH_ALWAYS_AUDIT

static const struct vtd_dispatch_row rows[VTD_REQUEST_TYPE_END] = {
        [VTD_REQUEST_HELLO] = {VTD_VM_NEW, MUTATES, vtd_hello},
        [VTD_REQUEST_PLUG_DEVICE] = {VTD_VM_OPEN, MUTATES | ALWAYS, vtd_devices_plug},
        [VTD_REQUEST_UNPLUG_DEVICE] = {VTD_VM_OPEN, MUTATES | ALWAYS, vtd_devices_unplug},
        [VTD_REQUEST_MAP_MEMORY] = {VTD_VM_OPEN, MUTATES, vtd_memory_map},
        [VTD_REQUEST_UNMAP_MEMORY] = {VTD_VM_OPEN, MUTATES, vtd_memory_unmap},
        [VTD_REQUEST_ATTACH] = {VTD_VM_OPEN, MUTATES, vtd_attach},
        [VTD_REQUEST_INVALIDATE] = {VTD_VM_OPEN, MUTATES, vtd_invalidate},
        [VTD_REQUEST_REGION_READ] = {VTD_VM_OPEN, 0, vtd_region_read},
        [VTD_REQUEST_REGION_WRITE] = {VTD_VM_OPEN, 0, vtd_region_write},
        [VTD_REQUEST_GET_STATS] = {VTD_VM_OPEN, 0, vtd_get_stats},
        [VTD_REQUEST_SET_DIRTY_TRACKING] = {VTD_VM_OPEN, 0, not_built},
        [VTD_REQUEST_READ_DIRTY_BITMAP] = {VTD_VM_OPEN, 0, not_built},
        [VTD_REQUEST_SUBSCRIBE_PAGE_REQUESTS] = {VTD_VM_OPEN, 0, not_built},
        [VTD_REQUEST_RESPOND_PAGE_REQUEST] = {VTD_VM_OPEN, 0, not_built},
        [VTD_REQUEST_GET_DEVICE_INFO] = {VTD_VM_OPEN, 0, vtd_get_device_info},
        [VTD_REQUEST_CONFIG_READ] = {VTD_VM_OPEN, 0, vtd_config_read},
        [VTD_REQUEST_CONFIG_WRITE] = {VTD_VM_OPEN, MUTATES, vtd_config_write},
        [VTD_REQUEST_SET_INTERRUPT] = {VTD_VM_OPEN, MUTATES, vtd_set_interrupt},
        [VTD_REQUEST_CLEAR_INTERRUPTS] = {VTD_VM_OPEN, MUTATES, vtd_clear_interrupts},
        [VTD_REQUEST_RESET_DEVICE] = {VTD_VM_OPEN, MUTATES, vtd_reset_device},
};

const struct vtd_dispatch_row *vtd_dispatch_row(uint32_t type, enum vtd_vm_phase phase)
{
        if (type >= VTD_ARRAY_SIZE(rows) || !rows[type].handler || !(rows[type].phases & phase))
                return NULL;
        return &rows[type];
}

int vtd_dispatch(struct vtd_vm *vm, struct vtd_call *call)
{
        const struct vtd_dispatch_row *row = vtd_dispatch_row(call->request->type, vm->phase);
        uint64_t start;
        int r;

        if (!row || vtd_request_kind(call->request->type)->minor > vm->minor)
                return vtd_fail(vm->log, VTD_VM_E_VIOLATION,
                                "request type %u in phase %u of version %u.%u",
                                (unsigned)call->request->type, (unsigned)vm->phase,
                                VTD_PROTOCOL_MAJOR, vm->minor);
        start = vtd_clock_now();
        vm->host_audit.sequence = call->request->sequence;
        call->reply->type = call->request->type;
        call->reply->sequence = call->request->sequence;
        r = row->handler(vm, call);
        vm->host_audit.sequence = 0;
        vm->stats.requests++;
        if (r == VTD_CALL_E_FATAL)
                return VTD_VM_E_FATAL;
        if (call->reply->refused)
                vm->stats.refused++;
        vtd_audit_request(vm, call, (row->flags & VTD_DISPATCH_ALWAYS_AUDIT) != 0,
                          vtd_clock_now() - start);
        return 0;
}
