/* SPDX-License-Identifier: MIT */
/*
 * See pasid-cache.h.  An entry is: its key, with a bit that is always set; the first-stage root, its
 * attributes and the PASID; the second-stage root, its attributes, type and domain id.  Roots are
 * page-aligned physical addresses, so that 24 bits beside them are free.
 */
#include "frontend/dma/pasid-cache.h"

#include "shared/checked.h"

/* The first word. */
#define PRESENT     UINT64_C(1)
#define WITH_PASID  UINT64_C(2)
#define RID_SHIFT   2u
#define PASID_SHIFT 18u

/* The second and the third. */
#define ROOT_SHIFT 24u
#define ATTRIBUTES 4u /* bits below PASID */
#define PASID_BITS 0xfffffu
#define STATE      8u /* bits below the domain id */
#define NO_LEVELS  2u /* there are none of so few */

static uint64_t key_of(uint16_t rid, bool with_pasid, uint32_t pasid)
{
        return PRESENT | (uint64_t)rid << RID_SHIFT |
               (with_pasid ? WITH_PASID | (uint64_t)pasid << PASID_SHIFT : 0);
}

/* 0, or 3 to 5 levels, in two bits. */
static unsigned levels_code(unsigned levels)
{
        return levels > NO_LEVELS ? levels - NO_LEVELS : 0;
}

static void pack(const struct vtd_pasid_entry *entry, struct vtd_cache_entry *packed)
{
        packed->words[1] = entry->first_stage_root >> VTD_PAGE_SHIFT << ROOT_SHIFT |
                           (uint64_t)entry->pasid << ATTRIBUTES | (uint64_t)entry->five_level |
                           (uint64_t)entry->supervisor << 1 | (uint64_t)entry->write_protect << 2 |
                           (uint64_t)entry->extended_accessed << 3;
        packed->words[2] = entry->second_stage_root >> VTD_PAGE_SHIFT << ROOT_SHIFT |
                           (uint64_t)entry->domain_id << STATE | (uint64_t)entry->type |
                           (uint64_t)levels_code(entry->second_stage_levels) << 3 |
                           (uint64_t)entry->second_stage_dirty << 5 |
                           (uint64_t)entry->page_walk_snoop << 6 | (uint64_t)entry->fpd << 7;
}

static uint16_t domain_of(const struct vtd_cache_entry *packed)
{
        return packed->words[2] >> STATE & 0xffff;
}

static uint32_t pasid_of(const struct vtd_cache_entry *packed)
{
        return packed->words[1] >> ATTRIBUTES & PASID_BITS;
}

static void unpack(const struct vtd_cache_entry *packed, struct vtd_pasid_entry *entry)
{
        uint64_t first = packed->words[1], second = packed->words[2];
        unsigned levels = second >> 3 & 3;

        *entry = (struct vtd_pasid_entry){
                .type = second & 7,
                .domain_id = domain_of(packed),
                .pasid = pasid_of(packed),
                .first_stage_root = first >> ROOT_SHIFT << VTD_PAGE_SHIFT,
                .five_level = first & 1,
                .supervisor = first >> 1 & 1,
                .write_protect = first >> 2 & 1,
                .extended_accessed = first >> 3 & 1,
                .second_stage_root = second >> ROOT_SHIFT << VTD_PAGE_SHIFT,
                .second_stage_levels = levels > 0 ? levels + NO_LEVELS : 0,
                .second_stage_dirty = second >> 5 & 1,
                .page_walk_snoop = second >> 6 & 1,
                .fpd = second >> 7 & 1,
        };
}

static uint64_t hash_of(uint64_t key)
{
        return vtd_cache_hash(key, 0);
}

bool vtd_pasid_cache_find(const struct vtd_cache *cache, uint16_t rid, bool with_pasid,
                          uint32_t pasid, struct vtd_pasid_entry *entry)
{
        uint64_t key = key_of(rid, with_pasid, pasid);
        struct vtd_cache_entry packed;

        if (!vtd_cache_find(cache, hash_of(key), key, 0, 0, &packed))
                return false;
        unpack(&packed, entry);
        return true;
}

void vtd_pasid_cache_insert(struct vtd_cache *cache, uint16_t rid, bool with_pasid, uint32_t pasid,
                            const struct vtd_pasid_entry *entry, uint64_t before)
{
        uint64_t key = key_of(rid, with_pasid, pasid);
        struct vtd_cache_entry packed = {{key}};

        pack(entry, &packed);
        vtd_cache_insert(cache, hash_of(key), 0, 0, &packed, before);
}

static bool is_of_domain(const struct vtd_cache_entry *packed, const void *argument)
{
        const struct vtd_descriptor *descriptor = argument;

        return domain_of(packed) == descriptor->domain_id;
}

static bool is_of_pasid(const struct vtd_cache_entry *packed, const void *argument)
{
        const struct vtd_descriptor *descriptor = argument;

        return is_of_domain(packed, argument) && pasid_of(packed) == descriptor->pasid;
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
                selector.mask = (uint64_t)rids << RID_SHIFT;
                selector.tag = (uint64_t)(descriptor->source_id & rids) << RID_SHIFT;
        } else {
                selector.also = descriptor->granularity == VTD_PASID_CACHE_PASID ? is_of_pasid
                                                                                 : is_of_domain;
        }
        vtd_cache_announce(cache);
        vtd_cache_drop(cache, &selector);
}
