/* SPDX-License-Identifier: MIT */
/* broker/handles: an old handle never matches again. */
#include "tests/unit/unit.h"

#include <errno.h>

#include "broker/worker/handles.h"

static void a_handle_finds_its_slot_until_released(void **state)
{
        struct vtd_handles handles;
        size_t index, found;
        uint64_t name;

        (void)state;
        assert_int_equal(vtd_handles_init(&handles, VTD_HANDLE_TABLE, 4), 0);
        assert_int_equal(vtd_handles_take(&handles, &index), 0);
        name = vtd_handles_name(&handles, index);
        assert_int_not_equal(name, 0);
        assert_int_equal(vtd_handles_find(&handles, name, &found), 0);
        assert_int_equal(found, index);
        vtd_handles_release(&handles, index);
        assert_int_equal(vtd_handles_find(&handles, name, &found), VTD_HANDLES_E_ABSENT);
        vtd_handles_deinit(&handles);
}

static void a_slot_used_again_has_another_handle(void **state)
{
        struct vtd_handles handles;
        uint64_t names[100];
        size_t index, found;

        (void)state;
        assert_int_equal(vtd_handles_init(&handles, VTD_HANDLE_DEVICE, 1), 0);
        for (size_t i = 0; i < 100; i++) {
                assert_int_equal(vtd_handles_take(&handles, &index), 0);
                assert_int_equal(index, 0);
                names[i] = vtd_handles_name(&handles, index);
                for (size_t j = 0; j < i; j++)
                        assert_int_equal(vtd_handles_find(&handles, names[j], &found),
                                         VTD_HANDLES_E_ABSENT);
                vtd_handles_release(&handles, index);
        }
        vtd_handles_deinit(&handles);
}

static void a_handle_of_another_type_or_with_any_bit_changed_is_absent(void **state)
{
        struct vtd_handles devices, tables;
        size_t index, found;
        uint64_t name;

        (void)state;
        assert_int_equal(vtd_handles_init(&devices, VTD_HANDLE_DEVICE, 16), 0);
        assert_int_equal(vtd_handles_init(&tables, VTD_HANDLE_TABLE, 16), 0);
        for (size_t i = 0; i < 16; i++) {
                assert_int_equal(vtd_handles_take(&tables, &index), 0);
                if (i > 0) { /* generations differ, so that a changed index cannot match */
                        for (size_t j = 0; j < i; j++) {
                                vtd_handles_release(&tables, index);
                                assert_int_equal(vtd_handles_take(&tables, &index), 0);
                        }
                }
        }
        assert_int_equal(vtd_handles_take(&devices, &index), 0);
        name = vtd_handles_name(&devices, index);
        assert_int_equal(vtd_handles_find(&tables, name, &found), VTD_HANDLES_E_ABSENT);
        for (size_t i = 0; i < 16; i++) {
                name = vtd_handles_name(&tables, i);
                for (unsigned bit = 0; bit < 64; bit++)
                        if (vtd_handles_find(&tables, name ^ UINT64_C(1) << bit, &found) == 0)
                                assert_int_not_equal(found, i);
        }
        assert_int_equal(vtd_handles_find(&tables, 0, &found), VTD_HANDLES_E_ABSENT);
        assert_int_equal(vtd_handles_find(&tables, UINT64_MAX, &found), VTD_HANDLES_E_ABSENT);
        vtd_handles_deinit(&devices);
        vtd_handles_deinit(&tables);
}

static void a_slot_is_retired_before_its_generation_wraps(void **state)
{
        struct vtd_handles handles;
        uint64_t first, last;
        size_t index, found;

        (void)state;
        assert_int_equal(vtd_handles_init(&handles, VTD_HANDLE_MAPPING, 1), 0);
        assert_int_equal(vtd_handles_take(&handles, &index), 0);
        first = vtd_handles_name(&handles, index);
        vtd_handles_release(&handles, index);
        handles.slots[0].generation = VTD_HANDLE_GENERATION_MAX - 1;
        assert_int_equal(vtd_handles_take(&handles, &index), 0);
        last = vtd_handles_name(&handles, index);
        assert_int_equal(last >> 60, VTD_HANDLE_MAPPING);
        vtd_handles_release(&handles, index);
        assert_int_equal(vtd_handles_take(&handles, &index), VTD_HANDLES_E_FULL);
        assert_int_equal(vtd_handles_find(&handles, first, &found), VTD_HANDLES_E_ABSENT);
        assert_int_equal(vtd_handles_find(&handles, last, &found), VTD_HANDLES_E_ABSENT);
        vtd_handles_deinit(&handles);
}

static void capacity_is_exact_and_bounded(void **state)
{
        struct vtd_handles handles;
        size_t index;

        (void)state;
        assert_int_equal(vtd_handles_init(&handles, VTD_HANDLE_TABLE, 65537), -EINVAL);
        assert_int_equal(vtd_handles_init(&handles, VTD_HANDLE_TABLE, 0), 0);
        assert_int_equal(vtd_handles_take(&handles, &index), VTD_HANDLES_E_FULL);
        vtd_handles_deinit(&handles);
        assert_int_equal(vtd_handles_init(&handles, VTD_HANDLE_TABLE, 3), 0);
        for (size_t i = 0; i < 3; i++)
                assert_int_equal(vtd_handles_take(&handles, &index), 0);
        assert_int_equal(vtd_handles_take(&handles, &index), VTD_HANDLES_E_FULL);
        vtd_handles_release(&handles, 1);
        assert_int_equal(vtd_handles_take(&handles, &index), 0);
        assert_int_equal(index, 1);
        vtd_handles_deinit(&handles);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_handle_finds_its_slot_until_released),
                cmocka_unit_test(a_slot_used_again_has_another_handle),
                cmocka_unit_test(a_handle_of_another_type_or_with_any_bit_changed_is_absent),
                cmocka_unit_test(a_slot_is_retired_before_its_generation_wraps),
                cmocka_unit_test(capacity_is_exact_and_bounded),
        };

        return cmocka_run_group_tests_name("handles", tests, NULL, NULL);
}
