/* SPDX-License-Identifier: MIT */
/* Clock and back-off: see clock.h. */
#include "broker/worker/clock.h"

#include <time.h>

#define FIRST_WAIT_NS 2000000l

uint64_t vtd_clock_now(void)
{
        struct timespec now = {0};

        /* CLOCK_MONOTONIC cannot fail with a valid pointer. */
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

bool vtd_clock_back_off(unsigned *tries)
{
        struct timespec wait = {.tv_nsec = FIRST_WAIT_NS << *tries};

        if (*tries + 1 >= VTD_CLOCK_TRIES)
                return false;
        (*tries)++;
        /* Cut short by a signal it is a shorter wait, nothing worse. */
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &wait, NULL);
        return true;
}
