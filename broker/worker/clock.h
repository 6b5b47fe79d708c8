/* SPDX-License-Identifier: MIT */
/* The worker's clock and its only sleep. */
#ifndef VTD_BROKER_WORKER_CLOCK_H
#define VTD_BROKER_WORKER_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t vtd_clock_now(void);

/*
 * Bounded back-off for a host that says BUSY: tries are counted from 0, and
 *         do result = call(); while (result == VTD_HOST_E_BUSY && vtd_clock_back_off(&tries));
 * makes at most VTD_CLOCK_TRIES calls, 2, 4, 8 and 16 ms apart.  Returns true after having slept,
 * false when no try is left.
 */
#define VTD_CLOCK_TRIES 5u
bool vtd_clock_back_off(unsigned *tries);

#endif
