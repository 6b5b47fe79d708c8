/* SPDX-License-Identifier: MIT */
/* The invalidation queue: what is accepted, what is an error, and when anything completes. */
#include "tests/unit/frontend-fixture.h"

#include <string.h>

#include "frontend/fault.h"
#include "shared/checked.h"

/* Device A in domain 5 with TABLE_A, translation on, nothing asked yet. */
static void start(struct guest *guest)
{
        plug(guest, RID_A);
        put_entry(guest, RID_A, 1, 5, TABLE_A);
        enable_translation(guest);
}

/* An IQE of @code with the head at @head. */
static void assert_queue_error(struct guest *guest, unsigned code, uint32_t head)
{
        assert_int_equal(read32(guest, VTD_REG_FSTS), VTD_FSTS_IQE);
        assert_int_equal(read64(guest, VTD_REG_IQERCD), code);
        assert_int_equal(read32(guest, VTD_REG_IQH), head);
}

static void test_a_wait_writes_its_status(void **state)
{
        struct guest *guest = *state;

        start(guest);
        guest_put64(guest, STATUS, UINT64_MAX);
        invalidate(guest, UINT64_C(0x25) | UINT64_C(2) << 32, STATUS);
        assert_int_equal(guest_get64(guest, STATUS), 0xffffffff00000002);
        assert_int_equal(read32(guest, VTD_REG_IQH), 32);
}

static void test_a_fence_only_wait_is_accepted(void **state)
{
        struct guest *guest = *state;

        start(guest);
        invalidate(guest, UINT64_C(0x45) | UINT64_C(2) << 32, 0);
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
        assert_int_equal(read32(guest, VTD_REG_IQH), 32);
}

static void test_a_wait_s_interrupt_follows_its_status(void **state)
{
        struct guest *guest = *state;

        start(guest);
        write32(guest, VTD_REG_IEDATA, 0x42);
        write32(guest, VTD_REG_IEADDR, 0xfee00000);
        write32(guest, VTD_REG_IECTL, 0);
        invalidate(guest, UINT64_C(0x35) | UINT64_C(2) << 32, STATUS);
        assert_int_equal(guest_get32(guest, STATUS), 2);
        assert_int_equal(guest->messages, 1);
        assert_int_equal(guest->message_data, 0x42);
        assert_int_equal(read32(guest, VTD_REG_ICS), VTD_ICS_IWC);
        /* No second event before the first is taken note of; the status is written all the same. */
        invalidate(guest, UINT64_C(0x35) | UINT64_C(3) << 32, STATUS);
        assert_int_equal(guest_get32(guest, STATUS), 3);
        assert_int_equal(guest->messages, 1);
        write32(guest, VTD_REG_ICS, VTD_ICS_IWC);
        invalidate(guest, UINT64_C(0x15), 0);
        assert_int_equal(guest->messages, 2);
}

static void test_a_misaligned_tail_is_error_6(void **state)
{
        struct guest *guest = *state;

        start(guest);
        write32(guest, VTD_REG_IQT, 16);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_queue_error(guest, 6, 0);
        assert_int_equal(read32(guest, VTD_REG_IQT), 0);
        write32(guest, VTD_REG_FSTS, VTD_FSTS_IQE);
        invalidate(guest, WAIT_STATUS(1));
        assert_int_equal(guest_get32(guest, STATUS), 1);
}

static void test_a_tail_beyond_the_queue_is_error_1(void **state)
{
        struct guest *guest = *state;

        start(guest);
        write32(guest, VTD_REG_IQT, 4096);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_queue_error(guest, 1, 0);
        /* Clearing the error without a better tail brings it back, and no more than that. */
        write32(guest, VTD_REG_FSTS, VTD_FSTS_IQE);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_queue_error(guest, 1, 0);
}

static void test_an_unreadable_queue_is_error_2(void **state)
{
        static const uint64_t bases[] = {GUEST_MEMORY, UINT64_C(1) << 52,
                                         UINT64_C(0xfffffffffffff000)};
        struct guest *guest = *state;

        enable_queue(guest);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(bases); i++) {
                command(guest, 0, VTD_GCMD_QIE);
                run_until(guest, VTD_FRONTEND_IDLE);
                write64(guest, VTD_REG_IQA, bases[i] | 0x807);
                command(guest, VTD_GCMD_QIE, 0);
                write32(guest, VTD_REG_IQT, 32);
                run_until(guest, VTD_FRONTEND_IDLE);
                assert_queue_error(guest, 2, 0);
                write32(guest, VTD_REG_IQT, 0);
                write32(guest, VTD_REG_FSTS, VTD_FSTS_IQE);
        }
}

static void test_the_queue_goes_on_when_its_error_is_cleared(void **state)
{
        struct guest *guest = *state;

        start(guest);
        queue_descriptor(guest, WAIT_STATUS(1));
        queue_descriptor(guest, 0, 0);
        queue_descriptor(guest, WAIT_STATUS(2));
        kick(guest);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_queue_error(guest, 3, 32);
        assert_int_equal(guest_get32(guest, STATUS), 1);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_queue_error(guest, 3, 32);
        guest_put64(guest, QUEUE + 32, 0x45);
        write32(guest, VTD_REG_FSTS, VTD_FSTS_IQE);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
        assert_int_equal(guest_get32(guest, STATUS), 2);
        assert_int_equal(read32(guest, VTD_REG_IQH), 96);
}

/* A driver takes an error for completion of what came before: that must be true by then. */
static void test_a_queue_error_waits_for_earlier_invalidations(void **state)
{
        struct guest *guest = *state;

        start(guest);
        guest->broker->hold = true;
        queue_descriptor(guest, PIOTLB_ALL(5, 0));
        queue_descriptor(guest, 0, 0);
        kick(guest);
        run_until(guest, VTD_FRONTEND_WAITING);
        assert_int_equal(guest->broker->requests[0].type, VTD_REQUEST_INVALIDATE);
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
        guest->broker->hold = false;
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_queue_error(guest, 3, 32);
}

static void test_a_wait_completes_only_after_every_answer(void **state)
{
        struct guest *guest = *state;

        start(guest);
        guest->broker->hold = true;
        put_entry(guest, RID_A, 1, 5, TABLE_B);
        queue_descriptor(guest, PC_PASID(5, 0));
        queue_descriptor(guest, PIOTLB_ALL(5, 0));
        queue_descriptor(guest, WAIT_STATUS(8));
        kick(guest);
        run_until(guest, VTD_FRONTEND_WAITING);
        run_until(guest, VTD_FRONTEND_WAITING);
        assert_int_equal(guest->broker->count, 1);
        assert_int_equal(guest_get32(guest, STATUS), 0);
        assert_int_equal(read32(guest, VTD_REG_IQH), 32);
        guest->broker->hold = false;
        assert_int_equal(vtd_frontend_run(guest->unit, 1), VTD_FRONTEND_PENDING);
        guest->broker->hold = true;
        run_until(guest, VTD_FRONTEND_WAITING);
        assert_int_equal(guest->broker->count, 2);
        assert_int_equal(guest_get32(guest, STATUS), 0);
        guest->broker->hold = false;
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(guest_get32(guest, STATUS), 8);
}

static void test_invalidations_are_sent_before_bindings_are_looked_at_again(void **state)
{
        struct guest *guest = *state;

        start(guest);
        put_entry(guest, RID_A, 1, 5, TABLE_B);
        queue_descriptor(guest, PIOTLB_PAGE(5, 0, 0x1000));
        queue_descriptor(guest, PC_PASID(5, 0));
        queue_descriptor(guest, PIOTLB_PAGE(5, 0, 0x2000));
        queue_descriptor(guest, CC_GLOBAL);
        kick(guest);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(guest->broker->count, 3);
        assert_int_equal(guest->broker->requests[0].invalidate.table, fake_backend_table(TABLE_A));
        assert_int_equal(guest->broker->requests[1].type, VTD_REQUEST_ATTACH);
        assert_int_equal(guest->broker->requests[2].invalidate.table, fake_backend_table(TABLE_B));
}

static void test_invalidations_are_sent_without_a_wait_when_the_queue_is_empty(void **state)
{
        struct guest *guest = *state;

        start(guest);
        invalidate(guest, PIOTLB_PAGE(5, 0, 0x1000));
        assert_int_equal(guest->broker->count, 1);
}

static void test_invalidations_between_two_waits_are_one_request(void **state)
{
        struct guest *guest = *state;
        const struct vtd_invalidate_request *request = &guest->broker->requests[0].invalidate;

        start(guest);
        queue_descriptor(guest, PIOTLB_PAGE(5, 0, 0x1000));
        queue_descriptor(guest, PIOTLB_PAGE(5, 0, 0x2000));
        queue_descriptor(guest, PIOTLB_PAGE(5, 0, 0x9000));
        queue_descriptor(guest, WAIT_STATUS(1));
        kick(guest);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(guest->broker->count, 1);
        assert_int_equal(request->count, 2);
        assert_int_equal(request->entries[0].address, 0x1000);
        assert_int_equal(request->entries[0].pages, 2);
        assert_int_equal(request->entries[1].address, 0x9000);
        assert_int_equal(request->entries[1].pages, 1);
}

static void assert_range(const struct vtd_request *request, size_t i, uint64_t address,
                         uint64_t pages, bool leaf)
{
        const struct vtd_invalidate_entry *entry = &request->invalidate.entries[i];

        assert_int_equal(request->type, VTD_REQUEST_INVALIDATE);
        assert_true(i < request->invalidate.count);
        assert_int_equal(entry->address, address);
        assert_int_equal(entry->pages, pages);
        assert_int_equal(entry->leaf, leaf);
}

/* Lets the broker give one answer, which must not be the last thing that the wait stands for. */
static void answer_one(struct guest *guest)
{
        guest->broker->hold = false;
        (void)vtd_frontend_run(guest->unit, 0);
        guest->broker->hold = true;
        run_until(guest, VTD_FRONTEND_WAITING);
        assert_int_equal(guest_get32(guest, STATUS), 0);
}

/*
 * Everything that lies between two waits, with a broker that answers late: ranges become the fewest
 * entries, none reaches beyond its block, and the order with cache descriptors stays.
 */
static void test_descriptors_between_two_waits_become_the_fewest_entries_in_order(void **state)
{
        struct guest *guest = *state;
        const struct vtd_request *requests = guest->broker->requests;

        start(guest);
        guest->broker->hold = true;
        put_entry(guest, RID_A, 1, 5, TABLE_B);
        queue_descriptor(guest, PIOTLB_PAGE(5, 0, 0x5000));
        queue_descriptor(guest, PIOTLB_PAGE(5, 0, 0x4000));     /* adjacent */
        queue_descriptor(guest, PIOTLB_PAGE(5, 0, 0x7000 | 2)); /* the block 4 to 7 */
        queue_descriptor(guest, PIOTLB_PAGE(5, 0, 0x9000));     /* after a gap */
        queue_descriptor(guest, PIOTLB_PAGE(5, 0, 0xb000 | LEAF));
        queue_descriptor(guest, PIOTLB_PAGE(5, 0, 0x9000 | LEAF)); /* covered */
        queue_descriptor(guest, PC_PASID(5, 0));
        queue_descriptor(guest, PIOTLB_PAGE(5, 0, 0x20000 | 3));
        queue_descriptor(guest, CC_DEVICE(RID_A, 0));
        queue_descriptor(guest, PIOTLB_ALL(5, 0));
        queue_descriptor(guest, PIOTLB_PAGE(5, 0, 0x30000));
        queue_descriptor(guest, WAIT_STATUS(8));
        kick(guest);
        run_until(guest, VTD_FRONTEND_WAITING);
        assert_int_equal(guest->broker->count, 1);
        assert_int_equal(requests[0].invalidate.table, fake_backend_table(TABLE_A));
        assert_int_equal(requests[0].invalidate.count, 3);
        assert_range(&requests[0], 0, 0x4000, 4, false);
        assert_range(&requests[0], 1, 0x9000, 1, false);
        assert_range(&requests[0], 2, 0xb000, 1, true);
        answer_one(guest);
        assert_int_equal(requests[1].type, VTD_REQUEST_ATTACH);
        assert_int_equal(requests[1].attach.root, TABLE_B);
        answer_one(guest);
        assert_int_equal(requests[2].invalidate.table, fake_backend_table(TABLE_B));
        assert_int_equal(requests[2].invalidate.count, 1);
        assert_range(&requests[2], 0, 0x20000, 8, false);
        answer_one(guest);
        assert_int_equal(requests[3].invalidate.count, 1);
        assert_range(&requests[3], 0, 0, VTD_INVALIDATE_ALL, false);
        assert_int_equal(guest->broker->count, 4);
        guest->broker->hold = false;
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(guest->broker->count, 4);
        assert_int_equal(guest_get32(guest, STATUS), 8);
}

static void test_over_128_ranges_between_two_waits_become_the_whole_table(void **state)
{
        struct guest *guest = *state;
        const struct vtd_request *requests = guest->broker->requests;

        start(guest);
        guest->broker->hold = true;
        for (unsigned more = 0; more < 2; more++) {
                fake_backend_forget(guest->broker);
                guest_put64(guest, STATUS, 0);
                /* The queue holds 127: it never runs empty before the wait. */
                for (unsigned i = 0; i < VTD_LIMIT_INVALIDATE_ENTRIES + more; i++) {
                        queue_descriptor(guest, PIOTLB_PAGE(5, 0, i * 0x2000));
                        if (i != 100)
                                continue;
                        kick(guest);
                        assert_int_equal(vtd_frontend_run(guest->unit, 100), VTD_FRONTEND_PENDING);
                }
                queue_descriptor(guest, WAIT_STATUS(3));
                kick(guest);
                run_until(guest, VTD_FRONTEND_WAITING);
                assert_int_equal(guest->broker->count, 1);
                assert_int_equal(guest_get32(guest, STATUS), 0);
                if (more == 0) {
                        assert_int_equal(requests[0].invalidate.count,
                                         VTD_LIMIT_INVALIDATE_ENTRIES);
                        assert_range(&requests[0], 127, 127 * 0x2000, 1, false);
                } else {
                        assert_int_equal(requests[0].invalidate.count, 1);
                        assert_range(&requests[0], 0, 0, VTD_INVALIDATE_ALL, false);
                }
                guest->broker->hold = false;
                run_until(guest, VTD_FRONTEND_IDLE);
                assert_int_equal(guest_get32(guest, STATUS), 3);
                guest->broker->hold = true;
        }
}

static void test_every_address_mask_is_accepted_for_pasid_based_invalidation(void **state)
{
        struct guest *guest = *state;

        start(guest);
        for (unsigned mask = 0; mask < 64; mask++) {
                const struct vtd_invalidate_entry *entry =
                        &guest->broker->requests[0].invalidate.entries[0];
                uint64_t block = mask < 36 ? UINT64_C(1) << (mask + 12) : 0;

                fake_backend_forget(guest->broker);
                invalidate(guest, PIOTLB_PAGE(5, 0, UINT64_C(0x7fffdeadb000) | mask));
                assert_int_equal(guest->broker->count, 1);
                assert_int_equal(entry->address, block ? 0x7fffdeadb000 & ~(block - 1) : 0);
                assert_int_equal(entry->pages, block ? UINT64_C(1) << mask : VTD_INVALIDATE_ALL);
        }
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
}

static void test_addresses_beyond_the_table_flush_it_whole(void **state)
{
        struct guest *guest = *state;
        const struct vtd_invalidate_entry *entry =
                &guest->broker->requests[0].invalidate.entries[0];

        start(guest);
        invalidate(guest, PIOTLB_PAGE(5, 0, UINT64_C(0xffff800000000000)));
        assert_int_equal(entry->address, 0);
        assert_int_equal(entry->pages, VTD_INVALIDATE_ALL);
}

static void test_descriptors_for_more_tables_than_fit_are_all_carried_out(void **state)
{
        struct guest *guest = *state;

        for (unsigned i = 0; i < VTD_LIMIT_DEVICES; i++) {
                plug(guest, i << 3);
                put_entry(guest, i << 3, 1, 10 + i, 0x300000 + i * 0x1000);
        }
        enable_translation(guest);
        for (unsigned i = 0; i < VTD_LIMIT_DEVICES; i++)
                queue_descriptor(guest, PIOTLB_PAGE(10 + i, 0, 0x1000));
        queue_descriptor(guest, WAIT_STATUS(5));
        kick(guest);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(guest->broker->count, VTD_LIMIT_DEVICES);
        for (unsigned i = 0; i < VTD_LIMIT_DEVICES; i++) {
                unsigned found = 0;

                for (unsigned j = 0; j < VTD_LIMIT_DEVICES; j++)
                        found += guest->broker->requests[j].invalidate.table ==
                                 fake_backend_table(0x300000 + i * 0x1000);
                assert_int_equal(found, 1);
        }
        assert_int_equal(guest_get32(guest, STATUS), 5);
        fake_backend_forget(guest->broker);
        invalidate(guest, IOTLB_GLOBAL);
        assert_int_equal(guest->broker->count, VTD_LIMIT_DEVICES);
}

/* One bad bit in an otherwise good descriptor of each type, for every reserved bit. */
static void test_every_reserved_bit_is_error_4(void **state)
{
        static const struct {
                uint64_t words[2];
                uint64_t reserved[4];
        } cases[] = {
                {{CC_GLOBAL}, {0xfffc00000000f1c0, UINT64_MAX, UINT64_MAX, UINT64_MAX}},
                {{IOTLB_GLOBAL}, {0xffffffff0000f100, 0xf80, UINT64_MAX, UINT64_MAX}},
                {{0x3, 0x1000}, {0xffff0000ffe0f1f0, 0xffe, UINT64_MAX, UINT64_MAX}},
                {{0x4, 0}, {0xffff000007fff1e0, UINT64_MAX, UINT64_MAX, UINT64_MAX}},
                {{0x45, 0}, {0x00000000fffff180, 0x3, UINT64_MAX, UINT64_MAX}},
                {{PIOTLB_ALL(5, 0)}, {0xfff000000000f1c0, 0xf80, UINT64_MAX, UINT64_MAX}},
                {{PIOTLB_PAGE(5, 0, 0)}, {0xfff000000000f1c0, 0xf80, UINT64_MAX, UINT64_MAX}},
                {{PC_GLOBAL}, {0xfff000000000f1c0, UINT64_MAX, UINT64_MAX, UINT64_MAX}},
                {{0x8, 0x1000}, {0xfff000000000f000, 0x7fe, UINT64_MAX, UINT64_MAX}},
                {{0x9, 0}, {0xfff00000000001e0, 0xfffffffffffff003, 0, 0}},
        };
        struct guest *guest = *state;

        start(guest);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                for (unsigned bit = 0; bit < 256; bit++) {
                        uint64_t words[4] = {cases[i].words[0], cases[i].words[1], 0, 0};
                        uint64_t mask = UINT64_C(1) << (bit % 64);
                        uint32_t head = guest->tail;

                        /* The type field is another test's. */
                        if (bit < 4 || (bit >= 9 && bit < 12))
                                continue;
                        if (!(cases[i].reserved[bit / 64] & mask))
                                continue;
                        words[bit / 64] ^= mask;
                        queue_descriptor(guest, words[0], words[1]);
                        guest_put64(guest, QUEUE + head + 16, words[2]);
                        guest_put64(guest, QUEUE + head + 24, words[3]);
                        kick(guest);
                        run_until(guest, VTD_FRONTEND_IDLE);
                        /* In the scope of reserved bits of the granularity too: 4 either way. */
                        assert_queue_error(guest, 4, head);
                        guest_put64(guest, QUEUE + head, 0x45);
                        memset(guest->memory + QUEUE + head + 8, 0, 24);
                        write32(guest, VTD_REG_FSTS, VTD_FSTS_IQE);
                        run_until(guest, VTD_FRONTEND_IDLE);
                        assert_int_equal(read32(guest, VTD_REG_IQH), guest->tail);
                }
                /* And without it, the descriptor is good. */
                invalidate(guest, cases[i].words[0], cases[i].words[1]);
                assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
        }
}

static void assert_refused(struct guest *guest, uint64_t first, uint64_t second, unsigned code)
{
        uint32_t head = guest->tail;

        invalidate(guest, first, second);
        assert_queue_error(guest, code, head);
        guest_put64(guest, QUEUE + head, 0x45);
        guest_put64(guest, QUEUE + head + 8, 0);
        write32(guest, VTD_REG_FSTS, VTD_FSTS_IQE);
        run_until(guest, VTD_FRONTEND_IDLE);
}

static void test_reserved_granularities_and_large_masks_are_error_4(void **state)
{
        struct guest *guest = *state;

        start(guest);
        assert_refused(guest, 0x01, 0, 4);
        assert_refused(guest, 0x02, 0, 4);
        assert_refused(guest, 0x06, 0, 4);
        assert_refused(guest, 0x16, 0, 4);
        assert_refused(guest, 0x27, 0, 4);
        assert_refused(guest, 0x32, 19, 4);
        assert_int_equal(guest->broker->count, 0);
        /* MAMV is about pages only, and includes itself. */
        invalidate(guest, 0x22 | 9 << 16, 19);
        invalidate(guest, 0x32 | 9 << 16, 18);
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
}

static void test_unknown_types_are_error_3(void **state)
{
        struct guest *guest = *state;

        start(guest);
        for (unsigned type = 0; type < 128; type++) {
                if (type >= 1 && type <= 9)
                        continue;
                assert_refused(guest, (type & 0xf) | (type >> 4) << 9, 0, 3);
        }
}

/* Capabilities that are not offered: judged like all others, and nothing to do. */
static void test_descriptors_of_absent_capabilities_are_ignored(void **state)
{
        struct guest *guest = *state;

        start(guest);
        invalidate(guest, 0x3 | UINT64_C(8) << 32, 0x7ffffffffffff001);
        invalidate(guest, 0x14, 0);
        invalidate(guest, 0x8 | 8 << 16, 0x7ffffffffffff800);
        invalidate(guest, 0x9 | 8 << 16, 0);
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
        assert_int_equal(guest->broker->count, 0);
}

static void test_an_unwritable_status_is_an_error(void **state)
{
        static const uint64_t addresses[] = {GUEST_MEMORY, GUEST_MEMORY - 4 + 4, UINT64_C(1) << 52,
                                             UINT64_MAX & ~UINT64_C(3)};
        struct guest *guest = *state;

        start(guest);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(addresses); i++)
                assert_refused(guest, UINT64_C(0x35), addresses[i], 4);
        assert_int_equal(read32(guest, VTD_REG_ICS), 0);
        invalidate(guest, UINT64_C(0x25) | UINT64_C(7) << 32, GUEST_MEMORY - 8);
        assert_int_equal(guest_get32(guest, GUEST_MEMORY - 8), 7);
}

static void use_queue(struct guest *guest, uint64_t root, uint64_t iqa)
{
        write64(guest, VTD_REG_RTADDR, root);
        command(guest, VTD_GCMD_SRTP, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        command(guest, 0, VTD_GCMD_QIE);
        run_until(guest, VTD_FRONTEND_IDLE);
        write32(guest, VTD_REG_IQT, 0);
        guest->tail = 0;
        write64(guest, VTD_REG_IQA, iqa);
        command(guest, VTD_GCMD_QIE, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(read32(guest, VTD_REG_IQH), 0);
}

static void test_short_descriptors_work_in_legacy_mode_only(void **state)
{
        struct guest *guest = *state;

        use_queue(guest, ROOT_TABLE, QUEUE);
        guest_put64(guest, QUEUE, 0x11);
        guest_put64(guest, QUEUE + 8, 0);
        guest_put64(guest, QUEUE + 16, UINT64_C(0x25) | UINT64_C(3) << 32);
        guest_put64(guest, QUEUE + 24, STATUS);
        write32(guest, VTD_REG_IQT, 32);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(guest_get32(guest, STATUS), 3);
        assert_int_equal(read32(guest, VTD_REG_IQH), 32);
        /* An odd number of them. */
        guest_put64(guest, QUEUE + 32, 0x45);
        guest_put64(guest, QUEUE + 40, 0);
        write32(guest, VTD_REG_IQT, 48);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(read32(guest, VTD_REG_IQH), 48);
        use_queue(guest, ROOT_TABLE | 0x400, QUEUE);
        write32(guest, VTD_REG_IQT, 16);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_queue_error(guest, 3, 0);
}

static void test_pasid_descriptors_are_type_errors_in_legacy_mode(void **state)
{
        struct guest *guest = *state;

        use_queue(guest, ROOT_TABLE, QUEUE | 0x800);
        invalidate(guest, WAIT_STATUS(1));
        assert_int_equal(guest_get32(guest, STATUS), 1);
        assert_refused(guest, PIOTLB_ALL(5, 0), 3);
        assert_refused(guest, PC_GLOBAL, 3);
        assert_refused(guest, 8, 0, 3);
        assert_refused(guest, 9, 0, 3);
}

static void test_a_reserved_table_mode_is_error_7(void **state)
{
        struct guest *guest = *state;

        use_queue(guest, ROOT_TABLE | 0x800, QUEUE | 0x800);
        invalidate(guest, WAIT_STATUS(1));
        assert_queue_error(guest, 7, 0);
}

static void test_the_head_wraps_at_the_queue_s_size(void **state)
{
        struct guest *guest = *state;

        start(guest);
        for (unsigned i = 0; i < 300; i++) {
                invalidate(guest, WAIT_STATUS(i));
                assert_int_equal(guest_get32(guest, STATUS), i);
                assert_int_equal(read32(guest, VTD_REG_IQH), (i + 1) * 32 % 4096);
        }
}

/* QS 0 to 7: 2^QS pages, of which the last descriptor is looked at and the next one never. */
static void test_the_size_of_the_queue_is_that_of_iqa(void **state)
{
        struct guest *guest = *state;

        enable_queue(guest);
        for (unsigned size = 0; size < 8; size++) {
                uint32_t end = UINT32_C(4096) << size;

                command(guest, 0, VTD_GCMD_QIE);
                run_until(guest, VTD_FRONTEND_IDLE);
                write64(guest, VTD_REG_IQA, QUEUE | 0x800 | size);
                command(guest, VTD_GCMD_QIE, 0);
                write32(guest, VTD_REG_IQT, end - 32);
                run_until(guest, VTD_FRONTEND_IDLE);
                assert_int_equal(read32(guest, VTD_REG_IQERCD), VTD_QUEUE_ERROR_TYPE);
                if (size < 7) { /* IQT has no bits for more */
                        write32(guest, VTD_REG_IQT, end);
                        write32(guest, VTD_REG_FSTS, VTD_FSTS_IQE);
                        run_until(guest, VTD_FRONTEND_IDLE);
                        assert_int_equal(read32(guest, VTD_REG_IQERCD), VTD_QUEUE_ERROR_TAIL);
                }
                write32(guest, VTD_REG_IQT, 0);
                write32(guest, VTD_REG_FSTS, VTD_FSTS_IQE);
        }
}

static void test_the_queue_needs_qie_and_starts_with_what_is_there(void **state)
{
        struct guest *guest = *state;

        write64(guest, VTD_REG_IQA, QUEUE | 0x800);
        queue_descriptor(guest, WAIT_STATUS(1));
        kick(guest);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(guest_get32(guest, STATUS), 0);
        command(guest, VTD_GCMD_QIE, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(guest_get32(guest, STATUS), 1);
        command(guest, 0, VTD_GCMD_QIE);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(read32(guest, VTD_REG_GSTS), 0);
        assert_int_equal(read32(guest, VTD_REG_IQH), 0);
}

static void test_disabling_completes_with_an_error_standing_or_work_left(void **state)
{
        struct guest *guest = *state;

        start(guest);
        invalidate(guest, 0, 0);
        assert_queue_error(guest, 3, 0);
        command(guest, 0, VTD_GCMD_QIE);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_false(read32(guest, VTD_REG_GSTS) & VTD_GCMD_QIE);
}

static void test_iqa_counts_when_the_queue_is_enabled(void **state)
{
        struct guest *guest = *state;

        start(guest);
        write64(guest, VTD_REG_IQA, 0x50000);
        assert_int_equal(read64(guest, VTD_REG_IQA), 0x50000);
        invalidate(guest, WAIT_STATUS(1));
        assert_int_equal(guest_get32(guest, STATUS), 1);
}

static void test_a_run_reads_no_more_than_its_budget(void **state)
{
        struct guest *guest = *state;
        uint64_t reads;

        start(guest);
        put_entry(guest, RID_A, 1, 5, TABLE_B);
        for (unsigned i = 0; i < 100; i++)
                queue_descriptor(guest, i % 10 == 0 ? UINT64_C(0x11) : UINT64_C(0x45), 0);
        kick(guest);
        for (unsigned budget = 0; budget < 16; budget++) {
                reads = guest->reads;
                assert_int_equal(vtd_frontend_run(guest->unit, budget), VTD_FRONTEND_PENDING);
                assert_true(guest->reads - reads <= budget);
        }
        for (unsigned i = 0; vtd_frontend_run(guest->unit, 1) != VTD_FRONTEND_IDLE; i++)
                assert_true(i < 200);
        assert_int_equal(read32(guest, VTD_REG_IQH), 3200);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, guest_setup, guest_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_a_wait_writes_its_status),
                TEST(test_a_fence_only_wait_is_accepted),
                TEST(test_a_wait_s_interrupt_follows_its_status),
                TEST(test_a_misaligned_tail_is_error_6),
                TEST(test_a_tail_beyond_the_queue_is_error_1),
                TEST(test_an_unreadable_queue_is_error_2),
                TEST(test_the_queue_goes_on_when_its_error_is_cleared),
                TEST(test_a_queue_error_waits_for_earlier_invalidations),
                TEST(test_a_wait_completes_only_after_every_answer),
                TEST(test_invalidations_are_sent_before_bindings_are_looked_at_again),
                TEST(test_invalidations_are_sent_without_a_wait_when_the_queue_is_empty),
                TEST(test_invalidations_between_two_waits_are_one_request),
                TEST(test_descriptors_between_two_waits_become_the_fewest_entries_in_order),
                TEST(test_over_128_ranges_between_two_waits_become_the_whole_table),
                TEST(test_every_address_mask_is_accepted_for_pasid_based_invalidation),
                TEST(test_addresses_beyond_the_table_flush_it_whole),
                TEST(test_descriptors_for_more_tables_than_fit_are_all_carried_out),
                TEST(test_every_reserved_bit_is_error_4),
                TEST(test_reserved_granularities_and_large_masks_are_error_4),
                TEST(test_unknown_types_are_error_3),
                TEST(test_descriptors_of_absent_capabilities_are_ignored),
                TEST(test_an_unwritable_status_is_an_error),
                TEST(test_short_descriptors_work_in_legacy_mode_only),
                TEST(test_pasid_descriptors_are_type_errors_in_legacy_mode),
                TEST(test_a_reserved_table_mode_is_error_7),
                TEST(test_the_head_wraps_at_the_queue_s_size),
                TEST(test_the_size_of_the_queue_is_that_of_iqa),
                TEST(test_the_queue_needs_qie_and_starts_with_what_is_there),
                TEST(test_disabling_completes_with_an_error_standing_or_work_left),
                TEST(test_iqa_counts_when_the_queue_is_enabled),
                TEST(test_a_run_reads_no_more_than_its_budget),
        };

        return cmocka_run_group_tests_name("frontend-queue", tests, NULL, NULL);
}
