/* SPDX-License-Identifier: MIT */
/*
 * Saving a unit and restoring it.  A guest is brought to a state, saved, and restored into another
 * unit with another broker: both must look alike then, ask their brokers for what the tables say, and
 * go on alike.
 */
#include "tests/unit/state-fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shared/checked.h"
#include "vtd/state.h"

static void assert_same_registers(struct pair *pair)
{
        for (unsigned offset = 0; offset < VTD_FRONTEND_REGISTER_PAGE_SIZE; offset += 4)
                if (read32(pair->a, offset) != read32(pair->b, offset))
                        fail_msg("register %#x is %#x in the one and %#x in the other", offset,
                                 read32(pair->a, offset), read32(pair->b, offset));
}

/* The guest of the saved state in a new unit, with the devices plugged before or after. */
static void restore_into_second(struct pair *pair, bool late)
{
        struct guest *b = pair->b;

        state_configure(b);
        memcpy(b->memory, pair->at_saving.memory, sizeof(b->memory));
        b->tail = pair->at_saving.tail;
        b->command = pair->at_saving.command;
        b->messages = 0;
        if (!late)
                plug_devices(b);
        assert_int_equal(vtd_frontend_restore(b->unit, pair->state, STATE_SIZE), 0);
        if (!late)
                return;
        run_until(b, VTD_FRONTEND_IDLE);
        plug_devices(b);
}

static void assert_alike(struct pair *pair)
{
        assert_same_registers(pair);
        assert_memory_equal(pair->a->memory, pair->b->memory, GUEST_MEMORY);
        for (size_t i = 0; i < DEVICES; i++) {
                assert_int_equal(binding_of(pair->a, rids[i]), binding_of(pair->b, rids[i]));
                assert_int_equal(pasid_binding_of(pair->a, rids[i], PASID_ONE),
                                 pasid_binding_of(pair->b, rids[i], PASID_ONE));
                assert_int_equal(pasid_binding_of(pair->a, rids[i], PASID_TWO),
                                 pasid_binding_of(pair->b, rids[i], PASID_TWO));
        }
        assert_int_equal(pair->a->messages, pair->b->messages);
        assert_int_equal(pair->b->lines, 0);
}

static void assert_same_request(const struct vtd_request *a, const struct vtd_request *b)
{
        assert_int_equal(a->type, b->type);
        if (a->type == VTD_REQUEST_ATTACH) {
                assert_int_equal(a->attach.device, b->attach.device);
                assert_int_equal(a->attach.pasid, b->attach.pasid);
                assert_int_equal(a->attach.mode, b->attach.mode);
                assert_int_equal(a->attach.root, b->attach.root);
                assert_int_equal(a->attach.address_width, b->attach.address_width);
                return;
        }
        assert_int_equal(a->type, VTD_REQUEST_INVALIDATE);
        assert_int_equal(a->invalidate.table, b->invalidate.table);
        assert_int_equal(a->invalidate.count, b->invalidate.count);
        for (size_t i = 0; i < a->invalidate.count; i++) {
                assert_int_equal(a->invalidate.entries[i].address,
                                 b->invalidate.entries[i].address);
                assert_int_equal(a->invalidate.entries[i].pages, b->invalidate.entries[i].pages);
                assert_int_equal(a->invalidate.entries[i].leaf, b->invalidate.entries[i].leaf);
        }
}

/* Both guests do the same; both units are to do the same. */
static void both(struct pair *pair, void (*action)(struct guest *))
{
        fake_backend_forget(pair->a->broker);
        fake_backend_forget(pair->b->broker);
        action(pair->a);
        run_until(pair->a, VTD_FRONTEND_IDLE);
        action(pair->b);
        run_until(pair->b, VTD_FRONTEND_IDLE);
        assert_alike(pair);
        assert_int_equal(pair->a->broker->count, pair->b->broker->count);
        for (size_t i = 0; i < pair->a->broker->count; i++)
                assert_same_request(&pair->a->broker->requests[i], &pair->b->broker->requests[i]);
}

static void announce(struct guest *guest, unsigned domain)
{
        queue_descriptor(guest, PC_DOMAIN(domain));
        queue_descriptor(guest, PIOTLB_ALL(domain, 0));
        queue_descriptor(guest, UINT64_C(0x35) | (uint64_t)(domain + 1) << 32, STATUS);
        kick(guest);
}

static void rebind(struct guest *guest)
{
        put_pasid_context(guest, RID_A, 0, directory_of(RID_A));
        put_pasid_context(guest, RID_B, 0, directory_of(RID_B));
        put_pasid(guest, RID_A, 0, FIRST_STAGE, 9, TABLE_B);
        put_pasid(guest, RID_A, PASID_TWO, FIRST_STAGE, 9, TABLE_A);
        put_pasid(guest, RID_B, 0, PASSTHROUGH, 1, 0);
        queue_descriptor(guest, CC_GLOBAL);
        announce(guest, 9);
}

static void invalidate_pages(struct guest *guest)
{
        queue_descriptor(guest, PIOTLB_PAGE(9, 0, 0x7000 | LEAF));
        queue_descriptor(guest, PIOTLB_PAGE(9, PASID_TWO, 0x100000 | 4));
        announce(guest, 9);
}

static void err(struct guest *guest)
{
        put_entry(guest, RID_B, SECOND_STAGE, 5, TABLE_A);
        queue_descriptor(guest, PC_GLOBAL);
        announce(guest, 5);
}

static void switch_off(struct guest *guest)
{
        command(guest, 0, VTD_GCMD_TE);
}

static void go_on(struct pair *pair)
{
        static void (*const actions[])(struct guest *) = {
                unmask, recover, switch_on, rebind, invalidate_pages, err,        err,
                rebind, err,     err,       err,    recover,          switch_off, switch_on};

        for (size_t i = 0; i < VTD_ARRAY_SIZE(actions); i++)
                both(pair, actions[i]);
        assert_int_equal(binding_of(pair->b, RID_A), FIRST);
        assert_int_equal(pasid_binding_of(pair->b, RID_A, PASID_TWO), FIRST);
        assert_true(pair->b->messages > 0);
}

/* Saves the first guest, and has it and its copies go on. */
static void check_round_trip(struct pair *pair)
{
        uint8_t again[STATE_SIZE];

        state_save_first(pair);
        pair->a->messages = 0;
        restore_into_second(pair, false);
        assert_same_registers(pair);
        state_save(pair->b, again);
        assert_memory_equal(again, pair->state, STATE_SIZE);
        run_until(pair->a, VTD_FRONTEND_IDLE);
        restore_into_second(pair, true);
        run_until(pair->b, VTD_FRONTEND_IDLE);
        assert_alike(pair);
        restore_into_second(pair, false);
        fake_backend_forget(pair->b->broker);
        run_until(pair->b, VTD_FRONTEND_IDLE);
        assert_alike(pair);
}

/*
 * The states.
 */

/* Whatever keeps what a guest writes, in a unit that offers all there is. */
static void test_no_register_is_forgotten(void **state)
{
        const struct vtd_frontend_config config = {
                .first_stage = true,
                .first_stage_1gib = true,
                .first_stage_5level = true,
                .supervisor_requests = true,
                .extended_accessed = true,
                .second_stage_widths = VTD_FRONTEND_WIDTH_48 | VTD_FRONTEND_WIDTH_57,
                .second_stage_dirty = true,
                .nested = true,
                .caching_mode = true,
                .snoop_control = true,
                .interrupt_remapping = true,
                .extended_interrupt_mode = true,
                .pasid_bits = 20,
                .fault_records = 222,
                .address_bits = 57,
                .host_address_bits = 52,
                .register_base = VTD_FRONTEND_REGISTER_BASE,
        };
        struct pair *pair = *state;
        unsigned kept = 0;
        size_t size;

        guest_configure(pair->a, &config, 7);
        guest_configure(pair->b, &config, 7);
        for (unsigned offset = 0; offset < VTD_FRONTEND_REGISTER_PAGE_SIZE; offset += 4) {
                uint32_t before = read32(pair->a, offset);

                if (offset != VTD_REG_GCMD)
                        write32(pair->a, offset, UINT32_MAX - offset);
                kept += read32(pair->a, offset) != before;
        }
        assert_true(kept >= 15);
        assert_int_equal(vtd_frontend_save(pair->a->unit, pair->state, sizeof(pair->state), &size),
                         0);
        assert_int_equal(size, 176 + 222 * 16);
        assert_int_equal(vtd_frontend_restore(pair->b->unit, pair->state, size), 0);
        assert_same_registers(pair);
}

static void test_after_creation_and_after_reset(void **state)
{
        struct pair *pair = *state;

        plug_devices(pair->a);
        check_round_trip(pair);
        go_on(pair);
        vtd_frontend_reset(pair->a->unit);
        pair->a->command = 0;
        check_round_trip(pair);
        go_on(pair);
}

static void test_translation_off(void **state)
{
        struct pair *pair = *state;

        plug_devices(pair->a);
        enable_queue(pair->a);
        queue_descriptor(pair->a, WAIT_STATUS(1));
        kick(pair->a);
        run_until(pair->a, VTD_FRONTEND_IDLE);
        check_round_trip(pair);
        assert_int_equal(read32(pair->b, VTD_REG_IQH), 32);
        assert_int_equal(binding_of(pair->b, RID_A), VTD_FRONTEND_BINDING_PASSTHROUGH);
        go_on(pair);
}

/* What is asked of the new broker is one Attach for each binding, and nothing else. */
static void test_bindings_are_replayed(void **state)
{
        static const struct {
                unsigned device, pasid;
                enum vtd_attach_mode mode;
                uint64_t root;
        } expected[] = {
                {1, VTD_NO_PASID, VTD_ATTACH_FIRST_STAGE, TABLE_A},
                {2, VTD_NO_PASID, VTD_ATTACH_FIRST_STAGE, TABLE_A},
                {1, PASID_ONE, VTD_ATTACH_FIRST_STAGE, TABLE_B},
                {1, PASID_TWO, VTD_ATTACH_PASSTHROUGH, 0},
        };
        struct pair *pair = *state;
        const struct vtd_request *requests;

        bring_up(pair->a);
        check_round_trip(pair);
        requests = pair->b->broker->requests;
        assert_int_equal(pair->b->broker->count, VTD_ARRAY_SIZE(expected));
        for (size_t i = 0; i < VTD_ARRAY_SIZE(expected); i++) {
                assert_int_equal(requests[i].type, VTD_REQUEST_ATTACH);
                assert_int_equal(requests[i].attach.device, expected[i].device);
                assert_int_equal(requests[i].attach.pasid, expected[i].pasid);
                assert_int_equal(requests[i].attach.mode, expected[i].mode);
                assert_int_equal(requests[i].attach.root, expected[i].root);
        }
        go_on(pair);
}

/* The queue goes on by itself, though what was pending is not in the state. */
static void test_in_the_middle_of_the_queue(void **state)
{
        struct pair *pair = *state;

        bring_up(pair->a);
        for (unsigned i = 1; i < 40; i++) {
                queue_descriptor(pair->a, PIOTLB_PAGE(5, 0, i * 0x2000));
                queue_descriptor(pair->a, WAIT_STATUS(i));
        }
        kick(pair->a);
        assert_int_equal(vtd_frontend_run(pair->a->unit, 10), VTD_FRONTEND_PENDING);
        assert_int_not_equal(read32(pair->a, VTD_REG_IQH), 0);
        assert_true(pair->a->unit->engine.pending.count > 0);
        check_round_trip(pair);
        assert_int_equal(guest_get32(pair->b, STATUS), 39);
        assert_int_equal(read32(pair->b, VTD_REG_IQH), pair->b->tail);
        go_on(pair);
}

static void test_with_narrow_descriptors(void **state)
{
        struct pair *pair = *state;
        struct guest *a = pair->a;

        plug_devices(a);
        write64(a, VTD_REG_IQA, QUEUE | 1);
        command(a, VTD_GCMD_QIE, 0);
        run_until(a, VTD_FRONTEND_IDLE);
        for (unsigned i = 0; i < 5; i++) {
                guest_put64(a, QUEUE + i * 16, 0x25 | (uint64_t)(i + 1) << 32);
                guest_put64(a, QUEUE + i * 16 + 8, STATUS);
        }
        write32(a, VTD_REG_IQT, 5 * 16);
        assert_int_equal(vtd_frontend_run(a->unit, 3), VTD_FRONTEND_PENDING);
        assert_int_equal(read32(a, VTD_REG_IQH), 3 * 16);
        /* What IQA holds is not what the queue runs on. */
        write64(a, VTD_REG_IQA, 0x123000 | 0x802);
        check_round_trip(pair);
        assert_int_equal(guest_get32(pair->b, STATUS), 5);
        assert_int_equal(read64(pair->b, VTD_REG_IQA), 0x123000 | 0x802);
        command(a, 0, VTD_GCMD_QIE);
        command(pair->b, 0, VTD_GCMD_QIE);
        run_until(a, VTD_FRONTEND_IDLE);
        run_until(pair->b, VTD_FRONTEND_IDLE);
        go_on(pair);
}

static void fix_descriptor(struct guest *guest)
{
        guest_put64(guest, QUEUE + 32, 0x25 | UINT64_C(9) << 32);
        guest_put64(guest, QUEUE + 40, STATUS);
        write32(guest, VTD_REG_FSTS, VTD_FSTS_IQE);
}

static void test_with_a_queue_error_standing(void **state)
{
        struct pair *pair = *state;

        bring_up(pair->a);
        queue_descriptor(pair->a, WAIT_STATUS(1));
        queue_descriptor(pair->a, 0, 0);
        queue_descriptor(pair->a, WAIT_STATUS(2));
        kick(pair->a);
        run_until(pair->a, VTD_FRONTEND_IDLE);
        assert_true(read32(pair->a, VTD_REG_FSTS) & VTD_FSTS_IQE);
        assert_int_equal(read32(pair->a, VTD_REG_FECTL), VTD_ECTL_IM | VTD_ECTL_IP);
        check_round_trip(pair);
        assert_int_equal(read64(pair->b, VTD_REG_IQERCD), VTD_QUEUE_ERROR_TYPE);
        both(pair, unmask);
        assert_int_equal(pair->b->messages, 1);
        assert_int_equal(pair->b->message_address, 0xfee01000);
        assert_int_equal(pair->b->message_data, 0x31);
        both(pair, fix_descriptor);
        assert_int_equal(guest_get32(pair->b, STATUS), 2);
        go_on(pair);
}

/* The error waits for pending invalidations when it is saved: it is found again. */
static void test_with_a_queue_error_held(void **state)
{
        struct pair *pair = *state;

        bring_up(pair->a);
        queue_descriptor(pair->a, PIOTLB_PAGE(5, 0, 0x1000));
        queue_descriptor(pair->a, PIOTLB_PAGE(5, 0, 0x3000));
        kick(pair->a);
        assert_int_equal(vtd_frontend_run(pair->a->unit, 1), VTD_FRONTEND_PENDING);
        write32(pair->a, VTD_REG_IQT, 48);
        assert_int_equal(vtd_frontend_run(pair->a->unit, 1), VTD_FRONTEND_PENDING);
        assert_true(pair->a->unit->engine.held_error);
        check_round_trip(pair);
        assert_true(read32(pair->b, VTD_REG_FSTS) & VTD_FSTS_IQE);
        assert_int_equal(read64(pair->b, VTD_REG_IQERCD), VTD_QUEUE_ERROR_TAIL_ALIGNMENT);
        assert_int_equal(read32(pair->b, VTD_REG_IQT), 32);
        go_on(pair);
}

static void test_with_a_masked_event_pending(void **state)
{
        struct pair *pair = *state;

        bring_up(pair->a);
        invalidate(pair->a, UINT64_C(0x15), 0);
        assert_int_equal(read32(pair->a, VTD_REG_IECTL), VTD_ECTL_IM | VTD_ECTL_IP);
        check_round_trip(pair);
        assert_int_equal(pair->b->messages, 0);
        both(pair, unmask);
        assert_int_equal(pair->b->messages, 1);
        assert_int_equal(pair->b->message_address, 0xfee02000);
        assert_int_equal(pair->b->message_data, 0x32);
        go_on(pair);
}

static void test_with_gaps_in_the_fault_records(void **state)
{
        struct pair *pair = *state;

        bring_up(pair->a);
        record_faults(pair->a);
        check_round_trip(pair);
        both(pair, err);
        assert_true(read32(pair->b, VTD_REG_FRCD + 3 * VTD_FRCD_SIZE + 12) & VTD_FRCD_F);
        both(pair, err);
        assert_true(read32(pair->b, VTD_REG_FSTS) & VTD_FSTS_PFO);
        go_on(pair);
}

/* Not yet begun, half done, or done, the guest finds it done in the end. */
static void test_with_a_command_half_done(void **state)
{
        for (unsigned budget = 0; budget < 40; budget++) {
                struct pair *pair = *state;
                struct guest *a = pair->a;

                state_configure(a);
                bring_up(a);
                command(a, 0, VTD_GCMD_TE);
                run_until(a, VTD_FRONTEND_IDLE);
                write64(a, VTD_REG_RTADDR, ROOT_TABLE | 0x400);
                command(a, VTD_GCMD_SRTP | VTD_GCMD_TE, 0);
                if (vtd_frontend_run(a->unit, budget) == VTD_FRONTEND_PENDING)
                        assert_int_equal(read32(a, VTD_REG_GSTS), VTD_GCMD_QIE);
                else
                        assert_true(budget > 10);
                check_round_trip(pair);
                assert_int_equal(read32(pair->b, VTD_REG_GSTS),
                                 VTD_GCMD_TE | VTD_GCMD_SRTP | VTD_GCMD_QIE);
                assert_int_equal(binding_of(pair->b, RID_A), FIRST);
                go_on(pair);
        }
}

/*
 * A unit whose devices stay attached: what was pending is not in the state, so their tables are
 * invalidated as a whole before the guest is told of anything.
 */
static void test_tables_that_stay_attached_are_flushed(void **state)
{
        struct pair *pair = *state;
        struct guest *a = pair->a;
        const struct vtd_request *requests = a->broker->requests;

        bring_up(a);
        queue_descriptor(a, PIOTLB_PAGE(5, 0, 0x1000));
        queue_descriptor(a, PIOTLB_PAGE(6, PASID_ONE, 0x1000));
        queue_descriptor(a, WAIT_STATUS(3));
        kick(a);
        assert_int_equal(vtd_frontend_run(a->unit, 2), VTD_FRONTEND_PENDING);
        assert_int_equal(read32(a, VTD_REG_IQH), 64);
        state_save_first(pair);
        assert_int_equal(vtd_frontend_restore(a->unit, pair->state, STATE_SIZE), 0);
        fake_backend_forget(a->broker);
        a->broker->hold = true;
        for (size_t i = 0; i < 2; i++) {
                run_until(a, VTD_FRONTEND_WAITING);
                assert_int_equal(guest_get32(a, STATUS), 0);
                assert_int_equal(a->broker->count, i + 1);
                assert_int_equal(requests[i].type, VTD_REQUEST_INVALIDATE);
                assert_int_equal(requests[i].invalidate.entries[0].pages, VTD_INVALIDATE_ALL);
                a->broker->hold = false;
                assert_int_equal(vtd_frontend_run(a->unit, 0), VTD_FRONTEND_PENDING);
                a->broker->hold = true;
        }
        assert_int_not_equal(requests[0].invalidate.table, requests[1].invalidate.table);
        run_until(a, VTD_FRONTEND_IDLE);
        assert_int_equal(a->broker->count, 2);
        assert_int_equal(guest_get32(a, STATUS), 3);
}

/* An Attach is under way when the state comes: its answer belongs to another life. */
static void test_restoring_while_a_request_is_outstanding(void **state)
{
        struct pair *pair = *state;
        struct guest *b = pair->b;

        bring_up(pair->a);
        state_save_first(pair);
        state_configure(b);
        memcpy(b->memory, pair->a->memory, GUEST_MEMORY);
        plug_devices(b);
        b->broker->hold = true;
        run_until(b, VTD_FRONTEND_WAITING);
        assert_int_equal(vtd_frontend_restore(b->unit, pair->state, STATE_SIZE), 0);
        b->broker->hold = false;
        run_until(b, VTD_FRONTEND_IDLE);
        b->tail = pair->a->tail;
        b->command = pair->a->command;
        pair->a->messages = 0;
        assert_alike(pair);
        go_on(pair);
}

/* What the broker refused to invalidate, and did not block by itself, is not taken for clean. */
static void test_restoring_while_an_invalidation_is_refused(void **state)
{
        static const uint64_t roots[] = {TABLE_A, TABLE_B};
        struct pair *pair = *state;
        struct guest *a = pair->a;
        const struct vtd_request *requests;

        for (unsigned waiting = 0; waiting < 2; waiting++) {
                state_configure(a);
                requests = a->broker->requests;
                bring_up(a);
                state_save_first(pair);
                queue_descriptor(a, PIOTLB_PAGE(5, 0, 0x1000));
                queue_descriptor(a, WAIT_STATUS(3));
                kick(a);
                a->broker->hold = true;
                a->broker->refused = VTD_REQUEST_INVALIDATE;
                a->broker->reason = VTD_REASON_INVALIDATE_RANGE;
                run_until(a, VTD_FRONTEND_WAITING);
                if (waiting == 0) {
                        /* The refusal is known, the device not blocked yet. */
                        a->broker->hold = false;
                        assert_int_equal(vtd_frontend_run(a->unit, 0), VTD_FRONTEND_PENDING);
                }
                assert_int_equal(vtd_frontend_restore(a->unit, pair->state, STATE_SIZE), 0);
                a->broker->hold = false;
                fake_backend_forget(a->broker);
                run_until(a, VTD_FRONTEND_IDLE);
                assert_int_equal(a->broker->count, VTD_ARRAY_SIZE(roots));
                for (size_t i = 0; i < VTD_ARRAY_SIZE(roots); i++) {
                        assert_int_equal(requests[i].type, VTD_REQUEST_INVALIDATE);
                        assert_int_equal(requests[i].invalidate.table,
                                         fake_backend_table(roots[i]));
                        assert_int_equal(requests[i].invalidate.entries[0].pages,
                                         VTD_INVALIDATE_ALL);
                }
                assert_int_equal(binding_of(a, RID_A), FIRST);
        }
}

static void test_saving_waits_for_an_answer(void **state)
{
        struct pair *pair = *state;
        struct guest *a = pair->a;
        uint8_t bytes[STATE_SIZE], before[STATE_SIZE];
        size_t size;

        memset(bytes, 0x5a, sizeof(bytes));
        memcpy(before, bytes, sizeof(bytes));
        bring_up(a);
        queue_descriptor(a, PIOTLB_PAGE(5, 0, 0x1000));
        queue_descriptor(a, WAIT_STATUS(3));
        kick(a);
        a->broker->hold = true;
        run_until(a, VTD_FRONTEND_WAITING);
        assert_int_equal(vtd_frontend_save(a->unit, bytes, sizeof(bytes), &size),
                         VTD_FRONTEND_BUSY);
        assert_memory_equal(bytes, before, sizeof(bytes));
        assert_int_equal(size, STATE_SIZE);
        a->broker->hold = false;
        assert_int_equal(vtd_frontend_run(a->unit, 0), VTD_FRONTEND_PENDING);
        assert_int_equal(a->broker->count, 1);
        check_round_trip(pair);
        assert_int_equal(guest_get32(pair->b, STATUS), 3);
}

static void test_the_size_is_told_and_obeyed(void **state)
{
        struct pair *pair = *state;
        uint8_t bytes[STATE_SIZE + 1], before[STATE_SIZE + 1];
        size_t size = 0;

        memset(bytes, 0x5a, sizeof(bytes));
        memcpy(before, bytes, sizeof(bytes));
        assert_int_equal(vtd_frontend_save(pair->a->unit, NULL, 0, &size), -ENOSPC);
        assert_int_equal(size, STATE_SIZE);
        for (size_t capacity = 0; capacity < STATE_SIZE; capacity++) {
                assert_int_equal(vtd_frontend_save(pair->a->unit, bytes, capacity, &size), -ENOSPC);
                assert_memory_equal(bytes, before, sizeof(bytes));
        }
        assert_int_equal(vtd_frontend_save(pair->a->unit, bytes, sizeof(bytes), &size), 0);
        assert_int_equal(bytes[STATE_SIZE], 0x5a);
}

/*
 * With the connection the knowledge is lost whether devices were kept from what is stale.  The guest
 * is not told that they were, neither here nor by way of a saved state.
 */
static void test_after_the_connection_was_lost(void **state)
{
        struct pair *pair = *state;
        struct guest *a = pair->a, *b = pair->b;
        size_t size;

        bring_up(a);
        queue_descriptor(a, PIOTLB_PAGE(5, 0, 0x1000));
        queue_descriptor(a, WAIT_STATUS(3));
        kick(a);
        assert_int_equal(vtd_frontend_run(a->unit, 1), VTD_FRONTEND_PENDING);
        state_save_first(pair);
        restore_into_second(pair, false);
        b->broker->lost = true;
        run_until(b, VTD_FRONTEND_LOST);
        assert_int_equal(b->lost, 1);
        assert_int_equal(guest_get32(b, STATUS), 0);
        assert_int_equal(read32(b, VTD_REG_FSTS), 0);
        assert_int_equal(vtd_frontend_save(b->unit, pair->state, STATE_SIZE, &size),
                         VTD_FRONTEND_LOST);
        assert_int_equal(vtd_frontend_restore(b->unit, pair->state, STATE_SIZE), VTD_FRONTEND_LOST);
        run_until(b, VTD_FRONTEND_LOST);
        assert_int_equal(guest_get32(b, STATUS), 0);
        /* The connection that the state came from is of no matter. */
        a->broker->lost = true;
        run_until(a, VTD_FRONTEND_LOST);
        assert_int_equal(guest_get32(a, STATUS), 0);
        restore_into_second(pair, false);
        run_until(b, VTD_FRONTEND_IDLE);
        assert_int_equal(guest_get32(b, STATUS), 3);
}

static void test_a_unit_without_a_broker(void **state)
{
        const struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_NESTED;
        const struct vtd_frontend_callbacks callbacks =
                ((struct pair *)*state)->a->unit->engine.guest.callbacks;
        struct pair *pair = *state;
        struct vtd_frontend *unit;
        size_t size;

        assert_int_equal(vtd_frontend_new(&unit, &config, &callbacks, pair->a), 0);
        vtd_frontend_write(unit, VTD_REG_RTADDR, 8, 0x5000 | 0x400);
        vtd_frontend_write(unit, VTD_REG_GCMD, 4, VTD_GCMD_SRTP);
        assert_int_equal(vtd_frontend_run(unit, 1), VTD_FRONTEND_IDLE);
        assert_int_equal(vtd_frontend_save(unit, pair->state, sizeof(pair->state), &size), 0);
        unit = vtd_frontend_free(unit);
        assert_int_equal(vtd_frontend_new(&unit, &config, &callbacks, pair->a), 0);
        assert_int_equal(vtd_frontend_restore(unit, pair->state, size), 0);
        assert_int_equal(vtd_frontend_run(unit, 1), VTD_FRONTEND_IDLE);
        assert_int_equal(vtd_frontend_read(unit, VTD_REG_GSTS, 4), VTD_GCMD_SRTP);
        assert_int_equal(unit->engine.root, 0x5000 | 0x400);
        unit = vtd_frontend_free(unit);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, state_setup, state_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_no_register_is_forgotten),
                TEST(test_after_creation_and_after_reset),
                TEST(test_translation_off),
                TEST(test_bindings_are_replayed),
                TEST(test_in_the_middle_of_the_queue),
                TEST(test_with_narrow_descriptors),
                TEST(test_with_a_queue_error_standing),
                TEST(test_with_a_queue_error_held),
                TEST(test_with_a_masked_event_pending),
                TEST(test_with_gaps_in_the_fault_records),
                TEST(test_with_a_command_half_done),
                TEST(test_tables_that_stay_attached_are_flushed),
                TEST(test_restoring_while_a_request_is_outstanding),
                TEST(test_restoring_while_an_invalidation_is_refused),
                TEST(test_saving_waits_for_an_answer),
                TEST(test_the_size_is_told_and_obeyed),
                TEST(test_after_the_connection_was_lost),
                TEST(test_a_unit_without_a_broker),
        };

        return cmocka_run_group_tests_name("frontend-state", tests, NULL, NULL);
}
