/* SPDX-License-Identifier: MIT */
/* Coalescing of invalidations: never less than was asked, and no more. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "frontend/pending.h"
#include "shared/checked.h"

static int setup(void **state)
{
        *state = calloc(1, sizeof(struct vtd_pending));
        return *state ? 0 : -1;
}

static int teardown(void **state)
{
        free(*state);
        return 0;
}

static void add(struct vtd_pending *pending, uint64_t page, unsigned mask, bool leaf)
{
        assert_int_equal(vtd_pending_add_block(pending, 1, page * VTD_PAGE_SIZE, mask, leaf), 0);
}

static void assert_entry(const struct vtd_invalidate_request *request, size_t i, uint64_t page,
                         uint64_t pages, bool leaf)
{
        assert_true(i < request->count);
        assert_int_equal(request->entries[i].address, page * VTD_PAGE_SIZE);
        assert_int_equal(request->entries[i].pages, pages);
        assert_int_equal(request->entries[i].leaf, leaf);
}

static void test_adjacent_and_overlapping_ranges_become_one(void **state)
{
        struct vtd_pending *pending = *state;
        struct vtd_invalidate_request request;

        add(pending, 4, 0, false);
        add(pending, 6, 0, false);
        add(pending, 9, 0, false);
        add(pending, 5, 0, false); /* joins the first two */
        add(pending, 4, 1, false); /* is covered */
        add(pending, 7, 2, false); /* the block 4 to 7 */
        vtd_pending_take(pending, &request);
        assert_int_equal(pending->count, 0);
        assert_int_equal(request.table, 1);
        assert_int_equal(request.count, 2);
        assert_entry(&request, 0, 9, 1, false);
        assert_entry(&request, 1, 4, 4, false);
}

static void test_ranges_with_a_gap_stay_apart(void **state)
{
        struct vtd_pending *pending = *state;
        struct vtd_invalidate_request request;

        add(pending, 1, 0, false);
        add(pending, 3, 0, false);
        vtd_pending_take(pending, &request);
        assert_int_equal(request.count, 2);
        assert_entry(&request, 0, 1, 1, false);
        assert_entry(&request, 1, 3, 1, false);
}

static void test_leaf_only_ranges_stay_leaf_only(void **state)
{
        struct vtd_pending *pending = *state;
        struct vtd_invalidate_request request;

        add(pending, 8, 0, true);
        add(pending, 9, 0, true);
        add(pending, 10, 0, false); /* touches, but asks for more */
        add(pending, 16, 2, false);
        add(pending, 17, 0, true); /* covered by what asks for more */
        add(pending, 32, 0, true);
        add(pending, 32, 1, false); /* covers what asks for less */
        vtd_pending_take(pending, &request);
        assert_int_equal(request.count, 4);
        assert_entry(&request, 0, 8, 2, true);
        assert_entry(&request, 1, 10, 1, false);
        assert_entry(&request, 2, 16, 4, false);
        assert_entry(&request, 3, 32, 2, false);
}

static void test_more_ranges_than_a_request_carries_become_the_whole_table(void **state)
{
        struct vtd_pending *pending = *state;
        struct vtd_invalidate_request request;

        for (unsigned i = 0; i < VTD_LIMIT_INVALIDATE_ENTRIES; i++)
                add(pending, i * 2, 0, true);
        /* Still 128: this one joins two of them. */
        add(pending, 1, 0, true);
        add(pending, 1000, 0, true);
        assert_false(pending->tables[0].whole);
        assert_int_equal(pending->tables[0].count, VTD_LIMIT_INVALIDATE_ENTRIES);
        add(pending, 2000, 0, true);
        add(pending, 3000, 0, true);
        vtd_pending_take(pending, &request);
        assert_int_equal(request.count, 1);
        assert_entry(&request, 0, 0, VTD_INVALIDATE_ALL, false);
}

static void test_the_whole_table_absorbs_ranges(void **state)
{
        struct vtd_pending *pending = *state;
        struct vtd_invalidate_request request;

        add(pending, 1, 0, false);
        assert_int_equal(vtd_pending_add_whole(pending, 1), 0);
        add(pending, 7, 0, false);
        vtd_pending_take(pending, &request);
        assert_int_equal(request.count, 1);
        assert_entry(&request, 0, 0, VTD_INVALIDATE_ALL, false);
}

static void test_blocks_are_aligned_down_and_bounded_by_the_address_width(void **state)
{
        struct vtd_pending *pending = *state;
        struct vtd_invalidate_request request;

        add(pending, 0x12345, 8, false);
        vtd_pending_take(pending, &request);
        assert_entry(&request, 0, 0x12300, 256, false);
        /* Half of the table is the largest block that is not all of it. */
        add(pending, UINT64_C(0xfffffffff), 35, false);
        vtd_pending_take(pending, &request);
        assert_entry(&request, 0, UINT64_C(0x800000000), UINT64_C(1) << 35, false);
        for (unsigned mask = 36; mask < 64; mask++) {
                add(pending, 1, mask, true);
                vtd_pending_take(pending, &request);
                assert_entry(&request, 0, 0, VTD_INVALIDATE_ALL, false);
        }
        add(pending, UINT64_C(1) << 36, 0, true);
        vtd_pending_take(pending, &request);
        assert_entry(&request, 0, 0, VTD_INVALIDATE_ALL, false);
}

static void test_tables_are_kept_apart_bounded_and_dropped(void **state)
{
        struct vtd_pending *pending = *state;
        struct vtd_invalidate_request request;

        for (unsigned i = 0; i < VTD_PENDING_TABLES; i++)
                assert_int_equal(vtd_pending_add_block(pending, 10 + i, 0x1000, 0, false), 0);
        assert_int_equal(vtd_pending_add_block(pending, 99, 0x1000, 0, false), VTD_PENDING_E_FULL);
        assert_int_equal(vtd_pending_add_whole(pending, 99), VTD_PENDING_E_FULL);
        assert_int_equal(vtd_pending_add_block(pending, 12, 0x5000, 0, false), 0);
        vtd_pending_drop(pending, 77);
        vtd_pending_drop(pending, 10);
        assert_int_equal(pending->count, VTD_PENDING_TABLES - 1);
        for (unsigned left = VTD_PENDING_TABLES - 1; left > 0; left--) {
                vtd_pending_take(pending, &request);
                assert_true(request.table > 10 && request.table < 10 + VTD_PENDING_TABLES);
                assert_int_equal(request.count, request.table == 12 ? 2 : 1);
                assert_int_equal(pending->count, left - 1);
        }
        assert_int_equal(vtd_pending_add_whole(pending, 99), 0);
}

/*
 * The fewest ranges for the pages asked for: one for each run of pages whose upper levels count, and
 * one for each run of pages of either kind that has some of the other kind only.
 */
static size_t fewest(bool asked[2][256])
{
        bool leaf_only = false;
        size_t count = 0;

        for (unsigned page = 0; page < 256; page++) {
                if (!asked[0][page] && !asked[1][page])
                        leaf_only = false;
                else if (asked[0][page] && (page == 0 || !asked[0][page - 1]))
                        count++;
                if (!asked[0][page] && asked[1][page] && !leaf_only) {
                        leaf_only = true;
                        count++;
                }
        }
        return count;
}

static void test_a_leaf_only_range_goes_on_behind_one_that_asks_for_more(void **state)
{
        struct vtd_pending *pending = *state;
        struct vtd_invalidate_request request;

        add(pending, 3, 0, true);
        add(pending, 6, 0, true);
        add(pending, 4, 1, false);
        add(pending, 8, 0, true);
        vtd_pending_take(pending, &request);
        assert_int_equal(request.count, 3);
        assert_entry(&request, 0, 3, 4, true);
        assert_entry(&request, 1, 4, 2, false);
        assert_entry(&request, 2, 8, 1, true);
}

/* Against the simplest model: exactly the pages that were asked for, in as few ranges as can be. */
static void test_what_is_sent_is_exactly_what_was_asked(void **state)
{
        struct vtd_pending *pending = *state;
        struct vtd_invalidate_request request;
        unsigned seed = 1;

        for (unsigned round = 0; round < 300; round++) {
                bool asked[2][256] = {{false}}, sent[2][256] = {{false}};
                unsigned count = 1 + (unsigned)rand_r(&seed) % 40;

                for (unsigned i = 0; i < count; i++) {
                        unsigned page = (unsigned)rand_r(&seed) % 256;
                        unsigned mask = (unsigned)rand_r(&seed) % 4;
                        bool leaf = rand_r(&seed) & 1;

                        add(pending, page, mask, leaf);
                        for (unsigned j = 0; j < 1u << mask; j++)
                                asked[leaf][(page & ~((1u << mask) - 1)) + j] = true;
                }
                vtd_pending_take(pending, &request);
                assert_int_equal(request.count, fewest(asked));
                for (size_t i = 0; i < request.count; i++)
                        for (unsigned j = 0; j < request.entries[i].pages; j++)
                                sent[request.entries[i].leaf]
                                    [request.entries[i].address / VTD_PAGE_SIZE + j] = true;
                for (unsigned page = 0; page < 256; page++) {
                        assert_int_equal(sent[0][page], asked[0][page]);
                        assert_int_equal(sent[0][page] || sent[1][page],
                                         asked[0][page] || asked[1][page]);
                }
        }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_adjacent_and_overlapping_ranges_become_one),
                TEST(test_ranges_with_a_gap_stay_apart),
                TEST(test_leaf_only_ranges_stay_leaf_only),
                TEST(test_more_ranges_than_a_request_carries_become_the_whole_table),
                TEST(test_the_whole_table_absorbs_ranges),
                TEST(test_blocks_are_aligned_down_and_bounded_by_the_address_width),
                TEST(test_tables_are_kept_apart_bounded_and_dropped),
                TEST(test_a_leaf_only_range_goes_on_behind_one_that_asks_for_more),
                TEST(test_what_is_sent_is_exactly_what_was_asked),
        };

        return cmocka_run_group_tests_name("frontend-pending", tests, NULL, NULL);
}
