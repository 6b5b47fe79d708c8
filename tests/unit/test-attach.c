/* SPDX-License-Identifier: MIT */
/* Attach: what is judged, which host calls follow in which order, and what a failure leaves. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>

#include "shared/checked.h"
#include "tests/unit/vm-fixture.h"

#define ECAP_SC     (UINT64_C(1) << 7)
#define ECAP_SRS    (UINT64_C(1) << 31)
#define ECAP_EAFS   (UINT64_C(1) << 34)
#define CAP_FS5LP   (UINT64_C(1) << 60)
#define LIMIT(name) (LINE_LIMIT + VTD_POLICY_##name)

struct world {
        struct fixture *f;
        uint64_t device;
};

static int setup(void **state)
{
        struct world *world = calloc(1, sizeof(*world));

        assert_non_null(world);
        world->f = fixture_new();
        fixture_start(world->f, true);
        world->device = fixture_plug(world->f, 0);
        (void)fixture_map(world->f, 0, MIB);
        fixture_forget_calls(world->f);
        *state = world;
        return 0;
}

static int teardown(void **state)
{
        struct world *world = *state;

        fixture_free(world->f);
        free(world);
        return 0;
}

static void passthrough_attaches_then_masters_and_blocking_undoes_it_in_reverse(void **state)
{
        struct world *w = *state;

        assert_int_equal(fixture_attach(w->f, w->device, 0, VTD_ATTACH_PASSTHROUGH, 0), 0);
        EXPECT_CALLS(w->f, VTD_AUDIT_ATTACH, VTD_AUDIT_BUS_MASTER);
        assert_int_equal(w->f->host->calls[1].b, 1);
        fixture_forget_calls(w->f);
        assert_int_equal(fixture_attach(w->f, w->device, 0, VTD_ATTACH_BLOCKED, 0), 0);
        EXPECT_CALLS(w->f, VTD_AUDIT_DETACH, VTD_AUDIT_BUS_MASTER);
        assert_int_equal(w->f->host->calls[1].b, 0);
}

static void the_new_table_is_attached_before_the_old_one_is_released(void **state)
{
        struct world *w = *state;
        uint64_t first = fixture_attach(w->f, w->device, 0, VTD_ATTACH_FIRST_STAGE, 0x1000);
        uint64_t second;

        EXPECT_CALLS(w->f, VTD_AUDIT_FIRST_STAGE_ALLOC, VTD_AUDIT_ATTACH, VTD_AUDIT_BUS_MASTER);
        fixture_forget_calls(w->f);
        second = fixture_attach(w->f, w->device, 0, VTD_ATTACH_FIRST_STAGE, 0x2000);
        EXPECT_CALLS(w->f, VTD_AUDIT_FIRST_STAGE_ALLOC, VTD_AUDIT_ATTACH, VTD_AUDIT_DESTROY);
        assert_int_not_equal(first, second);
        fixture_forget_calls(w->f);
        assert_int_equal(fixture_attach(w->f, w->device, 0, VTD_ATTACH_PASSTHROUGH, 0), 0);
        EXPECT_CALLS(w->f, VTD_AUDIT_ATTACH, VTD_AUDIT_DESTROY);
        fixture_forget_calls(w->f);
        (void)fixture_attach(w->f, w->device, 0, VTD_ATTACH_FIRST_STAGE, 0x1000);
        (void)fixture_attach(w->f, w->device, 0, VTD_ATTACH_BLOCKED, 0);
        EXPECT_CALLS(w->f, VTD_AUDIT_FIRST_STAGE_ALLOC, VTD_AUDIT_ATTACH, VTD_AUDIT_DETACH,
                     VTD_AUDIT_DESTROY, VTD_AUDIT_BUS_MASTER);
}

static void attaching_the_same_again_needs_no_host_call(void **state)
{
        struct world *w = *state;
        uint64_t table = fixture_attach(w->f, w->device, 0, VTD_ATTACH_FIRST_STAGE, 0x1000);

        fixture_forget_calls(w->f);
        assert_int_equal(fixture_attach(w->f, w->device, 0, VTD_ATTACH_FIRST_STAGE, 0x1000), table);
        (void)fixture_attach(w->f, w->device, 7, VTD_ATTACH_BLOCKED, 0);
        assert_int_equal(w->f->host->n_calls, 0);
}

static void attachments_of_the_same_root_share_one_table(void **state)
{
        struct world *w = *state;
        uint64_t other = fixture_plug(w->f, 1);
        uint64_t table = fixture_attach(w->f, w->device, 0, VTD_ATTACH_FIRST_STAGE, 0x1000);

        assert_int_equal(fixture_attach(w->f, other, 0, VTD_ATTACH_FIRST_STAGE, 0x1000), table);
        assert_int_equal(fixture_attach(w->f, w->device, 9, VTD_ATTACH_FIRST_STAGE, 0x1000), table);
        assert_int_equal(fake_host_count(w->f->host, FAKE_FIRST_STAGE), 1);
        assert_int_equal(fake_host_count(w->f->host, FAKE_SECOND_STAGE), 1);
        (void)fixture_attach(w->f, w->device, 0, VTD_ATTACH_BLOCKED, 0);
        (void)fixture_attach(w->f, other, 0, VTD_ATTACH_BLOCKED, 0);
        assert_int_equal(fake_host_count(w->f->host, FAKE_FIRST_STAGE), 1);
        (void)fixture_attach(w->f, w->device, 9, VTD_ATTACH_BLOCKED, 0);
        assert_int_equal(fake_host_count(w->f->host, FAKE_FIRST_STAGE), 0);
}

static void tables_of_other_attributes_are_other_tables(void **state)
{
        static const uint32_t flags[] = {0, VTD_FIRST_STAGE_SRE, VTD_FIRST_STAGE_WPE};
        struct world *w = *state;
        const struct fake_object *object;
        struct vtd_request wide;

        fixture_stop(w->f);
        fixture_start(w->f, true);
        w->f->host->devices[0].info.cap |= CAP_FS5LP;
        w->f->host->devices[0].info.ecap |= ECAP_SRS;
        w->device = fixture_plug(w->f, 0);
        (void)fixture_map(w->f, 0, MIB);
        wide = fixture_attach_request(w->device, 4, VTD_ATTACH_FIRST_STAGE, 0x1000);

        for (uint32_t i = 0; i < VTD_ARRAY_SIZE(flags); i++) {
                struct vtd_request request =
                        fixture_attach_request(w->device, i + 1, VTD_ATTACH_FIRST_STAGE, 0x1000);

                request.attach.flags = flags[i];
                assert_int_equal(fixture_call(w->f, &request, -1), 0);
                assert_false(w->f->reply.refused);
                object = &w->f->host->objects[fake_host_attached(
                        w->f->host, fixture_host_id(w->f, w->device), i + 1)];
                assert_int_equal(object->config.flags, flags[i]);
                assert_int_equal(object->config.address_width, 48);
        }
        wide.attach.address_width = 57;
        assert_int_equal(fixture_call(w->f, &wide, -1), 0);
        assert_false(w->f->reply.refused);
        object = &w->f->host->objects[fake_host_attached(w->f->host,
                                                         fixture_host_id(w->f, w->device), 4)];
        assert_int_equal(object->config.address_width, 57);
        assert_int_equal(fake_host_count(w->f->host, FAKE_FIRST_STAGE), 4);
}

/* The fake host, like the kernel, refuses PASIDs on tables that were not made for them. */
static void a_device_with_pasids_never_shares_a_second_stage_without(void **state)
{
        struct world *w = *state;
        uint64_t plain, pasids;

        fixture_stop(w->f);
        fixture_start(w->f, true);
        w->f->host->devices[0].info.pasid_bits = 0;
        w->f->host->devices[2].info.pasid_bits = 0;
        plain = fixture_plug(w->f, 0);
        pasids = fixture_plug(w->f, 1);
        assert_int_equal(fake_host_count(w->f->host, FAKE_SECOND_STAGE), 2);
        (void)fixture_plug(w->f, 2);
        assert_int_equal(fake_host_count(w->f->host, FAKE_SECOND_STAGE), 2);
        (void)fixture_attach(w->f, plain, 0, VTD_ATTACH_PASSTHROUGH, 0);
        (void)fixture_attach(w->f, pasids, 0, VTD_ATTACH_PASSTHROUGH, 0);
        (void)fixture_attach(w->f, pasids, 6, VTD_ATTACH_PASSTHROUGH, 0);
}

static void an_incompatible_iommu_gets_a_second_stage_of_its_own(void **state)
{
        struct world *w = *state;
        uint64_t other, table;

        w->f->host->devices[1].info.ecap &= ~ECAP_SC;
        w->f->policy.devices[1].exceptions = VTD_POLICY_ALLOW_NO_SNOOP_CONTROL;
        other = fixture_plug(w->f, 1);
        assert_int_equal(fake_host_count(w->f->host, FAKE_SECOND_STAGE), 2);
        table = fixture_attach(w->f, w->device, 0, VTD_ATTACH_FIRST_STAGE, 0x1000);
        assert_int_not_equal(fixture_attach(w->f, other, 0, VTD_ATTACH_FIRST_STAGE, 0x1000), table);
}

static void bus_mastering_stays_on_until_the_last_attachment_goes(void **state)
{
        struct world *w = *state;

        (void)fixture_attach(w->f, w->device, 0, VTD_ATTACH_PASSTHROUGH, 0);
        (void)fixture_attach(w->f, w->device, 5, VTD_ATTACH_FIRST_STAGE, 0x1000);
        fixture_forget_calls(w->f);
        (void)fixture_attach(w->f, w->device, 0, VTD_ATTACH_BLOCKED, 0);
        EXPECT_CALLS(w->f, VTD_AUDIT_DETACH);
        fixture_forget_calls(w->f);
        (void)fixture_attach(w->f, w->device, 5, VTD_ATTACH_BLOCKED, 0);
        EXPECT_CALLS(w->f, VTD_AUDIT_DETACH, VTD_AUDIT_DESTROY, VTD_AUDIT_BUS_MASTER);
}

static void what_policy_or_hardware_does_not_allow_is_refused_before_any_host_call(void **state)
{
        static const struct {
                uint64_t root;
                uint32_t width, flags, pasid;
                enum vtd_reason reason;
                uint32_t line;
                uint64_t asked, allowed;
        } cases[] = {
                {0x1001, 48, 0, 0, VTD_REASON_ALIGNMENT, 0, 0x1001, 4096},
                {MIB, 48, 0, 0, VTD_REASON_ROOT_NOT_MAPPED, 0, MIB, 0},
                {UINT64_MAX & ~UINT64_C(4095), 48, 0, 0, VTD_REASON_ROOT_NOT_MAPPED, 0,
                 UINT64_MAX & ~UINT64_C(4095), 0},
                {0x1000, 57, 0, 0, VTD_REASON_WIDTH_UNSUPPORTED, 0, 57, 48},
                {0x1000, 39, 0, 0, VTD_REASON_WIDTH_UNSUPPORTED, 0, 39, 48},
                {0x1000, 0, 0, 0, VTD_REASON_WIDTH_UNSUPPORTED, 0, 0, 48},
                {0x1000, 58, 0, 0, VTD_REASON_WIDTH_NOT_GRANTED, LIMIT(ADDRESS_WIDTH), 58, 57},
                {0x1000, 48, VTD_FIRST_STAGE_SRE, 0, VTD_REASON_FLAGS_UNSUPPORTED, 0, 1, 4},
                {0x1000, 48, VTD_FIRST_STAGE_EAFE, 0, VTD_REASON_FLAGS_NOT_GRANTED, LINE_FLAGS, 2,
                 5},
                {0x1000, 48, 0, 1u << 19, VTD_REASON_PASID_RANGE, 0, 1u << 19, 1u << 19},
        };
        struct world *w = *state;
        struct fixture *f = w->f;
        size_t attached_calls;

        fixture_stop(f);
        f->policy.first_stage_flags &= ~VTD_FIRST_STAGE_EAFE;
        fixture_start(f, true);
        f->host->devices[0].info.ecap &= ~(ECAP_SRS | ECAP_EAFS);
        f->host->devices[0].info.cap &= ~CAP_FS5LP;
        f->host->devices[0].info.pasid_bits = 19;
        w->device = fixture_plug(f, 0);
        (void)fixture_map(f, 0, MIB);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                struct vtd_request request = fixture_attach_request(
                        w->device, cases[i].pasid, VTD_ATTACH_FIRST_STAGE, cases[i].root);

                fixture_forget_calls(f);
                request.attach.address_width = cases[i].width;
                request.attach.flags = cases[i].flags;
                fixture_expect_refusal(f, &request, -1, cases[i].reason, cases[i].line);
                assert_int_equal(f->reply.refusal.asked, cases[i].asked);
                assert_int_equal(f->reply.refusal.allowed, cases[i].allowed);
                attached_calls = f->host->n_calls;
                assert_int_equal(attached_calls, 0);
        }
}

static void modes_are_granted_one_by_one(void **state)
{
        struct world *w = *state;
        struct vtd_request request =
                fixture_attach_request(w->device, 0, VTD_ATTACH_PASSTHROUGH, 0);

        w->f->policy.modes = VTD_POLICY_MODE_BLOCKED | VTD_POLICY_MODE_FIRST_STAGE;
        fixture_expect_refusal(w->f, &request, -1, VTD_REASON_MODE_NOT_GRANTED, LINE_MODES);
        assert_int_equal(w->f->reply.refusal.asked, VTD_ATTACH_PASSTHROUGH);
        w->f->policy.modes = VTD_POLICY_MODE_PASSTHROUGH;
        request = fixture_attach_request(w->device, 0, VTD_ATTACH_FIRST_STAGE, 0x1000);
        fixture_expect_refusal(w->f, &request, -1, VTD_REASON_MODE_NOT_GRANTED, LINE_MODES);
        (void)fixture_attach(w->f, w->device, 0, VTD_ATTACH_BLOCKED, 0);
}

static void handles_that_are_not_a_plugged_device_are_refused(void **state)
{
        struct world *w = *state;
        uint64_t table = fixture_attach(w->f, w->device, 0, VTD_ATTACH_FIRST_STAGE, 0x1000);
        const uint64_t handles[] = {0, table, w->device + 1, UINT64_MAX};

        for (size_t i = 0; i < VTD_ARRAY_SIZE(handles); i++) {
                struct vtd_request request =
                        fixture_attach_request(handles[i], 0, VTD_ATTACH_BLOCKED, 0);

                fixture_expect_refusal(w->f, &request, -1, VTD_REASON_DEVICE_HANDLE, 0);
        }
        assert_int_equal(fake_host_attachments(w->f->host), 1);
}

static void tables_and_pasids_are_limited_exactly(void **state)
{
        struct world *w = *state;
        struct vtd_request request =
                fixture_attach_request(w->device, 5, VTD_ATTACH_FIRST_STAGE, 0x5000);

        for (uint32_t i = 1; i <= 4; i++)
                (void)fixture_attach(w->f, w->device, i, VTD_ATTACH_FIRST_STAGE, i * 0x1000);
        fixture_expect_refusal(w->f, &request, -1, VTD_REASON_PASID_LIMIT, LIMIT(PASIDS));
        assert_int_equal(w->f->reply.refusal.asked, 5);
        assert_int_equal(w->f->reply.refusal.allowed, 4);
        request = fixture_attach_request(w->device, 0, VTD_ATTACH_FIRST_STAGE, 0x5000);
        fixture_expect_refusal(w->f, &request, -1, VTD_REASON_FIRST_STAGE_TABLE_LIMIT,
                               LIMIT(FIRST_STAGE_TABLES));
        assert_int_equal(w->f->reply.refusal.asked, 5);
        (void)fixture_attach(w->f, w->device, 0, VTD_ATTACH_FIRST_STAGE, 0x3000);
        (void)fixture_attach(w->f, w->device, 1, VTD_ATTACH_BLOCKED, 0);
        (void)fixture_attach(w->f, w->device, 5, VTD_ATTACH_FIRST_STAGE, 0x5000);
}

static void a_policy_without_pasids_says_so(void **state)
{
        struct world *w = *state;
        struct vtd_request request = fixture_attach_request(0, 3, VTD_ATTACH_PASSTHROUGH, 0);

        fixture_stop(w->f);
        w->f->policy.limits[VTD_POLICY_PASIDS].value = 0;
        fixture_start(w->f, true);
        request.attach.device = fixture_plug(w->f, 0);
        assert_int_equal(w->f->reply.plug_device.pasid_bits, 0);
        fixture_expect_refusal(w->f, &request, -1, VTD_REASON_PASID_LIMIT, LIMIT(PASIDS));
}

static void a_refused_attach_leaves_what_it_named_blocked(void **state)
{
        struct world *w = *state;
        struct vtd_request request =
                fixture_attach_request(w->device, 0, VTD_ATTACH_FIRST_STAGE, 2 * MIB);
        uint64_t other = fixture_attach(w->f, w->device, 3, VTD_ATTACH_FIRST_STAGE, 0x2000);

        (void)fixture_attach(w->f, w->device, 0, VTD_ATTACH_FIRST_STAGE, 0x1000);
        fixture_forget_calls(w->f);
        fixture_expect_refusal(w->f, &request, -1, VTD_REASON_ROOT_NOT_MAPPED, 0);
        EXPECT_CALLS(w->f, VTD_AUDIT_DETACH, VTD_AUDIT_DESTROY);
        assert_int_equal(fake_host_attachments(w->f->host), 1);
        assert_int_equal(fixture_attach(w->f, w->device, 3, VTD_ATTACH_FIRST_STAGE, 0x2000), other);
        (void)fixture_attach(w->f, w->device, 0, VTD_ATTACH_FIRST_STAGE, 0x1000);
}

static void a_failed_attach_is_detached_before_the_answer(void **state)
{
        struct world *w = *state;
        struct vtd_request request =
                fixture_attach_request(w->device, 0, VTD_ATTACH_FIRST_STAGE, 0x2000);

        (void)fixture_attach(w->f, w->device, 0, VTD_ATTACH_FIRST_STAGE, 0x1000);
        fixture_forget_calls(w->f);
        fake_host_fail(w->f->host, 1, 1, VTD_HOST_E_INVALID);
        fixture_expect_refusal(w->f, &request, -1, VTD_REASON_HOST_FAILED, 0);
        EXPECT_CALLS(w->f, VTD_AUDIT_FIRST_STAGE_ALLOC, VTD_AUDIT_ATTACH, VTD_AUDIT_DETACH,
                     VTD_AUDIT_BUS_MASTER, VTD_AUDIT_DESTROY, VTD_AUDIT_DESTROY);
        assert_int_equal(fake_host_attachments(w->f->host), 0);
        assert_non_null(fake_supervisor_find(&w->f->supervisor, VTD_AUDIT_EVENT,
                                             VTD_AUDIT_EVENT_BINDING_BLOCKED));
        /* Healed by attaching what was there before. */
        (void)fixture_attach(w->f, w->device, 0, VTD_ATTACH_FIRST_STAGE, 0x1000);
}

static void a_busy_device_is_tried_again_a_bounded_number_of_times(void **state)
{
        struct world *w = *state;
        struct vtd_request request =
                fixture_attach_request(w->device, 0, VTD_ATTACH_PASSTHROUGH, 0);

        fake_host_fail(w->f->host, 0, 4, VTD_HOST_E_BUSY);
        (void)fixture_attach(w->f, w->device, 0, VTD_ATTACH_PASSTHROUGH, 0);
        EXPECT_CALLS(w->f, VTD_AUDIT_ATTACH, VTD_AUDIT_ATTACH, VTD_AUDIT_ATTACH, VTD_AUDIT_ATTACH,
                     VTD_AUDIT_ATTACH, VTD_AUDIT_BUS_MASTER);
        (void)fixture_attach(w->f, w->device, 0, VTD_ATTACH_BLOCKED, 0);
        fixture_forget_calls(w->f);
        fake_host_fail(w->f->host, 0, 5, VTD_HOST_E_BUSY);
        fixture_expect_refusal(w->f, &request, -1, VTD_REASON_DEVICE_BUSY, 0);
        EXPECT_CALLS(w->f, VTD_AUDIT_ATTACH, VTD_AUDIT_ATTACH, VTD_AUDIT_ATTACH, VTD_AUDIT_ATTACH,
                     VTD_AUDIT_ATTACH, VTD_AUDIT_DETACH);
}

static void a_detach_that_keeps_failing_is_fatal_and_the_last_close_ends_it(void **state)
{
        struct world *w = *state;
        struct vtd_request request = fixture_attach_request(w->device, 0, VTD_ATTACH_BLOCKED, 0);

        (void)fixture_attach(w->f, w->device, 0, VTD_ATTACH_FIRST_STAGE, 0x1000);
        fake_host_fail(w->f->host, 0, SIZE_MAX, -EIO);
        w->f->host->fail_op = VTD_AUDIT_DETACH;
        assert_int_equal(fixture_call(w->f, &request, -1), VTD_VM_E_FATAL);
        fixture_check_books(w->f, true);
        assert_int_equal(fake_host_attachments(w->f->host), 1);
        /* teardown: the end closes the device, which detaches it, before it unmaps */
        fixture_forget_calls(w->f);
        vtd_vm_end(w->f->vm, VTD_AUDIT_EVENT_DRAINED);
        EXPECT_CALLS(w->f, VTD_AUDIT_DETACH, VTD_AUDIT_BUS_MASTER, VTD_AUDIT_RELEASE,
                     VTD_AUDIT_DESTROY, VTD_AUDIT_DESTROY, VTD_AUDIT_UNMAP, VTD_AUDIT_DESTROY);
}

int main(void)
{
#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
        const struct CMUnitTest tests[] = {
                CASE(passthrough_attaches_then_masters_and_blocking_undoes_it_in_reverse),
                CASE(the_new_table_is_attached_before_the_old_one_is_released),
                CASE(attaching_the_same_again_needs_no_host_call),
                CASE(attachments_of_the_same_root_share_one_table),
                CASE(tables_of_other_attributes_are_other_tables),
                CASE(a_device_with_pasids_never_shares_a_second_stage_without),
                CASE(an_incompatible_iommu_gets_a_second_stage_of_its_own),
                CASE(bus_mastering_stays_on_until_the_last_attachment_goes),
                CASE(what_policy_or_hardware_does_not_allow_is_refused_before_any_host_call),
                CASE(modes_are_granted_one_by_one),
                CASE(handles_that_are_not_a_plugged_device_are_refused),
                CASE(tables_and_pasids_are_limited_exactly),
                CASE(a_policy_without_pasids_says_so),
                CASE(a_refused_attach_leaves_what_it_named_blocked),
                CASE(a_failed_attach_is_detached_before_the_answer),
                CASE(a_busy_device_is_tried_again_a_bounded_number_of_times),
                CASE(a_detach_that_keeps_failing_is_fatal_and_the_last_close_ends_it),
        };

        return cmocka_run_group_tests_name("attach", tests, NULL, NULL);
}
