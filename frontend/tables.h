/* SPDX-License-Identifier: MIT */
/*
 * The walk from a requester id and a PASID to a PASID-table entry: root, scalable context, PASID
 * directory, PASID table.  Each entry is read once into local memory and judged there, its first
 * word first: whoever sees P of it set has all of what was written before.  One step reads one entry,
 * so that the caller can bound its work.  Nothing here reads the tables below the entry: for devices
 * of the broker they are the host IOMMU's business, for emulated ones that of dma/.
 */
#ifndef VTD_FRONTEND_TABLES_H
#define VTD_FRONTEND_TABLES_H

#include <stdbool.h>
#include <stdint.h>

#include "frontend/capabilities.h"
#include "frontend/fault.h"
#include "frontend/guest.h"

/* Entries of one PASID table, which is what one entry of the PASID directory stands for. */
#define VTD_PASID_TABLE_BITS 6u
#define VTD_PASID_TABLE_SIZE (UINT32_C(1) << VTD_PASID_TABLE_BITS)

enum vtd_translation_type {
        VTD_PGTT_FIRST_STAGE = 1,
        VTD_PGTT_SECOND_STAGE = 2,
        VTD_PGTT_NESTED = 3,
        VTD_PGTT_PASSTHROUGH = 4,
};

/* What counts of a present, well-formed PASID-table entry. */
struct vtd_pasid_entry {
        enum vtd_translation_type type;
        uint16_t domain_id;
        uint32_t pasid;  /* under which it was found: RID_PASID for requests without PASID */
        bool fpd;        /* the OR of all FPD bits on the way */
        bool supervisor; /* SRE: of every type */
        /* First-stage and nested, else 0. */
        uint64_t first_stage_root;
        bool five_level;        /* FSPM */
        bool write_protect;     /* WPE */
        bool extended_accessed; /* EAFE */
        /* Second-stage and nested, else 0. */
        uint64_t second_stage_root;
        unsigned second_stage_levels; /* AW: 3, 4 or 5 */
        bool second_stage_dirty;      /* SSADE */
        bool page_walk_snoop;         /* PWSNP */
};

enum vtd_walk_level {
        VTD_WALK_ROOT,
        VTD_WALK_CONTEXT,
        VTD_WALK_DIRECTORY,
        VTD_WALK_PASID,
        VTD_WALK_END,
};

struct vtd_walk {
        enum vtd_walk_level level; /* of the entry that is read next */
        uint64_t address;          /* its address */
        uint16_t rid;
        bool with_pasid;    /* for requests with pasid, otherwise for those without one */
        uint32_t pasid;     /* without one: RID_PASID, known once past the context entry */
        uint64_t directory; /* past the context entry: the PASID directory, ... */
        uint32_t pasids;    /* ... and how many PASIDs it has entries for */
        bool fpd;
        /* Of the PASID-table entry, once it was found present, even if it is refused. */
        bool domain_known;
        uint16_t domain_id;
};

enum {
        VTD_WALK_E_MORE = 1, /* step again */
        VTD_WALK_E_ABSENT,   /* not present: *@reason says at which level */
        VTD_WALK_E_REFUSED,  /* *@reason */
};

/*
 * Prepares a walk below the latched root pointer @root, for requests of @rid with @pasid or, unless
 * @with_pasid, without one.
 */
void vtd_walk_begin(struct vtd_walk *walk, uint64_t root, uint16_t rid, bool with_pasid,
                    uint32_t pasid);

/*
 * Aims a walk that has come to the PASID directory at another @pasid below walk->pasids, or one that
 * has come to a PASID table at another @pasid of that table.
 */
void vtd_walk_aim(struct vtd_walk *walk, uint32_t pasid);

/*
 * Reads and judges one entry by what the guest was offered.
 * Returns 0 with *@entry; VTD_WALK_E_MORE; VTD_WALK_E_ABSENT or _REFUSED with *@reason.
 */
int vtd_walk_step(struct vtd_walk *walk, const struct vtd_guest *guest,
                  const struct vtd_capabilities *capabilities, struct vtd_pasid_entry *entry,
                  enum vtd_fault_reason *reason);

#endif
