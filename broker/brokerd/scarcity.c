/* SPDX-License-Identifier: MIT */
/* See scarcity.h. */
#include "broker/brokerd/scarcity.h"

#include <errno.h>

const char *vtd_scarcity_text(int error)
{
        switch (error) {
        case -EMFILE:
                return " (vtd-brokerd's limit of open files: LimitNOFILE= of its unit, ulimit -Hn)";
        case -ENFILE:
                return " (the system's limit of open files: sysctl fs.file-max)";
        case -ENOMEM:
        case -ENOBUFS:
                return " (the system's memory, or MemoryMax= of vtd-brokerd's unit)";
        default:
                return "";
        }
}

const char *vtd_scarcity_clone_text(int error)
{
        switch (error) {
        case -EAGAIN:
                return " (the limit of processes: TasksMax= of vtd-brokerd's unit, pids.max of its "
                       "cgroup, ulimit -u)";
        case -ENOSPC:
                return " (the limit of namespaces: sysctl user.max_*_namespaces)";
        default:
                return vtd_scarcity_text(error);
        }
}
