/* SPDX-License-Identifier: MIT */
/*
 * Audit records of requests and events (host calls: host_audit.h).  Numbers only; vtd-brokerd makes
 * the lines.  At level REFUSALS: every refusal, every event, and requests that dispatch marks as
 * always audited.  At level REQUESTS and above: every request.
 */
#ifndef VTD_BROKER_WORKER_AUDIT_H
#define VTD_BROKER_WORKER_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/worker/call.h"

/* A request that was answered; @nanoseconds is how long it took, without any delay to come. */
void vtd_audit_request(struct vtd_vm *vm, const struct vtd_call *call, bool always,
                       uint64_t nanoseconds);

/*
 * A life-cycle event of the VM.  @result is 0 or that of the first step that failed; @count is the
 * number of things it was about (BLOCKED: attachments, RELEASED: devices), in detail[0].
 */
void vtd_audit_event(struct vtd_vm *vm, enum vtd_audit_event event, int result, uint64_t count);

/* A failed host call left an attachment blocked: subject is the device, detail[0] the PASID. */
void vtd_audit_binding_blocked(struct vtd_vm *vm, const struct vtd_call *call, size_t device,
                               uint32_t pasid);

/* A mapping stays empty: subject is its handle, detail[0] and [1] are its address and size. */
void vtd_audit_read_only_skipped(struct vtd_vm *vm, const struct vtd_call *call, uint64_t mapping);

#endif
