/* SPDX-License-Identifier: MIT */
/*
 * Interrupts code between two of its instructions, each in turn: what a thread may find that was
 * preempted just there.  By the processor's single-step trap, so on x86-64 only, like all of this.
 */
#ifndef VTD_TESTS_STEPPER_H
#define VTD_TESTS_STEPPER_H

#include "tests/unit/unit.h"

#include <stdbool.h>

/*
 * Calls @code, and @between after the @at-th instruction of it (from 0), each with @argument.  Costs a
 * trap for each instruction before.
 * Returns true; false when there are no more than @at, and @between was called after all of them.
 */
bool step_through(void (*code)(void *argument), void (*between)(void *argument), void *argument,
                  unsigned long at);

/*
 * Calls @code, and returns which of its instructions to take, every one or every so many, so that
 * stepping to all of them costs a bounded number of traps: a sanitizer makes many of a few.
 */
unsigned long step_stride(void (*code)(void *argument), void *argument);

#endif
