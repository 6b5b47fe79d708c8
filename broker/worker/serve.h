/* SPDX-License-Identifier: MIT */
/*
 * The worker's event loop: one connection, one control channel, at most one request at a time.
 *
 * Back-pressure: while a reply is delayed or cannot be sent, nothing is read, so that a flooding
 * VMM fills its own socket and nothing else.
 */
#ifndef VTD_BROKER_WORKER_SERVE_H
#define VTD_BROKER_WORKER_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "broker/worker/vm.h"
#include "broker/control/worker_exit.h"
#include "shared/frame.h"

struct vtd_serve {
        uv_loop_t loop;
        uv_poll_t connection;
        uv_poll_t control;
        uv_timer_t hello;  /* runs until Hello was accepted */
        uv_timer_t delay;  /* runs while a reply is held back */
        uv_idle_t devices; /* runs while simulated devices have work */

        struct vtd_vm *vm;                 /* borrowed, from vtd_serve_run() on */
        struct vtd_supervisor *supervisor; /* borrowed */

        enum vtd_audit_event end; /* why the VM ends; 0 while it does not */
        bool lost;                /* the control channel is gone: no ceremony */
        size_t reply_length;      /* of the reply that is not sent yet; 0: none */
        uint8_t reply[VTD_FRAME_SIZE_MAX];
        uint8_t record[VTD_FRAME_SIZE_MAX];
};

/*
 * Makes the loop over the fixed descriptors of control.h; every system call that only libuv's
 * set-up needs is made here.  @serve must stay where it is.  Returns 0 or a negative errno
 * (reported).
 */
int vtd_serve_init(struct vtd_serve *serve, struct vtd_supervisor *supervisor, struct vtd_log *log);

/*
 * Serves @vm until its connection ends, a violation, DRAIN, or the loss of the control channel, and
 * ends it.  Returns the worker's exit status; on VTD_WORKER_EXIT_SUPERVISOR the VM was not ended:
 * nobody is left to report to, and the exit closes everything.
 */
enum vtd_worker_exit vtd_serve_run(struct vtd_serve *serve, struct vtd_vm *vm);

#endif
