/* SPDX-License-Identifier: MIT */
/* Rows S2 (default binding), S8 (reset) and S9 (translation types). */
#include "tests/series/series.h"

static void translation_off_is_passthrough(struct series *series)
{
        struct machine machine;

        (void)machine_bound(series, &machine, SERIES_BLUE);
        guest_set_translation(&machine.guest, false);
        IS(series, machine_binding(&machine, 0), PASSTHROUGH);
        IS(series, machine_reads_physical(&machine, 0, PAGE_B), 'B');
        IS(series, machine_tables(&machine), 0);
        guest_set_translation(&machine.guest, true);
        IS(series, machine_binding(&machine, 0), FIRST_STAGE);
        IS(series, machine_reads_table(&machine, 0), 'A');
        IS(series, machine_tables(&machine), 1);
        machine_stop(&machine);
}

/* What the guest changed meanwhile needs no invalidation: nothing was cached. */
static void translation_on_evaluates_anew(struct series *series)
{
        struct machine machine;
        struct guest *guest = &machine.guest;

        (void)machine_bound(series, &machine, SERIES_BLUE);
        guest_set_translation(guest, false);
        guest_set_entry(guest, series_rid(0), GUEST_FIRST_STAGE, DOMAIN,
                        machine_table(&machine, PAGE_C));
        guest_set_translation(guest, true);
        IS(series, machine_reads_table(&machine, 0), 'C');
        guest_set_translation(guest, false);
        guest_set_entry(guest, series_rid(0), GUEST_PASSTHROUGH, DOMAIN, 0);
        guest_set_translation(guest, true);
        IS(series, machine_binding(&machine, 0), PASSTHROUGH);
        IS(series, machine_reads_physical(&machine, 0, PAGE_B), 'B');
        guest_set_translation(guest, false);
        guest_set_entry(guest, series_rid(0), GUEST_ABSENT, 0, 0);
        guest_set_translation(guest, true);
        IS(series, machine_binding(&machine, 0), BLOCKED);
        IS(series, machine_reads_physical(&machine, 0, PAGE_B), READS_BLOCKED);
        IS(series, machine_faults(&machine), 0);
        machine_stop(&machine);
}

static void without_passthrough_the_default_is_blocked(struct series *series)
{
        struct machine machine;

        (void)machine_bound(series, &machine, SERIES_STRICT);
        guest_set_translation(&machine.guest, false);
        IS(series, machine_binding(&machine, 0), BLOCKED);
        IS(series, machine_reads_physical(&machine, 0, PAGE_B), READS_BLOCKED);
        IS(series, machine_reads_table(&machine, 0), READS_BLOCKED);
        IS(series, machine_tables(&machine), 0);
        guest_set_translation(&machine.guest, true);
        IS(series, machine_reads_table(&machine, 0), 'A');
        machine_stop(&machine);
}

static void reset_drops_every_binding(struct series *series)
{
        struct machine machine;
        struct guest *guest = &machine.guest;

        machine_up(series, &machine, SERIES_BLUE, 2);
        machine_enable(&machine, 2);
        for (unsigned i = 0; i < 2; i++)
                guest_set_entry(guest, series_rid(i), GUEST_FIRST_STAGE, (uint16_t)(DOMAIN + i),
                                machine_table(&machine, i == 0 ? PAGE_A : PAGE_B));
        guest_flush_entry(guest, DOMAIN);
        guest_flush_entry(guest, DOMAIN + 1);
        IS(series, machine_reads_table(&machine, 0), 'A');
        IS(series, machine_reads_table(&machine, 1), 'B');
        IS(series, machine_tables(&machine), 2);
        vtd_frontend_reset(vmm_frontend(machine.vmm));
        machine_run(&machine);
        IS(series, machine_tables(&machine), 0);
        IS(series, vmm_iommu_read(machine.vmm, 0x1c, 4), 0);
        for (unsigned i = 0; i < 2; i++) {
                IS(series, machine_binding(&machine, i), PASSTHROUGH);
                IS(series, machine_reads_physical(&machine, i, PAGE_C), 'C');
        }
        machine_stop(&machine);
}

/* Devices and memory stay: the next guest program starts from the registers alone. */
static void after_reset_a_guest_starts_again(struct series *series)
{
        struct machine machine;

        (void)machine_bound(series, &machine, SERIES_BLUE);
        vtd_frontend_reset(vmm_frontend(machine.vmm));
        machine_run(&machine);
        guest_init(&machine.guest, machine.vmm);
        machine_enable(&machine, 1);
        IS(series, machine_binding(&machine, 0), BLOCKED);
        guest_set_entry(&machine.guest, series_rid(0), GUEST_FIRST_STAGE, DOMAIN,
                        machine_table(&machine, PAGE_B));
        guest_flush_entry(&machine.guest, DOMAIN);
        IS(series, machine_reads_table(&machine, 0), 'B');
        IS(series, machine_tables(&machine), 1);
        machine_stop(&machine);
}

static void reset_while_dma_runs(struct series *series)
{
        struct machine machine;
        struct guest *guest = &machine.guest;

        (void)machine_bound(series, &machine, SERIES_BLUE);
        for (unsigned i = 0; i < 10; i++) {
                IS(series, guest_dma_start(guest, series_rid(0), IOVA_DATA, GUEST_PAGE, false), 0);
                vtd_frontend_reset(vmm_frontend(machine.vmm));
                machine_run(&machine);
                IS(series, guest_dma_finish(guest, series_rid(0)), 0);
                IS(series, machine_tables(&machine), 0);
                guest_init(guest, machine.vmm);
                machine_enable(&machine, 1);
                guest_set_entry(guest, series_rid(0), GUEST_FIRST_STAGE, DOMAIN,
                                machine_table(&machine, PAGE_A));
                guest_flush_entry(guest, DOMAIN);
                IS(series, machine_reads_table(&machine, 0), 'A');
        }
        machine_stop(&machine);
}

static void passthrough_and_first_stage_are_served(struct series *series)
{
        struct machine machine;
        struct guest *guest = &machine.guest;
        uint64_t table;

        table = machine_bound(series, &machine, SERIES_BLUE);
        guest_set_entry(guest, series_rid(0), GUEST_PASSTHROUGH, DOMAIN, 0);
        guest_flush_entry(guest, DOMAIN);
        IS(series, machine_binding(&machine, 0), PASSTHROUGH);
        IS(series, machine_reads_physical(&machine, 0, PAGE_B), 'B');
        guest_set_entry(guest, series_rid(0), GUEST_FIRST_STAGE, DOMAIN, table);
        guest_flush_entry(guest, DOMAIN);
        IS(series, machine_binding(&machine, 0), FIRST_STAGE);
        IS(series, machine_reads(&machine, 0, IOVA_LARGE + 5 * GUEST_PAGE, IOVA_SINK), 'L');
        IS(series, machine_faults(&machine), 0);
        machine_stop(&machine);
}

/* Each of them replaces a working binding, so that what was there must go. */
static void other_types_are_refused(struct series *series)
{
        static const unsigned types[] = {0, 2, 3, 5, 6, 7};
        struct machine machine;
        struct guest *guest = &machine.guest;
        uint64_t table;

        table = machine_bound(series, &machine, SERIES_BLUE);
        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
                uint64_t before = machine_faults(&machine);
                struct guest_fault fault;

                guest_set_entry(guest, series_rid(0), GUEST_FIRST_STAGE, DOMAIN, table);
                guest_flush_entry(guest, DOMAIN);
                IS(series, machine_reads_table(&machine, 0), 'A');
                /* guest_set_entry() takes absent for 0, so the type goes in by hand. */
                guest_set_entry_words(
                        guest, series_rid(0), 0,
                        (const uint64_t[8]){table | types[i] << 6 | 2 << 2 | 1, DOMAIN, table});
                guest_flush_entry(guest, DOMAIN);
                IS(series, machine_binding(&machine, 0), BLOCKED);
                IS(series, machine_reads_table(&machine, 0), READS_BLOCKED);
                IS(series, machine_reads_physical(&machine, 0, PAGE_A), READS_BLOCKED);
                IS(series, machine_tables(&machine), 0);
                IS(series, machine_faults(&machine) - before, 1);
                guest_take_fault(guest, &fault);
                IS(series, fault.pending, true);
                IS(series, fault.reason, FAULT_PASID_ENTRY_INVALID);
                IS(series, fault.source, series_rid(0));
                guest_take_fault(guest, &fault);
                IS(series, fault.pending, false);
        }
        machine_stop(&machine);
}

const struct series_test series_binding_tests[] = {
        {"S2: while translation is off a device sees guest-physical memory, and its table is gone",
         translation_off_is_passthrough, ON_BOTH, NULL},
        {"S2: enabling translation evaluates the entry of the moment",
         translation_on_evaluates_anew, ON_BOTH, NULL},
        {"S2: without pass-through in the policy, translation off means blocked",
         without_passthrough_the_default_is_blocked, ON_BOTH, NULL},
        {"S8: reset drops every binding and leaves no table", reset_drops_every_binding, ON_BOTH,
         NULL},
        {"S8: after reset a guest starts again from its registers",
         after_reset_a_guest_starts_again, ON_BOTH, NULL},
        {"S8: reset while the device does DMA, ten times", reset_while_dma_runs, ON_BOTH, NULL},
        {"S9: pass-through and first-stage entries are served",
         passthrough_and_first_stage_are_served, ON_BOTH, NULL},
        {"S9: every other translation type is refused, blocks, and records one fault",
         other_types_are_refused, ON_BOTH, NULL},
        {0},
};
