/* SPDX-License-Identifier: MIT */
/* First-stage tables: what they map, the order of judgement, and what is written to them. */
#include "tests/unit/paging-fixture.h"

#include <string.h>

#define ABSENT_BITS (~FS_P) /* an entry that is not present, and all else set */

static void set_levels(struct paging *p, unsigned levels)
{
        p->entry.five_level = levels == 5;
        p->entry.first_stage_root = FS_TABLES + (levels - 1) * VTD_PAGE_SIZE;
}

/* A page of @level at an output of its own; its entry. */
static uint64_t page_value(unsigned level)
{
        static const uint64_t outputs[] = {UINT64_C(0x123456789a000), UINT64_C(0x2345678a00000),
                                           UINT64_C(0x6789ac0000000)};

        return outputs[level] | FS_PAGE | (level > 0 ? FS_PS : 0);
}

static void test_page_sizes(void **state)
{
        struct paging *p = *state;

        for (unsigned levels = 4; levels <= 5; levels++) {
                set_levels(p, levels);
                p->request.address = PAGING_ADDRESS | (levels == 5 ? BIT(55) : 0);
                for (unsigned level = 0; level < 3; level++) {
                        put_first(p, level, page_value(level));
                        p->guest->reads = 0;
                        assert_int_equal(paging_walk(p), 0);
                        assert_int_equal(p->page.shift, shift_of(level));
                        assert_int_equal(p->page.translated, page_value(level) & ~UINT64_C(0xfff));
                        assert_int_equal(p->page.user, READ | WRITE);
                        assert_int_equal(p->page.supervisor, READ | WRITE);
                        /* Every entry once. */
                        assert_int_equal(p->guest->reads, levels - level);
                }
        }
        assert_int_equal(p->guest->exchanges, 0);
}

/* The first and the last byte of a page are in it, the next one is not. */
static void test_page_edges(void **state)
{
        struct paging *p = *state;

        for (unsigned level = 0; level < 3; level++) {
                uint64_t size = UINT64_C(1) << shift_of(level);
                uint64_t base = PAGING_ADDRESS & ~(size - 1);

                p->request.address = base;
                put_first(p, level, page_value(level));
                assert_int_equal(paging_walk(p), 0);
                p->request.address = base + size - 1;
                p->request.size = 4; /* goes beyond: the verdict is on what lies in the page */
                assert_int_equal(paging_walk(p), 0);
                assert_int_equal(p->page.shift, shift_of(level));
                p->request.address = base + size;
                assert_int_equal(paging_walk(p), 0x71);
                p->request.address = base - 1;
                assert_int_equal(paging_walk(p), 0x71);
                memset(p->guest->memory + FS_TABLES, 0, 5 * VTD_PAGE_SIZE);
        }
}

static void test_canonical_addresses(void **state)
{
        static const struct {
                unsigned levels;
                uint64_t address;
                unsigned reason; /* with empty tables a canonical address is merely absent */
        } cases[] = {
                {4, 0, 0x71},
                {4, UINT64_C(0x00007fffffffffff), 0x71},
                {4, UINT64_C(0x0000800000000000), 0x80},
                {4, UINT64_C(0x0001000000000000), 0x80},
                {4, UINT64_C(0x7fffffffffffffff), 0x80},
                {4, UINT64_C(0x8000000000000000), 0x80},
                {4, UINT64_C(0xffff7fffffffffff), 0x80},
                {4, UINT64_C(0xffff800000000000), 0x71},
                {4, UINT64_MAX, 0x71},
                {5, UINT64_C(0x0000800000000000), 0x71},
                {5, UINT64_C(0x00ffffffffffffff), 0x71},
                {5, UINT64_C(0x0100000000000000), 0x80},
                {5, UINT64_C(0x8000000000000000), 0x80},
                {5, UINT64_C(0xfeffffffffffffff), 0x80},
                {5, UINT64_C(0xff00000000000000), 0x71},
                {5, UINT64_MAX, 0x71},
        };
        struct paging *p = *state;

        p->request.size = 1;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                set_levels(p, cases[i].levels);
                p->request.address = cases[i].address;
                p->guest->reads = 0;
                assert_int_equal(paging_walk(p), cases[i].reason);
                assert_int_equal(p->guest->reads, cases[i].reason == 0x71);
        }
        /* Negative addresses use the upper halves of the tables; MGAW is not their limit. */
        set_levels(p, 4);
        p->capabilities.cap &= ~(VTD_CAP_MGAW_MASK << VTD_CAP_MGAW_SHIFT);
        p->capabilities.cap |= UINT64_C(38) << VTD_CAP_MGAW_SHIFT;
        p->request.address = UINT64_C(0xffffd00000001000);
        put_first(p, 0, page_value(0));
        assert_int_equal(first_entry(p, 3) & 0xfff, 0x1a0 * 8);
        assert_int_equal(paging_walk(p), 0);
}

/* What is reserved, as it is published, for addresses of @bits bits. */
static uint64_t reserved_in(unsigned level, bool page, bool gigabyte_pages, unsigned bits)
{
        uint64_t reserved = bits < 52 ? UINT64_C(0x000fffffffffffff) & ~(BIT(bits) - 1) : 0;

        if (level >= 3)
                reserved |= 0x80;
        if (level == 2 && page)
                reserved |= UINT64_C(0x3fffe000) | (gigabyte_pages ? 0 : 0x80);
        if (level == 1 && page)
                reserved |= UINT64_C(0x1fe000);
        return reserved;
}

static void check_reserved_bits(struct paging *p, unsigned level, bool page, bool gigabyte_pages)
{
        static const unsigned widths[] = {40, 46, 51, 52};
        uint64_t good = page ? UINT64_C(0x8000000000) | FS_PAGE | (level > 0 ? FS_PS : 0)
                             : (FS_TABLES + (level - 1) * VTD_PAGE_SIZE) | FS_TABLE;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(widths); i++) {
                uint64_t reserved = reserved_in(level, page, gigabyte_pages, widths[i]);

                p->capabilities.host_address_bits = widths[i];
                for (unsigned bit = 0; bit < 64; bit++) {
                        uint64_t value = good | BIT(bit);
                        bool is_reserved = value & reserved;

                        /* Another kind of entry, or one that refers to another table. */
                        if (!page && ((bit == 7 && level < 3) || (bit >= 12 && bit < widths[i])))
                                continue;
                        put_first(p, 0, page_value(0) & UINT64_C(0xffffffffff));
                        guest_put64(p->guest, first_entry(p, level), value);
                        assert_int_equal(paging_walk(p), is_reserved ? 0x72 : 0);
                        if (page && !is_reserved)
                                assert_int_equal(p->page.shift, shift_of(level));
                }
        }
}

static void test_reserved_bits(void **state)
{
        struct paging *p = *state;

        for (unsigned levels = 4; levels <= 5; levels++) {
                set_levels(p, levels);
                for (unsigned level = 0; level < levels; level++) {
                        if (level < 3)
                                check_reserved_bits(p, level, true, true);
                        if (level > 0)
                                check_reserved_bits(p, level, false, true);
                }
        }
        p->capabilities.cap &= ~VTD_CAP_FS1GP;
        check_reserved_bits(p, 2, true, false);
        check_reserved_bits(p, 2, false, false);
        assert_int_equal(p->guest->exchanges, 0);
}

/* In a large page bit 12 belongs to the memory type, and not to the address. */
static void test_memory_type_bits(void **state)
{
        struct paging *p = *state;

        for (unsigned level = 1; level < 3; level++) {
                put_first(p, level, page_value(level) | BIT(12) | BIT(3) | BIT(4) | BIT(8));
                assert_int_equal(paging_walk(p), 0);
                assert_int_equal(p->page.translated, page_value(level) & ~UINT64_C(0xfff));
        }
}

static void test_absent_entries(void **state)
{
        struct paging *p = *state;

        for (unsigned levels = 4; levels <= 5; levels++) {
                set_levels(p, levels);
                for (unsigned level = 0; level < levels; level++) {
                        put_first(p, 0, page_value(0));
                        guest_put64(p->guest, first_entry(p, level), 0);
                        assert_int_equal(paging_walk(p), 0x71);
                        /* Whatever else is in it: also what is reserved. */
                        guest_put64(p->guest, first_entry(p, level), ABSENT_BITS);
                        assert_int_equal(paging_walk(p), 0x71);
                }
        }
}

/* A right that is missing is missed at the page, after everything that is wrong on the way to it. */
static void test_order_of_judgement(void **state)
{
        struct paging *p = *state;

        p->request.access = WRITE;
        for (unsigned above = 1; above < 4; above++) {
                uint64_t table = (FS_TABLES + (above - 1) * VTD_PAGE_SIZE) | FS_P | FS_A;

                put_first(p, 0, ABSENT_BITS);
                guest_put64(p->guest, first_entry(p, above), table);
                assert_int_equal(paging_walk(p), 0x71);
                put_first(p, 0, FS_P | BIT(51)); /* and neither R/W nor U/S of its own */
                guest_put64(p->guest, first_entry(p, above), table);
                p->capabilities.host_address_bits = 51;
                assert_int_equal(paging_walk(p), 0x72);
                p->capabilities.host_address_bits = 52;
                assert_int_equal(paging_walk(p), 0x81);
                guest_put64(p->guest, first_entry(p, above), table | FS_US);
                assert_int_equal(paging_walk(p), 0x81);
                guest_put64(p->guest, first_entry(p, 0), FS_P | FS_US);
                assert_int_equal(paging_walk(p), 0x85);
                guest_put64(p->guest, first_entry(p, 0), FS_P | FS_US | FS_RW);
                assert_int_equal(paging_walk(p), 0x85);
                guest_put64(p->guest, first_entry(p, above), table | FS_RW);
                assert_int_equal(paging_walk(p), 0x81);
        }
        /* What cannot be read comes before all of that; what is not canonical before anything. */
        guest_put64(p->guest, first_entry(p, 1), GUEST_MEMORY | FS_P);
        assert_int_equal(paging_walk(p), 0x70);
        p->entry.first_stage_root = GUEST_MEMORY;
        assert_int_equal(paging_walk(p), 0x73);
        p->request.address = BIT(47);
        assert_int_equal(paging_walk(p), 0x80);
        p->request.privileged = true;
        assert_int_equal(paging_walk(p), 0x80);
        p->entry.supervisor = false;
        p->guest->reads = 0;
        assert_int_equal(paging_walk(p), 0x5d);
        assert_int_equal(p->guest->reads, 0);
}

static void test_tables_outside_memory(void **state)
{
        struct paging *p = *state;

        for (unsigned levels = 4; levels <= 5; levels++) {
                set_levels(p, levels);
                for (unsigned level = 1; level < levels; level++) {
                        put_first(p, 0, page_value(0));
                        guest_put64(p->guest, first_entry(p, level), GUEST_MEMORY | FS_TABLE);
                        assert_int_equal(paging_walk(p), 0x70);
                        guest_put64(p->guest, first_entry(p, level),
                                    UINT64_C(0xffffffffff000) | FS_TABLE);
                        assert_int_equal(paging_walk(p), 0x70);
                }
                p->entry.first_stage_root = GUEST_MEMORY;
                assert_int_equal(paging_walk(p), 0x73);
        }
}

/* Bits of @mask, one per level, are missing of @bit in the chain. */
static void take_away(struct paging *p, unsigned mask, uint64_t bit)
{
        for (unsigned level = 0; level < 4; level++) {
                uint64_t entry = first_entry(p, level);

                if (mask & (1u << level))
                        guest_put64(p->guest, entry, guest_get64(p->guest, entry) & ~bit);
        }
}

static void check_rights(struct paging *p, bool us, bool rw)
{
        static const unsigned accesses[] = {READ, WRITE, ATOMIC};
        bool supervisor_write = rw || !p->entry.write_protect;
        unsigned user = us ? READ | (rw ? WRITE : 0) : 0;
        unsigned supervisor = READ | (supervisor_write ? WRITE : 0);

        for (size_t i = 0; i < VTD_ARRAY_SIZE(accesses); i++) {
                bool write = accesses[i] & WRITE;

                if (!us)
                        assert_int_equal(paging_walk_as(p, false, accesses[i]), 0x81);
                else if (write && !rw)
                        assert_int_equal(paging_walk_as(p, false, accesses[i]), 0x85);
                else
                        assert_int_equal(paging_walk_as(p, false, accesses[i]), 0);
                if (write && !supervisor_write) {
                        assert_int_equal(paging_walk_as(p, true, accesses[i]), 0x85);
                        continue;
                }
                assert_int_equal(paging_walk_as(p, true, accesses[i]), 0);
                assert_int_equal(p->page.user, user);
                assert_int_equal(p->page.supervisor, supervisor);
        }
}

/* R/W and U/S at any of the four levels, WPE, who asks and for what. */
static void test_permissions(void **state)
{
        struct paging *p = *state;

        for (unsigned us = 0; us < 16; us++)
                for (unsigned rw = 0; rw < 16; rw++)
                        for (unsigned protect = 0; protect < 2; protect++) {
                                p->entry.write_protect = protect;
                                put_first(p, 0, page_value(0));
                                take_away(p, us, FS_US);
                                take_away(p, rw, FS_RW);
                                check_rights(p, us == 0, rw == 0);
                        }
        assert_int_equal(p->guest->exchanges, 0);
}

static void test_supervisor_requests_not_enabled(void **state)
{
        struct paging *p = *state;

        put_first(p, 0, page_value(0));
        p->entry.supervisor = false;
        assert_int_equal(paging_walk_as(p, true, READ), 0x5d);
        assert_int_equal(paging_walk_as(p, false, READ), 0);
        assert_int_equal(p->page.supervisor, 0); /* so that nobody takes it for allowed */
}

/* Pages of the interrupt range are no memory; what lies beside it in a large page is. */
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
                {0, 0xfeeff000, 0xfff, 0x87, 0},
                {0, 0xfef00000, 0, 0, 12},
                {1, 0xfec00000, 0x1fffff, 0, 21},
                {1, 0xfee00000, 0, 0x87, 0},
                {1, 0xfee00000, 0xfffff, 0x87, 0},
                {1, 0xfee00000, 0x100000, 0, 12},
                {1, 0xfee00000, 0x1fffff, 0, 12},
                {1, 0xff000000, 0, 0, 21},
                {2, 0xc0000000, 0x3edfffff, 0, 21},
                {2, 0xc0000000, 0x3ee00000, 0x87, 0},
                {2, 0xc0000000, 0x3eefffff, 0x87, 0},
                {2, 0xc0000000, 0x3ef00000, 0, 12},
                {2, 0xc0000000, 0x3f000000, 0, 21},
                {2, 0xc0000000, 0, 0, 21},
                {2, 0x80000000, 0x3fffffff, 0, 30},
                {2, UINT64_C(0x100000000), 0, 0, 30},
                {2, UINT64_C(0x1c0000000), 0x3ee00000, 0, 30},
        };
        struct paging *p = *state;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                uint64_t output = cases[i].output + cases[i].offset;

                p->request.address =
                        (PAGING_ADDRESS & ~(BIT(shift_of(cases[i].level)) - 1)) + cases[i].offset;
                put_first(p, cases[i].level,
                          cases[i].output | FS_PAGE | (cases[i].level > 0 ? FS_PS : 0));
                assert_int_equal(paging_walk(p), cases[i].reason);
                if (cases[i].reason)
                        continue;
                assert_int_equal(p->page.shift, cases[i].shift);
                assert_int_equal(p->page.translated, output & ~(BIT(cases[i].shift) - 1));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                PAGING_TEST(test_page_sizes),
                PAGING_TEST(test_page_edges),
                PAGING_TEST(test_canonical_addresses),
                PAGING_TEST(test_reserved_bits),
                PAGING_TEST(test_memory_type_bits),
                PAGING_TEST(test_absent_entries),
                PAGING_TEST(test_order_of_judgement),
                PAGING_TEST(test_tables_outside_memory),
                PAGING_TEST(test_permissions),
                PAGING_TEST(test_supervisor_requests_not_enabled),
                PAGING_TEST(test_output_in_interrupt_range),
        };

        return cmocka_run_group_tests_name("frontend-paging-first", tests, NULL, NULL);
}
