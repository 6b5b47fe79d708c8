/* SPDX-License-Identifier: MIT */
/*
 * frontend/tables.c and frontend/scan.c: for any root pointer, any requester id and PASID and any
 * entries in the guest's memory, whatever the configuration of the unit; by induction over the steps
 * from any walk or scan that the functions below call sound.
 *
 * Bounds: none.  Assumes of the caller of a scan that it asks for PASIDs from 1 to 2^20.
 */
#include "tests/prove/prove.h"

#include <string.h>

#include "frontend/capabilities.c"
#undef BIT
#include "frontend/scan.c"
#include "frontend/tables.c"
#include "tests/prove/any-config.h"

#define PASIDS (UINT32_C(1) << 20)

struct vtd_walk nondet_walk(void);
struct vtd_scan nondet_scan(void);

/* Of any unit that can exist. */
static struct vtd_capabilities any_capabilities(void)
{
        struct vtd_frontend_config config = any_config();

        ASSUME(vtd_capabilities_check(NULL, &config) == 0);
        return vtd_capabilities_of(&config);
}

/* How much of the guest's memory was read, and where. */
struct memory {
        unsigned bits; /* of addresses */
        unsigned reads;
};

static int read_memory(void *opaque, uint64_t gpa, void *data, size_t size)
{
        struct memory *memory = opaque;
        uint64_t *to = data;

        memory->reads++;
        PROVE(size == 8 || size == 32 || size == 64);
        PROVE(gpa % size == 0 && gpa + size <= UINT64_C(1) << memory->bits);
        for (size_t i = 0; i < size / 8; i++)
                to[i] = nondet_u64();
        return nondet_int();
}

/* What the next step may rely on; past the end there is none. */
static bool is_walk_sound(const struct vtd_walk *walk)
{
        if ((unsigned)walk->level >= VTD_WALK_END || walk->address % levels[walk->level].size != 0)
                return false;
        if (walk->pasid >= PASIDS)
                return false;
        return walk->level < VTD_WALK_DIRECTORY ||
               (vtd_is_page_aligned(walk->directory) && walk->directory < UINT64_C(1) << 52 &&
                walk->pasids <= PASIDS && walk->pasid < walk->pasids);
}

static struct vtd_walk any_walk(void)
{
        struct vtd_walk walk = nondet_walk();

        walk.with_pasid = nondet_bool();
        walk.fpd = nondet_bool();
        walk.domain_known = nondet_bool();
        ASSUME(is_walk_sound(&walk));
        return walk;
}

void prove_walk_begin(void)
{
        struct vtd_walk walk;
        const uint32_t pasid = nondet_u32();

        ASSUME(pasid < PASIDS);
        vtd_walk_begin(&walk, nondet_u64(), nondet_u16(), nondet_bool(), pasid);
        PROVE(is_walk_sound(&walk) && walk.level == VTD_WALK_ROOT && !walk.fpd);
}

static void prove_entry(const struct vtd_pasid_entry *entry, const struct vtd_capabilities *c)
{
        uint64_t end = UINT64_C(1) << c->host_address_bits;
        bool first_stage = entry->type == VTD_PGTT_FIRST_STAGE || entry->type == VTD_PGTT_NESTED;
        bool second_stage = entry->type == VTD_PGTT_SECOND_STAGE || entry->type == VTD_PGTT_NESTED;

        PROVE(entry->type >= VTD_PGTT_FIRST_STAGE && entry->type <= VTD_PGTT_PASSTHROUGH);
        PROVE(IMPLIES(entry->type == VTD_PGTT_NESTED, c->ecap & VTD_ECAP_NEST));
        PROVE(IMPLIES(first_stage, c->ecap & VTD_ECAP_FSTS));
        PROVE(IMPLIES(second_stage, c->ecap & VTD_ECAP_SSTS));
        PROVE(entry->first_stage_root % 4096 == 0 && entry->first_stage_root < end);
        PROVE(entry->second_stage_root % 4096 == 0 && entry->second_stage_root < end);
        PROVE(IMPLIES(!first_stage, entry->first_stage_root == 0 && !entry->five_level));
        PROVE(IMPLIES(!second_stage, entry->second_stage_root == 0));
        PROVE(IMPLIES(entry->five_level, c->cap & VTD_CAP_FS5LP));
        PROVE(IMPLIES(entry->supervisor || entry->write_protect, c->ecap & VTD_ECAP_SRS));
        PROVE(IMPLIES(entry->extended_accessed, c->ecap & VTD_ECAP_EAFS));
        PROVE(IMPLIES(entry->second_stage_dirty, c->ecap & VTD_ECAP_SSADS));
        PROVE(IMPLIES(second_stage, entry->second_stage_levels >= 3 &&
                                            entry->second_stage_levels <= 5 &&
                                            (c->cap >> (6 + entry->second_stage_levels) & 1)));
}

/* One read at most; one level further or the end; an entry is one that the unit offers. */
void prove_walk_step(void)
{
        const struct vtd_capabilities capabilities = any_capabilities();
        struct memory memory = {.bits = capabilities.host_address_bits};
        const struct vtd_guest guest = {.callbacks = {.read_memory = read_memory},
                                        .opaque = &memory};
        enum vtd_fault_reason reason = VTD_FAULT_NONE;
        struct vtd_pasid_entry entry = {0};
        struct vtd_walk walk = any_walk();
        const struct vtd_walk before = walk;
        int r = vtd_walk_step(&walk, &guest, &capabilities, &entry, &reason);

        PROVE(memory.reads <= 1);
        PROVE(walk.rid == before.rid && walk.with_pasid == before.with_pasid);
        PROVE(IMPLIES(before.with_pasid, walk.pasid == before.pasid));
        PROVE(IMPLIES(before.fpd, walk.fpd));
        switch (r) {
        case 0:
                PROVE(before.level == VTD_WALK_PASID && reason == VTD_FAULT_NONE);
                PROVE(entry.pasid == walk.pasid && entry.fpd == walk.fpd && walk.domain_known);
                prove_entry(&entry, &capabilities);
                break;
        case VTD_WALK_E_MORE:
                PROVE(walk.level == before.level + 1 && is_walk_sound(&walk));
                break;
        default:
                PROVE(r == VTD_WALK_E_ABSENT || r == VTD_WALK_E_REFUSED);
                PROVE(walk.level == before.level && reason != VTD_FAULT_NONE);
        }
}

void prove_aim(void)
{
        struct vtd_walk walk = any_walk();
        const struct vtd_walk before = walk;
        const uint32_t pasid = nondet_u32();

        ASSUME(walk.level == VTD_WALK_DIRECTORY || walk.level == VTD_WALK_PASID);
        ASSUME(pasid < walk.pasids);
        vtd_walk_aim(&walk, pasid);
        PROVE(is_walk_sound(&walk) && walk.pasid == pasid && walk.level == before.level);
        if (walk.level == VTD_WALK_PASID)
                PROVE(walk.address >> 12 == before.address >> 12);
        else
                PROVE(walk.address == walk.directory + (uint64_t)(pasid / 64) * 8);
}

/* Before entering, the walk stands at the root or the context entry; then at the directory. */
static bool is_scan_sound(const struct vtd_scan *scan)
{
        const struct vtd_walk *directory = &scan->directory, *table = &scan->table;

        if (scan->next == 0 || scan->next > PASIDS || scan->end > PASIDS)
                return false;
        if (!is_walk_sound(directory) || !directory->with_pasid)
                return false;
        if (!scan->entered)
                return !scan->in_table && directory->level < VTD_WALK_DIRECTORY;
        if (directory->level != VTD_WALK_DIRECTORY || scan->end > directory->pasids)
                return false;
        return !scan->in_table ||
               (is_walk_sound(table) && table->level == VTD_WALK_PASID && table->with_pasid &&
                table->pasids == directory->pasids && scan->next < PASIDS);
}

void prove_scan_begin(void)
{
        const uint32_t first = nondet_u32(), end = nondet_u32();
        struct vtd_scan scan;

        ASSUME(first >= 1 && first < PASIDS && end <= PASIDS);
        vtd_scan_begin(&scan, nondet_u64(), nondet_u16(), first, end);
        PROVE(is_scan_sound(&scan) && scan.next == first && scan.end == end);
}

/* Steps that are left at most: each takes at least one away, so that every scan ends. */
static uint32_t steps_left(const struct vtd_scan *scan)
{
        if (!scan->entered)
                return 2 * PASIDS + 4 - scan->directory.level;
        return 2 * (PASIDS - scan->next) + !scan->in_table;
}

/* What is found is the PASID that was next; none is looked at twice, or at or beyond the end. */
void prove_scan_step(void)
{
        const struct vtd_capabilities capabilities = any_capabilities();
        struct memory memory = {.bits = capabilities.host_address_bits};
        const struct vtd_guest guest = {.callbacks = {.read_memory = read_memory},
                                        .opaque = &memory};
        struct vtd_scan scan = nondet_scan();
        struct vtd_finding finding = {0};
        uint32_t next, end, left;
        int r;

        scan.entered = nondet_bool();
        scan.in_table = nondet_bool();
        scan.directory.with_pasid = nondet_bool();
        scan.directory.fpd = nondet_bool();
        scan.directory.domain_known = nondet_bool();
        scan.table.with_pasid = nondet_bool();
        scan.table.fpd = nondet_bool();
        scan.table.domain_known = nondet_bool();
        ASSUME(is_scan_sound(&scan));
        next = scan.next;
        end = scan.end;
        left = steps_left(&scan);
        r = vtd_scan_step(&scan, &guest, &capabilities, &finding);
        PROVE(memory.reads <= 1);
        if (r == VTD_SCAN_E_END)
                return;
        PROVE(r == 0 || r == VTD_SCAN_E_MORE);
        PROVE(is_scan_sound(&scan) && scan.next >= next && scan.end <= end);
        PROVE(steps_left(&scan) < left);
        if (r == 0) {
                PROVE(next < end && finding.walk.pasid == next && scan.next > next);
                PROVE(IMPLIES(!finding.refused, finding.entry.pasid == next));
                PROVE(IMPLIES(!finding.refused, scan.next == next + 1));
        }
}
