/* SPDX-License-Identifier: MIT */
/*
 * Rows S4 and S12: a context-cache invalidation re-evaluates exactly the devices that it names.
 * Two devices have their entries changed in memory; who has been looked at again is who follows.
 */
#include "tests/series/series.h"

#define CONTEXT_GLOBAL UINT64_C(0x11)
#define CONTEXT_DOMAIN UINT64_C(0x21)
#define CONTEXT_DEVICE UINT64_C(0x31)

/* Two devices in DOMAIN on a table of PAGE_A, then entries in memory on one of PAGE_B. */
static void bring_up(struct series *series, struct machine *machine)
{
        uint64_t first, second;

        machine_up(series, machine, SERIES_BLUE, 2);
        machine_enable(machine, 2);
        first = machine_table(machine, PAGE_A);
        second = machine_table(machine, PAGE_B);
        for (unsigned i = 0; i < 2; i++)
                guest_set_entry(&machine->guest, series_rid(i), GUEST_FIRST_STAGE, DOMAIN, first);
        guest_invalidate_context(&machine->guest);
        guest_flush_entry(&machine->guest, DOMAIN);
        for (unsigned i = 0; i < 2; i++)
                guest_set_entry(&machine->guest, series_rid(i), GUEST_FIRST_STAGE, DOMAIN, second);
        machine_mark(machine);
}

static void expect(struct machine *machine, unsigned attaches, int first, int second)
{
        struct series *series = machine->series;

        IS(series, machine_calls(machine, "attach"), attaches);
        IS(series, machine_reads_table(machine, 0), first);
        IS(series, machine_reads_table(machine, 1), second);
        machine_stop(machine);
}

static void invalidate(struct machine *machine, uint64_t kind, uint16_t source, unsigned mask)
{
        guest_queue(&machine->guest,
                    kind | (uint64_t)DOMAIN << 16 | (uint64_t)source << 32 | (uint64_t)mask << 48,
                    0);
        guest_submit(&machine->guest);
}

static void global_names_all(struct series *series)
{
        struct machine machine;

        bring_up(series, &machine);
        invalidate(&machine, CONTEXT_GLOBAL, 0, 0);
        expect(&machine, 2, 'B', 'B');
}

/* In scalable mode the context cache is not tagged with a domain. */
static void domain_names_all(struct series *series)
{
        struct machine machine;

        bring_up(series, &machine);
        invalidate(&machine, CONTEXT_DOMAIN, 0, 0);
        expect(&machine, 2, 'B', 'B');
}

static void device_names_one(struct series *series)
{
        struct machine machine;

        bring_up(series, &machine);
        invalidate(&machine, CONTEXT_DEVICE, series_rid(1), 0);
        expect(&machine, 1, 'A', 'B');
}

static void function_mask_names_a_slot(struct series *series)
{
        struct machine machine;

        bring_up(series, &machine);
        invalidate(&machine, CONTEXT_DEVICE, series_rid(0) | 5, 0);
        invalidate(&machine, CONTEXT_DEVICE, series_rid(0) | 3, 1);
        IS(series, machine_calls(&machine, "attach"), 0);
        invalidate(&machine, CONTEXT_DEVICE, series_rid(0) | 5, 3);
        expect(&machine, 1, 'B', 'A');
}

const struct series_test series_context_cache_tests[] = {
        {"S4, S12: global context-cache invalidation re-evaluates every device", global_names_all,
         ON_BOTH, NULL},
        {"S4, S12: domain-selective context-cache invalidation is global", domain_names_all,
         ON_BOTH, NULL},
        {"S4, S12: device-selective context-cache invalidation re-evaluates that device only",
         device_names_one, ON_BOTH, NULL},
        {"S4, S12: the function mask widens it to the functions of a slot",
         function_mask_names_a_slot, ON_BOTH, NULL},
        {.title = NULL},
};
