/* SPDX-License-Identifier: MIT */
/*
 * The second stage, of three to five levels.  Must follow the order of the architecture:
 *
 *   the input is beyond the narrower of MGAW and AW                84h
 *   then for each entry, from the top down:
 *     it cannot be read                                            7Bh top, 78h below
 *     it is not present: neither R nor W                           79h
 *     reserved bits                                                7Ah
 *     it is the page: all entries together allow nothing           79h
 *                     ... no write, for a write or an atomic       85h
 *                     ... no read, for a read or an atomic         86h
 *     with SSADE, A (and for the page that is written, D) is clear,
 *       and PWSNP is 0                                             7Ch
 *       and it cannot be set                                       7Dh
 *
 * So a right that an entry on the way lacks is missed at the page only, and A is set in the entries
 * above one that faults, but not in that one.
 */
#include "frontend/dma/stages.h"
#include "shared/checked.h"

#define BIT(n) (UINT64_C(1) << (n))

#define R        BIT(0)
#define W        BIT(1)
#define ACCESSED BIT(8)
#define DIRTY    BIT(9)
#define SNOOP    BIT(11)
#define BIT_62   BIT(62) /* once TM */

/* From the lowest.  SNOOP comes on top where it is not offered. */
static const struct vtd_paging_level levels[] = {
        {12, 0, BIT_62, 0},
        {21, SNOOP | BIT_62, BIT_62 | 0x1ff000, VTD_CAP_SSLPS_2MIB},
        {30, SNOOP | BIT_62, BIT_62 | 0x3ffff000, VTD_CAP_SSLPS_1GIB},
        {39, SNOOP | BIT_62 | VTD_ENTRY_PAGE, 0, 0},
        {48, SNOOP | BIT_62 | VTD_ENTRY_PAGE, 0, 0},
};

/* A walk that has come to an entry of @table. */
struct walk {
        const struct vtd_paging *paging;
        uint64_t address;
        unsigned access;
        const struct vtd_paging_level *level;
        uint64_t table;
        uint64_t rights; /* R and W, as far as all entries have them */
        bool done;       /* table is the page */
};

static uint64_t reserved_bits(const struct walk *walk, uint64_t value)
{
        const struct vtd_capabilities *capabilities = walk->paging->capabilities;
        uint64_t reserved = vtd_entry_reserved(walk->level, capabilities->cap, value) |
                            vtd_entry_too_wide(capabilities);

        if (!(capabilities->ecap & VTD_ECAP_SC))
                reserved |= SNOOP;
        return reserved;
}

/* Judges @value in the place of the entry that @walk has come to. */
static enum vtd_fault_reason judge(const struct walk *walk, uint64_t value)
{
        bool page = vtd_entry_is_page(walk->level, value);
        uint64_t rights = walk->rights & value;
        const struct {
                bool applies;
                enum vtd_fault_reason reason;
        } rules[] = {
                {!(value & (R | W)), VTD_FAULT_SECOND_STAGE_ABSENT},
                {value & reserved_bits(walk, value), VTD_FAULT_SECOND_STAGE_RESERVED},
                {page && !rights, VTD_FAULT_SECOND_STAGE_ABSENT},
                {page && (walk->access & VTD_FRONTEND_DMA_WRITE) && !(rights & W),
                 VTD_FAULT_WRITE_DENIED},
                {page && (walk->access & VTD_FRONTEND_DMA_READ) && !(rights & R),
                 VTD_FAULT_READ_DENIED},
        };

        for (size_t i = 0; i < VTD_ARRAY_SIZE(rules); i++)
                if (rules[i].applies)
                        return rules[i].reason;
        return VTD_FAULT_NONE;
}

/* What an entry that was found good is to be: with the bits that say what it was used for. */
static uint64_t marked(const struct walk *walk, uint64_t value)
{
        if (!walk->paging->entry->second_stage_dirty)
                return value;
        if (vtd_entry_is_page(walk->level, value) && (walk->access & VTD_FRONTEND_DMA_WRITE))
                value |= DIRTY;
        return value | ACCESSED;
}

/* Goes on to where the entry @value leads. */
static void follow(struct walk *walk, uint64_t value)
{
        walk->rights &= value;
        walk->table = value & VTD_ENTRY_ADDRESS;
        walk->done = vtd_entry_is_page(walk->level, value);
        if (!walk->done)
                walk->level--;
        else if (walk->paging->entry->second_stage_dirty && !(value & DIRTY))
                walk->rights &= ~W; /* for others: a write has to set D first */
}

static enum vtd_fault_reason step(struct walk *walk, bool top)
{
        uint64_t gpa = vtd_entry_address(walk->level, walk->table, walk->address);

        for (unsigned tries = 0; tries < VTD_ENTRY_TRIES; tries++) {
                enum vtd_fault_reason reason;
                uint64_t value, wanted;
                int r = 0;

                if (!vtd_guest_read(walk->paging->guest, gpa, &value, sizeof(value)))
                        return top ? VTD_FAULT_SECOND_STAGE_ROOT_ACCESS
                                   : VTD_FAULT_SECOND_STAGE_ACCESS;
                reason = judge(walk, value);
                if (reason != VTD_FAULT_NONE)
                        return reason;
                wanted = marked(walk, value);
                if (wanted != value && !walk->paging->entry->page_walk_snoop)
                        return VTD_FAULT_SECOND_STAGE_NO_SNOOP;
                if (wanted != value)
                        r = vtd_entry_update(walk->paging, gpa, value, wanted);
                if (r == 0) {
                        follow(walk, wanted);
                        return VTD_FAULT_NONE;
                }
                if (r != VTD_ENTRY_E_CHANGED)
                        break;
        }
        return VTD_FAULT_SECOND_STAGE_UPDATE;
}

/* Addresses have fewer bits than this. */
static unsigned input_bits(const struct vtd_paging *paging)
{
        unsigned table_bits = 12 + 9 * paging->entry->second_stage_levels;
        unsigned bits =
                (unsigned)((paging->capabilities->cap >> VTD_CAP_MGAW_SHIFT) & VTD_CAP_MGAW_MASK) +
                1;

        return bits < table_bits ? bits : table_bits;
}

enum vtd_fault_reason vtd_second_stage_walk(const struct vtd_paging *paging, uint64_t address,
                                            unsigned access, struct vtd_page *page)
{
        const struct vtd_paging_level *top = &levels[paging->entry->second_stage_levels - 1];
        struct walk walk = {
                .paging = paging,
                .address = address,
                .access = access,
                .level = top,
                .table = paging->entry->second_stage_root,
                .rights = R | W,
        };

        if (address & ~vtd_low_bits(input_bits(paging)))
                return VTD_FAULT_SECOND_STAGE_RANGE;
        while (!walk.done) {
                enum vtd_fault_reason reason = step(&walk, walk.level == top);

                if (reason != VTD_FAULT_NONE)
                        return reason;
        }
        page->translated = walk.table;
        page->shift = walk.level->shift;
        page->user = (walk.rights & R ? VTD_FRONTEND_DMA_READ : 0) |
                     (walk.rights & W ? VTD_FRONTEND_DMA_WRITE : 0);
        page->supervisor = paging->entry->supervisor ? page->user : 0;
        return VTD_FAULT_NONE;
}
