/* SPDX-License-Identifier: MIT */
/*
 * The first stage, of four or five levels, alone or with its tables behind the second stage.  Must
 * follow the order of the architecture:
 *
 *   the input is not canonical                                     80h
 *   then for each entry, from the top down:
 *     nested: the second stage does not let it be read             74h 75h 76h, or its own reason
 *     it cannot be read                                            73h top, 70h below
 *     it is not present                                            71h
 *     reserved bits                                                72h
 *     it is the page: U/S is 0 on the way, for a user request      81h
 *                     R/W is 0 on the way, for a write or an
 *                     atomic; of a supervisor only with WPE        85h
 *     A, with EAFE EA, and for the page that is written D is clear,
 *       and PWSNP is 0                                             90h
 *       nested: the second stage does not let it be written        74h 77h, or its own reason
 *       and it cannot be set                                       91h
 *
 * So a right that an entry on the way lacks is missed at the page only, and A is set in the entries
 * above one that faults, but not in that one.  With PWSNP 0 no write is tried, which is why the
 * second stage has no say before that.
 *
 * In nested translation addresses in entries are inputs of the second stage, whose width is judged
 * there: none of their bits is reserved here.  XD concerns execute requests, which are not offered,
 * G and the memory-type bits concern no emulated device.
 */
#include "frontend/assumptions.h"
#include "frontend/dma/stages.h"
#include "shared/checked.h"

#define BIT(n) (UINT64_C(1) << (n))

#define PRESENT           BIT(0)
#define RW                BIT(1)
#define US                BIT(2)
#define ACCESSED          BIT(5)
#define DIRTY             BIT(6)
#define EXTENDED_ACCESSED BIT(10)

/* From the lowest.  Bit 12 of a large page is no address but of the memory type. */
static const struct vtd_paging_level levels[] = {
        {12, 0, 0, 0},
        {21, 0, 0x1fe000, 0},
        {30, 0, 0x3fffe000, VTD_CAP_FS1GP},
        {39, VTD_ENTRY_PAGE, 0, 0},
        {48, VTD_ENTRY_PAGE, 0, 0},
};

/* A walk that has come to an entry of @table. */
struct walk {
        const struct vtd_paging *paging;
        const struct vtd_frontend_dma_request *request;
        const struct vtd_paging_level *level;
        bool top;
        uint64_t table;
        uint64_t rights; /* RW and US, as far as all entries have them */
        bool done;       /* table is the page, whose ... */
        bool dirty;      /* ... D is set */
};

static bool is_nested(const struct vtd_paging *paging)
{
        return paging->entry->type == VTD_PGTT_NESTED;
}

static uint64_t reserved_bits(const struct walk *walk, uint64_t value)
{
        const struct vtd_capabilities *capabilities = walk->paging->capabilities;

        return vtd_entry_reserved(walk->level, capabilities->cap, value) |
               VTD_ASSUMED_FIRST_STAGE_RESERVED |
               (is_nested(walk->paging) ? 0 : vtd_entry_too_wide(capabilities));
}

/* Judges @value in the place of the entry that @walk has come to. */
static enum vtd_fault_reason judge(const struct walk *walk, uint64_t value)
{
        bool page = vtd_entry_is_page(walk->level, value);
        bool user = !walk->request->privileged;
        uint64_t rights = walk->rights & value;
        const struct {
                bool applies;
                enum vtd_fault_reason reason;
        } rules[] = {
                {!(value & PRESENT), VTD_FAULT_FIRST_STAGE_ABSENT},
                {value & reserved_bits(walk, value), VTD_FAULT_FIRST_STAGE_RESERVED},
                {page && user && !(rights & US), VTD_FAULT_USER_DENIED},
                {page && (walk->request->access & VTD_FRONTEND_DMA_WRITE) && !(rights & RW) &&
                         (user || walk->paging->entry->write_protect),
                 VTD_FAULT_WRITE_DENIED},
        };

        for (size_t i = 0; i < VTD_ARRAY_SIZE(rules); i++)
                if (rules[i].applies)
                        return rules[i].reason;
        return VTD_FAULT_NONE;
}

/* What an entry that was found good is to be: with the bits that say what it was used for. */
static uint64_t marked(const struct walk *walk, uint64_t value)
{
        if (walk->paging->entry->extended_accessed)
                value |= EXTENDED_ACCESSED;
        if (vtd_entry_is_page(walk->level, value) &&
            (walk->request->access & VTD_FRONTEND_DMA_WRITE))
                value |= DIRTY;
        return value | ACCESSED;
}

/* Goes on to where the entry @value leads. */
static void follow(struct walk *walk, uint64_t value)
{
        walk->rights &= value;
        walk->done = vtd_entry_is_page(walk->level, value);
        walk->dirty = value & DIRTY;
        walk->table = value & VTD_ENTRY_ADDRESS;
        if (walk->done)
                walk->table &= ~vtd_low_bits(walk->level->shift); /* bit 12 is no address */
        else
                walk->level--;
        walk->top = false;
}

/* What the second stage's verdict on an access to a first-stage table means for the request. */
static const struct {
        enum vtd_fault_reason verdict, read_top, read_below, write;
} table_verdicts[] = VTD_ASSUMED_TABLE_VERDICTS;

/* Finds where the entry at @address is for @access: *@gpa. */
static enum vtd_fault_reason reach(const struct walk *walk, uint64_t address, unsigned access,
                                   uint64_t *gpa)
{
        struct vtd_page page;
        enum vtd_fault_reason reason;

        *gpa = address;
        if (!is_nested(walk->paging))
                return VTD_FAULT_NONE;
        reason = vtd_second_stage_walk(walk->paging, address, access, &page);
        if (reason == VTD_FAULT_NONE)
                *gpa = page.translated + (address & vtd_low_bits(page.shift));
        for (size_t i = 0; i < VTD_ARRAY_SIZE(table_verdicts); i++) {
                if (table_verdicts[i].verdict != reason)
                        continue;
                if (access == VTD_FRONTEND_DMA_WRITE)
                        return table_verdicts[i].write;
                return walk->top ? table_verdicts[i].read_top : table_verdicts[i].read_below;
        }
        return reason;
}

/* Makes the entry at @address, which was read as @value, @wanted; or *@changed. */
static enum vtd_fault_reason mark(const struct walk *walk, uint64_t address, uint64_t value,
                                  uint64_t wanted, bool *changed)
{
        enum vtd_fault_reason reason;
        uint64_t gpa;
        int r;

        *changed = false;
        if (wanted == value)
                return VTD_FAULT_NONE;
        if (!walk->paging->entry->page_walk_snoop)
                return VTD_FAULT_FIRST_STAGE_NO_SNOOP;
        reason = reach(walk, address, VTD_FRONTEND_DMA_WRITE, &gpa);
        if (reason != VTD_FAULT_NONE)
                return reason;
        r = vtd_entry_update(walk->paging, gpa, value, wanted);
        *changed = r == VTD_ENTRY_E_CHANGED;
        return r == 0 || *changed ? VTD_FAULT_NONE : VTD_FAULT_FIRST_STAGE_UPDATE;
}

static enum vtd_fault_reason step(struct walk *walk)
{
        uint64_t address = vtd_entry_address(walk->level, walk->table, walk->request->address);
        enum vtd_fault_reason reason;
        uint64_t gpa;

        reason = reach(walk, address, VTD_FRONTEND_DMA_READ, &gpa);
        if (reason != VTD_FAULT_NONE)
                return reason;
        for (unsigned tries = 0; tries < VTD_ENTRY_TRIES; tries++) {
                uint64_t value, wanted;
                bool changed;

                if (!vtd_guest_read(walk->paging->guest, gpa, &value, sizeof(value)))
                        return walk->top ? VTD_FAULT_FIRST_STAGE_ROOT_ACCESS
                                         : VTD_FAULT_FIRST_STAGE_ACCESS;
                reason = judge(walk, value);
                if (reason != VTD_FAULT_NONE)
                        return reason;
                wanted = marked(walk, value);
                reason = mark(walk, address, value, wanted, &changed);
                if (reason != VTD_FAULT_NONE)
                        return reason;
                if (!changed) {
                        follow(walk, wanted);
                        return VTD_FAULT_NONE;
                }
        }
        return VTD_FAULT_FIRST_STAGE_UPDATE;
}

/* Bits from the sign bit up are all alike. */
static bool is_canonical(uint64_t address, bool five_level)
{
        unsigned sign = five_level ? 56 : 47;
        uint64_t upper = address >> sign;

        return upper == 0 || upper == UINT64_MAX >> sign;
}

static unsigned allowed(bool any, bool write)
{
        return any ? VTD_FRONTEND_DMA_READ | (write ? VTD_FRONTEND_DMA_WRITE : 0) : 0;
}

enum vtd_fault_reason vtd_first_stage_walk(const struct vtd_paging *paging,
                                           const struct vtd_frontend_dma_request *request,
                                           struct vtd_page *page)
{
        const struct vtd_pasid_entry *entry = paging->entry;
        struct walk walk = {
                .paging = paging,
                .request = request,
                .level = &levels[entry->five_level ? 4 : 3],
                .top = true,
                .table = entry->first_stage_root,
                .rights = RW | US,
        };

        if (!is_canonical(request->address, entry->five_level))
                return VTD_FAULT_NOT_CANONICAL;
        while (!walk.done) {
                enum vtd_fault_reason reason = step(&walk);

                if (reason != VTD_FAULT_NONE)
                        return reason;
        }
        page->translated = walk.table;
        page->shift = walk.level->shift;
        page->user = allowed(walk.rights & US, (walk.rights & RW) && walk.dirty);
        page->supervisor = allowed(entry->supervisor,
                                   ((walk.rights & RW) || !entry->write_protect) && walk.dirty);
        return VTD_FAULT_NONE;
}
