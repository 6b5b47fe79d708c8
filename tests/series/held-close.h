/* SPDX-License-Identifier: MIT */
/* Holds a closer of vtd-brokerd before its first last close, as a device that does not come back. */
#ifndef VTD_TESTS_HELD_CLOSE_H
#define VTD_TESTS_HELD_CLOSE_H

#include <sys/types.h>

/* From now on a closer of @brokerd, a child of the caller, will be held.  0 or -1. */
int held_close_prepare(pid_t brokerd);

/*
 * Waits until @brokerd has started a closer, which is held: it is ready, and about to close its
 * first descriptor.  @brokerd itself is free again, and later closers are not held.  Returns the
 * closer or -1.
 */
pid_t held_close_catch(pid_t brokerd);

/* Lets it go on.  0 or -1. */
int held_close_release(pid_t closer);

#endif
