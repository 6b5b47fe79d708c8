/* SPDX-License-Identifier: MIT */
/*
 * The two stages of translation, for the files of this folder.  What both have in common: an entry
 * is read as one value and judged from that copy; accessed and dirty bits are set by comparing and
 * exchanging the whole entry, and not at all when none has to change.  When somebody changed the
 * entry in between, it is read and judged again, as often as VTD_ENTRY_TRIES: other walkers set each
 * of its three bits once, so who still finds it changed shares it with software that never stops
 * rewriting it, and would hang for its sake.
 */
#ifndef VTD_FRONTEND_DMA_STAGES_H
#define VTD_FRONTEND_DMA_STAGES_H

#include "frontend/dma/paging.h"
#include "shared/checked.h"

#define VTD_ENTRY_TRIES 8u

/* By what and below which PASID-table entry a walk is made. */
struct vtd_paging {
        const struct vtd_guest *guest;
        const struct vtd_capabilities *capabilities;
        const struct vtd_pasid_entry *entry;
};

/* Of entries of both stages. */
#define VTD_ENTRY_ADDRESS UINT64_C(0xffffffffff000)
#define VTD_ENTRY_PAGE    (UINT64_C(1) << 7) /* except in the lowest level, where all are pages */

/* What a stage's tables of one level hold. */
struct vtd_paging_level {
        unsigned shift;          /* log2 of what an entry stands for */
        uint64_t table_reserved; /* bits of an entry that refers to a table, ... */
        uint64_t page_reserved;  /* ... and of one that is a page */
        uint64_t page_offer;     /* the bit of CAP without which VTD_ENTRY_PAGE is reserved */
};

/* Whether @value is a page: never where VTD_ENTRY_PAGE is reserved for the whole level. */
static inline bool vtd_entry_is_page(const struct vtd_paging_level *level, uint64_t value)
{
        if (level->shift == VTD_PAGE_SHIFT)
                return true;
        return (value & VTD_ENTRY_PAGE) && !(level->table_reserved & VTD_ENTRY_PAGE);
}

/* The reserved bits of @value, but for those of the address's width. */
static inline uint64_t vtd_entry_reserved(const struct vtd_paging_level *level, uint64_t cap,
                                          uint64_t value)
{
        if (!vtd_entry_is_page(level, value))
                return level->table_reserved;
        if (level->page_offer && !(cap & level->page_offer))
                return level->page_reserved | VTD_ENTRY_PAGE;
        return level->page_reserved;
}

/* The bits below 2^@shift. */
static inline uint64_t vtd_low_bits(unsigned shift)
{
        return (UINT64_C(1) << shift) - 1;
}

/* Bits of addresses in entries that guest-physical memory does not have. */
static inline uint64_t vtd_entry_too_wide(const struct vtd_capabilities *capabilities)
{
        return VTD_ENTRY_ADDRESS & ~vtd_low_bits(capabilities->host_address_bits);
}

/* Where the entry for @address is in @table. */
static inline uint64_t vtd_entry_address(const struct vtd_paging_level *level, uint64_t table,
                                         uint64_t address)
{
        return table + ((address >> level->shift) & 511) * 8;
}

enum {
        VTD_ENTRY_E_CHANGED = 1, /* the entry is not @value any more */
        VTD_ENTRY_E_FAILED,      /* it is not guest RAM that can be written */
};

/* Makes the entry at @gpa, which was read as @value, @wanted.  Returns 0 or VTD_ENTRY_E_*. */
static inline int vtd_entry_update(const struct vtd_paging *paging, uint64_t gpa, uint64_t value,
                                   uint64_t wanted)
{
        uint64_t found;

        if (!vtd_guest_compare_exchange(paging->guest, gpa, value, wanted, &found))
                return VTD_ENTRY_E_FAILED;
        return found == value ? 0 : VTD_ENTRY_E_CHANGED;
}

/*
 * Walks the first stage for @request.  Of a nested entry it reaches its tables through the second
 * stage, and *@page is still an input of that.
 * Returns VTD_FAULT_NONE with *@page, which allows the request, or the reason that blocks it.
 */
enum vtd_fault_reason vtd_first_stage_walk(const struct vtd_paging *paging,
                                           const struct vtd_frontend_dma_request *request,
                                           struct vtd_page *page);

/* Walks the second stage for @access (VTD_FRONTEND_DMA_*) to the byte at @address.  Returns likewise. */
enum vtd_fault_reason vtd_second_stage_walk(const struct vtd_paging *paging, uint64_t address,
                                            unsigned access, struct vtd_page *page);

#endif
