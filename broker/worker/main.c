/* SPDX-License-Identifier: MIT */
/*
 * vtd-broker-worker and vtd-broker-worker-sim: one VM's worker, started by vtd-brokerd with the
 * descriptors of control.h and nothing else.  The two programs differ in the host that they link.
 *
 * May assume nothing about what it inherits.  Must guarantee that no byte of the VMM is read before
 * the sandbox (sandbox.c) is up and found in force, and that any failure ends the process.
 * There is nothing to configure: the one argument it knows is --help.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/control/control.h"
#include "broker/host.h"
#include "broker/sandbox/sandbox.h"
#include "broker/worker/report.h"
#include "broker/worker/serve.h"
#include "broker/worker/supervisor.h"
#include "broker/worker/vm.h"
#include "policy/policy.h"
#include "shared/cleanup.h"
#include "shared/error.h"
#include "shared/log.h"

#if defined(VTD_SANITIZED)
/* Looking for leaks takes a second task and ptrace, which the sandbox has no room for. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
        return "detect_leaks=0";
}
#endif

struct worker {
        struct vtd_supervisor supervisor;
        struct vtd_log log;
        struct vtd_control_start start;
        struct vtd_sandbox_report report;
        struct vtd_serve serve;
};

/* Stage 2: waits for START, the first record on the channel, and judges it. */
static enum vtd_worker_exit receive_start(struct worker *worker)
{
        VTD_CLEANUP(vtd_fd_list_deinit) struct vtd_fd_list fds = VTD_FD_LIST_EMPTY;
        struct pollfd control = {.fd = VTD_WORKER_FD_CONTROL, .events = POLLIN};
        union vtd_control_record record;

        while (poll(&control, 1, -1) < 0)
                if (errno != EINTR)
                        return VTD_WORKER_EXIT_START;
        if (vtd_control_receive(VTD_WORKER_FD_CONTROL, VTD_CONTROL_TO_WORKER, &record, &fds) != 0 ||
            record.header.type != VTD_CONTROL_START)
                return VTD_WORKER_EXIT_START;
        if (record.start.host != (uint32_t)vtd_host_built_kind) {
                vtd_log(&worker->log, VTD_LOG_ERROR,
                        "host kind %u asked, this worker is built for %u", record.start.host,
                        (unsigned)vtd_host_built_kind);
                return VTD_WORKER_EXIT_START;
        }
        if (vtd_policy_verify(&record.start.policy, &worker->log) < 0)
                return VTD_WORKER_EXIT_START;
        worker->start = record.start;
        return VTD_WORKER_EXIT_DONE;
}

/* Stages 2 to 13. */
static enum vtd_worker_exit enter_sandbox(struct worker *worker)
{
        const struct vtd_control_start *start = &worker->start;
        enum vtd_worker_exit result;

        result = receive_start(worker);
        if (result != VTD_WORKER_EXIT_DONE)
                return result;
        result = vtd_sandbox_prepare_process(&worker->log);
        if (result != VTD_WORKER_EXIT_DONE)
                return result;
        if (vtd_serve_init(&worker->serve, &worker->supervisor, &worker->log) < 0)
                return VTD_WORKER_EXIT_LOOP;
        return vtd_sandbox_enter(
                &(const struct vtd_sandbox_config){
                        .host = vtd_host_built_kind,
                        .uid = start->uid,
                        .gid = start->gid,
                        .rootless = start->rootless == 1,
                        .landlock_abi_min = start->landlock_abi_min,
                        .memory = start->policy.limits[VTD_POLICY_MEMORY].value,
                },
                &worker->report, &worker->log);
}

static enum vtd_worker_exit serve_vm(struct worker *worker)
{
        int iommu = vtd_host_built_kind == VTD_HOST_LINUX ? VTD_WORKER_FD_IOMMU : -1;
        struct vtd_host *host = NULL;
        struct vtd_vm *vm = NULL;
        enum vtd_worker_exit result;

        if (vtd_host_open(&host, iommu) != 0)
                return VTD_WORKER_EXIT_HOST;
        if (vtd_vm_new(&vm, &(const struct vtd_vm_config){
                                    .policy = &worker->start.policy,
                                    .host_kind = vtd_host_built_kind,
                                    .audit_level = (enum vtd_audit_level)worker->start.audit_level,
                                    .host = host,
                                    .supervisor = &worker->supervisor,
                                    .log = &worker->log,
                            }) != 0)
                return VTD_WORKER_EXIT_VM;
        vtd_supervisor_set_reporter(&worker->supervisor, vtd_report_fill, vm);
        if (vtd_supervisor_ready(&worker->supervisor, worker->report.landlock_abi,
                                 worker->report.seccomp_rules) < 0)
                return VTD_WORKER_EXIT_SUPERVISOR;
        result = vtd_serve_run(&worker->serve, vm);
        if (result == VTD_WORKER_EXIT_DONE)
                vm = vtd_vm_free(vm);
        return result;
}

static int help(void)
{
        return puts("usage: started by vtd-brokerd, not by hand\n"
                    "\n"
                    "Serves one VM: takes the requests of its VMM from a connected socket, judges\n"
                    "them by one tenant's compiled policy, and does what is granted with the "
                    "host's\n"
                    "IOMMU.  It expects vtd-brokerd's descriptors: 3 the control channel, 4 the\n"
                    "VMM's connection, 5 /dev/iommu (vtd-broker-worker) or nothing\n"
                    "(vtd-broker-worker-sim, which simulates the host).  Before it reads the "
                    "first\n"
                    "request it gives up every privilege, and ends with a status of its own for\n"
                    "each step that fails; vtd-brokerd says in words which one it was.") < 0;
}

int main(int argc, char **argv)
{
        enum vtd_worker_exit result;
        struct worker *worker;

        if (argc == 2 && strcmp(argv[1], "--help") == 0)
                return help();
        result = vtd_sandbox_check_inherited(vtd_host_built_kind);
        if (result != VTD_WORKER_EXIT_DONE)
                _exit((int)result);
        worker = calloc(1, sizeof(*worker));
        if (!worker)
                _exit(VTD_WORKER_EXIT_PROCESS);
        vtd_supervisor_init(&worker->supervisor, VTD_WORKER_FD_CONTROL);
        worker->log = (struct vtd_log){
                .sink = vtd_supervisor_log,
                .opaque = &worker->supervisor,
                .threshold = VTD_LOG_INFO,
        };
        result = enter_sandbox(worker);
        if (result == VTD_WORKER_EXIT_DONE)
                result = serve_vm(worker);
        /* Not exit(): there is nothing to flush, and no handler that the filter has room for. */
        _exit((int)result);
}
