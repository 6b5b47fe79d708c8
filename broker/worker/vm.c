/* SPDX-License-Identifier: MIT */
/*
 * The VM object: creation with all memory it will ever use, one record in and one out, and the end.
 *
 * System calls of the core, beside those of the host back end, the supervisor's channel and the
 * log (the seccomp table is built from this list):
 *   clock_gettime     usually answered by the vDSO                       clock.c
 *   clock_nanosleep   back-off while the host is busy                    clock.c
 *   newfstatat        what fstat() calls: judging a passed descriptor    memory.c
 *   fcntl             F_GETFL, F_GET_SEALS                               memory.c
 *                     F_DUPFD_CLOEXEC, at least 3                        devices.c
 *   close             passed descriptors and device duplicates           memory.c, devices.c
 * brk, mmap and munmap are used by vtd_vm_new() and vtd_vm_free() only.
 */
#include "broker/worker/vm.h"

#include <errno.h>
#include <stdlib.h>

#include "broker/worker/attach.h"
#include "broker/worker/audit.h"
#include "broker/worker/clock.h"
#include "broker/worker/devices.h"
#include "broker/worker/dispatch.h"
#include "broker/worker/memory.h"
#include "broker/worker/tables.h"
#include "broker/worker/vm_state.h"
#include "shared/checked.h"

static int allocate_pools(struct vtd_vm *vm)
{
        const struct vtd_policy_limit *limits = vm->policy->limits;
        size_t devices = limits[VTD_POLICY_DEVICES].value;
        size_t mappings = limits[VTD_POLICY_MAPPINGS].value;
        size_t tables = limits[VTD_POLICY_FIRST_STAGE_TABLES].value;
        int r;

        if (devices > VTD_LIMIT_DEVICES || mappings > VTD_LIMIT_MAPPINGS ||
            tables > VTD_LIMIT_FIRST_STAGE_TABLES ||
            limits[VTD_POLICY_PASIDS].value > VTD_LIMIT_ATTACHMENTS ||
            limits[VTD_POLICY_INTERRUPTS].value > VTD_LIMIT_INTERRUPTS)
                return vtd_fail(vm->log, -EINVAL, "a limit of the policy is over its ceiling");
        vm->n_attachments = devices + limits[VTD_POLICY_PASIDS].value;
        r = vtd_handles_init(&vm->device_handles, VTD_HANDLE_DEVICE, devices);
        if (r == 0)
                r = vtd_handles_init(&vm->mapping_handles, VTD_HANDLE_MAPPING, mappings);
        if (r == 0)
                r = vtd_handles_init(&vm->table_handles, VTD_HANDLE_TABLE, tables);
        if (r < 0)
                return vtd_fail(vm->log, r, "cannot allocate handle slots");
        /* One more each, so that a limit of 0 is not taken for a failed allocation. */
        vm->devices = calloc(devices + 1, sizeof(*vm->devices));
        vm->config_spaces = calloc(devices + 1, sizeof(*vm->config_spaces));
        vm->mappings = calloc(mappings + 1, sizeof(*vm->mappings));
        vm->tables = calloc(tables + 1, sizeof(*vm->tables));
        vm->attachments = calloc(vm->n_attachments + 1, sizeof(*vm->attachments));
        if (!vm->devices || !vm->config_spaces || !vm->mappings || !vm->tables || !vm->attachments)
                return vtd_fail(vm->log, -ENOMEM, "cannot allocate the pools of the VM");
        return 0;
}

int vtd_vm_new(struct vtd_vm **out, const struct vtd_vm_config *config)
{
        const struct vtd_policy_limit *limits = config->policy->limits;
        struct vtd_vm *vm = calloc(1, sizeof(*vm));
        int r;

        if (!vm) {
                (void)config->host->ops->free(config->host);
                return vtd_fail(config->log, -ENOMEM, "cannot allocate the VM");
        }
        vm->policy = config->policy;
        vm->host_kind = config->host_kind;
        vm->audit_level = config->audit_level;
        vm->supervisor = config->supervisor;
        vm->log = config->log;
        vtd_host_audit_init(&vm->host_audit, config->host, config->supervisor, config->log,
                            config->audit_level);
        vm->host = &vm->host_audit.host;
        vm->phase = VTD_VM_NEW;
        vm->ioas = VTD_NO_ID;
        vm->scratch_ioas = VTD_NO_ID;
        vm->scratch_hwpt = VTD_NO_ID;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(vm->second_stages); i++)
                vm->second_stages[i].hwpt = VTD_NO_ID;
        vtd_quota_init(&vm->quota, config->policy);
        vtd_rate_init(&vm->rate, limits[VTD_POLICY_INVALIDATE_RATE].value,
                      limits[VTD_POLICY_INVALIDATE_BURST].value, vtd_clock_now());
        vtd_rate_init(&vm->device_rate, VTD_LIMIT_DEVICE_CALL_RATE, VTD_LIMIT_DEVICE_CALL_BURST,
                      vtd_clock_now());
        r = allocate_pools(vm);
        if (r < 0) {
                (void)vtd_vm_free(vm);
                return r;
        }
        *out = vm;
        return 0;
}

struct vtd_vm *vtd_vm_free(struct vtd_vm *vm)
{
        if (!vm)
                return NULL;
        (void)vm->host->ops->free(vm->host);
        vtd_handles_deinit(&vm->device_handles);
        vtd_handles_deinit(&vm->mapping_handles);
        vtd_handles_deinit(&vm->table_handles);
        free(vm->devices);
        free(vm->config_spaces);
        free(vm->mappings);
        free(vm->tables);
        free(vm->attachments);
        free(vm);
        return NULL;
}

int vtd_vm_request(struct vtd_vm *vm, const uint8_t *record, size_t length, struct vtd_fd_list *fds,
                   uint8_t *reply_record, size_t *reply_length, unsigned *delay_ms)
{
        struct vtd_request request;
        struct vtd_reply reply = {0};
        struct vtd_call call = {.request = &request, .fds = fds, .reply = &reply};
        int r;

        if (vtd_codec_decode_request(&vm->codec, &request, record, length, fds->count) != 0)
                return vtd_fail(vm->log, VTD_VM_E_VIOLATION, "malformed record of %zu bytes",
                                length);
        r = vtd_dispatch(vm, &call);
        if (r != 0)
                return r;
        /* Cannot fail for a reply that follows message.h; a client must not wait for ever if it
         * does all the same. */
        r = vtd_codec_encode_reply(&reply, reply_record, reply_length);
        if (r != 0)
                return vtd_fail(vm->log, VTD_VM_E_FATAL, "reply to request type %u: %d",
                                (unsigned)request.type, r);
        *delay_ms = (unsigned)((call.delay_ns + 999999) / 1000000);
        return 0;
}

bool vtd_vm_step(struct vtd_vm *vm)
{
        return vm->host->ops->step(vm->host);
}

/*
 * First half of the end: no device can reach memory afterwards.  A device that cannot be detached
 * is closed at once: vtd-brokerd's last close detaches it.
 */
static void block_all(struct vtd_vm *vm)
{
        uint64_t attachments = 0;
        int result = 0;

        for (size_t i = 0; i < vm->n_attachments; i++)
                attachments += vm->attachments[i].used;
        for (size_t i = 0; i < vm->device_handles.capacity; i++) {
                if (!vtd_handles_used(&vm->device_handles, i))
                        continue;
                if (vtd_attach_block_device(vm, i) == 0)
                        continue;
                result = -EIO;
                vtd_tables_leave_second_stage(vm, &vm->devices[i]);
                if (vtd_devices_close(vm, i) == 0)
                        vtd_attach_forget_device(vm, i);
        }
        vtd_audit_event(vm, VTD_AUDIT_EVENT_BLOCKED, result, attachments);
}

static void release_all(struct vtd_vm *vm)
{
        uint64_t devices = 0;
        int result = 0;

        vtd_tables_collect(vm); /* first-stage tables; second-stage ones are still joined */
        vtd_memory_unmap_all(vm);
        for (size_t i = 0; i < vm->device_handles.capacity; i++)
                if (vtd_handles_used(&vm->device_handles, i))
                        vtd_tables_leave_second_stage(vm, &vm->devices[i]);
        vtd_tables_collect(vm);
        vtd_tables_destroy_ioas(vm);
        for (size_t i = 0; i < vm->device_handles.capacity; i++) {
                if (!vtd_handles_used(&vm->device_handles, i))
                        continue;
                devices++;
                if (vtd_devices_close(vm, i) != 0)
                        result = -EIO;
        }
        vtd_audit_event(vm, VTD_AUDIT_EVENT_RELEASED, result, devices);
}

void vtd_vm_end(struct vtd_vm *vm, enum vtd_audit_event reason)
{
        if (vm->phase == VTD_VM_ENDED)
                return;
        vm->phase = VTD_VM_ENDED;
        vtd_audit_event(vm, reason, 0, 0);
        block_all(vm);
        release_all(vm);
}
