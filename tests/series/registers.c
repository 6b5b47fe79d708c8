/* SPDX-License-Identifier: MIT */
/* Row S14: edges of SRTP and TE. */
#include "tests/series/series.h"

#define REG_GCMD   0x18u
#define REG_GSTS   0x1cu
#define REG_RTADDR 0x20u
#define GCMD_TE    0x80000000u
#define GCMD_QIE   0x04000000u

/* Another root, with tables of its own, behind those that guest.h lays out. */
#define OTHER_ROOT      UINT64_C(0x130000)
#define OTHER_CONTEXT   UINT64_C(0x131000)
#define OTHER_DIRECTORY UINT64_C(0x132000)
#define OTHER_TABLE     UINT64_C(0x133000)

static void srtp_drops_what_was_cached(struct series *series)
{
        struct machine machine;
        struct guest *guest = &machine.guest;

        (void)machine_bound(series, &machine, SERIES_BLUE);
        guest_set_entry(guest, series_rid(0), GUEST_FIRST_STAGE, DOMAIN,
                        machine_table(&machine, PAGE_B));
        IS(series, machine_reads_table(&machine, 0), 'A');
        guest_set_root(guest);
        IS(series, machine_reads_table(&machine, 0), 'B');
        IS(series, machine_tables(&machine), 1);
        guest_set_entry(guest, series_rid(0), GUEST_ABSENT, 0, 0);
        IS(series, machine_reads_table(&machine, 0), 'B');
        guest_set_root(guest);
        IS(series, machine_binding(&machine, 0), BLOCKED);
        IS(series, machine_reads_table(&machine, 0), READS_BLOCKED);
        machine_stop(&machine);
}

/* SRTP implies global invalidation: of translations, too, which only the host holds. */
static void srtp_drops_translations(struct series *series)
{
        struct machine machine;
        struct guest *guest = &machine.guest;
        uint64_t table;

        table = machine_bound(series, &machine, SERIES_BLUE);
        guest_table_map(guest, table, IOVA_DATA, PAGE_B, 1);
        IS(series, machine_reads_table(&machine, 0), 'A');
        machine_mark(&machine);
        guest_set_root(guest);
        IS(series, machine_calls(&machine, "attach"), 0);
        IS(series, machine_calls(&machine, "first-stage-alloc"), 0);
        IS(series, machine_calls(&machine, "invalidate"), 1);
        IS(series, machine_reads_table(&machine, 0), 'B');
        machine_stop(&machine);
}

static void another_root_counts_from_srtp_on(struct series *series)
{
        struct machine machine;
        struct guest *guest = &machine.guest;

        (void)machine_bound(series, &machine, SERIES_BLUE);
        guest_fill(guest, OTHER_ROOT, 0, 4 * GUEST_PAGE);
        machine_store(&machine, OTHER_ROOT, OTHER_CONTEXT | 1);
        machine_store(&machine, OTHER_CONTEXT + series_rid(0) * 32u, OTHER_DIRECTORY | 1);
        machine_store(&machine, OTHER_DIRECTORY, OTHER_TABLE | 1);
        machine_store(&machine, OTHER_TABLE + 8, DOMAIN);
        machine_store(&machine, OTHER_TABLE + 16, machine_table(&machine, PAGE_C));
        machine_store(&machine, OTHER_TABLE, (uint64_t)GUEST_FIRST_STAGE << 6 | 2 << 2 | 1);
        machine_mark(&machine);
        (void)vmm_iommu_write(machine.vmm, REG_RTADDR, 8, OTHER_ROOT | 0x400);
        guest_invalidate_context(guest);
        IS(series, machine_calls(&machine, "attach"), 0);
        IS(series, machine_reads_table(&machine, 0), 'A');
        (void)vmm_iommu_write(machine.vmm, REG_GCMD, 4, GCMD_TE | GCMD_QIE | 0x40000000u);
        IS(series, machine_reads_table(&machine, 0), 'C');
        IS(series, machine_tables(&machine), 1);
        machine_stop(&machine);
}

static void rewriting_the_same_value_costs_nothing(struct series *series)
{
        struct machine machine;
        struct vtd_frontend_stats before, after;
        uint32_t status;

        (void)machine_bound(series, &machine, SERIES_BLUE);
        status = (uint32_t)vmm_iommu_read(machine.vmm, REG_GSTS, 4);
        machine_mark(&machine);
        vtd_frontend_get_stats(vmm_frontend(machine.vmm), &before);
        for (unsigned i = 0; i < 20; i++) {
                (void)vmm_iommu_write(machine.vmm, REG_GCMD, 4, GCMD_TE | GCMD_QIE);
                (void)vmm_iommu_write(machine.vmm, REG_RTADDR, 8,
                                      vmm_iommu_read(machine.vmm, REG_RTADDR, 8));
        }
        vtd_frontend_get_stats(vmm_frontend(machine.vmm), &after);
        IS(series, after.requests - before.requests, 0);
        IS(series, vmm_iommu_read(machine.vmm, REG_GSTS, 4), status);
        IS(series, machine_calls(&machine, NULL), 0);
        IS(series, machine_reads_table(&machine, 0), 'A');
        machine_stop(&machine);
}

static void off_twice_costs_nothing(struct series *series)
{
        struct machine machine;

        (void)machine_bound(series, &machine, SERIES_BLUE);
        guest_set_translation(&machine.guest, false);
        IS(series, machine_binding(&machine, 0), PASSTHROUGH);
        machine_mark(&machine);
        guest_set_translation(&machine.guest, false);
        guest_set_root(&machine.guest);
        IS(series, machine_calls(&machine, NULL), 0);
        IS(series, machine_reads_physical(&machine, 0, PAGE_B), 'B');
        machine_stop(&machine);
}

const struct series_test series_register_tests[] = {
        {"S14: SRTP drops cached entries and evaluates the bindings anew",
         srtp_drops_what_was_cached, ON_BOTH, NULL},
        {"S14: SRTP on an unchanged binding drops its translations by one host call",
         srtp_drops_translations, ON_BOTH, NULL},
        {"S14: another root counts from SRTP on, not from RTADDR on",
         another_root_counts_from_srtp_on, ON_BOTH, NULL},
        {"S14: writing TE, QIE and RTADDR again with the same value costs no request",
         rewriting_the_same_value_costs_nothing, ON_BOTH, NULL},
        {"S14: TE off again, and SRTP while it is off, cost no host call", off_twice_costs_nothing,
         ON_BOTH, NULL},
        {0},
};
