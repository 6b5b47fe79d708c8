/* SPDX-License-Identifier: MIT */
/*
 * What a worker may ask of the kernel once it serves, as data: everything that no row allows kills
 * the process.  seccomp_filter.c loads it; tests/unit/test-seccomp.c walks it row by row.
 */
#ifndef VTD_BROKER_SANDBOX_SECCOMP_TABLE_H
#define VTD_BROKER_SANDBOX_SECCOMP_TABLE_H

#include <stddef.h>
#include <stdint.h>

#define VTD_SECCOMP_CONDITIONS 3u

/*
 * (argument & mask) == value, over all 64 bits.  A mask of 0 ends the list of a row.  Comparing 64
 * bits where the kernel uses 32 fails closed, because rows only ever allow.
 */
struct vtd_seccomp_condition {
        unsigned argument;
        uint64_t mask;
        uint64_t value;
};

struct vtd_seccomp_row {
        int syscall;
        struct vtd_seccomp_condition conditions[VTD_SECCOMP_CONDITIONS];
        const char *reason;
};

enum vtd_seccomp_set {
        VTD_SECCOMP_BASE,      /* every worker */
        VTD_SECCOMP_LINUX,     /* added for the real host */
        VTD_SECCOMP_SIMULATED, /* added for the simulated host */
        VTD_SECCOMP_SANITIZER, /* added in sanitizer builds: empty in all others */
};

/* The rows of @set; *@count may be 0.  Static storage. */
const struct vtd_seccomp_row *vtd_seccomp_rows(enum vtd_seccomp_set set, size_t *count);

#endif
