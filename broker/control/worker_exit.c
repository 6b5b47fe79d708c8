/* SPDX-License-Identifier: MIT */
/* See worker_exit.h. */
#include "broker/control/worker_exit.h"

const char *vtd_worker_exit_text(int status)
{
        switch ((enum vtd_worker_exit)status) {
        case VTD_WORKER_EXIT_DONE:
                return "done";
        case VTD_WORKER_EXIT_USER_NAMESPACE:
                return "the user namespace could not be set up";
        case VTD_WORKER_EXIT_DESCRIPTORS:
                return "the fixed descriptors could not be arranged";
        case VTD_WORKER_EXIT_EXEC:
                return "the worker program could not be executed";
        case VTD_WORKER_EXIT_INHERITED:
                return "inherited descriptors or environment are not as required";
        case VTD_WORKER_EXIT_START:
                return "the start record or its policy is not acceptable";
        case VTD_WORKER_EXIT_PROCESS:
                return "process attributes could not be set";
        case VTD_WORKER_EXIT_LOOP:
                return "the event loop could not be created";
        case VTD_WORKER_EXIT_LIMITS:
                return "resource limits could not be set";
        case VTD_WORKER_EXIT_ROOT:
                return "the empty root could not be entered";
        case VTD_WORKER_EXIT_IDENTITY:
                return "user and group could not be dropped";
        case VTD_WORKER_EXIT_CAPABILITIES:
                return "capabilities could not be dropped";
        case VTD_WORKER_EXIT_REGAIN:
                return "a dropped privilege could be regained";
        case VTD_WORKER_EXIT_PARENT:
                return "the worker could not be tied to vtd-brokerd's life";
        case VTD_WORKER_EXIT_LANDLOCK:
                return "Landlock could not be enforced as required";
        case VTD_WORKER_EXIT_RECHECK:
                return "a layer of the sandbox was not found in force";
        case VTD_WORKER_EXIT_SECCOMP:
                return "the system call filter could not be loaded";
        case VTD_WORKER_EXIT_HOST:
                return "the host back end could not be opened";
        case VTD_WORKER_EXIT_VM:
                return "the VM's memory could not be set up";
        case VTD_WORKER_EXIT_SUPERVISOR:
                return "the control channel was lost";
        case VTD_WORKER_EXIT_END:
                break;
        }
        return "unknown exit status";
}
