/* SPDX-License-Identifier: MIT */
/* See deviations.h. */
#include "tests/diff/deviations.h"

#include <string.h>

#include "shared/checked.h"
#include "tests/diff/builder.h"

#define REG_GSTS 0x01cu
#define REG_IQH  0x080u

#define FSTS_PFO UINT32_C(0x1)
#define FSTS_IQE UINT32_C(0x10)
#define IQA_DW   UINT32_C(0x800)
#define FAULT_F  UINT32_C(0x80000000)

#define POINTER       UINT64_C(0xfffffffff000)
#define ROOT_RESERVED UINT64_C(0xffff000000000ffe)

#define ENTRY_A UINT64_C(0x20) /* accessed, in first-stage entries */
#define ENTRY_D UINT64_C(0x40) /* dirty */

/*
 * Registers in which the two units are meant to be different.  They differ from reset on, whatever
 * a program does.
 */
static const struct {
        uint16_t offset;
        bool first_stage_only; /* in setups with first stage only */
        uint32_t bits;
        const char *reason;
} exclusions[] = {
        {0x000, false, 0xffffffff, "VER: without register-based invalidation it is 6.0 or more"},
        {0x008, false, 0x00400000, "CAP: ZLR"},
        {0x008, true, 0x00001f00, "CAP: SAGAW, which QEMU reports without a second stage too"},
        {0x00c, false, 0x40000000, "CAP: ESIRTPS"},
        {0x00c, true, 0x0000003c, "CAP: SSLPS, as SAGAW"},
        {0x010, false, 0x80000001, "ECAP: C; SRS, which QEMU reports with second stage alone"},
        {0x014, false, 0x00030000, "ECAP: SMPWCS, RPS"},
        {0x028, false, 0xffffffff, "CCMD: register-based invalidation"},
        {0x02c, false, 0xffffffff, "CCMD"},
        {0x0a4, false, 0xffff0000, "IEDATA: bits that are reserved in later revisions"},
        {0x0b0, false, 0xffffffff, "IQERCD: deviation 12, QEMU does not have it"},
        {0x0b4, false, 0xffffffff, "IQERCD"},
        {0x0b8, false, 0xffffffff, "IRTA: QEMU keeps it without interrupt remapping too"},
        {0x0bc, false, 0xffffffff, "IRTA"},
        {0x0f0, false, 0xffffffff, "IVA: register-based invalidation"},
        {0x0f4, false, 0xffffffff, "IVA"},
        {0x0f8, false, 0xffffffff, "IOTLB: register-based invalidation"},
        {0x0fc, false, 0xffffffff, "IOTLB"},
};

uint32_t diff_excluded(enum diff_setup setup, unsigned offset)
{
        uint32_t bits = 0;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(exclusions); i++)
                if (exclusions[i].offset == offset &&
                    (!exclusions[i].first_stage_only || setup != DIFF_SECOND_STAGE))
                        bits |= exclusions[i].bits;
        return bits;
}

void diff_print_exclusions(FILE *out)
{
        for (size_t i = 0; i < VTD_ARRAY_SIZE(exclusions); i++)
                fprintf(out, "# not compared: register %03x, bits %08x%s: %s\n",
                        exclusions[i].offset, exclusions[i].bits,
                        exclusions[i].first_stage_only ? ", without second stage" : "",
                        exclusions[i].reason);
}

static uint32_t dword(const uint8_t *page, unsigned offset)
{
        uint32_t value;

        memcpy(&value, page + offset, sizeof(value));
        return value;
}

/* RTADDR as SRTP has latched it before the step. */
static uint64_t latched_root(const struct diff_view *view)
{
        uint64_t written = 0, latched = 0;

        for (unsigned i = 0; i <= view->step && i < view->program->count; i++) {
                const struct diff_step *step = &view->program->steps[i];

                if (step->kind != DIFF_WRITE)
                        continue;
                if (step->address == REG_RTADDR)
                        written = step->words[0];
                if (step->address == REG_GCMD && (step->words[0] & GCMD_SRTP))
                        latched = written;
        }
        return latched;
}

/* What the program has stored at @gpa before the step; false: nothing. */
static bool stored(const struct diff_view *view, uint64_t gpa, uint64_t *value)
{
        bool found = false;

        *value = 0;
        for (unsigned i = 0; i <= view->step && i < view->program->count; i++) {
                const struct diff_step *step = &view->program->steps[i];

                if (step->kind != DIFF_MEMORY || gpa < step->address ||
                    gpa >= step->address + step->size * sizeof(uint64_t))
                        continue;
                *value = step->words[(gpa - step->address) / sizeof(uint64_t)];
                found = true;
        }
        return found;
}

/* The step, when it is DMA. */
static const struct diff_step *dma_of(const struct diff_view *view)
{
        const struct diff_step *step = &view->program->steps[view->step];

        return view->step < view->program->count && step->kind >= DIFF_DMA ? step : NULL;
}

/* Both halves of the root entry of the device of a DMA step: its own first. */
static bool root_entry(const struct diff_view *view, uint64_t halves[2])
{
        const struct diff_step *step = dma_of(view);
        uint64_t entry = latched_root(view) & POINTER;
        unsigned rid, half;

        if (!step)
                return false;
        rid = diff_devices[step->device].rid;
        half = rid >> 7 & 1;
        entry += (rid >> 8) * 16;
        (void)stored(view, entry + half * 8, &halves[0]);
        (void)stored(view, entry + (1 - half) * 8, &halves[1]);
        return true;
}

/* What is stored on the way of the device of a DMA step; 0 from where it does not go on. */
struct way {
        uint64_t root, context, directory, pasid[8];
};

static bool find_way(const struct diff_view *view, struct way *way)
{
        const struct diff_step *step = dma_of(view);
        uint64_t halves[2];

        *way = (struct way){0};
        if (!root_entry(view, halves))
                return false;
        way->root = halves[0];
        if (way->root & 1)
                (void)stored(view,
                             (way->root & POINTER) + (diff_devices[step->device].rid & 0x7f) * 32,
                             &way->context);
        if (way->context & 1)
                (void)stored(view, way->context & POINTER, &way->directory);
        for (unsigned i = 0; (way->directory & 1) && i < VTD_ARRAY_SIZE(way->pasid); i++)
                (void)stored(view, (way->directory & POINTER) + i * 8, &way->pasid[i]);
        return true;
}

/* What a DMA step of which the sides think differently shows: its result, its data, its fault. */
static bool is_about_dma(const struct diff_view *view)
{
        if (!dma_of(view))
                return false;
        return view->matter == DIFF_RESULT || view->matter == DIFF_ARRIVAL ||
               (view->matter == DIFF_REGISTER &&
                (view->where == REG_FSTS || view->where == REG_FECTL ||
                 (view->where >= REG_FRCD && view->where < REG_FRCD + 16)));
}

/* Not of a DMA that arrived on the side of which that is not said. */
static bool agrees_with(const struct diff_view *view, bool ours_arrived)
{
        return view->matter != DIFF_RESULT || view->ours == ours_arrived;
}

/* The reasons of a record that differs in nothing else. */
static bool are_reasons(const struct diff_view *view, uint8_t ours, uint8_t theirs)
{
        return view->matter == DIFF_REGISTER && view->where == REG_FRCD + 12 &&
               ((view->ours ^ view->theirs) & ~UINT64_C(0xff)) == 0 &&
               (view->ours & 0xff) == ours && (view->theirs & 0xff) == theirs;
}

/* The half of other devices, which is no matter of this one. */
static bool other_half_of_root_entry(const struct diff_view *view)
{
        uint64_t halves[2];

        return is_about_dma(view) && agrees_with(view, true) && root_entry(view, halves) &&
               !(halves[0] & ROOT_RESERVED) && (halves[1] & ROOT_RESERVED);
}

/* What a copier reads is seen where it writes it, in any later step. */
static bool is_unseen_read(const struct diff_view *view)
{
        const struct diff_step *step = dma_of(view);

        return step && step->kind == DIFF_COPY_IN;
}

static bool hidden_by_other_half(const struct diff_view *view, bool arrived)
{
        uint64_t halves[2];

        (void)arrived;
        return is_unseen_read(view) && root_entry(view, halves) && (halves[1] & ROOT_RESERVED);
}

static bool hidden_by_width(const struct diff_view *view, bool arrived)
{
        struct way way;

        (void)arrived;
        return is_unseen_read(view) && find_way(view, &way) && (way.pasid[0] >> 6 & 7) == 1 &&
               (way.pasid[0] >> 2 & 7) != 2;
}

/* Faults on the way of the device are not recorded. */
static bool is_fpd_set(const struct way *way)
{
        return ((way->context | way->directory | way->pasid[0]) & 0x2) != 0;
}

/* Where it is to be ignored. */
static bool width_of_first_stage(const struct diff_view *view)
{
        struct way way;

        return is_about_dma(view) && agrees_with(view, true) && find_way(view, &way) &&
               (way.pasid[0] >> 6 & 7) == 1 && (way.pasid[0] >> 2 & 7) != 2;
}

static bool without_snooping(const struct diff_view *view)
{
        struct way way;

        return is_about_dma(view) && agrees_with(view, false) && find_way(view, &way) &&
               (way.pasid[0] >> 6 & 7) == 1 && !(way.pasid[1] & PWSNP) &&
               ((dword(view->our_page, REG_FRCD + 12) & 0xff) == 0x90 || is_fpd_set(&way));
}

static bool rights_first(const struct diff_view *view)
{
        static const uint8_t ours[] = {0x70, 0x71, 0x72, 0x78, 0x7a, 0x81, 0x85};
        static const uint8_t theirs[] = {0x05, 0x06, 0x81, 0x85};

        for (size_t i = 0; i < VTD_ARRAY_SIZE(ours); i++)
                for (size_t j = 0; j < VTD_ARRAY_SIZE(theirs); j++)
                        if (ours[i] != theirs[j] && are_reasons(view, ours[i], theirs[j]))
                                return true;
        return false;
}

static bool hidden_without_snooping(const struct diff_view *view, bool arrived)
{
        struct way way;

        return !arrived && find_way(view, &way) && (way.pasid[0] >> 6 & 7) == 1 &&
               !(way.pasid[1] & PWSNP) && is_fpd_set(&way);
}

static bool absent_pasid_entry(const struct diff_view *view)
{
        return are_reasons(view, 0x59, 0x5b);
}

/* Reserved bits that theirs does not look at, on the device's way. */
static bool has_unchecked_bits(const struct diff_view *view)
{
        static const uint64_t reserved[8] = {UINT64_C(0xffff000000000e20),
                                             UINT64_C(0xffffffffff7f0000),
                                             UINT64_C(0xffff000000000f93),
                                             UINT64_MAX,
                                             UINT64_MAX,
                                             UINT64_MAX,
                                             UINT64_MAX,
                                             UINT64_MAX};
        bool found = false;
        struct way way;

        if (!find_way(view, &way))
                return false;
        if (view->program->setup == DIFF_SECOND_STAGE)
                found = way.pasid[2] != 0;
        found |= (way.context & 0x1c) != 0 || (way.directory & UINT64_C(0xffff000000000ffc)) != 0;
        for (unsigned i = 0; i < VTD_ARRAY_SIZE(way.pasid); i++)
                found |= (way.pasid[i] & reserved[i]) != 0;
        return found;
}

static bool hidden_by_unchecked_bits(const struct diff_view *view, bool arrived)
{
        struct way way;

        return !arrived && has_unchecked_bits(view) && find_way(view, &way) && is_fpd_set(&way);
}

static bool unchecked_reserved_bits(const struct diff_view *view)
{
        return is_about_dma(view) && agrees_with(view, false) && has_unchecked_bits(view) &&
               !(view->matter == DIFF_REGISTER && view->where == REG_FRCD + 12 &&
                 (view->ours & view->theirs & FAULT_F));
}

static bool unchecked_reserved_bits_then(const struct diff_view *view)
{
        return view->matter == DIFF_REGISTER && view->where == REG_FRCD + 12 &&
               has_unchecked_bits(view) && ((view->ours ^ view->theirs) & ~UINT64_C(0xff)) == 0;
}

/* Their record of a fault that an entry suppresses which is itself at fault. */
static bool suppression_by_bad_entry(const struct diff_view *view)
{
        struct way way;

        return is_about_dma(view) && view->matter == DIFF_REGISTER && find_way(view, &way) &&
               ((way.directory | way.pasid[0]) & 0x2) &&
               (dword(view->their_page, REG_FRCD + 12) & ~dword(view->our_page, REG_FRCD + 12) &
                FAULT_F);
}

static bool reserved_context_bits_reported(const struct diff_view *view)
{
        uint32_t theirs = dword(view->their_page, REG_FRCD + 12);
        struct way way;

        return is_about_dma(view) && view->matter == DIFF_REGISTER && find_way(view, &way) &&
               (way.context & 0x2) && (theirs & 0xff) == 0x0b &&
               (theirs & ~dword(view->our_page, REG_FRCD + 12) & FAULT_F);
}

/* SNP in a leaf, without snoop control. */
static bool snoop_bit(const struct diff_view *view)
{
        return is_about_dma(view) && agrees_with(view, false) &&
               view->program->setup == DIFF_SECOND_STAGE &&
               (dword(view->our_page, REG_FRCD + 12) & 0xff) == 0x7a &&
               (view->matter != DIFF_REGISTER ||
                (dword(view->our_page, REG_FRCD + 12) & ~dword(view->their_page, REG_FRCD + 12) &
                 FAULT_F));
}

static bool legacy_reasons(const struct diff_view *view)
{
        static const uint8_t pairs[][2] = {
                {0x38, 0x08}, {0x39, 0x01}, {0x3a, 0x0a}, {0x40, 0x09}, {0x41, 0x02},
                {0x42, 0x0b}, {0x78, 0x07}, {0x79, 0x05}, {0x79, 0x06}, {0x7a, 0x0c},
                {0x7b, 0x03}, {0x84, 0x04}, {0x85, 0x05}, {0x86, 0x06},
        };

        for (size_t i = 0; i < VTD_ARRAY_SIZE(pairs); i++)
                if (are_reasons(view, pairs[i][0], pairs[i][1]))
                        return true;
        return false;
}

static bool collapsed_faults(const struct diff_view *view)
{
        return view->matter == DIFF_REGISTER && view->where == REG_FSTS &&
               (view->ours ^ view->theirs) == FSTS_PFO && (view->ours & FSTS_PFO) &&
               (dword(view->our_page, REG_FRCD + 12) & FAULT_F) &&
               dword(view->our_page, REG_FRCD + 8) == dword(view->their_page, REG_FRCD + 8);
}

/* Here the bit is dropped from IQT with the error, there it stays until the next write. */
static bool misaligned_tail_kept(const struct diff_view *view)
{
        return view->matter == DIFF_REGISTER && view->where == REG_IQT &&
               view->theirs == (view->ours | 0x10) &&
               (dword(view->their_page, REG_FSTS) & dword(view->our_page, REG_FSTS) & FSTS_IQE);
}

/* Theirs has stopped at a descriptor, the first words of which are told, that ours has passed. */
static bool stopped_at(const struct diff_view *view, uint64_t words[2])
{
        uint64_t base = (dword(view->their_page, REG_IQA) & ~UINT32_C(0xfff)) |
                        (uint64_t)dword(view->their_page, REG_IQA + 4) << 32;
        uint64_t descriptor = base + dword(view->their_page, REG_IQH);
        bool about = view->where == REG_FSTS || view->where == REG_FECTL ||
                     view->where == REG_IQH || view->where == REG_ICS || view->where == REG_IECTL;

        return view->matter == DIFF_REGISTER && about &&
               (dword(view->their_page, REG_FSTS) & ~dword(view->our_page, REG_FSTS) & FSTS_IQE) &&
               stored(view, descriptor, &words[0]) && stored(view, descriptor + 8, &words[1]);
}

static unsigned descriptor_type(const uint64_t words[2])
{
        return (unsigned)((words[0] & 0xf) | (words[0] >> 5 & 0x70));
}

static bool large_first_stage_mask(const struct diff_view *view)
{
        uint64_t words[2];

        return stopped_at(view, words) && descriptor_type(words) == 6 && (words[0] >> 4 & 3) == 3 &&
               (words[1] & 0x3f) > 18;
}

static bool narrow_queue_in_scalable_mode(const struct diff_view *view)
{
        return view->matter == DIFF_REGISTER && view->where == REG_FSTS &&
               (view->ours & ~view->theirs & FSTS_IQE) && (latched_root(view) >> 10 & 3) == 1 &&
               !(dword(view->their_page, REG_IQA) & IQA_DW);
}

/* The last descriptor before it was no wait. */
static bool queue_not_disabled(const struct diff_view *view)
{
        const struct diff_step *step = &view->program->steps[view->step];

        return view->matter == DIFF_REGISTER && view->where == REG_GSTS &&
               (view->ours ^ view->theirs) == GCMD_QIE && (view->theirs & GCMD_QIE) &&
               step->kind == DIFF_WRITE && step->address == REG_GCMD &&
               !(step->words[0] & GCMD_QIE);
}

static bool abort_mode_is_scalable(const struct diff_view *view)
{
        return is_about_dma(view) && agrees_with(view, false) &&
               (latched_root(view) >> 10 & 3) == 3 &&
               (dword(view->our_page, REG_FRCD + 12) & 0xff) == 0x30;
}

static bool wait_without_effect(const struct diff_view *view)
{
        uint64_t words[2];

        return stopped_at(view, words) && descriptor_type(words) == 5 && (words[0] & 0x70) == 0;
}

static bool page_response_unknown(const struct diff_view *view)
{
        uint64_t words[2];

        return stopped_at(view, words) && descriptor_type(words) == 9;
}

/* Only until the next write of the tail, which programs make at once. */
static bool queue_stays_stopped(const struct diff_view *view)
{
        const struct diff_step *step = &view->program->steps[view->step];

        return view->matter == DIFF_REGISTER && view->where == REG_IQH &&
               step->kind == DIFF_WRITE && step->address == REG_FSTS && (step->words[0] & FSTS_IQE);
}

/* One of them keeps the other from being set. */
static bool accessed_or_dirty(const struct diff_view *view)
{
        return view->matter == DIFF_TABLE && view->program->setup != DIFF_SECOND_STAGE &&
               (view->ours & (ENTRY_A | ENTRY_D)) == (ENTRY_A | ENTRY_D) &&
               ((view->ours ^ view->theirs) == ENTRY_A || (view->ours ^ view->theirs) == ENTRY_D);
}

static bool pages_meet(const struct diff_step *one, const struct diff_step *other)
{
        return one->address >> 12 <= (other->address + other->length - 1) >> 12 &&
               other->address >> 12 <= (one->address + one->length - 1) >> 12;
}

/* The IOTLB has the page as read-only, and what it answers is no fault. */
static bool write_after_read(const struct diff_view *view)
{
        const struct diff_step *step = dma_of(view);
        uint32_t ours = dword(view->our_page, REG_FRCD + 12);

        if (!is_about_dma(view) || step->kind != DIFF_COPY_OUT || (ours & 0xff) != 0x85 ||
            !(ours & ~dword(view->their_page, REG_FRCD + 12) & FAULT_F))
                return false;
        for (unsigned i = 0; i < view->step; i++) {
                const struct diff_step *earlier = &view->program->steps[i];

                if (earlier->kind == DIFF_COPY_IN && earlier->device == step->device &&
                    pages_meet(earlier, step))
                        return true;
        }
        return false;
}

/* Of the page, not of what is accessed. */
static bool page_in_interrupt_range(const struct diff_view *view)
{
        uint32_t theirs = dword(view->their_page, REG_FRCD + 12);

        return is_about_dma(view) && agrees_with(view, true) && (theirs & 0xff) == 0x87 &&
               (theirs & ~dword(view->our_page, REG_FRCD + 12) & FAULT_F);
}

static bool beyond_passthrough(const struct diff_view *view)
{
        struct way way;

        return is_about_dma(view) && view->matter == DIFF_REGISTER && find_way(view, &way) &&
               (way.pasid[0] >> 6 & 7) == 4 && dma_of(view)->address >> 48 != 0;
}

/* Of requests that our side let pass, in a program in which theirs did not. */
static bool accessed_alone(const struct diff_view *view)
{
        return view->matter == DIFF_TABLE && view->suppressed &&
               view->program->setup != DIFF_SECOND_STAGE && (view->theirs & ~view->ours) == 0 &&
               ((view->ours ^ view->theirs) & ~(ENTRY_A | ENTRY_D)) == 0;
}

/* Theirs has not come as far down. */
static bool accessed_before_fault(const struct diff_view *view)
{
        return view->matter == DIFF_TABLE && view->faulted &&
               view->program->setup != DIFF_SECOND_STAGE &&
               (view->ours ^ view->theirs) == ENTRY_A && (view->ours & ENTRY_A);
}

const struct diff_deviation diff_deviations[] = {
        {"1", DIFF_TRANSLATED,
         "faults of root, context and second-stage entries carry the reasons of legacy mode",
         legacy_reasons, NULL},
        {"2", DIFF_SUPPRESSED,
         "both halves of a root entry are checked for reserved bits, whichever is used",
         other_half_of_root_entry, hidden_by_other_half},
        {"2, 5", DIFF_SUPPRESSED, "... so no accessed and dirty bits are set", accessed_alone,
         NULL},
        {"3", DIFF_PARTED,
         "reserved bits of PASID directory and PASID-table entries, and PRE, PASIDE and DTE of "
         "context entries, are not checked",
         unchecked_reserved_bits, hidden_by_unchecked_bits},
        {"3", DIFF_SUPPRESSED, "... and what comes next is another fault",
         unchecked_reserved_bits_then, NULL},
        {"4", DIFF_TRANSLATED,
         "the type in a PASID-table entry is judged before its presence: 5Bh for 59h",
         absent_pasid_entry, NULL},
        {"5", DIFF_SUPPRESSED,
         "the canonical range of first-stage translation follows AW, which is of the second stage",
         width_of_first_stage, hidden_by_width},
        {"6", DIFF_PARTED,
         "accessed and dirty bits are set without PWSNP in the PASID-table entry too: never 90h",
         without_snooping, hidden_without_snooping},
        {"6", DIFF_SUPPRESSED,
         "rights are judged at each level, before reserved bits and what lies below: 81h or 85h, "
         "and 05h or 06h, for the reason of an entry there",
         rights_first, NULL},
        {"6", DIFF_PERMITTED, "... where accessed bits are not set any more", accessed_before_fault,
         NULL},
        {"13", DIFF_SUPPRESSED, "the queue does not resume when IQE is cleared",
         queue_stays_stopped, NULL},
        {"14", DIFF_SUPPRESSED, "a wait that asks for nothing is an error", wait_without_effect,
         NULL},
        {"15", DIFF_SUPPRESSED,
         "PASID-based IOTLB invalidation with an address mask above MAMV is an error",
         large_first_stage_mask, NULL},
        {"16", DIFF_PARTED, "descriptors of 128 bits are accepted in scalable mode",
         narrow_queue_in_scalable_mode, NULL},
        {"18", DIFF_PARTED, "the queue is disabled after a wait only", queue_not_disabled, NULL},
        {"20", DIFF_SUPPRESSED,
         "a page that reaches into the interrupt range is blocked as a whole",
         page_in_interrupt_range, NULL},
        {"25", DIFF_PARTED, "the reserved table mode 11b is taken for scalable mode",
         abort_mode_is_scalable, NULL},
        {"27", DIFF_SUPPRESSED, "a tail that is refused for its bit 4 is still read back from IQT",
         misaligned_tail_kept, NULL},
        {"29", DIFF_SUPPRESSED,
         "page group responses are an error while page requests are not offered",
         page_response_unknown, NULL},
        {"30", DIFF_SUPPRESSED,
         "of a leaf with its accessed bit the dirty bit is not set, and the other way around",
         accessed_or_dirty, NULL},
        {"33", DIFF_SUPPRESSED,
         "FPD of a PASID directory or PASID-table entry does not suppress that entry's own faults",
         suppression_by_bad_entry, NULL},
        {"34", DIFF_PARTED, "second-stage leaves may have SNP without snoop control", snoop_bit,
         NULL},
        {"35", DIFF_SUPPRESSED,
         "a write to a page that was cached by a read as read-only is blocked without a fault",
         write_after_read, NULL},
        {"36", DIFF_SUPPRESSED, "pass-through has no limit of addresses", beyond_passthrough, NULL},
        {"37", DIFF_SUPPRESSED,
         "FPD does not suppress the fault of a context entry's reserved bits",
         reserved_context_bits_reported, NULL},
        {"-", DIFF_PERMITTED,
         "faults of a device that has a record are collapsed into it, without PFO",
         collapsed_faults, NULL},
};

const size_t diff_deviation_count = VTD_ARRAY_SIZE(diff_deviations);

size_t diff_explain(const struct diff_view *view)
{
        for (size_t i = 0; i < diff_deviation_count; i++)
                if (diff_deviations[i].explains(view))
                        return i;
        return diff_deviation_count;
}

size_t diff_hidden(const struct diff_view *view, bool arrived)
{
        for (size_t i = 0; i < diff_deviation_count; i++)
                if (diff_deviations[i].hides && diff_deviations[i].hides(view, arrived))
                        return i;
        return diff_deviation_count;
}
