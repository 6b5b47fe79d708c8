/* SPDX-License-Identifier: MIT */
/* See scan.h. */
#include "frontend/scan.h"

void vtd_scan_begin(struct vtd_scan *scan, uint64_t root, uint16_t rid, uint32_t first,
                    uint32_t end)
{
        *scan = (struct vtd_scan){.next = first, .end = end};
        vtd_walk_begin(&scan->directory, root, rid, true, first);
}

static int enter(struct vtd_scan *scan, const struct vtd_guest *guest,
                 const struct vtd_capabilities *capabilities, struct vtd_finding *finding)
{
        if (vtd_walk_step(&scan->directory, guest, capabilities, &finding->entry,
                          &finding->reason) != VTD_WALK_E_MORE)
                return VTD_SCAN_E_END;
        if (scan->directory.level == VTD_WALK_DIRECTORY) {
                scan->entered = true;
                if (scan->end > scan->directory.pasids)
                        scan->end = scan->directory.pasids;
        }
        return VTD_SCAN_E_MORE;
}

int vtd_scan_step(struct vtd_scan *scan, const struct vtd_guest *guest,
                  const struct vtd_capabilities *capabilities, struct vtd_finding *finding)
{
        struct vtd_walk *walk = &finding->walk;
        int r;

        if (scan->next >= scan->end)
                return VTD_SCAN_E_END;
        if (!scan->entered)
                return enter(scan, guest, capabilities, finding);
        *walk = scan->in_table ? scan->table : scan->directory;
        vtd_walk_aim(walk, scan->next);
        r = vtd_walk_step(walk, guest, capabilities, &finding->entry, &finding->reason);
        if (r == VTD_WALK_E_MORE) {
                scan->table = *walk;
                scan->in_table = true;
                return VTD_SCAN_E_MORE;
        }
        if (scan->in_table)
                scan->next++;
        else
                scan->next = (scan->next | (VTD_PASID_TABLE_SIZE - 1)) + 1;
        if (scan->next % VTD_PASID_TABLE_SIZE == 0)
                scan->in_table = false;
        finding->refused = r == VTD_WALK_E_REFUSED;
        return r == VTD_WALK_E_ABSENT ? VTD_SCAN_E_MORE : 0;
}
