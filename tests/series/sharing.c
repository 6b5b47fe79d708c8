/* SPDX-License-Identifier: MIT */
/* Sharing: N devices of one guest domain use one nested table, and one invalidation is one call. */
#include "tests/series/series.h"

#include "tests/series/tracer.h"

/* @devices of them in DOMAIN on one table of PAGE_A. */
static uint64_t share(struct series *series, struct machine *machine, unsigned devices)
{
        uint64_t table;

        machine_up(series, machine, SERIES_BLUE, devices);
        machine_enable(machine, devices);
        table = machine_table(machine, PAGE_A);
        for (unsigned i = 0; i < devices; i++)
                guest_set_entry(&machine->guest, series_rid(i), GUEST_FIRST_STAGE, DOMAIN, table);
        guest_flush_entry(&machine->guest, DOMAIN);
        IS(series, machine_tables(machine), 1);
        for (unsigned i = 0; i < devices; i++)
                IS(series, machine_reads_table(machine, i), 'A');
        return table;
}

/* One page of one domain, five times; every device sees each change. */
static void invalidate_five_times(struct series *series, struct machine *machine, uint64_t table,
                                  unsigned devices)
{
        for (unsigned round = 0; round < 5; round++) {
                bool odd = round % 2 != 0;

                guest_table_map(&machine->guest, table, IOVA_DATA, odd ? PAGE_A : PAGE_B, 1);
                for (unsigned i = 0; i < devices; i++)
                        IS(series, machine_reads_table(machine, i), odd ? 'B' : 'A');
                guest_invalidate_page(&machine->guest, DOMAIN, IOVA_DATA, 0);
                for (unsigned i = 0; i < devices; i++)
                        IS(series, machine_reads_table(machine, i), odd ? 'A' : 'B');
        }
}

static void count_by_audit(struct series *series, unsigned devices)
{
        struct machine machine;
        uint64_t table = share(series, &machine, devices);

        machine_mark(&machine);
        invalidate_five_times(series, &machine, table, devices);
        IS(series, machine_calls(&machine, NULL), 5);
        IS(series, machine_calls(&machine, "invalidate"), 5);
        machine_stop(&machine);
}

static void one_device(struct series *series)
{
        count_by_audit(series, 1);
}

static void two_devices(struct series *series)
{
        count_by_audit(series, 2);
}

static void eight_devices(struct series *series)
{
        count_by_audit(series, 8);
}

static void the_last_user_takes_the_table_along(struct series *series)
{
        struct machine machine;

        (void)share(series, &machine, 2);
        guest_set_entry(&machine.guest, series_rid(0), GUEST_ABSENT, 0, 0);
        guest_flush_entry(&machine.guest, DOMAIN);
        IS(series, machine_tables(&machine), 1);
        IS(series, machine_reads_table(&machine, 0), READS_BLOCKED);
        IS(series, machine_reads_table(&machine, 1), 'A');
        guest_set_entry(&machine.guest, series_rid(1), GUEST_ABSENT, 0, 0);
        guest_flush_entry(&machine.guest, DOMAIN);
        IS(series, machine_tables(&machine), 0);
        IS(series, machine_reads_table(&machine, 1), READS_BLOCKED);
        machine_stop(&machine);
}

static void count_by_tracer(struct series *series, unsigned devices)
{
        struct machine machine;
        struct tracer_counts counts;
        struct tracer tracer;
        uint64_t table = share(series, &machine, devices);
        pid_t workers[2];
        size_t found = broker_run_workers(&series->broker, workers, 2);

        IS(series, found, 1);
        if (found != 1)
                series_bail_out("there are %zu workers", found);
        IS(series, tracer_start(&tracer, workers[0]), 0);
        invalidate_five_times(series, &machine, table, devices);
        tracer_stop(&tracer, &counts);
        IS(series, counts.failed, 0);
        IS(series, counts.invalidate_calls, 5);
        IS(series, counts.invalidate_entries, 5);
        IS(series, counts.hwpt_allocs, 0);
        IS(series, counts.attaches, 0);
        machine_stop(&machine);
}

static void trace_one_device(struct series *series)
{
        count_by_tracer(series, 1);
}

static void trace_two_devices(struct series *series)
{
        count_by_tracer(series, 2);
}

const struct series_test series_sharing_tests[] = {
        {"sharing: one device, one invalidation is one host call", one_device, ON_BOTH, NULL},
        {"sharing: two devices use one table, one invalidation is one host call", two_devices,
         ON_BOTH, NULL},
        {"sharing: eight devices use one table, one invalidation is one host call", eight_devices,
         ON_SIMULATED, NULL},
        {"sharing: a table goes with the last device that uses it",
         the_last_user_takes_the_table_along, ON_BOTH, NULL},
        {"sharing: one device, one HWPT_INVALIDATE for each invalidation, by ptrace",
         trace_one_device, ON_LINUX, NULL},
        {"sharing: two devices, one HWPT_INVALIDATE for each invalidation, by ptrace",
         trace_two_devices, ON_LINUX, NULL},
        {0},
};
