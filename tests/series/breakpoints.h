/* SPDX-License-Identifier: MIT */
/*
 * Counts how often a running process enters functions of its program, from outside: a process of
 * its own traces it with ptrace(2) and plants a breakpoint on each function's first instruction.
 * The traced program has no part in it, so nothing that it reports can make the count wrong.
 *
 * x86-64 only, as VT-d is.  The program must have its symbols.
 */
#ifndef VTD_TESTS_BREAKPOINTS_H
#define VTD_TESTS_BREAKPOINTS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BREAKPOINTS_MAX 24u

struct breakpoints_shared;

struct breakpoints {
        pid_t tracer;
        size_t n;
        struct breakpoints_shared *shared; /* with the tracing process */
};

/*
 * Plants breakpoints on the @n @functions of @pid, which runs @program; it goes on when this
 * returns.  Ends with breakpoints_stop(), whatever this returned.
 * Returns 0 or a negative errno: -EPERM when this machine does not allow it, -ENOENT when the
 * program has no such function or two of them are the same code.
 */
int breakpoints_start(struct breakpoints *breakpoints, pid_t pid, const char *program,
                      const char *const *functions, size_t n);

/* Times that @function (its place in the list) has been entered so far. */
uint64_t breakpoints_count(const struct breakpoints *breakpoints, size_t function);

/*
 * Removes the breakpoints; the process goes on untraced.  Returns 0, or a negative errno when
 * something was not counted.
 */
int breakpoints_stop(struct breakpoints *breakpoints);

#endif
