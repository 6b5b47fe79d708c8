/* SPDX-License-Identifier: MIT */
/* broker/quota and broker/rate: exact limits, and a bucket that drops nothing. */
#include "tests/unit/unit.h"

#include "broker/worker/quota.h"
#include "broker/worker/rate.h"

#define SECOND UINT64_C(1000000000)
#define CAP    (VTD_LIMIT_INVALIDATE_DELAY_MS * UINT64_C(1000000))

static void a_charge_fits_up_to_the_limit_and_not_one_more(void **state)
{
        struct vtd_policy policy = {
                .limits = {
                        [VTD_POLICY_MEMORY] = {.value = 10}, [VTD_POLICY_PASIDS] = {.value = 1}}};
        struct vtd_quota quota;

        (void)state;
        vtd_quota_init(&quota, &policy);
        assert_int_equal(vtd_quota_charge(&quota, VTD_POLICY_MEMORY, 11), VTD_QUOTA_E_LIMIT);
        assert_int_equal(vtd_quota_used(&quota, VTD_POLICY_MEMORY), 0);
        assert_int_equal(vtd_quota_charge(&quota, VTD_POLICY_MEMORY, 10), 0);
        assert_int_equal(vtd_quota_charge(&quota, VTD_POLICY_MEMORY, 1), VTD_QUOTA_E_LIMIT);
        assert_int_equal(vtd_quota_charge(&quota, VTD_POLICY_MEMORY, UINT64_MAX),
                         VTD_QUOTA_E_LIMIT);
        assert_int_equal(vtd_quota_used(&quota, VTD_POLICY_MEMORY), 10);
        assert_int_equal(vtd_quota_used(&quota, VTD_POLICY_PASIDS), 0);
        vtd_quota_release(&quota, VTD_POLICY_MEMORY, 4);
        assert_int_equal(vtd_quota_charge(&quota, VTD_POLICY_MEMORY, 5), VTD_QUOTA_E_LIMIT);
        assert_int_equal(vtd_quota_charge(&quota, VTD_POLICY_MEMORY, 4), 0);
        assert_int_equal(vtd_quota_charge(&quota, VTD_POLICY_DEVICES, 1), VTD_QUOTA_E_LIMIT);
}

static void expect(struct vtd_rate *rate, size_t entries, uint64_t now, size_t granted,
                   uint64_t delay)
{
        struct vtd_rate_verdict verdict = vtd_rate_take(rate, entries, now);

        assert_int_equal(verdict.entries, granted);
        assert_int_equal(verdict.delay_ns, delay);
}

static void a_burst_passes_then_entries_merge_then_answers_wait(void **state)
{
        struct vtd_rate rate;

        (void)state;
        vtd_rate_init(&rate, 1000, 10, 5 * SECOND);
        expect(&rate, 8, 5 * SECOND, 8, 0);
        expect(&rate, 3, 5 * SECOND, 1, 0); /* 2 are left: one for the whole table */
        expect(&rate, 1, 5 * SECOND, 1, 0);
        expect(&rate, 1, 5 * SECOND, 1, SECOND / 1000);
        expect(&rate, 128, 5 * SECOND + SECOND / 1000, 1, SECOND / 1000);
}

static void time_earns_up_to_the_burst(void **state)
{
        struct vtd_rate rate;

        (void)state;
        vtd_rate_init(&rate, 1000, 10, 0);
        expect(&rate, 10, 0, 10, 0);
        expect(&rate, 5, SECOND / 200, 5, 0);
        expect(&rate, 10, SECOND * 1000, 10, 0);
        expect(&rate, 1, SECOND * 1000 + 999999, 1, 1);
}

static void the_delay_is_capped_even_when_the_client_does_not_wait(void **state)
{
        struct vtd_rate rate;
        uint64_t longest = 0;

        (void)state;
        vtd_rate_init(&rate, 1, 1, 0);
        expect(&rate, 1, 0, 1, 0);
        for (unsigned i = 0; i < 1000; i++) {
                struct vtd_rate_verdict verdict = vtd_rate_take(&rate, 128, i);

                assert_int_equal(verdict.entries, 1);
                assert_true(verdict.delay_ns <= CAP);
                if (verdict.delay_ns > longest)
                        longest = verdict.delay_ns;
        }
        assert_int_equal(longest, CAP);
}

static void a_client_that_waits_gets_exactly_its_rate(void **state)
{
        struct vtd_rate rate;
        uint64_t now = 0, entries = 0;

        (void)state;
        vtd_rate_init(&rate, 5000, 128, now);
        while (now < 10 * SECOND) {
                struct vtd_rate_verdict verdict = vtd_rate_take(&rate, 100, now);

                entries += verdict.entries;
                /* answers go out on whole milliseconds, as the worker's loop has it */
                now += (verdict.delay_ns + 999999) / 1000000 * 1000000;
        }
        assert_true(entries <= 5000 * 10 + 128 + 5);
        assert_true(entries >= 5000 * 10 - 128);
}

static void extreme_numbers_do_not_overflow(void **state)
{
        struct vtd_rate rate;

        (void)state;
        vtd_rate_init(&rate, UINT64_MAX, UINT64_MAX, 0);
        expect(&rate, 128, 0, 128, 0);
        expect(&rate, 128, UINT64_MAX, 128, 0);
        vtd_rate_init(&rate, 0, 0, 0);
        expect(&rate, 1, 0, 1, 0);
        expect(&rate, 1, 0, 1, CAP);
        expect(&rate, SIZE_MAX, UINT64_MAX - CAP, 1, 0);
}

static void a_clock_that_stands_still_or_steps_back_earns_nothing(void **state)
{
        struct vtd_rate rate;

        (void)state;
        vtd_rate_init(&rate, 1000, 1, SECOND);
        expect(&rate, 1, SECOND, 1, 0);
        expect(&rate, 1, SECOND / 2, 1, CAP);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_charge_fits_up_to_the_limit_and_not_one_more),
                cmocka_unit_test(a_burst_passes_then_entries_merge_then_answers_wait),
                cmocka_unit_test(time_earns_up_to_the_burst),
                cmocka_unit_test(the_delay_is_capped_even_when_the_client_does_not_wait),
                cmocka_unit_test(a_client_that_waits_gets_exactly_its_rate),
                cmocka_unit_test(extreme_numbers_do_not_overflow),
                cmocka_unit_test(a_clock_that_stands_still_or_steps_back_earns_nothing),
        };

        return cmocka_run_group_tests_name("quota", tests, NULL, NULL);
}
