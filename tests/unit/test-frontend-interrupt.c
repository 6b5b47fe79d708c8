/* SPDX-License-Identifier: MIT */
/* Interrupt remapping, as a guest's registers and table ask for it and as a VMM is answered. */
#include "tests/unit/frontend-fixture.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <vtd/dma.h>
#include <vtd/interrupt.h>

#include "frontend/registers.h"
#include "shared/checked.h"

#define BIT(n) (UINT64_C(1) << (n))

/* A table of 65536 entries fills 1 MiB. */
#define INTERRUPT_TABLE 0x200000u
#define OTHER_TABLE     0x180000u

#define EIME       UINT64_C(0x800)
#define SIZE(s)    ((uint64_t)(s))
#define SIZE_LARGE SIZE(15)

/* A remappable request for @handle. */
#define ADDRESS(handle)                                                                            \
        (UINT64_C(0xfee00010) | ((uint64_t)(handle)&0x7fff) << 5 | ((uint64_t)(handle) >> 15) << 2)
#define SHV UINT64_C(0x8)

/* Entries: present, fixed, physical; vector and destination; and whom it is for. */
#define ENTRY(vector, target) (BIT(0) | (uint64_t)(vector) << 16 | (uint64_t)(target) << 32)
#define XAPIC(target)         ((uint64_t)(target) << 8)
#define FPD                   BIT(1)
#define ANYBODY               UINT64_C(0)
#define EXACTLY(rid)          (BIT(18) | (rid))
#define ALIKE(rid, qualifier) (BIT(18) | (uint64_t)(qualifier) << 16 | (rid))
#define BUSES(first, last)    (BIT(19) | (uint64_t)(first) << 8 | (last))
#define IEC_GLOBAL            UINT64_C(0x4), 0
#define IEC_INDEX(index, mask)                                                                     \
        (UINT64_C(0x14) | (uint64_t)(mask) << 27 | (uint64_t)(index) << 32), 0

static void put_irte_at(struct guest *guest, uint64_t table, unsigned index, uint64_t low,
                        uint64_t high)
{
        guest_put64(guest, table + index * 16, low);
        guest_put64(guest, table + index * 16 + 8, high);
}

static void put_irte(struct guest *guest, unsigned index, uint64_t low, uint64_t high)
{
        put_irte_at(guest, INTERRUPT_TABLE, index, low, high);
}

static void configure_extended(struct guest *guest, bool extended)
{
        struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_DEFAULT;

        config.interrupt_remapping = true;
        config.extended_interrupt_mode = extended;
        guest->command = 0;
        guest->tail = 0;
        guest_configure(guest, &config, 7);
}

static int interrupt_setup(void **state)
{
        if (guest_setup(state) != 0)
                return -1;
        configure_extended(*state, true);
        return 0;
}

/* Has the unit take over @irta. */
static void set_table(struct guest *guest, uint64_t irta)
{
        write64(guest, VTD_REG_IRTA, irta);
        command(guest, VTD_GCMD_SIRTP, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_true(read32(guest, VTD_REG_GSTS) & VTD_GCMD_SIRTP);
}

static void enable_remapping(struct guest *guest, uint64_t irta)
{
        set_table(guest, irta);
        command(guest, VTD_GCMD_IRE, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_true(read32(guest, VTD_REG_GSTS) & VTD_GCMD_IRE);
}

static void assert_delivered(struct guest *guest, unsigned rid, uint64_t address, uint32_t data,
                             uint64_t expected_address, uint32_t expected_data)
{
        struct vtd_frontend_message message = {0, 0};

        assert_int_equal(
                vtd_frontend_remap_interrupt(guest->unit, (uint16_t)rid, address, data, &message),
                0);
        assert_int_equal(message.address, expected_address);
        assert_int_equal(message.data, expected_data);
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
}

/* The request passes as it is. */
static void assert_untouched(struct guest *guest, uint64_t address, uint32_t data)
{
        assert_delivered(guest, RID_A, address, data, address, data);
}

static void assert_silently_blocked(struct guest *guest, unsigned rid, uint64_t address,
                                    uint32_t data)
{
        struct vtd_frontend_message message = {1, 2};

        assert_int_equal(
                vtd_frontend_remap_interrupt(guest->unit, (uint16_t)rid, address, data, &message),
                VTD_FRONTEND_BLOCKED);
        assert_int_equal(message.address, 1);
        assert_int_equal(message.data, 2);
}

/* Blocked with one fault record, of which every bit is known. */
static void assert_blocked(struct guest *guest, unsigned rid, uint64_t address, uint32_t data,
                           unsigned reason, unsigned index)
{
        assert_silently_blocked(guest, rid, address, data);
        assert_int_equal(read32(guest, VTD_REG_FSTS), VTD_FSTS_PPF);
        assert_int_equal(read64(guest, VTD_REG_FRCD), (uint64_t)index << 48);
        assert_int_equal(read64(guest, VTD_REG_FRCD + 8), BIT(63) | (uint64_t)reason << 32 | rid);
        clear_faults(guest);
}

static void test_capabilities_and_registers_follow_the_configuration(void **state)
{
        struct guest *guest = *state;
        struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_DEFAULT;
        uint64_t ecap;

        guest_configure(guest, &config, 7);
        ecap = read64(guest, VTD_REG_ECAP);
        configure_extended(guest, false);
        assert_int_equal(read64(guest, VTD_REG_ECAP), ecap | 0xf00008);
        assert_int_equal(read64(guest, VTD_REG_CAP) & BIT(59), 0);
        write64(guest, VTD_REG_IRTA, UINT64_MAX);
        write64(guest, VTD_REG_FEADDR, UINT64_MAX);
        write64(guest, VTD_REG_IEADDR, UINT64_MAX);
        assert_int_equal(read64(guest, VTD_REG_IRTA), 0xfffffffffffff00f);
        assert_int_equal(read64(guest, VTD_REG_FEADDR), 0xfffffffc);
        assert_int_equal(read64(guest, VTD_REG_IEADDR), 0xfffffffc);
        configure_extended(guest, true);
        assert_int_equal(read64(guest, VTD_REG_ECAP), ecap | 0xf00018);
        write64(guest, VTD_REG_IRTA, UINT64_MAX);
        write64(guest, VTD_REG_FEADDR, UINT64_MAX);
        write64(guest, VTD_REG_IEADDR, UINT64_MAX);
        assert_int_equal(read64(guest, VTD_REG_IRTA), 0xfffffffffffff80f);
        assert_int_equal(read64(guest, VTD_REG_FEADDR), 0xfffffffffffffffc);
        assert_int_equal(read64(guest, VTD_REG_IEADDR), 0xfffffffffffffffc);
}

static void test_without_the_capability_nothing_is_remapped(void **state)
{
        struct guest *guest = *state;
        struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_DEFAULT;

        guest_configure(guest, &config, 7);
        write64(guest, VTD_REG_IRTA, INTERRUPT_TABLE | SIZE_LARGE);
        assert_int_equal(read64(guest, VTD_REG_IRTA), 0);
        command(guest, VTD_GCMD_SIRTP | VTD_GCMD_IRE | VTD_GCMD_CFI, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(read32(guest, VTD_REG_GSTS), 0);
        assert_untouched(guest, ADDRESS(7), 0);
}

static void test_everything_passes_untouched_while_remapping_is_off(void **state)
{
        struct guest *guest = *state;

        put_irte(guest, 7, ENTRY(0x55, XAPIC(3)), ANYBODY);
        set_table(guest, INTERRUPT_TABLE | SIZE_LARGE);
        guest->reads = 0;
        assert_untouched(guest, ADDRESS(7), 0);
        assert_untouched(guest, 0xfee01008, 0x4041);
        assert_untouched(guest, UINT64_C(0x12345600fee01008), UINT32_MAX);
        assert_untouched(guest, 0, 0);
        assert_int_equal(guest->reads, 0);
        enable_remapping(guest, INTERRUPT_TABLE | SIZE_LARGE);
        assert_delivered(guest, RID_A, ADDRESS(7), 0, 0xfee03000, 0x4055);
        command(guest, 0, VTD_GCMD_IRE);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(read32(guest, VTD_REG_GSTS), VTD_GCMD_SIRTP);
        assert_untouched(guest, ADDRESS(7), 0);
}

/* One request for each row of the table of checks, and its nearest neighbour that passes. */
static void test_each_check_has_its_reason(void **state)
{
        struct guest *guest = *state;

        enable_remapping(guest, INTERRUPT_TABLE | SIZE(2));
        put_irte(guest, 7, ENTRY(0x55, XAPIC(3)), EXACTLY(RID_A));
        assert_blocked(guest, RID_A, ADDRESS(7) | BIT(32), 0, 0x20, 0);
        assert_blocked(guest, RID_A, ADDRESS(7) | BIT(63), 0, 0x20, 0);
        assert_blocked(guest, RID_A, ADDRESS(7) + 0x100000, 0, 0x20, 0);
        assert_blocked(guest, RID_A, ADDRESS(7) - 0x100000, 0, 0x20, 0);
        assert_blocked(guest, RID_A, ADDRESS(7) & ~BIT(4), 0, 0x25, 0);
        assert_blocked(guest, RID_A, ADDRESS(7), 0x10000, 0x20, 7);
        assert_blocked(guest, RID_A, ADDRESS(7), 0x80000000, 0x20, 7);
        assert_blocked(guest, RID_A, ADDRESS(8), 0, 0x21, 8);
        assert_blocked(guest, RID_B, ADDRESS(7), 0, 0x26, 7);
        assert_delivered(guest, RID_A, ADDRESS(7) | 3, 0xffff, 0xfee03000, 0x4055);
        put_irte(guest, 7, ENTRY(0x55, XAPIC(3)) & ~BIT(0), EXACTLY(RID_A));
        assert_blocked(guest, RID_A, ADDRESS(7), 0, 0x22, 7);
        put_irte(guest, 7, ENTRY(0x55, XAPIC(3)) | BIT(12), EXACTLY(RID_A));
        assert_blocked(guest, RID_A, ADDRESS(7), 0, 0x24, 7);
        set_table(guest, (GUEST_MEMORY - 0x1000) | SIZE_LARGE);
        put_irte_at(guest, GUEST_MEMORY - 0x1000, 255, ENTRY(0x56, XAPIC(4)), ANYBODY);
        assert_delivered(guest, RID_A, ADDRESS(255), 0, 0xfee04000, 0x4056);
        assert_blocked(guest, RID_A, ADDRESS(256), 0, 0x23, 256);
        assert_int_equal(guest->unit->engine.stats.faults, 12);
}

/* Each request breaks every rule from one on, so that only the order says which fault it is. */
static void test_the_first_broken_rule_decides(void **state)
{
        static const struct {
                uint64_t address;
                uint32_t data;
                uint64_t low, high;
                bool readable;
                unsigned reason;
                unsigned index;
        } cases[] = {
                {0xfef00000, 0xffff0000, BIT(12), BIT(63), false, 0x20, 0},
                {0xfee00000, 0xffff0000, BIT(12), BIT(63), false, 0x25, 0},
                {ADDRESS(0x1234), 0xffff0000, BIT(12), BIT(63), false, 0x20, 0x1234},
                {ADDRESS(0x1234), 0, BIT(12), BIT(63), false, 0x21, 0x1234},
                {ADDRESS(5), 0, BIT(12), BIT(63), false, 0x23, 5},
                {ADDRESS(5), 0, BIT(12), BIT(63), true, 0x22, 5},
                {ADDRESS(5), 0, BIT(0) | BIT(12), EXACTLY(RID_B), true, 0x24, 5},
                {ADDRESS(5), 0, BIT(0), BIT(63) | EXACTLY(RID_B), true, 0x24, 5},
                {ADDRESS(5), 0, BIT(0), EXACTLY(RID_B), true, 0x26, 5},
        };
        struct guest *guest = *state;

        enable_remapping(guest, INTERRUPT_TABLE | SIZE(3));
        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                put_irte(guest, 5, cases[i].low, cases[i].high);
                set_table(guest, (cases[i].readable ? INTERRUPT_TABLE : GUEST_MEMORY) | SIZE(3));
                assert_blocked(guest, RID_A, cases[i].address, cases[i].data, cases[i].reason,
                               cases[i].index);
        }
}

static void test_fpd_suppresses_what_the_entry_itself_gives(void **state)
{
        static const struct {
                uint64_t low, high;
                unsigned reason;
        } cases[] = {
                {0, ANYBODY, 0x22},
                {BIT(0) | BIT(15), ANYBODY, 0x24},
                {BIT(0), BIT(20), 0x24},
                {BIT(0), EXACTLY(RID_B), 0x26},
        };
        struct guest *guest = *state;

        enable_remapping(guest, INTERRUPT_TABLE | SIZE(3));
        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                put_irte(guest, 5, cases[i].low | FPD, cases[i].high);
                assert_silently_blocked(guest, RID_A, ADDRESS(5), 0);
                assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
                assert_int_equal(read32(guest, VTD_REG_FRCD + 12) & VTD_FRCD_F, 0);
                put_irte(guest, 5, cases[i].low, cases[i].high);
                assert_blocked(guest, RID_A, ADDRESS(5), 0, cases[i].reason, 5);
        }
        /* Of an entry that is not asked for, nothing counts. */
        for (unsigned i = 0; i < 16; i++)
                put_irte(guest, i, UINT64_MAX, UINT64_MAX);
        assert_blocked(guest, RID_A, ADDRESS(5), 0x10000, 0x20, 5);
        assert_blocked(guest, RID_A, ADDRESS(16), 0, 0x21, 16);
        assert_blocked(guest, RID_A, 0xfee00000, 0, 0x25, 0);
}

/* Every bit of an entry, in both modes. */
static void test_every_reserved_bit_of_an_entry_is_a_fault(void **state)
{
        struct guest *guest = *state;

        for (unsigned extended = 0; extended < 2; extended++) {
                configure_extended(guest, true);
                enable_remapping(guest, INTERRUPT_TABLE | SIZE(0) | (extended ? EIME : 0));
                for (unsigned bit = 1; bit < 128; bit++) {
                        bool reserved =
                                (bit >= 12 && bit <= 15) || (bit >= 24 && bit <= 31) || bit >= 84;
                        uint64_t low = BIT(0), high = 0;
                        struct vtd_frontend_message message;

                        if (!extended && ((bit >= 32 && bit <= 39) || (bit >= 48 && bit <= 63)))
                                reserved = true;
                        if (bit < 64)
                                low |= BIT(bit);
                        else
                                high |= BIT(bit - 64);
                        put_irte(guest, 1, low, high);
                        if (reserved) {
                                assert_blocked(guest, 0, ADDRESS(1), 0, 0x24, 1);
                                continue;
                        }
                        assert_int_equal(vtd_frontend_remap_interrupt(guest->unit, 0, ADDRESS(1), 0,
                                                                      &message),
                                         0);
                }
                put_irte(guest, 1, BIT(0), BIT(18) | BIT(19));
                assert_blocked(guest, 0, ADDRESS(1), 0, 0x24, 1);
        }
}

static void test_messages_are_composed_from_the_entry(void **state)
{
        struct guest *guest = *state;

        enable_remapping(guest, INTERRUPT_TABLE | SIZE(3));
        for (unsigned vector = 0; vector < 256; vector++) {
                put_irte(guest, 2, ENTRY(vector, XAPIC(255 - vector)), ANYBODY);
                assert_delivered(guest, RID_A, ADDRESS(2), 0, 0xfee00000 | (255 - vector) << 12,
                                 0x4000 | vector);
        }
        for (unsigned modes = 0; modes < 64; modes++) {
                uint64_t low = ENTRY(0x31, XAPIC(0xa5)) | (uint64_t)modes << 2 | 0xf00;

                put_irte(guest, 2, low, ANYBODY);
                assert_delivered(guest, RID_A, ADDRESS(2), 0,
                                 0xfeea5000 | (modes & 1 ? 0x4 : 0) | (modes & 2 ? 0x8 : 0),
                                 0x4031 | (modes & 4 ? 0x8000 : 0) | (modes >> 3) << 8);
        }
}

static void test_extended_mode_has_destinations_of_32_bits(void **state)
{
        static const uint32_t targets[] = {
                0, 1, 0xff, 0x100, 0x12345678, 0xffffff00, 0xffffffff, 0x80000000, 0x00ff00ff};
        struct guest *guest = *state;

        enable_remapping(guest, INTERRUPT_TABLE | SIZE(3) | EIME);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(targets); i++) {
                put_irte(guest, 2, ENTRY(0x31, targets[i]), ANYBODY);
                assert_delivered(guest, RID_A, ADDRESS(2), 0,
                                 0xfee00000 | (uint64_t)(targets[i] & 0xff) << 12 |
                                         (uint64_t)(targets[i] >> 8) << 40,
                                 0x4031);
        }
        /* The mode is that of the table in force, not of IRTA. */
        put_irte(guest, 2, ENTRY(0x31, XAPIC(0x12)), ANYBODY);
        assert_delivered(guest, RID_A, ADDRESS(2), 0, UINT64_C(0x0000120000000000) | 0xfee00000,
                         0x4031);
        write64(guest, VTD_REG_IRTA, INTERRUPT_TABLE | SIZE(3));
        assert_delivered(guest, RID_A, ADDRESS(2), 0, UINT64_C(0x0000120000000000) | 0xfee00000,
                         0x4031);
        set_table(guest, INTERRUPT_TABLE | SIZE(3));
        assert_delivered(guest, RID_A, ADDRESS(2), 0, 0xfee12000, 0x4031);
}

static void test_an_index_is_handle_plus_subhandle(void **state)
{
        static const struct {
                unsigned handle;
                uint64_t shv;
                uint32_t data;
                unsigned index;
        } cases[] = {
                {0, 0, 0, 0},
                {1, 0, 0, 1},
                {0x4000, 0, 0, 0x4000},
                {0x7fff, 0, 0, 0x7fff},
                {0x8000, 0, 0, 0x8000}, /* bit 15 stands apart, in address bit 2 */
                {0xffff, 0, 0, 0xffff},
                {0x1234, 0, 0xffff, 0x1234}, /* without SHV, data does not count */
                {0x1234, SHV, 0, 0x1234},
                {0x1234, SHV, 5, 0x1239},
                {0x7fff, SHV, 1, 0x8000},
                {0, SHV, 0xffff, 0xffff},
                {0x8000, SHV, 0x7fff, 0xffff},
        };
        struct guest *guest = *state;

        enable_remapping(guest, INTERRUPT_TABLE | SIZE_LARGE);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                memset(guest->memory + INTERRUPT_TABLE, 0, 0x100000);
                put_irte(guest, cases[i].index, ENTRY(0x77, XAPIC(9)), ANYBODY);
                assert_delivered(guest, RID_A, ADDRESS(cases[i].handle) | cases[i].shv,
                                 cases[i].data, 0xfee09000, 0x4077);
        }
}

/* 17 bits of sum: what goes beyond the table must not come round to its beginning. */
static void test_an_index_does_not_wrap(void **state)
{
        struct guest *guest = *state;

        enable_remapping(guest, INTERRUPT_TABLE | SIZE_LARGE);
        for (unsigned i = 0; i < 65536; i++)
                put_irte(guest, i, ENTRY(0x77, XAPIC(9)), ANYBODY);
        assert_blocked(guest, RID_A, ADDRESS(0xffff) | SHV, 1, 0x21, 0);
        assert_blocked(guest, RID_A, ADDRESS(1) | SHV, 0xffff, 0x21, 0);
        assert_blocked(guest, RID_A, ADDRESS(0xffff) | SHV, 0xffff, 0x21, 0xfffe);
        assert_blocked(guest, RID_A, ADDRESS(0x8000) | SHV, 0x8000, 0x21, 0);
        assert_delivered(guest, RID_A, ADDRESS(0xfffe) | SHV, 1, 0xfee09000, 0x4077);
}

static void test_the_size_bounds_the_index(void **state)
{
        struct guest *guest = *state;

        for (unsigned i = 0; i < 65536; i++)
                put_irte(guest, i, ENTRY(0x77, XAPIC(9)), ANYBODY);
        enable_remapping(guest, INTERRUPT_TABLE | SIZE(0));
        for (unsigned size = 0; size < 16; size++) {
                unsigned entries = 2u << size;

                set_table(guest, INTERRUPT_TABLE | SIZE(size));
                assert_delivered(guest, RID_A, ADDRESS(entries - 1), 0, 0xfee09000, 0x4077);
                if (entries < 65536)
                        assert_blocked(guest, RID_A, ADDRESS(entries), 0, 0x21, entries);
                assert_blocked(guest, RID_A, ADDRESS(entries - 1) | SHV, 1, 0x21, entries & 0xffff);
        }
}

static void test_an_entry_is_read_once(void **state)
{
        struct guest *guest = *state;

        enable_remapping(guest, INTERRUPT_TABLE | SIZE_LARGE);
        put_irte(guest, 3, ENTRY(0x77, XAPIC(9)), EXACTLY(RID_A));
        guest->reads = 0;
        assert_delivered(guest, RID_A, ADDRESS(3), 0, 0xfee09000, 0x4077);
        assert_int_equal(guest->reads, 1);
        assert_blocked(guest, RID_B, ADDRESS(3), 0, 0x26, 3);
        assert_int_equal(guest->reads, 2);
        /* What is refused before the entry reads nothing. */
        assert_blocked(guest, RID_A, 0xfee00000, 0, 0x25, 0);
        assert_blocked(guest, RID_A, ADDRESS(3), 0x10000, 0x20, 3);
        assert_int_equal(guest->reads, 2);
}

/* Guest memory as some VMM's: it has the first entry at every address. */
static int read_anywhere(void *opaque, uint64_t gpa, void *data, size_t size)
{
        struct guest *guest = opaque;

        (void)gpa;
        if (size != 16)
                return -EFAULT;
        memcpy(data, guest->memory + INTERRUPT_TABLE, size);
        return 0;
}

static void test_tables_beyond_the_host_address_width_are_access_faults(void **state)
{
        struct guest *guest = *state;
        struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_DEFAULT;

        config.interrupt_remapping = true;
        config.host_address_bits = 40;
        guest_configure(guest, &config, 7);
        guest->unit->engine.guest.callbacks.read_memory = read_anywhere;
        put_irte(guest, 0, ENTRY(0x31, XAPIC(1)), ANYBODY);
        enable_remapping(guest, BIT(40) | SIZE_LARGE);
        assert_blocked(guest, RID_A, ADDRESS(0), 0, 0x23, 0);
        set_table(guest, (BIT(40) - 0x1000) | SIZE_LARGE);
        assert_delivered(guest, RID_A, ADDRESS(255), 0, 0xfee01000, 0x4031);
        assert_blocked(guest, RID_A, ADDRESS(256), 0, 0x23, 256);
        /* A table at the end of the address space does not continue at its beginning. */
        set_table(guest, UINT64_C(0xfffffffffffff000) | SIZE_LARGE);
        assert_blocked(guest, RID_A, ADDRESS(255), 0, 0x23, 255);
        assert_blocked(guest, RID_A, ADDRESS(256), 0, 0x23, 256);
}

static void test_source_ids_are_compared_as_qualified(void **state)
{
        static const unsigned ignored[] = {0, 4, 6, 7};
        struct guest *guest = *state;

        enable_remapping(guest, INTERRUPT_TABLE | SIZE(3));
        for (unsigned qualifier = 0; qualifier < 4; qualifier++) {
                put_irte(guest, 2, ENTRY(0x31, XAPIC(1)), ALIKE(0x1234, qualifier));
                for (unsigned bit = 0; bit < 16; bit++) {
                        unsigned rid = 0x1234 ^ 1u << bit;

                        if (1u << bit & ignored[qualifier])
                                assert_delivered(guest, rid, ADDRESS(2), 0, 0xfee01000, 0x4031);
                        else
                                assert_blocked(guest, rid, ADDRESS(2), 0, 0x26, 2);
                }
                assert_delivered(guest, 0x1234, ADDRESS(2), 0, 0xfee01000, 0x4031);
        }
        /* Without validation, neither the id nor the qualifier counts. */
        for (unsigned qualifier = 0; qualifier < 4; qualifier++) {
                put_irte(guest, 2, ENTRY(0x31, XAPIC(1)), ALIKE(0x1234, qualifier) & ~BIT(18));
                assert_delivered(guest, 0xffff, ADDRESS(2), 0, 0xfee01000, 0x4031);
        }
}

/* The first bus is in SID[15:8], the last one in SID[7:0]. */
static void test_buses_are_validated_inclusively(void **state)
{
        struct guest *guest = *state;

        enable_remapping(guest, INTERRUPT_TABLE | SIZE(3));
        put_irte(guest, 2, ENTRY(0x31, XAPIC(1)), BUSES(0x10, 0x20));
        assert_blocked(guest, 0x0fff, ADDRESS(2), 0, 0x26, 2);
        assert_delivered(guest, 0x1000, ADDRESS(2), 0, 0xfee01000, 0x4031);
        assert_delivered(guest, 0x20ff, ADDRESS(2), 0, 0xfee01000, 0x4031);
        assert_blocked(guest, 0x2100, ADDRESS(2), 0, 0x26, 2);
        put_irte(guest, 2, ENTRY(0x31, XAPIC(1)), BUSES(0x10, 0x10));
        assert_blocked(guest, 0x0fff, ADDRESS(2), 0, 0x26, 2);
        assert_delivered(guest, 0x1080, ADDRESS(2), 0, 0xfee01000, 0x4031);
        assert_blocked(guest, 0x1100, ADDRESS(2), 0, 0x26, 2);
        /* Nothing lies in a range that ends before it begins. */
        put_irte(guest, 2, ENTRY(0x31, XAPIC(1)), BUSES(0x20, 0x10));
        for (unsigned bus = 0; bus < 256; bus++)
                assert_blocked(guest, bus << 8, ADDRESS(2), 0, 0x26, 2);
}

static void test_compatibility_format_needs_cfis_and_no_extended_mode(void **state)
{
        struct guest *guest = *state;

        for (unsigned extended = 0; extended < 2; extended++) {
                uint64_t irta = INTERRUPT_TABLE | SIZE(3) | (extended ? EIME : 0);

                configure_extended(guest, true);
                enable_remapping(guest, irta);
                guest->reads = 0;
                assert_blocked(guest, RID_A, 0xfee0300c, 0x4031, 0x25, 0);
                command(guest, VTD_GCMD_CFI, 0);
                run_until(guest, VTD_FRONTEND_IDLE);
                assert_int_equal(read32(guest, VTD_REG_GSTS),
                                 VTD_GCMD_IRE | VTD_GCMD_SIRTP | VTD_GCMD_CFI);
                if (extended) {
                        assert_blocked(guest, RID_A, 0xfee0300c, 0x4031, 0x25, 0);
                } else {
                        assert_untouched(guest, 0xfee0300c, 0x4031);
                        assert_untouched(guest, 0xfeefffef, UINT32_MAX);
                }
                /* Passing what is no interrupt is not part of it. */
                assert_blocked(guest, RID_A, 0xfed0300c, 0x4031, 0x20, 0);
                assert_blocked(guest, RID_A, BIT(40) | 0xfee0300c, 0x4031, 0x20, 0);
                command(guest, 0, VTD_GCMD_CFI);
                run_until(guest, VTD_FRONTEND_IDLE);
                assert_int_equal(read32(guest, VTD_REG_GSTS), VTD_GCMD_IRE | VTD_GCMD_SIRTP);
                assert_blocked(guest, RID_A, 0xfee0300c, 0x4031, 0x25, 0);
                assert_int_equal(guest->reads, 0);
        }
}

static void test_the_table_in_force_is_the_latched_one(void **state)
{
        struct guest *guest = *state;

        put_irte(guest, 1, ENTRY(0x31, XAPIC(1)), ANYBODY);
        put_irte_at(guest, OTHER_TABLE, 1, ENTRY(0x32, XAPIC(2)), ANYBODY);
        enable_remapping(guest, INTERRUPT_TABLE | SIZE(0));
        write64(guest, VTD_REG_IRTA, OTHER_TABLE | SIZE(3));
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_delivered(guest, RID_A, ADDRESS(1), 0, 0xfee01000, 0x4031);
        assert_blocked(guest, RID_A, ADDRESS(2), 0, 0x21, 2);
        /* Switched while remapping is on; IRTPS falls until it is done. */
        command(guest, VTD_GCMD_SIRTP, 0);
        assert_int_equal(read32(guest, VTD_REG_GSTS), VTD_GCMD_IRE);
        assert_delivered(guest, RID_A, ADDRESS(1), 0, 0xfee01000, 0x4031);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(read32(guest, VTD_REG_GSTS), VTD_GCMD_IRE | VTD_GCMD_SIRTP);
        assert_delivered(guest, RID_A, ADDRESS(1), 0, 0xfee02000, 0x4032);
        assert_blocked(guest, RID_A, ADDRESS(2), 0, 0x22, 2);
        /* Writing 0 to the bit latches nothing. */
        write64(guest, VTD_REG_IRTA, INTERRUPT_TABLE | SIZE(0));
        command(guest, 0, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(read32(guest, VTD_REG_GSTS), VTD_GCMD_IRE | VTD_GCMD_SIRTP);
        assert_delivered(guest, RID_A, ADDRESS(1), 0, 0xfee02000, 0x4032);
}

static void test_commands_at_once_latch_the_table_first(void **state)
{
        const uint32_t all = VTD_GCMD_SIRTP | VTD_GCMD_IRE | VTD_GCMD_CFI | VTD_GCMD_SRTP |
                             VTD_GCMD_QIE | VTD_GCMD_TE;
        struct guest *guest = *state;

        put_irte(guest, 1, ENTRY(0x31, XAPIC(1)), ANYBODY);
        write64(guest, VTD_REG_IRTA, INTERRUPT_TABLE | SIZE(0));
        command(guest, all, 0);
        assert_int_equal(read32(guest, VTD_REG_GSTS), 0);
        assert_untouched(guest, ADDRESS(1), 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(read32(guest, VTD_REG_GSTS), all);
        assert_delivered(guest, RID_A, ADDRESS(1), 0, 0xfee01000, 0x4031);
        assert_untouched(guest, 0xfee01000, 0x31);
        assert_int_equal(read32(guest, VTD_REG_GCMD), 0);
}

static void test_reset_turns_remapping_off(void **state)
{
        struct guest *guest = *state;

        put_irte(guest, 1, ENTRY(0x31, XAPIC(1)), ANYBODY);
        enable_remapping(guest, INTERRUPT_TABLE | SIZE(0));
        command(guest, VTD_GCMD_CFI | VTD_GCMD_SIRTP, 0);
        vtd_frontend_reset(guest->unit);
        assert_untouched(guest, ADDRESS(1), 0);
        assert_int_equal(read64(guest, VTD_REG_IRTA), 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(read32(guest, VTD_REG_GSTS), 0);
        assert_untouched(guest, ADDRESS(1), 0);
        /* Enabled again without a table, it has that of two entries at 0. */
        guest->command = 0;
        command(guest, VTD_GCMD_IRE, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_blocked(guest, RID_A, ADDRESS(1), 0, 0x22, 1);
        assert_blocked(guest, RID_A, ADDRESS(2), 0, 0x21, 2);
}

static void reset_meanwhile(struct guest *guest, uint64_t gpa)
{
        (void)gpa;
        guest->after_read = NULL;
        vtd_frontend_reset(guest->unit);
}

/* As if another thread had reset the unit just then: its registers are the next guest's. */
static void test_a_fault_from_before_a_reset_is_not_recorded(void **state)
{
        struct guest *guest = *state;

        enable_remapping(guest, INTERRUPT_TABLE | SIZE(0));
        guest->after_read = reset_meanwhile;
        assert_silently_blocked(guest, RID_A, ADDRESS(1), 0);
        assert_null(guest->after_read);
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
        assert_int_equal(guest->unit->engine.stats.faults, 0);
}

/* A fault's own message goes where its registers say, also to an x2APIC id, and is not remapped. */
static void test_fault_messages_are_not_remapped(void **state)
{
        struct guest *guest = *state;

        enable_remapping(guest, INTERRUPT_TABLE | SIZE(3) | EIME);
        write32(guest, VTD_REG_FEDATA, 0x41);
        write64(guest, VTD_REG_FEADDR, UINT64_C(0x0012340000000000) | 0xfee56000);
        write32(guest, VTD_REG_FECTL, 0);
        assert_blocked(guest, RID_A, 0xfee00000, 0, 0x25, 0);
        assert_int_equal(guest->messages, 1);
        assert_int_equal(guest->message_address, UINT64_C(0x0012340000000000) | 0xfee56000);
        assert_int_equal(guest->message_data, 0x41);
        /* A second fault before the first is dealt with overflows without another message. */
        assert_silently_blocked(guest, RID_A, 0xfee00000, 0);
        assert_silently_blocked(guest, RID_B, ADDRESS(8), 0);
        assert_int_equal(guest->messages, 2);
        assert_int_equal(read32(guest, VTD_REG_FSTS), VTD_FSTS_PPF | VTD_FSTS_PFO);
        assert_int_equal(fault_reason(guest, RID_A), 0x25);
}

/* Nothing is kept, so an invalidation is judged and then has nothing to do. */
static void test_invalidations_are_judged_and_entries_read_anew(void **state)
{
        struct guest *guest = *state;
        static const struct {
                uint64_t first, second;
                bool good;
        } cases[] = {
                {IEC_GLOBAL, true},
                {UINT64_C(0x4) | UINT64_C(31) << 27, 0, true}, /* a mask without an index */
                {IEC_INDEX(0, 0), true},
                {IEC_INDEX(0xffff, 15), true},
                {IEC_INDEX(3, 1), true},
                {IEC_INDEX(0, 16), false},
                {IEC_INDEX(0, 31), false},
        };

        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                configure_extended(guest, true);
                enable_queue(guest);
                invalidate(guest, cases[i].first, cases[i].second);
                assert_int_equal(read32(guest, VTD_REG_FSTS), cases[i].good ? 0 : VTD_FSTS_IQE);
                assert_int_equal(read32(guest, VTD_REG_IQH), cases[i].good ? 32 : 0);
                assert_int_equal(read32(guest, VTD_REG_IQERCD), cases[i].good ? 0 : 4);
        }
        configure_extended(guest, true);
        enable_queue(guest);
        enable_remapping(guest, INTERRUPT_TABLE | SIZE(3));
        put_irte(guest, 1, ENTRY(0x31, XAPIC(1)), ANYBODY);
        assert_delivered(guest, RID_A, ADDRESS(1), 0, 0xfee01000, 0x4031);
        put_irte(guest, 1, ENTRY(0x32, XAPIC(2)), ANYBODY);
        assert_delivered(guest, RID_A, ADDRESS(1), 0, 0xfee02000, 0x4032);
        invalidate(guest, IEC_INDEX(1, 0));
        assert_delivered(guest, RID_A, ADDRESS(1), 0, 0xfee02000, 0x4032);
}

static uint64_t bits(uint64_t value, unsigned high, unsigned low)
{
        return value << (63 - high) >> (63 - high + low);
}

/* The architecture's tables read off once more, without the unit's masks: the fault, or 0. */
static unsigned model(uint64_t irta, uint64_t low, uint64_t high, unsigned rid, uint64_t address,
                      uint32_t data, struct vtd_frontend_message *message)
{
        static const unsigned compared[] = {0xffff, 0xfffb, 0xfff9, 0xfff8};
        bool extended = bits(irta, 11, 11);
        unsigned index = (unsigned)(bits(address, 19, 5) | bits(address, 2, 2) << 15);
        unsigned sid = (unsigned)bits(high, 15, 0), validation = (unsigned)bits(high, 19, 18);
        uint64_t target = extended ? bits(low, 63, 32) : bits(low, 47, 40);

        if (bits(address, 3, 3))
                index += (unsigned)bits(data, 15, 0);
        if (bits(data, 31, 16))
                return 0x20;
        if (index >= 1u << (bits(irta, 3, 0) + 1))
                return 0x21;
        if (!bits(low, 0, 0))
                return 0x22;
        if (bits(low, 15, 12) || bits(low, 31, 24) || bits(high, 63, 20) || validation == 3 ||
            (!extended && (bits(low, 39, 32) || bits(low, 63, 48))))
                return 0x24;
        if (validation == 1 &&
            (rid & compared[bits(high, 17, 16)]) != (sid & compared[bits(high, 17, 16)]))
                return 0x26;
        if (validation == 2 && (rid >> 8 < sid >> 8 || rid >> 8 > (sid & 0xff)))
                return 0x26;
        message->address = 0xfee00000 + bits(target, 7, 0) * 0x1000 + (bits(target, 31, 8) << 40) +
                           bits(low, 3, 3) * 8 + bits(low, 2, 2) * 4;
        message->data = (uint32_t)(bits(low, 23, 16) + bits(low, 7, 5) * 0x100 + 0x4000 +
                                   bits(low, 4, 4) * 0x8000);
        return 0;
}

/* xorshift64: the same on every machine.  Each bit is set with a chance of 1 in 2^@thinned. */
static uint64_t random_bits(uint64_t *state, unsigned thinned)
{
        uint64_t value = UINT64_MAX;

        for (unsigned i = 0; i < thinned; i++) {
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                value &= *state;
        }
        return value;
}

static void test_random_requests_agree_with_a_model(void **state)
{
        struct guest *guest = *state;
        unsigned reasons[0x27] = {0};
        uint64_t random = 0x5eed;

        guest->unit->engine.guest.callbacks.read_memory = read_anywhere;
        enable_remapping(guest, INTERRUPT_TABLE | SIZE(0));
        for (unsigned i = 0; i < 200000; i++) {
                uint64_t irta = INTERRUPT_TABLE | (random_bits(&random, 1) & 0x80f);
                uint64_t low = random_bits(&random, 5) | (random_bits(&random, 2) & 0xff00ff0fff);
                uint64_t high = random_bits(&random, 6) | (random_bits(&random, 1) & 0x3ffff);
                uint64_t address = 0xfee00010 | (random_bits(&random, 3) & 0xfffff);
                uint32_t data =
                        (uint32_t)(random_bits(&random, 5) | (random_bits(&random, 3) & 0xff));
                unsigned rid = (unsigned)(high & 0xffff) ^ (random_bits(&random, 4) & 0xffff);
                struct vtd_frontend_message message = {0, 0}, expected = {0, 0};
                unsigned reason;
                int r;

                low |= random_bits(&random, 1) & 1;
                high |= i % 3 << 18;
                if (i % 16 == 0)
                        set_table(guest, irta);
                irta = atomic_load(&guest->unit->engine.interrupts);
                reason = model(irta, low, high, rid, address, data, &expected);
                put_irte(guest, 0, low, high);
                r = vtd_frontend_remap_interrupt(guest->unit, (uint16_t)rid, address, data,
                                                 &message);
                assert_int_equal(r, reason ? VTD_FRONTEND_BLOCKED : 0);
                assert_int_equal(message.address, expected.address);
                assert_int_equal(message.data, expected.data);
                reasons[reason]++;
                if (reason && !(reason > 0x21 && low & FPD))
                        assert_int_equal(fault_reason(guest, rid), reason);
                clear_faults(guest);
        }
        /* The model's every answer was asked for. */
        for (unsigned reason = 0x20; reason < 0x27; reason++)
                if (reason != 0x23 && reason != 0x25)
                        assert_in_range(reasons[reason], 1000, 200000);
        assert_in_range(reasons[0], 1000, 200000);
}

/* What a VMM that keeps answers was told, and what it saw and was answered at that moment. */
struct watcher {
        struct guest *guest;
        unsigned calls;
        uint32_t first, count;
        uint32_t status; /* of the wait descriptor behind */
        unsigned wrong;  /* requests that were not answered by what holds from then on */
        bool remapped;   /* entry 1 of INTERRUPT_TABLE is to be in force, and no other */
};

static void be_told(void *opaque, uint32_t first, uint32_t count)
{
        struct watcher *watcher = opaque;
        struct vtd_frontend_message message = {0, 0};
        struct vtd_frontend *unit = watcher->guest->unit;

        watcher->calls++;
        watcher->first = first;
        watcher->count = count;
        watcher->status = guest_get32(watcher->guest, STATUS);
        if (vtd_frontend_remap_interrupt(unit, RID_A, ADDRESS(1), 0, &message) != 0 ||
            message.address != (watcher->remapped ? 0xfee01000 : ADDRESS(1)))
                watcher->wrong++;
        /* One that faults takes the unit's lock. */
        if (vtd_frontend_remap_interrupt(unit, RID_A, ADDRESS(2), 0, &message) !=
            (watcher->remapped ? VTD_FRONTEND_BLOCKED : 0))
                watcher->wrong++;
}

static void assert_told(struct watcher *watcher, uint32_t first, uint32_t count)
{
        assert_int_equal(watcher->calls, 1);
        assert_int_equal(watcher->first, first);
        assert_int_equal(watcher->count, count);
        assert_int_equal(watcher->wrong, 0);
        watcher->calls = 0;
        clear_faults(watcher->guest);
}

static void test_a_watcher_is_told_before_the_guest_can_see_it(void **state)
{
        static const struct {
                uint64_t first, second;
                uint32_t index, count;
        } cases[] = {
                {IEC_GLOBAL, 0, 65536},
                {UINT64_C(0x4) | UINT64_C(7) << 27, 0, 0, 65536},
                {IEC_INDEX(5, 0), 5, 1},
                {IEC_INDEX(5, 1), 4, 2},
                {IEC_INDEX(0xffff, 0), 65535, 1},
                {IEC_INDEX(0xffff, 15), 32768, 32768},
                {IEC_INDEX(0x7fff, 15), 0, 32768},
                {IEC_INDEX(0x1234, 8), 0x1200, 256},
        };
        struct guest *guest = *state;
        struct watcher watcher = {.guest = guest};

        put_irte(guest, 1, ENTRY(0x31, XAPIC(1)), ANYBODY);
        enable_queue(guest);
        vtd_frontend_watch_interrupts(guest->unit, be_told, &watcher);
        set_table(guest, INTERRUPT_TABLE | SIZE(3));
        assert_told(&watcher, 0, 65536);
        watcher.remapped = true;
        command(guest, VTD_GCMD_IRE, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_told(&watcher, 0, 65536);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                uint32_t status = 100 + (uint32_t)i;

                queue_descriptor(guest, cases[i].first, cases[i].second);
                queue_descriptor(guest, WAIT_STATUS(status));
                kick(guest);
                run_until(guest, VTD_FRONTEND_IDLE);
                assert_int_not_equal(watcher.status, status);
                assert_int_equal(guest_get32(guest, STATUS), status);
                assert_told(&watcher, cases[i].index, cases[i].count);
        }
        /* Latching the same table again is a change too: its entries may be others. */
        command(guest, VTD_GCMD_SIRTP, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_told(&watcher, 0, 65536);
        command(guest, VTD_GCMD_CFI, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_told(&watcher, 0, 65536);
        /* Nothing of the kind. */
        command(guest, 0, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        invalidate(guest, IOTLB_GLOBAL);
        invalidate(guest, IEC_INDEX(0, 16));
        assert_int_equal(watcher.calls, 0);
        watcher.remapped = false;
        vtd_frontend_reset(guest->unit);
        assert_int_equal(watcher.calls, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_told(&watcher, 0, 65536);
}

/* Several invalidations before a wait descriptor: told once, of one range that covers them. */
static void test_a_watcher_is_told_once_of_all(void **state)
{
        static const unsigned indices[] = {7, 3, 9, 8};
        struct guest *guest = *state;
        struct watcher watcher = {.guest = guest};

        vtd_frontend_watch_interrupts(guest->unit, be_told, &watcher);
        enable_queue(guest);
        assert_int_equal(watcher.calls, 0);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(indices); i++)
                queue_descriptor(guest, IEC_INDEX(indices[i], 0));
        queue_descriptor(guest, WAIT_STATUS(5));
        queue_descriptor(guest, IEC_INDEX(0x100, 4));
        kick(guest);
        assert_int_equal(vtd_frontend_run(guest->unit, 4), VTD_FRONTEND_PENDING);
        assert_int_equal(watcher.calls, 0);
        assert_int_equal(vtd_frontend_run(guest->unit, 1), VTD_FRONTEND_PENDING);
        assert_int_equal(watcher.status, 0);
        assert_int_equal(guest_get32(guest, STATUS), 5);
        assert_told(&watcher, 3, 7);
        /* Without a wait descriptor, when there is nothing else to do. */
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_told(&watcher, 0x100, 16);
        vtd_frontend_watch_interrupts(guest->unit, NULL, NULL);
        invalidate(guest, IEC_GLOBAL);
        assert_int_equal(watcher.calls, 0);
}

/* What was answered in an access is delivered in it, and only then is the guest told. */
static void test_accesses_are_drained_before_the_guest_is_told(void **state)
{
        struct guest *guest = *state;
        struct watcher watcher = {.guest = guest, .remapped = true};
        struct vtd_frontend_access access, later;

        put_irte(guest, 1, ENTRY(0x31, XAPIC(1)), ANYBODY);
        enable_queue(guest);
        enable_remapping(guest, INTERRUPT_TABLE | SIZE(3));
        vtd_frontend_watch_interrupts(guest->unit, be_told, &watcher);
        vtd_frontend_access_begin(guest->unit, &access);
        assert_delivered(guest, RID_A, ADDRESS(1), 0, 0xfee01000, 0x4031);
        queue_descriptor(guest, IEC_INDEX(1, 0));
        queue_descriptor(guest, WAIT_STATUS(5));
        kick(guest);
        for (unsigned i = 0; i < 3; i++)
                run_until(guest, VTD_FRONTEND_PENDING);
        assert_int_equal(guest_get32(guest, STATUS), 0);
        assert_int_equal(watcher.calls, 0);
        /* One that begins now has the new entry, and is not waited for. */
        vtd_frontend_access_begin(guest->unit, &later);
        vtd_frontend_access_end(guest->unit, &access);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(guest_get32(guest, STATUS), 5);
        assert_told(&watcher, 1, 1);
        /* A switch of the table is shown as late. */
        command(guest, VTD_GCMD_SIRTP, 0);
        run_until(guest, VTD_FRONTEND_PENDING);
        assert_int_equal(read32(guest, VTD_REG_GSTS) & VTD_GCMD_SIRTP, 0);
        assert_int_equal(watcher.calls, 0);
        vtd_frontend_access_end(guest->unit, &later);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_true(read32(guest, VTD_REG_GSTS) & VTD_GCMD_SIRTP);
        assert_told(&watcher, 0, 65536);
}

static void count_calls(void *opaque, uint32_t first, uint32_t count)
{
        (void)first, (void)count;
        ++*(unsigned *)opaque;
}

static void test_without_the_capability_nobody_is_told(void **state)
{
        struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_DEFAULT;
        struct guest *guest = *state;
        unsigned calls = 0;

        guest_configure(guest, &config, 7);
        vtd_frontend_watch_interrupts(guest->unit, count_calls, &calls);
        enable_queue(guest);
        invalidate(guest, IEC_GLOBAL);
        invalidate(guest, IEC_INDEX(0, 31));
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
        vtd_frontend_reset(guest->unit);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(calls, 0);
}

/* What GSTS showed at the last change. */
static void look_at_status(void *opaque, uint32_t first, uint32_t count)
{
        struct watcher *watcher = opaque;

        (void)first, (void)count;
        watcher->calls++;
        watcher->status =
                vtd_registers_get32(&watcher->guest->unit->engine.registers, VTD_REG_GSTS);
}

/* A command takes long while the broker does; what is asked for meanwhile is not done with it. */
static void test_a_second_table_is_not_shown_with_the_first(void **state)
{
        struct guest *guest = *state;
        struct watcher watcher = {.guest = guest};

        put_irte(guest, 1, ENTRY(0x31, XAPIC(1)), ANYBODY);
        put_irte_at(guest, OTHER_TABLE, 1, ENTRY(0x32, XAPIC(2)), ANYBODY);
        plug(guest, RID_A);
        vtd_frontend_watch_interrupts(guest->unit, look_at_status, &watcher);
        guest->broker->hold = true;
        write64(guest, VTD_REG_IRTA, INTERRUPT_TABLE | SIZE(0));
        command(guest, VTD_GCMD_SIRTP | VTD_GCMD_IRE | VTD_GCMD_TE, 0);
        run_until(guest, VTD_FRONTEND_WAITING);
        assert_int_equal(watcher.calls, 0);
        assert_int_equal(read32(guest, VTD_REG_GSTS), 0);
        write64(guest, VTD_REG_IRTA, OTHER_TABLE | SIZE(0));
        command(guest, VTD_GCMD_SIRTP, 0);
        assert_delivered(guest, RID_A, ADDRESS(1), 0, 0xfee01000, 0x4031);
        guest->broker->hold = false;
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(watcher.calls, 2);
        assert_int_equal(watcher.status, VTD_GCMD_TE | VTD_GCMD_IRE);
        assert_int_equal(read32(guest, VTD_REG_GSTS), VTD_GCMD_TE | VTD_GCMD_IRE | VTD_GCMD_SIRTP);
        clear_faults(guest);
        assert_delivered(guest, RID_A, ADDRESS(1), 0, 0xfee02000, 0x4032);
}

/* As kvm-unit-tests' x86/intel-iommu.c programs the unit: GCMD is GSTS with one more bit. */
static void kut_command(struct guest *guest, uint32_t bit)
{
        write32(guest, VTD_REG_GCMD, read32(guest, VTD_REG_GSTS) | bit);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_true(read32(guest, VTD_REG_GSTS) & bit);
}

static void kut_start(struct guest *guest)
{
        configure_extended(guest, false);
        /* The queue is enabled before its address is ever written. */
        kut_command(guest, VTD_GCMD_QIE);
        assert_int_equal(read32(guest, VTD_REG_GSTS), 0x04000000);
        write64(guest, VTD_REG_RTADDR, ROOT_TABLE);
        kut_command(guest, VTD_GCMD_SRTP);
        write64(guest, VTD_REG_IRTA, INTERRUPT_TABLE | SIZE_LARGE);
}

static void test_kvm_unit_tests_4_interrupt_table(void **state)
{
        struct guest *guest = *state;

        kut_start(guest);
        kut_command(guest, VTD_GCMD_SIRTP);
        assert_int_equal(read32(guest, VTD_REG_GSTS),
                         VTD_GCMD_QIE | VTD_GCMD_SRTP | VTD_GCMD_SIRTP);
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
}

static void test_kvm_unit_tests_6_interrupt_remapping(void **state)
{
        struct guest *guest = *state;

        kut_start(guest);
        kut_command(guest, VTD_GCMD_SIRTP);
        kut_command(guest, VTD_GCMD_TE);
        kut_command(guest, VTD_GCMD_IRE);
        assert_int_equal(read32(guest, VTD_REG_GSTS), VTD_GCMD_QIE | VTD_GCMD_SRTP |
                                                              VTD_GCMD_SIRTP | VTD_GCMD_TE |
                                                              VTD_GCMD_IRE);
}

/* As vtd/interrupt.h says of redirection entries. */
static uint64_t redirection_address(uint64_t entry)
{
        return 0xfee00000 | (entry >> 48) << 4 | (entry >> 11 & 1) << 2;
}

static uint32_t redirection_data(uint64_t entry)
{
        return (uint32_t)((entry >> 15 & 1) << 15 | 1 << 14 | (entry >> 8 & 7) << 8 |
                          (entry & 0xff));
}

static void test_kvm_unit_tests_10_ioapic_interrupt(void **state)
{
        const unsigned ioapic = 0xff00, index = 1;
        const uint64_t pin = (uint64_t)index << 49 | BIT(48) | 0x2;
        struct guest *guest = *state;

        kut_start(guest);
        kut_command(guest, VTD_GCMD_SIRTP);
        kut_command(guest, VTD_GCMD_IRE);
        put_irte(guest, index, ENTRY(0xed, XAPIC(0)) | FPD, EXACTLY(ioapic));
        assert_delivered(guest, ioapic, redirection_address(pin), redirection_data(pin), 0xfee00000,
                         0x40ed);
        assert_silently_blocked(guest, RID_A, redirection_address(pin), redirection_data(pin));
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
        assert_int_equal(guest->messages, 0);
}

static void test_kvm_unit_tests_11_message_interrupt(void **state)
{
        struct guest *guest = *state;

        kut_start(guest);
        kut_command(guest, VTD_GCMD_SIRTP);
        kut_command(guest, VTD_GCMD_IRE);
        put_irte(guest, 2, ENTRY(0xee, XAPIC(1)) | FPD, EXACTLY(RID_A));
        assert_delivered(guest, RID_A, ADDRESS(2), 0, 0xfee01000, 0x40ee);
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
}

/* Both formats of a redirection entry, by what the request's address then says. */
static void test_redirection_entries_become_requests(void **state)
{
        struct guest *guest = *state;
        /* Compatibility: level, logical, lowest priority, vector 0x55, destination 0xa5. */
        const uint64_t plain = (uint64_t)0xa5 << 56 | BIT(15) | BIT(11) | BIT(8) | 0x55;
        /* Remappable: index 0x8003, level, and the pin's number as vector. */
        const uint64_t remapped = (uint64_t)3 << 49 | BIT(48) | BIT(15) | BIT(11) | 0x9;

        assert_untouched(guest, redirection_address(plain), redirection_data(plain));
        assert_int_equal(redirection_address(plain), 0xfeea5004);
        assert_int_equal(redirection_data(plain), 0xc155);
        enable_remapping(guest, INTERRUPT_TABLE | SIZE_LARGE);
        put_irte(guest, 0x8003, ENTRY(0x66, XAPIC(7)) | BIT(4), ANYBODY);
        assert_delivered(guest, RID_A, redirection_address(remapped), redirection_data(remapped),
                         0xfee07000, 0xc066);
}

#define THREADS 3u

enum {
        SEEN_UNTOUCHED,
        SEEN_FIRST,
        SEEN_SECOND,
        SEEN_WRONG,
        SEEN,
};

/* What several threads use at once. */
struct shared_unit {
        struct vtd_frontend *unit;
        _Atomic uint64_t words[0x4000 / 8]; /* guest memory */
        atomic_uint status;                 /* what was written to SHARED_STATUS */
        atomic_uint messages;
        atomic_uint seen[SEEN];
        atomic_bool stop;
};

#define SHARED_QUEUE  0x3000u
#define SHARED_STATUS 0x5000u

/* Everything that the unit reads here is made of 8 bytes. */
static int shared_read(void *opaque, uint64_t gpa, void *data, size_t size)
{
        struct shared_unit *shared = opaque;

        if (gpa % 8 != 0 || size % 8 != 0 || gpa >= 0x4000 || size > 0x4000 - gpa)
                return -EFAULT;
        for (size_t i = 0; i < size / 8; i++) {
                uint64_t word = atomic_load(&shared->words[gpa / 8 + i]);

                memcpy((uint8_t *)data + i * 8, &word, 8);
        }
        return 0;
}

static int shared_write(void *opaque, uint64_t gpa, const void *data, size_t size)
{
        struct shared_unit *shared = opaque;
        uint32_t value;

        if (gpa != SHARED_STATUS || size != sizeof(value))
                return -EFAULT;
        memcpy(&value, data, size);
        atomic_store(&shared->status, value);
        return 0;
}

static void shared_message(void *opaque, uint64_t address, uint32_t data)
{
        struct shared_unit *shared = opaque;

        (void)address, (void)data;
        atomic_fetch_add(&shared->messages, 1);
}

#define FIRST_TABLE  0x1000u /* xAPIC, two entries */
#define SECOND_TABLE 0x2000u /* extended, 256 entries */

/* Entry 1, which both tables have. */
static unsigned see_both(struct vtd_frontend *unit)
{
        struct vtd_frontend_message message = {0, 0};

        if (vtd_frontend_remap_interrupt(unit, RID_A, ADDRESS(1), 0, &message) != 0)
                return SEEN_WRONG;
        if (message.address == ADDRESS(1) && message.data == 0)
                return SEEN_UNTOUCHED;
        if (message.address == 0xfee01000 && message.data == 0x4031)
                return SEEN_FIRST;
        if (message.address == (UINT64_C(0x0002000000000000) | 0xfee00000) &&
            message.data == 0x4032)
                return SEEN_SECOND;
        return SEEN_WRONG;
}

/* Entry 200, which the first table is too small for. */
static unsigned see_second(struct vtd_frontend *unit)
{
        struct vtd_frontend_message message = {0, 0};

        if (vtd_frontend_remap_interrupt(unit, RID_A, ADDRESS(200), 0, &message) ==
            VTD_FRONTEND_BLOCKED)
                return SEEN_FIRST;
        if (message.address == ADDRESS(200) && message.data == 0)
                return SEEN_UNTOUCHED;
        if (message.address == 0xfee03000 && message.data == 0x4033)
                return SEEN_SECOND;
        return SEEN_WRONG;
}

static void *remap_all_the_time(void *opaque)
{
        struct shared_unit *shared = opaque;

        while (!atomic_load(&shared->stop)) {
                atomic_fetch_add(&shared->seen[see_both(shared->unit)], 1);
                atomic_fetch_add(&shared->seen[see_second(shared->unit)], 1);
        }
        return NULL;
}

/* Each state often, however the threads are scheduled. */
static bool has_seen_enough(struct shared_unit *shared)
{
        return atomic_load(&shared->seen[SEEN_UNTOUCHED]) > 5000 &&
               atomic_load(&shared->seen[SEEN_FIRST]) > 5000 &&
               atomic_load(&shared->seen[SEEN_SECOND]) > 5000;
}

static void shared_put64(struct shared_unit *shared, unsigned gpa, uint64_t value)
{
        atomic_store(&shared->words[gpa / 8], value);
}

static struct shared_unit *shared_new(void)
{
        const struct vtd_frontend_callbacks callbacks = {.read_memory = shared_read,
                                                         .write_memory = shared_write,
                                                         .send_message = shared_message};
        struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_DEFAULT;
        struct shared_unit *shared = calloc(1, sizeof(*shared));

        assert_non_null(shared);
        config.interrupt_remapping = config.extended_interrupt_mode = true;
        assert_int_equal(vtd_frontend_new(&shared->unit, &config, &callbacks, shared), 0);
        return shared;
}

static void shared_free(struct shared_unit *shared)
{
        shared->unit = vtd_frontend_free(shared->unit);
        free(shared);
}

static void start_threads(struct shared_unit *shared, void *(*run)(void *opaque),
                          pthread_t threads[THREADS])
{
        for (size_t i = 0; i < THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, run, shared), 0);
}

static void stop_threads(struct shared_unit *shared, pthread_t threads[THREADS])
{
        atomic_store(&shared->stop, true);
        for (size_t i = 0; i < THREADS; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
}

/* The tables never change, which one is in force does. */
static void test_requests_of_many_threads_see_one_moment_each(void **state)
{
        struct shared_unit *shared = shared_new();
        pthread_t threads[THREADS];

        (void)state;
        shared_put64(shared, FIRST_TABLE + 16, ENTRY(0x31, XAPIC(1)));
        shared_put64(shared, SECOND_TABLE + 16, ENTRY(0x32, 0x20000));
        shared_put64(shared, SECOND_TABLE + 200 * 16, ENTRY(0x33, 3));
        vtd_frontend_write(shared->unit, VTD_REG_FECTL, 4, 0);
        start_threads(shared, remap_all_the_time, threads);
        for (unsigned i = 0; !has_seen_enough(shared); i++) {
                uint64_t irta = i % 2 ? FIRST_TABLE | SIZE(0) : SECOND_TABLE | SIZE(7) | EIME;
                uint32_t gcmd = i % 5 ? VTD_GCMD_SIRTP | VTD_GCMD_IRE : VTD_GCMD_SIRTP;

                vtd_frontend_write(shared->unit, VTD_REG_IRTA, 8, irta);
                vtd_frontend_write(shared->unit, VTD_REG_GCMD, 4, gcmd);
                assert_int_equal(vtd_frontend_run(shared->unit, BUDGET), VTD_FRONTEND_IDLE);
                vtd_frontend_write(shared->unit, VTD_REG_FRCD + 12, 4, VTD_FRCD_F);
                vtd_frontend_write(shared->unit, VTD_REG_FSTS, 4, VTD_FSTS_PFO);
                (void)sched_yield();
        }
        stop_threads(shared, threads);
        assert_int_equal(atomic_load(&shared->seen[SEEN_WRONG]), 0);
        assert_int_not_equal(atomic_load(&shared->messages), 0);
        shared_free(shared);
}

/*
 * Delivers by entry 1, whose destination only grows.  While one access lasts, the guest must not have
 * learned that a newer destination is in force than the one that is delivered to.
 */
static void *deliver_all_the_time(void *opaque)
{
        struct shared_unit *shared = opaque;

        while (!atomic_load(&shared->stop)) {
                struct vtd_frontend_message message = {0, 0};
                struct vtd_frontend_access access;
                uint32_t target;
                int r;

                vtd_frontend_access_begin(shared->unit, &access);
                r = vtd_frontend_remap_interrupt(shared->unit, RID_A, ADDRESS(1), 0, &message);
                (void)sched_yield();
                target = (uint32_t)(message.address >> 32) | (message.address >> 12 & 0xff);
                if (r != 0 || target < atomic_load(&shared->status))
                        atomic_fetch_add(&shared->seen[SEEN_WRONG], 1);
                else
                        atomic_fetch_add(&shared->seen[SEEN_SECOND], 1);
                vtd_frontend_access_end(shared->unit, &access);
        }
        return NULL;
}

static void test_nothing_is_delivered_by_entries_that_were_invalidated(void **state)
{
        struct shared_unit *shared = shared_new();
        pthread_t threads[THREADS];
        uint32_t tail = 0, number;

        (void)state;
        shared_put64(shared, SECOND_TABLE + 16, ENTRY(0x31, 0));
        vtd_frontend_write(shared->unit, VTD_REG_IQA, 8, SHARED_QUEUE);
        vtd_frontend_write(shared->unit, VTD_REG_IRTA, 8, SECOND_TABLE | SIZE(7) | EIME);
        vtd_frontend_write(shared->unit, VTD_REG_GCMD, 4,
                           VTD_GCMD_SIRTP | VTD_GCMD_IRE | VTD_GCMD_QIE);
        assert_int_equal(vtd_frontend_run(shared->unit, BUDGET), VTD_FRONTEND_IDLE);
        start_threads(shared, deliver_all_the_time, threads);
        for (number = 1; number < 1000 || atomic_load(&shared->seen[SEEN_SECOND]) < 20000;
             number++) {
                const uint64_t descriptors[] = {
                        IEC_INDEX(1, 0), UINT64_C(0x25) | (uint64_t)number << 32, SHARED_STATUS};
                int r;

                shared_put64(shared, SECOND_TABLE + 16, ENTRY(0x31, number));
                for (size_t i = 0; i < VTD_ARRAY_SIZE(descriptors); i++)
                        shared_put64(shared, SHARED_QUEUE + tail + (unsigned)i * 8, descriptors[i]);
                tail = (tail + 32) % 4096;
                vtd_frontend_write(shared->unit, VTD_REG_IQT, 4, tail);
                do
                        r = vtd_frontend_run(shared->unit, BUDGET);
                while (r == VTD_FRONTEND_PENDING);
                assert_int_equal(r, VTD_FRONTEND_IDLE);
                assert_int_equal(atomic_load(&shared->status), number);
        }
        stop_threads(shared, threads);
        assert_int_equal(atomic_load(&shared->seen[SEEN_WRONG]), 0);
        shared_free(shared);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, interrupt_setup, guest_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_capabilities_and_registers_follow_the_configuration),
                TEST(test_without_the_capability_nothing_is_remapped),
                TEST(test_everything_passes_untouched_while_remapping_is_off),
                TEST(test_each_check_has_its_reason),
                TEST(test_the_first_broken_rule_decides),
                TEST(test_fpd_suppresses_what_the_entry_itself_gives),
                TEST(test_every_reserved_bit_of_an_entry_is_a_fault),
                TEST(test_messages_are_composed_from_the_entry),
                TEST(test_extended_mode_has_destinations_of_32_bits),
                TEST(test_an_index_is_handle_plus_subhandle),
                TEST(test_an_index_does_not_wrap),
                TEST(test_the_size_bounds_the_index),
                TEST(test_an_entry_is_read_once),
                TEST(test_tables_beyond_the_host_address_width_are_access_faults),
                TEST(test_source_ids_are_compared_as_qualified),
                TEST(test_buses_are_validated_inclusively),
                TEST(test_compatibility_format_needs_cfis_and_no_extended_mode),
                TEST(test_the_table_in_force_is_the_latched_one),
                TEST(test_commands_at_once_latch_the_table_first),
                TEST(test_reset_turns_remapping_off),
                TEST(test_a_fault_from_before_a_reset_is_not_recorded),
                TEST(test_fault_messages_are_not_remapped),
                TEST(test_invalidations_are_judged_and_entries_read_anew),
                TEST(test_random_requests_agree_with_a_model),
                TEST(test_a_watcher_is_told_before_the_guest_can_see_it),
                TEST(test_a_second_table_is_not_shown_with_the_first),
                TEST(test_a_watcher_is_told_once_of_all),
                TEST(test_accesses_are_drained_before_the_guest_is_told),
                TEST(test_without_the_capability_nobody_is_told),
                TEST(test_kvm_unit_tests_4_interrupt_table),
                TEST(test_kvm_unit_tests_6_interrupt_remapping),
                TEST(test_kvm_unit_tests_10_ioapic_interrupt),
                TEST(test_kvm_unit_tests_11_message_interrupt),
                TEST(test_redirection_entries_become_requests),
                cmocka_unit_test(test_requests_of_many_threads_see_one_moment_each),
                cmocka_unit_test(test_nothing_is_delivered_by_entries_that_were_invalidated),
        };

        return cmocka_run_group_tests_name("frontend-interrupt", tests, NULL, NULL);
}
