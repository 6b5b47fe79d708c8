/* SPDX-License-Identifier: MIT */
/*
 * The small world: four requester ids, four PASIDs, three domain ids, two root tables, and paging
 * tables from a pool for each stage and level, so that the same few entries are met again and again.
 * A table never serves two levels or stages at once: what a request marks in one entry must not be
 * part of another that it reads.
 */
#include "tests/model/model.h"

#define BIT(n)  (UINT64_C(1) << (n))
#define PAGE(n) (UINT64_C(4096) * (n))

#define ROOTS               1u
#define ROOT_COUNT          2u
#define CONTEXT_TABLES      3u
#define CONTEXT_COUNT       3u
#define DIRECTORIES         6u
#define DIRECTORY_COUNT     2u
#define PASID_TABLES        8u
#define PASID_TABLE_COUNT   3u
#define FIRST_STAGE_TABLES  16u
#define SECOND_STAGE_TABLES 32u

#define OUTSIDE (MEMORY_SIZE + PAGE(5)) /* no memory */

/* Tables of each level in a stage's pool, one after the other. */
static const struct {
        unsigned first, count;
} pool[6] = {{0, 0}, {0, 4}, {4, 3}, {7, 3}, {10, 2}, {12, 1}};

static unsigned pick(struct model *model, unsigned count)
{
        return random_below(&model->random, count);
}

static bool percent(struct model *model, unsigned percent)
{
        return random_percent(&model->random, percent);
}

static uint64_t when(struct model *model, unsigned chance, uint64_t bits)
{
        return percent(model, chance) ? bits : 0;
}

uint16_t world_rid(struct model *model)
{
        /* The first three differ in bits that function masks cover. */
        static const uint16_t rids[] = {0x0008, 0x000c, 0x000e, 0x0190};

        return rids[pick(model, 4)];
}

uint32_t world_pasid(struct model *model)
{
        static const uint32_t pasids[] = {0, 1, 3, 65};

        return pasids[pick(model, 4)];
}

uint16_t world_domain_id(struct model *model)
{
        return (uint16_t)(1 + pick(model, 3));
}

/* Indices that are in use at each level; those of level 3 to 1 make the interrupt range, too. */
static unsigned index_of(struct model *model, unsigned level)
{
        static const unsigned indices[6][4] = {{0},          {0, 1, 0x100, 0}, {0, 1, 0x1f7, 0},
                                               {0, 1, 3, 0}, {0, 1, 0, 511},   {0, 0, 1, 511}};

        return indices[level][pick(model, 4)];
}

uint64_t world_address(struct model *model)
{
        uint64_t address = pick(model, 4096);

        for (unsigned level = 1; level <= 4; level++)
                address |= (uint64_t)index_of(model, level) << (12 + 9 * (level - 1));
        if (address & BIT(47) && percent(model, 90))
                address |= ~(BIT(48) - 1);
        if (percent(model, 10))
                address = (address & (BIT(48) - 1)) | (uint64_t)index_of(model, 5) << 48;
        return address;
}

static uint64_t table_of(struct model *model, unsigned base, unsigned level)
{
        return PAGE(base + pool[level].first + pick(model, pool[level].count));
}

/* Bits 51:12 that an address has, of which some are beyond what the unit offers. */
static uint64_t target(struct model *model, unsigned shift)
{
        uint64_t address = world_address(model) & (BIT(48) - 1);

        /* Most are within what both stages translate. */
        if (percent(model, 90))
                address &= BIT(39) - 1;
        return address & ~(BIT(shift) - 1);
}

static uint64_t first_stage_entry(struct model *model, unsigned level)
{
        bool leaf = level == 1 || ((level == 2 || level == 3) && percent(model, 35));
        unsigned shift = 12 + 9 * (level - 1);
        uint64_t entry = when(model, 95, BIT(0)) | when(model, 92, BIT(1)) |
                         when(model, 95, BIT(2)) | when(model, 60, BIT(5)) |
                         when(model, 50, BIT(10)) | when(model, 20, BIT(9) | BIT(63) | BIT(55));

        if (leaf && level > 1)
                entry |= BIT(7) | when(model, 10, BIT(12));
        if (leaf)
                entry |= when(model, 50, BIT(6)) | target(model, shift);
        else if (percent(model, 98))
                entry |= table_of(model, FIRST_STAGE_TABLES, level - 1);
        else
                entry |= OUTSIDE;
        if (percent(model, 1))
                entry |= leaf ? when(model, 50, BIT(51)) | (level > 1 ? BIT(14) : 0) : BIT(7);
        return entry;
}

static uint64_t second_stage_entry(struct model *model, unsigned level, unsigned index)
{
        bool leaf = level == 1 || ((level == 2 || level == 3) && percent(model, 35));
        unsigned shift = 12 + 9 * (level - 1);
        /* The first-stage tables of nested translation have to be found where they are. */
        bool identity = index == 0 && percent(model, 80);
        uint64_t entry = when(model, 97, BIT(0)) | when(model, 94, BIT(1)) |
                         when(model, 60, BIT(8)) | when(model, 20, BIT(2) | BIT(52) | BIT(10));

        if (leaf)
                entry |= when(model, 60, BIT(9)) | when(model, 5, BIT(11));
        if (leaf && level > 1)
                entry |= BIT(7);
        if (leaf && !identity)
                entry |= level == 1 && index >= FIRST_STAGE_TABLES ? PAGE(index)
                                                                   : target(model, shift);
        else if (!leaf)
                entry |= percent(model, 98) ? table_of(model, SECOND_STAGE_TABLES, level - 1)
                                            : OUTSIDE;
        if (percent(model, 1))
                entry |= leaf ? when(model, 50, BIT(62)) | (level > 1 ? BIT(14) : 0) : BIT(11);
        return entry;
}

static void change_paging_entry(struct model *model)
{
        unsigned level = 1 + pick(model, 5);
        unsigned index = index_of(model, level);

        if (percent(model, 50)) {
                memory_put(&model->memory,
                           table_of(model, FIRST_STAGE_TABLES, level) + 8 * (uint64_t)index,
                           first_stage_entry(model, level));
                return;
        }
        if (level == 1 && percent(model, 30))
                index = FIRST_STAGE_TABLES + pick(model, 13);
        memory_put(&model->memory,
                   table_of(model, SECOND_STAGE_TABLES, level) + 8 * (uint64_t)index,
                   second_stage_entry(model, level, index));
}

/* A bit that a guest's operating system takes for its own purposes, or a scan of dirty pages. */
static void clear_marks(struct model *model)
{
        unsigned level = 1 + pick(model, 3);
        bool first = percent(model, 50);
        uint64_t gpa = table_of(model, first ? FIRST_STAGE_TABLES : SECOND_STAGE_TABLES, level) +
                       8 * (uint64_t)index_of(model, level);
        uint64_t marks = first ? BIT(5) | BIT(6) | BIT(10) : BIT(8) | BIT(9), entry = 0;

        (void)memory_get(&model->memory, gpa, &entry);
        memory_put(&model->memory, gpa, entry & ~(percent(model, 50) ? marks : marks & ~BIT(5)));
}

static bool is_offered(const struct vtd_frontend_config *config, unsigned type)
{
        return type == PGTT_PASSTHROUGH || (type == PGTT_FIRST_STAGE && config->first_stage) ||
               (type == PGTT_SECOND_STAGE && config->second_stage_widths != 0) ||
               (type == PGTT_NESTED && config->nested);
}

static void change_pasid_entry(struct model *model)
{
        static const unsigned slots[] = {0, 1, 3};
        uint64_t gpa = PAGE(PASID_TABLES + pick(model, PASID_TABLE_COUNT)) +
                       64 * (uint64_t)slots[pick(model, 3)];
        unsigned width = 1 + pick(model, 3), type = 1 + pick(model, 4);
        unsigned widths = model->config.second_stage_widths;
        uint64_t words[8] = {0};
        bool five_levels = percent(model, model->config.first_stage_5level ? 25 : 1);

        /* Mostly what is offered. */
        while (widths != 0 && !(widths & 1u << width) && percent(model, 95))
                width = 1 + pick(model, 3);
        if (type == PGTT_PASSTHROUGH && percent(model, 60))
                type = PGTT_NESTED;
        while (!is_offered(&model->config, type) && percent(model, 98))
                type = 1 + pick(model, 4);
        if (percent(model, 1))
                type = pick(model, 8);
        words[0] = when(model, 97, BIT(0)) | when(model, 8, BIT(1)) | width << 2 | type << 6 |
                   when(model, model->config.second_stage_dirty ? 50 : 1, BIT(9)) |
                   table_of(model, SECOND_STAGE_TABLES, width + 2);
        words[1] = world_domain_id(model) | when(model, 85, BIT(23)) |
                   when(model, model->config.snoop_control ? 50 : 1, BIT(24));
        words[2] = when(model, model->config.supervisor_requests ? 70 : 1, BIT(0)) |
                   when(model, model->config.supervisor_requests ? 50 : 1, BIT(4)) |
                   when(model, model->config.extended_accessed ? 50 : 1, BIT(7)) |
                   when(model, 20, BIT(5)) | (five_levels ? BIT(2) : 0) |
                   table_of(model, FIRST_STAGE_TABLES, five_levels ? 5 : 4);
        if (!model->config.first_stage && percent(model, 98))
                words[2] = 0;
        if (percent(model, 1))
                words[pick(model, 8)] |= BIT(11);
        if (percent(model, 2))
                words[pick(model, 2) * 2] ^= BIT(36) * (1 + pick(model, 512));
        for (unsigned i = 0; i < 8; i++)
                memory_put(&model->memory, gpa + 8 * (uint64_t)i, words[i]);
}

static void change_directory(struct model *model)
{
        uint64_t entry = when(model, 98, BIT(0)) | when(model, 5, BIT(1)) | when(model, 1, BIT(5)) |
                         (percent(model, 99) ? PAGE(PASID_TABLES + pick(model, PASID_TABLE_COUNT))
                                             : OUTSIDE);

        memory_put(&model->memory,
                   PAGE(DIRECTORIES + pick(model, DIRECTORY_COUNT)) + 8 * (uint64_t)pick(model, 2),
                   entry);
}

static void change_context(struct model *model)
{
        uint64_t gpa = PAGE(CONTEXT_TABLES + pick(model, CONTEXT_COUNT)) +
                       32 * (uint64_t)(world_rid(model) & 0x7f);
        uint64_t first =
                when(model, 98, BIT(0)) | when(model, 5, BIT(1)) | when(model, 96, BIT(3)) |
                when(model, 10, BIT(9)) | when(model, 1, BIT(6)) |
                (percent(model, 99) ? PAGE(DIRECTORIES + pick(model, DIRECTORY_COUNT)) : OUTSIDE);

        memory_put(&model->memory, gpa, first);
        memory_put(&model->memory, gpa + 8,
                   (percent(model, 98) ? world_pasid(model) : 0x5000) |
                           (uint64_t)(percent(model, 1) ? BIT(20) : 0));
        memory_put(&model->memory, gpa + 16, percent(model, 1) ? 1 : 0);
}

static void change_root(struct model *model)
{
        static const unsigned halves[] = {0, 2, 3, 1}; /* of bus 0 and 1; the last is of no use */

        memory_put(&model->memory,
                   PAGE(ROOTS + pick(model, ROOT_COUNT)) + 8 * (uint64_t)halves[pick(model, 4)],
                   when(model, 98, BIT(0)) | when(model, 1, BIT(3)) |
                           (percent(model, 99) ? PAGE(CONTEXT_TABLES + pick(model, CONTEXT_COUNT))
                                               : OUTSIDE));
}

uint64_t world_root(struct model *model)
{
        uint64_t root = percent(model, 98) ? PAGE(ROOTS + pick(model, ROOT_COUNT)) : OUTSIDE;

        return root | (percent(model, 97) ? BIT(10) : (uint64_t)pick(model, 4) << 10);
}

void world_change(struct model *model)
{
        unsigned what = pick(model, 100);

        if (what < 66)
                change_paging_entry(model);
        else if (what < 78)
                clear_marks(model);
        else if (what < 92)
                change_pasid_entry(model);
        else if (what < 94)
                change_directory(model);
        else if (what < 98)
                change_context(model);
        else
                change_root(model);
}

void world_fill(struct model *model)
{
        for (unsigned i = 0; i < 4000; i++)
                world_change(model);
}
