/* SPDX-License-Identifier: MIT */
/*
 * Saved states that were tampered with: every bit, every length, every rule.  They are refused and
 * the unit stays as it was, or they make of it what a guest could have made of it.
 */
#include "tests/unit/state-fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shared/checked.h"
#include "vtd/state.h"

/* Where things are in a saved state. */
enum {
        AT_VERSION = 8,
        AT_LENGTH = 12,
        AT_VER = 16,
        AT_GSTS = 48,
        AT_FSTS = 52,
        AT_RTADDR = 56,
        AT_LATCHED_ROOT = 64,
        AT_FECTL = 88,
        AT_IQH = 104,
        AT_IQT = 108,
        AT_LATCHED_IQA = 120,
        AT_ICS = 128,
        AT_IECTL = 132,
        AT_IQERCD = 148,
        AT_IRTA = 152,
        AT_COMMAND = 160,
        AT_NEXT = 164,
        AT_RECORDS = 176,
};

/* The unit that they are offered to has a life of its own. */
static void prepare_target(struct pair *pair)
{
        bring_up(pair->a);
        record_faults(pair->a);
        for (unsigned i = 1; i < 10; i++)
                queue_descriptor(pair->a, WAIT_STATUS(i));
        kick(pair->a);
        assert_int_equal(vtd_frontend_run(pair->a->unit, 3), VTD_FRONTEND_PENDING);
        state_save_first(pair);
        state_configure(pair->b);
        bring_up(pair->b);
}

static void assert_refused(struct pair *pair, const uint8_t *bytes, size_t size)
{
        uint8_t before[STATE_SIZE], after[STATE_SIZE];
        unsigned lines = pair->b->lines;
        size_t requests = pair->b->broker->count;

        state_save(pair->b, before);
        assert_int_equal(vtd_frontend_restore(pair->b->unit, bytes, size), -EINVAL);
        assert_int_equal(pair->b->lines, lines + 1);
        state_save(pair->b, after);
        assert_memory_equal(after, before, STATE_SIZE);
        assert_int_equal(vtd_frontend_run(pair->b->unit, 0), VTD_FRONTEND_IDLE);
        assert_int_equal(pair->b->broker->count, requests);
        assert_int_equal(binding_of(pair->b, RID_A), FIRST);
}

static void put(uint8_t *bytes, unsigned at, unsigned size, uint64_t value)
{
        for (unsigned i = 0; i < size; i++)
                bytes[at + i] = (uint8_t)(value >> 8 * i);
}

/* What no unit can be in, each for one reason. */
static const struct {
        unsigned at, size;
        uint64_t value;
} patches[] = {
        {0, 1, 'W'},
        {AT_VERSION, 4, 0},
        {AT_VERSION, 4, 2},
        {AT_VERSION, 4, UINT32_MAX},
        {AT_LENGTH, 4, STATE_SIZE + 1},
        {AT_LENGTH, 4, 0},
        {AT_VER, 4, 0x10},
        {AT_GSTS, 4, 0xc4000001},
        {AT_GSTS, 4, 0xc6000000},    /* IRES */
        {AT_GSTS, 4, 0xc0000000},    /* no QIES, but a queue */
        {AT_GSTS, 4, 0x84000000},    /* no RTPS, but a root */
        {AT_COMMAND, 4, 0xc4000000}, /* SRTP to be carried out, and RTPS */
        {AT_COMMAND, 4, 0x84000001},
        {AT_FSTS, 4, 0},     /* no PPF, but F */
        {AT_FSTS, 4, 0x402}, /* FRI 4 of 4 */
        {AT_FSTS, 4, 0x10002},
        {AT_FSTS, 4, 0x12}, /* IQE, but no code */
        {AT_NEXT, 4, RECORDS},
        {AT_NEXT, 4, UINT32_MAX},
        {AT_RTADDR, 8, ROOT_TABLE | 0x600},
        {AT_LATCHED_ROOT, 8, ROOT_TABLE | 0x401},
        {AT_LATCHED_IQA, 8, QUEUE | 0x808},
        {AT_IQH, 4, 4096},
        {AT_IQH, 4, 48},
        {AT_IQH, 4, 8},
        {AT_IQH, 4, 0x80000},
        {AT_IQT, 4, 0x80000},
        {AT_FECTL, 4, VTD_ECTL_IP},               /* not masked */
        {AT_IECTL, 4, VTD_ECTL_IM | VTD_ECTL_IP}, /* without IWC */
        {AT_IECTL, 4, 1},
        {AT_ICS, 4, 2},
        {AT_IQERCD, 4, 5},
        {AT_IQERCD, 4, 8},
        {AT_IRTA, 8, 0x1000}, /* is not offered */
        {AT_RECORDS, 4, 0x800},
        {AT_RECORDS + 8, 4, 0x40000000},  /* EXE */
        {AT_RECORDS + 12, 4, 0x90000000}, /* AT */
};

static void test_each_rule(void **state)
{
        struct pair *pair = *state;
        uint8_t bytes[STATE_SIZE];

        prepare_target(pair);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(patches); i++) {
                memcpy(bytes, pair->state, STATE_SIZE);
                put(bytes, patches[i].at, patches[i].size, patches[i].value);
                assert_refused(pair, bytes, STATE_SIZE);
        }
        /* Without PPF no event is pending either, but records are still valid. */
        memcpy(bytes, pair->state, STATE_SIZE);
        put(bytes, AT_FECTL, 4, VTD_ECTL_IM);
        put(bytes, AT_FSTS, 4, 0);
        assert_refused(pair, bytes, STATE_SIZE);
        /* Nor are they: then an event is pending without a cause. */
        put(bytes, AT_RECORDS + 15, 1, 0);
        put(bytes, AT_RECORDS + 2 * 16 + 15, 1, 0);
        assert_int_equal(vtd_frontend_restore(pair->b->unit, bytes, STATE_SIZE), 0);
        run_until(pair->b, VTD_FRONTEND_IDLE);
        put(bytes, AT_FECTL, 4, VTD_ECTL_IM | VTD_ECTL_IP);
        assert_refused(pair, bytes, STATE_SIZE);
}

static void test_another_configuration(void **state)
{
        struct pair *pair = *state;
        struct vtd_frontend_config configs[7];

        state_save_first(pair);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(configs); i++) {
                configs[i] = (struct vtd_frontend_config)VTD_FRONTEND_CONFIG_DEFAULT;
                configs[i].pasid_bits = 20;
                configs[i].fault_records = RECORDS;
        }
        configs[0].pasid_bits = 19;
        configs[1].fault_records = RECORDS + 1;
        configs[2].first_stage_1gib = true;
        configs[3].host_address_bits = 46;
        configs[4].register_base = 0xfed91000;
        configs[5].interrupt_remapping = true;
        configs[6].address_bits = 47;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(configs); i++) {
                guest_configure(pair->b, &configs[i], 7);
                assert_int_equal(vtd_frontend_restore(pair->b->unit, pair->state, STATE_SIZE),
                                 -EINVAL);
                assert_int_equal(pair->b->lines, i + 1);
        }
        state_configure(pair->b);
        assert_int_equal(vtd_frontend_restore(pair->b->unit, pair->state, STATE_SIZE), 0);
}

static void test_every_length(void **state)
{
        struct pair *pair = *state;

        prepare_target(pair);
        for (size_t size = 0; size < sizeof(pair->state); size++) {
                uint8_t *exact = malloc(size + 1); /* so that a sanitizer sees an over-read */

                assert_non_null(exact);
                memcpy(exact, pair->state, size);
                if (size != STATE_SIZE)
                        assert_refused(pair, exact, size);
                free(exact);
        }
        for (size_t size = STATE_SIZE - 16; size <= STATE_SIZE + 16; size += 32) {
                put(pair->state, AT_LENGTH, 4, size); /* it says so itself */
                assert_refused(pair, pair->state, size);
        }
}

/* Runs to the end in small pieces, none of which may read more than it was allowed. */
static void run_in_pieces(struct guest *guest)
{
        int outcome;
        unsigned left = 1u << 16;

        do {
                uint64_t reads = guest->reads;

                outcome = vtd_frontend_run(guest->unit, 64);
                assert_true(guest->reads - reads <= 64);
                assert_int_not_equal(--left, 0);
        } while (outcome == VTD_FRONTEND_PENDING);
        assert_int_equal(outcome, VTD_FRONTEND_IDLE);
}

/* The unit is one that a guest could have: what it does is saved again, and its driver starts over. */
static void use(struct pair *pair)
{
        struct guest *b = pair->b;
        uint8_t bytes[STATE_SIZE];

        b->command = 0;
        run_in_pieces(b);
        state_save(b, bytes);
        assert_int_equal(vtd_frontend_restore(b->unit, bytes, STATE_SIZE), 0);
        run_in_pieces(b);
        recover(b);
        unmask(b);
        write32(b, VTD_REG_GCMD, 0);
        run_in_pieces(b);
        assert_int_equal(read32(b, VTD_REG_GSTS) & ~VTD_GCMD_SRTP, 0);
        memcpy(b->memory, pair->at_saving.memory, GUEST_MEMORY);
        guest_put64(b, STATUS, 0);
        switch_on(b);
        run_in_pieces(b);
        invalidate(b, WAIT_STATUS(0x77));
        assert_int_equal(guest_get32(b, STATUS), 0x77);
        assert_int_equal(binding_of(b, RID_A), FIRST);
        assert_int_equal(binding_of(b, RID_B), FIRST);
        assert_int_equal(pasid_binding_of(b, RID_A, PASID_ONE), FIRST);
}

static void test_every_bit(void **state)
{
        struct pair *pair = *state;
        unsigned accepted = 0, refused = 0;

        prepare_target(pair);
        for (unsigned bit = 0; bit < STATE_SIZE * 8; bit++) {
                uint8_t bytes[STATE_SIZE];
                unsigned lines = pair->b->lines;
                int r;

                memcpy(bytes, pair->state, STATE_SIZE);
                bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
                r = vtd_frontend_restore(pair->b->unit, bytes, STATE_SIZE);
                if (r != 0) {
                        assert_int_equal(r, -EINVAL);
                        assert_int_equal(pair->b->lines, lines + 1);
                        assert_refused(pair, bytes, STATE_SIZE);
                        refused++;
                        continue;
                }
                accepted++;
                use(pair);
        }
        assert_true(accepted > 400);
        assert_true(refused > 400);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, state_setup, state_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_each_rule),
                TEST(test_another_configuration),
                TEST(test_every_length),
                TEST(test_every_bit),
        };

        return cmocka_run_group_tests_name("frontend-state-hostile", tests, NULL, NULL);
}
