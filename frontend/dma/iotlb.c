/* SPDX-License-Identifier: MIT */
/*
 * See iotlb.h.  An entry is: its tag, with a bit that is always set; the address of the block for
 * the device; where the block is in guest-physical memory, with what may be done there in the bits
 * that the alignment leaves.  A block is found by an address of which as many bits are cut off as its
 * size has, once for each size that is there at all.
 */
#include "frontend/dma/iotlb.h"

#include "shared/checked.h"

/* The first word. */
#define PRESENT      UINT64_C(1)
#define SIZE_SHIFT   1u /* 2 bits */
#define TYPE_SHIFT   3u /* 3 bits, the numbers of PGTT, of which bit 0 says that there is a ... */
#define FIRST_STAGE  (UINT64_C(1) << TYPE_SHIFT) /* ... first stage */
#define TYPE_MASK    (UINT64_C(7) << TYPE_SHIFT)
#define DOMAIN_SHIFT 6u
#define DOMAIN_MASK  (UINT64_C(0xffff) << DOMAIN_SHIFT)
#define PASID_SHIFT  22u
#define PASID_MASK   (UINT64_C(0xfffff) << PASID_SHIFT)

_Static_assert((VTD_PGTT_FIRST_STAGE & 1) == 1 && (VTD_PGTT_NESTED & 1) == 1 &&
                       (VTD_PGTT_SECOND_STAGE & 1) == 0,
               "bit 0 of the type tells them apart");

/* The third one. */
#define USER_MASK        UINT64_C(3)
#define SUPERVISOR_SHIFT 2u

/* 4 KiB, 2 MiB and 1 GiB, by number. */
#define SIZES            3u
#define SIZE_STEP        9u
#define SHIFT_OF(number) (VTD_PAGE_SHIFT + (number)*SIZE_STEP)

/* An invalidation of more blocks of one size looks through all entries instead. */
#define BLOCKS_LOOKED_UP 64u

static uint64_t tag_word(const struct vtd_iotlb_tag *tag, unsigned size)
{
        return PRESENT | (uint64_t)size << SIZE_SHIFT | (uint64_t)tag->type << TYPE_SHIFT |
               (uint64_t)tag->domain_id << DOMAIN_SHIFT | (uint64_t)tag->pasid << PASID_SHIFT;
}

/* The type does not count, so that an invalidation finds first-stage and nested blocks in one set. */
static uint64_t hash_of(uint64_t word, uint64_t address)
{
        return vtd_cache_hash(address >> VTD_PAGE_SHIFT, word & ~TYPE_MASK);
}

static unsigned kind_of(uint64_t word, unsigned size)
{
        return (word & FIRST_STAGE ? SIZES : 0) + size;
}

static uint64_t block_of(uint64_t address, unsigned size)
{
        return address >> SHIFT_OF(size) << SHIFT_OF(size);
}

bool vtd_iotlb_find(const struct vtd_cache *iotlb, const struct vtd_iotlb_tag *tag,
                    uint64_t address, struct vtd_page *page)
{
        uint64_t word = tag_word(tag, 0);
        uint32_t kinds = vtd_cache_kinds(iotlb) >> kind_of(word, 0);
        struct vtd_cache_entry entry;

        for (unsigned size = 0; size < SIZES && kinds >> size != 0; size++) {
                uint64_t block = block_of(address, size), sized = word | size << SIZE_SHIFT;

                if (!(kinds >> size & 1) ||
                    !vtd_cache_find(iotlb, hash_of(sized, block), sized, block, UINT64_MAX, &entry))
                        continue;
                *page = (struct vtd_page){
                        .translated = entry.words[2] & ~(VTD_PAGE_SIZE - 1),
                        .shift = SHIFT_OF(size),
                        .user = entry.words[2] & USER_MASK,
                        .supervisor = entry.words[2] >> SUPERVISOR_SHIFT & USER_MASK,
                };
                return true;
        }
        return false;
}

void vtd_iotlb_insert(struct vtd_cache *iotlb, const struct vtd_iotlb_tag *tag, uint64_t address,
                      const struct vtd_page *page, uint64_t before)
{
        unsigned size = (page->shift - VTD_PAGE_SHIFT) / SIZE_STEP;
        uint64_t word = tag_word(tag, size), block = block_of(address, size);
        const struct vtd_cache_entry entry = {
                {word, block,
                 page->translated | page->user | (uint64_t)page->supervisor << SUPERVISOR_SHIFT}};

        vtd_cache_insert(iotlb, hash_of(word, block), UINT64_MAX, kind_of(word, size), &entry,
                         before);
}

/* Addresses from first to last, both included, so that all of the address space is a range. */
struct range {
        uint64_t first, last;
};

static bool is_in_range(const struct vtd_cache_entry *entry, const void *argument)
{
        const struct range *range = argument;
        unsigned size = entry->words[0] >> SIZE_SHIFT & 3;

        return block_of(range->first, size) <= entry->words[1] && entry->words[1] <= range->last;
}

/*
 * Drops the blocks under @tag, compared where @mask has bits, that share a page with @range: those
 * of each size where they must be, or by looking at everything when there are too many.
 */
static void drop_range(struct vtd_cache *iotlb, uint64_t mask, uint64_t tag,
                       const struct range *range)
{
        const struct vtd_cache_selector selector = {
                .mask = mask, .tag = tag, .also = is_in_range, .argument = range};
        uint32_t kinds = vtd_cache_kinds_now(iotlb) >> kind_of(tag, 0);

        for (unsigned size = 0; size < SIZES; size++) {
                uint64_t block = block_of(range->first, size);
                uint64_t more = (range->last - block) >> SHIFT_OF(size);

                if (!(kinds >> size & 1))
                        continue;
                if (more >= BLOCKS_LOOKED_UP) {
                        vtd_cache_drop(iotlb, &selector);
                        return;
                }
                for (uint64_t i = 0; i <= more; i++)
                        vtd_cache_drop_at(iotlb,
                                          hash_of(tag | PRESENT | (uint64_t)size << SIZE_SHIFT,
                                                  block + (i << SHIFT_OF(size))),
                                          &selector);
        }
}

static struct range range_of(const struct vtd_descriptor *descriptor)
{
        unsigned shift = descriptor->address_mask + VTD_PAGE_SHIFT;
        uint64_t rest = shift < 64 ? (UINT64_C(1) << shift) - 1 : UINT64_MAX;

        return (struct range){.first = descriptor->address & ~rest,
                              .last = descriptor->address | rest};
}

static void invalidate_domain(struct vtd_cache *iotlb, const struct vtd_descriptor *descriptor)
{
        uint64_t domain = (uint64_t)descriptor->domain_id << DOMAIN_SHIFT;
        struct vtd_cache_selector selector = {.mask = DOMAIN_MASK, .tag = domain};
        const struct range range = range_of(descriptor);

        vtd_cache_announce(iotlb);
        if (descriptor->granularity == VTD_IOTLB_PAGE) {
                drop_range(iotlb, DOMAIN_MASK | FIRST_STAGE, domain, &range);
                selector.mask |= FIRST_STAGE;
                selector.tag |= FIRST_STAGE;
                if (vtd_cache_kinds_now(iotlb) >> kind_of(FIRST_STAGE, 0) == 0)
                        return;
        }
        vtd_cache_drop(iotlb, &selector);
}

static void invalidate_pasid(struct vtd_cache *iotlb, const struct vtd_descriptor *descriptor)
{
        const struct vtd_cache_selector selector = {
                .mask = DOMAIN_MASK | PASID_MASK | FIRST_STAGE,
                .tag = (uint64_t)descriptor->domain_id << DOMAIN_SHIFT |
                       (uint64_t)descriptor->pasid << PASID_SHIFT | FIRST_STAGE};
        const struct range range = range_of(descriptor);

        vtd_cache_announce(iotlb);
        if (descriptor->granularity == VTD_PASID_IOTLB_PAGE)
                drop_range(iotlb, selector.mask, selector.tag, &range);
        else
                vtd_cache_drop(iotlb, &selector);
}

void vtd_iotlb_invalidate(struct vtd_cache *iotlb, const struct vtd_descriptor *descriptor)
{
        if (descriptor->type == VTD_DESCRIPTOR_PASID_IOTLB)
                invalidate_pasid(iotlb, descriptor);
        else if (descriptor->granularity == VTD_IOTLB_GLOBAL)
                vtd_cache_clear(iotlb);
        else
                invalidate_domain(iotlb, descriptor);
}
