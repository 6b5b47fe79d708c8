/* SPDX-License-Identifier: MIT */
/*
 * See tables.h.  The order of judgement, for every level alike: the read fails; FPD is taken (even
 * of an entry that is not present); not present; reserved bits, those of absent capabilities
 * included; impossible values.  `levels` below is the whole of it.
 */
#include "frontend/tables.h"

#include <string.h>

#include "frontend/assumptions.h"
#include "frontend/registers.h"
#include "shared/checked.h"

#define BIT(n)       (UINT64_C(1) << (n))
#define ALL          UINT64_MAX
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
                                       const struct vtd_capabilities *capabilities,
                                       struct vtd_pasid_entry *entry);

static enum vtd_fault_reason judge_root(struct vtd_walk *walk, const uint64_t *words,
                                        const struct vtd_capabilities *capabilities,
                                        struct vtd_pasid_entry *entry)
{
        (void)capabilities;
        (void)entry;
        walk->address = (words[0] & POINTER_MASK) + (uint64_t)(walk->rid & 0x7f) * 32;
        return VTD_FAULT_NONE;
}

static enum vtd_fault_reason judge_context(struct vtd_walk *walk, const uint64_t *words,
                                           const struct vtd_capabilities *capabilities,
                                           struct vtd_pasid_entry *entry)
{
        unsigned size_code = (words[0] >> 9) & 7;

        (void)capabilities;
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
                                             const struct vtd_capabilities *capabilities,
                                             struct vtd_pasid_entry *entry)
{
        (void)capabilities;
        (void)entry;
        walk->address = table_entry(words[0] & POINTER_MASK, walk->pasid);
        return VTD_FAULT_NONE;
}

/* What each translation type needs, by the numbers of PGTT. */
static bool is_offered(const struct vtd_capabilities *capabilities, unsigned type)
{
        static const struct {
                bool exists;
                uint64_t ecap;
        } types[8] = {
                [VTD_PGTT_FIRST_STAGE] = {true, VTD_ECAP_FSTS},
                [VTD_PGTT_SECOND_STAGE] = {true, VTD_ECAP_SSTS},
                [VTD_PGTT_NESTED] = {true, VTD_ECAP_NEST},
                [VTD_PGTT_PASSTHROUGH] = {true, 0},
        };

        return types[type].exists && (capabilities->ecap & types[type].ecap) == types[type].ecap;
}

static void take_first_stage(struct vtd_pasid_entry *entry, const uint64_t *words)
{
        entry->first_stage_root = words[2] & POINTER_MASK;
        entry->five_level = (words[2] >> 2) & 1;
        entry->write_protect = words[2] & BIT(4);
        entry->extended_accessed = words[2] & BIT(7);
}

static void take_second_stage(struct vtd_pasid_entry *entry, const uint64_t *words)
{
        entry->second_stage_root = words[0] & POINTER_MASK;
        entry->second_stage_levels = (unsigned)((words[0] >> 2) & 7) + 2;
        entry->second_stage_dirty = words[0] & BIT(9);
}

/*
 * AW counts for second-stage and nested only: Linux fills it for every type, also where there is no
 * second stage.
 */
static enum vtd_fault_reason judge_pasid(struct vtd_walk *walk, const uint64_t *words,
                                         const struct vtd_capabilities *capabilities,
                                         struct vtd_pasid_entry *entry)
{
        unsigned type = (words[0] >> 6) & 7, width = (words[0] >> 2) & 7;
        unsigned first_stage_mode = (words[2] >> 2) & 3;
        bool first_stage = type == VTD_PGTT_FIRST_STAGE || type == VTD_PGTT_NESTED;
        bool second_stage = type == VTD_PGTT_SECOND_STAGE || type == VTD_PGTT_NESTED;

        if (!is_offered(capabilities, type))
                return VTD_FAULT_PASID_INVALID;
        if (first_stage && (first_stage_mode > 1 ||
                            (first_stage_mode == 1 && !(capabilities->cap & VTD_CAP_FS5LP))))
                return VTD_FAULT_PASID_INVALID;
        if (second_stage && !(capabilities->cap & BIT(VTD_CAP_SAGAW_SHIFT + width)))
                return VTD_FAULT_PASID_INVALID;
        *entry = (struct vtd_pasid_entry){
                .type = type,
                .domain_id = walk->domain_id,
                .pasid = walk->pasid,
                .fpd = walk->fpd,
                .supervisor = words[2] & BIT(0),
                .page_walk_snoop = words[1] & BIT(23),
        };
        if (first_stage)
                take_first_stage(entry, words);
        if (second_stage)
                take_second_stage(entry, words);
        return VTD_FAULT_NONE;
}

/*
 * Reserved bits include those of capabilities that are never offered: DTE and PRE (no ATS, no page
 * requests), RID_PRIV, CD, EMTE and PAT (no memory types).  Bits at or above the width of physical
 * addresses come on top in the words that hold an address.  Ignored are AW and the second-stage
 * pointer where the type has no use for them, and NXE and SMEP, which are obsolete.
 */
static const struct walk_level {
        uint8_t size;
        bool has_fpd;
        uint8_t addresses; /* bit n: word n holds an address */
        enum vtd_fault_reason access, absent, reserved;
        uint64_t reserved_bits[ENTRY_WORDS];
        judge judge;
} levels[] = {
        /* One half of a root entry: the other half is not this request's. */
        [VTD_WALK_ROOT] = {8,
                           false,
                           0x1,
                           VTD_FAULT_ROOT_ACCESS,
                           VTD_FAULT_ROOT_ABSENT,
                           VTD_FAULT_ROOT_RESERVED,
                           {0xffe},
                           judge_root},
        [VTD_WALK_CONTEXT] = {32,
                              true,
                              0x1,
                              VTD_FAULT_CONTEXT_ACCESS,
                              VTD_FAULT_CONTEXT_ABSENT,
                              VTD_FAULT_CONTEXT_RESERVED,
                              {0x1c | VTD_ASSUMED_CONTEXT_RESERVED, ~UINT64_C(0xfffff), ALL, ALL},
                              judge_context},
        [VTD_WALK_DIRECTORY] = {8,
                                true,
                                0x1,
                                VTD_FAULT_DIRECTORY_ACCESS,
                                VTD_FAULT_DIRECTORY_ABSENT,
                                VTD_FAULT_DIRECTORY_RESERVED,
                                {0xffc},
                                judge_directory},
        [VTD_WALK_PASID] = {64,
                            true,
                            0x5,
                            VTD_FAULT_PASID_ACCESS,
                            VTD_FAULT_PASID_ABSENT,
                            VTD_FAULT_PASID_RESERVED,
                            {0xe20 | VTD_ASSUMED_RESERVED_WITHOUT_SECOND_STAGE,
                             UINT64_C(0xffffffffff7f0000), ~UINT64_C(0x60), ALL, ALL, ALL, ALL,
                             ALL},
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
        {VTD_WALK_PASID, 0, VTD_ASSUMED_RESERVED_WITHOUT_SECOND_STAGE, VTD_ECAP_SSTS},
        {VTD_WALK_PASID, 0, BIT(9), VTD_ECAP_SSADS},                        /* SSADE */
        {VTD_WALK_PASID, 1, BIT(24), VTD_ECAP_SC},                          /* PGSNP */
        {VTD_WALK_PASID, 2, POINTER_MASK | BIT(2) | BIT(3), VTD_ECAP_FSTS}, /* FSPTPTR, FSPM */
        {VTD_WALK_PASID, 2, BIT(0) | BIT(4), VTD_ECAP_SRS},                 /* SRE, WPE */
        {VTD_WALK_PASID, 2, BIT(7), VTD_ECAP_EAFS},                         /* EAFE */
};

static bool is_above_limit(const struct vtd_capabilities *capabilities, uint64_t address)
{
        return address >> capabilities->host_address_bits != 0;
}

static bool has_reserved_bits(const struct vtd_capabilities *capabilities,
                              enum vtd_walk_level level, const uint64_t *words)
{
        for (unsigned word = 0; word < levels[level].size / sizeof(uint64_t); word++) {
                uint64_t mask = levels[level].reserved_bits[word];

                for (size_t i = 0; i < VTD_ARRAY_SIZE(optional_bits); i++)
                        if (optional_bits[i].level == level && optional_bits[i].word == word &&
                            (capabilities->ecap & optional_bits[i].ecap))
                                mask &= ~optional_bits[i].bits;
                if (words[word] & mask)
                        return true;
                if ((levels[level].addresses & BIT(word)) &&
                    is_above_limit(capabilities, words[word]))
                        return true;
        }
        return false;
}

void vtd_walk_begin(struct vtd_walk *walk, uint64_t root, uint16_t rid, bool with_pasid,
                    uint32_t pasid)
{
        bool upper_half = rid & 0x80;

        *walk = (struct vtd_walk){
                .level = VTD_WALK_ROOT,
                .rid = rid,
                .with_pasid = with_pasid,
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

int vtd_walk_step(struct vtd_walk *walk, const struct vtd_guest *guest,
                  const struct vtd_capabilities *capabilities, struct vtd_pasid_entry *entry,
                  enum vtd_fault_reason *reason)
{
        const struct walk_level *level = &levels[walk->level];
        uint64_t words[ENTRY_WORDS] = {0};

        *reason = level->access;
        if (is_above_limit(capabilities, walk->address) ||
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
        if (has_reserved_bits(capabilities, walk->level, words))
                return VTD_WALK_E_REFUSED;
        *reason = level->judge(walk, words, capabilities, entry);
        if (*reason != VTD_FAULT_NONE)
                return VTD_WALK_E_REFUSED;
        walk->level++;
        return walk->level == VTD_WALK_END ? 0 : VTD_WALK_E_MORE;
}
