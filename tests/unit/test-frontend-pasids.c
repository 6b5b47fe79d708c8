/* SPDX-License-Identifier: MIT */
/* Requests with PASID: what a guest's PASID tables make of them, and what that may cost. */
#include "tests/unit/frontend-fixture.h"

#include <errno.h>
#include <string.h>

#include "shared/checked.h"

enum { FIRST_STAGE = 1, SECOND_STAGE = 2, PASSTHROUGH = 4 };

#define BLOCKED     VTD_FRONTEND_BINDING_BLOCKED
#define TABLE_C     0x42000u
#define SIZE_CODE   2u        /* a directory of one page */
#define WIDE        0x300000u /* a directory of 2^14 entries */
#define WIDE_LENGTH 0x4000u
#define LEAF_TABLE  0x330000u

/* Request number @i since the last fake_backend_forget() was an Attach. */
static void assert_attach(struct guest *guest, size_t i, uint32_t pasid, enum vtd_attach_mode mode,
                          uint64_t root)
{
        const struct vtd_request *request = &guest->broker->requests[i];

        assert_true(i < guest->broker->count);
        assert_int_equal(request->type, VTD_REQUEST_ATTACH);
        assert_int_equal(request->attach.pasid, pasid);
        assert_int_equal(request->attach.mode, mode);
        assert_int_equal(request->attach.root, root);
        assert_int_equal(request->attach.address_width, mode == VTD_ATTACH_FIRST_STAGE ? 48 : 0);
}

static void assert_invalidate(struct guest *guest, size_t i, uint64_t root, uint64_t address,
                              uint64_t pages)
{
        const struct vtd_request *request = &guest->broker->requests[i];

        assert_true(i < guest->broker->count);
        assert_int_equal(request->type, VTD_REQUEST_INVALIDATE);
        assert_int_equal(request->invalidate.table, fake_backend_table(root));
        assert_int_equal(request->invalidate.count, 1);
        assert_int_equal(request->invalidate.entries[0].address, address);
        assert_int_equal(request->invalidate.entries[0].pages, pages);
}

/* How many Attach requests of @mode were sent; all must have been kept. */
static unsigned count_attaches(struct guest *guest, enum vtd_attach_mode mode)
{
        unsigned count = 0;

        assert_true(guest->broker->count <= FAKE_REQUESTS);
        for (size_t i = 0; i < guest->broker->count; i++)
                count += guest->broker->requests[i].type == VTD_REQUEST_ATTACH &&
                         guest->broker->requests[i].attach.mode == mode;
        return count;
}

static void plug_with_pasids(struct guest *guest, unsigned rid)
{
        assert_int_equal(vtd_frontend_plug(guest->unit, "nic0", (uint16_t)rid), 0);
        put_pasid_context(guest, rid, SIZE_CODE, directory_of(rid));
        run_until(guest, VTD_FRONTEND_IDLE);
}

/* Device A with a first-stage table without PASID, translation on, nothing asked yet. */
static void start_with(struct guest *guest, uint32_t pasids)
{
        configure_pasids(guest, pasids);
        plug_with_pasids(guest, RID_A);
        put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_A);
        enable_translation(guest);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_FIRST_STAGE);
}

static void start(struct guest *guest)
{
        start_with(guest, PASIDS);
}

static void test_a_pasid_follows_the_guest_from_addition_to_removal(void **state)
{
        struct guest *guest = *state;

        start(guest);
        assert_int_equal(pasid_binding_of(guest, RID_A, 7), BLOCKED);
        put_pasid(guest, RID_A, 7, FIRST_STAGE, 6, TABLE_B);
        invalidate(guest, PC_PASID(6, 7));
        assert_attach(guest, 0, 7, VTD_ATTACH_FIRST_STAGE, TABLE_B);
        assert_int_equal(pasid_binding_of(guest, RID_A, 7), VTD_FRONTEND_BINDING_FIRST_STAGE);
        invalidate(guest, PIOTLB_PAGE(6, 7, 0x7000));
        assert_invalidate(guest, 1, TABLE_B, 0x7000, 1);
        /* Neither other tag is this table's. */
        invalidate(guest, PIOTLB_PAGE(6, 8, 0x7000));
        invalidate(guest, PIOTLB_PAGE(5, 7, 0x7000));
        invalidate(guest, PC_PASID(6, 7));
        assert_int_equal(guest->broker->count, 2);
        put_pasid(guest, RID_A, 7, FIRST_STAGE, 6, TABLE_C);
        invalidate(guest, PC_PASID(6, 7));
        assert_attach(guest, 2, 7, VTD_ATTACH_FIRST_STAGE, TABLE_C);
        put_pasid(guest, RID_A, 7, PASSTHROUGH, 6, 0);
        invalidate(guest, PC_PASID(6, 7));
        assert_attach(guest, 3, 7, VTD_ATTACH_PASSTHROUGH, 0);
        put_pasid(guest, RID_A, 7, 0, 0, 0);
        invalidate(guest, PC_PASID(6, 7));
        assert_attach(guest, 4, 7, VTD_ATTACH_BLOCKED, 0);
        assert_int_equal(pasid_binding_of(guest, RID_A, 7), BLOCKED);
        assert_int_equal(guest->broker->count, 5);
        assert_int_equal(guest->unit->engine.bindings.end, 1);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_FIRST_STAGE);
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
}

/* What Linux does for each PASID that it adds or changes. */
static void test_naming_one_pasid_costs_one_walk_and_no_search(void **state)
{
        struct guest *guest = *state;
        uint64_t reads;

        start(guest);
        for (unsigned i = 1; i < 16; i++)
                guest_put64(guest, directory_of(RID_A) + i * 8,
                            (pasid_entry_of(RID_A, i * 64) & ~UINT64_C(0xfff)) | 1);
        put_pasid(guest, RID_A, 0x207, FIRST_STAGE, 6, TABLE_B);
        reads = guest->reads;
        invalidate(guest, PC_PASID(6, 0x207));
        /* The descriptor, root, context, directory and PASID entry. */
        assert_int_equal(guest->reads - reads, 5);
        assert_attach(guest, 0, 0x207, VTD_ATTACH_FIRST_STAGE, TABLE_B);
        assert_int_equal(guest->broker->count, 1);
}

static void test_domain_selective_invalidation_adds_and_removes_that_domain_only(void **state)
{
        struct guest *guest = *state;

        start(guest);
        put_pasid(guest, RID_A, 1, FIRST_STAGE, 6, TABLE_B);
        put_pasid(guest, RID_A, 2, FIRST_STAGE, 7, TABLE_B);
        put_pasid(guest, RID_A, 0x45, FIRST_STAGE, 6, TABLE_C);
        invalidate(guest, PC_DOMAIN(6));
        assert_attach(guest, 0, 1, VTD_ATTACH_FIRST_STAGE, TABLE_B);
        assert_attach(guest, 1, 0x45, VTD_ATTACH_FIRST_STAGE, TABLE_C);
        assert_int_equal(count_attaches(guest, VTD_ATTACH_FIRST_STAGE), 2);
        invalidate(guest, PC_GLOBAL);
        assert_int_equal(pasid_binding_of(guest, RID_A, 2), VTD_FRONTEND_BINDING_FIRST_STAGE);
        for (unsigned pasid = 1; pasid < 3; pasid++)
                put_pasid(guest, RID_A, pasid, 0, 0, 0);
        fake_backend_forget(guest->broker);
        invalidate(guest, PC_DOMAIN(7));
        assert_attach(guest, 0, 2, VTD_ATTACH_BLOCKED, 0);
        assert_int_equal(guest->broker->count, 1);
        invalidate(guest, PC_GLOBAL);
        assert_attach(guest, 1, 1, VTD_ATTACH_BLOCKED, 0);
        assert_int_equal(guest->broker->count, 2);
        assert_int_equal(pasid_binding_of(guest, RID_A, 0x45), VTD_FRONTEND_BINDING_FIRST_STAGE);
}

static void test_context_invalidation_finds_and_drops_the_pasids_of_the_device_named(void **state)
{
        struct guest *guest = *state;
        uint64_t context = CONTEXT_LOWER + RID_A * 32;
        uint64_t entry;

        start(guest);
        plug_with_pasids(guest, RID_B);
        put_pasid(guest, RID_A, 9, FIRST_STAGE, 6, TABLE_B);
        put_pasid(guest, RID_B, 9, FIRST_STAGE, 6, TABLE_C);
        fake_backend_forget(guest->broker);
        invalidate(guest, CC_DEVICE(RID_A, 0));
        assert_attach(guest, 0, 9, VTD_ATTACH_FIRST_STAGE, TABLE_B);
        assert_int_equal(guest->broker->count, 1);
        invalidate(guest, CC_GLOBAL);
        assert_attach(guest, 1, 9, VTD_ATTACH_FIRST_STAGE, TABLE_C);
        assert_int_equal(guest->broker->count, 2);
        /* Without PASIDE, requests without PASID go on. */
        entry = guest_get64(guest, context);
        guest_put64(guest, context, entry & ~UINT64_C(8));
        invalidate(guest, CC_DEVICE(RID_A, 0));
        assert_attach(guest, 2, 9, VTD_ATTACH_BLOCKED, 0);
        assert_int_equal(guest->broker->count, 3);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_FIRST_STAGE);
        guest_put64(guest, context, entry);
        invalidate(guest, CC_DEVICE(RID_A, 0));
        assert_attach(guest, 3, 9, VTD_ATTACH_FIRST_STAGE, TABLE_B);
        guest_put64(guest, context, 0);
        invalidate(guest, CC_DEVICE(RID_A, 0));
        assert_int_equal(pasid_binding_of(guest, RID_A, 9), BLOCKED);
        assert_int_equal(binding_of(guest, RID_A), BLOCKED);
        assert_int_equal(pasid_binding_of(guest, RID_B, 9), VTD_FRONTEND_BINDING_FIRST_STAGE);
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
}

/* A bad context entry is one mistake, however many PASIDs stand below it. */
static void test_what_is_wrong_above_the_directory_faults_once(void **state)
{
        struct vtd_frontend_stats before, after;
        struct guest *guest = *state;

        start(guest);
        for (unsigned pasid = 1; pasid < 9; pasid++)
                put_pasid(guest, RID_A, pasid, FIRST_STAGE, 6, TABLE_B);
        invalidate(guest, PC_GLOBAL);
        assert_int_equal(count_attaches(guest, VTD_ATTACH_FIRST_STAGE), 8);
        guest_put64(guest, CONTEXT_LOWER + RID_A * 32 + 16, 1); /* reserved */
        vtd_frontend_get_stats(guest->unit, &before);
        invalidate(guest, CC_GLOBAL);
        vtd_frontend_get_stats(guest->unit, &after);
        assert_int_equal(after.faults - before.faults, 1);
        assert_int_equal(pasid_fault_reason(guest, RID_A, 0), 0x42);
        assert_int_equal(count_attaches(guest, VTD_ATTACH_BLOCKED), 9);
}

static void test_translation_off_detaches_all_pasids_and_on_brings_them_back(void **state)
{
        struct guest *guest = *state;

        start(guest);
        put_pasid(guest, RID_A, 1, FIRST_STAGE, 6, TABLE_B);
        put_pasid(guest, RID_A, 2, PASSTHROUGH, 6, 0);
        invalidate(guest, PC_DOMAIN(6));
        fake_backend_forget(guest->broker);
        command(guest, 0, VTD_GCMD_TE);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(count_attaches(guest, VTD_ATTACH_BLOCKED), 2);
        assert_int_equal(count_attaches(guest, VTD_ATTACH_PASSTHROUGH), 1);
        assert_int_equal(guest->broker->count, 3);
        assert_int_equal(guest->unit->engine.bindings.end, 1);
        command(guest, VTD_GCMD_TE, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(guest->broker->count, 6);
        assert_int_equal(pasid_binding_of(guest, RID_A, 1), VTD_FRONTEND_BINDING_FIRST_STAGE);
        assert_int_equal(pasid_binding_of(guest, RID_A, 2), VTD_FRONTEND_BINDING_PASSTHROUGH);
}

static void test_set_root_flushes_pasids_that_stay_and_detaches_the_others(void **state)
{
        struct guest *guest = *state;

        start(guest);
        put_pasid(guest, RID_A, 1, FIRST_STAGE, 6, TABLE_B);
        invalidate(guest, PC_DOMAIN(6));
        fake_backend_forget(guest->broker);
        command(guest, VTD_GCMD_SRTP, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_invalidate(guest, 0, TABLE_A, 0, VTD_INVALIDATE_ALL);
        assert_invalidate(guest, 1, TABLE_B, 0, VTD_INVALIDATE_ALL);
        assert_int_equal(guest->broker->count, 2);
        write64(guest, VTD_REG_RTADDR, 0x80000 | 0x400);
        command(guest, VTD_GCMD_SRTP, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(count_attaches(guest, VTD_ATTACH_BLOCKED), 2);
        /* Another table mode: one fault, of the device. */
        write64(guest, VTD_REG_RTADDR, ROOT_TABLE | 0x400);
        command(guest, VTD_GCMD_SRTP, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(pasid_binding_of(guest, RID_A, 1), VTD_FRONTEND_BINDING_FIRST_STAGE);
        write64(guest, VTD_REG_RTADDR, ROOT_TABLE);
        command(guest, VTD_GCMD_SRTP, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(pasid_binding_of(guest, RID_A, 1), BLOCKED);
        assert_int_equal(pasid_fault_reason(guest, RID_A, 0), 0x30);
        assert_false(read32(guest, VTD_REG_FSTS) & VTD_FSTS_PFO);
}

static void test_reset_detaches_all_pasids_whatever_is_under_way(void **state)
{
        struct guest *guest = *state;

        for (unsigned when = 0; when < 8; when++) {
                start(guest);
                for (unsigned pasid = 1; pasid < 5; pasid++)
                        put_pasid(guest, RID_A, pasid, FIRST_STAGE, 6, TABLE_B);
                queue_descriptor(guest, PC_DOMAIN(6));
                kick(guest);
                /* Before, in the middle of and after the search; half of the time in an answer. */
                guest->broker->hold = when & 1;
                (void)vtd_frontend_run(guest->unit, 4 + when * 2);
                vtd_frontend_reset(guest->unit);
                guest->broker->hold = false;
                run_until(guest, VTD_FRONTEND_IDLE);
                assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_PASSTHROUGH);
                assert_int_equal(guest->unit->engine.bindings.end, 1);
                assert_int_equal(count_attaches(guest, VTD_ATTACH_FIRST_STAGE),
                                 count_attaches(guest, VTD_ATTACH_BLOCKED));
                guest->tail = 0;
                guest->command = 0;
                /* The next guest's PASIDs are searched for from the first one on. */
                enable_translation(guest);
                for (unsigned pasid = 1; pasid < 5; pasid++)
                        assert_int_equal(pasid_binding_of(guest, RID_A, pasid),
                                         VTD_FRONTEND_BINDING_FIRST_STAGE);
                guest->tail = 0;
                guest->command = 0;
                memset(guest->memory, 0, sizeof(guest->memory));
        }
}

static void test_unplug_forgets_all_pasids_and_what_was_pending_for_them(void **state)
{
        struct guest *guest = *state;

        start(guest);
        plug_with_pasids(guest, RID_B);
        put_pasid(guest, RID_A, 1, FIRST_STAGE, 6, TABLE_B);
        put_pasid(guest, RID_B, 1, FIRST_STAGE, 6, TABLE_C);
        put_pasid(guest, RID_B, 2, FIRST_STAGE, 6, TABLE_B);
        invalidate(guest, PC_DOMAIN(6));
        assert_int_equal(pasid_binding_of(guest, RID_B, 2), VTD_FRONTEND_BINDING_FIRST_STAGE);
        queue_descriptor(guest, PIOTLB_ALL(6, 1));
        queue_descriptor(guest, WAIT_STATUS(9));
        kick(guest);
        assert_int_equal(vtd_frontend_run(guest->unit, 1), VTD_FRONTEND_PENDING);
        assert_int_equal(vtd_frontend_unplug(guest->unit, RID_B), 0);
        assert_int_equal(guest->unit->engine.bindings.end, VTD_LIMIT_DEVICES + 1);
        fake_backend_forget(guest->broker);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_invalidate(guest, 0, TABLE_B, 0, VTD_INVALIDATE_ALL);
        assert_int_equal(guest->broker->count, 1);
        assert_int_equal(guest_get32(guest, STATUS), 9);
}

static void test_unplug_and_translation_off_end_a_search(void **state)
{
        struct guest *guest = *state;

        for (unsigned how = 0; how < 2; how++) {
                start(guest);
                for (unsigned pasid = 1; pasid < 5; pasid++)
                        put_pasid(guest, RID_A, pasid, FIRST_STAGE, 6, TABLE_B + pasid * 4096);
                queue_descriptor(guest, PC_GLOBAL);
                kick(guest);
                /* The descriptor, requests without PASID, and on to the third PASID. */
                assert_int_equal(vtd_frontend_run(guest->unit, 1 + 4 + 3 + 3),
                                 VTD_FRONTEND_PENDING);
                assert_int_equal(count_attaches(guest, VTD_ATTACH_FIRST_STAGE), 3);
                if (how == 0)
                        assert_int_equal(vtd_frontend_unplug(guest->unit, RID_A), 0);
                else
                        command(guest, 0, VTD_GCMD_TE);
                run_until(guest, VTD_FRONTEND_IDLE);
                /* A command waits for the search that it came after. */
                assert_int_equal(count_attaches(guest, VTD_ATTACH_FIRST_STAGE), how ? 4 : 3);
                assert_int_equal(count_attaches(guest, VTD_ATTACH_BLOCKED), how ? 4 : 0);
                assert_int_equal(guest->unit->engine.bindings.end, how);
                if (how == 0) {
                        /* In its place, the next device is searched from the first PASID on. */
                        assert_int_equal(vtd_frontend_plug(guest->unit, "nic1", RID_A), 0);
                        run_until(guest, VTD_FRONTEND_IDLE);
                        assert_int_equal(pasid_binding_of(guest, RID_A, 1),
                                         VTD_FRONTEND_BINDING_FIRST_STAGE);
                }
                guest->tail = 0;
                guest->command = 0;
                memset(guest->memory, 0, sizeof(guest->memory));
        }
}

static void test_plugging_into_live_tables_binds_their_pasids(void **state)
{
        struct guest *guest = *state;

        start(guest);
        put_pasid_context(guest, RID_B, SIZE_CODE, directory_of(RID_B));
        put_entry(guest, RID_B, FIRST_STAGE, 5, TABLE_A);
        put_pasid(guest, RID_B, 3, FIRST_STAGE, 6, TABLE_B);
        put_pasid(guest, RID_B, 0x83, FIRST_STAGE, 7, TABLE_C);
        assert_int_equal(vtd_frontend_plug(guest->unit, "nic1", RID_B), 0);
        fake_backend_forget(guest->broker);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_attach(guest, 0, VTD_NO_PASID, VTD_ATTACH_FIRST_STAGE, TABLE_A);
        assert_attach(guest, 1, 3, VTD_ATTACH_FIRST_STAGE, TABLE_B);
        assert_attach(guest, 2, 0x83, VTD_ATTACH_FIRST_STAGE, TABLE_C);
        assert_int_equal(guest->broker->count, 3);
}

static void test_a_refused_pasid_becomes_a_fault_and_the_others_stay(void **state)
{
        static const struct {
                enum vtd_reason refusal;
                unsigned fault;
        } cases[] = {
                {VTD_REASON_PASID_LIMIT, 0x5b},
                {VTD_REASON_PASID_RANGE, 0x5b},
                {VTD_REASON_FIRST_STAGE_TABLE_LIMIT, 0x5b},
                {VTD_REASON_MODE_NOT_GRANTED, 0x5b},
                {VTD_REASON_ROOT_NOT_MAPPED, 0x73},
        };
        struct guest *guest = *state;

        start(guest);
        put_pasid(guest, RID_A, 1, FIRST_STAGE, 6, TABLE_B);
        invalidate(guest, PC_PASID(6, 1));
        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                fake_backend_forget(guest->broker);
                put_pasid(guest, RID_A, 2, FIRST_STAGE, 6, TABLE_C);
                guest->broker->refused = VTD_REQUEST_ATTACH;
                guest->broker->reason = cases[i].refusal;
                invalidate(guest, PC_PASID(6, 2));
                assert_int_equal(pasid_fault_reason(guest, RID_A, 2), cases[i].fault);
                assert_int_equal(guest->broker->count, 1);
                assert_int_equal(pasid_binding_of(guest, RID_A, 2), BLOCKED);
                assert_int_equal(pasid_binding_of(guest, RID_A, 1),
                                 VTD_FRONTEND_BINDING_FIRST_STAGE);
                assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_FIRST_STAGE);
                clear_faults(guest);
                /* Named again it is tried again, and this time granted. */
                invalidate(guest, PC_PASID(6, 2));
                assert_attach(guest, 1, 2, VTD_ATTACH_FIRST_STAGE, TABLE_C);
                assert_int_equal(pasid_binding_of(guest, RID_A, 2),
                                 VTD_FRONTEND_BINDING_FIRST_STAGE);
                put_pasid(guest, RID_A, 2, 0, 0, 0);
                invalidate(guest, PC_PASID(6, 2));
                assert_int_equal(guest->unit->engine.bindings.end, VTD_LIMIT_DEVICES + 1);
        }
}

static void test_a_refused_pasid_that_is_taken_back_leaves_its_place(void **state)
{
        struct guest *guest = *state;
        uint64_t reads;

        start(guest);
        put_pasid(guest, RID_A, 2, FIRST_STAGE, 6, TABLE_C);
        guest->broker->refused = VTD_REQUEST_ATTACH;
        guest->broker->reason = VTD_REASON_HOST_LIMIT;
        invalidate(guest, PC_PASID(6, 2));
        assert_int_equal(guest->unit->engine.bindings.end, VTD_LIMIT_DEVICES + 1);
        /* Naming another PASID is none of its business: one walk, no more. */
        reads = guest->reads;
        invalidate(guest, PC_PASID(6, 3));
        assert_int_equal(guest->reads - reads, 5);
        put_pasid(guest, RID_A, 2, 0, 0, 0);
        invalidate(guest, PC_PASID(6, 2));
        assert_int_equal(guest->unit->engine.bindings.end, 1);
        assert_int_equal(guest->broker->count, 1);
}

static void test_other_translation_types_block_that_pasid_only(void **state)
{
        struct vtd_frontend_stats stats;
        struct guest *guest = *state;

        start(guest);
        put_pasid(guest, RID_A, 1, FIRST_STAGE, 6, TABLE_B);
        put_pasid(guest, RID_A, 2, FIRST_STAGE, 6, TABLE_C);
        invalidate(guest, PC_GLOBAL);
        fake_backend_forget(guest->broker);
        put_pasid(guest, RID_A, 2, SECOND_STAGE, 6, TABLE_B);
        invalidate(guest, PC_GLOBAL);
        assert_attach(guest, 0, 2, VTD_ATTACH_BLOCKED, 0);
        assert_int_equal(guest->broker->count, 1);
        assert_int_equal(pasid_fault_reason(guest, RID_A, 2), 0x5b);
        vtd_frontend_get_stats(guest->unit, &stats);
        assert_int_equal(stats.faults, 1);
        clear_faults(guest);
        /* Found anew, it is refused anew, without a request. */
        invalidate(guest, PC_DOMAIN(6));
        assert_int_equal(pasid_fault_reason(guest, RID_A, 2), 0x5b);
        clear_faults(guest);
        invalidate(guest, PC_DOMAIN(7));
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
        assert_int_equal(guest->broker->count, 1);
        /* A directory entry that is refused is told of with its first PASID, and not by the 64. */
        guest_put64(guest, directory_of(RID_A) + 3 * 8, LEAF_TABLE | 4 | 1);
        guest_put64(guest, pasid_entry_of(RID_A, 2), 0);
        invalidate(guest, PC_GLOBAL);
        assert_int_equal(pasid_fault_reason(guest, RID_A, 3 * 64), 0x52);
        vtd_frontend_get_stats(guest->unit, &stats);
        assert_int_equal(stats.faults, 3);
}

static void test_pasids_over_the_limit_are_told_of_once_without_asking(void **state)
{
        struct vtd_frontend_stats stats;
        struct guest *guest = *state;

        start_with(guest, 3);
        for (unsigned pasid = 1; pasid < 9; pasid++)
                put_pasid(guest, RID_A, pasid, FIRST_STAGE, 6, 0x50000 + pasid * 0x1000);
        invalidate(guest, PC_GLOBAL);
        assert_int_equal(guest->broker->count, 3);
        assert_int_equal(pasid_fault_reason(guest, RID_A, 4), 0x5b);
        vtd_frontend_get_stats(guest->unit, &stats);
        assert_int_equal(stats.faults, 1);
        assert_int_equal(pasid_binding_of(guest, RID_A, 3), VTD_FRONTEND_BINDING_FIRST_STAGE);
        assert_int_equal(pasid_binding_of(guest, RID_A, 4), BLOCKED);
        /* Room comes with a removal. */
        clear_faults(guest);
        put_pasid(guest, RID_A, 2, 0, 0, 0);
        invalidate(guest, PC_PASID(6, 2));
        invalidate(guest, PC_PASID(6, 8));
        assert_int_equal(pasid_binding_of(guest, RID_A, 8), VTD_FRONTEND_BINDING_FIRST_STAGE);
        invalidate(guest, PC_PASID(6, 7));
        assert_int_equal(pasid_fault_reason(guest, RID_A, 7), 0x5b);
        assert_int_equal(guest->broker->count, 5);
}

static void test_what_goes_makes_room_for_what_comes(void **state)
{
        struct guest *guest = *state;

        start_with(guest, 2);
        put_pasid(guest, RID_A, 10, FIRST_STAGE, 6, TABLE_B);
        put_pasid(guest, RID_A, 11, FIRST_STAGE, 6, TABLE_C);
        invalidate(guest, PC_GLOBAL);
        fake_backend_forget(guest->broker);
        put_pasid(guest, RID_A, 10, 0, 0, 0);
        put_pasid(guest, RID_A, 11, 0, 0, 0);
        put_pasid(guest, RID_A, 1, FIRST_STAGE, 6, TABLE_C);
        put_pasid(guest, RID_A, 2, FIRST_STAGE, 6, TABLE_B);
        invalidate(guest, PC_GLOBAL);
        assert_attach(guest, 0, 10, VTD_ATTACH_BLOCKED, 0);
        assert_attach(guest, 1, 11, VTD_ATTACH_BLOCKED, 0);
        assert_attach(guest, 2, 1, VTD_ATTACH_FIRST_STAGE, TABLE_C);
        assert_attach(guest, 3, 2, VTD_ATTACH_FIRST_STAGE, TABLE_B);
        assert_int_equal(guest->broker->count, 4);
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
}

/* Runs @budget at a time to the end; returns the number of runs.  None may read more. */
static unsigned run_in_pieces(struct guest *guest, unsigned budget)
{
        unsigned runs = 0;
        int r;

        do {
                uint64_t reads = guest->reads;

                r = vtd_frontend_run(guest->unit, budget);
                assert_true(guest->reads - reads <= budget);
                runs++;
        } while (r == VTD_FRONTEND_PENDING);
        assert_int_equal(r, VTD_FRONTEND_IDLE);
        return runs;
}

static void start_wide(struct guest *guest, uint32_t pasids)
{
        configure_pasids(guest, pasids);
        assert_int_equal(vtd_frontend_plug(guest->unit, "nic0", RID_A), 0);
        put_pasid_context(guest, RID_A, 7, WIDE);
        run_until(guest, VTD_FRONTEND_IDLE);
        enable_queue(guest);
        fake_backend_forget(guest->broker);
}

static void put_leaf(struct guest *guest, uint64_t table, unsigned pasid, uint64_t root)
{
        uint64_t entry = table + (pasid & 0x3f) * 64;

        guest_put64(guest, entry, 1 | FIRST_STAGE << 6);
        guest_put64(guest, entry + 8, 6);
        guest_put64(guest, entry + 16, root);
}

static void test_a_sparse_space_of_20_bits_costs_its_directory_and_its_live_tables(void **state)
{
        static const uint32_t pasids[] = {0x40, 0x12345, 0xfffff};
        struct guest *guest = *state;
        uint64_t reads;
        unsigned runs;

        start_wide(guest, PASIDS);
        for (unsigned i = 0; i < VTD_ARRAY_SIZE(pasids); i++) {
                guest_put64(guest, WIDE + (pasids[i] >> 6) * 8, (LEAF_TABLE + i * 0x1000) | 1);
                put_leaf(guest, LEAF_TABLE + i * 0x1000, pasids[i], TABLE_A + i * 0x1000);
        }
        command(guest, VTD_GCMD_TE, 0);
        reads = guest->reads;
        runs = run_in_pieces(guest, 100);
        /*
         * Twice root and context; the directory; the live tables, of which the first has no PASID 0;
         * and the path of requests without PASID.
         */
        assert_int_equal(guest->reads - reads, 2 + 2 + WIDE_LENGTH + (63 + 3 * 64) + 2);
        assert_true(runs > WIDE_LENGTH / 100);
        assert_int_equal(guest->broker->count, 4);
        for (unsigned i = 0; i < VTD_ARRAY_SIZE(pasids); i++)
                assert_attach(guest, i + 1, pasids[i], VTD_ATTACH_FIRST_STAGE,
                              TABLE_A + i * 0x1000);
        assert_true(read32(guest, VTD_REG_GSTS) & VTD_GCMD_TE);
}

/* Every directory entry aimed at one table whose entries are all present: 2^20 PASIDs. */
static void put_hostile_tables(struct guest *guest)
{
        for (unsigned i = 0; i < WIDE_LENGTH; i++)
                guest_put64(guest, WIDE + i * 8, LEAF_TABLE | 1);
        for (unsigned i = 0; i < 64; i++)
                put_leaf(guest, LEAF_TABLE, i, 0x50000 + i * 0x1000);
}

static void test_a_hostile_directory_costs_bounded_runs_and_bounded_bindings(void **state)
{
        static const uint32_t limits[] = {0, 1, 64, VTD_LIMIT_ATTACHMENTS};
        struct vtd_frontend_stats before, after;
        struct guest *guest = *state;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(limits); i++) {
                start_wide(guest, limits[i]);
                put_hostile_tables(guest);
                vtd_frontend_get_stats(guest->unit, &before);
                command(guest, VTD_GCMD_TE, 0);
                (void)run_in_pieces(guest, 64);
                vtd_frontend_get_stats(guest->unit, &after);
                /* And one for requests without PASID. */
                assert_int_equal(after.attaches - before.attaches, limits[i] + 1);
                assert_int_equal(after.faults - before.faults, 1);
                assert_int_equal(pasid_fault_reason(guest, RID_A, limits[i] + 1), 0x5b);
                assert_true(read32(guest, VTD_REG_GSTS) & VTD_GCMD_TE);
                assert_true(guest->unit->engine.bindings.end <= VTD_BINDINGS);
                /* Again: nothing more is bound, and the guest is told again. */
                queue_descriptor(guest, PC_GLOBAL);
                queue_descriptor(guest, WAIT_STATUS(3));
                kick(guest);
                (void)run_in_pieces(guest, 64);
                vtd_frontend_get_stats(guest->unit, &before);
                assert_int_equal(before.attaches, after.attaches);
                assert_int_equal(before.faults - after.faults, 1);
                assert_int_equal(guest_get32(guest, STATUS), 3);
                guest->tail = 0;
                guest->command = 0;
                memset(guest->memory, 0, sizeof(guest->memory));
        }
}

static void test_a_hostile_directory_of_refused_tables_asks_a_bounded_number_of_times(void **state)
{
        struct vtd_frontend_stats before, after;
        struct guest *guest = *state;

        start_wide(guest, 64);
        put_hostile_tables(guest);
        vtd_frontend_get_stats(guest->unit, &before);
        guest->broker->refused = VTD_REQUEST_ATTACH;
        guest->broker->keep_refusing = true;
        guest->broker->reason = VTD_REASON_FIRST_STAGE_TABLE_LIMIT;
        guest->lines = 0;
        command(guest, VTD_GCMD_TE, 0);
        (void)run_in_pieces(guest, 64);
        vtd_frontend_get_stats(guest->unit, &after);
        assert_int_equal(after.attaches - before.attaches, VTD_LIMIT_ATTACHMENTS + 1);
        /* Each was told of; so is the first one that there was no place for. */
        assert_int_equal(after.faults - before.faults, VTD_LIMIT_ATTACHMENTS + 2);
        assert_int_equal(guest->unit->engine.bindings.end, VTD_BINDINGS);
        assert_true(guest->lines <= 32);
        /* The guest that mends its tables gets all places back. */
        guest->broker->refused = 0;
        for (unsigned i = 1; i < WIDE_LENGTH; i++)
                guest_put64(guest, WIDE + i * 8, 0);
        queue_descriptor(guest, PC_GLOBAL);
        kick(guest);
        (void)run_in_pieces(guest, 64);
        assert_int_equal(pasid_binding_of(guest, RID_A, 63), VTD_FRONTEND_BINDING_FIRST_STAGE);
        assert_int_equal(guest->unit->engine.bindings.end, VTD_LIMIT_DEVICES + 63);
}

static void test_a_full_pool_is_exchanged_in_one_go(void **state)
{
        const unsigned tables = VTD_LIMIT_ATTACHMENTS / 64;
        struct vtd_frontend_stats before, after;
        struct guest *guest = *state;

        start_wide(guest, VTD_LIMIT_ATTACHMENTS);
        for (unsigned i = 0; i < 64; i++)
                put_leaf(guest, LEAF_TABLE, i, 0x50000 + i * 0x1000);
        for (unsigned i = 1; i <= tables; i++)
                guest_put64(guest, WIDE + i * 8, LEAF_TABLE | 1);
        command(guest, VTD_GCMD_TE, 0);
        (void)run_in_pieces(guest, 1000);
        assert_int_equal(guest->unit->engine.bindings.end, VTD_BINDINGS);
        for (unsigned i = 1; i <= tables; i++) {
                guest_put64(guest, WIDE + i * 8, 0);
                guest_put64(guest, WIDE + (i + 100) * 8, LEAF_TABLE | 1);
        }
        vtd_frontend_get_stats(guest->unit, &before);
        queue_descriptor(guest, PC_GLOBAL);
        kick(guest);
        (void)run_in_pieces(guest, 1000);
        vtd_frontend_get_stats(guest->unit, &after);
        assert_int_equal(after.attaches - before.attaches, 2 * VTD_LIMIT_ATTACHMENTS);
        assert_int_equal(after.faults, 0);
        assert_int_equal(pasid_binding_of(guest, RID_A, 64), BLOCKED);
        assert_int_equal(pasid_binding_of(guest, RID_A, 101 * 64),
                         VTD_FRONTEND_BINDING_FIRST_STAGE);
        assert_int_equal(vtd_bindings_count_pasids(&guest->unit->engine.bindings),
                         VTD_LIMIT_ATTACHMENTS);
}

static void test_the_directory_s_size_and_the_promised_width_bound_the_search(void **state)
{
        struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_DEFAULT;
        struct guest *guest = *state;

        /* PDTS 0: 2^13 PASIDs. */
        start_wide(guest, PASIDS);
        put_pasid_context(guest, RID_A, 0, WIDE);
        guest_put64(guest, WIDE + 127 * 8, LEAF_TABLE | 1);
        guest_put64(guest, WIDE + 128 * 8, LEAF_TABLE | 1);
        put_leaf(guest, LEAF_TABLE, 63, TABLE_A);
        command(guest, VTD_GCMD_TE, 0);
        (void)run_in_pieces(guest, 100);
        assert_int_equal(pasid_binding_of(guest, RID_A, 0x1fff), VTD_FRONTEND_BINDING_FIRST_STAGE);
        invalidate(guest, PC_PASID(6, 0x203f));
        assert_int_equal(pasid_binding_of(guest, RID_A, 0x203f), BLOCKED);
        /* Seven bits promised: PASID 0x7f is the last one. */
        guest->tail = 0;
        guest->command = 0;
        config.pasid_bits = 7;
        guest_configure(guest, &config, 7);
        assert_int_equal(read64(guest, VTD_REG_ECAP) >> 35 & 0x3f, 0x26);
        guest_put64(guest, WIDE + 1 * 8, LEAF_TABLE | 1);
        guest_put64(guest, WIDE + 2 * 8, LEAF_TABLE | 1);
        assert_int_equal(vtd_frontend_plug(guest->unit, "nic0", RID_A), 0);
        enable_translation(guest);
        assert_int_equal(pasid_binding_of(guest, RID_A, 0x7f), VTD_FRONTEND_BINDING_FIRST_STAGE);
        assert_int_equal(pasid_binding_of(guest, RID_A, 0xbf), BLOCKED);
        invalidate(guest, PC_PASID(6, 0xbf));
        assert_int_equal(pasid_binding_of(guest, RID_A, 0xbf), BLOCKED);
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
}

static void test_plug_compares_the_device_s_pasids_with_the_guest_s(void **state)
{
        static const struct {
                unsigned promised, has;
                int result;
                unsigned shown;
        } cases[] = {
                {0, 0, 0, 0},
                {0, 20, 0, 0},
                {20, 20, 0, 20},
                {8, 20, 0, 8},
                {20, 19, -ENOTSUP, 0},
                {8, 7, -ENOTSUP, 0},
                {1, 1, 0, 1},
                /* No requests with PASID can come from it. */
                {20, 0, 0, 0},
        };
        struct guest *guest = *state;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_DEFAULT;
                unsigned bits = 77;

                config.pasid_bits = cases[i].promised;
                guest_configure(guest, &config, 7);
                guest->broker->pasid_bits = cases[i].has;
                guest->lines = 0;
                assert_int_equal(vtd_frontend_plug(guest->unit, "nic0", RID_A), cases[i].result);
                assert_int_equal(guest->lines, cases[i].result != 0);
                assert_int_equal(guest->broker->unplugs, cases[i].result != 0);
                assert_int_equal(vtd_frontend_get_pasid_bits(guest->unit, RID_A, &bits),
                                 cases[i].result ? -ENODEV : 0);
                assert_int_equal(bits, cases[i].result ? 77 : cases[i].shown);
        }
}

static void test_a_device_without_pasids_has_no_tables_searched(void **state)
{
        struct guest *guest = *state;
        uint64_t reads;

        configure_pasids(guest, PASIDS);
        guest->broker->pasid_bits = 0;
        plug_with_pasids(guest, RID_A);
        put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_A);
        put_pasid(guest, RID_A, 1, FIRST_STAGE, 6, TABLE_B);
        enable_translation(guest);
        reads = guest->reads;
        invalidate(guest, PC_PASID(6, 1));
        assert_int_equal(guest->reads - reads, 1);
        invalidate(guest, CC_GLOBAL);
        assert_int_equal(guest->broker->count, 0);
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
}

/* The entry of requests without PASID serves requests with that PASID too, unless it is 0. */
static void test_the_entry_under_rid_pasid_is_bound_both_ways(void **state)
{
        struct guest *guest = *state;

        start(guest);
        put_pasid(guest, RID_A, 9, FIRST_STAGE, 6, TABLE_B);
        guest_put64(guest, CONTEXT_LOWER + RID_A * 32 + 8, 9);
        invalidate(guest, CC_GLOBAL);
        assert_attach(guest, 0, VTD_NO_PASID, VTD_ATTACH_FIRST_STAGE, TABLE_B);
        assert_attach(guest, 1, 9, VTD_ATTACH_FIRST_STAGE, TABLE_B);
        /* PASID 0 has an entry, too, but no request to bind it. */
        assert_int_equal(guest->broker->count, 2);
        invalidate(guest, PIOTLB_ALL(6, 9));
        assert_invalidate(guest, 2, TABLE_B, 0, VTD_INVALIDATE_ALL);
        assert_int_equal(guest->broker->count, 3);
        put_pasid(guest, RID_A, 9, 0, 0, 0);
        invalidate(guest, PC_PASID(6, 9));
        assert_int_equal(count_attaches(guest, VTD_ATTACH_BLOCKED), 2);
}

static void test_a_process_s_table_on_two_devices_is_invalidated_once(void **state)
{
        struct guest *guest = *state;

        start(guest);
        plug_with_pasids(guest, RID_B);
        put_pasid(guest, RID_A, 1, FIRST_STAGE, 6, TABLE_B);
        put_pasid(guest, RID_B, 1, FIRST_STAGE, 6, TABLE_B);
        put_pasid(guest, RID_B, 2, FIRST_STAGE, 6, TABLE_C);
        invalidate(guest, PC_DOMAIN(6));
        fake_backend_forget(guest->broker);
        queue_descriptor(guest, PIOTLB_PAGE(6, 1, 0x7000 | LEAF));
        queue_descriptor(guest, WAIT_STATUS(4));
        kick(guest);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_invalidate(guest, 0, TABLE_B, 0x7000, 1);
        assert_int_equal(guest->broker->count, 1);
        /* Domain-selective invalidation without PASID concerns every table of the domain. */
        invalidate(guest, IOTLB_DOMAIN(6));
        assert_int_equal(guest->broker->count, 3);
        queue_descriptor(guest, IOTLB_GLOBAL);
        kick(guest);
        /* One descriptor, three tables: the budget covers the requests, too. */
        assert_int_equal(vtd_frontend_run(guest->unit, 2), VTD_FRONTEND_PENDING);
        assert_int_equal(guest->broker->count, 4);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(guest->broker->count, 6);
}

static void test_a_failed_invalidation_blocks_the_pasids_of_the_table(void **state)
{
        struct guest *guest = *state;

        start(guest);
        put_pasid(guest, RID_A, 1, FIRST_STAGE, 6, TABLE_B);
        put_pasid(guest, RID_A, 2, FIRST_STAGE, 7, TABLE_C);
        invalidate(guest, PC_GLOBAL);
        fake_backend_forget(guest->broker);
        guest->broker->refused = VTD_REQUEST_INVALIDATE;
        guest->broker->reason = VTD_REASON_HOST_FAILED;
        invalidate(guest, PIOTLB_ALL(6, 1));
        assert_int_equal(guest->broker->count, 1);
        assert_int_equal(pasid_binding_of(guest, RID_A, 1), BLOCKED);
        assert_int_equal(pasid_binding_of(guest, RID_A, 2), VTD_FRONTEND_BINDING_FIRST_STAGE);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_FIRST_STAGE);
        assert_int_equal(pasid_fault_reason(guest, RID_A, 1), 0x70);
        clear_faults(guest);
        invalidate(guest, PC_PASID(6, 1));
        assert_attach(guest, 1, 1, VTD_ATTACH_FIRST_STAGE, TABLE_B);
        /* Its place is free at once. */
        guest->broker->refused = VTD_REQUEST_INVALIDATE;
        invalidate(guest, PIOTLB_ALL(7, 2));
        assert_int_equal(guest->unit->engine.bindings.end, VTD_LIMIT_DEVICES + 1);
        invalidate(guest, PC_PASID(7, 2));
        clear_faults(guest);
        fake_backend_forget(guest->broker);
        /* Refused otherwise, the broker is told to block. */
        guest->broker->refused = VTD_REQUEST_INVALIDATE;
        guest->broker->reason = VTD_REASON_INVALIDATE_RANGE;
        invalidate(guest, PIOTLB_ALL(6, 1));
        assert_attach(guest, 1, 1, VTD_ATTACH_BLOCKED, 0);
        assert_int_equal(guest->broker->count, 2);
        assert_int_equal(guest->unit->engine.bindings.end, VTD_LIMIT_DEVICES + 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, guest_setup, guest_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_a_pasid_follows_the_guest_from_addition_to_removal),
                TEST(test_naming_one_pasid_costs_one_walk_and_no_search),
                TEST(test_domain_selective_invalidation_adds_and_removes_that_domain_only),
                TEST(test_context_invalidation_finds_and_drops_the_pasids_of_the_device_named),
                TEST(test_what_is_wrong_above_the_directory_faults_once),
                TEST(test_translation_off_detaches_all_pasids_and_on_brings_them_back),
                TEST(test_set_root_flushes_pasids_that_stay_and_detaches_the_others),
                TEST(test_reset_detaches_all_pasids_whatever_is_under_way),
                TEST(test_unplug_forgets_all_pasids_and_what_was_pending_for_them),
                TEST(test_unplug_and_translation_off_end_a_search),
                TEST(test_plugging_into_live_tables_binds_their_pasids),
                TEST(test_a_refused_pasid_becomes_a_fault_and_the_others_stay),
                TEST(test_a_refused_pasid_that_is_taken_back_leaves_its_place),
                TEST(test_other_translation_types_block_that_pasid_only),
                TEST(test_pasids_over_the_limit_are_told_of_once_without_asking),
                TEST(test_what_goes_makes_room_for_what_comes),
                TEST(test_a_sparse_space_of_20_bits_costs_its_directory_and_its_live_tables),
                TEST(test_a_hostile_directory_costs_bounded_runs_and_bounded_bindings),
                TEST(test_a_hostile_directory_of_refused_tables_asks_a_bounded_number_of_times),
                TEST(test_a_full_pool_is_exchanged_in_one_go),
                TEST(test_the_directory_s_size_and_the_promised_width_bound_the_search),
                TEST(test_plug_compares_the_device_s_pasids_with_the_guest_s),
                TEST(test_a_device_without_pasids_has_no_tables_searched),
                TEST(test_the_entry_under_rid_pasid_is_bound_both_ways),
                TEST(test_a_process_s_table_on_two_devices_is_invalidated_once),
                TEST(test_a_failed_invalidation_blocks_the_pasids_of_the_table),
        };

        return cmocka_run_group_tests_name("frontend-pasids", tests, NULL, NULL);
}
