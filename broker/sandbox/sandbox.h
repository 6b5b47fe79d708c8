/* SPDX-License-Identifier: MIT */
/*
 * The sandbox of a worker: see the theory of operation in sandbox.c.  Every function here reports
 * what failed and leaves the process in a state in which it may only exit.
 */
#ifndef VTD_BROKER_SANDBOX_SANDBOX_H
#define VTD_BROKER_SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/control/worker_exit.h"
#include "protos/message.h"
#include "shared/log.h"

struct vtd_sandbox_config {
        enum vtd_host_kind host;
        uint32_t uid;
        uint32_t gid;
        bool rootless;
        uint32_t landlock_abi_min;
        uint64_t memory; /* bytes of guest memory that policy lets this VM pin */
};

struct vtd_sandbox_report {
        uint32_t landlock_abi;
        uint32_t seccomp_rules;
};

/* Stage 1.  @host is what this program was built for.  VTD_WORKER_EXIT_DONE or the stage's code. */
enum vtd_worker_exit vtd_sandbox_check_inherited(enum vtd_host_kind host);

/* Stage 3: before the event loop is created.  VTD_WORKER_EXIT_DONE or the stage's code. */
enum vtd_worker_exit vtd_sandbox_prepare_process(struct vtd_log *log);

/*
 * Stages 5 to 13.  On VTD_WORKER_EXIT_DONE every layer is in force and was found in force, and
 * *@report is complete; else the code of the stage that failed.
 */
enum vtd_worker_exit vtd_sandbox_enter(const struct vtd_sandbox_config *config,
                                       struct vtd_sandbox_report *report, struct vtd_log *log);

#endif
