/* SPDX-License-Identifier: MIT */
/* See stepper.h. */
#include "tests/unit/stepper.h"

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <ucontext.h>

#define TRAP_FLAG 0x100
#define TRAPS     3000u /* for all that is stepped to in one piece of code */

/* A trap brings no argument along. */
static struct stepper {
        void (*between)(void *argument);
        void *argument;
        unsigned long at;
        volatile unsigned long steps;
        volatile bool called, over; /* between was; no trap is wanted any more */
} stepper;

static void take_step(int number, siginfo_t *info, void *context)
{
        ucontext_t *interrupted = context;

        (void)number;
        (void)info;
        if (!stepper.over && stepper.steps++ == stepper.at) {
                stepper.called = true;
                stepper.between(stepper.argument);
                stepper.over = true;
        }
        if (stepper.over)
                interrupted->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
}

bool step_through(void (*code)(void *argument), void (*between)(void *argument), void *argument,
                  unsigned long at)
{
        struct sigaction action = {.sa_sigaction = take_step, .sa_flags = SA_SIGINFO}, before;
        bool inside;

        stepper = (struct stepper){.between = between, .argument = argument, .at = at};
        assert_int_equal(sigaction(SIGTRAP, &action, &before), 0);
        /* Below the stack that the compiler may have in use without saying so. */
        __asm__ volatile("lea -128(%%rsp), %%rsp\n\t"
                         "pushfq\n\t"
                         "orq %0, (%%rsp)\n\t"
                         "popfq\n\t"
                         "lea 128(%%rsp), %%rsp"
                         :
                         : "i"(TRAP_FLAG)
                         : "cc", "memory");
        code(argument);
        inside = stepper.steps > at;
        stepper.over = true;
        __asm__ volatile("nop" : : : "memory");
        assert_int_equal(sigaction(SIGTRAP, &before, NULL), 0);
        if (!stepper.called && between)
                between(argument);
        return inside;
}

unsigned long step_stride(void (*code)(void *argument), void *argument)
{
        (void)step_through(code, NULL, argument, ULONG_MAX);
        /* Stepping to each of n instructions takes n * n / 2 traps. */
        return 1 + stepper.steps * stepper.steps / 2 / TRAPS;
}
