/* SPDX-License-Identifier: MIT */
/*
 * PlugDevice and UnplugDevice: see devices.h.
 *
 * A device's reserved ranges enter an IOAS only while it is attached there.  They are learnt at
 * plug over an empty scratch IOAS, where the device can reach nothing, so that memory which would
 * make a later attach fail is refused when it is mapped (or the plug, when it is mapped already).
 */
#include "broker/worker/devices.h"

#include <fcntl.h>
#include <string.h>

#include "broker/worker/attach.h"
#include "broker/worker/audit.h"
#include "broker/worker/capability.h"
#include "broker/worker/clock.h"
#include "broker/worker/interrupts.h"
#include "broker/worker/memory.h"
#include "broker/worker/tables.h"
#include "shared/checked.h"
#include "shared/cleanup.h"
#include "shared/error.h"

/* Widest second-stage input address that VT-d knows. */
#define ADDRESS_LIMIT_MAX (UINT64_C(1) << 57)

/* n usable ranges leave at most n + 1 reserved ones. */
#define USABLE_RANGES_MAX (VTD_LIMIT_RESERVED_RANGES - 1)

int vtd_devices_find(const struct vtd_vm *vm, uint64_t handle, size_t *index)
{
        size_t i;

        if (vtd_handles_find(&vm->device_handles, handle, &i) != 0 || !vm->devices[i].ready)
                return VTD_HANDLES_E_ABSENT;
        *index = i;
        return 0;
}

static bool find_by_policy_index(const struct vtd_vm *vm, uint32_t policy_index, size_t *index)
{
        for (size_t i = 0; i < vm->device_handles.capacity; i++) {
                if (vtd_handles_used(&vm->device_handles, i) &&
                    vm->devices[i].index == policy_index) {
                        *index = i;
                        return true;
                }
        }
        return false;
}

static int open_device(struct vtd_vm *vm, struct vtd_call *call, struct vtd_device *d, int *fd)
{
        const struct vtd_policy_device *rule = &vm->policy->devices[d->index];

        switch (vtd_supervisor_open_device(vm->supervisor, d->index, fd)) {
        case 0:
                d->opened = true;
                return 0;
        case VTD_SUPERVISOR_E_HELD:
                return vtd_call_refuse(call, VTD_REASON_DEVICE_BUSY, 0, 0, 0);
        case VTD_SUPERVISOR_E_GROUP:
                return vtd_call_refuse(call, VTD_REASON_GROUP_SHARED, 0, 0, rule->line);
        case VTD_SUPERVISOR_E_BRIDGE:
                return vtd_call_refuse(call, VTD_REASON_HOST_BRIDGE, 0, 0, 0);
        case VTD_SUPERVISOR_E_NO_IOMMU:
                return vtd_call_refuse(call, VTD_REASON_HOST_NOT_VTD, 0, 0, 0);
        case VTD_SUPERVISOR_E_MISSING:
                return vtd_call_refuse(call, VTD_REASON_HOST_DEVICE, 0, 0, 0);
        default:
                return VTD_CALL_E_FATAL;
        }
}

/* The host consumes a descriptor with each try, so every try gets a duplicate. */
static int bind_device(struct vtd_vm *vm, struct vtd_call *call, struct vtd_device *d, int fd)
{
        unsigned tries = 0;
        int r, copy;

        do {
                copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
                if (copy < 0) {
                        (void)vtd_fail(vm->log, 0, "cannot duplicate a device descriptor: %d",
                                       -vtd_errno());
                        return vtd_call_refuse(call, VTD_REASON_HOST_LIMIT, 0, 0, 0);
                }
                r = vm->host->ops->bind(vm->host, copy, &d->id);
        } while (r == VTD_HOST_E_BUSY && vtd_clock_back_off(&tries));
        if (r == VTD_HOST_E_BUSY || r == VTD_HOST_E_LIMIT)
                return vtd_call_refuse_host(call, r);
        if (r != 0)
                return vtd_call_refuse(call, VTD_REASON_HOST_DEVICE, 0, 0, 0);
        d->bound = true;
        return 0;
}

static int judge_device(struct vtd_vm *vm, struct vtd_call *call, struct vtd_device *d)
{
        const struct vtd_policy_device *rule = &vm->policy->devices[d->index];

        if (vm->host->ops->device_info(vm->host, d->id, &d->info) != 0)
                return vtd_call_refuse(call, VTD_REASON_HOST_DEVICE, 0, 0, 0);
        if (!d->info.is_vtd)
                return vtd_call_refuse(call, VTD_REASON_HOST_NOT_VTD, 0, 0, 0);
        if (!vtd_capability_nested(&d->info))
                return vtd_call_refuse(call, VTD_REASON_HOST_NO_NESTING, 0, 0, 0);
        if (!vtd_capability_snoop_control(&d->info) &&
            !(rule->exceptions & VTD_POLICY_ALLOW_NO_SNOOP_CONTROL))
                return vtd_call_refuse(call, VTD_REASON_NO_SNOOP_CONTROL, 0, 0, rule->line);
        if (!d->info.can_reset && !(rule->exceptions & VTD_POLICY_ALLOW_NO_RESET))
                return vtd_call_refuse(call, VTD_REASON_NO_RESET, 0, 0, rule->line);
        if (vm->policy->limits[VTD_POLICY_PASIDS].value > 0)
                d->pasid_bits = d->info.pasid_bits < 20 ? d->info.pasid_bits : 20;
        return 0;
}

/* The complement of @usable, which ascends; the last reserved range begins at the address limit. */
static void take_reserved(struct vtd_device *d, const struct vtd_address_range *usable,
                          size_t n_usable)
{
        uint64_t next = 0;
        bool more = true; /* false when the usable ranges reach the end of the address space */

        d->n_reserved = 0;
        for (size_t i = 0; i < n_usable && more; i++) {
                if (usable[i].start > next)
                        d->reserved[d->n_reserved++] =
                                (struct vtd_address_range){next, usable[i].start - 1};
                more = vtd_add_u64(usable[i].last, 1, &next);
        }
        if (more)
                d->reserved[d->n_reserved++] = (struct vtd_address_range){next, UINT64_MAX};
        d->address_limit = more && next < ADDRESS_LIMIT_MAX ? next : ADDRESS_LIMIT_MAX;
}

static int probe_scratch(struct vtd_vm *vm, struct vtd_device *d, struct vtd_address_range *usable,
                         size_t *n_usable)
{
        const struct vtd_host_ops *ops = vm->host->ops;
        uint32_t id;
        int r;

        r = ops->ioas_alloc(vm->host, &id);
        if (r != 0)
                return r;
        vm->scratch_ioas = id;
        r = ops->second_stage_alloc(vm->host, d->id, vm->scratch_ioas, d->pasid_bits > 0, &id);
        if (r != 0)
                return r;
        vm->scratch_hwpt = id;
        d->probing = true;
        r = vtd_attach_host(vm, d->id, VTD_NO_PASID, vm->scratch_hwpt);
        if (r != 0)
                return r;
        return ops->ioas_ranges(vm->host, vm->scratch_ioas, usable, USABLE_RANGES_MAX, n_usable);
}

static int learn_reserved(struct vtd_vm *vm, struct vtd_call *call, size_t index)
{
        struct vtd_address_range usable[USABLE_RANGES_MAX];
        struct vtd_device *d = &vm->devices[index];
        uint64_t start, end;
        size_t n_usable;
        int r;

        vtd_tables_collect(vm);
        if (vm->scratch_ioas != VTD_NO_ID) /* the host keeps refusing to destroy an earlier one */
                return vtd_call_refuse(call, VTD_REASON_HOST_FAILED, 0, 0, 0);
        r = probe_scratch(vm, d, usable, &n_usable);
        if (r != 0)
                return vtd_call_refuse_host(call, r);
        r = vtd_attach_block_device(vm, index);
        if (r != 0)
                return r;
        vtd_tables_collect(vm);
        take_reserved(d, usable, n_usable);
        for (size_t i = 0; i < d->n_reserved; i++)
                if (vtd_memory_touches(vm, &d->reserved[i], &start, &end))
                        return vtd_call_refuse(call, VTD_REASON_RESERVED_RANGE, start,
                                               d->reserved[i].start, 0);
        return 0;
}

static int learn_config(struct vtd_vm *vm, struct vtd_call *call, size_t index)
{
        struct vtd_device *d = &vm->devices[index];
        const struct vtd_config_vectors vectors = {
                .msi = vtd_interrupts_offered(vm, d, VTD_INTERRUPT_MSI),
                .msix = vtd_interrupts_offered(vm, d, VTD_INTERRUPT_MSIX),
        };
        uint64_t detail = 0;
        int r;

        if (!(vm->policy->devices[d->index].regions_read & VTD_POLICY_REGION_CONFIG))
                return 0;
        r = vtd_config_space_learn(&vm->config_spaces[index], vm->host, d->id, &d->info, &vectors,
                                   &detail);
        if (r == VTD_CONFIG_E_BROKEN)
                return vtd_call_refuse(call, VTD_REASON_HOST_CONFIG, detail, 0, 0);
        return r == 0 ? 0 : vtd_call_refuse_host(call, (int)detail);
}

static int bring_up(struct vtd_vm *vm, struct vtd_call *call, size_t index)
{
        struct vtd_device *d = &vm->devices[index];
        VTD_CLEANUP_FD int fd = -1;
        int r;

        r = open_device(vm, call, d, &fd);
        if (r == 0)
                r = bind_device(vm, call, d, fd);
        if (r == 0)
                r = judge_device(vm, call, d);
        if (r == 0)
                r = learn_config(vm, call, index);
        if (r == 0)
                r = learn_reserved(vm, call, index);
        if (r == 0)
                r = vtd_tables_join_second_stage(vm, call, d);
        return r;
}

int vtd_devices_close(struct vtd_vm *vm, size_t index)
{
        struct vtd_device *d = &vm->devices[index];

        d->ready = false;
        if (d->bound) {
                if (vm->host->ops->release(vm->host, d->id) != 0)
                        return VTD_CALL_E_REFUSED;
                d->bound = false;
                d->bus_master = false; /* there is nothing left to turn it off with */
        }
        if (d->opened) {
                if (vtd_supervisor_close_device(vm->supervisor, d->index) != 0)
                        return VTD_CALL_E_FATAL;
                d->opened = false;
        }
        vtd_interrupts_forget(vm, d);
        vtd_handles_release(&vm->device_handles, index);
        vtd_quota_release(&vm->quota, VTD_POLICY_DEVICES, 1);
        return 0;
}

static int tear_down(struct vtd_vm *vm, size_t index)
{
        struct vtd_device *d = &vm->devices[index];
        int r;

        r = vtd_attach_block_device(vm, index);
        if (r != 0)
                return r;
        vtd_tables_leave_second_stage(vm, d);
        vtd_tables_collect(vm);
        return vtd_devices_close(vm, index);
}

/* A slot for a device that this VM does not have. */
static int claim(struct vtd_vm *vm, struct vtd_call *call, uint32_t policy_index, size_t *index)
{
        int r;

        if (find_by_policy_index(vm, policy_index, index)) {
                if (vm->devices[*index].ready)
                        return vtd_call_refuse(call, VTD_REASON_DEVICE_PLUGGED, 0, 0, 0);
                /* An earlier release failed: the device must be given back first. */
                r = tear_down(vm, *index);
                if (r == VTD_CALL_E_REFUSED)
                        return vtd_call_refuse(call, VTD_REASON_HOST_DEVICE, 0, 0, 0);
                if (r != 0)
                        return r;
        }
        r = vtd_call_charge(vm, call, VTD_POLICY_DEVICES, 1, VTD_REASON_DEVICE_LIMIT);
        if (r != 0)
                return r;
        if (vtd_handles_take(&vm->device_handles, index) != 0) {
                vtd_quota_release(&vm->quota, VTD_POLICY_DEVICES, 1);
                return vtd_call_refuse(call, VTD_REASON_HOST_LIMIT, 0, 0, 0);
        }
        vm->devices[*index] = (struct vtd_device){
                .index = policy_index, .second_stage = VTD_NO_INDEX, .bus_master_wished = true};
        vm->config_spaces[*index] = (struct vtd_config_space){0};
        return 0;
}

static uint32_t readable_regions(const struct vtd_device *d, const struct vtd_policy_device *rule)
{
        uint32_t regions = 0;

        for (uint32_t i = 0; i < VTD_REGIONS; i++)
                if ((rule->regions_read & 1u << i) && d->info.region_size[i] > 0)
                        regions |= 1u << i;
        return regions;
}

int vtd_devices_plug(struct vtd_vm *vm, struct vtd_call *call)
{
        const char *name = call->request->plug_device.name.text;
        const struct vtd_policy_device *rule = vtd_policy_find_device(vm->policy, name);
        struct vtd_plug_device_reply *reply = &call->reply->plug_device;
        struct vtd_device *d;
        size_t index;
        int r;

        if (!rule)
                return vtd_call_refuse(call, VTD_REASON_DEVICE_NOT_GRANTED, 0, 0,
                                       vm->policy->tenant_line);
        r = claim(vm, call, (uint32_t)(rule - vm->policy->devices), &index);
        if (r != 0)
                return r;
        r = bring_up(vm, call, index);
        if (r == VTD_CALL_E_REFUSED && tear_down(vm, index) == VTD_CALL_E_FATAL)
                return VTD_CALL_E_FATAL;
        if (r != 0)
                return r;
        d = &vm->devices[index];
        d->ready = true;
        call->subject = vtd_handles_name(&vm->device_handles, index);
        *reply = (struct vtd_plug_device_reply){
                .device = call->subject,
                .pasid_bits = d->pasid_bits,
                .regions = readable_regions(d, rule),
                .n_reserved = d->n_reserved,
        };
        vtd_capability_mask(&d->info, vm->policy, &reply->cap, &reply->ecap);
        memcpy(reply->reserved, d->reserved, sizeof(reply->reserved));
        return 0;
}

int vtd_devices_unplug(struct vtd_vm *vm, struct vtd_call *call)
{
        size_t index;
        int r;

        call->subject = call->request->unplug_device.device;
        if (vtd_devices_find(vm, call->subject, &index) != 0)
                return vtd_call_refuse(call, VTD_REASON_DEVICE_HANDLE, call->subject, 0, 0);
        r = tear_down(vm, index);
        if (r == VTD_CALL_E_REFUSED)
                return vtd_call_refuse(call, VTD_REASON_HOST_FAILED, 0, 0, 0);
        return r;
}
