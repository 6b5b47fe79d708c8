/* SPDX-License-Identifier: MIT */
/*
 * One VM as its worker keeps it: the connection's phase, handles, quotas and host objects.
 * Everything that dispatch and its handlers need hangs off this object; there is no other state.
 */
#ifndef VTD_BROKER_WORKER_VM_H
#define VTD_BROKER_WORKER_VM_H

#include <stddef.h>
#include <stdint.h>

#include "broker/control/control.h"
#include "broker/host.h"
#include "broker/worker/supervisor.h"
#include "policy/policy.h"
#include "shared/fdlist.h"
#include "shared/log.h"

enum {
        VTD_VM_E_VIOLATION = 1, /* close the connection without an answer */
        VTD_VM_E_FATAL,         /* supervisor lost, or a device cannot be blocked: end the worker */
};

struct vtd_vm;

struct vtd_vm_config {
        const struct vtd_policy *policy; /* borrowed, outlives the VM */
        enum vtd_host_kind host_kind;
        enum vtd_audit_level audit_level;
        struct vtd_host *host;             /* owned by vtd_vm_new(), also when it fails */
        struct vtd_supervisor *supervisor; /* borrowed */
        struct vtd_log *log;               /* borrowed */
};

/*
 * All memory that requests may ever need is allocated here, sized by policy.
 * Returns 0; -ENOMEM; -EINVAL when a limit of the policy is over its ceiling.
 */
int vtd_vm_new(struct vtd_vm **out, const struct vtd_vm_config *config);

/*
 * Serves one record that came from the VMM; takes the descriptors in @fds or leaves them to the
 * caller's deinit.  @reply has room for VTD_FRAME_SIZE_MAX bytes.
 *
 * Returns 0 with a reply of *@reply_length bytes to be sent after *@delay_ms milliseconds (0 to
 * VTD_LIMIT_INVALIDATE_DELAY_MS), until when no further record may be read;
 * VTD_VM_E_VIOLATION; VTD_VM_E_FATAL.
 */
int vtd_vm_request(struct vtd_vm *vm, const uint8_t *record, size_t length, struct vtd_fd_list *fds,
                   uint8_t *reply, size_t *reply_length, unsigned *delay_ms);

/*
 * Lets simulated devices work; true while they have more to do.  Always false on a real host.
 */
bool vtd_vm_step(struct vtd_vm *vm);

/*
 * Ends the VM for the given reason (CONNECTION_ENDED, VIOLATION, DRAINED): first every attachment
 * is detached and bus mastering turned off (audit event BLOCKED), then tables, memory and devices
 * are released (RELEASED).  A failing step does not stop the later ones; the descriptors' last
 * close by vtd-brokerd finishes what failed here.  After VTD_VM_E_FATAL too this is to be called: it
 * tries again, and gives a device that cannot be detached back before memory is unmapped.
 */
void vtd_vm_end(struct vtd_vm *vm, enum vtd_audit_event reason);

/* Frees the VM and its host.  The VM must have ended.  Returns NULL. */
struct vtd_vm *vtd_vm_free(struct vtd_vm *vm);

#endif
