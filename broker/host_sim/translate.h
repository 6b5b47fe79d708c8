/* SPDX-License-Identifier: MIT */
/*
 * What a device's DMA goes through: blocked, second stage only, or nested (the guest's own 4-level
 * first-stage table above the second stage), with the caches that make a missing or wrong
 * invalidation visible:
 *
 * - the IOTLB keeps final first-stage translations at their page size.  A hit never looks at the
 *   table again.  Only a write through an entry whose dirty bit is not known to be set walks anew,
 *   because the walk has to set it.
 * - the paging-structure cache keeps the pointers to the lowest tables (2 MiB of address space
 *   each).  Leaf-only invalidations leave it alone.
 *
 * Entries that are not present, malformed or without the right are never cached.
 *
 * Cached entries are told apart by a tag, as by the domain id of hardware: one for each table and
 * unit.  All that is attached to a table behind one unit shares them, whatever its PASID.
 */
#ifndef VTD_BROKER_HOST_SIM_TRANSLATE_H
#define VTD_BROKER_HOST_SIM_TRANSLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/host_sim/memory.h"
#include "broker/host_sim/models.h"

/* Writes here are interrupts, not memory accesses. */
#define VTD_SIM_MSI_START UINT64_C(0xfee00000)
#define VTD_SIM_MSI_LAST  UINT64_C(0xfeefffff)

/* Enough to keep the working set of a test stale; small enough to be searched from end to end. */
#define VTD_SIM_IOTLB_ENTRIES     1024u
#define VTD_SIM_STRUCTURE_ENTRIES 256u

struct vtd_sim_iotlb_entry {
        uint64_t tag; /* of the first-stage table in one unit; 0: free */
        uint32_t ioas;
        uint8_t shift; /* size of the page: 12, 21 or 30 */
        bool writable;
        bool dirty; /* the leaf's dirty bit was set when this was filled */
        uint64_t iova;
        uint64_t gpa;
};

struct vtd_sim_structure_entry {
        uint64_t tag;
        uint32_t ioas;
        bool writable; /* by all entries above the table */
        uint64_t iova; /* first one of 2 MiB */
        uint64_t table;
};

/* All zero: empty. */
struct vtd_sim_cache {
        size_t next_iotlb; /* the oldest entry goes first */
        size_t next_structure;
        struct vtd_sim_iotlb_entry iotlb[VTD_SIM_IOTLB_ENTRIES];
        struct vtd_sim_structure_entry structures[VTD_SIM_STRUCTURE_ENTRIES];
};

/* What all units together have. */
struct vtd_sim_iommu {
        struct vtd_sim_memory memory;
        struct vtd_sim_cache cache;
};

enum vtd_sim_translation_kind {
        VTD_SIM_BLOCKED = 0,
        VTD_SIM_SECOND_STAGE,
        VTD_SIM_NESTED,
};

/* What a device's requests go through.  All zero: blocked. */
struct vtd_sim_translation {
        enum vtd_sim_translation_kind kind;
        uint32_t ioas; /* of the second stage */
        uint64_t tag;  /* nested: never 0, never used for two tables or two units */
        uint64_t root; /* nested: guest-physical, page aligned */
};

/*
 * One transfer between @bytes and memory at @address, split at page borders, each page judged by
 * itself.  Where it is blocked a read gives zeros and a write is dropped.
 */
void vtd_sim_dma_read(struct vtd_sim_iommu *iommu, const struct vtd_sim_translation *translation,
                      uint64_t address, uint8_t *bytes, size_t size);
void vtd_sim_dma_write(struct vtd_sim_iommu *iommu, const struct vtd_sim_translation *translation,
                       uint64_t address, const uint8_t *bytes, size_t size);

/* Drops everything cached of the table @tag. */
void vtd_sim_cache_drop_table(struct vtd_sim_cache *cache, uint64_t tag);

/*
 * Drops what the table @tag translates from @first to @last (inclusive); with @leaf the
 * paging-structure cache is kept.
 */
void vtd_sim_cache_drop_range(struct vtd_sim_cache *cache, uint64_t tag, uint64_t first,
                              uint64_t last, bool leaf);

/* Drops whatever leads to the @length guest-physical bytes at @gpa of @ioas. */
void vtd_sim_cache_drop_memory(struct vtd_sim_cache *cache, uint32_t ioas, uint64_t gpa,
                               uint64_t length);

#endif
