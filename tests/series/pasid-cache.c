/* SPDX-License-Identifier: MIT */
/* Rows S6 and S7: RID_PASID, and PASID-cache invalidation of every granularity. */
#include "tests/series/series.h"

#define OTHER_DOMAIN 8

#define CONTEXT_TABLE UINT64_C(0x101000) /* of guest.h's layout */
#define RID_PASID     5u

enum granularity {
        BY_DOMAIN = 0,
        BY_PASID = 1,
        GLOBAL = 3,
};

static void invalidate(struct machine *machine, enum granularity granularity, uint16_t domain,
                       uint32_t pasid)
{
        guest_queue(&machine->guest,
                    (uint64_t)pasid << 32 | (uint64_t)domain << 16 | (uint64_t)granularity << 4 | 7,
                    0);
        guest_submit(&machine->guest);
}

static void set_first_stage(struct machine *machine, uint32_t pasid, uint16_t domain, uint64_t root)
{
        guest_set_entry_words(
                &machine->guest, series_rid(0), pasid,
                (const uint64_t[8]){(uint64_t)GUEST_FIRST_STAGE << 6 | 2 << 2 | 1, domain, root});
}

static void remove_entry(struct machine *machine)
{
        guest_set_entry(&machine->guest, series_rid(0), GUEST_ABSENT, 0, 0);
}

static void rid_pasid_selects_the_entry(struct series *series)
{
        struct machine machine;
        uint64_t table;

        (void)machine_bound(series, &machine, SERIES_BLUE);
        table = machine_table(&machine, PAGE_B);
        set_first_stage(&machine, RID_PASID, OTHER_DOMAIN, table);
        machine_store(&machine, CONTEXT_TABLE + series_rid(0) * 32u + 8, RID_PASID);
        IS(series, machine_reads_table(&machine, 0), 'A');
        guest_invalidate_context(&machine.guest);
        IS(series, machine_reads_table(&machine, 0), 'B');
        IS(series, machine_tables(&machine), 1);

        /* Invalidations name that PASID now, and PASID 0 is nobody's. */
        guest_table_map(&machine.guest, table, IOVA_DATA, PAGE_C, 1);
        machine_mark(&machine);
        guest_invalidate_pasid(&machine.guest, OTHER_DOMAIN);
        IS(series, machine_calls(&machine, NULL), 0);
        IS(series, machine_reads_table(&machine, 0), 'B');
        guest_queue(&machine.guest, (uint64_t)RID_PASID << 32 | OTHER_DOMAIN << 16 | 0x26, 0);
        guest_submit(&machine.guest);
        IS(series, machine_reads_table(&machine, 0), 'C');
        set_first_stage(&machine, RID_PASID, OTHER_DOMAIN, machine_table(&machine, PAGE_A));
        invalidate(&machine, BY_PASID, OTHER_DOMAIN, 0);
        IS(series, machine_reads_table(&machine, 0), 'C');
        invalidate(&machine, BY_PASID, OTHER_DOMAIN, RID_PASID);
        IS(series, machine_reads_table(&machine, 0), 'A');
        machine_stop(&machine);
}

/* Add, change and remove, twice, each announced by one descriptor. */
static void follow_entry(struct series *series, enum granularity granularity)
{
        struct machine machine;
        uint64_t first, second;

        machine_up(series, &machine, SERIES_BLUE, 1);
        machine_enable(&machine, 1);
        first = machine_table(&machine, PAGE_A);
        second = machine_table(&machine, PAGE_B);
        for (unsigned i = 0; i < 2; i++) {
                set_first_stage(&machine, 0, DOMAIN, first);
                IS(series, machine_binding(&machine, 0), BLOCKED);
                invalidate(&machine, granularity, DOMAIN, 0);
                IS(series, machine_binding(&machine, 0), FIRST_STAGE);
                IS(series, machine_reads_table(&machine, 0), 'A');
                IS(series, machine_tables(&machine), 1);
                set_first_stage(&machine, 0, DOMAIN, second);
                IS(series, machine_reads_table(&machine, 0), 'A');
                machine_mark(&machine);
                invalidate(&machine, granularity, DOMAIN, 0);
                IS(series, machine_reads_table(&machine, 0), 'B');
                IS(series, machine_calls(&machine, "attach"), 1);
                IS(series, machine_calls(&machine, "detach"), 0);
                IS(series, machine_tables(&machine), 1);
                remove_entry(&machine);
                IS(series, machine_reads_table(&machine, 0), 'B');
                invalidate(&machine, granularity, DOMAIN, 0);
                IS(series, machine_binding(&machine, 0), BLOCKED);
                IS(series, machine_reads_table(&machine, 0), READS_BLOCKED);
                IS(series, machine_tables(&machine), 0);
        }
        IS(series, machine_faults(&machine), 0);
        machine_stop(&machine);
}

static void follow_by_domain(struct series *series)
{
        follow_entry(series, BY_DOMAIN);
}

static void follow_by_pasid(struct series *series)
{
        follow_entry(series, BY_PASID);
}

static void follow_global(struct series *series)
{
        follow_entry(series, GLOBAL);
}

/* Descriptors that name another domain or another PASID. */
static void invalidate_others(struct machine *machine)
{
        invalidate(machine, BY_DOMAIN, OTHER_DOMAIN, 0);
        invalidate(machine, BY_PASID, OTHER_DOMAIN, 0);
        invalidate(machine, BY_PASID, DOMAIN, RID_PASID);
}

static void others_descriptors_change_nothing(struct series *series)
{
        struct machine machine;

        machine_up(series, &machine, SERIES_BLUE, 1);
        machine_enable(&machine, 1);
        set_first_stage(&machine, 0, DOMAIN, machine_table(&machine, PAGE_A));
        machine_mark(&machine);
        invalidate_others(&machine);
        IS(series, machine_calls(&machine, NULL), 0);
        IS(series, machine_binding(&machine, 0), BLOCKED);
        invalidate(&machine, BY_PASID, DOMAIN, 0);
        IS(series, machine_reads_table(&machine, 0), 'A');
        set_first_stage(&machine, 0, DOMAIN, machine_table(&machine, PAGE_B));
        machine_mark(&machine);
        invalidate_others(&machine);
        IS(series, machine_calls(&machine, NULL), 0);
        IS(series, machine_reads_table(&machine, 0), 'A');
        remove_entry(&machine);
        invalidate_others(&machine);
        IS(series, machine_calls(&machine, NULL), 0);
        IS(series, machine_reads_table(&machine, 0), 'A');
        machine_stop(&machine);
}

/* The entry in force carries DOMAIN, the one in memory OTHER_DOMAIN: which of them is named? */
static void removal_is_judged_by_the_cached_entry(struct series *series)
{
        struct machine machine;

        (void)machine_bound(series, &machine, SERIES_BLUE);
        set_first_stage(&machine, 0, OTHER_DOMAIN, machine_table(&machine, PAGE_B));
        machine_mark(&machine);
        invalidate(&machine, BY_DOMAIN, OTHER_DOMAIN, 0);
        invalidate(&machine, BY_PASID, OTHER_DOMAIN, 0);
        IS(series, machine_calls(&machine, NULL), 0);
        IS(series, machine_reads_table(&machine, 0), 'A');
        invalidate(&machine, BY_DOMAIN, DOMAIN, 0);
        IS(series, machine_reads_table(&machine, 0), 'B');
        remove_entry(&machine);
        invalidate(&machine, BY_DOMAIN, DOMAIN, 0);
        IS(series, machine_reads_table(&machine, 0), 'B');
        invalidate(&machine, BY_DOMAIN, OTHER_DOMAIN, 0);
        IS(series, machine_binding(&machine, 0), BLOCKED);
        IS(series, machine_reads_table(&machine, 0), READS_BLOCKED);
        machine_stop(&machine);
}

static void addition_is_judged_by_memory(struct series *series)
{
        struct machine machine;

        machine_up(series, &machine, SERIES_BLUE, 1);
        machine_enable(&machine, 1);
        set_first_stage(&machine, 0, OTHER_DOMAIN, machine_table(&machine, PAGE_B));
        machine_mark(&machine);
        invalidate(&machine, BY_DOMAIN, DOMAIN, 0);
        IS(series, machine_calls(&machine, NULL), 0);
        IS(series, machine_binding(&machine, 0), BLOCKED);
        invalidate(&machine, BY_DOMAIN, OTHER_DOMAIN, 0);
        IS(series, machine_binding(&machine, 0), FIRST_STAGE);
        IS(series, machine_reads_table(&machine, 0), 'B');
        machine_stop(&machine);
}

static void an_unchanged_entry_costs_nothing(struct series *series)
{
        struct machine machine;

        (void)machine_bound(series, &machine, SERIES_BLUE);
        machine_mark(&machine);
        for (unsigned i = 0; i < 10; i++) {
                invalidate(&machine, BY_DOMAIN, DOMAIN, 0);
                invalidate(&machine, BY_PASID, DOMAIN, 0);
                invalidate(&machine, GLOBAL, 0, 0);
                guest_invalidate_context(&machine.guest);
        }
        IS(series, machine_calls(&machine, NULL), 0);
        IS(series, machine_reads_table(&machine, 0), 'A');
        IS(series, machine_tables(&machine), 1);
        machine_stop(&machine);
}

const struct series_test series_pasid_cache_tests[] = {
        {"S6: RID_PASID selects the PASID-table entry, and invalidations name that PASID",
         rid_pasid_selects_the_entry, ON_BOTH, NULL},
        {"S7: an entry is added, changed and removed by domain-selective invalidation",
         follow_by_domain, ON_BOTH, NULL},
        {"S7: an entry is added, changed and removed by PASID-selective invalidation",
         follow_by_pasid, ON_BOTH, NULL},
        {"S7: an entry is added, changed and removed by global invalidation", follow_global,
         ON_BOTH, NULL},
        {"S7: invalidations of another domain or PASID change nothing and cost no host call",
         others_descriptors_change_nothing, ON_BOTH, NULL},
        {"S7: removal is judged by the cached entry", removal_is_judged_by_the_cached_entry,
         ON_BOTH, NULL},
        {"S7: addition is judged by memory", addition_is_judged_by_memory, ON_BOTH, NULL},
        {"S7: an unchanged entry costs no host call, whatever names it",
         an_unchanged_entry_costs_nothing, ON_BOTH, NULL},
        {0},
};
