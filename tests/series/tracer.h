/* SPDX-License-Identifier: MIT */
/*
 * Counts a worker's calls to /dev/iommu from outside, with ptrace(2): what no log of the broker can
 * get wrong.  Needs the right to trace an undumpable process of another user, so: root.
 */
#ifndef VTD_TESTS_TRACER_H
#define VTD_TESTS_TRACER_H

#include <stdint.h>
#include <sys/types.h>

struct tracer_counts {
        uint32_t attached; /* the worker is being traced */
        uint32_t failed;   /* errno of what went wrong in the tracer */
        uint32_t ioctls;   /* of any kind */
        uint32_t invalidate_calls;
        uint32_t invalidate_entries;
        uint32_t hwpt_allocs;
        uint32_t attaches; /* of VFIO devices */
};

struct tracer {
        pid_t pid;
        struct tracer_counts *counts; /* shared with the tracing process */
};

/* Begins to trace @worker.  0 or a negative errno. */
int tracer_start(struct tracer *tracer, pid_t worker);
/* Ends it; the worker goes on.  What was counted is in @counts unless that is NULL. */
void tracer_stop(struct tracer *tracer, struct tracer_counts *counts);

#endif
