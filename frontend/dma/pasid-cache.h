/* SPDX-License-Identifier: MIT */
/*
 * The PASID cache of emulated devices: well-formed PASID-table entries, by requester id and PASID of
 * the requests, those without PASID apart.  Root, context and directory entries are not kept by
 * themselves.  Threads and invalidation: see cache.h.
 */
#ifndef VTD_FRONTEND_DMA_PASID_CACHE_H
#define VTD_FRONTEND_DMA_PASID_CACHE_H

#include "frontend/dma/cache.h"
#include "frontend/queue.h"
#include "frontend/tables.h"

/* @pasid counts only @with_pasid.  Returns true with *@entry. */
bool vtd_pasid_cache_find(const struct vtd_cache *cache, uint16_t rid, bool with_pasid,
                          uint32_t pasid, struct vtd_pasid_entry *entry);

/* Keeps *@entry if nothing was invalidated since @before: see cache.h. */
void vtd_pasid_cache_insert(struct vtd_cache *cache, uint16_t rid, bool with_pasid, uint32_t pasid,
                            const struct vtd_pasid_entry *entry, uint64_t before);

/*
 * Drops what a context-cache descriptor (global and, as in scalable mode, domain: everything;
 * device: of the requester ids that it names) or a PASID-cache descriptor names (by what the entries
 * say of domain id and PASID).
 */
void vtd_pasid_cache_invalidate(struct vtd_cache *cache, const struct vtd_descriptor *descriptor);

#endif
