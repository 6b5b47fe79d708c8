/* SPDX-License-Identifier: MIT */
/* Nested translation: the first stage's tables and its pages are inputs of the second stage. */
#include "tests/unit/paging-fixture.h"

#include <string.h>

#include "frontend/dma/stages.h"

/* What the first stage gives for the request, by the level of its page. */
static uint64_t between(const struct paging *p, unsigned first)
{
        static const uint64_t bases[] = {UINT64_C(0x1040e99000), UINT64_C(0x1040e00000),
                                         UINT64_C(0x1040000000)};

        return bases[first] | (p->request.address & (BIT(shift_of(first)) - 1));
}

static uint64_t first_value(const struct paging *p, unsigned first)
{
        return (between(p, first) & ~(BIT(shift_of(first)) - 1)) | FS_PAGE |
               (first > 0 ? FS_PS : 0);
}

static uint64_t second_value(unsigned second)
{
        static const uint64_t outputs[] = {UINT64_C(0x123456789a000), UINT64_C(0x2345678a00000),
                                           UINT64_C(0x6789ac0000000)};

        return outputs[second] | SS_PAGE | (second > 0 ? SS_PS : 0);
}

/* Everything that a walk needs, with nothing left to be set. */
static void put(struct paging *p, unsigned first, unsigned second)
{
        put_nested_tables(p);
        put_first(p, first, first_value(p, first));
        put_second(p, between(p, first), second, second_value(second));
        p->guest->exchanges = 0;
        p->guest->reads = 0;
}

/* The second-stage entry that maps the first stage's table of @level. */
static uint64_t table_entry(unsigned level)
{
        return second_entry(NESTED_TABLES + level * VTD_PAGE_SIZE, 0);
}

static void set_bits(struct paging *p, uint64_t entry, uint64_t bits)
{
        guest_put64(p->guest, entry, guest_get64(p->guest, entry) | bits);
}

static void clear_bits(struct paging *p, uint64_t entry, uint64_t bits)
{
        guest_put64(p->guest, entry, guest_get64(p->guest, entry) & ~bits);
}

static bool has_bits(const struct paging *p, uint64_t entry, uint64_t bits)
{
        return (guest_get64(p->guest, entry) & bits) == bits;
}

static void forget_tables(struct paging *p)
{
        memset(p->guest->memory + FS_TABLES, 0, 5 * VTD_PAGE_SIZE);
        memset(p->guest->memory + SS_TABLES, 0, 5 * VTD_PAGE_SIZE);
}

static void use_levels(struct paging *p, unsigned first, unsigned second)
{
        use_nested(p, second);
        p->entry.five_level = first == 5;
        p->entry.first_stage_root = NESTED_TABLES + (first - 1) * VTD_PAGE_SIZE;
        p->request.address = PAGING_ADDRESS | (first == 5 ? BIT(55) : 0);
}

static void check_page_sizes(struct paging *p, unsigned first, unsigned second)
{
        unsigned level = first < second ? first : second;
        unsigned walks = first_levels(p) - first, levels = p->entry.second_stage_levels;
        uint64_t output;

        put(p, first, second);
        output = (second_value(second) & ~(BIT(shift_of(second)) - 1) & UINT64_C(0xfffffffffffff)) |
                 (between(p, first) & (BIT(shift_of(second)) - 1));
        assert_int_equal(paging_walk(p), 0);
        assert_int_equal(p->page.shift, shift_of(level));
        assert_int_equal(p->page.translated, output & ~(BIT(shift_of(level)) - 1));
        assert_int_equal(p->page.user, READ | WRITE);
        assert_int_equal(p->page.supervisor, READ | WRITE);
        assert_int_equal(p->guest->reads, walks * (levels + 1) + levels - second);
        assert_int_equal(p->guest->exchanges, 0);
        forget_tables(p);
}

/* The smaller page of both stages is the block, in all combinations. */
static void test_page_sizes(void **state)
{
        struct paging *p = *state;

        for (unsigned first_levels = 4; first_levels <= 5; first_levels++)
                for (unsigned second_levels = 3; second_levels <= 5; second_levels++) {
                        use_levels(p, first_levels, second_levels);
                        for (unsigned first = 0; first < 3; first++)
                                for (unsigned second = 0; second < 3; second++)
                                        check_page_sizes(p, first, second);
                }
}

/* What the second stage says of reading a table, level by level. */
static void test_tables_that_cannot_be_read(void **state)
{
        static const struct {
                uint64_t entry; /* that maps the table */
                unsigned top, below;
        } cases[] = {
                {0, 0x75, 0x76},                       /* absent */
                {FS_TABLES | SS_W | SS_A, 0x75, 0x76}, /* no read */
                {FS_TABLES | SS_R | BIT(62), 0x7a, 0x7a},
                {GUEST_MEMORY | SS_R | SS_W, 0x73, 0x70}, /* not in memory */
        };
        struct paging *p = *state;

        for (unsigned levels = 4; levels <= 5; levels++) {
                use_levels(p, levels, 4);
                for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++)
                        for (unsigned level = 0; level < levels; level++) {
                                put(p, 0, 0);
                                guest_put64(p->guest, table_entry(level), cases[i].entry);
                                assert_int_equal(paging_walk(p), level == levels - 1
                                                                         ? cases[i].top
                                                                         : cases[i].below);
                        }
        }
}

/* What is wrong in the second stage's own tables on the way to a first-stage table. */
static void test_second_stage_tables_that_are_wrong(void **state)
{
        struct paging *p = *state;

        use_levels(p, 4, 4);
        for (unsigned level = 1; level < 4; level++) {
                uint64_t entry = second_entry(NESTED_TABLES, level);

                put(p, 0, 0);
                guest_put64(p->guest, entry, 0);
                assert_int_equal(paging_walk(p), 0x75);
                guest_put64(p->guest, entry, GUEST_MEMORY | SS_TABLE);
                assert_int_equal(paging_walk(p), 0x78);
                guest_put64(p->guest, entry, SS_TABLES | SS_TABLE | SS_SNP);
                assert_int_equal(paging_walk(p), 0x7a);
        }
        p->entry.second_stage_root = GUEST_MEMORY;
        assert_int_equal(paging_walk(p), 0x7b);
}

/* Addresses that the second stage has no inputs for: of tables and of pages. */
static void test_addresses_beyond_the_second_stage(void **state)
{
        static const unsigned limits[] = {0, 0, 0, 39, 48, 52};
        struct paging *p = *state;

        for (unsigned levels = 3; levels <= 4; levels++) {
                uint64_t beyond = BIT(limits[levels]);

                use_levels(p, 4, levels);
                p->entry.first_stage_root |= beyond;
                put(p, 0, 0);
                assert_int_equal(paging_walk(p), 0x74);
                p->entry.first_stage_root &= ~beyond;
                for (unsigned level = 0; level < 4; level++) {
                        put(p, 0, 0);
                        set_bits(p, first_entry(p, level), beyond);
                        assert_int_equal(paging_walk(p), level == 0 ? 0x84 : 0x74);
                }
                /* The widths of the tables say so, not that of memory. */
                p->capabilities.host_address_bits = 38;
                assert_int_equal(paging_walk(p), 0x74);
                p->capabilities.host_address_bits = 52;
        }
        /* MGAW, when it is the narrower one. */
        use_levels(p, 4, 4);
        p->capabilities.cap &= ~(VTD_CAP_MGAW_MASK << VTD_CAP_MGAW_SHIFT);
        p->capabilities.cap |= UINT64_C(39) << VTD_CAP_MGAW_SHIFT;
        put(p, 0, 0);
        set_bits(p, first_entry(p, 0), BIT(40));
        assert_int_equal(paging_walk(p), 0x84);
        clear_bits(p, first_entry(p, 0), BIT(40));
        assert_int_equal(paging_walk(p), 0);
}

/* First-stage addresses may be wider than memory: the second stage says where they are. */
static void test_addresses_wider_than_memory(void **state)
{
        struct paging *p = *state;

        use_levels(p, 4, 4);
        p->capabilities.host_address_bits = 36;
        put(p, 0, 0);
        guest_put64(p->guest, second_entry(between(p, 0), 0), UINT64_C(0xabcdef000) | SS_PAGE);
        assert_true(between(p, 0) >> 36 != 0);
        assert_int_equal(paging_walk(p), 0);
        assert_int_equal(p->page.translated, UINT64_C(0xabcdef000));
        /* But its own outputs may not. */
        guest_put64(p->guest, second_entry(between(p, 0), 0), BIT(36) | SS_PAGE);
        assert_int_equal(paging_walk(p), 0x7a);
}

/* What the second stage says of the page itself. */
static void test_pages_that_the_second_stage_refuses(void **state)
{
        static const struct {
                uint64_t entry;
                unsigned read, write, atomic;
        } cases[] = {
                {0, 0x79, 0x79, 0x79},
                {SS_R, 0, 0x85, 0x85},
                {SS_W, 0x86, 0, 0x86},
                {SS_R | SS_W | BIT(62), 0x7a, 0x7a, 0x7a},
        };
        struct paging *p = *state;

        use_levels(p, 4, 4);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                uint64_t entry = second_entry(between(p, 0), 0);

                put(p, 0, 0);
                guest_put64(p->guest, entry, cases[i].entry);
                assert_int_equal(paging_walk_as(p, false, READ), cases[i].read);
                assert_int_equal(paging_walk_as(p, false, WRITE), cases[i].write);
                assert_int_equal(paging_walk_as(p, true, ATOMIC), cases[i].atomic);
        }
        put(p, 0, 0);
        guest_put64(p->guest, second_entry(between(p, 0), 1), GUEST_MEMORY | SS_TABLE);
        assert_int_equal(paging_walk(p), 0x78);
}

/* The rights of both stages together; the first stage is asked first. */
static void test_permissions(void **state)
{
        struct paging *p = *state;

        use_levels(p, 4, 4);
        for (unsigned first = 0; first < 4; first++)
                for (unsigned second = 1; second < 4; second++)
                        for (unsigned access = READ; access <= ATOMIC; access++) {
                                bool rw = first & 1, us = first & 2;
                                unsigned expected = 0;

                                put(p, 0, 0);
                                if (!rw)
                                        clear_bits(p, first_entry(p, 0), FS_RW);
                                if (!us)
                                        clear_bits(p, first_entry(p, 0), FS_US);
                                guest_put64(p->guest, second_entry(between(p, 0), 0), second);
                                if (!us)
                                        expected = 0x81;
                                else if ((access & WRITE) && (!rw || !(second & SS_W)))
                                        expected = 0x85;
                                else if ((access & READ) && !(second & SS_R))
                                        expected = 0x86;
                                assert_int_equal(paging_walk_as(p, false, access), expected);
                                if (expected)
                                        continue;
                                assert_int_equal(p->page.user, (READ | (rw ? WRITE : 0)) & second);
                                assert_int_equal(p->page.supervisor, second);
                        }
}

/* Updates of first-stage entries are writes to memory, and the second stage may forbid them. */
static void test_updates_of_first_stage_entries(void **state)
{
        struct paging *p = *state;

        for (unsigned level = 0; level < 4; level++) {
                use_levels(p, 4, 4);
                put(p, 0, 0);
                clear_bits(p, table_entry(level), SS_W);
                assert_int_equal(paging_walk(p), 0); /* there is nothing to be written */
                clear_bits(p, first_entry(p, level), FS_A);
                assert_int_equal(paging_walk(p), 0x77);
                assert_int_equal(p->guest->exchanges, 0);
                p->entry.page_walk_snoop = false;
                assert_int_equal(paging_walk(p), 0x90);
                p->entry.page_walk_snoop = true;
                set_bits(p, table_entry(level), SS_W);
                p->guest->no_exchange = true;
                assert_int_equal(paging_walk(p), 0x91);
                p->guest->no_exchange = false;
                p->guest->exchanges = 0;
                assert_int_equal(paging_walk(p), 0);
                assert_int_equal(p->guest->exchanges, 1);
                assert_true(has_bits(p, first_entry(p, level), FS_A));
                /* What is wrong with the entry is found before it is to be written. */
                clear_bits(p, table_entry(level), SS_W);
                guest_put64(p->guest, first_entry(p, level), 0);
                assert_int_equal(paging_walk(p), 0x71);
        }
}

/* D of both stages: without it a page allows no write that is not walked for. */
static void test_dirty_bits_of_both_stages(void **state)
{
        struct paging *p = *state;

        use_levels(p, 4, 4);
        p->entry.second_stage_dirty = true;
        for (unsigned dirty = 0; dirty < 4; dirty++) {
                uint64_t first, second;

                put(p, 0, 0);
                first = first_entry(p, 0);
                second = second_entry(between(p, 0), 0);
                clear_bits(p, first, dirty & 1 ? 0 : FS_D);
                clear_bits(p, second, dirty & 2 ? 0 : SS_D);
                assert_int_equal(paging_walk_as(p, false, READ), 0);
                assert_int_equal(p->page.user, dirty == 3 ? READ | WRITE : READ);
                assert_int_equal(p->page.supervisor, p->page.user);
                assert_int_equal(p->guest->exchanges, 0);
                assert_int_equal(paging_walk_as(p, false, WRITE), 0);
                assert_int_equal(p->page.user, READ | WRITE);
                assert_true(has_bits(p, first, FS_D));
                assert_true(has_bits(p, second, SS_D));
                assert_int_equal(p->guest->exchanges, !(dirty & 1) + !(dirty & 2));
        }
}

/* Takes A and D from every second-stage entry that the request uses. */
static void clear_second_stage(struct paging *p)
{
        for (unsigned level = 0; level < 4; level++) {
                clear_bits(p, second_entry(NESTED_TABLES, level), SS_A | SS_D);
                clear_bits(p, table_entry(level), SS_A | SS_D);
                clear_bits(p, second_entry(between(p, 0), level), SS_A | SS_D);
        }
}

static void assert_second_stage_accessed(const struct paging *p)
{
        for (unsigned level = 0; level < 4; level++) {
                assert_true(has_bits(p, second_entry(NESTED_TABLES, level), SS_A));
                assert_true(has_bits(p, table_entry(level), SS_A));
                assert_true(has_bits(p, second_entry(between(p, 0), level), SS_A));
        }
}

/* With SSADE, A is set in all second-stage entries used, D where memory was written. */
static void test_second_stage_bits(void **state)
{
        struct paging *p = *state;

        use_levels(p, 4, 4);
        p->entry.second_stage_dirty = true;
        put(p, 0, 0);
        clear_second_stage(p);
        assert_int_equal(paging_walk(p), 0);
        assert_second_stage_accessed(p);
        /* From the top: what tables and page share, each one's own twice, four tables and a page. */
        assert_int_equal(p->guest->exchanges, 1 + 2 + 2 + 4 + 1);
        for (unsigned level = 0; level < 4; level++)
                assert_false(has_bits(p, table_entry(level), SS_D));
        assert_false(has_bits(p, second_entry(between(p, 0), 0), SS_D));
        /* One first-stage entry is written: so is the page that holds it, and no other. */
        for (unsigned updated = 0; updated < 4; updated++) {
                put(p, 0, 0);
                clear_second_stage(p);
                clear_bits(p, first_entry(p, updated), FS_A);
                assert_int_equal(paging_walk(p), 0);
                assert_second_stage_accessed(p);
                for (unsigned level = 0; level < 4; level++)
                        assert_int_equal(has_bits(p, table_entry(level), SS_D), level == updated);
                assert_false(has_bits(p, second_entry(between(p, 0), 0), SS_D));
        }
        /* The request's own write. */
        put(p, 0, 0);
        clear_second_stage(p);
        assert_int_equal(paging_walk_as(p, false, WRITE), 0);
        for (unsigned level = 0; level < 4; level++)
                assert_false(has_bits(p, table_entry(level), SS_D));
        assert_true(has_bits(p, second_entry(between(p, 0), 0), SS_D));
        p->guest->exchanges = 0;
        assert_int_equal(paging_walk(p), 0);
        assert_int_equal(p->guest->exchanges, 0);
}

/* Reasons of the second stage's own bits are the same on the way to a table. */
static void test_second_stage_bits_that_cannot_be_set(void **state)
{
        struct paging *p = *state;

        use_levels(p, 4, 4);
        p->entry.second_stage_dirty = true;
        for (unsigned level = 0; level < 4; level++) {
                put(p, 0, 0);
                clear_bits(p, table_entry(level), SS_A);
                p->entry.page_walk_snoop = false;
                assert_int_equal(paging_walk(p), 0x7c);
                p->entry.page_walk_snoop = true;
                p->guest->no_exchange = true;
                assert_int_equal(paging_walk(p), 0x7d);
                p->guest->no_exchange = false;
        }
        put(p, 0, 0);
        clear_bits(p, second_entry(between(p, 0), 0), SS_D);
        p->entry.page_walk_snoop = false;
        assert_int_equal(paging_walk_as(p, false, READ), 0);
        assert_int_equal(paging_walk_as(p, false, WRITE), 0x7c);
}

/* Nothing is reserved of the address bits, the rest is as without a second stage. */
static void test_reserved_bits_of_the_first_stage(void **state)
{
        struct paging *p = *state;

        use_levels(p, 4, 4);
        for (unsigned first = 1; first < 3; first++) {
                put(p, first, 0);
                set_bits(p, first_entry(p, first), BIT(13));
                assert_int_equal(paging_walk(p), 0x72);
        }
        put(p, 0, 0);
        set_bits(p, first_entry(p, 3), FS_PS);
        assert_int_equal(paging_walk(p), 0x72);
        put(p, 2, 0);
        p->capabilities.cap &= ~VTD_CAP_FS1GP;
        assert_int_equal(paging_walk(p), 0x72);
}

/* Only what comes out of both stages must not be in the interrupt range. */
static void test_output_in_interrupt_range(void **state)
{
        struct paging *p = *state;

        use_levels(p, 4, 4);
        put(p, 0, 0);
        guest_put64(p->guest, first_entry(p, 0), UINT64_C(0xfee45000) | FS_PAGE);
        put_second(p, 0xfee45000, 0, UINT64_C(0x12345000) | SS_PAGE);
        assert_int_equal(paging_walk(p), 0);
        assert_int_equal(p->page.translated, 0x12345000);
        guest_put64(p->guest, second_entry(0xfee45000, 0), UINT64_C(0xfee45000) | SS_PAGE);
        assert_int_equal(paging_walk(p), 0x87);
        /* 2 MiB in both stages, of which half is memory. */
        put(p, 1, 1);
        p->request.address |= 0x1ff000;
        guest_put64(p->guest, second_entry(between(p, 1), 1),
                    UINT64_C(0xfee00000) | SS_PAGE | SS_PS);
        put_first(p, 1, first_value(p, 1));
        assert_int_equal(paging_walk(p), 0);
        assert_int_equal(p->page.translated, 0xfefff000);
        assert_int_equal(p->page.shift, 12);
        p->request.address &= ~UINT64_C(0x100000);
        assert_int_equal(paging_walk(p), 0x87);
}

/* Rewrites the entry behind each read of it. */
static void rewrite_first(struct guest *guest, uint64_t gpa)
{
        if (gpa >= FS_TABLES && gpa < FS_TABLES + VTD_PAGE_SIZE)
                guest_put64(guest, gpa, guest_get64(guest, gpa) ^ BIT(52));
}

static void rewrite_second(struct guest *guest, uint64_t gpa)
{
        if (gpa >= SS_TABLES && gpa < SS_TABLES + VTD_PAGE_SIZE)
                guest_put64(guest, gpa, guest_get64(guest, gpa) ^ BIT(52));
}

static void test_endless_changes(void **state)
{
        struct paging *p = *state;

        use_levels(p, 4, 4);
        put(p, 0, 0);
        clear_bits(p, first_entry(p, 0), FS_A);
        p->guest->after_read = rewrite_first;
        assert_int_equal(paging_walk(p), 0x91);
        /* Four tables, each behind four entries, and each try asks the second stage again. */
        assert_int_equal(p->guest->reads, 4 * 5 + (VTD_ENTRY_TRIES - 1) + VTD_ENTRY_TRIES * 4);
        p->entry.second_stage_dirty = true;
        put(p, 0, 0);
        clear_bits(p, table_entry(3), SS_A);
        p->guest->after_read = rewrite_second;
        assert_int_equal(paging_walk(p), 0x7d);
        assert_int_equal(p->guest->reads, 3 + VTD_ENTRY_TRIES);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                PAGING_TEST(test_page_sizes),
                PAGING_TEST(test_tables_that_cannot_be_read),
                PAGING_TEST(test_second_stage_tables_that_are_wrong),
                PAGING_TEST(test_addresses_beyond_the_second_stage),
                PAGING_TEST(test_addresses_wider_than_memory),
                PAGING_TEST(test_pages_that_the_second_stage_refuses),
                PAGING_TEST(test_permissions),
                PAGING_TEST(test_updates_of_first_stage_entries),
                PAGING_TEST(test_dirty_bits_of_both_stages),
                PAGING_TEST(test_second_stage_bits),
                PAGING_TEST(test_second_stage_bits_that_cannot_be_set),
                PAGING_TEST(test_reserved_bits_of_the_first_stage),
                PAGING_TEST(test_output_in_interrupt_range),
                PAGING_TEST(test_endless_changes),
        };

        return cmocka_run_group_tests_name("frontend-paging-nested", tests, NULL, NULL);
}
