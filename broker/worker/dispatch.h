/* SPDX-License-Identifier: MIT */
/*
 * The request table: for each request type in which phases it may come, what it may do, and who
 * serves it.  Default deny: a type without a row, or outside its phases, is a violation.
 */
#ifndef VTD_BROKER_WORKER_DISPATCH_H
#define VTD_BROKER_WORKER_DISPATCH_H

#include <stdint.h>

#include "broker/worker/call.h"

#define VTD_DISPATCH_MUTATES      0x1u /* may change the books or the host's objects */
#define VTD_DISPATCH_ALWAYS_AUDIT 0x2u /* audited at every level, whatever the outcome */

struct vtd_dispatch_row {
        uint32_t phases; /* of enum vtd_vm_phase */
        uint32_t flags;
        /* Returns 0 with the reply filled, or VTD_CALL_E_*. */
        int (*handler)(struct vtd_vm *vm, struct vtd_call *call);
};

/* The row of @type, or NULL when no such request is served in @phase.  Static storage. */
const struct vtd_dispatch_row *vtd_dispatch_row(uint32_t type, enum vtd_vm_phase phase);

/*
 * Serves one decoded request: finds its row, runs the handler, counts and audits.
 * Returns 0 with call->reply complete (done or refused), VTD_VM_E_VIOLATION, VTD_VM_E_FATAL.
 */
int vtd_dispatch(struct vtd_vm *vm, struct vtd_call *call);

#endif
