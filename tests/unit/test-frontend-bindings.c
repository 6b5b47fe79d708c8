/* SPDX-License-Identifier: MIT */
/* What a guest's tables and commands make of a device's binding, and what the broker is asked. */
#include "tests/unit/frontend-fixture.h"

#include <errno.h>
#include <string.h>

#include "frontend/fault.h"
#include "frontend/include/vtd/device.h"
#include "shared/checked.h"

enum { FIRST_STAGE = 1, SECOND_STAGE = 2, NESTED = 3, PASSTHROUGH = 4 };

/* Request number @i since the last fake_backend_forget() was an Attach of @mode and @root. */
static void assert_attach(struct guest *guest, size_t i, uint64_t device, enum vtd_attach_mode mode,
                          uint64_t root)
{
        const struct vtd_request *request = &guest->broker->requests[i];

        assert_true(i < guest->broker->count);
        assert_int_equal(request->type, VTD_REQUEST_ATTACH);
        assert_int_equal(request->attach.device, device);
        assert_int_equal(request->attach.pasid, VTD_NO_PASID);
        assert_int_equal(request->attach.mode, mode);
        assert_int_equal(request->attach.root, root);
        assert_int_equal(request->attach.address_width, mode == VTD_ATTACH_FIRST_STAGE ? 48 : 0);
        assert_int_equal(request->attach.flags, 0);
}

/* It was an Invalidate of one range. */
static void assert_invalidate(struct guest *guest, size_t i, uint64_t root, uint64_t address,
                              uint64_t pages, bool leaf)
{
        const struct vtd_request *request = &guest->broker->requests[i];

        assert_true(i < guest->broker->count);
        assert_int_equal(request->type, VTD_REQUEST_INVALIDATE);
        assert_int_equal(request->invalidate.table, fake_backend_table(root));
        assert_int_equal(request->invalidate.count, 1);
        assert_int_equal(request->invalidate.entries[0].address, address);
        assert_int_equal(request->invalidate.entries[0].pages, pages);
        assert_int_equal(request->invalidate.entries[0].leaf, leaf);
}

static void assert_whole(struct guest *guest, size_t i, uint64_t root)
{
        assert_invalidate(guest, i, root, 0, VTD_INVALIDATE_ALL, false);
}

/* Device A in domain 5 with TABLE_A, translation on, nothing asked yet. */
static void start_first_stage(struct guest *guest)
{
        plug(guest, RID_A);
        put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_A);
        enable_translation(guest);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_FIRST_STAGE);
}

/* The story that the whole project tells, at this seam. */
static void test_a_device_follows_the_guest_from_plug_to_removal(void **state)
{
        struct guest *guest = *state;

        assert_int_equal(vtd_frontend_plug(guest->unit, "nic0", RID_A), 0);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_BLOCKED);
        fake_backend_forget(guest->broker);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_attach(guest, 0, 1, VTD_ATTACH_PASSTHROUGH, 0);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_PASSTHROUGH);
        /* Pass-through by its entry is what the device has already: nothing to ask. */
        put_context(guest, RID_A, 0);
        put_entry(guest, RID_A, PASSTHROUGH, 4, 0);
        enable_translation(guest);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_PASSTHROUGH);
        put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_A);
        invalidate(guest, PC_PASID(4, 0));
        assert_attach(guest, 0, 1, VTD_ATTACH_FIRST_STAGE, TABLE_A);
        queue_descriptor(guest, PIOTLB_PAGE(5, 0, 0x7000));
        queue_descriptor(guest, WAIT_STATUS(2));
        kick(guest);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_invalidate(guest, 1, TABLE_A, 0x7000, 1, false);
        assert_int_equal(guest_get32(guest, STATUS), 2);
        invalidate(guest, PIOTLB_ALL(5, 0));
        assert_whole(guest, 2, TABLE_A);
        put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_B);
        invalidate(guest, PC_PASID(5, 0));
        assert_attach(guest, 3, 1, VTD_ATTACH_FIRST_STAGE, TABLE_B);
        put_entry(guest, RID_A, 0, 0, 0);
        invalidate(guest, PC_PASID(5, 0));
        assert_attach(guest, 4, 1, VTD_ATTACH_BLOCKED, 0);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_BLOCKED);
        command(guest, 0, VTD_GCMD_TE);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_attach(guest, 5, 1, VTD_ATTACH_PASSTHROUGH, 0);
        put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_A);
        command(guest, VTD_GCMD_TE, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_attach(guest, 6, 1, VTD_ATTACH_FIRST_STAGE, TABLE_A);
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
        put_entry(guest, RID_A, SECOND_STAGE, 6, TABLE_A);
        invalidate(guest, PC_PASID(5, 0));
        assert_attach(guest, 7, 1, VTD_ATTACH_BLOCKED, 0);
        assert_int_equal(fault_reason(guest, RID_A), 0x5b);
        assert_int_equal(guest->broker->count, 8);
}

static void test_translation_off_is_passthrough_only_if_policy_grants_it(void **state)
{
        const struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_DEFAULT;
        struct guest *guest = *state;

        guest_configure(guest, &config, 1 | 4);
        plug(guest, RID_A);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_BLOCKED);
        assert_int_equal(guest->broker->count, 1); /* the plug */
        put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_A);
        enable_translation(guest);
        command(guest, 0, VTD_GCMD_TE);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_attach(guest, 0, 1, VTD_ATTACH_BLOCKED, 0);
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
}

static void test_an_unchanged_entry_costs_no_request(void **state)
{
        struct guest *guest = *state;

        start_first_stage(guest);
        invalidate(guest, PC_PASID(5, 0));
        invalidate(guest, PC_DOMAIN(5));
        invalidate(guest, PC_GLOBAL);
        invalidate(guest, CC_GLOBAL);
        invalidate(guest, CC_DEVICE(RID_A, 0));
        assert_int_equal(guest->broker->count, 0);
}

static void test_other_translation_types_block_with_fault_5b(void **state)
{
        static const unsigned types[] = {SECOND_STAGE, NESTED, 5, 6, 7};
        struct guest *guest = *state;

        start_first_stage(guest);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(types); i++) {
                put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_A);
                invalidate(guest, PC_PASID(5, 0));
                assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_FIRST_STAGE);
                put_entry(guest, RID_A, types[i], 5, TABLE_A);
                invalidate(guest, PC_PASID(5, 0));
                assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_BLOCKED);
                assert_int_equal(fault_reason(guest, RID_A), 0x5b);
                clear_faults(guest);
        }
}

static void test_type_0_in_a_present_entry_is_refused_too(void **state)
{
        struct guest *guest = *state;

        start_first_stage(guest);
        guest_put64(guest, entry_of(RID_A, 0), 1);
        invalidate(guest, PC_PASID(5, 0));
        assert_int_equal(fault_reason(guest, RID_A), 0x5b);
}

static void test_five_level_paging_is_refused(void **state)
{
        struct guest *guest = *state;

        start_first_stage(guest);
        for (unsigned levels = 1; levels < 4; levels++) {
                put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_A | levels << 2);
                invalidate(guest, PC_PASID(5, 0));
                assert_int_equal(fault_reason(guest, RID_A), 0x5b);
                clear_faults(guest);
        }
}

static void test_legacy_tables_block_with_fault_30(void **state)
{
        static const unsigned modes[] = {0, 2, 3};
        struct guest *guest = *state;

        start_first_stage(guest);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(modes); i++) {
                write64(guest, VTD_REG_RTADDR, ROOT_TABLE | modes[i] << 10);
                command(guest, VTD_GCMD_SRTP, 0);
                run_until(guest, VTD_FRONTEND_IDLE);
                assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_BLOCKED);
                assert_int_equal(fault_reason(guest, RID_A), 0x30);
                clear_faults(guest);
                write64(guest, VTD_REG_RTADDR, ROOT_TABLE | 0x400);
                command(guest, VTD_GCMD_SRTP, 0);
                run_until(guest, VTD_FRONTEND_IDLE);
                assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_FIRST_STAGE);
        }
}

static void test_removal_is_judged_by_the_cached_entry(void **state)
{
        struct guest *guest = *state;

        start_first_stage(guest);
        put_entry(guest, RID_A, 0, 0, 0);
        invalidate(guest, PC_PASID(6, 0));
        invalidate(guest, PC_PASID(5, 1));
        invalidate(guest, PC_DOMAIN(6));
        assert_int_equal(guest->broker->count, 0);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_FIRST_STAGE);
        invalidate(guest, PC_DOMAIN(5));
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_BLOCKED);
}

static void test_addition_is_judged_by_the_entry_in_memory(void **state)
{
        struct guest *guest = *state;

        plug(guest, RID_A);
        enable_translation(guest);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_BLOCKED);
        put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_A);
        invalidate(guest, PC_PASID(6, 0));
        invalidate(guest, PC_PASID(5, 1));
        invalidate(guest, PC_DOMAIN(0));
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_BLOCKED);
        invalidate(guest, PC_PASID(5, 0));
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_FIRST_STAGE);
}

/* A bad entry that an invalidation does not name is not this guest's mistake yet. */
static void test_only_the_named_entry_can_fault(void **state)
{
        struct guest *guest = *state;

        plug(guest, RID_A);
        enable_translation(guest);
        put_entry(guest, RID_A, SECOND_STAGE, 5, 0);
        invalidate(guest, PC_PASID(6, 0));
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
        invalidate(guest, PC_PASID(5, 0));
        assert_int_equal(fault_reason(guest, RID_A), 0x5b);
}

static void test_removal_precedes_replay(void **state)
{
        struct guest *guest = *state;

        plug(guest, RID_A);
        plug(guest, RID_B);
        put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_A);
        put_entry(guest, RID_B, FIRST_STAGE, 6, TABLE_B);
        enable_translation(guest);
        /* A, which is looked at first, changes; B goes: B's table is gone when A's is asked for. */
        put_entry(guest, RID_A, FIRST_STAGE, 5, 0x42000);
        put_entry(guest, RID_B, 0, 0, 0);
        invalidate(guest, PC_GLOBAL);
        assert_attach(guest, 0, 2, VTD_ATTACH_BLOCKED, 0);
        assert_attach(guest, 1, 1, VTD_ATTACH_FIRST_STAGE, 0x42000);
        assert_int_equal(guest->broker->count, 2);
}

static void test_context_cache_invalidation_looks_at_exactly_the_devices_named(void **state)
{
        static const struct {
                unsigned sid, mask;
                bool named;
        } cases[] = {
                {RID_A, 0, true},      {RID_A + 1, 0, false}, {RID_A + 4, 0, false},
                {RID_A + 4, 1, true},  {RID_A + 6, 1, false}, {RID_A + 6, 2, true},
                {RID_A + 7, 2, false}, {RID_A + 7, 3, true},  {RID_A + 8, 3, false},
                {RID_B, 3, false},
        };
        struct guest *guest = *state;

        start_first_stage(guest);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                uint64_t reads = guest->reads;

                invalidate(guest, CC_DEVICE(cases[i].sid, cases[i].mask));
                /* The descriptor; and root, context, directory and PASID entry. */
                assert_int_equal(guest->reads - reads, cases[i].named ? 5 : 1);
        }
        put_entry(guest, RID_A, 0, 0, 0);
        invalidate(guest, CC_DEVICE(RID_B, 0));
        assert_int_equal(guest->broker->count, 0);
        invalidate(guest, CC_DEVICE(RID_A, 0));
        assert_attach(guest, 0, 1, VTD_ATTACH_BLOCKED, 0);
}

static void test_domain_selective_context_invalidation_is_global(void **state)
{
        struct guest *guest = *state;

        start_first_stage(guest);
        put_entry(guest, RID_A, 0, 0, 0);
        invalidate(guest, UINT64_C(0x21) | 77 << 16, 0);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_BLOCKED);
}

static void test_a_removed_context_entry_blocks(void **state)
{
        struct guest *guest = *state;

        start_first_stage(guest);
        guest_put64(guest, CONTEXT_LOWER + RID_A * 32, 0);
        invalidate(guest, CC_DEVICE(RID_A, 0));
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_BLOCKED);
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
}

static void test_set_root_drops_caches_and_flushes_what_stays(void **state)
{
        struct guest *guest = *state;

        start_first_stage(guest);
        command(guest, VTD_GCMD_SRTP, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_whole(guest, 0, TABLE_A);
        assert_int_equal(guest->broker->count, 1);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_FIRST_STAGE);
        /* The guest takes RTPS for the flush being done. */
        guest->broker->hold = true;
        command(guest, VTD_GCMD_SRTP, 0);
        run_until(guest, VTD_FRONTEND_WAITING);
        assert_false(read32(guest, VTD_REG_GSTS) & VTD_GCMD_SRTP);
        guest->broker->hold = false;
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_true(read32(guest, VTD_REG_GSTS) & VTD_GCMD_SRTP);
}

static void test_set_root_to_other_tables_rebinds(void **state)
{
        struct guest *guest = *state;

        start_first_stage(guest);
        write64(guest, VTD_REG_RTADDR, 0x80000 | 0x400);
        assert_int_equal(guest->broker->count, 0);
        command(guest, VTD_GCMD_SRTP, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_attach(guest, 0, 1, VTD_ATTACH_BLOCKED, 0);
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
}

static void test_enabling_translation_twice_does_nothing(void **state)
{
        struct guest *guest = *state;

        start_first_stage(guest);
        put_entry(guest, RID_A, 0, 0, 0);
        command(guest, VTD_GCMD_TE, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(guest->broker->count, 0);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_FIRST_STAGE);
}

static void test_status_changes_only_when_all_bindings_are_settled(void **state)
{
        struct guest *guest = *state;

        plug(guest, RID_A);
        put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_A);
        enable_queue(guest);
        guest->broker->hold = true;
        command(guest, VTD_GCMD_TE, 0);
        run_until(guest, VTD_FRONTEND_WAITING);
        assert_false(read32(guest, VTD_REG_GSTS) & VTD_GCMD_TE);
        guest->broker->hold = false;
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_true(read32(guest, VTD_REG_GSTS) & VTD_GCMD_TE);
        guest->broker->hold = true;
        command(guest, VTD_GCMD_SRTP, VTD_GCMD_TE);
        run_until(guest, VTD_FRONTEND_WAITING);
        assert_int_equal(read32(guest, VTD_REG_GSTS), VTD_GCMD_TE | VTD_GCMD_QIE);
        guest->broker->hold = false;
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(read32(guest, VTD_REG_GSTS), VTD_GCMD_SRTP | VTD_GCMD_QIE);
}

static void test_a_command_during_a_command_is_carried_out_after_it(void **state)
{
        struct guest *guest = *state;

        plug(guest, RID_A);
        put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_A);
        enable_queue(guest);
        fake_backend_forget(guest->broker);
        guest->broker->hold = true;
        command(guest, VTD_GCMD_TE, 0);
        run_until(guest, VTD_FRONTEND_WAITING);
        command(guest, 0, VTD_GCMD_TE);
        run_until(guest, VTD_FRONTEND_WAITING);
        guest->broker->hold = false;
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_attach(guest, 0, 1, VTD_ATTACH_FIRST_STAGE, TABLE_A);
        assert_attach(guest, 1, 1, VTD_ATTACH_PASSTHROUGH, 0);
        assert_false(read32(guest, VTD_REG_GSTS) & VTD_GCMD_TE);
}

static void test_a_refused_attach_blocks_faults_once_and_is_retried(void **state)
{
        static const struct {
                enum vtd_reason reason;
                unsigned fault;
        } cases[] = {
                {VTD_REASON_FIRST_STAGE_TABLE_LIMIT, 0x5b},
                {VTD_REASON_ROOT_NOT_MAPPED, 0x73},
                {VTD_REASON_HOST_FAILED, 0x5b},
        };
        struct guest *guest = *state;
        struct vtd_frontend_refusal refusal;

        start_first_stage(guest);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_B);
                guest->broker->refused = VTD_REQUEST_ATTACH;
                guest->broker->reason = cases[i].reason;
                invalidate(guest, PC_PASID(5, 0));
                assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_BLOCKED);
                assert_int_equal(fault_reason(guest, RID_A), cases[i].fault);
                clear_faults(guest);
                vtd_frontend_refusal(guest->unit, &refusal);
                assert_int_equal(refusal.reason, cases[i].reason);
                assert_int_equal(refusal.asked, 7);
                /* Nothing is bound, so that no table is there to be invalidated. */
                fake_backend_forget(guest->broker);
                invalidate(guest, PIOTLB_ALL(5, 0));
                assert_int_equal(guest->broker->count, 0);
                invalidate(guest, PC_PASID(5, 0));
                assert_attach(guest, 0, 1, VTD_ATTACH_FIRST_STAGE, TABLE_B);
                assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
                put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_A);
                invalidate(guest, PC_PASID(5, 0));
                assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_FIRST_STAGE);
        }
}

static void test_a_refused_entry_is_not_cached(void **state)
{
        struct guest *guest = *state;

        start_first_stage(guest);
        put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_B);
        guest->broker->refused = VTD_REQUEST_ATTACH;
        guest->broker->reason = VTD_REASON_HOST_LIMIT;
        invalidate(guest, PC_PASID(5, 0));
        /* Nothing is left to be removed: what is added next is judged by memory alone. */
        put_entry(guest, RID_A, FIRST_STAGE, 9, TABLE_B);
        invalidate(guest, PC_PASID(9, 0));
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_FIRST_STAGE);
}

static void test_a_walk_does_not_outlive_its_device(void **state)
{
        struct guest *guest = *state;

        put_context(guest, RID_A, 0);
        put_context(guest, RID_B, 0);
        put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_A);
        put_entry(guest, RID_B, FIRST_STAGE, 6, TABLE_B);
        enable_translation(guest);
        assert_int_equal(vtd_frontend_plug(guest->unit, "nic0", RID_A), 0);
        assert_int_equal(vtd_frontend_run(guest->unit, 2), VTD_FRONTEND_PENDING);
        assert_int_equal(vtd_frontend_unplug(guest->unit, RID_A), 0);
        assert_int_equal(vtd_frontend_plug(guest->unit, "nic1", RID_B), 0);
        fake_backend_forget(guest->broker);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_attach(guest, 0, 2, VTD_ATTACH_FIRST_STAGE, TABLE_B);
}

static void test_fpd_suppresses_the_fault_but_not_the_blocking(void **state)
{
        struct guest *guest = *state;

        start_first_stage(guest);
        put_entry(guest, RID_A, SECOND_STAGE, 5, 0);
        guest_put64(guest, entry_of(RID_A, 0), guest_get64(guest, entry_of(RID_A, 0)) | 2);
        invalidate(guest, PC_PASID(5, 0));
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_BLOCKED);
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
}

static void test_refused_pass_through_off_translation_faults_nothing(void **state)
{
        struct guest *guest = *state;

        guest->broker->refused = VTD_REQUEST_ATTACH;
        guest->broker->reason = VTD_REASON_HOST_FAILED;
        plug(guest, RID_A);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_BLOCKED);
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
        assert_int_equal(guest->lines, 1);
}

static void test_a_failed_invalidation_blocks_before_the_wait_completes(void **state)
{
        struct guest *guest = *state;

        plug(guest, RID_B);
        put_entry(guest, RID_B, FIRST_STAGE, 5, TABLE_A);
        start_first_stage(guest);
        guest->broker->refused = VTD_REQUEST_INVALIDATE;
        guest->broker->reason = VTD_REASON_HOST_FAILED;
        queue_descriptor(guest, PIOTLB_ALL(5, 0));
        queue_descriptor(guest, WAIT_STATUS(3));
        kick(guest);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(guest->broker->count, 1);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_BLOCKED);
        assert_int_equal(binding_of(guest, RID_B), VTD_FRONTEND_BINDING_BLOCKED);
        assert_int_equal(fault_reason(guest, RID_B), 0x70);
        assert_int_equal(guest_get32(guest, STATUS), 3);
        fake_backend_forget(guest->broker);
        invalidate(guest, PC_PASID(5, 0));
        assert_int_equal(guest->broker->count, 2);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_FIRST_STAGE);
}

static void test_a_stale_table_handle_blocks_like_a_failure(void **state)
{
        struct guest *guest = *state;

        start_first_stage(guest);
        guest->broker->refused = VTD_REQUEST_INVALIDATE;
        guest->broker->reason = VTD_REASON_TABLE_HANDLE;
        invalidate(guest, PIOTLB_ALL(5, 0));
        assert_int_equal(guest->broker->count, 1);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_BLOCKED);
        assert_int_equal(fault_reason(guest, RID_A), 0x70);
}

/* Refused for any other reason, it has not been done, and nobody has blocked the device. */
static void test_an_invalidation_refused_otherwise_is_followed_by_blocking(void **state)
{
        struct guest *guest = *state;

        start_first_stage(guest);
        guest->broker->refused = VTD_REQUEST_INVALIDATE;
        guest->broker->reason = VTD_REASON_INVALIDATE_RANGE;
        queue_descriptor(guest, PIOTLB_ALL(5, 0));
        queue_descriptor(guest, WAIT_STATUS(3));
        kick(guest);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_whole(guest, 0, TABLE_A);
        assert_attach(guest, 1, 1, VTD_ATTACH_BLOCKED, 0);
        assert_int_equal(guest->broker->count, 2);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_BLOCKED);
        assert_int_equal(guest_get32(guest, STATUS), 3);
}

static void test_shared_tables_are_invalidated_once(void **state)
{
        struct guest *guest = *state;

        plug(guest, RID_B);
        put_entry(guest, RID_B, FIRST_STAGE, 5, TABLE_A);
        start_first_stage(guest);
        queue_descriptor(guest, PIOTLB_PAGE(5, 0, 0x9000 | LEAF));
        queue_descriptor(guest, WAIT_STATUS(1));
        kick(guest);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_invalidate(guest, 0, TABLE_A, 0x9000, 1, true);
        assert_int_equal(guest->broker->count, 1);
}

static void test_pasid_iotlb_needs_domain_and_pasid_of_a_first_stage_entry(void **state)
{
        struct guest *guest = *state;

        plug(guest, RID_B);
        put_entry(guest, RID_B, PASSTHROUGH, 6, 0);
        start_first_stage(guest);
        invalidate(guest, PIOTLB_ALL(6, 0));
        invalidate(guest, PIOTLB_ALL(5, 1));
        invalidate(guest, PIOTLB_PAGE(0, 0, 0x1000));
        assert_int_equal(guest->broker->count, 0);
}

static void test_iotlb_invalidation_flushes_first_stage_tables_of_the_domain(void **state)
{
        struct guest *guest = *state;

        plug(guest, RID_B);
        put_entry(guest, RID_B, FIRST_STAGE, 6, TABLE_B);
        start_first_stage(guest);
        invalidate(guest, IOTLB_PAGE(6, 0x5000));
        assert_whole(guest, 0, TABLE_B);
        invalidate(guest, IOTLB_DOMAIN(5));
        assert_whole(guest, 1, TABLE_A);
        invalidate(guest, IOTLB_DOMAIN(0));
        assert_int_equal(guest->broker->count, 2);
        invalidate(guest, IOTLB_GLOBAL);
        assert_int_equal(guest->broker->count, 4);
}

static void test_rid_pasid_is_taken_from_the_context_entry(void **state)
{
        struct guest *guest = *state;

        plug(guest, RID_A);
        put_context(guest, RID_A, 0x1fc0); /* the last directory entry of PDTS 0 */
        put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_A);
        enable_translation(guest);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_FIRST_STAGE);
        invalidate(guest, PIOTLB_ALL(5, 0));
        assert_int_equal(guest->broker->count, 0);
        invalidate(guest, PIOTLB_ALL(5, 0x1fc0));
        assert_whole(guest, 0, TABLE_A);
        put_context(guest, RID_A, 0x2000);
        invalidate(guest, CC_DEVICE(RID_A, 0));
        assert_int_equal(fault_reason(guest, RID_A), 0x48);
}

/* The host knows the table, not the tag: under a new tag it must look as if nothing were cached. */
static void test_a_new_domain_id_on_the_same_table_flushes_it(void **state)
{
        struct guest *guest = *state;

        start_first_stage(guest);
        put_entry(guest, RID_A, FIRST_STAGE, 9, TABLE_A);
        invalidate(guest, PC_PASID(5, 0));
        assert_whole(guest, 0, TABLE_A);
        assert_int_equal(guest->broker->count, 1);
        invalidate(guest, PIOTLB_ALL(5, 0));
        assert_int_equal(guest->broker->count, 1);
        invalidate(guest, PIOTLB_ALL(9, 0));
        assert_whole(guest, 1, TABLE_A);
}

static void test_joining_a_table_under_another_domain_id_flushes_it(void **state)
{
        struct guest *guest = *state;

        plug(guest, RID_B);
        start_first_stage(guest);
        put_entry(guest, RID_B, FIRST_STAGE, 6, TABLE_A);
        invalidate(guest, PC_PASID(6, 0));
        /* Before: from the moment that it is attached the device sees what is cached. */
        assert_whole(guest, 0, TABLE_A);
        assert_attach(guest, 1, 1, VTD_ATTACH_FIRST_STAGE, TABLE_A);
        assert_int_equal(guest->broker->count, 2);
        invalidate(guest, PC_PASID(6, 0));
        assert_int_equal(guest->broker->count, 2);
}

/* What is cached of the table is there as long as something is attached to it. */
static void test_a_refused_flush_is_followed_by_blocking_before_anything_joins(void **state)
{
        struct guest *guest = *state;

        plug(guest, RID_B);
        start_first_stage(guest);
        put_entry(guest, RID_B, FIRST_STAGE, 6, TABLE_A);
        guest->broker->refused = VTD_REQUEST_INVALIDATE;
        guest->broker->reason = VTD_REASON_INVALIDATE_RANGE;
        invalidate(guest, PC_PASID(6, 0));
        assert_whole(guest, 0, TABLE_A);
        assert_attach(guest, 1, 2, VTD_ATTACH_BLOCKED, 0);
        assert_attach(guest, 2, 1, VTD_ATTACH_FIRST_STAGE, TABLE_A);
        assert_int_equal(guest->broker->count, 3);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_BLOCKED);
        assert_int_equal(binding_of(guest, RID_B), VTD_FRONTEND_BINDING_FIRST_STAGE);
}

static void test_a_reset_forgets_an_attach_that_waits_for_the_flush(void **state)
{
        struct guest *guest = *state;

        plug(guest, RID_B);
        start_first_stage(guest);
        put_entry(guest, RID_B, FIRST_STAGE, 6, TABLE_A);
        guest->broker->hold = true;
        queue_descriptor(guest, PC_PASID(6, 0));
        kick(guest);
        run_until(guest, VTD_FRONTEND_WAITING);
        assert_whole(guest, 0, TABLE_A);
        vtd_frontend_reset(guest->unit);
        guest->broker->hold = false;
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(guest->broker->count, 3);
        assert_attach(guest, 1, 1, VTD_ATTACH_PASSTHROUGH, 0);
        assert_attach(guest, 2, 2, VTD_ATTACH_PASSTHROUGH, 0);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_PASSTHROUGH);
        assert_int_equal(binding_of(guest, RID_B), VTD_FRONTEND_BINDING_PASSTHROUGH);
}

static void test_a_hot_plugged_device_is_bound_by_tables_that_are_there(void **state)
{
        struct guest *guest = *state;

        put_context(guest, RID_A, 0);
        put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_A);
        enable_translation(guest);
        plug(guest, RID_A);
        assert_attach(guest, 1, 1, VTD_ATTACH_FIRST_STAGE, TABLE_A);
}

static void test_plug_checks_its_arguments(void **state)
{
        static const char *const names[] = {"", "nic/0", "nic 0",
                                            "0123456789012345678901234567890x", "n\xc3\xa4"};
        struct guest *guest = *state;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(names); i++)
                assert_int_equal(vtd_frontend_plug(guest->unit, names[i], 1), -EINVAL);
        assert_int_equal(guest->broker->count, 0);
        assert_int_equal(vtd_frontend_plug(guest->unit, "0123456789012345678901234567890", 1), 0);
        assert_int_equal(vtd_frontend_plug(guest->unit, "nic0", 1), -EEXIST);
        for (unsigned i = 1; i < VTD_LIMIT_DEVICES; i++)
                assert_int_equal(vtd_frontend_plug(guest->unit, "nic0", (uint16_t)(i + 1)), 0);
        assert_int_equal(vtd_frontend_plug(guest->unit, "nic0", 99), -ENOSPC);
        assert_int_equal(vtd_frontend_unplug(guest->unit, 1), 0);
        assert_int_equal(vtd_frontend_unplug(guest->unit, 1), -ENODEV);
        assert_int_equal(vtd_frontend_plug(guest->unit, "nic0", 99), 0);
}

static void test_a_refused_plug_says_why(void **state)
{
        struct guest *guest = *state;
        struct vtd_frontend_refusal refusal;

        vtd_frontend_refusal(guest->unit, &refusal);
        assert_int_equal(refusal.status, 0);
        assert_null(refusal.status_name);
        guest->broker->refused = VTD_REQUEST_PLUG_DEVICE;
        guest->broker->reason = VTD_REASON_DEVICE_NOT_GRANTED;
        assert_int_equal(vtd_frontend_plug(guest->unit, "nic0", 1), VTD_FRONTEND_REFUSED);
        vtd_frontend_refusal(guest->unit, &refusal);
        assert_int_equal(refusal.status, VTD_STATUS_DENIED);
        assert_string_equal(refusal.status_name, "denied");
        assert_string_equal(refusal.reason_name, "device-not-granted");
        assert_int_equal(refusal.allowed, 5);
}

static void test_waiting_calls_are_busy_while_a_request_is_outstanding(void **state)
{
        struct guest *guest = *state;
        uint64_t value;

        plug(guest, RID_A);
        guest->broker->hold = true;
        put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_A);
        write64(guest, VTD_REG_RTADDR, ROOT_TABLE | 0x400);
        command(guest, VTD_GCMD_SRTP | VTD_GCMD_TE, 0);
        run_until(guest, VTD_FRONTEND_WAITING);
        assert_int_equal(vtd_frontend_plug(guest->unit, "nic1", RID_B), VTD_FRONTEND_BUSY);
        assert_int_equal(vtd_frontend_unplug(guest->unit, RID_A), VTD_FRONTEND_BUSY);
        assert_int_equal(vtd_frontend_map(guest->unit, 0, 4096, 0, 0, &value), VTD_FRONTEND_BUSY);
        assert_int_equal(vtd_frontend_unmap(guest->unit, 1), VTD_FRONTEND_BUSY);
        assert_int_equal(vtd_frontend_region_read(guest->unit, RID_A, 0, 0, 4, &value),
                         VTD_FRONTEND_BUSY);
        guest->broker->hold = false;
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(vtd_frontend_region_read(guest->unit, RID_A, 0, 0, 4, &value), 0);
        assert_int_equal(value, 0x1234);
        assert_int_equal(vtd_frontend_map(guest->unit, 0, 4096, 0, 0, &value), 0);
        assert_int_equal(value, 0x33);
        assert_int_equal(vtd_frontend_unmap(guest->unit, value), 0);
}

static void test_reset_returns_devices_to_translation_off(void **state)
{
        struct guest *guest = *state;

        start_first_stage(guest);
        queue_descriptor(guest, PIOTLB_ALL(5, 0));
        kick(guest);
        vtd_frontend_reset(guest->unit);
        assert_int_equal(read32(guest, VTD_REG_GSTS), 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_attach(guest, 0, 1, VTD_ATTACH_PASSTHROUGH, 0);
        assert_int_equal(guest->broker->count, 1);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_PASSTHROUGH);
        /* The next guest can start over. */
        guest->tail = 0;
        guest->command = 0;
        enable_translation(guest);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_FIRST_STAGE);
}

static void test_reset_while_an_attach_is_outstanding_ends_in_the_reset_state(void **state)
{
        struct guest *guest = *state;

        plug(guest, RID_A);
        put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_A);
        enable_queue(guest);
        fake_backend_forget(guest->broker);
        guest->broker->hold = true;
        command(guest, VTD_GCMD_TE, 0);
        run_until(guest, VTD_FRONTEND_WAITING);
        vtd_frontend_reset(guest->unit);
        run_until(guest, VTD_FRONTEND_WAITING);
        guest->broker->hold = false;
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_attach(guest, 0, 1, VTD_ATTACH_FIRST_STAGE, TABLE_A);
        assert_attach(guest, 1, 1, VTD_ATTACH_PASSTHROUGH, 0);
        assert_int_equal(guest->broker->count, 2);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_PASSTHROUGH);
}

static void test_reset_while_a_failing_invalidation_is_outstanding(void **state)
{
        struct guest *guest = *state;

        start_first_stage(guest);
        guest->broker->hold = true;
        queue_descriptor(guest, PIOTLB_ALL(5, 0));
        queue_descriptor(guest, WAIT_STATUS(4));
        kick(guest);
        run_until(guest, VTD_FRONTEND_WAITING);
        vtd_frontend_reset(guest->unit);
        guest->broker->hold = false;
        guest->broker->refused = VTD_REQUEST_INVALIDATE;
        guest->broker->reason = VTD_REASON_INVALIDATE_RANGE;
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_attach(guest, 1, 1, VTD_ATTACH_PASSTHROUGH, 0);
        assert_int_equal(guest->broker->count, 2);
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
        assert_int_equal(guest_get32(guest, STATUS), 0);
}

static void test_a_lost_broker_holds_the_queue(void **state)
{
        struct guest *guest = *state;
        uint64_t value;

        start_first_stage(guest);
        guest->broker->hold = true;
        queue_descriptor(guest, PIOTLB_ALL(5, 0));
        queue_descriptor(guest, WAIT_STATUS(4));
        queue_descriptor(guest, 0, 0);
        kick(guest);
        run_until(guest, VTD_FRONTEND_WAITING);
        guest->broker->lost = true;
        run_until(guest, VTD_FRONTEND_LOST);
        guest->broker->lost = false;
        guest->broker->hold = false;
        run_until(guest, VTD_FRONTEND_LOST);
        assert_int_equal(guest->lost, 1);
        assert_int_equal(guest_get32(guest, STATUS), 0);
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
        assert_int_equal(read32(guest, VTD_REG_IQH), 32);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_BLOCKED);
        assert_int_equal(vtd_frontend_get_fd(guest->unit), -1);
        assert_int_equal(vtd_frontend_plug(guest->unit, "nic1", RID_B), VTD_FRONTEND_LOST);
        assert_int_equal(vtd_frontend_unplug(guest->unit, RID_A), VTD_FRONTEND_LOST);
        assert_int_equal(vtd_frontend_map(guest->unit, 0, 4096, 0, 0, &value), VTD_FRONTEND_LOST);
        assert_int_equal(vtd_frontend_connect(guest->unit, "/nowhere", NULL), -EISCONN);
}

static void test_a_broker_lost_while_idle_is_noticed(void **state)
{
        struct guest *guest = *state;

        plug(guest, RID_A);
        assert_int_equal(vtd_frontend_get_fd(guest->unit), 1000);
        guest->broker->lost = true;
        run_until(guest, VTD_FRONTEND_LOST);
        assert_int_equal(guest->lost, 1);
}

static void test_a_first_stage_answer_without_a_table_loses_the_broker(void **state)
{
        struct guest *guest = *state;

        start_first_stage(guest);
        guest->broker->no_table = true;
        put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_B);
        queue_descriptor(guest, PC_PASID(5, 0));
        kick(guest);
        run_until(guest, VTD_FRONTEND_LOST);
        assert_int_equal(guest->lost, 1);
}

static void test_a_unit_without_a_broker_works_and_has_no_devices(void **state)
{
        const struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_DEFAULT;
        struct guest *guest = *state;
        struct vtd_frontend *connected = guest->unit;
        const struct vtd_frontend_callbacks callbacks = connected->engine.guest.callbacks;

        assert_int_equal(vtd_frontend_new(&guest->unit, &config, &callbacks, guest), 0);
        enable_queue(guest);
        invalidate(guest, WAIT_STATUS(6));
        assert_int_equal(guest_get32(guest, STATUS), 6);
        assert_int_equal(vtd_frontend_plug(guest->unit, "nic0", RID_A), VTD_FRONTEND_LOST);
        assert_int_equal(guest->lost, 0);
        connected = vtd_frontend_free(connected);
        assert_null(connected);
}

static void test_unplug_forgets_what_was_pending_for_its_table(void **state)
{
        struct guest *guest = *state;

        start_first_stage(guest);
        queue_descriptor(guest, PIOTLB_ALL(5, 0));
        queue_descriptor(guest, WAIT_STATUS(9));
        kick(guest);
        /* One descriptor only, so that its invalidation is pending. */
        assert_int_equal(vtd_frontend_run(guest->unit, 1), VTD_FRONTEND_PENDING);
        assert_int_equal(vtd_frontend_unplug(guest->unit, RID_A), 0);
        fake_backend_forget(guest->broker);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(guest->broker->count, 0);
        assert_int_equal(guest_get32(guest, STATUS), 9);
}

/* The broker has blocked the device and forgotten its handle: it must not seem to be there. */
static void test_a_refused_unplug_leaves_no_binding(void **state)
{
        struct guest *guest = *state;
        enum vtd_frontend_binding binding;

        start_first_stage(guest);
        guest->broker->refused = VTD_REQUEST_UNPLUG_DEVICE;
        guest->broker->reason = VTD_REASON_HOST_FAILED;
        assert_int_equal(vtd_frontend_unplug(guest->unit, RID_A), VTD_FRONTEND_REFUSED);
        assert_int_equal(vtd_frontend_get_binding(guest->unit, RID_A, &binding), -ENODEV);
        fake_backend_forget(guest->broker);
        invalidate(guest, PIOTLB_ALL(5, 0));
        assert_int_equal(guest->broker->count, 0);
        plug(guest, RID_A);
}

static void test_unplug_leaves_a_shared_table_s_invalidations(void **state)
{
        struct guest *guest = *state;

        plug(guest, RID_B);
        put_entry(guest, RID_B, FIRST_STAGE, 5, TABLE_A);
        start_first_stage(guest);
        queue_descriptor(guest, PIOTLB_ALL(5, 0));
        queue_descriptor(guest, WAIT_STATUS(9));
        kick(guest);
        assert_int_equal(vtd_frontend_run(guest->unit, 1), VTD_FRONTEND_PENDING);
        assert_int_equal(vtd_frontend_unplug(guest->unit, RID_B), 0);
        fake_backend_forget(guest->broker);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_whole(guest, 0, TABLE_A);
}

static void test_refusals_that_a_guest_repeats_are_logged_a_bounded_number_of_times(void **state)
{
        struct guest *guest = *state;

        start_first_stage(guest);
        guest->lines = 0;
        for (unsigned i = 0; i < 200; i++) {
                put_entry(guest, RID_A, FIRST_STAGE, 5, i & 1 ? TABLE_A : TABLE_B);
                guest->broker->refused = VTD_REQUEST_ATTACH;
                guest->broker->reason = VTD_REASON_HOST_LIMIT;
                invalidate(guest, PC_PASID(5, 0));
        }
        assert_int_equal(guest->lines, 32);
}

static void test_statistics_count_what_happened(void **state)
{
        struct guest *guest = *state;
        struct vtd_frontend_stats stats;

        start_first_stage(guest);
        queue_descriptor(guest, PIOTLB_ALL(5, 0));
        queue_descriptor(guest, WAIT_STATUS(1));
        kick(guest);
        run_until(guest, VTD_FRONTEND_IDLE);
        vtd_frontend_get_stats(guest->unit, &stats);
        assert_int_equal(stats.descriptors, 2);
        assert_int_equal(stats.requests, 5); /* Hello, plug, pass-through, first-stage, flush */
        assert_int_equal(stats.attaches, 2);
        assert_int_equal(stats.invalidates, 1);
        assert_int_equal(stats.faults, 0);
        assert_int_equal(stats.last_sequence, 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, guest_setup, guest_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_a_device_follows_the_guest_from_plug_to_removal),
                TEST(test_translation_off_is_passthrough_only_if_policy_grants_it),
                TEST(test_an_unchanged_entry_costs_no_request),
                TEST(test_other_translation_types_block_with_fault_5b),
                TEST(test_type_0_in_a_present_entry_is_refused_too),
                TEST(test_five_level_paging_is_refused),
                TEST(test_legacy_tables_block_with_fault_30),
                TEST(test_removal_is_judged_by_the_cached_entry),
                TEST(test_addition_is_judged_by_the_entry_in_memory),
                TEST(test_only_the_named_entry_can_fault),
                TEST(test_removal_precedes_replay),
                TEST(test_context_cache_invalidation_looks_at_exactly_the_devices_named),
                TEST(test_domain_selective_context_invalidation_is_global),
                TEST(test_a_removed_context_entry_blocks),
                TEST(test_set_root_drops_caches_and_flushes_what_stays),
                TEST(test_set_root_to_other_tables_rebinds),
                TEST(test_enabling_translation_twice_does_nothing),
                TEST(test_status_changes_only_when_all_bindings_are_settled),
                TEST(test_a_command_during_a_command_is_carried_out_after_it),
                TEST(test_a_refused_attach_blocks_faults_once_and_is_retried),
                TEST(test_a_refused_entry_is_not_cached),
                TEST(test_a_walk_does_not_outlive_its_device),
                TEST(test_fpd_suppresses_the_fault_but_not_the_blocking),
                TEST(test_refused_pass_through_off_translation_faults_nothing),
                TEST(test_a_failed_invalidation_blocks_before_the_wait_completes),
                TEST(test_a_stale_table_handle_blocks_like_a_failure),
                TEST(test_an_invalidation_refused_otherwise_is_followed_by_blocking),
                TEST(test_shared_tables_are_invalidated_once),
                TEST(test_pasid_iotlb_needs_domain_and_pasid_of_a_first_stage_entry),
                TEST(test_iotlb_invalidation_flushes_first_stage_tables_of_the_domain),
                TEST(test_rid_pasid_is_taken_from_the_context_entry),
                TEST(test_a_new_domain_id_on_the_same_table_flushes_it),
                TEST(test_joining_a_table_under_another_domain_id_flushes_it),
                TEST(test_a_refused_flush_is_followed_by_blocking_before_anything_joins),
                TEST(test_a_reset_forgets_an_attach_that_waits_for_the_flush),
                TEST(test_a_hot_plugged_device_is_bound_by_tables_that_are_there),
                TEST(test_plug_checks_its_arguments),
                TEST(test_a_refused_plug_says_why),
                TEST(test_waiting_calls_are_busy_while_a_request_is_outstanding),
                TEST(test_reset_returns_devices_to_translation_off),
                TEST(test_reset_while_an_attach_is_outstanding_ends_in_the_reset_state),
                TEST(test_reset_while_a_failing_invalidation_is_outstanding),
                TEST(test_a_lost_broker_holds_the_queue),
                TEST(test_a_broker_lost_while_idle_is_noticed),
                TEST(test_a_first_stage_answer_without_a_table_loses_the_broker),
                TEST(test_a_unit_without_a_broker_works_and_has_no_devices),
                TEST(test_unplug_forgets_what_was_pending_for_its_table),
                TEST(test_a_refused_unplug_leaves_no_binding),
                TEST(test_unplug_leaves_a_shared_table_s_invalidations),
                TEST(test_refusals_that_a_guest_repeats_are_logged_a_bounded_number_of_times),
                TEST(test_statistics_count_what_happened),
        };

        return cmocka_run_group_tests_name("frontend-bindings", tests, NULL, NULL);
}
