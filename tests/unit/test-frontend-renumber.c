/* SPDX-License-Identifier: MIT */
/* Functions whose bus the guest numbers anew: vtd_frontend_renumber(). */
#include <errno.h>

#include "tests/unit/frontend-fixture.h"

enum { FIRST_STAGE = 1 };

#define RID_NEW 0x0010u /* with tables of its own */

/* Device A in domain 5 with TABLE_A, translation on. */
static void start(struct guest *guest)
{
        plug(guest, RID_A);
        put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_A);
        enable_translation(guest);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_FIRST_STAGE);
        fake_backend_forget(guest->broker);
}

static void test_is_bound_by_the_new_tables(void **state)
{
        struct guest *guest = *state;
        enum vtd_frontend_binding binding;

        start(guest);
        put_context(guest, RID_NEW, 0);
        put_entry(guest, RID_NEW, FIRST_STAGE, 6, TABLE_B);
        assert_int_equal(vtd_frontend_renumber(guest->unit, RID_A, RID_NEW), 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(guest->broker->requests[0].type, VTD_REQUEST_ATTACH);
        assert_int_equal(guest->broker->requests[0].attach.root, TABLE_B);
        assert_int_equal(binding_of(guest, RID_NEW), VTD_FRONTEND_BINDING_FIRST_STAGE);
        assert_int_equal(vtd_frontend_get_binding(guest->unit, RID_A, &binding), -ENODEV);
}

static void test_is_blocked_without_new_tables(void **state)
{
        struct guest *guest = *state;

        start(guest);
        assert_int_equal(vtd_frontend_renumber(guest->unit, RID_A, RID_NEW), 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(guest->broker->requests[0].type, VTD_REQUEST_ATTACH);
        assert_int_equal(guest->broker->requests[0].attach.mode, VTD_ATTACH_BLOCKED);
        assert_int_equal(binding_of(guest, RID_NEW), VTD_FRONTEND_BINDING_BLOCKED);
}

/* What the guest invalidates for the old number concerns the device no more, for the new one it does. */
static void test_invalidations_go_by_the_new_number(void **state)
{
        struct guest *guest = *state;

        start(guest);
        put_context(guest, RID_NEW, 0);
        put_entry(guest, RID_NEW, FIRST_STAGE, 6, TABLE_B);
        assert_int_equal(vtd_frontend_renumber(guest->unit, RID_A, RID_NEW), 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        put_entry(guest, RID_A, FIRST_STAGE, 7, TABLE_B);
        fake_backend_forget(guest->broker);
        invalidate(guest, CC_DEVICE(RID_A, 0));
        assert_int_equal(guest->broker->count, 0);
        put_entry(guest, RID_NEW, FIRST_STAGE, 6, TABLE_A);
        invalidate(guest, CC_DEVICE(RID_NEW, 0));
        assert_int_equal(guest->broker->requests[0].attach.root, TABLE_A);
}

/* PASIDs of the old tables are let go, those of the new ones found. */
static void test_takes_its_pasids_along(void **state)
{
        struct guest *guest = *state;

        configure_pasids(guest, 4);
        plug(guest, RID_A);
        put_pasid_context(guest, RID_A, 0, directory_of(RID_A));
        put_pasid(guest, RID_A, 3, FIRST_STAGE, 5, TABLE_A);
        enable_translation(guest);
        assert_int_equal(pasid_binding_of(guest, RID_A, 3), VTD_FRONTEND_BINDING_FIRST_STAGE);
        put_pasid_context(guest, RID_NEW, 0, directory_of(RID_NEW));
        put_pasid(guest, RID_NEW, 4, FIRST_STAGE, 6, TABLE_B);
        assert_int_equal(vtd_frontend_renumber(guest->unit, RID_A, RID_NEW), 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(pasid_binding_of(guest, RID_NEW, 3), VTD_FRONTEND_BINDING_BLOCKED);
        assert_int_equal(pasid_binding_of(guest, RID_NEW, 4), VTD_FRONTEND_BINDING_FIRST_STAGE);
}

static void test_what_cannot_be_renumbered(void **state)
{
        struct guest *guest = *state;

        plug(guest, RID_A);
        plug(guest, RID_B);
        assert_int_equal(vtd_frontend_renumber(guest->unit, RID_NEW, RID_NEW + 1), -ENODEV);
        assert_int_equal(vtd_frontend_renumber(guest->unit, RID_A, RID_B), -EEXIST);
        fake_backend_forget(guest->broker);
        assert_int_equal(vtd_frontend_renumber(guest->unit, RID_A, RID_A), 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(guest->broker->count, 0);
}

/* While an answer is outstanding nothing is moved under it. */
static void test_not_while_a_request_is_unanswered(void **state)
{
        struct guest *guest = *state;

        start(guest);
        put_entry(guest, RID_A, FIRST_STAGE, 5, TABLE_B);
        guest->broker->hold = true;
        queue_descriptor(guest, PC_GLOBAL);
        kick(guest);
        run_until(guest, VTD_FRONTEND_WAITING);
        assert_int_equal(vtd_frontend_renumber(guest->unit, RID_A, RID_NEW), VTD_FRONTEND_BUSY);
        guest->broker->hold = false;
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(vtd_frontend_renumber(guest->unit, RID_A, RID_NEW), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_is_bound_by_the_new_tables, guest_setup,
                                                guest_teardown),
                cmocka_unit_test_setup_teardown(test_is_blocked_without_new_tables, guest_setup,
                                                guest_teardown),
                cmocka_unit_test_setup_teardown(test_invalidations_go_by_the_new_number,
                                                guest_setup, guest_teardown),
                cmocka_unit_test_setup_teardown(test_takes_its_pasids_along, guest_setup,
                                                guest_teardown),
                cmocka_unit_test_setup_teardown(test_what_cannot_be_renumbered, guest_setup,
                                                guest_teardown),
                cmocka_unit_test_setup_teardown(test_not_while_a_request_is_unanswered, guest_setup,
                                                guest_teardown),
        };

        return cmocka_run_group_tests_name("frontend-renumber", tests, NULL, NULL);
}
