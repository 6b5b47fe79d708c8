/* SPDX-License-Identifier: MIT */
/* Fills audit records: see audit.h.  A record that cannot be sent is counted by the supervisor. */
#include "broker/worker/audit.h"

#include <string.h>

static void name_device(struct vtd_vm *vm, struct vtd_control_audit *audit, size_t device)
{
        const char *name = vm->policy->devices[vm->devices[device].index].name;

        memcpy(audit->device_name, name, sizeof(audit->device_name));
}

/*
 * The line of the policy that decided.  Where it sets no value, a default or the lack of a grant
 * decided, and [tenant] is cited.
 */
static uint32_t deciding_line(const struct vtd_vm *vm, const struct vtd_call *call)
{
        const struct vtd_refusal *refusal = &call->reply->refusal;
        bool by_policy =
                refusal->status == VTD_STATUS_DENIED ||
                (refusal->status == VTD_STATUS_LIMIT && refusal->reason != VTD_REASON_HOST_LIMIT);

        return call->line == 0 && by_policy ? vm->policy->tenant_line : call->line;
}

/* The device that a request was about: by its name, or by the handle that it named or made. */
static void name_subject(struct vtd_vm *vm, struct vtd_control_audit *audit,
                         const struct vtd_call *call)
{
        size_t index;

        if (call->request->type == VTD_REQUEST_PLUG_DEVICE)
                memcpy(audit->device_name, call->request->plug_device.name.text,
                       sizeof(audit->device_name));
        else if (vtd_handles_find(&vm->device_handles, call->subject, &index) == 0)
                name_device(vm, audit, index);
}

void vtd_audit_request(struct vtd_vm *vm, const struct vtd_call *call, bool always,
                       uint64_t nanoseconds)
{
        union vtd_control_record record = {0};
        struct vtd_control_audit *audit = &record.audit;

        if (!call->reply->refused && !always && vm->audit_level < VTD_AUDIT_REQUESTS)
                return;
        audit->header.type = VTD_CONTROL_AUDIT;
        audit->kind = VTD_AUDIT_REQUEST;
        audit->code = call->request->type;
        audit->sequence = call->request->sequence;
        if (call->reply->refused) {
                audit->status = call->reply->refusal.status;
                audit->reason = call->reply->refusal.reason;
                audit->asked = call->reply->refusal.asked;
                audit->allowed = call->reply->refusal.allowed;
                audit->line = deciding_line(vm, call);
        }
        audit->subject = call->subject;
        memcpy(audit->detail, call->detail, sizeof(audit->detail));
        audit->nanoseconds = nanoseconds;
        name_subject(vm, audit, call);
        vtd_supervisor_audit(vm->supervisor, &record);
}

void vtd_audit_event(struct vtd_vm *vm, enum vtd_audit_event event, int result, uint64_t count)
{
        union vtd_control_record record = {.audit = {
                                                   .header.type = VTD_CONTROL_AUDIT,
                                                   .kind = VTD_AUDIT_EVENT,
                                                   .code = event,
                                                   .result = result,
                                                   .detail = {count},
                                           }};

        vtd_supervisor_audit(vm->supervisor, &record);
}

void vtd_audit_binding_blocked(struct vtd_vm *vm, const struct vtd_call *call, size_t device,
                               uint32_t pasid)
{
        union vtd_control_record record = {
                .audit = {
                        .header.type = VTD_CONTROL_AUDIT,
                        .kind = VTD_AUDIT_EVENT,
                        .code = VTD_AUDIT_EVENT_BINDING_BLOCKED,
                        .sequence = call->request->sequence,
                        .subject = vtd_handles_name(&vm->device_handles, device),
                        .detail = {pasid},
                }};

        name_device(vm, &record.audit, device);
        vtd_supervisor_audit(vm->supervisor, &record);
}

void vtd_audit_read_only_skipped(struct vtd_vm *vm, const struct vtd_call *call, uint64_t mapping)
{
        union vtd_control_record record = {
                .audit = {
                        .header.type = VTD_CONTROL_AUDIT,
                        .kind = VTD_AUDIT_EVENT,
                        .code = VTD_AUDIT_EVENT_READ_ONLY_SKIPPED,
                        .sequence = call->request->sequence,
                        .line = vm->policy->read_only_line,
                        .subject = mapping,
                        .detail = {call->request->map_memory.gpa, call->request->map_memory.size},
                }};

        vtd_supervisor_audit(vm->supervisor, &record);
}
