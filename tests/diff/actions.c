/* SPDX-License-Identifier: MIT */
/* See actions.h: what all actions are made of. */
#include "tests/diff/actions.h"

unsigned any_device(struct builder *builder)
{
        /* The copier is slow. */
        return once_in(builder, 6) ? DIFF_DEVICES - 1 : (unsigned)below(builder, DIFF_DEVICES - 1);
}

struct space *space_of(struct builder *builder, unsigned device)
{
        return &builder->spaces[builder->paths[device].space];
}

uint32_t any_length(struct builder *builder)
{
        switch (below(builder, 8)) {
        case 0:
                return 1 + (uint32_t)below(builder, 4);
        case 1:
                return 4096;
        case 2:
                return 1 + (uint32_t)below(builder, 6000);
        default:
                return 1 + (uint32_t)below(builder, 64);
        }
}

/* A device's address of the data in @mapping. */
uint64_t base_of(const struct mapping *mapping)
{
        return mapping->address + (mapping->shift == 30 ? DIFF_DATA : 0);
}

/* As a driver does; the record and PFO belong together. */
void clear_faults(struct builder *builder)
{
        put_register(builder, REG_FRCD + 12, 4, UINT32_C(0x80000000), true);
        put_register(builder, REG_FSTS, 4, 0x1, false);
}

/* DMA that is meant to go well. */
void use(struct builder *builder, unsigned device)
{
        const struct space *space = space_of(builder, device);
        const struct mapping *mapping;
        uint32_t length = any_length(builder);
        uint64_t size;

        if (space->type == SPACE_PASSTHROUGH) {
                (void)put_dma(builder, device, DIFF_DATA + below(builder, DIFF_DATA_SIZE - length),
                              length);
                return;
        }
        if (space->mapping_count == 0)
                return;
        mapping = &space->mappings[below(builder, space->mapping_count)];
        size = mapping->shift == 12 ? PAGE_BYTES : DIFF_DATA_SIZE;
        if (length > size)
                length = (uint32_t)size;
        /* Sometimes into what lies behind. */
        if (once_in(builder, 6))
                (void)put_dma(builder, device, base_of(mapping) + size - 1 - below(builder, length),
                              length);
        else
                (void)put_dma(builder, device, base_of(mapping) + below(builder, size - length + 1),
                              length);
}

/* Several devices, each with a record of its own should it fault. */
void use_all(struct builder *builder)
{
        for (unsigned i = 0; i < DIFF_DEVICES - 1; i++) {
                if (once_in(builder, 2))
                        continue;
                clear_faults(builder);
                use(builder, i);
        }
}
