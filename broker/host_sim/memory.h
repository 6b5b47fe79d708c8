/* SPDX-License-Identifier: MIT */
/*
 * Guest memory as the simulated second stage sees it: which bytes of which memfd lie at which
 * address of which IOAS.  Every address that a device or a page walk uses is looked up here, so
 * nothing outside a mapped area can be reached, and nothing is reachable once it is unmapped.
 */
#ifndef VTD_BROKER_HOST_SIM_MEMORY_H
#define VTD_BROKER_HOST_SIM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/limits.h"

/*
 * Areas of all IOASes: each of VTD_LIMIT_MAPPINGS ranges may end in a part of a chunk, and the rest
 * of VTD_SIM_LOCKED_MAX comes in whole chunks; as much again for the ranges of scratch IOASes.
 */
#define VTD_SIM_AREAS 1024u

/*
 * What the host lets a VM "lock".  Nothing is locked here, so this is a fixed number that behaves
 * alike for every user: larger than any machine that one would try on a simulated host.
 */
#define VTD_SIM_LOCKED_MAX (UINT64_C(256) << 30)

_Static_assert(VTD_SIM_AREAS >= 2 * (VTD_LIMIT_MAPPINGS + VTD_SIM_LOCKED_MAX / VTD_LIMIT_MAP_CHUNK),
               "areas for every mapping in chunks");

struct vtd_sim_area {
        uint32_t ioas;
        uint64_t iova;
        uint64_t length;
        uint8_t *bytes; /* at iova */
        void *mapping;  /* what mmap() returned: may begin before bytes */
        size_t mapping_size;
};

/* Sorted by IOAS, then address; areas of one IOAS do not overlap.  All zero: empty. */
struct vtd_sim_memory {
        size_t count;
        uint64_t locked;
        struct vtd_sim_area areas[VTD_SIM_AREAS];
};

/*
 * Maps @length bytes of @fd from @offset at @iova.  @fd stays the caller's and may be closed.
 * Everything must be page aligned; the file must be sealed against shrinking, because touching what
 * was cut off would kill this process.
 *
 * Returns 0; VTD_HOST_E_INVALID (alignment, wrap, overlap, range outside the file, seals, access
 * mode); VTD_HOST_E_LIMIT; a negative errno.
 */
int vtd_sim_memory_map(struct vtd_sim_memory *memory, uint32_t ioas, int fd, uint64_t offset,
                       uint64_t length, uint64_t iova);

/* Removes the one area that is exactly this range.  Returns 0, VTD_HOST_E_ABSENT, -errno. */
int vtd_sim_memory_unmap(struct vtd_sim_memory *memory, uint32_t ioas, uint64_t iova,
                         uint64_t length);

/* Removes every area of @ioas. */
void vtd_sim_memory_unmap_all(struct vtd_sim_memory *memory, uint32_t ioas);

/* True when an area of @ioas shares a byte with @start to @last (inclusive). */
bool vtd_sim_memory_overlaps(const struct vtd_sim_memory *memory, uint32_t ioas, uint64_t start,
                             uint64_t last);

/*
 * The @size bytes at @iova, or NULL when they do not lie inside one area.  The guest changes them
 * at any time.  Valid until the area is unmapped: use it at once and do not keep it.
 */
uint8_t *vtd_sim_memory_at(const struct vtd_sim_memory *memory, uint32_t ioas, uint64_t iova,
                           uint64_t size);

#endif
