/* SPDX-License-Identifier: MIT */
/* Times, medians, and goals that are met or not. */
#ifndef VTD_TESTS_BENCH_MEASURE_H
#define VTD_TESTS_BENCH_MEASURE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline int64_t now_ns(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/*
 * Time that this thread had a processor: for what waits for nothing.  On a busy machine the longer of
 * two sides would be interrupted more often, and look worse than it is.
 */
static inline int64_t thread_ns(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline int compare_doubles(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return x < y ? -1 : x > y;
}

/* Sorts @values. */
static inline double median(double *values, size_t count)
{
        qsort(values, count, sizeof(*values), compare_doubles);
        return values[count / 2];
}

/* For the end of a line: "(goal < 3: met)". */
static inline void print_goal(double value, double goal)
{
        (void)printf("  (goal < %g: %s)\n", goal, value < goal ? "met" : "NOT MET");
}

#endif
