/* SPDX-License-Identifier: MIT */
/*
 * What code that has taken over a worker might try, one attempt each.  A probe runs inside a worker
 * that vtd-brokerd has spawned and that has entered its sandbox (probing-worker.c); it ends with the
 * worker killed for a forbidden system call, or it is a finding.
 */
#ifndef VTD_TESTS_PROBE_H
#define VTD_TESTS_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct probe {
        const char *name;
        long (*attempt)(void);
        unsigned hosts; /* bits of 1 << enum vtd_host_kind where the call is forbidden */
        bool may_fault; /* the instruction itself is illegal where the kernel has no such gate */
};

/* By number; NULL from the last one on. */
const struct probe *probe_at(size_t number);

/* A message to the probing worker: which probe to run. */
struct probe_order {
        uint32_t number;
};

/* And its answer, when it is still there. */
struct probe_answer {
        int64_t result;
        int32_t error;
        int32_t reserved;
};

#endif
