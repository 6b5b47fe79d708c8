/* SPDX-License-Identifier: MIT */
/*
 * See translate.h.  Tables are hostile and change while they are walked: each entry is read once
 * with an atomic load into a local, judged there, and every address that it holds goes through the
 * second stage.  A walk touches at most four entries and retries each a bounded number of times.
 * No system calls.
 */
#include "broker/host_sim/translate.h"

#include <string.h>

#include "shared/checked.h"

#define ENTRY_PRESENT  (UINT64_C(1) << 0)
#define ENTRY_WRITE    (UINT64_C(1) << 1)
#define ENTRY_USER     (UINT64_C(1) << 2)
#define ENTRY_ACCESSED (UINT64_C(1) << 5)
#define ENTRY_DIRTY    (UINT64_C(1) << 6)
#define ENTRY_LARGE    (UINT64_C(1) << 7)
#define ENTRY_ADDRESS  (((UINT64_C(1) << VTD_SIM_ADDRESS_BITS) - 1) & ~(VTD_PAGE_SIZE - 1))
/* Address bits between the second stage's width and the 52 that an entry has room for. */
#define ENTRY_TOO_HIGH (((UINT64_C(1) << 52) - 1) & ~((UINT64_C(1) << VTD_SIM_ADDRESS_BITS) - 1))

#define TOP_LEVEL       4u
#define LARGE_LEVEL     3u /* the highest at which an entry may map a page (1 GiB) */
#define STRUCTURE_SHIFT 21u

/* A guest that keeps changing the entry under the walk gets its access blocked. */
#define ENTRY_TRIES 8u

struct walk {
        uint64_t iova;
        bool write; /* the access */
        bool writable;
        bool user;
        uint64_t entry; /* the one judged last */
};

/* 12, 21, 30, 39 */
static unsigned level_shift(unsigned level)
{
        return 12 + 9 * (level - 1);
}

static uint64_t low_bits(unsigned bits)
{
        return (UINT64_C(1) << bits) - 1;
}

/* Bits 63 to 47 are all alike. */
static bool is_canonical(uint64_t iova)
{
        uint64_t high = iova >> (VTD_SIM_ADDRESS_BITS - 1);

        return high == 0 || high == UINT64_MAX >> (VTD_SIM_ADDRESS_BITS - 1);
}

static bool entry_is_leaf(uint64_t entry, unsigned level)
{
        return level == 1 || (level <= LARGE_LEVEL && (entry & ENTRY_LARGE));
}

/* Present, and every reserved bit clear.  Bit 12 of a large page is an ignored attribute. */
static bool entry_is_valid(uint64_t entry, unsigned level)
{
        uint64_t reserved = ENTRY_TOO_HIGH;

        if (!(entry & ENTRY_PRESENT))
                return false;
        if (level > LARGE_LEVEL)
                reserved |= ENTRY_LARGE;
        else if (level > 1 && (entry & ENTRY_LARGE))
                reserved |= low_bits(level_shift(level)) & ~low_bits(13);
        return (entry & reserved) == 0;
}

/*
 * Reads and judges the entry for walk->iova in the table at @table, and marks it accessed (and a
 * leaf that is written dirty) by compare-and-swap.
 */
static bool walk_entry(const struct vtd_sim_memory *memory, uint32_t ioas, uint64_t table,
                       unsigned level, struct walk *walk)
{
        uint64_t index = (walk->iova >> level_shift(level)) & low_bits(9);
        uint8_t *bytes =
                vtd_sim_memory_at(memory, ioas, table + index * sizeof(uint64_t), sizeof(uint64_t));
        uint64_t *place = (uint64_t *)(void *)bytes;

        if (!bytes)
                return false;
        for (unsigned i = 0; i < ENTRY_TRIES; i++) {
                uint64_t entry = __atomic_load_n(place, __ATOMIC_ACQUIRE);
                bool writable = walk->writable && (entry & ENTRY_WRITE);
                bool user = walk->user && (entry & ENTRY_USER);
                uint64_t marked = entry | ENTRY_ACCESSED;

                if (!entry_is_valid(entry, level))
                        return false;
                if (entry_is_leaf(entry, level)) {
                        if (!user || (walk->write && !writable))
                                return false;
                        if (walk->write)
                                marked |= ENTRY_DIRTY;
                }
                walk->entry = marked;
                if (marked == entry ||
                    __atomic_compare_exchange_n(place, &entry, marked, false, __ATOMIC_SEQ_CST,
                                                __ATOMIC_ACQUIRE)) {
                        walk->writable = writable;
                        walk->user = user;
                        return true;
                }
        }
        return false;
}

static const struct vtd_sim_structure_entry *structure_find(const struct vtd_sim_cache *cache,
                                                            uint64_t tag, uint64_t iova)
{
        for (size_t i = 0; i < VTD_SIM_STRUCTURE_ENTRIES; i++) {
                const struct vtd_sim_structure_entry *entry = &cache->structures[i];

                if (entry->tag == tag && entry->iova == (iova & ~low_bits(STRUCTURE_SHIFT)))
                        return entry;
        }
        return NULL;
}

/* Keeps the pointer in walk->entry, if every level above lets users in and memory is behind it. */
static void structure_insert(struct vtd_sim_iommu *iommu,
                             const struct vtd_sim_translation *translation, const struct walk *walk)
{
        struct vtd_sim_cache *cache = &iommu->cache;
        uint64_t table = walk->entry & ENTRY_ADDRESS;

        if (!walk->user ||
            !vtd_sim_memory_at(&iommu->memory, translation->ioas, table, VTD_PAGE_SIZE))
                return;
        cache->structures[cache->next_structure] = (struct vtd_sim_structure_entry){
                .tag = translation->tag,
                .ioas = translation->ioas,
                .writable = walk->writable,
                .iova = walk->iova & ~low_bits(STRUCTURE_SHIFT),
                .table = table,
        };
        cache->next_structure = (cache->next_structure + 1) % VTD_SIM_STRUCTURE_ENTRIES;
}

/* Walks down to the leaf, from the cached lowest table if there is one.  -> the leaf's level. */
static bool walk_tables(struct vtd_sim_iommu *iommu, const struct vtd_sim_translation *translation,
                        struct walk *walk, unsigned *level)
{
        const struct vtd_sim_structure_entry *structure =
                structure_find(&iommu->cache, translation->tag, walk->iova);
        uint64_t table = translation->root;

        *level = TOP_LEVEL;
        if (structure) {
                *level = 1;
                table = structure->table;
                walk->writable = structure->writable;
        }
        while (walk_entry(&iommu->memory, translation->ioas, table, *level, walk)) {
                if (entry_is_leaf(walk->entry, *level))
                        return true;
                table = walk->entry & ENTRY_ADDRESS;
                (*level)--;
                if (*level == 1)
                        structure_insert(iommu, translation, walk);
        }
        return false;
}

static struct vtd_sim_iotlb_entry *iotlb_find(struct vtd_sim_cache *cache, uint64_t tag,
                                              uint64_t iova)
{
        for (size_t i = 0; i < VTD_SIM_IOTLB_ENTRIES; i++) {
                struct vtd_sim_iotlb_entry *entry = &cache->iotlb[i];

                if (entry->tag == tag && entry->iova == (iova & ~low_bits(entry->shift)))
                        return entry;
        }
        return NULL;
}

/*
 * Keeps the result of a walk that ended at @level and leads to @gpa.  The page is as large as both
 * stages allow; false when the second stage has nothing there.
 */
static bool iotlb_insert(struct vtd_sim_iommu *iommu, const struct vtd_sim_translation *translation,
                         const struct walk *walk, unsigned level, uint64_t gpa)
{
        struct vtd_sim_cache *cache = &iommu->cache;
        uint64_t page;

        while (true) {
                page = gpa & ~low_bits(level_shift(level));
                if (vtd_sim_memory_at(&iommu->memory, translation->ioas, page,
                                      UINT64_C(1) << level_shift(level)))
                        break;
                if (level == 1)
                        return false;
                level--;
        }
        cache->iotlb[cache->next_iotlb] = (struct vtd_sim_iotlb_entry){
                .tag = translation->tag,
                .ioas = translation->ioas,
                .shift = (uint8_t)level_shift(level),
                .writable = walk->writable,
                .dirty = (walk->entry & ENTRY_DIRTY) != 0,
                .iova = walk->iova & ~low_bits(level_shift(level)),
                .gpa = page,
        };
        cache->next_iotlb = (cache->next_iotlb + 1) % VTD_SIM_IOTLB_ENTRIES;
        return true;
}

/* First stage: @iova -> guest-physical address, valid to the end of its 4 KiB page. */
static bool first_stage(struct vtd_sim_iommu *iommu, const struct vtd_sim_translation *translation,
                        uint64_t iova, bool write, uint64_t *gpa)
{
        struct walk walk = {.iova = iova, .write = write, .writable = true, .user = true};
        struct vtd_sim_iotlb_entry *hit;
        unsigned level;

        if (!is_canonical(iova))
                return false;
        hit = iotlb_find(&iommu->cache, translation->tag, iova);
        if (hit && (!write || hit->dirty || !hit->writable)) {
                if (write && !hit->writable)
                        return false;
                *gpa = hit->gpa | (iova & low_bits(hit->shift));
                return true;
        }
        if (hit)
                *hit = (struct vtd_sim_iotlb_entry){0};
        if (!walk_tables(iommu, translation, &walk, &level))
                return false;
        *gpa = (walk.entry & ENTRY_ADDRESS & ~low_bits(level_shift(level))) |
               (iova & low_bits(level_shift(level)));
        return iotlb_insert(iommu, translation, &walk, level, *gpa);
}

/* The @size bytes (inside one page) at @address as the device may reach them, or NULL. */
static uint8_t *translate(struct vtd_sim_iommu *iommu,
                          const struct vtd_sim_translation *translation, uint64_t address,
                          size_t size, bool write)
{
        if (address >= VTD_SIM_MSI_START && address <= VTD_SIM_MSI_LAST)
                return NULL;
        switch (translation->kind) {
        case VTD_SIM_BLOCKED:
                return NULL;
        case VTD_SIM_SECOND_STAGE:
                break;
        case VTD_SIM_NESTED:
                if (!first_stage(iommu, translation, address, write, &address))
                        return NULL;
                break;
        }
        return vtd_sim_memory_at(&iommu->memory, translation->ioas, address, size);
}

/*
 * Guest memory changes while it is copied, so it is copied with atomic accesses: whole words where
 * it is aligned, as a device's transfer would be, else bytes.
 */
static void copy_from_guest(uint8_t *out, const uint8_t *guest, size_t size)
{
        for (size_t i = 0; i < size;) {
                if (size - i >= sizeof(uint64_t) && ((uintptr_t)(guest + i) & 7) == 0) {
                        uint64_t word = __atomic_load_n((const uint64_t *)(const void *)(guest + i),
                                                        __ATOMIC_RELAXED);

                        memcpy(out + i, &word, sizeof(word));
                        i += sizeof(word);
                } else {
                        out[i] = __atomic_load_n(guest + i, __ATOMIC_RELAXED);
                        i++;
                }
        }
}

static void copy_to_guest(uint8_t *guest, const uint8_t *in, size_t size)
{
        for (size_t i = 0; i < size;) {
                if (size - i >= sizeof(uint64_t) && ((uintptr_t)(guest + i) & 7) == 0) {
                        uint64_t word;

                        memcpy(&word, in + i, sizeof(word));
                        __atomic_store_n((uint64_t *)(void *)(guest + i), word, __ATOMIC_RELAXED);
                        i += sizeof(word);
                } else {
                        __atomic_store_n(guest + i, in[i], __ATOMIC_RELAXED);
                        i++;
                }
        }
}

/* How many of @size bytes at @address lie in its page. */
static size_t page_part(uint64_t address, size_t size)
{
        uint64_t rest = VTD_PAGE_SIZE - (address & (VTD_PAGE_SIZE - 1));

        return size < rest ? size : (size_t)rest;
}

void vtd_sim_dma_read(struct vtd_sim_iommu *iommu, const struct vtd_sim_translation *translation,
                      uint64_t address, uint8_t *bytes, size_t size)
{
        while (size > 0) {
                size_t part = page_part(address, size);
                const uint8_t *guest = translate(iommu, translation, address, part, false);

                if (guest)
                        copy_from_guest(bytes, guest, part);
                else
                        memset(bytes, 0, part);
                address += part;
                bytes += part;
                size -= part;
        }
}

void vtd_sim_dma_write(struct vtd_sim_iommu *iommu, const struct vtd_sim_translation *translation,
                       uint64_t address, const uint8_t *bytes, size_t size)
{
        while (size > 0) {
                size_t part = page_part(address, size);
                uint8_t *guest = translate(iommu, translation, address, part, true);

                if (guest)
                        copy_to_guest(guest, bytes, part);
                address += part;
                bytes += part;
                size -= part;
        }
}

void vtd_sim_cache_drop_range(struct vtd_sim_cache *cache, uint64_t tag, uint64_t first,
                              uint64_t last, bool leaf)
{
        for (size_t i = 0; i < VTD_SIM_IOTLB_ENTRIES; i++) {
                struct vtd_sim_iotlb_entry *entry = &cache->iotlb[i];

                if (entry->tag == tag && entry->iova <= last &&
                    first <= (entry->iova | low_bits(entry->shift)))
                        *entry = (struct vtd_sim_iotlb_entry){0};
        }
        if (leaf)
                return;
        for (size_t i = 0; i < VTD_SIM_STRUCTURE_ENTRIES; i++) {
                struct vtd_sim_structure_entry *entry = &cache->structures[i];

                if (entry->tag == tag && entry->iova <= last &&
                    first <= (entry->iova | low_bits(STRUCTURE_SHIFT)))
                        *entry = (struct vtd_sim_structure_entry){0};
        }
}

void vtd_sim_cache_drop_table(struct vtd_sim_cache *cache, uint64_t tag)
{
        vtd_sim_cache_drop_range(cache, tag, 0, UINT64_MAX, false);
}

void vtd_sim_cache_drop_memory(struct vtd_sim_cache *cache, uint32_t ioas, uint64_t gpa,
                               uint64_t length)
{
        for (size_t i = 0; i < VTD_SIM_IOTLB_ENTRIES; i++) {
                struct vtd_sim_iotlb_entry *entry = &cache->iotlb[i];

                if (entry->tag != 0 && entry->ioas == ioas &&
                    vtd_ranges_overlap(entry->gpa, UINT64_C(1) << entry->shift, gpa, length))
                        *entry = (struct vtd_sim_iotlb_entry){0};
        }
        for (size_t i = 0; i < VTD_SIM_STRUCTURE_ENTRIES; i++) {
                struct vtd_sim_structure_entry *entry = &cache->structures[i];

                if (entry->tag != 0 && entry->ioas == ioas &&
                    vtd_ranges_overlap(entry->table, VTD_PAGE_SIZE, gpa, length))
                        *entry = (struct vtd_sim_structure_entry){0};
        }
}
