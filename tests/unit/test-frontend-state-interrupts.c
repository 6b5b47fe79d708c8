/* SPDX-License-Identifier: MIT */
/* Saved states of a unit that remaps interrupts: the table in force, half-done commands, tampering. */
#include "tests/unit/frontend-fixture.h"

#include <errno.h>
#include <string.h>

#include "frontend/interrupt.h"
#include "shared/checked.h"
#include "vtd/interrupt.h"
#include "vtd/state.h"

#define TABLE_ONE UINT64_C(0x50000)
#define TABLE_TWO UINT64_C(0x60000)
#define SIZE_CODE UINT64_C(3) /* 16 entries */

#define REMAPPABLE UINT64_C(0xfee00010) /* handle 0 */

/* Offsets of vtd/state's format, as frontend/state.c gives them. */
enum {
        AT_GSTS = 48,
        AT_COMMAND = 160,
        AT_LATCHED_IRTA = 168,
};

struct bytes {
        uint8_t data[4096];
        size_t size;
};

static void configure(struct guest *guest)
{
        struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_DEFAULT;

        config.interrupt_remapping = config.extended_interrupt_mode = true;
        guest_configure(guest, &config, 7);
        guest->command = 0;
}

/* Entry 0 of @table: fixed, physical, to the processor and vector given, no source check. */
static void put_interrupt(struct guest *guest, uint64_t table, unsigned processor, unsigned vector)
{
        guest_put64(guest, table, (uint64_t)processor << 32 | vector << 16 | 1);
        guest_put64(guest, table + 8, 0);
}

static void give(struct guest *guest, uint32_t value)
{
        write32(guest, VTD_REG_GCMD, value);
}

/* The vector that a remappable request comes to, or -1 when it is blocked. */
static int vector_of(struct guest *guest)
{
        struct vtd_frontend_message message;

        if (vtd_frontend_remap_interrupt(guest->unit, RID_A, REMAPPABLE, 0, &message) != 0)
                return -1;
        return (int)(message.data & 0xff);
}

static void save(struct guest *guest, struct bytes *bytes)
{
        assert_int_equal(
                vtd_frontend_save(guest->unit, bytes->data, sizeof(bytes->data), &bytes->size), 0);
}

static void switch_on(struct guest *guest)
{
        put_interrupt(guest, TABLE_ONE, 3, 0x41);
        put_interrupt(guest, TABLE_TWO, 3, 0x42);
        write64(guest, VTD_REG_IRTA, TABLE_ONE | 0x800 | SIZE_CODE);
        give(guest, VTD_GCMD_SIRTP);
        run_until(guest, VTD_FRONTEND_IDLE);
        give(guest, VTD_GCMD_IRE);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(vector_of(guest), 0x41);
}

static void test_the_table_in_force_is_restored(void **state)
{
        struct guest *guest = *state;
        struct bytes bytes;

        configure(guest);
        switch_on(guest);
        /* Written, not latched. */
        write64(guest, VTD_REG_IRTA, TABLE_TWO | 0x800 | SIZE_CODE);
        save(guest, &bytes);
        configure(guest);
        assert_int_equal(vector_of(guest), 0); /* not remapped: the data that was sent */
        assert_int_equal(vtd_frontend_restore(guest->unit, bytes.data, bytes.size), 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(read32(guest, VTD_REG_GSTS), VTD_GCMD_SIRTP | VTD_GCMD_IRE);
        assert_int_equal(read64(guest, VTD_REG_IRTA), TABLE_TWO | 0x800 | SIZE_CODE);
        assert_int_equal(vector_of(guest), 0x41);
        give(guest, VTD_GCMD_IRE | VTD_GCMD_SIRTP);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(vector_of(guest), 0x42);
}

/* A command that GSTS does not show yet is carried out after the restore. */
static void test_commands_that_were_not_carried_out_are(void **state)
{
        struct guest *guest = *state;
        struct bytes bytes;

        configure(guest);
        switch_on(guest);
        write64(guest, VTD_REG_IRTA, TABLE_TWO | 0x800 | SIZE_CODE);
        give(guest, VTD_GCMD_SIRTP | VTD_GCMD_IRE | VTD_GCMD_CFI);
        save(guest, &bytes);
        configure(guest);
        assert_int_equal(vtd_frontend_restore(guest->unit, bytes.data, bytes.size), 0);
        assert_int_equal(read32(guest, VTD_REG_GSTS), VTD_GCMD_IRE);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(read32(guest, VTD_REG_GSTS), VTD_GCMD_SIRTP | VTD_GCMD_IRE | VTD_GCMD_CFI);
        assert_int_equal(vector_of(guest), 0x42);
}

static void refused(struct guest *guest, const struct bytes *good, size_t at, uint64_t value,
                    size_t size)
{
        struct bytes bytes = *good, before, after;
        unsigned lines = guest->lines;

        memcpy(bytes.data + at, &value, size);
        save(guest, &before);
        assert_int_equal(vtd_frontend_restore(guest->unit, bytes.data, bytes.size), -EINVAL);
        assert_int_equal(guest->lines, lines + 1);
        save(guest, &after);
        assert_memory_equal(before.data, after.data, before.size);
}

static void test_each_rule_of_interrupts(void **state)
{
        struct guest *guest = *state;
        struct bytes bytes;

        configure(guest);
        switch_on(guest);
        save(guest, &bytes);
        configure(guest);
        /* Latched, but neither shown nor to be latched. */
        refused(guest, &bytes, AT_GSTS, VTD_GCMD_IRE, 4);
        /* Shown and to be latched at once. */
        refused(guest, &bytes, AT_COMMAND, VTD_GCMD_IRE | VTD_GCMD_SIRTP, 4);
        /* Bits that IRTA has not. */
        refused(guest, &bytes, AT_LATCHED_IRTA, TABLE_ONE | 0x10, 8);
        refused(guest, &bytes, AT_GSTS, VTD_GCMD_SIRTP | VTD_GCMD_IRE | 1u << 22, 4);
        assert_int_equal(vtd_frontend_restore(guest->unit, bytes.data, bytes.size), 0);
}

/* Without the capability no state has any of it. */
static void test_units_without_remapping_take_none_of_it(void **state)
{
        struct guest *guest = *state;
        struct bytes bytes;

        save(guest, &bytes);
        refused(guest, &bytes, AT_GSTS, VTD_GCMD_IRE, 4);
        refused(guest, &bytes, AT_GSTS, VTD_GCMD_SIRTP, 4);
        refused(guest, &bytes, AT_GSTS, VTD_GCMD_CFI, 4);
        refused(guest, &bytes, AT_COMMAND, VTD_GCMD_IRE, 4);
        refused(guest, &bytes, AT_COMMAND, VTD_GCMD_SIRTP, 4);
        refused(guest, &bytes, AT_LATCHED_IRTA, TABLE_ONE, 8);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, guest_setup, guest_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_the_table_in_force_is_restored),
                TEST(test_commands_that_were_not_carried_out_are),
                TEST(test_each_rule_of_interrupts),
                TEST(test_units_without_remapping_take_none_of_it),
        };

        return cmocka_run_group_tests_name("frontend-state-interrupts", tests, NULL, NULL);
}
