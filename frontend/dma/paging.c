/* SPDX-License-Identifier: MIT */
/*
 * See paging.h.  Must judge a request by its PASID-table entry, have the stages that the entry names
 * walked, and judge where the request comes out:
 *
 *   a privileged request, and SRE is 0                             5Dh
 *   what the first stage says, then the second on what comes out of that
 *   the byte is in the interrupt range                             87h
 *
 * A fault of a later stage finds A and D set by the earlier one.
 */
#include "frontend/dma/paging.h"

#include "frontend/dma/stages.h"
#include "shared/checked.h"

/* Makes @page the block of 2^@shift bytes, which are no more than it has, around @address in it. */
static void narrow(struct vtd_page *page, unsigned shift, uint64_t address)
{
        page->translated |= address & vtd_low_bits(page->shift) & ~vtd_low_bits(shift);
        page->shift = shift;
}

/* Both stages: their rights together, in the smaller of their pages. */
static enum vtd_fault_reason walk_nested(const struct vtd_paging *paging,
                                         const struct vtd_frontend_dma_request *request,
                                         struct vtd_page *page)
{
        enum vtd_fault_reason reason;
        struct vtd_page first;
        uint64_t between;

        reason = vtd_first_stage_walk(paging, request, &first);
        if (reason != VTD_FAULT_NONE)
                return reason;
        between = first.translated | (request->address & vtd_low_bits(first.shift));
        reason = vtd_second_stage_walk(paging, between, request->access, page);
        if (reason != VTD_FAULT_NONE)
                return reason;
        if (first.shift < page->shift)
                narrow(page, first.shift, between);
        page->user &= first.user;
        page->supervisor &= first.supervisor;
        return VTD_FAULT_NONE;
}

static enum vtd_fault_reason walk(const struct vtd_paging *paging,
                                  const struct vtd_frontend_dma_request *request,
                                  struct vtd_page *page)
{
        switch (paging->entry->type) {
        case VTD_PGTT_FIRST_STAGE:
                return vtd_first_stage_walk(paging, request, page);
        case VTD_PGTT_SECOND_STAGE:
                return vtd_second_stage_walk(paging, request->address, request->access, page);
        case VTD_PGTT_NESTED:
                return walk_nested(paging, request, page);
        case VTD_PGTT_PASSTHROUGH:
                break; /* has no tables: not for here */
        }
        return VTD_FAULT_PASID_INVALID;
}

static bool meets_interrupts(uint64_t address, uint64_t size)
{
        return vtd_ranges_overlap(address, size, VTD_INTERRUPT_RANGE_START,
                                  VTD_INTERRUPT_RANGE_SIZE);
}

/*
 * Judges the byte that @address comes out at in @page, and makes the block around it so small that it
 * is memory.  It must not begin on one side of the interrupt range for the device either, and hold
 * some of it: there are no tables for what requests without PASID write there.
 */
static enum vtd_fault_reason judge_output(struct vtd_page *page, uint64_t address)
{
        static const unsigned shifts[] = {30, 21, VTD_PAGE_SHIFT};

        if (meets_interrupts(page->translated | (address & vtd_low_bits(page->shift)), 1))
                return VTD_FAULT_INTERRUPT_RANGE;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(shifts); i++) {
                uint64_t size = UINT64_C(1) << shifts[i];

                if (shifts[i] > page->shift)
                        continue;
                narrow(page, shifts[i], address);
                if (!meets_interrupts(page->translated, size) &&
                    !meets_interrupts(address & ~(size - 1), size))
                        break;
        }
        return VTD_FAULT_NONE;
}

int vtd_paging_walk(const struct vtd_guest *guest, const struct vtd_capabilities *capabilities,
                    const struct vtd_pasid_entry *entry,
                    const struct vtd_frontend_dma_request *request, struct vtd_page *page,
                    enum vtd_fault_reason *reason)
{
        const struct vtd_paging paging = {guest, capabilities, entry};

        *reason = VTD_FAULT_PASID_SUPERVISOR;
        if (request->privileged && !entry->supervisor)
                return VTD_PAGING_E_FAULT;
        *reason = walk(&paging, request, page);
        if (*reason == VTD_FAULT_NONE)
                *reason = judge_output(page, request->address);
        return *reason == VTD_FAULT_NONE ? 0 : VTD_PAGING_E_FAULT;
}
