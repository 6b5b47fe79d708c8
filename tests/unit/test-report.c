/* SPDX-License-Identifier: MIT */
/*
 * broker/worker/report.c: the reports of a VM, put together, are its books, however many it takes; and
 * each is one that vtd-brokerd accepts.
 */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "broker/worker/report.h"
#include "shared/checked.h"
#include "tests/unit/vm-fixture.h"

struct view {
        struct vtd_control_counters counters; /* of the first report */
        size_t n_reports;
        size_t counts[VTD_CONTROL_OBJECT_END];
        size_t n_objects;
        struct vtd_control_object objects[VTD_CONTROL_POSITIONS];
};

static int setup(void **state)
{
        struct fixture *f = fixture_new();

        fixture_start(f, true);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        fixture_free(*state);
        return 0;
}

static struct view *look(const struct fixture *f)
{
        struct view *view = calloc(1, sizeof(*view));
        uint32_t first = 0;

        assert_non_null(view);
        do {
                struct vtd_control_report report = {0};

                vtd_report_fill(f->vm, first, &report);
                if (first == 0)
                        view->counters = report.counters;
                assert_true(report.n_objects <= VTD_CONTROL_REPORT_OBJECTS);
                assert_true(report.next == 0 || report.next > first);
                assert_true(report.next == 0 || report.n_objects == VTD_CONTROL_REPORT_OBJECTS);
                for (uint32_t i = 0; i < report.n_objects; i++) {
                        view->objects[view->n_objects++] = report.objects[i];
                        view->counts[report.objects[i].kind]++;
                }
                first = report.next;
                view->n_reports++;
        } while (first != 0);
        return view;
}

static const struct vtd_control_object *find(const struct view *view, uint32_t kind, size_t number)
{
        for (size_t i = 0; i < view->n_objects; i++)
                if (view->objects[i].kind == kind && number-- == 0)
                        return &view->objects[i];
        fail_msg("no object %zu of kind %u", number, kind);
        return NULL;
}

static void test_an_empty_vm_reports_counters_only(void **state)
{
        struct view *view = look(*state);

        assert_int_equal(view->n_objects, 0);
        assert_int_equal(view->counters.requests, 1); /* Hello */
        assert_int_equal(view->counters.devices, 0);
        free(view);
}

static void test_objects_name_what_they_lie_on(void **state)
{
        struct fixture *f = *state;
        uint64_t first = fixture_plug(f, 0), second = fixture_plug(f, 1);
        const struct vtd_control_object *ioas, *stage, *table, *device, *attachment;
        struct view *view;

        (void)fixture_map(f, 0, 2 * MIB);
        (void)fixture_attach(f, first, VTD_NO_PASID, VTD_ATTACH_FIRST_STAGE, 0x1000);
        (void)fixture_attach(f, second, VTD_NO_PASID, VTD_ATTACH_PASSTHROUGH, 0);
        view = look(f);
        ioas = find(view, VTD_CONTROL_IOAS, 0);
        stage = find(view, VTD_CONTROL_SECOND_STAGE, 0);
        table = find(view, VTD_CONTROL_FIRST_STAGE, 0);
        assert_int_equal(stage->parent, ioas->id);
        assert_int_equal(stage->count, 2);
        assert_int_equal(table->parent, stage->id);
        assert_int_equal(table->root, 0x1000);
        assert_int_equal(table->count, 1);
        for (uint32_t i = 0; i < 2; i++) {
                device = find(view, VTD_CONTROL_PLUGGED_DEVICE, i);
                assert_int_equal(device->device, i);
                assert_int_equal(device->parent, stage->id);
                assert_int_equal(device->count, 1);
        }
        attachment = find(view, VTD_CONTROL_ATTACHMENT, 0);
        assert_int_equal(attachment->device, 0);
        assert_int_equal(attachment->mode, VTD_ATTACH_FIRST_STAGE);
        assert_int_equal(attachment->parent, table->id);
        attachment = find(view, VTD_CONTROL_ATTACHMENT, 1);
        assert_int_equal(attachment->device, 1);
        assert_int_equal(attachment->mode, VTD_ATTACH_PASSTHROUGH);
        assert_int_equal(attachment->parent, stage->id);
        assert_int_equal(view->counters.memory, 2 * MIB);
        assert_int_equal(view->counters.attachments, 2);
        assert_int_equal(view->counters.host_calls, f->vm->host_audit.calls);
        free(view);
}

static void test_a_large_vm_takes_several_reports(void **state)
{
        const uint32_t pasids = 3 * VTD_CONTROL_REPORT_OBJECTS;
        struct fixture *f = *state;
        uint64_t device;
        struct view *view;

        fixture_stop(f);
        f->policy.limits[VTD_POLICY_PASIDS].value = pasids;
        fixture_start(f, true);
        device = fixture_plug(f, 0);
        (void)fixture_map(f, 0, 2 * MIB);
        for (uint32_t pasid = 1; pasid <= pasids; pasid++)
                (void)fixture_attach(f, device, pasid, VTD_ATTACH_PASSTHROUGH, 0);
        view = look(f);
        assert_int_equal(view->counts[VTD_CONTROL_ATTACHMENT], pasids);
        assert_int_equal(view->counts[VTD_CONTROL_PLUGGED_DEVICE], 1);
        assert_int_equal(view->n_reports, 4); /* with the device and what it lies on */
        for (uint32_t i = 0; i < pasids; i++)
                assert_int_equal(find(view, VTD_CONTROL_ATTACHMENT, i)->pasid, i + 1);
        free(view);
}

/* Beyond the last position there is nothing, whoever asks. */
static void test_every_position_can_be_asked_for(void **state)
{
        struct fixture *f = *state;

        (void)fixture_plug(f, 0);
        for (uint32_t first = 0; first < VTD_CONTROL_POSITIONS; first++) {
                struct vtd_control_report report = {0};

                vtd_report_fill(f->vm, first, &report);
                assert_int_equal(report.next, 0);
                assert_true(report.n_objects <= 3); /* IOAS, second stage, device */
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_an_empty_vm_reports_counters_only, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_objects_name_what_they_lie_on, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_a_large_vm_takes_several_reports, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_every_position_can_be_asked_for, setup,
                                                teardown),
        };

        return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
