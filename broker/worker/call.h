/* SPDX-License-Identifier: MIT */
/*
 * One request while it is being served: what the handler works on, and what dispatch needs
 * afterwards for the reply and the audit line.
 */
#ifndef VTD_BROKER_WORKER_CALL_H
#define VTD_BROKER_WORKER_CALL_H

#include <stdint.h>

#include "broker/worker/vm_state.h"
#include "protos/message.h"
#include "shared/fdlist.h"

/* Outcomes of handlers and of their parts; 0 is success. */
enum {
        VTD_CALL_E_REFUSED = 1, /* the reply holds the refusal */
        VTD_CALL_E_FATAL,       /* the worker must end: supervisor lost, or a device not blocked */
};

struct vtd_call {
        const struct vtd_request *request;
        struct vtd_fd_list *fds;
        struct vtd_reply *reply;
        uint64_t delay_ns;
        /* for audit */
        uint64_t subject; /* handle that the request named or made */
        uint64_t detail[3];
        uint32_t line; /* of the rule that refused */
};

/*
 * Writes a refusal into the reply.  @line is that of the policy rule that decided, 0 when none did.
 * Returns VTD_CALL_E_REFUSED, so that a check reads `return vtd_call_refuse(...)`.
 */
int vtd_call_refuse(struct vtd_call *call, enum vtd_reason reason, uint64_t asked, uint64_t allowed,
                    uint32_t line);

/* The same for what a host call returned (not 0): BUSY, LIMIT, or else HOST_FAILED. */
int vtd_call_refuse_host(struct vtd_call *call, int result);

/* Delays the answer if the VM arms vectors and resets devices too often. */
void vtd_call_slow_down(struct vtd_vm *vm, struct vtd_call *call);

/*
 * Charges @amount or refuses with @reason, which goes with that account.
 * Returns 0 or VTD_CALL_E_REFUSED.
 */
int vtd_call_charge(struct vtd_vm *vm, struct vtd_call *call, enum vtd_policy_limit_index account,
                    uint64_t amount, enum vtd_reason reason);

#endif
