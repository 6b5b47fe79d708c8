/* SPDX-License-Identifier: MIT */
/*
 * Looks for the PASIDs that a device's PASID tables have entries for.  A PASID space has up to 2^20
 * entries and is sparse: each directory entry is read once, and a PASID table only when its
 * directory entry is present.  One step reads one entry, so that the caller can bound its work and
 * go on later; the state has a fixed size.
 *
 * A guest may aim all 2^14 directory entries at one table, so that its 64 entries are found 2^14
 * times.  The caller ends a scan when it has no room for what is found.
 */
#ifndef VTD_FRONTEND_SCAN_H
#define VTD_FRONTEND_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "frontend/tables.h"

struct vtd_scan {
        uint32_t next, end; /* the PASIDs that are still to be looked at */
        bool entered;       /* directory has come past the context entry */
        bool in_table;      /* table has come past the directory entry of next */
        struct vtd_walk directory, table;
};

/* What was found. */
struct vtd_finding {
        bool refused; /* entry is not well-formed, or cannot be read: reason says why */
        struct vtd_walk walk;
        struct vtd_pasid_entry entry; /* unless refused */
        enum vtd_fault_reason reason;
};

enum {
        VTD_SCAN_E_MORE = 1, /* nothing yet: step again */
        VTD_SCAN_E_END,
};

/* Prepares to look at PASIDs @first (not 0) to below @end of @rid. */
void vtd_scan_begin(struct vtd_scan *scan, uint64_t root, uint16_t rid, uint32_t first,
                    uint32_t end);

/*
 * Reads one entry.  Returns 0 with *@finding when it is a present PASID-table entry, or a directory
 * or PASID-table entry that is refused (the first PASID below it is given); VTD_SCAN_E_MORE;
 * VTD_SCAN_E_END when all was looked at, or when the context entry allows no PASIDs or is refused
 * itself, which the requests without PASID tell of.
 */
int vtd_scan_step(struct vtd_scan *scan, const struct vtd_guest *guest,
                  const struct vtd_capabilities *capabilities, struct vtd_finding *finding);

#endif
