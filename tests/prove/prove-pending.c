/* SPDX-License-Identifier: MIT */
/*
 * frontend/pending.c.  What a table asks for is looked at in one page, which is any page.  Three
 * lemmas about ranges carry its merging: what is left out because another range covers it is asked
 * for by that one; what is joined asks for what the two did, and no more; what is bridged asks for no
 * page that nothing asked for.  Then the tables, by induction from any that are sound.
 *
 * Bounds: none in the lemmas; TABLES tables of RANGES range instead of VTD_PENDING_TABLES of
 * VTD_LIMIT_INVALIDATE_ENTRIES.  Not shown: that insert() and bridge(), which apply the lemmas in
 * loops, apply them to every range; tests/unit/test-frontend-pending.c tests that.
 */
#include "tests/prove/prove.h"

#define RANGES 1u
#define TABLES 2u

#include "shared/limits.h"
#undef VTD_LIMIT_INVALIDATE_ENTRIES
#define VTD_LIMIT_INVALIDATE_ENTRIES RANGES

#include "frontend/pending.h"
#undef VTD_PENDING_TABLES
#define VTD_PENDING_TABLES TABLES

#include "frontend/pending.c"

/* How a page is asked for: everything, or its leaf entries only. */
enum strength {
        NOTHING,
        LEAF,
        EVERYTHING,
};

static bool has_page(const struct vtd_invalidate_entry *entry, uint64_t page)
{
        return page >= entry->address >> VTD_PAGE_SHIFT &&
               page - (entry->address >> VTD_PAGE_SHIFT) < entry->pages;
}

static enum strength asked(const struct vtd_invalidate_entry *entries, size_t count, uint64_t page)
{
        enum strength most = NOTHING;

        for (size_t i = 0; i < count; i++)
                if (has_page(&entries[i], page)) {
                        enum strength this = entries[i].leaf ? LEAF : EVERYTHING;

                        most = this > most ? this : most;
                }
        return most;
}

static bool is_range(const struct vtd_invalidate_entry *entry)
{
        return vtd_is_page_aligned(entry->address) && entry->pages > 0 &&
               entry->pages <= ADDRESS_LIMIT / VTD_PAGE_SIZE &&
               entry->address <= ADDRESS_LIMIT - entry->pages * VTD_PAGE_SIZE;
}

/* Ranges below 2^48, of which no two of one kind touch and none does what another does anyway. */
static bool is_sound(const struct vtd_pending_table *table)
{
        if (table->count > RANGES || (table->whole && table->count > 0))
                return false;
        for (size_t i = 0; i < table->count; i++) {
                if (!is_range(&table->entries[i]))
                        return false;
                for (size_t j = 0; j < i; j++)
                        if (joins(&table->entries[i], &table->entries[j]) ||
                            covers(&table->entries[i], &table->entries[j]) ||
                            covers(&table->entries[j], &table->entries[i]))
                                return false;
        }
        return true;
}

static struct vtd_pending_table any_table(void)
{
        struct vtd_pending_table table = {
                .table = nondet_u64(), .whole = nondet_bool(), .count = nondet_size()};

        for (size_t i = 0; i < RANGES; i++)
                table.entries[i] = (struct vtd_invalidate_entry){
                        .address = nondet_u64(), .pages = nondet_u64(), .leaf = nondet_bool()};
        ASSUME(is_sound(&table));
        return table;
}

static struct vtd_invalidate_entry any_range(void)
{
        struct vtd_invalidate_entry entry = {
                .address = nondet_u64(), .pages = nondet_u64(), .leaf = nondet_bool()};

        ASSUME(is_range(&entry));
        return entry;
}

static uint64_t any_page(void)
{
        uint64_t page = nondet_u64();

        ASSUME(page < ADDRESS_LIMIT / VTD_PAGE_SIZE);
        return page;
}

/* A range that another one covers need not be kept. */
void prove_covers(void)
{
        const struct vtd_invalidate_entry a = any_range(), b = any_range();
        const uint64_t page = any_page();

        if (covers(&a, &b))
                PROVE(asked(&a, 1, page) >= asked(&b, 1, page));
}

/* Two ranges of one kind that touch become one, which asks for what they did, page by page. */
void prove_joins(void)
{
        const struct vtd_invalidate_entry b = any_range();
        struct vtd_invalidate_entry a = any_range();
        const uint64_t page = any_page();
        enum strength one, other, both;

        if (!joins(&a, &b))
                return;
        one = asked(&a, 1, page);
        other = asked(&b, 1, page);
        join(&a, &b);
        both = asked(&a, 1, page);
        PROVE(is_range(&a));
        PROVE(both == (one > other ? one : other));
}

/* Leaf-only ranges with one that asks for more between them: no page comes in that was not asked. */
void prove_bridges(void)
{
        const struct vtd_invalidate_entry b = any_range(), middle = any_range();
        struct vtd_invalidate_entry a = any_range();
        const uint64_t page = any_page();
        bool before;

        ASSUME(a.leaf && b.leaf && !middle.leaf && touches(&a, &middle) && touches(&b, &middle));
        before = has_page(&a, page) || has_page(&b, page) || has_page(&middle, page);
        ASSUME(!has_page(&middle, page));
        join(&a, &b);
        PROVE(is_range(&a) && a.leaf);
        PROVE(has_page(&a, page) == before);
}

static bool are_tables_sound(const struct vtd_pending *pending)
{
        if (pending->count > TABLES)
                return false;
        for (size_t i = 0; i < pending->count; i++) {
                if (!is_sound(&pending->tables[i]))
                        return false;
                for (size_t j = 0; j < i; j++)
                        if (pending->tables[i].table == pending->tables[j].table)
                                return false;
        }
        return true;
}

static struct vtd_pending any_pending(void)
{
        struct vtd_pending pending = {.count = nondet_size()};

        for (size_t i = 0; i < TABLES; i++)
                pending.tables[i] = any_table();
        ASSUME(are_tables_sound(&pending));
        return pending;
}

/* What is asked of @table in @page, the whole table included. */
static enum strength asked_of(const struct vtd_pending *pending, uint64_t table, uint64_t page)
{
        for (size_t i = 0; i < pending->count; i++) {
                const struct vtd_pending_table *t = &pending->tables[i];

                if (t->table == table)
                        return t->whole ? EVERYTHING : asked(t->entries, t->count, page);
        }
        return NOTHING;
}

void prove_add_whole(void)
{
        struct vtd_pending pending = any_pending();
        const struct vtd_pending before = pending;
        const uint64_t table = nondet_u64(), other = nondet_u64(), page = any_page();

        ASSUME(other != table);
        if (vtd_pending_add_whole(&pending, table) == 0)
                PROVE(asked_of(&pending, table, page) == EVERYTHING);
        else
                PROVE(before.count == TABLES && asked_of(&before, table, page) == NOTHING);
        PROVE(are_tables_sound(&pending));
        PROVE(asked_of(&pending, other, page) == asked_of(&before, other, page));
}

/* The table is forgotten, the others are not. */
void prove_drop(void)
{
        struct vtd_pending pending = any_pending();
        const struct vtd_pending before = pending;
        const uint64_t table = nondet_u64(), other = nondet_u64(), page = any_page();

        ASSUME(other != table);
        vtd_pending_drop(&pending, table);
        PROVE(are_tables_sound(&pending));
        PROVE(asked_of(&pending, table, page) == NOTHING);
        PROVE(asked_of(&pending, other, page) == asked_of(&before, other, page));
}
