/* SPDX-License-Identifier: MIT */
/* See builder.h. */
#include "tests/diff/builder.h"

#include <string.h>

/* Paging entries. */
#define FIRST_STAGE_TABLE  UINT64_C(0x7) /* P, R/W, U/S */
#define FIRST_STAGE_LEAF   UINT64_C(0x7)
#define SECOND_STAGE_ENTRY UINT64_C(0x3) /* R, W */
#define PAGE_SIZE_BIT      UINT64_C(0x80)

#define LEVEL_BITS 9u

/* Descriptors. */
#define CONTEXT_GLOBAL UINT64_C(0x11)
#define IOTLB_GLOBAL   UINT64_C(0x12)
#define IOTLB_DOMAIN   UINT64_C(0x22)
#define IOTLB_PAGE     UINT64_C(0x32)
#define PIOTLB_ALL     UINT64_C(0x26)
#define PIOTLB_PAGE    UINT64_C(0x36)
#define PASID_DOMAIN   UINT64_C(0x07)
#define PASID_ONE      UINT64_C(0x17)
#define PASID_GLOBAL   UINT64_C(0x37)
#define WAIT_STATUS    UINT64_C(0x25)

/* xorshift64*: the state is never 0. */
static uint64_t next_random(struct builder *builder)
{
        builder->random ^= builder->random >> 12;
        builder->random ^= builder->random << 25;
        builder->random ^= builder->random >> 27;
        return builder->random * UINT64_C(0x2545f4914f6cdd1d);
}

uint64_t below(struct builder *builder, uint64_t limit)
{
        return (next_random(builder) >> 11) % limit;
}

bool once_in(struct builder *builder, uint64_t n)
{
        return below(builder, n) == 0;
}

bool has_room(const struct builder *builder, unsigned steps)
{
        return builder->program->count + steps <= DIFF_STEPS_MAX &&
               builder->next_page + 8 * (uint64_t)PAGE_BYTES <= builder->pages_end;
}

uint64_t new_page(struct builder *builder)
{
        uint64_t page = builder->next_page;

        builder->next_page += PAGE_BYTES;
        return page;
}

static struct diff_step *new_step(struct builder *builder, enum diff_kind kind, uint64_t address)
{
        struct diff_program *program = builder->program;
        struct diff_step *step;

        if (program->count == DIFF_STEPS_MAX)
                return &builder->surplus;
        step = &program->steps[program->count++];
        *step = (struct diff_step){.kind = kind, .group = builder->group, .address = address};
        return step;
}

struct diff_step *put_words(struct builder *builder, uint64_t gpa, const uint64_t *words,
                            unsigned count)
{
        struct diff_step *step = new_step(builder, DIFF_MEMORY, gpa);

        step->size = (uint8_t)count;
        memcpy(step->words, words, count * sizeof(words[0]));
        return step;
}

void put64(struct builder *builder, uint64_t gpa, uint64_t value)
{
        (void)put_words(builder, gpa, &value, 1);
}

void put_register(struct builder *builder, unsigned offset, unsigned size, uint64_t value,
                  bool unobserved)
{
        struct diff_step *step = new_step(builder, DIFF_WRITE, offset);

        step->size = (uint8_t)size;
        step->words[0] = size == 8 ? value : (uint32_t)value;
        step->unobserved = unobserved;
}

void put_read(struct builder *builder, unsigned offset, unsigned size)
{
        new_step(builder, DIFF_READ, offset)->size = (uint8_t)size;
}

struct diff_step *put_dma(struct builder *builder, unsigned device, uint64_t address,
                          uint32_t length)
{
        const bool copier = diff_devices[device].kind == DIFF_COPIER;
        struct diff_step *step;

        if (copier && length > DIFF_BUFFER_SIZE)
                length = DIFF_BUFFER_SIZE;
        step = new_step(builder,
                        !copier               ? DIFF_DMA
                        : once_in(builder, 2) ? DIFF_COPY_IN
                                              : DIFF_COPY_OUT,
                        address);
        step->device = (uint8_t)device;
        step->length = length;
        if (copier)
                step->offset = (uint16_t)below(builder, DIFF_BUFFER_SIZE - length + 1);
        return step;
}

void put_copy(struct builder *builder, unsigned device, uint64_t from, uint64_t to, uint32_t length)
{
        const uint32_t size = length < DIFF_BUFFER_SIZE ? length : DIFF_BUFFER_SIZE;
        const uint16_t offset = (uint16_t)below(builder, DIFF_BUFFER_SIZE - size + 1);

        for (unsigned i = 0; i < 2; i++) {
                struct diff_step *step = new_step(builder, i == 0 ? DIFF_COPY_IN : DIFF_COPY_OUT,
                                                  i == 0 ? from : to);

                step->device = (uint8_t)device;
                step->length = size;
                step->offset = offset;
        }
}

void put_command(struct builder *builder, uint32_t set, uint32_t clear)
{
        builder->command = (builder->command | (set & ~GCMD_SRTP)) & ~clear;
        put_register(builder, REG_GCMD, 4, builder->command | set, false);
}

void fill_pasid_entry(const struct space *space, uint64_t words[8])
{
        uint64_t width = space->levels - 2;

        memset(words, 0, 8 * sizeof(words[0]));
        /* As Linux does: the width is filled in whatever the type. */
        words[0] = 1 | width << 2 | (uint64_t)space->type << 6;
        words[1] = space->domain_id | PWSNP;
        if (space->type == SPACE_SECOND_STAGE)
                words[0] |= space->root;
        if (space->type == SPACE_FIRST_STAGE)
                words[2] = space->root;
}

void put_pasid_entry(struct builder *builder, unsigned device)
{
        const struct path *path = &builder->paths[device];
        uint64_t words[8];

        fill_pasid_entry(&builder->spaces[path->space], words);
        (void)put_words(builder, path->pasid_entry, words, 8);
}

/* The entry of the table at @level (1: pages of 4 KiB) for @address, within @table. */
static uint64_t entry_in(uint64_t table, uint64_t address, unsigned level)
{
        unsigned shift = 12 + (level - 1) * LEVEL_BITS;

        return table + (address >> shift & ((1u << LEVEL_BITS) - 1)) * 8;
}

/* The table of entries of @level for @address; makes it and those above.  0: no room. */
static uint64_t find_table(struct builder *builder, struct space *space, uint64_t address,
                           unsigned level)
{
        uint64_t table = space->root;

        for (unsigned at = space->levels; at > level; at--) {
                unsigned shift = 12 + (at - 1) * LEVEL_BITS;
                const struct node *found = NULL;
                struct node *node;

                for (unsigned i = 0; i < space->node_count; i++)
                        if (space->nodes[i].level == at - 1 &&
                            space->nodes[i].prefix == address >> shift)
                                found = &space->nodes[i];
                if (found) {
                        table = found->table;
                        continue;
                }
                if (space->node_count == NODES_MAX || !has_room(builder, 1))
                        return 0;
                node = &space->nodes[space->node_count++];
                *node = (struct node){.level = at - 1,
                                      .prefix = address >> shift,
                                      .table = new_page(builder),
                                      .parent = entry_in(table, address, at)};
                node->value = node->table | (space->type == SPACE_FIRST_STAGE ? FIRST_STAGE_TABLE
                                                                              : SECOND_STAGE_ENTRY);
                put64(builder, node->parent, node->value);
                table = node->table;
        }
        return table;
}

/* Bits that no unit looks at. */
static uint64_t ignored_bits(struct builder *builder, const struct space *space)
{
        uint64_t bits = 0;

        if (once_in(builder, 2))
                return 0;
        if (space->type == SPACE_FIRST_STAGE) {
                bits |= below(builder, 4) << 9; /* available to software */
                bits |= below(builder, 2) << 8; /* G */
                bits |= once_in(builder, 64)  ? UINT64_C(1) << (5 + below(builder, 2))
                        : once_in(builder, 2) ? UINT64_C(3) << 5 /* A and D */
                                              : 0;
                bits |= below(builder, 2048) << 52; /* available to software */
        } else {
                bits |= below(builder, 16) << 3;
                bits |= below(builder, 1024) << 52;
        }
        return bits;
}

/* An address that is not, and does not go over into, the interrupt range. */
static uint64_t choose_address(struct builder *builder, struct space *space, unsigned shift)
{
        const uint64_t size = UINT64_C(1) << shift;
        const unsigned bits = space->levels == 3 ? 39 : space->type == SPACE_FIRST_STAGE ? 47 : 48;
        uint64_t address;

        if (shift == 12 && space->mapping_count > 0 && !once_in(builder, 4))
                return space->next_address;
        do
                address = below(builder, UINT64_C(1) << (bits - shift)) << shift;
        while (address < UINT64_C(0xff000000) && address + 2 * size > UINT64_C(0xfe000000));
        if (space->type == SPACE_FIRST_STAGE && space->levels == 4 && once_in(builder, 4))
                address |= UINT64_C(0xffff800000000000);
        return address;
}

struct mapping *map_page(struct builder *builder, struct space *space, unsigned shift)
{
        struct mapping *mapping = &space->mappings[space->mapping_count];
        unsigned level = (shift - 12) / LEVEL_BITS + 1;
        uint64_t address, table;

        if (space->mapping_count == MAPPINGS_MAX || !has_room(builder, 6))
                return NULL;
        address = choose_address(builder, space, shift);
        for (unsigned i = 0; i < space->mapping_count; i++) {
                uint64_t mask =
                        UINT64_MAX
                        << (space->mappings[i].shift > shift ? space->mappings[i].shift : shift);

                if (((address ^ space->mappings[i].address) & mask) == 0)
                        return NULL;
        }
        table = find_table(builder, space, address, level);
        if (table == 0)
                return NULL;
        *mapping = (struct mapping){.address = address,
                                    .shift = shift,
                                    .entry = entry_in(table, address, level),
                                    .present = true};
        mapping->translated = DIFF_DATA & (UINT64_MAX << shift);
        if (shift == 12)
                mapping->translated += below(builder, DIFF_DATA_SIZE / PAGE_BYTES) * PAGE_BYTES;
        mapping->value = mapping->translated | ignored_bits(builder, space) |
                         (shift > 12 ? PAGE_SIZE_BIT : 0) |
                         (space->type == SPACE_FIRST_STAGE ? FIRST_STAGE_LEAF : SECOND_STAGE_ENTRY);
        put64(builder, mapping->entry, mapping->value);
        space->mapping_count++;
        space->next_address = address + (UINT64_C(1) << shift);
        return mapping;
}

void put_descriptor(struct builder *builder, uint64_t first, uint64_t second)
{
        const uint64_t words[4] = {first, second};

        put_words(builder, builder->queue + builder->tail, words, 4)->descriptor = true;
        builder->tail += 32;
        if (builder->tail == PAGE_BYTES << builder->queue_order)
                builder->tail = 0;
}

void kick(struct builder *builder, bool unobserved)
{
        put_register(builder, REG_IQT, once_in(builder, 4) ? 8 : 4, builder->tail, unobserved);
}

void put_wait(struct builder *builder)
{
        uint64_t slot = DIFF_STATUS + builder->next_status % (DIFF_STATUS_SIZE / 4) * 4;

        builder->next_status++;
        put_descriptor(builder, WAIT_STATUS | (uint64_t)builder->next_status << 32, slot);
        kick(builder, false);
}

static uint64_t with_domain(uint64_t descriptor, uint16_t domain_id)
{
        return descriptor | (uint64_t)domain_id << 16;
}

void invalidate_pages(struct builder *builder, const struct space *space, uint64_t address,
                      uint64_t order)
{
        put_descriptor(builder,
                       with_domain(space->type == SPACE_FIRST_STAGE ? PIOTLB_PAGE : IOTLB_PAGE,
                                   space->domain_id),
                       (address & ~UINT64_C(0xfff)) | order);
        put_wait(builder);
}

void invalidate_mapping(struct builder *builder, const struct space *space,
                        const struct mapping *mapping)
{
        uint64_t order = mapping->shift - 12;

        /* A larger block that begins at any page of it. */
        if (once_in(builder, 3) && order <= 16)
                order += below(builder, 3);
        switch (below(builder, space->type == SPACE_FIRST_STAGE ? 5 : 4)) {
        case 0:
                put_descriptor(builder, IOTLB_GLOBAL, 0);
                break;
        case 1:
                put_descriptor(builder, with_domain(IOTLB_DOMAIN, space->domain_id), 0);
                break;
        case 2:
                put_descriptor(builder, with_domain(IOTLB_PAGE, space->domain_id),
                               (mapping->address & ~UINT64_C(0xfff)) | order);
                break;
        case 3:
                invalidate_pages(builder, space, mapping->address, order);
                return;
        default:
                put_descriptor(builder, with_domain(PIOTLB_ALL, space->domain_id), 0);
                break;
        }
        put_wait(builder);
}

void invalidate_space(struct builder *builder, const struct space *space)
{
        switch (below(builder, 3)) {
        case 0:
                put_descriptor(builder, PASID_GLOBAL, 0);
                break;
        case 1:
                put_descriptor(builder, with_domain(PASID_DOMAIN, space->domain_id), 0);
                break;
        default:
                put_descriptor(builder, with_domain(PASID_ONE, space->domain_id), 0);
                break;
        }
        if (space->type != SPACE_SECOND_STAGE && once_in(builder, 2))
                put_descriptor(builder, with_domain(PIOTLB_ALL, space->domain_id), 0);
        else if (once_in(builder, 2))
                put_descriptor(builder, with_domain(IOTLB_DOMAIN, space->domain_id), 0);
        else
                put_descriptor(builder, IOTLB_GLOBAL, 0);
        put_wait(builder);
}

void invalidate_all(struct builder *builder)
{
        put_descriptor(builder, CONTEXT_GLOBAL, 0);
        put_descriptor(builder, PASID_GLOBAL, 0);
        put_descriptor(builder, IOTLB_GLOBAL, 0);
        put_wait(builder);
}
