/* SPDX-License-Identifier: MIT */
/* Attach, and blocking in all its forms: see attach.h. */
#include "broker/worker/attach.h"

#include "broker/worker/audit.h"
#include "broker/worker/clock.h"
#include "broker/worker/devices.h"
#include "broker/worker/tables.h"
#include "policy/judge.h"

int vtd_attach_host(struct vtd_vm *vm, uint32_t device, uint32_t pasid, uint32_t hwpt)
{
        unsigned tries = 0;
        int r;

        do
                r = vm->host->ops->attach(vm->host, device, pasid, hwpt);
        while (r == VTD_HOST_E_BUSY && vtd_clock_back_off(&tries));
        return r;
}

int vtd_attach_host_detach(struct vtd_vm *vm, uint32_t device, uint32_t pasid)
{
        unsigned tries = 0;
        int r;

        do
                r = vm->host->ops->detach(vm->host, device, pasid);
        while (r == VTD_HOST_E_BUSY && vtd_clock_back_off(&tries));
        return r;
}

static struct vtd_attachment *find_attachment(struct vtd_vm *vm, size_t device, uint32_t pasid)
{
        for (size_t i = 0; i < vm->n_attachments; i++) {
                struct vtd_attachment *a = &vm->attachments[i];

                if (a->used && a->device == device && a->pasid == pasid)
                        return a;
        }
        return NULL;
}

static bool device_is_attached(const struct vtd_vm *vm, size_t device)
{
        for (size_t i = 0; i < vm->n_attachments; i++)
                if (vm->attachments[i].used && vm->attachments[i].device == device)
                        return true;
        return false;
}

static bool bus_master_due(const struct vtd_vm *vm, size_t device)
{
        return vm->devices[device].bus_master_wished && device_is_attached(vm, device);
}

int vtd_attach_settle_bus_master(struct vtd_vm *vm, size_t device)
{
        struct vtd_device *d = &vm->devices[device];
        bool on = bus_master_due(vm, device);
        int r;

        if (d->bus_master == on)
                return 0;
        /* While its state is uncertain it counts as on, so that blocking turns it off. */
        d->bus_master = true;
        r = vm->host->ops->bus_master(vm->host, d->id, on);
        if (r == 0)
                d->bus_master = on;
        return r;
}

int vtd_attach_renew_bus_master(struct vtd_vm *vm, size_t device)
{
        vm->devices[device].bus_master = !bus_master_due(vm, device); /* as if it were wrong */
        return vtd_attach_settle_bus_master(vm, device);
}

static void leave_table(struct vtd_vm *vm, size_t table)
{
        if (table != VTD_NO_INDEX)
                vm->tables[table].attachments--;
}

static void forget(struct vtd_vm *vm, struct vtd_attachment *a)
{
        leave_table(vm, a->table);
        if (a->pasid != VTD_NO_PASID)
                vtd_quota_release(&vm->quota, VTD_POLICY_PASIDS, 1);
        *a = (struct vtd_attachment){0};
}

void vtd_attach_forget_device(struct vtd_vm *vm, size_t device)
{
        for (size_t i = 0; i < vm->n_attachments; i++)
                if (vm->attachments[i].used && vm->attachments[i].device == device)
                        forget(vm, &vm->attachments[i]);
}

/* Detaches one attachment and drops its record.  The record stays when the host fails. */
static int block(struct vtd_vm *vm, struct vtd_attachment *a)
{
        struct vtd_device *d = &vm->devices[a->device];
        int r = vtd_attach_host_detach(vm, d->id, a->pasid);

        if (r != 0)
                return vtd_fail(vm->log, VTD_CALL_E_FATAL,
                                "device %s, PASID %u: detach failed (%d), DMA may go on",
                                vm->policy->devices[d->index].name, a->pasid, r);
        forget(vm, a);
        return 0;
}

int vtd_attach_block_device(struct vtd_vm *vm, size_t device)
{
        struct vtd_device *d = &vm->devices[device];
        int result = 0;

        for (size_t i = 0; i < vm->n_attachments; i++) {
                struct vtd_attachment *a = &vm->attachments[i];

                if (a->used && a->device == device && block(vm, a) != 0)
                        result = VTD_CALL_E_FATAL;
        }
        if (d->probing) {
                if (vtd_attach_host_detach(vm, d->id, VTD_NO_PASID) == 0)
                        d->probing = false;
                else
                        result = VTD_CALL_E_FATAL;
        }
        /* Also when a detach failed: it is the second lock on the same door. */
        if (d->bus_master && vm->host->ops->bus_master(vm->host, d->id, false) == 0)
                d->bus_master = false;
        return result;
}

int vtd_attach_block_table(struct vtd_vm *vm, struct vtd_call *call, size_t table)
{
        int result = 0;

        for (size_t i = 0; i < vm->n_attachments; i++) {
                struct vtd_attachment *a = &vm->attachments[i];
                size_t device = a->device;
                uint32_t pasid = a->pasid;

                if (!a->used || a->table != table)
                        continue;
                if (block(vm, a) != 0) {
                        result = VTD_CALL_E_FATAL;
                        continue;
                }
                (void)vtd_attach_settle_bus_master(vm, device); /* blocked by the detach already */
                vtd_audit_binding_blocked(vm, call, device, pasid);
        }
        vtd_tables_collect(vm);
        return result;
}

/* The record that a new attachment will use, charged; it is not `used` yet. */
static int reserve(struct vtd_vm *vm, struct vtd_call *call, size_t device, uint32_t pasid,
                   struct vtd_attachment **out)
{
        if (pasid != VTD_NO_PASID) {
                int r = vtd_call_charge(vm, call, VTD_POLICY_PASIDS, 1, VTD_REASON_PASID_LIMIT);

                if (r != 0)
                        return r;
        }
        for (size_t i = 0; i < vm->n_attachments; i++) {
                struct vtd_attachment *a = &vm->attachments[i];

                if (a->used)
                        continue;
                *a = (struct vtd_attachment){
                        .device = device, .pasid = pasid, .table = VTD_NO_INDEX};
                *out = a;
                return 0;
        }
        /* Slots are the sum of the two limits charged: only wrong books could lead here. */
        return vtd_fail(vm->log, VTD_CALL_E_FATAL, "no attachment slot of %zu is free",
                        vm->n_attachments);
}

static void unreserve(struct vtd_vm *vm, const struct vtd_attachment *a)
{
        if (!a->used && a->pasid != VTD_NO_PASID)
                vtd_quota_release(&vm->quota, VTD_POLICY_PASIDS, 1);
}

/* The host failed in the middle: blocked is the only known state that can be reached. */
static int fall_back_to_blocked(struct vtd_vm *vm, struct vtd_call *call, struct vtd_attachment *a,
                                int result)
{
        size_t device = a->device;
        uint32_t pasid = a->pasid;
        int r = block(vm, a);

        if (r != 0)
                return r;
        (void)vtd_attach_settle_bus_master(vm, device); /* blocked by the detach already */
        vtd_tables_collect(vm);
        vtd_audit_binding_blocked(vm, call, device, pasid);
        return vtd_call_refuse_host(call, result);
}

/* Puts @a on @table (VTD_NO_INDEX: pass-through) in place of whatever it was on. */
static int place(struct vtd_vm *vm, struct vtd_call *call, struct vtd_attachment *a, size_t table)
{
        struct vtd_device *d = &vm->devices[a->device];
        size_t old = a->used ? a->table : VTD_NO_INDEX;
        uint32_t hwpt = table != VTD_NO_INDEX ? vm->tables[table].hwpt
                                              : vm->second_stages[d->second_stage].hwpt;
        int r;

        if (a->used && old == table && d->bus_master == d->bus_master_wished)
                return 0; /* the host would do nothing either */
        /* From here to the end both tables count as used: either may be what the device sees. */
        if (table != VTD_NO_INDEX)
                vm->tables[table].attachments++;
        a->table = table;
        a->used = true;
        r = vtd_attach_host(vm, d->id, a->pasid, hwpt);
        leave_table(vm, old);
        if (r == 0)
                r = vtd_attach_settle_bus_master(vm, a->device);
        if (r != 0)
                return fall_back_to_blocked(vm, call, a, r);
        vtd_tables_collect(vm);
        return 0;
}

static int attach_table(struct vtd_vm *vm, struct vtd_call *call, size_t device, uint32_t pasid)
{
        const struct vtd_attach_request *request = &call->request->attach;
        const struct vtd_host_first_stage config = {.root = request->root,
                                                    .address_width = request->address_width,
                                                    .flags = request->flags};
        struct vtd_attachment *a = find_attachment(vm, device, pasid);
        size_t table = VTD_NO_INDEX;
        int r = 0;

        if (request->mode == VTD_ATTACH_FIRST_STAGE)
                r = vtd_tables_judge(vm, call, &vm->devices[device], &config);
        if (r == 0 && !a)
                r = reserve(vm, call, device, pasid, &a);
        if (r != 0)
                return r;
        if (request->mode == VTD_ATTACH_FIRST_STAGE)
                r = vtd_tables_get_first_stage(vm, call, &vm->devices[device], &config, &table);
        if (r != 0) {
                unreserve(vm, a);
                return r;
        }
        r = place(vm, call, a, table);
        if (r == 0 && table != VTD_NO_INDEX)
                call->reply->attach.table = vtd_handles_name(&vm->table_handles, table);
        return r;
}

static int attach_blocked(struct vtd_vm *vm, struct vtd_call *call, size_t device, uint32_t pasid)
{
        struct vtd_attachment *a = find_attachment(vm, device, pasid);
        int r;

        if (a) {
                r = block(vm, a);
                if (r != 0)
                        return r;
                vtd_tables_collect(vm);
        }
        r = vtd_attach_settle_bus_master(vm, device);
        return r == 0 ? 0 : vtd_call_refuse_host(call, r);
}

/* What can be said before anything is looked up: is the mode granted, can that PASID exist. */
static int judge(struct vtd_vm *vm, struct vtd_call *call, size_t device)
{
        const struct vtd_attach_request *request = &call->request->attach;
        uint64_t pasids = UINT64_C(1) << vm->devices[device].pasid_bits;
        struct vtd_policy_verdict verdict;

        verdict = vtd_policy_judge_mode(vm->policy, 1u << (request->mode - 1));
        if (!verdict.granted)
                return vtd_call_refuse(call, VTD_REASON_MODE_NOT_GRANTED, request->mode,
                                       verdict.allowed, verdict.line);
        if (request->pasid == VTD_NO_PASID)
                return 0;
        verdict = vtd_policy_judge_limit(vm->policy, VTD_POLICY_PASIDS, 0, 1);
        if (!verdict.granted)
                return vtd_call_refuse(call, VTD_REASON_PASID_LIMIT, verdict.asked, verdict.allowed,
                                       verdict.line);
        if (request->pasid >= pasids)
                return vtd_call_refuse(call, VTD_REASON_PASID_RANGE, request->pasid, pasids, 0);
        return 0;
}

/* The old translation must not outlive the request that was to replace it. */
static int block_refused(struct vtd_vm *vm, size_t device, uint32_t pasid)
{
        struct vtd_attachment *a = find_attachment(vm, device, pasid);
        int r;

        if (!a)
                return VTD_CALL_E_REFUSED;
        r = block(vm, a);
        if (r != 0)
                return r;
        vtd_tables_collect(vm);
        (void)vtd_attach_settle_bus_master(vm, device); /* blocked by the detach already */
        return VTD_CALL_E_REFUSED;
}

int vtd_attach(struct vtd_vm *vm, struct vtd_call *call)
{
        const struct vtd_attach_request *request = &call->request->attach;
        size_t device;
        int r;

        call->subject = request->device;
        call->detail[0] = request->pasid;
        call->detail[1] = request->mode;
        call->detail[2] = request->root;
        if (vtd_devices_find(vm, request->device, &device) != 0)
                return vtd_call_refuse(call, VTD_REASON_DEVICE_HANDLE, request->device, 0, 0);
        call->reply->attach.table = 0;
        r = judge(vm, call, device);
        if (r == 0 && request->mode == VTD_ATTACH_BLOCKED)
                r = attach_blocked(vm, call, device, request->pasid);
        else if (r == 0)
                r = attach_table(vm, call, device, request->pasid);
        return r == VTD_CALL_E_REFUSED ? block_refused(vm, device, request->pasid) : r;
}
