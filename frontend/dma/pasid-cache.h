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

/*
 * A PASID-table entry as it is kept, of which requests that hit look at little.  Its words: the key,
 * with a bit that is always set; the first-stage root, its attributes, SRE and the PASID; the
 * second-stage root, its attributes, the domain id and type.  Roots are page-aligned physical
 * addresses, which leaves 24 bits beside them.
 */
struct vtd_packed_entry {
        struct vtd_cache_entry cache;
};

/* In the first word. */
#define VTD_PACKED_PRESENT    UINT64_C(1)
#define VTD_PACKED_WITH_PASID UINT64_C(2)
#define VTD_PACKED_RID_SHIFT  2u
#define VTD_PACKED_KEY_SHIFT  18u /* the PASID of the request */
/* In the others. */
#define VTD_PACKED_SUPERVISOR   UINT64_C(1)
#define VTD_PACKED_PASID_SHIFT  4u
#define VTD_PACKED_DOMAIN_SHIFT 8u

/* What a request's entry is found by; @pasid counts only @with_pasid. */
static inline uint64_t vtd_packed_key(uint16_t rid, bool with_pasid, uint32_t pasid)
{
        return VTD_PACKED_PRESENT | (uint64_t)rid << VTD_PACKED_RID_SHIFT |
               (with_pasid ? VTD_PACKED_WITH_PASID | (uint64_t)pasid << VTD_PACKED_KEY_SHIFT : 0);
}

static inline uint64_t vtd_packed_hash(uint64_t key)
{
        return vtd_cache_hash(key, 0);
}

static inline enum vtd_translation_type vtd_packed_type(const struct vtd_packed_entry *packed)
{
        return packed->cache.words[2] & 7;
}

static inline uint16_t vtd_packed_domain(const struct vtd_packed_entry *packed)
{
        return packed->cache.words[2] >> VTD_PACKED_DOMAIN_SHIFT & 0xffff;
}

static inline uint32_t vtd_packed_pasid(const struct vtd_packed_entry *packed)
{
        return packed->cache.words[1] >> VTD_PACKED_PASID_SHIFT & 0xfffff;
}

static inline bool vtd_packed_supervisor(const struct vtd_packed_entry *packed)
{
        return packed->cache.words[1] & VTD_PACKED_SUPERVISOR;
}

/* Between the two forms; the key is left to the caller. */
void vtd_pack_entry(const struct vtd_pasid_entry *entry, struct vtd_packed_entry *packed);
void vtd_unpack_entry(const struct vtd_packed_entry *packed, struct vtd_pasid_entry *entry);

/* Returns true with *@packed, the entry of requests with @key. */
static inline bool vtd_pasid_cache_find(const struct vtd_cache *cache, uint64_t key,
                                        struct vtd_packed_entry *packed)
{
        return vtd_cache_find(cache, vtd_packed_hash(key), key, 0, 0, &packed->cache);
}

/* Keeps *@packed, with its key, if nothing was invalidated since @before: see cache.h. */
static inline void vtd_pasid_cache_insert(struct vtd_cache *cache,
                                          const struct vtd_packed_entry *packed, uint64_t before)
{
        vtd_cache_insert(cache, vtd_packed_hash(packed->cache.words[0]), 0, 0, &packed->cache,
                         before);
}

/*
 * Drops what a context-cache descriptor (global and, as in scalable mode, domain: everything;
 * device: of the requester ids that it names) or a PASID-cache descriptor names (by what the entries
 * say of domain id and PASID).
 */
void vtd_pasid_cache_invalidate(struct vtd_cache *cache, const struct vtd_descriptor *descriptor);

#endif
