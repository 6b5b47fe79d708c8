/* SPDX-License-Identifier: MIT */
/* See story-steps.h.  The order of the steps and the limits in the policy belong together. */
#include "tests/vmm/story-steps.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shared/checked.h"
#include "shared/cleanup.h"
#include "shared/error.h"
#include "tests/vmm/guest.h"

/* Guest-physical data pages, each filled with a byte of its own. */
#define PAGE_A     UINT64_C(0x400000)
#define PAGE_B     UINT64_C(0x401000)
#define PAGE_C     UINT64_C(0x402000)
#define PAGE_D     UINT64_C(0x403000)
#define PAGE_SINK  UINT64_C(0x404000) /* where the device writes what it read */
#define LARGE_PAGE UINT64_C(0x600000)
#define LARGE_NEXT UINT64_C(0x800000)

/* The guest's own addresses for them. */
#define IOVA_SMALL UINT64_C(0x10000000)
#define IOVA_SINK  UINT64_C(0x20000000)
#define IOVA_LARGE UINT64_C(0x40000000)

#define DOMAIN_PASSTHROUGH 1
#define DOMAIN_FIRST_STAGE 2

#define UNTOUCHED     0xee
#define SWITCH_ROUNDS 25u /* one more than a multiple of three: ends on the second table */

#define FAULT_PASID_ENTRY_INVALID 0x5b

struct telling {
        struct story *story;
        struct guest guest;
        struct story_report report;
        uint32_t reported; /* last sequence of the step before */
};

static void begin(struct telling *t, const char *title, const char *guest)
{
        t->report = (struct story_report){.ok = true};
        (void)snprintf(t->report.title, sizeof(t->report.title), "%s", title);
        (void)snprintf(t->report.guest, sizeof(t->report.guest), "%s", guest);
        t->guest.failed = false;
}

/* Adds to what was seen in this step; @ok false marks it as not as stated. */
__attribute__((format(printf, 3, 4))) static void saw(struct telling *t, bool ok,
                                                      const char *format, ...)
{
        size_t used = strlen(t->report.saw);
        va_list arguments;

        if (!ok)
                t->report.ok = false;
        if (used > 0 && used + 2 < sizeof(t->report.saw)) {
                memcpy(t->report.saw + used, "; ", 3);
                used += 2;
        }
        va_start(arguments, format);
        (void)vsnprintf(t->report.saw + used, sizeof(t->report.saw) - used, format, arguments);
        va_end(arguments);
}

/* Sends the report and waits for the word to go on. */
static int end_step(struct telling *t)
{
        uint32_t sequence = vmm_control_sequence(t->story->vmm);
        char answer;

        if (t->guest.failed)
                saw(t, false, "a register or a wait descriptor did not follow");
        t->report.first_sequence = t->reported + 1;
        t->report.last_sequence = sequence;
        t->reported = sequence;
        if (write(t->story->report_fd, &t->report, sizeof(t->report)) != (ssize_t)sizeof(t->report))
                return vtd_fail(t->story->log, vtd_errno(), "report: %m");
        if (read(t->story->report_fd, &answer, 1) != 1)
                return vtd_fail(t->story->log, -ECANCELED, "the story was broken off");
        return 0;
}

/*
 * What the device reads at @iova: a byte value, 0 included, or -1 for a mixture, -2 when the DMA did
 * not happen.  The device reads a page into its buffer and writes it out to @sink.
 */
static int device_reads(struct telling *t, uint64_t iova, uint64_t sink)
{
        guest_fill(&t->guest, PAGE_SINK, UNTOUCHED, GUEST_PAGE);
        if (guest_dma_read(&t->guest, t->story->rid, iova, GUEST_PAGE) != 0 ||
            guest_dma_write(&t->guest, t->story->rid, sink, GUEST_PAGE) != 0)
                return -2;
        return guest_uniform(&t->guest, PAGE_SINK, GUEST_PAGE);
}

static void expect_byte(struct telling *t, const char *what, int seen, int expected)
{
        if (seen >= 0x20 && seen < 0x7f)
                saw(t, seen == expected, "%s: '%c'", what, seen);
        else if (seen == UNTOUCHED)
                saw(t, seen == expected, "%s: nothing", what);
        else
                saw(t, seen == expected, "%s: %#x", what, (unsigned)seen);
}

/* A blocked device's write must not arrive. */
static void expect_blocked(struct telling *t, uint64_t sink)
{
        int result;

        guest_fill(&t->guest, PAGE_SINK, UNTOUCHED, GUEST_PAGE);
        result = guest_dma_write(&t->guest, t->story->rid, sink, GUEST_PAGE);
        saw(t, result == 0 && guest_uniform(&t->guest, PAGE_SINK, GUEST_PAGE) == UNTOUCHED,
            "DMA is blocked");
}

static void fill_pages(struct guest *guest)
{
        guest_fill(guest, PAGE_A, 'A', GUEST_PAGE);
        guest_fill(guest, PAGE_B, 'B', GUEST_PAGE);
        guest_fill(guest, PAGE_C, 'C', GUEST_PAGE);
        guest_fill(guest, PAGE_D, 'D', GUEST_PAGE);
        guest_fill(guest, LARGE_PAGE, 'L', 2 * GUEST_PAGE);
        guest_fill(guest, LARGE_NEXT, 'M', 2 * GUEST_PAGE);
}

static const char *binding_name(enum vtd_frontend_binding binding)
{
        switch (binding) {
        case VTD_FRONTEND_BINDING_BLOCKED:
                return "blocked";
        case VTD_FRONTEND_BINDING_PASSTHROUGH:
                return "pass-through";
        case VTD_FRONTEND_BINDING_FIRST_STAGE:
                return "first-stage";
        }
        return "unknown";
}

static void expect_binding(struct telling *t, enum vtd_frontend_binding expected)
{
        enum vtd_frontend_binding binding = VTD_FRONTEND_BINDING_BLOCKED;
        int result = vtd_frontend_get_binding(vmm_frontend(t->story->vmm), t->story->rid, &binding);

        saw(t, result == 0 && binding == expected, "device is %s", binding_name(binding));
}

/* Appends the broker's reason, which must be @name. */
static void expect_refusal(struct telling *t, int result, const char *name)
{
        struct vtd_frontend_refusal refusal;

        vtd_frontend_refusal(vmm_frontend(t->story->vmm), &refusal);
        if (result != VTD_FRONTEND_REFUSED) {
                saw(t, false, "not refused (%d)", result);
                return;
        }
        saw(t, refusal.reason_name && strcmp(refusal.reason_name, name) == 0,
            "refused: %s (asked %llu, allowed %llu)",
            refusal.reason_name ? refusal.reason_name : "?", (unsigned long long)refusal.asked,
            (unsigned long long)refusal.allowed);
}

static int step_plug(struct telling *t)
{
        int result;

        begin(t, "plug", "VMM plugs the device; nothing is attached yet");
        result = vtd_frontend_plug(vmm_frontend(t->story->vmm), t->story->device, t->story->rid);
        saw(t, result == 0, "plug: %s", result == 0 ? "done" : "failed");
        expect_binding(t, VTD_FRONTEND_BINDING_BLOCKED);
        return end_step(t);
}

static int step_map(struct telling *t)
{
        int result;

        begin(t, "guest memory", "VMM passes its sealed memfd: 16 MiB at address 0");
        result = vmm_map_memory(t->story->vmm);
        saw(t, result == 0, "mapping: %s", result == 0 ? "done" : "failed");
        expect_binding(t, VTD_FRONTEND_BINDING_BLOCKED);
        return end_step(t);
}

static int step_translation_off(struct telling *t)
{
        begin(t, "translation off", "guest has not enabled its IOMMU (TE = 0)");
        if (vmm_run(t->story->vmm) != 0)
                t->guest.failed = true;
        expect_binding(t, VTD_FRONTEND_BINDING_PASSTHROUGH);
        fill_pages(&t->guest);
        expect_byte(t, "read at guest-physical 0x400000", device_reads(t, PAGE_A, PAGE_SINK), 'A');
        return end_step(t);
}

static int step_passthrough_entry(struct telling *t)
{
        struct guest *g = &t->guest;

        begin(t, "pass-through entry",
              "root, context and PASID tables with PGTT = pass-through; queue on, SRTP, TE on");
        guest_add_device(g, t->story->rid);
        guest_set_entry(g, t->story->rid, GUEST_PASSTHROUGH, DOMAIN_PASSTHROUGH, 0);
        guest_enable_queue(g);
        guest_set_root(g);
        guest_set_translation(g, true);
        expect_binding(t, VTD_FRONTEND_BINDING_PASSTHROUGH);
        expect_byte(t, "read at guest-physical 0x401000", device_reads(t, PAGE_B, PAGE_SINK), 'B');
        return end_step(t);
}

/* A 4-level table with the small page on @page, the large one and the sink. */
static uint64_t make_table(struct guest *guest, uint64_t page)
{
        uint64_t root = guest_table_new(guest);

        guest_table_map(guest, root, IOVA_SMALL, page, 1);
        guest_table_map(guest, root, IOVA_SINK, PAGE_SINK, 1);
        guest_table_map(guest, root, IOVA_LARGE, LARGE_PAGE, 2);
        return root;
}

static int step_first_stage(struct telling *t, uint64_t table)
{
        struct guest *g = &t->guest;

        begin(t, "first-stage entry",
              "entry with PGTT = first-stage and the guest's own 4-level table; PASID-cache and "
              "PASID invalidation, wait");
        guest_set_entry(g, t->story->rid, GUEST_FIRST_STAGE, DOMAIN_FIRST_STAGE, table);
        guest_flush_entry(g, DOMAIN_PASSTHROUGH);
        guest_flush_entry(g, DOMAIN_FIRST_STAGE);
        expect_binding(t, VTD_FRONTEND_BINDING_FIRST_STAGE);
        expect_byte(t, "4 KiB page at 0x10000000", device_reads(t, IOVA_SMALL, IOVA_SINK), 'A');
        expect_byte(t, "2 MiB page at 0x40001000",
                    device_reads(t, IOVA_LARGE + GUEST_PAGE, IOVA_SINK), 'L');
        return end_step(t);
}

static int step_stale(struct telling *t, uint64_t table)
{
        begin(t, "PTE changed, no invalidation",
              "guest points the 4 KiB entry at another page; then it invalidates a neighbour only");
        guest_table_map(&t->guest, table, IOVA_SMALL, PAGE_B, 1);
        expect_byte(t, "still the old page", device_reads(t, IOVA_SMALL, IOVA_SINK), 'A');
        guest_invalidate_page(&t->guest, DOMAIN_FIRST_STAGE, IOVA_SMALL + GUEST_PAGE, 0);
        expect_byte(t, "and still", device_reads(t, IOVA_SMALL, IOVA_SINK), 'A');
        return end_step(t);
}

static int step_page_invalidation(struct telling *t)
{
        begin(t, "page invalidation", "page-selective PASID-based IOTLB invalidation, wait");
        guest_invalidate_page(&t->guest, DOMAIN_FIRST_STAGE, IOVA_SMALL, 0);
        expect_byte(t, "the new page", device_reads(t, IOVA_SMALL, IOVA_SINK), 'B');
        return end_step(t);
}

static int step_pasid_invalidation(struct telling *t, uint64_t table)
{
        begin(t, "whole-PASID invalidation",
              "guest changes the 4 KiB and the 2 MiB entry; PASID-selective invalidation, wait");
        guest_table_map(&t->guest, table, IOVA_SMALL, PAGE_C, 1);
        guest_table_map(&t->guest, table, IOVA_LARGE, LARGE_NEXT, 2);
        guest_invalidate_pasid(&t->guest, DOMAIN_FIRST_STAGE);
        expect_byte(t, "4 KiB page", device_reads(t, IOVA_SMALL, IOVA_SINK), 'C');
        expect_byte(t, "2 MiB page", device_reads(t, IOVA_LARGE, IOVA_SINK), 'M');
        return end_step(t);
}

/* Bytes of the sink page that hold @byte. */
static unsigned count_bytes(struct telling *t, int byte)
{
        const uint8_t *sink = vmm_memory(t->story->vmm) + PAGE_SINK;
        unsigned count = 0;

        for (size_t i = 0; i < GUEST_PAGE; i++)
                count += sink[i] == byte;
        return count;
}

/* One switch to @table while the device reads; afterwards the sink holds what it read. */
static void switch_under_dma(struct telling *t, uint64_t table)
{
        struct guest *g = &t->guest;

        if (guest_dma_start(g, t->story->rid, IOVA_SMALL, GUEST_PAGE, false) != 0)
                g->failed = true;
        guest_set_entry(g, t->story->rid, GUEST_FIRST_STAGE, DOMAIN_FIRST_STAGE, table);
        guest_flush_entry(g, DOMAIN_FIRST_STAGE);
        if (guest_dma_finish(g, t->story->rid) != 0)
                g->failed = true;
        guest_fill(g, PAGE_SINK, UNTOUCHED, GUEST_PAGE);
        if (guest_dma_write(g, t->story->rid, IOVA_SINK, GUEST_PAGE) != 0)
                g->failed = true;
}

/*
 * Goes round three tables while the device reads, and judges what arrived: each byte is the old
 * page's, nothing (0), or the new page's.  Policy allows two tables at once, so each has to go when
 * it has been replaced.
 */
static int step_switch_under_dma(struct telling *t, uint64_t first, uint64_t second)
{
        const uint64_t tables[] = {first, second, make_table(&t->guest, PAGE_B)};
        static const char pages[] = {'C', 'D', 'B'};
        unsigned old_bytes = 0, nothing = 0, new_bytes = 0, other = 0;

        begin(t, "other table, DMA running",
              "while the device reads: entry pointed at another table, PASID-cache invalidation; "
              "25 times round three tables");
        for (unsigned round = 0; round < SWITCH_ROUNDS; round++) {
                unsigned old_now, nothing_now, new_now;

                switch_under_dma(t, tables[(round + 1) % 3]);
                old_now = count_bytes(t, pages[round % 3]);
                nothing_now = count_bytes(t, 0);
                new_now = count_bytes(t, pages[(round + 1) % 3]);
                old_bytes += old_now;
                nothing += nothing_now;
                new_bytes += new_now;
                other += (unsigned)GUEST_PAGE - old_now - nothing_now - new_now;
        }
        saw(t, other == 0, "bytes read: %u old, %u nothing, %u new, %u anything else", old_bytes,
            nothing, new_bytes, other);
        expect_byte(t, "afterwards", device_reads(t, IOVA_SMALL, IOVA_SINK), 'D');
        return end_step(t);
}

static int step_entry_removed(struct telling *t)
{
        begin(t, "entry removed", "entry cleared; PASID-cache invalidation, wait");
        guest_set_entry(&t->guest, t->story->rid, GUEST_ABSENT, 0, 0);
        guest_flush_entry(&t->guest, DOMAIN_FIRST_STAGE);
        expect_binding(t, VTD_FRONTEND_BINDING_BLOCKED);
        expect_blocked(t, IOVA_SINK);
        return end_step(t);
}

static int step_translation_off_and_on(struct telling *t, uint64_t table)
{
        struct guest *g = &t->guest;

        begin(t, "TE off and on", "entry put back; translation disabled, then enabled again");
        guest_set_entry(g, t->story->rid, GUEST_FIRST_STAGE, DOMAIN_FIRST_STAGE, table);
        guest_flush_entry(g, DOMAIN_FIRST_STAGE);
        guest_set_translation(g, false);
        expect_byte(t, "off, guest-physical 0x400000", device_reads(t, PAGE_A, PAGE_SINK), 'A');
        guest_set_translation(g, true);
        expect_byte(t, "on, 0x10000000", device_reads(t, IOVA_SMALL, IOVA_SINK), 'D');
        return end_step(t);
}

static int step_second_stage(struct telling *t)
{
        struct guest *g = &t->guest;
        struct guest_fault fault;

        begin(t, "second-stage entry",
              "entry with PGTT = second-stage, which this unit does not offer");
        guest_take_fault(g, &fault);
        guest_set_entry(g, t->story->rid, GUEST_SECOND_STAGE, 3, guest_table_new(g));
        guest_flush_entry(g, DOMAIN_FIRST_STAGE);
        guest_flush_entry(g, 3);
        guest_take_fault(g, &fault);
        saw(t,
            fault.pending && fault.reason == FAULT_PASID_ENTRY_INVALID &&
                    fault.source == t->story->rid,
            "guest reads fault %#x of device %02x:%02x.%x", fault.reason, fault.source >> 8,
            fault.source >> 3 & 31, fault.source & 7);
        expect_binding(t, VTD_FRONTEND_BINDING_BLOCKED);
        expect_blocked(t, IOVA_SINK);
        return end_step(t);
}

static int step_memory_limit(struct telling *t)
{
        VTD_CLEANUP_FD int fd = memfd_create("too-much", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        const uint64_t size = UINT64_C(64) << 20;
        uint64_t mapping;

        begin(t, "refusal: memory", "VMM announces 64 MiB more");
        if (fd < 0 || ftruncate(fd, (off_t)size) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
                t->guest.failed = true;
        expect_refusal(t,
                       vtd_frontend_map(vmm_frontend(t->story->vmm), UINT64_C(0x10000000), size, fd,
                                        0, &mapping),
                       "memory-limit");
        return end_step(t);
}

static int step_device_not_granted(struct telling *t)
{
        begin(t, "refusal: device", "VMM plugs a device of another tenant");
        expect_refusal(t, vtd_frontend_plug(vmm_frontend(t->story->vmm), "nic7", 0x0040),
                       "device-not-granted");
        return end_step(t);
}

/*
 * The policy grants two tables.  A second device uses one and the first another; the entry is then
 * pointed at a third.
 */
static int step_table_limit(struct telling *t, uint64_t first, uint64_t second)
{
        struct guest *g = &t->guest;
        enum vtd_frontend_binding binding = VTD_FRONTEND_BINDING_FIRST_STAGE;
        struct vtd_frontend *frontend = vmm_frontend(t->story->vmm);
        struct vtd_frontend_refusal refusal;

        begin(t, "refusal: tables",
              "a second device uses another table; then the first device's entry is pointed at a "
              "third one");
        guest_set_entry(g, t->story->rid, GUEST_FIRST_STAGE, DOMAIN_FIRST_STAGE, first);
        guest_flush_entry(g, DOMAIN_FIRST_STAGE);
        guest_add_device(g, t->story->second_rid);
        guest_set_entry(g, t->story->second_rid, GUEST_FIRST_STAGE, DOMAIN_FIRST_STAGE + 1, second);
        if (vtd_frontend_plug(frontend, t->story->second_device, t->story->second_rid) != 0)
                g->failed = true;
        if (vmm_run(t->story->vmm) != 0)
                g->failed = true;
        guest_set_entry(g, t->story->rid, GUEST_FIRST_STAGE, DOMAIN_FIRST_STAGE,
                        make_table(g, PAGE_A));
        guest_flush_entry(g, DOMAIN_FIRST_STAGE);
        vtd_frontend_refusal(frontend, &refusal);
        saw(t, refusal.reason_name && strcmp(refusal.reason_name, "first-stage-table-limit") == 0,
            "refused: %s (asked %llu, allowed %llu)",
            refusal.reason_name ? refusal.reason_name : "nothing",
            (unsigned long long)refusal.asked, (unsigned long long)refusal.allowed);
        expect_binding(t, VTD_FRONTEND_BINDING_BLOCKED);
        expect_blocked(t, IOVA_SINK);
        if (vtd_frontend_get_binding(frontend, t->story->second_rid, &binding) != 0 ||
            binding != VTD_FRONTEND_BINDING_FIRST_STAGE)
                saw(t, false, "the second device lost its table");
        return end_step(t);
}

/* Leaves the device reading and writing guest memory when the VMM is killed. */
static int step_hold(struct telling *t, uint64_t table)
{
        struct guest *g = &t->guest;

        begin(t, "VMM killed", "the device works on the guest's table; then the VMM gets SIGKILL");
        guest_set_entry(g, t->story->rid, GUEST_FIRST_STAGE, DOMAIN_FIRST_STAGE, table);
        guest_flush_entry(g, DOMAIN_FIRST_STAGE);
        expect_binding(t, VTD_FRONTEND_BINDING_FIRST_STAGE);
        if (guest_dma_start(g, t->story->rid, IOVA_SMALL, GUEST_PAGE, false) != 0)
                g->failed = true;
        saw(t, true, "DMA started");
        t->report.last = true;
        return end_step(t);
}

int story_main(struct story *story)
{
        struct telling t = {.story = story};
        uint64_t first, second;
        int result;

        guest_init(&t.guest, story->vmm);
        result = step_plug(&t);
        if (result == 0)
                result = step_map(&t);
        if (result == 0)
                result = step_translation_off(&t);
        if (result == 0)
                result = step_passthrough_entry(&t);
        first = make_table(&t.guest, PAGE_A);
        second = make_table(&t.guest, PAGE_D);
        if (result == 0)
                result = step_first_stage(&t, first);
        if (result == 0)
                result = step_stale(&t, first);
        if (result == 0)
                result = step_page_invalidation(&t);
        if (result == 0)
                result = step_pasid_invalidation(&t, first);
        if (result == 0)
                result = step_switch_under_dma(&t, first, second);
        if (result == 0)
                result = step_entry_removed(&t);
        if (result == 0)
                result = step_translation_off_and_on(&t, second);
        if (result == 0)
                result = step_second_stage(&t);
        if (result == 0)
                result = step_memory_limit(&t);
        if (result == 0)
                result = step_device_not_granted(&t);
        if (result == 0)
                result = step_table_limit(&t, first, second);
        if (result == 0)
                result = step_hold(&t, second);
        return result;
}

int story_next_owner(struct story *story)
{
        struct telling t = {.story = story};
        int result;

        guest_init(&t.guest, story->vmm);
        result = step_plug(&t);
        if (result == 0)
                result = step_map(&t);
        if (result == 0)
                result = step_translation_off(&t);
        return result;
}
