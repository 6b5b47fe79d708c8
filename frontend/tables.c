/* SPDX-License-Identifier: MIT */
/*
 * See tables.h.  The order of judgement, for every level alike: the read fails; FPD is taken (even
 * of an entry that is not present); not present; reserved bits, those of absent capabilities
 * included; impossible values.  `levels` below is the whole of it.
 */
#include "frontend/tables.h"

#include <string.h>

#include "frontend/registers.h"
#include "protos/message.h"
#include "shared/checked.h"

#define BIT(n)       (UINT64_C(1) << (n))
#define ALL          UINT64_MAX
#define ABOVE_LIMIT  (~(BIT(VTD_PHYSICAL_ADDRESS_BITS) - 1))
#define POINTER_MASK (~(VTD_PAGE_SIZE - 1))

#define PASIDE BIT(3) /* context entry: requests with PASID are allowed */

#define ENTRY_WORDS 8u

/* Where @walk, past the context entry, finds the directory entry of @pasid. */
static uint64_t directory_entry(const struct vtd_walk *walk, uint32_t pasid)
{
        return walk->directory + (uint64_t)(pasid >> VTD_PASID_TABLE_BITS) * 8;
}

/* The same for the entry in the PASID table at @table. */
static uint64_t table_entry(uint64_t table, uint32_t pasid)
{
        return table + (uint64_t)(pasid & (VTD_PASID_TABLE_SIZE - 1)) * 64;
}

/*
 * Judges the values of a well-formed entry and, at all levels but the last, sets the address of the
 * next one.  Returns the fault reason, or VTD_FAULT_NONE.
 */
typedef enum vtd_fault_reason (*judge)(struct vtd_walk *walk, const uint64_t *words,
                                       struct vtd_pasid_entry *entry);

static enum vtd_fault_reason judge_root(struct vtd_walk *walk, const uint64_t *words,
                                        struct vtd_pasid_entry *entry)
{
        (void)entry;
        walk->address = (words[0] & POINTER_MASK) + (uint64_t)(walk->rid & 0x7f) * 32;
        return VTD_FAULT_NONE;
}

static enum vtd_fault_reason judge_context(struct vtd_walk *walk, const uint64_t *words,
                                           struct vtd_pasid_entry *entry)
{
        unsigned size_code = (words[0] >> 9) & 7;

        (void)entry;
        if (walk->with_pasid && !(words[0] & PASIDE))
                return VTD_FAULT_CONTEXT_NO_PASID;
        if (!walk->with_pasid)
                walk->pasid = words[1] & 0xfffff;
        if (walk->pasid >> (size_code + 13) != 0)
                return walk->with_pasid ? VTD_FAULT_CONTEXT_PASID : VTD_FAULT_CONTEXT_RID_PASID;
        walk->directory = words[0] & POINTER_MASK;
        walk->pasids = UINT32_C(1) << (size_code + 13);
        walk->address = directory_entry(walk, walk->pasid);
        return VTD_FAULT_NONE;
}

static enum vtd_fault_reason judge_directory(struct vtd_walk *walk, const uint64_t *words,
                                             struct vtd_pasid_entry *entry)
{
        (void)entry;
        walk->address = table_entry(words[0] & POINTER_MASK, walk->pasid);
        return VTD_FAULT_NONE;
}

static enum vtd_fault_reason judge_pasid(struct vtd_walk *walk, const uint64_t *words,
                                         struct vtd_pasid_entry *entry)
{
        unsigned type = (words[0] >> 6) & 7;
        unsigned first_stage_levels = (words[2] >> 2) & 3;

        if (type != VTD_PGTT_FIRST_STAGE && type != VTD_PGTT_PASSTHROUGH)
                return VTD_FAULT_PASID_INVALID;
        /* Four levels only: five-level paging is not offered. */
        if (type == VTD_PGTT_FIRST_STAGE && first_stage_levels != 0)
                return VTD_FAULT_PASID_INVALID;
        *entry = (struct vtd_pasid_entry){
                .type = type,
                .domain_id = walk->domain_id,
                .pasid = walk->pasid,
                .fpd = walk->fpd,
                .first_stage_root = type == VTD_PGTT_FIRST_STAGE ? words[2] & POINTER_MASK : 0,
        };
        return VTD_FAULT_NONE;
}

/*
 * Reserved bits include those of capabilities that are never offered: DTE and PRE (no ATS, no page
 * requests), RID_PRIV, SSADE, CD, EMTE and PAT (no memory types), SRE and WPE (no supervisor
 * requests), EAFE.  Ignored are AW (Linux fills it for every type), the rest of the second-stage
 * pointer, and NXE and SMEP, which are obsolete.
 */
static const struct walk_level {
        uint8_t size;
        bool has_fpd;
        enum vtd_fault_reason access, absent, reserved;
        uint64_t reserved_bits[ENTRY_WORDS];
        judge judge;
} levels[] = {
        /* One half of a root entry: the other half is not this request's. */
        [VTD_WALK_ROOT] = {8,
                           false,
                           VTD_FAULT_ROOT_ACCESS,
                           VTD_FAULT_ROOT_ABSENT,
                           VTD_FAULT_ROOT_RESERVED,
                           {ABOVE_LIMIT | 0xffe},
                           judge_root},
        [VTD_WALK_CONTEXT] = {32,
                              true,
                              VTD_FAULT_CONTEXT_ACCESS,
                              VTD_FAULT_CONTEXT_ABSENT,
                              VTD_FAULT_CONTEXT_RESERVED,
                              {ABOVE_LIMIT | 0x1fc, ~UINT64_C(0xfffff), ALL, ALL},
                              judge_context},
        [VTD_WALK_DIRECTORY] = {8,
                                true,
                                VTD_FAULT_DIRECTORY_ACCESS,
                                VTD_FAULT_DIRECTORY_ABSENT,
                                VTD_FAULT_DIRECTORY_RESERVED,
                                {ABOVE_LIMIT | 0xffc},
                                judge_directory},
        [VTD_WALK_PASID] = {64,
                            true,
                            VTD_FAULT_PASID_ACCESS,
                            VTD_FAULT_PASID_ABSENT,
                            VTD_FAULT_PASID_RESERVED,
                            {ABOVE_LIMIT | 0xe20, UINT64_C(0xffffffffff7f0000), ABOVE_LIMIT | 0xf93,
                             ALL, ALL, ALL, ALL, ALL},
                            judge_pasid},
};

/* Bits of the masks above that are free when the guest was offered a capability. */
static const struct optional_bits {
        enum vtd_walk_level level;
        unsigned word;
        uint64_t bits;
        uint64_t ecap;
} optional_bits[] = {
        {VTD_WALK_CONTEXT, 0, PASIDE, VTD_ECAP_PASID},
        {VTD_WALK_PASID, 1, BIT(24), VTD_ECAP_SC}, /* PGSNP */
};

static bool has_reserved_bits(enum vtd_walk_level level, const uint64_t *words, uint64_t ecap)
{
        for (unsigned word = 0; word < levels[level].size / sizeof(uint64_t); word++) {
                uint64_t mask = levels[level].reserved_bits[word];

                for (size_t i = 0; i < VTD_ARRAY_SIZE(optional_bits); i++)
                        if (optional_bits[i].level == level && optional_bits[i].word == word &&
                            (ecap & optional_bits[i].ecap))
                                mask &= ~optional_bits[i].bits;
                if (words[word] & mask)
                        return true;
        }
        return false;
}

void vtd_walk_begin(struct vtd_walk *walk, uint64_t root, uint16_t rid, uint32_t pasid)
{
        bool upper_half = rid & 0x80;

        *walk = (struct vtd_walk){
                .level = VTD_WALK_ROOT,
                .rid = rid,
                .with_pasid = pasid != VTD_NO_PASID,
                .pasid = pasid,
                .address = (root & POINTER_MASK) + (uint64_t)(rid >> 8) * 16 + (upper_half ? 8 : 0),
        };
}

void vtd_walk_aim(struct vtd_walk *walk, uint32_t pasid)
{
        walk->pasid = pasid;
        walk->address = walk->level == VTD_WALK_DIRECTORY
                                ? directory_entry(walk, pasid)
                                : table_entry(walk->address & POINTER_MASK, pasid);
}

int vtd_walk_step(struct vtd_walk *walk, const struct vtd_guest *guest, uint64_t ecap,
                  struct vtd_pasid_entry *entry, enum vtd_fault_reason *reason)
{
        const struct walk_level *level = &levels[walk->level];
        uint64_t words[ENTRY_WORDS] = {0};

        *reason = level->access;
        if (walk->address & ABOVE_LIMIT ||
            !vtd_guest_read(guest, walk->address, words, level->size))
                return VTD_WALK_E_REFUSED;
        if (level->has_fpd)
                walk->fpd |= (words[0] >> 1) & 1;
        *reason = level->absent;
        if (!(words[0] & 1))
                return VTD_WALK_E_ABSENT;
        if (walk->level == VTD_WALK_PASID) {
                walk->domain_known = true;
                walk->domain_id = words[1] & 0xffff;
        }
        *reason = level->reserved;
        if (has_reserved_bits(walk->level, words, ecap))
                return VTD_WALK_E_REFUSED;
        *reason = level->judge(walk, words, entry);
        if (*reason != VTD_FAULT_NONE)
                return VTD_WALK_E_REFUSED;
        walk->level++;
        return walk->level == VTD_WALK_END ? 0 : VTD_WALK_E_MORE;
}
