/* SPDX-License-Identifier: MIT */
/* See pending.h.  Every range kept lies below 2^48, so no sum below can overflow. */
#include "frontend/pending.h"

#include <string.h>

#include "shared/checked.h"

#define ADDRESS_LIMIT (UINT64_C(1) << VTD_FIRST_STAGE_ADDRESS_BITS)

static uint64_t end_of(const struct vtd_invalidate_entry *entry)
{
        return entry->address + entry->pages * VTD_PAGE_SIZE;
}

/* True when doing @a does all that @b asks: a leaf-only invalidation keeps upper levels cached. */
static bool covers(const struct vtd_invalidate_entry *a, const struct vtd_invalidate_entry *b)
{
        return a->address <= b->address && end_of(b) <= end_of(a) && (b->leaf || !a->leaf);
}

static bool touches(const struct vtd_invalidate_entry *a, const struct vtd_invalidate_entry *b)
{
        return a->address <= end_of(b) && b->address <= end_of(a);
}

/* True when both can be one range that asks for no more than the two. */
static bool joins(const struct vtd_invalidate_entry *a, const struct vtd_invalidate_entry *b)
{
        return a->leaf == b->leaf && touches(a, b);
}

static void join(struct vtd_invalidate_entry *a, const struct vtd_invalidate_entry *b)
{
        uint64_t start = a->address < b->address ? a->address : b->address;
        uint64_t end = end_of(a) > end_of(b) ? end_of(a) : end_of(b);

        a->address = start;
        a->pages = (end - start) / VTD_PAGE_SIZE;
}

static void remove_entry(struct vtd_pending_table *table, size_t index)
{
        table->count--;
        memmove(&table->entries[index], &table->entries[index + 1],
                (table->count - index) * sizeof(table->entries[0]));
}

/* Joins two leaf-only ranges that @middle, which asks for more, lies between; false: there are none. */
static bool bridge_one(struct vtd_pending_table *table, const struct vtd_invalidate_entry *middle)
{
        struct vtd_invalidate_entry *first = NULL;

        for (size_t i = 0; i < table->count; i++) {
                struct vtd_invalidate_entry *entry = &table->entries[i];

                if (!entry->leaf || !touches(entry, middle))
                        continue;
                if (first) {
                        join(first, entry);
                        remove_entry(table, i);
                        return true;
                }
                first = entry;
        }
        return false;
}

/*
 * Leaf-only ranges with nothing between them but what is invalidated anyway become one.  Ranges of
 * one kind never touch here, so that this leaves the fewest possible.
 */
static void bridge(struct vtd_pending_table *table)
{
        size_t i = 0;

        while (i < table->count) {
                struct vtd_invalidate_entry middle = table->entries[i];

                if (!middle.leaf && bridge_one(table, &middle))
                        i = 0;
                else
                        i++;
        }
}

/* Each restart has removed an entry, so that the scans are paid for by earlier additions. */
static void insert(struct vtd_pending_table *table, struct vtd_invalidate_entry entry)
{
        size_t i = 0;

        if (table->whole)
                return;
        while (i < table->count) {
                if (covers(&table->entries[i], &entry))
                        return;
                if (covers(&entry, &table->entries[i])) {
                        remove_entry(table, i);
                } else if (joins(&table->entries[i], &entry)) {
                        join(&entry, &table->entries[i]);
                        remove_entry(table, i);
                        i = 0;
                } else {
                        i++;
                }
        }
        if (table->count == VTD_LIMIT_INVALIDATE_ENTRIES)
                bridge(table);
        if (table->count == VTD_LIMIT_INVALIDATE_ENTRIES) {
                table->whole = true;
                table->count = 0;
                return;
        }
        table->entries[table->count++] = entry;
}

static struct vtd_pending_table *find_or_create(struct vtd_pending *pending, uint64_t table)
{
        struct vtd_pending_table *found;

        for (size_t i = 0; i < pending->count; i++)
                if (pending->tables[i].table == table)
                        return &pending->tables[i];
        if (pending->count == VTD_PENDING_TABLES)
                return NULL;
        found = &pending->tables[pending->count++];
        found->table = table;
        found->whole = false;
        found->count = 0;
        return found;
}

int vtd_pending_add_block(struct vtd_pending *pending, uint64_t table, uint64_t address,
                          unsigned address_mask, bool leaf)
{
        struct vtd_pending_table *found;
        struct vtd_invalidate_entry entry = {.leaf = leaf};

        if (address_mask >= VTD_FIRST_STAGE_ADDRESS_BITS - VTD_PAGE_SHIFT ||
            address >= ADDRESS_LIMIT)
                return vtd_pending_add_whole(pending, table);
        found = find_or_create(pending, table);
        if (!found)
                return VTD_PENDING_E_FULL;
        entry.pages = UINT64_C(1) << address_mask;
        entry.address = address & ~(entry.pages * VTD_PAGE_SIZE - 1);
        insert(found, entry);
        return 0;
}

int vtd_pending_add_whole(struct vtd_pending *pending, uint64_t table)
{
        struct vtd_pending_table *found = find_or_create(pending, table);

        if (!found)
                return VTD_PENDING_E_FULL;
        found->whole = true;
        found->count = 0;
        return 0;
}

static void remove_table(struct vtd_pending *pending, size_t index)
{
        pending->count--;
        if (index != pending->count)
                pending->tables[index] = pending->tables[pending->count];
}

void vtd_pending_drop(struct vtd_pending *pending, uint64_t table)
{
        for (size_t i = 0; i < pending->count; i++) {
                if (pending->tables[i].table == table) {
                        remove_table(pending, i);
                        return;
                }
        }
}

void vtd_pending_take(struct vtd_pending *pending, struct vtd_invalidate_request *request)
{
        struct vtd_pending_table *table = &pending->tables[0];

        bridge(table);
        request->table = table->table;
        if (table->whole) {
                request->count = 1;
                request->entries[0] = (struct vtd_invalidate_entry){
                        .address = 0, .pages = VTD_INVALIDATE_ALL, .leaf = false};
        } else {
                request->count = table->count;
                memcpy(request->entries, table->entries, table->count * sizeof(table->entries[0]));
        }
        remove_table(pending, 0);
}
