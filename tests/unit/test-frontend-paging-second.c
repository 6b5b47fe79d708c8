/* SPDX-License-Identifier: MIT */
/* Second-stage tables: what they map, and the order of judgement. */
#include "tests/unit/paging-fixture.h"

#include <string.h>

/* A page of @level at an output of its own; its entry. */
static uint64_t page_value(unsigned level)
{
        static const uint64_t outputs[] = {UINT64_C(0x123456789a000), UINT64_C(0x2345678a00000),
                                           UINT64_C(0x6789ac0000000)};

        return outputs[level] | SS_PAGE | (level > 0 ? SS_PS : 0);
}

/* The chain for the request. */
static void put(struct paging *p, unsigned level, uint64_t value)
{
        put_second(p, p->request.address, level, value);
}

static uint64_t entry_at(const struct paging *p, unsigned level)
{
        return second_entry(p->request.address, level);
}

static void test_page_sizes(void **state)
{
        struct paging *p = *state;

        for (unsigned levels = 3; levels <= 5; levels++) {
                p->request.address = PAGING_ADDRESS | BIT(55);
                use_second_stage(p, levels);
                for (unsigned level = 0; level < 3; level++) {
                        put(p, level, page_value(level));
                        p->guest->reads = 0;
                        assert_int_equal(paging_walk(p), 0);
                        assert_int_equal(p->page.shift, shift_of(level));
                        assert_int_equal(p->page.translated, page_value(level) & ~UINT64_C(0xfff));
                        assert_int_equal(p->page.user, READ | WRITE);
                        assert_int_equal(p->page.supervisor, READ | WRITE);
                        assert_int_equal(p->guest->reads, levels - level);
                }
        }
        assert_int_equal(p->guest->exchanges, 0);
}

static void set_address_width(struct paging *p, unsigned bits)
{
        p->capabilities.cap &= ~(VTD_CAP_MGAW_MASK << VTD_CAP_MGAW_SHIFT);
        p->capabilities.cap |= (uint64_t)(bits - 1) << VTD_CAP_MGAW_SHIFT;
}

/* The narrower of MGAW and AW is the limit. */
static void test_width_of_inputs(void **state)
{
        static const struct {
                unsigned levels, address_bits, limit;
        } cases[] = {
                {3, 39, 39}, {3, 48, 39}, {3, 57, 39}, {4, 39, 39}, {4, 45, 45},
                {4, 48, 48}, {4, 57, 48}, {5, 48, 48}, {5, 50, 50}, {5, 57, 57},
        };
        struct paging *p = *state;

        p->request.size = 1;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                use_second_stage(p, cases[i].levels);
                set_address_width(p, cases[i].address_bits);
                p->request.address = BIT(cases[i].limit) - 1;
                put(p, 0, page_value(0));
                assert_int_equal(paging_walk(p), 0);
                p->guest->reads = 0;
                p->request.address = BIT(cases[i].limit);
                assert_int_equal(paging_walk(p), 0x84);
                p->request.address = UINT64_MAX;
                assert_int_equal(paging_walk(p), 0x84);
                p->request.address = BIT(63);
                assert_int_equal(paging_walk(p), 0x84);
                assert_int_equal(p->guest->reads, 0);
                memset(p->guest->memory + SS_TABLES, 0, 5 * VTD_PAGE_SIZE);
        }
}

/* What is reserved, as it is published, for addresses of @bits bits. */
static uint64_t reserved_in(unsigned level, bool page, bool snoop, unsigned bits)
{
        static const uint64_t low[] = {0, UINT64_C(0x1ff000), UINT64_C(0x3ffff000)};
        uint64_t reserved = UINT64_C(0x4000000000000000);

        if (bits < 52)
                reserved |= UINT64_C(0x000fffffffffffff) & ~(BIT(bits) - 1);
        if (page)
                return reserved | low[level] | (snoop ? 0 : 0x800);
        return reserved | 0x800 | (level >= 3 ? 0x80 : 0);
}

static void check_reserved_bits(struct paging *p, unsigned level, bool page, bool snoop)
{
        static const unsigned widths[] = {40, 46, 51, 52};
        uint64_t good = page ? UINT64_C(0x8000000000) | SS_PAGE | (level > 0 ? SS_PS : 0)
                             : (SS_TABLES + (level - 1) * VTD_PAGE_SIZE) | SS_TABLE;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(widths); i++) {
                uint64_t reserved = reserved_in(level, page, snoop, widths[i]);

                p->capabilities.host_address_bits = widths[i];
                for (unsigned bit = 0; bit < 64; bit++) {
                        uint64_t value = good | BIT(bit);
                        bool is_reserved = value & reserved;

                        /* Another kind of entry, or one that refers to another table. */
                        if (!page && ((bit == 7 && level < 3) || (bit >= 12 && bit < widths[i])))
                                continue;
                        put(p, 0, page_value(0) & UINT64_C(0xffffffffff));
                        guest_put64(p->guest, entry_at(p, level), value);
                        assert_int_equal(paging_walk(p), is_reserved ? 0x7a : 0);
                        if (page && !is_reserved)
                                assert_int_equal(p->page.shift, shift_of(level));
                }
        }
}

static void check_reserved_bits_of_levels(struct paging *p, unsigned levels, bool snoop)
{
        use_second_stage(p, levels);
        for (unsigned level = 0; level < levels; level++) {
                if (level < 3)
                        check_reserved_bits(p, level, true, snoop);
                if (level > 0)
                        check_reserved_bits(p, level, false, snoop);
        }
}

static void test_reserved_bits(void **state)
{
        struct paging *p = *state;

        for (unsigned levels = 3; levels <= 5; levels++)
                check_reserved_bits_of_levels(p, levels, true);
        p->capabilities.ecap &= ~VTD_ECAP_SC;
        for (unsigned levels = 3; levels <= 5; levels++)
                check_reserved_bits_of_levels(p, levels, false);
        assert_int_equal(p->guest->exchanges, 0);
}

/* Sizes are offered one by one; without the offer, PS is a reserved bit. */
static void test_page_sizes_not_offered(void **state)
{
        static const uint64_t offers[] = {0, VTD_CAP_SSLPS_2MIB, VTD_CAP_SSLPS_1GIB};
        struct paging *p = *state;

        use_second_stage(p, 4);
        for (unsigned level = 1; level < 3; level++) {
                uint64_t cap = p->capabilities.cap;

                put(p, level, page_value(level));
                p->capabilities.cap = cap & ~offers[3 - level];
                assert_int_equal(paging_walk(p), 0);
                p->capabilities.cap = cap & ~offers[level];
                assert_int_equal(paging_walk(p), 0x7a);
                p->capabilities.cap = cap;
        }
}

/* Neither R nor W: absent, whatever else is in the entry. */
static void test_absent_entries(void **state)
{
        struct paging *p = *state;

        for (unsigned levels = 3; levels <= 5; levels++) {
                use_second_stage(p, levels);
                for (unsigned level = 0; level < levels; level++) {
                        put(p, 0, page_value(0));
                        guest_put64(p->guest, entry_at(p, level), 0);
                        assert_int_equal(paging_walk(p), 0x79);
                        guest_put64(p->guest, entry_at(p, level), ~(SS_R | SS_W));
                        assert_int_equal(paging_walk(p), 0x79);
                        assert_int_equal(paging_walk_as(p, false, WRITE), 0x79);
                        assert_int_equal(paging_walk_as(p, false, ATOMIC), 0x79);
                }
        }
}

/* Gives the entries of the chain the rights that @rights has for them, two bits from the lowest. */
static unsigned put_rights(struct paging *p, unsigned levels, unsigned rights, bool *absent)
{
        unsigned together = 3;

        *absent = false;
        put(p, 0, page_value(0));
        for (unsigned level = 0; level < levels; level++) {
                unsigned here = (rights >> (2 * level)) & 3;
                uint64_t entry = entry_at(p, level);
                uint64_t value = guest_get64(p->guest, entry) & ~(SS_R | SS_W);

                guest_put64(p->guest, entry, value | here);
                together &= here;
                *absent |= here == 0;
        }
        return together;
}

/* Rights of all levels count together, and are judged at the page: write before read. */
static void test_permissions(void **state)
{
        struct paging *p = *state;

        use_second_stage(p, 4);
        for (unsigned rights = 0; rights < 256; rights++) {
                bool absent;
                unsigned together = put_rights(p, 4, rights, &absent);

                for (unsigned access = READ; access <= ATOMIC; access++) {
                        unsigned expected = 0;

                        if (absent || together == 0)
                                expected = 0x79;
                        else if (access & ~together & WRITE)
                                expected = 0x85;
                        else if (access & ~together & READ)
                                expected = 0x86;
                        assert_int_equal(paging_walk_as(p, false, access), expected);
                        assert_int_equal(paging_walk_as(p, true, access), expected);
                        if (expected)
                                continue;
                        assert_int_equal(p->page.user, together);
                        assert_int_equal(p->page.supervisor, together);
                }
        }
        assert_int_equal(p->guest->exchanges, 0);
}

/* Rights that are missing above are missed only at the page: what is wrong below comes first. */
static void test_order_of_judgement(void **state)
{
        struct paging *p = *state;

        use_second_stage(p, 4);
        p->request.access = WRITE;
        p->capabilities.host_address_bits = 51;
        for (unsigned above = 1; above < 4; above++) {
                uint64_t table = (SS_TABLES + (above - 1) * VTD_PAGE_SIZE) | SS_R;

                put(p, 0, BIT(51));
                guest_put64(p->guest, entry_at(p, above), table);
                assert_int_equal(paging_walk(p), 0x79);
                guest_put64(p->guest, entry_at(p, 0), BIT(51) | SS_W);
                assert_int_equal(paging_walk(p), 0x7a);
                guest_put64(p->guest, entry_at(p, 0), SS_W);
                assert_int_equal(paging_walk(p), 0x79);
                guest_put64(p->guest, entry_at(p, 0), SS_R);
                assert_int_equal(paging_walk(p), 0x85);
        }
        guest_put64(p->guest, entry_at(p, 1), GUEST_MEMORY | SS_R);
        assert_int_equal(paging_walk(p), 0x78);
        p->entry.second_stage_root = GUEST_MEMORY;
        assert_int_equal(paging_walk(p), 0x7b);
        p->request.address = BIT(48);
        assert_int_equal(paging_walk(p), 0x84);
        p->request.privileged = true;
        p->entry.supervisor = false;
        assert_int_equal(paging_walk(p), 0x5d);
}

static void test_tables_outside_memory(void **state)
{
        struct paging *p = *state;

        for (unsigned levels = 3; levels <= 5; levels++) {
                use_second_stage(p, levels);
                for (unsigned level = 1; level < levels; level++) {
                        put(p, 0, page_value(0));
                        guest_put64(p->guest, entry_at(p, level), GUEST_MEMORY | SS_TABLE);
                        assert_int_equal(paging_walk(p), 0x78);
                        guest_put64(p->guest, entry_at(p, level),
                                    UINT64_C(0xffffffffff000) | SS_TABLE);
                        assert_int_equal(paging_walk(p), 0x78);
                }
                p->entry.second_stage_root = GUEST_MEMORY;
                assert_int_equal(paging_walk(p), 0x7b);
        }
}

/* SRE counts for every type of entry. */
static void test_supervisor_requests_not_enabled(void **state)
{
        struct paging *p = *state;

        use_second_stage(p, 4);
        put(p, 0, page_value(0));
        p->entry.supervisor = false;
        assert_int_equal(paging_walk_as(p, true, READ), 0x5d);
        assert_int_equal(paging_walk_as(p, false, READ), 0);
        assert_int_equal(p->page.supervisor, 0);
        assert_int_equal(p->page.user, READ | WRITE);
}

static void test_output_in_interrupt_range(void **state)
{
        static const struct {
                unsigned level;
                uint64_t output; /* of the page */
                uint64_t offset; /* of the byte in it */
                unsigned reason;
                unsigned shift;
        } cases[] = {
                {0, 0xfedff000, 0xfff, 0, 12},
                {0, 0xfee00000, 0, 0x87, 0},
                {0, 0xfef00000, 0, 0, 12},
                {1, 0xfee00000, 0xfffff, 0x87, 0},
                {1, 0xfee00000, 0x100000, 0, 12},
                {2, 0xc0000000, 0x3edfffff, 0, 21},
                {2, 0xc0000000, 0x3ee00000, 0x87, 0},
                {2, 0xc0000000, 0x3ef00000, 0, 12},
        };
        struct paging *p = *state;

        use_second_stage(p, 4);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                uint64_t output = cases[i].output + cases[i].offset;

                p->request.address =
                        (PAGING_ADDRESS & ~(BIT(shift_of(cases[i].level)) - 1)) + cases[i].offset;
                put(p, cases[i].level,
                    cases[i].output | SS_PAGE | (cases[i].level > 0 ? SS_PS : 0));
                assert_int_equal(paging_walk(p), cases[i].reason);
                if (cases[i].reason)
                        continue;
                assert_int_equal(p->page.shift, cases[i].shift);
                assert_int_equal(p->page.translated, output & ~(BIT(cases[i].shift) - 1));
        }
}

/*
 * A device that was given a block keeps to it, so it must not find the interrupt range in there: what
 * it writes to that without PASID is a message, whatever the tables say.
 */
static void test_input_around_interrupt_range(void **state)
{
        static const struct {
                unsigned level;
                uint64_t input;
                unsigned shift;
        } cases[] = {
                {2, 0xc0000000, 21}, {2, 0xfedfffff, 21}, {2, 0xfef00000, 12}, {2, 0xff000000, 21},
                {1, 0xfef00000, 12}, {1, 0xfec00000, 21}, {2, 0x80000000, 30}, {2, 0x100000000, 30},
        };
        struct paging *p = *state;

        use_second_stage(p, 4);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                unsigned shift = shift_of(cases[i].level);
                uint64_t offset = cases[i].input & (BIT(shift) - 1);

                p->request.address = cases[i].input;
                p->request.size = 1;
                put(p, cases[i].level, BIT(39) | SS_PAGE | SS_PS);
                assert_int_equal(paging_walk(p), 0);
                assert_int_equal(p->page.shift, cases[i].shift);
                assert_int_equal(p->page.translated,
                                 BIT(39) | (offset & ~(BIT(cases[i].shift) - 1)));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                PAGING_TEST(test_page_sizes),
                PAGING_TEST(test_width_of_inputs),
                PAGING_TEST(test_reserved_bits),
                PAGING_TEST(test_page_sizes_not_offered),
                PAGING_TEST(test_absent_entries),
                PAGING_TEST(test_permissions),
                PAGING_TEST(test_order_of_judgement),
                PAGING_TEST(test_tables_outside_memory),
                PAGING_TEST(test_supervisor_requests_not_enabled),
                PAGING_TEST(test_output_in_interrupt_range),
                PAGING_TEST(test_input_around_interrupt_range),
        };

        return cmocka_run_group_tests_name("frontend-paging-second", tests, NULL, NULL);
}
