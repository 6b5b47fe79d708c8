/* SPDX-License-Identifier: MIT */
/* See iotlb.h. */
#include "frontend/dma/iotlb.h"

#define DOMAIN_MASK (UINT64_C(0xffff) << VTD_IOTLB_DOMAIN_SHIFT)
#define PASID_MASK  (UINT64_C(0xfffff) << VTD_IOTLB_PASID_SHIFT)

/* An invalidation of more blocks of one size looks through all entries instead. */
#define BLOCKS_LOOKED_UP 64u

void vtd_iotlb_insert(struct vtd_cache *iotlb, uint64_t tag, uint64_t address,
                      const struct vtd_page *page, uint64_t before)
{
        unsigned size = (page->shift - VTD_PAGE_SHIFT) / 9;
        uint64_t block = vtd_iotlb_block(address, size);
        const struct vtd_cache_entry entry = {
                {tag | (uint64_t)size << VTD_IOTLB_SIZE_SHIFT, block,
                 page->translated | page->user |
                         (uint64_t)page->supervisor << VTD_IOTLB_SUPERVISOR_SHIFT}};

        vtd_cache_insert(iotlb, vtd_iotlb_hash(entry.words[0], block), UINT64_MAX,
                         vtd_iotlb_kind(tag) + size, &entry, before);
}

/* Addresses from first to last, both included, so that all of the address space is a range. */
struct range {
        uint64_t first, last;
};

static bool is_in_range(const struct vtd_cache_entry *entry, const void *argument)
{
        const struct range *range = argument;
        unsigned size = entry->words[0] >> VTD_IOTLB_SIZE_SHIFT & 3;

        return vtd_iotlb_block(range->first, size) <= entry->words[1] &&
               entry->words[1] <= range->last;
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
        uint32_t kinds = vtd_cache_kinds_now(iotlb) >> vtd_iotlb_kind(tag);

        for (unsigned size = 0; size < VTD_IOTLB_SIZES; size++) {
                uint64_t block = vtd_iotlb_block(range->first, size);
                uint64_t more = (range->last - block) >> VTD_IOTLB_SHIFT_OF(size);

                if (!(kinds >> size & 1))
                        continue;
                if (more >= BLOCKS_LOOKED_UP) {
                        vtd_cache_drop(iotlb, &selector);
                        return;
                }
                for (uint64_t i = 0; i <= more; i++)
                        vtd_cache_drop_at(
                                iotlb,
                                vtd_iotlb_hash(tag | VTD_IOTLB_PRESENT |
                                                       (uint64_t)size << VTD_IOTLB_SIZE_SHIFT,
                                               block + (i << VTD_IOTLB_SHIFT_OF(size))),
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
        uint64_t domain = (uint64_t)descriptor->domain_id << VTD_IOTLB_DOMAIN_SHIFT;
        struct vtd_cache_selector selector = {.mask = DOMAIN_MASK, .tag = domain};
        const struct range range = range_of(descriptor);

        vtd_cache_announce(iotlb);
        if (descriptor->granularity == VTD_IOTLB_PAGE) {
                drop_range(iotlb, DOMAIN_MASK | VTD_IOTLB_FIRST_STAGE, domain, &range);
                selector.mask |= VTD_IOTLB_FIRST_STAGE;
                selector.tag |= VTD_IOTLB_FIRST_STAGE;
                if (vtd_cache_kinds_now(iotlb) >> vtd_iotlb_kind(VTD_IOTLB_FIRST_STAGE) == 0)
                        return;
        }
        vtd_cache_drop(iotlb, &selector);
}

/* Blocks of the second stage are in a domain whatever the PASID. */
static bool is_of_pasid_or_second_stage(const struct vtd_cache_entry *entry, const void *argument)
{
        const struct vtd_descriptor *descriptor = argument;

        return !(entry->words[0] & VTD_IOTLB_FIRST_STAGE) ||
               (entry->words[0] & PASID_MASK) >> VTD_IOTLB_PASID_SHIFT == descriptor->pasid;
}

static void invalidate_pasid(struct vtd_cache *iotlb, const struct vtd_descriptor *descriptor)
{
        const struct vtd_cache_selector all = {.mask = DOMAIN_MASK,
                                               .tag = (uint64_t)descriptor->domain_id
                                                      << VTD_IOTLB_DOMAIN_SHIFT,
                                               .also = is_of_pasid_or_second_stage,
                                               .argument = descriptor};
        const struct vtd_cache_selector pages = {
                .mask = DOMAIN_MASK | PASID_MASK | VTD_IOTLB_FIRST_STAGE,
                .tag = (uint64_t)descriptor->domain_id << VTD_IOTLB_DOMAIN_SHIFT |
                       (uint64_t)descriptor->pasid << VTD_IOTLB_PASID_SHIFT |
                       VTD_IOTLB_FIRST_STAGE};
        const struct range range = range_of(descriptor);

        vtd_cache_announce(iotlb);
        if (descriptor->granularity == VTD_PASID_IOTLB_PAGE)
                drop_range(iotlb, pages.mask, pages.tag, &range);
        else
                vtd_cache_drop(iotlb, &all);
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
