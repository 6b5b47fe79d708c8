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
#include "frontend/queue.h"
#include "frontend/tables.h"

/* What a translation is kept under. */
struct vtd_iotlb_tag {
        enum vtd_translation_type type; /* not pass-through */
        uint16_t domain_id;
        uint32_t pasid; /* 0 for second-stage translation */
};

static inline struct vtd_iotlb_tag vtd_iotlb_tag_of(const struct vtd_pasid_entry *entry)
{
        return (struct vtd_iotlb_tag){
                .type = entry->type,
                .domain_id = entry->domain_id,
                .pasid = entry->type == VTD_PGTT_SECOND_STAGE ? 0 : entry->pasid,
        };
}

/* Returns true with *@page when the block of @address is known. */
bool vtd_iotlb_find(const struct vtd_cache *iotlb, const struct vtd_iotlb_tag *tag,
                    uint64_t address, struct vtd_page *page);

/* Keeps *@page, the block of @address, if nothing was invalidated since @before: see cache.h. */
void vtd_iotlb_insert(struct vtd_cache *iotlb, const struct vtd_iotlb_tag *tag, uint64_t address,
                      const struct vtd_page *page, uint64_t before);

/*
 * Drops what an IOTLB or PASID-based IOTLB descriptor names:
 *   IOTLB         global: everything; domain: all of the domain id; page: second-stage blocks of the
 *                 domain id that share a page with the range, and all first-stage and nested ones;
 *   PASID-based   first-stage and nested blocks of domain id and PASID: all, or those that share a
 *                 page with the range.
 */
void vtd_iotlb_invalidate(struct vtd_cache *iotlb, const struct vtd_descriptor *descriptor);

#endif
