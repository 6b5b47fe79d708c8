/* SPDX-License-Identifier: MIT */
/*
 * Guest PASIDs other than RID_PASID, bound through nested translation: the edu-pasid device does
 * its DMA with the PASID that its register says.  On the real host the rig's profile "full".
 */
#include "tests/series/series.h"

#define DEVICE      0u
#define PASID_ONE   5u
#define PASID_TWO   9u
#define PASID_THREE 11u
#define DOMAIN_ONE  20u
#define DOMAIN_TWO  21u

#define EDU_PASID     0xa0u
#define PASID_ENABLED 0x80000000u

#define CONTEXT_TABLE  UINT64_C(0x101000) /* tests/vmm/guest.h */
#define CONTEXT_PASIDE UINT64_C(0x8)

#define FIRST_STAGE_ENTRY UINT64_C(0x49) /* PGTT 1, AW 2, P */

/* Requests of the device carry @pasid from here on; 0: none. */
static void use_pasid(struct machine *machine, uint32_t pasid)
{
        uint64_t value = pasid ? PASID_ENABLED | pasid : 0;

        IS(machine->series, vmm_device_write(machine->vmm, series_rid(DEVICE), EDU_PASID, 8, value),
           0);
}

static int reads_with(struct machine *machine, uint32_t pasid)
{
        int seen;

        use_pasid(machine, pasid);
        seen = machine_reads_table(machine, DEVICE);
        use_pasid(machine, 0);
        return seen;
}

static int binding_of(struct machine *machine, uint32_t pasid)
{
        enum vtd_frontend_binding binding;
        int result = vtd_frontend_get_pasid_binding(vmm_frontend(machine->vmm), series_rid(DEVICE),
                                                    pasid, &binding);

        return result == 0 ? (int)binding : -1;
}

static void put(struct machine *machine, uint32_t pasid, uint16_t domain, uint64_t root)
{
        const uint64_t words[8] = {root ? FIRST_STAGE_ENTRY : 0, domain, root};

        guest_set_entry_words(&machine->guest, series_rid(DEVICE), pasid, words);
}

/* What Linux sends when it has added, changed or removed an entry. */
static void flush(struct machine *machine, uint32_t pasid, uint16_t domain)
{
        uint64_t operand = (uint64_t)pasid << 32 | (uint64_t)domain << 16;

        guest_queue(&machine->guest, operand | 0x17, 0);
        guest_queue(&machine->guest, operand | 0x26, 0);
        guest_submit(&machine->guest);
}

/* One device with PASIDs enabled, its requests without PASID on a table of PAGE_A. */
static void bring_up(struct series *series, struct machine *machine)
{
        struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_DEFAULT;
        uint64_t context = CONTEXT_TABLE + (series_rid(DEVICE) & 0x7fu) * 32u;
        unsigned bits = 0;

        config.pasid_bits = 12;
        machine_start(series, machine, SERIES_PASIDS, &config);
        IS(series, machine_plug(machine, DEVICE), 0);
        IS(series, vmm_map_memory(machine->vmm), 0);
        machine_fill(machine);
        machine_run(machine);
        IS(series,
           vtd_frontend_get_pasid_bits(vmm_frontend(machine->vmm), series_rid(DEVICE), &bits), 0);
        IS(series, bits, 12);
        machine_enable(machine, 1);
        machine_store(machine, context, machine_load(machine, context) | CONTEXT_PASIDE);
        guest_set_entry(&machine->guest, series_rid(DEVICE), GUEST_FIRST_STAGE, DOMAIN,
                        machine_table(machine, PAGE_A));
        guest_invalidate_context(&machine->guest);
        guest_flush_entry(&machine->guest, DOMAIN);
        IS(series, machine_reads_table(machine, DEVICE), 'A');
}

static void bind_invalidate_and_unbind(struct series *series)
{
        struct machine machine;
        uint64_t one, two;

        bring_up(series, &machine);
        one = machine_table(&machine, PAGE_B);
        two = machine_table(&machine, PAGE_C);
        put(&machine, PASID_ONE, DOMAIN_ONE, one);
        flush(&machine, PASID_ONE, DOMAIN_ONE);
        put(&machine, PASID_TWO, DOMAIN_TWO, two);
        flush(&machine, PASID_TWO, DOMAIN_TWO);
        IS(series, binding_of(&machine, PASID_ONE), FIRST_STAGE);
        IS(series, reads_with(&machine, PASID_ONE), 'B');
        IS(series, reads_with(&machine, PASID_TWO), 'C');
        IS(series, machine_reads_table(&machine, DEVICE), 'A');

        guest_table_map(&machine.guest, one, IOVA_DATA, PAGE_C, 1);
        IS(series, reads_with(&machine, PASID_ONE), 'B');
        guest_queue(&machine.guest, (uint64_t)PASID_TWO << 32 | (uint64_t)DOMAIN_ONE << 16 | 0x36,
                    IOVA_DATA);
        guest_submit(&machine.guest);
        IS(series, reads_with(&machine, PASID_ONE), 'B');
        guest_queue(&machine.guest, (uint64_t)PASID_ONE << 32 | (uint64_t)DOMAIN_ONE << 16 | 0x36,
                    IOVA_DATA);
        guest_submit(&machine.guest);
        IS(series, reads_with(&machine, PASID_ONE), 'C');

        put(&machine, PASID_ONE, DOMAIN_ONE, machine_table(&machine, PAGE_A));
        flush(&machine, PASID_ONE, DOMAIN_ONE);
        IS(series, reads_with(&machine, PASID_ONE), 'A');

        put(&machine, PASID_ONE, 0, 0);
        flush(&machine, PASID_ONE, DOMAIN_ONE);
        IS(series, binding_of(&machine, PASID_ONE), BLOCKED);
        IS(series, reads_with(&machine, PASID_ONE), READS_BLOCKED);
        IS(series, reads_with(&machine, PASID_TWO), 'C');
        IS(series, machine_reads_table(&machine, DEVICE), 'A');
        machine_stop(&machine);
}

/* The policy grants two. */
static void one_too_many_is_told_as_a_fault(struct series *series)
{
        struct machine machine;
        uint64_t faults;

        bring_up(series, &machine);
        put(&machine, PASID_ONE, DOMAIN_ONE, machine_table(&machine, PAGE_B));
        flush(&machine, PASID_ONE, DOMAIN_ONE);
        put(&machine, PASID_TWO, DOMAIN_TWO, machine_table(&machine, PAGE_C));
        flush(&machine, PASID_TWO, DOMAIN_TWO);
        faults = machine_faults(&machine);
        put(&machine, PASID_THREE, DOMAIN_ONE, machine_table(&machine, PAGE_A));
        flush(&machine, PASID_THREE, DOMAIN_ONE);
        IS(series, machine_faults(&machine), faults + 1);
        IS(series, binding_of(&machine, PASID_THREE), BLOCKED);
        IS(series, reads_with(&machine, PASID_THREE), READS_BLOCKED);
        IS(series, reads_with(&machine, PASID_ONE), 'B');
        IS(series, reads_with(&machine, PASID_TWO), 'C');
        machine_stop(&machine);
}

static void translation_off_detaches_them_all(struct series *series)
{
        struct machine machine;

        bring_up(series, &machine);
        put(&machine, PASID_ONE, DOMAIN_ONE, machine_table(&machine, PAGE_B));
        flush(&machine, PASID_ONE, DOMAIN_ONE);
        IS(series, reads_with(&machine, PASID_ONE), 'B');
        guest_set_translation(&machine.guest, false);
        IS(series, reads_with(&machine, PASID_ONE), READS_BLOCKED);
        IS(series, machine_reads_physical(&machine, DEVICE, PAGE_A), 'A');
        guest_set_translation(&machine.guest, true);
        IS(series, reads_with(&machine, PASID_ONE), 'B');
        machine_stop(&machine);
}

#define ON_BOTH_PROFILES(title, run)                                                               \
        {title, run, ON_SIMULATED, NULL},                                                          \
        {                                                                                          \
                title, run, ON_LINUX, "full"                                                       \
        }

const struct series_test series_pasid_tests[] = {
        ON_BOTH_PROFILES("PASIDs: bind, go stale, invalidate, change and unbind",
                         bind_invalidate_and_unbind),
        ON_BOTH_PROFILES("PASIDs: one over the policy's limit is told as a fault, the others stay",
                         one_too_many_is_told_as_a_fault),
        ON_BOTH_PROFILES("PASIDs: translation off detaches them all, on brings them back",
                         translation_off_detaches_them_all),
        {.title = NULL},
};
