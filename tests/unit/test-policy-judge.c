/* SPDX-License-Identifier: MIT */
/*
 * policy/judge.h: each verdict at the edge of what is granted, for any number that may be asked, and
 * the line that decided it.
 */
#include "tests/unit/unit.h"

#include <stdint.h>
#include <string.h>

#include "policy/judge.h"

static void compile(struct vtd_policy *policy, const char *text)
{
        assert_int_equal(vtd_policy_compile(policy, "p.policy", text, strlen(text), NULL), 0);
}

static const char plain[] = "format = 1\n"
                            "[tenant]\n"
                            "name = blue\n"
                            "uid = 1000\n"
                            "[vm]\n"
                            "memory = 8KiB\n"
                            "modes = first-stage\n"
                            "first-stage-flags = sre, wpe\n"
                            "pasids = 3\n"
                            "[device net]\n"
                            "pci = 0000:00:04.0\n"
                            "regions = 0:rw, 2:r, config:r\n";

static void expect(struct vtd_policy_verdict verdict, bool granted, uint64_t asked,
                   uint64_t allowed, uint32_t line)
{
        assert_int_equal(verdict.granted, granted);
        assert_int_equal(verdict.asked, asked);
        assert_int_equal(verdict.allowed, allowed);
        assert_int_equal(verdict.line, line);
}

static void test_modes_are_what_is_named_and_blocked(void **state)
{
        const uint32_t mask = VTD_POLICY_MODE_BLOCKED | VTD_POLICY_MODE_FIRST_STAGE;
        struct vtd_policy policy;

        (void)state;
        compile(&policy, plain);
        expect(vtd_policy_judge_mode(&policy, VTD_POLICY_MODE_BLOCKED), true, 1, mask, 7);
        expect(vtd_policy_judge_mode(&policy, VTD_POLICY_MODE_FIRST_STAGE), true, 4, mask, 7);
        expect(vtd_policy_judge_mode(&policy, VTD_POLICY_MODE_PASSTHROUGH), false, 2, mask, 7);
        expect(vtd_policy_judge_mode(&policy, 0x80000000u), false, 0x80000000u, mask, 7);
}

static void test_first_stage_attributes_are_what_is_named(void **state)
{
        struct vtd_policy policy;

        (void)state;
        compile(&policy, plain);
        for (uint32_t flags = 0; flags < 16; flags++)
                expect(vtd_policy_judge_flags(&policy, flags), (flags & ~5u) == 0, flags, 5, 8);
        expect(vtd_policy_judge_flags(&policy, UINT32_MAX), false, UINT32_MAX, 5, 8);
        /* A default decides without a line. */
        expect(vtd_policy_judge_width(&policy, 48), true, 48, 48, 0);
        expect(vtd_policy_judge_width(&policy, 57), false, 57, 48, 0);
        expect(vtd_policy_judge_width(&policy, UINT64_MAX), false, UINT64_MAX, 48, 0);
}

static void test_regions_are_read_and_written_as_named(void **state)
{
        struct vtd_policy policy;

        (void)state;
        compile(&policy, plain);
        for (uint32_t region = 0; region < 70; region++) {
                expect(vtd_policy_judge_region(&policy.devices[0], region, false),
                       region == 0 || region == 2, region, 0x45, 10);
                expect(vtd_policy_judge_region(&policy.devices[0], region, true), region == 0,
                       region, 1, 10);
        }
        expect(vtd_policy_judge_region(&policy.devices[0], UINT32_MAX, true), false, UINT32_MAX, 1,
               10);
        expect(vtd_policy_judge_config(&policy.devices[0], false), true, 0x40, 0x45, 10);
        expect(vtd_policy_judge_config(&policy.devices[0], true), false, 0x40, 1, 10);
}

static void test_limits_hold_for_the_sum_also_where_it_overflows(void **state)
{
        struct vtd_policy policy;

        (void)state;
        compile(&policy, plain);
        expect(vtd_policy_judge_limit(&policy, VTD_POLICY_MEMORY, 4096, 4096), true, 8192, 8192, 6);
        expect(vtd_policy_judge_limit(&policy, VTD_POLICY_MEMORY, 4096, 4097), false, 8193, 8192,
               6);
        expect(vtd_policy_judge_limit(&policy, VTD_POLICY_MEMORY, 4096, UINT64_MAX), false,
               UINT64_MAX, 8192, 6);
        expect(vtd_policy_judge_limit(&policy, VTD_POLICY_PASIDS, 2, 1), true, 3, 3, 9);
        expect(vtd_policy_judge_limit(&policy, VTD_POLICY_PASIDS, 3, 1), false, 4, 3, 9);
        expect(vtd_policy_judge_limit(&policy, VTD_POLICY_FIRST_STAGE_TABLES, 0, 1), false, 1, 0,
               0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_modes_are_what_is_named_and_blocked),
                cmocka_unit_test(test_first_stage_attributes_are_what_is_named),
                cmocka_unit_test(test_regions_are_read_and_written_as_named),
                cmocka_unit_test(test_limits_hold_for_the_sum_also_where_it_overflows),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
