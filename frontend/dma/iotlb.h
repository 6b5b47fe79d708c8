/* SPDX-License-Identifier: MIT */
/*
 * The IOTLB: blocks as the tables below a PASID-table entry translate them, tagged as the
 * architecture has it: those of first-stage and nested translation with domain id and PASID, those
 * of second-stage translation with the domain id alone.  Requests of different devices share them.
 * Pass-through is not kept.  Threads and invalidation: see cache.h.
 */
#ifndef VTD_FRONTEND_DMA_IOTLB_H
#define VTD_FRONTEND_DMA_IOTLB_H

#include "frontend/dma/cache.h"
#include "frontend/dma/paging.h"
#include "frontend/dma/pasid-cache.h"
#include "frontend/queue.h"
#include "shared/checked.h"

/*
 * An entry's words: its tag; the address of the block for the device; where the block is in
 * guest-physical memory, with what may be done there in the bits that the alignment leaves.
 *
 * A tag: a bit that is always set; the size by number; the numbers of PGTT, of which bit 0 says that
 * there is a first stage; domain id; PASID, which is 0 without a first stage.
 */
#define VTD_IOTLB_PRESENT      UINT64_C(1)
#define VTD_IOTLB_SIZE_SHIFT   1u
#define VTD_IOTLB_TYPE_SHIFT   3u
#define VTD_IOTLB_TYPE_MASK    (UINT64_C(7) << VTD_IOTLB_TYPE_SHIFT)
#define VTD_IOTLB_FIRST_STAGE  (UINT64_C(1) << VTD_IOTLB_TYPE_SHIFT)
#define VTD_IOTLB_DOMAIN_SHIFT 6u
#define VTD_IOTLB_PASID_SHIFT  22u

_Static_assert((VTD_PGTT_FIRST_STAGE & 1) == 1 && (VTD_PGTT_NESTED & 1) == 1 &&
                       (VTD_PGTT_SECOND_STAGE & 1) == 0,
               "bit 0 of the type tells them apart");

#define VTD_IOTLB_RIGHTS           UINT64_C(3)
#define VTD_IOTLB_SUPERVISOR_SHIFT 2u

/* 4 KiB, 2 MiB and 1 GiB, by number. */
#define VTD_IOTLB_SIZES            3u
#define VTD_IOTLB_SHIFT_OF(number) (VTD_PAGE_SHIFT + (number)*9u)

/* The tag of blocks below @packed, which is not pass-through, of the first size. */
static inline uint64_t vtd_iotlb_tag(const struct vtd_packed_entry *packed)
{
        enum vtd_translation_type type = vtd_packed_type(packed);
        uint64_t pasid = type & 1 ? vtd_packed_pasid(packed) : 0;

        return VTD_IOTLB_PRESENT | (uint64_t)type << VTD_IOTLB_TYPE_SHIFT |
               (uint64_t)vtd_packed_domain(packed) << VTD_IOTLB_DOMAIN_SHIFT |
               pasid << VTD_IOTLB_PASID_SHIFT;
}

/* Which of the sizes under a tag there may be is noted for first stage and others apart. */
static inline unsigned vtd_iotlb_kind(uint64_t tag)
{
        return tag & VTD_IOTLB_FIRST_STAGE ? VTD_IOTLB_SIZES : 0;
}

/* The type does not count, so that an invalidation finds first-stage and nested blocks in one set. */
static inline uint64_t vtd_iotlb_hash(uint64_t tag, uint64_t block)
{
        return vtd_cache_hash(tag & ~VTD_IOTLB_TYPE_MASK, block >> VTD_PAGE_SHIFT);
}

/* Where the block of a size begins in which @address is. */
static inline uint64_t vtd_iotlb_block(uint64_t address, unsigned size)
{
        return address >> VTD_IOTLB_SHIFT_OF(size) << VTD_IOTLB_SHIFT_OF(size);
}

/*
 * Returns true with *@page when the block of @address is known.  A block is looked for by an address
 * of which as many bits are cut off as its size has, once for each size that there is at all.
 */
static inline bool vtd_iotlb_find(const struct vtd_cache *iotlb, uint64_t tag, uint64_t address,
                                  struct vtd_page *page)
{
        uint32_t kinds = vtd_cache_kinds(iotlb) >> vtd_iotlb_kind(tag);
        struct vtd_cache_entry entry;

        for (unsigned size = 0; size < VTD_IOTLB_SIZES; size++) {
                uint64_t block = vtd_iotlb_block(address, size);
                uint64_t sized = tag | (uint64_t)size << VTD_IOTLB_SIZE_SHIFT;

                if (!(kinds >> size & 1) || !vtd_cache_find(iotlb, vtd_iotlb_hash(sized, block),
                                                            sized, block, UINT64_MAX, &entry))
                        continue;
                page->translated = entry.words[2] & ~(VTD_PAGE_SIZE - 1);
                page->shift = VTD_IOTLB_SHIFT_OF(size);
                page->user = entry.words[2] & VTD_IOTLB_RIGHTS;
                page->supervisor = entry.words[2] >> VTD_IOTLB_SUPERVISOR_SHIFT & VTD_IOTLB_RIGHTS;
                return true;
        }
        return false;
}

/* Keeps *@page, the block of @address, if nothing was invalidated since @before: see cache.h. */
void vtd_iotlb_insert(struct vtd_cache *iotlb, uint64_t tag, uint64_t address,
                      const struct vtd_page *page, uint64_t before);

/*
 * Drops what an IOTLB or PASID-based IOTLB descriptor names:
 *   IOTLB         global: everything; domain: all of the domain id; page: second-stage blocks of the
 *                 domain id that share a page with the range, and all first-stage and nested ones;
 *   PASID-based   first-stage and nested blocks of domain id and PASID: all, and then second-stage
 *                 ones of the domain id too, or those that share a page with the range.
 */
void vtd_iotlb_invalidate(struct vtd_cache *iotlb, const struct vtd_descriptor *descriptor);

#endif
