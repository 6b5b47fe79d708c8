/* SPDX-License-Identifier: MIT */
/*
 * Accessed, extended-accessed and dirty bits of either stage alone: in which entries they are set,
 * that nothing else is written, and what happens when an entry changes meanwhile.
 */
#include "tests/unit/paging-fixture.h"

#include "frontend/dma/stages.h"

/* The two stages, with what is alike in them. */
static const struct stage {
        bool second;
        uint64_t table, page; /* entries that allow all, nothing of these set: */
        uint64_t accessed, dirty;
        uint64_t write; /* the right to write */
        uint64_t ignored;
        unsigned absent, denied, no_snoop, failed; /* fault reasons */
} stages[] = {
        {false, FS_P | FS_RW | FS_US, FS_P | FS_RW | FS_US, FS_A, FS_D, FS_RW, BIT(52), 0x71, 0x85,
         0x90, 0x91},
        {true, SS_R | SS_W, SS_R | SS_W, SS_A, SS_D, SS_W, BIT(52), 0x79, 0x85, 0x7c, 0x7d},
};

#define OUTPUT UINT64_C(0x123456789a000)

static uint64_t entry_at(const struct paging *p, const struct stage *stage, unsigned level)
{
        return stage->second ? second_entry(p->request.address, level) : first_entry(p, level);
}

/* A chain of four entries without any of these bits. */
static void put_clear(struct paging *p, const struct stage *stage)
{
        uint64_t tables = stage->second ? SS_TABLES : FS_TABLES;

        if (stage->second) {
                use_second_stage(p, 4);
                p->entry.second_stage_dirty = true;
        }
        for (unsigned level = 3; level > 0; level--)
                guest_put64(p->guest, entry_at(p, stage, level),
                            (tables + (level - 1) * VTD_PAGE_SIZE) | stage->table);
        guest_put64(p->guest, entry_at(p, stage, 0), OUTPUT | stage->page);
        p->guest->exchanges = 0;
}

static uint64_t get(const struct paging *p, const struct stage *stage, unsigned level)
{
        return guest_get64(p->guest, entry_at(p, stage, level));
}

static void set(struct paging *p, const struct stage *stage, unsigned level, uint64_t bits)
{
        guest_put64(p->guest, entry_at(p, stage, level), get(p, stage, level) | bits);
}

static void clear(struct paging *p, const struct stage *stage, unsigned level, uint64_t bits)
{
        guest_put64(p->guest, entry_at(p, stage, level), get(p, stage, level) & ~bits);
}

/* The entries from the top down to @level have @bits set, the others are as they were. */
static void assert_marked(const struct paging *p, const struct stage *stage, unsigned level,
                          uint64_t bits)
{
        uint64_t tables = stage->second ? SS_TABLES : FS_TABLES;

        for (unsigned i = 3; i > 0; i--)
                assert_int_equal(get(p, stage, i), (tables + (i - 1) * VTD_PAGE_SIZE) |
                                                           stage->table | (i >= level ? bits : 0));
}

/* What a walk reads again it finds marked, and writes no more. */
static void assert_settled(struct paging *p)
{
        p->guest->exchanges = 0;
        assert_int_equal(paging_walk(p), 0);
        assert_int_equal(p->guest->exchanges, 0);
}

static void test_a_read_sets_accessed(void **state)
{
        struct paging *p = *state;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(stages); i++) {
                const struct stage *stage = &stages[i];

                put_clear(p, stage);
                p->request.access = READ;
                assert_int_equal(paging_walk(p), 0);
                assert_int_equal(p->guest->exchanges, 4);
                assert_marked(p, stage, 0, stage->accessed);
                assert_int_equal(get(p, stage, 0), OUTPUT | stage->page | stage->accessed);
                /* The page allows no write that is not walked for: D is clear. */
                assert_int_equal(p->page.user, READ);
                assert_int_equal(p->page.supervisor, READ);
                assert_settled(p);
                set(p, stage, 0, stage->dirty);
                assert_settled(p);
                assert_int_equal(p->page.user, READ | WRITE);
                assert_int_equal(p->page.supervisor, READ | WRITE);
        }
}

static void test_a_write_sets_dirty_in_the_page(void **state)
{
        struct paging *p = *state;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(stages); i++)
                for (unsigned access = WRITE; access <= ATOMIC; access++) {
                        const struct stage *stage = &stages[i];

                        put_clear(p, stage);
                        p->request.access = access;
                        assert_int_equal(paging_walk(p), 0);
                        assert_int_equal(p->guest->exchanges, 4);
                        assert_marked(p, stage, 0, stage->accessed);
                        assert_int_equal(get(p, stage, 0),
                                         OUTPUT | stage->page | stage->accessed | stage->dirty);
                        assert_int_equal(p->page.user, READ | WRITE);
                        assert_settled(p);
                        p->request.access = READ;
                        assert_settled(p);
                }
}

/* Any of the entries may have its bits already: only the others are written. */
static void test_only_what_is_clear_is_written(void **state)
{
        struct paging *p = *state;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(stages); i++)
                for (unsigned marked = 0; marked < 32; marked++) {
                        const struct stage *stage = &stages[i];
                        unsigned expected = 0;

                        put_clear(p, stage);
                        p->request.access = WRITE;
                        for (unsigned level = 0; level < 4; level++)
                                if (marked & (1u << level))
                                        set(p, stage, level, stage->accessed);
                                else
                                        expected++;
                        if (marked & 16)
                                set(p, stage, 0, stage->dirty);
                        else if (marked & 1)
                                expected++;
                        assert_int_equal(paging_walk(p), 0);
                        assert_int_equal(p->guest->exchanges, expected);
                        assert_marked(p, stage, 0, stage->accessed);
                        assert_int_equal(get(p, stage, 0),
                                         OUTPUT | stage->page | stage->accessed | stage->dirty);
                }
}

/* D means nothing in an entry that refers to a table, and neither is set nor asked for there. */
static void test_large_pages_have_the_bits(void **state)
{
        struct paging *p = *state;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(stages); i++)
                for (unsigned level = 1; level < 3; level++) {
                        const struct stage *stage = &stages[i];
                        uint64_t value = UINT64_C(0x40000000) | stage->page | BIT(7);

                        put_clear(p, stage);
                        guest_put64(p->guest, entry_at(p, stage, level), value);
                        p->request.access = WRITE;
                        assert_int_equal(paging_walk(p), 0);
                        assert_int_equal(p->guest->exchanges, 4 - level);
                        assert_int_equal(get(p, stage, level),
                                         value | stage->accessed | stage->dirty);
                        assert_int_equal(
                                get(p, stage, level - 1) & (stage->accessed | stage->dirty), 0);
                        assert_settled(p);
                }
}

static void test_extended_accessed(void **state)
{
        const struct stage *stage = &stages[0];
        struct paging *p = *state;

        put_clear(p, stage);
        p->entry.extended_accessed = true;
        assert_int_equal(paging_walk(p), 0);
        assert_int_equal(p->guest->exchanges, 4);
        assert_marked(p, stage, 0, FS_A | FS_EA);
        assert_int_equal(get(p, stage, 0), OUTPUT | stage->page | FS_A | FS_EA);
        assert_settled(p);
        /* Each of the two is missed for itself. */
        clear(p, stage, 2, FS_EA);
        clear(p, stage, 1, FS_A);
        p->guest->exchanges = 0;
        assert_int_equal(paging_walk(p), 0);
        assert_int_equal(p->guest->exchanges, 2);
        assert_marked(p, stage, 0, FS_A | FS_EA);
        /* Without EAFE the bit is free. */
        for (unsigned level = 0; level < 4; level++)
                clear(p, stage, level, FS_EA);
        p->entry.extended_accessed = false;
        assert_settled(p);
        assert_marked(p, stage, 0, FS_A);
}

/* Without SSADE the bits of the second stage are free. */
static void test_second_stage_bits_not_enabled(void **state)
{
        const struct stage *stage = &stages[1];
        struct paging *p = *state;

        put_clear(p, stage);
        p->entry.second_stage_dirty = false;
        p->entry.page_walk_snoop = false;
        p->request.access = WRITE;
        assert_int_equal(paging_walk(p), 0);
        assert_int_equal(p->guest->exchanges, 0);
        assert_marked(p, stage, 0, 0);
        p->request.access = READ;
        assert_int_equal(paging_walk(p), 0);
        assert_int_equal(p->page.user, READ | WRITE);
}

/* The entries above one that faults may be marked, that one is not. */
static void test_a_fault_marks_the_entries_above(void **state)
{
        struct paging *p = *state;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(stages); i++)
                for (unsigned level = 0; level < 4; level++) {
                        const struct stage *stage = &stages[i];

                        put_clear(p, stage);
                        p->request.access = WRITE;
                        guest_put64(p->guest, entry_at(p, stage, level), BIT(60));
                        assert_int_equal(paging_walk(p), stage->absent);
                        assert_int_equal(p->guest->exchanges, 3 - level);
                        assert_int_equal(get(p, stage, level), BIT(60));
                        for (unsigned above = level + 1; above < 4; above++)
                                assert_true(get(p, stage, above) & stage->accessed);
                        for (unsigned below = 0; below < level; below++)
                                assert_false(get(p, stage, below) & stage->accessed);
                }
}

/* A page that may not be written is neither accessed nor dirty for that. */
static void test_a_denied_access_marks_no_page(void **state)
{
        struct paging *p = *state;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(stages); i++)
                for (unsigned level = 0; level < 4; level++) {
                        const struct stage *stage = &stages[i];
                        uint64_t before;

                        put_clear(p, stage);
                        p->request.access = WRITE;
                        clear(p, stage, level, stage->write);
                        before = get(p, stage, 0);
                        assert_int_equal(paging_walk(p), stage->denied);
                        assert_int_equal(p->guest->exchanges, 3);
                        assert_int_equal(get(p, stage, 0), before);
                        p->request.access = READ;
                        assert_int_equal(paging_walk(p), 0);
                        assert_int_equal(get(p, stage, 0), before | stage->accessed);
                }
}

/* PWSNP 0 forbids updates, and nothing else. */
static void test_updates_need_page_walk_snooping(void **state)
{
        struct paging *p = *state;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(stages); i++) {
                const struct stage *stage = &stages[i];

                put_clear(p, stage);
                p->entry.page_walk_snoop = false;
                p->request.access = WRITE;
                for (unsigned level = 4; level-- > 0;) {
                        assert_int_equal(paging_walk(p), stage->no_snoop);
                        set(p, stage, level, stage->accessed);
                }
                assert_int_equal(paging_walk(p), stage->no_snoop); /* for D */
                p->request.access = READ;
                assert_int_equal(paging_walk(p), 0);
                assert_int_equal(p->page.user, READ);
                set(p, stage, 0, stage->dirty);
                p->request.access = WRITE;
                assert_int_equal(paging_walk(p), 0);
                assert_int_equal(p->guest->exchanges, 0);
                /* What is wrong with the entry comes first. */
                clear(p, stage, 0, stage->accessed | stage->write);
                assert_int_equal(paging_walk(p), stage->denied);
                if (!stage->second) {
                        set(p, stage, 0, stage->accessed | stage->write);
                        p->entry.extended_accessed = true;
                        assert_int_equal(paging_walk(p), stage->no_snoop);
                }
                p->entry.extended_accessed = false;
                p->entry.page_walk_snoop = true;
        }
}

static void test_an_update_that_fails(void **state)
{
        struct paging *p = *state;

        p->guest->no_exchange = true;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(stages); i++) {
                put_clear(p, &stages[i]);
                assert_int_equal(paging_walk(p), stages[i].failed);
                assert_int_equal(p->guest->exchanges, 1);
        }
}

/* What a guest that never stops can cost. */
_Static_assert(VTD_ENTRY_TRIES <= 16, "tries multiply in nested walks");

/* What a hook changes, once or always, between the read of an entry and its update. */
struct change {
        uint64_t entry;
        uint64_t flip;
        unsigned times;
        unsigned reads; /* of the entry */
};

static void change_entry(struct guest *guest, uint64_t gpa)
{
        struct change *change = guest->hook;

        if (gpa != change->entry)
                return;
        change->reads++;
        if (change->times == 0)
                return;
        change->times--;
        guest_put64(guest, gpa, guest_get64(guest, gpa) ^ change->flip);
}

/* Flips bits of @entry behind the first @times reads of it, of which there must be @reads. */
static unsigned walk_with_change(struct paging *p, uint64_t entry, uint64_t flip, unsigned times,
                                 unsigned reads)
{
        struct change change = {.entry = entry, .flip = flip, .times = times};
        unsigned reason;

        p->guest->hook = &change;
        p->guest->after_read = change_entry;
        reason = paging_walk(p);
        p->guest->after_read = NULL;
        assert_int_equal(change.reads, reads);
        return reason;
}

/* An entry that was changed is judged anew, and the change is kept. */
static void test_a_change_before_the_update(void **state)
{
        struct paging *p = *state;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(stages); i++)
                for (unsigned level = 0; level < 4; level++) {
                        const struct stage *stage = &stages[i];
                        uint64_t entry, before;

                        put_clear(p, stage);
                        p->request.access = WRITE;
                        entry = entry_at(p, stage, level);
                        before = get(p, stage, level);
                        assert_int_equal(walk_with_change(p, entry, stage->ignored, 1, 2), 0);
                        assert_int_equal(p->guest->exchanges, 5);
                        assert_int_equal(get(p, stage, level),
                                         before | stage->ignored | stage->accessed |
                                                 (level == 0 ? stage->dirty : 0));
                        /* Another walker was faster: nothing is left to be written. */
                        put_clear(p, stage);
                        assert_int_equal(
                                walk_with_change(p, entry, stage->accessed | stage->dirty, 1, 2),
                                0);
                        assert_int_equal(p->guest->exchanges, 4);
                }
}

static void test_a_change_that_takes_the_access_away(void **state)
{
        struct paging *p = *state;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(stages); i++)
                for (unsigned level = 0; level < 4; level++) {
                        const struct stage *stage = &stages[i];
                        uint64_t entry, before;

                        put_clear(p, stage);
                        p->request.access = WRITE;
                        entry = entry_at(p, stage, level);
                        before = get(p, stage, level);
                        assert_int_equal(walk_with_change(p, entry, stage->page, 1, 2),
                                         stage->absent);
                        assert_int_equal(get(p, stage, level), before ^ stage->page);
                        put_clear(p, stage);
                        assert_int_equal(walk_with_change(p, entry, stage->write, 1, 2),
                                         stage->denied);
                        if (level == 0)
                                assert_int_equal(get(p, stage, 0), before ^ stage->write);
                }
}

/* The page that was judged last is the one that is given. */
static void test_a_change_of_the_page(void **state)
{
        struct paging *p = *state;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(stages); i++) {
                const struct stage *stage = &stages[i];

                put_clear(p, stage);
                assert_int_equal(walk_with_change(p, entry_at(p, stage, 0), BIT(20), 1, 2), 0);
                assert_int_equal(p->page.translated, OUTPUT ^ BIT(20));
                /* Without an update there is one read, and it decides. */
                assert_int_equal(walk_with_change(p, entry_at(p, stage, 0), BIT(20), 1, 1), 0);
                assert_int_equal(p->page.translated, OUTPUT ^ BIT(20));
        }
}

static void test_endless_changes(void **state)
{
        struct paging *p = *state;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(stages); i++)
                for (unsigned level = 0; level < 4; level++) {
                        const struct stage *stage = &stages[i];
                        uint64_t entry;

                        put_clear(p, stage);
                        entry = entry_at(p, stage, level);
                        assert_int_equal(walk_with_change(p, entry, stage->ignored, UINT32_MAX,
                                                          VTD_ENTRY_TRIES),
                                         stage->failed);
                        assert_false(get(p, stage, level) & stage->accessed);
                        /* One change less, and the last try succeeds. */
                        put_clear(p, stage);
                        assert_int_equal(walk_with_change(p, entry, stage->ignored,
                                                          VTD_ENTRY_TRIES - 1, VTD_ENTRY_TRIES),
                                         0);
                }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                PAGING_TEST(test_a_read_sets_accessed),
                PAGING_TEST(test_a_write_sets_dirty_in_the_page),
                PAGING_TEST(test_only_what_is_clear_is_written),
                PAGING_TEST(test_large_pages_have_the_bits),
                PAGING_TEST(test_extended_accessed),
                PAGING_TEST(test_second_stage_bits_not_enabled),
                PAGING_TEST(test_a_fault_marks_the_entries_above),
                PAGING_TEST(test_a_denied_access_marks_no_page),
                PAGING_TEST(test_updates_need_page_walk_snooping),
                PAGING_TEST(test_an_update_that_fails),
                PAGING_TEST(test_a_change_before_the_update),
                PAGING_TEST(test_a_change_that_takes_the_access_away),
                PAGING_TEST(test_a_change_of_the_page),
                PAGING_TEST(test_endless_changes),
        };

        return cmocka_run_group_tests_name("frontend-paging-marks", tests, NULL, NULL);
}
