/* SPDX-License-Identifier: MIT */
/*
 * How a worker ends: one exit status per stage of its start, so that vtd-brokerd can say in words
 * which layer of the sandbox could not be put up even when the worker could not say so itself.
 */
#ifndef VTD_BROKER_CONTROL_WORKER_EXIT_H
#define VTD_BROKER_CONTROL_WORKER_EXIT_H

enum vtd_worker_exit {
        VTD_WORKER_EXIT_DONE = 0, /* the VM ended: connection closed, violation or drain */

        /* vtd-brokerd's child before exec */
        VTD_WORKER_EXIT_USER_NAMESPACE = 64,
        VTD_WORKER_EXIT_DESCRIPTORS,
        VTD_WORKER_EXIT_EXEC,

        /* the stages of broker/sandbox/sandbox.c, in their order */
        VTD_WORKER_EXIT_INHERITED,
        VTD_WORKER_EXIT_START,
        VTD_WORKER_EXIT_PROCESS,
        VTD_WORKER_EXIT_LOOP,
        VTD_WORKER_EXIT_LIMITS,
        VTD_WORKER_EXIT_ROOT,
        VTD_WORKER_EXIT_IDENTITY,
        VTD_WORKER_EXIT_CAPABILITIES,
        VTD_WORKER_EXIT_REGAIN,
        VTD_WORKER_EXIT_PARENT,
        VTD_WORKER_EXIT_LANDLOCK,
        VTD_WORKER_EXIT_RECHECK,
        VTD_WORKER_EXIT_SECCOMP,

        /* after the sandbox */
        VTD_WORKER_EXIT_HOST,
        VTD_WORKER_EXIT_VM,
        VTD_WORKER_EXIT_SUPERVISOR, /* the control channel is lost or violated */
        VTD_WORKER_EXIT_END,
};

/* What the status says, for people; never NULL. */
const char *vtd_worker_exit_text(int status);

#endif
