/* SPDX-License-Identifier: MIT */
/* The walk from requester id to PASID-table entry: every check, in its order, with its code. */
#include "tests/unit/frontend-fixture.h"

#include "frontend/tables.h"
#include "shared/checked.h"

/* First-stage only, with nothing optional. */
#define ECAP_NONE VTD_ECAP_FSTS

struct outcome {
        int result;
        enum vtd_fault_reason reason;
        bool fpd;
        unsigned steps;
        struct vtd_pasid_entry entry;
};

static struct outcome walk_offered(struct guest *guest, uint64_t root, unsigned rid,
                                   const struct vtd_capabilities *capabilities)
{
        struct outcome outcome = {.result = VTD_WALK_E_MORE};
        struct vtd_walk walk;

        vtd_walk_begin(&walk, root, (uint16_t)rid, false, 0);
        while (outcome.result == VTD_WALK_E_MORE) {
                uint64_t reads = guest->reads;

                outcome.steps++;
                outcome.result = vtd_walk_step(&walk, &guest->unit->engine.guest, capabilities,
                                               &outcome.entry, &outcome.reason);
                assert_true(guest->reads - reads <= 1);
        }
        outcome.fpd = walk.fpd;
        return outcome;
}

static struct outcome walk_rid(struct guest *guest, uint64_t root, unsigned rid, uint64_t ecap)
{
        const struct vtd_capabilities capabilities = {.ecap = ecap | ECAP_NONE,
                                                      .host_address_bits = 52};

        return walk_offered(guest, root, rid, &capabilities);
}

static struct outcome walk(struct guest *guest)
{
        return walk_rid(guest, ROOT_TABLE | 0x400, RID_A, ECAP_NONE);
}

static uint64_t context_of(unsigned rid)
{
        return (rid & 0x80 ? CONTEXT_UPPER : CONTEXT_LOWER) + (rid & 0x7f) * 32;
}

static void start(struct guest *guest)
{
        put_context(guest, RID_A, 0);
        put_entry(guest, RID_A, 1, 5, TABLE_A);
}

static void test_a_complete_path_yields_the_entry(void **state)
{
        struct guest *guest = *state;
        struct outcome outcome;

        start(guest);
        outcome = walk(guest);
        assert_int_equal(outcome.result, 0);
        assert_int_equal(outcome.steps, 4);
        assert_int_equal(outcome.entry.type, VTD_PGTT_FIRST_STAGE);
        assert_int_equal(outcome.entry.domain_id, 5);
        assert_int_equal(outcome.entry.pasid, 0);
        assert_int_equal(outcome.entry.first_stage_root, TABLE_A);
        assert_false(outcome.entry.fpd);
        put_entry(guest, RID_A, 4, 0xffff, TABLE_A);
        outcome = walk(guest);
        assert_int_equal(outcome.result, 0);
        assert_int_equal(outcome.entry.type, VTD_PGTT_PASSTHROUGH);
        assert_int_equal(outcome.entry.domain_id, 0xffff);
        assert_int_equal(outcome.entry.first_stage_root, 0);
}

/* Rid by rid: which half of which root entry, and which slot of the context table. */
static void test_each_requester_id_has_its_own_path(void **state)
{
        static const unsigned rids[] = {0x0000, 0x007f, 0x0080, 0x00ff,
                                        0x0100, 0xff7f, 0xff80, 0xffff};
        struct guest *guest = *state;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(rids); i++) {
                start(guest);
                put_context(guest, rids[i], 0);
                put_entry(guest, rids[i], 1, 100 + (unsigned)i, TABLE_A);
                assert_int_equal(walk_rid(guest, ROOT_TABLE, rids[i], 0).entry.domain_id, 100 + i);
                guest_put64(guest, context_of(rids[i]), 0);
                assert_int_equal(walk_rid(guest, ROOT_TABLE, rids[i], 0).reason, 0x41);
                /* Only the half in use is judged. */
                put_context(guest, rids[i], 0);
                guest_put64(guest, ROOT_TABLE + (rids[i] >> 8) * 16 + (rids[i] & 0x80 ? 0 : 8),
                            UINT64_MAX);
                assert_int_equal(walk_rid(guest, ROOT_TABLE, rids[i], 0).result, 0);
        }
}

static void test_entries_that_are_not_present_are_told_apart(void **state)
{
        struct guest *guest = *state;
        const uint64_t context = context_of(RID_A), directory = directory_of(RID_A);
        const uint64_t pasid_entry = entry_of(RID_A, 0);
        const struct {
                uint64_t address;
                enum vtd_fault_reason reason;
        } cases[] = {
                {ROOT_TABLE, 0x39},
                {context, 0x41},
                {directory, 0x51},
                {pasid_entry, 0x59},
        };

        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                struct outcome outcome;

                start(guest);
                /* All else is ignored, were it ever so wrong; but FPD counts below the root. */
                guest_put64(guest, cases[i].address, ~UINT64_C(1));
                outcome = walk(guest);
                assert_int_equal(outcome.result, VTD_WALK_E_ABSENT);
                assert_int_equal(outcome.reason, cases[i].reason);
                assert_int_equal(outcome.steps, i + 1);
                assert_int_equal(outcome.fpd, i > 0);
        }
}

static void test_tables_outside_memory_are_access_errors(void **state)
{
        static const uint64_t outside[] = {GUEST_MEMORY, UINT64_C(0xffffffffff000)};
        struct guest *guest = *state;
        const uint64_t context = context_of(RID_A), directory = directory_of(RID_A);
        const struct {
                uint64_t address;
                enum vtd_fault_reason reason;
        } cases[] = {
                {ROOT_TABLE, 0x40},
                {context, 0x50},
                {directory, 0x58},
        };

        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                for (size_t j = 0; j < VTD_ARRAY_SIZE(outside); j++) {
                        struct outcome outcome;

                        start(guest);
                        guest_put64(guest, cases[i].address, outside[j] | 1);
                        outcome = walk(guest);
                        assert_int_equal(outcome.result, VTD_WALK_E_REFUSED);
                        assert_int_equal(outcome.reason, cases[i].reason);
                }
        }
        start(guest);
        assert_int_equal(walk_rid(guest, GUEST_MEMORY, RID_A, 0).reason, 0x38);
        assert_int_equal(walk_rid(guest, UINT64_C(1) << 52, RID_A, 0).reason, 0x38);
        assert_int_equal(walk_rid(guest, UINT64_MAX, 0xffff, 0).reason, 0x38);
}

/* What the architecture, and the capabilities that are not offered, leave free in each word. */
static void test_every_reserved_bit_is_refused(void **state)
{
        struct guest *guest = *state;
        const uint64_t context = context_of(RID_A), directory = directory_of(RID_A);
        const uint64_t pasid_entry = entry_of(RID_A, 0);
        const struct {
                uint64_t address;
                enum vtd_fault_reason reason;
                unsigned words;
                uint64_t free_0, free_1, free_2;
        } cases[] = {
                {ROOT_TABLE, 0x3a, 1, 0xffffffffff001, 0, 0},
                {context, 0x42, 4, 0xffffffffffe03, 0xfffff, 0},
                {directory, 0x52, 1, 0xffffffffff003, 0, 0},
                {pasid_entry, 0x5a, 8, 0xffffffffff1df, 0x80ffff, 0xffffffffff06c},
        };

        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                const uint64_t free_bits[8] = {cases[i].free_0, cases[i].free_1, cases[i].free_2};

                for (unsigned bit = 0; bit < cases[i].words * 64; bit++) {
                        uint64_t address = cases[i].address + bit / 64 * 8;
                        uint64_t mask = UINT64_C(1) << (bit % 64);
                        struct outcome outcome;
                        uint64_t good;

                        start(guest);
                        good = guest_get64(guest, address);
                        guest_put64(guest, address, good ^ mask);
                        outcome = walk(guest);
                        guest_put64(guest, address, good);
                        if (free_bits[bit / 64] & mask) {
                                assert_int_not_equal(outcome.reason, cases[i].reason);
                        } else {
                                assert_int_equal(outcome.result, VTD_WALK_E_REFUSED);
                                assert_int_equal(outcome.reason, cases[i].reason);
                        }
                }
        }
}

static void test_offered_capabilities_free_their_bits(void **state)
{
        struct guest *guest = *state;

        start(guest);
        guest_put64(guest, context_of(RID_A), directory_of(RID_A) | 1 | 1 << 3);
        assert_int_equal(walk_rid(guest, ROOT_TABLE, RID_A, VTD_ECAP_SC).reason, 0x42);
        assert_int_equal(walk_rid(guest, ROOT_TABLE, RID_A, VTD_ECAP_PASID).result, 0);
        start(guest);
        guest_put64(guest, entry_of(RID_A, 0) + 8, 5 | 1 << 24);
        assert_int_equal(walk_rid(guest, ROOT_TABLE, RID_A, VTD_ECAP_PASID).reason, 0x5a);
        assert_int_equal(walk_rid(guest, ROOT_TABLE, RID_A, VTD_ECAP_SC).result, 0);
}

/* SRE is taken of every type: no privileged request passes without it. */
static void test_every_type_has_supervisor_requests_enabled_by_sre(void **state)
{
        const struct vtd_frontend_config config = {
                .first_stage = true,
                .supervisor_requests = true,
                .second_stage_widths = VTD_FRONTEND_WIDTH_48,
                .nested = true,
                .fault_records = 1,
                .address_bits = 48,
                .host_address_bits = 52,
                .register_base = VTD_FRONTEND_REGISTER_BASE,
        };
        struct guest *guest = *state;

        for (unsigned type = VTD_PGTT_FIRST_STAGE; type <= VTD_PGTT_PASSTHROUGH; type++)
                for (unsigned enabled = 0; enabled < 2; enabled++) {
                        const struct vtd_capabilities offered = vtd_capabilities_of(&config);
                        struct outcome outcome;

                        start(guest);
                        put_entry(guest, RID_A, type, 5, TABLE_A | enabled);
                        outcome = walk_offered(guest, ROOT_TABLE, RID_A, &offered);
                        assert_int_equal(outcome.result, 0);
                        assert_int_equal(outcome.entry.type, type);
                        assert_int_equal(outcome.entry.supervisor, enabled);
                }
}

static void test_reserved_bits_are_judged_before_values(void **state)
{
        struct guest *guest = *state;

        start(guest);
        put_entry(guest, RID_A, 2, 5, 0);
        assert_int_equal(walk(guest).reason, 0x5b);
        guest_put64(guest, entry_of(RID_A, 0) + 56, 1);
        assert_int_equal(walk(guest).reason, 0x5a);
        start(guest);
        put_context(guest, RID_A, 0x2000);
        assert_int_equal(walk(guest).reason, 0x48);
        guest_put64(guest, context_of(RID_A) + 16, 1);
        assert_int_equal(walk(guest).reason, 0x42);
}

static void test_types_and_paging_levels(void **state)
{
        struct guest *guest = *state;

        for (unsigned type = 0; type < 8; type++) {
                for (unsigned levels = 0; levels < 4; levels++) {
                        bool good = (type == 1 && levels == 0) || type == 4;
                        struct outcome outcome;

                        start(guest);
                        guest_put64(guest, entry_of(RID_A, 0), 1 | type << 6);
                        guest_put64(guest, entry_of(RID_A, 0) + 16, TABLE_A | levels << 2);
                        outcome = walk(guest);
                        assert_int_equal(outcome.result, good ? 0 : VTD_WALK_E_REFUSED);
                        assert_int_equal(outcome.reason, good ? 0 : 0x5b);
                }
        }
}

static void test_fpd_accumulates_over_the_levels(void **state)
{
        struct guest *guest = *state;
        const uint64_t places[] = {context_of(RID_A), directory_of(RID_A), entry_of(RID_A, 0)};

        for (size_t i = 0; i < VTD_ARRAY_SIZE(places); i++) {
                struct outcome outcome;

                start(guest);
                guest_put64(guest, places[i], guest_get64(guest, places[i]) | 2);
                outcome = walk(guest);
                assert_int_equal(outcome.result, 0);
                assert_true(outcome.entry.fpd);
                put_entry(guest, RID_A, 3, 5, 0);
                guest_put64(guest, places[i], guest_get64(guest, places[i]) | 2);
                outcome = walk(guest);
                assert_int_equal(outcome.reason, 0x5b);
                assert_true(outcome.fpd);
        }
}

/* The last PASID of each directory size, and the first one beyond. */
static void test_rid_pasid_is_bounded_by_the_directory(void **state)
{
        struct guest *guest = *state;

        for (unsigned size = 0; size < 8; size++) {
                uint32_t limit = UINT32_C(1) << (size + 13);
                struct outcome outcome;

                start(guest);
                guest_put64(guest, context_of(RID_A), 0x380000 | size << 9 | 1);
                guest_put64(guest, context_of(RID_A) + 8, limit - 1);
                guest_put64(guest, 0x380000 + ((limit - 1) >> 6) * 8, 0x3ff001);
                guest_put64(guest, 0x3fffc0, 1 | 1 << 6);
                guest_put64(guest, 0x3fffc8, 7);
                guest_put64(guest, 0x3fffd0, TABLE_B);
                outcome = walk(guest);
                assert_int_equal(outcome.result, 0);
                assert_int_equal(outcome.entry.pasid, limit - 1);
                assert_int_equal(outcome.entry.domain_id, 7);
                if (size == 7)
                        continue;
                guest_put64(guest, context_of(RID_A) + 8, limit);
                outcome = walk(guest);
                assert_int_equal(outcome.result, VTD_WALK_E_REFUSED);
                assert_int_equal(outcome.reason, 0x48);
                assert_int_equal(outcome.steps, 2);
        }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, guest_setup, guest_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_a_complete_path_yields_the_entry),
                TEST(test_each_requester_id_has_its_own_path),
                TEST(test_entries_that_are_not_present_are_told_apart),
                TEST(test_tables_outside_memory_are_access_errors),
                TEST(test_every_reserved_bit_is_refused),
                TEST(test_offered_capabilities_free_their_bits),
                TEST(test_every_type_has_supervisor_requests_enabled_by_sre),
                TEST(test_reserved_bits_are_judged_before_values),
                TEST(test_types_and_paging_levels),
                TEST(test_fpd_accumulates_over_the_levels),
                TEST(test_rid_pasid_is_bounded_by_the_directory),
        };

        return cmocka_run_group_tests_name("frontend-tables", tests, NULL, NULL);
}
