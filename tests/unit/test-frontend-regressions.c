/* SPDX-License-Identifier: MIT */
/*
 * What guests could do to other emulations of a VT-d unit, one test for each class of failure: each
 * is named by what went wrong there, and shows that it does not here.
 *
 * Classes that have nothing to happen to in this library:
 *   - a fault queue that outlives its device, a response to a page group nobody asked for: page
 *     requests are not offered; their descriptors are checked and do nothing (tested below);
 *   - interrupt-remapping entries out of bounds, spoofed source ids: interrupts are not remapped;
 *   - notifiers that unmap a whole address space or ranges that are no power of two: nothing is
 *     shadowed; what stands in their place, joined ranges, is tested in test-frontend-pending.c;
 *   - dirty pages lost when a domain is switched, and hostile migration streams: there is neither
 *     dirty tracking nor migration;
 *   - use after free and hangs in the host's page-request and ATS paths: the kernel's, and the
 *     broker uses no page requests;
 *   - DMA to read-only memory under erratum 772415: the broker's, which maps nothing read-only.
 */
#include "tests/unit/frontend-fixture.h"

#include <string.h>

#include "shared/checked.h"

enum { FIRST_STAGE = 1 };

#define TABLE_C       0x42000u
#define REGISTER_PAGE UINT64_C(0xfed90000) /* not RAM: the unit's own registers */

/* Device A in domain 5 with TABLE_A, translation on, nothing asked yet. */
static void start(struct guest *guest)
{
        plug(guest, RID_A);
        put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_A);
        enable_translation(guest);
}

/* A driver that finds the unit in whatever state gets its invalidation done. */
static void assert_works(struct guest *guest)
{
        write32(guest, VTD_REG_FSTS, VTD_FSTS_IQE);
        command(guest, 0, VTD_GCMD_QIE);
        run_until(guest, VTD_FRONTEND_IDLE);
        write64(guest, VTD_REG_IQA, QUEUE | 0x800);
        write32(guest, VTD_REG_IQT, 0);
        guest->tail = 0;
        guest_put64(guest, STATUS, 0);
        write64(guest, VTD_REG_RTADDR, ROOT_TABLE | 0x400);
        command(guest, VTD_GCMD_SRTP, 0);
        command(guest, VTD_GCMD_QIE | VTD_GCMD_TE, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_A);
        invalidate(guest, PC_GLOBAL);
        fake_backend_forget(guest->broker);
        queue_descriptor(guest, PIOTLB_ALL(5, 0));
        queue_descriptor(guest, WAIT_STATUS(0x77));
        kick(guest);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(guest->broker->count, 1);
        assert_int_equal(guest_get32(guest, STATUS), 0x77);
}

/* Every width at every offset, at once with all bits set, and with 0. */
static void test_abort_on_access_width(void **state)
{
        struct guest *guest = *state;

        start(guest);
        for (unsigned size = 0; size <= 16; size++) {
                for (unsigned offset = 0; offset < 0x1010; offset++) {
                        (void)vtd_frontend_read(guest->unit, offset, size);
                        vtd_frontend_write(guest->unit, offset, size, UINT64_MAX);
                        (void)vtd_frontend_run(guest->unit, 64);
                        vtd_frontend_write(guest->unit, offset, size, 0);
                }
                (void)vtd_frontend_run(guest->unit, 64);
        }
        guest->command = 0;
        assert_works(guest);
}

static void test_shift_by_address_mask(void **state)
{
        struct guest *guest = *state;

        start(guest);
        for (unsigned mask = 0; mask < 64; mask++) {
                const struct vtd_invalidate_entry *entry =
                        &guest->broker->requests[0].invalidate.entries[0];

                fake_backend_forget(guest->broker);
                invalidate(guest, PIOTLB_PAGE(5, 0, UINT64_C(0x123456789000) | mask));
                assert_int_equal(guest->broker->count, 1);
                assert_int_equal(entry->pages,
                                 mask < 36 ? UINT64_C(1) << mask : VTD_INVALIDATE_ALL);
        }
        assert_works(guest);
}

/* Every value of every field that others switch over: types, granularities, levels, table modes. */
static void test_assertion_on_a_guest_s_value(void **state)
{
        struct guest *guest = *state;

        start(guest);
        for (unsigned type = 0; type < 128; type++)
                for (unsigned granularity = 0; granularity < 4; granularity++) {
                        uint64_t first = (type & 0xf) | (uint64_t)(type >> 4) << 9 |
                                         granularity << 4 | 5 << 16;

                        queue_descriptor(guest, first, 0);
                        kick(guest);
                        run_until(guest, VTD_FRONTEND_IDLE);
                        if (!(read32(guest, VTD_REG_FSTS) & VTD_FSTS_IQE))
                                continue;
                        assert_works(guest);
                }
        for (unsigned word = 0; word < 512; word++) {
                guest_put64(guest, entry_of(RID_A, 0), 1 | word << 2);
                guest_put64(guest, entry_of(RID_A, 0) + 16, TABLE_A | (word & 0x1f) << 2);
                invalidate(guest, PC_GLOBAL);
        }
        for (unsigned mode = 0; mode < 4; mode++) {
                write64(guest, VTD_REG_RTADDR, ROOT_TABLE | mode << 10);
                command(guest, VTD_GCMD_SRTP, 0);
                run_until(guest, VTD_FRONTEND_IDLE);
                assert_works(guest);
        }
}

static void test_uninitialized_function_mask(void **state)
{
        static const unsigned masks[] = {0, 4, 6, 7};
        struct guest *guest = *state;

        start(guest);
        for (unsigned sid = RID_A; sid < RID_A + 16; sid++)
                for (unsigned mask = 0; mask < 4; mask++) {
                        uint64_t reads = guest->reads;

                        invalidate(guest, CC_DEVICE(sid, mask));
                        assert_int_equal(guest->reads - reads,
                                         ((sid ^ RID_A) & ~masks[mask]) == 0 ? 5 : 1);
                }
}

/* One bit at a time, in an entry of each kind and in a descriptor; the rest is in other files. */
static void test_reserved_bits_unchecked(void **state)
{
        struct guest *guest = *state;
        const struct {
                uint64_t address, bit;
                unsigned reason;
        } cases[] = {
                {ROOT_TABLE, 1 << 1, 0x3a},
                {CONTEXT_LOWER + RID_A * 32, 1 << 2, 0x42},
                {CONTEXT_LOWER + RID_A * 32 + 24, UINT64_C(1) << 63, 0x42},
                {directory_of(RID_A), 1 << 2, 0x52},
                {entry_of(RID_A, 0), 1 << 9, 0x5a},
                {entry_of(RID_A, 0) + 56, 1, 0x5a},
        };

        start(guest);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                uint64_t good = guest_get64(guest, cases[i].address);

                guest_put64(guest, cases[i].address, good | cases[i].bit);
                invalidate(guest, CC_GLOBAL);
                assert_int_equal(fault_reason(guest, RID_A), cases[i].reason);
                assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_BLOCKED);
                clear_faults(guest);
                guest_put64(guest, cases[i].address, good);
                invalidate(guest, CC_GLOBAL);
                assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_FIRST_STAGE);
        }
        fake_backend_forget(guest->broker);
        invalidate(guest, UINT64_C(0x26) | 5 << 16 | 1 << 6, 0);
        assert_int_equal(read64(guest, VTD_REG_IQERCD), 4);
        assert_int_equal(guest->broker->count, 0);
}

static void test_descriptor_width_lost(void **state)
{
        struct guest *guest = *state;

        start(guest);
        assert_int_equal(read64(guest, VTD_REG_IQA), QUEUE | 0x800);
        /* Changed while the queue runs: what was enabled goes on. */
        write64(guest, VTD_REG_IQA, QUEUE);
        queue_descriptor(guest, WAIT_STATUS(1));
        invalidate(guest, WAIT_STATUS(2));
        assert_int_equal(guest_get32(guest, STATUS), 2);
        assert_int_equal(read32(guest, VTD_REG_IQH), 64);
}

static uint32_t page_sum(struct guest *guest)
{
        uint32_t sum = 0;

        for (unsigned offset = 0; offset < VTD_FRONTEND_REGISTER_PAGE_SIZE; offset += 4)
                sum = sum * 31 + read32(guest, offset);
        return sum;
}

/* Status data and messages aimed at the unit's own registers reach nothing of it. */
static void test_reentrance_through_its_own_registers(void **state)
{
        struct guest *guest = *state;
        uint32_t sum;

        start(guest);
        write32(guest, VTD_REG_IEADDR, (uint32_t)REGISTER_PAGE + VTD_REG_GCMD);
        write32(guest, VTD_REG_IECTL, 0);
        write32(guest, VTD_REG_FEADDR, (uint32_t)REGISTER_PAGE + VTD_REG_GCMD);
        write32(guest, VTD_REG_FECTL, 0);
        invalidate(guest, UINT64_C(0x15), 0);
        assert_int_equal(guest->messages, 1);
        assert_int_equal(guest->message_address, REGISTER_PAGE + VTD_REG_GCMD);
        sum = page_sum(guest);
        for (unsigned i = 0; i < 8; i++) {
                queue_descriptor(guest, UINT64_C(0x25) | UINT64_C(0xffffffff) << 32,
                                 REGISTER_PAGE + VTD_REG_GCMD);
                kick(guest);
                run_until(guest, VTD_FRONTEND_IDLE);
                assert_int_equal(read32(guest, VTD_REG_FSTS), VTD_FSTS_IQE);
                assert_int_equal(guest->messages, 2 + i);
                write32(guest, VTD_REG_FSTS, VTD_FSTS_IQE);
                guest_put64(guest, QUEUE + guest->tail - 32, 0x5); /* mended: a fence */
                kick(guest);
                run_until(guest, VTD_FRONTEND_IDLE);
        }
        assert_int_not_equal(sum, 0);
        assert_int_equal(read32(guest, VTD_REG_GSTS), VTD_GCMD_TE | VTD_GCMD_SRTP | VTD_GCMD_QIE);
        assert_works(guest);
}

/* 2^14 directory entries aimed at one table with 64 present entries of 64 address spaces. */
static void test_pasid_table_amplification(void **state)
{
        struct vtd_frontend_stats before, after;
        struct guest *guest = *state;
        unsigned runs = 0;
        int r;

        configure_pasids(guest, PASIDS);
        assert_int_equal(vtd_frontend_plug(guest->unit, "nic0", RID_A), 0);
        put_pasid_context(guest, RID_A, 7, 0x300000);
        for (unsigned i = 0; i < 0x4000; i++)
                guest_put64(guest, 0x300000 + i * 8, 0x330000 | 1);
        for (unsigned i = 0; i < 64; i++) {
                guest_put64(guest, 0x330000 + i * 64, 1 | FIRST_STAGE << 6);
                guest_put64(guest, 0x330000 + i * 64 + 16, 0x50000 + i * 0x1000);
        }
        run_until(guest, VTD_FRONTEND_IDLE);
        enable_queue(guest);
        vtd_frontend_get_stats(guest->unit, &before);
        command(guest, VTD_GCMD_TE, 0);
        do {
                uint64_t reads = guest->reads;

                r = vtd_frontend_run(guest->unit, 16);
                assert_true(guest->reads - reads <= 16);
                runs++;
        } while (r == VTD_FRONTEND_PENDING);
        vtd_frontend_get_stats(guest->unit, &after);
        assert_int_equal(r, VTD_FRONTEND_IDLE);
        assert_true(runs < 100);
        assert_int_equal(after.attaches - before.attaches, PASIDS + 1);
        assert_int_equal(pasid_fault_reason(guest, RID_A, PASIDS + 1), 0x5b);
}

static void test_failed_attach_recorded_as_current(void **state)
{
        struct guest *guest = *state;

        start(guest);
        put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_B);
        guest->broker->refused = VTD_REQUEST_ATTACH;
        guest->broker->reason = VTD_REASON_HOST_LIMIT;
        invalidate(guest, PC_PASID(5, 0));
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_BLOCKED);
        fake_backend_forget(guest->broker);
        /* There is no table, of handle 0 or another, to be invalidated ... */
        invalidate(guest, PIOTLB_ALL(5, 0));
        invalidate(guest, IOTLB_GLOBAL);
        assert_int_equal(guest->broker->count, 0);
        /* ... and the entry, which has not changed, is tried again when it is named. */
        invalidate(guest, PC_PASID(5, 0));
        assert_int_equal(guest->broker->count, 1);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_FIRST_STAGE);
}

static void test_log_flood(void **state)
{
        struct guest *guest = *state;

        start(guest);
        guest->lines = 0;
        for (unsigned i = 0; i < 1000; i++) {
                put_entry(guest, RID_A, i % 3 ? FIRST_STAGE : 2, 5, i & 1 ? TABLE_A : TABLE_B);
                guest->broker->refused = i % 5 ? VTD_REQUEST_ATTACH : VTD_REQUEST_INVALIDATE;
                guest->broker->reason = VTD_REASON_HOST_FAILED;
                queue_descriptor(guest, PC_PASID(5, 0));
                queue_descriptor(guest, PIOTLB_ALL(5, 0));
                queue_descriptor(guest, 0xf, UINT64_MAX);
                kick(guest);
                run_until(guest, VTD_FRONTEND_IDLE);
                guest->broker->refused = 0;
                assert_works(guest);
        }
        assert_true(guest->lines > 0 && guest->lines <= 32);
}

/* The broker's quota is told to the guest as a fault, and what is held stays. */
static void test_exhaustion_of_host_tables(void **state)
{
        struct vtd_frontend_stats stats;
        struct guest *guest = *state;

        configure_pasids(guest, PASIDS);
        plug(guest, RID_A);
        put_pasid_context(guest, RID_A, 0, directory_of(RID_A));
        put_pasid(guest, RID_A, 0, FIRST_STAGE, 5, TABLE_A);
        put_pasid(guest, RID_A, 1, FIRST_STAGE, 6, TABLE_B);
        enable_translation(guest);
        guest->broker->refused = VTD_REQUEST_ATTACH;
        guest->broker->keep_refusing = true;
        guest->broker->reason = VTD_REASON_FIRST_STAGE_TABLE_LIMIT;
        for (unsigned pasid = 2; pasid < 10; pasid++) {
                put_pasid(guest, RID_A, pasid, FIRST_STAGE, 6, TABLE_C);
                fake_backend_forget(guest->broker);
                invalidate(guest, PC_PASID(6, pasid));
                assert_int_equal(guest->broker->count, 1);
        }
        vtd_frontend_get_stats(guest->unit, &stats);
        assert_int_equal(stats.faults, 8);
        assert_int_equal(pasid_fault_reason(guest, RID_A, 2), 0x5b);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_FIRST_STAGE);
        assert_int_equal(pasid_binding_of(guest, RID_A, 1), VTD_FRONTEND_BINDING_FIRST_STAGE);
}

/* A page-group response of a source id and a group that nobody knows. */
static void test_page_response_to_nobody(void **state)
{
        struct guest *guest = *state;

        start(guest);
        queue_descriptor(guest, UINT64_C(0x9) | UINT64_C(0xbeef) << 16 | UINT64_C(0xfffff) << 32,
                         0xff8);
        queue_descriptor(guest, WAIT_STATUS(1));
        kick(guest);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(guest_get32(guest, STATUS), 1);
        assert_int_equal(guest->broker->count, 0);
}

/* What is kept of a guest's invalidations does not grow with their number. */
static void test_growth_without_bound(void **state)
{
        struct guest *guest = *state;

        start(guest);
        guest->broker->hold = true;
        for (unsigned i = 0; i < 10000; i++) {
                queue_descriptor(guest, PIOTLB_PAGE(5, 0, (uint64_t)i * 0x3000));
                if (i % 100 != 99)
                        continue;
                kick(guest);
                assert_int_equal(vtd_frontend_run(guest->unit, i == 99 ? 99 : 100),
                                 VTD_FRONTEND_PENDING);
        }
        assert_int_equal(guest->broker->count, 0);
        run_until(guest, VTD_FRONTEND_WAITING);
        assert_int_equal(guest->broker->count, 1);
        assert_int_equal(guest->broker->requests[0].invalidate.count, 1);
        assert_int_equal(guest->broker->requests[0].invalidate.entries[0].pages,
                         VTD_INVALIDATE_ALL);
        guest->broker->hold = false;
        run_until(guest, VTD_FRONTEND_IDLE);
}

static void test_endless_loop_in_the_queue(void **state)
{
        struct guest *guest = *state;

        start(guest);
        /* Round and round: the head wraps at the end of the ring. */
        for (unsigned i = 1; i <= 1000; i++) {
                invalidate(guest, WAIT_STATUS(i));
                assert_int_equal(guest_get32(guest, STATUS), i);
                assert_int_equal(read32(guest, VTD_REG_IQH), i * 32 % 4096);
        }
        /* Tails that the head would never meet. */
        for (uint32_t tail = 16; tail <= 0x7fff0; tail = tail * 2 + 16) {
                write32(guest, VTD_REG_IQT, tail);
                for (unsigned i = 0; i < 4; i++) {
                        uint64_t reads = guest->reads;

                        (void)vtd_frontend_run(guest->unit, 64);
                        assert_true(guest->reads - reads <= 64);
                }
                if (tail % 32 != 0 || tail >= 4096)
                        assert_true(read32(guest, VTD_REG_FSTS) & VTD_FSTS_IQE);
                assert_works(guest);
        }
}

/* Swaps the PASID entry as soon as any of it was read: a second look would see something else. */
static void swap_entry(struct guest *guest, uint64_t gpa)
{
        if (gpa / 64 != entry_of(RID_A, 0) / 64)
                return;
        guest->after_read = NULL;
        put_entry(guest, RID_A, 2, 9, TABLE_C);
}

/* The same for a descriptor: harmless when it is judged, another when it is carried out. */
static void swap_descriptor(struct guest *guest, uint64_t gpa)
{
        if (gpa < QUEUE || gpa >= QUEUE + 4096)
                return;
        guest->after_read = NULL;
        memset(guest->memory + gpa, 0xff, 32);
}

static void test_double_fetch(void **state)
{
        struct guest *guest = *state;
        uint64_t reads;

        start(guest);
        put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_B);
        reads = guest->reads;
        guest->after_read = swap_entry;
        invalidate(guest, PC_DOMAIN(5));
        assert_null(guest->after_read);
        /* The change is postponed behind removals, and looked at once more: as it is by then. */
        assert_int_equal(guest->reads - reads, 1 + 2 * 4);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_BLOCKED);
        assert_int_equal(fault_reason(guest, RID_A), 0x5b);
        clear_faults(guest);
        /* With nothing cached one look decides, and what it saw is what is cached. */
        fake_backend_forget(guest->broker);
        put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_B);
        guest->after_read = swap_entry;
        invalidate(guest, PC_DOMAIN(5));
        assert_int_equal(guest->broker->requests[0].attach.root, TABLE_B);
        fake_backend_forget(guest->broker);
        guest->after_read = swap_descriptor;
        queue_descriptor(guest, PIOTLB_PAGE(5, 0, 0x9000));
        kick(guest);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(guest->broker->count, 1);
        assert_int_equal(guest->broker->requests[0].invalidate.table, fake_backend_table(TABLE_B));
        assert_int_equal(guest->broker->requests[0].invalidate.entries[0].address, 0x9000);
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
}

#define TEST(name, function)                                                                       \
        {                                                                                          \
                name, function, guest_setup, guest_teardown, NULL                                  \
        }

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST("no abort: 8-byte accesses to 4-byte registers, and all other widths",
                     test_abort_on_access_width),
                TEST("no shift overflow: address masks up to 63", test_shift_by_address_mask),
                TEST("no assertion on a guest's value: types, granularities, levels, modes",
                     test_assertion_on_a_guest_s_value),
                TEST("no uninitialized mask: device-selective context invalidation",
                     test_uninitialized_function_mask),
                TEST("no unchecked reserved bits", test_reserved_bits_unchecked),
                TEST("no lost descriptor width: IQA.DW", test_descriptor_width_lost),
                TEST("no re-entrance: status and messages to the unit's own registers",
                     test_reentrance_through_its_own_registers),
                TEST("no amplification by PASID tables", test_pasid_table_amplification),
                TEST("no failed attach recorded as current",
                     test_failed_attach_recorded_as_current),
                TEST("no log flood by failing descriptors", test_log_flood),
                TEST("no silent exhaustion of host tables", test_exhaustion_of_host_tables),
                TEST("no page response to nobody", test_page_response_to_nobody),
                TEST("no growth without bound: invalidations that nothing waits for",
                     test_growth_without_bound),
                TEST("no endless loop: head and tail of the queue", test_endless_loop_in_the_queue),
                TEST("no double fetch: entries and descriptors", test_double_fetch),
        };

        return cmocka_run_group_tests_name("frontend-regressions", tests, NULL, NULL);
}
