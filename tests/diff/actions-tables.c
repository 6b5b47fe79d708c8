/* SPDX-License-Identifier: MIT */
/* See actions.h: actions that change tables, and the DMA that meets them. */
#include "tests/diff/actions.h"

#include "shared/checked.h"

#define OTHER_DOMAIN 0x4000u /* which no space has, nor one with another bit */

#define NO_RAM     UINT64_C(0x8000000)
#define INTERRUPTS UINT64_C(0xfee00000)

/* Of a paging entry: often one that means something. */
static uint64_t paging_bit(struct builder *builder)
{
        static const uint8_t meaning[] = {0, 1, 2, 7, 12, 48, 51, 62};

        return UINT64_C(1) << (once_in(builder, 2)
                                       ? meaning[below(builder, VTD_ARRAY_SIZE(meaning))]
                                       : below(builder, 64));
}

/*
 * Of a pointer to a paging structure: one with which it leads out of the tables' area.  What walks
 * set there would be found by walks of other tables.
 */
static uint64_t pointer_bit(struct builder *builder)
{
        return UINT64_C(1) << (20 + below(builder, 28));
}

void do_map(struct builder *builder)
{
        unsigned device = any_device(builder);
        struct space *space = space_of(builder, device);
        const struct mapping *mapping;

        if (space->type == SPACE_PASSTHROUGH)
                return;
        mapping = map_page(builder, space, once_in(builder, 6) ? 21 : 12);
        if (mapping)
                (void)put_dma(builder, device, base_of(mapping) + below(builder, 64),
                              1 + (uint32_t)below(builder, 64));
}

/* Another value for an entry, for a while. */
void do_change_mapping(struct builder *builder)
{
        unsigned device = any_device(builder);
        struct space *space = space_of(builder, device);
        struct mapping *mapping;
        uint64_t value;

        if (space->type == SPACE_PASSTHROUGH || space->mapping_count == 0)
                return;
        mapping = &space->mappings[below(builder, space->mapping_count)];
        clear_faults(builder);
        switch (below(builder, 4)) {
        case 0: /* unmapped */
                value = once_in(builder, 2) ? 0 : mapping->value & ~UINT64_C(3);
                break;
        case 1: /* read-only */
                value = mapping->value & ~UINT64_C(2);
                break;
        case 2: /* elsewhere: in RAM, where there is none, or where interrupts are */
                value = mapping->value;
                if (mapping->shift == 12 && !once_in(builder, 4))
                        value ^= below(builder, DIFF_DATA_SIZE / PAGE_BYTES) * PAGE_BYTES;
                else
                        value = (value & ~(mapping->translated)) |
                                ((once_in(builder, mapping->shift == 30 ? 16 : 2) ? INTERRUPTS
                                                                                  : NO_RAM) &
                                 UINT64_MAX << mapping->shift);
                break;
        default: /* one bit is another */
                value = mapping->value ^ paging_bit(builder);
                /* SNP, without snoop control (deviation 34). */
                if (space->type == SPACE_SECOND_STAGE && !once_in(builder, 16))
                        value &= ~UINT64_C(0x800);
                break;
        }
        put64(builder, mapping->entry, value);
        invalidate_mapping(builder, space, mapping);
        (void)put_dma(builder, device, base_of(mapping) + 8, 1 + (uint32_t)below(builder, 64));
        if (once_in(builder, 3))
                use_all(builder);
        clear_faults(builder);
        put64(builder, mapping->entry, mapping->value);
        invalidate_mapping(builder, space, mapping);
        use(builder, device);
}

/*
 * All pages of a block that are mapped go elsewhere; then one invalidation names the block, by any
 * page of it.
 */
void do_change_block(struct builder *builder)
{
        unsigned device = any_device(builder);
        struct space *space = space_of(builder, device);
        uint64_t order = 1 + below(builder, 4), pages = (UINT64_C(1) << order) - 1, base;
        const struct mapping *changed[MAPPINGS_MAX];
        unsigned count = 0;

        if (space->type == SPACE_PASSTHROUGH || space->mapping_count == 0 || !has_room(builder, 80))
                return;
        base = space->mappings[below(builder, space->mapping_count)].address >> 12 & ~pages;
        for (unsigned i = 0; i < space->mapping_count; i++)
                if (space->mappings[i].shift == 12 &&
                    (space->mappings[i].address >> 12 & ~pages) == base)
                        changed[count++] = &space->mappings[i];
        for (unsigned i = 0; i < count; i++)
                (void)put_dma(builder, device, changed[i]->address, 8);
        for (unsigned i = 0; i < count; i++)
                put64(builder, changed[i]->entry, changed[i]->value ^ PAGE_BYTES);
        invalidate_pages(builder, space, (base | below(builder, pages + 1)) << 12, order);
        for (unsigned i = 0; i < count; i++)
                (void)put_dma(builder, device, changed[i]->address, 8);
        for (unsigned i = 0; i < count; i++)
                put64(builder, changed[i]->entry, changed[i]->value);
        invalidate_pages(builder, space, base << 12, order);
        use(builder, device);
}

void do_break_table(struct builder *builder)
{
        unsigned device = any_device(builder);
        struct space *space = space_of(builder, device);
        const struct node *node;
        uint64_t bit;

        if (space->type == SPACE_PASSTHROUGH || space->node_count == 0)
                return;
        node = &space->nodes[below(builder, space->node_count)];
        bit = paging_bit(builder);
        if (bit >> 12 != 0 && bit >> 20 == 0)
                bit = pointer_bit(builder);
        clear_faults(builder);
        put64(builder, node->parent, once_in(builder, 4) ? 0 : node->value ^ bit);
        put_descriptor(builder, UINT64_C(0x22) | (uint64_t)space->domain_id << 16, 0);
        put_wait(builder);
        use(builder, device);
        clear_faults(builder);
        put64(builder, node->parent, node->value);
        put_descriptor(builder, UINT64_C(0x22) | (uint64_t)space->domain_id << 16, 0);
        put_wait(builder);
        use(builder, device);
}

/*
 * A bit of one of the entries on a device's way to be broken.  Those that QEMU does not check
 * (deviation 3) are rarely chosen, because programs end there.
 */
static uint64_t any_bit(struct builder *builder, bool checked)
{
        static const uint8_t others[] = {0, 1};
        unsigned bit = (unsigned)below(builder, 64);

        if (!checked && ((bit > 1 && bit < 12) || bit >= 48) && !once_in(builder, 16))
                bit = others[below(builder, VTD_ARRAY_SIZE(others))];
        return UINT64_C(1) << bit;
}

/* PRE, PASIDE, DTE and RID_PRIV are of deviation 3 too; QEMU has no RID_PASID. */
static uint64_t context_bit(struct builder *builder, unsigned word)
{
        unsigned bit = (unsigned)below(builder, 64);

        if (word == 0 && bit >= 2 && bit <= 4 && !once_in(builder, 16))
                bit = 0;
        if (word == 1 && bit < 21)
                bit += 21;
        return UINT64_C(1) << bit;
}

/*
 * An entry of which one bit is another.  It is in a domain of its own: with that of its space, what
 * is cached for other devices of the space might be used for it.
 */
static void break_pasid_entry(struct builder *builder, unsigned device)
{
        static const uint8_t checked[] = {0, 0, 1, 6, 7, 8, 2, 3, 4};
        const struct space *space = space_of(builder, device);
        size_t choices = VTD_ARRAY_SIZE(checked);
        struct space broken = *space;
        uint64_t words[8];

        /* The width counts in second-stage entries; else it is deviation 5. */
        if (space->type != SPACE_SECOND_STAGE && !once_in(builder, 16))
                choices -= 3;
        broken.domain_id = OTHER_DOMAIN;
        fill_pasid_entry(&broken, words);
        if (once_in(builder, 24)) /* deviation 6 */
                words[1] ^= PWSNP;
        else if (once_in(builder, 24)) /* deviation 3 */
                words[below(builder, 8)] ^= UINT64_C(1) << below(builder, 64);
        else if (once_in(builder, 4))
                words[space->type == SPACE_FIRST_STAGE ? 2 : 0] ^= pointer_bit(builder);
        else
                words[0] ^= UINT64_C(1) << checked[below(builder, choices)];
        (void)put_words(builder, builder->paths[device].pasid_entry, words, 8);
}

void do_break_path(struct builder *builder)
{
        unsigned device = any_device(builder), word = 0;
        const struct path *path = &builder->paths[device];
        uint64_t entry = path->pasid_entry, value = 0;
        /* FPD, which suppresses some of the faults. */
        uint64_t context = path->context_value | (once_in(builder, 3) ? 0x2 : 0);

        clear_faults(builder);
        put64(builder, path->context_entry, context);
        switch (below(builder, 4)) {
        case 0:
                entry = path->root_entry;
                value = path->root_value;
                put64(builder, entry, value ^ any_bit(builder, true));
                break;
        case 1:
                word = once_in(builder, 4) ? (unsigned)below(builder, 4) : 0;
                entry = path->context_entry + word * 8;
                value = word == 0 ? context : 0;
                put64(builder, entry, value ^ context_bit(builder, word));
                break;
        case 2:
                entry = path->directory_entry;
                value = path->directory_value;
                put64(builder, entry, value ^ any_bit(builder, false));
                break;
        default:
                break_pasid_entry(builder, device);
                break;
        }
        invalidate_all(builder);
        use(builder, device);
        if (once_in(builder, 3))
                use_all(builder);
        clear_faults(builder);
        if (entry == path->pasid_entry)
                put_pasid_entry(builder, device);
        else
                put64(builder, entry, value);
        put64(builder, path->context_entry, path->context_value);
        invalidate_all(builder);
        use(builder, device);
}

/* What the copier reads is seen where it writes it to. */
void do_copy(struct builder *builder)
{
        unsigned device = DIFF_DEVICES - 1;
        struct space *space = space_of(builder, device);
        struct mapping *from, *to;
        uint32_t length = any_length(builder);
        bool read_only = once_in(builder, 8);

        if (space->type == SPACE_PASSTHROUGH) {
                put_copy(builder, device, DIFF_DATA, DIFF_DATA + DIFF_DATA_SIZE / 2, length);
                return;
        }
        if (space->mapping_count == 0)
                return;
        from = &space->mappings[below(builder, space->mapping_count)];
        to = &space->mappings[below(builder, space->mapping_count)];
        if (read_only) {
                put64(builder, from->entry, from->value & ~UINT64_C(2));
                invalidate_mapping(builder, space, from);
        }
        /* Words to be found again. */
        for (unsigned i = 0; i < 4; i++)
                put64(builder, (from->translated | DIFF_DATA) + i * 8,
                      (uint64_t)builder->program->count << 32 | i);
        put_copy(builder, device, base_of(from), base_of(to), length);
        if (!read_only)
                return;
        clear_faults(builder);
        put64(builder, from->entry, from->value);
        invalidate_mapping(builder, space, from);
}

/* An entry is changed and not invalidated at once.  Its accessed and dirty bits are set already. */
void do_stale(struct builder *builder)
{
        const uint64_t used = 0x60;
        unsigned device = (unsigned)below(builder, DIFF_DEVICES - 1);
        struct space *space = space_of(builder, device);
        uint64_t offset = below(builder, PAGE_BYTES - 64), value, to;
        const struct mapping *mapping;
        struct diff_step *step;

        if (space->type == SPACE_PASSTHROUGH || space->mapping_count == 0)
                return;
        mapping = &space->mappings[below(builder, space->mapping_count)];
        to = DIFF_DATA + below(builder, DIFF_DATA_SIZE / PAGE_BYTES) * PAGE_BYTES;
        if (mapping->shift != 12 || to == mapping->translated)
                return;
        value = mapping->value | (space->type == SPACE_FIRST_STAGE ? used : 0);
        put64(builder, mapping->entry, value);
        invalidate_mapping(builder, space, mapping);
        if (!once_in(builder, 4))
                (void)put_dma(builder, device, mapping->address, 8);
        put64(builder, mapping->entry, (value & ~mapping->translated) | to);
        step = put_dma(builder, device, mapping->address + offset,
                       1 + (uint32_t)below(builder, 64));
        step->stale = true;
        step->words[0] = mapping->translated + offset;
        step->words[1] = to + offset;
        invalidate_mapping(builder, space, mapping);
        (void)put_dma(builder, device, mapping->address + offset, 8);
        put64(builder, mapping->entry, mapping->value);
        invalidate_mapping(builder, space, mapping);
}

void do_message(struct builder *builder)
{
        const uint64_t nobody = 0x7f000; /* a CPU that there is not */

        (void)put_dma(builder, (unsigned)below(builder, DIFF_DEVICES - 1),
                      INTERRUPTS | nobody | below(builder, 1024) << 2, 4);
}

void do_fault(struct builder *builder)
{
        unsigned device = any_device(builder);
        const struct space *space = space_of(builder, device);

        if (space->type == SPACE_PASSTHROUGH && !once_in(builder, 16))
                return;
        /* Far from what is mapped, mostly; and no interrupt. */
        (void)put_dma(builder, device,
                      (UINT64_C(1) << (33 + below(builder, 31))) + below(builder, 8192),
                      1 + (uint32_t)below(builder, 64));
        if (space->type == SPACE_PASSTHROUGH || !once_in(builder, 4))
                clear_faults(builder);
}

void do_switch(struct builder *builder)
{
        unsigned device = any_device(builder);
        struct path *path = &builder->paths[device];
        unsigned from = path->space;
        unsigned to = (unsigned)below(builder, SPACES);

        /* All that share the directory follow. */
        for (unsigned i = 0; i < DIFF_DEVICES; i++)
                if (builder->paths[i].pasid_entry == path->pasid_entry)
                        builder->paths[i].space = to;
        put_pasid_entry(builder, device);
        /* QEMU ends pass-through only then (deviation 31), which would end the program. */
        if (builder->spaces[from].type == SPACE_PASSTHROUGH)
                put_descriptor(builder, 0x11, 0);
        invalidate_space(builder, &builder->spaces[from]);
        use(builder, device);
}
