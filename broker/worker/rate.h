/* SPDX-License-Identifier: MIT */
/*
 * Token bucket, for invalidation entries first of all: @rate of them per second, sustained, @burst
 * at once.
 *
 * Nothing is ever dropped.  A request that the bucket cannot pay for is to be merged into one
 * entry for the whole table (vtd_rate_take() says so by charging one entry only), and when even
 * that is too much, its answer is delayed, by at most VTD_LIMIT_INVALIDATE_DELAY_MS because a guest
 * may spin on it.  Integer arithmetic; the caller passes the monotonic time, which may stand still.
 */
#ifndef VTD_BROKER_WORKER_RATE_H
#define VTD_BROKER_WORKER_RATE_H

#include <stddef.h>
#include <stdint.h>

struct vtd_rate {
        uint64_t rate;    /* entries per second, at least 1 */
        uint64_t burst;   /* entries, at least 1 */
        uint64_t level;   /* billionths of an entry that may be spent now */
        uint64_t updated; /* monotonic nanoseconds at which level held; ahead of now while a delay
                             runs, so that the time waited is not earned twice */
};

struct vtd_rate_verdict {
        size_t entries;    /* granted: what was asked, or 1: flush the whole table instead */
        uint64_t delay_ns; /* before the answer may be sent */
};

/* A full bucket at time @now (nanoseconds). */
void vtd_rate_init(struct vtd_rate *rate, uint64_t per_second, uint64_t burst, uint64_t now);

/* Charges @entries (at least 1) at time @now, or one in their place. */
struct vtd_rate_verdict vtd_rate_take(struct vtd_rate *rate, size_t entries, uint64_t now);

#endif
