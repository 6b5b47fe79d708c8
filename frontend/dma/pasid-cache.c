/* SPDX-License-Identifier: MIT */
/* See pasid-cache.h, where the words of an entry are described. */
#include "frontend/dma/pasid-cache.h"

#include "shared/checked.h"

#define ROOT_SHIFT 24u
#define NO_LEVELS  2u /* of second-stage tables; there are none of so few */

_Static_assert(VTD_PGTT_PASSTHROUGH <= 7, "a type has three bits");

/* 0, or 3 to 5 levels, in two bits. */
static unsigned levels_code(unsigned levels)
{
        return levels > NO_LEVELS ? levels - NO_LEVELS : 0;
}

void vtd_pack_entry(const struct vtd_pasid_entry *entry, struct vtd_packed_entry *packed)
{
        packed->cache.words[1] =
                entry->first_stage_root >> VTD_PAGE_SHIFT << ROOT_SHIFT |
                (uint64_t)entry->pasid << VTD_PACKED_PASID_SHIFT |
                (entry->supervisor ? VTD_PACKED_SUPERVISOR : 0) | (uint64_t)entry->five_level << 1 |
                (uint64_t)entry->write_protect << 2 | (uint64_t)entry->extended_accessed << 3;
        packed->cache.words[2] = entry->second_stage_root >> VTD_PAGE_SHIFT << ROOT_SHIFT |
                                 (uint64_t)entry->domain_id << VTD_PACKED_DOMAIN_SHIFT |
                                 (uint64_t)entry->type |
                                 (uint64_t)levels_code(entry->second_stage_levels) << 3 |
                                 (uint64_t)entry->second_stage_dirty << 5 |
                                 (uint64_t)entry->page_walk_snoop << 6 | (uint64_t)entry->fpd << 7;
}

void vtd_unpack_entry(const struct vtd_packed_entry *packed, struct vtd_pasid_entry *entry)
{
        uint64_t first = packed->cache.words[1], second = packed->cache.words[2];
        unsigned levels = second >> 3 & 3;

        *entry = (struct vtd_pasid_entry){
                .type = vtd_packed_type(packed),
                .domain_id = vtd_packed_domain(packed),
                .pasid = vtd_packed_pasid(packed),
                .fpd = second >> 7 & 1,
                .supervisor = vtd_packed_supervisor(packed),
                .first_stage_root = first >> ROOT_SHIFT << VTD_PAGE_SHIFT,
                .five_level = first >> 1 & 1,
                .write_protect = first >> 2 & 1,
                .extended_accessed = first >> 3 & 1,
                .second_stage_root = second >> ROOT_SHIFT << VTD_PAGE_SHIFT,
                .second_stage_levels = levels > 0 ? levels + NO_LEVELS : 0,
                .second_stage_dirty = second >> 5 & 1,
                .page_walk_snoop = second >> 6 & 1,
        };
}

static bool is_of_domain(const struct vtd_cache_entry *entry, const void *argument)
{
        const struct vtd_packed_entry packed = {*entry};
        const struct vtd_descriptor *descriptor = argument;

        return vtd_packed_domain(&packed) == descriptor->domain_id;
}

static bool is_of_pasid(const struct vtd_cache_entry *entry, const void *argument)
{
        const struct vtd_packed_entry packed = {*entry};
        const struct vtd_descriptor *descriptor = argument;

        return is_of_domain(entry, argument) && vtd_packed_pasid(&packed) == descriptor->pasid;
}

void vtd_pasid_cache_invalidate(struct vtd_cache *cache, const struct vtd_descriptor *descriptor)
{
        struct vtd_cache_selector selector = {.argument = descriptor};
        uint16_t rids = (uint16_t)~descriptor->source_ignored;
        bool everything = descriptor->type == VTD_DESCRIPTOR_CONTEXT_CACHE
                                  ? descriptor->granularity != VTD_CONTEXT_CACHE_DEVICE
                                  : descriptor->granularity == VTD_PASID_CACHE_GLOBAL;

        if (everything) {
                vtd_cache_clear(cache);
                return;
        }
        if (descriptor->type == VTD_DESCRIPTOR_CONTEXT_CACHE) {
                selector.mask = (uint64_t)rids << VTD_PACKED_RID_SHIFT;
                selector.tag = (uint64_t)(descriptor->source_id & rids) << VTD_PACKED_RID_SHIFT;
        } else {
                selector.also = descriptor->granularity == VTD_PASID_CACHE_PASID ? is_of_pasid
                                                                                 : is_of_domain;
        }
        vtd_cache_announce(cache);
        vtd_cache_drop(cache, &selector);
}
